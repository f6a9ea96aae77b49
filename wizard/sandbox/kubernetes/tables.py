"""The server-side tables that `kubectl get` asks for."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from typing import Any

from wizard.sandbox.kubernetes.meta import name_of, status_of
from wizard.sandbox.kubernetes.resources import (
    CONFIG_MAPS,
    DAEMON_SETS,
    DEPLOYMENTS,
    EVENTS,
    JOBS,
    NAMESPACES,
    PODS,
    REPLICA_SETS,
    SECRETS,
    SERVICES,
    STATEFUL_SETS,
    Obj,
    Resource,
)

_Column = tuple[str, Callable[[Obj], Any]]


def table(resource: Resource, objects: Sequence[Obj], list_metadata: Obj) -> Obj:
    """A meta/v1 Table of the objects."""
    columns: list[_Column] = [("Name", name_of), *_COLUMNS.get(resource, ()), ("Age", _age)]
    definitions = [
        {"name": title, "type": "string", "format": "name" if title == "Name" else "", "description": "", "priority": 0}
        for title, _ in columns
    ]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": list_metadata,
        "columnDefinitions": definitions,
        "rows": [_row(columns, obj) for obj in objects],
    }


def _row(columns: list[_Column], obj: Obj) -> Obj:
    partial = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}
    return {"cells": [cell(obj) for _, cell in columns], "object": partial}


def _age(obj: Obj) -> str:
    created = datetime.datetime.fromisoformat(obj["metadata"]["creationTimestamp"])
    seconds = int((datetime.datetime.now(datetime.UTC) - created).total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _status(field: str) -> Callable[[Obj], Any]:
    return lambda obj: status_of(obj).get(field, 0)


def _spec(field: str) -> Callable[[Obj], Any]:
    return lambda obj: (obj.get("spec") or {}).get(field, "")


def _top(field: str) -> Callable[[Obj], Any]:
    return lambda obj: obj.get(field, "")


def _ready_of_wanted(obj: Obj) -> str:
    return f"{status_of(obj).get('readyReplicas', 0)}/{obj['spec']['replicas']}"


def _pod_ready(pod: Obj) -> str:
    ready = sum(each["ready"] for each in status_of(pod).get("containerStatuses") or [])
    return f"{ready}/{len(pod['spec']['containers'])}"


def _pod_status(pod: Obj) -> str:
    for each in status_of(pod).get("containerStatuses") or []:
        for state in each["state"].values():
            if "reason" in state:
                return str(state["reason"])
    return str(status_of(pod).get("phase", "Pending"))


def _data_count(obj: Obj) -> int:
    return len(obj.get("data") or {})


def _event_object(event: Obj) -> str:
    about = event.get("involvedObject") or {}
    return f"{str(about.get('kind', '')).lower()}/{about.get('name', '')}"


_COLUMNS: dict[Resource, tuple[_Column, ...]] = {
    PODS: (("Ready", _pod_ready), ("Status", _pod_status), ("Restarts", lambda _: "0")),
    DEPLOYMENTS: (
        ("Ready", _ready_of_wanted),
        ("Up-to-date", _status("updatedReplicas")),
        ("Available", _status("availableReplicas")),
    ),
    REPLICA_SETS: (
        ("Desired", _spec("replicas")),
        ("Current", _status("replicas")),
        ("Ready", _status("readyReplicas")),
    ),
    STATEFUL_SETS: (("Ready", _ready_of_wanted),),
    DAEMON_SETS: (("Desired", _status("desiredNumberScheduled")), ("Ready", _status("numberReady"))),
    JOBS: (("Completions", lambda job: f"{status_of(job).get('succeeded', 0)}/{job['spec']['completions']}"),),
    SECRETS: (("Type", _top("type")), ("Data", _data_count)),
    CONFIG_MAPS: (("Data", _data_count),),
    NAMESPACES: (("Status", _status("phase")),),
    SERVICES: (("Type", _spec("type")), ("Cluster-IP", _spec("clusterIP"))),
    EVENTS: (
        ("Type", _top("type")),
        ("Reason", _top("reason")),
        ("Object", _event_object),
        ("Message", _top("message")),
    ),
}
