"""What was seen for one item's step: every look with its request, redacted answer, SHA-256, identity and grade."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content

from screens.chrome import KeyLine
from screens.dialogs import problem_lines, problem_text
from screens.grid import QUIET, STRONG, Lines, heading, ink, join, word, wrapped
from screens.page import Page
from screens.times import when
from state.clock import now
from wizard.current import why_stale
from wizard.text import clean

if TYPE_CHECKING:
    from wizard.guide import ItemStep
    from wizard.view import View
    from wizard.work import Work

LABEL = 10


class EvidencePage(Page):
    """The evidence of one item's step, and the last problem in full."""

    HELP = "What was looked at for this step: the request, the answer as it was kept, its SHA-256, as whom, and when."
    KEYS = (("esc", "back"), ("^y", "copy"), ("f1", "help"), ("^q", "quit"))
    BINDINGS: ClassVar[list[BindingType]] = [Binding("f4", "back", "back", show=False)]

    def __init__(self, item_step: ItemStep) -> None:
        super().__init__()
        self._place = item_step

    def compose(self) -> ComposeResult:
        """One scrolling body."""
        with VerticalScroll(classes="page", can_focus=True):
            yield Lines(self._lines)
        yield KeyLine(self.KEYS)

    def on_mount(self) -> None:
        """The body has the focus, so that arrows scroll it."""
        self.query_one(VerticalScroll).focus()

    def setup_changed(self) -> None:
        """Shows what was found meanwhile."""
        for lines in self.query(Lines):
            lines.again()

    def _lines(self, width: int) -> list[Content]:
        setup = self.wizard.setup
        if setup is None:
            return [Content("")]
        view = setup.session.view(self._place)
        lines = [
            heading(width, "Evidence", f"step {view.step.number} {view.step.title} {' '.join(self._names())}"),
            Content(""),
        ]
        return [*lines, *(join(Content(" "), one) for one in self._body(view, setup.work.get(self._place), width - 1))]

    def _body(self, view: View, work: Work | None, width: int) -> list[Content]:
        lines: list[Content] = []
        if work is not None and work.problem is not None:
            lines += [*problem_lines(work.problem, width), Content("")]
        for check in view.step.checks:
            record = view.snapshot.findings.get((self._place.step, self._place.items, check.id))
            if record is None:
                lines += [
                    join(ink(check.title, STRONG), ink("   not looked at yet; ^r on the step looks", QUIET)),
                    Content(""),
                ]
                continue
            current = not why_stale(view, check)
            lines.append(join(ink(f"{check.title}   ", STRONG), word(record.data.verdict if current else "stale")))
            lines += wrapped(record.data.text, width)
            lines += self._pair(
                "Looked", f"{when(record.ts, now())} by {record.actor.user} on {record.actor.host}", width
            )
            for seen in record.data.evidence:
                lines.append(Content(""))
                for label, value in (
                    ("Source", seen.source),
                    ("Request", seen.request),
                    ("Answer", seen.answer),
                    ("SHA-256", seen.sha256),
                    ("Identity", seen.identity),
                    ("Grade", seen.grade),
                ):
                    lines += self._pair(label, value, width)
            lines.append(Content(""))
        if not view.step.checks:
            lines += wrapped(
                "Nothing can be looked at here; a person confirms this step in its exact words.", width, QUIET
            )
        return lines

    def _names(self) -> list[str]:
        return [item.partition("/")[2] for item in self._place.items]

    def _pair(self, label: str, value: str, width: int) -> list[Content]:
        first, *more = wrapped(clean(value), width - LABEL)
        return [join(ink(label.ljust(LABEL), QUIET), first), *(join(Content(" " * LABEL), one) for one in more)]

    def copyable(self) -> str:
        """All of it as text."""
        setup = self.wizard.setup
        work = setup.work.get(self._place) if setup is not None else None
        body = "\n".join(line.plain.rstrip().removeprefix(" ") for line in self._lines(100))
        return body + (f"\n{problem_text(work.problem)}" if work is not None and work.problem is not None else "")
