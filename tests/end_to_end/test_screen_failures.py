"""Every failure of step 7 reached through the screen: the same words as on the command line, and its way on.

The app itself, in Textual's driver, with the real helm, registry and cluster of the sandbox.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from screens.app import WizardApp
from screens.field import FieldRow
from screens.step import StepPage
from state.actor import current_actor
from state.events import GuideRef
from state.problem import Problem
from tests.end_to_end.harness import Machine, changed
from tests.end_to_end.piloted import Piloted
from tests.end_to_end.test_failures import FAILURES, Failure
from tests.end_to_end.walking import start
from tests.screens.harness import LARGE, shown, text_of
from wizard import opening
from wizard.answers import environment_of, read_answers
from wizard.environment import resolve_environment
from wizard.guide import ItemStep
from wizard.guides import guide
from wizard.places import Places, places
from wizard.session import Session
from wizard.status import field_states
from wizard.unattended import Run
from wizard.view import item_steps

STEP_7 = ItemStep("update-dpe", ("dpe/dpe-01",))


def prepared(machine: Machine, answers_file: Path) -> Places:
    """A setup on disk with every answer given and steps 1 to 6 confirmed; the token is in nobody's memory."""
    answers = read_answers(answers_file)
    found = guide(answers.guide)
    here = places(str(machine.state_dir))
    reference = GuideRef(id=found.id, version=found.version)
    with here.real.create("demo", reference, current_actor("run")) as writer:
        session = Session(writer, found, current_actor("screen"))
        session.set_environment(resolve_environment(environment_of(answers)))
        Run(session, answers, lambda _: None).commit_answers()
        for step in found.steps[:6]:
            for place in item_steps(found, session.snapshot, step):
                session.attest(place)
    return here


async def give_token(app: WizardApp, piloted: Piloted, token: str) -> None:
    """Pastes the token into its field, and leaves the field."""
    page = app.screen
    assert isinstance(page, StepPage)
    row = next(row for row in page.query(FieldRow) if row.model.field.secret)
    row.input.focus()
    await asyncio.to_thread(piloted.paste, token)
    await asyncio.to_thread(piloted.send, "Enter")
    await asyncio.to_thread(piloted.wait, "in memory")


async def start_step_7(app: WizardApp, piloted: Piloted) -> None:
    """Do it for me, and yes."""

    def keys() -> None:
        piloted.wait("reads what is there, shows the plan")
        page = app.screen
        assert isinstance(page, StepPage)
        piloted.wait("[ Do it for me ]")
        app.call_from_thread(lambda: page.query_one("Choices").focus_first())  # type: ignore[attr-defined]
        piloted.send("Enter")
        piloted.wait(lambda shown: "[ Start ]" in shown or "✗ failed" in shown or "… not yet" in shown)

    await asyncio.to_thread(keys)


def said(drawn: str) -> str:
    """What is drawn on a wide screen, with its folds undone and without the step list."""
    body = [line[37:] for line in drawn.split("\n")]
    return " ".join(" ".join(body).replace("▌", " ").split())


CASES = [pytest.param(failure, id=name.replace(" ", "-")) for name, failure in FAILURES.items()]


@pytest.mark.slow
@pytest.mark.parametrize("failure", CASES)
async def test_a_failure_is_explained_on_the_screen(
    machine: Machine, failure: Failure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name, value in machine.env().items():
        monkeypatch.setenv(name, value)
    with machine.sandbox(*failure.fault) as info:
        token = Path(info["registry_token_file"]).read_text().strip()
        here = prepared(machine, changed(info["answers_file"], tmp_path / "answers.yml", failure.answer))
        async with shown(here, opening.Resume("demo"), size=LARGE) as (app, pilot):
            piloted = Piloted(app, pilot)
            await asyncio.to_thread(piloted.wait, "[ Go on with step 7 ]")
            await asyncio.to_thread(piloted.send, "C-n")
            await asyncio.to_thread(piloted.wait, "Registry token")
            await give_token(app, piloted, token)
            await start_step_7(app, piloted)
            if "[ Start ]" in text_of(app):
                await asyncio.to_thread(start, piloted)
            what = failure.what.format(**info)
            await asyncio.to_thread(piloted.wait, lambda drawn: " ".join(what.split()[:6]) in said(drawn))
            told = problem_of(app)
            drawn = said(text_of(app))
            assert told.what == what
            # What happened, what it means and what to do stand on the screen, whole.
            for part in (told.what, told.means, told.todo):
                assert squeezed(part) in squeezed(drawn), drawn
            assert failure.means in told.means and failure.todo.format(**info) in told.todo
            assert token not in drawn
            # The way on: the same button again, or the field that was wrong.
            assert "Do it for me" in drawn
    assert token not in machine.journal("demo").read_text()
    ended = [event["data"] for event in machine.events("demo", "change_finished")]
    assert [data["facts"]["code"] for data in ended] == ([failure.ended] if failure.ended else [])
    await finished_later(machine, here)


async def finished_later(machine: Machine, here: Places) -> None:
    """With what was wrong put right, the same button ends it."""
    with machine.sandbox() as info:
        answers = read_answers(Path(info["answers_file"]))
        token = Path(info["registry_token_file"]).read_text().strip()
        with here.real.open("demo") as writer:
            session = Session(writer, guide(answers.guide), current_actor("screen"))
            session.set_environment(resolve_environment(environment_of(answers)))
            Run(session, answers, lambda _: None).commit_answers()
            assert all(state.state != "wrong" for state in field_states(session.view(STEP_7)))
        async with shown(here, opening.Resume("demo"), size=LARGE) as (app, pilot):
            piloted = Piloted(app, pilot)
            await asyncio.to_thread(piloted.wait, "[ Go on with step 7 ]")
            await asyncio.to_thread(piloted.send, "C-n")
            await asyncio.to_thread(piloted.wait, "Registry token")
            await give_token(app, piloted, token)
            await start_step_7(app, piloted)
            await asyncio.to_thread(start, piloted)
            await asyncio.to_thread(piloted.wait, "This step is observed")
        assert machine.history(info)[-1]["status"] == "deployed"


def problem_of(app: WizardApp) -> Problem:
    """The problem that the step shows."""
    page = app.screen
    assert isinstance(page, StepPage) and page.model.problem is not None
    return page.model.problem


def squeezed(text: str) -> str:
    """Without blanks: a long identifier is folded where it fits."""
    return "".join(text.split())
