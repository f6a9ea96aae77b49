"""What the sandbox's DNS answers, asked of a sandbox that runs: publicly first, then what the private zones hold."""

from __future__ import annotations

import asyncio
import json
import ssl
import urllib.request
from pathlib import Path
from typing import Any

from wizard.adapters.dns import DnsLooker
from wizard.sandbox.names import PUBLIC_ADDRESS
from wizard.sandbox.process import running

VERSION = "?api-version=2024-06-01"


class Azure:
    """Asks the sandbox's ARM with a token of its identity endpoint."""

    def __init__(self, info: Any) -> None:
        self._info = info
        self._context = ssl.create_default_context(cafile=info.ca_file)
        url = f"{info.identity_endpoint}?api-version=2019-08-01&resource={info.arm_url}"
        asked = urllib.request.Request(url, headers={"X-IDENTITY-HEADER": info.identity_header})
        self._token = json.loads(urllib.request.urlopen(asked, timeout=10).read())["access_token"]

    def put(self, path: str, body: dict[str, Any]) -> None:
        request = urllib.request.Request(
            f"{self._info.arm_url}{path}{VERSION}",
            data=json.dumps(body).encode(),
            method="PUT",
            headers={"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"},
        )
        assert urllib.request.urlopen(request, timeout=10, context=self._context).status < 300


async def test_a_host_is_public_until_its_zone_is_linked(tmp_path: Path, helm4: Path):
    with running(tmp_path / "sandbox", helm=helm4) as info:
        assert info.dns_server is not None
        looker = DnsLooker(info.dns_server)
        azure, host = Azure(info), info.hosts.dpm

        async def addresses(name: str) -> tuple[str, ...]:
            return (await looker.resolve(name)).addresses

        assert await addresses(host) == await addresses(info.hosts.minio) == (PUBLIC_ADDRESS,)
        assert (await looker.resolve("nowhere.example.com")).error == "nxdomain"

        zone = f"/subscriptions/{info.subscription_id}/resourceGroups/{info.resource_group}"
        zone += f"/providers/Microsoft.Network/privateDnsZones/{host}"
        azure.put(zone, {"location": "global"})
        assert await addresses(host) == (PUBLIC_ADDRESS,), "a zone that no VNet is linked to answers nobody"
        link = {
            "location": "global",
            "properties": {"virtualNetwork": {"id": info.vnet_id}, "registrationEnabled": False},
        }
        azure.put(f"{zone}/virtualNetworkLinks/to-vnet", link)

        async with asyncio.timeout(30):
            while (found := await looker.resolve(host)).addresses:  # Azure takes a moment to link
                await asyncio.sleep(0.05)
        assert found.error in ("nxdomain", "no data"), "linked and without a record, it hides the public answer"
        azure.put(f"{zone}/A/@", {"properties": {"ttl": 300, "aRecords": [{"ipv4Address": "10.20.1.7"}]}})
        assert await addresses(host) == ("10.20.1.7",)
        assert await addresses(info.hosts.minio) == (PUBLIC_ADDRESS,), "each host has its own"
    asked = [json.loads(line) for line in Path(info.trace_file).read_text().splitlines()]
    assert any(line["server"] == "dns" and line["path"] == host for line in asked)
