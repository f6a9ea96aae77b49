"""The clipboard's programs, each a little script on a PATH of its own."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import sys
from pathlib import Path
from typing import Protocol

import pytest

from tests.wizard.adapters.conftest import pipes_of
from wizard.adapters import clipboard
from wizard.adapters.clipboard import copy
from wizard.process_identity import identity_of

DESKTOPS = ("SSH_CONNECTION", "SSH_TTY", "WAYLAND_DISPLAY", "DISPLAY", "WSL_DISTRO_NAME", "WSL_INTEROP")


class Desktop(Protocol):
    def __call__(self, **variables: str) -> Path: ...


@pytest.fixture
def desktop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desktop:
    """Makes a desktop with these variables; returns the directory its programs are looked for in."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in DESKTOPS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("PATH", str(programs))

    def made(**variables: str) -> Path:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return programs

    return made


def program(path: Path, text: str) -> Path:
    """A program of that name; returns where it can leave something."""
    path.write_text(f"#!/bin/sh\nPATH={os.defpath}\n{text}\n")
    path.chmod(0o755)
    return path.with_suffix(".left")


def taking(path: Path) -> Path:
    """A program that takes what it is given, with its arguments in `.args` beside."""
    left = path.with_suffix(".left")
    return program(path, f"echo $* > {shlex.quote(str(path))}.args; cat > {shlex.quote(str(left))}")


@pytest.mark.parametrize(
    ("variables", "name", "arguments"),
    [
        ({"WAYLAND_DISPLAY": "wayland-0"}, "wl-copy", ""),
        ({"DISPLAY": ":0"}, "xclip", "-selection clipboard"),
        ({"DISPLAY": ":0"}, "xsel", "-ib"),
        ({"WSL_DISTRO_NAME": "Debian", "DISPLAY": ":0", "WAYLAND_DISPLAY": "wayland-0"}, "clip.exe", ""),
    ],
)
async def test_each_desktop_has_its_program(desktop: Desktop, variables, name: str, arguments: str):
    programs = desktop(**variables)
    left = taking(programs / name)
    text = "two\nlines with 'quotes' and $HOME "
    assert await copy(text) == name
    assert left.read_text() == text
    assert (programs / f"{name}.args").read_text().strip() == arguments


async def test_on_a_mac_it_is_told_that_this_is_utf_8(desktop: Desktop, monkeypatch: pytest.MonkeyPatch):
    programs = desktop(DISPLAY=":0", LC_ALL="C")
    monkeypatch.setattr(sys, "platform", "darwin")
    taking(programs / "xclip")
    assert await copy("x") is None
    left = program(programs / "pbcopy", f"(echo $LC_ALL:$LC_CTYPE; cat) > {programs}/pbcopy.left")
    assert await copy("Größe") == "pbcopy"
    assert left.read_text() == ":UTF-8\nGröße"


@pytest.mark.parametrize(("text", "bytes_"), [("plain", b"plain"), ("ö→", "ö→".encode("utf-16-le"))])
async def test_windows_gets_what_is_not_ascii_as_utf_16(desktop: Desktop, text: str, bytes_: bytes):
    left = taking(desktop(WSL_INTEROP="/run/WSL/1") / "clip.exe")
    assert await copy(text) == "clip.exe"
    assert left.read_bytes() == bytes_


async def test_much_text_arrives_whole(desktop: Desktop):
    left = taking(desktop(DISPLAY=":0") / "xclip")
    text = "zażółć " * 50_000
    assert await copy(text) == "xclip"
    assert left.read_text() == text


async def test_half_a_character_is_no_reason_to_fail(desktop: Desktop):
    left = taking(desktop(DISPLAY=":0") / "xclip")
    assert await copy("a\udc80b") == "xclip"
    assert left.read_text() == "a?b"


async def test_without_a_desktop_or_a_program_there_is_none(desktop: Desktop):
    programs = desktop()
    taking(programs / "xclip")
    assert await copy("x") is None
    desktop(WAYLAND_DISPLAY="wayland-0")
    assert await copy("x") is None


@pytest.mark.parametrize("variable", ["SSH_CONNECTION", "SSH_TTY"])
async def test_over_ssh_the_clipboard_is_somebody_elses(desktop: Desktop, variable: str):
    left = taking(desktop(DISPLAY="localhost:10.0", **{variable: "there"}) / "xclip")
    assert await copy("x") is None
    assert not left.exists()


async def test_after_one_that_fails_the_next_is_asked(desktop: Desktop):
    programs = desktop(DISPLAY=":0", WAYLAND_DISPLAY="gone")
    program(programs / "wl-copy", "echo 'Failed to connect' >&2; exit 1")
    assert await copy("x") is None
    left = taking(programs / "xclip")
    assert await copy("x") == "xclip"
    assert left.read_text() == "x"


@pytest.mark.parametrize("content", ["not a program", "#!/no/such/interpreter\n"])
async def test_what_can_not_run_took_nothing(desktop: Desktop, content: str):
    path = desktop(DISPLAY=":0") / "xclip"
    path.write_text(content)
    path.chmod(0o755)
    assert await copy("x") is None


async def test_one_that_hangs_is_ended_at_the_deadline(desktop: Desktop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(clipboard, "DEADLINE", 2.0)
    programs = desktop(DISPLAY=":0")
    left = program(programs / "xclip", f"echo $$ > {programs}/xclip.left; exec sleep 600")
    also = taking(programs / "xsel")
    async with asyncio.timeout(20):
        assert await copy("x" * 1_000_000) is None
    assert identity_of(int(left.read_text())) is None
    assert not also.exists(), "the deadline is for all of them"


async def test_one_that_stays_is_not_waited_for_and_not_ended(desktop: Desktop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("REGISTRY_TOKEN", "s3cr3t-t0ken-value")
    programs = desktop(DISPLAY=":0")
    left = program(programs / "xclip", f"cat > {programs}/text\nsleep 600 &\necho $! > {programs}/xclip.left")
    async with asyncio.timeout(20):
        assert await copy("x") == "xclip"
    staying = int(left.read_text())
    try:
        assert identity_of(staying) is not None
        # Until it is what it was started for, it still is a copy of the shell.
        async with asyncio.timeout(20):
            while Path(f"/proc/{staying}/comm").read_text().strip() != "sleep":
                await asyncio.sleep(0.01)
        assert pipes_of(staying) == [], "nothing of ours"
        assert b"s3cr3t" not in Path(f"/proc/{staying}/environ").read_bytes()
        assert os.getsid(staying) != os.getsid(0), "Ctrl-C here does not reach it"
    finally:
        os.kill(staying, signal.SIGKILL)
