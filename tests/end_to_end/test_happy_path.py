"""`sandbox --serve` and `run`: eight steps, seen from outside."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.end_to_end.harness import Machine, chain_holds
from tests.end_to_end.in_azure import WRITES, requests, require_end_state, written

# Azure's answers: an endpoint and a record set are there at once, zones and links are begun.
ACCEPTED = (201, *((202, 201, 202) * 2))


def test_run_completes_the_setup(machine: Machine, kubectl: Path):
    with machine.sandbox(azure=True) as info:
        done = machine.run("demo", info["answers_file"])
        assert done.code == 0, done.all
        assert "8 of 8 steps done" in done.out

        assert written(info) == [("PUT", kind, status) for kind, status in zip(WRITES, ACCEPTED, strict=True)]
        require_end_state(info, "pe-dpe-weu", (info["hosts"]["dpm"], info["hosts"]["minio"]))
        assert [row["status"] for row in machine.history(info)] == ["deployed"]
        ready = subprocess.run(
            [kubectl, "--kubeconfig", info["kubeconfig"], "-n", info["namespace"], "get", "deploy", "-o", "json"],
            capture_output=True,
            check=True,
        )
        (deployment,) = json.loads(ready.stdout)["items"]
        assert deployment["status"]["readyReplicas"] == deployment["spec"]["replicas"]

        assert chain_holds(machine.journal("demo"))
        checked = machine.wizard("check", "demo", "-o", "json")
        assert checked.code == 0, checked.all

        asked = len(requests(info))
        before = machine.journal("demo").read_bytes()
        again = machine.run("demo", info["answers_file"])
        assert again.code == 0, again.all
        assert len(machine.history(info)) == 1
        second = requests(info)[asked:]
        assert second and {line["method"] for line in second} == {"GET"}, "it looks, and changes nothing"
        assert machine.journal("demo").read_bytes() == before

    (listed,) = machine.wizard("list", "-o", "json").json()["setups"]
    assert listed["sandbox"] and listed["done_steps"] == 8
    assert machine.wizard("review", "demo", "--expect", listed["head"], "-o", "text").code == 0
