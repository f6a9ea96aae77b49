"""Home: every setup with its progress, whose turn it is and what happened last; an empty one that teaches."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.events import Key, Resize
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from screens import opening
from screens.chrome import PRODUCT, Choice, Choices, KeyLine, progress
from screens.dialogs import Ask, problem_lines
from screens.glyphs import sign, style_of
from screens.grid import PLAIN, QUIET, STRONG, Lines, heading, ink, join, row, word, wrapped
from screens.line_input import LineInput
from screens.lists import MarkedList
from screens.page import Page
from screens.times import when
from state.clock import now
from state.problem import Problem
from wizard.guide import YOU
from wizard.text import clean

RESUME, NEW, REVIEW, REHEARSE, REVIEW_FILE = "resume", "new", "review", "rehearse", "review-file"
FILTER_FROM = 12
"""Setups; fewer are seen at a glance."""

AT_HAND = (
    ("Cloud Portal", "access to your environment's Settings"),
    ("Subscription ID", "Azure portal, Subscriptions"),
    ("Azure", "permission to create Private Endpoints, access to DNS"),
    ("Kubernetes", "a kube context that may install and upgrade"),
    ("helm", "3.8 or newer; f5 looks whether it is there"),
)


class HomePage(Page):
    """The list of setups."""

    HELP = "Every setup of yours: how far it is, whose turn it is, and what happened last. Enter goes on with one."
    KEYS = (
        ("enter", "resume"),
        ("^n", "new setup"),
        ("f1", "help"),
        ("^p", "commands"),
        ("^q", "quit"),
        ("tab", "next"),
        ("f5", "preflight"),
        ("^r", "read again"),
        ("up down", "setup"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+n", "new", "new setup", show=False),
        Binding("ctrl+r", "read", "read again", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._setups: tuple[dict[str, Any], ...] = ()
        self._problem: Problem | None = None
        self._read_at = ""
        self._wanted = ""

    def compose(self) -> ComposeResult:
        """Band, setups, the highlighted one step by step."""
        yield Lines(self._band, id="band")
        with Vertical(id="home"):
            yield Lines(self._empty, id="empty", classes="page")
            yield Lines(self._columns, id="columns")
            yield LineInput(compact=True, placeholder="type to narrow", id="filter")
            yield MarkedList(id="setups", markup=False)
            with VerticalScroll(id="one", can_focus=False):
                yield Lines(self._one)
        yield Choices(self._choices())
        yield KeyLine(self.KEYS)

    def on_mount(self) -> None:
        """Reads the setups."""
        self._show()
        self.action_read()

    def on_screen_resume(self) -> None:
        """Reads them again: something may have changed meanwhile."""
        if self._read_at:
            self.action_read()

    def action_read(self) -> None:
        """Reads the setups again."""
        self.wizard.do(self._read())

    async def _read(self) -> None:
        from wizard.overview import setups

        try:
            self._setups, self._problem = await asyncio.to_thread(setups, self.wizard.places), None
        except Problem as problem:
            self._setups, self._problem = (), problem
        first, self._read_at = not self._read_at, now()
        if self.is_attached:
            self._show()
            choices = self.query_one(Choices)
            if first and self._setups:
                # Before anything else has its turn: enter at the first sight of a setup opens it.
                self.set_focus(self.query_one(OptionList))
            await choices.offer(self._choices())
            if first and not self._setups:
                choices.focus_first()

    # ------------------------------------------------------------ showing

    @property
    def _shown(self) -> list[dict[str, Any]]:
        return [one for one in self._setups if self._wanted in one["name"].lower()]

    @property
    def _here(self) -> dict[str, Any] | None:
        at, shown = self.query_one(OptionList).highlighted, self._shown
        return shown[at] if at is not None and at < len(shown) else None

    def _show(self) -> None:
        if not self.query("#empty"):
            return  # another page took its place before it was drawn
        empty = not self._setups
        self.query_one("#empty").display = empty
        self.query_one("#columns").display = not empty
        self.query_one("#filter").display = len(self._setups) > FILTER_FROM
        chooser = self.query_one(OptionList)
        chooser.display = not empty
        # By its file, not its place: what is read anew may have other setups before it.
        before = chooser.highlighted_option
        width = max(40, self.app.size.width - (5 if self.wide else 3))
        chooser.clear_options()
        chooser.add_options([Option(self._row(one, width), id=one["file"]) for one in self._shown])
        if self._shown:
            files = [one["file"] for one in self._shown]
            chooser.highlighted = files.index(before.id) if before is not None and before.id in files else 0
        for lines in self.query("#band, #empty, #columns, #one Lines").results(Lines):
            lines.again()

    def setup_changed(self) -> None:
        """Nothing here is of the open setup."""

    def on_resize(self, event: Resize) -> None:
        """Rows of the list have a fixed width: they are made anew."""
        self.call_after_refresh(self._show)

    def _band(self, width: int) -> list[Content]:
        whose = [_whose(one) for one in self._setups]
        mine, theirs = whose.count(YOU), sum(one not in ("", YOU) for one in whose)
        if not self._read_at:
            right = ink("reading", QUIET)
        elif self._problem is not None:
            right = word("could not look")
        elif not self._setups:
            right = ink("no setups yet", QUIET)
        else:
            wait = join(
                ink(f"{sign('to do')} {mine} {'waits' if mine == 1 else 'wait'} for you", "$primary"),
                Content("   "),
                ink(f"{sign('waiting for others')} {theirs} for others", "$secondary"),
            )
            right = wait
        about = "   a private link, every step proved" if self.wide else ""
        return [row(width, (join(ink(PRODUCT, STRONG), ink(about, QUIET)), 0), right=right)]

    def _empty(self, width: int) -> list[Content]:
        if not self._read_at:
            return [Content("")]
        if self._problem is not None:
            return problem_lines(self._problem, width)
        lines = [ink("No setups yet.", STRONG), Content("")]
        lines += wrapped(
            "A setup takes one environment through the steps of a private link. Every step is proved, not believed, "
            "and every answer is kept, so you can stop at any time and go on later.",
            width,
        )
        lines += [Content(""), ink("Have at hand", STRONG)]
        lines += [
            row(width, (ink(sign("empty"), QUIET), 2), (label, 18), (ink(what, QUIET), 0)) for label, what in AT_HAND
        ]
        lines += [Content(""), ink("First time?", STRONG)]
        return lines + wrapped(
            "Rehearse in the sandbox: all the steps on this machine, with the real helm, and nothing outside it is "
            "touched.",
            width,
        )

    def _columns(self, width: int) -> list[Content]:
        name, mode = self._widths()
        head: list[tuple[Content | str, int]] = [
            ("", 3),
            (ink("Setup", QUIET), name),
            (ink("Mode", QUIET), mode),
            (ink("Progress", QUIET), 26),
        ]
        return [
            row(width, *head, (ink("Whose turn", QUIET), 0), right=ink("Last activity", QUIET) if self.wide else None)
        ]

    def _widths(self) -> tuple[int, int]:
        longest = max((len(one["name"]) for one in self._setups), default=0) + 10
        return min(max(16, longest), 30 if self.wide else 22), 15 if self.wide else 0

    def _row(self, one: dict[str, Any], width: int) -> Content:
        name_room, mode_room = self._widths()
        mark = join(ink(one["name"], STRONG), ink(" SANDBOX" if one.get("sandbox") else "", "bold"))
        if "guide" not in one:
            why = ink(f"can't be read: {one['problem']}", "$error")
            return row(width, ("", 1), (word("failed", ""), 2), (mark, name_room), (why, 0))
        state = _state(one)
        count = ink(f"  {one['done_steps']} of {one['all_steps']}")
        bar = join(progress(one["done_steps"], one["all_steps"]), count)
        whose = _whose(one)
        lead = join(ink(f"{whose}  ", "$primary bold" if whose == YOU else "$secondary bold")) if whose else Content("")
        from wizard.overview import turn_words

        turn = turn_words(one)
        glyph = ink(sign(state), f"{style_of(state)} bold")
        last = when(one["last_ts"], now())
        first = row(
            width,
            ("", 1),
            (glyph, 2),
            (mark, name_room),
            (ink(one["mode"] if mode_room else "", PLAIN), mode_room),
            (bar, 26),
            (join(lead, ink(turn, "$error" if one["problem"] else PLAIN)), 0),
            right=ink(last) if self.wide else None,
        )
        did = one.get("last_what") or ""
        second = row(width, ("", 3), ("", 0), right=ink(clean(did, limit=max(10, width - 10)), QUIET))
        return Content("\n").join([first, second])

    def _one(self, width: int) -> list[Content]:
        one = self._here
        if one is None or "steps" not in one or not self.tall:
            return [Content("")]
        half = (len(one["steps"]) + 1) // 2
        lines = [Content(""), heading(width, one["name"], "step by step"), Content("")]
        for at in range(half):
            cells = []
            for step in (one["steps"][at], one["steps"][at + half] if at + half < len(one["steps"]) else None):
                text = f"{step['number']} {step['title']}" if step else ""
                state, said = step["word"] if step else ("", "")
                glyph = ink(sign(state), f"{style_of(state)} bold")
                cells.append(row(width // 2, ("", 1), (glyph, 2), (text, 30), (ink(said, style_of(state)), 0)))
            lines.append(join(*cells))
        return lines

    # ------------------------------------------------------------ choices

    def _choices(self) -> list[Choice]:
        one = self._here if self.is_mounted and self._setups else None
        new = Choice(NEW, "New setup", "New setup asks for a name, and shows what it begins with.")
        rest = [
            Choice(
                REHEARSE,
                "Rehearse",
                "Rehearse: the whole job on this machine; nothing outside it is touched.",
            ),
            Choice(REVIEW_FILE, "Review a file", "Review a file opens a copied state file read-only."),
        ]
        if one is None:
            return [new, *rest]
        does = f"Resume opens {one['name']} where it was left: {one.get('turn') or 'all steps done'}."
        if one["problem"]:
            how = "can only be read" if "guide" in one else "can't be read"
            does = f"{one['name']} {how}, so it can't be resumed. {one['problem']}"
        return [
            Choice(RESUME, "Resume", does),
            new,
            Choice(REVIEW, "Review", f"Review opens {one['name']} read-only: timeline and evidence."),
            *rest,
        ]

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """The highlighted setup gives the choices their line."""
        super().on_option_list_option_highlighted(event)
        self.call_later(self._offer)
        for lines in self.query("#one Lines").results(Lines):
            lines.again()

    async def _offer(self) -> None:
        await self.query_one(Choices).offer(self._choices())

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Enter goes on with the setup."""
        self._do(RESUME)

    def on_choices_chosen(self, event: Choices.Chosen) -> None:
        """Does what the button says."""
        self._do(event.choice)

    def _do(self, choice: str) -> None:
        app, one = self.wizard, self._here
        if choice == NEW:
            self.action_new()
        elif choice == REHEARSE:
            app.do(opening.rehearse(app))
        elif choice == REVIEW_FILE:
            app.do(self._review_file())
        elif one is not None and choice == RESUME:
            app.do(opening.resume(app, one["name"]))
        elif one is not None and choice == REVIEW:
            app.do(opening.review(app, one["file"]))

    def action_new(self) -> None:
        """A new setup."""
        from screens.new import NewPage

        self.app.push_screen(NewPage())

    async def _review_file(self) -> None:
        path = await self.wizard.ask(
            Ask(
                "Review a state file",
                "Path of the file",
                lambda text: (
                    bool(text.strip()),
                    "ok" if text.strip() else "empty",
                    "" if text.strip() else "a path, such as ./prod-weu.jsonl",
                ),
                body=["It is read and nothing else: no lock, no change, no connection."],
            )
        )
        if isinstance(path, str):
            target = path.strip()
            await opening.review(self.wizard, target if "/" in target else f"./{target}")

    # ------------------------------------------------------------ filter

    def on_input_changed(self, event: Input.Changed) -> None:
        """Narrows the list."""
        self._wanted = event.value.strip().lower()
        self._show()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter in the filter goes to the list."""
        self.query_one(OptionList).focus()

    def on_key(self, event: Key) -> None:
        """Down in the filter goes to the list."""
        if event.key == "down" and self.query_one("#filter", Input).has_focus:
            event.stop()
            self.query_one(OptionList).focus()

    def commands(self) -> list[tuple[str, str, str]]:
        """Every action of this page by name."""
        found = [(choice.label, choice.line, f"choose('{choice.id}')") for choice in self._choices()]
        return [*found, ("Read again", "reads the list of setups again (^r)", "read")]

    def action_choose(self, choice: str) -> None:
        """A choice by name."""
        self._do(choice)


def _whose(one: dict[str, Any]) -> str:
    """Whose turn it is; nobody's in a setup that can't be changed."""
    return "" if one["problem"] else one.get("whose") or ""


def _state(one: dict[str, Any]) -> str:
    if one["problem"]:
        return "failed"
    if one["done_steps"] == one["all_steps"]:
        return "observed" if all(step["status"] == "observed" for step in one["steps"]) else "attested"
    return "to do" if one.get("whose") == YOU else "waiting for others"
