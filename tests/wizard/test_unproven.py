"""Going on without observed proof is marked wherever a setup is told of, with its reason or at least the words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from state.snapshot import fold
from tests.setups import GUIDE as GUIDE_REF
from tests.state.make_journal import lines_of
from tests.wizard.engine import GUIDE, MARK
from tests.wizard.proofs import OPENING, confirmed, journal_of, waived
from wizard import checking, overview
from wizard.places import places
from wizard.report_html import as_html
from wizard.report_text import as_text
from wizard.review import report
from wizard.statements import reviewed

DATA = (*OPENING, waived(MARK), confirmed(MARK))
REASON = "the cluster is sealed"


def checked() -> dict[str, Any]:
    journal = journal_of(*DATA)
    snapshot = fold(journal.header, journal.events, head=journal.head)
    return checking.document("demo", GUIDE, snapshot, GUIDE.steps, recorded=False)


def entries(path: Path) -> tuple[dict[str, Any], ...]:
    setups = path / "state" / "setups"
    for directory in (setups.parent, setups):
        directory.mkdir(mode=0o700)
    (setups / "demo.jsonl").write_bytes(b"\n".join(lines_of(list(DATA), "demo", GUIDE_REF)) + b"\n")
    (setups / "demo.jsonl").chmod(0o600)
    return overview.setups(places(str(path / "state")))


TOLD: dict[str, Callable[[Path], str]] = {
    "check": lambda path: checking.as_text(checked()),
    "check, JSON": lambda path: json.dumps(checked()),
    "list, JSON": lambda path: json.dumps(entries(path)),
    "report": lambda path: as_text(report(journal_of(*DATA), GUIDE)),
    "report, JSON": lambda path: json.dumps(report(journal_of(*DATA), GUIDE)),
    "report, page": lambda path: as_html(report(journal_of(*DATA), GUIDE)),
    "review screen": lambda path: "\n".join(reviewed(journal_of(*DATA), GUIDE).unproven),
}


@pytest.mark.parametrize("where", TOLD)
def test_the_reason_is_told(where: str, tmp_path: Path):
    assert REASON in TOLD[where](tmp_path)


def test_home_and_list_have_room_for_the_words(tmp_path: Path):
    (entry,) = found = entries(tmp_path)
    assert overview.turn_words(entry).endswith("without observed proof")
    assert "without observed proof" in overview.as_text(found)


def test_a_setup_that_rests_on_proof_is_not_marked():
    snapshot = fold(journal_of().header, journal_of(*OPENING).events)
    assert "without observed proof" not in checking.as_text(
        checking.document("demo", GUIDE, snapshot, GUIDE.steps, recorded=False)
    )
