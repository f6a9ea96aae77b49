"""One function per kind of workload: compares what its spec wants with what there is, and takes the next step.

Each is called again after every change of the workload or of anything it controls, and after a restart of the
sandbox; called when nothing is to do, it changes nothing. Times may therefore only move when a state does.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable

from wizard.sandbox.kubernetes.meta import (
    annotations_of,
    condition,
    digest,
    labels_of,
    name_of,
    namespace_of,
    now,
    owner_reference,
    pod_is_ready,
    status_of,
)
from wizard.sandbox.kubernetes.objects import NODE_NAME, Objects, key_of
from wizard.sandbox.kubernetes.recorder import record
from wizard.sandbox.kubernetes.resources import (
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    PODS,
    REPLICA_SETS,
    STATEFUL_SETS,
    VOLUME_CLAIMS,
    Key,
    Obj,
    Resource,
)

_REVISION = "deployment.kubernetes.io/revision"
_TEMPLATE_HASH = "pod-template-hash"
_REVISION_HASH = "controller-revision-hash"


def reconcile_deployment(objects: Objects, deployment: Obj) -> None:
    """A new ReplicaSet per pod template; the old ones are scaled down once it is ready."""
    wanted = deployment["spec"]["replicas"]
    current = _current_replica_set(objects, deployment)
    if current["spec"]["replicas"] != wanted:
        current = objects.scale(key_of(REPLICA_SETS, current), wanted)
    older = [each for each in objects.owned(REPLICA_SETS, deployment) if name_of(each) != name_of(current)]
    if _is_observed(current) and status_of(current).get("readyReplicas", 0) >= wanted:
        for replica_set in older:
            if replica_set["spec"]["replicas"]:
                objects.scale(key_of(REPLICA_SETS, replica_set), 0)
    _set_deployment_status(objects, deployment, current, older)


def _current_replica_set(objects: Objects, deployment: Obj) -> Obj:
    """The ReplicaSet of the present template, made or, after a rollback, found again; it has the highest revision."""
    template = deployment["spec"]["template"]
    template_hash = digest(template)
    replica_sets = objects.owned(REPLICA_SETS, deployment)
    current = next((each for each in replica_sets if labels_of(each).get(_TEMPLATE_HASH) == template_hash), None)
    highest = max((_revision(each) for each in replica_sets), default=0)
    if current is None:
        revision = str(highest + 1)
        current = _create_replica_set(objects, deployment, template_hash, revision)
    elif _revision(current) < highest:
        revision = str(highest + 1)
        objects.annotate(key_of(REPLICA_SETS, current), _REVISION, revision)
    else:
        revision = str(highest)
    objects.annotate(key_of(DEPLOYMENTS, deployment), _REVISION, revision)
    return objects.get(key_of(REPLICA_SETS, current))


def _revision(replica_set: Obj) -> int:
    return int(annotations_of(replica_set).get(_REVISION, 0))


def _create_replica_set(objects: Objects, deployment: Obj, template_hash: str, revision: str) -> Obj:
    template = copy.deepcopy(deployment["spec"]["template"])
    labels = {**(template["metadata"].get("labels") or {}), _TEMPLATE_HASH: template_hash}
    template["metadata"]["labels"] = labels
    selector = copy.deepcopy(deployment["spec"]["selector"])
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), _TEMPLATE_HASH: template_hash}
    metadata = {
        "name": f"{name_of(deployment)}-{template_hash}",
        "labels": labels,
        "annotations": {_REVISION: revision},
        "ownerReferences": [owner_reference(deployment)],
    }
    replicas = deployment["spec"]["replicas"]
    spec = {"replicas": replicas, "selector": selector, "template": template}
    created = objects.create(REPLICA_SETS, namespace_of(deployment), {"metadata": metadata, "spec": spec})
    scaled = f"Scaled up replica set {metadata['name']} to {replicas}"
    record(objects, deployment, "ScalingReplicaSet", scaled, source="deployment-controller")
    return created


def _is_observed(obj: Obj) -> bool:
    """Whether the status speaks of the present spec."""
    return bool(status_of(obj).get("observedGeneration") == obj["metadata"]["generation"])


def _set_deployment_status(objects: Objects, deployment: Obj, current: Obj, older: list[Obj]) -> None:
    before = status_of(deployment)
    wanted: int = deployment["spec"]["replicas"]

    def total(field: str, *replica_sets: Obj) -> int:
        return sum(status_of(each).get(field, 0) for each in replica_sets)

    replicas, available = total("replicas", current, *older), total("availableReplicas", current, *older)
    updated = total("replicas", current)
    complete = _is_observed(current) and replicas == updated == total("availableReplicas", current) == wanted
    enough = available >= wanted - wanted // 4  # maxUnavailable: 25 %, rounded down
    reason = "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable"
    text = f"Deployment {'has' if enough else 'does not have'} minimum availability."
    shown = f'ReplicaSet "{name_of(current)}"'
    progress = ("NewReplicaSetAvailable", f"{shown} has successfully progressed.")
    if not complete:
        progress = ("ReplicaSetUpdated", f"{shown} is progressing.")
    status = {
        "observedGeneration": deployment["metadata"]["generation"],
        "replicas": replicas,
        "updatedReplicas": updated,
        "readyReplicas": total("readyReplicas", current, *older),
        "availableReplicas": available,
        "unavailableReplicas": max(0, max(wanted, replicas) - available),
        "conditions": [
            condition(before, "Available", enough, reason, text, updates=True),
            condition(before, "Progressing", True, *progress, updates=True),
        ],
    }
    objects.update_status(key_of(DEPLOYMENTS, deployment), {"status": status})


def reconcile_replica_set(objects: Objects, replica_set: Obj) -> None:
    """As many pods as wanted; surplus ones that are not ready go first."""
    wanted = replica_set["spec"]["replicas"]
    pods = sorted(objects.owned(PODS, replica_set), key=lambda pod: not pod_is_ready(pod))
    for pod in pods[wanted:]:
        objects.delete(key_of(PODS, pod))
    pods = pods[:wanted]
    while len(pods) < wanted:
        pods.append(_create_pod(objects, replica_set, {"generateName": f"{name_of(replica_set)}-"}, {}))
    ready = _ready(pods)
    status = {
        "observedGeneration": replica_set["metadata"]["generation"],
        "replicas": len(pods),
        "fullyLabeledReplicas": len(pods),
        "readyReplicas": ready,
        "availableReplicas": ready,
    }
    objects.update_status(key_of(REPLICA_SETS, replica_set), {"status": status})


def reconcile_stateful_set(objects: Objects, stateful_set: Obj) -> None:
    """Numbered pods, each after the one before it is ready; a pod of an older template is replaced, the last first."""
    spec, name = stateful_set["spec"], name_of(stateful_set)
    revision = f"{name}-{digest(spec['template'])}"
    pods = {name_of(pod): pod for pod in objects.owned(PODS, stateful_set)}
    wanted = [f"{name}-{index}" for index in range(spec["replicas"])]
    for pod_name in sorted(set(pods) - set(wanted)):
        objects.delete(key_of(PODS, pods.pop(pod_name)))
    outdated = [each for each in reversed(wanted) if each in pods and _pod_revision(pods[each]) != revision]
    others_ready = all(pod_is_ready(pod) for pod_name, pod in pods.items() if pod_name not in outdated)
    if outdated and others_ready and len(pods) == len(wanted):
        objects.delete(key_of(PODS, pods.pop(outdated[0])))
    for pod_name in wanted:
        if pod_name not in pods:
            _create_volume_claims(objects, stateful_set, pod_name)
            labels = {_REVISION_HASH: revision, "statefulset.kubernetes.io/pod-name": pod_name}
            pods[pod_name] = _create_pod(objects, stateful_set, {"name": pod_name}, labels)
        if spec["podManagementPolicy"] == "OrderedReady" and not pod_is_ready(pods[pod_name]):
            break
    updated = sum(_pod_revision(pod) == revision for pod in pods.values())
    ready = _ready(pods.values())
    complete = updated == ready == len(wanted)
    before = status_of(stateful_set)
    current_revision = revision if complete else before.get("currentRevision") or revision
    status = {
        "observedGeneration": stateful_set["metadata"]["generation"],
        "replicas": len(pods),
        "readyReplicas": ready,
        "availableReplicas": ready,
        "updatedReplicas": updated,
        "currentReplicas": sum(_pod_revision(pod) == current_revision for pod in pods.values()),
        "currentRevision": current_revision,
        "updateRevision": revision,
        "collisionCount": 0,
    }
    objects.update_status(key_of(STATEFUL_SETS, stateful_set), {"status": status})


def _pod_revision(pod: Obj) -> str:
    return labels_of(pod).get(_REVISION_HASH, "")


def _create_volume_claims(objects: Objects, stateful_set: Obj, pod_name: str) -> None:
    # Not owned by the set: as in a real cluster, the data outlives it.
    for template in stateful_set["spec"].get("volumeClaimTemplates") or []:
        claim = f"{template['metadata']['name']}-{pod_name}"
        if Key(VOLUME_CLAIMS, namespace_of(stateful_set), claim) not in objects.store:
            body = {"metadata": {"name": claim}, "spec": copy.deepcopy(template.get("spec") or {})}
            objects.create(VOLUME_CLAIMS, namespace_of(stateful_set), body)


def reconcile_daemon_set(objects: Objects, daemon_set: Obj) -> None:
    """One pod on the only node; replaced when the template changes."""
    revision = digest(daemon_set["spec"]["template"])
    pods = objects.owned(PODS, daemon_set)
    for pod in pods:
        if _pod_revision(pod) != revision:
            objects.delete(key_of(PODS, pod))
    pods = [pod for pod in pods if _pod_revision(pod) == revision]
    if not pods:
        pods = [
            _create_pod(objects, daemon_set, {"generateName": f"{name_of(daemon_set)}-"}, {_REVISION_HASH: revision})
        ]
    ready = _ready(pods)
    status = {
        "observedGeneration": daemon_set["metadata"]["generation"],
        "desiredNumberScheduled": 1,
        "currentNumberScheduled": len(pods),
        "updatedNumberScheduled": len(pods),
        "numberMisscheduled": 0,
        "numberReady": ready,
        "numberAvailable": ready,
        "numberUnavailable": 1 - ready,
    }
    objects.update_status(key_of(DAEMON_SETS, daemon_set), {"status": status})


def reconcile_job(objects: Objects, job: Obj) -> None:
    """Pods until enough have succeeded. One that cannot pull its image waits, and so does the job."""
    before, spec = status_of(job), job["spec"]
    if any(each["type"] == "Complete" for each in before.get("conditions") or []):
        return
    pods = objects.owned(PODS, job)
    succeeded = sum(status_of(pod).get("phase") == "Succeeded" for pod in pods)
    active = len(pods) - succeeded
    for _ in range(min(spec["parallelism"], spec["completions"] - succeeded) - active):
        _create_pod(objects, job, {"generateName": f"{name_of(job)}-"}, {})
        active += 1
    status: Obj = {
        "startTime": before.get("startTime") or now(),
        "active": active,
        "succeeded": succeeded,
        "ready": _ready(pods),
        "uncountedTerminatedPods": {},
    }
    if succeeded >= spec["completions"]:
        status["completionTime"] = now()
        status["conditions"] = [
            condition(before, "Complete", True, "CompletionsReached", "Reached expected completions")
        ]
    objects.update_status(key_of(JOBS, job), {"status": status})


def _create_pod(objects: Objects, owner: Obj, name: Obj, labels: dict[str, str]) -> Obj:
    """A pod of the owner's template, already given to the node; `name` is `name` or `generateName`."""
    template = copy.deepcopy(owner["spec"]["template"])
    template_metadata = template.get("metadata") or {}
    metadata = {
        **name,
        "labels": {**(template_metadata.get("labels") or {}), **labels},
        "annotations": template_metadata.get("annotations") or {},
        "ownerReferences": [owner_reference(owner)],
    }
    spec = {**template["spec"], "nodeName": NODE_NAME}
    pod = objects.create(PODS, namespace_of(owner), {"metadata": metadata, "spec": spec})
    source = f"{owner['kind'].lower()}-controller"
    record(objects, owner, "SuccessfulCreate", f"Created pod: {name_of(pod)}", source=source)
    return pod


def _ready(pods: Iterable[Obj]) -> int:
    return sum(pod_is_ready(pod) for pod in pods)


RECONCILERS: dict[Resource, Callable[[Objects, Obj], None]] = {
    DEPLOYMENTS: reconcile_deployment,
    REPLICA_SETS: reconcile_replica_set,
    STATEFUL_SETS: reconcile_stateful_set,
    DAEMON_SETS: reconcile_daemon_set,
    JOBS: reconcile_job,
}
