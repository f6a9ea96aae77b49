"""`run`: takes a guide's steps from an answers file, unattended; resumes where it was left.

It drives the same session as the screens. A missing answer is an error before anything is written; a human step that
the file does not confirm stops there; one item's failure stops only what waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from state.events import BAD, GOOD
from state.problem import EXIT_BAD, EXIT_NOT_YET, EXIT_OK, EXIT_USAGE, Problem
from wizard.actions.values_file import read_values
from wizard.answers import (
    INTERRUPTED,
    UNPROVEN_REASON,
    Answers,
    beside,
)
from wizard.guide import ALREADY_DONE, Field, ItemStep, Moment, Plan, Step
from wizard.status import FAILED, clashes, deciding, field_states, names, unobserved
from wizard.text import count, one_line
from wizard.view import View, item_steps

if TYPE_CHECKING:
    from wizard.session import Session

Say = Callable[[str], None]


@dataclass(slots=True)
class Result:
    """How a run ended: every problem met, with the item's step it belongs to."""

    problems: list[tuple[ItemStep, Problem]] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 done; 1 beats 3; a usage or state error is 2 (DESIGN.md section 5)."""
        codes = {problem.exit_code for _, problem in self.problems}
        for code in (EXIT_BAD, EXIT_USAGE, EXIT_NOT_YET):
            if code in codes:
                return code
        return EXIT_OK


class Run:
    """One unattended run over an open session."""

    def __init__(self, session: Session, answers: Answers, say: Say) -> None:
        self._session = session
        self._answers = answers
        # What helm, pods and servers say is said on, and may hold a token.
        self._say: Say = lambda text: say(session.redact(text))
        self._reporter = _Reporter(self._say)
        session.told = self._say
        self.result = Result()
        # First of all: from here on nothing that is said or written can hold one.
        for (kind, name, key), secret in answers.secrets.items():
            item = f"{kind}/{name}"
            user = answers.items[kind][name].get("username") or session.snapshot.value(item, "username") or ""
            session.hold_secret(item, key, secret, user=user)

    def commit_answers(self) -> None:
        """Writes what the file says and the journal does not yet have. Raises Problem for a value that is wrong."""
        session, answers = self._session, self._answers
        if answers.mode:
            session.set_mode(answers.mode)
        for kind, named in answers.items.items():
            for name in named:
                session.add_item(kind, name)
        for kind, named in answers.items.items():
            definition = session.guide.kind(kind)
            references = {ref.key for ref in definition.references} if definition else set()
            for name, values in named.items():
                for key in references & set(values):
                    session.set_reference(f"{kind}/{name}", key, values[key], source="answers")
        self._commit_links()
        for step in session.guide.steps:
            for definition_field in step.fields:
                self._commit_field(step, definition_field)
        if answers.probe:
            session.consent(answers.probe)
        self._require_right_values()

    def _commit_links(self) -> None:
        for source, target in self._answers.links:
            self._session.link(self._address(source), self._address(target))

    def _address(self, name: str) -> str:
        """The `kind/name` of a link's end: a bare name must be the name of one item only."""
        if "/" in name:
            return name
        found = [f"{kind}/{name}" for kind, named in self._session.snapshot.items.items() if name in named]
        if len(found) != 1:
            reason = "no item has that name" if not found else f"it may mean {', '.join(found)}"
            raise Problem(
                "unclear-link",
                f"The link names {one_line(name)}, but {reason}.",
                todo="Write it as kind/name, for example dpe/dpe-01.",
                exit_code=EXIT_BAD,
            )
        return found[0]

    def _commit_field(self, step: Step, definition: Field) -> None:
        for item, text in self._given(step, definition):
            if definition.is_file:
                values = read_values(str(beside(self._answers.path, text)))
                outcome = self._session.set_field(
                    item, definition.key, values.path, source="answers", file=values.facts
                )
            else:
                outcome = self._session.set_field(item, definition.key, text, source="answers")
            if not outcome.parsed.ok and text.strip():
                raise Problem(
                    "wrong-answers",
                    f"{definition.label} of {item or 'the setup'}: {outcome.parsed.message}",
                    todo="Correct it in the answers file and run again.",
                    exit_code=EXIT_BAD,
                )

    def _given(self, step: Step, definition: Field) -> list[tuple[str | None, str]]:
        if definition.owner is None:
            text = self._answers.word(step, definition.key)
            return [(None, text)] if text else []
        named = self._answers.items.get(definition.owner, {})
        return [
            (f"{definition.owner}/{name}", values[definition.key])
            for name, values in named.items()
            if definition.key in values
        ]

    def _require_right_values(self) -> None:
        """What several values must say together, before anything is done with them."""
        session = self._session
        wrong = list(clashes(session.guide, session.snapshot))
        for step in session.guide.steps:
            for item_step in item_steps(session.guide, session.snapshot, step):
                wrong += [
                    f"{state.owner or 'setup'} {state.field.key}: {state.message}"
                    for state in field_states(session.view(item_step))
                    if state.state == "wrong"
                ]
        if wrong:
            raise Problem(
                "wrong-answers",
                f"{count(len(wrong), 'value')} can't be right together.",
                todo="Correct them in the answers file and run again; nothing was done yet.",
                detail="\n".join(dict.fromkeys(wrong)),
                exit_code=EXIT_BAD,
            )

    # ------------------------------------------------------------ the steps

    async def take_steps(self) -> Result:
        """Takes every step of every item that can be taken; collects what could not."""
        result = self.result
        for step in self._session.guide.steps:
            places = item_steps(self._session.guide, self._session.snapshot, step)
            if not places:
                no_items = Problem(
                    "no-items",
                    f"Step {step.number} ({step.title}) has nothing to run for.",
                    todo=f"Add {' and '.join(step.per)} items, linked with each other, to the answers file.",
                )
                result.problems.append((ItemStep(step.id), no_items))
            for item_step in places:
                if any(place == item_step for place, _ in result.problems):
                    continue
                try:
                    await self._take(step, item_step)
                except Problem as problem:
                    result.problems.append((item_step, problem))
        return result

    async def finish_interrupted(self) -> None:
        """Finds out how what an earlier run began has ended. Comes first: the answers may name something else now."""
        result = self.result
        await self._session.sweep_probes()
        for change in self._session.interrupted():
            started = change.started.data
            item_step = ItemStep(started.step, tuple(started.items))
            step = self._session.guide.step(started.step)
            self._say(f"An earlier run was interrupted during: {started.summary}")
            gone = step is not None and self._answers.word(step, INTERRUPTED) == "gone"
            try:
                await self._session.resume(change, self._reporter, gone=gone)
            except Problem as problem:
                if problem.code == "interrupted-elsewhere":
                    problem.todo = (
                        "Look there. When it is gone, add to the answers file: "
                        f"fields: {{{started.step}: {{{INTERRUPTED}: gone}}}}, and run again."
                    )
                result.problems.append((item_step, problem))

    async def _take(self, step: Step, item_step: ItemStep) -> None:
        session = self._session
        status = session.status().item_steps[item_step]
        label = self._label(step, item_step)
        if status.done and await self._still_so(step, item_step):
            self._say(f"{label}: {status.status} already")
            return
        status = session.status().item_steps[item_step]
        if status.gate:
            view = session.view(item_step)
            raise Problem(
                "gate-shut",
                f"{label} waits for {names(view, status.gate)}.",
                todo="It goes on when that is done.",
                exit_code=EXIT_NOT_YET,
            )
        # A step that the file confirms was done in another way; one that nobody can confirm is always done here.
        if step.action is not None and not (step.attest and self._answers.attests(step)):
            await self._act(step, item_step, label)
        else:
            await self._confirm(step, item_step, label)

    async def _still_so(self, step: Step, item_step: ItemStep) -> bool:
        """Looks again at what can be looked at: what was done may have been undone behind our back."""
        if deciding(step):
            await self._session.look(item_step)
        return self._session.status().item_steps[item_step].done

    async def _act(self, step: Step, item_step: ItemStep, label: str) -> None:
        session = self._session
        self._warn(step)
        plan = await session.plan(item_step)
        self._show_plan(label, plan)
        if not plan.empty:
            self._require_no_obstacle(step, plan)
            await session.apply(item_step, plan, self._reporter)
        found = await session.look(item_step, closes=True)
        status = session.status().item_steps[item_step]
        for finding in found:
            self._say(f"  {finding.verdict}: {finding.text}")
        if not status.done:
            bad = any(finding.verdict == BAD for finding in found)
            raise Problem(
                "not-proven",
                f"{label} is {status.status}: {'; '.join(status.reasons) or 'not proven'}.",
                todo=next((finding.todo for finding in found if finding.todo), "Run `check` and look why."),
                exit_code=EXIT_BAD if bad else EXIT_NOT_YET,
            )
        self._say(f"{label}: {status.status}")

    def _require_no_obstacle(self, step: Step, plan: Plan) -> None:
        """What our own interrupted run left is taken out of the way unasked; anything else when the file says so."""
        obstacle = plan.obstacle
        if obstacle is None or not obstacle.risk:
            return
        key, value = obstacle.word
        if self._answers.word(step, key) == value:
            return
        raise Problem(
            "obstacle",
            obstacle.what,
            means=obstacle.risk,
            todo=f"Make sure that it harms nobody, then add to the answers file: fields: {{{step.id}: "
            f"{{{key}: {value}}}}}, and run again.",
            exit_code=EXIT_NOT_YET,
        )

    async def _confirm(self, step: Step, item_step: ItemStep, label: str) -> None:
        session = self._session
        self._warn(step)
        if step.checks:
            for finding in await session.look(item_step):
                self._say(f"  {finding.check}: {finding.verdict}, {finding.text}")
                if finding.todo and finding.verdict != GOOD:
                    self._say(f"    do next: {finding.todo}")
        await self._look_at_needed(step, item_step)
        view = session.view(item_step)
        if not self._answers.attests(step):
            text = step.attest.text(view) if step.attest else ""
            raise Problem(
                "needs-a-person",
                f"{label} needs a person.",
                means=" ".join((step.why, *step.instructions)),
                todo=f"When it is so, add {step.number} to `attest` in the answers file. It confirms: {text}",
                exit_code=EXIT_NOT_YET,
            )
        if ALREADY_DONE in step.routes:
            session.choose_route(item_step, ALREADY_DONE)
        self._waive(step, item_step, view)
        session.attest(item_step, answers_sha256=self._answers.sha256)
        status = session.status().item_steps[item_step]
        unproven = ", without observed proof" if status.unproven else ""
        self._say(f"{label}: {status.status}{unproven}")

    async def _look_at_needed(self, step: Step, item_step: ItemStep) -> None:
        """Looks again at what must be observed first and is not: an earlier look may have come too early for it."""
        session = self._session
        if not step.needs_observed:
            return
        for place in unobserved(session.view(item_step), session.status().item_steps):
            needed = session.guide.step(place.step)
            told = any(one == place for one, _ in self.result.problems)
            if told or needed is None or not deciding(needed):
                continue
            self._say(f"  {self._label(needed, place)}: looking again")
            for finding in await session.look(place):
                self._say(f"    {finding.check}: {finding.verdict}, {finding.text}")
            status = session.status().item_steps[place]
            if status.status == FAILED and not self._answers.word(step, UNPROVEN_REASON):
                raise Problem(
                    "not-proven",
                    f"{self._label(needed, place)} is {status.status}: {'; '.join(status.reasons)}",
                    todo=f"Put it right and run again: step {step.number} rests on it.",
                    exit_code=EXIT_BAD,
                )

    def _warn(self, step: Step) -> None:
        for warning in step.warnings:
            self._say(f"  ! {warning}")

    def _waive(self, step: Step, item_step: ItemStep, view: View) -> None:
        reason = self._answers.word(step, UNPROVEN_REASON)
        if not reason or not step.needs_observed:
            return
        if unobserved(view, self._session.status().item_steps):
            self._session.waive_proof(item_step, reason)

    def _label(self, step: Step, item_step: ItemStep) -> str:
        items = "".join(f" {item.partition('/')[2]}" for item in item_step.items)
        return f"Step {step.number}{items}: {step.title}" if items else f"Step {step.number}: {step.title}"

    def _show_plan(self, label: str, plan: Plan) -> None:
        self._say(f"{label}: plan" + (", already so" if plan.empty else ""))
        for change in plan.changes:
            self._say(f"  {change.sign} {change.text}")
        if not plan.empty:
            if plan.identity:
                self._say(f"  as {plan.identity}")
            for command in plan.commands:
                self._say(f"  $ {command}")
        for note in plan.notes:
            self._say(f"  ! {note}")


class _Reporter:
    """Narrates progress: each phase and log line once, the waiting only when something moved or 10 s passed."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._last = ""
        self._last_at = 0.0

    def __call__(self, moment: Moment) -> None:
        if moment.kind in ("phase", "line"):
            self._say(f"  {'»' if moment.kind == 'phase' else '|'} {moment.text}")
            return
        counted = moment.kind == "wait" and moment.ready is not None
        text = f"{moment.text} {moment.ready} of {moment.wanted} ready" if counted else moment.text
        if moment.kind == "part" and moment.ready:
            self._say(f"  » {text}")
            return
        now = asyncio.get_running_loop().time()
        if text != self._last or now - self._last_at >= REPEAT_SECONDS:
            left = max(0.0, moment.timeout - moment.elapsed)
            self._say(f"  » {text}, {moment.elapsed:.0f} s, gives up in {left:.0f} s")
            self._last, self._last_at = text, now


REPEAT_SECONDS = 10.0


def answers_path(text: str) -> Path:
    """The answers file's path as typed on the command line."""
    return Path(text).expanduser()
