"""The plain program, but it dies by SIGKILL at the N-th line it writes to the journal.

    python killer.py MODE N ARGUMENT…

N counts the journal's lines from 0, the header. MODE says when: `before` the line is written, when only half of it
is (`torn`), when all of it is but not yet synced (`unsynced`), or right `after` it is saved. When the program ends
before N lines are written it ends as always.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import state.store
import state.writer
from state.directory import write_whole
from wizard.cli import main

BEFORE, TORN, UNSYNCED, AFTER = MODES = ("before", "torn", "unsynced", "after")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arm(mode: str, number: int) -> None:
    """Puts the trap around the two calls that write lines: the header's and every event's."""
    lines = 0

    def trapped(write: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            nonlocal lines
            mine, lines = lines == number, lines + 1
            if mine and mode == BEFORE:
                die()
            answer = write(*args, **options)
            if mine:
                die()
            return answer

        return call

    def written(fd: int, content: bytes) -> None:
        if mode == TORN and lines == number + 1:
            write_whole(fd, content[: len(content) // 2])
            die()
        write_whole(fd, content)
        if mode == UNSYNCED and lines == number + 1:
            die()

    state.store.Store._put_header = trapped(state.store.Store._put_header)  # type: ignore[method-assign]
    state.writer.Writer.append = trapped(state.writer.Writer.append)  # type: ignore[method-assign]
    state.writer.write_whole = written  # type: ignore[attr-defined]


if __name__ == "__main__":
    # Guarded: the SDK's process is spawned and imports this file again.
    arm(sys.argv[1], int(sys.argv[2]))
    sys.exit(main(sys.argv[3:]))
