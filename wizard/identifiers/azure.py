"""The fields that come from Azure: one parser for each kind, over the forms, names and GUIDs of this package."""

from __future__ import annotations

from wizard.identifiers import arm_id, names
from wizard.identifiers.alias import is_alias, parse_alias
from wizard.identifiers.forgive import forgiven_id, forgiven_name
from wizard.identifiers.guid import SAMPLE, check_guid, is_guid, resembles_guid
from wizard.identifiers.portal_url import take_id
from wizard.identifiers.result import Known, Parsed, accept, empty, incomplete, judged, part, quoted, wrong

_SUBSCRIPTION = "Copy the Subscription ID from the Azure portal, Subscriptions"


def parse_endpoint_id(text: str, known: Known) -> Parsed:
    """The Resource ID of a Private Endpoint."""
    return arm_id.parse_arm_id(take_id(text), arm_id.ENDPOINT, known)


def parse_vnet_id(text: str, known: Known) -> Parsed:
    """The Resource ID of a virtual network."""
    return arm_id.parse_arm_id(take_id(text), arm_id.NETWORK, known)


def parse_subnet_id(text: str, known: Known) -> Parsed:
    """The Resource ID of a subnet."""
    return arm_id.parse_arm_id(take_id(text), arm_id.SUBNET_ID, known)


def parse_link_service(text: str, known: Known) -> Parsed:
    """The alias or the Resource ID of a Private Link Service."""
    pasted = take_id(text)
    if pasted.from_portal or not pasted.text or pasted.text.startswith("/"):
        return arm_id.parse_arm_id(pasted, arm_id.SERVICE, known)
    if is_guid(pasted.text):
        return wrong(
            f"this is a GUID alone, without the rest of an alias. {arm_id.SERVICE.copy}",
            part("name", pasted.text, "bad"),
        )
    if "://" in pasted.text:
        return wrong(f"this is the address of a page. {arm_id.SERVICE.copy}", part("name", pasted.text, "bad"))
    return parse_alias(pasted.text)


def parse_subscription_id(text: str, known: Known) -> Parsed:
    """A subscription ID: a GUID, alone or as `/subscriptions/{guid}` or its page in the portal."""
    pasted = take_id(text)
    given = pasted.text
    if pasted.from_portal and not given:
        return wrong(f"this portal address names no subscription. {_SUBSCRIPTION}", part("subscription", "", "bad"))
    if given.lower().startswith("/subscriptions/"):
        segments = given[1:].rstrip("/").split("/")
        if len(segments) > 2 and not (len(segments) == 3 and segments[2].lower() in ("overview", "properties")):
            what = arm_id.describe_id(segments) or "a resource"
            hint = f"its subscription ID is {segments[1].lower()}" if is_guid(segments[1]) else _SUBSCRIPTION
            return wrong(f"this is the ID of {what}; {hint}", part("subscription", given, "bad"))
        given = segments[1] if len(segments) > 1 else ""
    return _guid("subscription", given, known)


def parse_tenant_id(text: str, known: Known) -> Parsed:
    """A tenant ID of Microsoft Entra: a GUID."""
    return _guid("tenant", forgiven_id(text), Known())


def _guid(what: str, given: str, known: Known) -> Parsed:
    copy = _SUBSCRIPTION if what == "subscription" else "Copy the Tenant ID from the Azure portal, Microsoft Entra ID"
    if not given:
        return empty(copy)
    bad = part(what, given, "bad")
    if is_alias(given):
        return wrong(f"this is the alias of a Private Link Service. {copy}", bad)
    odd = sum(char not in "0123456789abcdefABCDEF-" for char in given)
    if odd > 1 and not resembles_guid(given):
        if "." in given:
            return wrong(f"{quoted(given)} looks like a domain, not an ID. {copy}", bad)
        return wrong(f"{quoted(given)} looks like the {what}'s name, not its ID. {copy}", bad)
    verdict = check_guid(given, f"{what} ID")
    if verdict.state == "wrong":
        return wrong(verdict.message, bad)
    if verdict.state == "not complete":
        return incomplete(part(what, given, "missing"), next=verdict.message)
    guid = given.lower()
    registered = [other.lower() for other in known.subscription_ids]
    if registered and guid not in registered:
        return wrong(
            f"this is {what} {guid}; registered is {', '.join(registered[:3])}. Use that one, or register this", bad
        )
    # Its format is right, and rehearsals use it: so it is named, not refused.
    note = "this is the sample of the documentation: make sure that it is your own" if guid == SAMPLE else ""
    return accept(guid, part(what, guid, "ok"), note=note)


def parse_resource_group(text: str, known: Known) -> Parsed:
    """The name of a resource group, or its Resource ID, of which the name is taken."""
    given = _name_in_id(text, "resourcegroups", 4)
    if not given:
        return empty("enter the name of the resource group that the Private Endpoint goes into")
    if "/" in given:
        return wrong(
            "this is a Resource ID or a path. Enter the name of the resource group alone", part("name", given, "bad")
        )
    return judged(names.RESOURCE_GROUP.check(given), "name", given)


def parse_endpoint_name(text: str, known: Known) -> Parsed:
    """The name for a Private Endpoint."""
    given = forgiven_name(text)
    if not given:
        return empty("enter a name for the Private Endpoint, 2 to 64 characters")
    if "/" in given:
        return wrong(
            "this is a Resource ID or a path. Enter the name of the Private Endpoint alone", part("name", given, "bad")
        )
    return judged(names.PRIVATE_ENDPOINT.check(given), "name", given)


def _name_in_id(text: str, word: str, length: int) -> str:
    """The last name of an ID of exactly `length` segments whose last word is `word`; else the text as a name."""
    pasted = take_id(text)
    segments = pasted.text[1:].split("/")
    if pasted.text.startswith("/") and segments[length - 2 : length - 1]:
        rest = segments[length:]
        if segments[length - 2].lower() == word and len(segments) >= length and rest in ([], [""], ["overview"]):
            return segments[length - 1]
    return forgiven_name(text)
