"""What exists in the sandbox's Azure, and what is about to change.

Only bookkeeping: what may be written is decided by the handlers. Time passes here: an operation that was begun is
finished when its time has come, whether somebody polls it or reads the resource, and over a restart too.
"""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from wizard.sandbox.arm.ids import Target, parse
from wizard.sandbox.arm.messages import Obj

FORMAT = 1

_FORGET_OPERATIONS_AFTER = 3600.0  # seconds


class Operation(msgspec.Struct, frozen=True):
    """Something that takes a while: done at `due` (seconds since the epoch), failed when it has an `error`.

    `seal` travels in its URL: the real service signs these URLs, so that a client must keep them as they are.
    """

    id: str
    target: str
    due: float
    seal: str
    error: dict[str, Any] | None = None


class Later(msgspec.Struct, frozen=True):
    """At `due` these properties of the resource change; None: it is gone."""

    due: float
    target: str
    properties: dict[str, Any] | None


class _State(msgspec.Struct, forbid_unknown_fields=True):
    format: int
    network: str
    resources: list[dict[str, Any]]
    operations: list[Operation]
    later: list[Later]
    registered: list[str]
    providers: dict[str, str]


class Store:
    """All resources by Resource ID. `network` is the VNet whose view DNS has; `clock` gives seconds since the epoch."""

    def __init__(self, network: str = "", clock: Callable[[], float] = time.time) -> None:
        self.network = network
        self.now = clock
        self.changed = True
        self._resources: dict[str, Obj] = {}
        self._operations: dict[str, Operation] = {}
        self._later: list[Later] = []
        self._registered: set[str] = set()
        self._providers: dict[str, str] = {}

    # ---------------------------------------------------------------- resources

    def find(self, resource_id: str) -> Obj | None:
        """The resource, None when it is not there."""
        return self._resources.get(_key(resource_id))

    def all(self, kind: str, under: str = "") -> list[Obj]:
        """The resources of a full type whose ID begins with `under`, in the order of their IDs: pages stay stable."""
        kind, prefix = kind.lower(), f"{_key(under)}/"
        found = [
            key
            for key, resource in self._resources.items()
            if key.startswith(prefix) and resource["type"].lower() == kind
        ]
        return [self._resources[key] for key in sorted(found)]

    def put(self, resource: Obj) -> Obj:
        """Keep a new or changed resource; returns it with its new etag. What was to happen to it later is off."""
        key = _key(resource["id"])
        self._later = [each for each in self._later if each.target != key]
        return self._keep(key, resource)

    def remove(self, resource_id: str) -> None:
        """Forget a resource; harmless when it is not there."""
        self._resources.pop(_key(resource_id), None)
        self.changed = True

    def _keep(self, key: str, resource: Obj) -> Obj:
        self._resources[key] = {**resource, "etag": str(uuid.uuid4())}
        self.changed = True
        return self._resources[key]

    # ---------------------------------------------------------------- time

    def begin(self, target: str, seconds: float, error: Obj | None = None) -> Operation:
        """An operation on a resource that ends after so many seconds, with `error` when it fails."""
        operation = Operation(str(uuid.uuid4()), target, self.now() + seconds, secrets.token_urlsafe(48), error)
        self._operations[operation.id] = operation
        self.changed = True
        return operation

    def operation(self, operation_id: str, seal: str) -> Operation | None:
        """The operation, None when it is not known or its URL was tampered with."""
        found = self._operations.get(operation_id.lower())
        return found if found and secrets.compare_digest(found.seal.encode(), seal.encode()) else None

    def is_done(self, operation: Operation) -> bool:
        """Whether its time has come."""
        return operation.due <= self.now()

    def later(self, target: str, seconds: float, properties: Obj | None) -> None:
        """Change a resource's properties after so many seconds, or remove it (None)."""
        self._later.append(Later(self.now() + seconds, _key(target), properties))
        self.changed = True

    def settle(self) -> None:
        """Let everything happen whose time has come."""
        now = self.now()
        due = sorted((each for each in self._later if each.due <= now), key=lambda each: each.due)
        if not due:
            return
        self._later = [each for each in self._later if each.due > now]
        for each in due:
            resource = self._resources.get(each.target)
            if resource is None:
                continue
            if each.properties is None:
                self.remove(each.target)
            else:
                self._keep(each.target, {**resource, "properties": {**resource["properties"], **each.properties}})
        old = now - _FORGET_OPERATIONS_AFTER
        self._operations = {name: each for name, each in self._operations.items() if each.due > old}

    # ---------------------------------------------------------------- the vendor's portal

    def register(self, subscription: str) -> None:
        """Step 2 of the guide: endpoints that this subscription makes from now on are approved by themselves."""
        self._registered.add(subscription.lower())
        self.changed = True

    def unregister(self, subscription: str) -> None:
        """Undo `register`; endpoints that were approved stay so."""
        self._registered.discard(subscription.lower())
        self.changed = True

    def is_registered(self, subscription: str) -> bool:
        """Whether the vendor's portal knows the subscription."""
        return subscription.lower() in self._registered

    # ---------------------------------------------------------------- resource providers

    def provider_state(self, subscription: str, namespace: str) -> str:
        """Registered, unless `set_provider_state` said otherwise."""
        return self._providers.get(f"{subscription}/{namespace}".lower(), "Registered")

    def set_provider_state(self, subscription: str, namespace: str, state: str) -> None:
        """Azure knows Registered and NotRegistered."""
        self._providers[f"{subscription}/{namespace}".lower()] = state
        self.changed = True

    # ---------------------------------------------------------------- DNS as the VNet sees it

    def private_zone(self, host: str) -> str | None:
        """The Resource ID of the linked zone that answers for a host, None when the public DNS does.

        Of several the longest name wins, and it answers for all names below it: also for those it does not hold.
        """
        found = max(self._answering(host), key=lambda zone: len(zone.name), default=None)
        return found.id if found else None

    def private_addresses(self, host: str) -> tuple[str, ...]:
        """The A records of a host in the zones linked to the VNet; empty when there is no such zone or record."""
        zone_id = self.private_zone(host)
        zone = parse(zone_id) if zone_id else None
        if zone is None:
            return ()
        relative = _host(host).removesuffix(zone.name.lower()).removesuffix(".") or "@"
        for name in _record_names(relative):
            if record := self.find(zone.part("A", name).id):
                return tuple(each["ipv4Address"] for each in record["properties"].get("aRecords") or ())
        return ()

    def _answering(self, host: str) -> Iterator[Target]:
        self.settle()
        name = _host(host)
        for link in self.all("Microsoft.Network/privateDnsZones/virtualNetworkLinks"):
            target = parse(link["id"])
            properties = link["properties"]
            if target is None or _key(properties["virtualNetwork"]["id"]) != _key(self.network):
                continue
            zone = target.parent
            if properties["virtualNetworkLinkState"] == "Completed" and f".{name}".endswith(f".{zone.name.lower()}"):
                yield zone

    # ---------------------------------------------------------------- over a restart

    def dump(self) -> Obj:
        """Everything that must outlive the process, as JSON."""
        state = _State(
            format=FORMAT,
            network=self.network,
            resources=list(self._resources.values()),
            operations=list(self._operations.values()),
            later=self._later,
            registered=sorted(self._registered),
            providers=self._providers,
        )
        found: Obj = msgspec.to_builtins(state)
        return found

    def load(self, saved: Obj) -> None:
        """Replace everything by what `dump` gave. Raises ValueError or KeyError on anything else."""
        try:
            state = msgspec.convert(saved, _State)
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from error
        if state.format != FORMAT:
            raise ValueError(f"format {state.format}")
        self.network = state.network
        self._resources = {_key(each["id"]): each for each in state.resources}
        self._operations = {each.id: each for each in state.operations}
        self._later = state.later
        self._registered = set(state.registered)
        self._providers = state.providers
        self.changed = False


def _key(resource_id: str) -> str:
    return resource_id.rstrip("/").lower()


def _host(host: str) -> str:
    return host.rstrip(".").lower()


def _record_names(relative: str) -> Iterator[str]:
    """The record sets that can answer for a name of a zone: its own, then wildcards above it."""
    yield relative
    if relative == "@":
        return
    _, _, above = relative.partition(".")
    while above:
        yield f"*.{above}"
        _, _, above = above.partition(".")
    yield "*"
