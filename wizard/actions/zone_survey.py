"""Where a host's A record is or belongs in Azure private DNS: what is wanted, and what zones and links there are.

The step that writes records and the look that proves them go by the same survey. Of all zones that are linked to a
VNet, DNS asks the one with the longest name alone; so a zone that is linked decides, wherever it is. Central teams keep
zones in a subscription of their own (hub and spoke): all that can be read are looked through.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from ipaddress import ip_address

from state.problem import EXIT_BAD, Problem
from wizard.actions.azure_facts import (
    group_of,
    last_name,
    needed,
    network_resource,
    same_id,
    subscription_of,
)
from wizard.azure import CAME_TO_NOTHING, DELETING, ARecord, AzureReader, Subscription, Zone, ZoneLink
from wizard.relations import Relations
from wizard.status import SetupStatus, derive, gate_of, names
from wizard.text import one_line
from wizard.together import together
from wizard.view import View, item_steps

APEX = "@"

SUBSCRIPTIONS = 50
"""Subscriptions that are looked through for zones, at most: each is a call."""

_AT_ONCE = 8
_NAMED = 3  # subscriptions named one by one


# ---------------------------------------------------------------- what is wanted


@dataclass(frozen=True, slots=True)
class Keys:
    """The fields that a guide keeps these things in: the host names, the endpoint's private IP, the VNet that asks and
    that of the endpoint (by Resource ID), and the resource group for new zones."""

    hosts: tuple[str, ...]
    address: str
    network: str = "vnet"
    home: str = "vnet"
    group: str = "resource_group"


@dataclass(frozen=True, slots=True)
class Claim:
    """What another pair of items of the setup wants: a host has this address in that VNet. `who` are the items' names.

    `sibling`: it is the same item with another endpoint.
    """

    host: str
    address: str
    network: str
    who: str
    sibling: bool


@dataclass(frozen=True, slots=True)
class Unproven:
    """An address that is wanted and not written: what it waits for is not done. `who` is its endpoint's name, `why`
    says what it waits for."""

    address: str
    who: str
    why: str


@dataclass(frozen=True, slots=True)
class Target:
    """What is wanted: which hosts resolve in which VNet to what. New zones go into `group` of `subscription`.

    `own`: the address of the endpoint this is about; `wanted`: of all endpoints of the same item whose record serves
    that VNet; `unproven`: those of them that may not answer, such as of an endpoint that is Pending. `homes`: other
    VNets that these endpoints are in. `claims`: what the setup's other pairs of items want.
    """

    hosts: tuple[str, ...]
    network: str
    subscription: str
    group: str
    own: str
    wanted: tuple[str, ...]
    homes: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()
    unproven: tuple[Unproven, ...] = ()

    def right(self, record: ARecord | None) -> bool:
        """Whether a record sends a host to the item's endpoints alone, this one among them."""
        return record is not None and self.own in record.addresses and set(record.addresses) <= set(self.wanted)

    def addresses(self, record: ARecord | None) -> tuple[str, ...]:
        """What the record is to hold, given what it holds now: all that is wanted, but for what is left out."""
        left_out = {one.address for one in self.left_out(record)}
        return tuple(address for address in self.wanted if address not in left_out)

    def left_out(self, record: ARecord | None) -> tuple[Unproven, ...]:
        """The addresses that nobody is sent to yet. One that the record holds stays: it was put there before."""
        held = record.addresses if record else ()
        return tuple(one for one in self.unproven if one.address not in held)

    def claimed(self, record: ARecord, host: str) -> tuple[Claim, ...]:
        """Who else of the setup wants an address that the record holds and that is not wanted here."""
        foreign = set(record.addresses) - set(self.wanted)
        return tuple(one for one in self.claims if one.host == host and one.address in foreign)


def target_of(view: View, keys: Keys) -> Target:
    """What the view's fields ask for. Raises Problem when one of them is missing, or the address is no IPv4 one."""
    own = needed(view, keys.address)
    if not _is_ipv4(own):
        raise Problem(
            "no-ipv4",
            f"{own} is an IPv6 address, for which an A record can't be made.",
            todo="Hand this step off: the DNS team makes AAAA records.",
            exit_code=EXIT_BAD,
        )
    network = needed(view, keys.network)
    hosts = tuple(dict.fromkeys(needed(view, key).lower() for key in keys.hosts))
    serving = _serving(view, keys)
    others = (one.value(keys.address) for one in serving)
    homes = (one.value(keys.home) for one in (view, *serving))
    return Target(
        hosts=hosts,
        network=network,
        subscription=needed(view, "subscription_id"),
        group=needed(view, keys.group),
        own=own,
        wanted=tuple(sorted({own, *(address for address in others if _is_ipv4(address))})),
        homes=_distinct(home for home in homes if home and not same_id(home, network)),
        claims=_claims(view, keys),
        unproven=_unproven(view, keys, own, serving),
    )


def _unproven(view: View, keys: Keys, own: str, serving: Sequence[View]) -> tuple[Unproven, ...]:
    """The addresses of other endpoints for which this very step still waits.

    An address is known as soon as the endpoint is there, and answers only when its connection is Approved: the gate
    knows. Half of the connections would go nowhere.
    """
    others = [one for one in serving if _is_ipv4(address := one.value(keys.address)) and address != own]
    if not others:
        return ()
    relations = view.relations or Relations(view.guide, view.snapshot)
    status: SetupStatus = relations.once(("status", view.now), lambda: derive(view.guide, view.snapshot, view.now))
    waiting, answering = list[Unproven](), set[str]()
    for other in others:
        one = replace(other, relations=relations)
        address, gate = one.value(keys.address), gate_of(one, status.item_steps, status.steps)
        stands = next((found.status for place in gate if (found := status.item_steps.get(place))), "")
        if gate:
            why = f"{names(one, gate)} is not done{f' ({stands})' if stands else ''}"
            waiting.append(Unproven(address, one.name(view.guide.fields()[keys.address].owner or ""), why))
        else:
            answering.add(address)
    return tuple(one for one in waiting if one.address not in answering)


def _serving(view: View, keys: Keys) -> tuple[View, ...]:
    """The views of all endpoints of the item that the hosts belong to, as far as they serve the VNet that asks."""
    fields = view.guide.fields()
    item = view.only(fields[keys.hosts[0]].owner)
    owners = [owner for owner in item.owners(fields[keys.address]) if owner is not None]
    endpoints = (replace(view, items=(*item.items, owner)) for owner in owners)
    return tuple(one for one in endpoints if same_id(one.value(keys.network), view.value(keys.network)))


def _claims(view: View, keys: Keys) -> tuple[Claim, ...]:
    owner = view.guide.fields()[keys.hosts[0]].owner
    mine = view.only(owner).items
    # Of many pairs each looks at all: what they want is worked out once.
    relations = view.relations or Relations(view.guide, view.snapshot)
    every = relations.once(
        ("claims", view.step.id, keys), lambda: _every_claim(replace(view, relations=relations), keys)
    )
    return tuple(
        replace(claim, sibling=True) if theirs == mine else claim
        for items, theirs, claim in every
        if items != view.items
    )


def _every_claim(view: View, keys: Keys) -> list[tuple[tuple[str, ...], tuple[str, ...], Claim]]:
    """What each pair of items of the setup wants, with the pair and that item of it which the hosts belong to."""
    owner = view.guide.fields()[keys.hosts[0]].owner
    found = []
    for place in item_steps(view.guide, view.snapshot, view.step):
        one = replace(view, items=place.items)
        address, network = one.value(keys.address), one.value(keys.network)
        who, theirs = " with ".join(item.partition("/")[2] for item in place.items), one.only(owner).items
        hosts = filter(None, (one.value(key) for key in keys.hosts) if address else ())
        found += [(place.items, theirs, Claim(host.lower(), address, network, who, False)) for host in hosts]
    return found


def _is_ipv4(address: str) -> bool:
    return bool(address) and ip_address(address).version == 4


def _distinct(ids: Iterable[str]) -> tuple[str, ...]:
    found: dict[str, str] = {}
    for one in ids:
        found.setdefault(one.rstrip("/").lower(), one)
    return tuple(found[key] for key in sorted(found))


# ---------------------------------------------------------------- what is there


@dataclass(frozen=True, slots=True)
class Place:
    """Where a host's record is, or will be. `exists` tells of the zone, `name` is relative to it.

    `link` is the zone's link to the VNet, `link_names` are the names of all its links. `others`: VNets that zones of
    the host's name are linked to instead.
    """

    host: str
    zone: Zone
    name: str
    exists: bool
    link: ZoneLink | None = None
    record: ARecord | None = None
    others: tuple[str, ...] = ()
    link_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Survey:
    """A place for each host, in their order. `notes`: where could not be looked, or was not."""

    places: tuple[Place, ...]
    notes: tuple[str, ...] = ()


async def survey(azure: AzureReader, target: Target) -> Survey:
    """For each host where its record is or belongs, from the zones of every subscription that can be read.

    A zone of the host's name that is linked to the VNet comes first: a VNet can't link a second one. Then another of
    that name, if its record is free or right; then a parent zone, but only one that is linked already; else a new zone.
    """
    zones, notes = await _near(azure, target)
    links, unread = await _links_of(azure, target, zones)
    if not _settled(target, links):
        zones, said = await _far(azure, target)
        more, unseen = await _links_of(azure, target, zones)
        links, unread = {**links, **more}, (*said, *unread, *unseen)
    return Survey(
        tuple([await _place(azure, target, host, links) for host in target.hosts]),
        (*notes, *unread),
    )


Links = Mapping[Zone, tuple[ZoneLink, ...]]
"""Zones with the links they have."""


def _settled(target: Target, links: Links) -> bool:
    """Whether every host has a zone of its own name that the VNet asks: then no other zone anywhere matters."""
    asked = [zone for zone, its in links.items() if any(_leads_to(one, target) and not is_lost(one) for one in its)]
    return {zone.name.lower() for zone in asked}.issuperset(target.hosts)


async def _links_of(azure: AzureReader, target: Target, zones: Sequence[Zone]) -> tuple[Links, tuple[str, ...]]:
    """The zones that matter for the hosts, with their links; and a note on those whose links can't be read."""
    covering = [zone for zone in zones if any(_covers(zone, host) for host in target.hosts)]
    async with together() as looks:
        tasks = {zone: looks.create_task(_links(azure, target, zone)) for zone in covering}
    found = {zone: task.result() for zone, task in tasks.items()}
    unread = tuple(
        f"the links of zone {zone.name} in {group_of(zone.id)} of subscription {subscription_of(zone.id)} could not be "
        f"looked at: {said}"
        for zone, said in found.items()
        if isinstance(said, str)
    )
    return {zone: links for zone, links in found.items() if not isinstance(links, str)}, unread


async def _links(azure: AzureReader, target: Target, zone: Zone) -> tuple[ZoneLink, ...] | str:
    """A zone's links, or why they can't be read where that hinders nothing: in others' subscriptions."""
    try:
        return await azure.zone_links(zone.id)
    except Problem as problem:
        if _same_subscription(zone.id, target.subscription):
            raise
        return problem.what


def _leads_to(link: ZoneLink, target: Target) -> bool:
    return same_id(link.network_id, target.network)


def is_lost(link: ZoneLink) -> bool:
    """Whether nothing comes of a link any more: it failed, or is being deleted."""
    return link.provisioning in (*CAME_TO_NOTHING, DELETING)


def _covers(zone: Zone, host: str) -> bool:
    return host == zone.name.lower() or host.endswith(f".{zone.name.lower()}")


def _same_subscription(resource: str, subscription: str) -> bool:
    return subscription_of(resource).lower() == subscription.lower()


# ---------------------------------------------------------------- through all subscriptions


async def _near(azure: AzureReader, target: Target) -> tuple[tuple[Zone, ...], tuple[str, ...]]:
    """The zones of the endpoint's subscription, which must be readable, and of the VNet's; and what is to say of it."""
    mine, theirs = _near_subscriptions(target)
    async with together() as looks:
        own = looks.create_task(azure.zones(target.subscription))
        beside = looks.create_task(_zones_of(azure, theirs)) if theirs != mine else None
    found = beside.result() if beside is not None else ()
    if isinstance(found, str):
        return own.result(), (_refused_note(target, {theirs: found}, {}),)
    return (*own.result(), *found), ()


async def _far(azure: AzureReader, target: Target) -> tuple[tuple[Zone, ...], tuple[str, ...]]:
    """The zones of all other subscriptions that can be read, at most `SUBSCRIPTIONS`; and what is to say of it."""
    names, why = await _readable(azure)
    near = set(_near_subscriptions(target))
    others, room = [one for one in names if one not in near], SUBSCRIPTIONS - len(near)
    turns = asyncio.Semaphore(_AT_ONCE)
    async with together() as looks:
        tasks = {one: looks.create_task(_zones_of(azure, one, turns)) for one in others[:room]}
    found = {one: task.result() for one, task in tasks.items()}
    refused = {one: said for one, said in found.items() if isinstance(said, str)}
    notes = (
        _listing_note(target, why) if why else "",
        _refused_note(target, refused, names) if refused else "",
        _left_note(target, others[room:], names) if others[room:] else "",
    )
    return tuple(zone for zones in found.values() if not isinstance(zones, str) for zone in zones), _said(notes)


def _said(notes: Iterable[str]) -> tuple[str, ...]:
    return tuple(filter(None, notes))


def _near_subscriptions(target: Target) -> tuple[str, str]:
    """The endpoint's and the VNet's, in lower case: what this step writes to anyway."""
    return target.subscription.lower(), subscription_of(target.network).lower()


async def _readable(azure: AzureReader) -> tuple[dict[str, str], str]:
    """The subscriptions that can be read, their names by lower-case ID; or why they can't be listed."""
    try:
        found: Sequence[Subscription] = await azure.subscriptions()
    except Problem as problem:
        return {}, problem.what
    return {one.id.lower(): one.name for one in found}, ""


async def _zones_of(
    azure: AzureReader, subscription: str, turns: asyncio.Semaphore | None = None
) -> tuple[Zone, ...] | str:
    """A subscription's zones, or why they can't be read."""
    async with turns or nullcontext():
        try:
            return await azure.zones(subscription)
        except Problem as problem:
            return problem.what


def _missed(target: Target) -> str:
    return f"So a zone there that is linked to {last_name(target.network)} is not seen."


def _listing_note(target: Target, why: str) -> str:
    return f"which other subscriptions hold private DNS zones could not be looked at: {why} {_missed(target)}"


def _refused_note(target: Target, refused: Mapping[str, str], names: Mapping[str, str]) -> str:
    first = next(iter(refused.values()))
    return f"zones of {_named(list(refused), names)} could not be looked at: {first} {_missed(target)}"


def _left_note(target: Target, left: Sequence[str], names: Mapping[str, str]) -> str:
    return (
        f"{len(left)} of {len(names)} subscriptions were not looked at for private DNS zones "
        f"({SUBSCRIPTIONS} are at most): {_named(left, names)}. {_missed(target)}"
    )


def _named(subscriptions: Sequence[str], names: Mapping[str, str]) -> str:
    said = [f"{one_line(names[one])} ({one})" if names.get(one) else one for one in subscriptions[:_NAMED]]
    more = len(subscriptions) - len(said)
    label = "subscription" if len(subscriptions) == 1 else "subscriptions"
    return f"{label} {', '.join(said)}{f' and {more} more' if more else ''}"


# ---------------------------------------------------------------- one host


async def _place(azure: AzureReader, target: Target, host: str, links: Links) -> Place:
    # The longest name first: of all linked zones, DNS asks that one alone.
    mine = sorted((zone for zone in links if _covers(zone, host)), key=lambda zone: -len(zone.name))
    found = [one for zone in mine if (one := await _found(azure, target, host, zone, links[zone])) is not None]
    exact = [place for place in found if place.name == APEX]
    usable = [place for place in exact if _is_usable(target, place)]
    groups = _groups(target)
    homes = [network_resource(*group, "privateDnsZones", host) for group in groups]
    free = [home for home in homes if not any(same_id(zone.id, home) for zone in mine)]
    own = [place for place in exact if same_id(place.zone.id, homes[0])]
    # Nobody is answered by a zone without links, so its record may be set right; a record of others stays, and the
    # VNet gets a zone beside theirs.
    idle = [place for place in own if not place.others or not free]
    choices = (
        *(place for place in exact if place.link is not None and not is_lost(place.link)),
        *(place for place in exact if place.link is not None),
        *sorted(usable, key=lambda place: not same_id(place.zone.id, homes[0])),
        *(place for place in found if place.link is not None),
        *idle,
    )
    if choices:
        return choices[0]
    elsewhere = [place for place in exact if _is_near(target, place) or target.right(place.record)]
    others = tuple(dict.fromkeys(network for place in elsewhere for network in place.others))
    return Place(host, Zone(free[0] if free else homes[0], host), APEX, False, others=others)


async def _found(azure: AzureReader, target: Target, host: str, zone: Zone, links: Sequence[ZoneLink]) -> Place | None:
    """A host's place in a zone that is there; None for a parent zone that the VNet does not ask."""
    name = host[: -len(zone.name)].rstrip(".") or APEX
    link = next((one for one in links if _leads_to(one, target)), None)
    if name != APEX and link is None:
        return None
    others = tuple(one.network_id for one in links if not _leads_to(one, target))
    try:
        record = await azure.a_record(zone.id, name)
    except Problem:
        # Only a zone that the VNet asks, or that this step may write to, matters enough to stop here.
        if link is not None or subscription_of(zone.id).lower() in _near_subscriptions(target):
            raise
        return None
    return Place(host, zone, name, True, link, record, others, tuple(one.name for one in links))


def _is_near(target: Target, place: Place) -> bool:
    """Whether a zone is in a subscription that this step writes to anyway."""
    return subscription_of(place.zone.id).lower() in _near_subscriptions(target)


def _is_usable(target: Target, place: Place) -> bool:
    """Whether the VNet may be linked to a zone: its answer is right, or there is none yet and the zone is near.

    An empty zone far away is likely another team's, and not to be written by this one.
    """
    return target.right(place.record) or (place.record is None and _is_near(target, place))


def _groups(target: Target) -> tuple[tuple[str, str], ...]:
    """Subscriptions and resource groups that a new zone may go into: one group can't hold two zones of one name."""
    return (target.subscription, target.group), (subscription_of(target.network), group_of(target.network))
