"""What goes wrong at step 7, one by one: its own message, a way on, and a second `run` that finishes.

The second run is the same command with the same file, unless a value in the file was what was wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from state.problem import EXIT_BAD, EXIT_NOT_YET
from tests.end_to_end.harness import Machine, changed, dpe, finishes, problems

Info = dict[str, Any]
Document = dict[str, Any]


def _nothing(document: Document) -> None:
    pass


def _other_version(document: Document) -> None:
    dpe(document)["version"] = "99.0.0"


def _no_ca(document: Document) -> None:
    del document["environment"]["ca_file"]


def _short_timeout(document: Document) -> None:
    dpe(document)["timeout"] = "3s"


@dataclass(frozen=True)
class Failure:
    """One thing that goes wrong and what the user is told. `{name}` in a text is a key of the sandbox's facts.

    `ended` is the code of the change that was written as failed; None when it fails before anything is begun.
    """

    exit_code: int
    what: str
    means: str
    todo: str
    detail: str
    ended: str | None
    fault: tuple[str, ...] = ()
    answer: Callable[[Document], None] = _nothing
    release: tuple[str, ...] = ()


FAILURES = {
    "wrong token": Failure(
        fault=("wrong-token",),
        exit_code=EXIT_BAD,
        what="The registry {registry} does not accept this user and token.",
        means="tokens live only for a while",
        todo="Copy a new token from the portal",
        detail="401",
        ended="registry-unauthorized",
    ),
    "wrong version": Failure(
        answer=_other_version,
        exit_code=EXIT_BAD,
        what="The registry has no version 99.0.0 of {chart}.",
        means="The path of the chart is right; nothing was changed.",
        todo="The newest version there is {chart_version_next}",
        detail="not found",
        ended="chart-version-wrong",
    ),
    "unknown CA": Failure(
        answer=_no_ca,
        exit_code=EXIT_NOT_YET,
        what="The registry {registry} shows a certificate of an authority that is not known here.",
        means="it has a private CA",
        todo="Get its CA certificate",
        detail="x509: certificate signed by unknown authority",
        ended="registry-ca",
    ),
    "registry down": Failure(
        fault=("registry-down",),
        exit_code=EXIT_NOT_YET,
        what="The registry {registry} refused the connection.",
        means="Nothing listens there",
        todo="Check the address and port",
        detail="connection refused",
        ended="registry-refused",
    ),
    "no cluster": Failure(
        fault=("api-down",),
        exit_code=EXIT_NOT_YET,
        what="The Kubernetes API of context {kube_context} refused the connection.",
        means="Nothing listens there",
        todo="Check the address and port",
        detail="refused",
        ended=None,
    ),
    "forbidden": Failure(
        fault=("forbidden",),
        exit_code=EXIT_NOT_YET,
        what="Your account may not list secrets in namespace {namespace}.",
        means="helm needs this right",
        todo="Ask the cluster's administrator for the right to list secrets in {namespace}.",
        detail="secrets is forbidden",
        ended=None,
    ),
    "pods never ready": Failure(
        fault=("pods-never-ready",),
        answer=_short_timeout,
        exit_code=EXIT_BAD,
        what="The pods of {release} were not ready within 3 seconds.",
        means="helm marked the release as failed",
        todo="upgrade again",
        detail="ImagePullBackOff",  # the pods' own reason, not only helm's
        ended="pods-not-ready",
        release=("failed",),
    ),
}
FAST = ("wrong token",)
CASES = [
    pytest.param(failure, id=name.replace(" ", "-"), marks=() if name in FAST else pytest.mark.slow)
    for name, failure in FAILURES.items()
]


@pytest.mark.parametrize("failure", CASES)
def test_a_failure_is_explained_and_a_second_run_finishes(site: Machine, failure: Failure, tmp_path: Path):
    with site.sandbox(*failure.fault) as info:
        answers = changed(info["answers_file"], tmp_path / "answers.yml", failure.answer)
        failed = site.run("demo", answers)

        assert failed.code == failure.exit_code, failed.all
        told, waits = problems(failed)
        assert told["what"] == failure.what.format(**info)
        assert failure.means in told["means"]
        assert failure.todo.format(**info) in told["todo"]
        assert failure.detail in told["detail"]
        assert "waits for step 7" in waits["what"]
        assert "6 of 8 steps done" in failed.out

        ended = [event["data"] for event in site.events("demo", "change_finished")]
        assert [data["outcome"] for data in ended] == (["failed"] if failure.ended else [])
        assert [data["facts"]["code"] for data in ended] == ([failure.ended] if failure.ended else [])

    with site.sandbox() as info:
        assert [row["status"] for row in site.history(info)] == list(failure.release)
        if failure.answer in (_other_version, _no_ca):
            answers = Path(info["answers_file"])
        finishes(site, info, answers)
        assert len(site.history(info)) == len(failure.release) + 1


@pytest.mark.slow
def test_another_cluster_is_not_touched(machine4: Machine, tmp_path: Path):
    with machine4.sandbox("wrong-token") as info:
        answers = changed(info["answers_file"], tmp_path / "answers.yml", _nothing)
        assert machine4.run("demo", answers).code == EXIT_BAD
        (pinned,) = machine4.events("demo", "identity_pinned")
        facts = pinned["data"]["facts"]

    with machine4.sandbox(reset=True) as other:
        refused = machine4.run("demo", answers)

        assert refused.code == EXIT_BAD, refused.all
        told = problems(refused)[0]
        assert told["what"].startswith("This is another cluster: ")
        assert facts["server"] in told["what"] and facts["uid"] in told["what"]
        assert told["what"].count("kube-system") == 2
        assert "nothing was changed" in told["means"]
        assert "or make a new setup" in told["todo"]
        assert machine4.history(other) == []
        assert len(machine4.events("demo", "change_started")) == 1

        finishes(machine4, other, other["answers_file"], name="other")


@pytest.mark.slow
def test_a_newer_chart_is_an_upgrade(site: Machine, tmp_path: Path):
    with site.sandbox() as info:
        finishes(site, info, info["answers_file"])
        before = len(site.events("demo"))

        def newer(document: Document) -> None:
            dpe(document)["version"] = info["chart_version_next"]

        answers = changed(info["answers_file"], tmp_path / "answers.yml", newer)
        upgraded = finishes(site, info, answers)

        assert f"to {info['chart_version_next']}" in upgraded.err
        history = site.history(info)
        assert [(row["revision"], row["status"]) for row in history] == [(1, "superseded"), (2, "deployed")]
        assert history[-1]["chart"].endswith(info["chart_version_next"])
        # Steps 1 to 6 stand; 7 and 8 rest on the version, so 7 was done and 8 confirmed again.
        new = site.events("demo")[before:]
        assert {event["data"]["step"] for event in new if "step" in event["data"]} == {"update-dpe", "mark-updated"}
        assert [event["data"]["step"] for event in new if event["type"] == "attested"] == ["mark-updated"]
        assert site.run("demo", answers).code == 0
        assert len(site.history(info)) == 2
