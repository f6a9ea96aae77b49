"""A small ARM over TLS, and an identity endpoint, that say whatever a test wants: for the answers of a hostile one."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import secrets
import threading
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from wizard.adapters.azure_asking import Target
from wizard.azure import AzureIdentity
from wizard.sandbox import ca
from wizard.sandbox.workdir import WorkDir

TENANT = "0f4a2b6c-1d3e-4f5a-8b7c-9d0e1f2a3b4c"
OBJECT = "5b1c0a9e-7d2f-4a3b-9c8d-1e2f3a4b5c6d"
ME = AzureIdentity(TENANT, OBJECT)
SUBSCRIPTION = "11111111-2222-4333-8444-555555555555"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-dpe"
NETWORK = f"{GROUP}/providers/Microsoft.Network"
LOCATIONS = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Network/locations"


@dataclass(frozen=True)
class Reply:
    """What is answered: `body` is JSON unless it is bytes."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Answer = Reply | Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Seen:
    """A request as it came."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


class ArmStub:
    """Answers on loopback, from a thread of its own, until `close`. Paths have no case."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, exist_ok=True)
        self._work = WorkDir(directory)
        ca.ensure(self._work)
        self.ca_file = str(self._work.ca)
        self.header = secrets.token_hex(8)
        self.claims: dict[str, Any] = {"tid": TENANT, "oid": OBJECT, "upn": "jane@example.com"}
        self.identity_answer: Answer | None = None
        """What the identity endpoint says instead of a token."""
        self.seen: list[Seen] = []
        self.connections: set[object] = set()
        self._answers: dict[tuple[str, str], list[Answer]] = defaultdict(list)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)

    def on(self, method: str, path: str, *answers: Answer) -> None:
        """Answer so: one after the other, the last for ever. The path is without the query."""
        self._answers[method, path.lower()] = list(answers)

    def target(self, **changed: Any) -> Target:
        """This server, with the identity of its endpoint."""
        given: dict[str, Any] = {
            "identity": "managed",
            "arm_url": self.url,
            "identity_endpoint": self.identity_endpoint,
            "identity_header": self.header,
            "ca_file": self.ca_file,
        }
        return Target(**{**given, **changed})

    def asked(self, method: str = "GET") -> list[str]:
        """The paths that were asked for."""
        return [one.path for one in self.seen if one.method == method]

    def token(self) -> str:
        """An access token with this server's claims, as of now."""
        parts = ({"alg": "none", "nonce": secrets.token_hex(4)}, {**self.claims, "exp": int(time.time()) + 3600})
        return (
            ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts) + "."
        )

    def close(self) -> None:
        """End."""
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self) -> None:
        arm, entra = web.Application(), web.Application()
        arm.router.add_route("*", "/{path:.*}", self._arm)
        entra.router.add_get("/msi/token", self._identity)
        self._runners = [web.AppRunner(app, access_log=None, shutdown_timeout=0.1) for app in (arm, entra)]
        for runner, context in zip(self._runners, (ca.server_context(self._work), None), strict=True):
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        self.port, identity_port = (runner.addresses[0][1] for runner in self._runners)
        self.url = f"https://127.0.0.1:{self.port}"
        self.identity_endpoint = f"http://127.0.0.1:{identity_port}/msi/token"

    async def _stop(self) -> None:
        for runner in self._runners:
            await runner.cleanup()

    async def _identity(self, request: web.Request) -> web.StreamResponse:
        if self.identity_answer is not None:
            given = self.identity_answer
            return _response(given) if isinstance(given, Reply) else await given(request)
        if request.headers.get("X-IDENTITY-HEADER") != self.header:
            return web.json_response({"statusCode": 401, "message": "no"}, status=401)
        expires = int(time.time()) + 3600
        resource = request.query["resource"]
        return web.json_response(
            {"access_token": self.token(), "expires_on": str(expires), "resource": resource, "token_type": "Bearer"}
        )

    async def _arm(self, request: web.Request) -> web.StreamResponse:
        content = await request.read()
        try:
            body = json.loads(content) if content else None
        except ValueError:  # a form, as for a sign-in
            body = content.decode()
        self.connections.add(request.transport)
        self.seen.append(Seen(request.method, request.path, dict(request.query), dict(request.headers), body))
        left = self._answers.get((request.method, request.path.lower()))
        if not left:
            return _response(not_found())
        answer = left.pop(0) if len(left) > 1 else left[0]
        return _response(answer) if isinstance(answer, Reply) else await answer(request)


def _response(reply: Reply) -> web.Response:
    body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
    headers = {"Content-Type": "application/json", "x-ms-correlation-request-id": "c0ffee", **reply.headers}
    return web.Response(body=body, status=reply.status, headers=headers)


@contextlib.contextmanager
def arm_stub(directory: Path) -> Iterator[ArmStub]:
    """A stub for as long as the block lasts."""
    stub = ArmStub(directory)
    try:
        yield stub
    finally:
        stub.close()


def page(*items: Any, following: Any = None) -> Reply:
    """A page of a list."""
    return Reply({"value": list(items), **({"nextLink": following} if following is not None else {})})


def error(code: str, message: str = "It went wrong.", *, status: int = 400, **headers: str) -> Reply:
    """An error as ARM answers it; `Retry_After="3"` is a header."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply({"error": {"code": code, "message": message, "details": []}}, status, named)


def not_found() -> Reply:
    """A resource that is not there."""
    return error("ResourceNotFound", "The Resource was not found.", status=404)


def endpoint(name: str, *, status: str = "Approved", nic: str | None = None, **properties: Any) -> dict[str, Any]:
    """A Private Endpoint as ARM shows it; its interface is `nic`."""
    connection = {
        "name": name,
        "properties": {
            "privateLinkServiceId": "pls.0f4a2b6c-1d3e-4f5a-8b7c-9d0e1f2a3b4c.eastus.azure.privatelinkservice",
            "privateLinkServiceConnectionState": {"status": status, "description": "Auto Approved"},
        },
    }
    return {
        "id": f"{NETWORK}/privateEndpoints/{name}",
        "name": name,
        "location": "eastus",
        "properties": {
            "provisioningState": "Succeeded",
            "privateLinkServiceConnections": [],
            "manualPrivateLinkServiceConnections": [connection],
            "subnet": {"id": f"{NETWORK}/virtualNetworks/v/subnets/s"},
            "networkInterfaces": [{"id": f"{NETWORK}/networkInterfaces/{nic or f'{name}-nic'}"}],
            **properties,
        },
    }


def interface(name: str, *addresses: str) -> dict[str, Any]:
    """A network interface as ARM shows it."""
    configurations = [{"name": "ip", "properties": {"privateIPAddress": address}} for address in addresses]
    return {
        "id": f"{NETWORK}/networkInterfaces/{name}",
        "name": name,
        "properties": {"ipConfigurations": configurations},
    }
