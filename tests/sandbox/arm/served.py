"""The sandbox's Azure, served in this process for the real SDK clients."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from ssl import create_default_context
from typing import Any

import pytest
from aiohttp import web
from azure.core.credentials import TokenCredential
from azure.core.exceptions import HttpResponseError
from azure.identity import ManagedIdentityCredential
from azure.mgmt.network import NetworkManagementClient, models
from azure.mgmt.privatedns import PrivateDnsManagementClient

from wizard.adapters.azure_asking import Target
from wizard.sandbox import ca
from wizard.sandbox.arm import Arm, build_app, build_identity_app
from wizard.sandbox.arm.timing import Timing
from wizard.sandbox.arm.tokens import Issuer
from wizard.sandbox.info import IDENTITY_PATH
from wizard.sandbox.portal import Portal, invent
from wizard.sandbox.trace import Trace
from wizard.sandbox.workdir import WorkDir

SECRET, PORTAL_KEY = "the-identity-header", "the-portal-key"
FAST = Timing(endpoint=0.4, zone=0.3, later=0.3)
DEADLINE = 20.0
API = "?api-version=2016-06-01"


@dataclass(frozen=True)
class Answer:
    """A reply, whatever its status."""

    status: int
    body: Any
    headers: Any


class Azure:
    """A tenant that answers, and the real clients to ask it."""

    def __init__(self, arm: Arm, work: WorkDir, url: str, identity_endpoint: str, issuer: Issuer) -> None:
        self.arm, self.work, self.url, self.issuer = arm, work, url, issuer
        self.identity_endpoint = identity_endpoint
        self.portal: Portal = arm.portal

    @property
    def group(self) -> str:
        return self.portal.resource_group

    def credential(self) -> TokenCredential:
        """As App Service would be found; the environment is set by `azure`."""
        return ManagedIdentityCredential()

    def network(self) -> NetworkManagementClient:
        return NetworkManagementClient(self.credential(), self.portal.subscription_id, **self._where())

    def dns(self) -> PrivateDnsManagementClient:
        return PrivateDnsManagementClient(self.credential(), self.portal.subscription_id, **self._where())

    def target(self) -> Target:
        """For the adapter."""
        return Target(
            identity="managed",
            arm_url=self.url,
            identity_endpoint=self.identity_endpoint,
            identity_header=SECRET,
            ca_file=str(self.work.ca),
        )

    def _where(self) -> dict[str, Any]:
        return {
            "base_url": self.url,
            "credential_scopes": [f"{self.url}/.default"],
            "connection_verify": str(self.work.ca),
            "polling_interval": 0.1,
        }

    def token(self) -> str:
        return self.issuer.issue(self.url, time.time())[0]

    def call(self, method: str, path: str, body: Any = None, *, token: str | None = None, api: str = API) -> Answer:
        """A request without any SDK. `token` "" is none, None a good one."""
        token = self.token() if token is None else token
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}{api}", data, headers, method=method)
        context = create_default_context(cafile=str(self.work.ca))
        try:
            with urllib.request.urlopen(request, context=context, timeout=DEADLINE) as reply:
                return _answer(reply.status, reply.read(), reply.headers)
        except urllib.error.HTTPError as error:
            return _answer(error.code, error.read(), error.headers)

    def create_endpoint(self, name: str = "pe-dpe-weu", **changed: Any) -> models.PrivateEndpoint:
        """Create an endpoint as the wizard does, and wait for it."""
        made: models.PrivateEndpoint = self.begin_endpoint(name, **changed).result(DEADLINE)
        return made

    def begin_endpoint(self, name: str = "pe-dpe-weu", *, service: str | None = None, **changed: Any) -> Any:
        wanted: dict[str, Any] = {
            "location": self.portal.location,
            "subnet": models.Subnet(id=self.portal.subnet_id),
            "manual_private_link_service_connections": [connection_to(service or self.portal.alias)],
            "custom_network_interface_name": f"nic-{name}",
            **changed,
        }
        return self.network().private_endpoints.begin_create_or_update(
            self.group, name, models.PrivateEndpoint(**wanted)
        )

    def trace(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.work.trace.read_text().splitlines()]


def _answer(status: int, body: bytes, headers: Any) -> Answer:
    return Answer(status, json.loads(body) if body else None, headers)


@contextlib.contextmanager
def served(
    directory: Path,
    *faults: str,
    portal: Portal | None = None,
    timing: Timing = FAST,
    clock: Callable[[], float] = time.time,
    state: Path | None = None,
) -> Iterator[Azure]:
    """Serve in a thread while the block runs."""
    work = WorkDir(directory)
    ca.ensure(work)
    portal = portal or invent()
    issuer = Issuer("the-key", portal.tenant_id, "0b1ec700-0000-4000-8000-000000000000", "c11e4700")
    arm = Arm(
        portal,
        object_id=issuer.object_id,
        faults=frozenset(faults),
        timing=timing,
        clock=clock,
        state_path=state,
    )
    trace = Trace(work.trace)
    apps = (
        (build_app(arm, issuer, portal_key=PORTAL_KEY, trace=trace), ca.server_context(work)),
        (
            build_identity_app(issuer, secret=SECRET, trace=trace),
            None,
        ),
    )
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def run(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(DEADLINE)

    runners, addresses = [], []
    try:
        for app, context in apps:
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
            run(runner.setup())
            runners.append(runner)
            run(web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start())
            addresses.append(f"127.0.0.1:{runner.addresses[0][1]}")
        yield Azure(arm, work, f"https://{addresses[0]}", f"http://{addresses[1]}{IDENTITY_PATH}", issuer)
    finally:
        for runner in runners:
            run(runner.cleanup())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(DEADLINE)
        loop.close()
        trace.close()


@contextlib.contextmanager
def refused(code: str, status: int | None = None) -> Iterator[None]:
    """Azure's error code, which is what clients branch on."""
    with pytest.raises(HttpResponseError) as caught:
        yield
    assert caught.value.error is not None, caught.value
    assert caught.value.error.code == code
    if status is not None:
        assert caught.value.status_code == status


def until(condition: Callable[[], Any]) -> Any:
    """The first true value of `condition`."""
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("it never happened")


def connection_to(service: str, message: str = "please") -> models.PrivateLinkServiceConnection:
    """A wish to be connected to a service."""
    wish: dict[str, Any] = {"name": "dpe", "private_link_service_id": service, "request_message": message}
    return models.PrivateLinkServiceConnection(**wish)


def connection(endpoint: models.PrivateEndpoint) -> str:
    """The connection state of an endpoint."""
    (only,) = endpoint.manual_private_link_service_connections or []
    assert only.private_link_service_connection_state is not None
    return str(only.private_link_service_connection_state.status)
