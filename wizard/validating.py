"""`validate KIND VALUE`: one value, part by part; for scripts and editors. Stays light (DESIGN.md section 8)."""

from __future__ import annotations

import json
import sys
from typing import Any

from state.problem import EXIT_BAD, EXIT_OK, Problem
from wizard.identifiers import KINDS, Parsed, parse
from wizard.output import data, data_json, glyph
from wizard.text import one_line


def run(kind: str, value: str, output: str) -> int:
    """Prints what is right, wrong or missing. Exit code 1 when a value is not right."""
    if kind not in KINDS:
        raise Problem("unknown-kind", f"There is no kind {one_line(kind)}.", todo=f"Kinds are {', '.join(KINDS)}.")
    if value == "-":
        return _lines(kind)
    parsed = parse(kind, value)
    if output == "json":
        data_json("validate", {"kind": kind, **as_plain(parsed)})
    else:
        data(as_text(parsed))
    return EXIT_OK if parsed.ok else EXIT_BAD


def _lines(kind: str) -> int:
    """One value per line in, one bare object per line out; an empty line is an empty value."""
    code = EXIT_OK
    # Split on \n alone: a carriage return or a form feed belongs to the value.
    for raw in sys.stdin.buffer:
        text = raw.decode("utf-8", "replace").removesuffix("\n")
        parsed = parse(kind, text)
        sys.stdout.write(json.dumps(as_plain(parsed)).replace("\x7f", "\\u007f") + "\n")
        if not parsed.ok:
            code = EXIT_BAD
    sys.stdout.flush()
    return code


def as_plain(parsed: Parsed) -> dict[str, Any]:
    """The object of the contract (DESIGN.md section 5)."""
    return {
        "value": parsed.value,
        "ok": parsed.ok,
        "normalized": parsed.normalized,
        "parts": [{"name": part.name, "value": part.value, "state": part.state} for part in parsed.parts],
        "message": parsed.message,
    }


_WORDS = {"ok": "ok", "bad": "wrong", "missing": "not yet"}


def as_text(parsed: Parsed) -> str:
    """One line per part, then what it is or what to do."""
    parts = "  ".join(
        f"{glyph(_WORDS[part.state])} {part.name}" + (f" {one_line(part.value)}" if part.value else "")
        for part in parsed.parts
    )
    if parsed.ok:
        return "\n".join(line for line in (f"{glyph('ok')} ok  {parsed.normalized}", parts, parsed.note) if line)
    sign = glyph("not yet" if parsed.state == "not complete" else "wrong")
    message = (parsed.message or "").removeprefix(f"{parsed.state}: ")
    lines = (f"{sign} {parsed.state}  {message}", parts)
    return "\n".join(line for line in lines if line)
