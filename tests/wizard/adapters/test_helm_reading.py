"""pyhelm3 in the SDK child, helm run from here: what is asked, and an answer that is none."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Awaitable
from pathlib import Path

import pytest

from state.problem import EXIT_BAD, EXIT_NOT_YET, Problem
from tests.wizard.adapters.conftest import Script
from wizard.adapters import helm as helm_adapter
from wizard.adapters import helm_exec
from wizard.adapters.helm import HelmLooker
from wizard.adapters.helm_commands import HelmConfig
from wizard.adapters.helm_exec import Method
from wizard.adapters.sdk_process import SdkProcess

ROW = {"revision": 1, "status": "deployed", "chart": "dpe-16.1.0", "app_version": "16.1.0"}
DEEP = "[" * 700 + "]" * 700  # json reads it, pickle does not write it


def looker_of(helm: Path, run_dir: Path, sdk: SdkProcess) -> HelmLooker:
    config = HelmConfig(
        helm=helm, kubeconfig="/some/kubeconfig", kube_context="some-context", ca_file=None, run_dir=run_dir
    )
    return HelmLooker(config, sdk)


@pytest.fixture
def answering(script: Script, tmp_path: Path, sdk: SdkProcess):
    """Makes a looker whose helm writes `stdout` and notes its arguments in the file `asked`."""

    def make(stdout: bytes | str) -> HelmLooker:
        (tmp_path / "stdout").write_bytes(stdout if isinstance(stdout, bytes) else stdout.encode())
        helm = script(
            f'[ "$1" = version ] && {{ echo v3.19.0; exit; }}\necho "$*" > {tmp_path}/asked\ncat {tmp_path}/stdout'
        )
        return looker_of(helm, tmp_path, sdk)

    return make


async def refused(doing: Awaitable[object]) -> Problem:
    with pytest.raises(Problem) as caught:
        await doing
    return caught.value


async def test_pyhelm3_asks_and_reads_and_the_cluster_is_always_named(answering, tmp_path):
    found = await answering(json.dumps([{**ROW, "revision": 2}, ROW])).history("dpe", "here")
    assert [(one.revision, one.chart, one.chart_version) for one in found] == [
        (1, "dpe", "16.1.0"),
        (2, "dpe", "16.1.0"),
    ]
    where = "--namespace here --kubeconfig /some/kubeconfig --kube-context some-context\n"
    asked = (tmp_path / "asked").read_text()
    assert re.fullmatch(r"history dpe --output json --max \d+ " + re.escape(where), asked)

    odd = {"secret": "a\u2028'\"$x", "half": "\ud83d", "nothing": None, "big": 2**70}
    assert await answering(json.dumps(odd)).values("dpe", "here", revision=7) == odd
    assert (tmp_path / "asked").read_text() == f"get values dpe --output json --revision 7 {where}"
    assert await answering("null").values("dpe", "here") == {}
    assert (tmp_path / "asked").read_text() == f"get values dpe --output json {where}"


@pytest.mark.parametrize(
    "stdout",
    ["", "Error?", "{", b"\xff\xfe", "9" * 5000, "[" * 100_000, DEEP, '{"a":' * 700 + "1" + "}" * 700, "[1]", '["a"]'],
    ids=["nothing", "words", "cut off", "no text", "huge number", "endless", "deep", "deep map", "numbers", "strings"],
)
async def test_an_answer_that_is_none_is_a_problem(answering, stdout):
    looker = answering(stdout)
    for doing in (looker.history("dpe", "here"), looker.values("dpe", "here")):
        problem = await refused(doing)
        assert (problem.code, problem.exit_code) == ("helm-answer-unknown", EXIT_NOT_YET)


async def test_at_every_depth_there_is_an_answer_or_a_problem(sdk: SdkProcess):
    """Never a stack of the child's, never its end: json and pickle give up at depths of their own."""

    async def reads(depth: int) -> bool:
        stdout = b"[" * depth + b"1" + b"]" * depth
        try:
            method: Method = "get_values"
            found = await sdk.call(helm_exec.answer, method, "dpe", {"namespace": "here"}, stdout, timeout=30)
        except Problem as problem:
            assert problem.code == "helm-answer-unknown"
            return False
        assert isinstance(found, list)
        return True

    read = [await reads(depth) for depth in (*range(1, sys.getrecursionlimit()), 100_000)]
    assert read[100] is True
    assert read[-1] is False
    assert sorted(read, reverse=True) == read


async def test_what_helm_says_on_stderr_stays_what_it_is(script: Script, tmp_path: Path, sdk: SdkProcess):
    helm = script('[ "$1" = version ] && { echo v3.19.0; exit; }\necho "Error: release: not found" >&2; exit 1')
    looker = looker_of(helm, tmp_path, sdk)
    assert await looker.history("dpe", "here") == ()
    assert (await refused(looker.values("dpe", "here"))).code == "release-not-found"


@pytest.mark.parametrize("value", ["--debug", "a\0b", "\ud83d"])
async def test_what_no_argument_can_be_is_not_given_to_helm(answering, tmp_path, value):
    looker = answering("[]")
    for doing in (looker.history(value, "here"), looker.history("dpe", value)):
        problem = await refused(doing)
        assert (problem.code, problem.exit_code) == ("argument-not-usable", EXIT_BAD)
    assert not (tmp_path / "asked").exists()


async def test_a_child_that_does_not_answer_is_a_problem_and_the_next_one_does(answering, monkeypatch):
    looker = answering(json.dumps([ROW]))
    monkeypatch.setattr(helm_adapter, "_PYHELM_TIMEOUT", 0)
    problem = await refused(looker.history("dpe", "here"))
    assert (problem.code, problem.exit_code) == ("helm-not-read", EXIT_NOT_YET)
    monkeypatch.undo()
    assert len(await looker.history("dpe", "here")) == 1
