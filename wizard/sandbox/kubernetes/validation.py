"""The API server's own look at a manifest: shape of the request, name, required fields, types, immutable fields.

Not the full schema: a field that does not exist is not noticed. What is checked is what a chart gets wrong most.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from wizard.sandbox.kubernetes import shapes
from wizard.sandbox.kubernetes.errors import FieldError, bad_request, unprocessable
from wizard.sandbox.kubernetes.resources import (
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    PODS,
    REPLICA_SETS,
    SERVICES,
    STATEFUL_SETS,
    Obj,
    Resource,
)
from wizard.sandbox.kubernetes.shapes import WITH_SELECTOR, WITH_TEMPLATE

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_IMMUTABLE = {
    DEPLOYMENTS: ("selector",),
    REPLICA_SETS: ("selector",),
    DAEMON_SETS: ("selector",),
    STATEFUL_SETS: ("selector", "serviceName", "podManagementPolicy", "volumeClaimTemplates"),
    JOBS: ("selector", "template", "completions"),
}


def check_request(resource: Resource, namespace: str, name: str, body: Any) -> None:
    """That the body is an object of the kind, namespace and name (when given) of the URL; raises ApiError (400)."""
    if not isinstance(body, dict):
        raise bad_request("the object provided is unrecognized: it is no JSON object")
    kind, api_version = body.get("kind"), body.get("apiVersion")
    if kind not in (None, resource.kind):
        raise bad_request(f"the object provided is unrecognized (must be of type {resource.kind}): got {kind}")
    if api_version not in (None, resource.group_version):
        expected = resource.group_version
        raise bad_request(
            f"the API version in the data ({api_version}) does not match the expected API version ({expected})"
        )
    metadata = shapes.without_nulls({} if body.get("metadata") is None else body["metadata"])
    shapes.check(resource, {"metadata": metadata})
    if resource.namespaced and metadata.get("namespace") not in (None, "", namespace):
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    if name and metadata.get("name") not in (None, name):
        raise bad_request(f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})")


def check_object(resource: Resource, obj: Obj) -> None:
    """Types (ApiError 400), then name and required fields (ApiError 422); before defaults are filled in."""
    shapes.check(resource, obj)
    problems = [*_name_problems(resource, obj), *_content_problems(resource, obj)]
    if problems:
        raise unprocessable(resource, str(obj["metadata"].get("name") or ""), problems)


def check_change(resource: Resource, old: Obj, new: Obj) -> None:
    """That no immutable field differs (ApiError 422); after defaults are filled in."""
    problems = [
        FieldError.wrong(f"spec.{field}", "object", "field is immutable")
        for field in _IMMUTABLE.get(resource, ())
        if old["spec"].get(field) != new["spec"].get(field)
    ]
    if old.get("immutable") and any(old.get(part) != new.get(part) for part in ("data", "binaryData")):
        problems.append(
            FieldError("data", "FieldValueForbidden", "Forbidden: field is immutable when `immutable` is set")
        )
    if problems:
        raise unprocessable(resource, new["metadata"]["name"], problems)


def _name_problems(resource: Resource, obj: Obj) -> Iterator[FieldError]:
    for index, reference in enumerate(obj["metadata"].get("ownerReferences") or []):
        yield from _required(f"metadata.ownerReferences[{index}]", reference, "apiVersion", "kind", "name", "uid")
    name = obj["metadata"].get("name") or ""
    if not name:
        yield FieldError.required("metadata.name", "name or generateName is required")
    elif resource.group == "rbac.authorization.k8s.io":
        return  # these may be named almost anything, `system:node` for one
    elif len(name) > 253 or not _SUBDOMAIN.fullmatch(name):
        yield FieldError.wrong("metadata.name", name, _SUBDOMAIN_RULE)


def _content_problems(resource: Resource, obj: Obj) -> Iterator[FieldError]:
    spec = obj.get("spec") or {}
    if resource in WITH_TEMPLATE:
        yield from _template_problems(resource, spec)
    elif resource is PODS:
        yield from _pod_problems("spec", spec)
    elif resource is SERVICES and spec.get("type") != "ExternalName" and spec.get("clusterIP") != "None":
        ports = spec.get("ports") or []
        if not ports:
            yield FieldError.required("spec.ports")
        for index, port in enumerate(ports):
            if not port.get("port"):
                yield FieldError.wrong(f"spec.ports[{index}].port", 0, "must be between 1 and 65535, inclusive")


def _template_problems(resource: Resource, spec: Obj) -> Iterator[FieldError]:
    if (spec.get("replicas") or 0) < 0:
        yield FieldError.wrong("spec.replicas", spec["replicas"], "must be greater than or equal to 0")
    template = spec.get("template") or {}
    if resource in WITH_SELECTOR:
        wanted = (spec.get("selector") or {}).get("matchLabels") or {}
        labels = (template.get("metadata") or {}).get("labels") or {}
        if not spec.get("selector"):
            yield FieldError.required("spec.selector")
        elif not wanted.items() <= labels.items():
            yield FieldError.wrong(
                "spec.template.metadata.labels", labels, "`selector` does not match template `labels`"
            )
    pod = template.get("spec") or {}
    yield from _pod_problems("spec.template.spec", pod)
    for index, claim in enumerate(spec.get("volumeClaimTemplates") or []):
        yield from _required(f"spec.volumeClaimTemplates[{index}].metadata", claim.get("metadata") or {}, "name")
    if resource is JOBS and pod.get("restartPolicy") not in ("OnFailure", "Never"):
        yield FieldError.required("spec.template.spec.restartPolicy", 'valid values: "OnFailure", "Never"')


def _pod_problems(path: str, spec: Obj) -> Iterator[FieldError]:
    if not spec.get("containers"):
        yield FieldError.required(f"{path}.containers")
    for field in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(field) or []):
            yield from _required(f"{path}.{field}[{index}]", container, "name", "image")


def _required(path: str, obj: Obj, *fields: str) -> Iterator[FieldError]:
    for field in fields:
        if not obj.get(field):
            yield FieldError.required(f"{path}.{field}")
