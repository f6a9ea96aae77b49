"""The fields of the helm commands: versions, releases, registries, charts and durations.

Rules: Semantic Versioning 2.0.0; helm's ValidateReleaseName; the OCI distribution specification's repository names;
Go's time.ParseDuration. HELM.md says what the portal gives.
"""

from __future__ import annotations

import re

from wizard.identifiers import names
from wizard.identifiers.forgive import forgiven_name
from wizard.identifiers.host import check_host, is_ipv4
from wizard.identifiers.result import (
    FINE,
    Known,
    Parsed,
    Verdict,
    accept,
    character,
    empty,
    incomplete,
    judged,
    part,
    quoted,
    wrong,
)

_VERSION = "copy the chart version from the vendor's portal: the number after --version"
_LONGEST_TIMEOUT = 24 * 3600


def parse_chart_version(text: str, known: Known) -> Parsed:
    """One exact version, as `1.2.3`, `1.2.3-rc.1` or `1.2.3+build`."""
    given = forgiven_name(text)
    if not given:
        return empty(_VERSION)
    return judged(_check_version(given), "version", given)


def _check_version(text: str) -> Verdict:
    if re.match(r"[vV][0-9]", text):
        return Verdict("wrong", f"chart versions are written without v: {quoted(text[1:])}")
    if text.lower() in ("latest", "stable", "newest"):
        return Verdict("wrong", f"{text.lower()} names no version, and changes under you: {_VERSION}")
    if text[0] in "^~<>=*!" or re.search(r"\|\||[\s,]|\.[xX*](?:$|\.)| - ", text):
        return Verdict("wrong", f"this is a range of versions. One exact version is needed: {_VERSION}")
    for char in text:
        if char == "_":
            return Verdict("wrong", 'a version has "+" where the registry\'s tag shows "_": write it with +')
        if not (char.isascii() and char.isalnum()) and char not in "+-.":
            return Verdict("wrong", f"a version cannot have {character(char)}: {_VERSION}")
    release, plus, build = text.partition("+")
    core, dash, before = release.partition("-")
    numbers = core.split(".")
    last = not dash and not plus
    for place, number in enumerate(numbers):
        open_end = last and place == len(numbers) - 1
        if not number.isdigit() and not (number == "" and open_end and place):
            return Verdict("wrong", f"a version is three numbers with dots, such as 1.2.3: {_VERSION}")
        if len(number) > 1 and number.startswith("0"):
            return Verdict("wrong", f"write {number.lstrip('0') or '0'} instead of {quoted(number)}: no leading zeros")
    if len(numbers) > 3:
        return Verdict("wrong", f"a version has three numbers; this has {len(numbers)}: {_VERSION}")
    if len(numbers) < 3 or not numbers[-1]:
        if not last:
            return Verdict("wrong", f"a version is three numbers with dots, such as 1.2.3: {_VERSION}")
        have = len([number for number in numbers if number])
        return Verdict("not complete", f"add to the version: three numbers with dots, {have} so far")
    return _check_labels(before, present=bool(dash), open_end=not plus, numeric=True) or (
        _check_labels(build, present=bool(plus), open_end=True, numeric=False) or FINE
    )


def _check_labels(text: str, *, present: bool, open_end: bool, numeric: bool) -> Verdict | None:
    """What is wrong with the labels after `-` (numbers without leading zeros) or after `+`; None when nothing is."""
    if not present:
        return None
    labels = text.split(".")
    for place, label in enumerate(labels):
        may_go_on = open_end and place == len(labels) - 1
        unfinished: Verdict | None = None
        if not label or "+" in label:
            unfinished = Verdict("not complete", "add the label after the last mark of the version")
        elif numeric and label.isdigit() and len(label) > 1 and label.startswith("0"):
            unfinished = Verdict("not complete", f"{quoted(label)} has a leading zero: go on with a letter, or drop it")
        if unfinished and may_go_on and "+" not in label:
            return unfinished
        if unfinished:
            return Verdict("wrong", f"the label {quoted(label)} cannot stand in a version: {_VERSION}")
    return None


def parse_release_name(text: str, known: Known) -> Parsed:
    """The name of a helm release."""
    given = forgiven_name(text)
    if not given:
        return empty("copy the release name from the portal's command: the word after --install")
    return judged(names.check_release_name(given), "release", given)


def parse_namespace(text: str, known: Known) -> Parsed:
    """A Kubernetes namespace."""
    given = forgiven_name(text)
    if not given:
        return empty("enter the namespace that the release is in, as kubectl get namespaces shows it")
    if "." in given:
        return wrong("a namespace has no dots: it is one word, not a host name", part("namespace", given, "bad"))
    return judged(names.NAMESPACE.check(given), "namespace", given)


def parse_item_name(text: str, known: Known) -> Parsed:
    """The short name by which the wizard shows an item."""
    given = forgiven_name(text)
    if not given:
        return empty("enter a short name, such as weu or dpe-01")
    return judged(names.ITEM.check(given), "name", given)


def check_host_and_port(text: str) -> Verdict:
    """A verdict on `host[:port]`; a single word or an address is fine with a port."""
    host, colon, port = text.partition(":")
    if not host:
        return Verdict("wrong", "the host before the port is not there")
    verdict = check_host(host.lower())
    if (colon and verdict.state != "wrong") or is_ipv4(host):
        verdict = _check_word(host)
    if verdict.state == "wrong" or not colon:
        return verdict
    if not port:
        return verdict if verdict.state == "not complete" else Verdict("not complete", "add the port after the colon")
    if not (port.isascii() and port.isdigit()) or not 1 <= int(port[:6]) <= 65535:
        return Verdict("wrong", f"a port is a number from 1 to 65535, not {quoted(port)}")
    return verdict


def _check_word(host: str) -> Verdict:
    """A host that need not be fully qualified, because a port makes it sure to be whole."""
    if is_ipv4(host) and any(int(number) > 255 for number in host.split(".")):
        return Verdict("wrong", f"{quoted(host)} is no IP address: a number is over 255")
    if host.endswith(("-", ".")):
        return Verdict("wrong", f"a host cannot end with {character(host[-1])}")
    return FINE


def parse_registry(text: str, known: Known) -> Parsed:
    """A registry as `host` or `host:port`. A scheme and a path are dropped: helm 4 refuses them (HELM.md)."""
    given = forgiven_name(text)
    if not given:
        return empty("copy the registry from the portal's command: the word after registry login")
    scheme = re.match(r"(?:https?|oci)://", given, re.IGNORECASE)
    rest = given[scheme.end() :] if scheme else given
    host, _, path = rest.partition("/")
    if "@" in host:
        return wrong(
            "leave out the login before the @: user and token have their own fields", part("registry", "", "bad")
        )
    if not scheme and "://" in given:
        return wrong("a registry is a host name, such as registry.example.com", part("registry", given, "bad"))
    if scheme and not host:
        return incomplete(part("registry", given, "missing"), next="add the host of the registry")
    verdict = check_host_and_port(host)
    dropped = [quoted(word) for word in (scheme.group(0) if scheme else "", f"/{path}" if path else "") if word]
    note = f"without {' and '.join(dropped)}: helm wants the host alone" if dropped else ""
    return judged(verdict, "registry", host.lower(), note)


def parse_registry_user(text: str, known: Known) -> Parsed:
    """The user of `helm registry login`."""
    given = forgiven_name(text)
    if not given:
        return empty("copy the user from the portal's command: the word after -u")
    for char in given:
        if char.isspace() or char == ":" or not char.isprintable():
            return wrong(
                f"a registry user cannot have {character(char)}: copy the word after -u", part("user", given, "bad")
            )
    if len(given) > 255:
        return wrong(f"a registry user has at most 255 characters; this has {len(given)}", part("user", given, "bad"))
    return accept(given, part("user", given, "ok"))


def parse_chart_ref(text: str, known: Known) -> Parsed:
    """A chart in a registry: `oci://host[:port]/path`, without a version."""
    given = forgiven_name(text)
    where = "copy the chart from the portal's command: the word that begins with oci://"
    if not given:
        return empty(where)
    bad = part("registry", given, "bad")
    if "oci://".startswith(given.lower()):
        rest = "oci://"[len(given) :]
        return incomplete(part("registry", "", "missing"), next=f"add {rest}HOST/PATH", completion=rest)
    if not given.lower().startswith("oci://"):
        kind = "this is a web address" if "://" in given else "a chart begins with oci://"
        return wrong(f"{kind}: {where}", bad)
    host, slash, path = given[6:].partition("/")
    if "@" in host:
        return wrong(
            "leave out the login before the @: user and token have their own fields", part("registry", "", "bad")
        )
    verdict = check_host_and_port(host) if host else Verdict("not complete", "add the host of the registry")
    if verdict.state == "wrong" or (slash and verdict.state == "not complete"):
        return wrong(verdict.message, bad)
    if not slash:
        return incomplete(
            part("registry", host, "missing"), part("chart", "", "missing"), next="add / and the chart's path"
        )
    found = part("registry", host, "ok")
    verdict = _check_repository(path)
    if verdict.state == "wrong":
        return wrong(verdict.message, found, part("chart", path, "bad"))
    if verdict.state == "not complete":
        return incomplete(found, part("chart", path, "missing"), next=verdict.message)
    return accept(f"oci://{host.lower()}/{path}", found, part("chart", path, "ok"))


def _check_repository(path: str) -> Verdict:
    if not path:
        return Verdict("not complete", "add the path of the chart")
    if "@" in path or ":" in path:
        return Verdict("wrong", "leave out the version after the chart: it has its own field")
    if path != path.lower():
        return Verdict("wrong", f"the path of a chart is in lower case: {quoted(path.lower())}")
    segments = path.split("/")
    for place, segment in enumerate(segments):
        open_end = place == len(segments) - 1
        if re.fullmatch(r"[a-z0-9]+(?:(?:[.]|__?|-+)[a-z0-9]+)*", segment):
            continue
        if open_end and re.fullmatch(r"(?:[a-z0-9]+(?:(?:[.]|__?|-+)[a-z0-9]+)*(?:[.]|__?|-+))?", segment):
            return Verdict("not complete", "add the rest of the chart's path: it ends with a letter or a digit")
        return Verdict("wrong", f"{quoted(segment)} cannot stand in the path of a chart: small letters, digits, . _ -")
    return FINE


def parse_duration(text: str, known: Known) -> Parsed:
    """How long helm may take, such as `10m`, `90s` or `1h30m`; normalised to the largest whole unit, at most 24 h."""
    given = "".join(forgiven_name(text).lower().split())
    if not given:
        return empty("enter how long helm may take, such as 10m")
    bad = part("duration", given, "bad")
    found = re.fullmatch(r"(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,6})s)?([0-9]{1,6})?", given)
    if not found:
        return wrong("write how long as a number with h, m or s, such as 10m", bad)
    if found.group(4):
        return incomplete(part("duration", given, "missing"), next="add the unit: s, m or h")
    hours, minutes, seconds = (int(number or 0) for number in found.groups()[:3])
    total = hours * 3600 + minutes * 60 + seconds
    if not 1 <= total <= _LONGEST_TIMEOUT:
        return wrong("helm may take between 1s and 24h, such as 10m", bad)
    normalized = next(
        f"{total // unit}{mark}" for unit, mark in ((3600, "h"), (60, "m"), (1, "s")) if total % unit == 0
    )
    return accept(normalized, part("duration", normalized, "ok"))


def duration_seconds(normalized: str) -> int:
    """The seconds of a duration that was normalised by `parse`."""
    return int(normalized[:-1]) * {"h": 3600, "m": 60, "s": 1}[normalized[-1]]
