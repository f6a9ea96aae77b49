"""Lists to pick a field's value from, read in the background while somebody types: what is known of one right now.

A list belongs to the open setup and not to a screen. It is kept by the values that it depends on, and the reads below
it are shared, so that nothing is asked twice. Typing never waits for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

from state.clock import now
from state.problem import Problem
from wizard.guide import Batch, Field, Listed, ListOf
from wizard.offers import MOST, Offer, held_elsewhere, offer_of, unique_keys
from wizard.sign_in import CODES
from wizard.text import one_line

if TYPE_CHECKING:
    from wizard.ports import Readers
    from wizard.view import View

T = TypeVar("T")

LOOKING, COMPLETE, COULD_NOT_LOOK = "looking", "complete", "could not look"
"""The states of a list."""

FRESH = 300.0
"""Seconds for which what was read is good enough; then it is read again when somebody asks."""

RETRY = 30.0
"""Seconds after which a list that could not be read is tried again when somebody asks."""

AT_ONCE = 4
"""Reads at the same time: other looks, and a plan, want their turn."""

SOURCE = "Azure"
"""Where the rows are from, as the user reads it; `SOURCE.lower()` is the source of a field that was set from one."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a list, with the texts that are searched in small letters: what a filter looks through, value, name."""

    listed: Listed
    text: str
    value: str
    name: str


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a list. `rows` come while it is LOOKING; of an earlier read they stay until it has ended.

    `who`: as whom it is read. `told`: what Azure let us know meanwhile. `ts`: when it was complete (RFC 3339 UTC),
    empty before. `remarks`: what it lacks, and why. `problem`: why it could not be read to its end. `begun` and
    `ended`: seconds on the monotonic clock.
    """

    of: ListOf
    state: str = LOOKING
    rows: tuple[Row, ...] = ()
    who: str = ""
    told: str = ""
    ts: str = ""
    remarks: tuple[str, ...] = ()
    problem: Problem | None = None
    begun: float = 0.0
    ended: float = 0.0

    def seconds(self) -> float:
        """How long it is being read."""
        return (time.monotonic() if self.state == LOOKING else self.ended) - self.begun

    @property
    def counted(self) -> str:
        """How many rows there are, in words."""
        return f"{len(self.rows):,} {self.of.one if len(self.rows) == 1 else self.of.things}"

    @property
    def why(self) -> str:
        """In one sentence or two, why it could not be read, and that typing goes on; empty when it could."""
        return f"{one_line(self.problem.what)} Typing works all the same." if self.problem is not None else ""

    def having(self, text: str) -> tuple[Row, ...]:
        """The rows that have every word of `text` in their name, value or columns, in any case."""
        words = text.casefold().split()
        if not words:
            return self.rows
        return tuple(row for row in self.rows if all(word in row.text for word in words))

    def matching(self, text: str) -> list[Listed]:
        """Rows to complete `text` with, at most `MOST`: whose value begins so, then whose name does, then has it.

        Among equals those that nothing speaks against go first.
        """
        begun = text.strip().casefold()
        found: tuple[list[Listed], ...] = ([], [], [], [], [], [])
        for row in self.rows:
            if row.value.startswith(begun):
                rank = 0
            elif row.name.startswith(begun):
                rank = 2
            elif begun in row.name:
                rank = 4
            else:
                continue
            found[rank + bool(row.listed.note)].append(row.listed)
        return [one for some in found for one in some[:MOST]][:MOST]


@dataclass(slots=True)
class _Read:
    begun: float
    task: asyncio.Task[Any]

    @property
    def failed(self) -> bool:
        """Whether it has no answer."""
        return self.task.done() and (self.task.cancelled() or self.task.exception() is not None)


class _Shared:
    """The reads below the lists, by what they read: each is made once, and a few at a time."""

    def __init__(self) -> None:
        self._reads: dict[tuple[str, str], _Read] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def once(self, key: tuple[str, str], read: Callable[[], Awaitable[T]], *, since: float) -> T:
        known = self._reads.get(key)
        if known is None or known.failed or (known.task.done() and known.begun < since):
            known = self._reads[key] = _Read(time.monotonic(), asyncio.create_task(self._in_turn(read)))
            # Whoever asked may be gone when it fails.
            known.task.add_done_callback(lambda task: task.cancelled() or task.exception())
        return cast(T, await asyncio.shield(known.task))

    async def _in_turn(self, read: Callable[[], Awaitable[T]]) -> T:
        async with self._turns:
            return await read()

    def tasks(self) -> list[asyncio.Task[Any]]:
        return [one.task for one in self._reads.values()]


@dataclass(frozen=True, slots=True)
class _Reads:
    """What one reading of a list reads with; nothing older than `since` (monotonic) counts."""

    readers: Readers
    shared: _Shared
    since: float

    async def once(self, what: str, about: str, read: Callable[[], Awaitable[T]]) -> T:
        return await self.shared.once((what, about), read, since=self.since)


Key = tuple[ListOf, tuple[str, ...]]


class Lists:
    """The lists of an open setup. `on_change` is called when there is more to show of one.

    `readers` gives what reads now; `unknown` turns an error that nobody foresaw into a Problem.
    """

    def __init__(self, readers: Callable[[], Readers], unknown: Callable[[Exception], Problem]) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self._readers = readers
        self._unknown = unknown
        self._known: dict[Key, Known] = {}
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._shared = _Shared()

    def of(self, view: View, field: Field) -> Known | None:
        """What is known of the list of `field` for the values of `view`; None when nobody asked for it yet."""
        return self._known.get(_key(view, field.lists)) if field.lists is not None else None

    def unsigned(self, view: View) -> bool:
        """Whether a list of the view's fields could not be read for want of a sign-in."""
        found = (self.of(view, field) for field in view.step.fields)
        return any(known is not None and known.problem is not None and known.problem.code in CODES for known in found)

    def ask(self, view: View, field: Field, *, again: bool = False) -> Known | None:
        """Sees to it that the list is read, and returns what is known so far; `again` reads even what is fresh.

        None for a field without a list. Returns at once; never raises.
        """
        if field.lists is None:
            return None
        key = _key(view, field.lists)
        known, at = self._known.get(key), time.monotonic()
        if known is not None:
            lasts = FRESH if known.state == COMPLETE else RETRY
            if known.state == LOOKING or (not again and at - known.ended < lasts):
                return known
        begun = Known(field.lists, rows=known.rows if known else (), who=known.who if known else "", begun=at)
        self._known[key] = begun
        reads = _Reads(self._readers(), self._shared, at if again else at - FRESH)
        self._tasks[key] = asyncio.create_task(self._read(key, view, reads))
        self.on_change()
        return begun

    def told(self, text: str) -> None:
        """What Azure lets us know while it is asked, as that it has one wait: it is about every list being read."""
        for key, known in self._known.items():
            if known.state == LOOKING:
                self._known[key] = replace(known, told=one_line(text))
        self.on_change()

    async def _read(self, key: Key, view: View, reads: _Reads) -> None:
        before, found = self._known[key].rows, dict[str, Row]()
        try:
            async with aclosing(cast(Any, key[0].read(view, reads))) as batches:
                async for batch in batches:
                    self._take(key, batch, before, found)
            ended = replace(self._known[key], state=COMPLETE, rows=tuple(found.values()), ts=now())
        except Problem as problem:
            ended = replace(self._known[key], state=COULD_NOT_LOOK, problem=problem)
        except Exception as error:  # noqa: BLE001 - typing goes on; what nobody foresaw goes to a private log
            ended = replace(self._known[key], state=COULD_NOT_LOOK, problem=self._unknown(error))
        self._known[key] = replace(ended, ended=time.monotonic())
        self.on_change()

    def _take(self, key: Key, batch: Batch, before: Iterable[Row], found: dict[str, Row]) -> None:
        """Takes in what came; rows of an earlier read stay where they are as long as it is not over."""
        known = self._known[key]
        for listed in batch.rows:
            found.setdefault(listed.value, row_of(listed))
        rows = {row.listed.value: row for row in before} | found if batch.rows else None
        self._known[key] = replace(
            known,
            rows=tuple(rows.values()) if rows is not None else known.rows,
            who=batch.who or known.who,
            told="",
            remarks=(*known.remarks, batch.remark) if batch.remark else known.remarks,
        )
        self.on_change()

    async def forget(self) -> None:
        """Stops what is being read and forgets everything: the setup points elsewhere, or is being closed."""
        tasks = [*self._tasks.values(), *self._shared.tasks()]
        self._tasks, self._known, self._shared = {}, {}, _Shared()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def offers_of(known: Known | None, view: View, field: Field, owner: str | None, text: str) -> tuple[Offer, ...]:
    """What a list offers for what is typed so far as `owner`'s value, best first: only what the field would take."""
    if known is None:
        return ()
    found, theirs = [], held_elsewhere(view, field, owner) if field.key in unique_keys(view.guide) else {}
    for one in known.matching(text):
        offer = offer_of(view, field, one.value, _source(one))
        # A parser forgives what is typed; what it would make of a row must still be that very row.
        as_it_is = offer is not None and not offer.partial and offer.value.lower() == one.value.lower()
        if offer is not None and as_it_is and offer.value not in theirs:
            found.append(replace(offer, name=one_line(one.name), listed=True))
    return tuple(found)


def _source(one: Listed) -> str:
    """Where an offer is from; with its name, where its value does not tell it."""
    name = one_line(one.name, limit=40)
    return SOURCE if name.lower() in one.value.lower() else f"{SOURCE}, {name}"


def row_of(listed: Listed) -> Row:
    """A row with what is searched in it."""
    text = "\n".join((listed.name, listed.value, *listed.columns)).casefold()
    return Row(listed, text, listed.value.casefold(), listed.name.casefold())


def _key(view: View, lists: ListOf) -> Key:
    return lists, tuple(view.value(key).lower() for key in lists.needs)
