"""VNets, subnets and network interfaces, as they are shown; the first two can be written too."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from wizard.sandbox.arm import errors
from wizard.sandbox.arm.ids import Target
from wizard.sandbox.arm.messages import Obj, Reply, Request
from wizard.sandbox.arm.store import Store
from wizard.sandbox.arm.world import Arm, resource

NETWORKS = "Microsoft.Network/virtualNetworks"
SUBNETS = "Microsoft.Network/virtualNetworks/subnets"
INTERFACES = "Microsoft.Network/networkInterfaces"

_RESERVED = 4  # by Azure at the beginning of every subnet; the broadcast address at its end is the fifth


def shown_network(store: Store, network: Obj) -> Obj:
    """A VNet with its subnets."""
    subnets = [shown_subnet(store, each) for each in store.all(SUBNETS, network["id"])]
    return {**network, "properties": {**network["properties"], "subnets": subnets}}


def shown_subnet(store: Store, subnet: Obj) -> Obj:
    """A subnet with what uses its addresses; without anything Azure leaves both lists out."""
    interfaces = list(_interfaces_in(store, subnet))
    if not interfaces:
        return subnet
    used = {
        "ipConfigurations": [
            {"id": each["id"]} for nic in interfaces for each in nic["properties"]["ipConfigurations"]
        ],
        "privateEndpoints": [nic["properties"]["privateEndpoint"] for nic in interfaces],
    }
    return {**subnet, "properties": {**subnet["properties"], **used}}


def _interfaces_in(store: Store, subnet: Obj) -> Iterator[Obj]:
    wanted = subnet["id"].lower()
    for nic in store.all(INTERFACES):
        if any(each["properties"]["subnet"]["id"].lower() == wanted for each in nic["properties"]["ipConfigurations"]):
            yield nic


def free_address(store: Store, subnet: Obj, wanted: str = "") -> str:
    """An address of the subnet that nobody has, `wanted` if any. Raises ArmError when there is none."""
    used = {
        each["properties"]["privateIPAddress"]
        for nic in _interfaces_in(store, subnet)
        for each in nic["properties"]["ipConfigurations"]
    }
    network = _network(subnet["properties"]["addressPrefix"])
    first, last = int(network.network_address) + _RESERVED, int(network.broadcast_address) - 1
    if not wanted:
        for number in range(first, last + 1):
            if (address := str(ipaddress.IPv4Address(number))) not in used:
                return address
        raise errors.bad_request("SubnetIsFull", f"Subnet {subnet['id']} does not have enough capacity for 1 IP.")
    if not first <= int(_address(wanted)) <= last:
        raise errors.bad_request(
            "PrivateIPAddressNotInSubnet",
            f"Private static IP address {wanted} does not belong to the range of subnet prefix {network}.",
        )
    if wanted in used:
        raise errors.bad_request("PrivateIPAddressInUse", f"IP address {wanted} is already allocated.")
    return wanted


def put_network(arm: Arm, request: Request, target: Target) -> Reply:
    """PUT of a VNet, with the subnets that it names."""
    given = request.body.get("properties") or {}
    prefixes = (given.get("addressSpace") or {}).get("addressPrefixes") or []
    if not request.body.get("location") or not prefixes:
        raise errors.bad_format()
    for each in prefixes:
        _network(each)
    for subnet in given.get("subnets") or []:
        _keep_subnet(arm.store, target.part("subnets", subnet["name"]), subnet.get("properties") or {})
    properties: Obj = {
        "provisioningState": "Succeeded",
        "addressSpace": {"addressPrefixes": prefixes},
        "dhcpOptions": given.get("dhcpOptions") or {"dnsServers": []},
        "virtualNetworkPeerings": [],
        "enableDdosProtection": False,
    }
    existed = arm.store.find(target.id) is not None
    more = {"location": request.body["location"], "tags": request.body.get("tags") or {}}
    kept = arm.store.put(resource(target.id, NETWORKS, properties, **more))
    return Reply(200 if existed else 201, shown_network(arm.store, kept))


def put_subnet(arm: Arm, request: Request, target: Target) -> Reply:
    """PUT of a subnet, for instance to change its endpoint policies."""
    if arm.store.find(target.parent.id) is None:
        raise errors.parent_not_found(SUBNETS, target.parent.id)
    existed = arm.store.find(target.id) is not None
    kept = _keep_subnet(arm.store, target, request.body.get("properties") or {})
    return Reply(200 if existed else 201, shown_subnet(arm.store, kept))


def _keep_subnet(store: Store, target: Target, given: Obj) -> Obj:
    prefix = given.get("addressPrefix") or next(iter(given.get("addressPrefixes") or []), "")
    _network(prefix)
    properties = {
        "provisioningState": "Succeeded",
        "addressPrefix": prefix,
        "delegations": given.get("delegations") or [],
        "privateEndpointNetworkPolicies": given.get("privateEndpointNetworkPolicies") or "Disabled",
        "privateLinkServiceNetworkPolicies": given.get("privateLinkServiceNetworkPolicies") or "Enabled",
    }
    return store.put(resource(target.id, SUBNETS, properties))


def _network(prefix: str) -> ipaddress.IPv4Network:
    try:
        return ipaddress.IPv4Network(prefix)
    except ValueError:
        message = f"The address prefix {prefix} is not correctly formatted."
        raise errors.bad_request("InvalidAddressPrefixFormat", message) from None


def _address(text: str) -> ipaddress.IPv4Address:
    try:
        return ipaddress.IPv4Address(text)
    except ValueError:
        raise errors.bad_request("InvalidIPAddress", f"The IP address {text} is not valid.") from None
