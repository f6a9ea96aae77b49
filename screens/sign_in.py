"""Signing in to Azure on the screen: what to do, how long it has been waited for, and who it was in the end.

The sign-in itself belongs to the open setup, and what had stopped for want of it is taken up there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content

from screens.chrome import Choice, Choices
from screens.dialogs import Confirm, problem_lines
from screens.grid import LABEL, PLAIN, QUIET, STRONG, Lines, ink, line, pieces, under_value, wrapped
from screens.page import Sheet
from screens.times import lasting
from wizard.sign_in import BROWSER, CLI, CLOUDS, DEFAULT, DEVICE_CODE, MANAGED, SigningIn, label_of, login_commands
from wizard.text import clean

if TYPE_CHECKING:
    from screens.app import WizardApp

AGAIN, BACK, COPY_CODE, COPY_PAGE, GO_ON = "again", "back", "copy-code", "copy-page", "go-on"
TICK = 0.25
"""Seconds between two looks at how far it is."""

_ASKING = {
    DEVICE_CODE: "asking Microsoft for a code",
    BROWSER: "a browser opens on this machine: sign in there",
    CLI: "asking the Azure CLI as whom it is signed in",
    DEFAULT: "trying one way after the other",
    MANAGED: "asking the sandbox, which knows one account",
}


async def sign_in(app: WizardApp) -> bool:
    """Signs in to the open setup's Azure in its way; True when the right one is signed in. Only within `do`."""
    setup = app.opened
    recorded = setup.session.snapshot.environment
    where = recorded.data if recorded is not None else None
    if where is not None and not where.sandbox and where.sign_in in (CLI, DEFAULT):
        # Why a sign-in is wanted is not known here: az may stand in another cloud.
        commands = login_commands(where.cloud, where.tenant_id, elsewhere=True)
        if await app.ask(_elsewhere(where.sign_in, commands)) != AGAIN:
            return False
    signing = setup.sign_in()
    await app.ask(SignInSheet(signing))
    if signing.running:
        await setup.stop_signing_in()
    return signing.good


def _elsewhere(way: str, commands: tuple[str, ...]) -> Confirm:
    """What to run in another terminal: the sign-in is taken from the Azure CLI there."""
    begin = "The sign-in is taken from the Azure CLI on this machine."
    if way == DEFAULT:
        begin = "The sign-in is taken from the first that has one: variables, managed identities, tools such as az."
    return Confirm(
        f"Sign in to Azure by {label_of(way)}",
        [
            begin,
            "In another terminal:",
            "",
            *(f"$ {command}" for command in commands),
            "",
            ("Preflight (f5), Azure: another way to sign in, another cloud or tenant.", QUIET),
        ],
        [
            Choice(AGAIN, "Look again", "Look again: you have signed in there; asks as whom, and goes on."),
            Choice(BACK, "Back", "Back: nothing is changed."),
        ],
    )


class SignInSheet(Sheet):
    """A sign-in while it goes on, and how it ended. Left while it goes on, it is cancelled by who asked."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+y", "copy", "copy", show=False)]

    def __init__(self, signing: SigningIn) -> None:
        super().__init__()
        self._signing = signing
        self._drawn: object = None

    def compose(self) -> ComposeResult:
        """Title, what to do, choices."""
        with Vertical(id="sheet"):
            yield Lines(lambda width: [*wrapped(self._title(), width, STRONG), Content("")])
            with VerticalScroll(can_focus=False):
                yield Lines(self._text, id="signing")
            yield Choices(self._choices())

    def on_mount(self) -> None:
        """The first choice has the focus; from now on the counter moves."""
        self.query_one(Choices).focus_first()
        self.set_interval(TICK, self._tick)

    def _title(self) -> str:
        signing = self._signing
        if signing.way == MANAGED:
            return "Sign in to the sandbox's Azure"
        return f"Sign in to Azure by {label_of(signing.way)}, cloud {CLOUDS.get(signing.cloud, signing.cloud)}"

    async def _tick(self) -> None:
        signing = self._signing
        state = (int(signing.elapsed()), signing.prompt, signing.running)
        if state == self._drawn or not self.is_attached:
            return
        self._drawn = state
        for lines in self.query("#signing").results(Lines):
            lines.again()
        for choices in self.query(Choices):
            had = self.focused is not None
            await choices.offer(self._choices())
            if not had or self.focused is None or not self.focused.is_attached:
                choices.focus_first()

    # ------------------------------------------------------------ what is shown

    def _text(self, width: int) -> list[Content]:
        signing = self._signing
        if signing.running:
            return [*self._todo(width), Content("")]
        lines: list[Content] = []
        if signing.identity is not None:
            state = "ok" if signing.good else "wrong"
            lines += [
                line(width, state, "signed in as", (ink(signing.identity.name or "an account without a name"), 0)),
                line(width, "", "tenant", (ink(signing.identity.tenant_id), 0)),
                line(width, "", "object id", (ink(signing.identity.object_id), 0)),
            ]
        if signing.problem is not None:
            lines += problem_lines(signing.problem, width)
        elif signing.good:
            lines += under_value("What had stopped for want of a sign-in goes on.", width)
        return [*lines, Content("")]

    def _todo(self, width: int) -> list[Content]:
        signing, prompt = self._signing, self._signing.prompt
        waited = ink(lasting(signing.elapsed()), QUIET)
        if prompt is None or not prompt.code:
            asking = _ASKING.get(signing.way, "signing in")
            lines = [line(width, "running", "waiting", (ink(asking), 0), right=waited)]
            if signing.way == BROWSER:
                lines += under_value("No browser here, as over SSH? Choose Device code in the preflight (f5).", width)
            return lines
        first, *more = pieces(prompt.url, max(10, width - 3 - LABEL))
        return [
            line(width, "to do", "open", (ink(first), 0)),
            *(under_value(one, width, PLAIN)[0] for one in more),
            line(width, "to do", "type there", (ink(prompt.code, "bold"), 0)),
            line(width, "running", "waiting", (ink("for you to sign in there, in any browser"), 0), right=waited),
            *under_value("The code ends by itself after some minutes. esc stops waiting.", width),
        ]

    def _choices(self) -> list[Choice]:
        signing = self._signing
        if not signing.running:
            line = "Go on: back to where it stopped." if signing.good else "Close: nothing was changed."
            return [Choice(GO_ON, "Go on" if signing.good else "Close", line)]
        stop = Choice(BACK, "Cancel", "Cancel: stops waiting; the code ends by itself, and nothing is changed.")
        if signing.prompt is None or not signing.prompt.code:
            return [stop]
        return [
            Choice(COPY_CODE, "Copy the code", "Copies the code to type there. ^y does the same."),
            Choice(COPY_PAGE, "Copy the page", "Copies the address of the page to open."),
            stop,
        ]

    # ------------------------------------------------------------ answers

    def on_choices_chosen(self, event: Choices.Chosen) -> None:
        """Copies and stays, or closes."""
        prompt = self._signing.prompt
        if event.choice == COPY_CODE:
            self.action_copy()
        elif event.choice == COPY_PAGE and prompt is not None:
            self.wizard.copy(clean(prompt.url))
        else:
            self.dismiss(event.choice)

    def action_copy(self) -> None:
        """The code, while one is shown; else who signed in."""
        signing = self._signing
        if signing.running and signing.prompt is not None and signing.prompt.code:
            self.wizard.copy(clean(signing.prompt.code))
        elif signing.identity is not None:
            found = signing.identity
            self.wizard.copy(clean(f"{found.name} (tenant {found.tenant_id}, object {found.object_id})"))
