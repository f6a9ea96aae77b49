"""`check`: looks at every step of a setup again and says what is so. Readers only; the journal is told if it can be."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from state.clock import now
from state.events import BAD, COULD_NOT_LOOK, GOOD, NOT_YET, Actor, Found
from state.problem import EXIT_BAD, EXIT_NOT_YET, EXIT_OK
from state.snapshot import RecordedFinding, Snapshot
from wizard.current import drift_of, last_finding, settled, why_stale
from wizard.guide import Check, Guide, ItemStep, Step
from wizard.output import glyph
from wizard.relations import Relations
from wizard.round import one_round
from wizard.session import run_check
from wizard.status import DONE_STATUSES, FAILED, SetupStatus, derive
from wizard.text import clean
from wizard.together import together
from wizard.view import View, item_steps

if TYPE_CHECKING:
    from state.problem import Problem
    from wizard.ports import Readers

VERDICTS = (GOOD, BAD, COULD_NOT_LOOK, NOT_YET)


@dataclass(frozen=True, slots=True)
class Looked:
    """How far a round is: `done` of `total` looks, and what the last one found."""

    done: int
    total: int
    found: Found


async def look_at_all(
    guide: Guide,
    snapshot: Snapshot,
    steps: Sequence[Step],
    readers: Readers,
    *,
    places: Collection[ItemStep] | None = None,
    each: Callable[[Looked], None] = lambda _: None,
    told: Callable[[ItemStep, Problem], None] = lambda *_: None,
) -> tuple[Found, ...]:
    """One round: every check of `steps` for every item, or for these `places`, their reads shared and bounded.

    `each` hears of every finding as it comes, `told` of each Problem that a check could not look for. The findings are
    returned in the order of steps, items and checks. Reads only.
    """
    relations = Relations(guide, snapshot)
    looks = [
        (View(guide, snapshot, step, place.items, relations), check)
        for step in steps
        for place in item_steps(guide, snapshot, step)
        if places is None or place in places
        for check in step.checks
    ]
    done = 0

    async def one(view: View, check: Check, readers: Readers) -> Found:
        nonlocal done
        found = await run_check(check, view, readers, lambda problem: told(view.item_step, problem))
        done += 1
        each(Looked(done, len(looks), found))
        return found

    async with one_round(readers) as shared, together() as group:
        tasks = []
        for view, check in looks:
            tasks.append(group.create_task(one(view, check, shared)))
            # Each begins in a turn of its own: a key that is pressed meanwhile does not wait for all of them.
            await asyncio.sleep(0)
    return tuple(task.result() for task in tasks)


def with_findings(snapshot: Snapshot, found: tuple[Found, ...], actor: Actor) -> Snapshot:
    """The snapshot as if the findings were journalled now; for a look that does not record.

    They are newer than whatever is in the journal; among themselves none is the first.
    """
    moment, added = now(), dict(snapshot.findings)
    for finding in found:
        key = finding.step, finding.items, finding.check
        added[key] = RecordedFinding.after(added.get(key), finding, ts=moment, actor=actor, seq=snapshot.seq + 1)
    return replace(snapshot, findings=added)


# ---------------------------------------------------------------- the answer, as a document


def document(name: str, guide: Guide, snapshot: Snapshot, steps: tuple[Step, ...], *, recorded: bool) -> dict[str, Any]:
    """What `check -o json` prints (docs/check.schema.json), and what its text is made of."""
    moment = now()
    status = derive(guide, snapshot, moment)
    shown = [_step(guide, snapshot, status, step) for step in steps]
    counts = dict.fromkeys(VERDICTS, 0)
    for finding in _findings(shown):
        counts[finding["verdict"]] = counts.get(finding["verdict"], 0) + 1
    return {
        "setup": name,
        "sandbox": snapshot.environment is not None and snapshot.environment.data.sandbox,
        "guide": {"id": guide.id, "version": guide.version},
        "ts": moment,
        "recorded": recorded,
        "head": snapshot.head,
        "verdicts": counts,
        "exit_code": exit_code({"steps": shown}),
        "steps": shown,
    }


def _findings(steps: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    return (finding for step in steps for item in step["items"] for finding in item["findings"])


def _step(guide: Guide, snapshot: Snapshot, status: SetupStatus, step: Step) -> dict[str, Any]:
    items = []
    for place in item_steps(guide, snapshot, step):
        mine = status.item_steps[place]
        view = View(guide, snapshot, step, place.items, now=status.now)
        records = ((check, last_finding(view, check)) for check in step.checks)
        items.append(
            {
                "items": list(place.items),
                "status": mine.status,
                "reasons": list(mine.reasons),
                "waits_for": [str(wait) for wait in mine.gate],
                "unproven": mine.unproven or None,
                "settled": settled(view),
                "findings": [_finding(view, check, record) for check, record in records if record is not None],
            }
        )
    return {
        "number": step.number,
        "id": step.id,
        "title": step.title,
        "status": status.steps[step.id],
        "items": items,
    }


def _finding(view: View, check: Check, record: RecordedFinding) -> dict[str, Any]:
    """One look and what it found; the one place where a finding gets its keys."""
    found, drift = record.data, drift_of(view, check)
    return {
        "check": check.id,
        "title": check.title,
        "hint": check.hint,
        "deadline": check.deadline,
        "proves": check.decides,
        "settles": check.settles,
        "verdict": found.verdict,
        "text": found.text,
        "todo": found.todo,
        "owes": found.owes,
        "since": record.since,
        "ts": record.ts,
        "stale": why_stale(view, check) or None,
        "drift": drift.told() if drift else None,
        "evidence": [msgspec.to_builtins(seen) for seen in found.evidence],
    }


def exit_code(body: Mapping[str, Any]) -> int:
    """1 when a check is bad or a step failed, 3 when a step is not done, else 0; attested counts as done.

    A look that only advises counts when it is bad, not when it could not be made; and not where the last word is good:
    a machine outside the network is rightly answered otherwise than the cluster.
    """
    code = EXIT_OK
    for step in body["steps"]:
        for item in step["items"] or [{"status": step["status"], "settled": None, "findings": []}]:
            bad = any(finding["verdict"] == BAD for finding in item["findings"])
            if (bad and not item["settled"]) or item["status"] == FAILED:
                return EXIT_BAD
            if item["status"] not in DONE_STATUSES:
                code = EXIT_NOT_YET
    return code


# ---------------------------------------------------------------- the answer, as text

MANY = 3
"""Items whose good looks are shown one by one; of more they are counted."""

_MEANS = {
    EXIT_OK: "every step is done, and no look found anything wrong",
    EXIT_BAD: "a look is bad, or a step has failed",
    EXIT_NOT_YET: "not all is done yet, could be looked at, or is in your hands",
}


def as_text(body: Mapping[str, Any]) -> str:
    """The answer for a terminal, cron or CI: the steps with a line per look, its way on below it, and how it ends.

    What is good of many items is counted in one line; whatever is not good is shown.
    """
    recorded = "" if body["recorded"] else ", not recorded"
    lines = [f"{body['setup']}{'  SANDBOX' if body['sandbox'] else ''}, looked at {body['ts']}{recorded}"]
    for step in body["steps"]:
        lines += ["", f"{step['number']} {step['title']}"]
        lines += [glyph("rule") * len(lines[-1]), *_states(step, body["steps"]), *_looks(step)]
    # A line break inside a text must not make a line of its own: it could look like one of ours.
    return "\n".join(clean(line).rstrip() for line in (*lines, "", *_end(body)))


def _end(body: Mapping[str, Any]) -> Iterator[str]:
    code, counts = body["exit_code"], body["verdicts"]
    sign = glyph({EXIT_OK: GOOD, EXIT_BAD: BAD}.get(code, NOT_YET))
    yield f"Status check results are {sign}"
    yield f"  looks      {', '.join(f'{count} {verdict}' for verdict, count in counts.items())}"
    yield f"  exit code  {code}: {_MEANS[code]}"
    if counts[COULD_NOT_LOOK]:
        yield "  do next    privatelink-wizard doctor: it says what hinders looking"
    if code != EXIT_OK:
        yield f"  do next    privatelink-wizard resume {body['setup']}"


def _states(step: Mapping[str, Any], steps: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """How the step stands: a line for each way in which items of it stand."""
    numbers = {one["id"]: str(one["number"]) for one in steps}
    known = frozenset(_name(item) for one in steps for place in one["items"] for item in place["items"])
    same: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for item in step["items"] or [{"items": (), "status": step["status"], "reasons": (), "findings": ()}]:
        why = _why(item, numbers)
        same.setdefault((item["status"], _without(why, known)), []).append((_named(item), why))
    for (status, shape), group in same.items():
        counted = status in DONE_STATUSES and not shape and len(group) > MANY
        whose, also = (f"{len(group)} of {len(step['items'])}", "") if counted else _whose(group)
        yield f"{glyph(status)} {': '.join(filter(None, (status, whose, group[0][1])))}"
        if also:
            yield f"    {also}"


def _without(text: str, names: Collection[str]) -> str:
    """A text that is the same for texts which tell the same of other items."""
    return re.sub(r"[a-z0-9-]+", lambda word: "…" if word[0] in names else word[0], text) if names else text


def _whose(group: Sequence[tuple[str, Any]]) -> tuple[str, str]:
    """The items that a line is about; of many the first one, and beside it the line that names the others."""
    first, *others = [name for name, _ in group]
    if len(group) <= MANY:
        return ", ".join(filter(None, (first, *others))), ""
    return f"{first} and {len(others)} more", f"also: {', '.join(others)}"


def _why(item: Mapping[str, Any], numbers: Mapping[str, str]) -> str:
    """What its looks do not say themselves: why it stands so, what it waits for, that it goes without proof."""
    said = {finding["text"] for finding in item["findings"]}
    parts = [reason for reason in item["reasons"][:1] if reason not in said]
    if item["status"] not in DONE_STATUSES and item.get("waits_for"):
        waits = dict.fromkeys(wait.partition(" ")[0] for wait in item["waits_for"])
        parts.append(f"waits for step {', '.join(numbers.get(wait, wait) for wait in waits)}")
    if item.get("unproven"):
        parts.append(f"without observed proof: {item['unproven']}")
    return "; ".join(parts)


def _looks(step: Mapping[str, Any]) -> Iterator[str]:
    """Its looks, check by check. What is found of several items in the same way is said once, with all their names."""
    checks: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for item in step["items"]:
        for finding in item["findings"]:
            checks.setdefault(finding["check"], []).append((_named(item), finding))
    for found in checks.values():
        good = [one for one in found if one[1]["verdict"] == GOOD]
        if len(good) > MANY:
            yield f"  {glyph(GOOD)} {found[0][1]['title']}: {len(good)} of {len(found)} good"
            found = [one for one in found if one[1]["verdict"] != GOOD]  # noqa: PLW2901
        same: dict[tuple[str, ...], list[tuple[str, Mapping[str, Any]]]] = {}
        for name, finding in found:
            told = (finding[part] or "" for part in ("verdict", "text", "todo", "owes", "stale"))
            shape = (*(_without(one, name.split()) for one in told), str(bool(finding["drift"])))
            same.setdefault(shape, []).append((name, finding))
        for group in same.values():
            yield from _look(group)


def _look(group: Sequence[tuple[str, Mapping[str, Any]]]) -> Iterator[str]:
    """One look; of several items that were found to be in the same way, the first, and the names of the others."""
    finding, (whose, also) = group[0][1], _whose(group)
    verdict = finding["verdict"]
    yield f"  {glyph(verdict)} {finding['title']}{f' ({whose})' if whose else ''}: {finding['text']}"
    if also:
        yield f"      {also}"
    if drift := finding["drift"]:
        yield f"      drift: was {drift['was']} (last seen {drift['until']}), so since {drift['since']}"
    if finding["stale"]:
        yield f"      stale: {finding['stale']}"
    if verdict != GOOD:
        if finding["owes"]:
            yield f"      waits for: {finding['owes']}"
        if todo := finding["todo"] or finding["hint"]:
            yield f"      do next: {todo}"


def _named(item: Mapping[str, Any]) -> str:
    return " ".join(map(_name, item["items"]))


def _name(address: str) -> str:
    return address.partition("/")[2]
