"""Hostile text through every screen on a real terminal: all that reaches it is our own drawing and clean text."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.end_to_end.harness import Machine, changed, dpe
from tests.end_to_end.hostile import ALL, ARGUMENT, PAYLOADS, read_journal, rechained
from tests.end_to_end.raw_terminal import BUSY, PATIENCE, RawTerminal, drawn_only
from tests.end_to_end.test_hostile import HELMS, answers_with, install, kubeconfig, spoiled
from tests.end_to_end.test_screen_failures import prepared

# Half a minute each: these run in `make test-slow` and CI.
pytestmark = pytest.mark.slow

SHOWN = "[/x]"
"""What of ALL must have been drawn, so that a screen that shows nothing proves nothing."""


def walk(terminal: RawTerminal) -> None:
    """Everything that a page can be made to show by keyboard; it ends on the page where it began."""
    terminal.over("f1", "Help", "pagedown", "pagedown")
    terminal.over("f4", "Evidence", "pagedown", "pagedown")
    copy(terminal)
    terminal.send("f6", "tab", "down", "down", "up", "right", "pagedown", "tab", "pagedown", "pageup")
    terminal.over("f2", "Go to", "down")
    terminal.over("ctrl+p", "Search", "down", "down")


def copy(terminal: RawTerminal, *, patience: float = BUSY) -> bool:
    """Copies what is shown; False when that is nothing."""
    return terminal.over("ctrl+y", "[ Close ]", "pagedown", patience=patience)


@pytest.fixture
def machine(tmp_path: Path, served: dict[str, Any]) -> Machine:
    """A machine with the sandbox's helm."""
    return Machine(tmp_path, Path(served["helm"]))


@pytest.fixture(scope="module")
def finished(served: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The journal of a whole setup."""
    machine = Machine(tmp_path_factory.mktemp("finished"), Path(served["helm"]))
    answers = answers_with(
        served, machine.home / "answers.yml", ("items", "dpe", "dpe-01", "namespace"), "hostile-screens", key=False
    )
    done = machine.run("demo", answers)
    assert done.code == 0, done.all
    return machine.journal("demo")


@contextmanager
def shown(
    machine: Machine,
    *arguments: str,
    first: str,
    size: tuple[int, int] = (120, 40),
    proof: str = SHOWN,
    typed: bool = False,
) -> Iterator[RawTerminal]:
    """The program on a terminal; at its end it is left, and what it wrote is judged."""
    env = machine.env() | {"TERM": "xterm-256color", "COLORTERM": "truecolor", "PYTHONFAULTHANDLER": "1"}
    with RawTerminal([sys.executable, "-m", "wizard", *arguments], env=env, size=size) as terminal:
        terminal.wait(first)
        yield terminal
        code = terminal.leave()
        written = bytes(terminal.written)
        drawn_only(written, typed=typed)
        assert code == 0, terminal.said()[-3000:]
    logs = [path for path in machine.home.rglob("log/*") if path.is_file()]
    assert not logs, logs[0].read_text()
    assert proof in terminal.said(), terminal.said()[-3000:]


# ---------------------------------------------------------------- journals of somebody else


@pytest.mark.parametrize("size", [(120, 40), (80, 24)], ids=str)
@pytest.mark.parametrize("beside", [True, False])
def test_review(machine: Machine, finished: Path, tmp_path: Path, size: tuple[int, int], beside: bool):
    header, events = read_journal(finished)
    path = tmp_path / "theirs.jsonl"
    path.write_bytes(rechained(header, spoiled(events, ALL, beside=beside)))
    with shown(machine, "review", str(path), first="READ-ONLY", size=size) as terminal:
        walk(terminal)
        terminal.send(*["up"] * 12)
        copy(terminal)
        terminal.over("f8", "[ Close ]")


def test_nothing_is_copied_unasked(machine: Machine, finished: Path, tmp_path: Path):
    header, events = read_journal(finished)
    path = tmp_path / "theirs.jsonl"
    path.write_bytes(rechained(header, spoiled(events, ALL, beside=True)))
    with shown(machine, "review", str(path), first="READ-ONLY") as terminal:
        terminal.send("down", "tab", "pagedown")
        assert drawn_only(bytes(terminal.written), copied=False) == []
        terminal.send("shift+tab")
        assert copy(terminal, patience=PATIENCE)
        assert drawn_only(bytes(terminal.written))


@pytest.mark.parametrize("beside", [True, False])
def test_home_and_resume(machine: Machine, finished: Path, beside: bool):
    header, events = read_journal(finished)
    install(rechained(header, spoiled(events, ALL, beside=beside)), machine.state_dir)
    with shown(machine, first="Whose turn") as terminal:
        walk(terminal)
    with shown(machine, "resume", "demo", first="[ ") as terminal:
        walk(terminal)


def test_resume_of_what_is_believed(machine: Machine, finished: Path):
    """Names of people, answers and evidence: what the journal takes as free text. The rest is as it was."""
    header, events = read_journal(finished)
    for event in events:
        event["actor"]["user"] += ALL
        event["actor"]["host"] += ALL
        for key in ("text", "todo", "summary", "reason"):
            if isinstance(event["data"].get(key), str):
                event["data"][key] += ALL
        for seen in event["data"].get("evidence", ()):
            for key in ("source", "request", "answer", "identity"):
                seen[key] += ALL
    install(rechained(header, events), machine.state_dir)
    with shown(machine, "resume", "demo", first="[ ") as terminal:
        terminal.send("ctrl+n")
        for number in range(8):
            terminal.send("f2", "up", *["down"] * number, "enter")
            walk(terminal)


# ---------------------------------------------------------------- what this machine holds


@pytest.mark.parametrize("current", [True, False])
def test_preflight(machine: Machine, served: dict[str, Any], tmp_path: Path, current: bool):
    """A hostile context is shown with its name, and offered with it."""
    config = kubeconfig(served, tmp_path / "config", ARGUMENT)
    if not current:
        document = yaml.safe_load(config.read_text())
        document["current-context"] = served["kube_context"]
        config.write_text(yaml.safe_dump(document))
    machine.extra_env["KUBECONFIG"] = str(config)
    with shown(machine, "new", "demo", first="Rights") as terminal:
        if not current:
            terminal.wait("[ Sign in ]")  # the looks have ended: no button comes in between any more
            for _ in range(8):
                terminal.send("tab")
                terminal.wait(lambda drawn: re.search(r"(Sign in|Go on|Look again|Cluster|helm|Azure): ", drawn))
                if "another context of the same" in terminal.said(terminal.mark):
                    break
            terminal.send("enter")
            terminal.wait("Kubeconfig")
            terminal.send("enter")
            terminal.wait(SHOWN)
            terminal.send("down", "escape")
        walk(terminal)


def test_files(machine: Machine, served: dict[str, Any], tmp_path: Path):
    """Names of files in the picker, and a values file of hostile names and text."""
    downloads = tmp_path / "Downloads"
    downloads.mkdir()
    for name, payload in PAYLOADS.items():
        if name != "long":
            (downloads / f"{payload.replace(chr(0), '').replace('/', '')}.yml").write_text(yaml.safe_dump({ALL: ALL}))
    prepared(machine, Path(served["answers_file"]))
    with at_step_7(machine, proof="[@click=app.quit]go[]") as terminal:
        begin = len(terminal.written)
        for key in ("f3", "tab") * 20:
            terminal.send(key)
            if "Pick the file" in terminal.said(begin):
                break
        terminal.wait(lambda _: "Pick the file" in terminal.said(begin))
        terminal.paste(f"{downloads}/")
        terminal.send("down", "down", "down", "enter")
        walk(terminal)


def test_paste(machine: Machine, served: dict[str, Any]):
    prepared(machine, Path(served["answers_file"]))
    with at_step_7(machine, typed=True) as terminal:
        for _ in range(12):
            terminal.paste(ARGUMENT)
            terminal.send("f1")
            terminal.wait("Help")
            terminal.send("escape")
            terminal.wait("Registry token")
            terminal.send("tab")
        terminal.paste(
            f"helm registry login {ARGUMENT} -u {ARGUMENT}\nhelm upgrade --install {ARGUMENT} oci://{ARGUMENT}"
        )
        terminal.send("enter")
        walk(terminal)


@contextmanager
def at_step_7(machine: Machine, *, typed: bool = False, proof: str = SHOWN) -> Iterator[RawTerminal]:
    """A setup whose steps before are done, opened at step 7."""
    with shown(machine, "resume", "demo", first="[ ", typed=typed, proof=proof) as terminal:
        terminal.send("ctrl+n")
        terminal.wait("Registry token")
        yield terminal


# ---------------------------------------------------------------- a helm that is not what it seems

ENDS = ("✗ failed", "could not look", "… not yet", "Already so", "This step is observed")


@pytest.mark.parametrize(
    "kind",
    ["version", "history error", "history of hostile rows", "login", "upgrade", "upgrade done", "upgrade many lines"],
)
def test_helm(machine: Machine, served: dict[str, Any], tmp_path: Path, kind: str):
    (tmp_path / "payload").write_text("\n".join((ALL, PAYLOADS["long"], ALL)), encoding="utf-8")
    (tmp_path / "rows").write_text(json.dumps([{
        "revision": 1, "status": ALL, "chart": f"{ALL}-1.2.3", "description": ALL, "updated": ALL, "app_version": ALL,
    }]))  # fmt: skip
    helm = tmp_path / "helm"
    helm.write_text(
        f'#!/bin/sh\nP={tmp_path / "payload"} R={tmp_path / "rows"}\ncase "$1" in {HELMS[kind]} *) exit 9;; esac\n'
    )
    helm.chmod(0o755)

    def change(document: dict[str, Any]) -> None:
        document["environment"]["helm"] = str(helm)
        dpe(document)["namespace"] = "hostile-helm"

    prepared(machine, changed(served["answers_file"], tmp_path / "answers.yml", change))
    token = Path(served["registry_token_file"]).read_text().strip()
    # Endless lines hold nothing of it; what is no answer of helm's is not repeated.
    proof = {"upgrade many lines": "helm", "history of hostile rows": "could not be read"}.get(kind, SHOWN)
    with shown(machine, "resume", "demo", first="[ ", proof=proof) as terminal:
        terminal.send("ctrl+n")
        terminal.wait("Registry token")
        terminal.paste(token)
        terminal.send("enter")
        terminal.wait(lambda _: "in memory" in terminal.said())
        terminal.send("ctrl+p", *"Do it for me", "enter")
        terminal.wait(lambda drawn: "[ Start ]" in drawn or any(one in drawn for one in ENDS))
        # The plan, where there is one, is agreed to; a problem is only looked at.
        if "[ Start ]" in terminal.said(terminal.mark):
            # The question takes no key before it can have been read.
            for _ in range(3):
                terminal.rest()
            terminal.send("enter")
            terminal.wait(lambda drawn: any(one in drawn for one in ENDS))
        walk(terminal)
        terminal.send("ctrl+p", *"Log", "enter")
        if "type to search" in terminal.said(terminal.mark):
            terminal.send("x", "enter")
            copy(terminal)
            terminal.send("escape")
    assert token not in terminal.said()
