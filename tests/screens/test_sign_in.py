"""Signing in on the screen: the page and the code, who it was, and how what had stopped goes on."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from textual.widgets import Input

from screens.preflight import PreflightPage
from screens.sign_in import SignInSheet
from state.events import DONE, EnvironmentSet, IdentityPinned
from state.problem import Problem
from tests.screens.at_step import AtStep, at_step, attested
from tests.screens.harness import LARGE, SIZES, SMALL, out_of_view, places_in, shown, text_of, until
from tests.wizard.azure_world import ADA, BOB, FAST, World
from tests.wizard.engine import ENDPOINT, Cluster
from wizard.actions.azure_facts import SIGN_IN_TRIES
from wizard.actions.private_endpoint import PrivateEndpoint
from wizard.azure import SignInPrompt
from wizard.guides import DEFAULT
from wizard.open_setup import OpenSetup, new_setup
from wizard.places import Places
from wizard.ports import Readers, Writers
from wizard.sandbox.process import running

# The whole app for every test: these run in `make test-slow` and CI.
pytestmark = pytest.mark.slow

PROMPT = SignInPrompt("https://microsoft.com/devicelogin", "ABCD1234")
EXPIRED = Problem("azure-login-expired", "The sign-in has expired.", todo="Sign in again, then look again.")


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither helm nor az, and Azure is waited for in no time."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "no-kubeconfig"))
    monkeypatch.setenv("PATH", str(tmp_path / "no-programs"))
    monkeypatch.setattr(PrivateEndpoint.__init__, "__defaults__", (FAST,))


At = Callable[..., AbstractAsyncContextManager[tuple[AtStep, World]]]


@asynccontextmanager
async def step_three(
    tmp_path: Path, size: tuple[int, int] = LARGE, **where: str
) -> AsyncIterator[tuple[AtStep, World]]:
    """Step 3, everything before it confirmed, over an Azure in memory that one signs in to as `where` says."""
    world = World()

    def prepare(setup: OpenSetup) -> None:
        setup.session.set_environment(EnvironmentSet(**{"sign_in": "device-code", **where}))  # type: ignore[arg-type]
        attested("register")(setup)

    readers, writers = Readers(azure=world), Writers(azure=world)
    async with at_step(tmp_path, ENDPOINT, prepare, readers=readers, writers=writers, size=size) as at:
        yield at, world


async def stopped_at_look(at: AtStep, world: World) -> None:
    """Looks, and Azure asks for a sign-in."""
    for method in ("identity", "endpoint"):
        world.fails[method] = [EXPIRED] * 9
    at.setup.look(ENDPOINT)
    await at.until(lambda: "[ Sign in ]" in at.text)
    world.fails.clear()


# ---------------------------------------------------------------- the sheet


@pytest.mark.parametrize("size", SIZES)
async def test_page_and_code_are_shown_then_who_signed_in(tmp_path: Path, size: tuple[int, int]):
    async with step_three(tmp_path, size) as (at, world):
        await stopped_at_look(at, world)
        world.prompt = PROMPT
        world.signs_in.clear()
        await at.button("sign-in")
        await at.until(lambda: PROMPT.code in at.text and PROMPT.url in at.text)
        await at.until(lambda: "[ Copy the code ]" in at.text and "[ Cancel ]" in at.text)
        assert "Device code, cloud public" in at.text
        assert await out_of_view(at.app, at.pilot) == []
        world.signs_in.set()
        await at.until(lambda: "signed in as" in at.text and ADA.name in at.text and "[ Go on ]" in at.text)
        assert ADA.tenant_id in at.text and ADA.object_id in at.text
        await at.press("enter")
        await at.alone()
        await at.until(lambda: "[ Sign in ]" not in at.text)


async def test_the_seconds_count_while_somebody_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async with step_three(tmp_path) as (at, world):
        await stopped_at_look(at, world)
        world.prompt = PROMPT
        world.signs_in.clear()
        await at.button("sign-in")
        await at.until(lambda: PROMPT.code in at.text)
        assert at.setup.signing_in is not None
        at.setup.signing_in.begun -= 75
        await at.until(lambda: re.search(r"1 min \d+ s", at.text))


async def test_what_the_sign_in_service_says_reaches_the_screen_clean(tmp_path: Path):
    async with step_three(tmp_path, SMALL) as (at, world):
        await stopped_at_look(at, world)
        world.prompt = SignInPrompt(f"https://x.example/[/]\x1b]0;owned\x07{'long/' * 30}end", "AB\u202e[b]CD\n12")
        world.signs_in.clear()
        await at.button("sign-in")
        await at.until(lambda: "[b]CD" in at.text)
        assert not {"\x1b", "\u202e", "\x07"} & set(at.text) and "owned" not in at.text
        assert "long/end" in at.solid, "a long address is folded, not cut"


async def test_the_code_can_be_copied_by_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async with step_three(tmp_path) as (at, world):
        await stopped_at_look(at, world)
        world.prompt = PROMPT
        world.signs_in.clear()
        copied: list[str] = []
        monkeypatch.setattr(at.app, "copy", copied.append)
        await at.button("sign-in")
        await at.until(lambda: "[ Copy the page ]" in at.text)
        await at.press("ctrl+y")
        await at.button("copy-page")
        assert copied == [PROMPT.code, PROMPT.url]
        assert isinstance(at.app.screen, SignInSheet)


async def test_escape_stops_the_waiting_and_the_choice_stays(tmp_path: Path):
    async with step_three(tmp_path) as (at, world):
        await stopped_at_look(at, world)
        world.prompt = PROMPT
        world.signs_in.clear()
        await at.button("sign-in")
        await at.until(lambda: PROMPT.code in at.text)
        await at.press("escape")
        await at.alone()
        await at.until(lambda: at.setup.signing_in is not None and not at.setup.signing_in.running)
        assert "[ Sign in ]" in at.text


async def test_a_sign_in_that_fails_says_why(tmp_path: Path):
    async with step_three(tmp_path) as (at, world):
        await stopped_at_look(at, world)
        world.fails["sign_in"] = [Problem("azure-sign-in-late", "Nobody signed in in time.", todo="Begin again.")]
        await at.button("sign-in")
        await at.until(lambda: "Nobody signed in in time." in at.text and "[ Close ]" in at.text)
        await at.press("enter")
        await at.alone()
        assert "[ Sign in ]" in at.text


async def test_a_browser_is_said_to_open(tmp_path: Path):
    async with step_three(tmp_path, sign_in="browser") as (at, world):
        await stopped_at_look(at, world)
        world.prompt = SignInPrompt()
        world.signs_in.clear()
        await at.button("sign-in")
        await at.until(lambda: "a browser opens on this machine" in at.text)
        assert "Device code" in at.text, "the way out over SSH"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("cloud", "named"), [("us-government", "AzureUSGovernment"), ("public", "AzureCloud")])
async def test_for_the_azure_cli_the_commands_are_told(tmp_path: Path, size: tuple[int, int], cloud: str, named: str):
    async with step_three(tmp_path, size, sign_in="cli", cloud=cloud, tenant_id="contoso.us") as (at, world):
        await stopped_at_look(at, world)
        await at.button("sign-in")
        await at.until(lambda: "$ az login --tenant contoso.us" in at.text)
        assert f"$ az cloud set --name {named}" in at.text
        assert "sign_in" not in world.calls, "nothing is asked before somebody says so"
        await at.button("again")
        await at.until(lambda: "signed in as" in at.text and "[ Go on ]" in at.text)
        await at.press("enter")
        await at.alone()


# ---------------------------------------------------------------- expired mid-way


@pytest.mark.parametrize("size", SIZES)
async def test_one_that_expires_while_azure_works_is_asked_for_and_the_change_goes_on(
    tmp_path: Path, size: tuple[int, int]
):
    async with step_three(tmp_path, size) as (at, world):
        at.setup.plan(ENDPOINT)
        await at.until(lambda: at.page.model.planned is not None)
        planned = at.setup.planned(ENDPOINT)
        assert planned is not None
        world.fails["operation"] = [EXPIRED] * SIGN_IN_TRIES
        at.setup.apply(ENDPOINT, planned.plan)
        await at.until(lambda: "[ Sign in ]" in at.text)
        assert "Azure goes on; sign in and the wizard looks how it ended." in at.flat
        assert at.journalled("change_finished") == []
        await at.button("sign-in")
        await at.until(lambda: "signed in as" in at.text and "[ Go on ]" in at.text)
        await at.press("enter")
        await at.alone()
        await at.until(lambda: at.journalled("change_finished"))
        assert [one.data.outcome for one in at.journalled("change_finished")] == [DONE]  # type: ignore[attr-defined]
        assert [what for what, _ in world.writes] == ["create_endpoint"], "one request"
        await at.until(lambda: "[ Sign in ]" not in at.text)


async def test_do_it_for_me_looks_how_it_ended_first(tmp_path: Path):
    async with step_three(tmp_path) as (at, world):
        plan = await at.setup.session.plan(ENDPOINT)
        world.fails["operation"] = [EXPIRED] * SIGN_IN_TRIES
        at.setup.apply(ENDPOINT, plan)
        await at.until(lambda: "[ Sign in ]" in at.text)
        await at.button("do")
        await at.until(lambda: at.journalled("change_finished"))
        assert len(world.writes) == 1


async def test_somebody_else_is_named_and_nothing_goes_on(tmp_path: Path):
    async with step_three(tmp_path) as (at, world):
        facts: dict[str, str | None] = {"tenant_id": ADA.tenant_id, "object_id": ADA.object_id}
        at.setup.session.commit(IdentityPinned(kind="azure", facts=facts))
        await stopped_at_look(at, world)
        world.me = BOB
        await at.button("sign-in")
        await at.until(lambda: "[ Close ]" in at.text and BOB.name in at.text)
        assert ADA.object_id in at.solid and BOB.object_id in at.solid


# ---------------------------------------------------------------- as whom


async def test_the_question_and_the_line_say_as_whom(tmp_path: Path):
    async with step_three(tmp_path) as (at, _):
        at.setup.plan(ENDPOINT)
        await at.until(lambda: at.page.model.planned is not None)
        await at.until(lambda: f"as {ADA.name}, once you confirm" in at.flat)
        await at.button("do")
        await at.sheet()
        await at.until(lambda: "exactly what these commands would" in at.text)
        flat = " ".join(at.text.split())
        assert f"as {ADA.name} (tenant {ADA.tenant_id}" in flat and ADA.object_id in flat


# ---------------------------------------------------------------- the preflight


@asynccontextmanager
async def preflight(
    tmp_path: Path, world: World, size: tuple[int, int] = LARGE, pinned: bool = False
) -> AsyncIterator[AtStep]:
    """The preflight of a setup that is none of the sandbox, over an Azure in memory wherever it points."""

    @asynccontextmanager
    async def connected(*_: object, **__: object) -> AsyncIterator[tuple[Readers, Writers]]:
        yield Readers(azure=world, cluster=Cluster()), Writers(azure=world)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("wizard.open_setup.connected", connected)
        places: Places = places_in(tmp_path)
        setup = await new_setup(places, "demo", DEFAULT, "self-service", {})
        if pinned:
            facts: dict[str, str | None] = {"tenant_id": ADA.tenant_id, "object_id": ADA.object_id}
            setup.session.commit(IdentityPinned(kind="azure", facts=facts))
        async with shown(places, size=size) as (app, pilot):
            app.hold(setup)
            app.push_screen(PreflightPage())
            await until(pilot, lambda: isinstance(app.screen, PreflightPage) and "looked" in text_of(app))
            yield AtStep(app, pilot, setup)


def where(at: AtStep) -> EnvironmentSet:
    recorded = at.setup.session.snapshot.environment
    assert recorded is not None
    return recorded.data


async def picked(at: AtStep, *downs: int) -> None:
    """Opens Azure's choices and picks one after the other, by how far down it is."""
    await at.button("azure")
    for down in downs:
        await at.until(lambda: not isinstance(at.app.screen, PreflightPage) and at.app.screen.is_mounted)
        before = at.app.screen
        await at.press(*["down"] * down, "enter")
        await at.until(lambda one=before: at.app.screen is not one)  # type: ignore[misc]


@pytest.mark.parametrize("size", SIZES)
async def test_the_preflight_says_as_whom_in_which_tenant_of_which_cloud(tmp_path: Path, size: tuple[int, int]):
    async with preflight(tmp_path, World(), size) as at:
        await at.until(lambda: "[ Azure ]" in at.text and ADA.name in at.page_text())
        assert await out_of_view(at.app, at.pilot) == []
        buttons = next(row for row in at.text.splitlines() if "[ Azure ]" in row)
        assert "[ Go on ]" in buttons and "[ helm ]" in buttons, "all in one row"
        text = at.page_text()
    assert "1 subscription can be read" in text and ADA.tenant_id in text and "cloud public, by Azure CLI" in text


async def test_way_cloud_and_tenant_are_chosen_and_journalled(tmp_path: Path):
    async with preflight(tmp_path, World()) as at:
        await picked(at, 0, 1)
        await at.until(lambda: where(at).sign_in == "device-code")
        await at.until(lambda: "looked" in at.text and "Device code" in at.text)
        await picked(at, 1, 1)
        await at.until(lambda: where(at).cloud == "us-government")
        await picked(at, 2)
        await at.until(lambda: bool(at.app.screen.query(Input)))
        at.app.screen.query_one(Input).value = "no tenant"
        await at.press("enter")
        assert at.app.screen.query(Input), "what is none is not taken"
        at.app.screen.query_one(Input).value = " Contoso.US "
        await at.press("enter")
        await at.until(lambda: where(at).tenant_id == "contoso.us")
        assert (where(at).sign_in, where(at).cloud) == ("device-code", "us-government"), "the others stay"
        await at.until(lambda: "US Government" in at.text and "contoso.us" in at.text)


async def test_default_is_marked_as_advanced(tmp_path: Path):
    async with preflight(tmp_path, World()) as at:
        await picked(at, 0)
        await at.until(lambda: "advanced" in at.text)
        line = next(row for row in at.text.splitlines() if "advanced" in row)
        assert "Default" in line
        await at.press("escape")
        assert where(at).sign_in == "cli"


async def test_a_pinned_identity_is_warned_about(tmp_path: Path):
    async with preflight(tmp_path, World(), pinned=True) as at:
        await picked(at, 0, 1)
        await at.until(lambda: ADA.object_id in at.text and "has acted in Azure already" in at.text)
        await at.press("enter")  # the safe answer has the focus
        await at.until(lambda: isinstance(at.app.screen, PreflightPage))
        assert where(at).sign_in == "cli"


async def test_the_preflight_offers_to_sign_in_where_that_helps(tmp_path: Path):
    world = World()
    world.fails["identity"] = [EXPIRED]
    async with preflight(tmp_path, world) as at:
        await at.until(lambda: "[ Sign in ]" in at.text)
        await at.button("sign-in")
        await at.until(lambda: "$ az login" in at.text)
        await at.button("again")
        await at.until(lambda: "signed in as" in at.text and "[ Go on ]" in at.text)
        await at.press("enter")
        await at.until(lambda: isinstance(at.app.screen, PreflightPage) and ADA.name in at.page_text())
        await at.until(lambda: "[ Sign in ]" not in at.text)


# ---------------------------------------------------------------- the sandbox


@pytest.mark.slow
async def test_in_the_sandbox_an_expired_token_is_mended_by_signing_in(tmp_path: Path, helm4: Path):
    with running(tmp_path / "sandbox", ("arm-token-expired",), helm=helm4) as info:
        places = places_in(tmp_path)
        given = {
            "sandbox": True,
            **{key: getattr(info, key) for key in ("arm_url", "identity_endpoint", "dns_server", "kubeconfig")},
            **{key: getattr(info, key) for key in ("kube_context", "ca_file", "helm")},
        }
        async with shown(places) as (app, pilot):
            setup = await new_setup(places, "demo", DEFAULT, "self-service", given)
            attested("connectivity")(setup)
            setup.session.set_field("subscription/main", "subscription_id", info.subscription_id)
            app.hold(setup)
            from screens.step import StepPage
            from tests.wizard.engine import SUBSCRIPTION

            app.push_screen(StepPage(SUBSCRIPTION))
            at = AtStep(app, pilot, setup)
            await at.until(lambda: isinstance(app.screen, StepPage) and app.screen.is_mounted)
            azure = setup.session.readers.azure
            assert azure is not None
            await azure.identity()  # so that the SDKs are loaded, and a look is as quick as one is
            setup.look(SUBSCRIPTION)
            await at.until(lambda: "[ Sign in ]" in at.text)
            await at.button("sign-in")
            await at.until(lambda: "signed in as" in at.text and "[ Go on ]" in at.text)
            assert info.tenant_id in at.text
            await at.press("enter")
            await at.alone()
            await at.until(lambda: "Enabled" in at.text and "[ Sign in ]" not in at.text)
