"""Welcome back: where one left off, what still runs, what changed since, what others owe, what still holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.timer import Timer

from screens import opening
from screens.band import Standing, ago, band_of, owed_of, standing, steps_of
from screens.chrome import Choice, Choices, KeyLine, band_lines, step_list, step_strip
from screens.glyphs import sign
from screens.grid import Lines, heading, ink, join, shortened, wrapped
from screens.page import Page
from screens.resume_lines import AGAIN, ELSEWHERE, Said, Section, day_of, drawn, label_column, present, said, why
from screens.times import lasting, when
from state.clock import now
from wizard.guide import ItemStep
from wizard.resuming import Line, Summary, summary
from wizard.text import one_line
from wizard.turns import place_name
from wizard.work import LOOKING, RESUMING, Work

if TYPE_CHECKING:
    from state.snapshot import ChangeRecord
    from wizard.open_setup import OpenSetup

GO_ON, TURN, GONE, CHECK, LOOK = "go-on", "turn", "gone", "check", "look"

LINES_OF_A_TRAP = 2

BUTTON, MARGINS, BESIDE = 8, 1, 39
"""Cells that a button has beside its label, that the choices have around them, and that the step list takes too."""


class ResumePage(Page):
    """The summary shown when a setup is opened again."""

    HELP = (
        "Where this setup was left, what still runs, what changed since, what others owe, and what still holds. "
        "It is told from what was saved; only `check everything` looks anew, and it changes nothing."
    )
    KEYS = (
        ("^n", "next"),
        ("esc", "home"),
        ("^r", "check"),
        ("^y", "copy"),
        ("f1", "help"),
        ("^p", "commands"),
        ("^q", "quit"),
        ("f5", "preflight"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+n", "next", "next", show=False),
        Binding("ctrl+r", "check", "check everything", show=False),
        Binding("pageup", "scroll_body(-1)", "up", show=False),
        Binding("pagedown", "scroll_body(1)", "down", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._open: OpenSetup | None = None
        self._at: Standing | None = None
        self._left: Summary | None = None
        # What nobody saw end when the setup was opened: it stays on this page when it has ended.
        self._interrupted: tuple[str, ...] = ()
        self._ticking: Timer | None = None

    # ------------------------------------------------------------ what is shown

    @property
    def open(self) -> OpenSetup:
        """The setup this page welcomes to. It stays this one while it is being closed, which takes its time."""
        if self._open is None:
            setup = self.wizard.setup
            assert setup is not None  # noqa: S101 - opened before this page is shown
            self._open = setup
            self._interrupted = tuple(change.started.data.change for change in setup.session.interrupted())
        return self._open

    @property
    def at(self) -> Standing:
        """Where the setup stands now."""
        if self._at is None:
            self._at = standing(self.open)
        return self._at

    @property
    def left(self) -> Summary:
        """What was left, as it was opened, seen with what is known now."""
        if self._left is None:
            setup, at = self.open, self.at
            events = setup.writer.journal.events
            self._left = summary(setup.guide, at.snapshot, at.status, events, cut=setup.writer.cut)
        return self._left

    def compose(self) -> ComposeResult:
        """Band, steps, body, choices."""
        yield Lines(lambda width: band_lines(band_of(self.open, self.at), width), id="band")
        yield Lines(lambda width: step_strip(steps_of(self.open, self.at), 0, width, "Welcome back"), id="strip")
        with Horizontal(id="main"):
            yield Lines(self._steps, id="steps")
            with Vertical(id="body"):
                with VerticalScroll(id="scroll", can_focus=False):
                    yield Lines(self._problem, id="problem", classes="danger section")
                    yield Lines(self._cut, id="cut", classes="care section")
                    yield Lines(self._summary, id="summary")
                yield Choices(self._choices())
        yield KeyLine(self.KEYS)

    def on_mount(self) -> None:
        """The first choice has the focus; while something is waited for, its seconds move."""
        self._ticking = self.set_interval(1.0, self._tick, pause=not self.open.running())
        self._show()
        self.query_one(Choices).focus_first()

    def setup_changed(self) -> None:
        """Shows what is so now: an earlier helm may have ended, a look may have answered."""
        if self.is_mounted and self.wizard.setup is self.open:
            self._at = self._left = None
            self._show()

    def _show(self) -> None:
        for lines in self.query("#band, #strip, #steps, #problem, #cut, #summary").results(Lines):
            lines.again()
        self.query_one("#problem").display = self.open.not_saved is not None
        self.query_one("#cut").display = bool(self.left.cut)
        if self._ticking is not None:
            (self._ticking.resume if self.open.running() else self._ticking.pause)()
        self.call_later(self._offer)
        self.call_after_refresh(self._hint)

    async def _offer(self) -> None:
        choices = self.query_one(Choices)
        await choices.offer(self._choices())
        # Only choices can be focused here; one that is replaced before it ever got its focus takes the focus with it.
        if self.focused is None or not self.focused.is_attached:
            choices.focus_first()

    def _hint(self) -> None:
        """The key line says how to read on where the body does not fit."""
        scrolls = self.query_one("#scroll", VerticalScroll).max_scroll_y > 0
        keys = (*self.KEYS[:3], ("pgdn", "more"), *self.KEYS[3:]) if scrolls else self.KEYS
        self.query_one(KeyLine).show(keys, "" if self.open.not_saved else "progress is saved")

    def _tick(self) -> None:
        for lines in self.query("#band, #summary").results(Lines):
            lines.again()

    # ------------------------------------------------------------ drawing

    def _steps(self, width: int) -> list[Content]:
        found, owed = steps_of(self.open, self.at), owed_of(self.open, self.at)
        return step_list(found, 0, owed, width, tall=self.tall)

    def _problem(self, width: int) -> list[Content]:
        from screens.dialogs import problem_lines

        problem = self.open.not_saved
        return problem_lines(problem, width, title="not saved", details=LINES_OF_A_TRAP) if problem else []

    def _cut(self, width: int) -> list[Content]:
        """That half a line was cut off, and where it is."""
        if not self.left.cut:
            return []
        said = f"{self.left.cut}, beside the journal. Everything before it is whole."
        lead = join(ink(f"{sign('stale')} ", "$warning bold"), ink("half a line was cut off   ", "$warning bold"))
        first, *more = wrapped(said, max(10, width - lead.cell_length))
        return [join(lead, first), *(join(Content(" " * lead.cell_length), one) for one in more)]

    def _summary(self, width: int) -> list[Content]:
        blank = [Content("")] if self.tall else []
        lines = [heading(width, "Welcome back", "", present())] if self.tall else []
        lines += [*wrapped(self._when_left(), width, indent=1), Content("")]
        sections = list(self._sections())
        column = label_column([one.label for section in sections for one in section.lines], width)
        for section in sections:
            lines += [heading(width, section.title, "", section.right), *blank]
            for one in section.lines:
                lines += drawn(one, width, column)
            lines.append(Content(""))
        return lines[:-1]

    def _when_left(self) -> str:
        left, setup = self.left, self.open
        who = "You" if left.left_by in ("", one_line(setup.writer.actor.user)) else left.left_by
        day = day_of(left.left_at)
        lost = "" if left.cut else " Nothing was lost."
        return f"{who} left {day}, {ago(left.left_at)} ago.{lost}" if day else f"{who} left at an unknown time.{lost}"

    def _sections(self) -> Iterator[Section]:
        left = self.left
        yield Section("Where you left off", when(left.left_off.ts, now()), (said(left.left_off),))
        interrupted = [change for id in self._interrupted if (change := self.at.snapshot.changes.get(id)) is not None]
        if interrupted:
            still = any(change.finished is None for change in interrupted)
            title = "Still running" if still else "Ended meanwhile"
            yield Section(title, "", tuple(self._run(change) for change in interrupted))
        looked = self._looked()
        if left.changed or looked:
            nothing = Said("ok", "nothing", "no proof was lost, no look found anything wrong")
            yield Section("Changed since", looked, tuple(said(one, one.ts) for one in left.changed) or (nothing,))
        if left.owed:
            yield Section("Others owe", "", tuple(self._owed(one) for one in left.owed))
        if left.good:
            yield Section("Still good", "", tuple(said(one, one.ts) for one in left.good))

    def _looked(self) -> str:
        """When this session last looked; that it looks now. Empty before the first look."""
        looks = [work for work in self.open.work.values() if work.kind == LOOKING]
        if busy := sum(work.running for work in looks):
            return f"looking, {busy} of {len(looks)} to answer"
        return f"looked {when(max(work.since for work in looks), now())}" if looks else ""

    def _owed(self, one: Line) -> Said:
        notes = (f"Handed off {when(one.ts, now())}. Every check looks for it.",) if one.ts and self.tall else ()
        return Said(one.state, one.label, one.text, ago(one.ts), notes)

    def _run(self, change: ChangeRecord) -> Said:
        """A change whose end nobody saw: as it is followed, why it can't be, or how it ended."""
        started = change.started.data
        place = ItemStep(started.step, tuple(started.items))
        label, begun = place_name(self.open.guide, place), f"started {when(change.started.ts, now())}"
        if change.finished is not None:
            ended = change.finished.data
            return Said(
                ended.outcome, label, f"{ended.outcome}: {ended.summary}", when(change.finished.ts, now()), (begun,)
            )
        work = self._followed(place)
        if work is None:
            return Said("unknown", label, started.summary, "", (f"{begun}; nobody saw it end. ^r finds out.",))
        if work.problem is not None:
            return Said("could not look", label, started.summary, "", why(work.problem, begun, change))
        if not work.running:
            return Said("unknown", label, started.summary, "", (f"{begun}; waiting for it was stopped. {AGAIN}",))
        told = work.log[-1].text if work.log else "finding out how it stands"
        return Said("running", label, started.summary, f"waited {lasting(work.elapsed())}", (f"{begun}; {told}",))

    def _followed(self, place: ItemStep) -> Work | None:
        work = self.open.work.get(place)
        return work if work is not None and work.kind == RESUMING else None

    def copyable(self) -> str:
        """The summary as text."""
        found = [*self._cut(100), *self._summary(100)]
        return "\n".join(one.plain.rstrip() for one in found).strip("\n")

    # ------------------------------------------------------------ choices

    def _gone(self) -> tuple[ItemStep, ...]:
        """Places whose interrupted change was started where we can't see it."""
        works = (self._followed(place) for place in self.open.work)
        return tuple(one.item_step for one in works if one and one.problem and one.problem.code == ELSEWHERE)

    def _turn(self) -> ItemStep | None:
        """What is most urgent, where that is another place than the one that was left."""
        mine = self.at.whose.mine
        return mine[0].item_step if mine and mine[0].item_step != self.left.place else None

    def _choices(self) -> list[Choice]:
        place, turn = self.left.place, self._turn()
        go_on = f"{'Open' if self.at.whose.finished else 'Go on with'} step {self._number(place)}"
        opens = place_name(self.open.guide, place)
        found = [Choice(GO_ON, go_on, f"{go_on}: opens {opens}; changes nothing.")]
        if turn is not None:
            label = self._turn_label(turn)
            found.append(Choice(TURN, label, f"{label}: {self.at.whose.mine[0].text}."))
        if self._gone():
            line = "It is gone: you looked on that host. Asks first, then reads how it ended."
            found.append(Choice(GONE, "It is gone", line))
        look = Choice(LOOK, "Just look", "Just look: opens step 1 and starts nothing; f2 goes to any step.")
        does = "looks at every step that can be looked at (^r); changes nothing."
        for label in ("Check everything again", "Check all"):
            check = Choice(CHECK, label, f"{label}: {does}")
            if self._fits([*found, check, look]):
                return [*found, check, look]
        return [*found, look]  # ^r stands in the key line

    def _fits(self, choices: Sequence[Choice]) -> bool:
        """Whether the buttons have room beside each other."""
        room = self.app.size.width - (BESIDE if self.wide else MARGINS)
        return sum(len(one.label) + BUTTON for one in choices) <= room

    def _turn_label(self, turn: ItemStep) -> str:
        if turn.step != self.left.place.step:
            return f"Go to step {self._number(turn)}"
        # The same step: only its items tell the two apart.
        return f"Go to {shortened(' '.join(item.partition('/')[2] for item in turn.items), 14)}"

    def _number(self, place: ItemStep) -> str:
        step = self.open.guide.step(place.step)
        return str(step.number) if step else one_line(place.step)

    def on_choices_chosen(self, event: Choices.Chosen) -> None:
        """Goes where the button says."""
        self.action_choose(event.choice)

    def action_choose(self, choice: str) -> None:
        """Does what a choice says."""
        if choice == GO_ON:
            opening.show_step(self.wizard, self.left.place)
        elif choice == TURN:
            opening.show_step(self.wizard, self._turn() or self.left.place)
        elif choice == GONE:
            self.wizard.do(self._say_gone())
        elif choice == CHECK:
            self.action_check()
        elif choice == LOOK:
            opening.show_step(self.wizard, self._first())

    def _first(self) -> ItemStep:
        first = self.open.guide.steps[0].id
        return next((place for place in self.at.status.item_steps if place.step == first), ItemStep(first))

    async def _say_gone(self) -> None:
        from screens.step_actions import say_gone

        for place in self._gone():
            await say_gone(self.wizard, self.open, place)

    def action_next(self) -> None:
        """The first choice."""
        self.action_choose(self._choices()[0].id)

    def action_check(self) -> None:
        """Looks at everything again, by readers only; what nobody saw end is taken up again."""
        self.open.resume_all()
        self.open.look_all()

    def action_back(self) -> None:
        """Home."""
        self.wizard.do(opening.go_home(self.wizard))

    def action_scroll_body(self, by: int) -> None:
        """Scrolls what does not fit."""
        scroll = self.query_one("#scroll", VerticalScroll)
        scroll.scroll_relative(y=by * max(1, scroll.size.height - 2), animate=False)

    def commands(self) -> list[tuple[str, str, str]]:
        """Every choice by name."""
        return [(choice.label, choice.line, f"choose('{choice.id}')") for choice in self._choices()]
