"""The emulated Azure as one thing: who the customer is, what exists, who owns the link services, where it is kept."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from wizard.sandbox import faults as known
from wizard.sandbox.arm.access import Access
from wizard.sandbox.arm.faults import Faults
from wizard.sandbox.arm.ids import parse
from wizard.sandbox.arm.messages import Obj
from wizard.sandbox.arm.store import Store
from wizard.sandbox.arm.timing import Timing
from wizard.sandbox.portal import Portal
from wizard.sandbox.state_file import StateFile

VNET_PREFIX, SUBNET_PREFIX = "10.60.0.0/16", "10.60.1.0/24"
"""`Portal.private_ip` is the first address that Azure gives away in this subnet."""


@dataclass(frozen=True, slots=True)
class LinkService:
    """A private link service. `own`: it belongs to the customer's tenant, so its owner is who asks."""

    id: str
    alias: str
    location: str
    own: bool


class Arm:
    """One tenant, seen by one managed identity whose object id is `object_id`.

    `state_path`: the file it is kept in (None: nowhere); with one that exists it goes on from there, and raises
    Problem when it cannot be read. Of `faults` those are known that `wizard.sandbox.faults` says Azure has.
    """

    def __init__(
        self,
        portal: Portal,
        *,
        object_id: str,
        state_path: Path | None = None,
        faults: frozenset[str] = frozenset(),
        timing: Timing | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.portal = portal
        self.faults = Faults(faults)
        self.access = Access(object_id, may_write=known.ARM_FORBIDDEN not in faults)
        self.timing = self.faults.slowed(timing or Timing())
        self.services = _services(portal)
        self.store = Store(portal.vnet_id, clock)
        self._file = StateFile(state_path, "Azure") if state_path else None
        saved = self._file.read() if self._file else None
        if self._file and saved is not None:
            try:
                self.store.load(saved)
            except (KeyError, TypeError, ValueError) as error:
                raise self._file.unusable(f"{type(error).__name__}: {error}") from error
        else:
            _seed(self.store, portal, self.services[1])
        if known.NOT_REGISTERED in faults:
            self.store.unregister(portal.subscription_id)
        self.flush()

    def flush(self) -> None:
        """Save now what is not yet saved; called before a reply is sent."""
        if self._file and self.store.changed:
            self._file.write(self.store.dump())
        self.store.changed = False

    def service(self, named: str) -> LinkService | None:
        """The link service of that alias or Resource ID, None when there is none, or nobody may see it."""
        wanted = named.lower()
        for service in self.services:
            if wanted in (service.alias.lower(), service.id.lower()):
                return service if service.own or not self.faults.has(known.INVALID_ALIAS) else None
        return None

    def approves(self, service: LinkService, subscription: str) -> bool:
        """Whether the service's owner lets the subscription's endpoints in unasked."""
        if service.own:
            return self.store.find(f"/subscriptions/{subscription}") is not None
        return self.store.is_registered(subscription)


def _services(portal: Portal) -> tuple[LinkService, LinkService]:
    """The vendor's, and the customer's own."""
    own = parse(portal.own_link_service_id)
    name = own.name if own else "own"
    # The portal gives the own service no alias; one that follows from its ID stays the same over restarts.
    alias = f"{name}.{uuid.uuid5(uuid.NAMESPACE_URL, portal.own_link_service_id)}.{portal.location}"
    return (
        LinkService(portal.link_service_id, portal.alias, portal.location, own=False),
        LinkService(portal.own_link_service_id, f"{alias}.azure.privatelinkservice", portal.location, own=True),
    )


def _seed(store: Store, portal: Portal, own_service: LinkService) -> None:
    """What the customer has before the first step."""
    subscription = f"/subscriptions/{portal.subscription_id}"
    group = f"{subscription}/resourceGroups/{portal.resource_group}"
    done = {"provisioningState": "Succeeded"}
    place = {"location": portal.location}
    add_subscription(store, portal.subscription_id, "Sandbox", portal.tenant_id)
    store.put(resource(group, "Microsoft.Resources/resourceGroups", done, **place))
    network = {
        **done,
        "resourceGuid": str(uuid.uuid4()),
        "addressSpace": {"addressPrefixes": [VNET_PREFIX]},
        "dhcpOptions": {"dnsServers": []},
        "virtualNetworkPeerings": [],
        "enableDdosProtection": False,
    }
    store.put(resource(portal.vnet_id, "Microsoft.Network/virtualNetworks", network, **place))
    subnet = {
        **done,
        "addressPrefix": SUBNET_PREFIX,
        "delegations": [],
        "privateEndpointNetworkPolicies": "Disabled",
        "privateLinkServiceNetworkPolicies": "Enabled",
    }
    store.put(resource(portal.subnet_id, "Microsoft.Network/virtualNetworks/subnets", subnet))
    mine = {"subscriptions": [portal.subscription_id]}
    service = {**done, "alias": own_service.alias, "visibility": mine, "autoApproval": mine}
    store.put(resource(own_service.id, "Microsoft.Network/privateLinkServices", service, **place))
    store.register(portal.subscription_id)


def add_subscription(store: Store, subscription: str, name: str, tenant: str) -> None:
    """A subscription that can be read; the vendor's portal does not know it yet."""
    store.put(
        {
            **resource(f"/subscriptions/{subscription}", "Microsoft.Resources/subscriptions", {}),
            "subscriptionId": subscription,
            "tenantId": tenant,
            "displayName": name,
            "state": "Enabled",
        }
    )


def resource(resource_id: str, kind: str, properties: Obj, **more: object) -> Obj:
    """A resource as Azure spells it, without its etag."""
    return {"id": resource_id, "name": resource_id.rpartition("/")[2], "type": kind, **more, "properties": properties}
