"""What a setup is now, event by event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state import journal
from state.events import (
    DATA_TYPES,
    FORMAT,
    Attested,
    ChangeFinished,
    ChangeStarted,
    Data,
    EnvironmentSet,
    Event,
    FieldSet,
    Found,
    Header,
    IdentityPinned,
    ItemAdded,
    ItemRemoved,
    Linked,
    ModeSet,
    ProbeConsented,
    ProbeEnded,
    ProbeStarted,
    ProcessStarted,
    ProofWaived,
    RouteChosen,
    TornLineCut,
    Unlinked,
)
from state.snapshot import ChangeRecord, Recorded, Snapshot, fold
from tests.state.make_journal import ACTOR, GUIDE, data_of, lines_of, ts_of

HEADER = Header(seq=0, format=FORMAT, guide=GUIDE, name="demo", ts=ts_of(0))


def events_of(*data: Data) -> list[Event]:
    return [
        Event(seq=seq, ts=ts_of(seq), actor=ACTOR, type=one.TYPE, v=one.VERSION, data=one, prev="")
        for seq, one in enumerate(data, 1)
    ]


def folded(*data: Data) -> Snapshot:
    return fold(HEADER, events_of(*data))


def recorded(seq: int, data: Data) -> Recorded[Any]:
    return Recorded(data, ts_of(seq), ACTOR, seq)


PE = ItemAdded(item="endpoint/pe-1")
DPE = ItemAdded(item="dpe/worker-1")


def test_a_new_setup() -> None:
    snapshot = fold(HEADER, ())
    assert snapshot == Snapshot(header=HEADER, first_ts=ts_of(0), last_ts=ts_of(0))
    assert (snapshot.mode, snapshot.environment, snapshot.seq, snapshot.last_actor) == ("self-service", None, 0, None)


def test_mode_environment_probe_and_identity_are_the_latest() -> None:
    snapshot = folded(
        ModeSet(mode="hybrid"),
        EnvironmentSet(kubeconfig="/a"),
        EnvironmentSet(helm="/usr/bin/helm"),
        ProbeConsented(probe="pod"),
        ProbeConsented(probe="none"),
        IdentityPinned(kind="cluster", facts={"uid": "1"}),
        IdentityPinned(kind="azure", facts={"tenant_id": "t"}),
        IdentityPinned(kind="cluster", facts={"uid": "2"}),
        ModeSet(mode="collaborative"),
    )
    assert snapshot.mode == "collaborative"
    assert snapshot.environment == recorded(3, EnvironmentSet(helm="/usr/bin/helm")), "a later one replaces it whole"
    assert snapshot.probe == recorded(5, ProbeConsented(probe="none"))
    assert {kind: one.seq for kind, one in snapshot.identities.items()} == {"cluster": 8, "azure": 7}
    assert (snapshot.seq, snapshot.first_ts, snapshot.last_ts, snapshot.last_actor) == (9, ts_of(0), ts_of(9), ACTOR)


@pytest.mark.parametrize(
    ("environments", "seq"),
    [
        ([], 0),
        ([EnvironmentSet(helm="/usr/bin/helm")], 0),
        ([EnvironmentSet(kubeconfig="/a")], 1),
        ([EnvironmentSet(kubeconfig="/a"), EnvironmentSet(kubeconfig="/a", helm="/h")], 1),
        ([EnvironmentSet(kubeconfig="/a"), EnvironmentSet(kubeconfig="/a", kube_context="c")], 2),
        ([EnvironmentSet(kubeconfig="/a"), EnvironmentSet(kubeconfig="/b"), EnvironmentSet(kubeconfig="/a")], 3),
    ],
)
def test_which_event_pointed_to_another_cluster_last(environments: list[EnvironmentSet], seq: int) -> None:
    assert folded(*environments, ModeSet(mode="hybrid")).pointed == seq


def test_items_and_links_in_the_order_they_came() -> None:
    snapshot = folded(
        ItemAdded(item="endpoint/z"),
        ItemAdded(item="endpoint/a"),
        DPE,
        ItemAdded(item="endpoint/z"),
        Linked(source="dpe/worker-1", target="endpoint/z"),
        Linked(source="dpe/worker-1", target="endpoint/a"),
        Linked(source="dpe/worker-1", target="endpoint/z"),
    )
    assert snapshot.items == {"endpoint": ("z", "a"), "dpe": ("worker-1",)}
    assert snapshot.links == (("dpe/worker-1", "endpoint/z"), ("dpe/worker-1", "endpoint/a"))
    assert snapshot.has("endpoint/a") and not snapshot.has("endpoint/b") and not snapshot.has("rubbish")
    later = fold(HEADER, events_of(Unlinked(source="dpe/worker-1", target="endpoint/z")), snapshot)
    assert later.links == (("dpe/worker-1", "endpoint/a"),)
    assert len(snapshot.links) == 2, "the base is as it was"


def test_fields_and_their_previous_values() -> None:
    first = FieldSet(item="endpoint/pe-1", field="name", value="a")
    second = FieldSet(item="endpoint/pe-1", field="name", value="b")
    cleared = FieldSet(item="endpoint/pe-1", field="name", value=None)

    snapshot = folded(PE, first)
    assert snapshot.value("endpoint/pe-1", "name") == "a"
    assert snapshot.previous == {}
    snapshot = folded(PE, first, second)
    assert snapshot.values == {"endpoint/pe-1": {"name": recorded(3, second)}}
    assert snapshot.previous == {"endpoint/pe-1": {"name": recorded(2, first)}}
    snapshot = folded(PE, first, second, cleared)
    assert snapshot.values == {}
    assert snapshot.value("endpoint/pe-1", "name") is None
    assert snapshot.previous == {"endpoint/pe-1": {"name": recorded(3, second)}}
    snapshot = folded(PE, first, cleared, second)
    assert snapshot.previous == {}, "before its latest commit the field was empty"


def test_a_field_of_the_whole_setup() -> None:
    snapshot = folded(FieldSet(field="environment", value="prod"))
    assert snapshot.value(None, "environment") == "prod"
    assert snapshot.value(None, "other") is None
    assert snapshot.value("endpoint/none", "name") is None


def finding(verdict: str, items: tuple[str, ...] = (), check: str = "c") -> Found:
    return Found(step="3", items=items, check=check, verdict=verdict, text="", fingerprint="")


def test_since_is_the_first_of_the_current_run_of_equal_verdicts() -> None:
    snapshot = folded(
        *(finding(verdict) for verdict in ("good", "bad", "good", "good", "good")), finding("bad", (), "d")
    )
    latest = snapshot.findings["3", (), "c"]
    assert (latest.seq, latest.since, latest.data.verdict) == (5, ts_of(3), "good")
    assert snapshot.findings["3", (), "d"].since == ts_of(6)


def said(verdict: str, text: str, fingerprint: str = "") -> Found:
    return Found(step="3", items=(), check="c", verdict=verdict, text=text, fingerprint=fingerprint)


@pytest.mark.parametrize(
    ("found", "since"),
    [
        ([said("good", "g"), said("bad", "public"), said("could not look", "x"), said("bad", "public")], 2),
        ([said("good", "g"), said("not yet", "scaled to zero"), said("bad", "mixed"), said("bad", "mixed")], 3),
        ([said("bad", "public"), said("good", "g"), said("bad", "public")], 3),
        ([said("bad", "public"), said("bad", "public", "other inputs")], 2),
        ([said("good", "g"), said("bad", "public"), said("could not look", "x")], 2),
    ],
)
def test_an_answer_knows_when_it_was_first_given(found: list[Found], since: int) -> None:
    answered = folded(*found).findings["3", (), "c"].answered
    assert answered is not None
    assert answered.since == ts_of(since)


@pytest.mark.parametrize(
    ("found", "turned"),
    [
        ([], 0),
        ([said("bad", "x")], 0),  # it never was good
        ([said("good", "g")], 0),
        ([said("good", "g"), said("not yet", "x"), said("bad", "y")], 2),
        ([said("good", "g"), said("bad", "x"), said("could not look", "?"), said("bad", "x")], 2),
        ([said("good", "g"), said("bad", "x"), said("good", "g")], 0),
        ([said("good", "g"), said("bad", "x"), said("good", "g"), said("bad", "x")], 4),
        ([said("good", "g"), said("bad", "x"), said("bad", "x", "other inputs")], 3),
    ],
)
def test_a_look_turns_when_it_is_first_not_good_any_more(found: list[Found], turned: int) -> None:
    snapshot = folded(*found)
    record = snapshot.findings.get(("3", (), "c"))
    assert (record.turned if record else 0) == turned


def test_routes_attestations_and_waivers() -> None:
    items = ("endpoint/pe-1",)
    attested = [
        Attested(step="4", items=items, text_id=text, revision=revision, text="I did", fingerprint="")
        for text, revision in (("a", 1), ("b", 1), ("a", 2))
    ]
    waived = ProofWaived(step="8", items=items, reason="no access", fingerprint="")
    done = RouteChosen(step="3", items=items, route="already done")
    snapshot = folded(
        PE,
        RouteChosen(step="3", items=items, route="hand off"),
        done,
        *attested,
        waived,
    )
    assert snapshot.routes == {("3", items): recorded(3, done)}
    assert snapshot.attestations == {
        ("4", items, "a"): recorded(6, attested[2]),
        ("4", items, "b"): recorded(5, attested[1]),
    }
    assert snapshot.waivers == {("8", items): recorded(7, waived)}


def test_changes_from_start_to_end() -> None:
    start = [ChangeStarted(change=name, step="7", summary="upgrade") for name in ("z", "a")]
    process = ProcessStarted(change="z", pid=7, start_time="1", boot_id="b")
    end = ChangeFinished(change="z", outcome="done", summary="")
    snapshot = folded(*start, process, end)
    assert list(snapshot.changes.items()) == [
        ("z", ChangeRecord(recorded(1, start[0]), recorded(3, process), recorded(4, end))),
        ("a", ChangeRecord(recorded(2, start[1]))),
    ]


def test_removing_an_item_drops_all_that_hangs_on_it_and_nothing_else() -> None:
    both = ("dpe/worker-1", "endpoint/pe-1")
    change = ChangeStarted(change="z", step="3", items=("endpoint/pe-1",), summary="")
    kept = [
        DPE,
        ItemAdded(item="endpoint/pe-2"),
        Linked(source="dpe/worker-1", target="endpoint/pe-2"),
        FieldSet(item="endpoint/pe-2", field="name", value="x"),
        finding("good", ("endpoint/pe-2",)),
        finding("good"),
    ]
    dropped = [
        Linked(source="dpe/worker-1", target="endpoint/pe-1"),
        FieldSet(item="endpoint/pe-1", field="name", value="a"),
        FieldSet(item="endpoint/pe-1", field="name", value="b"),
        finding("good", both),
        RouteChosen(step="3", items=("endpoint/pe-1",), route="hand off"),
        Attested(step="4", items=("endpoint/pe-1",), text_id="t", revision=1, text="", fingerprint=""),
        ProofWaived(step="8", items=both, reason="", fingerprint=""),
    ]
    snapshot = folded(*kept, PE, *dropped, change, ItemRemoved(item="endpoint/pe-1"))
    assert snapshot.items == {"dpe": ("worker-1",), "endpoint": ("pe-2",)}
    assert snapshot.links == (("dpe/worker-1", "endpoint/pe-2"),)
    assert snapshot.values == {"endpoint/pe-2": {"name": recorded(4, kept[3])}}
    assert (snapshot.previous, snapshot.routes, snapshot.attestations, snapshot.waivers) == ({}, {}, {}, {})
    assert set(snapshot.findings) == {("3", ("endpoint/pe-2",), "c"), ("3", (), "c")}
    assert list(snapshot.changes) == ["z"], "it happened"
    again = fold(HEADER, events_of(PE, FieldSet(item="endpoint/pe-1", field="name", value="new")), snapshot)
    assert again.items["endpoint"] == ("pe-2", "pe-1")
    assert again.previous == {}
    assert folded(PE, ItemRemoved(item="endpoint/pe-1")).items == {}


def test_what_makes_no_sense_is_passed_over() -> None:
    ghost = ("endpoint/ghost",)
    snapshot = folded(
        ItemRemoved(item="endpoint/ghost"),
        ItemAdded(item="rubbish"),
        ItemAdded(item="/x"),
        ItemAdded(item="x/"),
        ItemAdded(item=""),
        Linked(source="dpe/ghost", target="endpoint/ghost"),
        Unlinked(source="a", target="b"),
        FieldSet(item="endpoint/ghost", field="name", value="x"),
        FieldSet(field="never set", value=None),
        RouteChosen(step="3", items=ghost, route="hand off"),
        finding("good", ghost),
        Attested(step="4", items=ghost, text_id="t", revision=1, text="", fingerprint=""),
        ProofWaived(step="8", items=ghost, reason="", fingerprint=""),
        ProcessStarted(change="ghost", pid=7, start_time="1", boot_id="b"),
        ChangeFinished(change="ghost", outcome="done", summary=""),
        TornLineCut(bytes=1, sha256="", kept_in=""),
    )
    assert snapshot == Snapshot(header=HEADER, seq=16, first_ts=ts_of(0), last_ts=ts_of(16), last_actor=ACTOR)


def test_a_snapshot_can_not_be_changed() -> None:
    snapshot = folded(*data_of(200))
    with pytest.raises(FrozenInstanceError):
        snapshot.mode = "hybrid"  # type: ignore[misc]
    for field in fields(Snapshot):
        value = getattr(snapshot, field.name)
        assert not isinstance(value, (dict, list, set)), field.name
        if isinstance(value, Mapping):
            with pytest.raises(TypeError):
                value["x"] = 1  # type: ignore[index]
    for by_field in snapshot.values.values():
        with pytest.raises(TypeError):
            by_field["x"] = 1  # type: ignore[index]


def test_one_event_copies_only_what_it_touches() -> None:
    base = folded(*data_of(500))
    (event,) = events_of(FieldSet(item="endpoint/pe-1", field="name", value="new"))
    after = fold(HEADER, (event,), base)
    assert after.value("endpoint/pe-1", "name") == "new" != base.value("endpoint/pe-1", "name")
    for name in ("items", "links", "routes", "findings", "attestations", "waivers", "identities", "changes"):
        assert getattr(after, name) is getattr(base, name), name
    assert after.values["endpoint/pe-2"] is base.values["endpoint/pe-2"]


def test_the_head_is_the_callers() -> None:
    read = journal.parse(Path("x"), b"\n".join(lines_of(data_of(30))) + b"\n")
    snapshot = fold(read.header, read.events, head=read.head)
    assert snapshot.head == read.head
    assert fold(read.header, (), snapshot).head == read.head
    assert fold(read.header, events_of(ModeSet(mode="hybrid")), snapshot).head == "", "unknown is not the old one"


# ---------------------------------------------------------------- all at once is one by one

ITEMS = ["endpoint/a", "endpoint/b", "dpe/a", "rubbish"]
items = st.lists(st.sampled_from(ITEMS), max_size=2).map(tuple)
item = st.sampled_from(ITEMS)
word = st.sampled_from(["x", "y", "z"])

OF_TYPE: dict[type[Data], st.SearchStrategy[Data]] = {
    ModeSet: st.builds(ModeSet, mode=word),
    EnvironmentSet: st.builds(EnvironmentSet, helm=word),
    ItemAdded: st.builds(ItemAdded, item=item),
    ItemRemoved: st.builds(ItemRemoved, item=item),
    Linked: st.builds(Linked, source=item, target=item),
    Unlinked: st.builds(Unlinked, source=item, target=item),
    FieldSet: st.builds(FieldSet, item=st.none() | item, field=word, value=st.none() | word),
    RouteChosen: st.builds(RouteChosen, step=word, items=items, route=word),
    Found: st.builds(Found, step=word, items=items, check=word, verdict=word, text=word, fingerprint=word),
    Attested: st.builds(
        Attested, step=word, items=items, text_id=word, revision=st.just(1), text=word, fingerprint=word
    ),
    ProofWaived: st.builds(ProofWaived, step=word, items=items, reason=word, fingerprint=word),
    ProbeConsented: st.builds(ProbeConsented, probe=word),
    ProbeStarted: st.builds(ProbeStarted, pod=word, namespace=word, server=word),
    ProbeEnded: st.builds(ProbeEnded, pod=word),
    IdentityPinned: st.builds(IdentityPinned, kind=word, facts=st.dictionaries(word, word)),
    ChangeStarted: st.builds(ChangeStarted, change=word, step=word, items=items, summary=word),
    ProcessStarted: st.builds(ProcessStarted, change=word, pid=st.just(1), start_time=word, boot_id=word),
    ChangeFinished: st.builds(ChangeFinished, change=word, outcome=word, summary=word),
    TornLineCut: st.builds(TornLineCut, bytes=st.just(1), sha256=word, kept_in=word),
}


@pytest.mark.slow
@settings(max_examples=300)
@given(st.lists(st.one_of(*OF_TYPE.values()), max_size=60), st.integers(0, 60))
def test_folding_all_is_folding_one_by_one(data: list[Data], cut: int) -> None:
    events = events_of(*data)
    whole = fold(HEADER, events)
    step = fold(HEADER, ())
    for event in events:
        step = fold(HEADER, (event,), step)
    assert step == whole
    assert fold(HEADER, events[cut:], fold(HEADER, events[:cut])) == whole
    known = {f"{kind}/{name}" for kind, names in whole.items.items() for name in names}
    assert all(whole.has(one) for one in known)
    assert known.issuperset(one for link in whole.links for one in link)
    assert known.issuperset(one for one in (*whole.values, *whole.previous) if one is not None)
    assert known.issuperset(one for key in (*whole.findings, *whole.attestations) for one in key[1])
    assert all(whole.values.values()) and all(whole.previous.values()), "no empty maps"


def test_every_type_of_event_is_tried_above() -> None:
    assert OF_TYPE.keys() == set(DATA_TYPES.values())


def test_a_hundred_thousand_events_are_folded(big_journal: Path) -> None:
    read = journal.read(big_journal)
    snapshot = fold(read.header, read.events, head=read.head)
    assert (snapshot.seq, len(snapshot.items["endpoint"]), snapshot.head) == (100_000, 10, read.head)
