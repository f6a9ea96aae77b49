"""The look from inside the cluster: what its answers mean, and what is told where nobody may look."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from state.events import BAD, COULD_NOT_LOOK, DONE, GOOD, NOT_YET, ChangeFinished, ChangeStarted, Data, FieldSet
from state.problem import Problem
from state.store import Store
from tests.setups import DPM, MINIO, VALUES
from tests.wizard.engine import ACTOR, DNS, GUIDE, Cluster, finding, items, journalled, opened, snapshot_of, view_of
from wizard.actions.cluster_lookup import CACHED, cluster_lookup
from wizard.evidence import evidence
from wizard.guide import BY_EXEC, BY_POD, Finding
from wizard.ports import DnsAnswer, InsideAnswer, Readers, Writers
from wizard.session import Session

IN, OUT = "10.20.1.4", "203.0.113.17"
BASE: list[Data] = [
    *items("subscription/main", "endpoint/pe-weu", "dpe/dpe-01", links=[("dpe/dpe-01", "endpoint/pe-weu")]),
    *(FieldSet(item=owner, field=key, value=value) for owner, key, value in VALUES),
]
RIGHT = {DPM: (IN,), MINIO: (IN,)}


@dataclass
class Inside:
    """A cluster with fixed answers, asked in a pod that runs, or in one made for it; a ClusterProbe, too."""

    answers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    error: str = ""
    refuses_exec: bool = False
    refuses_pods: bool = False
    keeps_pods: bool = False
    waits: asyncio.Event | None = None
    removed: list[str] = field(default_factory=list)
    removing: float = 0.0
    asked: list[str] = field(default_factory=list)

    def _answer(self, pod: str, hosts: Sequence[str]) -> InsideAnswer:
        self.asked.append(pod)
        told = []
        for host in hosts:
            found = self.answers.get(host, ())
            told.append(DnsAnswer(host, found, "inside the cluster", error=self.error or ("" if found else "nxdomain")))
        return InsideAnswer(pod, "dpe", "registry.example/dpe:1", f"getent ahosts {hosts[0]}", tuple(told))

    async def lookup(self, release: str, namespace: str, hosts: Sequence[str], server: str) -> InsideAnswer:
        return self._answer("dpe-7d9f", hosts)

    async def by_exec(self, release: str, namespace: str, hosts: Sequence[str]) -> InsideAnswer:
        if self.refuses_exec:
            raise Problem("cluster-forbidden", "You may not create pods/exec.")
        return self._answer("dpe-7d9f", hosts)

    async def by_pod(
        self,
        release: str,
        namespace: str,
        hosts: Sequence[str],
        *,
        name: str,
        mark: str,
        started: Callable[[], None],
        ended: Callable[[], None],
    ) -> InsideAnswer:
        started()
        if self.refuses_pods:
            raise Problem("cluster-forbidden", "You may not create pods.")
        try:
            if self.waits:
                await self.waits.wait()
        finally:
            await asyncio.sleep(self.removing)
            if not self.keeps_pods:
                self.removed.append(name)
                ended()
        return replace(self._answer(name, hosts), left=f"{name} is left." if self.keeps_pods else "")

    async def sweep(self, namespace: str, mark: str, pods: frozenset[str]) -> tuple[str, ...]:
        self.asked.append(f"sweep {namespace} {' '.join(sorted(pods))}")
        if self.keeps_pods:
            raise Problem("cluster-forbidden", "Your account may not delete pods in namespace dpe.")
        return ()


async def look(inside: Inside | None, *more: Data, now: str = "") -> Finding:
    view = replace(view_of(snapshot_of(*BASE, *more), DNS), now=now)
    return await cluster_lookup(
        view,
        Readers(cluster=Cluster(), inside=inside),
        hosts=("dpm_host", "minio_host"),
        address="private_ip",
        release="release",
        namespace="namespace",
        records="records",
    )


@pytest.mark.parametrize(
    ("answers", "verdict", "situation"),
    [
        (RIGHT, GOOD, "private"),
        ({DPM: (OUT,), MINIO: (OUT,)}, BAD, "still public"),
        ({DPM: (IN,), MINIO: (OUT,)}, BAD, "mixed"),
        ({DPM: (IN, OUT), MINIO: (IN,)}, BAD, "mixed"),
        ({DPM: (OUT,)}, BAD, "mixed"),  # one is missing, but what goes out is worse
        ({DPM: (IN,)}, BAD, "missing"),
        ({}, BAD, "missing"),
        ({DPM: (IN,), MINIO: ("10.99.0.1",)}, BAD, "elsewhere"),
    ],
)
async def test_the_situation_has_a_name(answers: Mapping[str, tuple[str, ...]], verdict: str, situation: str):
    found = await look(Inside(answers))
    assert (found.verdict, found.text.split(":")[0].removesuffix(" inside the cluster")) == (verdict, situation)
    assert ("crosses the public internet" in found.text) == (situation in ("still public", "mixed"))
    (seen,) = found.evidence
    assert f"getent ahosts {DPM} in pod dpe-7d9f" in seen.request
    assert "kube-system 11111111" in seen.identity


async def test_a_zone_without_its_record_is_missing_inside_too():
    found = await look(Inside(error="no data"))
    assert (found.verdict, found.text.split(":")[0]) == (BAD, "missing")


async def test_no_answer_is_no_verdict():
    found = await look(Inside(error="timeout"))
    assert (found.verdict, "timeout" in found.text) == (COULD_NOT_LOOK, True)


class HalfSilent(Inside):
    """One whose DNS is silent about MinIO."""

    async def lookup(self, release: str, namespace: str, hosts: Sequence[str], server: str) -> InsideAnswer:
        told = self._answer("dpe-7d9f", hosts)
        silent = DnsAnswer(MINIO, (), "inside the cluster", error="timeout")
        return replace(told, answers=tuple(silent if one.host == MINIO else one for one in told.answers))


async def test_a_host_that_nobody_answers_for_does_not_hide_that_data_crosses_the_internet():
    silent = f"; {MINIO}: timeout from inside the cluster"
    for answers, word in (({DPM: (OUT,)}, "still public"), ({}, "missing")):
        found = await look(HalfSilent(answers))
        assert (found.verdict, found.text.split(":")[0]) == (BAD, word)
        assert found.text.endswith(silent)
    fresh = await look(HalfSilent({DPM: (OUT,)}), *written(), now="2026-11-22T12:00:40.000000Z")
    assert (fresh.verdict, fresh.text.endswith(silent)) == (NOT_YET, True)
    assert (await look(HalfSilent({DPM: (IN,)}))).verdict == COULD_NOT_LOOK


async def test_without_consent_nobody_looks():
    found = await look(None)
    assert found.verdict == COULD_NOT_LOOK
    assert "nobody allowed" in found.text and "--allow-probe-pod" in found.todo


async def test_another_cluster_than_the_pinned_one_is_not_asked():
    from state.events import IdentityPinned

    inside = Inside(RIGHT)
    with pytest.raises(Problem, match="another cluster"):
        await look(inside, IdentityPinned(kind="cluster", facts={"server": "https://other:443", "uid": "x"}))
    assert inside.asked == []


def written(place: tuple[str, ...] = DNS.items) -> list[Data]:
    """Step 5 was done from here, just NOW."""
    return [
        ChangeStarted(change="c", step=DNS.step, items=place, summary="records"),
        ChangeFinished(change="c", outcome=DONE, summary="made"),
    ]


async def test_right_after_the_change_the_old_answer_is_stale_and_later_it_is_wrong():
    public = Inside({DPM: (OUT,), MINIO: (OUT,)})
    soon, late = "2026-11-22T12:00:40.000000Z", "2026-11-22T12:05:01.000000Z"
    assert CACHED == 300
    found = await look(public, *written(), now=soon)
    assert (found.verdict, found.text.split(":")[0]) == (NOT_YET, "stale")
    assert "Look again within 4 minutes" in found.todo
    assert (await look(public, *written(), now=late)).verdict == BAD
    other = written(("dpe/dpe-02", "endpoint/pe-eus"))
    assert (await look(public, *other, now=soon)).verdict == BAD
    assert (await look(Inside(RIGHT), *written(), now=soon)).verdict == GOOD


@pytest.mark.parametrize(("ttl", "verdict"), [(3600, NOT_YET), (5, BAD), ("x", BAD), (-1, BAD), (10**9, BAD)])
async def test_a_record_is_kept_as_long_as_its_ttl(ttl: Any, verdict: str):
    answer = json.dumps({"host": DPM, "record": {"addresses": [IN], "ttl": ttl}})
    right = finding(snapshot_of(*BASE), DNS, "records", GOOD)
    told = msgspec.structs.replace(right, evidence=(evidence("Azure", "GET A/@", answer, "ada"),))
    public = Inside({DPM: (OUT,), MINIO: (OUT,)})
    assert (await look(public, *written(), told, now="2026-11-22T12:20:00.000000Z")).verdict == verdict


async def test_records_that_are_right_point_at_what_stands_before_them():
    public = Inside({DPM: (OUT,), MINIO: (OUT,)})
    assert "Run this step" in (await look(public)).todo
    right = finding(snapshot_of(*BASE), DNS, "records", GOOD)
    assert "168.63.129.16" in (await look(public, right)).todo


# ---------------------------------------------------------------- with consent, in a session


async def asked(tmp_path, inside: Inside, consent: str) -> list[tuple[str, str]]:
    """What step 5's look from inside says, and the events that were journalled beside it."""
    session = opened(tmp_path, Readers(cluster=Cluster()), Writers(probe=inside))
    for one in BASE:
        session.commit(one)
    if consent:
        session.consent(consent)
    await session.look(DNS)
    events = [event.type for event in journalled(session) if event.type.startswith("probe_")]
    found = session.snapshot.findings[DNS.step, DNS.items, "cluster-lookup"]
    return [(found.data.verdict, ",".join(events))]


async def test_a_pod_is_made_only_where_that_was_allowed_and_nothing_else_will_do(tmp_path):
    assert await asked(tmp_path / "1", Inside(RIGHT), "") == [(COULD_NOT_LOOK, "")]
    assert await asked(tmp_path / "2", Inside(RIGHT), "none") == [(COULD_NOT_LOOK, "probe_consented")]
    assert await asked(tmp_path / "3", Inside(RIGHT), BY_EXEC) == [(GOOD, "probe_consented")]
    assert await asked(tmp_path / "4", Inside(RIGHT), BY_POD) == [(GOOD, "probe_consented")]
    refusing = Inside(RIGHT, refuses_exec=True)
    assert await asked(tmp_path / "5", refusing, BY_EXEC) == [(COULD_NOT_LOOK, "probe_consented")]
    assert refusing.asked == []
    made = "probe_consented,probe_started,probe_ended"
    assert await asked(tmp_path / "6", Inside(RIGHT, refuses_exec=True), BY_POD) == [(GOOD, made)]


def probing(tmp_path: Path, inside: Inside) -> tuple[Session, list[str]]:
    """A session in which a pod may be made, and what it tells."""
    session = opened(tmp_path, Readers(cluster=Cluster()), Writers(probe=inside))
    for one in BASE:
        session.commit(one)
    session.consent(BY_POD)
    told: list[str] = []
    session.told = told.append
    return session, told


def verdict_of(session: Session) -> tuple[str, str]:
    found = session.snapshot.findings[DNS.step, DNS.items, "cluster-lookup"].data
    return found.verdict, found.text


async def test_an_answer_counts_though_its_pod_is_left_and_no_other_is_made_beside_it(tmp_path):
    inside = Inside(RIGHT, refuses_exec=True, keeps_pods=True)
    session, told = probing(tmp_path, inside)
    await session.look(DNS)
    (left,) = session.snapshot.probes
    assert verdict_of(session)[0] == GOOD
    assert told == [f"{left} is left."]

    await session.look(DNS)
    verdict, text = verdict_of(session)
    assert verdict == COULD_NOT_LOOK
    assert left in text and "no other one was made: Your account may not delete pods" in text
    assert inside.asked == [left, f"sweep dpe {left}"]
    assert list(session.snapshot.probes) == [left]

    inside.keeps_pods = False
    await session.look(DNS)
    assert verdict_of(session)[0] == GOOD, "once it is removed, the look goes on by itself"
    assert session.snapshot.probes == {}


async def test_two_looks_at_once_leave_each_others_pods_alone(tmp_path):
    inside = Inside(RIGHT, refuses_exec=True)
    session, _ = probing(tmp_path, inside)
    lookup = session.looking().inside
    assert lookup is not None
    inside.waits = asyncio.Event()
    answers = [asyncio.create_task(lookup.lookup("dpe-01", "dpe", (DPM,), Cluster().server)) for _ in range(2)]
    while len(session.snapshot.probes) < 2:
        await asyncio.sleep(0)
    inside.waits.set()
    await asyncio.gather(*answers)
    assert not [one for one in inside.asked if one.startswith("sweep")]
    assert session.snapshot.probes == {}


async def test_a_pod_whose_end_nobody_saw_is_swept(tmp_path):
    inside = Inside(RIGHT, refuses_exec=True, refuses_pods=True)
    session, _ = probing(tmp_path, inside)
    await session.look(DNS)
    (left,) = session.snapshot.probes.values()
    assert left.data.server == Cluster().server
    session._writer.close()
    writer = Store(tmp_path / "state").open("demo")
    told: list[str] = []
    session = Session(writer, GUIDE, ACTOR, readers=None, writers=Writers(probe=inside))
    session.told = told.append
    await session.sweep_probes()
    assert [left.data.pod in one and "can't be used" in one for one in told] == [True]
    session.readers = Readers(cluster=Cluster(server="https://other:443"))
    await session.sweep_probes()
    assert (len(session.snapshot.probes), inside.asked) == (1, []), "nothing is removed from another cluster"
    assert left.data.pod in told[1] and left.data.server in told[1], "and that is said"
    session.readers = Readers(cluster=Cluster())
    await session.sweep_probes()
    assert session.snapshot.probes == {}
    assert inside.asked == [f"sweep dpe {left.data.pod}"]
    await session.sweep_probes()
    assert len(inside.asked) == 1, "there is nothing more to sweep"
    assert len(told) == 2
