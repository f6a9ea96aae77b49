"""VNets, link services and private endpoints, asked for with the real SDK."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.mgmt.network import models

from tests.sandbox.arm.served import FAST, Azure, connection, connection_to, refused, until
from wizard.sandbox.arm.pages import PAGE_SIZE
from wizard.sandbox.arm.timing import Timing
from wizard.sandbox.arm.world import add_subscription, resource

SEEN = Timing(endpoint=3.0)
"""Long enough that an operation is seen under way, also on a busy machine."""


def nic_of(azure: Azure, endpoint: models.PrivateEndpoint) -> models.NetworkInterface:
    assert endpoint.network_interfaces
    name = str(endpoint.network_interfaces[0].id).rpartition("/")[2]
    return azure.network().network_interfaces.get(azure.group, name)


def address(nic: models.NetworkInterface) -> str:
    assert nic.ip_configurations
    return str(nic.ip_configurations[0].private_ip_address)


def test_the_network_is_the_portals(azure):
    client = azure.network()
    (network,) = client.virtual_networks.list_all()
    assert (network.id, network.location) == (azure.portal.vnet_id, azure.portal.location)
    assert network.dhcp_options.dns_servers == []
    (subnet,) = network.subnets
    assert subnet.id == azure.portal.subnet_id
    assert subnet.private_endpoint_network_policies == "Disabled"
    assert not subnet.ip_configurations
    assert [each.id for each in client.virtual_networks.list(azure.group)] == [network.id]
    assert client.subnets.get(azure.group, network.name, subnet.name).address_prefix == subnet.address_prefix
    assert [each.id for each in client.subnets.list(azure.group, network.name)] == [subnet.id]


def test_an_endpoint_is_made_and_let_in(serve):
    azure = serve(timing=SEEN)
    poller = azure.begin_endpoint()
    client = azure.network()
    at_first = client.private_endpoints.get(azure.group, "pe-dpe-weu")
    assert (at_first.provisioning_state, poller.status()) == ("Updating", "InProgress")
    made = poller.result(20)
    assert made.id == azure.portal.endpoint_id
    assert (made.provisioning_state, connection(made)) == ("Succeeded", "Approved")
    assert made.manual_private_link_service_connections[0].private_link_service_connection_state.description == (
        "Auto Approved"
    )
    nic = nic_of(azure, made)
    assert (nic.name, address(nic)) == ("nic-pe-dpe-weu", azure.portal.private_ip)
    assert nic.private_endpoint.id == made.id
    (used,) = client.subnets.get(azure.group, "vnet-dpe-weu", "snet-endpoints").ip_configurations
    assert used.id == nic.ip_configurations[0].id
    statuses = [(line["method"], line["status"]) for line in azure.trace() if "privateEndpoints" in line["path"]]
    assert ("PUT", 201) in statuses


def test_creating_says_where_to_ask_but_not_how_often(serve):
    azure = serve(timing=SEEN)
    body = {
        "location": azure.portal.location,
        "properties": {
            "subnet": {"id": azure.portal.subnet_id},
            "manualPrivateLinkServiceConnections": [
                {"name": "c", "properties": {"privateLinkServiceId": azure.portal.alias}}
            ],
        },
    }
    created = azure.call("PUT", azure.portal.endpoint_id, body)
    assert created.status == 201
    assert "Retry-After" not in created.headers
    operation = created.headers["Azure-AsyncOperation"].removeprefix(azure.url)
    assert f"/locations/{azure.portal.location}/operations/" in operation
    assert azure.call("GET", operation, api="").body == {"status": "InProgress"}
    until(lambda: azure.call("GET", operation, api="").body == {"status": "Succeeded"})
    tampered = operation.partition("&s=")[0] + "&s=guessed"
    assert azure.call("GET", tampered, api="").status == 404
    assert azure.call("PUT", azure.portal.endpoint_id, body).status == 200


def test_ids_compare_without_case(azure):
    azure.create_endpoint()
    found = azure.call("GET", azure.portal.endpoint_id.upper().replace("/SUBSCRIPTIONS", "/Subscriptions"))
    assert found.body["id"] == azure.portal.endpoint_id


def test_a_second_endpoint_gets_the_next_address_and_a_deleted_one_gives_it_back(azure):
    first, second = (nic_of(azure, azure.create_endpoint(name)) for name in ("pe-one", "pe-two"))
    assert (address(first), address(second)) == ("10.60.1.4", "10.60.1.5")
    client = azure.network()
    azure.arm.timing = SEEN
    deleting = client.private_endpoints.begin_delete(azure.group, "pe-one")
    assert client.private_endpoints.get(azure.group, "pe-one").provisioning_state == "Deleting"
    with refused("AnotherOperationInProgress", 409):
        azure.begin_endpoint("pe-one")
    deleting.result(20)
    azure.arm.timing = FAST
    with pytest.raises(ResourceNotFoundError):
        client.private_endpoints.get(azure.group, "pe-one")
    with pytest.raises(ResourceNotFoundError):
        client.network_interfaces.get(azure.group, first.name)
    assert address(nic_of(azure, azure.create_endpoint("pe-three"))) == "10.60.1.4"
    client.private_endpoints.begin_delete(azure.group, "pe-one").result(20)


def test_an_address_can_be_asked_for(azure):
    def wanted(ip: str) -> list[dict[str, Any]]:
        return [{"name": "ip", "properties": {"privateIPAddress": ip}}]

    made = azure.create_endpoint("pe-one", ip_configurations=wanted("10.60.1.77"))
    assert address(nic_of(azure, made)) == "10.60.1.77"
    with refused("PrivateIPAddressInUse"):
        azure.begin_endpoint("pe-two", ip_configurations=wanted("10.60.1.77"))
    for outside in ("10.60.2.4", "10.60.1.3", "10.60.1.255"):
        with refused("PrivateIPAddressNotInSubnet"):
            azure.begin_endpoint("pe-two", ip_configurations=wanted(outside))


def test_only_a_registered_subscription_is_let_in(azure):
    azure.arm.store.unregister(azure.portal.subscription_id)
    assert connection(azure.create_endpoint("pe-one")) == "Pending"
    azure.arm.store.register(azure.portal.subscription_id.upper())
    assert connection(azure.create_endpoint("pe-two")) == "Approved"
    assert connection(azure.network().private_endpoints.get(azure.group, "pe-one")) == "Pending"


def test_link_services_by_id(azure):
    assert connection(azure.create_endpoint("pe-vendor", service=azure.portal.link_service_id)) == "Approved"
    assert connection(azure.create_endpoint("pe-own", service=azure.portal.own_link_service_id)) == "Approved"
    own = azure.network().private_link_services.get(azure.group, azure.portal.own_link_service_id.rpartition("/")[2])
    assert connection(azure.create_endpoint("pe-alias", service=own.alias)) == "Approved"


@pytest.mark.parametrize(
    ("service", "code"),
    [
        ("not.an.alias", "InvalidPrivateLinkServiceId"),
        ("/subscriptions/x/resourceGroups/y", "InvalidPrivateLinkServiceId"),
        (
            f"pls.{uuid.UUID(int=1)}.westeurope.azure.privatelinkservice",
            "ThirdPartyPrivateLinkServiceProvidedDuringPrivateEndpointCreationDoesNotExistOrIsNotVisible",
        ),
    ],
)
def test_services_that_are_none(azure, service, code):
    with refused(code, 400):
        azure.begin_endpoint(service=service)


def test_an_alias_is_no_automatic_connection(azure):
    def automatic(service: str) -> dict[str, Any]:
        connections = [connection_to(service)]
        return {"manual_private_link_service_connections": [], "private_link_service_connections": connections}

    with refused("InvalidPrivateLinkServiceId", 400):
        azure.begin_endpoint(**automatic(azure.portal.alias))
    with refused("LinkedAuthorizationFailed", 403):
        azure.begin_endpoint(**automatic(azure.portal.link_service_id))
    made = azure.create_endpoint(**automatic(azure.portal.own_link_service_id))
    assert made.private_link_service_connections[0].private_link_service_connection_state.status == "Approved"


def test_what_an_endpoint_needs(azure):
    missing = models.Subnet(id=f"{azure.portal.vnet_id}/subnets/none")
    with refused("InvalidResourceReference", 400):
        azure.begin_endpoint(subnet=missing)
    with refused("InvalidResourceReference", 400):
        azure.begin_endpoint(location="northeurope")
    with refused("InvalidResourceName", 400):
        azure.begin_endpoint("pe-")
    long = connection_to(azure.portal.alias, "x" * 141)
    with refused("InvalidRequestFormat", 400):
        azure.begin_endpoint(manual_private_link_service_connections=[long])
    assert list(azure.network().private_endpoints.list(azure.group)) == []


def test_a_subnet_with_policies_refuses(azure):
    client = azure.network()
    client.subnets.begin_create_or_update(
        azure.group,
        "vnet-dpe-weu",
        "snet-endpoints",
        {"properties": {"addressPrefix": "10.60.1.0/24", "privateEndpointNetworkPolicies": "Enabled"}},
    ).result(20)
    with refused("PrivateEndpointCannotBeCreatedInSubnetThatHasNetworkPoliciesEnabled", 400):
        azure.begin_endpoint()


def test_a_full_subnet_says_so(azure):
    client = azure.network()
    properties = {
        "addressSpace": {"addressPrefixes": ["10.9.0.0/16"]},
        "dhcpOptions": {"dnsServers": ["10.9.0.4"]},
        "subnets": [{"name": "snet", "properties": {"addressPrefix": "10.9.1.0/29"}}],
    }
    wanted = {"location": "West Europe", "properties": properties}
    client.virtual_networks.begin_create_or_update(azure.group, "vnet-small", wanted).result(20)
    small = client.virtual_networks.get(azure.group, "vnet-small")
    assert small.dhcp_options.dns_servers == ["10.9.0.4"]
    subnet = models.Subnet(id=small.subnets[0].id)
    for number in range(3):
        azure.create_endpoint(f"pe-{number}", subnet=subnet)
    with refused("SubnetIsFull", 400):
        azure.begin_endpoint("pe-3", subnet=subnet)


def test_whether_a_service_is_seen(azure):
    client = azure.network().private_link_services

    def visible(alias: str, location: str = azure.portal.location) -> bool:
        asked = models.CheckPrivateLinkServiceVisibilityRequest(private_link_service_alias=alias)
        return bool(client.begin_check_private_link_service_visibility(location, asked).result(20).visible)

    assert visible(azure.portal.alias)
    assert visible(azure.portal.alias.upper(), "West Europe")
    assert not visible(azure.portal.alias, "eastus")
    assert not visible("x." + azure.portal.alias)


def test_which_services_approve_by_themselves(azure):
    client = azure.network().private_link_services

    def approving(location: str) -> list[str]:
        return [each.private_link_service for each in client.list_auto_approved_private_link_services(location)]

    assert approving(azure.portal.location) == [azure.portal.link_service_id, azure.portal.own_link_service_id]
    assert approving("eastus") == []
    azure.arm.store.unregister(azure.portal.subscription_id)
    assert approving(azure.portal.location) == [azure.portal.own_link_service_id]


def test_two_hundred_endpoints_come_in_pages(azure):
    store = azure.arm.store
    scope = azure.portal.endpoint_id.rpartition("/")[0]
    names = [f"pe-{number:03}" for number in range(200)]
    for name in names:
        store.put(resource(f"{scope}/{name}", "Microsoft.Network/privateEndpoints", {}, location="westeurope"))
    client = azure.network()
    assert [each.name for each in client.private_endpoints.list(azure.group)] == names
    assert [each.name for each in client.private_endpoints.list_by_subscription()] == names
    lists = [line for line in azure.trace() if line["path"].endswith("/privateEndpoints")]
    assert len(lists) == 2 * -(-200 // PAGE_SIZE) > 4
    first = azure.call("GET", scope)
    assert first.body["nextLink"].startswith(f"{azure.url}/")
    assert azure.call("GET", scope, api="?api-version=1&$skiptoken=%21").body["error"]["code"] == "InvalidSkipToken"


def test_a_list_is_of_one_group_and_one_subscription(azure):
    add_subscription(azure.arm.store, str(uuid.UUID(int=7)), "Other", azure.portal.tenant_id)
    azure.create_endpoint()
    other = f"/subscriptions/{uuid.UUID(int=7)}/providers/Microsoft.Network/privateEndpoints"
    assert azure.call("GET", other).body == {"value": []}
    with refused("ResourceGroupNotFound", 404):
        list(azure.network().private_endpoints.list(azure.group[:-1]))


def test_an_endpoint_shows_the_security_groups_it_was_given(azure):
    group = f"{azure.portal.endpoint_id.partition('/privateEndpoints/')[0]}/applicationSecurityGroups/asg"
    made = azure.create_endpoint(application_security_groups=[{"id": group}])
    assert [one.id for one in made.application_security_groups] == [group]


def test_an_endpoint_overwritten_keeps_its_address_and_its_fate(azure):
    azure.arm.store.unregister(azure.portal.subscription_id)
    before = azure.create_endpoint()
    azure.arm.store.register(azure.portal.subscription_id)
    after = azure.create_endpoint(tags={"owner": "me"})
    assert after.tags == {"owner": "me"}
    assert (after.network_interfaces[0].id, connection(after)) == (before.network_interfaces[0].id, "Pending")
