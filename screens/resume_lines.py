"""The lines of the resume summary: what is said, and how it is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from textual.content import Content

from screens.glyphs import sign, style_of
from screens.grid import LABEL, QUIET, ink, join, row, wrapped
from screens.times import when
from state.clock import now
from wizard.resuming import Line
from wizard.text import one_line

if TYPE_CHECKING:
    from state.problem import Problem
    from state.snapshot import ChangeRecord

ELSEWHERE = "interrupted-elsewhere"
"""The problem's code when what was started on another host can't be followed from here."""

AGAIN = "^r tries again."


@dataclass(frozen=True, slots=True)
class Said:
    """One line of the body: `right` stands flush right, `notes` below the text."""

    state: str
    label: str
    text: str
    right: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and its lines."""

    title: str
    right: str
    lines: tuple[Said, ...]


def why(problem: Problem, begun: str, change: ChangeRecord) -> tuple[str, ...]:
    """Why a change that nobody saw end can't be followed, and what to do."""
    if problem.code != ELSEWHERE:
        return problem.what, " ".join(part for part in (problem.means, problem.todo, AGAIN) if part)
    process = change.process
    where = f" on {one_line(process.actor.host)}, process {process.data.pid}" if process else ""
    look = 'It may still run there. Look; when it does not, choose "It is gone".'
    return f"{begun}{where}; nobody saw it end.", look


def said(one: Line, ts: str = "") -> Said:
    """A line of the summary; `ts` (RFC 3339) stands right of it."""
    return Said(one.state, one.label, one.text, when(ts, now()), (one.note,) if one.note else ())


def present() -> str:
    """The moment it is: `Mon 23 Nov, 12:03`."""
    today = datetime.fromisoformat(now()).astimezone()
    return f"{today:%a} {today.day} {today:%b}, {today:%H:%M}"


def day_of(ts: str) -> str:
    """`today at 17:42`, `on Friday 20 November at 17:42`; empty for what is no time."""
    try:
        local, today = datetime.fromisoformat(ts).astimezone(), datetime.fromisoformat(now()).astimezone()
    except (ValueError, OverflowError):  # a journal may have been edited by hand
        return ""
    if local.date() == today.date():
        return f"today at {local:%H:%M}"
    year = "" if local.year == today.year else f" {local.year}"
    return f"on {local:%A} {local.day} {local:%B}{year} at {local:%H:%M}"


def label_column(labels: Sequence[str], width: int) -> int:
    """Cells of the label column: as wide as the longest label that leaves the text more than half of the line."""
    fitting = [len(label) + 2 for label in labels if len(label) + 2 <= width * 2 // 5]
    return max([LABEL, *fitting])


def drawn(one: Said, width: int, column: int) -> list[Content]:
    """A line of the body. Texts and notes fold under the value column; a label too long for its own stands above."""
    indent = 3 + column
    right = ink(one.right, QUIET) if one.right else None
    glyph = (ink(sign(one.state), f"{style_of(one.state)} bold"), 2)
    room = max(10, width - indent - (right.cell_length + 2 if right else 0))
    first, *more = wrapped(one.text, room)
    if len(one.label) + 1 > column:
        above, *rest = wrapped(one.label, width - 3)
        lines = [row(width, ("", 1), glyph, (above, 0)), *(join(Content(" " * 3), piece) for piece in rest)]
        lines.append(row(width, ("", indent), (first, 0), right=right))
    else:
        lines = [row(width, ("", 1), glyph, (one.label, column), (first, 0), right=right)]
    lines += [join(Content(" " * indent), piece) for piece in more]
    for note in one.notes:
        lines += wrapped(note, width, QUIET, indent=indent)
    return lines
