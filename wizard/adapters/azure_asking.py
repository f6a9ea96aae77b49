"""How Azure is asked, in the SDK child: as whom and where, by pages, every failure explained, every type doubted.

Loads no Azure package by itself: the parent imports the modules of calls, and with them this one, for names only.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from state.problem import EXIT_BAD, EXIT_NOT_YET, Problem
from wizard.adapters import azure_errors
from wizard.azure import AzureIdentity
from wizard.sign_in import CLOUDS, MANAGED, SIGN_INS, is_tenant

IDENTITIES = (*SIGN_INS, MANAGED)

PAGES = 400  # pages of one list; the largest subscriptions have some tens
_TEXT = 1000  # characters kept of a text


@dataclass(frozen=True, slots=True)
class Target:
    """Which Azure, and as whom.

    `cloud` is one of `CLOUDS`, `identity` one of `IDENTITIES`, `tenant` a tenant's ID or domain name, None for the
    sign-in's own. A sandbox alone has an `arm_url`, a `ca_file` for it,
    and the identity `managed` with its `identity_endpoint` and `identity_header`. `read_only`: only looks get through,
    whatever the SDKs try. `acting_as`: requests are sent as this identity alone, whoever is signed in by then.
    """

    cloud: str = "public"
    identity: str = "cli"
    tenant: str | None = None
    arm_url: str | None = None
    identity_endpoint: str | None = None
    identity_header: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    read_only: bool = True
    acting_as: AzureIdentity | None = None


@contextlib.contextmanager
def explained(target: Target, *, changing: bool = False) -> Iterator[Any]:
    """The module of clients; whatever the SDKs raise inside becomes a Problem."""
    _require_safe(target)
    from azure.core.exceptions import AzureError

    from wizard.adapters import azure_clients, azure_policies

    try:
        yield azure_clients
    except Problem as problem:
        if changing and problem.code in azure_policies.ANSWER_LOST:
            raise azure_errors.outcome_unknown(problem.what) from None
        raise
    except (
        AzureError,
        OSError,
        ValueError,  # no JSON, a header that is no number
        TypeError,  # JSON of another shape than the SDK takes for granted
        AttributeError,
        LookupError,
        RecursionError,
    ) as error:
        told = azure_errors.problem_of(error, asked(target, changing=changing))
        if told.code == azure_errors.TOKEN_REFUSED:
            azure_clients.token(target).forget()  # after a new login it is asked for again
        raise told from None


def asked(target: Target, *, changing: bool = False) -> azure_errors.Asked:
    """Who is asked as what, for the sentences of a Problem."""
    from wizard.adapters import azure_clients

    host = urlsplit(azure_clients.origin(target)).netloc
    return azure_errors.Asked(host, target.identity, target.cloud, changing, target.tenant)


def or_none(get: Callable[[], Any]) -> Any:
    """What is there, None when Azure says that it is not. A 404 without such a code is somebody else's."""
    from azure.core.exceptions import HttpResponseError

    try:
        return get()
    except HttpResponseError as error:
        if azure_errors.code_in(error).lower() in azure_errors.NOT_FOUND:
            return None
        raise


def pages(items: Any) -> list[Any]:
    """Everything of an SDK's list."""
    found: list[Any] = []
    for number, page in enumerate(items.by_page()):
        if number >= PAGES:
            raise _endless()
        found += page
    return found


def read(target: Target, url: str, api_version: str | None) -> Any:
    """The JSON object at a path of ARM's, or at a `nextLink`, for which there is no SDK here."""
    from azure.core.exceptions import HttpResponseError
    from azure.core.rest import HttpRequest

    with explained(target) as clients:
        client = clients.arm(target)
        query = {"api-version": api_version} if api_version else {}
        response = client.send_request(HttpRequest("GET", client.format_url(url), params=query))
        if response.status_code != 200:
            raise HttpResponseError(response=response)
        answer = response.json()
        if not isinstance(answer, Mapping):
            raise TypeError("The answer is no JSON object")
        return answer


def read_all(target: Target, path: str, api_version: str) -> list[Any]:
    """Everything of a list for which there is no SDK here."""
    found: list[Any] = []
    answer = read(target, path, api_version)
    for _ in range(PAGES):
        found += list_at(answer, "value")
        following = at(answer, "nextLink")
        if not following:
            return found
        answer = read(target, following if isinstance(following, str) else "/", None)
    raise _endless()


def _endless() -> Problem:
    return Problem(
        "azure-list-endless",
        f"A list of Azure's did not end after {PAGES} pages.",
        means="We could not look: a part of it would be missing.",
        todo="Look again; if it stays, report it.",
        exit_code=EXIT_NOT_YET,
    )


# ---------------------------------------------------------------- where a sign-in may go


def is_loopback(url: str) -> bool:
    """Whether a URL names this machine."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _require_safe(target: Target) -> None:
    """A real sign-in goes to Microsoft's own addresses alone, and the sandbox's to loopback alone."""
    own = (target.arm_url, target.identity_endpoint)
    known = target.cloud in CLOUDS and target.identity in IDENTITIES
    known = known and (target.tenant is None or is_tenant(target.tenant))
    secure = (target.arm_url or "https:").lower().startswith("https:")
    here = all(url is not None and is_loopback(url) for url in own)
    if not known or not secure or (not here if target.identity == "managed" else any(own)):
        raise Problem(
            "unsafe-environment",
            "This setup points to an Azure that is neither Microsoft's nor the sandbox's.",
            means="A sign-in must not be sent to an address that came with a file.",
            todo="Remove arm_url and identity_endpoint from the environment.",
            exit_code=EXIT_BAD,
        )


# ---------------------------------------------------------------- ids and names that go into a path

_ID = re.compile(
    r"/subscriptions/([0-9a-f-]{36})/resourceGroups/([^/]+)/providers/Microsoft\.Network"
    r"/(\w+)/([^/]+)(?:/(\w+)/([^/]+))?",
    re.IGNORECASE,
)


def parts(resource_id: str, kind: str, child: str = "") -> tuple[str, ...]:
    """Subscription, group and name, and the child's name when a `child` kind is asked for.

    Raises Problem `azure-id-wrong` for the ID of another kind, or what is none.
    """
    found = _ID.fullmatch(resource_id)
    if not found or (found[3].lower(), (found[5] or "").lower()) != (kind.lower(), child.lower()):
        raise _wrong_id(resource_id)
    names = (found[2], found[4], *([found[6]] if child else []))
    return (found[1], *map(name, names))


def guid(subscription: str) -> str:
    """A subscription's ID as it is. Raises Problem `azure-id-wrong`."""
    if not re.fullmatch(r"[0-9a-fA-F-]{36}", subscription):
        raise _wrong_id(subscription)
    return subscription


def name(given: str) -> str:
    """A part of a path as it is. Raises Problem `azure-id-wrong` for one that, like `..`, would lead elsewhere."""
    if not re.fullmatch(r"[\w.()@* -]{1,255}", given) or not given.strip("."):
        raise _wrong_id(given)
    return given


def _wrong_id(given: str) -> Problem:
    return Problem(
        "azure-id-wrong",
        "This is not an ID or a name that Azure could have.",
        means="It was not asked for.",
        todo="Correct what stands below.",
        detail=given[:_TEXT],
        exit_code=EXIT_BAD,
    )


# ---------------------------------------------------------------- JSON of any shape; the SDKs' models are mappings too


def at(node: Any, *path: str) -> Any:
    """What stands at a path, None when it does not lead there."""
    for key in path:
        if not isinstance(node, Mapping):
            return None
        node = node.get(key)
    return node


def text_at(node: Any, *path: str) -> str:
    """The text at a path, cut to size; empty when there is none."""
    return text(at(node, *path))


def list_at(node: Any, *path: str) -> list[Any]:
    """The list at a path, empty when there is none."""
    found = at(node, *path)
    return found if isinstance(found, list) else []


def text(value: Any) -> str:
    """A text, cut to size; empty when it is none."""
    return value[:_TEXT] if isinstance(value, str) else ""
