"""Step "DNS records" in Azure private DNS: for each host a zone, its link to the VNet, and an A record.

A zone that is linked to a VNet hides every other name under it, so a zone of the whole domain is never made: each host
gets a zone of its own name with the record at its apex. Zones that the customer runs already are used (AZURE.md, "Zone
choice").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from state.events import DONE, UNKNOWN
from state.problem import EXIT_BAD, Problem
from wizard.actions.azure_facts import (
    NAMESPACE,
    PACE,
    Applying,
    Pace,
    azure_of,
    digest,
    find_out,
    group_note,
    group_of,
    last_name,
    notes_of,
    permission_note,
    provider_note,
    require_same_identity,
    same_id,
    subscription_of,
    writer_of,
)
from wizard.actions.zone_survey import APEX, Claim, Keys, Place, Target, is_lost, survey, target_of
from wizard.actions.zone_writes import RECORD, ZONE, ZoneStep, look, lost_link, needs, record_id, steps
from wizard.azure import AzureIdentity, AzureReader, Network, who
from wizard.guide import CHANGE, CREATE, SAME, Change, Log, Moment, Obstacle, Plan
from wizard.identifiers.address import AZURE_DNS
from wizard.ports import Readers, Writers
from wizard.secret import Secret
from wizard.together import together
from wizard.view import View


@dataclass(frozen=True, slots=True)
class _Payload:
    """What applying this very plan needs."""

    identity: AzureIdentity
    steps: tuple[ZoneStep, ...]


class PrivateDns:
    """The action of a step that lets hosts resolve to an endpoint in a VNet.

    `hosts` are the fields with the host names, `address` the field of the private IP. `network` is the field of the
    VNet that asks, `home` that of the endpoint's (both Resource IDs), `group` of the resource group for new zones.
    """

    def __init__(
        self,
        hosts: tuple[str, ...],
        address: str,
        *,
        network: str = "vnet",
        home: str = "vnet",
        group: str = "resource_group",
        pace: Pace = PACE,
    ) -> None:
        self._keys = Keys(hosts, address, network, home, group)
        self._pace = pace

    # ------------------------------------------------------------ plan

    async def plan(self, view: View, readers: Readers) -> Plan:
        """Compares zones, links and records with what is wanted.

        Raises Problem when they can't be looked at, and `link-failed` or `link-deleting` for a link to the VNet that
        comes to nothing and stands in the way of another one.
        """
        azure = azure_of(readers)
        target, label = target_of(view, self._keys), view.guide.fields()[self._keys.network].label
        async with together() as looks:
            identifying = looks.create_task(azure.identity())
            surveying = looks.create_task(survey(azure, target))
            reading = looks.create_task(_network(azure, target.network, label))
        identity, found, network = identifying.result(), surveying.result(), reading.result()
        places = found.places
        require_same_identity(view, identity)
        if lost := next((place.link for place in places if place.link is not None and is_lost(place.link)), None):
            raise lost_link(lost)
        strangers = [place for place in places if _is_strange(view, target, place)]
        planned = [step for place in places for step in steps(target, place)]
        commands = tuple(command for step in planned for command in step.write.commands)
        return Plan(
            changes=tuple(change for place in places for change in _changes(target, place)),
            commands=commands,
            digest=digest(commands),
            summary=_summary(target, planned),
            notes=(
                *found.notes,
                *_network_notes(network, label),
                *_peering_notes(target),
                *_left_out_notes(target, places),
                *_shared_notes(target, places),
                *_parent_notes(target, places),
                *(await _notes(azure, target, planned) if planned else ()),
            ),
            undo="; ".join(step.write.undo for step in reversed(planned) if step.write.undo),
            obstacle=_obstacle(target, strangers, label) if strangers else None,
            timeout=self._pace.settle,
            identity=who(identity),
            payload=_Payload(identity, tuple(planned)),
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
            looking = look(azure, step.write.does, step.write.resource, step.write.facts)
            await applying.carry_out(step.write, step.send, looking)

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
        looking = look(azure, facts.get("does", ""), facts.get("resource", ""), facts)
        await find_out(view, change, looking, azure=azure, log=log, progress=progress, pace=self._pace)


# ---------------------------------------------------------------- what stands in the way


async def _network(azure: AzureReader, network_id: str, label: str) -> Network | str:
    """The VNet, or why it could not be read: only its DNS servers matter here. Raises Problem when there is none.

    `label` is that of the field it stands in.
    """
    try:
        network = await azure.network(network_id)
    except Problem as problem:
        return problem.what
    if network is None:
        raise Problem(
            "no-network",
            f"There is no VNet {network_id}.",
            means="A zone that is linked to none answers nobody.",
            todo=f"Copy its Resource ID again, from Properties in the Azure portal, into the field {label}.",
            exit_code=EXIT_BAD,
        )
    return network


def _is_strange(view: View, target: Target, place: Place) -> bool:
    """Whether the record that stands in the way is somebody else's, or serves somebody else too.

    Ours are the addresses of the item's endpoints, and what this setup wrote last; but not in a zone that other VNets
    ask as well, where another address may be right, and not an address that another item of the setup wants: two
    items that take a record from each other would go on for ever.
    """
    record = place.record
    if record is None or target.right(record) or set(record.addresses) <= set(target.wanted):
        return False
    if place.others or target.claimed(record, place.host):
        return True
    written = _last_written(view, place)
    return written is None or set(written.split()) != set(record.addresses)


def _last_written(view: View, place: Place) -> str | None:
    """The addresses that this setup asked for last in the record, in any step; None when it asked for none."""
    resource = record_id(place.zone.id, place.name)
    for change in reversed(tuple(view.snapshot.changes.values())):
        facts = change.started.data.facts
        # What nobody waited for may have been written: where the record holds just that, it was.
        asked = change.finished is not None and change.finished.data.outcome in (DONE, UNKNOWN)
        if asked and facts.get("does") == RECORD and same_id(facts.get("resource", ""), resource):
            return facts.get("addresses", "")
    return None


def _obstacle(target: Target, strangers: Sequence[Place], label: str) -> Obstacle:
    return Obstacle(
        what=" ".join(_stranger(target, place, label) for place in strangers),
        label="Replace the record" if len(strangers) == 1 else "Replace the records",
        risk="Somebody else may rely on what it holds now.",
        word=("other_record", "replace"),
    )


def _stranger(target: Target, place: Place, label: str) -> str:
    assert place.record is not None  # noqa: S101 - only a record that is there is strange
    others = ", ".join(last_name(one) for one in place.others)
    shared = f" The zone is linked to {others} as well, where the answer would change too." if others else ""
    claims = target.claimed(place.record, place.host)
    whose = _claimed(claims, label) if claims else "not an address of this setup's endpoints, and not written by it."
    return (
        f"The record {place.name} in zone {place.zone.name} (resource group {group_of(place.zone.id)}) holds "
        f"{', '.join(place.record.addresses)}, TTL {place.record.ttl} s: {whose}{shared} Replacing it sends everybody "
        f"who asks for {place.host} to {', '.join(target.addresses(place.record))}."
    )


def _claimed(claims: Sequence[Claim], label: str) -> str:
    """Who of this setup needs the addresses of a record, and how both can be served instead."""
    said = "; ".join(f"{one.who} needs {one.address} in {last_name(one.network)}" for one in claims)
    if any(one.sibling for one in claims):
        return f"{said}. If both are asked in one VNet, enter that as {label}: then they share one record."
    return f"{said}. A host has one answer in a VNet: link both with the same endpoints, then they share one record."


# ---------------------------------------------------------------- what is to be done


def _changes(target: Target, place: Place) -> tuple[Change, ...]:
    zone, network, subscription = place.zone, last_name(target.network), subscription_of(place.zone.id)
    elsewhere = "" if subscription.lower() == target.subscription.lower() else f" of subscription {subscription}"
    where = f"{zone.name} in {group_of(zone.id)}{elsewhere}"
    addresses = ", ".join(target.addresses(place.record))
    changes = [Change(SAME if place.exists else CREATE, f"zone {where}")]
    record = f"record {place.name} in {zone.name}"
    if place.record is None:
        changes.append(Change(CREATE, f"{record}: {addresses}"))
    elif target.right(place.record):
        changes.append(Change(SAME, f"{record}: {', '.join(place.record.addresses)}"))
    else:
        changes.append(Change(CHANGE, f"{record}: {', '.join(place.record.addresses)} to {addresses}"))
    return (*changes, Change(SAME if place.link else CREATE, f"link {zone.name} to {network}"))


def _summary(target: Target, planned: Sequence[ZoneStep]) -> str:
    hosts = f"{len(target.hosts)} host names" if len(target.hosts) > 1 else target.hosts[0]
    return f"let {hosts} resolve to {target.own}" if planned else f"{hosts} resolve to {target.own} in Azure"


# ---------------------------------------------------------------- what matters before


def _network_notes(network: Network | str, label: str) -> tuple[str, ...]:
    if isinstance(network, str):
        return (f"whether the VNet has DNS servers of its own could not be looked at: {network}",)
    said = dns_servers_said(network)
    if not said:
        return ()
    return (
        f"{said}, and then it is the zones linked to the VNet of these servers that are asked. Where that is another "
        f"VNet, enter it as {label}. The lookup from inside the cluster tells.",
    )


def dns_servers_said(network: Network) -> str:
    """What a VNet's own DNS servers mean for linked zones; empty when it has none."""
    if not network.dns_servers:
        return ""
    return (
        f"{network.name} has its own DNS servers ({', '.join(network.dns_servers)}): the zones are asked only where "
        f"these forward to {AZURE_DNS}"
    )


def _peering_notes(target: Target) -> tuple[str, ...]:
    """A name resolves wherever its zone is linked; the address is reached only where the networks are connected."""
    if not target.homes:
        return ()
    network, homes = last_name(target.network), ", ".join(map(last_name, target.homes))
    whose = "the endpoint is" if len(target.homes) == 1 else "the endpoints are"
    return (
        f"{whose} in {homes}, and the hosts are asked for in {network}: these must be peered, or connected by a hub, "
        "or what asks gets an address that it does not reach. The wizard can't see that.",
    )


def _left_out_notes(target: Target, places: Sequence[Place]) -> tuple[str, ...]:
    """Says which of the item's endpoints nobody is sent to yet, where a record is written."""
    written = [place.record for place in places if not target.right(place.record)]
    left_out = dict.fromkeys(one for record in written for one in target.left_out(record))
    return tuple(
        f"{one.address} of {one.who} is left out: {one.why}, and what is sent to an endpoint that does not answer goes "
        f"nowhere. When that is done, run this step for {one.who}: it adds the address."
        for one in left_out
    )


def _shared_notes(target: Target, places: Sequence[Place]) -> tuple[str, ...]:
    """Says where a record that is written is an answer for other VNets, too."""
    return tuple(
        f"zone {place.zone.name} is linked to {', '.join(last_name(one) for one in place.others)} as well: "
        f"{place.host} resolves to {', '.join(target.addresses(place.record))} there, too."
        for place in places
        if place.exists and place.others and _becomes_ours(target, place)
    )


def _becomes_ours(target: Target, place: Place) -> bool:
    """Whether the record is made, or more of the item's addresses come into it; a record of others is an obstacle."""
    if place.record is None:
        return True
    return not target.right(place.record) and set(place.record.addresses) <= set(target.wanted)


def _parent_notes(target: Target, places: Sequence[Place]) -> tuple[str, ...]:
    """A parent zone that is linked is the one that DNS asks, so the record goes there: no other place would do."""
    parents = {place.zone.name: place for place in places if place.name != APEX}
    return tuple(
        f"zone {name} is linked to {last_name(target.network)} and hides every name under it that it does not hold, so "
        "the records go into it. Other names under it, such as the vendor's portal, do not resolve there either."
        for name in parents
    )


async def _notes(azure: AzureReader, target: Target, planned: Sequence[ZoneStep]) -> tuple[str, ...]:
    actions: dict[str, tuple[str, ...]] = {}
    for step in planned:
        for scope, action in needs(step.write, target):
            actions[scope] = tuple(dict.fromkeys((*actions.get(scope, ()), f"{NAMESPACE}/{action}")))
    looks = {"what is allowed": permission_note(azure, actions)}
    for resource in dict.fromkeys(step.write.resource for step in planned if step.write.does == ZONE):
        subscription, group = subscription_of(resource), group_of(resource)
        registered, there = f"whether {NAMESPACE} is registered in {subscription}", f"resource group {group}"
        if registered not in looks:
            looks[registered] = provider_note(azure, subscription)
        if there not in looks:
            looks[there] = group_note(azure, subscription, group)
    return await notes_of(looks)
