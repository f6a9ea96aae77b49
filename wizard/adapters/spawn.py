"""Start a process so that cancelling is safe at any moment."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any


async def spawn(*argv: str, **options: Any) -> asyncio.subprocess.Process:
    """`asyncio.create_subprocess_exec` that may be cancelled: then the process is killed and reaped.

    asyncio itself does not survive being cancelled in the middle of a start (seen with 3.11: it waits for ever), so
    the start is let finish first. Raises OSError as it does.
    """
    starting = asyncio.ensure_future(asyncio.create_subprocess_exec(*argv, **options))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        with contextlib.suppress(OSError):
            process = await starting
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        raise
