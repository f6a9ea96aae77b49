"""What the server tells about itself: version, groups, resources, and as much OpenAPI as clients look for."""

from __future__ import annotations

from wizard.sandbox.kubernetes.errors import no_such_resource
from wizard.sandbox.kubernetes.resources import GROUP_VERSIONS, RESOURCES, Obj, Resource

VERSION = "v1.34.1"

AGGREGATED = "APIGroupDiscoveryList"
AGGREGATED_TYPE = f"application/json;g=apidiscovery.k8s.io;v=v2;as={AGGREGATED}"

_SUBRESOURCE_VERBS = {"log": ("get",), "finalize": ("update",), "exec": ("create", "get")}


def version() -> Obj:
    """GET /version."""
    major, minor, _ = VERSION.removeprefix("v").split(".")
    return {
        "major": major,
        "minor": minor,
        "gitVersion": VERSION,
        "gitCommit": "0" * 40,
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "go1.24",
        "compiler": "gc",
        "platform": "linux/amd64",
    }


def core_versions() -> Obj:
    """GET /api."""
    return {"kind": "APIVersions", "apiVersion": "v1", "versions": ["v1"], "serverAddressByClientCIDRs": []}


def groups() -> Obj:
    """GET /apis."""
    names = [group_version.partition("/")[0] for group_version in GROUP_VERSIONS if "/" in group_version]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(name) for name in names]}


def group(name: str) -> Obj:
    """GET /apis/GROUP; raises ApiError (404)."""
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name)}


def _group(name: str) -> Obj:
    versions = [
        {"groupVersion": group_version, "version": group_version.partition("/")[2]}
        for group_version in GROUP_VERSIONS
        if group_version.startswith(f"{name}/")
    ]
    if not versions:
        raise no_such_resource()
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def _resources_of(group_version: str) -> list[Resource]:
    found = [resource for resource in RESOURCES if resource.group_version == group_version]
    if not found:
        raise no_such_resource()
    return found


def _subresource_verbs(name: str) -> list[str]:
    return list(_SUBRESOURCE_VERBS.get(name, ("get", "patch", "update")))


def _response_kind(resource: Resource, subresource: str) -> Obj:
    if subresource == "scale":
        return {"group": "autoscaling", "version": "v1", "kind": "Scale"}
    if subresource == "exec":
        return {"group": "", "version": "v1", "kind": "PodExecOptions"}
    return {"group": resource.group, "version": resource.version, "kind": resource.kind}


def resources(group_version: str) -> Obj:
    """GET /api/v1 and /apis/GROUP/VERSION; raises ApiError (404)."""
    rows: list[Obj] = []
    for resource in _resources_of(group_version):
        common = {"namespaced": resource.namespaced, "singularName": resource.kind.lower()}
        row = {"name": resource.plural, "kind": resource.kind, "verbs": list(resource.verbs), **common}
        rows.append({**row, "shortNames": list(resource.short_names)})
        for name in resource.subresources:
            sub = {**_response_kind(resource, name), "verbs": _subresource_verbs(name)}
            rows.append({"name": f"{resource.plural}/{name}", **sub, **common, "singularName": ""})
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": rows}


def aggregated(*, core: bool) -> Obj:
    """GET /api (`core`) and /apis in the form that lists everything in one reply."""
    items: list[Obj] = []
    for group_version in GROUP_VERSIONS:
        name, _, version_name = group_version.rpartition("/")
        if core == (name == ""):
            rows = [_aggregated_row(resource) for resource in _resources_of(group_version)]
            versions = [{"version": version_name, "resources": rows, "freshness": "Current"}]
            items.append({"metadata": {"name": name} if name else {}, "versions": versions})
    return {"kind": AGGREGATED, "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


def _aggregated_row(resource: Resource) -> Obj:
    return {
        "resource": resource.plural,
        "responseKind": _response_kind(resource, ""),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.kind.lower(),
        "verbs": list(resource.verbs),
        "shortNames": list(resource.short_names),
        "subresources": [
            {"subresource": name, "responseKind": _response_kind(resource, name), "verbs": _subresource_verbs(name)}
            for name in resource.subresources
        ],
    }


def _api_path(group_version: str) -> str:
    return f"{'apis' if '/' in group_version else 'api'}/{group_version}"


def openapi_index() -> Obj:
    """GET /openapi/v3."""
    paths = {_api_path(each): {"serverRelativeURL": f"/openapi/v3/{_api_path(each)}?hash=0"} for each in GROUP_VERSIONS}
    return {"paths": paths}


def openapi(group_version: str) -> Obj:
    """GET /openapi/v3/api/v1 and the like; raises ApiError (404).

    No schemas. It is there for one thing: helm and kubectl read here that writes take `fieldValidation`, so that they
    leave validation to the server; without it they refuse to send anything.
    """
    parameters = [
        {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
        for name in ("dryRun", "fieldManager", "fieldValidation")
    ]
    paths: Obj = {}
    for resource in _resources_of(group_version):
        kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}

        def write(method: str, kind: Obj = kind) -> Obj:
            about = {"x-kubernetes-action": method, "x-kubernetes-group-version-kind": kind}
            return {"parameters": parameters, "responses": {}, **about}

        namespace = "/namespaces/{namespace}" if resource.namespaced else ""
        collection = f"/{_api_path(group_version)}{namespace}/{resource.plural}"
        paths[collection] = {"post": write("post")}
        paths[f"{collection}/{{name}}"] = {"put": write("put"), "patch": write("patch")}
    info = {"title": "Kubernetes", "version": VERSION}
    return {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": {}}}
