"""The lookup from inside the cluster, against the sandbox's cluster and against what only pretends to be one."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from aiohttp import web

from state.problem import Problem
from tests.sandbox.k8s_cluster import CONTEXT, Cluster, cluster, deployment
from wizard.adapters import cluster_probe, cluster_probe_calls
from wizard.adapters.cluster import MODULES
from wizard.adapters.cluster_api import Target
from wizard.adapters.cluster_probe import ClusterProber
from wizard.adapters.sdk_process import SdkProcess
from wizard.inside_lookup import script_command, script_hosts
from wizard.sandbox.faults import EXEC_FORBIDDEN, NO_EXEC_TOOLS, POD_DELETE_FORBIDDEN, PODS_NEVER_READY
from wizard.sandbox.trace import Trace

CORE = "/api/v1/namespaces/default"
APPS = "/apis/apps/v1/namespaces/default"
HOST, OTHER = "dpm.acme.test", "minio.acme.test"
NAMED = {"name": "privatelink-probe-1", "mark": "setup-1"}
PROBE: dict[str, Any] = {**NAMED, "started": lambda: None, "ended": lambda: None}


pytestmark = pytest.mark.asyncio(loop_scope="module")
"""One child serves all: starting it takes longer than the tests."""


class Names:
    """One host is private, the other nowhere."""

    def resolve(self, host: str) -> Sequence[str]:
        return {HOST: ("10.20.1.7",)}.get(host, ())

    def known(self, host: str) -> bool:
        return host == HOST


def release(**changes: Any) -> dict[str, Any]:
    """A Deployment of the release `dpe`; `changes` are of its pods' spec."""
    body = deployment()
    body["metadata"]["annotations"] = {"meta.helm.sh/release-name": "dpe"}
    body["spec"]["template"]["spec"] |= changes
    return body


def listener() -> tuple[list[str], dict[str, Any]]:
    """What is said of a pod, and the arguments of `by_pod` that say it."""
    said: list[str] = []
    return said, {**NAMED, "started": lambda: said.append("started"), "ended": lambda: said.append("ended")}


LEFT = frozenset(("left-1", "left-2"))


async def install(on: Cluster, body: dict[str, Any] | None = None, *, wait: bool = True) -> None:
    assert (await on.call("POST", f"{APPS}/deployments", body or release())).status == 201
    if wait:
        await on.until_ready(f"{APPS}/deployments/dpe")


async def pods(on: Cluster) -> dict[str, dict[str, Any]]:
    return {pod["metadata"]["name"]: pod for pod in (await on.call("GET", f"{CORE}/pods")).body["items"]}


async def refused(doing: Awaitable[object]) -> Problem:
    with pytest.raises(Problem) as caught:
        await doing
    return caught.value


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def process(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SdkProcess]:
    made = SdkProcess(MODULES, scratch=tmp_path_factory.mktemp("scratch"))
    yield made
    await made.close()


Make = Callable[..., Any]


@pytest.fixture
def on(tmp_path: Path, process: SdkProcess) -> Make:
    """Opens a sandbox cluster with faults, and a prober for it."""

    @asynccontextmanager
    async def opened(*faults: str, **options: Any) -> AsyncIterator[tuple[Cluster, ClusterProber]]:
        directory = tmp_path / "cluster"
        directory.mkdir()
        async with cluster(directory, names=Names(), faults=frozenset(faults), **options) as found:
            yield found, ClusterProber(str(found.work.kubeconfig), CONTEXT, process)

    return opened


# ---------------------------------------------------------------- exec


async def test_a_running_pod_is_asked(on: Make):
    async with on() as (api, prober):
        await install(api)
        (name,) = await pods(api)
        found = await prober.by_exec("dpe", "default", (HOST, OTHER))
        assert (found.pod, found.container, found.image) == (name, "dpe", "registry.test/dpe:1")
        assert found.command == f"getent ahosts {HOST}"
        private, nowhere = found.answers
        assert (private.host, private.addresses, private.error) == (HOST, ("10.20.1.7",), "")
        assert (private.server, private.ttl) == ("inside the cluster", None)
        assert (nowhere.host, nowhere.addresses, nowhere.error) == (OTHER, (), "nxdomain")

        for bad in ("-h.acme.test", "a.acme.test;id", "A.acme.test"):
            with pytest.raises(ValueError, match="host name"):
                await prober.by_exec("dpe", "default", (bad,))
        assert (await refused(prober.by_exec("other", "default", (HOST,)))).code == "probe-no-pod"


async def test_the_main_container_is_asked_whatever_its_place(on: Make):
    async with on() as (api, prober):
        body = release(containers=[{"name": "proxy", "image": "x:1"}, {"name": "main", "image": "dpe:1"}])
        body["spec"]["template"]["metadata"]["annotations"] = {"kubectl.kubernetes.io/default-container": "main"}
        await install(api, body)
        found = await prober.by_exec("dpe", "default", (HOST,))
        assert (found.container, found.image) == ("main", "dpe:1")


async def test_nothing_to_look_from_yet(on: Make):
    async with on(PODS_NEVER_READY) as (api, prober):
        problem = await refused(prober.by_exec("dpe", "default", (HOST,)))
        assert problem.code == "probe-no-pod"
        assert (await refused(prober.by_pod("dpe", "default", (HOST,), **PROBE))).code == "probe-no-release"
        await install(api, wait=False)
        problem = await refused(prober.by_exec("dpe", "default", (HOST,)))
        assert (problem.code, problem.exit_code) == ("probe-no-pod", 3)
        assert "short-lived pod" in problem.todo


async def test_exec_is_forbidden_and_a_pod_still_answers(on: Make):
    async with on(EXEC_FORBIDDEN) as (api, prober):
        await install(api)
        problem = await refused(prober.by_exec("dpe", "default", (HOST,)))
        assert problem.code == "probe-exec-forbidden"
        assert "create pods/exec" in problem.todo
        assert "short-lived pod" in problem.todo
        assert 'cannot get resource "pods/exec"' in problem.detail
        found = await prober.by_pod("dpe", "default", (HOST,), **PROBE)
        assert found.answers[0].addresses == ("10.20.1.7",)


async def test_an_image_without_tools(on: Make):
    async with on(NO_EXEC_TOOLS) as (api, prober):
        await install(api)
        problem = await refused(prober.by_exec("dpe", "default", (HOST,)))
        assert problem.code == "probe-no-tools"
        assert "short-lived pod" in problem.todo
        assert (await refused(prober.by_pod("dpe", "default", (HOST,), **PROBE))).code == "probe-no-tools"
        assert PROBE["name"] not in await pods(api)


# ---------------------------------------------------------------- a pod


async def test_a_pod_answers_as_exec_does_and_is_gone(on: Make, tmp_path: Path):
    trace = Trace(tmp_path / "trace.jsonl")
    async with on(trace=trace) as (api, prober):
        await install(api)
        before = await pods(api)
        by_exec = await prober.by_exec("dpe", "default", (HOST, OTHER))
        by_pod = await prober.by_pod("dpe", "default", (HOST, OTHER), **PROBE)
        assert by_pod.answers == by_exec.answers
        assert (by_pod.image, by_pod.command) == (by_exec.image, by_exec.command)
        assert (by_pod.pod, by_pod.container) == (PROBE["name"], "lookup")
        assert await pods(api) == before, "nothing else was touched"
    trace.close()
    asked = [json.loads(line) for line in trace.path.read_text().splitlines()]
    own = f"{CORE}/pods/{PROBE['name']}"
    changed = [(each["method"], each["path"]) for each in asked if each["method"] != "GET"]
    assert [each for each in changed if "deployments" not in each[1]] == [
        REVIEW,
        ("POST", f"{CORE}/pods"),
        ("DELETE", own),
    ]


REVIEW = ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")


async def test_where_no_pod_may_be_deleted_none_is_made(on: Make):
    async with on(POD_DELETE_FORBIDDEN) as (api, prober):
        await install(api)
        before, (said, saying) = await pods(api), listener()
        problem = await refused(prober.by_pod("dpe", "default", (HOST,), **saying))
        assert (problem.code, problem.exit_code) == ("probe-pod-not-removable", 3)
        assert "may not delete pods in namespace default" in problem.what
        assert (await pods(api), said) == (before, []), "so nothing is written down either"


async def test_it_is_said_before_a_pod_is_made(on: Make):
    async with on() as (api, prober):
        await install(api)

        def not_written() -> None:
            raise Problem("not-saved", "The disk is full.")

        making = {**PROBE, "started": not_written}
        assert (await refused(prober.by_pod("dpe", "default", (HOST,), **making))).code == "not-saved"
        assert PROBE["name"] not in await pods(api)


RESOLVING = {
    "imagePullSecrets": [{"name": "pull"}],
    "dnsPolicy": "None",
    "dnsConfig": {"nameservers": ["10.1.1.1"], "searches": ["corp.test"]},
    "hostAliases": [{"ip": "10.2.2.2", "hostnames": ["x.test"]}],
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "dpe", "operator": "Exists"}],
    "serviceAccountName": "dpe",
}


async def test_the_pod_resolves_like_the_release_and_may_nothing(on: Make, process: SdkProcess):
    async with on() as (api, _):
        secret = [{"name": "SECRET", "value": "hush"}]
        await install(api, release(**RESOLVING, containers=[{"name": "dpe", "image": "dpe:1", "env": secret}]))
        target = Target(str(api.work.kubeconfig), CONTEXT)
        like = await process.call(cluster_probe_calls.model, target, "dpe", "default", timeout=30)
    made = cluster_probe_calls.manifest(like, **NAMED, command=script_command("token", (HOST,)))
    spec = made["spec"]
    assert {name: spec[name] for name in RESOLVING} == RESOLVING
    assert made["metadata"]["labels"] == {
        "app.kubernetes.io/managed-by": "privatelink-wizard",
        "privatelink-wizard/probe": PROBE["mark"],
    }
    assert (spec["restartPolicy"], spec["activeDeadlineSeconds"]) == ("Never", 120)
    assert spec["automountServiceAccountToken"] is False
    (container,) = spec["containers"]
    assert container["image"] == "dpe:1"
    assert "hush" not in json.dumps(made)
    # PodSecurity `restricted` (kubernetes.io/docs/concepts/security/pod-security-standards), control by control
    assert set(spec) - set(RESOLVING) == {
        "restartPolicy",
        "activeDeadlineSeconds",
        "terminationGracePeriodSeconds",
        "automountServiceAccountToken",
        "enableServiceLinks",
        "securityContext",
        "containers",
    }, "no host namespaces, no volumes"
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert set(container["securityContext"]) == {
        "allowPrivilegeEscalation",
        "readOnlyRootFilesystem",
        "capabilities",
    }, "not privileged"
    assert container["resources"]["limits"].keys() == {"cpu", "memory"}


@pytest.mark.parametrize(
    ("pod", "container", "user"), [(None, None, 65534), (0, 0, 65534), (1000, None, 1000), (1000, 2000, 2000)]
)
async def test_the_pod_runs_as_the_release_does_but_never_as_root(pod: int | None, container: int | None, user: int):
    spec = {"securityContext": {"runAsUser": pod}}
    assert cluster_probe_calls._user(spec, {"securityContext": {"runAsUser": container}}) == user


async def test_on_the_hosts_network_the_nodes_resolver_counts():
    assert cluster_probe_calls._resolving({"hostNetwork": True}) == {"dnsPolicy": "Default"}
    assert cluster_probe_calls._resolving({"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"}) == {
        "dnsPolicy": "ClusterFirstWithHostNet"
    }
    assert cluster_probe_calls._resolving({"dnsPolicy": 7, "tolerations": "all", "hostAliases": None}) == {}


async def test_a_pod_that_cannot_be_pulled_says_why_and_is_removed(on: Make):
    async with on(PODS_NEVER_READY) as (api, prober):
        await install(api, wait=False)
        said, saying = listener()
        problem = await refused(prober.by_pod("dpe", "default", (HOST,), **saying))
        assert problem.code == "probe-pod-not-run"
        assert "the node may not read this repository" in problem.detail
        assert PROBE["name"] not in await pods(api)
        assert said == ["started", "ended"], "it is known to be gone"


async def test_a_pod_that_takes_too_long_is_removed(on: Make, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cluster_probe, "POD_SECONDS", 1.0)
    async with on() as (api, prober):
        await install(api)
        api.api.controllers.kubelet.ready_after = 60.0
        problem = await refused(prober.by_pod("dpe", "default", (HOST,), **PROBE))
        assert (problem.code, "ContainerCreating" in problem.detail) == ("probe-pod-not-run", True)
        assert PROBE["name"] not in await pods(api)


async def test_a_pod_that_somebody_else_removes(on: Make):
    async with on() as (api, prober):
        await install(api)
        api.api.controllers.kubelet.ready_after = 60.0
        asking = asyncio.create_task(prober.by_pod("dpe", "default", (HOST,), **PROBE))
        await there(api)
        await api.call("DELETE", f"{CORE}/pods/{PROBE['name']}")
        assert (await refused(asking)).code == "probe-pod-gone"


async def there(api: Cluster) -> None:
    """Wait until the probe's pod is there; a child may have to start for it."""
    async with asyncio.timeout(90):
        while PROBE["name"] not in await pods(api):
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("times", [1, 2])
async def test_a_cancelled_lookup_leaves_no_pod(on: Make, times: int):
    async with on() as (api, prober):
        await install(api)
        before = await pods(api)
        api.api.controllers.kubelet.ready_after = 60.0
        said, saying = listener()
        asking = asyncio.create_task(prober.by_pod("dpe", "default", (HOST,), **saying))
        await there(api)
        for _ in range(times):
            asking.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert await pods(api) == before
        assert said == ["started", "ended"]


async def test_a_pod_of_that_name_is_not_touched(on: Make):
    async with on() as (api, prober):
        await install(api)
        other = {"metadata": {"name": PROBE["name"]}, "spec": {"containers": [{"name": "c", "image": "x:1"}]}}
        await api.call("POST", f"{CORE}/pods", other)
        assert (await refused(prober.by_pod("dpe", "default", (HOST,), **PROBE))).code == "cluster-conflict"
        assert PROBE["name"] in await pods(api)


LABELS = {"app.kubernetes.io/managed-by": "privatelink-wizard", "privatelink-wizard/probe": PROBE["mark"]}


async def test_sweep_removes_what_has_the_mark_and_nothing_else(on: Make):
    async with on() as (api, prober):
        await install(api)
        kept = {
            "another-mark": {**LABELS, "privatelink-wizard/probe": "setup-2"},
            "another-program": {**LABELS, "app.kubernetes.io/managed-by": "Helm"},
        }
        for name, labels in {**kept, "left-1": LABELS, "left-2": LABELS}.items():
            body = {
                "metadata": {"name": name, "labels": labels},
                "spec": {"containers": [{"name": "c", "image": "x:1"}]},
            }
            await api.call("POST", f"{CORE}/pods", body)
        before = set(await pods(api))
        assert await prober.sweep("default", PROBE["mark"], LEFT) == ("left-1", "left-2")
        assert set(await pods(api)) == before - {"left-1", "left-2"}
        assert await prober.sweep("default", PROBE["mark"], LEFT) == ()
        for bad in ("", "a,b", "x" * 64, "a=b"):
            with pytest.raises(ValueError, match="label"):
                await prober.sweep("default", bad, LEFT)


KILLED = """
import asyncio, sys
from wizard.adapters.cluster import MODULES
from wizard.adapters.cluster_api import Target
from wizard.adapters.cluster_probe import ClusterProber
from wizard.adapters.sdk_process import SdkProcess
async def main():
    prober = ClusterProber(sys.argv[1], sys.argv[2], SdkProcess(MODULES))
    said = {"started": lambda: None, "ended": lambda: None}
    await prober.by_pod("dpe", "default", ("dpm.acme.test",), name=sys.argv[3], mark=sys.argv[4], **said)
asyncio.run(main())
"""


@pytest.mark.slow
async def test_what_a_killed_program_leaves_is_swept(on: Make):
    async with on() as (api, prober):
        await install(api)
        before = await pods(api)
        api.api.controllers.kubelet.ready_after = 60.0
        killed = await asyncio.create_subprocess_exec(
            sys.executable, "-c", KILLED, str(api.work.kubeconfig), CONTEXT, *NAMED.values()
        )
        await there(api)
        killed.send_signal(signal.SIGKILL)
        await killed.wait()
        assert await prober.sweep("default", PROBE["mark"], frozenset((PROBE["name"],))) == (PROBE["name"],)
        assert await pods(api) == before


# ---------------------------------------------------------------- what only pretends to be a cluster

READY = {
    "metadata": {"name": "dpe-1", "labels": {"app": "dpe"}},
    "spec": {"containers": [{"name": "dpe", "image": "dpe:1"}]},
    "status": {
        "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [{"name": "dpe", "state": {"running": {}}}],
    },
}
HOSTILE = {
    "metadata": {"name": ["x"], "labels": {"app": "dpe"}, "annotations": [7]},
    "spec": {"containers": [7, {"name": ["x"], "image": 7}, {"name": {}}], "securityContext": [], "tolerations": "x"},
    "status": {
        "conditions": [7, {"type": "Ready", "status": "True"}],
        "containerStatuses": [7, {"name": ["x"], "state": {"running": {}}}, {"name": "", "state": {"running": 1}}],
    },
}
SUCCESS = b'\x03{"status": "Success"}'

Talk = Callable[[web.WebSocketResponse], Awaitable[None]]


class Pretender:
    """Has a release with a ready pod; what it does about exec and single pods is the test's."""

    def __init__(self) -> None:
        self.talk: Talk = self._nothing
        self.refuse: web.Response | None = None
        self.refuse_pod: web.Response | None = None
        self.pod: Any = {"status": {"phase": "Succeeded"}}
        self.log = b""
        self.answers = False
        self.refuse_delete: web.Response | None = None
        self.refuse_review: web.Response | None = None
        self.requests: list[tuple[str, str]] = []

    async def _nothing(self, socket: web.WebSocketResponse) -> None:
        pass

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.method, request.path))
        if request.path.endswith("/exec"):
            if self.refuse is not None:
                return self.refuse
            socket = web.WebSocketResponse(protocols=("v4.channel.k8s.io",))
            await socket.prepare(request)
            await self.talk(socket)
            await socket.close()
            return socket
        if request.path.endswith("reviews"):
            return self.refuse_review or web.json_response({"status": {}})
        if request.method == "POST" and self.refuse_pod is not None:
            return self.refuse_pod
        if request.method == "POST" and self.answers:
            self.pod = {**await request.json(), "status": {"phase": "Succeeded"}}
            token, hosts = script_hosts(self.pod["spec"]["containers"][0]["command"]) or ("", ())
            self.log = "".join(f"{token} {host} getent 0\n10.20.1.7 STREAM\n" for host in hosts).encode()
        if request.method == "DELETE" and self.refuse_delete is not None:
            return self.refuse_delete
        if request.path.endswith("/log"):
            return web.Response(body=self.log)
        if request.path.endswith("/pods") and request.method == "GET":
            return web.json_response({"items": [HOSTILE, READY, 7, {"metadata": 7}]})
        if request.path.endswith("/deployments"):
            return web.json_response({"items": [release()]})
        if "/pods/" in request.path:
            return web.json_response(self.pod)
        return web.json_response({"items": []})


@asynccontextmanager
async def served(one: Pretender) -> AsyncIterator[str]:
    """Serves it for the length of the block, at the URL it is given."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", one.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest_asyncio.fixture(loop_scope="module")
async def pretender(tmp_path: Path, process: SdkProcess) -> AsyncIterator[tuple[Pretender, ClusterProber]]:
    one = Pretender()
    async with served(one) as server:
        lists = {"clusters": [{"name": "c", "cluster": {"server": server}}], "users": [{"name": "u", "user": {}}]}
        context = {"name": CONTEXT, "context": {"cluster": "c", "user": "u"}}
        path = tmp_path / "pretender"
        path.write_text(yaml.safe_dump({**lists, "contexts": [context], "current-context": CONTEXT}))
        yield one, ClusterProber(str(path), CONTEXT, process)


def says(*messages: bytes) -> Talk:
    async def talk(socket: web.WebSocketResponse) -> None:
        for message in messages:
            await socket.send_bytes(message)

    return talk


def failure(reason: str, message: str, cause: object = None) -> bytes:
    details = {"causes": [cause]} if cause else cause
    return (
        b"\x03" + json.dumps({"status": "Failure", "reason": reason, "message": message, "details": details}).encode()
    )


async def test_exec_answers_of_any_kind(pretender: tuple[Pretender, ClusterProber]):
    one, prober = pretender

    async def asked(*messages: bytes) -> object:
        one.talk = says(*messages)
        try:
            found = (await prober.by_exec("dpe", "default", (HOST,))).answers[0]
        except Problem as problem:
            return problem.code
        return found.addresses or found.error

    exit_code = {"reason": "ExitCode", "message": "2"}
    assert await asked(b"\x0110.20.1.7 STREAM\n", b"", b"\x02warning\n", SUCCESS) == ("10.20.1.7",)
    assert await asked(b"\x0110.20.", b"\x011.7 STREAM\n", SUCCESS) == ("10.20.1.7",)
    assert await asked(b"\x01no address\xff\n", b"\x09unknown", SUCCESS) == "no answer"
    assert await asked(failure("NonZeroExitCode", "command terminated", exit_code)) == "nxdomain"
    assert (
        await asked(failure("InternalError", 'exec: "getent": executable file not found in $PATH')) == "probe-no-tools"
    )
    for status in (
        b"",
        b"\x03",
        b"\x03[]",
        b"\x03" + b"[" * 50_000,
        failure("NonZeroExitCode", "x", {"reason": "ExitCode", "message": "9" * 5000}),
        failure("NonZeroExitCode", "x", {"reason": "ExitCode", "message": 2}),
        failure("NonZeroExitCode", "x", "text"),
        failure("InternalError", "container not found"),
    ):
        assert await asked(b"\x0110.20.1.7 STREAM\n", status) == "probe-exec-failed", status[:60]
    flood = [b"\x01" + b"10.0.0.1 STREAM\n" * 1000] * 10
    assert await asked(*flood, SUCCESS) == "probe-exec-failed"
    assert await asked(b"\x01" + b"x" * 3_000_000, SUCCESS) == "probe-exec-failed"


async def test_a_resolver_that_is_silent_is_a_timeout(pretender: tuple[Pretender, ClusterProber], process: SdkProcess):
    one, prober = pretender
    target = Target(prober._kubeconfig or "", CONTEXT)
    inside = cluster_probe_calls.Inside("default", "dpe-1", "dpe")

    async def silence(socket: web.WebSocketResponse) -> None:
        await socket.send_bytes(b"\x01")
        await asyncio.sleep(3)

    one.talk = silence
    command = ("getent", "ahosts", HOST)
    ran = await process.call(cluster_probe_calls.run, target, inside, command, 0.5, timeout=30)
    assert ran == cluster_probe_calls.Ran("", None)


async def test_what_stands_between_us_and_a_websocket(pretender: tuple[Pretender, ClusterProber]):
    one, prober = pretender

    async def code(status: int, body: str, **headers: str) -> tuple[str, str]:
        one.refuse = web.Response(status=status, text=body, headers=headers)
        problem = await refused(prober.by_exec("dpe", "default", (HOST,)))
        assert len(problem.detail) <= 2000
        return problem.code, problem.todo

    def status(message: str) -> str:
        return json.dumps({"kind": "Status", "message": message})

    for number, body in (
        (403, "<html>blocked by your proxy</html>"),
        (200, "ok"),
        (502, ""),
        (426, "[" * 9999),
        (403, "x" * 99999),
    ):
        found, todo = await code(number, body)
        assert (found, "short-lived pod" in todo) == ("probe-websocket-blocked", True), number
    assert (await code(403, status('pods "dpe-1" is forbidden')))[0] == "probe-exec-forbidden"
    assert (await code(401, status("Unauthorized")))[0] == "cluster-unauthorized"
    assert (await code(404, status('pods "dpe-1" not found')))[0] == "probe-exec-failed"
    assert (await code(500, status("container not found")))[0] == "probe-exec-failed"
    assert (await code(403, json.dumps({"kind": "Status", "message": ["x" * 9999]})))[0] == "probe-exec-forbidden"


async def test_a_redirect_does_not_take_the_bearer_along(pretender: tuple[Pretender, ClusterProber]):
    one, prober = pretender
    elsewhere = Pretender()
    async with served(elsewhere) as server:
        one.refuse = web.Response(status=302, headers={"Location": server.replace("http", "ws") + "/exec"})
        assert (await refused(prober.by_exec("dpe", "default", (HOST,)))).code == "probe-websocket-blocked"
        assert elsewhere.requests == []


@pytest.mark.slow
async def test_a_proxy_is_not_asked_for_loopback(on: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "corp.test")
    child = SdkProcess(MODULES, scratch=tmp_path)
    async with on() as (api, _):
        await install(api)
        try:
            found = await ClusterProber(str(api.work.kubeconfig), CONTEXT, child).by_exec("dpe", "default", (HOST,))
        finally:
            await child.close()
    assert found.answers[0].addresses == ("10.20.1.7",)


async def test_a_pods_answers_of_any_kind(pretender: tuple[Pretender, ClusterProber]):
    one, prober = pretender
    # Not ours by its labels: it is never deleted.
    for log in (
        b"",
        b"\xff" * 100,
        b"10.20.1.7 STREAM\n",
        b"privatelink dpm.acme.test getent 0\n10.20.1.7\n",
        b"x" * 500_000,
    ):
        one.log = log
        problem = await refused(prober.by_pod("dpe", "default", (HOST,), **PROBE))
        assert problem.code == "probe-pod-not-run"
        assert len(problem.detail) <= 2000
    statuses: Any = [{"name": "lookup", "state": {"terminated": {"reason": "StartError", "message": 'exec: "sh": no'}}}]
    one.pod = {"metadata": {"name": 7}, "status": {"phase": ["Failed"], "containerStatuses": statuses}}
    problem = await refused(prober.by_pod("dpe", "default", (HOST,), **PROBE))
    assert (problem.code, 'exec: "sh"' in problem.detail) == ("probe-no-tools", True)
    assert not [each for each in one.requests if each[0] == "DELETE"]


async def test_a_pod_that_cannot_be_removed_is_named(
    pretender: tuple[Pretender, ClusterProber], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(cluster_probe, "_REMOVE_TRIES", 2)
    one, prober = pretender
    one.pod = "no object"
    problem = await refused(prober.by_pod("dpe", "default", (HOST,), **PROBE))
    assert problem.code == "probe-pod-left"
    assert f"-n default delete pod {PROBE['name']}" in problem.todo
    assert "does not speak the Kubernetes API" in problem.detail


@pytest.mark.slow
async def test_an_answer_counts_though_its_pod_could_not_be_removed(
    pretender: tuple[Pretender, ClusterProber], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(cluster_probe, "_REMOVE_TRIES", 1)
    one, prober = pretender
    one.answers = True
    message = 'pods "p" is forbidden: User "x" cannot delete resource "pods" in API group "" in the namespace "default"'
    for unanswered in (None, web.Response(status=404), web.Response(status=500)):
        one.refuse_review = unanswered
        one.refuse_delete = web.json_response({"kind": "Status", "message": message}, status=403)
        found = await prober.by_pod("dpe", "default", (HOST,), **PROBE)
        assert [one.addresses for one in found.answers] == [("10.20.1.7",)]
        assert f"-n default delete pod {PROBE['name']}" in found.left
        assert "Your account may not delete pods" in found.left
    one.refuse_delete = None
    assert (await prober.by_pod("dpe", "default", (HOST,), **PROBE)).left == ""


async def test_a_pods_end_is_said_only_when_it_is_known(
    pretender: tuple[Pretender, ClusterProber], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(cluster_probe, "_REMOVE_TRIES", 1)
    one, prober = pretender
    one.answers = True
    said, saying = listener()
    await prober.by_pod("dpe", "default", (HOST,), **saying)
    assert said == ["started", "ended"]

    one.refuse_delete = web.Response(status=500)
    said, saying = listener()
    assert (await prober.by_pod("dpe", "default", (HOST,), **saying)).left
    assert said == ["started"], "it is there"

    one.refuse_pod, one.pod = web.Response(status=504), {}
    said, saying = listener()
    assert (await refused(prober.by_pod("dpe", "default", (HOST,), **saying))).code == "cluster-error"
    assert said == ["started"], "a gateway that was too slow says nothing about what stands behind it"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (
            'pods is forbidden: User "x" cannot create resource "pods" in API group "" in the namespace "n"',
            "cluster-forbidden",
        ),
        ('pods "p" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true', "probe-pod-refused"),
        ('pods "p" is forbidden: exceeded quota: q, requested: pods=1', "probe-pod-refused"),
    ],
)
async def test_a_policy_is_told_from_a_missing_right(
    message: str, code: str, pretender: tuple[Pretender, ClusterProber]
):
    one, prober = pretender
    one.refuse_pod = web.json_response({"kind": "Status", "message": message}, status=403)
    said, saying = listener()
    assert (await refused(prober.by_pod("dpe", "default", (HOST,), **saying))).code == code
    assert said == ["started", "ended"], "the API answered, and made none"
