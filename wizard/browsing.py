"""Directories as a file picker shows them, and paths completed while they are typed.

Names come from outside: `name` is what may be drawn, `path` what is opened. All of it reads the disk, which may be a
slow one: call it in a thread.
"""

from __future__ import annotations

import errno
import heapq
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from state.problem import EXIT_BAD, Problem
from wizard.files import expanded
from wizard.text import clean, one_line

LIMIT = 2000  # entries of a listing
COMPLETIONS = 8  # paths offered at once
_NAME_LIMIT = 4096  # characters; no file system has longer names


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or directory. `name` is one clean line, `path` absolute and raw, `size` bytes (None for a directory),
    `modified` RFC 3339 UTC, empty for a time no calendar has; `likely`: a file with a wanted suffix."""

    name: str
    path: str
    is_dir: bool
    size: int | None
    modified: str
    likely: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """A directory: its absolute path, the one above (None at the root), and how many entries were left out."""

    path: str
    parent: str | None
    entries: tuple[Entry, ...]
    truncated: int


@dataclass(frozen=True, slots=True, order=True)
class _Found:
    """Something in a directory. It sorts as it is shown: fields first to last."""

    hidden: bool
    kind: int  # 0 directory, 1 likely file, 2 other file
    age: float  # of likely files alone: the newest is the one just downloaded
    folded: str
    name: str
    size: int
    modified: float


_DIRECTORY, _LIKELY, _OTHER = range(3)


def listing(path: str, *, suffixes: tuple[str, ...] = (), typed: str = "") -> Listing:
    """What is in a directory: directories, then files with one of `suffixes` newest first, then others; hidden last.

    `typed` narrows it to names that hold this text, in any case. Links count as what they point to; what can't be
    looked at, pipes and devices are left out, and so is what comes after the first `LIMIT`.

    Raises Problem `directory-not-readable`.
    """
    directory, wanted, total = path, typed.casefold(), 0

    def matching() -> Iterator[_Found]:
        nonlocal total
        for one in _scan(directory, suffixes):
            if wanted in one.folded:
                total += 1
                yield one

    try:
        directory = _absolute(path)
        first = heapq.nsmallest(LIMIT, matching())
    except (OSError, ValueError) as error:  # ValueError: a path that no file system has a form for
        raise _not_readable(directory, error) from error
    parent = os.path.dirname(directory)  # noqa: PTH120 (text, which may not be a path at all)
    entries = tuple(_entry(directory, one) for one in first)
    return Listing(directory, None if parent == directory else parent, entries, total - len(first))


def completions(typed: str, *, suffixes: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Paths that begin with what was typed, in any case, at most `COMPLETIONS`; empty where nothing can be said.

    The directory stays as it was typed (`~` too); one that is completed ends in `/`. Hidden names only once their
    point was typed, and none that can't be drawn as it is.
    """
    if not typed.strip():
        return ()
    if typed == "~":
        return ("~/",)
    head, begun = typed[: typed.rfind("/") + 1], typed[typed.rfind("/") + 1 :]
    wanted = begun.casefold()
    try:
        found = heapq.nsmallest(
            COMPLETIONS,
            (
                one
                for one in _scan(_absolute(head or "."), suffixes)
                if one.folded.startswith(wanted)
                and (not one.hidden or begun.startswith("."))
                and clean(one.name, limit=_NAME_LIMIT) == one.name
                and (one.kind == _DIRECTORY or one.name != begun)  # nothing is left to complete
            ),
        )
    except (OSError, ValueError):
        return ()
    return tuple(f"{head}{one.name}{'/' if one.kind == _DIRECTORY else ''}" for one in found)


def start_directory() -> str:
    """Where to begin: Downloads in the home, for what was just fetched from a portal; else the current directory."""
    downloads = expanded("~/Downloads")
    if downloads.is_dir():
        return str(downloads)
    try:
        return str(Path.cwd())
    except OSError:  # it was removed
        return "/"


def _absolute(path: str) -> str:
    """The path from the root, `~` expanded, `..` taken away as text: going up undoes going into a link.

    Raises OSError when the current directory was removed, ValueError for what can be no path.
    """
    return os.path.abspath(expanded(path))  # noqa: PTH100 (Path.absolute keeps `..`)


def _scan(directory: str, suffixes: tuple[str, ...]) -> Iterator[_Found]:
    """Everything in a directory that can be entered or read, in one pass. Raises OSError, ValueError."""
    endings = tuple(suffix.lower() for suffix in suffixes)
    with os.scandir(directory) as entries:
        for entry in entries:
            try:
                facts = entry.stat()
            except OSError:  # gone meanwhile, a link to nothing or to itself
                continue
            if stat.S_ISDIR(facts.st_mode):
                kind = _DIRECTORY
            elif stat.S_ISREG(facts.st_mode):
                kind = _LIKELY if entry.name.lower().endswith(endings) else _OTHER
            else:
                continue
            yield _Found(
                hidden=entry.name.startswith("."),
                kind=kind,
                age=-facts.st_mtime if kind == _LIKELY else 0.0,
                folded=entry.name.casefold(),
                name=entry.name,
                size=facts.st_size,
                modified=facts.st_mtime,
            )


def _entry(directory: str, found: _Found) -> Entry:
    try:
        modified = datetime.fromtimestamp(found.modified, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        modified = ""
    is_dir = found.kind == _DIRECTORY
    return Entry(
        name=one_line(found.name) or "(a name that can't be shown)",
        path=os.path.join(directory, found.name),  # noqa: PTH118 (raw, as the system has it)
        is_dir=is_dir,
        size=None if is_dir else found.size,
        modified=modified,
        likely=found.kind == _LIKELY,
    )


_REASONS = {
    errno.ENOENT: ("There is no such directory.", "Go to another one, or type the file's path."),
    errno.ENOTDIR: ("It is a file, or lies behind one.", "Go to the directory it is in."),
    errno.EACCES: ("You may not read it.", "Go to another one, or type the file's path."),
    errno.ELOOP: ("It is a link that leads back to itself.", "Go to another one."),
}


def _not_readable(directory: str, error: OSError | ValueError) -> Problem:
    number = error.errno if isinstance(error, OSError) else None
    if number is None:
        means, todo = "No directory can have that name.", "Correct the path."
    else:
        means, todo = _REASONS.get(number, ("The system can't read it now.", "Go to another one, or try again."))
    return Problem(
        "directory-not-readable",
        f"The directory {one_line(directory)} can't be read.",
        means=means,
        todo=todo,
        detail=str(error),
        exit_code=EXIT_BAD,
    )
