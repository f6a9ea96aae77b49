"""The SDK's child: answers, ends when stuck, knows no secret, never stays behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from state.problem import EXIT_NOT_YET, Problem
from wizard.adapters.sdk_process import SdkProcess
from wizard.process_identity import identity_of


@pytest.fixture
async def process() -> AsyncIterator[SdkProcess]:
    made = SdkProcess()
    yield made
    await made.close()


def add(one: int, other: int) -> int:
    return one + other


def refuse() -> None:
    raise Problem("code", "what", means="means", todo="todo", detail="detail", exit_code=EXIT_NOT_YET)


def fail() -> None:
    raise ZeroDivisionError("a bug")


def chatter() -> str:
    print("noise on stdout", flush=True)
    os.system("echo noise; cat")  # a credential plugin writes and reads where it should not
    return "answer"


def unpicklable() -> object:
    return lambda: None


def environment() -> dict[str, str]:
    return dict(os.environ)


def initial_environment() -> bytes:
    return Path("/proc/self/environ").read_bytes()


def imported(name: str) -> bool:
    return name in sys.modules


def end() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def test_calls_have_answers(process):
    assert await process.call(add, 1, 2, timeout=20) == 3
    assert await asyncio.gather(*(process.call(add, n, n, timeout=20) for n in range(5))) == [0, 2, 4, 6, 8]


async def test_a_problem_comes_back_whole(process):
    with pytest.raises(Problem) as caught:
        await process.call(refuse, timeout=20)
    assert vars(caught.value) == vars(
        Problem("code", "what", means="means", todo="todo", detail="detail", exit_code=EXIT_NOT_YET)
    )


async def test_a_bug_is_told_with_its_stack_and_the_child_goes_on(process):
    with pytest.raises(RuntimeError, match="ZeroDivisionError: a bug"):
        await process.call(fail, timeout=20)
    pid = process.pid
    with pytest.raises(RuntimeError, match="pickle"):
        await process.call(unpicklable, timeout=20)
    assert process.pid == pid


async def test_noise_on_its_outputs_does_not_break_the_talk(process):
    assert await process.call(chatter, timeout=20) == "answer"
    assert await process.call(add, 1, 1, timeout=20) == 2


async def test_a_stuck_call_is_ended_and_the_next_has_a_new_child(process):
    await process.call(add, 1, 1, timeout=20)
    before = process.pid
    with pytest.raises(TimeoutError):
        await process.call(time.sleep, 600.0, timeout=0.1)
    assert identity_of(before) is None
    assert await process.call(add, 1, 1, timeout=20) == 2


async def test_a_cancelled_call_is_ended(process):
    await process.call(add, 1, 1, timeout=20)
    before = process.pid
    task = asyncio.create_task(process.call(time.sleep, 600.0, timeout=600))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await process.call(add, 1, 1, timeout=20) == 2
    assert process.pid == before or identity_of(before) is None


async def test_a_cancelled_call_that_answers_soon_does_not_cost_the_child(process):
    """Looks that go on side by side are cancelled when one fails; the next look needs the SDKs again."""
    await process.call(add, 1, 1, timeout=20)
    before = process.pid
    task = asyncio.create_task(process.call(time.sleep, 0.3, timeout=600))
    for _ in range(5):
        await asyncio.sleep(0)  # the call is taken up
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    # Its answer is not taken for another call's.
    assert await process.call(add, 2, 3, timeout=20) == 5
    assert process.pid == before


async def test_closing_behind_a_cancelled_call_leaves_nothing(process):
    await process.call(add, 1, 1, timeout=20)
    before = process.pid
    task = asyncio.create_task(process.call(time.sleep, 600.0, timeout=600))
    for _ in range(5):
        await asyncio.sleep(0)  # the call is taken up
    task.cancel()
    async with asyncio.timeout(30):
        with pytest.raises(asyncio.CancelledError):
            await task
        await process.close()
    assert identity_of(before) is None


async def test_a_child_that_dies_is_a_problem_and_replaced(process):
    with pytest.raises(Problem) as caught:
        await process.call(end, timeout=20)
    assert (caught.value.code, caught.value.exit_code) == ("sdk-process-ended", EXIT_NOT_YET)
    assert await process.call(add, 1, 1, timeout=20) == 2


async def test_dropped_variables_never_reach_it(monkeypatch, tmp_path):
    monkeypatch.setenv("THE_TOKEN", "tok3n")
    process = SdkProcess(drop_env=frozenset({"THE_TOKEN"}), scratch=tmp_path)
    found = await process.call(environment, timeout=20)
    assert "THE_TOKEN" not in found
    assert found["TMPDIR"] == str(tmp_path)
    assert found["PATH"] == os.environ["PATH"]
    if sys.platform == "linux":
        assert b"tok3n" not in await process.call(initial_environment, timeout=20)
    await process.close()


async def test_warm_returns_at_once_and_imports():
    process = SdkProcess(modules=("colorsys",))
    process.warm()
    assert process.pid is None
    assert await process.call(imported, "colorsys", timeout=20)
    await process.close()
    assert process.pid is None


async def test_a_module_that_cannot_be_imported_is_told_at_the_first_call():
    process = SdkProcess(modules=("no_such_module",))
    process.warm()
    with pytest.raises(RuntimeError, match="no_such_module"):
        await process.call(add, 1, 1, timeout=20)
    await process.close()


async def test_ctrl_c_does_not_end_it(process):
    await process.call(add, 1, 1, timeout=20)
    pid = process.pid
    os.kill(pid, signal.SIGINT)
    assert await process.call(add, 1, 1, timeout=20) == 2
    assert process.pid == pid


@pytest.mark.parametrize("busy", [False, True])
def test_it_ends_when_we_are_killed(busy, tmp_path):
    wizard = f"""
import asyncio, os, signal
from wizard.adapters.sdk_process import SdkProcess
async def main():
    process = SdkProcess()
    await process.call(os.getpid, timeout=60)
    if {busy}:
        task = asyncio.create_task(process.call(os.system, "touch {tmp_path}/busy; sleep 600", timeout=600))
        while not os.path.exists("{tmp_path}/busy"):
            await asyncio.sleep(0.01)
    print(process.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    killed = subprocess.run([sys.executable, "-c", wizard], capture_output=True, text=True, timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    deadline = time.monotonic() + 20
    while identity_of(int(killed.stdout)) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.01)


async def test_closing_while_a_call_waits_does_not_hang():
    process = SdkProcess()
    process.warm()
    waiting = asyncio.ensure_future(process.call(os.getpid, timeout=10))
    await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await process.close()
        outcome = (await asyncio.gather(waiting, return_exceptions=True))[0]
    assert isinstance(outcome, Problem | int)


async def test_cancelling_in_the_middle_of_a_start_leaves_no_process():
    process = SdkProcess()
    starting = asyncio.ensure_future(process.call(os.getpid, timeout=10))
    for _ in range(5):
        await asyncio.sleep(0)
    starting.cancel()
    async with asyncio.timeout(30):
        await asyncio.gather(starting, return_exceptions=True)
    assert process.pid is None
    await process.close()
