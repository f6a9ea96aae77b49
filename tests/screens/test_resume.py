"""Coming back to a setup: what its page says of the journal that was left, and where its choices lead."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from textual.pilot import Pilot
from textual.widgets import Button

from screens.app import WizardApp
from screens.chrome import Choices
from screens.dialogs import Confirm, CopySheet
from screens.home import HomePage
from screens.resume import ResumePage
from screens.resume_lines import ELSEWHERE, day_of
from screens.step import StepPage
from state.actor import current_actor
from state.events import DONE, Actor, Data, FieldSet, ItemAdded, Linked, ProbeStarted, ProcessStarted
from state.problem import Problem
from state.store import Store
from tests.screens.harness import LARGE, SIZES, SMALL, out_of_view, places_in, shown, text_of, until
from tests.setups import GUIDE as REFERENCE
from tests.state import make_journal
from tests.state.make_journal import ACTOR, lines_of
from tests.wizard.engine import DNS, ENDPOINT, MARK, UPDATE, finding, snapshot_of
from tests.wizard.test_status import FILLED, attested, change, ended, waiver
from tests.wizard.test_turns import DONE_1, DONE_2, DONE_3, DONE_4, MOVED_IP, ONE, SEEN_7, UNTIL_6, handed
from wizard import opening
from wizard.guide import ItemStep, Moment
from wizard.work import LOOKING, RESUMING, Work

# The whole app for every test: these run in `make test-slow` and CI.
pytestmark = pytest.mark.slow

NAME = "prod-weu"
LEFT = "Monday 5 January"
"""The day of every event of `make_journal`."""

MOVED: list[Data] = [*FILLED, DONE_1, DONE_2, DONE_3, DONE_4, handed(DNS), MOVED_IP]
"""An address changed after it was confirmed, and the DNS team was asked."""
HELM_ELSEWHERE: list[Data] = [
    *UNTIL_6,
    change(),
    ProcessStarted(change=change().change, pid=4711, start_time="1", boot_id="a"),
]
"""helm was started on build-01, and nobody saw it end."""


def _left(tmp_path: Path, data: list[Data], *, actor: Actor = ACTOR, torn: bytes = b"") -> Path:
    """Writes a journal as somebody left it; returns its path."""
    setups = tmp_path / "real" / "setups"
    for directory in (setups.parent, setups):
        directory.mkdir(mode=0o700)
    path = setups / f"{NAME}.jsonl"
    path.write_bytes(b"\n".join(lines_of(data, NAME, REFERENCE, actor)) + b"\n" + torn)
    path.chmod(0o600)
    return path


@asynccontextmanager
async def _back(
    tmp_path: Path, data: list[Data], *, size: tuple[int, int] = LARGE, **how: Any
) -> AsyncIterator[tuple[WizardApp, Pilot[int]]]:
    """The app with the page of a setup that was left so."""
    _left(tmp_path, data, **how)
    async with shown(places_in(tmp_path), opening.Resume(NAME), size=size) as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, ResumePage) and app.focused is not None)
        await until(pilot, lambda: app.setup is not None and not app.setup.running())
        yield app, pilot


def _labels(app: WizardApp) -> list[str]:
    return [str(button.name) for button in app.screen.query(Button)]


def _body(app: WizardApp) -> str:
    """The body's text with blanks as one, so that folding does not matter; without the step list."""
    found = [line.partition("▕")[2] or line for line in text_of(app).splitlines()[3:]]
    return re.sub(r"\s+", " ", " ".join(found))


def _opened(app: WizardApp) -> Any:
    assert app.setup is not None
    return app.setup


# ---------------------------------------------------------------- what it says


@pytest.mark.parametrize("size", SIZES)
async def test_what_was_left_changed_owed_and_still_holds(tmp_path: Path, size: tuple[int, int]):
    async with _back(tmp_path, MOVED, size=size) as (app, pilot):
        text, body = text_of(app), _body(app)

        assert "Welcome back" in text
        assert f"ada left on {LEFT}" in body and "days ago. Nothing was lost." in body
        for said in ("Where you left off", "Changed since", "Others owe", "Still good"):
            assert said in body, said
        assert "Private IP was 10.20.1.4, is now 10.20.1.9" in body
        assert re.search(r"▻ DNS team +step 5, dpe-01 pe-weu: DNS records +\d+ days", text)
        assert "• steps 1, 2 and 4" in body
        assert f"✓ chain intact events 1 to {len(MOVED)}" in body
        assert "Still running" not in body and "half a line" not in body
        assert "progress is saved" in text
        assert app.screen.query_one("#scroll").max_scroll_y == 0, "the ordinary case needs no scrolling"
        assert await out_of_view(app, pilot) == []


async def test_who_left_is_you_when_it_was_you(tmp_path: Path):
    async with _back(tmp_path, FILLED, actor=current_actor("screen")) as (app, _):
        assert f"You left on {LEFT}" in _body(app)


async def test_a_pod_that_a_look_left_is_told(tmp_path: Path):
    left = ProbeStarted(pod="probe-1", namespace="dpe", server="https://aks.example:443")
    async with _back(tmp_path, [*MOVED, left]) as (app, pilot):
        await until(pilot, lambda: "A pod of an earlier look may be left (probe-1" in text_of(app))


def test_a_day_is_named_with_its_year_only_when_that_is_another(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("screens.resume_lines.now", lambda: "2026-11-22T12:03:04.000000+00:00")
    assert day_of("2026-11-20T12:00:00.000000Z").startswith("on Friday 20 November at ")
    assert day_of("2025-11-20T12:00:00.000000Z").startswith("on Thursday 20 November 2025 at ")
    assert day_of("2026-11-22T12:02:00.000000Z").startswith("today at ")
    assert day_of("some day") == day_of("") == ""


@pytest.mark.parametrize("size", SIZES)
async def test_half_a_line_that_was_cut_off_is_said_with_the_file_that_keeps_it(tmp_path: Path, size: tuple[int, int]):
    async with _back(tmp_path, MOVED, torn=b'{"seq":99', size=size) as (app, pilot):
        text = _body(app).replace("▌ ", "")
        (kept,) = (tmp_path / "real" / "setups").glob("*.torn-*")

        assert "! half a line was cut off" in text
        assert kept.name in text and kept.read_bytes() == b'{"seq":99'
        assert "Nothing was lost" not in text
        assert await out_of_view(app, pilot) == []


async def test_an_empty_setup_has_only_where_it_was_left(tmp_path: Path):
    async with _back(tmp_path, [], size=SMALL) as (app, _):
        body = _body(app)

        assert "► step 1 Environment name empty" in body
        assert "Changed since" not in body and "Others owe" not in body and "Still good" not in body


async def test_a_finished_setup_is_opened_not_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    # Of today: what was seen long ago is to be looked at again.
    monkeypatch.setattr(make_journal, "BEGIN", datetime.now(UTC) - timedelta(hours=3))
    done = [*UNTIL_6, *SEEN_7, waiver()]
    async with _back(tmp_path, [*done, attested(MARK, *done)], size=SMALL) as (app, _):
        assert "[ Open step 8 ]" in text_of(app)
        assert "Go on with" not in text_of(app)


async def test_what_could_not_be_saved_stands_above_everything(tmp_path: Path):
    async with _back(tmp_path, MOVED, size=SMALL) as (app, pilot):
        setup = _opened(app)
        setup.not_saved = Problem("not-saved", "Not saved. The disk is full.", todo="Free some space there.")
        setup.on_change()
        await until(pilot, lambda: "Free some space there." in text_of(app))

        assert "✗ not saved" in text_of(app).splitlines()[0]
        assert "progress is saved" not in text_of(app)
        assert await out_of_view(app, pilot) == []


# ---------------------------------------------------------------- what still runs


@pytest.mark.parametrize("size", SIZES)
async def test_a_helm_of_another_host_can_be_said_to_be_gone(tmp_path: Path, size: tuple[int, int]):
    async with _back(tmp_path, HELM_ELSEWHERE, size=size) as (app, pilot):
        await until(pilot, lambda: "[ It is gone ]" in text_of(app))
        body = _body(app)

        assert "Still running" in body
        assert "on build-01, process 4711; nobody saw it end." in body
        assert 'choose "It is gone"' in body
        assert _labels(app)[0] == "go-on" and app.focused is app.screen.query(Button).first()
        assert await out_of_view(app, pilot) == []

        await _press(app, pilot, "gone")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        assert "build-01" in text_of(app)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, ResumePage))
        assert _opened(app).session.interrupted(), "a sheet that was left changes nothing"


async def test_what_was_said_to_be_gone_is_followed_no_more(tmp_path: Path):
    async with _back(tmp_path, HELM_ELSEWHERE) as (app, pilot):
        await until(pilot, lambda: "gone" in _labels(app))
        setup = _opened(app)
        (record,) = setup.session.interrupted()
        setup.resume(record, gone=True)
        await until(pilot, lambda: not setup.running())
        await until(pilot, lambda: "gone" not in _labels(app))

        # There is no helm to ask here: why it isn't known how it ended stands in its place.
        problem = setup.work[UPDATE].problem
        assert problem is not None and problem.code != ELSEWHERE
        assert problem.what in _body(app)
        assert "^r tries again." in _body(app)


async def test_a_helm_that_is_waited_for_is_shown_with_its_time_until_it_ends(tmp_path: Path):
    async with _back(tmp_path, HELM_ELSEWHERE, size=SMALL) as (app, pilot):
        setup = _opened(app)
        work = setup.work[UPDATE] = Work(UPDATE, RESUMING, summary="upgrade")
        work.report(Moment("phase", "helm still runs (pid 4711)"))
        work.begun -= 72
        setup.on_change()
        await until(pilot, lambda: "waited 1 min 1" in text_of(app))

        assert re.search(r"» step 7, dpe-01 +upgrade +waited 1 min \d+ s", text_of(app))
        assert "helm still runs (pid 4711)" in _body(app)
        assert "» running  step 7, dpe-01, 1 min" in text_of(app).splitlines()[1]
        assert "gone" not in _labels(app)

        work.begun -= 100  # the page's own clock shows it, with nothing else happening
        await until(pilot, lambda: "waited 2 min 5" in text_of(app))

        setup.session.commit(ended(DONE))
        work.finish()
        setup.on_change()
        await until(pilot, lambda: "Ended meanwhile" in text_of(app))
        assert re.search(r"✓ step 7, dpe-01 +done: it done", text_of(app))
        assert "Still running" not in text_of(app)


async def test_nothing_is_drawn_of_a_setup_that_is_being_closed(tmp_path: Path):
    async with _back(tmp_path, MOVED) as (app, pilot):
        page, setup = app.screen, app.setup
        assert isinstance(page, ResumePage) and setup is not None
        app.hold(None)
        page._tick()
        page.setup_changed()
        await pilot.resize_terminal(*SMALL)
        await pilot.pause()

        assert "Welcome back" in text_of(app)
        app.hold(setup)


# ---------------------------------------------------------------- choices


async def _press(app: WizardApp, pilot: Pilot[int], choice: str) -> None:
    next(button for button in app.screen.query(Button) if button.name == choice).focus()
    await pilot.press("enter")


def _at(app: WizardApp) -> ItemStep | None:
    screen = app.screen
    return screen.model.item_step if isinstance(screen, StepPage) else None


@pytest.mark.parametrize("key", ["ctrl+n", "enter"])
async def test_the_first_choice_goes_on_where_one_left(tmp_path: Path, key: str):
    async with _back(tmp_path, MOVED) as (app, pilot):
        assert "[ Go on with step 3 ]" in text_of(app)
        await pilot.press(key)
        await until(pilot, lambda: _at(app) == ENDPOINT)


TYPED_IN_SEVEN = FieldSet(item="dpe/dpe-01", field="version", value="16.3.0")


@pytest.mark.parametrize("size", SIZES)
async def test_what_is_more_urgent_elsewhere_is_offered_beside_it(tmp_path: Path, size: tuple[int, int]):
    async with _back(tmp_path, [*MOVED, TYPED_IN_SEVEN], size=size) as (app, pilot):
        left = app.screen.left if isinstance(app.screen, ResumePage) else None
        assert left is not None and left.place != ENDPOINT, "the last thing done was elsewhere"
        assert "[ Go to step 3 ]" in text_of(app)
        assert await out_of_view(app, pilot) == []

        await _press(app, pilot, "turn")
        await until(pilot, lambda: _at(app) == ENDPOINT)


async def test_just_look_opens_the_first_step_and_starts_nothing(tmp_path: Path):
    async with _back(tmp_path, MOVED) as (app, pilot):
        await _press(app, pilot, "look")
        await until(pilot, lambda: _at(app) == ONE)

        assert _opened(app).work == {}


@pytest.mark.parametrize("how", ["ctrl+r", "check"])
async def test_check_everything_looks_at_each_step_that_has_checks(tmp_path: Path, how: str):
    async with _back(tmp_path, MOVED, size=SMALL) as (app, pilot):
        setup = _opened(app)
        if how == "check":
            await _press(app, pilot, "check")
        else:
            await pilot.press(how)
        checked = {place for place in setup.session.status().item_steps if setup.guide.step(place.step).checks}
        await until(pilot, lambda: set(setup.work) == checked)

        assert DNS in checked and ONE not in checked
        assert {work.kind for work in setup.work.values()} == {LOOKING}
        await until(pilot, lambda: not any(work.running for work in setup.work.values()))
        await until(pilot, lambda: "looked " in text_of(app))
        assert not [event for event in _types(tmp_path) if event.startswith("change")], "looking changes nothing"


def _types(tmp_path: Path) -> list[str]:
    return [event.type for event in Store(tmp_path / "real").read(NAME).events]


async def test_checking_takes_up_again_what_nobody_saw_end(tmp_path: Path):
    async with _back(tmp_path, HELM_ELSEWHERE) as (app, pilot):
        setup = _opened(app)
        before = setup.work[UPDATE]
        await pilot.press("ctrl+r")
        await until(pilot, lambda: setup.work[UPDATE] is not before and not setup.work[UPDATE].running)

        assert setup.work[UPDATE].kind == RESUMING, "a look would hide that it may still run"
        await until(pilot, lambda: "gone" in _labels(app))


async def test_escape_goes_home_and_closes_the_setup(tmp_path: Path):
    async with _back(tmp_path, MOVED) as (app, pilot):
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, HomePage))

        assert app.setup is None
        Store(tmp_path / "real").open(NAME, current_actor("run")).close()  # its lock is free


async def test_the_summary_can_be_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    async with _back(tmp_path, MOVED) as (app, pilot):
        await pilot.press("ctrl+y")
        await until(pilot, lambda: isinstance(app.screen, CopySheet))

        assert isinstance(app.screen_stack[-2], ResumePage)
        assert "Private IP was 10.20.1.4, is now 10.20.1.9" in app.screen_stack[-2].copyable()


@pytest.mark.parametrize("size", SIZES)
async def test_the_choices_stay_in_view_when_the_body_scrolls(tmp_path: Path, size: tuple[int, int]):
    many: list[Data] = [*FILLED, DONE_1, DONE_2]
    for number in range(14):
        item = f"dpe/worker-with-quite-a-long-name-{number:02}"
        many += [
            ItemAdded(item=item),
            Linked(source=item, target="endpoint/pe-weu"),
            handed(ItemStep("dns", (item, "endpoint/pe-weu"))),
        ]
    async with _back(tmp_path, many, size=size) as (app, pilot):
        scroll = app.screen.query_one("#scroll")
        await until(pilot, lambda: scroll.max_scroll_y > 0)
        await until(pilot, lambda: "pgdn more" in text_of(app).splitlines()[-1])
        choices = app.screen.query_one(Choices).region
        await pilot.press("pagedown", "pagedown", "pagedown", "pagedown", "pagedown")
        await until(pilot, lambda: "chain intact" in text_of(app))

        assert app.screen.query_one(Choices).region == choices
        assert "worker-with-quite-a-long-name-13" in text_of(app), "a long label is not cut"
        assert await out_of_view(app, pilot) == []


# ---------------------------------------------------------------- text from outside, no colour


@pytest.mark.parametrize("size", SIZES)
async def test_text_from_a_hostile_journal_is_cleaned_and_never_markup(tmp_path: Path, size: tuple[int, int]):
    evil = "\x1b]0;pwned\x07\x1b[31m[/nope][@click=app.quit]x[/]\u202eevil\u200b\n"
    actor = Actor(user=evil, host=evil, via="screen")
    base: list[Data] = [*UNTIL_6, SEEN_7[0]]
    bad = finding(snapshot_of(*base), UPDATE, "workloads", "bad")
    async with _back(tmp_path, [*base, msgspec.structs.replace(bad, text=evil)], actor=actor, size=size) as (app, _):
        text = text_of(app)

        assert "[/nope][@click=app.quit]x[/]evil" in _body(app)
        assert not any(ord(char) < 32 and char != "\n" for char in text)
        assert not any(char in text for char in "\x1b\x07\u202e\u200b\x9b")


async def test_without_colours_every_state_is_still_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NO_COLOR", "1")
    async with _back(tmp_path, MOVED, size=SMALL) as (app, pilot):
        text = text_of(app)

        assert app.ansi_color
        assert "! step 3, pe-weu" in text and "▻ DNS team" in text and "✓ chain intact" in text
        assert await out_of_view(app, pilot) == []
