"""Label and field selectors, as in `?labelSelector=app=dpe,tier!=db` and `?fieldSelector=metadata.name=x`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from wizard.sandbox.kubernetes.errors import bad_request
from wizard.sandbox.kubernetes.meta import labels_of
from wizard.sandbox.kubernetes.resources import Obj

_SET = re.compile(r"(?P<key>[^\s,!=()]+)\s+(?P<op>in|notin)\s*\((?P<values>[^)]*)\)")
_EQUALITY = re.compile(r"(?P<key>[^\s,!=()]+)\s*(?P<op>==|=|!=)\s*(?P<value>[^\s,()]*)")
_EXISTENCE = re.compile(r"(?P<op>!?)\s*(?P<key>[^\s,!=()]+)")
_COMMA_OUTSIDE_PARENTHESES = re.compile(r",(?![^(]*\))")


def labels_match(labels: Mapping[str, str], selector: str) -> bool:
    """Whether all requirements of a label selector hold; raises ApiError (400) when it cannot be parsed."""
    parts = (part.strip() for part in _COMMA_OUTSIDE_PARENTHESES.split(selector))
    return all(_requirement_holds(labels, part) for part in parts if part)


def _requirement_holds(labels: Mapping[str, str], requirement: str) -> bool:
    # As the API server has it, `!=` and `notin` also hold for objects that lack the label.
    if found := _SET.fullmatch(requirement):
        values = {value.strip() for value in found["values"].split(",")}
        return (labels.get(found["key"]) in values) == (found["op"] == "in")
    if found := _EQUALITY.fullmatch(requirement):
        return (labels.get(found["key"]) == found["value"]) == (found["op"] != "!=")
    if found := _EXISTENCE.fullmatch(requirement):
        return (found["key"] in labels) == (found["op"] == "")
    raise bad_request(f"unable to parse requirement: found '{requirement}', expected: a label requirement")


def fields_match(obj: Obj, selector: str) -> bool:
    """Whether all parts of a field selector hold; any path of strings may be asked for."""
    for part in filter(None, selector.split(",")):
        found = re.fullmatch(r"(?P<path>[^!=]+)(?P<op>==|=|!=)(?P<value>.*)", part)
        if not found:
            raise bad_request(f"invalid selector: '{part}'; can't understand '{part}'")
        if (_field(obj, found["path"]) == found["value"]) != (found["op"] != "!="):
            return False
    return True


def _field(obj: Obj, path: str) -> str:
    value: Any = obj
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return "" if value is None else str(value)


def matches(obj: Obj, label_selector: str, field_selector: str) -> bool:
    """Whether an object is meant by both selectors; an empty one means everything."""
    if label_selector and not labels_match(labels_of(obj), label_selector):
        return False
    return not field_selector or fields_match(obj, field_selector)
