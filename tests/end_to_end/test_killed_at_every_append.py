"""`run` killed with SIGKILL at every line it writes, then resumed by the plain program: nothing is asked twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end import killer
from tests.end_to_end.harness import Machine, chain_holds, changed, dpe, finish, until

MARK = "PRIVATELINK_TEST_MARK"  # inherited by every child, so that no process of a run is overlooked


def resumed_after_death(home: Path, helm: Path, info: dict[str, Any], mode: str, number: int) -> bool:
    """Runs until line `number` and dies there, then runs again to the end; False when it ended before that line."""
    name = f"{mode}-{number}"
    machine = Machine(home / name, helm, {MARK: name, "XDG_RUNTIME_DIR": str(home / name / "run")})
    (machine.home / "run").mkdir(parents=True)

    def own_namespace(document: dict[str, Any]) -> None:
        dpe(document)["namespace"] = name

    answers = changed(info["answers_file"], machine.home / "answers.yml", own_namespace)
    process = subprocess.Popen(
        [sys.executable, killer.__file__, mode, str(number), "run", "demo", "--answers", str(answers)],
        env=machine.env(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    first = finish(process)
    if first.code == 0:
        return False
    assert first.code == -signal.SIGKILL, first.all
    journal = machine.journal("demo")
    written = journal.read_bytes() if journal.exists() else b""
    died_at = written.count(b"\n")
    assert died_at == number + (mode in (killer.UNSYNCED, killer.AFTER)), written
    assert written.endswith(b"\n") != (mode == killer.TORN) or number == 0, written[-100:]

    second = machine.run("demo", answers)
    assert second.code == 0, (name, second.all)
    assert "8 of 8 steps done" in second.out, (name, second.all)
    saved_once(machine, written, name)
    (release,) = machine.history({**info, "namespace": name})
    assert (release["revision"], release["status"]) == (1, "deployed"), name
    assert machine.wizard("check", "demo", "-o", "json").code == 0, name
    until(lambda: not processes(name), f"the end of every process of {name}")
    return True


def saved_once(machine: Machine, before: bytes, name: str) -> None:
    """What was saved before is still there, in an intact chain, and nothing was saved a second time."""
    journal = machine.journal("demo")
    assert chain_holds(journal), name
    kept = before[: before.rfind(b"\n") + 1]
    assert journal.read_bytes().startswith(kept), name
    torn = list(journal.parent.glob("demo.torn-*"))
    assert [path.read_bytes() for path in torn] == ([before[len(kept) :]] if before != kept else []), name

    events = machine.events("demo")
    # A finding may be looked at, and so written, again; an intent is written once.
    intents = [
        json.dumps([event["type"], event["data"]], sort_keys=True) for event in events if event["type"] != "found"
    ]
    assert [intent for intent, times in Counter(intents).items() if times > 1] == [], name
    asked = Counter(
        (event["data"].get("item"), event["data"]["field"]) for event in events if event["type"] == "field_set"
    )
    confirmed = Counter(event["data"]["fingerprint"] for event in events if event["type"] == "attested")
    assert set(asked.values()) == set(confirmed.values()) == {1}, (name, asked, confirmed)
    started = {event["data"]["change"] for event in events if event["type"] == "change_started"}
    finished = [event["data"]["change"] for event in events if event["type"] == "change_finished"]
    assert sorted(finished) == sorted(started), name


def processes(mark: str) -> list[str]:
    """The command lines of the living processes that inherited the mark."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if f"{MARK}={mark}\0".encode() in (entry / "environ").read_bytes() + b"\0":
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:  # ended meanwhile, or another user's
            continue
    return found


@pytest.fixture(scope="module")
def lines(served: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The types of the lines that an undisturbed run writes, the header first."""
    machine = Machine(tmp_path_factory.mktemp("undisturbed"), Path(served["helm"]))
    done = machine.run("demo", Path(served["answers_file"]))
    assert done.code == 0, done.all
    return ["header", *(event["type"] for event in machine.events("demo"))]


@pytest.mark.slow
def test_killed_when_helm_was_just_started(tmp_path: Path, served: dict[str, Any], lines: list[str]):
    """The worst moment, in the fast suite; all the others are in the slow one."""
    at = lines.index("process_started")
    assert resumed_after_death(tmp_path, Path(served["helm"]), served, killer.AFTER, at)


@pytest.mark.slow
@pytest.mark.parametrize("mode", killer.MODES)
def test_killed_at_every_append(tmp_path: Path, served: dict[str, Any], lines: list[str], mode: str):
    helm = Path(served["helm"])
    numbers = list(range(len(lines)))
    if mode in (killer.TORN, killer.UNSYNCED):
        numbers.pop(0)  # the header comes into being at once, as a whole file
    if mode == killer.UNSYNCED:
        # To whoever reads the file it is as good as saved: one line of each type is enough.
        numbers = sorted({lines.index(type) for type in lines} - {0})
    with ThreadPoolExecutor(2) as two:
        died = list(
            two.map(resumed_after_death, *zip(*((tmp_path, helm, served, mode, n) for n in numbers), strict=True))
        )
    assert all(died)
    assert not resumed_after_death(tmp_path, helm, served, mode, len(lines))
