"""The step screen: one generic screen for every step of every guide.

It holds no truth: whatever it shows is made anew from the open setup when that changes. What a key or a button means
becomes an intent of the session, or work of the open setup that goes on when this screen is left.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.events import Paste
from textual.timer import Timer

from screens import sections, step_actions, step_fields, step_items
from screens.band import band_of, owed_of, steps_of
from screens.chrome import Choices, KeyLine, band_lines, step_list, step_strip
from screens.field import LONG_FORM, FieldInput, FieldModel, FieldRow
from screens.grid import Lines
from screens.page import Page
from screens.step_model import CANCEL, NEXT, StepModel, missing_fields, step_model
from screens.tabs import ItemTabs
from state.clock import now
from wizard.drafting import Drafted, drafted
from wizard.impact import impact, impact_sentence
from wizard.listing import Known, offers_of
from wizard.offers import seen_by, together
from wizard.view import item_steps

if TYPE_CHECKING:
    from wizard.guide import ItemStep, Step
    from wizard.open_setup import OpenSetup
    from wizard.view import View

TICK_SECONDS = 0.1
MANY = 6
"""Fields; a longer form folds away what is right."""

SECTIONS = frozenset(
    ("problem", "callout", "warnings", "instructions", "words", "plan", "running", "log-heading", "log", "checks")
)
"""Parts of the body that are hidden while they have nothing to say."""


class StepPage(Page):
    """A step of the open setup, for one of its items at a time."""

    HELP = (
        "One step of the guide, for one item at a time. Fill in the fields; each says at every key what is right so "
        "far. Then choose: do it for me, hand it off, or confirm what was done. Nothing is changed before you said "
        "yes to it."
    )
    KEYS = (
        ("^n", "next"),
        ("esc", "back"),
        ("^r", "check"),
        ("^y", "copy"),
        ("f4", "evidence"),
        ("f1", "help"),
        ("^p", "commands"),
        ("^q", "quit"),
        ("f2", "steps"),
        ("^z", "undo"),
        ("f6", "what to do"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+n", "next", "next", show=False),
        Binding("ctrl+r", "look", "check", show=False),
        Binding("f4", "evidence", "evidence", show=False),
        Binding("f2", "steps", "steps", show=False),
        Binding("f6", "instructions", "what to do", show=False),
        Binding("ctrl+z", "undo", "undo", show=False),
    ]

    def __init__(self, item_step: ItemStep | None = None) -> None:
        super().__init__()
        self._open: OpenSetup | None = None
        self._wanted = item_step
        self._places: dict[str, ItemStep] = {}
        self._model: StepModel | None = None
        self._unfolded: bool | None = None
        self._ticking: Timer | None = None
        self._ticked: object = None
        self._last_open: OpenSetup | None = None
        self._asking = False

    # ------------------------------------------------------------ what is shown

    @property
    def open(self) -> OpenSetup:
        """The open setup; while it is being closed, the one that was."""
        setup = self.wizard.setup or self._last_open
        assert setup is not None  # noqa: S101
        self._last_open = setup
        return setup

    @property
    def model(self) -> StepModel:
        """What is shown now."""
        if self._model is None:
            step, place = self._first_place()
            self._model = step_model(self.open, self.wizard.offers, step, place)
        return self._model

    @property
    def view(self) -> View | None:
        """The values of the shown item's step."""
        place = self.model.item_step
        return self.open.session.view(place) if place is not None else None

    def _first_place(self) -> tuple[Step, ItemStep | None]:
        guide = self.open.guide
        if self._wanted is not None and (step := guide.step(self._wanted.step)) is not None:
            return step, self._place_of(step, self._wanted)
        from wizard.turns import turns

        session = self.open.session
        mine = turns(guide, session.snapshot, session.status()).mine
        first = mine[0].item_step if mine else None
        step = (guide.step(first.step) if first else None) or guide.steps[-1 if mine else 0]
        return step, self._place_of(step, first)

    def _place_of(self, step: Step, wanted: ItemStep | None) -> ItemStep | None:
        """The item to show of a step: the wanted one, the one shown last, else the first that is not done."""
        session = self.open.session
        places = item_steps(self.open.guide, session.snapshot, step)
        for one in (wanted, self._places.get(step.id)):
            if one in places:
                return one
        found = session.status().item_steps
        return next((place for place in places if not found[place].done), places[0] if places else None)

    def compose(self) -> ComposeResult:
        """Every section once; an empty one is hidden."""
        yield Lines(lambda width: band_lines(band_of(self.open), width), id="band")
        yield Lines(self._draw_strip, id="strip")
        with Horizontal(id="main"):
            yield Lines(self._draw_steps, id="steps")
            with Vertical(id="body"):
                with VerticalScroll(id="scroll", can_focus=False):
                    yield Lines(lambda width: sections.title(self.model, width), classes="title tall")
                    yield ItemTabs()
                    yield self._section(sections.problem, "problem", "danger section")
                    yield self._section(sections.callout, "callout", "danger section")
                    yield self._section(sections.warnings, "warnings", "care section")
                    yield Lines(self._draw_instructions, id="instructions", classes="section")
                    yield Vertical(*self._rows(), id="fields")
                    yield self._section(sections.words, "words")
                    yield self._section(sections.plan, "plan")
                    yield self._section(sections.running, "running")
                    yield self._section(sections.log_heading, "log-heading", "")
                    yield self._section(sections.log, "log", "log")
                    yield self._section(sections.checks, "checks")
                yield Choices(self.model.choices)
        yield KeyLine(self.KEYS)

    def _section(self, draw: Callable[..., list[Content]], name: str, classes: str = "section") -> Lines:
        return Lines(lambda width: draw(self.model, width, tall=self.tall), id=name, classes=classes)

    def _rows(self) -> list[FieldRow]:
        drafts = self.open.drafts
        return [FieldRow(field, self._draft, self._listing, text=drafts.get(field.key)) for field in self.model.fields]

    def _draft(self, field: FieldModel, text: str) -> Drafted:
        view = self._view_of(field)
        offered = self.wizard.offers.of(view, field.field, field.owner) if self.wizard.offers is not None else ()
        if field.field.lists is not None:
            listed = offers_of(self.open.lists.of(view, field.field), view, field.field, field.owner, text)
            offered = together(offered, listed)
        return drafted(view, field.field, field.owner, text, offered)

    def _view_of(self, field: FieldModel) -> View:
        assert field.item_step is not None  # noqa: S101 - step_model says it of every field
        return seen_by(self.open.session.view(field.item_step), field.owner)

    def _listing(self, field: FieldModel) -> Known | None:
        return self.open.lists.of(self._view_of(field), field.field)

    def _draw_strip(self, width: int) -> list[Content]:
        return step_strip(steps_of(self.open), self.model.step.number, width)

    def _draw_steps(self, width: int) -> list[Content]:
        return step_list(steps_of(self.open), self.model.step.number, owed_of(self.open), width, tall=self.tall)

    @property
    def unfolded(self) -> bool:
        """Whether the instructions are shown in full: as chosen, else where there is room and something to do."""
        if self._unfolded is not None:
            return self._unfolded
        done = self.model.status is not None and self.model.status.done
        return not done and (self.tall or len(self.model.fields) < 3)

    def _draw_instructions(self, width: int) -> list[Content]:
        return sections.instructions(self.model, width, unfolded=self.unfolded, chosen=bool(self._unfolded))

    # ------------------------------------------------------------ changes

    async def on_mount(self) -> None:
        """Focus on the first field that is not right, else on the first choice."""
        self._ticking = self.set_interval(TICK_SECONDS, self._tick, pause=True)
        self._refresh()
        await self._offer()
        self.focus_first()

    def setup_changed(self) -> None:
        """Shows what is so now."""
        if self.wizard.setup is None or not self.is_mounted:
            return
        model = self.model
        if model.item_step is None or model.item_step not in self.open.session.status().item_steps:
            self._show(model.step, self._place_of(model.step, model.item_step))
            return
        self._model = step_model(self.open, self.wizard.offers, model.step, model.item_step)
        if self._model.problem is not None and self._model.problem is not model.problem:
            self.query_one("#scroll", VerticalScroll).scroll_home(animate=False)
        fields = {(field.item_step, field.key): field for field in self._model.fields}
        for row in self.query(FieldRow):
            # Rows of the place that was left may still be there.
            if field := fields.get((row.model.item_step, row.model.key)):
                row.show(field)
        self._refresh()
        # What the list of the field that one is in depends on may be known just now.
        if (here := self._focused_row()) is not None and here.model.field.lists is not None:
            self._read_list(here)

    def list_changed(self) -> None:
        """There is more of a list: the field one is in offers it. Without a sign-in there is none: that is offered."""
        if not self.is_mounted or self.wizard.setup is None:
            return
        if (view := self.view) is not None and self.open.lists.unsigned(view) != self.model.asks_to_sign_in:
            self.setup_changed()
        row = self._focused_row()
        if row is not None and row.model.field.lists is not None:
            row.listed()

    def _refresh(self) -> None:
        model = self.model
        self.query_one(ItemTabs).display = bool(model.step.per)
        self.query_one(ItemTabs).show(model.tabs, model.item_step, model.adds)
        busy = self.model.busy
        fields = self.query_one("#fields")
        fields.display = bool(model.fields) and not busy
        fields.set_class(len(model.fields) > MANY, LONG_FORM)
        for lines in self.query(Lines):
            if isinstance(lines, FieldRow) or lines.id in ("band", "strip", "steps"):
                lines.again()
            elif lines.id in SECTIONS:
                lines.again()
                lines.display = bool(lines.built())
        for title in self.query(".title").results(Lines):
            title.again()
        self.call_later(self._offer)
        if self._ticking is not None:
            going = self.open.round is not None and self.open.round.running
            (self._ticking.resume if self.open.running() or going or _looking(model) else self._ticking.pause)()

    async def _offer(self) -> None:
        if not self.query(Choices):
            return  # this page was left while this was on its way
        choices = self.query_one(Choices)
        had = self.focused is not None and choices in self.focused.ancestors
        await choices.offer(self.model.choices)
        if had and (self.focused is None or not self.focused.is_attached):
            choices.focus_first()

    def _tick(self) -> None:
        """The counter moves, and what helm says arrives: a few lines are drawn anew, and nothing else."""
        model = self.model
        work = model.work
        seen = (work.lines, int(work.elapsed()), len(work.phases), work.running) if work is not None else None
        looked = self.open.round.done if self.open.round is not None else 0
        shown = (seen, looked, tuple(int(one.elapsed()) for one in self.open.running()))
        if shown == self._ticked or self.wizard.resting:
            return
        self._ticked = shown
        with self.wizard.drawing():
            self.query_one("#band", Lines).again()
            for name in ("#running", "#log-heading", "#log") if self.model.shows_work else ():
                lines = self.query_one(name, Lines)
                lines.again()
                lines.display = bool(lines.built())

    def on_screen_resume(self) -> None:
        """A sheet was left. What had the focus below it may be gone by then: it is never nowhere."""
        self.call_after_refresh(self._keep_focus)

    def _keep_focus(self) -> None:
        if self.is_mounted and (self.focused is None or not self.focused.is_attached):
            self.focus_first()

    def focus_first(self) -> None:
        """The first field that is not right, else the first choice; never Cancel."""
        wrong = {model.key for model in missing_fields(self.model.fields, acting=self.model.step.action is not None)}
        row = next((row for row in self.query(FieldRow) if row.model.key in wrong), None)
        if row is not None and not self.model.busy:
            self.set_focus(row.input)
        else:
            for choices in self.query(Choices):  # none while this page is being left
                choices.focus_first()

    def focus_field(self, field: FieldModel) -> None:
        """Moves to a field: where a choice needs something first."""
        row = next((row for row in self.query(FieldRow) if row.model.key == field.key), None)
        if row is not None:
            row.input.focus()

    def settle(self, key: tuple[str | None, str], value: str) -> None:
        """A field was changed from elsewhere: what is committed is shown, whatever was being typed."""
        self.open.drafts.pop(key, None)
        for row in self.query(FieldRow):
            if row.model.key == key:
                row.settled(value)

    def take_back(self, keys: Collection[tuple[str | None, str]]) -> bool:
        """Forgets what is being typed into these fields; False when that was nothing."""
        found = False
        for row in self.query(FieldRow):
            if row.model.key in keys and row.take_back():
                found = True
                self.open.drafts.pop(row.model.key, None)
        return found

    def unfinished(self) -> bool:
        """Moves to the first field whose text could not be taken; False when there is none."""
        row = next((row for row in self.query(FieldRow) if row.dirty and row.state not in ("ok", "empty")), None)
        if row is not None:
            row.input.focus()
        return row is not None

    def go(self, item_step: ItemStep | None, step: Step) -> None:
        """Shows another step, or another item; what was typed here is committed or kept as a draft."""
        self._leave_fields()
        self._show(step, self._place_of(step, item_step))

    def _show(self, step: Step, place: ItemStep | None) -> None:
        if place is not None:
            self._places[step.id] = place
        self._unfolded = None if self._model is None or step != self._model.step else self._unfolded
        self._model = step_model(self.open, self.wizard.offers, step, place)
        self.call_later(self._rebuild)

    async def _rebuild(self, *, at_tabs: bool = False) -> None:
        if not self.query("#fields"):
            return  # this page was left while this was on its way
        fields = self.query_one("#fields", Vertical)
        with self.app.batch_update():
            await fields.remove_children()
            await fields.mount_all(self._rows())
            self._refresh()
            await self._offer()
            self.query_one("#scroll", VerticalScroll).scroll_home(animate=False)
            # Before anything is drawn: what is typed at the first sight of a field goes into it.
            if at_tabs:
                self.set_focus(self.query_one(ItemTabs))
            else:
                self.focus_first()

    def keep_typed(self) -> None:
        """Fields are left, as by Next."""
        self._leave_fields()

    def _leave_fields(self) -> None:
        for row in self.query(FieldRow):
            # Not by a message: it would come when the row is gone.
            if row.dirty:
                self._commit(row, row.model, row.input.value, row.source)

    def _commit(self, row: FieldRow, model: FieldModel, text: str, source: str) -> None:
        self._do(lambda: step_fields.commit(self.wizard, row, model, text, source))

    # ------------------------------------------------------------ what takes a while

    def _do(self, work: Callable[[], Awaitable[None]]) -> None:
        """Carries out an intent, unless the setup is being closed."""
        if self.wizard.setup is not None:
            self.wizard.do(step_actions.saved(self.wizard, work))

    def _ask(self, work: Callable[[], Awaitable[None]]) -> None:
        """Carries out what may ask; a second press while the first one is being answered would ask twice."""
        if not self._asking and self.wizard.setup is not None:
            self._asking = True
            self._do(lambda: self._asked(work))

    async def _asked(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        finally:
            self._asking = False

    # ------------------------------------------------------------ fields

    def on_field_row_committed(self, event: FieldRow.Committed) -> None:
        """A draft is finished: the session takes it, or the row says why not."""
        event.stop()
        self._commit(event.row, event.model, event.text, event.source)

    def on_field_row_drafting(self, event: FieldRow.Drafting) -> None:
        """Says what the draft would make stale, before it is committed."""
        event.stop()
        row, session = event.row, self.open.session
        if row.model.field.secret or not row.dirty or row.state not in ("ok", "empty"):
            row.warn("")
            return
        found = self._draft(row.model, row.input.value)
        owner, key = row.model.key
        lost = impact(self.open.guide, session.snapshot, owner, key, found.normalized or None, now())
        row.warn(f"{impact_sentence(self.open.guide, lost)}. Enter keeps it, esc takes it back" if lost else "")

    def on_field_row_entered(self, event: FieldRow.Entered) -> None:
        """The list of the field one is in is read in the background."""
        event.stop()
        self._read_list(event.row)

    def _read_list(self, row: FieldRow) -> None:
        if self.wizard.setup is not None and row.is_attached:
            self.open.lists.ask(self._view_of(row.model), row.model.field)

    def on_field_row_wanted(self, event: FieldRow.Wanted) -> None:
        """A file, or a row of a list, is to be picked."""
        event.stop()
        self._ask(lambda: step_fields.pick(self.wizard, event.row))

    def on_field_row_secret_taken(self, event: FieldRow.SecretTaken) -> None:
        """The sandbox's portal gives its token."""
        event.stop()
        self._do(lambda: step_fields.take_secret(self.wizard, event.row))

    def on_field_input_pasted(self, event: FieldInput.Pasted) -> None:
        """Pasted text: the portal's commands fill the form, anything else goes into the field."""
        event.stop()
        row = next((row for row in self.query(FieldRow) if row.input is event.line), None)
        if row is not None:
            self._do(lambda: step_fields.paste(self.wizard, self, event.text, row))

    def on_paste(self, event: Paste) -> None:
        """Text that is pasted beside a field: only the portal's commands mean something there."""
        event.stop()
        self._do(lambda: step_fields.paste(self.wizard, self, event.text, None))

    # ------------------------------------------------------------ items

    def on_item_tabs_opened(self, event: ItemTabs.Opened) -> None:
        """Another item of this step."""
        event.stop()
        self._leave_fields()
        self._places[self.model.step.id] = event.item_step
        self._model = step_model(self.open, self.wizard.offers, self.model.step, event.item_step)
        self.call_later(self._rebuild, at_tabs=True)

    def on_item_tabs_listed(self, event: ItemTabs.Listed) -> None:
        """All items, to pick one."""
        event.stop()
        self._ask(lambda: step_items.pick_item(self.wizard, self))

    def on_item_tabs_added(self, event: ItemTabs.Added) -> None:
        """One more item."""
        event.stop()
        self._ask(lambda: step_items.add_item(self.wizard, self))

    # ------------------------------------------------------------ choices and keys

    def on_choices_chosen(self, event: Choices.Chosen) -> None:
        """A button: what it means is in step_actions."""
        event.stop()
        if event.choice == NEXT:
            self.action_next()
        elif event.choice == CANCEL and self.model.item_step is not None:
            self.open.cancel(self.model.item_step)
        else:
            self._ask(lambda: step_actions.chosen(self.wizard, self, event.choice))

    def action_next(self) -> None:
        """The next step, done or not: looking is always possible."""
        self._turn(1)

    def _turn(self, by: int) -> None:
        steps = self.open.guide.steps
        at = steps.index(self.model.step) + by
        if 0 <= at < len(steps):
            self.go(None, steps[at])
        elif at < 0:
            self._leave_fields()
            self._ask(lambda: step_actions.home(self.wizard))
        else:
            self.notify("This is the last step. f2 lists them all.", markup=False)

    def action_back(self) -> None:
        """Takes a draft back, else goes to the step before; from the first one home."""
        row = self._focused_row()
        if row is None or not self.take_back([row.model.key]):
            self._turn(-1)

    def _focused_row(self) -> FieldRow | None:
        return next((row for row in self.query(FieldRow) if row.input.has_focus), None)

    def action_look(self) -> None:
        """Looks again at this step; nothing changes by it."""
        self._leave_fields()
        if self.model.item_step is not None and self.model.step.checks:
            self.open.look(self.model.item_step)
        else:
            self.notify("Nothing can be looked at here: a person confirms this step.", markup=False)

    def action_steps(self) -> None:
        """All steps, to go to one."""
        self._ask(lambda: step_actions.pick_step(self.wizard, self))

    def action_instructions(self) -> None:
        """Folds the instructions away, or shows them."""
        self._unfolded = not self.unfolded
        self._refresh()

    def action_undo(self) -> None:
        """Takes back a draft, else the last answer."""
        row = self._focused_row()
        if row is not None and self.take_back([row.model.key]):
            return
        dirty = [row for row in self.query(FieldRow) if row.dirty]
        if dirty:
            dirty[-1].input.focus()
            self.take_back([dirty[-1].model.key])
            return
        self._do(lambda: step_fields.undo(self.wizard, self))

    def action_evidence(self) -> None:
        """What was seen, with its answers and their SHA-256."""
        from screens.evidence import EvidencePage

        if self.model.item_step is not None:
            self.app.push_screen(EvidencePage(self.model.item_step))

    def copyable(self) -> str:
        """The focused field's value; else the commands of the plan, else the words."""
        row = self._focused_row()
        if row is not None and not row.model.field.secret:
            return row.input.value or row.model.value
        model = self.model
        if model.problem is not None:
            from screens.dialogs import problem_text

            return problem_text(model.problem)
        if model.planned is not None:
            return "\n".join(model.planned.plan.commands)
        return model.words.text if model.words else "\n".join(model.step.instructions)

    def commands(self) -> list[tuple[str, str, str]]:
        """Every action of the step by name."""
        found = [
            ("Next step", "shows the step after this one (^n)", "next"),
            ("Step before", "shows the step before this one (esc)", "turn_back"),
            ("Go to a step", "lists all steps (f2)", "steps"),
            ("Check", "looks again at this step; changes nothing (^r)", "look"),
            ("Check everything", "looks again at every step", "look_all"),
            ("Evidence", "what was seen, by whom and when (f4)", "evidence"),
            ("What to do", "shows or folds the instructions (f6)", "instructions"),
            ("Undo", "takes back the last answer (^z)", "undo"),
            ("Copy", "copies the focused value, or what is shown (^y)", "copy"),
            ("Home", "the list of setups", "home"),
            ("Review this setup", "timeline and evidence, read-only", "review"),
        ]
        if self.open.round is not None and self.open.round.running:
            found.append(("Stop checking", "ends the looks under way; what they found is kept", "stop_looking"))
        found += [(choice.label, choice.line, f"choose('{choice.id}')") for choice in self.model.choices]
        found += step_items.item_commands(self)
        return found

    def action_choose(self, choice: str) -> None:
        """A choice by name."""
        self.post_message(Choices.Chosen(choice))

    def action_turn_back(self) -> None:
        """The step before."""
        self._turn(-1)

    def action_look_all(self) -> None:
        """Looks at every step that can be looked at."""
        self.open.look_all()

    def action_stop_looking(self) -> None:
        """Ends the round of looks under way."""
        self._do(self.open.stop_looking)

    def action_home(self) -> None:
        """The list of setups."""
        self._leave_fields()
        self._ask(lambda: step_actions.home(self.wizard))

    def action_review(self) -> None:
        """This setup, read-only."""
        self._ask(lambda: step_actions.review(self.wizard))

    def action_items(self, what: str) -> None:
        """Adds, links or removes items."""
        self._ask(lambda: step_items.change_items(self.wizard, self, what))


def _looking(model: StepModel) -> bool:
    return model.work is not None and model.work.running
