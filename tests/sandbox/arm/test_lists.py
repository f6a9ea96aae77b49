"""What the lists ask of Azure, counted on the wire: the real SDKs in their child against the sandbox's ARM."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from state.events import FieldSet
from state.problem import Problem
from tests.sandbox.arm.served import Azure, served
from tests.wizard.engine import ENDPOINT, GUIDE, items, snapshot_of, view_of
from wizard.adapters.azure import AzureLooker
from wizard.adapters.sdk_process import SdkProcess
from wizard.listing import COMPLETE, COULD_NOT_LOOK, LOOKING, Known, Lists
from wizard.ports import Readers
from wizard.sandbox.arm.ids import NETWORK
from wizard.sandbox.arm.world import add_subscription, resource

FIELDS = GUIDE.fields()


class Site:
    """Lists over a served Azure."""

    def __init__(self, azure: Azure, looker: AzureLooker) -> None:
        self.azure = azure
        self.lists = Lists(lambda: Readers(azure=looker), self._unknown)
        self.values = {"subscription_id": azure.portal.subscription_id}
        self._woken = asyncio.Event()
        self.lists.on_change = self._woken.set

    def _unknown(self, error: Exception) -> Problem:
        raise error

    async def read(self, key: str, **values: str) -> Known:
        """A list, read to its end."""
        view = view_of(
            snapshot_of(*items("subscription/main", "endpoint/pe-weu"), *_typed(self.values | values)), ENDPOINT
        )
        known = self.lists.ask(view, FIELDS[key])
        async with asyncio.timeout(90):
            while known is None or known.state == LOOKING:
                self._woken.clear()
                await self._woken.wait()
                known = self.lists.of(view, FIELDS[key])
        return known

    def asked(self) -> Counter[str]:
        """How often what kind of thing was asked of ARM; all of them looks."""
        lines = [line for line in self.azure.trace() if line["server"] == "arm"]
        assert {line["method"] for line in lines} <= {"GET"}
        return Counter(line["path"].lower().rstrip("/").rpartition("/")[2] for line in lines)


def _typed(values: Mapping[str, str]) -> list[FieldSet]:
    owners = {"subscription_id": "subscription/main"}
    return [FieldSet(item=owners.get(key, "endpoint/pe-weu"), field=key, value=value) for key, value in values.items()]


@asynccontextmanager
async def site(tmp_path: Path, *faults: str) -> AsyncIterator[Site]:
    with served(tmp_path, *faults) as azure:
        process = SdkProcess(scratch=tmp_path)
        here = Site(azure, AzureLooker(azure.target(), process))
        try:
            yield here
        finally:
            await here.lists.forget()
            await process.close()


def add(azure: Azure, number: int) -> str:
    """One more subscription with one VNet in it; the VNet's ID."""
    subscription = f"{number:08d}-aaaa-4bbb-8ccc-000000000000"
    add_subscription(azure.arm.store, subscription, f"Other {number}", azure.portal.tenant_id)
    network = (
        f"/subscriptions/{subscription}/resourceGroups/rg-{number}/providers/{NETWORK}/virtualNetworks/vnet-{number}"
    )
    space = {"provisioningState": "Succeeded", "addressSpace": {"addressPrefixes": [f"10.{number}.0.0/16"]}}
    azure.arm.store.put(resource(network, f"{NETWORK}/virtualNetworks", space, location="westeurope"))
    return network


async def test_each_list_asks_for_its_own_and_the_calls_grow_with_subscriptions_only(tmp_path: Path):
    async with site(tmp_path) as here:
        portal = here.azure.portal
        (row,) = (await here.read("subscription_id")).rows
        assert (row.listed.value, row.listed.name, row.listed.columns[1]) == (
            portal.subscription_id,
            "Sandbox",
            "Enabled",
        )
        assert here.asked() == {"subscriptions": 1}
        (row,) = (await here.read("resource_group")).rows
        assert (row.listed.value, row.listed.columns) == (portal.resource_group, (portal.location,))
        assert here.asked() == {"subscriptions": 1, "resourcegroups": 1}
        (row,) = (await here.read("subnet", vnet=portal.vnet_id)).rows
        assert (row.listed.value, row.listed.columns[:2]) == (portal.subnet_id, ("10.60.1.0/24", "251"))
        (row,) = (await here.read("vnet")).rows
        assert (row.listed.value, row.listed.columns[:2]) == (portal.vnet_id, ("10.60.0.0/16", "251"))
        known = here.asked()
        assert known == {"subscriptions": 1, "resourcegroups": 1, "virtualnetworks": 1}

        added = [add(here.azure, number) for number in range(1, 5)]
        await here.lists.forget()
        found = await here.read("vnet")
        assert found.state == COMPLETE
        assert {row.listed.value for row in found.rows} == {portal.vnet_id, *added}
        assert here.asked() - known == {"subscriptions": 1, "virtualnetworks": 5}


async def test_subnets_of_one_vnet_alone_are_one_call_wherever_it_is(tmp_path: Path):
    async with site(tmp_path) as here:
        for number in range(1, 4):
            far = add(here.azure, number)
        found = await here.read("subnet", vnet=far)
        assert (found.state, found.rows) == (COMPLETE, ())
        assert here.asked() == {"virtualnetworks": 1}


@pytest.mark.parametrize("fault", ["arm-token-expired"])
async def test_a_sign_in_that_counts_no_more_says_so(tmp_path: Path, fault: str):
    async with site(tmp_path, fault) as here:
        found = await here.read("resource_group")
        assert found.state == COULD_NOT_LOOK
        assert found.problem is not None and found.problem.todo
        assert found.why.endswith("Typing works all the same.")
