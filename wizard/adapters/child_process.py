"""Run one program to its end: bounded memory, lines as they come, and an end that is certain.

Written for helm. Four things matter more than convenience:

- Whatever the program writes (a line of a megabyte, output without end) it neither blocks nor fills the memory.
- When the task is cancelled the program gets SIGTERM and time to clean up, and is reaped.
- A program that changes something does not begin before `started` has returned, so the caller can journal first.
- A program that changes something is not cut short by our end: when we are killed, or leave it running, it goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wizard.ports import LEAVE, ProcessIdentity, Progress
from wizard.process_identity import identity_of

LINE_LIMIT = 4096  # bytes shown of one line
TAIL_LIMIT = 64 * 1024  # bytes kept of what was written to stderr
OUTPUT_LIMIT = 32 * 1024 * 1024  # bytes kept of stdout; a release with its manifests is well under this
GRACE = 20.0  # seconds between SIGTERM and SIGKILL; helm itself needs some milliseconds to mark a release as failed

_CHUNK = 64 * 1024
_PIPE_SAFE = 16 * 1024  # bytes that fit any pipe at once (64 KiB on Linux, 16 KiB on macOS)

# The gate: the shell waits for one word on a pipe and only then becomes the program, with the same pid and start
# time. If the wizard dies first, the pipe ends, and the program was never there.
#
# Once we are gone, nobody reads what the program writes: Go ends a program at its first write without a reader, helm
# in the middle of an upgrade. So a stand-in reads on: a shell that waits until the gate's pipe ends, which is when
# we do, and then throws away what comes. (That the program itself holds the reading ends would be enough against the
# signal, but then it blocks for ever on a pipe that is full: `helm upgrade -o json` ends with the whole chart, and a
# pipe holds 64 KiB on macOS.) It holds no writing end, so we see the program's own end.
#
# The program keeps the three descriptors, all for reading: dash closes none above 9. They do serve if the stand-in
# cannot run: there is then still somebody who could read.
_GATE = """
read -r go </dev/fd/"$0" && [ "$go" = go ] || exit
(read -r gone; cat /dev/fd/"$1" & exec cat /dev/fd/"$2") </dev/fd/"$0" >/dev/null 2>&1 &
shift 2
exec "$@"
"""


@dataclass(frozen=True, slots=True)
class Output:
    """How a program ended. `truncated`: stdout was longer than the limit and `stdout` is only its beginning."""

    code: int
    stdout: bytes
    truncated: bool
    stderr: str


async def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    stdin: bytes | None = None,
    scratch: Path | None = None,
    started: Callable[[ProcessIdentity], None] | None = None,
    progress: Progress | None = None,
    show_stdout: bool = False,
    timeout: float | None = None,
    grace: float = GRACE,
) -> Output:
    """Run `argv` in a session of its own and wait for its end.

    `started` is called before the program begins; when it raises, the program never runs and the error goes on.
    `progress` gets the lines of stderr, with `show_stdout` those of stdout as well; when it raises, the program still
    goes on to its end and the error is raised then. `scratch` is a private directory
    for input that does not fit a pipe where the system has no memory files. After `timeout` seconds, as after a
    cancellation, the program gets SIGTERM, and SIGKILL with its whole session after `grace` seconds.

    A task that is cancelled with the message `LEAVE` ends at once and lets a program that has `started` go on.

    Raises OSError when the program cannot be started, TimeoutError after `timeout`.
    """
    descriptors = _Descriptors()
    try:
        (out, out_end), (err, err_end) = descriptors.pipe(), descriptors.pipe()
        command, gate = list(argv), -1
        inherited: tuple[int, ...] = ()
        if started is not None:
            entrance, gate = descriptors.pipe()
            inherited = (entrance, out, err)
            command = ["/bin/sh", "-c", _GATE, *map(str, inherited), *argv]
        process = _start(
            command,
            env=dict(env),
            stdin=subprocess.DEVNULL if stdin is None else _input(descriptors, stdin, scratch),
            stdout=out_end,
            stderr=err_end,
            pass_fds=inherited,
        )
        descriptors.close(out_end, err_end)  # the program's are the only ones left, so reading ends when it does
        ended = _end_of(process)
        reading = asyncio.ensure_future(_read(out, err, ended, progress, show_stdout))
        try:
            if started is not None:
                try:
                    started(identity_of(process.pid) or ProcessIdentity(process.pid, "", ""))
                    os.write(gate, b"go\n")
                except BaseException:
                    descriptors.close(gate)
                    raise
            async with asyncio.timeout(timeout):
                return await asyncio.shield(reading)
        except BaseException as error:
            if started is not None and isinstance(error, asyncio.CancelledError) and error.args[:1] == (LEAVE,):
                await _stop_reading(reading)
            else:
                await _stop(process, ended, reading, grace)
            raise
    finally:
        descriptors.close()


def _start(command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, so that neither Ctrl-C nor the terminal's end reaches it.

    Not through asyncio, whose transport kills the program when the loop or the interpreter ends before it.
    """
    return subprocess.Popen(command, start_new_session=True, **options)


def _end_of(process: subprocess.Popen[bytes]) -> asyncio.Future[int]:
    """The exit code, once the program has ended and is reaped; a thread waits for it that holds up no exit of ours."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[int] = loop.create_future()

    def tell(code: int) -> None:
        if not ended.done():
            ended.set_result(code)

    def wait() -> None:
        code = process.wait()
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody asks any more
            loop.call_soon_threadsafe(tell, code)

    threading.Thread(target=wait, name=f"wait-{process.pid}", daemon=True).start()
    return ended


class _Descriptors:
    """Descriptors of ours that must be closed, each once."""

    def __init__(self) -> None:
        self._open: set[int] = set()

    def own(self, descriptor: int) -> int:
        self._open.add(descriptor)
        return descriptor

    def pipe(self) -> tuple[int, int]:
        reader, writer = os.pipe()
        return self.own(reader), self.own(writer)

    def close(self, *which: int) -> None:
        """Close these, or all."""
        for descriptor in which or tuple(self._open):
            self._open.discard(descriptor)
            os.close(descriptor)


async def _read(out: int, err: int, ended: asyncio.Future[int], progress: Progress | None, show_stdout: bool) -> Output:
    """All that the program writes to two pipes, and its exit code. Each goes to its end, though another fails."""
    stdout = asyncio.ensure_future(_drain(out, OUTPUT_LIMIT, progress if show_stdout else None, keep_end=False))
    stderr = asyncio.ensure_future(_drain(err, TAIL_LIMIT, progress, keep_end=True))
    await asyncio.gather(stdout, stderr, asyncio.shield(ended), return_exceptions=True)
    content, truncated = stdout.result()
    told, _ = stderr.result()
    return Output(ended.result(), content, truncated, told.decode(errors="replace"))


async def _chunk(pipe: int) -> bytes:
    """The next that was written to a pipe, empty at its end. Everything else gets its turn first, also in a flood."""
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(pipe, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(pipe)
    return os.read(pipe, _CHUNK)


async def _drain(pipe: int, limit: int, progress: Progress | None, *, keep_end: bool) -> tuple[bytes, bool]:
    """Read a pipe to its end; keeps its beginning or end within `limit` and whether something was dropped.

    A failing `progress` must not stop the reading: the program would block on a full pipe and could not end.
    """
    kept, line, dropped = bytearray(), bytearray(), False
    failure: Exception | None = None
    while chunk := await _chunk(pipe):
        kept += chunk
        if len(kept) > limit:
            dropped = True
            if keep_end:
                del kept[:-limit]
            else:
                del kept[limit:]
        if progress is None or failure is not None:
            continue
        *whole, rest = chunk.split(b"\n")
        try:
            for part in whole:
                line += part[: LINE_LIMIT - len(line)]
                progress(line.decode(errors="replace").rstrip("\r"))
                line.clear()
        except Exception as error:  # noqa: BLE001 (raised again at the end)
            failure = error
        line += rest[: LINE_LIMIT - len(line)]
    if failure is not None:
        raise failure
    if progress is not None and line:
        progress(line.decode(errors="replace"))
    return bytes(kept), dropped


async def _stop(
    process: subprocess.Popen[bytes], ended: asyncio.Future[int], reading: asyncio.Future[Output], grace: float
) -> None:
    """SIGTERM, then SIGKILL to the session; returns when the process is reaped, cancelled again or not."""

    async def finish() -> None:
        process.terminate()
        done, _ = await asyncio.wait({reading}, timeout=grace)
        if not done:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            await ended
            # A grandchild that left the session may hold the pipes open for ever; it is not waited for.
            await asyncio.wait({reading}, timeout=1)

    ending = asyncio.ensure_future(finish())
    while not ending.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(ending)
    await _stop_reading(reading)


async def _stop_reading(reading: asyncio.Future[Output]) -> None:
    """Returns when nothing reads the pipes any more, cancelled again or not: only then may they be closed."""
    reading.cancel()
    while not reading.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({reading})
    if not reading.cancelled():
        reading.exception()  # seen: what ended the run is what counts


def _input(descriptors: _Descriptors, data: bytes, scratch: Path | None) -> int:
    """A descriptor that already holds all of `data`.

    Nothing is fed while the program runs: if the wizard died half way, helm would take the cut-off values for the
    whole file and go on. A pipe that is full and closed, or a file without a name, cannot be cut off.
    """
    if len(data) <= _PIPE_SAFE:
        reader, writer = descriptors.pipe()
        os.set_blocking(writer, False)
        try:
            written = os.write(writer, data)
        except BlockingIOError:  # this user has so many pipes that the kernel gives small ones
            written = -1
        descriptors.close(writer)
        if written == len(data):
            return reader
    if hasattr(os, "memfd_create"):
        handle = descriptors.own(os.memfd_create("input"))
    else:
        handle, name = tempfile.mkstemp(dir=scratch)
        descriptors.own(handle)
        Path(name).unlink()
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
    os.lseek(handle, 0, os.SEEK_SET)
    return handle
