"""Offers: what is known already is offered where it fits, best first, and nothing that would be wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from state.events import Data, FieldSet, FileFacts, GuideRef, Header
from state.snapshot import Snapshot, fold
from tests.setups import ALIAS, DPM, MINIO, SUBNET, SUBSCRIPTION, VALUES
from tests.wizard.engine import GUIDE, TOKEN, items, snapshot_of
from wizard.answers import Answers, read_answers
from wizard.guide import Field, Guide
from wizard.guides import IDS
from wizard.guides import guide as find_guide
from wizard.identifiers import Known
from wizard.offers import MOST, Offer, Offers, SandboxOffers, unique_keys
from wizard.status import OK, field_state, known, parse_field
from wizard.view import View, item_steps

OTHER = "0d2b5a1c-6f0e-4a77-8c39-2e4b1f5d9a60"
NETWORK = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-net-data/providers/Microsoft.Network"
VNET = SUBNET.partition("/subnets/")[0]
FIRST = items("subscription/main", "endpoint/pe-weu", "dpe/dpe-01", links=[("dpe/dpe-01", "endpoint/pe-weu")])
SECOND = items("endpoint/pe-neu", "dpe/dpe-02", links=[("dpe/dpe-02", "endpoint/pe-neu")])


def typed(item: str | None, **values: str) -> list[Data]:
    return [FieldSet(item=item, field=key, value=value) for key, value in values.items()]


def every_value(*, without: tuple[str, ...] = ()) -> list[Data]:
    return [FieldSet(item=owner, field=key, value=value) for owner, key, value in VALUES if key not in without]


def with_file(item: str, *hosts: str, path: str = "/home/ada/values.yml") -> Data:
    return FieldSet(item=item, field="values_file", value=path, file=FileFacts(sha256="0" * 64, hosts=hosts))


def view_for(snapshot: Snapshot, key: str, owner: str | None, guide: Guide = GUIDE) -> tuple[View, Field]:
    field = guide.fields()[key]
    step = next(step for step in guide.steps if field in step.fields)
    return View(guide, snapshot, step, (owner,) if owner else ()), field


def offered(snapshot: Snapshot, key: str, owner: str | None, offers: Offers | None = None) -> list[tuple[str, str]]:
    view, field = view_for(snapshot, key, owner)
    found = (offers or Offers()).of(view, field, owner)
    for offer in found:
        state = parse_field(view, field, offer.value).state
        assert state == ("not complete" if offer.partial else "ok"), offer
    return [(offer.value + "*" * offer.partial, offer.source) for offer in found]


# ---------------------------------------------------------------- the guide's rules


@pytest.mark.parametrize(
    ("key", "given", "expected"),
    [
        ("endpoint_id", ("subscription_id", "resource_group", "endpoint_name"), f"{NETWORK}/privateEndpoints/pe-weu"),
        ("endpoint_id", ("subscription_id", "resource_group"), ""),
        ("endpoint_id", ("subscription_id", "endpoint_name"), ""),
        ("endpoint_id", ("resource_group", "endpoint_name"), ""),
        ("vnet", ("subscription_id", "resource_group"), f"{NETWORK}/virtualNetworks/*"),
        ("vnet", ("subscription_id",), f"/subscriptions/{SUBSCRIPTION}/resourceGroups/*"),
        ("vnet", ("resource_group",), ""),
        ("subnet", ("subscription_id", "resource_group"), f"{NETWORK}/virtualNetworks/*"),
    ],
)
def test_what_follows_from_other_values(key: str, given: tuple[str, ...], expected: str):
    values = [data for data in every_value() if isinstance(data, FieldSet) and data.field in given]
    found = offered(snapshot_of(*FIRST, *values), key, "endpoint/pe-weu")
    assert found == ([(expected, "from steps 2 and 3")] if expected else [])


def test_a_subnet_begins_as_its_vnet_does():
    values = typed("subscription/main", subscription_id=SUBSCRIPTION) + typed("endpoint/pe-weu", vnet=VNET)
    found = offered(snapshot_of(*FIRST, *values), "subnet", "endpoint/pe-weu")
    assert found == [(f"{VNET}/subnets/*", "from steps 2 and 3")]


def test_the_whole_vnet_of_a_typed_subnet_comes_before_a_beginning():
    found = offered(snapshot_of(*FIRST, *every_value(without=("vnet",))), "vnet", "endpoint/pe-weu")
    assert found == [(VNET, "suggested"), (f"{NETWORK}/virtualNetworks/*", "from steps 2 and 3")]


def test_each_endpoint_is_offered_its_own_id():
    values = [
        *typed("subscription/main", subscription_id=SUBSCRIPTION),
        *typed("endpoint/pe-weu", resource_group="rg-a", endpoint_name="pe-a"),
        *typed("endpoint/pe-neu", resource_group="rg-b", endpoint_name="pe-b"),
    ]
    ((found, _),) = offered(snapshot_of(*FIRST, *SECOND, *values), "endpoint_id", "endpoint/pe-neu")
    assert found.endswith("/resourceGroups/rg-b/providers/Microsoft.Network/privateEndpoints/pe-b")


def test_a_default_is_suggested():
    assert offered(snapshot_of(*FIRST), "timeout", "dpe/dpe-01") == [("10m", "suggested")]


@pytest.mark.parametrize("id", IDS)
def test_every_rule_of_a_guide_meets_an_empty_setup_and_names_its_source(id: str):
    guide = find_guide(id)
    empty = fold(Header(seq=0, format="x", guide=GuideRef(id=guide.id, version=1), name="x", ts=""), ())
    for step in guide.steps:
        for place in {place.items for place in item_steps(guide, empty, step)} | {()}:
            for field in step.fields:
                found = Offers().of(View(guide, empty, step, place), field, None)
                assert all(offer.value and offer.source for offer in found)
                assert (field.offer is None) is (field.offer_source == ""), field.key


# ---------------------------------------------------------------- the values file


def test_hosts_of_the_values_file_with_the_fields_own_first():
    hosts = ("auth.ataccama.link", DPM, MINIO)
    snapshot = snapshot_of(*FIRST, with_file("dpe/dpe-01", *hosts))
    assert offered(snapshot, "dpm_host", "dpe/dpe-01") == [
        (DPM, "from values.yml"),
        ("auth.ataccama.link", "from values.yml"),
    ]
    assert offered(snapshot, "minio_host", "dpe/dpe-01")[0] == (MINIO, "from values.yml")


def test_hosts_of_another_dpes_file_are_not_offered():
    snapshot = snapshot_of(*FIRST, *SECOND, with_file("dpe/dpe-02", DPM, MINIO))
    assert offered(snapshot, "dpm_host", "dpe/dpe-01") == []
    assert offered(snapshot, "dpm_host", "dpe/dpe-02") == [(DPM, "from values.yml")]


def test_the_pair_of_step_five_sees_its_dpes_file():
    snapshot = snapshot_of(*FIRST, with_file("dpe/dpe-01", DPM))
    step = GUIDE.step("dns")
    assert step is not None
    view = View(GUIDE, snapshot, step, ("dpe/dpe-01", "endpoint/pe-weu"))
    assert Offers().of(view, GUIDE.fields()["dpm_host"], "dpe/dpe-01") == (Offer(DPM, "from values.yml"),)


def test_a_host_that_the_values_file_does_not_name_is_noted():
    other = "dpm-zzzzz-worker-01-eus1.ataccama.link"
    snapshot = snapshot_of(*FIRST, *SECOND, *typed("dpe/dpe-01", dpm_host=other), with_file("dpe/dpe-01", DPM))
    view, field = view_for(snapshot, "dpm_host", "dpe/dpe-01")
    assert known(view, field).hosts == (DPM,)
    state = field_state(view, field, "dpe/dpe-01")
    assert (state.state, "not among" in state.message) == (OK, True)
    for key, owner in (("dpm_host", "dpe/dpe-02"), ("registry", "dpe/dpe-01")):
        assert known(*view_for(snapshot, key, owner)) == Known()


# ---------------------------------------------------------------- other items of the same kind


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("link_service", ALIAS),
        ("resource_group", "rg-net-data"),
        ("subnet", SUBNET),
        ("registry", "registry.example.com"),
        ("username", "dpe-user"),
        ("chart", "oci://registry.example.com/helm/ataccama-one-dpe"),
        ("version", "16.2.0"),
        ("namespace", "dpe"),
    ],
)
def test_what_another_item_has_is_offered(key: str, value: str):
    kind = GUIDE.fields()[key].owner
    first, second = ("endpoint/pe-weu", "endpoint/pe-neu") if kind == "endpoint" else ("dpe/dpe-01", "dpe/dpe-02")
    snapshot = snapshot_of(*FIRST, *SECOND, *every_value())
    assert (value, f"as for {first.partition('/')[2]}") in offered(snapshot, key, second)
    assert not [offer for offer in offered(snapshot, key, first) if offer[1].startswith("as for")]


@pytest.mark.parametrize(
    "key",
    ["subscription_id", "endpoint_id", "endpoint_name", "private_ip", "dpm_host", "minio_host", "release"],
)
def test_what_names_one_item_alone_is_not_offered_to_another(key: str):
    assert key in unique_keys(GUIDE)
    second = {"subscription": "subscription/other", "endpoint": "endpoint/pe-neu", "dpe": "dpe/dpe-02"}
    owner = second[GUIDE.fields()[key].owner or ""]
    snapshot = snapshot_of(*FIRST, *SECOND, *items("subscription/other"), *every_value())
    theirs = {value for _, known, value in VALUES if known == key}
    assert not theirs & {value for value, _ in offered(snapshot, key, owner)}


def test_a_values_file_is_one_dpes_own():
    snapshot = snapshot_of(*FIRST, *SECOND, with_file("dpe/dpe-01", DPM))
    assert offered(snapshot, "values_file", "dpe/dpe-02") == []


def test_the_same_value_of_many_items_is_offered_once_and_there_are_not_many():
    many = [f"dpe/dpe-{number:02}" for number in range(1, 31)]
    same = [data for item in many for data in typed(item, registry="registry.example.com")]
    snapshot = snapshot_of(*items(*many, "dpe/new"), *same)
    assert offered(snapshot, "registry", "dpe/new") == [("registry.example.com", "as for dpe-01")]
    each = [data for item in many for data in typed(item, registry=f"{item[4:]}.example.com")]
    assert len(offered(snapshot_of(*items(*many, "dpe/new"), *each), "registry", "dpe/new")) == MOST


def test_what_a_rule_of_the_field_forbids_is_not_offered():
    """The first endpoint's subnet is of another VNet than the second's."""
    own_vnet = f"{NETWORK}/virtualNetworks/vnet-neu"
    snapshot = snapshot_of(*FIRST, *SECOND, *every_value(), *typed("endpoint/pe-neu", vnet=own_vnet))
    assert offered(snapshot, "subnet", "endpoint/pe-neu") == [(f"{own_vnet}/subnets/*", "from steps 2 and 3")]


def test_a_forged_value_is_not_offered():
    """A journal edited by hand can hold what no field takes."""
    bad = ["\x1b]0;title\x07", "rg net", "x" * 5000, "registry\n.example.com ", "-"]
    names = [f"dpe/dpe-{number}" for number in range(len(bad))]
    forged = [FieldSet(item=item, field="registry", value=value) for item, value in zip(names, bad, strict=True)]
    assert offered(snapshot_of(*items(*names, "dpe/new"), *forged), "registry", "dpe/new") == []


def test_a_secret_is_offered_nothing():
    forged = FieldSet(item="dpe/dpe-01", field="token", value="t0ken")
    assert offered(snapshot_of(*FIRST, *SECOND, forged), "token", "dpe/dpe-02") == []


# ---------------------------------------------------------------- the sandbox's portal


PORTAL = "the sandbox's portal"


@pytest.fixture
def answers(tmp_path: Path) -> Answers:
    """The answers file of a sandbox."""
    return written(tmp_path)


def written(folder: Path, change: Callable[[dict[str, dict[str, dict[str, object]]]], object] | None = None) -> Answers:
    named: dict[str, dict[str, dict[str, object]]] = {
        "subscription": {"main": {}},
        "endpoint": {"pe-weu": {"subscription": "main"}},
        "dpe": {"dpe-01": {"timeout": "2m", "values_file": "values.yml", "token": {"file": "token.txt"}}},
    }
    for owner, key, value in VALUES:
        if owner:
            kind, _, name = owner.partition("/")
            named[kind][name][key] = value
    if change:
        change(named)
    document = {
        "format": "privatelink-wizard.answers/1",
        "items": named,
        "fields": {"connectivity": {"environment_name": "sandbox"}},
    }
    (folder / "token.txt").write_text(TOKEN.reveal() + "\n")
    (folder / "answers.yml").write_text(yaml.safe_dump(document))
    return read_answers(folder / "answers.yml")


# What Azure knows, what acting fills, and what follows from other values.
NOT_AT_THE_PORTAL = {"subscription_id", "resource_group", "subnet", "endpoint_name", "private_ip", "endpoint_id"}


@pytest.mark.parametrize(("owner", "key", "value"), [one for one in VALUES if one[1] not in NOT_AT_THE_PORTAL])
def test_the_portal_offers_every_value_for_whichever_name(answers: Answers, owner: str | None, key: str, value: str):
    named = {"subscription": "subscription/mine", "endpoint": "endpoint/mine", "dpe": "dpe/mine"}
    mine = owner and named[owner.partition("/")[0]]
    snapshot = snapshot_of(*items(*named.values(), links=[("dpe/mine", "endpoint/mine")]))
    first = offered(snapshot, key, mine, SandboxOffers(answers))[0]
    assert first == ("sandbox" if key == "environment_name" else value, PORTAL)


@pytest.mark.parametrize("key", [*sorted(NOT_AT_THE_PORTAL), "vnet", "cluster_vnet"])
def test_what_no_vendors_portal_shows_is_not_offered_from_there(tmp_path: Path, key: str):
    def know_all(named: dict[str, dict[str, dict[str, object]]]) -> None:
        named["endpoint"]["pe-weu"]["vnet"] = named["dpe"]["dpe-01"]["cluster_vnet"] = VNET

    owner = f"{GUIDE.fields()[key].owner}/mine"
    snapshot = snapshot_of(
        *items("subscription/mine", "endpoint/mine", "dpe/mine", links=[("dpe/mine", "endpoint/mine")])
    )
    found = offered(snapshot, key, owner, SandboxOffers(written(tmp_path, know_all)))
    assert PORTAL not in {source for _, source in found}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("pe-weu", "pe-weu"),
        ("weu", "pe-weu"),
        ("pe", "pe-pe"),
        ("x" * 63, "pe-" + "x" * 61),
        ("x" * 60 + "---", "pe-" + "x" * 60),
        ("pe-", "pe"),
    ],
)
def test_nobody_has_to_invent_a_name_for_the_endpoint(name: str, value: str):
    assert offered(snapshot_of(*items(f"endpoint/{name}")), "endpoint_name", f"endpoint/{name}") == [
        (value, "suggested")
    ]


def test_a_name_that_another_endpoint_gets_is_not_offered():
    assert offered(snapshot_of(*items("endpoint/pe-weu", "endpoint/weu")), "endpoint_name", "endpoint/weu") == []


def test_the_item_of_the_same_name_goes_before_the_first(tmp_path: Path):
    def add_second(named: dict[str, dict[str, dict[str, object]]]) -> None:
        named["dpe"]["dpe-02"] = {"release": "second", "token": {"file": "other.txt"}}

    (tmp_path / "other.txt").write_text("0ther-t0ken")
    offers = SandboxOffers(written(tmp_path, add_second))
    snapshot = snapshot_of(*FIRST, *SECOND)
    assert offered(snapshot, "release", "dpe/dpe-02", offers) == [("second", PORTAL)]
    token = GUIDE.fields()["token"]
    found = [offers.secret(token, owner) for owner in ("dpe/dpe-02", "dpe/dpe-01", "dpe/mine", None)]
    assert [secret.reveal() if secret else "" for secret in found] == [
        "0ther-t0ken",
        *[TOKEN.reveal()] * 3,
    ]
    assert offers.item_names("dpe") == ("dpe-01", "dpe-02")


def test_what_is_one_items_own_is_not_offered_to_a_second(answers: Answers):
    snapshot = snapshot_of(*FIRST, *SECOND, *every_value())
    offers = SandboxOffers(answers)
    assert offered(snapshot, "dpm_host", "dpe/dpe-02", offers) == []
    assert offered(snapshot, "dpm_host", "dpe/dpe-01", offers) == [(DPM, PORTAL)]
    assert offered(snapshot, "registry", "dpe/dpe-02", offers) == [("registry.example.com", PORTAL)]


def test_the_portals_timeout_goes_before_the_default(answers: Answers):
    found = offered(snapshot_of(*FIRST), "timeout", "dpe/dpe-01", SandboxOffers(answers))
    assert found == [("2m", PORTAL), ("10m", "suggested")]


def test_the_path_of_the_values_file_is_from_beside_the_answers(answers: Answers, tmp_path: Path):
    found = offered(snapshot_of(*FIRST), "values_file", "dpe/dpe-01", SandboxOffers(answers))
    assert found == [(str(tmp_path / "values.yml"), PORTAL)]


def test_words_and_names_of_the_portal(answers: Answers):
    offers = SandboxOffers(answers)
    assert [offers.item_names(kind) for kind in ("subscription", "endpoint", "dpe", "x")] == [
        ("main",), ("pe-weu",), ("dpe-01",), (),
    ]  # fmt: skip
    view, token = view_for(snapshot_of(*FIRST), "token", "dpe/dpe-01")
    assert offers.of(view, token, "dpe/dpe-01") == ()
    assert TOKEN.reveal() not in repr(offers)
    assert offers.secret(GUIDE.fields()["registry"]) is None
