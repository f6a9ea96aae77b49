"""Review: what a journal says, for an auditor. Pure: a report is made of a journal and nothing else.

The same facts go into text and JSON. A report is derived as of the journal's last event, so that it can be made again
later from the same journal and compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from state.events import (
    Attested,
    ChangeFinished,
    ChangeStarted,
    Data,
    EnvironmentSet,
    Event,
    FieldSet,
    Found,
    IdentityPinned,
    ItemAdded,
    ItemRemoved,
    Linked,
    ModeSet,
    ProbeConsented,
    ProbeEnded,
    ProbeStarted,
    ProcessStarted,
    ProofWaived,
    RouteChosen,
    TornLineCut,
    Unlinked,
)
from state.problem import EXIT_BAD, Problem
from state.snapshot import Snapshot, fold
from wizard.current import current_attestation
from wizard.guide import Guide
from wizard.output import columns, glyph
from wizard.status import (
    SetupStatus,
    derive,
)
from wizard.text import clean, one_line
from wizard.view import View, item_steps

if TYPE_CHECKING:
    from state.journal import Journal


def report(journal: Journal, guide: Guide, *, as_of: str | None = None, head: str | None = None) -> dict[str, Any]:
    """The report of a journal as plain data, up to the time `as_of` or the event whose line has the hash `head`.

    Raises Problem when the journal holds neither.
    """
    events, reached = cut(journal, as_of, head)
    snapshot = fold(journal.header, events)
    at = snapshot.last_ts
    status = derive(guide, snapshot, at)
    return {
        "setup": journal.header.name,
        "guide": {"id": journal.header.guide.id, "version": journal.header.guide.version, "title": guide.title},
        "mode": snapshot.mode,
        "created": journal.header.ts,
        "as_of": at,
        "events": len(events),
        "head": reached,
        "sandbox": bool(snapshot.environment and snapshot.environment.data.sandbox),
        "chain": _chain(journal),
        "environment": _plain(snapshot.environment.data) if snapshot.environment else None,
        "identities": {kind: dict(record.data.facts) for kind, record in snapshot.identities.items()},
        "items": {kind: list(named) for kind, named in snapshot.items.items()},
        "links": [list(link) for link in snapshot.links],
        "steps": list(_steps(guide, snapshot, status)),
        "timeline": [_moment(event) for event in events],
        "actors": "claimed by the program that wrote them, not proven",
    }


def cut(journal: Journal, as_of: str | None = None, head: str | None = None) -> tuple[tuple[Event, ...], str]:
    """The events up to a time or a head, and the hash of the last line that is in.

    Raises Problem when the journal holds neither.
    """
    events = journal.events
    if as_of is not None:
        events = tuple(event for event in events if event.ts <= as_of)
        if not events and journal.header.ts > as_of:
            raise Problem(
                "too-early",
                f"This setup began at {journal.header.ts}, after {one_line(as_of)}.",
                todo="Give a later time to --as-of.",
            )
    if head is not None:
        # The hash of a line stands in the line after it; the last line's is the journal's head.
        hashes = [event.prev for event in journal.events] + [journal.head]
        if head not in hashes:
            raise Problem(
                "head-not-found",
                f"No line of this journal has the hash {one_line(head)}.",
                means="It is another journal, or it was changed or cut since.",
                todo="Compare the file with the copy the report was made from.",
                exit_code=EXIT_BAD,
            )
        events = journal.events[: hashes.index(head)]
    reached = journal.events[len(events)].prev if len(events) < len(journal.events) else journal.head
    return events, reached


def unexpected_head(journal: Journal, expect: str) -> Problem | None:
    """What is wrong when the journal's head is not the one noted elsewhere; None when it is that one."""
    if expect.strip().lower() == journal.head:
        return None
    return Problem(
        "other-head",
        f"The head is {journal.head}, expected was {one_line(expect)}.",
        means="Lines were added, changed or cut since that head was noted.",
        todo="Compare with the copy the head was noted from; `--verify REPORT` names the differences.",
        exit_code=EXIT_BAD,
    )


def _chain(journal: Journal) -> dict[str, Any]:
    return {
        "intact": not journal.problems,
        "problems": [
            {"line": problem.line, "code": problem.code, "what": problem.what, "means": problem.means}
            for problem in journal.problems
        ],
        "torn_bytes": len(journal.torn) if journal.torn else 0,
    }


def _steps(guide: Guide, snapshot: Snapshot, status: SetupStatus) -> Iterator[dict[str, Any]]:
    for step in guide.steps:
        yield {
            "number": step.number,
            "id": step.id,
            "title": step.title,
            "status": status.steps[step.id],
            "items": [
                _item_step(View(guide, snapshot, step, place.items), status)
                for place in item_steps(guide, snapshot, step)
            ],
        }


def _item_step(view: View, status: SetupStatus) -> dict[str, Any]:
    mine = status.item_steps[view.item_step]
    attested = current_attestation(view)
    findings = []
    for check in view.step.checks:
        record = snapshot_finding(view, check.id)
        if record is not None:
            findings.append(
                {
                    "check": check.id,
                    "title": check.title,
                    "verdict": record.data.verdict,
                    "text": record.data.text,
                    "ts": record.ts,
                    "current": record.data.fingerprint == view.fingerprint(check.id, check.revision),
                    "evidence": [_plain(seen) for seen in record.data.evidence],
                }
            )
    return {
        "items": list(view.items),
        "status": mine.status,
        "reasons": list(mine.reasons),
        "waits_for": [str(place) for place in mine.gate],
        "unproven": mine.unproven or None,
        "values": [list(pair) for pair in view.inputs()],
        "attested": _attested(attested.data, attested.ts, attested.actor) if attested else None,
        "findings": findings,
    }


def snapshot_finding(view: View, check_id: str) -> Any:
    """The last journalled finding of a check for the viewed items, or None."""
    return view.snapshot.findings.get((view.step.id, view.items, check_id))


def _attested(data: Attested, ts: str, actor: Any) -> dict[str, Any]:
    return {
        "text": data.text,
        "revision": data.revision,
        "ts": ts,
        "by": f"{actor.user}@{actor.host}",
        "answers_sha256": data.answers_sha256,
    }


def _moment(event: Event) -> dict[str, Any]:
    return {
        "seq": event.seq,
        "ts": event.ts,
        "by": f"{event.actor.user}@{event.actor.host}",
        "via": event.actor.via,
        "type": event.type,
        "text": describe(event),
    }


def describe(event: Event) -> str:
    """One event in words."""
    data = event.data
    if isinstance(data, Found):
        return f"{_place(data.step, data.items)} {data.check}: {data.verdict}, {said(event)}"
    if isinstance(data, Attested):
        return f"{_place(data.step, data.items)} attested: {said(event)}"
    if isinstance(data, RouteChosen | ProofWaived | ChangeStarted):
        return f"{_place(data.step, data.items)} {said(event)}"
    return said(event)


def said(event: Event) -> str:
    """What an event says, without the step, the items and the state: these stand beside it on a screen."""
    words = _WORDS.get(type(event.data))
    return words(event.data) if words else event.type


def _field_set(data: FieldSet) -> str:
    owner = f"{data.item} " if data.item else ""
    if data.value is None:
        return f"{owner}{data.field} cleared"
    digest = f" (sha256 {data.file.sha256})" if data.file else ""
    return f"{owner}{data.field} = {data.value}{digest}, {data.source}"


def _environment(data: EnvironmentSet) -> str:
    return "environment: " + ", ".join(f"{key} {value}" for key, value in _plain(data).items())


def _pinned(data: IdentityPinned) -> str:
    return f"{data.kind} pinned: " + ", ".join(f"{key} {value or 'unknown'}" for key, value in data.facts.items())


_WORDS: dict[type[Data], Callable[[Any], str]] = {
    ModeSet: lambda data: f"mode {data.mode}",
    EnvironmentSet: _environment,
    ItemAdded: lambda data: f"added {data.item}",
    ItemRemoved: lambda data: f"removed {data.item}",
    Linked: lambda data: f"linked {data.source} with {data.target}",
    Unlinked: lambda data: f"unlinked {data.source} from {data.target}",
    FieldSet: _field_set,
    RouteChosen: lambda data: f"route: {data.route}",
    Found: lambda data: data.text,
    Attested: lambda data: data.text,
    ProofWaived: lambda data: f"goes on without observed proof: {data.reason}",
    ProbeConsented: lambda data: f"consent to probe: {data.probe}",
    ProbeStarted: lambda data: f"about to make pod {data.pod} in {data.namespace}, to look from inside the cluster",
    ProbeEnded: lambda data: f"pod {data.pod} is removed",
    IdentityPinned: _pinned,
    ChangeStarted: lambda data: f"started: {data.summary}",
    ProcessStarted: lambda data: f"process {data.pid} started",
    ChangeFinished: lambda data: f"{data.outcome}: {data.summary}",
    TornLineCut: lambda data: f"half a line of {data.bytes} bytes cut off, kept in {data.kept_in}",
}


def _place(step: str, items: tuple[str, ...]) -> str:
    return " ".join((step, *(item.partition("/")[2] for item in items)))


def _plain(struct: msgspec.Struct) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(struct)
    return found


# ---------------------------------------------------------------- text


def as_text(document: Mapping[str, Any]) -> str:
    """The report for a reader."""
    mark = "  SANDBOX" if document["sandbox"] else ""
    chain = document["chain"]
    lines = [
        f"{document['setup']}{mark}   {document['guide']['title']}, {document['mode']}",
        f"as of {document['as_of']}, {document['events']} events, head {document['head']}",
    ]
    if chain["intact"]:
        lines.append(f"{glyph('ok')} chain intact")
    lines += [
        f"{glyph('failed')} line {problem['line']}: {problem['what']} {problem['means']}"
        for problem in chain["problems"]
    ]
    if chain["torn_bytes"]:
        lines.append(f"{glyph('stale')} the last {chain['torn_bytes']} bytes are half a line, and are not counted")
    lines += ["", "Steps"]
    for step in document["steps"]:
        for item in step["items"] or [{"items": [], "status": step["status"], "reasons": ["no items yet"]}]:
            lines += _step_lines(step, item)
    # A line break inside a text must not make a line of its own: it could look like one of ours.
    lines = [clean(line) for line in lines]
    lines += ["", "Timeline (who: claimed, not proven)"]
    lines.append(
        columns(((moment["ts"], moment["by"], moment["text"]) for moment in document["timeline"]), indent="  ")
    )
    return "\n".join(lines)


def _step_lines(step: Mapping[str, Any], item: Mapping[str, Any]) -> Iterator[str]:
    named = " ".join(name.partition("/")[2] for name in item["items"])
    reason = f"   {'; '.join(dict.fromkeys(item['reasons']))}" if item["reasons"] else ""
    title = f"{step['number']} {step['title']}{f' ({named})' if named else ''}"
    yield f"  {glyph(item['status'])} {item['status']:<18} {title}{reason}"
    if item.get("unproven"):
        yield f"      without observed proof: {item['unproven']}"
    if item.get("attested"):
        said = item["attested"]
        source = ", from an answers file" if said["answers_sha256"] else ""
        yield f"      {said['by']} at {said['ts']}{source}: {said['text']}"
    for finding in item.get("findings", ()):
        stale = "" if finding["current"] else " (stale: an input changed since)"
        yield f"      {glyph(finding['verdict'])} {finding['title']}: {finding['text']}{stale}"
        for seen in finding["evidence"]:
            yield f"        {seen['source']}: {seen['request']} as {seen['identity']}, sha256 {seen['sha256']}"


# ---------------------------------------------------------------- comparing


def compare(kept: Mapping[str, Any], rebuilt: Mapping[str, Any]) -> tuple[str, ...]:
    """Every place where a kept report differs from the one made again from the journal."""
    return tuple(_differences(kept, rebuilt, ""))


def _differences(kept: Any, rebuilt: Any, path: str) -> Iterator[str]:
    if isinstance(kept, Mapping) and isinstance(rebuilt, Mapping):
        for key in sorted(kept.keys() | rebuilt.keys(), key=str):
            here = f"{path}.{key}" if path else str(key)
            if key not in kept:
                yield f"{here}: missing in the report"
            elif key not in rebuilt:
                yield f"{here}: not in the journal"
            else:
                yield from _differences(kept[key], rebuilt[key], here)
    elif isinstance(kept, list | tuple) and isinstance(rebuilt, list | tuple):
        if len(kept) != len(rebuilt):
            yield f"{path}: {len(kept)} in the report, {len(rebuilt)} in the journal"
        for index, (one, other) in enumerate(zip(kept, rebuilt, strict=False)):
            yield from _differences(one, other, f"{path}[{index}]")
    elif kept != rebuilt:
        yield f"{path}: {one_line(str(kept))} in the report, {one_line(str(rebuilt))} in the journal"
