"""The write path of the API server: what happens to an object between the request and the store.

Requests and controllers write through here alike, as in a real cluster.
"""

from __future__ import annotations

import uuid
from typing import NamedTuple

from wizard.sandbox.kubernetes import admission, patches, shapes, validation
from wizard.sandbox.kubernetes.errors import ApiError, already_exists, conflict, not_found
from wizard.sandbox.kubernetes.meta import annotations_of, name_of, namespace_of, now, owner_uids
from wizard.sandbox.kubernetes.resources import (
    BY_PLURAL,
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    NAMESPACES,
    NODES,
    REPLICA_SETS,
    SECRETS,
    SERVICE_ACCOUNTS,
    STATEFUL_SETS,
    Key,
    Obj,
    Resource,
)
from wizard.sandbox.kubernetes.store import Store

NODE_NAME = "sandbox"

_COUNTED = frozenset({DEPLOYMENTS, REPLICA_SETS, STATEFUL_SETS, DAEMON_SETS, JOBS})  # have metadata.generation
_KEPT_NAMESPACES = frozenset({"default", "kube-system"})
# Set by the server alone: a write keeps the stored values, whatever it says.
_SERVER_METADATA = ("name", "namespace", "uid", "creationTimestamp", "generation", "deletionTimestamp")


class _Applied(NamedTuple):
    """Whose configuration: server-side apply remembers the last one per object, manager and subresource."""

    key: Key
    manager: str
    subresource: str


class Objects:
    """Creates, changes and deletes objects of `store` by the API server's rules."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._applied: dict[_Applied, Obj] = {}

    def found_cluster(self) -> None:
        """What a new cluster has: its first namespaces and a node."""
        for namespace in sorted(_KEPT_NAMESPACES):
            self.create(NAMESPACES, "", {"metadata": {"name": namespace}})
        ready = {
            "type": "Ready",
            "status": "True",
            "reason": "KubeletReady",
            "message": "",
            "lastTransitionTime": now(),
        }
        labels = {"kubernetes.io/hostname": NODE_NAME, "kubernetes.io/os": "linux"}
        status = {"conditions": [ready], "capacity": {"cpu": "8", "memory": "32Gi", "pods": "110"}}
        self.create(NODES, "", {"metadata": {"name": NODE_NAME, "labels": labels}, "status": status})

    def get(self, key: Key) -> Obj:
        """The object; raises ApiError (404)."""
        if (obj := self.store.get(key)) is None:
            raise not_found(key.resource, key.name)
        return obj

    def owned(self, resource: Resource, owner: Obj) -> list[Obj]:
        """Objects of a kind that `owner` owns, by name."""
        uid = owner["metadata"]["uid"]
        return [obj for obj in self.store.list(resource, namespace_of(owner)) if uid in owner_uids(obj)]

    def create(self, resource: Resource, namespace: str, body: Obj, *, dry_run: bool = False) -> Obj:
        """Store a new object; raises ApiError: 400, 404 (no such namespace), 409, 422."""
        validation.check_request(resource, namespace, "", body)
        obj: Obj = shapes.without_nulls(body)
        metadata = obj.setdefault("metadata", {})
        obj |= {"apiVersion": resource.group_version, "kind": resource.kind}
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = metadata["generateName"] + uuid.uuid4().hex[:5]
        if resource.namespaced:
            metadata["namespace"] = namespace
            self.get(Key(NAMESPACES, "", namespace))
        validation.check_object(resource, obj)
        key = Key(resource, namespace if resource.namespaced else "", metadata["name"])
        if key in self.store:
            raise already_exists(resource, key.name)
        metadata |= {"uid": str(uuid.uuid4()), "creationTimestamp": now()}
        metadata.pop("resourceVersion", None)
        if resource in _COUNTED:
            metadata["generation"] = 1
        admission.fill_in(resource, obj)
        if dry_run:
            return obj
        stored = self.store.put(key, obj)
        if resource is NAMESPACES:
            self.create(SERVICE_ACCOUNTS, key.name, {"metadata": {"name": "default"}})
        return stored

    def update(self, key: Key, body: Obj, *, dry_run: bool = False) -> Obj:
        """Replace everything but the status; raises ApiError: 400, 404, 409, 422."""
        validation.check_request(key.resource, key.namespace, key.name, body)
        old = self.get(key)
        new: Obj = shapes.without_nulls(body)
        self._check_version(key, old, new)
        kept = {name: old["metadata"][name] for name in _SERVER_METADATA if name in old["metadata"]}
        new["metadata"] = {**(new.get("metadata") or {}), **kept}
        new |= {"apiVersion": old["apiVersion"], "kind": old["kind"]}
        if "status" in old:
            new["status"] = old["status"]
        validation.check_object(key.resource, new)
        admission.fill_in(key.resource, new, old)
        validation.check_change(key.resource, old, new)
        if key.resource in _COUNTED and new.get("spec") != old.get("spec"):
            new["metadata"]["generation"] = old["metadata"]["generation"] + 1
        return self._store_if_changed(key, old, new, dry_run)

    def update_status(self, key: Key, body: Obj, *, dry_run: bool = False) -> Obj:
        """Replace the status and nothing else; raises ApiError: 404, 409."""
        old = self.get(key)
        validation.check_request(key.resource, key.namespace, key.name, body)
        self._check_version(key, old, body)
        new = {**old, "status": shapes.without_nulls(body.get("status") or {})}
        shapes.check(key.resource, new)
        return self._store_if_changed(key, old, new, dry_run)

    def annotate(self, key: Key, name: str, value: str) -> None:
        """Set one annotation; for controllers."""
        obj = self.get(key)
        metadata = {**obj["metadata"], "annotations": {**annotations_of(obj), name: value}}
        self.update(key, {**obj, "metadata": metadata})

    def scale(self, key: Key, replicas: int, *, dry_run: bool = False) -> Obj:
        """Set `spec.replicas`; raises ApiError: 404, 422."""
        obj = self.get(key)
        metadata = {name: value for name, value in obj["metadata"].items() if name != "resourceVersion"}
        return self.update(
            key, {**obj, "metadata": metadata, "spec": {**obj["spec"], "replicas": replicas}}, dry_run=dry_run
        )

    def apply(
        self, key: Key, manager: str, configuration: Obj, subresource: str = "", *, dry_run: bool = False
    ) -> tuple[Obj, bool]:
        """Server-side apply of one manager's configuration; returns the object and whether it was created.

        Raises ApiError as `create` and `update` do; an object is never created through a subresource.
        """
        validation.check_request(key.resource, key.namespace, key.name, configuration)
        configuration = shapes.without_nulls(configuration)
        configuration["metadata"] = {**(configuration.get("metadata") or {}), "name": key.name}
        configuration["metadata"].pop("managedFields", None)
        shapes.check(key.resource, configuration)
        if key.resource is SECRETS:
            # Remembered as it is stored, or the next apply would not see that an entry has gone.
            admission.fold_string_data(configuration)
        remembered = _Applied(key, manager, subresource)
        live = self.store.get(key)
        if live is None and subresource:
            raise not_found(key.resource, key.name)
        if live is None:
            result = self.create(key.resource, key.namespace, configuration, dry_run=dry_run)
        else:
            merged = patches.apply(live, self._applied.get(remembered), configuration)
            if "resourceVersion" not in configuration["metadata"]:
                merged["metadata"].pop("resourceVersion", None)
            write = self.update_status if subresource == "status" else self.update
            result = write(key, merged, dry_run=dry_run)
        if not dry_run:
            self._applied[remembered] = configuration
        return result, live is None

    def delete(self, key: Key, options: Obj | None = None, *, dry_run: bool = False) -> Obj:
        """Delete an object and, unless `options` (DeleteOptions) say otherwise, what it owns.

        Raises ApiError: 403 for a namespace that must stay, 404, 409 when a precondition does not hold.
        """
        options = options or {}
        obj = self.get(key)
        for field, wanted in (options.get("preconditions") or {}).items():
            if (found := obj["metadata"].get(field)) != wanted:
                why = f"Precondition failed: {field} in precondition: {wanted}, {field} in object meta: {found}"
                raise conflict(key.resource, key.name, why)
        if key.resource is NAMESPACES and key.name in _KEPT_NAMESPACES:
            text = f'namespaces "{key.name}" is forbidden: this namespace may not be deleted'
            raise ApiError(403, "Forbidden", text, {"name": key.name, "kind": "namespaces"})
        if dry_run:
            return obj
        if obj["metadata"].get("finalizers"):
            if "deletionTimestamp" in obj["metadata"]:
                return obj
            return self.store.put(key, {**obj, "metadata": {**obj["metadata"], "deletionTimestamp": now()}})
        orphan = options.get("propagationPolicy") == "Orphan" or options.get("orphanDependents")
        return self._remove(key, with_dependants=not orphan)

    def dump(self) -> Obj:
        """Everything that must outlive the process, as JSON."""
        applied = [
            [who.key.resource.group_version, who.key.resource.plural, *who.key[1:], who.manager, who.subresource, what]
            for who, what in self._applied.items()
        ]
        return {"store": self.store.dump(), "applied": applied}

    def load(self, saved: Obj) -> None:
        """Replace everything by what `dump` gave; raises KeyError, TypeError or ValueError on anything else."""
        self.store.load(saved["store"])
        self._applied = {
            _Applied(Key(BY_PLURAL[group_version, plural], namespace, name), manager, subresource): configuration
            for group_version, plural, namespace, name, manager, subresource, configuration in saved["applied"]
        }

    def _check_version(self, key: Key, old: Obj, new: Obj) -> None:
        wanted = (new.get("metadata") or {}).get("resourceVersion")
        if wanted and wanted != old["metadata"]["resourceVersion"]:
            raise conflict(key.resource, key.name)

    def _store_if_changed(self, key: Key, old: Obj, new: Obj, dry_run: bool) -> Obj:
        # As in a real cluster a write that changes nothing makes no new version, so watchers (controllers above all)
        # come to rest.
        new = {**new, "metadata": {**new["metadata"], "resourceVersion": old["metadata"]["resourceVersion"]}}
        if dry_run or new == old:
            return new
        if new["metadata"].get("deletionTimestamp") and not new["metadata"].get("finalizers"):
            return self._remove(key, with_dependants=True)
        return self.store.put(key, new)

    def _remove(self, key: Key, *, with_dependants: bool) -> Obj:
        last = self.store.remove(key)
        self._applied = {who: what for who, what in self._applied.items() if who.key != key}
        if with_dependants:
            self._remove_dependants(key, str(last["metadata"]["uid"]))
        return last

    def _remove_dependants(self, key: Key, uid: str) -> None:
        """What the garbage collector and the namespace controller do, at once."""
        for other in self.store.all_keys():
            obj = self.store.get(other)
            if obj is None:
                continue  # gone with one before it
            in_namespace = key.resource is NAMESPACES and other.namespace == key.name
            if in_namespace or uid in owner_uids(obj):
                self._remove(other, with_dependants=True)


def key_of(resource: Resource, obj: Obj) -> Key:
    """The key of an object that has its metadata."""
    return Key(resource, namespace_of(obj), name_of(obj))
