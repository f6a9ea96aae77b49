"""The writes of Azure private DNS: zone, link and A record, each with its command, and how it is looked at later."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count

from state.events import DONE, FAILED
from state.problem import EXIT_BAD, EXIT_NOT_YET, Problem
from wizard.actions.azure_facts import (
    NOT_THERE,
    Look,
    Seen,
    Send,
    Write,
    az,
    group_id,
    group_of,
    last_name,
    same_id,
    subscription_of,
)
from wizard.actions.zone_survey import Place, Target, is_lost
from wizard.azure import DELETING, SUCCEEDED, ARecord, AzureReader, Zone, ZoneLink

TTL = 300
"""Seconds that a new record may be remembered: an endpoint made anew may have another address. One that is there keeps
what its owner chose, as it does with the commands that are shown."""

ZONE, LINK, RECORD = "create zone", "create link", "set record"
"""What a write does, as the journal keeps it."""


@dataclass(frozen=True, slots=True)
class ZoneStep:
    """One write of a plan, and how it is sent."""

    write: Write
    send: Send


# ---------------------------------------------------------------- what is sent


def steps(target: Target, place: Place) -> tuple[ZoneStep, ...]:
    """The writes that one host needs, in the order in which they are made.

    The link comes last: a zone that is linked and has no record yet makes the host resolve nowhere in that VNet, which
    takes a running DPE off its public way before it has the private one.
    """
    planned = []
    if not place.exists:
        planned.append(_zone_step(place.zone))
    if not target.right(place.record):
        planned.append(_record_step(target, place))
    if place.link is None:
        planned.append(_link_step(place.zone, target.network, _link_name(target.network, place.link_names)))
    return tuple(planned)


def _zone_step(zone: Zone) -> ZoneStep:
    write = Write(
        does=ZONE,
        resource=zone.id,
        name=f"zone {zone.name}",
        summary=f"create zone {zone.name} in {group_of(zone.id)}",
        commands=(_dns("zone", "create", zone, "--name", zone.name),),
        undo=_dns("zone", "delete", zone, "--name", zone.name, "--yes"),
    )
    return ZoneStep(write, lambda acting: acting.create_zone(zone.id))


def _link_step(zone: Zone, network: str, name: str) -> ZoneStep:
    resource = f"{zone.id}/virtualNetworkLinks/{name}"
    where = ("--zone-name", zone.name, "--name", name)
    create = _dns("link vnet", "create", zone, *where, "--virtual-network", network, "--registration-enabled", "false")
    write = Write(
        does=LINK,
        resource=resource,
        name=f"link {zone.name} to {last_name(network)}",
        summary=f"link zone {zone.name} to {last_name(network)}",
        commands=(create,),
        undo=_dns("link vnet", "delete", zone, *where, "--yes"),
        facts={"network": network},
    )
    return ZoneStep(write, lambda acting: acting.create_link(resource, network))


def _record_step(target: Target, place: Place) -> ZoneStep:
    zone, name, before = place.zone, place.name, place.record
    record = ARecord(zone.id, name, target.addresses(before), before.ttl if before else TTL)
    where = ("--zone-name", zone.name)
    old = before.addresses if before else ()
    commands = [] if before else [_dns("record-set a", "create", zone, *where, "--name", name, "--ttl", str(TTL))]
    for verb, addresses, others in (("add-record", record.addresses, old), ("remove-record", old, record.addresses)):
        commands += [
            _dns("record-set a", verb, zone, *where, "--record-set-name", name, "--ipv4-address", address)
            for address in addresses
            if address not in others
        ]
    write = Write(
        does=RECORD,
        resource=record_id(zone.id, name),
        name=f"record {name} in {zone.name}",
        summary=f"set record {name} in {zone.name} to {', '.join(record.addresses)}",
        commands=tuple(commands),
        undo=(
            f"set {name} in {zone.name} to {', '.join(old)} again"
            if old
            else _dns("record-set a", "delete", zone, *where, "--name", name, "--yes")
        ),
        waits=False,
        facts={
            "zone": zone.id,
            "record": name,
            "addresses": " ".join(record.addresses),
            "before": " ".join(old),
        },
    )
    return ZoneStep(write, lambda acting: acting.set_a_record(record, replacing=before))


def _dns(command: str, verb: str, zone: Zone, *words: str) -> str:
    where = ("--subscription", subscription_of(zone.id), "--resource-group", group_of(zone.id))
    return az("network", "private-dns", *command.split(), verb, *where, *words)


def _link_name(network: str, taken: Sequence[str]) -> str:
    """The link's name: the VNet's, and what tells it from a VNet of that name in another group. At most 80.

    `taken` are the names of links to other VNets: a link of that name would be theirs.
    """
    base = f"{last_name(network)[:64]}-{hashlib.sha256(network.lower().encode()).hexdigest()[:8]}"
    names = {name.lower() for name in taken}
    free = (name for number in count(1) if (name := base if number == 1 else f"{base}-{number}").lower() not in names)
    return next(free)


def record_id(zone_id: str, name: str) -> str:
    """The Resource ID of an A record set."""
    return f"{zone_id}/A/{name}"


# ---------------------------------------------------------------- looking how a write went


def look(azure: AzureReader, does: str, resource: str, facts: Mapping[str, str]) -> Look:
    """How a write is looked at, from what the journal keeps of it."""
    if does == ZONE:
        return partial(_look_at_zone, azure, resource)
    if does == LINK:
        return partial(_look_at_link, azure, resource, facts.get("network", ""))
    return partial(_look_at_record, azure, facts)


async def _look_at_zone(azure: AzureReader, resource: str) -> Seen:
    zones = await azure.zones(subscription_of(resource))
    return Seen("it is there", DONE) if any(same_id(zone.id, resource) for zone in zones) else NOT_THERE


async def _look_at_link(azure: AzureReader, resource: str, network: str) -> Seen:
    links = await azure.zone_links(resource.partition("/virtualNetworkLinks/")[0])
    link = next((one for one in links if same_id(one.id, resource)), None)
    if link is None:
        return NOT_THERE
    if not same_id(link.network_id, network):
        what = f"The link {link.name} goes to {link.network_id}, not to {network}."
        return Seen("it goes elsewhere", FAILED, problem=_not_ours("link-taken", what))
    text = f"it is {_link_state(link) or 'there'}"
    if is_lost(link) and link.provisioning != DELETING:  # one that is being deleted is gone soon, which says more
        return Seen(text, FAILED, problem=lost_link(link))
    return Seen(text, DONE if is_linked(link) else None)


def is_linked(link: ZoneLink) -> bool:
    """Whether a link works already; what Azure does not tell is taken as good."""
    return link.provisioning in ("", SUCCEEDED) and link.state in ("", "Completed")


def link_said(link: ZoneLink) -> str:
    """Which link it is and how it stands, in Azure's own word."""
    return f"link of zone {last_name(link.zone_id)} to {last_name(link.network_id)} is {_link_state(link)}"


def _link_state(link: ZoneLink) -> str:
    """One that is not Succeeded is not Completed, whatever Azure says besides."""
    return link.state if link.provisioning in ("", SUCCEEDED) else link.provisioning


def lost_link(link: ZoneLink) -> Problem:
    """Why nothing comes of a link (`zone_survey.is_lost`), and the way out: Azure makes no second one to the VNet."""
    zone = Zone(link.zone_id, last_name(link.zone_id))
    if link.provisioning == DELETING:
        code, todo = "link-deleting", "Wait until it is gone, then run this step again."
    else:
        delete = _dns("link vnet", "delete", zone, "--zone-name", zone.name, "--name", link.name, "--yes")
        code, todo = "link-failed", f"Delete it with `{delete}`, then run this step again."
    return Problem(
        code,
        f"The {link_said(link)}.",
        means="That VNet does not get the zone's answers, and Azure does not mend it by itself.",
        todo=todo,
        exit_code=EXIT_BAD,
    )


async def _look_at_record(azure: AzureReader, facts: Mapping[str, str]) -> Seen:
    record = await azure.a_record(facts.get("zone", ""), facts.get("record", ""))
    found = " ".join(sorted(record.addresses)) if record else ""
    if record is not None and set(found.split()) == set(facts.get("addresses", "").split()):
        return Seen("it is there", DONE, facts={"addresses": found, "ttl": str(record.ttl)})
    if set(found.split()) == set(facts.get("before", "").split()):
        return Seen("it is as it was before", there=False) if found else NOT_THERE
    what = f"The record {facts.get('record', '')} in {last_name(facts.get('zone', ''))} holds {found or 'nothing'}."
    return Seen(f"it holds {found or 'nothing'}", FAILED, problem=_not_ours("record-changed", what))


def _not_ours(code: str, what: str) -> Problem:
    return Problem(
        code,
        what,
        means="Somebody else changed it at the same time, or it was there before.",
        todo="Run this step again: its plan reads what is there.",
        exit_code=EXIT_NOT_YET,
    )


# ---------------------------------------------------------------- what it needs


def needs(write: Write, target: Target) -> tuple[tuple[str, str], ...]:
    """The ARM actions that a write needs, each with its scope."""
    group = group_id(subscription_of(write.resource), group_of(write.resource))
    if write.does == ZONE:
        return (group, "privateDnsZones/read"), (group, "privateDnsZones/write")
    if write.does == LINK:
        verbs = ("read", "write")
        links = tuple((group, f"privateDnsZones/virtualNetworkLinks/{verb}") for verb in verbs)
        return (*links, (target.network, "virtualNetworks/join/action"))
    return (group, "privateDnsZones/A/read"), (group, "privateDnsZones/A/write")
