"""The SDK's child: answers, ends when stuck, knows no secret, never stays behind."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from state.problem import EXIT_NOT_YET, Problem
from wizard.adapters import sdk_child, sdk_process
from wizard.adapters.sdk_process import ENDED, SdkProcess
from wizard.process_identity import identity_of


@pytest.fixture
async def process() -> AsyncIterator[SdkProcess]:
    made = SdkProcess()
    yield made
    await made.close()


@pytest.fixture
async def several() -> AsyncIterator[SdkProcess]:
    """One that runs three calls at once."""
    made = SdkProcess(at_once=3)
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


_two, _counting, _crowd = threading.Barrier(2), threading.Lock(), [0]


def meet() -> tuple[int, int]:
    """Returns when another call is here at the same time: the thread, and how many were here at once."""
    with _counting:
        _crowd.append(_crowd[-1] + 1)
    _two.wait(20)
    with _counting:
        _crowd.append(_crowd[-1] - 1)
        return threading.get_ident(), max(_crowd)


def hold(begun: str, gate: str) -> str:
    """Says that it has begun, and waits to be let go."""
    Path(begun).touch()
    while not Path(gate).exists():
        time.sleep(0.01)
    return "let go"


def speak(text: str) -> str:
    sdk_child.tell(text)
    return "spoken"


def speak_from_a_thread(text: str) -> None:
    thread = threading.Thread(target=sdk_child.tell, args=(text,))
    thread.start()
    thread.join()


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


@pytest.mark.parametrize("busy", [0, 1, 2])
def test_it_ends_when_we_are_killed(busy, tmp_path):
    wizard = f"""
import asyncio, os, signal
from wizard.adapters.sdk_process import SdkProcess
async def main():
    process = SdkProcess(at_once={max(busy, 1)})
    await process.call(os.getpid, timeout=60)
    for n in range({busy}):
        task = asyncio.create_task(process.call(os.system, f"touch {tmp_path}/busy{{n}}; sleep 600", timeout=600))
        while not os.path.exists(f"{tmp_path}/busy{{n}}"):
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


async def test_closing_in_the_middle_of_a_start_is_quiet():
    """What asyncio has to complain about would reach the user's terminal."""
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    process = SdkProcess()
    process.warm()
    while process.pid is None:
        await asyncio.sleep(0.001)
    await process.close()
    gc.collect()
    await asyncio.sleep(0)
    assert complaints == []


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


# ---------------------------------------------------------------- several at once


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def held(process: SdkProcess, tmp_path: Path, *, changes: bool = False) -> asyncio.Task[str]:
    """A call that has begun and goes on until `gate` is there."""
    begun, gate = tmp_path / "begun", tmp_path / "gate"
    task = asyncio.create_task(process.call(hold, str(begun), str(gate), timeout=60, changes=changes))
    await until(begun.exists)
    return task


async def test_calls_overlap_and_never_more_than_allowed():
    process = SdkProcess(at_once=2)
    met = await asyncio.gather(*(process.call(meet, timeout=30) for _ in range(8)))
    assert len({thread for thread, _ in met}) == 2
    assert {most for _, most in met} == {2}
    await process.close()


async def test_one_at_a_time_unless_said_otherwise(process):
    threads = await asyncio.gather(*(process.call(threading.get_ident, timeout=30) for _ in range(5)))
    assert len(set(threads)) == 1


async def test_each_answer_goes_to_its_own_call(several, tmp_path):
    waiting = await held(several, tmp_path)
    assert await asyncio.gather(*(several.call(add, n, 1, timeout=20) for n in range(20))) == list(range(1, 21))
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        await several.call(fail, timeout=20)
    (tmp_path / "gate").touch()
    assert await waiting == "let go"


async def test_a_stuck_look_disturbs_no_other_call(several, tmp_path):
    waiting = await held(several, tmp_path, changes=True)
    before = several.pid
    with pytest.raises(TimeoutError):
        await several.call(time.sleep, 600.0, timeout=0.1)
    assert await several.call(add, 1, 1, timeout=20) == 2
    assert several.pid == before
    (tmp_path / "gate").touch()
    assert await waiting == "let go"
    # Now nothing but the stuck one goes on.
    await until(lambda: identity_of(before) is None)
    assert await several.call(add, 1, 1, timeout=20) == 2
    assert several.pid != before


async def test_stuck_looks_never_fill_it_for_good(several):
    """Each keeps its thread, and when all threads are taken so, the next call has a new child."""
    await several.call(add, 1, 1, timeout=20)
    before = several.pid
    stuck = [asyncio.create_task(several.call(time.sleep, 600.0, timeout=0.2)) for _ in range(3)]
    assert await several.call(add, 1, 1, timeout=20) == 2
    outcomes = await asyncio.gather(*stuck, return_exceptions=True)
    assert [type(one) for one in outcomes] == [TimeoutError] * 3
    assert identity_of(before) is None


async def test_a_stuck_change_is_ended_at_once_whatever_goes_on_beside_it(several, tmp_path):
    """Sent after it was given up, its request would be the second of its kind."""
    waiting = await held(several, tmp_path)
    before = several.pid
    with pytest.raises(TimeoutError):
        await several.call(time.sleep, 600.0, timeout=0.1, changes=True)
    assert identity_of(before) is None
    with pytest.raises(Problem) as caught:
        await waiting
    assert caught.value.code == ENDED
    assert await several.call(add, 1, 1, timeout=20) == 2


@pytest.mark.parametrize("changes", [False, True])
async def test_cancelling_a_stuck_call(several, tmp_path, monkeypatch, changes):
    monkeypatch.setattr(sdk_process, "FINISH_TIMEOUT", 0.05)
    waiting = await held(several, tmp_path)
    before = several.pid
    stuck = asyncio.create_task(several.call(hold, str(tmp_path / "second"), "/no/gate", timeout=600, changes=changes))
    await until((tmp_path / "second").exists)
    stuck.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stuck
    await until(lambda: not several._finishing)
    (tmp_path / "gate").touch()
    if changes:
        with pytest.raises(Problem):
            await waiting
    else:
        assert await waiting == "let go"
    await until(lambda: identity_of(before) is None)


async def test_a_cancelled_call_that_answers_leaves_the_others_alone(several, tmp_path):
    waiting = await held(several, tmp_path)
    before = several.pid
    gone = asyncio.create_task(several.call(time.sleep, 0.2, timeout=600, changes=True))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    await until(lambda: not several._finishing)
    (tmp_path / "gate").touch()
    assert (await waiting, several.pid) == ("let go", before)
    assert await asyncio.gather(*(several.call(add, n, 0, timeout=20) for n in range(9))) == list(range(9))


async def test_when_it_dies_every_call_is_told(several, tmp_path):
    waiting = await held(several, tmp_path)
    outcomes = await asyncio.gather(waiting, several.call(end, timeout=20), return_exceptions=True)
    assert [one.code for one in outcomes if isinstance(one, Problem)] == [ENDED] * 2
    assert await several.call(add, 1, 1, timeout=20) == 2


async def test_closing_ends_all_calls(several, tmp_path):
    waiting = await held(several, tmp_path)
    queued = [asyncio.create_task(several.call(add, 1, 1, timeout=20)) for _ in range(5)]
    before = several.pid
    async with asyncio.timeout(30):
        await several.close()
        outcomes = await asyncio.gather(waiting, *queued, return_exceptions=True)
    assert identity_of(before) is None
    assert all(one == 2 or isinstance(one, Problem) for one in outcomes)


# ---------------------------------------------------------------- what a call has to say meanwhile

_who: contextvars.ContextVar[str] = contextvars.ContextVar("who", default="nobody")


async def test_a_call_tells_who_made_it_while_it_goes_on():
    heard: list[tuple[str, str]] = []
    process = SdkProcess(at_once=3, told=lambda text: heard.append((_who.get(), text)))

    async def caller(name: str) -> None:
        _who.set(name)
        assert await process.call(speak, f"for {name}", timeout=30) == "spoken"

    await asyncio.gather(*map(caller, "abcdef"))
    assert sorted(heard) == [(name, f"for {name}") for name in "abcdef"]
    await process.call(speak_from_a_thread, "the SDK's own thread", timeout=30)
    assert heard[-1] == ("nobody", "the SDK's own thread")
    await process.close()


def test_without_a_parent_nothing_is_told():
    assert speak("in this process") == "spoken"
