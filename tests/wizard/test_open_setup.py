"""A setup that is open: what runs in it, one thing at a time for an item's step, and how it is closed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from state.events import ProbeStarted
from state.lock import Locked
from state.problem import Problem
from tests.setups import DPM, MINIO
from tests.wizard.engine import DNS, TOKEN, UPDATE, Cluster, Helm, attest_until, fill, refused, release
from tests.wizard.test_cluster_lookup import Inside
from wizard.actions import helm_release
from wizard.actions.values_file import read_values
from wizard.guide import BY_EXEC, BY_POD
from wizard.guides import DEFAULT
from wizard.open_setup import OpenSetup, new_setup, open_setup
from wizard.places import Places
from wizard.ports import ProcessIdentity, Progress, Readers, Release, Upgrade, Writers
from wizard.work import ACTING, LOOKING, PLANNING, RESUMING


class SlowHelm(Helm):
    """Upgrades when it is told to."""

    def __init__(self, *revisions: Release) -> None:
        super().__init__(*revisions)
        self.begun, self.ready = asyncio.Event(), asyncio.Event()

    async def upgrade(
        self, what: Upgrade, *, started: Callable[[ProcessIdentity], None], progress: Progress
    ) -> Release:
        started(ProcessIdentity(2, "2", "boot"))
        self.begun.set()
        await self.ready.wait()
        return await super().upgrade(what, started=lambda _: None, progress=progress)


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "no-kubeconfig"))
    monkeypatch.setenv("PATH", str(tmp_path / "no-programs"))
    monkeypatch.setattr(helm_release, "POLL_SECONDS", 0.02)
    return Places(tmp_path / "real", tmp_path / "sandbox")


@pytest.fixture
async def setup(places: Places) -> AsyncIterator[OpenSetup]:
    setup = await new_setup(places, "demo", DEFAULT, "self-service", {})
    yield setup
    await setup.close()


def at_seven(setup: OpenSetup, helm: Helm, cluster: Cluster | None = None) -> OpenSetup:
    """Everything before step 7 is confirmed; its values are there, the token in memory."""
    setup.session.readers = Readers(helm=helm, cluster=cluster or Cluster())
    setup.session.writers = Writers(helm=helm)
    fill(setup.session)
    path = setup.places.real.state_dir / "values.yml"
    path.write_text("a: 1\n")
    values = read_values(str(path))
    setup.session.set_field("dpe/dpe-01", "values_file", values.path, file=values.facts)
    attest_until(setup.session, "redeploy")
    setup.hold_secret("dpe/dpe-01", "token", TOKEN, user="dpe-user")
    return setup


async def planned(setup: OpenSetup) -> Any:
    setup.plan(UPDATE)
    await setup.settled(UPDATE)
    found = setup.planned(UPDATE)
    assert found is not None
    return found.plan


def outcomes(setup: OpenSetup) -> list[str]:
    events = setup.places.real.read("demo").events
    return [event.data.outcome for event in events if event.type == "change_finished"]  # type: ignore[attr-defined]


# ---------------------------------------------------------------- opening


async def test_a_new_setup_points_somewhere_and_can_be_opened_again(places: Places):
    setup = await new_setup(places, "demo", DEFAULT, "self-service", {})
    assert (setup.name, setup.sandbox, setup.session.snapshot.mode) == ("demo", False, "self-service")
    with pytest.raises(Locked):
        await open_setup(places, "demo")
    head = await setup.close()
    again = await open_setup(places, "demo")
    assert again.writer.head == head
    assert again.session.environment_is_ours()
    await again.close()


async def test_what_can_not_be_used_makes_no_setup(places: Places):
    for arguments in (("demo", DEFAULT, "no-such-mode", {}), ("demo", DEFAULT, "self-service", {"cloud": "moon"})):
        with pytest.raises(Problem):
            await new_setup(places, *arguments)
    assert places.real.names() == ()


async def test_a_second_setup_of_the_name_is_refused_and_the_first_is_left_alone(places: Places, setup: OpenSetup):
    head = setup.writer.head
    with pytest.raises(Problem):
        await new_setup(places, "demo", DEFAULT, "self-service", {})
    assert setup.writer.head == head


# ---------------------------------------------------------------- intents


async def test_every_change_is_told(setup: OpenSetup):
    told: list[int] = []
    setup.on_change = lambda: told.append(setup.session.snapshot.seq)
    before = setup.session.snapshot.seq
    setup.guarded(setup.session.add_item, "dpe", "dpe-01")
    assert told
    assert told[-1] == before + 1
    with pytest.raises(Problem):
        setup.guarded(setup.session.add_item, "dpe", "Not A Name!")
    assert setup.not_saved is None


async def test_a_failed_save_is_remembered_and_nothing_acts(setup: OpenSetup):
    helm = Helm(release(3, version="16.1.0"))
    plan = await planned(at_seven(setup, helm))
    path = setup.writer.path
    path.rename(path.with_suffix(".kept"))

    problem = refused(lambda: setup.guarded(setup.session.add_item, "dpe", "dpe-02"))

    assert problem.code == "changed-behind"
    assert setup.not_saved is problem
    assert refused(lambda: setup.apply(UPDATE, plan)) is problem
    assert helm.calls == []
    setup.look(UPDATE)
    work = await setup.settled(UPDATE)
    assert work is not None
    assert work.problem is not None
    path.with_suffix(".kept").rename(path)
    assert setup.not_saved is problem, "until it is opened again"


async def test_a_secret_is_kept_for_the_session_alone(setup: OpenSetup):
    at_seven(setup, Helm())
    assert setup.has_secret("dpe/dpe-01", "token")
    assert TOKEN.reveal() not in setup.writer.path.read_text()
    assert TOKEN.reveal() not in repr(setup)
    refused(lambda: setup.guarded(setup.session.set_field, "dpe/dpe-01", "release", TOKEN.reveal()))
    assert setup.session.snapshot.value("dpe/dpe-01", "release") == "dpe-01"


# ---------------------------------------------------------------- work


async def test_a_plan_counts_for_the_values_it_was_read_for(setup: OpenSetup):
    await planned(at_seven(setup, Helm(release(3, version="16.1.0"))))
    setup.guarded(setup.session.set_field, "dpe/dpe-01", "version", "16.3.0")
    assert setup.planned(UPDATE) is None


async def test_what_was_planned_before_counts_no_more_while_it_is_read_again(setup: OpenSetup):
    cluster = Cluster()
    at_seven(setup, Helm(release(3, version="16.1.0")), cluster)
    await planned(setup)
    cluster.failure = Problem("cluster-unreachable", "The cluster does not answer.")
    setup.plan(UPDATE)
    assert setup.planned(UPDATE) is None
    work = await setup.settled(UPDATE)
    assert work is not None
    assert work.problem is cluster.failure
    assert setup.planned(UPDATE) is None


async def test_a_look_stops_neither_a_plan_nor_a_change(setup: OpenSetup):
    helm = SlowHelm(release(3, version="16.1.0"))
    at_seven(setup, helm, Cluster(delay=0.05))
    setup.plan(UPDATE)
    setup.look(UPDATE)
    assert setup.work[UPDATE].kind == PLANNING
    await setup.settled(UPDATE)
    found = setup.planned(UPDATE)
    assert found is not None

    setup.apply(UPDATE, found.plan)
    await asyncio.wait_for(helm.begun.wait(), 20)
    for again in (setup.look, setup.plan):
        again(UPDATE)
        assert setup.work[UPDATE].kind == ACTING
    setup.apply(UPDATE, found.plan)
    assert [work.kind for work in setup.running()] == [ACTING]
    helm.ready.set()
    await setup.settled(UPDATE)
    assert [call[0] for call in helm.calls] == ["login", "upgrade"]
    assert outcomes(setup) == ["done"]


async def test_a_plan_takes_the_place_of_a_look(setup: OpenSetup):
    at_seven(setup, Helm(release(3, version="16.1.0")), Cluster(delay=0.05))
    setup.look(UPDATE)
    assert setup.work[UPDATE].kind == LOOKING
    assert setup.running() == ()
    assert (await planned(setup)).summary


async def test_a_round_looks_everywhere_and_counts(setup: OpenSetup):
    at_seven(setup, Helm(release(3, version="16.1.0")))
    setup.look_all()
    going = setup.round
    assert going is not None and going.running and UPDATE in going.works
    setup.look_all()
    assert setup.round is going, "one at a time"
    work = await setup.settled(UPDATE)
    assert work is going.works[UPDATE] and not work.running
    assert (going.done, going.running) == (going.total, False)
    assert len(setup.session.snapshot.findings) == going.total


async def test_a_round_looks_from_inside_the_cluster_where_that_was_allowed(setup: OpenSetup):
    at_seven(setup, Helm(release(3, version="16.1.0")))
    inside = Inside({DPM: ("10.20.1.4",), MINIO: ("10.20.1.4",)})
    setup.session.writers = Writers(probe=inside)
    setup.session.consent(BY_EXEC)
    setup.look_all()
    await setup.settled(UPDATE)
    await setup.settled(DNS)
    found = setup.session.snapshot.findings[DNS.step, DNS.items, "cluster-lookup"]
    assert found.data.text.startswith("private inside the cluster")
    assert inside.asked == ["dpe-7d9f"]


async def test_a_round_records_nothing_of_what_changed_meanwhile(setup: OpenSetup):
    """What it began to look at is not what is there now: its finding would be stale, or older than a change's end."""
    at_seven(setup, Helm(release(3, version="16.1.0")), Cluster(delay=0.1))
    setup.look_all()
    await asyncio.sleep(0.02)
    setup.session.set_field("dpe/dpe-01", "version", "16.3.0")
    await setup.settled(UPDATE)
    seen = {step for step, _, _ in setup.session.snapshot.findings}
    assert "update-dpe" not in seen and "endpoint" in seen


async def test_a_plan_takes_the_place_of_a_round_there_and_the_round_goes_on(setup: OpenSetup):
    at_seven(setup, Helm(release(3, version="16.1.0")), Cluster(delay=0.1))
    setup.look_all()
    going = setup.round
    await asyncio.sleep(0.02)
    setup.plan(UPDATE)
    assert setup.work[UPDATE].kind == PLANNING
    await setup.settled(UPDATE)
    assert setup.planned(UPDATE) is not None
    async with asyncio.timeout(20):
        while going is not None and going.running:
            await asyncio.sleep(0.01)
    assert ("update-dpe", UPDATE.items, "release") not in setup.session.snapshot.findings


async def test_cancelling_a_look_of_a_round_ends_the_round(setup: OpenSetup):
    at_seven(setup, Helm(release(3, version="16.1.0")), Cluster(delay=60))
    setup.look_all()
    await asyncio.sleep(0.05)
    setup.cancel(UPDATE)
    await setup.settled(UPDATE)
    assert setup.round is not None and not setup.round.running
    assert not [work for work in setup.work.values() if work.running]


async def test_cancelling_is_written_and_can_be_begun_again(setup: OpenSetup):
    helm = SlowHelm(release(3, version="16.1.0"))
    plan = await planned(at_seven(setup, helm))
    setup.apply(UPDATE, plan)
    await asyncio.wait_for(helm.begun.wait(), 20)
    setup.cancel(UPDATE)
    setup.cancel(UPDATE)
    work = await setup.settled(UPDATE)
    assert work is not None
    assert work.cancelling
    assert (work.running, work.problem, work.phases[-1].state) == (False, None, "cancelled")
    assert outcomes(setup) == ["cancelled"]
    helm.ready.set()
    setup.apply(UPDATE, await planned(setup))
    await setup.settled(UPDATE)
    assert outcomes(setup) == ["cancelled", "done"]


async def test_what_nobody_foresaw_is_a_problem_with_a_log(setup: OpenSetup):
    helm = SlowHelm(release(3, version="16.1.0"))
    helm.failure = RuntimeError(TOKEN.reveal())
    helm.ready.set()
    setup.apply(UPDATE, await planned(at_seven(setup, helm)))
    work = await setup.settled(UPDATE)
    assert work is not None
    assert work.problem is not None
    assert work.problem.code == "internal"
    assert str(setup.places.real.state_dir) in work.problem.todo
    assert outcomes(setup) == ["unknown"]
    for log in (setup.places.real.state_dir / "log").iterdir():
        assert TOKEN.reveal() not in log.read_text()


# ---------------------------------------------------------------- another environment


async def probing(setup: OpenSetup) -> tuple[Inside, list[str]]:
    """A look whose pod was just made and does not answer, and what happens until the adapters are closed."""
    at_seven(setup, Helm(release(3, version="16.1.0")))
    inside = Inside(refuses_exec=True, waits=asyncio.Event(), removing=0.2)
    setup.session.writers = Writers(probe=inside)
    setup.session.consent(BY_POD)
    happened = inside.removed

    def closed() -> None:
        happened.append("closed")

    setup._adapters.callback(closed)
    return inside, happened


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("way", ["look", "round", "replaced"])
async def test_another_environment_waits_until_a_look_has_removed_its_pod(setup: OpenSetup, way: str):
    _, happened = await probing(setup)
    if way == "round":
        setup.look_all()
    else:
        setup.look(DNS)
    await until(lambda: bool(setup.session.snapshot.probes))
    (pod,) = setup.session.snapshot.probes
    if way == "replaced":
        setup.plan(DNS)
    await setup.point_to({})
    assert happened == [pod, "closed"]
    assert setup.session.snapshot.probes == {}
    assert not [work for work in setup.work.values() if work.running]


async def test_another_environment_ends_the_sweep_and_tells_of_what_is_left(setup: OpenSetup):
    await probing(setup)
    setup.session.commit(ProbeStarted(pod="probe-1", namespace="dpe", server=Cluster().server))
    setup.session.readers = Readers(cluster=Cluster(delay=60))
    noted: list[str] = []
    setup.on_note = noted.append
    setup.resume_all()
    first = setup._sweep_task
    await asyncio.sleep(0)
    await setup.point_to({})
    assert first is not None and first.cancelled()
    await until(lambda: bool(noted))
    assert "probe-1 in namespace dpe" in noted[0] and "No kubeconfig" in noted[0]
    assert setup.notes[-1] == noted[0]
    assert list(setup.session.snapshot.probes) == ["probe-1"]


async def test_a_pod_in_another_cluster_is_told_when_the_setup_is_taken_up(setup: OpenSetup):
    inside, _ = await probing(setup)
    setup.session.commit(ProbeStarted(pod="probe-1", namespace="dpe", server="https://other:443"))
    noted: list[str] = []
    setup.on_note = noted.append
    setup.resume_all()
    await until(lambda: bool(noted))
    assert "probe-1" in noted[0] and "https://other:443" in noted[0]
    assert inside.asked == []
    assert setup._sweep_task is not None
    await setup._sweep_task
    setup.resume_all()
    await setup._sweep_task
    assert len(noted) == 1, "nobody can do more about it here"


async def test_from_the_word_on_nothing_is_asked_where_the_setup_pointed_before(setup: OpenSetup):
    """A look that begins while another one's pod is being removed would be journalled as the new cluster's."""
    await probing(setup)
    before = setup.session.readers
    setup.look(DNS)
    await until(lambda: bool(setup.session.snapshot.probes))
    (pod,) = setup.session.snapshot.probes
    first, second = asyncio.create_task(setup.point_to({})), asyncio.create_task(setup.point_to({}))
    await until(lambda: setup.session.readers is not before)
    assert pod in setup.session.snapshot.probes, "it still waits"
    assert setup.session.readers == Readers()
    await asyncio.gather(first, second)
    assert setup.session.snapshot.probes == {}


# ---------------------------------------------------------------- the end


@pytest.mark.parametrize(("leave", "written"), [(False, ["cancelled"]), (True, [])])
async def test_closing_stops_what_runs_or_leaves_it_alone(setup: OpenSetup, leave: bool, written: list[str]):
    helm = SlowHelm(release(3, version="16.1.0"))
    setup.apply(UPDATE, await planned(at_seven(setup, helm)))
    await asyncio.wait_for(helm.begun.wait(), 20)
    head = await setup.close(leave_running=leave)
    assert outcomes(setup) == written
    assert setup.places.real.read("demo").head == head
    assert refused(lambda: setup.guarded(setup.session.add_item, "dpe", "dpe-02")).code == "not-saved"

    again = await open_setup(setup.places, "demo")
    again.session.readers = Readers(helm=helm, cluster=Cluster())
    again.resume_all()
    if leave:
        assert [work.kind for work in again.work.values()] == [RESUMING]
        await again.settled(UPDATE)
        assert len(outcomes(again)) == 1
    else:
        assert again.work == {}
    await again.close()
