"""One writer: who holds a setup is said, and the kernel frees it."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from state.events import ModeSet
from state.lock import Holder, Lock, Locked
from state.problem import Problem
from state.store import Store
from tests.state.make_journal import ACTOR, GUIDE
from tests.state.test_writer import ROOT, start


def test_a_second_process_is_told_who_and_the_kernel_frees(store: Store, demo: Path) -> None:
    with start("hold", store) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
        for attempt in (lambda: store.open("demo"), lambda: Lock(store.setups / "demo.lock", "demo")):
            with pytest.raises(Locked) as caught:
                attempt()
            problem = caught.value
            assert (problem.code, problem.exit_code) == ("locked", 2)
            assert problem.holder is not None
            assert problem.holder.pid == child.pid
            assert problem.holder.host == os.uname().nodename
            assert f"process {child.pid} on {os.uname().nodename}, since 20" in problem.what
            assert "privatelink-wizard review demo" in problem.todo
        assert len(store.read("demo").events) == 40, "readers need no lock"
        child.kill()
        child.wait(timeout=30)
        with store.open("demo") as opened:
            opened.append(ModeSet(mode="hybrid"))


def test_a_second_writer_of_the_same_process(store: Store, demo: Path) -> None:
    with store.open("demo"), pytest.raises(Locked) as caught:
        store.open("demo")
    assert caught.value.holder is not None
    assert caught.value.holder.pid == os.getpid()
    store.open("demo").close()


def test_the_loser_does_not_touch_what_the_holder_wrote(store: Store, demo: Path) -> None:
    lock = store.setups / "demo.lock"
    with store.open("demo"):
        written = lock.read_bytes()
        for _ in range(3):
            with pytest.raises(Locked):
                store.open("demo")
        assert lock.read_bytes() == written
        assert msgspec.json.decode(written, type=Holder).pid == os.getpid()
        assert lock.stat().st_mode & 0o777 == 0o600


def test_other_setups_are_free(store: Store, demo: Path) -> None:
    with store.open("demo"), store.create("other", GUIDE, ACTOR) as other:
        other.append(ModeSet(mode="hybrid"))


def test_creating_under_a_held_lock(store: Store) -> None:
    store.setups.mkdir(parents=True)
    store.state_dir.chmod(0o700)
    store.setups.chmod(0o700)
    held = Lock(store.setups / "demo.lock", "demo")
    with pytest.raises(Locked):
        store.create("demo", GUIDE, ACTOR)
    held.release()
    held.release()
    store.create("demo", GUIDE, ACTOR).close()


@pytest.mark.parametrize("content", [b"", b"rubbish", b"\xff\x00", b'{"pid":1,"host":"\\u001b[31m","start":"x"}'])
def test_an_unreadable_holder_is_another_process(store: Store, demo: Path, content: bytes) -> None:
    with store.open("demo"):
        (store.setups / "demo.lock").write_bytes(content)
        with pytest.raises(Locked) as caught:
            store.open("demo")
    assert caught.value.holder is None
    assert "another process" in caught.value.what


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_without_flock_nothing_is_written(
    store: Store, demo: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """What the kernel answers on a file system without locks; there is none to mount here."""

    def no_flock(fd: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", no_flock)
    before = demo.read_bytes()
    for attempt in (lambda: store.open("demo"), lambda: store.create("other", GUIDE, ACTOR)):
        with pytest.raises(Problem) as caught:
            attempt()
        assert caught.value.code == "no-flock"
        assert "local disk" in caught.value.todo
    assert demo.read_bytes() == before
    assert store.names() == ("demo",)
    assert len(store.read("demo").events) == 40


def test_reading_imports_no_lock_and_no_screen(store: Store, demo: Path) -> None:
    """DESIGN: `list` and `validate` import no filelock."""
    program = (
        "import sys; from pathlib import Path; from state.store import Store; from state.snapshot import fold\n"
        "store = Store(Path(sys.argv[1])); read = store.read(*store.names()); fold(read.header, read.events)\n"
        "print([name for name in ('filelock', 'textual', 'yaml', 'asyncio', 'socket') if name in sys.modules])"
    )
    output = subprocess.run(
        [sys.executable, "-c", program, str(store.state_dir)], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert output == "[]\n"
