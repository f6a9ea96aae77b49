"""Azure Resource Manager over HTTP: who asks, what goes wrong by a fault, and which of the other modules answers."""

from __future__ import annotations

import asyncio
import hmac
import json
import re
import uuid
from datetime import UTC, datetime

from aiohttp import web
from aiohttp.typedefs import Handler

from wizard.sandbox.arm import accounts, endpoints, errors, ids, metadata, resources
from wizard.sandbox.arm.errors import ArmError
from wizard.sandbox.arm.messages import Obj, Reply, Request
from wizard.sandbox.arm.tokens import BadToken, Issuer
from wizard.sandbox.arm.world import Arm
from wizard.sandbox.portal_client import PORTAL_PATH
from wizard.sandbox.trace import Trace

TRACE_NAME = "arm"

_METADATA_PATH = "/metadata/endpoints"
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.I)


def build_app(arm: Arm, issuer: Issuer, *, portal_key: str, trace: Trace | None = None) -> web.Application:
    """The server as a web application.

    It takes the tokens of `issuer`; POST /_portal/register takes the bearer `portal_key` alone, with a body of
    {"subscription_id": …} and, to undo it, "registered": false.
    """
    endpoints.catch_up(arm)
    server = _Server(arm, issuer, portal_key)
    app = web.Application(middlewares=[_errors_as_azure_says_them])
    app.router.add_route("*", "/{path:.*}", server.handle)
    app.on_response_prepare.append(_add_ids)
    if trace:
        trace.attach(app, TRACE_NAME)
    return app


@web.middleware
async def _errors_as_azure_says_them(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ArmError as error:
        return _response(error.reply())


async def _add_ids(request: web.Request, response: web.StreamResponse) -> None:
    """What support asks for: every answer has them, refusals too."""
    answer_id = str(uuid.uuid4())
    response.headers["x-ms-request-id"] = answer_id
    response.headers["x-ms-correlation-request-id"] = request.headers.get("x-ms-correlation-request-id", answer_id)
    response.headers["Cache-Control"] = "no-cache"
    if client_id := request.headers.get("x-ms-client-request-id"):
        response.headers["x-ms-client-request-id"] = client_id


def _response(reply: Reply) -> web.Response:
    if reply.body is None:
        return web.Response(status=reply.status, headers=reply.headers)
    return web.json_response(reply.body, status=reply.status, headers=reply.headers)


class _Server:
    def __init__(self, arm: Arm, issuer: Issuer, portal_key: str) -> None:
        self._arm = arm
        self._issuer = issuer
        self._portal_bearer = f"Bearer {portal_key}".encode()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Any request."""
        base = f"{request.scheme}://{request.host}"
        path = request.path.rstrip("/") or "/"
        if path.lower() == _METADATA_PATH and request.method == "GET":
            return web.json_response(metadata.endpoints(base, self._arm.portal.tenant_id))
        if path == PORTAL_PATH:
            return await self._register(request, base)
        self._authenticate(request, base)
        await asyncio.sleep(self._arm.faults.delay)
        self._arm.faults.refuse(self._authority(base))
        asked = Request(
            method=request.method,
            path=path,
            query={name.lower(): value for name, value in request.query.items()},
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await _body(request),
            base=base,
        )
        if not asked.query.get("api-version"):
            raise errors.missing_api_version()
        try:
            response = _response(self._answer(asked))
        finally:
            self._arm.flush()  # a write acknowledged is a write kept
        if _is_poll(path) and self._arm.faults.cuts_poll():
            return await _cut_off(request, response)
        return response

    def _answer(self, request: Request) -> Reply:
        self._arm.store.settle()
        if reply := accounts.answer(self._arm, request):
            return reply
        target = ids.parse(request.path)
        if target is None:
            raise errors.not_found(request.path)
        return resources.answer(self._arm, request, target)

    def _authority(self, base: str) -> str:
        return f"{base}/{self._arm.portal.tenant_id}"

    def _authenticate(self, request: web.Request, base: str) -> None:
        """Raises ArmError (401) without a token that is this sandbox's, for this server, and not over."""
        authority = self._authority(base)
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise errors.no_token(authority)
        try:
            claims = self._issuer.claims(token.strip())
        except BadToken:
            message = "The access token is invalid."
            raise errors.unauthorized("InvalidAuthenticationToken", message, authority) from None
        if claims["exp"] <= self._arm.store.now():
            since = datetime.fromtimestamp(claims["exp"], UTC).strftime("%m/%d/%Y %H:%M:%S")
            raise errors.expired_token(authority, since)
        audiences = [each.rstrip("/") for each in (base, *metadata.PUBLIC_AUDIENCES)]
        if claims["aud"].rstrip("/") not in audiences:
            message = (
                f"The access token has been obtained for wrong audience or resource '{claims['aud']}'. It should "
                f"exactly match with one of the allowed audiences '{','.join(audiences)}'."
            )
            raise errors.unauthorized("InvalidAuthenticationTokenAudience", message, authority)

    async def _register(self, request: web.Request, base: str) -> web.Response:
        """The vendor's side of step 2."""
        if not hmac.compare_digest(request.headers.get("Authorization", "").encode(), self._portal_bearer):
            raise errors.no_token(self._authority(base))
        if request.method != "POST":
            raise errors.not_allowed(request.method, request.path)
        body = await _body(request)
        subscription = str(body.get("subscription_id", ""))
        if not _GUID.fullmatch(subscription):
            raise errors.bad_format("subscription_id is not the ID of a subscription.")
        registered = bool(body.get("registered", True))
        (self._arm.store.register if registered else self._arm.store.unregister)(subscription)
        endpoints.approve_waiting(self._arm)
        self._arm.flush()
        return web.json_response({"subscription_id": subscription, "registered": registered})


def _is_poll(path: str) -> bool:
    return re.search("/(operations|privateDnsOperationStatuses)/[^/]+$", path, re.I) is not None


async def _body(request: web.Request) -> Obj:
    text = await request.text()
    if not text:
        return {}
    try:
        body = json.loads(text)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise errors.bad_request("InvalidRequestContent", "The request content was invalid and could not be parsed.")
    return body


async def _cut_off(request: web.Request, whole: web.Response) -> web.StreamResponse:
    """Send half of an answer and close the connection."""
    body = whole.body if isinstance(whole.body, bytes) else b""
    response = web.StreamResponse(status=whole.status, headers={"Content-Type": "application/json"})
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport:
        request.transport.close()
    return response
