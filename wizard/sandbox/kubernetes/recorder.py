"""Writes events, which is how a cluster says why something does not get ready."""

from __future__ import annotations

import uuid

from wizard.sandbox.kubernetes.meta import name_of, namespace_of, now
from wizard.sandbox.kubernetes.objects import Objects, key_of
from wizard.sandbox.kubernetes.resources import EVENTS, Obj

_KEPT_PER_NAMESPACE = 100  # a real cluster forgets events after an hour


def record(objects: Objects, about: Obj, reason: str, message: str, *, source: str, warning: bool = False) -> None:
    """Record an event about an object, as `source` (kubelet, deployment-controller…)."""
    namespace = namespace_of(about) or "default"
    time = now()
    event = {
        "metadata": {"name": f"{name_of(about)}.{uuid.uuid4().hex[:16]}"},
        "involvedObject": {
            "apiVersion": about["apiVersion"],
            "kind": about["kind"],
            "name": name_of(about),
            "namespace": namespace_of(about),
            "uid": about["metadata"]["uid"],
        },
        "type": "Warning" if warning else "Normal",
        "reason": reason,
        "message": message,
        "source": {"component": source},
        "firstTimestamp": time,
        "lastTimestamp": time,
        "count": 1,
    }
    objects.create(EVENTS, namespace, event)
    events = sorted(objects.store.list(EVENTS, namespace), key=lambda each: int(each["metadata"]["resourceVersion"]))
    for old in events[:-_KEPT_PER_NAMESPACE]:
        objects.delete(key_of(EVENTS, old))
