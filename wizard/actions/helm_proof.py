"""The looks that prove a helm release: deployed at the wanted version, with the values sent, all pods ready."""

from __future__ import annotations

import json
from collections.abc import Coroutine
from typing import Any, TypeVar

from state.events import BAD, COULD_NOT_LOOK, GOOD, NOT_YET
from state.problem import Problem
from wizard.actions.release_facts import (
    DEPLOYED,
    PENDING,
    cluster_in_words,
    in_words,
    ports_of,
    require_same_cluster,
    require_same_file,
    waiting_workloads,
)
from wizard.actions.values_file import canonical_sha256, hosts_in, read_values
from wizard.evidence import evidence
from wizard.guide import Finding
from wizard.ports import ClusterReader, Readers, Release, Workload
from wizard.status import ACTION
from wizard.text import count, one_line
from wizard.together import both
from wizard.view import View

T = TypeVar("T")


async def _asked(view: View, cluster: ClusterReader, look: Coroutine[Any, Any, T]) -> tuple[str, T]:
    """Which cluster was asked, and what `look` found there. Raises Problem for another than the pinned one."""
    identity, found = await both(cluster.identity(), look)
    require_same_cluster(view, identity)
    return cluster_in_words(identity), found


async def check_release(view: View, readers: Readers) -> Finding:
    """The release is deployed at the wanted version, with the values that were sent."""
    helm, cluster = ports_of(readers)
    release, namespace, version = view.value("release"), view.value("namespace"), view.value("version")
    where, history = await _asked(view, cluster, helm.history(release, namespace))
    request = f"helm history {release} --namespace {namespace}"
    if not history:
        seen = evidence("helm", request, "release: not found", where)
        return Finding(NOT_YET, f"there is no release {release} in {namespace}", "Run this step.", (seen,))
    last = history[-1]
    live_sha256 = canonical_sha256(await helm.values(release, namespace))
    answer = json.dumps(
        {
            "revision": last.revision,
            "status": last.status,
            "chart_version": last.chart_version,
            "values_sha256": live_sha256,
        }
    )
    seen = evidence("helm", request, answer, where)
    verdict, text, todo = _release_verdict(view, history, version, live_sha256, files=readers.files)
    return Finding(verdict, text, todo, (seen,))


def _release_verdict(
    view: View, history: tuple[Release, ...], version: str, live_sha256: str, *, files: bool
) -> tuple[str, str, str]:
    last = history[-1]
    what = f"{last.name} {last.chart_version} revision {last.revision} is {last.status}"
    if last.status in PENDING:
        return BAD, what, "Run this step: its plan offers the way out of the pending release."
    if last.status != DEPLOYED:
        return BAD, what, "Run this step again."
    if last.chart_version != version:
        return BAD, f"{what}, wanted {version}", "Run this step: its plan shows the upgrade."
    sent = _sent_values(view, files=files)
    if sent is None:
        return COULD_NOT_LOOK, f"{what}; which values it runs with can't be compared", "Run this step once."
    if sent != live_sha256:
        return BAD, f"{what}, but with other values than were sent", "Run this step: its plan shows the differences."
    return GOOD, f"{what}, with the values that were sent", ""


def _sent_values(view: View, *, files: bool) -> str | None:
    """The digest of the values that our last upgrade for these inputs sent, else of the file that is named."""
    for change in reversed(tuple(view.snapshot.changes.values())):
        started = change.started.data
        mine = (started.step, tuple(started.items)) == (view.step.id, view.items)
        if mine and started.fingerprint == view.fingerprint(ACTION, 1) and "sent_sha256" in started.facts:
            return started.facts["sent_sha256"]
    if not files:
        return None
    try:
        values = read_values(view.value("values_file"))
        require_same_file(view, values)
    except Problem:
        return None
    return canonical_sha256(values.values)


async def check_workloads(view: View, readers: Readers) -> Finding:
    """Every workload of the release has all its pods ready, those of its present template."""
    _, cluster = ports_of(readers)
    release, namespace = view.value("release"), view.value("namespace")
    where, workloads = await _asked(view, cluster, cluster.workloads(release, namespace))
    answer = json.dumps([_told(workload) for workload in workloads])
    request = f"workloads of release {release} in namespace {namespace}"
    seen = evidence("kubernetes", request, answer, where)
    if not workloads:
        return Finding(NOT_YET, f"release {release} has no workloads in {namespace}", "Run this step.", (seen,))
    waiting = waiting_workloads(workloads)
    if waiting:
        return Finding(BAD, in_words(waiting[0]), f"kubectl describe pods --namespace {namespace}", (seen,))
    return Finding(GOOD, f"pods ready: {', '.join(map(_ready, workloads))}", "", (seen,))


def _ready(workload: Workload) -> str:
    images = ", ".join(one_line(image) for image in workload.images)
    restarts = f", {count(workload.restarts, 'restart')}" if workload.restarts else ""
    return f"{workload.name} {workload.ready} of {workload.wanted} ({images or 'no image'}{restarts})"


async def check_hosts(view: View, readers: Readers, *, hosts: tuple[str, ...]) -> Finding:
    """The release is configured with the hosts in the fields `hosts`: else it talks to another environment."""
    helm, cluster = ports_of(readers)
    release, namespace = view.value("release"), view.value("namespace")
    where, values = await _asked(view, cluster, helm.values(release, namespace))
    found = hosts_in(values)
    seen = evidence("helm", f"helm get values {release} --namespace {namespace}", json.dumps({"hosts": found}), where)
    wanted = [view.value(key) for key in hosts]
    missing = [host for host in wanted if host.lower() not in found]
    if not found:
        return Finding(COULD_NOT_LOOK, f"the values of release {release} name no host", "", (seen,))
    if missing:
        text = f"release {release} is not configured with {', '.join(missing)}, but with {', '.join(found)}"
        return Finding(BAD, text, "Download values.yml again after step 6, and run this step.", (seen,))
    return Finding(GOOD, f"release {release} is configured with {', '.join(wanted)}", "", (seen,))


def _told(workload: Workload) -> dict[str, Any]:
    return {
        "kind": workload.kind,
        "name": workload.name,
        "ready": workload.ready,
        "wanted": workload.wanted,
        "images": list(workload.images),
        "restarts": workload.restarts,
        "older": workload.older,
        "given_up": workload.given_up,
        "reasons": list(workload.reasons),
    }
