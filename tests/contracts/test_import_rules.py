"""The import contracts of pyproject.toml hold, and each of them bites (DESIGN.md section 3)."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contracts.conftest import ROOT

LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LINT_IMPORTS, "--no-cache"], cwd=tree, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the sources, to spoil."""
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(ROOT / "pyproject.toml", copy)
    for package in ("screens", "wizard", "state"):
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def test_the_rules_hold():
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


def test_an_unspoiled_copy_passes(tree: Path):
    assert lint(tree).returncode == 0


@pytest.mark.parametrize(
    ("file", "line", "broken"),
    [
        ("state/clock.py", "import wizard.text", "screens -> wizard -> state, never back"),
        ("wizard/view.py", "import screens", "screens -> wizard -> state, never back"),
        ("wizard/view.py", "def late():\n    import screens", "screens -> wizard -> state, never back"),
        ("state/clock.py", "import socket", "state knows no screen, no cloud SDK, no network"),
        ("state/journal.py", "import yaml", "state knows no screen, no cloud SDK, no network"),
        ("wizard/output.py", "from textual.app import App", "wizard knows no Textual"),
        ("screens/__init__.py", "import subprocess", "screens do no I/O and know no cloud SDK"),
        ("screens/__init__.py", "from azure.identity import DefaultAzureCredential", "screens do no I/O"),
    ],
)
def test_a_forbidden_import_breaks_the_build(tree: Path, file: str, line: str, broken: str):
    spoiled = tree / file
    spoiled.write_text(f"{spoiled.read_text()}\n\n{line}\n")
    done = lint(tree)
    assert done.returncode != 0
    assert any(broken in shown and "BROKEN" in shown for shown in done.stdout.splitlines()), done.stdout


def test_only_the_command_line_may_open_the_app(tree: Path):
    """The one exception is for one module; another one may not use it."""
    (tree / "screens" / "app.py").write_text("")
    for file, allowed in (("cli", True), ("commands", False)):
        source = tree / "wizard" / f"{file}.py"
        before = source.read_text()
        source.write_text(f"{before}\n\ndef _open():\n    from screens import app\n")
        assert (lint(tree).returncode == 0) is allowed, file
        source.write_text(before)
