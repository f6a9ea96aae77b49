"""Where setups live: private, never overwritten, repaired by the next writer, and left alone by readers."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from state import journal
from state.actor import current_actor
from state.directory import default_state_dir
from state.events import FORMAT, FieldSet, Header, ModeSet, TornLineCut
from state.problem import Problem
from state.store import Store, valid_name
from tests.state.make_journal import ACTOR, GUIDE, data_of, lines_of, make_journal

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away: sudo pytest tests/state")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


# ---------------------------------------------------------------- names and places


@pytest.mark.parametrize("name", ["a", "0", "prod", "dev-1", "a-", "a" * 63])
def test_names(name: str) -> None:
    assert valid_name(name) == name


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "it is empty"),
        ("-a", "it begins with a dash"),
        ("a" * 64, "it has 64 characters"),
        ("Prod", "it holds P"),
        ("my setup", "it holds a space"),
        ("a/b", "it holds /"),
        ("..", "it holds ."),
        ("a.jsonl", "it holds ."),
        ("a_b", "it holds _"),
        ("a\n", "it holds the character U+000A"),
        ("a\0", "it holds the character U+0000"),
        ("ärger", "it holds the character U+00E4"),
        ("a\u202e", "it holds the character U+202E"),
        ("１", "it holds the character U+FF11"),
        ("a\udc80", "it holds the character U+DC80"),
    ],
)
def test_names_that_are_none(name: str, why: str, store: Store) -> None:
    with pytest.raises(Problem) as caught:
        valid_name(name)
    assert caught.value.code == "bad-name"
    assert why in caught.value.what
    for use in (store.path_of, store.read, store.open):
        with pytest.raises(Problem):
            use(name)


def test_default_state_dir(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PRIVATELINK_STATE_DIR", raising=False)
    assert default_state_dir().name == "privatelink-wizard"
    assert default_state_dir().is_relative_to(tmp_path)
    monkeypatch.setenv("PRIVATELINK_STATE_DIR", "~/mine")
    assert default_state_dir() == tmp_path / "mine"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PRIVATELINK_STATE_DIR", "here")
    assert default_state_dir() == tmp_path / "here"
    assert list(tmp_path.iterdir()) == [], "naming it makes nothing"


def test_reading_makes_nothing(store: Store) -> None:
    assert store.names() == ()
    for use in (store.read, store.open):
        with pytest.raises(Problem) as caught:
            use("demo")
        assert caught.value.code == "no-such-setup"
        assert "privatelink-wizard new demo" in caught.value.todo
    assert not store.state_dir.exists()


def test_reading_a_setup_leaves_no_trace(store: Store, demo: Path) -> None:
    before = {path: path.lstat() for path in store.state_dir.rglob("*")}
    store.names()
    store.read("demo")
    after = {path: path.lstat() for path in store.state_dir.rglob("*")}
    assert after.keys() == before.keys()
    assert [now.st_mtime_ns for now in after.values()] == [then.st_mtime_ns for then in before.values()]


def test_created_private_whatever_the_umask(tmp_path: Path) -> None:
    for umask in (0o000, 0o777, 0o022):
        store = Store(tmp_path / f"{umask:o}" / "state")
        store.state_dir.parent.mkdir()
        old = os.umask(umask)
        try:
            store.create("demo", GUIDE, ACTOR).close()
        finally:
            os.umask(old)
        assert mode_of(store.state_dir) == mode_of(store.setups) == 0o700
        assert {mode_of(path) for path in store.setups.iterdir()} == {0o600}


def test_parents_of_the_state_dir_are_made(tmp_path: Path) -> None:
    store = Store(tmp_path / "a" / "b" / "state")
    store.create("demo", GUIDE, ACTOR).close()
    assert store.names() == ("demo",)


def test_names_lists_setups_and_nothing_else(store: Store, demo: Path) -> None:
    for other in ("demo.lock", "demo.torn-2026", "half.jsonl.new", "Bad.jsonl", ".hidden.jsonl", "x.txt", "-a.jsonl"):
        (store.setups / other).touch()
    make_journal(store.path_of("another"), 1, "another")
    assert store.names() == ("another", "demo")


def test_no_such_setup_names_near_ones(store: Store, demo: Path) -> None:
    make_journal(store.path_of("prod-eu"), 1, "prod-eu")
    with pytest.raises(Problem) as caught:
        store.read("prod-us")
    assert caught.value.todo == "Did you mean prod-eu?"
    with pytest.raises(Problem) as caught:
        store.read("zzz")
    assert "privatelink-wizard list" in caught.value.todo


@pytest.mark.parametrize("part", ["state_dir", "setups"])
@pytest.mark.parametrize("mode", [0o750, 0o701, 0o777, 0o1777])
def test_directory_open_to_others_is_refused(store: Store, demo: Path, part: str, mode: int) -> None:
    directory: Path = getattr(store, part)
    directory.chmod(mode)
    refused(store, f"mode {mode:04o}", "chmod 700")


@pytest.mark.parametrize("part", ["state_dir", "setups"])
def test_symlinked_directory_is_refused(store: Store, demo: Path, part: str) -> None:
    directory: Path = getattr(store, part)
    real = directory.rename(directory.with_name("real"))
    directory.symlink_to(real, target_is_directory=True)
    refused(store, "is a symbolic link", "--state-dir")


def test_file_in_place_of_the_directory_is_refused(store: Store) -> None:
    store.state_dir.touch(0o600)
    refused(store, "is not a directory", "--state-dir")


@needs_root
def test_directory_of_another_user_is_refused(store: Store, demo: Path) -> None:
    os.chown(store.state_dir, 12345, -1)
    refused(store, "belongs to another user (uid 12345", "--state-dir")


def refused(store: Store, why: str, todo: str) -> None:
    """Every way in says so, and says why."""
    for use in (
        store.names,
        lambda: store.read("demo"),
        lambda: store.open("demo"),
        lambda: store.create("other", GUIDE, ACTOR),
    ):
        with pytest.raises(Problem) as caught:
            use()
        assert caught.value.code == "state-dir"
        assert caught.value.exit_code == 2
        assert why in caught.value.what
        assert todo in caught.value.todo


# ---------------------------------------------------------------- create


def test_create_writes_the_header_and_opens(store: Store) -> None:
    with store.create("demo", GUIDE, ACTOR) as writer:
        assert writer.journal.header == Header(
            seq=0, format=FORMAT, guide=GUIDE, name="demo", ts=writer.journal.header.ts
        )
        assert writer.head == sha256(store.path_of("demo").read_bytes().rstrip(b"\n")).hexdigest()
        event = writer.append(ModeSet(mode="hybrid"))
        assert (event.seq, event.actor) == (1, ACTOR)
    assert store.read("demo").events == (event,)


def test_create_never_replaces(store: Store, demo: Path) -> None:
    before = demo.read_bytes()
    with pytest.raises(Problem) as caught:
        store.create("demo", GUIDE, ACTOR)
    assert caught.value.code == "exists"
    assert "resume demo" in caught.value.todo
    assert demo.read_bytes() == before
    assert not (store.setups / "demo.lock").exists()


def test_create_never_replaces_what_appears_meanwhile(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody puts a file there between our look and our rename: with and without hard links."""
    real_link = os.link

    def link_late(source: Path, target: Path) -> None:
        target.write_bytes(b"theirs")
        real_link(source, target)

    def no_links(source: Path, target: Path) -> None:
        target.write_bytes(b"theirs")
        raise PermissionError(1, "no links here")

    for name, link in (("one", link_late), ("two", no_links)):
        monkeypatch.setattr(os, "link", link)
        with pytest.raises(Problem) as caught:
            store.create(name, GUIDE, ACTOR)
        assert caught.value.code == "exists"
        assert store.path_of(name).read_bytes() == b"theirs"
        assert {path.name for path in store.setups.iterdir() if name in path.name} == {f"{name}.jsonl", f"{name}.lock"}


def test_create_without_hard_links(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(source: Path, target: Path) -> None:
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(os, "link", no_links)
    store.create("demo", GUIDE, ACTOR).close()
    assert store.read("demo").header.name == "demo"
    assert {path.name for path in store.setups.iterdir()} == {"demo.jsonl", "demo.lock"}


def test_a_dead_creators_leavings_are_swept(store: Store, demo: Path) -> None:
    left = store.setups / "demo.jsonl.new"
    left.write_bytes(b"half a hea")
    store.open("demo").close()
    assert not left.exists()
    left = store.setups / "fresh.jsonl.new"
    left.write_bytes(b"half a hea")
    assert "fresh" not in store.names()
    store.create("fresh", GUIDE, ACTOR).close()
    assert not left.exists()
    assert store.read("fresh").header.name == "fresh"


def test_a_creator_who_died_after_linking_did_no_harm(store: Store, demo: Path) -> None:
    os.link(demo, store.setups / "demo.jsonl.new")
    before = demo.read_bytes()
    store.open("demo").close()
    assert demo.read_bytes() == before
    assert demo.stat().st_nlink == 1


# ---------------------------------------------------------------- open


def test_open_goes_on_where_it_was_left(store: Store, demo: Path) -> None:
    with store.open("demo", ACTOR) as writer:
        assert (writer.seq, writer.cut, len(writer.journal.events)) == (40, None, 40)
        writer.append(ModeSet(mode="hybrid"))
    read = store.read("demo")
    assert (len(read.events), read.problems) == (41, ())


def test_open_without_an_actor_is_this_user(store: Store, demo: Path) -> None:
    with store.open("demo") as writer:
        assert writer.append(ModeSet(mode="hybrid")).actor == current_actor("run")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b'"value":"value-1"', b'"value":"value-9"', "was changed after it was written"),
        (b'"type":"probe_consented"', b'"type":"probe_teleported"', "does not know"),
        (b"journal/1", b"journal/2", "A newer version"),
    ],
)
def test_a_damaged_or_newer_journal_is_not_written(store: Store, demo: Path, old: bytes, new: bytes, says: str) -> None:
    demo.write_bytes(demo.read_bytes().replace(old, new, 1))
    before = demo.read_bytes()
    for _ in range(2):  # the lock is free again
        with pytest.raises(Problem) as caught:
            store.open("demo")
        assert caught.value.code == "read-only"
        assert caught.value.exit_code == 2
        assert says in caught.value.what
        assert "privatelink-wizard review demo" in caught.value.todo
    assert demo.read_bytes() == before
    assert store.read("demo").events, "it can still be read"


def test_a_damaged_journal_keeps_its_torn_line(store: Store, demo: Path) -> None:
    demo.write_bytes(demo.read_bytes().replace(b"value-1", b"value-9", 1) + b'{"seq":41,"to')
    before = demo.read_bytes()
    with pytest.raises(Problem):
        store.open("demo")
    assert demo.read_bytes() == before


def test_a_journal_under_another_name_is_not_written(store: Store, demo: Path) -> None:
    store.path_of("prod").write_bytes(demo.read_bytes())
    store.path_of("prod").chmod(0o600)
    with pytest.raises(Problem) as caught:
        store.open("prod")
    assert caught.value.code == "read-only"
    assert "says it is the setup demo" in caught.value.what


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o606])
def test_a_journal_open_to_others_is_not_written(store: Store, demo: Path, mode: int) -> None:
    demo.chmod(mode)
    with pytest.raises(Problem) as caught:
        store.open("demo")
    assert caught.value.code == "not-ours"
    assert "chmod 600" in caught.value.todo
    assert len(store.read("demo").events) == 40


@needs_root
def test_a_journal_of_another_user_is_not_written(store: Store, demo: Path) -> None:
    os.chown(demo, 12345, -1)
    with pytest.raises(Problem) as caught:
        store.open("demo")
    assert caught.value.code == "not-ours"
    assert "uid 12345" in caught.value.what


def test_a_symlinked_journal_is_neither_read_nor_written(store: Store, demo: Path) -> None:
    demo.rename(store.state_dir / "elsewhere.jsonl")
    demo.symlink_to(store.state_dir / "elsewhere.jsonl")
    for use in (store.read, store.open):
        with pytest.raises(Problem) as caught:
            use("demo")
        assert caught.value.code == "not-a-file"
    dangling = store.path_of("fresh")
    dangling.symlink_to(store.state_dir / "made-by-link")
    with pytest.raises(Problem) as caught:
        store.create("fresh", GUIDE, ACTOR)
    assert caught.value.code == "exists"
    assert not (store.state_dir / "made-by-link").exists()


def test_a_symlinked_lock_is_not_followed(store: Store, demo: Path) -> None:
    target = store.state_dir / "precious"
    target.write_text("keep me")
    (store.setups / "demo.lock").symlink_to(target)
    with pytest.raises(Problem) as caught:
        store.open("demo")
    assert caught.value.code == "not-saved"
    assert target.read_text() == "keep me"


# ---------------------------------------------------------------- torn lines


@pytest.fixture
def fast_store() -> Iterator[Store]:
    """A store in memory where there is such a file system: this test waits for some 3000 fsyncs."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as directory:
        store = Store(Path(directory) / "state")
        store.create("demo", GUIDE, ACTOR).close()
        yield store


def test_cut_at_every_byte_of_the_last_three_lines(fast_store: Store) -> None:
    """Readers report, the next writer repairs and keeps what it cut; no whole line is lost."""
    store, demo = fast_store, fast_store.path_of("demo")
    lines = lines_of(data_of(8))
    whole = b"".join(line + b"\n" for line in lines)
    ends = range(sum(len(line) + 1 for line in lines[:-3]), len(whole))
    for end in ends:
        demo.write_bytes(whole[:end])
        torn = whole[:end].split(b"\n")[-1]
        complete = whole[:end].count(b"\n") - 1
        read = store.read("demo")
        assert (len(read.events), read.torn, read.writable) == (complete, torn or None, True)
        assert demo.stat().st_size == end, "a reader repairs nothing"

        with store.open("demo", ACTOR) as writer:
            assert len(writer.journal.events) == complete + bool(torn)
            assert writer.head == writer.journal.head
            writer.append(ModeSet(mode="hybrid"))
        read = store.read("demo")
        assert (read.problems, read.torn) == ((), None)
        assert demo.read_bytes().startswith(b"".join(line + b"\n" for line in lines[: complete + 1]))
        aside = sorted(store.setups.glob("demo.torn-*"))
        if torn:
            cut = read.events[-2].data
            assert cut == TornLineCut(bytes=len(torn), sha256=sha256(torn).hexdigest(), kept_in=aside[0].name)
            assert writer.cut == read.events[-2]
            assert aside[0].read_bytes() == torn
            assert mode_of(aside[0]) == 0o600
            aside.pop(0).unlink()
        assert aside == []


def test_a_torn_line_that_is_no_text(store: Store, demo: Path) -> None:
    torn = b"\x00\xff" * 5000
    demo.write_bytes(demo.read_bytes() + torn)
    with store.open("demo") as writer:
        assert writer.cut is not None
    (aside,) = store.setups.glob("demo.torn-*")
    assert aside.read_bytes() == torn


def test_a_hundred_thousand_events_are_gone_on_with(store: Store, demo: Path, big_journal: Path) -> None:
    shutil.copy(big_journal, demo)
    with store.open("demo", ACTOR) as writer:
        assert writer.append(FieldSet(field="environment", value="prod")).seq == 100_001
    assert journal.read(demo).writable
