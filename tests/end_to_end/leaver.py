"""The plain program, but SIGUSR1 is the user who quits and leaves a running helm alone.

    python leaver.py ARGUMENT…

It ends by itself, as a program ends, once the run has let go of helm.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable

import wizard.signals
from wizard.cli import main
from wizard.ports import LEAVE


def until_left(work: Awaitable[int]) -> int:
    """Runs `work`; SIGUSR1 cancels it with `LEAVE`. Raises AssertionError when something else ended it."""

    async def supervised() -> int:
        task = asyncio.ensure_future(work)
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, task.cancel, LEAVE)
        try:
            return await task
        except asyncio.CancelledError as error:
            assert error.args == (LEAVE,)
            print("left", flush=True)
            return 0

    return asyncio.run(supervised())


if __name__ == "__main__":
    wizard.signals.until_signal = until_left  # the commands are loaded after this
    sys.exit(main(sys.argv[1:]))
