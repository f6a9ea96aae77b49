"""Which items of a setup have to do with each other: by reference, by link, or by a chain of these."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from wizard.guide import Guide

if TYPE_CHECKING:
    from state.snapshot import Snapshot

T = TypeVar("T")


class Relations:
    """The relations over one snapshot. Each is worked out once: a status asks for the same ones many times."""

    def __init__(self, guide: Guide, snapshot: Snapshot) -> None:
        self._guide = guide
        self._neighbours: dict[str, dict[str, None]] = {}
        self._reached: dict[tuple[str, str], frozenset[str] | None] = {}
        self._known: dict[Hashable, Any] = {}
        for one, other in (*snapshot.links, *references(guide, snapshot)):
            self._neighbours.setdefault(one, {})[other] = None
            self._neighbours.setdefault(other, {})[one] = None

    def related(self, one: str, other: str) -> bool:
        """Whether work on `one` concerns `other`.

        Items of kinds that have nothing to do with each other concern each other: there a gate waits for all.
        """
        reached = self.reached(one, other.partition("/")[0])
        return reached is None or other in reached

    def once(self, what: Hashable, work_out: Callable[[], T]) -> T:
        """What is asked for many times over this snapshot and worked out once; `what` tells it apart."""
        if what not in self._known:
            self._known[what] = work_out()
        found: T = self._known[what]
        return found

    def reached(self, one: str, kind: str) -> frozenset[str] | None:
        """The items of `kind` that work on `one` concerns; None when that is all of them."""
        key = one, kind
        if key not in self._reached:
            self._reached[key] = self._find(one, kind)
        return self._reached[key]

    def _find(self, one: str, kind: str) -> frozenset[str] | None:
        own = one.partition("/")[0]
        if own == kind:
            return frozenset((one,))
        if kind not in _connected_kinds(self._guide, own):
            return None
        seen, frontier, found = {one}, [one], set()
        while frontier:
            for neighbour in self._neighbours.get(frontier.pop(), ()):
                passed = neighbour.partition("/")[0]
                if passed == kind:
                    found.add(neighbour)
                # A chain never passes through two items of one kind: a shared subscription does not relate two dpes.
                elif neighbour not in seen and passed != own:
                    seen.add(neighbour)
                    frontier.append(neighbour)
        return frozenset(found)


def references(guide: Guide, snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    """Every item with the one it refers to, as far as the guide's references are filled in."""
    for kind in guide.kinds:
        for reference in kind.references:
            for name in snapshot.items.get(kind.name, ()):
                referring = f"{kind.name}/{name}"
                target = _referenced(snapshot, referring, reference.key, reference.kind)
                if target is not None:
                    yield referring, target


def _referenced(snapshot: Snapshot, item: str, key: str, kind: str) -> str | None:
    """The item of `kind` that `item` refers to; the only one there is stands in when none is named."""
    value = snapshot.value(item, key)
    if value is not None:
        return f"{kind}/{value}"
    names = snapshot.items.get(kind, ())
    return f"{kind}/{names[0]}" if len(names) == 1 else None


@cache
def _connected_kinds(guide: Guide, kind: str) -> frozenset[str]:
    """The kinds that have to do with `kind` in this guide, directly or by way of others."""
    edges = {
        frozenset((known.name, target))
        for known in guide.kinds
        for target in (*known.linked_to, *(reference.kind for reference in known.references))
    }
    reached, grown = {kind}, True
    while grown:
        more = {name for edge in edges if edge & reached for name in edge} - reached
        reached |= more
        grown = bool(more)
    return frozenset(reached)
