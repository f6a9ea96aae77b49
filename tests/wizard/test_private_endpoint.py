"""The plan of step 3, what applying it writes and asks, and how an interrupted one is told."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from state.events import FAILED, UNKNOWN, ChangeFinished, ChangeStarted, FieldSet
from state.problem import EXIT_BAD, EXIT_NOT_YET, Problem
from tests.setups import ALIAS, ENDPOINT_ID, SUBNET, SUBSCRIPTION
from tests.wizard.azure_world import BOB, FAST, GROUP, READS, SERVICE_ID, VNET, Died, World
from tests.wizard.engine import ENDPOINT, GUIDE, attest_until, fill, journalled, opened, with_step
from wizard.actions.azure_facts import TRIES
from wizard.actions.endpoint_states import same_service
from wizard.actions.private_endpoint import PrivateEndpoint
from wizard.azure import (
    CANCELED,
    DELETING,
    DISCONNECTED,
    PENDING,
    REJECTED,
    UPDATING,
    Carried,
    Interface,
    IpConfiguration,
    Operation,
)
from wizard.azure import FAILED as PROVISIONING_FAILED
from wizard.guide import Moment, Plan
from wizard.ports import LEAVE, Readers, Writers
from wizard.session import Session

OTHER_ALIAS = ALIAS.replace("dpe.", "other.")


class Step3:
    """A setup whose steps 1 and 2 are confirmed, over an Azure in memory."""

    def __init__(self, path: Path, world: World, pace: Any = FAST, fills_id: str = "") -> None:
        self.world = world
        guide = with_step(GUIDE, "endpoint", action=lambda: PrivateEndpoint(pace, fills_id=fills_id))
        self.session: Session = fill(opened(path, Readers(azure=world), Writers(azure=world), guide))
        attest_until(self.session, "register")
        self.moments: list[Moment] = []

    async def plan(self) -> Plan:
        return await self.session.plan(ENDPOINT)

    async def apply(self, plan: Plan | None = None) -> None:
        await self.session.apply(ENDPOINT, plan or await self.plan(), self.moments.append)

    async def resume(self) -> None:
        (change,) = self.session.interrupted()
        await self.session.resume(change, self.moments.append)

    def private_ip(self) -> tuple[str | None, str]:
        recorded = self.session.snapshot.values["endpoint/pe-weu"].get("private_ip")
        return (recorded.data.value, recorded.data.source) if recorded else (None, "")

    def outcomes(self) -> list[str]:
        return [one.outcome for one in self.ends()]

    def ends(self) -> list[ChangeFinished]:
        found = [one.data for one in journalled(self.session, "change_finished")]
        return [one for one in found if isinstance(one, ChangeFinished)]


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Step3]:
    def made(world: World | None = None, pace: Any = FAST, fills_id: str = "") -> Step3:
        return Step3(tmp_path, world or World(), pace, fills_id)

    return made


async def stopped(work: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        await work
    return caught.value


def without_ip(step: Any) -> Any:
    step.session.set_field("endpoint/pe-weu", "private_ip", "")
    return step


# ---------------------------------------------------------------- plan


async def test_a_plan_names_what_it_makes_and_where(make):
    step = make()
    plan = await step.plan()
    assert [(one.sign, one.text) for one in plan.changes] == [
        ("+", f"endpoint pe-weu in rg-net-data, westeurope, to {ALIAS}"),
        ("+", "NIC pe-weu-nic in vnet-weu/snet-pe"),
    ]
    assert plan.summary == "create pe-weu in westeurope", "the VNet's region, not the group's"
    assert plan.notes == () and plan.obstacle is None and len(plan.digest) == 64
    assert set(step.world.calls) <= READS and step.world.writes == []
    assert journalled(step.session, "change_started") == []


async def test_the_command_shown_is_the_same_request(make):
    (command,) = (await make().plan()).commands
    words = shlex.split(command)
    assert words[:4] == ["az", "network", "private-endpoint", "create"]
    said = dict(zip(words[4::2], words[5::2], strict=True))
    assert said == {
        "--subscription": SUBSCRIPTION,
        "--resource-group": "rg-net-data",
        "--name": "pe-weu",
        "--location": "westeurope",
        "--subnet": SUBNET,
        "--nic-name": "pe-weu-nic",
        "--connection-name": "pe-weu",
        "--private-connection-resource-id": ALIAS,
        "--manual-request": "true",
        "--request-message": f"pe-weu in subscription {SUBSCRIPTION}",
    }
    assert len(said["--request-message"]) <= 140


@pytest.mark.parametrize("service", [ALIAS, ALIAS.upper(), SERVICE_ID])
async def test_an_endpoint_that_is_so_is_an_empty_plan(make, service: str):
    step = make()
    step.world.endpoint_there(ENDPOINT_ID.upper(), service, subnet_id=SUBNET.upper())
    plan = await step.plan()
    assert plan.empty and plan.commands == ()
    assert plan.notes == ()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"service": OTHER_ALIAS}, f"connects to {OTHER_ALIAS} and not to {ALIAS}"),
        ({"service": SERVICE_ID.replace("/dpe", "/other")}, "connects to /subscriptions/99999999"),
        ({"subnet_id": f"{SUBNET}-2"}, f"in the subnet {SUBNET}-2 and not in {SUBNET}"),
        ({"service": OTHER_ALIAS, "connection": DISCONNECTED}, "connects to"),
    ],
)
async def test_somebody_elses_endpoint_is_an_obstacle(make, changes: dict[str, str], says: str):
    step = make()
    step.world.endpoint_there(ENDPOINT_ID, ALIAS)
    found = step.world.endpoints_[ENDPOINT_ID.lower()]
    step.world.endpoints_[ENDPOINT_ID.lower()] = replace(found, **changes)
    problem = await stopped(step.plan())
    assert (problem.code, problem.exit_code) == ("endpoint-taken", EXIT_BAD)
    assert says in problem.what


@pytest.mark.parametrize("connection", [REJECTED, DISCONNECTED])
async def test_a_dead_one_is_an_obstacle(make, connection: str):
    step = make()
    step.world.endpoint_there(ENDPOINT_ID, ALIAS, connection=connection, message="not you")
    plan = await step.plan()
    assert [one.sign for one in plan.changes] == ["-", "+", "+"]
    assert plan.obstacle and "vendor" in plan.obstacle.what and plan.obstacle.risk
    assert [shlex.split(command)[3] for command in plan.commands] == ["delete", "create"]
    await step.apply(plan)
    assert [name for name, _ in step.world.writes] == ["delete_endpoint", "create_endpoint"]
    assert step.outcomes() == ["done", "done"]
    assert (await step.plan()).empty


@pytest.mark.parametrize("provisioning", [PROVISIONING_FAILED, CANCELED])
async def test_one_whose_last_update_failed_and_that_is_connected_is_not_made_anew(make, provisioning: str):
    """Failed is how the last PUT ended: whoever uses the endpoint goes on using it."""
    step = without_ip(make())
    step.world.endpoint_there(ENDPOINT_ID, ALIAS, provisioning=provisioning)
    plan = await step.plan()
    assert plan.obstacle is None and plan.commands == () and [one.sign for one in plan.changes] == ["=", "+"]
    (note,) = plan.notes
    assert provisioning in note and "still connected" in note
    assert f"az network private-endpoint update --ids {ENDPOINT_ID}" in note
    await step.apply(plan)
    assert step.world.writes == [] and step.private_ip() == ("10.20.1.4", "azure")


@pytest.mark.parametrize("provisioning", [PROVISIONING_FAILED, CANCELED])
async def test_one_that_could_not_be_provisioned_and_is_not_connected_is_made_anew(make, provisioning: str):
    step = make()
    step.world.endpoint_there(ENDPOINT_ID, ALIAS, provisioning=provisioning, connection=PENDING)
    plan = await step.plan()
    assert plan.obstacle and f"provisioning {provisioning}" in plan.obstacle.what
    await step.apply(plan)
    assert [name for name, _ in step.world.writes] == ["delete_endpoint", "create_endpoint"]


CARRIED = Carried(
    tags=(("owner", "jane doe"), ("cost center", "it's 42"), ("empty", "")),
    ip_configurations=(IpConfiguration("static", "10.20.1.77", "g", "m"),),
    security_groups=(f"{GROUP}/providers/Microsoft.Network/applicationSecurityGroups/asg-dpe",),
)


async def test_one_that_is_made_anew_is_given_again_what_the_dead_one_had(make):
    """Else a policy that requires a tag refuses it, once the old one is gone."""
    step = make()
    step.world.endpoint_there(ENDPOINT_ID, ALIAS, connection=REJECTED, carried=CARRIED)
    step.world.zone_groups_[ENDPOINT_ID.lower()] = ("default", "hub")
    plan = await step.plan()
    assert plan.notes == (), "no right is missing, the one to join the security group among them"
    assert [one.text for one in plan.changes[3:]] == [
        "tags owner=jane doe, cost center=it's 42, empty=, as before",
        "private IP 10.20.1.77, chosen by somebody, as before",
        "application security groups asg-dpe, as before",
    ]
    words = shlex.split(plan.commands[1])
    assert words[words.index("--tags") + 1 :] == [
        *("owner=jane doe", "'cost center'=it's 42", "empty=''"),
        *("--ip-config", "name=static", "private-ip-address=10.20.1.77", "group-id=g", "member-name=m"),
        *("--asg", f"id={CARRIED.security_groups[0]}"),
    ]
    assert plan.obstacle is not None
    for said in ("as before is given to the new one again", "DNS zone groups are lost (default, hub)", "Locks"):
        assert said in plan.obstacle.what
    assert "private IP may change" not in plan.obstacle.what
    await step.apply(plan)
    assert step.world.endpoints_[ENDPOINT_ID.lower()].carried == CARRIED


async def test_what_can_not_be_looked_at_is_said_before_anything_is_deleted(make):
    step = make()
    step.world.endpoint_there(ENDPOINT_ID, ALIAS, connection=REJECTED, carried=CARRIED)
    step.world.fails["zone_groups"] = [Problem("forbidden", "Not for you.")]
    step.world.denied = frozenset({"Microsoft.Network/applicationSecurityGroups/joinIpConfiguration/action"})
    plan = await step.plan()
    assert plan.obstacle and "DNS zone groups could not be looked at (Not for you.)" in plan.obstacle.what
    (note,) = plan.notes
    assert f"joinIpConfiguration/action at {CARRIED.security_groups[0]}" in note


async def test_what_was_deleted_and_not_made_anew_yet_is_still_known_to_the_next_plan(make):
    step = make()
    step.world.endpoint_there(ENDPOINT_ID, ALIAS, connection=REJECTED, carried=CARRIED)
    step.world.fails["create_endpoint"] = [Problem("azure-policy", "A policy refuses it.")]
    assert (await stopped(step.apply())).code == "azure-policy"
    assert step.world.endpoints_ == {}
    plan = await step.plan()
    assert "tags owner=jane doe, cost center=it's 42, empty=, as before" in [one.text for one in plan.changes]
    await step.apply(plan)
    assert step.world.endpoints_[ENDPOINT_ID.lower()].carried == CARRIED
    step.world.endpoints_.clear()
    assert "--tags" not in (await step.plan()).commands[0], "what somebody deleted since is not ours to bring back"


async def test_a_tag_that_the_journal_refuses_stops_before_anything_is_deleted(make):
    """Else the old one would be gone when writing down the request for the new one is refused."""
    step = make()
    tags = (("key", "aB3xK9qL2mZ8vT5rW1yP7nD4cF6hJ0sG3kQ9bE5uXo2"),)
    step.world.endpoint_there(ENDPOINT_ID, ALIAS, connection=REJECTED, carried=Carried(tags))
    assert (await stopped(step.apply())).code == "secret-refused"
    assert step.world.writes == [] and step.session.interrupted() == ()


async def test_one_that_was_given_something_since_the_plan_is_not_deleted(make):
    step = make()
    step.world.endpoint_there(ENDPOINT_ID, ALIAS, connection=REJECTED)
    plan = await step.plan()
    step.world.endpoint_there(ENDPOINT_ID, ALIAS, connection=REJECTED, carried=CARRIED)
    assert (await stopped(step.apply(plan))).code == "changed-meanwhile"
    assert step.world.writes == []


async def test_one_that_is_being_deleted_is_waited_for(make):
    step = make()
    step.world.endpoint_there(ENDPOINT_ID, ALIAS, provisioning=DELETING)
    problem = await stopped(step.plan())
    assert (problem.code, problem.exit_code) == ("endpoint-deleting", EXIT_NOT_YET)


async def test_one_that_waits_for_the_vendor_is_not_made_again(make):
    step = make()
    step.world.approves = ()
    step.world.endpoint_there(ENDPOINT_ID, ALIAS, connection=PENDING)
    plan = await step.plan()
    assert plan.empty
    assert "Pending" in plan.notes[0] and SUBSCRIPTION in plan.notes[0] and "likely" in plan.notes[0]
    step.world.endpoint_there(ENDPOINT_ID, ALIAS, connection=PENDING, provisioning=UPDATING, addresses=())
    (note,) = (await step.plan()).notes
    assert "still at work" in note


def arranged(**changes: Any) -> Callable[[World], None]:
    def arrange(world: World) -> None:
        for name, value in changes.items():
            setattr(world, name, value)

    return arrange


def subnet(**changes: Any) -> Callable[[World], None]:
    def arrange(world: World) -> None:
        (one,) = world.network_.subnets
        world.network_ = replace(world.network_, subnets=(replace(one, **changes),))

    return arrange


@pytest.mark.parametrize(
    ("arrange", "says"),
    [
        (subnet(endpoint_policies="Enabled"), "--private-endpoint-network-policies Disabled"),
        (subnet(free=0), "likely has no free address"),
        (arranged(seen_by=set()), "likely not visible"),
        (arranged(approves=()), "likely does not approve"),
        (arranged(registered=False), "az provider register --namespace Microsoft.Network"),
        (arranged(groups=[]), "rg-net-data is likely not there"),
        (
            arranged(denied={"Microsoft.Network/privateEndpoints/write"}),
            "likely not allowed: Microsoft.Network/private",
        ),
        (
            arranged(fails={"permissions": [Problem("forbidden", "Not for you.")]}),
            "what is allowed could not be looked at: Not for you.",
        ),
    ],
)
async def test_what_may_stand_in_the_way_is_noted_and_stops_nothing(make, arrange, says: str):
    step = make()
    arrange(step.world)
    plan = await step.plan()
    (note,) = plan.notes
    assert says in note
    await step.apply(plan)
    assert step.outcomes() == ["done"]


async def test_a_service_seen_only_from_the_vnets_region_is_seen(make):
    """The alias names its service's region; which region to ask is nowhere said, so both are asked."""
    step = make()
    step.session.set_field("endpoint/pe-weu", "link_service", ALIAS.replace("westeurope", "eastus"))
    assert (await step.plan()).notes == ()
    assert step.world.calls.count("visible") == 2


@pytest.mark.parametrize(
    ("action", "scope"),
    [
        *((f"privateEndpoints/{verb}", GROUP) for verb in ("read", "write")),
        ("networkInterfaces/read", GROUP),
        ("virtualNetworks/read", VNET),
        *((f"virtualNetworks/subnets/{verb}", VNET) for verb in ("read", "join/action")),
    ],
)
async def test_every_right_that_the_plan_needs_is_looked_at(make, action: str, scope: str):
    step = make()
    step.world.denied = frozenset({f"Microsoft.Network/{action}"})
    (note,) = (await step.plan()).notes
    assert "likely not allowed" in note and f"Microsoft.Network/{action} at {scope}" in note


async def test_one_scope_that_can_not_be_asked_hides_nothing_of_the_others(make):
    """In a hub and spoke the VNet is another team's: who may not read rights there may still lack one here."""
    step = make()
    step.world.denied = frozenset({"Microsoft.Network/privateEndpoints/write"})
    permissions = step.world.permissions

    async def only_in_the_group(scope: str, actions: Any) -> Any:
        if "virtualNetworks" in scope:
            raise Problem("forbidden", "Not for you.")
        return await permissions(scope, actions)

    step.world.permissions = only_in_the_group
    (note,) = (await step.plan()).notes
    assert "could not be looked at: Not for you." in note
    assert "likely not allowed: Microsoft.Network/privateEndpoints/write" in note


# ---------------------------------------------------------------- names, and other endpoints


OTHER_ID = ENDPOINT_ID.replace("pe-weu", "pe-old").replace("rg-net-data", "rg-x")


@pytest.mark.parametrize(
    ("changes", "noted"),
    [
        ({}, True),
        ({"service": SERVICE_ID, "subnet_id": f"{SUBNET.upper()}-2", "connection": DISCONNECTED}, True),
        ({"service": OTHER_ALIAS}, False),
        ({"subnet_id": SUBNET.replace("vnet-weu", "vnet-neu")}, False),
    ],
)
async def test_another_endpoint_to_the_same_service_from_the_vnet_is_asked_about(make, changes, noted: bool):
    step = make()
    found = step.world.endpoint_there(OTHER_ID, changes.get("service", ALIAS))
    step.world.endpoints_[OTHER_ID.lower()] = found = replace(found, **changes)
    notes = (await step.plan()).notes
    assert len(notes) == noted
    if noted:
        assert f"pe-old in rg-x, provisioning Succeeded, connection {found.connection}: is it the one" in notes[0]
        assert step.world.calls.count("endpoints") == 1


async def test_an_endpoint_of_another_item_of_the_setup_is_no_question(make):
    step = make()
    step.session.add_item("endpoint", "pe-two")
    step.session.set_reference("endpoint/pe-two", "subscription", "main")
    step.session.add_item("endpoint", "pe-empty")
    for key, text in (("resource_group", "rg-x"), ("endpoint_name", "pe-old")):
        assert step.session.set_field("endpoint/pe-two", key, text).parsed.ok
    step.world.endpoint_there(OTHER_ID, ALIAS)
    assert (await step.plan()).notes == ()


async def test_many_other_endpoints_are_named_in_part_and_none_that_can_not_be_listed_stops_it(make):
    step = make()
    for number in range(5):
        step.world.endpoint_there(f"{OTHER_ID}-{number}", ALIAS)
    (note,) = (await step.plan()).notes
    assert "and 2 more: is one of them" in note and "pe-old-4" not in note
    step.world.fails["endpoints"] = [Problem("forbidden", "Not for you.")]
    (note,) = (await step.plan()).notes
    assert note == "other endpoints to the same service could not be looked at: Not for you."


NIC = f"{GROUP}/providers/Microsoft.Network/networkInterfaces/pe-weu-nic"


@pytest.mark.parametrize("whose", ["", OTHER_ID])
async def test_a_nic_of_that_name_is_somebody_elses_so_another_name_is_taken(make, whose: str):
    step = make()
    step.world.interfaces[NIC.lower()] = Interface(NIC, whose)
    plan = await step.plan()
    (note,) = plan.notes
    assert "there is a network interface pe-weu-nic" in note and (not whose or "of pe-old" in note)
    words = shlex.split(plan.commands[0])
    name = words[words.index("--nic-name") + 1]
    assert name.startswith("pe-weu-nic-") and name in note and name in plan.changes[1].text
    assert len(name) <= 80
    await step.apply(plan)
    assert step.world.endpoints_[ENDPOINT_ID.lower()].nic_id.endswith(name), "the plan is what runs"


async def test_the_nic_of_the_dead_endpoint_goes_with_it(make):
    step = make()
    step.world.endpoint_there(ENDPOINT_ID, ALIAS, connection=REJECTED)
    step.world.interfaces[NIC.lower()] = Interface(NIC.upper(), ENDPOINT_ID.upper())
    plan = await step.plan()
    assert plan.notes == () and "--nic-name pe-weu-nic " in plan.commands[1]


async def test_a_nic_that_may_not_be_read_is_a_note(make):
    step = make()
    step.world.fails["interface"] = [Problem("forbidden", "Not for you.")]
    (note,) = (await step.plan()).notes
    assert "whether the name pe-weu-nic is free could not be looked at: Not for you." in note


@pytest.mark.parametrize(("lack", "code"), [("network", "no-network"), ("subnet", "no-subnet")])
async def test_what_it_is_to_be_made_in_must_be_there(make, lack: str, code: str):
    step = make()
    world = step.world
    world.network_ = (
        replace(world.network_, id=f"{world.network_.id}-2")
        if lack == "network"
        else replace(world.network_, subnets=())
    )
    assert (await stopped(step.plan())).code == code


async def test_without_azure_the_plan_says_so(make):
    step = make()
    step.session.readers = Readers()
    assert (await stopped(step.plan())).code == "no-azure"


def test_services_are_compared_by_what_they_are():
    assert same_service(ALIAS, ALIAS.upper()) and same_service(ALIAS, SERVICE_ID)
    assert same_service(SERVICE_ID, SERVICE_ID.upper())
    assert not same_service(ALIAS, ALIAS.replace("3f0e1a52", "3f0e1a53")), "another service of the same name"
    assert not same_service(SERVICE_ID, SERVICE_ID.replace("/vendor/", "/vendor2/"))
    assert not same_service(OTHER_ALIAS, SERVICE_ID)


# ---------------------------------------------------------------- apply


async def test_it_is_written_before_and_after_and_asked_once(make):
    step = without_ip(make())
    await step.apply()
    assert step.world.writes == [("create_endpoint", ENDPOINT_ID)]
    types = [one.type for one in journalled(step.session)][-4:]
    assert types == ["identity_pinned", "change_started", "change_finished", "field_set"]
    started = journalled(step.session, "change_started")[-1].data
    assert isinstance(started, ChangeStarted)
    assert started.facts["resource"] == ENDPOINT_ID and len(started.digest) == 64
    assert started.undo == f"az network private-endpoint delete --ids {ENDPOINT_ID}"
    (finished,) = step.ends()
    assert finished.facts == {"provisioning": "Succeeded", "connection": "Approved", "private_ip": "10.20.1.4"}
    waits = [moment for moment in step.moments if moment.kind == "part"]
    assert [(one.ready, one.wanted) for one in (waits[0], waits[-1])] == [(0, 1), (1, 1)]
    assert waits[0].timeout == FAST.settle and "Updating" in waits[0].text
    assert (await step.plan()).empty


async def test_the_private_ip_comes_from_azure_and_is_no_answer_to_take_back(make):
    step = without_ip(make())
    answers = list(step.session._answers)
    await step.apply()
    assert step.private_ip() == ("10.20.1.4", "azure")
    assert step.session._answers == answers


async def test_an_endpoint_that_was_there_only_fills_in_its_address(make):
    step = make()
    step.world.endpoint_there(ENDPOINT_ID, ALIAS, addresses=("10.20.1.9",))
    plan = await step.plan()
    assert [one.text for one in plan.changes if one.sign != "="] == [
        "field Private IP: 10.20.1.4 to 10.20.1.9, from Azure"
    ]
    await step.apply(plan)
    assert step.private_ip() == ("10.20.1.9", "azure")
    assert step.world.writes == [] and journalled(step.session, "change_started") == []
    assert (await step.plan()).empty


async def test_an_address_the_field_refuses_is_left_out(make):
    step = without_ip(make())
    step.world.address = "52.1.2.3"
    await step.apply()
    assert step.private_ip()[0] is None
    assert (await step.plan()).empty


async def test_another_identity_than_planned_with_writes_nothing(make):
    step = make()
    plan = await step.plan()
    step.world.me = BOB
    problem = await stopped(step.apply(plan))
    assert (problem.code, problem.exit_code) == ("other-identity", EXIT_BAD)
    assert "22222222" in problem.what and "33333333" in problem.what, "both are named"
    assert step.world.writes == [] and journalled(step.session, "change_started") == []


async def test_another_identity_than_pinned_can_not_even_plan(make):
    step = make()
    await step.apply()
    step.world.me = BOB
    assert (await stopped(step.plan())).code == "other-identity"


async def test_an_identity_that_changes_between_two_writes_stops_there(make):
    step = make()
    step.world.endpoint_there(ENDPOINT_ID, ALIAS, connection=REJECTED)
    plan = await step.plan()
    delete = step.world.delete_endpoint

    async def and_sign_in_as_bob(resource: str) -> None:
        await delete(resource)
        step.world.me = BOB

    step.world.delete_endpoint = and_sign_in_as_bob
    assert (await stopped(step.apply(plan))).code == "other-identity"
    assert [name for name, _ in step.world.writes] == ["delete_endpoint"]


async def test_an_identity_that_changes_as_the_request_is_sent_changes_nothing(make):
    """Read again just before, it was still the pinned one; somebody signed in in another terminal since."""
    step = make()
    plan = await step.plan()
    step.world.relogin = BOB
    problem = await stopped(step.apply(plan))
    assert problem.code == "other-identity" and "nothing was changed" in problem.means
    assert f"az login --tenant {step.world.me.tenant_id}" in problem.todo
    assert "22222222" in problem.what and "33333333" in problem.what, "both are named"
    assert step.world.writes == []
    assert [(one.outcome, one.facts["code"]) for one in step.ends()] == [(FAILED, "other-identity")]


async def test_one_that_came_into_being_since_the_plan_is_not_overwritten(make):
    step = make()
    plan = await step.plan()
    step.world.endpoint_there(ENDPOINT_ID, OTHER_ALIAS)
    assert (await stopped(step.apply(plan))).code == "changed-meanwhile"
    assert step.world.writes == [] and journalled(step.session, "change_started") == []


@pytest.mark.parametrize(
    ("connection", "code", "exit_code"),
    [
        (REJECTED, "endpoint-rejected", EXIT_BAD),
        (DISCONNECTED, "endpoint-disconnected", EXIT_BAD),
        (PENDING, "endpoint-pending", EXIT_NOT_YET),
        ("Reviewing", "endpoint-pending", EXIT_NOT_YET),
    ],
)
async def test_each_connection_state_has_its_own_end(make, connection: str, code: str, exit_code: int):
    step = make(fills_id="endpoint_id")
    step.world.connection, step.world.approves = connection, ()
    problem = await stopped(step.apply())
    assert (problem.code, problem.exit_code) == (code, exit_code)
    assert problem.todo
    after = "deletes the endpoint and makes it anew. After that, give the vendor its Resource ID again in step 4"
    assert (after in problem.todo) is (exit_code == EXIT_BAD), "made anew, the vendor has to let it in again"
    # It is made and waits for others: the change itself did not fail.
    assert step.outcomes() == (["done"] if exit_code == EXIT_NOT_YET else ["failed"])


async def test_pending_comes_with_a_diagnosis_and_a_message_for_the_vendor(make):
    step = make()
    step.world.connection, step.world.approves = PENDING, ()
    problem = await stopped(step.apply())
    assert f"subscription {SUBSCRIPTION}" in problem.means and "registered" in problem.means
    message = problem.detail
    for said in (f"Private Link Service: {ALIAS}", f"Its Resource ID: {ENDPOINT_ID}", "Its region: westeurope"):
        assert said in message.splitlines()
    assert f"Its subscription: {SUBSCRIPTION}" in message and "connection Pending, seen 2" in message
    (started,) = journalled(step.session, "change_started")
    assert f"Asked for: {started.ts[:10]} {started.ts[11:16]} UTC" in message
    assert f"Request message: pe-weu in subscription {SUBSCRIPTION}" in message, "what they see on their side"
    assert "How to tell that it is done" in message
    step.world.approves = (SERVICE_ID,)
    note = (await step.plan()).notes[0]
    assert "by itself, so this one should be soon" in note


async def test_pending_is_waited_for(make):
    step = make(pace=replace(FAST, approval=5))
    step.world.connection = PENDING
    looks = 0
    read = step.world.endpoint

    async def approved_in_the_end(resource: str) -> Any:
        nonlocal looks
        found = await read(resource)
        looks += found is not None and found.provisioning == "Succeeded"
        return replace(found, connection="Approved") if looks > 3 else found

    step.world.endpoint = approved_in_the_end
    await step.apply()
    assert step.outcomes() == ["done"] and looks == 4


async def test_azures_own_failure_is_told_with_its_words(make):
    step = make()
    step.world.operation_failure = Operation("Failed", "service-not-found", "InvalidPrivateLinkServiceId", "no {0}")
    problem = await stopped(step.apply())
    assert (problem.code, problem.detail) == ("service-not-found", "no {0}")
    assert "InvalidPrivateLinkServiceId" in problem.what
    (finished,) = step.ends()
    assert (finished.outcome, finished.detail, finished.facts["code"]) == (FAILED, "no {0}", "service-not-found")
    assert (await step.plan()).obstacle, "what it left is provisioned Failed"


# ---------------------------------------------------------------- refused for a reason that may pass


UNKNOWN_SERVICE = Problem("azure-link-service-unknown", "Azure does not know this link service.")


@pytest.mark.parametrize("refusals", [1, 2])
async def test_a_link_service_that_azure_does_not_know_is_asked_for_again(make, refusals: int):
    """Azure says so of good ones at times (AZURE.md). Each try is a change of its own."""
    step = without_ip(make())
    step.world.fails["create_endpoint"] = [UNKNOWN_SERVICE] * refusals
    await step.apply()
    assert step.outcomes() == ["failed"] * refusals + ["done"]
    assert step.world.writes == [("create_endpoint", ENDPOINT_ID)]
    said = [one.text for one in step.moments if "asking again" in one.text]
    assert [one.partition("asking again in ")[2] for one in said] == [
        f"0 s, try {number} of 3" for number in range(2, refusals + 2)
    ]
    assert step.private_ip() == ("10.20.1.4", "azure")


async def test_the_third_refusal_is_believed(make):
    step = make()
    step.world.fails["create_endpoint"] = [UNKNOWN_SERVICE] * 4
    assert (await stopped(step.apply())).code == "azure-link-service-unknown"
    assert step.outcomes() == ["failed"] * 3 and step.world.calls.count("create_endpoint") == 3
    assert step.world.calls.count("identity") == 1 + 1 + 3, "read again before each try"


async def test_it_is_not_asked_again_when_anything_of_that_name_is_there(make):
    step = make()
    plan = await step.plan()

    async def somebody_was_faster(wanted: Any) -> None:
        step.world.endpoint_there(ENDPOINT_ID, OTHER_ALIAS)
        step.world.calls.append("create_endpoint")
        raise UNKNOWN_SERVICE

    step.world.create_endpoint = somebody_was_faster
    assert (await stopped(step.apply(plan))).code == "azure-link-service-unknown"
    assert step.world.calls.count("create_endpoint") == 1


async def test_it_is_not_asked_again_when_whether_anything_is_there_can_not_be_told(make):
    step = make()
    plan = await step.plan()
    step.world.fails["create_endpoint"] = [UNKNOWN_SERVICE]
    step.world.fails["endpoint"] = []
    create = step.world.create_endpoint

    async def and_go_blind(wanted: Any) -> None:
        step.world.fails["endpoint"] = [Problem("azure-unreachable", "No answer.")]
        await create(wanted)

    step.world.create_endpoint = and_go_blind
    assert (await stopped(step.apply(plan))).code == "azure-link-service-unknown"
    assert step.world.calls.count("create_endpoint") == 1


async def test_a_request_that_azure_took_is_not_sent_again(make):
    """The same code at the end of an operation: something may have been made."""
    step = make()
    step.world.operation_failure = Operation("Failed", "azure-link-service-unknown", "InvalidPrivateLinkServiceId")
    assert (await stopped(step.apply())).code == "azure-link-service-unknown"
    assert step.world.calls.count("create_endpoint") == 1


async def test_the_wait_for_the_next_try_can_be_cancelled(make):
    step = make(pace=replace(FAST, again=(3600,)))
    step.world.fails["create_endpoint"] = [UNKNOWN_SERVICE]
    task = asyncio.create_task(step.apply())
    while not any("try 2 of 2" in moment.text for moment in step.moments):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert step.outcomes() == ["failed"] and step.session.interrupted() == ()
    assert step.world.writes == []


async def test_a_refused_request_is_a_failed_change(make):
    step = make()
    step.world.fails["create_endpoint"] = [Problem("forbidden", "You may not.", detail="AuthorizationFailed")]
    assert (await stopped(step.apply())).code == "forbidden"
    assert [(one.outcome, one.facts["code"]) for one in step.ends()] == [(FAILED, "forbidden")]
    assert step.session.status().item_steps[ENDPOINT].status == "failed"


@pytest.mark.parametrize(("reached", "outcome"), [(True, "done"), (False, UNKNOWN)])
async def test_a_lost_answer_is_no_second_request(make, reached: bool, outcome: str):
    """Whether Azure took it, the resource tells; when nothing appears, nobody knows."""
    step = make()
    lost = {"create_endpoint": [Problem("azure-outcome-unknown", "The connection broke.")]}
    step.world.loses, step.world.fails = (lost, {}) if reached else ({}, lost)
    if reached:
        await step.apply()
    else:
        assert (await stopped(step.apply())).code == "azure-lost-sight"
    assert step.outcomes() == [outcome]
    assert step.world.calls.count("create_endpoint") == 1


async def test_looks_that_fail_now_and_then_are_made_again(make):
    step = make()
    plan = await step.plan()
    step.world.fails["operation"] = [Problem("azure-unreachable", "No answer.")] * (TRIES - 1)
    await step.apply(plan)
    assert step.outcomes() == ["done"]
    assert any("No answer" in moment.text for moment in step.moments)


async def test_one_that_can_not_be_followed_any_more_has_an_unknown_end(make):
    step = make()
    plan = await step.plan()
    step.world.fails["operation"] = [Problem("azure-unreachable", "No answer.")] * TRIES
    problem = await stopped(step.apply(plan))
    assert (problem.code, problem.exit_code) == ("azure-lost-sight", EXIT_NOT_YET)
    assert step.outcomes() == [UNKNOWN]


async def test_one_that_takes_too_long_has_an_unknown_end(make):
    step = make(pace=replace(FAST, settle=0))
    step.world.polls = 1000
    assert (await stopped(step.apply())).code == "azure-lost-sight"
    assert step.outcomes() == [UNKNOWN]
    assert (await step.plan()).empty, "it is there, and nothing is asked a second time"


@pytest.mark.parametrize(("message", "outcomes"), [(None, [UNKNOWN]), (LEAVE, [])])
async def test_cancelling_stops_the_waiting_and_not_azure(make, message: str | None, outcomes: list[str]):
    step = make(pace=replace(FAST, poll=0.001))
    step.world.polls = 10**9
    task = asyncio.create_task(step.apply())
    while not any(moment.kind == "part" for moment in step.moments):
        await asyncio.sleep(0)
    task.cancel(message)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert step.outcomes() == outcomes
    assert all("Azure goes on" in one.summary for one in step.ends())
    assert len(step.session.interrupted()) == (1 if message == LEAVE else 0), "the next start takes it up"
    assert len(step.world.writes) == 1


# ---------------------------------------------------------------- an interrupted one


@pytest.mark.parametrize("reached", [False, True])
@pytest.mark.parametrize("connection", ["Approved", REJECTED, PENDING])
async def test_killed_at_any_call_it_is_never_asked_twice(tmp_path: Path, connection: str, reached: bool):
    """The program dies at its n-th request, before or after Azure took it; the next one finds out and goes on."""
    last = 0
    while True:
        last += 1
        world = World()
        world.connection, world.approves = connection, ()
        path = tmp_path / str(last)
        path.mkdir()
        step = without_ip(Step3(path, world))
        plan = await step.plan()
        world.dies = (len(world.calls) + last, reached)
        try:
            await step.apply(plan)
        except Died:
            pass
        except Problem:
            break
        else:
            break
        world.dies = None
        await went_on(step, connection)
        step.session._writer.close()
    assert last > 5, "it was killed at several places"


async def went_on(step: Step3, connection: str) -> None:
    world, asked = step.world, len(step.world.writes)
    if step.session.interrupted():
        calls = len(world.calls)
        await step.resume()
        assert set(world.calls[calls:]) <= READS, "resuming only reads"
        expected = {"Approved": "done", PENDING: "done", REJECTED: "failed"}[connection] if asked else "cancelled"
        assert step.outcomes() == [expected]
        assert step.private_ip() == (("10.20.1.4", "azure") if expected == "done" else (None, ""))
    plan = await step.plan()
    assert plan.empty is (asked == 1 and connection != REJECTED)
    assert (plan.obstacle is not None) is (asked == 1 and connection == REJECTED)
    assert len(world.writes) == asked


@pytest.mark.parametrize("reached", [False, True])
async def test_killed_at_any_call_of_two_tries_there_is_one_endpoint_in_the_end(tmp_path: Path, reached: bool):
    for last in range(1, 100):
        world = World()
        (path := tmp_path / str(last)).mkdir()
        step = without_ip(Step3(path, world))
        plan = await step.plan()
        world.fails["create_endpoint"] = [UNKNOWN_SERVICE]
        world.dies = (len(world.calls) + last, reached)
        try:
            await step.apply(plan)
        except Died:
            pass
        else:
            break
        world.dies = None
        for change in step.session.interrupted():
            await step.session.resume(change, step.moments.append)
        if not (plan := await step.plan()).empty:
            await step.apply(plan)
        assert [name for name, _ in world.writes] == ["create_endpoint"]
        assert step.private_ip() == ("10.20.1.4", "azure") and step.session.interrupted() == ()
        step.session._writer.close()
    assert last > 8, "it was killed at several places"


async def test_resuming_waits_for_one_that_azure_is_still_at(make):
    step = make()
    plan = await step.plan()
    step.world.polls = 20
    step.world.dies = (len(step.world.calls) + 4, True)
    with pytest.raises(Died):
        await step.apply(plan)
    assert [name for name, _ in step.world.writes] == ["create_endpoint"]
    await step.resume()
    assert step.outcomes() == ["done"]
    assert sum(moment.kind == "part" for moment in step.moments) > 10


async def started_and_killed(step: Step3) -> None:
    """The program dies as Azure has taken the request: its fourth call, behind two for the identity and a look."""
    plan = await step.plan()
    step.world.dies = (len(step.world.calls) + 4, True)
    with pytest.raises(Died):
        await step.apply(plan)
    step.world.dies = None


@pytest.mark.parametrize("clock", ["2001-01-01T00:00:00.000000Z", "2099-01-01T00:00:00.000000Z"])
async def test_resuming_trusts_no_clock(make, monkeypatch, clock: str):
    """The request is still on its way when the next start looks; the journal's times are those of another clock."""
    with monkeypatch.context() as patched:
        for module in ("store", "writer"):
            patched.setattr(f"state.{module}.now", lambda: clock)
        step = make(pace=replace(FAST, unseen=2.0))
        await started_and_killed(step)
    (interrupted,) = step.session.interrupted()
    assert interrupted.started.ts == clock
    arrived = step.world.endpoints_.pop(ENDPOINT_ID.lower())
    step.world._work.clear()
    looks, read = 0, step.world.endpoint

    async def arrives_late(resource: str) -> Any:
        nonlocal looks
        looks += 1
        if looks == 3:
            step.world.endpoints_[ENDPOINT_ID.lower()] = replace(
                arrived, provisioning="Succeeded", connection="Approved", addresses=("10.20.1.4",)
            )
        return await read(resource)

    step.world.endpoint = arrives_late
    await step.resume()
    assert step.outcomes() == ["done"]


async def test_one_that_somebody_deleted_since_did_not_fail_to_begin(make):
    """Nobody can tell any more which it was, so both are said."""
    step = without_ip(make())
    await started_and_killed(step)
    step.world.endpoints_.clear()
    step.world._work.clear()
    await step.resume()
    (end,) = step.ends()
    assert end.outcome == "cancelled" and "it is not there: Azure never began it, or it was undone since" in end.summary
    assert step.private_ip()[0] is None


@pytest.mark.parametrize("resumed", [False, True])
async def test_one_that_somebody_deletes_while_it_is_made_is_said_to_be_gone(make, resumed: bool):
    step = make()
    step.world.polls = 10**9
    if resumed:
        await started_and_killed(step)
    read = step.world.endpoint
    looks = 0

    async def then_deleted(resource: str) -> Any:
        nonlocal looks
        looks += bool(step.world.endpoints_)
        found = await read(resource)
        if looks == 3:
            step.world.endpoints_.clear()
            step.world._work.clear()
            step.world._status.clear()
        return found

    step.world.endpoint = then_deleted
    if resumed:
        await step.resume()
    else:
        assert (await stopped(step.apply())).code == "azure-undone"
    (end,) = step.ends()
    assert (end.outcome, end.facts["code"]) == (FAILED, "azure-undone")
    assert step.world.calls.count("create_endpoint") == 1


async def test_an_answer_that_misses_it_once_is_no_end(make):
    """Azure's readers do not all know it at the same moment."""
    step = make(pace=replace(FAST, appear=2.0, unseen=2.0))
    step.world.polls = 6
    read = step.world.endpoint
    looks = 0

    async def forgets_once(resource: str) -> Any:
        nonlocal looks
        found = await read(resource)
        looks += found is not None
        return None if looks == 3 else found

    step.world.endpoint = forgets_once
    await step.apply()
    assert step.outcomes() == ["done"]


@pytest.mark.parametrize(("fails", "end"), [(False, "done"), (True, "failed")])
async def test_an_operation_that_is_forgotten_is_read_from_the_endpoint(make, fails: bool, end: str):
    """The SDKs' process was ended and begun again meanwhile: nobody knows the operation's address any more."""
    step = make()
    plan = await step.plan()
    if fails:
        step.world.operation_failure = Operation("Failed", "azure-error", "Some")

    async def forgotten(resource: str) -> Operation:
        return Operation("")

    step.world.operation = forgotten
    if fails:
        assert (await stopped(step.apply(plan))).code == "endpoint-failed"
    else:
        await step.apply(plan)
    assert step.outcomes() == [end] and step.world.calls.count("create_endpoint") == 1


@pytest.mark.parametrize(("connection", "code"), [(PENDING, "endpoint-failed"), ("Approved", "endpoint-update-failed")])
@pytest.mark.parametrize("provisioning", [PROVISIONING_FAILED, CANCELED])
async def test_resuming_one_that_azure_gave_up_ends_at_once(make, provisioning: str, connection: str, code: str):
    """Nothing comes any more of an endpoint that is Failed or Canceled, so it is not waited for."""
    step = without_ip(make(pace=replace(FAST, settle=3600)))
    await started_and_killed(step)
    step.world._work.clear()
    step.world.endpoint_there(ENDPOINT_ID, ALIAS, provisioning=provisioning, connection=connection)
    await asyncio.wait_for(step.resume(), 20)
    (end,) = step.ends()
    assert (end.outcome, end.facts["code"], end.facts["provisioning"]) == (FAILED, code, provisioning)
    assert ((await step.plan()).obstacle is None) is (connection == "Approved")


async def test_two_setups_that_make_it_at_once_end_with_one(tmp_path: Path):
    """Both have planned, and the second writes what it planned: Azure is asked for one."""
    world = World()
    steps = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        steps.append(without_ip(Step3(tmp_path / name, world)))
    plans = [await step.plan() for step in steps]
    await steps[0].apply(plans[0])
    assert (await stopped(steps[1].apply(plans[1]))).code == "changed-meanwhile"
    assert [name for name, _ in world.writes] == ["create_endpoint"]
    plan = await steps[1].plan()
    assert [one.sign for one in plan.changes] == ["=", "+"], "it takes over what the other one made"
    await steps[1].apply(plan)
    assert steps[1].private_ip() == steps[0].private_ip() == ("10.20.1.4", "azure")
    assert [name for name, _ in world.writes] == ["create_endpoint"]


async def test_killed_between_the_end_and_the_fields_the_next_plan_fills_them(make):
    step = without_ip(make())
    filled = step.session._set

    def dies(*given: Any) -> bool:
        raise Died

    step.session._set = dies
    with pytest.raises(Died):
        await step.apply()
    step.session._set = filled
    assert step.outcomes() == ["done"] and step.session.interrupted() == ()
    plan = await step.plan()
    assert not plan.empty and plan.commands == ()
    await step.apply(plan)
    assert step.private_ip() == ("10.20.1.4", "azure") and len(step.world.writes) == 1


async def test_resuming_as_somebody_else_tells_nothing(make):
    """Who may not see it would find it missing: that is no reason to write that it never began."""
    step = make()
    plan = await step.plan()
    step.world.dies = (len(step.world.calls) + 4, True)
    with pytest.raises(Died):
        await step.apply(plan)
    step.world.me = BOB
    assert (await stopped(step.resume())).code == "other-identity"
    assert step.outcomes() == [] and len(step.session.interrupted()) == 1


async def test_resuming_an_older_endpoint_leaves_the_field_of_the_new_one(make):
    step = without_ip(make())
    plan = await step.plan()
    step.world.dies = (len(step.world.calls) + 4, True)
    with pytest.raises(Died):
        await step.apply(plan)
    step.session.set_field("endpoint/pe-weu", "endpoint_name", "pe-other")
    await step.resume()
    assert step.outcomes() == ["done"] and step.private_ip()[0] is None


async def test_a_deletion_that_was_interrupted(make):
    step = make()
    step.world.endpoint_there(ENDPOINT_ID, ALIAS, connection=REJECTED)
    plan = await step.plan()
    step.world.dies = (len(step.world.calls) + 4, True)
    with pytest.raises(Died):
        await step.apply(plan)
    assert [name for name, _ in step.world.writes] == ["delete_endpoint"]
    await step.resume()
    assert step.outcomes() == ["done"]
    assert [one.sign for one in (await step.plan()).changes] == ["+", "+"]


async def test_a_deletion_that_azure_never_began_says_that_the_endpoint_is_there(make):
    """Who reads the journal later must not take it for gone."""
    step = make()
    step.world.endpoint_there(ENDPOINT_ID, ALIAS, connection=REJECTED)
    plan = await step.plan()
    step.world.dies = (len(step.world.calls) + 4, False)
    with pytest.raises(Died):
        await step.apply(plan)
    assert step.world.writes == []
    await step.resume()
    (end,) = step.ends()
    assert end.outcome == "cancelled"
    assert "it is still there, provisioning Succeeded, connection Rejected: Azure never began it" in end.summary


async def test_an_item_that_is_gone_is_not_filled(make):
    step = without_ip(make())
    plan = await step.plan()
    create = step.world.create_endpoint

    async def and_remove_the_item(wanted: Any) -> None:
        await create(wanted)
        step.session.remove_item("endpoint/pe-weu")

    step.world.create_endpoint = and_remove_the_item
    await step.apply(plan)
    filled = [one.data for one in journalled(step.session, "field_set")]
    assert not any(isinstance(one, FieldSet) and one.source == "azure" for one in filled)
