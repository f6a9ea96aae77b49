"""The journal: how long 100,000 events take to verify and fold, and that an append does not grow with the file."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

from state import journal
from state.events import FieldSet
from state.snapshot import fold
from state.store import Store, Writer
from tests.bench.measure import OK, OVER, Row, in_turn, seconds, timed
from tests.state.make_journal import make_journal

SMALL, LARGE = 100, 100_000
APPENDS = 200
READ_BUDGET = 1.0  # seconds
# "No growth" leaves room for what two measurements of the same thing differ by.
GROWTH_BUDGET = 1.25


def rows(directory: Path) -> Iterator[Row]:
    """The journal's budgets."""
    store = Store(directory)
    store.setups.mkdir(mode=0o700)
    make_journal(store.path_of("small"), SMALL, "small")
    yield _reading(make_journal(store.path_of("large"), LARGE, "large"))
    with store.open("small") as small, store.open("large") as big:
        yield from _appending(small, big)


def _reading(path: Path) -> Row:
    def read() -> None:
        found = journal.read(path)
        assert len(found.events) == LARGE and not found.problems
        fold(found.header, found.events, head=found.head)

    busy = time.process_time()
    taken = statistics.median(timed(read) for _ in range(5))
    # Beside the wall time: what it would be with a core to itself.
    cpu = (time.process_time() - busy) / 5
    verdict = OK if taken < READ_BUDGET else OVER
    what = f"{LARGE:,} events verified and folded"
    return Row(what, f"CPU {seconds(cpu)}", seconds(taken), seconds(taken), f"< {READ_BUDGET:g} s", verdict)


def _appending(small: Writer, large: Writer) -> Iterator[Row]:
    pairs = in_turn(lambda: _append(small), lambda: _append(large), APPENDS, warm_up=10)
    one, other = pairs.medians
    growth = other / one
    yield Row(
        f"append at {LARGE:,} events beside {SMALL}",
        seconds(one),
        seconds(other),
        f"{growth:.2f} ×",
        f"no growth (≤ {GROWTH_BUDGET:g} ×)",
        OK if growth <= GROWTH_BUDGET else OVER,
    )
    with patch("os.fsync", wraps=os.fsync) as fsync:
        for _ in range(APPENDS):
            _append(large)
    each = fsync.call_count / APPENDS
    yield Row("fsync per append", "", f"{each:g}", f"{each:g}", "1", OK if each == 1 else OVER)


def _append(writer: Writer) -> float:
    data = FieldSet(item="endpoint/pe-weu", field="private_ip", value=f"10.20.1.{writer.seq % 250}")
    begun = time.perf_counter()
    writer.append(data)
    return time.perf_counter() - begun
