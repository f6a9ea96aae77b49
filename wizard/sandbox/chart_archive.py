"""Packs the sandbox's chart as helm's OCI artifact, to the byte the same on every start.

Format: https://helm.sh/docs/topics/registries/ and the OCI image manifest. Equal bytes matter because a digest that
changed with a restart would look like a changed chart.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

CHART_NAME = "ataccama-one-dpe"
REPOSITORY = f"helm/{CHART_NAME}"
"""Where a registry holds it: the path in the guide's `helm upgrade` command, step 7."""

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
_CONFIG_TYPE = "application/vnd.cncf.helm.config.v1+json"
_LAYER_TYPE = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"


@dataclass(frozen=True, slots=True)
class ChartArchive:
    """One version of a chart as a registry holds it. `blobs` maps digests (`sha256:…`) to their bytes."""

    repository: str
    version: str
    manifest: bytes
    blobs: dict[str, bytes]

    @property
    def digest(self) -> str:
        """The manifest's digest, which helm prints after a pull."""
        return digest(self.manifest)


def digest(content: bytes) -> str:
    """A digest as OCI writes it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def pack(version: str) -> ChartArchive:
    """The chart in `version`; appVersion, and with it the image's tag, follow."""
    import yaml

    root = files("wizard.sandbox") / "chart" / CHART_NAME
    metadata = yaml.safe_load((root / "Chart.yaml").read_text(encoding="utf-8"))
    metadata |= {"version": version, "appVersion": version}
    content = {name: file.read_bytes() for name, file in _walk(root)}
    content["Chart.yaml"] = yaml.safe_dump(metadata, sort_keys=True).encode()

    config = _canonical(metadata)
    layer = _tgz({f"{CHART_NAME}/{name}": data for name, data in content.items()})
    manifest = _canonical(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": _descriptor(_CONFIG_TYPE, config),
            "layers": [_descriptor(_LAYER_TYPE, layer)],
            "annotations": {
                "org.opencontainers.image.title": CHART_NAME,
                "org.opencontainers.image.version": version,
                "org.opencontainers.image.description": metadata["description"],
            },
        }
    )
    return ChartArchive(REPOSITORY, version, manifest, {digest(blob): blob for blob in (config, layer)})


def _walk(directory: Traversable, prefix: str = "") -> Iterator[tuple[str, Traversable]]:
    for entry in directory.iterdir():
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        else:
            yield f"{prefix}{entry.name}", entry


def _tgz(content: dict[str, bytes]) -> bytes:
    """A tar in helm's layout (Chart.yaml first), with nothing in it that depends on time, user or file system."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(content, key=lambda name: (not name.endswith("/Chart.yaml"), name)):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content[name]), 0o644
            archive.addfile(member, io.BytesIO(content[name]))
    return gzip.compress(tar.getvalue(), mtime=0)


def _descriptor(media_type: str, blob: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest(blob), "size": len(blob)}


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
