"""Signing in to Azure: what stops for want of it, what goes on after it, and as whom."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from state.events import DONE, EnvironmentSet
from state.problem import EXIT_NOT_YET, Problem
from tests.wizard.azure_world import ADA, BOB, FAST, World
from tests.wizard.engine import ENDPOINT, attest_until, fill, journalled, refused
from wizard.actions import azure_facts
from wizard.actions.private_endpoint import PrivateEndpoint
from wizard.adapters import azure_errors
from wizard.azure import SignInPrompt, who
from wizard.guides import DEFAULT
from wizard.open_setup import OpenSetup, new_setup, open_setup
from wizard.places import Places
from wizard.ports import Readers, Writers
from wizard.sign_in import CODES, SIGN_INS, WAYS, SigningIn, is_tenant, label_of, login_commands
from wizard.work import LOOKING, PLANNING, RESUMING

PROMPT = SignInPrompt("https://microsoft.com/devicelogin", "ABCD1234")


def expired(code: str = "azure-login-expired") -> Problem:
    """As the adapter tells of a sign-in that does not count any more."""
    return Problem(code, "The sign-in has expired.", means="Azure wants to see you again.", todo="Sign in again.")


# ---------------------------------------------------------------- ways, clouds, tenants


@pytest.mark.parametrize(
    "text",
    ["11111111-aaaa-4bbb-8ccc-000000000001", "contoso.onmicrosoft.com", "Contoso.COM", "a-b.example", "x.xn--p1ai"],
)
def test_a_tenant_is_an_id_or_a_domain(text: str):
    assert is_tenant(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "contoso", "11111111-aaaa-4bbb-8ccc-00000000000", "a b.com", "../evil.com", "evil.com/x", "evil.com?x"),
        *("-a.com", "a..com", ".com", "a.com.", "a.com\n", "a@b.com", f"{'a' * 64}.com", f"{'a.' * 130}com", "1.2.3.4"),
        "ex\u00e4mple.com",
    ],
)
def test_what_is_no_tenant_never_gets_into_a_url(text: str):
    assert not is_tenant(text)


def test_the_commands_to_run_name_cloud_and_tenant_where_they_are_not_azs_own():
    assert login_commands("public", None) == ("az login",)
    assert login_commands("us-government", None) == ("az cloud set --name AzureUSGovernment", "az login")
    assert login_commands("china", "contoso.cn") == (
        "az cloud set --name AzureChinaCloud",
        "az login --tenant contoso.cn",
    )
    assert login_commands("public", "contoso.com", elsewhere=True) == (
        "az cloud set --name AzureCloud",
        "az login --tenant contoso.com",
    )
    assert login_commands("china", None, elsewhere=True) == login_commands("china", None)


def test_every_way_has_a_name_and_says_what_it_needs():
    assert SIGN_INS[0] == EnvironmentSet().sign_in == "cli"
    assert all(way.label and way.needs for way in WAYS) and len({way.label for way in WAYS}) == len(SIGN_INS)
    (default,) = (way for way in WAYS if way.id == "default")
    assert default.needs.startswith("advanced")
    assert label_of("managed") == "the sandbox's own"


def test_every_code_that_asks_for_a_sign_in_is_one_that_there_is():
    made = {rule.code for rule in azure_errors._RULES} | {row[1] for row in azure_errors._LOGIN}
    alone = {"azure-sign-in-needed", "azure-login-failed", "azure-identity-unknown", "other-identity"}
    assert made | alone >= CODES
    wanted = {code for code in made if code.startswith("azure-login")} | {azure_errors.TOKEN_REFUSED}
    assert wanted <= CODES


# ---------------------------------------------------------------- a setup before step 3


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "no-kubeconfig"))
    monkeypatch.setenv("PATH", str(tmp_path / "no-programs"))
    monkeypatch.setattr(PrivateEndpoint.__init__, "__defaults__", (FAST,))
    return Places(tmp_path / "real", tmp_path / "sandbox")


@pytest.fixture
async def setup(places: Places, world: World) -> AsyncIterator[OpenSetup]:
    """Everything before step 3 is confirmed."""
    setup = await new_setup(places, "demo", DEFAULT, "self-service", {"sign_in": "device-code"})
    setup.session.readers, setup.session.writers = Readers(azure=world), Writers(azure=world)
    fill(setup.session)
    attest_until(setup.session, "register")
    yield setup
    await setup.close()


async def ended(signing: SigningIn) -> SigningIn:
    async with asyncio.timeout(20):
        while signing.running:
            await asyncio.sleep(0)
    return signing


async def applied(setup: OpenSetup) -> Problem | None:
    """Plans and does step 3 as the screen does; returns what stopped it."""
    plan = await setup.session.plan(ENDPOINT)
    setup.apply(ENDPOINT, plan)
    work = await setup.settled(ENDPOINT)
    assert work is not None
    return work.problem


def ends(setup: OpenSetup) -> list[str]:
    return [event.data.outcome for event in journalled(setup.session, "change_finished")]  # type: ignore[attr-defined]


# ---------------------------------------------------------------- while a change is watched


async def test_a_change_that_can_not_be_watched_any_more_stays_open(setup: OpenSetup, world: World):
    plan = await setup.session.plan(ENDPOINT)
    world.fails["operation"] = [expired()] * azure_facts.SIGN_IN_TRIES
    setup.apply(ENDPOINT, plan)
    work = await setup.settled(ENDPOINT)
    assert work is not None and work.problem is not None
    assert (work.problem.code, work.problem.exit_code) == ("azure-login-expired", EXIT_NOT_YET)
    assert work.problem.means.startswith("Azure goes on; sign in and the wizard looks how it ended.")
    assert ends(setup) == [] and len(setup.session.interrupted()) == 1
    assert [what for what, _ in world.writes] == ["create_endpoint"]


async def test_a_token_that_ran_out_is_renewed_without_asking_anybody(setup: OpenSetup, world: World):
    plan = await setup.session.plan(ENDPOINT)
    world.fails["operation"] = [expired("azure-token-refused")]
    setup.apply(ENDPOINT, plan)
    await setup.settled(ENDPOINT)
    assert ends(setup) == [DONE]


async def test_after_the_sign_in_its_end_is_read_and_nothing_is_sent_again(setup: OpenSetup, world: World):
    plan = await setup.session.plan(ENDPOINT)
    world.fails["operation"] = [expired()] * azure_facts.SIGN_IN_TRIES
    setup.apply(ENDPOINT, plan)
    await setup.settled(ENDPOINT)
    signing = await ended(setup.sign_in())
    assert signing.good and signing.identity == ADA
    work = await setup.settled(ENDPOINT)
    assert work is not None and (work.kind, work.problem) == (RESUMING, None)
    assert ends(setup) == [DONE]
    assert [what for what, _ in world.writes] == ["create_endpoint"]
    assert setup.session.snapshot.value("endpoint/pe-weu", "private_ip") == "10.20.1.4"


async def test_the_next_start_reads_how_it_ended_as_well(setup: OpenSetup, world: World, places: Places):
    plan = await setup.session.plan(ENDPOINT)
    world.fails["operation"] = [expired()] * azure_facts.SIGN_IN_TRIES
    setup.apply(ENDPOINT, plan)
    await setup.settled(ENDPOINT)
    await setup.close()
    again = await open_setup(places, "demo")
    again.session.readers, again.session.writers = Readers(azure=world), Writers(azure=world)
    again.resume_all()
    await again.settled(ENDPOINT)
    assert ends(again) == [DONE] and len(world.writes) == 1
    await again.close()


async def test_while_its_end_is_not_known_nothing_is_sent(setup: OpenSetup, world: World):
    plan = await setup.session.plan(ENDPOINT)
    world.fails["operation"] = [expired()] * azure_facts.SIGN_IN_TRIES
    setup.apply(ENDPOINT, plan)
    await setup.settled(ENDPOINT)
    world.endpoints_.clear()  # so that a plan would make one
    other = await setup.session.plan(ENDPOINT)
    setup.apply(ENDPOINT, other)
    work = await setup.settled(ENDPOINT)
    assert work is not None and work.problem is not None and work.problem.code == "change-open"
    assert len(world.writes) == 1


async def test_without_a_sign_in_before_the_request_nothing_was_changed(setup: OpenSetup, world: World):
    world.fails["create_endpoint"] = [expired()]
    problem = await applied(setup)
    assert problem is not None and problem.means.endswith("Nothing was changed.")
    assert ends(setup) == ["failed"] and world.writes == []


# ---------------------------------------------------------------- what goes on


async def test_a_plan_is_read_again_after_the_sign_in(setup: OpenSetup, world: World):
    world.fails["identity"] = [expired("azure-sign-in-needed")]
    setup.plan(ENDPOINT)
    work = await setup.settled(ENDPOINT)
    assert work is not None and work.unsigned is not None
    await ended(setup.sign_in())
    work = await setup.settled(ENDPOINT)
    assert work is not None and (work.kind, work.problem) == (PLANNING, None)
    planned = setup.planned(ENDPOINT)
    assert planned is not None and planned.plan.identity == who(ADA)
    assert world.writes == []


async def test_a_look_is_made_again_after_the_sign_in(setup: OpenSetup, world: World):
    for method in ("identity", "endpoint"):
        world.fails[method] = [expired("azure-sign-in-needed")] * 3
    setup.look(ENDPOINT)
    work = await setup.settled(ENDPOINT)
    assert work is not None and work.problem is None and work.unsigned is not None, "a finding, and not a failure"
    world.fails.clear()
    world.endpoint_there(setup_endpoint(setup), setup.session.snapshot.value("endpoint/pe-weu", "link_service") or "")
    await ended(setup.sign_in())
    work = await setup.settled(ENDPOINT)
    assert work is not None and (work.kind, work.unsigned) == (LOOKING, None)
    verdicts = [one.data.verdict for one in setup.session.snapshot.findings.values() if one.data.step == "endpoint"]
    assert "good" in verdicts


async def test_a_list_that_asks_for_a_sign_in_is_read_anew_after_it(setup: OpenSetup, world: World):
    view = setup.session.view(ENDPOINT)
    (listed, *_) = (field for field in view.step.fields if field.lists is not None)
    for method in ("identity", "subscriptions", "resource_groups", "networks"):
        world.fails[method] = [expired("azure-not-logged-in")] * 9
    setup.lists.ask(view, listed)
    async with asyncio.timeout(20):
        while not setup.lists.unsigned(view):
            await asyncio.sleep(0)
    world.fails.clear()
    assert (await ended(setup.sign_in())).good
    assert not setup.lists.unsigned(view) and setup.lists.of(view, listed) is None


def setup_endpoint(setup: OpenSetup) -> str:
    return azure_facts.endpoint_id(setup.session.view(ENDPOINT))


# ---------------------------------------------------------------- the sign-in itself


async def test_page_and_code_are_told_while_somebody_is_waited_for(setup: OpenSetup, world: World):
    told: list[Any] = []
    setup.on_change = lambda: told.append(setup.signing_in and setup.signing_in.prompt)
    world.prompt = PROMPT
    world.signs_in.clear()
    signing = setup.sign_in()
    async with asyncio.timeout(20):
        while PROMPT not in told:
            await asyncio.sleep(0)
    assert setup.sign_in() is signing, "one at a time"
    assert signing.running and (signing.way, signing.cloud) == ("device-code", "public")
    world.signs_in.set()
    assert (await ended(signing)).identity == ADA


async def test_cancelled_nobody_is_waited_for_and_nothing_is_taken_up(setup: OpenSetup, world: World):
    world.fails["identity"] = [expired()]
    setup.plan(ENDPOINT)
    await setup.settled(ENDPOINT)
    world.signs_in.clear()
    signing = setup.sign_in()
    await asyncio.sleep(0)
    await setup.stop_signing_in()
    assert (signing.running, signing.good, signing.problem) == (False, False, None)
    assert setup.planned(ENDPOINT) is None


async def test_a_sign_in_that_fails_says_why_and_can_be_begun_again(setup: OpenSetup, world: World):
    world.fails["sign_in"] = [expired("azure-sign-in-late")]
    first = await ended(setup.sign_in())
    assert first.problem is not None and first.problem.code == "azure-sign-in-late"
    assert (await ended(setup.sign_in())).good


async def test_somebody_else_than_pinned_is_stopped_with_both_named(setup: OpenSetup, world: World):
    assert await applied(setup) is None
    world.me = BOB
    signing = await ended(setup.sign_in())
    assert signing.identity == BOB and not signing.good
    assert signing.problem is not None and signing.problem.code == "other-identity"
    assert ADA.object_id in signing.problem.what and BOB.object_id in signing.problem.what


async def test_closing_ends_a_sign_in(setup: OpenSetup, world: World):
    world.signs_in.clear()
    signing = setup.sign_in()
    await setup.close()
    assert not signing.running


async def test_without_azure_there_is_nothing_to_sign_in_to(setup: OpenSetup):
    setup.session.readers = Readers()
    assert refused(setup.sign_in).code == "no-azure"


# ---------------------------------------------------------------- as whom


async def test_once_pinned_the_journal_tells_with_which_account(setup: OpenSetup):
    assert await applied(setup) is None
    events = journalled(setup.session)
    pinned = next(number for number, event in enumerate(events) if event.type == "identity_pinned")
    assert {event.actor.azure_oid for event in events[:pinned]} == {None}
    assert {event.actor.azure_oid for event in events[pinned + 1 :]} == {ADA.object_id}


async def test_whoever_signs_in_is_who_acts_from_then_on(setup: OpenSetup, world: World):
    world.me = BOB
    await ended(setup.sign_in())
    setup.session.add_item("dpe", "dpe-02")
    assert journalled(setup.session)[-1].actor.azure_oid == BOB.object_id
    assert setup.session.environment_is_ours(), "who signed in says nothing about whose paths these are"


# ---------------------------------------------------------------- where a sign-in may go


def edited(setup: OpenSetup, **changes: Any) -> None:
    """The environment as somebody would write it into the journal by hand."""
    setup.session.commit(EnvironmentSet(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"arm_url": "https://127.0.0.1:1/"},
        {"identity_endpoint": "http://127.0.0.1:1/"},
        {"dns_server": "127.0.0.1:53"},
        {"sandbox": True, "arm_url": "https://evil.example/", "kubeconfig": "/box/kubeconfig"},
        {"cloud": "moon"},
        {"sign_in": "managed"},
        {"tenant_id": "evil.example/../x"},
    ],
)
async def test_a_journal_edited_by_hand_points_no_sign_in_anywhere(
    setup: OpenSetup, places: Places, changes: dict[str, Any]
):
    edited(setup, **changes)
    await setup.close()
    with pytest.raises(Problem) as caught:
        await open_setup(places, "demo")
    assert caught.value.code in ("unsafe-environment", "unknown-cloud", "unknown-sign-in", "no-tenant")
    with places.real.open("demo"):
        pass  # nobody holds its lock


async def test_a_sandbox_signs_in_as_its_own_account_whatever_its_environment_says(tmp_path: Path):
    from wizard.environment import _azure_target

    box = {"sandbox": True, "kubeconfig": str(tmp_path / "kubeconfig"), "arm_url": "https://127.0.0.1:1"}
    target = _azure_target(EnvironmentSet(**box, sign_in="cli", cloud="china", tenant_id="contoso.cn"))  # type: ignore[arg-type]
    assert target is not None
    assert (target.identity, target.cloud, target.tenant) == ("managed", "public", None)
    assert target.arm_url == "https://127.0.0.1:1"


async def test_a_copied_file_signs_nobody_in(setup: OpenSetup, places: Places, monkeypatch: pytest.MonkeyPatch):
    await setup.close()
    monkeypatch.setattr("state.actor.os.uname", _elsewhere())
    copied = await open_setup(places, "demo")
    assert copied.session.readers == Readers()
    assert refused(copied.sign_in).code == "no-azure"
    await copied.close()


def _elsewhere() -> Callable[[], Any]:
    import os

    here = os.uname()
    return lambda: os.uname_result((here[0], "another-host", *here[2:]))
