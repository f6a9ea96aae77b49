"""The two lists of a review: its statements by day, and its steps with their items."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from textual.content import Content

from screens.entries import Entries
from screens.glyphs import drawable
from screens.grid import PLAIN, QUIET, ink, join, row, word
from wizard.statements import ReviewedPlace, Statement

TIME, STEP = 6, 3
"""Cells of the time (hours and minutes, UTC) and of the step's number."""
WORD = 9
"""Cells of the longest grade and its gap; a longer word widens the column."""

# Statements that are no grade have no glyph of their own; one that was let pass without a proof must be seen.
_GLYPHS = {"unproven": "stale"}


def grade_word(statement: Statement) -> str:
    """The word of a statement: `stale` where a proof does not count for the values as they are now."""
    return "stale" if statement.stale and statement.state != "failed" else statement.state


def grade(statement: Statement) -> Content:
    """The glyph and the word of a statement."""
    shown = grade_word(statement)
    return word(_GLYPHS.get(shown, shown), shown)


def day_of(ts: str) -> str:
    """The day of a journal's time (RFC 3339 UTC): `Fri 20 Nov 2026`."""
    found = date.fromisoformat(ts[:10])
    return f"{found:%a} {found.day} {found:%b %Y}"


class TimelineView(Entries[Statement]):
    """Statements below their days."""

    def group_of(self, one: Statement) -> str:
        """Its day."""
        return one.ts[:10]

    def heading(self, one: Statement) -> str:
        """Its day."""
        return f"{day_of(one.ts)}, UTC"

    def word_of(self, one: Statement) -> str:
        """Its grade."""
        return grade_word(one)

    def line_of(self, one: Statement, width: int, words: int) -> Content:
        """Time, step, grade, and what was said."""
        number = ink("" if one.step is None else str(one.step))
        text = ink(one.text) if one.trusted else join(ink(drawable("✗ not trusted  "), "$error"), ink(one.text, PLAIN))
        return row(
            width, (ink(one.ts[11:16], QUIET), TIME), (number, STEP), (grade(one), max(WORD, words) + 4), (text, 0)
        )


class PlacesView(Entries[ReviewedPlace]):
    """Steps, once for each of their items. `remark` stands flush right."""

    def __init__(
        self, places: tuple[ReviewedPlace, ...], *, none: str, remark: Callable[[ReviewedPlace], Content]
    ) -> None:
        self._remark = remark
        super().__init__(places, none=none)

    def word_of(self, one: ReviewedPlace) -> str:
        """Its status."""
        return one.status

    def line_of(self, one: ReviewedPlace, width: int, words: int) -> Content:
        """Number, status, and what is done for whom."""
        text = join(ink(one.title), ink(f"  {one.named}" if one.items else "", QUIET))
        remark = self._remark(one)
        cells = (ink(str(one.number)), STEP), (word(one.status), max(WORD, words) + 4), (text, 0)
        return row(width, *cells, right=remark if remark.cell_length else None)
