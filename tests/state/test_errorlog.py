from __future__ import annotations

import os
from pathlib import Path

import pytest

from state.errorlog import log_unknown_error
from state.problem import Problem
from state.secrets import SecretGuard

TOKEN = "hunter2-is-held"


def failing(secret: str) -> None:
    try:
        local = {"token": secret}
        raise KeyError(local["token"])
    except KeyError as error:
        raise RuntimeError(f"login with {secret} failed") from error


def logged(tmp_path: Path, error: BaseException, *held: str) -> str:
    guard = SecretGuard()
    guard.hold(*held)
    path = log_unknown_error(tmp_path / "state", error, guard)
    assert path.parent == tmp_path / "state" / "log"
    assert path.name.endswith(f"-{os.getpid()}.log")
    assert [part.lstat().st_mode & 0o777 for part in (path, path.parent, path.parent.parent)] == [0o600, 0o700, 0o700]
    return path.read_text()


def test_frames_without_values(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError) as caught:
        failing(TOKEN)
    lines = logged(tmp_path, caught.value, TOKEN).splitlines()
    assert TOKEN not in "\n".join(lines)
    assert lines[0] == "builtins.KeyError: '********'"
    assert lines[1] == f"  {__file__}:{failing.__code__.co_firstlineno + 3} failing"
    assert lines[2] == "which caused"
    assert lines[3] == "builtins.RuntimeError: login with ******** failed"
    assert any(line.endswith(" test_frames_without_values") for line in lines[4:])
    assert "local" not in "\n".join(lines)


def test_tokens_never_held_are_masked_too(tmp_path: Path) -> None:
    jwt = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJl"
    assert logged(tmp_path, ValueError(f"got {jwt}")) == "builtins.ValueError: got ********\n"


def test_strange_errors_are_logged(tmp_path: Path) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError("no words")

    circle = ValueError("a")
    circle.__context__ = TypeError("b")
    circle.__context__.__context__ = circle
    assert "(no message)" in logged(tmp_path, Mute())
    assert "lone \\udc80" in logged(tmp_path, ValueError("lone \udc80"))
    assert "builtins.TypeError: b" in logged(tmp_path, circle)
    group = logged(tmp_path, ExceptionGroup("two", [ValueError("one"), ExceptionGroup("in", [OSError("deep")])]))
    assert "builtins.OSError: deep" in group and "builtins.ValueError: one" in group


def test_two_errors_are_two_files(tmp_path: Path) -> None:
    for _ in range(3):
        logged(tmp_path, ValueError("x"))
    assert len(list((tmp_path / "state" / "log").iterdir())) == 3


def test_a_log_that_can_not_be_written_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    with pytest.raises(Problem) as caught:
        log_unknown_error(tmp_path / "state", ValueError("x"), SecretGuard())
    assert caught.value.code == "state-dir"
