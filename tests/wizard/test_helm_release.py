"""The plan of step 7, what applying it writes, and how an interrupted one is told."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from state.events import BAD, COULD_NOT_LOOK, GOOD, NOT_YET, ChangeFinished, ChangeStarted
from state.problem import EXIT_BAD, Problem
from tests.wizard.engine import (
    TOKEN,
    UPDATE,
    Cluster,
    Helm,
    attest_until,
    fill,
    journalled,
    opened,
    release,
)
from wizard.actions.values_file import read_values
from wizard.guide import Moment, Plan
from wizard.ports import LEAVE, Readers, Workload, Writers
from wizard.session import Session

VALUES = "hosts:\n  dpm: dpm-43ooq-worker-01-eus1.ataccama.link\n  minio: minio-43ooq-worker-01-eus1.ataccama.link\n"


class Step7:
    """A setup whose steps 1 to 6 are confirmed."""

    def __init__(self, path: Path, helm: Helm, cluster: Cluster) -> None:
        self.helm, self.cluster = helm, cluster
        self.values = path / "values.yml"
        self.values.write_text(VALUES)
        self.session: Session = fill(opened(path, Readers(helm=helm, cluster=cluster), Writers(helm=helm)))
        self.enter_values()
        self.session.hold_secret("dpe/dpe-01", "token", TOKEN, user="dpe-user")
        attest_until(self.session, "redeploy")
        self.moments: list[Moment] = []

    def enter_values(self) -> None:
        values = read_values(str(self.values))
        self.session.set_field("dpe/dpe-01", "values_file", values.path, file=values.facts)

    async def plan(self) -> Plan:
        return await self.session.plan(UPDATE)

    async def apply(self, plan: Plan | None = None) -> None:
        await self.session.apply(UPDATE, plan or await self.plan(), self.moments.append)

    async def look(self) -> dict[str, str]:
        return {found.check: found.verdict for found in await self.session.look(UPDATE)}

    def changes(self) -> list[tuple[str, str]]:
        """Each finished change: its outcome and its summary."""
        return [(one.data.outcome, one.data.summary) for one in journalled(self.session, "change_finished")]  # type: ignore[attr-defined]


@pytest.fixture
def make(tmp_path: Path):
    """Makes a setup at step 7 over these revisions."""

    def made(*revisions: Any, values: dict[str, Any] | None = None, cluster: Cluster | None = None) -> Step7:
        return Step7(tmp_path, Helm(*revisions, values=values), cluster or Cluster())

    return made


LIVE = {"hosts": {"dpm": "dpm-43ooq-worker-01-eus1.ataccama.link", "minio": "minio-43ooq-worker-01-eus1.ataccama.link"}}


# ---------------------------------------------------------------- plan


async def test_a_first_install_names_everything_it_makes(make):
    plan = await make(cluster=Cluster(namespaces=())).plan()
    assert [(one.sign, one.text) for one in plan.changes] == [
        ("+", "namespace dpe"),
        ("+", "release dpe-01 16.2.0 in dpe"),
    ]
    assert plan.summary == "install dpe-01 16.2.0 in dpe"
    assert plan.undo == "helm uninstall dpe-01 --namespace dpe"
    assert TOKEN.reveal() not in repr(plan)


async def test_the_same_version_and_values_is_an_empty_plan(make):
    plan = await make(release(3), values=LIVE).plan()
    assert plan.empty
    assert plan.changes[0].text == "release dpe-01 16.2.0 (revision 3, deployed)"


@pytest.mark.parametrize(
    ("revisions", "values", "wanted"),
    [
        ([release(1, version="16.1.0")], LIVE, "release dpe-01 16.1.0 (revision 1, deployed) to 16.2.0"),
        ([release(1, "failed")], LIVE, "release dpe-01 16.2.0 (revision 1, failed) to 16.2.0"),
        ([release(1)], {"hosts": {"dpm": "old.example.link"}}, "value hosts.minio: new"),
    ],
)
async def test_whatever_differs_is_a_change(make, revisions, values, wanted: str):
    plan = await make(*revisions, values=values).plan()
    assert not plan.empty
    assert wanted in [change.text for change in plan.changes]


async def test_planning_changes_nothing(make):
    step = make(release(1, version="16.1.0"))
    before = journalled(step.session)
    await step.plan()
    assert step.helm.calls == []
    assert journalled(step.session) == before


async def test_the_digest_covers_commands_and_values(make):
    step = make()
    one = await step.plan()
    assert (await step.plan()).digest == one.digest
    step.values.write_text(VALUES + "replicaCount: 2\n")
    step.enter_values()
    assert (await step.plan()).digest != one.digest


async def test_a_file_without_the_hosts_is_noted(make):
    step = make()
    assert (await step.plan()).notes == ()
    step.values.write_text("hosts: {dpm: dpm-other.example.link}\n")
    step.enter_values()
    (note,) = (await step.plan()).notes
    assert "dpm-43ooq-worker-01-eus1.ataccama.link" in note


async def test_values_that_changed_since_they_were_entered_stop_the_plan(make):
    step = make()
    step.values.write_text(VALUES + "# edited\n")
    with pytest.raises(Problem) as caught:
        await step.plan()
    assert (caught.value.code, caught.value.exit_code) == ("values-changed", EXIT_BAD)


async def test_what_was_planned_is_what_is_sent(make):
    """The file changes between preview and upgrade: helm gets the bytes that were previewed."""
    step = make()
    plan = await step.plan()
    step.values.write_text("evil: true\n")
    await step.apply(plan)
    assert step.helm.live == LIVE


@pytest.mark.parametrize(
    ("revisions", "way", "sign"),
    [
        ([release(1, "pending-install")], "uninstall dpe-01, which is pending-install", "-"),
        ([release(1), release(2, "pending-upgrade")], "roll dpe-01 back to revision 1: it is pending-upgrade", "~"),
    ],
)
async def test_a_pending_release_offers_its_way_out(make, revisions, way: str, sign: str):
    plan = await make(*revisions).plan()
    assert (plan.changes[0].sign, plan.changes[0].text) == (sign, way)
    assert plan.obstacle
    assert plan.obstacle.risk, "nobody here began that"
    assert plan.commands[0].startswith(("helm uninstall dpe-01", "helm rollback dpe-01 1"))


async def test_without_helm_or_cluster_the_plan_says_so(make, tmp_path: Path):
    step = make()
    for readers, code in ((Readers(cluster=Cluster()), "no-helm"), (Readers(helm=Helm()), "no-cluster")):
        step.session.readers = readers
        with pytest.raises(Problem) as caught:
            await step.plan()
        assert caught.value.code == code


# ---------------------------------------------------------------- apply


async def test_an_upgrade_is_written_before_and_after(make):
    step = make()
    await step.apply()
    assert step.helm.calls == [("login", "registry.example.com", "dpe-user"), ("upgrade", "dpe-01", "16.2.0")]
    types = [one.type for one in journalled(step.session)][-4:]
    assert types == ["identity_pinned", "change_started", "process_started", "change_finished"]
    started = journalled(step.session, "change_started")[-1].data
    assert isinstance(started, ChangeStarted)
    assert started.commands and started.digest and started.undo
    assert step.changes() == [("done", "dpe-01 16.2.0 is deployed, revision 1")]
    assert [moment.kind for moment in step.moments] == ["phase", "phase", "line"]
    assert await step.look() == {"release": GOOD, "workloads": GOOD, "hosts": GOOD}
    assert step.session.status().item_steps[UPDATE].status == "observed"
    assert TOKEN.reveal().encode() not in step.session._writer.path.read_bytes()


async def test_an_upgrade_in_place_is_an_empty_plan_afterwards(make):
    step = make(release(1, version="16.1.0"))
    await step.apply()
    assert (await step.plan()).empty


async def test_a_failure_is_written_with_what_helm_said(make):
    step = make()
    step.helm.failure = Problem("chart-not-found", "There is no such chart.", detail="Error: not found")
    with pytest.raises(Problem):
        await step.apply()
    (finished,) = (one.data for one in journalled(step.session, "change_finished"))
    assert isinstance(finished, ChangeFinished)
    assert (finished.outcome, finished.detail, finished.facts["code"]) == (
        "failed",
        "Error: not found",
        "chart-not-found",
    )
    assert step.session.status().item_steps[UPDATE].status == "failed"


async def test_without_a_token_nothing_begins(make):
    step = make()
    step.session._secrets.clear()
    with pytest.raises(Problem) as caught:
        await step.apply()
    assert caught.value.code == "no-token"
    assert journalled(step.session, "change_started") == [] and step.helm.calls == []


async def test_another_cluster_than_the_pinned_one_is_refused(make):
    step = make()
    await step.apply()
    step.cluster.uid = "99999999-2222-3333-4444-555555555555"
    with pytest.raises(Problem) as caught:
        await step.plan()
    assert (caught.value.code, caught.value.exit_code) == ("other-cluster", EXIT_BAD)
    assert "11111111" in caught.value.what and "99999999" in caught.value.what, "both are named"


async def test_a_cluster_that_changes_between_plan_and_write_is_refused(make):
    step = make()
    plan = await step.plan()
    step.cluster.server = "https://other.example:443"
    with pytest.raises(Problem) as caught:
        await step.apply(plan)
    assert caught.value.code == "other-cluster"
    assert step.helm.calls == [] and journalled(step.session, "change_started") == []


async def test_a_way_out_is_a_change_of_its_own(make):
    step = make(release(1), release(2, "pending-upgrade"))
    await step.apply()
    assert [call[0] for call in step.helm.calls] == ["rollback", "login", "upgrade"]
    assert [outcome for outcome, _ in step.changes()] == ["done", "done"]


# ---------------------------------------------------------------- an interrupted one


@pytest.mark.parametrize(
    ("revisions", "outcome", "says"),
    [
        ([], "cancelled", "before helm made a release"),
        ([release(1)], "cancelled", "before helm made a revision"),
        ([release(1), release(2, "pending-upgrade")], "failed", "revision 2 is pending-upgrade"),
        ([release(1), release(2, "failed")], "failed", "revision 2 is failed"),
        ([release(1), release(2)], "done", "revision 2 is deployed"),
    ],
)
async def test_how_it_ended_is_asked_of_helm(make, revisions, outcome: str, says: str):
    step = make(*revisions)
    begin(step)
    (change,) = step.session.interrupted()
    await step.session.resume(change, step.moments.append, gone=True)
    ((written, summary),) = step.changes()
    assert written == outcome
    assert says in summary
    assert step.session.interrupted() == ()


def begin(step: Step7, *, process: bool = True) -> None:
    """What a wizard that died while it made revision 2 leaves behind: helm was started on a boot that is over."""
    from state.events import ProcessStarted

    view = step.session.view(UPDATE)
    step.session.commit(
        ChangeStarted(
            change="c",
            step=UPDATE.step,
            items=UPDATE.items,
            summary="install dpe-01",
            fingerprint=view.fingerprint("action", 1),
            facts={"revision": "2"},
        )
    )
    if process:
        step.session.commit(ProcessStarted(change="c", pid=1, start_time="1", boot_id="another boot"))


async def test_before_helm_was_started_nothing_can_have_happened(make):
    step = make()
    begin(step, process=False)
    (change,) = step.session.interrupted()
    await step.session.resume(change, step.moments.append)
    assert step.changes() == [("cancelled", "stopped before helm was started")]


async def test_a_process_of_an_earlier_boot_is_gone(make):
    step = make()
    begin(step)
    (change,) = step.session.interrupted()
    await step.session.resume(change, step.moments.append)
    assert [outcome for outcome, _ in step.changes()] == ["cancelled"]


async def test_a_cancelled_one_has_ended(make):
    step = make()
    step.helm.failure = asyncio.CancelledError()
    with pytest.raises(asyncio.CancelledError):
        await step.apply()
    assert step.changes() == [("cancelled", "install dpe-01 16.2.0 in dpe: cancelled")]
    assert step.session.interrupted() == ()


@pytest.mark.parametrize(
    "revisions", [(), (release(1), release(2, "pending-upgrade"))], ids=["install", "after a way out"]
)
async def test_one_that_is_left_running_has_no_end_yet_and_the_next_start_finds_out(make, revisions):
    step = make(*revisions)
    step.helm.failure = asyncio.CancelledError(LEAVE)
    with pytest.raises(asyncio.CancelledError) as caught:
        await step.apply()
    assert caught.value.args == (LEAVE,), "the caller is told that it goes on"
    (change,) = step.session.interrupted()
    assert change.process is not None
    left = step.changes()

    step.helm.revisions.append(release(int(change.started.data.facts["revision"])))
    await step.session.resume(change, step.moments.append, gone=True)
    assert [outcome for outcome, _ in step.changes()[len(left) :]] == ["done"]
    assert step.session.interrupted() == ()


# ---------------------------------------------------------------- proof


@pytest.mark.parametrize(
    ("revisions", "values", "verdict", "says"),
    [
        ([], None, NOT_YET, "there is no release"),
        ([release(1, "pending-upgrade")], None, BAD, "pending-upgrade"),
        ([release(1, "failed")], None, BAD, "is failed"),
        ([release(1, version="16.1.0")], None, BAD, "wanted 16.2.0"),
        ([release(1)], {"other": 1}, BAD, "other values"),
        ([release(1)], LIVE, GOOD, "with the values that were sent"),
    ],
)
async def test_the_release_is_compared_with_what_is_wanted(make, revisions, values, verdict: str, says: str):
    step = make(*revisions, values=values)
    found = {one.check: one for one in await step.session.look(UPDATE)}["release"]
    assert found.verdict == verdict
    assert says in found.text
    (seen,) = found.evidence
    assert "https://aks.example:443" in seen.identity


async def test_values_of_a_file_that_is_gone_can_not_be_compared(make):
    step = make(release(1), values=LIVE)
    step.values.unlink()
    assert (await step.look())["release"] == COULD_NOT_LOOK


@pytest.mark.parametrize(
    ("workloads", "verdict"),
    [
        ((), NOT_YET),
        ((Workload("Deployment", "dpe", 1, 2, reasons=("ImagePullBackOff",)),), BAD),
        ((Workload("Deployment", "dpe", 0, 0),), BAD),
        ((Workload("Deployment", "dpe", 0, 1, older=1),), BAD),
        ((Workload("Deployment", "dpe", 1, 1, given_up=True),), BAD),
        ((Workload("Deployment", "dpe", 1, 1, older=1),), GOOD),
        ((Workload("Deployment", "dpe", 2, 2), Workload("StatefulSet", "db", 0, 1)), BAD),
        ((Workload("Deployment", "dpe", 2, 2), Workload("StatefulSet", "db", 1, 1)), GOOD),
    ],
)
async def test_every_pod_has_to_be_ready(make, workloads, verdict: str):
    step = make(release(1), values=LIVE, cluster=Cluster(running=workloads))
    assert (await step.look())["workloads"] == verdict


async def test_pods_of_the_template_before_are_named_as_such(make):
    crashing = Workload("Deployment", "dpe", 0, 1, reasons=("dpe-x: CrashLoopBackOff",), older=1)
    step = make(release(1), values=LIVE, cluster=Cluster(running=(crashing,)))
    (found,) = (one for one in await step.session.look(UPDATE) if one.check == "workloads")
    said = "has 0 of 1 pods of the new template ready, and 1 of an older one: dpe-x: CrashLoopBackOff"
    assert (found.verdict, found.text) == (BAD, f"Deployment dpe {said}")


async def test_pods_that_are_ready_tell_image_and_restarts(make):
    busy = Workload("Deployment", "dpe", 1, 1, images=("registry.example/dpe:16.2.0",), restarts=3)
    step = make(release(1), values=LIVE, cluster=Cluster(running=(busy,)))
    (found,) = (one for one in await step.session.look(UPDATE) if one.check == "workloads")
    assert found.text == "pods ready: dpe 1 of 1 (registry.example/dpe:16.2.0, 3 restarts)"


@pytest.mark.parametrize(
    ("values", "verdict", "says"),
    [
        (LIVE, GOOD, "is configured with dpm-43ooq-worker-01-eus1.ataccama.link, minio-"),
        ({"dpm": "https://dpm-43ooq-worker-01-eus1.ataccama.link:443"}, BAD, "not configured with minio-43ooq"),
        ({"dpm": "dpm-other.ataccama.link"}, BAD, "but with dpm-other.ataccama.link"),
        ({"replicas": 1}, COULD_NOT_LOOK, "name no host"),
    ],
)
async def test_the_release_is_configured_with_these_hosts(make, values, verdict: str, says: str):
    step = make(release(1), values=values)
    (found,) = (one for one in await step.session.look(UPDATE) if one.check == "hosts")
    assert (found.verdict, says in found.text) == (verdict, True), found.text


async def test_a_cluster_that_can_not_be_asked_is_no_verdict(make):
    step = make(release(1), values=LIVE, cluster=Cluster(failure=Problem("cluster-unreachable", "No answer.")))
    assert set((await step.look()).values()) == {COULD_NOT_LOOK}


async def test_evidence_names_no_value(make):
    step = make(release(1), values={"password": "hunter2-hunter2"})
    for found in await step.session.look(UPDATE):
        assert "hunter2" not in str(found)
