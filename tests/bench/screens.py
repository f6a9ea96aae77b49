"""The screens on a real pty beside bare Textual: first frame, keys, memory."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from state.actor import current_actor
from state.events import Data, EnvironmentSet, FieldSet
from tests.bench import bare
from tests.bench.measure import NOT_MEASURED, OK, OVER, Pairs, Row, child_env, in_turn, ratio_row, seconds
from tests.bench.pty import PATIENCE, Pty
from tests.conftest import HELM_4
from tests.end_to_end.harness import Machine, changed
from tests.setups import ALIAS, GUIDE, data_of
from tests.state.make_journal import lines_of
from wizard.guides import DEFAULT, guide

NAME = "bench"
GUIDE_STEPS = guide(DEFAULT).steps
EVENTS = 500
PAIRS = 11
KEYS = 220
WHILE_LOADING = 60
TYPED = ALIAS
BIG = 0.1
"""Seconds: no answer may take longer, whatever goes on."""
FRAME, IDLE, BUSY, MEMORY = 1.25, 1.25, 2.0, 1.4
LINES_A_SECOND = 1000

NEXT, LOOK, ENTER, RIGHT, BACKSPACE = "\x0e", "\x12", "\r", "\x1b[C", "\x7f"

# Says what helm says, but an upgrade never ends and writes a line a millisecond: in a burst every 10 ms, as pipes do.
CHATTY_HELM = """#!{python} -S
import os, sys, time
if "upgrade" not in sys.argv or any(word.startswith("--dry-run") for word in sys.argv):
    os.execv({helm!r}, [{helm!r}, *sys.argv[1:]])
if not os.path.exists({go!r}):
    sys.exit("Error: not yet")
begun, written = time.monotonic(), 0
# It ends by itself, since helm outlives a wizard that is killed.
while time.monotonic() - begun < 90:
    due = int((time.monotonic() - begun) * {rate})
    sys.stderr.write("".join(f"client.go:{{n}}: wait for {{n % 9}} resources\\n" for n in range(written, due)))
    sys.stderr.flush()
    written = due
    time.sleep(0.01)
"""


def rows(directory: Path) -> Iterator[Row]:
    """The screens' budgets."""
    if not Path("/proc/self/smaps_rollup").exists():
        yield Row("the screens", "", "", "needs Linux's /proc", "", NOT_MEASURED)
        return
    bench = _Screens(directory)
    for part in (
        bench.first_frames,
        bench.idle_keys,
        bench.keys_while_loading,
        bench.memory,
        bench.keys_while_helm_streams,
    ):
        try:
            yield from part()
        except AssertionError as error:  # what was waited for did not come: said, and counted by --strict
            why = str(error).partition("\n")[0]
            yield Row(part.__name__.replace("_", " "), "", "", why, "", NOT_MEASURED)


class _Screens:
    """The commands that are measured, over one state directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._state = directory / "state"
        self._env = child_env(
            TERM="xterm-256color", COLORTERM="truecolor", TZ="UTC", PRIVATELINK_STATE_DIR=str(self._state)
        )
        self._script = str(Path(sys.executable).with_name("privatelink-wizard"))
        self._bare_input: list[float] = []
        kubeconfig = directory / "kubeconfig"
        kubeconfig.write_text(_kubeconfig())
        without_alias = [one for one in data_of(EVENTS) if getattr(one, "value", "") != ALIAS]
        pointed = EnvironmentSet(kubeconfig=str(kubeconfig), kube_context="bench", helm=str(HELM_4))
        # What was answered last is where one goes on: step 3.
        last = FieldSet(item="endpoint/pe-weu", field="private_ip", value="10.20.1.5")
        make_own(self._state, NAME, [pointed, *without_alias[1:], last])

    def _wizard(self, *arguments: str) -> Pty:
        return Pty([self._script, *arguments], self._env)

    def _bare(self, which: str) -> Pty:
        return Pty([sys.executable, str(bare.__file__), which], self._env)

    # ------------------------------------------------------------ first frame

    def first_frames(self) -> Iterator[Row]:
        """From exec to the first text on the terminal; and to the whole screen, for information."""
        for what, arguments, whole in (
            (f"`resume`, {EVENTS} events", ("resume", NAME), "[ Go on"),
            ("home", (), "[ New setup ]"),
        ):
            wholes: list[float] = []
            pairs = in_turn(self._hello, self._framed(arguments, whole, wholes), PAIRS)
            yield ratio_row(f"first frame: {what}", pairs, FRAME)
            full = Pairs(pairs.one, tuple(wholes[-PAIRS:]))
            one, other = full.medians
            yield Row(f"whole screen: {what}", seconds(one), seconds(other), f"{full.ratio:.2f} ×", "–")

    def _hello(self) -> float:
        with self._bare("hello") as terminal:
            return terminal.wait(bare.HELLO) - terminal.begun

    def _framed(self, arguments: Sequence[str], whole: str, wholes: list[float]) -> Callable[[], float]:
        def framed() -> float:
            with self._wizard(*arguments) as terminal:
                first = terminal.wait("PrivateLink Wizard")
                wholes.append((first if whole in terminal.text() else terminal.wait(whole)) - terminal.begun)
                return first - terminal.begun

        return framed

    # ------------------------------------------------------------ keys

    def idle_keys(self) -> Iterator[Row]:
        """A key in step 3's alias until its answer below is drawn; taken in turn with a bare Input."""
        with self._bare("input") as other, self._at_alias() as ours:
            other.wait(bare.HELLO)
            other.settle(0.3)
            _until_loaded(ours)
            keys = typing(KEYS)
            pairs = [(other.answer(key), ours.answer(key)) for key in keys]
        self._bare_input = [one for one, _ in pairs]
        yield from key_rows("key, idle", self._bare_input, [mine for _, mine in pairs], IDLE)

    def keys_while_loading(self) -> Iterator[Row]:
        """The same while the SDK child imports: keys count while it is busy; started again until there are enough."""
        found: list[float] = []
        for _ in range(15):
            with self._at_alias(hold=True) as ours:
                child = _sdk_child(ours.pid)
                if child is None:
                    continue
                os.kill(child, signal.SIGCONT)
                still, ticks = 0, _cpu(child)
                for key in typing(KEYS):
                    taken = ours.answer(key)
                    before, ticks = ticks, _cpu(child)
                    # A key or two may fall into a wait for the disk or for a core.
                    still = still + 1 if ticks == before else 0
                    if ticks is None or still == 3:
                        break  # it has loaded
                    found += [taken] if still == 0 else []
            if len(found) >= WHILE_LOADING:
                break
        yield from key_rows(f"key, SDKs loading ({len(found)} keys)", self._bare_input, found, BUSY, most=BIG)

    @contextlib.contextmanager
    def _at_alias(self, *, hold: bool = False) -> Iterator[Pty]:
        """The program at step 3's first field. `hold` stops the SDK child in its imports until it is let go on."""
        with self._wizard("resume", NAME) as terminal:
            while hold and terminal.read(PATIENCE) and "[ Go on" not in terminal.text():
                if (child := _sdk_child(terminal.pid)) is not None:
                    os.kill(child, signal.SIGSTOP)
                    hold = False
            if "[ Go on" not in terminal.text():
                terminal.wait("[ Go on")
            terminal.settle()
            self._go(terminal, NEXT, 3)
            yield terminal

    @staticmethod
    def _go(terminal: Pty, key: str, *numbers: int) -> None:
        """Presses a key for each of these steps, and waits until its title is drawn and its focus is set."""
        for number in numbers:
            terminal.forget()
            terminal.press(key)
            terminal.wait(GUIDE_STEPS[number - 1].title)
            terminal.settle(0.2)

    def keys_while_helm_streams(self) -> Iterator[Row]:
        """Typing into the whole log's search while helm writes a thousand lines a second."""
        if not HELM_4.exists():
            yield Row("key, helm streams", "", "", "get helm with: make tools", "", NOT_MEASURED)
            return
        home = self._directory / "machine"
        home.mkdir(mode=0o700)
        helm, go = home / "helm", home / "go"
        helm.write_text(CHATTY_HELM.format(python=sys.executable, helm=str(HELM_4), rate=LINES_A_SECOND, go=str(go)))
        helm.chmod(0o700)
        machine = Machine(home, HELM_4)
        with machine.sandbox() as info:
            # Takes the steps before; step 7 fails, and is done again on the screen.
            machine.run("streams", changed(info["answers_file"], home / "answers.yml", lambda it: pointing(it, helm)))
            go.touch()
            terminal = {key: self._env[key] for key in ("TERM", "COLORTERM", "TZ")}
            with Pty([self._script, "resume", "streams"], machine.env() | terminal) as ours:
                ours.wait("[ Go on")
                ours.settle()
                ours.press(NEXT)
                ours.wait("needs Registry token first")
                ours.settle(0.4)
                self._start(ours, Path(info["registry_token_file"]).read_text().strip())
                taken = [ours.echo(key, drawn) for key, drawn in searching(KEYS)]
        yield from key_rows(f"key, helm writes {LINES_A_SECOND:,} lines/s", self._bare_input, taken, BUSY, most=BIG)

    @staticmethod
    def _start(terminal: Pty, token: str) -> None:
        """Token, plan, yes; then the whole log."""
        terminal.forget()
        terminal.press(token)
        terminal.settle(0.3)
        # Enter walks over the fields that are right already, to the first choice.
        for label in ("Chart", "Chart version", "Release", "Namespace", "Values file", "Timeout"):
            terminal.forget()
            terminal.press(ENTER)
            terminal.wait(f"▌✓ {label} ")
        terminal.press(ENTER)
        terminal.settle(0.4)
        terminal.forget()
        terminal.press(ENTER)
        terminal.wait("[ Start ]")
        terminal.settle(0.4)
        terminal.forget()
        terminal.press(ENTER)
        terminal.wait("[ Whole log ]")
        # Goes to the log's choice by what is told of the focused one.
        for _ in range(10):
            terminal.settle_for(0.5)
            if "the token is not in it" in terminal.text():
                break
            terminal.press(RIGHT)
        terminal.forget()
        terminal.press(ENTER)
        terminal.wait("type to search", patience=10)

    # ------------------------------------------------------------ memory

    def memory(self) -> Iterator[Row]:
        """What the screen's process holds beside hello, before and after the first call of a cluster."""
        with self._bare("hello") as other, self._at_alias() as ours:
            other.wait(bare.HELLO)
            other.settle(0.3)
            hello = _pss(other.pid)
            _until_loaded(ours)
            yield memory_row("memory at a step", hello, _pss(ours.pid))
            self._go(ours, NEXT, 4, 5, 6, 7)
            ours.forget()
            ours.press(LOOK)
            ours.settle(0.45)
            yield memory_row("memory after a look at a cluster", hello, _pss(ours.pid))
            child = _sdk_child(ours.pid)
            if child is not None:
                yield memory_row("memory of the SDK child", hello, _pss(child), budget=None)


# ---------------------------------------------------------------- setups


def make_own(state: Path, name: str, data: Sequence[Data]) -> None:
    """Writes a setup of this user on this host, so that its environment may be used."""
    setups = state / "setups"
    for directory in (state, setups):
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o700)
    path = setups / f"{name}.jsonl"
    path.write_bytes(b"\n".join(lines_of(data, name, GUIDE, current_actor("screen"))) + b"\n")
    path.chmod(0o600)


def _kubeconfig() -> str:
    # Nobody listens there: the SDKs are loaded and refused, which takes their memory and no cluster.
    return """apiVersion: v1
kind: Config
clusters: [{name: bench, cluster: {server: "https://127.0.0.1:9"}}]
users: [{name: bench, user: {token: none}}]
contexts: [{name: bench, context: {cluster: bench, user: bench}}]
current-context: bench
"""


def pointing(answers: dict[str, Any], helm: Path) -> None:
    """Points an answers file to another helm."""
    answers["environment"]["helm"] = str(helm)


# ---------------------------------------------------------------- keys


def typing(keys: int) -> Iterator[str]:
    """So many keys: a text typed and taken back, again and again."""
    return islice(cycle([*TYPED, *(BACKSPACE for _ in TYPED)]), keys)


def searching(keys: int) -> Iterator[tuple[str, str]]:
    """So many keys of a search, each with what is drawn when it is answered: the line typed so far."""
    typed = ""
    for number in range(keys):
        # Lines end before they are too long to be seen whole; what is typed is found in no line, nor in what was.
        if len(typed) == 40:
            for _ in range(39):
                typed = typed[:-1]
                yield BACKSPACE, typed
        key = "qxzjvk"[number * number % 6]
        typed += key
        yield key, typed


def key_rows(
    what: str, beside: Sequence[float], ours: Sequence[float], budget: float, *, most: float | None = None
) -> Iterator[Row]:
    """The median for information, the 99th percentile with its budget; and the slowest where there is a limit."""
    if not ours:
        yield Row(what, "", "", "no key was typed in time", "", NOT_MEASURED)
        return
    for name, at in (("p50", 50), ("p99", 99)):
        one, other = percentile(beside, at), percentile(ours, at)
        limit, verdict = ("–", "") if at == 50 else (f"≤ {budget:g} ×", OK if other <= budget * one else OVER)
        yield Row(f"{what}: {name}", seconds(one), seconds(other), f"{other / one:.2f} ×", limit, verdict)
    if most is not None:
        slowest = max(ours)
        verdict = OK if slowest <= most else OVER
        yield Row(f"{what}: slowest", seconds(max(beside)), seconds(slowest), "", f"≤ {seconds(most)}", verdict)


def percentile(values: Sequence[float], at: int) -> float:
    """The value that `at` percent of them do not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * at / 100) - 1)]


# ---------------------------------------------------------------- processes


def _pss(pid: int) -> tuple[int, int]:
    """Bytes a process holds: its proportional share, where shared pages are split, and its resident set."""
    found = {
        line.split(":")[0]: int(line.split()[1]) * 1024
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        if line.startswith(("Pss:", "Rss:"))
    }
    return found["Pss"], found["Rss"]


def memory_row(what: str, hello: tuple[int, int], ours: tuple[int, int], budget: float | None = MEMORY) -> Row:
    """The resident set with its budget; the proportional share beside it."""
    ratio = ours[1] / hello[1]
    beside, shown = (f"{rss / 1e6:.0f} MB (PSS {pss / 1e6:.0f})" for pss, rss in (hello, ours))
    if budget is None:
        return Row(what, beside, shown, f"{ratio:.2f} ×", "–")
    return Row(what, beside, shown, f"{ratio:.2f} ×", f"≤ {budget:g} ×", OK if ratio <= budget else OVER)


def _sdk_child(pid: int) -> int | None:
    """The process that the SDKs run in; None while there is none."""
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                if b"sdk_child" in Path(f"/proc/{child}/cmdline").read_bytes():
                    return int(child)
    return None


def _cpu(pid: int | None) -> int | None:
    """Ticks a process has computed so far; None when there is no such process."""
    with contextlib.suppress(OSError):
        if pid is not None:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            return int(fields[11]) + int(fields[12])
    return None


def _until_loaded(terminal: Pty) -> None:
    """Waits until the SDK child has imported what it needs: it computes no more."""
    before: int | None = -1
    while (now := _cpu(_sdk_child(terminal.pid))) is None or now != before:
        before = now
        terminal.settle(0.1)
        terminal.read(0.2)
