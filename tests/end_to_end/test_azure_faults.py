"""What goes wrong in Azure at steps 3 and 5, one by one: what the user is told, and a second `run` that finishes.

The second run is the same command on the same sandbox, started without the fault; where something dead or strange is
in the way, its answers say yes to what the first one asked.
"""

from __future__ import annotations

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from state.problem import EXIT_BAD, EXIT_NOT_YET, EXIT_OK
from tests.end_to_end.harness import Answer, Machine, changed, finish, finishes, problems, until
from tests.end_to_end.in_azure import (
    ENDPOINT,
    WRITES,
    ZONE,
    Info,
    requests,
    require_end_state,
    resources,
    written,
)
from wizard.sandbox import faults as known
from wizard.sandbox.portal_client import register

pytestmark = pytest.mark.slow

STEP_3, STEP_5 = "endpoint pe-weu", "dns dpe-01 pe-weu"
UNIQUE = ("what", "means", "todo")


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong in Azure, and what the user is told. `{name}` in a text is a key of the facts.

    `step`: where it stops; empty when the run gets over it, and then `said` is what it narrates. `ended`: the code of
    the change that was journalled as failed, `tries` times; empty when none was. `status`: what the step is in the end.
    `again`: what had to be sent more than once, by kind, with how often. `words`: what the second run's answers say
    about the steps. `unlinked`: a zone for the first host was left unused.
    """

    exit_code: int = EXIT_OK
    step: str = ""
    done: int = 8
    what: str = ""
    means: str = ""
    todo: str = ""
    detail: str = ""
    said: str = ""
    ended: str = ""
    tries: int = 1
    status: str = "failed"
    again: dict[str, int] = field(default_factory=dict)
    words: dict[str, dict[str, str]] = field(default_factory=dict)
    unlinked: bool = False


FAULTS = {
    known.ARM_THROTTLED: Fault(said="Azure asks to slow down: waiting 1 s, then asking again"),
    known.ARM_SLOW: Fault(said="Azure is still at it, "),
    known.ARM_CONNECTION_DROPPED: Fault(said="dropped the connection"),
    known.ARM_TOKEN_EXPIRED: Fault(said="could not look, Azure does not accept the sign-in."),
    known.ARM_FORBIDDEN: Fault(
        exit_code=EXIT_NOT_YET,
        step=STEP_3,
        done=2,
        what="Your account lacks the right Microsoft.Network/privateEndpoints/write.",
        means="Azure refused the request.",
        todo="Ask the owner of the subscription for it, or hand this step off.",
        detail="AuthorizationFailed: ",
        said="! likely not allowed: Microsoft.Network/privateEndpoints/write",
        ended="forbidden",
        again={ENDPOINT: 2},
    ),
    known.PENDING_FOREVER: Fault(
        exit_code=EXIT_NOT_YET,
        step=STEP_3,
        done=2,
        what="pe-dpe-weu is made, but its connection is still Pending.",
        means="approves endpoints of subscription {subscription_id} by itself, so this one should be soon",
        todo="Send the vendor the message below, and look again when they have answered.",
        detail="/privateEndpoints/pe-dpe-weu",  # the whole message, to be copied
        status="waiting for others",
    ),
    known.REJECTED: Fault(
        exit_code=EXIT_BAD,
        step=STEP_3,
        done=2,
        what="The vendor rejected the connection of pe-dpe-weu.",
        means="it does not recover by itself",
        todo="Ask the vendor why, and whether subscription {subscription_id} is registered.",
        detail="Rejected by the service owner",
        ended="endpoint-rejected",
        again={ENDPOINT: 2},
        words={"endpoint": {"dead_endpoint": "replace"}},
    ),
    known.INVALID_ALIAS: Fault(
        exit_code=EXIT_BAD,
        step=STEP_3,
        done=2,
        what="Azure does not know this link service.",
        means="The alias or Resource ID is mistyped or no longer counts.",
        todo="Compare the field Link service alias with what the vendor gave you",
        detail="InvalidPrivateLinkServiceId: ",
        said="! the service is likely not visible to subscription {subscription_id}",
        ended="azure-link-service-unknown",
        tries=3,  # Azure says this at times of a good one
        again={ENDPOINT: 4},
    ),
    known.POLICY_DENIED: Fault(
        exit_code=EXIT_NOT_YET,
        step=STEP_5,
        done=4,
        what="A policy of your organisation does not allow this.",
        means="Many organisations keep private DNS zones to a central team.",
        todo="hand this step off to the team that may do it",
        detail="RequestDisallowedByPolicy: ",
        ended="azure-policy",
        again={ZONE: 3},
    ),
    known.ZONE_EXISTS: Fault(
        exit_code=EXIT_BAD,
        step=STEP_5,
        done=4,
        what="Azure did not make zone {dpm}: PreconditionFailed.",
        means="Azure did nothing, so that nobody's change is lost.",
        todo="Run this step again: its plan shows what is there now.",
        detail="exists already",
        ended="azure-changed-meanwhile",
    ),
    known.OVERLAPPING_LINK: Fault(
        exit_code=EXIT_BAD,
        step=STEP_5,
        done=4,
        what="Azure did not make link {dpm} to vnet-dpe-weu: BadRequest.",
        means="A VNet cannot have two zones of one name.",
        todo="Run this step again: its plan finds that zone and uses it.",
        detail="overlapping namespaces",
        ended="azure-zone-overlap",
        again={"record": 3},  # in our own zone, before the other team's turned out to be linked
        unlinked=True,
    ),
}

LONG = (known.PENDING_FOREVER, known.ARM_SLOW)


def facts_of(info: Info) -> Info:
    return {**info, **info["hosts"]}


def hosts_of(info: Info) -> tuple[str, ...]:
    return info["hosts"]["dpm"], info["hosts"]["minio"]


def with_words(info: Info, to: Path, words: dict[str, dict[str, str]]) -> Path:
    def say(document: dict[str, Any]) -> None:
        document["fields"].update(words)

    return changed(info["answers_file"], to, say)


@pytest.mark.parametrize("name", [name for name in FAULTS if name not in LONG])
def test_a_fault_is_explained_and_a_second_run_finishes(machine4: Machine, name: str):
    _explained_and_finished(machine4, name)


def test_so_is_one_that_takes_a_minute(tmp_path: Path, helm4: Path):
    """Side by side: what takes so long is waiting."""
    with ThreadPoolExecutor(len(LONG)) as several:
        runs = []
        for name in LONG:
            (tmp_path / name).mkdir()
            runs.append(several.submit(_explained_and_finished, Machine(tmp_path / name, helm4), name))
    for run in runs:
        run.result()


def _explained_and_finished(machine: Machine, name: str) -> None:
    fault = FAULTS[name]
    with machine.sandbox(name, azure=True) as info:
        first = machine.run("demo", Path(info["answers_file"]), timeout=240)
        _require_told(first, fault, facts_of(info))
        _require_journalled(machine, fault)
        before = written(info)

    with machine.sandbox(azure=True) as info:
        finishes(machine, info, with_words(info, machine.home / "again.yml", fault.words))
        host, _ = hosts = hosts_of(info)
        require_end_state(info, "pe-dpe-weu", hosts, unlinked=(host,) if fault.unlinked else ())
        sent = written(info)
        assert sent[: len(before)] == before
        # Each was asked for once; what was refused was asked for again, and only that.
        times = Counter(kind for method, kind, _ in sent if method == "PUT")
        assert times == {**Counter(WRITES), **fault.again}
        deleted = [kind for method, kind, _ in sent if method != "PUT"]
        assert deleted == ([ENDPOINT] if fault.words else [])


def _require_told(answer: Answer, fault: Fault, facts: Info) -> None:
    assert answer.code == fault.exit_code, answer.all
    assert f"{fault.done} of 8 steps done" in answer.out
    assert fault.said.format(**facts) in answer.err, answer.err
    told = problems(answer)
    if not fault.step:
        assert told == []
        return
    number = 3 if fault.step == STEP_3 else 5
    assert re.search(rf" {fault.status} +{number}  ", answer.out), answer.out
    # The place stands above its problem; whatever waits for it says so, and nothing else went wrong.
    assert f"\n{fault.step}\n" in answer.err
    first, *waits = told
    assert first["what"] == fault.what.format(**facts)
    assert fault.means.format(**facts) in first["means"]
    assert fault.todo.format(**facts) in first["todo"]
    assert fault.detail in first["detail"], first["detail"]
    assert waits and all(" waits for " in one["what"] for one in waits), waits


def _require_journalled(machine: Machine, fault: Fault) -> None:
    ended = [event["data"] for event in machine.events("demo", "change_finished")]
    failed = [data["facts"].get("code", "") for data in ended if data["outcome"] != "done"]
    assert failed == ([fault.ended] * fault.tries if fault.ended else [])


def test_every_fault_of_azure_says_something_of_its_own():
    told = [fault for fault in FAULTS.values() if fault.step]
    for part in UNIQUE:
        assert len({getattr(fault, part) for fault in told}) == len(told), part


def test_a_connection_that_is_cut_later_is_seen_by_the_next_look(machine4: Machine, tmp_path: Path):
    with machine4.sandbox(known.DISCONNECTED_LATER, azure=True) as info:
        finishes(machine4, info, info["answers_file"])
        until(lambda: _look_again(machine4).code == EXIT_BAD, "the vendor's removing of the connection")
        checked = machine4.wizard("check", "demo", "--step", "3", "-o", "json")
        (place,) = checked.json()["steps"][0]["items"]
        assert place["status"] == "failed"
        assert "Disconnected (Removed by the service owner)" in place["findings"][0]["text"]

        asked = machine4.run("demo", Path(info["answers_file"]))
        assert asked.code == EXIT_NOT_YET, asked.all
        told, *_ = problems(asked)
        assert told["what"].startswith("The connection of pe-dpe-weu was cut: it is Disconnected.")
        assert "Other things of yours may use this endpoint" in told["means"]
        assert "fields: {endpoint: {dead_endpoint: replace}}" in told["todo"]
        assert Counter(kind for _, kind, _ in written(info)) == Counter(WRITES), "nothing is deleted unasked"

    with machine4.sandbox(azure=True) as info:
        yes = with_words(info, tmp_path / "yes.yml", {"endpoint": {"dead_endpoint": "replace"}})
        finishes(machine4, info, yes)
        require_end_state(info, "pe-dpe-weu", hosts_of(info))
        assert [method for method, kind, _ in written(info) if kind == ENDPOINT] == ["PUT", "DELETE", "PUT"]


def _look_again(machine: Machine) -> Answer:
    return machine.wizard("check", "demo", "--step", "3")


def test_register_pressed_while_the_endpoint_waits_lets_it_in(machine4: Machine):
    with machine4.sandbox(known.NOT_REGISTERED, azure=True) as info:
        running = machine4.start("run", "demo", "--answers", info["answers_file"])
        try:
            until(lambda: _provisioned(info) or running.poll() is not None, "the endpoint")
            register(Path(info["work_dir"]), info["subscription_id"])
        finally:
            done = finish(running)
        assert done.code == EXIT_OK, done.all
        assert "likely does not approve endpoints of subscription" in done.err
        assert "connection Pending" in done.err
        assert "8 of 8 steps done" in done.out
        require_end_state(info, "pe-dpe-weu", hosts_of(info))
        assert [kind for _, kind, _ in written(info)] == list(WRITES)


def _provisioned(info: Info) -> bool:
    """Whether somebody saw the endpoint made and still Pending; the sandbox writes that down when it is asked."""
    found = resources(info, ENDPOINT) if requests(info, "PUT") else []
    return any(one["properties"]["provisioningState"] == "Succeeded" for one in found)
