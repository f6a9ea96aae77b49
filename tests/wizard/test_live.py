"""Looking again: what differs from the record, whom it asks, and where an auditor's own machine points."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from state.actor import current_actor
from state.events import BAD, COULD_NOT_LOOK, GOOD, NOT_YET, Actor, EnvironmentSet, Found, IdentityPinned
from state.problem import EXIT_BAD, EXIT_NOT_YET, EXIT_OK, Problem
from state.snapshot import RecordedFinding, Snapshot
from tests.wizard.engine import ACTOR, GUIDE, NOW, finding, snapshot_of
from wizard import live
from wizard.azure import AzureIdentity
from wizard.evidence import evidence
from wizard.guide import Check, Finding, ItemStep
from wizard.live import Again, Live, Pin
from wizard.ports import ClusterIdentity, Readers
from wizard.report_text import live_text

STEP = GUIDE.steps[4]
ADVICE = next(check for check in STEP.checks if not check.decides)
PROOF = next(check for step in GUIDE.steps for check in step.checks if check.proves)


def found(verdict: str, answer: str = "10.20.1.4", by: str = "ada") -> Found:
    seen = evidence("DNS", "A dpm.example", answer, by)
    return Found(step=STEP.id, check="c", verdict=verdict, text=f"is {answer}", fingerprint="f", evidence=(seen,))


def recorded(data: Found) -> RecordedFinding:
    return RecordedFinding(data=data, ts=NOW, actor=ACTOR, seq=1, since=NOW)


def again(
    before: str | None, after: str | None, *, answer: str = "10.20.1.4", current: bool = True, check: Check = PROOF
) -> Again:
    """A check that said `before`, and says `after` now, to somebody else."""
    return Again(
        STEP,
        (),
        check,
        recorded(found(before)) if before else None,
        current,
        found(after, answer, by="an auditor") if after else None,
    )


def looked(*looks: Again, pins: tuple[Pin, ...] = ()) -> Live:
    return Live(NOW, EnvironmentSet(), pins, looks)


@pytest.mark.parametrize(
    ("look", "difference", "code"),
    [
        (again(GOOD, GOOD), live.AS_RECORDED, EXIT_OK),
        (again(GOOD, GOOD, answer="10.20.1.7"), live.OTHER_ANSWER, EXIT_OK),
        (again(GOOD, NOT_YET), live.WORSE, EXIT_BAD),
        (again(GOOD, BAD), live.WORSE, EXIT_BAD),
        (again(NOT_YET, BAD), live.WORSE, EXIT_BAD),
        (again(BAD, BAD), live.AS_RECORDED, EXIT_BAD),
        (again(BAD, NOT_YET), live.BETTER, EXIT_NOT_YET),
        (again(NOT_YET, NOT_YET), live.AS_RECORDED, EXIT_NOT_YET),
        (again(BAD, GOOD), live.BETTER, EXIT_OK),
        (again(None, GOOD), live.NOT_RECORDED, EXIT_OK),
        (again(None, BAD), live.NOT_RECORDED, EXIT_BAD),
        (again(COULD_NOT_LOOK, GOOD), live.NOT_RECORDED, EXIT_OK),
        (again(GOOD, BAD, current=False), live.NOT_RECORDED, EXIT_BAD),
        (again(GOOD, COULD_NOT_LOOK), COULD_NOT_LOOK, EXIT_NOT_YET),
        (again(GOOD, COULD_NOT_LOOK, check=ADVICE), COULD_NOT_LOOK, EXIT_OK),
        (again(GOOD, NOT_YET, check=ADVICE), live.WORSE, EXIT_BAD),
        (again(GOOD, None), live.NOT_REPEATED, EXIT_OK),
    ],
)
def test_what_differs_from_the_record_and_what_that_is_worth(look: Again, difference: str, code: int):
    assert look.difference == difference
    assert live.exit_code(looked(look)) == code
    (told,) = live.document(looked(look))["checks"]
    assert told["difference"] == difference
    assert difference in live_text(live.document(looked(look)))


def test_bad_beats_what_could_not_be_looked_at():
    assert live.exit_code(looked(again(GOOD, COULD_NOT_LOOK), again(GOOD, BAD))) == EXIT_BAD


def test_what_was_recorded_stands_beside_what_differs():
    part = live.document(looked(again(GOOD, BAD, answer="20.1.2.3")))
    (check,) = part["checks"]
    assert (check["verdict"], check["recorded"]["verdict"]) == ("bad", "good")
    assert (check["text"], check["recorded"]["text"]) == ("is 20.1.2.3", "is 10.20.1.4")
    text = live_text(part)
    rows = [line.split(maxsplit=1) for line in text.splitlines()]
    assert ["Recorded", f"good, is 10.20.1.4; {NOW}"] in rows
    assert ["Now", "is 20.1.2.3"] in rows
    assert ["Identity", "an auditor"] in rows
    assert any(row[0] == "In" and "1 worse" in row[1] for row in rows)


def test_a_line_break_in_an_answer_makes_no_line():
    look = again(GOOD, BAD)
    assert look.found is not None
    forged = replace(
        look, found=msgspec.structs.replace(look.found, text="x\n  ✓ good           as recorded    8 Forged")
    )
    assert not any(line.startswith("  ✓") for line in live_text(live.document(looked(forged))).splitlines())


# ---------------------------------------------------------------- a whole look, over ports in memory


class Cluster:
    """A cluster that says who it is, and counts what else it is asked."""

    def __init__(self, server: str = "https://one", uid: str | None = "u-1") -> None:
        self.who, self.asked = ClusterIdentity(server, uid), 0

    async def identity(self) -> ClusterIdentity:
        return self.who

    async def workloads(self, release: str, namespace: str) -> tuple[Any, ...]:
        self.asked += 1
        return ()


class Azure:
    """Azure, of which only the tenant is known."""

    def __init__(self, tenant: str) -> None:
        self.tenant, self.asked = tenant, 0

    async def identity(self) -> AzureIdentity:
        return AzureIdentity(self.tenant, "object", "auditor@example.com")

    async def subscriptions(self) -> tuple[Any, ...]:
        self.asked += 1
        return ()


PINNED = (
    IdentityPinned(kind="cluster", facts={"server": "https://one", "uid": "u-1"}),
    IdentityPinned(kind="azure", facts={"tenant_id": "t-1", "object_id": "engineer"}),
)


async def asked(snapshot: Snapshot, cluster: Cluster, azure: Azure) -> tuple[dict[str, Pin], Readers]:
    pins, readers = await live._pinned(snapshot, Readers(cluster=cluster, azure=azure, helm=object()))  # type: ignore[arg-type]
    return {pin.kind: pin for pin in pins}, readers


async def test_an_auditor_of_the_same_tenant_and_cluster_looks_as_themselves():
    pins, readers = await asked(snapshot_of(*PINNED), Cluster(), Azure("T-1"))
    assert {pin.state for pin in pins.values()} == {live.SAME}
    assert "auditor@example.com" in pins["azure"].text
    assert isinstance(readers.azure, Azure) and isinstance(readers.cluster, Cluster)


async def test_nothing_is_pinned_so_nothing_differs():
    pins, readers = await asked(snapshot_of(), Cluster(), Azure("t-9"))
    assert {pin.state for pin in pins.values()} == {live.NOT_PINNED}
    assert isinstance(readers.azure, Azure) and isinstance(readers.cluster, Cluster)


async def test_another_cluster_is_named_and_not_asked_by_helm_either():
    pins, readers = await asked(snapshot_of(*PINNED), Cluster("https://two", "u-2"), Azure("t-1"))
    assert pins["cluster"].state == live.OTHER
    for part in ("https://two", "u-2", "https://one", "u-1"):
        assert part in pins["cluster"].text
    assert "--kube-context" in pins["cluster"].todo
    assert readers.helm is not None and readers.cluster is not None
    for look in (readers.helm.history("dpe", "ns"), readers.cluster.workloads("dpe", "ns")):
        with pytest.raises(Problem) as caught:
            await look
        assert caught.value.code == "other-cluster"
    assert pins["azure"].state == live.SAME, "the other source is not held responsible"
    assert live.exit_code(looked(pins=tuple(pins.values()))) == EXIT_NOT_YET


async def test_another_tenant_is_named_and_not_asked():
    azure = Azure("t-2")
    pins, readers = await asked(snapshot_of(*PINNED), Cluster(), azure)
    assert pins["azure"].state == live.OTHER
    assert "t-2" in pins["azure"].text and "az login --tenant t-1" in pins["azure"].todo
    assert readers.azure is not None
    with pytest.raises(Problem):
        await readers.azure.subscriptions()
    assert azure.asked == 0


async def test_what_needs_a_probe_is_not_repeated():
    """Neither run nor judged; what stands beside it is."""
    ran: list[str] = []

    def check(id: str) -> Check:
        async def run(*_: Any) -> Finding:
            ran.append(id)
            return Finding(GOOD, "so it is")

        return Check(id, id, "", run, probe=id == "in-cluster")

    step = replace(GUIDE.steps[0], checks=(check("in-cluster"), check("plain")))
    guide = replace(GUIDE, steps=(step,))
    progress: list[tuple[int, int]] = []
    where = EnvironmentSet(kubeconfig="/nowhere/kubeconfig", kube_context="c", cloud="public", sign_in="cli")
    told = await live.look_again(guide, snapshot_of(), where, done=lambda *now: progress.append(now))
    assert ran == ["plain"]
    assert [look.verdict for look in told.looks] == [live.NOT_REPEATED, GOOD]
    assert live.exit_code(told) == EXIT_OK
    assert (progress[0], progress[-1]) == ((0, 1), (1, 1))


async def test_the_recorded_last_word_outvotes_advice_unless_another_look_has_turned_since():
    def check(id: str, verdict: str, *, settles: bool = False, suffices: bool = False) -> Check:
        async def run(*_: Any) -> Finding:
            return Finding(verdict, "")

        return Check(id, id, "", run, proves=False, settles=settles, suffices=suffices, probe=settles)

    checks = check("inside", GOOD, settles=True), check("records", GOOD, suffices=True), check("here", BAD)
    step = replace(GUIDE.steps[0], checks=checks)
    guide = replace(GUIDE, steps=(step,))
    where = EnvironmentSet(kubeconfig="/nowhere/kubeconfig", kube_context="c", cloud="public", sign_in="cli")

    def seen(check: str, verdict: str) -> Found:
        return finding(snapshot_of(), ItemStep(step.id), check, verdict, guide)

    async def code(*recorded: Found) -> int:
        return live.exit_code(await live.look_again(guide, snapshot_of(*recorded), where))

    good = seen("records", GOOD), seen("inside", GOOD)
    assert await code() == EXIT_BAD
    assert await code(*good) == EXIT_OK
    assert await code(*good, seen("inside", COULD_NOT_LOOK)) == EXIT_OK
    assert await code(*good, seen("inside", COULD_NOT_LOOK), seen("records", BAD)) == EXIT_BAD
    assert await code(*good, seen("inside", BAD)) == EXIT_BAD


# ---------------------------------------------------------------- where to look

MINE = current_actor("run")
THEIRS = Actor(user="ada", host="build-01", via="run")


def entered(environment: EnvironmentSet, actor: Actor) -> Snapshot:
    snapshot = snapshot_of(environment)
    assert snapshot.environment is not None
    return replace(snapshot, environment=msgspec.structs.replace(snapshot.environment, actor=actor))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a kubeconfig, and nothing on PATH."""
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube" / "config").write_text("current-context: here\ncontexts: [{name: here}]\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PRIVATELINK_SANDBOX_DIR", str(tmp_path / "box"))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    return tmp_path


ELSEWHERE = EnvironmentSet(
    cloud="china", kubeconfig="/evil/kubeconfig", kube_context="evil", helm="/evil/helm", tenant_id="evil.example"
)


@pytest.mark.parametrize(("actor", "by_name"), [(THEIRS, True), (THEIRS, False), (MINE, False)])
def test_paths_that_come_with_a_copy_are_inert(home: Path, actor: Actor, by_name: bool):
    """Also when the copy claims to be ours: only what lies in our own state directory is."""
    where = live.environment_for(entered(ELSEWHERE, actor), {}, by_name=by_name)
    assert (where.kubeconfig, where.kube_context) == (str(home / ".kube" / "config"), "here")
    assert (where.helm, where.tenant_id) == (None, None)
    assert where.cloud == "china", "which of Azure's clouds it is in is no path, and no choice of the auditor's"


def test_ones_own_setup_is_looked_at_where_it_points(home: Path):
    where = live.environment_for(entered(ELSEWHERE, MINE), {"kube_context": "other"}, by_name=True)
    assert (where.kubeconfig, where.kube_context, where.helm) == ("/evil/kubeconfig", "other", "/evil/helm")


def test_a_rehearsal_is_looked_at_in_the_sandbox_here_and_nowhere_else(home: Path):
    copied = entered(EnvironmentSet(sandbox=True, kubeconfig="/evil/kubeconfig", arm_url="https://127.0.0.1:1"), THEIRS)
    with pytest.raises(Problem) as caught:
        live.environment_for(copied, {}, by_name=False)
    assert (caught.value.code, caught.value.exit_code) == ("no-sandbox", EXIT_NOT_YET)
    assert str(home / "box") in caught.value.what and "/evil" not in str(caught.value)
    from wizard.sandbox import profile
    from wizard.sandbox.workdir import WorkDir

    ports = {"registry": 1, "kubernetes": 2, "arm": 3, "identity": 4, "dns": 5}
    for name in ("box", "second"):
        (home / name).mkdir(mode=0o700)
        profile.save(WorkDir(home / name), profile.new(ports))
    where = live.environment_for(copied, {}, by_name=False)
    assert (where.arm_url, where.dns_server) == ("https://127.0.0.1:3", "127.0.0.1:5")
    assert (where.kubeconfig, where.helm) == (str(home / "box" / "kubeconfig"), None)
    named = {"kubeconfig": str(home / "second" / "kubeconfig")}
    assert live.environment_for(copied, named, by_name=False).kubeconfig == named["kubeconfig"]
