"""A call for later does not outlive the widget that asked for it."""

from __future__ import annotations

import pytest
from textual.app import App, ComposeResult
from textual.containers import Vertical
from textual.css.query import NoMatches
from textual.pilot import Pilot
from textual.widget import Widget
from textual.widgets import Static

from screens.attached import Attached


class Shelf(Vertical):
    """Has a child, and a call that needs it."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def compose(self) -> ComposeResult:
        """The child."""
        yield Static("here", id="child")

    def tell(self, how: str) -> None:
        """Raises NoMatches when the child is gone."""
        assert self.query_one("#child")
        self.told.append(how)


class Guarded(Attached, Shelf):
    """The same, with what is under test."""


class Shown(App[None]):
    """Shows one widget."""

    def __init__(self, widget: Widget) -> None:
        super().__init__()
        self._widget = widget

    def compose(self) -> ComposeResult:
        """The widget."""
        yield self._widget


async def _taken_away(pilot: Pilot[None], shelf: Shelf) -> None:
    # The screen calls one after the other: by the second, the widget that asked for both is gone.
    shelf.call_after_refresh(shelf.remove)
    shelf.call_after_refresh(shelf.tell, "after")
    await pilot.pause()
    await pilot.pause()
    assert not shelf.is_attached


async def test_while_it_is_there() -> None:
    """It is called, with what it was given."""
    shelf = Guarded()
    async with Shown(shelf).run_test() as pilot:
        shelf.call_after_refresh(shelf.tell, how="after")
        await pilot.pause()
        assert shelf.told == ["after"]


async def test_once_it_is_gone() -> None:
    """Nothing is called, so nothing is missed."""
    shelf = Guarded()
    async with Shown(shelf).run_test() as pilot:
        await _taken_away(pilot, shelf)
    assert shelf.told == []


async def test_textual_calls_it_all_the_same() -> None:
    """Why there is such a guard: without it the call comes, and its error ends the app."""
    shelf = Shelf()
    with pytest.raises(NoMatches):
        async with Shown(shelf).run_test() as pilot:
            await _taken_away(pilot, shelf)
