"""The engine's tests: a session over a journal on disk, and small readers and writers that implement our own ports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from state.actor import current_actor
from state.events import Actor, Data, Event, Found, GuideRef, Header, ItemAdded, Linked
from state.problem import Problem
from state.snapshot import Snapshot, fold
from state.store import Store
from tests.setups import VALUES
from wizard.guide import Guide, ItemStep, Step
from wizard.guides import DEFAULT
from wizard.guides import guide as find_guide
from wizard.ports import (
    ClusterIdentity,
    DnsAnswer,
    HelmVersion,
    ProcessIdentity,
    Progress,
    Readers,
    Release,
    Right,
    Upgrade,
    Workload,
    Writers,
)
from wizard.secret import Secret
from wizard.session import Session
from wizard.status import SetupStatus, derive
from wizard.view import View

GUIDE = find_guide(DEFAULT)
NOW = "2026-11-22T12:00:00.000000Z"
ACTOR = Actor(user="ada", host="build-01", via="run")
TOKEN = Secret("s3cr3t-t0ken-value")

SUBSCRIPTION = ItemStep("register", ("subscription/main",))
ENDPOINT = ItemStep("endpoint", ("endpoint/pe-weu",))
RESOURCE_ID = ItemStep("resource-id", ("endpoint/pe-weu",))
DNS = ItemStep("dns", ("dpe/dpe-01", "endpoint/pe-weu"))
UPDATE = ItemStep("update-dpe", ("dpe/dpe-01",))
MARK = ItemStep("mark-updated", ("dpe/dpe-01",))


# ---------------------------------------------------------------- snapshots of events


def snapshot_of(*data: Data, guide: Guide = GUIDE) -> Snapshot:
    """A snapshot of these events, one second apart, nothing on disk."""
    header = Header(seq=0, format="x", guide=GuideRef(id=guide.id, version=1), name="demo", ts=NOW)
    return fold(header, [event(seq, one) for seq, one in enumerate(data, 1)])


def event(seq: int, data: Data) -> Event:
    """One event as a journal would hold it."""
    return Event(seq=seq, ts=NOW, actor=ACTOR, type=data.TYPE, v=data.VERSION, data=data, prev="")


def items(*addresses: str, links: Sequence[tuple[str, str]] = ()) -> list[Data]:
    """The events that add items and link them."""
    return [ItemAdded(item=one) for one in addresses] + [Linked(source=one, target=two) for one, two in links]


def status_of(snapshot: Snapshot, guide: Guide = GUIDE) -> SetupStatus:
    """The status as of NOW."""
    return derive(guide, snapshot, NOW)


def view_of(snapshot: Snapshot, place: ItemStep, guide: Guide = GUIDE) -> View:
    """What a check, a text or a plan sees."""
    step = guide.step(place.step)
    assert step is not None
    return View(guide, snapshot, step, place.items)


def finding(snapshot: Snapshot, place: ItemStep, check: str, verdict: str, guide: Guide = GUIDE) -> Found:
    """A finding of a check for the values as they are in `snapshot`."""
    view = view_of(snapshot, place, guide)
    (known,) = (one for one in view.step.checks if one.id == check)
    return Found(
        step=place.step,
        items=place.items,
        check=check,
        verdict=verdict,
        text=f"{check} is {verdict}",
        fingerprint=view.fingerprint_of(known),
    )


def with_step(guide: Guide, step_id: str, **changes: Any) -> Guide:
    """The guide with one step changed."""
    return replace(guide, steps=tuple(replace(one, **changes) if one.id == step_id else one for one in guide.steps))


def step_of(guide: Guide, step_id: str) -> Step:
    """A step that is there."""
    found = guide.step(step_id)
    assert found is not None
    return found


# ---------------------------------------------------------------- a session on disk


def opened(path: Path, readers: Readers | None = None, writers: Writers | None = None, guide: Guide = GUIDE) -> Session:
    """A new setup, opened for writing."""
    actor = current_actor("run")
    writer = Store(path / "state").create("demo", GuideRef(id=guide.id, version=guide.version), actor)
    return Session(writer, guide, actor, readers=readers, writers=writers)


def fill(session: Session) -> Session:
    """Adds the items, their link and every value but the values file."""
    session.add_item("subscription", "main")
    session.add_item("endpoint", "pe-weu")
    session.add_item("dpe", "dpe-01")
    session.link("dpe/dpe-01", "endpoint/pe-weu")
    for owner, key, text in VALUES:
        assert session.set_field(owner, key, text).parsed.ok, key
    return session


def attest_until(session: Session, last: str) -> None:
    """Confirms every human step before and with `last`."""
    for step in session.guide.steps:
        for place in session.status().item_steps:
            if place.step == step.id:
                session.attest(place)
        if step.id == last:
            return


def journalled(session: Session, type: str | None = None) -> list[Event]:
    """What is on disk, read anew."""
    found = Store(session._writer.path.parent.parent).read("demo")
    return [one for one in found.events if type in (None, one.type)]


def refused(work: Callable[[], object]) -> Problem:
    """The Problem that `work` raises."""
    try:
        work()
    except Problem as problem:
        return problem
    raise AssertionError("nothing was refused")


# ---------------------------------------------------------------- ports


@dataclass
class Resolver:
    """A DnsReader with fixed answers; a host that is not in it does not exist."""

    answers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    error: str = ""

    async def resolve(self, host: str, server: str | None = None) -> DnsAnswer:
        found = self.answers.get(host, ())
        return DnsAnswer(host, found, server or "192.0.2.53:53", error=self.error or ("" if found else "nxdomain"))


@dataclass
class Cluster:
    """A ClusterReader of one cluster."""

    server: str = "https://aks.example:443"
    uid: str | None = "11111111-2222-3333-4444-555555555555"
    namespaces: tuple[str, ...] = ("dpe",)
    running: tuple[Workload, ...] = (Workload("Deployment", "dpe", 1, 1),)
    failure: Problem | None = None
    delay: float = 0.0

    async def identity(self) -> ClusterIdentity:
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.failure:
            raise self.failure
        return ClusterIdentity(self.server, self.uid, "ada")

    async def namespace_exists(self, namespace: str) -> bool:
        return namespace in self.namespaces

    async def rights(self, wanted: Sequence[Right]) -> tuple[Right, ...]:
        return tuple(replace(right, allowed=True) for right in wanted)

    async def workloads(self, release: str, namespace: str) -> tuple[Workload, ...]:
        return self.running


class Helm:
    """A HelmReader and HelmWriter over releases in memory; `calls` are the changes it was told to make."""

    def __init__(self, *revisions: Release, values: Mapping[str, Any] | None = None) -> None:
        self.revisions = list(revisions)
        self.live = dict(values or {})
        self.calls: list[tuple[str, ...]] = []
        self.failure: BaseException | None = None

    async def version(self) -> HelmVersion:
        return HelmVersion(4, 1, 4, "/usr/bin/helm")

    async def history(self, release: str, namespace: str) -> tuple[Release, ...]:
        return tuple(one for one in self.revisions if (one.name, one.namespace) == (release, namespace))

    async def values(self, release: str, namespace: str, revision: int | None = None) -> Mapping[str, Any]:
        return self.live

    async def commands_shown(self, what: Upgrade, registry: str, user: str) -> tuple[str, ...]:
        return f"helm registry login {registry} -u {user}", f"helm upgrade --install {what.release} {what.chart}"

    def way_out_shown(self, release: str, namespace: str, revision: int | None, timeout: int) -> str:
        return f"helm uninstall {release}" if revision is None else f"helm rollback {release} {revision}"

    async def login(self, registry: str, user: str, token: Secret) -> None:
        self.calls.append(("login", registry, user))

    async def upgrade(
        self, what: Upgrade, *, started: Callable[[ProcessIdentity], None], progress: Progress
    ) -> Release:
        from wizard.safe_yaml import load_typed

        started(ProcessIdentity(1, "1", "boot"))
        self.calls.append(("upgrade", what.release, what.version))
        if self.failure:
            raise self.failure
        progress("Release has been upgraded")
        self.live = load_typed(what.values, "values")
        new = release(len(self.revisions) + 1, name=what.release, version=what.version, namespace=what.namespace)
        self.revisions.append(new)
        return new

    async def rollback(
        self,
        release: str,
        namespace: str,
        revision: int,
        *,
        timeout: int,
        started: Callable[[ProcessIdentity], None],
        progress: Progress,
    ) -> None:
        self.calls.append(("rollback", release, str(revision)))
        started(ProcessIdentity(1, "1", "boot"))

    async def uninstall(
        self,
        release: str,
        namespace: str,
        *,
        timeout: int,
        started: Callable[[ProcessIdentity], None],
        progress: Progress,
    ) -> None:
        self.calls.append(("uninstall", release))
        started(ProcessIdentity(1, "1", "boot"))
        self.revisions.clear()


def release(
    revision: int,
    status: str = "deployed",
    *,
    name: str = "dpe-01",
    version: str = "16.2.0",
    namespace: str = "dpe",
) -> Release:
    """One revision."""
    return Release(name, namespace, revision, status, "ataccama-one-dpe", version)
