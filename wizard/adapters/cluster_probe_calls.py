"""What a probe asks of the Kubernetes API: run in the SDK child, by `cluster_probe.ClusterProber`.

Exec goes over a WebSocket of the official client; a pod is made from nothing but what is known here and a few fields
of the release's own. Every answer may be hostile.
"""

from __future__ import annotations

import functools
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from state.problem import EXIT_NOT_YET, Problem
from wizard.adapters.cluster_api import (
    TIMEOUT,
    NotFoundError,
    Target,
    call,
    client_of,
    field_of,
    list_all,
    mapping,
    refusal,
    send,
    sequence,
    text_of,
)
from wizard.adapters.cluster_calls import of_release, pod_ready, pod_reasons, pods_of, warnings_of

OUTPUT_LIMIT = 64 * 1024  # bytes of one lookup's output, or of a pod's log
EXEC_SECONDS = 20.0  # seconds for one command; a resolver that is silent makes getent wait for about that long

MANAGED_BY = "privatelink-wizard"
_BY_LABEL, _MARK_LABEL = "app.kubernetes.io/managed-by", "privatelink-wizard/probe"
CONTAINER = "lookup"

_NOBODY = 65534
_CONTAINERS = 4  # of one pod that are tried


@dataclass(frozen=True, slots=True)
class Place:
    """A pod that runs, and name and image of each of its containers that does, the main one first."""

    pod: str
    containers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Model:
    """What a pod has in common with the release's: the image, the user, and what decides how names are resolved."""

    image: str
    user: int
    spec: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Inside:
    """A container of a pod."""

    namespace: str
    pod: str
    container: str


@dataclass(frozen=True, slots=True)
class Ran:
    """A command's output, stderr at the end, and its exit code: 127 for no such program, None when time was over."""

    output: str
    code: int | None


@dataclass(frozen=True, slots=True)
class PodState:
    """How far a pod is: its container has ended, or will not start by waiting, or the image lacks its program."""

    ended: bool = False
    stuck: bool = False
    cannot_run: bool = False


# ---------------------------------------------------------------- where


def place(target: Target, release: str, namespace: str) -> Place:
    """A running pod of the release to look from. Raises Problem `probe-no-pod` when there is none."""
    _, pods = _release(target, release, namespace)
    ready = [pod for pod in pods if pod_ready(pod)]
    # Charts that care name the main container by an annotation, or after the application.
    for pod in sorted(ready, key=lambda pod: not _main_names(pod)):
        if containers := tuple(_running(pod))[:_CONTAINERS]:
            return Place(text_of(field_of(pod, "metadata", "name")), containers)
    raise Problem(
        "probe-no-pod",
        f"No pod of release {release} is running and ready in namespace {namespace}.",
        means="There is nothing to look from yet.",
        todo="Look again when the release is up, or allow a short-lived pod instead.",
        exit_code=EXIT_NOT_YET,
    )


def model(target: Target, release: str, namespace: str) -> Model:
    """What a pod of the release is like, by one that is there, else by its workload's template.

    Raises Problem `probe-no-release` when there is neither.
    """
    workloads, pods = _release(target, release, namespace)
    pods.sort(key=lambda pod: (not pod_ready(pod), not _main_names(pod)))
    for like in [*pods, *(field_of(one, "spec", "template") for one in workloads)]:
        spec = mapping(field_of(like, "spec"))
        main = next(iter(_by_importance(like)), None)
        if image := text_of(field_of(main, "image")):
            return Model(image, _user(spec, main), _resolving(spec))
    raise Problem(
        "probe-no-release",
        f"Release {release} has no workload in namespace {namespace}.",
        means="Without it the image of a short-lived pod, and how it would resolve names, is not known.",
        todo="Look again when the release is installed.",
        exit_code=EXIT_NOT_YET,
    )


def _release(target: Target, release: str, namespace: str) -> tuple[list[Any], list[Any]]:
    """The workloads of a release, and those of their pods that stay."""
    where = quote(namespace, safe="")
    workloads = [one for _, one in of_release(target, release, where)]
    if not workloads:
        return [], []
    there = list_all(target, f"/api/v1/namespaces/{where}/pods")
    pods = [pod for one in workloads for pod in pods_of(one, there)]
    return workloads, [pod for pod in pods if not field_of(pod, "metadata", "deletionTimestamp")]


def _main_names(pod: Any) -> set[str]:
    """Names of containers that are marked as the main one."""
    named = {
        text_of(field_of(pod, "metadata", "annotations", "kubectl.kubernetes.io/default-container")),
        text_of(field_of(pod, "metadata", "labels", "app.kubernetes.io/name")),
    }
    return named & {text_of(field_of(one, "name")) for one in sequence(field_of(pod, "spec", "containers"))} - {""}


def _by_importance(pod: Any) -> list[Any]:
    main = _main_names(pod)
    return sorted(
        sequence(field_of(pod, "spec", "containers")), key=lambda one: text_of(field_of(one, "name")) not in main
    )


def _running(pod: Any) -> list[tuple[str, str]]:
    statuses = sequence(field_of(pod, "status", "containerStatuses"))
    running = {text_of(field_of(one, "name")) for one in statuses if field_of(one, "state", "running") is not None}
    containers = [(text_of(field_of(one, "name")), text_of(field_of(one, "image"))) for one in _by_importance(pod)]
    return [(name, image) for name, image in containers if name and name in running]


_COPIED: dict[str, type] = {
    "imagePullSecrets": list,
    "dnsPolicy": str,
    "dnsConfig": dict,
    "hostAliases": list,
    "nodeSelector": dict,
    "tolerations": list,
    "serviceAccountName": str,
}


def _resolving(spec: dict[Any, Any]) -> dict[str, Any]:
    copied = {name: spec[name] for name, kind in _COPIED.items() if isinstance(spec.get(name), kind)}
    if spec.get("hostNetwork") is True and copied.get("dnsPolicy", "ClusterFirst") == "ClusterFirst":
        copied["dnsPolicy"] = "Default"  # on the host's network it means the node's resolver
    return copied


def _user(spec: dict[Any, Any], container: Any) -> int:
    """The user the release's container runs as, which a policy may have chosen; nobody where that is root or unsaid."""
    said = field_of(container, "securityContext", "runAsUser") or field_of(spec, "securityContext", "runAsUser")
    return said if isinstance(said, int) and not isinstance(said, bool) and said > 0 else _NOBODY


# ---------------------------------------------------------------- exec


def run(target: Target, where: Inside, command: tuple[str, ...], seconds: float = EXEC_SECONDS) -> Ran:
    """Run a command in a container, without a shell. Raises Problem for what keeps it from being run."""
    import websocket

    socket = _opened(target, where, command)
    _bound(socket, OUTPUT_LIMIT)
    channels: dict[int, bytes] = {1: b"", 2: b"", 3: b""}
    deadline = time.monotonic() + seconds
    try:
        while (left := deadline - time.monotonic()) > 0:
            socket.settimeout(left)
            opcode, frame = socket.recv_data_frame(True)
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                break
            if opcode in (websocket.ABNF.OPCODE_BINARY, websocket.ABNF.OPCODE_TEXT) and frame.data[:1]:
                channels[frame.data[0]] = channels.get(frame.data[0], b"") + frame.data[1:]
        else:
            return Ran("", None)
    except websocket.WebSocketTimeoutException:
        return Ran("", None)
    except websocket.WebSocketConnectionClosedException:
        pass  # how it ended, if at all, has been said before
    except (websocket.WebSocketException, OSError, _TooMuchError) as error:
        raise _failed(where, f"{type(error).__name__}: {error}") from None
    finally:
        socket.shutdown()
    output = (channels[1] + b"\n" + channels[2]).decode(errors="replace")
    return Ran(output, _exit_code(channels[3], where))


class _TooMuchError(Exception):
    """There is more output than a lookup can have."""


def _opened(target: Target, where: Inside, command: tuple[str, ...]) -> Any:
    import kubernetes.client
    import kubernetes.config

    client = client_of(target)
    try:
        return _stream()(
            kubernetes.client.CoreV1Api(client).connect_get_namespaced_pod_exec,
            where.pod,
            where.namespace,
            container=where.container,
            command=list(command),
            stdin=False,
            stdout=True,
            stderr=True,
            tty=False,
            _preload_content=False,
        ).sock
    except kubernetes.client.ApiException as error:
        # The client keeps only the text of what went wrong; the original knows status and body.
        raise _not_opened(error.__context__ or error, target, where) from None
    except kubernetes.config.ConfigException as error:
        raise _failed(where, str(error)) from None


@functools.cache
def _stream() -> Any:
    """The official client's `stream`, made careful.

    As it is (35.0, websocket-client 1.9), it waits for ever for a connection, takes the bearer along to wherever a
    redirect leads, and asks the environment for a proxy again where `cluster_api` decided that there is none.
    """
    import websocket
    from kubernetes.stream import stream, ws_client

    class Careful(websocket.WebSocket):
        def connect(self, url: str, **options: Any) -> None:
            if not options.get("http_proxy_host"):
                options |= {"http_proxy_host": "none.invalid", "http_no_proxy": ["*"]}
            super().connect(url, **options, timeout=TIMEOUT[1], redirect_limit=0)  # type: ignore[no-untyped-call]

    ws_client.WebSocket = Careful
    return stream


def _not_opened(error: BaseException, target: Target, where: Inside) -> Exception:
    import kubernetes.client

    body = getattr(error, "resp_body", None)
    text = body.decode(errors="replace") if isinstance(body, bytes) else ""
    try:
        status = json.loads(text)
    except (ValueError, RecursionError):
        status = None
    if field_of(status, "kind") != "Status":
        return blocked(f"{type(error).__name__}: {error}")
    code = getattr(error, "status_code", 0)
    message = text_of(field_of(status, "message"))[:2000]
    if code == 403:
        return Problem(
            "probe-exec-forbidden",
            f"Your account may not run commands in pods of namespace {where.namespace}.",
            means="We could not look from inside the cluster.",
            todo="Ask the cluster's administrator for the rights to create pods/exec and to get pods/exec there (newer "
            "API servers want both), or allow a short-lived pod instead.",
            detail=message,
            exit_code=EXIT_NOT_YET,
        )
    if code == 401:
        answer = kubernetes.client.ApiException(status=401, reason="Unauthorized")
        answer.body = text
        return refusal(answer, target)
    return _failed(where, f"{code} {message}")


def blocked(detail: str) -> Problem:
    """Plain requests get through and WebSockets don't."""
    return Problem(
        "probe-websocket-blocked",
        "The Kubernetes API answers, but opens no WebSocket, which running a command in a pod needs.",
        means="Most often a proxy in between does not let WebSockets through.",
        todo="Check HTTPS_PROXY and NO_PROXY, or allow a short-lived pod instead, which needs none.",
        detail=detail[:2000],
        exit_code=EXIT_NOT_YET,
    )


def _failed(where: Inside, detail: str) -> Problem:
    return Problem(
        "probe-exec-failed",
        f"The lookup could not be run in container {where.container} of pod {where.pod}.",
        means="We could not look from inside the cluster: the pod may just be ending.",
        todo="Look again, or allow a short-lived pod instead.",
        detail=detail[:2000],
        exit_code=EXIT_NOT_YET,
    )


def _bound(socket: Any, limit: int) -> None:
    """Makes a WebSocket give up after so many bytes: it would keep a frame of any length in memory."""
    receive, left = socket.frame_buffer.recv, limit

    def counted(size: int) -> bytes:
        nonlocal left
        data: bytes = receive(size)
        left -= len(data)
        if left < 0:
            raise _TooMuchError(f"over {limit} bytes")
        return data

    socket.frame_buffer.recv = counted


# As runc says it (containerd and CRI-O pass it on), and what crun says.
_NO_PROGRAM = re.compile(r"executable file .*not found|not found in \$PATH|no such file or directory", re.IGNORECASE)


def _exit_code(content: bytes, where: Inside) -> int:
    """The exit code that a closing Status tells; raises Problem when it tells that nothing was run, or nothing."""
    try:
        status = json.loads(content)
    except (ValueError, RecursionError):
        status = None
    if field_of(status, "status") == "Success":
        return 0
    for cause in sequence(field_of(status, "details", "causes")):
        code = text_of(field_of(cause, "message"))
        if field_of(cause, "reason") == "ExitCode" and re.fullmatch(r"[0-9]{1,3}", code):
            return int(code)
    message = text_of(field_of(status, "message"))
    if _NO_PROGRAM.search(message):
        return 127
    raise _failed(where, message or "the connection ended before the command did")


# ---------------------------------------------------------------- a pod


def manifest(like: Model, name: str, mark: str, command: Sequence[str]) -> dict[str, Any]:
    """The pod: it resolves as the release's does, passes PodSecurity `restricted`, and no service selects it."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {_BY_LABEL: MANAGED_BY, _MARK_LABEL: mark}},
        "spec": {
            **like.spec,
            "restartPolicy": "Never",
            "activeDeadlineSeconds": 120,
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": like.user,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": CONTAINER,
                    "image": like.image,
                    "imagePullPolicy": "IfNotPresent",
                    "command": list(command),
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "resources": {
                        "requests": {"cpu": "10m", "memory": "32Mi"},
                        "limits": {"cpu": "100m", "memory": "64Mi"},
                    },
                }
            ],
        },
    }


def create(target: Target, namespace: str, pod: dict[str, Any]) -> None:
    """Make a pod. Raises Problem: `cluster-conflict` when there is one of that name already."""
    try:
        call(target, "POST", f"/api/v1/namespaces/{quote(namespace, safe='')}/pods", body=pod)
    except NotFoundError:
        raise Problem(
            "probe-no-release",
            f"There is no namespace {namespace}.",
            means="There is nothing to look from yet.",
            todo="Look again when the release is installed.",
            exit_code=EXIT_NOT_YET,
        ) from None
    except Problem as problem:
        if problem.code != "cluster-forbidden" or " cannot create " in problem.detail:
            raise
        raise Problem(
            "probe-pod-refused",
            "A policy of the cluster refuses the short-lived pod.",
            means="We could not look from inside the cluster; nothing was made.",
            todo="Show the policy's text below to the cluster's administrator, or allow exec instead.",
            detail=problem.detail,
            exit_code=EXIT_NOT_YET,
        ) from None


_STUCK = frozenset(
    {
        "ImagePullBackOff",
        "ErrImageNeverPull",
        "InvalidImageName",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
    }
)


def pod_state(target: Target, namespace: str, name: str) -> PodState:
    """How far the pod is. Raises Problem `probe-pod-gone` when somebody has removed it."""
    pod = _pod(target, namespace, name)
    statuses = sequence(field_of(pod, "status", "containerStatuses"))
    state = next((field_of(one, "state") for one in statuses if field_of(one, "name") == CONTAINER), None)
    # The container alone counts: a sidecar that something put beside it may go on for ever.
    ended = field_of(state, "terminated")
    return PodState(
        ended=ended is not None or field_of(pod, "status", "phase") in ("Succeeded", "Failed"),
        stuck=text_of(field_of(state, "waiting", "reason")) in _STUCK,
        cannot_run=field_of(ended, "reason") in ("StartError", "ContainerCannotRun"),
    )


def pod_why(target: Target, namespace: str, name: str) -> str:
    """Why the pod is as it is, in the words of the scheduler and the kubelet."""
    return "\n".join(pod_reasons(_pod(target, namespace, name), warnings_of(target, quote(namespace, safe=""))))


def pod_log(target: Target, namespace: str, name: str) -> str:
    """The first bytes of what the pod's container wrote."""
    query = {"container": CONTAINER, "limitBytes": str(OUTPUT_LIMIT)}
    try:
        content = send(target, "GET", f"{_path(namespace, name)}/log", query=query, accept="*/*", limit=OUTPUT_LIMIT)
    except NotFoundError:
        raise _gone(name) from None
    return content[:OUTPUT_LIMIT].decode(errors="replace")


def marked(target: Target, namespace: str, mark: str) -> tuple[str, ...]:
    """Names of the pods with this mark."""
    selector = f"{_BY_LABEL}={MANAGED_BY},{_MARK_LABEL}={mark}"
    pods = list_all(target, f"/api/v1/namespaces/{quote(namespace, safe='')}/pods", labelSelector=selector)
    return tuple(text_of(field_of(pod, "metadata", "name")) for pod in pods if _is_ours(pod, mark))


def remove(target: Target, namespace: str, name: str, mark: str) -> bool:
    """Remove the pod at once, if it is there and has our mark: no other is touched. Whether it was there."""
    path = _path(namespace, name)
    try:
        pod = call(target, "GET", path)
        if not _is_ours(pod, mark):
            return False
        options: dict[str, Any] = {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0}
        options["preconditions"] = {"uid": text_of(field_of(pod, "metadata", "uid"))}
        call(target, "DELETE", path, body=options)
    except NotFoundError:
        return False
    return True


def _is_ours(pod: Any, mark: str) -> bool:
    labels = mapping(field_of(pod, "metadata", "labels"))
    return labels.get(_BY_LABEL) == MANAGED_BY and labels.get(_MARK_LABEL) == mark


def _path(namespace: str, name: str) -> str:
    return f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(name, safe='')}"


def _pod(target: Target, namespace: str, name: str) -> dict[str, Any]:
    try:
        return call(target, "GET", _path(namespace, name))
    except NotFoundError:
        raise _gone(name) from None


def _gone(name: str) -> Problem:
    return Problem(
        "probe-pod-gone",
        f"The short-lived pod {name} was removed before it had answered.",
        means="Somebody, or the cluster for want of room, has ended it.",
        todo="Look again.",
        exit_code=EXIT_NOT_YET,
    )
