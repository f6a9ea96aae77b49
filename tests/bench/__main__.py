"""python -m tests.bench [--strict]

Prints every budget of DESIGN.md section 8 that there is something to measure for, beside what it is a multiple of.
Exit code 0 whatever the figures, since a busy machine is no defect; with `--strict` 1 unless every row with a budget
is ok.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

from tests.bench import azure, checking, journal, screens, start_up, step_seven
from tests.bench.measure import NOT_MEASURED, OVER, Row, table


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="The speed budgets, measured.")
    parser.add_argument("--strict", action="store_true", help="exit code 1 unless every budget is kept")
    strict = parser.parse_args().strict
    begun = time.monotonic()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="plw-bench-") as temporary:
        for part in (start_up, journal, azure, checking, screens, step_seven):
            name = part.__name__.rpartition(".")[2]
            print(f"measuring {name.replace('_', ' ')}…", file=sys.stderr, flush=True)
            directory = Path(temporary, name)
            directory.mkdir(mode=0o700)
            rows += part.rows(directory)
    print(table(rows))
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    print(f"\nPython {platform.python_version()}, {load}, measured in {time.monotonic() - begun:.0f} s")
    bad = [row for row in rows if row.verdict in (OVER, NOT_MEASURED)]
    return 1 if strict and bad else 0


if __name__ == "__main__":
    sys.exit(main())
