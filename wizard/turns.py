"""Whose turn it is: what is the user's to do and what somebody else owes, in the same words everywhere.

Pure, and light enough for `list`. Texts name steps, teams and fields as the guide does; names of items come from the
journal and are cleaned here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from state.events import COULD_NOT_LOOK, NOT_YET
from wizard.current import current_attestation, current_waiver, last_change, last_finding, why_outdated
from wizard.guide import ALREADY_DONE, DO_IT_FOR_ME, YOU, Guide, ItemStep, Step
from wizard.relations import Relations
from wizard.status import (
    DONE_STATUSES,
    EMPTY,
    FAILED,
    NEEDS_INPUT,
    OK,
    RUNNING,
    STALE,
    STATUSES,
    TO_DO,
    WAITING,
    WRONG,
    SetupStatus,
    Status,
    deciding,
    field_states,
    handed_off,
    must_be_typed,
    unobserved,
)
from wizard.text import one_line
from wizard.view import View, item_steps

if TYPE_CHECKING:
    from state.snapshot import Snapshot

SHORT_CELLS = 40
BAND_CELLS = 45
"""How wide a short text may be, in terminal cells: beside a place, and alone in the narrow band."""

ALL_DONE = "all steps done"

WAITS = "waiting"
"""The state of a step that can't begin yet. No status: it stands for a shut gate (DESIGN.md section 1)."""

# A step shows the most urgent of its items, and what is the user's before what is not.
_SHOWN_FIRST = (
    *STATUSES[: STATUSES.index(NEEDS_INPUT) + 1],
    TO_DO,
    NOT_YET,
    WAITING,
    WAITS,
    *(status for status in STATUSES if status in DONE_STATUSES),
)

# What a shut gate says less than: that work has begun here, and how it stands.
_NOT_BEGUN = (NEEDS_INPUT, WAITING, NOT_YET, TO_DO)


@dataclass(frozen=True, slots=True)
class Mine:
    """Something the user can do now. `text` is whole, `short` says the same without its place."""

    item_step: ItemStep
    status: str
    text: str
    short: str
    number: int


@dataclass(frozen=True, slots=True)
class Owed:
    """Something somebody else owes. `since` is when it was handed off (RFC 3339), empty when that is not known."""

    who: str
    item_step: ItemStep
    text: str
    since: str
    place: str


@dataclass(frozen=True, slots=True)
class Turns:
    """What is whose. `mine` is most urgent first, then in the guide's order; `finished`: nothing is left to do."""

    mine: tuple[Mine, ...]
    owed: tuple[Owed, ...]
    finished: bool

    @property
    def whose(self) -> str:
        """`you`, else who owes the first thing, else empty."""
        return YOU if self.mine else next((owed.who for owed in self.owed), "")

    @property
    def sentence(self) -> str:
        """What is mine, for the wide band."""
        if not self.mine:
            return self._nothing
        more = f", then {len(self.mine) - 1} more" if len(self.mine) > 1 else ""
        return self.mine[0].text + more

    @property
    def short(self) -> str:
        """What is mine, for the narrow band: at most BAND_CELLS."""
        if not self.mine:
            return self._nothing
        first = self.mine[0]
        more = f", {len(self.mine) - 1} more" if len(self.mine) > 1 else ""
        lead = f"step {first.number}: "
        fitting = (text for text in (lead + first.short + more, lead + first.short) if len(text) <= BAND_CELLS)
        return next(fitting, first.short)

    @property
    def _nothing(self) -> str:
        return ALL_DONE if self.finished else "nothing now"

    @property
    def owed_sentence(self) -> str:
        """What others owe, for the wide band."""
        if len(self.owed) == 1:
            return f"{self.owed[0].who} owes {self.owed[0].place}"
        first, *others = [f"{who} owes {_things(count)}" for who, count in self._debts().items()] or [_NOTHING_OWED]
        return ", ".join((first, *others))

    @property
    def owed_short(self) -> str:
        """What others owe, for the narrow band: at most BAND_CELLS when the guide's teams have short names."""
        debts = self._debts()
        if len(debts) > 1:
            return f"{len(debts)} teams owe {len(self.owed)}"
        return next((f"{who} owes {count}" for who, count in debts.items()), _NOTHING_OWED)

    def _debts(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for owed in self.owed:
            counts[owed.who] = counts.get(owed.who, 0) + 1
        return counts


_NOTHING_OWED = "others owe nothing"


def _things(count: int) -> str:
    return "1 thing" if count == 1 else f"{count} things"


def turns(guide: Guide, snapshot: Snapshot, status: SetupStatus) -> Turns:
    """What is whose in a setup; `status` is that of `snapshot`."""
    mine: list[Mine] = []
    owed: list[Owed] = []
    relations = Relations(guide, snapshot)
    for step in guide.steps:
        places = item_steps(guide, snapshot, step)
        if not places and not _open_predecessors(guide, status, step):
            short = _add(guide, snapshot, step)
            mine.append(Mine(ItemStep(step.id), TO_DO, f"step {step.number}: {short}", short, step.number))
        for place in places:
            view = View(guide, snapshot, step, place.items, relations, status.now)
            found = status.item_steps[place]
            if debt := _debt(view, status, found):
                owed.append(debt)
            if _is_mine(view, status, found, debt):
                short = next_move(view, status)
                text = f"{place_name(guide, place)}: {short}"
                mine.append(Mine(place, found.status, text, short, step.number))
    mine.sort(key=lambda one: _urgency(one.status))
    finished = all(status.steps[step.id] in DONE_STATUSES for step in guide.steps)
    return Turns(tuple(mine), tuple(owed), finished)


def _urgency(status: str) -> int:
    if status == RUNNING:
        return 0
    return 1 if status in (FAILED, STALE, COULD_NOT_LOOK) else 2


def _debt(view: View, status: SetupStatus, found: Status) -> Owed | None:
    """What somebody else owes here. What was handed off is owed until it is done, whatever a look says meanwhile."""
    handed = handed_off(view)
    if found.done or not (handed or (found.status == WAITING and not _waits(status, found))):
        return None
    place = place_name(view.guide, view.item_step)
    since = view.snapshot.routes[view.step.id, view.items].ts if handed else ""
    who = view.step.team if handed else next(iter(found.reasons), view.step.owner(view.snapshot.mode))
    return Owed(who, view.item_step, f"{place}: {view.step.title}", since, place)


def _is_mine(view: View, status: SetupStatus, found: Status, debt: Owed | None) -> bool:
    if found.status == RUNNING:
        return True
    if found.done or found.status == WAITING or _waits(status, found):
        return False
    # That a look still finds it wrong, or not yet so, is for the other team to change.
    return debt is None or found.status not in (FAILED, NOT_YET)


# ---------------------------------------------------------------- one word for a step


def step_word(guide: Guide, snapshot: Snapshot, status: SetupStatus, step: Step) -> tuple[str, str]:
    """A step in the step list: the state whose glyph it wears, and its word."""
    places = [place for place in item_steps(guide, snapshot, step) if place in status.item_steps]
    words = [place_word(guide, status, place) for place in places or [ItemStep(step.id)]]
    state, word = min(words, key=lambda one: _SHOWN_FIRST.index(one[0]))
    if state == WAITS:
        numbers = {number for place in places for number in _numbers(guide, _waits(status, status.item_steps[place]))}
        return state, _waits_for(numbers) if numbers else word
    return state, word


def place_word(guide: Guide, status: SetupStatus, item_step: ItemStep) -> tuple[str, str]:
    """The same for one item's step; a step that has no items yet stands for itself."""
    found = status.item_steps.get(item_step)
    if found is None:
        step = guide.step(item_step.step)
        numbers = _open_predecessors(guide, status, step) if step else set()
        return (WAITS, _waits_for(numbers)) if numbers else (TO_DO, TO_DO)
    if found.status in _NOT_BEGUN and (waits := _waits(status, found)):
        return WAITS, _waits_for(_numbers(guide, waits))
    if found.status == NEEDS_INPUT:
        return NEEDS_INPUT, TO_DO
    if found.status == WAITING:
        return WAITING, next(iter(found.reasons), WAITING)
    return found.status, found.status


def place_name(guide: Guide, item_step: ItemStep) -> str:
    """An item's step as a reader names it: `step 5, dpe-01 pe-weu`."""
    step = guide.step(item_step.step)
    number = f"step {step.number}" if step else one_line(item_step.step)
    named = " ".join(one_line(item.partition("/")[2]) for item in item_step.items)
    return f"{number}, {named}" if named else number


def listed(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(part for part in (", ".join(words[:-1]), *words[-1:]) if part)


def _waits_for(numbers: set[int]) -> str:
    return f"waits for {', '.join(str(number) for number in sorted(numbers))}"


def _numbers(guide: Guide, places: Sequence[ItemStep]) -> set[int]:
    return {step.number for place in places if (step := guide.step(place.step))}


def _open_predecessors(guide: Guide, status: SetupStatus, step: Step) -> set[int]:
    """The numbers of the steps that have to be done before `step`, and are not."""
    return _numbers(guide, [ItemStep(after) for after in step.after if status.steps[after] not in DONE_STATUSES])


# ---------------------------------------------------------------- gates that only a relation can open


def _waits(status: SetupStatus, found: Status) -> tuple[ItemStep, ...]:
    """What has to be done first. Where only a relation is missing nothing is: the user can say it now."""
    return tuple(place for place in found.gate if not _lacks_relation(status, place))


def _lacks_relation(status: SetupStatus, place: ItemStep) -> bool:
    """Whether `place` stands for a step that has items, of which none has to do with the one that waits."""
    return place not in status.item_steps and any(known.step == place.step for known in status.item_steps)


def _unnamed_kind(view: View, status: SetupStatus, places: Sequence[ItemStep]) -> str:
    """The label of the kind of item that this one has to be related with, empty when none is missing."""
    own = {item.partition("/")[0] for item in view.items}
    for place in places:
        step = view.guide.step(place.step)
        if step is not None and _lacks_relation(status, place):
            return next((_label(view.guide, kind) for kind in step.per if kind not in own), "")
    return ""


def _label(guide: Guide, kind: str) -> str:
    """A kind as it reads within a sentence: `subscription`, `Private Endpoint`, `DPE`."""
    known = guide.kind(kind)
    label = known.label if known else kind
    return label.lower() if label == label.capitalize() else label


# ---------------------------------------------------------------- what to do next


def next_move(view: View, status: SetupStatus) -> str:
    """What the user does next at an item's step, without its place; empty where it is done or somebody else's."""
    found = status.item_steps[view.item_step]
    title = view.step.title
    if found.status in _NOT_BEGUN and (kind := _unnamed_kind(view, status, found.gate)):
        return _fitted(f"say which {kind} it uses")
    if found.status == STALE:
        return _fitted(_again(view))
    if found.status == NEEDS_INPUT:
        return _fitted(_missing_input(view))
    if found.status == TO_DO:
        return _fitted(_to_do(view, status))
    if found.status == NOT_YET and view.step.action is not None and last_change(view) is None:
        return _fitted(_to_do(view, status))  # it was looked at before anything was done
    moves = {
        RUNNING: f"see how {title} ends",
        FAILED: f"see why {title} failed",
        COULD_NOT_LOOK: f"check {title} again",
        NOT_YET: f"check {title} again",
    }
    return _fitted(moves.get(found.status, ""))


def _again(view: View) -> str:
    title, attest = view.step.title, view.step.attest
    if version := _newer_version(view):
        return f"upgrade to {version}"
    if any(why_outdated(view, check) for check in deciding(view.step)):
        return f"check {title} again"
    if attest and current_attestation(view) is None:
        return f"confirm {title} again"
    return "prove what it rests on again"


def _newer_version(view: View) -> str:
    """The chart version that was entered after this step was last done, or found done; empty when there is none."""
    change = last_change(view)
    good = (record.good for check in deciding(view.step) if (record := last_finding(view, check)) is not None)
    done = max((*(seen.seq for seen in good if seen is not None), change.started.seq if change else 0))
    for state in field_states(view):
        recorded = view.snapshot.values.get(state.owner, {}).get(state.field.key)
        newer = recorded is not None and recorded.seq > done > 0
        if state.field.kind == "chart-version" and state.state == OK and newer:
            return state.value
    return ""


def _missing_input(view: View) -> str:
    states = [state for state in field_states(view) if not state.field.secret]
    for state in states:
        if state.state == WRONG:
            return f"correct {state.field.label}"
    empty = [state for state in states if state.state == EMPTY and state.field.required]
    empty.sort(key=lambda state: not must_be_typed(view.step, state.field))
    return next((f"finish {state.field.label}" for state in empty), f"finish {view.step.title}")


def _to_do(view: View, status: SetupStatus) -> str:
    step = view.step
    missing = unobserved(view, status.item_steps)
    if missing and current_waiver(view) is None:
        if kind := _unnamed_kind(view, status, missing):
            return f"say which {kind} it uses"
        numbers = [str(number) for number in sorted(_numbers(view.guide, missing))]
        return f"prove step{'s' if len(numbers) > 1 else ''} {listed(numbers)} first"
    chosen = view.snapshot.routes.get((step.id, view.items))
    route = chosen.data.route if chosen else (step.routes[0] if len(step.routes) == 1 else None)
    if step.routes and route is None:
        return "choose a route"
    if route == DO_IT_FOR_ME:
        return f"start {step.title}"
    said = step.attest is not None and route == ALREADY_DONE
    return f"check {step.title}" if deciding(step) and not said else f"confirm {step.title}"


def _add(guide: Guide, snapshot: Snapshot, step: Step) -> str:
    """What a step without items asks for: an item of a kind there is none of, else a link."""
    labels = [_label(guide, kind) for kind in step.per]
    for kind, label in zip(step.per, labels, strict=True):
        if not snapshot.items.get(kind):
            return _fitted(f"add {_with_article(label)}")
    return _fitted(f"link {' with '.join(_with_article(label) for label in labels)}")


def _with_article(label: str) -> str:
    return f"{'an' if label.lower().startswith(('a', 'e', 'i', 'o')) else 'a'} {label}"


def _fitted(text: str) -> str:
    return text if len(text) <= SHORT_CELLS else f"{text[: SHORT_CELLS - 1]}…"
