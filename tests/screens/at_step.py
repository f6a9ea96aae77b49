"""The step screen in tests: the real app over a real journal, with small readers and writers behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from textual.events import Paste
from textual.pilot import Pilot
from textual.widgets import Button, Input

from screens.app import WizardApp
from screens.field import FieldRow
from screens.page import Page
from screens.step import StepPage
from state.events import Event
from state.store import Store
from tests.screens.harness import LARGE, places_in, settled, text_of, until
from tests.screens.harness import shown as shown_app
from tests.wizard.engine import attest_until, fill
from wizard.actions.values_file import read_values
from wizard.guide import ItemStep
from wizard.guides import DEFAULT
from wizard.offers import Offers
from wizard.open_setup import OpenSetup, new_setup
from wizard.ports import Readers, Writers

CONNECTIVITY = ItemStep("connectivity")
REDEPLOY = ItemStep("redeploy")
VALUES = "hosts:\n  dpm: dpm-43ooq-worker-01-eus1.ataccama.link\n  minio: minio-43ooq-worker-01-eus1.ataccama.link\n"

Prepare = Callable[[OpenSetup], None]


def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No kubeconfig and no helm of this machine."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "no-kubeconfig"))
    monkeypatch.setenv("PATH", str(tmp_path / "no-programs"))


def done_before_seven(setup: OpenSetup) -> None:
    """Every value but the secret, and every human step up to 6 confirmed."""
    fill(setup.session)
    path = setup.writer.path.parent.parent.parent / "values.yml"
    path.write_text(VALUES)
    values = read_values(str(path))
    setup.session.set_field("dpe/dpe-01", "values_file", values.path, file=values.facts)
    attest_until(setup.session, "redeploy")


def filled(setup: OpenSetup) -> None:
    """Every value, nothing confirmed."""
    fill(setup.session)


def attested(last: str) -> Prepare:
    """Every value, and every human step confirmed up to `last`."""

    def prepare(setup: OpenSetup) -> None:
        fill(setup.session)
        attest_until(setup.session, last)

    return prepare


@dataclass
class AtStep:
    """The step screen as a user meets it."""

    app: WizardApp
    pilot: Pilot[int]
    setup: OpenSetup

    @property
    def page(self) -> StepPage:
        """The step screen, also below a sheet."""
        return next(one for one in self.app.screen_stack if isinstance(one, StepPage))

    @property
    def text(self) -> str:
        """What is drawn."""
        return text_of(self.app)

    def page_text(self) -> str:
        """What the page on top would copy, folded nowhere."""
        page = next(one for one in reversed(self.app.screen_stack) if isinstance(one, Page))
        return page.copyable()

    @property
    def body(self) -> str:
        """What is drawn, but without the step list and the bars: a text folded in the body is in one piece."""
        text = self.text.replace("▌", " ")
        if self.app.screen is not self.page or not self.page.wide:
            return text
        region = self.page.query_one("#body").region
        rows = text.split("\n")
        return "\n".join(row[region.x :] if region.y <= y < region.bottom else row for y, row in enumerate(rows))

    @property
    def flat(self) -> str:
        """The body with every run of blanks as one."""
        return " ".join(self.body.split())

    @property
    def solid(self) -> str:
        """The body without any blank or scroll bar, so that folded identifiers are found."""
        return "".join(self.body.translate(_SCROLL_BAR).split())

    def row(self, key: str) -> FieldRow:
        """The row of a field."""
        return next(row for row in self.page.query(FieldRow) if row.model.field.key == key)

    async def until(self, condition: Callable[[], object]) -> None:
        """Lets the app go on until it holds."""
        try:
            await until(self.pilot, condition)
        except TimeoutError:
            raise AssertionError(f"never so; the screen:\n{self.text}") from None

    async def quiet(self) -> None:
        """Until nothing is under way in the screens."""
        await self.pilot.pause()
        await self.pilot.pause()
        await settled(self.pilot)

    async def press(self, *keys: str) -> None:
        """Presses keys one after the other."""
        await self.pilot.press(*keys)
        await self.quiet()

    async def type(self, text: str) -> None:
        """Types a text, a key a character."""
        for character in text:
            await self.pilot.press(_KEYS.get(character, character))
        await self.quiet()

    async def at(self, key: str) -> FieldRow:
        """Puts the focus on a field."""
        await self.until(lambda: any(row.model.field.key == key for row in self.page.query(FieldRow)))
        self.row(key).input.focus()
        await self.quiet()
        return self.row(key)

    async def clear(self) -> None:
        """Empties the focused line."""
        await self.press("end", "ctrl+u")

    async def paste(self, text: str) -> None:
        """Pastes as a terminal does."""
        target = self.app.focused or self.app.screen
        target.post_message(Paste(text))
        await self.quiet()

    async def button(self, name: str) -> None:
        """Presses a button of the screen on top by its id, once it is there."""
        await self.until(lambda: self._button(name))
        found = self._button(name)
        assert found is not None
        found.focus()
        await self.press("enter")

    def _button(self, name: str) -> Button | None:
        return next((one for one in self.app.screen.query(Button) if one.name == name), None)

    async def sheet(self) -> None:
        """Until something lies over the step screen."""
        await self.until(lambda: self.app.screen is not self.page)

    async def alone(self) -> None:
        """Until the step screen is on top again."""
        await self.until(lambda: self.app.screen is self.page)

    async def step(self, item_step: ItemStep) -> None:
        """Goes to an item's step."""
        found = self.setup.guide.step(item_step.step)
        assert found is not None
        self.page.go(item_step, found)
        await self.until(lambda: self.page.model.step is found and self._rebuilt())

    def _rebuilt(self) -> bool:
        return [row.model.key for row in self.page.query(FieldRow)] == [one.key for one in self.page.model.fields]

    def journalled(self, type: str | None = None) -> list[Event]:
        """What is on disk, read anew."""
        found = Store(self.setup.writer.path.parent.parent).read("demo")
        assert not found.problems
        return [one for one in found.events if type in (None, one.type)]

    def on_disk(self) -> str:
        """The journal's text."""
        return self.setup.writer.path.read_text()

    def value(self, owner: str | None, key: str) -> str | None:
        """A committed value, from the disk."""
        for event in reversed(self.journalled("field_set")):
            data: Any = event.data
            if (data.item, data.field) == (owner, key):
                return str(data.value) if data.value is not None else None
        return None

    def inputs(self) -> list[str]:
        """What stands in every line of every screen."""
        return [line.value for screen in self.app.screen_stack for line in screen.query(Input)]


_SCROLL_BAR = str.maketrans("", "", "▁▂▃▄▅▆▇")
"""The ends of a bar's handle, which may stand in any row."""

_KEYS = {
    " ": "space", ".": "full_stop", "-": "minus", "/": "slash", ":": "colon", "_": "underscore", ",": "comma",
    "!": "exclamation_mark", "~": "tilde", "+": "plus", "[": "left_square_bracket", "]": "right_square_bracket",
}  # fmt: skip


@asynccontextmanager
async def at_step(
    tmp_path: Path,
    item_step: ItemStep | None = None,
    prepare: Prepare = lambda _: None,
    *,
    readers: Readers | None = None,
    writers: Writers | None = None,
    size: tuple[int, int] = LARGE,
) -> AsyncIterator[AtStep]:
    """The step screen over a new setup `demo` that `prepare` has put something into."""
    places = places_in(tmp_path)
    async with shown_app(places, size=size) as (app, pilot):
        setup = await new_setup(places, "demo", DEFAULT, "self-service", {})
        setup.session.readers, setup.session.writers = readers or Readers(), writers or Writers()
        prepare(setup)
        app.hold(setup)
        app.offers = Offers()
        app.push_screen(StepPage(item_step))
        here = AtStep(app, pilot, setup)
        await here.until(lambda: isinstance(app.screen, StepPage) and app.screen.is_mounted and app.screen.focused)
        await here.quiet()
        yield here
