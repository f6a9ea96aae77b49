"""Azure in memory: one class that is both ports, with operations that take some looks and failures to order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from state.problem import Problem
from tests.setups import SUBNET, SUBSCRIPTION
from wizard.actions.azure_facts import Pace, last_name
from wizard.azure import (
    APPROVED,
    DELETING,
    FAILED,
    PENDING,
    SUCCEEDED,
    UPDATING,
    ARecord,
    AzureIdentity,
    Endpoint,
    Interface,
    Network,
    Operation,
    Permission,
    ResourceGroup,
    SignInPrompt,
    Subnet,
    Subscription,
    WantedEndpoint,
    Zone,
    ZoneLink,
    require_same,
)
from wizard.identifiers.arm_id import name_after

T = TypeVar("T")

ADA = AzureIdentity("11111111-aaaa-4bbb-8ccc-000000000001", "22222222-aaaa-4bbb-8ccc-000000000002", "ada@example.com")
BOB = AzureIdentity("11111111-aaaa-4bbb-8ccc-000000000001", "33333333-aaaa-4bbb-8ccc-000000000003", "bob@example.com")
VNET = SUBNET.partition("/subnets/")[0]
OTHER_VNET = VNET.replace("vnet-weu", "vnet-neu")
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-net-data"
SERVICE_ID = (
    "/subscriptions/99999999-aaaa-4bbb-8ccc-000000000009/resourceGroups/vendor"
    "/providers/Microsoft.Network/privateLinkServices/dpe"
)
FAST = Pace(poll=0, settle=5, approval=0, appear=0.05, unseen=0.05, again=(0, 0))
"""Looks follow each other at once; what does not appear is given up soon."""

READS = frozenset(
    (
        *("identity", "subscriptions", "resource_groups", "networks", "network", "endpoint", "endpoints", "interface"),
        *(
            "visible",
            "auto_approved",
            "provider_registered",
            "permissions",
            "zones",
            "zone_links",
            "zone_groups",
            "a_record",
            "operation",
        ),
    )
)


class Died(BaseException):
    """The program is killed: nothing catches it, nothing is written any more."""


class World:
    """Resources by lower-case id. `writes` are the changes it was told to make, `calls` everything it was asked.

    `relogin`: who has signed in meanwhile when a change is sent.

    `prompt`: what a sign-in asks for; it ends, as `me`, once `signs_in` is set.

    `polls`: how many looks an operation takes. `fails[method]`: Problems to raise, one a call; `loses[method]`: raised
    after the change was taken. `dies`: which call is the last, and whether it still reaches Azure.
    """

    def __init__(self) -> None:
        self.me = ADA
        self.relogin: AzureIdentity | None = None
        self._acting: AzureIdentity | None = None
        self.prompt: SignInPrompt | None = None
        self.signs_in = asyncio.Event()
        self.signs_in.set()
        self.polls = 2
        self.calls: list[str] = []
        self.writes: list[tuple[str, str]] = []
        self.fails: dict[str, list[Problem]] = {}
        self.loses: dict[str, list[Problem]] = {}
        self.dies: tuple[int, bool] | None = None
        self.operation_failure: Operation | None = None
        self.connection, self.address = APPROVED, "10.20.1.4"
        self.seen_by = {"westeurope"}
        self.approves: tuple[str, ...] = (SERVICE_ID,)
        self.registered = True
        self.denied: frozenset[str] = frozenset()
        self.subscription = Subscription(SUBSCRIPTION, "Data", "Enabled", ADA.tenant_id)
        self.others: tuple[Subscription, ...] = ()
        self.groups = [ResourceGroup(GROUP, "rg-net-data", "northeurope")]
        subnet = Subnet(SUBNET, "snet-pe", ("10.20.1.0/24",), 200, "Disabled")
        self.network_ = Network(VNET, "vnet-weu", "westeurope", (), (subnet,))
        self.networks_: dict[str, Network] = {}
        self.endpoints_: dict[str, Endpoint] = {}
        self.interfaces: dict[str, Interface] = {}
        self.zone_groups_: dict[str, tuple[str, ...]] = {}
        self.zones_: dict[str, Zone] = {}
        self.links: dict[str, ZoneLink] = {}
        self.records: dict[tuple[str, str], ARecord] = {}
        self._work: dict[str, tuple[int, Callable[[], None]]] = {}
        self._status: dict[str, Operation] = {}

    # ------------------------------------------------------------ to arrange

    def endpoint_there(self, resource: str, service: str, **changes: Any) -> Endpoint:
        """Puts an endpoint there, approved unless told otherwise."""
        found = Endpoint(
            resource, last_name(resource), "westeurope", SUBNET, service, SUCCEEDED, APPROVED, "", "", (self.address,)
        )
        self.endpoints_[resource.lower()] = found = replace(found, **changes)
        return found

    def network_there(self, network_id: str, **changes: Any) -> Network:
        """Puts a further VNet there."""
        network = replace(self.network_, id=network_id, name=last_name(network_id), subnets=(), **changes)
        self.networks_[network_id.lower()] = network
        return network

    def zone_there(
        self,
        name: str,
        *networks: str,
        group: str = GROUP,
        apex: tuple[str, ...] | None = None,
        records: Mapping[str, tuple[str, ...]] | None = None,
    ) -> Zone:
        """Puts a zone there with links and records; `apex` is the one at `@`."""
        zone = Zone(f"{group}/providers/Microsoft.Network/privateDnsZones/{name}", name)
        self.zones_[zone.id.lower()] = zone
        for network in networks:
            link_id = f"{zone.id}/virtualNetworkLinks/link-{last_name(network)}"
            self.links[link_id.lower()] = ZoneLink(
                link_id, last_name(link_id), zone.id, network, "Completed", SUCCEEDED
            )
        for relative, addresses in {**(records or {}), **({"@": apex} if apex else {})}.items():
            self.records[zone.id.lower(), relative] = ARecord(zone.id, relative, addresses, 3600)
        return zone

    def _called(self, method: str, then: Callable[[], T]) -> T:
        """One request: it may be the last, be refused, or have its answer lost."""
        self.calls.append(method)
        last = self.dies is not None and len(self.calls) == self.dies[0]
        if last and self.dies is not None and not self.dies[1]:
            raise Died
        if self.fails.get(method):
            refused = self.fails[method].pop(0)
            raise Died if last else refused
        answer = then()
        if self.loses.get(method):
            raise self.loses[method].pop(0)
        if last:
            raise Died
        return answer

    def _exists(self, resource: str) -> None:
        """If-None-Match on what is there is no 412 but an operation that fails (AZURE.md)."""
        self._status[resource.lower()] = Operation("Failed", "azure-changed-meanwhile", "PreconditionFailed")

    def _begin(self, resource: str, finish: Callable[[], None]) -> None:
        self._status[resource.lower()] = Operation("InProgress")
        self._work[resource.lower()] = (self.polls, finish)
        self._tick(0)

    def _tick(self, by: int = 1) -> None:
        for resource, (left, finish) in list(self._work.items()):
            self._work[resource] = (left - by, finish)
            if left - by <= 0:
                del self._work[resource]
                self._status[resource] = self.operation_failure or Operation("Succeeded")
                finish()

    # ------------------------------------------------------------ reader

    async def identity(self) -> AzureIdentity:
        return self._called("identity", lambda: self.me)

    async def sign_in(self, show: Callable[[SignInPrompt], None]) -> AzureIdentity:
        self.calls.append("sign_in")
        if self.fails.get("sign_in"):
            raise self.fails["sign_in"].pop(0)
        if self.prompt is not None:
            show(self.prompt)
        await self.signs_in.wait()
        return self.me

    async def subscriptions(self) -> tuple[Subscription, ...]:
        return self._called("subscriptions", lambda: (self.subscription, *self.others))

    async def resource_groups(self, subscription: str) -> tuple[ResourceGroup, ...]:
        return self._called("resource_groups", lambda: tuple(self.groups))

    async def networks(self, subscription: str) -> tuple[Network, ...]:
        return self._called("networks", lambda: (self.network_,))

    async def network(self, network_id: str) -> Network | None:
        known = {self.network_.id.lower(): self.network_, **self.networks_}
        return self._called("network", lambda: known.get(network_id.lower()))

    async def endpoint(self, endpoint_id: str) -> Endpoint | None:
        def read() -> Endpoint | None:
            self._tick()
            return self.endpoints_.get(endpoint_id.lower())

        return self._called("endpoint", read)

    async def endpoints(self, subscription: str) -> tuple[Endpoint, ...]:
        return self._called("endpoints", lambda: tuple(self.endpoints_.values()))

    async def zone_groups(self, endpoint_id: str) -> tuple[str, ...]:
        return self._called("zone_groups", lambda: self.zone_groups_.get(endpoint_id.lower(), ()))

    async def interface(self, nic_id: str) -> Interface | None:
        return self._called("interface", lambda: self.interfaces.get(nic_id.lower()))

    async def visible(self, subscription: str, location: str, alias: str) -> bool:
        return self._called("visible", lambda: location in self.seen_by)

    async def auto_approved(self, subscription: str, location: str) -> tuple[str, ...]:
        return self._called("auto_approved", lambda: self.approves)

    async def provider_registered(self, subscription: str, namespace: str) -> bool:
        return self._called("provider_registered", lambda: self.registered)

    async def permissions(self, scope: str, actions: Sequence[str]) -> tuple[Permission, ...]:
        told = tuple(Permission(scope, action, action not in self.denied) for action in actions)
        return self._called("permissions", lambda: told)

    async def zones(self, subscription: str) -> tuple[Zone, ...]:
        def read() -> tuple[Zone, ...]:
            self._tick()
            mine = subscription.lower()
            return tuple(one for one in self.zones_.values() if name_after(one.id, "subscriptions").lower() == mine)

        return self._called("zones", read)

    async def zone_links(self, zone_id: str) -> tuple[ZoneLink, ...]:
        def read() -> tuple[ZoneLink, ...]:
            self._tick()
            return tuple(one for one in self.links.values() if one.zone_id.lower() == zone_id.lower())

        return self._called("zone_links", read)

    async def a_record(self, zone_id: str, name: str) -> ARecord | None:
        return self._called("a_record", lambda: self.records.get((zone_id.lower(), name)))

    async def a_records(self, zone_id: str) -> tuple[ARecord, ...]:
        return self._called("a_records", lambda: tuple(r for (z, _), r in self.records.items() if z == zone_id.lower()))

    async def operation(self, resource_id: str) -> Operation:
        return self._called("operation", lambda: self._status.get(resource_id.lower(), Operation("")))

    # ------------------------------------------------------------ writer

    def acting_as(self, identity: AzureIdentity) -> World:
        self._acting = identity
        return self

    def _change(self, method: str, take: Callable[[], None]) -> None:
        """Whose the token is shows when it is sent, as in the SDK child."""
        if self.relogin is not None:
            self.me = self.relogin
        assert self._acting is not None, "nothing is changed as nobody"
        require_same(self._acting, self.me)
        self._called(method, take)

    async def create_endpoint(self, wanted: WantedEndpoint) -> None:
        key = wanted.id.lower()

        def take() -> None:
            self.writes.append(("create_endpoint", wanted.id))
            name, nic = last_name(wanted.id), f"{GROUP}/providers/Microsoft.Network/networkInterfaces/{wanted.nic_name}"
            self.endpoints_[key] = Endpoint(
                wanted.id, name, wanted.location, wanted.subnet_id, wanted.service, UPDATING, PENDING, "", nic
            )
            self.endpoints_[key] = replace(self.endpoints_[key], carried=wanted.carried)
            self._begin(wanted.id, finish)

        def finish() -> None:
            found = self.endpoints_[key]
            if self.operation_failure:
                self.endpoints_[key] = replace(found, provisioning=FAILED)
            else:
                self.endpoints_[key] = replace(
                    found, provisioning=SUCCEEDED, connection=self.connection, addresses=(self.address,)
                )

        self._change("create_endpoint", take)

    async def delete_endpoint(self, endpoint_id: str) -> None:
        key = endpoint_id.lower()

        def take() -> None:
            self.writes.append(("delete_endpoint", endpoint_id))
            self.endpoints_[key] = replace(self.endpoints_[key], provisioning=DELETING)
            self._begin(endpoint_id, finish)

        def finish() -> None:
            del self.endpoints_[key]

        self._change("delete_endpoint", take)

    async def create_zone(self, zone_id: str) -> None:
        def finish() -> None:
            if not self.operation_failure:
                self.zones_[zone_id.lower()] = Zone(zone_id, last_name(zone_id))

        def take() -> None:
            if zone_id.lower() in self.zones_:
                return self._exists(zone_id)
            self.writes.append(("create_zone", zone_id))
            return self._begin(zone_id, finish)

        self._change("create_zone", take)

    async def create_link(self, link_id: str, network_id: str) -> None:
        key, zone_id = link_id.lower(), link_id.partition("/virtualNetworkLinks/")[0]
        made = ZoneLink(link_id, last_name(link_id), zone_id, network_id, "InProgress", UPDATING)

        def take() -> None:
            assert zone_id.lower() in self.zones_, "a link needs its zone"
            if key in self.links:
                return self._exists(link_id)
            self.writes.append(("create_link", link_id))
            self.links[key] = made
            return self._begin(link_id, finish)

        def finish() -> None:
            self.links[key] = replace(made, state="Completed", provisioning=SUCCEEDED)

        self._change("create_link", take)

    async def set_a_record(self, record: ARecord, *, replacing: ARecord | None) -> None:
        key = (record.zone_id.lower(), record.name)

        def take() -> None:
            if self.records.get(key) != replacing:
                raise Problem("conflict", "The record is another one by now.")
            self.writes.append(("set_a_record", f"{last_name(record.zone_id)} {record.name}"))
            self.records[key] = record

        self._change("set_a_record", take)
