"""`kubectl logs`: a few lines that say what became of the container, since nothing really runs in it."""

from __future__ import annotations

from collections.abc import Mapping

from wizard.sandbox.kubernetes.errors import bad_request
from wizard.sandbox.kubernetes.meta import name_of, status_of
from wizard.sandbox.kubernetes.resources import Obj


def log(pod: Obj, query: Mapping[str, str]) -> str:
    """The log of one container; raises ApiError (400) when it is unclear which, or it has not started."""
    names = [container["name"] for container in pod["spec"]["containers"]]
    wanted = query.get("container") or names[0]
    if len(names) > 1 and not query.get("container"):
        choice = " ".join(names)
        raise bad_request(f"a container name must be specified for pod {name_of(pod)}, choose one of: [{choice}]")
    if wanted not in names:
        raise bad_request(f"container {wanted} is not valid for pod {name_of(pod)}")
    statuses = status_of(pod).get("containerStatuses") or []
    container = next((each for each in statuses if each["name"] == wanted), None)
    state: Obj = container["state"] if container else {"waiting": {"reason": "ContainerCreating"}}
    if waiting := state.get("waiting"):
        pulling = waiting["reason"] == "ImagePullBackOff"
        why = "trying and failing to pull image" if pulling else waiting["reason"]
        raise bad_request(f'container "{wanted}" in pod "{name_of(pod)}" is waiting to start: {why}')
    started = (state.get("running") or state.get("terminated") or {}).get("startedAt", "")
    lines = [f"sandbox: container {wanted} started"]
    if "terminated" in state:
        lines.append(f"sandbox: container {wanted} ended with exit code 0")
    if query.get("timestamps") == "true":
        lines = [f"{started} {line}" for line in lines]
    if (tail := query.get("tailLines", "")).isdigit():
        lines = lines[len(lines) - min(int(tail), len(lines)) :]
    return "".join(f"{line}\n" for line in lines)
