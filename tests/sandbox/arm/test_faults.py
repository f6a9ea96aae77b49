"""Each fault of Azure, as the real SDK shows it."""

from __future__ import annotations

import time
from typing import Any

import pytest
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

from tests.sandbox.arm.served import connection, refused, until
from tests.sandbox.arm.test_private_dns import create_zone, link
from wizard.sandbox.arm.timing import Timing
from wizard.sandbox.portal import invent

HOST = "dpm.vendor.test"


def test_throttled_is_waited_for_by_the_sdk(serve):
    azure = serve("arm-throttled")
    refusal = azure.call("GET", "/subscriptions")
    assert (refusal.status, refusal.headers["Retry-After"]) == (429, "1")
    started = time.monotonic()
    assert len(list(azure.network().virtual_networks.list_all())) == 1
    assert time.monotonic() - started >= 2
    assert [line["status"] for line in azure.trace() if line["server"] == "arm"] == [429, 429, 429, 200]


def test_slow_takes_longer(serve):
    azure = serve("arm-slow", timing=Timing(endpoint=0.1))
    started = time.monotonic()
    assert azure.call("GET", "/subscriptions").status == 200
    assert time.monotonic() - started >= 1
    assert azure.arm.timing.endpoint == pytest.approx(0.6)


def test_an_expired_token_is_refused_once(serve):
    azure = serve("arm-token-expired")
    client = azure.network()
    with pytest.raises(ClientAuthenticationError) as caught:
        list(client.virtual_networks.list_all())
    assert caught.value.error is not None and caught.value.error.code == "ExpiredAuthenticationToken"
    assert len(list(client.virtual_networks.list_all())) == 1


def test_a_connection_dropped_hides_how_it_went_and_the_resource_tells(serve):
    azure = serve("arm-connection-dropped")
    with pytest.raises(AzureError) as caught:
        azure.create_endpoint()
    assert not isinstance(caught.value, HttpResponseError) or caught.value.error is None
    client = azure.network()

    def succeeded() -> Any:
        return client.private_endpoints.get(azure.group, "pe-dpe-weu").provisioning_state == "Succeeded"

    until(succeeded)
    puts = [line for line in azure.trace() if line["method"] == "PUT"]
    assert len(puts) == 1


def test_pending_for_ever(serve):
    azure = serve("pending-forever")
    made = azure.create_endpoint()
    assert (made.provisioning_state, connection(made)) == ("Succeeded", "Pending")


def test_rejected(serve):
    azure = serve("rejected", timing=Timing(endpoint=3.0))
    poller = azure.begin_endpoint()
    assert connection(azure.network().private_endpoints.get(azure.group, "pe-dpe-weu")) == "Pending"
    made = poller.result(20)
    assert (made.provisioning_state, connection(made)) == ("Succeeded", "Rejected")


def test_disconnected_later(serve):
    azure = serve("disconnected-later", timing=Timing(endpoint=0.2, later=1))
    made = azure.create_endpoint()
    assert connection(made) == "Approved"

    def state() -> str:
        return connection(azure.network().private_endpoints.get(azure.group, "pe-dpe-weu"))

    until(lambda: state() == "Disconnected")
    azure.create_endpoint()
    assert state() == "Disconnected", "only deleting it and making it again helps"


def test_endpoints_of_an_earlier_start_are_disconnected_too(serve, tmp_path):
    portal, state = invent(), tmp_path / "arm.json"
    serve(portal=portal, state=state).create_endpoint()
    again = serve("disconnected-later", portal=portal, state=state)
    client = again.network()
    until(lambda: connection(client.private_endpoints.get(again.group, "pe-dpe-weu")) == "Disconnected")


def test_an_invalid_alias(serve):
    azure = serve("invalid-alias")
    for service in (azure.portal.alias, azure.portal.link_service_id):
        with refused("InvalidPrivateLinkServiceId", 400):
            azure.begin_endpoint(service=service)
    path = f"/subscriptions/{azure.portal.subscription_id}/providers/Microsoft.Network/locations/westeurope"
    asked = {"privateLinkServiceAlias": azure.portal.alias}
    assert azure.call("POST", f"{path}/checkPrivateLinkServiceVisibility", asked).body == {"visible": False}
    (own,) = azure.call("GET", f"{path}/autoApprovedPrivateLinkServices").body["value"]
    assert own["privateLinkService"] == azure.portal.own_link_service_id


def test_a_policy_forbids_zones_and_nothing_else(serve):
    azure = serve("policy-denied")
    with pytest.raises(HttpResponseError) as caught:
        create_zone(azure, HOST)
    error: Any = caught.value.error  # ARM's form of it, which the SDK's own types do not tell
    assert (caught.value.status_code, error.code) == (403, "RequestDisallowedByPolicy")
    assert error.additional_info and error.additional_info[0].type == "PolicyViolation"
    assert azure.create_endpoint().provisioning_state == "Succeeded"


def test_somebody_else_creates_the_zone_at_the_same_moment(serve):
    azure = serve("zone-exists")
    zones = azure.dns().private_zones
    assert list(zones.list()) == []
    with refused("PreconditionFailed", 200):
        create_zone(azure, HOST)
    (found,) = zones.list()
    assert (found.name, found.provisioning_state) == (HOST, "Succeeded")
    assert link(azure, HOST).virtual_network_link_state == "Completed"


def test_another_team_links_a_zone_of_that_name_at_the_same_moment(serve):
    azure = serve("overlapping-link")
    create_zone(azure, HOST)
    with pytest.raises(HttpResponseError, match="overlapping namespaces") as caught:
        link(azure, HOST)
    assert caught.value.error is not None and caught.value.error.code == "BadRequest"
    client = azure.dns()
    other, mine = sorted(client.private_zones.list(), key=lambda zone: "rg-dns-central" not in str(zone.id))
    assert "rg-dns-central" in str(other.id) and mine.name == other.name == HOST
    (linked,) = client.virtual_network_links.list("rg-dns-central", HOST)
    assert linked.virtual_network is not None and linked.virtual_network.id == azure.portal.vnet_id
    assert list(client.virtual_network_links.list(azure.group, HOST)) == []
