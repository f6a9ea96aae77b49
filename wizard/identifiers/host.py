"""Host names, and what stands where a host name belongs: addresses, URLs, wildcards."""

from __future__ import annotations

import re

from wizard.identifiers.forgive import forgiven_name
from wizard.identifiers.result import (
    FINE,
    Known,
    Parsed,
    Verdict,
    accept,
    character,
    empty,
    incomplete,
    part,
    quoted,
    wrong,
)

_WHERE = "copy the host name from the vendor's portal, such as service.example.com"


def is_ipv4(text: str) -> bool:
    """Whether `text` has the form of an IPv4 address, whatever its numbers."""
    return re.fullmatch(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}", text) is not None


def check_host(text: str) -> Verdict:
    """A verdict on a fully qualified host name in lower case (RFC 952, RFC 1123 section 2.1), still being typed."""
    if is_ipv4(text):
        return Verdict("wrong", "this is an IP address; a host name belongs here, and DNS leads it to the address")
    for char in text:
        if char == "_":
            return Verdict("wrong", 'a host name cannot have "_": copy the name again, it may have a dash there')
        if not (char.isascii() and char.isalnum()) and char not in "-.":
            return Verdict("wrong", f"a host name cannot have {character(char)}: it has letters a-z, digits, - and .")
    if len(text) > 253:
        return Verdict("wrong", f"a host name has at most 253 characters; this has {len(text)}")
    labels = text.split(".")
    for place, label in enumerate(labels):
        fault = _label_fault(label, last=place == len(labels) - 1)
        if fault:
            return Verdict("wrong", fault)
    if labels[-1] == "" and len(labels) > 2:
        return Verdict("not complete", "leave out the dot at the end, or type on after it")
    if labels[-1].endswith("-"):
        return Verdict("not complete", "type on after the dash; a host name does not end with one")
    if len(labels) == 1 or labels[-1] == "" or labels[-1].isdigit():
        return Verdict("not complete", "add the domain, such as .example.com: the whole name is needed")
    return FINE


def _label_fault(label: str, *, last: bool) -> str:
    if not label and not last:
        return "a host name cannot begin with a dot or have two dots in a row"
    if len(label) > 63:
        return f"a part between two dots has at most 63 characters; {quoted(label)} has {len(label)}"
    if label.startswith("-"):
        return f"a part between two dots cannot begin with a dash: {quoted(label)}"
    if label.endswith("-") and not last:
        return f"a part between two dots cannot end with a dash: {quoted(label)}"
    return ""


def parse_hostname(text: str, known: Known) -> Parsed:
    """A fully qualified host name, normalised to lower case."""
    given = _join_at_dots(forgiven_name(text))
    if not given:
        return empty(_WHERE)
    bad = part("host", given, "bad")
    if "\n" in given:
        return wrong("these are several lines: enter one host name", bad)
    if "://" in given or "/" in given:
        host = re.sub(r"^[A-Za-z][A-Za-z0-9+.-]*://", "", given).split("/")[0]
        host = host.rpartition("@")[2].partition(":")[0]
        return wrong(f"this is a URL. Enter the host name alone: {quoted(host)}", bad)
    if given.startswith("*"):
        return wrong("this is a wildcard. Enter one whole host name: a record is made for each", bad)
    if "@" in given:
        return wrong("this is an e-mail address or a login. Enter the host name alone", bad)
    if given.count(":") == 1 and given.partition(":")[2].isdigit():
        return wrong(f"leave out the port: enter {quoted(given.partition(':')[0])}", bad)
    if ":" in given:
        return wrong("this is an IP address or has a port; enter a host name alone", bad)
    host = given.lower()
    if host.startswith("privatelink."):
        return wrong(
            f"leave out privatelink.: the programs ask for {quoted(host.removeprefix('privatelink.'))}, so the record "
            "must have that name",
            bad,
        )
    verdict = check_host(host)
    if verdict.state == "wrong":
        return wrong(verdict.message, bad)
    if verdict.state == "not complete":
        return incomplete(part("host", given, "missing"), next=verdict.message)
    notes = []
    if given != host:
        notes.append("written in lower case; DNS does not tell them apart")
    if known.hosts and host not in {name.lower() for name in known.hosts}:
        notes.append("not among the host names known here")
    return accept(host, part("host", host, "ok"), note="; ".join(notes))


def _join_at_dots(text: str) -> str:
    """Join wrapped lines only where the second goes on with a dot: otherwise they may be two names."""
    return re.sub(r"[ \t]{0,80}\n\s{0,80}\.(?=\S)", ".", text)
