"""A child that floods, hangs, ignores signals, or must not begin."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from wizard.adapters import child_process
from wizard.ports import ProcessIdentity
from wizard.process_identity import alive, identity_of

ENV = {"PATH": os.environ.get("PATH", "/usr/bin:/bin")}


async def until_exists(path: Path) -> None:
    async with asyncio.timeout(20):
        while not path.exists():
            await asyncio.sleep(0.01)


def until_ended(pid: int) -> None:
    """Wait for a process that is not our child; where nobody reaps orphans it stays as a zombie."""
    end = time.monotonic() + 20
    while identity_of(pid) is not None:
        assert time.monotonic() < end
        time.sleep(0.01)


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


async def test_no_descriptor_is_left_open():
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        await child_process.run(["cat"], env=ENV, stdin=b"x" * 20_000, started=lambda _: None)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1
