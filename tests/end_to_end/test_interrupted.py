"""A run that is cut off, by a person or by SIGKILL, at helm or at the wizard: what is left, and how it goes on.

`pods-never-ready` holds helm in its wait for as long as the test needs; `slow-pods` lets it end by itself later.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from state.events import Actor, ChangeStarted, ProcessStarted
from state.problem import EXIT_BAD, EXIT_INTERRUPTED, EXIT_NOT_YET, EXIT_USAGE
from state.store import Store
from tests.end_to_end import leaver
from tests.end_to_end.harness import WAIT, Machine, changed, dpe, finish, finishes, problems, until
from wizard.ports import ProcessIdentity
from wizard.process_identity import alive

Info = dict[str, Any]

NOT_OURS = "This setup did not start that helm run; somebody else may be in the middle of it."


def _answers(info: Info, to: Path, *, version: str = "", timeout: str = "", **words: str) -> Path:
    """The sandbox's answers; with another chart version or timeout, and with words to the program about step 7."""

    def change(document: dict[str, Any]) -> None:
        if version:
            dpe(document)["version"] = version
        if timeout:
            dpe(document)["timeout"] = timeout
        if words:
            document["fields"]["update-dpe"] = words

    return changed(info["answers_file"], to, change)


def _statuses(machine: Machine, info: Info) -> list[str]:
    return [row["status"] for row in machine.history(info)]


def _helm(machine: Machine) -> ProcessIdentity:
    """The helm that the run started last."""
    data = machine.events("demo", "process_started")[-1]["data"]
    return ProcessIdentity(data["pid"], data["start_time"], data["boot_id"])


@contextmanager
def _helm_at_work(
    machine: Machine, info: Info, answers: Path, status: str, program: str = ""
) -> Iterator[tuple[subprocess.Popen[bytes], ProcessIdentity]]:
    """A run whose helm waits for the pods: the release is `status`. Whatever still runs at the end is ended.

    `program`: the path of a changed program to run in place of ours.
    """
    process = machine.start("run", "demo", "--answers", str(answers), program=program)
    try:
        until(lambda: _statuses(machine, info)[-1:] == [status] or process.poll() is not None, status)
        assert process.poll() is None, finish(process).all
        yield process, _helm(machine)
    finally:
        if process.poll() is None:
            finish(process)


def _last_change(machine: Machine) -> dict[str, Any]:
    found: dict[str, Any] = machine.events("demo", "change_finished")[-1]["data"]
    return found


# ---------------------------------------------------------------- the user stops it


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_cancelled_run_stops_helm_and_leaves_a_release_that_can_be_upgraded(
    site: Machine, number: signal.Signals, tmp_path: Path
):
    with site.sandbox("pods-never-ready") as info:
        answers = _answers(info, tmp_path / "answers.yml")
        with _helm_at_work(site, info, answers, "pending-install") as (process, helm):
            process.send_signal(number)
            stopped = finish(process, timeout=20)  # helm's own timeout is two minutes

        assert stopped.code == EXIT_INTERRUPTED, stopped.all
        assert "Interrupted: what was running is stopped, and what was saved is saved." in stopped.err
        assert "Run the same command again to go on." in stopped.err
        assert alive(helm) is False
        assert _statuses(site, info) == ["failed"]
        assert _last_change(site)["outcome"] == "cancelled"

    with site.sandbox() as info:
        finishes(site, info, answers)
        assert _statuses(site, info) == ["superseded", "deployed"]


@pytest.mark.slow
def test_an_upgrade_cancelled_half_way_is_done_again(site: Machine, tmp_path: Path):
    answers = _first_install(site, tmp_path)
    with site.sandbox("pods-never-ready") as info:
        with _helm_at_work(site, info, answers, "pending-upgrade") as (process, helm):
            process.send_signal(signal.SIGINT)
            assert finish(process, timeout=20).code == EXIT_INTERRUPTED
        assert alive(helm) is False
        assert _statuses(site, info) == ["deployed", "failed"]
        assert _last_change(site)["outcome"] == "cancelled"

    with site.sandbox() as info:
        finishes(site, info, answers)
        assert _statuses(site, info) == ["superseded", "failed", "deployed"]


def _first_install(machine: Machine, tmp_path: Path) -> Path:
    """Finishes a setup at the first chart version; returns the answers that ask for the next one."""
    with machine.sandbox() as info:
        finishes(machine, info, info["answers_file"])
        return _answers(info, tmp_path / "next.yml", version=info["chart_version_next"])


# ---------------------------------------------------------------- helm is killed


@pytest.mark.slow
def test_helm_killed_during_the_first_install_is_uninstalled_and_installed_again(site: Machine, tmp_path: Path):
    with site.sandbox("pods-never-ready") as info:
        answers = _answers(info, tmp_path / "answers.yml")
        with _helm_at_work(site, info, answers, "pending-install") as (process, helm):
            os.kill(helm.pid, signal.SIGKILL)
            killed = finish(process)

        assert killed.code == EXIT_BAD, killed.all
        told = problems(killed)[0]
        assert told["what"] == "helm was ended by signal 9."
        assert "may have left the release pending" in told["means"]
        assert "the plan then shows what was left and the way out of it" in told["todo"]
        assert _statuses(site, info) == ["pending-install"]
        assert _last_change(site)["outcome"] == "failed"

    with site.sandbox() as info:
        done = finishes(site, info, answers)
        assert f"- uninstall {info['release']}, which is pending-install" in done.err
        assert [(row["revision"], row["status"]) for row in site.history(info)] == [(1, "deployed")]


@pytest.mark.slow
def test_helm_killed_during_an_upgrade_is_rolled_back_and_upgraded_again(site: Machine, tmp_path: Path):
    answers = _first_install(site, tmp_path)
    with site.sandbox("pods-never-ready") as info:
        with _helm_at_work(site, info, answers, "pending-upgrade") as (process, helm):
            os.kill(helm.pid, signal.SIGKILL)
            killed = finish(process)

        assert killed.code == EXIT_BAD, killed.all
        assert problems(killed)[0]["what"] == "helm was ended by signal 9."
        assert _statuses(site, info) == ["deployed", "pending-upgrade"]

    with site.sandbox() as info:
        done = finishes(site, info, answers)
        assert f"~ roll {info['release']} back to revision 1: it is pending-upgrade" in done.err
        history = site.history(info)
        assert [row["revision"] for row in history] == [1, 2, 3, 4]
        assert history[2]["description"] == "Rollback to 1"
        assert history[3]["chart"].endswith(info["chart_version_next"])


# ---------------------------------------------------------------- the wizard is killed


@pytest.mark.slow
@pytest.mark.parametrize("when", ["while helm runs", "after helm ended"])
def test_helm_outlives_a_killed_wizard_and_is_not_started_twice(site: Machine, when: str, tmp_path: Path):
    with site.sandbox("slow-pods") as info:
        answers = _answers(info, tmp_path / "answers.yml")
        with _helm_at_work(site, info, answers, "pending-install") as (process, helm):
            process.kill()
            assert finish(process).code == -signal.SIGKILL  # and closes our ends of its pipes
        assert alive(helm)

        if when == "while helm runs":
            second = site.start("run", "demo", "--answers", str(answers))
            done = finish(second)
            assert done.code == 0, done.all
            assert f"helm still runs (pid {helm.pid}" in done.err
        else:
            until(lambda: not alive(helm), "helm's own end")
            assert _statuses(site, info) == ["deployed"]
        done = finishes(site, info, answers)
        assert [(row["revision"], row["status"]) for row in site.history(info)] == [(1, "deployed")]

        (started,) = site.events("demo", "process_started")
        (ended,) = site.events("demo", "change_finished")
        assert ended["data"]["change"] == started["data"]["change"]
        assert ended["data"]["outcome"] == "done"
        if when == "after helm ended":
            assert "An earlier run was interrupted during: install" in done.err


def _talking(machine: Machine, tmp_path: Path) -> Machine:
    """The same machine, but its helm says on stderr what it does all through an upgrade, and 4 MiB of it at the end.

    So whoever does not read what it writes, but holds it up or ends it for that, is found out.
    """
    directory = tmp_path / "talking"
    directory.mkdir()
    script = directory / "helm"
    script.write_text(
        "#!/bin/sh\n"
        f'[ "$1" = upgrade ] || exec {machine.helm} "$@"\n'
        f'{machine.helm} "$@" --debug || exit\n'
        "head -c 4194304 /dev/zero | tr '\\0' x >&2 || exit\n"
        f"echo ended >> {tmp_path}/ended\n"
    )
    script.chmod(0o755)
    machine.helm = script
    return machine


@pytest.mark.slow
def test_a_helm_that_writes_after_the_wizard_was_killed_goes_on_to_its_end(machine4: Machine, tmp_path: Path):
    machine = _talking(machine4, tmp_path)
    with machine.sandbox("slow-pods") as info:
        answers = _answers(info, tmp_path / "answers.yml")
        with _helm_at_work(machine, info, answers, "pending-install") as (process, helm):
            process.kill()
            finish(process)
        until(lambda: not alive(helm), "helm's own end")

        assert (tmp_path / "ended").exists()
        assert _statuses(machine, info) == ["deployed"]
        finishes(machine, info, answers)
        assert len(machine.events("demo", "process_started")) == 1


@pytest.mark.slow
@pytest.mark.parametrize("when", ["while helm runs", "after helm ended"])
def test_a_helm_that_is_left_running_goes_on_and_is_not_started_twice(machine4: Machine, when: str, tmp_path: Path):
    machine = _talking(machine4, tmp_path) if when == "after helm ended" else machine4
    with machine.sandbox("slow-pods") as info:
        answers = _answers(info, tmp_path / "answers.yml")
        with _helm_at_work(machine, info, answers, "pending-install", leaver.__file__) as (process, helm):
            process.send_signal(signal.SIGUSR1)
            left = finish(process, timeout=20)
        assert (left.code, left.out) == (0, "left\n"), left.all
        assert left.err.rstrip().splitlines()[-1].lstrip().startswith(("»", "|")), "no complaint at exit"
        assert alive(helm), "it was there when we went"
        assert machine.events("demo", "change_finished") == []
        private = _private_directory(helm)
        assert (private / "config.json").exists(), "helm may still need its login"

        if when == "while helm runs":
            done = machine.run("demo", answers)
            assert done.code == 0, done.all
            assert f"helm still runs (pid {helm.pid}" in done.err
        else:
            until(lambda: not alive(helm), "helm's own end")
            assert (tmp_path / "ended").exists()
        assert _statuses(machine, info) == ["deployed"]
        done = finishes(machine, info, answers)
        if when == "after helm ended":
            assert "An earlier run was interrupted during: install" in done.err

        assert [(row["revision"], row["status"]) for row in machine.history(info)] == [(1, "deployed")]
        (started,) = machine.events("demo", "process_started")
        (ended,) = machine.events("demo", "change_finished")
        assert ended["data"]["change"] == started["data"]["change"]
        assert ended["data"]["outcome"] == "done"
        assert not private.exists(), "the token is gone with the last who needed it"


def _private_directory(helm: ProcessIdentity) -> Path:
    """Where this helm has its login."""
    variables = Path(f"/proc/{helm.pid}/environ").read_bytes().split(b"\0")
    (found,) = (value for name, _, value in (one.partition(b"=") for one in variables) if name == b"DOCKER_CONFIG")
    return Path(os.fsdecode(found))


@pytest.mark.slow
def test_wizard_and_helm_killed_during_the_first_install(machine: Machine, tmp_path: Path):
    with machine.sandbox("pods-never-ready") as info:
        answers = _answers(info, tmp_path / "answers.yml")
        with _helm_at_work(machine, info, answers, "pending-install") as (process, helm):
            process.kill()
            os.kill(helm.pid, signal.SIGKILL)
            finish(process)
        until(lambda: not alive(helm), "helm's end")
        assert machine.events("demo", "change_finished") == []

    with machine.sandbox() as info:
        done = finishes(machine, info, answers)
        assert "An earlier run was interrupted during: install" in done.err
        assert f"- uninstall {info['release']}, which is pending-install" in done.err
        assert _statuses(machine, info) == ["deployed"]


# ---------------------------------------------------------------- somebody else's helm


def _killed_by_hand(machine: Machine, info: Info, version: str, status: str) -> None:
    """What somebody else's interrupted helm leaves behind: a pending revision this setup knows nothing of."""
    home = machine.home / "by-hand"
    home.mkdir()
    environment = {**machine.env(), "HOME": str(home), "HELM_REGISTRY_CONFIG": str(home / "registry.json")}
    trust = ["--ca-file", info["ca_file"]]
    subprocess.run(
        [machine.helm, "registry", "login", info["registry"], "-u", info["registry_user"], "--password-stdin", *trust],
        input=Path(info["registry_token_file"]).read_bytes().strip(),
        env=environment,
        capture_output=True,
        timeout=WAIT,
        check=True,
    )
    upgrade = [machine.helm, "upgrade", "--install", info["release"], info["chart"], "--version", version]
    place = ["--namespace", info["namespace"], "--create-namespace", "--wait", "-f", info["values_file"]]
    cluster = ["--kubeconfig", info["kubeconfig"], "--kube-context", info["kube_context"]]
    process = subprocess.Popen(
        [*upgrade, *place, *cluster, *trust],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: _statuses(machine, info)[-1:] == [status], status)
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_a_pending_install_of_somebody_else_is_left_alone_until_the_user_says_yes(machine: Machine, tmp_path: Path):
    with machine.sandbox("pods-never-ready") as info:
        _killed_by_hand(machine, info, info["chart_version"], "pending-install")
    with machine.sandbox() as info:
        asked = machine.run("demo", _answers(info, tmp_path / "answers.yml"))

        assert asked.code == EXIT_NOT_YET, asked.all
        told = problems(asked)[0]
        assert told["what"].startswith(f"The first install of {info['release']} was interrupted before it ended.")
        assert told["means"] == NOT_OURS
        assert "fields: {update-dpe: {pending_release: recover}}" in told["todo"]
        assert _statuses(machine, info) == ["pending-install"]
        assert machine.events("demo", "change_started") == []

        done = finishes(machine, info, _answers(info, tmp_path / "yes.yml", pending_release="recover"))
        assert f"- uninstall {info['release']}, which is pending-install" in done.err
        assert _statuses(machine, info) == ["deployed"]


@pytest.mark.slow
@pytest.mark.parametrize("ours", ["deployed", "failed"])
def test_a_pending_upgrade_of_somebody_else_is_left_alone_though_our_own_run_came_before(
    machine4: Machine, ours: str, tmp_path: Path
):
    with machine4.sandbox() as info:
        finishes(machine4, info, info["answers_file"])
    with machine4.sandbox("pods-never-ready") as info:
        if ours == "failed":
            hasty = _answers(info, tmp_path / "hasty.yml", version=info["chart_version_next"], timeout="2s")
            failed = machine4.run("demo", hasty)
            assert failed.code == EXIT_BAD, failed.all
        _killed_by_hand(machine4, info, info["chart_version_next"], "pending-upgrade")
        left = _statuses(machine4, info)
    with machine4.sandbox() as info:
        wanted = {"version": info["chart_version_next"], "timeout": "1m"}
        asked = machine4.run("demo", _answers(info, tmp_path / "answers.yml", **wanted))

        assert asked.code == EXIT_NOT_YET, asked.all
        assert problems(asked)[0]["means"] == NOT_OURS
        assert _statuses(machine4, info) == left

        yes = _answers(info, tmp_path / "yes.yml", **wanted, pending_release="recover")
        done = finishes(machine4, info, yes)
        assert f"~ roll {info['release']} back to revision 1: it is pending-upgrade" in done.err


# ---------------------------------------------------------------- elsewhere, and at the same time


@pytest.mark.slow
def test_a_run_interrupted_on_another_host_asks_whether_it_is_gone(machine4: Machine, tmp_path: Path):
    with machine4.sandbox("wrong-token") as info:
        answers = _answers(info, tmp_path / "answers.yml")
        assert machine4.run("demo", answers).code == EXIT_BAD
    # What a journal looks like that was copied here from a host that died in the middle of an upgrade.
    before = machine4.events("demo", "change_started")[-1]["data"]
    elsewhere = Actor(user="ops", host="jump-host-7", via="run")
    with Store(machine4.state_dir).open("demo", elsewhere) as writer:
        writer.append(
            ChangeStarted(
                change="c0ffee",
                step=before["step"],
                items=tuple(before["items"]),
                summary=before["summary"],
                fingerprint=before["fingerprint"],
            )
        )
        writer.append(ProcessStarted(change="c0ffee", pid=4711, start_time="100", boot_id="another"))

    with machine4.sandbox() as info:
        asked = machine4.run("demo", answers)

        assert asked.code == EXIT_NOT_YET, asked.all
        told = problems(asked)[0]
        assert told["what"].startswith("helm was started on jump-host-7 at ")
        assert "(pid 4711); nobody saw it end." in told["what"]
        assert told["means"] == "It may still be running."
        assert "fields: {update-dpe: {interrupted: gone}}" in told["todo"]
        assert machine4.history(info) == []

        finishes(machine4, info, _answers(info, tmp_path / "gone.yml", interrupted="gone"))
        assert [event["data"]["outcome"] for event in machine4.events("demo", "change_finished")] == [
            "failed",
            "cancelled",
            "done",
        ]


@pytest.mark.slow
def test_a_second_writer_is_told_who_writes_and_check_only_looks(machine4: Machine, tmp_path: Path):
    with machine4.sandbox("pods-never-ready") as info:
        answers = _answers(info, tmp_path / "answers.yml")
        with _helm_at_work(machine4, info, answers, "pending-install") as (process, _):
            second = machine4.run("demo", answers)
            assert second.code == EXIT_USAGE, second.all
            (told,) = problems(second)
            assert f"process {process.pid} on {os.uname().nodename}" in told["what"]
            assert "privatelink-wizard review demo" in told["todo"]

            before = machine4.journal("demo").read_bytes()
            looked = machine4.wizard("check", "demo", "--step", "7", "-o", "json")
            assert looked.json()["recorded"] is False
            assert looked.code == EXIT_BAD, looked.all  # the release is pending
            assert f"process {process.pid}" in looked.err
            assert process.poll() is None, "the first run ended too early for this test to mean anything"
            assert machine4.journal("demo").read_bytes() == before

            process.send_signal(signal.SIGINT)
            first = finish(process)
            assert first.code == EXIT_INTERRUPTED, first.all
    with machine4.sandbox() as info:
        finishes(machine4, info, answers)
        assert _statuses(machine4, info)[-1:] == ["deployed"]
