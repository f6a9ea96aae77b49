"""The one child process that the SDKs run in (DESIGN.md section 3).

Importing an SDK takes a second and more, and a call may be stuck in a socket, a credential plugin or a lookup. In a
process of its own neither freezes the screen, and a stuck call is ended by ending the child.

A `ProcessPoolExecutor` of one would not do: its worker (and its resource tracker) inherit the whole environment with
the secrets in it, a stuck call cannot be ended, and nothing ends them when the parent is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar, TypeVarTuple, cast

from state.problem import EXIT_NOT_YET, Problem
from wizard.adapters import sdk_child
from wizard.adapters.spawn import spawn

Ts = TypeVarTuple("Ts")
T = TypeVar("T")

START_TIMEOUT = 60.0  # seconds for the child to import its modules; a cold disk takes many
FINISH_TIMEOUT = 2.0  # seconds that a cancelled call may still take

_BOOT = "import json,sys; sys.path[:]=json.loads(sys.argv[1]); from wizard.adapters.sdk_child import main; main()"


class SdkProcess:
    """Runs module-level functions in the child, one at a time. Belongs to the event loop that first used it.

    `modules` are imported as the child starts. `scratch` is where SDKs put temporary files; the Kubernetes client
    writes client keys there, so give it the run's private directory.
    """

    def __init__(
        self, modules: Iterable[str] = (), *, drop_env: frozenset[str] = frozenset(), scratch: Path | None = None
    ) -> None:
        self._modules = tuple(modules)
        self._drop_env = drop_env
        self._scratch = scratch
        self._child: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self._closed = False
        self._warming: asyncio.Task[None] | None = None
        self._finishing: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The child's pid while there is one; its memory is reported beside the screen's."""
        return self._child.pid if self._child is not None else None

    def warm(self, *, after: SdkProcess | None = None) -> None:
        """Start the child in the background; a failure shows at the first call. `after`: when that one is warm.

        Two that import at once would take both of a small machine's cores from the screen.
        """
        if self._warming is None:
            self._warming = asyncio.get_running_loop().create_task(self._warm(after))

    async def call(self, func: Callable[[*Ts], T], *args: *Ts, timeout: float) -> T:
        """Run `func` in the child and return its result.

        Raises the `Problem` the function raised; TimeoutError after `timeout` seconds, counted from when the child
        took the call; Problem `sdk-process-ended` when the child dies; RuntimeError with the child's stack for
        anything else. After a timeout the child is ended, and the next call starts another. After a cancellation it
        has a moment to answer all the same: looks are cancelled when another one fails, and starting takes seconds.
        """
        await self._turn.acquire()
        try:
            child = await self._ready()
            exchange = asyncio.ensure_future(_exchange(child, (func, args)))
            try:
                async with asyncio.timeout(timeout):
                    answer = await asyncio.shield(exchange)
            except asyncio.CancelledError:
                self._finishing = asyncio.get_running_loop().create_task(self._finish(exchange))
                raise
            except BaseException:
                exchange.cancel()
                await self._end()
                raise
        finally:
            if self._finishing is None:
                self._turn.release()
        return cast(T, _unpack(answer))

    async def _finish(self, exchange: asyncio.Future[sdk_child.Answer]) -> None:
        """Keeps the turn until the answer that nobody waits for is out of the pipe; else ends the child."""
        try:
            await asyncio.wait({exchange}, timeout=FINISH_TIMEOUT)
            if not exchange.done() or exchange.cancelled() or exchange.exception() is not None:
                exchange.cancel()
                await self._end()
        finally:
            self._finishing = None
            self._turn.release()

    async def close(self) -> None:
        """End the child, for good: a call that still waits for its turn is refused, not given another one."""
        self._closed = True
        if self._warming is not None:
            self._warming.cancel()
            await asyncio.wait({self._warming})
            self._warming = None
        await self._end()
        if self._finishing is not None:
            await asyncio.wait({self._finishing})

    async def _warm(self, after: SdkProcess | None) -> None:
        if after is not None and after._warming is not None:
            await asyncio.wait({after._warming})
        with contextlib.suppress(Problem, TimeoutError, OSError):
            async with self._turn:
                await self._ready()

    async def _ready(self) -> asyncio.subprocess.Process:
        if self._closed:
            raise Problem("sdk-process-closed", "The program is ending.", exit_code=EXIT_NOT_YET)
        if self._child is not None and self._child.returncode is None:
            return self._child
        environment = {name: value for name, value in os.environ.items() if name not in self._drop_env}
        if self._scratch is not None:
            environment["TMPDIR"] = str(self._scratch)
        self._child = await spawn(
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
        try:
            async with asyncio.timeout(START_TIMEOUT):
                answer = await _exchange(self._child, self._modules)
            _unpack(answer)
        except BaseException:
            await self._end()
            raise
        return self._child

    async def _end(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)  # with a credential plugin it may have started
        if child.stdin is not None:
            child.stdin.close()
        await asyncio.shield(asyncio.ensure_future(child.wait()))


async def _exchange(child: asyncio.subprocess.Process, message: object) -> sdk_child.Answer:
    assert child.stdin is not None and child.stdout is not None  # noqa: S101 (both are pipes)
    try:
        child.stdin.write(sdk_child.pack(message))
        await child.stdin.drain()
        size = int.from_bytes(await child.stdout.readexactly(sdk_child.HEAD), "big")
        answer: sdk_child.Answer = pickle.loads(await child.stdout.readexactly(size))  # noqa: S301 (our own child)
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise Problem(
            "sdk-process-ended",
            "The helper process that talks to the cloud ended unexpectedly.",
            means="This look has no answer; a look changes nothing.",
            todo="Look again; a new helper process is started for it.",
            exit_code=EXIT_NOT_YET,
        ) from error
    return answer


def _unpack(answer: sdk_child.Answer) -> object:
    if answer.problem is not None:
        raise Problem(**answer.problem)
    if answer.failure is not None:
        raise RuntimeError(answer.failure)
    return answer.result
