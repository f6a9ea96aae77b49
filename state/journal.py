"""Reading a journal: no locks, no writes.

The file is UTF-8 JSON lines (DESIGN.md section 4). Line 1 is the header; every later line is an event whose `prev` is
the SHA-256 of the line before it. So a changed line shows in the line after it, and only the last line has nobody to
vouch for it: that takes a head kept elsewhere.

A journal that is damaged, or newer than this program, is still read as far as it can be: an auditor must see it.
"""

from __future__ import annotations

import errno
import gc
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import msgspec

from state.events import DATA_TYPES, FORMAT, UPCASTS, Actor, Data, Event, Header
from state.failure import not_readable
from state.problem import Problem

MAX_BYTES = 512 * 1024 * 1024
"""A file larger than this is not read: a setup's journal is some hundred kilobytes."""

MAX_LINE = 1024 * 1024
"""Bytes of one line. A writer never writes a longer one, so a longer one is not ours."""

MAX_PROBLEMS = 100
"""So many lines that a newer version wrote are told one by one, the others counted. After as many damaged ones reading
stops: nothing that follows can be trusted."""

NEWER = frozenset(("newer-format", "unknown-event"))
"""Codes of problems with what only a newer version understands: they break no chain."""

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)

_FORMAT_NAME, _, _FORMAT_VERSION = FORMAT.rpartition("/")
_UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class _Line(msgspec.Struct, frozen=True):
    """An event's line with its data still in bytes: they are decoded once the type is known."""

    seq: _Count
    ts: str
    actor: Actor
    type: str
    v: _Count
    data: msgspec.Raw
    prev: str


class _HeaderFormat(msgspec.Struct, frozen=True):
    """The part of a header that every format has."""

    format: str


_LINE = msgspec.json.Decoder(_Line)
_HEADER = msgspec.json.Decoder(Header)
_HEADER_FORMAT = msgspec.json.Decoder(_HeaderFormat)
_DATA = {(name, cls.VERSION): msgspec.json.Decoder(cls) for name, cls in DATA_TYPES.items()}
_ENCODER = msgspec.json.Encoder(order="deterministic")


@dataclass(frozen=True, slots=True)
class JournalProblem:
    """What is wrong with one line. Any of these makes the journal read-only.

    `code` is one of chain-broken, unknown-event, newer-format, bad-line, seq-gap. `line` counts from 1. `detail`
    holds text from the file: outside text, cleaned where it is drawn.
    """

    line: int
    code: str
    what: str
    means: str
    todo: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Journal:
    """A journal as it was read.

    `head` is the SHA-256 of the last whole line, `size` the bytes up to and with the last newline, `torn` what stands
    after it. Events with a `seq` above `intact_through` stand at or after the first damaged line: shown, not trusted.
    `hashes` are those of the lines that were read, in their order; `lines` the line of each event.
    """

    path: Path
    header: Header
    events: tuple[Event, ...]
    head: str
    size: int
    torn: bytes | None
    problems: tuple[JournalProblem, ...]
    intact_through: int
    hashes: tuple[str, ...]
    lines: tuple[int, ...]

    @property
    def writable(self) -> bool:
        """Whether a writer may go on from here. A torn last line is no obstacle: the writer cuts it off."""
        return not self.problems

    @property
    def last_ts(self) -> str:
        """Time of the last event, or of the header when there is none."""
        return self.events[-1].ts if self.events else self.header.ts


def line_hash(line: bytes) -> str:
    """What the next line's `prev` holds: lowercase hex SHA-256 of the line without its newline."""
    return sha256(line).hexdigest()


def encode_header(header: Header) -> bytes:
    """Line 1, without its newline."""
    return _ENCODER.encode(header)


def encode_line(event: Event) -> bytes:
    """An event's line, without its newline: compact JSON, keys in the order seq, ts, actor, type, v, data, prev.

    JSON escapes control characters, so a line never holds a newline.

    Raises UnicodeEncodeError for a string that is no text (lone surrogates).
    """
    return _ENCODER.encode(event)


def read(path: Path) -> Journal:
    """Read the journal at `path`, which may be any file that a user names.

    Raises Problem: `no-such-file`, `not-a-file` (a link, a directory, a pipe), `not-readable`, `too-big`,
    `not-a-journal`, `newer-format` (when not even the header can be read).
    """
    fd = open_file(path, os.O_RDONLY)
    try:
        return parse(path, read_all(fd))
    finally:
        os.close(fd)


def open_file(path: Path, flags: int) -> int:
    """Open a regular file that is not a link; the caller closes the descriptor. Raises Problem as `read` does."""
    try:
        # Without O_NONBLOCK, opening a pipe would wait for its other end.
        fd = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY)
    except FileNotFoundError as error:
        raise Problem("no-such-file", "There is no such file.", todo="Look at the path.", detail=str(error)) from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _not_a_file(path, "a symbolic link", "Give the path of the file itself.") from error
        if error.errno == errno.EISDIR:
            raise _not_a_file(path, "a directory") from error
        raise not_readable(error, "The file could not be opened.") from error
    except ValueError as error:  # a NUL in the path
        raise _not_a_file(path, "not a path", "Look at the path.") from error
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        is_directory = stat.S_ISDIR(os.fstat(fd).st_mode)
        os.close(fd)
        raise _not_a_file(path, "a directory" if is_directory else "a pipe or a device")
    return fd


def _not_a_file(path: Path, what: str, todo: str = "Give the path of a journal, a file ending in .jsonl.") -> Problem:
    return Problem("not-a-file", f"This is {what}, not a file.", todo=todo, detail=str(path))


def read_all(fd: int) -> bytes:
    """The whole content of an open file. Raises Problem `too-big` or `not-readable`."""
    size = os.fstat(fd).st_size
    if size > MAX_BYTES:
        raise Problem(
            "too-big",
            f"The file is larger than {MAX_BYTES // 1024 // 1024} MiB.",
            means="No journal grows to that size; it was not read.",
            todo="Look at the path.",
        )
    chunks = []
    offset = 0
    try:
        # In one go as a rule; what is appended meanwhile belongs to the next look.
        while offset < size and (chunk := os.pread(fd, size - offset, offset)):
            chunks.append(chunk)
            offset += len(chunk)
    except OSError as error:
        raise not_readable(error, "The file could not be read.") from error
    return b"".join(chunks)


def parse(path: Path, content: bytes) -> Journal:
    """Make a Journal of a file's content; raises Problem as `read` does."""
    *lines, rest = content.split(b"\n")
    if not lines:
        raise _not_a_journal(path, "it is empty" if not rest else "it has no whole line")
    header, newer = _parse_header(path, lines[0])
    reading = _Reading(lines[0])
    if newer:
        reading.report(1, "newer-format", "A newer version of privatelink-wizard wrote this journal.")
    with _collector_paused():
        for number, line in enumerate(lines[1:], 2):
            reading.line(number, line)
            if reading.damaged >= MAX_PROBLEMS:
                reading.stop(number + 1, len(lines) - number)
                break
    reading.count_untold()
    head = line_hash(lines[-1])
    return Journal(
        path=path,
        header=header,
        events=tuple(reading.events),
        head=head,
        size=len(content) - len(rest),
        torn=rest or None,
        problems=tuple(reading.problems),
        intact_through=reading.intact_through if reading.intact_through is not None else len(lines) - 1,
        hashes=(*reading.hashes, line_hash(reading.last_line)),
        lines=tuple(reading.lines),
    )


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Decoded events form no cycles; looking for some among 100,000 of them takes as long as decoding them."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _not_a_journal(path: Path, why: str) -> Problem:
    return Problem(
        "not-a-journal",
        f"This file is not a journal of privatelink-wizard: {why}.",
        todo="Give the path of a journal, a file ending in .jsonl.",
        detail=str(path),
    )


def _parse_header(path: Path, line: bytes) -> tuple[Header, bool]:
    """The header, and whether its format is newer than ours."""
    if len(line) > MAX_LINE:
        raise _not_a_journal(path, "its first line is too long")
    try:
        line.decode("utf-8")
        format_ = _HEADER_FORMAT.decode(line).format
    except _UNDECODABLE as error:
        raise _not_a_journal(path, "its first line is not the header of one") from error
    newer = _is_newer(format_)
    if format_ != FORMAT and not newer:
        raise _not_a_journal(path, "its first line names another format")
    try:
        header = _HEADER.decode(line)
    except _UNDECODABLE as error:
        if newer:
            raise Problem(
                "newer-format",
                "A newer version of privatelink-wizard wrote this journal.",
                means="This version can not read it.",
                todo="Update privatelink-wizard.",
                detail=str(path),
            ) from error
        raise _not_a_journal(path, "its header lacks something") from error
    if header.seq != 0 or not NAME.fullmatch(header.name) or not is_timestamp(header.ts):
        raise _not_a_journal(path, "its header holds a number, name or time that no header has")
    return header, newer


def _is_newer(format_: str) -> bool:
    name, _, version = format_.rpartition("/")
    is_number = version.isascii() and version.isdigit() and len(version) <= 4
    return name == _FORMAT_NAME and is_number and int(version) > int(_FORMAT_VERSION)


def is_timestamp(text: str) -> bool:
    """Whether a text is a time as a journal writes it: RFC 3339, UTC, microseconds."""
    if not TIMESTAMP.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


_MEANS = {
    "chain-broken": "From there on the journal is shown but can not be trusted; nothing more is written to it.",
    "seq-gap": "Events are missing, added or in another order; nothing more is written to this journal.",
    "bad-line": "The line is left out; nothing more is written to this journal.",
    "unknown-event": "It is left out here, so what is shown may be out of date; nothing is written to this journal.",
    "newer-format": "What is shown may lack something; nothing is written to this journal.",
}
_RESTORE = "Go on from a copy whose head you noted, or start a new setup and keep this file as it is."
_UPDATE = "Update privatelink-wizard, then open the setup again."


class LineError(Exception):
    """A line that can not be read: a problem's code and words, before its number is known."""

    def __init__(self, code: str, what: str, detail: str = "") -> None:
        super().__init__(what)
        self.code = code
        self.what = what
        self.detail = detail


class _Reading:
    """The state of one pass over the lines after the header."""

    def __init__(self, header_line: bytes) -> None:
        self.events: list[Event] = []
        self.lines: list[int] = []
        self.hashes: list[str] = []
        self.problems: list[JournalProblem] = []
        self.intact_through: int | None = None
        self.damaged = 0
        self._newer = 0
        self._first_untold = 0
        self.last_line = header_line
        self._seq: int | None = 0  # of the previous line; None after one that could not be read
        self._ts = ""  # the last one found to be well-formed

    def line(self, number: int, line: bytes) -> None:
        """Take in line `number`."""
        expected = sha256(self.last_line).hexdigest()
        self.last_line = line
        try:
            outer = _decode_outer(line)
        except LineError as error:
            self.hashes.append(expected)
            self._seq = None
            self._report_error(number, error)
            return
        # The equal text that the event holds anyway takes no memory of its own.
        self.hashes.append(outer.prev if outer.prev == expected else expected)
        if outer.prev != expected:
            self.report(
                number - 1,
                "chain-broken",
                f"Line {number - 1} or {number} was changed after it was written:"
                f" line {number} does not continue line {number - 1}.",
            )
        if self._seq is not None and outer.seq != self._seq + 1:
            self.report(number, "seq-gap", f"Line {number} has the number {outer.seq} where {self._seq + 1} belongs.")
        self._seq = outer.seq
        try:
            if outer.ts != self._ts and not is_timestamp(outer.ts):
                raise LineError("bad-line", "its time is not one", outer.ts)
            self._ts = outer.ts
            data = _decode_data(outer)
        except LineError as error:
            self._report_error(number, error)
            return
        self.lines.append(number)
        self.events.append(
            Event(
                seq=outer.seq,
                ts=outer.ts,
                actor=outer.actor,
                type=outer.type,
                v=data.VERSION,
                data=data,
                prev=outer.prev,
            )
        )

    def _report_error(self, number: int, error: LineError) -> None:
        words = (
            f"Line {number} holds {error.what}."
            if error.code == "unknown-event"
            else f"Line {number} can not be read: {error.what}."
        )
        self.report(number, error.code, words, error.detail)

    def report(self, number: int, code: str, what: str, detail: str = "") -> None:
        """Note a problem at line `number`."""
        newer = code in NEWER
        if newer:
            self._newer += 1
            if self._newer > MAX_PROBLEMS:
                self._first_untold = self._first_untold or number
                return
        else:
            self.damaged += 1
            if self.intact_through is None:
                self.intact_through = number - 2  # line n holds the event n - 1
        self.problems.append(JournalProblem(number, code, what, _MEANS[code], _UPDATE if newer else _RESTORE, detail))

    def stop(self, number: int, left: int) -> None:
        """Tell that `left` lines, from line `number` on, are not read."""
        if left:
            what = f"Reading ends before line {number}: so much is damaged. {left} lines are not shown."
            self.report(number, "bad-line", what)

    def count_untold(self) -> None:
        """Tell how many lines of a newer version were not told one by one."""
        if self._first_untold:
            number, code, left = self._first_untold, "unknown-event", self._newer - MAX_PROBLEMS
            what = f"From line {number} on, {left} more lines hold events that this version does not know."
            self.problems.append(JournalProblem(number, code, what, _MEANS[code], _UPDATE))


def decode_line(line: bytes) -> Event:
    """One event's line, decoded alone: without its place in the chain. Raises LineError."""
    outer = _decode_outer(line)
    if not is_timestamp(outer.ts):
        raise LineError("bad-line", "its time is not one", outer.ts)
    data = _decode_data(outer)
    return Event(
        seq=outer.seq, ts=outer.ts, actor=outer.actor, type=outer.type, v=data.VERSION, data=data, prev=outer.prev
    )


def _decode_outer(line: bytes) -> _Line:
    if len(line) > MAX_LINE:
        raise LineError("bad-line", f"it is longer than {MAX_LINE} bytes")
    if line[:1] != b"{" or line[-1:] != b"}":  # no white space around: a carriage return shows here
        raise LineError("bad-line", "it is not one JSON object and nothing else")
    try:
        if not line.isascii():
            line.decode("utf-8")  # also where the decoder skips over what it does not know
        return _LINE.decode(line)
    except _UNDECODABLE as error:
        raise LineError("bad-line", "it is not an event", str(error)) from error


def _decode_data(line: _Line) -> Data:
    decoder = _DATA.get((line.type, line.v))
    try:
        return decoder.decode(line.data) if decoder else _upcast(line)
    except _UNDECODABLE as error:
        raise LineError("bad-line", "its data is not what its type holds", str(error)) from error


def _upcast(line: _Line) -> Data:
    """Data of an older version, taken step by step to the newest one."""
    cls = DATA_TYPES.get(line.type)
    if cls is None:
        raise LineError("unknown-event", "an event that this version does not know", f"{line.type!a}, v{line.v}")
    if line.v > cls.VERSION:
        raise LineError("unknown-event", "an event in a form newer than this version", f"{line.type!a}, v{line.v}")
    data = msgspec.json.decode(line.data, type=dict)
    for version in range(line.v, cls.VERSION):
        upcast = UPCASTS.get((line.type, version))
        if upcast is None:
            raise LineError("unknown-event", "an event in a form that never was", f"{line.type!a}, v{line.v}")
        try:
            data = upcast(data)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise LineError("bad-line", "its data is not what its type held", str(error)) from error
    return msgspec.convert(data, cls)
