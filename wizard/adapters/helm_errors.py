"""What helm's error texts mean (HELM.md, "Error texts → meaning"), as data. Pure.

A rule is a pattern and the explanation; the first match wins. `{name}` in an explanation is a named group of the
pattern or a fact of the call (registry, chart, version, release, namespace, context, kubeconfig, timeout, user). Groups
match plain names only, so that nothing else of helm's text gets into a sentence of ours; the text itself goes into
`detail`.

Exit codes (DESIGN.md section 5): EXIT_BAD where a value is wrong (token, version, chart, values, kubeconfig),
EXIT_NOT_YET where we could not look or a person elsewhere has to act (unreachable, expired, forbidden, pending).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from state.problem import EXIT_BAD, EXIT_NOT_YET, Problem
from wizard.secret import MASK

_DETAIL_LIMIT = 8000  # characters of helm's text kept
_EXAMINED, _LINE = 16_000, 2000  # characters examined in all, and of one line


@dataclass(frozen=True, slots=True)
class Rule:
    """One text of helm and what it means."""

    pattern: str
    code: str
    what: str
    means: str
    todo: str
    exit_code: int = EXIT_BAD


# Failures of a connection, said of the registry or of the cluster: `{subject}` is "The registry R" or "The
# Kubernetes API of context C", the code gets the subject in front (`registry-refused`, `cluster-refused`).
_NETWORK: tuple[Rule, ...] = (
    Rule(
        r"connection refused",
        "refused",
        "{subject} refused the connection.",
        "Nothing listens there, or a firewall turns us away.",
        "Check the address and port, and that it may be reached from this host.",
        EXIT_NOT_YET,
    ),
    Rule(
        r"no such host|server misbehaving|Temporary failure in name resolution",
        "name",
        "The name of {subject_lower} does not resolve.",
        "It is mistyped, or this host's DNS does not know it.",
        "Check the name, and the VPN or DNS server that should know it.",
        EXIT_NOT_YET,
    ),
    Rule(
        r"x509: certificate signed by unknown authority|certificate is not trusted|unable to get local issuer",
        "ca",
        "{subject} shows a certificate of an authority that is not known here.",
        "A proxy may be reading along, or it has a private CA.",
        "Get its CA certificate from whoever runs it and name it in the setup.",
        EXIT_NOT_YET,
    ),
    Rule(
        r"x509: certificate has expired or is not yet valid",
        "expired",
        "The certificate of {subject_lower} has expired or does not count yet.",
        "This host's clock may be wrong, or the certificate was not renewed.",
        "Check this host's date; then tell whoever runs it.",
        EXIT_NOT_YET,
    ),
    Rule(
        r"x509: |tls: ",
        "tls",
        "The secure connection to {subject_lower} could not be made.",
        "Its certificate does not fit its name, or it speaks another protocol.",
        "Check the address; the text below tells what did not fit.",
        EXIT_NOT_YET,
    ),
    Rule(
        r"server gave HTTP response to HTTPS client",
        "plain",
        "{subject} speaks plain HTTP.",
        "The token would cross the network unencrypted, so it was not sent.",
        "Use its https address.",
        EXIT_BAD,
    ),
    Rule(
        r"i/o timeout|Client\.Timeout exceeded|TLS handshake timeout|no route to host|network is unreachable"
        r"|connection timed out|https?://\S+\": (?:context deadline exceeded|EOF)|connection reset by peer",
        "timeout",
        "{subject} did not answer.",
        "It is not reachable from here: a firewall, VPN or proxy stands between.",
        "Check the network path, then try again.",
        EXIT_NOT_YET,
    ),
)

_CLUSTER: tuple[Rule, ...] = (
    Rule(
        r"exec: executable (?P<plugin>[\w./-]+) not found",
        "cluster-plugin-missing",
        "The kubeconfig gets its credentials from {plugin}, which is not installed here.",
        "helm cannot log in to the cluster.",
        "Install {plugin}, check with `{plugin} --version`, then try again.",
        EXIT_NOT_YET,
    ),
    Rule(
        r"exec: executable (?P<plugin>[\w./-]+) failed with exit code (?P<code>\d+)|getting credentials: ",
        "cluster-plugin-failed",
        "The kubeconfig's credential plugin {plugin} gave no credentials.",
        "Most often its own login has expired.",
        "Log in again with the tool it belongs to (its text is below), then try again.",
        EXIT_NOT_YET,
    ),
    Rule(
        r"stat [^\n]*: no such file or directory|open [^\n]*: (?:no such file or directory|permission denied)",
        "kubeconfig-missing",
        "The kubeconfig file {kubeconfig} cannot be read.",
        "Without it helm does not know the cluster.",
        "Check the path and your right to read it.",
    ),
    Rule(
        r"context \"[^\"]*\" does not exist|context was not found",
        "kube-context-missing",
        "The kubeconfig has no context {context}.",
        "Without it helm does not know the cluster.",
        "Choose one of the contexts that `kubectl config get-contexts` lists.",
    ),
    Rule(
        r"error loading config file|invalid configuration|cannot unmarshal",
        "kubeconfig-wrong",
        "The kubeconfig file {kubeconfig} cannot be understood.",
        "helm does not know the cluster.",
        "Get a fresh kubeconfig for the cluster.",
    ),
    Rule(
        r"asked for the client to provide credentials|Unauthorized",
        "cluster-unauthorized",
        "The Kubernetes API does not accept the credentials of context {context}.",
        "They have expired, or belong to another cluster.",
        "Log in to the cluster again, check with `kubectl --context {context} get ns`, then try again.",
        EXIT_NOT_YET,
    ),
)

_FORBIDDEN: tuple[Rule, ...] = (
    Rule(
        r"(?<![\w.-])(?P<resource>[\w.-]++)(?: \"[\w.-]+\")? is forbidden: User \"[^\"]*\""
        r" cannot (?P<verb>\w+) resource"
        r" \"[\w./-]+\" in API group \"[\w.-]*\" in the namespace \"(?P<where>[\w.-]+)\"",
        "cluster-forbidden",
        "Your account may not {verb} {resource} in namespace {where}.",
        "helm needs this right for the release.",
        "Ask the cluster's administrator for the right to {verb} {resource} in {where}.",
        EXIT_NOT_YET,
    ),
    Rule(
        r"(?<![\w.-])(?P<resource>[\w.-]++)(?: \"[\w.-]+\")? is forbidden: User \"[^\"]*\""
        r" cannot (?P<verb>\w+) resource",
        "cluster-forbidden",
        "Your account may not {verb} {resource} in the whole cluster.",
        "helm needs this right for the release.",
        "Ask the cluster's administrator for the right to {verb} {resource}.",
        EXIT_NOT_YET,
    ),
    Rule(
        r"(?<![\w.-])(?P<resource>[\w.-]++)(?: \"[\w.-]+\")? is forbidden: ",
        "cluster-forbidden",
        "The cluster does not allow what helm wants to do with {resource}.",
        "A right is missing, or a policy or quota of the cluster stands against it.",
        "Show the text below to the cluster's administrator.",
        EXIT_NOT_YET,
    ),
)

_REGISTRY: tuple[Rule, ...] = (
    Rule(
        r"basic credential not found",
        "registry-not-logged-in",
        "helm is not logged in to the registry {registry}.",
        "The chart cannot be fetched.",
        "Give user and token; the login comes before the upgrade.",
    ),
    Rule(
        r"response status code 401|401 Unauthorized|unauthorized: ",
        "registry-unauthorized",
        "The registry {registry} does not accept this user and token.",
        "The user name or the token is wrong, or the token has expired: tokens live only for a while.",
        "Copy a new token from the portal and try again.",
    ),
    Rule(
        r"response status code 403|403 Forbidden|denied: ",
        "registry-denied",
        "The registry {registry} knows the user but denies access.",
        "The token is not for this chart, or the registry admits only certain networks.",
        "Show the text below to the vendor's support.",
        EXIT_NOT_YET,
    ),
    Rule(
        r"response status code 429|toomanyrequests",
        "registry-busy",
        "The registry {registry} asks to slow down.",
        "Too many requests came from this network.",
        "Wait some minutes, then try again.",
        EXIT_NOT_YET,
    ),
    Rule(
        r"response status code 5\d\d",
        "registry-broken",
        "The registry {registry} answers with an error of its own.",
        "The chart cannot be fetched at the moment.",
        "Try again in some minutes; if it stays, tell the vendor's support.",
        EXIT_NOT_YET,
    ),
    Rule(
        r"invalid reference: invalid registry|missing repository",
        "registry-name-wrong",
        "{registry} is not the name of a registry.",
        "helm wants a host name, with a port where needed.",
        "Correct the registry.",
    ),
    Rule(
        r"repository name not known|name unknown|NAME_UNKNOWN",
        "chart-path-wrong",
        "The registry has no chart {chart}.",
        "The path of the chart is wrong, or the token is not for it.",
        "Compare the chart's address with the portal's command.",
    ),
    Rule(
        r"failed to perform \"FetchReference\"[^\n]*not found|MANIFEST_UNKNOWN|manifest unknown"
        r"|chart [^\n]*version [^\n]*not found|\d: not found",
        "chart-not-found",
        "The registry has no version {version} of {chart}.",
        "The version or the path of the chart is wrong.",
        "Compare both with the portal's command.",
    ),
    Rule(
        r"improper constraint|invalid semantic version|invalid_reference|invalid reference",
        "chart-version-wrong",
        "{version} is not a chart version.",
        "A version looks like 16.1.0.",
        "Copy it from the portal's command.",
    ),
    Rule(
        r"repo [\w.-]+ not found|no repo named|path \"[^\"]*\" not found|non-absolute URLs should be in form",
        "chart-not-oci",
        "{chart} is not the address of a chart in a registry.",
        "helm took it for a repository or a directory of this host.",
        "Give the full address: oci://HOST/PATH/CHART.",
    ),
    Rule(
        r"can't read CA file|can't create TLS config|failed to append certificates",
        "ca-file-missing",
        "The CA file {ca_file} cannot be used.",
        "Without it the registry's certificate cannot be checked.",
        "Check the path; the file must hold a certificate in PEM form.",
    ),
)

_RELEASE: tuple[Rule, ...] = (
    Rule(
        r"another operation \(install/upgrade/rollback\) is in progress",
        "release-pending",
        "The release {release} is held by another operation.",
        "A helm is at work on it, or one was interrupted and left it pending.",
        "Look at the release; when no helm is running any more, roll it back (first install: uninstall it).",
        EXIT_NOT_YET,
    ),
    Rule(
        r"context canceled|signal: terminated|received signal|SIGTERM",
        "helm-cancelled",
        "helm was told to stop.",
        "It marked the release {release} as failed; the earlier pods go on running.",
        "Upgrade again when ready.",
    ),
    Rule(
        r"values don't meet the specifications of the schema",
        "values-schema",
        "The values do not fit what the chart expects.",
        "Nothing was changed.",
        "Correct the values named below, or download values.yml again.",
    ),
    Rule(
        r"failed to parse -|error converting YAML to JSON|cannot unmarshal yaml",
        "values-not-yaml",
        "The values file is not a YAML mapping.",
        "Nothing was changed.",
        "Download values.yml again; below is where helm stumbled.",
    ),
    Rule(
        r"execution error at \([^)]*\): ",
        "values-missing",
        "The chart asks for a value that is not given.",
        "Nothing was changed.",
        "Add the value named below to the values file.",
    ),
    Rule(
        r"template: |parse error at|YAML parse error on|nil pointer evaluating",
        "chart-template",
        "The chart cannot be rendered with these values.",
        "A value has an unexpected form, or chart and helm do not fit. Nothing was changed.",
        "Compare the values with the place named below; else show it to the vendor's support.",
    ),
    Rule(
        r"namespaces \"(?P<missing>[\w.-]+)\" not found",
        "namespace-missing",
        "The namespace {missing} does not exist.",
        "The portal's command does not create it. Nothing was installed.",
        "Let the wizard create it, or have it created, then try again.",
    ),
    Rule(
        r"release name is invalid|invalid release name",
        "release-name-wrong",
        "{release} cannot be the name of a release.",
        "Names have lower-case letters, digits and dashes, at most 53 characters.",
        "Correct the release name.",
    ),
    Rule(
        r"has no deployed releases",
        "release-never-deployed",
        "The release {release} exists but was never deployed.",
        "helm has nothing to upgrade from.",
        "Uninstall it, then install it again.",
        EXIT_NOT_YET,
    ),
    Rule(
        r"release has no (?P<revision>\d+) version|release: not found|no revision for release",
        "release-not-found",
        "There is no such release or revision of {release} in namespace {namespace}.",
        "It was never installed there, or is already gone.",
        "Check release name, namespace and context.",
    ),
    Rule(
        r"cannot be imported into the current release|invalid ownership metadata|exists and cannot be",
        "release-foreign-objects",
        "Objects that the chart wants to create are there already and belong to something else.",
        "helm does not take over what it did not make.",
        "Check the release name and namespace; the objects are named below.",
    ),
    Rule(
        r"conflict occurred while applying|Apply failed with \d+ conflict",
        "release-conflict",
        "Somebody else manages a part of what helm wants to set.",
        "Another tool changed objects of the release {release}.",
        "Find out which (it is named below) and stop it from doing so, then upgrade again.",
        EXIT_NOT_YET,
    ),
    Rule(
        r"no matches for kind|ensure CRDs are installed",
        "cluster-kind-missing",
        "The cluster does not know a kind of object the chart uses.",
        "The cluster is too old or too new for this chart, or lacks an extension.",
        "Show the text below to the vendor's support.",
    ),
    Rule(
        r"requires kubeVersion|chart requires",
        "cluster-version",
        "The chart does not support this version of Kubernetes.",
        "Nothing was changed.",
        "Choose a chart version for it, or ask the vendor's support.",
    ),
    Rule(
        r"context deadline exceeded|timed out waiting for the condition|resource \S+ not ready",
        "pods-not-ready",
        "The pods of {release} were not ready within {timeout} seconds.",
        "helm marked the release as failed; the pods may still come up.",
        "Look at the reasons of the pods; when they are mended, upgrade again.",
    ),
    Rule(
        r"pre-upgrade hooks failed|pre-install hooks failed|post-\w+ hooks failed|job failed|BackoffLimitExceeded",
        "hook-failed",
        "A job of the chart failed.",
        "helm marked the release {release} as failed.",
        "Look at the job's log; when it is mended, upgrade again.",
    ),
    Rule(
        r"unknown (?:shorthand )?flag",
        "helm-flag-unknown",
        "This helm does not know an option of the command.",
        "It is too old, or too new.",
        "Use helm 3.8 or later, or helm 4.",
    ),
)


def explain(
    text: str, *, facts: Mapping[str, str] | None = None, secrets: Iterable[str] = (), code: int | None = None
) -> Problem:
    """The Problem that helm's stderr tells of. `secrets` are spellings that are masked; `code` is helm's exit code."""
    whole = redact(text, secrets).strip()
    text = _examined(whole)
    known = _Facts(facts or {})
    unreachable = re.search(r"kubernetes cluster unreachable", text, re.IGNORECASE) is not None
    of_registry = not unreachable and _speaks_of_registry(text, known["registry"])
    rules: list[Rule] = []
    if unreachable:
        rules += _CLUSTER
    rules += _FORBIDDEN
    rules += _about("registry" if of_registry else "cluster", known)
    if of_registry:
        rules += [rule for rule in _RELEASE if rule.code == "namespace-missing"]
    rules += _REGISTRY if of_registry else [*_RELEASE, *_CLUSTER[:2], *_CLUSTER[-1:]]
    rules += [*_RELEASE, *_REGISTRY]
    for rule in rules:
        found = re.search(rule.pattern, text)
        if found:
            known.update({name: value for name, value in found.groupdict().items() if value})
            return _problem(rule, known, whole)
    if unreachable:
        return _problem(_UNREACHABLE, known, whole)
    return _unknown(whole, code)


def _examined(text: str) -> str:
    """The last lines, very long ones without their middle: the patterns take more than linear time on hostile text."""
    lines = text[-_EXAMINED:].splitlines()
    return "\n".join(line if len(line) <= _LINE else f"{line[: _LINE // 2]} … {line[-_LINE // 2 :]}" for line in lines)


def redact(text: str, secrets: Iterable[str]) -> str:
    """`text` with every spelling of a secret masked, longest first."""
    for spelling in sorted(secrets, key=len, reverse=True):
        text = text.replace(spelling, MASK)
    return text


_UNREACHABLE = Rule(
    "",
    "cluster-unreachable",
    "The Kubernetes API of context {context} cannot be reached.",
    "helm could not look at the release.",
    "Check with `kubectl --context {context} get ns`; helm's text is below.",
    EXIT_NOT_YET,
)


class _Facts(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return ""


def _speaks_of_registry(text: str, registry: str) -> bool:
    marks = (
        "FetchReference",
        "authenticating to",
        "/v2/",
        "missing registry client",
        *((registry,) if registry else ()),
    )
    return any(mark in text for mark in marks)


def _about(subject: str, known: _Facts) -> list[Rule]:
    """The network rules, said of the registry or the cluster."""
    if subject == "registry":
        name = f"the registry {known['registry']}"
    else:
        name = f"the Kubernetes API of context {known['context']}" if known["context"] else "the Kubernetes API"
    known["subject"], known["subject_lower"] = name[0].upper() + name[1:], name
    return [
        Rule(rule.pattern, f"{subject}-{rule.code}", rule.what, rule.means, rule.todo, rule.exit_code)
        for rule in _NETWORK
    ]


def _problem(rule: Rule, known: _Facts, text: str) -> Problem:
    what, means, todo = (" ".join(part.format_map(known).split()) for part in (rule.what, rule.means, rule.todo))
    return Problem(rule.code, what, means=means, todo=todo, detail=text[-_DETAIL_LIMIT:], exit_code=rule.exit_code)


def _unknown(text: str, code: int | None) -> Problem:
    if code is not None and code < 0:
        return Problem(
            "helm-killed",
            f"helm was ended by signal {-code}.",
            means="It could not clean up: it may have left the release pending, half way between two states.",
            todo="Try again: the plan then shows what was left and the way out of it.",
            detail=text[-_DETAIL_LIMIT:],
            exit_code=EXIT_BAD,
        )
    ended = "helm ended with an error." if code is None else f"helm ended with exit code {code}."
    return Problem(
        "helm-failed",
        ended,
        means="The wizard does not know this text of helm's.",
        todo="Read its last line below; after mending, try again.",
        detail=text[-_DETAIL_LIMIT:],
        exit_code=EXIT_BAD,
    )
