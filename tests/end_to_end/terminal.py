"""A real terminal: the program in tmux, driven by keys and read by what is drawn."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

PATIENCE = 60.0
"""Seconds until a condition must hold; a loaded machine is slow."""


class Terminal:
    """One tmux server of its own with one window. A context manager; ends what it started."""

    def __init__(
        self, command: Sequence[str], *, size: tuple[int, int], env: Mapping[str, str], cwd: Path | None = None
    ) -> None:
        self._socket = f"plw-{uuid.uuid4().hex[:12]}"
        self._ended = Path(tempfile.mkdtemp(prefix="plw-terminal-")) / "code"
        # Some test runners say how wide a terminal is; this one knows by itself. tmux does not always know how a
        # program ended, so a shell notes it.
        words = [
            "sh",
            "-c",
            '"$@"; echo $? >"$0"',
            str(self._ended),
            "env",
            "-u",
            "TMUX",
            "-u",
            "COLUMNS",
            "-u",
            "LINES",
        ]
        words += [*(f"{key}={value}" for key, value in env.items()), *command]
        self._tmux(
            "-f", "/dev/null", "new-session", "-d", "-x", str(size[0]), "-y", str(size[1]), *_in(cwd), *words,
            ";", "set-option", "-g", "remain-on-exit", "on", ";", "set-option", "-g", "status", "off",
        )  # fmt: skip
        # Without the status line the window has the size that was asked for.
        self._tmux("resize-window", "-x", str(size[0]), "-y", str(size[1]))

    def _tmux(self, *arguments: str) -> str:
        environment = {key: value for key, value in os.environ.items() if key not in ("TMUX", "NO_COLOR")}
        done = subprocess.run(
            ["tmux", "-L", self._socket, *arguments], capture_output=True, text=True, env=environment, check=True
        )
        return done.stdout

    def send(self, *keys: str) -> None:
        """Presses keys, by tmux's names."""
        self._tmux("send-keys", *keys)

    def write(self, text: str) -> None:
        """Types a text as it is."""
        self._tmux("send-keys", "-l", text)

    def paste(self, text: str) -> None:
        """Pastes a text, bracketed as terminals do."""
        subprocess.run(["tmux", "-L", self._socket, "load-buffer", "-"], input=text.encode(), check=True)
        self._tmux("paste-buffer", "-p", "-d")

    def resize(self, columns: int, rows: int) -> None:
        """Gives the window another size."""
        self._tmux("resize-window", "-x", str(columns), "-y", str(rows))

    def screen(self) -> str:
        """What is drawn now."""
        return self._tmux("capture-pane", "-p")

    def everything(self) -> str:
        """What was drawn, with what has scrolled out at the top."""
        return self._tmux("capture-pane", "-p", "-S", "-1000")

    def raw(self) -> str:
        """What is drawn now, with its colours as escape sequences."""
        return self._tmux("capture-pane", "-p", "-e")

    def wait(self, condition: str | Callable[[str], object], *, patience: float = PATIENCE) -> str:
        """Waits until a text stands on the screen, or a condition on it holds; returns the screen."""
        end = time.monotonic() + patience
        while True:
            shown = self.screen()
            if (condition in shown) if isinstance(condition, str) else condition(shown):
                return shown
            if time.monotonic() > end:
                raise AssertionError(f"waited in vain for {condition}\n{shown}")
            time.sleep(0.05)  # how often the screen is read, not how long anything takes

    def pid(self) -> int:
        """The program's process id: the shell's only child."""
        shell = int(self._tmux("display-message", "-p", "#{pane_pid}"))
        return int(Path(f"/proc/{shell}/task/{shell}/children").read_text().split()[0])

    def exit_code(self, *, patience: float = PATIENCE) -> int:
        """Waits for the program's end; 128 and the signal for one that was killed."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            with contextlib.suppress(OSError, ValueError):
                return int(self._ended.read_text())
            time.sleep(0.05)
        raise AssertionError(f"still runs\n{self.screen()}")

    def close(self) -> None:
        """Ends the server and what runs in it."""
        subprocess.run(["tmux", "-L", self._socket, "kill-server"], capture_output=True, check=False)
        shutil.rmtree(self._ended.parent, ignore_errors=True)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _in(cwd: Path | None) -> list[str]:
    return ["-c", str(cwd)] if cwd else []
