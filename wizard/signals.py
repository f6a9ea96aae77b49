"""Commands that look or act until they end, or until they are told to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable

from state.problem import EXIT_INTERRUPTED
from wizard.output import say


def until_signal(work: Awaitable[int]) -> int:
    """Runs `work`; SIGINT and SIGTERM cancel it, so that what runs below is stopped and its end is written."""

    async def supervised() -> int:
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(work)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, task.cancel)
        try:
            return await task
        except asyncio.CancelledError:
            say("Interrupted: what was running is stopped, and what was saved is saved.")
            say("Run the same command again to go on.")
            return EXIT_INTERRUPTED

    return asyncio.run(supervised())
