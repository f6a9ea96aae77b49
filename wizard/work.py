"""What runs for one item's step, as it is seen while it runs: phases, workloads, log. Transient, never journalled."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from state.clock import now
from state.problem import EXIT_NOT_YET, Problem
from wizard.guide import ItemStep, Moment
from wizard.sign_in import CODES
from wizard.text import clean

LOG_LINES = 10_000
"""Lines kept; helm's own output stays far below, a runaway one must not fill the memory."""

PLANNING, ACTING, LOOKING, RESUMING = "planning", "acting", "looking", "resuming"


def ended_badly(problem: Problem) -> str:
    """The word for what ended with a problem: `not yet` where it takes time or a person, else `failed`."""
    return "not yet" if problem.exit_code == EXIT_NOT_YET else "failed"


@dataclass(slots=True)
class Phase:
    """A part of the work: its name, when it began and ended (seconds, monotonic), and how."""

    name: str
    begun: float
    ended: float | None = None
    state: str = "running"

    def seconds(self, at: float) -> float:
        """How long it took, or takes so far."""
        return (self.ended if self.ended is not None else at) - self.begun


@dataclass(slots=True)
class Part:
    """Something the work waits for, and why it is not ready: a workload with its ready pods, else (not `counted`) one
    thing alone."""

    name: str
    ready: int
    wanted: int
    reason: str
    begun: float
    ended: float | None = None
    counted: bool = True

    def seconds(self, at: float) -> float:
        """How long it took to be ready, or has been waited for."""
        return (self.ended if self.ended is not None else at) - self.begun


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of the log with its time (RFC 3339 UTC); cleaned."""

    ts: str
    text: str


@dataclass(slots=True)
class Work:
    """One piece of work on one item's step. `timeout` in seconds, 0 while unknown. `unsigned`: what it stopped at, or
    could not look at, for want of a sign-in to Azure."""

    item_step: ItemStep
    kind: str
    summary: str = ""
    since: str = field(default_factory=now)
    begun: float = field(default_factory=time.monotonic)
    ended: float | None = None
    timeout: float = 0.0
    phases: list[Phase] = field(default_factory=list)
    parts: dict[str, Part] = field(default_factory=dict)
    log: deque[LogLine] = field(default_factory=lambda: deque(maxlen=LOG_LINES))
    lines: int = 0
    problem: Problem | None = None
    unsigned: Problem | None = None
    cancelling: bool = False
    redact: Callable[[str], str] = field(default=lambda text: text, repr=False)

    @property
    def running(self) -> bool:
        """Whether it still goes on."""
        return self.ended is None

    def elapsed(self) -> float:
        """Seconds since it began, until it ended."""
        return (self.ended if self.ended is not None else time.monotonic()) - self.begun

    def report(self, moment: Moment) -> None:
        """Takes in what an action tells while it acts."""
        at = time.monotonic()
        if moment.timeout:
            self.timeout = moment.timeout
        if moment.kind == "phase":
            self._phase(self._shown(moment.text), at)
            self._write(moment.text)
        elif moment.kind == "line":
            self._write(moment.text)
        elif moment.ready is not None and moment.wanted is not None:
            self._part(moment, moment.ready, moment.wanted, at)
        else:
            self._write(moment.text)

    def missed(self, problem: Problem) -> None:
        """Something could not be looked at; it is remembered when a sign-in would help."""
        if problem.code in CODES:
            self.unsigned = problem

    def finish(self, problem: Problem | None = None, *, state: str = "") -> None:
        """The work has ended: well, with a problem, or cancelled."""
        at = time.monotonic()
        self.problem = problem
        if problem is not None:
            problem.mask(self.redact)
            self.missed(problem)
        self._end_phase(at, state or (ended_badly(problem) if problem else "done"))
        self.ended = at

    def _phase(self, name: str, at: float) -> None:
        if self.phases and self.phases[-1].ended is None and self.phases[-1].name == name:
            return  # another try of the same, which has not ended well before
        self._end_phase(at, "done")
        self.phases.append(Phase(name, at))

    def _part(self, moment: Moment, ready: int, wanted: int, at: float) -> None:
        name, _, reason = self._shown(moment.text).partition(": ")
        part = self.parts.get(name)
        if part is None:
            part = self.parts[name] = Part(name, ready, wanted, reason, at, counted=moment.kind != "part")
        elif (part.ready, part.wanted, part.reason) != (ready, wanted, reason):
            part.ready, part.wanted, part.reason = ready, wanted, reason
        part.ended = (part.ended or at) if ready >= wanted else None

    def _end_phase(self, at: float, state: str) -> None:
        if self.phases and self.phases[-1].ended is None:
            self.phases[-1].ended, self.phases[-1].state = at, state

    def _write(self, text: str) -> None:
        self.lines += 1
        self.log.append(LogLine(now(), self._shown(text)))

    def _shown(self, text: str) -> str:
        return clean(self.redact(text))
