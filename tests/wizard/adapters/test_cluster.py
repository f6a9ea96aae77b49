"""The official client against the sandbox's cluster, and against what only pretends to be one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from state.problem import Problem
from tests.sandbox.k8s_cluster import CONTEXT, Cluster, cluster, deployment, workload
from wizard.adapters import cluster_api, cluster_calls
from wizard.adapters.cluster import MODULES, ClusterLooker
from wizard.adapters.sdk_process import SdkProcess
from wizard.ports import Right
from wizard.sandbox.faults import FORBIDDEN
from wizard.sandbox.trace import Trace

APPS = "/apis/apps/v1/namespaces/default"


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[SdkProcess]:
    made = SdkProcess(MODULES, scratch=tmp_path)
    yield made
    await made.close()


@pytest.fixture
def looker(api: Cluster, process: SdkProcess) -> ClusterLooker:
    return ClusterLooker(str(api.work.kubeconfig), CONTEXT, process)


async def refused(doing: Awaitable[object]) -> Problem:
    with pytest.raises(Problem) as caught:
        await doing
    return caught.value


def of_release(body: dict[str, Any], *, by: str) -> dict[str, Any]:
    mark = (
        {"annotations": {"meta.helm.sh/release-name": "dpe"}}
        if by == "annotation"
        else {"labels": {"app.kubernetes.io/instance": "dpe"}}
    )
    return {**body, "metadata": {**body["metadata"], **mark}}


async def test_identity(looker, api):
    found = await looker.identity()
    system = await api.call("GET", "/api/v1/namespaces/kube-system")
    assert (found.server, found.uid, found.user) == (api.url, system.body["metadata"]["uid"], "sandbox-admin")


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[tuple[Cluster, Callable[[], list[str]]]]:
    """A cluster, and the methods of all requests that reached it so far."""
    file = tmp_path / "trace.jsonl"
    trace = Trace(file)
    (tmp_path / "watched").mkdir()
    async with cluster(tmp_path / "watched", trace=trace) as found:
        yield found, lambda: [json.loads(line)["method"] for line in file.read_text().splitlines()]
    trace.close()


async def test_with_gets_alone_the_cluster_is_known_and_the_user_is_not(watched, process):
    api, methods = watched
    auditor = ClusterLooker(str(api.work.kubeconfig), CONTEXT, process, gets_only=True)
    found = await auditor.identity()
    assert await auditor.namespace_exists("default")
    assert await auditor.workloads("dpe", "default") == ()
    assert set(methods()) == {"GET"}
    other = await ClusterLooker(str(api.work.kubeconfig), CONTEXT, process).identity()
    assert methods()[-1] == "POST", "so it could have been seen"
    assert (found.server, found.uid) == (other.server, other.uid)
    assert (found.user, other.user) == ("", "sandbox-admin")


async def test_with_gets_alone_nothing_else_leaves_the_child(watched, process):
    api, methods = watched
    auditor = ClusterLooker(str(api.work.kubeconfig), CONTEXT, process, gets_only=True)
    problem = await refused(auditor.rights((Right("list", "pods", namespace="default"),)))
    assert problem.code == "cluster-read-only"
    assert "selfsubjectaccessreviews" in problem.detail
    target = cluster_api.Target(str(api.work.kubeconfig), CONTEXT, gets_only=True)
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "get"):
        call = process.call(cluster_api.call, target, method, f"{APPS}/deployments/good", timeout=30)
        assert (await refused(call)).code == "cluster-read-only", method
    assert methods() == []


async def test_namespaces_and_rights(looker):
    assert await looker.namespace_exists("default")
    assert not await looker.namespace_exists("nothere")
    wanted = (Right("create", "deployments", "apps", "default"), Right("create", "pods/exec", namespace="default"))
    assert [one.allowed for one in await looker.rights(wanted)] == [True, True]


async def test_workloads_of_a_release_and_why_they_are_not_ready(looker, api):
    bodies = (
        of_release(deployment("good"), by="annotation"),
        of_release(deployment("bad", image="registry.test/dpe:broken"), by="label"),
        deployment("stranger"),
    )
    for body in bodies:
        assert (await api.call("POST", f"{APPS}/deployments", body)).status == 201
    await api.call("POST", f"{APPS}/statefulsets", of_release(workload("StatefulSet", "state"), by="label"))
    await api.call("POST", f"{APPS}/daemonsets", of_release(workload("DaemonSet", "daemon"), by="label"))
    await api.until_ready(f"{APPS}/deployments/good")
    await api.until_ready(f"{APPS}/statefulsets/state", wanted=2)
    await api.until_ready(f"{APPS}/daemonsets/daemon", field="numberReady")
    found: dict[str, Any] = {}

    async def reason_is_known() -> bool:
        found.update({one.name: one for one in await looker.workloads("dpe", "default")})
        return any("broken" in reason for reason in found["bad"].reasons)

    await api.until(reason_is_known)
    assert {name: (one.kind, one.ready, one.wanted) for name, one in found.items()} == {
        "good": ("Deployment", 1, 1),
        "bad": ("Deployment", 0, 1),
        "state": ("StatefulSet", 2, 2),
        "daemon": ("DaemonSet", 1, 1),
    }
    assert found["good"].reasons == ()
    assert found["bad"].images == ("registry.test/dpe:broken",)
    assert any("ImagePull" in reason for reason in found["bad"].reasons)
    assert await looker.workloads("other", "default") == ()


async def test_pods_of_the_template_before_are_not_the_releases(looker, api):
    """What a `helm upgrade` without --wait leaves: the new image can't be pulled, and what ran before still runs."""
    kinds = {
        "deployments": (deployment("web"), "readyReplicas", 1),
        "statefulsets": (workload("StatefulSet", "state"), "readyReplicas", 2),
        "daemonsets": (workload("DaemonSet", "daemon"), "numberReady", 1),
    }
    for plural, (body, field, wanted) in kinds.items():
        name = body["metadata"]["name"]
        assert (await api.call("POST", f"{APPS}/{plural}", of_release(body, by="annotation"))).status == 201
        await api.until_ready(f"{APPS}/{plural}/{name}", field=field, wanted=wanted)
    before = {one.name: one for one in await looker.workloads("dpe", "default")}
    assert {name: (one.ready, one.wanted, one.older) for name, one in before.items()} == {
        "web": (1, 1, 0),
        "state": (2, 2, 0),
        "daemon": (1, 1, 0),
    }
    broken = {"spec": {"template": {"spec": {"containers": [{"name": "dpe", "image": "registry.test/dpe:broken"}]}}}}
    for plural, (body, _, _) in kinds.items():
        path = f"{APPS}/{plural}/{body['metadata']['name']}"
        patched = await api.call("PATCH", path, broken, kind="application/strategic-merge-patch+json")
        assert patched.status == 200
    found: dict[str, Any] = {}

    async def reasons_are_known() -> bool:
        found.update({one.name: one for one in await looker.workloads("dpe", "default")})
        return all(any("broken" in reason for reason in one.reasons) for one in found.values())

    await api.until(reasons_are_known)
    assert {name: (one.ready, one.wanted, one.older) for name, one in found.items()} == {
        "web": (0, 1, 1),
        "state": (0, 2, 1),
        "daemon": (0, 1, 0),
    }
    web = (await api.call("GET", f"{APPS}/deployments/web")).body["status"]
    assert (web["readyReplicas"], web["updatedReplicas"]) == (1, 1), "so neither of them tells"


def status(kind: str = "Deployment", wanted: int = 2, generation: int = 3, **said: Any) -> dict[str, Any]:
    """A workload with a status; what is not said is as in a finished rollout."""
    if kind == "DaemonSet":
        whole = {"currentNumberScheduled": wanted, "updatedNumberScheduled": wanted, "numberReady": wanted}
        whole["desiredNumberScheduled"] = wanted
    else:
        whole = {"replicas": wanted, "updatedReplicas": wanted, "readyReplicas": wanted}
    if kind == "StatefulSet":
        whole |= {"currentRevision": "dpe-2", "updateRevision": "dpe-2"}  # type: ignore[dict-item]
    told = {name: value for name, value in {**whole, "observedGeneration": 3, **said}.items() if value is not None}
    return {"metadata": {"name": "dpe", "generation": generation}, "spec": {"replicas": wanted}, "status": told}


@pytest.mark.parametrize(
    ("kind", "one", "ready", "older"),
    [
        ("Deployment", status(), 2, 0),
        # Surge: one old pod is kept while the new ones come up, or while it is being removed.
        ("Deployment", status(replicas=3, updatedReplicas=1, readyReplicas=2), 0, 2),
        ("Deployment", status(replicas=3, updatedReplicas=2, readyReplicas=3), 2, 1),
        ("Deployment", status(replicas=2, updatedReplicas=None), 0, 2),  # paused: no new pod is made
        ("StatefulSet", status("StatefulSet"), 2, 0),
        ("StatefulSet", status("StatefulSet", updateRevision="dpe-3", updatedReplicas=1, readyReplicas=1), 0, 1),
        ("StatefulSet", status("StatefulSet", updateRevision="dpe-3", updatedReplicas=1), 1, 1),
        ("StatefulSet", status("StatefulSet", updateRevision="dpe-3"), 2, 0),  # OnDelete leaves currentRevision
        ("StatefulSet", status("StatefulSet", updatedReplicas=None), 2, 0),  # known of older API servers
        ("DaemonSet", status("DaemonSet"), 2, 0),
        ("DaemonSet", status("DaemonSet", updatedNumberScheduled=1), 1, 1),
        ("DaemonSet", status("DaemonSet", updatedNumberScheduled=1, numberReady=1), 0, 1),
        *[
            (kind, status(kind, generation=4), 0, 2)  # the status is of what was there before
            for kind in ("Deployment", "StatefulSet", "DaemonSet")
        ],
        ("Deployment", status(observedGeneration=None), 2, 0),
    ],
)
def test_which_pods_are_of_the_present_template(kind: str, one: dict[str, Any], ready: int, older: int):
    found = cluster_calls._workload(kind, one, [], {})
    assert (found.ready, found.older, found.wanted) == (ready, older, 2)


def test_why_a_rollout_does_not_go_on():
    late = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out"}
    found = cluster_calls._workload("Deployment", status(conditions=[late]), [], {})
    assert (found.given_up, found.reasons) == (True, ("ProgressDeadlineExceeded: timed out",))
    assert not cluster_calls._workload("Deployment", status(conditions=[{**late, "status": "True"}]), [], {}).given_up
    (reason,) = cluster_calls._workload("Deployment", status(generation=4), [], {}).reasons
    assert "generation 4, seen 3" in reason


async def test_a_missing_right_is_named(process, tmp_path):
    async with cluster(tmp_path, faults=frozenset({FORBIDDEN})) as api:
        looker = ClusterLooker(str(api.work.kubeconfig), CONTEXT, process)
        asked = (Right("create", "secrets", namespace="default"), Right("list", "pods", namespace="default"))
        allowed = {right.resource: right.allowed for right in await looker.rights(asked)}
        assert False in allowed.values()
    problem = cluster_api.forbidden(
        '403 Forbidden: secrets is forbidden: User "jane" cannot list resource "secrets" in API group "" in the'
        ' namespace "ns"'
    )
    assert problem.what == "Your account may not list secrets in namespace ns."
    problem = cluster_api.forbidden(
        '403 Forbidden: pods "x" is forbidden: User "jane" cannot get resource "pods/log" in API group "" in the'
        ' namespace "ns"'
    )
    assert problem.what == "Your account may not get pods/log in namespace ns."


async def test_what_stands_in_the_way(api, process, tmp_path):
    good = yaml.safe_load(api.work.kubeconfig.read_text())
    path = tmp_path / "kubeconfig-changed"

    async def code(*, context: str = CONTEXT, user: object = None, text: str | None = None, **server: object) -> str:
        changed = {**good, "users": [{**good["users"][0], "user": user or good["users"][0]["user"]}]}
        settings = {**good["clusters"][0]["cluster"], **server}
        settings = {name: value for name, value in settings.items() if value is not None}
        changed["clusters"] = [{"name": "sandbox", "cluster": settings}]
        path.write_text(text if text is not None else yaml.safe_dump(changed))
        return (await refused(ClusterLooker(str(path), context, process).identity())).code

    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never"}
    assert await code(server="https://127.0.0.1:1") == "cluster-refused"
    assert await code(server="https://no-such-host.invalid") == "cluster-name"
    no_ca: dict[str, Any] = {"certificate-authority-data": None}
    assert await code(**no_ca) == "cluster-ca"
    assert await code(user={"token": "wrong"}) == "cluster-unauthorized"
    failing = {**plugin, "command": "sh", "args": ["-c", "echo log in first >&2; exit 3"]}
    assert await code(user={"exec": failing}) == "cluster-plugin-failed"
    assert await code(user={"exec": {**plugin, "command": "no-such-plugin"}}) == "cluster-plugin-failed"
    assert await code(context="other") == "kube-context-missing"
    for text in ("{{{", "", "[]", "just text", "clusters: 7\ncontexts: 8\nusers: 9\n", "a: &a [*a]\n", "\0"):
        assert await code(text=text) in ("kubeconfig-wrong", "kube-context-missing"), text
    for missing in (tmp_path / "none", tmp_path):
        problem = await refused(ClusterLooker(str(missing), CONTEXT, process).identity())
        assert problem.code in ("kubeconfig-missing", "kubeconfig-wrong")
    assert (await refused(ClusterLooker(None, None, process).identity())).code == "kube-context-not-chosen"


async def test_a_proxy_is_not_asked_for_loopback(api, process, monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert (await ClusterLooker(str(api.work.kubeconfig), CONTEXT, process).identity()).server == api.url


Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture
async def pretender(tmp_path: Path) -> AsyncIterator[Callable[[bytes], Path]]:
    """A plain server that gives every request the same answer; the function returns a kubeconfig for it."""
    content = b""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=content, content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    path = tmp_path / "pretender"
    server = f"http://127.0.0.1:{runner.addresses[0][1]}"

    def says(what: bytes) -> Path:
        nonlocal content
        content = what
        context = {"name": CONTEXT, "context": {"cluster": "c", "user": "u"}}
        lists = {"clusters": [{"name": "c", "cluster": {"server": server}}], "users": [{"name": "u", "user": {}}]}
        path.write_text(yaml.safe_dump({**lists, "contexts": [context], "current-context": CONTEXT}))
        return path

    yield says
    await runner.cleanup()


@pytest.mark.parametrize(
    "content",
    [b"<html>login</html>", b"", b"null", b"[]", b"7", b"[" * 200_000, b'{"a": "' + b"x" * (17 * 1024 * 1024) + b'"}'],
    ids=["html", "nothing", "null", "list", "number", "deep", "huge"],
)
async def test_an_answer_that_is_none(content, pretender, process):
    looker = ClusterLooker(str(pretender(content)), CONTEXT, process)
    problem = await refused(looker.workloads("dpe", "default"))
    assert problem.code == "cluster-answer-unknown"
    assert len(problem.detail) <= 500


WRONG: tuple[object, ...] = (
    {},
    {"items": 7},
    {"items": [None, 7, "x", [], {"metadata": 7}]},
    {"items": [], "metadata": {"continue": "x"}},
)


async def test_answers_of_the_wrong_shape_are_no_workloads(pretender, process):
    for document in WRONG:
        looker = ClusterLooker(str(pretender(json.dumps(document).encode())), CONTEXT, process)
        assert await looker.workloads("dpe", "default") == ()
        assert (await looker.identity()).uid is None


@pytest.mark.slow
async def test_a_hostile_workload_is_cut_to_size(pretender, process):
    marked = {"name": "a", "labels": {"app.kubernetes.io/instance": "dpe", "app": "a"}}
    waiting = {"state": {"waiting": {"reason": ["x"], "message": "m" * 100_000}}, "restartCount": "many"}
    one = {
        "metadata": marked,
        "spec": {"replicas": "x", "selector": {"matchLabels": {"app": "a"}}, "template": {"spec": {"containers": [7]}}},
        "status": {"containerStatuses": [waiting], "conditions": [7, {"type": "Ready", "status": "False"}]},
    }
    content = json.dumps({"items": [one] + [{**one, "metadata": {**marked, "name": f"{n}"}} for n in range(100)]})
    looker = ClusterLooker(str(pretender(content.encode())), CONTEXT, process)
    found = (await looker.workloads("dpe", "default"))[0]
    assert (found.ready, found.wanted, found.restarts, found.images) == (0, 0, 0, ("",))
    assert len(found.reasons) == 20
    assert all(len(reason) <= 300 for reason in found.reasons)
