"""`run` killed with SIGKILL while Azure does steps 3 and 5, then resumed by the plain program: nothing is made twice.

At every write, and at every line that is written about these steps. All runs share a sandbox; each has an endpoint and
host names of its own, which end in its name. They stop where step 6 needs a person: helm is not what is killed here.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from state.problem import EXIT_NOT_YET
from tests.conftest import HELM_4, _tool
from tests.end_to_end import azure_killer, killer
from tests.end_to_end.harness import Answer, Machine, changed, dpe, finish, until
from tests.end_to_end.in_azure import (
    ENDPOINT,
    LINK,
    RECORD,
    WRITES,
    ZONE,
    group_of,
    make_zone,
    require_end_state,
    send,
    set_record,
    written,
)
from tests.end_to_end.test_killed_at_every_append import MARK, processes, saved_once
from wizard.sandbox import faults as known

pytestmark = pytest.mark.slow

AT_ONCE = len(WRITES)  # most of a run is waiting: for Azure, or for what may yet appear there


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A sandbox whose Azure is used."""
    with Machine(tmp_path_factory.mktemp("azure"), _tool(HELM_4)).sandbox(azure=True) as info:
        yield info


@dataclass(frozen=True)
class Site:
    """One run's own machine, endpoint and hosts."""

    name: str
    machine: Machine
    info: dict[str, Any]
    answers: Path

    @property
    def endpoint(self) -> str:
        return f"pe-{self.name}"

    @property
    def hosts(self) -> tuple[str, str]:
        return f"dpm-{self.name}.ataccama.test", f"minio-{self.name}.ataccama.test"

    def killed(self, *program: str) -> Answer:
        """Runs a program that is to die; until nothing of it is left."""
        process = subprocess.Popen(
            [sys.executable, *program, "run", "demo", "--answers", str(self.answers)],
            env=self.machine.env(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        done = finish(process)
        until(lambda: not processes(self.name), f"the end of every process of {self.name}")
        return done

    def sent(self) -> list[str]:
        """The kinds of what was written for this run, in order."""
        return [kind for method, kind, _ in written(self.info, self.name) if method == "PUT"]

    def finishes(self, before: bytes) -> None:
        """The plain program goes on to the end; `before`: the journal as the dead one left it."""
        done = self.machine.run("demo", self.answers)
        assert done.code == EXIT_NOT_YET, (self.name, done.all)
        saved_once(self.machine, before, self.name)
        self.right(done)

    def right(self, done: Answer) -> None:
        """Everything is there once, was asked for once, and the last run has observed it."""
        assert "5 of 8 steps done" in done.out, (self.name, done.all)
        for number in (3, 5):
            assert re.search(rf"observed +{number}  ", done.out), (self.name, done.all)
        assert self.sent() == list(WRITES), self.name
        assert {method for method, _, _ in written(self.info, self.name)} == {"PUT"}, self.name
        require_end_state(self.info, self.endpoint, self.hosts)


def site(home: Path, info: dict[str, Any], name: str) -> Site:
    machine = Machine(home / name, Path(info["helm"]), {MARK: name, "XDG_RUNTIME_DIR": str(home / name / "run")})
    (machine.home / "run").mkdir(parents=True)
    found = Site(name, machine, info, machine.home / "answers.yml")

    def own(document: dict[str, Any]) -> None:
        document["items"]["endpoint"]["pe-weu"]["endpoint_name"] = found.endpoint
        dpe(document)["dpm_host"], dpe(document)["minio_host"] = found.hosts
        document["attest"] = [1, 2, 4]

    changed(info["answers_file"], found.answers, own)
    return found


def _journal(site: Site) -> bytes:
    path = site.machine.journal("demo")
    return path.read_bytes() if path.exists() else b""


# ---------------------------------------------------------------- at every write


def _killed_at_write(home: Path, info: dict[str, Any], when: str, number: int) -> None:
    here = site(home, info, f"w{number}-{when}")
    first = here.killed(azure_killer.__file__, when, str(number), info["trace_file"], here.name)
    assert first.code == -signal.SIGKILL, first.all
    assert len(here.sent()) == number + (when != azure_killer.BEFORE), here.name
    begun = [event["data"]["change"] for event in here.machine.events("demo", "change_started")]
    ended = [event["data"]["change"] for event in here.machine.events("demo", "change_finished")]
    assert len(begun) == number + 1 and ended == begun[:-1], "it died in the middle of this very change"
    here.finishes(_journal(here))
    outcomes = [event["data"]["outcome"] for event in here.machine.events("demo", "change_finished")]
    lost = ["cancelled"] if when == azure_killer.BEFORE else []
    assert sorted(outcomes) == sorted([*lost, *(["done"] * len(WRITES))]), here.name


@pytest.mark.parametrize("when", azure_killer.WHENS)
def test_killed_at_every_write(tmp_path: Path, azure: dict[str, Any], when: str):
    with ThreadPoolExecutor(AT_ONCE) as several:
        runs = [several.submit(_killed_at_write, tmp_path, azure, when, number) for number in range(len(WRITES))]
    for run in runs:
        run.result()


def test_a_killed_sdk_process_costs_nothing(tmp_path: Path, azure: dict[str, Any]):
    """The program itself goes on: the answer is lost, the resource tells."""
    here = site(tmp_path, azure, "helper")
    done = here.killed(azure_killer.__file__, azure_killer.CHILD, "0", azure["trace_file"], here.name)
    assert done.code == EXIT_NOT_YET, done.all
    here.right(done)


# ---------------------------------------------------------------- at every write that takes something away

REPLACED = (("DELETE", ENDPOINT), ("PUT", ENDPOINT), ("PUT", RECORD))
"""By the user's word: an endpoint that the vendor rejected goes, and so does another's record of the first host."""
AFTER_THEM = tuple(("PUT", kind) for kind in (ZONE, RECORD, LINK))
"""What the second host needs, as always."""
AT_EACH = tuple((when, number) for when in azure_killer.WHENS for number in range(len(REPLACED)))


def _name(when: str, number: int) -> str:
    return f"r{number}-{when}"


def _in_the_way(info: dict[str, Any], here: Site) -> None:
    endpoint = f"{group_of(info)}/providers/Microsoft.Network/privateEndpoints/{here.endpoint}"
    asked = {"name": here.endpoint, "properties": {"privateLinkServiceId": info["alias"], "requestMessage": "ours"}}
    properties = {"subnet": {"id": info["subnet_id"]}, "manualPrivateLinkServiceConnections": [asked]}
    send(info, "PUT", endpoint, {"location": info["location"], "properties": properties})
    make_zone(info, here.hosts[0])
    set_record(info, here.hosts[0], "10.99.0.9")
    until(lambda: send(info, "GET", endpoint)["properties"]["provisioningState"] == "Succeeded", "the endpoint")


@pytest.fixture(scope="module")
def rejecting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A sandbox where something is in the way of each run; what the vendor rejected there stays rejected."""
    machine = Machine(tmp_path_factory.mktemp("rejecting"), _tool(HELM_4))
    with machine.sandbox(known.REJECTED, azure=True) as info:
        for when, number in AT_EACH:
            _in_the_way(info, site(machine.home, info, _name(when, number)))
    with machine.sandbox(azure=True) as info:
        yield info


def _killed_at_replacing(home: Path, info: dict[str, Any], when: str, number: int) -> None:
    here = site(home, info, _name(when, number))
    words = {"endpoint": {"dead_endpoint": "replace"}, "dns": {"other_record": "replace"}}
    changed(here.answers, here.answers, lambda document: document["fields"].update(words))
    arranged = len(written(info, here.name))
    first = here.killed(azure_killer.__file__, when, str(number), info["trace_file"], here.name)
    assert first.code == -signal.SIGKILL, first.all
    assert len(written(info, here.name)) - arranged == number + (when != azure_killer.BEFORE), here.name
    before = _journal(here)
    done = here.machine.run("demo", here.answers)
    assert done.code == EXIT_NOT_YET and "5 of 8 steps done" in done.out, (here.name, done.all)
    saved_once(here.machine, before, here.name)
    sent = [(method, kind) for method, kind, _ in written(info, here.name)[arranged:]]
    assert sent == [*REPLACED, *AFTER_THEM], here.name
    require_end_state(info, here.endpoint, here.hosts)


def test_killed_where_something_is_replaced(tmp_path: Path, rejecting: dict[str, Any]):
    """What was to go goes once, and what takes its place is made once."""
    with ThreadPoolExecutor(len(AT_EACH)) as several:
        runs = [several.submit(_killed_at_replacing, tmp_path, rejecting, *at) for at in AT_EACH]
    for run in runs:
        run.result()


# ---------------------------------------------------------------- at every line about these steps


def _killed_at_line(home: Path, info: dict[str, Any], number: int) -> None:
    here = site(home, info, f"l{number}")
    first = here.killed(killer.__file__, killer.BEFORE, str(number))
    assert first.code == -signal.SIGKILL, first.all
    before = _journal(here)
    assert before.count(b"\n") == number, here.name
    here.finishes(before)


def test_killed_before_every_line_about_azure(tmp_path: Path, azure: dict[str, Any]):
    whole = site(tmp_path, azure, "undisturbed")
    done = whole.machine.run("demo", whole.answers)
    assert done.code == EXIT_NOT_YET, done.all
    whole.right(done)
    events = whole.machine.events("demo")
    types = ["header", *(event["type"] for event in events)]
    first = types.index("identity_pinned")
    assert types[first:].count("change_started") == len(WRITES)
    numbers, does, ended = [], "", set()
    for number, event in list(enumerate(events, 1))[first - 1 :]:
        if event["type"] == "change_started":
            # Right before it nothing is different from right after the line above.
            does = event["data"]["facts"]["does"]
            continue
        if event["type"] == "change_finished":
            # The end of one change of each kind: the other host's are the same.
            if does in ended:
                continue
            ended.add(does)
        numbers.append(number)
    assert len(ended) == len(set(WRITES))
    with ThreadPoolExecutor(AT_ONCE) as several:
        runs = [several.submit(_killed_at_line, tmp_path, azure, number) for number in numbers]
    for run in runs:
        run.result()
