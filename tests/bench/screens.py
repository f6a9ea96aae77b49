"""The screens on a real pty beside bare Textual: first frame, keys, memory."""

from __future__ import annotations

import contextlib
import math
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count, cycle, islice, takewhile
from pathlib import Path
from typing import Any, TypeVar

from screens.dialogs import SEEN_SECONDS
from state.actor import current_actor
from state.events import Data, EnvironmentSet, FieldSet
from tests.bench import bare
from tests.bench.measure import NOT_MEASURED, OK, OVER, Pairs, Row, child_env, in_turn, ratio_row, seconds
from tests.bench.pty import PATIENCE, QUIET, Pty
from tests.conftest import HELM_4
from tests.end_to_end.harness import Machine, changed
from tests.setups import ALIAS, GUIDE, data_of
from tests.state.make_journal import lines_of
from wizard.guides import DEFAULT, guide

T = TypeVar("T")

NAME = "bench"
GUIDE_STEPS = guide(DEFAULT).steps
EVENTS = 500
PAIRS = 11
KEYS = 220
WHILE_LOADING = 60
TYPED = ALIAS
SEARCHED = "ZQXVJK" * 7
"""Capitals stand in no line that helm writes and nowhere else on that screen, so what shows them is the answer."""
GATHERING = 25.0
"""Seconds; what was not measured by then is left out, so that a busy machine makes the bench no longer."""
BIG = 0.1
"""Seconds: no answer may take longer, whatever goes on."""
FRAME, IDLE, BUSY, MEMORY = 1.25, 1.25, 2.0, 1.4
LINES_A_SECOND = 1000

NEXT, LOOK, CLEAR, ENTER, LEFT, BACKSPACE = "\x0e", "\x12", "\x15", "\r", "\x1b[D", "\x7f"
PASTE = "\x1b[200~{}\x1b[201~"
EMPTY_SEARCH = "type to search"

# Says what helm says, but an upgrade goes on as long as a file is there (90 s at most, since helm outlives a wizard
# that is killed) and writes a line a millisecond: in a burst every 10 ms, as pipes do.
CHATTY_HELM = """#!{python} -S
import os, sys, time
if "upgrade" not in sys.argv or any(word.startswith("--dry-run") for word in sys.argv):
    os.execv({helm!r}, [{helm!r}, *sys.argv[1:]])
if not os.path.exists({go!r}):
    sys.exit("Error: not yet")
begun, written = time.monotonic(), 0
while time.monotonic() - begun < 90 and os.path.exists({go!r}):
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
        except (AssertionError, OSError) as error:  # what was waited for did not come: said, and counted by --strict
            why = str(error).partition("\n")[0]
            yield Row(part.__name__.replace("_", " "), "", "", why, "", NOT_MEASURED)


class _Screens:
    """The commands that are measured. No part sees what another one did: each has state directories of its own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._states = count()
        self._env = child_env(TERM="xterm-256color", COLORTERM="truecolor", TZ="UTC")
        self._script = str(Path(sys.executable).with_name("privatelink-wizard"))
        self._bare_input: list[float] = []
        self._nowhere = {"kubeconfig": str(directory / "kubeconfig"), "kube_context": "bench"}
        Path(self._nowhere["kubeconfig"]).write_text(_kubeconfig())

    def _fresh(self, sandbox: tuple[Machine, Mapping[str, str]] | None = None) -> dict[str, str]:
        """The environment with a new state directory and one setup in it, left at step 3's alias."""
        machine, where = sandbox or (None, self._nowhere)
        state = machine.state_dir if machine else self._directory / f"state-{next(self._states)}"
        pointed = EnvironmentSet(
            kubeconfig=where["kubeconfig"],
            kube_context=where["kube_context"],
            helm=str(HELM_4),
            sandbox=machine is not None,
            arm_url=where.get("arm_url"),
            identity_endpoint=where.get("identity_endpoint"),
            ca_file=where.get("ca_file"),
        )
        without_alias = [one for one in data_of(EVENTS) if getattr(one, "value", "") != ALIAS]
        # What was answered last is where one goes on: step 3.
        last = FieldSet(item="endpoint/pe-weu", field="private_ip", value="10.20.1.5")
        make_own(state, NAME, [pointed, *without_alias[1:], last])
        env = machine.env() | _terminal_of(self._env) if machine else self._env
        return env | {"PRIVATELINK_STATE_DIR": str(state)}

    def _wizard(self, env: Mapping[str, str], *arguments: str) -> Pty:
        return Pty([self._script, *arguments], env)

    def _bare(self, which: str) -> Pty:
        return Pty([sys.executable, str(bare.__file__), which], self._env)

    # ------------------------------------------------------------ first frame

    def first_frames(self) -> Iterator[Row]:
        """From exec to the first text on the terminal; and to the whole screen, for information."""
        env = self._fresh()
        for what, arguments, whole in (
            (f"`resume`, {EVENTS} events", ("resume", NAME), "[ Go on"),
            ("home", (), "[ New setup ]"),
        ):
            wholes: list[float] = []
            pairs = in_turn(self._hello, self._framed(env, arguments, whole, wholes), PAIRS, limit=GATHERING)
            taken = len(pairs.one)
            fewer = f" ({taken} of {PAIRS} runs)" if taken < PAIRS else ""
            yield ratio_row(f"first frame: {what}{fewer}", pairs, FRAME)
            full = Pairs(pairs.one, tuple(wholes[-taken:]))
            one, other = full.medians
            yield Row(f"whole screen: {what}{fewer}", seconds(one), seconds(other), f"{full.ratio:.2f} ×", "–")

    def _hello(self) -> float:
        with self._bare("hello") as terminal:
            return terminal.wait(bare.HELLO) - terminal.begun

    def _framed(
        self, env: Mapping[str, str], arguments: Sequence[str], whole: str, wholes: list[float]
    ) -> Callable[[], float]:
        def framed() -> float:
            with self._wizard(env, *arguments) as terminal:
                first = terminal.wait("PrivateLink Wizard")
                wholes.append(terminal.wait(whole) - terminal.begun)
                return first - terminal.begun

        return framed

    # ------------------------------------------------------------ keys

    def idle_keys(self) -> Iterator[Row]:
        """A key in step 3's alias until its answer below is drawn; taken in turn with a bare Input."""
        with self._bare("input") as other, self._at_alias() as ours:
            other.wait(bare.HELLO)
            other.settle(0.3)
            _until_loaded(ours)
            keys = before(time.monotonic() + GATHERING, typing(KEYS))
            pairs = [(other.answer(key), ours.answer(key)) for key in keys]
        self._bare_input = [one for one, _ in pairs]
        yield from key_rows("key, idle", self._bare_input, [mine for _, mine in pairs], IDLE)

    def keys_while_loading(self) -> Iterator[Row]:
        """The same while the SDK child imports: keys count while it is busy; started again until there are enough."""
        found: list[float] = []
        end = time.monotonic() + GATHERING
        for _ in before(end, range(15)):
            with self._at_alias(hold=True) as ours:
                child = _sdk_child(ours.pid)
                if child is None:
                    continue
                os.kill(child, signal.SIGCONT)
                still, ticks = 0, _cpu(child)
                for key in before(end, typing(KEYS)):
                    taken = ours.answer(key)
                    earlier, ticks = ticks, _cpu(child)
                    # A key or two may fall into a wait for the disk or for a core.
                    still = still + 1 if ticks == earlier else 0
                    if ticks is None or still == 3:
                        break  # it has loaded
                    found += [taken] if still == 0 else []
            if len(found) >= WHILE_LOADING:
                break
        yield from key_rows("key, SDKs loading", self._bare_input, found, BUSY, most=BIG)

    @contextlib.contextmanager
    def _at_alias(
        self, sandbox: tuple[Machine, Mapping[str, str]] | None = None, *, hold: bool = False
    ) -> Iterator[Pty]:
        """The program at step 3's first field. `hold` stops the SDK child in its imports until it is let go on."""
        held = None
        with self._wizard(self._fresh(sandbox), "resume", NAME) as terminal:
            try:
                while hold and held is None and "[ Go on" not in terminal.text() and terminal.read(PATIENCE):
                    if (held := _sdk_child(terminal.pid)) is not None:
                        os.kill(held, signal.SIGSTOP)
                terminal.wait("[ Go on")
                _go(terminal, 3)
                terminal.wait(focused("Link service alias"))
                terminal.settle()
                yield terminal
            finally:
                if held is not None:
                    with contextlib.suppress(
                        ProcessLookupError
                    ):  # a stopped process would never notice that all is over
                        os.kill(held, signal.SIGCONT)

    def keys_while_helm_streams(self) -> Iterator[Row]:
        """Typing into the whole log's search while helm writes a thousand lines a second."""
        if not HELM_4.exists():
            yield Row("key, helm streams", "", "", "get helm with: make tools", "", NOT_MEASURED)
            return
        machine = self._machine("streams")
        helm, go = machine.home / "helm", machine.home / "go"
        helm.write_text(CHATTY_HELM.format(python=sys.executable, helm=str(HELM_4), rate=LINES_A_SECOND, go=str(go)))
        helm.chmod(0o700)
        with machine.sandbox() as info:
            answers = changed(info["answers_file"], machine.home / "answers.yml", lambda it: pointing(it, helm))
            # Takes the steps before; step 7 fails, and is done again on the screen.
            machine.run(NAME, answers)
            go.touch()
            try:
                with self._wizard(machine.env() | _terminal_of(self._env), "resume", NAME) as ours:
                    ours.wait("[ Go on")
                    _start(ours, Path(info["registry_token_file"]).read_text().strip())
                    _open_log(ours)
                    end = time.monotonic() + GATHERING
                    taken = [_search(ours, number) for number in before(end, range(KEYS))]
            finally:
                go.unlink()
        yield from key_rows(f"key, helm writes {LINES_A_SECOND:,} lines/s", self._bare_input, taken, BUSY, most=BIG)

    def _machine(self, name: str) -> Machine:
        home = self._directory / name
        home.mkdir(mode=0o700)
        return Machine(home, HELM_4)

    # ------------------------------------------------------------ memory

    def memory(self) -> Iterator[Row]:
        """What the screen's process holds beside hello, before and after the first looks at Azure and at a cluster."""
        if not HELM_4.exists():
            yield Row("memory", "", "", "get helm with: make tools", "", NOT_MEASURED)
            return
        # Both answer: after a look that is refused, an SDK child may be ended.
        machine = self._machine("sandbox")
        with (
            machine.sandbox() as info,
            self._bare("hello") as other,
            self._at_alias((machine, info)) as ours,
        ):
            other.wait(bare.HELLO)
            other.settle(0.3)
            hello = _pss(other.pid)
            _until_loaded(ours)
            yield memory_row("memory at a step", hello, _pss(ours.pid))
            _go(ours, 4)
            _look(ours, "Azure does not know this subscri")
            yield memory_row("memory after a look at Azure", hello, _pss(ours.pid))
            _go(ours, 5, 6, 7)
            ours.wait(focused("Registry token"))
            _look(ours, "has no workloads")
            yield memory_row("memory after a look at a cluster too", hello, _pss(ours.pid))
            children = _sdk_children(ours.pid)
            assert len(children) == 2, f"after the looks there are {len(children)} SDK children"
            for what, child in zip(("clusters", "Azure"), children, strict=True):
                yield memory_row(f"memory of the SDK child for {what}", hello, _pss(child), budget=None)


# ---------------------------------------------------------------- ways through the screens


def focused(label: str) -> re.Pattern[str]:
    """What is drawn when the focus comes to a field."""
    return re.compile(rf"▌\S {label} ")


def _go(terminal: Pty, *numbers: int) -> None:
    """From step to step, each when the one before is drawn."""
    for number in numbers:
        terminal.forget()
        terminal.press(NEXT)
        terminal.wait(GUIDE_STEPS[number - 1].title)


def _look(terminal: Pty, shown: str) -> None:
    """Looks at the step, until what is found is drawn."""
    terminal.forget()
    terminal.press(LOOK)
    terminal.wait(shown)
    terminal.settle()


def _enter(terminal: Pty, shown: str | re.Pattern[str]) -> None:
    """Presses Enter, and waits for what it leads to."""
    terminal.forget()
    terminal.press(ENTER)
    terminal.wait(shown)


def _start(terminal: Pty, token: str) -> None:
    """From the summary to step 7; token, plan, and yes to it."""
    terminal.forget()
    terminal.press(NEXT)
    terminal.wait(focused("Registry token"))
    terminal.forget()
    terminal.press(PASTE.format(token))
    terminal.wait("▌✓ Registry token ")
    _enter(terminal, focused("Chart"))
    terminal.wait("reads what is there, shows the plan")  # no token is missing any more
    # Enter walks over the fields that are right already. What is drawn late still shows the focus before, so what is
    # waited for stands there only when the focus has come, or has gone on to the first choice.
    for label in ("Chart version", "Release", "Namespace", "Values file", "Timeout"):
        _enter(terminal, focused(label))
    _enter(terminal, re.compile(r"\s✓ Timeout "))
    _enter(terminal, "[ Start ]")
    # The question takes no answer before it can have been read.
    terminal.settle_for(SEEN_SECONDS + QUIET)
    _enter(terminal, "[ Log ]")


def _open_log(terminal: Pty) -> None:
    """From step 7 while helm runs to the whole log's search."""
    terminal.forget()
    terminal.press(LEFT)  # from the first choice round to the last
    terminal.wait("the token is not in it")
    _enter(terminal, EMPTY_SEARCH)


def _search(terminal: Pty, number: int) -> float:
    """Presses the next key of a search; returns the seconds until the line typed so far is drawn."""
    at = number % len(SEARCHED)
    if number and at == 0:
        # A longer line would not be seen whole. Backspaces are not measured: a longer line shows the shorter one too.
        terminal.forget()
        terminal.press(CLEAR)
        terminal.wait(EMPTY_SEARCH)
    return terminal.echo(SEARCHED[at], SEARCHED[: at + 1])


def _terminal_of(env: Mapping[str, str]) -> dict[str, str]:
    return {key: env[key] for key in ("TERM", "COLORTERM", "TZ")}


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


def before(end: float, values: Iterable[T]) -> Iterator[T]:
    """Those of `values` that are asked for before `end` (seconds, monotonic)."""
    return takewhile(lambda _: time.monotonic() < end, values)


def key_rows(
    what: str, beside: Sequence[float], ours: Sequence[float], budget: float, *, most: float | None = None
) -> Iterator[Row]:
    """The median for information, the 99th percentile with its budget; and the slowest where there is a limit."""
    what = f"{what} ({len(ours)} keys)"
    if not ours or not beside:
        yield Row(what, "", "", "no key was typed in time, or none beside", "", NOT_MEASURED)
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


def _sdk_children(pid: int) -> list[int]:
    """The processes that the SDKs run in, oldest first: for clusters, then for Azure."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                if b"sdk_child" in Path(f"/proc/{child}/cmdline").read_bytes():
                    found.append(int(child))
    return sorted(found)


def _sdk_child(pid: int) -> int | None:
    """The first of them; None while there is none."""
    return next(iter(_sdk_children(pid)), None)


def _cpu(pid: int | None) -> int | None:
    """Ticks a process has computed so far; None when there is no such process."""
    with contextlib.suppress(OSError):
        if pid is not None:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            return int(fields[11]) + int(fields[12])
    return None


def _until_loaded(terminal: Pty) -> None:
    """Waits until the SDK children have imported what they need: they compute no more. The second comes at once after
    the first."""
    end = time.monotonic() + PATIENCE
    earlier = -1
    while not (now := sum(_cpu(child) or 0 for child in _sdk_children(terminal.pid))) or now != earlier:
        assert time.monotonic() < end, "no SDK child, or it does not come to rest"
        earlier = now
        terminal.settle_for(0.3)
