"""Calls the right controller after each change, and for everything there is after a start.

Changes are gathered and worked through one object at a time on the event loop, never inside the write that caused
them: a request is answered before its consequences begin, as in a real cluster.
"""

from __future__ import annotations

import asyncio

from wizard.sandbox.kubernetes.errors import ApiError
from wizard.sandbox.kubernetes.kubelet import Kubelet
from wizard.sandbox.kubernetes.meta import controller_reference
from wizard.sandbox.kubernetes.objects import Objects
from wizard.sandbox.kubernetes.recorder import record
from wizard.sandbox.kubernetes.resources import BY_KIND, PODS, Key
from wizard.sandbox.kubernetes.store import Change
from wizard.sandbox.kubernetes.workloads import RECONCILERS


class Controllers:
    """The controller manager and the kubelet; idle until `start`."""

    def __init__(self, objects: Objects, ready_after: float) -> None:
        self.kubelet = Kubelet(objects, ready_after)
        self._objects = objects
        self._waiting: dict[Key, None] = {}  # an ordered set
        self._loop: asyncio.AbstractEventLoop | None = None
        self._scheduled: asyncio.Handle | None = None

    def start(self) -> None:
        """Take up every object where it is, then follow changes. Needs a running event loop."""
        self._loop = asyncio.get_running_loop()
        self._objects.store.subscribe(self._changed)
        for key in self._objects.store.all_keys():
            self._enqueue(key)

    def stop(self) -> None:
        """Stop following changes; everything stays as it is."""
        if self._loop is None:
            return
        self._loop = None
        self._objects.store.unsubscribe(self._changed)
        self._waiting.clear()
        if self._scheduled:
            self._scheduled.cancel()
            self._scheduled = None
        self.kubelet.stop()

    def _changed(self, change: Change) -> None:
        self._enqueue(change.key)
        if owner := controller_reference(change.obj):
            resource = BY_KIND.get((owner["apiVersion"], owner["kind"]))
            if resource:
                self._enqueue(Key(resource, change.key.namespace, owner["name"]))

    def _enqueue(self, key: Key) -> None:
        if key.resource is PODS or key.resource in RECONCILERS:
            self._waiting[key] = None
            self._schedule()

    def _schedule(self) -> None:
        if self._loop and self._waiting and not self._scheduled:
            self._scheduled = self._loop.call_soon(self._work)

    def _work(self) -> None:
        self._scheduled = None
        key = next(iter(self._waiting))
        del self._waiting[key]
        try:
            self._reconcile(key)
        finally:
            self._schedule()

    def _reconcile(self, key: Key) -> None:
        if key.resource is PODS:
            self.kubelet.sync(key)
            return
        workload = self._objects.store.get(key)
        if workload is None or "deletionTimestamp" in workload["metadata"]:
            return
        try:
            RECONCILERS[key.resource](self._objects, workload)
        except ApiError as error:
            # What a controller may not do, it says in an event; a later change of the workload is the next try.
            record(self._objects, workload, "FailedCreate", error.message, source="controller-manager", warning=True)
