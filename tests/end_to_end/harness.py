"""The program as a user has it: real processes, real files, a real helm, the sandbox's servers beside it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

WAIT = 60.0  # seconds a condition may take before the test gives up


@dataclass
class Answer:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def all(self) -> str:
        return self.out + self.err

    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Machine:
    """One user's machine: homes of its own, one helm on PATH, and the commands."""

    home: Path
    helm: Path
    extra_env: dict[str, str] = field(default_factory=dict)

    @property
    def state_dir(self) -> Path:
        return self.home / "state"

    def env(self) -> dict[str, str]:
        kept = {
            key: os.environ[key]
            for key in ("LANG", "TMPDIR", "PYTHONPATH", "PRIVATELINK_SANDBOX_PORTS")
            if key in os.environ
        }
        return {
            **kept,
            "PATH": f"{self.helm.parent}:{os.defpath}",
            "HOME": str(self.home),
            "XDG_DATA_HOME": str(self.home / "data"),
            "XDG_CACHE_HOME": str(self.home / "cache"),
            "PRIVATELINK_STATE_DIR": str(self.state_dir),
            "LANG": "C.UTF-8",
            **self.extra_env,
        }

    def start(self, *args: str, program: str = "", **options: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, *([program] if program else ["-m", "wizard"]), *args],
            env=self.env(),
            stdin=subprocess.DEVNULL,
            stdout=options.pop("stdout", subprocess.PIPE),
            stderr=options.pop("stderr", subprocess.PIPE),
            **options,
        )

    def wizard(self, *args: str, timeout: float = 120) -> Answer:
        return finish(self.start(*args), timeout)

    def run(self, name: str, answers: Path, timeout: float = 120) -> Answer:
        return self.wizard("run", name, "--answers", str(answers), timeout=timeout)

    def journal(self, name: str) -> Path:
        return self.state_dir / "setups" / f"{name}.jsonl"

    def events(self, name: str, type: str | None = None) -> list[dict[str, Any]]:
        """The journal's events, whole lines only."""
        lines = self.journal(name).read_bytes().split(b"\n")[1:-1]
        found = [json.loads(line) for line in lines]
        return [event for event in found if type in (None, event["type"])]

    @contextlib.contextmanager
    def sandbox(self, *faults: str, reset: bool = False, azure: bool = False) -> Iterator[dict[str, Any]]:
        """`sandbox --serve`, as long as the block lasts; ended by SIGTERM.

        Its answers file lets Azure do steps 3 and 5 when the test is about that (`azure`), else says that they are
        done: that is quicker by a quarter of a minute for each run.
        """
        args = ["sandbox", "--serve", *(f"--fault={name}" for name in faults), *(["--reset"] if reset else [])]
        # Narration to a file: nobody reads a pipe while the servers run.
        with (self.home / "sandbox.err").open("wb") as narration:
            process = self.start(*args, stderr=narration)
        assert process.stdout is not None
        try:
            ready, _, _ = select.select([process.stdout], [], [], WAIT)
            line = process.stdout.readline() if ready else b""
            assert line, "\n".join(path.read_text() for path in [self.home / "sandbox.err", *self.home.rglob("*.log")])
            info = json.loads(line)
            yield info if azure else without_azure(info, self.home / "without-azure.yml")
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(WAIT)
            process.stdout.close()

    def asked_helm(self, info: dict[str, Any], *args: str) -> str:
        """What helm itself says, from outside the wizard."""
        command = [self.helm, *args, "--kubeconfig", info["kubeconfig"], "--kube-context", info["kube_context"]]
        done = subprocess.run(command, env=self.env(), capture_output=True, text=True, timeout=WAIT, check=False)
        return done.stdout + done.stderr

    def history(self, info: dict[str, Any]) -> list[dict[str, Any]]:
        """The release's revisions as helm tells them, oldest first; empty when there is none."""
        told = self.asked_helm(info, "history", info["release"], "-n", info["namespace"], "-o", "json")
        return [] if "not found" in told else json.loads(told)


def finish(process: subprocess.Popen[bytes], timeout: float = 120) -> Answer:
    """Waits for a process and takes what it said; a process that hangs is killed and fails the test."""
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"it did not end in {timeout} s:\n{out.decode()}\n{err.decode()}") from None
    return Answer(process.returncode, out.decode(), err.decode())


def until(condition: Callable[[], Any], what: str, timeout: float = WAIT) -> Any:
    """The first true answer of `condition`, asked again and again."""
    end = time.monotonic() + timeout
    while True:
        if found := condition():
            return found
        assert time.monotonic() < end, f"{what} did not happen in {timeout} s"
        time.sleep(0.02)


def changed(answers: str | Path, to: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of an answers file with something changed."""
    document = yaml.safe_load(Path(answers).read_text())
    change(document)
    to.write_text(yaml.safe_dump(document))
    return to


def without_azure(info: dict[str, Any], to: Path) -> dict[str, Any]:
    """The sandbox's facts with an answers file for somebody who has no sign-in to Azure, and confirms steps 3 and 5."""

    def confirm(document: dict[str, Any]) -> None:
        for key in ("arm_url", "identity_endpoint", "dns_server"):
            del document["environment"][key]
        endpoint = document["items"]["endpoint"]["pe-weu"]
        group = f"/subscriptions/{info['subscription_id']}/resourceGroups/{info['resource_group']}"
        name = f"providers/Microsoft.Network/privateEndpoints/{endpoint['endpoint_name']}"
        endpoint.update(private_ip="10.60.1.4", endpoint_id=f"{group}/{name}")
        document["attest"] = [1, 2, 3, 4, 5, 6, 8]
        # Nothing was made in Azure, so inside the cluster it is not so either.
        document["probe"] = "none"
        document["fields"]["mark-updated"] = {"unproven_reason": "rehearsal without Azure"}

    return {**info, "answers_file": str(changed(info["answers_file"], to, confirm))}


def dpe(document: dict[str, Any]) -> dict[str, Any]:
    """The answers of the only dpe."""
    found: dict[str, Any] = document["items"]["dpe"]["dpe-01"]
    return found


def chain_holds(journal: Path) -> bool:
    """Whether every `prev` is the SHA-256 of the line before, by sha256sum and jq alone."""
    script = (
        'prev=""; while IFS= read -r line; do'
        ' [ -z "$prev" ] || [ "$(printf %s "$line" | jq -r .prev)" = "$prev" ] || exit 1;'
        ' prev=$(printf %s "$line" | sha256sum | cut -d" " -f1); done < "$1"'
    )
    return subprocess.run(["bash", "-c", script, "bash", journal], timeout=WAIT, check=False).returncode == 0


def problems(answer: Answer) -> list[dict[str, str]]:
    """What the user was told went wrong, in order: each with `what`, `means`, `todo`, `detail` (empty when unsaid)."""
    labels = {"it means": "means", "do next": "todo", "detail": "detail"}
    found: list[dict[str, str]] = []
    for line in answer.err.splitlines():
        if line.startswith(("✗ ", "… ")):
            found.append({"what": line[2:], "means": "", "todo": "", "detail": ""})
        for label, key in labels.items():
            if found and line.startswith(f"  {label:<9} "):
                found[-1][key] = f"{found[-1][key]}\n{line[12:]}".strip()
    return found


def finishes(machine: Machine, info: dict[str, Any], answers: str | Path, *, name: str = "demo") -> Answer:
    """Runs to the end: all steps done, the newest revision deployed and ready, and nothing asked or saved twice."""
    done = machine.run(name, Path(answers))
    assert done.code == 0, done.all
    assert "8 of 8 steps done" in done.out
    assert machine.history(info)[-1]["status"] == "deployed"
    assert chain_holds(machine.journal(name))
    events = machine.events(name)
    intents = [
        json.dumps([event["type"], event["data"]], sort_keys=True) for event in events if event["type"] != "found"
    ]
    assert len(set(intents)) == len(intents)
    begun, ended = machine.events(name, "change_started"), machine.events(name, "change_finished")
    assert [event["data"]["change"] for event in begun] == [event["data"]["change"] for event in ended]
    return done
