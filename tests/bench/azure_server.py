"""The sandbox's Azure in a process of its own, for the bench: `python -m tests.bench.azure_server DIR SECONDS`.

Every answer takes so many seconds longer. Prints one line of JSON with where it is; ends when its stdin is closed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.sandbox.arm.served import SECRET, Azure, served
from wizard.sandbox.arm.faults import Faults
from wizard.sandbox.arm.timing import Timing
from wizard.sandbox.arm.world import add_subscription, resource

SUBSCRIPTIONS, ENDPOINTS = 4, 200


def add_endpoints(azure: Azure, subscription: str, count: int) -> None:
    """So many endpoints, each with its interface, are there."""
    network = f"/subscriptions/{subscription}/resourceGroups/rg-many/providers/Microsoft.Network"
    for number in range(count):
        nic = f"{network}/networkInterfaces/pe-{number:03}-nic"
        facts = {"privateIPAddress": f"10.1.0.{number + 4}", "subnet": {"id": f"{network}/virtualNetworks/v/subnets/s"}}
        address = {"id": f"{nic}/ipConfigurations/ip", "name": "ip", "properties": facts}
        azure.arm.store.put(resource(nic, "Microsoft.Network/networkInterfaces", {"ipConfigurations": [address]}))
        endpoint = {"provisioningState": "Succeeded", "networkInterfaces": [{"id": nic}]}
        named = f"{network}/privateEndpoints/pe-{number:03}"
        azure.arm.store.put(resource(named, "Microsoft.Network/privateEndpoints", endpoint, location="westeurope"))


def main(directory: Path, seconds: float) -> None:
    """Serves."""
    Faults.delay = seconds  # type: ignore[assignment,method-assign]
    with served(directory, timing=Timing(endpoint=0.3, zone=0.2)) as azure:
        others = [f"0000000{n}-bbbb-4ccc-8ddd-00000000000{n}" for n in range(SUBSCRIPTIONS)]
        for name in others:
            add_subscription(azure.arm.store, name, name[:8], azure.portal.tenant_id)
            add_endpoints(azure, name, ENDPOINTS // SUBSCRIPTIONS)
        portal = azure.portal
        facts = {
            "target": {
                "identity": "managed",
                "arm_url": azure.url,
                "identity_endpoint": azure.identity_endpoint,
                "identity_header": SECRET,
                "ca_file": str(azure.work.ca),
            },
            "subscription": portal.subscription_id,
            "group": portal.resource_group,
            "location": portal.location,
            "subnet": portal.subnet_id,
            "alias": portal.alias,
            "hosts": [portal.hosts.dpm, portal.hosts.minio],
            "subscriptions": others,
        }
        print(json.dumps(facts), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
