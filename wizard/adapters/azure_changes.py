"""Changes in Azure: run in the SDK child, by `azure_acting.AzureActor`. One writing request a call, never
repeated.

An operation goes on in Azure. Where it can be asked for is kept here, in the child's memory alone: the URL is signed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from state.problem import EXIT_NOT_YET, Problem
from wizard.adapters import azure_asking as ask
from wizard.adapters import azure_errors
from wizard.adapters.azure_asking import Target, at, text_at
from wizard.adapters.azure_calls import record_set, to_record
from wizard.azure import ARecord, IpConfiguration, Operation, WantedEndpoint

if TYPE_CHECKING:
    from wizard.adapters.azure_clients import Begun


@dataclass(frozen=True, slots=True)
class _Following:
    """Where an operation can be asked for. `by_body`: its status stands in the body, else in the HTTP status."""

    url: str
    by_body: bool


_operations: dict[str, _Following | Operation] = {}  # by lower-case resource id; what has ended is kept as it ended


def create_endpoint(target: Target, wanted: WantedEndpoint) -> None:
    """Begin to create an endpoint. Raises Problem `azure-exists` when there is one of that name already.

    Endpoints have no etag that would forbid overwriting, so it is looked for just before.
    """
    subscription, group, name = ask.parts(wanted.id, "privateEndpoints")
    connection: dict[str, Any] = {"privateLinkServiceId": wanted.service}
    if wanted.message:
        connection["requestMessage"] = wanted.message
    carried = wanted.carried
    properties: dict[str, Any] = {
        "subnet": {"id": wanted.subnet_id},
        "customNetworkInterfaceName": wanted.nic_name,
        # An alias is accepted here alone; manual does not mean that it stays Pending.
        "manualPrivateLinkServiceConnections": [{"name": name, "properties": connection}],
    }
    if carried.ip_configurations:
        properties["ipConfigurations"] = [_ip_configuration(one) for one in carried.ip_configurations]
    if carried.security_groups:
        properties["applicationSecurityGroups"] = [{"id": one} for one in carried.security_groups]
    parameters = {"location": wanted.location, "properties": properties}
    if carried.tags:
        parameters["tags"] = dict(carried.tags)
    with ask.explained(target) as clients:
        client = clients.network(target, subscription).private_endpoints
        if ask.or_none(lambda: client.get(group, name)) is not None:
            raise _exists(name)
    _begin(target, wanted.id, lambda begun: client.begin_create_or_update(group, name, parameters, polling=begun))


def _ip_configuration(one: IpConfiguration) -> dict[str, Any]:
    given = {"privateIPAddress": one.address, "groupId": one.group, "memberName": one.member}
    return {"name": one.name, "properties": {key: value for key, value in given.items() if value}}


def delete_endpoint(target: Target, endpoint_id: str) -> None:
    """Begin to delete an endpoint; one that is not there is deleted already."""
    subscription, group, name = ask.parts(endpoint_id, "privateEndpoints")
    with ask.explained(target) as clients:
        client = clients.network(target, subscription).private_endpoints
    _begin(target, endpoint_id, lambda begun: client.begin_delete(group, name, polling=begun))


def create_zone(target: Target, zone_id: str) -> None:
    """Begin to create a zone, only when there is none: else the operation fails with Azure's `PreconditionFailed`."""
    subscription, group, zone = ask.parts(zone_id, "privateDnsZones")
    with ask.explained(target) as clients:
        client = clients.dns(target, subscription).private_zones
    options = {"parameters": {"location": "global"}, **_if_missing()}
    _begin(target, zone_id, lambda begun: client.begin_create_or_update(group, zone, polling=begun, **options))


def create_link(target: Target, link_id: str, network_id: str) -> None:
    """Begin to link a zone to a VNet, only when there is no such link, and without automatic registration."""
    subscription, group, zone, name = ask.parts(link_id, "privateDnsZones", "virtualNetworkLinks")
    properties = {"virtualNetwork": {"id": network_id}, "registrationEnabled": False}
    with ask.explained(target) as clients:
        client = clients.dns(target, subscription).virtual_network_links
    options = {"parameters": {"location": "global", "properties": properties}, **_if_missing()}
    _begin(target, link_id, lambda begun: client.begin_create_or_update(group, zone, name, polling=begun, **options))


def set_a_record(target: Target, record: ARecord, replacing: ARecord | None) -> None:
    """Write a record set: a new one only when there is none, else only over what `replacing` tells of.

    What others noted in its metadata stays. Raises Problem `azure-changed-meanwhile` when it is another one by now.
    Azure answers when it is done.
    """
    subscription, group, zone = ask.parts(record.zone_id, "privateDnsZones")
    condition = _if_missing()
    addresses = [{"ipv4Address": address} for address in record.addresses]
    properties: dict[str, Any] = {"ttl": record.ttl, "aRecords": addresses}
    if replacing is not None:
        current = record_set(target, record.zone_id, record.name)
        etag = text_at(current, "etag")
        if not etag or not _same(to_record(record.zone_id, record.name, current), replacing):
            raise azure_errors.explain(azure_errors.Failure("PreconditionFailed"))
        condition = {"headers": {"If-Match": etag}}  # as Azure spells it; the SDK's own `etag` would quote it
        # A PUT replaces the whole: what is not sent back is gone.
        if metadata := at(current, "properties", "metadata"):
            properties["metadata"] = metadata
    parameters = {"properties": properties}
    with ask.explained(target, changing=True) as clients:
        client = clients.dns(target, subscription).record_sets
        client.create_or_update(group, zone, "A", ask.name(record.name), parameters, **condition)


def operation(target: Target, resource_id: str) -> Operation:
    """Where the last change of that resource stands; nothing when this process began none. One request at most."""
    known = _operations.get(resource_id.lower())
    if known is None or isinstance(known, Operation):
        return known or Operation("")
    from azure.core.rest import HttpRequest

    with ask.explained(target) as clients:
        response = clients.arm(target).send_request(HttpRequest("GET", known.url))
        body = response.json() if response.content.strip() else None
    failure = azure_errors.failure_in(body, status=response.status_code, headers=response.headers)
    status = _status(known, response.status_code, body)
    if status == "InProgress":
        return Operation(status)
    if not status:
        if response.status_code != 404:
            raise azure_errors.explain(failure, ask.asked(target))
        ended = Operation("")  # Azure does not know it any more: the resource tells
    elif status == "Succeeded":
        ended = Operation(status)
    else:
        problem = azure_errors.explain(failure, ask.asked(target))
        ended = Operation(
            status,
            problem.code,
            azure_errors.code_of(failure),
            azure_errors.clean(failure.message),
            means=problem.means,
            todo=problem.todo,
        )
    if _operations.get(resource_id.lower()) is known:  # else another change of it has begun since
        _operations[resource_id.lower()] = ended
    return ended


def _status(known: _Following, http_status: int, body: Any) -> str:
    """InProgress, Succeeded, Failed or Canceled; empty when the answer is no operation's."""
    if not known.by_body:
        return {200: "Succeeded", 201: "Succeeded", 202: "InProgress", 204: "Succeeded"}.get(http_status, "")
    said = text_at(body, "status")
    if http_status not in (200, 202) or not said:
        return ""
    return said if said in ("Succeeded", "Failed", "Canceled") else "InProgress"


def _begin(target: Target, resource_id: str, send: Callable[[Begun], object]) -> None:
    """Send a change and keep where it can be followed; one that ended at once is followed by reading the resource."""
    with ask.explained(target, changing=True) as clients:
        begun = clients.Begun()
        _operations.pop(resource_id.lower(), None)
        send(begun)
        headers = begun.response.headers
        in_body = headers.get("Azure-AsyncOperation")
        url = in_body or headers.get("Location")
        if url:
            _operations[resource_id.lower()] = _Following(url, in_body is not None)


def _if_missing() -> dict[str, Any]:
    from azure.core import MatchConditions

    return {"etag": "*", "match_condition": MatchConditions.IfMissing}


def _same(one: ARecord, other: ARecord) -> bool:
    return set(one.addresses) == set(other.addresses) and one.ttl == other.ttl


def _exists(name: str) -> Problem:
    return Problem(
        "azure-exists",
        f"There is a Private Endpoint {name} already.",
        means="Creating it again would overwrite it, so nothing was sent.",
        todo="Look again: the one that is there is then shown. Else choose another name.",
        exit_code=EXIT_NOT_YET,
    )
