"""What runs, as it is seen while it runs: phases, parts, log."""

from __future__ import annotations

import pytest

from state.problem import EXIT_NOT_YET, Problem
from tests.wizard.engine import UPDATE
from wizard import work as work_module
from wizard.guide import Moment
from wizard.work import ACTING, LOG_LINES, Work


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.at = 100.0

    def monotonic(self) -> float:
        return self.at


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(work_module, "time", found)
    return found


def _work(clock: Clock, **more: object) -> Work:
    return Work(UPDATE, ACTING, begun=clock.monotonic(), **more)  # type: ignore[arg-type]


def _pods(ready: int, wanted: int = 2, text: str = "Deployment dpe: waiting") -> Moment:
    return Moment("wait", text, ready=ready, wanted=wanted, timeout=600.0)


def test_a_phase_ends_when_the_next_begins(clock: Clock):
    work = _work(clock)
    work.report(Moment("phase", "log in"))
    clock.at += 3
    work.report(Moment("phase", "upgrade"))
    clock.at += 5

    assert [(phase.name, phase.state, phase.seconds(clock.at)) for phase in work.phases] == [
        ("log in", "done", 3.0),
        ("upgrade", "running", 5.0),
    ]
    assert [line.text for line in work.log] == ["log in", "upgrade"]


def test_another_try_goes_on_with_the_phase(clock: Clock):
    work = _work(clock)
    work.report(Moment("phase", "create pe-weu"))
    clock.at += 5
    work.report(Moment("phase", "create pe-weu"))

    assert [(phase.state, phase.seconds(clock.at)) for phase in work.phases] == [("running", 5.0)]
    assert len(work.log) == 2


@pytest.mark.parametrize(
    ("problem", "state", "ends"),
    [
        (None, "", "done"),
        (Problem("x", "It broke."), "", "failed"),
        (Problem("x", "They have not answered.", exit_code=EXIT_NOT_YET), "", "not yet"),
        (None, "cancelled", "cancelled"),
    ],
)
def test_the_end_is_the_end_of_the_phase_that_ran(clock: Clock, problem: Problem | None, state: str, ends: str):
    work = _work(clock)
    work.report(Moment("phase", "log in"))
    work.report(Moment("phase", "upgrade"))
    clock.at += 7
    work.finish(problem, state=state)
    clock.at += 100

    assert not work.running
    assert work.elapsed() == 7.0
    assert [phase.state for phase in work.phases] == ["done", ends]
    assert work.phases[-1].seconds(clock.at) == 7.0
    assert work.problem is problem


def test_a_workload_is_one_part_and_its_clock_stops_when_it_is_ready(clock: Clock):
    work = _work(clock)
    work.report(_pods(0))
    clock.at += 4
    work.report(_pods(2, text="Deployment dpe"))
    clock.at += 10
    work.report(_pods(2, text="Deployment dpe"))
    (part,) = work.parts.values()
    assert (part.name, part.ready, part.wanted, part.reason, part.seconds(clock.at)) == (
        "Deployment dpe",
        2,
        2,
        "",
        4.0,
    )

    work.report(_pods(1, text="Deployment dpe: CrashLoopBackOff"))
    assert (part.ready, part.reason, part.seconds(clock.at)) == (1, "CrashLoopBackOff", 14.0)
    assert work.timeout == 600.0


def test_a_look_that_failed_is_a_line_of_the_log(clock: Clock):
    work = _work(clock)
    work.report(Moment("wait", "The cluster does not answer.", elapsed=1.0, timeout=600.0))
    assert work.parts == {}
    assert [line.text for line in work.log] == ["The cluster does not answer."]


def test_lines_are_counted_beyond_those_that_are_kept(clock: Clock):
    work = _work(clock)
    for number in range(LOG_LINES + 5):
        work.report(Moment("line", f"line {number}"))
    assert work.lines == LOG_LINES + 5
    assert len(work.log) == LOG_LINES
    assert work.log[-1].text == f"line {LOG_LINES + 4}"


def test_what_comes_from_outside_is_cleaned_and_redacted(clock: Clock):
    work = _work(clock, redact=lambda text: text.replace("s3cr3t", "********"))
    work.report(Moment("line", "\x1b[31mtoken s3cr3t\u202e\x07"))
    work.report(Moment("phase", "\x1b]0;x\x07phase"))
    work.report(_pods(0, text="Deployment \x1b[1mdpe: \u202ereason"))
    assert [line.text for line in work.log] == ["token ********", "phase"]
    assert work.phases[0].name == "phase"
    assert list(work.parts) == ["Deployment dpe"]
    assert work.parts["Deployment dpe"].reason == "reason"


def test_a_secret_is_not_in_the_names_of_phases_and_parts(clock: Clock):
    work = _work(clock, redact=lambda text: text.replace("s3cr3t", "********"))
    work.report(Moment("phase", "log in with s3cr3t"))
    work.report(_pods(0, text="Deployment dpe: s3cr3t is wrong"))
    assert "s3cr3t" not in repr((work.phases, work.parts, list(work.log)))


def test_a_secret_is_not_in_why_it_ended(clock: Clock):
    work = _work(clock, redact=lambda text: text.replace("s3cr3t", "********"))
    work.finish(Problem("helm-failed", "helm failed: s3cr3t", means="s3cr3t", todo="Not s3cr3t.", detail="dpe: s3cr3t"))
    assert work.problem is not None
    told = (work.problem.what, work.problem.means, work.problem.todo, work.problem.detail)
    assert told == ("helm failed: ********", "********", "Not ********.", "dpe: ********")
