"""What the journal says of a change that did not end well."""

from __future__ import annotations

import asyncio

from state.events import FAILED, UNKNOWN
from state.problem import Problem
from wizard.guide import Log
from wizard.ports import LEAVE

DETAIL_LIMIT = 2000  # characters of outside text kept with the change


class BadEnd:
    """Writes a change's bad end, whatever it was, before the failure goes on to the caller.

    `cancelled`: the outcome (of state.events) and the words of a change that was cancelled. `lost`: the Problem after
    which nobody knows how it ended. What is left running (`LEAVE`), or can't be watched any more (the Problem
    `unwatched`), has no end yet: as after a kill, that is found out later.
    """

    def __init__(
        self,
        log: Log,
        change: str,
        summary: str,
        *,
        cancelled: tuple[str, str],
        lost: type[Problem] | None = None,
        unwatched: type[Problem] | None = None,
    ) -> None:
        self._log = log
        self._change = change
        self._summary = summary
        self._cancelled = cancelled
        self._lost = lost
        self._unwatched = unwatched

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, asyncio.CancelledError):
            if error.args[:1] != (LEAVE,):
                outcome, said = self._cancelled
                self._log.finished(self._change, outcome=outcome, summary=f"{self._summary}: {said}")
        elif self._unwatched is not None and isinstance(error, self._unwatched):
            pass
        elif isinstance(error, Problem):
            lost = self._lost is not None and isinstance(error, self._lost)
            self._log.finished(
                self._change,
                outcome=UNKNOWN if lost else FAILED,
                summary=f"{self._summary}: {error.what}",
                detail=error.detail[-DETAIL_LIMIT:],
                code=error.code,
            )
        elif isinstance(error, Exception):
            self._log.finished(self._change, outcome=UNKNOWN, summary=f"{self._summary}: {type(error).__name__}")
