"""Azure as one of the sandbox's servers: found by what `--serve` prints, and the same after a kill."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from azure.core import MatchConditions
from azure.identity import ManagedIdentityCredential
from azure.mgmt.network import NetworkManagementClient
from azure.mgmt.privatedns import PrivateDnsManagementClient
from azure.mgmt.privatedns import models as dns

from state.problem import Problem
from tests.sandbox.arm.served import connection, connection_to, until
from tests.sandbox.test_process import NO_HELM, SERVE
from wizard.sandbox import profile, workdir
from wizard.sandbox.arm import Arm
from wizard.sandbox.faults import FAULTS
from wizard.sandbox.portal import invent
from wizard.sandbox.process import joined, running


class Clients:
    """The SDK's clients for what a sandbox says about itself."""

    def __init__(self, info: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
        self.info = info
        monkeypatch.setenv("IDENTITY_ENDPOINT", info["identity_endpoint"])
        monkeypatch.setenv("IDENTITY_HEADER", info["identity_header"])
        where: dict[str, Any] = {
            "base_url": info["arm_url"],
            "credential_scopes": [f"{info['arm_url']}/.default"],
            "connection_verify": info["ca_file"],
            "polling_interval": 0.2,
        }
        self.network = NetworkManagementClient(ManagedIdentityCredential(), info["subscription_id"], **where)
        self.dns = PrivateDnsManagementClient(ManagedIdentityCredential(), info["subscription_id"], **where)

    def begin_endpoint(self) -> Any:
        wanted: Any = {
            "location": self.info["location"],
            "properties": {
                "subnet": {"id": self.info["subnet_id"]},
                "manualPrivateLinkServiceConnections": [connection_to(self.info["alias"]).as_dict()],
            },
        }
        group = self.info["resource_group"]
        return self.network.private_endpoints.begin_create_or_update(group, "pe-dpe-weu", wanted)

    def endpoint(self) -> Any:
        return self.network.private_endpoints.get(self.info["resource_group"], "pe-dpe-weu")


class Serving:
    """A `sandbox --serve` to be killed."""

    def __init__(self, work: Path, *faults: str) -> None:
        command = [sys.executable, "-c", SERVE, str(work), str(NO_HELM), *faults]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout
        self.info = json.loads(self.process.stdout.readline())

    def end(self, number: signal.Signals) -> None:
        self.process.send_signal(number)
        self.process.communicate(timeout=20)


@pytest.mark.slow
def test_killed_in_the_middle_of_an_endpoint_it_goes_on(tmp_path, monkeypatch):
    first = Serving(tmp_path / "sandbox")
    try:
        clients = Clients(first.info, monkeypatch)
        zone = dns.PrivateZone(location="global")
        clients.dns.private_zones.begin_create_or_update(
            first.info["resource_group"], "a.test", zone, etag="*", match_condition=MatchConditions.IfMissing
        ).result(20)
        clients.begin_endpoint()
        assert clients.endpoint().provisioning_state == "Updating"
    finally:
        first.end(signal.SIGKILL)
    second = Serving(tmp_path / "sandbox")
    try:
        assert second.info == first.info
        found: Any = until(lambda: (now := clients.endpoint()).provisioning_state == "Succeeded" and now)
        assert connection(found) == "Approved"
        nic = found.network_interfaces[0].id.rpartition("/")[2]
        interface = clients.network.network_interfaces.get(first.info["resource_group"], nic)
        assert interface.ip_configurations[0].private_ip_address == "10.60.1.4"
        assert [each.name for each in clients.dns.private_zones.list()] == ["a.test"]
    finally:
        second.end(signal.SIGTERM)


def test_what_it_says_about_itself(tmp_path, monkeypatch):
    with running(tmp_path / "sandbox", helm=NO_HELM) as info:
        assert info.arm_url and info.arm_url.startswith("https://127.0.0.1:")
        assert info.identity_endpoint and info.identity_endpoint.startswith("http://127.0.0.1:")
        clients = Clients(json.loads(info.to_json()), monkeypatch)
        (network,) = clients.network.virtual_networks.list_all()
        assert network.id == info.vnet_id
        lines = [json.loads(line) for line in Path(info.trace_file).read_text().splitlines()]
        assert [line["server"] for line in lines] == ["identity", "arm"]
        with joined(tmp_path / "sandbox", helm=NO_HELM) as again:
            assert again == info


@pytest.mark.slow
def test_a_fault_reaches_azure(tmp_path, monkeypatch):
    with running(tmp_path / "sandbox", ["pending-forever"], helm=NO_HELM) as info:
        made = Clients(json.loads(info.to_json()), monkeypatch).begin_endpoint().result(20)
        assert connection(made) == "Pending"


def test_every_fault_says_what_one_sees():
    assert all(fault.what and fault.seen and fault.name == name for name, fault in FAULTS.items())
    assert {"arm-throttled", "arm-slow", "arm-forbidden", "arm-connection-dropped", "arm-token-expired"} < set(FAULTS)


@pytest.mark.slow
def test_a_sandbox_of_before_there_was_azure_gets_one(tmp_path, monkeypatch):
    """Its profile has neither the ports nor the keys, and keeps everything else."""
    with running(tmp_path / "sandbox", helm=NO_HELM) as info:
        pass
    work = workdir.prepare(tmp_path / "sandbox")
    old = msgspec.json.decode(work.profile.read_bytes())
    del old["azure"], old["ports"]["arm"], old["ports"]["identity"]
    work.profile.write_bytes(msgspec.json.encode(old))
    work.arm.unlink()
    with running(tmp_path / "sandbox", helm=NO_HELM) as now:
        assert (now.registry, now.subscription_id) == (info.registry, info.subscription_id)
        assert now.identity_header != info.identity_header
        assert len(list(Clients(json.loads(now.to_json()), monkeypatch).network.virtual_networks.list_all())) == 1
    with running(tmp_path / "sandbox", helm=NO_HELM) as again:
        assert again == now
    kept = profile.load(work)
    assert kept is not None and kept.format == old["format"]


def test_a_reset_forgets_what_there_was(tmp_path, monkeypatch):
    with running(tmp_path / "sandbox", helm=NO_HELM) as info:
        Clients(json.loads(info.to_json()), monkeypatch).begin_endpoint()
    with running(tmp_path / "sandbox", helm=NO_HELM, reset=True) as info:
        clients = Clients(json.loads(info.to_json()), monkeypatch)
        assert list(clients.network.private_endpoints.list_by_subscription()) == []


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"format": 2}', '{"format": 1, "resources": 3}'])
def test_a_state_that_cannot_be_read_is_told(tmp_path, content):
    path = tmp_path / "arm.json"
    path.write_text(content)
    with pytest.raises(Problem, match="Azure cannot be read") as caught:
        Arm(invent(), object_id="x", state_path=path)
    assert "--reset" in caught.value.todo
