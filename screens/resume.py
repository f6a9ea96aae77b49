"""Welcome back: where one left off, what still runs, what changed since, what others owe, what still holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.timer import Timer

from screens import opening, step_actions
from screens.band import band_of, owed_of, standing, steps_of
from screens.chrome import Choice, Choices, KeyLine, band_lines, step_list, step_strip
from screens.grid import QUIET, Lines, heading, ink, line, under_value, wrapped
from screens.page import Page
from screens.times import lasting, when
from state.clock import now
from wizard.guide import ItemStep
from wizard.resuming import Line, Summary, summary
from wizard.work import RESUMING

if TYPE_CHECKING:
    from wizard.open_setup import OpenSetup

GO_ON, TURN, CHECK, LOOK, GONE = "go-on", "turn", "check", "look", "gone"


class ResumePage(Page):
    """The summary shown when a setup is opened again."""

    HELP = "Where this setup was left, what changed since, what others owe, and what still runs. Nothing was lost."
    KEYS = (
        ("^n", "go on"),
        ("esc", "home"),
        ("^r", "check everything"),
        ("f5", "preflight"),
        ("f1", "help"),
        ("^p", "commands"),
        ("^q", "quit"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+n", "go_on", "go on", show=False),
        Binding("ctrl+r", "check", "check everything", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._open: OpenSetup | None = None
        self._left: Summary | None = None
        self._opened = now()
        self._ticking: Timer | None = None

    @property
    def open(self) -> OpenSetup:
        """The open setup; this screen is shown with one only, and shows it until it is left."""
        if self._open is None:
            self._open = self.wizard.setup
        assert self._open is not None  # noqa: S101
        return self._open

    def _summary(self) -> Summary:
        setup = self.open
        session = setup.session
        journal = setup.writer.journal
        return summary(setup.guide, session.snapshot, session.status(), journal.events, cut=setup.writer.cut)

    @property
    def left(self) -> Summary:
        """What was so when it was opened, with what has changed since."""
        if self._left is None:
            self._left = self._summary()
        return self._left

    def compose(self) -> ComposeResult:
        """Band, steps, sections, choices."""
        yield Lines(lambda width: band_lines(band_of(self.open), width), id="band")
        yield Lines(lambda width: step_strip(steps_of(self.open), 0, width, "Welcome back"), id="strip")
        with Horizontal(id="main"):
            yield Lines(self._steps, id="steps")
            with Vertical(id="body"):
                with VerticalScroll(id="scroll", can_focus=False):
                    yield Lines(self._lines, id="summary")
                yield Choices(self._choices())
        yield KeyLine(self.KEYS)

    def on_mount(self) -> None:
        """The first choice has the focus."""
        self._ticking = self.set_interval(1.0, self._tick, pause=not self.open.running())
        self.query_one(Choices).focus_first()

    def _tick(self) -> None:
        for lines in self.query("#band, #summary").results(Lines):
            lines.again()

    def setup_changed(self) -> None:
        """Shows what is so now: an earlier helm may have ended."""
        if self.wizard.setup is None or not self.is_mounted:
            return
        self._left = self._summary()
        for lines in self.query("#band, #strip, #steps, #summary").results(Lines):
            lines.again()
        if self._ticking is not None:
            (self._ticking.resume if self.open.running() else self._ticking.pause)()
        self.call_later(self._offer)

    async def _offer(self) -> None:
        await self.query_one(Choices).offer(self._choices())

    # ------------------------------------------------------------ showing

    def _steps(self, width: int) -> list[Content]:
        return step_list(steps_of(self.open), 0, owed_of(self.open), width, tall=self.tall)

    def _lines(self, width: int) -> list[Content]:
        left = self.left
        space = [Content("")] if self.tall else []
        by = f" by {left.left_by}" if left.left_by else ""
        lines = [heading(width, "Welcome back", "", when(self._opened, now()))] if self.tall else []
        lines += [
            *wrapped(f"Last saved {when(left.left_at, now())}{by}. Nothing was lost.", width, indent=1),
            Content(""),
        ]
        if left.cut:
            lines += [*wrapped(f"! {left.cut}", width, "$warning", indent=1), Content("")]
        sections = (
            ("Where you left off", (left.left_off,)),
            ("Still running", self._running_lines()),
            ("Changed since", left.changed),
            ("Others owe", left.owed),
            ("Still good", left.good),
        )
        for title, found in sections:
            if found:
                lines += [heading(width, title), *space]
                for one in found:
                    lines += _drawn(one, width)
                lines.append(Content(""))
        return lines

    def _running_lines(self) -> tuple[Line, ...]:
        """What an earlier session began, as it is followed now."""
        followed = [work for work in self.open.work.values() if work.kind == RESUMING]
        if not followed:
            return self.left.running
        found = []
        for work in followed:
            names = " ".join(item.partition("/")[2] for item in work.item_step.items)
            step = self.open.guide.step(work.item_step.step)
            label = f"step {step.number if step else '?'}, {names}"
            if work.running:
                found.append(Line("running", label, f"{work.summary}, followed for {lasting(work.elapsed())}"))
            elif work.problem is not None:
                found.append(Line("could not look", label, work.problem.what, note=work.problem.todo))
            else:
                state = self.open.session.status().item_steps.get(work.item_step)
                found.append(
                    Line("done", label, f"{work.summary}: ended; the step is {state.status if state else 'gone'}")
                )
        return tuple(found)

    # ------------------------------------------------------------ choices

    def _mine(self) -> ItemStep | None:
        mine = standing(self.open).whose.mine
        return mine[0].item_step if mine else None

    def _choices(self) -> list[Choice]:
        place, mine = self.left.place, self._mine()
        found = []
        if any(
            work.problem is not None and work.problem.code == "interrupted-elsewhere"
            for work in self.open.work.values()
        ):
            found.append(Choice(GONE, "It is gone", "It is gone: you looked on the other host, and helm ended there."))
        found.append(
            Choice(
                GO_ON, f"Go on with step {self._number(place)}", f"Go on: opens {self._named(place)}; changes nothing."
            )
        )
        if mine is not None and mine != place:
            found.append(
                Choice(TURN, f"Go to step {self._number(mine)}", f"Goes to {self._named(mine)}: what comes first now.")
            )
        found.append(Choice(CHECK, "Check everything", "Check everything: looks again at every step; changes nothing."))
        found.append(Choice(LOOK, "Just look", "Just look: opens the first step, runs nothing."))
        return found

    def _number(self, place: ItemStep) -> str:
        step = self.open.guide.step(place.step)
        return str(step.number) if step else "?"

    def _named(self, place: ItemStep) -> str:
        names = " ".join(item.partition("/")[2] for item in place.items)
        return f"step {self._number(place)}{f', {names}' if names else ''}"

    def on_choices_chosen(self, event: Choices.Chosen) -> None:
        """Goes where the button says."""
        if event.choice == CHECK:
            self.action_check()
        elif event.choice == GONE:
            self.wizard.do(self._gone())
        elif event.choice == TURN:
            opening.show_step(self.wizard, self._mine())
        elif event.choice == LOOK:
            opening.show_step(self.wizard, ItemStep(self.open.guide.steps[0].id))
        else:
            self.action_go_on()

    async def _gone(self) -> None:
        for work in list(self.open.work.values()):
            if work.problem is not None and work.problem.code == "interrupted-elsewhere":
                await step_actions.say_gone(self.wizard, self.open, work.item_step)

    def action_go_on(self) -> None:
        """Where one left off."""
        opening.show_step(self.wizard, self.left.place)

    def action_check(self) -> None:
        """Looks at everything again."""
        step_actions.look_all(self.open)
        self.notify("Looking at every step again.", markup=False)

    def action_back(self) -> None:
        """Home."""
        self.wizard.do(opening.go_home(self.wizard))

    def copyable(self) -> str:
        """The summary as text."""
        return "\n".join(one.plain.rstrip() for one in self._lines(100))


def _drawn(one: Line, width: int) -> list[Content]:
    right = ink(when(one.ts, now()), QUIET) if one.ts else None
    first, *more = wrapped(one.text, max(10, width - 22 - (right.cell_length + 2 if right else 0)))
    lines = [line(width, one.state, one.label, (first, 0), right=right)]
    lines += [Content(" " * 22) + piece for piece in more]
    return lines + (under_value(one.note, width) if one.note else [])
