"""The sections of a step's body, each as lines for a width: title, callouts, words, plan, checks, running, log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice

from rich.cells import cell_len
from textual.content import Content

from screens.dialogs import problem_lines
from screens.glyphs import HEAVY, LIGHT, drawable, shown, sign, style_of
from screens.grid import LABEL, PLAIN, QUIET, STRONG, heading, ink, join, line, row, under_value, word, wrapped
from screens.step_model import MESSAGE, Callout, CheckLine, StepModel, Words
from screens.times import lasting, when
from state.clock import now
from wizard.guide import CHANGE, CREATE, REMOVE, SAME, Plan
from wizard.work import LOOKING, PLANNING, RESUMING, Part, Phase, Work, ended_badly

_COUNTED = ((CREATE, "to create"), (CHANGE, "to change"), (REMOVE, "to remove"), (SAME, "already so"))
BEFORE_REASON = 3 + LABEL + 10 + 11
"""Cells before what is said of a phase or a part: glyph, name, result, seconds."""
PLAN_ROWS = 14
"""Changes shown; the confirmation has them all."""


def title(model: StepModel, width: int) -> list[Content]:
    """Number, title, whose step it is, and why there is such a step."""
    step = model.step
    name = ink(f"{step.number}  {step.title}", STRONG)
    return [
        row(width, ("", 1), (name, 0), right=ink(model.owner, QUIET)),
        *wrapped(step.why, width, QUIET, indent=1),
        Content(""),
    ]


def instructions(model: StepModel, width: int, *, unfolded: bool, chosen: bool) -> list[Content]:
    """What a person does for this step; one line while folded away, none while it is being done unless `chosen`."""
    if model.busy and not chosen:
        return []
    steps = model.step.instructions
    if not unfolded:
        return [heading(width, "What to do", f"{len(steps)} lines", "f6 shows them")]
    lines = [heading(width, "What to do", "", "f6 folds them")]
    for number, text in enumerate(steps, 1):
        first, *more = wrapped(text, width - 4)
        lines.append(join(Content(" "), ink(f"{number}. ", QUIET), first))
        lines += [join(Content("    "), one) for one in more]
    return lines


def warnings(model: StepModel, width: int, *, tall: bool) -> list[Content]:
    """What the step itself warns of; what is wrong now comes first."""
    if model.callout or model.problem or (not tall and model.busy):
        return []
    return [one for text in model.warnings for one in warning_lines(text, width)]


def warning_lines(text: str, width: int) -> list[Content]:
    """A warning that belongs to the step itself."""
    first, *more = wrapped(text, width - 2)
    return [join(ink(f"{sign('stale')} ", "$warning bold"), first), *(join(Content("  "), one) for one in more)]


def callout(model: StepModel, width: int, *, tall: bool) -> list[Content]:
    """A bad truth: it outranks the fields, and not what is being done about it."""
    return _callout_lines(model.callout, width) if model.callout and not model.busy else []


def _callout_lines(callout: Callout, width: int) -> list[Content]:
    style = style_of(callout.state)
    head = join(word(callout.state, callout.word or None, bold=True), Content("   "))
    first, *more = wrapped(callout.text, max(10, width - head.cell_length), f"{style} bold")
    lines = [join(head, first), *(join(Content(" " * head.cell_length), one) for one in more)]
    for text in callout.more:
        lines += wrapped(text, width, indent=2)
    return lines


def problem(model: StepModel, width: int, *, tall: bool) -> list[Content]:
    """What went wrong while acting, in full where there is room; f4 has the rest.

    A message to be sent is behind its own button: the end of it alone says nothing.
    """
    details = 0 if any(choice.id == MESSAGE for choice in model.choices) else 6 if tall else 3
    return problem_lines(model.problem, width, details=details) if model.problem else []


def words(model: StepModel, width: int, *, tall: bool) -> list[Content]:
    """The exact words that are confirmed, and who confirmed them."""
    return _words_lines(model.words, width) if model.words and not model.busy else []


def _words_lines(words: Words, width: int) -> list[Content]:
    about = "written with your name when you confirm" if not words.said else words.said
    lines = [heading(width, "In these words", about)]
    glyph = ink(
        f"{sign(words.state)} " if words.state else "  ", f"{style_of(words.state)} bold" if words.state else PLAIN
    )
    first, *more = wrapped(f"“{words.text}”", width - 3)
    lines.append(join(Content(" "), glyph, first))
    return [*lines, *(join(Content("   "), one) for one in more)]


# ---------------------------------------------------------------- plan and checks


def plan(model: StepModel, width: int, *, tall: bool) -> list[Content]:
    """What acting would do, or that it is being read."""
    if model.work is not None and (reading := _reading_lines(model.work, width)):
        return reading
    if model.planned is None or (model.busy and not tall):
        return []
    return _plan_lines(model.planned.plan, model.planned.ts, width, tall=tall)


def _plan_lines(plan: Plan, read: str, width: int, *, tall: bool) -> list[Content]:
    """What acting would do. Short screens leave out what is already so; the heading still counts it."""
    counts = [(sum(change.sign == mark for change in plan.changes), named) for mark, named in _COUNTED]
    about = ", ".join(f"{count} {named}" for count, named in counts if count) or "nothing to do"
    lines = [heading(width, "Plan", about, f"read {when(read, now())}")]
    shown = [change for change in plan.changes if tall or change.sign != SAME]
    for change in shown[:PLAN_ROWS]:
        kind, _, rest = change.text.partition(" ")
        quiet = change.sign == SAME
        lines.append(line(width, change.sign, kind, (ink(rest, QUIET if quiet else PLAIN), 0), quiet=quiet))
    if len(shown) > PLAN_ROWS:
        lines.append(line(width, "", "", (ink(f"{len(shown) - PLAN_ROWS} more; the confirmation shows all", QUIET), 0)))
    for note in plan.notes:
        lines += warning_lines(note, width)
    return lines


def checks(model: StepModel, width: int, *, tall: bool) -> list[Content]:
    """What was looked at and found; a look under way says so."""
    if not model.checks or model.busy:
        return []
    looking = model.work is not None and model.work.running and model.work.kind == LOOKING
    if not tall and not looking and not any(check.state for check in model.checks):
        return []  # nothing was looked at yet, and rows are scarce; ^r stands below
    return _check_lines(model.checks, model.work, width, tall=tall)


def _check_lines(checks: tuple[CheckLine, ...], work: Work | None, width: int, *, tall: bool) -> list[Content]:
    looking = work is not None and work.running and work.kind == LOOKING
    right = f"asked {when(work.since, now())}" if looking and work is not None else "^r looks now"
    lines = [heading(width, "Checks", "", right)]
    for check in checks:
        state = "looking" if looking else check.state
        verdict = ink(shown(state) or "not looked", style_of(state) if state else QUIET)
        text = ink(
            f"{check.text}{', advice only' if check.advises and check.state else ''}",
            QUIET if not check.state else PLAIN,
        )
        lines.append(
            line(
                width,
                state or "empty",
                check.title,
                (verdict, 16),
                (text, 0),
                right=ink(check.at, QUIET) if tall and check.at else None,
            )
        )
        if check.text and 3 + LABEL + 16 + len(check.text) > width - (8 if tall else 0):
            lines += under_value(check.text, width, PLAIN)
        if check.todo and check.state != "good":
            lines += under_value(check.todo, width)
    return lines


# ---------------------------------------------------------------- running


def running(model: StepModel, width: int, *, tall: bool) -> list[Content]:
    """What runs, or how it ended."""
    work = model.work
    doer = model.step.doer.name if model.step.doer else ""
    return (
        _running_lines(work, model.step.usual, doer, width, tall=tall) if work is not None and model.shows_work else []
    )


def _running_lines(
    work: Work, usual: tuple[float, float] | None, doer: str, width: int, *, tall: bool
) -> list[Content]:
    """Elapsed over the time limit, one row a phase, and a row for each workload that is waited for."""
    about = f"usually {lasting(usual[0])} to {lasting(usual[1])}" if usual else ""
    state = "running" if work.running else ended_badly(work.problem) if work.problem else "done"
    title = {"running": "Cancelling" if work.cancelling else "Running", "done": "Done"}.get(state, "Ended")
    lines = [heading(width, title, about, f"since {when(work.since, now())}")]
    lines += _bar(work, usual, width, state)
    at = work.begun + work.elapsed()
    phases = work.phases
    if not tall and len(phases) > 2:
        seconds = sum(phase.seconds(at) for phase in phases[:-1])
        lines.append(_phase_line(width, "done", f"{len(phases) - 1} phases", "ok", seconds, phases[-2].name))
        phases = phases[-1:]
    lines += [_of_phase(phase, at, width) for phase in phases]
    workloads = [part for part in work.parts.values() if part.counted]
    for part in list(work.parts.values())[-1:]:
        # What it was waited for until it ended is no news any more.
        if not part.counted and (work.running or part.ready >= part.wanted):
            lines += _of_thing(part, doer, at, width)
    if workloads:
        ready = sum(part.ready >= part.wanted for part in workloads)
        done = ready == len(workloads)
        begun = min(part.begun for part in workloads)
        lines.append(
            _phase_line(
                width,
                "done" if done else "running",
                "workloads ready",
                f"{ready} of {len(workloads)}",
                (work.elapsed() + work.begun) - begun,
                "",
            )
        )
        lines += [_of_part(part, at, width) for part in workloads[: 12 if tall else 4]]
    if work.kind == RESUMING and work.running and not phases:
        lines.append(line(width, "running", "looking", (ink("how the earlier start of it ended", QUIET), 0)))
    return lines


def _bar(work: Work, usual: tuple[float, float] | None, width: int, state: str) -> list[Content]:
    room = max(4, width - LABEL - 3)
    label = ink(lasting(work.elapsed()), STRONG)
    if not work.timeout:
        return [line(width, state, label, ("", 0))]
    filled = min(room, round(room * work.elapsed() / work.timeout))
    bar = join(ink(drawable(HEAVY) * filled, "$primary bold"), ink(drawable(LIGHT) * (room - filled), QUIET))
    lines = [line(width, state, label, (bar, 0))]
    bracket = ""
    if usual:
        low, high = (min(room, round(room * seconds / work.timeout)) for seconds in usual)
        bracket = (
            " " * low + drawable("└") + " usual ".center(max(0, high - low - 1)) + drawable("┘")
            if high > low + 8
            else ""
        )
    gives_up = f"gives up at {when(_later(work.since, work.timeout), now())}" if work.running else ""
    if bracket or gives_up:
        lines.append(line(width, "", "", (ink(bracket, QUIET), 0), right=ink(gives_up, QUIET)))
    return lines


def _later(ts: str, seconds: float) -> str:
    moment = datetime.fromisoformat(ts) + timedelta(seconds=seconds)
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _of_phase(phase: Phase, at: float, width: int) -> Content:
    result = {"done": "ok", "running": "running"}.get(phase.state, phase.state)
    short, rest = _label(phase.name)
    return _phase_line(width, phase.state, short, result, phase.seconds(at), rest)


def _label(name: str) -> tuple[str, str]:
    """A name split between words: what fits the label column, and the rest."""
    if len(name) < LABEL:
        return name, ""
    cut = name.rfind(" ", 0, LABEL)
    return (name[:cut], name[cut + 1 :]) if cut > 0 else (name, "")


def _of_thing(part: Part, doer: str, at: float, width: int) -> list[Content]:
    ready = part.ready >= part.wanted
    state, result = ("done", "there") if ready else ("not yet", "waiting")
    fits = cell_len(part.reason) <= width - BEFORE_REASON
    first = _phase_line(width, state, f"  {doer} says", result, part.seconds(at), part.reason if fits else "")
    return [first] if fits else [first, *under_value(part.reason, width, QUIET if ready else PLAIN)]


def _of_part(part: Part, at: float, width: int) -> Content:
    ready = part.ready >= part.wanted
    kind, _, name = part.name.partition(" ")
    what = "ready" if ready else part.reason or f"{kind} not ready"
    return _phase_line(
        width,
        "done" if ready else "not yet",
        f"  {name or kind}",
        f"{part.ready} of {part.wanted}",
        part.seconds(at),
        what,
    )


def _phase_line(width: int, state: str, name: str, result: str, seconds: float, what: str) -> Content:  # noqa: PLR0917 - the columns
    style = style_of(state)
    quiet = state == "done"
    return line(
        width,
        state,
        name,
        (ink(result, style), 10),
        (ink(f"{lasting(seconds):>8}", QUIET), 11),
        (ink(what, QUIET if quiet else PLAIN), 0),
    )


def _shown_log(model: StepModel, *, tall: bool) -> Work | None:
    # When all went well, a short screen has better use for the rows.
    work = model.work
    shown = work is not None and model.shows_work and work.lines > 0 and (tall or work.running)
    return work if shown else None


def _log_rows(*, tall: bool) -> int:
    return 5 if tall else 3


def log_heading(model: StepModel, width: int, *, tall: bool) -> list[Content]:
    """How much of the log is shown below."""
    work, count = _shown_log(model, tall=tall), _log_rows(tall=tall)
    if work is None:
        return []
    return [heading(width, "Log", f"last {min(count, work.lines)} of {work.lines} lines")]


def log(model: StepModel, width: int, *, tall: bool) -> list[Content]:
    """The last lines of the log, newest last."""
    work = _shown_log(model, tall=tall)
    if work is None:
        return []
    last = islice(reversed(work.log), _log_rows(tall=tall))
    return [
        row(width, (ink(when(one.ts, now()), QUIET), 10), (ink(one.text, QUIET), 0)) for one in reversed(list(last))
    ]


def _reading_lines(work: Work, width: int) -> list[Content]:
    if work.kind != PLANNING:
        return []
    if work.running:
        return [heading(width, "Plan", "reading what is there", f"asked {when(work.since, now())}")]
    return []
