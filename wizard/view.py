"""A setup seen from one item's step: which values count there, and the fingerprint over them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from wizard.guide import Attestation, Check, Field, Guide, ItemStep, Step
from wizard.relations import Relations

if TYPE_CHECKING:
    from state.events import FieldSet
    from state.snapshot import Snapshot


def item_steps(guide: Guide, snapshot: Snapshot, step: Step) -> tuple[ItemStep, ...]:
    """The places where `step` runs: once, per item, or per linked pair (DESIGN.md section 1: item)."""
    found: list[tuple[str, ...]] = [()]
    near = _neighbours(snapshot) if len(step.per) > 1 else {}
    for kind in step.per:
        order = {f"{kind}/{name}": number for number, name in enumerate(snapshot.items.get(kind, ()))}
        found = [(*items, one) for items in found for one in (_linked(items, order, near) if items else order)]
    return tuple(ItemStep(step.id, items) for items in found)


def _neighbours(snapshot: Snapshot) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for one, other in snapshot.links:
        found.setdefault(one, set()).add(other)
        found.setdefault(other, set()).add(one)
    return found


def _linked(items: tuple[str, ...], order: Mapping[str, int], near: Mapping[str, set[str]]) -> list[str]:
    """Those in `order` that are linked, in either direction, with every one of `items`."""
    both = set.intersection(*(near.get(item, set()) for item in items))
    return sorted((one for one in both if one in order), key=lambda one: order[one])


def linked(snapshot: Snapshot, one: str, other: str) -> bool:
    """Whether two items are linked, in either direction."""
    return (one, other) in snapshot.links or (other, one) in snapshot.links


def _by_first(guide: Guide, snapshot: Snapshot, step: Step) -> tuple[tuple[ItemStep, ...], Mapping[str, Sequence[int]]]:
    """The places of a step, and at which numbers of these the first item is which."""
    places, found = item_steps(guide, snapshot, step), dict[str, list[int]]()
    for number, place in enumerate(places):
        found.setdefault(place.items[0] if place.items else "", []).append(number)
    return places, found


@dataclass(frozen=True, slots=True)
class View:
    """One item's step over a snapshot. All reads a check, plan or text makes go through here.

    `relations` are the snapshot's, for many views over one to share. `now` (RFC 3339 UTC) is when it is viewed: what
    was found too long before no longer counts; where it is empty, age does not matter.
    """

    guide: Guide
    snapshot: Snapshot
    step: Step
    items: tuple[str, ...] = ()
    relations: Relations | None = None
    now: str = ""

    @property
    def item_step(self) -> ItemStep:
        """The address of what is viewed."""
        return ItemStep(self.step.id, self.items)

    def of(self, step_id: str, items: tuple[str, ...] = ()) -> View:
        """Another step's view over the same snapshot."""
        step = self.guide.step(step_id)
        if step is None:
            raise KeyError(step_id)
        return View(self.guide, self.snapshot, step, items, self.relations, self.now)

    def concerns(self, items: tuple[str, ...]) -> bool:
        """Whether work here has to do with every one of `items`."""
        relations = self.relations or Relations(self.guide, self.snapshot)
        return all(relations.related(mine, theirs) for mine in self.items for theirs in items)

    def concerned(self, step_id: str) -> tuple[ItemStep, ...]:
        """Where another step runs for the items that have to do with the viewed ones, in that step's order."""
        step = self.of(step_id).step
        relations = self.relations or Relations(self.guide, self.snapshot)
        places: tuple[ItemStep, ...]
        places, by_first = relations.once(("places", step_id), lambda: _by_first(self.guide, self.snapshot, step))
        reached = relations.reached(self.items[0], step.per[0]) if self.items and step.per else None
        if reached is not None:
            places = tuple(
                places[number] for number in sorted(one for item in reached for one in by_first.get(item, ()))
            )
        view = replace(self, relations=relations)
        return tuple(place for place in places if view.concerns(place.items))

    def only(self, kind: str | None) -> View:
        """The same view for its items of one kind alone: of a pair, the one."""
        items = tuple(item for item in self.items if kind is not None and item.startswith(f"{kind}/"))
        return replace(self, items=items)

    def name(self, kind: str) -> str:
        """The name of this view's item of `kind`, empty when there is none."""
        return next((item.partition("/")[2] for item in self.items if item.startswith(f"{kind}/")), "")

    def owners(self, field: Field) -> tuple[str | None, ...]:
        """Whose values of `field` count here: the view's own item, or every related item of that kind."""
        if field.owner is None:
            return (None,)
        own = tuple(item for item in self.items if item.startswith(f"{field.owner}/"))
        if own:
            return own
        every = tuple(f"{field.owner}/{name}" for name in self.snapshot.items.get(field.owner, ()))
        relations = self.relations or Relations(self.guide, self.snapshot)
        return tuple(item for item in every if all(relations.related(mine, item) for mine in self.items))

    def setting(self, key: str) -> FieldSet | None:
        """The committed value of a field as it was set; None when unset or when several items have one."""
        owners = self.owners(self.guide.fields()[key])
        if len(owners) != 1:
            return None
        recorded = self.snapshot.values.get(owners[0], {}).get(key)
        return recorded.data if recorded else None

    def value(self, key: str) -> str:
        """The value of a field that has one owner here: committed, else its default, else empty."""
        setting = self.setting(key)
        if setting is not None and setting.value is not None:
            return setting.value
        field = self.guide.fields()[key]
        return (field.default(self) or "") if field.default else ""

    def values(self, key: str) -> tuple[str, ...]:
        """The values of a field over all its owners here, without the unset ones."""
        found = []
        for owner in self.owners(self.guide.fields()[key]):
            recorded = self.snapshot.values.get(owner, {}).get(key)
            if recorded and recorded.data.value is not None:
                found.append(recorded.data.value)
        return tuple(found)

    def inputs(self) -> list[tuple[str, str]]:
        """Sorted (field, normalised value) that the step's evidence rests on; secrets and timeouts are not in it.

        A file counts by its SHA-256, not by its path.
        """
        keys = (*(field.key for field in self.step.fields), *self.step.uses)
        if self.relations is None:
            return self._inputs(keys)
        return self.relations.once(("inputs", self.step.id, self.items), lambda: self._inputs(keys))

    def _inputs(self, keys: Sequence[str]) -> list[tuple[str, str]]:
        fields = self.guide.fields()
        pairs: list[tuple[str, str]] = []
        for key in keys:
            field = fields[key]
            if field.secret or not field.affects_proof:
                continue
            for owner in self.owners(field):
                recorded = self.snapshot.values.get(owner, {}).get(key)
                if recorded is not None and recorded.data.value is not None:
                    data = recorded.data
                    value = f"sha256:{data.file.sha256}" if data.file else str(data.value)
                elif field.default and owner in (None, *self.items):
                    value = field.default(self) or ""
                else:
                    value = ""
                pairs.append((f"{owner}.{key}" if owner else key, value))
        return sorted(pairs)

    def inputs_of(self, proof: Check | Attestation | None) -> list[tuple[str, str]]:
        """What a finding of that check, or a confirmation, rests on: `inputs`, and what the check uses beside them."""
        uses = proof.uses if isinstance(proof, Check) else ()
        return sorted([*self.inputs(), *self._inputs(uses)]) if uses else self.inputs()

    def fingerprint_of(self, proof: Check | Attestation) -> str:
        """The fingerprint that a finding of a check, or a confirmation of a text, must have to count now."""
        return self._fingerprint(proof.id, proof.revision, self.inputs_of(proof))

    def fingerprint(self, what: str, revision: int) -> str:
        """The fingerprint of what was done for the step's inputs, for one that is neither a check nor a text."""
        return self._fingerprint(what, revision, self.inputs())

    def _fingerprint(self, what: str, revision: int, inputs: Sequence[tuple[str, str]]) -> str:
        """SHA-256 of canonical JSON [guide, step, items, check or text id, revision, inputs] (DESIGN.md section 3)."""
        document = [self.guide.id, self.step.id, list(self.items), what, revision, inputs]
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
