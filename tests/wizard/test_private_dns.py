"""The plan of step 5 in Azure private DNS, what applying it writes, and how an interrupted one is told."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from state.events import ChangeFinished
from state.problem import EXIT_BAD, Problem
from tests.setups import DPM, MINIO, SUBNET, SUBSCRIPTION
from tests.wizard.azure_world import BOB, FAST, GROUP, OTHER_VNET, READS, VNET, Died, World
from tests.wizard.engine import DNS, GUIDE, attest_until, fill, journalled, opened, with_step
from wizard.actions.private_dns import PrivateDns
from wizard.azure import ARecord, Operation
from wizard.guide import ItemStep, Moment, Plan
from wizard.identifiers.arm_id import name_after
from wizard.ports import Readers, Writers
from wizard.session import Session

OTHER_GROUP = GROUP.replace("rg-net-data", "rg-dns")
IP, STRANGER = "10.20.1.4", "10.99.9.9"


class Step5:
    """A setup whose steps 1 to 4 are confirmed, over an Azure in memory."""

    def __init__(self, path: Path, world: World, hosts: tuple[str, ...] = ("dpm_host", "minio_host")) -> None:
        self.world = world
        action = PrivateDns(hosts=hosts, address="private_ip", pace=FAST)
        guide = with_step(GUIDE, "dns", action=lambda: action)
        self.session: Session = fill(opened(path, Readers(azure=world), Writers(azure=world), guide))
        attest_until(self.session, "resource-id")
        self.moments: list[Moment] = []

    async def plan(self, place: ItemStep = DNS) -> Plan:
        return await self.session.plan(place)

    async def apply(self, plan: Plan | None = None) -> None:
        await self.session.apply(DNS, plan or await self.plan(), self.moments.append)

    def ends(self) -> list[ChangeFinished]:
        found = [one.data for one in journalled(self.session, "change_finished")]
        return [one for one in found if isinstance(one, ChangeFinished)]

    def outcomes(self) -> list[str]:
        return [one.outcome for one in self.ends()]

    def answers(self, host: str, vnet: str = VNET) -> tuple[str, ...]:
        """What the VNet is answered: of its linked zones the one with the longest name is asked, and no other."""
        linked = {one.zone_id.lower() for one in self.world.links.values() if one.network_id == vnet}
        zones = [one for key, one in self.world.zones_.items() if key in linked and f".{host}".endswith(f".{one.name}")]
        assert len({one.name for one in zones}) == len(zones), "a VNet can't link two zones of one name"
        if not zones:
            return ("public",)
        zone = max(zones, key=lambda one: len(one.name))
        record = self.world.records.get((zone.id.lower(), host[: -len(zone.name)].rstrip(".") or "@"))
        return record.addresses if record else ()


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Step5]:
    return lambda: Step5(tmp_path, World())


async def stopped(work: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        await work
    return caught.value


def signs(plan: Plan) -> list[str]:
    return [one.sign for one in plan.changes]


def zone_id(host: str, group: str = GROUP) -> str:
    return f"{group}/providers/Microsoft.Network/privateDnsZones/{host}"


# ---------------------------------------------------------------- nothing is there


async def test_each_host_gets_a_zone_of_its_own(make):
    step = make()
    plan = await step.plan()
    assert [(one.sign, one.text) for one in plan.changes] == [
        ("+", f"zone {DPM} in rg-net-data"),
        ("+", f"record @ in {DPM}: {IP}"),
        ("+", f"link {DPM} to vnet-weu"),
        ("+", f"zone {MINIO} in rg-net-data"),
        ("+", f"record @ in {MINIO}: {IP}"),
        ("+", f"link {MINIO} to vnet-weu"),
    ]
    assert plan.notes == () and plan.obstacle is None and len(plan.digest) == 64
    assert set(step.world.calls) <= READS and step.world.writes == []


async def test_they_are_made_one_after_the_other_each_a_change_of_its_own(make):
    step = make()
    await step.apply()
    link = next(one for name, one in step.world.writes if name == "create_link")
    assert step.world.writes == [
        ("create_zone", zone_id(DPM)),
        ("set_a_record", f"{DPM} @"),
        ("create_link", link),
        ("create_zone", zone_id(MINIO)),
        ("set_a_record", f"{MINIO} @"),
        ("create_link", link.replace(DPM, MINIO)),
    ]
    assert step.outcomes() == ["done"] * 6
    assert step.answers(DPM) == step.answers(MINIO) == (IP,)
    assert {record.ttl for record in step.world.records.values()} == {300}
    assert step.world.calls.count("identity") == 1 + 6, "read again before each write"
    kinds = [one.type for one in journalled(step.session) if one.type.startswith(("change", "identity"))]
    assert kinds == ["identity_pinned", *(["change_started", "change_finished"] * 6)]


async def test_the_second_plan_is_empty(make):
    step = make()
    await step.apply()
    plan = await step.plan()
    assert plan.empty and plan.commands == () and signs(plan) == ["="] * 6


async def test_the_commands_shown_are_the_same_requests(make):
    commands = [shlex.split(one) for one in (await make().plan()).commands]
    where = ["--subscription", SUBSCRIPTION, "--resource-group", "rg-net-data"]
    zone, create, add, link = commands[:4]
    assert zone == ["az", "network", "private-dns", "zone", "create", *where, "--name", DPM]
    assert link[:6] == ["az", "network", "private-dns", "link", "vnet", "create"]
    assert link[-4:] == ["--virtual-network", VNET, "--registration-enabled", "false"]
    assert create[5:] == ["create", *where, "--zone-name", DPM, "--name", "@", "--ttl", "300"]
    assert add[5:] == ["add-record", *where, "--zone-name", DPM, "--record-set-name", "@", "--ipv4-address", IP]
    assert len(commands) == 8


# ---------------------------------------------------------------- something is there


async def test_a_zone_of_that_name_is_used_and_linked(make):
    step = make()
    step.world.zone_there(DPM, OTHER_VNET, group=OTHER_GROUP)
    step.world.zone_there(MINIO, VNET, group=OTHER_GROUP)
    plan = await step.plan()
    assert signs(plan) == ["=", "+", "+", "=", "+", "="]
    (note,) = plan.notes
    assert DPM in note and "vnet-neu as well" in note
    await step.apply(plan)
    assert "create_zone" not in [name for name, _ in step.world.writes]
    assert step.answers(DPM) == step.answers(MINIO) == (IP,)
    assert (await step.plan()).empty


async def test_a_zone_linked_under_another_spelling_is_not_linked_twice(make):
    step = make()
    step.world.zone_there(DPM.upper(), VNET.upper(), group=OTHER_GROUP.upper(), apex=(IP,))
    assert signs(await step.plan())[:3] == ["=", "=", "="]


async def test_of_two_zones_of_one_name_the_linked_one_is_used(make):
    """A VNet can't link two of them: the other can't be linked any more, though it is in our own group."""
    step = make()
    step.world.zone_there(DPM)
    step.world.zone_there(DPM, VNET, group=OTHER_GROUP)
    await step.apply()
    assert step.world.records[zone_id(DPM, OTHER_GROUP).lower(), "@"].addresses == (IP,)
    assert step.answers(DPM) == (IP,)


async def test_a_linked_parent_zone_gets_the_records_alone(make):
    step = make()
    step.world.zone_there("ataccama.link", VNET, group=OTHER_GROUP)
    plan = await step.plan()
    relative = DPM.removesuffix(".ataccama.link")
    assert plan.changes[1].text == f"record {relative} in ataccama.link: {IP}"
    assert signs(plan) == ["=", "+", "="] * 2
    await step.apply(plan)
    assert [name for name, _ in step.world.writes] == ["set_a_record"] * 2
    assert step.answers(DPM) == (IP,) and (await step.plan()).empty


@pytest.mark.parametrize("parent", ["ataccama.link", "link"])
async def test_a_parent_zone_that_is_not_linked_is_never_linked(make, parent: str):
    """It would hide every other name under it."""
    step = make()
    step.world.zone_there(parent, OTHER_VNET)
    await step.apply()
    assert {one.network_id for one in step.world.links.values() if one.zone_id == zone_id(parent)} == {OTHER_VNET}
    assert step.answers(DPM) == (IP,)


async def test_a_name_that_only_ends_alike_is_no_parent(make):
    step = make()
    step.world.zone_there(DPM.removeprefix("d"), VNET)
    assert signs(await step.plan())[:3] == ["+", "+", "+"]


async def test_a_zone_of_another_vnet_with_its_own_answer_is_left_alone(make):
    """The same host may have another address in another VNet; there a zone of its own is right."""
    step = make()
    step.world.zone_there(DPM, OTHER_VNET, group=OTHER_GROUP, apex=("10.30.1.4",))
    plan = await step.plan()
    assert plan.obstacle is None and signs(plan)[:3] == ["+", "+", "+"]
    await step.apply(plan)
    assert step.answers(DPM) == (IP,) and step.answers(DPM, OTHER_VNET) == ("10.30.1.4",)


# ---------------------------------------------------------------- records of others


async def test_somebody_elses_record_is_an_obstacle(make):
    step = make()
    step.world.zone_there(DPM, VNET, OTHER_VNET, apex=(STRANGER,))
    plan = await step.plan()
    assert plan.changes[1].sign == "~" and plan.changes[1].text.endswith(f"{STRANGER} to {IP}")
    assert plan.obstacle and plan.obstacle.risk
    assert STRANGER in plan.obstacle.what and "vnet-neu" in plan.obstacle.what
    words = [shlex.split(one) for one in plan.commands[:2]]
    assert [(one[5], one[-1]) for one in words] == [("add-record", IP), ("remove-record", STRANGER)]
    await step.apply(plan)
    assert step.answers(DPM) == (IP,)


async def test_our_own_record_is_no_obstacle(make):
    step = make()
    await step.apply()
    step.session.set_field("endpoint/pe-weu", "private_ip", "10.20.1.7")
    attest_until(step.session, "resource-id")
    plan = await step.plan()
    assert plan.obstacle is None and signs(plan) == ["=", "~", "="] * 2
    await step.apply(plan)
    assert step.answers(DPM) == step.answers(MINIO) == ("10.20.1.7",)


async def test_what_others_made_of_our_record_is_theirs(make):
    step = make()
    await step.apply()
    key = (zone_id(DPM).lower(), "@")
    step.world.records[key] = replace(step.world.records[key], addresses=(STRANGER,))
    obstacle = (await step.plan()).obstacle
    assert obstacle and STRANGER in obstacle.what


async def test_a_record_that_changes_between_plan_and_write_is_not_replaced(make):
    step = make()
    step.world.zone_there(DPM, VNET)
    step.world.zone_there(MINIO, VNET, apex=(IP,))
    plan = await step.plan()
    zone = zone_id(DPM)
    step.world.records[zone.lower(), "@"] = ARecord(zone, "@", (STRANGER,), 60)
    assert (await stopped(step.apply(plan))).code == "conflict"
    assert step.answers(DPM) == (STRANGER,) and step.outcomes() == ["failed"]


async def test_two_endpoints_in_one_vnet_share_a_record(make):
    step = make()
    session = step.session
    await step.apply()
    session.add_item("endpoint", "pe-two")
    session.link("dpe/dpe-01", "endpoint/pe-two")
    for key, text in (("subnet", SUBNET), ("resource_group", "rg-net-data"), ("private_ip", "10.20.1.5")):
        assert session.set_field("endpoint/pe-two", key, text).parsed.ok
    session.set_reference("endpoint/pe-two", "subscription", "main")
    two = ItemStep("dns", ("dpe/dpe-01", "endpoint/pe-two"))
    assert (await step.plan()).empty, "the first still answers"
    plan = await step.plan(two)
    assert plan.obstacle is None and plan.changes[1].text.endswith(f"{IP} to {IP}, 10.20.1.5")
    session.set_field("endpoint/pe-two", "subnet", SUBNET.replace("vnet-weu", "vnet-neu"))
    step.world.network_ = replace(step.world.network_, id=OTHER_VNET)
    plan = await step.plan(two)
    assert plan.obstacle
    assert IP in plan.obstacle.what and "vnet-weu" in plan.obstacle.what, (
        "a record for another VNet is never ours to change"
    )
    session.set_field("endpoint/pe-two", "resource_group", "rg-dns")
    assert signs(await step.plan(two)) == ["+"] * 6


# ---------------------------------------------------------------- what may stand in the way


async def test_dns_servers_of_the_vnet_are_noted_even_when_nothing_is_to_do(make):
    step = make()
    step.world.network_ = replace(step.world.network_, dns_servers=("10.0.0.10",))
    (note,) = (await step.plan()).notes
    assert "10.0.0.10" in note and "168.63.129.16" in note
    await step.apply()
    assert (await step.plan()).notes == (note,)


@pytest.mark.parametrize(
    ("denied", "says"),
    [
        ("privateDnsZones/write", f"Microsoft.Network/privateDnsZones/write at {GROUP}"),
        ("virtualNetworks/join/action", f"Microsoft.Network/virtualNetworks/join/action at {VNET}"),
        ("privateDnsZones/A/write", f"Microsoft.Network/privateDnsZones/A/write at {GROUP}"),
    ],
)
async def test_what_is_likely_not_allowed_is_noted(make, denied: str, says: str):
    step = make()
    step.world.denied = {f"Microsoft.Network/{denied}"}
    (note,) = (await step.plan()).notes
    assert "likely not allowed" in note and says in note


async def test_zones_of_the_vnets_subscription_count_too_as_far_as_they_can_be_read(make):
    step = make()
    hub = SUBSCRIPTION.replace("8d2f41c7", "8d2f41c8")
    vnet, group = VNET.replace(SUBSCRIPTION, hub), OTHER_GROUP.replace(SUBSCRIPTION, hub)
    assert step.session.set_field("endpoint/pe-weu", "subnet", SUBNET.replace(SUBSCRIPTION, hub)).parsed.ok
    step.world.network_ = replace(step.world.network_, id=vnet)
    for host in (DPM, MINIO):
        step.world.zone_there(host, vnet, group=group, apex=(IP,))
    assert (await step.plan()).empty
    zones = step.world.zones

    async def only_our_own(subscription: str) -> Any:
        if subscription == hub:
            raise Problem("forbidden", "Not for you.")
        return await zones(subscription)

    step.world.zones = only_our_own
    plan = await step.plan()
    assert signs(plan) == ["+"] * 6 and hub in plan.notes[0]


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [("private_ip", "", "needs-input"), ("private_ip", "fd00::4", "no-ipv4"), ("subnet", "", "needs-input")],
)
async def test_what_is_missing_is_said(make, key: str, value: str, code: str):
    step = make()
    step.session.set_field("endpoint/pe-weu", key, value)
    assert (await stopped(step.plan())).code == code


async def test_a_vnet_that_is_not_there_can_not_be_linked(make):
    step = make()
    step.world.network_ = replace(step.world.network_, id=OTHER_VNET)
    problem = await stopped(step.plan())
    assert (problem.code, problem.exit_code) == ("no-network", EXIT_BAD)


# ---------------------------------------------------------------- failures and interruptions


async def test_another_identity_stops_before_the_next_write(make):
    step = make()
    plan = await step.plan()
    write = step.world.set_a_record

    async def and_sign_in_as_bob(record: ARecord, *, replacing: ARecord | None) -> None:
        await write(record, replacing=replacing)
        step.world.me = BOB

    step.world.set_a_record = and_sign_in_as_bob
    assert (await stopped(step.apply(plan))).code == "other-identity"
    assert [name for name, _ in step.world.writes] == ["create_zone", "set_a_record"]
    assert step.outcomes() == ["done", "done"]


async def test_a_zone_somebody_else_makes_at_the_same_time_is_a_failed_operation(make):
    """If-None-Match on a zone that is there is no 412 but a failed operation (AZURE.md)."""
    step = make()
    plan = await step.plan()
    step.world.operation_failure = Operation("Failed", "exists", "PreconditionFailed", "etag")
    step.world.zone_there(DPM)
    problem = await stopped(step.apply(plan))
    assert problem.code == "exists" and "PreconditionFailed" in problem.what
    step.world.operation_failure = None
    assert signs(await step.plan())[:3] == ["=", "+", "+"]


async def test_what_was_made_before_a_failure_stays_and_the_next_plan_goes_on(make):
    step = make()
    step.world.fails["set_a_record"] = [Problem("policy", "A policy forbids it.")]
    assert (await stopped(step.apply())).code == "policy"
    assert step.outcomes() == ["done", "failed"]
    plan = await step.plan()
    assert signs(plan) == ["=", "+", "+", "+", "+", "+"]
    await step.apply(plan)
    assert (await step.plan()).empty


@pytest.mark.parametrize("reached", [False, True])
async def test_killed_at_any_call_nothing_is_made_twice(tmp_path: Path, reached: bool):
    for last in range(1, 200):
        world = World()
        path = tmp_path / str(last)
        path.mkdir()
        step = Step5(path, world, hosts=("dpm_host",))
        plan = await step.plan()
        world.dies = (len(world.calls) + last, reached)
        try:
            await step.apply(plan)
        except Died:
            pass
        else:
            break
        world.dies = None
        await went_on(step)
        step.session._writer.close()
    assert last > 10, "it was killed at many places"


async def went_on(step: Step5) -> None:
    calls = len(step.world.calls)
    for change in step.session.interrupted():
        await step.session.resume(change, step.moments.append)
    assert set(step.world.calls[calls:]) <= READS, "resuming only reads"
    assert step.session.interrupted() == ()
    assert set(step.outcomes()) <= {"done", "cancelled"}
    assert step.outcomes().count("done") == len(step.world.writes)
    await step.apply()
    assert len(step.world.writes) == len(set(step.world.writes)) == 3
    assert step.answers(DPM) == (IP,)
    assert (await step.plan()).empty


async def test_a_record_that_somebody_changed_meanwhile_ends_as_failed(make):
    step = make()
    step.world.zone_there(DPM, VNET)
    plan = await step.plan()
    step.world.dies = (len(step.world.calls) + 2, True)
    with pytest.raises(Died):
        await step.apply(plan)
    zone = zone_id(DPM)
    step.world.records[zone.lower(), "@"] = ARecord(zone, "@", (STRANGER,), 60)
    (change,) = step.session.interrupted()
    await step.session.resume(change, step.moments.append)
    (finished,) = step.ends()
    assert finished.outcome == "failed" and STRANGER in finished.summary
    assert finished.facts["code"] == "record-changed"


async def test_link_names_fit_and_tell_vnets_of_one_name_apart(make):
    step = make()
    await step.apply()
    names = {name_after(one.id, "virtualNetworkLinks") for one in step.world.links.values()}
    assert len(names) == 1 and all(name.startswith("vnet-weu-") and len(name) <= 80 for name in names)
