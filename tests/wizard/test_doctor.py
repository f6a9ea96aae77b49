"""The preflight's look at the sign-in to Azure: as whom, in which tenant and cloud, and what to do otherwise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from state.events import EnvironmentSet
from state.problem import EXIT_NOT_YET, Problem
from tests.wizard.azure_world import ADA, World
from wizard.cli import main
from wizard.doctor import Line, examine, exit_code
from wizard.ports import Readers


async def azure(tmp_path: Path, readers: Readers, **where: object) -> Line:
    environment = EnvironmentSet(**where)  # type: ignore[arg-type]
    lines = await examine(environment, readers, tmp_path / "state", "default")
    (found,) = (line for line in lines if line.id == "azure")
    return found


async def test_it_says_as_whom_where_and_how_many_subscriptions(tmp_path: Path):
    found = await azure(tmp_path, Readers(azure=World()), cloud="china", sign_in="device-code")
    assert (found.state, found.todo, found.identity) == ("ok", "", ADA)
    for part in (ADA.name, ADA.tenant_id, ADA.object_id, "cloud China", "by Device code", "1 subscription can be read"):
        assert part in found.text


async def test_a_sign_in_that_is_missing_says_its_own_next_step(tmp_path: Path):
    world = World()
    world.fails["identity"] = [
        Problem("azure-not-logged-in", "Not logged in.", todo="Run `az login`.", exit_code=EXIT_NOT_YET)
    ]
    found = await azure(tmp_path, Readers(azure=world))
    assert (found.state, found.todo, found.code) == ("could not look", "Run `az login`.", "azure-not-logged-in")
    assert exit_code((found,)) == EXIT_NOT_YET


async def test_one_that_sees_no_subscription_is_not_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async def none() -> tuple[()]:
        return ()

    world = World()
    monkeypatch.setattr(world, "subscriptions", none)
    found = await azure(tmp_path, Readers(azure=world))
    assert found.state == "not yet" and "Reader" in found.todo and found.identity == ADA


async def test_a_sandbox_without_azure_says_so(tmp_path: Path):
    found = await azure(tmp_path, Readers(), sandbox=True)
    assert found.state == "could not look" and "--reset" in found.todo


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--cloud", "moon", "no cloud moon"),
        ("--sign-in", "magic", "no sign_in magic"),
        ("--tenant", "a/b", "no tenant"),
    ],
)
def test_what_can_not_be_is_refused_before_anything_is_asked(
    option: str, value: str, said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    assert main(["doctor", "--state-dir", str(tmp_path / "s"), option, value]) == 1
    assert said in capsys.readouterr().err


@pytest.mark.slow  # the SDKs are loaded
def test_the_json_has_the_line(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("PATH", "KUBECONFIG"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))
    main(["doctor", "--state-dir", str(tmp_path / "s"), "--tenant", "contoso.com", "-o", "json"])
    (line,) = (one for one in json.loads(capsys.readouterr().out)["checks"] if one["id"] == "azure")
    assert set(line) == {"id", "title", "state", "text", "todo"}
    assert (line["title"], line["state"]) == ("Azure sign-in", "could not look")
    assert "az login" in line["todo"]
