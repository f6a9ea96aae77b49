"""The sandbox's Azure seen from outside the wizard: what is in it, and what was written, by its own file and trace."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

from tests.end_to_end.harness import until

Info = dict[str, Any]

ENDPOINT, ZONE, RECORD, LINK = "endpoint", "zone", "record", "link"
WRITES = (ENDPOINT, *((ZONE, RECORD, LINK) * 2))
"""What steps 3 and 5 write for one endpoint and two hosts, in this order."""

_KINDS = {
    "microsoft.network/privateendpoints": ENDPOINT,
    "microsoft.network/privatednszones": ZONE,
    "microsoft.network/privatednszones/a": RECORD,
    "microsoft.network/privatednszones/virtualnetworklinks": LINK,
}


def requests(info: Info, *methods: str) -> list[dict[str, Any]]:
    """The lines of the trace that are about ARM; with methods, only theirs."""
    lines = [json.loads(line) for line in Path(info["trace_file"]).read_text().splitlines()]
    return [line for line in lines if line["server"] == "arm" and (not methods or line["method"] in methods)]


def kind_of(path: str) -> str:
    """What a Resource ID names: one of the kinds above, else its own last type."""
    parts = path.lower().partition("/providers/")[2].split("/")
    kind = "/".join((parts[0], *parts[1::2]))
    return _KINDS.get(kind, kind)


def written(info: Info, *about: str) -> list[tuple[str, str, int]]:
    """Method, kind and status of every request that changes something; those whose path has one of `about`."""
    return [
        (line["method"], kind_of(line["path"]), line["status"])
        for line in requests(info, "PUT", "PATCH", "DELETE")
        if not about or any(name.lower() in line["path"].lower() for name in about)
    ]


def resources(info: Info, kind: str) -> list[dict[str, Any]]:
    """All resources of one of the kinds above, as the sandbox keeps them on disk."""
    kept = json.loads((Path(info["work_dir"]) / "arm.json").read_text())["resources"]
    found = [one for one in kept if _KINDS.get(one["type"].lower()) == kind]
    return sorted(found, key=lambda one: str(one["id"]).lower())


def require_end_state(info: Info, endpoint: str, hosts: tuple[str, ...], *, unlinked: tuple[str, ...] = ()) -> None:
    """One endpoint of that name, Approved; for each host one zone, one link to the VNet, one record set to its address.

    `unlinked`: hosts for which another zone was made before somebody else's turned out to be linked already; nobody
    asks it.
    """
    (found,) = [one for one in resources(info, ENDPOINT) if one["name"] == endpoint]
    (asked,) = found["properties"]["manualPrivateLinkServiceConnections"]
    assert asked["properties"]["privateLinkServiceConnectionState"]["status"] == "Approved"
    assert found["properties"]["provisioningState"] == "Succeeded"
    address = _address(info, found)
    zones = Counter(one["name"] for one in resources(info, ZONE))
    links = [_zone_of(one) for one in resources(info, LINK)]
    for host in hosts:
        assert zones[host] == (2 if host in unlinked else 1), (host, zones)
        (linked,) = [zone for zone in links if zone.endswith(f"/{host}")]
        records = [one for one in resources(info, RECORD) if _zone_of(one) == linked]
        held = [(one["name"], one["properties"]["aRecords"]) for one in records]
        assert held == [("@", [{"ipv4Address": address}])], held


def send(info: Info, method: str, resource: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """One request to Azure behind the wizard's back, by HTTP alone. A change may take a moment until it is there."""
    asked = f"{info['identity_endpoint']}?resource=https://management.azure.com&api-version=2019-08-01"
    as_whom = urllib.request.Request(asked, headers={"X-IDENTITY-HEADER": info["identity_header"]})
    with urllib.request.urlopen(as_whom) as answer:
        token = json.load(answer)["access_token"]
    version = "2024-06-01" if "privateDnsZones" in resource else "2024-05-01"
    request = urllib.request.Request(
        f"{info['arm_url']}{urllib.parse.quote(resource)}?api-version={version}",
        method=method,
        data=json.dumps(body).encode() if body is not None else None,
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, context=ssl.create_default_context(cafile=info["ca_file"])) as answer:
        answered: dict[str, Any] = json.loads(answer.read() or b"{}")
    return answered


def gone(info: Info, resource: str) -> bool:
    """Whether Azure no longer knows a resource."""
    try:
        send(info, "GET", resource)
    except urllib.error.HTTPError as error:
        return error.code == 404
    return False


def group_of(info: Info) -> str:
    """The resource group that everything is in."""
    return f"/subscriptions/{info['subscription_id']}/resourceGroups/{info['resource_group']}"


def zone_of(info: Info, host: str) -> str:
    """The Resource ID of a host's own zone."""
    return f"{group_of(info)}/providers/Microsoft.Network/privateDnsZones/{host}"


def _there(info: Info, kind: str, count: int) -> None:
    until(lambda: len(resources(info, kind)) == count, f"{count} of {kind}")


def make_zone(info: Info, host: str) -> None:
    """A zone of the host's name, linked to the cluster's VNet, without a record."""
    zone = zone_of(info, host)
    before = len(resources(info, ZONE)), len(resources(info, LINK))
    send(info, "PUT", zone, {"location": "global"})
    _there(info, ZONE, before[0] + 1)
    link = {
        "location": "global",
        "properties": {"virtualNetwork": {"id": info["vnet_id"]}, "registrationEnabled": False},
    }
    named = f"{zone}/virtualNetworkLinks/behind"
    send(info, "PUT", named, link)
    _there(info, LINK, before[1] + 1)
    # A zone answers only once its link is complete, a moment after the link exists.
    until(lambda: send(info, "GET", named)["properties"]["virtualNetworkLinkState"] == "Completed", "the link")


def set_record(info: Info, host: str, address: str) -> None:
    """The record of a host in its own zone, whatever it was."""
    body = {"properties": {"ttl": 5, "aRecords": [{"ipv4Address": address}]}}
    send(info, "PUT", f"{zone_of(info, host)}/A/@", body)
    until(
        lambda: any(
            one["properties"]["aRecords"] == [{"ipv4Address": address}] and host in one["id"]
            for one in resources(info, RECORD)
        ),
        "the record",
    )


def _address(info: Info, endpoint: dict[str, Any]) -> str:
    kept = json.loads((Path(info["work_dir"]) / "arm.json").read_text())["resources"]
    (nic,) = endpoint["properties"]["networkInterfaces"]
    (found,) = [one for one in kept if one["id"].lower() == nic["id"].lower()]
    return str(found["properties"]["ipConfigurations"][0]["properties"]["privateIPAddress"])


def _zone_of(part: dict[str, Any]) -> str:
    """The Resource ID of the zone that a link or a record set is a part of, in lower case."""
    return str(part["id"]).lower().rsplit("/", 2)[0]
