"""The sandbox's servers for a setup that is resumed: found again, joined, ended; and never where a copied file says."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from screens.home import HomePage
from state.actor import current_actor
from state.events import Actor, Data, EnvironmentSet, Event, GuideRef, Header
from state.problem import Problem
from state.snapshot import Snapshot, fold
from tests.screens.harness import shown, text_of
from tests.screens.harness import until as until_drawn
from tests.setups import make_setup
from tests.wizard.engine import NOW
from wizard import opening
from wizard.places import Places
from wizard.rehearsal import serving, start_serving
from wizard.sandbox import workdir


@pytest.fixture
def places(tmp_path: Path, helm4: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    """A user with a helm, whose sandbox has a directory of its own."""
    monkeypatch.setenv("PATH", str(helm4.parent))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PRIVATELINK_SANDBOX_DIR", str(tmp_path / "sandbox"))
    monkeypatch.delenv("PRIVATELINK_STATE_DIR", raising=False)
    return Places(tmp_path / "state", tmp_path / "state-sandbox")


def pointing_to(kubeconfig: Path, actor: Actor) -> Snapshot:
    """A sandbox setup whose environment `actor` entered."""
    data: Data = EnvironmentSet(sandbox=True, kubeconfig=str(kubeconfig))
    event = Event(seq=1, ts=NOW, actor=actor, type=data.TYPE, v=1, data=data, prev="")
    return fold(Header(seq=0, format="x", guide=GuideRef(id="x", version=1), name="x", ts=NOW), [event])


def answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


async def test_servers_are_started_and_stopped_beside_a_running_loop(places: Places):
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticking = asyncio.ensure_future(tick())
    served = await start_serving(places)
    assert ticks > 1, "the loop went on meanwhile"
    assert answers(served.info.registry)
    joined = await start_serving(places)
    assert joined.info == served.info
    joined.close()
    assert answers(served.info.registry), "whoever joined does not end it"
    served.close()
    served.close()
    assert not answers(served.info.registry)
    ticking.cancel()


async def test_a_start_that_is_given_up_leaves_no_servers(places: Places, tmp_path: Path):
    starting = asyncio.ensure_future(start_serving(places))
    work = workdir.WorkDir(tmp_path / "sandbox")
    await until(lambda: work.lock.exists() and workdir.is_held(work))
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    await until(lambda: not workdir.is_held(work))


async def until(condition) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


def test_without_helm_nothing_is_made(places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Problem) as caught, serving(places):
        pass
    assert caught.value.code == "helm-missing"
    assert not (tmp_path / "sandbox").exists()


def test_a_setup_finds_the_servers_it_points_to(places: Places, tmp_path: Path):
    """Not those of the default place: a setup made against another sandbox goes on there."""
    mine = pointing_to(tmp_path / "other" / "kubeconfig", current_actor("screen"))
    with serving(places, mine) as info:
        assert info.work_dir == str(tmp_path / "other")
        assert answers(info.registry)
    assert not (tmp_path / "sandbox").exists()


def test_a_path_that_came_with_a_copied_file_is_not_touched(places: Places, tmp_path: Path):
    foreign = pointing_to(tmp_path / "other" / "kubeconfig", Actor(user="mallory", host="elsewhere", via="screen"))
    with serving(places, foreign) as info:
        assert info.work_dir == str(tmp_path / "sandbox")
    assert not (tmp_path / "other").exists()


async def test_a_setup_is_opened_with_the_servers_it_needs(places: Places, tmp_path: Path):
    """A real one has none. Those of a sandbox one end with the screens, however these end."""
    work_dir = workdir.WorkDir(tmp_path / "sandbox")
    make_setup(places.real.state_dir, "real", 0)
    async with shown(places, opening.Resume("real")) as (app, _):
        assert app.serving is None
        assert not work_dir.path.exists()
    make_setup(places.sandbox.state_dir, "rehearsal", 1)
    async with shown(places, opening.Resume("rehearsal")) as (app, _):
        assert app.serving is not None
        assert workdir.is_held(work_dir)
        app.end_serving()
    assert not workdir.is_held(work_dir)


async def test_a_sandbox_setup_without_helm_says_how_to_get_one(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Its servers can't come back without; home is below, for a setup that needs none."""
    monkeypatch.setenv("PATH", "/nowhere")
    make_setup(places.sandbox.state_dir, "rehearsal", 1)
    async with shown(places, opening.Resume("rehearsal")) as (app, pilot):
        await until_drawn(pilot, lambda: "There is no helm 3.8 or newer on PATH." in text_of(app))
        assert "--fetch-helm" in text_of(app)
        await pilot.press("escape")
        await until_drawn(pilot, lambda: isinstance(app.screen, HomePage))
    assert not (tmp_path / "sandbox").exists()
