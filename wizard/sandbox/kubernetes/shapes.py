"""The types of what is in a manifest, as far as the sandbox itself reads it.

The real server decodes into Go structs and refuses with 400 what does not fit, a number in a ConfigMap for one.
"""

from __future__ import annotations

from typing import Any

from wizard.sandbox.kubernetes.errors import ApiError, bad_request
from wizard.sandbox.kubernetes.resources import (
    ACCESS_REVIEWS,
    CONFIG_MAPS,
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    PODS,
    REPLICA_SETS,
    SECRETS,
    SERVICES,
    STATEFUL_SETS,
    Obj,
    Resource,
)

WITH_SELECTOR = frozenset({DEPLOYMENTS, REPLICA_SETS, STATEFUL_SETS, DAEMON_SETS})
WITH_TEMPLATE = WITH_SELECTOR | {JOBS}

# A dict stands for an object with some of its fields, a list for a list of such, _ANY for whatever field there is.
_ANY = "*"
_STRINGS = {_ANY: str}
_METADATA = {
    "name": str,
    "generateName": str,
    "namespace": str,
    "resourceVersion": str,
    "labels": _STRINGS,
    "annotations": _STRINGS,
    "finalizers": [str],
    "ownerReferences": [{"apiVersion": str, "kind": str, "name": str, "uid": str, "controller": bool}],
}
_CONTAINER = {"name": str, "image": str}
_POD_SPEC = {"containers": [_CONTAINER], "initContainers": [_CONTAINER], "restartPolicy": str, "nodeName": str}
_WORKLOAD_SPEC = {
    "replicas": int,
    "completions": int,
    "parallelism": int,
    "podManagementPolicy": str,
    "selector": {"matchLabels": _STRINGS},
    "template": {"metadata": _METADATA, "spec": _POD_SPEC},
    "volumeClaimTemplates": [{"metadata": _METADATA, "spec": dict}],
}
_SERVICE_SPEC = {"type": str, "clusterIP": str, "ports": [{"port": int}]}
_COMMON = {"metadata": _METADATA, "spec": dict, "status": dict}
_SHAPES: dict[Resource, Obj] = {
    CONFIG_MAPS: {"data": _STRINGS, "binaryData": _STRINGS},
    SECRETS: {"data": _STRINGS, "stringData": _STRINGS, "type": str},
    ACCESS_REVIEWS: {"spec": {"resourceAttributes": _STRINGS}},
    PODS: {"spec": _POD_SPEC},
    SERVICES: {"spec": _SERVICE_SPEC},
    **{each: {"spec": _WORKLOAD_SPEC} for each in WITH_TEMPLATE},
}
_JSON_NAMES: dict[type, str] = {
    str: "string",
    bool: "bool",
    int: "number",
    float: "number",
    list: "array",
    dict: "object",
}


def without_nulls(value: Any) -> Any:
    """A copy without the fields that are null: the API server reads these as not being there."""
    if isinstance(value, dict):
        return {field: without_nulls(each) for field, each in value.items() if each is not None}
    if isinstance(value, list):
        return [without_nulls(each) for each in value]
    return value


def check(resource: Resource, obj: Obj) -> None:
    """That the fields that are there have the types they should; raises ApiError (400)."""
    _check_types(resource, obj, {**_COMMON, **_SHAPES.get(resource, {})})


def _check_types(resource: Resource, value: Any, shape: Any, path: str = "") -> None:
    wanted: type = shape if isinstance(shape, type) else type(shape)
    found = type(value)
    if found is not wanted:
        raise _wrong_type(resource, path, value, wanted)
    if isinstance(shape, dict):
        for field, inner in value.items():
            known = shape.get(field, shape.get(_ANY))
            if known is not None:
                _check_types(resource, inner, known, f"{path}.{field}" if path else field)
    elif isinstance(shape, list):
        for item in value:
            _check_types(resource, item, shape[0], path)


def _wrong_type(resource: Resource, path: str, value: Any, wanted: type) -> ApiError:
    found = _JSON_NAMES.get(type(value), "null")
    return bad_request(
        f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: json: '
        f"cannot unmarshal {found} into Go struct field {resource.kind}.{path} of type {_JSON_NAMES[wanted]}"
    )
