"""Where every test must run, a skip fails the run and says why."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import NO_SKIPS

ROOT = Path(__file__).resolve().parent.parent

SKIPPED = {
    "by its mark": "@pytest.mark.skip(reason='no frobnicator')\ndef test_it(): ...",
    "while it runs": "def test_it():\n    pytest.skip('no frobnicator')",
    "in a fixture": "@pytest.fixture\ndef part():\n    pytest.skip('no frobnicator')\ndef test_it(part): ...",
    "as a whole file": "pytest.skip('no frobnicator', allow_module_level=True)",
}
EXPECTED_TO_FAIL = "@pytest.mark.xfail(reason='known')\ndef test_it():\n    assert False\ndef test_that(): ..."


def _pytest(directory: Path, test: str, no_skips: str) -> subprocess.CompletedProcess[str]:
    (directory / "test_it.py").write_text(f"import pytest\n{test}\n")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", "-q", str(directory)],
        cwd=directory,
        env={**os.environ, NO_SKIPS: no_skips, "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "test",
    [
        pytest.param(test, id=kind, marks=[pytest.mark.slow] * (kind != "in a fixture"))
        for kind, test in SKIPPED.items()
    ],
)
def test_a_skip_fails_the_run_with_its_reason(tmp_path: Path, test: str):
    done = _pytest(tmp_path, test, "1")
    assert done.returncode not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED), done.stdout
    assert "no frobnicator" in done.stdout
    assert f"{NO_SKIPS}=1 allows no skip" in done.stdout


@pytest.mark.slow
def test_elsewhere_a_skip_is_a_skip_and_an_expected_failure_is_none(tmp_path: Path):
    assert _pytest(tmp_path, SKIPPED["while it runs"], "").returncode == pytest.ExitCode.OK
    assert _pytest(tmp_path, EXPECTED_TO_FAIL, "1").returncode == pytest.ExitCode.OK
