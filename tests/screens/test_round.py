"""A look at everything in a setup of a hundred DPEs with two endpoints each: the screen stays with who types."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from screens.app import WizardApp
from screens.step import StepPage
from state.actor import current_actor
from tests.bench.many import setup_of
from tests.screens.harness import places_in, shown, text_of, until
from tests.setups import GUIDE as REFERENCE
from tests.state.make_journal import lines_of
from tests.wizard.engine import Cluster
from tests.wizard.test_round import world_of
from wizard import opening
from wizard.guide import ItemStep
from wizard.open_setup import OpenSetup
from wizard.ports import ClusterIdentity

pytestmark = pytest.mark.slow

DPES = 100


class Waiting(Cluster):
    """A cluster that answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = asyncio.Event()

    async def identity(self) -> ClusterIdentity:
        await self.answers.wait()
        return await super().identity()


@asynccontextmanager
async def _many(tmp_path: Path, dpes: int) -> AsyncIterator[tuple[WizardApp, Pilot[int], OpenSetup, Waiting]]:
    """The step screen of a setup of so many DPEs, at an endpoint; all is there, and the cluster waits."""
    setups = tmp_path / "real" / "setups"
    for directory in (setups.parent, setups):
        directory.mkdir(mode=0o700)
    data = list(setup_of(dpes))[1:]  # without an environment, so that nothing of this machine is asked
    path = setups / "many.jsonl"
    path.write_bytes(b"\n".join(lines_of(data, "many", REFERENCE, current_actor("screen"))) + b"\n")
    path.chmod(0o600)
    async with shown(places_in(tmp_path), opening.Resume("many")) as (app, pilot):
        await until(pilot, lambda: app.setup is not None and app.focused is not None, patience=60)
        setup, cluster = app.setup, Waiting()
        assert setup is not None
        setup.session.readers = replace(world_of(dpes)[2], cluster=cluster)
        await app.push_screen(StepPage(ItemStep("endpoint", ("endpoint/pe-000",))))
        await until(pilot, lambda: bool(app.screen.query("FieldRow")), patience=60)
        yield app, pilot, setup, cluster


def _going(setup: OpenSetup) -> Any:
    assert setup.round is not None
    return setup.round


async def test_a_key_is_answered_while_everything_is_looked_at(tmp_path: Path):
    async with _many(tmp_path, DPES) as (app, pilot, setup, cluster):
        setup.look_all()
        going = _going(setup)
        assert going.total == sum(len(setup.session.view(place).step.checks) for place in going.works) > 10 * DPES
        await until(pilot, lambda: going.done > 20, patience=60)
        assert going.running
        field = next(row.input for row in app.screen.query("FieldRow").results() if "name" in str(row.model.key))  # type: ignore[attr-defined]
        assert isinstance(field, Input)
        field.focus()
        before = going.done
        await pilot.press("end", "z", "q", "x")
        assert field.value.endswith("zqx")
        await until(pilot, lambda: "zqx" in text_of(app), patience=60)
        assert going.running, "the looks went on meanwhile"
        assert before < going.total
        await until(pilot, lambda: re.search(rf"looking, \d+ of {going.total}", text_of(app)), patience=60)
        cluster.answers.set()
        await until(pilot, lambda: not going.running, patience=60)
        assert going.done == going.total == len(setup.session.snapshot.findings)
        await until(pilot, lambda: "looking, " not in text_of(app), patience=60)


async def test_what_was_found_before_it_was_stopped_is_kept(tmp_path: Path):
    async with _many(tmp_path, 3) as (app, pilot, setup, _):
        setup.look_all()
        going = _going(setup)
        await until(pilot, lambda: going.done == going.total - 3 * 3)
        titles = [title for title, _, _ in app.screen.commands()]  # type: ignore[attr-defined]
        assert "Stop checking" in titles
        await app.screen.run_action("stop_looking")
        await until(pilot, lambda: not going.running)

        assert len(setup.session.snapshot.findings) == going.done
        assert not [work for work in setup.work.values() if work.running]
        assert "Stop checking" not in [title for title, _, _ in app.screen.commands()]  # type: ignore[attr-defined]
