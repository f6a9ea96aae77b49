"""The portal's two helm commands, pasted whole into the answers file, instead of step 7's fields."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.harness import Machine, changed, dpe

FIELDS = ("registry", "username", "chart", "version", "release", "namespace", "timeout")


def commands(info: dict[str, Any], password: str) -> str:
    return (
        f"$ helm registry login {info['registry']} -u {info['registry_user']} -p {password}\n"
        f"$ helm upgrade --install {info['release']} {info['chart']} \\\n"
        f"    --version {info['chart_version']} -f <values.yml> -n {info['namespace']} --timeout 2m\n"
    )


def test_the_commands_fill_the_fields(machine4: Machine, tmp_path: Path):
    with machine4.sandbox() as info:

        def paste(document: dict[str, Any]) -> None:
            for key in FIELDS:
                del dpe(document)[key]
            dpe(document)["commands"] = commands(info, "<private_access_token>")

        done = machine4.run("demo", changed(info["answers_file"], tmp_path / "a.yml", paste))
        assert done.code == 0, done.all
        assert [row["status"] for row in machine4.history(info)] == ["deployed"]
    values = {event["data"]["field"]: event["data"]["value"] for event in machine4.events("demo", "field_set")}
    assert {key: values[key] for key in ("registry", "username", "chart", "version", "release", "namespace")} == {
        "registry": info["registry"],
        "username": info["registry_user"],
        "chart": info["chart"],
        "version": info["chart_version"],
        "release": info["release"],
        "namespace": info["namespace"],
    }


@pytest.mark.slow
def test_a_token_in_a_file_of_commands_is_taken(machine4: Machine, tmp_path: Path):
    with machine4.sandbox() as info:
        token = Path(info["registry_token_file"]).read_text().strip()
        pasted = tmp_path / "commands.txt"
        pasted.write_text(commands(info, token))

        def paste(document: dict[str, Any]) -> None:
            del dpe(document)["token"]
            dpe(document)["commands"] = {"file": "commands.txt"}

        done = machine4.run("demo", changed(info["answers_file"], tmp_path / "a.yml", paste))
        assert done.code == 0, done.all
        assert token not in done.all + machine4.journal("demo").read_text()


def test_a_token_in_the_answers_file_is_refused(machine4: Machine, tmp_path: Path):
    with machine4.sandbox() as info:
        token = Path(info["registry_token_file"]).read_text().strip()

        def paste(document: dict[str, Any]) -> None:
            dpe(document)["commands"] = commands(info, token)

        refused = machine4.run("demo", changed(info["answers_file"], tmp_path / "a.yml", paste))
    assert refused.code == 1
    assert "holds the token itself" in refused.err
    assert token not in refused.all
    assert not machine4.journal("demo").exists()
