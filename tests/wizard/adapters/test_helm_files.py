"""The private directory: private, gone afterwards, and swept when its owner died."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from wizard.adapters.helm_files import note_user, run_dir, sweep
from wizard.process_identity import identity_of

KILLED_OWNER = """
import os, signal, sys
from wizard.adapters.helm_files import run_dir
with run_dir() as made:
    print(made.path, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def environ(tmp_path, monkeypatch) -> dict[str, str]:
    """Makes the temporary directory the only place there is."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("wizard.adapters.helm_files._bases", lambda _: (tmp_path,))
    return {}


def leftover(base: Path, owner: object) -> Path:
    path = base / "privatelink-wizard-run-old"
    path.mkdir(mode=0o700)
    (path / "config.json").write_text("token")
    (path / "owner.json").write_text(json.dumps(owner))
    return path


def test_private_and_gone_afterwards():
    with pytest.raises(RuntimeError), run_dir() as made:
        facts = made.path.stat()
        assert (stat.S_IMODE(facts.st_mode), facts.st_uid) == (0o700, os.getuid())
        (made.path / "config.json").write_text("token")
        raise RuntimeError
    assert not made.path.exists()


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="no memory file system here")
def test_it_is_on_memory_where_there_is_some():
    with run_dir({}) as made:
        assert made.on_memory
        assert made.path.parent == Path("/dev/shm")


def test_on_a_disk_it_says_so(environ, tmp_path):
    with run_dir(environ) as made:
        assert made.path.parent == tmp_path
        on_disk = subprocess.run(["stat", "-f", "-c", "%T", tmp_path], capture_output=True, text=True, check=True)
        assert made.on_memory is (on_disk.stdout.strip() in ("tmpfs", "ramfs"))


def test_a_killed_owners_directory_is_swept():
    killed = subprocess.run([sys.executable, "-c", KILLED_OWNER], capture_output=True, text=True, check=False)
    left = Path(killed.stdout.strip())
    assert killed.returncode == -9
    assert left.is_dir()
    with run_dir():
        assert not left.exists()


def test_a_living_owners_directory_stays(environ, tmp_path):
    mine = identity_of(os.getpid())
    assert mine is not None
    left = leftover(tmp_path, {"pid": mine.pid, "start_time": mine.start_time, "boot_id": mine.boot_id})
    assert sweep(environ) == 0
    assert left.exists()


def test_a_dead_owners_directory_stays_while_its_helm_lives(environ, tmp_path):
    own = identity_of(os.getpid())
    assert own is not None
    gone = {"pid": 1, "start_time": "never", "boot_id": own.boot_id}
    path = leftover(tmp_path, gone)
    helm = subprocess.Popen(["sleep", "60"])
    try:
        user = identity_of(helm.pid)
        assert user is not None
        note_user(path, user)
        assert sweep(environ) == 0
    finally:
        helm.kill()
        helm.wait()
    assert sweep(environ) == 1
    assert not path.exists()


def test_a_helm_that_was_left_running_keeps_the_directory_until_it_ends(environ):
    ended, helm = subprocess.Popen(["sleep", "60"]), subprocess.Popen(["sleep", "60"])
    try:
        with run_dir(environ) as made:
            (made.path / "config.json").write_text("token")
            for process in (ended, helm):
                user = identity_of(process.pid)
                assert user is not None
                note_user(made.path, user)
            ended.kill()
            ended.wait()
        assert (made.path / "config.json").exists()
        with run_dir(environ) as another:
            assert (made.path / "config.json").exists(), "though its first owner, which is us, lives"
            assert another.path != made.path
    finally:
        helm.kill()
        helm.wait()
    assert sweep(environ) == 1
    assert not made.path.exists()


def test_helms_that_ended_keep_nothing(environ):
    with run_dir(environ) as made, subprocess.Popen(["sleep", "60"]) as helm:
        user = identity_of(helm.pid)
        assert user is not None
        note_user(made.path, user)
        helm.kill()
    assert not made.path.exists()


def test_a_dead_owners_directory_goes_but_what_a_link_points_to_stays(environ, tmp_path):
    mine = identity_of(os.getpid())
    assert mine is not None
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("precious")
    (tmp_path / "privatelink-wizard-run-link").symlink_to(kept)
    left = leftover(tmp_path, {"pid": mine.pid, "start_time": "1", "boot_id": mine.boot_id})
    (left / "inside").symlink_to(kept)
    assert sweep(environ) == 1
    assert not left.exists()
    assert (kept / "file").read_text() == "precious"


@pytest.mark.parametrize("owner", ["", [], {"pid": "x"}, None])
def test_an_unreadable_owner_is_left_alone_at_first(environ, tmp_path, owner):
    left = leftover(tmp_path, owner)
    assert sweep(environ) == 0
    os.utime(left, (0, 0))
    assert sweep(environ) == 1
