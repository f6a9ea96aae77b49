"""What goes wrong in Azure at steps 3 and 5, on a real terminal of 80 by 24, by keyboard alone: what is drawn, and the
way on.

What stops is opened again on the same sandbox, started without the fault, and the choice that the screen offers is
taken. What is got over needs no second start. What is sent more than once, and the journal's words for it, are the
same as of `run`: see `test_azure_faults`.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.end_to_end.azure_faults import FAULTS, LONG, STEP_5, Fault
from tests.end_to_end.harness import Machine, chain_holds
from tests.end_to_end.in_azure import ENDPOINT, Info, require_end_state, written
from tests.end_to_end.terminal import Terminal
from tests.end_to_end.test_screens import NAME, opened
from tests.end_to_end.walking import (
    DONE_FOR_ME,
    OBSERVED,
    PLACES,
    enter,
    fill,
    in_a_field,
    planned,
    start,
    take,
    walk_to,
)
from wizard.sandbox import faults as known
from wizard.sandbox.portal_client import register

pytestmark = pytest.mark.slow

PENDING = "connection Pending (Awaiting Approval)"
SAID = {
    known.ARM_THROTTLED: (2, "Azure asks to slow down: waiting 1 s, then asking again"),
    known.ARM_TOKEN_EXPIRED: (2, "Azure does not accept the sign-in. Typing works all the same."),
    known.ARM_SLOW: (3, "provisioning Updating, connection Approved"),
    known.ARM_CONNECTION_DROPPED: (3, "dropped the connection"),
    known.PENDING_FOREVER: (3, f"provisioning Succeeded, {PENDING}"),
    known.INVALID_ALIAS: (3, "it says the same at times of a good one: asking again in 5 s, try 2 of 3"),
}
"""What the screen says while the program still goes on, whole, and at which step."""

WAITING = (*LONG, known.INVALID_ALIAS)
AGAIN, LOOK, REPLACE = "Do it for me", "Look again", "Delete, then create anew"


def squeezed(drawn: str) -> str:
    """A text as it was before it was folded: without blanks, edges and scroll bars."""
    return re.sub(r"[\s▁-█▌▕]", "", drawn)


def says(terminal: Terminal, text: str) -> str:
    """Waits until a text is drawn, however it is folded; returns the screen."""
    return terminal.wait(lambda shown: squeezed(text) in squeezed(shown), patience=90)


def facts_of(machine: Machine) -> Info:
    """Where the rehearsal's Azure is, and what was typed."""
    (environment,) = (event["data"] for event in machine.events(NAME, "environment_set"))
    work_dir = Path(environment["kubeconfig"]).parent
    values = {event["data"]["field"]: event["data"]["value"] for event in machine.events(NAME, "field_set")}
    return {
        "work_dir": str(work_dir),
        "trace_file": str(work_dir / "trace.jsonl"),
        "endpoint": values["endpoint_name"],
        "subscription_id": values["subscription_id"],
        "dpm": values.get("dpm_host", ""),
        "minio": values.get("minio_host", ""),
    }


def number_of(fault: Fault | None) -> int:
    """The step at which it shows itself."""
    return 5 if fault is not None and fault.step == STEP_5 else 3


@pytest.mark.parametrize("name", [name for name in FAULTS if name not in WAITING])
def test_a_fault_is_explained_and_the_way_on_ends_it(machine4: Machine, name: str):
    _explained_and_ended(machine4, name)


def test_so_is_one_that_is_waited_for(tmp_path: Path, helm4: Path):
    """Side by side: what takes so long is waiting."""
    with ThreadPoolExecutor(len(WAITING)) as several:
        runs = []
        for name in WAITING:
            (tmp_path / name).mkdir()
            runs.append(several.submit(_explained_and_ended, Machine(tmp_path / name, helm4), name))
    for run in runs:
        run.result()


def _explained_and_ended(machine: Machine, name: str) -> None:
    fault = FAULTS[name]
    with opened(machine, "sandbox", "--reset", "--fault", name) as terminal:
        plan = _walked(terminal, name)
        facts = facts_of(machine)
        if not fault.step:
            terminal.wait(OBSERVED)
        else:
            _require_told(terminal, fault, facts, plan)
        terminal.send("C-q")
        assert terminal.exit_code() == 0
    if fault.step:
        before = machine.events(NAME)
        _goes_on(machine, fault)
        _require_nothing_lost(machine, before)
    hosts = (facts["dpm"], facts["minio"]) if number_of(fault) == 5 else ()
    require_end_state(facts, facts["endpoint"], hosts, unlinked=hosts[:1] if fault.unlinked else ())


def _walked(terminal: Terminal, name: str) -> str:
    """Begins the step at which a fault shows itself; returns how its plan was drawn."""
    number = number_of(FAULTS.get(name))
    at, said = SAID.get(name, (0, ""))
    walk_to(terminal, 1)
    enter(terminal, 2)
    if at == 2:
        says(terminal, said)
    if name == known.ARM_TOKEN_EXPIRED:
        _sign_in(terminal)
    take(terminal, 2)
    for between in range(3, number):
        enter(terminal, between)
        take(terminal, between)
    enter(terminal, number)
    fill(terminal, PLACES[number])
    plan = planned(terminal, *DONE_FOR_ME[number])
    start(terminal)
    if at == number:
        shown = says(terminal, said)
        assert re.search(r"(?m)^  pe-weu  » running ", shown), "nothing has failed yet"
    return plan


def _sign_in(terminal: Terminal) -> None:
    """Where the list could not be read. It is read again then, by itself."""
    terminal.wait("[ Sign in ]")
    terminal.send("Enter")
    # The line of the first choice is there before the field is left.
    terminal.wait(lambda shown: "Sign in: to Azure; " in shown and not in_a_field(shown))
    terminal.send("Enter")
    terminal.wait(lambda shown: "signed in as" in shown and "[ Go on ]" in shown)
    terminal.send("Enter")
    terminal.wait(lambda shown: "[ Sign in ]" not in shown and "[ I confirm ]" in shown)


def _require_told(terminal: Terminal, fault: Fault, facts: Info, plan: str) -> None:
    """What happened, what it means, what to do next and which choice does it stand on one screen."""
    assert squeezed(fault.said.format(**facts)) in squeezed(plan), plan
    shown = says(terminal, fault.what.format(**facts))
    shown = terminal.wait(lambda shown: "[ Cancel ]" not in shown and "do next" in shown)
    waits = fault.status != "failed"
    for part in (fault.what, fault.means, fault.todo, "" if waits else fault.detail):
        assert squeezed(part.format(**facts)) in squeezed(shown), shown
    assert f"[ {LOOK if waits else AGAIN} ]" in shown
    assert re.search(r"(?m)^  (pe-weu|dpe-01 by pe-weu)  (▻ vendor|✗ failed)  ", shown), shown
    if waits:
        # The message is too long to stand here.
        terminal.send("Enter")
        says(terminal, fault.detail.format(**facts))


def _plan(terminal: Terminal, yes: str) -> None:
    """Asks for the plan."""
    terminal.wait(lambda shown: f"[ {AGAIN} ]" in shown and "reads what is there, shows the plan" in shown)
    terminal.send("Enter")
    terminal.wait(f"[ {yes} ]")


def _goes_on(machine: Machine, fault: Fault) -> None:
    """Opens it again without the fault, and takes the way on that is offered."""
    with opened(machine, "resume", NAME) as terminal:
        terminal.wait("Nothing was lost")
        terminal.send("C-n")
        if fault.status != "failed":
            terminal.wait(f"[ {LOOK} ]")
            terminal.send("C-r")
        else:
            _plan(terminal, REPLACE if fault.words else "Start")
            if fault.words:
                # Back has the focus: something is deleted.
                terminal.wait(f"[ {REPLACE} ]")
                terminal.send("Left")
                terminal.wait(f"{REPLACE}: ")
            start(terminal, REPLACE if fault.words else "Start")
        terminal.wait(OBSERVED)
        terminal.send("C-q")
        assert terminal.exit_code() == 0


def _require_nothing_lost(machine: Machine, before: list[Info]) -> None:
    after = machine.events(NAME)
    assert after[: len(before)] == before
    asked = [event["data"]["field"] for event in after[len(before) :] if event["type"] == "field_set"]
    assert set(asked) <= {"private_ip", "endpoint_id"}, "from Azure; nothing is typed a second time"
    assert chain_holds(machine.journal(NAME))


def test_killed_while_the_endpoint_waits_and_registered_then(machine4: Machine):
    with opened(machine4, "sandbox", "--reset", "--fault", known.NOT_REGISTERED) as terminal:
        plan = _walked(terminal, known.NOT_REGISTERED)
        assert "likely does not approve endpoints" in plan
        says(terminal, f"provisioning Succeeded, {PENDING}")
        os.kill(terminal.pid(), signal.SIGKILL)
        terminal.exit_code()
    before = machine4.events(NAME)

    with machine4.sandbox(known.NOT_REGISTERED, azure=True) as info, opened(machine4, "resume", NAME) as terminal:
        terminal.wait("Still running")
        terminal.send("C-n")
        shown = says(terminal, f"provisioning Succeeded, {PENDING}")
        assert "» running" in shown
        register(Path(info["work_dir"]), info["subscription_id"])
        terminal.wait(OBSERVED)
        terminal.send("C-q")
        assert terminal.exit_code() == 0
        _require_nothing_lost(machine4, before)
        require_end_state(info, "pe-weu", ())
        assert [(method, kind) for method, kind, _ in written(info)] == [("PUT", ENDPOINT)]


def test_a_connection_that_is_cut_later_is_seen_by_the_next_look(machine4: Machine):
    with opened(machine4, "sandbox", "--reset", "--fault", known.DISCONNECTED_LATER) as terminal:
        walk_to(terminal, 3)
        # Nobody is told; whoever looks again sees it.
        for _ in range(20):
            terminal.send("C-r")
            with contextlib.suppress(AssertionError):
                terminal.wait("Disconnected", patience=3)
                break
        says(terminal, "connection Disconnected (Removed by the service owner)")
        says(terminal, "No data goes through it, and it does not recover by itself.")
        while "Do it again: " not in terminal.screen() and f"{AGAIN}: " not in terminal.screen():
            before = terminal.screen()
            terminal.send("Right")
            terminal.wait(lambda shown, before=before: shown != before)  # type: ignore[misc]
        terminal.send("Enter")
        says(terminal, "The connection of")
        says(terminal, "Other things of yours may use this endpoint")
        terminal.wait(f"[ {REPLACE} ]")
