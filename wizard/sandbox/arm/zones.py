"""Private DNS: zones, their links to VNets, and record sets.

Zones and links are made by operations that are answered with 202 and an empty body; record sets at once. That a zone
exists already is not said at once either: the operation fails (recorded from the real service).
"""

from __future__ import annotations

import ipaddress

from wizard.sandbox import faults as known
from wizard.sandbox.arm import errors, operations
from wizard.sandbox.arm.ids import NETWORK, RECORD_TYPES, Target, parse
from wizard.sandbox.arm.messages import Obj, Reply, Request
from wizard.sandbox.arm.store import Store
from wizard.sandbox.arm.world import Arm, resource

ZONES = "Microsoft.Network/privateDnsZones"
LINKS = "Microsoft.Network/privateDnsZones/virtualNetworkLinks"
_OTHER_TEAM = "rg-dns-central"
_ENTIRE_LIST = "all"
_ONE_RECORD = ("soa", "cname")  # of the types, those whose set is one record and no list


def shown_zone(store: Store, zone: Obj) -> Obj:
    """A zone with what it holds counted."""
    counted = {
        "numberOfRecordSets": len(record_sets(store, zone["id"], _ENTIRE_LIST)),
        "numberOfVirtualNetworkLinks": len(store.all(LINKS, zone["id"])),
        "numberOfVirtualNetworkLinksWithRegistration": 0,
    }
    return {**zone, "properties": {**zone["properties"], **counted}}


def record_sets(store: Store, zone_id: str, kind: str) -> list[Obj]:
    """The record sets of a zone of one type, or of all types."""
    kinds = RECORD_TYPES if kind == _ENTIRE_LIST else (kind,)
    found = (each for name in kinds for each in store.all(f"{ZONES}/{name}", zone_id))
    return sorted(found, key=lambda each: str(each["id"]).lower())


def put_zone(arm: Arm, request: Request, target: Target) -> Reply:
    """PUT of a zone."""
    if arm.faults.has(known.POLICY_DENIED):
        raise errors.denied_by_policy(target.name, target.scope)
    if request.body.get("location", "").lower() != "global":
        raise errors.bad_request(
            "LocationNotAvailableForResourceType",
            f"The provided location '{request.body.get('location')}' is not available for resource type '{ZONES}'. "
            "List of available regions for the resource type is 'global'.",
        )
    if arm.faults.has(known.ZONE_EXISTS):
        _somebody_was_faster(arm, target)
    if request.headers.get("if-none-match") == "*" and arm.store.find(target.id):
        message = f"The Zone {target.name} exists already and hence cannot be created again."
        return _begun(arm, request, target, {"code": "PreconditionFailed", "message": message})
    _check_conditions(request, arm.store.find(target.id))
    _keep_zone(arm.store, target, "Creating", request.body.get("tags") or {})
    arm.store.later(target.id, arm.timing.zone, {"provisioningState": "Succeeded"})
    return _begun(arm, request, target)


def put_link(arm: Arm, request: Request, target: Target) -> Reply:
    """PUT of a link; one VNet sees one zone of a name."""
    _require_zone(arm.store, target)
    given = request.body.get("properties") or {}
    network_id = str((given.get("virtualNetwork") or {}).get("id", ""))
    network = arm.store.find(network_id)
    if network is None:
        raise errors.bad_request("BadRequest", f"The virtual network {network_id} was not found.")
    _check_conditions(request, arm.store.find(target.id))
    if arm.faults.has(known.OVERLAPPING_LINK):
        _other_team_was_faster(arm, target, network)
    if _overlaps(arm.store, target, network["id"]):
        zone = target.parent.name
        message = (
            "A virtual network cannot be linked to multiple zones with overlapping namespaces. You tried to link "
            f"virtual network with '{zone}' and '{zone}' zones."
        )
        return _begun(arm, request, target, {"code": "BadRequest", "message": message})
    _keep_link(arm.store, target, network, given, "InProgress")
    done = {"provisioningState": "Succeeded", "virtualNetworkLinkState": "Completed"}
    arm.store.later(target.id, arm.timing.zone, done)
    return _begun(arm, request, target)


def put_record_set(arm: Arm, request: Request, target: Target) -> Reply:
    """PUT of a record set: the whole set, at once."""
    _require_zone(arm.store, target)
    before = arm.store.find(target.id)
    _check_conditions(request, before)
    given = request.body.get("properties") or {}
    if not isinstance(given.get("ttl"), int):
        raise errors.bad_request("BadRequest", f"The TTL of the record set {target.name} is missing.")
    for each in given.get("aRecords") or []:
        _check_address(str(each.get("ipv4Address", "")))
    kept = _keep_record_set(arm.store, target, given)
    return Reply(200 if before else 201, kept, {"ETag": kept["etag"]})


def patch(arm: Arm, request: Request, target: Target) -> Reply:
    """PATCH of a zone's tags or of parts of a record set."""
    before = arm.store.find(target.id)
    if before is None:
        raise errors.resource_not_found(target.kind, "/".join(target.names), target.group)
    _check_conditions(request, before)
    properties = {**before["properties"], **(request.body.get("properties") or {})}
    tags = {"tags": request.body["tags"]} if "tags" in request.body else {}
    return Reply(200, arm.store.put({**before, **tags, "properties": properties}))


def delete(arm: Arm, request: Request, target: Target) -> Reply:
    """DELETE of a zone, a link or a record set."""
    before = arm.store.find(target.id)
    if before is None:
        return Reply(204)
    _check_conditions(request, before)
    if target.types == ("privatednszones",):
        if links := arm.store.all(LINKS, target.id):
            raise errors.nested_resources(target.id, [each["id"] for each in links])
        for each in record_sets(arm.store, target.id, _ENTIRE_LIST):
            arm.store.remove(each["id"])
    arm.store.remove(target.id)
    if target.types[-1].upper() in RECORD_TYPES:
        return Reply(200)
    return _begun(arm, request, target)


def _begun(arm: Arm, request: Request, target: Target, error: Obj | None = None) -> Reply:
    operation = arm.store.begin(target.id, arm.timing.zone, error)
    statuses, results = (operations.dns_url(target, f"privateDnsOperation{each}") for each in ("Statuses", "Results"))
    body: Obj | None = {} if request.method == "PUT" else None
    return operations.accepted(request, statuses, operation, body, results=results)


def _check_conditions(request: Request, before: Obj | None) -> None:
    """If-None-Match: * wants nothing to be there, If-Match that very version. Raises ArmError (412)."""
    current = before["etag"] if before else ""
    if request.headers.get("if-none-match") == "*" and before:
        raise errors.precondition("If-None-Match", "*", current)
    wanted = request.headers.get("if-match", "").strip('"')  # the SDK quotes what the service gave without quotes
    if wanted and (not before or wanted not in ("*", current)):
        raise errors.precondition("If-Match", wanted, current)


def _require_zone(store: Store, target: Target) -> None:
    if store.find(target.parent.id) is None:
        raise errors.parent_not_found(target.kind.removeprefix(f"{NETWORK}/"), target.parent.id)


def _check_address(text: str) -> None:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        raise errors.bad_request("BadRequest", f"The value '{text}' is not a valid IPv4 address.") from None


def _overlaps(store: Store, target: Target, network_id: str) -> bool:
    """Whether another link shows the VNet a zone of the same name already."""
    for link in store.all(LINKS):
        other = parse(link["id"])
        if other is None or other.id.lower() == target.id.lower():
            continue
        same_network = link["properties"]["virtualNetwork"]["id"].lower() == network_id.lower()
        if same_network and other.parent.name.lower() == target.parent.name.lower():
            return True
    return False


def _keep_zone(store: Store, target: Target, state: str, tags: Obj) -> None:
    properties = {
        "provisioningState": state,
        "maxNumberOfRecordSets": 25000,
        "maxNumberOfVirtualNetworkLinks": 1000,
        "maxNumberOfVirtualNetworkLinksWithRegistration": 100,
    }
    store.put(resource(target.id, ZONES, properties, location="global", tags=tags))
    authority = {
        "email": "azureprivatedns-host.microsoft.com",
        "expireTime": 2419200,
        "host": "azureprivatedns.net",
        "minimumTtl": 10,
        "refreshTime": 3600,
        "retryTime": 300,
        "serialNumber": 1,
    }
    if store.find(target.part("SOA", "@").id) is None:
        _keep_record_set(store, target.part("SOA", "@"), {"ttl": 3600, "soaRecord": authority})


def _keep_link(store: Store, target: Target, network: Obj, given: Obj, state: str) -> None:
    properties = {
        "provisioningState": "Succeeded" if state == "Completed" else "Creating",
        "registrationEnabled": bool(given.get("registrationEnabled")),
        "resolutionPolicy": given.get("resolutionPolicy") or "Default",
        "virtualNetwork": {"id": network["id"]},
        "virtualNetworkLinkState": state,
    }
    store.put(resource(target.id, LINKS, properties, location="global"))


def _keep_record_set(store: Store, target: Target, given: Obj) -> Obj:
    zone = target.parent.name
    fqdn = f"{zone}." if target.name == "@" else f"{target.name}.{zone}."
    kind = target.types[-1]
    # A set without records says so (recorded from the real service): `az … add-record` relies on it.
    empty: Obj = {} if kind in _ONE_RECORD else {f"{kind}Records": []}
    properties = {**empty, **given, "fqdn": fqdn, "isAutoRegistered": False}
    return store.put(resource(target.id, target.kind, properties))


def _somebody_was_faster(arm: Arm, target: Target) -> None:
    """The fault `zone-exists`. A fault that is there before one looks would only be reused."""
    if arm.store.find(target.id) is None:
        _keep_zone(arm.store, target, "Succeeded", {"owner": "somebody else"})


def _other_team_was_faster(arm: Arm, target: Target, network: Obj) -> None:
    """The fault `overlapping-link`: a zone of the same name in another group, linked to the same VNet."""
    if target.group == _OTHER_TEAM:
        return
    zone = Target(target.subscription, _OTHER_TEAM, ("privatednszones",), (target.parent.name,))
    if arm.store.find(zone.id):
        return
    group = resource(zone.scope, "Microsoft.Resources/resourceGroups", {"provisioningState": "Succeeded"})
    arm.store.put({**group, "location": network["location"]})
    _keep_zone(arm.store, zone, "Succeeded", {"owner": "DNS team"})
    _keep_link(arm.store, zone.part("virtualNetworkLinks", "central"), network, {}, "Completed")
