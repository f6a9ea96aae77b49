"""A managed identity as Azure App Service offers it: whoever runs on this machine and knows a secret gets tokens.

The contract of IDENTITY_ENDPOINT and IDENTITY_HEADER: GET with `api-version`, `resource` and the secret in the header
X-IDENTITY-HEADER. Real ones speak plain http on loopback too.
"""

from __future__ import annotations

import hmac
import time
import uuid
from collections.abc import Callable

from aiohttp import web

from wizard.sandbox.arm.tokens import Issuer
from wizard.sandbox.info import IDENTITY_PATH
from wizard.sandbox.trace import Trace

TRACE_NAME = "identity"

_USER_ASSIGNED = ("client_id", "clientid", "object_id", "principal_id", "mi_res_id", "msi_res_id")


def build_identity_app(
    issuer: Issuer, *, secret: str, clock: Callable[[], float] = time.time, trace: Trace | None = None
) -> web.Application:
    """The endpoint as a web application. `secret` is what X-IDENTITY-HEADER must hold."""

    async def token(request: web.Request) -> web.Response:
        given = request.headers.get("X-IDENTITY-HEADER", "")
        if not hmac.compare_digest(given.encode(), secret.encode()):
            return _refused(401, "The X-IDENTITY-HEADER is missing or wrong.")
        query = {name.lower(): value for name, value in request.query.items()}
        resource = query.get("resource", "")
        if not query.get("api-version") or not resource:
            return _refused(400, "The parameters api-version and resource are needed.")
        if any(query.get(name) for name in _USER_ASSIGNED):
            return _refused(400, "No User Assigned or Delegated Managed Identity found for specified ClientId.")
        access_token, end = issuer.issue(resource, clock())
        body = {
            "access_token": access_token,
            "client_id": issuer.client_id,
            "expires_on": str(end),
            "resource": resource,
            "token_type": "Bearer",
        }
        return web.json_response(body, headers={"Cache-Control": "no-store"})

    app = web.Application()
    app.router.add_get(IDENTITY_PATH, token)
    if trace:
        trace.attach(app, TRACE_NAME)
    return app


def _refused(status: int, message: str) -> web.Response:
    body = {"statusCode": status, "message": message, "correlationId": str(uuid.uuid4())}
    return web.json_response(body, status=status)
