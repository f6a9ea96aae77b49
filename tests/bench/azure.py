"""Plans and lists beside the raw calls: the same requests by plain azure-mgmt clients, warm, one after the other."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.bench.measure import Pairs, Row, child_env, in_turn, seconds
from tests.wizard.engine import DNS, ENDPOINT, attest_until, fill, opened
from wizard.adapters import azure as adapter
from wizard.adapters.azure import AzureLooker, Target
from wizard.adapters.azure_acting import AzureActor
from wizard.adapters.sdk_process import SdkProcess
from wizard.guide import ItemStep
from wizard.ports import Readers, Writers
from wizard.session import Session

PAIRS, LIMIT = 9, 3.0
AWAY = 0.1
"""Seconds that an answer of the real Azure takes, and more."""


def rows(directory: Path) -> Iterator[Row]:
    """How long planning and listing takes where Azure is on this machine, and where it is as far away as it is."""
    for what, latency in (("", 0.0), (f", {AWAY * 1000:.0f} ms away", AWAY)):
        where = directory / f"azure-{latency}"
        where.mkdir(mode=0o700)
        with _server(where, latency) as facts, asyncio.Runner() as runner:
            yield from _rows(what, facts, where, runner)


def _rows(what: str, facts: dict[str, Any], where: Path, runner: asyncio.Runner) -> Iterator[Row]:
    raw, ours = _Raw(facts), _Ours(facts, where)

    def plan(place: ItemStep) -> Callable[[], None]:
        return lambda: runner.run(ours.plan(place))

    async def start() -> None:
        ours.start()

    runner.run(start())
    try:
        yield _row(f"plan of step 3{what}", in_turn(raw.plan_endpoint, plan(ENDPOINT), PAIRS, limit=LIMIT))
        runner.run(ours.make_endpoint())
        yield _row(f"plan of step 5{what}", in_turn(raw.plan_dns, plan(DNS), PAIRS, limit=LIMIT))
        listing = in_turn(raw.endpoints, lambda: runner.run(ours.endpoints()), PAIRS, limit=LIMIT)
        yield _row(f"200 endpoints in 4 subscriptions{what}", listing)
    finally:
        runner.run(ours.close())


def _row(what: str, pairs: Pairs) -> Row:
    one, other = pairs.medians
    return Row(what, seconds(one), seconds(other), f"{pairs.ratio:.2f} ×", "–")


@contextmanager
def _server(directory: Path, latency: float) -> Iterator[dict[str, Any]]:
    command = [sys.executable, "-m", "tests.bench.azure_server", str(directory), str(latency)]
    with subprocess.Popen(command, env=child_env(), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            yield json.loads(server.stdout.readline())
        finally:
            server.stdin.close()


class _Ours:
    """A setup of the wizard's, and its looks in their child."""

    def __init__(self, facts: dict[str, Any], where: Path) -> None:
        self._facts, self._where = facts, where

    def start(self) -> None:
        """Belongs to the running loop from now on."""
        self._process = SdkProcess(adapter.MODULES, at_once=adapter.AT_ONCE)
        target = Target(**self._facts["target"])
        self._looker = AzureLooker(target, self._process)
        writers = Writers(azure=AzureActor(target, self._process))
        self._session = session = fill(opened(self._where, Readers(azure=self._looker), writers))
        facts = self._facts
        for item, key, value in (
            ("subscription/main", "subscription_id", facts["subscription"]),
            ("endpoint/pe-weu", "link_service", facts["alias"]),
            ("endpoint/pe-weu", "resource_group", facts["group"]),
            ("endpoint/pe-weu", "subnet", facts["subnet"]),
            ("endpoint/pe-weu", "endpoint_id", _network(facts) + "/privateEndpoints/pe-weu"),
            ("dpe/dpe-01", "dpm_host", facts["hosts"][0]),
            ("dpe/dpe-01", "minio_host", facts["hosts"][1]),
        ):
            session.set_field(item, key, value)
        attest_until(session, "register")

    async def plan(self, place: ItemStep) -> None:
        """Reads what there is to do."""
        plan = await self._session.plan(place)
        assert not plan.empty

    async def make_endpoint(self) -> None:
        """Does step 3, and confirms step 4."""
        session: Session = self._session
        await session.apply(ENDPOINT, await session.plan(ENDPOINT), lambda _: None)
        await session.look(ENDPOINT, closes=True)
        attest_until(session, "resource-id")

    async def endpoints(self) -> None:
        """All endpoints of all subscriptions, as they are offered."""
        found = await asyncio.gather(*map(self._looker.endpoints, self._facts["subscriptions"]))
        assert sum(map(len, found)) == 200

    async def close(self) -> None:
        """Ends the child."""
        await self._process.close()


class _Raw:
    """The same requests by the SDKs alone, in this process."""

    def __init__(self, facts: dict[str, Any]) -> None:
        from azure.identity import ManagedIdentityCredential

        target = facts["target"]
        os.environ.update(IDENTITY_ENDPOINT=target["identity_endpoint"], IDENTITY_HEADER=target["identity_header"])
        self._facts, self._credential = facts, ManagedIdentityCredential()
        self._options = {"base_url": target["arm_url"], "connection_verify": target["ca_file"]}
        self._options["credential_scopes"] = [f"{target['arm_url']}/.default"]
        self._clients: dict[str, Any] = {}

    def plan_endpoint(self) -> None:
        """What planning step 3 asks where there is no endpoint."""
        from azure.core.exceptions import ResourceNotFoundError

        facts, network = self._facts, self._network(self._facts["subscription"])
        self._identity()
        with suppress(ResourceNotFoundError):
            network.private_endpoints.get(facts["group"], "pe-weu")
        self._vnet()
        services = network.private_link_services
        wanted = {"privateLinkServiceAlias": facts["alias"]}
        services.begin_check_private_link_service_visibility(facts["location"], wanted, polling_interval=1).result()
        list(services.list_auto_approved_private_link_services(facts["location"]))
        self._advice()

    def plan_dns(self) -> None:
        """What planning step 5 asks where there are no zones."""
        from azure.mgmt.privatedns import PrivateDnsManagementClient

        if "dns" not in self._clients:
            self._clients["dns"] = PrivateDnsManagementClient(
                self._credential, self._facts["subscription"], **self._options
            )
        self._identity()
        list(self._clients["dns"].private_zones.list())
        self._vnet()
        self._advice()

    def endpoints(self) -> None:
        """Two lists for each subscription."""
        for subscription in self._facts["subscriptions"]:
            client = self._network(subscription)
            list(client.private_endpoints.list_by_subscription())
            list(client.network_interfaces.list_all())

    def _identity(self) -> None:
        self._credential.get_token(*self._options["credential_scopes"])

    def _vnet(self) -> None:
        name = self._facts["subnet"].split("/")[8]
        self._network(self._facts["subscription"]).virtual_networks.get(self._facts["group"], name)

    def _advice(self) -> None:
        """Provider, groups, and the rights at two scopes; there is no SDK for these here."""
        from azure.core.rest import HttpRequest

        subscription = f"/subscriptions/{self._facts['subscription']}"
        group = f"{subscription}/resourceGroups/{self._facts['group']}"
        vnet = self._facts["subnet"].partition("/subnets/")[0]
        paths = [f"{subscription}/providers/Microsoft.Network", f"{subscription}/resourcegroups"]
        paths += [f"{scope}/providers/Microsoft.Authorization/permissions" for scope in (group, vnet)]
        for path in paths:
            request = HttpRequest("GET", f"{self._options['base_url']}{path}?api-version=2021-04-01")
            client = self._network(self._facts["subscription"])
            client.send_request(request).raise_for_status()

    def _network(self, subscription: str) -> Any:
        from azure.mgmt.network import NetworkManagementClient

        if subscription not in self._clients:
            self._clients[subscription] = NetworkManagementClient(self._credential, subscription, **self._options)
        return self._clients[subscription]


def _network(facts: dict[str, Any]) -> str:
    return f"/subscriptions/{facts['subscription']}/resourceGroups/{facts['group']}/providers/Microsoft.Network"
