"""An auditor's commands can't change anything: seen in the system calls they make."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from state.actor import current_actor
from tests.setups import make_setup

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


def traced(strace: str, trace: Path, env: dict[str, str], *arguments: str, code: int = 0) -> list[str]:
    """Every system call of a command that could change something, connect somewhere or start something."""
    done = subprocess.run(
        [strace, "-f", "-o", trace, sys.executable, "-m", "wizard", *arguments],
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
