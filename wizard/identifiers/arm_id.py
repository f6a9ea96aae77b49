"""Resource IDs of Azure Resource Manager, read segment by segment.

`/subscriptions/{guid}/resourceGroups/{name}/providers/{namespace}/{type}/{name}[/{type}/{name}]`. They compare
case-insensitively, so the words of the form get their usual case; names keep the one they came in.
"""

from __future__ import annotations

from typing import NamedTuple

from wizard.identifiers.alias import is_alias
from wizard.identifiers.guid import SAMPLE, check_guid, is_guid
from wizard.identifiers.names import (
    LINK_SERVICE,
    PRIVATE_ENDPOINT,
    RESOURCE_GROUP,
    SUBNET,
    VIRTUAL_NETWORK,
    NameRule,
)
from wizard.identifiers.portal_url import Pasted
from wizard.identifiers.result import Known, Parsed, Part, Verdict, accept, empty, incomplete, part, quoted, wrong


def name_after(resource_id: str, segment: str) -> str:
    """The name that follows `segment` in a Resource ID as it is written there; empty when it is not in it."""
    parts = resource_id.split("/")
    lowered = [one.lower() for one in parts]
    return parts[lowered.index(segment.lower()) + 1] if segment.lower() in lowered[:-1] else ""


# Types in words, for "this is the ID of …". Keys in lower case.
_WORDS = {
    "microsoft.network/privateendpoints": "a Private Endpoint",
    "microsoft.network/privatelinkservices": "a Private Link Service",
    "microsoft.network/privatelinkservices/privateendpointconnections": "a connection on a Private Link Service",
    "microsoft.network/networkinterfaces": "a network interface (NIC)",
    "microsoft.network/virtualnetworks": "a virtual network",
    "microsoft.network/virtualnetworks/subnets": "a subnet",
    "microsoft.network/virtualnetworks/virtualnetworkpeerings": "a peering of a virtual network",
    "microsoft.network/privatednszones": "a private DNS zone",
    "microsoft.network/privatednszones/virtualnetworklinks": "a virtual network link of a private DNS zone",
    "microsoft.network/privatednszones/a": "an A record of a private DNS zone",
    "microsoft.network/privateendpoints/privatednszonegroups": "a DNS zone group of a Private Endpoint",
    "microsoft.network/dnszones": "a public DNS zone",
    "microsoft.network/networksecuritygroups": "a network security group",
    "microsoft.network/publicipaddresses": "a public IP address",
    "microsoft.network/loadbalancers": "a load balancer",
    "microsoft.network/routetables": "a route table",
    "microsoft.network/natgateways": "a NAT gateway",
    "microsoft.network/virtualnetworkgateways": "a VPN or ExpressRoute gateway",
    "microsoft.network/azurefirewalls": "an Azure Firewall",
    "microsoft.network/applicationgateways": "an application gateway",
    "microsoft.network/applicationsecuritygroups": "an application security group",
    "microsoft.network/bastionhosts": "a Bastion host",
    "microsoft.compute/virtualmachines": "a virtual machine",
    "microsoft.compute/virtualmachinescalesets": "a virtual machine scale set",
    "microsoft.compute/disks": "a disk",
    "microsoft.containerservice/managedclusters": "an AKS cluster",
    "microsoft.containerregistry/registries": "a container registry",
    "microsoft.keyvault/vaults": "a key vault",
    "microsoft.storage/storageaccounts": "a storage account",
    "microsoft.sql/servers": "an SQL server",
    "microsoft.managedidentity/userassignedidentities": "a managed identity",
    "microsoft.resources/deployments": "a deployment",
}

# What the Azure portal appends to a resource's ID for its pages. From a portal address anything is such a page; in
# a bare ID only these are, since anything else may be the beginning of a longer ID.
_PAGES = frozenset(
    {
        "overview", "properties", "activitylog", "eventlogs", "accesscontrol", "users", "iam", "tags", "diagnose",
        "troubleshoot", "locks", "resourcelocks", "exporttemplate", "templates", "automation", "networkinterface",
        "networkinterfaces", "dnsconfiguration", "applicationsecuritygroups", "privateendpointconnections", "settings",
        "configuration", "monitoring", "metrics", "alerts", "insights", "logs", "jsonview", "connecteddevices",
        "addressspace", "dnsservers", "peerings", "resourceoverview", "resources",
    }
)  # fmt: skip


class Slot(NamedTuple):
    """One segment of the form: a fixed word, or the value of `part` under a rule (None: the subscription's GUID)."""

    part: str
    word: str = ""
    rule: NameRule | None = None


class Form(NamedTuple):
    """One type of resource: how its ID is built and how to speak about it."""

    what: str
    type: str
    slots: tuple[Slot, ...]
    copy: str


def _form(what: str, types: tuple[tuple[str, str, NameRule], ...], copy: str) -> Form:
    slots = [
        Slot("subscription", "subscriptions"),
        Slot("subscription"),
        Slot("resource group", "resourceGroups"),
        Slot("resource group", rule=RESOURCE_GROUP),
        Slot("type", "providers"),
        Slot("type", "Microsoft.Network"),
    ]
    for place, (word, name, rule) in enumerate(types):
        slots += [Slot(name if place else "type", word), Slot(name, rule=rule)]
    return Form(what, "Microsoft.Network/" + "/".join(word for word, _, _ in types), tuple(slots), copy)


_NETWORK = ("virtualNetworks", "virtual network", VIRTUAL_NETWORK)

ENDPOINT = _form(
    "a Private Endpoint",
    (("privateEndpoints", "name", PRIVATE_ENDPOINT),),
    "Copy the Resource ID of the Private Endpoint: its page in the Azure portal, Properties",
)
SERVICE = _form(
    "a Private Link Service",
    (("privateLinkServices", "name", LINK_SERVICE),),
    "Copy the alias of the Private Link Service from the vendor's portal",
)
NETWORK = _form(
    "a virtual network",
    (_NETWORK,),
    "Copy the Resource ID of the virtual network: its page in the Azure portal, Properties",
)
SUBNET_ID = _form(
    "a subnet",
    (_NETWORK, ("subnets", "subnet", SUBNET)),
    "Copy the Resource ID of the subnet: the virtual network's page in the Azure portal, Subnets",
)


def describe_id(segments: list[str]) -> str:
    """What the ID with these segments (after the first slash) belongs to, in words; "" when it cannot be told."""
    lowered = [segment.lower() for segment in segments]
    if "providers" in lowered[:-2]:
        # A last segment of that name is no provider: nothing follows it.
        place = len(lowered) - 3 - lowered[-3::-1].index("providers")
        namespace, types = segments[place + 1], segments[place + 2 :: 2]
        if types and types[-1] == "":
            types = types[:-1]
        full = "/".join((namespace, *types))
        for depth in range(len(types), 0, -1):
            words = _WORDS.get("/".join((namespace, *types[:depth])).lower())
            if words:
                return words
        return f"a resource of type {quoted(full)}" if types else ""
    if lowered[2:3] == ["resourcegroups"] and len(lowered) == 4:
        return "a resource group"
    return "a subscription" if len(lowered) == 2 else ""


def parse_arm_id(pasted: Pasted, form: Form, known: Known) -> Parsed:
    """The ID of a resource of the given form. `known.subscription_ids` limits the subscription of endpoints."""
    text = pasted.text
    if not text:
        return _no_resource(form) if pasted.from_portal else empty(form.copy)
    if not text.startswith("/"):
        return _no_id(text, form)
    segments = text[1:].split("/")
    if "subscriptions" in (segment.lower() for segment in segments[1:]):
        bad = part("subscription", text, "bad")
        return wrong(f"these are two Resource IDs, one after the other. {form.copy}", *_all_parts(form, (bad,)))
    segments = _without_page(segments, form, pasted.from_portal)
    result = _walk(segments, form)
    if result.ok and form is ENDPOINT:
        return _among_registered(result, known)
    return result


def _no_resource(form: Form) -> Parsed:
    bad = part("subscription", "", "bad")
    return wrong(f"this portal address names no resource. {form.copy}", *_all_parts(form, (bad,)))


def _no_id(text: str, form: Form) -> Parsed:
    """Text that does not begin as an ID does."""
    bad = _all_parts(form, (part("subscription", text, "bad"),))
    if is_alias(text):
        return wrong(f"this is the alias of a Private Link Service. {form.copy}", *bad)
    if is_guid(text):
        return wrong(f"this is a GUID such as a subscription's, not a whole Resource ID. {form.copy}", *bad)
    if "://" in text:
        return wrong(f"this is the address of a page that names no resource. {form.copy}", *bad)
    if "/" not in text and form.slots[-1].rule and form.slots[-1].rule.check(text).state == "ok":
        return wrong(f"this looks like a name; the whole Resource ID begins with /subscriptions/. {form.copy}", *bad)
    return wrong(f"a Resource ID begins with /subscriptions/. {form.copy}", *bad)


def _without_page(segments: list[str], form: Form, from_portal: bool) -> list[str]:
    """`segments` without a trailing slash or a portal page after the whole ID."""
    whole = len(form.slots)
    if len(segments) == whole + 1:
        page = segments[-1].lower()
        if page == "" or page in _PAGES or from_portal:
            return segments[:whole]
    if from_portal and len(segments) in (3, 5, 9, 11) and segments[-1].lower() in _PAGES:
        return segments[:-1]
    return segments


def _walk(segments: list[str], form: Form) -> Parsed:
    """Compare segment by segment with the form; the first difference decides."""
    parts: tuple[Part, ...] = ()
    spelled: list[str] = []
    for place, slot in enumerate(form.slots):
        if place == len(segments):
            return _add_tail(form, parts, place)
        text = segments[place]
        last = place == len(segments) - 1
        if slot.word:
            if text.lower() != slot.word.lower():
                if last and slot.word.lower().startswith(text.lower()):
                    rest = slot.word[len(text) :]
                    return _add_tail(form, parts, place + 1, rest=rest)
                return _mismatch(segments, place, form, parts)
            spelled.append(slot.word)
            if slot.part == "type" and place > 5:
                parts += (part("type", f"Microsoft.Network/{slot.word}", "ok"),)
            continue
        verdict = _check(slot, text, open_end=last)
        if verdict.state == "not complete":
            value = (part(slot.part, text, "missing"),) if text else ()
            return incomplete(*_all_parts(form, parts + value), next=verdict.message)
        if verdict.state == "wrong":
            return wrong(verdict.message, *_all_parts(form, (*parts, part(slot.part, text, "bad"))))
        spelled.append(text.lower() if slot.rule is None else text)
        parts += (part(slot.part, spelled[-1], "ok"),)
    if len(segments) > len(form.slots):
        return _mismatch(segments, len(form.slots), form, parts)
    note = f"{form.what} in resource group {spelled[3]}"
    if spelled[1] == SAMPLE:
        note += "; its subscription is the sample of the documentation"
    return accept("/" + "/".join(spelled), *parts, note=note)


def _check(slot: Slot, text: str, *, open_end: bool) -> Verdict:
    if slot.rule is not None:
        return slot.rule.check(text, open_end=open_end)
    verdict = check_guid(text, "subscription ID")
    if verdict.state == "not complete" and not open_end:
        return Verdict("wrong", f"the subscription ID has {len(text)} of 36 characters. Copy the whole ID again")
    return verdict


def _add_tail(form: Form, parts: tuple[Part, ...], place: int, rest: str | None = None) -> Parsed:
    """Right up to slot `place`: the fixed words from there are what comes next.

    They are certain unless the text ends in a name, which may be longer than typed so far. `rest` is the rest of the
    word that was begun before.
    """
    begun = rest is not None
    words = []
    while place < len(form.slots) and form.slots[place].word:
        words.append(form.slots[place].word)
        place += 1
    tail = (rest or "") + "".join("/" + word for word in words) + "/"
    after_name = not begun and bool(parts) and parts[-1].name not in ("subscription", "type")
    return incomplete(*_all_parts(form, parts), next=f"add {tail}…", completion="" if after_name else tail)


def _mismatch(segments: list[str], place: int, form: Form, parts: tuple[Part, ...]) -> Parsed:
    """Segment `place` is not what the form has there: most often the ID of another type of resource."""
    slot = form.slots[place] if place < len(form.slots) else None
    found = segments[place]
    what = describe_id(segments)
    if slot is None or slot.part != "type":
        bad = part(slot.part if slot else "name", found, "bad")
        if slot is None:
            parts = parts[:-1]
            bad = part(form.slots[-1].part, "/".join(segments[place - 1 :]), "bad")
    else:
        bad = part("type", "/".join(segments[5:7]) or found, "bad")
    shown = _all_parts(form, (*parts, bad))
    if what and what != form.what:
        return wrong(f"this is the ID of {what}. {form.copy}", *shown)
    if slot is None:
        return wrong(f"leave out {quoted('/' + '/'.join(segments[place:]))} after the name", *shown)
    if not found:
        return wrong("there are two slashes in a row. Copy the whole Resource ID again", *shown)
    return wrong(f"here comes {slot.word}, not {quoted(found)}. {form.copy}", *shown)


def _all_parts(form: Form, parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """`parts`, and the missing ones of the form."""
    names = list(dict.fromkeys(slot.part for slot in form.slots))
    return parts + tuple(part(name, "", "missing") for name in names[len(parts) :])


def _among_registered(result: Parsed, known: Known) -> Parsed:
    """An endpoint in a subscription that was not registered would stay Pending: name both."""
    registered = [guid.lower() for guid in known.subscription_ids]
    subscription = result.parts[0].value
    if not registered or subscription in registered:
        return result
    return wrong(
        f"this endpoint is in subscription {subscription}; registered is {', '.join(registered[:3])}. "
        "Copy the endpoint of that subscription, or register this one",
        part("subscription", subscription, "bad"),
        *result.parts[1:],
    )
