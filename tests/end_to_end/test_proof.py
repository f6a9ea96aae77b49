"""What is proven, and what is not: the trap, and what changes behind the wizard's back."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from state.problem import EXIT_BAD, EXIT_NOT_YET, EXIT_OK
from tests.end_to_end.harness import Answer, Machine, changed, finishes, until
from tests.end_to_end.in_azure import Info, gone, group_of, make_zone, send, set_record
from wizard.sandbox import faults as known

pytestmark = pytest.mark.slow

INSIDE, HERE, RECORDS = "cluster-lookup", "resolver-here", "records"


def hosts_of(info: Info) -> tuple[str, str]:
    return info["hosts"]["dpm"], info["hosts"]["minio"]


def findings(answer: Answer, step: int) -> dict[str, dict[str, Any]]:
    """What `check -o json` found at the only place of a step, by check."""
    (found,) = [one for one in answer.json()["steps"] if one["number"] == step]
    (place,) = found["items"]
    return {one["check"]: one for one in place["findings"]}


def status(answer: Answer, step: int) -> str:
    (found,) = [one for one in answer.json()["steps"] if one["number"] == step]
    return str(found["status"])


def check(machine: Machine) -> Answer:
    return machine.wizard("check", "demo", "-o", "json")


def private_ip(machine: Machine) -> str:
    """The address of the endpoint, as Azure gave it."""
    fields = (one["data"] for one in machine.events("demo", "field_set"))
    (found,) = {one["value"] for one in fields if one["field"] == "private_ip"}
    return str(found)


def test_the_trap(machine4: Machine, tmp_path: Path):
    """Everything but step 5's zones: the DPE comes up, helm is happy, and the traffic is public."""

    def skip_dns(document: dict[str, Any]) -> None:
        document["attest"] = [1, 2, 4, 5, 6, 8]

    with machine4.sandbox(azure=True) as info:
        answers = changed(info["answers_file"], tmp_path / "trap.yml", skip_dns)
        done = machine4.run("demo", answers)
        assert done.code == EXIT_BAD, done.all
        assert [row["status"] for row in machine4.history(info)] == ["deployed"]
        assert "still public: inside the cluster" in done.err

        dpm, minio = hosts_of(info)
        public = check(machine4)
        assert public.code == EXIT_BAD
        found = findings(public, 5)
        assert found[INSIDE]["text"].startswith("still public: inside the cluster")
        assert "the DPE's data crosses the public internet" in found[INSIDE]["text"]
        assert found[HERE]["text"].startswith("still public, asked from here")
        assert {one["check"] for one in findings(public, 7).values() if one["verdict"] == "good"} == {
            "release",
            "workloads",
            "hosts",
        }, "the DPE works"
        assert (status(public, 5), status(public, 8)) == ("failed", "to do")
        told = machine4.wizard("check", "demo")
        assert (told.code, "the DPE's data crosses the public internet" in told.out) == (EXIT_BAD, True)
        for form in ("text", "json", "html"):
            report = machine4.wizard("review", "demo", "-o", form)
            # Folded by the text, and its apostrophe written as the form does.
            assert "data crosses the public internet" in " ".join(report.out.split()), form

        make_zone(info, dpm)
        missing = findings(check(machine4), 5)[INSIDE]
        assert missing["text"].startswith("mixed: ") and f"{minio} is 203.0.113." in missing["text"]
        make_zone(info, minio)
        found_missing = check(machine4)
        assert found_missing.code == EXIT_BAD
        missing = findings(found_missing, 5)[INSIDE]
        assert missing["text"].startswith("missing: ") and "can't connect at all" in missing["text"]
        assert findings(found_missing, 5)[HERE]["text"].startswith("missing, asked from here")

        for host in (dpm, minio):
            set_record(info, host, private_ip(machine4))
        good = check(machine4)
        assert findings(good, 5)[INSIDE]["text"].startswith("private inside the cluster")
        assert (status(good, 5), findings(good, 5)[HERE]["verdict"]) == ("observed", "good")
        finishes(machine4, info, answers)
        assert check(machine4).code == EXIT_OK


def drifted(machine: Machine, step: int, which: str) -> dict[str, Any]:
    """The next check names what was and what is; exit 1."""
    answer = check(machine)
    assert answer.code == EXIT_BAD, answer.all
    assert status(answer, step) == "failed"
    found = findings(answer, step)[which]
    drift: dict[str, Any] = found["drift"]
    assert drift and drift["is"] == found["text"] and drift["was"] != drift["is"] and drift["until"] < drift["since"]
    told = machine.wizard("check", "demo", "--step", str(step))
    assert f"drift: was {drift['was']}" in told.out
    return drift


def test_what_changes_behind_our_back_is_drift(machine4: Machine, kubectl: Path):
    with machine4.sandbox(azure=True) as info:
        finishes(machine4, info, info["answers_file"])
        assert check(machine4).code == EXIT_OK
        dpm, _ = hosts_of(info)

        def kube(*words: str) -> None:
            where = ["--kubeconfig", info["kubeconfig"], "-n", info["namespace"]]
            subprocess.run([kubectl, *where, *words], check=True, capture_output=True, timeout=60)

        kube("scale", "deployment", "--all", "--replicas=0")
        assert "0 of 0 pods ready" in drifted(machine4, 7, "workloads")["is"]
        kube("scale", "deployment", "--all", "--replicas=1")
        until(lambda: status(check(machine4), 7) == "observed", "the pods")

        set_record(info, dpm, "10.99.0.9")
        assert "elsewhere: " in drifted(machine4, 5, INSIDE)["is"]
        assert "10.99.0.9" in findings(check(machine4), 5)[RECORDS]["text"]
        set_record(info, dpm, private_ip(machine4))
        assert check(machine4).code == EXIT_OK

        newer = changed(
            info["answers_file"],
            machine4.home / "newer.yml",
            lambda document: document["items"]["dpe"]["dpe-01"].update(version=info["chart_version_next"]),
        )
        finishes(machine4, info, newer)
        machine4.asked_helm(info, "rollback", info["release"], "1", "-n", info["namespace"])
        back = drifted(machine4, 7, "release")
        assert info["chart_version_next"] in back["was"] and info["chart_version"] in back["is"]
        machine4.asked_helm(info, "rollback", info["release"], "2", "-n", info["namespace"])
        assert check(machine4).code == EXIT_OK

        endpoint = f"{group_of(info)}/providers/Microsoft.Network/privateEndpoints/pe-dpe-weu"
        send(info, "DELETE", endpoint)
        until(lambda: gone(info, endpoint), "the end of the endpoint")
        assert "there is no Private Endpoint" in drifted(machine4, 3, "endpoint")["is"]


PROBES = "app.kubernetes.io/managed-by=privatelink-wizard"


def probe_pods(info: Info, kubectl: Path) -> list[str]:
    """The short-lived pods that are in the cluster."""
    where = ["--kubeconfig", info["kubeconfig"], "-n", info["namespace"]]
    command = [kubectl, *where, "get", "pods", "-l", PROBES, "-o", "name"]
    return subprocess.run(command, check=True, capture_output=True, timeout=60, text=True).stdout.split()


def probes_of(machine: Machine) -> list[str]:
    """What the journal says of them."""
    return [one["type"] for one in machine.events("demo") if one["type"].startswith("probe_")]


def test_a_pod_looks_where_exec_may_not_and_is_removed_whatever_happens(machine4: Machine, kubectl: Path):
    with machine4.sandbox(known.EXEC_FORBIDDEN, azure=True) as info:
        refused = machine4.run("demo", Path(info["answers_file"]))
        assert refused.code == EXIT_NOT_YET, refused.all
        assert "may not run commands in pods" in refused.err
        assert probes_of(machine4) == ["probe_consented"]

        allowed = machine4.wizard("check", "demo", "--allow-probe-pod", "-o", "json")
        assert findings(allowed, 5)[INSIDE]["text"].startswith("private inside the cluster")
        (seen,) = findings(allowed, 5)[INSIDE]["evidence"]
        assert "in pod privatelink-wizard-probe-" in seen["request"]
        assert probe_pods(info, kubectl) == []
        assert probes_of(machine4) == ["probe_consented", "probe_consented", "probe_started", "probe_ended"]

        # Consented to once: from now on every look may use one.
        looking = machine4.start("check", "demo", "--step", "5")
        # It is there for a second or so: too short for kubectl to be asked on a busy machine.
        (kept,) = machine4.home.rglob("kubernetes.json")
        until(lambda: f'"{machine4.events("demo")[-1]["data"].get("pod", "not yet")}"' in kept.read_text(), "the pod")
        looking.kill()
        looking.communicate()
        assert machine4.events("demo")[-1]["type"] == "probe_started"
        left = probe_pods(info, kubectl)
        assert left == [f"pod/{machine4.events('demo')[-1]['data']['pod']}"]
        answers = changed(
            info["answers_file"], machine4.home / "pod.yml", lambda document: document.update(probe="pod")
        )
        finishes(machine4, info, answers)
        assert probe_pods(info, kubectl) == []
