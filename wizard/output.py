"""The one place where the command line writes: data to stdout, narration to stderr (DESIGN.md section 5).

Everything passes through `clean` here, so nothing from outside reaches a terminal raw.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, TextIO

from state.problem import EXIT_NOT_YET, Problem
from wizard.text import clean

# Glyph and word of each state; every state is a word as well (UI.md section 2).
GLYPHS = {
    "observed": "✓",
    "ok": "✓",
    "good": "✓",
    "attested": "•",
    "reported": "◦",
    "failed": "✗",
    "bad": "✗",
    "wrong": "✗",
    "not yet": "…",
    "could not look": "?",
    "to do": "►",
    "waiting for others": "▻",
    "needs input": "►",
    "running": "»",
    "stale": "!",
    "rule": "─",
}
_ASCII = {
    "✓": "v",
    "•": "*",
    "◦": "o",
    "✗": "x",
    "…": ".",
    "►": ">",
    "▻": ")",
    "»": "&",
    "·": ".",
    "━": "=",
    "─": "-",
    "└": "'",
    "┘": "'",
    "▾": "v",
}


def data_line(text: str) -> None:
    """One line of a command's result, whatever line breaks stand in it."""
    data(clean(text))


def data(text: str) -> None:
    """One or more lines of a command's result."""
    _write(sys.stdout, _fitted(clean(text, keep_newlines=True, limit=len(text) + 1), sys.stdout))


def data_json(command: str, body: Mapping[str, Any]) -> None:
    """A command's result as JSON: `{"format": "privatelink-wizard.COMMAND/1", …}`, pure printable ASCII."""
    data_document(document_text({"format": f"privatelink-wizard.{command}/1", **body}))


def document_text(document: Mapping[str, Any]) -> str:
    """A document as JSON, pure printable ASCII."""
    return json.dumps(document, indent=2).replace("\x7f", "\\u007f")


def data_document(text: str) -> None:
    """A result that is a document for another program, as it is: its maker has cleaned what is in it."""
    _write(sys.stdout, text)


def say(text: str = "") -> None:
    """One or more lines of narration."""
    _write(sys.stderr, _fitted(clean(text, keep_newlines=True, limit=100_000), sys.stderr))


class Progress:
    """How far something is, on stderr while it goes on: a line that is written over on a terminal.

    Elsewhere a line now and then, so that a log shows that something goes on; none for what is quick.
    """

    _shown: ClassVar[bool] = False

    def __init__(self, every: float = 10.0) -> None:
        self._every, self._last = every, time.monotonic()
        self._over = sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"

    def show(self, text: str) -> None:
        """Says how far it is now."""
        at = time.monotonic()
        if at - self._last < (TERMINAL_SECONDS if self._over else self._every):
            return
        self._last = at
        if not self._over:
            say_line(text)
            return
        import shutil

        _write(sys.stderr, clean(text, limit=max(1, shutil.get_terminal_size().columns - 1)), end="")
        Progress._shown = True

    @staticmethod
    def clear() -> None:
        """Takes away what stands there."""
        if Progress._shown:
            Progress._shown = False
            with contextlib.suppress(OSError):
                sys.stderr.write("\r\x1b[K")
                sys.stderr.flush()


TERMINAL_SECONDS = 0.1  # between two drawings of a progress line: more is not seen


def say_line(text: str) -> None:
    """One line of narration: a line break in outside text must not make a line that looks like one of ours."""
    say(clean(text, limit=100_000))


def say_problem(problem: Problem) -> None:
    """What happened, what it means, what to do next, and the last lines the other program said."""
    # What only waits, for a person or for an answer, has not failed.
    sign = glyph("not yet" if problem.exit_code == EXIT_NOT_YET else "failed")
    say_line(f"{sign} {problem.what}")
    for label, text in (("it means", problem.means), ("do next", problem.todo)):
        if text:
            say_line(f"  {label:<9} {text}")
    if problem.detail:
        lines = clean(problem.detail, keep_newlines=True).strip().splitlines()
        for line in lines[-DETAIL_LINES:]:
            say(f"  {'detail':<9} {line}".rstrip())


DETAIL_LINES = 24  # the longest message of ours that is to be copied is shorter


def glyph(word: str) -> str:
    """The glyph of a state word, in ASCII where the terminal can't show more."""
    sign = GLYPHS.get(word, "·")
    return in_ascii(sign) if plain_terminal() else sign


def plain_terminal() -> bool:
    """Whether only ASCII is sure to be shown: the Linux console, or an encoding that is not UTF-8."""
    # The screens put something without an encoding in place of stderr while they run.
    encoding = (getattr(sys.stderr, "encoding", None) or getattr(sys.__stderr__, "encoding", None) or "ascii").lower()
    return os.environ.get("TERM") == "linux" or "utf" not in encoding


def in_ascii(text: str) -> str:
    """Our own glyphs in ASCII; the words beside them are unchanged."""
    return "".join(_ASCII.get(sign, sign) for sign in text)


def columns(rows: Iterable[tuple[str, ...]], *, indent: str = "") -> str:
    """Rows with their cells under each other; the last cell of a row keeps its own width."""
    table = [tuple(clean(cell) for cell in row) for row in rows]
    widths = [
        max((len(row[column]) for row in table if len(row) > column + 1), default=0)
        for column in range(max((len(row) for row in table), default=0))
    ]
    lines = []
    for row in table:
        cells = [cell.ljust(widths[column]) for column, cell in enumerate(row[:-1])]
        lines.append((indent + "  ".join((*cells, row[-1]))).rstrip())
    return "\n".join(lines)


# Where the rest of a folded line begins. No line of ours with a state's glyph is indented as far, so that a name from
# outside, folded at the right word, can't look like one.
CONTINUED = 12


def _fitted(text: str, stream: TextIO) -> str:
    """Long lines folded between words for a terminal, under their own indent; as they are for everything else."""
    if not stream.isatty():
        return text
    import shutil
    import textwrap

    width = max(40, shutil.get_terminal_size().columns)
    lines: list[str] = []
    for line in text.split("\n"):
        # A command stays whole, so that it can be copied.
        if len(line) <= width or line.lstrip().startswith(("$ ", "printf ")):
            lines.append(line)
            continue
        indent = " " * max(CONTINUED, len(line) - len(line.lstrip()) + 4)
        lines += textwrap.wrap(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines)


def _write(stream: TextIO, text: str, end: str = "\n") -> None:
    Progress.clear()
    try:
        stream.write(text + end)
        stream.flush()
    except UnicodeEncodeError:
        stream.write(text.encode("ascii", "replace").decode() + end)
        stream.flush()
    except BrokenPipeError:
        # The reader went away (`| head`). Narration is dropped; for data there is nobody left to tell.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
