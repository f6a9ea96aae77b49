"""GUIDs, as Azure writes subscriptions and tenants: 8-4-4-4-12 hexadecimal digits."""

from __future__ import annotations

import re

from wizard.identifiers.result import FINE, Verdict, character, quoted

NIL = "00000000-0000-0000-0000-000000000000"
SAMPLE = "11111111-2222-3333-4444-555555555555"
"""The one in the vendor's document; a person who pastes it has not looked up their own."""

_PATTERN = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_DASHES = (8, 13, 18, 23)
_LENGTH = 36
_LOOKALIKES = {"o": "the letter O, where a digit 0 may belong", "l": "the letter l, where a digit 1 may belong"}


def is_guid(text: str) -> bool:
    """Whether `text` is a whole GUID, in either case."""
    return len(text) == _LENGTH and re.fullmatch(_PATTERN, text.lower()) is not None


def resembles_guid(text: str) -> bool:
    """Whether `text` was meant to be a whole GUID, though it may have a character too many, too few or wrong."""
    if not 28 <= len(text) <= 42 or not text.replace("-", "").isalnum():
        return False
    hexadecimal = sum(char in "0123456789abcdefABCDEF-" for char in text)
    return hexadecimal >= len(text) - 2 and (text.count("-") >= 3 or "-" not in text)


def check_guid(text: str, what: str) -> Verdict:
    """A verdict on a GUID that may still be typed; `what` names it in messages, such as `subscription ID`."""
    if is_guid(text):
        if text.lower() == NIL:
            return Verdict("wrong", f"the {what} is all zeros: a stand-in. Copy your own {what} from the Azure portal")
        return FINE
    for place, char in enumerate(text.lower()):
        if char not in "0123456789abcdef-":
            found = _LOOKALIKES.get(char, character(text[place]))
            return Verdict(
                "wrong",
                f"character {place + 1} of the {what} is {found}; it has only 0-9, a-f and dashes. Copy it again",
            )
    if len(text) == _LENGTH - 4 and "-" not in text:
        dashed = "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
        return Verdict("wrong", f"the {what} lacks its dashes: write {dashed.lower()}")
    for place, char in enumerate(text[:_LENGTH]):
        if (char == "-") != (place in _DASHES):
            fault = (
                f"has a dash as character {place + 1}" if char == "-" else f"lacks the dash as character {place + 1}"
            )
            return Verdict("wrong", f"the {what} {fault}: its groups have 8-4-4-4-12 digits. Copy it again")
    if len(text) > _LENGTH:
        return Verdict(
            "wrong", f"the {what} has {len(text)} characters, not {_LENGTH}: {quoted(text[_LENGTH:])} is extra"
        )
    missing = _LENGTH - len(text)
    return Verdict("not complete", f"add the last {missing} of {_LENGTH} characters of the {what}")
