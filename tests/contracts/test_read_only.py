"""An auditor's commands can't change anything: seen in the system calls they make."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from state.actor import current_actor
from state.journal import read
from tests.setups import GUIDE, data_of, make_setup
from tests.state.make_journal import lines_of

WRITING = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND")
# Whatever changes a file system, speaks to anybody, or starts a process.
FORBIDDEN = re.compile(
    r"creat|mkdir(at)?|rename(at2?)?|unlink(at)?|rmdir|(sym)?link(at)?|f?truncate|f?chmod(at)?|[fl]?chown(at)?|utimensat"
    r"|mknod(at)?|flock|fsync|fdatasync|f?setxattr|socket|connect|bind|send(to|msg)|v?fork|clone3?|t?kill|tgkill"
)

CALL = re.compile(r"^\d+ +(?:\[[^]]*\] )?(\w+)\((.*)$")


@pytest.fixture
def strace() -> str:
    found = shutil.which("strace")
    if found is None:
        pytest.skip("strace is not there; get it with: apt-get install strace")
    return found


def traced(
    strace: str, trace: Path, env: dict[str, str], *arguments: str, code: int = 0, within: Sequence[str] = ()
) -> list[str]:
    """Every system call of a command that could change something, connect somewhere or start something.

    `within`: the command that runs it, in a place or as a user of its own.
    """
    done = subprocess.run(
        [*within, strace, "-f", "-o", trace, sys.executable, "-m", "wizard", *arguments],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    lines = trace.read_text().splitlines()
    assert any("execve" in line for line in lines), "strace saw nothing"
    return [line for line in lines if _changes(line)]


def _changes(line: str) -> bool:
    match = CALL.match(line)
    if match is None:
        return False
    name, rest = match.groups()
    if name in ("open", "openat", "openat2"):
        return bool(WRITING.search(rest))
    if name == "execve":
        return "python" not in rest or "wizard" not in rest
    return bool(FORBIDDEN.fullmatch(name)) or (name == "fcntl" and "F_SETLK" in rest)


NOBODY = 65534


def as_nobody() -> list[str]:
    """Tests that run as root give the program another user, who may read everything and write nothing.

    Reading needs the capability: neither a private interpreter nor pytest's directories are open to others.
    """
    if os.geteuid() != 0:
        return []
    reading = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *reading]


@contextlib.contextmanager
def read_only_mount(base: Path) -> Iterator[tuple[Path, list[str]]]:
    """A directory with a copy of a journal, `prod.jsonl`, and the command within which its file system is read-only.

    Where this system lets nobody but root mount (unprivileged user namespaces are off), the directory and the file are
    as closed as their modes can make them; its owner is no root then.
    """
    directory = base / "evidence"
    directory.mkdir()
    (directory / "prod.jsonl").write_bytes(b"\n".join(lines_of(data_of(40), "prod", GUIDE)) + b"\n")
    mount = f"mount --bind {shlex.quote(str(directory))} {shlex.quote(str(directory))}"
    mount += f' && mount -o remount,ro,bind {shlex.quote(str(directory))} && exec "$@"'
    within = ["unshare", "-m" if os.geteuid() == 0 else "-rm", "sh", "-c", mount, "sh"]
    if subprocess.run([*within, "true"], capture_output=True, check=False).returncode != 0:
        assert os.geteuid() != 0, "root can mount"
        within = []
        (directory / "prod.jsonl").chmod(0o400)
        directory.chmod(0o500)
    yield directory, within
    directory.chmod(0o700)


def everything(directory: Path) -> dict[str, tuple[int, int, bytes]]:
    return {
        str(path.relative_to(directory)): (path.stat().st_mode, path.stat().st_mtime_ns, path.read_bytes())
        if path.is_file()
        else (path.stat().st_mode, path.stat().st_mtime_ns, b"")
        for path in sorted([directory, *directory.rglob("*")])
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ["review", "prod", "-o", "text"],
        ["review", "prod", "-o", "json"],
        ["review", "prod", "-o", "html"],
        ["review", "prod", "-o", "text", "--as-of", "2026-01-05T08:20:00Z"],
        ["list"],
        ["list", "-o", "json"],
        ["validate", "hostname", "dpm.example.link"],
    ],
    ids=" ".join,
)
def test_they_write_nothing_connect_nowhere_and_start_nothing(
    strace: str, tmp_path: Path, env: dict[str, str], state_dir: Path, arguments: list[str]
):
    before = everything(state_dir)
    assert traced(strace, tmp_path / "trace", env, *arguments) == []
    assert everything(state_dir) == before


def test_the_same_on_a_read_only_copy(strace: str, tmp_path: Path, env: dict[str, str], state_dir: Path):
    copy = tmp_path / "evidence"
    copy.mkdir()
    file = copy / "prod.jsonl"
    shutil.copy(state_dir / "setups" / "prod.jsonl", file)
    file.chmod(0o400)
    copy.chmod(0o500)
    before = everything(copy)
    try:
        assert traced(strace, tmp_path / "trace", env, "review", str(file), "-o", "json") == []
        assert everything(copy) == before
    finally:
        copy.chmod(0o700)


def test_the_same_of_a_copy_on_a_read_only_mount_as_another_user(strace: str, tmp_path: Path, env: dict[str, str]):
    """As evidence is kept: nobody can write there, and the auditor is not who wrote it."""
    with read_only_mount(tmp_path) as (directory, within):
        for user in ([], as_nobody()):
            refused = subprocess.run(
                [*within, *user, "touch", str(directory / "new")], capture_output=True, check=False
            )
            assert refused.returncode != 0, "so nothing could be written there"
        trace = tmp_path / "traces"
        trace.mkdir()
        trace.chmod(0o777)
        file = str(directory / "prod.jsonl")
        report = tmp_path / "report.json"
        made = [sys.executable, "-m", "wizard", "review", file, "-o", "json"]
        report.write_bytes(subprocess.run(made, env=env, capture_output=True, check=True).stdout)
        head = read(directory / "prod.jsonl").head
        forms = (
            ["-o", "text"],
            ["-o", "json", "--expect", head],
            ["-o", "html"],
            ["-o", "text", "--as-of", "2026-01-05T08:20:00Z"],
            ["--verify", str(report)],
        )
        for number, form in enumerate(forms):
            calls = traced(strace, trace / f"{number}", env, "review", file, *form, within=[*within, *as_nobody()])
            assert calls == [], form


def test_another_users_setups_are_not_opened_by_name(tmp_path: Path, env: dict[str, str], state_dir: Path):
    """A state directory that is not one's own may hold anything; the file itself can be read."""
    if os.geteuid() != 0:
        state_dir.chmod(0o755)  # the nearest to it that one user alone can make: others may write to it
    command = [*as_nobody(), sys.executable, "-m", "wizard", "review", "prod", "-o", "text"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert str(state_dir) in done.stderr


def test_a_torn_line_is_reported_and_left_alone(strace: str, tmp_path: Path, env: dict[str, str], state_dir: Path):
    with (state_dir / "setups" / "prod.jsonl").open("ab") as file:
        file.write(b'{"seq":41,"ts":')
    before = everything(state_dir)
    for arguments in (["review", "prod", "-o", "json"], ["list"]):
        assert traced(strace, tmp_path / "trace", env, *arguments) == []
    assert everything(state_dir) == before


def test_the_net_catches_a_writer(strace: str, tmp_path: Path, env: dict[str, str], state_dir: Path):
    """`check` of one's own setup writes: so the tests above could fail."""
    make_setup(state_dir, "mine", actor=current_actor("run"))
    calls = traced(strace, tmp_path / "trace", env, "check", "mine", "-o", "json", code=3)
    assert any("O_APPEND" in call and "mine.jsonl" in call for call in calls)
    assert any("mine.lock" in call for call in calls)
    assert any("clone" in call or "fork" in call for call in calls)
