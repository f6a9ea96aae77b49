"""Nothing is missed that the peers find: a whole round over one Azure, with one thing wrong at a time.

The peers: Get-AACPrivateEndpoint (Azure.Admin.Console), Test-AzPE, and `azcmagent check --enable-pls-check`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from state.events import BAD, COULD_NOT_LOOK, GOOD, NOT_YET
from tests.setups import ALIAS, DPM, ENDPOINT_ID, MINIO
from tests.wizard.azure_world import GROUP, OTHER_VNET, SERVICE_ID, VNET, World
from tests.wizard.engine import GUIDE, Resolver, fill, opened
from wizard.azure import DISCONNECTED, FAILED, PENDING, REJECTED
from wizard.checking import look_at_all
from wizard.ports import Readers

IP = "10.20.1.4"
TWIN = f"{GROUP}/providers/Microsoft.Network/privateEndpoints/pe-twin"

Arrange = Callable[[World], object]
Answers = dict[str, tuple[str, ...]]


def as_it_should_be() -> World:
    """One approved endpoint, and for each host a zone linked to its VNet with the record."""
    world = World()
    world.endpoint_there(ENDPOINT_ID, ALIAS)
    for host in (DPM, MINIO):
        world.zone_there(host, VNET, apex=(IP,))
    return world


def endpoint(**changes: object) -> Arrange:
    """The endpoint, but otherwise in one thing."""
    return lambda world: world.endpoint_there(ENDPOINT_ID, str(changes.pop("service", ALIAS)), **changes)


def zone(*networks: str, apex: tuple[str, ...] | None = (IP,)) -> Arrange:
    """The zone of one host, linked to these VNets, with this record."""

    def arrange(world: World) -> None:
        no_zone(world)
        world.zone_there(MINIO, *networks, apex=apex)

    return arrange


def no_zone(world: World) -> None:
    name = f"/privatednszones/{MINIO}"
    for kept in (world.zones_, world.links):
        for key in [key for key in kept if name in key.lower()]:
            del kept[key]
    world.records = {key: record for key, record in world.records.items() if name not in key[0].lower()}


def custom_dns(world: World) -> None:
    world.network_ = replace(world.network_, dns_servers=("10.0.0.10",))


async def looked(tmp_path: Path, world: World, answers: Answers) -> dict[str, tuple[str, str]]:
    """Verdict and text of every check of steps 2 to 5."""
    session = fill(opened(tmp_path))
    readers = Readers(azure=world, dns=Resolver(answers))
    found = await look_at_all(GUIDE, session.snapshot, GUIDE.steps[1:5], readers)
    return {one.check: (one.verdict, one.text) for one in found}


PRIVATE: Answers = {DPM: (IP,), MINIO: (IP,)}


async def test_all_is_good_where_nothing_is_wrong(tmp_path: Path):
    found = await looked(tmp_path, as_it_should_be(), PRIVATE)
    assert {check: verdict for check, (verdict, _) in found.items() if verdict != GOOD} == {
        "cluster-lookup": COULD_NOT_LOOK  # there is no cluster here
    }


@pytest.mark.parametrize(
    ("arrange", "check", "verdict", "says"),
    [
        pytest.param(endpoint(connection=PENDING), "endpoint", NOT_YET, "connection Pending", id="pending"),
        pytest.param(endpoint(connection=REJECTED), "endpoint", BAD, "connection Rejected", id="rejected"),
        pytest.param(endpoint(connection=DISCONNECTED), "endpoint", BAD, "connection Disconnected", id="disconnected"),
        pytest.param(endpoint(provisioning=FAILED), "endpoint", BAD, "provisioning Failed", id="provisioning failed"),
        pytest.param(endpoint(service=""), "endpoint", BAD, "connects to nothing", id="target gone"),
        pytest.param(
            endpoint(service=SERVICE_ID.replace("/dpe", "/other")), "endpoint", BAD, "connects to", id="other target"
        ),
        pytest.param(
            lambda world: world.endpoints_.clear(), "endpoint", NOT_YET, "there is no Private Endpoint", id="gone"
        ),
        pytest.param(
            lambda world: world.endpoint_there(TWIN, ALIAS), "other-endpoints", BAD, "pe-twin", id="duplicated"
        ),
        pytest.param(
            lambda world: world.endpoint_there(TWIN, ALIAS, connection=DISCONNECTED),
            "other-endpoints",
            BAD,
            "left over: pe-twin",
            id="orphaned",
        ),
        pytest.param(no_zone, "records", NOT_YET, "no private DNS zone", id="zone missing"),
        pytest.param(zone(), "records", BAD, "linked to no VNet", id="zone unlinked"),
        pytest.param(zone(OTHER_VNET), "records", BAD, "linked to vnet-neu, not to vnet-weu", id="wrong VNet"),
        pytest.param(zone(VNET, apex=None), "records", BAD, "holds no record", id="record missing"),
        pytest.param(zone(VNET, apex=("10.99.9.9",)), "records", BAD, "10.99.9.9 in zone", id="record wrong"),
        pytest.param(custom_dns, "records", GOOD, "own DNS servers (10.0.0.10)", id="custom DNS servers"),
    ],
)
async def test_each_is_named_at_its_step(tmp_path: Path, arrange: Arrange, check: str, verdict: str, says: str):
    world = as_it_should_be()
    arrange(world)
    found = await looked(tmp_path, world, PRIVATE)
    assert found[check][0] == verdict and says in found[check][1], found[check]


@pytest.mark.parametrize(
    ("answers", "verdict", "says"),
    [
        pytest.param({DPM: ("52.0.0.1",), MINIO: ("52.0.0.1",)}, BAD, "still public", id="public"),
        pytest.param({DPM: (IP,), MINIO: ("52.0.0.1",)}, BAD, "mixed", id="mixed"),
        pytest.param({}, BAD, "missing", id="no answer"),
        pytest.param({DPM: (IP,), MINIO: ("10.99.9.9",)}, BAD, "elsewhere", id="another private address"),
    ],
)
async def test_what_a_name_leads_to_is_named(tmp_path: Path, answers: Answers, verdict: str, says: str):
    found = await looked(tmp_path, as_it_should_be(), answers)
    assert found["resolver-here"][0] == verdict and says in found["resolver-here"][1], found["resolver-here"]
