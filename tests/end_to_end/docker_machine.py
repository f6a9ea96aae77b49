"""A machine whose sandbox has its charts in a real registry: CNCF distribution with htpasswd and TLS."""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.docker_registry import TOKEN, DockerRegistry, docker_registry
from tests.end_to_end.harness import Machine, changed, dpe
from wizard.sandbox.chart_archive import CHART_NAME, pack

# The sandbox's faults of the same name, done to the real registry.
REGISTRY_FAULTS = {"wrong-token", "registry-down"}


@dataclass
class DockerMachine(Machine):
    """The sandbox's cluster and portal, but the real registry. Started again it is the same registry, as filled."""

    address: str = ""

    @contextlib.contextmanager
    def sandbox(self, *faults: str, reset: bool = False, azure: bool = False) -> Iterator[dict[str, Any]]:
        """As `Machine.sandbox`; facts and answers name the real registry, its user, token, CA and chart."""
        with super().sandbox(*(set(faults) - REGISTRY_FAULTS), reset=reset, azure=azure) as info:
            directory = self.home / "registry"
            if not self.address:
                self._fill(directory, (info["chart_version"], info["chart_version_next"]))
            with contextlib.ExitStack() as stack:
                if "registry-down" not in faults:
                    token = "another" if "wrong-token" in faults else TOKEN
                    stack.enter_context(docker_registry(directory, token, self._port))
                yield self._facts(info, DockerRegistry(self.address, directory / "ca.pem"))

    @property
    def _port(self) -> int:
        return int(self.address.rpartition(":")[2] or 0)

    def _fill(self, directory: Path, versions: tuple[str, ...]) -> None:
        directory.mkdir(mode=0o700)
        with docker_registry(directory) as registry:
            self.address = registry.address
            for version in versions:
                registry.push(self.helm, _unpacked(version, directory / version), directory)

    def _facts(self, info: dict[str, Any], registry: DockerRegistry) -> dict[str, Any]:
        token_file = self.home / "docker-token"
        token_file.write_text(registry.token)
        facts = {
            "registry": registry.address,
            "registry_user": registry.user,
            "registry_token_file": str(token_file),
            "chart": f"oci://{registry.address}/helm/{CHART_NAME}",
            "ca_file": str(registry.ca_file),
        }

        def point_at_it(document: dict[str, Any]) -> None:
            document["environment"]["ca_file"] = facts["ca_file"]
            dpe(document).update(
                registry=facts["registry"],
                username=facts["registry_user"],
                token={"file": facts["registry_token_file"]},
                chart=facts["chart"],
            )

        answers = changed(info["answers_file"], self.home / "docker-answers.yml", point_at_it)
        return {**info, **facts, "answers_file": str(answers)}


def _unpacked(version: str, to: Path) -> Path:
    """The sandbox's chart in that version as a directory."""
    packed = pack(version)
    (layer,) = json.loads(packed.manifest)["layers"]
    with tarfile.open(fileobj=io.BytesIO(packed.blobs[layer["digest"]])) as archive:
        archive.extractall(to)
    return to / CHART_NAME
