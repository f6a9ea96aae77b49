"""A program on a real pty, timed by the bytes it writes. Drawing is left to a terminal: only when they come matters."""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

SIZE = (120, 40)
PATIENCE = 30.0
"""Seconds until a condition must hold."""
QUIET = 0.04
"""Seconds without output after which a burst has ended: more than two of Textual's frames (1/60 s)."""

_ESCAPES = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[P_^][^\x1b]*\x1b\\|[@-Z\\-_=>78])")


class Pty:
    """One program on a pty of its own, from its exec on. A context manager; ends what it started."""

    def __init__(self, command: Sequence[str | Path], env: Mapping[str, str]) -> None:
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", SIZE[1], SIZE[0], 0, 0))
        self._seen = b""
        self._at = 0.0
        self.begun = time.perf_counter()
        self._process = subprocess.Popen(
            command, env=dict(env), stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
        os.close(slave)

    @property
    def pid(self) -> int:
        """The program's process id."""
        return self._process.pid

    def text(self) -> str:
        """What was written since the last `forget`, without its escape sequences."""
        return _ESCAPES.sub(b"", self._seen).decode(errors="replace")

    def forget(self) -> None:
        """Conditions from now on are about what is still to come; what was written by now is none of it."""
        while self.read(0) is not None:
            pass
        self._seen = b""

    def press(self, keys: str) -> float:
        """Writes keys; returns when (seconds, perf_counter)."""
        # Before the write: on a busy core the program that is woken by it may run, and answer, before it returns.
        at = time.perf_counter()
        os.write(self._master, keys.encode())
        return at

    def read(self, timeout: float) -> float | None:
        """Takes in what comes next; returns when it came (seconds, perf_counter), None when nothing did in time."""
        ready, _, _ = select.select([self._master], [], [], max(0.0, timeout))
        if not ready:
            return None
        try:
            found = os.read(self._master, 1 << 16)
        except OSError:  # Linux says so when the program has ended
            found = b""
        if not found:
            raise AssertionError(f"the program ended\n{self.text()[-2000:]}")
        self._seen += found
        self._at = time.perf_counter()
        return self._at

    def wait(self, text: str | re.Pattern[str], *, patience: float = PATIENCE) -> float:
        """Reads on until `text` was written since the last `forget`; returns when what was read last came."""
        pattern = re.compile(re.escape(text)) if isinstance(text, str) else text
        end = time.perf_counter() + patience
        # A text is drawn in pieces where its style changes, so the escape sequences are left out.
        while not pattern.search(self.text()):
            if self.read(end - time.perf_counter()) is None:
                raise AssertionError(f"waited in vain for {pattern.pattern}\n{self.text()[-3000:]}")
        return self._at

    def settle(self, quiet: float = QUIET) -> float | None:
        """Reads on until nothing was written for `quiet` seconds; returns when the last came, None for nothing."""
        last = None
        while (at := self.read(quiet)) is not None:
            last = at
        return last

    def settle_for(self, seconds: float) -> None:
        """Reads on for so long, where output never ends."""
        end = time.perf_counter() + seconds
        while self.read(end - time.perf_counter()) is not None:
            pass

    def answer(self, key: str) -> float:
        """Presses a key; returns the seconds until the last byte of the burst that answers it."""
        self.forget()
        pressed = self.press(key)
        first = self.read(PATIENCE)
        assert first is not None, f"no answer to {key!r}"
        return (self.settle() or first) - pressed

    def echo(self, key: str, drawn: str) -> float:
        """Presses a key; returns the seconds until `drawn` was written, whatever else is written meanwhile."""
        self.forget()
        pressed = self.press(key)
        return self.wait(drawn) - pressed

    def close(self) -> None:
        """Ends the program, and what it started: children notice that their pipes were closed."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(0.2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._master)

    def __enter__(self) -> Pty:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
