"""Looks at the Kubernetes API: run in the SDK child, by `cluster.ClusterLooker`.

Every answer may be hostile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from state.problem import Problem
from wizard.adapters.cluster_api import (
    NotFoundError,
    Target,
    call,
    client_of,
    field_of,
    list_all,
    mapping,
    number_of,
    sequence,
    text_of,
)
from wizard.ports import ClusterIdentity, Right, Workload

_REASONS, _REASON_LENGTH = 20, 300

_KINDS = (("deployments", "Deployment"), ("statefulsets", "StatefulSet"), ("daemonsets", "DaemonSet"))


def identity(target: Target) -> ClusterIdentity:
    """Server URL, UID of kube-system (None when forbidden), and who we are where the API tells (Kubernetes 1.28).

    Who we are is asked by POST, so with `gets_only` it is not known.
    """
    client = client_of(target)
    uid: str | None
    try:
        uid = text_of(field_of(call(target, "GET", "/api/v1/namespaces/kube-system"), "metadata", "uid")) or None
    except Problem as problem:
        if problem.code != "cluster-forbidden":
            raise
        uid = None
    return ClusterIdentity(
        server=str(client.configuration.host), uid=uid, user="" if target.gets_only else _user(target)
    )


def namespace_exists(target: Target, namespace: str) -> bool:
    """Whether the namespace exists. Raises Problem `cluster-forbidden` when it may not be read."""
    try:
        call(target, "GET", f"/api/v1/namespaces/{quote(namespace, safe='')}")
    except NotFoundError:
        return False
    return True


def rights(target: Target, wanted: tuple[Right, ...]) -> tuple[Right, ...]:
    """Each right with whether we have it, by SelfSubjectAccessReview; None where the API does not tell."""
    return tuple(replace(right, allowed=_allowed(target, right)) for right in wanted)


def workloads(target: Target, release: str, namespace: str) -> tuple[Workload, ...]:
    """The workloads of a helm release, with the reasons of pods that are not ready."""
    where = quote(namespace, safe="")
    found = of_release(target, release, where)
    if not found:
        return ()
    pods = list_all(target, f"/api/v1/namespaces/{where}/pods")
    warnings = warnings_of(target, where)
    return tuple(_workload(kind, one, pods, warnings) for kind, one in found)


def of_release(target: Target, release: str, where: str) -> list[tuple[str, Any]]:
    """Kind and object of each workload of a release; `where` is the namespace, quoted for a path."""
    found: list[tuple[str, Any]] = []
    for plural, kind in _KINDS:
        objects = list_all(target, f"/apis/apps/v1/namespaces/{where}/{plural}")
        found += [(kind, one) for one in objects if _belongs(one, release)]
    return found


def pods_of(one: Any, pods: list[Any]) -> list[Any]:
    """Those of `pods` that a workload selects."""
    labels = mapping(field_of(one, "spec", "selector", "matchLabels"))
    return [pod for pod in pods if labels and _matches(pod, labels)]


# ---------------------------------------------------------------- what belongs together, and why it is not ready


def _belongs(one: Any, release: str) -> bool:
    """helm's own annotation decides; the label is the convention for charts and counts where that is missing."""
    noted = field_of(one, "metadata", "annotations", "meta.helm.sh/release-name")
    return bool((noted or field_of(one, "metadata", "labels", "app.kubernetes.io/instance")) == release)


def _workload(kind: str, one: Any, pods: list[Any], warnings: Mapping[str, str]) -> Workload:
    own = pods_of(one, pods)
    where = ("status", "desiredNumberScheduled") if kind == "DaemonSet" else ("spec", "replicas")
    ready, older = _ready(kind, one)
    containers = sequence(field_of(one, "spec", "template", "spec", "containers"))
    reasons = _not_begun(one)
    reasons += [line for pod in own if not pod_ready(pod) for line in pod_reasons(pod, warnings)]
    reasons += _condition_reasons(one)
    return Workload(
        kind=kind,
        name=text_of(field_of(one, "metadata", "name")),
        ready=ready,
        wanted=number_of(field_of(one, *where)),
        images=tuple(text_of(field_of(container, "image")) for container in containers),
        restarts=sum(number_of(field_of(status, "restartCount")) for pod in own for status in _statuses(pod)),
        reasons=tuple(dict.fromkeys(reasons))[:_REASONS],
        older=older,
        given_up=("Progressing", "False") in _conditions(one),
    )


# What a status counts: all pods, those of the present template, those that are ready.
_COUNTS = {"DaemonSet": ("currentNumberScheduled", "updatedNumberScheduled", "numberReady")}
_REPLICA_COUNTS = ("replicas", "updatedReplicas", "readyReplicas")


def _ready(kind: str, one: Any) -> tuple[int, int]:
    """Ready pods of the present template, and ready ones of an earlier one.

    A status does not tell which pods are the ready ones. While a rollout goes on, those of before are still there and
    ready, so as many as are old may be among them: `updatedReplicas` says only that there is a new pod, perhaps one
    that crashes. What is left are certainly new ones (`kubectl rollout status` waits for the same numbers).
    """
    there, updated, ready = (number_of(field_of(one, "status", name)) for name in _COUNTS.get(kind, _REPLICA_COUNTS))
    if _not_begun(one):
        return 0, ready
    revision = text_of(field_of(one, "status", "updateRevision"))
    if revision and revision == field_of(one, "status", "currentRevision"):
        return ready, 0  # a StatefulSet that knows one template alone
    new = min(updated, max(0, ready - max(0, there - updated)))
    return new, ready - new


def _not_begun(one: Any) -> list[str]:
    """Why the status says nothing about the present template: it speaks of an earlier one. A server that does not
    tell which it speaks of is believed."""
    present, seen = field_of(one, "metadata", "generation"), field_of(one, "status", "observedGeneration")
    if seen is None or number_of(seen) >= number_of(present):
        return []
    return [f"the cluster has not begun to roll it out (generation {number_of(present)}, seen {number_of(seen)})"]


def _matches(pod: Any, labels: Mapping[Any, Any]) -> bool:
    have = mapping(field_of(pod, "metadata", "labels"))
    return all(have.get(name) == value for name, value in labels.items())


def pod_ready(pod: Any) -> bool:
    """Whether the pod says that it is ready."""
    conditions = sequence(field_of(pod, "status", "conditions"))
    return any(field_of(one, "type") == "Ready" and field_of(one, "status") == "True" for one in conditions)


def pod_reasons(pod: Any, warnings: Mapping[str, str]) -> list[str]:
    """Why a pod is not ready, one line each, never none; `warnings` as `warnings_of` gives them."""
    name = text_of(field_of(pod, "metadata", "name"))
    lines = []
    for status in _statuses(pod):
        state = mapping(field_of(status, "state"))
        for word in ("waiting", "terminated"):
            said = state.get(word)
            if said and field_of(said, "reason") != "Completed":
                lines.append(_line(name, field_of(said, "reason"), field_of(said, "message"), _exit_code(said)))
        before = field_of(status, "lastState", "terminated")
        if before:
            lines.append(
                _line(name, "before", field_of(before, "reason"), field_of(before, "message"), _exit_code(before))
            )
    for one in sequence(field_of(pod, "status", "conditions")):
        if field_of(one, "type") == "PodScheduled" and field_of(one, "status") == "False":
            lines.append(_line(name, field_of(one, "reason"), field_of(one, "message")))
    if field_of(pod, "status", "reason"):  # Evicted, NodeLost
        lines.append(_line(name, field_of(pod, "status", "reason"), field_of(pod, "status", "message")))
    if name in warnings:
        lines.append(_line(name, warnings[name]))
    return lines or [_line(name, field_of(pod, "status", "phase"), "not ready yet")]


def _exit_code(said: Any) -> str:
    code = field_of(said, "exitCode")
    return f"exit code {code}" if isinstance(code, int) else ""


def _condition_reasons(one: Any) -> list[str]:
    """A rollout that does not go on: Progressing is False, or pods cannot even be created (quota, admission)."""
    return [
        _line(field_of(condition, "reason"), field_of(condition, "message"))
        for condition in sequence(field_of(one, "status", "conditions"))
        if _holds(condition) in (("Progressing", "False"), ("ReplicaFailure", "True"))
    ]


def _conditions(one: Any) -> list[tuple[Any, Any]]:
    return [_holds(condition) for condition in sequence(field_of(one, "status", "conditions"))]


def _holds(condition: Any) -> tuple[Any, Any]:
    return field_of(condition, "type"), field_of(condition, "status")


def warnings_of(target: Target, where: str) -> dict[str, str]:
    """The last warning event of each pod; none when events may not be read."""
    try:
        events = list_all(target, f"/api/v1/namespaces/{where}/events", fieldSelector="involvedObject.kind=Pod")
    except Problem as problem:
        if problem.code != "cluster-forbidden":
            raise
        return {}
    latest: dict[str, tuple[str, str]] = {}
    for event in events:
        if field_of(event, "type") != "Warning":
            continue
        pod = text_of(field_of(event, "involvedObject", "name"))
        time = text_of(field_of(event, "lastTimestamp")) or text_of(field_of(event, "eventTime"))
        if time >= latest.get(pod, ("", ""))[0]:
            latest[pod] = (time, _line(field_of(event, "reason"), field_of(event, "message")))
    return {pod: text for pod, (_, text) in latest.items()}


def _statuses(pod: Any) -> list[Any]:
    of = field_of(pod, "status")
    return [*sequence(field_of(of, "initContainerStatuses")), *sequence(field_of(of, "containerStatuses"))]


def _line(*parts: Any) -> str:
    text = ": ".join(" ".join(text_of(part).split()) for part in parts if part)
    return text if len(text) <= _REASON_LENGTH else text[: _REASON_LENGTH - 1] + "…"


# ---------------------------------------------------------------- reviews


def _user(target: Target) -> str:
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    try:
        answer = call(target, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body=review)
    except (NotFoundError, Problem):  # an older cluster, or not allowed: who we are is a help, no more
        return ""
    return text_of(field_of(answer, "status", "userInfo", "username"))[:_REASON_LENGTH]


def _allowed(target: Target, right: Right) -> bool | None:
    resource, _, subresource = right.resource.partition("/")
    attributes = {"verb": right.verb, "resource": resource, "group": right.group, "namespace": right.namespace}
    if subresource:
        attributes["subresource"] = subresource
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    try:
        answer = call(target, "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body=review)
    except NotFoundError:
        return None
    except Problem as problem:
        if problem.code == "cluster-forbidden":
            return None
        raise
    allowed = field_of(answer, "status", "allowed")
    return allowed if isinstance(allowed, bool) else None
