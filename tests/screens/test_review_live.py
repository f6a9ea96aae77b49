"""The review that looks again: it stays live while it looks, can be stopped, and says what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from screens.dialogs import CopySheet
from screens.preflight import PreflightPage
from screens.review_live import LiveReviewPage
from screens.timeline import PlacesView
from state.events import BAD, COULD_NOT_LOOK, GOOD, EnvironmentSet, Found
from state.problem import Problem
from state.snapshot import RecordedFinding
from tests.contracts.test_read_only import everything
from tests.screens.harness import LARGE, SIZES, SMALL, out_of_view, places_in, shown, until
from tests.screens.test_review import Reviewing, journal, real
from tests.wizard.engine import ACTOR, GUIDE, NOW
from wizard import live, opening
from wizard.live import Again, Live, LookAgain, Pin

# The whole app for every test: these run in `make test-slow` and CI.
pytestmark = pytest.mark.slow

DPE, ENDPOINT = "dpe/dpe-01", "endpoint/pe-weu"


def looked(step: str, items: tuple[str, ...], check: str, before: str | None, after: str | None, text: str) -> Again:
    """A look at a check of the real guide."""
    known = next(one for one in GUIDE.steps if one.id == step)
    seen = next(one for one in known.checks if one.id == check)

    def found(verdict: str) -> Found:
        return Found(step=step, items=items, check=check, verdict=verdict, text=text, fingerprint="f", todo="Look.")

    recorded = RecordedFinding(data=found(before), ts=NOW, actor=ACTOR, seq=9, since=NOW) if before else None
    return Again(known, items, seen, recorded, True, found(after) if after else None)


ANSWER = Live(
    NOW,
    EnvironmentSet(),
    (
        Pin("cluster", live.SAME, {}, {}, "the same cluster"),
        Pin("azure", live.OTHER, {}, {}, "Azure is asked in tenant t-2, and this setup is in tenant t-1.", "Sign in."),
    ),
    (
        looked("endpoint", (ENDPOINT,), "endpoint", None, COULD_NOT_LOOK, "another tenant"),
        looked("dns", (DPE, ENDPOINT), "records", None, None, ""),
        looked("dns", (DPE, ENDPOINT), "resolver-here", GOOD, BAD, "resolves here to 20.1.2.3[/]"),
        looked("update-dpe", (DPE,), "release", GOOD, GOOD, "deployed"),
    ),
)


@dataclass
class World:
    """What looking again comes to: it waits until the test lets it go on."""

    answer: Live = ANSWER
    problem: Exception | None = None
    go: asyncio.Event = field(default_factory=asyncio.Event)
    stopped: int = 0
    begun: int = 0

    async def look(self, *, done: Callable[[int, int], None], told: Callable[[str], None]) -> Live:
        self.begun += 1
        done(1, 4)
        told("Azure asks to slow down")
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.stopped += 1
            raise
        if self.problem is not None:
            raise self.problem
        return self.answer


@asynccontextmanager
async def looking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world: World, size: tuple[int, int] = LARGE
) -> AsyncIterator[Reviewing]:
    async def look(_: LookAgain, **told: Any) -> Live:
        return await world.look(**told)

    monkeypatch.setattr(LookAgain, "look", look)
    path = journal(tmp_path, real(60))
    async with shown(places_in(tmp_path), opening.Review(str(path), None, {}), size=size) as (app, pilot):
        mine = Reviewing(app, pilot)
        await until(pilot, lambda: isinstance(app.screen, LiveReviewPage) and "1 of 4 checks" in mine.text)
        yield mine


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_it_stays_live_while_it_looks_and_shows_what_it_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
):
    world = World()
    async with looking(tmp_path, monkeypatch, world, size) as mine:
        before = everything(tmp_path)
        assert "looking again" in mine.text and "Azure asks to slow down" in mine.text
        assert "1 Connectivity settings" in mine.evidence
        await mine.press("down", "down", "down", "down")
        await mine.until(lambda: "5 DNS records" in mine.evidence)
        world.go.set()
        await mine.until(lambda: "1 worse" in mine.text)
        assert "1 could not look" in mine.text and "1 not repeated" in mine.text and "1 as recorded" in mine.text
        assert "Azure is asked in tenant t-2" in mine.text, "apples and pears are named"
        assert "the same cluster" not in mine.text
        assert "Now ✗ failed worse resolves here to 20.1.2.3[/] Do next Look." in mine.evidence
        assert "Now · not repeated: it needs a probe" in mine.evidence
        await mine.until(lambda: "now worse" in mine.cursor_row)
        assert await out_of_view(mine.app, mine.pilot) == []
        await mine.press("f6")
        kept = {place.number for place in mine.app.screen.query_one(PlacesView)._entries}
        assert {3, 5} <= kept and 7 not in kept
        await mine.press("ctrl+y")
        await mine.until(lambda: isinstance(mine.app.screen, CopySheet))
        assert "Looked at again" in mine.app.clipboard
        assert everything(tmp_path) == before


async def test_escape_stops_looking_first_and_only_then_goes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    world = World()
    async with looking(tmp_path, monkeypatch, world) as mine:
        assert "esc stop looking" in mine.text or "esc stops" in mine.text
        await mine.press("escape")
        await mine.until(lambda: "looking again was stopped" in mine.text)
        assert world.stopped == 1
        await mine.press("ctrl+r")
        await mine.until(lambda: "1 of 4 checks" in mine.text)
        await mine.press("ctrl+r")
        assert world.begun == 2, "one look at a time"
        world.go.set()
        await mine.until(lambda: "1 worse" in mine.text)
        await mine.press("escape")
        await mine.until(lambda: not mine.app.is_running)


async def test_leaving_in_the_middle_stops_looking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    world = World()
    async with looking(tmp_path, monkeypatch, world) as mine:
        await mine.press("ctrl+q")
        await mine.until(lambda: not mine.app.is_running)
    assert world.stopped == 1


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=str)
async def test_what_stands_in_the_way_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]):
    world = World(problem=Problem("no-sandbox", "There is no sandbox here[/].", todo="Start it."))
    async with looking(tmp_path, monkeypatch, world, size) as mine:
        world.go.set()
        await mine.until(lambda: "There is no sandbox here[/]. Start it." in mine.text)
        world.problem = None
        await mine.press("ctrl+r")
        await mine.until(lambda: "1 worse" in mine.text)


async def test_what_nobody_foresaw_leaves_the_review_and_writes_no_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    world = World(problem=ZeroDivisionError())
    async with looking(tmp_path, monkeypatch, world) as mine:
        before = sorted(tmp_path.rglob("*"))
        world.go.set()
        await mine.until(lambda: "ZeroDivisionError" in mine.text)
        await mine.press("down")
        await mine.until(lambda: "2 Register subscription" in mine.evidence)
        assert sorted(tmp_path.rglob("*")) == before


async def test_nothing_else_is_reached_from_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    world = World(answer=replace(ANSWER, looks=(), pins=()))
    async with looking(tmp_path, monkeypatch, world) as mine:
        world.go.set()
        await mine.until(lambda: "no checks" in mine.text)
        await mine.press("f5")
        assert not any(isinstance(screen, PreflightPage) for screen in mine.app.screen_stack)
        assert mine.app.read_only
