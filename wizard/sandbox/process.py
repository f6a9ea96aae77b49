"""The sandbox as a child process of a command: started, heard, and ended with it."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from state.problem import Problem
from wizard.sandbox import profile, workdir
from wizard.sandbox.faults import FAULTS
from wizard.sandbox.info import SandboxInfo, describe, parse
from wizard.sandbox.workdir import WorkDir

PROBLEM_FORMAT = "privatelink-wizard.sandbox-problem/1"

# Only a machine that hangs needs longer; a start takes about a second.
_START_SECONDS = 60
_STOP_SECONDS = 10
# What another sandbox in the same directory may take to come up or to end.
_SETTLE_SECONDS = 10


def require_extra() -> None:
    """Raise Problem when the packages of the extra `sandbox` are not installed."""
    missing = [name for name in ("aiohttp", "cryptography") if importlib.util.find_spec(name) is None]
    if missing:
        raise Problem(
            "sandbox-extra",
            f"The sandbox needs {' and '.join(missing)}, which is not installed.",
            means="These packages come with the extra `sandbox`, so that production installs stay small.",
            todo="Install it: uv tool install 'privatelink-wizard[sandbox]' (or pipx install …, or pip install …).",
        )


def known_faults(names: Iterable[str]) -> frozenset[str]:
    """The faults by name. Raises Problem naming those that exist when one does not."""
    faults = frozenset(names)
    if unknown := sorted(faults - set(FAULTS)):
        raise Problem(
            "sandbox-fault",
            f"The sandbox knows no fault {', '.join(unknown)}.",
            todo=f"Choose from: {', '.join(sorted(FAULTS))}.",
        )
    return faults


@contextlib.contextmanager
def running(
    work_dir: Path | None = None,
    faults: Iterable[str] = (),
    *,
    helm: Path,
    reset: bool = False,
    state_dir: Path | None = None,
) -> Iterator[SandboxInfo]:
    """A sandbox that answers while the block runs, in a process of its own.

    It ends with the block, and with this process however that ends. `state_dir` is what `--state-dir` said.
    Raises Problem when it cannot start.
    """
    require_extra()
    names = known_faults(faults)
    work = workdir.prepare(work_dir, state_dir=state_dir)
    serves_already(work)  # only to let one that is about to end do so
    with _child(work, names, helm=helm, reset=reset) as info:
        yield info


@contextlib.contextmanager
def joined(work_dir: Path | None = None, *, helm: Path, state_dir: Path | None = None) -> Iterator[SandboxInfo]:
    """The sandbox in `work_dir` as it was left: the one that runs there already, else one as `running` gives.

    One that somebody else started goes on after the block. Raises Problem when it cannot start.
    """
    require_extra()
    work = workdir.prepare(work_dir, state_dir=state_dir)
    if serves_already(work) and (kept := profile.load(work)):
        yield describe(work, kept, helm=helm)
    else:
        with _child(work, frozenset(), helm=helm, reset=False) as info:
            yield info


def serves_already(work: WorkDir) -> bool:
    """Whether another sandbox answers in `work`. One that is about to end, or to answer, is waited for.

    The servers of a killed command end by themselves, but a moment after it: the next command is often faster.
    """
    deadline = time.monotonic() + _SETTLE_SECONDS
    while workdir.is_held(work):
        if not workdir.is_orphaned(work) and _answers(work):
            return True
        if time.monotonic() > deadline:
            return False  # the start that follows says who holds it
        time.sleep(0.05)
    return False


def _answers(work: WorkDir) -> bool:
    """Whether any of the sandbox's servers takes connections; a fault may have taken one of them down."""
    try:
        kept = profile.load(work)
    except Problem:
        return False  # the start that follows says what is wrong with it
    for port in kept.ports.values() if kept else ():
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    return False


@contextlib.contextmanager
def _child(work: WorkDir, faults: frozenset[str], *, helm: Path, reset: bool) -> Iterator[SandboxInfo]:
    command = [sys.executable, "-P", "-m", "wizard.sandbox.server", "--work-dir", str(work.path), "--helm", str(helm)]
    command += [f"--fault={name}" for name in sorted(faults)]
    command += ["--reset"] if reset else []
    log = os.open(work.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        # A session of its own: Ctrl-C in the terminal is the command's to handle, not the servers'.
        child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, start_new_session=True
        )
    finally:
        os.close(log)
    try:
        yield _handshake(child, work)
    finally:
        _end(child)


def _handshake(child: subprocess.Popen[bytes], work: WorkDir) -> SandboxInfo:
    """The child's first line."""
    assert child.stdout is not None  # noqa: S101 - it was asked for
    heard, _, _ = select.select([child.stdout], [], [], _START_SECONDS)
    line = child.stdout.readline() if heard else b""
    if not line:
        raise Problem(
            "sandbox-start",
            "The sandbox's servers did not start.",
            means="Nothing was changed.",
            todo=f"See {work.log}; starting afresh with --reset may help.",
            detail=work.log.read_text(errors="replace")[-2000:],
        )
    content: dict[str, Any] = json.loads(line)
    if content.pop("format") == PROBLEM_FORMAT:
        raise Problem(content.pop("code"), content.pop("what"), **content)
    return parse(line)


def _end(child: subprocess.Popen[bytes]) -> None:
    assert child.stdin is not None and child.stdout is not None  # noqa: S101 - they were asked for
    child.stdin.close()
    try:
        child.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    child.stdout.close()
