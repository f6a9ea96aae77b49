"""Picking what Azure knows: in the field while one types, and in the picker, while Azure still answers."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.content import Content

from screens import list_picker
from screens.field import FieldRow
from screens.list_picker import Filter, PickListed
from screens.lists import MarkedList
from tests.screens.at_step import AtStep, at_step, nowhere
from tests.screens.harness import LARGE, SIZES, SMALL
from tests.setups import ALIAS, SUBNET, SUBSCRIPTION
from tests.wizard.engine import ENDPOINT
from tests.wizard.listed_world import FORBIDDEN, SIGNED_OUT, VNET, ListedWorld, network
from wizard.azure import ResourceGroup
from wizard.listing import Row
from wizard.open_setup import OpenSetup
from wizard.ports import Readers

# The whole app for every test: these run in `make test-slow` and CI.
pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere(tmp_path, monkeypatch)


def begun(setup: OpenSetup) -> None:
    """The items, the subscription and the alias; the rest is to be picked."""
    session = setup.session
    for kind, name in (("subscription", "main"), ("endpoint", "pe-weu")):
        session.add_item(kind, name)
    session.set_field("subscription/main", "subscription_id", SUBSCRIPTION)
    session.set_field("endpoint/pe-weu", "link_service", ALIAS)


class Picking(AtStep):
    """A step with fields that have lists."""

    world: ListedWorld

    @property
    def picker(self) -> PickListed:
        assert isinstance(self.app.screen, PickListed)
        return self.app.screen

    @property
    def rows(self) -> list[str]:
        return [" ".join(str(option.prompt).split()) for option in self.picker.query_one("#rows", MarkedList).options]

    @property
    def here(self) -> str:
        at = self.picker.query_one("#rows", MarkedList).highlighted
        return self.rows[at] if at is not None else ""

    async def picking(self, key: str) -> FieldRow:
        """Opens the picker of a field."""
        row = await self.at(key)
        await self.press("f3")
        await self.until(lambda: isinstance(self.app.screen, PickListed) and self.app.screen.is_mounted)
        return row

    async def lists(self, *names: str) -> None:
        """Until the rows begin with these names, in this order."""
        await self.until(lambda: [row.removeprefix("! ").split()[0] for row in self.rows] == list(names))

    async def says(self, text: str) -> None:
        await self.until(lambda: text in self.flat)

    def source(self, key: str) -> str:
        recorded = self.setup.session.snapshot.values["endpoint/pe-weu"][key].data
        return recorded.source


@asynccontextmanager
async def picking(
    tmp_path: Path, world: ListedWorld | None, *, size: tuple[int, int] = LARGE
) -> AsyncIterator[Picking]:
    async with at_step(tmp_path, ENDPOINT, begun, readers=Readers(azure=world), size=size) as at:
        here = Picking(at.app, at.pilot, at.setup)
        here.world = world or ListedWorld()
        yield here


# ---------------------------------------------------------------- in the field


async def test_the_list_is_read_when_one_comes_and_offers_what_is_there(tmp_path: Path):
    world = ListedWorld()
    async with picking(tmp_path, world) as at:
        assert "networks" not in str(world.asked), "nothing is read that nobody came for"
        row = await at.at("vnet")
        await at.says("Azure: /…8d2f41c7…/rg-net/…/vnet-weu")
        await at.says("f3 lists 1 VNet")
        await at.press("right")
        await at.until(lambda: at.value("endpoint/pe-weu", "vnet") == VNET)
        assert at.source("vnet") == "azure"
        await at.until(lambda: "from Azure" in str(row.built()[0]))
        await at.press("backspace")
        assert "from Azure" not in str(row.built()[0]), "typing replaces it"


@pytest.mark.parametrize("size", SIZES)
async def test_rows_that_come_late_are_offered_while_one_types(tmp_path: Path, size: tuple[int, int]):
    world = ListedWorld()
    held = world.hold("networks")
    async with picking(tmp_path, world, size=size) as at:
        row = await at.at("vnet")
        await at.type("vnet-w")
        assert row.state == "wrong"
        assert "asking Azure" in at.flat
        held.set()
        await at.says("found by its name: vnet-weu")
        assert row.state == "not complete"
        assert row.input.value == "vnet-w", "what is typed is left alone"
        await at.press("right")
        await at.until(lambda: at.value("endpoint/pe-weu", "vnet") == VNET)
        assert at.source("vnet") == "azure"
        assert row.input.value == VNET


async def test_what_is_typed_in_full_is_typed(tmp_path: Path):
    world = ListedWorld()
    async with picking(tmp_path, world) as at:
        await at.at("resource_group")
        await at.says("f3 lists 1 resource group")
        await at.type("rg-net")
        await at.says("right arrow adds it (Azure)")
        await at.type("-data")
        await at.press("enter")
        await at.until(lambda: at.value("endpoint/pe-weu", "resource_group") == "rg-net-data")
        assert at.source("resource_group") == "typed"


async def test_a_list_waits_for_the_value_that_it_needs_and_then_comes_by_itself(tmp_path: Path):
    world = ListedWorld()
    async with picking(tmp_path, world) as at:
        at.setup.session.set_field("subscription/main", "subscription_id", "")
        await at.at("resource_group")
        await at.says("Subscription ID is not known yet. Typing works all the same.")
        at.setup.session.set_field("subscription/main", "subscription_id", SUBSCRIPTION)
        await at.says("f3 lists 1 resource group")


async def test_a_picked_group_survives_leaving_the_field_at_once(tmp_path: Path):
    """The key behind the taking key may be faster than the saving."""
    world = ListedWorld()
    async with picking(tmp_path, world) as at:
        await at.at("resource_group")
        await at.says("f3 lists 1 resource group")
        await at.pilot.press("right", "ctrl+n")
        await at.until(lambda: at.value("endpoint/pe-weu", "resource_group") == "rg-net-data")
        assert at.source("resource_group") == "azure"


@pytest.mark.parametrize("size", SIZES)
async def test_without_a_list_one_types(tmp_path: Path, size: tuple[int, int]):
    world = ListedWorld()
    world.fails["identity"] = [SIGNED_OUT] * 9
    async with picking(tmp_path, world, size=size) as at:
        await at.at("subnet")
        await at.says("Nobody is signed in to Azure. Typing works all the same.")
        await at.says("[ Sign in ]")
        await at.paste(SUBNET)
        await at.press("enter")
        await at.until(lambda: at.value("endpoint/pe-weu", "subnet") == SUBNET)
        assert at.source("subnet") == "typed"


# ---------------------------------------------------------------- the picker


@pytest.mark.parametrize("size", SIZES)
async def test_rows_come_into_the_open_picker_and_enter_takes_one(tmp_path: Path, size: tuple[int, int]):
    world = ListedWorld()
    one, two = world.other(1, "vnet-one"), world.other(2, "vnet-two")
    first, second = world.hold(f"networks {one}"), world.hold(f"networks {two}")
    async with picking(tmp_path, world, size=size) as at:
        await at.picking("vnet")
        await at.lists("vnet-weu")
        await at.says("asking Azure as ada@example.com")
        second.set()
        await at.lists("vnet-weu", "vnet-two")
        await at.press("down")
        assert at.here.startswith("vnet-two")
        first.set()
        await at.lists("vnet-weu", "vnet-two", "vnet-one")
        assert at.here.startswith("vnet-two"), "the row one is on stays that"
        assert re.search(r"3 VNets, read \d\d:\d\d:\d\d as ada@example.com", at.flat)
        await at.press("enter")
        await at.alone()
        wanted = network("vnet-two", two).id
        await at.until(lambda: at.value("endpoint/pe-weu", "vnet") == wanted)
        assert at.source("vnet") == "azure"


async def test_it_narrows_by_every_word_in_name_group_or_id(tmp_path: Path):
    world = ListedWorld()
    world.networks_of[SUBSCRIPTION] = (
        network("hub", group="rg-hub"),
        network("spoke-a", group="rg-data"),
        network("spoke-b", group="rg-other"),
    )
    async with picking(tmp_path, world) as at:
        row = await at.picking("vnet")
        await at.lists("hub", "spoke-a", "spoke-b")
        await at.type("SPOKE data")
        await at.lists("spoke-a")
        assert "1 of 3 VNets has “SPOKE data”" in at.flat
        await at.press("down")
        await at.type("x")
        assert isinstance(at.app.focused, Filter), "typing in the list goes on with the filter"
        await at.lists()
        assert "enter puts it into the field as it is" in at.flat
        await at.press("enter")
        await at.alone()
        await at.until(lambda: row.input.value == "SPOKE datax")
        assert at.value("endpoint/pe-weu", "vnet") is None


async def test_escape_leaves_everything_as_it_was(tmp_path: Path):
    async with picking(tmp_path, ListedWorld()) as at:
        await at.at("vnet")
        await at.type("/sub")
        await at.press("f3")
        await at.sheet()
        await at.lists("vnet-weu")
        await at.press("escape")
        await at.alone()
        assert at.row("vnet").input.value == "/sub"
        assert at.row("vnet").input.has_focus


async def test_opened_twice_it_asks_once_and_again_only_when_told(tmp_path: Path):
    world = ListedWorld()
    async with picking(tmp_path, world) as at:
        for _ in range(2):
            await at.picking("vnet")
            await at.lists("vnet-weu")
            await at.press("escape")
            await at.alone()
        assert set(world.asked.values()) == {1}
        await at.picking("vnet")
        world.networks_of[SUBSCRIPTION] = (network("vnet-new"), network("vnet-weu"))
        await at.press("ctrl+r")
        await at.lists("vnet-new", "vnet-weu")
        assert at.here.startswith("vnet-weu")
        assert world.asked[f"networks {SUBSCRIPTION}"] == 2


@pytest.mark.parametrize("size", SIZES)
async def test_refused_it_says_why_and_what_to_do(tmp_path: Path, size: tuple[int, int]):
    world = ListedWorld()
    world.networks_of[SUBSCRIPTION] = FORBIDDEN
    async with picking(tmp_path, world, size=size) as at:
        row = await at.picking("vnet")
        await at.says("Your account lacks the right to read it.")
        assert "Ask the owner of the subscription." in at.flat
        assert "Typing works all the same: esc goes back to the field." in at.flat
        await at.press("escape")
        await at.alone()
        await at.paste(VNET)
        await at.press("enter")
        await at.until(lambda: at.value("endpoint/pe-weu", "vnet") == VNET)
        assert row.state == "ok"


async def test_no_azure_at_all(tmp_path: Path):
    async with picking(tmp_path, None) as at:
        await at.picking("resource_group")
        await at.says("Azure can't be used here.")
        await at.type("rg-own")
        await at.press("enter")
        await at.alone()
        await at.press("enter")
        await at.until(lambda: at.value("endpoint/pe-weu", "resource_group") == "rg-own")


async def test_it_says_what_speaks_against_a_row(tmp_path: Path):
    world = ListedWorld()
    world.networks_of[SUBSCRIPTION] = (network("vnet-weu", dns_servers=("10.9.0.4",)),)
    async with picking(tmp_path, world, size=SMALL) as at:
        await at.picking("vnet")
        await at.says("its own DNS servers (10.9.0.4) must forward to 168.63.129.16")
        assert at.here.startswith("! vnet-weu 10.20.0.0/16 200 westeurope"), at.rows


HOSTILE = ("[/nope]", "[@click=app.quit]go[/]", "\x1b]0;taken\x07x", "\u202etxt.exe", "\x1b[2J", "ba\x00d", "字" * 60)


async def test_hostile_names_are_drawn_as_text_and_can_not_be_taken(tmp_path: Path):
    world = ListedWorld()
    world.groups = [ResourceGroup("x", name, name) for name in HOSTILE] + [ResourceGroup("y", "zz-good", "westeurope")]
    world.me = type(world.me)(world.me.tenant_id, world.me.object_id, "\x1b[31mada[/nope]\u202e")
    async with picking(tmp_path, world, size=SMALL) as at:
        row = await at.picking("resource_group")
        await at.until(lambda: len(at.rows) == len(world.groups))
        assert not set(at.text) & {"\x1b", "\x07", "\x00", "\u202e"}
        assert "[/nope]" in at.text
        assert "as ada[/nope]" in at.flat
        for number in range(len(world.groups)):
            at.picker.query_one("#rows", MarkedList).highlighted = number
            await at.quiet()
        chooser = at.picker.query_one("#rows", MarkedList)
        chooser.highlighted = next(number for number, text in enumerate(at.rows) if "txt.exe" in text)
        await at.press("enter")
        await at.says("It could not be told from another one")
        await at.press("escape")
        await at.alone()
        assert at.value("endpoint/pe-weu", "resource_group") is None
        assert row.input.value == ""


async def test_a_thousand_rows_are_not_drawn_at_every_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    world = ListedWorld()
    world.networks_of[SUBSCRIPTION] = tuple(network(f"vnet-{number:04}") for number in range(1000))
    drawn: list[str] = []
    real = list_picker._line

    def draw(row: Row, columns: list[int], width: int) -> Content:
        drawn.append(row.name)
        return real(row, columns, width)

    monkeypatch.setattr("screens.list_picker._line", draw)
    async with picking(tmp_path, world) as at:
        await at.picking("vnet")
        await at.says("900 more are not shown")
        for key, most in (("v", 0), ("n", 0), ("e", 0), ("t", 0), ("-", 0), ("0", 0), ("5", 100), ("1", 10), ("2", 1)):
            drawn.clear()
            await at.type(key)
            assert len(drawn) <= most, key
        await at.lists("vnet-0512")
