"""What may stand in the way of a new Private Endpoint, as far as reading can tell. It is likely, not certain."""

from __future__ import annotations

import hashlib
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, replace
from typing import Any

from state.problem import Problem
from wizard.actions.azure_facts import (
    NAMESPACE,
    az,
    endpoint_id,
    group_id,
    group_note,
    group_of,
    last_name,
    network_of,
    network_resource,
    notes_of,
    permission_note,
    provider_note,
    same_id,
    subscription_of,
)
from wizard.actions.endpoint_states import approves_itself, in_words, regions, same_service
from wizard.azure import NO_POLICIES, AzureReader, Endpoint, Network, Subnet, WantedEndpoint
from wizard.identifiers.alias import is_alias
from wizard.text import one_line
from wizard.view import View, item_steps

_SHOWN = 3  # other endpoints named one by one


@dataclass(frozen=True, slots=True)
class Nic:
    """The name that the endpoint's network interface gets. `note` says why it is another one than usual."""

    name: str
    note: str = ""


async def choose_nic(azure: AzureReader, resource: str) -> Nic:
    """A name for the network interface that no other one of the resource group has."""
    usual = f"{last_name(resource)}-nic"
    nic_id = network_resource(subscription_of(resource), group_of(resource), "networkInterfaces", usual)
    try:
        found = await azure.interface(nic_id)
    except Problem as problem:
        return Nic(usual, f"whether the name {usual} is free could not be looked at: {problem.what}")
    if found is None or same_id(found.endpoint_id, resource):
        return Nic(usual)
    other = f"{usual}-{hashlib.sha256(resource.lower().encode()).hexdigest()[:8]}"
    whose = f" of {last_name(found.endpoint_id)}" if found.endpoint_id else ""
    return Nic(other, f"there is a network interface {usual}{whose} already, so this one is called {other}.")


async def notes(
    view: View, azure: AzureReader, wanted: WantedEndpoint, network: Network, subnet: Subnet, *, replacing: bool
) -> tuple[str, ...]:
    """Visibility, approval, provider, group, rights, other endpoints to the service, and the subnet's state."""
    subscription, group = subscription_of(wanted.id), group_of(wanted.id)
    looks: dict[str, Coroutine[Any, Any, str]] = {}
    if is_alias(wanted.service):
        looks["whether the service can be seen"] = _visibility_note(azure, subscription, wanted)
    looks["whether the service approves by itself"] = _approval_note(azure, subscription, wanted)
    looks[f"whether {NAMESPACE} is registered"] = provider_note(azure, subscription)
    looks[f"resource group {group}"] = group_note(azure, subscription, group)
    looks["what is allowed"] = permission_note(azure, _actions(wanted, network, replacing=replacing))
    looks["other endpoints to the same service"] = _others_note(view, azure, subscription, wanted)
    return (*_subnet_notes(subnet), *await notes_of(looks))


def _actions(wanted: WantedEndpoint, network: Network, *, replacing: bool) -> dict[str, tuple[str, ...]]:
    """The ARM actions that are needed, by scope."""
    verbs = ("read", "write", "delete") if replacing else ("read", "write")
    join = f"{NAMESPACE}/applicationSecurityGroups/joinIpConfiguration/action"
    return {
        **dict.fromkeys(wanted.carried.security_groups, (join,)),
        group_id(subscription_of(wanted.id), group_of(wanted.id)): (
            *(f"{NAMESPACE}/privateEndpoints/{verb}" for verb in verbs),
            f"{NAMESPACE}/networkInterfaces/read",
        ),
        network.id: (
            f"{NAMESPACE}/virtualNetworks/read",
            f"{NAMESPACE}/virtualNetworks/subnets/read",
            f"{NAMESPACE}/virtualNetworks/subnets/join/action",
        ),
    }


def _subnet_notes(subnet: Subnet) -> tuple[str, ...]:
    said = []
    if subnet.endpoint_policies and subnet.endpoint_policies != NO_POLICIES:
        command = az(
            *("network", "vnet", "subnet", "update", "--ids", subnet.id),
            *("--private-endpoint-network-policies", NO_POLICIES),
        )
        said.append(
            f"subnet {subnet.name} has network policies for endpoints ({subnet.endpoint_policies}): Azure may refuse. "
            f"They are switched off by: {command}"
        )
    if subnet.free == 0:
        said.append(f"subnet {subnet.name} likely has no free address left.")
    return tuple(said)


async def _visibility_note(azure: AzureReader, subscription: str, wanted: WantedEndpoint) -> str:
    for location in regions(wanted.service, wanted.location):
        if await azure.visible(subscription, location, wanted.service):
            return ""
    return (
        f"the service is likely not visible to subscription {subscription}, and Azure would refuse. "
        "Is the alias right, and was this very subscription registered with the vendor?"
    )


async def _approval_note(azure: AzureReader, subscription: str, wanted: WantedEndpoint) -> str:
    if await approves_itself(azure, subscription, wanted.location, wanted.service):
        return ""
    return (
        f"the service likely does not approve endpoints of subscription {subscription} by itself: the connection may "
        "stay Pending. Was this very subscription registered with the vendor?"
    )


async def _others_note(view: View, azure: AzureReader, subscription: str, wanted: WantedEndpoint) -> str:
    """Names what connects to the service from the VNet already and is not of this setup: likely it is the one meant."""
    found = others_in(view, await azure.endpoints(subscription), wanted.id, wanted.service, wanted.subnet_id)
    if not found:
        return ""
    named = "; ".join(map(_named, found[:_SHOWN]))
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    asks = "is it the one to use" if len(found) == 1 else "is one of them the one to use"
    return (
        f"{'another endpoint connects' if len(found) == 1 else 'other endpoints connect'} to the same service from "
        f"the same VNet: {named}{more}: {asks}? Then enter its name, resource group and subnet instead."
    )


def others_in(
    view: View, listed: Iterable[Endpoint], resource: str, service: str, subnet_id: str
) -> tuple[Endpoint, ...]:
    """Of the endpoints listed those that lead to the service from the subnet's VNet, and are not of this setup."""
    ours = [resource, *_ids_in_setup(view)]
    network = network_of(subnet_id)
    return tuple(
        one
        for one in listed
        if same_service(one.service, service)
        and same_id(network_of(one.subnet_id), network)
        and not any(same_id(one.id, mine) for mine in ours)
    )


def _named(found: Endpoint) -> str:
    return f"{one_line(found.name)} in {group_of(found.id)}, {in_words(found)}"


def _ids_in_setup(view: View) -> list[str]:
    """The endpoints that this setup's items name."""
    ids = []
    for place in item_steps(view.guide, view.snapshot, view.step):
        try:
            ids.append(endpoint_id(replace(view, items=place.items)))
        except Problem:  # an item whose fields are not all known names none
            continue
    return ids
