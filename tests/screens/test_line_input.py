"""A line's keys act in the order in which they are typed, however quickly they come."""

from __future__ import annotations

from typing import ClassVar

import pytest
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.events import Key
from textual.widget import Widget
from textual.widgets import Input

from screens.line_input import LineInput


class Deep(App[None]):
    """A line in as many boxes as on the step screen, and a key of the app's own."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+n", "note", "note")]

    def __init__(self) -> None:
        super().__init__()
        self.noted = 0
        self.submitted: list[str] = []

    def compose(self) -> ComposeResult:
        """The line in its boxes."""
        inner: Widget = LineInput("QV", select_on_focus=False)
        for _ in range(6):
            inner = Vertical(inner)
        yield inner

    def action_note(self) -> None:
        """What no line does."""
        self.noted += 1

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter."""
        self.submitted.append(event.value)


def _at_once(app: App[None], *keys: str) -> None:
    # As one read of the terminal brings them: none is carried out before the next one is there.
    for key in keys:
        app.post_message(Key(key, key if len(key) == 1 else None))


@pytest.mark.parametrize(
    ("keys", "left"),
    [
        (("end", "backspace", "X"), "QX"),
        (("end", "backspace", "backspace", "A", "B", "backspace"), "A"),
        (("end", "left", "X"), "QXV"),
        (("home", "X"), "XQV"),
        (("home", "right", "X"), "QXV"),
        (("end", "ctrl+u", "n", "e", "w"), "new"),
        (("end", "ctrl+w", "X"), "X"),
        (("home", "delete", "X"), "XV"),
    ],
    ids="+".join,
)
async def test_order(keys: tuple[str, ...], left: str) -> None:
    """A key that edits is carried out before the letter behind it."""
    app = Deep()
    async with app.run_test() as pilot:
        app.query_one(LineInput).focus()
        await pilot.pause()
        _at_once(app, *keys)
        await pilot.pause()
        assert app.query_one(LineInput).value == left


async def test_other_keys_go_on() -> None:
    """Enter submits once, and what is no key of a line reaches whoever has it."""
    app = Deep()
    async with app.run_test() as pilot:
        app.query_one(LineInput).focus()
        await pilot.press("end", "enter", "right", "ctrl+n")
        await pilot.pause()
    assert app.submitted == ["QV"]
    assert app.noted == 1
