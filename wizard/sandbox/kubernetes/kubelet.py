"""Pretends to run pods: no containers, only the states a pod goes through.

A pod becomes ready `ready_after` seconds after it appears; one that may end (a Job's, or restartPolicy other than
Always) has succeeded by then. An image whose tag contains `broken` cannot be pulled, and none can while
`pull_fails` is set (the fault `pods-never-ready`).
"""

from __future__ import annotations

import asyncio
import hashlib

from wizard.sandbox.kubernetes.meta import condition, now, pod_is_ready, status_of
from wizard.sandbox.kubernetes.objects import NODE_NAME, Objects
from wizard.sandbox.kubernetes.recorder import record
from wizard.sandbox.kubernetes.resources import Key, Obj

_BROKEN = "broken"


class Kubelet:
    """Moves the pods of `objects` on; `sync` is called for each pod that appears or changes."""

    def __init__(self, objects: Objects, ready_after: float) -> None:
        self.pull_fails = False
        self._objects = objects
        self.ready_after = ready_after
        self._timers: dict[Key, asyncio.TimerHandle] = {}

    def sync(self, key: Key) -> None:
        """Look at one pod and do what is next; harmless when nothing is. Needs a running event loop."""
        pod = self._objects.store.get(key)
        if pod is None:
            self._forget(key)
            return
        if not pod["spec"].get("nodeName"):
            # This cluster's whole scheduler.
            record(self._objects, pod, "Scheduled", f"Assigned to {NODE_NAME}", source="default-scheduler")
            self._objects.update(key, {**pod, "spec": {**pod["spec"], "nodeName": NODE_NAME}})
            return
        if status_of(pod).get("phase") in ("Succeeded", "Failed") or pod_is_ready(pod):
            return
        if reason := self._why_not_pulled(pod):
            self._stay_waiting(key, pod, reason)
        elif key not in self._timers:
            self._objects.update_status(key, {"status": self._waiting(pod, "ContainerCreating", "")})
            record(self._objects, pod, "Pulling", f'Pulling image "{_images(pod)[0]}"', source="kubelet")
            self._timers[key] = asyncio.get_running_loop().call_later(self.ready_after, self._run, key)

    def stop(self) -> None:
        """Leave every pod as it is."""
        for key in list(self._timers):
            self._forget(key)

    def _forget(self, key: Key) -> None:
        if timer := self._timers.pop(key, None):
            timer.cancel()

    def _why_not_pulled(self, pod: Obj) -> str:
        for image in _images(pod):
            if self.pull_fails:
                return f'Failed to pull image "{image}": 403 Forbidden: the node may not read this repository'
            if _BROKEN in image.rpartition("/")[2].partition(":")[2]:
                return f'Failed to pull image "{image}": manifest unknown: no such tag in the repository'
        return ""

    def _stay_waiting(self, key: Key, pod: Obj, why: str) -> None:
        before = status_of(pod)
        status = self._waiting(pod, "ImagePullBackOff", why)
        self._objects.update_status(key, {"status": status})
        if before.get("containerStatuses") != status["containerStatuses"]:
            record(self._objects, pod, "Failed", why, source="kubelet", warning=True)
            back_off = f'Back-off pulling image "{_images(pod)[0]}"'
            record(self._objects, pod, "BackOff", back_off, source="kubelet", warning=True)

    def _waiting(self, pod: Obj, reason: str, message: str) -> Obj:
        waiting = {"reason": reason, "message": message} if message else {"reason": reason}
        containers = [_container(each, {"waiting": waiting}, ready=False) for each in pod["spec"]["containers"]]
        return {**self._status(pod, "Pending", ready=False), "containerStatuses": containers}

    def _run(self, key: Key) -> None:
        """The timer of a pod has come: its containers run, or have already done what they had to."""
        del self._timers[key]
        pod = self._objects.store.get(key)
        if pod is None:
            return
        time = now()
        ends = pod["spec"]["restartPolicy"] != "Always"
        state: Obj = {"running": {"startedAt": time}}
        if ends:
            state = {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": time, "finishedAt": time}}
        phase = "Succeeded" if ends else "Running"
        status = self._status(pod, phase, ready=not ends)
        status["containerStatuses"] = [_container(each, state, ready=not ends) for each in pod["spec"]["containers"]]
        status["podIP"] = _pod_ip(pod)
        self._objects.update_status(key, {"status": status})
        for container in pod["spec"]["containers"]:
            record(self._objects, pod, "Started", f"Started container {container['name']}", source="kubelet")

    def _status(self, pod: Obj, phase: str, *, ready: bool) -> Obj:
        before = status_of(pod)
        holds = {"PodScheduled": True, "Initialized": True, "ContainersReady": ready, "Ready": ready}
        unready = {"Running": "", "Pending": "ContainersNotReady", "Succeeded": "PodCompleted"}[phase]
        return {
            "phase": phase,
            "hostIP": "127.0.0.1",
            "startTime": before.get("startTime") or now(),
            "conditions": [condition(before, kind, ok, "" if ok else unready, "") for kind, ok in holds.items()],
        }


def _images(pod: Obj) -> list[str]:
    spec = pod["spec"]
    return [str(container["image"]) for container in [*(spec.get("initContainers") or []), *spec["containers"]]]


def _container(container: Obj, state: Obj, *, ready: bool) -> Obj:
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": "",
        "ready": ready,
        "started": ready,
        "restartCount": 0,
        "state": state,
    }


def _pod_ip(pod: Obj) -> str:
    third, fourth = hashlib.sha256(str(pod["metadata"]["uid"]).encode()).digest()[:2]
    return f"10.244.{third}.{max(1, fourth)}"
