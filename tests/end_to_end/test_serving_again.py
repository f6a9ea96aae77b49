"""A rehearsal that is taken up again in a fresh process: the servers it needs come back, on the same ports."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import socket
import subprocess
import sys

import pytest

from tests.end_to_end.harness import WAIT, Machine

# The screens' side of the contract, with the screens left out: what they do while they are open, and how they end.
SCREENS = """
import asyncio, os, signal, subprocess, sys, types
from state.snapshot import fold
from wizard.opening import Rehearsal, Resume
from wizard.rehearsal import start_serving

def run_app(start, places):
    if isinstance(start, Rehearsal):
        print("reset", start.reset, start.info.registry)
        serving = start.serving
    else:
        journal = places.holding(start.name).read(start.name)
        serving = asyncio.run(start_serving(places, fold(journal.header, journal.events)))
    check = subprocess.run([sys.executable, "-m", "wizard", "check", "rehearsal", "-o", "json"], capture_output=True)
    print("check", check.returncode, "of", start.in_words, flush=True)
    if os.environ.get("END") == "kill -9":
        os.kill(os.getpid(), signal.SIGKILL)
    serving.close()
    return 0

stand_in = sys.modules["screens.app"] = types.ModuleType("screens.app")
stand_in.run_app = run_app
from wizard.cli import main
sys.exit(main(sys.argv[1:]))
"""


def at_terminal(machine: Machine, *arguments: str, end: str = "") -> tuple[int, str]:
    """The exit code of a command at a terminal, and what is drawn there."""
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", SCREENS, *arguments],
        env={**machine.env(), "TERM": "xterm", "END": end},
        stdin=child,
        stdout=child,
        stderr=child,
    )
    os.close(child)
    drawn = b""
    with contextlib.suppress(OSError):  # Linux says EIO at the end of a terminal
        while part := os.read(parent, 4096):
            drawn += part
    os.close(parent)
    return process.wait(WAIT), drawn.decode()


def registry_of(machine: Machine) -> str:
    """host:port of the registry that the rehearsal was filled in with."""
    fields = machine.events("rehearsal", "field_set")
    return str(next(event["data"]["value"] for event in fields if event["data"]["field"] == "registry"))


def answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.fixture
def rehearsed(machine4: Machine) -> Machine:
    """A machine on which a rehearsal was taken to its end; without a terminal that goes unattended."""
    done = machine4.wizard("sandbox")
    assert done.code == 0, done.all
    assert "8 of 8 steps done" in done.out
    assert not answers(registry_of(machine4)), "the servers ended with it"
    return machine4


@pytest.mark.slow
def test_a_rehearsal_is_resumed_with_its_servers_again_and_again(rehearsed: Machine):
    registry = registry_of(rehearsed)
    code, drawn = at_terminal(rehearsed, "resume", "rehearsal", end="kill -9")
    assert code == -signal.SIGKILL
    assert "check 0 of Opening rehearsal" in drawn, drawn
    # At once: the killed one's servers are just about to end.
    code, drawn = at_terminal(rehearsed, "resume", "rehearsal")
    assert (code, "check 0 of Opening rehearsal" in drawn) == (0, True), drawn
    assert not answers(registry)

    code, drawn = at_terminal(rehearsed, "sandbox", end="kill -9")
    assert code == -signal.SIGKILL
    code, drawn = at_terminal(rehearsed, "sandbox")
    assert (code, f"reset False {registry}" in drawn) == (0, True), drawn
    assert "check 0 of Opening the rehearsal" in drawn, "where it was left: all done"


@pytest.mark.slow
def test_a_rehearsal_joins_the_sandbox_that_serves_already(rehearsed: Machine):
    with rehearsed.sandbox() as info:
        code, drawn = at_terminal(rehearsed, "resume", "rehearsal")
        assert (code, "check 0 of Opening rehearsal" in drawn) == (0, True), drawn
        assert answers(info["registry"]), "it goes on without the one that joined"


@pytest.mark.slow
def test_reset_at_a_terminal_begins_afresh_and_keeps_the_old_one(rehearsed: Machine):
    registry = registry_of(rehearsed)
    code, drawn = at_terminal(rehearsed, "sandbox", "--reset")
    assert code == 0
    assert "reset True" in drawn
    assert registry not in drawn, "another sandbox"
    assert "check 2 of Opening the rehearsal" in drawn, "there is no rehearsal yet"
    (kept,) = (rehearsed.state_dir / "setups").glob("rehearsal.aside-*")
    assert json.loads(kept.read_bytes().splitlines()[0])["name"] == "rehearsal"


@pytest.mark.slow
def test_unattended_needs_no_screens_at_a_terminal(machine4: Machine):
    code, drawn = at_terminal(machine4, "sandbox", "--unattended")
    assert code == 0, drawn
    assert "8 of 8 steps done" in drawn
    assert "check" not in drawn.split("8 of 8")[1]
