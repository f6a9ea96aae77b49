"""Text that means harm, and what must be true of everything the program says about it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.end_to_end.harness import Answer
from wizard.output import CONTINUED

# A line like the program's own, that only a line break in outside text can bring about.
FORGED = "✓ observed  8  Mark as forged"

# What a file or a program may hold. Each is one attack, so that a failure names it.
PAYLOADS = {
    "markup": "[/x]",
    "action": "[@click=app.quit]go[/]",
    "colour": "\x1b[31mred",
    "title": "\x1b]0;owned\x07",
    "clipboard": "\x1b]52;c;cm0gLXJmIC8=\x1b\\",
    "unterminated": "\x1bP1$r",
    "c1": "\x9b2J\x85\x90",
    "bidi": "safe\u202egpj.exe\u2066\u200f",
    "nul": "a\x00b",
    "backspace": "good\x08\x08\x08\x08bad\x7f",
    "carriage-return": "bad\rgood",
    "lines": f"x\n  {FORGED}\n",
    "format": "%s%n{0}{x!r}$(id)`id`",
    "option": "--post-renderer=/bin/sh",
    "long": "x" * 900_000,
    "wide": "\U000e0041\ufeff\u200d\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
}
# All the short ones in one; what stands on a command line or in a path can hold no NUL.
ALL = "".join(text for name, text in PAYLOADS.items() if name != "long")
ARGUMENT = ALL.replace("\0", "")

# Escape, every other control but the newline, and what turns the direction of a line.
RAW = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

LONGEST = 1_000_000  # characters of narration; helm's lines are told as they come, each cut


def harmless(answer: Answer, *codes: int) -> None:
    """A foreseen end, in clean text."""
    assert answer.code in (codes or (0, 1, 2, 3)), answer.all[-3000:]
    assert "Traceback" not in answer.all, answer.all[-3000:]
    assert "does not know:" not in answer.err, answer.all[-3000:]  # an unknown error is a crash with manners
    found = RAW.search(answer.all)
    assert found is None, (found, answer.all[max(0, found.start() - 200) : found.end() + 200] if found else "")
    # In a terminal a long line is folded; the rest of it is indented further than any line of ours with a glyph.
    ours = [line for line in answer.all.splitlines() if len(line) - len(line.lstrip()) < CONTINUED]
    forged = [line for line in ours if FORGED in line and line.lstrip().startswith(FORGED[0])]
    assert not forged, answer.all[-3000:]
    assert len(answer.err) < LONGEST, len(answer.err)


def harmless_json(answer: Answer, *codes: int) -> Any:
    """The same of a JSON document, which is ASCII besides."""
    harmless(answer, *codes)
    assert answer.out.isascii()
    return json.loads(answer.out) if answer.code in (0, 1, 3) and answer.out else None


def places(document: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], bool]]:
    """Where text stands in a document: the path of each leaf, and with True that of each key."""
    if isinstance(document, dict):
        for key, value in document.items():
            yield (*at, key), True
            yield from places(value, (*at, key))
    elif isinstance(document, list):
        for index, value in enumerate(document):
            yield from places(value, (*at, index))
    else:
        yield at, False


def put(document: Any, place: tuple[Any, ...], payload: Any, *, key: bool) -> None:
    """Puts `payload` at a place, as the key or as the value."""
    for part in place[:-1]:
        document = document[part]
    if key:
        document[payload] = document.pop(place[-1])
    else:
        document[place[-1]] = payload


def rechained(header: dict[str, Any], events: list[dict[str, Any]]) -> bytes:
    """A journal whose chain is intact whatever stands in it: its forger knows how."""
    lines = [json.dumps(header).encode()]
    for event in events:
        lines.append(json.dumps({**event, "prev": hashlib.sha256(lines[-1]).hexdigest()}).encode())
    return b"\n".join(lines) + b"\n"


def read_journal(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Header and events of a journal."""
    header, *events = [json.loads(line) for line in path.read_bytes().splitlines()]
    return header, events
