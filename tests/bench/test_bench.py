"""What the bench measures with: limits, percentiles, and a program on a pty that is read by what it writes."""

from __future__ import annotations

import os
import re
import sys
import time

import pytest

from tests.bench.measure import NOT_MEASURED, OK, in_turn
from tests.bench.pty import Pty
from tests.bench.screens import SEARCHED, before, key_rows, percentile

# Answers each key by a line of its own that ends in what was typed so far.
ECHO = """
import os, sys, tty
tty.setraw(0)
typed = ""
os.write(1, b"re\\x1b[1mady")
while True:
    typed += os.read(0, 1).decode()
    os.write(1, f"\\r\\n{typed}".encode())
"""


def test_a_limit_leaves_one_pair_at_least():
    done: list[str] = []
    pairs = in_turn(lambda: done.append("one"), lambda: done.append("other"), 5, limit=-1.0)
    assert (len(pairs.one), len(pairs.other)) == (1, 1)
    assert done == ["one", "other"] * 2


def test_without_a_limit_all_pairs_are_taken():
    pairs = in_turn(lambda: 1.0, lambda: 2.0, 5)
    assert (len(pairs.one), pairs.ratio) == (5, 2.0)


def test_nothing_is_begun_after_the_end():
    assert list(before(time.monotonic() - 1, range(3))) == []
    assert list(before(time.monotonic() + 60, range(3))) == [0, 1, 2]


def test_a_percentile_is_one_of_the_values():
    values = [float(one) for one in range(1, 201)]
    assert (percentile(values, 50), percentile(values, 99)) == (100.0, 198.0)


@pytest.mark.parametrize(("beside", "ours"), [([], [0.01]), ([0.01], [])])
def test_nothing_to_compare_is_not_measured(beside: list[float], ours: list[float]):
    assert [row.verdict for row in key_rows("key", beside, ours, 2.0)] == [NOT_MEASURED]


def test_rows_say_how_many_keys_there_were():
    rows = list(key_rows("key", [0.01] * 3, [0.01] * 3, 2.0, most=0.1))
    assert [(row.what, row.verdict) for row in rows] == [
        ("key (3 keys): p50", ""),
        ("key (3 keys): p99", OK),
        ("key (3 keys): slowest", OK),
    ]


def test_no_search_typed_before_shows_the_next_one():
    typed = [SEARCHED[: at + 1] for at in range(len(SEARCHED))]
    assert not any(later in earlier for at, later in enumerate(typed) for earlier in typed[:at])


def test_a_program_is_read_by_what_it_writes():
    with Pty([sys.executable, "-S", "-c", ECHO], os.environ) as terminal:
        # Drawn in pieces, and seen once is seen until it is forgotten.
        assert terminal.begun < terminal.wait("ready") <= terminal.wait(re.compile("^re.dy$"))
        assert terminal.echo("a", "a") > 0
        assert terminal.echo("b", "ab") > 0
        terminal.forget()
        with pytest.raises(AssertionError, match="waited in vain for ab"):
            terminal.wait("ab", patience=0)
