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
LOOKING = (
    ("^p", "every action by name"),
    ("^y", "copy: by the terminal alone, for a review starts no program; the text is always shown too"),
    ("f1", "this help"),
    ("esc", "back"),
    ("^q", "quit"),
)
"""What works everywhere while one only looks."""
IN_A_FIELD = (
    ("right arrow", "at the end: takes what is offered, or adds the missing part"),
    ("enter", "keeps the value and goes on"),
    ("f3", "lists what Azure has, or picks a file, in a field for one"),
    ("paste", "in any form; the portal's helm commands whole, anywhere in the step"),
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
    """Help over another page; esc or f1 closes it."""

    KEYS = (("esc", "back"), ("up down", "scroll"), ("^q", "quit"))
    BINDINGS: ClassVar[list[BindingType]] = [Binding("f1", "back", "back", show=False, priority=True)]

    def __init__(self, page: Page) -> None:
        super().__init__()
        self._about = page.HELP
        self._keys = page.KEYS
        self._read_only = page.READ_ONLY

    def compose(self) -> ComposeResult:
        """One scrolling body."""
        with VerticalScroll(classes="page", can_focus=True):
            yield Lines(self._lines)
        yield KeyLine(self.KEYS)

    def on_mount(self) -> None:
        """The body has the focus, so that arrows scroll it."""
        for body in self.query(VerticalScroll):  # none when it was left before it was drawn
            body.focus()

    def _lines(self, width: int) -> list[Content]:
        lines = [
            heading(width, "Help"),
            *wrapped(self._about, width, indent=1),
            Content(""),
            heading(width, "Keys here"),
        ]
        everywhere = LOOKING if self._read_only else EVERYWHERE
        known = {key for key, _ in everywhere}
        pairs = [*((key, does) for key, does in self._keys if key not in known), *everywhere]
        lines += [one for key, does in pairs for one in _pair(width, key, does)]
        if not self._read_only:
            lines += [Content(""), heading(width, "In a field")]
            lines += [one for key, does in IN_A_FIELD for one in _pair(width, key, does)]
        lines += [
            Content(""),
            heading(width, "Glyphs", "strength falls from observed over attested to reported"),
        ]
        lines += [line(width, state, state, (ink(means, QUIET), 0)) for state, means in GLYPHS]
        lines += [line(width, sign, means) for sign, means in SIGNS]
        lines += [Content(""), heading(width, "Where it is kept"), *wrapped(self._where(), width, indent=1)]
        return [*lines, Content("")]

    def _where(self) -> str:
        if self._read_only:
            return "What is read is the file named on top. It is left as it is, and nothing is kept anywhere."
        where = self.wizard.places.real.state_dir
        return f"{where}: one file a setup. Nothing is lost by leaving; resume goes on where it was left."


def _pair(width: int, key: str, does: str) -> list[Content]:
    """A key and what it does; what does not fit goes on below."""
    first, *more = wrapped(does, max(10, width - 3 - LABEL))
    return [line(width, "", ink(key, STRONG), (first, 0)), *(join(Content(" " * (3 + LABEL)), one) for one in more)]
