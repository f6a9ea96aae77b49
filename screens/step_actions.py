"""What the step screen's buttons mean: questions, then intents of the session or work of the open setup."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from textual.content import Content

from screens import opening, step_items
from screens.chrome import Choice
from screens.dialogs import Ask, Body, Choose, Confirm, Note
from screens.glyphs import sign
from screens.grid import LABEL, PLAIN, QUIET, ink, join, line, word, wrapped
from screens.step_model import (
    ADD,
    CONFIRM,
    DO,
    GONE,
    HAND,
    HOME,
    INSIDE,
    LEAVE_IT,
    LINK,
    LOOK,
    MESSAGE,
    OPEN_AGAIN,
    PRESS,
    REOPEN,
    SIGN_IN,
    UNPROVEN,
    WHOLE_LOG,
    missing_fields,
    unproven_inside,
)
from state.problem import Problem
from wizard.current import bad_findings, current_waiver
from wizard.guide import ALREADY_DONE, BY_EXEC, BY_POD, DO_IT_FOR_ME, HAND_OFF, SAME, Change, Doer, ItemStep, Plan
from wizard.status import (
    unobserved,
)
from wizard.text import clean, one_line
from wizard.turns import step_word

if TYPE_CHECKING:
    from screens.app import WizardApp
    from screens.step import StepPage
    from state.snapshot import ChangeRecord
    from wizard.open_setup import OpenSetup
    from wizard.view import View


async def chosen(app: WizardApp, page: StepPage, choice: str) -> None:
    """Does what a button of the step says."""
    setup, place = app.opened, page.model.item_step
    if choice == REOPEN:
        await reopen(app, setup)
    elif choice == ADD:
        await step_items.add_item(app, page)
    elif choice == HOME:
        await home(app)
    elif choice == LINK:
        await step_items.link_items(app, page)
    elif choice == WHOLE_LOG and page.model.work is not None:
        from screens.log import LogPage

        app.push_screen(LogPage(page.model.work))
    elif choice == LEAVE_IT:
        page.action_next()
    elif choice == SIGN_IN:
        from screens.sign_in import sign_in

        if await sign_in(app):
            page.focus_first()  # there, a list that could not be read is read again
    elif place is not None and choice == LOOK:
        page.action_look()
    elif place is not None and (act := _AT_PLACE.get(choice)) is not None:
        await act(app, page, place)


async def _ready(app: WizardApp, page: StepPage, place: ItemStep, *, acting: bool = False) -> bool:
    """Whether nothing is missing; else moves to what is."""
    setup = app.opened
    if page.unfinished():
        return False
    missing = missing_fields(page.model.fields, acting=acting)
    if missing:
        page.focus_field(missing[0])
        return False
    gate = setup.session.status().item_steps[place].gate
    if gate:
        step = setup.guide.step(gate[0].step)
        if step is not None:
            app.notify(f"Step {page.model.step.number} waits for this one.", markup=False)
            page.go(gate[0], step)
        return False
    return True


async def do_it(app: WizardApp, page: StepPage, place: ItemStep) -> None:
    """Plans, shows exactly what would run, and on a yes does it."""
    setup = app.opened
    if not await _ready(app, page, place, acting=True):
        return
    if place_open := _unwatched(setup, place):
        setup.resume(place_open)  # it was asked for already: how it ended comes before anything else
        return
    plan = await _fresh_plan(setup, place)
    if plan is None:
        return
    if plan.empty:
        setup.look(place)
        app.notify("Already so: nothing was changed. Looking again how it is.", markup=False)
        return
    answer = await app.ask(_plan_question(plan, page.model.step.doer, setup.sandbox))
    if answer == "start":
        if DO_IT_FOR_ME in page.model.step.routes:
            setup.guarded(setup.session.choose_route, place, DO_IT_FOR_ME)
        setup.apply(place, plan)


def _unwatched(setup: OpenSetup, place: ItemStep) -> ChangeRecord | None:
    """The change of this item's step that can't be watched before somebody signs in."""
    work = setup.work.get(place)
    return setup.open_change(place) if work is not None and work.unsigned is not None else None


async def _fresh_plan(setup: OpenSetup, place: ItemStep) -> Plan | None:
    """The plan read just now: what was read a while ago may no longer be so. None when it could not be read."""
    setup.plan(place)
    work = await setup.settled(place)
    planned = setup.planned(place)
    return planned.plan if planned is not None and (work is None or work.problem is None) else None


def _plan_question(plan: Plan, doer: Doer | None, sandbox: bool) -> Confirm:
    body: list[Body] = []
    obstacle = plan.obstacle
    if obstacle is not None:
        body += [obstacle.what, "", *([obstacle.risk, ""] if obstacle.risk else [])]
    body += [partial(_change_lines, change) for change in plan.changes]
    body += [(f"{sign('stale')} {note}", "$warning") for note in plan.notes]
    if plan.commands:
        said = doer.commands if doer else "It runs exactly this:"
        as_whom = f", as {plan.identity}" if plan.identity else ""
        body += ["", (f"{said.removesuffix(':')}{as_whom}:", QUIET), *(f"$ {command}" for command in plan.commands)]
    if plan.undo:
        body += ["", (f"To take it back: {plan.undo}", QUIET)]
    title = f"{plan.summary[:1].upper()}{plan.summary[1:]}?"
    label = "Start" if obstacle is None else obstacle.label
    risky = obstacle is not None and bool(obstacle.risk)
    return Confirm(
        f"SANDBOX  {title}" if sandbox else title,
        body,
        [
            Choice("start", label, f"{label}: {doer.start if doer and plan.commands else 'does what stands above.'}"),
            Choice("back", "Back", "Back: nothing is changed."),
        ],
        first="back" if risky else "start",
        danger=risky,
        unhurried=True,
    )


def _change_lines(change: Change, width: int) -> list[Content]:
    """A change whole: nobody can say yes to what is cut off."""
    kind, _, rest = change.text.partition(" ")
    first, *more = wrapped(rest, max(20, width - LABEL - 3), QUIET if change.sign == SAME else PLAIN)
    indent = Content(" " * (LABEL + 3))
    return [line(width, change.sign, kind, (first, 0)), *(join(indent, one) for one in more)]


async def confirm(app: WizardApp, page: StepPage, place: ItemStep) -> None:
    """Confirms the step's exact words, which stand on the screen."""
    setup = app.opened
    if not await _ready(app, page, place):
        return
    view = setup.session.view(place)
    if view.step.needs_observed and current_waiver(view) is None:
        missing = unobserved(view, setup.session.status().item_steps)
        if missing:
            await _needs_proof(app, page, place, missing)
            return
    bad = bad_findings(view)
    if bad and not await _against_the_look(app, bad[0].text, bad[0].todo):
        return
    if ALREADY_DONE in view.step.routes:
        setup.guarded(setup.session.choose_route, place, ALREADY_DONE)
    setup.guarded(setup.session.attest, place)


async def _against_the_look(app: WizardApp, found: str, todo: str) -> bool:
    answer = await app.ask(
        Confirm(
            "A look says otherwise",
            [found, todo, "", "Your words are written beside what was looked at; both stay readable."],
            [
                Choice("back", "Back", "Back: nothing is confirmed."),
                Choice(
                    "confirm", "Confirm all the same", "Writes the words with your name, against what was looked at."
                ),
            ],
            danger=True,
        )
    )
    return bool(answer == "confirm")


async def _needs_proof(app: WizardApp, page: StepPage, place: ItemStep, missing: tuple[ItemStep, ...]) -> None:
    setup = app.opened
    first = setup.guide.step(missing[0].step)
    problem = Problem(
        "not-observed",
        f"{page.model.step.title} asks for proof that is not there.",
        means="What nobody looked at may not be so: a DPE without its DNS works, over the public internet.",
        todo="Look at it, or go on without observed proof and give the reason.",
        exit_code=3,
    )
    number = first.number if first else 0
    answer = await app.tell(
        problem,
        Choice("go", f"Go to step {number}", f"Go to step {number}: the first thing that was not observed."),
        Choice("unproven", "Go on without proof", "Asks for the reason, which is written down and shown everywhere."),
    )
    if answer == "go" and first is not None:
        page.go(missing[0], first)
    elif answer == "unproven":
        await go_on_unproven(app, page, place)


async def go_on_unproven(app: WizardApp, page: StepPage, place: ItemStep) -> None:
    """Asks for the reason, then confirms without observed proof."""
    setup = app.opened
    if not await _ready(app, page, place):
        return
    reason = await app.ask(
        Ask(
            "Go on without observed proof",
            "Reason",
            lambda text: (
                bool(text.strip()),
                "ok" if text.strip() else "empty",
                "" if text.strip() else "a reason is needed",
            ),
            body=["The reason is written into the journal with your name, and every report shows it."],
        )
    )
    if isinstance(reason, str) and reason.strip():
        setup.guarded(setup.session.waive_proof, place, reason)
        setup.guarded(setup.session.attest, place)


async def hand_off(app: WizardApp, page: StepPage, place: ItemStep) -> None:
    """Shows the message for the other team to copy, and makes the step theirs."""
    setup = app.opened
    view = setup.session.view(place)
    text = hand_off_text(setup, view)
    team = view.step.team
    answer = await app.ask(
        Confirm(
            f"Hand off to the {team}",
            [*text.split("\n")],
            [
                Choice("hand", "Hand off and copy", f"Copies the message; the step is then owed by the {team}."),
                Choice("copy", "Only copy", "Copies the message and changes nothing."),
                Choice("back", "Back", "Back: nothing is changed."),
            ],
        )
    )
    if answer == "hand":
        setup.guarded(setup.session.choose_route, place, HAND_OFF)
    if answer in ("hand", "copy"):
        app.copy(text)


def hand_off_text(setup: OpenSetup, view: View) -> str:
    """What another team needs to do a step: why, what to do, with which values, and how it is confirmed."""
    lines = [f"{view.step.title} ({setup.guide.title}, setup {setup.name})", "", view.step.why, ""]
    lines += [f"{number}. {text}" for number, text in enumerate(view.step.instructions, 1)]
    fields = setup.guide.fields()
    values = [(fields[key].label, value) for key in _keys(view) if (value := view.value(key))]
    lines += ["", *(f"{label}: {value}" for label, value in values)]
    if view.step.attest is not None:
        lines += ["", f"It is done when this is true: {view.step.attest.text(view)}"]
    return clean("\n".join(lines), keep_newlines=True, limit=20_000)


def _keys(view: View) -> list[str]:
    fields = view.guide.fields()
    own = [field.key for field in view.step.fields]
    return [key for key in (*own, *view.step.uses) if not fields[key].secret]


async def press(app: WizardApp, page: StepPage, place: ItemStep) -> None:
    """Presses what a person presses in the vendor's portal, in the sandbox's."""
    if page.unfinished():
        return
    missing = missing_fields(page.model.fields)
    if missing:
        page.focus_field(missing[0])
        return
    give = getattr(app.offers, "press", None)
    if give is not None:
        value = await give(app.opened.session.view(place))
        app.notify(f"The sandbox's portal has registered {one_line(value)}.", markup=False)


async def look_inside(app: WizardApp, page: StepPage, place: ItemStep) -> None:
    """Looks from inside the cluster, here or where this step needs it; asks once per setup whether it may."""
    setup = app.opened
    if not setup.session.may_probe:
        answer = await app.ask(_probe_question())
        if answer not in (BY_EXEC, BY_POD):
            return
        setup.guarded(setup.session.consent, answer)
    missing = unproven_inside(setup, setup.session.view(place), setup.session.status())
    places = missing or (place,)
    for one in places:
        setup.look(one)
    for one in places:
        await setup.settled(one)


def _probe_question() -> Confirm:
    return Confirm(
        "Look from inside the cluster?",
        [
            "Only the DPE's own cluster knows what the DPE is answered. So it is asked there, once for each host:",
            ("$ kubectl exec POD -- getent ahosts HOST", QUIET),
            "",
            "In a running pod: needs the right to create pods/exec; leaves nothing behind.",
            "Also a short-lived pod: where that can't be done, a pod with the DPE's own image runs the same for two "
            "minutes at most, and is removed.",
            "",
            "Your answer is written into the journal with your name, and counts for this setup.",
        ],
        [
            Choice(BY_EXEC, "In a running pod", "In a running pod: of the DPE, and in no other."),
            Choice(BY_POD, "Also a short-lived pod", "Also a short-lived pod: only where no running pod will do."),
            Choice("back", "Back", "Back: nothing is asked, and nothing is written."),
        ],
    )


async def message(app: WizardApp, page: StepPage, place: ItemStep) -> None:
    """Shows what to send to somebody who is waited for, to be copied."""
    view = app.opened.session.view(place)
    if view.step.message is not None:
        app.copy(clean(view.step.message(view), keep_newlines=True, limit=20_000))


async def say_gone(app: WizardApp, setup: OpenSetup, place: ItemStep) -> None:
    """Asks whether what was started on another host is gone there, and then finds out how it ended."""
    change = setup.open_change(place)
    if change is None:
        return
    answer = await app.ask(
        Confirm(
            "Is helm gone there?",
            [
                f"{change.started.data.summary} was started on {one_line(change.started.actor.host)}.",
                "If it still runs there and you say it is gone, two helm runs may meet.",
            ],
            [
                Choice("back", "Back", "Back: nothing is changed."),
                Choice("gone", "It is gone", "You looked there. The release tells how it ended."),
            ],
            danger=True,
        )
    )
    if answer == "gone":
        setup.resume(change, gone=True)


_AT_PLACE: dict[str, Callable[[WizardApp, StepPage, ItemStep], Awaitable[None]]] = {
    DO: do_it,
    CONFIRM: confirm,
    UNPROVEN: go_on_unproven,
    HAND: hand_off,
    PRESS: press,
    INSIDE: look_inside,
    MESSAGE: message,
    GONE: lambda app, page, place: say_gone(app, page.open, place),
}
"""What is done at one item's step."""


# ---------------------------------------------------------------- elsewhere


async def saved(app: WizardApp, work: Callable[[], Awaitable[None]]) -> None:
    """Does what was asked for. A failed save is loud; nothing is written until the setup was opened again."""
    setup = app.opened
    try:
        await work()
    except Problem as problem:
        if setup.not_saved is None:
            raise
        if any(isinstance(screen, Note) for screen in app.screen_stack):
            return  # it is being said already
        if await app.tell(problem, OPEN_AGAIN) == REOPEN:
            await reopen(app, setup)


async def reopen(app: WizardApp, setup: OpenSetup) -> None:
    """Opens the setup again after a save failed; what was typed meanwhile is there again."""
    name, drafts = setup.name, dict(setup.drafts)
    if not await opening.leave(app, "Leave"):
        return
    opening.home(app)  # nothing is shown of a setup that is closed, should it not open again
    await opening.resume(app, name)
    if app.setup is not None:
        app.setup.drafts.update(drafts)


async def pick_step(app: WizardApp, page: StepPage) -> None:
    """Picks a step, or home."""
    setup = app.opened
    session = setup.session
    status = session.status()
    options: list[tuple[str, Any]] = []
    for step in setup.guide.steps:
        state, text = step_word(setup.guide, session.snapshot, status, step)
        options.append((step.id, join(ink(f"{step.number} {step.title}".ljust(34)), word(state, text))))
    options.append(("", ink("Home: the list of setups", QUIET)))
    answer = await app.ask(Choose("Go to", options, here=page.model.step.id))
    if answer == "":
        await home(app)
    elif isinstance(answer, str) and (chosen_step := setup.guide.step(answer)) is not None:
        page.go(None, chosen_step)


async def home(app: WizardApp) -> None:
    """The list of setups."""
    await opening.go_home(app)


async def review(app: WizardApp) -> None:
    """The open setup, read-only."""
    await opening.review(app, str(app.opened.writer.path))
