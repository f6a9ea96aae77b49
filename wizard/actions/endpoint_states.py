"""Where a Private Endpoint stands, in words: whether it is the wanted one, what it waits for, and what to do next.

The step that makes it and the looks that prove it say the same.
"""

from __future__ import annotations

from datetime import datetime

from state.clock import now
from state.problem import EXIT_BAD, EXIT_NOT_YET, Problem
from wizard.actions.azure_facts import az, group_of, last_name, same_id, subscription_of
from wizard.azure import (
    APPROVED,
    CAME_TO_NOTHING,
    DELETING,
    DISCONNECTED,
    PENDING,
    REJECTED,
    AzureReader,
    Endpoint,
)
from wizard.identifiers.alias import is_alias
from wizard.identifiers.guid import is_guid
from wizard.text import one_line

MESSAGE_LIMIT = 140
"""Characters of the message that goes to the service's owner with the request."""

_DEAD = (REJECTED, DISCONNECTED)


# ---------------------------------------------------------------- the wanted one or another


def same_service(one: str, other: str) -> bool:
    """Whether two services are the same, each as alias or Resource ID.

    An alias begins with the service's name, so an alias and a Resource ID are compared by that: Azure tells no more.
    """
    if one.lower() == other.lower():
        return True
    if is_alias(one) == is_alias(other):
        return same_id(one, other)
    return _service_name(one) == _service_name(other)


def _service_name(service: str) -> str:
    if not is_alias(service):
        return last_name(service).lower()
    bits = service.lower().split(".")
    place = next((number for number, bit in enumerate(bits) if is_guid(bit)), len(bits))
    return ".".join(bits[:place])


def is_as_wanted(found: Endpoint, service: str, subnet_id: str) -> bool:
    """Whether an endpoint connects to this service, from this subnet."""
    return same_service(found.service, service) and same_id(found.subnet_id, subnet_id)


def differences(found: Endpoint, service: str, subnet_id: str) -> str:
    """In what an endpoint is another one than the one that is wanted, in words."""
    said = []
    if not same_service(found.service, service):
        said.append(f"it connects to {found.service or 'nothing any more'} and not to {service}")
    if not same_id(found.subnet_id, subnet_id):
        said.append(f"it is in the subnet {found.subnet_id} and not in {subnet_id}")
    return ", and ".join(said)


def in_words(found: Endpoint) -> str:
    """Where an endpoint stands, with what the other side says of it."""
    said = f" ({one_line(found.message)})" if found.message else ""
    return f"provisioning {found.provisioning}, connection {found.connection or 'unknown'}{said}"


def private_ip_of(found: Endpoint) -> str:
    """The endpoint's private IP, an IPv4 one where it has several: that is what an A record holds. Empty: not known."""
    return min(found.addresses, key=lambda address: ":" in address, default="")


def is_dead(found: Endpoint) -> bool:
    """Whether it never becomes Approved any more: it has to be deleted and made anew (AZURE.md)."""
    return found.connection in _DEAD or (found.provisioning in CAME_TO_NOTHING and found.connection != APPROVED)


def update_failed(found: Endpoint) -> bool:
    """Whether its last update came to nothing while it is connected: then it may work all the same, as before."""
    return found.provisioning in CAME_TO_NOTHING and found.connection == APPROVED


# ---------------------------------------------------------------- bad ends


def bad_end(found: Endpoint, service: str, subnet_id: str, afterwards: str = "") -> Problem | None:
    """Why this endpoint does not become what was asked for; None when it is, or may yet. `afterwards` as in `dead`."""
    if found.provisioning == DELETING:
        return being_deleted(found)
    if not is_as_wanted(found, service, subnet_id):
        return taken(found, service, subnet_id)
    if update_failed(found):
        return not_updated(found)
    return dead(found, afterwards) if is_dead(found) else None


def taken(found: Endpoint, service: str, subnet_id: str) -> Problem:
    """The name is another endpoint's."""
    return Problem(
        "endpoint-taken",
        f"There is a Private Endpoint {found.name} in {group_of(found.id)} already: "
        f"{differences(found, service, subnet_id)}.",
        means="It is somebody else's, or was made with other values. It is never overwritten.",
        todo="Enter another endpoint name, or the values of the endpoint that is there.",
        exit_code=EXIT_BAD,
    )


def being_deleted(found: Endpoint) -> Problem:
    """The endpoint is on its way out."""
    return Problem(
        "endpoint-deleting",
        f"The Private Endpoint {found.name} is being deleted.",
        means="Until it is gone, none of that name can be made.",
        todo="Wait a minute, then run this step again.",
        exit_code=EXIT_NOT_YET,
    )


def dead(found: Endpoint, afterwards: str = "", *, step: str = "this step") -> Problem:
    """The endpoint does not come to life any more. `step` makes it anew, `afterwards` says what follows then."""
    subscription = subscription_of(found.id)
    if found.connection == REJECTED:
        code, what = "endpoint-rejected", f"The vendor rejected the connection of {found.name}."
        todo = f"Ask the vendor why, and whether subscription {subscription} is registered."
    elif found.connection == DISCONNECTED:
        code, what = "endpoint-disconnected", f"The connection of {found.name} was cut: it is Disconnected."
        todo = "Ask the vendor whether they removed the connection, or the link service itself."
    else:
        code, what = "endpoint-failed", f"Azure could not provision {found.name}: {in_words(found)}."
        todo = "The endpoint's page in the Azure portal, Activity log, says why."
    again = f"Then run {step} again: its plan deletes the endpoint and makes it anew."
    return Problem(
        code,
        what,
        means="No data goes through it, and it does not recover by itself.",
        todo=" ".join(filter(None, (todo, again, afterwards))),
        detail=found.message,
        exit_code=EXIT_BAD,
    )


def not_updated(found: Endpoint) -> Problem:
    """The endpoint's last update came to nothing, and it is connected (`update_failed`). It is not offered for
    deletion: whoever uses it would lose it."""
    repeat = az("network", "private-endpoint", "update", "--ids", found.id)
    return Problem(
        "endpoint-update-failed",
        f"The last update of {found.name} did not succeed: {in_words(found)}.",
        means="It is still connected, and may still serve whoever uses it.",
        todo="The endpoint's page in the Azure portal, Activity log, says why. Mend that, then repeat the update: "
        f"{repeat}",
        detail=found.message,
        exit_code=EXIT_BAD,
    )


def submit_again(step: str) -> str:
    """What follows once an endpoint is made anew. `step` is the one that gives its ID to the vendor, in words."""
    said = f"After that, give the vendor its Resource ID again in {step}: to them it is a new connection."
    return said if step else ""


# ---------------------------------------------------------------- waiting for the vendor


def request_message(resource: str) -> str:
    """The message by which the service's owner recognises the request."""
    return f"{last_name(resource)} in subscription {subscription_of(resource)}"[:MESSAGE_LIMIT]


async def pending(azure: AzureReader, found: Endpoint, *, asked: str = "") -> Problem:
    """The endpoint is made, and the vendor has not approved it yet. `asked`: when it was asked for (RFC 3339 UTC)."""
    return Problem(
        "endpoint-pending",
        f"{found.name} is made, but its connection is still {found.connection or 'unknown'}.",
        means=await pending_diagnosis(azure, found),
        todo="Send the vendor the message below, and look again when they have answered. Nothing has to be made anew.",
        detail=vendor_message(found, asked=asked),
        exit_code=EXIT_NOT_YET,
    )


async def pending_diagnosis(azure: AzureReader, found: Endpoint) -> str:
    """Why an endpoint may not be Approved yet, in one sentence or two."""
    subscription = subscription_of(found.id)
    if found.connection not in (PENDING, ""):
        return f"Azure calls its connection {one_line(found.connection)}: the vendor can tell what that waits for."
    try:
        approves = await approves_itself(azure, subscription, found.location, found.service)
    except Problem:
        return f"It is in subscription {subscription}: compare that with the one registered with the vendor."
    if approves:
        return f"The service approves endpoints of subscription {subscription} by itself, so this one should be soon."
    return (
        f"The service likely does not approve endpoints of subscription {subscription} by itself. "
        "Was this very subscription registered with the vendor?"
    )


async def approves_itself(azure: AzureReader, subscription: str, location: str, service: str) -> bool:
    """Whether the service approves the subscription's endpoints by itself."""
    for region in regions(service, location):
        if any(same_service(one, service) for one in await azure.auto_approved(subscription, region)):
            return True
    return False


def regions(service: str, location: str) -> tuple[str, ...]:
    """Where to ask about a service: the alias' region first, then the VNet's. An older alias names none."""
    bits = service.lower().split(".")
    named = bits[-3] if is_alias(service) and len(bits) > 3 and not is_guid(bits[-3]) else ""
    return tuple(dict.fromkeys(region for region in (named, location.lower()) if region))


def vendor_message(found: Endpoint, *, asked: str = "", seen: str = "") -> str:
    """What to send to the vendor about an endpoint that is not approved: a text to copy.

    It names what the vendor's support can look up on their side: they see connections by Resource ID and message, and
    subscriptions that they let in. `asked` as in `pending`; `seen`: when the endpoint was looked at, now if not told.
    """
    subscription, service = subscription_of(found.id), found.service
    facts = (
        ("Private Link Service", service),
        ("Private Endpoint", found.name),
        ("Its Resource ID", found.id),
        ("Its subscription", subscription),
        ("Its region", found.location),
        ("Its private IP", ", ".join(found.addresses)),
        ("Request message", request_message(found.id)),
        ("Asked for", _moment(asked)),
        ("State", f"{in_words(found)}, seen {_moment(seen or now())}"),
    )
    return "\n".join(
        (
            "Please approve the connection of our Azure Private Endpoint to your Private Link Service.",
            "",
            *(f"{label}: {value}" for label, value in facts if value),
            "",
            "Where to find it: on the Private Link Service, under Private endpoint connections, with the Resource ID "
            "and the request message above.",
            f"If subscription {subscription} should be approved by itself: it is likely not registered, or was "
            "registered after the endpoint was made. Then this connection has to be approved by hand.",
            "How to tell that it is done: the connection says Approved on your side, and a minute later on ours. "
            "Please tell us then, or why you reject it.",
        )
    )


def _moment(ts: str) -> str:
    return f"{datetime.fromisoformat(ts):%Y-%m-%d %H:%M} UTC" if ts else ""
