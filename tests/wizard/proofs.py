"""Journals of one setup with proofs in them: looks, confirmations and waivers for the values as they are."""

from __future__ import annotations

from pathlib import Path

from state import journal
from state.events import (
    BAD,
    GOOD,
    OBSERVED,
    Attested,
    ChangeFinished,
    ChangeStarted,
    Data,
    Evidence,
    FieldSet,
    Found,
    GuideRef,
    IdentityPinned,
    ItemAdded,
    Linked,
    ProbeConsented,
    ProcessStarted,
    ProofWaived,
    RouteChosen,
)
from state.journal import Journal
from state.snapshot import fold
from tests.setups import DPM, data_of
from tests.setups import GUIDE as GUIDE_REF
from tests.state.make_journal import lines_of, ts_of
from tests.wizard.engine import DNS, ENDPOINT, MARK, UPDATE, finding, view_of
from wizard.guide import ItemStep

OPENING = data_of(20)
"""Everything typed for one subscription, endpoint and dpe; no proof yet."""

HOSTILE = "\x1b]0;owned\x07\x1b[2Jfine\u202e\r\nnext"


def journal_of(*data: Data, guide: GuideRef = GUIDE_REF) -> Journal:
    """A journal of these events, not on disk."""
    return journal.parse(Path("/nowhere/demo.jsonl"), b"\n".join(lines_of(list(data), "demo", guide)) + b"\n")


def proof(place: ItemStep, check: str, verdict: str = GOOD, *evidence: Evidence, text: str = "seen") -> Found:
    """A finding for the values as they are after OPENING."""
    snapshot = fold(journal_of().header, journal_of(*OPENING).events)
    found = finding(snapshot, place, check, verdict)
    return Found(
        step=found.step,
        items=found.items,
        check=check,
        verdict=verdict,
        text=text,
        todo="ask the DNS team",
        fingerprint=found.fingerprint,
        evidence=evidence,
    )


def confirmed(place: ItemStep, *, answers: str | None = None) -> Attested:
    """The confirmation of a step's text for the values as they are after OPENING."""
    view = view_of(fold(journal_of().header, journal_of(*OPENING).events), place)
    attest = view.step.attest
    assert attest is not None
    return Attested(
        step=place.step,
        items=place.items,
        text_id=attest.id,
        revision=attest.revision,
        text=attest.text(view),
        fingerprint=view.fingerprint(attest.id, attest.revision),
        answers_sha256=answers,
    )


def waived(place: ItemStep, reason: str = "the cluster is sealed") -> ProofWaived:
    return ProofWaived(step=place.step, items=place.items, reason=reason, fingerprint=confirmed(place).fingerprint)


def seen(grade: str = OBSERVED, answer: str = '{"addresses":["10.20.1.4"]}') -> Evidence:
    return Evidence(
        source="DNS",
        request=f"A and AAAA {DPM}",
        answer=answer,
        sha256="b7" * 32,
        ts=ts_of(1),
        identity="10.20.0.2",
        grade=grade,
    )


def places_before_mark() -> list[ItemStep]:
    pairs = [ItemStep("connectivity"), ItemStep("register", ("subscription/main",)), ENDPOINT]
    return [*pairs, ItemStep("resource-id", ENDPOINT.items), DNS, ItemStep("redeploy")]


def much_wrong() -> tuple[Data, ...]:
    """A setup of which an auditor has much to be told: public traffic, stale words, a failed change, two endpoints."""
    return (
        *OPENING,
        ItemAdded(item="endpoint/pe-neu"),
        FieldSet(item="endpoint/pe-neu", field="private_ip", value="10.30.0.9"),
        Linked(source="dpe/dpe-01", target="endpoint/pe-neu"),
        IdentityPinned(kind="azure", facts={"tenant_id": "t-1", "object_id": None}),
        ProbeConsented(probe="exec"),
        *(confirmed(place, answers="ab" * 32) for place in places_before_mark()),
        proof(DNS, "resolver-here", BAD, seen(), text="from here data would cross the public internet"),
        proof(ENDPOINT, "endpoint", GOOD, seen(answer=HOSTILE), text="<script>alert(1)</script> is Approved"),
        proof(UPDATE, "release", GOOD, seen()),
        RouteChosen(step="dns", items=DNS.items, route="hand off"),
        ChangeStarted(
            change="c1",
            step="update-dpe",
            items=UPDATE.items,
            summary="install dpe-01 16.2.0",
            commands=("helm registry login", "helm upgrade --install"),
            digest="cd" * 32,
            undo="helm uninstall dpe-01",
            facts={"revision": "1"},
        ),
        ProcessStarted(change="c1", pid=4711, start_time="9", boot_id="b"),
        ChangeFinished(
            change="c1", outcome="failed", summary="helm stopped", detail="timed out", facts={"left": "yes"}
        ),
        waived(MARK, "the cluster is sealed"),
        confirmed(MARK),
        FieldSet(item="dpe/dpe-01", field="release", value="dpe-02"),
    )
