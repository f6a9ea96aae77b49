"""A new setup: its name, its guide, who does what, and where it will point."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Input

from screens import opening
from screens.chrome import Choice, Choices, KeyLine
from screens.dialogs import Choose
from screens.field import FieldModel, FieldRow
from screens.grid import QUIET, STRONG, Lines, heading, ink, line, row, under_value, wrapped
from screens.page import Page
from state.problem import Problem
from wizard import opening as start
from wizard.drafting import Drafted
from wizard.guide import Field
from wizard.guides import DEFAULT, IDS, guide

if TYPE_CHECKING:
    from state.events import EnvironmentSet

CREATE, BACK, CHANGE, RESUME = "create", "back", "change", "resume"
NAME = FieldModel(Field("name", "Name", "setup-name", sample="prod-weu"), None, "empty", "")


class NameRow(FieldRow):
    """The name. Enter creates, as the page says."""

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Goes on to the page, and not to the next widget."""
        event.prevent_default()


class NewPage(Page):
    """Asks what a new setup is called, and shows what it begins with."""

    HELP = "A setup takes one environment through a guide. Give it a name; dev, test and prod are three setups."
    KEYS = (("enter", "create"), ("esc", "back"), ("f5", "preflight"), ("f1", "help"), ("^q", "quit"))
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+n", "create", "create", show=False)]

    def __init__(self) -> None:
        super().__init__()
        self._guide = guide(DEFAULT)
        self._mode = self._guide.modes[0]
        self._taken: frozenset[str] = frozenset()
        self._points: EnvironmentSet | Problem | None = None

    def compose(self) -> ComposeResult:
        """Name, what it follows, what it points to."""
        yield Lines(
            lambda width: [row(width, (ink("New setup", STRONG), 0), right=ink("nothing is made yet", QUIET))],
            id="band",
        )
        with Vertical(id="main"), VerticalScroll(id="scroll", can_focus=False):
            yield Lines(lambda width: [*wrapped(self.HELP, width, QUIET, indent=1), Content("")])
            yield NameRow(NAME, self._draft)
            yield Lines(self._about, id="about")
        yield Choices(self._choices())
        yield KeyLine(self.KEYS)

    def on_mount(self) -> None:
        """The name has the focus."""
        self.query_one(FieldRow).input.focus()
        self.wizard.do(self._read())

    async def _read(self) -> None:
        from wizard.environment import resolve_environment

        stores = self.wizard.places.stores
        self._taken = frozenset(
            name for names in [await asyncio.to_thread(store.names) for store in stores] for name in names
        )
        try:
            self._points = await asyncio.to_thread(resolve_environment, {})
        except Problem as problem:
            self._points = problem
        self.query_one("#about", Lines).again()

    def _choices(self) -> list[Choice]:
        found = [
            Choice(
                CREATE, "Create", "Create: makes the setup's file and opens its first step; nothing else is touched."
            ),
            Choice(BACK, "Back", "Back: makes nothing."),
        ]
        if len(IDS) > 1 or len(self._guide.modes) > 1:
            found.insert(1, Choice(CHANGE, "Change", "Change: another guide, or another mode."))
        return found

    def _draft(self, model: FieldModel, text: str) -> Drafted:
        from state.store import valid_name

        name = text.strip()
        if not name:
            return Drafted("empty", message="1 to 63 of a-z, 0-9 and dash, for example prod-weu")
        if name in self._taken:
            return Drafted("wrong", message="there is a setup of that name: enter offers to resume it")
        try:
            valid_name(name)
        except Problem as problem:
            return Drafted("wrong", message=f"{problem.what} {problem.todo}")
        return Drafted("ok", note="free", normalized=name)

    def _about(self, width: int) -> list[Content]:
        lines = [
            heading(width, "It follows"),
            line(width, "ok", "Guide", (ink(self._guide.title), 0)),
            *under_value(f"{len(self._guide.steps)} steps; {self._guide.source}", width),
            line(width, "ok", "Mode", (ink(self._mode), 0)),
            Content(""),
            heading(width, "It will point to", "f5 looks whether that works; it can be changed there"),
        ]
        points = self._points
        if points is None:
            return [*lines, line(width, "looking", "this machine", (ink("looking"), 0))]
        if isinstance(points, Problem):
            return [*lines, *wrapped(f"{points.what} {points.todo}", width, "$warning", indent=3)]
        for label, value in (
            ("Kubeconfig", points.kubeconfig),
            ("Context", points.kube_context),
            ("helm", points.helm),
        ):
            lines.append(
                line(width, "ok" if value else "not yet", label, (ink(value or "none found; step 7 needs one"), 0))
            )
        return lines

    def on_field_row_committed(self, event: FieldRow.Committed) -> None:
        """Leaving the name commits nothing: Create does."""
        event.stop()

    def on_field_row_drafting(self, event: FieldRow.Drafting) -> None:
        """Nothing is made stale by a name."""
        event.stop()

    def on_field_input_pasted(self, event: object) -> None:
        """A pasted name lands in the line."""
        text = getattr(event, "text", "").strip()
        self.query_one(FieldRow).fill(text.splitlines()[0] if text else "")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter creates."""
        self.action_create()

    def on_choices_chosen(self, event: Choices.Chosen) -> None:
        """Creates, changes, or goes back."""
        if event.choice == CREATE:
            self.action_create()
        elif event.choice == CHANGE:
            self.wizard.do(self._change())
        else:
            self.action_back()

    async def _change(self) -> None:
        chosen = await self.wizard.ask(Choose("Guide", [(one, guide(one).title) for one in IDS], here=self._guide.id))
        if isinstance(chosen, str):
            self._guide = guide(chosen)
            self._mode = self._guide.modes[0]
        if len(self._guide.modes) > 1:
            mode = await self.wizard.ask(Choose("Mode", [(one, one) for one in self._guide.modes], here=self._mode))
            self._mode = mode if isinstance(mode, str) else self._mode
        self.query_one("#about", Lines).again()

    def action_create(self) -> None:
        """Makes the setup, when its name can be one; where there is one already, offers to go on with it."""
        found = self.query_one(FieldRow)
        name = found.input.value.strip()
        if name in self._taken or self._draft(NAME, name).state == "ok":
            self.wizard.do(self._create(name))
        else:
            found.input.focus()

    async def _create(self, name: str) -> None:
        app = self.wizard
        try:
            # Looked at again: Enter may come before the names are read, and others make setups too.
            await asyncio.to_thread(start.new, app.places, name, self._guide.id, self._mode)
        except Problem as problem:
            resume = Choice(RESUME, "Resume it", f"Resume it: opens {name} where it was left.")
            if await app.tell(problem, *((resume,) if problem.code == "exists" else ())) == RESUME:
                await opening.resume(app, name)
            return
        await opening.create(app, name, self._guide.id, self._mode)
