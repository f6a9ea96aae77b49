"""The list of a review's statements, by day. Only the rows in view are made, so that 100,000 of them stay quick."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import Click, Resize
from textual.geometry import Offset, Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from screens.attached import Attached
from screens.glyphs import drawable
from screens.grid import PLAIN, QUIET, ink, join, row, word
from wizard.statements import Statement

TIME, STEP = 6, 3
"""Cells of the time (hours and minutes, UTC) and of the step's number."""
WORD = 9
"""Cells of the longest grade and its gap; a longer word widens the column."""

# Statements that are no grade have no glyph of their own; one that was let pass without a proof must be seen.
_GLYPHS = {"unproven": "stale"}

_KEYS = (
    ("up", "move(-1)"),
    ("down", "move(1)"),
    ("pageup", "page(-1)"),
    ("pagedown", "page(1)"),
    ("home", "ends(-1)"),
    ("end", "ends(1)"),
)


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


class TimelineView(Attached, ScrollView, can_focus=True):
    """Statements one under the other below their days; one of them is highlighted."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"timeline--highlighted"}
    BINDINGS: ClassVar[list[BindingType]] = [Binding(key, action, show=False) for key, action in _KEYS]

    class Highlighted(Message):
        """Another statement is highlighted; None when there is none."""

        def __init__(self, statement: Statement | None) -> None:
            super().__init__()
            self.statement = statement

    def __init__(self, statements: Sequence[Statement], *, none: str) -> None:
        super().__init__(id="timeline")
        self._none = none
        self._statements: Sequence[Statement] = ()
        # Rows that are a day hold the index of the statement below them, minus one, and negated.
        self._rows: list[int] = []
        self._row_of: list[int] = []
        self._at = -1
        self._word = 0
        self._take(statements)
        self._at = len(statements) - 1

    @property
    def highlighted(self) -> Statement | None:
        """The statement that one is on."""
        return self._statements[self._at] if 0 <= self._at < len(self._statements) else None

    def _take(self, statements: Sequence[Statement]) -> None:
        self._statements = statements
        self._rows, self._row_of = [], []
        day = ""
        for at, one in enumerate(statements):
            if one.ts[:10] != day:
                day = one.ts[:10]
                self._rows.append(-at - 1)
            self._row_of.append(len(self._rows))
            self._rows.append(at)
        self._word = max((len(state) for state in {grade_word(one) for one in statements}), default=0)

    def show(self, statements: Sequence[Statement], *, none: str) -> None:
        """Shows other statements; the highlighted one stays if it is among them, else it is the one before it."""
        here = self.highlighted
        self._none = none
        self._take(statements)
        position = here.position if here is not None else 0
        self._at = max((at for at, one in enumerate(statements) if one.position <= position), default=0)
        self._at = min(self._at, len(statements) - 1)
        self._measure()
        self._told()

    def on_mount(self) -> None:
        """Begins at the end: what was said last."""
        self._measure()
        self.call_after_refresh(self._told)

    def on_resize(self, event: Resize) -> None:
        """What is highlighted stays in view."""
        self._measure()
        self.call_after_refresh(self._into_view)

    def _measure(self) -> None:
        self.virtual_size = Size(max(1, self.scrollable_content_region.width), max(1, len(self._rows)))
        self.refresh()

    # ------------------------------------------------------------ walking

    def action_move(self, by: int) -> None:
        """To the next statement, or the one before."""
        self._go(self._at + by)

    def action_page(self, by: int) -> None:
        """A page of statements up or down."""
        self._go(self._at + by * max(1, self.scrollable_content_region.height - 2))

    def action_ends(self, to: int) -> None:
        """To the first statement, or the last."""
        self._go(len(self._statements) - 1 if to > 0 else 0)

    def on_click(self, event: Click) -> None:
        """A click highlights."""
        at = event.get_content_offset(self)
        if at is not None and at.y + self.scroll_offset.y < len(self._rows):
            found = self._rows[at.y + self.scroll_offset.y]
            self._go(found if found >= 0 else -found - 1)

    def _go(self, at: int) -> None:
        at = min(max(0, at), len(self._statements) - 1)
        if at != self._at:
            self._at = at
            self._told()

    def _told(self) -> None:
        self._into_view()
        self.refresh()
        self.post_message(self.Highlighted(self.highlighted))

    def _into_view(self) -> None:
        if self.highlighted is None:
            self.scroll_to(y=0, animate=False)
            return
        here = self._row_of[self._at]
        # The day above the first statement of a day comes into view with it.
        top = here - 1 if self._rows[here - 1] < 0 else here
        self.scroll_to_region(Region(0, top, 1, here - top + 1), animate=False, immediate=True)

    def cursor(self) -> Offset:
        """Where the highlighted row is on the screen."""
        origin = self.content_region.offset
        if self.highlighted is None:
            return origin
        y = self._row_of[self._at] - self.scroll_offset.y
        return origin + Offset(0, min(max(0, y), max(0, self.content_region.height - 1)))

    # ------------------------------------------------------------ drawing

    def render_line(self, y: int) -> Strip:
        """One row as it is in view."""
        width = self.scrollable_content_region.width
        at = self.scroll_offset.y + y
        style = self.visual_style
        if not self._rows:
            content = ink(self._none, QUIET) if y == 0 else Content("")
        elif at >= len(self._rows):
            content = Content("")
        else:
            found = self._rows[at]
            if found < 0:
                content = ink(f"{day_of(self._statements[-found - 1].ts)}, UTC", QUIET)
            else:
                content = self._row(self._statements[found], width)
                if found == self._at:
                    style = self.get_visual_style("timeline--highlighted")
        content = row(width, (content, 0))
        return Strip(content.render_segments(style), content.cell_length)

    def _row(self, one: Statement, width: int) -> Content:
        number = ink("" if one.step is None else str(one.step))
        text = ink(one.text) if one.trusted else join(ink(drawable("✗ not trusted  "), "$error"), ink(one.text, PLAIN))
        return row(
            width, (ink(one.ts[11:16], QUIET), TIME), (number, STEP), (grade(one), max(WORD, self._word) + 4), (text, 0)
        )
