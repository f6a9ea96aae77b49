"""What a setup is now: a journal folded into one frozen value.

`fold` is pure. A long journal is folded once; each later event is folded into the last snapshot, and only the maps
that it touches are copied.

A journal may have been edited by hand, so no event is trusted to make sense: one about an item that is not there, a
link that was never made or a change that never started is passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Generic, TypeVar

import msgspec

from state.events import (
    COULD_NOT_LOOK,
    GOOD,
    Actor,
    Attested,
    ChangeFinished,
    ChangeStarted,
    Data,
    EnvironmentSet,
    Event,
    FieldSet,
    Found,
    Header,
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
    Unlinked,
)

T = TypeVar("T")

DEFAULT_MODE = "self-service"

Items = tuple[str, ...]
"""The items that something is about, each `kind/name`."""


class Recorded(msgspec.Struct, Generic[T], frozen=True):
    """An event's data with its time, its actor and its number in the journal."""

    data: T
    ts: str
    actor: Actor
    seq: int


class Seen(msgspec.Struct, frozen=True):
    """What was found at some time, and for which inputs; `seq` is that event's number.

    `since`: time at which the same was found first, of those that say it one after the other. That nobody could look
    in between ends no such run.
    """

    verdict: str
    text: str
    ts: str
    seq: int
    fingerprint: str
    since: str


class RecordedFinding(Recorded[Found], frozen=True):
    """The latest finding of a check. `since`: time of the first of the current run of equal verdicts.

    `good`: the last one that was good, `answered`: the last one that was an answer, and not that nobody could look;
    each may be this one, and is None when there never was one. `turned`: number of the event by which it was no longer
    good, counted anew when the inputs change; 0 where it is good, or never was.
    """

    since: str
    good: Seen | None = None
    answered: Seen | None = None
    turned: int = 0

    @classmethod
    def after(cls, before: RecordedFinding | None, data: Found, *, ts: str, actor: Actor, seq: int) -> RecordedFinding:
        """The record of `data`, found at `ts`, after an earlier one of the same check."""
        since = before.since if before is not None and before.data.verdict == data.verdict else ts
        good, last, turned = (before.good, before.answered, before.turned) if before is not None else (None, None, 0)
        if data.verdict == COULD_NOT_LOOK:
            return cls(data, ts, actor, seq, since, good, last, turned)
        same_inputs = last is not None and last.fingerprint == data.fingerprint
        again = last is not None and same_inputs and (last.verdict, last.text) == (data.verdict, data.text)
        answered = Seen(data.verdict, data.text, ts, seq, data.fingerprint, last.since if last and again else ts)
        if data.verdict == GOOD:
            return cls(data, ts, actor, seq, since, answered, answered, 0)
        if good is not None and not (turned and same_inputs):
            turned = seq
        return cls(data, ts, actor, seq, since, good, answered, turned)


class ChangeRecord(msgspec.Struct, frozen=True):
    """A change from its start to its end, as far as it is known."""

    started: Recorded[ChangeStarted]
    process: Recorded[ProcessStarted] | None = None
    finished: Recorded[ChangeFinished] | None = None


def _nothing() -> Mapping[Any, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A setup at one event. Every map is read-only, and a new snapshot shares what did not change.

    `values` and `previous` are by item (None: the whole setup), then by field; a cleared field is absent from
    `values`. `previous` is what a field held before its latest commit, for undo; absent when that was its first.
    `items` are the names by kind, in the order they were added. `changes` are by change id, oldest first.
    `probes` are the short-lived pods that were made and whose end nobody wrote, by name.
    `pointed` is the number of the event by which the kubeconfig or its context last became another one; 0 without any.
    `head` is the SHA-256 of the last line, as the caller of `fold` gave it.
    """

    header: Header
    seq: int = 0
    head: str = ""
    first_ts: str = ""
    last_ts: str = ""
    last_actor: Actor | None = None
    mode: str = DEFAULT_MODE
    environment: Recorded[EnvironmentSet] | None = None
    pointed: int = 0
    probe: Recorded[ProbeConsented] | None = None
    probes: Mapping[str, Recorded[ProbeStarted]] = field(default_factory=_nothing)
    items: Mapping[str, tuple[str, ...]] = field(default_factory=_nothing)
    links: tuple[tuple[str, str], ...] = ()
    values: Mapping[str | None, Mapping[str, Recorded[FieldSet]]] = field(default_factory=_nothing)
    previous: Mapping[str | None, Mapping[str, Recorded[FieldSet]]] = field(default_factory=_nothing)
    routes: Mapping[tuple[str, Items], Recorded[RouteChosen]] = field(default_factory=_nothing)
    findings: Mapping[tuple[str, Items, str], RecordedFinding] = field(default_factory=_nothing)
    attestations: Mapping[tuple[str, Items, str], Recorded[Attested]] = field(default_factory=_nothing)
    waivers: Mapping[tuple[str, Items], Recorded[ProofWaived]] = field(default_factory=_nothing)
    identities: Mapping[str, Recorded[IdentityPinned]] = field(default_factory=_nothing)
    changes: Mapping[str, ChangeRecord] = field(default_factory=_nothing)

    def value(self, item: str | None, field: str) -> str | None:
        """What a field holds; None when it holds nothing."""
        recorded = self.values.get(item, {}).get(field)
        return recorded.data.value if recorded else None

    def has(self, item: str) -> bool:
        """Whether `item` (`kind/name`) is one of this setup's."""
        kind, _, name = item.partition("/")
        return name in self.items.get(kind, ())


def fold(header: Header, events: Iterable[Event], base: Snapshot | None = None, *, head: str = "") -> Snapshot:
    """The snapshot after `events`, which follow those that `base` was made of.

    `head` is the journal's head after the last of them; it can not be told from the events themselves.
    """
    builder = _Builder(base or Snapshot(header=header, first_ts=header.ts, last_ts=header.ts))
    last = None
    for last in events:
        handler = _HANDLERS.get(type(last.data))
        if handler:
            handler(builder, last, last.data)
    return builder.snapshot(last, head)


class _Builder:
    """The next snapshot in the making: a map is copied when it is first written to."""

    def __init__(self, base: Snapshot) -> None:
        self._base = base
        self._copies: dict[str, dict[Any, Any]] = {}
        self._copied_fields: set[tuple[str, str | None]] = set()
        self.mode = base.mode
        self.environment = base.environment
        self.pointed = base.pointed
        self.probe = base.probe
        self.links = dict.fromkeys(base.links)
        self.known: set[str | None] = {f"{kind}/{name}" for kind, names in base.items.items() for name in names}
        self.known.add(None)

    def map(self, name: str) -> dict[Any, Any]:
        """The map of that name, to write to."""
        copy = self._copies.get(name)
        if copy is None:
            copy = self._copies[name] = dict(getattr(self._base, name))
        return copy

    def fields(self, name: str, item: str | None) -> dict[str, Recorded[FieldSet]]:
        """The fields of one item in `values` or `previous`, to write to."""
        by_item = self.map(name)
        if (name, item) not in self._copied_fields:
            self._copied_fields.add((name, item))
            by_item[item] = dict(by_item.get(item, {}))
        fields: dict[str, Recorded[FieldSet]] = by_item[item]
        return fields

    def drop(self, item: str) -> None:
        """Forget everything that is kept under `item`, but its changes: they have happened."""
        for name in ("values", "previous"):
            self.map(name).pop(item, None)
            self._copied_fields.discard((name, item))
        self.links = {link: None for link in self.links if item not in link}
        for name in ("routes", "findings", "attestations", "waivers"):
            by_key = self.map(name)
            for key in [key for key in by_key if item in key[1]]:
                del by_key[key]

    def knows(self, items: Items) -> bool:
        """Whether all of them are items of this setup."""
        return self.known.issuperset(items)

    def snapshot(self, last: Event | None, head: str) -> Snapshot:
        """The frozen result; `last` is the last event folded in, None when there was none."""
        links = tuple(self.links)
        return replace(
            self._base,
            seq=last.seq if last else self._base.seq,
            head=head or ("" if last else self._base.head),
            last_ts=last.ts if last else self._base.last_ts,
            last_actor=last.actor if last else self._base.last_actor,
            mode=self.mode,
            environment=self.environment,
            pointed=self.pointed,
            probe=self.probe,
            links=links if links != self._base.links else self._base.links,
            **{name: self._frozen(name, copy) for name, copy in self._copies.items()},
        )

    def _frozen(self, name: str, copy: dict[Any, Any]) -> Any:
        if name in ("values", "previous"):
            return MappingProxyType(
                {
                    item: MappingProxyType(fields) if (name, item) in self._copied_fields else fields
                    for item, fields in copy.items()
                    if fields
                }
            )
        return MappingProxyType(copy)


def _recorded(event: Event, data: T) -> Recorded[T]:
    return Recorded(data, event.ts, event.actor, event.seq)


def _mode_set(builder: _Builder, event: Event, data: ModeSet) -> None:
    builder.mode = data.mode


def _environment_set(builder: _Builder, event: Event, data: EnvironmentSet) -> None:
    before = builder.environment.data if builder.environment else EnvironmentSet()
    if (before.kubeconfig, before.kube_context) != (data.kubeconfig, data.kube_context):
        builder.pointed = event.seq
    builder.environment = _recorded(event, data)


def _item_added(builder: _Builder, event: Event, data: ItemAdded) -> None:
    kind, _, name = data.item.partition("/")
    if kind and name and data.item not in builder.known:
        builder.known.add(data.item)
        items = builder.map("items")
        items[kind] = (*items.get(kind, ()), name)


def _item_removed(builder: _Builder, event: Event, data: ItemRemoved) -> None:
    if data.item not in builder.known:
        return
    builder.known.remove(data.item)
    kind, _, name = data.item.partition("/")
    items = builder.map("items")
    items[kind] = tuple(other for other in items[kind] if other != name)
    if not items[kind]:
        del items[kind]
    builder.drop(data.item)


def _linked(builder: _Builder, event: Event, data: Linked) -> None:
    if builder.knows((data.source, data.target)):
        builder.links[data.source, data.target] = None


def _unlinked(builder: _Builder, event: Event, data: Unlinked) -> None:
    builder.links.pop((data.source, data.target), None)


def _field_set(builder: _Builder, event: Event, data: FieldSet) -> None:
    if data.item not in builder.known:
        return
    values = builder.fields("values", data.item)
    before = values.get(data.field)
    if before is not None:
        builder.fields("previous", data.item)[data.field] = before
    elif data.field in builder.map("previous").get(data.item, {}):
        # It was empty just before: the undo of this commit is to clear the field, not to go back two commits.
        del builder.fields("previous", data.item)[data.field]
    if data.value is None:
        values.pop(data.field, None)
    else:
        values[data.field] = _recorded(event, data)


def _route_chosen(builder: _Builder, event: Event, data: RouteChosen) -> None:
    if builder.knows(data.items):
        builder.map("routes")[data.step, data.items] = _recorded(event, data)


def _found(builder: _Builder, event: Event, data: Found) -> None:
    if not builder.knows(data.items):
        return
    findings = builder.map("findings")
    key = (data.step, data.items, data.check)
    findings[key] = RecordedFinding.after(findings.get(key), data, ts=event.ts, actor=event.actor, seq=event.seq)


def _attested(builder: _Builder, event: Event, data: Attested) -> None:
    if builder.knows(data.items):
        builder.map("attestations")[data.step, data.items, data.text_id] = _recorded(event, data)


def _proof_waived(builder: _Builder, event: Event, data: ProofWaived) -> None:
    if builder.knows(data.items):
        builder.map("waivers")[data.step, data.items] = _recorded(event, data)


def _probe_consented(builder: _Builder, event: Event, data: ProbeConsented) -> None:
    builder.probe = _recorded(event, data)


def _probe_started(builder: _Builder, event: Event, data: ProbeStarted) -> None:
    builder.map("probes")[data.pod] = _recorded(event, data)


def _probe_ended(builder: _Builder, event: Event, data: ProbeEnded) -> None:
    builder.map("probes").pop(data.pod, None)


def _identity_pinned(builder: _Builder, event: Event, data: IdentityPinned) -> None:
    builder.map("identities")[data.kind] = _recorded(event, data)


def _change_started(builder: _Builder, event: Event, data: ChangeStarted) -> None:
    builder.map("changes")[data.change] = ChangeRecord(_recorded(event, data))


def _process_started(builder: _Builder, event: Event, data: ProcessStarted) -> None:
    changes = builder.map("changes")
    record = changes.get(data.change)
    if record is not None:
        changes[data.change] = msgspec.structs.replace(record, process=_recorded(event, data))


def _change_finished(builder: _Builder, event: Event, data: ChangeFinished) -> None:
    changes = builder.map("changes")
    record = changes.get(data.change)
    if record is not None:
        changes[data.change] = msgspec.structs.replace(record, finished=_recorded(event, data))


_HANDLERS: dict[type[Data], Callable[[_Builder, Event, Any], None]] = {
    ModeSet: _mode_set,
    EnvironmentSet: _environment_set,
    ItemAdded: _item_added,
    ItemRemoved: _item_removed,
    Linked: _linked,
    Unlinked: _unlinked,
    FieldSet: _field_set,
    RouteChosen: _route_chosen,
    Found: _found,
    Attested: _attested,
    ProofWaived: _proof_waived,
    ProbeConsented: _probe_consented,
    ProbeStarted: _probe_started,
    ProbeEnded: _probe_ended,
    IdentityPinned: _identity_pinned,
    ChangeStarted: _change_started,
    ProcessStarted: _process_started,
    ChangeFinished: _change_finished,
}
