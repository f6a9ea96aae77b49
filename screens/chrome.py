"""What every screen has at the same place: band, step list, choices, key line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import Click, DescendantBlur, DescendantFocus, Key
from textual.message import Message
from textual.widgets import Button

from screens.attached import Attached
from screens.glyphs import HEAVY, LIGHT, drawable, sign, style_of
from screens.grid import PLAIN, QUIET, STRONG, Lines, ink, join, row, word, wrapped

PRODUCT = "PrivateLink Wizard"
WIDE = 104
"""Cells from which the step list stands beside the body (UI.md section 4)."""
TALL = 34
"""Rows from which finished phases, unchanged lines and blank lines are shown."""


# ---------------------------------------------------------------- band


@dataclass(frozen=True, slots=True)
class Band:
    """What the two lines on top say. `saved` is (state, text); `turn` and `owed` are (state, wide, narrow)."""

    setup: str
    mode: str
    sandbox: bool
    done: int
    steps: int
    saved: tuple[str, str]
    turn: tuple[str, str, str]
    owed: tuple[str, str]


def progress(done: int, steps: int, cells: int = 2) -> Content:
    """One segment a step: heavy is done, light is open; it tells without colour too."""
    return join(ink(drawable(HEAVY) * cells * done, "$success"), ink(drawable(LIGHT) * cells * (steps - done), QUIET))


def band_lines(band: Band, width: int) -> list[Content]:
    """The band: what is mine top left, what waits for others top right, saved in the corner."""
    wide = width >= WIDE - 4
    mark = join(ink(" SANDBOX ", "bold reverse"), Content("  ")) if band.sandbox else Content("")
    left = join(
        ink(f"{PRODUCT}   " if wide else "", QUIET), mark, ink(band.setup, STRONG), ink(f"   {band.mode}", QUIET)
    )
    state, text = band.saved
    count = f"  {band.done} of {band.steps} done   " if wide else f"  {band.done} of {band.steps}  "
    saved = word(state, text) if state != "saved" else join(word("saved", ""), ink(text))
    right = join(progress(band.done, band.steps), ink(count), saved)
    turn_state, sentence, short = band.turn
    lead = {"running": "running", "waiting": "nothing to do"}.get(turn_state, "your turn")
    mine = join(ink(f"{sign(turn_state)} {lead}  ", f"{style_of(turn_state)} bold"), ink(sentence if wide else short))
    owed = band.owed[0] if wide else band.owed[1]
    theirs = (
        join(ink(f"{sign('waiting for others')} ", "$secondary bold"), ink(owed, "$secondary"))
        if owed
        else ink("others owe nothing", QUIET)
    )
    return [row(width, (left, 0), right=right), row(width, (mine, 0), right=theirs)]


# ---------------------------------------------------------------- step list


@dataclass(frozen=True, slots=True)
class StepLine:
    """One step in the list: its number, title, state and the word shown for it."""

    id: str
    number: int
    title: str
    state: str
    text: str
    short: str = ""


@dataclass(frozen=True, slots=True)
class OwedLine:
    """What somebody else owes: who, what, and for how long."""

    who: str
    what: str
    since: str


def step_list(
    steps: Sequence[StepLine], here: int, owed: Sequence[OwedLine], width: int, *, tall: bool
) -> list[Content]:
    """The steps one under the other, then what others owe."""
    blank = [Content("")] if tall else []
    lines: list[Content] = []
    for step in steps:
        style, current = style_of(step.state), step.number == here
        quiet = step.state == "waiting"
        urgent = step.state in ("to do", "needs input", "failed", "stale", "running", "waiting for others")
        name = ink(f"{step.number} {step.short or step.title}", STRONG if current else QUIET if quiet else PLAIN)
        right = join(ink(step.text, style if urgent else QUIET), Content(" "))
        found = row(width, ("", 1), (ink(sign(step.state), f"{style} bold"), 2), (name, 0), right=right)
        lines += [found.stylize("on $surface" if current else ""), *blank]
    if owed:
        lines += [Content(""), join(Content(" "), ink("Others owe", STRONG)), *blank]
    for one in owed:
        glyph = ink(sign("waiting for others"), "$secondary bold")
        since = join(ink(one.since, QUIET), Content(" "))
        lines.append(row(width, ("", 1), (glyph, 2), (ink(one.who, "$secondary"), 0), right=since))
        lines += wrapped(one.what, width - 1, indent=3)
    return lines


def step_strip(steps: Sequence[StepLine], here: int, width: int, title: str = "") -> list[Content]:
    """The step list as one row for a narrow screen; the current step's title stands in it."""
    parts: list[Content] = []
    for step in steps:
        if step.number == here:
            parts += [ink(f" {step.number} {step.title} ", "bold reverse"), Content("  ")]
        else:
            quiet = QUIET if step.state == "waiting" else PLAIN
            parts += [ink(sign(step.state), f"{style_of(step.state)} bold"), ink(f"{step.number}  ", quiet)]
    if title:
        parts.append(ink(f" {title} ", "bold reverse"))
    return [row(width, (join(*parts), 0))]


# ---------------------------------------------------------------- choices


@dataclass(frozen=True, slots=True)
class Choice:
    """A button: what it is called, and one line that says what pressing it does or what it still needs."""

    id: str
    label: str
    line: str


class Choices(Attached, Vertical):
    """What can be done here. Always above the key line; the line below says what the focused one does.

    No choice is ever greyed out: its line says what it needs, and choosing it leads there (UI.md section 5).
    """

    class Chosen(Message):
        """A choice was pressed."""

        def __init__(self, choice: str) -> None:
            super().__init__()
            self.choice = choice

    def __init__(self, choices: Sequence[Choice]) -> None:
        super().__init__(id="choices")
        self._choices = tuple(choices)

    def compose(self) -> ComposeResult:
        """The buttons, and the line."""
        with Horizontal():
            yield from self._buttons()
        yield Lines(self._line, id="what")

    def _buttons(self) -> list[Button]:
        return [
            Button(Content(f"[ {choice.label} ]"), compact=True, name=choice.id, classes="-main" if index == 0 else "")
            for index, choice in enumerate(self._choices)
        ]

    def _line(self, width: int) -> list[Content]:
        choice = self._focused() or (self._choices[0] if self._choices else None)
        if choice is None:
            return [Content("")]
        return wrapped(choice.line, width, PLAIN if self._focused() else QUIET)[:2]

    def _focused(self) -> Choice | None:
        focused = self.screen.focused
        if not isinstance(focused, Button) or focused.parent is None or focused.parent.parent is not self:
            return None
        return next((choice for choice in self._choices if choice.id == focused.name), None)

    async def offer(self, choices: Sequence[Choice]) -> None:
        """Shows other choices. A button that stays keeps its focus."""
        if tuple(choices) == self._choices:
            return
        before, self._choices = self._choices, tuple(choices)
        same = [(choice.id, choice.label) for choice in before] == [(choice.id, choice.label) for choice in choices]
        if not same:
            focused = self._focused_name()
            shelf = self.query_one(Horizontal)
            with self.app.batch_update():
                await shelf.remove_children()
                await shelf.mount_all(self._buttons())
            if focused is not None:
                self.focus_first(focused)
        self._say()

    def _focused_name(self) -> str | None:
        focused = self.screen.focused
        return focused.name or "" if isinstance(focused, Button) and self in focused.ancestors else None

    def focus_first(self, preferred: str = "") -> None:
        """Focuses the preferred choice, else the first."""
        buttons = list(self.query(Button))
        chosen = next((button for button in buttons if button.name == preferred), buttons[0] if buttons else None)
        if chosen is not None:
            # At once: Textual would do it later, even when these buttons have been taken away by then, and a focus
            # on what is gone takes every key.
            self.screen.set_focus(chosen)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Tells the screen which choice it was."""
        event.stop()
        self.post_message(self.Chosen(event.button.name or ""))

    def on_key(self, event: Key) -> None:
        """Left and right go from one choice to the next."""
        buttons = list(self.query(Button))
        focused = self.screen.focused
        if event.key not in ("left", "right") or not isinstance(focused, Button) or focused not in buttons:
            return
        event.stop()
        at = buttons.index(focused) + (1 if event.key == "right" else -1)
        # At once: a second press, before this one is drawn, goes on from there.
        self.screen.set_focus(buttons[at % len(buttons)])

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        """The line follows the focus."""
        self._say()

    def on_descendant_blur(self, event: DescendantBlur) -> None:
        """The line goes back to the first choice."""
        self.call_after_refresh(self._say)

    def _say(self) -> None:
        for lines in self.query("#what").results(Lines):  # none while the screen is being left
            lines.again()


# ---------------------------------------------------------------- key line


class KeyLine(Lines):
    """The keys that work here, as many as fit, most useful first; the rest are in the palette."""

    def __init__(self, keys: Sequence[tuple[str, str]], end: str = "") -> None:
        self._keys = tuple(keys)
        self._end = end
        super().__init__(self._hints, id="keys")

    def _hints(self, width: int) -> list[Content]:
        parts: list[Content] = []
        used = 0
        room = width - (len(self._end) + 2 if self._end else 0)
        for key, does in self._keys:
            needed = len(key) + len(does) + 4
            if used + needed > room:
                break
            parts += [ink(key, STRONG), ink(f" {does}   ", QUIET)]
            used += needed
        right = ink(self._end, QUIET) if self._end else None
        return [row(width, (join(*parts), 0), right=right)]

    def show(self, keys: Sequence[tuple[str, str]], end: str = "") -> None:
        """Shows other keys."""
        if (tuple(keys), end) != (self._keys, self._end):
            self._keys, self._end = tuple(keys), end
            self.again()

    def on_click(self, event: Click) -> None:
        """A mouse is optional: nothing is behind these words that a key does not do."""
        event.stop()
