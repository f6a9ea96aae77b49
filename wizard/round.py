"""One round of looking: what its checks read is asked for once, a few reads of a source at a time, and then forgotten.

Many checks want the same: as whom Azure is asked, a subscription's zones, a VNet. Within a round equal reads are one,
the failed ones too. No round knows what another one read, and a plan or a change is never given what a round read.

A check's deadline counts while its own reads are served, not while they wait for their turn: else many items would
make each other late. A source that gives no answer is not waited for by one check after the other: when it is found
dead, whatever else the round wants of it is answered with the same problem, and the other sources go on.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, fields, replace
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, TypeVar, cast

from state.problem import EXIT_NOT_YET, Problem

if TYPE_CHECKING:
    from wizard.azure import ARecord, Endpoint
    from wizard.ports import Readers

T = TypeVar("T")

AT_ONCE = {"azure": 6, "cluster": 1, "helm": 4, "dns": 16, "inside": 2}
"""Reads of a source that are served side by side; what an SDK child takes at once, else what this machine bears."""

_OTHERS_AT_ONCE = 4

LONGEST = 600.0
"""Seconds from a round's beginning after which no further read is begun: a round ends, however slow a source is."""

FEW = 2
"""Things of one place that are read one by one; from the next one on they are read as a list, by pages."""

_NAMES = {
    "azure": "Azure",
    "cluster": "The cluster",
    "helm": "helm",
    "dns": "The resolver",
    "inside": "The cluster's DNS",
}

# What says that nobody answers there, whatever is asked.
_SILENT = frozenset(
    f"{who}-{what}"
    for who in ("azure", "cluster")
    for what in ("ca", "name", "proxy", "refused", "timeout", "tls", "unreachable")
) | {"helm-silent"}


# ---------------------------------------------------------------- deadlines


class _Clock:
    """A check's time. It stands while the check has reads and all of them wait for their turn."""

    def __init__(self, seconds: float, timeout: asyncio.Timeout) -> None:
        self.seconds = seconds
        self._left, self._timeout = seconds, timeout
        self._since = asyncio.get_running_loop().time()
        self._waiting = self._served = 0

    @property
    def expired(self) -> bool:
        """Whether the time was up."""
        return self._timeout.expired()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """A read waits for its turn."""
        with self._counted(1, 0):
            yield

    @contextmanager
    def served(self) -> Iterator[None]:
        """A read is being answered."""
        with self._counted(0, 1):
            yield

    @contextmanager
    def _counted(self, waiting: int, served: int) -> Iterator[None]:
        self._count(waiting, served)
        try:
            yield
        finally:
            self._count(-waiting, -served)

    def _count(self, waiting: int, served: int) -> None:
        stood = self._stands
        self._waiting += waiting
        self._served += served
        if stood == self._stands or self.expired:
            return
        now = asyncio.get_running_loop().time()
        if self._stands:
            self._left -= now - self._since
            self._timeout.reschedule(None)
        else:
            self._since = now
            self._timeout.reschedule(now + self._left)

    @property
    def _stands(self) -> bool:
        return self._waiting > 0 and self._served == 0


_clock: contextvars.ContextVar[_Clock | None] = contextvars.ContextVar("clock", default=None)


@asynccontextmanager
async def deadline(seconds: float) -> AsyncIterator[None]:
    """Raises TimeoutError when what is done in it takes longer; waiting for a turn in the round is not counted."""
    async with asyncio.timeout(seconds) as timeout:
        token = _clock.set(_Clock(seconds, timeout))
        try:
            yield
        finally:
            _clock.reset(token)


# ---------------------------------------------------------------- sources


@dataclass(slots=True, eq=False)
class _Read:
    """A read that is asked for, by `askers` at the moment. `begun`: it waits no longer."""

    task: asyncio.Task[Any] = field(init=False)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    askers: int = 0
    late: bool = False


@dataclass(slots=True)
class _Health:
    """Whether a source answers: `misses` are reads without an answer since the last one that had one."""

    answered: bool = False
    misses: int = 0
    dead: Problem | None = None

    def missed(self, problem: Problem) -> None:
        """One lost answer may be bad luck where others came before."""
        self.misses += 1
        if self.misses > self.answered:
            self.dead = problem

    def came(self) -> None:
        """It answers."""
        self.answered, self.misses = True, 0


class _Source:
    """A port within one round: it has the port's methods, and what they read is shared. `end`: no read begins after
    that (the loop's time)."""

    def __init__(self, name: str, port: Any, end: float) -> None:
        self._name, self._port, self._end = name, port, end
        self._turns = asyncio.Semaphore(AT_ONCE.get(name, _OTHERS_AT_ONCE))
        self._reads: dict[Any, _Read] = {}
        self._health: dict[str, _Health] = {}
        self._running: set[asyncio.Task[Any]] = set()

    def __getattr__(self, method: str) -> Any:
        asked = getattr(self._port, method)
        # Signing in shows something to whoever began it; what is no look is not shared either.
        if method == "sign_in" or not iscoroutinefunction(asked):
            return asked

        async def read(*arguments: Any, **named: Any) -> Any:
            return await self._once(method, arguments, named, lambda: asked(*arguments, **named))

        return read

    def tasks(self) -> list[asyncio.Task[Any]]:
        """Every read that has not ended, also those that were given up and still put things in order."""
        return list(self._running)

    def key(self, method: str, arguments: Sequence[Any], named: dict[str, Any]) -> Any:
        """What makes two reads the same."""
        return method, tuple(arguments), tuple(sorted(named.items()))

    def health(self, arguments: Sequence[Any], named: dict[str, Any]) -> _Health:
        """That of whoever is asked."""
        return self._health.setdefault("", _Health())

    def silent(self, answer: Any) -> bool:
        """Whether an answer says that there was none."""
        return False

    async def _once(
        self, method: str, arguments: Sequence[Any], named: dict[str, Any], ask: Callable[[], Awaitable[T]]
    ) -> T:
        """The answer to a read, which is made once however many ask for it, and goes on while one of them waits."""
        key = self.key(method, arguments, named)
        try:
            read = self._reads.get(key)
        except TypeError:  # a list among the arguments
            key, read = object(), None
        health = self.health(arguments, named)
        if read is None:
            read = self._reads[key] = _Read()
            read.task = asyncio.create_task(self._serve(read, health, ask))
            # Whoever asked may be gone when it fails.
            read.task.add_done_callback(lambda task: task.cancelled() or task.exception())
            self._running.add(read.task)
            read.task.add_done_callback(self._running.discard)
        clock = _clock.get()
        read.askers += 1
        try:
            if clock is None:
                return await asyncio.shield(read.task)
            with clock.waiting():
                await read.begun.wait()
            with clock.served():
                return await asyncio.shield(read.task)
        except asyncio.CancelledError:
            if clock is not None and clock.expired and read.begun.is_set() and not read.late and not read.task.done():
                read.late = True
                health.missed(self._no_answer(clock.seconds))
            raise
        finally:
            read.askers -= 1
            if not read.askers and not read.task.done():
                self._reads.pop(key, None)  # whoever comes next begins anew
                read.task.cancel()

    async def _serve(self, read: _Read, health: _Health, ask: Callable[[], Awaitable[T]]) -> T:
        try:
            async with self._turns:
                if health.dead is not None:
                    raise health.dead
                if asyncio.get_running_loop().time() > self._end:
                    raise self._too_late()
                read.begun.set()
                answer = await ask()
            if self.silent(answer):
                health.missed(self._no_answer(None))
            else:
                health.came()
            return answer
        except Problem as problem:
            if problem.code not in _SILENT:
                health.came()
            elif problem is not health.dead:
                health.missed(problem)
            raise
        finally:
            read.begun.set()

    def _no_answer(self, seconds: float | None) -> Problem:
        within = f" within {seconds:g} s" if seconds else ""
        return Problem(
            "no-answer",
            f"{_NAMES.get(self._name, self._name)} gave no answer{within}.",
            means="So nothing else was asked of it in this round.",
            todo="Check the network and `privatelink-wizard doctor`, then look again.",
            exit_code=EXIT_NOT_YET,
        )

    def _too_late(self) -> Problem:
        return Problem(
            "round-too-long",
            f"{_NAMES.get(self._name, self._name)} was too slow: {LONGEST / 60:.0f} minutes were over before its turn.",
            means="A round of looks ends after that.",
            todo="Look at fewer steps at once (`--step N`), or look again later.",
            exit_code=EXIT_NOT_YET,
        )


class _Azure(_Source):
    """Azure reads ids without case, and many things of one place as a list."""

    def __init__(self, name: str, port: Any, end: float) -> None:
        super().__init__(name, port, end)
        self._asked: dict[str, set[str]] = {}

    def key(self, method: str, arguments: Sequence[Any], named: dict[str, Any]) -> Any:
        """As Azure compares."""
        return super().key(method, [one.lower() if isinstance(one, str) else one for one in arguments], named)

    async def endpoint(self, endpoint_id: str) -> Endpoint | None:
        """One by itself while there are few; then all of the subscription, by pages.

        A list holds only what may be read in it, so what is not found there is asked for by itself.
        """
        from wizard.identifiers.arm_id import name_after

        subscription = name_after(endpoint_id, "subscriptions").lower()
        if self._many(subscription, endpoint_id):
            found: Sequence[Endpoint] = await self._listed(self.endpoints(subscription))
            mine = next((one for one in found if one.id.lower() == endpoint_id.lower()), None)
            # Of one whose interface is not in the list, nothing tells the address.
            if mine is not None and mine.addresses:
                return mine
        return cast("Endpoint | None", await self.__getattr__("endpoint")(endpoint_id))

    async def a_record(self, zone_id: str, name: str) -> ARecord | None:
        """One by itself while there are few; then all of the zone, by pages."""
        if self._many(zone_id.lower(), name):
            found: Sequence[ARecord] = await self._listed(self.a_records(zone_id))
            mine = next((one for one in found if one.name.lower() == name.lower()), None)
            if mine is not None:
                return mine
        return cast("ARecord | None", await self.__getattr__("a_record")(zone_id, name))

    def _many(self, place: str, thing: str) -> bool:
        asked = self._asked.setdefault(place, set())
        asked.add(thing.lower())
        return len(asked) > FEW

    @staticmethod
    async def _listed(listing: Awaitable[Sequence[T]]) -> Sequence[T]:
        """A list; empty where it may not be read, though one thing of it may."""
        try:
            return await listing
        except Problem as problem:
            if problem.code in _SILENT:
                raise
            return ()


class _Dns(_Source):
    """Each resolver answers for itself, and none raises: what it did not answer stands in the answer."""

    def health(self, arguments: Sequence[Any], named: dict[str, Any]) -> _Health:
        """That of the resolver that is asked; empty is the one configured here."""
        server = arguments[1] if len(arguments) > 1 else named.get("server")
        return self._health.setdefault(str(server or ""), _Health())

    def silent(self, answer: Any) -> bool:
        """Whether the resolver did not answer in its time."""
        return bool(answer.error == "timeout")


_SOURCES = {"azure": _Azure, "dns": _Dns}


@asynccontextmanager
async def one_round(readers: Readers) -> AsyncIterator[Readers]:
    """The readers of one round of looking: equal reads are made once. What was read is forgotten at its end, and what
    is still being read is given up."""
    end = asyncio.get_running_loop().time() + LONGEST
    held = {one.name: getattr(readers, one.name) for one in fields(readers)}
    ports = {name: port for name, port in held.items() if port is not None and not isinstance(port, bool)}
    sources = {name: _SOURCES.get(name, _Source)(name, port, end) for name, port in ports.items()}
    shared: dict[str, Any] = dict(sources)
    try:
        yield replace(readers, **shared)
    finally:
        left = [task for source in sources.values() for task in source.tasks()]
        for task in left:
            if not task.cancelling():
                task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
