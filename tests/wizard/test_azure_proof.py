"""What the looks at Azure find, in which words, and what they keep as evidence."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from state.events import (
    BAD,
    COULD_NOT_LOOK,
    GOOD,
    NOT_YET,
    ChangeStarted,
    Evidence,
    FieldSet,
    Found,
    IdentityPinned,
)
from state.problem import Problem
from tests.setups import ALIAS, DPM, ENDPOINT_ID, MINIO, SUBNET, SUBSCRIPTION, VALUES
from tests.wizard.azure_world import ADA, BOB, GROUP, OTHER_VNET, READS, SERVICE_ID, VNET, World
from tests.wizard.engine import DNS, ENDPOINT, NOW, RESOURCE_ID, finding, items, snapshot_of, view_of
from tests.wizard.engine import SUBSCRIPTION as REGISTERED
from wizard.actions.azure_proof import (
    check_endpoint,
    check_endpoint_id,
    check_other_endpoints,
    check_records,
    check_subscription,
    message_of_last_look,
)
from wizard.azure import CANCELED, DELETING, DISCONNECTED, FAILED, PENDING, REJECTED, UPDATING, Subscription
from wizard.evidence import evidence
from wizard.guide import Finding
from wizard.ports import Readers

IP = "10.20.1.4"
PIN = IdentityPinned(kind="azure", facts={"tenant_id": ADA.tenant_id, "object_id": ADA.object_id})


SETUP = items("subscription/main", "endpoint/pe-weu", "dpe/dpe-01", links=[("dpe/dpe-01", "endpoint/pe-weu")])
EVENTS = [*SETUP, *(FieldSet(item=owner, field=key, value=value) for owner, key, value in VALUES)]


def snapshot(**values: str | None) -> Any:
    filled = [FieldSet(item=owner, field=key, value=values.get(key, value)) for owner, key, value in VALUES]
    return snapshot_of(*SETUP, *filled, PIN)


async def endpoint(world: World, **values: str | None) -> Finding:
    return await check_endpoint(view_of(snapshot(**values), ENDPOINT), Readers(azure=world))


async def records(world: World, **values: str | None) -> Finding:
    view = view_of(snapshot(**values), DNS)
    hosts = ("dpm_host", "minio_host")
    return await check_records(view, Readers(azure=world), hosts=hosts, address="private_ip", network="cluster_vnet")


def answer(seen: Evidence) -> Any:
    assert seen.sha256 == hashlib.sha256(seen.answer.encode()).hexdigest()
    assert ADA.object_id in seen.identity and ADA.tenant_id in seen.identity
    assert seen.source == "Azure" and seen.grade == "observed"
    return json.loads(seen.answer)


# ---------------------------------------------------------------- the subscription


@pytest.mark.parametrize(
    ("found", "verdict", "says"),
    [
        (Subscription(SUBSCRIPTION.upper(), "Data", "Enabled"), GOOD, "Data can be read and is Enabled"),
        (Subscription(SUBSCRIPTION, "Data", "Disabled"), BAD, "is Disabled"),
        (Subscription(SUBSCRIPTION, "Data", "PastDue"), BAD, "is PastDue"),
        (Subscription("00000000-0000-4000-8000-000000000000", "Other", "Enabled"), COULD_NOT_LOOK, "not among the 1"),
    ],
)
async def test_the_subscription_is_readable_and_enabled(found: Subscription, verdict: str, says: str):
    world = World()
    world.subscription = found
    finding = await check_subscription(view_of(snapshot(), REGISTERED), Readers(azure=world))
    assert finding.verdict == verdict and says in finding.text
    (seen,) = finding.evidence
    assert seen.request == "GET /subscriptions"
    assert "Other" not in json.dumps(answer(seen)), "others' subscriptions are nobody's business"


async def test_an_approved_endpoint_shows_that_its_subscription_is_registered():
    approved = finding(snapshot(), ENDPOINT, "endpoint", GOOD)
    seen = snapshot_of(*EVENTS, PIN, approved)
    world = World()
    registered = "registered with the vendor, as pe-weu shows"
    assert registered in (await check_subscription(view_of(seen, REGISTERED), Readers(azure=world))).text
    assert registered not in (await check_subscription(view_of(snapshot(), REGISTERED), Readers(azure=world))).text


# ---------------------------------------------------------------- the endpoint


async def test_an_endpoint_as_it_should_be_is_good():
    world = World()
    world.endpoint_there(ENDPOINT_ID, ALIAS, message="let in by Jane Doe")
    finding = await endpoint(world)
    assert (finding.verdict, finding.todo) == (GOOD, "")
    (seen,) = finding.evidence
    assert seen.request == f"GET {ENDPOINT_ID}"
    told = answer(seen)
    assert (told["connection"], told["provisioning"], told["addresses"]) == ("Approved", "Succeeded", [IP])
    assert "Jane" not in seen.answer
    assert set(world.calls) <= READS


@pytest.mark.parametrize(
    ("changes", "verdict", "says"),
    [
        ({"connection": PENDING}, NOT_YET, "connection Pending"),
        ({"connection": "Reviewing"}, NOT_YET, "connection Reviewing"),
        ({"connection": REJECTED, "message": "who are you"}, BAD, "connection Rejected (who are you)"),
        ({"connection": DISCONNECTED}, BAD, "connection Disconnected"),
        ({"provisioning": UPDATING}, NOT_YET, "provisioning Updating"),
        ({"provisioning": FAILED}, BAD, "provisioning Failed"),
        ({"provisioning": CANCELED}, BAD, "provisioning Canceled"),
        ({"provisioning": CANCELED, "connection": PENDING}, BAD, "does not recover by itself"),
        ({"provisioning": DELETING}, BAD, "provisioning Deleting"),
        ({"service": SERVICE_ID.replace("/dpe", "/other")}, BAD, "another one: it connects to"),
        ({"subnet_id": f"{SUBNET}2"}, BAD, "another one: it is in the subnet"),
        ({"addresses": ("10.20.1.9",)}, BAD, "its private IP is 10.20.1.9, not 10.20.1.4"),
        ({"addresses": ()}, COULD_NOT_LOOK, "tells no address"),
        ({"addresses": ("fd00::4", IP)}, GOOD, IP),
    ],
)
async def test_whatever_is_not_so_has_its_own_words(changes: dict[str, Any], verdict: str, says: str):
    world = World()
    found = world.endpoint_there(ENDPOINT_ID, ALIAS)
    world.endpoints_[ENDPOINT_ID.lower()] = replace(found, **changes)
    finding = await endpoint(world)
    assert finding.verdict == verdict and says in finding.text
    assert verdict == GOOD or finding.todo
    answer(finding.evidence[0])


@pytest.mark.parametrize("connection", [REJECTED, DISCONNECTED])
async def test_a_dead_endpoint_says_what_follows_to_the_end(connection: str):
    """On any later look, at the step that made it and at the one that gave its ID to the vendor."""
    world = World()
    world.endpoint_there(ENDPOINT_ID, ALIAS, connection=connection)
    finding = await endpoint(world)
    assert finding.verdict == BAD and "does not recover by itself" in finding.text
    assert "run this step again: its plan deletes the endpoint and makes it anew" in finding.todo
    assert "give the vendor its Resource ID again in step 4 (Provide the Resource ID)" in finding.todo
    finding = await check_endpoint_id(view_of(snapshot(), RESOURCE_ID), Readers(azure=world))
    assert finding.verdict == BAD and "run step 3 (Create Private Endpoint) again" in finding.todo
    assert "in step 4 (Provide the Resource ID)" in finding.todo


@pytest.mark.parametrize("provisioning", [FAILED, CANCELED])
async def test_an_endpoint_whose_last_update_failed_is_bad_and_said_to_be_connected(provisioning: str):
    """Failed is how the last PUT ended; the vendor's approval, and the step that gave the ID, stand."""
    world = World()
    world.endpoint_there(ENDPOINT_ID, ALIAS, provisioning=provisioning)
    finding = await endpoint(world)
    assert finding.verdict == BAD and "still connected" in finding.text and "may still" in finding.text
    assert f"az network private-endpoint update --ids {ENDPOINT_ID}" in finding.todo
    assert "Activity log" in finding.todo and "delete" not in finding.todo
    assert (await check_endpoint_id(view_of(snapshot(), RESOURCE_ID), Readers(azure=world))).verdict == GOOD


async def test_the_message_for_the_vendor_tells_of_the_last_look():
    """Made from what was journalled: the one who sends it need not be the one who asked for the endpoint."""
    world = World()
    world.endpoint_there(ENDPOINT_ID, ALIAS, connection=PENDING)
    found = await endpoint(world)
    looked = Found(
        step="endpoint",
        items=ENDPOINT.items,
        check="endpoint",
        verdict=found.verdict,
        text=found.text,
        fingerprint="f",
        evidence=found.evidence,
    )
    asked = ChangeStarted(
        change="c1",
        step="endpoint",
        items=ENDPOINT.items,
        summary="create",
        facts={"does": "create endpoint", "resource": ENDPOINT_ID.upper()},
    )
    view = view_of(snapshot_of(*EVENTS, asked, looked), ENDPOINT)
    message = message_of_last_look(view, "endpoint")
    assert f"Its Resource ID: {ENDPOINT_ID}" in message and "Its region: westeurope" in message
    at = f"{NOW[:10]} {NOW[11:16]} UTC"
    assert f"Asked for: {at}" in message and f"connection Pending, seen {at}" in message
    assert "Asked for" not in message_of_last_look(view_of(snapshot(), ENDPOINT), "endpoint"), "made by somebody else"
    for odd in ("no JSON", "[1]", '{"addresses": 5, "location": {}}'):
        seen = (evidence("Azure", "GET x", odd, "ada"),)
        view = view_of(snapshot_of(*EVENTS, msgspec.structs.replace(looked, evidence=seen)), ENDPOINT)
        assert f"Private Link Service: {ALIAS}" in message_of_last_look(view, "endpoint")


async def test_an_endpoint_without_a_service_and_one_in_a_state_nobody_knows():
    world = World()
    world.endpoint_there(ENDPOINT_ID, "", connection="")
    assert "it connects to nothing any more" in (await endpoint(world)).text
    world.endpoint_there(ENDPOINT_ID, ALIAS, connection="DestinationNotFound")
    finding = await endpoint(world)
    assert finding.verdict == NOT_YET and "connection DestinationNotFound" in finding.text
    assert "DestinationNotFound: the vendor can tell" in finding.todo


async def test_no_endpoint_yet_and_no_address_yet():
    world = World()
    finding = await endpoint(world)
    assert finding.verdict == NOT_YET and "there is no Private Endpoint pe-weu" in finding.text
    assert answer(finding.evidence[0]) == {"found": None}
    world.endpoint_there(ENDPOINT_ID, ALIAS)
    finding = await endpoint(world, private_ip=None)
    assert finding.verdict == NOT_YET and IP in finding.text


@pytest.mark.parametrize(
    ("changes", "verdict", "says"),
    [
        ({}, BAD, "another endpoint leads to this service from the same VNet: pe-twin in rg-net-data"),
        ({"connection": DISCONNECTED}, BAD, "left over: pe-twin in rg-net-data"),
        ({"provisioning": FAILED, "connection": PENDING}, BAD, "left over: pe-twin"),
        ({"provisioning": CANCELED, "connection": ""}, BAD, "left over: pe-twin"),
        ({"provisioning": FAILED}, BAD, "another endpoint leads to this service"),  # it may serve somebody
        ({"provisioning": CANCELED}, BAD, "another endpoint leads to this service"),
        ({"subnet_id": f"{OTHER_VNET}/subnets/a"}, GOOD, "no other endpoint"),  # another VNet may have its own
        ({"service": "another.service"}, GOOD, "no other endpoint"),
    ],
)
async def test_a_second_endpoint_to_the_service_is_found(changes: dict[str, Any], verdict: str, says: str):
    world = World()
    world.endpoint_there(ENDPOINT_ID, ALIAS)
    twin = f"{GROUP}/providers/Microsoft.Network/privateEndpoints/pe-twin"
    world.endpoint_there(twin, **{"service": ALIAS, **changes})
    found = await check_other_endpoints(view_of(snapshot(), ENDPOINT), Readers(azure=world))
    assert (found.verdict, says in found.text) == (verdict, True), found.text
    assert answer(found.evidence[0])["count"] == 2


async def test_the_endpoints_own_setup_is_no_other():
    world = World()
    world.endpoint_there(ENDPOINT_ID, ALIAS)
    found = await check_other_endpoints(view_of(snapshot(), ENDPOINT), Readers(azure=world))
    assert found.verdict == GOOD


async def test_an_auditor_may_look_with_an_identity_of_their_own():
    """The setup is pinned to who acted; who looks is named in the evidence."""
    world = World()
    world.endpoint_there(ENDPOINT_ID, ALIAS)
    world.me = BOB
    finding = await endpoint(world)
    assert finding.verdict == GOOD and BOB.object_id in finding.evidence[0].identity


async def test_without_azure_there_is_no_verdict():
    for check in (check_endpoint, check_subscription):
        with pytest.raises(Problem) as caught:
            await check(view_of(snapshot(), ENDPOINT), Readers())
        assert caught.value.code == "no-azure"


# ---------------------------------------------------------------- the records


def both(world: World, *networks: str) -> None:
    for host in (DPM, MINIO):
        world.zone_there(host, *networks, apex=(IP,))


async def test_zone_link_and_record_as_wanted_are_good():
    world = World()
    both(world, VNET)
    finding = await records(world)
    assert finding.verdict == GOOD
    assert f"{DPM} is {IP}" in finding.text and f"{MINIO} is {IP}" in finding.text
    assert [seen.request for seen in finding.evidence] == [
        f"GET {GROUP}/providers/Microsoft.Network/privateDnsZones/{host}/{what}"
        for host in (DPM, MINIO)
        for what in ("virtualNetworkLinks", "A/@")
    ]
    assert answer(finding.evidence[1])["record"] == {"addresses": [IP], "ttl": 3600}
    assert set(world.calls) <= READS


async def test_a_record_in_a_linked_parent_zone_is_good():
    world = World()
    short = {host.removesuffix(".ataccama.link"): (IP,) for host in (DPM, MINIO)}
    world.zone_there("ataccama.link", VNET, records=short)
    assert (await records(world)).verdict == GOOD


@pytest.mark.parametrize(
    ("networks", "record", "verdict", "says"),
    [
        ((), (IP,), BAD, "is there, but linked to no VNet"),
        ((OTHER_VNET,), (IP,), BAD, "is linked to vnet-neu, not to vnet-weu"),
        ((OTHER_VNET,), ("10.99.9.9",), BAD, "is linked to vnet-neu, not to vnet-weu"),
        ((VNET,), None, BAD, "holds no record"),
        ((VNET,), ("10.99.9.9",), BAD, f"10.99.9.9 in zone {MINIO}, not {IP}"),
        ((VNET,), (IP, "10.99.9.9"), BAD, "10.99.9.9"),
    ],
)
async def test_each_lack_has_its_own_words(
    networks: tuple[str, ...], record: tuple[str, ...] | None, verdict: str, says: str
):
    world = World()
    world.zone_there(DPM, VNET, apex=(IP,))
    world.zone_there(MINIO, *networks, apex=record)
    finding = await records(world)
    assert finding.verdict == verdict and says in finding.text and finding.todo
    assert DPM not in finding.text, "what is good is not what is wrong"


async def test_no_zone_is_not_yet_and_something_bad_beside_it_is_worse():
    world = World()
    finding = await records(world)
    assert finding.verdict == NOT_YET and f"no private DNS zone linked to vnet-weu holds {DPM}" in finding.text
    assert finding.evidence[0].request == (
        f"GET /subscriptions/{SUBSCRIPTION}/providers/Microsoft.Network/privateDnsZones"
    )
    world.zone_there(MINIO)
    finding = await records(world)
    assert finding.verdict == BAD and DPM in finding.text and MINIO in finding.text


async def test_a_parent_zone_that_hides_the_host_says_so():
    world = World()
    world.zone_there("ataccama.link", VNET)
    finding = await records(world)
    assert finding.verdict == BAD and "zone ataccama.link is linked to vnet-weu, but holds no record" in finding.text


async def test_dns_servers_of_the_vnet_are_said_whatever_is_found():
    """Everything may be right in Azure, and nobody asks it."""
    world = World()
    world.network_ = replace(world.network_, dns_servers=("10.0.0.10",))
    assert "own DNS servers (10.0.0.10)" in (await records(world)).text
    both(world, VNET)
    finding = await records(world)
    assert finding.verdict == GOOD and "own DNS servers (10.0.0.10)" in finding.text
    assert answer(finding.evidence[-1]) == {"dns_servers": ["10.0.0.10"]}
    world.fails["network"] = [Problem("forbidden", "Not for you.")]
    assert (await records(world)).verdict == GOOD


async def test_what_could_not_be_looked_at_is_said_where_nothing_was_found():
    world = World()
    world.fails["subscriptions"] = [Problem("forbidden", "Not for you.")] * 2
    finding = await records(world)
    assert finding.verdict == NOT_YET and "other subscriptions hold private DNS zones could not be" in finding.text
    both(world, VNET)
    assert "could not be" not in (await records(world)).text


async def test_a_zone_of_another_environment_far_away_is_not_this_ones_mistake():
    world = World()
    hub = "00000000-5b1e-4f0a-9a77-0c1d2e3f4a5b"
    world.others = (Subscription(hub, "Hub", "Enabled"),)
    group = GROUP.replace(SUBSCRIPTION, hub)
    for host in (DPM, MINIO):
        world.zone_there(host, OTHER_VNET, group=group, apex=("10.30.1.4",))
    assert (await records(world)).verdict == NOT_YET
    for host in (DPM, MINIO):
        world.zone_there(host, OTHER_VNET, group=group, apex=(IP,))
    finding = await records(world)
    assert finding.verdict == BAD and "is linked to vnet-neu, not to vnet-weu" in finding.text


async def test_a_link_in_the_making_is_not_yet():
    world = World()
    both(world, VNET)
    key = next(iter(world.links))
    world.links[key] = replace(world.links[key], state="InProgress")
    finding = await records(world)
    assert finding.verdict == NOT_YET and "InProgress" in finding.text


@pytest.mark.parametrize(
    ("state", "provisioning", "verdict", "word"),
    [
        ("InProgress", "Failed", BAD, "Failed"),
        ("Completed", "Canceled", BAD, "Canceled"),
        ("Completed", "Deleting", BAD, "Deleting"),
        ("InProgress", "Creating", NOT_YET, "Creating"),
        ("Completed", "Updating", NOT_YET, "Updating"),
        ("Quarantined", "Succeeded", NOT_YET, "Quarantined"),
        ("", "", GOOD, ""),
    ],
)
async def test_a_link_is_called_by_its_own_state(state: str, provisioning: str, verdict: str, word: str):
    world = World()
    both(world, VNET)
    key = next(iter(world.links))
    world.links[key] = replace(world.links[key], state=state, provisioning=provisioning)
    finding = await records(world)
    assert (finding.verdict, f"to vnet-weu is {word}" in finding.text) == (verdict, bool(word)), finding.text
    told = answer(finding.evidence[0])["link"]
    assert (told["state"], told["provisioning"]) == (state, provisioning)


@pytest.mark.parametrize("apex", [(IP,), None, ("10.99.9.9",)])
async def test_a_link_that_failed_says_how_to_get_rid_of_it(apex: tuple[str, ...] | None):
    """Azure does not mend it, and makes no second one to that VNet: whatever the record, nothing comes of waiting."""
    world = World()
    world.zone_there(DPM, VNET, apex=apex)
    world.zone_there(MINIO, VNET, apex=(IP,))
    key = next(one for one in world.links if DPM in one)
    world.links[key] = replace(world.links[key], state="InProgress", provisioning="Failed")
    finding = await records(world)
    assert finding.verdict == BAD and f"the link of zone {DPM} to vnet-weu is Failed" in finding.text
    command = re.search("`(az .*)`", finding.todo)
    assert command and shlex.split(command[1]) == [
        *("az", "network", "private-dns", "link", "vnet", "delete"),
        *("--subscription", SUBSCRIPTION, "--resource-group", "rg-net-data"),
        *("--zone-name", DPM, "--name", "link-vnet-weu", "--yes"),
    ]
    assert finding.todo.endswith("then run this step again.")
