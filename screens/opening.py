"""Opening and leaving: from what was asked for to the screen that shows it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from screens.chrome import Choice
from screens.dialogs import Confirm
from state.lock import Locked
from state.problem import Problem
from wizard import opening
from wizard.text import one_line

if TYPE_CHECKING:
    from screens.app import WizardApp
    from state.events import EnvironmentSet
    from state.snapshot import Snapshot
    from wizard.guide import Doer, ItemStep
    from wizard.open_setup import OpenSetup
    from wizard.opening import Start
    from wizard.work import Work

REHEARSAL = "rehearsal"
LEAVING = "-leaving"


async def begin(app: WizardApp, start: Start) -> None:
    """Opens what the command line asked for; where that fails, says why and shows home."""
    try:
        if isinstance(start, opening.New):
            await create(app, start.name, start.guide_id, start.mode)
        elif isinstance(start, opening.Resume):
            await resume(app, start.name)
        elif isinstance(start, opening.Review):
            await review(app, start.target, as_of=start.as_of, live=start.live)
        elif isinstance(start, opening.Rehearsal):
            await rehearse(app, start)
        else:
            home(app)
    except Problem as problem:
        home(app)
        await app.tell(problem)


# ---------------------------------------------------------------- home and the setups


def home(app: WizardApp) -> None:
    """Shows the list of setups."""
    from screens.home import HomePage

    _only(app, HomePage())


def _only(app: WizardApp, page: Any) -> None:
    """Shows a page with nothing behind it but the first frame."""
    while len(app.screen_stack) > 2:
        app.pop_screen()
    if len(app.screen_stack) == 2:
        app.switch_screen(page)
    else:
        app.push_screen(page)


async def go_home(app: WizardApp) -> None:
    """Leaves the open setup, asking first when something runs, and shows home."""
    if await leave(app, "Leave"):
        home(app)


async def create(app: WizardApp, name: str, guide_id: str, mode: str, environment: Any = None) -> None:
    """Makes a setup and shows what it needs from this machine, then its first step."""
    from wizard.open_setup import new_setup

    if not await leave(app, "Leave"):
        return
    setup = await new_setup(app.places, name, guide_id, mode, environment)
    await _enter(app, setup)
    show_step(app, None)
    if not setup.sandbox:
        await preflight(app)


async def resume(app: WizardApp, name: str) -> None:
    """Opens a setup where it was left; when somebody else writes it, offers review."""
    from wizard.open_setup import open_setup

    if not await leave(app, "Leave"):
        return
    await _serve(app, await asyncio.to_thread(_snapshot, app, name))
    try:
        setup = await open_setup(app.places, name)
    except Locked as locked:
        if not app.screen_stack[1:]:
            home(app)
        choice = await app.tell(
            locked,
            Choice("review", "Review", "Review opens it read-only: nothing can be changed, nobody is held up."),
            Choice("again", "Try again", "Try again opens it, if the other one has ended by now."),
        )
        if choice == "review":
            await review(app, name)
        elif choice == "again":
            await resume(app, name)
        return
    except Problem as problem:
        if problem.code not in ("read-only", "not-ours"):
            raise
        if not app.screen_stack[1:]:
            home(app)
        if await app.tell(problem, Choice("review", "Review", "Review opens it read-only.")) == "review":
            await review(app, name)
        return
    await _enter(app, setup)
    await _welcome(app, setup)


async def _enter(app: WizardApp, setup: OpenSetup) -> None:
    app.hold(setup)
    app.offers = await _offers(app, setup)


async def _offers(app: WizardApp, setup: OpenSetup) -> Any:
    """What fields may be offered: what the setup knows, and in the sandbox what its portal shows."""
    from wizard.offers import Offers, SandboxOffers

    if setup.sandbox and app.serving is not None:
        from pathlib import Path

        from wizard.answers import read_answers

        answers = await asyncio.to_thread(read_answers, Path(app.serving.info.answers_file))
        return SandboxOffers(answers)
    return Offers()


async def _welcome(app: WizardApp, setup: OpenSetup) -> None:
    from screens.resume import ResumePage

    _only(app, ResumePage())
    if setup.session.snapshot.environment is not None and not setup.session.environment_is_ours():
        await confirm_environment(app, setup)
    setup.resume_all()


async def confirm_environment(app: WizardApp, setup: OpenSetup) -> None:
    """Paths that came with a copied file are not used before somebody here says so (DESIGN.md section 3).

    Which Azure it is stays: a name of a cloud or tenant leads nowhere of its own.
    """
    from screens.preflight import CLOUD, TENANT, WAY, PreflightPage

    recorded = setup.session.snapshot.environment
    assert recorded is not None  # noqa: S101 - the caller looked
    body = (
        f"The kubeconfig, context and helm of {setup.name} were entered by {one_line(recorded.actor.user)} on "
        f"{one_line(recorded.actor.host)}. They are not used here until you say which cluster this setup acts on.",
        f"Azure stays as it is in the setup: {_azure_of(recorded.data)}.",
    )
    here = Choice(
        "here",
        "Use this machine's",
        "Takes kubeconfig, context and helm of this machine, keeps the setup's Azure, and shows all of it first.",
    )
    later = Choice("later", "Just look", "Nothing is looked at or acted on in a cluster; everything can be read.")
    answer = await app.ask(Confirm("This setup comes from somewhere else", body, [here, later], first="later"))
    if answer == "here":
        kept = ("sandbox", CLOUD, WAY, TENANT)
        await setup.point_to({key: getattr(recorded.data, key) for key in kept})
        app.push_screen(PreflightPage())


def _azure_of(environment: EnvironmentSet) -> str:
    """Which Azure a setup points to, and how one signs in there. It may be of a file that somebody else wrote."""
    from wizard.sign_in import CLOUDS, label_of

    if environment.sandbox:
        return "the sandbox's"
    cloud = CLOUDS.get(environment.cloud, environment.cloud)
    tenant = environment.tenant_id or "the sign-in's own"
    return one_line(f"cloud {cloud}, sign-in {label_of(environment.sign_in)}, tenant {tenant}")


async def rehearse(app: WizardApp, start: Any = None) -> None:
    """Opens the rehearsal in the sandbox: where it was left, or a new one."""
    from wizard.guides import DEFAULT
    from wizard.sandbox.answers import environment

    if not await leave(app, "Leave"):
        return
    if start is not None:
        app.serving = start.serving
    if REHEARSAL in app.places.sandbox.names():
        await resume(app, REHEARSAL)
        return
    await _serve(app, None)
    assert app.serving is not None  # noqa: S101 - just started
    info = app.serving.info
    await create(
        app,
        REHEARSAL,
        DEFAULT,
        "self-service",
        environment(info),
    )


def _snapshot(app: WizardApp, name: str) -> Snapshot:
    from state.snapshot import fold

    journal = app.places.holding(name).read(name)
    return fold(journal.header, journal.events)


async def _serve(app: WizardApp, snapshot: Snapshot | None) -> None:
    """A sandbox setup needs its servers; they are started when nobody has. None: those of a new rehearsal."""
    recorded = snapshot.environment if snapshot is not None else None
    if app.serving is not None or (snapshot is not None and (recorded is None or not recorded.data.sandbox)):
        return
    from wizard.rehearsal import start_serving

    app.serving = await start_serving(app.places, snapshot)


# ---------------------------------------------------------------- steps, preflight, review


def show_step(app: WizardApp, item_step: ItemStep | None) -> None:
    """Shows a step of the open setup; None is the one to go on with."""
    from screens.step import StepPage

    _only(app, StepPage(item_step))


async def preflight(app: WizardApp) -> None:
    """Shows whether this machine is ready."""
    from screens.preflight import PreflightPage

    if not isinstance(app.screen, PreflightPage):
        app.push_screen(PreflightPage())


async def review(
    app: WizardApp, target: str, *, as_of: str | None = None, live: Mapping[str, str] | None = None
) -> None:
    """Opens a setup or a file read-only; `live` as in `opening.Review`."""
    from wizard.reviewing import open_for_review, open_to_look_again

    found = await asyncio.to_thread(open_for_review, app.places, target, as_of)
    if live is None:
        from screens.review import ReviewPage

        app.push_screen(ReviewPage(found))
    else:
        from screens.review_live import LiveReviewPage

        again = await asyncio.to_thread(open_to_look_again, app.places, target, as_of, live)
        app.push_screen(LiveReviewPage(found, again))


# ---------------------------------------------------------------- leaving


async def leave(app: WizardApp, verb: str) -> bool:
    """Closes the open setup. What runs is asked about once; False when the answer was to stay."""
    setup = app.setup
    if app.closing:
        app.notify("Still ending what runs; helm marks its release before it goes.", markup=False)
        return False
    if setup is None:
        return True
    leaving = False
    if running := setup.running():
        if any(screen.has_class(LEAVING) for screen in app.screen_stack):
            return False  # it is being asked already
        question = _running_question(setup, running, verb)
        question.add_class(LEAVING)
        answer = await app.ask(question)
        if answer not in ("stop", "leave"):
            return False
        leaving = answer == "leave"
    await close(app, leave_running=leaving)
    return True


async def close(app: WizardApp, *, leave_running: bool) -> None:
    """Closes the open setup, and notes for the shell where it is kept and its head."""
    setup = app.setup
    if setup is None:
        return
    left = _doers(setup, setup.running()) if leave_running else ()
    app.hold(None)
    app.offers = None
    app.closing = True
    try:
        head = await setup.close(leave_running=leave_running)
    finally:
        app.closing = False
    app.farewell += [f"{setup.name} is saved in {setup.writer.path}", f"head {head}"]
    app.farewell += [f"{doer.name} goes on by itself; the next `resume` finds out how it ended." for doer in left]


def _doers(setup: OpenSetup, running: Iterable[Work]) -> tuple[Doer, ...]:
    """Who carries out what runs."""
    steps = [setup.guide.step(work.item_step.step) for work in running]
    return tuple(dict.fromkeys(step.doer for step in steps if step is not None and step.doer is not None))


def _running_question(setup: OpenSetup, running: Any, verb: str) -> Confirm:
    what = "; ".join(work.summary for work in running)
    doers = _doers(setup, running)
    body = [f"Running: {what}.", *(f"{doer.left} {doer.stop}" for doer in doers)]
    if setup.sandbox and verb == "Quit":
        body.append("The sandbox ends with the wizard, so here nobody goes on.")
    named = " and ".join(doer.name for doer in doers)
    return Confirm(
        f"{verb} while something runs?",
        body,
        [
            Choice("stay", "Stay", "Stay: goes back; nothing is stopped."),
            Choice(
                "leave",
                f"{verb}, leave it running",
                f"{named} {'go' if len(doers) > 1 else 'goes'} on alone; the next start finds out how it ended.",
            ),
            Choice("stop", f"{verb} and stop it", f"{verb} and stop it: {' '.join(doer.stop for doer in doers)}"),
        ],
        first="stay",
    )
