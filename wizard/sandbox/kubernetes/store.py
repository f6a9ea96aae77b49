"""The objects, their versions, and who is told of a change.

Only bookkeeping: what may be written is decided in `objects`. Lists come in the order of the real storage, by
namespace and name, which is what makes paging stable.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from wizard.sandbox.kubernetes.errors import expired
from wizard.sandbox.kubernetes.meta import name_of, namespace_of
from wizard.sandbox.kubernetes.resources import BY_KIND, Key, Obj, Resource

_REMEMBERED_CHANGES = 2000
_RESTART_GAP = 1000

ChangeType = Literal["ADDED", "MODIFIED", "DELETED"]


@dataclass(frozen=True, slots=True)
class Change:
    """One change. `obj` is the object afterwards (for DELETED: as it was last), `before` what was there earlier."""

    version: int
    type: ChangeType
    key: Key
    obj: Obj
    before: Obj | None


Listener = Callable[[Change], None]


class Store:
    """All objects of the cluster; every write gets the next resource version."""

    def __init__(self) -> None:
        self.version = 1000
        self._objects: dict[Key, Obj] = {}
        self._changes: deque[Change] = deque(maxlen=_REMEMBERED_CHANGES)
        self._forgotten = self.version
        self._listeners: list[Listener] = []

    def get(self, key: Key) -> Obj | None:
        """The object at `key`, or None."""
        return self._objects.get(key)

    def __contains__(self, key: Key) -> bool:
        return key in self._objects

    def all_keys(self) -> list[Key]:
        """Every key, in a list of its own: the store may change while it is walked through."""
        return list(self._objects)

    def list(self, resource: Resource, namespace: str = "") -> list[Obj]:
        """All objects of a kind, of one namespace or of all, by namespace and name."""
        keys = [key for key in self._objects if key.resource is resource and namespace in ("", key.namespace)]
        return [self._objects[key] for key in sorted(keys, key=lambda key: (key.namespace, key.name))]

    def put(self, key: Key, obj: Obj) -> Obj:
        """Store a new or changed object; returns it with its resource version."""
        before = self._objects.get(key)
        stored = self._with_next_version(obj)
        self._objects[key] = stored
        self._tell(Change(self.version, "MODIFIED" if before else "ADDED", key, stored, before))
        return stored

    def remove(self, key: Key) -> Obj:
        """Forget an object; returns its last form. Raises KeyError when it is not there."""
        before = self._objects.pop(key)
        last = self._with_next_version(before)
        self._tell(Change(self.version, "DELETED", key, last, before))
        return last

    def changes_since(self, version: int) -> Iterator[Change]:
        """Changes after `version`, oldest first; raises ApiError (410) when some of them are no longer known."""
        if version < self._forgotten:
            raise expired(version, self._forgotten)
        return iter([change for change in self._changes if change.version > version])

    def subscribe(self, listener: Listener) -> None:
        """Call `listener` at once on every change."""
        self._listeners.append(listener)

    def unsubscribe(self, listener: Listener) -> None:
        """Undo `subscribe`."""
        self._listeners.remove(listener)

    def dump(self) -> Obj:
        """Everything that must outlive the process, as JSON."""
        return {"version": self.version, "objects": list(self._objects.values())}

    def load(self, saved: Obj) -> None:
        """Replace everything by what `dump` gave; nobody is told.

        Versions go on after a gap, and no earlier change is known: a client that saw a version handed out just
        before a crash, but not saved, is told to list again instead of missing a change.
        """
        self.version = int(saved["version"]) + _RESTART_GAP
        self._forgotten = self.version
        self._changes.clear()
        self._objects = {_key_of(obj): obj for obj in saved["objects"]}

    def _with_next_version(self, obj: Obj) -> Obj:
        self.version += 1
        return {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.version)}}

    def _tell(self, change: Change) -> None:
        if len(self._changes) == _REMEMBERED_CHANGES:
            self._forgotten = self._changes[0].version
        self._changes.append(change)
        for listener in list(self._listeners):
            listener(change)


def _key_of(obj: Obj) -> Key:
    return Key(BY_KIND[obj["apiVersion"], obj["kind"]], namespace_of(obj), name_of(obj))
