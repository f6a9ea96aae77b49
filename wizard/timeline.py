"""A journal's events as statements, and what the evidence pane shows about one of them. Pure, and linear.

A statement is short, so that a journal of 100,000 events opens at once; its `details` and what was `before` are made
when they are asked for. Everything that comes from the journal is outside text: it is cleaned here.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from state.events import (
    ATTESTED,
    BAD,
    COULD_NOT_LOOK,
    DONE,
    GOOD,
    NOT_YET,
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
    ProbeConsented,
    ProbeEnded,
    ProbeStarted,
    ProcessStarted,
    ProofWaived,
    RouteChosen,
    Unlinked,
)
from state.snapshot import Items, Snapshot
from wizard.current import INPUT_CHANGED, why_stale
from wizard.evidence import GRADES, grade_of
from wizard.guide import Guide, ItemStep
from wizard.relations import Relations
from wizard.review import NO_SUCH_CHECK, said, shown_value
from wizard.status import FAILED, RUNNING
from wizard.text import clean, one_line
from wizard.view import View, item_steps

# States beside those of status and findings.
ANSWER = "answer"
CHANGE = "change"
SETUP = "setup"
UNPROVEN = "unproven"

BEFORE = 20
"""How many earlier statements about the same thing are shown."""

TEXT = 500
"""Characters of a statement's text that are kept; a longer one says how much is missing."""

_VERDICTS = {BAD: FAILED, NOT_YET: NOT_YET, COULD_NOT_LOOK: COULD_NOT_LOOK}

Rows = Iterator[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Statement:
    """One event. `position` counts from 0 in the timeline; `seq` is what the journal says, `ts` RFC 3339 UTC.

    `state` is the word that its glyph stands for: a grade, `failed`, `not yet`, `could not look`, `running`, or one
    of ANSWER, CHANGE, SETUP, UNPROVEN. `why_stale`: why a finding, attestation or waiver does not count at the reviewed
    moment; empty when it does. `trusted` is False from the first damaged line of the journal on.
    """

    position: int
    seq: int
    ts: str
    step: int | None
    items: tuple[str, ...]
    state: str
    text: str
    by: str
    why_stale: str
    trusted: bool
    _timeline: Timeline = field(repr=False, compare=False)

    @property
    def stale(self) -> bool:
        """Whether it does not count."""
        return bool(self.why_stale)

    @property
    def details(self) -> tuple[tuple[str, str], ...]:
        """The rows of the evidence pane: a label of at most 10 cells, and its value on one line."""
        return tuple((label, clean(value)) for label, value in self._timeline.details(self) if value)

    @property
    def earlier(self) -> tuple[Statement, ...]:
        """The statements about the same thing before this one, the newest first, at most BEFORE of them."""
        return self._timeline.earlier(self)

    @property
    def before(self) -> tuple[str, ...]:
        """`earlier`, one line each: day and time, state, text."""
        return tuple(f"{one.ts[:10]} {one.ts[11:19]}  {one.state}  {one.text}" for one in self.earlier)


# ---------------------------------------------------------------- the timeline


class Timeline:
    """The events with what is known about them together: statements of one thing, events of one change."""

    def __init__(
        self, events: Sequence[Event], guide: Guide | None, snapshot: Snapshot, at: str, intact_through: int
    ) -> None:
        """What `events` say, judged at the time `at` (RFC 3339 UTC)."""
        self._events = events
        self._guide = guide
        self._snapshot = snapshot
        self._fields = guide.fields() if guide else {}
        self._numbers = {step.id: step.number for step in guide.steps} if guide else {}
        self._field_steps = {one.key: step.number for step in guide.steps for one in step.fields} if guide else {}
        self._views = _views(guide, snapshot, at) if guide else {}
        self._counting = _counting(self._views)
        self._topics: dict[Hashable, list[int]] = {}
        self._change_of: dict[int, list[Event]] = {}
        self._authors: dict[tuple[str, str, str], str] = {}
        self._index()
        self.statements = tuple(self._all(intact_through))

    def _index(self) -> None:
        open_changes: dict[str, list[Event]] = {}
        for position, event in enumerate(self._events):
            data = event.data
            if isinstance(data, ChangeStarted):
                open_changes[data.change] = self._change_of[position] = [event]
            elif isinstance(data, ProcessStarted | ChangeFinished):
                change = open_changes.setdefault(data.change, [])
                change.append(event)
                self._change_of[position] = change
            self._topics.setdefault(_about(data, self._started(position))[2], []).append(position)

    def _started(self, position: int) -> ChangeStarted | None:
        change = self._change_of.get(position)
        first = change[0].data if change else None
        return first if isinstance(first, ChangeStarted) else None

    def _all(self, intact_through: int) -> Iterator[Statement]:
        trusted = True
        for position, event in enumerate(self._events):
            data = event.data
            step, items, _ = _about(data, self._started(position))
            # What stands after the first damaged line may claim any number.
            trusted = trusted and event.seq <= intact_through
            yield Statement(
                position=position,
                seq=event.seq,
                ts=event.ts,
                step=self._field_steps.get(data.field) if isinstance(data, FieldSet) else self._numbers.get(step),
                items=tuple(one_line(item) for item in items),
                state=self._state(position, data),
                text=one_line(said(event, self._fields), limit=TEXT),
                by=self._author(event),
                why_stale=self._why_stale(data) if self._guide is not None else "",
                trusted=trusted,
                _timeline=self,
            )

    def _state(self, position: int, data: Data) -> str:
        if isinstance(data, Found):
            return grade_of(data.evidence) if data.verdict == GOOD else _VERDICTS.get(data.verdict, COULD_NOT_LOOK)
        if isinstance(data, ChangeStarted):
            finished = any(isinstance(event.data, ChangeFinished) for event in self._change_of[position])
            return CHANGE if finished else RUNNING
        if isinstance(data, ChangeFinished):
            return CHANGE if data.outcome == DONE else FAILED
        return _KINDS.get(type(data), SETUP)

    def _why_stale(self, data: Data) -> str:
        """Why a proof does not count; empty when it does. One that another look replaced is not asked for its age."""
        if not self._same_inputs(data):
            return INPUT_CHANGED
        if isinstance(data, Found):
            place = (data.step, data.items)
            record = self._snapshot.findings.get((*place, data.check))
            if record is not None and record.data is data:
                view = self._views[place]
                known = view.step.check(data.check)
                return why_stale(view, known) if known else NO_SUCH_CHECK
        return ""

    def _same_inputs(self, data: Data) -> bool:
        """Whether a proof was given for the values as they are now; what is no proof has nothing to lose."""
        if isinstance(data, Found):
            return self._counting.get((data.step, data.items, data.check)) == data.fingerprint
        if isinstance(data, Attested):
            return self._counting.get((data.step, data.items, data.text_id)) == data.fingerprint
        if isinstance(data, ProofWaived):
            view = self._views.get((data.step, data.items))
            text = view.step.attest.id if view and view.step.attest else ""
            return self._counting.get((data.step, data.items, text)) == data.fingerprint
        return True

    def _author(self, event: Event) -> str:
        actor = event.actor
        key = (actor.user, actor.host, actor.via)
        if key not in self._authors:
            self._authors[key] = one_line(f"{actor.user}@{actor.host} via {actor.via}")
        return self._authors[key]

    def earlier(self, statement: Statement) -> tuple[Statement, ...]:
        """The statements about the same thing before it, the newest first."""
        event = self._events[statement.position]
        same = self._topics[_about(event.data, self._started(statement.position))[2]]
        here = same.index(statement.position)
        return tuple(self.statements[position] for position in reversed(same[max(0, here - BEFORE) : here]))

    def last_finding(self, place: ItemStep, check: str) -> Statement | None:
        """What a check said last; None when it never looked."""
        return self._last(("found", place.step, place.items, check))

    def last_words(self, place: ItemStep, text: str) -> Statement | None:
        """Who confirmed a text last; None when nobody did."""
        return self._last(("attested", place.step, place.items, text))

    def _last(self, topic: Hashable) -> Statement | None:
        said = self._topics.get(topic)
        return self.statements[said[-1]] if said else None

    # ------------------------------------------------------------ evidence

    def details(self, statement: Statement) -> Rows:
        """The rows of the evidence pane, not cleaned yet."""
        event = self._events[statement.position]
        data = event.data
        yield "When", when(event.ts)
        yield "By", f"{statement.by}; claimed, not proven"
        if isinstance(data, Found):
            yield from _finding_rows(data)
        elif isinstance(data, Attested):
            yield from _attested_rows(data)
        elif isinstance(data, ProofWaived):
            yield "Reason", data.reason
        elif isinstance(data, FieldSet):
            yield from self._field_rows(data)
        elif isinstance(data, EnvironmentSet):
            known = {key: getattr(data, key) for key in data.__struct_fields__}
            yield from (("Points to", f"{key} {value}") for key, value in known.items() if value)
        elif isinstance(data, IdentityPinned):
            yield from (("Identity", f"{key} {value or 'unknown'}") for key, value in data.facts.items())
        yield from _change_rows(self._change_of.get(statement.position, ()))
        if isinstance(data, Found | Attested | ProofWaived):
            yield "Relies on", self._relies_on(statement, data)
        yield "Event", _place_in_chain(event, len(self._events), trusted=statement.trusted)

    def _field_rows(self, data: FieldSet) -> Rows:
        known = self._fields.get(data.field)
        yield "Field", f"{known.label} ({data.field})" if known else data.field
        yield "Item", data.item or ""
        yield "Value", "cleared" if data.value is None else shown_value(known, data)
        yield "Source", data.source
        if data.file:
            yield "SHA-256", data.file.sha256
            yield "Hosts", ", ".join(data.file.hosts)

    def _relies_on(self, statement: Statement, data: Found | Attested | ProofWaived) -> str:
        """The inputs that a proof was given for, and which of them are not what they were."""
        view = self._views.get((data.step, data.items))
        if view is None:
            return "an item or step that is not part of the setup now" if self._guide else ""
        inputs = view.inputs_of(view.step.check(data.check) if isinstance(data, Found) else None)
        if self._same_inputs(data):
            named = [f"{self._label(name)} {value}" for name, value in inputs if value]
            return f"{', '.join(named)}; unchanged since" if named else "no inputs"
        changed = [
            f"{self._label(name)} (event {self._events[last].seq})"
            for name, _ in inputs
            if (last := self._last_set(name)) > statement.position
        ]
        return f"changed since: {', '.join(changed)}" if changed else "inputs that are others now"

    def _last_set(self, name: str) -> int:
        """Where the input `item.key` or `key` was last committed or cleared; -1 when it never was."""
        item, dot, key = name.rpartition(".")
        return self._topics.get(("field", item if dot else None, key), [-1])[-1]

    def _label(self, name: str) -> str:
        item, _, key = name.rpartition(".")
        known = self._fields.get(key)
        return " ".join(part for part in (item.partition("/")[2], known.label if known else key) if part)


def _views(guide: Guide, snapshot: Snapshot, at: str) -> dict[tuple[str, Items], View]:
    relations = Relations(guide, snapshot)
    return {
        (step.id, place.items): View(guide, snapshot, step, place.items, relations, at)
        for step in guide.steps
        for place in item_steps(guide, snapshot, step)
    }


def _counting(views: Mapping[tuple[str, Items], View]) -> dict[tuple[str, Items, str], str]:
    """The fingerprint that a proof must have to count now, by step, items and id of the check or text."""
    found = {}
    for (step_id, items), view in views.items():
        for proof in (*view.step.checks, *([view.step.attest] if view.step.attest else ())):
            found[step_id, items, proof.id] = view.fingerprint_of(proof)
    return found


def _about(data: Data, started: ChangeStarted | None) -> tuple[str, Items, Hashable]:
    """The step and items of an event, and what tells the thing it is about from every other."""
    match data:
        case Found():
            return data.step, data.items, ("found", data.step, data.items, data.check)
        case Attested():
            return data.step, data.items, ("attested", data.step, data.items, data.text_id)
        case ProofWaived() | RouteChosen() | ChangeStarted():
            return data.step, data.items, (_KINDS[type(data)], data.step, data.items)
        case ProcessStarted() | ChangeFinished():
            return _about(started, None) if started else ("", (), (CHANGE, data.change))
        case FieldSet():
            return "", (data.item,) if data.item else (), ("field", data.item, data.field)
        case ItemAdded() | ItemRemoved():
            return "", (data.item,), ("item", data.item)
        case Linked() | Unlinked():
            return "", (data.source, data.target), ("link", data.source, data.target)
        case IdentityPinned():
            return "", (), ("identity", data.kind)
        case _:
            return "", (), type(data)


_KINDS: dict[type[Data], str] = {
    Attested: ATTESTED,
    ProofWaived: UNPROVEN,
    FieldSet: ANSWER,
    RouteChosen: ANSWER,
    ProbeConsented: ANSWER,
    ProbeStarted: CHANGE,
    ProbeEnded: CHANGE,
    ChangeStarted: CHANGE,
    ProcessStarted: CHANGE,
    ChangeFinished: CHANGE,
}


# ---------------------------------------------------------------- rows


def when(ts: str) -> str:
    """A journal's time for a reader: `Fri 20 Nov 2026, 11:02:30 UTC`."""
    return datetime.fromisoformat(ts).strftime("%a %d %b %Y, %H:%M:%S UTC")


def _finding_rows(data: Found) -> Rows:
    yield "Check", data.check
    yield "Do next", data.todo if data.verdict != GOOD else ""
    for seen in data.evidence:
        yield "Grade", f"{seen.grade}, {GRADES[seen.grade]}" if seen.grade in GRADES else seen.grade
        yield "Identity", seen.identity
        yield "Source", seen.source
        yield "Request", seen.request
        yield "Answer", seen.answer
        yield "SHA-256", seen.sha256


def _attested_rows(data: Attested) -> Rows:
    yield "Grade", f"{ATTESTED}, {GRADES[ATTESTED]}"
    yield "Words", data.text
    yield "Text", f"{data.text_id}, revision {data.revision}"
    if data.answers_sha256:
        yield "Source", "an answers file"
        yield "SHA-256", data.answers_sha256


def _change_rows(change: Sequence[Event]) -> Rows:
    """A change from its start to its end, whichever of its events is looked at."""
    for event in change:
        match event.data:
            case ChangeStarted() as data:
                yield from (("Command", command) for command in data.commands)
                yield "Digest", data.digest
                yield "Undo", data.undo
                yield from _facts(data.facts)
            case ProcessStarted() as data:
                yield "Process", f"pid {data.pid} on {event.actor.host}, since {when(event.ts)}"
            case ChangeFinished() as data:
                yield "Outcome", f"{data.outcome}, {when(event.ts)}: {data.summary}"
                yield "Detail", data.detail
                yield from _facts(data.facts)


def _facts(facts: Mapping[str, str]) -> Rows:
    yield "Facts", ", ".join(f"{key} {value}" for key, value in facts.items())


def _place_in_chain(event: Event, events: int, *, trusted: bool) -> str:
    doubt = "" if trusted else "; after the first damaged line: shown, not trusted"
    return f"{event.seq} of {events}, chained to {event.prev[:4]}…{event.prev[-4:]}{doubt}"
