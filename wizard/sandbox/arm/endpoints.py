"""Private endpoints: made with a network interface and an address, and let in or not by the service's owner."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator

from wizard.sandbox import faults as known
from wizard.sandbox.arm import errors, networks, operations
from wizard.sandbox.arm.ids import NETWORK, Target, is_service, parse, same_place
from wizard.sandbox.arm.messages import Obj, Reply, Request
from wizard.sandbox.arm.world import Arm, LinkService, resource

ENDPOINTS = "Microsoft.Network/privateEndpoints"
_MANUAL, _AUTOMATIC = "manualPrivateLinkServiceConnections", "privateLinkServiceConnections"
_NAME = re.compile(r"[A-Za-z0-9]([\w.-]{0,62}\w)?", re.ASCII)
_LONGEST_MESSAGE = 140

_STATES: dict[str, Obj] = {
    "Approved": {"status": "Approved", "description": "Auto Approved", "actionsRequired": "None"},
    "Pending": {"status": "Pending", "description": "Awaiting Approval", "actionsRequired": "None"},
    "Rejected": {"status": "Rejected", "description": "Rejected by the service owner", "actionsRequired": "None"},
    "Disconnected": {
        "status": "Disconnected",
        "description": "Removed by the service owner",
        "actionsRequired": "None",
    },
}


def put(arm: Arm, request: Request, target: Target) -> Reply:
    """PUT of an endpoint. There is no etag: it overwrites whatever has that name."""
    body = request.body
    given: Obj = body.get("properties") or {}
    if not _NAME.fullmatch(target.name):
        raise errors.invalid_name(target.name)
    if not body.get("location"):
        raise errors.bad_request("LocationRequired", "The location property is required for this definition.")
    before = arm.store.find(target.id)
    if before and before["properties"]["provisioningState"] == "Deleting":
        raise errors.busy(target.id)
    subnet = _subnet(arm, target, str((given.get("subnet") or {}).get("id", "")), body["location"])
    lists = {
        kind: list(_connections(arm, target, kind, given.get(kind) or [], before)) for kind in (_MANUAL, _AUTOMATIC)
    }
    if not any(lists.values()):
        raise errors.bad_format()
    nic = _interface(arm, request, target, subnet, before)
    properties = {
        "provisioningState": "Updating",
        "resourceGuid": before["properties"]["resourceGuid"] if before else str(uuid.uuid4()),
        **lists,
        "customNetworkInterfaceName": given.get("customNetworkInterfaceName") or "",
        "subnet": {"id": subnet["id"]},
        "ipConfigurations": given.get("ipConfigurations") or [],
        "applicationSecurityGroups": given.get("applicationSecurityGroups") or [],
        "networkInterfaces": [{"id": nic["id"]}],
        "customDnsConfigs": [],
    }
    more = {"location": body["location"], "tags": body.get("tags") or {}}
    kept = arm.store.put(resource(target.id, ENDPOINTS, properties, **more))
    arm.store.later(target.id, arm.timing.endpoint, {"provisioningState": "Succeeded", **_in_the_end(arm, kept)})
    disconnect_later(arm, kept, after=arm.timing.endpoint)
    operation = arm.store.begin(target.id, arm.timing.endpoint)
    url = operations.network_url(target, body["location"], "operations")
    headers = {"Azure-AsyncOperation": operations.address(request, url, operation)}
    return Reply(200 if before else 201, kept, headers)


def delete(arm: Arm, request: Request, target: Target) -> Reply:
    """DELETE of an endpoint; its network interface goes with it."""
    endpoint = arm.store.find(target.id)
    if endpoint is None:
        return Reply(204)
    deleting = {**endpoint, "properties": {**endpoint["properties"], "provisioningState": "Deleting"}}
    arm.store.put(deleting)
    for gone in (endpoint, *endpoint["properties"]["networkInterfaces"]):
        arm.store.later(gone["id"], arm.timing.endpoint, None)
    operation = arm.store.begin(target.id, arm.timing.endpoint)
    url, results = (
        operations.network_url(target, endpoint["location"], kind) for kind in ("operations", "operationResults")
    )
    return operations.accepted(request, url, operation, None, results=results)


def about_services(arm: Arm, request: Request, target: Target) -> Reply | None:
    """What a place says about link services, None when the request is about something else."""
    match request.method, target.types:
        case "POST", ("locations", "checkprivatelinkservicevisibility"):
            alias = request.body.get("privateLinkServiceAlias")
            service = arm.service(alias) if isinstance(alias, str) else None
            return Reply(200, {"visible": service is not None and same_place(service.location, target.names[0])})
        case "GET", ("locations", "autoapprovedprivatelinkservices"):
            return Reply(200, {"value": list(_approving(arm, target))})
    return None


def catch_up(arm: Arm) -> None:
    """What the services' owners do with endpoints of an earlier start of the sandbox, whose faults may be gone."""
    for endpoint in arm.store.all(ENDPOINTS):
        disconnect_later(arm, endpoint, after=0)
    approve_waiting(arm)


def approve_waiting(arm: Arm) -> None:
    """Let in the endpoints that wait for their service's owner, now that the owner knows the subscription."""
    for endpoint in arm.store.all(ENDPOINTS):
        target = parse(endpoint["id"])
        waiting = [each for each in _all(endpoint) if _status(each) == "Pending"]
        if target and waiting and all(_lets_in(arm, target, each) for each in waiting):
            approved = _all_in_state(endpoint, "Approved")
            arm.store.later(endpoint["id"], 0, approved)
            disconnect_later(arm, {**endpoint, "properties": {**endpoint["properties"], **approved}}, after=0)


def _lets_in(arm: Arm, target: Target, connection: Obj) -> bool:
    service = arm.service(connection["properties"]["privateLinkServiceId"])
    return service is not None and _approves(arm, service, target.subscription)


def disconnect_later(arm: Arm, endpoint: Obj, *, after: float) -> None:
    """Under the fault `disconnected-later`, an approved endpoint loses its connection, a while `after` seconds."""
    if arm.faults.has(known.DISCONNECTED_LATER) and any(_status(each) == "Approved" for each in _all(endpoint)):
        arm.store.later(endpoint["id"], after + arm.timing.later, _all_in_state(endpoint, "Disconnected"))


def _approving(arm: Arm, target: Target) -> Iterator[Obj]:
    for service in arm.services:
        if arm.service(service.id) is None or not same_place(service.location, target.names[0]):
            continue
        if arm.approves(service, target.subscription):
            yield {"privateLinkService": service.id}


def _subnet(arm: Arm, target: Target, subnet_id: str, location: str) -> Obj:
    """The subnet; its VNet must lie in the endpoint's own region."""
    subnet, subnet_target = arm.store.find(subnet_id), parse(subnet_id)
    network = arm.store.find(subnet_target.parent.id) if subnet_target else None
    if subnet is None or network is None or not same_place(network["location"], location):
        raise errors.invalid_reference(subnet_id, target.id)
    if subnet["properties"]["privateEndpointNetworkPolicies"] == "Enabled":
        raise errors.network_policies(target.id, subnet["id"])
    return subnet


def _connections(arm: Arm, target: Target, kind: str, given: list[Obj], before: Obj | None) -> Iterator[Obj]:
    """The connections of one of the two lists, each with its state."""
    for each in given:
        wanted = each.get("properties") or {}
        service_id = wanted.get("privateLinkServiceId")
        if not each.get("name") or not isinstance(service_id, str):
            raise errors.bad_format()
        message = wanted.get("requestMessage") or ""
        if len(message) > _LONGEST_MESSAGE:
            raise errors.bad_format(f"The request message is longer than {_LONGEST_MESSAGE} characters.")
        service = _service(arm, target, service_id, manual=kind == _MANUAL)
        yield {
            "name": each["name"],
            "id": f"{target.id}/{kind}/{each['name']}",
            "etag": str(uuid.uuid4()),
            "type": f"{ENDPOINTS}/{kind}",
            "properties": {
                "provisioningState": "Succeeded",
                "privateLinkServiceId": service_id,
                "groupIds": wanted.get("groupIds") or [],
                "requestMessage": message,
                "privateLinkServiceConnectionState": _state(arm, target, service, service_id, before),
            },
        }


def _service(arm: Arm, target: Target, service_id: str, *, manual: bool) -> LinkService:
    """The service to connect to; only one's own can be connected to without its owner being asked."""
    is_alias = not service_id.startswith("/")
    if not is_service(service_id) or (is_alias and not manual):
        raise errors.invalid_service()
    service = arm.service(service_id)
    if service is None:
        raise errors.invalid_service() if arm.faults.has(known.INVALID_ALIAS) else errors.unseen_service(service_id)
    if not manual and not service.own:
        raise errors.linked_forbidden(arm.access.object_id, target.id, service_id)
    return service


def _state(arm: Arm, target: Target, service: LinkService, service_id: str, before: Obj | None) -> Obj:
    """The connection's state at first. A second PUT does not ask the owner again."""
    for each in _all(before) if before else ():
        if each["properties"]["privateLinkServiceId"].lower() == service_id.lower():
            state: Obj = each["properties"]["privateLinkServiceConnectionState"]
            return state
    return _STATES["Approved" if _approves(arm, service, target.subscription) else "Pending"]


def _approves(arm: Arm, service: LinkService, subscription: str) -> bool:
    """Whether a new connection is Approved at once, faults included."""
    waits = arm.faults.has(known.PENDING_FOREVER) or arm.faults.has(known.REJECTED)
    return not waits and arm.approves(service, subscription)


def _in_the_end(arm: Arm, endpoint: Obj) -> Obj:
    """What else changes when the endpoint is made."""
    return _all_in_state(endpoint, "Rejected") if arm.faults.has(known.REJECTED) else {}


def _all_in_state(endpoint: Obj, status: str) -> Obj:
    """The endpoint's connections, all in that state."""

    def changed(each: Obj) -> Obj:
        return {**each, "properties": {**each["properties"], "privateLinkServiceConnectionState": _STATES[status]}}

    return {kind: [changed(each) for each in endpoint["properties"][kind]] for kind in (_MANUAL, _AUTOMATIC)}


def _all(endpoint: Obj) -> list[Obj]:
    return [each for kind in (_MANUAL, _AUTOMATIC) for each in endpoint["properties"][kind]]


def _status(connection: Obj) -> str:
    status: str = connection["properties"]["privateLinkServiceConnectionState"]["status"]
    return status


def _interface(arm: Arm, request: Request, target: Target, subnet: Obj, before: Obj | None) -> Obj:
    """The endpoint's network interface; the one it has when that lies in the subnet already."""
    if before:
        nic = arm.store.find(before["properties"]["networkInterfaces"][0]["id"])
        if nic and before["properties"]["subnet"]["id"].lower() == subnet["id"].lower():
            return nic
        if nic:
            arm.store.remove(nic["id"])
    given: Obj = request.body["properties"]
    wanted: list[Obj] = given.get("ipConfigurations") or []
    static = str(wanted[0]["properties"].get("privateIPAddress") or "") if wanted else ""
    name = given.get("customNetworkInterfaceName") or f"{target.name}.nic.{uuid.uuid4()}"
    nic_id = f"{target.scope}/providers/{NETWORK}/networkInterfaces/{name}"
    configuration = f"privateEndpointIpConfig.{uuid.uuid4()}"
    address = {
        "provisioningState": "Succeeded",
        "privateIPAddress": networks.free_address(arm.store, subnet, static),
        "privateIPAllocationMethod": "Static" if static else "Dynamic",
        "subnet": {"id": subnet["id"]},
        "primary": True,
        "privateIPAddressVersion": "IPv4",
    }
    properties = {
        "provisioningState": "Succeeded",
        "resourceGuid": str(uuid.uuid4()),
        "ipConfigurations": [
            {
                "name": configuration,
                "id": f"{nic_id}/ipConfigurations/{configuration}",
                "type": f"{networks.INTERFACES}/ipConfigurations",
                "properties": address,
            }
        ],
        "dnsSettings": {"dnsServers": [], "appliedDnsServers": []},
        "enableIPForwarding": False,
        "privateEndpoint": {"id": target.id},
    }
    return arm.store.put(resource(nic_id, networks.INTERFACES, properties, location=request.body["location"]))
