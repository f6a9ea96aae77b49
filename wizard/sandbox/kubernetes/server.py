"""The Kubernetes API over HTTP.

Who asks, what about, and which of the other modules answers. Everything wants the bearer.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from wizard.sandbox.faults import NO_EXEC_TOOLS, PODS_NEVER_READY, SLOW_PODS
from wizard.sandbox.kubernetes import (
    bodies,
    discovery,
    exec_socket,
    lists,
    logs,
    patches,
    paths,
    shapes,
    tables,
    validation,
)
from wizard.sandbox.kubernetes.access import Access, denials_for
from wizard.sandbox.kubernetes.api import KubernetesApi
from wizard.sandbox.kubernetes.errors import (
    ApiError,
    bad_request,
    method_not_allowed,
    no_such_resource,
    unauthorized,
    unsupported_media_type,
)
from wizard.sandbox.kubernetes.objects import key_of
from wizard.sandbox.kubernetes.paths import Target
from wizard.sandbox.kubernetes.programs import Names, NoNames, Programs
from wizard.sandbox.kubernetes.resources import JOBS, PODS, Obj, Resource
from wizard.sandbox.kubernetes.watch import Watches
from wizard.sandbox.trace import Trace

TRACE_NAME = "kubernetes"

_HEALTH = ("/healthz", "/livez", "/readyz")
SLOW_READY_AFTER = 8.0  # seconds until a pod is ready under the fault `slow-pods`
_LARGEST_BODY = 8 * 1024 * 1024  # bytes; a real server takes 3 MiB

_ObjectHandler = Callable[[web.Request, Target], Awaitable[web.StreamResponse]]


def build_app(
    api: KubernetesApi,
    *,
    token: str,
    user: str = "sandbox-admin",
    names: Names | None = None,
    faults: frozenset[str] = frozenset(),
    trace: Trace | None = None,
) -> web.Application:
    """The API as a web application; it starts and stops `api`'s controllers with itself.

    `token` is the one bearer accepted, `user` who that is; `names` is what pods resolve, None for a DNS without names.
    Of `faults` it knows `forbidden`, `pods-never-ready`, `slow-pods`, `exec-forbidden`, `no-exec-tools` and
    `pod-delete-forbidden`.
    """
    programs = Programs(names or NoNames(), missing=NO_EXEC_TOOLS in faults)
    server = _Server(api, Access(user, denials_for(faults)), token, programs)
    api.controllers.kubelet.pull_fails = PODS_NEVER_READY in faults
    if SLOW_PODS in faults:
        api.controllers.kubelet.ready_after = SLOW_READY_AFTER
    app = web.Application(client_max_size=_LARGEST_BODY, middlewares=[_errors_as_status, server.require_bearer])
    app.router.add_route("*", "/{path:.*}", server.handle)

    async def start(_: web.Application) -> None:
        api.start()

    async def end_watches(_: web.Application) -> None:
        server.watches.end()

    async def stop(_: web.Application) -> None:
        api.stop()

    app.on_startup.append(start)
    app.on_shutdown.append(end_watches)
    app.on_cleanup.append(stop)
    if trace:
        trace.attach(app, TRACE_NAME)
    return app


@web.middleware
async def _errors_as_status(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ApiError as error:
        return _json(error.status(), error.code)


def _json(body: Obj, status: int = 200) -> web.Response:
    return web.Response(text=json.dumps(body, separators=(",", ":")), status=status, content_type="application/json")


class _Server:
    """Handles requests to `api` made with the bearer `token` by the user of `access`."""

    def __init__(self, api: KubernetesApi, access: Access, token: str, programs: Programs) -> None:
        self.watches = Watches(api.objects.store)
        self._api = api
        self._objects = api.objects
        self._access = access
        self._bearer = f"Bearer {token}".encode()
        self._programs = programs
        # Parts of objects that are served, besides `status` and `finalize`, which are written like the object itself.
        self._subresources: dict[str, _ObjectHandler] = {"log": self._log, "scale": self._scale, "exec": self._exec}

    @property
    def require_bearer(self) -> Middleware:
        """Middleware that turns away everyone else."""

        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            shown = request.headers.get("Authorization", "").encode()
            if not hmac.compare_digest(shown, self._bearer):
                raise unauthorized()
            return await handler(request)

        return check

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Any request: about the server itself, or about a resource."""
        if request.path in _HEALTH:
            return web.Response(text="ok")
        if about := self._about(request):
            return about
        target = paths.parse(request.path)
        if target is None:
            raise no_such_resource()
        if target.subresource and target.subresource not in target.resource.subresources:
            raise no_such_resource()
        self._access.check(_verb(request, target), target.resource, target.subresource, target.namespace, target.name)
        try:
            if handler := self._subresources.get(target.subresource):
                return await handler(request, target)
            if target.name:
                return await self._one(request, target)
            return await self._many(request, target)
        finally:
            # A write acknowledged is a write kept.
            if request.method != "GET":
                self._api.flush()

    def _about(self, request: web.Request) -> web.Response | None:
        """Version, discovery and OpenAPI; None when the request is about something else."""
        parts = request.path.strip("/").split("/")
        aggregated = discovery.AGGREGATED in request.headers.get("Accept", "")
        match parts:
            case ["version"]:
                return _json(discovery.version())
            case ["api" | "apis" as root] if aggregated:
                text = json.dumps(discovery.aggregated(core=root == "api"))
                return web.Response(text=text, headers={"Content-Type": discovery.AGGREGATED_TYPE})
            case ["api"]:
                return _json(discovery.core_versions())
            case ["apis"]:
                return _json(discovery.groups())
            case ["apis", group]:
                return _json(discovery.group(group))
            case ["api", version]:
                return _json(discovery.resources(version))
            case ["apis", group, version]:
                return _json(discovery.resources(f"{group}/{version}"))
            case ["openapi", "v3"]:
                return _json(discovery.openapi_index())
            case ["openapi", "v3", "api" | "apis", *group_version]:
                return _json(discovery.openapi("/".join(group_version)))
        return None

    async def _many(self, request: web.Request, target: Target) -> web.StreamResponse:
        if request.method == "GET":
            if _is_watch(request):
                return await self.watches.serve(request, target, as_table=_wants_table(request))
            found = lists.page(self._objects.store, target, request.query)
            if _wants_table(request):
                return _json(tables.table(target.resource, found.items, found.metadata))
            about = {"kind": f"{target.resource.kind}List", "apiVersion": target.resource.group_version}
            return _json({**about, "metadata": found.metadata, "items": found.items})
        if target.resource.namespaced and not target.namespace:
            raise method_not_allowed()
        if request.method == "POST":
            body = await bodies.read_object(request)
            if target.resource.is_review:
                return self._review(target.resource, body)
            dry_run = _is_dry_run(request.query.getall("dryRun", []))
            return _json(self._objects.create(target.resource, target.namespace, body, dry_run=dry_run), 201)
        if request.method == "DELETE":
            options = await bodies.read_object(request)
            options.pop("preconditions", None)  # of one object, not of many
            for obj in lists.selected(self._objects.store, target, request.query):
                key = key_of(target.resource, obj)
                if key in self._objects.store:  # else it went with one before it
                    self._objects.delete(key, options, dry_run=_is_dry_run(options.get("dryRun") or []))
            return _json({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"})
        raise method_not_allowed()

    def _review(self, resource: Resource, body: Obj) -> web.Response:
        validation.check_request(resource, "", "", body)
        about = {"apiVersion": resource.group_version, "kind": resource.kind}
        review: Obj = {"metadata": {}, **shapes.without_nulls(body), **about}
        shapes.check(resource, review)
        return _json({**review, "status": self._access.answer(review)}, 201)

    async def _one(self, request: web.Request, target: Target) -> web.StreamResponse:
        if request.method == "GET":
            obj = self._objects.get(target.key)
            if _wants_table(request):
                version = {"resourceVersion": obj["metadata"]["resourceVersion"]}
                return _json(tables.table(target.resource, [obj], version))
            return _json(obj)
        dry_run = _is_dry_run(request.query.getall("dryRun", []))
        if request.method == "PUT":
            body = await bodies.read_object(request)
            return _json(self._write(target)(target.key, body, dry_run=dry_run))
        if request.method == "PATCH":
            return await self._patch(request, target, dry_run=dry_run)
        if request.method == "DELETE" and not target.subresource:
            return await self._delete(request, target)
        raise method_not_allowed()

    def _write(self, target: Target) -> Callable[..., Obj]:
        return self._objects.update_status if target.subresource == "status" else self._objects.update

    async def _patch(self, request: web.Request, target: Target, *, dry_run: bool) -> web.Response:
        patch = await bodies.read(request)
        if request.content_type == bodies.APPLY_PATCH:
            manager = request.query.get("fieldManager", "")
            if not manager:
                raise bad_request("PatchOptions.meta.k8s.io is invalid: fieldManager: Required value")
            applied, created = self._objects.apply(target.key, manager, patch, target.subresource, dry_run=dry_run)
            return _json(applied, 201 if created else 200)
        old = self._objects.get(target.key)
        if isinstance(patch, dict):
            validation.check_request(target.resource, target.namespace, target.name, patch)
        new = _patched(request.content_type, old, patch)
        says_version = isinstance(patch, dict) and "resourceVersion" in (patch.get("metadata") or {})
        if not says_version and isinstance(new.get("metadata"), dict):
            # Only a patch that names a version is meant for that version alone.
            new["metadata"] = {name: each for name, each in new["metadata"].items() if name != "resourceVersion"}
        return _json(self._write(target)(target.key, new, dry_run=dry_run))

    async def _delete(self, request: web.Request, target: Target) -> web.Response:
        options = await bodies.read_object(request)
        if "propagationPolicy" in request.query:
            options.setdefault("propagationPolicy", request.query["propagationPolicy"])
        elif target.resource is JOBS:
            options.setdefault("propagationPolicy", "Orphan")  # batch/v1's old default, kept by real servers
        dry_run = _is_dry_run([*(options.get("dryRun") or []), *request.query.getall("dryRun", [])])
        last = self._objects.delete(target.key, options, dry_run=dry_run)
        if target.key in self._objects.store and not dry_run:
            return _json(last)  # waits for its finalizers
        details = {"name": target.name, "kind": target.resource.plural, "uid": last["metadata"]["uid"]}
        if target.resource.group:
            details["group"] = target.resource.group
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
        return _json(status)

    async def _log(self, request: web.Request, target: Target) -> web.StreamResponse:
        if request.method != "GET" or target.resource is not PODS:
            raise method_not_allowed()
        return web.Response(text=logs.log(self._objects.get(target.key), request.query, self._programs))

    async def _exec(self, request: web.Request, target: Target) -> web.StreamResponse:
        # A WebSocket begins as a GET; since 1.35 a server wants the verb that does not merely look all the same.
        self._access.check("create", target.resource, target.subresource, target.namespace, target.name)
        return await exec_socket.serve(request, self._objects.get(target.key), self._programs)

    async def _scale(self, request: web.Request, target: Target) -> web.StreamResponse:
        scale = _scale_of(self._objects.get(target.key))
        if request.method == "GET":
            return _json(scale)
        if request.method not in ("PUT", "PATCH"):
            raise method_not_allowed()
        body = await bodies.read(request)
        wanted = _patched(request.content_type, scale, body) if request.method == "PATCH" else body
        try:
            replicas = wanted["spec"].get("replicas", 0)
        except (KeyError, TypeError, AttributeError) as error:
            raise bad_request("the object provided is unrecognized (must be of type Scale)") from error
        dry_run = _is_dry_run(request.query.getall("dryRun", []))
        return _json(_scale_of(self._objects.scale(target.key, replicas, dry_run=dry_run)))


def _verb(request: web.Request, target: Target) -> str:
    """The verb of the request, as access rules name it."""
    if request.method in ("GET", "HEAD"):
        if target.name:
            return "get"
        return "watch" if _is_watch(request) else "list"
    if request.method == "DELETE":
        return "delete" if target.name else "deletecollection"
    return {"POST": "create", "PUT": "update", "PATCH": "patch"}.get(request.method, request.method.lower())


def _is_watch(request: web.Request) -> bool:
    return request.query.get("watch", "").lower() in ("1", "true")


def _wants_table(request: web.Request) -> bool:
    return "as=Table" in request.headers.get("Accept", "")


def _is_dry_run(asked: list[str]) -> bool:
    return "All" in asked


def _patched(content_type: str, old: Obj, patch: object) -> Obj:
    if content_type == bodies.JSON_PATCH:
        if not isinstance(patch, list):
            raise bad_request("a JSON patch is a list of operations")
        return patches.json_patch(old, patch)
    if not isinstance(patch, dict):
        raise bad_request("the patch is no JSON object")
    if content_type == bodies.MERGE_PATCH:
        merged: Obj = patches.merge(old, patch)
        return merged
    if content_type == bodies.STRATEGIC_PATCH:
        strategic: Obj = patches.strategic_merge(old, patch)
        return strategic
    raise unsupported_media_type(f"the body of the request was in an unknown format: {content_type}")


def _scale_of(obj: Obj) -> Obj:
    kept = {name: obj["metadata"][name] for name in ("name", "namespace", "uid", "resourceVersion")}
    selector = (obj["spec"].get("selector") or {}).get("matchLabels") or {}
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {**kept, "creationTimestamp": obj["metadata"]["creationTimestamp"]},
        "spec": {"replicas": obj["spec"]["replicas"]},
        "status": {
            "replicas": (obj.get("status") or {}).get("replicas", 0),
            "selector": ",".join(f"{name}={value}" for name, value in selector.items()),
        },
    }
