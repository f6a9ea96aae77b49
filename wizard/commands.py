"""What the commands `check`, `review`, `run` and `doctor` do, between the command line and the engine."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from state.actor import current_actor
from state.events import EnvironmentSet
from state.problem import EXIT_BAD, EXIT_INTERRUPTED, EXIT_OK, Problem
from state.snapshot import Snapshot, fold
from wizard import checking
from wizard.answers import Answers, environment_of, examine, read_answers
from wizard.environment import connected, resolve_environment
from wizard.guide import Guide, Step
from wizard.guides import guide as find_guide
from wizard.output import columns, data, data_json, glyph, say, say_problem
from wizard.ports import Readers
from wizard.session import Session, environment_is_ours
from wizard.status import derive
from wizard.text import one_line
from wizard.unattended import Run, require_answers

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
    writer = store.open(name) if existing else store.create(name, _guide_ref(guide), current_actor("run"))
    with writer:
        say(f"{'Going on with' if existing else 'New setup'} {name} in {writer.path}")
        return _until_signal(_run(writer, guide, answers, environment))


def _guide_ref(guide: Guide) -> Any:
    from state.events import GuideRef

    return GuideRef(id=guide.id, version=guide.version)


async def _run(writer: Writer, guide: Guide, answers: Answers, environment: EnvironmentSet) -> int:
    held = tuple(answers.secrets.values())
    async with connected(environment, drop_env=answers.dropped_env, held=lambda: held, say=say) as (readers, writers):
        session = Session(writer, guide, current_actor("run"), readers=readers, writers=writers)
        work = Run(session, answers, say)
        for (kind, item, key), secret in answers.secrets.items():
            session.hold_secret(f"{kind}/{item}", key, secret)
        session.set_environment(environment)
        work.commit_answers()
        result = await work.take_steps()
    for item_step, problem in result.problems:
        say(f"\n{item_step}")
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
        data(f"  ! without observed proof: {reason}")
    data(f"saved in {writer.path}\nhead {writer.head}")


def _until_signal(work: Awaitable[int]) -> int:
    """Runs `work`; SIGINT and SIGTERM cancel it, so that what runs below is stopped and its end is written."""

    async def supervised() -> int:
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(work)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, task.cancel)
        try:
            return await task
        except asyncio.CancelledError:
            say("Interrupted: what was running is stopped, and what was saved is saved.")
            say("Run the same command again to go on.")
            return EXIT_INTERRUPTED

    return asyncio.run(supervised())


# ---------------------------------------------------------------- check


def check(places: Places, name: str, step: str | None, output: str, *, allow_probe_pod: bool) -> int:
    """`check NAME`. Records what it finds when nobody else is writing."""
    store = places.holding(name)
    journal = store.read(name)
    guide = find_guide(journal.header.guide.id)
    steps = _chosen(guide, step)
    writer = _writer_if_free(store, name)
    try:
        return _until_signal(_check(writer, journal, guide, steps, output, allow_probe_pod=allow_probe_pod))
    finally:
        if writer is not None:
            writer.close()


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


def _writer_if_free(store: Store, name: str) -> Writer | None:
    """The setup's writer; None when somebody else writes or the file can't be written: then it looks only."""
    try:
        return store.open(name)
    except Problem as problem:
        say(f"{problem.what} So what is found now is shown and not recorded.")
        return None


async def _check(
    writer: Writer | None,
    journal: Journal,
    guide: Guide,
    steps: tuple[Step, ...],
    output: str,
    *,
    allow_probe_pod: bool,
) -> int:
    snapshot = _snapshot(writer.journal if writer else journal)
    session = Session(writer, guide, current_actor("check")) if writer else None
    if session is not None and allow_probe_pod:
        session.consent("pod")
        snapshot = session.snapshot
    async with _readers_of(snapshot) as readers:
        found = await checking.look_at_all(guide, snapshot, steps, readers)
    if session is not None:
        checking.record(session, found)
        snapshot = session.snapshot
    shown = checking.with_findings(snapshot, found, current_actor("check"))
    body = checking.document(journal.header.name, guide, shown, steps, recorded=session is not None)
    if output == "json":
        data_json("check", body)
    else:
        data(checking.as_text(body))
    return checking.exit_code(body)


@asynccontextmanager
async def _readers_of(snapshot: Snapshot) -> AsyncIterator[Readers]:
    """The readers of a setup's environment; none when its paths came from another host or user.

    Paths that come with a copied file are inert until confirmed (DESIGN.md section 3).
    """
    recorded = snapshot.environment
    if recorded is None:
        yield Readers()
    elif not environment_is_ours(snapshot, current_actor("check")):
        say(
            f"The paths of this setup were entered by {recorded.actor.user} on {recorded.actor.host}; "
            "they are not used here until `run` or `resume` confirms them."
        )
        yield Readers()
    else:
        async with connected(recorded.data) as (readers, _):
            yield readers


def _snapshot(journal: Journal) -> Snapshot:
    return fold(journal.header, journal.events, head=journal.head)


# ---------------------------------------------------------------- review


def review(
    places: Places,
    target: str,
    *,
    as_of: str | None,
    expect: str | None,
    verify: str | None,
    output: str,
    out: str | None,
) -> int:
    """`review NAME|FILE`: reads a journal and nothing else; writes nothing but the report asked for."""
    from wizard import review as reviewing

    journal = _journal(places, target)
    guide = find_guide(journal.header.guide.id)
    code = EXIT_OK
    if journal.problems or journal.torn:
        code = EXIT_BAD if journal.problems else code
    if expect is not None:
        code = _expect(journal, expect, code)
    if verify is not None:
        return _verify(journal, guide, Path(verify).expanduser(), code)
    document = reviewing.report(journal, guide, as_of=_time(as_of))
    if output == "json":
        text = json.dumps({"format": "privatelink-wizard.review/1", **document}, indent=2)
    else:
        text = reviewing.as_text(document)
    if out is not None:
        _write_new(Path(out).expanduser(), text)
    else:
        data(text)
    return code


def _journal(places: Places, target: str) -> Journal:
    """The journal of a name, or of a file: an argument with `/` or ending in .jsonl (DESIGN.md section 5)."""
    from state.journal import read

    if "/" in target or target.endswith(".jsonl"):
        return read(Path(target).expanduser())
    return places.holding(target).read(target)


def _time(text: str | None) -> str | None:
    """A given time in the journal's own form, so that texts compare as times do."""
    from datetime import UTC, datetime

    if text is None:
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise Problem(
            "bad-time", f"{one_line(text)} is not a time.", todo="Write it as 2026-11-22T17:00:00Z.", exit_code=EXIT_BAD
        ) from None
    moment = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _expect(journal: Journal, expect: str, code: int) -> int:
    if expect.strip().lower() == journal.head:
        say(f"{glyph('ok')} the head is the expected one")
        return code
    say_problem(
        Problem(
            "other-head",
            f"The head is {journal.head}, expected was {one_line(expect)}.",
            means="Lines were added, changed or cut since that head was noted.",
            todo="Compare with the copy the head was noted from; `--verify REPORT` names the differences.",
        )
    )
    return EXIT_BAD


def _verify(journal: Journal, guide: Guide, path: Path, code: int) -> int:
    """Makes the report again as of its own head, and names every difference."""
    from wizard import review as reviewing

    try:
        kept = json.loads(path.read_bytes())
    except OSError as error:
        raise Problem("report-unreadable", f"{one_line(str(path))} can't be read: {error.strerror}.") from None
    except (ValueError, RecursionError):
        raise Problem(
            "report-unreadable", f"{one_line(str(path))} is not a JSON report.", todo="Make one with -o json."
        ) from None
    if not isinstance(kept, dict) or kept.get("format") != "privatelink-wizard.review/1":
        raise Problem("report-unreadable", f"{one_line(str(path))} is not a report.", todo="Make one with -o json.")
    rebuilt = reviewing.report(journal, guide, head=str(kept.get("head", "")))
    differences = reviewing.compare(kept, json.loads(json.dumps({"format": kept["format"], **rebuilt})))
    if not differences:
        data(f"{glyph('ok')} the report says what the journal says, as of {rebuilt['as_of']}")
        return code
    for difference in differences:
        data(f"{glyph('failed')} {difference}")
    return EXIT_BAD


def _write_new(path: Path, text: str) -> None:
    """Writes a report; never over a file that is there."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text + "\n")
    except FileExistsError:
        raise Problem("file-exists", f"{one_line(str(path))} exists.", todo="Choose another name.") from None
    except OSError as error:
        raise Problem("not-written", f"{one_line(str(path))} can't be written: {error.strerror}.") from None
    say(f"written to {path}")


# ---------------------------------------------------------------- doctor


def doctor(places: Places, given: Mapping[str, Any], namespace: str, output: str) -> int:
    """`doctor`."""
    return _until_signal(_doctor(places, given, namespace, output))


async def _doctor(places: Places, given: Mapping[str, Any], namespace: str, output: str) -> int:
    from wizard import doctor as examining

    environment = resolve_environment(given)
    async with connected(environment) as (readers, _):
        lines = await examining.examine(environment, readers, places.real.state_dir, namespace)
    if output == "json":
        checks = [
            {"id": line.id, "title": line.title, "state": line.state, "text": line.text, "todo": line.todo}
            for line in lines
        ]
        data_json("doctor", {"checks": checks})
    else:
        for line in lines:
            data(f"{glyph(line.state)} {line.state:<14} {line.title}: {line.text}")
            if line.todo:
                data(f"{'':<17}do next: {line.todo}")
    return examining.exit_code(lines)
