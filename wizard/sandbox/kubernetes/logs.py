"""`kubectl logs`: a few lines that say what became of the container, since nothing really runs in it.

The one exception is a container made to look hosts up (`wizard.inside_lookup`): its log is what it would have found.
"""

from __future__ import annotations

from collections.abc import Mapping

from wizard.sandbox.kubernetes.errors import bad_request
from wizard.sandbox.kubernetes.meta import name_of, status_of
from wizard.sandbox.kubernetes.programs import Programs
from wizard.sandbox.kubernetes.resources import Obj


def pick(pod: Obj, wanted: str) -> Obj:
    """The container (of the spec) that a request is about; raises ApiError (400) when it is unclear which."""
    containers: list[Obj] = pod["spec"]["containers"]
    if len(containers) > 1 and not wanted:
        choice = " ".join(container["name"] for container in containers)
        raise bad_request(f"a container name must be specified for pod {name_of(pod)}, choose one of: [{choice}]")
    for container in containers:
        if wanted in ("", container["name"]):
            return container
    raise bad_request(f"container {wanted} is not valid for pod {name_of(pod)}")


def state_of(pod: Obj, container: str) -> Obj:
    """What a container is doing: waiting, running or terminated."""
    statuses = status_of(pod).get("containerStatuses") or []
    found: Obj | None = next((each["state"] for each in statuses if each["name"] == container), None)
    return found or {"waiting": {"reason": "ContainerCreating"}}


def log(pod: Obj, query: Mapping[str, str], programs: Programs) -> str:
    """The log of one container; raises ApiError (400) when it is unclear which, or it has not started."""
    container = pick(pod, query.get("container", ""))
    wanted = container["name"]
    state = state_of(pod, wanted)
    if waiting := state.get("waiting"):
        pulling = waiting["reason"] == "ImagePullBackOff"
        why = "trying and failing to pull image" if pulling else waiting["reason"]
        raise bad_request(f'container "{wanted}" in pod "{name_of(pod)}" is waiting to start: {why}')
    started = (state.get("running") or state.get("terminated") or {}).get("startedAt", "")
    lines = [f"sandbox: container {wanted} started"]
    if "terminated" in state:
        lines.append(f"sandbox: container {wanted} ended with exit code 0")
        lines = programs.lookups([*(container.get("command") or []), *(container.get("args") or [])]) or lines
    if query.get("timestamps") == "true":
        lines = [f"{started} {line}" for line in lines]
    if (tail := query.get("tailLines", "")).isdigit():
        lines = lines[len(lines) - min(int(tail), len(lines)) :]
    return "".join(f"{line}\n" for line in lines)
