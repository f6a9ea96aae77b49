"""What of a setup's past still counts at a given time: findings, confirmations, and drift away from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from state.clock import seconds_between
from state.events import BAD, COULD_NOT_LOOK, GOOD, NOT_YET
from wizard.guide import Check
from wizard.view import View

if TYPE_CHECKING:
    from state.events import Attested, Found, ProofWaived
    from state.snapshot import ChangeRecord, Recorded, RecordedFinding, Seen, Snapshot

INPUT_CHANGED = "an input changed since"
ELSEWHERE = "looked at through another kubeconfig or context"

_DAY = 24 * 3600.0


def last_change(view: View) -> ChangeRecord | None:
    """The newest change that was started for this item's step."""
    mine = [
        change
        for change in view.snapshot.changes.values()
        if change.started.data.step == view.step.id and tuple(change.started.data.items) == view.items
    ]
    return mine[-1] if mine else None


def last_finding(view: View, check: Check) -> RecordedFinding | None:
    """The last finding of `check`, whether it still counts or not."""
    return view.snapshot.findings.get((view.step.id, view.items, check.id))


def current_finding(view: View, check: Check) -> RecordedFinding | None:
    """The last finding of `check`, if it was made for the values as they are now and is not too old."""
    return last_finding(view, check) if not why_stale(view, check) else None


def why_stale(view: View, check: Check) -> str:
    """Why the last finding of `check` no longer counts; empty when it does, and when there is none."""
    record = last_finding(view, check)
    return _why_stale(view, check, record.data.fingerprint, record.ts, record.seq) if record is not None else ""


def _why_stale(view: View, check: Check, fingerprint: str, ts: str, seq: int) -> str:
    if fingerprint != view.fingerprint_of(check):
        return INPUT_CHANGED
    if seen_elsewhere(view.snapshot, check, seq):
        return ELSEWHERE
    if view.now and seconds_between(ts, view.now) > check.validity:
        return f"looked at over {check.validity / _DAY:g} days ago"
    return ""


def seen_elsewhere(snapshot: Snapshot, check: Check, seq: int) -> bool:
    """Whether what `check` found by the event `seq` may be of another cluster than the one that is pointed to now.

    It is not when it was found after the cluster was pinned: from then on no other one is asked, whatever kubeconfig
    and context lead there.
    """
    pin = snapshot.identities.get("cluster")
    return check.asks_cluster and seq < snapshot.pointed and (pin is None or seq < pin.seq)


def last_answer(view: View, check: Check) -> Seen | None:
    """The last answer of `check` that still counts. That nobody could look since takes it back no more than it says
    something itself."""
    record = last_finding(view, check)
    seen = record.answered if record is not None else None
    return seen if seen is not None and not _why_answer_stale(view, check) else None


def _why_answer_stale(view: View, check: Check) -> str:
    record = last_finding(view, check)
    seen = record.answered if record is not None else None
    return _why_stale(view, check, seen.fingerprint, seen.ts, seen.seq) if seen is not None else ""


def why_outdated(view: View, check: Check) -> str:
    """Why `check` has to look again before the step's status can rest on it; empty when it has not.

    A check that settles says nothing while nobody can look for the values as they are: then the others decide. That it
    could not look earlier is no answer that could grow old.
    """
    record, why = last_finding(view, check), why_stale(view, check)
    if not check.settles or record is None or record.data.verdict != COULD_NOT_LOOK:
        return why
    return _why_answer_stale(view, check) if why else ""


def last_word(view: View, check: Check) -> Seen | None:
    """The last answer of a `check` that settles, as long as it stands over the other looks of the step.

    It does while it is what the check found last. When nobody could ask again since, a good one stands until another
    look turns: one that was good for these values, and is found otherwise for the first time after the word was given.
    A look that never was good, like that of a machine outside the network, turns nothing.
    """
    record, word = last_finding(view, check), last_answer(view, check)
    if record is None or word is None or word.verdict != GOOD or record.data.verdict != COULD_NOT_LOOK:
        return word
    others = (other for other in view.step.checks if other.id != check.id)
    return None if any(_turned_since(view, other, word) for other in others) else word


def _turned_since(view: View, check: Check, word: Seen) -> bool:
    """Whether what `check` answered last is no longer good, and became so after `word`."""
    record, answer = last_finding(view, check), last_answer(view, check)
    if record is None or record.good is None or answer is None or answer.verdict not in (BAD, NOT_YET):
        return False
    return record.turned > word.seq and record.good.fingerprint == answer.fingerprint


@dataclass(frozen=True, slots=True)
class Drift:
    """What was proven and is no longer so, though nobody changed anything here.

    `was` is what was found last when it was good, at `until`; `found` is what is found now, and was first at `since`.
    """

    was: str
    until: str
    found: str
    since: str

    def told(self) -> dict[str, str]:
        """For a document: what was, until when it was seen, what is, and since when."""
        return {"was": self.was, "until": self.until, "is": self.found, "since": self.since}


def drift_of(view: View, check: Check) -> Drift | None:
    """The drift that the last finding of `check` shows; None when it shows none, or no longer counts.

    What was changed from here since (another input, a change of this step, where the setup points) is no drift.
    """
    record = current_finding(view, check)
    if record is None or record.good is None or record.answered is None or record.data.verdict not in (BAD, NOT_YET):
        return None
    change = last_change(view)
    ours = change is not None and change.started.seq > record.good.seq
    elsewhere = seen_elsewhere(view.snapshot, check, record.good.seq)
    if ours or elsewhere or record.good.fingerprint != record.data.fingerprint:
        return None
    return Drift(record.good.text, record.good.ts, record.data.text, record.answered.since)


def current_attestation(view: View) -> Recorded[Attested] | None:
    """The confirmation of this step's text, if it was given for the values as they are now."""
    attest = view.step.attest
    if attest is None:
        return None
    record = view.snapshot.attestations.get((view.step.id, view.items, attest.id))
    if record is None or record.data.fingerprint != view.fingerprint_of(attest):
        return None
    return record


def current_waiver(view: View) -> ProofWaived | None:
    """The user's word to go on without observed proof, if it was given for the values as they are now."""
    record = view.snapshot.waivers.get((view.step.id, view.items))
    attest = view.step.attest
    if record is None or attest is None or record.data.fingerprint != view.fingerprint_of(attest):
        return None
    return record.data


def settled(view: View) -> bool | None:
    """What the checks that settle the matter say; None when there are none, or none has an answer that stands."""
    answers = [last_word(view, check) for check in view.step.checks if check.settles]
    said = [answer.verdict for answer in answers if answer is not None]
    return all(verdict == GOOD for verdict in said) if said else None


def bad_findings(view: View) -> tuple[Found, ...]:
    """What was found bad and still counts; nothing where the last word is good, whatever others are answered."""
    if settled(view):
        return ()
    records = (current_finding(view, check) for check in view.step.checks)
    return tuple(record.data for record in records if record is not None and record.data.verdict == BAD)
