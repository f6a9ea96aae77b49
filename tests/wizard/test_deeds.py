"""Who did what, in plain words and without values."""

from __future__ import annotations

import pytest

from state.events import (
    DATA_TYPES,
    Attested,
    ChangeFinished,
    ChangeStarted,
    Data,
    EnvironmentSet,
    FieldSet,
    Found,
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
from tests.wizard.engine import GUIDE, event
from wizard.deeds import deed, last_deed

PAIR = ("dpe/dpe-01", "endpoint/pe-weu")
CUT = TornLineCut(bytes=3, sha256="", kept_in="x")
DEEDS: list[tuple[Data, str]] = [
    (ModeSet(mode="hybrid"), "chose hybrid"),
    (EnvironmentSet(kubeconfig="/home/ada/.kube/config"), "set where this setup points"),
    (ItemAdded(item="endpoint/pe-weu"), "added pe-weu"),
    (ItemRemoved(item="endpoint/pe-weu"), "removed pe-weu"),
    (Linked(source=PAIR[0], target=PAIR[1]), "linked dpe-01 with pe-weu"),
    (Unlinked(source=PAIR[0], target=PAIR[1]), "unlinked dpe-01 from pe-weu"),
    (FieldSet(field="environment_name", value="production"), "set Environment name"),
    (FieldSet(item="endpoint/pe-weu", field="subnet", value="/x"), "set Subnet of pe-weu"),
    (FieldSet(item="endpoint/pe-weu", field="subnet", value=None), "cleared Subnet of pe-weu"),
    (FieldSet(item="endpoint/pe-weu", field="subnet", value=None, source="undo"), "took back Subnet of pe-weu"),
    (FieldSet(item="endpoint/pe-weu", field="subscription", value="main"), "set subscription of pe-weu"),
    (RouteChosen(step="dns", items=PAIR, route="hand off"), "handed off step 5, dpe-01 pe-weu"),
    (RouteChosen(step="dns", items=PAIR, route="already done"), "said that step 5, dpe-01 pe-weu is done"),
    (
        RouteChosen(step="update-dpe", items=PAIR[:1], route="do it for me"),
        "chose do it for me for step 7, dpe-01",
    ),
    (
        Found(step="dns", items=PAIR, check="c", verdict="bad", text="t", fingerprint=""),
        "checked step 5, dpe-01 pe-weu: bad",
    ),
    (Attested(step="redeploy", text_id="t", revision=1, text="It is so.", fingerprint=""), "confirmed step 6"),
    (
        ProofWaived(step="mark-updated", items=PAIR[:1], reason="because", fingerprint=""),
        "went on without observed proof at step 8, dpe-01",
    ),
    (ProbeConsented(probe="exec"), "allowed probe exec"),
    (ProbeConsented(probe="none"), "refused probes"),
    (ProbeStarted(pod="p", namespace="dpe", server="https://aks"), "made pod p to look from inside the cluster"),
    (ProbeEnded(pod="p"), "removed pod p"),
    (IdentityPinned(kind="cluster", facts={}), "pinned the cluster identity"),
    (ChangeStarted(change="c", step="update-dpe", items=PAIR[:1], summary="s"), "started step 7, dpe-01"),
    (ProcessStarted(change="c", pid=7, start_time="1", boot_id="b"), "started a process"),
    (ChangeFinished(change="c", outcome="done", summary="s"), "saw a change end: done"),
    (CUT, "cut off half a line"),
]


@pytest.mark.parametrize(("data", "wanted"), DEEDS)
def test_every_event_is_told(data: Data, wanted: str):
    assert deed(GUIDE, event(1, data)) == wanted


def test_there_are_words_for_every_event():
    assert {type(data) for data, _ in DEEDS} == set(DATA_TYPES.values())


def test_the_last_deed_names_who_did_it():
    events = [event(1, ItemAdded(item="endpoint/pe-weu")), event(2, ModeSet(mode="hybrid"))]
    assert last_deed(GUIDE, events) == "ada chose hybrid"
    assert last_deed(GUIDE, [*events, event(3, CUT)]) == "ada chose hybrid", "opening is no deed"
    assert last_deed(GUIDE, []) == ""


def test_what_comes_from_the_journal_is_cleaned():
    assert deed(GUIDE, event(1, ItemAdded(item="endpoint/a\x1b[2J\nb"))) == "added a b"
    gone = RouteChosen(step="no\x1b[2Jwhere", route="hand off")
    assert deed(GUIDE, event(1, gone)) == "handed off nowhere"
