"""`review --live` after a whole rehearsal: it looks at everything, and whatever it sends is a question.

Seen from outside: in the sandbox's trace of every request, in the files before and after, in the modules that were
loaded. That the net holds is shown by what is let in on purpose.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import HELM_4, KUBECTL, _tool
from tests.contracts.test_read_only import everything
from tests.end_to_end.harness import WAIT, Answer, Machine, until
from tests.end_to_end.terminal import Terminal
from tests.report_forms import untold

pytestmark = pytest.mark.slow

VISIBILITY = re.compile(r"/checkPrivateLinkServiceVisibility$", re.IGNORECASE)
# Kubernetes runs commands in a pod by what may be a GET (a WebSocket begins as one).
INTO_A_POD = re.compile(r"/(exec|attach|portforward|proxy)(/|$)")


def more_than_a_look(rows: list[dict[str, Any]]) -> list[str]:
    """Every request of a trace that could change something, or that runs something."""
    return [f"{row['server']} {row['method']} {row['path']}" for row in rows if not _is_look(row)]


def _is_look(row: dict[str, Any]) -> bool:
    method, path = row["method"], row["path"]
    if row["server"] == "dns":
        return method in ("A", "AAAA")
    if row["server"] == "arm" and method == "POST":
        return VISIBILITY.search(path) is not None
    return method == "GET" and INTO_A_POD.search(path) is None


@dataclass
class Rehearsed:
    """A machine whose sandbox runs, with the setup `demo` done from end to end."""

    machine: Machine
    info: dict[str, Any]

    @property
    def journal(self) -> Path:
        return self.machine.journal("demo")

    @contextlib.contextmanager
    def watched(self) -> Iterator[list[dict[str, Any]]]:
        """The requests that reach the sandbox while the block lasts; known when it is left."""
        trace = Path(self.info["trace_file"])
        before = len(trace.read_text().splitlines())
        rows: list[dict[str, Any]] = []
        yield rows
        rows += map(json.loads, trace.read_text().splitlines()[before:])

    def let_in(self, what: str) -> Answer:
        """The program with somebody in it who does more than look."""
        done = subprocess.run(
            [sys.executable, "-m", "tests.end_to_end.let_in", what, "review", "demo", "--live", "-o", "json"],
            env={**self.machine.env(), "PYTHONPATH": str(Path.cwd())},
            capture_output=True,
            text=True,
            timeout=WAIT,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def kubectl(self, *arguments: str) -> None:
        command = [_tool(KUBECTL), "--kubeconfig", self.info["kubeconfig"], "-n", self.info["namespace"], *arguments]
        subprocess.run(command, env=self.machine.env(), check=True, capture_output=True, timeout=WAIT)

    def left_behind(self) -> list[Path]:
        """What is in the directory where runs keep what their readers need."""
        return list(Path(self.machine.extra_env["XDG_RUNTIME_DIR"]).iterdir())


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsed]:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
        machine = Machine(tmp_path_factory.mktemp("rehearsed"), _tool(HELM_4), {"XDG_RUNTIME_DIR": memory})
        yield from _rehearsed(machine)


def _rehearsed(machine: Machine) -> Iterator[Rehearsed]:
    with machine.sandbox(azure=True) as info:
        done = machine.run("demo", Path(info["answers_file"]))
        assert done.code == 0, done.all
        yield Rehearsed(machine, info)


def servers(rows: list[dict[str, Any]]) -> set[str]:
    return {row["server"] for row in rows}


def test_it_only_asks_and_leaves_everything_as_it_was(rehearsed: Rehearsed):
    before = everything(rehearsed.machine.state_dir)
    with rehearsed.watched() as rows:
        done = rehearsed.machine.wizard("review", "demo", "--live", "-o", "json")
    assert done.code == 0, done.all
    assert more_than_a_look(rows) == []
    assert servers(rows) == {"arm", "dns", "identity", "kubernetes"}, "everybody was asked"
    assert any(row["path"].endswith("/secrets") for row in rows), "helm too: its revisions are secrets"
    assert everything(rehearsed.machine.state_dir) == before, "neither an event nor a lock file"
    document = done.json()
    recorded = rehearsed.machine.wizard("review", "demo", "-o", "json").json()
    live = document.pop("live")
    # Only the moment of asking differs.
    assert (document.pop("now")["differences"], recorded.pop("now")["differences"]) == ([], [])
    assert document == recorded, "the report is the same"
    assert {one["state"] for one in live["identities"]} == {"same"}
    looked = {(check["number"], check["check"]): check for check in live["checks"]}
    assert {number for number, _ in looked} == {2, 3, 4, 5, 7}
    for check in looked.values():
        assert check["difference"] in ("as recorded", "not repeated"), check
        assert check["difference"] == "not repeated" or check["verdict"] == "good"


def test_a_report_with_what_was_found_live_is_still_the_journals(rehearsed: Rehearsed, tmp_path: Path):
    report = tmp_path / "report.json"
    assert rehearsed.machine.wizard("review", "demo", "--live", "-o", "json", "--out", str(report)).code == 0
    assert "live" in json.loads(report.read_text())
    done = rehearsed.machine.wizard("review", "demo", "--verify", str(report))
    assert done.code == 0, done.all


def test_every_form_tells_every_fact(rehearsed: Rehearsed):
    """Of a setup that was really taken through its steps."""

    def form(name: str) -> str:
        done = rehearsed.machine.wizard("review", "demo", "-o", name, "--as-of", at)
        assert done.code == 0, done.all
        return done.out

    at = rehearsed.machine.wizard("review", "demo", "-o", "json").json()["as_of"]
    document = json.loads(form("json"))
    document["now"]["at"] = ""  # the moment of asking, another one each time
    assert untold(document, form("text"), form("html")) == []


# What may be loaded of the adapters, one by one: who adds another asks whether it only looks.
MAY_BE_LOADED = {
    *("azure", "azure_asking", "azure_calls", "azure_claims", "azure_errors"),
    *(
        "cluster",
        "cluster_api",
        "cluster_calls",
        "dns",
        "helm",
        "helm_commands",
        "helm_errors",
        "helm_exec",
        "helm_files",
    ),
    *("child_process", "sdk_child", "sdk_process", "spawn"),
}
# A store can write as well as read; without filelock it can't be opened for that.
WRITERS = ("filelock", "wizard.unattended", "wizard.open_setup")
LOADED = """
import json, sys
from wizard.cli import main
code = main(sys.argv[1:])
print(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)
"""


def test_no_writer_is_loaded(rehearsed: Rehearsed):
    done = subprocess.run(
        [sys.executable, "-c", LOADED, "review", "demo", "--live", "-o", "json"],
        env=rehearsed.machine.env(),
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=True,
    )
    code, modules = json.loads(done.stderr.splitlines()[-1])
    assert code == 0
    adapters = {name.removeprefix("wizard.adapters.") for name in modules if name.startswith("wizard.adapters.")}
    assert adapters <= MAY_BE_LOADED, adapters - MAY_BE_LOADED
    assert {"azure", "cluster", "helm", "dns"} <= adapters, "it did look"
    assert [name for name in WRITERS if name in modules] == []


def test_a_copy_is_looked_at_by_an_auditors_own_means(rehearsed: Rehearsed, tmp_path: Path):
    """Nothing that the copy names is followed: where there is no sandbox of theirs, nobody is asked."""
    copy = tmp_path / "copy.jsonl"
    shutil.copy(rehearsed.journal, copy)
    copy.chmod(0o400)
    auditor = Machine(tmp_path, rehearsed.machine.helm)
    with rehearsed.watched() as rows:
        done = auditor.wizard("review", str(copy), "--live", "-o", "json")
    assert (done.code, rows) == (3, []), "this auditor has no sandbox"
    assert "there is no sandbox" in done.err
    with rehearsed.watched() as rows:
        done = auditor.wizard("review", str(copy), "--live", "-o", "json", "--kubeconfig", rehearsed.info["kubeconfig"])
    assert done.code == 0, done.all
    assert more_than_a_look(rows) == [] and servers(rows) == {"arm", "dns", "identity", "kubernetes"}
    assert {check["difference"] for check in done.json()["live"]["checks"]} <= {"as recorded", "not repeated"}
    assert not auditor.state_dir.exists()


def test_another_sandbox_is_told_and_nothing_is_compared(rehearsed: Rehearsed, tmp_path: Path):
    """Apples and pears: another tenant, another cluster."""
    copy = tmp_path / "copy.jsonl"
    shutil.copy(rehearsed.journal, copy)
    other = Machine(tmp_path, rehearsed.machine.helm)
    with other.sandbox(azure=True) as info:
        done = other.wizard("review", str(copy), "--live", "-o", "json", "--kubeconfig", info["kubeconfig"])
        rows = [json.loads(line) for line in Path(info["trace_file"]).read_text().splitlines()]
    assert done.code in (1, 3), done.all
    live = done.json()["live"]
    assert {one["state"] for one in live["identities"]} == {"other"}
    assert all(rehearsed.info["tenant_id"] in one["text"] for one in live["identities"] if one["kind"] == "azure")
    of_them = [check for check in live["checks"] if check["number"] in (2, 3, 4, 7)]
    assert of_them and {check["difference"] for check in of_them} == {"could not look"}
    assert not any(row["path"].endswith(("/secrets", "/privateEndpoints")) for row in rows), "it was not asked"


# ---------------------------------------------------------------- the screen


@contextlib.contextmanager
def on_screen(rehearsed: Rehearsed, size: tuple[int, int] = (120, 40)) -> Iterator[Terminal]:
    environment = {**rehearsed.machine.env(), "TERM": "xterm-256color"}
    command = [sys.executable, "-m", "wizard", "review", "demo", "--live"]
    with Terminal(command, size=size, env=environment) as terminal:
        yield terminal


@pytest.mark.parametrize("size", [(120, 40), (80, 24)], ids=["120x40", "80x24"])
def test_the_screen_looks_and_stays_live(rehearsed: Rehearsed, size: tuple[int, int]):
    before = everything(rehearsed.machine.state_dir)
    with rehearsed.watched() as rows, on_screen(rehearsed, size) as terminal:
        terminal.wait(lambda shown: re.search(r"looking again +\d+ of \d+ checks", shown))
        terminal.send("Down", "Down")
        shown = terminal.wait("Create Private Endpoint")
        terminal.wait(lambda shown: "Now" in shown and "as recorded" in shown)
        assert "✗" not in terminal.screen().partition("Now")[2].splitlines()[0]
        terminal.send("F4")
        terminal.wait("UTC")
        terminal.send("F4")
        terminal.send("C-r")
        terminal.wait("looking again")
        terminal.send("Escape")
        terminal.wait("looking again was stopped")
        terminal.send("C-q")
        assert terminal.exit_code() == 0, shown
    assert more_than_a_look(rows) == []
    assert servers(rows) == {"arm", "dns", "identity", "kubernetes"}
    assert everything(rehearsed.machine.state_dir) == before


def test_quitting_in_the_middle_leaves_nothing_behind(rehearsed: Rehearsed):
    with on_screen(rehearsed) as terminal:
        terminal.wait(lambda shown: re.search(r"looking again +\d+ of \d+ checks", shown))
        group = os.getpgid(terminal.pid())
        terminal.send("C-q")
        assert terminal.exit_code() == 0
        until(lambda: not _members(group), "the children end")
    assert rehearsed.left_behind() == []


def test_interrupting_the_command_leaves_nothing_behind(rehearsed: Rehearsed):
    process = rehearsed.machine.start("review", "demo", "--live", "-o", "text", start_new_session=True)
    until(rehearsed.left_behind, "it looks")
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=WAIT)
    assert (process.returncode, out) == (130, b""), err.decode()
    until(lambda: not _members(process.pid), "the children end")
    assert rehearsed.left_behind() == []


def _members(group: int) -> list[int]:
    """The processes of a process group."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if os.getpgid(int(entry.name)) == group:
                found.append(int(entry.name))
    return found


# ---------------------------------------------------------------- what changes the sandbox


def test_what_changed_behind_the_wizards_back_is_worse(rehearsed: Rehearsed):
    rehearsed.kubectl("scale", "deploy", "--all", "--replicas=0")
    try:
        done = rehearsed.machine.wizard("review", "demo", "--live", "-o", "text")
        assert done.code == 1, done.all
        assert "✗ worse  step 7 dpe-01: Workloads, looked at again: " in done.out
        assert re.search(r"Recorded +good, pods ready", done.out)
    finally:
        rehearsed.kubectl("scale", "deploy", "--all", "--replicas=1")
    until(
        lambda: rehearsed.machine.wizard("review", "demo", "--live", "-o", "text").code == 0, "the pods are ready again"
    )


@pytest.mark.parametrize("what", ["post", "exec", "rights", "put", "helm"])
def test_the_net_catches_whoever_does_more_than_look(rehearsed: Rehearsed, what: str):
    """So the tests here could fail."""
    with rehearsed.watched() as rows:
        done = rehearsed.let_in(what)
    assert done.out, done.all
    assert more_than_a_look(rows) != []
    if what == "put":
        assert any("arm PUT" in one and "let.in.test" in one for one in more_than_a_look(rows))
    elif what == "exec":
        assert any("kubernetes GET" in one and one.endswith("/exec") for one in more_than_a_look(rows))
