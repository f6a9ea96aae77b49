"""Steps 3 and 5 done for somebody against the sandbox's Azure: the real SDKs in their child, on the wire."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from state.problem import Problem
from tests.wizard.azure_world import FAST
from tests.wizard.engine import DNS, ENDPOINT, GUIDE, attest_until, fill, journalled, opened, with_step
from wizard.actions.private_dns import PrivateDns
from wizard.actions.private_endpoint import PrivateEndpoint
from wizard.adapters.azure import AzureLooker, Target
from wizard.adapters.azure_acting import AzureActor
from wizard.adapters.dns import DnsLooker
from wizard.adapters.sdk_process import SdkProcess
from wizard.guide import ItemStep
from wizard.ports import Readers, Writers
from wizard.sandbox.info import SandboxInfo
from wizard.sandbox.process import running
from wizard.session import Session

PACE = replace(FAST, poll=0.2, settle=60.0, approval=2.0, appear=10.0, unseen=10.0)
HOSTS = ("dpm_host", "minio_host")


class Site:
    """A sandbox, and a setup whose first steps are confirmed with the values of its portal."""

    def __init__(self, info: SandboxInfo, session: Session) -> None:
        self.info = info
        self.session = session

    async def do(self, place: ItemStep) -> bool:
        """Does a step; False when there was nothing to do."""
        plan = await self.session.plan(place)
        if plan.empty:
            return False
        await self.session.apply(place, plan, lambda _: None)
        return True

    def value(self, item: str, key: str) -> str:
        return self.session.snapshot.values[item][key].data.value or ""

    def requests(self, method: str) -> list[str]:
        """The paths of what was asked of ARM by a method, in order."""
        lines = [json.loads(line) for line in Path(self.info.trace_file).read_text().splitlines()]
        return [line["path"] for line in lines if line["server"] == "arm" and line["method"] == method]


@asynccontextmanager
async def site(tmp_path: Path, helm: Path, *faults: str) -> AsyncIterator[Site]:
    with running(tmp_path / "sandbox", faults, helm=helm) as info:
        target = Target(
            identity="managed",
            arm_url=info.arm_url,
            identity_endpoint=info.identity_endpoint,
            identity_header=info.identity_header,
            ca_file=info.ca_file,
        )
        process = SdkProcess(scratch=tmp_path)
        guide = with_step(GUIDE, "endpoint", action=lambda: PrivateEndpoint(PACE))
        guide = with_step(guide, "dns", action=lambda: PrivateDns(hosts=HOSTS, address="private_ip", pace=PACE))
        readers = Readers(azure=AzureLooker(target, process))
        session = fill(opened(tmp_path, readers, Writers(azure=AzureActor(target, process)), guide))
        for item, key, value in (
            ("subscription/main", "subscription_id", info.subscription_id),
            ("endpoint/pe-weu", "link_service", info.alias),
            ("endpoint/pe-weu", "resource_group", info.resource_group),
            ("endpoint/pe-weu", "subnet", info.subnet_id),
            ("dpe/dpe-01", "dpm_host", info.hosts.dpm),
            ("dpe/dpe-01", "minio_host", info.hosts.minio),
        ):
            assert session.set_field(item, key, value).parsed.ok, key
        attest_until(session, "register")
        try:
            yield Site(info, session)
        finally:
            await process.close()


@pytest.mark.slow
async def test_both_steps_are_done_once_and_dns_answers_privately(tmp_path: Path, helm4: Path):
    async with site(tmp_path, helm4) as here:
        looker = DnsLooker(here.info.dns_server)
        assert await here.do(ENDPOINT)
        address = here.value("endpoint/pe-weu", "private_ip")
        assert here.session.snapshot.values["endpoint/pe-weu"]["private_ip"].data.source == "azure"
        attest_until(here.session, "resource-id")
        assert (await looker.resolve(here.info.hosts.dpm)).addresses != (address,), "public until then"
        assert await here.do(DNS)
        for host in (here.info.hosts.dpm, here.info.hosts.minio):
            assert (await looker.resolve(host)).addresses == (address,)

        written = here.requests("PUT")
        kinds = [path.rsplit("/", 2)[-2].lower() for path in written]
        assert kinds == ["privateendpoints", *(["privatednszones", "a", "virtualnetworklinks"] * 2)]
        assert not await here.do(ENDPOINT)
        assert not await here.do(DNS)
        assert here.requests("PUT") == written, "a second time nothing is written"
        assert {event.data.outcome for event in journalled(here.session, "change_finished")} == {"done"}  # type: ignore[attr-defined]
        assert [event.data.kind for event in journalled(here.session, "identity_pinned")] == ["azure"]  # type: ignore[attr-defined]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "place", "code"),
    [
        ("pending-forever", ENDPOINT, "endpoint-pending"),
        ("rejected", ENDPOINT, "endpoint-rejected"),
        ("invalid-alias", ENDPOINT, "azure-link-service-unknown"),
        ("arm-forbidden", ENDPOINT, "forbidden"),
        ("policy-denied", DNS, "azure-policy"),
        # These two fail while Azure works on them: the next step comes with the operation.
        ("zone-exists", DNS, "azure-changed-meanwhile"),
        ("overlapping-link", DNS, "azure-zone-overlap"),
    ],
)
async def test_a_fault_is_explained(tmp_path: Path, helm4: Path, fault: str, place: ItemStep, code: str):
    async with site(tmp_path, helm4, fault) as here:
        if place == DNS:
            attest_until(here.session, "resource-id")
        with pytest.raises(Problem) as caught:
            await here.do(place)
        assert caught.value.code == code
        assert caught.value.todo
        assert "Mend what Azure names" not in caught.value.todo, "its own next step, not any"


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["zone-exists", "overlapping-link"])
async def test_who_was_faster_is_found_by_the_next_plan(tmp_path: Path, helm4: Path, fault: str):
    """Somebody else made the zone at that very moment: it is theirs, and is not made a second time."""
    async with site(tmp_path, helm4, fault) as here:
        attest_until(here.session, "resource-id")
        with pytest.raises(Problem):
            await here.do(DNS)
        plan = await here.session.plan(DNS)
        assert plan.changes[0].sign == "=", plan.changes


@pytest.mark.slow
async def test_an_expired_token_is_asked_for_anew(tmp_path: Path, helm4: Path):
    async with site(tmp_path, helm4, "arm-token-expired") as here:
        with pytest.raises(Problem) as caught:
            await here.do(ENDPOINT)
        assert caught.value.code == "azure-token-refused"
        assert await here.do(ENDPOINT), "nothing was lost by it"


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["arm-throttled", "arm-slow", "arm-connection-dropped"])
async def test_a_fault_that_passes_is_waited_out(tmp_path: Path, helm4: Path, fault: str):
    async with site(tmp_path, helm4, fault) as here:
        assert await here.do(ENDPOINT)
        assert [path for path in here.requests("PUT") if "privateendpoints" in path.lower()] == here.requests("PUT")
        assert len(here.requests("PUT")) == 1
        assert await here.do(ENDPOINT) is False
