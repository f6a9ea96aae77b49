"""The Kubernetes API, asked in the SDK child: one request, a list, and what stands between us and the answer.

Built on the official client's configuration, credentials and transport; answers are read as plain JSON with a limit,
because its generated models raise on anything unexpected and read without one. Every answer may be hostile.

The client is imported inside functions: the parent imports the modules of calls for the functions' names only.
"""

from __future__ import annotations

import functools
import ipaddress
import json
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from state.problem import EXIT_BAD, EXIT_NOT_YET, Problem

TIMEOUT = (5.0, 10.0)  # seconds to connect, to wait for a part of the answer
ANSWER_LIMIT = 16 * 1024 * 1024  # bytes of one answer
KUBECONFIG_LIMIT = 4 * 1024 * 1024  # bytes
_PAGE, _PAGES = 500, 10  # objects per page, pages


@dataclass(frozen=True, slots=True)
class Target:
    """Which cluster: a kubeconfig file and a context of it. `gets_only`: every other request is refused."""

    kubeconfig: str
    context: str
    gets_only: bool = False


class NotFoundError(Exception):
    """The API has no such object (404)."""


def list_all(target: Target, path: str, **query: str) -> list[Any]:
    """The objects of a list, page by page. Raises as `call` does."""
    items: list[Any] = []
    parameters = {**query, "limit": str(_PAGE)}
    for _ in range(_PAGES):
        try:
            answer = call(target, "GET", path, query=parameters)
        except NotFoundError:  # a list that is not there is no list of this API
            raise _unknown(target, b"404") from None
        items += sequence(field_of(answer, "items"))
        more = text_of(field_of(answer, "metadata", "continue"))
        if not more:
            break
        parameters["continue"] = more
    return items


def call(
    target: Target, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Any = None
) -> dict[str, Any]:
    """One request, answered with an object. Raises as `send` does, and Problem for an answer that is none."""
    content = send(target, method, path, query=query, body=body)
    try:
        answer = json.loads(content) if len(content) <= ANSWER_LIMIT else None
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise _unknown(target, content)
    return answer


def _unknown(target: Target, content: bytes) -> Problem:
    return Problem(
        "cluster-answer-unknown",
        f"What answers for context {target.context} does not speak the Kubernetes API.",
        means="A proxy or another server may stand in its place.",
        todo="Check the server's address in the kubeconfig.",
        detail=content[:500].decode(errors="replace"),
        exit_code=EXIT_NOT_YET,
    )


def send(
    target: Target,
    method: str,
    path: str,
    *,
    query: Mapping[str, str] | None = None,
    body: Any = None,
    accept: str = "application/json",
    limit: int = ANSWER_LIMIT,
) -> bytes:
    """One request; the answer's first bytes, one more than `limit` when it is longer.

    Raises NotFoundError, or a Problem that says what stands between us and the answer.
    """
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

    client = client_of(target)
    try:
        response = client.call_api(
            path,
            method,
            query_params=list((query or {}).items()),
            header_params={"Accept": accept, "Content-Type": "application/json"},
            body=body,
            auth_settings=["BearerToken"],
            _preload_content=False,
            _request_timeout=TIMEOUT,
        )[0]
        content: bytes = response.read(limit + 1)
        response.release_conn()
    except kubernetes.client.ApiException as error:
        raise refusal(error, target) from None
    except urllib3.exceptions.HTTPError as error:
        raise _unreachable(error, client, target) from None
    except kubernetes.config.ConfigException as error:
        raise _no_credentials(error, target) from None
    return content


def client_of(target: Target) -> Any:
    """The official client for a target, with its credentials. Raises Problem."""
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


def refusal(error: Any, target: Target) -> Exception:
    """What an ApiException of the official client means: NotFoundError or a Problem."""
    body = error.body if isinstance(error.body, str) else bytes(error.body or b"").decode(errors="replace")
    detail = f"{error.status} {error.reason}: {_message(body)}"[:2000]
    if error.status == 404:
        return NotFoundError()
    if error.status == 409:
        return Problem(
            "cluster-conflict",
            "The Kubernetes API has another object there than was expected.",
            means="Somebody else made or changed it; nothing was done.",
            todo="Look again.",
            detail=detail,
            exit_code=EXIT_NOT_YET,
        )
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
        return forbidden(detail)
    return Problem(
        "cluster-error",
        f"The Kubernetes API answers with HTTP status {error.status}.",
        means="We could not look.",
        todo="Look again in some minutes; if it stays, show the text below to the cluster's administrator.",
        detail=detail,
        exit_code=EXIT_NOT_YET,
    )


def forbidden(detail: str) -> Problem:
    """Problem `cluster-forbidden`, which names the right that is missing when the API's text (403) does."""
    subject, user = r"([\w.-]+)(?: \"[\w.-]+\")? is forbidden: ", r"User \"[^\"]*\" "
    found = re.search(rf"{subject}{user}cannot (\w+)(?: resource \"[\w.-]+(/\w+)?\")?", detail)
    where = re.search(r" in the namespace \"([\w.-]+)\"", detail)
    right = f"{found[2]} {found[1]}{found[3] or ''}" if found else "do this"
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
        return text_of(json.loads(body[:100_000]).get("message")) or body
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


def field_of(value: Any, *path: str) -> Any:
    """What stands at a path of fields; None where there is no such path."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def mapping(value: Any) -> dict[Any, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def sequence(value: Any) -> list[Any]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def text_of(value: Any) -> str:
    """The value if it is text, else an empty one."""
    return value if isinstance(value, str) else ""


def number_of(value: Any) -> int:
    """The value if it is a whole number, else 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
