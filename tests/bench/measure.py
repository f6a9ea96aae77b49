"""Measuring: pairs taken in turn, so that what else the machine does hits both sides, and medians of them."""

from __future__ import annotations

import math
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

OK = "ok"
OVER = "over"
NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Row:
    """One line of the table. `verdict` is OK, OVER, NOT_MEASURED, or empty where there is no budget."""

    what: str
    beside: str
    ours: str
    result: str
    budget: str
    verdict: str = ""


@dataclass(frozen=True)
class Pairs:
    """Times in seconds of two things done in turn: `one[i]` just before `other[i]`."""

    one: tuple[float, ...]
    other: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """The median of the pairs' ratios, other over one."""
        return statistics.median(other / one for one, other in zip(self.one, self.other, strict=True))

    @property
    def medians(self) -> tuple[float, float]:
        """The median of each side."""
        return statistics.median(self.one), statistics.median(self.other)


def in_turn(
    one: Callable[[], float | None],
    other: Callable[[], float | None],
    times: int,
    warm_up: int = 1,
    limit: float = math.inf,
) -> Pairs:
    """Does one, other, one, other…; each may tell its own time, else it is timed. The first `warm_up` do not count.

    Ends after `limit` seconds with fewer pairs, one at least.
    """
    end = time.monotonic() + limit
    taken: list[tuple[float, float]] = []
    while len(taken) < warm_up + times and (len(taken) <= warm_up or time.monotonic() < end):
        taken.append((timed(one), timed(other)))
    return Pairs(tuple(pair[0] for pair in taken[warm_up:]), tuple(pair[1] for pair in taken[warm_up:]))


def timed(work: Callable[[], float | None]) -> float:
    """Seconds that `work` took, or that it says it took."""
    begun = time.perf_counter()
    told = work()
    return time.perf_counter() - begun if told is None else told


def ratio_row(what: str, pairs: Pairs, budget: float) -> Row:
    """A row whose budget is a ratio."""
    one, other = pairs.medians
    verdict = OK if pairs.ratio <= budget else OVER
    return Row(what, seconds(one), seconds(other), f"{pairs.ratio:.2f} ×", f"≤ {budget:g} ×", verdict)


def seconds(value: float) -> str:
    """A duration in a unit that suits it."""
    if value >= 1:
        return f"{value:.2f} s"
    return f"{value * 1000:.1f} ms" if value >= 0.001 else f"{value * 1_000_000:.0f} µs"


def child_env(**more: str) -> dict[str, str]:
    """The environment of a user: with bytecode caches, whatever the shell of a developer says."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return env | more


def runs(command: Sequence[str | Path], env: dict[str, str]) -> Callable[[], None]:
    """Something that runs a command to its end, its output dropped."""

    def run() -> None:
        subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=60)

    return run


def table(rows: Sequence[Row]) -> str:
    """The rows under each other."""
    lines = [("what", "beside", "ours", "result", "budget", "")] + [
        (row.what, row.beside, row.ours, row.result, row.budget, row.verdict) for row in rows
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(6)]
    shown = [
        "  ".join(cell.ljust(width) if column == 0 else cell.rjust(width) for column, (cell, width) in enumerate(pairs))
        for pairs in (tuple(zip(line, widths, strict=True)) for line in lines)
    ]
    return "\n".join((shown[0], "-" * len(shown[0]), *shown[1:]))
