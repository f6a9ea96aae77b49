"""The API's answers, request by request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from state.problem import Problem
from tests.sandbox.k8s_cluster import Cluster, cluster, deployment, workload
from wizard.sandbox.faults import FORBIDDEN, PODS_NEVER_READY
from wizard.sandbox.kubernetes import KubernetesApi
from wizard.sandbox.trace import Trace

CORE = "/api/v1/namespaces/default"
APPS = "/apis/apps/v1/namespaces/default"
BATCH = "/apis/batch/v1/namespaces/default"
REVIEWS = "/apis/authorization.k8s.io/v1"
MERGE = "application/merge-patch+json"


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with cluster(tmp_path) as found:
        yield found


def config_map(name: str, **data: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


# ---------------------------------------------------------------- who asks


@pytest.mark.parametrize("path", ["/version", "/api", "/apis", "/openapi/v3", "/api/v1/pods", "/nothing"])
async def test_everything_wants_the_bearer(running: Cluster, path: str) -> None:
    for token in ("", "wrong", running.token + "x"):
        refused = await running.call("GET", path, token=token)
        assert (refused.status, refused.body["reason"]) == (401, "Unauthorized")


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz"])
async def test_health_wants_it_too(running: Cluster, path: str) -> None:
    assert (await running.call("GET", path, token="")).status == 401
    assert (await running.call("GET", path)).body == "ok"


async def test_forbidden_is_said_as_rbac_says_it(tmp_path: Path) -> None:
    async with cluster(tmp_path, faults=frozenset({FORBIDDEN})) as running:
        listed = await running.call("GET", f"{CORE}/secrets")
        everywhere = await running.call("GET", "/api/v1/secrets")
        one = await running.call("GET", f"{CORE}/secrets/x")
        made = await running.call("POST", f"{CORE}/secrets", {"metadata": {"name": "x"}})
        other = await running.call("GET", f"{CORE}/configmaps")
    who, what = 'forbidden: User "sandbox-admin" cannot', 'resource "secrets" in API group ""'
    assert listed.body["message"] == f'secrets is {who} list {what} in the namespace "default"'
    assert everywhere.body["message"] == f"secrets is {who} list {what} at the cluster scope"
    assert one.body["message"] == f'secrets "x" is {who} get {what} in the namespace "default"'
    assert made.body["message"] == f'secrets is {who} create {what} in the namespace "default"'
    assert [answer.status for answer in (listed, everywhere, one, made, other)] == [403, 403, 403, 403, 200]
    assert listed.body["reason"] == "Forbidden"


@pytest.mark.parametrize("faults", [frozenset(), frozenset({FORBIDDEN})])
async def test_reviews_agree_with_what_is_allowed(tmp_path: Path, faults: frozenset[str]) -> None:
    async with cluster(tmp_path, faults=faults) as running:
        for resource in ("secrets", "configmaps"):
            attributes = {"verb": "list", "resource": resource, "namespace": "default"}
            review = {"spec": {"resourceAttributes": attributes}}
            asked = await running.call("POST", f"{REVIEWS}/selfsubjectaccessreviews", review)
            tried = await running.call("GET", f"{CORE}/{resource}")
            assert asked.body["status"]["allowed"] is (tried.status == 200)
        rules = await running.call("POST", f"{REVIEWS}/selfsubjectrulesreviews", {"spec": {"namespace": "default"}})
        listed = {name for rule in rules.body["status"]["resourceRules"] for name in rule["resources"]}
        assert ({"*", "secrets"} & listed != set()) is (not faults)


# ---------------------------------------------------------------- what is refused


async def test_unknown_kinds_and_parts_are_not_found(running: Cluster) -> None:
    for path in ("/apis/example.com/v1/things", "/api/v1/things", f"{CORE}/pods/x/attach", "/apis/nothing/v1"):
        refused = await running.call("GET", path)
        assert (refused.status, refused.body["reason"]) == (404, "NotFound"), path


REFUSED: list[tuple[str, str, Any, int, str]] = [
    (
        "no selector",
        f"{APPS}/deployments",
        {"metadata": {"name": "x"}, "spec": {}},
        422,
        "spec.selector: Required value",
    ),
    (
        "labels",
        f"{APPS}/deployments",
        {**deployment(), "spec": {**deployment()["spec"], "selector": {"matchLabels": {"app": "other"}}}},
        422,
        "`selector` does not match template `labels`",
    ),
    (
        "no image",
        f"{CORE}/pods",
        {"metadata": {"name": "x"}, "spec": {"containers": [{"name": "c"}]}},
        422,
        "[0].image",
    ),
    ("no name", f"{CORE}/configmaps", {"metadata": {}}, 422, "metadata.name: Required value"),
    ("capitals", f"{CORE}/configmaps", config_map("Dpe"), 422, "a lowercase RFC 1123 subdomain"),
    ("no ports", f"{CORE}/services", {"metadata": {"name": "x"}, "spec": {}}, 422, "spec.ports: Required value"),
    ("number as text", f"{CORE}/configmaps", config_map("x", port=443), 400, "cannot unmarshal number"),
    ("text as number", f"{APPS}/deployments", deployment(replicas="2"), 400, "cannot unmarshal string"),  # type: ignore[arg-type]
    ("other kind", f"{CORE}/secrets", config_map("x"), 400, "must be of type Secret"),
    (
        "other version",
        f"{CORE}/configmaps",
        {**config_map("x"), "apiVersion": "v2"},
        400,
        "does not match the expected",
    ),
    ("no namespace", "/api/v1/namespaces/nowhere/configmaps", config_map("x"), 404, 'namespaces "nowhere" not found'),
    ("no JSON", f"{CORE}/configmaps", b"{", 400, "cannot be parsed"),
    ("a list", f"{CORE}/configmaps", [], 400, "no JSON object"),
]


@pytest.mark.parametrize(
    ("path", "body", "status", "text"), [case[1:] for case in REFUSED], ids=[c[0] for c in REFUSED]
)
async def test_wrong_manifests_are_refused(running: Cluster, path: str, body: Any, status: int, text: str) -> None:
    refused = await running.call("POST", path, body)
    assert refused.status == status
    assert text in refused.body["message"]
    assert (refused.body["kind"], refused.body["status"], refused.body["code"]) == ("Status", "Failure", status)


async def test_a_write_based_on_an_older_version_is_refused(running: Cluster) -> None:
    first = (await running.call("POST", f"{CORE}/configmaps", config_map("x", a="1"))).body
    assert (await running.call("PUT", f"{CORE}/configmaps/x", {**first, "data": {"a": "2"}})).status == 200
    late = await running.call("PUT", f"{CORE}/configmaps/x", {**first, "data": {"a": "3"}})
    assert (late.status, late.body["reason"]) == (409, "Conflict")
    again = await running.call("POST", f"{CORE}/configmaps", config_map("x"))
    assert (again.status, again.body["reason"]) == (409, "AlreadyExists")


async def test_a_dry_run_changes_nothing(running: Cluster) -> None:
    before = running.api.dump()
    tried = await running.call("POST", f"{CORE}/configmaps?dryRun=All", config_map("x"))
    assert tried.status == 201
    apply = json.dumps(config_map("y")).encode()
    path = f"{CORE}/configmaps/y?dryRun=All&fieldManager=test"
    assert (await running.call("PATCH", path, apply, kind="application/apply-patch+yaml")).status == 201
    assert (await running.call("DELETE", "/api/v1/namespaces/default?dryRun=All")).status == 403
    assert running.api.dump() == before


async def test_a_damaged_protobuf_is_refused(running: Cluster) -> None:
    for body in (b"nothing", b"k8s\x00\x0a\x7f", b"k8s\x00"):
        refused = await running.call("POST", f"{CORE}/secrets", body, kind="application/vnd.kubernetes.protobuf")
        assert refused.status == 400, body


# ---------------------------------------------------------------- lists and watches


async def test_pages_together_are_the_whole_list(running: Cluster) -> None:
    names = [f"x{index:02}" for index in range(7)]
    for name in names:
        await running.call("POST", f"{CORE}/configmaps", config_map(name))
    found: list[str] = []
    token, left = "", []
    while True:
        page = (await running.call("GET", f"{CORE}/configmaps?limit=3&continue={token}")).body
        found += [item["metadata"]["name"] for item in page["items"]]
        left.append(page["metadata"].get("remainingItemCount", 0))
        token = page["metadata"].get("continue", "")
        if not token:
            break
    assert found == names
    assert left == [4, 1, 0]
    assert (await running.call("GET", f"{CORE}/configmaps?continue=nonsense")).status == 400


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("tier=a", ["one"]),
        ("tier!=a", ["three", "two"]),
        ("tier in (a, b)", ["one", "two"]),
        ("tier notin (a,b)", ["three"]),
        ("tier", ["one", "two"]),
        ("!tier", ["three"]),
        ("tier=b,app==x", ["two"]),
    ],
)
async def test_label_selectors(running: Cluster, selector: str, names: list[str]) -> None:
    for name, labels in {"one": {"tier": "a"}, "two": {"tier": "b", "app": "x"}, "three": {}}.items():
        await running.call("POST", f"{CORE}/configmaps", {"metadata": {"name": name, "labels": labels}})
    found = await running.call("GET", f"{CORE}/configmaps?labelSelector={selector.replace(' ', '%20')}")
    assert [item["metadata"]["name"] for item in found.body["items"]] == names


async def test_a_watch_sees_objects_come_change_and_leave(running: Cluster) -> None:
    version = (await running.call("GET", f"{CORE}/configmaps")).body["metadata"]["resourceVersion"]
    await running.call("POST", f"{CORE}/configmaps", config_map("early"))
    url = f"{running.url}{CORE}/configmaps?watch=1&resourceVersion={version}&labelSelector=!hidden"
    seen: list[tuple[str, str]] = []
    async with running.http.get(url, headers={"Authorization": f"Bearer {running.token}"}) as stream:
        await running.call("POST", f"{CORE}/configmaps", config_map("late"))
        hide = {"metadata": {"labels": {"hidden": "yes"}}}
        await running.call("PATCH", f"{CORE}/configmaps/late", hide, kind=MERGE)
        await running.call("PATCH", f"{CORE}/configmaps/early", {"data": {"a": "b"}}, kind=MERGE)
        await running.call("DELETE", f"{CORE}/configmaps/early")
        async with asyncio.timeout(10):
            while len(seen) < 5:
                event = json.loads(await stream.content.readline())
                seen.append((event["type"], event["object"]["metadata"]["name"]))
    added = [("ADDED", "early"), ("ADDED", "late")]
    assert seen == [*added, ("DELETED", "late"), ("MODIFIED", "early"), ("DELETED", "early")]


async def test_a_watch_from_the_forgotten_past_is_expired(running: Cluster) -> None:
    refused = await running.call("GET", "/api/v1/pods?watch=1&resourceVersion=1")
    assert (refused.status, refused.body["reason"]) == (410, "Expired")


# ---------------------------------------------------------------- workloads


@pytest.mark.parametrize(
    ("path", "body", "field", "wanted"),
    [
        (f"{APPS}/deployments", deployment(replicas=3), "availableReplicas", 3),
        (f"{APPS}/statefulsets", workload("StatefulSet"), "readyReplicas", 2),
        (f"{APPS}/daemonsets", workload("DaemonSet"), "numberReady", 1),
        (
            f"{BATCH}/jobs",
            {
                "metadata": {"name": "dpe"},
                "spec": {
                    "completions": 3,
                    "parallelism": 2,
                    "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "x:1"}]}},
                },
            },
            "succeeded",
            3,
        ),
    ],
    ids=["Deployment", "StatefulSet", "DaemonSet", "Job"],
)
async def test_workloads_become_ready_and_take_their_pods_along(
    running: Cluster, path: str, body: Any, field: str, wanted: int
) -> None:
    assert (await running.call("POST", path, body)).status == 201
    found = await running.until_ready(f"{path}/dpe", field, wanted)
    assert len((await running.call("GET", f"{CORE}/pods")).body["items"]) == wanted
    if "observedGeneration" in found["status"]:
        assert found["status"]["observedGeneration"] == found["metadata"]["generation"]
    await running.call("DELETE", f"{path}/dpe", {"propagationPolicy": "Background"})
    assert (await running.call("GET", f"{CORE}/pods")).body["items"] == []
    assert (await running.call("GET", f"{APPS}/replicasets")).body["items"] == []


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
async def test_a_new_template_replaces_the_pods(running: Cluster, kind: str) -> None:
    plural = f"{kind.lower()}s"
    body = deployment() if kind == "Deployment" else workload(kind)
    ready, wanted = {
        "Deployment": ("updatedReplicas", 1),
        "StatefulSet": ("readyReplicas", 2),
        "DaemonSet": ("numberReady", 1),
    }[kind]
    await running.call("POST", f"{APPS}/{plural}", body)
    await running.until_ready(f"{APPS}/{plural}/dpe", ready, wanted)
    image = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "registry.test/dpe:2"}]
    await running.call("PATCH", f"{APPS}/{plural}/dpe", image, kind="application/json-patch+json")

    async def replaced() -> bool:
        pods = (await running.call("GET", f"{CORE}/pods")).body["items"]
        images = {pod["spec"]["containers"][0]["image"] for pod in pods}
        return images == {"registry.test/dpe:2"} and all(pod["status"]["phase"] == "Running" for pod in pods)

    await running.until(replaced)


async def test_a_broken_image_stays_broken_beside_the_old_pods(running: Cluster) -> None:
    await running.call("POST", f"{APPS}/deployments", deployment())
    await running.until_ready(f"{APPS}/deployments/dpe")
    broken = {"spec": {"template": {"spec": {"containers": [{"name": "dpe", "image": "registry.test/dpe:1-broken"}]}}}}
    strategic = "application/strategic-merge-patch+json"
    await running.call("PATCH", f"{APPS}/deployments/dpe", broken, kind=strategic)

    async def told() -> bool:
        events = (await running.call("GET", f"{CORE}/events?fieldSelector=reason=Failed")).body["items"]
        return any("manifest unknown" in event["message"] for event in events)

    await running.until(told)
    pods = (await running.call("GET", f"{CORE}/pods")).body["items"]
    assert sorted(pod["status"]["phase"] for pod in pods) == ["Pending", "Running"]
    pending = next(pod["metadata"]["name"] for pod in pods if pod["status"]["phase"] == "Pending")
    log = await running.call("GET", f"{CORE}/pods/{pending}/log")
    assert (log.status, "trying and failing to pull image" in log.body["message"]) == (400, True)


async def test_scaling_behind_the_back(running: Cluster) -> None:
    await running.call("POST", f"{APPS}/deployments", deployment(replicas=2))
    await running.until_ready(f"{APPS}/deployments/dpe", wanted=2)
    scaled = await running.call("PATCH", f"{APPS}/deployments/dpe/scale", {"spec": {"replicas": 0}}, kind=MERGE)
    assert scaled.body["spec"]["replicas"] == 0

    async def empty() -> bool:
        return not (await running.call("GET", f"{CORE}/pods")).body["items"]

    await running.until(empty)


async def test_a_deleted_pod_comes_back(running: Cluster) -> None:
    await running.call("POST", f"{APPS}/deployments", deployment())
    await running.until_ready(f"{APPS}/deployments/dpe")
    first = (await running.call("GET", f"{CORE}/pods")).body["items"][0]["metadata"]
    await running.call("DELETE", f"{CORE}/pods/{first['name']}")

    async def another() -> bool:
        pods = (await running.call("GET", f"{CORE}/pods")).body["items"]
        return len(pods) == 1 and pods[0]["metadata"]["uid"] != first["uid"]

    await running.until(another)


# ---------------------------------------------------------------- what is kept


async def test_a_write_acknowledged_is_a_write_kept(tmp_path: Path) -> None:
    path = tmp_path / "kubernetes.json"
    async with cluster(tmp_path, state_path=path) as running:
        written = (
            await running.call("POST", f"{CORE}/secrets", {"metadata": {"name": "x"}, "stringData": {"a": "b"}})
        ).body
        # Not stopped: what a process killed now leaves behind is read by another.
        kept = KubernetesApi(path).dump()
        assert written in kept["store"]["objects"]
        assert path.stat().st_mode & 0o777 == 0o600
        assert (await running.call("DELETE", f"{CORE}/secrets/x")).status == 200
        assert written["metadata"]["uid"] not in path.read_text()


async def test_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "kubernetes.json"
    async with cluster(tmp_path, state_path=path, faults=frozenset({PODS_NEVER_READY})) as running:
        uid = (await running.call("GET", "/api/v1/namespaces/kube-system")).body["metadata"]["uid"]
        await running.call("POST", f"{APPS}/deployments", deployment(replicas=2))

        async def waiting() -> bool:
            pods = (await running.call("GET", f"{CORE}/pods")).body["items"]
            return len(pods) == 2 and all("containerStatuses" in pod.get("status", {}) for pod in pods)

        await running.until(waiting)
        version = int((await running.call("GET", f"{CORE}/pods")).body["metadata"]["resourceVersion"])
    async with cluster(tmp_path, state_path=path) as running:
        assert (await running.call("GET", "/api/v1/namespaces/kube-system")).body["metadata"]["uid"] == uid
        found = await running.until_ready(f"{APPS}/deployments/dpe", wanted=2)
        assert int(found["metadata"]["resourceVersion"]) > version
        assert (await running.call("GET", f"/api/v1/pods?watch=1&resourceVersion={version}")).status == 410


async def test_server_side_apply_remembers_across_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "kubernetes.json"

    async def apply(running: Cluster, **data: str) -> Any:
        body = json.dumps(config_map("x", **data)).encode()
        url = f"{CORE}/configmaps/x?fieldManager=test"
        return (await running.call("PATCH", url, body, kind="application/apply-patch+yaml")).body["data"]

    async with cluster(tmp_path, state_path=path) as running:
        await apply(running, a="1", b="2")
        await running.call("PATCH", f"{CORE}/configmaps/x", {"data": {"other": "3"}}, kind=MERGE)
    async with cluster(tmp_path, state_path=path) as running:
        assert await apply(running, a="1") == {"a": "1", "other": "3"}


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"format": 99}'])
def test_a_file_that_is_no_cluster_is_explained(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kubernetes.json"
    path.write_text(text)
    with pytest.raises(Problem) as raised:
        KubernetesApi(path)
    assert raised.value.code == "sandbox-state"
    assert "--reset" in raised.value.todo
    assert path.read_text() == text


# ---------------------------------------------------------------- the trace


async def test_the_trace_has_every_request_and_no_secret(tmp_path: Path) -> None:
    trace = Trace(tmp_path / "trace.jsonl")
    async with cluster(tmp_path, trace=trace) as running:
        await running.call("GET", f"{CORE}/pods?token=hush")
        await running.call("GET", f"{CORE}/pods", token="wrong")
        url = f"{running.url}{CORE}/pods?watch=1"
        async with running.http.get(url, headers={"Authorization": f"Bearer {running.token}"}):
            # The reply has begun and goes on; it is in the trace already.
            text = trace.path.read_text()
        await running.call("GET", "/nothing")
        text = trace.path.read_text()
        token = running.token
    trace.close()
    lines = [json.loads(line) for line in text.splitlines()]
    pods = f"{CORE}/pods"
    assert [(line["method"], line["path"], line["status"]) for line in lines] == [
        ("GET", pods, 200),
        ("GET", pods, 401),
        ("GET", pods, 200),
        ("GET", "/nothing", 404),
    ]
    assert {tuple(line) for line in lines} == {("ts", "server", "method", "path", "status")}
    assert "hush" not in text
    assert token not in text
