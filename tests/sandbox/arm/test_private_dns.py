"""Private DNS zones, links and records, made with the real SDK; and what the VNet resolves then."""

from __future__ import annotations

from typing import Any

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.mgmt.privatedns import models

from tests.sandbox.arm.served import Azure, refused, until
from wizard.sandbox.arm.timing import Timing

IP = "10.60.1.4"


def create_zone(azure: Azure, name: str) -> models.PrivateZone:
    zone = models.PrivateZone(location="global")
    return (
        azure.dns()
        .private_zones.begin_create_or_update(
            azure.group, name, zone, etag="*", match_condition=MatchConditions.IfMissing
        )
        .result(20)
    )


def link(azure: Azure, zone: str, name: str = "link", group: str = "") -> models.VirtualNetworkLink:
    properties = {"virtualNetwork": {"id": azure.portal.vnet_id}, "registrationEnabled": False}
    wanted = models.VirtualNetworkLink({"location": "global", "properties": properties})
    return (
        azure.dns()
        .virtual_network_links.begin_create_or_update(
            group or azure.group, zone, name, wanted, etag="*", match_condition=MatchConditions.IfMissing
        )
        .result(20)
    )


def record(azure: Azure, zone: str, name: str = "@", *, ip: str = IP, **condition: Any) -> models.RecordSet:
    wanted = models.RecordSet({"properties": {"ttl": 300, "aRecords": [{"ipv4Address": ip}]}})
    return azure.dns().record_sets.create_or_update(azure.group, zone, "A", name, wanted, **condition)


MISSING: dict[str, Any] = {"etag": "*", "match_condition": MatchConditions.IfMissing}


def test_zone_link_and_record_make_the_host_resolve(azure):
    host = azure.portal.hosts.dpm
    resolved = azure.arm.store.private_addresses
    assert resolved(host) == ()
    made = create_zone(azure, host)
    assert (made.provisioning_state, made.number_of_record_sets, made.etag is not None) == ("Succeeded", 1, True)
    assert record(azure, host).fqdn == f"{host}."
    assert resolved(host) == (), "a zone that no link shows to the VNet answers nothing"
    linked = link(azure, host)
    assert (linked.virtual_network_link_state, linked.provisioning_state) == ("Completed", "Succeeded")
    assert resolved(host) == resolved(f"{host.upper()}.") == (IP,)
    assert resolved(azure.portal.hosts.minio) == ()


def test_a_zone_takes_its_time_and_says_so_with_202(serve):
    azure = serve(timing=Timing(zone=3.0))
    host = azure.portal.hosts.dpm
    path = azure.portal.endpoint_id.replace("privateEndpoints/pe-dpe-weu", f"privateDnsZones/{host}")
    begun = azure.call("PUT", path, {"location": "global"})
    assert (begun.status, begun.body) == (202, {})
    assert "Retry-After" not in begun.headers
    operation, result = (begun.headers[name].removeprefix(azure.url) for name in ("Azure-AsyncOperation", "Location"))
    asked = azure.call("GET", operation, api="")
    assert (asked.status, asked.body) == (202, {"status": "InProgress"})
    assert asked.headers["Azure-AsyncOperation"] == begun.headers["Azure-AsyncOperation"]
    assert azure.call("GET", path).body["properties"]["provisioningState"] == "Creating"
    until(lambda: azure.call("GET", operation, api="").body == {"status": "Succeeded"})
    assert azure.call("GET", operation, api="").status == 200
    assert azure.call("GET", result, api="").body["name"] == host


def test_a_zone_that_exists_is_told_by_a_failed_operation(azure):
    create_zone(azure, "a.test")
    before = azure.dns().private_zones.get(azure.group, "a.test")
    with refused("PreconditionFailed", 200):
        create_zone(azure, "A.test")
    assert azure.dns().private_zones.get(azure.group, "a.test").etag == before.etag
    codes = [line["status"] for line in azure.trace() if line["method"] == "PUT"]
    assert codes == [202, 202]


def test_a_record_conflict_is_412_at_once(azure):
    create_zone(azure, "a.test")
    made = record(azure, "a.test", **MISSING)
    with pytest.raises(ResourceExistsError) as caught:
        record(azure, "a.test", ip="10.0.0.9", **MISSING)
    assert caught.value.status_code == 412
    assert caught.value.error is not None and caught.value.error.code == "PreconditionFailed"
    changed = record(azure, "a.test", ip="10.0.0.9", etag=made.etag, match_condition=MatchConditions.IfNotModified)
    assert changed.etag != made.etag
    with pytest.raises(ResourceModifiedError):
        record(azure, "a.test", ip="10.0.0.8", etag=made.etag, match_condition=MatchConditions.IfNotModified)
    (kept,) = azure.dns().record_sets.get(azure.group, "a.test", "A", "@").a_records or []
    assert kept.ipv4_address == "10.0.0.9"


def test_record_sets_are_listed_by_type_and_all(azure):
    create_zone(azure, "a.test")
    record(azure, "a.test", "www")
    record(azure, "a.test")
    client = azure.dns().record_sets
    assert [each.name for each in client.list_by_type(azure.group, "a.test", "A")] == ["@", "www"]
    assert [str(each.type).rpartition("/")[2] for each in client.list(azure.group, "a.test")] == ["A", "A", "SOA"]
    assert azure.dns().private_zones.get(azure.group, "a.test").number_of_record_sets == 3
    client.delete(azure.group, "a.test", "A", "www")
    with pytest.raises(ResourceNotFoundError):
        client.get(azure.group, "a.test", "A", "www")


def test_a_record_set_without_records_says_so(azure):
    """Recorded from the real service; without that `az network private-dns record-set a add-record` breaks."""
    create_zone(azure, "a.test")
    client = azure.dns().record_sets
    for kind, name in (("A", "aRecords"), ("TXT", "txtRecords")):
        made = client.create_or_update(azure.group, "a.test", kind, "x", models.RecordSet({"properties": {"ttl": 300}}))
        assert made["properties"][name] == []


def test_one_network_sees_one_zone_of_a_name(azure):
    other = {"location": "westeurope"}
    azure.call("PUT", f"/subscriptions/{azure.portal.subscription_id}/resourceGroups/rg-other", other)
    zones = azure.dns().private_zones
    for group in (azure.group, "rg-other"):
        zones.begin_create_or_update(group, "a.test", models.PrivateZone(location="global")).result(20)
    link(azure, "a.test")
    with refused("BadRequest", 200):
        link(azure, "a.test", group="rg-other")
    create_zone(azure, "b.test")
    link(azure, "b.test")
    assert {each.name for each in zones.list()} == {"a.test", "b.test"}
    assert [each.name for each in azure.dns().virtual_network_links.list(azure.group, "a.test")] == ["link"]


def test_the_longest_zone_hides_what_it_does_not_hold(azure):
    for name in ("vendor.test", "dpm.vendor.test"):
        create_zone(azure, name)
        link(azure, name)
    record(azure, "vendor.test", "minio")
    record(azure, "dpm.vendor.test", ip="10.0.0.1")
    record(azure, "vendor.test", "*", ip="10.0.0.2")
    store = azure.arm.store
    assert store.private_addresses("minio.vendor.test") == (IP,)
    assert store.private_addresses("dpm.vendor.test") == ("10.0.0.1",)
    assert store.private_addresses("x.dpm.vendor.test") == ()
    assert store.private_addresses("x.y.vendor.test") == ("10.0.0.2",)
    assert (store.private_zone("xvendor.test"), store.private_zone(".")) == (None, None)
    zone = store.private_zone("x.dpm.vendor.test")
    assert zone is not None and zone.endswith("/privateDnsZones/dpm.vendor.test")


def test_what_records_and_links_need(azure):
    with refused("ParentResourceNotFound", 404):
        record(azure, "none.test")
    with refused("ParentResourceNotFound", 404):
        link(azure, "none.test")
    create_zone(azure, "a.test")
    with refused("BadRequest", 400):
        record(azure, "a.test", ip="300.1.1.1")
    with refused("LocationNotAvailableForResourceType", 400):
        azure.dns().private_zones.begin_create_or_update(azure.group, "b.test", models.PrivateZone(location="eastus"))


def test_a_linked_zone_stays(azure):
    create_zone(azure, "a.test")
    link(azure, "a.test")
    client = azure.dns()
    with refused("CannotDeleteResource", 409):
        client.private_zones.begin_delete(azure.group, "a.test")
    client.virtual_network_links.begin_delete(azure.group, "a.test", "link").result(20)
    client.private_zones.begin_delete(azure.group, "a.test").result(20)
    assert list(client.private_zones.list()) == []
    assert azure.arm.store.all("Microsoft.Network/privateDnsZones/SOA") == []
