"""The one place where text from outside is cleaned before it is drawn.

Text from Azure, helm, Kubernetes, DNS, a file or the clipboard can hold escape sequences that move the cursor, set
the window's title or write the clipboard, and characters that are not seen but change how a line reads. None of them
reaches a terminal: everything shown goes through `clean` or `one_line` first. All of it is linear in the input.
"""

from __future__ import annotations

import re

# Escape sequences (ECMA-48 section 5.3 to 5.6, 8.3). A control string (OSC, DCS, SOS, PM, APC) goes with its payload
# when it is terminated; of an unterminated one only the introducer goes, so that nobody can hide the rest of a text
# behind one. A payload never runs over another control, which is what keeps the search linear.
_ESCAPES = (
    r"(?:(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x18\x1a\x1b\x80-\x9f]*+(?:\x07|\x1b\\|\x9c)"
    r"|(?:\x1b\[|\x9b)[0-?]*+[ -/]*+[@-~]"
    r"|\x1b[ -/]*+[0-~])+"
)

_LINE_ENDS = "\r\n|[\n\r\x0b\x0c\x85\u2028\u2029]"

# What has no glyph of its own, as ranges of code points: controls but tab and newline; soft hyphen, joiners, bidi
# and other format characters (Unicode category Cf but the visible Arabic and Syriac signs); fillers and variation
# selectors; surrogates, private use and noncharacters, which every font draws in its own way or not at all.
_UNSEEN = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\ud800-\udfff\ue000-\uf8ff\ufdd0-\ufdef"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff\U000f0000-\U0010ffff"
)


def visible(text: str) -> str:
    """`text` without escape sequences and unseen characters; tabs and line ends (as `\\n`) stay."""
    if text.isascii() and text.isprintable():
        return text
    text = re.sub(_ESCAPES, "", text)
    text = re.sub(_LINE_ENDS, "\n", text)
    return re.sub(f"[{_UNSEEN}]+", "", text)


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters of `text`; a cut is marked with `…` and how many characters are not shown."""
    if len(text) <= limit:
        return text
    mark = "…"
    for _ in range(3):  # the mark takes room itself, so the number in it can gain a digit
        mark = f"… ({len(text) - max(0, limit - len(mark)):,} more)"
    if len(mark) >= limit:
        return "…"[: max(0, limit)]
    return text[: limit - len(mark)] + mark


def clean(text: str, *, keep_newlines: bool = False, limit: int = 4000) -> str:
    """Outside text as it may be drawn: no escape sequences, controls, bidi or unseen characters.

    Tabs become a space; line ends become `\\n` or, without `keep_newlines`, a space. More than `limit` characters
    are cut with a visible mark.
    """
    text = visible(text).replace("\t", " ")
    if not keep_newlines:
        text = text.replace("\n", " ")
    return shorten(text, limit)


def one_line(text: str, *, limit: int = 200) -> str:
    """`clean` text on one line, with runs of blanks as one space and none at the ends."""
    return shorten(" ".join(visible(text).split()), limit)


def count(number: int, noun: str) -> str:
    """`1 answer`, `2 answers`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
