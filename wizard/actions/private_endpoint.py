"""Step "create the Private Endpoint": one endpoint to a Private Link Service, and the way out of a dead one.

Azure overwrites an endpoint of the same name without asking, so everything begins with a GET. The connection is
always asked for as a manual one: an alias allows no other, and a registered subscription is approved by itself all the
same (AZURE.md, "Creating the endpoint").
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any

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
    endpoint_id,
    find_out,
    group_id,
    group_note,
    group_of,
    last_name,
    needed,
    notes_of,
    permission_note,
    provider_note,
    require_same_identity,
    same_id,
    subscription_of,
    writer_of,
)
from wizard.azure import (
    APPROVED,
    DELETING,
    DISCONNECTED,
    REJECTED,
    SUCCEEDED,
    AzureIdentity,
    AzureReader,
    Endpoint,
    Network,
    Subnet,
    WantedEndpoint,
)
from wizard.azure import FAILED as PROVISIONING_FAILED
from wizard.guide import CHANGE, CREATE, REMOVE, SAME, Change, Log, Moment, Obstacle, Plan
from wizard.identifiers.alias import is_alias
from wizard.identifiers.guid import is_guid
from wizard.ports import Readers, Writers
from wizard.secret import Secret
from wizard.status import parse_field
from wizard.text import one_line
from wizard.together import together
from wizard.view import View

MESSAGE_LIMIT = 140
"""Characters of the message that goes to the service's owner with the request."""

_CREATE, _DELETE = "create endpoint", "delete endpoint"
_DEAD = (REJECTED, DISCONNECTED)


@dataclass(frozen=True, slots=True)
class _Payload:
    """What applying this very plan needs. `wanted` None: the endpoint is as it should be. `fill`: what goes into the
    fields that hold something else."""

    endpoint_id: str
    identity: AzureIdentity
    found: Endpoint | None
    wanted: WantedEndpoint | None = None
    fill: Mapping[str, str] = dataclass_field(default_factory=dict)


class PrivateEndpoint:
    """The action of a step that creates one Private Endpoint per item.

    Its fields are `link_service`, `resource_group`, `subnet` and `endpoint_name`, and `subscription_id` of the item it
    refers to; `private_ip` is filled from the endpoint's network interface, and the field `fills_id` with its ID.
    """

    def __init__(self, pace: Pace = PACE, *, fills_id: str = "") -> None:
        self._pace = pace
        self._fills_id = fills_id

    # ------------------------------------------------------------ plan

    async def plan(self, view: View, readers: Readers) -> Plan:
        """Compares the wanted endpoint with the one of that name. Raises Problem when that is somebody else's."""
        azure = azure_of(readers)
        resource, subnet_id, service = endpoint_id(view), needed(view, "subnet"), needed(view, "link_service")
        async with together() as looks:
            identifying = looks.create_task(azure.identity())
            reading = looks.create_task(azure.endpoint(resource))
        identity, found = identifying.result(), reading.result()
        require_same_identity(view, identity)
        if found is not None:
            _require_free(found, service, subnet_id)
            if not is_dead(found):
                return await _nothing_to_make(view, azure, found, identity, self._fills_id)
        network_id = subnet_id.partition("/subnets/")[0]
        network = await azure.network(network_id)
        if network is None:
            raise _not_found("no-network", "VNet", network_id, identity)
        subnet = next((one for one in network.subnets if same_id(one.id, subnet_id)), None)
        if subnet is None:
            raise _not_found("no-subnet", "subnet", subnet_id, identity)
        name = last_name(resource)
        wanted = WantedEndpoint(
            id=resource,
            location=network.location,
            subnet_id=subnet_id,
            service=service,
            nic_name=f"{name}-nic",
            message=f"{name} in subscription {subscription_of(resource)}"[:MESSAGE_LIMIT],
        )
        commands = (
            _create_commands(wanted) if found is None else (*_delete_commands(resource), *_create_commands(wanted))
        )
        return Plan(
            changes=_changes(wanted, found, network, subnet),
            commands=commands,
            digest=digest(commands),
            summary=f"create {name} in {network.location}" if found is None else f"delete {name} and create it anew",
            notes=await _notes(azure, wanted, network, subnet, replacing=found is not None),
            undo=_delete_commands(resource)[0],
            obstacle=_obstacle(found) if found is not None else None,
            timeout=self._pace.settle,
            payload=_Payload(resource, identity, found, wanted),
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
        """Creates the endpoint, after deleting a dead one, waits until it is at rest, and fills in its private IP.

        Raises Problem for what the user must act on; `endpoint-pending` when it is made and waits for the vendor.
        """
        payload: _Payload = plan.payload
        if payload.wanted is None:
            for key, value in payload.fill.items():
                log.filled(key, value)
            return
        azure, writer, wanted = azure_of(readers), writer_of(writers), payload.wanted
        applying = Applying(view, payload.identity, azure, writer, log, progress, self._pace)
        await applying.pin()
        await _require_as_planned(azure, payload)
        if payload.found is not None:
            delete = _write(_DELETE, wanted.id, f"delete {last_name(wanted.id)}", _delete_commands(wanted.id))
            await applying.carry_out(delete, lambda: writer.delete_endpoint(wanted.id), _Deletion(azure, wanted.id))
        create = _write(
            _CREATE,
            wanted.id,
            f"create {last_name(wanted.id)} in {wanted.location}",
            _create_commands(wanted),
            undo=plan.undo,
            service=wanted.service,
            subnet=wanted.subnet_id,
        )
        creation = _Creation(azure, wanted.id, wanted.service, wanted.subnet_id, self._pace.approval)
        seen = await applying.carry_out(create, lambda: writer.create_endpoint(wanted), creation)
        self._fill(log, seen, wanted.id)
        if creation.last is not None and creation.last.connection != APPROVED:
            raise await _still_pending(azure, creation.last)

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
        """Reads the endpoint until it is at rest, and writes how the interrupted change ended. Changes nothing."""
        azure = azure_of(readers)
        facts = view.snapshot.changes[change].started.data.facts
        resource = facts.get("resource", "")
        look: Look
        if facts.get("does") == _DELETE:
            look = _Deletion(azure, resource)
        else:
            # What was asked for then; the fields may name another endpoint by now.
            look = _Creation(azure, resource, facts.get("service", ""), facts.get("subnet", ""), self._pace.approval)
        seen = await find_out(view, change, look, azure=azure, log=log, progress=progress, pace=self._pace)
        if same_id(resource, _viewed(view)):
            self._fill(log, seen, resource)

    def _fill(self, log: Log, seen: Seen, resource: str) -> None:
        """What Azure made goes into the fields."""
        if seen.outcome != DONE or "connection" not in seen.facts:
            return
        if "private_ip" in seen.facts:
            log.filled("private_ip", seen.facts["private_ip"])
        if self._fills_id:
            log.filled(self._fills_id, resource)


def _viewed(view: View) -> str:
    """The endpoint that the fields name now; empty when they name none any more."""
    try:
        return endpoint_id(view)
    except Problem:
        return ""


def _write(does: str, resource: str, summary: str, commands: tuple[str, ...], *, undo: str = "", **facts: str) -> Write:
    return Write(
        does=does,
        resource=resource,
        name=f"Private Endpoint {last_name(resource)}",
        summary=summary,
        commands=commands,
        undo=undo,
        facts=facts,
    )


# ---------------------------------------------------------------- what is there


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


def in_words(found: Endpoint) -> str:
    """Where an endpoint stands, with what the other side says of it."""
    said = f" ({one_line(found.message)})" if found.message else ""
    return f"provisioning {found.provisioning}, connection {found.connection or 'unknown'}{said}"


def is_dead(found: Endpoint) -> bool:
    """Whether it never becomes Approved any more: it has to be deleted and made anew (AZURE.md)."""
    return found.connection in _DEAD or found.provisioning == PROVISIONING_FAILED


def _require_free(found: Endpoint, service: str, subnet_id: str) -> None:
    """Raises Problem when the endpoint of that name is another one, or is on its way out."""
    if found.provisioning == DELETING:
        raise _being_deleted(found)
    if not is_as_wanted(found, service, subnet_id):
        raise _taken(found, service, subnet_id)


def is_as_wanted(found: Endpoint, service: str, subnet_id: str) -> bool:
    """Whether an endpoint connects to this service, from this subnet."""
    return same_service(found.service, service) and same_id(found.subnet_id, subnet_id)


def differences(found: Endpoint, service: str, subnet_id: str) -> str:
    """In what an endpoint is another one than the one that is wanted, in words."""
    said = []
    if not same_service(found.service, service):
        said.append(f"it connects to {found.service} and not to {service}")
    if not same_id(found.subnet_id, subnet_id):
        said.append(f"it is in the subnet {found.subnet_id} and not in {subnet_id}")
    return ", and ".join(said)


def _taken(found: Endpoint, service: str, subnet_id: str) -> Problem:
    return Problem(
        "endpoint-taken",
        f"There is a Private Endpoint {found.name} in {group_of(found.id)} already: "
        f"{differences(found, service, subnet_id)}.",
        means="It is somebody else's, or was made with other values. It is never overwritten.",
        todo="Enter another endpoint name, or the values of the endpoint that is there.",
        exit_code=EXIT_BAD,
    )


def _being_deleted(found: Endpoint) -> Problem:
    return Problem(
        "endpoint-deleting",
        f"The Private Endpoint {found.name} is being deleted.",
        means="Until it is gone, none of that name can be made.",
        todo="Wait a minute, then run this step again.",
        exit_code=EXIT_NOT_YET,
    )


async def _require_as_planned(azure: AzureReader, payload: _Payload) -> None:
    """Reads once more before the first write: Azure would overwrite what came into being since the plan."""
    found = await azure.endpoint(payload.endpoint_id)
    if _essence(found) != _essence(payload.found):
        raise Problem(
            "changed-meanwhile",
            f"The Private Endpoint {last_name(payload.endpoint_id)} is no longer as it was when the plan was read: "
            f"{in_words(found) if found else 'it is gone'}.",
            means="Nothing was changed.",
            todo="Read the plan again.",
            exit_code=EXIT_NOT_YET,
        )


def _essence(found: Endpoint | None) -> tuple[str, ...] | None:
    if found is None:
        return None
    return found.service.lower(), found.subnet_id.lower(), found.provisioning, found.connection


def _not_found(code: str, what: str, resource: str, identity: AzureIdentity) -> Problem:
    return Problem(
        code,
        f"There is no {what} {resource}.",
        means=f"Or {identity.name or identity.object_id} may not read it. The endpoint's region is the VNet's.",
        todo=f"Copy the {what}'s Resource ID again, from Properties in the Azure portal.",
        exit_code=EXIT_BAD,
    )


# ---------------------------------------------------------------- looking while it is made


class _Creation:
    """Looks at an endpoint that was asked for. Pending is waited for `approval` seconds; `last` is what was seen."""

    def __init__(self, azure: AzureReader, resource: str, service: str, subnet_id: str, approval: float) -> None:
        self._azure = azure
        self._resource = resource
        self._wanted = (service, subnet_id)
        self._approval = approval
        self._pending_since: float | None = None
        self.last: Endpoint | None = None

    async def __call__(self) -> Seen:
        """One GET."""
        found = self.last = await self._azure.endpoint(self._resource)
        if found is None:
            return NOT_THERE
        said, facts = in_words(found), _facts(found)
        problem = _bad_end(found, *self._wanted)
        if problem is not None:
            return Seen(said, FAILED, problem=problem, facts=facts)
        if found.provisioning != SUCCEEDED:
            return Seen(said)
        if found.connection == APPROVED:
            return Seen(said, DONE, facts=facts)
        if self._pending_since is None:
            self._pending_since = time.monotonic()
        waited = time.monotonic() - self._pending_since >= self._approval
        return Seen(said, DONE if waited else None, facts=facts)


class _Deletion:
    """Looks at an endpoint that is to go away."""

    def __init__(self, azure: AzureReader, resource: str) -> None:
        self._azure = azure
        self._resource = resource

    async def __call__(self) -> Seen:
        """One GET."""
        found = await self._azure.endpoint(self._resource)
        if found is None:
            return Seen("it is gone", DONE)
        return Seen(in_words(found), there=found.provisioning == DELETING)


def _facts(found: Endpoint) -> dict[str, str]:
    facts = {"provisioning": found.provisioning, "connection": found.connection}
    return {**facts, "private_ip": found.addresses[0]} if found.addresses else facts


def _bad_end(found: Endpoint, service: str, subnet_id: str) -> Problem | None:
    """Why this endpoint does not become what was asked for; None when it is, or may yet."""
    if found.provisioning == DELETING:
        return _being_deleted(found)
    if not is_as_wanted(found, service, subnet_id):
        return _taken(found, service, subnet_id)
    if found.connection in _DEAD or found.provisioning == PROVISIONING_FAILED:
        return _dead(found)
    return None


def _dead(found: Endpoint) -> Problem:
    subscription = subscription_of(found.id)
    again = "Then run this step again: its plan deletes the endpoint and makes it anew."
    if found.connection == REJECTED:
        code, what = "endpoint-rejected", f"The vendor rejected the connection of {found.name}."
        todo = f"Ask the vendor why, and whether subscription {subscription} is registered. {again}"
    elif found.connection == DISCONNECTED:
        code, what = "endpoint-disconnected", f"The connection of {found.name} was cut: it is Disconnected."
        todo = f"Ask the vendor whether they removed it. {again}"
    else:
        code, what = "endpoint-failed", f"Azure could not provision {found.name}."
        todo = f"The endpoint's page in the Azure portal, Activity log, says why. {again}"
    means = "No data goes through it, and it does not recover by itself."
    return Problem(code, what, means=means, todo=todo, detail=found.message, exit_code=EXIT_BAD)


# ---------------------------------------------------------------- waiting for the vendor


async def _still_pending(azure: AzureReader, found: Endpoint) -> Problem:
    return Problem(
        "endpoint-pending",
        f"{found.name} is made, but its connection is still {found.connection or 'unknown'}.",
        means=await pending_diagnosis(azure, found),
        todo="Send the vendor the message below, and look again when they have answered.",
        detail=vendor_message(found),
        exit_code=EXIT_NOT_YET,
    )


async def pending_diagnosis(azure: AzureReader, found: Endpoint) -> str:
    """Why an endpoint may be Pending, in one sentence or two."""
    subscription = subscription_of(found.id)
    try:
        approves = await _approves_itself(azure, subscription, found.location, found.service)
    except Problem:
        return f"It is in subscription {subscription}: compare that with the one registered with the vendor."
    if approves:
        return f"The service approves endpoints of subscription {subscription} by itself, so this one should be soon."
    return (
        f"The service likely does not approve endpoints of subscription {subscription} by itself. "
        "Was this very subscription registered with the vendor?"
    )


def vendor_message(found: Endpoint) -> str:
    """What to send to the vendor about an endpoint that is not approved: a text to copy."""
    return "\n".join(
        (
            "Please approve the connection of this Azure Private Endpoint.",
            f"Private Endpoint: {found.id}",
            f"Subscription: {subscription_of(found.id)}",
            f"Private Link Service: {found.service}",
            f"Connection state: {in_words(found)}",
        )
    )


# ---------------------------------------------------------------- planning


async def _nothing_to_make(
    view: View, azure: AzureReader, found: Endpoint, identity: AzureIdentity, id_key: str
) -> Plan:
    """The plan when the endpoint is there: at most its private IP and Resource ID go into their fields."""
    fill = {key: value for key, value in (("private_ip", _private_ip(view, found)), (id_key, found.id)) if key}
    fill = {key: value for key, value in fill.items() if value and not same_id(view.value(key), value)}
    changes = [Change(SAME, f"endpoint {found.name} in {found.location} ({in_words(found)})")]
    for key, value in fill.items():
        typed = view.value(key)
        sign, what = (CHANGE, f"{typed} to {value}") if typed else (CREATE, value)
        changes.append(Change(sign, f"field {view.guide.fields()[key].label}: {what}, from Azure"))
    notes: tuple[str, ...] = ()
    if found.provisioning != SUCCEEDED:
        notes = (f"Azure is still at work on {found.name}: look again in a minute.",)
    elif found.connection != APPROVED:
        diagnosis = await pending_diagnosis(azure, found)
        notes = (f"the connection is {found.connection or 'unknown'}: the vendor has to approve it. {diagnosis}",)
    return Plan(
        changes=tuple(changes),
        summary=f"take over what Azure says of {found.name}" if fill else f"{found.name} is there",
        digest=digest(()),
        notes=notes,
        payload=_Payload(found.id, identity, found, fill=fill),
    )


def _private_ip(view: View, found: Endpoint) -> str:
    """The address to put into the field; empty when it is there, is not known yet, or the field would refuse it."""
    if not found.addresses or view.value("private_ip") in found.addresses:
        return ""
    parsed = parse_field(view, view.guide.fields()["private_ip"], found.addresses[0])
    return parsed.normalized if parsed.ok else ""


def _changes(wanted: WantedEndpoint, found: Endpoint | None, network: Network, subnet: Subnet) -> tuple[Change, ...]:
    name = last_name(wanted.id)
    created = (
        Change(CREATE, f"endpoint {name} in {group_of(wanted.id)}, {wanted.location}, to {wanted.service}"),
        Change(CREATE, f"NIC {wanted.nic_name} in {network.name}/{subnet.name}"),
    )
    return created if found is None else (Change(REMOVE, f"endpoint {name} ({in_words(found)})"), *created)


def _obstacle(found: Endpoint) -> Obstacle:
    problem = _dead(found)
    return Obstacle(
        what=f"{problem.what} {problem.means} It has to be deleted and made anew, under the same Resource ID; its "
        "private IP may change, and the vendor has to let it in again.",
        label="Delete, then create anew",
        risk="Other things of yours may use this endpoint, too: they lose its address until the new one is made.",
        word=("dead_endpoint", "replace"),
    )


def _create_commands(wanted: WantedEndpoint) -> tuple[str, ...]:
    name = last_name(wanted.id)
    return (
        az(
            *("network", "private-endpoint", "create"),
            *("--subscription", subscription_of(wanted.id)),
            *("--resource-group", group_of(wanted.id)),
            *("--name", name),
            *("--location", wanted.location),
            *("--subnet", wanted.subnet_id),
            *("--nic-name", wanted.nic_name),
            *("--connection-name", name),
            *("--private-connection-resource-id", wanted.service),
            *("--manual-request", "true"),
            *("--request-message", wanted.message),
        ),
    )


def _delete_commands(resource: str) -> tuple[str, ...]:
    return (az("network", "private-endpoint", "delete", "--ids", resource),)


# ---------------------------------------------------------------- what matters before


async def _notes(
    azure: AzureReader, wanted: WantedEndpoint, network: Network, subnet: Subnet, *, replacing: bool
) -> tuple[str, ...]:
    """What may stand in the way, as far as reading can tell."""
    subscription, group = subscription_of(wanted.id), group_of(wanted.id)
    looks: dict[str, Any] = {}
    if is_alias(wanted.service):
        looks["whether the service can be seen"] = _visibility_note(azure, subscription, wanted)
    looks["whether the service approves by itself"] = _approval_note(azure, subscription, wanted)
    looks[f"whether {NAMESPACE} is registered"] = provider_note(azure, subscription)
    looks[f"resource group {group}"] = group_note(azure, subscription, group)
    looks["what is allowed"] = permission_note(azure, _actions(wanted, network, replacing=replacing))
    return (*_subnet_notes(subnet), *await notes_of(looks))


def _actions(wanted: WantedEndpoint, network: Network, *, replacing: bool) -> dict[str, tuple[str, ...]]:
    """The ARM actions that are needed, by scope."""
    verbs = ("read", "write", "delete") if replacing else ("read", "write")
    return {
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
    notes = []
    if subnet.endpoint_policies and subnet.endpoint_policies != "Disabled":
        command = az(
            *("network", "vnet", "subnet", "update", "--ids", subnet.id),
            *("--private-endpoint-network-policies", "Disabled"),
        )
        notes.append(
            f"subnet {subnet.name} has network policies for endpoints ({subnet.endpoint_policies}): Azure may refuse. "
            f"They are switched off by: {command}"
        )
    if subnet.free == 0:
        notes.append(f"subnet {subnet.name} likely has no free address left.")
    return tuple(notes)


async def _visibility_note(azure: AzureReader, subscription: str, wanted: WantedEndpoint) -> str:
    for location in _regions(wanted.service, wanted.location):
        if await azure.visible(subscription, location, wanted.service):
            return ""
    return (
        f"the service is likely not visible to subscription {subscription}, and Azure would refuse. "
        "Is the alias right, and was this very subscription registered with the vendor?"
    )


async def _approval_note(azure: AzureReader, subscription: str, wanted: WantedEndpoint) -> str:
    if await _approves_itself(azure, subscription, wanted.location, wanted.service):
        return ""
    return (
        f"the service likely does not approve endpoints of subscription {subscription} by itself: the connection may "
        "stay Pending. Was this very subscription registered with the vendor?"
    )


async def _approves_itself(azure: AzureReader, subscription: str, location: str, service: str) -> bool:
    for region in _regions(service, location):
        if any(same_service(one, service) for one in await azure.auto_approved(subscription, region)):
            return True
    return False


def _regions(service: str, location: str) -> tuple[str, ...]:
    """Where to ask about a service: the alias' region first, then the VNet's. An older alias names none."""
    bits = service.lower().split(".")
    named = bits[-3] if is_alias(service) and len(bits) > 3 and not is_guid(bits[-3]) else ""
    return tuple(dict.fromkeys(region for region in (named, location.lower()) if region))
