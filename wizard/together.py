"""Several looks side by side, of which none outlives the others' failure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

S = TypeVar("S")
T = TypeVar("T")


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


async def both(one: Coroutine[Any, Any, S], other: Coroutine[Any, Any, T]) -> tuple[S, T]:
    """What two looks find that are made `together`."""
    async with together() as looks:
        first, second = looks.create_task(one), looks.create_task(other)
    return first.result(), second.result()
