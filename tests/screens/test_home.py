"""Home: the setups as they are on the disk, and the ways to begin."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Button, Input, OptionList

from screens.app import WizardApp
from screens.home import HomePage
from tests.screens.harness import LARGE, SIZES, SMALL, out_of_view, places_in, shown, text_of, until
from tests.setups import make_setup

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home of one's own: nothing of the machine that runs the tests is shown."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("KUBECONFIG", raising=False)


def _read(app: WizardApp) -> bool:
    return isinstance(app.screen, HomePage) and "reading" not in text_of(app).splitlines()[0]


def _break(path: Path) -> None:
    """Takes a line out of the middle: the chain is broken there."""
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:5] + lines[6:]))


def _three(tmp_path: Path) -> None:
    make_setup(tmp_path / "real", "prod-weu")
    make_setup(tmp_path / "sandbox", "rehearsal", 25)
    _break(make_setup(tmp_path / "real", "torn-weu", 30))


@pytest.mark.parametrize("size", SIZES)
async def test_without_setups_it_says_what_one_is_and_how_to_begin(tmp_path: Path, size: tuple[int, int]):
    async with shown(places_in(tmp_path), size=size) as (app, pilot):
        await until(pilot, lambda: _read(app))
        text = text_of(app)

        assert "no setups yet" in text.splitlines()[0]
        for said in ("No setups yet.", "Have at hand", "First time?", "Rehearse in the sandbox", "[ New setup ]"):
            assert said in text, said
        assert "[ Resume ]" not in text
        assert isinstance(app.focused, Button) and app.focused.name == "new"
        assert await out_of_view(app, pilot) == []


@pytest.mark.parametrize("size", SIZES)
async def test_setups_in_different_states_are_all_there(tmp_path: Path, size: tuple[int, int]):
    _three(tmp_path)
    async with shown(places_in(tmp_path), size=size) as (app, pilot):
        await until(pilot, lambda: _read(app))
        text = text_of(app)

        for said in ("prod-weu", "rehearsal", "torn-weu", "of 8", "read-only", "[ Resume ]", "[ Review ]"):
            assert said in text, said
        (rehearsal,) = (line for line in text.splitlines() if " rehearsal" in line)
        assert "SANDBOX" in rehearsal, "a sandbox setup wears its mark"
        assert isinstance(app.focused, OptionList)


@pytest.mark.parametrize(
    "size",
    [
        SMALL,
        LARGE,
    ],
)
async def test_every_choice_is_in_view(tmp_path: Path, size: tuple[int, int]):
    _three(tmp_path)
    async with shown(places_in(tmp_path), size=size) as (app, pilot):
        await until(pilot, lambda: _read(app))
        assert await out_of_view(app, pilot) == []


async def test_who_did_something_last_is_named_once(tmp_path: Path):
    make_setup(tmp_path / "real", "prod-weu")
    async with shown(places_in(tmp_path)) as (app, pilot):
        await until(pilot, lambda: _read(app))
        assert "ada checked step 5" in text_of(app)
        assert "ada ada" not in text_of(app)


async def test_a_step_that_can_not_begin_says_what_it_waits_for(tmp_path: Path):
    make_setup(tmp_path / "real", "prod-weu")
    async with shown(places_in(tmp_path)) as (app, pilot):
        await until(pilot, lambda: _read(app))
        (line,) = (one for one in text_of(app).splitlines() if "8 Mark as updated" in one)
        assert "waits for 7" in line


async def test_a_state_directory_that_is_not_ours_says_so_once(tmp_path: Path):
    make_setup(tmp_path / "real", "prod-weu")
    async with shown(places_in(tmp_path)) as (app, pilot):
        await until(pilot, lambda: _read(app))
        (tmp_path / "real").chmod(0o755)
        await pilot.press("ctrl+r")
        await until(pilot, lambda: "could not look" in text_of(app))
        assert isinstance(app.screen, HomePage), "said on the page, not in a note that comes again"
        assert "is open to others" in " ".join(text_of(app).split()) or "0755" in text_of(app)


async def test_a_file_that_is_no_journal_says_why(tmp_path: Path):
    path = make_setup(tmp_path / "real", "nonsense")
    path.write_bytes(b"hello\n")
    async with shown(places_in(tmp_path)) as (app, pilot):
        await until(pilot, lambda: _read(app))

        assert "nonsense" in text_of(app)
        assert "can't be read" in text_of(app)


async def test_a_tall_screen_shows_the_highlighted_setup_step_by_step(tmp_path: Path):
    _three(tmp_path)
    async with shown(places_in(tmp_path)) as (app, pilot):
        await until(pilot, lambda: _read(app))
        assert "step by step" in text_of(app)
        assert "8 Mark as updated" in text_of(app)
    async with shown(places_in(tmp_path), size=SMALL) as (app, pilot):
        await until(pilot, lambda: _read(app))
        assert "step by step" not in text_of(app)


async def test_the_choices_are_about_the_highlighted_setup(tmp_path: Path):
    make_setup(tmp_path / "real", "aaa")
    make_setup(tmp_path / "real", "bbb")
    async with shown(places_in(tmp_path)) as (app, pilot):
        await until(pilot, lambda: _read(app))
        await until(pilot, lambda: "Resume opens aaa" in text_of(app))

        await pilot.press("down")

        await until(pilot, lambda: "Resume opens bbb" in text_of(app))


async def test_a_filter_narrows_many_setups_and_few_have_none(tmp_path: Path):
    for number in range(14):
        make_setup(tmp_path / "real", f"prod-{number:02}", 5)
    async with shown(places_in(tmp_path), size=SMALL) as (app, pilot):
        await until(pilot, lambda: _read(app))
        narrowing = app.screen.query_one("#filter", Input)
        assert narrowing.display

        narrowing.focus()
        await pilot.press(*"07")

        await until(pilot, lambda: "prod-07" in text_of(app) and "prod-06" not in text_of(app))
        await pilot.press("down")
        assert isinstance(app.focused, OptionList)


async def test_few_setups_need_no_filter(tmp_path: Path):
    make_setup(tmp_path / "real", "prod-weu")
    async with shown(places_in(tmp_path)) as (app, pilot):
        await until(pilot, lambda: _read(app))
        assert not app.screen.query_one("#filter").display


async def test_hundreds_of_setups_scroll_to_the_last(tmp_path: Path):
    for number in range(200):
        make_setup(tmp_path / "real", f"prod-{number:03}", 3)
    async with shown(places_in(tmp_path), size=SMALL) as (app, pilot):
        await until(pilot, lambda: _read(app))
        assert "prod-199" not in text_of(app)

        await pilot.press("end")

        await until(pilot, lambda: "prod-199" in text_of(app))


async def test_reading_again_shows_what_is_new_on_the_disk(tmp_path: Path):
    make_setup(tmp_path / "real", "prod-weu")
    async with shown(places_in(tmp_path)) as (app, pilot):
        await until(pilot, lambda: _read(app))
        make_setup(tmp_path / "real", "test-weu")

        await pilot.press("ctrl+r")

        await until(pilot, lambda: "test-weu" in text_of(app))


async def test_without_colours_the_words_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    _three(tmp_path)
    monkeypatch.setenv("NO_COLOR", "")
    async with shown(places_in(tmp_path), size=SMALL) as (app, pilot):
        await until(pilot, lambda: _read(app))
        assert app.theme == "sixteen"
        for said in ("prod-weu", "SANDBOX", "read-only"):
            assert said in text_of(app), said


async def test_reading_again_stays_at_the_same_setup(tmp_path: Path):
    for name in ("mmm", "nnn"):
        make_setup(tmp_path / "real", name)
    async with shown(places_in(tmp_path)) as (app, pilot):
        await until(pilot, lambda: "Resume opens mmm" in text_of(app))
        await pilot.press("down")
        await until(pilot, lambda: "Resume opens nnn" in text_of(app))
        make_setup(tmp_path / "real", "aaa")

        await pilot.press("ctrl+r")

        await until(pilot, lambda: "aaa" in text_of(app))
        assert "Resume opens nnn" in text_of(app), "Enter would open another one"


async def test_what_can_not_be_changed_is_nobodys_turn(tmp_path: Path):
    _break(make_setup(tmp_path / "real", "torn-weu", 30))
    make_setup(tmp_path / "real", "zzz").write_bytes(b"hello\n")
    async with shown(places_in(tmp_path)) as (app, pilot):
        await until(pilot, lambda: "torn-weu can only be read" in text_of(app))
        assert "0 wait for you" in text_of(app)

        await pilot.press("end")

        await until(pilot, lambda: "zzz can't be read" in text_of(app).partition("[ Resume ]")[2])
        assert "all steps done" not in text_of(app)
