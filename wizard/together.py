"""Several looks side by side, of which none outlives the others' failure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def together() -> AsyncIterator[asyncio.TaskGroup]:
    """A task group that raises the first failure itself, not in a group of one.

    `asyncio.gather` leaves the other looks running when one fails. They would go on asking, and start a new SDK
    child, while the program is already closing.
    """
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
