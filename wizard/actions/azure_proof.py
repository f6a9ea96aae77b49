"""The looks that prove what is in Azure: the subscription, the endpoint with its private IP, the DNS records.

Whoever looks need not be who acted: an auditor looks with an identity of their own, and the evidence names it.
"""

from __future__ import annotations

import json
from typing import Any

from state.events import BAD, COULD_NOT_LOOK, GOOD, NOT_YET, Evidence
from state.problem import Problem
from wizard.actions.azure_facts import (
    NAMESPACE,
    az,
    azure_of,
    endpoint_id,
    group_of,
    last_name,
    needed,
    step_with,
)
from wizard.actions.endpoint_notes import others_in
from wizard.actions.endpoint_states import (
    dead,
    differences,
    in_words,
    is_as_wanted,
    is_dead,
    not_updated,
    pending_diagnosis,
    submit_again,
    update_failed,
    vendor_message,
)
from wizard.actions.private_dns import dns_servers_said
from wizard.actions.private_endpoint import asked_at
from wizard.actions.zone_survey import Keys, Place, Target, is_lost, survey, target_of
from wizard.actions.zone_writes import is_linked, link_said, lost_link
from wizard.azure import APPROVED, DELETING, ENABLED, SUCCEEDED, AzureIdentity, AzureReader, Endpoint, Network, who
from wizard.current import current_finding
from wizard.evidence import evidence
from wizard.guide import Finding
from wizard.ports import Readers
from wizard.text import one_line
from wizard.together import both, together
from wizard.view import View

Verdict = tuple[str, str, str]
"""Verdict, text and what to do next."""


def _seen(request: str, answer: Any, identity: AzureIdentity) -> Evidence:
    """Evidence of one GET. `answer` holds names and states only, no text that others wrote."""
    return evidence("Azure", f"GET {request}", json.dumps(answer, sort_keys=True), who(identity))


# ---------------------------------------------------------------- the subscription


async def check_subscription(view: View, readers: Readers) -> Finding:
    """The subscription can be read and is Enabled. That it is registered with the vendor shows at the endpoint only."""
    azure = azure_of(readers)
    wanted = needed(view, "subscription_id")
    identity, found = await both(azure.identity(), azure.subscriptions())
    mine = next((one for one in found if one.id.lower() == wanted.lower()), None)
    if mine is None:
        seen = _seen("/subscriptions", {"count": len(found), "found": None}, identity)
        text = f"subscription {wanted} is not among the {len(found)} that {identity.name or 'this identity'} can read"
        return Finding(COULD_NOT_LOOK, text, "Check the ID, or sign in as somebody who may read it.", (seen,))
    seen = _seen("/subscriptions", {"found": mine.id, "state": mine.state, "tenant": mine.tenant_id}, identity)
    text = f"subscription {mine.name} can be read and is {mine.state}"
    if mine.state != ENABLED:
        return Finding(BAD, text, "Ask its owner: in a subscription that is not Enabled nothing can be made.", (seen,))
    return Finding(GOOD, f"{text}{_let_in(view)}", "", (seen,))


def _let_in(view: View) -> str:
    """That an endpoint of this subscription was Approved is what really shows that it is registered."""
    for (step_id, items, check_id), record in view.snapshot.findings.items():
        step = view.guide.step(step_id)
        check = next((one for one in step.checks if one.id == check_id and one.proves), None) if step else None
        if check is None or record.data.verdict != GOOD or view.step.id not in (step.after if step else ()):
            continue
        if view.concerns(items) and current_finding(view.of(step_id, items), check) is not None:
            return f"; registered with the vendor, as {items[0].partition('/')[2]} shows"
    return ""


# ---------------------------------------------------------------- the endpoint


async def check_endpoint(view: View, readers: Readers, *, id_key: str = "endpoint_id") -> Finding:
    """The endpoint is provisioned, its connection Approved, and its private IP is the one in the field.

    `id_key`: the field whose step gives the endpoint's Resource ID to the vendor.
    """
    azure = azure_of(readers)
    resource = endpoint_id(view)
    identity, found = await both(azure.identity(), azure.endpoint(resource))
    seen = _seen(resource, _told(found), identity)
    verdict, text, todo = await _judge_endpoint(view, azure, found, submit_again(step_with(view, id_key)))
    made = found is not None and found.provisioning == SUCCEEDED and found.connection != APPROVED
    return Finding(verdict, text, todo, (seen,), "vendor" if made and verdict == NOT_YET else "")


def _told(found: Endpoint | None) -> dict[str, Any]:
    if found is None:
        return {"found": None}
    return {
        "id": found.id,
        "location": found.location,
        "provisioning": found.provisioning,
        "connection": found.connection,
        "service": found.service,
        "subnet": found.subnet_id,
        "nic": found.nic_id,
        "addresses": sorted(found.addresses),
    }


def message_of_last_look(view: View, check: str) -> str:
    """What to send to the vendor about the endpoint as the check of that id saw it last."""
    record = view.snapshot.findings.get((view.step.id, view.items, check))
    told = _told_in(record.data.evidence[0].answer) if record is not None and record.data.evidence else {}
    addresses = told.get("addresses")

    def text(key: str) -> str:
        return str(told.get(key) or "")

    return vendor_message(
        Endpoint(
            id=text("id") or endpoint_id(view),
            name=view.value("endpoint_name"),
            location=text("location"),
            subnet_id=text("subnet"),
            service=text("service") or view.value("link_service"),
            provisioning=text("provisioning"),
            connection=text("connection"),
            addresses=tuple(map(str, addresses)) if isinstance(addresses, list) else (),
        ),
        asked=asked_at(view),
        seen=record.ts if record is not None else "",
    )


def _told_in(answer: str) -> dict[str, Any]:
    """What a journalled look told; nothing where somebody else wrote that journal, or a secret was masked in it."""
    try:
        told = json.loads(answer)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


async def _judge_endpoint(view: View, azure: AzureReader, found: Endpoint | None, afterwards: str) -> Verdict:
    name, group = view.value("endpoint_name"), view.value("resource_group")
    if found is None:
        return NOT_YET, f"there is no Private Endpoint {name} in {group}", "Run this step."
    said = f"{found.name}: {in_words(found)}"
    service, subnet = needed(view, "link_service"), needed(view, "subnet")
    if not is_as_wanted(found, service, subnet):
        return BAD, f"{found.name} is another one: {differences(found, service, subnet)}", "Compare the fields."
    if found.provisioning == DELETING:
        return BAD, said, "It is being deleted. When it is gone, run this step again."
    if is_dead(found):
        problem = dead(found, afterwards)
        return BAD, f"{said}. {problem.means}", problem.todo
    if update_failed(found):
        problem = not_updated(found)
        return BAD, f"{said}: its last update did not succeed. {problem.means}", problem.todo
    if found.provisioning != SUCCEEDED:
        return NOT_YET, said, "Look again in a minute."
    if found.connection != APPROVED:
        return NOT_YET, said, await pending_diagnosis(azure, found)
    return _judge_address(found, view.value("private_ip"))


def _judge_address(found: Endpoint, entered: str) -> Verdict:
    approved = f"{found.name} is provisioned and its connection is Approved"
    if not found.addresses:
        todo = "Ask for the right Microsoft.Network/networkInterfaces/read, or enter the private IP from the portal."
        return COULD_NOT_LOOK, f"{approved}, but its network interface tells no address", todo
    addresses = ", ".join(found.addresses)
    if not entered:
        return NOT_YET, f"{approved}; its private IP is {addresses}", "Run this step, or enter the private IP."
    if entered not in found.addresses:
        return BAD, f"{approved}, but its private IP is {addresses}, not {entered}", "Correct the private IP."
    return GOOD, f"{approved}; its private IP is {entered}", ""


async def check_other_endpoints(view: View, readers: Readers) -> Finding:
    """No other endpoint leads to the service from the same VNet: neither a second one, nor one that is left over."""
    azure = azure_of(readers)
    resource, service, subnet = endpoint_id(view), needed(view, "link_service"), needed(view, "subnet")
    subscription = needed(view, "subscription_id")
    identity, listed = await both(azure.identity(), azure.endpoints(subscription))
    others = others_in(view, listed, resource, service, subnet)
    request = f"/subscriptions/{subscription}/providers/{NAMESPACE}/privateEndpoints"
    answer = {"count": len(listed), "others": sorted(f"{one.id} {one.provisioning} {one.connection}" for one in others)}
    seen = _seen(request, answer, identity)
    if not others:
        return Finding(GOOD, "no other endpoint leads to this service from the same VNet", "", (seen,))
    dead = [one for one in others if is_dead(one)]
    first = (dead or list(others))[0]
    more = f", and {len(others) - 1} more" if len(others) > 1 else ""
    where = f"{one_line(first.name)} in {group_of(first.id)}{more}"
    if dead:
        text = f"an endpoint to this service is left over: {where}, {in_words(first)}"
        todo = f"Where nobody needs it, delete it: {az('network', 'private-endpoint', 'delete', '--ids', first.id)}"
        return Finding(BAD, text, todo, (seen,))
    text = f"another endpoint leads to this service from the same VNet: {where}; DNS names one of them"
    return Finding(BAD, text, "Use that one here, or delete the one that no DNS record names.", (seen,))


async def check_endpoint_id(view: View, readers: Readers, *, key: str = "endpoint_id") -> Finding:
    """The Resource ID in the field is that of an endpoint which is there: the vendor lets in that very one."""
    azure = azure_of(readers)
    entered = needed(view, key)
    identity, found = await both(azure.identity(), azure.endpoint(entered))
    seen = _seen(entered, _told(found), identity)
    if found is None:
        text = f"there is no Private Endpoint {last_name(entered)} in {group_of(entered)} that can be read"
        return Finding(BAD, text, "Copy the Resource ID again, and give that one to the vendor.", (seen,))
    if is_dead(found):
        making = step_with(view, "endpoint_name") or "the step that makes it"
        problem = dead(found, submit_again(step_with(view, key)), step=making)
        return Finding(BAD, f"{found.name}: {in_words(found)}. {problem.means}", problem.todo, (seen,))
    return Finding(GOOD, f"Azure knows {found.name} by this Resource ID", "", (seen,))


# ---------------------------------------------------------------- the records


async def check_records(
    view: View,
    readers: Readers,
    *,
    hosts: tuple[str, ...],
    address: str,
    network: str = "vnet",
    home: str = "vnet",
    group: str = "resource_group",
) -> Finding:
    """Every host has an A record to the item's endpoints, in a private DNS zone that is linked to the VNet.

    It tells what Azure holds, not what the cluster is answered; keys as in `private_dns.PrivateDns`.
    """
    azure = azure_of(readers)
    target = target_of(view, Keys(hosts, address, network, home, group))
    async with together() as looks:
        identifying = looks.create_task(azure.identity())
        surveying = looks.create_task(survey(azure, target))
        asking = looks.create_task(_dns_servers(azure, target.network))
    identity, found, asked = identifying.result(), surveying.result(), asking.result()
    verdicts = [judge_place(target, place) for place in found.places]
    seen = tuple(one for place in found.places for one in _place_evidence(target, place, identity))
    if asked is not None:
        seen = (*seen, _seen(target.network, {"dns_servers": sorted(asked.dns_servers)}, identity))
    beside = () if asked is None else (dns_servers_said(asked),)
    worst = next((one for verdict in (BAD, NOT_YET) for one in verdicts if one[0] == verdict), None)
    if worst is None:
        return Finding(GOOD, "; ".join((*(text for _, text, _ in verdicts), *beside)), "", seen)
    # What could not be looked at may be where the zone is.
    said = (*(text for verdict, text, _ in verdicts if verdict != GOOD), *found.notes, *beside)
    return Finding(worst[0], "; ".join(said), worst[2], seen)


async def _dns_servers(azure: AzureReader, network_id: str) -> Network | None:
    """The VNet when it has DNS servers of its own; None also when that can't be read: it only advises."""
    try:
        network = await azure.network(network_id)
    except Problem:
        return None
    return network if network is not None and network.dns_servers else None


def judge_place(target: Target, place: Place) -> Verdict:
    """What one host's place says: no zone, no link, another VNet's link, a link that failed, no record, a wrong record,
    or all is there."""
    zone, network = place.zone.name, last_name(target.network)
    others = ", ".join(last_name(one) for one in place.others)
    if others and place.link is None:
        text = f"zone {zone} is linked to {others}, not to {network}"
        return BAD, text, "Run this step: its plan links the VNet, or makes a zone for it."
    if not place.exists:
        return NOT_YET, f"no private DNS zone linked to {network} holds {place.host}", "Run this step."
    if place.link is None:
        return BAD, f"zone {zone} is there, but linked to no VNet: nobody asks it", "Run this step: it adds the link."
    if is_lost(place.link):
        return BAD, f"the {link_said(place.link)}", lost_link(place.link).todo
    if place.record is None:
        text = f"zone {zone} is linked to {network}, but holds no record for {place.host}: it does not resolve there"
        return BAD, text, "Run this step: it adds the record."
    addresses = ", ".join(place.record.addresses) or "nothing"
    if not target.right(place.record):
        text = f"{place.host} is {addresses} in zone {zone}, not {', '.join(target.addresses(place.record))}"
        return BAD, text, "Run this step: its plan says what replacing means."
    if not is_linked(place.link):
        return NOT_YET, f"the {link_said(place.link)}", "Look again in a minute."
    text = f"{place.host} is {addresses} in zone {zone} ({group_of(place.zone.id)}), linked to {network}"
    return GOOD, text, ""


def _place_evidence(target: Target, place: Place, identity: AzureIdentity) -> tuple[Evidence, ...]:
    if not place.exists:
        request = f"/subscriptions/{target.subscription}/providers/{NAMESPACE}/privateDnsZones"
        return (_seen(request, {"host": place.host, "zone": None, "others": list(place.others)}, identity),)
    link = place.link
    linked = link and {
        "network": link.network_id,
        "state": link.state,
        "provisioning": link.provisioning,
        "name": link.name,
    }
    record = place.record
    held = None if record is None else {"addresses": sorted(record.addresses), "ttl": record.ttl}
    return (
        _seen(f"{place.zone.id}/virtualNetworkLinks", {"link": linked, "others": list(place.others)}, identity),
        _seen(f"{place.zone.id}/A/{place.name}", {"host": place.host, "record": held}, identity),
    )
