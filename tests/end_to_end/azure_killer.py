"""The plain program, but it dies by SIGKILL at the N-th write it sends to Azure.

    python azure_killer.py WHEN N TRACE ABOUT ARGUMENT…

N counts writes from 0. WHEN is right `before` the request, when Azure has taken it and before its answer is heard
(`sent`), or right after the answer (`answered`). With `child` only the SDK's process dies, when Azure has taken the
request, and the program goes on. TRACE is the sandbox's trace, where one sees what Azure has taken; ABOUT stands in the
path of all that this run makes.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from wizard.adapters.azure_acting import ActingAs
from wizard.cli import main

BEFORE, SENT, ANSWERED = WHENS = ("before", "sent", "answered")
CHILD = "child"

WAIT = 60.0


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


def taken(trace: Path, about: str) -> int:
    """How many writes about this run's resources Azure has taken; each stands in the trace before its answer."""
    lines = [json.loads(line) for line in trace.read_text().splitlines()]
    return sum(line["method"] in ("PUT", "DELETE") and about in line["path"].lower() for line in lines)


def arm(when: str, number: int, trace: Path, about: str) -> None:
    """Puts the trap around the one call that sends writes."""
    act = ActingAs._act
    writes = 0

    async def trapped(actor: ActingAs, *arguments: Any) -> None:
        nonlocal writes
        mine, writes = writes == number, writes + 1
        if not mine:
            return await act(actor, *arguments)
        if when == BEFORE:
            die()
        if when == ANSWERED:
            await act(actor, *arguments)
            die()
        before = taken(trace, about)
        sending = asyncio.ensure_future(act(actor, *arguments))
        for _ in range(5):  # the request is on its way to the SDK's process after two
            await asyncio.sleep(0)
        # From here on nothing of ours runs, so that no answer is heard.
        deadline = time.monotonic() + WAIT
        while taken(trace, about) == before:
            if time.monotonic() > deadline or sending.done():
                os._exit(99)
            time.sleep(0.005)
        if when == SENT:
            die()
        assert actor._process.pid is not None
        os.kill(actor._process.pid, signal.SIGKILL)
        return await sending

    ActingAs._act = trapped  # type: ignore[method-assign,assignment]


if __name__ == "__main__":
    arm(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
    sys.exit(main(sys.argv[5:]))
