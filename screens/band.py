"""What the band and the step list say of the open setup: the same words on every page over it."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from screens.chrome import Band, OwedLine, StepLine
from screens.times import lasting, when
from state.clock import now
from wizard.text import one_line
from wizard.turns import Turns, place_name, step_word, turns

if TYPE_CHECKING:
    from state.problem import Problem
    from state.snapshot import Snapshot
    from wizard.guide import Guide
    from wizard.open_setup import OpenSetup
    from wizard.status import SetupStatus
    from wizard.work import Work

REASON = 26
"""Cells for why nothing is saved: beside it a setup's name still has room in 80 columns."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A setup at one moment: its snapshot, the status derived from it, and whose turn it is."""

    snapshot: Snapshot
    status: SetupStatus
    whose: Turns


def standing(setup: OpenSetup) -> Standing:
    """Where a setup stands now. A page that draws several parts asks once and hands it to each."""
    snapshot, status = setup.session.snapshot, setup.session.status()
    return Standing(snapshot, status, _turns(setup.guide, snapshot, status))


_last: list[tuple[SetupStatus, Turns]] = []


def _turns(guide: Guide, snapshot: Snapshot, status: SetupStatus) -> Turns:
    """Whose turn it is, worked out once for a status: the parts of a page ask one after the other."""
    if not _last or _last[0][0] is not status:
        _last[:] = [(status, turns(guide, snapshot, status))]
    return _last[0][1]


def band_of(setup: OpenSetup, at: Standing | None = None) -> Band:
    """The two lines on top. While something runs they change every second."""
    at = at or standing(setup)
    return Band(
        setup=setup.name,
        mode=at.snapshot.mode,
        sandbox=setup.sandbox,
        done=at.status.done_steps,
        steps=len(setup.guide.steps),
        saved=_saved(setup.not_saved, at.snapshot.last_ts),
        turn=_turn(setup, at),
        owed=(at.whose.owed_sentence, at.whose.owed_short) if at.whose.owed else ("", ""),
    )


def steps_of(setup: OpenSetup, at: Standing | None = None) -> tuple[StepLine, ...]:
    """Every step of the guide with its state and its word."""
    at = at or standing(setup)
    words = ((step, step_word(setup.guide, at.snapshot, at.status, step)) for step in setup.guide.steps)
    return tuple(StepLine(step.id, step.number, step.title, state, word, step.short) for step, (state, word) in words)


def owed_of(setup: OpenSetup, at: Standing | None = None) -> tuple[OwedLine, ...]:
    """What others owe, with how long ago it was handed off."""
    at = at or standing(setup)
    return tuple(OwedLine(one.who, one.text, ago(one.since)) for one in at.whose.owed)


def ago(ts: str) -> str:
    """How long ago a time of the journal (RFC 3339) was: `2 days`; empty for no time."""
    if not ts:
        return ""
    try:
        seconds = (datetime.fromisoformat(now()) - datetime.fromisoformat(ts)).total_seconds()
    except (ValueError, TypeError):
        return ""
    return lasting(max(0.0, seconds))


# ---------------------------------------------------------------- saved


def _saved(problem: Problem | None, ts: str) -> tuple[str, str]:
    if problem is not None:
        return "not saved", f"not saved: {_reason(problem)}"
    return "saved", f"saved {_clock(ts)}"


def _clock(ts: str) -> str:
    """Local time to the second today, so that every save is seen; the day before that."""
    try:
        local, today = datetime.fromisoformat(ts).astimezone(), datetime.fromisoformat(now()).astimezone()
    except (ValueError, OverflowError):
        return one_line(ts)
    return f"{local:%H:%M:%S}" if local.date() == today.date() else when(ts, now())


def _reason(problem: Problem) -> str:
    # The problems of saving begin with "Not saved:" or "Not saved."; the band has said so already.
    said = re.sub(r"^Not saved[:.] ?", "", one_line(problem.what)).rstrip(".") or problem.code
    return textwrap.shorten(said[:1].lower() + said[1:], REASON, placeholder="…")


# ---------------------------------------------------------------- whose turn


def _turn(setup: OpenSetup, at: Standing) -> tuple[str, str, str]:
    running, whose = setup.running(), at.whose
    if running:
        return _running(setup, running, whose)
    # Looks and plans are short and say nothing, unless Azure has them wait.
    waiting = [work for work in setup.work.values() if work.running and work.log]
    if waiting:
        said = waiting[-1].log[-1].text
        return "running", said, said
    if setup.round is not None and setup.round.running:
        said = f"looking, {setup.round.done} of {setup.round.total}"
        return "running", said, said
    if whose.mine:
        return "your turn", whose.sentence, whose.short
    if whose.owed and not whose.finished:
        waits = f"waits for {whose.whose}"
        return "waiting", waits, waits
    return "waiting", whose.sentence, whose.short


def _running(setup: OpenSetup, running: tuple[Work, ...], whose: Turns) -> tuple[str, str, str]:
    """The first of what runs. That there is nothing to do is said only where it is so."""
    first = running[0]
    more = f", and {len(running) - 1} more" if len(running) > 1 else ""
    short = f"{place_name(setup.guide, first.item_step)}, {lasting(first.elapsed())}{more}"
    busy = {work.item_step for work in running}
    free = next((mine for mine in whose.mine if mine.item_step not in busy), None)
    then = f"meanwhile {free.text}" if free else "nothing for you to do now"
    return "running", f"{short}; {then}", short
