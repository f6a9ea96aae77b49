"""The guide "Azure Private Link for a hybrid Data Processing Engine", self-service.

Follows Ataccama's document of that name, eight steps, in our own words. A field's format is an identifier kind
(wizard.identifiers); what several fields must say together is a rule here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from wizard.guide import (
    ALREADY_DONE,
    AZURE,
    DO_IT_FOR_ME,
    HAND_OFF,
    HELM,
    Action,
    Attestation,
    Batch,
    Check,
    Field,
    Finding,
    Guide,
    ItemKind,
    ListOf,
    Reads,
    Reference,
    Step,
)
from wizard.identifiers.arm_id import name_after
from wizard.identifiers.names import PRIVATE_ENDPOINT
from wizard.view import View

if TYPE_CHECKING:
    from wizard.ports import Readers

SUBSCRIPTION = "subscription"
ENDPOINT = "endpoint"
DPE = "dpe"

CLUSTER_LOOKUP = "cluster-lookup"
"""The look that alone proves step 5 to step 8: what the DPE itself is answered."""

_HOSTS = ("dpm_host", "minio_host")
_AZURE_HINT = "Check the sign-in with `privatelink-wizard doctor`."
_CLUSTER_HINT = "Check the kubeconfig and context with `privatelink-wizard doctor`."

PUBLIC_UNTIL_DNS = (
    "Until DNS answers with the private address, the DPE goes on over the public internet, and everything looks fine."
)
UPGRADE_LAG = (
    "When the platform is upgraded, its ingress changes too: a DPE left on an older version has its jobs fail until "
    "it is upgraded."
)


# ---------------------------------------------------------------- what several fields must say together


def _subnet_in_vnet(subnet: str, view: View) -> str | None:
    vnet = view.value("vnet")
    if not vnet or subnet.lower().startswith(vnet.lower() + "/"):
        return None
    theirs, ours = (name_after(one, "virtualNetworks").lower() for one in (subnet, vnet))
    return f"this subnet is in {theirs}, the VNet above is {ours}"


def _endpoint_matches(endpoint_id: str, view: View) -> str | None:
    for label, segment, key in (
        ("subscription", "subscriptions", "subscription_id"),
        ("resource group", "resourceGroups", "resource_group"),
        ("endpoint", "privateEndpoints", "endpoint_name"),
    ):
        wanted, found = view.value(key).lower(), name_after(endpoint_id, segment).lower()
        if wanted and found != wanted:
            return f"this ID names {label} {found}, but this endpoint's {label} is {wanted}: copy its own Resource ID"
    return None


def _hosts_differ(minio_host: str, view: View) -> str | None:
    if minio_host == view.value("dpm_host"):
        return "this is the DPM address: copy the MinIO address, it stands below it"
    return None


def _chart_at_registry(chart: str, view: View) -> str | None:
    registry, host = view.value("registry"), chart.removeprefix("oci://").partition("/")[0]
    if registry and host.lower() != registry.lower():
        return f"this chart is at {host}, but the login is for {registry}: copy both commands from the same page"
    return None


def _vnet_of_subnet(view: View) -> str | None:
    setting = view.setting("subnet")
    return setting.value.partition("/subnets/")[0] if setting and setting.value else None


# ---------------------------------------------------------------- what follows from other values


_STEPS_2_AND_3 = "from steps 2 and 3"


def _network(view: View) -> str:
    """How the Resource ID of anything in the endpoint's resource group begins, as far as that is known."""
    subscription, group = view.value("subscription_id"), view.value("resource_group")
    if not subscription:
        return ""
    begun = f"/subscriptions/{subscription}/resourceGroups/"
    return f"{begun}{group}/providers/Microsoft.Network/" if group else begun


def _vnet_begun(view: View) -> str | None:
    begun = _network(view)
    return f"{begun}virtualNetworks/" if begun.endswith("Microsoft.Network/") else begun or None


def _subnet_begun(view: View) -> str | None:
    vnet = view.value("vnet")
    return f"{vnet}/subnets/" if vnet else _vnet_begun(view)


def _endpoint_name(view: View) -> str | None:
    """A name nobody has to invent: as the endpoint is called here, marked as one; None where another would get it."""
    own = view.name(ENDPOINT)
    name = (own if own.startswith("pe-") else f"pe-{own}")[: PRIVATE_ENDPOINT.longest].rstrip("-")
    others = [one for one in view.snapshot.items.get(ENDPOINT, ()) if one != own]
    free = own and name not in others and PRIVATE_ENDPOINT.check(name, open_end=False).state == "ok"
    return name if free else None


def _own_endpoint_id(view: View) -> str | None:
    begun, name = _network(view), view.value("endpoint_name")
    return f"{begun}privateEndpoints/{name}" if begun.endswith("Microsoft.Network/") and name else None


# ---------------------------------------------------------------- what looks and acts
# Imported when somebody looks or acts: `list` reads a guide too, and has a start-up budget (DESIGN.md section 8).


def _subscriptions(view: View, reads: Reads) -> AsyncIterator[Batch]:
    from wizard.actions.azure_lists import subscriptions

    return subscriptions(view, reads)


def _resource_groups(view: View, reads: Reads) -> AsyncIterator[Batch]:
    from wizard.actions.azure_lists import resource_groups

    return resource_groups(view, reads)


def _vnets(view: View, reads: Reads) -> AsyncIterator[Batch]:
    from wizard.actions.azure_lists import vnets

    return vnets(view, reads)


def _subnets(view: View, reads: Reads) -> AsyncIterator[Batch]:
    from wizard.actions.azure_lists import subnets

    return subnets(view, reads)


async def _subscription(view: View, readers: Readers) -> Finding:
    from wizard.actions.azure_proof import check_subscription

    return await check_subscription(view, readers)


async def _endpoint(view: View, readers: Readers) -> Finding:
    from wizard.actions.azure_proof import check_endpoint

    return await check_endpoint(view, readers)


async def _other_endpoints(view: View, readers: Readers) -> Finding:
    from wizard.actions.azure_proof import check_other_endpoints

    return await check_other_endpoints(view, readers)


async def _endpoint_id(view: View, readers: Readers) -> Finding:
    from wizard.actions.azure_proof import check_endpoint_id

    return await check_endpoint_id(view, readers)


async def _records(view: View, readers: Readers) -> Finding:
    from wizard.actions.azure_proof import check_records

    return await check_records(view, readers, hosts=_HOSTS, address="private_ip", network="cluster_vnet")


async def _resolver_here(view: View, readers: Readers) -> Finding:
    from wizard.actions.resolver import resolver_here

    return await resolver_here(view, readers, hosts=_HOSTS, address="private_ip", server="dns_server")


async def _cluster_lookup(view: View, readers: Readers) -> Finding:
    from wizard.actions.cluster_lookup import cluster_lookup

    return await cluster_lookup(
        view,
        readers,
        hosts=_HOSTS,
        address="private_ip",
        release="release",
        namespace="namespace",
        records="records",
    )


async def _release(view: View, readers: Readers) -> Finding:
    from wizard.actions.helm_proof import check_release

    return await check_release(view, readers)


async def _configured_hosts(view: View, readers: Readers) -> Finding:
    from wizard.actions.helm_proof import check_hosts

    return await check_hosts(view, readers, hosts=_HOSTS)


async def _workloads(view: View, readers: Readers) -> Finding:
    from wizard.actions.helm_proof import check_workloads

    return await check_workloads(view, readers)


def _vendor_message(view: View) -> str:
    from wizard.actions.azure_proof import message_of_last_look

    return message_of_last_look(view, "endpoint")


def _private_endpoint() -> Action:
    from wizard.actions.private_endpoint import PrivateEndpoint

    return PrivateEndpoint(fills_id="endpoint_id")


def _private_dns() -> Action:
    from wizard.actions.private_dns import PrivateDns

    return PrivateDns(hosts=_HOSTS, address="private_ip", network="cluster_vnet")


def _helm_release() -> Action:
    from wizard.actions.helm_release import HelmRelease

    return HelmRelease(hosts=_HOSTS, token="token")  # noqa: S106 - the name of a field


# ---------------------------------------------------------------- what Azure knows

_SUBSCRIPTIONS = ListOf(
    "subscription",
    "subscriptions",
    _subscriptions,
    columns=(("Subscription ID", 36), ("State", 9), ("Tenant", 36)),
)
_GROUPS = ListOf(
    "resource group", "resource groups", _resource_groups, needs=("subscription_id",), columns=(("Region", 18),)
)
_VNETS = ListOf(
    "VNet",
    "VNets",
    _vnets,
    needs=("subscription_id",),
    columns=(("Address space", 18), ("Free", 6), ("Region", 14), ("Group", 20), ("Subscription", 20)),
)
_SUBNETS = ListOf(
    "subnet",
    "subnets",
    _subnets,
    needs=("subscription_id", "vnet"),
    columns=(("Addresses", 18), ("Free", 6), ("VNet", 16), ("Group", 20), ("Subscription", 20)),
)

# ---------------------------------------------------------------- the steps

CONNECTIVITY = Step(
    id="connectivity",
    number=1,
    title="Connectivity settings",
    short="Connectivity",
    why="The portal shows the values of the next steps only after Azure PrivateLink is chosen for this environment.",
    instructions=(
        "Open the Ataccama Cloud Portal and choose the environment.",
        "Go to Settings, section Kubernetes self-managed DPE, and choose Edit connectivity.",
        "Choose Azure PrivateLink. Leave the page open: steps 2 to 6 happen on it.",
    ),
    fields=(
        Field(
            "environment_name",
            "Environment name",
            "environment-name",
            where="the name in the portal's list of environments",
            sample="production",
        ),
    ),
    attest=Attestation(
        "azure-privatelink-chosen",
        1,
        lambda view: (
            f"In the portal, Azure PrivateLink is chosen for the environment {view.value('environment_name')}."
        ),
    ),
)

REGISTER = Step(
    id="register",
    number=2,
    title="Register subscription",
    short="Subscription",
    why="The vendor's service lets in endpoints of registered subscriptions by itself. An endpoint from another one "
    "stays Pending, and nobody is told.",
    instructions=(
        "In the Azure portal, open Subscriptions and copy the ID of the subscription the endpoint will live in.",
        "In the vendor's portal, paste it under Azure Subscription ID and press Register.",
    ),
    per=(SUBSCRIPTION,),
    fields=(
        Field(
            "subscription_id",
            "Subscription ID",
            "subscription-id",
            owner=SUBSCRIPTION,
            where="Azure portal, Subscriptions, column Subscription ID",
            sample="8d2f41c7-5b1e-4f0a-9a77-0c1d2e3f4a5b",
            lists=_SUBSCRIPTIONS,
        ),
    ),
    after=("connectivity",),
    attest=Attestation(
        "subscription-registered",
        1,
        lambda view: f"In the portal, the subscription {view.value('subscription_id')} is registered.",
    ),
    # That it is registered shows at the endpoint only, so this look proves nothing by itself.
    checks=(Check("subscription", "Subscription", _AZURE_HINT, _subscription, proves=False, deadline=60.0),),
)

CREATE_ENDPOINT = Step(
    id="endpoint",
    number=3,
    title="Create Private Endpoint",
    short="Endpoint",
    why="The Private Endpoint is the vendor's service as an address inside your own network. All the DPE's traffic "
    "will go to that address.",
    instructions=(
        "In the vendor's portal, copy the PrivateLink service name (alias).",
        "In the Azure portal, open Private Link Center and create a Private Endpoint in the registered subscription, "
        "in the VNet's region.",
        "On the page Resource, choose Connect to an Azure resource by resource ID or alias, and paste the alias.",
        "When it is created, open it: its connection state must say Approved. Its network interface shows the "
        "private IP.",
    ),
    per=(ENDPOINT,),
    fields=(
        Field(
            "link_service",
            "Link service alias",
            "link-service",
            owner=ENDPOINT,
            where="vendor's portal, PrivateLink service name (alias)",
            sample="prefix.{guid}.westeurope.azure.privatelinkservice",
        ),
        Field(
            "resource_group",
            "Resource group",
            "resource-group",
            owner=ENDPOINT,
            where="the group the endpoint is created in",
            sample="rg-net-data",
            lists=_GROUPS,
        ),
        Field(
            "vnet",
            "VNet",
            "vnet-id",
            owner=ENDPOINT,
            where="Azure portal, Virtual networks, Properties, Resource ID",
            required=False,
            default=_vnet_of_subnet,
            offer=_vnet_begun,
            offer_source=_STEPS_2_AND_3,
            lists=_VNETS,
        ),
        Field(
            "subnet",
            "Subnet",
            "subnet-id",
            owner=ENDPOINT,
            where="the VNet's Resource ID with /subnets/ and the subnet's name behind it",
            rule=_subnet_in_vnet,
            offer=_subnet_begun,
            offer_source=_STEPS_2_AND_3,
            lists=_SUBNETS,
        ),
        Field(
            "endpoint_name",
            "Endpoint name",
            "endpoint-name",
            owner=ENDPOINT,
            where="the name the endpoint gets, or has",
            sample="pe-ataccama-weu",
            offer=_endpoint_name,
            offer_source="suggested",
        ),
        Field(
            "private_ip",
            "Private IP",
            "private-ip",
            owner=ENDPOINT,
            where="Azure portal, the endpoint, Network interface, Private IPv4 address",
            sample="10.20.1.4",
            from_action=True,
        ),
    ),
    uses=("subscription_id",),
    after=("register",),
    routes=(DO_IT_FOR_ME, HAND_OFF, ALREADY_DONE),
    team="network team",
    action=_private_endpoint,
    doer=AZURE,
    obstacles=("dead_endpoint",),
    message=_vendor_message,
    usual=(20.0, 90.0),
    checks=(
        Check("endpoint", "Private Endpoint", _AZURE_HINT, _endpoint, deadline=60.0),
        Check("other-endpoints", "Other endpoints", _AZURE_HINT, _other_endpoints, proves=False, deadline=60.0),
    ),
    attest=Attestation(
        "endpoint-approved",
        1,
        lambda view: (
            f"In the Azure portal, the Private Endpoint {view.value('endpoint_name')} in "
            f"{view.value('resource_group')} is provisioned, its connection to "
            f"{view.value('link_service')} is Approved, and its private IP is {view.value('private_ip')}."
        ),
        unless_proven=True,
    ),
)

PROVIDE_ID = Step(
    id="resource-id",
    number=4,
    title="Provide the Resource ID",
    short="Resource ID",
    why="The vendor's ingress lets in the connections of the endpoints it was told of, and no others.",
    instructions=(
        "In the Azure portal, open the Private Endpoint, Properties, and copy its Resource ID.",
        "In the vendor's portal, paste it under Private Endpoint Resource ID and press Add.",
    ),
    per=(ENDPOINT,),
    fields=(
        Field(
            "endpoint_id",
            "Resource ID",
            "endpoint-id",
            owner=ENDPOINT,
            where="Azure portal, the endpoint, Properties, Resource ID",
            rule=_endpoint_matches,
            from_action=True,
            offer=_own_endpoint_id,
            offer_source=_STEPS_2_AND_3,
        ),
    ),
    uses=("subscription_id", "endpoint_name", "resource_group"),
    after=("endpoint",),
    attest=Attestation(
        "resource-id-added",
        1,
        lambda view: f"In the portal, the Resource ID {view.value('endpoint_id')} is added.",
    ),
    checks=(Check("live-id", "Live Resource ID", _AZURE_HINT, _endpoint_id, proves=False, deadline=60.0),),
)

DNS = Step(
    id="dns",
    number=5,
    title="DNS records",
    short="DNS",
    why="The DPE finds the vendor by two host names. Only when they resolve to the endpoint's private IP, inside the "
    "cluster, does its traffic stay private.",
    instructions=(
        "In the vendor's portal, note the DPM address and the MinIO address.",
        "In your Azure private DNS zone, or your own DNS, create an A record for each that points to the endpoint's "
        "private IP. One zone per host name is safest: a zone of the whole domain hides every other name in it.",
        "Link the zone to the VNet of the cluster. A VNet with its own DNS servers must forward to 168.63.129.16.",
    ),
    per=(DPE, ENDPOINT),
    fields=(
        Field(
            "dpm_host",
            "DPM host",
            "hostname",
            owner=DPE,
            where="vendor's portal, DPM address",
            sample="dpm-43ooq-worker-01-eus1.ataccama.link",
        ),
        Field(
            "minio_host",
            "MinIO host",
            "hostname",
            owner=DPE,
            where="vendor's portal, MinIO address",
            sample="minio-43ooq-worker-01-eus1.ataccama.link",
            rule=_hosts_differ,
        ),
        Field(
            "cluster_vnet",
            "VNet of the DPE",
            "vnet-id",
            owner=DPE,
            where="the VNet the cluster is in, where it is not the endpoint's: the zones are linked to it",
            required=False,
            default=lambda view: view.value("vnet") or None,
            lists=_VNETS,
        ),
        Field(
            "dns_server",
            "DNS server to ask",
            "dns-server",
            owner=DPE,
            where="optional: one to compare with this machine's resolver, such as your own DNS in the VNet",
            sample="10.20.0.10",
            required=False,
            affects_proof=False,
        ),
    ),
    uses=("private_ip", "subscription_id", "resource_group"),
    after=("endpoint",),
    routes=(DO_IT_FOR_ME, HAND_OFF, ALREADY_DONE),
    team="DNS team",
    action=_private_dns,
    doer=AZURE,
    obstacles=("other_record",),
    observed_by=CLUSTER_LOOKUP,
    usual=(20.0, 90.0),
    warnings=(PUBLIC_UNTIL_DNS,),
    attest=Attestation(
        "records-created",
        1,
        lambda view: (
            f"DNS in the network of {view.name(DPE)} answers {view.value('dpm_host')} and {view.value('minio_host')} "
            f"with {view.value('private_ip')}, the private IP of {view.name(ENDPOINT)}."
        ),
        unless_proven=True,
    ),
    checks=(
        Check(
            CLUSTER_LOOKUP,
            "Inside the cluster",
            _CLUSTER_HINT,
            _cluster_lookup,
            proves=False,
            settles=True,
            uses=("release", "namespace"),
            asks_cluster=True,
            probe=True,
            deadline=120.0,
        ),
        Check("records", "Azure's DNS records", _AZURE_HINT, _records, proves=False, suffices=True, deadline=60.0),
        Check(
            "resolver-here",
            "Resolvers from here",
            "Run it on a machine inside the VNet to see what the cluster sees.",
            _resolver_here,
            proves=False,
        ),
    ),
)

REDEPLOY = Step(
    id="redeploy",
    number=6,
    title="Save and redeploy",
    short="Redeploy",
    why="The vendor's side takes over the settings of the steps before. Its values file is only right after that.",
    instructions=(
        "In the vendor's portal, press Save and redeploy.",
        "Wait until it says that the redeployment is complete; that takes some minutes.",
    ),
    uses=("endpoint_id",),
    after=("resource-id", "dns"),
    attest=Attestation(
        "redeployed",
        1,
        lambda view: "In the portal, Save and redeploy was pressed, and the redeployment is complete.",
    ),
)

UPDATE = Step(
    id="update-dpe",
    number=7,
    title="Update DPE",
    why="The DPE gets the private settings as a new helm revision.",
    instructions=(
        "In the vendor's portal, go to Update DPE. Copy both helm commands, and copy the token.",
        "Download values.yml there, after step 6 and not before.",
        "Paste the commands here; registry, user, release, chart and version are taken out of them.",
    ),
    per=(DPE,),
    fields=(
        Field("registry", "Registry", "registry", owner=DPE, where="behind `helm registry login`"),
        Field("username", "Registry user", "registry-user", owner=DPE, where="behind -u in the login command"),
        Field(
            "token",
            "Registry token",
            "token",
            owner=DPE,
            secret=True,
            where="vendor's portal, Copy token to clipboard",
        ),
        Field(
            "chart",
            "Chart",
            "chart-ref",
            owner=DPE,
            where="the oci:// address in the upgrade command",
            rule=_chart_at_registry,
        ),
        Field("version", "Chart version", "chart-version", owner=DPE, where="behind --version in the upgrade command"),
        Field("release", "Release", "release-name", owner=DPE, where="behind `helm upgrade --install`"),
        Field(
            "namespace",
            "Namespace",
            "namespace",
            owner=DPE,
            where="the namespace the DPE runs in: helm list --all-namespaces",
        ),
        Field(
            "values_file",
            "Values file",
            "values-path",
            owner=DPE,
            is_file=True,
            where="vendor's portal, Download values.yml",
        ),
        Field(
            "timeout",
            "Timeout",
            "duration",
            owner=DPE,
            where="how long helm waits for the pods",
            required=False,
            affects_proof=False,
            default=lambda view: "10m",
        ),
    ),
    uses=("dpm_host", "minio_host"),
    after=("redeploy",),
    routes=(DO_IT_FOR_ME,),
    warnings=(UPGRADE_LAG,),
    action=_helm_release,
    doer=HELM,
    obstacles=("pending_release",),
    usual=(120.0, 240.0),
    checks=(
        Check(
            "release",
            "Release",
            _CLUSTER_HINT,
            _release,
            asks_cluster=True,
            deadline=30.0,
        ),
        Check(
            "workloads",
            "Workloads",
            _CLUSTER_HINT,
            _workloads,
            asks_cluster=True,
            deadline=30.0,
        ),
        Check(
            "hosts",
            "Configured hosts",
            _CLUSTER_HINT,
            _configured_hosts,
            proves=False,
            asks_cluster=True,
            deadline=30.0,
        ),
    ),
)

MARK_UPDATED = Step(
    id="mark-updated",
    number=8,
    title="Mark as updated",
    why="It tells the vendor that the private connection is in use. That should be true, so it asks for proof.",
    instructions=(
        "Make sure that the endpoint, DNS and the DPE were observed to be right, not only said to be.",
        "In the vendor's portal, section Kubernetes self-managed DPE, press Mark as updated.",
    ),
    per=(DPE,),
    uses=("endpoint_id", "private_ip", "dpm_host", "minio_host", "version", "release", "namespace"),
    after=("update-dpe",),
    needs_observed=("endpoint", "dns", "update-dpe"),
    attest=Attestation(
        "marked-updated",
        1,
        lambda view: f"In the portal, {view.name(DPE)} is marked as updated.",
    ),
)

GUIDE = Guide(
    id="ataccama-azure",
    version=1,
    title="Azure Private Link for a hybrid DPE",
    source="Ataccama documentation, Azure Private Link for Hybrid DPE",
    steps=(CONNECTIVITY, REGISTER, CREATE_ENDPOINT, PROVIDE_ID, DNS, REDEPLOY, UPDATE, MARK_UPDATED),
    unique=(("subscription_id",), ("endpoint_id",), ("release", "namespace")),
    kinds=(
        ItemKind(SUBSCRIPTION, "Subscription"),
        ItemKind(ENDPOINT, "Private Endpoint", references=(Reference("subscription", SUBSCRIPTION),)),
        ItemKind(DPE, "DPE", linked_to=(ENDPOINT,)),
    ),
)
