"""Living, gone, and somebody else with the same pid."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from wizard.ports import ProcessIdentity
from wizard.process_identity import alive, identity_of, stop, wait_gone


def mine() -> ProcessIdentity:
    found = identity_of(os.getpid())
    assert found is not None
    return found


def test_this_process_is_alive():
    assert alive(mine()) is True
    assert identity_of(os.getpid()) == mine()


def test_another_start_time_is_another_process():
    assert alive(replace(mine(), start_time="1")) is False


def test_another_boot_is_gone():
    assert alive(replace(mine(), boot_id="00000000-0000-0000-0000-000000000000 pid:[1]")) is False


def test_what_was_not_recorded_cannot_be_known():
    assert alive(replace(mine(), boot_id="")) is None
    assert alive(replace(mine(), start_time="")) is None


@pytest.mark.skipif(sys.platform != "linux", reason="pid namespaces are of Linux")
def test_a_pid_of_another_container_cannot_be_known():
    boot = mine().boot_id.partition(" ")[0]
    assert alive(replace(mine(), boot_id=f"{boot} pid:[1]")) is None


def test_a_zombie_is_gone():
    with subprocess.Popen(["sleep", "60"]) as process:
        identity = identity_of(process.pid)
        assert identity is not None
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, not yet reaped
        assert identity_of(process.pid) is None
        assert alive(identity) is False


async def test_stop_ends_it_and_wait_gone_returns():
    process = await asyncio.create_subprocess_exec("sleep", "60")
    identity = identity_of(process.pid)
    assert identity is not None
    waiting = asyncio.create_task(wait_gone(identity, poll=0.01))
    assert await stop(identity, grace=10)
    await asyncio.wait_for(waiting, 10)
    assert await process.wait() == -15


async def test_stop_does_no_more_than_ask(tmp_path):
    ready = tmp_path / "ready"
    process = await asyncio.create_subprocess_exec("sh", "-c", f"trap '' TERM; : > {ready}; while :; do sleep 1; done")
    identity = identity_of(process.pid)
    assert identity is not None
    async with asyncio.timeout(10):
        while not ready.exists():
            await asyncio.sleep(0.01)
    assert not await stop(identity, grace=0.1)
    assert alive(identity) is True
    process.kill()
    await process.wait()


async def test_stop_leaves_a_stranger_with_that_pid_alone():
    process = await asyncio.create_subprocess_exec("sleep", "60")
    identity = identity_of(process.pid)
    assert identity is not None
    assert await stop(replace(identity, start_time="1"), grace=1)
    assert process.returncode is None
    assert alive(identity) is True
    process.kill()
    await process.wait()
