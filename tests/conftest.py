"""Fixtures every part of the tests may use: the real tools."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import TypeVar

import hypothesis
import pytest

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

# Two workers restart their sandboxes beside each other: none may draw a port that the other's has left for a moment.
_SHARE = 12000 // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_FIRST = 20000 + _SHARE * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
os.environ["PRIVATELINK_SANDBOX_PORTS"] = f"{_FIRST}-{_FIRST + _SHARE - 1}"

# A busy machine is no defect: no example is timed.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

TOOLS = Path(__file__).resolve().parent.parent / ".tools"

HELM_3 = TOOLS / "helm-3.19.0" / "helm"
HELM_4 = TOOLS / "helm-4.1.4" / "helm"
KUBECTL = TOOLS / "kubectl-1.34.5" / "kubectl"


def _tool(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"{path.parent.name} is not there; get it with: make tools")
    return path


@pytest.fixture
def helm3() -> Path:
    """The newest helm 3 the product supports."""
    return _tool(HELM_3)


@pytest.fixture
def helm4() -> Path:
    """The newest helm 4 the product supports."""
    return _tool(HELM_4)


@pytest.fixture(params=[HELM_3, HELM_4], ids=["helm3", "helm4"])
def helm(request: pytest.FixtureRequest) -> Path:
    """Each supported helm in turn."""
    return _tool(request.param)


@pytest.fixture
def kubectl() -> Path:
    """kubectl."""
    return _tool(KUBECTL)


# ---------------------------------------------------------------- no test is skipped unseen

NO_SKIPS = "PRIVATELINK_NO_SKIPS"
"""Set to 1 where everything must have run (.ci/run): a skip, of a test or of a whole file, then fails the run."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _no_skip((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _no_skip((yield))


def _no_skip(report: Report) -> Report:
    """The report, failed with the skip's own reason where no skip is allowed. An expected failure is no skip."""
    if os.environ.get(NO_SKIPS) == "1" and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"{reason}\n{NO_SKIPS}=1 allows no skip: get what is missing."
    return report
