"""The helm values file: what is read from it, what may be shown of it, and how it differs from what runs.

It may hold secrets. Its bytes are read once and sent to helm as they are; only its SHA-256, the host names in it and
the values at allow-listed paths are ever shown (HELM.md, "Commands").
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from state.events import FileFacts
from state.problem import EXIT_BAD, Problem
from wizard.files import expanded, read_file
from wizard.guide import CHANGE, CREATE, REMOVE, Change
from wizard.text import one_line

MAX_BYTES = 1_000_000

# The last part of a path whose value may be shown: hosts, ports, image, replicas, versions.
SHOWN = re.compile(r"(?i)^(.*host(name)?s?|.*domain|.*port|image|repository|tag|replicas|replicaCount|.*version)$")
HOST = re.compile(r"(?i)^(?=.{4,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){2,}[a-z][a-z0-9-]{0,62}$")


class ValuesFile:
    """A values file as it was read: its bytes and what was understood of them."""

    def __init__(self, path: str, content: bytes, values: Mapping[str, Any]) -> None:
        self.path = path
        self.content = content
        self.values = values

    def __repr__(self) -> str:
        return f"ValuesFile({self.path!r}, {len(self.content)} bytes)"

    @property
    def facts(self) -> FileFacts:
        """What the journal keeps: SHA-256 and host names."""
        return FileFacts(sha256=hashlib.sha256(self.content).hexdigest(), hosts=hosts_in(self.values))


def read_values(path: str) -> ValuesFile:
    """Reads a values file once. Raises Problem when it is missing, too large, or not a YAML mapping."""
    from wizard.safe_yaml import load_typed

    where = expanded(path)
    try:
        content = read_file(where, MAX_BYTES)
    except OSError as error:
        raise Problem(
            "values-unreadable",
            f"The values file {one_line(path)} can't be read: {error.strerror or error}.",
            todo="Download values.yml from the vendor's portal, and give its path.",
            exit_code=EXIT_BAD,
        ) from None
    if len(content) > MAX_BYTES:
        raise Problem(
            "values-too-large",
            f"The values file {one_line(path)} is larger than 1 MB.",
            todo="Check the path: a chart's values are a few kilobytes.",
            exit_code=EXIT_BAD,
        )
    values = load_typed(content, f"values file {one_line(path)}")
    if not isinstance(values, dict):
        raise Problem(
            "values-not-a-mapping",
            f"The values file {one_line(path)} holds no settings.",
            todo="Download values.yml from the vendor's portal again.",
            exit_code=EXIT_BAD,
        )
    return ValuesFile(str(where), content, values)


def hosts_in(values: Any) -> tuple[str, ...]:
    """Every host name that stands in the values, sorted; of a URL the host alone."""
    found = set()
    for _, leaf in _leaves(values):
        if isinstance(leaf, str) and len(leaf) < 2000:
            text = leaf.split("://", 1)[-1].split("/", 1)[0].rsplit(":", 1)[0]
            if HOST.match(text):
                found.add(text.lower())
    return tuple(sorted(found))


def canonical_sha256(values: Mapping[str, Any]) -> str:
    """SHA-256 of the values as canonical JSON, so that what helm tells can be compared with what was sent."""
    text = json.dumps(_plain(values), sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def same_values(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two sets of values mean the same to helm: null means absent there."""
    return bool(_plain(one) == _plain(other))


def differences(now: Mapping[str, Any], then: Mapping[str, Any]) -> tuple[Change, ...]:
    """One change per differing path; a value is shown at allow-listed paths only."""
    before, after = dict(_leaves(_plain(now))), dict(_leaves(_plain(then)))
    changes = []
    for path in sorted(before.keys() | after.keys()):
        if path not in before:
            changes.append(Change(CREATE, f"value {_path(path)}: {_shown(path, after[path], 'new')}"))
        elif path not in after:
            changes.append(Change(REMOVE, f"value {_path(path)}: was {_shown(path, before[path], 'set')}"))
        elif before[path] != after[path]:
            old, new = _shown(path, before[path], ""), _shown(path, after[path], "")
            text = f"{old} to {new}" if new else "changed"
            changes.append(Change(CHANGE, f"value {_path(path)}: {text}"))
    return tuple(changes)


def _plain(values: Any) -> Any:
    """JSON's view of the values: string keys, no nulls, whole floats as integers (helm prints 443 as it likes)."""
    if isinstance(values, Mapping):
        return {str(key): _plain(value) for key, value in values.items() if value is not None}
    if isinstance(values, list | tuple):
        return [_plain(value) for value in values]
    if isinstance(values, float) and values.is_integer():
        return int(values)
    return values


def _leaves(values: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(values, Mapping) and values:
        for key, value in values.items():
            yield from _leaves(value, (*path, str(key)))
    elif isinstance(values, list) and values:
        for index, value in enumerate(values):
            yield from _leaves(value, (*path, str(index)))
    elif path:  # no values at all have no leaf
        yield path, values


def _path(path: tuple[str, ...]) -> str:
    return one_line(".".join(path))


def _shown(path: tuple[str, ...], value: Any, hidden: str) -> str:
    named = [part for part in path if not part.isdigit()]
    return one_line(str(value)) if named and SHOWN.match(named[-1]) else hidden
