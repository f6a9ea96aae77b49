"""The app: opens what was asked for, carries intents to the open setup, and tells the screens when it changed.

The first frame is drawn before anything but Textual is imported; the rest comes after it (DESIGN.md section 8).
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import App, ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.command import CommandPalette
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from screens.theme import THEMES, first_theme
from state.problem import EXIT_INTERRUPTED

if TYPE_CHECKING:
    from screens.page import Page, Sheet
    from state.problem import Problem
    from wizard.offers import Offers
    from wizard.open_setup import OpenSetup
    from wizard.opening import Start
    from wizard.places import Places
    from wizard.rehearsal import Serving


TERMINAL_SECONDS = 2.0
"""How often it is looked whether the terminal is still there."""

NOTE_SECONDS = 15.0
"""How long a note on something that is left stays: it has more to say than a word, and may lie on the buttons."""

SLOW, REST = 0.05, 3.0
"""Seconds from which on drawing a change is slow; then so many times as long passes before the next one is drawn."""


class Skeleton(Screen[None]):
    """The first frame: the product's name and what is being opened, until the rest is loaded."""

    def __init__(self, opening: str) -> None:
        super().__init__(id="skeleton")
        self._opening = opening

    def compose(self) -> ComposeResult:
        """One band and one line."""
        yield Static(Content.styled(" PrivateLink Wizard", "$foreground bold"), id="band")
        yield Static(Content.styled(f" {self._opening}", "$quiet"))


class WizardApp(App[int]):
    """The screens of PrivateLink Wizard over one open setup at a time."""

    TITLE = "PrivateLink Wizard"
    CSS_PATH = "style.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", "quit", show=False, priority=True),
        Binding("f1", "help", "help", show=False, priority=True),
        Binding("f5", "preflight", "preflight", show=False),
        Binding("ctrl+c", "interrupt", "copy", show=False),
    ]

    def __init__(self, start: Start, places: Places) -> None:
        # NO_COLOR is obeyed to the letter when ANSI is chosen at construction; later it only turns colours to grey.
        super().__init__(ansi_color=True if os.environ.get("NO_COLOR") is not None else None)
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = first_theme()
        self.start = start
        self.places = places
        self.setup: OpenSetup | None = None
        self.offers: Offers | None = None
        self.serving: Serving | None = None
        self.crash: Exception | None = None
        self.farewell: list[str] = []
        self.closing = False
        self._change_due = False
        self._shown_until = 0.0
        self._list_due = False

    def get_default_screen(self) -> Screen[Any]:
        """The first frame."""
        return Skeleton(self.start.in_words)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Our own variables, so that the style sheet loads whatever theme is chosen."""
        return THEMES[0].variables

    # ------------------------------------------------------------ begin

    def on_ready(self) -> None:
        """The first frame is drawn; now the rest is imported and opened."""
        self._listen_for_the_end()
        self.do(self._begin())

    def _listen_for_the_end(self) -> None:
        """A lost connection or a `kill` ends the screens in order: what is saved is saved, and helm goes on alone."""
        if self.is_headless:
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, lambda: self._leave(self._end()))
        # Not every terminal says so when it goes; without this the program would go on for nobody.
        self.set_interval(TERMINAL_SECONDS, self._notice_the_end)

    def _notice_the_end(self) -> None:
        from wizard.opening import terminal_gone

        if terminal_gone():
            self._leave(self._end())

    async def _end(self) -> None:
        from screens.opening import close
        from wizard.opening import terminal_gone

        await close(self, leave_running=True)
        if terminal_gone():
            self.end_serving()
            # Textual would wait for ever to draw the end on a terminal that nobody has. All that is saved is saved.
            os._exit(EXIT_INTERRUPTED)
        self.exit(EXIT_INTERRUPTED)

    async def _begin(self) -> None:
        from screens.opening import begin

        await begin(self, self.start)
        # What is loaded by now stays; looking through it for garbage would hold up a key for a tenth of a second.
        self.call_after_refresh(gc.freeze)

    # ------------------------------------------------------------ work of the app

    def do(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs an intent; what goes wrong is shown as a note, and the app goes on."""
        self.run_worker(self._told(work), exit_on_error=False, group="intents")

    async def _told(self, work: Coroutine[Any, Any, None]) -> None:
        from state.problem import Problem

        try:
            await work
        except Problem as problem:
            await self.tell(problem)
        except Exception as error:  # noqa: BLE001 - shown as a crash would be, without taking the setup down
            await self.tell(self.unknown(error))

    async def ask(self, sheet: Sheet) -> Any:
        """Shows a sheet and returns its answer; None when it was left. Only within `do`."""
        return await self.push_screen_wait(sheet)

    async def tell(self, problem: Problem, *choices: Any) -> Any:
        """Shows a problem and returns the chosen way on. Only within `do`."""
        from screens.dialogs import Note

        return await self.ask(Note(problem, choices))

    def unknown(self, error: Exception) -> Problem:
        """An error that nobody foresaw, in words; outside of a review its frames go to a private log."""
        from state.problem import Problem
        from state.secrets import SecretGuard
        from state.store import log_unknown_error
        from wizard.secret import known_spellings

        guard = SecretGuard()
        guard.hold(*known_spellings())
        try:
            where = "" if self.read_only else str(log_unknown_error(self.places.real.state_dir, error, guard))
        except (OSError, Problem):
            where = ""
        return Problem(
            "internal",
            f"The program met something it does not know: {type(error).__name__}.",
            means="What was saved before is saved.",
            todo=f"Report it with {where}." if where else "Report it; its log could not be written.",
        )

    def _fatal_error(self) -> None:
        """Textual would print a traceback with its locals, which may hold a secret: the command line logs it."""
        error = sys.exc_info()[1]
        self.crash = error if isinstance(error, Exception) else self.crash
        self._close_messages_no_wait()

    # ------------------------------------------------------------ what changed

    def hold(self, setup: OpenSetup | None) -> None:
        """Makes a setup the open one; its changes reach the screens from now on."""
        self.setup = setup
        if setup is not None:
            setup.on_change = self.changed
            setup.lists.on_change = self.listed
            setup.on_note = self._note
            for note in setup.notes:  # what came before anybody looked
                self._note(note)

    def _note(self, text: str) -> None:
        from wizard.text import one_line

        if self.is_running:
            self.notify(one_line(text), severity="warning", timeout=NOTE_SECONDS, markup=False)

    def listed(self) -> None:
        """There is more of a list; what else is shown is as it was, and drawing it again would hold up a key."""
        if not self._list_due and self.is_running:
            self._list_due = True
            self.call_later(self._show_list)

    def _show_list(self) -> None:
        from screens.page import Page, Sheet

        self._list_due = False
        for screen in self.screen_stack:
            if isinstance(screen, Page | Sheet) and screen.is_attached:
                screen.list_changed()

    def changed(self) -> None:
        """Something worth showing changed; several changes at once are shown once."""
        if not self._change_due and self.is_running:
            self._change_due = True
            if self.resting:
                self.set_timer(self.resting, self._show_change)
            else:
                self.call_later(self._show_change)

    def _show_change(self) -> None:
        from screens.page import Page

        self._change_due = False
        with self.drawing():
            for screen in self.screen_stack:
                if isinstance(screen, Page) and screen.is_attached:
                    screen.setup_changed()

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """What is drawn because something changed. Of hundreds of items that takes its time: then it rests, and keys
        come in between."""
        begun = time.monotonic()
        yield
        if (took := time.monotonic() - begun) > SLOW:
            self._shown_until = begun + took * (1 + REST)

    @property
    def resting(self) -> float:
        """Seconds before the next change is drawn."""
        return max(0.0, self._shown_until - time.monotonic())

    @property
    def opened(self) -> OpenSetup:
        """The open setup, for what is reached from its own screens only."""
        assert self.setup is not None  # noqa: S101
        return self.setup

    @property
    def read_only(self) -> bool:
        """Whether a review is shown, or being opened: nothing reached from it may write, start or connect."""
        from screens.page import Page
        from wizard.opening import Review

        shown = any(isinstance(screen, Page) and screen.READ_ONLY for screen in self.screen_stack)
        return shown or isinstance(self.start, Review)

    def end_serving(self) -> None:
        """Ends the sandbox's servers, where some run. They outlive a setup that is left for home, not the screens."""
        serving, self.serving = self.serving, None
        if serving is not None:
            serving.close()

    # ------------------------------------------------------------ going about

    def show(self, page: Page) -> None:
        """Shows a page in place of the current one."""
        self.switch_screen(page)

    def back(self) -> None:
        """Leaves the current page; from the first one, asks whether to quit."""
        if len(self.screen_stack) > 2:
            self.pop_screen()
        else:
            self._leave(self._quit())

    def action_help(self) -> None:
        """What this screen is for, its keys and the glyphs."""
        from screens.help import HelpPage
        from screens.page import Page

        page = next((one for one in reversed(self.screen_stack) if isinstance(one, Page)), None)
        if isinstance(self.screen, HelpPage):
            self.back()
        elif page is not None and not isinstance(page, HelpPage):
            self.push_screen(HelpPage(page))

    def action_command_palette(self) -> None:
        """Every action by name; a palette that lies below another screen is not opened a second time."""
        from screens.palette import Palette

        # Textual looks at the top screen only, and gives its palette an id: one that comes before the last one is
        # quite gone would end the app.
        if not any(isinstance(one, CommandPalette) for one in self.screen_stack):
            self.push_screen(Palette())

    def action_preflight(self) -> None:
        """Looks whether this machine can do what a setup asks."""
        from screens.opening import preflight

        if self.read_only:
            self.notify("A review looks at nothing but the journal.", markup=False)
        else:
            self.do(preflight(self))

    async def action_quit(self) -> None:
        """Asks when something runs, else ends."""
        self._leave(self._quit())

    def action_interrupt(self) -> None:
        """^c copies a selection and never ends the program: that would be too near to copying."""
        selection = self.screen.get_selected_text()
        if selection:
            self.copy(selection)
        else:
            self.notify("^q quits.", markup=False)

    def _leave(self, closing: Coroutine[Any, Any, None]) -> None:
        """Closes the setup; what is being typed is saved first, as it is when a field is left."""
        from screens.page import Page

        for screen in self.screen_stack:
            if isinstance(screen, Page):
                screen.keep_typed()
        self.do(closing)

    async def _quit(self) -> None:
        from screens.opening import leave

        if await leave(self, "Quit"):
            self.exit(0)

    # ------------------------------------------------------------ copying

    def copy(self, text: str, *, native: bool = True) -> None:
        """Sends a text to the clipboard and shows it, to be selected by hand where that did not work.

        `native` False starts no program: review must not.
        """
        self.do(self._copy(text, native=native))

    async def _copy(self, text: str, *, native: bool) -> None:
        from screens.dialogs import CopySheet

        tool = None
        if native and not self.read_only:
            from wizard.adapters.clipboard import copy

            tool = await copy(text)
        if tool is None:
            self.copy_to_clipboard(text)
        sent = f"Sent to {tool}." if tool else "Sent to the terminal's clipboard; not every terminal takes it."
        await self.ask(CopySheet(text, sent))

    # ------------------------------------------------------------ palette

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Every action by name. Textual's own, such as a screenshot that writes a file, are not offered."""
        from screens.page import Page

        if isinstance(screen, Page):
            for title, does, action in screen.commands():
                yield SystemCommand(title, does, self._caller(screen, action))
        yield SystemCommand("Help", "what this screen is for, its keys and the glyphs (f1)", self.action_help)
        if not self.read_only:
            yield SystemCommand("Preflight", "can this machine do what a setup asks? (f5)", self.action_preflight)
        for theme in THEMES:
            if theme.name != self.theme:
                yield SystemCommand(f"Colours: {theme.name}", "changes the colours", self._theming(theme.name))
        yield SystemCommand("Quit", "asks first when something runs (^q)", lambda: self._leave(self._quit()))

    def _caller(self, screen: Screen[Any], action: str) -> Callable[[], None]:
        def call() -> None:
            self.do(self._act(screen, action))

        return call

    async def _act(self, screen: Screen[Any], action: str) -> None:
        await screen.run_action(action)

    def _theming(self, name: str) -> Callable[[], None]:
        def choose() -> None:
            self.theme = name

        return choose


def run_app(start: Start, places: Places) -> int:
    """Shows the screens until they are left; returns the exit code. What nobody foresaw is raised, not printed."""
    app = WizardApp(start, places)
    try:
        code = app.run()
    finally:
        app.end_serving()
        for line in app.farewell:
            from wizard.output import say_line

            say_line(line)
    if app.crash is not None:
        raise app.crash
    return code or 0
