"""Which process is it: telling a living child from a stranger that got its pid later.

A pid alone is reused. With the start time and the boot it names one process for good, so a helm that outlived the
wizard is found again (or known to be gone) when a setup is resumed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from wizard.ports import ProcessIdentity

_ZOMBIE = ("Z", "X", "x")


@dataclass(frozen=True, slots=True)
class _Seen:
    state: str
    start_time: str


def identity_of(pid: int) -> ProcessIdentity | None:
    """The identity of a running process; None when there is none (a zombie counts as gone).

    `start_time` and `boot_id` are empty where this system does not tell them.
    """
    seen = _look(pid)
    if seen is None or seen.state in _ZOMBIE:
        return None
    return ProcessIdentity(pid=pid, start_time=seen.start_time, boot_id=boot_id())


def alive(identity: ProcessIdentity) -> bool | None:
    """Whether exactly this process runs here; None when that cannot be known.

    Another boot means gone. It may also mean another host: the caller compares the host that recorded it first.
    """
    here = boot_id()
    if not (identity.start_time and identity.boot_id and here):
        return None
    theirs, _, their_namespace = identity.boot_id.partition(" ")
    ours, _, our_namespace = here.partition(" ")
    if theirs != ours:
        return False
    if their_namespace != our_namespace:
        return None  # another container on the same kernel: its pids are not ours to see
    now = identity_of(identity.pid)
    return now is not None and now.start_time == identity.start_time


async def wait_gone(identity: ProcessIdentity, poll: float = 0.5) -> None:
    """Return when the process is gone, or at once when it cannot be known; looks every `poll` seconds."""
    while alive(identity):  # noqa: ASYNC110 (nothing tells us about a process that is not our child)
        await asyncio.sleep(poll)


async def stop(identity: ProcessIdentity, grace: float) -> bool:
    """Send SIGTERM and wait up to `grace` seconds; True when the process is gone. Never more than SIGTERM.

    A helm that is killed harder leaves a pending release, so that is for a person to decide.
    """
    if not _terminate(identity):
        return alive(identity) is False
    deadline = time.monotonic() + grace
    while alive(identity):
        if time.monotonic() >= deadline:
            return False
        await asyncio.sleep(0.05)
    return True


def boot_id() -> str:
    """The kernel's boot id, on Linux followed by the pid namespace; empty when this system does not tell."""
    if sys.platform == "darwin":
        return _output_of("sysctl", "-n", "kern.bootsessionuuid")
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _terminate(identity: ProcessIdentity) -> bool:
    """SIGTERM to this very process; through a pidfd where there is one, so a recycled pid cannot be hit."""
    try:
        if not hasattr(os, "pidfd_open"):
            if alive(identity):
                os.kill(identity.pid, signal.SIGTERM)
                return True
            return False
        handle = os.pidfd_open(identity.pid)
        try:
            if alive(identity):
                signal.pidfd_send_signal(handle, signal.SIGTERM)
                return True
            return False
        finally:
            os.close(handle)
    except OSError:  # gone meanwhile, or not ours to signal
        return False


def _look(pid: int) -> _Seen | None:
    if sys.platform == "darwin":
        # `lstart` is five words with seconds; the state comes last.
        *started, state = _output_of("ps", "-o", "lstart=,stat=", "-p", str(pid)).split() or [""]
        return _Seen(state[:1], " ".join(started)) if state else None
    try:
        line = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # proc(5): the name is in parentheses and may hold anything, so count from the last one. Field 3 is the state,
    # field 22 the start time in clock ticks since boot.
    fields = line.rpartition(")")[2].split()
    return _Seen(fields[0], fields[19])


def _output_of(*argv: str) -> str:
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=5, check=False, env=environment)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
