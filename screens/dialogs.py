"""Sheets: small questions and notes over a page. Each says what it is about, and is left with escape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.events import Key
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from screens.chrome import Choice, Choices
from screens.grid import PLAIN, QUIET, STRONG, Cell, Lines, ink, join, remarks, word, wrapped
from screens.line_input import LineInput
from screens.lists import MarkedList
from screens.page import Sheet
from state.problem import Problem
from wizard.text import clean, visible
from wizard.work import ended_badly

DETAIL_LINES = 200
SEEN_SECONDS = 0.4
"""Nobody answers a question sooner who has seen it."""


Body = str | Content | tuple[str, str] | Callable[[int], list[Content]]
"""What a question is about: a text to be folded, one with its style, a line as it is, or lines made for a width."""


class Confirm(Sheet):
    """A question with its answers as choices; dismissed with the chosen id, or None.

    `body` lines, texts with their style among them, are folded above the choices; the first choice is the safe one
    unless `first` names another. `unhurried`: a key that comes before the question can have been seen, such as the
    second press of the button that led here, is no answer.
    """

    def __init__(
        self,
        title: str,
        body: Sequence[Body],
        choices: Sequence[Choice],
        *,
        first: str = "",
        danger: bool = False,
        unhurried: bool = False,
    ) -> None:
        super().__init__(classes="-danger" if danger else "")
        self._unhurried = unhurried
        self._shown = 0.0
        self._title = title
        self._body = body
        self._choices = choices
        self._first = first

    def compose(self) -> ComposeResult:
        """Title, body, choices."""
        with Vertical(id="sheet"):
            yield Lines(lambda width: [*wrapped(self._title, width, STRONG), Content("")])
            with VerticalScroll(can_focus=False):
                yield Lines(self._text)
            yield Choices(self._choices)

    def _text(self, width: int) -> list[Content]:
        lines: list[Content] = []
        for one in self._body:
            if isinstance(one, Content):
                lines.append(one)
            elif callable(one):
                lines += one(width)
            else:
                text, style = one if isinstance(one, tuple) else (one, PLAIN)
                lines += wrapped(text, width, style)
        return lines

    def on_mount(self) -> None:
        """The safe answer has the focus."""
        self._shown = monotonic()
        for choices in self.query(Choices):
            choices.focus_first(self._first)

    def on_choices_chosen(self, event: Choices.Chosen) -> None:
        """Answers."""
        if not self._unhurried or monotonic() - self._shown >= SEEN_SECONDS:
            self.dismiss(event.choice)


class Note(Sheet):
    """A problem in full: what happened, what it means, what to do next, what the other program said. Can be copied.

    Dismissed with the id of one of `choices`, or None.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+y", "copy", "copy", show=False)]

    def __init__(self, problem: Problem, choices: Sequence[Choice] = (), *, title: str = "") -> None:
        super().__init__(classes="-danger")
        self._problem = problem
        self._heading = title
        close = Choice("close", "Close", "Goes back to the screen behind; nothing is lost.")
        copy = Choice("copy", "Copy", "Copies this note, for a ticket or a colleague. ^y does the same.")
        self._choices = (*choices, close, copy) if choices else (close, copy)

    def compose(self) -> ComposeResult:
        """The parts of the problem, then the choices."""
        with Vertical(id="sheet"):
            with VerticalScroll(can_focus=False):
                yield Lines(self._text)
            yield Choices(self._choices)

    def _text(self, width: int) -> list[Content]:
        return [*problem_lines(self._problem, width, title=self._heading), Content("")]

    def on_mount(self) -> None:
        """The first choice has the focus."""
        for choices in self.query(Choices):
            choices.focus_first()

    def on_choices_chosen(self, event: Choices.Chosen) -> None:
        """Answers, or copies and stays."""
        if event.choice == "copy":
            self.action_copy()
        else:
            self.dismiss(None if event.choice == "close" else event.choice)

    def action_copy(self) -> None:
        """Copies the whole note as text."""
        self.wizard.copy(problem_text(self._problem))


def problem_lines(problem: Problem, width: int, *, title: str = "", details: int = DETAIL_LINES) -> list[Content]:
    """A problem on the screen: what, means, todo, and the last lines that the other program said."""
    state = ended_badly(problem)
    head = join(word(state, f"{title or state}   ", bold=True))
    first, *more = wrapped(
        problem.what, max(10, width - head.cell_length), "$error bold" if state == "failed" else STRONG
    )
    lines = [join(head, first), *(join(Content(" " * head.cell_length), one) for one in more)]
    if problem.means:
        lines += wrapped(problem.means, width, indent=2)
    if problem.todo:
        lead = ink("  do next  ", QUIET)
        pieces = wrapped(problem.todo, max(10, width - lead.cell_length), "$primary")
        lines += [
            join(lead if index == 0 else Content(" " * lead.cell_length), one) for index, one in enumerate(pieces)
        ]
    said = [one for one in visible(problem.detail).strip().splitlines() if one.strip()] if problem.detail else []
    for one in said[max(0, len(said) - details) :]:
        lines += wrapped(one, width, QUIET, indent=2)
    return lines


def problem_text(problem: Problem) -> str:
    """A problem as text for a ticket."""
    parts = [problem.what, problem.means, f"Do next: {problem.todo}" if problem.todo else "", problem.detail]
    return clean("\n".join(part for part in parts if part), keep_newlines=True, limit=100_000) + f"\n({problem.code})"


class CopySheet(Sheet):
    """A text that was sent to the clipboard, to be selected by hand where that did not work."""

    def __init__(self, text: str, sent: str) -> None:
        super().__init__()
        self._text = text
        self._sent = sent

    def compose(self) -> ComposeResult:
        """What was done, and the text."""
        with Vertical(id="sheet"):
            yield Lines(lambda width: [*wrapped(self._sent, width, STRONG), Content("")])
            with VerticalScroll(can_focus=False):
                yield Lines(lambda width: [line for one in self._text.split("\n") for line in _whole(one, width)])
            yield Choices(
                [Choice("close", "Close", "Select the text with the mouse (shift held, in most terminals) if needed.")]
            )

    def on_mount(self) -> None:
        """Enter or escape closes it."""
        for choices in self.query(Choices):
            choices.focus_first()

    def on_choices_chosen(self, event: Choices.Chosen) -> None:
        """Closes."""
        self.dismiss(None)


def _whole(text: str, width: int) -> list[Content]:
    """A line of a text to be copied: broken at the edge, so that nothing is added or lost."""
    shown = clean(text, limit=100_000)
    return [ink(shown[start : start + width]) for start in range(0, max(1, len(shown)), max(1, width))]


Judge = Callable[[str], tuple[bool, str, str]]
"""Says of a typed text: whether it can be used, its state's word, and one line about it."""


class Ask(Sheet):
    """One question with one line of text as its answer; validated at every key. Dismissed with the text, or None."""

    def __init__(
        self, title: str, label: str, judge: Judge, *, value: str = "", body: Sequence[str] = (), does: str = ""
    ) -> None:
        super().__init__()
        self._title = title
        self._label = label
        self._judge = judge
        self._value = value
        self._body = body
        self._does = does or "Enter goes on; esc goes back."

    def compose(self) -> ComposeResult:
        """The question, the line, what is right about it."""
        with Vertical(id="sheet"):
            yield Lines(self._question)
            yield LineInput(clean(self._value), compact=True, select_on_focus=True, placeholder=clean(self._label))
            yield Lines(self._note, id="note")
            yield Choices([Choice("ok", "Go on", self._does)])

    def _question(self, width: int) -> list[Content]:
        body = [line for one in self._body for line in wrapped(one, width)]
        return [*wrapped(self._title, width, STRONG), *body, Content(""), ink(self._label, QUIET)]

    def _note(self, width: int) -> list[Content]:
        _, state, text = self._judge(self.query_one(Input).value)
        return [*remarks(width, [(state, text or state)]), Content("")]

    def on_mount(self) -> None:
        """The line has the focus."""
        self.query_one(Input).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Says at once what is right so far."""
        self.query_one("#note", Lines).again()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter goes on, when the answer can be used."""
        self._go_on()

    def on_choices_chosen(self, event: Choices.Chosen) -> None:
        """So does the button."""
        self._go_on()

    def _go_on(self) -> None:
        text = self.query_one(Input).value
        if self._judge(text)[0]:
            self.dismiss(text)
        else:
            self.query_one(Input).focus()


class Choose(Sheet):
    """One of several, with a filter that narrows them as one types. Dismissed with the chosen id, or None."""

    def __init__(
        self, title: str, options: Sequence[tuple[str, Cell]], *, here: str = "", body: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self._title = title
        self._options = [(key, ink(shown) if isinstance(shown, str) else shown) for key, shown in options]
        self._here = here
        self._body = body

    def compose(self) -> ComposeResult:
        """Title, filter, list."""
        with Vertical(id="sheet"):
            yield Lines(self._question)
            if len(self._options) > FILTER_FROM:
                yield LineInput(compact=True, placeholder="type to narrow")
            yield MarkedList(*self._shown(""), markup=False)
            yield Lines(
                lambda width: [Content(""), *wrapped("Enter chooses; esc goes back.", width, QUIET), Content("")]
            )

    def _question(self, width: int) -> list[Content]:
        return [
            *wrapped(self._title, width, STRONG),
            *(line for one in self._body for line in wrapped(one, width, PLAIN)),
            Content(""),
        ]

    def _shown(self, wanted: str) -> list[Option]:
        return [
            Option(shown, id=str(at)) for at, (_, shown) in enumerate(self._options) if wanted in shown.plain.lower()
        ]

    def on_mount(self) -> None:
        """The list has the focus, on the current one."""
        chooser = self.query_one(OptionList)
        keys = [key for key, _ in self._options]
        chooser.highlighted = keys.index(self._here) if self._here in keys else 0
        chooser.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Narrows the list."""
        chooser = self.query_one(OptionList)
        chooser.clear_options()
        chooser.add_options(self._shown(event.value.strip().lower()))
        if chooser.option_count:
            chooser.highlighted = 0

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter in the filter takes the highlighted one."""
        self.query_one(OptionList).action_select()

    def on_key(self, event: Key) -> None:
        """Typing in the list goes to the filter; down in the filter goes to the list."""
        filters = self.query(Input)
        if not filters:
            return
        chooser, narrowing = self.query_one(OptionList), filters.first()
        if event.key == "down" and narrowing.has_focus:
            event.stop()
            chooser.focus()
        elif chooser.has_focus and event.is_printable and event.character:
            event.stop()
            narrowing.focus()
            narrowing.insert_text_at_cursor(clean(event.character))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Answers."""
        if event.option_id is not None:
            self.dismiss(self._options[int(event.option_id)][0])


FILTER_FROM = 6
"""Options; a shorter list is seen at a glance."""
