"""What Azure's errors mean (AZURE.md, "Errors"), as data. Importing this loads no Azure package.

Azure's error code decides, never the class of an exception or the HTTP status: a long-running operation fails with
status 200, and one class stands for many things. A rule is one or more codes and the explanation; `{name}` in it is a
named group of the rule's pattern, which matches plain names only, so that nothing else of Azure's text gets into a
sentence of ours; the text itself goes into `detail`.

Exit codes (DESIGN.md section 5): EXIT_BAD where a value is wrong, EXIT_NOT_YET where we could not look or somebody has
to act elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from state.problem import EXIT_BAD, EXIT_NOT_YET, Problem
from wizard.azure import FORBIDDEN, THROTTLED
from wizard.secret import MASK
from wizard.sign_in import login_commands

TOKEN_REFUSED = "azure-token-refused"  # noqa: S105 (the code of a Problem)
OUTCOME_UNKNOWN = "azure-outcome-unknown"
"""Code of the Problem for a change that may have begun, or not: the resource tells."""

NOT_FOUND = frozenset({"resourcenotfound", "resourcegroupnotfound", "notfound", "parentresourcenotfound"})
"""Azure's codes, in lower case, for a thing that is not there; not those for a whole subscription."""

_DETAIL_LIMIT = 4000  # characters of Azure's text kept
_DEPTH, _BREADTH = 4, 8  # how deep and how broad the details of an error are searched
_CANCELLED = "canceled"


@dataclass(frozen=True, slots=True)
class Failure:
    """What Azure answered: its code and message, those of `details` in `inner`, outermost first.

    `status` is HTTP's, 0 when not known; `wait` the seconds of Retry-After; `correlation` is what Microsoft's support
    asks for (x-ms-correlation-request-id).
    """

    code: str = ""
    message: str = ""
    inner: tuple[tuple[str, str], ...] = ()
    status: int = 0
    wait: int | None = None
    correlation: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """Who was asked as what, for the sentences: ARM's host, identity, cloud and tenant as in `azure_asking.Target`.

    `changing`: the request was to change something, so a lost answer does not mean that nothing happened.
    """

    host: str = "management.azure.com"
    identity: str = "cli"
    cloud: str = "public"
    changing: bool = False
    tenant: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """Codes of Azure and what they mean; with a `pattern`, only when the message has it. `names` finds names in it."""

    codes: str
    code: str
    what: str
    means: str
    todo: str
    exit_code: int = EXIT_NOT_YET
    pattern: str = ""
    names: str = ""
    otherwise: tuple[tuple[str, str], ...] = ()


_ACTION = r"perform action(?:\(s\))? '(?P<action>[A-Za-z.]{1,60}(?:/[A-Za-z]{1,60}){1,5})'"

_RULES: tuple[Rule, ...] = (
    Rule(
        "InvalidPrivateLinkServiceId",
        "azure-link-service-unknown",
        "Azure does not know this link service.",
        "The alias or Resource ID is mistyped or no longer counts. Azure says the same at times of a good one.",
        "Compare the field Link service alias with what the vendor gave you, then run this step again. If it is the "
        "same, wait some minutes first.",
        EXIT_BAD,
    ),
    Rule(
        "ThirdPartyPrivateLinkServiceProvidedDuringPrivateEndpointCreationDoesNotExistOrIsNotVisible",
        "azure-link-service-not-visible",
        "The link service does not exist, or is not visible to this subscription.",
        "Most often the vendor has not been told this very subscription yet, or has not let it in yet.",
        "Compare the field Subscription ID with what is registered with the vendor. After a registration it may take "
        "some minutes: then run this step again.",
    ),
    Rule(
        "PrivateEndpointCannotBeCreatedInSubnetThatHasNetworkPoliciesEnabled",
        "azure-subnet-policies",
        "The subnet does not allow private endpoints: its network policies are on.",
        "Nothing was created.",
        "Choose another one in the field Subnet, or have them turned off, then run this step again: "
        "az network vnet subnet update --ids SUBNET --private-endpoint-network-policies Disabled",
        EXIT_BAD,
    ),
    Rule(
        "InvalidResourceReference",
        "azure-reference-wrong",
        "Something that the request refers to is not there, or is in another region.",
        "The subnet was removed or is mistyped, or the endpoint's region is not that of its VNet.",
        "Choose the field Subnet again, then run this step again: its plan reads the VNet anew and takes its region.",
        EXIT_BAD,
    ),
    Rule(
        "SubnetIsFull SubnetFull",
        "azure-subnet-full",
        "The subnet has no free address.",
        "Nothing was created.",
        "Choose another one in the field Subnet, or have this one enlarged, then run this step again.",
        EXIT_BAD,
    ),
    Rule(
        "LinkedAuthorizationFailed",
        "azure-linked-forbidden",
        "Your account lacks the right {action} on something that the change refers to.",
        "It may make the resource itself, but not join it to the subnet or VNet.",
        "Ask the owner of that network for the right {action} (in the role Network Contributor), or hand this step off "
        "to them.",
        names=r"does not have permission to " + _ACTION,
        otherwise=(("action", "to join"),),
    ),
    Rule(
        "AuthorizationFailed AuthorizationPermissionMismatch Forbidden",
        FORBIDDEN,
        "Your account lacks the right {action}.",
        "Azure refused the request.",
        "Ask the owner of the subscription for it, or hand this step off. A right granted just now counts after a new "
        "`az login`.",
        names=_ACTION,
        otherwise=(("action", "to do this"),),
    ),
    Rule(
        "RequestDisallowedByPolicy RequestDisallowedByAzure",
        "azure-policy",
        "A policy of your organisation does not allow this.",
        "Nothing was created. Many organisations keep private DNS zones to a central team.",
        "Show the text below to whoever looks after Azure policies, or hand this step off to the team that may do it.",
    ),
    Rule(
        "ScopeLocked",
        "azure-locked",
        "A lock stands on this resource, its group or its subscription.",
        "Azure refuses every change until it is removed.",
        "Ask whoever set the lock, which is named below, to remove it for this; then run this step again.",
    ),
    Rule(
        "RetryableError",
        "azure-retry",
        "Azure could not do this right now.",
        "Azure itself says that it may work later.",
        "Wait a minute, then run this step again: its plan reads what is there.",
    ),
    Rule(
        "ConflictError Conflict AnotherOperationInProgress OperationPreempted InUseSubnetCannotBeUpdated",
        "azure-conflict",
        "Another change of the same resource is under way.",
        "Azure does one after the other.",
        "Wait until that has ended (the resource's page in the Azure portal shows it), then run this step again.",
    ),
    Rule(
        "MissingSubscriptionRegistration",
        "azure-provider-unregistered",
        "The subscription is not registered for {namespace}.",
        "Azure offers nothing of it there. The wizard does not register it by itself: that changes the subscription.",
        "Run `az provider register --namespace {namespace} --subscription ID` with the ID in the "
        "field Subscription ID. Wait some minutes, then run this step again.",
        names=r"namespace '(?P<namespace>[A-Za-z]{1,60}(?:\.[A-Za-z]{1,60}){0,4})'",
        otherwise=(("namespace", "Microsoft.Network"),),
    ),
    Rule(
        "PreconditionFailed",
        "azure-changed-meanwhile",
        "It exists already, or was changed since we looked.",
        "Azure did nothing, so that nobody's change is lost.",
        "Run this step again: its plan shows what is there now.",
    ),
    Rule(
        "BadRequest InvalidParameter",
        "azure-zone-overlap",
        "The VNet is linked to another zone of this name already.",
        "A VNet cannot have two zones of one name.",
        "Run this step again: its plan finds that zone and uses it. If it finds none, your account may not read it: "
        "hand this step off to the team that keeps private DNS zones.",
        EXIT_BAD,
        pattern="overlapping namespaces",
    ),
    Rule(
        "ResourceGroupNotFound",
        "azure-group-missing",
        "The resource group does not exist.",
        "Nothing was created.",
        "Correct the field Resource group, or have that group made, then run this step again.",
        EXIT_BAD,
    ),
    Rule(
        "ParentResourceNotFound ResourceNotFound NotFound",
        "azure-missing",
        "What this belongs to is not there, or not any more.",
        "Azure could do nothing.",
        "Run this step again: its plan makes what is missing first.",
    ),
    Rule(
        "SubscriptionNotFound InvalidSubscriptionId",
        "azure-subscription-unknown",
        "Azure does not know this subscription, or shows it to others only.",
        "Its ID is mistyped, it is in another tenant or cloud, or your account has no role in it.",
        "Compare the field Subscription ID with `az account list`; for another tenant run `az login --tenant TENANT`.",
        EXIT_BAD,
    ),
    Rule(
        "ReadOnlyDisabledSubscription DisabledSubscription SubscriptionDisabled",
        "azure-subscription-disabled",
        "The subscription is disabled.",
        "Azure lets nothing be changed in it.",
        "Ask its owner; the reason is most often in its billing.",
    ),
    Rule(
        "InvalidAuthenticationTokenTenant",
        "azure-wrong-tenant",
        "You are signed in to another tenant than the subscription's.",
        "Azure does not accept that tenant's token there.",
        "Run {login_tenant} with the tenant of the subscription.",
    ),
    Rule(
        "ExpiredAuthenticationToken InvalidAuthenticationToken AuthenticationFailed InvalidAuthenticationInfo"
        " AuthenticationFailedMissingToken",
        TOKEN_REFUSED,
        "Azure does not accept the sign-in.",
        "It has expired, was withdrawn, or belongs to another cloud.",
        "{sign_in_there}, then look again.",
    ),
    Rule(
        "TooManyRequests SubscriptionRequestsThrottled ResourceRequestsThrottled RequestsThrottled OperationThrottled"
        " TooManyRequestsReceived RateLimitExceeded",
        THROTTLED,
        "Azure asks to slow down.",
        "Too many requests came to this subscription, from us or others.",
        "Wait {wait}, then look again.",
    ),
)

_SIGN_IN = {
    "cli": "Run {login}",
    "device-code": "Sign in again",
    "browser": "Sign in again",
    "managed": "Sign in again (the sandbox asks nobody)",
    "default": "Sign in again ({login}, or as the identity that you mean)",
}

# What azure-identity says, in the order of being looked for. `az` is meant, or the tenant's answer (AADSTS codes).
_LOGIN = (
    # pattern, code, what happened, what it means, todo
    (
        r"CLI not found on path",
        "azure-cli-missing",
        "The Azure CLI (az) is not installed here.",
        "The sign-in is taken from it.",
        "Install it, run `az login`; or choose to sign in with a device code.",
    ),
    (
        r"claims-challenge|AADSTS500(?:76|79|72)\b|AADSTS50158\b",
        "azure-login-mfa",
        "Azure asks for a stronger sign-in for this.",
        "Your organisation wants a second factor, and this sign-in was made without.",
        "{sign_in} (where a command stands below, that one), then try again.",
    ),
    (
        r"AADSTS(?:700082|700084|70043|70008|50173|50132|50133|500133|50089)\b|token (?:has|is) expired",
        "azure-login-expired",
        "The sign-in has expired.",
        "Azure wants to see you again from time to time, or the password was changed.",
        "{sign_in}, then look again.",
    ),
    (
        r"AADSTS(?:90002|50020|500011|50034|53003|650057|900021|90072)\b",
        "azure-login-tenant",
        "The sign-in does not count for this tenant or cloud.",
        "You are signed in elsewhere, or a rule of the tenant keeps this sign-in out.",
        "{sign_in_there}. Where you belong to several tenants, name the one that is meant; the text below tells more.",
    ),
    (
        r"Please run 'az login'|az login|az account set",
        "azure-not-logged-in",
        "The Azure CLI is not logged in.",
        "The sign-in is taken from it.",
        "{sign_in}, then look again.",
    ),
    (
        r"Failed to (?:invoke|execute)",
        "azure-cli-failed",
        "The Azure CLI gave no answer.",
        "It took too long, or cannot be run.",
        "Check with `az account show`, then look again.",
    ),
    (
        r"Failed to open a browser|Couldn't start an HTTP server",
        "azure-no-browser",
        "No browser could be opened on this machine.",
        "The sign-in was to be made in one.",
        "Choose to sign in with a device code: any browser on any device will do.",
    ),
    (
        r"Timed out waiting for user|authorization_pending|code_expired|expired_token|AADSTS70020\b",
        "azure-sign-in-late",
        "Nobody signed in in time.",
        "The code does not count any more.",
        "Begin the sign-in again.",
    ),
)

_NETWORK = (
    # pattern, code, what happened, todo
    (
        r"CERTIFICATE_VERIFY_FAILED|certificate verify failed|SSLCertVerificationError",
        "azure-ca",
        "shows a certificate that is not trusted here",
        "A proxy may be reading along: get its CA certificate from whoever runs it, and name the file in "
        "REQUESTS_CA_BUNDLE. A clock that is wrong gives the same.",
    ),
    (
        r"Could not find a suitable TLS CA certificate bundle|invalid path: ",
        "azure-ca-file",
        "cannot be checked: the CA file is not there",
        "Check the path of the CA file (REQUESTS_CA_BUNDLE, or the sandbox's).",
    ),
    (
        r"NameResolutionError|Name or service not known|nodename nor servname|name resolution|No address associated",
        "azure-name",
        "has a name that does not resolve here",
        "Check the network, and the VPN or DNS server that should know it.",
    ),
    (
        r"ProxyError|Unable to connect to proxy|Tunnel connection failed",
        "azure-proxy",
        "cannot be reached through the proxy",
        "Check HTTPS_PROXY and NO_PROXY, and whether the proxy wants a login.",
    ),
    (
        r"Connection refused",
        "azure-refused",
        "refused the connection",
        "A firewall turns us away, or nothing listens there. Check that it may be reached from this host.",
    ),
    (
        r"timed out|Timeout|unreachable|No route",
        "azure-timeout",
        "did not answer",
        "Check the network path: a firewall, VPN or proxy may stand between. Then look again.",
    ),
    (
        r"SSLError|SSL|TLS",
        "azure-tls",
        "could not make a secure connection",
        "A proxy or firewall may stand between; the text below tells what did not fit.",
    ),
    (
        r"aborted|RemoteDisconnected|IncompleteRead|Connection broken|reset by peer|Broken pipe",
        "azure-dropped",
        "dropped the connection",
        "Look again; if it stays, ask whoever runs the firewall or proxy.",
    ),
)


def explain(failure: Failure, asked: Asked | None = None) -> Problem:
    """The Problem that an answer of Azure tells of."""
    asked = asked or Asked()
    detail = clean(_shown(failure))
    for code, message in ((failure.code, failure.message), *failure.inner):
        for rule in _RULES:
            if code.lower() in rule.codes.lower().split() and rule.pattern in message:
                return _by_rule(rule, message, failure, asked, detail)
    # From here on no code is known, so the status may tell a little.
    if failure.status == 429:
        throttled = next(rule for rule in _RULES if rule.code == THROTTLED)
        return _by_rule(throttled, "", failure, asked, detail)
    if failure.status == 401:
        refused = next(rule for rule in _RULES if rule.code == TOKEN_REFUSED)
        return _by_rule(refused, "", failure, asked, detail)
    if asked.changing and failure.status >= 500:
        return outcome_unknown(detail)
    if not failure.code:
        return _no_azure(failure, asked, detail)
    return _unknown(failure, detail)


def code_of(failure: Failure) -> str:
    """The code that was explained: the outermost one there is a rule for, else the outermost."""
    known = {code for rule in _RULES for code in rule.codes.lower().split()}
    codes = [code for code, _ in ((failure.code, ""), *failure.inner)]
    return next((code for code in codes if code.lower() in known), failure.code)


def code_in(error: Exception) -> str:
    """Azure's outermost code in an SDK's exception, empty when it has none."""
    failure = _answer_of(error)
    return failure.code if failure else ""


def failure_in(body: object, *, status: int = 0, headers: Mapping[str, str] | None = None) -> Failure:
    """What an answer's JSON says went wrong: `{"error": {…}}`, or the error itself. Anything else has no code."""
    headers = headers or {}
    found = list(_errors(body, 0))
    (code, message), inner = (found[0], found[1:]) if found else (("", ""), [])
    return Failure(
        code=code,
        message=message,
        inner=tuple(inner[:_BREADTH]),
        status=status,
        wait=_seconds(headers.get("Retry-After")),
        correlation=str(headers.get("x-ms-correlation-request-id") or headers.get("x-ms-request-id") or "")[:100],
    )


def problem_of(error: Exception, asked: Asked) -> Problem:
    """The Problem for anything that an SDK raised: of azure-core, azure-identity, or a parser on a strange answer."""
    from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError, ServiceRequestError

    text = clean(f"{type(error).__name__}: {error}")
    failure = _answer_of(error) if isinstance(error, HttpResponseError) else None
    if isinstance(error, ClientAuthenticationError) and (failure is None or not failure.code):
        return _sign_in(type(error).__name__, text, asked)
    if failure is not None:
        return explain(failure, asked)
    if asked.changing and not isinstance(error, ServiceRequestError | OSError):
        return outcome_unknown(text)  # the request was on its way
    if isinstance(error, AzureError | OSError):  # without an answer: the way there, or back
        return _unreachable(text, asked)
    return _no_azure(Failure(), asked, text)


def other_tenant(wanted: str, found: str, asked: Asked) -> Problem:
    """The sign-in belongs to another tenant than the one that was named for it."""
    return Problem(
        "azure-wrong-tenant",
        f"The sign-in is one of tenant {found}, and tenant {wanted} is asked for.",
        means="It would see and change other things than are meant.",
        todo=f"{_sign_in_todo(asked, elsewhere=True)}, then look again.",
        exit_code=EXIT_NOT_YET,
    )


def outcome_unknown(detail: str) -> Problem:
    """A change was asked for and the answer got lost."""
    return Problem(
        OUTCOME_UNKNOWN,
        "The answer to a change was lost.",
        means="Azure may have begun it or not. It is not asked a second time.",
        todo="Look again: what Azure made of it is then shown.",
        detail=detail,
        exit_code=EXIT_NOT_YET,
    )


def clean(text: str) -> str:
    """Text for `detail`, cut to size: without the queries of URLs, which hold signatures, and without tokens."""
    text = re.sub(r"\?[^\s'\"<>)]+", "?…", text[: 4 * _DETAIL_LIMIT])
    text = re.sub(r"eyJ[\w-]{10,}\.[\w-]+(?:\.[\w-]*)?", MASK, text)
    return text[:_DETAIL_LIMIT]


# ---------------------------------------------------------------- what an answer says


def _errors(node: object, depth: int) -> Iterator[tuple[str, str]]:
    """Codes and messages, the outermost first."""
    if depth > _DEPTH or not isinstance(node, Mapping):
        return
    nested = node.get("error")
    if isinstance(nested, Mapping):
        yield from _errors(nested, depth + 1)
        return
    code, message = node.get("code"), node.get("message")
    if isinstance(code, str):
        yield code[:200], message[:_DETAIL_LIMIT] if isinstance(message, str) else ""
    details = node.get("details")
    for one in details[:_BREADTH] if isinstance(details, list) else ():
        yield from _errors(one, depth + 1)
    yield from _errors(node.get("innererror"), depth + 1)


def _answer_of(error: Any) -> Failure | None:
    """The failure that an SDK's exception carries; None when there was no answer."""
    response = getattr(error, "response", None)
    if response is None:
        return None
    try:
        body = response.json()
    except Exception:  # noqa: BLE001 (not read, no JSON, too deep, an unknown charset: then it has no code)
        body = None
    failure = failure_in(body, status=response.status_code, headers=response.headers)
    return failure if failure.code else replace(failure, message=clean(str(error)))


def _seconds(value: object) -> int | None:
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,6}", value) else None


def _shown(failure: Failure) -> str:
    lines = [f"{code}: {message}" if code else message for code, message in ((failure.code, failure.message),)]
    lines += [f"{code}: {message}" for code, message in failure.inner]
    if failure.correlation:
        lines.append(f"x-ms-correlation-request-id: {failure.correlation}")
    return "\n".join(line for line in lines if line)


# ---------------------------------------------------------------- sentences


def _by_rule(rule: Rule, message: str, failure: Failure, asked: Asked, detail: str) -> Problem:
    facts = {
        "sign_in_there": _sign_in_todo(asked, elsewhere=True),
        "login_tenant": _login(asked, "TENANT", elsewhere=True),
        "wait": "a minute" if failure.wait is None else f"{failure.wait} seconds",
    }
    facts.update(rule.otherwise)
    found = re.search(rule.names, message) if rule.names else None
    if found:
        facts.update(found.groupdict())
    what, means, todo = (part.format_map(facts) for part in (rule.what, rule.means, rule.todo))
    return Problem(rule.code, what, means=means, todo=todo, detail=detail, exit_code=rule.exit_code, wait=failure.wait)


def _unknown(failure: Failure, detail: str) -> Problem:
    named = re.fullmatch(r"[\w.-]{1,100}", failure.code, re.ASCII)
    if failure.code.lower() == _CANCELLED:
        what = "Azure ended the operation before it was done."
    else:
        what = f"Azure answered with the error {failure.code}." if named else "Azure answered with an error."
    return Problem(
        "azure-error",
        what,
        means="The wizard does not know this error.",
        todo="Read the text below; Microsoft's support can find the request by its correlation ID.",
        detail=detail,
        exit_code=EXIT_NOT_YET,
    )


def _no_azure(failure: Failure, asked: Asked, detail: str) -> Problem:
    status = f" (HTTP status {failure.status})" if failure.status else ""
    if failure.status >= 500:
        return Problem(
            "azure-broken",
            f"{asked.host} answers with an error of its own{status}.",
            means="Azure, or a proxy on the way, is in trouble. We could not look.",
            todo="Look again in some minutes; https://status.azure.com tells of outages.",
            detail=detail,
            exit_code=EXIT_NOT_YET,
        )
    return Problem(
        "azure-answer-unknown",
        f"What answers for {asked.host} does not speak as Azure does{status}.",
        means="A proxy or another server may stand in its place.",
        todo="Check HTTPS_PROXY and the network, then look again.",
        detail=detail,
        exit_code=EXIT_NOT_YET,
    )


def _unreachable(text: str, asked: Asked) -> Problem:
    known = _network(text)
    code, happened, todo = known or ("azure-unreachable", "cannot be reached", "Check the network, then look again.")
    return Problem(
        code,
        f"{asked.host} {happened}.",
        means="Nothing was changed." if asked.changing else "We could not look.",
        todo=todo,
        detail=text,
        exit_code=EXIT_NOT_YET,
    )


def _network(text: str) -> tuple[str, str, str] | None:
    text = re.sub(r"url: \S+", "", text)  # names in a path may say anything
    return next((row[1:] for row in _NETWORK if re.search(row[0], text)), None)


def _sign_in_todo(asked: Asked, *, elsewhere: bool = False) -> str:
    """How to sign in. `elsewhere`: the Azure CLI may stand in another cloud than the one that is meant."""
    login = _login(asked, asked.tenant, elsewhere=elsewhere)
    return _SIGN_IN.get(asked.identity, _SIGN_IN["default"]).format(login=login)


def _login(asked: Asked, tenant: str | None, *, elsewhere: bool) -> str:
    return " and ".join(f"`{command}`" for command in login_commands(asked.cloud, tenant, elsewhere=elsewhere))


def _sign_in(kind: str, text: str, asked: Asked) -> Problem:
    facts = {"sign_in": _sign_in_todo(asked), "sign_in_there": _sign_in_todo(asked, elsewhere=True)}
    if kind == "AuthenticationRequiredError":
        return Problem(
            "azure-sign-in-needed",
            "Nobody is signed in to Azure.",
            means="Without a sign-in Azure shows nothing.",
            todo="Choose Sign in on the screen. `run`, `check` and `doctor` can ask nobody: for them `az login`, and "
            "`sign_in: cli`.",
            detail=text,
            exit_code=EXIT_NOT_YET,
        )
    # The default credential tells of every way it tried, most of which nobody meant.
    several = asked.identity == "default"
    network = _network(text) if "AADSTS" not in text and not several else None
    for pattern, code, what, means, todo in () if several else _LOGIN:
        if re.search(pattern, text):
            return Problem(code, what, means=means, todo=todo.format_map(facts), detail=text, exit_code=EXIT_NOT_YET)
    if network is not None:
        code, happened, todo = network
        return Problem(
            code,
            f"Microsoft's sign-in service {happened}.",
            means="There is no sign-in without it.",
            todo=todo,
            detail=text,
            exit_code=EXIT_NOT_YET,
        )
    return Problem(
        "azure-login-failed",
        "The sign-in to Azure failed.",
        means="Without it Azure shows nothing.",
        todo=f"{facts['sign_in_there']}; the text below tells why it failed.",
        detail=text,
        exit_code=EXIT_NOT_YET,
    )
