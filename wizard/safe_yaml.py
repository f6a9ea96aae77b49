"""YAML from people: read without executing, expanding or guessing anything.

No tag but YAML's own is obeyed, aliases may not multiply (a YAML bomb), keys may not repeat, depth is bounded. An
answers file is read with every scalar as text, so that the version 16.10 stays `16.10` and `no` stays `no`.
"""

from __future__ import annotations

from typing import Any

import yaml

from state.problem import EXIT_BAD, Problem
from wizard.text import one_line

MAX_DEPTH = 50
MAX_NODES = 100_000
MAX_BYTES = 1_000_000


def load_text(content: bytes, what: str) -> Any:
    """Mappings, lists and text only; null is the empty text. Raises Problem naming line and column."""
    node = _compose(content, what)
    return _text(node) if node is not None else None


def load_typed(content: bytes, what: str) -> Any:
    """With numbers, booleans and nulls as YAML has them. Raises Problem naming line and column."""
    node = _compose(content, what)
    if node is None:
        return None
    # Constructing happens from the very node that was examined, so nothing unexamined is built.
    constructor = yaml.SafeLoader("")
    try:
        return constructor.construct_document(node)
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise _problem(what, one_line(str(error)), None) from None
    finally:
        constructor.dispose()


def _compose(content: bytes, what: str) -> yaml.Node | None:
    if len(content) > MAX_BYTES:
        raise _problem(what, "it is larger than 1 MB", None)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _problem(what, f"byte {error.start} is not UTF-8", None) from None
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        said = " ".join(part for part in (error.context, error.problem) if part)
        raise _problem(what, one_line(said), error.problem_mark) from None
    except yaml.YAMLError as error:
        raise _problem(what, one_line(str(error)), None) from None
    except RecursionError:
        raise _problem(what, f"it is nested deeper than {MAX_DEPTH} levels", None) from None
    if node is not None:
        _size(node, what, 0, {}, set())
    return node


def _size(node: yaml.Node, what: str, depth: int, known: dict[int, int], open_nodes: set[int]) -> int:
    """How many nodes this one is with all aliases followed; raises when it is too many, too deep or not plain."""
    if depth > MAX_DEPTH:
        raise _problem(what, f"it is nested deeper than {MAX_DEPTH} levels", node.start_mark)
    if id(node) in open_nodes:
        raise _problem(what, "an alias contains itself", node.start_mark)
    if id(node) in known:
        return known[id(node)]
    if not node.tag.startswith("tag:yaml.org,2002:") or node.tag.startswith("tag:yaml.org,2002:python"):
        raise _problem(what, f"the tag {one_line(node.tag)} is not allowed", node.start_mark)
    open_nodes.add(id(node))
    total = 1
    if isinstance(node, yaml.MappingNode):
        keys = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _problem(what, "a key must be plain text", key.start_mark)
            if key.value in keys and key.value != "<<":
                raise _problem(what, f"the key {one_line(key.value)} stands twice", key.start_mark)
            keys.add(key.value)
            total += 1 + _size(value, what, depth + 1, known, open_nodes)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            total += _size(value, what, depth + 1, known, open_nodes)
    open_nodes.discard(id(node))
    if total > MAX_NODES:
        raise _problem(what, f"its aliases expand to more than {MAX_NODES} values", node.start_mark)
    known[id(node)] = total
    return total


def _text(node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return {key.value: _text(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_text(value) for value in node.value]
    return "" if node.tag == "tag:yaml.org,2002:null" else node.value


def _problem(what: str, reason: str, mark: yaml.Mark | None) -> Problem:
    where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return Problem(
        "bad-yaml",
        f"The {what} can't be read{where}: {reason}.",
        todo="Correct the file there, and run the command again.",
        exit_code=EXIT_BAD,
    )
