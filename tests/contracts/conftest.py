"""The program in a process of its own, with a state directory that has setups in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.setups import make_setup

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    """A state directory with two setups."""
    directory = tmp_path / "state"
    for name in ("prod", "demo"):
        make_setup(directory, name)
    return directory


@pytest.fixture
def env(tmp_path: Path, state_dir: Path) -> dict[str, str]:
    """The environment of a user whose homes are in tmp_path. Python's own bytecode files are not what is tested."""
    return {
        "PATH": os.defpath,
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "PRIVATELINK_STATE_DIR": str(state_dir),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
