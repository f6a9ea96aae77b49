"""A field at every key: what is right so far, what comes next, what is taken, and when it is committed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.events import Key, Paste

from screens import field as field_module
from state.events import FileFacts
from tests.screens.at_step import CONNECTIVITY, AtStep, at_step, attested, done_before_seven, filled, nowhere
from tests.setups import ALIAS, DPM, ENDPOINT_ID, MINIO, SUBSCRIPTION
from tests.wizard.engine import DNS, ENDPOINT, RESOURCE_ID, UPDATE
from tests.wizard.engine import SUBSCRIPTION as REGISTER
from wizard.open_setup import OpenSetup

# The whole app for every test: these run in `make test-slow` and CI.
pytestmark = pytest.mark.slow

OTHER = "11111111-2222-4333-8444-555555555555"
TOKEN = "q8Zk3Vt0Xw1Lr9Bn4Ms7Ty2Pd6Hf5Jc0Gv8Ka+ACRDtQx3"
COMMANDS = f"""helm registry login registry.new.example -u new-user -p {TOKEN}
helm upgrade --install dpe-new oci://registry.new.example/helm/dpe --version 17.0.1 -f values.yml"""


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere(tmp_path, monkeypatch)


def items_only(setup: OpenSetup) -> None:
    """The items and their links, no values."""
    session = setup.session
    for kind, name in (("subscription", "main"), ("endpoint", "pe-weu"), ("dpe", "dpe-01")):
        session.add_item(kind, name)
    session.link("dpe/dpe-01", "endpoint/pe-weu")


def nothing_leaks(at: AtStep, secret: str = TOKEN) -> None:
    """The secret is in no line, not drawn, not written, and in no widget's attributes."""
    assert secret not in at.solid
    assert secret[:12] not in at.solid
    assert secret not in at.on_disk()
    assert not [value for value in at.inputs() if secret[:12] in value]
    for screen in at.app.screen_stack:
        for widget in (screen, *screen.query("*")):
            assert secret not in repr({key: value for key, value in vars(widget).items() if isinstance(value, str)})
    assert secret not in repr(at.setup.drafts)
    assert secret not in at.app.clipboard


# ---------------------------------------------------------------- live


async def test_an_alias_is_judged_at_every_key(tmp_path: Path):
    async with at_step(tmp_path, ENDPOINT, items_only) as at:
        await at.at("link_service")
        told = []
        for character in ALIAS[: ALIAS.index("azure")]:
            await at.type(character)
            drafted = at.row("link_service")._drafted
            assert drafted is not None
            assert drafted.state == "not complete"
            told.append(drafted.message)
            assert at.row("link_service").state in at.flat
            # What comes next is on the screen, whole: by a message, or as what the right arrow adds.
            assert drafted.message.replace(" ", "") in at.solid
        assert len(set(told)) > 2, "what is next changes while one types"
        assert "✓ region westeurope" in at.flat
        assert "right arrow adds it" in at.flat

        await at.press("right")

        assert at.row("link_service").input.value == ALIAS
        assert at.row("link_service").state == "ok"
        assert at.value("endpoint/pe-weu", "link_service") is None, "a completion is a draft"
        await at.press("enter")
        assert at.value("endpoint/pe-weu", "link_service") == ALIAS


async def test_an_endpoint_id_of_another_subscription_is_wrong_and_the_reason_is_whole(tmp_path: Path):
    for size in ((80, 24), (120, 40)):
        async with at_step(tmp_path / str(size[0]), RESOURCE_ID, attested("endpoint"), size=size) as at:
            row = await at.at("endpoint_id")
            await at.clear()
            await at.paste(ENDPOINT_ID.replace(SUBSCRIPTION, OTHER))

            assert row.state == "wrong"
            assert "wrong" in at.text
            assert row._drafted is not None
            assert row._drafted.message.replace(" ", "") in at.solid
            assert at.value("endpoint/pe-weu", "endpoint_id") == ENDPOINT_ID


async def test_what_is_known_is_offered_and_taken_by_right_arrow(tmp_path: Path):
    def prepare(setup: OpenSetup) -> None:
        filled(setup)
        setup.session.set_field("endpoint/pe-weu", "endpoint_id", "")

    async with at_step(tmp_path, RESOURCE_ID, prepare) as at:
        await at.at("endpoint_id")
        assert "from steps 2 and 3" in at.flat
        assert ENDPOINT_ID in at.solid

        await at.press("right", "enter")

        assert at.value("endpoint/pe-weu", "endpoint_id") == ENDPOINT_ID


@pytest.mark.parametrize(
    ("around", "value"),
    [
        (f"  {SUBSCRIPTION}\r\n", SUBSCRIPTION),
        (f'"{SUBSCRIPTION.upper()}"', SUBSCRIPTION),
        (f"\n\n“{SUBSCRIPTION}”\n", SUBSCRIPTION),
        (f"https://portal.azure.com/#@x/resource/subscriptions/{SUBSCRIPTION}/overview", SUBSCRIPTION),
        (f"\x1b[31m{SUBSCRIPTION}\x1b[0m\u202e", SUBSCRIPTION),
    ],
)
async def test_a_paste_is_forgiven(tmp_path: Path, around: str, value: str):
    async with at_step(tmp_path, REGISTER, items_only) as at:
        await at.at("subscription_id")
        await at.paste(around)
        assert at.row("subscription_id").input.value == value
        await at.press("enter")
        assert at.value("subscription/main", "subscription_id") == value


async def test_a_piece_is_pasted_at_the_cursor_and_a_whole_value_replaces(tmp_path: Path):
    async with at_step(tmp_path, REGISTER, items_only) as at:
        await at.at("subscription_id")
        await at.type("8d2f41c7-")
        await at.paste("5b1e-4f0a-")
        assert at.row("subscription_id").input.value == "8d2f41c7-5b1e-4f0a-"
        await at.paste(SUBSCRIPTION)
        assert at.row("subscription_id").input.value == SUBSCRIPTION


# ---------------------------------------------------------------- when it is committed


@pytest.mark.parametrize("leaving", ["tab", "enter", "ctrl+n", "ctrl+r"])
async def test_leaving_the_field_commits(tmp_path: Path, leaving: str):
    async with at_step(tmp_path, CONNECTIVITY) as at:
        before = at.setup.session.snapshot.seq
        await at.type("production")
        assert at.value(None, "environment_name") is None
        assert at.setup.session.snapshot.seq == before

        await at.press(leaving)

        assert at.value(None, "environment_name") == "production"


async def test_the_state_and_the_time_of_saving_change_with_the_commit_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async with at_step(tmp_path, CONNECTIVITY) as at:
        monkeypatch.setattr("state.writer.now", lambda: "2099-01-02T03:04:05.000000Z")
        await at.type("production")
        assert "2099" not in at.text
        assert "needs Environment name" in at.flat

        await at.press("enter")

        assert "2 Jan 2099" in at.flat
        assert "needs Environment name" not in at.flat


async def test_rest_commits_what_is_right_and_the_cursor_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(field_module, "REST_SECONDS", 0.3)
    async with at_step(tmp_path, CONNECTIVITY) as at:
        await at.type("prod")
        await at.until(lambda: at.value(None, "environment_name") == "prod")
        await at.type("uction")
        assert at.row("environment_name").input.value == "production"
        await at.until(lambda: at.value(None, "environment_name") == "production")


async def test_rest_does_not_commit_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(field_module, "REST_SECONDS", 0.05)
    async with at_step(tmp_path, REGISTER, items_only) as at:
        await at.at("subscription_id")
        before = at.setup.session.snapshot.seq
        await at.type("zz")
        await at.pilot.pause(0.3)
        assert at.setup.session.snapshot.seq == before
        assert at.row("subscription_id").state == "wrong"


async def test_a_wrong_draft_is_kept_while_one_is_away_and_never_written(tmp_path: Path):
    async with at_step(tmp_path, REGISTER, items_only) as at:
        await at.at("subscription_id")
        await at.type("8d2f41c7-zz")
        await at.press("ctrl+n")
        await at.until(lambda: at.page.model.step.number == 3)
        assert at.value("subscription/main", "subscription_id") is None
        assert "8d2f41c7-zz" not in at.on_disk()

        await at.step(REGISTER)

        assert at.row("subscription_id").input.value == "8d2f41c7-zz"
        assert at.row("subscription_id").state == "wrong"
        assert "8d2f41c7-zz" in at.text

        await at.at("subscription_id")
        await at.press("ctrl+z")
        assert at.row("subscription_id").input.value == ""
        await at.step(CONNECTIVITY)
        await at.step(REGISTER)
        assert at.row("subscription_id").input.value == "", "taken back is taken back"


async def test_escape_takes_a_draft_back_first_and_goes_back_second(tmp_path: Path):
    async with at_step(tmp_path, REGISTER, filled) as at:
        await at.at("subscription_id")
        await at.type("zz")
        await at.press("escape")
        assert at.page.model.step.number == 2
        assert at.row("subscription_id").input.value == SUBSCRIPTION
        await at.press("escape")
        await at.until(lambda: at.page.model.step.number == 1)
        assert at.value("subscription/main", "subscription_id") == SUBSCRIPTION


async def test_undo_takes_back_drafts_then_answers_one_by_one(tmp_path: Path):
    async with at_step(tmp_path, CONNECTIVITY) as at:
        for name in ("one", "two"):
            await at.at("environment_name")
            await at.clear()
            await at.type(name)
            await at.press("enter")
        await at.at("environment_name")
        await at.type("-draft")

        await at.press("ctrl+z")
        assert at.row("environment_name").input.value == "two"
        assert at.value(None, "environment_name") == "two"
        await at.press("ctrl+z")
        assert (at.value(None, "environment_name"), at.row("environment_name").input.value) == ("one", "one")
        await at.press("ctrl+z")
        assert (at.value(None, "environment_name"), at.row("environment_name").input.value) == (None, "")
        before = at.setup.session.snapshot.seq
        await at.press("ctrl+z")
        assert at.setup.session.snapshot.seq == before


async def test_what_an_answer_makes_stale_is_said_before_it_is_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(field_module, "REST_SECONDS", 0.5)
    async with at_step(tmp_path, CONNECTIVITY, attested("connectivity")) as at:
        await at.at("environment_name")
        await at.type("-two")
        await at.until(lambda: "stale" in at.text)
        assert "Enter keeps it, esc takes it back" in at.flat
        await at.pilot.pause(0.9)
        assert at.value(None, "environment_name") == "production"

        await at.press("escape")
        assert "stale" not in at.text
        assert at.row("environment_name").input.value == "production"

        await at.type("-two")
        await at.until(lambda: "stale" in at.text)
        await at.press("enter")
        assert at.value(None, "environment_name") == "production-two"
        await at.until(lambda: "for other values" in at.flat)
        assert "stale" in at.text


# ---------------------------------------------------------------- commands and the token


@pytest.mark.parametrize("where", ["registry", "token", "chart", None])
async def test_the_portals_commands_fill_the_form_and_the_token_goes_to_memory(tmp_path: Path, where: str | None):
    async with at_step(tmp_path, UPDATE, filled) as at:
        if where:
            await at.at(where)
            await at.type("x")
        else:
            at.app.set_focus(None)
        await at.paste(COMMANDS)
        await at.sheet()
        assert "Taken from the commands" in at.flat
        nothing_leaks(at)
        await at.press("enter")
        await at.alone()

        wanted = {
            "registry": "registry.new.example",
            "username": "new-user",
            "release": "dpe-new",
            "chart": "oci://registry.new.example/helm/dpe",
            "version": "17.0.1",
        }
        await at.until(lambda: at.row("release").input.value == "dpe-new")
        assert {key: at.value("dpe/dpe-01", key) for key in wanted} == wanted
        assert {key: at.row(key).input.value for key in wanted} == wanted
        assert at.setup.has_secret("dpe/dpe-01", "token")
        assert "in memory" in at.flat
        nothing_leaks(at)


async def test_commands_pasted_on_another_step_are_not_taken(tmp_path: Path):
    async with at_step(tmp_path, REGISTER, filled) as at:
        await at.at("subscription_id")
        before = at.setup.session.snapshot.seq
        await at.paste(COMMANDS)
        await at.sheet()
        assert "step 7" in at.flat
        assert at.setup.session.snapshot.seq == before
        assert not at.setup.has_secret("dpe/dpe-01", "token")
        nothing_leaks(at)
        await at.press("enter")
        await at.alone()
        assert at.row("subscription_id").input.value == SUBSCRIPTION


async def test_a_typed_token_is_masked_and_gone_from_the_line_once_taken(tmp_path: Path):
    async with at_step(tmp_path, UPDATE, filled) as at:
        await at.at("token")
        await at.type(TOKEN)
        assert TOKEN[:4] not in at.text
        await at.press("ctrl+y")
        assert TOKEN not in at.app.clipboard
        await at.quiet()
        while at.app.screen is not at.page:
            assert TOKEN[:8] not in at.solid
            await at.press("escape")
        await at.at("token")
        await at.press("shift+home", "ctrl+c", "shift+home", "ctrl+x")
        assert TOKEN[:8] not in at.app.clipboard
        await at.clear()
        await at.paste(f'"{TOKEN}"\n')
        await at.press("enter")

        await at.until(lambda: at.setup.has_secret("dpe/dpe-01", "token"))
        assert at.row("token").input.value == ""
        assert "in memory" in at.text
        nothing_leaks(at)


async def test_a_token_in_an_ordinary_field_is_refused_and_said(tmp_path: Path):
    async with at_step(tmp_path, UPDATE, filled) as at:
        await at.at("username")
        await at.clear()
        await at.paste(TOKEN)
        await at.press("tab")
        assert at.row("username").state == "wrong"
        assert "token" in at.flat
        assert TOKEN not in at.on_disk()
        assert at.value("dpe/dpe-01", "username") == "dpe-user"


async def test_the_held_token_in_an_ordinary_field_is_refused_by_the_journal(tmp_path: Path):
    secret = "hunter-22-short"
    async with at_step(tmp_path, UPDATE, filled) as at:
        await at.at("token")
        await at.type(secret)
        await at.press("enter")
        await at.until(lambda: at.setup.has_secret("dpe/dpe-01", "token"))
        await at.at("release")
        await at.clear()
        await at.paste(secret)
        await at.press("enter")
        assert at.value("dpe/dpe-01", "release") == "dpe-01"
        assert secret not in at.on_disk()
        assert at.row("release").state == "wrong"
        assert "wrong" in at.text


# ---------------------------------------------------------------- files


async def test_a_values_file_shows_its_facts_and_warns_of_hosts_that_are_not_in_it(tmp_path: Path):
    good, other = tmp_path / "values.yml", tmp_path / "other values.yml"
    good.write_text(f"hosts: [{DPM}, {MINIO}]\n")
    other.write_text("hosts: [a.b.example.com]\n")
    async with at_step(tmp_path, UPDATE, filled) as at:
        await at.at("values_file")
        await at.type(str(good))
        await at.press("enter")
        await at.until(lambda: at.value("dpe/dpe-01", "values_file") == str(good))
        facts: Any = at.journalled("field_set")[-1].data
        assert isinstance(facts.file, FileFacts)
        assert set(facts.file.hosts) == {DPM, MINIO}
        await at.at("values_file")
        await at.until(lambda: "2 host names in it" in at.flat)
        assert facts.file.sha256[:4] in at.text

        await at.at("values_file")
        await at.paste(f"'{other}'")
        await at.until(lambda: at.value("dpe/dpe-01", "values_file") == str(other))
        await at.press("tab")
        assert f"{DPM}, {MINIO} is not in it: check that it is the file".replace(" ", "") in at.solid


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "can't be read"),
        (b"x" * 1_000_001, "larger than 1 MB"),
        (b"a: [", "can't be read, line 1"),
        (b"just text", "no settings"),
    ],
    ids=["missing", "too large", "no YAML", "no settings"],
)
async def test_a_file_that_is_none_says_what_to_do(tmp_path: Path, content: bytes | None, said: str):
    path = tmp_path / "values.yml"
    if content is not None:
        path.write_bytes(content)
    async with at_step(tmp_path, UPDATE, filled) as at:
        await at.at("values_file")
        await at.paste(f"{path} ")
        await at.press("enter")
        await at.until(lambda: at.row("values_file")._said)
        _, told = at.row("values_file")._said or ("", "")
        assert said in told
        await at.at("values_file")
        await at.until(lambda: told.replace(" ", "") in at.solid)
        assert at.value("dpe/dpe-01", "values_file") is None
        assert at.setup.drafts["dpe/dpe-01", "values_file"] == str(path)


async def test_a_done_step_keeps_its_file_when_another_one_is_only_typed(tmp_path: Path):
    async with at_step(tmp_path, UPDATE, done_before_seven) as at:
        before = at.value("dpe/dpe-01", "values_file")
        await at.at("values_file")
        await at.type("x")
        await at.press("escape")
        assert at.row("values_file").input.value == before
        assert at.value("dpe/dpe-01", "values_file") == before


async def test_values_are_typed_for_the_place_that_is_left(tmp_path: Path):
    """What was typed is for its own field, however quickly one goes on."""
    async with at_step(tmp_path, DNS, items_only) as at:
        await at.at("dpm_host")
        await at.type(DPM)
        await at.pilot.press("ctrl+n", "ctrl+n", "escape", "escape")
        await at.until(lambda: at.value("dpe/dpe-01", "dpm_host") == DPM)
        assert [event.data.field for event in at.journalled("field_set")] == ["dpm_host"]  # type: ignore[attr-defined]


async def test_a_key_right_behind_a_paste_does_not_lose_it(tmp_path: Path):
    """As one read of the terminal brings them: Enter leaves the line, and what was pasted is committed all the same."""
    async with at_step(tmp_path, ENDPOINT, items_only) as at:
        row = await at.at("resource_group")
        at.app.post_message(Paste("rg-net-data"))
        at.app.post_message(Key("enter", None))
        await at.until(lambda: at.setup.session.snapshot.value("endpoint/pe-weu", "resource_group") == "rg-net-data")
        assert not row.input.has_focus
