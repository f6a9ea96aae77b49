"""Which state directory a command works in."""

from __future__ import annotations

from pathlib import Path

import pytest

from state.problem import Problem
from tests.setups import make_setup
from wizard.places import Places, places


def test_a_named_directory_is_the_only_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PRIVATELINK_STATE_DIR", str(tmp_path / "from-env"))
    assert [store.state_dir for store in places(None).stores] == [tmp_path / "from-env"]
    assert [store.state_dir for store in places(str(tmp_path / "named")).stores] == [tmp_path / "named"]


def test_the_sandbox_has_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("PRIVATELINK_STATE_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    found = places(None)
    assert found.real.state_dir != found.sandbox.state_dir
    assert found.of(sandbox=True) is found.sandbox
    assert found.of(sandbox=False) is found.real


def test_a_name_is_looked_up_in_both(tmp_path: Path):
    both = Places(tmp_path / "real", tmp_path / "box")
    make_setup(tmp_path / "real", "prod")
    make_setup(tmp_path / "box", "demo")
    assert both.holding("prod") is both.real
    assert both.holding("demo") is both.sandbox
    with pytest.raises(Problem) as caught:
        both.holding("other")
    assert caught.value.code == "no-such-setup"
    assert "demo" in caught.value.todo
    make_setup(tmp_path / "box", "prod")
    with pytest.raises(Problem) as caught:
        both.holding("prod")
    assert caught.value.code == "two-setups"
    assert str(tmp_path / "box") in caught.value.todo
