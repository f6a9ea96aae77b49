"""Help: about the page below, its keys, the glyphs in their order; closed by the key that opened it."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.containers import VerticalScroll

from screens.app import WizardApp
from screens.glyphs import sign
from screens.grid import Lines
from screens.help import GLYPHS, HelpPage
from screens.home import HomePage
from screens.page import Page
from screens.review import ReviewPage
from tests.screens.harness import LARGE, SIZES, SMALL, out_of_view, places_in, shown, text_of, until
from tests.setups import make_setup
from wizard import opening


def whole(app: WizardApp) -> str:
    """All of the help, what is scrolled out of view too."""
    return "\n".join(line.plain.rstrip() for line in app.screen.query_one(VerticalScroll).query_one(Lines).built())


@pytest.mark.parametrize("size", SIZES)
async def test_it_is_about_the_page_below(tmp_path: Path, size: tuple[int, int]):
    async with shown(places_in(tmp_path), size=size) as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, HomePage))
        below = app.screen
        assert isinstance(below, Page)
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(app.screen, HelpPage) and "Help" in text_of(app))
        text = " ".join(whole(app).split())
        assert below.HELP in text
        for key, _ in (*below.KEYS, ("f1", ""), ("f5", ""), ("^p", ""), ("^q", ""), ("^y", "")):
            assert f" {key} " in text, key
        assert str(app.places.real.state_dir) in text.replace(" ", "")
        assert await out_of_view(app, pilot) == []


async def test_no_line_is_cut_on_a_small_screen(tmp_path: Path):
    async with shown(places_in(tmp_path), size=SMALL) as (app, pilot):
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(app.screen, HelpPage) and "Help" in text_of(app))
        lines = app.screen.query_one(VerticalScroll).query_one(Lines)
        assert lines.content_size.width > 60
        assert max(line.cell_length for line in lines.built()) <= lines.content_size.width
        # The strongest grade stands first; a legend that is cut would be one that lies.
        assert [line for line in whole(app).splitlines() if line.endswith("…")] == []
        here = [whole(app).index(f"{sign(state)} {state}") for state, _ in GLYPHS]
        assert here == sorted(here)
        assert [state for state, _ in GLYPHS[:3]] == ["observed", "attested", "reported"]


async def test_it_scrolls_to_its_end(tmp_path: Path):
    async with shown(places_in(tmp_path), size=SMALL) as (app, pilot):
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(app.screen, HelpPage) and "Help" in text_of(app))
        assert "Where it is kept" not in text_of(app)
        for _ in range(6):
            await pilot.press("pagedown")
        await until(pilot, lambda: "Where it is kept" in text_of(app))


@pytest.mark.parametrize("key", ["escape", "f1"])
async def test_it_closes_where_it_was_opened(tmp_path: Path, key: str):
    async with shown(places_in(tmp_path), size=LARGE) as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, HomePage))
        depth = len(app.screen_stack)
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(app.screen, HelpPage))
        await pilot.press(key)
        await until(pilot, lambda: isinstance(app.screen, HomePage))
        assert len(app.screen_stack) == depth


async def test_over_a_review_it_offers_nothing_that_a_review_does_not(tmp_path: Path):
    journal = make_setup(tmp_path / "real", "prod")
    async with shown(places_in(tmp_path), opening.Review(str(journal))) as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, ReviewPage))
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(app.screen, HelpPage) and "Help" in text_of(app))
        text = whole(app)
        assert "f8" in text and "f5" not in text and "native" not in text and "resume" not in text
        await pilot.press("f5")
        await pilot.pause()
        assert isinstance(app.screen, HelpPage)
