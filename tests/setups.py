"""Setups of the real guide with something in them, for tests that read: journals made without an fsync per event."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

from state.events import (
    BAD,
    GOOD,
    OBSERVED,
    Actor,
    Data,
    EnvironmentSet,
    Evidence,
    FieldSet,
    Found,
    GuideRef,
    ItemAdded,
    Linked,
    RouteChosen,
)
from tests.state.make_journal import ACTOR, lines_of, ts_of
from wizard.guides import DEFAULT

GUIDE = GuideRef(id=DEFAULT, version=1)
SUBSCRIPTION = "8d2f41c7-5b1e-4f0a-9a77-0c1d2e3f4a5b"
ENDPOINT_ID = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-net-data/providers/Microsoft.Network/privateEndpoints/pe-weu"
)
SUBNET = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-net/providers/Microsoft.Network/virtualNetworks/vnet-weu"
    "/subnets/snet-pe"
)
ALIAS = "dpe.3f0e1a52-6f6f-4a67-9a76-1f7c2b1d0c11.westeurope.azure.privatelinkservice"
DPM, MINIO = "dpm-43ooq-worker-01-eus1.ataccama.link", "minio-43ooq-worker-01-eus1.ataccama.link"

VALUES: tuple[tuple[str | None, str, str], ...] = (
    (None, "environment_name", "production"),
    ("subscription/main", "subscription_id", SUBSCRIPTION),
    ("endpoint/pe-weu", "link_service", ALIAS),
    ("endpoint/pe-weu", "resource_group", "rg-net-data"),
    ("endpoint/pe-weu", "subnet", SUBNET),
    ("endpoint/pe-weu", "endpoint_name", "pe-weu"),
    ("endpoint/pe-weu", "private_ip", "10.20.1.4"),
    ("endpoint/pe-weu", "endpoint_id", ENDPOINT_ID),
    ("dpe/dpe-01", "dpm_host", DPM),
    ("dpe/dpe-01", "minio_host", MINIO),
    ("dpe/dpe-01", "registry", "registry.example.com"),
    ("dpe/dpe-01", "username", "dpe-user"),
    ("dpe/dpe-01", "chart", "oci://registry.example.com/helm/ataccama-one-dpe"),
    ("dpe/dpe-01", "version", "16.2.0"),
    ("dpe/dpe-01", "release", "dpe-01"),
    ("dpe/dpe-01", "namespace", "dpe"),
)


def _opening() -> Iterator[Data]:
    yield EnvironmentSet(sandbox=True)
    for item in ("subscription/main", "endpoint/pe-weu", "dpe/dpe-01"):
        yield ItemAdded(item=item)
    yield Linked(source="dpe/dpe-01", target="endpoint/pe-weu")
    for owner, field, value in VALUES:
        yield FieldSet(item=owner, field=field, value=value)
    yield RouteChosen(step="endpoint", items=("endpoint/pe-weu",), route="already done")


def _looks() -> Iterator[Data]:
    """What a setup grows by while somebody waits for the DNS team: findings."""
    for number in cycle(range(1000)):
        answer = f'{{"addresses":["10.20.1.{number % 7}"],"error":""}}'
        yield Found(
            step="dns",
            items=("dpe/dpe-01", "endpoint/pe-weu"),
            check="resolver-here",
            verdict=GOOD if number % 3 else BAD,
            text=f"{DPM} resolves here to 10.20.1.{number % 7}",
            fingerprint=f"{number % 7:064x}",
            evidence=(
                Evidence(
                    source="DNS",
                    request=f"A and AAAA {DPM} from this machine's resolver",
                    answer=answer,
                    sha256=f"{number:064x}",
                    ts=ts_of(number),
                    identity="10.20.0.2",
                    grade=OBSERVED,
                ),
            ),
        )


def data_of(events: int) -> list[Data]:
    """The data of `events` events: everything typed, nothing confirmed yet, then looks."""
    return list(islice((*_opening(), *islice(_looks(), events)), events))


def make_setup(state_dir: Path, name: str, events: int = 40, actor: Actor = ACTOR) -> Path:
    """Writes a setup's journal into a state directory as private as the program makes it; returns its path."""
    setups = state_dir / "setups"
    for directory in (state_dir, setups):
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o700)
    path = setups / f"{name}.jsonl"
    path.write_bytes(b"\n".join(lines_of(data_of(events), name, GUIDE, actor)) + b"\n")
    path.chmod(0o600)
    return path
