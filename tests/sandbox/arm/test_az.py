"""The real `az` against the sandbox's Azure: steps 3 and 5 of the guide, by hand.

It is large (700 MB), so it is no dependency: PRIVATELINK_AZ names one, or it lies in .tools/azure-cli.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import TOOLS
from tests.sandbox.test_process import NO_HELM
from wizard.sandbox.info import SandboxInfo
from wizard.sandbox.process import running


@pytest.fixture
def az() -> Path:
    path = Path(os.environ.get("PRIVATELINK_AZ", TOOLS / "azure-cli" / "bin" / "az"))
    if not path.exists():
        pytest.skip(f"{path} is not there; get it with: make az")
    return path


class Az:
    """`az` with a home of its own, that knows no cloud but the sandbox."""

    def __init__(self, path: Path, home: Path, info: SandboxInfo) -> None:
        assert info.identity_endpoint and info.identity_header
        self.path = path
        self.environment = {
            "HOME": str(home),
            "PATH": os.environ["PATH"],
            "AZURE_CONFIG_DIR": str(home / "azure"),
            "AZURE_CORE_COLLECT_TELEMETRY": "no",
            "REQUESTS_CA_BUNDLE": info.ca_file,
            "IDENTITY_ENDPOINT": info.identity_endpoint,
            "IDENTITY_HEADER": info.identity_header,
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.path, *arguments, "-o", "json"],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def __call__(self, *arguments: str) -> Any:
        """What it prints."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None


@pytest.mark.slow
def test_az_makes_an_endpoint_and_its_dns(az, tmp_path):
    with running(tmp_path / "sandbox", helm=NO_HELM) as info:
        run = Az(az, tmp_path, info)
        assert info.arm_url
        run("cloud", "register", "-n", "Sandbox", "--endpoint-resource-manager", info.arm_url)
        run("cloud", "set", "-n", "Sandbox")
        (account,) = run("login", "--identity")
        assert (account["id"], account["tenantId"]) == (info.subscription_id, info.tenant_id)
        assert run("group", "list")[0]["name"] == info.resource_group

        group, host = ("-g", info.resource_group), info.hosts.dpm
        connection = ("--private-connection-resource-id", info.alias, "--connection-name", "dpe")
        made = run(
            *("network", "private-endpoint", "create", *group, "-n", "pe-dpe-weu", "-l", info.location),
            *("--subnet", info.subnet_id, *connection, "--manual-request", "true", "--nic-name", "nic-pe"),
        )
        (wished,) = made["manualPrivateLinkServiceConnections"]
        assert wished["privateLinkServiceConnectionState"]["status"] == "Approved"
        nic = run("network", "nic", "show", *group, "-n", "nic-pe")
        assert nic["ipConfigurations"][0]["privateIPAddress"] == "10.60.1.4"
        subnet = run("network", "vnet", "subnet", "show", "--ids", info.subnet_id)
        assert len(subnet["ipConfigurations"]) == 1

        zone = ("network", "private-dns")
        assert run(*zone, "zone", "create", *group, "-n", host)["provisioningState"] == "Succeeded"
        linked = run(
            *zone, "link", "vnet", "create", *group, "-z", host, "-n", "link", "-v", info.vnet_id, "-e", "false"
        )
        assert linked["virtualNetworkLinkState"] == "Completed"
        run(*zone, "record-set", "a", "add-record", *group, "-z", host, "-n", "@", "-a", "10.60.1.4")
        (record,) = run(*zone, "record-set", "a", "list", *group, "-z", host)
        assert (record["fqdn"], record["aRecords"]) == (f"{host}.", [{"ipv4Address": "10.60.1.4"}])

        again = run.run(*zone, "zone", "create", *group, "-n", host)
        assert again.returncode == 1
        assert "(PreconditionFailed)" in again.stderr

        run("network", "private-endpoint", "delete", *group, "-n", "pe-dpe-weu")
        assert run("network", "private-endpoint", "list", *group) == []
