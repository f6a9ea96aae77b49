"""What a cheap command may import: a list of modules, not a timing (DESIGN.md sections 5 and 8)."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

# Runs a command and tells, on the last line of stderr, every module that was loaded for it.
SCRIPT = """
import json, sys
from wizard.cli import main
code = main(sys.argv[1:])
print(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)
"""

HEAVY = (
    "textual",
    "azure",
    "kubernetes",
    "pyhelm3",
    "pydantic",
    "filelock",
    "yaml",
    "dns",
    "aiohttp",
    "cryptography",
    "jinja2",
    "ssl",
    "socket",
    "subprocess",
    "asyncio",
    "screens",
    "wizard.adapters",
    "wizard.actions",
    "wizard.sandbox",
)
# A report is made without anything that could act or look: adapters, actions, and the lock of a writer.
ABLE_TO_ACT = ("azure", "kubernetes", "pyhelm3", "filelock", "dns", "wizard.adapters", "wizard.actions.helm_release")


def loaded(env: dict[str, str], *arguments: str) -> tuple[int, list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments], env=env, capture_output=True, text=True, timeout=60, check=True
    )
    code, modules = json.loads(done.stderr.splitlines()[-1])
    return code, modules


def among(modules: list[str], forbidden: tuple[str, ...]) -> list[str]:
    return [name for name in modules if any(name == heavy or name.startswith(f"{heavy}.") for heavy in forbidden)]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["run", "--help"],
        ["list"],
        ["list", "-o", "json"],
        ["validate", "hostname", "dpm-1.example.link"],
        ["validate", "endpoint-id", "/subscriptions/x", "-o", "json"],
    ],
    ids=" ".join,
)
def test_cheap_commands_import_nothing_heavy(env: dict[str, str], arguments: list[str]):
    code, modules = loaded(env, *arguments)
    assert code in (0, 1)
    assert among(modules, HEAVY) == []


def test_list_reads_the_setups_it_does_so_lightly_for(env: dict[str, str]):
    """The test above means something: the guide and the journals were read in that process."""
    _, modules = loaded(env, "list")
    assert {"wizard.guides.ataccama_azure", "state.journal", "wizard.status"} <= set(modules)


def test_validate_loads_neither_the_engine_nor_the_store(env: dict[str, str]):
    _, modules = loaded(env, "validate", "subscription-id", "x")
    assert among(modules, ("wizard.guide", "wizard.guides", "wizard.session", "state.store", "msgspec")) == []


@pytest.mark.parametrize("form", ["text", "json", "html"])
def test_review_loads_nothing_that_could_act(env: dict[str, str], form: str):
    code, modules = loaded(env, "review", "prod", "-o", form)
    assert code == 0
    assert among(modules, ABLE_TO_ACT) == []
    assert "wizard.review" in modules
    assert ("jinja2" in modules) == (form == "html")
