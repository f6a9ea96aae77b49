"""Lists to pick from: what is in them, how they fill, what is asked for them, and what happens when nothing may be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from types import MappingProxyType, SimpleNamespace

import pytest

from state.events import Data, FieldSet
from state.problem import Problem
from tests.setups import SUBNET, SUBSCRIPTION
from tests.wizard.engine import DNS, ENDPOINT, GUIDE, items, snapshot_of, view_of
from tests.wizard.engine import SUBSCRIPTION as REGISTER
from tests.wizard.listed_world import FORBIDDEN, SIGNED_OUT, VNET, ListedWorld, network, subscription_id
from wizard import listing
from wizard.azure import ResourceGroup, Subnet, Subscription
from wizard.drafting import Drafted, drafted
from wizard.guide import Field, ItemStep
from wizard.listing import COMPLETE, COULD_NOT_LOOK, LOOKING, Known, Lists, offers_of
from wizard.offers import MOST, Offer, offer_of, together
from wizard.ports import Readers
from wizard.view import View

ITEMS = items("subscription/main", "endpoint/pe-weu", "dpe/dpe-01", links=[("dpe/dpe-01", "endpoint/pe-weu")])
PLACES = {"subscription_id": REGISTER, "cluster_vnet": DNS}
FIELDS = GUIDE.fields()
NONE: Mapping[str, str] = MappingProxyType({})


def view(key: str, values: Mapping[str, str] = NONE) -> View:
    """The place of a field, with these values."""
    owners = {"subscription_id": "subscription/main"}
    told: list[Data] = [
        FieldSet(item=owners.get(one, "endpoint/pe-weu"), field=one, value=values[one]) for one in values
    ]
    place: ItemStep = PLACES.get(key, ENDPOINT)
    return view_of(snapshot_of(*ITEMS, *told), place)


class Site:
    """Lists over a world, and how often they told of something new."""

    def __init__(self, world: ListedWorld | None) -> None:
        self.world = world or ListedWorld()
        self.lists = Lists(lambda: Readers(azure=world), self._unknown)
        self.lists.on_change = self._changed
        self.changes = 0
        self.seen: list[int] = []
        self.errors: list[Exception] = []
        self._woken = asyncio.Event()

    def _changed(self) -> None:
        self.changes += 1
        self._woken.set()

    def _unknown(self, error: Exception) -> Problem:
        self.errors.append(error)
        return Problem("internal", "The program met something it does not know.")

    async def read(self, key: str, values: Mapping[str, str] = NONE, *, again: bool = False) -> Known:
        """Reads a list to its end."""
        self.lists.ask(view(key, values), FIELDS[key], again=again)
        await self.until(lambda: self.known(key, values).state != LOOKING)
        return self.known(key, values)

    def known(self, key: str, values: Mapping[str, str] = NONE) -> Known:
        found = self.lists.of(view(key, values), FIELDS[key])
        assert found is not None
        return found

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                self._woken.clear()
                await self._woken.wait()


@asynccontextmanager
async def site(world: ListedWorld | None) -> AsyncIterator[Site]:
    here = Site(world)
    try:
        yield here
    finally:
        await here.lists.forget()
        assert not here.errors


async def turns(condition: Callable[[], object]) -> None:
    """Lets what is under way go on until it holds."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


def names(known: Known) -> list[str]:
    return [row.listed.name for row in known.rows]


OWN = {"subscription_id": SUBSCRIPTION}


# ---------------------------------------------------------------- what is in them


async def test_subscriptions_with_name_state_and_tenant_the_usable_ones_first():
    world = ListedWorld()
    world.subscriptions_ = [
        Subscription(subscription_id(1), "Archive", "Disabled", "t-1"),
        Subscription(subscription_id(2), "zeta", "Enabled", "t-1"),
        Subscription(subscription_id(3), "Beta", "Enabled", "t-2"),
    ]
    async with site(world) as here:
        found = await here.read("subscription_id")
        assert names(found) == ["Beta", "zeta", "Archive"]
        assert found.rows[0].listed.columns == (subscription_id(3), "Enabled", "t-2")
        assert [bool(row.listed.note) for row in found.rows] == [False, False, True]
        assert "Disabled" in found.rows[2].listed.note
        assert (found.who, found.state, found.counted) == ("ada@example.com", COMPLETE, "3 subscriptions")


async def test_groups_are_those_of_the_items_subscription():
    world = ListedWorld()
    world.groups = [ResourceGroup("x", name, "westeurope") for name in ("rg-b", "RG-a")]
    async with site(world) as here:
        found = await here.read("resource_group", OWN)
        assert [(row.listed.value, row.listed.columns) for row in found.rows] == [
            ("RG-a", ("westeurope",)), ("rg-b", ("westeurope",)),
        ]  # fmt: skip
        assert world.asked["resource_groups " + SUBSCRIPTION] == 1
        unknown = await here.read("resource_group")
        assert unknown.state == COULD_NOT_LOOK
        assert "Subscription ID is not known yet" in unknown.why


@pytest.mark.parametrize(
    ("change", "note"),
    [
        ({}, ""),
        ({"endpoint_policies": "Enabled"}, "network policies are Enabled"),
        ({"endpoint_policies": "NetworkSecurityGroupEnabled"}, "NetworkSecurityGroupEnabled"),
        ({"free": 0}, "no free address"),
        ({"free": None}, ""),
    ],
)
async def test_a_subnet_says_what_speaks_against_it(change: dict[str, object], note: str):
    world = ListedWorld()
    (usual,) = network("vnet-weu").subnets
    world.networks_of[SUBSCRIPTION] = (network("vnet-weu", subnets=(replace(usual, **change),)),)  # type: ignore[arg-type]
    async with site(world) as here:
        (row,) = (await here.read("subnet", OWN | {"vnet": VNET})).rows
        assert row.listed.value == SUBNET
        free = change.get("free", 200)
        assert row.listed.columns[:3] == ("10.20.1.0/24", "" if free is None else str(free), "vnet-weu")
        assert note in row.listed.note
        assert bool(note) is bool(row.listed.note)


async def test_a_vnet_tells_its_addresses_and_its_own_dns_servers():
    world = ListedWorld()
    more = (Subnet("a", "a", ("10.1.0.0/24",), 3), Subnet("b", "b", ("10.2.0.0/24",), 4), Subnet("c", "c"))
    world.networks_of[SUBSCRIPTION] = (
        network("v-1", subnets=more, prefixes=("10.1.0.0/16", "10.2.0.0/16")),
        network("v-2", dns_servers=("10.9.0.4",)),
        network("v-3", subnets=()),
    )
    async with site(world) as here:
        first, second, third = (row.listed for row in (await here.read("vnet", OWN)).rows)
        assert first.columns == ("10.1.0.0/16 +1", "7", "westeurope", "rg-net", "")
        assert first.note == ""
        assert "10.9.0.4" in second.note and "168.63.129.16" in second.note
        assert "no subnet" in third.note


async def test_subnets_are_those_of_the_chosen_vnet_alone_else_of_all():
    world = ListedWorld()
    world.networks_of[SUBSCRIPTION] = (network("vnet-neu"), network("vnet-weu"))
    async with site(world) as here:
        assert [row.listed.value for row in (await here.read("subnet", OWN | {"vnet": VNET})).rows] == [SUBNET]
        assert len((await here.read("subnet", OWN)).rows) == 2
        gone = await here.read("subnet", OWN | {"vnet": VNET.replace("vnet-weu", "vnet-x")})
        assert gone.state == COULD_NOT_LOOK
        assert "no VNet vnet-x" in gone.why


async def test_a_vnet_is_found_where_its_subscription_may_not_be_listed():
    world = ListedWorld()
    other = world.other(1, "vnet-far")
    far = network("vnet-far", other)
    real = world.networks_of[other]
    async with site(world) as here:
        world.fails["networks"] = [FORBIDDEN]
        (row,) = (await here.read("subnet", OWN | {"vnet": far.id})).rows
        assert row.listed.value == far.subnets[0].id
        assert real == (far,)
        assert world.asked["network " + far.id] == 1


# ---------------------------------------------------------------- how they fill, and what is asked


async def test_vnets_of_the_own_subscription_come_first_and_others_as_they_answer():
    world = ListedWorld()
    one, two = world.other(1, "vnet-one"), world.other(2, "vnet-two")
    listed, first, second = world.hold("subscriptions"), world.hold(f"networks {one}"), world.hold(f"networks {two}")
    async with site(world) as here:
        here.lists.ask(view("vnet", OWN), FIELDS["vnet"])
        await here.until(lambda: names(here.known("vnet", OWN)) == ["vnet-weu"])
        assert here.known("vnet", OWN).state == LOOKING
        listed.set()
        second.set()
        await here.until(lambda: names(here.known("vnet", OWN)) == ["vnet-weu", "vnet-two"])
        first.set()
        await here.until(lambda: here.known("vnet", OWN).state == COMPLETE)
        found = here.known("vnet", OWN)
        assert names(found) == ["vnet-weu", "vnet-two", "vnet-one"]
        assert [row.listed.columns[4] for row in found.rows] == ["", "Other 2", "Other 1"]
        assert found.ts
        assert found.remarks == ()


async def test_nothing_is_asked_twice():
    world = ListedWorld()
    world.other(1, "vnet-one")
    async with site(world) as here:
        wanted = [("vnet", OWN), ("cluster_vnet", OWN), ("subnet", OWN | {"vnet": VNET}), ("subnet", OWN)]
        for key, values in wanted:
            here.lists.ask(view(key, values), FIELDS[key])
        for key, values in (*wanted, *wanted, ("subscription_id", {})):
            assert (await here.read(key, values)).state == COMPLETE
        assert set(world.asked.values()) == {1}, world.asked
        assert set(world.asked) == {
            "identity", "subscriptions", f"networks {SUBSCRIPTION}", f"networks {subscription_id(1)}",
        }  # fmt: skip


async def test_what_is_old_or_asked_for_again_is_read_again(monkeypatch: pytest.MonkeyPatch):
    at = [1000.0]
    monkeypatch.setattr("wizard.listing.time", SimpleNamespace(monotonic=lambda: at[0]))
    world = ListedWorld()
    async with site(world) as here:
        await here.read("vnet", OWN)
        at[0] += listing.FRESH - 1
        await here.read("vnet", OWN)
        assert world.asked[f"networks {SUBSCRIPTION}"] == 1
        at[0] += 2
        await here.read("vnet", OWN)
        assert world.asked[f"networks {SUBSCRIPTION}"] == 2
        at[0] += 1
        world.networks_of[SUBSCRIPTION] = (network("vnet-new"),)
        held = world.hold("networks")
        here.lists.ask(view("vnet", OWN), FIELDS["vnet"], again=True)
        await turns(lambda: world.asked[f"networks {SUBSCRIPTION}"] == 3)
        assert names(here.known("vnet", OWN)) == ["vnet-weu"], "what was known is still there to pick from"
        held.set()
        assert names(await here.read("vnet", OWN)) == ["vnet-new"]


async def test_many_subscriptions_are_looked_through_a_few_at_a_time_and_not_without_end():
    world = ListedWorld()
    for number in range(1, 31):
        world.other(number, f"vnet-{number:02}", state="Disabled" if number < 6 else "Enabled")
    async with site(world) as here:
        found = await here.read("vnet", OWN)
        assert len(found.rows) == 21
        assert "vnet-01" not in names(found), "those that take no changes come last"
        assert found.remarks == ("10 more subscriptions not looked through: type an ID of there",)
        assert world.most <= listing.AT_ONCE
        assert sum(world.asked.values()) == 1 + 1 + 21, world.asked


# ---------------------------------------------------------------- when it may not be


async def test_a_subscription_that_may_not_be_read_is_left_out_and_said():
    world = ListedWorld()
    world.other(1, "vnet-one")
    world.other(2, refused=True)
    async with site(world) as here:
        found = await here.read("vnet", OWN)
        assert (found.state, names(found)) == (COMPLETE, ["vnet-weu", "vnet-one"])
        assert found.remarks == ("1 subscription may not be read",)


async def test_the_own_subscription_refused_leaves_the_others():
    world = ListedWorld()
    world.networks_of[SUBSCRIPTION] = FORBIDDEN
    world.other(1, "vnet-one")
    async with site(world) as here:
        assert names(await here.read("vnet", OWN)) == ["vnet-one"]
        world.networks_of[subscription_id(1)] = FORBIDDEN
        refused = await here.read("vnet", OWN, again=True)
        assert refused.state == COULD_NOT_LOOK
        assert refused.why == "Your account lacks the right to read it. Typing works all the same."


async def test_without_a_sign_in_nothing_else_is_tried():
    world = ListedWorld()
    world.fails["identity"] = [SIGNED_OUT]
    async with site(world) as here:
        found = await here.read("vnet", OWN)
        assert found.why == "Nobody is signed in to Azure. Typing works all the same."
        assert world.asked == {"identity": 1}
        assert (await here.read("vnet", OWN)).state == COULD_NOT_LOOK
        assert world.asked == {"identity": 1}, "not at every focus"
        assert (await here.read("vnet", OWN, again=True)).state == COMPLETE


async def test_an_account_without_a_name_lists_all_the_same():
    world = ListedWorld()
    world.fails["identity"] = [Problem("azure-identity-unknown", "The sign-in does not tell.")]
    async with site(world) as here:
        found = await here.read("vnet", OWN)
        assert (found.state, found.who, len(found.rows)) == (COMPLETE, "", 1)


async def test_what_was_found_before_it_failed_stays():
    world = ListedWorld()
    world.other(1, "vnet-one")
    world.fails["subscriptions"] = [Problem("azure-throttled", "Azure asks for a pause.")]
    async with site(world) as here:
        found = await here.read("vnet", OWN)
        assert (found.state, names(found)) == (COMPLETE, ["vnet-weu"])
        assert "Azure asks for a pause." in found.remarks[0]
        broken = Problem("azure-timeout", "The look at Azure took over 90 seconds.")
        world.networks_of[subscription_id(1)] = broken
        later = await here.read("vnet", OWN, again=True)
        assert (later.state, names(later)) == (COULD_NOT_LOOK, ["vnet-weu"])
        assert later.problem == broken


async def test_no_azure_at_all():
    async with site(None) as here:
        for key in ("subscription_id", "vnet"):
            assert (await here.read(key)).why == "Azure can't be used here. Typing works all the same."


async def test_what_nobody_foresaw_ends_the_list_and_nothing_else():
    world = ListedWorld()
    here = Site(world)
    world.networks_of = None  # type: ignore[assignment]
    found = await here.read("vnet", OWN)
    assert found.state == COULD_NOT_LOOK
    assert [type(one) for one in here.errors] == [AttributeError]
    await here.lists.forget()


async def test_closing_stops_every_read():
    world = ListedWorld()
    world.hold("networks")
    here = Site(world)
    here.lists.ask(view("vnet", OWN), FIELDS["vnet"])
    await turns(lambda: world.under_way)
    await here.lists.forget()
    assert world.under_way == 0
    assert here.lists.of(view("vnet", OWN), FIELDS["vnet"]) is None


# ---------------------------------------------------------------- as offers


async def offered(world: ListedWorld, key: str, text: str, values: Mapping[str, str] = NONE) -> Drafted:
    async with site(world) as here:
        known = await here.read(key, values)
        seen = view(key, values)
        owner = "subscription/main" if key == "subscription_id" else "endpoint/pe-weu"
        listed = offers_of(known, seen, FIELDS[key], owner, text)
        return drafted(seen, FIELDS[key], owner, text, together((), listed))


async def test_a_value_is_completed_and_a_name_finds_its_value():
    world = ListedWorld()
    world.networks_of[SUBSCRIPTION] = (network("hub-weu"), network("vnet-weu", dns_servers=("10.1.1.1",)))
    begun = await offered(world, "vnet", VNET[:-4], OWN)
    assert (begun.completion, begun.completion_source) == ("-weu", "Azure")
    assert begun.listed is not None and begun.listed.value == VNET
    named = await offered(world, "vnet", "VNET-w", OWN)
    assert (named.state, named.message) == ("not complete", "found by its name: vnet-weu")
    assert named.listed is not None and named.listed.value == VNET
    inside = await offered(world, "vnet", "weu", OWN)
    assert inside.listed is not None and inside.listed.name == "hub-weu", "nothing speaks against it"
    nothing = await offered(world, "vnet", "dmz", OWN)
    assert (nothing.state, nothing.listed) == ("wrong", None)
    empty = await offered(world, "vnet", "", OWN)
    assert [one.name for one in empty.offers] == ["hub-weu", "vnet-weu"]


async def test_a_subscription_is_found_by_its_name_which_is_told():
    found = await offered(ListedWorld(), "subscription_id", "dat")
    assert found.listed is not None
    assert (found.listed.value, found.listed.source) == (SUBSCRIPTION, "Azure, Data")


async def test_the_subscription_of_another_item_is_not_offered():
    taken = FieldSet(item="subscription/main", field="subscription_id", value=SUBSCRIPTION)
    seen = view_of(snapshot_of(*ITEMS, *items("subscription/second"), taken), REGISTER)
    world = ListedWorld()
    free = world.other(1)
    async with site(world) as here:
        known = await here.read("subscription_id")
        found = offers_of(known, seen, FIELDS["subscription_id"], "subscription/second", "")
        assert [one.value for one in found] == [free]


async def test_a_group_that_is_whole_is_right_though_a_longer_one_is_offered():
    world = ListedWorld()
    world.groups = [ResourceGroup("x", name, "westeurope") for name in ("rg", "rg-net")]
    found = await offered(world, "resource_group", "RG", OWN)
    assert (found.state, found.completion) == ("ok", "-net")


@pytest.mark.parametrize("hostile", ["[/nope]", "a\x1b]0;x\x07b", "rg\u202etxt", "x" * 500, "", "a b\nc"])
async def test_what_no_field_takes_is_not_offered(hostile: str):
    world = ListedWorld()
    world.groups = [ResourceGroup("x", hostile, hostile), ResourceGroup("y", "rg-good", "westeurope")]
    found = await offered(world, "resource_group", "", OWN)
    assert [one.value for one in found.offers] == ["rg-good"]


async def test_a_thousand_rows_are_searched_and_only_a_few_judged(monkeypatch: pytest.MonkeyPatch):
    world = ListedWorld()
    world.networks_of[SUBSCRIPTION] = tuple(network(f"vnet-{number:04}") for number in range(1000))
    judged: list[str] = []

    def judge(seen: View, field: Field, value: str, source: str) -> Offer | None:
        judged.append(value)
        return offer_of(seen, field, value, source)

    monkeypatch.setattr("wizard.listing.offer_of", judge)
    async with site(world) as here:
        known = await here.read("vnet", OWN)
        seen = view("vnet", OWN)
        for text in ("", "v", "vnet-0", "vnet-05", "weu"):
            judged.clear()
            offers_of(known, seen, FIELDS["vnet"], "endpoint/pe-weu", text)
            assert len(judged) <= MOST, text
        assert len(known.having("vnet-05")) == 100
        assert [row.listed.name for row in known.having("0512 RG-NET")] == ["vnet-0512"]
