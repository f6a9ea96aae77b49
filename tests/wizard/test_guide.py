"""The guide's own rules and texts: what several values must say together."""

from __future__ import annotations

import pytest

from state.events import Data, FieldSet
from state.problem import Problem
from tests.setups import ENDPOINT_ID, SUBNET, VALUES
from tests.wizard.engine import ENDPOINT, GUIDE, RESOURCE_ID, UPDATE, items, snapshot_of, step_of, view_of
from wizard.guide import CHANGE, SAME, Change, ItemStep, Plan
from wizard.guides import guide as find_guide
from wizard.status import field_states

FILLED: list[Data] = [
    *items("subscription/main", "endpoint/pe-weu", "dpe/dpe-01", links=[("dpe/dpe-01", "endpoint/pe-weu")]),
    *(FieldSet(item=owner, field=key, value=value) for owner, key, value in VALUES),
]


def wrong(place: ItemStep, owner: str, key: str, value: str) -> str:
    """What is wrong with `value` beside the others; empty when nothing is."""
    view = view_of(snapshot_of(*FILLED, FieldSet(item=owner, field=key, value=value)), place)
    (state,) = (one for one in field_states(view) if one.field.key == key)
    return state.message if state.state == "wrong" else ""


@pytest.mark.parametrize(
    ("place", "owner", "key", "value", "says"),
    [
        (RESOURCE_ID, "endpoint/pe-weu", "endpoint_id", ENDPOINT_ID, ""),
        (RESOURCE_ID, "endpoint/pe-weu", "endpoint_id", ENDPOINT_ID.replace("pe-weu", "PE-WEU"), ""),
        (RESOURCE_ID, "endpoint/pe-weu", "endpoint_id", ENDPOINT_ID.replace("pe-weu", "pe-other"), "pe-other"),
        (RESOURCE_ID, "endpoint/pe-weu", "endpoint_id", ENDPOINT_ID.replace("rg-net-data", "rg-x"), "rg-x"),
        (ENDPOINT, "endpoint/pe-weu", "vnet", SUBNET.partition("/subnets/")[0], ""),
        (UPDATE, "dpe/dpe-01", "chart", "oci://REGISTRY.example.com/helm/ataccama-one-dpe", ""),
        (UPDATE, "dpe/dpe-01", "chart", "oci://elsewhere.example.com/helm/x", "elsewhere.example.com"),
    ],
)
def test_values_that_belong_together(place: ItemStep, owner: str, key: str, value: str, says: str):
    message = wrong(place, owner, key, value)
    assert (message == "") is (says == "")
    assert says in message


def test_a_subnet_of_another_vnet_and_one_host_twice_are_wrong():
    other = FieldSet(item="endpoint/pe-weu", field="vnet", value=SUBNET.partition("/subnets/")[0] + "-other")
    (subnet,) = (
        one for one in field_states(view_of(snapshot_of(*FILLED, other), ENDPOINT)) if one.field.key == "subnet"
    )
    assert subnet.state == "wrong" and "vnet-weu" in subnet.message
    dpm = next(value for _, key, value in VALUES if key == "dpm_host")
    assert "MinIO" in wrong(ItemStep("dns", ("dpe/dpe-01", "endpoint/pe-weu")), "dpe/dpe-01", "minio_host", dpm)


def test_texts_name_the_values_they_confirm():
    view = view_of(snapshot_of(*FILLED), ENDPOINT)
    attest = step_of(GUIDE, "endpoint").attest
    assert attest is not None
    text = attest.text(view)
    for key in ("endpoint_name", "resource_group", "link_service", "private_ip"):
        assert view.value(key) in text


def test_steps_are_found_by_number_and_id():
    assert GUIDE.step(7) is GUIDE.step("7") is GUIDE.step("update-dpe")
    assert GUIDE.step("9") is None


def test_an_unknown_guide_names_those_there_are():
    with pytest.raises(Problem) as caught:
        find_guide("other\x1b[2J")
    assert "ataccama-azure" in caught.value.todo
    assert caught.value.what.isprintable()


def test_a_plan_is_empty_when_everything_is_already_so():
    assert Plan(()).empty
    assert Plan((Change(SAME, "release"),)).empty
    assert not Plan((Change(SAME, "release"), Change(CHANGE, "value"))).empty
    assert "secret" not in repr(Plan((), payload="secret"))
