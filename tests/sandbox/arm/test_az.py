"""The real `az` against the sandbox's Azure: steps 3 and 5 of the guide, by hand."""

from __future__ import annotations

import pytest

from tests.az_cli import Az, az_path
from tests.sandbox.test_process import NO_HELM
from wizard.sandbox.process import running


@pytest.mark.slow
def test_az_makes_an_endpoint_and_its_dns(tmp_path):
    with running(tmp_path / "sandbox", helm=NO_HELM) as info:
        run = Az(az_path(), tmp_path, info)
        (account,) = run.log_in()
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
        found = run("network", "private-endpoint", "show", *group, "-n", "pe-dpe-weu")
        assert (found["id"], found["provisioningState"]) == (made["id"], "Succeeded")
        assert [one["id"] for one in run("network", "vnet", "list", *group)] == [info.vnet_id]
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
