"""What a round of looks asks of Azure, counted on the wire between the real SDKs and the sandbox's ARM."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from state.events import GOOD
from tests.bench.many import EACH, build, setup_of
from tests.sandbox.arm.served import served
from tests.wizard.engine import GUIDE, snapshot_of
from tests.wizard.test_azure_wire import kind
from wizard.adapters import azure as adapter
from wizard.adapters.azure import AzureLooker
from wizard.adapters.sdk_process import SdkProcess
from wizard.checking import look_at_all
from wizard.ports import Readers
from wizard.round import FEW
from wizard.sandbox.arm.pages import PAGE_SIZE

# It has a child of its own, which loads the SDKs.
pytestmark = pytest.mark.slow


async def test_calls_grow_by_pages_of_endpoints_and_two_a_zone(tmp_path: Path):
    dpes = PAGE_SIZE // EACH + 5  # more endpoints, and more zones, than a page holds
    tmp_path.chmod(0o700)
    with served(tmp_path) as azure:
        build(azure, dpes)
        snapshot = snapshot_of(*setup_of(dpes))
        process = SdkProcess(adapter.MODULES, scratch=tmp_path, at_once=adapter.AT_ONCE)
        try:
            readers = Readers(azure=AzureLooker(azure.target(), process))
            steps = [step for step in GUIDE.steps if step.number < 6]
            found = await look_at_all(GUIDE, snapshot, steps, readers)
        finally:
            await process.close()
        asked = Counter(kind(line) for line in azure.trace() if line["server"] == "arm")

    assert {one.verdict for one in found if one.check not in ("resolver-here", "cluster-lookup")} == {GOOD}
    endpoints, zones, pages = dpes * EACH, dpes * 2, 2
    assert len(found) > 3 * endpoints
    assert asked == {
        "GET subscriptions": 1,
        "GET privateendpoints": FEW,
        "GET networkinterfaces": FEW,
        "GET privateendpoints (list)": pages,
        "GET networkinterfaces (list)": pages,
        "GET privatednszones (list)": pages,
        "GET privatednszones/virtualnetworklinks (list)": zones,
        "GET privatednszones/a": zones,
        "GET virtualnetworks": 1,
    }


async def test_the_records_of_a_zone_are_listed(tmp_path: Path):
    tmp_path.chmod(0o700)
    with served(tmp_path) as azure:
        build(azure, 1)
        zone = next(one["id"] for one in azure.arm.store.all("Microsoft.Network/privateDnsZones"))
        process = SdkProcess(adapter.MODULES, scratch=tmp_path, at_once=adapter.AT_ONCE)
        try:
            looker = AzureLooker(azure.target(), process)
            listed = await looker.a_records(zone)
            assert listed == (await looker.a_record(zone, "@"),)
            assert await looker.a_records(f"{zone}-gone") == ()
        finally:
            await process.close()
