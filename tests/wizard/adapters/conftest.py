"""Real parts for the adapters: a registry with two charts, a cluster, a helm on both."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml

from tests.conftest import HELM_3
from tests.docker_registry import DockerRegistry, docker_registry
from tests.sandbox.k8s_cluster import CONTEXT, VALUES, Cluster, cluster, write_chart
from tests.wizard.adapters.arm_stub import ArmStub, arm_stub
from wizard.adapters.helm import MODULES, HelmLooker
from wizard.adapters.helm_acting import HelmActor
from wizard.adapters.helm_commands import HelmConfig
from wizard.adapters.helm_files import run_dir
from wizard.adapters.sdk_process import SdkProcess
from wizard.ports import ProcessIdentity, Upgrade
from wizard.secret import Secret

NAMESPACE = "default"
RELEASE = "dpe"

Script = Callable[[str], Path]


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Writes an executable shell script that stands in for helm."""

    def write(text: str) -> Path:
        path = tmp_path / "fake-helm"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return path

    return write


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    """A real registry with both versions of the chart."""
    if not HELM_3.exists():
        pytest.skip("helm is not there; get it with: make tools")
    directory = tmp_path_factory.mktemp("registry")
    with docker_registry(directory) as found:
        for version in ("16.1.0", "16.2.0"):
            found.push(HELM_3, write_chart(directory, version), directory)
        yield found


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Cluster]:
    """The sandbox's Kubernetes API."""
    (tmp_path / "cluster").mkdir()
    async with cluster(tmp_path / "cluster") as found:
        yield found


@pytest.fixture
async def sdk() -> AsyncIterator[SdkProcess]:
    """The SDK child for helm's answers; it starts with the first call."""
    process = SdkProcess(MODULES)
    yield process
    await process.close()


@dataclass
class Setup:
    """helm on registry and cluster, with what the wizard would hold."""

    config: HelmConfig
    sdk: SdkProcess
    upgrade: Upgrade
    registry: DockerRegistry
    started: list[ProcessIdentity]
    lines: list[str]

    @property
    def looker(self) -> HelmLooker:
        return HelmLooker(self.config, self.sdk)

    @property
    def actor(self) -> HelmActor:
        return HelmActor(self.config, self.looker)

    async def login(self) -> None:
        await self.actor.login(self.registry.address, self.registry.user, Secret(self.registry.token))

    async def run_upgrade(self, **changed: object):
        what = replace(self.upgrade, **changed)  # type: ignore[arg-type]
        return await self.actor.upgrade(what, started=self.started.append, progress=self.lines.append)

    async def statuses(self) -> list[str]:
        return [one.status for one in await self.looker.history(RELEASE, NAMESPACE)]


@pytest.fixture
def setup(helm: Path, registry: DockerRegistry, api: Cluster, sdk: SdkProcess) -> Iterator[Setup]:
    """Everything together, not logged in."""
    with run_dir() as directory:
        config = HelmConfig(
            helm=helm,
            kubeconfig=str(api.work.kubeconfig),
            kube_context=CONTEXT,
            ca_file=str(registry.ca_file),
            run_dir=directory.path,
        )
        upgrade = Upgrade(
            release=RELEASE,
            namespace=NAMESPACE,
            chart=f"oci://{registry.address}/helm/ataccama-one-dpe",
            version="16.1.0",
            values=values(),
            timeout=60,
        )
        yield Setup(config, sdk, upgrade, registry, [], [])


def values(**changed: object) -> bytes:
    """The values file, with changes."""
    return yaml.safe_dump({**VALUES, **changed}).encode()


def pipes_of(pid: int) -> list[tuple[str, int]]:
    """The pipes that a process holds, as `pipe:[NUMBER]`, each with its access mode."""
    found = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        target = str(descriptor.readlink())
        if target.startswith("pipe:"):
            facts = Path(f"/proc/{pid}/fdinfo/{descriptor.name}").read_text()
            (flags,) = re.findall(r"flags:\s+([0-7]+)", facts)
            found.append((target, int(flags, 8) & os.O_ACCMODE))
    return found


BROKEN = {"image": {"repository": "registry.test/dpe", "tag": "broken"}}

Condition = Callable[[], Awaitable[bool]]


@pytest.fixture
def other(tmp_path: Path) -> Iterator[ArmStub]:
    """A server that is not Azure's own: nothing may be sent there."""
    with arm_stub(tmp_path / "other") as stub:
        yield stub
