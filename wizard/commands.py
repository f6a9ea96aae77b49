"""What the commands `check`, `review`, `run` and `doctor` do, between the command line and the engine."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from state.actor import current_actor
from state.events import EnvironmentSet, Found
from state.problem import Problem
from state.secrets import SecretGuard
from state.snapshot import Snapshot, fold
from wizard import checking
from wizard.answers import Answers, environment_of, read_answers
from wizard.environment import connected, looking, resolve_environment
from wizard.evidence import redacted
from wizard.examining import examine, require_answers
from wizard.guide import BY_EXEC, BY_POD, NO_PROBE, Guide, Step
from wizard.guides import guide as find_guide
from wizard.output import Progress, columns, data, data_json, data_line, glyph, say, say_line, say_problem
from wizard.ports import Readers, Writers
from wizard.probing import Consented
from wizard.session import Session, environment_is_ours
from wizard.signals import until_signal
from wizard.status import derive
from wizard.text import one_line
from wizard.unattended import Run

if TYPE_CHECKING:
    from state.journal import Journal
    from state.store import Store, Writer
    from wizard.places import Places


# ---------------------------------------------------------------- run


def run(places: Places, name: str, answers_file: Path) -> int:
    """`run NAME --answers FILE`."""
    answers = read_answers(answers_file)
    guide = find_guide(answers.guide)
    examine(answers, guide)
    environment = resolve_environment(environment_of(answers))
    _require_harmless_name(name, answers)
    for variable in answers.dropped_env:
        # Children inherit what is left; the value lives on in the session's memory alone.
        os.environ.pop(variable, None)
    store = places.of(sandbox=environment.sandbox)
    existing = name in store.names()
    before = _snapshot(store.read(name)) if existing else None
    if before is not None and before.header.guide.id != guide.id:
        raise Problem(
            "other-guide",
            f"The setup {name} follows the guide {before.header.guide.id}, the answers are for {guide.id}.",
            todo="Use another name, or the answers of that guide.",
        )
    require_answers(answers, guide, before)
    for note in answers.notes:
        say_line(f"! {note}")
    writer = store.open(name) if existing else store.create(name, _guide_ref(guide), current_actor("run"))
    with writer:
        say_line(f"{'Going on with' if existing else 'New setup'} {name} in {writer.path}")
        return until_signal(_run(writer, guide, answers, environment))


def _require_harmless_name(name: str, answers: Answers) -> None:
    """Refuses a secret as the setup's name: that becomes a file's name and stands in the journal's first line."""
    guard = SecretGuard()
    for secret in answers.secrets.values():
        guard.hold(*secret.spellings())
    guard.check(name, "the setup's name")


def _guide_ref(guide: Guide) -> Any:
    from state.events import GuideRef

    return GuideRef(id=guide.id, version=guide.version)


async def _run(writer: Writer, guide: Guide, answers: Answers, environment: EnvironmentSet) -> int:
    held = tuple(answers.secrets.values())
    async with connected(environment, drop_env=answers.dropped_env, held=lambda: held, say=say, told=say) as (
        readers,
        writers,
    ):
        session = Session(writer, guide, current_actor("run"), readers=readers, writers=writers)
        work = Run(session, answers, say_line)
        session.set_environment(environment)
        await work.finish_interrupted()
        work.commit_answers()
        result = await work.take_steps()
    for item_step, problem in result.problems:
        say()
        say_line(str(item_step))
        problem.mask(session.redact)
        say_problem(problem)
    _show_end(writer, guide, session.snapshot)
    return result.exit_code


def _show_end(writer: Writer, guide: Guide, snapshot: Snapshot) -> None:
    from state.clock import now

    status = derive(guide, snapshot, now())
    sandbox = "  SANDBOX" if snapshot.environment and snapshot.environment.data.sandbox else ""
    rows = [
        (f"{glyph(status.steps[step.id])} {status.steps[step.id]}", str(step.number), step.title)
        for step in guide.steps
    ]
    unproven = {place.unproven for place in status.item_steps.values() if place.unproven}
    data(f"{snapshot.header.name}{sandbox}: {status.done_steps} of {len(guide.steps)} steps done")
    data(columns(rows, indent="  "))
    for reason in sorted(unproven):
        data_line(f"  ! without observed proof: {reason}")
    data(f"saved in {writer.path}\nhead {writer.head}")


# ---------------------------------------------------------------- check


def check(places: Places, name: str, step: str | None, output: str, *, allow_probe_pod: bool) -> int:
    """`check NAME`. Looks without holding anybody up, and records what it found when nobody else is writing."""
    store = places.holding(name)
    journal = store.read(name)
    guide = find_guide(journal.header.guide.id)
    steps = _chosen(guide, step)
    return until_signal(_check(store, journal, guide, steps, output, allow_probe_pod=allow_probe_pod))


def _chosen(guide: Guide, step: str | None) -> tuple[Step, ...]:
    if step is None:
        return guide.steps
    chosen = guide.step(step)
    if chosen is None:
        raise Problem(
            "no-such-step",
            f"There is no step {one_line(step)} in the guide {guide.id}.",
            todo=f"Steps: {', '.join(f'{known.number} {known.id}' for known in guide.steps)}.",
        )
    return (chosen,)


async def _check(
    store: Store,
    journal: Journal,
    guide: Guide,
    steps: tuple[Step, ...],
    output: str,
    *,
    allow_probe_pod: bool,
) -> int:
    snapshot, name = _snapshot(journal), journal.header.name
    ours = environment_is_ours(snapshot, current_actor("check"))
    way = _consent(snapshot, allow_probe_pod=allow_probe_pod) if ours else NO_PROBE
    recorded: Snapshot | None = None
    left = bool(snapshot.probes) and ours
    async with _ports_of(snapshot, probing=left or way != NO_PROBE) as (readers, writers), AsyncExitStack() as stack:
        # A pod is written down before it is made; for anything else nobody is held up while we look.
        session = _opened(stack, store, name, guide) if left or way == BY_POD else None
        if session is not None:
            session.readers, session.writers, session.told = readers, writers, say_line
            session.consent(way)
            await session.sweep_probes()
            looks = session.looking()
        else:
            may = writers.probe is not None and way != NO_PROBE
            looks = replace(readers, inside=Consented(writers.probe, BY_EXEC) if writers.probe and may else None)
        found = await _found(guide, snapshot, steps, looks)
        if ours:
            session = session or _opened(stack, store, name, guide)
        # Before anything is written or shown: what pods and servers say may hold a token.
        redact = session.redact if session is not None else SecretGuard().redact
        found = tuple(redacted(one, redact) for one in found)
        # What could not be asked at all, for want of an environment, takes nothing away from what was found before.
        if session is not None:
            recorded = _record(session, found, snapshot)
    shown = checking.with_findings(recorded or snapshot, found, current_actor("check"))
    body = checking.document(name, guide, shown, steps, recorded=recorded is not None)
    if output == "json":
        data_json("check", body)
    else:
        data(checking.as_text(body))
    return checking.exit_code(body)


def _consent(snapshot: Snapshot, *, allow_probe_pod: bool) -> str:
    """How the cluster may be looked at from inside: as was consented to, here or before."""
    if allow_probe_pod:
        return BY_POD
    return snapshot.probe.data.probe if snapshot.probe is not None else NO_PROBE


async def _found(guide: Guide, snapshot: Snapshot, steps: tuple[Step, ...], readers: Readers) -> tuple[Found, ...]:
    progress = Progress()
    try:
        return await checking.look_at_all(
            guide, snapshot, steps, readers, each=lambda looked: progress.show(_how_far(guide, looked))
        )
    finally:
        progress.clear()


def _how_far(guide: Guide, looked: checking.Looked) -> str:
    found = looked.found
    named = " ".join(item.partition("/")[2] for item in found.items)
    step = guide.step(found.step)
    where = f"step {step.number} {step.title}" if step else found.step
    return f"looked at {looked.done} of {looked.total}: {where}{f' ({named})' if named else ''}"


def _opened(stack: AsyncExitStack, store: Store, name: str, guide: Guide) -> Session | None:
    """The setup, to write to as long as `stack` lasts; None when somebody else writes, or the file can't be written."""
    try:
        return Session(stack.enter_context(store.open(name)), guide, current_actor("check"))
    except Problem as problem:
        say_line(f"{problem.what} So what is found now is shown and not recorded.")
        return None


def _record(session: Session, found: tuple[Found, ...], before: Snapshot) -> Snapshot | None:
    """Journals what is news; None when it can't be written. What somebody changed or looked at since `before`, while we
    looked, is left as they left it."""
    try:
        for finding in found:
            if session.about_now(finding, before):
                session.record(finding)
    except Problem as problem:
        say_line(f"{problem.what} So what is found now is shown and not recorded.")
        return None
    return session.snapshot


@asynccontextmanager
async def _ports_of(snapshot: Snapshot, *, probing: bool) -> AsyncIterator[tuple[Readers, Writers]]:
    """What looks in a setup's environment, and when `probing` the probe; nothing when its paths came from another host
    or user.

    Paths that come with a copied file are inert until confirmed (DESIGN.md section 3).
    """
    recorded = snapshot.environment
    if recorded is None:
        yield Readers(), Writers()
    elif not environment_is_ours(snapshot, current_actor("check")):
        say_line(
            f"The paths of this setup were entered by {recorded.actor.user} on {recorded.actor.host}; "
            "they are not used here until `run` or `resume` confirms them."
        )
        yield Readers(), Writers()
    elif probing:
        async with connected(recorded.data, told=say_line) as (readers, writers):
            yield readers, Writers(probe=writers.probe)
    else:
        async with looking(recorded.data, told=say_line) as readers:
            yield readers, Writers()


def _snapshot(journal: Journal) -> Snapshot:
    return fold(journal.header, journal.events, head=journal.head)


# ---------------------------------------------------------------- doctor


def doctor(places: Places, given: Mapping[str, Any], namespace: str, output: str) -> int:
    """`doctor`."""
    return until_signal(_doctor(places, given, namespace, output))


async def _doctor(places: Places, given: Mapping[str, Any], namespace: str, output: str) -> int:
    from wizard import doctor as examining

    environment = resolve_environment(given)
    async with looking(environment, told=say_line) as readers:
        lines = await examining.examine(environment, readers, places.real.state_dir, namespace)
    if output == "json":
        checks = [
            {"id": line.id, "title": line.title, "state": line.state, "text": line.text, "todo": line.todo}
            for line in lines
        ]
        data_json("doctor", {"checks": checks})
    else:
        for line in lines:
            data_line(f"{glyph(line.state)} {line.state:<14} {line.title}: {line.text}")
            if line.todo:
                data_line(f"{'':<17}do next: {line.todo}")
    return examining.exit_code(lines)
