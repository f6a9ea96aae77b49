"""What is forgiven around a value, because pasting brings it along and it never carries meaning.

Around: blanks, newlines, quotes of any language, backticks, angle brackets, a trailing comma or semicolon. Anywhere:
characters without a glyph. Inside: a line break, but only where joining cannot make another value of it.
"""

from __future__ import annotations

from wizard.text import visible

LONGEST = 4096
"""More characters than any field takes, a whole portal URL included."""

# Quotes of any language, and the unseen characters that a copy from a web page or a file brings along.
_AROUND = "\"'`´«»‹›“”„‟‘’‚\ufeff\u200b\u200c\u200d\u200e\u200f\u2060"


def unwrap(text: str) -> str:
    """`text` without what surrounds a value: blanks, quotes in pairs or left over at one end, angle brackets."""
    start, end = 0, len(text)
    while start < end:
        if text[start].isspace() or text[start] in _AROUND:
            start += 1
        elif text[end - 1].isspace() or text[end - 1] in _AROUND or text[end - 1] in ",;":
            end -= 1
        elif text[start] == "<" and text[end - 1] == ">":
            start, end = start + 1, end - 1
        else:
            break
    return text[start:end]


def join_lines(text: str) -> str:
    """`text` with its line breaks taken out, together with the blanks at them. For IDs, which wrap in mails."""
    return "".join(line.strip() for line in text.split("\n"))


def forgiven_id(text: str) -> str:
    """An ID or alias as it was meant: unwrapped, unseen characters gone, wrapped lines joined."""
    return join_lines(unwrap(visible(text)))


def forgiven_name(text: str) -> str:
    """A name, host or version as it was meant. A line break stays: two lines may be two values."""
    return unwrap(visible(text))
