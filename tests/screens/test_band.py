"""What the band and the step list say of an open setup: progress, saved, whose turn, what others owe."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from screens.band import ago, band_of, owed_of, standing, steps_of
from screens.chrome import band_lines
from state.problem import Problem
from tests.screens.harness import places_in
from tests.setups import DPM
from tests.wizard.engine import DNS, ENDPOINT, UPDATE, attest_until, fill
from wizard.guide import HAND_OFF, Moment
from wizard.guides import DEFAULT
from wizard.open_setup import OpenSetup, new_setup
from wizard.work import ACTING, RESUMING, Work

WIDE, NARROW = 116, 78
"""What a band has of 120 and of 80 columns."""


@pytest.fixture
async def setup(tmp_path: Path) -> AsyncIterator[OpenSetup]:
    """A setup that was just made; it points nowhere."""
    setup = await new_setup(places_in(tmp_path), "prod-weu", DEFAULT, "self-service", {"kubeconfig": None})
    yield setup
    await setup.close()


def _drawn(setup: OpenSetup, width: int) -> list[str]:
    return [line.plain for line in band_lines(band_of(setup), width)]


def _works(setup: OpenSetup, *works: Work) -> None:
    setup.work.update({work.item_step: work for work in works})


# ---------------------------------------------------------------- where it stands


async def test_a_new_setup_is_mine_and_nobody_owes(setup: OpenSetup):
    band = band_of(setup)

    assert (band.setup, band.mode, band.sandbox) == ("prod-weu", "self-service", False)
    assert (band.done, band.steps) == (0, 8)
    assert band.turn[0] == "your turn"
    assert "step 1" in band.turn[1]
    assert band.owed == ("", "")
    assert owed_of(setup) == ()


async def test_the_steps_are_the_guides_with_the_word_of_each(setup: OpenSetup):
    fill(setup.session)
    attest_until(setup.session, "connectivity")

    steps = steps_of(setup)

    assert [step.number for step in steps] == list(range(1, 9))
    assert [step.id for step in steps] == [step.id for step in setup.guide.steps]
    assert (steps[0].state, steps[0].text) == ("attested", "attested")
    assert (steps[7].state, steps[7].text) == ("waiting", "waits for 7")
    assert band_of(setup).done == 1


async def test_what_was_handed_off_is_owed_by_its_team(setup: OpenSetup):
    fill(setup.session)
    attest_until(setup.session, "register")
    setup.session.choose_route(ENDPOINT, HAND_OFF)

    (owed,) = owed_of(setup)
    band = band_of(setup)

    assert owed.who == "network team"
    assert "pe-weu" in owed.what
    assert owed.since.endswith("s")
    assert band.owed[0].startswith("network team owes")
    assert band.owed[1] == "network team owes 1"
    assert all("network team owes" in _drawn(setup, width)[1] for width in (WIDE, NARROW))


async def test_with_nothing_to_do_the_band_says_who_it_waits_for(setup: OpenSetup):
    fill(setup.session)
    attest_until(setup.session, "register")
    setup.session.choose_route(ENDPOINT, HAND_OFF)
    at = standing(setup)
    state, wide, narrow = band_of(setup, at).turn

    if at.whose.mine:  # the guide leaves something to do beside it
        assert state == "your turn"
    else:
        assert (state, wide, narrow) == ("waiting", "waits for network team", "waits for network team")
        assert "nothing to do  waits for network team" in _drawn(setup, NARROW)[1]


# ---------------------------------------------------------------- saved


async def test_saved_is_the_local_time_of_the_last_event(setup: OpenSetup):
    setup.session.set_field(None, "environment_name", "production")
    local = datetime.fromisoformat(setup.session.snapshot.last_ts).astimezone()

    assert band_of(setup).saved == ("saved", f"saved {local:%H:%M:%S}")
    assert all(_drawn(setup, width)[0].endswith(f"✓ saved {local:%H:%M:%S}") for width in (WIDE, NARROW))


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        (Problem("not-saved", "Not saved. The disk is full."), "the disk is full"),
        (Problem("changed-behind", "Not saved: The journal's file is gone."), "the journal's file is gone"),
        (Problem("not-saved", ""), "not-saved"),
    ],
)
async def test_what_is_not_saved_says_why_and_leaves_room_for_the_name(setup: OpenSetup, problem: Problem, reason: str):
    setup.not_saved = problem

    assert band_of(setup).saved == ("not saved", f"not saved: {reason}")
    for width in (WIDE, NARROW):
        (line, _) = band_lines(band_of(setup), width)
        assert line.cell_length <= width
        assert "prod-weu" in line.plain
        assert f"✗ not saved: {reason}" in line.plain


async def test_a_long_or_hostile_reason_is_cut_and_cleaned(setup: OpenSetup):
    setup.not_saved = Problem("not-saved", "Not saved: \x1b]0;x\x07[/nope] something\nelse " + "very " * 50)

    state, text = band_of(setup).saved

    assert state == "not saved"
    assert "\x1b" not in text and "\n" not in text
    assert text.startswith("not saved: [/nope] something")
    assert text.endswith("…")
    assert all(line.cell_length <= NARROW for line in band_lines(band_of(setup), NARROW))


# ---------------------------------------------------------------- running


async def test_what_runs_stands_in_the_band_with_how_long(setup: OpenSetup):
    work = Work(UPDATE, ACTING, summary="upgrade dpe-01", begun=0.0, ended=None)
    _works(setup, work)
    work.begun -= 0  # the monotonic clock began long before the test did
    state, wide, narrow = band_of(setup).turn

    assert state == "running"
    assert narrow.startswith("step 7, dpe-01, ")
    assert wide.startswith(f"{narrow}; ")
    assert _drawn(setup, WIDE)[1].startswith("» running  step 7, dpe-01, ")


async def test_that_nothing_is_to_do_is_said_only_where_it_is_so(setup: OpenSetup):
    _works(setup, Work(UPDATE, RESUMING))
    mine = standing(setup).whose.mine
    assert mine

    assert band_of(setup).turn[1].endswith(f"; meanwhile {mine[0].text}")

    _works(setup, *(Work(one.item_step, ACTING) for one in mine))
    assert band_of(setup).turn[1].endswith("; nothing for you to do now")
    assert ", and 1 more" in band_of(setup).turn[2]


async def test_looking_and_what_has_ended_do_not_run(setup: OpenSetup):
    ended = Work(UPDATE, ACTING)
    ended.report(Moment("phase", "upgrade"))
    ended.finish()
    _works(setup, ended, Work(DNS, "looking"))

    assert band_of(setup).turn[0] == "your turn"


# ---------------------------------------------------------------- times


def _earlier(**delta: Any) -> str:
    return (datetime.now(UTC) - timedelta(**delta)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def test_how_long_ago_a_time_was():
    assert ago("") == ""
    assert ago("yesterday") == ""
    assert ago(_earlier(days=2, minutes=1)) == "2 days"
    assert ago(_earlier(days=-3)) == ago(_earlier())  # a clock that runs ahead elsewhere


async def test_a_host_name_from_outside_is_drawn_clean(setup: OpenSetup):
    fill(setup.session)
    assert DPM not in " ".join(_drawn(setup, WIDE))
    assert not any(ord(char) < 32 for line in _drawn(setup, WIDE) for char in line)
