"""Who did what, one event in plain words: shorter than the timeline of `review`, and without values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

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
from wizard.guide import ALREADY_DONE, HAND_OFF, Guide, ItemStep
from wizard.text import one_line
from wizard.turns import place_name


def last_deed(guide: Guide, events: Sequence[Event]) -> str:
    """What happened last and who did it: `ada confirmed step 2, main`. Empty when nothing has happened yet."""
    last = last_event(events)
    return one_line(f"{last.actor.user} {deed(guide, last)}") if last else ""


def last_event(events: Sequence[Event]) -> Event | None:
    """The last thing somebody did. That half a line was cut off is written by opening: nobody did that."""
    return next((event for event in reversed(events) if not isinstance(event.data, TornLineCut)), None)


def deed(guide: Guide, event: Event) -> str:
    """What the actor of one event did, without values: `set Subnet of pe-weu`."""
    words = _DEEDS.get(type(event.data))
    return one_line(words(guide, event.data)) if words else event.type


def _at(guide: Guide, data: Any) -> str:
    return place_name(guide, ItemStep(data.step, tuple(data.items)))


def _item(address: str) -> str:
    return address.partition("/")[2]


def _field_set(guide: Guide, data: FieldSet) -> str:
    field = guide.fields().get(data.field)
    named = (field.label if field else data.field) + (f" of {_item(data.item)}" if data.item else "")
    if data.source == "undo":
        return f"took back {named}"
    return f"{'cleared' if data.value is None else 'set'} {named}"


def _route(guide: Guide, data: RouteChosen) -> str:
    place = _at(guide, data)
    if data.route == HAND_OFF:
        return f"handed off {place}"
    return f"said that {place} is done" if data.route == ALREADY_DONE else f"chose {data.route} for {place}"


_DEEDS: dict[type[Data], Callable[[Guide, Any], str]] = {
    ModeSet: lambda guide, data: f"chose {data.mode}",
    EnvironmentSet: lambda guide, data: "set where this setup points",
    ItemAdded: lambda guide, data: f"added {_item(data.item)}",
    ItemRemoved: lambda guide, data: f"removed {_item(data.item)}",
    Linked: lambda guide, data: f"linked {_item(data.source)} with {_item(data.target)}",
    Unlinked: lambda guide, data: f"unlinked {_item(data.source)} from {_item(data.target)}",
    FieldSet: _field_set,
    RouteChosen: _route,
    Found: lambda guide, data: f"checked {_at(guide, data)}: {data.verdict}",
    Attested: lambda guide, data: f"confirmed {_at(guide, data)}",
    ProofWaived: lambda guide, data: f"went on without observed proof at {_at(guide, data)}",
    ProbeConsented: lambda guide, data: "refused probes" if data.probe == "none" else f"allowed probe {data.probe}",
    ProbeStarted: lambda guide, data: f"made pod {data.pod} to look from inside the cluster",
    ProbeEnded: lambda guide, data: f"removed pod {data.pod}",
    IdentityPinned: lambda guide, data: f"pinned the {data.kind} identity",
    ChangeStarted: lambda guide, data: f"started {_at(guide, data)}",
    ProcessStarted: lambda guide, data: "started a process",
    ChangeFinished: lambda guide, data: f"saw a change end: {data.outcome}",
    TornLineCut: lambda guide, data: "cut off half a line",
}
