"""The desktop's clipboard, through the program that each desktop has for it."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Iterator, Mapping

from wizard.adapters import child_process

DEADLINE = 2.0  # seconds for all of it; a clipboard that does not answer is none

# xclip, xsel and wl-copy stay in the background for as long as they own the clipboard. They get neither our streams,
# which would be waited for, nor our environment, which may hold a secret and would be seen in theirs for hours.
_SILENT = ["/bin/sh", "-c", 'exec "$@" >/dev/null 2>&1', "sh"]
_KEPT = frozenset(
    {"PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "DISPLAY", "XAUTHORITY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR"}
    | {"WSL_INTEROP", "WSL_DISTRO_NAME"}
)


async def copy(text: str) -> str | None:
    """Hand `text` to the clipboard of the desktop before the user; returns the name of the program that took it.

    None when there is no such program, when none took it within `DEADLINE`, and over SSH, where the clipboard is that
    of whoever sits at the other machine. Never raises. The text goes to stdin, so it shows in no list of processes;
    whether it may lie in a clipboard at all is for the caller to know.
    """
    if os.environ.get("SSH_CONNECTION") or os.environ.get("SSH_TTY"):
        return None
    loop = asyncio.get_running_loop()
    until = loop.time() + DEADLINE
    for name, *rest in _programs(os.environ):
        program = shutil.which(name)
        if program is not None and await _took([program, *rest], _encoded(name, text), until - loop.time()):
            return name
    return None


def _programs(environ: Mapping[str, str]) -> Iterator[list[str]]:
    """The commands that may do here, best first. WSL has X11 and Wayland of its own, so Windows' comes before."""
    if sys.platform == "darwin":
        yield ["pbcopy"]
        return
    if environ.get("WSL_DISTRO_NAME") or environ.get("WSL_INTEROP"):
        yield ["clip.exe"]
    if environ.get("WAYLAND_DISPLAY"):
        yield ["wl-copy"]
    if environ.get("DISPLAY"):
        yield ["xclip", "-selection", "clipboard"]
        yield ["xsel", "-ib"]


def _encoded(name: str, text: str) -> bytes:
    """The bytes a program takes for `text`.

    clip.exe takes bytes for the console's code page unless they look like UTF-16; a byte order mark would be copied.
    """
    if name == "clip.exe" and not text.isascii():
        return text.encode("utf-16-le", errors="replace")
    return text.encode(errors="replace")


async def _took(command: list[str], content: bytes, seconds: float) -> bool:
    if seconds <= 0:
        return False
    environment = {key: value for key, value in os.environ.items() if key in _KEPT}
    if sys.platform == "darwin":
        # pbcopy takes the encoding from here alone, and without it the one of Macs before OS X.
        environment |= {"LC_ALL": "", "LC_CTYPE": "UTF-8"}
    try:
        output = await child_process.run(
            [*_SILENT, *command], env=environment, stdin=content, timeout=seconds, grace=0.2
        )
    except (OSError, RuntimeError):  # TimeoutError is an OSError; RuntimeError when there can be no more threads
        return False
    return output.code == 0
