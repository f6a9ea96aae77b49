"""A report as text, for a terminal or a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wizard.output import glyph
from wizard.report_parts import (
    LIMIT,
    Box,
    Document,
    Part,
    about,
    alarms,
    connections,
    counts,
    elsewhere,
    live,
    now,
    setting,
    sign_of,
    steps,
    timeline,
    verifying,
)
from wizard.text import clean

LABEL = 14  # cells of a row's label
WIDEST = 32  # cells of a table's column


def as_text(document: Document) -> str:
    """The report for a reader: every fact of the document, a line each."""
    verdict = document["verdict"]
    mark = "SANDBOX   " if document["sandbox"] else ""
    lines = [_line("", f"{mark}{document['setup']}: {verdict['text']}", verdict["word"]), ""]
    lines += _rows("", about(document))
    lines += [_line("  ", text, "", state) for state, text in counts(document)]
    lines += _section(alarms(document))
    lines += ["", "Who connects to what", *_connections("  ", connections(document))]
    for part in (
        steps(document),
        elsewhere(document),
        *setting(document),
        now(document),
        live(document),
        timeline(document),
        verifying(document),
    ):
        lines += _section(part) if part else ()
    return "\n".join(lines)


def live_text(found: Document) -> str:
    """The `live` part of a report alone."""
    part = live({"live": found})
    return "\n".join(_section(part)).strip() if part else ""


def _section(part: Part) -> Iterator[str]:
    yield ""
    yield part.title
    yield from _inside("  ", part)


def _inside(indent: str, part: Part) -> Iterator[str]:
    yield from _rows(indent, part.rows)
    for one in part.parts:
        yield _line(indent, one.title, one.state)
        yield from _inside(f"{indent}    ", one)
    if part.table:
        yield from _table(indent, (part.columns, *part.table))
    if part.empty and not (part.rows or part.parts or part.table):
        yield f"{indent}{part.empty}"


def _rows(indent: str, rows: tuple[tuple[str, str], ...]) -> Iterator[str]:
    for label, value in rows:
        yield f"{indent}{_cell(label):<{LABEL}} {_cell(value)}".rstrip()


def _line(indent: str, text: str, word: str, sign: str = "") -> str:
    """A line with a state's glyph and word. A line break inside a text must not make a line that looks like ours."""
    state = sign or word
    lead = f"{glyph(sign_of(state))} " if state else ""
    return f"{indent}{lead}{f'{_cell(word)}  ' if word else ''}{_cell(text)}"


def _cell(text: str) -> str:
    return clean(text, limit=LIMIT)


def _table(indent: str, rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """The rows with their cells under each other; one that is wider than usual does not widen the others."""
    table = [[_cell(cell) for cell in row] for row in rows]
    widths = [min(WIDEST, max(map(len, column))) for column in zip(*table, strict=True)]
    for row in table:
        yield indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _connections(indent: str, boxes: Sequence[Box]) -> Iterator[str]:
    for box in boxes:
        yield indent + _cell(f"{box.kind} {box.name}")
        yield from _rows(f"{indent}    ", box.rows)
        yield from (_line(f"{indent}    ", where, status) for where, status in box.states)
        yield from _connections(f"{indent}    ", box.boxes)
