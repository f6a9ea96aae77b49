"""A setup of many DPEs with two endpoints each, as a journal: what `check` and the screens are measured with."""

from __future__ import annotations

from collections.abc import Iterator

from state.events import Data, EnvironmentSet, FieldSet, ItemAdded, Linked
from tests.setups import ALIAS, SUBSCRIPTION

GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-many"
NETWORK = f"{GROUP}/providers/Microsoft.Network"
VNET = f"{NETWORK}/virtualNetworks/vnet-many"
SUBNET = f"{VNET}/subnets/snet-pe"
EACH = 2
"""Endpoints of a DPE."""


def address(number: int) -> str:
    """The private IP of that endpoint."""
    return f"10.{40 + number // 250}.1.{number % 250 + 4}"


def hosts(dpe: int) -> tuple[str, str]:
    """The two host names of that DPE."""
    return f"dpm-{dpe:03}.ataccama.link", f"minio-{dpe:03}.ataccama.link"


def endpoint_id(number: int) -> str:
    """The Resource ID of that endpoint."""
    return f"{NETWORK}/privateEndpoints/pe-{number:03}"


def setup_of(dpes: int, environment: EnvironmentSet | None = None) -> Iterator[Data]:
    """Everything that is typed for so many DPEs, each with `EACH` endpoints of its own; nothing confirmed."""
    yield environment or EnvironmentSet(sandbox=True)
    yield ItemAdded(item="subscription/main")
    yield FieldSet(item=None, field="environment_name", value="production")
    yield FieldSet(item="subscription/main", field="subscription_id", value=SUBSCRIPTION)
    for dpe in range(dpes):
        yield from _dpe(dpe)
        for number in range(dpe * EACH, (dpe + 1) * EACH):
            yield from _endpoint(number)
            yield Linked(source=f"dpe/dpe-{dpe:03}", target=f"endpoint/pe-{number:03}")


def _dpe(dpe: int) -> Iterator[Data]:
    dpm, minio = hosts(dpe)
    yield ItemAdded(item=f"dpe/dpe-{dpe:03}")
    for key, value in (
        ("dpm_host", dpm),
        ("minio_host", minio),
        ("registry", "registry.example.com"),
        ("username", "dpe-user"),
        ("chart", "oci://registry.example.com/helm/ataccama-one-dpe"),
        ("version", "16.2.0"),
        ("release", f"dpe-{dpe:03}"),
        ("namespace", "dpe"),
    ):
        yield FieldSet(item=f"dpe/dpe-{dpe:03}", field=key, value=value)


def _endpoint(number: int) -> Iterator[Data]:
    yield ItemAdded(item=f"endpoint/pe-{number:03}")
    for key, value in (
        ("link_service", ALIAS),
        ("resource_group", "rg-many"),
        ("subnet", SUBNET),
        ("endpoint_name", f"pe-{number:03}"),
        ("private_ip", address(number)),
        ("endpoint_id", endpoint_id(number)),
    ):
        yield FieldSet(item=f"endpoint/pe-{number:03}", field=key, value=value)
