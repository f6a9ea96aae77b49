"""A writing process of its own for the tests: python -m tests.state.child COMMAND STATE_DIR NAME.

It says `open` when it has the setup, and the number of each event once append has returned.
"""

from __future__ import annotations

import resource
import signal
import sys
from pathlib import Path

from state.events import FieldSet
from state.problem import Problem
from state.store import Store
from state.writer import Writer
from tests.state.make_journal import ACTOR

PADDING = "word " * 200


def say(*words: object) -> None:
    print(*words, flush=True)


def write(writer: Writer) -> None:
    """Append until killed."""
    while True:
        say(writer.append(FieldSet(field="name", value=PADDING)).seq)


def hold(writer: Writer) -> None:
    """Keep the setup open until stdin ends."""
    sys.stdin.read()


def fill(writer: Writer) -> None:
    """Append until the disk refuses, then try once more, and say how the file was left."""
    for attempt in ("first", "second"):
        try:
            while True:
                writer.append(FieldSet(field="name", value=PADDING))
        except Problem as problem:
            say(attempt, problem.code, problem.what)
    say("seq", writer.seq)


def fill_to_limit(writer: Writer) -> None:
    """As `fill`, with a limit for the size of files that falls in the middle of a line."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    size = writer.path.stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 5_500, resource.RLIM_INFINITY))
    fill(writer)


COMMANDS = {"write": write, "hold": hold, "fill": fill, "fill_to_limit": fill_to_limit}

if __name__ == "__main__":
    command, state_dir, name = sys.argv[1:]
    with Store(Path(state_dir)).open(name, ACTOR) as opened:
        say("open")
        COMMANDS[command](opened)
