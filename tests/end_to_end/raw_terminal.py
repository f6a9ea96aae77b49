"""A pseudo-terminal that interprets nothing: every byte the program writes is kept, and read as what it asks for."""

from __future__ import annotations

import base64
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType

from tests.end_to_end.hostile import RAW

PATIENCE = 60.0
"""Seconds until something must be drawn; a loaded machine is slow."""
SILENCE = 0.25
"""Seconds without a byte after which a key is taken to have been answered."""
BUSY = 3.0
"""Seconds after which a screen that keeps drawing is left drawing."""

# What Textual 8 writes to draw: cursor, style, modes, and the questions it asks at the start. Anything else is not its.
OWN = re.compile(
    r"\x1b\[(?:"
    r"\d+;\d+H"  # cursor
    r"|[0-9;]*m"  # style
    r"|\?(?:25|1000|1003|1004|1006|1015|1016|1049|2004|2026|2048|2031|7)[hl]"  # modes
    r"|\?(?:2026|2048)\$p"  # is this mode known
    r"|[<>=]?\d*(?:;\d+)*u"  # keyboard protocol
    r"|[0-3]?[JK]"
    r"|c|6n|\?\d+n"
    r")"
    r"|\x1b\]22;[a-z-]*\x07"  # shape of the mouse's pointer
    r"|\x1b\]52;c;(?P<copied>[A-Za-z0-9+/=]*)\x07"
    r"|\x1b_Gi=\d+,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\"
)
# A style of a true-colour screen never is one of the 16 colours: that comes from outside.
FOREIGN_STYLE = re.compile(r"\x1b\[(?:3[0-7]|4[0-7]|9[0-7])m")


class RawTerminal:
    """A program on a pty of its own. A context manager; ends what it started."""

    def __init__(self, command: Sequence[str], *, env: Mapping[str, str], size: tuple[int, int] = (80, 24)) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        self.process = subprocess.Popen(
            command, env=dict(env), stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        self.written = bytearray()
        self.mark = 0

    def _read(self, seconds: float) -> bool:
        """Takes what comes within that time; False when nothing came."""
        ready, _, _ = select.select([self._ours], [], [], seconds)
        if not ready:
            return False
        try:
            chunk = os.read(self._ours, 1 << 16)
        except OSError:  # Linux says EIO when the other end is closed
            chunk = b""
        self.written += chunk
        return bool(chunk)

    def send(self, *keys: str) -> None:
        """Writes keys as a terminal does, each after what the one before has drawn."""
        for key in keys:
            assert self.process.poll() is None, f"it ended before {key!r}\n{self.said()[-4000:]}"
            self._press(key)

    def _press(self, key: str) -> None:
        self.mark = len(self.written)
        os.write(self._ours, KEYS.get(key, key).encode("utf-8", "surrogateescape"))
        if key == "escape":
            # The begin of many another key: with the next one right behind it, it is one of those.
            self._read(BUSY)
        self.rest()

    def over(self, key: str, sign: str, *keys: str, patience: float = BUSY) -> bool:
        """Presses a key that lays something over the screen; where it did, presses `keys` there and leaves it."""
        self.send(key)
        end = time.monotonic() + patience
        while sign not in self.said(self.mark):
            self._read(SILENCE)
            if time.monotonic() > end:
                return False
        self.rest()
        self.send(*keys, "escape")
        return True

    def paste(self, text: str) -> None:
        """Pastes a text, bracketed."""
        self.send(f"\x1b[200~{text}\x1b[201~")

    def rest(self) -> None:
        """Until nothing more is drawn for a moment."""
        end = time.monotonic() + BUSY
        while time.monotonic() < end and self._read(SILENCE):
            pass

    def wait(self, wanted: str | Callable[[str], object]) -> None:
        """Until a text has been drawn since the last key, or a condition on what was drawn holds."""
        end = time.monotonic() + PATIENCE
        while not (wanted in self.said(self.mark) if isinstance(wanted, str) else wanted(self.said(self.mark))):
            self._read(1.0)
            assert time.monotonic() < end and self.process.poll() is None, (
                f"waited in vain for {wanted}\n{self.said(self.mark)[-4000:]}"
            )
        self.rest()

    def said(self, since: int = 0) -> str:
        """What was drawn, without how."""
        return OWN.sub("", self.written[since:].decode("utf-8", "replace"))

    def leave(self) -> int:
        """^q, and what it asks is answered by stopping; the exit code. One that hangs tells where."""
        end, begin = time.monotonic() + PATIENCE, len(self.written)
        while self.process.poll() is None:
            if time.monotonic() > end:
                self.process.send_signal(signal.SIGABRT)  # with PYTHONFAULTHANDLER it says where it is
                self.rest()
                raise AssertionError(f"it does not end\n{self.said()[-4000:]}")
            # It may end at any moment by an earlier one.
            self._press("ctrl+q")
            if "and stop it ]" in self.said(begin):
                begin = len(self.written)
                self._press("left")
                self._press("enter")
            self._read(SILENCE)
        while self._read(SILENCE):
            pass
        return self.process.wait()

    def __enter__(self) -> RawTerminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        os.close(self._ours)


KEYS = {
    "escape": "\x1b", "tab": "\t", "enter": "\r", "up": "\x1b[A", "down": "\x1b[B", "right": "\x1b[C", "left": "\x1b[D",
    "f1": "\x1bOP",
    "f2": "\x1bOQ", "f3": "\x1bOR", "f4": "\x1bOS", "f5": "\x1b[15~", "f6": "\x1b[17~",
    "f8": "\x1b[19~",
    "pagedown": "\x1b[6~", "pageup": "\x1b[5~", "shift+tab": "\x1b[Z",
    **{f"ctrl+{letter}": chr(ord(letter) - 96) for letter in "abcdefghijklmnopqrstuvwxyz"},
}  # fmt: skip


def drawn_only(written: bytes, *, copied: bool = True, typed: bool = False) -> list[str]:
    """Asserts that nothing was written but what Textual draws with and clean text; returns what was copied.

    `typed`: the hostile text was pasted into a line, where Textual shows an escape as `^`; what followed it stays.
    """
    text = written.decode()  # a byte that is no UTF-8 would be one of the C1 controls
    foreign = FOREIGN_STYLE.search(text)
    assert foreign is None, _around(text, foreign)
    clipboard = [base64.b64decode(found["copied"]).decode() for found in OWN.finditer(text) if found["copied"]]
    assert copied or not clipboard, clipboard
    assert not [one for one in clipboard if RAW.search(one)], clipboard
    rest = OWN.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    raw = RAW.search(rest)
    assert raw is None, _around(rest, raw)
    for hidden in () if typed else ("owned", "cm0gLXJmIC8="):
        assert hidden not in rest, _around(rest, re.search(hidden, rest))
    return clipboard


def _around(text: str, found: re.Match[str] | None) -> str:
    assert found is not None
    return repr(text[max(0, found.start() - 200) : found.end() + 200])
