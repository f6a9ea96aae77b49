"""Help: what the page below is for, its keys, and what the glyphs mean."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content

from screens.chrome import KeyLine
from screens.grid import LABEL, QUIET, STRONG, Lines, heading, ink, join, line, wrapped
from screens.page import Page

EVERYWHERE = (
    ("^p", "every action by name"),
    ("^y", "copy: the native clipboard, else the terminal's; the text is always shown too"),
    ("f1", "this help"),
    ("f5", "preflight: can this machine do what a setup asks?"),
    ("esc", "back; first it takes back what is being typed"),
    ("^q", "quit; asks when something runs"),
)
GLYPHS = (
    ("observed", "we looked, and it is so"),
    ("attested", "a person said so, in exact words"),
    ("reported", "the vendor said so"),
    ("failed", "looked at, and wrong; or it did not end well"),
    ("not yet", "not so yet; a value is not complete"),
    ("could not look", "nobody could look: no answer, no right, no tool"),
    ("to do", "your turn"),
    ("waiting for others", "somebody else's turn"),
    ("running", "it goes on now"),
    ("stale", "what it rests on has changed since"),
    ("waiting", "waits for another step; empty"),
)
SIGNS = (("+", "create"), ("~", "change"), ("=", "already so"), ("-", "remove"))


class HelpPage(Page):
    """Help over another page."""

    KEYS = (("esc", "back"), ("up down", "scroll"), ("^q", "quit"))
    BINDINGS: ClassVar[list[BindingType]] = [Binding("f1", "back", "back", show=False, priority=True)]

    def __init__(self, page: Page) -> None:
        super().__init__()
        self._about = page.HELP
        self._keys = page.KEYS

    def compose(self) -> ComposeResult:
        """One scrolling body."""
        with VerticalScroll(classes="page", can_focus=True):
            yield Lines(self._lines)
        yield KeyLine(self.KEYS)

    def on_mount(self) -> None:
        """The body has the focus, so that arrows scroll it."""
        self.query_one(VerticalScroll).focus()

    def _lines(self, width: int) -> list[Content]:
        lines = [
            heading(width, "Help"),
            *wrapped(self._about, width, indent=1),
            Content(""),
            heading(width, "Keys here"),
        ]
        known = {key for key, _ in EVERYWHERE}
        pairs = [*((key, does) for key, does in self._keys if key not in known), *EVERYWHERE]
        lines += [line(width, "", ink(key, STRONG), (ink(does), 0)) for key, does in pairs]
        lines += [
            Content(""),
            heading(width, "In a field"),
            *(
                line(width, "", ink(key, STRONG), (ink(does), 0))
                for key, does in (
                    ("right arrow", "at the end: takes what is offered, or adds the missing part"),
                    ("enter", "keeps the value and goes on"),
                    ("f3", "picks a file, in a field for one"),
                    ("paste", "in any form; the portal's helm commands whole, anywhere in the step"),
                )
            ),
            Content(""),
            heading(width, "Glyphs", "strength falls from observed over attested to reported"),
        ]
        lines += [line(width, state, state, (ink(means, QUIET), 0)) for state, means in GLYPHS]
        lines += [line(width, sign, means) for sign, means in SIGNS]
        where = str(self.wizard.places.real.state_dir)
        lines += [Content(""), heading(width, "Where it is kept")]
        lines += wrapped(
            f"{where}: one file a setup. Nothing is lost by leaving; resume goes on where it was left.", width, indent=1
        )
        lines += [join(Content(" " * (LABEL + 3)))]
        return lines
