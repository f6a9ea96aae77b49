from __future__ import annotations

from pathlib import Path

import pytest

from state.store import Store
from tests.state.make_journal import make_journal


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "state")


@pytest.fixture(scope="session")
def big_journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal of 100,000 events; tests that change it copy it first."""
    return make_journal(tmp_path_factory.mktemp("big") / "demo.jsonl", 100_000)


@pytest.fixture
def demo(store: Store) -> Path:
    """A setup `demo` of 40 events in the store; the path of its journal."""
    store.setups.mkdir(parents=True, mode=0o700)
    store.state_dir.chmod(0o700)
    return make_journal(store.path_of("demo"), 40)
