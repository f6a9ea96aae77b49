"""What a user who comes back has to know: where they left off, what changed since, what others owe, what still holds.

Pure: everything is told from the journal as it was opened. What only a look can tell is not in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from state.events import (
    Attested,
    ChangeFinished,
    ChangeStarted,
    Event,
    FieldSet,
    Found,
    ItemAdded,
    Linked,
    ProofWaived,
    RouteChosen,
    TornLineCut,
)
from wizard.current import current_attestation, current_finding, why_outdated
from wizard.deeds import last_event
from wizard.guide import Guide, ItemStep, Step
from wizard.status import (
    DONE_STATUSES,
    EMPTY,
    FAILED,
    RUNNING,
    STALE,
    STATUSES,
    WAITING,
    WRONG,
    SetupStatus,
    Status,
    deciding,
    field_states,
    must_be_typed,
    names,
)
from wizard.text import one_line
from wizard.turns import WAITS, Turns, listed, next_move, place_name, place_word, turns
from wizard.view import View

if TYPE_CHECKING:
    from state.snapshot import ChangeRecord, Recorded, Snapshot

# The longest value that is worth showing whole in a line.
SHOWN_VALUE = 40


@dataclass(frozen=True, slots=True)
class Line:
    """One row: `state` tells its glyph, `ts` (RFC 3339) its time, `note` what stands below it."""

    state: str
    label: str
    text: str
    ts: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a user who comes back has to know. `place` is where to go on; `cut` is empty unless half a line was lost."""

    left_at: str
    left_by: str
    place: ItemStep
    left_off: Line
    running: tuple[Line, ...]
    changed: tuple[Line, ...]
    owed: tuple[Line, ...]
    good: tuple[Line, ...]
    cut: str


def summary(
    guide: Guide, snapshot: Snapshot, status: SetupStatus, events: Sequence[Event], *, cut: Event | None = None
) -> Summary:
    """The summary of a setup opened for writing.

    `snapshot` and `status` are those after `events`, whose chain opening has verified; `cut` is the writer's event of
    a torn last line.
    """
    whose = turns(guide, snapshot, status)
    left = last_event(events)
    touched = _left_off_at(guide, snapshot, status, events)
    place = touched[0] if touched and not _done(status, touched[0]) else _go_on(guide, status, whose)
    return Summary(
        left_at=left.ts if left else snapshot.header.ts,
        left_by=one_line(left.actor.user) if left else "",
        place=place,
        left_off=_left_off(guide, snapshot, status, whose, touched or (place, "")),
        running=tuple(_running(guide, change) for change in snapshot.changes.values() if change.finished is None),
        changed=tuple(_changed(guide, snapshot, status, whose, events)),
        owed=tuple(Line(WAITING, owed.who, owed.text, owed.since) for owed in whose.owed),
        good=(*_still_good(guide, status), *_chain(events)),
        cut=_cut(cut),
    )


# ---------------------------------------------------------------- where


def _left_off_at(
    guide: Guide, snapshot: Snapshot, status: SetupStatus, events: Sequence[Event]
) -> tuple[ItemStep, str] | None:
    """The place worked at last, and when. When that is done, an earlier one that could still be gone on with."""
    newest = None
    for event in reversed(events):
        place = _touched(guide, snapshot, status, event)
        found = status.item_steps.get(place) if place else None
        if place is None or found is None:
            continue
        if not found.done and (newest is None or not found.gate):
            return place, event.ts
        newest = newest or (place, event.ts)
    return newest


def _touched(guide: Guide, snapshot: Snapshot, status: SetupStatus, event: Event) -> ItemStep | None:
    """The item's step that an event was work at; None for the whole setup's, and for looks of `check`."""
    data = event.data
    if isinstance(data, Found) and event.actor.via == "check":
        return None
    if isinstance(data, Found | Attested | RouteChosen | ProofWaived | ChangeStarted):
        return ItemStep(data.step, tuple(data.items))
    if isinstance(data, ChangeFinished):
        change = snapshot.changes.get(data.change)
        return ItemStep(change.started.data.step, tuple(change.started.data.items)) if change else None
    if isinstance(data, FieldSet):
        step = next((step for step in guide.steps if any(data.field == field.key for field in step.fields)), None)
        return _place_of(guide, status, step, (data.item,) if data.item else ())
    if isinstance(data, ItemAdded):
        return _place_of(guide, status, None, (data.item,))
    if isinstance(data, Linked):
        return _place_of(guide, status, None, (data.source, data.target))
    return None


def _place_of(guide: Guide, status: SetupStatus, step: Step | None, items: tuple[str, ...]) -> ItemStep | None:
    """The place of `step` that is about all of `items`; of several, the first that is not done.

    Without a step: the first step that runs for items of these kinds.
    """
    kinds = {item.partition("/")[0] for item in items}
    step = step or next((step for step in guide.steps if kinds <= set(step.per)), None)
    if step is None:
        return None
    places = [place for place in status.item_steps if place.step == step.id and set(items) <= set(place.items)]
    return next((place for place in places if not _done(status, place)), next(iter(places), None))


def _go_on(guide: Guide, status: SetupStatus, whose: Turns) -> ItemStep:
    """Where there is something to do: for the user, else for others; the last step when all is done."""
    left = [one.item_step for one in whose.mine] + [one.item_step for one in whose.owed]
    if left:
        return left[0]
    last = guide.steps[-1].id
    return next((place for place in status.item_steps if place.step == last), ItemStep(last))


def _done(status: SetupStatus, place: ItemStep) -> bool:
    found = status.item_steps.get(place)
    return found is not None and found.done


# ---------------------------------------------------------------- the lines


def _left_off(guide: Guide, snapshot: Snapshot, status: SetupStatus, whose: Turns, at: tuple[ItemStep, str]) -> Line:
    place, ts = at
    state, word = place_word(guide, status, place)
    label = place_name(guide, place)
    found = status.item_steps.get(place)
    step = guide.step(place.step)
    if found is None or step is None:
        text = next((mine.short for mine in whose.mine if mine.item_step == place), word)
        return Line(state, label, text, ts)
    view = View(guide, snapshot, step, place.items, now=status.now)
    secrets = [field.label for field in step.fields if field.secret]
    note = f"never kept, asked for again: {listed(secrets)}" if secrets and not found.done else ""
    move = f"nothing is missing, {word}" if state == WAITS else next_move(view, status)
    return Line(state, label, _progress(view, found) or move or word, ts, note)


def _progress(view: View, found: Status) -> str:
    """Which fields are there and which are not; empty when none is missing, or when there is worse to say."""
    if found.done or found.status in (RUNNING, FAILED, STALE):
        return ""
    states = [state for state in field_states(view) if not state.field.secret]
    committed = [state for state in states if state.state not in (EMPTY, WRONG) and state.source != "default"]
    wrong = [state.field.label for state in states if state.state == WRONG]
    empty = [state.field.label for state in states if state.state == EMPTY and must_be_typed(view.step, state.field)]
    if not (wrong or empty):
        return ""
    word = "typed" if all(state.source == "typed" for state in committed) else "filled in"
    parts = [
        f"{_few(labels)} {said}"
        for labels, said in (
            ([state.field.label for state in committed], word),
            (wrong, "wrong"),
            (empty, "still empty" if committed else "empty"),
        )
        if labels
    ]
    return ", ".join(parts)


def _few(labels: list[str]) -> str:
    return listed(labels) if len(labels) <= 2 else f"{len(labels)} fields"


def _running(guide: Guide, change: ChangeRecord) -> Line:
    started = change.started
    label = place_name(guide, ItemStep(started.data.step, tuple(started.data.items)))
    note = "nobody saw it end"
    if change.process:
        note += f"; it was process {change.process.data.pid} on {one_line(change.process.actor.host)}"
    return Line(RUNNING, label, one_line(started.data.summary), started.ts, note)


def _changed(
    guide: Guide, snapshot: Snapshot, status: SetupStatus, whose: Turns, events: Sequence[Event]
) -> Iterator[Line]:
    history: dict[tuple[str | None, str], list[Event]] | None = None
    debtors = {owed.item_step: owed.who for owed in whose.owed}
    for place, found in status.item_steps.items():
        step = guide.step(place.step)
        if step is None or found.status not in (FAILED, STALE):
            continue
        if history is None:
            history = _history(events)
        view = View(guide, snapshot, step, place.items, now=status.now)
        text, ts = one_line("; ".join(found.reasons)), ""
        if found.status == STALE:
            text, ts = _what_changed(view, history) or (text, ts)
        else:
            ts = _failed_at(view)
        if found.gate:
            note = f"waits for {names(view, found.gate)}"
        else:
            note = f"{debtors[place]} owes it" if place in debtors else next_move(view, status)
        yield Line(found.status, place_name(guide, place), text, ts, one_line(note))


def _history(events: Sequence[Event]) -> dict[tuple[str | None, str], list[Event]]:
    """Every commit of every field, oldest first."""
    found: dict[tuple[str | None, str], list[Event]] = {}
    for event in events:
        if isinstance(event.data, FieldSet):
            found.setdefault((event.data.item, event.data.field), []).append(event)
    return found


def _what_changed(view: View, history: Mapping[tuple[str | None, str], list[Event]]) -> tuple[str, str] | None:
    """Which inputs hold something else than when the proof was made, and when the last of them changed.

    None when no input tells: the guide asks for more than it did, or proof of another step was lost.
    """
    stale = _stale_records(view)
    if not stale:
        return None
    made = max(record.seq for record in stale)
    said: list[tuple[int, str, str]] = []
    fields = view.guide.fields()
    of_checks = (key for check in deciding(view.step) for key in check.uses)
    for key in dict.fromkeys((*(field.key for field in view.step.fields), *view.step.uses, *of_checks)):
        for owner in view.owners(fields[key]):
            commits = history.get((owner, key), [])
            now = _set_by(commits[-1]) if commits else None
            was = next((_set_by(event) for event in reversed(commits) if event.seq < made), None)
            if now is not None and commits[-1].seq > made and not _same(was, now):
                said.append((commits[-1].seq, _was_is(fields[key].label, was, now), commits[-1].ts))
    if not said:
        return None
    said.sort(reverse=True)
    more = f", and {len(said) - 1} more changed" if len(said) > 1 else ""
    return said[0][1] + more, said[0][2]


def _stale_records(view: View) -> list[Recorded[Any]]:
    """The findings and the confirmation of this place that were made for other inputs."""
    snapshot, step = view.snapshot, view.step
    found: list[Recorded[Any]] = []
    for check in deciding(step):
        record = snapshot.findings.get((step.id, view.items, check.id))
        if record is not None and why_outdated(view, check):
            found.append(record)
    if step.attest and current_attestation(view) is None:
        attested = snapshot.attestations.get((step.id, view.items, step.attest.id))
        found += [attested] if attested else []
    return found


def _set_by(event: Event) -> FieldSet:
    assert isinstance(event.data, FieldSet)  # noqa: S101 - `_history` holds nothing else
    return event.data


def _same(was: FieldSet | None, now: FieldSet) -> bool:
    return (was.value, was.file) == (now.value, now.file) if was else now.value is None


def _was_is(label: str, was: FieldSet | None, now: FieldSet) -> str:
    before, after = was.value if was else None, now.value
    if before == after:
        return f"{label} has other content"
    if any(value and len(value) > SHOWN_VALUE for value in (before, after)):
        return f"{label} changed"
    return f"{label} was {one_line(before or 'empty')}, is now {one_line(after or 'empty')}"


def _failed_at(view: View) -> str:
    """When a failure was seen: the last bad look, else the end of the last change."""
    records = [record for check in deciding(view.step) if (record := current_finding(view, check))]
    times = [record.ts for record in records]
    times += [
        change.finished.ts
        for change in view.snapshot.changes.values()
        if change.finished and ItemStep(change.started.data.step, tuple(change.started.data.items)) == view.item_step
    ]
    return max(times, default="")


def _still_good(guide: Guide, status: SetupStatus) -> Iterator[Line]:
    done = [step for step in guide.steps if status.steps[step.id] in DONE_STATUSES]
    if not done:
        return
    # The weakest grade among them: a line must not look better than what it stands for.
    weakest = min((status.steps[step.id] for step in done), key=STATUSES.index)
    numbers = _runs([step.number for step in done])
    unproven = [
        f"{place_name(guide, place)} without observed proof: {one_line(found.unproven)}"
        for place, found in status.item_steps.items()
        if found.unproven
    ]
    label = f"step{'s' if len(done) > 1 else ''} {listed(numbers)}"
    yield Line(weakest, label, "inputs unchanged, evidence holds", note="; ".join(unproven))


def _runs(numbers: list[int]) -> list[str]:
    """`1, 2, 3, 5` as `1 to 3`, `5`; two in a row stay two."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    words: list[str] = []
    for run in runs:
        words += [f"{run[0]} to {run[-1]}"] if len(run) > 2 else [str(number) for number in run]
    return words


def _chain(events: Sequence[Event]) -> Iterator[Line]:
    if events:
        last = events[-1]
        yield Line("ok", "chain intact", f"events 1 to {last.seq}" if last.seq > 1 else "event 1", last.ts)


def _cut(cut: Event | None) -> str:
    if cut is None or not isinstance(cut.data, TornLineCut):
        return ""
    return f"the last {cut.data.bytes} bytes were half a line; they are kept in {one_line(cut.data.kept_in)}"
