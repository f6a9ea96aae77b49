"""Azure as the session needs it: what is found there as plain structs, and the two ports (DESIGN.md section 3).

Ids are ARM Resource IDs as Azure spells them; compare them without case. No struct holds an SDK type, so that the
SDKs can run in another process. Every method raises `state.problem.Problem` for what the user must hear; its `code` is
Azure's error code in words of ours (wizard.adapters.azure_errors).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from state.problem import EXIT_BAD, Problem

ENABLED = "Enabled"
"""The state in which a subscription takes every change."""

NO_POLICIES = "Disabled"
"""The privateEndpointNetworkPolicies that a subnet for Private Endpoints should have (AZURE.md, "Errors")."""

FORBIDDEN = "forbidden"
"""Code of the Problem for what may not be read or changed."""

THROTTLED = "azure-throttled"
"""Code of the Problem for an Azure that asks to slow down; its `wait` is how long, where Azure says so."""

APPROVED, PENDING, REJECTED, DISCONNECTED = "Approved", "Pending", "Rejected", "Disconnected"
"""Connection states of a Private Endpoint; Azure may say others, which are shown as they are."""

SUCCEEDED, UPDATING, FAILED, CANCELED, DELETING = "Succeeded", "Updating", "Failed", "Canceled", "Deleting"
"""Provisioning states: how the last PUT or DELETE went, not whether the resource works. It is at rest in Succeeded,
Failed and Canceled; Succeeded is not Approved (AZURE.md)."""

CAME_TO_NOTHING = (FAILED, CANCELED)
"""The provisioning states in which the last PUT or DELETE has ended without doing what it asked for."""


# ---------------------------------------------------------------- what is found


@dataclass(frozen=True, slots=True)
class AzureIdentity:
    """As whom Azure is asked. Pinned by tenant and object id; `name` is for people (a user name or an app's id)."""

    tenant_id: str
    object_id: str
    name: str = ""


def who(identity: AzureIdentity) -> str:
    """An identity in words, as evidence names it."""
    named = f"{identity.name} " if identity.name else ""
    return f"{named}(tenant {identity.tenant_id}, object {identity.object_id})"


def require_same(wanted: AzureIdentity, found: AzureIdentity) -> None:
    """Raises Problem `other-identity`, naming both, when `found` is not the identity that is wanted."""
    if _key(wanted) != _key(found):
        raise Problem(
            "other-identity",
            f"Azure is asked as {who(found)} instead of {who(wanted)}.",
            means="It may see and change other things than this setup did, and nothing was changed.",
            todo=f"Sign in as the one this setup was begun with (`az login --tenant {wanted.tenant_id}`), "
            "or make a new setup.",
            exit_code=EXIT_BAD,
        )


def _key(identity: AzureIdentity) -> tuple[str, str]:
    return identity.tenant_id.lower(), identity.object_id.lower()


@dataclass(frozen=True, slots=True)
class SignInPrompt:
    """What the user must do to sign in: open `url` and type `code` there; both empty when a browser opens by itself.

    Both come from Microsoft's sign-in service: outside text, to be cleaned where it is drawn.
    """

    url: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription that can be read. `state` is Azure's: Enabled, Warned, PastDue, Disabled, Deleted."""

    id: str
    name: str
    state: str
    tenant_id: str = ""


@dataclass(frozen=True, slots=True)
class ResourceGroup:
    """A resource group."""

    id: str
    name: str
    location: str


@dataclass(frozen=True, slots=True)
class Subnet:
    """A subnet. `free` addresses, None when Azure does not tell enough to count them.

    `endpoint_policies` is privateEndpointNetworkPolicies: unless `Disabled`, creating an endpoint may be refused.
    """

    id: str
    name: str
    prefixes: tuple[str, ...] = ()
    free: int | None = None
    endpoint_policies: str = ""


@dataclass(frozen=True, slots=True)
class Network:
    """A VNet. `dns_servers`: its own ones; then linked zones are asked only where those forward to Azure.

    `prefixes`: its address space.
    """

    id: str
    name: str
    location: str
    dns_servers: tuple[str, ...] = ()
    subnets: tuple[Subnet, ...] = ()
    prefixes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IpConfiguration:
    """A private IP that was chosen for an endpoint, instead of the next free one. `group` and `member` say what of the
    service it is for, empty for a link service."""

    name: str
    address: str
    group: str = ""
    member: str = ""


@dataclass(frozen=True, slots=True)
class Carried:
    """What somebody gave an endpoint beside its connection, and what one that is made in its place must be given, too:
    tags, chosen private IPs, and the application security groups it is in, by Resource ID."""

    tags: tuple[tuple[str, str], ...] = ()
    ip_configurations: tuple[IpConfiguration, ...] = ()
    security_groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A Private Endpoint. `service` is the alias or Resource ID it connects to, `connection` its connection state,
    `message` what the other side says of it. `addresses` are its private IPs, read from its network interface."""

    id: str
    name: str
    location: str
    subnet_id: str
    service: str
    provisioning: str
    connection: str
    message: str = ""
    nic_id: str = ""
    addresses: tuple[str, ...] = ()
    carried: Carried = Carried()


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface. `endpoint_id`: the Private Endpoint it belongs to, empty when it is of something else."""

    id: str
    endpoint_id: str = ""


@dataclass(frozen=True, slots=True)
class Zone:
    """A private DNS zone."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class ZoneLink:
    """A zone's link to a VNet. `state` is virtualNetworkLinkState: Completed, InProgress."""

    id: str
    name: str
    zone_id: str
    network_id: str
    state: str = ""
    provisioning: str = ""


@dataclass(frozen=True, slots=True)
class ARecord:
    """An A record set; `name` is relative to its zone, `@` at its apex. `ttl` in seconds."""

    zone_id: str
    name: str
    addresses: tuple[str, ...]
    ttl: int


@dataclass(frozen=True, slots=True)
class Permission:
    """One action at a scope. `allowed` is likely, never certain: policies, deny assignments, locks and PIM are not
    shown by Azure. None: it could not be asked."""

    scope: str
    action: str
    allowed: bool | None


@dataclass(frozen=True, slots=True)
class Operation:
    """Where an operation that this process began stands: `InProgress`, `Succeeded`, `Failed`, `Canceled`, or empty
    when it is not known any more (another process began it): then the resource itself tells.

    Of one that failed: `problem`, `means` and `todo` as of a Problem; `code` and `message` are Azure's own.
    """

    status: str
    problem: str = ""
    code: str = ""
    message: str = ""
    means: str = ""
    todo: str = ""


# ---------------------------------------------------------------- what is wanted


@dataclass(frozen=True, slots=True)
class WantedEndpoint:
    """An endpoint to create. It is always asked for as a manual connection; an alias allows no other (AZURE.md)."""

    id: str
    location: str
    subnet_id: str
    service: str
    nic_name: str
    message: str = field(default="")
    carried: Carried = Carried()


# ---------------------------------------------------------------- ports


class AzureReader(Protocol):
    """Looks. Every request is a GET, but for the visibility POST, which changes nothing.

    Lists hold everything that can be read, pages put together. A thing that is not there is None; one that may not be
    read raises Problem `forbidden`.
    """

    async def identity(self) -> AzureIdentity: ...

    async def sign_in(self, show: Callable[[SignInPrompt], None]) -> AzureIdentity:
        """Signs in and says as whom; `show` is told what to do meanwhile, where somebody has to do something."""
        ...

    async def subscriptions(self) -> tuple[Subscription, ...]: ...

    async def resource_groups(self, subscription: str) -> tuple[ResourceGroup, ...]: ...

    async def networks(self, subscription: str) -> tuple[Network, ...]: ...

    async def network(self, network_id: str) -> Network | None: ...

    async def endpoint(self, endpoint_id: str) -> Endpoint | None:
        """The endpoint with its private IPs; without them where its network interface may not be read."""
        ...

    async def endpoints(self, subscription: str) -> tuple[Endpoint, ...]:
        """All of a subscription, with their private IPs: the pages of two lists, whatever their number."""
        ...

    async def zone_groups(self, endpoint_id: str) -> tuple[str, ...]:
        """The names of an endpoint's DNS zone groups: they write its address into zones, and go away with it."""
        ...

    async def interface(self, nic_id: str) -> Interface | None: ...

    async def visible(self, subscription: str, location: str, alias: str) -> bool: ...

    async def auto_approved(self, subscription: str, location: str) -> tuple[str, ...]:
        """Resource IDs of the services that approve this subscription's endpoints by themselves."""
        ...

    async def provider_registered(self, subscription: str, namespace: str) -> bool: ...

    async def permissions(self, scope: str, actions: Sequence[str]) -> tuple[Permission, ...]: ...

    async def zones(self, subscription: str) -> tuple[Zone, ...]: ...

    async def zone_links(self, zone_id: str) -> tuple[ZoneLink, ...]:
        """The links of a zone to VNets; none when there is no zone."""
        ...

    async def a_record(self, zone_id: str, name: str) -> ARecord | None: ...

    async def a_records(self, zone_id: str) -> tuple[ARecord, ...]:
        """All A record sets of a zone; none when there is no zone."""
        ...


class AzureChanges(Protocol):
    """Begins a change, as one identity, and returns at once.

    A change is one request. None is ever sent a second time for the same plan: what it left is read instead. Raises
    Problem `other-identity`, with nothing sent, when the token in use by then is somebody else's.
    """

    async def create_endpoint(self, wanted: WantedEndpoint) -> None: ...

    async def delete_endpoint(self, endpoint_id: str) -> None: ...

    async def create_zone(self, zone_id: str) -> None:
        """Only when it is not there yet (If-None-Match)."""
        ...

    async def create_link(self, link_id: str, network_id: str) -> None:
        """Only when it is not there yet; without automatic registration."""
        ...

    async def set_a_record(self, record: ARecord, *, replacing: ARecord | None) -> None:
        """Writes the whole record set: a new one only when there is none, else only over `replacing`, whose metadata
        stays."""
        ...


class AzureWriter(Protocol):
    """Changes Azure. How a change goes is asked by `operation`, and by reading the resource."""

    def acting_as(self, identity: AzureIdentity) -> AzureChanges:
        """The changes, which are sent as this identity alone.

        Who is signed in may change at any moment, in another terminal: that it was this one a moment ago does not
        tell whose token a request gets.
        """
        ...

    async def operation(self, resource_id: str) -> Operation:
        """Where the last change of that resource, begun by this process, stands. One request at most."""
        ...
