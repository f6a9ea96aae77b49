"""A setup of many DPEs with two endpoints each, and an Azure in which all of it is there as it should be.

`python -m tests.bench.many DIR DPES SECONDS` serves that Azure in a process of its own; every answer takes so many
seconds longer. It prints one line of JSON with where it is, and ends when its stdin is closed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from state.events import Data, EnvironmentSet, FieldSet, ItemAdded, Linked
from tests.setups import ALIAS, SUBSCRIPTION

if TYPE_CHECKING:
    from tests.sandbox.arm.served import Azure

GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-many"
NETWORK = f"{GROUP}/providers/Microsoft.Network"
VNET = f"{NETWORK}/virtualNetworks/vnet-many"
SUBNET = f"{VNET}/subnets/snet-pe"
EACH = 2
"""Endpoints of a DPE."""


def address(number: int) -> str:
    """The private IP of that endpoint."""
    return f"10.{40 + number // 250}.1.{number % 250 + 4}"


def hosts(dpe: int) -> tuple[str, str]:
    """The two host names of that DPE."""
    return f"dpm-{dpe:03}.ataccama.link", f"minio-{dpe:03}.ataccama.link"


def endpoint_id(number: int) -> str:
    """The Resource ID of that endpoint."""
    return f"{NETWORK}/privateEndpoints/pe-{number:03}"


def setup_of(dpes: int, environment: EnvironmentSet | None = None) -> Iterator[Data]:
    """Everything that is typed for so many DPEs, each with `EACH` endpoints of its own; nothing confirmed."""
    yield environment or EnvironmentSet(sandbox=True)
    yield ItemAdded(item="subscription/main")
    yield FieldSet(item=None, field="environment_name", value="production")
    yield FieldSet(item="subscription/main", field="subscription_id", value=SUBSCRIPTION)
    for dpe in range(dpes):
        yield from _dpe(dpe)
        for number in range(dpe * EACH, (dpe + 1) * EACH):
            yield from _endpoint(number)
            yield Linked(source=f"dpe/dpe-{dpe:03}", target=f"endpoint/pe-{number:03}")


def _dpe(dpe: int) -> Iterator[Data]:
    dpm, minio = hosts(dpe)
    yield ItemAdded(item=f"dpe/dpe-{dpe:03}")
    for key, value in (
        ("dpm_host", dpm),
        ("minio_host", minio),
        ("registry", "registry.example.com"),
        ("username", "dpe-user"),
        ("chart", "oci://registry.example.com/helm/ataccama-one-dpe"),
        ("version", "16.2.0"),
        ("release", f"dpe-{dpe:03}"),
        ("namespace", "dpe"),
    ):
        yield FieldSet(item=f"dpe/dpe-{dpe:03}", field=key, value=value)


def _endpoint(number: int) -> Iterator[Data]:
    yield ItemAdded(item=f"endpoint/pe-{number:03}")
    for key, value in (
        ("link_service", ALIAS),
        ("resource_group", "rg-many"),
        ("subnet", SUBNET),
        ("endpoint_name", f"pe-{number:03}"),
        ("private_ip", address(number)),
        ("endpoint_id", endpoint_id(number)),
    ):
        yield FieldSet(item=f"endpoint/pe-{number:03}", field=key, value=value)


# ---------------------------------------------------------------- the Azure to it


def build(azure: Azure, dpes: int) -> None:
    """Puts all of it there: the endpoints with their interfaces, and a linked zone with its record for each host."""
    from wizard.sandbox.arm.ids import NETWORK as NAMESPACE
    from wizard.sandbox.arm.world import add_subscription, resource

    def put(resource_id: str, kind: str, properties: dict[str, Any]) -> None:
        azure.arm.store.put(resource(resource_id, f"{NAMESPACE}/{kind}", {**done, **properties}, location="westeurope"))

    done = {"provisioningState": "Succeeded"}
    add_subscription(azure.arm.store, SUBSCRIPTION, "Many", azure.portal.tenant_id)
    azure.arm.store.put(resource(GROUP, "Microsoft.Resources/resourceGroups", done, location="westeurope"))
    subnet = {"id": SUBNET, "name": "snet-pe", "properties": {"addressPrefix": "10.40.0.0/14"}}
    put(VNET, "virtualNetworks", {"subnets": [subnet], "addressSpace": {"addressPrefixes": ["10.40.0.0/14"]}})
    for number in range(dpes * EACH):
        nic = f"{NETWORK}/networkInterfaces/pe-{number:03}-nic"
        facts = {"privateIPAddress": address(number), "subnet": {"id": SUBNET}}
        configuration = {"id": f"{nic}/ipConfigurations/ip", "name": "ip", "properties": facts}
        put(nic, "networkInterfaces", {"ipConfigurations": [configuration]})
        state = {"status": "Approved", "description": "", "actionsRequired": "None"}
        wish = {"privateLinkServiceId": ALIAS, "privateLinkServiceConnectionState": state}
        connection = {"name": "dpe", "properties": wish}
        put(
            endpoint_id(number),
            "privateEndpoints",
            {
                "subnet": {"id": SUBNET},
                "networkInterfaces": [{"id": nic}],
                "manualPrivateLinkServiceConnections": [connection],
            },
        )
    for dpe in range(dpes):
        own = range(dpe * EACH, (dpe + 1) * EACH)
        for host in hosts(dpe):
            zone = f"{NETWORK}/privateDnsZones/{host}"
            put(zone, "privateDnsZones", {})
            link = {"virtualNetwork": {"id": VNET}, "virtualNetworkLinkState": "Completed"}
            put(f"{zone}/virtualNetworkLinks/link", "privateDnsZones/virtualNetworkLinks", link)
            records = [{"ipv4Address": address(number)} for number in own]
            put(f"{zone}/A/@", "privateDnsZones/A", {"ttl": 300, "fqdn": f"{host}.", "aRecords": records})


def main(directory: Path, dpes: int, seconds: float) -> None:
    """Serves."""
    from tests.sandbox.arm.served import SECRET, served
    from wizard.sandbox.arm.faults import Faults

    Faults.delay = seconds  # type: ignore[assignment,method-assign]
    with served(directory) as azure:
        build(azure, dpes)
        target = {
            "identity": "managed",
            "arm_url": azure.url,
            "identity_endpoint": azure.identity_endpoint,
            "identity_header": SECRET,
            "ca_file": str(azure.work.ca),
        }
        print(json.dumps({"target": target, "trace": str(azure.work.trace)}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
