"""`check`: looks at every step of a setup again and says what is so. Readers only; the journal is told if it can be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from state.clock import now
from state.events import BAD, Actor, Found
from state.problem import EXIT_BAD, EXIT_NOT_YET, EXIT_OK
from state.snapshot import RecordedFinding, Snapshot
from wizard.guide import Guide, Step
from wizard.output import glyph
from wizard.session import look
from wizard.status import FAILED, SetupStatus, derive
from wizard.text import clean
from wizard.view import View, item_steps

if TYPE_CHECKING:
    from wizard.ports import Readers

# How many items' steps are looked at side by side.
AT_ONCE = 8


async def look_at_all(
    guide: Guide,
    snapshot: Snapshot,
    steps: tuple[Step, ...],
    readers: Readers,
    *,
    done: Callable[[tuple[Found, ...]], None] = lambda _: None,
) -> tuple[Found, ...]:
    """Every check of `steps` for every item, a bounded number at once. `done` is told what each item's step gave."""
    limit = asyncio.Semaphore(AT_ONCE)

    async def one(view: View) -> tuple[Found, ...]:
        async with limit:
            found = await look(view, readers)
        done(found)
        return found

    views = [View(guide, snapshot, step, place.items) for step in steps for place in item_steps(guide, snapshot, step)]
    return tuple(found for several in await asyncio.gather(*map(one, views)) for found in several)


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
