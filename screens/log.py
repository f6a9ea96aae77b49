"""The whole log of what runs or ran: follows the end, stays put when scrolled up, and can be searched."""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import Key
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widgets import Input

from screens.attached import Attached
from screens.chrome import KeyLine
from screens.field import FieldInput
from screens.grid import PLAIN, QUIET, Lines, heading, ink, join
from screens.page import Page
from screens.times import lasting, when
from state.clock import now
from wizard.text import clean

if TYPE_CHECKING:
    from wizard.work import LogLine, Work

TICK_SECONDS = 0.1
TIME = 10
"""Cells of the time before each line."""


class LogView(Attached, ScrollView, can_focus=True):
    """The lines of a log. Only those in view are drawn, so that a thousand a second cost little.

    It follows the end until one scrolls up; then what one reads stays put, even while old lines fall out.
    """

    def __init__(self, work: Work) -> None:
        super().__init__()
        self._work = work
        self._lines: tuple[LogLine, ...] = ()
        self._seen = -1
        self._wanted = ""
        self._matches: list[int] = []
        self._at = -1

    @property
    def matches(self) -> int:
        """How many lines hold what is searched."""
        return len(self._matches)

    @property
    def match(self) -> int:
        """Which match is the current one, from 1; 0 for none."""
        return self._at + 1 if self._matches else 0

    def take_in(self) -> None:
        """Takes in what was written since; follows the end unless one has scrolled up."""
        if self._work.lines == self._seen:
            return
        following = self.scroll_offset.y >= self.max_scroll_y
        top = self.scroll_offset.y
        lost = max(0, self._work.lines - max(self._seen, 0) - (len(self._work.log) - len(self._lines)))
        self._seen = self._work.lines
        self._lines = tuple(self._work.log)
        self._resize()
        if self._wanted:
            # The current match stays the current one; when it has fallen out, it is the oldest that is left.
            self._at = max(0, self._at - bisect_left(self._matches, lost))
            self._find()
        if following:
            self.call_after_refresh(self.scroll_end, animate=False)
        else:
            # Old lines fall out at the top: what one reads stays where it is.
            self.scroll_to(y=max(0, top - lost), animate=False)
        self.refresh()

    def _resize(self) -> None:
        longest = max((len(one.text) for one in self._lines), default=0)
        self.virtual_size = Size(longest + TIME + 1, len(self._lines))

    def search(self, wanted: str) -> None:
        """Marks the lines that hold `wanted`, whatever its case, and goes to the last one."""
        self._wanted = wanted.strip().lower()
        self._find()
        self._at = len(self._matches) - 1
        self._show_match()

    def _find(self) -> None:
        self._matches = [at for at, one in enumerate(self._lines) if self._wanted and self._wanted in one.text.lower()]
        self._at = min(self._at, len(self._matches) - 1)

    def next_match(self, by: int) -> None:
        """Goes to another match."""
        if self._matches:
            self._at = (self._at + by) % len(self._matches)
            self._show_match()

    def _show_match(self) -> None:
        if self._matches:
            self.scroll_to_region(Region(0, self._matches[self._at], 1, 1), animate=False, center=True)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line of the log as it is in view."""
        across, down = self.scroll_offset
        width = self.size.width
        at = down + y
        if at >= len(self._lines):
            return Strip.blank(width, self.rich_style)
        one = self._lines[at]
        text = ink(one.text, PLAIN)
        if self._wanted:
            current = bool(self._matches) and self._matches[self._at] == at
            for found in re.finditer(re.escape(self._wanted), one.text.lower()):
                text = text.stylize("reverse bold" if current else "underline bold", *found.span())
        content = join(ink(when(one.ts, now()).ljust(TIME), QUIET), text)
        strip = Strip(content.render_segments(self.visual_style), content.cell_length)
        return strip.crop_extend(across, across + width, self.rich_style)


class LogPage(Page):
    """What runs, its whole log, and a search."""

    HELP = "The whole log of what runs or ran. Typing searches; the token is not in it."
    KEYS = (
        ("esc", "back"),
        ("enter", "next match"),
        ("up down", "matches"),
        ("tab", "log"),
        ("pageup pagedown", "scroll"),
        ("^y", "copy"),
        ("^q", "quit"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("pageup", "scroll_log(-1)", "up", show=False),
        Binding("pagedown", "scroll_log(1)", "down", show=False),
    ]

    def __init__(self, work: Work) -> None:
        super().__init__()
        self._work = work
        self._told: tuple[bool, int, int] | None = None

    def compose(self) -> ComposeResult:
        """Heading, log, search."""
        yield Lines(self._heading, id="band")
        yield LogView(self._work)
        yield FieldInput(compact=True, placeholder="type to search")
        yield KeyLine(self.KEYS)

    def on_mount(self) -> None:
        """Searching begins with typing."""
        self.query_one(FieldInput).focus()
        self._tick()
        self.set_interval(TICK_SECONDS, self._tick)

    def _heading(self, width: int) -> list[Content]:
        work = self._work
        view = next(iter(self.query(LogView)), None)
        state = "running" if work.running else "ended"
        since = f"since {when(work.since, now())}, " if self.wide else ""
        about = f"{work.summary}   {since}{state}, {lasting(work.elapsed())}"
        found = f"match {view.match} of {view.matches}   " if view is not None and self._searched else ""
        kept = len(work.log)
        count = f"last {kept} of {work.lines} lines" if kept < work.lines else f"{kept} of {kept} lines"
        return [heading(width, "Log", about, found + count)]

    @property
    def _searched(self) -> str:
        line = next(iter(self.query(FieldInput)), None)
        return line.value.strip() if line is not None else ""

    def _tick(self) -> None:
        self.query_one(LogView).take_in()
        work = self._work
        now_so = (work.running, work.lines, int(work.elapsed()))
        if now_so != self._told:
            self._told = now_so
            self.query_one("#band", Lines).again()

    def setup_changed(self) -> None:
        """The work may have ended."""
        for lines in self.query("#band").results(Lines):
            lines.again()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Searches at every key."""
        self.query_one(LogView).search(event.value)
        self.query_one("#band", Lines).again()

    def on_field_input_pasted(self, event: FieldInput.Pasted) -> None:
        """Pasted text is searched."""
        event.line.insert_text_at_cursor(event.text.replace("\n", " "))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """The next match."""
        self._turn(1)

    def on_key(self, event: Key) -> None:
        """Up and down in the search go from match to match."""
        if event.key in ("up", "down") and self.query_one(FieldInput).has_focus:
            event.stop()
            self._turn(-1 if event.key == "up" else 1)

    def _turn(self, by: int) -> None:
        self.query_one(LogView).next_match(by)
        self.query_one("#band", Lines).again()

    def action_scroll_log(self, by: int) -> None:
        """A page up or down."""
        view = self.query_one(LogView)
        view.scroll_relative(y=by * max(1, view.size.height - 1), animate=False)

    def action_copy(self) -> None:
        """Copies the whole log, however long."""
        text = self.copyable()
        self.wizard.copy(clean(text, keep_newlines=True, limit=len(text) + 1))

    def commands(self) -> list[tuple[str, str, str]]:
        """What the palette offers beyond the keys."""
        return [("Copy the log", "the whole log with its times (^y)", "copy")]

    def copyable(self) -> str:
        """The whole log."""
        return "\n".join(f"{one.ts} {one.text}" for one in self._work.log)
