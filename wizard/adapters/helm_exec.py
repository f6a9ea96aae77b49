"""pyhelm3 on our way of running helm.

pyhelm3 knows helm's reading commands and their answers. Its own way to run them is `sh -c`, which orphans helm when
cancelled, knows no environment, and cannot stream; so `run` is replaced.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from pyhelm3 import Command

Runner = Callable[[Sequence[str]], Awaitable[bytes]]


class ReadingCommand(Command):  # type: ignore[misc]  # pyhelm3 has no types
    """A `pyhelm3.Command` whose commands go through `runner`, which adds executable, cluster and environment."""

    def __init__(self, runner: Runner) -> None:
        super().__init__()
        self._runner = runner

    async def run(self, command: Sequence[object], input: bytes | None = None) -> bytes:
        """Run one command; only commands without input are needed here."""
        assert input is None  # noqa: S101
        return await self._runner([str(part) for part in command])
