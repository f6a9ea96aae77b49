"""What goes wrong in Azure at steps 3 and 5, one by one: what the user is told, and a second `run` that finishes.

The second run is the same command on the same sandbox, started without the fault; where something dead or strange is
in the way, its answers say yes to what the first one asked.
"""

from __future__ import annotations

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from state.problem import EXIT_BAD, EXIT_NOT_YET, EXIT_OK
from tests.end_to_end.azure_faults import FAULTS, LONG, STEP_3, Fault
from tests.end_to_end.harness import Answer, Machine, changed, finish, finishes, problems, until
from tests.end_to_end.in_azure import (
    ENDPOINT,
    WRITES,
    Info,
    requests,
    require_end_state,
    resources,
    written,
)
from wizard.sandbox import faults as known
from wizard.sandbox.portal_client import register

pytestmark = pytest.mark.slow

UNIQUE = ("what", "means", "todo")


def facts_of(info: Info) -> Info:
    return {**info, **info["hosts"], "endpoint": "pe-dpe-weu"}


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
    assert fault.detail.format(**facts) in first["detail"], first["detail"]
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
