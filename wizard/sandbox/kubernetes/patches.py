"""The four ways to change an object by a patch: JSON merge, strategic merge, JSON patch and server-side apply.

All are pure: they return a new document and leave their arguments as they were. The last is simplified: each manager's
last applied configuration is compared with its new one; conflicts between managers are not detected.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from wizard.sandbox.kubernetes.errors import ApiError
from wizard.sandbox.kubernetes.resources import Obj

# The key by which the items of a list are the same item, by the list's field name: what Kubernetes' API types mark
# as patchMergeKey. The first one that all items have is taken (`ports` are of two types). Other lists are atomic.
_MERGE_KEYS: dict[str, tuple[str, ...]] = {
    "addresses": ("type",),
    "conditions": ("type",),
    "containers": ("name",),
    "env": ("name",),
    "ephemeralContainers": ("name",),
    "hostAliases": ("ip",),
    "imagePullSecrets": ("name",),
    "initContainers": ("name",),
    "ownerReferences": ("uid",),
    "ports": ("containerPort", "port"),
    "resourceClaims": ("name",),
    "secrets": ("name",),
    "taints": ("key",),
    "topologySpreadConstraints": ("topologyKey",),
    "volumeDevices": ("devicePath",),
    "volumeMounts": ("mountPath",),
    "volumes": ("name",),
}

_DIRECTIVE = "$patch"
_ORDER = "$setElementOrder/"
_DELETE_VALUES = "$deleteFromPrimitiveList/"
_RETAIN = "$retainKeys"


def merge(old: Any, patch: Any) -> Any:
    """JSON merge patch (RFC 7386)."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    new = dict(old) if isinstance(old, dict) else {}
    for field, value in patch.items():
        if value is None:
            new.pop(field, None)
        else:
            new[field] = merge(new.get(field), value)
    return new


def _merge_key(field: str, *lists: Any) -> str | None:
    items = [item for each in lists if isinstance(each, list) for item in each]
    for key in _MERGE_KEYS.get(field, ()):
        if items and all(isinstance(item, dict) and isinstance(item.get(key), str | int) for item in items):
            return key
    return None


def strategic_merge(old: Any, patch: Any) -> Any:
    """Kubernetes' strategic merge patch: like `merge`, but lists of named things are merged item by item."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    if patch.get(_DIRECTIVE) == "replace":
        return {field: copy.deepcopy(value) for field, value in patch.items() if field != _DIRECTIVE}
    new = dict(old) if isinstance(old, dict) else {}
    if _RETAIN in patch:
        new = {field: value for field, value in new.items() if field in patch[_RETAIN]}
    for field, value in patch.items():
        if field.startswith(_DELETE_VALUES):
            target = field.removeprefix(_DELETE_VALUES)
            new[target] = [item for item in new.get(target, []) if item not in value]
        elif field.startswith("$"):
            continue
        elif value is None:
            new.pop(field, None)
        elif isinstance(value, list):
            new[field] = _strategic_list(field, new.get(field), value)
        else:
            new[field] = strategic_merge(new.get(field), value)
    for field, order in patch.items():
        if field.startswith(_ORDER):
            target = field.removeprefix(_ORDER)
            if target in new:
                new[target] = _in_order(new[target], order)
    return new


def _strategic_list(field: str, old: Any, patch: list[Any]) -> list[Any]:
    # An item that is only {"$patch": "replace"} speaks of the whole list; the others are items.
    items = [item for item in patch if not (isinstance(item, dict) and set(item) == {_DIRECTIVE})]
    if len(items) != len(patch):
        return copy.deepcopy(items)
    key = _merge_key(field, old, items)
    if key is None:
        return copy.deepcopy(items)
    merged = {item[key]: item for item in old or []}
    for item in items:
        if item.get(_DIRECTIVE) == "delete":
            merged.pop(item[key], None)
        else:
            merged[item[key]] = strategic_merge(merged.get(item[key]), item)
    return list(merged.values())


def _in_order(items: list[Any], order: list[Any]) -> list[Any]:
    """`items` in the order the patch asks for; those it does not name come last."""
    if not order or not isinstance(order[0], dict):
        return items
    key = next(iter(order[0]))
    position = {each[key]: index for index, each in enumerate(order)}
    return sorted(items, key=lambda item: position.get(item.get(key), len(position)))


def json_patch(document: Obj, operations: Iterable[Obj]) -> Obj:
    """JSON patch (RFC 6902); raises ApiError (422) when an operation does not fit the document."""
    result: Obj = copy.deepcopy(document)
    for operation in operations:
        try:
            _json_patch_step(result, operation)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            text = "the server rejected our request due to an error in our request"
            raise ApiError(422, "Invalid", text) from error
    return result


def _json_patch_step(document: Obj, operation: Obj) -> None:
    kind = operation["op"]
    if kind in ("copy", "move"):
        value = copy.deepcopy(_take(document, operation["from"], remove=kind == "move"))
        _add(document, operation["path"], value)
    elif kind == "add":
        _add(document, operation["path"], operation["value"])
    elif kind == "remove":
        _take(document, operation["path"], remove=True)
    elif kind == "replace":
        _take(document, operation["path"], remove=True)
        _add(document, operation["path"], operation["value"])
    elif kind != "test" or _take(document, operation["path"], remove=False) != operation["value"]:
        raise ValueError(kind)


def _parent(document: Obj, pointer: str) -> tuple[Any, str]:
    """The container a JSON pointer leads into, and the last part of the pointer."""
    *way, last = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    container: Any = document
    for part in way:
        container = container[int(part)] if isinstance(container, list) else container[part]
    return container, last


def _take(document: Obj, pointer: str, *, remove: bool) -> Any:
    container, last = _parent(document, pointer)
    index = int(last) if isinstance(container, list) else last
    return container.pop(index) if remove else container[index]


def _add(document: Obj, pointer: str, value: Any) -> None:
    container, last = _parent(document, pointer)
    if isinstance(container, list):
        container.insert(len(container) if last == "-" else int(last), value)
    else:
        container[last] = value


def apply(live: Any, last: Any, new: Any, field: str = "") -> Any:
    """Server-side apply for one manager: what it had in `last` and no longer has in `new` goes, the rest is merged."""
    if isinstance(new, dict):
        result = _without(live, last, new)
        last = last if isinstance(last, dict) else {}
        for name, value in new.items():
            result[name] = apply(result.get(name), last.get(name), value, name)
        return result
    if isinstance(new, list) and (key := _merge_key(field, live, last, new)):
        lives, lasts, news = ({item[key]: item for item in items or []} for items in (live, last, new))
        merged = {name: item for name, item in lives.items() if name in news or name not in lasts}
        for name, item in news.items():
            merged[name] = apply(merged.get(name), lasts.get(name), item)
        return list(merged.values())
    return copy.deepcopy(new)


def _without(live: Any, last: Any, new: Obj) -> Obj:
    """`live` without what `last` set and `new` does not mention; siblings set by others stay."""
    result = dict(live) if isinstance(live, dict) else {}
    for field, value in (last if isinstance(last, dict) else {}).items():
        if field in new or field not in result:
            continue
        left = _without(result[field], value, {}) if isinstance(value, dict) else None
        if left:
            result[field] = left
        else:
            del result[field]
    return result
