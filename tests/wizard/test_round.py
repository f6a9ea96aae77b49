"""One round of looking: what is read once, whose time counts, and what a dead source holds up."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from state.events import COULD_NOT_LOOK, GOOD, NOT_YET
from state.problem import Problem
from state.snapshot import Snapshot
from tests.bench.many import EACH, NETWORK, SUBNET, VNET, address, endpoint_id, hosts, setup_of
from tests.setups import ALIAS, SUBSCRIPTION
from tests.wizard.azure_world import World
from tests.wizard.engine import GUIDE, Cluster, Helm, Resolver, release, snapshot_of, with_step
from wizard import round as rounds
from wizard.adapters import azure as azure_adapter
from wizard.azure import ARecord, Endpoint, Subscription, Zone, ZoneLink
from wizard.checking import Looked, look_at_all
from wizard.guide import Check, Finding
from wizard.ports import ClusterIdentity, DnsAnswer, Readers, Workload
from wizard.round import AT_ONCE, deadline, one_round
from wizard.session import look, run_check
from wizard.view import View

NOT_THERE = Problem("cluster-unreachable", "The Kubernetes API cannot be reached.")


# ---------------------------------------------------------------- worlds


def world_of(dpes: int, *, one_zone: bool = False) -> tuple[Snapshot, World, Readers]:
    """A setup of so many DPEs, and everything there as it should be: a zone for each host, or one for all."""
    world, answers = World(), dict[str, tuple[str, ...]]()
    world.subscription = Subscription(SUBSCRIPTION, "Data", "Enabled", "t")
    world.network_there(VNET)
    for dpe in range(dpes):
        numbers = range(dpe * EACH, (dpe + 1) * EACH)
        for number in numbers:
            world.endpoint_there(endpoint_id(number), ALIAS, addresses=(address(number),), subnet_id=SUBNET)
        for host in hosts(dpe):
            name, _, parent = host.partition(".")
            zone = Zone(f"{NETWORK}/privateDnsZones/{parent if one_zone else host}", parent if one_zone else host)
            link = f"{zone.id}/virtualNetworkLinks/link"
            world.zones_[zone.id.lower()] = zone
            world.links[link.lower()] = ZoneLink(link, "link", zone.id, VNET, "Completed", "Succeeded")
            relative = name if one_zone else "@"
            answers[host] = tuple(map(address, numbers))
            world.records[zone.id.lower(), relative] = ARecord(zone.id, relative, answers[host], 300)
    helm = Helm(*(release(1, name=f"dpe-{dpe:03}") for dpe in range(dpes)))
    readers = Readers(dns=Resolver(answers), cluster=Cluster(), helm=helm, azure=world)
    return snapshot_of(*setup_of(dpes)), world, readers


@dataclass
class Slow:
    """A cluster of which each look takes a while; `most` is how many went on at once."""

    seconds: float
    calls: Counter[str] = field(default_factory=Counter)
    now: int = 0
    most: int = 0
    hangs: Callable[[str], bool] = lambda _: False

    async def identity(self) -> ClusterIdentity:
        await self._take("identity")
        return ClusterIdentity("https://aks.example:443", "1")

    async def workloads(self, release: str, namespace: str) -> tuple[Workload, ...]:
        await self._take(release)
        return (Workload("Deployment", release, 1, 1),)

    async def _take(self, what: str) -> None:
        self.calls[what] += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(60 if self.hangs(what) else self.seconds)
        finally:
            self.now -= 1


async def _workloads(view: View, readers: Readers) -> Finding:
    assert readers.cluster is not None
    await readers.cluster.identity()
    found = await readers.cluster.workloads(view.value("release"), view.value("namespace"))
    return Finding(GOOD, f"{len(found)} workloads")


async def _resolver(view: View, readers: Readers) -> Finding:
    assert readers.dns is not None
    answer = await readers.dns.resolve(view.value("dpm_host"))
    return Finding(GOOD if answer.addresses else NOT_YET, answer.error)


async def looked_at(
    dpes: int, readers: Readers, *checks: Check, each: Callable[[Looked], None] = lambda _: None
) -> dict[tuple[str, str], tuple[str, str]]:
    """What `checks` of every DPE find: verdict and text by check and DPE."""
    guide = with_step(GUIDE, "update-dpe", checks=checks)
    snapshot = snapshot_of(*setup_of(dpes), guide=guide)
    step = guide.step("update-dpe")
    assert step is not None
    found = await look_at_all(guide, snapshot, [step], readers, each=each)
    return {(one.check, one.items[0]): (one.verdict, one.text) for one in found}


def workloads(deadline: float) -> Check:
    return Check("workloads", "Workloads", "a hint", _workloads, deadline=deadline)


# ---------------------------------------------------------------- what is read once


@pytest.mark.parametrize(("dpes", "singles", "lists"), [(1, 2, 1), (2, 2, 1), (20, 2, 1)])
async def test_calls_grow_with_pages_and_zones_and_not_with_pairs(dpes: int, singles: int, lists: int):
    snapshot, world, readers = world_of(dpes)
    found = await look_at_all(GUIDE, snapshot, GUIDE.steps, readers)

    assert {one.verdict for one in found if one.check in ("subscription", "endpoint", "live-id", "records")} == {GOOD}
    zones = 2 * dpes
    assert (
        Counter(world.calls)
        == Counter(
            identity=1,
            subscriptions=1,
            zones=1,
            network=1,
            endpoint=singles,
            endpoints=lists,
            zone_links=zones,
            a_record=zones,
        )
        - Counter()
    )


async def test_a_zone_of_all_hosts_is_read_whole():
    snapshot, world, readers = world_of(10, one_zone=True)
    found = await look_at_all(GUIDE, snapshot, GUIDE.steps, readers)

    assert {one.verdict for one in found if one.check == "records"} == {GOOD}
    calls = Counter(world.calls)
    assert (calls["zone_links"], calls["a_record"], calls["a_records"]) == (1, 2, 1)


async def test_what_a_list_does_not_hold_is_asked_for_by_itself():
    """A list holds what may be read in it: that something is not there is never taken from a list."""
    snapshot, world, readers = world_of(5)
    hidden = endpoint_id(7)

    async def endpoints(subscription: str) -> tuple[Endpoint, ...]:
        found = await World.endpoints(world, subscription)
        return tuple(one for one in found if one.id != hidden)

    world.endpoints = endpoints  # type: ignore[method-assign]
    found = await look_at_all(GUIDE, snapshot, GUIDE.steps, readers)

    assert {one.verdict for one in found if one.check == "endpoint"} == {GOOD}
    assert Counter(world.calls)["endpoint"] == 3


async def test_a_list_that_may_not_be_read_leaves_the_single_reads():
    snapshot, world, readers = world_of(5)
    world.fails["endpoints"] = [Problem("forbidden", "You may not list them.")]
    found = await look_at_all(GUIDE, snapshot, GUIDE.steps, readers)

    assert {one.verdict for one in found if one.check == "endpoint"} == {GOOD}
    assert Counter(world.calls)["endpoint"] == 5 * EACH


async def test_a_failed_read_is_one_for_all_who_ask():
    snapshot, world, readers = world_of(5)
    world.fails["identity"] = [Problem("azure-login-expired", "The sign-in has expired.")]
    found = await look_at_all(GUIDE, snapshot, GUIDE.steps, readers)

    azure = [one for one in found if one.check in ("subscription", "endpoint", "live-id", "records")]
    assert {(one.verdict, one.text) for one in azure} == {(COULD_NOT_LOOK, "The sign-in has expired.")}
    assert Counter(world.calls)["identity"] == 1


async def test_the_next_round_and_whoever_reads_without_one_ask_anew():
    snapshot, world, readers = world_of(1)
    steps = [step for step in GUIDE.steps if step.id == "endpoint"]
    await look_at_all(GUIDE, snapshot, steps, readers)
    world.endpoint_there(endpoint_id(0), ALIAS, addresses=(address(0),), subnet_id=SUBNET, connection="Rejected")

    first = (await look_at_all(GUIDE, snapshot, steps, readers))[0]
    assert "Rejected" in first.text
    world.endpoints_.clear()
    alone, _ = await look(View(GUIDE, snapshot, steps[0], ("endpoint/pe-000",)), readers)
    assert alone.verdict == NOT_YET


async def test_who_stops_waiting_leaves_the_read_to_the_others():
    cluster = Slow(0.05)
    async with one_round(Readers(cluster=cluster)) as shared:  # type: ignore[arg-type]
        assert shared.cluster is not None
        first, second = (asyncio.create_task(shared.cluster.identity()) for _ in range(2))
        await asyncio.sleep(0.01)
        first.cancel()
        assert (await second).uid == "1"
    assert first.cancelled() and cluster.calls["identity"] == 1


async def test_what_a_read_that_was_given_up_puts_in_order_is_waited_for():
    """A short-lived pod is removed before the round ends, also when nobody waits for its answer any more."""
    order = []

    class Tidy:
        async def identity(self) -> ClusterIdentity:
            try:
                await asyncio.sleep(60)
            finally:
                await asyncio.sleep(0.02)
                order.append("put in order")
            raise AssertionError

    async with one_round(Readers(cluster=Tidy())) as shared:  # type: ignore[arg-type]
        assert shared.cluster is not None
        with pytest.raises(TimeoutError):
            async with deadline(0.01):
                await shared.cluster.identity()
    order.append("the round's end")
    assert order == ["put in order", "the round's end"]


async def test_a_read_that_nobody_waits_for_any_more_is_given_up_and_made_anew():
    cluster = Slow(0.02, hangs=lambda what: what == "identity" and cluster.calls["identity"] == 1)
    async with one_round(Readers(cluster=cluster)) as shared:  # type: ignore[arg-type]
        assert shared.cluster is not None
        only = asyncio.create_task(shared.cluster.identity())
        await asyncio.sleep(0.01)
        only.cancel()
        await asyncio.wait({only})
        assert (await shared.cluster.identity()).uid == "1"
    assert (cluster.calls["identity"], cluster.now) == (2, 0)


async def test_nothing_goes_on_after_the_round():
    cluster = Slow(60)
    with pytest.raises(ZeroDivisionError):
        async with one_round(Readers(cluster=cluster)) as shared:  # type: ignore[arg-type]
            assert shared.cluster is not None
            asking = asyncio.create_task(shared.cluster.identity())
            await asyncio.sleep(0.01)
            raise ZeroDivisionError
    assert cluster.now == 0
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_what_is_no_read_goes_to_the_port_itself():
    world, shown = World(), list[Any]()
    world.signs_in.set()
    async with one_round(Readers(azure=world, helm=Helm())) as shared:
        assert shared.azure is not None and shared.helm is not None
        await shared.azure.sign_in(shown.append)
        await shared.azure.sign_in(shown.append)
        assert shared.helm.way_out_shown("r", "n", 3, 1) == "helm rollback r 3"
    assert world.calls.count("sign_in") == 2


# ---------------------------------------------------------------- deadlines


async def test_looks_that_wait_for_their_turn_are_not_late():
    """Twenty looks of a cluster that serves one at a time take longer together than each of them may."""
    cluster = Slow(0.05)
    found = await looked_at(20, Readers(cluster=cluster), workloads(0.9))  # type: ignore[arg-type]
    assert {verdict for verdict, _ in found.values()} == {GOOD}
    assert (cluster.most, cluster.calls["identity"]) == (1, 1)


async def test_a_look_that_is_served_and_takes_too_long_is_late():
    cluster = Slow(0.01, hangs=lambda what: what == "dpe-001")
    found = await looked_at(3, Readers(cluster=cluster), workloads(1.5))  # type: ignore[arg-type]
    late = (COULD_NOT_LOOK, "no answer within 1.5 s")
    assert [verdict for verdict, _ in found.values()] == [GOOD, COULD_NOT_LOOK, GOOD]
    assert found["workloads", "dpe/dpe-001"] == late, "one lost answer of a source that answers is bad luck"


async def test_a_look_that_asks_nobody_has_its_deadline():
    async def hangs(view: View, readers: Readers) -> Finding:
        await asyncio.sleep(60)
        raise AssertionError

    found = await looked_at(1, Readers(), Check("c", "C", "", hangs, deadline=0.05))
    assert [text for _, text in found.values()] == ["no answer within 0.05 s"]


async def test_a_dead_source_is_waited_for_once_and_holds_up_no_other():
    cluster, order = Slow(60), list[str]()
    answers = {hosts(dpe)[0]: ("10.0.0.4",) for dpe in range(30)}
    checks = workloads(2.0), Check("dns", "DNS", "", _resolver, deadline=5)
    readers = Readers(cluster=cluster, dns=Resolver(answers))  # type: ignore[arg-type]
    begun = time.monotonic()
    found = await looked_at(30, readers, *checks, each=lambda looked: order.append(looked.found.check))

    assert {key[0]: verdict for key, (verdict, _) in found.items()} == {"workloads": COULD_NOT_LOOK, "dns": GOOD}
    assert order == ["dns"] * 30 + ["workloads"] * 30
    assert time.monotonic() - begun < 30 * 2.0 / 2, "not one deadline after the other"


async def test_what_waits_for_a_source_that_is_found_dead_has_the_same_answer():
    class Dead(Cluster):
        asked = 0

        async def workloads(self, release: str, namespace: str) -> tuple[Workload, ...]:
            self.asked += 1
            await asyncio.sleep(0.01)
            raise NOT_THERE

    cluster = Dead()
    found = await looked_at(30, Readers(cluster=cluster), workloads(5))
    assert set(found.values()) == {(COULD_NOT_LOOK, NOT_THERE.what)}
    assert cluster.asked == 2, "it had answered before, so that the first time might have been bad luck"


async def test_a_problem_of_one_thing_does_not_make_its_source_dead():
    class Picky(Cluster):
        async def workloads(self, release: str, namespace: str) -> tuple[Workload, ...]:
            if release != "dpe-009":
                raise Problem("cluster-forbidden", f"You may not read {release}.")
            return self.running

    found = await looked_at(10, Readers(cluster=Picky()), workloads(5))
    assert Counter(verdict for verdict, _ in found.values()) == {COULD_NOT_LOOK: 9, GOOD: 1}


async def test_each_resolver_is_dead_or_alive_by_itself():
    class Resolvers:
        def __init__(self) -> None:
            self.asked: Counter[str | None] = Counter()

        async def resolve(self, host: str, server: str | None = None) -> DnsAnswer:
            self.asked[server] += 1
            await asyncio.sleep(0.01)
            if server is None:
                return DnsAnswer(host, ("10.0.0.4",), "here")
            return DnsAnswer(host, (), server, error="timeout")

    async def both(view: View, readers: Readers) -> Finding:
        assert readers.dns is not None
        host = view.value("dpm_host")
        assert (await readers.dns.resolve(host)).addresses
        await readers.dns.resolve(host, "192.0.2.1")
        return Finding(GOOD, "asked both")

    dns = Resolvers()
    found = await looked_at(60, Readers(dns=dns), Check("dns", "DNS", "", both))
    assert dns.asked[None] == 60
    assert dns.asked["192.0.2.1"] < 60
    assert (COULD_NOT_LOOK, "The resolver gave no answer. So nothing else was asked of it in this round.") in set(
        found.values()
    )


async def test_a_round_ends_however_slow_a_source_is(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rounds, "LONGEST", 1.0)
    cluster = Slow(0.2)
    found = await looked_at(30, Readers(cluster=cluster), workloads(5))  # type: ignore[arg-type]
    counts = Counter(verdict for verdict, _ in found.values())
    assert counts[GOOD] and counts[COULD_NOT_LOOK]
    assert any("too slow" in text for _, text in found.values())


async def test_reads_of_a_source_are_bounded():
    class Azure(World):
        now, most = 0, 0

        async def zone_links(self, zone_id: str) -> tuple[ZoneLink, ...]:
            self.now += 1
            self.most = max(self.most, self.now)
            await asyncio.sleep(0.005)
            self.now -= 1
            return await super().zone_links(zone_id)

    snapshot, world, _ = world_of(10)
    counted = Azure()
    vars(counted).update(vars(world))
    await look_at_all(GUIDE, snapshot, GUIDE.steps, Readers(azure=counted))
    assert 1 < counted.most <= AT_ONCE["azure"]


def test_no_more_is_asked_at_once_than_the_children_take():
    assert AT_ONCE["azure"] <= azure_adapter.AT_ONCE


# ---------------------------------------------------------------- while it goes on


async def test_every_finding_is_told_as_it_comes_and_returned_in_order():
    told: list[tuple[int, int]] = []
    found = await looked_at(
        5,
        Readers(cluster=Slow(0.001)),  # type: ignore[arg-type]
        workloads(5),
        each=lambda looked: told.append((looked.done, looked.total)),
    )
    assert told == [(number, 5) for number in range(1, 6)]
    assert [items for _, items in found] == [f"dpe/dpe-00{number}" for number in range(5)]


async def test_the_loop_has_its_turn_between_two_looks():
    """A key that is pressed while a round begins is answered after one look's work, not after all of it."""
    turns, most = 0, 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    seen: list[int] = []

    async def looks(view: View, readers: Readers) -> Finding:
        seen.append(turns)
        return Finding(GOOD, "")

    counting = asyncio.create_task(count())
    await looked_at(50, Readers(), Check("c", "C", "", looks))
    counting.cancel()
    most = max(Counter(seen).values())
    assert most <= 2


async def test_a_check_by_itself_needs_no_round():
    snapshot, _, readers = world_of(1)
    view = View(GUIDE, snapshot, GUIDE.steps[1], ("subscription/main",))
    found = await run_check(view.step.checks[0], view, readers, lambda _: None)
    assert found.verdict == GOOD
