"""What stands between the Azure SDKs and the network: who gets the token, what may be sent, how long and how much.

Imports azure-core and requests, so only the SDK child may import this. Every policy raises Problem, not an AzureError:
the SDKs neither retry nor wrap that.
"""

from __future__ import annotations

import math
import re
import time
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import HTTPPolicy, RetryPolicy
from azure.core.pipeline.transport import RequestsTransport
from azure.core.rest import HttpRequest, HttpResponse
from requests.adapters import HTTPAdapter

from state.problem import EXIT_BAD, EXIT_NOT_YET, Problem
from wizard.adapters import sdk_child
from wizard.adapters.azure_claims import identity_in
from wizard.azure import AzureIdentity, require_same

CONNECT_TIMEOUT, READ_TIMEOUT = 5.0, 20.0  # seconds to connect, to wait for the next part of an answer
ANSWER_TIMEOUT = 30.0  # seconds for a whole answer, however it drips
ANSWER_LIMIT = 32 * 1024 * 1024  # bytes of one answer, unpacked
LONGEST_WAIT = 10.0  # seconds of Retry-After that are waited in a call; beyond that who asked decides
ANSWER_LOST = ("azure-answer-too-large", "azure-answer-slow")
"""Codes of the Problems for an answer that came and was not read to its end: what was asked for may be done."""

_CHUNK = 64 * 1024
_VISIBILITY = re.compile(
    r"/subscriptions/[^/]+(?:/resourceGroups/[^/]+)?/providers/Microsoft\.Network/locations/[^/]+"
    r"/checkPrivateLinkServiceVisibility",
    re.IGNORECASE,
)

Request = PipelineRequest[HttpRequest]
Response = PipelineResponse[HttpRequest, HttpResponse]


class OneHostPolicy(HTTPPolicy[HttpRequest, HttpResponse]):
    """Lets requests go to one origin alone, and follows no redirect. Stands after retries and authentication.

    A `nextLink` or an operation URL comes from outside, and the SDK sends the bearer wherever it points (AZURE.md).
    """

    def __init__(self, origin: str) -> None:
        super().__init__()
        origin = origin.rstrip("/").lower()
        # Azure itself writes the port at times. Compared as text up to the slash: there is no parser to disagree with.
        spelled = [origin] if urlsplit(origin).port else [origin, f"{origin}:443"]
        self._allowed = tuple(f"{one}/" for one in spelled)

    def send(self, request: Request) -> Response:
        """Send, or raise Problem `azure-other-host`, `azure-redirect`."""
        url = request.http_request.url
        if not url.lower().startswith(self._allowed):
            raise _elsewhere("azure-other-host", "points to", url)
        response = self.next.send(request)
        if response.http_response.status_code in (301, 302, 303, 307, 308):
            raise _elsewhere("azure-redirect", "redirects to", response.http_response.headers.get("Location", ""))
        return response


class ReadOnlyPolicy(HTTPPolicy[HttpRequest, HttpResponse]):
    """Lets only looks pass: GET, HEAD, and the POST that asks whether a link service is visible.

    Belongs after the retries: a policy before them does not see the registration of a provider that the SDK slips in.
    """

    def send(self, request: Request) -> Response:
        """Send, or raise Problem `azure-read-only`."""
        method, url = request.http_request.method, request.http_request.url
        asks = method == "POST" and _VISIBILITY.fullmatch(urlsplit(url).path) is not None
        if method not in ("GET", "HEAD") and not asks:
            raise Problem(
                "azure-read-only",
                "A look at Azure tried to change something and was stopped.",
                means="Nothing was changed. This is a fault of the wizard.",
                todo="Report it with the text below.",
                detail=f"{method} {urlsplit(url).path}"[:500],
                exit_code=EXIT_BAD,
            )
        return self.next.send(request)


class OneIdentityPolicy(HTTPPolicy[HttpRequest, HttpResponse]):
    """Lets requests go as one identity alone. Stands after authentication, and so sees the very token that is sent.

    Whoever asks for a token renews it for all: between reading the identity and sending, a look beside it may have
    fetched one of somebody who signed in meanwhile. What is sent anew with another token after a 401 passes here, too.
    """

    def __init__(self, identity: AzureIdentity) -> None:
        super().__init__()
        self._identity = identity

    def send(self, request: Request) -> Response:
        """Send, or raise Problem `other-identity`, `azure-identity-unknown`."""
        bearer = request.http_request.headers.get("Authorization", "")
        require_same(self._identity, identity_in(bearer.partition(" ")[2]))
        return self.next.send(request)


class LooksOnlyRetryPolicy(RetryPolicy[HttpRequest, HttpResponse]):
    """Retries looks a few times, and changes never: what a lost one left is read instead.

    A wait longer than `LONGEST_WAIT` is not waited but told: a call that sleeps for minutes looks stuck. A shorter one
    that Azure asks for is told while it lasts.
    """

    def __init__(self) -> None:
        super().__init__(retry_total=3, retry_connect=1, retry_read=1, retry_status=3, retry_backoff_max=LONGEST_WAIT)

    def configure_retries(self, options: dict[str, Any]) -> dict[str, Any]:
        """Only methods that change nothing."""
        return {**super().configure_retries(options), "methods": frozenset({"GET", "HEAD"})}

    def is_retry(self, settings: dict[str, Any], response: Any) -> bool:
        """Whether this answer is worth another request; a Retry-After alone would have the SDK repeat anything."""
        if response.http_request.method not in ("GET", "HEAD"):
            return False
        return (self.get_retry_after(response) or 0) <= LONGEST_WAIT and bool(super().is_retry(settings, response))

    def sleep(self, settings: dict[str, Any], transport: Any, response: Any = None) -> None:
        """Wait before the next request, and say so."""
        seconds = self.get_retry_after(response) if response is not None else None
        if seconds:
            sdk_child.tell(f"Azure asks to slow down: waiting {math.ceil(seconds)} s, then asking again")
        super().sleep(settings, transport, response)


def transport(ca_file: str | None, *, loopback: bool) -> RequestsTransport:
    """How requests are sent: TLS under `ca_file` or the usual authorities, by proxy unless on loopback."""
    session = requests.Session()
    session.trust_env = not loopback
    # Else a line of ~/.netrc takes the place of the bearer.
    session.auth = lambda request: request
    session.mount("https://", _BoundedAdapter())
    return RequestsTransport(
        session=session,
        session_owner=False,
        connection_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
        connection_verify=ca_file or True,
    )


class _BoundedAdapter(HTTPAdapter):
    """Reads every answer whole, within `ANSWER_LIMIT` and `ANSWER_TIMEOUT`; requests itself knows neither."""

    def send(  # noqa: PLR0917 (as its base has it)
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        """As HTTPAdapter. Raises Problem `azure-answer-too-large`, `azure-answer-slow` as well."""
        deadline = time.monotonic() + ANSWER_TIMEOUT
        response = super().send(request, stream=True, timeout=timeout, verify=verify, cert=cert, proxies=proxies)
        try:
            body = _read(response.raw, deadline, urlsplit(request.url or "").hostname)
        except urllib3.exceptions.ReadTimeoutError as error:
            raise requests.exceptions.ReadTimeout(error, request=request) from error
        except urllib3.exceptions.ProtocolError as error:
            raise requests.exceptions.ConnectionError(error, request=request) from error
        except urllib3.exceptions.HTTPError as error:
            raise requests.exceptions.ContentDecodingError(error, request=request) from error
        finally:
            response.close()
        response.raw = urllib3.HTTPResponse(BytesIO(body), status=response.status_code, preload_content=False)
        return response


def _read(raw: Any, deadline: float, host: str | None) -> bytes:
    body = bytearray()
    # read1 returns what has come; read waits until a whole chunk has dripped in.
    while part := raw.read1(_CHUNK, decode_content=True):
        body += part
        if len(body) > ANSWER_LIMIT:
            raise _strange("azure-answer-too-large", f"The answer of {host} is larger than 32 MB.")
        if time.monotonic() > deadline:
            raise _strange("azure-answer-slow", f"The answer of {host} did not come to its end in time.")
    return bytes(body)


def _strange(code: str, what: str) -> Problem:
    return Problem(
        code,
        what,
        means="We could not look. No answer of Azure's is like that; something on the way may be in trouble.",
        todo="Look again; if it stays, check HTTPS_PROXY and the network.",
        exit_code=EXIT_NOT_YET,
    )


def _elsewhere(code: str, verb: str, url: str) -> Problem:
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        host = ""
    named = host if re.fullmatch(r"[\w.:\[\]-]{1,253}", host, re.ASCII) else "another address"
    return Problem(
        code,
        f"An answer of Azure's {verb} {named}.",
        means="The sign-in is sent to Azure's own address alone, so it was not followed.",
        todo="If that host is not Microsoft's, tell your security team; else report it.",
        detail=url.partition("?")[0][:500],
        exit_code=EXIT_NOT_YET,
    )
