"""The whole log: follows its end, stays put when one reads, finds things, and goes on while lines keep coming."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from screens.app import WizardApp
from screens.dialogs import CopySheet
from screens.log import LogPage, LogView
from tests.screens.harness import LARGE, SIZES, SMALL, out_of_view, places_in, shown, text_of, until
from wizard.guide import ItemStep, Moment
from wizard.work import ACTING, LOG_LINES, Work

# The whole app for every test: these run in `make test-slow` and CI.
pytestmark = pytest.mark.slow


@dataclass
class Reading:
    """A log page over its work."""

    app: WizardApp
    pilot: Pilot[Any]
    work: Work

    @property
    def view(self) -> LogView:
        return self.app.screen.query_one(LogView)

    @property
    def text(self) -> str:
        return text_of(self.app)

    def seen(self) -> list[int]:
        """The numbers of the lines in view."""
        return [int(one) for one in re.findall(r"line (\d+) ", self.text)]

    def write(self, first: int, last: int) -> None:
        for number in range(first, last + 1):
            self.work.report(Moment("line", f"line {number} of helm"))

    async def until(self, condition: Callable[[], object]) -> None:
        await until(self.pilot, condition)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()


@asynccontextmanager
async def reading(tmp_path: Path, lines: int, size: tuple[int, int] = LARGE) -> AsyncIterator[Reading]:
    work = Work(ItemStep("update", ("dpe/dpe-01",)), ACTING, "upgrade dpe-01 to 16.2.0")
    async with shown(places_in(tmp_path), size=size) as (app, pilot):
        mine = Reading(app, pilot, work)
        mine.write(1, lines)
        app.push_screen(LogPage(work))
        await mine.until(lambda: isinstance(app.screen, LogPage) and (not lines or lines in mine.seen()))
        yield mine


@pytest.mark.parametrize("size", SIZES)
async def test_it_says_what_runs_and_shows_the_end(tmp_path: Path, size: tuple[int, int]):
    async with reading(tmp_path, 200, size) as log:
        first = log.text.splitlines()[0]
        assert "upgrade dpe-01 to 16.2.0" in first and "running" in first and "200 of 200 lines" in first
        assert log.seen()[-1] == 200
        assert isinstance(log.app.focused, Input)
        assert await out_of_view(log.app, log.pilot) == []


async def test_it_follows_the_end_while_lines_come(tmp_path: Path):
    async with reading(tmp_path, 100) as log:
        log.write(101, 300)
        await log.until(lambda: log.seen() and log.seen()[-1] == 300)
        await log.until(lambda: "300 of 300 lines" in log.text)


async def test_scrolled_up_it_stays_put_and_the_end_brings_it_back(tmp_path: Path):
    async with reading(tmp_path, 100) as log:
        await log.press("pageup", "pageup")
        before = log.seen()
        assert before[-1] < 100
        log.write(101, 400)
        await log.until(lambda: "400 of 400 lines" in log.text)
        assert log.seen() == before
        await log.press("tab", "end")
        await log.until(lambda: log.seen()[-1] == 400)
        log.write(401, 410)
        await log.until(lambda: log.seen()[-1] == 410)


async def test_what_one_reads_stays_while_old_lines_fall_out(tmp_path: Path):
    async with reading(tmp_path, LOG_LINES) as log:
        await log.press("pageup", "pageup")
        before = log.seen()
        log.write(LOG_LINES + 1, LOG_LINES + 2500)
        await log.until(lambda: f"last {LOG_LINES} of {LOG_LINES + 2500} lines" in log.text)
        assert log.seen() == before
        # What is read falls out itself: then the oldest that is left is shown.
        log.write(LOG_LINES + 2501, 3 * LOG_LINES)
        await log.until(lambda: log.seen()[0] == 2 * LOG_LINES + 1)


async def test_a_flood_is_drawn_by_what_is_in_view_alone(tmp_path: Path):
    async with reading(tmp_path, LOG_LINES) as log:
        drawn = 0
        draw = log.view.render_line

        def counted(y: int) -> Any:
            nonlocal drawn
            drawn += 1
            return draw(y)

        log.view.render_line = counted  # type: ignore[method-assign]
        for batch in range(10):
            log.write(LOG_LINES + batch * 1000 + 1, LOG_LINES + (batch + 1) * 1000)
            last = LOG_LINES + (batch + 1) * 1000
            await log.until(lambda: log.seen()[-1] == last)  # noqa: B023 - waited for at once
        # Ten thousand lines went by; each time about a screen of them was drawn.
        assert 0 < drawn < 10 * 40 * 8


async def test_typing_searches_and_goes_from_match_to_match(tmp_path: Path):
    async with reading(tmp_path, 300) as log:
        await log.press(*"LINE 1")
        await log.until(lambda: "match 111 of 111" in log.text)
        assert 199 in log.seen()
        await log.press("9")
        await log.until(lambda: "match 11 of 11" in log.text)
        await log.press("enter")
        await log.until(lambda: "match 1 of 11" in log.text and 19 in log.seen())
        await log.press("down")
        await log.until(lambda: "match 2 of 11" in log.text and 190 in log.seen())
        await log.press("up", "up")
        await log.until(lambda: "match 11 of 11" in log.text and 199 in log.seen())
        await log.press("x")
        await log.until(lambda: "match 0 of 0" in log.text)


async def test_every_match_is_marked_and_the_current_one_differs(tmp_path: Path):
    async with reading(tmp_path, 0) as log:
        for text in ("pod and Pod", "no such thing", "a pod"):
            log.work.report(Moment("line", text))
        await log.until(lambda: "a pod" in log.text)
        await log.press(*"pod")
        await log.until(lambda: "match 2 of 2" in log.text)

        def marked(y: int, style: str) -> list[str]:
            strip = log.view.render_line(y)
            return [part.text for part in strip if part.style is not None and getattr(part.style, style)]

        assert marked(0, "underline") == ["pod", "Pod"]
        assert marked(1, "underline") == []
        assert marked(2, "reverse") == ["pod"]


async def test_the_current_match_stays_the_current_one_while_old_lines_fall_out(tmp_path: Path):
    async with reading(tmp_path, LOG_LINES) as log:
        await log.press(*"line 50")
        await log.until(lambda: "match 111 of 111" in log.text)
        current = f"line {5099 - 98} "  # the last match is 5099
        for _ in range(98):
            log.view.next_match(-1)
        await log.until(lambda: current in log.text)
        log.write(LOG_LINES + 1, LOG_LINES + 600)
        await log.until(lambda: f"of {LOG_LINES + 600} lines" in log.text)
        # 50 and 500 to 509 are gone, the hundred of 5000 to 5099 are left.
        await log.until(lambda: "match 2 of 100" in log.text)
        assert current in log.text


async def test_a_hostile_line_is_only_text(tmp_path: Path):
    async with reading(tmp_path, 0) as log:
        log.work.report(Moment("line", "\x1b]0;title\x07[/nope] [@click=app.quit]x[/] \x1b[31mred \u202eback"))
        await log.until(lambda: "[/nope] [@click=app.quit]x[/] red back" in log.text)
        await log.press(*"[/n")
        await log.until(lambda: "match 1 of 1" in log.text)


async def test_it_copies_all_of_it_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))  # no clipboard program
    async with reading(tmp_path, 5000, SMALL) as log:
        await log.press("ctrl+y")
        await log.until(lambda: isinstance(log.app.screen, CopySheet))
        lines = log.app.clipboard.splitlines()
        assert len(lines) == 5000
        assert lines[0].endswith("line 1 of helm") and lines[-1].endswith("line 5000 of helm")
        log.write(5001, 5050)
        await log.press("escape")
        await log.until(lambda: isinstance(log.app.screen, LogPage) and log.seen()[-1] == 5050)


async def test_it_says_when_the_work_has_ended_and_escape_goes_back(tmp_path: Path):
    async with reading(tmp_path, 10) as log:
        log.work.finish()
        await log.until(lambda: "ended" in log.text.splitlines()[0])
        await log.press(*"abc", "escape")
        await log.until(lambda: not isinstance(log.app.screen, LogPage))
        assert log.app.is_running
