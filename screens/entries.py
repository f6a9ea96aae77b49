"""A list of entries, below headings where they have some. Only the rows in view are made, so that 100,000 of them stay
quick."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Generic, Protocol, TypeVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import Click, Resize
from textual.geometry import Offset, Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from screens.attached import Attached
from screens.grid import QUIET, ink, row

_KEYS = (
    ("up", "move(-1)"),
    ("down", "move(1)"),
    ("pageup", "page(-1)"),
    ("pagedown", "page(1)"),
    ("home", "ends(-1)"),
    ("end", "ends(1)"),
)


class Entry(Protocol):
    """What stands in such a list; `position` is where it stands when nothing is left out."""

    @property
    def position(self) -> int:
        """Counted from 0."""


E = TypeVar("E", bound=Entry)


class Entries(Attached, ScrollView, Generic[E], can_focus=True):
    """Entries one under the other; one of them is highlighted. Subclasses say what is drawn."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"entries--highlighted"}
    BINDINGS: ClassVar[list[BindingType]] = [Binding(key, action, show=False) for key, action in _KEYS]

    class Highlighted(Message):
        """Another entry is highlighted, or none."""

    def __init__(self, entries: Sequence[E], *, none: str, at_end: bool = False) -> None:
        super().__init__()
        self._none = none
        self._entries: Sequence[E] = ()
        # Rows that are a heading hold the index of the entry below them, minus one, and negated.
        self._rows: list[int] = []
        self._row_of: list[int] = []
        self._at = -1
        self._word = 0
        self._take(entries)
        self._at = len(entries) - 1 if at_end or not entries else 0

    @property
    def shown(self) -> int:
        """How many entries there are."""
        return len(self._entries)

    def group_of(self, one: E) -> str:
        """What it has in common with those that stand below the same heading; empty where there are no headings."""
        return ""

    def heading(self, one: E) -> str:
        """What stands above it and the rest of its group."""
        return self.group_of(one)

    def word_of(self, one: E) -> str:
        """The word of its state; the longest one is as wide as their column."""
        raise NotImplementedError

    def line_of(self, one: E, width: int, words: int) -> Content:
        """Its row; `words` are the cells of the longest word of a state."""
        raise NotImplementedError

    @property
    def highlighted(self) -> E | None:
        """The entry that one is on."""
        return self._entries[self._at] if 0 <= self._at < len(self._entries) else None

    def _take(self, entries: Sequence[E]) -> None:
        self._entries = entries
        self._rows, self._row_of = [], []
        above = ""
        for at, one in enumerate(entries):
            if (group := self.group_of(one)) != above:
                above = group
                self._rows.append(-at - 1)
            self._row_of.append(len(self._rows))
            self._rows.append(at)
        self._word = max((len(state) for state in {self.word_of(one) for one in entries}), default=0)

    def show(self, entries: Sequence[E], *, none: str) -> None:
        """Shows other entries; the highlighted one stays if it is among them, else it is the one before it."""
        here = self.highlighted
        self._none = none
        self._take(entries)
        position = here.position if here is not None else 0
        self._at = max((at for at, one in enumerate(entries) if one.position <= position), default=0)
        self._at = min(self._at, len(entries) - 1)
        self._measure()
        self._told()

    def on_mount(self) -> None:
        """What is highlighted is in view."""
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
        """To the next entry, or the one before."""
        self._go(self._at + by)

    def action_page(self, by: int) -> None:
        """A page of entries up or down."""
        self._go(self._at + by * max(1, self.scrollable_content_region.height - 2))

    def action_ends(self, to: int) -> None:
        """To the first entry, or the last."""
        self._go(len(self._entries) - 1 if to > 0 else 0)

    def on_click(self, event: Click) -> None:
        """A click highlights."""
        at = event.get_content_offset(self)
        if at is not None and at.y + self.scroll_offset.y < len(self._rows):
            found = self._rows[at.y + self.scroll_offset.y]
            self._go(found if found >= 0 else -found - 1)

    def _go(self, at: int) -> None:
        at = min(max(0, at), len(self._entries) - 1)
        if at != self._at:
            self._at = at
            self._told()

    def _told(self) -> None:
        self._into_view()
        self.refresh()
        self.post_message(self.Highlighted())

    def _into_view(self) -> None:
        if self.highlighted is None:
            self.scroll_to(y=0, animate=False)
            return
        here = self._row_of[self._at]
        # A heading comes into view with the first entry below it.
        top = here - 1 if here and self._rows[here - 1] < 0 else here
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
                content = ink(self.heading(self._entries[-found - 1]), QUIET)
            else:
                content = self.line_of(self._entries[found], width, self._word)
                if found == self._at:
                    style = self.get_visual_style("entries--highlighted")
        content = row(width, (content, 0))
        return Strip(content.render_segments(style), content.cell_length)
