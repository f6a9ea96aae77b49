"""Where a step runs, which items have to do with each other, and what a fingerprint is taken of."""

from __future__ import annotations

import hashlib
import json

import pytest

from state.events import FieldSet, FileFacts
from tests.wizard.engine import DNS, ENDPOINT, GUIDE, UPDATE, items, snapshot_of, step_of, view_of
from wizard.guide import ItemStep
from wizard.relations import Relations
from wizard.view import item_steps

# Two subscriptions, three endpoints, two dpes; pe-c belongs to the same subscription as pe-b, and both dpes use pe-b.
MANY = [
    *items(
        *("subscription/one", "subscription/two", "endpoint/pe-a", "endpoint/pe-b", "endpoint/pe-c"),
        *("dpe/x", "dpe/y"),
        links=[("dpe/x", "endpoint/pe-a"), ("dpe/x", "endpoint/pe-b"), ("dpe/y", "endpoint/pe-b")],
    ),
    FieldSet(item="endpoint/pe-a", field="subscription", value="one"),
    FieldSet(item="endpoint/pe-b", field="subscription", value="two"),
    FieldSet(item="endpoint/pe-c", field="subscription", value="two"),
]


def places(step: str, *data) -> list[tuple[str, ...]]:
    return [place.items for place in item_steps(GUIDE, snapshot_of(*data), step_of(GUIDE, step))]


def test_a_step_runs_once_per_item_or_per_linked_pair():
    assert places("connectivity", *MANY) == [()]
    assert places("register", *MANY) == [("subscription/one",), ("subscription/two",)]
    assert places("endpoint", *MANY) == [("endpoint/pe-a",), ("endpoint/pe-b",), ("endpoint/pe-c",)]
    assert places("dns", *MANY) == [
        ("dpe/x", "endpoint/pe-a"),
        ("dpe/x", "endpoint/pe-b"),
        ("dpe/y", "endpoint/pe-b"),
    ]
    assert places("dns") == []


def test_a_link_counts_in_either_direction():
    assert places("dns", *items("dpe/x", "endpoint/e", links=[("endpoint/e", "dpe/x")])) == [("dpe/x", "endpoint/e")]


@pytest.mark.parametrize(
    ("one", "other", "related"),
    [
        ("endpoint/pe-a", "subscription/one", True),
        ("endpoint/pe-a", "subscription/two", False),
        ("dpe/x", "endpoint/pe-a", True),
        ("dpe/y", "endpoint/pe-a", False),
        ("dpe/y", "subscription/two", True),  # by way of pe-b
        ("dpe/y", "subscription/one", False),
        ("dpe/x", "subscription/one", True),
        ("dpe/x", "dpe/x", True),
        ("dpe/x", "dpe/y", False),  # they share an endpoint, and still are two
        ("endpoint/pe-b", "endpoint/pe-c", False),
    ],
)
def test_relations_follow_references_and_links(one: str, other: str, related: bool):
    relations = Relations(GUIDE, snapshot_of(*MANY))
    assert relations.related(one, other) is related
    assert relations.related(other, one) is related


def test_the_only_item_stands_in_for_a_reference_that_is_not_named():
    only = snapshot_of(*items("subscription/one", "endpoint/pe-a"))
    assert Relations(GUIDE, only).related("endpoint/pe-a", "subscription/one")
    two = snapshot_of(*items("subscription/one", "subscription/two", "endpoint/pe-a"))
    assert not Relations(GUIDE, two).related("endpoint/pe-a", "subscription/one")


# ---------------------------------------------------------------- values


def test_a_value_is_the_items_own_or_that_of_the_related_ones():
    snapshot = snapshot_of(
        *MANY,
        FieldSet(item="subscription/one", field="subscription_id", value="id-one"),
        FieldSet(item="subscription/two", field="subscription_id", value="id-two"),
        FieldSet(item="endpoint/pe-a", field="private_ip", value="10.0.0.1"),
        FieldSet(item="endpoint/pe-b", field="private_ip", value="10.0.0.2"),
        FieldSet(item="endpoint/pe-c", field="private_ip", value="10.0.0.3"),
    )
    assert view_of(snapshot, ItemStep("endpoint", ("endpoint/pe-b",))).value("subscription_id") == "id-two"
    assert view_of(snapshot, ItemStep("dns", ("dpe/x", "endpoint/pe-b"))).values("private_ip") == ("10.0.0.2",)
    assert view_of(snapshot, ItemStep("update-dpe", ("dpe/x",))).values("private_ip") == ("10.0.0.1", "10.0.0.2")
    several = view_of(snapshot, ItemStep("update-dpe", ("dpe/x",)))
    assert several.setting("private_ip") is None, "one of several is no value"


def test_a_default_counts_until_something_is_entered():
    empty = snapshot_of(*items("dpe/dpe-01"))
    assert view_of(empty, UPDATE).value("timeout") == "10m"
    entered = snapshot_of(*items("dpe/dpe-01"), FieldSet(item="dpe/dpe-01", field="timeout", value="20m"))
    assert view_of(entered, UPDATE).value("timeout") == "20m"


def test_the_vnet_is_the_subnets_until_something_else_is_entered():
    subnet = FieldSet(item="endpoint/pe-weu", field="subnet", value="/vnets/v/subnets/s")
    assert view_of(snapshot_of(*items("endpoint/pe-weu"), subnet), ENDPOINT).value("vnet") == "/vnets/v"


# ---------------------------------------------------------------- fingerprints


def endpoint_view(*more: FieldSet):
    return view_of(snapshot_of(*items("subscription/main", "endpoint/pe-weu", "dpe/dpe-01"), *more), ENDPOINT)


def ip(value: str) -> FieldSet:
    return FieldSet(item="endpoint/pe-weu", field="private_ip", value=value)


def test_the_fingerprint_is_the_documented_one():
    """SHA-256 of canonical JSON [guide, step, item ids, id, revision, sorted inputs]: anybody can compute it."""
    view = endpoint_view(ip("10.0.0.4"))
    inputs = sorted(
        [
            ["endpoint/pe-weu.endpoint_name", ""],
            ["endpoint/pe-weu.link_service", ""],
            ["endpoint/pe-weu.private_ip", "10.0.0.4"],
            ["endpoint/pe-weu.resource_group", ""],
            ["endpoint/pe-weu.subnet", ""],
            ["endpoint/pe-weu.vnet", ""],
            ["subscription/main.subscription_id", ""],
        ]
    )
    document = ["ataccama-azure", "endpoint", ["endpoint/pe-weu"], "endpoint-approved", 1, inputs]
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    assert view.fingerprint("endpoint-approved", 1) == hashlib.sha256(text.encode()).hexdigest()


def test_it_differs_with_each_of_its_parts():
    view = endpoint_view(ip("10.0.0.4"))
    same = endpoint_view(ip("10.0.0.5"), ip("10.0.0.4"))
    assert same.fingerprint("x", 1) == view.fingerprint("x", 1), "how a value came about does not matter"
    others = [
        view.fingerprint("y", 1),
        view.fingerprint("x", 2),
        endpoint_view(ip("10.0.0.5")).fingerprint("x", 1),
        endpoint_view(
            ip("10.0.0.4"), FieldSet(item="subscription/main", field="subscription_id", value="other")
        ).fingerprint("x", 1),
        view.of("resource-id", ("endpoint/pe-weu",)).fingerprint("x", 1),
    ]
    assert len({view.fingerprint("x", 1), *others}) == len(others) + 1


def test_a_check_may_rest_on_more_than_its_step():
    """The lookup from inside is made in a release's pod; Azure's records are what they are wherever that runs."""

    def prints(namespace: str) -> dict[str, str]:
        entered = FieldSet(item="dpe/x", field="namespace", value=namespace)
        view = view_of(snapshot_of(*MANY, entered), ItemStep("dns", ("dpe/x", "endpoint/pe-a")))
        return {check.id: view.fingerprint_of(check) for check in view.step.checks}

    before, after = prints("one"), prints("other")
    assert {check for check in before if before[check] != after[check]} == {"cluster-lookup"}


def test_secrets_and_timeouts_are_not_in_it():
    keys = {key for key, _ in view_of(snapshot_of(*items("dpe/dpe-01")), UPDATE).inputs()}
    assert "dpe/dpe-01.version" in keys
    assert not keys & {"dpe/dpe-01.token", "dpe/dpe-01.timeout"}
    # Even a journal edited by hand does not bring a secret in.
    forged = FieldSet(item="dpe/dpe-01", field="token", value="t0ken")
    assert "t0ken" not in str(view_of(snapshot_of(*items("dpe/dpe-01"), forged), UPDATE).inputs())


def test_a_file_counts_by_its_content():
    def with_file(path: str, sha256: str) -> str:
        data = FieldSet(item="dpe/dpe-01", field="values_file", value=path, file=FileFacts(sha256=sha256))
        return view_of(snapshot_of(*items("dpe/dpe-01"), data), UPDATE).fingerprint("x", 1)

    assert with_file("/a/values.yml", "1" * 64) == with_file("/b/values.yml", "1" * 64)
    assert with_file("/a/values.yml", "1" * 64) != with_file("/a/values.yml", "2" * 64)


def test_an_item_of_another_pair_does_not_count():
    snapshot = snapshot_of(*MANY, ip("10.0.0.9"))
    pair = ItemStep("dns", ("dpe/x", "endpoint/pe-a"))
    before = view_of(snapshot, pair).fingerprint("x", 1)
    moved = snapshot_of(*MANY, ip("10.0.0.9"), FieldSet(item="endpoint/pe-b", field="private_ip", value="10.9.9.9"))
    assert view_of(moved, pair).fingerprint("x", 1) == before
    assert DNS.step == pair.step
