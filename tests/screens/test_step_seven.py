"""Step 7 on the screen: plan, question, progress, cancel, failure, and leaving while it runs. Ports in memory."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from screens import dialogs
from screens.evidence import EvidencePage
from state.problem import Problem
from tests.screens.at_step import AtStep, at_step, done_before_seven, nowhere
from tests.setups import DPM, MINIO
from tests.wizard.engine import MARK, TOKEN, UPDATE, Cluster, Helm, release
from wizard.actions import helm_release
from wizard.open_setup import OpenSetup
from wizard.ports import ProcessIdentity, Progress, Readers, Release, Upgrade, Workload, Writers

# The whole app for every test: these run in `make test-slow` and CI.
pytestmark = pytest.mark.slow

LIVE = {"hosts": {"dpm": DPM, "minio": MINIO}}


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere(tmp_path, monkeypatch)
    monkeypatch.setattr(helm_release, "POLL_SECONDS", 0.02)


class SlowHelm(Helm):
    """A helm that upgrades when it is told to, and says something meanwhile."""

    def __init__(self, *revisions: Release, values: Mapping[str, Any] | None = None) -> None:
        super().__init__(*revisions, values=values)
        self.begun, self.ready = asyncio.Event(), asyncio.Event()
        self.stopped = False
        self.long: tuple[str, ...] = ()

    async def commands_shown(self, what: Upgrade, registry: str, user: str) -> tuple[str, ...]:
        return (*await super().commands_shown(what, registry, user), *self.long)

    async def upgrade(
        self, what: Upgrade, *, started: Callable[[ProcessIdentity], None], progress: Progress
    ) -> Release:
        self.begun.set()
        progress("creating upgrade for dpe-01")
        try:
            await self.ready.wait()
        except asyncio.CancelledError:
            self.stopped = True
            raise
        return await super().upgrade(what, started=started, progress=progress)


@asynccontextmanager
async def at_seven(
    tmp_path: Path, helm: Helm, cluster: Cluster | None = None, *, size: tuple[int, int] = (120, 40)
) -> AsyncIterator[AtStep]:
    """Step 7 with everything there, the token in memory."""
    cluster = cluster or Cluster()

    def prepare(setup: OpenSetup) -> None:
        done_before_seven(setup)
        setup.hold_secret("dpe/dpe-01", "token", TOKEN, user="dpe-user")

    readers, writers = Readers(helm=helm, cluster=cluster), Writers(helm=helm)
    async with at_step(tmp_path, UPDATE, prepare, readers=readers, writers=writers, size=size) as at:
        yield at


async def start(at: AtStep) -> None:
    """Do it for me, and yes."""
    await at.button("do")
    await at.sheet()
    await at.pilot.pause(dialogs.SEEN_SECONDS)
    await at.button("start")
    await at.alone()


def outcomes(at: AtStep) -> list[str]:
    return [event.data.outcome for event in at.journalled("change_finished")]  # type: ignore[attr-defined]


# ---------------------------------------------------------------- the question


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_the_question_shows_every_command_and_change_whole(tmp_path: Path, size: tuple[int, int]):
    helm = SlowHelm(release(3, version="16.1.0"), values={"hosts": {"dpm": "old.example.com"}})
    helm.long = ("helm upgrade " + " ".join(f"--some-long-flag-{number} value-{number}" for number in range(40)),)
    async with at_seven(tmp_path, helm, size=size) as at:
        await at.button("do")
        await at.sheet()
        planned = at.setup.planned(UPDATE)
        assert planned is not None
        from textual.containers import VerticalScroll

        scroll = at.app.screen.query_one(VerticalScroll)
        seen = ""
        for _ in range(20):
            seen += at.text
            if scroll.scroll_y >= scroll.max_scroll_y:
                break
            await at.press("pagedown")
        together = "".join(seen.split())
        for command in planned.plan.commands:
            for word in command.split():
                assert word in together, word
        for change in planned.plan.changes:
            for word in change.text.split():
                assert word in together, change.text
        assert "…" not in seen.replace("…region", ""), "nothing is cut off"
        assert TOKEN.reveal() not in together
        await at.press("escape")
        await at.alone()
        assert not at.journalled("change_started")
        assert helm.calls == []


async def test_a_second_press_asks_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    helm = SlowHelm(release(3, version="16.1.0"), values=LIVE)
    monkeypatch.setattr(dialogs, "SEEN_SECONDS", 60.0)
    async with at_seven(tmp_path, helm) as at:
        button = at._button("do")
        assert button is not None
        button.focus()
        await at.pilot.press("enter", "enter", "enter")
        await at.sheet()
        await at.press("enter")
        assert len([one for one in at.app.screen_stack if isinstance(one, dialogs.Confirm)]) == 1
        assert not at.setup.running()
        assert not at.journalled("change_started"), "the second press is no yes to what nobody has seen"
        await at.press("escape")
        await at.alone()


async def test_an_empty_plan_changes_nothing_and_looks(tmp_path: Path):
    helm = Helm(release(3), values=LIVE)
    async with at_seven(tmp_path, helm) as at:
        await at.button("do")
        await at.until(lambda: len(at.journalled("found")) == 3)
        assert at.app.screen is at.page
        assert helm.calls == []
        assert not at.journalled("change_started")
        await at.until(lambda: "observed" in at.flat)


async def test_a_pending_release_that_is_not_ours_asks_with_back_first(tmp_path: Path):
    helm = Helm(release(3, version="16.1.0"), release(4, "pending-upgrade", version="16.1.5"), values=LIVE)
    async with at_seven(tmp_path, helm) as at:
        await at.button("do")
        await at.sheet()
        assert "did not start that helm run" in at.flat
        assert at.app.screen.has_class("-danger")
        assert at.app.focused is not None
        assert at.app.focused.name == "back"
        await at.pilot.pause(dialogs.SEEN_SECONDS)
        await at.press("enter")
        await at.alone()
        assert helm.calls == []


async def test_what_can_not_be_planned_says_why(tmp_path: Path):
    gone = Problem("cluster-unreachable", "The cluster does not answer.", todo="Connect the VPN.", detail="dial tcp")
    async with at_seven(tmp_path, Helm(), Cluster(failure=gone)) as at:
        await at.button("do")
        await at.until(lambda: "The cluster does not answer." in at.flat)
        assert at.app.screen is at.page
        assert "Connect the VPN." in at.flat
        await at.press("f4")
        await at.until(lambda: isinstance(at.app.screen, EvidencePage))
        assert "dial tcp" in at.flat


# ---------------------------------------------------------------- while it runs


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_progress_is_shown_survives_leaving_and_ends_observed(tmp_path: Path, size: tuple[int, int]):
    helm = SlowHelm(release(3, version="16.1.0"), values=LIVE)
    waiting = Workload("Deployment", "dpe", 0, 1, reasons=("ImagePullBackOff: no such image",))
    cluster = Cluster(running=(waiting,))
    async with at_seven(tmp_path, helm, cluster, size=size) as at:
        await start(at)
        await asyncio.wait_for(helm.begun.wait(), 20)
        await at.until(lambda: "0 of 1" in at.flat)
        for shown in ("Running", "gives up at", "creating upgrade for dpe-01", "ImagePullBackOff", "Leave it running"):
            assert shown in at.flat
        assert "running" in at.text.split("\n")[1]
        assert not at.page.query_one("#fields").display

        await at.press("escape")
        await at.until(lambda: at.page.model.step.number == 6)
        assert "step 7" in at.text.split("\n")[1]
        await at.step(UPDATE)
        assert "Running" in at.flat

        cluster.running = (Workload("Deployment", "dpe", 1, 1),)
        await at.until(lambda: "1 of 1" in at.flat)
        helm.ready.set()
        await at.until(lambda: not at.setup.running() and "observed" in at.flat)
        assert outcomes(at) == ["done"]
        assert [call[0] for call in helm.calls] == ["login", "upgrade"]
        assert TOKEN.reveal() not in at.on_disk()


async def test_cancel_stops_helm_and_is_written(tmp_path: Path):
    helm = SlowHelm(release(3, version="16.1.0"), values=LIVE)
    async with at_seven(tmp_path, helm) as at:
        await start(at)
        await asyncio.wait_for(helm.begun.wait(), 20)
        await at.button("cancel")
        await at.until(lambda: not at.setup.running())
        assert helm.stopped
        assert outcomes(at) == ["cancelled"]
        await at.until(lambda: at._button("do") is not None)
        assert "cancelled" in at.flat


async def test_a_failure_shows_the_problem_with_its_way_on_and_f4_has_the_whole(tmp_path: Path):
    helm = SlowHelm(release(3, version="16.1.0"), values=LIVE)
    lines = [f"line {number} of what helm said" for number in range(40)]
    helm.failure = Problem(
        "helm-failed", "helm ended with 1.", todo="Read it, then try again.", detail="\n".join(lines)
    )
    helm.ready.set()
    async with at_seven(tmp_path, helm) as at:
        await start(at)
        await at.until(lambda: "helm ended with 1." in at.flat)
        await at.until(lambda: "Read it, then try again." in at.flat)
        await at.until(lambda: "line 39" in at.flat)
        assert outcomes(at) == ["failed"]
        await at.press("f4")
        await at.until(lambda: isinstance(at.app.screen, EvidencePage))
        page = at.app.screen
        assert isinstance(page, EvidencePage)
        text = page.copyable()
        assert all(one in text for one in lines)
        await at.press("escape")
        await at.alone()
        helm.failure = None
        await start(at)
        await at.until(lambda: outcomes(at) == ["failed", "done"])


async def test_hostile_words_of_helm_and_the_cluster_are_drawn_cleaned(tmp_path: Path):
    nasty = "\x1b]0;title\x07[bold]x[/nope] \u202e" + "漢字" * 60 + "👩‍👩‍👧 e\u0301" + "z" * 10_000
    helm = SlowHelm(release(3, version="16.1.0"), values=LIVE)
    helm.failure = Problem("helm-failed", nasty, means=nasty, todo=nasty, detail=nasty)
    cluster = Cluster(running=(Workload("Deployment", "dpe\x1b[31m", 0, 1, reasons=(nasty,)),))
    async with at_seven(tmp_path, helm, cluster, size=(80, 24)) as at:
        await start(at)
        await asyncio.wait_for(helm.begun.wait(), 20)
        await at.until(lambda: "0 of 1" in at.flat)
        assert "\x1b" not in at.text
        helm.ready.set()
        await at.until(lambda: not at.setup.running())
        await at.until(lambda: "[bold]x[/nope]" in at.flat)
        for key in ("f4", "escape", "pagedown"):
            await at.press(key)
            assert not {"\x1b", "\x07", "\u202e"} & set(at.text)


# ---------------------------------------------------------------- leaving


@pytest.mark.parametrize(("answer", "outcome"), [("stay", []), ("leave", []), ("stop", ["cancelled"])])
async def test_quitting_while_it_runs_asks(tmp_path: Path, answer: str, outcome: list[str]):
    helm = SlowHelm(release(3, version="16.1.0"), values=LIVE)
    async with at_seven(tmp_path, helm) as at:
        await start(at)
        await asyncio.wait_for(helm.begun.wait(), 20)
        await at.press("ctrl+q")
        await at.sheet()
        assert "Quit while something runs?" in at.flat
        await at.button(answer)
        if answer == "stay":
            await at.alone()
            assert at.setup.running()
            helm.ready.set()
            await at.until(lambda: not at.setup.running())
            assert outcomes(at) == ["done"]
            return
        with contextlib.suppress(AssertionError):
            await at.until(lambda: at.app.return_code is not None or not at.app.is_running)
        assert at.setup.writer.stopped is not None
        assert outcomes(at) == outcome
        assert at.app.crash is None


class Stubborn(SlowHelm):
    """A helm that takes its time to stop."""

    def __init__(self, *revisions: Release) -> None:
        super().__init__(*revisions, values=LIVE)
        self.gone = asyncio.Event()

    async def upgrade(self, *arguments: Any, **named: Any) -> Release:
        try:
            return await super().upgrade(*arguments, **named)
        except asyncio.CancelledError:
            await self.gone.wait()
            raise


async def test_quitting_again_while_it_stops_does_not_cut_it_short(tmp_path: Path):
    """What was asked to stop is waited for: its end is written, however often one presses."""
    helm = Stubborn(release(3, version="16.1.0"))
    async with at_seven(tmp_path, helm) as at:
        await start(at)
        await asyncio.wait_for(helm.begun.wait(), 20)
        await at.press("ctrl+q")
        await at.sheet()
        await at.button("stop")
        await at.until(lambda: at.app.closing)
        await at.press("ctrl+q", "ctrl+q")
        assert at.app.is_running
        assert outcomes(at) == []
        helm.gone.set()
        with contextlib.suppress(AssertionError):
            await at.until(lambda: at.app.return_code is not None or not at.app.is_running)
        assert outcomes(at) == ["cancelled"]
        assert at.app.crash is None


async def test_leaving_for_home_while_it_stops_never_crashes(tmp_path: Path):
    """helm takes a while to stop; the step is still on the screen then, and keys come."""
    helm = Stubborn(release(3, version="16.1.0"))
    async with at_seven(tmp_path, helm) as at:
        await start(at)
        await asyncio.wait_for(helm.begun.wait(), 20)
        page = at.page
        page.action_home()
        await at.sheet()
        await at.button("stop")
        await at.until(lambda: at.app.setup is None)
        for key in ("ctrl+n", "escape", "f2", "ctrl+r", "f4", "ctrl+z", "f6", "tab", "enter", "ctrl+y"):
            await at.press(key)
        await at.pilot.resize_terminal(80, 24)
        await at.pilot.pause(0.3)
        helm.gone.set()
        await at.until(lambda: page not in at.app.screen_stack)
        assert at.app.crash is None
        assert outcomes(at) == ["cancelled"]


async def test_look_does_not_stop_the_plan_that_was_asked_for(tmp_path: Path):
    helm = SlowHelm(release(3, version="16.1.0"), values=LIVE)
    async with at_seven(tmp_path, helm, Cluster(delay=0.3)) as at:
        button = at._button("do")
        assert button is not None
        button.focus()
        await at.pilot.press("enter", "ctrl+r")
        await at.sheet()
        assert "16.1.0" in at.flat


async def test_the_last_step_asks_for_proof_and_a_reason(tmp_path: Path):
    helm = Helm(release(3), values=LIVE)
    async with at_seven(tmp_path, helm) as at:
        await at.button("do")
        await at.until(lambda: at.setup.session.status().item_steps[UPDATE].status == "observed")
        await at.step(MARK)
        await at.until(lambda: at._button("confirm"))
        await at.button("confirm")
        await at.sheet()
        assert "asks for proof that is not there" in at.flat
        await at.button("unproven")
        await at.until(lambda: "The reason is written into the journal" in at.flat)
        await at.press("enter")
        assert not at.journalled("proof_waived"), "a reason is needed"
        await at.type("told by phone")
        await at.press("enter")
        await at.alone()
        await at.until(lambda: at.journalled("attested")[-1].data.step == "mark-updated")  # type: ignore[attr-defined]
        assert at.journalled("proof_waived")[-1].data.reason == "told by phone"  # type: ignore[attr-defined]
        await at.until(lambda: "told by phone" in at.flat)


async def test_quitting_twice_asks_once(tmp_path: Path):
    helm = SlowHelm(release(3, version="16.1.0"), values=LIVE)
    async with at_seven(tmp_path, helm) as at:
        await start(at)
        await asyncio.wait_for(helm.begun.wait(), 20)
        await at.press("ctrl+q", "ctrl+q")
        await at.sheet()
        assert len([one for one in at.app.screen_stack if isinstance(one, dialogs.Confirm)]) == 1
        await at.press("escape")
        await at.alone()
        assert at.setup.running()
        helm.ready.set()
        await at.until(lambda: not at.setup.running())
