"""A new setup: its name is judged as it is typed, and Enter makes it."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Button, Input

from screens.home import HomePage
from screens.new import NewPage
from screens.resume import ResumePage
from state.actor import current_actor
from tests.screens.harness import SIZES, SMALL, out_of_view, places_in, shown, text_of, until
from tests.setups import make_setup

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with neither kubeconfig nor helm."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("KUBECONFIG", raising=False)


@pytest.mark.parametrize("size", SIZES)
async def test_a_bad_name_says_why_and_a_good_one_is_made(tmp_path: Path, size: tuple[int, int]):
    places = places_in(tmp_path)
    async with shown(places, size=size) as (app, pilot):
        app.push_screen(NewPage())
        await until(pilot, lambda: isinstance(app.focused, Input))
        assert await out_of_view(app, pilot) == []

        await pilot.press(*"Prod weu")
        await until(pilot, lambda: "wrong" in text_of(app))
        assert "a space" in text_of(app)

        await pilot.press("enter")
        assert isinstance(app.screen, NewPage)
        assert places.real.names() == ()

        app.screen.query_one(Input).value = "prod-weu"
        await until(pilot, lambda: "wrong" not in text_of(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.setup is not None)
        assert places.real.names() == ("prod-weu",)
        await app.workers.wait_for_complete()


@pytest.mark.parametrize("where", ["real", "sandbox"])
async def test_a_taken_name_is_said_and_not_made_again(tmp_path: Path, where: str):
    path = make_setup(tmp_path / where, "prod-weu")
    before = path.read_bytes()
    async with shown(places_in(tmp_path), size=SMALL) as (app, pilot):
        app.push_screen(NewPage())
        await until(pilot, lambda: isinstance(app.focused, Input) and "none found" in text_of(app))

        app.screen.query_one(Input).value = "prod-weu"
        await until(pilot, lambda: "there is a setup of that name" in text_of(app))
        await pilot.press("enter")
        await until(pilot, lambda: "[ Resume it ]" in text_of(app))
        assert "There is a setup named prod-weu already." in _said(text_of(app))

        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, NewPage))
        assert app.setup is None
        assert path.read_bytes() == before


async def test_a_name_that_was_taken_meanwhile_is_resumed(tmp_path: Path):
    """By somebody else, behind the page's back."""
    async with shown(places_in(tmp_path), size=SMALL) as (app, pilot):
        app.push_screen(NewPage())
        await until(pilot, lambda: isinstance(app.focused, Input) and "none found" in text_of(app))
        make_setup(tmp_path / "real", "prod-weu", 0, actor=current_actor("run"))
        await pilot.press(*"prod-weu", "enter")
        await until(pilot, lambda: "[ Resume it ]" in text_of(app))

        button = next(one for one in app.screen.query(Button) if one.name == "resume")
        button.focus()
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ResumePage))
        assert app.setup is not None
        assert app.setup.name == "prod-weu"


@pytest.mark.parametrize("size", SIZES)
async def test_it_shows_what_it_begins_with(tmp_path: Path, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch):
    config = tmp_path / "kubeconfig"
    config.write_text("current-context: aks-prod\n")
    monkeypatch.setenv("KUBECONFIG", str(config))
    async with shown(places_in(tmp_path), size=size) as (app, pilot):
        app.push_screen(NewPage())
        await until(pilot, lambda: "aks-prod" in text_of(app))

        for said in ("Azure Private Link for a hybrid DPE", "self-service", "none found", "[ Create ]", "[ Back ]"):
            assert said in text_of(app), said


def _said(text: str) -> str:
    """The screen's words in a row, however they are folded."""
    return " ".join(text.replace("▌", " ").split())


async def test_escape_goes_back_and_makes_nothing(tmp_path: Path):
    places = places_in(tmp_path)
    async with shown(places) as (app, pilot):
        app.push_screen(NewPage())
        await until(pilot, lambda: isinstance(app.focused, Input))
        await pilot.press(*"prod", "escape")
        await until(pilot, lambda: isinstance(app.screen, HomePage))
        assert places.real.names() == ()


async def test_without_colours_it_works_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NO_COLOR", "")
    async with shown(places_in(tmp_path), size=SMALL) as (app, pilot):
        app.push_screen(NewPage())
        await until(pilot, lambda: isinstance(app.focused, Input))
        await pilot.press(*"-x")
        await until(pilot, lambda: "begins with a dash" in _said(text_of(app)))
