"""`check`: every look again, a bounded number at once; exit codes (DESIGN.md section 5)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from state.events import BAD, COULD_NOT_LOOK, GOOD
from state.problem import EXIT_BAD, EXIT_NOT_YET, EXIT_OK
from tests.setups import DPM, MINIO
from tests.wizard.engine import (
    ACTOR,
    DNS,
    GUIDE,
    Resolver,
    attest_until,
    fill,
    journalled,
    opened,
)
from wizard.checking import as_text, document, exit_code, look_at_all, places_of, with_findings
from wizard.ports import Readers


def body(*statuses: str, verdicts: tuple[str, ...] = ()) -> dict[str, Any]:
    """A check's answer with one item per status; the verdicts belong to the first."""
    findings = [{"verdict": verdict} for verdict in verdicts]
    return {
        "steps": [
            {"status": status, "items": [{"status": status, "findings": findings if number == 0 else []}]}
            for number, status in enumerate(statuses)
        ]
    }


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (body("observed", "attested", "reported"), EXIT_OK),
        (body("observed", "to do"), EXIT_NOT_YET),
        (body("could not look"), EXIT_NOT_YET),
        (body("stale"), EXIT_NOT_YET),
        (body("needs input"), EXIT_NOT_YET),
        (body("to do", "failed"), EXIT_BAD),
        (body("failed", "to do"), EXIT_BAD),
        (body("attested", "to do", verdicts=(BAD,)), EXIT_BAD),  # bad advice counts, although it decides no status
        (body("attested", verdicts=(COULD_NOT_LOOK,)), EXIT_OK),
        ({"steps": [{"status": "needs input", "items": []}]}, EXIT_NOT_YET),
        ({"steps": []}, EXIT_OK),
    ],
    ids=range(11),
)
def test_one_beats_three_and_attested_counts_as_ok(given: dict[str, Any], code: int):
    assert exit_code(given) == code


async def test_a_look_is_shown_and_recorded_once(tmp_path: Path):
    session = fill(opened(tmp_path))
    attest_until(session, "dns")
    readers = Readers(dns=Resolver({DPM: ("10.20.1.4",), MINIO: ("52.0.0.1",)}))
    found = await look_at_all(GUIDE, session.snapshot, places_of(GUIDE, session.snapshot, GUIDE.steps), readers)
    verdicts = {one.check: one.verdict for one in found}
    azure = dict.fromkeys(("subscription", "endpoint", "live-id", "records"), COULD_NOT_LOOK)
    assert verdicts == {**azure, "resolver-here": BAD, "release": COULD_NOT_LOOK, "workloads": COULD_NOT_LOOK}
    before = len(journalled(session))
    for finding in found:
        session.record(finding)
    for finding in await look_at_all(GUIDE, session.snapshot, places_of(GUIDE, session.snapshot, GUIDE.steps), readers):
        session.record(finding)
    assert len(journalled(session)) == before + len(verdicts)
    shown = document("demo", GUIDE, session.snapshot, GUIDE.steps, recorded=True)
    assert exit_code(shown) == EXIT_BAD
    assert shown["head"] == session.snapshot.head
    assert "52.0.0.1" in as_text(shown)


async def test_a_look_that_is_not_recorded_shows_the_same(tmp_path: Path):
    session = fill(opened(tmp_path))
    readers = Readers(dns=Resolver({DPM: ("10.20.1.4",), MINIO: ("10.20.1.4",)}))
    before = journalled(session)
    found = await look_at_all(GUIDE, session.snapshot, places_of(GUIDE, session.snapshot, GUIDE.steps), readers)
    shown = document("demo", GUIDE, with_findings(session.snapshot, found, ACTOR), GUIDE.steps, recorded=False)
    (dns,) = shown["steps"][4]["items"]
    assert [(one["check"], one["verdict"]) for one in dns["findings"]] == [
        ("records", COULD_NOT_LOOK),
        ("resolver-here", GOOD),
    ]
    assert as_text(shown).splitlines()[0].endswith("not recorded")
    assert journalled(session) == before


async def test_only_the_chosen_steps_are_looked_at(tmp_path: Path):
    session = fill(opened(tmp_path))
    (dns,) = (step for step in GUIDE.steps if step.id == "dns")
    found = await look_at_all(
        GUIDE, session.snapshot, places_of(GUIDE, session.snapshot, [dns]), Readers(dns=Resolver())
    )
    assert {one.step for one in found} == {"dns"}
    assert {one.items for one in found} == {DNS.items}
