"""A read-only OCI registry that holds the sandbox's chart.

It answers as the OCI distribution specification says (https://github.com/opencontainers/distribution-spec) and words
its errors as CNCF distribution does, so that the real helm says here what it says in front of a real registry
(HELM.md, "Error texts").
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable

from aiohttp import web
from aiohttp.typedefs import Handler

from wizard.sandbox.chart_archive import MANIFEST_TYPE, ChartArchive, digest
from wizard.sandbox.trace import Trace

_CHALLENGE = 'Basic realm="PrivateLink Wizard sandbox"'
_READING = frozenset({"GET", "HEAD"})


class Refusal(Exception):
    """An error as the distribution specification words it, section "Error codes"."""

    def __init__(self, status: int, code: str, message: str, detail: object = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"errors": [{"code": code, "message": message, "detail": detail}]}


class Registry:
    """The charts, by repository. `user` and `token` open it; a token of None opens it to nobody."""

    def __init__(self, charts: Iterable[ChartArchive], *, user: str, token: str | None) -> None:
        self._tags: dict[str, dict[str, ChartArchive]] = {}
        for chart in charts:
            self._tags.setdefault(chart.repository, {})[chart.version] = chart
        self._authorization = None if token is None else f"Basic {_b64(f'{user}:{token}')}"

    def admits(self, authorization: str) -> bool:
        """Whether this `Authorization` header opens the registry."""
        expected = self._authorization
        return expected is not None and hmac.compare_digest(authorization.encode(), expected.encode())

    def repository(self, name: str) -> dict[str, ChartArchive]:
        """The charts of a repository by tag. Raises Refusal when there is none."""
        if name not in self._tags:
            raise Refusal(404, "NAME_UNKNOWN", "repository name not known to registry", {"name": name})
        return self._tags[name]

    def manifest(self, name: str, reference: str) -> bytes:
        """The manifest by tag or digest. An unknown repository has none, as with CNCF distribution 2.8."""
        for tag, chart in self._tags.get(name, {}).items():
            if reference in (tag, chart.digest):
                return chart.manifest
        key = "Digest" if ":" in reference else "Tag"
        raise Refusal(404, "MANIFEST_UNKNOWN", "manifest unknown", {key: reference})

    def blob(self, name: str, wanted: str) -> bytes:
        """A chart's config or content by digest."""
        for chart in self.repository(name).values():
            if wanted in chart.blobs:
                return chart.blobs[wanted]
        raise Refusal(404, "BLOB_UNKNOWN", "blob unknown to registry", {"digest": wanted})


def build_app(registry: Registry, trace: Trace) -> web.Application:
    """The registry as a web application. `trace` records each request, refused ones too."""

    async def version(_request: web.Request) -> web.Response:
        return web.json_response({})

    async def tags(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        return web.json_response({"name": name, "tags": sorted(registry.repository(name))})

    async def manifest(request: web.Request) -> web.Response:
        content = registry.manifest(request.match_info["name"], request.match_info["reference"])
        return _content(content, MANIFEST_TYPE)

    async def blob(request: web.Request) -> web.Response:
        content = registry.blob(request.match_info["name"], request.match_info["digest"])
        return _content(content, "application/octet-stream")

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if not registry.admits(request.headers.get("Authorization", "")):
                raise Refusal(401, "UNAUTHORIZED", "authentication required")
            if request.method not in _READING:
                raise Refusal(405, "UNSUPPORTED", "the sandbox's registry is read-only")
            return await handler(request)
        except Refusal as refusal:
            headers = {"WWW-Authenticate": _CHALLENGE} if refusal.status == 401 else None
            return web.json_response(refusal.body, status=refusal.status, headers=headers)

    app = web.Application(middlewares=[guard])
    app.router.add_get("/v2/", version)
    app.router.add_get("/v2/{name:.+}/tags/list", tags)
    app.router.add_get("/v2/{name:.+}/manifests/{reference}", manifest)
    app.router.add_get("/v2/{name:.+}/blobs/{digest}", blob)
    app.on_response_prepare.append(_say_version)
    trace.attach(app, "registry")
    return app


async def _say_version(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Docker-Distribution-API-Version"] = "registry/2.0"


def _content(content: bytes, content_type: str) -> web.Response:
    headers = {"Docker-Content-Digest": digest(content)}
    return web.Response(body=content, content_type=content_type, headers=headers)


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
