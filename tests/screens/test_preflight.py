"""Preflight: every line turns from looking into its answer, and says what to do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec.structs
import pytest
from textual.widgets import Button, Input

from screens.dialogs import Choose, Confirm
from screens.opening import confirm_environment
from screens.preflight import PreflightPage
from state.problem import Problem
from tests.screens.harness import LARGE, SIZES, SMALL, out_of_view, places_in, shown, text_of, until
from tests.wizard.engine import Cluster
from wizard.doctor import LOOKS, Line, examine
from wizard.environment import contexts_of, resolve_environment
from wizard.guides import DEFAULT
from wizard.open_setup import OpenSetup, new_setup
from wizard.places import Places
from wizard.ports import ClusterIdentity, Readers

# The whole app for every test: these run in `make test-slow` and CI.
pytestmark = pytest.mark.slow

HELM = """#!/bin/sh
echo 'v3.16.2+g1234567'
"""


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with neither kubeconfig nor helm, with the shell's own tools."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("KUBECONFIG", raising=False)


def _helm(tmp_path: Path) -> None:
    helm = tmp_path / "bin" / "helm"
    helm.write_text(HELM)
    helm.chmod(0o700)


class Held(Cluster):
    """A cluster that answers when it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def identity(self) -> ClusterIdentity:
        await self.gate.wait()
        return await super().identity()


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return places_in(tmp_path)


@pytest.fixture
async def setup(tmp_path: Path, places: Places) -> AsyncIterator[OpenSetup]:
    """A setup that points to a kubeconfig here; its cluster is not asked over any network."""
    config = tmp_path / "kubeconfig"
    config.write_text("current-context: aks-prod\ncontexts: [{name: aks-prod}, {name: aks-test}]\n")
    config.chmod(0o600)
    yield await new_setup(places, "prod-weu", DEFAULT, "self-service", {"kubeconfig": str(config)})


def _row(text: str, title: str) -> str:
    """The line of a look."""
    looks = text.partition("Looks ")[2].splitlines()
    return next(line for line in looks if f" {title} " in line[:24])


# ---------------------------------------------------------------- the looks


async def test_each_line_is_told_as_soon_as_its_look_ends(tmp_path: Path):
    cluster, told = Held(), list[Line]()
    config = tmp_path / "kubeconfig"
    config.write_text("current-context: aks-prod\n")
    environment = resolve_environment({"kubeconfig": str(config)})

    looking = asyncio.create_task(
        examine(environment, Readers(cluster=cluster), tmp_path / "state", "default", told.append)
    )
    async with asyncio.timeout(20):
        while len(told) < len(LOOKS) - 1:
            await asyncio.sleep(0)
    assert "cluster" not in {line.id for line in told}
    cluster.gate.set()
    lines = await looking

    assert told[-1].id == "cluster"
    assert [(line.id, line.title) for line in lines] == list(LOOKS), "the answer is in the order it is read in"
    assert set(lines) == set(told)


async def test_a_look_that_fails_is_told_as_well(tmp_path: Path):
    told: list[Line] = []
    cluster = Cluster(failure=Problem("refused", "The cluster refused.", todo="Sign in."))
    config = tmp_path / "kubeconfig"
    config.write_text("current-context: aks-prod\n")
    environment = resolve_environment({"kubeconfig": str(config)})
    await examine(environment, Readers(cluster=cluster), tmp_path / "state", "default", told.append)
    (line,) = (one for one in told if one.id == "cluster")
    assert (line.state, line.text, line.todo) == ("could not look", "The cluster refused.", "Sign in.")


# ---------------------------------------------------------------- contexts of a kubeconfig


def test_contexts_are_named_in_order_and_once(tmp_path: Path):
    path = tmp_path / "config"
    path.write_text("current-context: b\ncontexts: [{name: b}, {name: a}, {name: b}, {name: ''}, x, {name: [c]}]\n")
    found = contexts_of(str(path))
    assert (found.names, found.current, found.why) == (("b", "a"), "b", "")


@pytest.mark.parametrize("content", [b"", b"- a", b"contexts: 7", b"contexts: []", b"{", b"\xff", b"a: !!python/x y"])
def test_a_kubeconfig_without_contexts_says_why(tmp_path: Path, content: bytes):
    path = tmp_path / "config"
    path.write_bytes(content)
    found = contexts_of(str(path))
    assert found.names == ()
    assert found.why


@pytest.mark.parametrize("path", ["/nowhere/config", "/", "/dev/zero", "a\0b"])
def test_what_is_no_file_says_why(path: str):
    assert "can't be read" in contexts_of(path).why


def test_a_name_that_is_not_seen_or_is_no_argument_can_not_be_chosen(tmp_path: Path):
    path = tmp_path / "config"
    path.write_text('contexts: [{name: "\\u200b"}, {name: "a\\0b"}, {name: "ok"}]\n')
    assert contexts_of(str(path)).names == ("ok",)


# ---------------------------------------------------------------- the page


@pytest.mark.parametrize("size", SIZES)
async def test_nothing_here_says_what_to_get(places: Places, size: tuple[int, int]):
    async with shown(places, size=size) as (app, pilot):
        await pilot.press("f5")
        await until(pilot, lambda: isinstance(app.screen, PreflightPage) and "looked" in text_of(app))
        text = text_of(app)
        assert "helm was not found on PATH" in text
        assert "[ Go on ]" in text and "[ Cluster ]" not in text
        assert await out_of_view(app, pilot) == []

        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, PreflightPage))


async def test_a_helm_that_is_there_is_named(places: Places, tmp_path: Path):
    _helm(tmp_path)
    async with shown(places) as (app, pilot):
        await pilot.press("f5")
        await until(pilot, lambda: isinstance(app.screen, PreflightPage) and "3.16.2" in text_of(app))
        assert "ok" in _row(text_of(app), "helm")


@pytest.mark.parametrize("size", SIZES)
async def test_a_line_turns_from_looking_into_its_answer(places: Places, setup: OpenSetup, size: tuple[int, int]):
    cluster = Held()
    async with shown(places, size=size) as (app, pilot):
        setup.session.readers = Readers(cluster=cluster)
        app.hold(setup)
        app.push_screen(PreflightPage())
        await until(pilot, lambda: isinstance(app.screen, PreflightPage))
        page = app.screen
        assert isinstance(page, PreflightPage)
        await until(pilot, lambda: page.copyable().count("\n") == len(LOOKS) - 2)
        assert "Cluster" not in page.copyable()
        if size == LARGE:
            assert "looking" in _row(text_of(app), "Cluster")

        cluster.gate.set()

        await until(pilot, lambda: "aks.example" in page.copyable() and "looked" in text_of(app))
        assert "ok: Cluster: https://aks.example:443" in page.copyable()


@pytest.mark.parametrize(
    "size",
    [
        SMALL,
        LARGE,
    ],
)
async def test_every_choice_is_in_view(places: Places, setup: OpenSetup, size: tuple[int, int]):
    async with shown(places, size=size) as (app, pilot):
        setup.session.readers = Readers(cluster=Cluster())
        app.hold(setup)
        app.push_screen(PreflightPage())
        await until(pilot, lambda: "[ Cluster ]" in text_of(app) and "looked" in text_of(app))
        assert await out_of_view(app, pilot) == []


async def test_the_last_line_can_be_reached_by_keyboard(places: Places):
    async with shown(places, size=SMALL) as (app, pilot):
        await pilot.press("f5")
        await until(pilot, lambda: isinstance(app.screen, PreflightPage) and "looked" in text_of(app))
        await pilot.press("pagedown", "pagedown")
        await pilot.pause()
        assert "Rights" in text_of(app)


async def test_looking_again_asks_again(places: Places, setup: OpenSetup):
    cluster = Cluster()
    async with shown(places) as (app, pilot):
        setup.session.readers = Readers(cluster=cluster)
        app.hold(setup)
        app.push_screen(PreflightPage())
        await until(pilot, lambda: "https://aks.example" in text_of(app) and "looked" in text_of(app))
        cluster.server = "https://other.example"
        await pilot.press("ctrl+r")
        await until(pilot, lambda: "https://other.example" in text_of(app))


async def test_a_hostile_context_name_reaches_the_screen_clean(places: Places, tmp_path: Path):
    config = tmp_path / "evil"
    config.write_text('current-context: "a[/nope]\\e]0;owned\\a\\u202eb"\n')
    config.chmod(0o600)
    setup = await new_setup(places, "evil", DEFAULT, "self-service", {"kubeconfig": str(config)})
    async with shown(places) as (app, pilot):
        setup.session.readers = Readers(cluster=Cluster())
        app.hold(setup)
        app.push_screen(PreflightPage())
        await until(pilot, lambda: "a[/nope]b" in text_of(app) and "looked" in text_of(app))
        assert not {"\x1b", "\u202e", "\x07"} & set(text_of(app))
        assert "owned" not in text_of(app)


async def test_another_context_is_chosen_and_journalled(places: Places, setup: OpenSetup):
    async with shown(places) as (app, pilot):
        app.hold(setup)
        setup.session.readers = Readers(cluster=Cluster())
        app.push_screen(PreflightPage())
        await until(pilot, lambda: "[ Cluster ]" in text_of(app) and "looked" in text_of(app))
        button = next(one for one in app.screen.query(Button) if one.name == "cluster")
        button.press()
        await until(pilot, lambda: isinstance(app.screen, Choose))
        await pilot.press("enter")
        await until(pilot, lambda: "aks-test" in text_of(app))
        await pilot.press("down", "enter")

        def pointed() -> str | None:
            recorded = setup.session.snapshot.environment
            return recorded.data.kube_context if recorded else None

        await until(pilot, lambda: pointed() == "aks-test")


async def test_a_sandbox_can_not_be_pointed_elsewhere(places: Places, tmp_path: Path):
    config = tmp_path / "box"
    config.write_text("current-context: box\n")
    given = {"sandbox": True, "kubeconfig": str(config)}
    setup = await new_setup(places, "rehearsal", DEFAULT, "self-service", given)
    async with shown(places) as (app, pilot):
        setup.session.readers = Readers(cluster=Cluster())
        app.hold(setup)
        app.push_screen(PreflightPage())
        await until(pilot, lambda: "looked" in text_of(app))
        assert "SANDBOX" in text_of(app)
        assert "[ Cluster ]" not in text_of(app)


async def test_without_colours_every_state_is_a_word(places: Places, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NO_COLOR", "")
    async with shown(places, size=SMALL) as (app, pilot):
        await pilot.press("f5")
        await until(pilot, lambda: isinstance(app.screen, PreflightPage) and "looked" in text_of(app))
        assert "failed" in _row(text_of(app), "helm")


def test_a_path_below_ones_home_is_made_whole(tmp_path: Path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "config").write_text("current-context: aks-prod\n")
    found = resolve_environment({"kubeconfig": "~/config", "helm": "~/bin/helm"})
    assert found.kubeconfig == str(tmp_path / "home" / "config")
    assert found.helm == str(tmp_path / "home" / "bin" / "helm")
    assert found.kube_context == "aks-prod"


async def test_confirming_a_setup_from_elsewhere_keeps_which_azure_it_is(places: Places, tmp_path: Path):
    """Its paths are this machine's; cloud and tenant, and how one signs in there, are the setup's."""
    azure = {"cloud": "us-government", "sign_in": "device-code", "tenant_id": "contoso.us"}
    theirs = tmp_path / "theirs"
    theirs.write_text("current-context: aks-theirs\n")
    setup = await new_setup(places, "gov", DEFAULT, "self-service", {**azure, "kubeconfig": str(theirs)})
    setup.session._actor = msgspec.structs.replace(setup.session._actor, host="somewhere-else")
    async with shown(places, size=SMALL) as (app, pilot):
        app.hold(setup)
        app.do(confirm_environment(app, setup))
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        text = " ".join(text_of(app).replace("│", " ").split())
        assert "cloud US Government, sign-in Device code, tenant contoso.us" in text
        next(one for one in app.screen.query(Button) if one.name == "here").press()
        await until(pilot, lambda: isinstance(app.screen, PreflightPage))
        recorded = setup.session.snapshot.environment
        assert recorded is not None
        found = msgspec.structs.asdict(recorded.data)
        assert {key: found[key] for key in azure} == azure
        assert found["kubeconfig"] != str(theirs) and setup.session.environment_is_ours()


async def test_another_kubeconfig_keeps_the_cloud_of_a_setup_that_is_not_confirmed(places: Places, tmp_path: Path):
    other = tmp_path / "other"
    other.write_text("current-context: aks-gov\n")
    setup = await new_setup(places, "gov", DEFAULT, "self-service", {"cloud": "us-government"})
    setup.session._actor = msgspec.structs.replace(setup.session._actor, host="somewhere-else")
    async with shown(places) as (app, pilot):
        app.hold(setup)
        app.push_screen(PreflightPage())
        await until(pilot, lambda: isinstance(app.screen, PreflightPage) and "not used here" in text_of(app))
        next(one for one in app.screen.query(Button) if one.name == "cluster").press()
        await until(pilot, lambda: isinstance(app.screen, Choose))
        await pilot.press("down", "enter")
        await until(pilot, lambda: isinstance(app.focused, Input))
        app.screen.query_one(Input).value = f" {other} "
        await pilot.press("enter")

        def pointed() -> tuple[str, str | None]:
            recorded = setup.session.snapshot.environment
            return (recorded.data.cloud, recorded.data.kubeconfig) if recorded else ("", None)

        await until(pilot, lambda: pointed() == ("us-government", str(other)))
