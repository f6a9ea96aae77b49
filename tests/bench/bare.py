"""What the screens are measured beside: Textual with nothing of ours. `python bare.py hello`, or `input`."""

from __future__ import annotations

import sys

from textual.app import App, ComposeResult
from textual.widgets import Input, Static

HELLO = "Hello from Textual"


class Hello(App[None]):
    """One line of text."""

    def compose(self) -> ComposeResult:
        """The line."""
        yield Static(HELLO)


class Line(App[None]):
    """One line to type into."""

    def compose(self) -> ComposeResult:
        """The line."""
        yield Input(placeholder=HELLO)


if __name__ == "__main__":
    {"hello": Hello, "input": Line}[sys.argv[1]]().run()
