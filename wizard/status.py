"""Status, derived and never stored: a pure function of guide, snapshot and a given time (DESIGN.md sections 1, 3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from state.events import BAD, COULD_NOT_LOOK, DONE, GOOD, NOT_YET
from wizard.current import (
    INPUT_CHANGED,
    current_attestation,
    current_finding,
    current_waiver,
    drift_of,
    last_answer,
    last_change,
    last_finding,
    last_word,
    settled,
    why_outdated,
)
from wizard.guide import ALREADY_DONE, HAND_OFF, YOU, Check, Field, Guide, ItemStep, Step
from wizard.identifiers import Known, Parsed, parse
from wizard.relations import Relations
from wizard.view import View, item_steps

if TYPE_CHECKING:
    from state.events import FileFacts
    from state.snapshot import Snapshot

RUNNING = "running"
FAILED = "failed"
STALE = "stale"
NEEDS_INPUT = "needs input"
WAITING = "waiting for others"
TO_DO = "to do"
REPORTED = "reported"
ATTESTED = "attested"
OBSERVED = "observed"

# First match wins (DESIGN.md section 1), so this is also the order from most to least urgent.
STATUSES = (
    RUNNING,
    COULD_NOT_LOOK,
    FAILED,
    STALE,
    NEEDS_INPUT,
    WAITING,
    NOT_YET,
    TO_DO,
    REPORTED,
    ATTESTED,
    OBSERVED,
)
DONE_STATUSES = frozenset((REPORTED, ATTESTED, OBSERVED))
# What takes back the proof that a later step rests on; a look that could not be made does not.
_TAKEN_BACK = (FAILED, STALE, NEEDS_INPUT)

# What a change's fingerprint is taken of, in place of a check's or text's id.
ACTION = "action"

# Field states beside the ones a parser gives (DESIGN.md section 1).
EMPTY = "empty"
WRONG = "wrong"
OK = "ok"


@dataclass(frozen=True, slots=True)
class FieldState:
    """What stands in a field and whether it is right. `message` is one line for the user."""

    field: Field
    owner: str | None
    state: str
    value: str
    source: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """Where one item's step stands. `gate` lists what acting waits for; looking never waits.

    `reasons` say why, most important first. `unproven`: done without observed proof, for the reason given.
    """

    item_step: ItemStep
    status: str
    reasons: tuple[str, ...] = ()
    gate: tuple[ItemStep, ...] = ()
    unproven: str = ""

    @property
    def done(self) -> bool:
        """Done at any grade."""
        return self.status in DONE_STATUSES


@dataclass(frozen=True, slots=True)
class SetupStatus:
    """The whole setup at the moment `now`: every item's step, and each step as its least finished item."""

    item_steps: Mapping[ItemStep, Status]
    steps: Mapping[str, str]
    now: str = ""

    @property
    def done_steps(self) -> int:
        """How many numbered steps are done for every item."""
        return sum(status in DONE_STATUSES for status in self.steps.values())


def derive(guide: Guide, snapshot: Snapshot, now: str) -> SetupStatus:
    """Every item's step's status as of `now` (RFC 3339 UTC). Looks at nothing but its arguments."""
    found: dict[ItemStep, Status] = {}
    steps: dict[str, str] = {}
    relations = Relations(guide, snapshot)
    for step in guide.steps:
        statuses = []
        for item_step in item_steps(guide, snapshot, step):
            status = _status(View(guide, snapshot, step, item_step.items, relations, now), found, steps)
            found[item_step] = status
            statuses.append(status.status)
        steps[step.id] = min(statuses, key=STATUSES.index) if statuses else NEEDS_INPUT
    return SetupStatus(found, steps, now)


def gate_of(view: View, found: Mapping[ItemStep, Status], steps: Mapping[str, str]) -> tuple[ItemStep, ...]:
    """The predecessors that are not done yet, of the related items only; a step without items counts as one."""
    waits: list[ItemStep] = []
    for step_id in view.step.after:
        mine = _concerned(view, found, step_id)
        waits += [status.item_step for status in mine if not status.done]
        # No item of that step has to do with this one: nothing was done for it, so it waits (an unlinked dpe).
        if not mine:
            waits.append(ItemStep(step_id))
    return tuple(waits)


def _concerned(view: View, found: Mapping[ItemStep, Status], step_id: str) -> list[Status]:
    """How a step stands for the items that have to do with the viewed ones, in their order."""
    return [found[place] for place in view.concerned(step_id) if place in found]


def field_states(view: View) -> tuple[FieldState, ...]:
    """The state of every field of the step that belongs to the viewed items."""
    return tuple(
        field_state(view, field, owner)
        for field in view.step.fields
        for owner in view.owners(field)
        if owner is None or owner in view.items
    )


def field_state(view: View, field: Field, owner: str | None) -> FieldState:
    """One field: what is committed or its default, and what is wrong with it. Secrets are not looked at here."""
    recorded = view.snapshot.values.get(owner, {}).get(field.key)
    value = recorded.data.value if recorded and recorded.data.value is not None else None
    source = recorded.data.source if recorded and value is not None else ""
    if value is None and field.default:
        value, source = field.default(view), "default"
    if not value:
        return FieldState(field, owner, EMPTY, "", message=field.where)
    parsed = _parsed(field.kind, value, known(view, field))
    if not parsed.ok:
        return FieldState(field, owner, WRONG, value, source, parsed.message or "")
    if field.rule and (wrong := field.rule(parsed.normalized, view)):
        return FieldState(field, owner, WRONG, value, source, wrong)
    return FieldState(field, owner, OK, parsed.normalized, source, parsed.note)


def parse_field(view: View, field: Field, text: str) -> Parsed:
    """Parses what is typed into `field`, with what this setup already knows."""
    return parse(field.kind, text, known(view, field))


@lru_cache(maxsize=8192)
def _parsed(kind: str, text: str, known: Known) -> Parsed:
    """As `parse_field`; a status asks for the same again and again. No secret is ever asked for here."""
    return parse(kind, text, known)


def known(view: View, field: Field) -> Known:
    """What the setup already knows and a parser may compare with. A subscription is compared with nothing: it is
    what the others are compared with."""
    if field.kind == "subscription-id":
        return Known()
    relations = view.relations or Relations(view.guide, view.snapshot)
    subscriptions = relations.once(("subscriptions", view.items), lambda: _subscriptions(view))
    hosts = tuple(host for _, file in files(view, field) for host in file.hosts) if field.kind == "hostname" else ()
    return Known(subscription_ids=subscriptions, hosts=hosts)


def _subscriptions(view: View) -> tuple[str, ...]:
    fields = view.guide.fields()
    return tuple(value for key, one in fields.items() if one.kind == "subscription-id" for value in view.values(key))


def files(view: View, field: Field) -> tuple[tuple[str, FileFacts], ...]:
    """Path and facts of the files that belong to the same items as `field`, as far as they were read."""
    found = []
    for owner in view.owners(field):
        for key, recorded in view.snapshot.values.get(owner, {}).items():
            other = view.guide.fields().get(key)
            if other is not None and other.is_file and recorded.data.file is not None:
                found.append((recorded.data.value or "", recorded.data.file))
    return tuple(found)


def _status(view: View, found: Mapping[ItemStep, Status], steps: Mapping[str, str]) -> Status:
    gate = gate_of(view, found, steps)
    missing = unobserved(view, found)
    waiver = current_waiver(view)
    grade = _grade(view)
    candidates = {**_from_change(view), **_from_findings(view, grade), **_from_values(view, bool(grade))}
    if RUNNING not in candidates and (failed := _failed_change(view)):
        candidates.setdefault(FAILED, failed)
    if stale := _stale(view, confirmed=grade == ATTESTED):
        candidates[STALE] = stale
    if grade:
        candidates[grade] = ()
        # Proof that is contradicted is lost; a look that could not be made today takes nothing back.
        lost = tuple(place for place in missing if place in found and found[place].status in _TAKEN_BACK)
        if lost and waiver is None:
            candidates[STALE] = (f"no longer observed: {names(view, lost)}",)
    else:
        candidates.update(_whose_turn(view, missing if waiver is None else ()))
    status = min(candidates, key=STATUSES.index)
    unproven = waiver.reason if waiver and missing and status in DONE_STATUSES else ""
    return Status(view.item_step, status, candidates[status], gate, unproven)


def _from_change(view: View) -> dict[str, tuple[str, ...]]:
    change = last_change(view)
    return {RUNNING: (change.started.data.summary,)} if change and change.finished is None else {}


def _failed_change(view: View) -> tuple[str, ...]:
    """Why the last change did not end well, unless inputs changed or a check looked since."""
    change = last_change(view)
    if change is None or change.finished is None or change.finished.data.outcome == DONE:
        return ()
    if change.started.data.fingerprint != view.fingerprint(ACTION, 1):
        return ()
    looked = (last_finding(view, check) for check in deciding(view.step))
    if any(record is not None and record.seq > change.finished.seq for record in looked):
        return ()
    return (change.finished.data.summary,)


def _from_findings(view: View, grade: str) -> dict[str, tuple[str, ...]]:
    by_status: dict[str, tuple[str, ...]] = {}
    for check in deciding(view.step):
        record = current_finding(view, check)
        if record is not None and record.data.verdict == COULD_NOT_LOOK and check.settles:
            answer = last_answer(view, check)
            if answer is not None and answer.verdict in _VERDICT_STATUS:
                # What was found stays found until somebody can look again.
                status = _VERDICT_STATUS[answer.verdict]
                by_status[status] = (*by_status.get(status, ()), answer.text)
            continue
        if record is None or record.data.verdict not in _VERDICT_STATUS:
            continue
        # Where a person has confirmed it, a look that could not be made takes nothing back, and a look at another way
        # of doing it says nothing.
        unseen = record.data.verdict == COULD_NOT_LOOK
        if (unseen or check.suffices) if grade else (unseen and not check.proves):
            continue
        status, reason = _VERDICT_STATUS[record.data.verdict], record.data.text
        if drift_of(view, check) is not None:
            status = FAILED
        elif record.data.owes and record.data.verdict == NOT_YET:
            status, reason = WAITING, record.data.owes
        by_status[status] = (*by_status.get(status, ()), reason)
    return by_status


_VERDICT_STATUS = {COULD_NOT_LOOK: COULD_NOT_LOOK, BAD: FAILED, NOT_YET: NOT_YET}


def _from_values(view: View, done: bool) -> dict[str, tuple[str, ...]]:
    # What is empty in a step that was handed off comes with the team's answer: until then it is not the user's turn.
    awaited = handed_off(view) and not done
    # Who says that it is done without the wizard knows what the wizard would have found out.
    route = view.snapshot.routes.get((view.step.id, view.items))
    said = done or (route is not None and route.data.route == ALREADY_DONE)

    def wanting(state: FieldState) -> bool:
        if state.state != EMPTY:
            return state.state == WRONG
        return not awaited and (must_be_typed(view.step, state.field) or (said and state.field.from_action))

    reasons = tuple(
        f"{state.field.label}: {'empty' if state.state == EMPTY else state.message}"
        for state in field_states(view)
        if not state.field.secret and wanting(state)
    )
    return {NEEDS_INPUT: reasons} if reasons else {}


def must_be_typed(step: Step, field: Field) -> bool:
    """Whether the step can't go on while the field is empty; it can where its own action fills it."""
    return field.required and not (field.from_action and step.action is not None)


def unfilled(view: View) -> tuple[Field, ...]:
    """The fields that acting would have filled and that are empty: who confirms the step enters them."""
    return tuple(state.field for state in field_states(view) if state.field.from_action and state.state == EMPTY)


def _whose_turn(view: View, missing: tuple[ItemStep, ...]) -> dict[str, tuple[str, ...]]:
    if handed_off(view):
        return {WAITING: (view.step.team,)}
    owner = view.step.owner(view.snapshot.mode)
    if owner != YOU:
        return {WAITING: (owner,)}
    return {TO_DO: (f"not observed yet: {names(view, missing)}",) if missing else ()}


def handed_off(view: View) -> bool:
    """Whether the user chose to have another team do this item's step."""
    route = view.snapshot.routes.get((view.step.id, view.items))
    return route is not None and route.data.route == HAND_OFF


def _stale(view: View, *, confirmed: bool) -> tuple[str, ...]:
    said = confirmed or settled(view) is True
    stale = []
    for check in deciding(view.step):
        why = why_outdated(view, check)
        if why and not (said and check.suffices):
            stale.append(f"{check.title}: {why}")
    attest = view.step.attest
    if attest and not (attest.unless_proven and _all_good(view)):
        attested = (view.step.id, view.items, attest.id) in view.snapshot.attestations
        if attested and current_attestation(view) is None:
            stale.append(f"the confirmation: {INPUT_CHANGED}")
    return tuple(stale)


def _grade(view: View) -> str:
    """The weakest grade of a done step, or empty when it is not done."""
    attest = view.step.attest
    if _all_good(view) and (attest is None or attest.unless_proven):
        return OBSERVED
    return ATTESTED if current_attestation(view) else ""


def _all_good(view: View) -> bool:
    """Whether every look that must be good is, and the last word is good, or as long as there is none, one that
    suffices, where there are some."""
    must = [_is_good(view, check) for check in view.step.checks if check.proves]
    enough = [_is_good(view, check) for check in view.step.checks if check.suffices]
    last_word = settled(view)
    if last_word is None:
        last_word = any(enough) or not enough
    return bool(must or enough) and all(must) and last_word


def _is_good(view: View, check: Check) -> bool:
    record = current_finding(view, check)
    return record is not None and record.data.verdict == GOOD


def deciding(step: Step) -> tuple[Check, ...]:
    """The checks that have a say in the step's status; the others only advise."""
    return tuple(check for check in step.checks if check.decides)


def unobserved(view: View, found: Mapping[ItemStep, Status]) -> tuple[ItemStep, ...]:
    """The item's steps that must be observed before this one, and are not.

    A needed step that has nothing to do with this item (a dpe without an endpoint) was not observed for it either.
    """
    missing: list[ItemStep] = []
    for step_id in view.step.needs_observed:
        mine = _concerned(view, found, step_id)
        missing += [status.item_step for status in mine if not _is_observed(view, status)]
        if not mine:
            missing.append(ItemStep(step_id))
    return tuple(missing)


def _is_observed(view: View, status: Status) -> bool:
    there = view.of(status.item_step.step, status.item_step.items)
    if status.status != OBSERVED or not there.step.observed_by:
        return status.status == OBSERVED
    proofs = [last_word(there, check) for check in there.step.checks if check.id == there.step.observed_by]
    return any(proof is not None and proof.verdict == GOOD for proof in proofs)


def clashes(guide: Guide, snapshot: Snapshot) -> tuple[str, ...]:
    """Items of one kind that say they are the same thing: each would undo what is done for the other."""
    found = []
    for keys in guide.unique:
        owner = guide.fields()[keys[0]].owner
        seen: dict[tuple[str, ...], str] = {}
        for name in snapshot.items.get(owner or "", ()):
            values = tuple((snapshot.value(f"{owner}/{name}", key) or "").lower() for key in keys)
            if all(values) and seen.setdefault(values, name) != name:
                found.append(f"{owner} {name} and {owner} {seen[values]} have the same {' and '.join(keys)}")
    return tuple(found)


def names(view: View, waits: tuple[ItemStep, ...]) -> str:
    """Item steps as a reader names them: `step 5 dpe-01 pe-weu, step 7 dpe-01`."""
    found = []
    for wait in waits:
        step = view.guide.step(wait.step)
        number = f"step {step.number}" if step else wait.step
        found.append(" ".join((number, *(item.partition("/")[2] for item in wait.items))))
    return ", ".join(found)
