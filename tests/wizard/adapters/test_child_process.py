"""A child that floods, hangs, ignores signals, or must not begin."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.wizard.adapters.conftest import pipes_of
from wizard.adapters import child_process
from wizard.ports import LEAVE, ProcessIdentity
from wizard.process_identity import alive, identity_of

ENV = {"PATH": os.environ.get("PATH", "/usr/bin:/bin")}


async def until_exists(path: Path) -> None:
    async with asyncio.timeout(20):
        while not path.exists():
            await asyncio.sleep(0.01)


def until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def until_ended(pid: int) -> None:
    """Wait for a process that is not our child; where nobody reaps orphans it stays as a zombie."""
    until(lambda: identity_of(pid) is None)


def session_of(leader: int) -> list[int]:
    """The living processes of a session. proc(5): the session is field 6 of stat, the name before may hold blanks."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[3]) == leader and fields[0] != "Z":
                found.append(int(stat.parent.name))
    return found


async def test_output_lines_and_exit_code():
    lines: list[str] = []
    output = await child_process.run(
        ["sh", "-c", "echo out; echo one >&2; printf two >&2; exit 3"], env=ENV, progress=lines.append
    )
    assert (output.code, output.stdout, output.stderr, lines) == (3, b"out\n", "one\ntwo", ["one", "two"])


async def test_a_line_of_a_megabyte_neither_hangs_nor_grows(script):
    path = script("head -c 1048576 /dev/zero | tr '\\0' x >&2; echo >&2; echo end >&2")
    lines: list[str] = []
    output = await child_process.run([str(path)], env=ENV, progress=lines.append, timeout=30)
    assert [len(line) for line in lines] == [child_process.LINE_LIMIT, 3]
    assert len(output.stderr) == child_process.TAIL_LIMIT
    assert output.stderr.endswith("x\nend\n")


async def test_output_without_end_is_bounded_and_can_be_cancelled():
    seen: list[ProcessIdentity] = []
    lines: list[str] = []
    task = asyncio.create_task(
        child_process.run(
            ["sh", "-c", "yes >&2 & exec yes"], env=ENV, started=seen.append, progress=lines.append, grace=0.2
        )
    )
    async with asyncio.timeout(20):
        while len(lines) < 100_000:
            await asyncio.sleep(0.01)
            lines[:-100_000] = []
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert alive(seen[0]) is False


async def test_stdout_is_cut_at_its_limit(monkeypatch):
    monkeypatch.setattr(child_process, "OUTPUT_LIMIT", 1000)
    output = await child_process.run(["sh", "-c", "head -c 5000 /dev/zero | tr '\\0' x"], env=ENV)
    assert (output.stdout, output.truncated) == (b"x" * 1000, True)


@pytest.mark.parametrize("size", [0, 1, 16 * 1024, 16 * 1024 + 1, 3_000_000])
async def test_input_arrives_whole(size, tmp_path):
    data = os.urandom(size)
    output = await child_process.run(["cat"], env=ENV, stdin=data, scratch=tmp_path)
    assert output.stdout == data
    assert list(tmp_path.iterdir()) == []


async def test_it_does_not_begin_before_started_returned(tmp_path):
    mark = tmp_path / "began"
    seen: list[ProcessIdentity] = []

    def started(identity: ProcessIdentity) -> None:
        seen.append(identity)
        assert alive(identity) is True
        assert not mark.exists()

    output = await child_process.run(["sh", "-c", f"echo $$; : > {mark}"], env=ENV, started=started)
    assert mark.exists()
    assert int(output.stdout) == seen[0].pid  # the same process, before and after the gate


async def test_it_never_runs_when_started_raises(tmp_path):
    seen: list[ProcessIdentity] = []

    def started(identity: ProcessIdentity) -> None:
        seen.append(identity)
        raise OSError("the journal is full")

    with pytest.raises(OSError, match="journal"):
        await child_process.run(["sh", "-c", f": > {tmp_path}/began"], env=ENV, started=started)
    assert alive(seen[0]) is False
    assert list(tmp_path.iterdir()) == []


def test_it_never_runs_when_we_are_killed_before_the_journal_is_written(tmp_path):
    wizard = f"""
import asyncio, os, signal
from wizard.adapters import child_process
def started(identity):
    print(identity.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(child_process.run(["sh", "-c", ": > {tmp_path}/began"], env=dict(os.environ), started=started))
"""
    killed = subprocess.run([sys.executable, "-c", wizard], capture_output=True, text=True, timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL
    until_ended(int(killed.stdout))
    assert list(tmp_path.iterdir()) == []


async def test_cancelled_it_is_asked_then_reaped(tmp_path):
    ready, asked = tmp_path / "ready", tmp_path / "asked"
    seen: list[ProcessIdentity] = []
    command = f"trap ': > {asked}; exit 1' TERM; : > {ready}; while :; do sleep 0.05; done"
    task = asyncio.create_task(child_process.run(["sh", "-c", command], env=ENV, started=seen.append))
    await until_exists(ready)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asked.exists()
    assert not Path(f"/proc/{seen[0].pid}").exists()


async def test_what_ignores_sigterm_is_killed_with_its_session(tmp_path):
    ready = tmp_path / "ready"
    seen: list[ProcessIdentity] = []
    command = f"trap '' TERM; sleep 600 & echo $! > {ready}.new; mv {ready}.new {ready}; while :; do sleep 1; done"
    task = asyncio.create_task(child_process.run(["sh", "-c", command], env=ENV, started=seen.append, grace=0.2))
    await until_exists(ready)
    grandchild = int(ready.read_text())
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()  # impatience changes nothing
    with pytest.raises(asyncio.CancelledError):
        await task
    assert alive(seen[0]) is False
    until_ended(grandchild)


async def test_a_deadline_ends_it():
    with pytest.raises(TimeoutError):
        await child_process.run(["sleep", "600"], env=ENV, timeout=0.1)


async def test_a_failing_progress_does_not_stop_it(tmp_path):
    def progress(line: str) -> None:
        raise ValueError(line)

    with pytest.raises(ValueError, match="first"):
        await child_process.run(
            ["sh", "-c", f"echo first >&2; head -c 300000 /dev/zero >&2; : > {tmp_path}/done"],
            env=ENV,
            progress=progress,
        )
    assert (tmp_path / "done").exists()


async def test_no_descriptor_and_no_process_is_left():
    before = our_descriptors()
    seen: list[ProcessIdentity] = []
    for _ in range(5):
        await child_process.run(["cat"], env=ENV, stdin=b"x" * 20_000, started=seen.append)
        await child_process.run(["cat"], env=ENV, stdin=b"x")
    assert our_descriptors() == before
    until(lambda: [left for identity in seen for left in session_of(identity.pid)] == [])


def our_descriptors() -> list[str]:
    return sorted(entry.name for entry in Path("/proc/self/fd").iterdir())


# ---------------------------------------------------------------- its pipes

GATED = pytest.mark.parametrize("started", [None, lambda _: None], ids=["plain", "gated"])


@GATED
async def test_reading_ends_with_the_last_who_writes_whoever_could_still_read(started):
    command = "sleep 600 >/dev/null 2>&1 & echo $!; echo err >&2; exec >&- 2>&-; sleep 0.1; exit 7"
    async with asyncio.timeout(20):
        output = await child_process.run(["sh", "-c", command], env=ENV, started=started)
    grandchild = int(output.stdout)
    try:
        assert (output.code, output.stderr) == (7, "err\n")
        assert pipes_of(grandchild) == [(pipe, os.O_RDONLY) for pipe, _ in pipes_of(grandchild)]
        assert len(pipes_of(grandchild)) == (0 if started is None else 3)
    finally:
        os.kill(grandchild, signal.SIGKILL)


@GATED
async def test_all_that_was_written_before_the_end_is_read(started):
    command = "head -c 3000000 /dev/zero | tr '\\0' x; echo last >&2"
    output = await child_process.run(["sh", "-c", command], env=ENV, started=started)
    assert (len(output.stdout), output.stderr) == (3_000_000, "last\n")


async def test_a_changing_program_could_read_what_it_writes_and_no_other_child_could(tmp_path):
    ready, go = tmp_path / "ready", tmp_path / "go"
    seen: list[ProcessIdentity] = []
    command = f": > {ready}; until [ -e {go} ]; do sleep 0.05; done"
    task = asyncio.create_task(child_process.run(["sh", "-c", command], env=ENV, started=seen.append))
    await until_exists(ready)
    held = pipes_of(seen[0].pid)
    written = {pipe for pipe, mode in held if mode == os.O_WRONLY}
    read = {pipe for pipe, mode in held if mode == os.O_RDONLY}
    assert (len(held), len(written), len(read)) == (5, 2, 3), "both streams and the gate"
    assert written < read

    for started, expected in ((None, 2), (lambda _: None, 5)):
        other = await child_process.run(["ls", "-l", "/proc/self/fd"], env=ENV, started=started)
        theirs = re.findall(rb"pipe:\[\d+\]", other.stdout)
        assert len(theirs) == expected
        assert {pipe.decode() for pipe in theirs} & (written | read) == set()
    go.touch()
    assert (await task).code == 0


# ---------------------------------------------------------------- it outlives us

WIZARD = """
import asyncio, os, signal, sys
from wizard.adapters import child_process
from wizard.ports import LEAVE

async def main():
    def progress(line):
        print(line, flush=True)
    run = child_process.run(["sh", "-c", sys.argv[2]], env=dict(os.environ), started=lambda _: None, progress=progress)
    task = asyncio.create_task(run)
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, task.cancel, *([LEAVE] if sys.argv[1] else []))
    try:
        await task
    except asyncio.CancelledError as error:
        print(*error.args, flush=True)

asyncio.run(main())
"""


@contextlib.contextmanager
def running_wizard(command: str, message: str = LEAVE) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A wizard that runs a shell command and cancels it at SIGUSR1, with the command's pid."""
    argv = [sys.executable, "-c", WIZARD, message, f"echo $$ >&2; {command}"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as wizard:
        assert wizard.stdout is not None
        program = int(wizard.stdout.readline())
        try:
            yield wizard, program
        finally:
            wizard.kill()
            for left in session_of(program):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(left, signal.SIGKILL)


def once(gone: Path, then: str) -> str:
    """A shell command that does something when a file has appeared."""
    return f"until [ -e {gone} ]; do sleep 0.05; done; {then}"


MUCH = "head -c 3000000 /dev/zero | tr '\\0' x"


@pytest.mark.parametrize("how", ["killed", "left"])
def test_it_goes_on_and_may_write_without_end_when_we_are_gone(how: str, tmp_path: Path):
    gone, survived = tmp_path / "gone", tmp_path / "survived"
    with running_wizard(once(gone, f"{MUCH} >&2 && {MUCH} && echo $? > {survived}")) as (wizard, program):
        wizard.send_signal(signal.SIGKILL if how == "killed" else signal.SIGUSR1)
        out, err = wizard.communicate(timeout=20)
        assert (wizard.returncode, out, err) == ((-9, "", "") if how == "killed" else (0, f"{LEAVE}\n", ""))
        assert identity_of(program) is not None
        gone.touch()
        until_ended(program)
        assert survived.read_text() == "0\n"
        until(lambda: session_of(program) == [])


def test_without_its_stand_in_it_still_gets_no_signal_for_a_few_words(tmp_path):
    gone, survived = tmp_path / "gone", tmp_path / "survived"
    with running_wizard(once(gone, f"echo few >&2 && echo words && : > {survived}")) as (wizard, program):
        until(lambda: len(session_of(program)) == 3)  # with the program's sleep
        (stand_in,) = (pid for pid in session_of(program) if pid != program and b"exec" in command_line(pid))
        os.kill(stand_in, signal.SIGKILL)
        wizard.kill()
        wizard.wait()
        gone.touch()
        until_ended(program)
        assert survived.exists()


def command_line(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def test_a_plain_cancellation_still_ends_it(tmp_path):
    with running_wizard(once(tmp_path / "never", "true"), message="") as (wizard, program):
        wizard.send_signal(signal.SIGUSR1)
        out, err = wizard.communicate(timeout=20)
        assert (wizard.returncode, out, err) == (0, "\n", "")
        assert identity_of(program) is None


async def test_left_alone_it_gets_no_signal_and_is_reaped_all_the_same(tmp_path):
    ready, go, asked = tmp_path / "ready", tmp_path / "go", tmp_path / "asked"
    before = our_descriptors()
    seen: list[ProcessIdentity] = []
    command = f"trap ': > {asked}' TERM; : > {ready}; {once(go, 'exit')}"
    task = asyncio.create_task(child_process.run(["sh", "-c", command], env=ENV, started=seen.append))
    await until_exists(ready)
    task.cancel(LEAVE)
    await asyncio.sleep(0)
    task.cancel()  # too late to change one's mind
    with pytest.raises(asyncio.CancelledError):
        await task
    assert our_descriptors() == before
    gc.collect()
    assert alive(seen[0]) is True
    go.touch()
    until(lambda: not Path(f"/proc/{seen[0].pid}").exists())
    assert not asked.exists()


async def test_what_changes_nothing_is_not_left_running(tmp_path):
    pid, asked = tmp_path / "pid", tmp_path / "asked"
    command = f"trap ': > {asked}; exit' TERM; echo $$ > {pid}.new; mv {pid}.new {pid}; {once(tmp_path / 'never', '')}"
    task = asyncio.create_task(child_process.run(["sh", "-c", command], env=ENV))
    await until_exists(pid)
    task.cancel(LEAVE)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asked.exists()
    assert not Path(f"/proc/{pid.read_text().strip()}").exists()
