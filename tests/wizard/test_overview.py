"""What home and `list` say of a setup: plain facts that go into JSON as they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from state.actor import current_actor
from state.events import TornLineCut
from tests.wizard.engine import ENDPOINT, attest_until, fill, opened
from wizard import overview
from wizard.guide import HAND_OFF
from wizard.places import places


def entry_of(path: Path) -> dict[str, Any]:
    """The one setup's entry, as a reader of the JSON has it."""
    (entry,) = overview.setups(places(str(path / "state")))
    found: dict[str, Any] = json.loads(json.dumps(entry))
    return found


def facts(path: Path) -> tuple[str, ...]:
    entry = entry_of(path)
    return entry["turn"], entry["whose"], entry["last_what"]


def test_a_new_setup_is_the_users(tmp_path: Path):
    session = opened(tmp_path)
    user = current_actor("run").user
    assert facts(tmp_path) == ("step 1: finish Environment name", "you", "")
    assert entry_of(tmp_path)["last_by"] == ""
    fill(session)
    assert facts(tmp_path) == ("step 1: confirm Connectivity settings", "you", f"{user} set Namespace of dpe-01")
    assert entry_of(tmp_path)["last_by"] == user


def test_what_somebody_else_owes_is_theirs(tmp_path: Path):
    session = fill(opened(tmp_path))
    attest_until(session, "register")
    session.choose_route(ENDPOINT, HAND_OFF)
    user = current_actor("run").user
    assert facts(tmp_path) == ("network team owes 1", "network team", f"{user} handed off step 3, pe-weu")
    assert "network team owes 1" in overview.as_text(overview.setups(places(str(tmp_path / "state"))))


def test_the_table_says_what_the_entry_says(tmp_path: Path):
    session = fill(opened(tmp_path))
    attest_until(session, "connectivity")
    entries = overview.setups(places(str(tmp_path / "state")))
    assert entries[0]["turn"] == "step 2: confirm Register subscription"
    assert overview.as_text(entries).endswith("step 2: confirm Register subscription")


def test_a_cut_off_line_is_nobodys_deed(tmp_path: Path):
    session = fill(opened(tmp_path))
    before = entry_of(tmp_path)["last_what"]
    session.commit(TornLineCut(bytes=1, sha256="0" * 64, kept_in="x"))
    assert entry_of(tmp_path)["last_what"] == before
