"""The trap, seen from inside the sandbox's cluster: a release that is up resolves publicly until step 5 is done."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

from state.events import EnvironmentSet
from tests.sandbox.k8s_cluster import write_chart, write_values
from tests.sandbox.test_names import Azure
from wizard.environment import connected
from wizard.ports import InsideAnswer
from wizard.sandbox.faults import CLUSTER_DNS_PUBLIC
from wizard.sandbox.names import PUBLIC_ADDRESS
from wizard.sandbox.process import running


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["", CLUSTER_DNS_PUBLIC])
async def test_inside_a_host_is_public_until_its_record_is_there(tmp_path: Path, helm4: Path, fault: str):
    with running(tmp_path / "sandbox", helm=helm4, faults=[fault] if fault else []) as info:
        at = ["--kubeconfig", info.kubeconfig, "--kube-context", info.kube_context, "--namespace", info.namespace]
        chart, values = write_chart(tmp_path, "16.1.0"), write_values(tmp_path)
        install = [helm4, "upgrade", "--install", info.release, chart, "--values", values, "--create-namespace", *at]
        subprocess.run([*map(str, install), "--wait"], check=True, capture_output=True, timeout=120)
        azure, host = Azure(info), info.hosts.dpm

        environment = EnvironmentSet(sandbox=True, kubeconfig=info.kubeconfig, kube_context=info.kube_context)
        async with connected(environment) as (_, writers):
            probe = writers.probe
            assert probe is not None

            hosts = (host, info.hosts.minio)

            async def both() -> list[tuple[tuple[str, ...], str]]:
                by_exec = await probe.by_exec(info.release, info.namespace, hosts)
                said: list[str] = []
                by_pod = await probe.by_pod(
                    info.release,
                    info.namespace,
                    hosts,
                    name="probe-1",
                    mark="rehearsal",
                    started=lambda: said.append("started"),
                    ended=lambda: said.append("ended"),
                )
                assert said == ["started", "ended"]
                assert isinstance(by_pod, InsideAnswer)
                assert by_exec.answers == by_pod.answers
                return [(answer.addresses, answer.error) for answer in by_exec.answers]

            public = ((PUBLIC_ADDRESS,), "")
            assert await both() == [public, public]

            zone = f"/subscriptions/{info.subscription_id}/resourceGroups/{info.resource_group}"
            zone += f"/providers/Microsoft.Network/privateDnsZones/{host}"
            azure.put(zone, {"location": "global"})
            linked = {"virtualNetwork": {"id": info.vnet_id}, "registrationEnabled": False}
            azure.put(f"{zone}/virtualNetworkLinks/to-vnet", {"location": "global", "properties": linked})
            azure.put(f"{zone}/A/@", {"properties": {"ttl": 300, "aRecords": [{"ipv4Address": "10.20.1.7"}]}})
            async with asyncio.timeout(60):
                while not fault:  # Azure takes a moment to link
                    if (await probe.by_exec(info.release, info.namespace, hosts)).answers[0].addresses == (
                        "10.20.1.7",
                    ):
                        break
            assert await both() == [public if fault else (("10.20.1.7",), ""), public]
            assert await probe.sweep(info.namespace, "rehearsal", frozenset(("rehearsal",))) == ()
