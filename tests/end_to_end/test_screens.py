"""The screens on a real terminal, by keyboard alone: a rehearsal to a deployed release, and what interrupts it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.harness import Machine, chain_holds, until
from tests.end_to_end.piloted import Piloted
from tests.end_to_end.terminal import Terminal
from tests.end_to_end.walking import done_for_me, fill, walk_to, whole_job
from tests.screens.harness import LARGE, SMALL, shown
from wizard import opening
from wizard.places import places
from wizard.rehearsal import Serving
from wizard.sandbox.info import parse

NAME = "rehearsal"
WIZARD = (sys.executable, "-m", "wizard")


def opened(machine: Machine, *command: str, size: tuple[int, int] = SMALL, **env: str) -> Terminal:
    """The program on a terminal of its own."""
    given = {**machine.env(), "TERM": "tmux-256color", "COLORTERM": "truecolor", "TZ": "UTC", **env}
    return Terminal([*WIZARD, *command], size=size, env=given, cwd=Path.cwd())


def kubeconfig_of(machine: Machine) -> dict[str, Any]:
    """Where the rehearsal's cluster is, for helm to be asked from outside."""
    (environment,) = (event["data"] for event in machine.events(NAME, "environment_set"))
    values = {event["data"]["field"]: event["data"]["value"] for event in machine.events(NAME, "field_set")}
    return {**environment, "release": values["release"], "namespace": values["namespace"]}


@pytest.mark.slow
@pytest.mark.parametrize("size", [pytest.param(SMALL, id="80x24"), pytest.param(LARGE, id="120x40")])
def test_a_rehearsal_to_a_deployed_release(machine4: Machine, size: tuple[int, int]):
    with opened(machine4, "sandbox", "--reset", size=size) as terminal:
        whole_job(terminal)
        # The step list stands beside the body where there is room for it.
        assert ("1 Connectivity " in terminal.screen()) == (size == LARGE)
        assert [row["status"] for row in machine4.history(kubeconfig_of(machine4))] == ["deployed"]
        terminal.send("C-q")
        assert terminal.exit_code() == 0
        said = terminal.everything()
    listed = machine4.wizard("list", "-o", "json").json()["setups"]
    assert [(one["name"], one["done_steps"], one["sandbox"]) for one in listed] == [(NAME, 8, True)]
    # The head is shown at quit, so that it can be noted elsewhere.
    assert listed[0]["head"] in said.replace("\n", "")
    assert chain_holds(machine4.journal(NAME))
    intents = [(event["data"]["field"], event["data"]["value"]) for event in machine4.events(NAME, "field_set")]
    assert len(set(intents)) == len(intents)


@pytest.mark.slow
def test_without_colours(machine4: Machine):
    with opened(machine4, "sandbox", "--reset", NO_COLOR="1") as terminal:
        walk_to(terminal, 2)
        # Reverse and underline tell what is current; not one colour is asked for.
        assert not re.search(r"\x1b\[[0-9;]*(?:3[0-7]|4[0-7]|38|48|9[0-7]|10[0-7])[;m]", terminal.raw())
        assert re.search(r"\x1b\[[0-9;]*7m", terminal.raw())


@pytest.mark.slow
def test_killed_at_step_5_and_resumed(machine4: Machine):
    with opened(machine4, "sandbox", "--reset") as terminal:
        walk_to(terminal, 4)
        terminal.send("C-n")
        terminal.wait("[ Add a ")
        terminal.send("Enter")
        terminal.wait("It is only what this setup calls it")
        terminal.send("Enter")
        fill(terminal, ("DPM host",))
        until(lambda: any(one["data"]["field"] == "dpm_host" for one in machine4.events(NAME, "field_set")), "the save")
        os.kill(terminal.pid(), signal.SIGKILL)
        terminal.exit_code()
    before = machine4.events(NAME)

    with opened(machine4, "resume", NAME) as terminal:
        left_off = "DPM host typed, MinIO host still empty"
        summary = terminal.wait(lambda shown: left_off in " ".join(shown.split()) and "[ Go on with step 5 ]" in shown)
        assert "Nothing was lost" in summary
        assert "step 5, dpe-01 pe-weu" in summary
        terminal.send("C-n")
        # Where it was left: the same item, the next field, nothing asked twice.
        fill(terminal, ("MinIO host",))
        done_for_me(terminal, "VNet of the DPE", "DNS server to ask")
        terminal.send("C-q")
        assert terminal.exit_code() == 0
    after = machine4.events(NAME)
    assert after[: len(before)] == before
    new = [event for event in after[len(before) :] if event["type"] == "field_set"]
    assert [event["data"]["field"] for event in new] == ["minio_host"]


@pytest.mark.slow
def test_a_second_writer_is_offered_review(machine4: Machine):
    with opened(machine4, "new", "prod") as first:
        first.wait("Preflight")
        with opened(machine4, "resume", "prod") as second:
            told = second.wait("[ Review ]")
            assert str(first.pid()) in told
            second.send("Enter")
            second.wait("READ-ONLY")
            second.send("C-q")
            assert second.exit_code() == 0


def test_a_typo_is_answered_in_the_shell(machine4: Machine):
    with opened(machine4, "resume", "nobody") as terminal:
        assert terminal.exit_code() == 2
        assert "There is no setup named nobody." in terminal.everything()


@pytest.mark.slow
@pytest.mark.parametrize("size", [pytest.param(SMALL, id="80x24"), pytest.param(LARGE, id="120x40")])
async def test_a_rehearsal_piloted(machine: Machine, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch):
    """The same walk in the app's own driver, with helm 3 and helm 4."""
    for name, value in machine.env().items():
        monkeypatch.setenv(name, value)
    with machine.sandbox() as told:
        info = parse(json.dumps(told))
        start = opening.Rehearsal(Serving(info, ExitStack()), reset=True)
        async with shown(places(str(machine.state_dir)), start, size=size) as (app, pilot):
            await asyncio.to_thread(whole_job, Piloted(app, pilot))
        assert [row["status"] for row in machine.history(told)] == ["deployed"]
