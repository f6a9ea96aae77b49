"""Writing: what was acknowledged is there, whatever happens to the process, the disk or the file."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from state import journal, writer
from state.events import Actor, Evidence, FieldSet, Found, IdentityPinned, ModeSet
from state.problem import Problem
from state.secrets import SecretRefused
from state.store import Store
from tests.state.make_journal import ACTOR, GUIDE

ROOT = Path(__file__).resolve().parents[2]


def start(command: str, store: Store, name: str = "demo") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.state.child", command, str(store.state_dir), name],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_append_is_one_line_at_the_end(store: Store, demo: Path) -> None:
    before = demo.read_bytes()
    with store.open("demo", ACTOR) as opened:
        first = opened.append(FieldSet(field="environment", value="prod"))
        second = opened.append(ModeSet(mode="hybrid"), Actor(user="bob", host="there", via="check"))
        assert (opened.seq, opened.head) == (42, journal.read(demo).head)
    lines = [journal.encode_line(first), journal.encode_line(second)]
    assert demo.read_bytes() == before + b"".join(line + b"\n" for line in lines)
    assert second.prev == journal.line_hash(lines[0])
    assert second.actor.user == "bob"


def test_append_is_one_write_and_one_fsync(store: Store, demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, int]] = []
    real_write, real_fsync = os.write, os.fsync

    def write(fd: int, content: bytes) -> int:
        calls.append(("write", fd))
        return real_write(fd, content)

    def fsync(fd: int) -> None:
        calls.append(("fsync", fd))
        real_fsync(fd)

    with store.open("demo") as opened:
        monkeypatch.setattr(os, "write", write)
        monkeypatch.setattr(os, "fsync", fsync)
        opened.append(ModeSet(mode="hybrid"))
    assert [what for what, _ in calls] == ["write", "fsync"]
    assert len({fd for _, fd in calls}) == 1


def test_short_writes_are_gone_on_with(store: Store, demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    with store.open("demo") as opened:
        monkeypatch.setattr(os, "write", lambda fd, content: real(fd, content[:7]))
        opened.append(ModeSet(mode="hybrid"))
    assert len(journal.read(demo).events) == 41


def test_time_never_runs_backwards(store: Store, demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    last = journal.read(demo).last_ts
    times = iter(["2001-01-01T00:00:00.000000Z", "2999-01-01T00:00:00.000000Z", "2500-01-01T00:00:00.000000Z"])
    with store.open("demo") as opened:
        monkeypatch.setattr(writer, "now", lambda: next(times))
        written = [opened.append(ModeSet(mode="hybrid")).ts for _ in range(3)]
    assert written == [last, "2999-01-01T00:00:00.000000Z", "2999-01-01T00:00:00.000000Z"]


def test_appends_of_several_threads_stay_a_chain(store: Store, demo: Path) -> None:
    with store.open("demo") as opened:
        threads = [
            threading.Thread(target=lambda: [opened.append(ModeSet(mode="hybrid")) for _ in range(20)])
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    read = journal.read(demo)
    assert (len(read.events), read.problems) == (120, ())


def test_a_closed_writer_writes_nothing(store: Store, demo: Path) -> None:
    opened = store.open("demo")
    opened.close()
    opened.close()
    with pytest.raises(Problem) as caught:
        opened.append(ModeSet(mode="hybrid"))
    assert caught.value.code == "not-saved"
    assert len(journal.read(demo).events) == 40


# ---------------------------------------------------------------- what is refused before it is written


TOKEN = "hunter2-is-held"


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (FieldSet(field="name", value=f"x{TOKEN}y"), "value"),
        (IdentityPinned(kind="azure", facts={"tenant_id": None, "object_id": TOKEN}), "facts.object_id"),
        (IdentityPinned(kind="azure", facts={TOKEN: None}), "a name in facts"),
        (
            Found(
                step="7",
                check="release",
                verdict="good",
                text="x",
                fingerprint="f",
                evidence=(
                    Evidence(source="s", request="r", answer="fine", sha256="0", ts="t", identity="i", grade="g"),
                    Evidence(source="s", request="r", answer=TOKEN, sha256="0", ts="t", identity="i", grade="g"),
                ),
            ),
            "evidence[1].answer",
        ),
        (ModeSet(mode="eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJl"), "mode"),
    ],
)
def test_a_secret_is_refused_and_the_place_named(
    store: Store, demo: Path, data: FieldSet | IdentityPinned | Found | ModeSet, where: str
) -> None:
    before = demo.read_bytes()
    with store.open("demo") as opened:
        opened.guard.hold(TOKEN)
        with pytest.raises(SecretRefused) as caught:
            opened.append(data)
        assert caught.value.where == where
        assert TOKEN not in str(caught.value) and "eyJ" not in str(caught.value)
        assert demo.read_bytes() == before
        opened.append(ModeSet(mode="hybrid"))  # a refusal is no failure


def test_a_secret_as_actor_is_refused(store: Store, demo: Path) -> None:
    with store.open("demo") as opened:
        opened.guard.hold(TOKEN)
        with pytest.raises(SecretRefused):
            opened.append(ModeSet(mode="hybrid"), Actor(user=TOKEN, host="h", via="run"))


def test_what_could_not_be_read_again_is_not_written(store: Store, demo: Path) -> None:
    before = demo.read_bytes()
    with store.open("demo") as opened:
        for data, code in (
            (FieldSet(field="name", value="lone \ud800"), "not-text"),
            (FieldSet(field="name", value="word " * 300_000), "too-long"),
        ):
            with pytest.raises(Problem) as caught:
                opened.append(data)
            assert caught.value.code == code
        with pytest.raises(journal.LineError):  # a fault of ours: it goes to the log of unknown errors
            opened.append(ModeSet(mode=None))  # type: ignore[arg-type]
        assert demo.read_bytes() == before
        assert opened.append(ModeSet(mode="hybrid")).seq == 41


# ---------------------------------------------------------------- behind our back


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more\n")


def replace(path: Path) -> None:
    copy = path.with_name("copy")
    shutil.copy(path, copy)
    copy.rename(path)


def link_away(path: Path) -> None:
    moved = path.rename(path.with_name("moved"))
    path.symlink_to(moved)


@pytest.mark.parametrize(
    ("touch", "says"),
    [
        (grow, "bytes where we left"),
        (lambda path: os.truncate(path, path.stat().st_size - 1), "bytes where we left"),
        (replace, "was replaced"),
        (link_away, "was replaced"),
        (Path.unlink, "is gone"),
    ],
)
def test_a_file_touched_meanwhile_is_not_written(
    store: Store, demo: Path, touch: Callable[[Path], None], says: str
) -> None:
    with store.open("demo") as opened:
        opened.append(ModeSet(mode="hybrid"))
        touch(demo)
        before = demo.read_bytes() if demo.exists() else None
        for _ in range(2):
            with pytest.raises(Problem) as caught:
                opened.append(ModeSet(mode="collaborative"))
            assert caught.value.code == "changed-behind"
            assert says in caught.value.what
        assert opened.stopped is caught.value
        assert (demo.read_bytes() if demo.exists() else None) == before


# ---------------------------------------------------------------- the disk refuses


def test_a_failed_fsync_takes_the_line_back(store: Store, demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = demo.read_bytes()
    real = os.fsync
    failures = iter([OSError(5, "Input/output error")])

    def fsync(fd: int) -> None:
        for failure in failures:
            raise failure
        real(fd)

    with store.open("demo") as opened:
        monkeypatch.setattr(os, "fsync", fsync)
        for _ in range(2):  # the second time it is not even tried
            with pytest.raises(Problem) as caught:
                opened.append(ModeSet(mode="hybrid"))
            assert caught.value.code == "not-saved"
            assert "input/output error" in caught.value.what
            assert "everything before it is" in caught.value.means
        assert opened.seq == 40
    assert demo.read_bytes() == before
    with store.open("demo") as opened:
        assert opened.append(ModeSet(mode="hybrid")).seq == 41


def test_when_the_line_can_not_be_taken_back_it_is_said(
    store: Store, demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write

    def write(fd: int, content: bytes) -> int:
        if len(content) < 50:
            raise OSError(28, "No space left on device")
        return real(fd, content[: len(content) - 40])

    def ftruncate(fd: int, length: int) -> None:
        raise OSError(5, "Input/output error")

    with store.open("demo") as opened, monkeypatch.context() as patched:
        patched.setattr(os, "write", write)
        patched.setattr(os, "ftruncate", ftruncate)
        with pytest.raises(Problem) as caught:
            opened.append(ModeSet(mode="hybrid"))
        assert "disk is full" in caught.value.what
        assert "read-only until" in caught.value.means
        with pytest.raises(Problem):
            opened.append(ModeSet(mode="hybrid"))
    assert journal.read(demo).torn
    with store.open("demo") as opened:
        assert opened.cut is not None


def fill(command: str, store: Store) -> list[str]:
    with start(command, store) as child:
        output, _ = child.communicate(timeout=60)
    assert child.returncode == 0
    return output.splitlines()


def test_a_limit_of_file_size(store: Store, demo: Path) -> None:
    """Falls in the middle of a line: the kernel takes a part of it, then refuses."""
    opened, first, second, seq = fill("fill_to_limit", store)
    assert opened == "open"
    assert first.startswith("first not-saved Not saved. The file would grow past the size limit")
    assert second == first.replace("first", "second")
    read = journal.read(demo)
    assert (read.torn, read.problems) == (None, ())
    assert f"seq {read.events[-1].seq}" == seq
    assert read.events[-1].seq > 40
    with store.open("demo") as writer_:
        writer_.append(ModeSet(mode="hybrid"))


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    try:
        result = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        pytest.skip(f"needs mount: {error}")
    if result.returncode:
        pytest.skip(f"needs root to mount a small tmpfs: {result.stderr.strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk(tiny_disk: Path) -> None:
    store = Store(tiny_disk / "state")
    store.create("demo", GUIDE, ACTOR).close()
    ballast = tiny_disk / "ballast"
    ballast.write_bytes(b"x" * 65_536)
    _, first, _, seq = fill("fill", store)
    assert first.startswith("first not-saved Not saved. The disk is full.")
    read = store.read("demo")
    assert (read.torn, read.problems, f"seq {read.events[-1].seq}") == (None, (), seq)
    filler = tiny_disk / "filler"
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(b"x" * 4096)
    with pytest.raises(Problem) as caught:
        store.create("other", GUIDE, ACTOR)
    assert caught.value.code == "not-saved"
    assert store.names() == ("demo",)
    ballast.unlink()
    with store.open("demo") as writer_:
        writer_.append(ModeSet(mode="hybrid"))
    store.create("other", GUIDE, ACTOR).close()


# ---------------------------------------------------------------- kill -9


def kill_at_random_moments(store: Store, times: int) -> None:
    choice = random.Random(times)
    kept = 0
    for _ in range(times):
        with start("write", store) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "open\n"
            acknowledged = 0
            for _ in range(choice.randrange(0, 40)):
                acknowledged = int(child.stdout.readline())
            # A little later than the line was read, at any point of the next appends.
            for _ in range(choice.randrange(0, 20_000)):
                pass
            child.send_signal(signal.SIGKILL)
            rest = child.stdout.read().split("\n")[:-1]  # the last may be cut off
            acknowledged = int(rest[-1]) if rest else acknowledged
        read = store.read("demo")
        assert read.problems == ()
        assert len(read.events) >= max(acknowledged, kept)
        with store.open("demo", ACTOR) as opened:
            kept = opened.seq
            assert kept == len(read.events) + bool(read.torn)
    data = [event.data for event in store.read("demo").events]
    assert sum(isinstance(one, FieldSet) for one in data) > times


def test_killed_twenty_times_nothing_acknowledged_is_lost(store: Store) -> None:
    store.create("demo", GUIDE, ACTOR).close()
    kill_at_random_moments(store, 20)


@pytest.mark.slow
def test_killed_two_hundred_times_nothing_acknowledged_is_lost(store: Store) -> None:
    store.create("demo", GUIDE, ACTOR).close()
    kill_at_random_moments(store, 200)


def test_fixture_of_limits_is_real() -> None:
    """The limit test means nothing where limits do not."""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY or os.geteuid() == 0


def test_events_are_builtins_to_the_guard() -> None:
    """The guard walks builtins; what msgspec makes of an event must be nothing else."""
    built = msgspec.to_builtins(IdentityPinned(kind="azure", facts={"a": None}))
    assert built == {"kind": "azure", "facts": {"a": None}}
