"""Small questions about any object's metadata and status, asked in several places."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Iterable

from wizard.sandbox.kubernetes.resources import Obj


def now() -> str:
    """The time as Kubernetes writes it: RFC 3339, UTC, whole seconds."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def name_of(obj: Obj) -> str:
    """The object's name."""
    return str(obj["metadata"]["name"])


def namespace_of(obj: Obj) -> str:
    """The object's namespace; empty when it is cluster-wide."""
    return str(obj["metadata"].get("namespace") or "")


def labels_of(obj: Obj) -> dict[str, str]:
    """The object's labels."""
    return obj["metadata"].get("labels") or {}


def annotations_of(obj: Obj) -> dict[str, str]:
    """The object's annotations."""
    return obj["metadata"].get("annotations") or {}


def status_of(obj: Obj) -> Obj:
    """The object's status; empty when it has none yet."""
    return obj.get("status") or {}


def owner_reference(owner: Obj) -> Obj:
    """The reference a controller puts on what it creates; following it, deletion takes the dependants along."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": name_of(owner),
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def owner_uids(obj: Obj) -> set[str]:
    """UIDs of everything that owns the object."""
    return {reference["uid"] for reference in obj["metadata"].get("ownerReferences") or []}


def controller_reference(obj: Obj) -> Obj | None:
    """The reference to the one owner that manages the object."""
    references: Iterable[Obj] = obj["metadata"].get("ownerReferences") or []
    return next((reference for reference in references if reference.get("controller")), None)


def pod_is_ready(pod: Obj) -> bool:
    """Whether the pod's Ready condition is true."""
    conditions = status_of(pod).get("conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def condition(status: Obj, kind: str, holds: bool, reason: str, message: str, *, updates: bool = False) -> Obj:
    """The condition `kind`, given the status it was in before.

    Its times move only when something changed: a controller that sees its own write must come to rest.
    `updates`: whether the kind has `lastUpdateTime` (Deployments have).
    """
    new: Obj = {"type": kind, "status": "True" if holds else "False", "reason": reason, "message": message}
    old: Obj = next((each for each in status.get("conditions") or [] if each["type"] == kind), {})
    same_status = old.get("status") == new["status"]
    new["lastTransitionTime"] = old["lastTransitionTime"] if same_status else now()
    if updates:
        same = all(old.get(field) == new[field] for field in ("status", "reason", "message"))
        new["lastUpdateTime"] = old["lastUpdateTime"] if same else now()
    return new


def digest(value: object) -> str:
    """Ten hex digits that change when the value (JSON) does, fit for a label and a name."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:10]
