"""The items of a step in one row, each with its state; above four of them a picker with the current one."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.events import Click, Key
from textual.message import Message

from screens.glyphs import drawable, sign, style_of
from screens.grid import PLAIN, QUIET, Lines, ink, join, row
from screens.step_model import Tab
from wizard.guide import ItemStep

MOST = 4
"""Items that stand beside each other; more are picked from a list."""


class ItemTabs(Lines):
    """The items. Left and right go from one to the next, Enter opens the list or adds one."""

    can_focus = True

    class Opened(Message):
        """An item is to be shown."""

        def __init__(self, item_step: ItemStep) -> None:
            super().__init__()
            self.item_step = item_step

    class Listed(Message):
        """All items are to be shown as a list."""

    class Added(Message):
        """An item is to be added."""

    def __init__(self) -> None:
        super().__init__(self._row)
        self._tabs: tuple[Tab, ...] = ()
        self._here: ItemStep | None = None
        self._adds = ""
        self._on_add = False

    def show(self, tabs: Sequence[Tab], here: ItemStep | None, adds: str) -> None:
        """Shows other items, or the same in other states."""
        if (tuple(tabs), here, adds) != (self._tabs, self._here, self._adds):
            self._tabs, self._here, self._adds = tuple(tabs), here, adds
            self.again()

    def _row(self, width: int) -> list[Content]:
        add = (
            ink(f" + {self._adds} ", "reverse" if self._on_add and self.has_focus else QUIET)
            if self._adds
            else Content("")
        )
        parts = self._picker() if len(self._tabs) > MOST else [part for tab in self._tabs for part in self._tab(tab)]
        return [row(width, (join(Content(" "), *parts, add), 0))]

    def _tab(self, tab: Tab) -> list[Content]:
        here = tab.item_step == self._here
        marked = "reverse bold underline" if self.has_focus and not self._on_add else "reverse bold"
        name = ink(f" {tab.name} ", marked if here else PLAIN)
        return [name, Content(" "), *_state(tab), Content("   ")]

    def _picker(self) -> list[Content]:
        at = next((index for index, tab in enumerate(self._tabs) if tab.item_step == self._here), 0)
        tab = self._tabs[at]
        failed = sum(one.state in ("failed", "stale") for one in self._tabs)
        count = f"   {at + 1} of {len(self._tabs)}" + (f", {failed} failed" if failed else "")
        marked = "reverse bold underline" if self.has_focus and not self._on_add else "reverse bold"
        name = ink(f" {tab.name} {drawable('▾')} ", marked)
        return [name, Content(" "), *_state(tab), ink(count, QUIET), Content("   ")]

    def on_focus(self) -> None:
        """The focus is drawn in the row."""
        self.again()

    def on_blur(self) -> None:
        """And goes with it."""
        self._on_add = False
        self.again()

    def on_click(self, event: Click) -> None:
        """A click opens the list: the mouse is optional, and here it is coarse."""
        if len(self._tabs) > 1:
            self.post_message(self.Listed())

    def on_key(self, event: Key) -> None:
        """Arrows walk, Enter opens the list or adds."""
        if event.key in ("left", "right"):
            event.stop()
            self._walk(1 if event.key == "right" else -1)
        elif event.key in ("enter", "down", "space"):
            event.stop()
            if self._on_add or not self._tabs:
                self.post_message(self.Added())
            elif len(self._tabs) > 1:
                self.post_message(self.Listed())

    def _walk(self, by: int) -> None:
        places = [tab.item_step for tab in self._tabs]
        at = len(places) if self._on_add else places.index(self._here) if self._here in places else 0
        last = len(places) if self._adds else len(places) - 1
        to = min(max(0, at + by), max(0, last))
        self._on_add = to == len(places)
        if not self._on_add and places[to] != self._here:
            self.post_message(self.Opened(places[to]))
        self.again()


def _state(tab: Tab) -> list[Content]:
    style = style_of(tab.state)
    return [ink(f"{sign(tab.state)} ", f"{style} bold"), ink(tab.text, style)]
