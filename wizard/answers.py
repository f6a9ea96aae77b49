"""The answers file of `run` (DESIGN.md section 5): read, checked in its form, every scalar as text."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from state.events import EnvironmentSet
from state.problem import EXIT_BAD, Problem
from state.secrets import SHORT
from wizard.files import expanded, is_text, read_file
from wizard.guide import Step
from wizard.guides import DEFAULT
from wizard.portal_commands import parse_portal_commands
from wizard.secret import Secret
from wizard.text import one_line

FORMAT = "privatelink-wizard.answers/1"

KEYS = ("format", "guide", "mode", "environment", "items", "links", "fields", "attest", "probe")

# In place of an item's fields: the portal's helm commands, pasted whole, as text or {file: PATH}.
COMMANDS = "commands"

# Answers of a step that are not fields: words to the program itself.
UNPROVEN_REASON = "unproven_reason"
INTERRUPTED = "interrupted"

_TRUE, _FALSE = ("true", "yes", "on"), ("false", "no", "off", "")


@dataclass(frozen=True, slots=True)
class Answers:
    """An answers file as it was read. Field values are text; `secrets` are already in memory.

    What the file leaves out (`mode`, `probe`) is empty and changes nothing.
    """

    path: Path
    sha256: str
    guide: str
    mode: str
    environment: Mapping[str, str]
    items: Mapping[str, Mapping[str, Mapping[str, str]]]
    links: tuple[tuple[str, str], ...]
    fields: Mapping[str, Mapping[str, str]]
    attest: tuple[str, ...]
    probe: str
    secrets: Mapping[tuple[str, str, str], Secret] = field(repr=False)
    dropped_env: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    def word(self, step: Step, key: str) -> str:
        """What stands for a step under `key`, by the step's id or number; empty when nothing does."""
        for name in (step.id, str(step.number)):
            if key in self.fields.get(name, {}):
                return self.fields[name][key]
        return ""

    def attests(self, step: Step) -> bool:
        """Whether the file confirms this step's text."""
        return step.id in self.attest or str(step.number) in self.attest


def read_answers(path: Path) -> Answers:
    """Reads an answers file. Raises Problem naming the place that is wrong; never shows a secret."""
    from wizard.safe_yaml import MAX_BYTES, load_text

    try:
        content = read_file(path, MAX_BYTES)
    except OSError as error:
        raise Problem(
            "answers-unreadable",
            f"The answers file {one_line(str(path))} can't be read: {error.strerror or error}.",
            todo="Check the path. `privatelink-wizard sandbox --serve` names a complete example.",
        ) from None
    document = load_text(content, f"answers file {one_line(str(path))}")
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise answers_wrong(path, f"it must begin with `format: {FORMAT}`")
    reader = _Reader(path)
    items, secrets = reader.items(document.get("items") or {})
    forms = _spellings(items, secrets)
    _require_no_secret_in_clear(path, document, forms)
    reader.drop_variables_with(forms)
    if unknown := [key for key in document if key not in KEYS]:
        raise answers_wrong(path, f"it has no place for {one_line(str(unknown[0]))}; its parts are {', '.join(KEYS)}")
    return Answers(
        path=path,
        sha256=hashlib.sha256(content).hexdigest(),
        guide=reader.text(document.get("guide", DEFAULT), "guide"),
        mode=reader.text(document.get("mode", ""), "mode"),
        environment=reader.texts(document.get("environment") or {}, "environment"),
        items=items,
        links=reader.links(document.get("links") or []),
        fields={
            step: reader.texts(values, f"fields.{step}")
            for step, values in reader.mapping(document.get("fields") or {}, "fields").items()
        },
        attest=tuple(reader.text(step, "attest") for step in reader.sequence(document.get("attest") or [], "attest")),
        probe=reader.text(document.get("probe", ""), "probe"),
        secrets=secrets,
        dropped_env=frozenset(reader.dropped),
        notes=tuple(reader.notes),
    )


class _Reader:
    """Turns the parsed YAML into text, saying where something else stands."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.dropped: set[str] = set()
        self.notes: list[str] = []

    def drop_variables_with(self, forms: frozenset[str]) -> None:
        """Marks every variable that holds a secret: exported for another program, it would reach our children too."""
        self.dropped |= {name for name, value in os.environ.items() if any(form in value for form in forms)}

    def mapping(self, value: Any, where: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise answers_wrong(self._path, f"{one_line(where)} must hold `key: value` lines")
        return value

    def sequence(self, value: Any, where: str) -> list[Any]:
        if not isinstance(value, list):
            raise answers_wrong(self._path, f"{one_line(where)} must be a list")
        return value

    def text(self, value: Any, where: str) -> str:
        if not isinstance(value, str):
            raise answers_wrong(self._path, f"{one_line(where)} must be plain text")
        return value

    def texts(self, value: Any, where: str) -> dict[str, str]:
        return {key: self.text(content, f"{where}.{key}") for key, content in self.mapping(value, where).items()}

    def links(self, value: Any) -> tuple[tuple[str, str], ...]:
        pairs = []
        for pair in self.sequence(value, "links"):
            names = [self.text(name, "links") for name in self.sequence(pair, "links")]
            if len(names) != 2:
                raise answers_wrong(self._path, "links holds pairs such as [dpe-01, pe-weu]")
            pairs.append((names[0], names[1]))
        return tuple(pairs)

    def items(self, value: Any) -> tuple[dict[str, dict[str, dict[str, str]]], dict[tuple[str, str, str], Secret]]:
        items: dict[str, dict[str, dict[str, str]]] = {}
        secrets: dict[tuple[str, str, str], Secret] = {}
        for kind, named in self.mapping(value, "items").items():
            items[kind] = {}
            for name, values in self.mapping(named, f"items.{kind}").items():
                items[kind][name] = {}
                for key, content in self.mapping(values or {}, f"items.{kind}.{name}").items():
                    where = f"items.{kind}.{name}.{key}"
                    if key == COMMANDS:
                        continue
                    if isinstance(content, dict):
                        secrets[kind, name, key] = self.secret(content, where)
                    else:
                        items[kind][name][key] = self.text(content, where)
                if COMMANDS in (values or {}):
                    given = items[kind][name]
                    token = self.commands(
                        values[COMMANDS], f"items.{kind}.{name}", given, (kind, name) in held(secrets)
                    )
                    if token is not None:
                        secrets[kind, name, TOKEN] = token
        return items, secrets

    def commands(self, source: Any, where: str, given: dict[str, str], has_token: bool) -> Secret | None:
        """Takes the portal's commands apart into `given`; what stands there by its own name wins.

        Returns the token when it came in a file of its own. In the answers file itself it is refused.
        """
        place = f"{where}.{COMMANDS}"
        in_file = isinstance(source, dict)
        text = self.secret(source, place).reveal() if in_file else self.text(source, place)
        pasted = parse_portal_commands(text)
        if not pasted.looks_like_commands:
            raise answers_wrong(self._path, f"{one_line(place)} holds no helm command: paste the portal's two commands")
        if pasted.token is not None and not in_file:
            raise answers_wrong(
                self._path,
                f"{one_line(place)} holds the token itself: put the commands into a file of their own and write "
                "{file: PATH}, or leave the token out and give it as token: {env: NAME}",
            )
        if pasted.unknown:
            raise answers_wrong(
                self._path,
                f"{one_line(place)} asks for {', '.join(pasted.unknown)}, which is not taken over: "
                "put it into the values file, or leave it out",
            )
        filled = {*given, *((TOKEN,) if has_token else ())}
        solved = {message for name, message in pasted.gaps if name in filled}
        if left := [problem for problem in pasted.problems if problem not in solved]:
            raise answers_wrong(self._path, f"{one_line(place)}: {left[0]}")
        for name in TAKEN_FROM_COMMANDS:
            value = getattr(pasted, name)
            if value is not None:
                given.setdefault(name, value)
        return None if has_token else pasted.token

    def secret(self, source: dict[str, Any], where: str) -> Secret:
        if set(source) == {"env"}:
            name = self.text(source["env"], where)
            value = os.environ.get(name)
            if not value:
                raise answers_wrong(
                    self._path, f"{one_line(where)}: the environment variable {one_line(name)} is not set"
                )
            if not is_text(value):
                raise answers_wrong(
                    self._path, f"{one_line(where)}: the environment variable {one_line(name)} is not text"
                )
            self.dropped.add(name)
            return Secret(value.strip())
        if set(source) == {"file"}:
            path = beside(self._path, self.text(source["file"], where))
            try:
                value = read_file(path, SECRET_LIMIT)[:SECRET_LIMIT].decode()
            except (OSError, UnicodeDecodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else "it is not text"
                raise answers_wrong(
                    self._path, f"{one_line(where)}: {one_line(str(path))} can't be read: {reason}"
                ) from None
            if not value.strip():
                raise answers_wrong(self._path, f"{one_line(where)}: {one_line(str(path))} is empty")
            if path.stat().st_mode & 0o077:
                self.notes.append(f"others may read the secret in {path}: chmod 600 it")
            return Secret(value.strip())
        raise answers_wrong(self._path, f"{one_line(where)} must be text, {{env: NAME}} or {{file: PATH}}")


SECRET_LIMIT = 100_000


def _spellings(
    items: Mapping[str, Mapping[str, Mapping[str, str]]], secrets: Mapping[tuple[str, str, str], Secret]
) -> frozenset[str]:
    """Every form of the secrets that is long enough not to be found everywhere."""
    return frozenset(
        form
        for (kind, name, _), secret in secrets.items()
        for form in secret.spellings(items[kind][name].get("username", ""))
        if len(form) >= SHORT
    )


def _require_no_secret_in_clear(path: Path, value: Any, forms: frozenset[str], where: str = "") -> None:
    """Refuses a secret that was pasted somewhere else as well, before any message can repeat it."""
    if isinstance(value, dict):
        for key, content in value.items():
            _require_no_secret_in_clear(path, key, forms, f"a name in {where or 'it'}")
            _require_no_secret_in_clear(path, content, forms, f"{where}.{key}" if where else key)
    elif isinstance(value, list):
        for content in value:
            _require_no_secret_in_clear(path, content, forms, where)
    elif any(form in value for form in forms):
        raise answers_wrong(
            path, f"{one_line(where)} holds the secret that is read from a file or variable; take it out there"
        )


TOKEN = "token"  # noqa: S105 - the name of a field
TAKEN_FROM_COMMANDS = (
    "registry",
    "username",
    "release",
    "chart",
    "version",
    "namespace",
    "values_file",
    "timeout",
)


def held(secrets: Mapping[tuple[str, str, str], Secret]) -> set[tuple[str, str]]:
    """The items, as (kind, name), whose token is given by itself."""
    return {(kind, name) for kind, name, key in secrets if key == TOKEN}


def beside(answers: Path, path: str) -> Path:
    """A path named in an answers file: `~` is the home, a relative one starts at the file's own directory."""
    return (answers.absolute().parent / expanded(path)).absolute()


def answers_wrong(path: Path, reason: str) -> Problem:
    """What is wrong with an answers file, with its path; `reason` is a clause."""
    return Problem(
        "answers-wrong",
        f"The answers file {one_line(str(path))}: {reason}.",
        todo="Correct it and run the command again; nothing was changed.",
        exit_code=EXIT_BAD,
    )


def environment_of(answers: Answers) -> dict[str, Any]:
    """The environment's known keys, with `sandbox` as a boolean. Raises Problem for an unknown key."""
    known = EnvironmentSet.__struct_fields__
    found: dict[str, Any] = {}
    for key, value in answers.environment.items():
        if key not in known:
            raise answers_wrong(answers.path, f"environment has no {one_line(key)}; it may have {', '.join(known)}")
        if key == "sandbox":
            if value.lower() not in (*_TRUE, *_FALSE):
                raise answers_wrong(answers.path, "environment.sandbox must be true or false")
            found[key] = value.lower() in _TRUE
        elif key in ("kubeconfig", "helm", "ca_file") and value:
            found[key] = str(beside(answers.path, value))
        else:
            found[key] = value or None
    return {key: value for key, value in found.items() if value is not None}
