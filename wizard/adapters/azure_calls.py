"""Looks at Azure: run in the SDK child, by `azure.AzureLooker`. Arguments and results are plain.

The SDKs are imported inside functions: the parent imports this module for the functions' names only.
"""

from __future__ import annotations

import fnmatch
import ipaddress
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from state.problem import Problem
from wizard.adapters import azure_asking as ask
from wizard.adapters import azure_errors
from wizard.adapters.azure_asking import Target, at, list_at, text, text_at
from wizard.adapters.azure_claims import identity_in
from wizard.azure import (
    FORBIDDEN,
    ARecord,
    AzureIdentity,
    Carried,
    Endpoint,
    Interface,
    IpConfiguration,
    Network,
    Permission,
    ResourceGroup,
    SignInPrompt,
    Subnet,
    Subscription,
    Zone,
    ZoneLink,
)
from wizard.identifiers.guid import is_guid

if TYPE_CHECKING:
    from azure.mgmt.network import NetworkManagementClient

    from wizard.adapters.azure_clients import SignIn

T = TypeVar("T")

_RESERVED = 5  # addresses of each subnet that Azure keeps
_PROMPT_TIMEOUT, _VISIBILITY_TIMEOUT = 30.0, 20.0  # seconds
_PATTERN = 300  # characters of a permission's pattern; longer ones cover nothing
_SUBSCRIPTIONS, _RESOURCES, _PERMISSIONS = "2022-12-01", "2021-04-01", "2022-04-01"  # api-versions

_sign_ins: dict[Target, SignIn] = {}


# ---------------------------------------------------------------- who we are


def identity(target: Target) -> AzureIdentity:
    """As whom we are signed in now, by a token that is asked for now."""
    with ask.explained(target) as clients:
        found = identity_in(clients.token(target).renewed())
    if target.tenant and is_guid(target.tenant) and target.tenant.lower() != found.tenant_id:
        raise azure_errors.other_tenant(target.tenant, found.tenant_id, ask.asked(target))
    return found


def begin_sign_in(target: Target) -> SignInPrompt | None:
    """Begin to sign in and return what to show meanwhile; None when this identity needs nobody to sign in."""
    if target.identity not in ("device-code", "browser"):
        return None
    with ask.explained(target) as clients:
        begun: SignIn = clients.token(target).sign_in()
        _sign_ins[target] = begun
        if target.identity == "browser":
            return SignInPrompt()
        prompt = begun.prompt(_PROMPT_TIMEOUT)
        if prompt is None:
            raise begun.error or TimeoutError("The sign-in service gave no code: timed out")
        return prompt


def signed_in(target: Target) -> AzureIdentity | None:
    """Who signed in; None while somebody is still waited for. Raises Problem when the sign-in failed."""
    begun = _sign_ins.get(target)
    if begun is not None:
        if begun.running:
            return None
        _sign_ins.pop(target, None)
        if begun.error is not None:
            with ask.explained(target):
                raise begun.error
    return identity(target)


# ---------------------------------------------------------------- subscriptions and rights


def subscriptions(target: Target) -> tuple[Subscription, ...]:
    """All that can be read, in every state."""
    return tuple(
        Subscription(
            id=text_at(one, "subscriptionId"),
            name=text_at(one, "displayName"),
            state=text_at(one, "state"),
            tenant_id=text_at(one, "tenantId"),
        )
        for one in ask.read_all(target, "/subscriptions", _SUBSCRIPTIONS)
    )


def resource_groups(target: Target, subscription: str) -> tuple[ResourceGroup, ...]:
    """The groups of a subscription."""
    return tuple(
        ResourceGroup(id=text_at(one, "id"), name=text_at(one, "name"), location=text_at(one, "location"))
        for one in ask.read_all(target, f"/subscriptions/{ask.guid(subscription)}/resourcegroups", _RESOURCES)
    )


def provider_registered(target: Target, subscription: str, namespace: str) -> bool:
    """Whether the subscription is registered for, say, Microsoft.Network."""
    where = f"/subscriptions/{ask.guid(subscription)}/providers/{ask.name(namespace)}"
    return text_at(ask.read(target, where, _RESOURCES), "registrationState").lower() == "registered"


def permissions(target: Target, scope: str, actions: tuple[str, ...]) -> tuple[Permission, ...]:
    """Each action with whether it is likely allowed; None where rights themselves may not be read."""
    where = "".join("/" + ask.name(part) for part in scope.strip("/").split("/"))
    try:
        granted = ask.read_all(target, f"{where}/providers/Microsoft.Authorization/permissions", _PERMISSIONS)
    except Problem as problem:
        if problem.code != FORBIDDEN:
            raise
        return tuple(Permission(scope, action, None) for action in actions)
    return tuple(Permission(scope, action, any(_grants(one, action) for one in granted)) for action in actions)


def _grants(role: Any, action: str) -> bool:
    """A role's `notActions` take away from its own `actions` only, not from another role's."""
    return _covered(action, list_at(role, "actions")) and not _covered(action, list_at(role, "notActions"))


def _covered(action: str, patterns: list[Any]) -> bool:
    short = (pattern for pattern in map(text, patterns) if len(pattern) <= _PATTERN)
    return any(fnmatch.fnmatchcase(action.lower(), pattern.lower()) for pattern in short)


# ---------------------------------------------------------------- networks


def networks(target: Target, subscription: str) -> tuple[Network, ...]:
    """All VNets of a subscription, with their subnets."""
    with ask.explained(target) as clients:
        found = ask.pages(clients.network(target, ask.guid(subscription)).virtual_networks.list_all())
    return tuple(_network(one) for one in found)


def network(target: Target, network_id: str) -> Network | None:
    """One VNet with its subnets; None when it is not there."""
    found = _one(target, network_id, "virtualNetworks", lambda client: client.virtual_networks)
    return None if found is None else _network(found)


def _one(
    target: Target, resource_id: str, kind: str, operations: Callable[[NetworkManagementClient], Any]
) -> Any | None:
    """One resource of that kind as the SDK's `operations` read it; None when it is not there."""
    subscription, group, name = ask.parts(resource_id, kind)
    with ask.explained(target) as clients:
        client = operations(clients.network(target, subscription))
        return ask.or_none(lambda: client.get(group, name))


def _nic(target: Target, nic_id: str) -> Any | None:
    return _one(target, nic_id, "networkInterfaces", lambda client: client.network_interfaces)


def visible(target: Target, subscription: str, location: str, alias: str) -> bool:
    """Whether the subscription may see the link service of that alias. Changes nothing, though it is a POST."""
    with ask.explained(target) as clients:
        services = clients.network(target, ask.guid(subscription)).private_link_services
        poller = services.begin_check_private_link_service_visibility(
            ask.name(location), {"privateLinkServiceAlias": alias}, polling_interval=1
        )
        poller.wait(_VISIBILITY_TIMEOUT)
        if not poller.done():
            raise TimeoutError("The visibility check timed out")
        return at(poller.result(), "visible") is True


def auto_approved(target: Target, subscription: str, location: str) -> tuple[str, ...]:
    """Resource IDs of the link services that approve this subscription's endpoints by themselves."""
    with ask.explained(target) as clients:
        services = clients.network(target, ask.guid(subscription)).private_link_services
        found = ask.pages(services.list_auto_approved_private_link_services(ask.name(location)))
    return tuple(filter(None, (text_at(one, "privateLinkService") for one in found)))


def _network(one: Any) -> Network:
    return Network(
        id=text_at(one, "id"),
        name=text_at(one, "name"),
        location=text_at(one, "location"),
        dns_servers=tuple(map(text, list_at(one, "properties", "dhcpOptions", "dnsServers"))),
        subnets=tuple(map(_subnet, list_at(one, "properties", "subnets"))),
        prefixes=tuple(filter(None, map(text, list_at(one, "properties", "addressSpace", "addressPrefixes")))),
    )


def _subnet(one: Any) -> Subnet:
    properties = at(one, "properties")
    several = list_at(properties, "addressPrefixes") or [at(properties, "addressPrefix")]
    prefixes = tuple(filter(None, map(text, several)))
    return Subnet(
        id=text_at(one, "id"),
        name=text_at(one, "name"),
        prefixes=prefixes,
        free=_free(prefixes, len(list_at(properties, "ipConfigurations"))),
        endpoint_policies=text_at(properties, "privateEndpointNetworkPolicies"),
    )


def _free(prefixes: tuple[str, ...], used: int) -> int | None:
    """Free addresses. With IPv6 beside it, a used one does not tell of which kind it is: then None."""
    try:
        sizes = [ipaddress.IPv4Network(prefix, strict=False).num_addresses for prefix in prefixes]
    except ValueError:
        return None
    return max(0, sum(max(0, size - _RESERVED) for size in sizes) - used) if sizes else None


# ---------------------------------------------------------------- endpoints


def endpoint(target: Target, endpoint_id: str) -> Endpoint | None:
    """One Private Endpoint with its private IPs, without them where its interface may not be read; None when it is
    not there."""
    found = _one(target, endpoint_id, "privateEndpoints", lambda client: client.private_endpoints)
    if found is None:
        return None
    nic_id = _nic_id(found)
    nic = _if_allowed(lambda: _nic(target, nic_id)) if nic_id else None
    return _endpoint(found, {nic_id.lower(): nic})


def endpoints(target: Target, subscription: str) -> tuple[Endpoint, ...]:
    """All Private Endpoints of a subscription: two lists, joined here, so that calls grow with pages alone.

    They are without private IPs where interfaces may not be listed.
    """
    with ask.explained(target) as clients:
        client = clients.network(target, ask.guid(subscription))
        found = ask.pages(client.private_endpoints.list_by_subscription())
    nics = _if_allowed(lambda: _nics(target, subscription)) if found else None
    by_id = {text_at(nic, "id").lower(): nic for nic in nics or ()}
    return tuple(_endpoint(one, by_id) for one in found)


def _nics(target: Target, subscription: str) -> list[Any]:
    with ask.explained(target) as clients:
        return ask.pages(clients.network(target, subscription).network_interfaces.list_all())


def _if_allowed(look: Callable[[], T]) -> T | None:
    """What a look finds, None where it may not be made. Reading interfaces is a right of its own: that it is missing
    must not hide the endpoint."""
    try:
        return look()
    except Problem as problem:
        if problem.code != FORBIDDEN:
            raise
        return None


def zone_groups(target: Target, endpoint_id: str) -> tuple[str, ...]:
    """The names of an endpoint's DNS zone groups; none when it is not there."""
    subscription, group, name = ask.parts(endpoint_id, "privateEndpoints")
    with ask.explained(target) as clients:
        client = clients.network(target, subscription).private_dns_zone_groups
        found = ask.or_none(lambda: ask.pages(client.list(name, group)))
    return tuple(text_at(one, "name") for one in found or ())


def interface(target: Target, nic_id: str) -> Interface | None:
    """One network interface with whose it is; None when it is not there."""
    found = _nic(target, nic_id)
    if found is None:
        return None
    return Interface(id=text_at(found, "id"), endpoint_id=text_at(found, "properties", "privateEndpoint", "id"))


def _nic_id(one: Any) -> str:
    return next((text_at(nic, "id") for nic in list_at(one, "properties", "networkInterfaces")), "")


def _endpoint(one: Any, nics: Mapping[str, Any]) -> Endpoint:
    properties = at(one, "properties")
    kinds = ("manualPrivateLinkServiceConnections", "privateLinkServiceConnections")
    connections = [at(each, "properties") for kind in kinds for each in list_at(properties, kind)]
    connection = connections[0] if connections else None  # Azure allows one
    state = at(connection, "privateLinkServiceConnectionState")
    nic_id = _nic_id(one)
    configurations = list_at(nics.get(nic_id.lower()), "properties", "ipConfigurations")
    return Endpoint(
        id=text_at(one, "id"),
        name=text_at(one, "name"),
        location=text_at(one, "location"),
        subnet_id=text_at(properties, "subnet", "id"),
        service=text_at(connection, "privateLinkServiceId"),
        provisioning=text_at(properties, "provisioningState"),
        connection=text_at(state, "status"),
        message=text_at(state, "description"),
        nic_id=nic_id,
        addresses=tuple(filter(None, (text_at(each, "properties", "privateIPAddress") for each in configurations))),
        carried=_carried(one),
    )


def _carried(one: Any) -> Carried:
    tags, properties = at(one, "tags"), at(one, "properties")
    groups = (text_at(each, "id") for each in list_at(properties, "applicationSecurityGroups"))
    return Carried(
        tags=tuple((text(key), text(value)) for key, value in tags.items()) if isinstance(tags, Mapping) else (),
        ip_configurations=tuple(
            IpConfiguration(
                name=text_at(each, "name"),
                address=text_at(each, "properties", "privateIPAddress"),
                group=text_at(each, "properties", "groupId"),
                member=text_at(each, "properties", "memberName"),
            )
            for each in list_at(properties, "ipConfigurations")
        ),
        security_groups=tuple(filter(None, groups)),
    )


# ---------------------------------------------------------------- private DNS


def zones(target: Target, subscription: str) -> tuple[Zone, ...]:
    """All private DNS zones of a subscription."""
    with ask.explained(target) as clients:
        found = ask.pages(clients.dns(target, ask.guid(subscription)).private_zones.list())
    return tuple(Zone(id=text_at(one, "id"), name=text_at(one, "name")) for one in found)


def zone_links(target: Target, zone_id: str) -> tuple[ZoneLink, ...]:
    """The links of a zone to VNets; none when there is no zone."""
    subscription, group, zone = ask.parts(zone_id, "privateDnsZones")
    with ask.explained(target) as clients:
        client = clients.dns(target, subscription).virtual_network_links
        found = ask.or_none(lambda: ask.pages(client.list(group, zone)))
    return tuple(
        ZoneLink(
            id=text_at(one, "id"),
            name=text_at(one, "name"),
            zone_id=zone_id,
            network_id=text_at(one, "properties", "virtualNetwork", "id"),
            state=text_at(one, "properties", "virtualNetworkLinkState"),
            provisioning=text_at(one, "properties", "provisioningState"),
        )
        for one in found or ()
    )


def a_record(target: Target, zone_id: str, name: str) -> ARecord | None:
    """An A record set; None when there is none, or no zone."""
    found = record_set(target, zone_id, name)
    return None if found is None else to_record(zone_id, name, found)


def record_set(target: Target, zone_id: str, name: str) -> Any | None:
    """An A record set as Azure spells it, with its etag and metadata; None when there is none, or no zone."""
    subscription, group, zone = ask.parts(zone_id, "privateDnsZones")
    with ask.explained(target) as clients:
        client = clients.dns(target, subscription).record_sets
        return ask.or_none(lambda: client.get(group, zone, "A", ask.name(name)))


def a_records(target: Target, zone_id: str) -> tuple[ARecord, ...]:
    """All A record sets of a zone; none when there is no zone."""
    subscription, group, zone = ask.parts(zone_id, "privateDnsZones")
    with ask.explained(target) as clients:
        client = clients.dns(target, subscription).record_sets
        found = ask.or_none(lambda: ask.pages(client.list_by_type(group, zone, "A")))
    return tuple(to_record(zone_id, text_at(one, "name"), one) for one in found or ())


def to_record(zone_id: str, name: str, found: Any) -> ARecord:
    """What counts of an A record set."""
    ttl = at(found, "properties", "ttl")
    addresses = (text_at(one, "ipv4Address") for one in list_at(found, "properties", "aRecords"))
    return ARecord(zone_id, name, tuple(addresses), ttl if isinstance(ttl, int) else 0)
