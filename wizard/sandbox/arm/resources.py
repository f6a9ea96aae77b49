"""Resources of Microsoft.Network: who may ask, and which of the other modules answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wizard.sandbox.arm import endpoints, errors, networks, operations, zones
from wizard.sandbox.arm.access import verb
from wizard.sandbox.arm.ids import NETWORK, RECORD_TYPES, Target
from wizard.sandbox.arm.messages import Obj, Reply, Request
from wizard.sandbox.arm.pages import page
from wizard.sandbox.arm.store import Store
from wizard.sandbox.arm.world import Arm

_Handler = Callable[[Arm, Request, Target], Reply]

_PUT: dict[tuple[str, ...], _Handler] = {
    ("privateendpoints",): endpoints.put,
    ("virtualnetworks",): networks.put_network,
    ("virtualnetworks", "subnets"): networks.put_subnet,
    ("privatednszones",): zones.put_zone,
    ("privatednszones", "virtualnetworklinks"): zones.put_link,
    **{("privatednszones", each.lower()): zones.put_record_set for each in RECORD_TYPES},
}
_READ_ONLY = (("networkinterfaces",), ("privatelinkservices",))
_NOTHING_IN = (("privateendpoints", "privatednszonegroups"), ("virtualnetworks", "virtualnetworkpeerings"))
_RECORD_LISTS = ("all", *(each.lower() for each in RECORD_TYPES))


def answer(arm: Arm, request: Request, target: Target) -> Reply:
    """The answer. Raises ArmError for everything that is refused."""
    if reply := operations.answer(arm, request, target):
        return reply
    arm.access.check(f"{target.kind}/{verb(request.method)}", target.id)
    if target.group and arm.store.find(target.scope) is None:
        raise errors.group_not_found(target.group)
    if request.method not in ("GET", "HEAD"):
        _require_provider(arm, target)
    if reply := endpoints.about_services(arm, request, target):
        return reply
    if target.is_list and request.method == "GET":
        return page(request, _listed(arm.store, target))
    if not _is_known(target.types) or target.is_list:
        raise errors.not_found(request.path)
    handler = _handler(request.method, target)
    if handler is None:
        raise errors.not_allowed(request.method, request.path)
    return handler(arm, request, target)


def _require_provider(arm: Arm, target: Target) -> None:
    if arm.store.provider_state(target.subscription, NETWORK) != "Registered":
        raise errors.not_registered(NETWORK)


def _is_known(types: tuple[str, ...]) -> bool:
    return types in _PUT or types in _READ_ONLY


def _handler(method: str, target: Target) -> _Handler | None:
    if method in ("GET", "HEAD"):
        return _get
    if method == "PUT":
        return _PUT.get(target.types)
    is_dns = target.types[0] == "privatednszones"
    if method == "PATCH" and is_dns:
        return zones.patch
    if method == "DELETE":
        if is_dns:
            return zones.delete
        return endpoints.delete if target.types == ("privateendpoints",) else None
    return None


def _get(arm: Arm, _request: Request, target: Target) -> Reply:
    found = arm.store.find(target.id)
    if found is None:
        raise errors.resource_not_found(target.kind, "/".join(target.names), target.group)
    return Reply(200, _shown(arm.store, found), {"ETag": found["etag"]})


def _listed(store: Store, target: Target) -> Sequence[Obj]:
    """A list of a subscription, of a group, or of the parts of a resource."""
    if len(target.types) == 1:
        if not _is_known(target.types):
            raise errors.not_found(target.id)
        return [_shown(store, each) for each in store.all(target.kind, target.scope)]
    if store.find(target.parent.id) is None:
        raise errors.resource_not_found(target.parent.kind, "/".join(target.names), target.group)
    if target.types[0] == "privatednszones" and target.types[1] in _RECORD_LISTS:
        return zones.record_sets(store, target.parent.id, target.types[1])
    if not _is_known(target.types) and target.types not in _NOTHING_IN:
        raise errors.not_found(target.id)
    return [_shown(store, each) for each in store.all(target.kind, target.parent.id)]


def _shown(store: Store, found: Obj) -> Obj:
    """A resource with what follows from others."""
    shape = {
        networks.NETWORKS: networks.shown_network,
        networks.SUBNETS: networks.shown_subnet,
        zones.ZONES: zones.shown_zone,
    }.get(found["type"])
    return shape(store, found) if shape else found
