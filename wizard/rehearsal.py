"""`sandbox`: the rehearsal. Starts the sandbox's servers and takes the whole job against them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from state.problem import EXIT_OK
from wizard.output import columns, data, say

if TYPE_CHECKING:
    from wizard.places import Places

# The setup of a rehearsal; one is enough, since `--reset` begins afresh.
NAME = "rehearsal"


def show_faults() -> int:
    """`sandbox --faults`."""
    from wizard.sandbox.faults import FAULTS

    data(columns((fault.name, f"{fault.what}; you see {fault.seen}") for fault in FAULTS.values()))
    return EXIT_OK


def serve(places: Places, *, reset: bool, fetch_helm: bool, faults: tuple[str, ...]) -> int:
    """`sandbox --serve`: only the servers, until SIGINT or SIGTERM."""
    from wizard.sandbox import command

    return command.serve(None, faults, reset, _helm(fetch=fetch_helm), state_dir=places.sandbox.state_dir)


def rehearse(places: Places, *, reset: bool, fetch_helm: bool, faults: tuple[str, ...]) -> int:
    """`sandbox`: until there are screens, takes all steps unattended and shows how it ends."""
    from wizard import commands
    from wizard.sandbox import command

    helm = _helm(fetch=fetch_helm)
    with (
        _stopped_by_signals(),
        command.running(None, faults, helm=helm, reset=reset, state_dir=places.sandbox.state_dir) as info,
    ):
        say("SANDBOX: a rehearsal on this machine. Nothing in it is real. It does not emulate:")
        for missing in command.NOT_EMULATED:
            say(f"  - {missing}")
        if reset:
            _forget(places)
        code = commands.run(places, NAME, Path(info.answers_file))
    say("\nLook at it again:  privatelink-wizard review rehearsal -o text")
    return code


def _forget(places: Places) -> None:
    """`--reset` begins afresh: the old rehearsal is kept beside under the time it ended, not overwritten."""
    store = places.sandbox
    if NAME in store.names():
        kept = store.set_aside(NAME)
        say(f"The rehearsal before is kept as {kept}")


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """A SIGTERM ends the rehearsal like Ctrl-C does, so that its servers end with it."""
    import signal

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _helm(*, fetch: bool) -> Path:
    """The helm on PATH, or one fetched before, or fetched now when that was agreed to."""
    from wizard.sandbox import fetch_helm

    found = fetch_helm.find_helm()
    if found is not None:
        return found
    if not fetch and not _agreed():
        raise fetch_helm.missing_helm()
    say("Fetching helm (36 MB, checked against its SHA-256)…")
    return fetch_helm.fetch_helm()


def _agreed() -> bool:
    """Asks whether to fetch helm; without a terminal nobody can agree."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    say("helm 3.8 or later is needed and was not found on PATH.")
    sys.stderr.write("Fetch a pinned one into the cache directory, 36 MB? [y/N] ")
    sys.stderr.flush()
    try:
        return sys.stdin.readline().strip().lower() in ("y", "yes")
    except KeyboardInterrupt:
        os.write(2, b"\n")
        raise
