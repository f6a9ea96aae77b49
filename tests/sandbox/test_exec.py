"""Exec in the sandbox's pods: the official client's stream, the real kubectl, and what pods resolve."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.sandbox.k8s_cluster import CONTEXT, Cluster, cluster, deployment
from wizard.inside_lookup import Looked, read_script, script_command
from wizard.sandbox.faults import (
    CLUSTER_DNS_PUBLIC,
    CLUSTER_DNS_STALE,
    EXEC_FORBIDDEN,
    NO_EXEC_TOOLS,
    POD_DELETE_FORBIDDEN,
)
from wizard.sandbox.names import STALE_SECONDS, ClusterResolver

CORE = "/api/v1/namespaces/default"
APPS = "/apis/apps/v1/namespaces/default"
HOST, OTHER, EMPTY = "dpm.acme.test", "minio.acme.test", "empty.acme.test"
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


class Names:
    """A resolver whose answers a test may change."""

    def __init__(self) -> None:
        self.addresses: dict[str, tuple[str, ...]] = {HOST: ("203.0.113.17",), OTHER: ("203.0.113.17", "203.0.113.18")}

    def resolve(self, host: str) -> Sequence[str]:
        return self.addresses.get(host, ())

    def known(self, host: str) -> bool:
        return host == EMPTY or host in self.addresses

    def public(self, host: str) -> Sequence[str]:
        return {HOST: ("203.0.113.17",)}.get(host, ())


@pytest.fixture
def names() -> Names:
    return Names()


@pytest.fixture
async def running(tmp_path: Path, names: Names) -> AsyncIterator[Cluster]:
    async with cluster(tmp_path, names=names) as found:
        yield found


async def a_pod(on: Cluster) -> str:
    """The name of a Deployment's pod that is ready."""
    assert (await on.call("POST", f"{APPS}/deployments", deployment())).status == 201
    await on.until_ready(f"{APPS}/deployments/dpe")
    name: str = (await on.call("GET", f"{CORE}/pods")).body["items"][0]["metadata"]["name"]
    return name


async def by_client(on: Cluster, pod: str, *command: str, **options: Any) -> tuple[str, str, dict[str, Any]]:
    """stdout, stderr and the closing Status, by the official client's stream."""

    def run() -> tuple[str, str, dict[str, Any]]:
        import kubernetes.client
        import kubernetes.config
        from kubernetes.stream import stream

        client = kubernetes.config.new_client_from_config(str(on.work.kubeconfig), CONTEXT, persist_config=False)
        asked = {"stdout": True, "stderr": True, "stdin": False, "tty": False, **options}
        connect = kubernetes.client.CoreV1Api(client).connect_get_namespaced_pod_exec
        socket = stream(connect, pod, "default", command=list(command), _preload_content=False, **asked)
        socket.run_forever(timeout=10)
        return socket.read_channel(1), socket.read_channel(2), json.loads(socket.read_channel(3))

    return await asyncio.to_thread(run)


async def test_programs_end_as_the_real_ones_do(running: Cluster, names: Names) -> None:
    pod = await a_pod(running)
    stdout, stderr, status = await by_client(running, pod, "getent", "ahosts", OTHER)
    assert [line.split() for line in stdout.splitlines()][:4] == [
        ["203.0.113.17", "STREAM", OTHER],
        ["203.0.113.17", "DGRAM"],
        ["203.0.113.17", "RAW"],
        ["203.0.113.18", "STREAM"],
    ]
    assert (stderr, status) == ("", {"metadata": {}, "status": "Success"})

    names.addresses[HOST] = ("10.20.1.7",)
    assert (await by_client(running, pod, "getent", "hosts", HOST))[0].split() == ["10.20.1.7", HOST]
    assert "Address: 10.20.1.7\n" in (await by_client(running, pod, "nslookup", HOST))[0]

    del names.addresses[HOST]
    for command, code in ((("getent", "ahosts", HOST), "2"), (("nslookup", HOST), "1"), (("getent", "x", HOST), "1")):
        status = (await by_client(running, pod, *command))[2]
        assert (status["reason"], status["details"]["causes"]) == (
            "NonZeroExitCode",
            [{"reason": "ExitCode", "message": code}],
        )
    assert "NXDOMAIN" in (await by_client(running, pod, "nslookup", HOST))[0]
    assert "No answer" in (await by_client(running, pod, "nslookup", EMPTY))[0]

    status = (await by_client(running, pod, "sh", "-c", "id"))[2]
    assert (status["reason"], status["code"]) == ("InternalError", 500)
    assert 'exec: "sh": executable file not found in $PATH' in status["message"]


async def test_only_the_streams_asked_for_are_sent(running: Cluster) -> None:
    pod = await a_pod(running)
    assert (await by_client(running, pod, "getent"))[1]
    stdout, stderr, status = await by_client(running, pod, "getent", stdout=False, stderr=False)
    assert (stdout, stderr, status["status"]) == ("", "", "Failure")


async def test_what_is_no_exec_is_refused_before_a_socket_opens(running: Cluster) -> None:
    pod = await a_pod(running)
    broken = {"spec": {"containers": [{"name": "c", "image": "x:broken"}]}, "metadata": {"name": "waits"}}
    await running.call("POST", f"{CORE}/pods", broken)
    lookup = "command=getent&command=ahosts&command=x.test&stdout=1"
    for name, query, status, text in (
        ("nothere", lookup, 404, 'pods "nothere" not found'),
        (pod, "stdout=1", 400, "at least one command"),
        (pod, f"{lookup}&container=other", 400, "container other is not valid"),
        (pod, lookup, 400, "Upgrade request required"),
    ):
        refused = await running.call("GET", f"{CORE}/pods/{name}/exec?{query}")
        assert (refused.status, text in refused.body["message"]) == (status, True), refused.body
    headers = {"Authorization": f"Bearer {running.token}"}
    for protocols, name, status in (
        (("v4.channel.k8s.io",), "waits", 500),
        (("base64.channel.k8s.io",), pod, 400),
        ((), pod, 400),
    ):
        url = f"{running.url}{CORE}/pods/{name}/exec?{lookup}"
        with pytest.raises(aiohttp.WSServerHandshakeError, match=str(status)):
            await running.http.ws_connect(url, headers=headers, protocols=protocols)


@pytest.mark.parametrize("protocols", [("v4.channel.k8s.io",), ("v5.channel.k8s.io", "v4.channel.k8s.io")])
async def test_the_newest_protocol_in_common_is_spoken(running: Cluster, protocols: tuple[str, ...]) -> None:
    url = f"{running.url}{CORE}/pods/{await a_pod(running)}/exec?command=getent&command=ahosts&command={HOST}&stdout=1"
    headers = {"Authorization": f"Bearer {running.token}"}
    async with running.http.ws_connect(url, headers=headers, protocols=protocols) as socket:
        assert socket.protocol == protocols[0]
        messages = [message.data async for message in socket]
    assert [message[:1] for message in messages] == [b"\x01", b"\x03"]
    with pytest.raises(aiohttp.WSServerHandshakeError, match="401"):
        await running.http.ws_connect(url, protocols=protocols)


async def test_a_probe_pods_log_is_what_its_lookups_found(running: Cluster, names: Names) -> None:
    hosts = (HOST, "nowhere.test")
    container = {"name": "lookup", "image": "registry.test/dpe:1", "command": list(script_command("mark", hosts))}
    names.addresses[HOST] = ("10.20.1.7",)
    body = {"metadata": {"name": "probe"}, "spec": {"restartPolicy": "Never", "containers": [container]}}
    await running.call("POST", f"{CORE}/pods", body)

    async def ended() -> bool:
        return bool(
            (await running.call("GET", f"{CORE}/pods/probe")).body.get("status", {}).get("phase") == "Succeeded"
        )

    await running.until(ended)
    log = (await running.call("GET", f"{CORE}/pods/probe/log?container=lookup")).body
    assert read_script(log, "mark", hosts) == {
        HOST: Looked("getent", ("10.20.1.7",)),
        "nowhere.test": Looked("getent", error="nxdomain"),
    }


# ---------------------------------------------------------------- faults


async def test_pods_alone_may_not_be_deleted(tmp_path: Path, names: Names) -> None:
    async with cluster(tmp_path, names=names, faults=frozenset({POD_DELETE_FORBIDDEN})) as on:
        pod = await a_pod(on)
        refused = await on.call("DELETE", f"{CORE}/pods/{pod}")
        assert (refused.status, 'cannot delete resource "pods"' in refused.body["message"]) == (403, True)
        review = {"spec": {"resourceAttributes": {"namespace": "default", "verb": "delete", "resource": "pods"}}}
        assert (await on.call("POST", REVIEWS, review)).body["status"]["allowed"] is False
        review["spec"]["resourceAttributes"]["verb"] = "create"
        assert (await on.call("POST", REVIEWS, review)).body["status"]["allowed"] is True


async def test_exec_alone_is_forbidden(tmp_path: Path, names: Names) -> None:
    async with cluster(tmp_path, names=names, faults=frozenset({EXEC_FORBIDDEN})) as on:
        pod = await a_pod(on)
        refused = await on.call("GET", f"{CORE}/pods/{pod}/exec?command=getent")
        assert refused.status == 403
        assert f'pods "{pod}" is forbidden' in refused.body["message"]
        assert 'cannot get resource "pods/exec"' in refused.body["message"]
        assert (await on.call("GET", f"{CORE}/pods/{pod}/log")).status == 200

        async def allowed(**attributes: str) -> bool:
            review = {"spec": {"resourceAttributes": {"namespace": "default", **attributes}}}
            return bool((await on.call("POST", REVIEWS, review)).body["status"]["allowed"])

        assert not await allowed(verb="create", resource="pods", subresource="exec")
        assert not await allowed(verb="create", resource="*")
        assert await allowed(verb="create", resource="pods")
        assert await allowed(verb="get", resource="pods", subresource="log")
        rules = await on.call(
            "POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", {"spec": {"namespace": "default"}}
        )
        listed = {name for rule in rules.body["status"]["resourceRules"] for name in rule["resources"]}
        assert {"pods", "pods/log"} <= listed
        assert "pods/exec" not in listed


async def test_an_image_without_tools(tmp_path: Path, names: Names) -> None:
    async with cluster(tmp_path, names=names, faults=frozenset({NO_EXEC_TOOLS})) as on:
        pod = await a_pod(on)
        for tool in ("getent", "nslookup", "python3"):
            assert "executable file not found" in (await by_client(on, pod, tool, HOST))[2]["message"]


def test_a_cluster_whose_dns_forwards_nothing_stays_public(names: Names) -> None:
    inside = ClusterResolver(names, frozenset({CLUSTER_DNS_PUBLIC}))  # type: ignore[arg-type]
    names.addresses[HOST] = ("10.20.1.7",)
    assert inside.resolve(HOST) == ("203.0.113.17",)
    assert (inside.resolve("nowhere.test"), inside.known("nowhere.test")) == ((), False)
    assert ClusterResolver(names, frozenset()).resolve(HOST) == ("10.20.1.7",)  # type: ignore[arg-type]


def test_a_stale_cluster_turns_by_itself(names: Names) -> None:
    now = 1000.0
    inside = ClusterResolver(names, frozenset({CLUSTER_DNS_STALE}), clock=lambda: now)  # type: ignore[arg-type]
    names.addresses[HOST] = ()
    seen = []
    for wait in (0.0, STALE_SECONDS - 1, 1.0):
        now += wait
        seen.append((inside.resolve(HOST), inside.known(HOST)))
    assert seen == [(("203.0.113.17",), True), (("203.0.113.17",), True), ((), True)]
    names.addresses[HOST] = ("10.20.1.7",)
    assert inside.resolve(HOST) == ()
    now += STALE_SECONDS
    assert inside.resolve(HOST) == ("10.20.1.7",)


# ---------------------------------------------------------------- kubectl


async def test_kubectl_exec(running: Cluster, kubectl: Path, names: Names) -> None:
    pod = await a_pod(running)
    found = await running.run(kubectl, "exec", pod, "--", "getent", "ahosts", HOST)
    assert found.code == 0, found.output
    assert found.output.startswith("203.0.113.17    STREAM dpm.acme.test\n")
    missing = await running.run(kubectl, "exec", "deploy/dpe", "--", "getent", "ahosts", "nowhere.test")
    assert (missing.code, "command terminated with exit code 2" in missing.output) == (2, True), missing.output
    unknown = await running.run(kubectl, "exec", "-i", pod, "--", "curl", "https://example.com")
    assert unknown.code == 1
    assert 'exec: "curl": executable file not found in $PATH' in unknown.output


async def test_kubectl_says_who_may_not(tmp_path: Path, kubectl: Path) -> None:
    async with cluster(tmp_path, faults=frozenset({EXEC_FORBIDDEN})) as on:
        pod = await a_pod(on)
        refused = await on.run(kubectl, "exec", pod, "--", "getent", "ahosts", HOST)
        can = await on.run(kubectl, "auth", "can-i", "create", "pods", "--subresource=exec")
    assert refused.code == 1
    assert "pods/exec" in refused.output
    assert can.output.strip().endswith("no")
