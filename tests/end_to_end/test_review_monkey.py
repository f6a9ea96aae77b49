"""A review by somebody who hits every key: nothing is written, nothing is started, nobody is spoken to.

Seen from outside: in the system calls of the whole program, and in the files before and after. What would tempt a
program to do more is there: a desktop with a clipboard program, a helm and a kubectl on PATH, a kubeconfig.

`PYTHONDONTWRITEBYTECODE` is not set, on purpose: no user sets it. The interpreter tries to keep what it compiled in
`__pycache__` beside the program's own files; who may not write there, as here, is refused and goes on without. Those
attempts are the interpreter's, never touch what is reviewed, and are the only ones that the net lets through.
"""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import random
import re
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.contracts.test_read_only import as_nobody, everything, read_only_mount
from tests.setups import GUIDE, data_of
from tests.state.make_journal import lines_of
from wizard.text import visible

pytestmark = pytest.mark.slow

KEYS = 10_000
SEED = 20261120
SIZES = ((120, 40), (80, 24), (100, 30), (60, 15))
QUIET = 0.04
"""Seconds without output after which the app has taken in what was typed. Only the pace hangs on it, no verdict."""
ESCAPE_QUIET = 0.25
"""After an escape the app itself waits, whether a sequence follows."""
PATIENCE = 60.0


# ---------------------------------------------------------------- what is reviewed, and what would tempt


@pytest.fixture
def ground() -> Iterator[Path]:
    """A read-only copy of a journal with a torn tail, and homes that nobody may write to.

    Not below pytest's directory, which is closed to others: `access` knows no capabilities, so a program there would
    not be found by whoever looks for it, and would tempt nobody.
    """
    base = Path(tempfile.mkdtemp())
    base.chmod(0o755)
    ground = base / "ground"
    for name in ("evidence", "home", "state", "data", "cache", "config", "tmp", "bin", "home/.kube"):
        (ground / name).mkdir(parents=True)
    lines = b"\n".join(lines_of(data_of(160), "prod", GUIDE)) + b"\n"
    # A writer would cut the torn line off.
    (ground / "evidence" / "prod.jsonl").write_bytes(lines + b'{"seq":161,"ts":')
    (ground / "home" / ".kube" / "config").write_text(KUBECONFIG)
    for name in ("helm", "kubectl", "xclip", "xsel", "wl-copy"):
        (ground / "bin" / name).write_text("#!/bin/sh\ncat >/dev/null\n")
    for path in (ground, *ground.rglob("*")):
        path.chmod(0o555 if path.is_dir() or path.parent.name == "bin" else 0o444)
    yield ground
    for path in (ground, *ground.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)
    shutil.rmtree(base)


KUBECONFIG = """apiVersion: v1
kind: Config
current-context: prod
contexts: [{name: prod, context: {cluster: prod, user: me}}]
clusters: [{name: prod, cluster: {server: "http://127.0.0.1:9"}}]
users: [{name: me, user: {}}]
"""


def environment(ground: Path) -> dict[str, str]:
    homes = {"STATE": "state", "DATA": "data", "CACHE": "cache", "CONFIG": "config"}
    return {
        **{key: os.environ[key] for key in ("PYTHONPATH",) if key in os.environ},
        "PATH": f"{ground / 'bin'}:{os.defpath}",
        "HOME": str(ground / "home"),
        **{f"XDG_{name}_HOME": str(ground / directory) for name, directory in homes.items()},
        "TMPDIR": str(ground / "tmp"),
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "DISPLAY": ":0",
        "WAYLAND_DISPLAY": "wayland-0",
    }


# ---------------------------------------------------------------- the program on a terminal, under strace

# A name that an architecture does not have is passed over (`?`).
TRACED = [
    "execve",
    "execveat",
    "fork",
    "vfork",
    "clone",
    "clone3",
    "connect",
    "bind",
    "sendto",
    "sendmsg",
    "sendmmsg",
    "open",
    "openat",
    "openat2",
    "creat",
    "mkdir",
    "mkdirat",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "rmdir",
    "link",
    "linkat",
    "symlink",
    "symlinkat",
    "truncate",
    "ftruncate",
    "fallocate",
    "chmod",
    "fchmod",
    "fchmodat",
    "fchmodat2",
    "chown",
    "fchown",
    "lchown",
    "fchownat",
    "utime",
    "utimes",
    "futimesat",
    "utimensat",
    "mknod",
    "mknodat",
    "flock",
    "fcntl",
    "fsync",
    "fdatasync",
    "setxattr",
    "lsetxattr",
    "fsetxattr",
    "removexattr",
    "kill",
    "tkill",
    "tgkill",
]


class Traced:
    """The program on a terminal of its own, every call that could change something written to a trace."""

    def __init__(
        self,
        strace: str,
        ground: Path,
        trace: Path,
        arguments: list[str],
        size: tuple[int, int],
        within: Sequence[str] = (),
    ) -> None:
        self.trace = trace
        self._master, slave = pty.openpty()
        settings = termios.tcgetattr(slave)
        # A key that comes while the program ends is a key, not a signal.
        settings[3] &= ~(termios.ISIG | termios.ECHO)
        termios.tcsetattr(slave, termios.TCSANOW, settings)
        self.resize(size)
        calls = ",".join(f"?{name}" for name in TRACED)
        self.process = subprocess.Popen(
            [*within, *as_nobody(), strace, "-f", "-qq", "--seccomp-bpf", "-e", f"trace={calls}", "-e", "signal=none",
             "-o", trace, sys.executable, "-m", "wizard", *arguments],
            stdin=slave, stdout=slave, stderr=slave, env=environment(ground), cwd=ground / "evidence",
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - no other thread here
        )  # fmt: skip
        os.close(slave)
        self._decode = codecs.getincrementaldecoder("utf-8")("replace")
        self.drawn = ""

    def resize(self, size: tuple[int, int]) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def settle(self, quiet: float = QUIET) -> bool:
        """Reads until nothing more is drawn. False when the program has ended."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            ready, _, _ = select.select([self._master], [], [], quiet)
            if not ready:
                return self.process.poll() is None
            try:
                self.drawn += self._decode.decode(os.read(self._master, 65536))
            except OSError:  # the other side of the terminal is closed
                self.process.wait(PATIENCE)
                return False
        raise AssertionError("it draws without end")

    def until(self, text: str) -> None:
        """Reads until a text was drawn."""
        end = time.monotonic() + PATIENCE
        while text not in self.drawn:
            assert self.settle(), f"it ended: {plain(self.drawn)}"
            assert time.monotonic() < end, f"waited in vain for {text}: {plain(self.drawn)}"

    def ended(self) -> int:
        """Reads until the program has ended."""
        end = time.monotonic() + PATIENCE
        while self.settle():
            assert time.monotonic() < end, f"still runs: {plain(self.drawn)}"
        os.close(self._master)
        return self.process.returncode

    def kill(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, 9)
            self.process.wait()


def plain(drawn: str) -> str:
    """The end of what was drawn, without its escape sequences."""
    return visible(drawn[-6000:])


@pytest.fixture
def strace() -> str:
    found = shutil.which("strace")
    if found is None:
        pytest.skip("strace is not there; get it with: apt-get install strace")
    return found


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    directory = tmp_path / "traces"
    directory.mkdir()
    directory.chmod(0o777)
    return directory


# ---------------------------------------------------------------- the net

CALL = re.compile(r"^\d+ +(\w+)\((.*)$")
WRITING = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND|O_TMPFILE")
TERMINAL = re.compile(r'"/dev/(tty|null|pts/\d+)"')
COMPILED = re.compile(r'"[^"]*/__pycache__(/[^"/]*\.pyc\.\d+)?"')
LOOSE = frozenset(("sendto", "sendmsg", "sendmmsg"))  # how asyncio wakes itself, over a pair without any address


def caught(trace: Path) -> list[str]:
    """Every call of a trace that wrote, started or spoke, but the first execve: that is the program itself."""
    lines = trace.read_text(errors="replace").splitlines()
    assert lines and "execve(" in lines[0], "strace saw nothing"
    return [line for line in lines[1:] if _forbidden(line)]


def _forbidden(line: str) -> bool:
    match = CALL.match(line)
    if match is None:
        return False  # the end of a call that was seen at its beginning
    name, rest = match.groups()
    if name in ("open", "openat", "openat2"):
        return bool(WRITING.search(rest)) and not (TERMINAL.search(rest) or COMPILED.search(rest))
    if name in ("clone", "clone3"):
        return "CLONE_THREAD" not in rest
    if name == "fcntl":
        return "F_SETLK" in rest or "F_OFD_SETLK" in rest
    if name in ("mkdir", "mkdirat"):
        return not COMPILED.search(rest)
    return "sa_family" in rest if name in LOOSE else True


# ---------------------------------------------------------------- the monkey

ESCAPE, QUIT, ENTER = "\x1b", "\x11", "\r"
LETTERS = tuple("abcdefghijklmnopqrstuvwxyzABCXYZ0123456789 /.:-_[]")
ARROWS = ("\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D", "\x1b[5~", "\x1b[6~", "\x1b[H", "\x1b[F")
FUNCTIONS = (
    *("\x1bOP", "\x1bOQ", "\x1bOR", "\x1bOS"),
    *(f"\x1b[{number}~" for number in (15, 17, 18, 19, 20, 21, 23, 24)),
)
CONTROLS = tuple(chr(number) for number in range(1, 32) if chr(number) not in (ESCAPE, QUIT, ENTER))
PASTES = (
    "\x1b[200~prod\x1b[201~",
    "\x1b[200~/tmp/report.json\n/tmp/second.json\x1b[201~",
    "\x1b[200~helm upgrade --install dpe oci://registry.example.com/helm/dpe\x1b[201~",
    "\x1b[200~[@click=app.quit]x[/]\x1b[201~",
)
ACTING = ("\x19", "\x10", "\x1bOP", "\x1b[15~", "\x1b[17~", "\x1b[19~", "\x03", "\t", "\x1b[Z")  # ^y ^p f1 f5 f6 f8 ^c
HANDFULS = (
    (ARROWS, 30), (LETTERS, 22), (ACTING, 18), (FUNCTIONS, 8), (CONTROLS, 12), ((ENTER,), 6), (PASTES, 2),
    ((ESCAPE,), 1.2), ((QUIT,), 0.15),
)  # fmt: skip


def handful(chance: random.Random) -> list[str]:
    """Some keys. After one that may end the program or a dialog it is waited for what comes of it."""
    keys: list[str] = []
    while len(keys) < 40:
        (kind,) = chance.choices([kind for kind, _ in HANDFULS], [weight for _, weight in HANDFULS])
        keys.append(chance.choice(kind))
        if keys[-1] in (ESCAPE, QUIT, ENTER):
            break
    return keys


# ---------------------------------------------------------------- tests


def test_a_monkey_changes_nothing(strace: str, ground: Path, traces: Path):
    before = everything(ground)
    chance = random.Random(SEED)
    pressed = runs = 0
    while pressed < KEYS:
        program = Traced(strace, ground, traces / f"{runs}", ["review", "prod.jsonl"], SIZES[runs % len(SIZES)])
        try:
            program.until("READ-ONLY")
            going = program.settle()
            while going and pressed < KEYS:
                keys = handful(chance)
                pressed += len(keys)
                if chance.random() < 0.05:
                    program.resize(chance.choice(SIZES))
                program.type("".join(keys))
                going = program.settle(ESCAPE_QUIET if keys[-1] == ESCAPE else QUIET)
                if keys[-1] == QUIT:
                    break
            if going and program.process.poll() is None:
                program.type(QUIT)
            code = program.ended()
        finally:
            program.kill()
        assert code == 0, plain(program.drawn)
        assert "something it does not know" not in program.drawn
        assert caught(program.trace) == [], f"run {runs}, seed {SEED}"
        program.trace.unlink()
        runs += 1
    assert everything(ground) == before
    assert runs > 5, "it was never left and opened again"
    print(f"{pressed:,} keys, {runs} runs")


def test_the_same_of_a_copy_on_a_read_only_mount(strace: str, ground: Path, traces: Path, tmp_path: Path):
    """Every list and sheet of it once: by time, by step, what failed, copied, exported, help."""
    with read_only_mount(tmp_path) as (directory, within):
        file = str(directory / "prod.jsonl")
        program = Traced(strace, ground, traces / "mount", ["review", file], SIZES[1], within)
        try:
            program.until("READ-ONLY")
            program.settle()
            for keys in ("\x1bOS", "\x1b[B\x1b[B\t", "\x1b[17~", "\x19", "\x1b", "\x1b[19~", "\x1b", "\x1bOP", "\x1b"):
                program.type(keys)
                assert program.settle(ESCAPE_QUIET), plain(program.drawn)
            program.type(QUIT)
            assert program.ended() == 0
        finally:
            program.kill()
        assert "Confirmed words" in program.drawn, "the steps were shown"
        assert caught(program.trace) == []


def test_the_net_catches_what_a_preflight_starts(strace: str, ground: Path, traces: Path):
    """The same keys on other screens start helm, and a clipboard program: so the test above could fail."""
    program = Traced(strace, ground, traces / "home", [], SIZES[0])

    def starts(name: str, key: str) -> None:
        end = time.monotonic() + PATIENCE
        while not any("execve(" in line and f"/bin/{name}" in line for line in caught(program.trace)):
            program.type(key)
            assert program.settle(ESCAPE_QUIET) and time.monotonic() < end, plain(program.drawn)

    try:
        program.until("PrivateLink Wizard")
        program.settle()
        starts("helm", "\x1b[15~")
        starts("wl-copy", "\x19")
        program.type(QUIT)
        assert program.ended() == 0
    finally:
        program.kill()
