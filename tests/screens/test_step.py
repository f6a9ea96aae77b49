"""The step screen: confirming, gates, handing off, items, a failed save, every size, and whatever is typed."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Button, Input, OptionList

from screens.chrome import Choices
from screens.dialogs import Note
from screens.field import FieldRow
from screens.page import Sheet
from screens.step import StepPage
from state.events import BAD, Found
from tests.screens.at_step import (
    CONNECTIVITY,
    REDEPLOY,
    Prepare,
    at_step,
    attested,
    done_before_seven,
    filled,
    nowhere,
)
from tests.screens.harness import out_of_view
from tests.setups import SUBSCRIPTION
from tests.wizard.azure_world import World
from tests.wizard.engine import DNS, ENDPOINT, MARK, RESOURCE_ID, TOKEN, UPDATE, Cluster, Helm, release
from tests.wizard.engine import SUBSCRIPTION as REGISTER
from wizard.azure import AzureIdentity
from wizard.guide import ItemStep
from wizard.open_setup import OpenSetup
from wizard.ports import Readers, Writers

# The whole app for every test: these run in `make test-slow` and CI.
pytestmark = pytest.mark.slow

SIZES = ((80, 24), (120, 24), (100, 40), (120, 40))
PLACES = (CONNECTIVITY, REGISTER, ENDPOINT, RESOURCE_ID, DNS, REDEPLOY, UPDATE, MARK)
SECOND = "11111111-2222-4333-8444-555555555555"


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere(tmp_path, monkeypatch)


def empty(setup: OpenSetup) -> None:
    """Nothing at all."""


def finished(setup: OpenSetup) -> None:
    """Every step confirmed, or looked at and good."""
    done_before_seven(setup)
    session = setup.session
    view = session.view(UPDATE)
    for check in view.step.checks:
        fingerprint = view.fingerprint_of(check)
        session.record(
            Found(
                step="update-dpe",
                items=UPDATE.items,
                check=check.id,
                verdict="good",
                text=f"{check.id} is good",
                fingerprint=fingerprint,
            )
        )
    session.waive_proof(MARK, "told by phone")
    session.attest(MARK)


# ---------------------------------------------------------------- confirming


async def test_what_is_confirmed_is_what_is_shown(tmp_path: Path):
    async with at_step(tmp_path, CONNECTIVITY, filled) as at:
        words = "In the portal, Azure PrivateLink is chosen for the environment production."
        assert f"“{words}”" in at.flat
        await at.button("confirm")
        await at.until(lambda: at.journalled("attested"))
        (event,) = at.journalled("attested")
        data: Any = event.data
        assert data.text == words
        await at.until(lambda: "confirmed by" in at.flat)
        assert "attested" in at.text
        assert "1 of 8" in at.text


async def test_what_was_typed_just_before_is_in_the_words(tmp_path: Path):
    """Tab and Enter come faster than a drawing."""
    async with at_step(tmp_path, CONNECTIVITY, filled) as at:
        await at.at("environment_name")
        await at.type("-two")
        await at.pilot.press("tab", "enter")
        await at.until(lambda: at.journalled("attested"))
        data: Any = at.journalled("attested")[-1].data
        assert "production-two." in data.text


async def test_a_wrong_draft_stands_in_the_way(tmp_path: Path):
    async with at_step(tmp_path, REGISTER, attested("connectivity")) as at:
        await at.at("subscription_id")
        await at.type("zz")
        await at.button("confirm")
        assert [event.data.step for event in at.journalled("attested")] == ["connectivity"]  # type: ignore[attr-defined]
        assert at.row("subscription_id").input.has_focus


async def test_a_choice_that_needs_fields_moves_to_the_first(tmp_path: Path):
    def prepare(setup: OpenSetup) -> None:
        filled(setup)
        setup.session.set_field("endpoint/pe-weu", "subnet", "")

    async with at_step(tmp_path, ENDPOINT, prepare) as at:
        assert "needs Subnet first" in at.flat
        await at.button("confirm")
        assert at.row("subnet").input.has_focus
        assert not at.journalled("attested")


async def test_a_shut_gate_leads_to_what_is_awaited(tmp_path: Path):
    async with at_step(tmp_path, REGISTER, filled) as at:
        await at.button("confirm")
        await at.until(lambda: at.page.model.step.number == 1)
        assert not at.journalled("attested")
        assert "Connectivity settings" in at.flat


async def test_a_bad_look_is_shown_above_and_asks_before_it_is_overruled(tmp_path: Path):
    nasty = "\x1b[2J[bold]10.0.0.1[/nope] \u202eevil 漢字"

    def prepare(setup: OpenSetup) -> None:
        attested("resource-id")(setup)
        view = setup.session.view(DNS)
        fingerprint = view.fingerprint("resolver-here", view.step.checks[0].revision)
        setup.session.commit(
            Found(
                step="dns",
                items=DNS.items,
                check="resolver-here",
                verdict=BAD,
                text=nasty,
                fingerprint=fingerprint,
                todo="Ask [/x] DNS",
            )
        )

    async with at_step(tmp_path, DNS, prepare) as at:
        assert "[bold]10.0.0.1[/nope] evil 漢字" in at.flat
        assert "\x1b" not in at.text
        await at.button("confirm")
        await at.sheet()
        assert "A look says otherwise" in at.flat
        assert at.app.focused is not None
        assert at.app.focused.name == "back"
        await at.press("enter")
        await at.alone()
        assert "dns" not in [event.data.step for event in at.journalled("attested")]  # type: ignore[attr-defined]


async def test_handing_off_shows_the_message_and_makes_it_theirs(tmp_path: Path):
    async with at_step(tmp_path, ENDPOINT, attested("register")) as at:
        at.setup.hold_secret("dpe/dpe-01", "token", TOKEN)
        await at.button("hand-off")
        await at.sheet()
        assert "Hand off to the network team" in at.flat
        await at.button("hand")
        await at.until(lambda: at.setup.session.status().item_steps[ENDPOINT].status == "waiting for others")
        assert [event.data.route for event in at.journalled("route_chosen")] == ["hand off"]  # type: ignore[attr-defined]
        await at.until(lambda: at.app.clipboard)
        assert "rg-net-data" in at.app.clipboard
        assert "pe-weu" in at.app.clipboard
        assert TOKEN.reveal() not in at.app.clipboard
        while at.app.screen is not at.page:
            await at.press("escape")
        assert "network team" in at.text.split("\n")[1]
        assert at._button("hand-off") is not None
        assert "Message again" in at.flat


async def test_a_stale_step_says_so(tmp_path: Path):
    async with at_step(tmp_path, REGISTER, attested("redeploy")) as at:
        at.setup.guarded(at.setup.session.set_field, "subscription/main", "subscription_id", SECOND)
        await at.until(lambda: "for other values" in at.flat)
        assert "stale" in at.text


# ---------------------------------------------------------------- items


async def test_an_item_is_added_by_its_suggested_name(tmp_path: Path):
    async with at_step(tmp_path, REGISTER) as at:
        await at.button("add")
        await at.sheet()
        line = at.app.screen.query_one(Input)
        assert line.value == "subscription-01"
        await at.press("enter")
        await at.alone()
        await at.until(lambda: at.page.model.item_step == ItemStep("register", ("subscription/subscription-01",)))
        assert at.setup.session.snapshot.items["subscription"] == ("subscription-01",)
        await at.until(lambda: at.row("subscription_id").input.has_focus)
        assert "subscription-01" in at.flat


async def test_a_name_is_judged_and_a_taken_one_refused(tmp_path: Path):
    async with at_step(tmp_path, REGISTER, filled) as at:
        await at.press("ctrl+p")
        await at.press("escape")
        at.page.action_items("add")
        await at.sheet()
        line = at.app.screen.query_one(Input)
        for name in ("main", "Not A Name!", ""):
            line.value = name
            await at.press("enter")
            assert at.app.screen is not at.page
        line.value = "main"
        await at.quiet()
        assert "there is a Subscription of that name" in at.flat
        await at.press("escape")
        await at.alone()
        assert at.setup.session.snapshot.items["subscription"] == ("main",)


async def test_a_second_endpoint_asks_for_its_subscription(tmp_path: Path):
    def prepare(setup: OpenSetup) -> None:
        filled(setup)
        setup.session.add_item("subscription", "second")

    async with at_step(tmp_path, ENDPOINT, prepare) as at:
        at.page.action_items("add")
        await at.sheet()
        await at.press("enter")
        await at.until(lambda: at.app.screen.query(OptionList))
        assert "which subscription" in at.flat
        await at.press("down", "enter")
        # Two endpoints and one DPE: which belong together is asked, too, and may be left out.
        await at.until(lambda: at.app.screen is at.page or "Link" in at.flat)
        if at.app.screen is not at.page:
            await at.press("enter")
        await at.alone()
        assert at.value("endpoint/endpoint-01", "subscription") == "second"
        assert ("dpe/dpe-01", "endpoint/endpoint-01") in at.setup.session.snapshot.links
        await at.until(lambda: at.page.model.item_step == ItemStep("endpoint", ("endpoint/endpoint-01",)))


async def test_two_enters_on_add_ask_once(tmp_path: Path):
    async with at_step(tmp_path, REGISTER, filled) as at:
        from screens.tabs import ItemTabs

        tabs = at.page.query_one(ItemTabs)
        tabs.focus()
        await at.pilot.press("right", "enter")
        at.page.action_items("add")
        at.page.action_steps()
        await at.sheet()
        await at.quiet()
        assert len([one for one in at.app.screen_stack if isinstance(one, Sheet)]) == 1
        await at.press("escape")
        await at.alone()


async def test_more_than_four_items_are_picked_from_a_list(tmp_path: Path):
    def prepare(setup: OpenSetup) -> None:
        filled(setup)
        for number in range(2, 8):
            setup.session.add_item("subscription", f"sub-{number}")

    async with at_step(tmp_path, REGISTER, prepare, size=(80, 24)) as at:
        from screens.tabs import ItemTabs

        assert "1 of 7" in at.flat
        at.page.query_one(ItemTabs).focus()
        await at.press("enter")
        await at.sheet()
        await at.press("down", "down", "enter")
        await at.alone()
        await at.until(lambda: at.page.model.item_step == ItemStep("register", ("subscription/sub-3",)))
        assert "3 of 7" in at.flat


async def test_removing_asks_and_what_was_shown_is_gone(tmp_path: Path):
    def prepare(setup: OpenSetup) -> None:
        filled(setup)
        setup.session.add_item("subscription", "second")

    async with at_step(tmp_path, REGISTER, prepare) as at:
        await at.at("subscription_id")
        at.page.action_items("remove")
        await at.until(lambda: at.app.screen.query(OptionList))
        await at.press("enter")
        await at.until(lambda: at._button("remove"))
        assert "Remove subscription/main?" in at.flat
        await at.press("enter")
        await at.alone()
        assert at.setup.session.snapshot.items["subscription"] == ("main", "second"), "Back is first"
        at.page.action_items("remove")
        await at.until(lambda: at.app.screen.query(OptionList))
        await at.press("enter")
        await at.button("remove")
        await at.alone()
        await at.until(lambda: at.page.model.item_step == ItemStep("register", ("subscription/second",)))
        assert list(at.setup.session.snapshot.items["subscription"]) == ["second"]
        await at.until(lambda: at.row("subscription_id").model.item_step == at.page.model.item_step)
        assert at.row("subscription_id").input.value == ""
        at.setup.guarded(at.setup.session.remove_item, "subscription/second")
        await at.until(lambda: at.page.model.item_step is None)
        await at.quiet()
        assert not at.page.query(FieldRow)
        assert at._button("add") is not None


async def test_items_come_and_go_while_another_step_is_shown(tmp_path: Path):
    async with at_step(tmp_path, DNS, filled) as at:
        session = at.setup.session
        for number in range(6):
            at.setup.guarded(session.add_item, "endpoint", f"pe-{number}")
            at.setup.guarded(session.link, "dpe/dpe-01", f"endpoint/pe-{number}")
            await at.pilot.press("ctrl+n" if number % 2 else "escape")
        await at.step(DNS)
        for name in ("pe-weu", *(f"pe-{number}" for number in range(6))):
            at.setup.guarded(session.remove_item, f"endpoint/{name}")
            await at.quiet()
        await at.until(lambda: at.page.model.item_step is None)
        at.setup.guarded(session.remove_item, "dpe/dpe-01")
        for _ in range(8):
            await at.press("escape") if at.page.model.step.number > 1 else await at.press("tab")
        assert at.app.crash is None


# ---------------------------------------------------------------- a save that fails


async def test_a_failed_save_is_loud_and_opening_again_goes_on(tmp_path: Path):
    async with at_step(tmp_path, CONNECTIVITY, filled) as at:
        path = at.setup.writer.path
        kept = path.with_suffix(".kept")
        path.rename(kept)
        shutil.copy(kept, path)
        await at.at("environment_name")
        await at.type("-two")
        await at.press("enter")
        await at.until(lambda: isinstance(at.app.screen, Note))
        assert "replaced by another one" in at.flat
        assert "Open it again" in at.flat
        await at.button("close")
        await at.alone()
        assert "✗ not saved" in at.text.split("\n")[0]
        assert "saved 1" not in at.text.split("\n")[0].replace("not saved", "")

        await at.button("confirm")
        await at.until(lambda: isinstance(at.app.screen, Note))
        assert not at.journalled("attested")

        path.unlink()
        kept.rename(path)
        closed = at.setup
        await at.button("reopen")
        await at.until(lambda: at.app.setup is not None and at.app.setup is not closed)
        assert at.app.setup is not None
        at.setup = at.app.setup
        assert at.setup.not_saved is None
        assert at.setup.drafts == {(None, "environment_name"): "production-two"}
        assert at.setup.session.snapshot.value(None, "environment_name") == "production"
        at.setup.guarded(at.setup.session.set_field, None, "environment_name", "production-two")
        assert at.value(None, "environment_name") == "production-two"


async def test_opening_again_while_the_cause_is_there_leaves_a_screen_that_works(tmp_path: Path):
    async with at_step(tmp_path, CONNECTIVITY, filled) as at:
        path = at.setup.writer.path
        kept = path.with_suffix(".kept")
        path.rename(kept)
        await at.at("environment_name")
        await at.type("-two")
        await at.press("enter")
        await at.until(lambda: isinstance(at.app.screen, Note))
        await at.button("reopen")
        await at.until(lambda: at.app.setup is None and not any(isinstance(x, StepPage) for x in at.app.screen_stack))
        await at.pilot.resize_terminal(80, 24)
        await at.press("escape", "tab", "ctrl+n")
        assert at.app.crash is None
        assert at.app.is_running
        kept.rename(path)


# ---------------------------------------------------------------- every size


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("prepare", [empty, attested("register"), finished])
async def test_everything_can_be_reached_and_nothing_is_cut(tmp_path: Path, prepare: Prepare, size: tuple[int, int]):
    readers = Readers(helm=Helm(release(3)), cluster=Cluster())
    async with at_step(tmp_path, CONNECTIVITY, prepare, readers=readers, size=size) as at:
        for place in PLACES:
            step = at.setup.guide.step(place.step)
            assert step is not None
            at.page.go(place, step)
            await at.until(lambda: at.page.model.step is step and at._rebuilt())  # noqa: B023 - waited for at once
            assert await out_of_view(at.app, at.pilot) == [], step.title
            text = at.text
            for row in at.page.query(FieldRow):
                row.input.focus()
                await at.quiet()
                assert row.model.field.label[:18] in at.text
                lines = at.text.split("\n")
                drawn = lines[row.input.region.y]
                shown = [row.state, "from Azure", "suggested", "optional", "in memory"]
                assert any(one in drawn for one in shown), (step.title, drawn)
            for button in at.app.screen.query("Button"):
                assert str(button.render()).strip() in at.text, (step.title, button.name)
            assert at.page.query_one("#choices").region.bottom <= size[1]
            assert step.title in text or f"{step.number} {step.short or step.title}" in text


async def test_resizing_keeps_what_is_typed(tmp_path: Path):
    async with at_step(tmp_path, REGISTER, filled) as at:
        await at.at("subscription_id")
        await at.clear()
        await at.type("8d2f41c7")
        for width, height in ((80, 24), (120, 24), (100, 40), (40, 10), (120, 40)):
            await at.pilot.resize_terminal(width, height)
            await at.quiet()
            await at.type("-")
            assert at.row("subscription_id").input.has_focus
        assert at.row("subscription_id").input.value == "8d2f41c7-----"
        assert at.value("subscription/main", "subscription_id") == SUBSCRIPTION


async def test_no_field_is_drawn_before_one_has_the_focus(tmp_path: Path):
    """What is typed at the first sight of a field goes into it."""
    async with at_step(tmp_path, REDEPLOY, done_before_seven) as at:
        page = StepPage(UPDATE)
        at.app.push_screen(page)
        while not any(row.region.height for row in page.query(FieldRow)):
            await asyncio.sleep(0)
        assert isinstance(page.focused, Input)


async def test_choices_take_the_focus_at_once(tmp_path: Path):
    """Later they may be gone: a focus on a button that is taken away takes every key, and nothing answers any more."""
    async with at_step(tmp_path, REGISTER, filled) as at:
        await at.at("subscription_id")
        choices = at.page.query_one(Choices)
        choices.focus_first()
        assert isinstance(at.app.focused, Button) and choices in at.app.focused.ancestors


async def test_quitting_saves_what_was_typed_last(tmp_path: Path):
    async with at_step(tmp_path, REGISTER, attested("connectivity")) as at:
        await at.at("subscription_id")
        await at.type(SUBSCRIPTION)
        await at.pilot.press("ctrl+q")
        await at.until(lambda: at.app.setup is None)
        assert at.value("subscription/main", "subscription_id") == SUBSCRIPTION


# ---------------------------------------------------------------- whatever is typed


@pytest.mark.parametrize(
    "nasty",
    [
        "\x1b]52;c;aGk=\x07\x1b[2J",
        "[bold]x[/bold] [/nope] [@click=app.quit]y[/]",
        "\u202eabc\u2066def",
        "x" * 10_000,
        "👩‍👩‍👧‍👦🏳️‍🌈" * 20,
        "e\u0301\u0323" * 50,
        "漢字" * 100,
        "a\r\nb\tc\x00d",
    ],
    ids=["escape", "markup", "bidi", "long", "emoji", "combining", "wide", "control"],
)
async def test_hostile_text_in_a_field_is_drawn_cleaned(tmp_path: Path, nasty: str):
    async with at_step(tmp_path, UPDATE, filled, size=(80, 24)) as at:
        for key in ("namespace", "values_file", "token"):
            await at.at(key)
            await at.clear()
            await at.paste(nasty)
            await at.press("tab", "shift+tab")
            while at.app.screen is not at.page:
                await at.press("escape")
            assert not {"\x1b", "\x07", "\u202e", "\u2066", "\x00"} & set(at.text)
        assert at.value("dpe/dpe-01", "namespace") in ("dpe", "abcdef", None)
        for width in (120, 80):
            await at.pilot.resize_terminal(width, 40 if width == 120 else 24)
            await at.quiet()
        assert at.app.crash is None


KEYS = (
    "tab", "shift+tab", "enter", "escape", "left", "right", "up", "down", "ctrl+n", "ctrl+r", "ctrl+z", "ctrl+y", "f4",
    "f2", "f6", "f1", "ctrl+p", "space", "a", "8", "minus", "full_stop", "slash", "backspace", "home", "end", "ctrl+u",
    "pageup", "pagedown", "ctrl+w", "delete", "f3", "shift+left", "ctrl+a", "ctrl+c", "ctrl+v", "f5",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
async def test_five_hundred_keys_at_random(tmp_path: Path, seed: int):
    """2,000 in all: whatever is pressed, nothing breaks, and the journal verifies."""
    await _monkey(tmp_path, seed, 500)


async def test_some_keys_at_random(tmp_path: Path):
    await _monkey(tmp_path, 99, 120)


async def _monkey(tmp_path: Path, seed: int, count: int) -> None:
    dice = random.Random(seed)
    rounds = 0
    while count > 0:
        rounds += 1
        count -= await _some_keys(tmp_path / str(rounds), dice, count)


async def _some_keys(tmp_path: Path, dice: random.Random, count: int) -> int:
    """Presses up to `count` keys, or until the setup was left, as it may be; how many it were."""
    helm = Helm(release(3, version="16.1.0"))
    prepare = dice.choice((empty, filled, done_before_seven, done_before_seven))
    place = dice.choice(PLACES)
    readers, writers = Readers(helm=helm, cluster=Cluster()), Writers(helm=helm)
    async with at_step(tmp_path, place, prepare, readers=readers, writers=writers, size=(80, 24)) as at:
        at.setup.hold_secret("dpe/dpe-01", "token", TOKEN)
        pressed: list[str] = []
        while len(pressed) < count and at.app.is_running and at.app.setup is not None:
            # Quitting is tried elsewhere, and the first step's escape leaves for home.
            key = dice.choice(KEYS) if at.page.model.step.number > 1 else dice.choice([*KEYS, "ctrl+n"])
            pressed.append(key)
            await at.pilot.press(key)
            if dice.random() < 0.02:
                await at.pilot.resize_terminal(*dice.choice(SIZES))
            notes = [one for one in at.app.screen_stack if isinstance(one, Note)]
            assert not any(note._problem.code == "internal" for note in notes), (pressed[-12:], at.text)
            assert at.app.crash is None, pressed[-12:]
        assert at.journalled(), pressed[-12:]
        assert TOKEN.reveal() not in at.on_disk()
    return len(pressed)


class _Throttled(World):
    """Answers when it is let go, and has told by then that it waits."""

    def __init__(self) -> None:
        super().__init__()
        self.told: Callable[[str], None] = lambda _: None
        self.go = asyncio.Event()

    async def identity(self) -> AzureIdentity:
        self.told("Azure asks to slow down: waiting 5 s, then asking again\x1b[31m")
        await self.go.wait()
        return await super().identity()


@pytest.mark.parametrize("size", SIZES)
async def test_a_wait_that_azure_asks_for_is_shown(tmp_path: Path, size: tuple[int, int]):
    """Looks and plans have no log of their own; the band is seen wherever one has scrolled to."""
    world = _Throttled()
    async with at_step(tmp_path, ENDPOINT, attested("register"), readers=Readers(azure=world), size=size) as at:
        world.told = at.setup._told
        for begin in (at.setup.look, at.setup.plan):
            begin(ENDPOINT)
            await at.until(lambda: "running Azure asks to slow down: waiting 5 s" in " ".join(at.text.split()))
            world.go.set()
            await at.setup.settled(ENDPOINT)
            await at.until(lambda: "Azure asks to slow down" not in at.text)
            world.go.clear()


async def test_where_a_list_waits_for_it_the_field_says_so(tmp_path: Path):
    world = _Throttled()
    async with at_step(tmp_path, REGISTER, attested("connectivity"), readers=Readers(azure=world)) as at:
        world.told = at.setup._told
        await at.at("subscription_id")
        await at.until(lambda: "Azure asks to slow down: waiting 5 s, then asking again" in at.text)
        world.go.set()
        await at.until(lambda: "Azure asks to slow down" not in at.text)
