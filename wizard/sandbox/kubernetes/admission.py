"""What the API server fills in on a write: the defaults that clients and controllers rely on."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any

from wizard.sandbox.kubernetes.resources import (
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    NAMESPACES,
    PODS,
    REPLICA_SETS,
    SECRETS,
    SERVICES,
    STATEFUL_SETS,
    VOLUME_CLAIMS,
    Obj,
    Resource,
)


def fill_in(resource: Resource, obj: Obj, old: Obj | None = None) -> None:
    """Complete a new object, or a changed one that was `old`, in place. It must have passed validation of its types."""
    if defaults := _DEFAULTS.get(resource):
        defaults(obj, old or {})


def fold_string_data(secret: Obj) -> None:
    """Move `stringData` into `data`, in place: it is only a way to write, and never comes back on reads."""
    plain: dict[str, Any] = secret.pop("stringData", None) or {}
    if plain:
        encoded = {name: base64.b64encode(str(value).encode()).decode() for name, value in plain.items()}
        secret["data"] = {**(secret.get("data") or {}), **encoded}


def _namespace(obj: Obj, _old: Obj) -> None:
    obj.setdefault("spec", {"finalizers": ["kubernetes"]})
    obj.setdefault("status", {"phase": "Active"})


def _secret(obj: Obj, _old: Obj) -> None:
    obj.setdefault("type", "Opaque")
    fold_string_data(obj)


def _service(obj: Obj, old: Obj) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    if spec["type"] != "ExternalName":
        # An address once given stays, however the service is written again.
        address = old.get("spec", {}).get("clusterIP") or _cluster_ip(obj)
        spec.setdefault("clusterIP", address)
        spec.setdefault("clusterIPs", [spec["clusterIP"]])
    for port in spec.get("ports") or []:
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port.get("port"))


def _cluster_ip(obj: Obj) -> str:
    where = f"{obj['metadata'].get('namespace')}/{obj['metadata']['name']}"
    third, fourth = hashlib.sha256(where.encode()).digest()[:2]
    return f"10.96.{third}.{max(1, fourth)}"


def _pod_spec(spec: Obj) -> None:
    spec.setdefault("restartPolicy", "Always")


def _pod(obj: Obj, _old: Obj) -> None:
    _pod_spec(obj["spec"])


def _workload(obj: Obj) -> Obj:
    spec: Obj = obj["spec"]
    _pod_spec(spec["template"]["spec"])
    return spec


def _replicated(obj: Obj, _old: Obj) -> None:
    _workload(obj).setdefault("replicas", 1)


def _deployment(obj: Obj, old: Obj) -> None:
    _replicated(obj, old)
    spec = obj["spec"]
    spec.setdefault("progressDeadlineSeconds", 600)
    spec.setdefault("revisionHistoryLimit", 10)
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}
    spec.setdefault("strategy", rolling)


def _stateful_set(obj: Obj, old: Obj) -> None:
    _replicated(obj, old)
    spec = obj["spec"]
    spec.setdefault("podManagementPolicy", "OrderedReady")
    spec.setdefault("updateStrategy", {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}})
    spec.setdefault("revisionHistoryLimit", 10)


def _daemon_set(obj: Obj, _old: Obj) -> None:
    spec = _workload(obj)
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    spec.setdefault("updateStrategy", rolling)
    spec.setdefault("revisionHistoryLimit", 10)


def _job(obj: Obj, _old: Obj) -> None:
    spec = _workload(obj)
    spec.setdefault("completions", 1)
    spec.setdefault("parallelism", 1)
    spec.setdefault("backoffLimit", 6)
    # A job's pods are told apart by labels the server makes up, not by a selector of the manifest.
    made_up = {
        "batch.kubernetes.io/controller-uid": obj["metadata"]["uid"],
        "batch.kubernetes.io/job-name": obj["metadata"]["name"],
        "job-name": obj["metadata"]["name"],
    }
    metadata = spec["template"].setdefault("metadata", {})
    metadata["labels"] = {**(metadata.get("labels") or {}), **made_up}
    by_uid = "batch.kubernetes.io/controller-uid"
    spec.setdefault("selector", {"matchLabels": {by_uid: made_up[by_uid]}})


def _volume_claim(obj: Obj, _old: Obj) -> None:
    # There is no storage here, so a claim is bound at once.
    obj.setdefault("status", {"phase": "Bound"})


_DEFAULTS: dict[Resource, Callable[[Obj, Obj], None]] = {
    NAMESPACES: _namespace,
    SECRETS: _secret,
    SERVICES: _service,
    PODS: _pod,
    DEPLOYMENTS: _deployment,
    REPLICA_SETS: _replicated,
    STATEFUL_SETS: _stateful_set,
    DAEMON_SETS: _daemon_set,
    JOBS: _job,
    VOLUME_CLAIMS: _volume_claim,
}
