"""`check` of many DPEs with two endpoints each beside that of one: how its calls and its time grow."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from state.clock import now
from state.events import EnvironmentSet
from tests.bench.azure import AWAY
from tests.bench.many import EACH, setup_of
from tests.bench.measure import OK, OVER, Row, child_env, in_turn, seconds
from tests.wizard.engine import ACTOR, GUIDE, snapshot_of
from wizard.adapters import azure as adapter
from wizard.adapters.azure import AzureLooker, Target
from wizard.adapters.sdk_process import SdkProcess
from wizard.checking import as_text, document, look_at_all, with_findings
from wizard.output import document_text
from wizard.ports import Readers
from wizard.round import FEW
from wizard.sandbox.arm.pages import PAGE_SIZE
from wizard.status import derive

DPES, PAIRS, LIMIT = 100, 3, 20.0


def calls_of(dpes: int) -> int:
    """What a round may ask of ARM: a few endpoints and interfaces, all by pages, two calls a zone, pages of zones, and
    what is one for all: subscriptions, the VNet."""
    endpoints, zones = dpes * EACH, dpes * 2
    singles = min(endpoints, FEW)
    pages = -(-endpoints // PAGE_SIZE)
    return 2 * singles + 2 * pages + 2 * zones + -(-zones // PAGE_SIZE) + 2


def rows(directory: Path) -> Iterator[Row]:
    """Calls and time of `check` of 100 DPEs × 2 endpoints beside one, and what deriving all of it takes."""
    with asyncio.Runner() as runner, _checked(directory / "one", 1, runner) as one:
        with _checked(directory / "many", DPES, runner) as many:
            pairs = in_turn(one.check, many.check, PAIRS, limit=LIMIT)
        beside, ours = pairs.medians
        kept = many.calls <= calls_of(DPES) and one.calls <= calls_of(1)
        yield Row(
            f"check, {DPES} DPEs × {EACH} endpoints beside 1 × {EACH}, {AWAY * 1000:.0f} ms away",
            f"{seconds(beside)}, {one.calls} calls",
            f"{seconds(ours)}, {many.calls} calls",
            f"{ours / beside:.1f} ×, {many.calls / one.calls:.1f} × the calls",
            f"≤ {calls_of(DPES)} calls",
            OK if kept else OVER,
        )
    small, large = (snapshot_of(*setup_of(dpes)) for dpes in (1, DPES))

    def deriving(snapshot: Any) -> Any:
        return lambda: derive(GUIDE, snapshot, now()) and None

    pairs = in_turn(deriving(small), deriving(large), PAIRS)
    beside, ours = pairs.medians
    yield Row(
        f"status of {DPES} DPEs × {EACH} beside 1 × {EACH}", seconds(beside), seconds(ours), f"{pairs.ratio:.0f} ×", "–"
    )


class _Checked:
    """What the command does between reading the journal and printing, Azure being all that can be asked."""

    def __init__(self, facts: dict[str, Any], dpes: int, runner: asyncio.Runner) -> None:
        self._trace, self._runner = Path(facts["trace"]), runner
        self._snapshot = snapshot_of(*setup_of(dpes, EnvironmentSet(sandbox=True)))
        self._target = Target(**facts["target"])
        self.calls = 0

    def start(self) -> None:
        async def start() -> None:
            self._process = SdkProcess(adapter.MODULES, at_once=adapter.AT_ONCE)
            self._readers = Readers(azure=AzureLooker(self._target, self._process))

        self._runner.run(start())

    def check(self) -> None:
        before = self._asked()
        found = self._runner.run(look_at_all(GUIDE, self._snapshot, GUIDE.steps, self._readers))
        body = document("many", GUIDE, with_findings(self._snapshot, found, ACTOR), GUIDE.steps, recorded=False)
        assert as_text(body) and document_text(body)
        azure = [one for one in found if one.check in ("subscription", "endpoint", "live-id", "records")]
        assert all(one.verdict == "good" for one in azure), next(one for one in azure if one.verdict != "good")
        self.calls = self._asked() - before

    def _asked(self) -> int:
        return sum(json.loads(line)["server"] == "arm" for line in self._trace.read_text().splitlines())

    def close(self) -> None:
        self._runner.run(self._process.close())


@contextmanager
def _checked(directory: Path, dpes: int, runner: asyncio.Runner) -> Iterator[_Checked]:
    directory.mkdir(mode=0o700)
    command = [sys.executable, "-m", "tests.bench.many", str(directory), str(dpes), str(AWAY)]
    with subprocess.Popen(command, env=child_env(), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        checked = _Checked(json.loads(server.stdout.readline()), dpes, runner)
        checked.start()
        try:
            yield checked
        finally:
            checked.close()
            server.stdin.close()
