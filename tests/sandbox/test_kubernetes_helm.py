"""The real helm, kubectl and Python client against the sandbox's Kubernetes API."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.sandbox.k8s_cluster import Cluster, Result, cluster, write_chart, write_values
from wizard.sandbox.faults import FORBIDDEN, PODS_NEVER_READY

NAMESPACE = "dpe-test"


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with cluster(tmp_path, state_path=tmp_path / "kubernetes.json") as found:
        yield found


class Helm:
    """helm on a cluster, with the two versions of the chart and its values."""

    def __init__(self, binary: Path, on: Cluster, directory: Path) -> None:
        self.binary, self.cluster = binary, on
        self.is_4 = "helm-4" in str(binary)
        self.charts = {version: write_chart(directory, version) for version in ("16.1.0", "16.2.0")}
        self.values = write_values(directory)

    async def run(self, *arguments: str | Path) -> Result:
        return await self.cluster.run(self.binary, *arguments, "-n", NAMESPACE)

    async def upgrade(self, version: str, *more: str) -> Result:
        chart = self.charts[version]
        return await self.run("upgrade", "--install", "dpe", chart, "-f", self.values, "--create-namespace", *more)

    async def statuses(self) -> list[str]:
        found = await self.run("history", "dpe", "-o", "json")
        return [revision["status"] for revision in json.loads(found.output)]


async def test_install_waits_for_ready_pods_and_uninstall_leaves_nothing(
    helm: Path, running: Cluster, tmp_path: Path
) -> None:
    tool = Helm(helm, running, tmp_path)
    installed = await tool.upgrade("16.1.0", "--set", "replicaCount=2", "--wait", "--timeout", "30s", "-o", "json")
    assert installed.code == 0, installed.output
    assert json.loads(installed.output)["info"]["status"] == "deployed"
    deployed = await running.call("GET", f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/dpe-dpe")
    assert deployed.body["status"]["readyReplicas"] == 2
    gone = await tool.run("uninstall", "dpe", "--wait", "--timeout", "30s")
    assert gone.code == 0, gone.output
    for path in ("apis/apps/v1/{}/deployments", "apis/apps/v1/{}/replicasets", "api/v1/{}/pods", "api/v1/{}/secrets"):
        left = await running.call("GET", "/" + path.format(f"namespaces/{NAMESPACE}"))
        assert left.body["items"] == [], path


async def test_helm_names_the_right_that_is_missing(helm3: Path, tmp_path: Path) -> None:
    async with cluster(tmp_path, faults=frozenset({FORBIDDEN})) as running:
        refused = await Helm(helm3, running, tmp_path).run("list")
    assert refused.code != 0
    wanted = 'cannot list resource "secrets" in API group "" in the namespace "dpe-test"'
    assert f'secrets is forbidden: User "sandbox-admin" {wanted}' in refused.output


@pytest.mark.slow
async def test_pods_never_ready_ends_the_wait(helm: Path, tmp_path: Path) -> None:
    async with cluster(tmp_path, faults=frozenset({PODS_NEVER_READY})) as running:
        waited = await Helm(helm, running, tmp_path).upgrade("16.1.0", "--wait", "--timeout", "3s")
        assert waited.code != 0
        pods = await running.call("GET", f"/api/v1/namespaces/{NAMESPACE}/pods")
        states = [status["state"] for pod in pods.body["items"] for status in pod["status"]["containerStatuses"]]
        assert [state["waiting"]["reason"] for state in states] == ["ImagePullBackOff"]


@pytest.mark.slow
async def test_values_that_the_chart_refuses(helm: Path, running: Cluster, tmp_path: Path) -> None:
    tool = Helm(helm, running, tmp_path)
    missing = await tool.run("upgrade", "--install", "dpe", tool.charts["16.1.0"], "--create-namespace")
    assert missing.code != 0
    assert "accessKey" in missing.output
    wrong = await tool.upgrade("16.1.0", "--set", "replicaCount=-1")
    assert wrong.code != 0
    assert "replicaCount" in wrong.output


@pytest.mark.slow
async def test_the_life_of_a_release(helm: Path, kubectl: Path, running: Cluster, tmp_path: Path) -> None:
    tool = Helm(helm, running, tmp_path)

    missing = await tool.run("status", "dpe")
    assert "release: not found" in missing.output
    assert (await tool.run("list", "-o", "json")).output.strip() == "[]"

    dry = await running.run(
        helm,
        "upgrade",
        "--install",
        "dpe",
        tool.charts["16.1.0"],
        "-f",
        tool.values,
        "-n",
        "default",
        "--dry-run=server",
    )
    assert dry.code == 0, dry.output
    assert (await running.call("GET", "/api/v1/namespaces/default/secrets")).body["items"] == []

    first = await tool.upgrade("16.1.0", "--wait", "--timeout", "30s", "-o", "json")
    assert first.code == 0, first.output
    assert json.loads((await tool.run("status", "dpe", "-o", "json")).output)["version"] == 1
    assert "abfss://c@acct.dfs.core.windows.net" in (await tool.run("get", "values", "dpe")).output
    assert "kind: Deployment" in (await tool.run("get", "manifest", "dpe")).output
    assert "ataccama-one-dpe-16.1.0" in (await tool.run("list")).output
    everywhere = await running.run(helm, "list", "-A", "-o", "json")
    assert [release["name"] for release in json.loads(everywhere.output)] == ["dpe"]

    scaled = ("--set", "replicaCount=2", "--set", "migration.enabled=true")
    second = await tool.upgrade("16.2.0", *scaled, "--wait", "--timeout", "30s")
    assert second.code == 0, second.output
    assert await tool.statuses() == ["superseded", "deployed"]
    assert (await running.call("GET", f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs")).body["items"] == []
    dry = await tool.upgrade("16.2.0", "--set", "dpm.host=other.acme.test", "--dry-run=server")
    assert "other.acme.test" in dry.output, dry.output

    broken = await tool.upgrade("16.2.0", "--set", "image.tag=broken", "--wait", "--timeout", "3s")
    assert broken.code != 0
    assert await tool.statuses() == ["superseded", "deployed", "failed"]
    back = await tool.run("rollback", "dpe", "1", "--wait", "--timeout", "30s")
    assert "Rollback was a success" in back.output
    atomic = "--rollback-on-failure" if tool.is_4 else "--atomic"
    broken = await tool.upgrade("16.2.0", "--set", "image.tag=broken", atomic, "--timeout", "3s")
    assert broken.code != 0
    status = json.loads((await tool.run("status", "dpe", "-o", "json")).output)
    assert (status["info"]["status"], status["version"]) == ("deployed", 6)

    await _kubectl_on_a_release(running, kubectl)
    gone = await tool.run("uninstall", "dpe", "--wait", "--timeout", "30s")
    assert "uninstalled" in gone.output
    left = await running.run(kubectl, "get", "deploy,rs,pods", "-n", NAMESPACE)
    assert "No resources found" in left.output


async def _kubectl_on_a_release(running: Cluster, kubectl: Path) -> None:
    async def run(*arguments: str, stdin: bytes = b"") -> str:
        result = await running.run(kubectl, *arguments, "-n", NAMESPACE, stdin=stdin)
        assert result.code == 0, f"{arguments}: {result.output}"
        return result.output

    assert "deployment.apps/dpe-dpe" in await run("get", "deploy,rs,pods,svc,cm,secret,events")
    assert "successfully rolled out" in await run("rollout", "status", "deploy/dpe-dpe", "--timeout", "20s")
    assert "condition met" in await run("wait", "--for=condition=Available", "deploy/dpe-dpe", "--timeout", "20s")
    assert "yes" in await run("auth", "can-i", "create", "deployments")
    assert "sandbox-admin" in await run("auth", "whoami")
    assert "sandbox: container dpe started" in await run("logs", "deploy/dpe-dpe")

    await run("scale", "deploy/dpe-dpe", "--replicas=3")
    await run("rollout", "status", "deploy/dpe-dpe", "--timeout", "20s")
    assert "3 desired" in await run("describe", "deploy/dpe-dpe")
    await run("rollout", "restart", "deploy/dpe-dpe")
    await run("rollout", "status", "deploy/dpe-dpe", "--timeout", "20s")
    await run("rollout", "undo", "deploy/dpe-dpe")
    await run("rollout", "status", "deploy/dpe-dpe", "--timeout", "20s")

    manifest = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: {a: b, old: c}\n"
    await run("apply", "-f", "-", stdin=manifest)
    await run("apply", "-f", "-", stdin=manifest.replace(b"a: b, old: c", b"a: c"))
    stored = await running.call("GET", f"/api/v1/namespaces/{NAMESPACE}/configmaps/x")
    assert stored.body["data"] == {"a": "c"}
    await run("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=manifest)
    await run("apply", "--server-side", "-f", "-", stdin=manifest.replace(b", old: c", b""))
    stored = await running.call("GET", f"/api/v1/namespaces/{NAMESPACE}/configmaps/x")
    assert stored.body["data"] == {"a": "b"}


@pytest.mark.slow
async def test_the_python_client(running: Cluster) -> None:
    def look() -> tuple[str, bool, list[str]]:
        from kubernetes import client, config, watch

        configuration = client.Configuration()
        config.load_kube_config(str(running.work.kubeconfig), client_configuration=configuration)
        with client.ApiClient(configuration) as http:
            core = client.CoreV1Api(http)
            uid = core.read_namespace("kube-system").metadata.uid
            attributes = client.V1ResourceAttributes(verb="list", resource="secrets", namespace="default")
            review = client.V1SelfSubjectAccessReview(
                spec=client.V1SelfSubjectAccessReviewSpec(resource_attributes=attributes)
            )
            allowed = client.AuthorizationV1Api(http).create_self_subject_access_review(review).status.allowed
            seen = [
                event["object"].metadata.name for event in watch.Watch().stream(core.list_namespace, timeout_seconds=1)
            ]
        return uid, allowed, seen

    uid, allowed, seen = await asyncio.to_thread(look)
    stored = await running.call("GET", "/api/v1/namespaces/kube-system")
    assert uid == stored.body["metadata"]["uid"]
    assert allowed is True
    assert seen == ["default", "kube-system"]


async def test_kubectl_tells_what_is_forbidden(kubectl: Path, tmp_path: Path) -> None:
    async with cluster(tmp_path, faults=frozenset({FORBIDDEN})) as running:
        may_not = await running.run(kubectl, "auth", "can-i", "list", "secrets", "-n", "default")
        may = await running.run(kubectl, "auth", "can-i", "create", "deployments", "-n", "default")
    assert (may_not.output.strip(), may_not.code) == ("no", 1)
    assert (may.output.strip(), may.code) == ("yes", 0)
