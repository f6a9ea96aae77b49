"""Which items of a setup have to do with each other: by reference, by link, or by a chain of these."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from wizard.guide import Guide

if TYPE_CHECKING:
    from state.snapshot import Snapshot


class Relations:
    """The relations over one snapshot. Each pair is worked out once: a status asks for the same ones many times."""

    def __init__(self, guide: Guide, snapshot: Snapshot) -> None:
        self._guide = guide
        self._neighbours: dict[str, dict[str, None]] = {}
        self._known: dict[tuple[str, str], bool] = {}
        for one, other in (*snapshot.links, *references(guide, snapshot)):
            self._neighbours.setdefault(one, {})[other] = None
            self._neighbours.setdefault(other, {})[one] = None

    def related(self, one: str, other: str) -> bool:
        """Whether work on `one` concerns `other`.

        Items of kinds that have nothing to do with each other concern each other: there a gate waits for all.
        """
        known = self._known.get((one, other))
        if known is None:
            known = self._known[one, other] = self._find(one, other)
        return known

    def _find(self, one: str, other: str) -> bool:
        if one == other:
            return True
        kind_one, kind_other = one.partition("/")[0], other.partition("/")[0]
        if kind_one == kind_other:
            return False
        seen, frontier = {one}, [one]
        while frontier:
            for neighbour in self._neighbours.get(frontier.pop(), ()):
                if neighbour == other:
                    return True
                # A chain never passes through two items of one kind: a shared subscription does not relate two dpes.
                kind = neighbour.partition("/")[0]
                if neighbour not in seen and kind not in (kind_one, kind_other):
                    seen.add(neighbour)
                    frontier.append(neighbour)
        return kind_other not in _connected_kinds(self._guide, kind_one)


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
