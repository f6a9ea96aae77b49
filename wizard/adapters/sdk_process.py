"""The child processes that the SDKs run in (DESIGN.md section 3).

Importing an SDK takes a second and more, and a call may be stuck in a socket, a credential plugin or a lookup. In a
process of its own neither freezes the screen, and a stuck call is ended by ending the child.

A `ProcessPoolExecutor` would not do: its worker (and its resource tracker) inherit the whole environment with
the secrets in it, a stuck call cannot be ended, and nothing ends them when the parent is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import json
import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TypeVar, TypeVarTuple, cast

from state.problem import EXIT_NOT_YET, Problem
from wizard.adapters import sdk_child
from wizard.adapters.spawn import spawn

Ts = TypeVarTuple("Ts")
T = TypeVar("T")

START_TIMEOUT = 60.0  # seconds for the child to import its modules; a cold disk takes many
FINISH_TIMEOUT = 2.0  # seconds that a cancelled call may still take

ENDED = "sdk-process-ended"
"""Code of the Problem for a call whose child ended under it: it may have been done or not."""

_BOOT = "import json,sys; sys.path[:]=json.loads(sys.argv[1]); from wizard.adapters.sdk_child import main; main()"


def _to_nobody(text: str) -> None:
    pass


class SdkProcess:
    """Runs module-level functions in the child, `at_once` at a time. Belongs to the event loop that first used it.

    `modules` are imported as the child starts. `scratch` is where SDKs put temporary files; the Kubernetes client
    writes client keys there, so give it the run's private directory. `told` hears what a call has to say while it
    goes on (`sdk_child.tell`), in the context (contextvars) of who called. More than one `at_once` needs functions
    that may run in threads.
    """

    def __init__(
        self,
        modules: Iterable[str] = (),
        *,
        drop_env: frozenset[str] = frozenset(),
        scratch: Path | None = None,
        at_once: int = 1,
        told: Callable[[str], None] = _to_nobody,
    ) -> None:
        self._modules = tuple(modules)
        self._drop_env = drop_env
        self._scratch = scratch
        self._at_once = at_once
        self._told = told
        self._child: _Child | None = None
        self._slots = asyncio.Semaphore(at_once)
        self._starting = asyncio.Lock()
        self._closed = False
        self._warming: asyncio.Task[None] | None = None
        self._finishing: set[asyncio.Task[None]] = set()

    @property
    def pid(self) -> int | None:
        """The child's pid while there is one; its memory is reported beside the screen's."""
        return self._child.process.pid if self._child is not None else None

    def warm(self, *, after: SdkProcess | None = None) -> None:
        """Start the child in the background; a failure shows at the first call. `after`: when that one is warm.

        Two that import at once would take both of a small machine's cores from the screen.
        """
        if self._warming is None:
            self._warming = asyncio.get_running_loop().create_task(self._warm(after))

    async def call(self, func: Callable[[*Ts], T], *args: *Ts, timeout: float, changes: bool = False) -> T:
        """Run `func` in the child and return its result.

        Raises the `Problem` the function raised; TimeoutError after `timeout` seconds, counted from when the child
        took the call; Problem `sdk-process-ended` when the child dies; RuntimeError with the child's stack for
        anything else. After a cancellation it has a moment to answer all the same: looks are cancelled when another
        one fails, and starting takes seconds.

        What nobody waits for any more is ended by ending the child: at once when it `changes` something, for a
        request that is sent after it was given up would be the second of its kind; else when nothing but such calls
        goes on in it, so that no look disturbs another call. The next call then starts another child.
        """
        await self._slots.acquire()
        try:
            child = await self._ready()
            call = child.ask((func, args), changes=changes)
        except BaseException:
            self._slots.release()
            raise
        call.answer.add_done_callback(self._answered)
        try:
            async with asyncio.timeout(timeout):
                answer = await asyncio.shield(call.answer)
        except TimeoutError:
            await self._give_up(child, call)
            raise
        except asyncio.CancelledError:
            finishing = asyncio.get_running_loop().create_task(self._give_up(child, call, FINISH_TIMEOUT))
            self._finishing.add(finishing)
            finishing.add_done_callback(self._finishing.discard)
            raise
        return cast(T, _unpack(answer))

    def _answered(self, answer: asyncio.Future[sdk_child.Answer]) -> None:
        """A call keeps its slot as long as it keeps a thread of the child."""
        self._slots.release()

    async def _give_up(self, child: _Child, call: _Call, grace: float = 0.0) -> None:
        await asyncio.wait({call.answer}, timeout=grace)
        if call.answer.done():
            return
        call.given_up = True
        if call.changes or child.serves_nobody:
            await self._end(child)

    async def close(self) -> None:
        """End the child, for good: a call that still waits for its turn is refused, not given another one."""
        self._closed = True
        if self._warming is not None:
            self._warming.cancel()
            await asyncio.wait({self._warming})
            self._warming = None
        if self._child is not None:
            await self._end(self._child)
        if self._finishing:
            await asyncio.wait(self._finishing)

    async def _warm(self, after: SdkProcess | None) -> None:
        if after is not None and after._warming is not None:
            await asyncio.wait({after._warming})
        with contextlib.suppress(Problem, TimeoutError, OSError):
            await self._ready()

    async def _ready(self) -> _Child:
        async with self._starting:
            if self._closed:
                raise Problem("sdk-process-closed", "The program is ending.", exit_code=EXIT_NOT_YET)
            if self._child is not None and self._child.serves:
                return self._child
            if self._child is not None:
                await self._end(self._child)
            child = self._child = _Child(await self._spawn(), self._told)
            try:
                async with asyncio.timeout(START_TIMEOUT):
                    _unpack(await asyncio.shield(child.ask((self._modules, self._at_once)).answer))
            except BaseException:
                await self._end(child)
                raise
            return child

    async def _spawn(self) -> asyncio.subprocess.Process:
        environment = {name: value for name, value in os.environ.items() if name not in self._drop_env}
        if self._scratch is not None:
            environment["TMPDIR"] = str(self._scratch)
        return await spawn(
            sys.executable,
            "-P",  # the working directory is no place to import from
            "-c",
            _BOOT,
            json.dumps(sys.path),
            env=environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # so that Ctrl-C in the terminal does not reach it
        )

    async def _end(self, child: _Child) -> None:
        if self._child is child:
            self._child = None
        await child.end()


@dataclass(slots=True, eq=False)
class _Call:
    """A call that the child has taken. `answer` is never cancelled: it comes, or the child ends."""

    changes: bool
    answer: asyncio.Future[sdk_child.Answer] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    context: contextvars.Context = field(default_factory=contextvars.copy_context)
    given_up: bool = False


class _Child:
    """One child, and the calls that go on in it."""

    def __init__(self, process: asyncio.subprocess.Process, told: Callable[[str], None]) -> None:
        self.process = process
        self._told = told
        self._calls: dict[int, _Call] = {}
        self._numbers = count(1)
        self._killed = False
        self._reading = asyncio.get_running_loop().create_task(self._read())

    @property
    def serves(self) -> bool:
        """Whether it takes calls."""
        return not self._killed and not self._reading.done()

    @property
    def serves_nobody(self) -> bool:
        """Whether there are calls, of which nobody waits for one."""
        return bool(self._calls) and all(call.given_up for call in self._calls.values())

    def ask(self, message: object, *, changes: bool = False) -> _Call:
        """Hands over a call. What is written is small, and the child reads at all times, so nothing is drained."""
        assert self.process.stdin is not None  # noqa: S101 (a pipe)
        number, call = next(self._numbers), _Call(changes)
        self.process.stdin.write(sdk_child.pack(number, message))
        self._calls[number] = call
        return call

    async def end(self) -> None:
        """Kills it and what it started; every call then has its answer."""
        self._kill()
        await asyncio.shield(asyncio.ensure_future(self.process.wait()))
        await asyncio.wait({self._reading})

    def _kill(self) -> None:
        self._killed = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # with a credential plugin it may have started
        if self.process.stdin is not None:
            self.process.stdin.close()

    async def _read(self) -> None:
        assert self.process.stdout is not None  # noqa: S101 (a pipe)
        try:
            while True:
                size, number = sdk_child.HEAD.unpack(await self.process.stdout.readexactly(sdk_child.HEAD.size))
                message = pickle.loads(await self.process.stdout.readexactly(size))  # noqa: S301 (our own child)
                if isinstance(message, sdk_child.Note):
                    self._tell(number, message.text)
                    continue
                self._calls.pop(number).answer.set_result(message)
                if self.serves_nobody:
                    self._kill()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # it has ended
        finally:
            self._kill()
            for call in self._calls.values():
                call.answer.set_exception(_ended())
                call.answer.exception()  # or asyncio complains of one that nobody waits for any more
            self._calls.clear()

    def _tell(self, number: int, text: str) -> None:
        """Tells who called; what an SDK's own thread has to say is about the oldest call that goes on."""
        call = self._calls.get(number) or next(iter(self._calls.values()), None)
        if call is not None and not call.given_up:
            call.context.run(self._told, text)


def _ended() -> Problem:
    return Problem(
        ENDED,
        "The helper process that talks to the cloud ended unexpectedly.",
        means="This look has no answer; a look changes nothing.",
        todo="Look again; a new helper process is started for it.",
        exit_code=EXIT_NOT_YET,
    )


def _unpack(answer: sdk_child.Answer) -> object:
    if answer.problem is not None:
        raise Problem(**answer.problem)
    if answer.failure is not None:
        raise RuntimeError(answer.failure)
    return answer.result
