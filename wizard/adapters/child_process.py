"""Run one program to its end: bounded memory, lines as they come, and an end that is certain.

Written for helm. Three things matter more than convenience:

- Whatever the program writes (a line of a megabyte, output without end) it neither blocks nor fills the memory.
- When the task is cancelled the program gets SIGTERM and time to clean up, and is reaped.
- A program that changes something does not begin before `started` has returned, so the caller can journal first.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wizard.adapters.spawn import spawn
from wizard.ports import ProcessIdentity, Progress
from wizard.process_identity import identity_of

LINE_LIMIT = 4096  # bytes shown of one line
TAIL_LIMIT = 64 * 1024  # bytes kept of what was written to stderr
OUTPUT_LIMIT = 32 * 1024 * 1024  # bytes kept of stdout; a release with its manifests is well under this
GRACE = 20.0  # seconds between SIGTERM and SIGKILL; helm itself needs some milliseconds to mark a release as failed

_CHUNK = 64 * 1024
_PIPE_SAFE = 16 * 1024  # bytes that fit any pipe at once (64 KiB on Linux, 16 KiB on macOS)

# The gate: the shell waits for one word on a pipe and only then becomes the program, with the same pid and start
# time. If the wizard dies first, the pipe ends, and the program was never there.
_GATE = 'read -r go </dev/fd/"$0" && [ "$go" = go ] && exec "$@"'


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

    Raises OSError when the program cannot be started, TimeoutError after `timeout`.
    """
    descriptors = _Descriptors()
    try:
        command, gate = list(argv), -1
        inherited: tuple[int, ...] = ()
        if started is not None:
            entrance, gate = descriptors.pipe()
            command, inherited = ["/bin/sh", "-c", _GATE, str(entrance), *argv], (entrance,)
        process = await spawn(
            *command,
            env=dict(env),
            stdin=asyncio.subprocess.DEVNULL if stdin is None else _input(descriptors, stdin, scratch),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            pass_fds=inherited,
        )
        reading = asyncio.ensure_future(_read(process, progress, show_stdout))
        try:
            if started is not None:
                started(identity_of(process.pid) or ProcessIdentity(process.pid, "", ""))
                os.write(gate, b"go\n")
            async with asyncio.timeout(timeout):
                return await asyncio.shield(reading)
        except BaseException:
            descriptors.close()  # shuts the gate, in case it was not opened
            await _end(process, reading, grace)
            raise
    finally:
        descriptors.close()


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


async def _read(process: asyncio.subprocess.Process, progress: Progress | None, show_stdout: bool) -> Output:
    assert process.stdout is not None and process.stderr is not None  # noqa: S101 (both are pipes)
    out, err, code = await asyncio.gather(
        _drain(process.stdout, OUTPUT_LIMIT, progress if show_stdout else None, keep_end=False),
        _drain(process.stderr, TAIL_LIMIT, progress, keep_end=True),
        process.wait(),
    )
    return Output(code, out[0], out[1], err[0].decode(errors="replace"))


async def _drain(
    stream: asyncio.StreamReader, limit: int, progress: Progress | None, *, keep_end: bool
) -> tuple[bytes, bool]:
    """Read a stream to its end; keeps its beginning or end within `limit` and whether something was dropped.

    A failing `progress` must not stop the reading: the program would block on a full pipe and could not end.
    """
    kept, line, dropped = bytearray(), bytearray(), False
    failure: Exception | None = None
    while chunk := await stream.read(_CHUNK):
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


async def _end(process: asyncio.subprocess.Process, reading: asyncio.Future[Output], grace: float) -> None:
    """SIGTERM, then SIGKILL to the session; returns when the process is reaped, cancelled again or not."""

    async def finish() -> None:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        done, _ = await asyncio.wait({reading}, timeout=grace)
        if not done:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            # A grandchild that left the session may hold the pipes open for ever; it is not waited for.
            await asyncio.wait({reading}, timeout=1)
            if not reading.done():
                reading.cancel()
                process._transport.close()  # type: ignore[attr-defined]  # asyncio has no public way to let go
        with contextlib.suppress(Exception, asyncio.CancelledError):
            await reading

    ending = asyncio.ensure_future(finish())
    while not ending.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(ending)


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
