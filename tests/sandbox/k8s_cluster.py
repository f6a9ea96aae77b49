"""Runs the sandbox's Kubernetes API over TLS in the test's own event loop, and real tools against it."""

from __future__ import annotations

import asyncio
import importlib.resources
import json
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web

from wizard.sandbox import ca
from wizard.sandbox.kubeconfig import kubeconfig
from wizard.sandbox.kubernetes import KubernetesApi, build_app
from wizard.sandbox.kubernetes.programs import Names
from wizard.sandbox.trace import Trace
from wizard.sandbox.workdir import WorkDir

CONTEXT = "sandbox"
READY_AFTER = 0.15
DEADLINE = 20.0  # seconds until a condition that does not come is a failure

VALUES = {
    "dpm": {"host": "dpm-grpc.acme.test"},
    "minio": {"host": "minio.acme.test"},
    "secret": {"accessKey": "k3y$with 'quotes' and \"dq\""},
    "storage": {"container": "abfss://c@acct.dfs.core.windows.net"},
}


@dataclass(frozen=True)
class Answer:
    """A reply of the API."""

    status: int
    body: Any
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Result:
    """How a tool ended: exit code and everything it printed."""

    code: int
    output: str


class Cluster:
    """A running API and how to reach it."""

    def __init__(self, api: KubernetesApi, work: WorkDir, url: str, token: str, http: aiohttp.ClientSession) -> None:
        self.api, self.work, self.url, self.token, self.http = api, work, url, token, http

    async def call(
        self, method: str, path: str, body: Any = None, *, kind: str = "application/json", token: str | None = None
    ) -> Answer:
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token if token is None else token}", "Content-Type": kind}
        async with self.http.request(method, self.url + path, data=data, headers=headers) as reply:
            text = await reply.text()
            is_json = "json" in reply.headers.get("Content-Type", "")
            return Answer(reply.status, json.loads(text) if is_json else text, reply.headers)

    async def run(self, *command: str | Path, stdin: bytes = b"") -> Result:
        """Run a tool with this cluster's kubeconfig and a home of its own."""
        environment = {
            "HOME": str(self.work.path),
            "KUBECONFIG": str(self.work.kubeconfig),
            "PATH": os.environ.get("PATH", ""),
        }
        process = await asyncio.create_subprocess_exec(
            *map(str, command),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=environment,
        )
        try:
            async with asyncio.timeout(90):
                output, _ = await process.communicate(stdin)
        finally:
            if process.returncode is None:
                process.kill()
        return Result(process.returncode or 0, output.decode())

    async def until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        """Wait for a condition."""
        async with asyncio.timeout(DEADLINE):
            while not await holds():
                await asyncio.sleep(0.02)

    async def until_ready(self, path: str, field: str = "readyReplicas", wanted: int = 1) -> Any:
        """Wait until a number in an object's status is as wanted; returns the object."""
        found: Any = None

        async def ready() -> bool:
            nonlocal found
            found = (await self.call("GET", path)).body
            return bool(found.get("status", {}).get(field, 0) == wanted)

        await self.until(ready)
        return found


@asynccontextmanager
async def cluster(
    directory: Path,
    *,
    faults: frozenset[str] = frozenset(),
    ready_after: float = READY_AFTER,
    state_path: Path | None = None,
    trace: Trace | None = None,
    names: Names | None = None,
) -> AsyncIterator[Cluster]:
    """Serve the API for the length of the block."""
    work = WorkDir(directory)
    ca.ensure(work)
    token = secrets.token_urlsafe()
    api = KubernetesApi(state_path, ready_after)
    app = build_app(api, token=token, names=names, faults=faults, trace=trace)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=ca.server_context(work))
        await site.start()
        port = runner.addresses[0][1]
        text = kubeconfig(port=port, ca=work.ca.read_bytes(), user="sandbox-admin", token=token, context=CONTEXT)
        work.kubeconfig.write_text(text)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=_trusting(work))) as http:
            yield Cluster(api, work, f"https://127.0.0.1:{port}", token, http)
    finally:
        await runner.cleanup()


def _trusting(work: WorkDir):
    import ssl

    return ssl.create_default_context(cafile=str(work.ca))


def write_chart(directory: Path, version: str) -> Path:
    """The sandbox's chart as a directory, in a version."""
    chart = directory / f"chart-{version}"
    source = importlib.resources.files("wizard.sandbox") / "chart" / "ataccama-one-dpe"
    with importlib.resources.as_file(source) as path:
        shutil.copytree(path, chart)
    metadata = yaml.safe_load((chart / "Chart.yaml").read_text())
    (chart / "Chart.yaml").write_text(yaml.safe_dump({**metadata, "version": version, "appVersion": version}))
    return chart


def write_values(directory: Path) -> Path:
    """A values file with everything the chart requires."""
    path = directory / "values.yml"
    path.write_text(yaml.safe_dump(VALUES))
    return path


def deployment(name: str = "dpe", image: str = "registry.test/dpe:1", replicas: int = 1) -> dict[str, Any]:
    """A Deployment, complete."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"replicas": replicas, **_selected_template(name, image)},
    }


def workload(kind: str, name: str = "dpe") -> dict[str, Any]:
    """A StatefulSet or DaemonSet, complete."""
    spec = _selected_template(name, "registry.test/dpe:1")
    if kind == "StatefulSet":
        claim = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}
        spec |= {"replicas": 2, "serviceName": name, "volumeClaimTemplates": [claim]}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def _selected_template(name: str, image: str) -> dict[str, Any]:
    labels = {"app": name}
    pod = {"containers": [{"name": "dpe", "image": image}]}
    return {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}
