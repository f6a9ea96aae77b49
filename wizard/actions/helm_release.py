"""Step "update the release": `helm registry login` and `helm upgrade --install`, and the looks that prove it.

The plan reads the values file once; those bytes are hashed, compared and sent to helm, so nothing can change between
preview and upgrade. Facts: HELM.md ("Commands", "When helm is interrupted").
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from state.actor import current_actor
from state.events import CANCELLED, DONE, FAILED
from state.problem import EXIT_NOT_YET, Problem
from wizard.actions.change_end import BadEnd
from wizard.actions.release_facts import (
    DEPLOYED,
    PENDING,
    in_words,
    other_cluster,
    ports_of,
    require_same_cluster,
    require_same_file,
    same_cluster,
    waiting_workloads,
)
from wizard.actions.release_states import WayOut, pending_way_out
from wizard.actions.values_file import ValuesFile, canonical_sha256, differences, read_values, same_values
from wizard.current import last_change
from wizard.guide import CHANGE, CREATE, REMOVE, SAME, Change, Log, Moment, Obstacle, Plan
from wizard.identifiers import duration_seconds
from wizard.ports import (
    ClusterIdentity,
    ClusterReader,
    HelmWriter,
    ProcessIdentity,
    Readers,
    Release,
    Upgrade,
    Writers,
)
from wizard.process_identity import alive, wait_gone
from wizard.secret import Secret
from wizard.together import together
from wizard.view import View

if TYPE_CHECKING:
    from state.snapshot import ChangeRecord

POLL_SECONDS = 1.0
_STOPPED = (CANCELLED, "cancelled")  # helm was stopped with it


@dataclass(frozen=True, slots=True)
class _Payload:
    """What applying this very plan needs; never journalled, never shown."""

    upgrade: Upgrade
    values: ValuesFile
    registry: str
    username: str
    cluster: ClusterIdentity
    way_out: WayOut | None
    last: int
    """The newest revision that was there, 0 when there was none."""


class HelmRelease:
    """The action of a step that installs or upgrades one helm release per item.

    `hosts` are the fields whose host names the values file should name, `token` the field of the registry's token.
    """

    def __init__(self, hosts: tuple[str, ...], token: str) -> None:
        self._hosts = hosts
        self._token = token

    # ------------------------------------------------------------ plan

    async def plan(self, view: View, readers: Readers) -> Plan:
        """Compares the wanted release with the one that runs. Raises Problem when one can't be looked at."""
        helm, cluster = ports_of(readers)
        values = await asyncio.to_thread(read_values, view.value("values_file"))
        require_same_file(view, values)
        release, namespace = view.value("release"), view.value("namespace")
        async with together() as looks:
            identifying = looks.create_task(cluster.identity())
            existing = looks.create_task(cluster.namespace_exists(namespace))
            remembering = looks.create_task(helm.history(release, namespace))
        identity, exists, history = identifying.result(), existing.result(), remembering.result()
        require_same_cluster(view, identity)
        live = await helm.values(release, namespace) if history else {}
        upgrade = Upgrade(
            release=release,
            namespace=namespace,
            chart=view.value("chart"),
            version=view.value("version"),
            values=values.content,
            timeout=duration_seconds(view.value("timeout")),
            create_namespace=not exists,
        )
        out = pending_way_out(history)
        last = history[-1].revision if history else 0
        payload = _Payload(upgrade, values, view.value("registry"), view.value("username"), identity, out, last)
        changes = _changes(upgrade, values, history, live, exists=exists, out=out)
        commands = await helm.commands_shown(upgrade, payload.registry, payload.username)
        if out:
            commands = (helm.way_out_shown(release, namespace, out.revision, upgrade.timeout), *commands)
        return Plan(
            changes=changes,
            commands=commands,
            digest=_digest(commands, values),
            summary=_summary(upgrade, history),
            notes=self._notes(view, values),
            undo=_undo(upgrade, history),
            obstacle=_obstacle(out, ours=_is_ours(view, history[-1], live)) if out else None,
            timeout=float(upgrade.timeout),
            identity=f"{identity.user} (at {identity.server})" if identity.user else "",
            payload=payload,
        )

    def _notes(self, view: View, values: ValuesFile) -> tuple[str, ...]:
        missing = [host for key in self._hosts for host in view.values(key) if host not in values.facts.hosts]
        if not missing:
            return ()
        return (
            f"The values file does not name {', '.join(missing)}, which the DNS step prepared. "
            "Check that it is the file of this environment.",
        )

    # ------------------------------------------------------------ apply

    async def apply(
        self,
        view: View,
        plan: Plan,
        *,
        readers: Readers,
        writers: Writers,
        secrets: Mapping[str, Secret],
        log: Log,
        progress: Callable[[Moment], None],
    ) -> None:
        """Logs in and upgrades, writing each change before it begins and when it ended.

        Raises Problem for what the user must act on; cancelling stops helm and leaves the release `failed`, which
        the next plan upgrades again.
        """
        payload: _Payload = plan.payload
        _, cluster = ports_of(readers)
        if writers.helm is None:
            raise Problem("no-helm", "helm was not found.", todo="Run `privatelink-wizard doctor`.")
        token = secrets.get(self._token)
        if not token:
            raise Problem(
                "no-token",
                "The registry's token is not known in this session.",
                means="It is never written down, so each session asks for it.",
                todo="Copy it from the vendor's portal again.",
                exit_code=EXIT_NOT_YET,
            )
        await _pin(view, payload, cluster, log)
        actor = _Acting(writers.helm, cluster, payload, log, progress)
        if payload.way_out is not None:
            await actor.recover(payload.way_out)
            await _pin(view, payload, cluster, log)
        await actor.upgrade(plan, token)

    # ------------------------------------------------------------ resume

    async def resume(
        self,
        view: View,
        change: str,
        *,
        readers: Readers,
        log: Log,
        progress: Callable[[Moment], None],
        gone: bool,
    ) -> None:
        """Finds out how an interrupted change ended: waits for a helm that still runs, then asks for the release."""
        record = view.snapshot.changes[change]
        if record.process is None:
            log.finished(change, outcome=CANCELLED, summary="stopped before helm was started")
            return
        await _wait_for_helm(record, progress, gone=gone)
        helm, _ = ports_of(readers)
        # What was acted on then; the fields may name another release by now.
        facts = record.started.data.facts
        history = await helm.history(
            facts.get("release") or view.value("release"), facts.get("namespace") or view.value("namespace")
        )
        outcome, summary = _how_it_ended(record, history)
        log.finished(change, outcome=outcome, summary=summary, **_facts(history))


def _obstacle(out: WayOut, *, ours: bool) -> Obstacle:
    risk = "This setup did not start that helm run; somebody else may be in the middle of it."
    return Obstacle(
        what=" ".join((out.what, out.means, out.todo)),
        label="Recover, then upgrade",
        risk="" if ours else risk,
        word=("pending_release", "recover"),
    )


# ---------------------------------------------------------------- acting


class _Acting:
    """One application of a plan: the helm calls, each with its lines in the journal."""

    def __init__(
        self,
        helm: HelmWriter,
        cluster: ClusterReader,
        payload: _Payload,
        log: Log,
        progress: Callable[[Moment], None],
    ) -> None:
        self._helm = helm
        self._cluster = cluster
        self._payload = payload
        self._log = log
        self._progress = progress

    async def recover(self, out: WayOut) -> None:
        """Takes the way out of a pending release."""
        change = uuid4().hex
        what = self._payload.upgrade
        summary = _recovery_summary(what, out)
        # An uninstall works on the last revision; a rollback makes a new one.
        revision = self._payload.last if out.revision is None else self._payload.last + 1
        traces = {**_traces(what, revision), "undoes": str(out.revision is None)}
        self._log.started(change, summary=summary, facts=traces)
        self._progress(Moment("phase", summary))
        started = self._started(change)
        with BadEnd(self._log, change, summary, cancelled=_STOPPED):
            if out.revision is None:
                await self._helm.uninstall(
                    what.release, what.namespace, timeout=what.timeout, started=started, progress=self._line
                )
            else:
                await self._helm.rollback(
                    what.release,
                    what.namespace,
                    out.revision,
                    timeout=what.timeout,
                    started=started,
                    progress=self._line,
                )
        self._log.finished(change, outcome=DONE, summary=summary)

    async def upgrade(self, plan: Plan, token: Secret) -> None:
        """Logs in and upgrades, watching the workloads while helm waits for them."""
        change = uuid4().hex
        payload, what = self._payload, self._payload.upgrade
        self._log.started(
            change,
            summary=plan.summary,
            commands=plan.commands,
            digest=plan.digest,
            undo=plan.undo,
            facts={
                **_traces(what, _revision_made(payload)),
                "chart_version": what.version,
                "sent_sha256": canonical_sha256(payload.values.values),
            },
        )
        with BadEnd(self._log, change, plan.summary, cancelled=_STOPPED):
            self._progress(Moment("phase", f"log in to {payload.registry}"))
            await self._helm.login(payload.registry, payload.username, token)
            self._progress(Moment("phase", plan.summary))
            watching = asyncio.create_task(self._watch())
            try:
                release = await self._helm.upgrade(what, started=self._started(change), progress=self._line)
            except Problem as problem:
                if problem.code == "pods-not-ready":
                    problem.detail = "\n".join((problem.detail, *await self._why_not_ready()))
                raise
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
        self._log.finished(
            change,
            outcome=DONE,
            summary=f"{release.name} {release.chart_version} is deployed, revision {release.revision}",
            revision=str(release.revision),
            chart_version=release.chart_version,
            status=release.status,
            values_sha256=payload.values.facts.sha256,
        )

    def _started(self, change: str) -> Callable[[ProcessIdentity], None]:
        def journal(process: ProcessIdentity) -> None:
            self._log.process(change, pid=process.pid, start_time=process.start_time, boot_id=process.boot_id)

        return journal

    def _line(self, text: str) -> None:
        self._progress(Moment("line", text))

    async def _why_not_ready(self) -> tuple[str, ...]:
        """What the cluster says of each waiting workload; empty when it can't be asked."""
        try:
            workloads = await self._cluster.workloads(self._payload.upgrade.release, self._payload.upgrade.namespace)
        except Problem:
            return ()
        return tuple(in_words(workload) for workload in waiting_workloads(workloads))

    async def _watch(self) -> None:
        """Reports ready pods while helm waits; a look that fails is reported and tried again."""
        what, begun = self._payload.upgrade, time.monotonic()
        while True:
            await asyncio.sleep(POLL_SECONDS)
            elapsed = time.monotonic() - begun
            try:
                workloads = await self._cluster.workloads(what.release, what.namespace)
            except Problem as problem:
                self._progress(Moment("wait", problem.what, elapsed=elapsed, timeout=what.timeout))
                continue
            for workload in workloads:
                reason = f": {workload.reasons[0]}" if workload.reasons else ""
                self._progress(
                    Moment(
                        "wait",
                        f"{workload.kind} {workload.name}{reason}",
                        ready=workload.ready,
                        wanted=workload.wanted,
                        elapsed=elapsed,
                        timeout=what.timeout,
                    )
                )


async def _pin(view: View, payload: _Payload, cluster: ClusterReader, log: Log) -> None:
    """Reads the cluster's identity again before a write, and stops when it is not the one that was planned for."""
    identity = await cluster.identity()
    if not same_cluster(payload.cluster.server, payload.cluster.uid, identity):
        raise other_cluster(payload.cluster.server, payload.cluster.uid, identity)
    require_same_cluster(view, identity)
    if identity.uid is not None or "cluster" not in view.snapshot.identities:
        log.pinned("cluster", {"server": identity.server, "uid": identity.uid})


async def _wait_for_helm(record: ChangeRecord, progress: Callable[[Moment], None], *, gone: bool) -> None:
    assert record.process is not None  # noqa: S101 - the caller looked
    written = record.process
    identity = ProcessIdentity(written.data.pid, written.data.start_time, written.data.boot_id)
    here = written.actor.host == current_actor("run").host
    lives = alive(identity) if here else None
    if lives is None and not gone:
        where = "on this host" if here else f"on {written.actor.host}"
        raise Problem(
            "interrupted-elsewhere",
            f"helm was started {where} at {written.ts} (pid {written.data.pid}); nobody saw it end.",
            means="It may still be running.",
            todo="Look there. When it is gone, say so and run again (README, Troubleshooting).",
            exit_code=EXIT_NOT_YET,
        )
    if lives:
        progress(Moment("phase", f"helm still runs (pid {identity.pid}, since {written.ts}); waiting for it"))
        await wait_gone(identity)


def _how_it_ended(record: ChangeRecord, history: tuple[Release, ...]) -> tuple[str, str]:
    """Outcome and summary of an interrupted change, from what helm remembers of the release."""
    started = record.started.data
    summary = started.summary
    if not history:
        if started.facts.get("undoes") == "True":
            return DONE, f"{summary}: it is uninstalled"
        return CANCELLED, f"{summary}: interrupted before helm made a release"
    last = history[-1]
    if last.revision < int(started.facts.get("revision", "0")):
        return CANCELLED, f"{summary}: interrupted before helm made a revision; {last.revision} is {last.status}"
    if last.status in PENDING:
        return FAILED, f"{summary}: interrupted; revision {last.revision} is {last.status}"
    if last.status == DEPLOYED:
        return DONE, f"{summary}: revision {last.revision} is deployed"
    return FAILED, f"{summary}: revision {last.revision} is {last.status}"


def _facts(history: tuple[Release, ...]) -> dict[str, str]:
    if not history:
        return {}
    last = history[-1]
    return {"revision": str(last.revision), "chart_version": last.chart_version, "status": last.status}


# ---------------------------------------------------------------- planning


def _changes(
    wanted: Upgrade,
    values: ValuesFile,
    history: tuple[Release, ...],
    live: Mapping[str, Any],
    *,
    exists: bool,
    out: WayOut | None,
) -> tuple[Change, ...]:
    changes: list[Change] = []
    if not exists:
        changes.append(Change(CREATE, f"namespace {wanted.namespace}"))
    if not history:
        changes.append(Change(CREATE, f"release {wanted.release} {wanted.version} in {wanted.namespace}"))
        return tuple(changes)
    last = history[-1]
    if out is not None:
        sign = REMOVE if out.revision is None else CHANGE
        changes.append(Change(sign, _recovery_summary(wanted, out)))
    now = f"{last.chart_version} (revision {last.revision}, {last.status})"
    value_changes = differences(live, values.values)
    version_same = last.chart_version == wanted.version
    if last.status == DEPLOYED and version_same and same_values(live, values.values):
        changes.append(Change(SAME, f"release {wanted.release} {now}"))
    else:
        changes.append(Change(CHANGE, f"release {wanted.release} {now} to {wanted.version}"))
    return (*changes, *value_changes)


def _recovery_summary(what: Upgrade, out: WayOut) -> str:
    if out.revision is None:
        return f"uninstall {what.release}, which is {out.status}"
    return f"roll {what.release} back to revision {out.revision}: it is {out.status}"


def _is_ours(view: View, pending: Release, live: Mapping[str, Any]) -> bool:
    """Whether the pending revision comes from our own interrupted run.

    Only then is taking the way out a continuation of what the user already said yes to. In doubt it is not ours:
    rolling back what somebody else is in the middle of would be worse than asking. So everything must agree: the
    number we were to make, a time within our run, and for an upgrade its version and values.
    """
    change = last_change(view)
    if change is None or change.process is None or change.finished is None or change.finished.data.outcome == DONE:
        return False
    traces = change.started.data.facts
    if traces.get("revision") != str(pending.revision):
        return False
    if not _within(pending.updated, change.process.ts, change.finished.ts):
        return False
    if "chart_version" not in traces:
        return True
    return traces["chart_version"] == pending.chart_version and traces.get("sent_sha256") == canonical_sha256(live)


def _within(moment: str, begin: str, end: str) -> bool:
    """Whether helm's time lies between two of ours; a time that can't be read does not."""
    try:
        return datetime.fromisoformat(begin) <= datetime.fromisoformat(moment) <= datetime.fromisoformat(end)
    except (ValueError, TypeError):
        return False


def _traces(what: Upgrade, revision: int) -> dict[str, str]:
    """What a change will have left behind, by which it is recognised after a crash."""
    return {"release": what.release, "namespace": what.namespace, "revision": str(revision)}


def _revision_made(payload: _Payload) -> int:
    """The revision the upgrade will make: an uninstall before it begins anew, a rollback takes one number."""
    if payload.way_out is None:
        return payload.last + 1
    return 1 if payload.way_out.revision is None else payload.last + 2


def _summary(wanted: Upgrade, history: tuple[Release, ...]) -> str:
    if not history:
        return f"install {wanted.release} {wanted.version} in {wanted.namespace}"
    return f"upgrade {wanted.release} {history[-1].chart_version} to {wanted.version} in {wanted.namespace}"


def _undo(wanted: Upgrade, history: tuple[Release, ...]) -> str:
    good = [release.revision for release in history if release.status == DEPLOYED]
    if good:
        return f"helm rollback {wanted.release} {good[-1]} --namespace {wanted.namespace}"
    return f"helm uninstall {wanted.release} --namespace {wanted.namespace}"


def _digest(commands: tuple[str, ...], values: ValuesFile) -> str:
    document = json.dumps([list(commands), values.facts.sha256], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(document.encode()).hexdigest()
