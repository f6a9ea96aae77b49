"""`sandbox`: the rehearsal. Starts the sandbox's servers, and takes the whole job against them or opens it.

A sandbox setup that is resumed finds its servers again: `serving`, and `start_serving` in an event loop.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from state.actor import current_actor
from state.problem import EXIT_OK
from wizard.opening import Rehearsal, has_terminal
from wizard.output import columns, data, say
from wizard.session import environment_is_ours

if TYPE_CHECKING:
    from state.snapshot import Snapshot
    from wizard.places import Places
    from wizard.sandbox.info import SandboxInfo

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


def rehearse(
    places: Places,
    *,
    reset: bool,
    fetch_helm: bool,
    faults: tuple[str, ...],
    show: Callable[[Rehearsal], int] | None = None,
) -> int:
    """`sandbox`: starts the servers and opens the screens by `show`; None takes all steps unattended.

    The servers end when the screens do. Returns the exit code.
    """
    from wizard.sandbox import command

    helm = _helm(fetch=fetch_helm)
    with _stopped_by_signals(), ExitStack() as stack:
        info = stack.enter_context(
            command.running(None, faults, helm=helm, reset=reset, state_dir=places.sandbox.state_dir)
        )
        say("SANDBOX: a rehearsal on this machine. Nothing in it is real. It does not emulate:")
        for missing in command.NOT_EMULATED:
            say(f"  - {missing}")
        if reset:
            _forget(places)
        if show is not None:
            return show(Rehearsal(Serving(info, stack), reset))
        from wizard import commands

        code = commands.run(places, NAME, Path(info.answers_file))
    say("\nLook at it again:  privatelink-wizard review rehearsal -o text")
    return code


# ---------------------------------------------------------------- servers for a setup that is resumed


@contextmanager
def serving(places: Places, snapshot: Snapshot | None = None) -> Iterator[SandboxInfo]:
    """The sandbox's servers as they were left, ports and objects included, for as long as the block lasts.

    They are those that `snapshot`, a sandbox setup, points to; None: the ones in the default place. Where somebody
    serves there already, those are used and go on. Raises Problem `helm-missing`, or when they can't start.
    """
    from wizard.sandbox import command, fetch_helm

    helm = fetch_helm.find_helm()
    if helm is None:
        raise fetch_helm.missing_helm()
    with command.joined(_work_dir(snapshot), helm=helm, state_dir=places.sandbox.state_dir) as info:
        yield info


class Serving:
    """The sandbox's servers while the screens are open. Made by `start_serving`, and for a rehearsal that opens."""

    def __init__(self, info: SandboxInfo, stack: ExitStack) -> None:
        self.info = info
        self._stack = stack

    def close(self) -> None:
        """Ends the servers, unless they are somebody else's. Harmless when done twice."""
        self._stack.close()


async def start_serving(places: Places, snapshot: Snapshot | None = None) -> Serving:
    """`serving` without holding up the event loop (a start takes about a second). Raises Problem as it does."""
    stack = ExitStack()
    starting = asyncio.ensure_future(asyncio.to_thread(stack.enter_context, serving(places, snapshot)))
    try:
        return Serving(await asyncio.shield(starting), stack)
    except asyncio.CancelledError:
        # A thread can't be cancelled: what it starts is ended as soon as it is there.
        loop = asyncio.get_running_loop()
        starting.add_done_callback(lambda _: loop.run_in_executor(None, stack.close))
        raise


def _work_dir(snapshot: Snapshot | None) -> Path | None:
    """Where the servers of a sandbox setup lie, next to its kubeconfig; None is the default place.

    A path that another user or host entered is not used (DESIGN.md section 3).
    """
    if snapshot is None or snapshot.environment is None:
        return None
    kubeconfig = snapshot.environment.data.kubeconfig
    if not kubeconfig or not environment_is_ours(snapshot, current_actor("screen")):
        return None
    return Path(kubeconfig).parent


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
    if not has_terminal():
        return False
    say("helm 3.8 or later is needed and was not found on PATH.")
    sys.stderr.write("Fetch a pinned one into the cache directory, 36 MB? [y/N] ")
    sys.stderr.flush()
    try:
        return sys.stdin.readline().strip().lower() in ("y", "yes")
    except KeyboardInterrupt:
        os.write(2, b"\n")
        raise
