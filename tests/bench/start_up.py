"""`--help`, `validate` and `list` beside a Python that does nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from tests.bench.measure import Row, child_env, in_turn, ratio_row, runs
from tests.setups import ENDPOINT_ID, make_setup

PAIRS = 15
SETUPS, EVENTS = 20, 500


def rows(directory: Path) -> Iterator[Row]:
    """The start-up budgets. The program is measured as users have it: the console script, and `python -m`."""
    state = directory / "state"
    for number in range(SETUPS):
        make_setup(state, f"setup-{number:02}", EVENTS)
    env = child_env(PRIVATELINK_STATE_DIR=str(state))
    bare = runs([sys.executable, "-c", "pass"], env)
    script = str(Path(sys.executable).with_name("privatelink-wizard"))
    for what, command, budget in (
        ("privatelink-wizard --help", [script, "--help"], 8),
        ("python -m wizard --help", [sys.executable, "-m", "wizard", "--help"], 8),
        ("validate endpoint-id ID", [script, "validate", "endpoint-id", ENDPOINT_ID], 8),
        (f"list, {SETUPS} setups × {EVENTS} events", [script, "list"], 12),
    ):
        yield ratio_row(what, in_turn(bare, runs(command, env), PAIRS), budget)
