"""Step "create the Private Endpoint": one endpoint to a Private Link Service, and the way out of a dead one.

Azure overwrites an endpoint of the same name without asking, so everything begins with a GET. The connection is
always asked for as a manual one: an alias allows no other, and a registered subscription is approved by itself all the
same (AZURE.md, "Creating the endpoint").
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field

from state.clock import now
from state.events import DONE, FAILED
from state.problem import EXIT_BAD, EXIT_NOT_YET, Problem
from wizard.actions import endpoint_carried
from wizard.actions.azure_facts import (
    NOT_THERE,
    PACE,
    Applying,
    Look,
    Pace,
    Seen,
    Send,
    Write,
    az,
    azure_of,
    digest,
    endpoint_id,
    find_out,
    group_of,
    last_name,
    needed,
    network_of,
    require_same_identity,
    same_id,
    step_with,
    subscription_of,
    writer_of,
)
from wizard.actions.endpoint_notes import choose_nic, notes
from wizard.actions.endpoint_states import (
    bad_end,
    being_deleted,
    dead,
    in_words,
    is_as_wanted,
    is_dead,
    not_updated,
    pending,
    pending_diagnosis,
    private_ip_of,
    request_message,
    submit_again,
    taken,
    update_failed,
)
from wizard.azure import (
    APPROVED,
    DELETING,
    SUCCEEDED,
    AzureIdentity,
    AzureReader,
    Endpoint,
    Network,
    Subnet,
    WantedEndpoint,
    who,
)
from wizard.guide import CHANGE, CREATE, REMOVE, SAME, Change, Log, Moment, Obstacle, Plan
from wizard.ports import Readers, Writers
from wizard.secret import Secret
from wizard.status import parse_field
from wizard.together import both
from wizard.view import View

SERVICE_UNKNOWN = "azure-link-service-unknown"
"""Code of the Problem for a link service that Azure does not know; it says so of good ones at times (AZURE.md)."""

_CREATE, _DELETE = endpoint_carried.CREATE, endpoint_carried.DELETE


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
        identity, found = await both(azure.identity(), azure.endpoint(resource))
        require_same_identity(view, identity)
        if found is not None:
            _require_free(found, service, subnet_id)
            if not is_dead(found):
                return await _nothing_to_make(view, azure, found, identity, self._fills_id)
        network, subnet = await _place(azure, subnet_id, identity)
        name, nic = last_name(resource), await choose_nic(azure, resource)
        wanted = WantedEndpoint(
            id=resource,
            location=network.location,
            subnet_id=subnet_id,
            service=service,
            nic_name=nic.name,
            message=request_message(resource),
            carried=found.carried if found is not None else endpoint_carried.kept(view, resource),
        )
        commands = (
            _create_commands(wanted) if found is None else (*_delete_commands(resource), *_create_commands(wanted))
        )
        return Plan(
            changes=_changes(wanted, found, network, subnet),
            commands=commands,
            digest=digest(commands),
            summary=f"create {name} in {network.location}" if found is None else f"delete {name} and create it anew",
            notes=(
                *filter(None, (nic.note,)),
                *await notes(view, azure, wanted, network, subnet, replacing=found is not None),
            ),
            undo=_delete_commands(resource)[0],
            obstacle=await _obstacle(azure, found, self._afterwards(view)) if found is not None else None,
            timeout=self._pace.settle,
            identity=who(identity),
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
            delete = _write(
                _DELETE,
                wanted.id,
                f"delete {last_name(wanted.id)}",
                _delete_commands(wanted.id),
                **endpoint_carried.fact_of(wanted.carried),
            )
            deletion = _Deletion(azure, wanted.id)
            await applying.carry_out(delete, lambda acting: acting.delete_endpoint(wanted.id), deletion)
        create = _write(
            _CREATE,
            wanted.id,
            f"create {last_name(wanted.id)} in {wanted.location}",
            _create_commands(wanted),
            undo=plan.undo,
            service=wanted.service,
            subnet=wanted.subnet_id,
        )
        creation = self._creation(view, azure, wanted.id, (wanted.service, wanted.subnet_id))
        asked = now()
        seen = await _create(applying, create, lambda acting: acting.create_endpoint(wanted), creation)
        self._fill(log, seen, wanted.id)
        if creation.last is not None and creation.last.connection != APPROVED:
            raise await pending(azure, creation.last, asked=asked)

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
            wanted = facts.get("service", ""), facts.get("subnet", "")
            look = self._creation(view, azure, resource, wanted)
        seen = await find_out(view, change, look, azure=azure, log=log, progress=progress, pace=self._pace)
        if same_id(resource, _viewed(view)):
            self._fill(log, seen, resource)

    def _afterwards(self, view: View) -> str:
        """What follows once an endpoint is made anew."""
        return submit_again(step_with(view, self._fills_id)) if self._fills_id else ""

    def _creation(self, view: View, azure: AzureReader, resource: str, wanted: tuple[str, str]) -> _Creation:
        return _Creation(azure, resource, wanted, approval=self._pace.approval, afterwards=self._afterwards(view))

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


def asked_at(view: View) -> str:
    """When this setup last asked for the endpoint that the fields name (RFC 3339 UTC); empty when it never did."""
    resource = _viewed(view)
    for change in reversed(tuple(view.snapshot.changes.values())):
        facts = change.started.data.facts
        if facts.get("does") == _CREATE and resource and same_id(facts.get("resource", ""), resource):
            return change.started.ts
    return ""


async def _create(applying: Applying, write: Write, send: Send, creation: _Creation) -> Seen:
    """Asks for the endpoint; again, after a growing wait, when Azure refuses the request for a reason that may pass.

    Each try is a change of its own in the journal, and none is made when anything of that name is there.
    """
    waits = applying.pace.again
    for number, wait in enumerate(waits, 2):
        try:
            return await applying.carry_out(write, send, creation)
        except Problem as problem:
            if not await creation.may_be_asked_again(problem):
                raise
        text = (
            f"{write.name}: Azure does not know the link service; it says the same at times of a good one: "
            f"asking again in {wait:g} s, try {number} of {len(waits) + 1}"
        )
        applying.progress(Moment("part", text, ready=0, wanted=1))
        await asyncio.sleep(wait)
    return await applying.carry_out(write, send, creation)


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


def _require_free(found: Endpoint, service: str, subnet_id: str) -> None:
    """Raises Problem when the endpoint of that name is another one, or is on its way out."""
    if found.provisioning == DELETING:
        raise being_deleted(found)
    if not is_as_wanted(found, service, subnet_id):
        raise taken(found, service, subnet_id)


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


def _essence(found: Endpoint | None) -> tuple[object, ...] | None:
    if found is None:
        return None
    return found.service.lower(), found.subnet_id.lower(), found.provisioning, found.connection, found.carried


async def _place(azure: AzureReader, subnet_id: str, identity: AzureIdentity) -> tuple[Network, Subnet]:
    """Where the endpoint is to be made. Raises Problem when that is not there."""
    network_id = network_of(subnet_id)
    network = await azure.network(network_id)
    if network is None:
        raise _not_found("no-network", "VNet", network_id, identity)
    subnet = next((one for one in network.subnets if same_id(one.id, subnet_id)), None)
    if subnet is None:
        raise _not_found("no-subnet", "subnet", subnet_id, identity)
    return network, subnet


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
    """Looks at an endpoint that was asked for. Pending is waited for `approval` seconds; `last` is what was seen.

    `wanted`: service and subnet. `afterwards`: what follows once it has to be made anew, as in `endpoint_states.dead`.
    """

    def __init__(
        self, azure: AzureReader, resource: str, wanted: tuple[str, str], *, approval: float, afterwards: str
    ) -> None:
        self._azure = azure
        self._resource = resource
        self._wanted = wanted
        self._approval = approval
        self._afterwards = afterwards
        self._looked = False
        self._pending_since: float | None = None
        self.last: Endpoint | None = None

    async def __call__(self) -> Seen:
        """One GET."""
        self._looked = True
        found = self.last = await self._azure.endpoint(self._resource)
        if found is None:
            return NOT_THERE
        said, facts = in_words(found), _facts(found)
        problem = bad_end(found, *self._wanted, self._afterwards)
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

    async def may_be_asked_again(self, problem: Problem) -> bool:
        """Whether the request itself was refused, for a reason that may pass, and left nothing of that name."""
        if problem.code != SERVICE_UNKNOWN or self._looked:
            return False
        try:
            return await self._azure.endpoint(self._resource) is None
        except Problem:
            return False


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
        return Seen(f"it is still there, {in_words(found)}", there=found.provisioning == DELETING)


def _facts(found: Endpoint) -> dict[str, str]:
    facts = {"provisioning": found.provisioning, "connection": found.connection}
    return {**facts, "private_ip": private_ip_of(found)} if found.addresses else facts


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
    if update_failed(found):
        problem = not_updated(found)
        notes = (f"{problem.what} {problem.means} {problem.todo}",)
    elif found.provisioning != SUCCEEDED:
        notes = (f"Azure is still at work on {found.name}: look again in a minute.",)
    elif found.connection != APPROVED:
        diagnosis = await pending_diagnosis(azure, found)
        notes = (f"the connection is {found.connection or 'unknown'}: the vendor has to approve it. {diagnosis}",)
    return Plan(
        changes=tuple(changes),
        summary=f"take over what Azure says of {found.name}" if fill else f"{found.name} is there",
        digest=digest(()),
        notes=notes,
        identity=who(identity),
        payload=_Payload(found.id, identity, found, fill=fill),
    )


def _private_ip(view: View, found: Endpoint) -> str:
    """The address to put into the field; empty when it is there, is not known yet, or the field would refuse it."""
    if not found.addresses or view.value("private_ip") in found.addresses:
        return ""
    parsed = parse_field(view, view.guide.fields()["private_ip"], private_ip_of(found))
    return parsed.normalized if parsed.ok else ""


def _changes(wanted: WantedEndpoint, found: Endpoint | None, network: Network, subnet: Subnet) -> tuple[Change, ...]:
    name = last_name(wanted.id)
    created = (
        Change(CREATE, f"endpoint {name} in {group_of(wanted.id)}, {wanted.location}, to {wanted.service}"),
        Change(CREATE, f"NIC {wanted.nic_name} in {network.name}/{subnet.name}"),
        *(Change(CREATE, f"{line}, as before") for line in endpoint_carried.in_words(wanted.carried)),
    )
    return created if found is None else (Change(REMOVE, f"endpoint {name} ({in_words(found)})"), *created)


async def _obstacle(azure: AzureReader, found: Endpoint, afterwards: str) -> Obstacle:
    problem = dead(found)
    address = "" if found.carried.ip_configurations else "its private IP may change, and "
    said = (
        f"{problem.what} {problem.means} It has to be deleted and made anew, under the same Resource ID; {address}"
        "the vendor has to let it in again."
    )
    return Obstacle(
        what=" ".join(filter(None, (said, await endpoint_carried.what_follows(azure, found), afterwards))),
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
            *endpoint_carried.words_of_az(wanted.carried),
        ),
    )


def _delete_commands(resource: str) -> tuple[str, ...]:
    return (az("network", "private-endpoint", "delete", "--ids", resource),)
