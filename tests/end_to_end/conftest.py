"""A machine of one's own for each end-to-end test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import HELM_3, HELM_4, _tool
from tests.end_to_end.docker_machine import DockerMachine
from tests.end_to_end.harness import Machine


@pytest.fixture(params=[pytest.param("helm3", marks=pytest.mark.slow), "helm4"])
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Machine:
    """A machine with each supported helm in turn; in the fast suite helm 4 alone."""
    return Machine(tmp_path, _tool(HELM_3 if request.param == "helm3" else HELM_4))


@pytest.fixture
def machine4(tmp_path: Path, helm4: Path) -> Machine:
    """A machine with helm 4."""
    return Machine(tmp_path, helm4)


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """One sandbox for the tests that do not disturb it: each uses a namespace of its own."""
    machine = Machine(tmp_path_factory.mktemp("served"), _tool(HELM_4))
    with machine.sandbox() as info:
        yield info


@pytest.fixture(
    params=[
        pytest.param("helm3", marks=pytest.mark.slow),
        "helm4",
        pytest.param("helm4-docker-registry", marks=pytest.mark.slow),
    ]
)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Machine:
    """Each supported helm on the sandbox's registry, and helm 4 on CNCF distribution as Debian packages it.

    In the fast suite helm 4 on the sandbox's registry alone.
    """
    kind = DockerMachine if request.param.endswith("docker-registry") else Machine
    return kind(tmp_path, _tool(HELM_3 if request.param == "helm3" else HELM_4))
