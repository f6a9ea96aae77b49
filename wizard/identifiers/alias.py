"""The alias of a Private Link Service: `prefix.{guid}.region.azure.privatelinkservice`.

The prefix is the service's name and may hold dots and underscores; older aliases lack the region (AZURE.md, Formats,
from Microsoft's "What is Azure Private Link service", Alias). The GUID is the one part that cannot be mistaken, so
everything is found from there.
"""

from __future__ import annotations

import re

from wizard.identifiers.guid import check_guid, is_guid, resembles_guid
from wizard.identifiers.result import Parsed, Part, accept, character, incomplete, part, quoted, wrong

_END = ("azure", "privatelinkservice")
_TAIL = ".".join(_END)
_AGAIN = "Copy the whole alias again"


def is_alias(text: str) -> bool:
    """Whether `text` ends as every alias does, or has its GUID and goes on towards that end."""
    lowered = text.lower()
    return lowered.endswith("." + _TAIL) or ("/" not in text and any(is_guid(bit) for bit in text.split(".")[1:]))


def parse_alias(text: str) -> Parsed:
    """An alias, forgiven already and not empty. The prefix keeps its case, the rest is normalised to lower case."""
    for char in text:
        if not (char.isascii() and char.isalnum()) and char not in "-._":
            return wrong(f"an alias cannot have {character(char)}. {_AGAIN}", *_missing(part("name", text, "bad")))
    bits = text.split(".")
    place = next((i for i in range(len(bits) - 1, 0, -1) if is_guid(bits[i])), None)
    if place is None:
        return _before_guid(text, bits)
    name, guid = ".".join(bits[:place]), bits[place].lower()
    if not _is_name(name):
        return wrong(
            f"the name before the GUID cannot be {quoted(name)}. {_AGAIN}", *_missing(part("name", name, "bad"))
        )
    verdict = check_guid(guid, "GUID")
    parts = (part("name", name, "ok"), part("GUID", guid, "bad" if verdict.state == "wrong" else "ok"))
    if verdict.state == "wrong":
        return wrong("the GUID of this alias is all zeros: a stand-in. " + _AGAIN, *_missing(*parts))
    return _after_guid(name, guid, [bit.lower() for bit in bits[place + 1 :]], parts)


def _is_name(text: str) -> bool:
    return bool(text) and ".." not in text and not text.startswith((".", "-")) and not text.endswith((".", "-"))


def _missing(*parts: Part) -> tuple[Part, ...]:
    """`parts`, and those of an alias that are not there yet."""
    names = ("name", "GUID", "region", "end")
    return parts + tuple(part(name, "", "missing") for name in names[len(parts) :])


def _before_guid(text: str, bits: list[str]) -> Parsed:
    """No whole GUID so far: it is still being typed, or it is broken."""
    if text.startswith((".", "-")) or ".." in text:
        return wrong(
            f"an alias begins with a name and has no empty part. {_AGAIN}", *_missing(part("name", text, "bad"))
        )
    for place, bit in enumerate(bits[:-1]):
        if place and resembles_guid(bit):
            message = check_guid(bit, "GUID").message
            parts = (part("name", ".".join(bits[:place]), "ok"), part("GUID", bit, "bad"))
            return wrong(
                f"the GUID has {len(bit)} of 36 characters. {_AGAIN}" if len(bit) < 36 else message, *_missing(*parts)
            )
    if len(bits) > 2 and text.lower().endswith("." + _TAIL):
        parts = (part("name", ".".join(bits[:-2]), "ok"), part("GUID", "", "bad"))
        return wrong(f"the GUID between the name and the region is not there. {_AGAIN}", *_missing(*parts))
    last = bits[-1]
    if len(bits) == 1:
        return incomplete(
            *_missing(part("name", text, "missing")), next="add .GUID.region.azure.privatelinkservice after the name"
        )
    name = part("name", ".".join(bits[:-1]), "ok")
    if last == "":
        return incomplete(*_missing(name), next="add the GUID, then .region.azure.privatelinkservice")
    verdict = check_guid(last, "GUID")
    if verdict.state == "not complete":
        return incomplete(*_missing(name, part("GUID", last, "missing")), next=verdict.message)
    if resembles_guid(last):
        return wrong(f"{verdict.message}", *_missing(name, part("GUID", last, "bad")))
    return incomplete(*_missing(part("name", text, "missing")), next="add .GUID.region.azure.privatelinkservice")


def _after_guid(name: str, guid: str, rest: list[str], parts: tuple[Part, ...]) -> Parsed:
    """Everything before is right; `rest` is what stands after the GUID, in lower case."""
    if tuple(rest) == _END:
        return accept(
            f"{name}.{guid}.{_TAIL}", *parts, part("end", _TAIL, "ok"), note=f"alias of service {quoted(name)}"
        )
    if len(rest) == 3 and tuple(rest[1:]) == _END and _is_region(rest[0]):
        return accept(
            f"{name}.{guid}.{rest[0]}.{_TAIL}",
            *parts,
            part("region", rest[0], "ok"),
            part("end", _TAIL, "ok"),
            note=f"alias of service {quoted(name)} in {rest[0]}",
        )
    if not rest:
        return incomplete(*_missing(*parts), next="add .region.azure.privatelinkservice")
    if len(rest) == 1:
        return _region_begun(rest[0], parts)
    if rest[0] == "azure" and _END[1].startswith(rest[1]) and len(rest) == 2:
        return _end_begun("azure." + rest[1], parts)
    if not _is_region(rest[0]):
        return wrong(
            f"{quoted(rest[0])} is no region of Azure. {_AGAIN}", *_missing(*parts, part("region", rest[0], "bad"))
        )
    end = ".".join(rest[1:])
    parts = (*parts, part("region", rest[0], "ok"))
    if _TAIL.startswith(end):
        return _end_begun(end, parts)
    return wrong(f"an alias ends with .{_TAIL}, not with {quoted(end)}. {_AGAIN}", *parts, part("end", end, "bad"))


def _region_begun(text: str, parts: tuple[Part, ...]) -> Parsed:
    if text and not _is_region(text) and not _is_region(text + "x"):
        return wrong(f"{quoted(text)} is no region of Azure. {_AGAIN}", *_missing(*parts, part("region", text, "bad")))
    if len(text) < 2 or _END[0].startswith(text):
        return incomplete(*_missing(*parts, part("region", text, "missing")), next=f"add the region, then .{_TAIL}")
    # A region may be longer than typed so far, so the tail is the next thing but not certain.
    return incomplete(*_missing(*parts, part("region", text, "ok")), next=f"add .{_TAIL}")


def _end_begun(text: str, parts: tuple[Part, ...]) -> Parsed:
    rest = _TAIL[len(text) :]
    return incomplete(*parts, part("end", text, "missing"), next=f"add {rest}", completion=rest)


def _is_region(text: str) -> bool:
    return re.fullmatch("[a-z][a-z0-9]{1,39}", text) is not None
