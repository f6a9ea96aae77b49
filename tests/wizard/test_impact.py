"""What a changed answer would make stale, told before it is committed."""

from __future__ import annotations

import pytest

from state.events import GOOD, Data, FieldSet, FileFacts
from tests.setups import ENDPOINT_ID, SUBNET, VALUES
from tests.wizard.engine import (
    DNS,
    ENDPOINT,
    GUIDE,
    MARK,
    NOW,
    RESOURCE_ID,
    SUBSCRIPTION,
    UPDATE,
    finding,
    items,
    snapshot_of,
    status_of,
)
from tests.wizard.test_status import FILLED, attested, found, waiver
from wizard.guide import ItemStep
from wizard.impact import impact, impact_sentence
from wizard.status import derive

ONE = ItemStep("connectivity")
REDEPLOY = ItemStep("redeploy")
HUMAN = (ONE, SUBSCRIPTION, ENDPOINT, RESOURCE_ID, DNS, REDEPLOY)
ALL_DONE = snapshot_of(
    *FILLED, *(attested(place) for place in HUMAN), found(GOOD), found(GOOD, "workloads"), waiver(), attested(MARK)
)
OTHER_SUBSCRIPTION = "00000000-1111-2222-3333-444444444444"


def affected(item: str | None, key: str, value: str | None) -> tuple[ItemStep, ...]:
    return impact(GUIDE, ALL_DONE, item, key, value, NOW)


def test_the_setup_of_these_tests_is_done():
    assert all(status.done for status in status_of(ALL_DONE).item_steps.values())


@pytest.mark.parametrize(
    ("item", "key", "value", "wanted"),
    [
        (None, "environment_name", "staging", {ONE}),
        ("endpoint/pe-weu", "private_ip", "10.20.1.9", {ENDPOINT, DNS, MARK}),
        ("endpoint/pe-weu", "resource_group", "rg-other", {ENDPOINT, RESOURCE_ID, DNS}),
        (
            "endpoint/pe-weu",
            "endpoint_id",
            ENDPOINT_ID.replace("rg-net-data", "RG-NET-DATA"),
            {RESOURCE_ID, REDEPLOY, MARK},
        ),
        ("subscription/main", "subscription_id", OTHER_SUBSCRIPTION, {SUBSCRIPTION, ENDPOINT, RESOURCE_ID, DNS}),
        ("dpe/dpe-01", "dpm_host", "dpm-2.example.link", {DNS, UPDATE, MARK}),
        ("dpe/dpe-01", "version", "16.3.0", {UPDATE, MARK}),
        # Cleared, or made to contradict another answer: then it needs input, which is not done either.
        # The DPE's VNet is the subnet's, unless it is said.
        ("endpoint/pe-weu", "subnet", None, {ENDPOINT, DNS}),
        ("endpoint/pe-weu", "subnet", "", {ENDPOINT, DNS}),
        ("dpe/dpe-01", "minio_host", VALUES[8][2], {DNS, UPDATE, MARK}),
        # The VNet is taken from the subnet, so naming that one changes nothing.
        ("endpoint/pe-weu", "vnet", SUBNET.partition("/subnets/")[0], set()),
        # No proof rests on a timeout.
        ("dpe/dpe-01", "timeout", "20m", set()),
        # The value that stands there already.
        ("endpoint/pe-weu", "private_ip", "10.20.1.4", set()),
        ("dpe/dpe-01", "timeout", None, set()),
        # A secret is not folded into anything, and what is not there is not affected.
        ("dpe/dpe-01", "token", "s3cr3t", set()),
        ("endpoint/ghost", "private_ip", "10.0.0.1", set()),
        (None, "no_such_field", "x", set()),
    ],
)
def test_what_a_value_would_undo(item: str | None, key: str, value: str | None, wanted: set[ItemStep]):
    places = affected(item, key, value)
    assert set(places) == wanted
    order = list(status_of(ALL_DONE).item_steps)
    assert list(places) == sorted(places, key=order.index), "in the guide's order"


@pytest.mark.parametrize("value", ["10.20.1.9", None])
def test_it_tells_what_committing_does(value: str | None):
    """The answer is the same as that of the engine after the commit, and asking has changed nothing."""
    told = affected("endpoint/pe-weu", "private_ip", value)
    before = derive(GUIDE, ALL_DONE, NOW)
    assert all(status.done for status in before.item_steps.values())
    data = FieldSet(item="endpoint/pe-weu", field="private_ip", value=value)
    after = status_of(snapshot_of(*_events(), data)).item_steps
    assert set(told) == {place for place, status in after.items() if not status.done}


def _events() -> list[Data]:
    return [
        *FILLED,
        *(attested(place) for place in HUMAN),
        found(GOOD),
        found(GOOD, "workloads"),
        waiver(),
        attested(MARK),
    ]


def test_what_is_not_done_is_not_affected():
    snapshot = snapshot_of(*FILLED, attested(ONE), attested(ENDPOINT))
    assert impact(GUIDE, snapshot, "endpoint/pe-weu", "private_ip", "10.20.1.9", NOW) == (ENDPOINT,)
    assert impact(GUIDE, snapshot_of(*FILLED), "endpoint/pe-weu", "private_ip", "10.20.1.9", NOW) == ()


def test_a_status_that_is_known_already_is_not_derived_again():
    known = status_of(ALL_DONE)
    given = impact(GUIDE, ALL_DONE, None, "environment_name", "staging", NOW, before=known)
    assert given == affected(None, "environment_name", "staging") == (ONE,)


def test_another_file_may_have_other_content():
    path = FieldSet(item="dpe/dpe-01", field="values_file", value="/tmp/values.yml", file=FileFacts(sha256="a" * 64))
    base: list[Data] = [*FILLED, path]
    seen = [finding(snapshot_of(*base), UPDATE, check, GOOD) for check in ("release", "workloads")]
    snapshot = snapshot_of(*base, *seen)
    assert impact(GUIDE, snapshot, "dpe/dpe-01", "values_file", "/tmp/other.yml", NOW) == (UPDATE,)
    assert impact(GUIDE, snapshot, "dpe/dpe-01", "values_file", "/tmp/values.yml", NOW) == ()


def test_twenty_dpes_with_two_endpoints():
    """Only the pairs and the DPEs that the changed endpoint has to do with."""
    dpes = [f"dpe/dpe-{number:02}" for number in range(20)]
    endpoints = ["endpoint/pe-weu", "endpoint/pe-neu"]
    links = [(dpe, endpoint) for dpe in dpes for endpoint in endpoints if (dpe, endpoint) != (dpes[0], endpoints[0])]
    base: list[Data] = items("subscription/main", *endpoints, *dpes, links=links)
    for owner, key, value in VALUES:
        kind = owner.partition("/")[0] if owner else ""
        for same in {"dpe": dpes, "endpoint": endpoints}.get(kind, [owner]):
            base.append(FieldSet(item=same, field=key, value=value))
    pairs = [ItemStep("dns", (dpe, endpoint)) for dpe, endpoint in links]
    places = [ItemStep("endpoint", (one,)) for one in endpoints] + pairs
    done = snapshot_of(*base, *(attested(place, *base) for place in places))
    moved = impact(GUIDE, done, endpoints[0], "private_ip", "10.20.1.9", NOW)
    assert moved == (places[0], *(pair for pair in pairs if pair.items[1] == endpoints[0]))
    assert len(moved) == 1 + 19
    assert impact_sentence(GUIDE, moved) == "makes step 3 pe-weu and step 5 for 19 items stale"
    (first, second) = impact(GUIDE, done, dpes[1], "dpm_host", "dpm-2.example.link", NOW)
    assert {first, second} == {pair for pair in pairs if pair.items[0] == dpes[1]}


@pytest.mark.parametrize(
    ("places", "wanted"),
    [
        ((), ""),
        ((ONE,), "makes step 1 stale"),
        ((ENDPOINT, DNS), "makes step 3 pe-weu and step 5 dpe-01 pe-weu stale"),
        ((ENDPOINT, DNS, MARK), "makes step 3 pe-weu, step 5 dpe-01 pe-weu and step 8 dpe-01 stale"),
        (
            (ENDPOINT, RESOURCE_ID, DNS, ItemStep("dns", ("dpe/dpe-02", "endpoint/pe-weu"))),
            "makes step 3 pe-weu, step 4 pe-weu and step 5 for 2 items stale",
        ),
        ((ItemStep("endpoint", ("endpoint/a\x1b[2J\nb",)),), "makes step 3 a b stale"),
    ],
)
def test_the_sentence(places: tuple[ItemStep, ...], wanted: str):
    assert impact_sentence(GUIDE, places) == wanted
