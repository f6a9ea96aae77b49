"""What a finding saw, kept as evidence (DESIGN.md section 1)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import msgspec

from state.clock import now
from state.events import ATTESTED, OBSERVED, REPORTED, Evidence, Found

GRADES = {REPORTED: "the vendor said so", ATTESTED: "a person said so", OBSERVED: "we looked"}
"""What each grade means, the weakest first (DESIGN.md section 1)."""

# Characters of an answer that are kept; a longer one is cut, and says so.
LIMIT = 4000


def evidence(source: str, request: str, answer: str, identity: str, grade: str = OBSERVED) -> Evidence:
    """Evidence of one look, taken now. `answer` is redacted by the caller; the digest is of what is kept."""
    kept = answer if len(answer) <= LIMIT else f"{answer[:LIMIT]}… {len(answer)} characters"
    return Evidence(
        source=source, request=request, answer=kept, sha256=_digest(kept), ts=now(), identity=identity, grade=grade
    )


def redacted(found: Found, redact: Callable[[str], str]) -> Found:
    """A finding as it may be shown and stand in a journal: what is or looks like a secret masked in every text that
    comes from outside, the digests of what is kept. A finding that is redacted already stays as it is."""

    def masked(seen: Evidence) -> Evidence:
        answer = redact(seen.answer)
        return msgspec.structs.replace(
            seen, request=redact(seen.request), answer=answer, sha256=_digest(answer), identity=redact(seen.identity)
        )

    return msgspec.structs.replace(
        found,
        text=redact(found.text),
        todo=redact(found.todo),
        owes=redact(found.owes),
        evidence=tuple(map(masked, found.evidence)),
    )


def _digest(answer: str) -> str:
    return hashlib.sha256(answer.encode("utf-8", "surrogatepass")).hexdigest()


def grade_of(evidence: Sequence[Evidence]) -> str:
    """The weakest grade among the evidence; a grade that nobody knows is the weakest."""
    known = tuple(GRADES)
    return min(
        (seen.grade if seen.grade in GRADES else REPORTED for seen in evidence), key=known.index, default=OBSERVED
    )
