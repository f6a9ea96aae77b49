"""A machine of one's own for each end-to-end test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.end_to_end.harness import Machine


@pytest.fixture
def machine(tmp_path: Path, helm: Path) -> Machine:
    """A machine with each supported helm in turn."""
    return Machine(tmp_path, helm)


@pytest.fixture
def machine4(tmp_path: Path, helm4: Path) -> Machine:
    """A machine with helm 4."""
    return Machine(tmp_path, helm4)
