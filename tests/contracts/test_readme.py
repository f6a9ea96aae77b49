"""The README names everything a user may type: a command that is added and not documented fails here."""

from __future__ import annotations

import re

import click
import pytest

from state import problem
from tests.contracts.conftest import ROOT
from wizard.cli import app

README = (ROOT / "README.md").read_text(encoding="utf-8")
EXIT_CODES = {value for name, value in vars(problem).items() if name.startswith("EXIT_")}


@pytest.mark.parametrize("command", sorted(app.commands))
def test_every_command_is_documented(command: str):
    assert re.search(rf"(privatelink-wizard |`){command}\b", README), f"README.md does not name `{command}`"


def test_every_exit_code_is_documented():
    rows = {int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)}
    assert rows == EXIT_CODES


def test_the_two_commands_to_try_it_are_there():
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for target in ("sandbox", "test"):
        assert f"make {target}" in README
        assert target in targets


def test_the_readme_names_no_command_or_option_that_is_not_there():
    """What is documented exists: every `privatelink-wizard COMMAND --option` of the README."""
    for line in re.findall(r"privatelink-wizard ([^`\n#]*)", README):
        words = line.split()
        if not words or words[0] not in app.commands:
            assert not words or not re.fullmatch(r"[a-z]+", words[0]) or words[0] in NOT_COMMANDS, line
            continue
        known = {option for parameter in app.commands[words[0]].params for option in parameter.opts}
        for word in words[1:]:
            if word.startswith("-") and word != "-":
                assert word.partition("=")[0] in known | {"-h", "--help"}, f"{words[0]} has no {word}"


# Words that follow the program's name in running text.
NOT_COMMANDS = frozenset(("opens", "is", "needs", "runs"))


def test_every_command_explains_itself():
    for name, command in app.commands.items():
        assert command.help, name
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{name} {parameter.opts}"
