"""The plan of step 5 in Azure private DNS, what applying it writes, and how an interrupted one is told."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from state.events import ChangeFinished
from state.problem import EXIT_BAD, Problem
from tests.setups import ALIAS, DPM, MINIO, SUBNET, SUBSCRIPTION
from tests.wizard.azure_world import BOB, FAST, GROUP, OTHER_VNET, READS, VNET, Died, World
from tests.wizard.engine import DNS, GUIDE, attest_until, fill, journalled, opened, with_step
from wizard.actions.azure_facts import TRIES
from wizard.actions.private_dns import PrivateDns
from wizard.azure import ARecord, Operation, Subscription
from wizard.guide import ItemStep, Moment, Plan
from wizard.identifiers.arm_id import name_after
from wizard.ports import Readers, Writers
from wizard.session import Session
from wizard.view import View

OTHER_GROUP = GROUP.replace("rg-net-data", "rg-dns")
IP, STRANGER = "10.20.1.4", "10.99.9.9"


class Step5:
    """A setup whose steps 1 to 4 are confirmed, over an Azure in memory."""

    def __init__(
        self,
        path: Path,
        world: World,
        hosts: tuple[str, ...] = ("dpm_host", "minio_host"),
        action: PrivateDns | None = None,
    ) -> None:
        self.world = world
        action = action or PrivateDns(hosts=hosts, address="private_ip", network="cluster_vnet", pace=FAST)
        guide = with_step(GUIDE, "dns", action=lambda: action)
        self.session: Session = fill(opened(path, Readers(azure=world), Writers(azure=world), guide))
        attest_until(self.session, "resource-id")
        self.moments: list[Moment] = []

    async def plan(self, place: ItemStep = DNS) -> Plan:
        return await self.session.plan(place)

    async def apply(self, plan: Plan | None = None, place: ItemStep = DNS) -> None:
        await self.session.apply(place, plan or await self.plan(place), self.moments.append)

    def endpoint(
        self,
        name: str,
        network: str = VNET,
        address: str = "10.20.1.5",
        dpe: str = "dpe-01",
        *,
        done: bool = True,
    ) -> ItemStep:
        """A further endpoint, in a VNet, for a DPE; where its records are made. `done`: it is said to be Approved."""
        session, item = self.session, f"endpoint/{name}"
        session.add_item("endpoint", name)
        session.link(f"dpe/{dpe}", item)
        session.set_reference(item, "subscription", "main")
        subnet = f"{network}/subnets/snet-pe"
        id = f"{GROUP}/providers/Microsoft.Network/privateEndpoints/{name}"
        for key, text in (
            *(("link_service", ALIAS), ("resource_group", "rg-net-data"), ("subnet", subnet), ("endpoint_name", name)),
            *(("private_ip", address), ("endpoint_id", id)),
        ):
            assert session.set_field(item, key, text).parsed.ok, key
        if done:
            attest_until(session, "resource-id")
        return ItemStep("dns", (f"dpe/{dpe}", item))

    def dpe(self, name: str) -> None:
        """A further DPE of the same hosts: they are the environment's, not the DPE's."""
        self.session.add_item("dpe", name)
        for key, text in (("dpm_host", DPM), ("minio_host", MINIO)):
            assert self.session.set_field(f"dpe/{name}", key, text).parsed.ok

    def cluster_in(self, network: str, dpe: str = "dpe-01") -> None:
        """Says which VNet a DPE's cluster is in, and puts that VNet there."""
        self.world.network_there(network)
        assert self.session.set_field(f"dpe/{dpe}", "cluster_vnet", network).parsed.ok

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


async def test_a_record_that_is_replaced_keeps_its_ttl_as_the_commands_shown_do(make):
    """`add-record` and `remove-record` leave the TTL as it is; so do the write and what undoes it."""
    step = make()
    step.world.zone_there(DPM, VNET, apex=(STRANGER,))
    step.world.zone_there(MINIO, VNET, apex=(IP,))
    plan = await step.plan()
    await step.apply(plan)
    assert step.world.records[zone_id(DPM).lower(), "@"] == ARecord(zone_id(DPM), "@", (IP,), 3600)
    assert "--ttl" not in " ".join(plan.commands)
    assert plan.undo == f"set @ in {DPM} to {STRANGER} again"


# ---------------------------------------------------------------- several endpoints, several DPEs, several VNets


AKS = VNET.replace("vnet-weu", "vnet-aks")


async def test_two_endpoints_in_one_vnet_share_a_record(make):
    step = make()
    await step.apply()
    two = step.endpoint("pe-two")
    assert (await step.plan()).empty, "the first still answers"
    plan = await step.plan(two)
    assert plan.obstacle is None and plan.changes[1].text.endswith(f"{IP} to {IP}, 10.20.1.5")
    await step.apply(plan, two)
    assert step.answers(DPM) == (IP, "10.20.1.5")
    assert (await step.plan()).empty and (await step.plan(two)).empty, "neither takes it back from the other"


async def test_an_address_more_is_one_more_for_other_vnets_that_ask_the_zone(make):
    step = make()
    for host in (DPM, MINIO):
        step.world.zone_there(host, VNET, OTHER_VNET, apex=(IP,))
    two = step.endpoint("pe-two")
    notes = (await step.plan(two)).notes
    assert len(notes) == 2 and f"{DPM} resolves to {IP}, 10.20.1.5 there, too" in notes[0]
    assert (await step.plan()).notes == (), "nothing is written for the first"


async def test_an_endpoint_that_is_unlinked_goes_out_of_the_record(make):
    step = make()
    two = step.endpoint("pe-two")
    await step.apply()
    assert step.answers(DPM) == (IP, "10.20.1.5") and (await step.plan(two)).empty
    step.session.unlink("dpe/dpe-01", "endpoint/pe-two")
    plan = await step.plan()
    assert plan.obstacle is None, "this setup wrote it"
    await step.apply(plan)
    assert step.answers(DPM) == (IP,)


async def test_an_ipv6_address_of_another_endpoint_is_in_no_a_record(make):
    step = make()
    step.endpoint("pe-two", address="fd00::4")
    assert (await step.plan()).changes[1].text.endswith(f": {IP}")


async def test_nobody_is_sent_to_an_endpoint_that_is_not_proven_yet(make):
    """Its address is known while its connection is Pending. Half of the DPE's connections would go nowhere."""
    step = make()
    two = step.endpoint("pe-two", done=False)
    plan = await step.plan()
    assert plan.changes[1].text.endswith(f"record @ in {DPM}: {IP}") and "10.20.1.5" not in " ".join(plan.commands)
    (note,) = plan.notes
    assert "10.20.1.5 of pe-two is left out: step 3 pe-two is not done (to do)" in note
    assert "run this step for pe-two" in note
    await step.apply(plan)
    assert step.answers(DPM) == step.answers(MINIO) == (IP,)
    plan = await step.plan()
    assert plan.empty and plan.notes == ()
    attest_until(step.session, "resource-id")
    assert (await step.plan()).empty, "the first still answers"
    await step.apply(place=two)
    assert step.answers(DPM) == step.answers(MINIO) == (IP, "10.20.1.5")


async def test_an_address_that_a_record_holds_is_not_taken_out_for_want_of_proof(make):
    """It was put there when it was proven, or by somebody who knows; the check takes it as right, too."""
    step = make()
    step.endpoint("pe-two", done=False)
    step.endpoint("pe-three", address="10.20.1.6", done=False)
    step.world.zone_there(DPM, VNET, apex=("10.20.1.5",))
    step.world.zone_there(MINIO, VNET, apex=(IP, "10.20.1.5"))
    plan = await step.plan()
    assert plan.obstacle is None and plan.changes[1].text.endswith(f"10.20.1.5 to {IP}, 10.20.1.5")
    assert signs(plan) == ["=", "~", "=", "=", "=", "="]
    (note,) = plan.notes
    assert "10.20.1.6 of pe-three is left out" in note
    await step.apply(plan)
    assert step.answers(DPM) == (IP, "10.20.1.5")


async def test_an_address_of_two_endpoints_is_written_when_one_of_them_is_proven(make):
    step = make()
    step.endpoint("pe-two")
    step.endpoint("pe-three", done=False)
    plan = await step.plan()
    assert plan.changes[1].text.endswith(f": {IP}, 10.20.1.5") and plan.notes == ()


async def test_two_dpes_take_nothing_from_each_other_while_an_endpoint_is_not_proven(make):
    step = make()
    two = step.endpoint("pe-two")
    await step.apply()
    step.dpe("dpe-02")
    for name in ("pe-weu", "pe-two"):
        step.session.link("dpe/dpe-02", f"endpoint/{name}")
    step.session.set_field("endpoint/pe-two", "subnet", f"{VNET}/subnets/snet-other")
    for dpe in ("dpe-01", "dpe-02"):
        assert (await step.plan(ItemStep("dns", (f"dpe/{dpe}", "endpoint/pe-weu")))).empty
    step.session.unlink("dpe/dpe-02", "endpoint/pe-two")
    obstacle = (await step.plan(ItemStep("dns", ("dpe/dpe-02", "endpoint/pe-weu")))).obstacle
    assert obstacle and "dpe-01 with pe-two needs 10.20.1.5" in obstacle.what
    assert step.answers(DPM) == (IP, "10.20.1.5") and (await step.plan(two)).empty


async def test_the_clusters_vnet_is_linked_and_not_the_endpoints(make):
    step = make()
    step.cluster_in(AKS)
    plan = await step.plan()
    assert [one.text for one in plan.changes if one.text.startswith("link")] == [
        f"link {host} to vnet-aks" for host in (DPM, MINIO)
    ]
    (note,) = plan.notes
    assert "in vnet-weu, and the hosts are asked for in vnet-aks: these must be peered" in note and "can't see" in note
    await step.apply(plan)
    assert step.answers(DPM, AKS) == step.answers(MINIO, AKS) == (IP,) and step.answers(DPM) == ("public",)
    plan = await step.plan()
    assert plan.empty and plan.notes == (note,), "it stays true"


@pytest.mark.parametrize("cluster", [VNET, OTHER_VNET, AKS])
async def test_endpoints_in_two_vnets_share_the_record_of_the_clusters_vnet(make, cluster: str):
    """The cluster is in one of them, or in a third one that is peered with both."""
    step = make()
    two = step.endpoint("pe-two", OTHER_VNET, "10.30.1.4")
    if cluster != VNET:
        step.cluster_in(cluster)
    else:
        assert step.session.set_field("dpe/dpe-01", "cluster_vnet", VNET).parsed.ok
    plans = [await step.plan(place) for place in (DNS, two)]
    assert plans[0].changes == plans[1].changes and plans[0].commands == plans[1].commands
    (note,) = plans[0].notes
    homes = ", ".join(name for name in ("vnet-neu", "vnet-weu") if not cluster.endswith(name))
    assert f"in {homes}, and the hosts are asked for in" in note and plans[1].notes == (note,)
    await step.apply(plans[0])
    assert step.answers(DPM, cluster) == (IP, "10.30.1.4")
    assert (await step.plan()).empty and (await step.plan(two)).empty


async def test_the_second_endpoints_address_comes_in_when_it_is_known(make):
    step = make()
    step.cluster_in(AKS)
    await step.apply()
    two = step.endpoint("pe-two", OTHER_VNET, "10.30.1.4")
    assert (await step.plan()).empty, "what is there is right for the first"
    await step.apply(place=two)
    assert step.answers(DPM, AKS) == (IP, "10.30.1.4")
    assert (await step.plan()).empty and (await step.plan(two)).empty


async def test_without_a_cluster_vnet_each_vnet_gets_an_answer_of_its_own(make):
    """Zones of one name can't be in one resource group: the second goes into that of its VNet."""
    step = make()
    step.world.network_there(OTHER_VNET)
    two = step.endpoint("pe-two", OTHER_VNET, "10.30.1.4")
    await step.apply()
    plan = await step.plan(two)
    assert plan.obstacle is None and plan.changes[0].text == f"zone {DPM} in rg-net"
    await step.apply(plan, two)
    assert step.answers(DPM) == (IP,) and step.answers(DPM, OTHER_VNET) == ("10.30.1.4",)
    assert (await step.plan()).empty and (await step.plan(two)).empty


async def test_where_no_group_is_free_the_other_endpoint_is_named_and_the_way_out(make):
    step = make()
    step.world.network_there(OTHER_VNET)
    two = step.endpoint("pe-two", OTHER_VNET, "10.30.1.4")
    await step.apply()
    for host in (DPM, MINIO):
        step.world.zone_there(host, AKS, group=GROUP.replace("rg-net-data", "rg-net"), apex=(STRANGER,))
    obstacle = (await step.plan(two)).obstacle
    assert obstacle and f"dpe-01 with pe-weu needs {IP} in vnet-weu" in obstacle.what
    assert "enter that as VNet of the DPE: then they share one record" in obstacle.what


async def test_two_dpes_of_one_host_in_different_vnets_do_not_touch_each_other(make):
    step = make()
    step.world.network_there(OTHER_VNET)
    await step.apply()
    step.dpe("dpe-02")
    other = step.endpoint("pe-neu", OTHER_VNET, "10.30.1.4", "dpe-02")
    await step.apply(place=other)
    assert step.answers(DPM) == (IP,) and step.answers(DPM, OTHER_VNET) == ("10.30.1.4",)
    assert (await step.plan()).empty and (await step.plan(other)).empty


async def test_two_dpes_with_one_endpoint_share_what_is_there(make):
    step = make()
    step.dpe("dpe-02")
    step.session.link("dpe/dpe-02", "endpoint/pe-weu")
    await step.apply()
    assert (await step.plan(ItemStep("dns", ("dpe/dpe-02", "endpoint/pe-weu")))).empty


async def test_two_dpes_that_want_different_answers_in_one_vnet_do_not_fight(make):
    """A host has one answer there. Each would take the record from the other, without end and without a word."""
    step = make()
    await step.apply()
    step.dpe("dpe-02")
    other = step.endpoint("pe-two", VNET, "10.20.1.5", "dpe-02")
    obstacle = (await step.plan(other)).obstacle
    assert obstacle and f"dpe-01 with pe-weu needs {IP} in vnet-weu" in obstacle.what
    assert "link both with the same endpoints" in obstacle.what
    step.session.link("dpe/dpe-02", "endpoint/pe-weu")
    assert (await step.plan(other)).obstacle is None, "both are wanted there now"
    await step.apply(place=other)
    obstacle = (await step.plan()).obstacle
    assert obstacle and "dpe-02 with pe-two needs 10.20.1.5" in obstacle.what
    step.session.link("dpe/dpe-01", "endpoint/pe-two")
    assert (await step.plan()).empty


async def test_evidence_rests_on_the_clusters_vnet(make):
    """Given or by default, another VNet makes it stale; where it is given, the endpoint's own does not count."""
    step = make()

    def fingerprint() -> str:
        view: View = step.session.view(DNS)
        return view.fingerprint("records", 1)

    seen = [fingerprint()]
    step.session.set_field("endpoint/pe-weu", "subnet", SUBNET.replace("vnet-weu", "vnet-neu"))
    seen.append(fingerprint())
    step.cluster_in(AKS)
    seen.append(fingerprint())
    assert len(set(seen)) == 3
    step.session.set_field("endpoint/pe-weu", "subnet", SUBNET)
    assert fingerprint() == seen[-1]


async def test_the_guides_own_action_and_look_use_the_clusters_vnet(make):
    step = make()
    step.cluster_in(AKS)
    await step.apply()
    guide_step = GUIDE.step("dns")
    assert guide_step and guide_step.action
    plan = await guide_step.action().plan(step.session.view(DNS), step.session.readers)
    assert plan.empty and any("vnet-aks" in one.text for one in plan.changes)
    look = next(check for check in guide_step.checks if check.id == "records")
    finding = await look.run(step.session.view(DNS), step.session.readers)
    assert finding.verdict == "good" and "linked to vnet-aks" in finding.text
    step.session.set_field("dpe/dpe-01", "cluster_vnet", "")
    finding = await look.run(step.session.view(DNS), step.session.readers)
    assert finding.verdict == "bad" and "is linked to vnet-aks, not to vnet-weu" in finding.text


async def test_a_clusters_vnet_that_is_not_there_names_its_field(make):
    step = make()
    assert step.session.set_field("dpe/dpe-01", "cluster_vnet", AKS).parsed.ok
    problem = await stopped(step.plan())
    assert problem.code == "no-network" and "VNet of the DPE" in problem.todo


# ---------------------------------------------------------------- what may stand in the way


async def test_dns_servers_of_the_vnet_are_noted_even_when_nothing_is_to_do(make):
    step = make()
    step.world.network_ = replace(step.world.network_, dns_servers=("10.0.0.10",))
    (note,) = (await step.plan()).notes
    assert "10.0.0.10" in note and "168.63.129.16" in note
    assert "linked to the VNet of these servers" in note and "enter it as VNet of the DPE" in note
    await step.apply()
    assert (await step.plan()).notes == (note,)


@pytest.mark.parametrize(
    ("denied", "says"),
    [
        ("privateDnsZones/write", f"Microsoft.Network/privateDnsZones/write at {GROUP}"),
        ("virtualNetworks/join/action", f"Microsoft.Network/virtualNetworks/join/action at {VNET}"),
        ("privateDnsZones/A/write", f"Microsoft.Network/privateDnsZones/A/write at {GROUP}"),
        ("privateDnsZones/A/read", f"Microsoft.Network/privateDnsZones/A/read at {GROUP}"),
        (
            "privateDnsZones/virtualNetworkLinks/write",
            f"Microsoft.Network/privateDnsZones/virtualNetworkLinks/write at {GROUP}",
        ),
    ],
)
async def test_what_is_likely_not_allowed_is_noted(make, denied: str, says: str):
    step = make()
    step.world.denied = {f"Microsoft.Network/{denied}"}
    (note,) = (await step.plan()).notes
    assert "likely not allowed" in note and says in note


# ---------------------------------------------------------------- hub and spoke


def subscription(number: int) -> str:
    return f"{number:08x}-5b1e-4f0a-9a77-0c1d2e3f4a5b"


HUB = subscription(0)
HUB_GROUP = OTHER_GROUP.replace(SUBSCRIPTION, HUB)


def readable(*ids: str) -> tuple[Subscription, ...]:
    return tuple(Subscription(one, f"Sub {number}", "Enabled") for number, one in enumerate(ids))


def refusing(step: Step5, method: str, whose: str) -> None:
    """Lets nothing be read of a subscription."""
    asked = getattr(step.world, method)

    async def refuse(about: str, *rest: str) -> Any:
        if whose in about:
            step.world.calls.append(method)
            raise Problem("forbidden", "Not for you.")
        return await asked(about, *rest)

    setattr(step.world, method, refuse)


async def test_zones_of_the_vnets_subscription_count_even_when_none_can_be_listed(make):
    step = make()
    vnet = VNET.replace(SUBSCRIPTION, HUB)
    assert step.session.set_field("endpoint/pe-weu", "subnet", SUBNET.replace(SUBSCRIPTION, HUB)).parsed.ok
    step.world.network_ = replace(step.world.network_, id=vnet)
    for host in (DPM, MINIO):
        step.world.zone_there(host, vnet, group=HUB_GROUP, apex=(IP,))
    plan = await step.plan()
    assert plan.empty and plan.notes == () and step.world.calls.count("zones") == 2
    assert step.world.calls.count("subscriptions") == 0, "a zone of the host's name that is linked settles it"
    step.world.fails["subscriptions"] = [Problem("forbidden", "Not for you.")]
    assert f"zone {DPM} in rg-dns of subscription {HUB}" in plan.changes[0].text
    refusing(step, "zones", HUB)
    plan = await step.plan()
    assert signs(plan) == ["+"] * 6
    assert f"zones of subscription {HUB} could not be looked at: Not for you." in plan.notes[0]
    assert plan.notes[1].startswith("which other subscriptions hold private DNS zones could not be looked at: Not for")


@pytest.mark.parametrize("name", [DPM, "ataccama.link"])
async def test_a_zone_in_a_central_subscription_that_is_linked_is_where_the_record_goes(make, name: str):
    """A zone of our own beside it could not be linked, or would take the name from the team that keeps it."""
    step = make()
    step.world.others = readable(HUB)
    step.world.zone_there(name, VNET, OTHER_VNET, group=HUB_GROUP)
    plan = await step.plan()
    zone, record, link = plan.changes[:3]
    assert [one.sign for one in (zone, record, link)] == ["=", "+", "="]
    assert f"of subscription {HUB}" in zone.text
    assert any("vnet-neu as well" in note for note in plan.notes)
    assert any("hides every name under it" in note for note in plan.notes) is (name != DPM)
    assert f"--subscription {HUB} --resource-group rg-dns" in plan.commands[0]
    await step.apply(plan)
    assert step.answers(DPM) == (IP,) and (await step.plan()).empty


async def test_each_subscription_is_one_list_and_links_are_asked_of_zones_of_the_host_only(make):
    step = make()
    step.world.others = readable(*map(subscription, range(5)))
    for number in range(30):
        step.world.zone_there(f"privatelink-{number}.example", VNET, group=HUB_GROUP)
    step.world.zone_there(DPM, group=HUB_GROUP)
    await step.plan()
    calls = step.world.calls
    assert (calls.count("subscriptions"), calls.count("zones"), calls.count("zone_links")) == (1, 1 + 5, 1)


async def test_at_most_fifty_subscriptions_are_looked_through_and_the_rest_is_counted(make):
    step = make()
    step.world.others = readable(*map(subscription, range(60)))
    step.cluster_in(VNET.replace(SUBSCRIPTION, subscription(59)))
    at_once = most = 0
    zones = step.world.zones

    async def counted(of: str) -> Any:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0)
        at_once -= 1
        return await zones(of)

    step.world.zones = counted
    plan = await step.plan()
    assert step.world.calls.count("zones") == 50 and 1 < most <= 10
    (note,) = (one for one in plan.notes if "were not looked at" in one)
    assert "11 of 61 subscriptions were not looked at for private DNS zones (50 are at most)" in note
    assert f"Sub 48 ({subscription(48)})" in note and "and 8 more" in note, "the VNet's own was looked at, though last"


async def test_subscriptions_that_can_not_be_read_are_one_note(make):
    step = make()
    step.world.others = readable(*map(subscription, range(6)))
    refusing(step, "zones", "-5b1e-4f0a-9a77-0c1d2e3f4a5b")
    assert (await stopped(step.plan())).code == "forbidden", "the endpoint's own must be readable"
    del step.world.zones
    for number in range(5):
        refusing(step, "zones", subscription(number))
    plan = await step.plan()
    (note,) = plan.notes
    assert f"zones of subscriptions Sub 0 ({subscription(0)})" in note and "and 2 more could not be looked at" in note
    assert "a zone there that is linked to vnet-weu is not seen" in note
    assert signs(plan) == ["+"] * 6


async def test_links_that_can_not_be_read_elsewhere_are_a_note_and_here_a_failure(make):
    step = make()
    step.world.others = readable(HUB)
    step.world.zone_there(DPM, VNET, group=HUB_GROUP, apex=(IP,))
    refusing(step, "zone_links", HUB)
    plan = await step.plan()
    assert f"the links of zone {DPM} in rg-dns of subscription {HUB}" in plan.notes[0]
    step.world.zone_there(DPM)
    refusing(step, "zone_links", SUBSCRIPTION)
    assert (await stopped(step.plan())).code == "forbidden"


@pytest.mark.parametrize("network", [VNET, OTHER_VNET])
async def test_a_record_that_can_not_be_read_far_away_stops_it_only_where_the_vnet_asks(make, network: str):
    step = make()
    step.world.others = readable(HUB)
    step.world.zone_there(DPM, network, group=HUB_GROUP, apex=(IP,))
    refusing(step, "a_record", HUB)
    if network == VNET:
        assert (await stopped(step.plan())).code == "forbidden"
    else:
        assert signs(await step.plan()) == ["+"] * 6


async def test_an_empty_zone_far_away_is_another_teams(make):
    """It is not linked to this VNet, and what it is for nobody knows; one that holds the right answer is used."""
    step = make()
    step.world.others = readable(HUB)
    step.world.zone_there(DPM, OTHER_VNET, group=HUB_GROUP)
    step.world.zone_there(MINIO, OTHER_VNET, group=HUB_GROUP, apex=(IP,))
    assert signs(await step.plan()) == ["+", "+", "+", "=", "=", "+"]


async def test_what_is_needed_is_asked_where_it_is_needed(make):
    step = make()
    step.world.others = readable(HUB)
    step.world.zone_there(DPM, VNET, group=HUB_GROUP)
    step.world.zone_there(MINIO, VNET, apex=(IP,))
    scopes: list[str] = []
    permissions = step.world.permissions

    async def noted(scope: str, actions: Any) -> Any:
        scopes.append(f"{scope} {' '.join(one.rpartition('Microsoft.Network/')[2] for one in actions)}")
        return await permissions(scope, actions)

    step.world.permissions = noted
    await step.plan()
    assert scopes == [f"{HUB_GROUP} privateDnsZones/A/read privateDnsZones/A/write"]
    assert step.world.calls.count("provider_registered") == 0, "a zone that is there is of a provider that is there"


@pytest.mark.parametrize(("provisioning", "code"), [("Failed", "link-failed"), ("Deleting", "link-deleting")])
async def test_a_link_that_comes_to_nothing_stops_the_plan_with_the_way_out(make, provisioning: str, code: str):
    """An empty plan would say that all is there, and the check that nothing is: without end."""
    step = make()
    await step.apply()
    (link,) = (one for one in step.world.links.values() if DPM in one.zone_id)
    step.world.links[link.id.lower()] = replace(link, provisioning=provisioning)
    problem = await stopped(step.plan())
    assert (problem.code, f"to vnet-weu is {provisioning}" in problem.what) == (code, True)
    assert ("link vnet delete" in problem.todo) == (code == "link-failed") and "run this step again" in problem.todo
    del step.world.links[link.id.lower()]
    await step.apply()
    assert step.answers(DPM) == (IP,) and (await step.plan()).empty


async def test_a_link_that_is_in_the_making_needs_nothing(make):
    step = make()
    await step.apply()
    for key, link in step.world.links.items():
        step.world.links[key] = replace(link, state="InProgress", provisioning="Updating")
    assert (await step.plan()).empty


@pytest.mark.parametrize("far", [False, True])
async def test_beside_a_link_that_failed_the_zone_that_answers_is_used(make, far: bool):
    """Most often the link failed because of that other zone: a VNet can't link two of one name."""
    step = make()
    step.world.others = readable(HUB)
    for host in (DPM, MINIO):
        step.world.zone_there(host, VNET)
        step.world.zone_there(host, VNET, group=HUB_GROUP if far else OTHER_GROUP, apex=(IP,))
    for key, link in step.world.links.items():
        if link.zone_id.startswith(GROUP):
            step.world.links[key] = replace(link, state="InProgress", provisioning="Failed")
    assert (await step.plan()).empty


async def test_a_link_that_fails_while_it_is_made_ends_so(make):
    step = make()
    create = step.world.create_link

    async def fails(link_id: str, network_id: str) -> None:
        await create(link_id, network_id)
        step.world._work.clear()
        key = link_id.lower()
        step.world._status[key] = Operation("Succeeded")
        step.world.links[key] = replace(step.world.links[key], provisioning="Failed")

    step.world.create_link = fails
    problem = await stopped(step.apply())
    assert (problem.code, step.outcomes()[-1]) == ("link-failed", "failed")
    assert f"--zone-name {DPM}" in problem.todo and "Somebody else" not in problem.means


async def test_a_link_name_that_another_vnet_has_is_not_taken(make):
    step = make()
    await step.apply()
    (link,) = (one for one in step.world.links.values() if DPM in one.zone_id)
    step.world.links[link.id.lower()] = replace(link, network_id=OTHER_VNET)
    plan = await step.plan()
    assert plan.changes[2].sign == "+"
    await step.apply(plan)
    assert {one.name for one in step.world.links.values() if DPM in one.zone_id} == {link.name, f"{link.name}-2"}
    assert step.answers(DPM) == (IP,)


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
    step.world.zone_there(DPM)
    problem = await stopped(step.apply(plan))
    assert problem.code == "azure-changed-meanwhile" and "PreconditionFailed" in problem.what
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


async def test_two_setups_that_write_at_once_end_with_one_of_each(tmp_path: Path):
    """Both have planned to make everything. The second stops at what is there, and its next plan finds it right."""
    world = World()
    steps = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        steps.append(Step5(tmp_path / name, world))
    plans = [await step.plan() for step in steps]
    await steps[0].apply(plans[0])
    written = list(world.writes)
    assert (await stopped(steps[1].apply(plans[1]))).code == "azure-changed-meanwhile"
    assert world.writes == written and steps[1].outcomes() == ["failed"]
    assert (await steps[1].plan()).empty


async def test_a_zone_that_somebody_deletes_before_the_next_start_is_made_by_the_next_plan(make):
    step = make()
    plan = await step.plan()
    step.world.dies = (len(step.world.calls) + 2, True)
    with pytest.raises(Died):
        await step.apply(plan)
    step.world._work.clear()
    (change,) = step.session.interrupted()
    await step.session.resume(change, step.moments.append)
    (end,) = step.ends()
    assert end.outcome == "cancelled" and "it is not there: Azure never began it, or it was undone since" in end.summary
    await step.apply()
    assert step.answers(DPM) == step.answers(MINIO) == (IP,)


@pytest.mark.parametrize("does", ["create_zone", "set_a_record", "create_link"])
async def test_a_change_whose_zone_goes_away_before_the_next_start_ends_and_the_plan_starts_afresh(make, does: str):
    """Also one with something there before it: an end that can't be told would keep the step from being run."""
    step = make()
    plan = await step.plan()
    send = getattr(step.world, does)

    async def and_die(*about: Any, **more: Any) -> None:
        await send(*about, **more)
        raise Died

    setattr(step.world, does, and_die)
    with pytest.raises(Died):
        await step.apply(plan)
    delattr(step.world, does)
    step.world._work.clear()
    for kept in (step.world.zones_, step.world.links, step.world.records):
        kept.clear()
    (change,) = step.session.interrupted()
    await step.session.resume(change, step.moments.append)
    assert step.outcomes()[-1] == "cancelled" and step.session.interrupted() == ()
    assert signs(await step.plan()) == ["+"] * 6
    await step.apply()
    assert step.answers(DPM) == step.answers(MINIO) == (IP,)


async def test_a_zone_that_shows_itself_late_is_waited_for_by_the_next_start(tmp_path: Path):
    """It is not in the list while Azure makes it, and nobody knows the operation any more: that is not its end."""
    world = World()
    action = PrivateDns(hosts=("dpm_host",), address="private_ip", pace=replace(FAST, unseen=5))
    step = Step5(tmp_path, world, action=action)
    plan = await step.plan()
    world.polls = 30
    world.dies = (len(world.calls) + 2, True)
    with pytest.raises(Died):
        await step.apply(plan)
    (change,) = step.session.interrupted()
    await step.session.resume(change, step.moments.append)
    assert step.outcomes() == ["done"]


async def test_a_record_that_nobody_waited_for_is_ours_where_it_holds_what_was_asked(make):
    step = make()
    step.world.zone_there(DPM, VNET)
    step.world.zone_there(MINIO, VNET, apex=(IP,))
    plan = await step.plan()
    step.world.fails["a_record"] = [Problem("azure-unreachable", "No answer.")] * TRIES
    assert (await stopped(step.apply(plan))).code == "azure-lost-sight"
    assert step.outcomes() == ["unknown"] and step.answers(DPM) == (IP,)
    step.session.set_field("endpoint/pe-weu", "private_ip", "10.20.1.7")
    step.world.zone_there(MINIO, VNET, apex=("10.20.1.7",))
    assert (await step.plan()).obstacle is None


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


async def test_a_record_that_azure_never_began_to_replace_is_told_as_it_was(make):
    step = make()
    step.world.zone_there(DPM, VNET, apex=(STRANGER,))
    step.world.zone_there(MINIO, VNET, apex=(IP,))
    plan = await step.plan()
    step.world.dies = (len(step.world.calls) + 2, False)
    with pytest.raises(Died):
        await step.apply(plan)
    assert step.world.writes == [] and step.answers(DPM) == (STRANGER,)
    (change,) = step.session.interrupted()
    await step.session.resume(change, step.moments.append)
    (end,) = step.ends()
    assert end.outcome == "cancelled" and "it is as it was before: Azure never began it" in end.summary


@pytest.mark.parametrize("provisioning", ["Failed", "Canceled"])
async def test_a_link_that_azure_gave_up_is_not_waited_for(make, provisioning: str):
    step = make()
    step.world.zone_there(DPM, apex=(IP,))
    step.world.zone_there(MINIO, VNET, apex=(IP,))
    plan = await step.plan()
    step.world.dies = (len(step.world.calls) + 2, True)
    with pytest.raises(Died):
        await step.apply(plan)
    assert [name for name, _ in step.world.writes] == ["create_link"]
    step.world._work.clear()
    for key, link in list(step.world.links.items()):
        if link.state == "InProgress":
            step.world.links[key] = replace(link, provisioning=provisioning)
    (change,) = step.session.interrupted()
    await step.session.resume(change, step.moments.append)
    (end,) = step.ends()
    assert (end.outcome, end.facts["code"]) == ("failed", "link-failed")


async def test_link_names_fit_and_tell_vnets_of_one_name_apart(make):
    step = make()
    await step.apply()
    names = {name_after(one.id, "virtualNetworkLinks") for one in step.world.links.values()}
    assert len(names) == 1 and all(name.startswith("vnet-weu-") and len(name) <= 80 for name in names)
