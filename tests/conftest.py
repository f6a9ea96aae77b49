"""Fixtures every part of the tests may use: the real tools."""

from __future__ import annotations

from pathlib import Path

import pytest

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
