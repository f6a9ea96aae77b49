"""Step 7 interrupted on a real terminal: the program is killed, or quit while helm runs, and opened again."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.harness import Machine, chain_holds
from tests.end_to_end.terminal import Terminal
from tests.end_to_end.test_screen_failures import prepared
from tests.end_to_end.test_screens import opened
from tests.end_to_end.walking import start
from tests.screens.harness import LARGE

pytestmark = pytest.mark.slow


def begin_step_7(terminal: Terminal, info: dict[str, Any]) -> None:
    """From welcome back to a helm that waits for its pods."""
    terminal.wait("[ Go on with step 7 ]")
    terminal.send("C-n")
    # The first field that is not right is the token: nothing of it is on the disk.
    terminal.wait(lambda shown: re.search(r"▌. Registry token", shown))
    terminal.paste(Path(info["registry_token_file"]).read_text().strip())
    terminal.send("Enter")
    terminal.wait("in memory")
    for label in ("Chart", "Chart version", "Release", "Namespace", "Values file", "Timeout"):
        terminal.wait(lambda shown, label=label: re.search(rf"▌. {label}  ", shown))  # type: ignore[misc]
        terminal.send("Enter")
    terminal.wait(lambda shown: "reads what is there, shows the plan" in shown and "▌✓ Timeout" not in shown)
    terminal.send("Enter")
    start(terminal)
    terminal.wait("workloads ready")


def ended_well(machine: Machine, info: dict[str, Any], terminal: Terminal) -> None:
    """The new start followed helm to its end; the step is observed, and there was one upgrade."""
    terminal.wait(lambda shown: "Still running" in shown or "observed" in shown)
    terminal.wait(lambda shown: re.search(r"7 Update DPE\s+observed", shown))
    assert [(row["revision"], row["status"]) for row in machine.history(info)] == [(1, "deployed")]
    changes = machine.events("demo", "change_started")
    assert len(changes) == 1
    assert [event["data"]["outcome"] for event in machine.events("demo", "change_finished")] == ["done"]
    assert chain_holds(machine.journal("demo"))


def test_killed_while_helm_runs(machine4: Machine):
    with machine4.sandbox("slow-pods") as info:
        prepared(machine4, Path(info["answers_file"]))
        with opened(machine4, "resume", "demo", size=LARGE) as terminal:
            begin_step_7(terminal, info)
            os.kill(terminal.pid(), signal.SIGKILL)
        with opened(machine4, "resume", "demo", size=LARGE) as terminal:
            ended_well(machine4, info, terminal)


def test_quit_and_left_running(machine4: Machine):
    with machine4.sandbox("slow-pods") as info:
        prepared(machine4, Path(info["answers_file"]))
        with opened(machine4, "resume", "demo", size=LARGE) as terminal:
            begin_step_7(terminal, info)
            terminal.send("C-q")
            asked = terminal.wait("[ Quit, leave it running ]")
            assert "helm goes on without the wizard" in asked
            terminal.send("Right")
            terminal.wait("the next start finds out how it ended")
            terminal.send("Enter")
            assert terminal.exit_code() == 0
            assert "helm goes on by itself" in " ".join(terminal.everything().split())
        with opened(machine4, "resume", "demo", size=LARGE) as terminal:
            ended_well(machine4, info, terminal)


def test_quit_and_stopped(machine4: Machine):
    with machine4.sandbox("slow-pods") as info:
        prepared(machine4, Path(info["answers_file"]))
        with opened(machine4, "resume", "demo", size=LARGE) as terminal:
            begin_step_7(terminal, info)
            terminal.send("C-q")
            terminal.wait("[ Quit and stop it ]")
            terminal.send("Right", "Right")
            terminal.wait("Quit and stop it: ")
            terminal.send("Enter")
            assert terminal.exit_code() == 0
        assert [event["data"]["outcome"] for event in machine4.events("demo", "change_finished")] == ["cancelled"]
        assert [row["status"] for row in machine4.history(info)] == ["failed"]


def test_cancelled_and_done_again(machine4: Machine):
    with machine4.sandbox("slow-pods") as info:
        prepared(machine4, Path(info["answers_file"]))
        with opened(machine4, "resume", "demo", size=LARGE) as terminal:
            begin_step_7(terminal, info)
            terminal.send("Right")
            terminal.wait("stops helm")
            terminal.send("Enter")
            terminal.wait(lambda shown: "[ Do it for me ]" in shown and "cancelled" in shown)
            # Cancelled is not the end: the first choice does it again.
            terminal.send("F2")
            terminal.wait("Go to")
            terminal.send("Enter")
            terminal.wait(lambda shown: "Go to" not in shown and "[ Do it for me ]" in shown)
            terminal.send("Enter")
            start(terminal)
            terminal.wait("This step is observed")
        assert [row["status"] for row in machine4.history(info)] == ["superseded", "deployed"]
