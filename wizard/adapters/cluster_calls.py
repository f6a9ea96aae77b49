"""Looks at the Kubernetes API: run in the SDK child, by `cluster.ClusterLooker`.

Built on the official client's configuration, credentials and transport; answers are read as plain JSON with a limit,
because its generated models raise on anything unexpected and read without one. Every answer may be hostile.

The client is imported inside functions: the parent imports this module for the functions' names only.
"""

from __future__ import annotations

import functools
import ipaddress
import json
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from state.problem import EXIT_BAD, EXIT_NOT_YET, Problem
from wizard.ports import ClusterIdentity, Right, Workload

TIMEOUT = (5.0, 10.0)  # seconds to connect, to wait for a part of the answer
ANSWER_LIMIT = 16 * 1024 * 1024  # bytes of one answer
KUBECONFIG_LIMIT = 4 * 1024 * 1024  # bytes
_PAGE, _PAGES = 500, 10  # objects per page, pages
_REASONS, _REASON_LENGTH = 20, 300

_KINDS = (("deployments", "Deployment"), ("statefulsets", "StatefulSet"), ("daemonsets", "DaemonSet"))


@dataclass(frozen=True, slots=True)
class Target:
    """Which cluster: a kubeconfig file and a context of it. `gets_only`: every other request is refused."""

    kubeconfig: str
    context: str
    gets_only: bool = False


class NotFoundError(Exception):
    """The API has no such object (404)."""


def identity(target: Target) -> ClusterIdentity:
    """Server URL, UID of kube-system (None when forbidden), and who we are where the API tells (Kubernetes 1.28).

    Who we are is asked by POST, so with `gets_only` it is not known.
    """
    client = _client(target)
    uid: str | None
    try:
        uid = _text(_get(_call(target, "GET", "/api/v1/namespaces/kube-system"), "metadata", "uid")) or None
    except Problem as problem:
        if problem.code != "cluster-forbidden":
            raise
        uid = None
    return ClusterIdentity(
        server=str(client.configuration.host), uid=uid, user="" if target.gets_only else _user(target)
    )


def namespace_exists(target: Target, namespace: str) -> bool:
    """Whether the namespace exists. Raises Problem `cluster-forbidden` when it may not be read."""
    try:
        _call(target, "GET", f"/api/v1/namespaces/{quote(namespace, safe='')}")
    except NotFoundError:
        return False
    return True


def rights(target: Target, wanted: tuple[Right, ...]) -> tuple[Right, ...]:
    """Each right with whether we have it, by SelfSubjectAccessReview; None where the API does not tell."""
    return tuple(replace(right, allowed=_allowed(target, right)) for right in wanted)


def workloads(target: Target, release: str, namespace: str) -> tuple[Workload, ...]:
    """The workloads of a helm release, with the reasons of pods that are not ready."""
    where = quote(namespace, safe="")
    found: list[tuple[str, Any]] = []
    for plural, kind in _KINDS:
        objects = _list(target, f"/apis/apps/v1/namespaces/{where}/{plural}")
        found += [(kind, one) for one in objects if _belongs(one, release)]
    if not found:
        return ()
    pods = _list(target, f"/api/v1/namespaces/{where}/pods")
    warnings = _warnings(target, where)
    return tuple(_workload(kind, one, pods, warnings) for kind, one in found)


# ---------------------------------------------------------------- what belongs together, and why it is not ready


def _belongs(one: Any, release: str) -> bool:
    """helm's own annotation decides; the label is the convention for charts and counts where that is missing."""
    noted = _get(one, "metadata", "annotations", "meta.helm.sh/release-name")
    return bool((noted or _get(one, "metadata", "labels", "app.kubernetes.io/instance")) == release)


def _workload(kind: str, one: Any, pods: list[Any], warnings: Mapping[str, str]) -> Workload:
    labels = _mapping(_get(one, "spec", "selector", "matchLabels"))
    own = [pod for pod in pods if labels and _matches(pod, labels)]
    if kind == "DaemonSet":
        ready, wanted = _get(one, "status", "numberReady"), _get(one, "status", "desiredNumberScheduled")
    else:
        ready, wanted = _get(one, "status", "readyReplicas"), _get(one, "spec", "replicas")
    containers = _sequence(_get(one, "spec", "template", "spec", "containers"))
    reasons = [line for pod in own if not _pod_ready(pod) for line in _pod_reasons(pod, warnings)]
    reasons += _condition_reasons(one)
    return Workload(
        kind=kind,
        name=_text(_get(one, "metadata", "name")),
        ready=_number(ready),
        wanted=_number(wanted),
        images=tuple(_text(_get(container, "image")) for container in containers),
        restarts=sum(_number(_get(status, "restartCount")) for pod in own for status in _statuses(pod)),
        reasons=tuple(dict.fromkeys(reasons))[:_REASONS],
    )


def _matches(pod: Any, labels: Mapping[Any, Any]) -> bool:
    have = _mapping(_get(pod, "metadata", "labels"))
    return all(have.get(name) == value for name, value in labels.items())


def _pod_ready(pod: Any) -> bool:
    conditions = _sequence(_get(pod, "status", "conditions"))
    return any(_get(one, "type") == "Ready" and _get(one, "status") == "True" for one in conditions)


def _pod_reasons(pod: Any, warnings: Mapping[str, str]) -> list[str]:
    name = _text(_get(pod, "metadata", "name"))
    lines = []
    for status in _statuses(pod):
        state = _mapping(_get(status, "state"))
        for word in ("waiting", "terminated"):
            said = state.get(word)
            if said and _get(said, "reason") != "Completed":
                lines.append(_line(name, _get(said, "reason"), _get(said, "message"), _exit_code(said)))
        before = _get(status, "lastState", "terminated")
        if before:
            lines.append(_line(name, "before", _get(before, "reason"), _get(before, "message"), _exit_code(before)))
    for one in _sequence(_get(pod, "status", "conditions")):
        if _get(one, "type") == "PodScheduled" and _get(one, "status") == "False":
            lines.append(_line(name, _get(one, "reason"), _get(one, "message")))
    if _get(pod, "status", "reason"):  # Evicted, NodeLost
        lines.append(_line(name, _get(pod, "status", "reason"), _get(pod, "status", "message")))
    if name in warnings:
        lines.append(_line(name, warnings[name]))
    return lines or [_line(name, _get(pod, "status", "phase"), "not ready yet")]


def _exit_code(said: Any) -> str:
    code = _get(said, "exitCode")
    return f"exit code {code}" if isinstance(code, int) else ""


def _condition_reasons(one: Any) -> list[str]:
    """A rollout that does not go on: Progressing is False, or pods cannot even be created (quota, admission)."""
    return [
        _line(_get(condition, "reason"), _get(condition, "message"))
        for condition in _sequence(_get(one, "status", "conditions"))
        if (_get(condition, "type"), _get(condition, "status"))
        in {("Progressing", "False"), ("ReplicaFailure", "True")}
    ]


def _warnings(target: Target, where: str) -> dict[str, str]:
    """The last warning event of each pod; none when events may not be read."""
    try:
        events = _list(target, f"/api/v1/namespaces/{where}/events", fieldSelector="involvedObject.kind=Pod")
    except Problem as problem:
        if problem.code != "cluster-forbidden":
            raise
        return {}
    latest: dict[str, tuple[str, str]] = {}
    for event in events:
        if _get(event, "type") != "Warning":
            continue
        pod = _text(_get(event, "involvedObject", "name"))
        time = _text(_get(event, "lastTimestamp")) or _text(_get(event, "eventTime"))
        if time >= latest.get(pod, ("", ""))[0]:
            latest[pod] = (time, _line(_get(event, "reason"), _get(event, "message")))
    return {pod: text for pod, (_, text) in latest.items()}


def _statuses(pod: Any) -> list[Any]:
    of = _get(pod, "status")
    return [*_sequence(_get(of, "initContainerStatuses")), *_sequence(_get(of, "containerStatuses"))]


def _line(*parts: Any) -> str:
    text = ": ".join(" ".join(_text(part).split()) for part in parts if part)
    return text if len(text) <= _REASON_LENGTH else text[: _REASON_LENGTH - 1] + "…"


# ---------------------------------------------------------------- reviews


def _user(target: Target) -> str:
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    try:
        answer = _call(target, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body=review)
    except (NotFoundError, Problem):  # an older cluster, or not allowed: who we are is a help, no more
        return ""
    return _text(_get(answer, "status", "userInfo", "username"))[:_REASON_LENGTH]


def _allowed(target: Target, right: Right) -> bool | None:
    resource, _, subresource = right.resource.partition("/")
    attributes = {"verb": right.verb, "resource": resource, "group": right.group, "namespace": right.namespace}
    if subresource:
        attributes["subresource"] = subresource
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    try:
        answer = _call(target, "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body=review)
    except NotFoundError:
        return None
    except Problem as problem:
        if problem.code == "cluster-forbidden":
            return None
        raise
    allowed = _get(answer, "status", "allowed")
    return allowed if isinstance(allowed, bool) else None


# ---------------------------------------------------------------- the API


def _list(target: Target, path: str, **query: str) -> list[Any]:
    items: list[Any] = []
    parameters = {**query, "limit": str(_PAGE)}
    for _ in range(_PAGES):
        answer = _call(target, "GET", path, query=parameters)
        items += _sequence(_get(answer, "items"))
        more = _text(_get(answer, "metadata", "continue"))
        if not more:
            break
        parameters["continue"] = more
    return items


def _call(
    target: Target, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Any = None
) -> dict[str, Any]:
    """One request. Raises NotFoundError, or a Problem that says what stands between us and the answer."""
    if target.gets_only and method != "GET":
        raise Problem(
            "cluster-read-only",
            "A look at the cluster was to be more than a GET, and was stopped.",
            means="Nothing was sent, so nothing was changed. This is a fault of the wizard.",
            todo="Report it with the text below.",
            detail=f"{method} {path}"[:500],
            exit_code=EXIT_BAD,
        )
    import kubernetes.client
    import kubernetes.config
    import urllib3.exceptions

    client = _client(target)
    try:
        response = client.call_api(
            path,
            method,
            query_params=list((query or {}).items()),
            header_params={"Accept": "application/json", "Content-Type": "application/json"},
            body=body,
            auth_settings=["BearerToken"],
            _preload_content=False,
            _request_timeout=TIMEOUT,
        )[0]
        content = response.read(ANSWER_LIMIT + 1)
        response.release_conn()
    except kubernetes.client.ApiException as error:
        raise _refusal(error, target) from None
    except urllib3.exceptions.HTTPError as error:
        raise _unreachable(error, client, target) from None
    except kubernetes.config.ConfigException as error:
        raise _no_credentials(error, target) from None
    try:
        answer = json.loads(content) if len(content) <= ANSWER_LIMIT else None
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise Problem(
            "cluster-answer-unknown",
            f"What answers for context {target.context} does not speak the Kubernetes API.",
            means="A proxy or another server may stand in its place.",
            todo="Check the server's address in the kubeconfig.",
            detail=content[:500].decode(errors="replace"),
            exit_code=EXIT_NOT_YET,
        )
    return answer


def _client(target: Target) -> Any:
    try:
        facts = Path(target.kubeconfig).stat()
    except OSError as error:
        raise _kubeconfig_missing(error, target) from None
    return _client_of(target, facts.st_mtime_ns, facts.st_size)


@functools.lru_cache(maxsize=2)
def _client_of(target: Target, _changed: int, size: int) -> Any:
    """A client for one content of the kubeconfig; kept, as a credential plugin may take a second to answer."""
    import kubernetes.client
    import kubernetes.config
    import yaml

    path = Path(target.kubeconfig)
    if not path.is_file() or size > KUBECONFIG_LIMIT:
        raise _kubeconfig_wrong("It is not a file, or far too large.", target)
    said = _Errors()
    logging.getLogger().addHandler(said)
    try:
        # persist_config would write refreshed tokens into the user's file: a look changes nothing.
        client = kubernetes.config.new_client_from_config(str(path), target.context, persist_config=False)
    except OSError as error:
        raise _kubeconfig_missing(error, target) from None
    except kubernetes.config.ConfigException as error:
        raise _no_credentials(error, target) from None
    except (yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _kubeconfig_wrong(f"{type(error).__name__}: {error}", target) from None
    finally:
        logging.getLogger().removeHandler(said)
    if said.texts:
        raise _plugin_failed("\n".join(said.texts), target)
    configuration = client.configuration
    configuration.retries = 0
    try:
        _set_proxy(configuration)
    except ValueError as error:  # urlsplit, of a server that is no URL
        raise _kubeconfig_wrong(str(error), target) from None
    return kubernetes.client.ApiClient(configuration)


class _Errors(logging.Handler):
    """Collects errors: the client logs that a credential plugin failed, and goes on without credentials."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the text."""
        self.texts.append(record.getMessage())


def _set_proxy(configuration: Any) -> None:
    """As helm does it: HTTPS_PROXY for https, never for loopback, NO_PROXY counts.

    The Python client takes HTTP_PROXY for https as well and forgets NO_PROXY (35.0: set, then cleared).
    """
    server = urlsplit(str(configuration.host))
    prefix = "https" if server.scheme == "https" else "http"
    configuration.proxy = os.environ.get(f"{prefix}_proxy") or os.environ.get(f"{prefix.upper()}_PROXY")
    configuration.no_proxy = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    host = server.hostname or ""
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if loopback:
        configuration.proxy = None


# ---------------------------------------------------------------- failures


def _refusal(error: Any, target: Target) -> Exception:
    body = error.body if isinstance(error.body, str) else bytes(error.body or b"").decode(errors="replace")
    detail = f"{error.status} {error.reason}: {_message(body)}"[:2000]
    if error.status == 404:
        return NotFoundError()
    if error.status == 401:
        _client_of.cache_clear()  # after a new login the plugin is asked again
        return Problem(
            "cluster-unauthorized",
            f"The Kubernetes API does not accept the credentials of context {target.context}.",
            means="They have expired, or belong to another cluster.",
            todo=f"Log in to the cluster again, check with `kubectl --context {target.context} get ns`, look again.",
            detail=detail,
            exit_code=EXIT_NOT_YET,
        )
    if error.status == 403:
        return _forbidden(detail)
    return Problem(
        "cluster-error",
        f"The Kubernetes API answers with HTTP status {error.status}.",
        means="We could not look.",
        todo="Look again in some minutes; if it stays, show the text below to the cluster's administrator.",
        detail=detail,
        exit_code=EXIT_NOT_YET,
    )


def _forbidden(detail: str) -> Problem:
    found = re.search(r"([\w.-]+)(?: \"[\w.-]+\")? is forbidden: User \"[^\"]*\" cannot (\w+)", detail)
    where = re.search(r" in the namespace \"([\w.-]+)\"", detail)
    right = f"{found[2]} {found[1]}" if found else "do this"
    place = f" in namespace {where[1]}" if where else ""
    return Problem(
        "cluster-forbidden",
        f"Your account may not {right}{place}.",
        means="We could not look.",
        todo=f"Ask the cluster's administrator for the right to {right}{place}.",
        detail=detail,
        exit_code=EXIT_NOT_YET,
    )


def _message(body: str) -> str:
    try:
        return _text(json.loads(body[:100_000]).get("message")) or body
    except (ValueError, AttributeError, RecursionError):
        return body


_NETWORK = (
    # pattern, code, what happened, todo
    (
        r"CERTIFICATE_VERIFY_FAILED|certificate verify failed|SSLCertVerificationError",
        "cluster-ca",
        "shows a certificate that the kubeconfig's CA did not sign",
        "Get a fresh kubeconfig for the cluster; a proxy may also be reading along.",
    ),
    (
        r"NameResolutionError|Name or service not known|nodename nor servname|name resolution|No address associated",
        "cluster-name",
        "has a name that does not resolve here",
        "Check the server's address in the kubeconfig, and the VPN or DNS server that should know it.",
    ),
    (
        r"Connection refused",
        "cluster-refused",
        "refused the connection",
        "Check the address and port of the server in the kubeconfig, and that the cluster runs.",
    ),
    (
        r"ProxyError|proxy",
        "cluster-proxy",
        "cannot be reached through the proxy",
        "Check HTTPS_PROXY and NO_PROXY.",
    ),
    (
        r"timed out|Timeout|unreachable|No route",
        "cluster-timeout",
        "did not answer",
        "Check the network path: a firewall or VPN stands between, or the cluster is stopped.",
    ),
    (r"SSLError|SSL", "cluster-tls", "could not make a secure connection", "Check the server's address."),
)


# In the words helm's adapter has for the same: which of the two asks first is chance.
_MEANS = {"cluster-refused": "Nothing listens there, or a firewall turns us away."}


def _unreachable(error: Exception, client: Any, target: Target) -> Problem:
    text = f"{type(error).__name__}: {error}"
    known = next((row for row in _NETWORK if re.search(row[0], text)), None)
    code, happened, todo = known[1:] if known else ("cluster-unreachable", "cannot be reached", "Check the network.")
    return Problem(
        code,
        f"The Kubernetes API of context {target.context} {happened}.",
        means=_MEANS.get(code, "We could not look."),
        todo=todo,
        detail=f"{client.configuration.host}\n{text}"[:2000],
        exit_code=EXIT_NOT_YET,
    )


def _no_credentials(error: Exception, target: Target) -> Problem:
    text = str(error)
    if "context" in text and ("Expected object with name" in text or "Expected all values" in text):
        return Problem(
            "kube-context-missing",
            f"The kubeconfig has no context {target.context}.",
            means="Without it the cluster is not known.",
            todo="Choose one of the contexts that `kubectl config get-contexts` lists.",
            detail=text[:2000],
            exit_code=EXIT_BAD,
        )
    if text.startswith("exec:"):
        return _plugin_failed(text, target)
    return _kubeconfig_wrong(text, target)


def _plugin_failed(text: str, target: Target) -> Problem:
    return Problem(
        "cluster-plugin-failed",
        f"The credential plugin of context {target.context} gave no credentials.",
        means="Most often its own login has expired.",
        todo="Log in again with the tool it belongs to (its text is below), then look again.",
        detail=text[:2000],
        exit_code=EXIT_NOT_YET,
    )


def _kubeconfig_missing(error: OSError, target: Target) -> Problem:
    return Problem(
        "kubeconfig-missing",
        f"The kubeconfig file {target.kubeconfig} cannot be read.",
        means="Without it the cluster is not known.",
        todo="Check the path and your right to read it.",
        detail=str(error),
        exit_code=EXIT_BAD,
    )


def _kubeconfig_wrong(detail: str, target: Target) -> Problem:
    return Problem(
        "kubeconfig-wrong",
        f"The kubeconfig file {target.kubeconfig} cannot be understood.",
        means="The cluster is not known.",
        todo="Get a fresh kubeconfig for the cluster.",
        detail=detail[:2000],
        exit_code=EXIT_BAD,
    )


# ---------------------------------------------------------------- reading what may be anything


def _get(value: Any, *path: str) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _mapping(value: Any) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def _sequence(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
