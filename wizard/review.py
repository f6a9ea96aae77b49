"""Review: what a journal says, for an auditor. Pure: a report is made of a journal and nothing else.

`report` makes one document of plain data, and text, JSON and HTML are made of that, so they say the same facts. It is
derived as of the journal's last event (or a given time), so that it can be made again later from the same journal and
compared: `differences`. What a later look at the same file adds stands under `now`, which is not compared.

The document's form is published as wizard/report.schema.json; what each part of it means stands there.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import msgspec

from state.events import (
    BAD,
    OBSERVED,
    REPORTED,
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
from state.journal import NEWER, is_timestamp
from state.problem import EXIT_BAD, Problem
from state.snapshot import ChangeRecord, Items, Recorded, RecordedFinding, Snapshot, fold
from wizard.current import current_attestation, current_waiver, drift_of, settled, why_stale
from wizard.evidence import grade_of
from wizard.guide import YOU, Field, Guide, ItemStep, Step
from wizard.relations import Relations, references
from wizard.status import (
    ATTESTED,
    FAILED,
    STALE,
    SetupStatus,
    deciding,
    derive,
    names,
)
from wizard.text import count, one_line
from wizard.view import View, item_steps

if TYPE_CHECKING:
    from state.journal import Journal, JournalProblem

FORMAT = "privatelink-wizard.review/1"

LAST_EVENT = "last event"
GIVEN = "given"

NEVER_OBSERVED = "never observed"
UNPROVEN = "without observed proof"
NO_SUCH_CHECK = "this version has no such check"

# By their kind: what tells where an item's traffic goes, or comes from.
ADDRESSES = frozenset(("subscription-id", "link-service", "private-ip", "hostname"))


# ---------------------------------------------------------------- cutting


@dataclass(frozen=True, slots=True)
class Cut:
    """A journal up to one of its lines, as if the file ended there.

    `head` is the SHA-256 of that line, `problems` what is wrong up to it, `broken_at` the first line whose text can't
    be trusted. `lines` are those of the events.
    """

    events: tuple[Event, ...]
    lines: tuple[int, ...]
    head: str
    problems: tuple[JournalProblem, ...]

    @property
    def broken_at(self) -> int | None:
        """The first line of the chain that was changed, lost or can't be read; None while it is intact."""
        return min((one.line for one in self.problems if one.code not in NEWER), default=None)


def cut(journal: Journal, as_of: str | None = None, head: str | None = None, *, doubted: bool = False) -> Cut:
    """The journal up to the first event after the time `as_of`, or up to the line with the hash `head`.

    Who has the head from elsewhere knows by it that the line is as it was, whatever the line after it says; but not
    where `doubted`. Raises Problem `too-early` and `head-not-found`.
    """
    vouched = False
    if head is not None:
        line, vouched = _line_of(journal, head)
    elif as_of is not None:
        line = _line_at(journal, as_of)
    else:
        line = None
    if line is None:
        return Cut(journal.events, journal.lines, journal.head, journal.problems)
    known = bisect_right(journal.lines, line)
    # That the line after it does not fit means that one of the two was changed.
    vouched = vouched and not doubted
    problems = tuple(
        one
        for one in journal.problems
        if one.line < line or (one.line == line and (one.code != "chain-broken" or not vouched))
    )
    return Cut(journal.events[:known], journal.lines[:known], journal.hashes[line - 1], problems)


def _line_at(journal: Journal, as_of: str) -> int | None:
    if journal.header.ts > as_of:
        raise Problem(
            "too-early",
            f"This setup began at {journal.header.ts}, after {one_line(as_of)}.",
            todo="Give a later time to --as-of.",
        )
    known = sum(1 for _ in takewhile(lambda event: event.ts <= as_of, journal.events))
    if known == len(journal.events):
        return None
    return journal.lines[known - 1] if known else 1


def _line_of(journal: Journal, head: str) -> tuple[int | None, bool]:
    """The line with that hash (None: the last one), and whether it still has it."""
    if head == journal.head:
        return None, True
    if head in journal.hashes:
        return journal.hashes.index(head) + 1, True
    # A line that was changed since is still remembered by the one after it.
    for event, line in zip(journal.events, journal.lines, strict=True):
        if event.prev == head:
            return line - 1, False
    raise Problem(
        "head-not-found",
        f"No line of this journal has the hash {one_line(head)}.",
        means="It is another journal, or it was changed or cut since.",
        todo="Compare the file with the copy the report was made from.",
        exit_code=EXIT_BAD,
    )


def unexpected_head(journal: Journal, expect: str, as_of: str | None = None) -> Problem | None:
    """What is wrong when the journal's head, or its head at the time `as_of`, is not the one noted elsewhere.

    None when it is that one. Raises Problem `too-early`.
    """
    head, noted = cut(journal, as_of).head, expect.strip().lower()
    if noted == head:
        return None
    what, means = f"The head is {head}, expected was {one_line(expect)}.", "Lines were added, changed or cut since."
    if noted in journal.hashes:
        line, lines = journal.hashes.index(noted) + 1, len(journal.hashes)
        means = (
            f"That is the hash of line {line}, which is as it was; {count(lines - line, 'line')} follow it in the file."
        )
    return Problem(
        "other-head",
        what,
        means=means,
        todo="Compare with the copy the head was noted from; `--verify REPORT` names the differences.",
        exit_code=EXIT_BAD,
    )


# ---------------------------------------------------------------- the document


def report(
    journal: Journal,
    guide: Guide | None,
    *,
    as_of: str | None = None,
    head: str | None = None,
    doubted: bool = False,
    now: str | None = None,
) -> dict[str, Any]:
    """The report of a journal as plain data: up to the time `as_of`, or up to the line with the hash `head` (`cut`).

    It is derived as of `as_of`, else of its last event. With `now` it also says what is different at that time. Without
    its guide (None) it says what the journal says alone: no status, and not what still counts.

    Raises Problem `too-early` and `head-not-found`.
    """
    taken = cut(journal, None if head is not None else as_of, head, doubted=doubted)
    snapshot = fold(journal.header, taken.events)
    last = snapshot.last_ts
    state = _State(guide, snapshot, as_of or last)
    steps = list(_steps(state))
    alarms = list(_alarms(state, taken, steps))
    environment, probe = snapshot.environment, snapshot.probe
    return {
        "format": FORMAT,
        "setup": journal.header.name,
        "guide": {
            "id": journal.header.guide.id,
            "version": journal.header.guide.version,
            "title": guide.title if guide else None,
        },
        "mode": snapshot.mode,
        "sandbox": bool(environment and environment.data.sandbox),
        "created": journal.header.ts,
        "as_of": state.at,
        "as_of_is": GIVEN if as_of else LAST_EVENT,
        "last_event": last,
        "events": len(taken.events),
        "head": taken.head,
        "chain": _chain(taken.problems, taken.broken_at),
        "verdict": _verdict(state, taken, alarms),
        "alarms": alarms,
        "counts": _counts(state),
        "environment": {**_every(environment.data), **_who(environment)} if environment else None,
        "probe": {"consent": probe.data.probe, **_who(probe)} if probe else None,
        "identities": [
            {"kind": kind, "facts": _pairs(record.data.facts), **_who(record)}
            for kind, record in snapshot.identities.items()
        ],
        "values": list(_values(state, None)),
        "items": list(_items(state)),
        "links": [{"source": source, "target": target} for source, target in snapshot.links],
        "connections": list(_connections(state)),
        "steps": steps,
        "other_changes": list(_other_changes(state)),
        "timeline": [
            _moment(event, line, taken.broken_at, state.fields)
            for event, line in zip(taken.events, taken.lines, strict=True)
        ],
        "actors": "claimed by the program that wrote them, not proven",
        "now": _now(journal, state, taken, now) if now else None,
    }


class _State:
    """A setup at one moment, as far as the guide is known."""

    def __init__(self, guide: Guide | None, snapshot: Snapshot, at: str) -> None:
        self.guide = guide
        self.snapshot = snapshot
        self.at = at
        self.status = derive(guide, snapshot, at) if guide else SetupStatus({}, {})
        self.unseen = frozenset(never_observed(guide, self.status, snapshot)) if guide else frozenset()
        self.relations = Relations(guide, snapshot) if guide else None
        self.fields = guide.fields() if guide else {}

    def view(self, step: Step | None, items: Items) -> View | None:
        """What counts at one place; None where the guide or the step is not known."""
        if self.guide is None or step is None:
            return None
        return View(self.guide, self.snapshot, step, items, self.relations, self.at)

    def places(self) -> Iterator[tuple[Step | None, str, tuple[ItemStep, ...]]]:
        """Every step with the items it runs for; without the guide those that the journal speaks of."""
        if self.guide:
            for step in self.guide.steps:
                yield step, step.id, item_steps(self.guide, self.snapshot, step)
            return
        snapshot = self.snapshot
        started = (change.started.data for change in snapshot.changes.values())
        spoken: dict[str, dict[ItemStep, None]] = {}
        for step_id, items in (
            *((step_id, items) for step_id, items, _ in (*snapshot.findings, *snapshot.attestations)),
            *snapshot.waivers,
            *snapshot.routes,
            *((data.step, tuple(data.items)) for data in started),
        ):
            spoken.setdefault(step_id, {})[ItemStep(step_id, items)] = None
        for step_id, found in spoken.items():
            yield None, step_id, tuple(found)

    def where(self, place: ItemStep) -> str:
        """A place as a reader names it: `step 5 dpe-01 pe-weu`."""
        view = self.view(self.guide.step(place.step) if self.guide else None, place.items)
        return one_line(names(view, (place,)) if view else str(place))


def _every(struct: msgspec.Struct) -> dict[str, Any]:
    """Every field of a struct, also those that the journal leaves out because they are as usual."""
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


def _plain(struct: msgspec.Struct) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(struct)
    return found


def _pairs(facts: Mapping[str, str | None]) -> list[dict[str, str | None]]:
    return [{"name": name, "value": value} for name, value in facts.items()]


def _who(record: Recorded[Any]) -> dict[str, Any]:
    """Which event said it, when, and who claims to have caused it."""
    actor = record.actor
    return {
        "event": record.seq,
        "ts": record.ts,
        "by": f"{actor.user}@{actor.host}",
        "via": actor.via,
        "azure_oid": actor.azure_oid,
    }


def _chain(problems: Sequence[JournalProblem], broken_at: int | None) -> dict[str, Any]:
    return {
        "intact": broken_at is None,
        "broken_at": broken_at,
        "problems": [{"line": one.line, "code": one.code, "what": one.what, "means": one.means} for one in problems],
    }


# ---------------------------------------------------------------- what it amounts to


def _counts(state: _State) -> dict[str, int] | None:
    """Steps, and items' steps by what they are worth; None where nobody knows the steps."""
    if state.guide is None:
        return None
    by_word = counts_of(state.status)
    return {
        "steps": len(state.guide.steps),
        "steps_done": state.status.done_steps,
        "item_steps": len(state.status.item_steps),
        **{word: by_word[word] for word in COUNTED},
        "never_observed": len(state.unseen),
        "unproven": sum(bool(mine.unproven) for mine in state.status.item_steps.values()),
    }


COUNTED = (OBSERVED, ATTESTED, REPORTED, FAILED, STALE)


def counts_of(status: SetupStatus) -> dict[str, int]:
    """How many items' steps there are of each state that an auditor counts."""
    statuses = [mine.status for mine in status.item_steps.values()]
    return {word: statuses.count(word) for word in COUNTED}


def never_observed(guide: Guide, status: SetupStatus, snapshot: Snapshot) -> tuple[ItemStep, ...]:
    """The items' steps that can be observed, or that a later step wants so, and that no look was ever good for."""
    proofs = {(step.id, check.id) for step in guide.steps for check in deciding(step)}
    wanted = {step for step, _ in proofs} | {needed for step in guide.steps for needed in step.needs_observed}
    # Of an item that was removed and added again, it is the new one's looks that count.
    observed = {
        ItemStep(step, items)
        for (step, items, check), record in snapshot.findings.items()
        if record.good is not None and (step, check) in proofs
    }
    return tuple(place for place in status.item_steps if place.step in wanted and place not in observed)


def _verdict(state: _State, taken: Cut, alarms: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """What it amounts to, in a word and a sentence."""
    kinds = {alarm["kind"] for alarm in alarms}
    if taken.broken_at is not None:
        word, text = (
            "not trusted",
            f"The chain is broken at line {taken.broken_at}: what follows may have been changed.",
        )
    elif state.guide is None:
        word, text = "not judged", "This version does not know the guide: what the journal says is shown, not judged."
    else:
        done, steps = state.status.done_steps, count(len(state.guide.steps), "step")
        said = f"{done} of {steps} {'is' if steps == '1 step' else 'are'} done."
        newer = next((one for one in taken.problems if one.code in NEWER), None)
        if FAILED in kinds:
            first, *more = [f"{alarm['where']}: {alarm['text']}" for alarm in alarms if alarm["kind"] == FAILED]
            others = f" And {len(more)} more." if more else ""
            word, text = FAILED, f"{first.rstrip('.')}.{others} {said}"
        elif newer is not None:
            word = "not judged"
            text = (
                f"From line {newer.line} on not all is understood: what that says may take back what is shown. {said}"
            )
        elif done < len(state.guide.steps):
            word, text = "not done", said
        elif kinds & {NEVER_OBSERVED, UNPROVEN}:
            word, text = "done, not proven", f"{said} Not all of it was observed: some rests on what people said."
        else:
            word, text = "proven", f"{said} Everything that can be observed was observed."
    return {"word": word, "text": text}


def _alarms(state: _State, taken: Cut, steps: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, str]]:
    """What must not be missed, the worst first."""
    for problem in taken.problems:
        kind = "not understood" if problem.code in NEWER else "chain broken"
        yield _alarm(kind, f"line {problem.line}", f"{problem.what} {problem.means}")
    if state.guide is None:
        header = state.snapshot.header
        about = f"There is no guide {header.guide.id} in this version. Look with the version that knows it."
        yield _alarm("not understood", "guide", about)
    places = [item for step in steps for item in step["items"]]
    for step in steps:
        known = state.guide.step(step["id"]) if state.guide else None
        for item in step["items"]:
            bad = [one for one in item["findings"] if one["verdict"] == BAD and one["counts"] is not False]
            view = state.view(known, tuple(item["items"]))
            if view is not None and settled(view):
                bad = []  # whatever others are answered, the last word is good
            yield from (_alarm(FAILED, item["where"], f"{one['title']}: {one['text']}") for one in bad)
            if item["status"] == FAILED and not bad:
                yield _alarm(FAILED, item["where"], "; ".join(item["reasons"]))
    for item in places:
        if item["status"] == STALE:
            yield _alarm(STALE, item["where"], "; ".join(item["reasons"]))
    for item in places:
        for waiver in item["waivers"]:
            if waiver["in_use"] is not False:
                yield _alarm(UNPROVEN, item["where"], f"{waiver['by']} goes on: {waiver['reason']}")
    for step in steps:
        unseen = [one["where"] for one in step["items"] if one["never_observed"]]
        if unseen:
            yield _alarm(NEVER_OBSERVED, f"step {step['number']}", f"{step['title']}: {', '.join(unseen)}")
    if state.snapshot.environment and state.snapshot.environment.data.sandbox:
        yield _alarm("sandbox", "setup", "A rehearsal: nothing of this was done in a real cloud or cluster.")


def _alarm(kind: str, where: str, text: str) -> dict[str, str]:
    return {"kind": kind, "where": where, "text": text}


# ---------------------------------------------------------------- what was entered, and who connects to what


def _values(state: _State, owner: str | None) -> Iterator[dict[str, Any]]:
    """The committed values of an item, or of the whole setup; a secret is not told even if somebody wrote it in."""
    for key, record in state.snapshot.values.get(owner, {}).items():
        field, data = state.fields.get(key), record.data
        if field is not None and field.secret:
            continue
        yield {
            "field": key,
            "label": field.label if field else None,
            "kind": field.kind if field else None,
            "value": data.value,
            "source": data.source,
            "sha256": data.file.sha256 if data.file else None,
            "hosts": list(data.file.hosts) if data.file else [],
            **_who(record),
        }


def _items(state: _State) -> Iterator[dict[str, Any]]:
    for kind, known in state.snapshot.items.items():
        found = state.guide.kind(kind) if state.guide else None
        for name in known:
            item = f"{kind}/{name}"
            yield {
                "item": item,
                "kind": kind,
                "label": found.label if found else None,
                "name": name,
                "values": list(_values(state, item)),
            }


def _connections(state: _State) -> Iterator[dict[str, Any]]:
    """Every chain of items that belong together, in the order of the guide's kinds: who connects to what by what."""
    snapshot, guide = state.snapshot, state.guide
    kinds = [kind.name for kind in guide.kinds] if guide else list(snapshot.items)
    edges: dict[str, dict[str, None]] = {}
    for one, other in (*snapshot.links, *(references(guide, snapshot) if guide else ())):
        edges.setdefault(one, {})[other] = None
        edges.setdefault(other, {})[one] = None
    for path in _paths(kinds, snapshot.items, edges):
        yield {
            "path": list(path),
            "states": [
                {"items": list(place.items), "where": state.where(place), "status": mine.status}
                for place, mine in state.status.item_steps.items()
                if len(place.items) > 1 and set(place.items) <= set(path)
            ],
        }


def _paths(
    kinds: Sequence[str], items: Mapping[str, tuple[str, ...]], edges: Mapping[str, Mapping[str, None]]
) -> Iterator[tuple[str, ...]]:
    """The longest chains along `edges` with at most one item of each kind; an item that nothing belongs to is one."""
    paths: list[tuple[str, ...]] = []
    for kind in kinds:
        added = [f"{kind}/{name}" for name in items.get(kind, ())]
        grown: list[tuple[str, ...]] = []
        for path in paths:
            nexts = [item for item in added if item in edges.get(path[-1], ())]
            grown += [(*path, item) for item in nexts] or [path]
        taken = {path[-1] for path in grown}
        paths = grown + [(item,) for item in added if item not in taken]
    yield from paths


# ---------------------------------------------------------------- steps


def _steps(state: _State) -> Iterator[dict[str, Any]]:
    for step, step_id, places in state.places():
        status = state.status.steps.get(step_id)
        yield {
            "number": step.number if step else None,
            "id": step_id,
            "title": step.title if step else None,
            "status": status,
            "warnings": list(step.warnings) if step and status != OBSERVED else [],
            "items": [_item_step(state, step, place) for place in places],
        }


def _item_step(state: _State, step: Step | None, place: ItemStep) -> dict[str, Any]:
    snapshot, view = state.snapshot, state.view(step, place.items)
    mine = state.status.item_steps.get(place)
    at = (place.step, place.items)
    route = snapshot.routes.get(at)
    checks = {check.id: check for check in step.checks} if step else {}
    # In the guide's order; then those that the guide does not know.
    recorded = [key[2] for key in snapshot.findings if key[:2] == at]
    known = [check for check in checks if check in recorded]
    return {
        "where": state.where(place),
        "items": list(place.items),
        "status": mine.status if mine else None,
        "reasons": list(dict.fromkeys(mine.reasons)) if mine else [],
        "waits_for": [state.where(wait) for wait in mine.gate] if mine else [],
        "owner": _owner(step, snapshot.mode) if step else None,
        "never_observed": place in state.unseen if step else None,
        "route": {"route": route.data.route, **_who(route)} if route else None,
        "rests_on": [{"name": name, "value": value} for name, value in _inputs(view)] if view else [],
        "attestations": [_attestation(view, record) for key, record in snapshot.attestations.items() if key[:2] == at],
        "waivers": [_waiver(view, snapshot.waivers[at], mine.unproven if mine else None)]
        if at in snapshot.waivers
        else [],
        "findings": [
            _finding(view, snapshot.findings[*at, check])
            for check in (*known, *(one for one in recorded if one not in checks))
        ],
        "not_looked": [check.title for check in checks.values() if check.id not in recorded],
        "changes": [
            _change(change)
            for change in snapshot.changes.values()
            if (change.started.data.step, tuple(change.started.data.items)) == at
        ],
    }


def _inputs(view: View) -> list[tuple[str, str]]:
    """What the evidence of any check of the view's step rests on."""
    return sorted({*view.inputs(), *(pair for check in view.step.checks for pair in view.inputs_of(check))})


def _owner(step: Step, mode: str) -> str:
    """Whose step it is, for a reader who is not the engineer at the screen."""
    owner = step.owner(mode)
    return "engineer" if owner == YOU else owner


def _finding(view: View | None, record: RecordedFinding) -> dict[str, Any]:
    """The last answer of one check. `counts`: None where the guide is not known; `stale`: why it does not count."""
    data = record.data
    check = view.step.check(data.check) if view else None
    stale, drift = None, None
    if view is not None:
        stale = why_stale(view, check) if check else NO_SUCH_CHECK
        drift = drift_of(view, check) if check else None
    return {
        "check": data.check,
        "title": check.title if check else data.check,
        "decides": check.decides if check else None,
        "verdict": data.verdict,
        "text": data.text,
        "todo": data.todo,
        "owes": data.owes,
        "counts": None if stale is None else not stale,
        "stale": stale or None,
        "drift": drift.told() if drift else None,
        "grade": grade_of(data.evidence) if data.evidence else None,
        "since": record.since,
        **_who(record),
        "evidence": [_every(seen) for seen in data.evidence],
    }


def _attestation(view: View | None, record: Recorded[Attested]) -> dict[str, Any]:
    """A person's word: the exact text, and whether it still counts (None where the guide is not known)."""
    data = record.data
    return {
        "words": data.text,
        "text_id": data.text_id,
        "revision": data.revision,
        "answers_sha256": data.answers_sha256,
        "counts": current_attestation(view) == record if view else None,
        **_who(record),
    }


def _waiver(view: View | None, record: Recorded[ProofWaived], unproven: str | None) -> dict[str, Any]:
    """The word to go on without observed proof. `in_use`: the step is done on it."""
    return {
        "reason": record.data.reason,
        "counts": current_waiver(view) == record.data if view else None,
        "in_use": bool(unproven) if view else None,
        **_who(record),
    }


def _change(change: ChangeRecord) -> dict[str, Any]:
    started, process, finished = change.started, change.process, change.finished
    return {
        "summary": started.data.summary,
        "commands": list(started.data.commands),
        "digest": started.data.digest,
        "undo": started.data.undo,
        "facts": _pairs(started.data.facts),
        **_who(started),
        "process": {"pid": process.data.pid, **_who(process)} if process else None,
        "finished": {
            "outcome": finished.data.outcome,
            "summary": finished.data.summary,
            "detail": finished.data.detail,
            "facts": _pairs(finished.data.facts),
            **_who(finished),
        }
        if finished
        else None,
    }


def _other_changes(state: _State) -> Iterator[dict[str, Any]]:
    """What was done at places that the setup no longer has: their items were removed, or are no longer linked."""
    known = {place for _, _, places in state.places() for place in places}
    for change in state.snapshot.changes.values():
        place = ItemStep(change.started.data.step, tuple(change.started.data.items))
        if place not in known:
            yield {"where": state.where(place), "change": _change(change)}


def _moment(event: Event, line: int, broken_at: int | None, fields: Mapping[str, Field]) -> dict[str, Any]:
    return {
        "seq": event.seq,
        "ts": event.ts,
        "by": f"{event.actor.user}@{event.actor.host}",
        "via": event.actor.via,
        "azure_oid": event.actor.azure_oid,
        "type": event.type,
        "text": describe(event, fields),
        "trusted": broken_at is None or line < broken_at,
    }


# ---------------------------------------------------------------- as of now


def _now(journal: Journal, then: _State, taken: Cut, now: str) -> dict[str, Any]:
    """What is different now: what the journal says by now, derived at this time. Not compared by `differences`."""
    whole = cut(journal)
    today = _State(then.guide, fold(journal.header, whole.events), now)
    was, is_ = dict(_aspects(then, taken)), dict(_aspects(today, whole))
    return {
        "at": now,
        "events": len(whole.events),
        "head": whole.head,
        "chain": _chain(whole.problems, whole.broken_at),
        "torn_bytes": len(journal.torn) if journal.torn else 0,
        "differences": [
            {"where": key[0], "what": key[1], "was": was.get(key), "is": is_.get(key)}
            for key in dict.fromkeys((*was, *is_))
            if was.get(key) != is_.get(key)
        ],
    }


def _aspects(state: _State, taken: Cut) -> Iterator[tuple[tuple[str, str], str]]:
    """What can be different at another time, in words: ((where, what), how it is)."""
    snapshot = state.snapshot
    yield ("setup", "chain"), "intact" if taken.broken_at is None else f"broken at line {taken.broken_at}"
    yield ("setup", "mode"), snapshot.mode
    if snapshot.environment is not None:
        yield ("setup", "environment"), _environment(snapshot.environment.data)
    for kind, pinned in snapshot.identities.items():
        yield ("setup", f"identity, {kind}"), _pinned(pinned.data)
    for owner in (None, *(f"{kind}/{name}" for kind, known in snapshot.items.items() for name in known)):
        for value in _values(state, owner):
            if value["value"] is not None:
                yield (owner or "setup", value["label"] or value["field"]), value["value"]
    for step in _steps(state):
        for item in step["items"]:
            if item["status"]:
                reasons = f": {'; '.join(item['reasons'])}" if item["reasons"] else ""
                yield (item["where"], "status"), f"{item['status']}{reasons}"
            for finding in item["findings"]:
                yield (item["where"], finding["title"]), _still(f"{finding['verdict']}, {finding['text']}", finding)
            for said in item["attestations"]:
                yield (item["where"], "confirmation"), _still(f"given at {said['ts']}", said)
            for waiver in item["waivers"]:
                used = ", the step is done on it" if waiver["in_use"] else ""
                yield (item["where"], UNPROVEN), _still(f"{waiver['reason']}{used}", waiver)


def _still(text: str, proof: Mapping[str, Any]) -> str:
    return f"{text} (does not count)" if proof["counts"] is False else text


# ---------------------------------------------------------------- events in words


def describe(event: Event, fields: Mapping[str, Field]) -> str:
    """One event in words; `fields` are those of the guide, by their keys."""
    data, words = event.data, said(event, fields)
    if isinstance(data, Found):
        return f"{_place(data.step, data.items)} {data.check}: {data.verdict}, {words}"
    if isinstance(data, Attested):
        return f"{_place(data.step, data.items)} attested: {words}"
    if isinstance(data, RouteChosen | ProofWaived | ChangeStarted):
        return f"{_place(data.step, data.items)} {words}"
    return words


def said(event: Event, fields: Mapping[str, Field]) -> str:
    """What an event says, without the step, the items and the state: these stand beside it on a screen."""
    data = event.data
    if isinstance(data, FieldSet):
        return _field_set(data, fields.get(data.field))
    words = _WORDS.get(type(data))
    return words(data) if words else event.type


def _field_set(data: FieldSet, field: Field | None) -> str:
    owner = f"{data.item} " if data.item else ""
    if data.value is None:
        return f"{owner}{data.field} cleared"
    digest = f" (sha256 {data.file.sha256})" if data.file else ""
    return f"{owner}{data.field} = {shown_value(field, data)}{digest}, {data.source}"


def shown_value(field: Field | None, data: FieldSet) -> str:
    """A committed value. No journal of ours holds a secret; one that somebody wrote into a journal is not told."""
    return "(a secret, not shown)" if field is not None and field.secret else data.value or ""


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


# ---------------------------------------------------------------- comparing


def differences(journal: Journal, guide: Guide | None, kept: Mapping[str, Any], *, now: str) -> tuple[str, ...]:
    """Every place where a kept report differs from the one made again from the journal as of its own head and time.

    What the journal went on with since is no difference. A given time counts as far as it can have been given: in the
    journal's own form, not after `now`, and with that head. Raises Problem `head-not-found`.
    """
    head, as_of = str(kept.get("head", "")), kept.get("as_of")
    given = kept.get("as_of_is") == GIVEN and isinstance(as_of, str) and _reaches(journal, as_of, head, now)

    def again(*, doubted: bool) -> Any:
        made = report(journal, guide, as_of=str(as_of) if given else None, head=head, doubted=doubted)
        return json.loads(json.dumps(made))

    rebuilt = again(doubted=True)
    if rebuilt["chain"] != kept.get("chain"):
        # The report does not doubt its last line, so by its head it vouches for it.
        rebuilt = again(doubted=False)
    return compare({**kept, "now": None}, rebuilt)


def _reaches(journal: Journal, as_of: str, head: str, now: str) -> bool:
    """Whether the journal's last event at that time is the line with that hash."""
    # Any other form of a time would not compare as a text.
    if not is_timestamp(as_of) or not journal.header.ts <= as_of <= max(now, journal.last_ts):
        return False
    return len(cut(journal, as_of).events) == len(cut(journal, head=head).events)


def compare(kept: Any, rebuilt: Any) -> tuple[str, ...]:
    """Every place where one document of plain data differs from another, by its path."""
    return tuple(_compare(kept, rebuilt, ""))


def _compare(kept: Any, rebuilt: Any, path: str) -> Iterator[str]:
    if isinstance(kept, list) and isinstance(rebuilt, list):
        ours, theirs = _by_name(kept), _by_name(rebuilt)
        # Elements that have names are compared by them, so that one that is missing does not shift the others.
        if ours is None or theirs is None:
            ours, theirs = dict(enumerate(kept)), dict(enumerate(rebuilt))
        elif [key for key in ours if key in theirs] != [key for key in theirs if key in ours]:
            yield f"{path}: in another order"
        kept, rebuilt, form = ours, theirs, "{path}[{key}]"
    elif isinstance(kept, Mapping) and isinstance(rebuilt, Mapping):
        form = "{path}.{key}" if path else "{key}"
    else:
        # True is 1 in Python, and not in a report.
        if type(kept) is not type(rebuilt) or kept != rebuilt:
            yield f"{path}: {_shown(kept)} in the report, {_shown(rebuilt)} in the journal"
        return
    for key in dict.fromkeys((*kept, *rebuilt)):
        here = form.format(path=path, key=one_line(str(key)))
        if key not in kept:
            yield f"{here}: missing in the report; the journal says {_shown(rebuilt[key])}"
        elif key not in rebuilt:
            yield f"{here}: not in the journal; the report says {_shown(kept[key])}"
        else:
            yield from _compare(kept[key], rebuilt[key], here)


_NAMED_BY = ("seq", "item", "where", "check", "id", "field", "name")


def _by_name(elements: Sequence[Any]) -> dict[Any, Any] | None:
    """The elements by the one key that tells each from the others; None when there is none."""
    for key in _NAMED_BY:
        named = {str(one[key]): one for one in elements if isinstance(one, Mapping) and key in one}
        if elements and len(named) == len(elements):
            return {f"{key} {name}": one for name, one in named.items()}
    return None


def _shown(value: Any) -> str:
    return one_line(value if isinstance(value, str) else json.dumps(value))
