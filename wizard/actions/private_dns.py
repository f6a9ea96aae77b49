"""Step "DNS records" in Azure private DNS: for each host a zone, its link to the VNet, and an A record.

A zone that is linked to a VNet hides every other name under it, so a zone of the whole domain is never made: each host
gets a zone of its own name with the record at its apex. Zones that the customer runs already are used (AZURE.md, "Zone
choice").
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import ip_address

from state.events import DONE, FAILED
from state.problem import EXIT_BAD, EXIT_NOT_YET, Problem
from wizard.actions.azure_facts import (
    NAMESPACE,
    NOT_THERE,
    PACE,
    Applying,
    Look,
    Pace,
    Seen,
    Write,
    az,
    azure_of,
    digest,
    find_out,
    group_id,
    group_note,
    group_of,
    last_name,
    needed,
    network_resource,
    notes_of,
    permission_note,
    provider_note,
    require_same_identity,
    same_id,
    subscription_of,
    writer_of,
)
from wizard.azure import FAILED as PROVISIONING_FAILED
from wizard.azure import (
    SUCCEEDED,
    ARecord,
    AzureIdentity,
    AzureReader,
    AzureWriter,
    Network,
    Zone,
    ZoneLink,
)
from wizard.guide import CHANGE, CREATE, SAME, Change, Log, Moment, Obstacle, Plan
from wizard.ports import Readers, Writers
from wizard.secret import Secret
from wizard.together import together
from wizard.view import View

TTL = 300
"""Seconds that a record may be remembered: an endpoint made anew may have another address."""

APEX = "@"
AZURE_DNS = "168.63.129.16"

_ZONE, _LINK, _RECORD = "create zone", "create link", "set record"


@dataclass(frozen=True, slots=True)
class Target:
    """What is wanted: which hosts resolve in which VNet to what. New zones go into `group` of `subscription`.

    `own`: the address of the endpoint this is about; `wanted`: of all endpoints of the same item in that VNet.
    """

    hosts: tuple[str, ...]
    network: str
    subscription: str
    group: str
    own: str
    wanted: tuple[str, ...]

    def right(self, record: ARecord | None) -> bool:
        """Whether a record sends a host to the item's endpoints alone, this one among them."""
        return record is not None and self.own in record.addresses and set(record.addresses) <= set(self.wanted)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a host's record is, or will be. `exists` tells of the zone, `name` is relative to it.

    `link` is the zone's link to the VNet. `others`: VNets that zones of the host's name are linked to instead.
    """

    host: str
    zone: Zone
    name: str
    exists: bool
    link: ZoneLink | None = None
    record: ARecord | None = None
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Survey:
    """A place for each host, in their order. `notes`: where could not be looked."""

    places: tuple[Place, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Step:
    """One write of a plan, and how it is sent."""

    write: Write
    send: Callable[[AzureWriter], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Payload:
    """What applying this very plan needs."""

    identity: AzureIdentity
    steps: tuple[_Step, ...]


class PrivateDns:
    """The action of a step that lets hosts resolve to an endpoint in its VNet.

    `hosts` are the fields with the host names, `address` the field of the private IP. `network` and `group` are the
    fields of the VNet's Resource ID and of the resource group for new zones.
    """

    def __init__(
        self,
        hosts: tuple[str, ...],
        address: str,
        *,
        network: str = "vnet",
        group: str = "resource_group",
        pace: Pace = PACE,
    ) -> None:
        self._hosts = hosts
        self._address = address
        self._network = network
        self._group = group
        self._pace = pace

    # ------------------------------------------------------------ plan

    async def plan(self, view: View, readers: Readers) -> Plan:
        """Compares zones, links and records with what is wanted. Raises Problem when they can't be looked at."""
        azure = azure_of(readers)
        target = target_of(view, self._hosts, self._address, network=self._network, group=self._group)
        async with together() as looks:
            identifying = looks.create_task(azure.identity())
            surveying = looks.create_task(survey(azure, target))
            reading = looks.create_task(_network(azure, target.network))
        identity, found, network = identifying.result(), surveying.result(), reading.result()
        places = found.places
        require_same_identity(view, identity)
        strangers = [place for place in places if _is_strange(view, target, place)]
        steps = [step for place in places for step in _steps(target, place)]
        commands = tuple(command for step in steps for command in step.write.commands)
        return Plan(
            changes=tuple(change for place in places for change in _changes(target, place)),
            commands=commands,
            digest=digest(commands),
            summary=_summary(target, steps),
            notes=(
                *found.notes,
                *_network_notes(network),
                *_shared_notes(target, places),
                *(await _notes(azure, target, steps) if steps else ()),
            ),
            undo="; ".join(step.write.undo for step in reversed(steps) if step.write.undo),
            obstacle=_obstacle(target, strangers) if strangers else None,
            timeout=self._pace.settle,
            payload=_Payload(identity, tuple(steps)),
        )

    # ------------------------------------------------------------ apply

    async def apply(
        self,
        view: View,
        plan: Plan,
        *,
        readers: Readers,
        writers: Writers,
        secrets: Mapping[str, Secret],
        log: Log,
        progress: Callable[[Moment], None],
    ) -> None:
        """Makes what is missing, host by host, each as a change of its own. What was made before a failure stays."""
        payload: _Payload = plan.payload
        azure, writer = azure_of(readers), writer_of(writers)
        applying = Applying(view, payload.identity, azure, writer, log, progress, self._pace)
        for step in payload.steps:
            look = _look(azure, step.write.does, step.write.resource, step.write.facts)
            await applying.carry_out(step.write, partial(step.send, writer), look)

    # ------------------------------------------------------------ resume

    async def resume(
        self,
        view: View,
        change: str,
        *,
        readers: Readers,
        log: Log,
        progress: Callable[[Moment], None],
        gone: bool,
    ) -> None:
        """Reads what the interrupted change was to make, and writes how it ended. Changes nothing."""
        azure = azure_of(readers)
        facts = view.snapshot.changes[change].started.data.facts
        look = _look(azure, facts.get("does", ""), facts.get("resource", ""), facts)
        await find_out(view, change, look, azure=azure, log=log, progress=progress, pace=self._pace)


# ---------------------------------------------------------------- what is wanted


def target_of(
    view: View, hosts: tuple[str, ...], address: str, *, network: str = "vnet", group: str = "resource_group"
) -> Target:
    """What the view's fields ask for. Raises Problem when one of them is missing, or the address is no IPv4 one."""
    own = needed(view, address)
    if ip_address(own).version != 4:
        raise Problem(
            "no-ipv4",
            f"{own} is an IPv6 address, for which an A record can't be made.",
            todo="Hand this step off: the DNS team makes AAAA records.",
            exit_code=EXIT_BAD,
        )
    vnet = needed(view, network)
    return Target(
        hosts=tuple(dict.fromkeys(needed(view, key).lower() for key in hosts)),
        network=vnet,
        subscription=needed(view, "subscription_id"),
        group=needed(view, group),
        own=own,
        wanted=tuple(sorted({own, *_addresses_in(view, hosts, address, network)})),
    )


def _addresses_in(view: View, hosts: tuple[str, ...], address: str, network: str) -> tuple[str, ...]:
    """The addresses of all endpoints of the item the hosts belong to, as far as they are in this view's VNet."""
    fields = view.guide.fields()
    item = view.only(fields[hosts[0]].owner)
    owners = [owner for owner in item.owners(fields[address]) if owner is not None]
    endpoints = [replace(view, items=(*item.items, owner)) for owner in owners]
    here = [one for one in endpoints if same_id(one.value(network), view.value(network))]
    return tuple(value for one in here if (value := one.value(address)))


# ---------------------------------------------------------------- what is there


async def survey(azure: AzureReader, target: Target) -> Survey:
    """For each host where its record is or belongs, from the zones of the endpoint's and the VNet's subscription.

    A zone of the host's name that is linked to the VNet comes first: a VNet can't link a second one. Then another of
    that name, if its record is free or right; then a parent zone that is linked; else a new zone.
    """
    async with together() as looks:
        own = looks.create_task(azure.zones(target.subscription))
        other = looks.create_task(_zones_beside(azure, target))
    (beside, notes), zones = other.result(), own.result()
    covering = [zone for zone in (*zones, *beside) if any(_covers(zone, host) for host in target.hosts)]
    async with together() as looks:
        linking = {zone.id: looks.create_task(azure.zone_links(zone.id)) for zone in covering}
    links = {zone: task.result() for zone, task in linking.items()}
    return Survey(tuple([await _place(azure, target, host, covering, links) for host in target.hosts]), notes)


async def _zones_beside(azure: AzureReader, target: Target) -> tuple[tuple[Zone, ...], tuple[str, ...]]:
    """The zones of the VNet's subscription when it is another one; it may be one that can't be read."""
    subscription = subscription_of(target.network)
    if subscription.lower() == target.subscription.lower():
        return (), ()
    try:
        return await azure.zones(subscription), ()
    except Problem as problem:
        return (), (f"zones of the VNet's subscription {subscription} could not be looked at: {problem.what}",)


def _covers(zone: Zone, host: str) -> bool:
    return host == zone.name.lower() or host.endswith(f".{zone.name.lower()}")


async def _place(
    azure: AzureReader,
    target: Target,
    host: str,
    zones: Sequence[Zone],
    links: Mapping[str, tuple[ZoneLink, ...]],
) -> Place:
    # The longest name first: of all linked zones, DNS asks that one alone.
    mine = sorted((zone for zone in zones if _covers(zone, host)), key=lambda zone: -len(zone.name))
    found: list[Place] = []
    for zone in mine:
        name = host[: -len(zone.name)].rstrip(".") or APEX
        link = next((one for one in links[zone.id] if same_id(one.network_id, target.network)), None)
        others = tuple(one.network_id for one in links[zone.id] if not same_id(one.network_id, target.network))
        if name == APEX or link is not None:
            record = await azure.a_record(zone.id, name)
            found.append(Place(host, zone, name, True, link, record, others))
    new = Zone(network_resource(target.subscription, target.group, "privateDnsZones", host), host)
    exact = [place for place in found if place.name == APEX]
    usable = [place for place in exact if place.record is None or target.right(place.record)]
    own = [place for place in exact if same_id(place.zone.id, new.id)]
    choices = (
        *(place for place in exact if place.link is not None),
        *sorted(usable, key=lambda place: not same_id(place.zone.id, new.id)),
        *(place for place in found if place.link is not None),
        *own,
    )
    elsewhere = tuple(network for place in exact for network in place.others)
    return next(iter(choices), Place(host, new, APEX, False, others=elsewhere))


async def _network(azure: AzureReader, network_id: str) -> Network | str:
    """The VNet, or why it could not be read: only its DNS servers matter here. Raises Problem when there is none."""
    try:
        network = await azure.network(network_id)
    except Problem as problem:
        return problem.what
    if network is None:
        raise Problem(
            "no-network",
            f"There is no VNet {network_id}.",
            means="A zone that is linked to none answers nobody.",
            todo="Copy the VNet's Resource ID again, from Properties in the Azure portal.",
            exit_code=EXIT_BAD,
        )
    return network


def _is_strange(view: View, target: Target, place: Place) -> bool:
    """Whether the record that stands in the way is somebody else's, or serves somebody else too.

    Ours are the addresses of the item's endpoints, and what this setup wrote last; but not in a zone that other VNets
    ask as well, where another address may be right.
    """
    record = place.record
    if record is None or target.right(record) or set(record.addresses) <= set(target.wanted):
        return False
    written = _last_written(view, place)
    return bool(place.others) or written is None or set(written.split()) != set(record.addresses)


def _last_written(view: View, place: Place) -> str | None:
    """The addresses that this setup wrote last into the record, in any step; None when it wrote none."""
    resource = _record_id(place.zone.id, place.name)
    for change in reversed(tuple(view.snapshot.changes.values())):
        facts = change.started.data.facts
        done = change.finished is not None and change.finished.data.outcome == DONE
        if done and facts.get("does") == _RECORD and same_id(facts.get("resource", ""), resource):
            return facts.get("addresses", "")
    return None


def _obstacle(target: Target, strangers: Sequence[Place]) -> Obstacle:
    return Obstacle(
        what=" ".join(_stranger(target, place) for place in strangers),
        label="Replace the record" if len(strangers) == 1 else "Replace the records",
        risk="Somebody else may rely on what it holds now.",
        word=("other_record", "replace"),
    )


def _stranger(target: Target, place: Place) -> str:
    assert place.record is not None  # noqa: S101 - only a record that is there is strange
    others = ", ".join(last_name(one) for one in place.others)
    shared = f" The zone is linked to {others} as well, where the answer would change too." if others else ""
    return (
        f"The record {place.name} in zone {place.zone.name} (resource group {group_of(place.zone.id)}) holds "
        f"{', '.join(place.record.addresses)}, TTL {place.record.ttl} s: not an address of this setup's endpoints, and "
        f"not written by it.{shared} Replacing it sends everybody who asks for {place.host} to "
        f"{', '.join(target.wanted)}."
    )


# ---------------------------------------------------------------- what is to be done


def _changes(target: Target, place: Place) -> tuple[Change, ...]:
    zone, network = place.zone, last_name(target.network)
    where = f"{zone.name} in {group_of(zone.id)}"
    addresses = ", ".join(target.wanted)
    changes = [Change(SAME if place.exists else CREATE, f"zone {where}")]
    record = f"record {place.name} in {zone.name}"
    if place.record is None:
        changes.append(Change(CREATE, f"{record}: {addresses}"))
    elif target.right(place.record):
        changes.append(Change(SAME, f"{record}: {', '.join(place.record.addresses)}"))
    else:
        changes.append(Change(CHANGE, f"{record}: {', '.join(place.record.addresses)} to {addresses}"))
    return (*changes, Change(SAME if place.link else CREATE, f"link {zone.name} to {network}"))


def _steps(target: Target, place: Place) -> tuple[_Step, ...]:
    """The writes that one host needs, in the order in which they are made.

    The link comes last: a zone that is linked and has no record yet makes the host resolve nowhere in that VNet, which
    takes a running DPE off its public way before it has the private one.
    """
    steps = []
    if not place.exists:
        steps.append(_zone_step(place.zone))
    if not target.right(place.record):
        steps.append(_record_step(target, place))
    if place.link is None:
        steps.append(_link_step(place.zone, target.network))
    return tuple(steps)


def _zone_step(zone: Zone) -> _Step:
    write = Write(
        does=_ZONE,
        resource=zone.id,
        name=f"zone {zone.name}",
        summary=f"create zone {zone.name} in {group_of(zone.id)}",
        commands=(_dns("zone", "create", zone, "--name", zone.name),),
        undo=_dns("zone", "delete", zone, "--name", zone.name, "--yes"),
    )
    return _Step(write, lambda writer: writer.create_zone(zone.id))


def _link_step(zone: Zone, network: str) -> _Step:
    name = _link_name(network)
    resource = f"{zone.id}/virtualNetworkLinks/{name}"
    where = ("--zone-name", zone.name, "--name", name)
    create = _dns("link vnet", "create", zone, *where, "--virtual-network", network, "--registration-enabled", "false")
    write = Write(
        does=_LINK,
        resource=resource,
        name=f"link {zone.name} to {last_name(network)}",
        summary=f"link zone {zone.name} to {last_name(network)}",
        commands=(create,),
        undo=_dns("link vnet", "delete", zone, *where, "--yes"),
        facts={"network": network},
    )
    return _Step(write, lambda writer: writer.create_link(resource, network))


def _record_step(target: Target, place: Place) -> _Step:
    zone, name, before = place.zone, place.name, place.record
    record = ARecord(zone.id, name, target.wanted, TTL)
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
        does=_RECORD,
        resource=_record_id(zone.id, name),
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
    return _Step(write, lambda writer: writer.set_a_record(record, replacing=before))


def _dns(command: str, verb: str, zone: Zone, *words: str) -> str:
    where = ("--subscription", subscription_of(zone.id), "--resource-group", group_of(zone.id))
    return az("network", "private-dns", *command.split(), verb, *where, *words)


def _link_name(network: str) -> str:
    """The link's name: the VNet's, and what tells it from a VNet of that name in another group. At most 80."""
    return f"{last_name(network)[:64]}-{hashlib.sha256(network.lower().encode()).hexdigest()[:8]}"


def _record_id(zone_id: str, name: str) -> str:
    return f"{zone_id}/A/{name}"


def _summary(target: Target, steps: Sequence[_Step]) -> str:
    hosts = f"{len(target.hosts)} host names" if len(target.hosts) > 1 else target.hosts[0]
    return f"let {hosts} resolve to {target.own}" if steps else f"{hosts} resolve to {target.own} in Azure"


# ---------------------------------------------------------------- looking how a write went


def _look(azure: AzureReader, does: str, resource: str, facts: Mapping[str, str]) -> Look:
    """How a write is looked at, from what the journal keeps of it."""
    if does == _ZONE:
        return partial(_look_at_zone, azure, resource)
    if does == _LINK:
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
    if link.provisioning == PROVISIONING_FAILED:
        return Seen("failed", FAILED, problem=_not_ours("link-failed", f"Azure could not make the link {link.name}."))
    text = f"it is {link.state or link.provisioning or 'there'}"
    return Seen(text, DONE if is_linked(link) else None)


def is_linked(link: ZoneLink) -> bool:
    """Whether a link works already; what Azure does not tell is taken as good."""
    return link.provisioning in ("", SUCCEEDED) and link.state in ("", "Completed")


async def _look_at_record(azure: AzureReader, facts: Mapping[str, str]) -> Seen:
    record = await azure.a_record(facts.get("zone", ""), facts.get("record", ""))
    found = " ".join(sorted(record.addresses)) if record else ""
    if record is not None and set(found.split()) == set(facts.get("addresses", "").split()):
        return Seen("it is there", DONE, facts={"addresses": found, "ttl": str(record.ttl)})
    if set(found.split()) == set(facts.get("before", "").split()):
        return Seen("it is as it was before" if found else "not there yet", there=False)
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


# ---------------------------------------------------------------- what matters before


def _network_notes(network: Network | str) -> tuple[str, ...]:
    if isinstance(network, str):
        return (f"whether the VNet has DNS servers of its own could not be looked at: {network}",)
    if not network.dns_servers:
        return ()
    return (
        f"{network.name} has its own DNS servers ({', '.join(network.dns_servers)}): the zones are asked only where "
        f"these forward to {AZURE_DNS}. The lookup from inside the cluster tells.",
    )


def _shared_notes(target: Target, places: Sequence[Place]) -> tuple[str, ...]:
    """Says where a new record is an answer for other VNets, too."""
    return tuple(
        f"zone {place.zone.name} is linked to {', '.join(last_name(one) for one in place.others)} as well: "
        f"{place.host} resolves to {', '.join(target.wanted)} there, too."
        for place in places
        if place.exists and place.others and place.record is None
    )


async def _notes(azure: AzureReader, target: Target, steps: Sequence[_Step]) -> tuple[str, ...]:
    subscription, group = target.subscription, target.group
    actions: dict[str, tuple[str, ...]] = {}
    for step in steps:
        for scope, action in _needs(step.write, target):
            actions[scope] = tuple(dict.fromkeys((*actions.get(scope, ()), f"{NAMESPACE}/{action}")))
    looks = {
        f"whether {NAMESPACE} is registered": provider_note(azure, subscription),
        "what is allowed": permission_note(azure, actions),
    }
    if any(step.write.does == _ZONE for step in steps):
        looks[f"resource group {group}"] = group_note(azure, subscription, group)
    return await notes_of(looks)


def _needs(write: Write, target: Target) -> tuple[tuple[str, str], ...]:
    """The ARM actions that a write needs, each with its scope."""
    group = group_id(subscription_of(write.resource), group_of(write.resource))
    if write.does == _ZONE:
        return (group, "privateDnsZones/read"), (group, "privateDnsZones/write")
    if write.does == _LINK:
        return (group, "privateDnsZones/virtualNetworkLinks/write"), (target.network, "virtualNetworks/join/action")
    return ((group, "privateDnsZones/A/write"),)
