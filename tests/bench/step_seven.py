"""Step 7 beside the two raw helm commands, on the sandbox; and what a run takes of memory."""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.bench.measure import NOT_MEASURED, OK, OVER, Pairs, Row, child_env, seconds
from tests.conftest import HELM_4
from tests.end_to_end.harness import Machine, changed, dpe, finish

PAIRS = 5
TIMES, PLUS = 1.05, 1.0
STEP = "update-dpe"


def rows(directory: Path) -> Iterator[Row]:
    """Step 7's budget, and the memory of a run."""
    if not HELM_4.exists():
        yield Row("step 7", "", "", "get helm with: make tools", "", NOT_MEASURED)
        return
    machine = Machine(directory, HELM_4)
    bench = _StepSeven(machine)
    with machine.sandbox() as info:
        # The namespace is made by the first run; the measured ones find it there, as a DPE's is.
        bench.ours(info, "warm-up")
        bench.raw(info, "warm-up-raw")
        taken = [(bench.raw(info, f"raw-{n}"), bench.ours(info, f"ours-{n}")) for n in range(PAIRS)]
    raw = tuple(one for one, _ in taken)
    for what, key in (
        ("step 7: log in and upgrade", "change"),
        ("step 7: plan, log in, upgrade, look", "act"),
    ):
        yield _budget_row(what, Pairs(raw, tuple(ours[key] for _, ours in taken)))
    whole = Pairs(raw, tuple(ours["run"] for _, ours in taken))
    one, other = whole.medians
    yield Row("the whole `run`, all eight steps", seconds(one), seconds(other), f"{whole.ratio:.2f} ×", "–")
    yield from _memory_rows(bench.peaks)


def _budget_row(what: str, pairs: Pairs) -> Row:
    one, other = pairs.medians
    allowed = TIMES * one + PLUS
    verdict = OK if other <= allowed else OVER
    return Row(
        what, seconds(one), seconds(other), f"{pairs.ratio:.2f} ×", f"≤ {TIMES} × + 1 s = {seconds(allowed)}", verdict
    )


class _StepSeven:
    """Installs a release of its own each time, by hand or by the wizard, with the same flags."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.peaks: list[dict[str, int]] = []

    def raw(self, info: Mapping[str, Any], release: str) -> float:
        """Seconds that `helm registry login` and `helm upgrade --install --wait` take by hand."""
        token = Path(info["registry_token_file"]).read_bytes().strip()
        login = [
            *(info["helm"], "registry", "login", info["registry"], "-u", info["registry_user"], "--password-stdin"),
            *("--ca-file", info["ca_file"]),
        ]
        upgrade = [
            *(info["helm"], "upgrade", "--install", release, info["chart"], "--version", info["chart_version"]),
            *("-f", "-", "--namespace", info["namespace"], "--wait", "--timeout", "600s", "-o", "json"),
            *("--ca-file", info["ca_file"], "--kubeconfig", info["kubeconfig"]),
            *("--kube-context", info["kube_context"]),
        ]
        values = Path(info["values_file"]).read_bytes()
        begun = time.perf_counter()
        for command, stdin in ((login, token), (upgrade, values)):
            subprocess.run(command, input=stdin, env=self._machine.env(), capture_output=True, check=True, timeout=120)
        return time.perf_counter() - begun

    def ours(self, info: Mapping[str, Any], release: str) -> dict[str, float]:
        """Seconds the wizard takes: the change alone, the whole act with plan and looks, the whole run."""

        def other_release(document: dict[str, Any]) -> None:
            dpe(document)["release"] = release
            dpe(document)["token"] = {"file": info["registry_token_file"]}
            dpe(document)["values_file"] = info["values_file"]

        answers = changed(info["answers_file"], self._machine.home / f"{release}.yml", other_release)
        begun = time.perf_counter()
        process = self._machine.start("run", release, "--answers", str(answers))
        self.peaks.append(_peaks(process))
        done = finish(process)
        taken = time.perf_counter() - begun
        assert done.code == 0, done.all
        return {"run": taken, **self._from_journal(release)}

    def _from_journal(self, name: str) -> dict[str, float]:
        """From the journal's own times: the act begins when step 6 is confirmed, and ends with the last look."""
        events = self._machine.events(name)
        (started,) = (event for event in events if event["type"] == "change_started")
        (finished,) = (event for event in events if event["type"] == "change_finished")
        confirmed = next(event for event in reversed(events) if event["data"].get("step") == "redeploy")
        looked = next(event for event in reversed(events) if event["type"] == "found" and event["data"]["step"] == STEP)
        return {"change": _between(started, finished), "act": _between(confirmed, looked)}


def _between(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    return (datetime.fromisoformat(other["ts"]) - datetime.fromisoformat(one["ts"])).total_seconds()


# ---------------------------------------------------------------- memory


def _peaks(process: subprocess.Popen[bytes]) -> dict[str, int]:
    """Peak memory in KiB of a process and of each of its children, by their role, until it ends."""
    peaks: dict[str, int] = {}
    while process.poll() is None:
        for role, pid in _family(process.pid):
            peaks[role] = max(peaks.get(role, 0), _peak(pid))
        time.sleep(0.02)
    return peaks


def _family(pid: int) -> Iterator[tuple[str, int]]:
    yield "run", pid
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                command = Path(f"/proc/{child}/cmdline").read_bytes()
                yield ("helm" if b"helm" in command else "SDK child"), int(child)


def _peak(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return 0


def _memory_rows(peaks: list[dict[str, int]]) -> Iterator[Row]:
    if not os.access("/proc/self/status", os.R_OK):
        yield Row("peak memory of `run`", "", "", "needs /proc", "", NOT_MEASURED)
        return
    bare = int(
        subprocess.run(
            [sys.executable, "-c", "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"],
            env=child_env(),
            capture_output=True,
            check=True,
        ).stdout
    )
    for role in ("run", "SDK child", "helm"):
        seen = [peak[role] for peak in peaks if role in peak]
        if seen:
            most = statistics.median(seen)
            beside = f"{bare / 1024:.0f} MB"
            yield Row(f"peak memory: {role}", beside, f"{most / 1024:.0f} MB", f"{most / bare:.2f} ×", "–")
