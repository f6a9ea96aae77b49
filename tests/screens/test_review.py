"""The read-only screen: what an auditor sees, and that nothing is reached from it that could change anything."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from textual.app import SystemCommand
from textual.containers import VerticalScroll
from textual.pilot import Pilot

from screens.app import WizardApp
from screens.dialogs import CopySheet
from screens.grid import Lines
from screens.home import HomePage
from screens.preflight import PreflightPage
from screens.review import ReviewPage
from screens.timeline import PlacesView, TimelineView
from state.events import (
    GOOD,
    OBSERVED,
    REPORTED,
    Attested,
    Data,
    EnvironmentSet,
    Evidence,
    FieldSet,
    Found,
    GuideRef,
    ModeSet,
)
from tests.contracts.test_read_only import everything
from tests.screens.harness import LARGE, SIZES, SMALL, out_of_view, places_in, shown, text_of, until
from tests.setups import GUIDE, data_of, make_setup
from tests.state.make_journal import lines_of, ts_of
from tests.wizard.engine import snapshot_of, view_of
from wizard import opening
from wizard.guide import ItemStep

# The whole app for every test: these run in `make test-slow` and CI.
pytestmark = pytest.mark.slow

Size = tuple[int, int]


@dataclass
class Reviewing:
    """A review on the screen."""

    app: WizardApp
    pilot: Pilot[Any]

    @property
    def text(self) -> str:
        return text_of(self.app)

    @property
    def view(self) -> TimelineView:
        return self.app.screen.query_one(TimelineView)

    @property
    def here(self) -> int:
        """The sequence number of the highlighted statement; -1 for none."""
        statement = self.view.highlighted
        return statement.seq if statement else -1

    @property
    def evidence(self) -> str:
        """All of the evidence pane, what is scrolled out of view too."""
        lines = self.app.screen.query_one("#evidence", VerticalScroll).query_one(Lines).built()
        return " ".join(" ".join(line.plain for line in lines).split())

    @property
    def cursor_row(self) -> str:
        """The row that the terminal's own cursor is on."""
        return self.text.splitlines()[self.app.cursor_position.y]

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def until(self, condition: Callable[[], object]) -> None:
        await until(self.pilot, condition)


@asynccontextmanager
async def review(
    tmp_path: Path, target: Path, size: Size = LARGE, as_of: str | None = None
) -> AsyncIterator[Reviewing]:
    async with shown(places_in(tmp_path), opening.Review(str(target), as_of), size=size) as (app, pilot):
        mine = Reviewing(app, pilot)
        await mine.until(lambda: isinstance(app.screen, ReviewPage) and mine.view.highlighted and mine.evidence)
        yield mine


def found(number: int, text: str, grade: str = OBSERVED) -> Found:
    """A look at a step that another version knows: it counts for nothing here."""
    answer = "[@click=app.quit]" + "x" * 3000 + " the end"
    return Found(
        step="dns",
        items=("dpe/dpe-01", "endpoint/pe-weu"),
        check="resolver-here",
        verdict=GOOD,
        text=text,
        fingerprint=f"{number:064x}",
        evidence=(
            Evidence(
                source="DNS",
                request="A dpm",
                answer=answer,
                sha256=hashlib.sha256(answer.encode()).hexdigest(),
                ts=ts_of(number),
                identity="me",
                grade=grade,
            ),
        ),
    )


def journal(tmp_path: Path, data: Sequence[Data], name: str = "prod") -> Path:
    path = tmp_path / f"{name}.jsonl"
    path.write_bytes(b"\n".join(lines_of(data, name, GUIDE)) + b"\n")
    return path


def real(events: int) -> list[Data]:
    """What `make_setup` holds, outside the sandbox."""
    return [EnvironmentSet() if isinstance(one, EnvironmentSet) else one for one in data_of(events)]


# ---------------------------------------------------------------- what is seen


@pytest.mark.parametrize("size", SIZES)
async def test_what_it_is_stands_on_top(tmp_path: Path, size: Size):
    path = journal(tmp_path, real(40))
    async with review(tmp_path, path, size) as mine:
        first, second, third = mine.text.splitlines()[:3]
        assert first.strip().startswith("READ-ONLY   review of prod")
        assert "✓ chain intact   events 1 to 40" in second and "0 of 8 done" in second
        for word in ("✓ 0 observed", "• 0 attested", "◦ 0 reported", "✗ 0 failed", "! 0 stale"):
            assert word in third, word
        assert "? 3 never observed" in second + third
        assert "SANDBOX" not in mine.text
        assert "nothing is written" in mine.text.splitlines()[-1]
        assert await out_of_view(mine.app, mine.pilot) == []


@pytest.mark.parametrize("size", SIZES)
async def test_statements_stand_below_their_day_and_the_last_one_is_shown(tmp_path: Path, size: Size):
    path = journal(tmp_path, real(2000))  # one a minute: two days
    async with review(tmp_path, path, size) as mine:
        assert mine.here == 2000 and "Event 2000 of 2000" in mine.evidence
        await mine.press("home")
        assert mine.here == 1 and "Event 1 of 2000" in mine.evidence
        assert "Mon 5 Jan 2026, UTC" in mine.text
        assert "08:01" in mine.cursor_row
        # The step, the glyph, its word, the text.
        await mine.press("down", "down", "down", "down", "down")
        assert "08:06" in mine.cursor_row and "· answer" in mine.cursor_row and "environment_name" in mine.cursor_row
        midnight = next(one for one in mine.view._entries if one.ts.startswith("2026-01-06"))
        while mine.here < midnight.seq:
            await mine.press("pagedown")
        while mine.here > midnight.seq:
            await mine.press("up")
        assert "Tue 6 Jan 2026, UTC" in mine.text
        assert "00:00" in mine.cursor_row


@pytest.mark.parametrize("size", SIZES)
async def test_the_evidence_is_that_of_the_highlighted_statement(tmp_path: Path, size: Size):
    path = journal(tmp_path, real(60))
    async with review(tmp_path, path, size) as mine:
        first = mine.evidence
        assert "By ada@build-01 via screen; claimed, not proven" in first
        assert "Step 5 DNS records" in first and "Request A and AAAA dpm" in first
        assert "Before that" in first
        # A hash is read in fours, and copied whole.
        assert " 0000 0000 " in first
        await mine.press("up")
        assert mine.here == 59
        assert "Event 59 of 60" in mine.evidence and "Event 59 of 60" not in first


async def test_all_of_a_long_answer_can_be_read_by_keyboard(tmp_path: Path):
    path = journal(tmp_path, [ModeSet(mode="self-service"), found(1, "resolves here")])
    async with review(tmp_path, path, SMALL) as mine:
        assert "the end" not in mine.text
        await mine.press("tab")
        assert mine.app.focused is mine.app.screen.query_one("#evidence")
        for _ in range(12):
            await mine.press("pagedown")
        await mine.until(lambda: "Event     2 of 2" in mine.text and "the end" in mine.text)
        # The next statement is shown from its beginning.
        await mine.press("shift+tab", "up")
        await mine.until(lambda: mine.app.screen.query_one("#evidence").scroll_offset.y == 0)


async def test_a_proof_for_other_values_is_stale_and_says_what_it_was(tmp_path: Path):
    path = journal(tmp_path, [*real(25), found(1, "resolves here", REPORTED)])
    async with review(tmp_path, path) as mine:
        assert "! stale" in mine.cursor_row and "✓" not in mine.cursor_row
        assert "State ! stale" in mine.evidence and "It does not count: an input changed since" in mine.evidence
        assert "Grade reported, the vendor said so" in mine.evidence


async def test_hostile_text_is_only_text(tmp_path: Path):
    said = "\x1b]0;title\x07[/nope] [@click=app.quit]x[/]\u202e \x1b[31mred"
    path = journal(tmp_path, [ModeSet(mode="self-service"), found(1, said)])
    async with review(tmp_path, path) as mine:
        assert "[/nope] [@click=app.quit]x[/] red" in mine.evidence
        assert "\x1b" not in mine.text and "\u202e" not in mine.text
        await mine.press("ctrl+y")
        await mine.until(lambda: isinstance(mine.app.screen, CopySheet))
        assert "\x1b" not in mine.app.clipboard and "\u202e" not in mine.app.clipboard


async def test_a_journal_without_events(tmp_path: Path):
    path = journal(tmp_path, [])
    async with shown(places_in(tmp_path), opening.Review(str(path))) as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, ReviewPage) and "Nothing was recorded yet." in text_of(app))
        for key in ("up", "down", "pagedown", "end", "f6", "f6", "tab", "down"):
            await pilot.press(key)
        assert "no events" in text_of(app)


async def test_only_failed_and_stale_and_all_again(tmp_path: Path):
    path = journal(tmp_path, real(60))
    async with review(tmp_path, path) as mine:
        await mine.press("home", *["down"] * 9)
        assert mine.here == 10 and "· answer" in mine.text
        await mine.press("f6")
        await mine.until(lambda: "f6 everything" in mine.text)
        listed = [line[:66] for line in mine.text.splitlines() if line[2:4].isdigit() and line[4] == ":"]
        assert listed and all("✗ failed" in line or "! stale" in line for line in listed)
        shown_now = len(mine.view._entries)
        assert f"{shown_now} of 60" in mine.text.splitlines()[-1]
        await mine.press("end")
        last = mine.here
        await mine.press("f6")
        # One stays where one was.
        assert mine.here == last and len(mine.view._entries) == 60
        assert f"Event {last} of 60" in mine.evidence


async def test_as_of_shows_what_was_known_then(tmp_path: Path):
    path = journal(tmp_path, real(60))
    async with review(tmp_path, path, as_of="2026-01-05T08:30:00Z") as mine:
        assert "events 1 to 30" in mine.text and "up to 2026-01-05 08:30 UTC" in mine.text
        assert mine.here == 30


# ---------------------------------------------------------------- what must not be missed


@pytest.mark.parametrize("size", SIZES)
async def test_a_broken_chain_is_on_top(tmp_path: Path, size: Size):
    path = journal(tmp_path, real(40))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:20], *lines[21:]]))
    async with review(tmp_path, path, size) as mine:
        top = mine.text.splitlines()[:6]
        assert "chain intact" not in mine.text
        assert "✗ chain broken at line 20" in top[1]
        assert top[3].startswith("▌") and "✗ line 20: Line 20 or 21 was changed after it was written" in top[3]
        # What stands behind the damage is shown as what it is.
        assert "✗ not trusted" in mine.cursor_row and "Trust ✗ none" in mine.evidence
        await mine.press("home")
        assert "not trusted" not in mine.cursor_row


@pytest.mark.parametrize("size", SIZES)
async def test_a_torn_tail_the_sandbox_and_more_are_on_top(tmp_path: Path, size: Size):
    path = journal(tmp_path, data_of(40))
    with path.open("ab") as file:
        file.write(b'{"seq":41,"ts":')
    async with review(tmp_path, path, size) as mine:
        top = "\n".join(mine.text.splitlines()[:7])
        assert "READ-ONLY   SANDBOX" in top
        assert "The last line is torn: 15 bytes" in top
        assert "SANDBOX: a rehearsal" in top


async def test_what_was_let_pass_without_proof_is_on_top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import wizard.reviewing
    from wizard.statements import Reviewed

    path = journal(tmp_path, real(40))
    opened = wizard.reviewing.open_for_review

    def with_unproven(*given: Any) -> Reviewed:
        from dataclasses import replace

        reasons = tuple(f"step 8 dpe-{number}: the DNS team was not there" for number in range(30))
        return replace(opened(*given), unproven=reasons)

    monkeypatch.setattr(wizard.reviewing, "open_for_review", with_unproven)
    async with review(tmp_path, path, SMALL) as mine:
        assert "Without observed proof: step 8 dpe-0: the DNS team was not there" in mine.text
        # Thirty of them do not push the timeline off the screen, and none is passed over in silence.
        assert "27 more lines" in mine.text
        assert await out_of_view(mine.app, mine.pilot) == []
        await mine.press("ctrl+y")
        await mine.until(lambda: isinstance(mine.app.screen, CopySheet))
        assert "step 8 dpe-29" in mine.app.clipboard


async def test_a_guide_that_is_not_known_here(tmp_path: Path):
    path = tmp_path / "other.jsonl"
    path.write_bytes(b"\n".join(lines_of(real(40), "other", GuideRef(id="of-tomorrow", version=9))) + b"\n")
    async with review(tmp_path, path) as mine:
        assert "steps not known" in mine.text
        assert "There is no guide of-tomorrow in this version" in mine.text
        assert mine.here == 40


# ---------------------------------------------------------------- nothing can be changed


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Clipboard programs and helm that leave a mark when they are started; returns where."""
    marks, directory = tmp_path / "marks", tmp_path / "bin"
    for one in (marks, directory):
        one.mkdir()
    for name in ("wl-copy", "xclip", "xsel", "pbcopy", "clip.exe", "helm", "kubectl", "tmux"):
        program = directory / name
        program.write_text(f"#!/bin/sh\n: > {marks / name}\ncat > /dev/null\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    for name in ("TMUX", "SSH_CONNECTION", "SSH_TTY", "SSH_CLIENT"):
        monkeypatch.delenv(name, raising=False)
    return marks


async def test_copying_starts_no_program(tmp_path: Path, programs: Path):
    path = journal(tmp_path, real(60))
    async with review(tmp_path, path) as mine:
        for _ in range(2):
            await mine.press("ctrl+y")
            await mine.until(lambda: isinstance(mine.app.screen, CopySheet))
            await mine.press("escape")
            await mine.press("f1")  # the same from what is shown over a review
            mine.app.copy("from over it")
            await mine.until(lambda: isinstance(mine.app.screen, CopySheet))
            assert "Sent to the terminal's clipboard" in mine.text
            await mine.press("escape", "f1")
            await mine.until(lambda: isinstance(mine.app.screen, ReviewPage))
        assert list(programs.iterdir()) == []


async def test_the_same_copy_on_another_page_starts_one(tmp_path: Path, programs: Path):
    """So the test above could fail."""
    async with shown(places_in(tmp_path)) as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, HomePage))
        app.copy("from home")
        await until(pilot, lambda: isinstance(app.screen, CopySheet))
        assert list(programs.iterdir()) != []


async def test_what_is_copied_says_what_it_is_worth(tmp_path: Path):
    path = journal(tmp_path, real(60))
    async with review(tmp_path, path) as mine:
        await mine.press("ctrl+y")
        await mine.until(lambda: isinstance(mine.app.screen, CopySheet))
        text = mine.app.clipboard
        head = hashlib.sha256(path.read_bytes().splitlines()[-1]).hexdigest()
        for line in (f"Review of prod, {path}", "chain intact, events 1 to 60", f"head {head}", "Event: 60 of 60"):
            assert line in text, line
        assert "SHA-256: 000000000000" in text


@pytest.mark.parametrize("over_home", [False, True], ids=["alone", "over home"])
async def test_preflight_is_not_reached(tmp_path: Path, programs: Path, over_home: bool):
    path = make_setup(tmp_path / "real", "prod")
    start = opening.Home() if over_home else opening.Review(str(path))
    async with shown(places_in(tmp_path), start) as (app, pilot):
        if over_home:
            from screens.opening import review as open_review

            await until(pilot, lambda: isinstance(app.screen, HomePage))
            app.do(open_review(app, "prod"))
        await until(pilot, lambda: isinstance(app.screen, ReviewPage))
        await pilot.press("f5")
        await pilot.press("f1", "f5", "escape")
        await until(pilot, lambda: isinstance(app.screen, ReviewPage))
        assert not any(isinstance(screen, PreflightPage) for screen in app.screen_stack)
        offered: list[SystemCommand] = list(app.get_system_commands(app.screen))
        assert {"Help", "Quit", "Export", "Only failed and stale"} < {one.title for one in offered}
        assert "Preflight" not in {one.title for one in offered}
        assert list(programs.iterdir()) == []
        if over_home:
            await pilot.press("escape")
            await until(pilot, lambda: isinstance(app.screen, HomePage))
            assert "Preflight" in {one.title for one in app.get_system_commands(app.screen)}


async def test_every_key_and_every_command_leaves_everything_as_it_was(tmp_path: Path, programs: Path):
    evidence = tmp_path / "evidence"
    evidence.mkdir()
    path = evidence / "prod.jsonl"
    shutil.copy(journal(tmp_path, real(60)), path)
    before, others = everything(evidence), sorted(tmp_path.rglob("*"))
    async with review(tmp_path, path) as mine:
        for title in ("Only failed and stale", "Export", "Copy", "Help", "Colours: light"):
            command = next(one for one in mine.app.get_system_commands(mine.app.screen) if one.title == title)
            command.callback()
            if title in ("Export", "Copy", "Help"):
                await mine.until(lambda: not isinstance(mine.app.screen, ReviewPage))
                await mine.press("escape")
            await mine.until(lambda: isinstance(mine.app.screen, ReviewPage))
        for key in ("f2", "f3", "f4", "f5", "f6", "f7", "f9", "ctrl+n", "ctrl+r", "ctrl+s", "ctrl+z", "enter", "space"):
            await mine.press(key)
        assert isinstance(mine.app.screen, ReviewPage)
    assert everything(evidence) == before
    assert sorted(tmp_path.rglob("*")) == others


async def test_an_unforeseen_error_in_a_review_writes_no_log(tmp_path: Path):
    path = journal(tmp_path, real(40))
    before = sorted(tmp_path.rglob("*"))

    async def fail() -> None:
        raise ZeroDivisionError

    async with review(tmp_path, path) as mine:
        mine.app.do(fail())
        await mine.until(lambda: "something it does not know: ZeroDivisionError" in mine.text)
        assert "its log could not be written" in mine.text
    assert sorted(tmp_path.rglob("*")) == before


async def test_export_shows_commands_that_work(tmp_path: Path):
    from click.testing import CliRunner

    from wizard.cli import app as command_line

    directory = tmp_path / "it's a copy"
    directory.mkdir()
    path = directory / "prod.jsonl"
    shutil.copy(journal(tmp_path, real(60)), path)
    async with review(tmp_path, path) as mine:
        before = sorted(tmp_path.rglob("*"))
        await mine.press("f8")
        await mine.until(lambda: isinstance(mine.app.screen, CopySheet))
        assert hashlib.sha256(path.read_bytes().splitlines()[-1]).hexdigest() in mine.text
        commands = mine.app.clipboard.splitlines()
        assert sorted(tmp_path.rglob("*")) == before
    import shlex

    as_html, as_json, compared = (shlex.split(one) for one in commands)
    assert as_html[:3] == ["privatelink-wizard", "review", str(path)]
    assert "--expect" in compared
    for words, name in ((as_html, "prod-review.html"), (as_json, "prod-review.json")):
        assert words[-1] == name
        done = CliRunner().invoke(command_line, [*words[1:-1], str(tmp_path / name)], obj={})
        assert done.exit_code == 0, done.output
        assert "2026-01-05" in (tmp_path / name).read_text()


async def test_escape_ends_a_review_that_was_opened_as_such(tmp_path: Path):
    path = journal(tmp_path, real(40))
    async with review(tmp_path, path) as mine:
        await mine.press("escape")
        await mine.until(lambda: not mine.app.is_running)
        assert mine.app.return_code == 0


# ---------------------------------------------------------------- large, small, and other sizes


async def test_a_large_journal_makes_only_the_rows_in_view(tmp_path: Path):
    path = journal(tmp_path, real(20_000))
    async with review(tmp_path, path) as mine:
        made = 0
        make = mine.view.line_of

        def counted(*given: Any) -> Any:
            nonlocal made
            made += 1
            return make(*given)

        mine.view.line_of = counted  # type: ignore[method-assign, assignment]
        for key in ("home", "end", "pageup", "up", "down", "f6", "f6"):
            await mine.press(key)
        assert 0 < made < 7 * 40 * 4
        assert "Event 19" in mine.evidence


async def test_a_resize_keeps_the_highlighted_statement_in_view(tmp_path: Path):
    path = journal(tmp_path, real(400))
    async with review(tmp_path, path) as mine:
        await mine.press("pageup", "pageup")
        here = mine.here
        when = next(one for one in mine.view._entries if one.seq == here).ts[11:16]
        for size in (SMALL, (60, 15), LARGE):
            await mine.pilot.resize_terminal(*size)
            await mine.until(lambda: when in mine.cursor_row)
            assert mine.here == here


async def test_a_click_highlights(tmp_path: Path):
    path = journal(tmp_path, real(40))
    async with review(tmp_path, path) as mine:
        await mine.press("home")
        await mine.pilot.click(TimelineView, offset=(5, 4))
        await mine.until(lambda: mine.here == 4)
        assert "08:04" in mine.cursor_row


# ---------------------------------------------------------------- by step


def confirmed(data: list[Data], step: str, items: tuple[str, ...] = ()) -> Attested:
    """A person's word for a step, for the values of `data`."""
    view = view_of(snapshot_of(*data), ItemStep(step, items))
    attest = view.step.attest
    assert attest is not None
    return Attested(
        step=step,
        items=items,
        text_id=attest.id,
        revision=attest.revision,
        text=attest.text(view),
        fingerprint=view.fingerprint(attest.id, attest.revision),
    )


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_every_step_with_what_it_rests_on(tmp_path: Path, size: Size):
    data = real(60)
    data.append(confirmed(data, "connectivity"))
    path = journal(tmp_path, data)
    async with review(tmp_path, path, size) as mine:
        last = mine.here
        await mine.press("f4")
        steps = mine.app.screen.query_one(PlacesView)
        assert steps.has_focus and not mine.view.display
        assert await out_of_view(mine.app, mine.pilot) == []
        await mine.until(lambda: "Confirmed words" in mine.evidence)
        # Who confirmed which words.
        assert "1 Connectivity settings State • attested" in mine.evidence
        assert "Words In the portal, Azure PrivateLink is chosen for the environment production" in mine.evidence
        assert "By ada@build-01 via screen; claimed, not proven" in mine.evidence
        await mine.press(*["down"] * 2)
        # What was never observed, and what nobody looked at.
        await mine.until(lambda: "3 Create Private Endpoint" in mine.evidence)
        assert "never: no look was ever good for it" in mine.evidence
        assert "Private Endpoint State never looked at" in mine.evidence
        assert "never observed" in mine.cursor_row and "pe-weu" in mine.cursor_row
        await mine.press(*["down"] * 2)
        # What is stale, with the values that it was found for.
        await mine.until(lambda: "5 DNS records" in mine.evidence)
        assert "Resolvers from here advises only State ! stale" in mine.evidence
        assert "It does not count: an input changed since." in mine.evidence
        assert "Azure's DNS records State never looked at" in mine.evidence
        await mine.press("ctrl+y")
        await mine.until(lambda: isinstance(mine.app.screen, CopySheet))
        assert "5 DNS records\nState" in mine.app.clipboard and "SHA-256" in mine.app.clipboard
        await mine.press("escape")
        await mine.press("f4")
        await mine.until(lambda: mine.view.display and mine.view.has_focus)
        assert mine.here == last, "the timeline is as it was left"


async def test_only_the_steps_that_failed_or_are_stale(tmp_path: Path):
    data = real(60)
    data.append(confirmed(data, "connectivity"))
    data.append(FieldSet(item=None, field="environment_name", value="other"))
    path = journal(tmp_path, data)
    async with review(tmp_path, path) as mine:
        await mine.press("f4", "f6")
        steps = mine.app.screen.query_one(PlacesView)
        assert {place.status for place in steps._entries} == {"stale"}
        assert f"{steps.shown} of 8" in mine.text
        assert "f6 everything" in mine.text
        await mine.press("f6")
        assert steps.shown == 8


async def test_the_steps_of_a_guide_that_is_not_known_here(tmp_path: Path):
    path = tmp_path / "other.jsonl"
    path.write_bytes(b"\n".join(lines_of(real(40), "other", GuideRef(id="of-tomorrow", version=9))) + b"\n")
    async with review(tmp_path, path) as mine:
        await mine.press("f4")
        await mine.until(lambda: "The steps of this guide are not known here." in mine.text)
        await mine.press("down", "ctrl+y")
        await mine.until(lambda: isinstance(mine.app.screen, CopySheet))
