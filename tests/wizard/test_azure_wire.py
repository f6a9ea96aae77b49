"""How often Azure is asked, and what: counted on the wire between the real SDKs and the sandbox's Azure."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.bench.azure_server import add_endpoints
from tests.end_to_end.harness import Machine, changed
from tests.sandbox.arm.served import Azure, served
from tests.wizard.azure_world import FAST
from tests.wizard.engine import (
    DNS,
    ENDPOINT,
    GUIDE,
    RESOURCE_ID,
    SUBSCRIPTION,
    attest_until,
    fill,
    opened,
    with_step,
)
from wizard.actions.private_dns import PrivateDns
from wizard.actions.private_endpoint import PrivateEndpoint
from wizard.adapters import azure as adapter
from wizard.adapters.azure import AzureLooker
from wizard.adapters.azure_acting import AzureActor
from wizard.adapters.sdk_process import SdkProcess
from wizard.azure import Endpoint
from wizard.guide import ItemStep
from wizard.guides import DEFAULT
from wizard.open_setup import new_setup
from wizard.places import Places
from wizard.ports import Readers, Writers
from wizard.sandbox.answers import environment
from wizard.sandbox.arm.timing import Timing
from wizard.sandbox.arm.world import add_subscription
from wizard.sandbox.process import running
from wizard.session import Session

# Each has a child of its own, which loads the SDKs.
pytestmark = pytest.mark.slow

PACE = replace(FAST, poll=0.1, settle=60.0, approval=5.0, appear=10.0)
HOSTS = ("dpm_host", "minio_host")


def kind(line: dict[str, Any]) -> str:
    """A request without the names in it: the method, and what is asked for."""
    parts = line["path"].strip("/").split("/")
    lower = [part.lower() for part in parts]
    if "microsoft.authorization" in lower:
        return f"{line['method']} permissions"
    if "microsoft.network" not in lower:
        return f"{line['method']} {lower[-1]}"
    types = lower[lower.index("microsoft.network") + 1 :]
    if not types:
        return f"{line['method']} provider"
    named = len(types) % 2 == 0
    return f"{line['method']} {'/'.join(types[::2])}{'' if named else ' (list)'}"


class Wire:
    """A setup whose first steps are confirmed, an Azure that answers, and what was asked of it."""

    def __init__(self, azure: Azure, session: Session, looker: AzureLooker) -> None:
        self.azure, self.session, self.looker = azure, session, looker
        self._read = 0

    def asked(self, server: str = "arm") -> list[str]:
        """What came since the last time, in order."""
        lines = self.azure.trace()
        new, self._read = lines[self._read :], len(lines)
        return [kind(line) for line in new if line["server"] == server]

    def from_the_start(self) -> None:
        """What is asked for next is all that came."""
        self._read = 0

    async def done(self, place: ItemStep) -> list[str]:
        """Plans and applies a step; returns what applying asked."""
        plan = await self.session.plan(place)
        self.asked()
        await self.session.apply(place, plan, lambda _: None)
        return self.asked()


@contextmanager
def _azure(directory: Path) -> Iterator[Azure]:
    with served(directory, timing=Timing(endpoint=0.3, zone=0.2, later=1.0)) as azure:
        yield azure


@asynccontextmanager
async def wire(tmp_path: Path) -> AsyncIterator[Wire]:
    (tmp_path / "azure").mkdir(mode=0o700)
    with _azure(tmp_path / "azure") as azure:
        process = SdkProcess(adapter.MODULES, scratch=tmp_path, at_once=adapter.AT_ONCE)
        target = azure.target()
        guide = with_step(GUIDE, "endpoint", action=lambda: PrivateEndpoint(PACE))
        guide = with_step(guide, "dns", action=lambda: PrivateDns(hosts=HOSTS, address="private_ip", pace=PACE))
        looker = AzureLooker(target, process)
        session = fill(opened(tmp_path, Readers(azure=looker), Writers(azure=AzureActor(target, process)), guide))
        portal = azure.portal
        for item, key, value in (
            ("subscription/main", "subscription_id", portal.subscription_id),
            ("endpoint/pe-weu", "link_service", portal.alias),
            ("endpoint/pe-weu", "resource_group", portal.resource_group),
            ("endpoint/pe-weu", "subnet", portal.subnet_id),
            ("endpoint/pe-weu", "endpoint_id", portal.endpoint_id.rpartition("/")[0] + "/pe-weu"),
            ("dpe/dpe-01", "dpm_host", portal.hosts.dpm),
            ("dpe/dpe-01", "minio_host", portal.hosts.minio),
        ):
            assert session.set_field(item, key, value).parsed.ok, key
        attest_until(session, "register")
        try:
            yield Wire(azure, session, looker)
        finally:
            await process.close()


NEW_ENDPOINT = {
    "GET privateendpoints": 1,
    "GET virtualnetworks": 1,
    "POST locations/checkprivatelinkservicevisibility (list)": 1,
    "GET locations/autoapprovedprivatelinkservices (list)": 1,
    "GET privateendpoints (list)": 1,  # is there another one to this service?
    "GET networkinterfaces": 1,  # is the name of the new one's interface free?
    "GET provider": 1,
    "GET resourcegroups": 1,
    "GET permissions": 2,
}
ENDPOINT_THERE = {"GET privateendpoints": 1, "GET networkinterfaces": 1}
OTHERS = {"GET privateendpoints (list)": 1, "GET networkinterfaces (list)": 1}
"""What asks for the other endpoints of a subscription, whatever their number: two lists, by pages."""
NO_RECORDS = {
    "GET privatednszones (list)": 1,
    "GET subscriptions": 1,  # zones often lie in another one
    "GET virtualnetworks": 1,  # has it DNS servers of its own?
}
NEW_RECORDS = {
    "GET subscriptions": 1,
    "GET privatednszones (list)": 1,
    "GET virtualnetworks": 1,
    "GET provider": 1,
    "GET resourcegroups": 1,
    "GET permissions": 2,
}
RECORDS_THERE = {
    "GET virtualnetworks": 1,
    "GET privatednszones (list)": 1,
    "GET privatednszones/virtualnetworklinks (list)": 2,
    "GET privatednszones/a": 2,
}
POLLS = {
    "GET locations/operations",
    "GET privatednsoperationstatuses",
    "GET privateendpoints",
    "GET networkinterfaces",
    "GET privatednszones (list)",
    "GET privatednszones/a",
    "GET privatednszones/virtualnetworklinks (list)",
}


async def test_what_each_step_asks(tmp_path: Path):
    async with wire(tmp_path) as here:
        session = here.session
        await session.look(SUBSCRIPTION)
        assert here.asked() == ["GET subscriptions"]
        await session.look(ENDPOINT)
        assert Counter(here.asked()) == {"GET privateendpoints": 1, "GET privateendpoints (list)": 1}

        await session.plan(ENDPOINT)
        assert Counter(here.asked()) == NEW_ENDPOINT
        applied = await here.done(ENDPOINT)
        # Compared with the plan, and once more just before the PUT: an endpoint has no etag that forbids overwriting.
        assert applied[:3] == ["GET privateendpoints", "GET privateendpoints", "PUT privateendpoints"]
        _require_polls(applied[3:], 3)
        assert not {one for one in applied[3:] if not one.startswith("GET ")}
        await session.plan(ENDPOINT)
        assert Counter(here.asked()) == ENDPOINT_THERE
        await session.look(ENDPOINT)
        assert Counter(here.asked()) == {**ENDPOINT_THERE, **OTHERS}
        await session.look(RESOURCE_ID)
        assert Counter(here.asked()) == ENDPOINT_THERE

        attest_until(session, "resource-id")
        await session.look(DNS)
        assert Counter(here.asked()) == NO_RECORDS
        await session.plan(DNS)
        assert Counter(here.asked()) == NEW_RECORDS
        applied = await here.done(DNS)
        changes = [one for one in applied if not one.startswith("GET ")]
        assert (
            changes == ["PUT privatednszones", "PUT privatednszones/a", "PUT privatednszones/virtualnetworklinks"] * 2
        )
        assert applied[0] == changes[0], "the plan has looked, and each write has its own condition"
        _require_polls([one for one in applied if one.startswith("GET ")], 2)
        await session.plan(DNS)
        assert Counter(here.asked()) == RECORDS_THERE
        await session.look(DNS)
        assert Counter(here.asked()) == RECORDS_THERE

        here.from_the_start()
        assert here.asked("identity") == ["GET token"], "one token for all of it"


def _require_polls(asked: list[str], most: int) -> None:
    """What waiting asks: nothing else, and of each kind no more than once for each question about the operation."""
    counted = Counter(asked)
    assert set(counted) <= POLLS
    operations = sum(counted[one] for one in ("GET locations/operations", "GET privatednsoperationstatuses"))
    assert operations
    # A record is written at once, and looked at without an operation.
    others = sum(counted.values()) - operations - counted["GET privatednszones/a"]
    assert others <= operations * (most - 1)


async def _endpoints(here: Wire, subscriptions: int, each: int) -> list[tuple[Endpoint, ...]]:
    """Lists that many endpoints of that many subscriptions, side by side."""
    names = [f"0000000{n}-bbbb-4ccc-8ddd-00000000000{n}" for n in range(subscriptions)]
    for name in names:
        add_subscription(here.azure.arm.store, name, name[:8], here.azure.portal.tenant_id)
        add_endpoints(here.azure, name, each)
    here.asked()
    return await asyncio.gather(*map(here.looker.endpoints, names))


@pytest.mark.parametrize(
    ("subscriptions", "each", "pages"),
    [(4, 0, 0.5), (1, 1, 1), (1, 50, 1), (4, 1, 1), (4, 50, 1), (1, 51, 2), (1, 200, 4)],
)
async def test_calls_grow_with_subscriptions_and_pages(tmp_path: Path, subscriptions: int, each: int, pages: float):
    """Two lists a subscription, endpoints and interfaces, each of pages of 50; where there are none, one list."""
    async with wire(tmp_path) as here:
        found = await _endpoints(here, subscriptions, each)
        assert [len(one) for one in found] == [each] * subscriptions
        assert all(one.addresses for several in found for one in several)
        asked = here.asked()
        assert len(asked) == subscriptions * pages * 2
        assert set(asked) <= {"GET privateendpoints (list)", "GET networkinterfaces (list)"}


# ---------------------------------------------------------------- throttling is shown


WAITING = "Azure asks to slow down: waiting 1 s, then asking again"


async def test_a_wait_that_azure_asks_for_is_the_works_last_line(tmp_path: Path, helm4: Path):
    with running(tmp_path / "work", ["arm-throttled"], helm=helm4) as info:
        setup = await new_setup(
            Places(tmp_path / "real", tmp_path / "sandbox"),
            "demo",
            DEFAULT,
            "self-service",
            environment(info),
        )
        try:
            setup.session.add_item("subscription", "main")
            setup.session.set_field("subscription/main", "subscription_id", info.subscription_id)
            lines: list[list[str]] = []
            setup.on_change = lambda: lines.append(
                [line.text for work in setup.work.values() if work.running for line in work.log]
            )
            setup.look(SUBSCRIPTION)
            work = await setup.settled(SUBSCRIPTION)
            assert work is not None and work.problem is None
            assert [WAITING] * 3 in lines, "each while the work goes on"
            assert setup.session.snapshot.findings[("register", ("subscription/main",), "subscription")]
            assert WAITING not in setup.writer.path.read_text(), "transient, never journalled"
        finally:
            await setup.close()


def test_check_narrates_it_on_stderr(tmp_path: Path, helm4: Path):
    machine = Machine(tmp_path, helm4)
    with machine.sandbox("arm-throttled") as info:
        where = {key: info[key] for key in ("arm_url", "identity_endpoint", "dns_server", "ca_file")}

        def stop_early(document: dict[str, Any]) -> None:
            document["environment"].update(where)
            document["attest"] = []

        answers = changed(info["answers_file"], tmp_path / "answers.yml", stop_early)
        run = machine.run("demo", answers)
        assert WAITING not in run.out
    with machine.sandbox("arm-throttled"):
        checked = machine.wizard("check", "demo", "--step", "2", "-o", "json")
    assert checked.err.count(WAITING) == 3, checked.all
    assert checked.json()["steps"][0]["items"][0]["findings"][0]["verdict"] == "good"
