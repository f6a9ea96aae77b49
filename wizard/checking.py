"""`check`: looks at every step of a setup again and says what is so. Readers only; the journal is told if it can be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from state.clock import now
from state.events import BAD, Actor, Found
from state.problem import EXIT_BAD, EXIT_NOT_YET, EXIT_OK
from state.snapshot import RecordedFinding, Snapshot
from wizard.guide import Check, Guide, ItemStep, Step
from wizard.output import glyph
from wizard.relations import Relations
from wizard.round import one_round
from wizard.session import run_check
from wizard.status import FAILED, SetupStatus, derive
from wizard.text import clean
from wizard.together import together
from wizard.view import View, item_steps

if TYPE_CHECKING:
    from state.problem import Problem
    from wizard.ports import Readers

@dataclass(frozen=True, slots=True)
class Looked:
    """How far a round is: `done` of `total` looks, and what the last one found."""

    done: int
    total: int
    found: Found


def places_of(guide: Guide, snapshot: Snapshot, steps: Iterable[Step]) -> tuple[ItemStep, ...]:
    """Every item's step of `steps` that has something to look at."""
    return tuple(place for step in steps if step.checks for place in item_steps(guide, snapshot, step))


async def look_at_all(
    guide: Guide,
    snapshot: Snapshot,
    places: Sequence[ItemStep],
    readers: Readers,
    *,
    each: Callable[[Looked], None] = lambda _: None,
    told: Callable[[ItemStep, Problem], None] = lambda *_: None,
) -> tuple[Found, ...]:
    """One round: every check of `places`, side by side, their reads shared and a bounded number at once.

    `each` hears of every finding as it comes, `told` of each Problem that a check could not look for. The findings are
    returned in the order of places and checks. Reads only.
    """
    relations = Relations(guide, snapshot)
    here = View(guide, snapshot, guide.steps[0], relations=relations)
    looks = [(view, check) for place in places for view in (here.of(place.step, place.items),) for check in view.step.checks]
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
    """The snapshot as if the findings were journalled now; for a look that does not record."""
    moment = now()
    added = {
        (finding.step, finding.items, finding.check): RecordedFinding(
            data=finding, ts=moment, actor=actor, seq=snapshot.seq, since=moment
        )
        for finding in found
    }
    return replace(snapshot, findings={**snapshot.findings, **added})


def document(name: str, guide: Guide, snapshot: Snapshot, steps: tuple[Step, ...], *, recorded: bool) -> dict[str, Any]:
    """What `check -o json` prints, and what its text is made of."""
    status = derive(guide, snapshot, now())
    return {
        "setup": name,
        "ts": now(),
        "recorded": recorded,
        "head": snapshot.head,
        "steps": [_step(guide, snapshot, status, step) for step in steps],
    }


def _step(guide: Guide, snapshot: Snapshot, status: SetupStatus, step: Step) -> dict[str, Any]:
    items = []
    for place in item_steps(guide, snapshot, step):
        mine = status.item_steps[place]
        findings = [
            {
                "check": check.id,
                "title": check.title,
                "proves": check.decides,
                **_finding(record.data),
                "ts": record.ts,
            }
            for check in step.checks
            if (record := snapshot.findings.get((step.id, place.items, check.id))) is not None
        ]
        items.append(
            {
                "items": list(place.items),
                "status": mine.status,
                "reasons": list(mine.reasons),
                "waits_for": [str(wait) for wait in mine.gate],
                "unproven": mine.unproven or None,
                "findings": findings,
            }
        )
    return {
        "number": step.number,
        "id": step.id,
        "title": step.title,
        "status": status.steps[step.id],
        "items": items,
    }


def _finding(found: Found) -> dict[str, Any]:
    return {
        "verdict": found.verdict,
        "text": found.text,
        "todo": found.todo,
        "evidence": [msgspec.to_builtins(seen) for seen in found.evidence],
    }


def exit_code(body: Mapping[str, Any]) -> int:
    """1 when a check is bad or a step failed, 3 when a step is not done, else 0; attested counts as done.

    A look that only advises counts when it is bad, not when it could not be made.
    """
    code = EXIT_OK
    for step in body["steps"]:
        for item in step["items"] or [{"status": step["status"], "findings": []}]:
            bad = any(finding["verdict"] == BAD for finding in item["findings"])
            if bad or item["status"] == FAILED:
                return EXIT_BAD
            if item["status"] not in ("observed", "attested", "reported"):
                code = EXIT_NOT_YET
    return code


def as_text(body: Mapping[str, Any]) -> str:
    """The answer for a terminal, cron or CI: a line per step, its looks below it."""
    lines = [f"{body['setup']}, looked at {body['ts']}" + ("" if body["recorded"] else ", not recorded")]
    for step in body["steps"]:
        for item in step["items"] or [{"items": [], "status": step["status"], "reasons": (), "findings": ()}]:
            lines += _lines(step, item)
    # A line break inside a text must not make a line of its own: it could look like one of ours.
    return "\n".join(clean(line) for line in lines)


def _lines(step: Mapping[str, Any], item: Mapping[str, Any]) -> Iterator[str]:
    named = " ".join(name.partition("/")[2] for name in item["items"])
    title = f"{step['number']} {step['title']}{f' ({named})' if named else ''}"
    reason = f": {item['reasons'][0]}" if item["reasons"] else ""
    yield f"{glyph(item['status'])} {item['status']:<18} {title}{reason}"
    if item.get("unproven"):
        yield f"    without observed proof: {item['unproven']}"
    for finding in item["findings"]:
        yield f"    {glyph(finding['verdict'])} {finding['title']}: {finding['text']}"
        if finding["todo"] and finding["verdict"] != "good":
            yield f"      do next: {finding['todo']}"
