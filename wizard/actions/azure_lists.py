"""What Azure knows and nobody should have to type: subscriptions, resource groups, VNets and subnets, as lists.

A VNet may lie in another resource group or subscription than the endpoint (AZURE.md, "What goes wrong for people"):
those of the endpoint's subscription come first, then the others', a bounded number of them. The number of calls grows
with the subscriptions alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import TypeVar

from state.problem import EXIT_NOT_YET, Problem
from wizard.actions.azure_facts import azure_of, group_of, last_name, needed, same_id, subscription_of
from wizard.azure import ENABLED, FORBIDDEN, NO_POLICIES, Network, ResourceGroup, Subnet, Subscription
from wizard.guide import Batch, Listed, Reads
from wizard.identifiers.address import AZURE_DNS
from wizard.text import count, one_line
from wizard.view import View

N = TypeVar("N", ResourceGroup, Network, Subnet)

OTHERS = 20
"""So many subscriptions are looked through beside the endpoint's own; whoever has more types the ID."""

NAMELESS = "azure-identity-unknown"
"""Code of the Problem that it is not told who reads."""


async def subscriptions(view: View, reads: Reads) -> AsyncIterator[Batch]:
    """Every subscription that can be read."""
    yield await _asked(reads)
    yield Batch(tuple(map(_subscription, await _subscriptions(reads))))


async def resource_groups(view: View, reads: Reads) -> AsyncIterator[Batch]:
    """The resource groups of the item's subscription. Raises Problem when that is not known yet."""
    subscription = needed(view, "subscription_id")
    yield await _asked(reads)
    azure = azure_of(reads.readers)
    found = await reads.once("resource groups", subscription.lower(), lambda: azure.resource_groups(subscription))
    yield Batch(tuple(map(_group, _by_name(found))))


async def vnets(view: View, reads: Reads) -> AsyncIterator[Batch]:
    """Every VNet that can be read, the ones of the item's subscription first."""
    async with aclosing(_networks(view, reads)) as found:
        async for batch, networks, where in found:
            yield batch or Batch(tuple(_vnet(one, where) for one in _by_name(networks)))


async def subnets(view: View, reads: Reads) -> AsyncIterator[Batch]:
    """The subnets of the item's VNet; of every VNet while that is not known."""
    vnet = view.value("vnet")
    if vnet:
        yield await _asked(reads)
        yield Batch(_subnets_of(await _network(reads, vnet), ""))
        return
    async with aclosing(_networks(view, reads)) as found:
        async for batch, networks, where in found:
            yield batch or Batch(tuple(row for one in _by_name(networks) for row in _subnets_of(one, where)))


# ---------------------------------------------------------------- reading


async def _asked(reads: Reads) -> Batch:
    """As whom Azure is asked. A sign-in that is missing shows here, before anything else is tried with it."""
    azure = azure_of(reads.readers)
    try:
        identity = await reads.once("identity", "", azure.identity)
    except Problem as problem:
        if problem.code != NAMELESS:
            raise
        return Batch()
    return Batch(who=identity.name or f"object {identity.object_id}")


async def _subscriptions(reads: Reads) -> list[Subscription]:
    """All that can be read, those that take everything first."""
    found = await reads.once("subscriptions", "", azure_of(reads.readers).subscriptions)
    return sorted(found, key=lambda one: (one.state != ENABLED, one.name.casefold(), one.id))


async def _networks_of(reads: Reads, subscription: str) -> tuple[Network, ...]:
    azure = azure_of(reads.readers)
    return await reads.once("VNets", subscription.lower(), lambda: azure.networks(subscription))


async def _network(reads: Reads, network_id: str) -> Network:
    """One VNet, as its subscription's list has it; by itself where that list may not be read or lacks it.

    Raises Problem when it is not there.
    """
    azure = azure_of(reads.readers)
    try:
        known = await _networks_of(reads, subscription_of(network_id))
    except Problem as problem:
        if problem.code != FORBIDDEN:
            raise
        known = ()
    listed = next((one for one in known if same_id(one.id, network_id)), None)
    found = listed or await reads.once("VNet", network_id.lower(), lambda: azure.network(network_id))
    if found is None:
        raise Problem(
            "no-such-vnet",
            f"Azure has no VNet {one_line(last_name(network_id))} that can be read.",
            todo="Pick the VNet first: f3 in its field.",
            exit_code=EXIT_NOT_YET,
        )
    return found


async def _networks(view: View, reads: Reads) -> AsyncGenerator[tuple[Batch | None, tuple[Network, ...], str], None]:
    """What is to be told, or the VNets of one subscription and its name, empty for the item's own.

    A subscription that may not be read is left out, and said; any other failure ends it.
    """
    yield await _asked(reads), (), ""
    own, refused, there = view.value("subscription_id").lower(), [], False
    if own:
        try:
            networks = await _networks_of(reads, own)
        except Problem as problem:
            if problem.code != FORBIDDEN:
                raise
            refused.append(problem)
        else:
            there = True
            yield None, networks, ""
    try:
        others = [one for one in await _subscriptions(reads) if one.id.lower() != own]
    except Problem as problem:
        if not there:
            raise
        yield Batch(remark=f"other subscriptions could not be looked for: {problem.what}"), (), ""
        return
    tasks = [asyncio.ensure_future(_of_one(reads, one)) for one in others[:OTHERS]]
    try:
        for next_one in asyncio.as_completed(tasks):
            subscription, found = await next_one
            if isinstance(found, Problem):
                refused.append(found)
            else:
                there = there or bool(found)
                yield None, found, subscription.name or subscription.id
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if refused and not there:
        raise refused[0]
    if refused:
        yield Batch(remark=f"{count(len(refused), 'subscription')} may not be read"), (), ""
    if len(others) > OTHERS:
        left = f"{count(len(others) - OTHERS, 'more subscription')} not looked through: type an ID of there"
        yield Batch(remark=left), (), ""


async def _of_one(reads: Reads, subscription: Subscription) -> tuple[Subscription, tuple[Network, ...] | Problem]:
    try:
        return subscription, await _networks_of(reads, subscription.id)
    except Problem as problem:
        if problem.code != FORBIDDEN:
            raise
        return subscription, problem


# ---------------------------------------------------------------- rows


def _subscription(one: Subscription) -> Listed:
    note = "" if one.state == ENABLED else f"it is {one.state or 'in no known state'}: Azure will likely refuse changes"
    return Listed(one.id, one.name or one.id, (one.id, one.state, one.tenant_id), note)


def _group(one: ResourceGroup) -> Listed:
    return Listed(one.name, one.name, (one.location,))


def _vnet(one: Network, where: str) -> Listed:
    known = [subnet.free for subnet in one.subnets if subnet.free is not None]
    free = sum(known) if known else None
    notes = [
        f"its own DNS servers ({', '.join(one.dns_servers[:3])}) must forward to {AZURE_DNS}"
        if one.dns_servers
        else "",
        "it has no subnet" if not one.subnets else "no free address" if free == 0 else "",
    ]
    columns = (_range(one.prefixes), _number(free), one.location, group_of(one.id), where)
    return Listed(one.id, one.name, columns, "; ".join(filter(None, notes)))


def _subnets_of(network: Network, where: str) -> tuple[Listed, ...]:
    return tuple(_subnet(one, network, where) for one in _by_name(network.subnets))


def _subnet(one: Subnet, network: Network, where: str) -> Listed:
    policies = one.endpoint_policies
    notes = [
        "no free address" if one.free == 0 else "",
        f"its network policies are {policies}: Azure may refuse an endpoint"
        if policies not in ("", NO_POLICIES)
        else "",
    ]
    columns = (_range(one.prefixes), _number(one.free), network.name, group_of(network.id), where)
    return Listed(one.id, one.name, columns, "; ".join(filter(None, notes)))


def _by_name(found: tuple[N, ...]) -> list[N]:
    return sorted(found, key=lambda one: (one.name.casefold(), one.id.casefold()))


def _range(prefixes: tuple[str, ...]) -> str:
    return f"{prefixes[0]} +{len(prefixes) - 1}" if len(prefixes) > 1 else "".join(prefixes)


def _number(free: int | None) -> str:
    return "" if free is None else str(free)
