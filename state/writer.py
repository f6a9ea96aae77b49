"""The only way to write a journal: one event, one line, one write, one fsync."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import msgspec

from state import journal
from state.clock import now
from state.directory import write_whole
from state.events import Actor, Data, Event
from state.failure import not_saved
from state.journal import Journal
from state.problem import Problem
from state.secrets import SecretGuard


class Writer:
    """A setup opened for writing. Made by `Store`, which holds the lock for it; a context manager.

    `journal` is what stood in the file when the writer was handed out, `cut` the event that says a torn last line was
    cut off just before, `actor` who appends when `append` names nobody.
    """

    def __init__(
        self,
        path: Path,
        fd: int,
        found: Journal,
        actor: Actor,
        *,
        cut: Event | None = None,
        release: Callable[[], None],
    ) -> None:
        self.path = path
        self.journal = found
        self.actor = actor
        self.cut = cut
        self.guard = SecretGuard()
        self.head = found.head
        self.seq = found.events[-1].seq if found.events else 0
        self._ts = found.last_ts
        self._size = found.size
        self._fd = fd
        self._release = release
        self._stopped: Problem | None = None
        self._closed = False
        self._appending = threading.Lock()

    def append(self, data: Data, actor: Actor | None = None) -> Event:
        """Write one event and return it once it is on the disk.

        Raises SecretRefused when a string holds a secret, and Problem: `too-long`, `not-text`, `changed-behind` when
        somebody else touched the file, `not-saved` when the disk refused. After the last two nothing more is written
        until the setup is opened again.
        """
        with self._appending:
            if self._stopped:
                raise self._stopped
            event = Event(
                seq=self.seq + 1,
                # A clock set back must not make the journal run backwards.
                ts=max(self._ts, now()),
                actor=actor or self.actor,
                type=data.TYPE,
                v=data.VERSION,
                data=data,
                prev=self.head,
            )
            self.guard.check(msgspec.to_builtins(event.data))
            self.guard.check(msgspec.to_builtins(event.actor), "actor")
            line = _line(event)
            self._check_untouched()
            self._write(line + b"\n")
            self.seq = event.seq
            self.head = journal.line_hash(line)
            self._ts = event.ts
            return event

    @property
    def stopped(self) -> Problem | None:
        """Why nothing more is written until the setup is opened again; None while all is well."""
        return self._stopped

    def close(self) -> None:
        """Close the file and free the lock. Harmless when done twice."""
        with self._appending:
            if self._closed:
                return
            self._closed = True
            self._stopped = Problem(
                "not-saved", "Not saved: the setup is closed.", todo="Open the setup again.", detail=str(self.path)
            )
            os.close(self._fd)
            self._release()

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _check_untouched(self) -> None:
        """Stop when the file was replaced, removed, or has grown or shrunk since our last write."""
        ours = os.fstat(self._fd)
        try:
            there = self.path.stat(follow_symlinks=False)
        except OSError as error:
            there = None
            detail = str(error)
        else:
            detail = str(self.path)
        if there is None:
            what = "The journal's file is gone."
        elif (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino):
            what = "The journal's file was replaced by another one."
        elif ours.st_size != self._size:
            what = f"The journal's file has {ours.st_size} bytes where we left {self._size}."
        else:
            return
        self._stopped = Problem(
            "changed-behind",
            f"Not saved: {what}",
            means="Something else touched the journal while it was open; nothing more is written to it.",
            todo="Find out what did (a sync or backup program, an editor), put the file back, open the setup again.",
            detail=detail,
        )
        raise self._stopped

    def _write(self, content: bytes) -> None:
        try:
            write_whole(self._fd, content)
            os.fsync(self._fd)
        except OSError as error:
            self._stopped = self._after_failure(error)
            raise self._stopped from error
        self._size += len(content)

    def _after_failure(self, error: OSError) -> Problem:
        """Take back what was written of the line, and say how the file was left."""
        try:
            os.ftruncate(self._fd, self._size)
            os.fsync(self._fd)
        except OSError:
            means = (
                "The last entry was not saved, and its traces could not be taken back: the setup is read-only until"
                " it is opened again, which checks and repairs the file."
            )
        else:
            means = "The last entry was not saved; everything before it is. Nothing more is written for now."
        return not_saved(error, "Not saved.", means=means)


def _line(event: Event) -> bytes:
    """The event's line, read back once: what we could not read again would make the whole journal read-only."""
    try:
        line = journal.encode_line(event)
    except UnicodeEncodeError as error:
        raise Problem(
            "not-text",
            "Not saved: a text holds something that is no character.",
            todo="Type that text again instead of pasting it.",
            detail=event.type,
        ) from error
    if len(line) > journal.MAX_LINE:
        raise Problem(
            "too-long",
            f"Not saved: the entry has {len(line)} bytes, more than {journal.MAX_LINE} are not kept.",
            todo="Shorten the text.",
            detail=event.type,
        )
    journal.decode_line(line)
    return line
