"""What the step screen's keys and buttons mean: questions, then intents of the session or work of the open setup."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from textual.content import Content

from screens import opening
from screens.chrome import Choice
from screens.dialogs import Ask, Choose, Confirm, Note
from screens.glyphs import sign
from screens.grid import PLAIN, QUIET, ink, join, line, word
from screens.step_model import (
    ADD,
    CONFIRM,
    DO,
    GONE,
    HAND,
    HOME,
    LEAVE_IT,
    LINK,
    LOOK,
    OPEN_AGAIN,
    REOPEN,
    UNPROVEN,
    WHOLE_LOG,
    kind_label,
    missing_fields,
)
from state.events import BAD
from state.problem import Problem
from wizard.drafting import drafted, examined_file
from wizard.guide import ALREADY_DONE, DO_IT_FOR_ME, HAND_OFF, ItemStep, Plan
from wizard.identifiers import parse, strip_token
from wizard.secret import Secret
from wizard.status import current_finding, current_waiver, unobserved
from wizard.text import clean, one_line
from wizard.turns import step_word
from wizard.view import item_steps, linked

if TYPE_CHECKING:
    from screens.app import WizardApp
    from screens.field import FieldModel, FieldRow
    from screens.step import StepPage
    from wizard.open_setup import OpenSetup
    from wizard.portal_commands import PortalCommands
    from wizard.view import View


def _setup(app: WizardApp) -> OpenSetup:
    assert app.setup is not None  # noqa: S101 - the step screen is shown with an open setup only
    return app.setup


# ---------------------------------------------------------------- fields


async def commit(app: WizardApp, row: FieldRow, model: FieldModel, text: str) -> None:
    """Hands a finished draft to the session; what can't be taken stays as a draft, and the row says why.

    The row may have left the screen by then, and more may have been typed into it.
    """
    setup = _setup(app)
    assert model.item_step is not None  # noqa: S101 - step_model says it of every field
    view = setup.session.view(model.item_step)
    try:
        if model.field.secret:
            taken = _hold(setup, view, model, text)
        elif model.field.is_file and text.strip():
            look = await examined_file(view, model.field, text)
            setup.guarded(setup.session.set_field, model.owner, model.field.key, look.path, file=look.facts)
            taken = True
        else:
            done = setup.guarded(setup.session.set_field, model.owner, model.field.key, text)
            taken = done.parsed.ok or not text.strip()
    except Problem as problem:
        taken = False
        if setup.not_saved is not None:
            _keep_draft(setup, model, text)
            raise
        if row.is_attached and row.model.key == model.key:
            row.say("wrong", f"{problem.what} {problem.todo}".strip())
    if not taken:
        _keep_draft(setup, model, text)
        return
    setup.drafts.pop(model.key, None)
    if row.is_attached and row.model.key == model.key and row.input.value == text:
        if model.field.secret:
            row.forget()
        else:
            row.settled(setup.session.snapshot.value(*model.key) or "")


def _keep_draft(setup: OpenSetup, model: FieldModel, text: str) -> None:
    """What could not be taken is there again when one comes back; a secret is not."""
    if not model.field.secret:
        setup.drafts[model.key] = text


def _hold(setup: OpenSetup, view: View, model: FieldModel, text: str) -> bool:
    if drafted(view, model.field, model.owner, text).state != "ok":
        return False
    _keep_token(setup, model.owner, model.field.key, Secret(strip_token(text)))
    return True


def _keep_token(setup: OpenSetup, owner: str | None, key: str, secret: Secret) -> None:
    user = setup.session.snapshot.value(owner, "username") or ""
    setup.hold_secret(owner, key, secret, user=user)


async def take_secret(app: WizardApp, row: FieldRow) -> None:
    """Takes the token that the sandbox's portal shows; it is never drawn."""
    setup = _setup(app)
    give = getattr(app.offers, "secret", None)
    secret = give(row.model.field, row.model.owner) if give is not None else None
    if secret is not None:
        _keep_token(setup, row.model.owner, row.model.field.key, secret)
        row.forget()


async def saved(app: WizardApp, work: Callable[[], Awaitable[None]]) -> None:
    """Does what was asked for. A failed save is loud; nothing is written until the setup was opened again."""
    setup = _setup(app)
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


async def pick(app: WizardApp, row: FieldRow) -> None:
    """Picks a file for a field."""
    from screens.file_picker import PickFile

    chosen = await app.ask(PickFile(row.model.field.label, value=row.input.value or row.model.value))
    if isinstance(chosen, str) and row.is_attached:
        row.fill(chosen)
        row.commit()


async def paste(app: WizardApp, page: StepPage, text: str, row: FieldRow | None) -> None:
    """Puts pasted text where it belongs. The portal's commands fill the form; their token goes to memory only."""
    from wizard.portal_commands import parse_portal_commands

    commands = parse_portal_commands(text)
    if commands.looks_like_commands:
        await _fill(app, page, commands)
        return
    view = page.view
    if row is None or view is None:
        return
    model = row.model
    if model.field.secret:
        row.fill(strip_token(text))
        return
    offered = app.offers.of(view, model.field, model.owner) if app.offers is not None else ()
    found = drafted(view, model.field, model.owner, text, offered)
    # What is whole replaces what stands there; a piece goes to the cursor.
    if found.normalized or not row.input.value:
        row.fill(found.normalized or one_line(text, limit=10_000))
        if found.normalized and model.field.is_file:
            row.commit()
    else:
        row.input.insert_text_at_cursor(one_line(text, limit=10_000))


async def _fill(app: WizardApp, page: StepPage, commands: PortalCommands) -> None:
    from wizard.answers import TAKEN_FROM_COMMANDS

    setup, view = _setup(app), page.view
    keys = {field.key for field in page.model.step.fields}
    wanted = next(
        (step for step in setup.guide.steps if {field.key for field in step.fields} >= {"registry", "chart"}), None
    )
    if not keys & set(TAKEN_FROM_COMMANDS) or view is None:
        where = (
            f"Go to step {wanted.number} and paste them there." if wanted else "They belong to no step of this guide."
        )
        raise Problem("commands-elsewhere", "These are helm commands; nothing of them was taken.", todo=where)
    owners = {model.field.key: model for model in page.model.fields}
    taken, kept = [], []
    # What was being typed makes way for what the commands say.
    page.take_back(
        [owners[key].key for key in ("token", *TAKEN_FROM_COMMANDS) if key in owners and getattr(commands, key)]
    )
    if commands.token is not None and "token" in owners:
        user = commands.username or ""
        setup.hold_secret(owners["token"].owner, "token", commands.token, user=user)
        taken.append(owners["token"].field.label)
    for key in TAKEN_FROM_COMMANDS:
        value = getattr(commands, key)
        if value is None or key not in owners:
            continue
        model = owners[key]
        if model.field.is_file:
            try:
                look = await examined_file(view, model.field, value)
            except Problem:
                continue  # the portal's commands name a file that is yet to be downloaded
            setup.guarded(setup.session.set_field, model.owner, key, look.path, file=look.facts)
        elif not setup.guarded(setup.session.set_field, model.owner, key, value).parsed.ok:
            setup.drafts[model.key] = value
            kept.append(model.field.label)
            continue
        taken.append(model.field.label)
    for model in owners.values():
        if model.field.label in taken:
            setup.drafts.pop(model.key, None)
    page.go(page.model.item_step, page.model.step)
    await _tell_filled(app, taken, kept, commands)


async def _tell_filled(app: WizardApp, taken: list[str], kept: list[str], commands: PortalCommands) -> None:
    body = [f"Taken from the commands: {', '.join(taken) or 'nothing'}."]
    if commands.token is not None:
        body.append("The token is kept in memory only.")
    if kept:
        body.append(f"To be put right: {', '.join(kept)}.")
    body += [clean(problem) for problem in commands.problems]
    if commands.unknown:
        unknown = ", ".join(commands.unknown)
        body.append(f"Not taken over: {unknown}. Put what they set into the values file, or leave them out.")
    await app.ask(Confirm("The portal's commands", body, [Choice("ok", "Go on", "Goes on with the form.")]))


async def undo(app: WizardApp, page: StepPage) -> None:
    """Takes back the last answer given since the setup was opened."""
    setup = _setup(app)
    done = setup.guarded(setup.session.undo)
    if done is None:
        app.notify("Nothing was answered since this setup was opened.", markup=False)
        return
    page.settle((done.owner, done.field.key), done.restored or "")
    held = one_line(done.restored, limit=60) if done.restored else "nothing"
    app.notify(f"{done.field.label} holds {held} again.", markup=False)


# ---------------------------------------------------------------- choices


async def chosen(app: WizardApp, page: StepPage, choice: str) -> None:
    """Does what a button of the step says."""
    setup, place = _setup(app), page.model.item_step
    if choice == REOPEN:
        await reopen(app, setup)
    elif choice == ADD:
        await add_item(app, page)
    elif choice == HOME:
        await home(app)
    elif choice == LINK:
        await link_items(app, page)
    elif choice == WHOLE_LOG and page.model.work is not None:
        from screens.log import LogPage

        app.push_screen(LogPage(page.model.work))
    elif choice == LEAVE_IT:
        page.action_next()
    elif place is not None and choice == LOOK:
        page.action_look()
    elif place is not None and choice == DO:
        await do_it(app, page, place)
    elif place is not None and choice == CONFIRM:
        await confirm(app, page, place)
    elif place is not None and choice == UNPROVEN:
        await go_on_unproven(app, page, place)
    elif place is not None and choice == HAND:
        await hand_off(app, page, place)
    elif place is not None and choice == GONE:
        await say_gone(app, setup, place)


async def _ready(app: WizardApp, page: StepPage, place: ItemStep) -> bool:
    """Whether nothing is missing; else moves to what is."""
    setup = _setup(app)
    if page.unfinished():
        return False
    missing = missing_fields(page.model.fields)
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
    setup = _setup(app)
    if not await _ready(app, page, place):
        return
    plan = await _fresh_plan(setup, place)
    if plan is None:
        return
    if plan.empty:
        setup.look(place)
        app.notify("Already so: nothing was changed. Looking again how it is.", markup=False)
        return
    answer = await app.ask(_plan_question(plan, setup.sandbox))
    if answer == "start":
        if DO_IT_FOR_ME in page.model.step.routes:
            setup.guarded(setup.session.choose_route, place, DO_IT_FOR_ME)
        setup.apply(place, plan)


async def _fresh_plan(setup: OpenSetup, place: ItemStep) -> Plan | None:
    """The plan read just now: what was read a while ago may no longer be so. None when it could not be read."""
    setup.plan(place)
    work = await setup.settled(place)
    planned = setup.planned(place)
    return planned.plan if planned is not None and (work is None or work.problem is None) else None


def _plan_question(plan: Plan, sandbox: bool) -> Confirm:
    body: list[str | Content | tuple[str, str]] = []
    if plan.way_out:
        body += [plan.way_out, ""]
        if not plan.ours:
            body += ["This setup did not start that helm run; somebody else may be in the middle of it.", ""]
    body += [_change_line(change.sign, change.text) for change in plan.changes]
    body += [(f"{sign('stale')} {note}", "$warning") for note in plan.notes]
    body += ["", ("It runs exactly this:", QUIET), *(f"$ {command}" for command in plan.commands)]
    if plan.undo:
        body += ["", (f"To take it back: {plan.undo}", QUIET)]
    title = f"{plan.summary[:1].upper()}{plan.summary[1:]}?"
    label = "Start" if not plan.way_out else "Recover, then upgrade"
    return Confirm(
        f"SANDBOX  {title}" if sandbox else title,
        body,
        [
            Choice("start", label, f"{label}: runs the commands above; it can be cancelled, and left running."),
            Choice("back", "Back", "Back: nothing is changed."),
        ],
        first="back" if plan.way_out and not plan.ours else "start",
        danger=bool(plan.way_out) and not plan.ours,
        unhurried=True,
    )


def _change_line(sign: str, text: str) -> Content:
    kind, _, rest = text.partition(" ")
    return line(200, sign, kind, (ink(rest, QUIET if sign == "=" else PLAIN), 0)).rstrip()


async def confirm(app: WizardApp, page: StepPage, place: ItemStep) -> None:
    """Confirms the step's exact words, which stand on the screen."""
    setup = _setup(app)
    if not await _ready(app, page, place):
        return
    view = setup.session.view(place)
    if view.step.needs_observed and current_waiver(view) is None:
        missing = unobserved(view, setup.session.status().item_steps)
        if missing:
            await _needs_proof(app, page, place, missing)
            return
    bad = [
        record.data
        for check in view.step.checks
        if (record := current_finding(view, check)) is not None and record.data.verdict == BAD
    ]
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
    setup = _setup(app)
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
    setup = _setup(app)
    if not await _ready(app, page, place):
        return
    suggest = getattr(app.offers, "unproven_reason", None)
    reason = await app.ask(
        Ask(
            "Go on without observed proof",
            "Reason",
            lambda text: (
                bool(text.strip()),
                "ok" if text.strip() else "empty",
                "" if text.strip() else "a reason is needed",
            ),
            value=suggest(page.model.step) if suggest is not None else "",
            body=["The reason is written into the journal with your name, and every report shows it."],
        )
    )
    if isinstance(reason, str) and reason.strip():
        setup.guarded(setup.session.waive_proof, place, reason)
        setup.guarded(setup.session.attest, place)


async def hand_off(app: WizardApp, page: StepPage, place: ItemStep) -> None:
    """Shows the message for the other team to copy, and makes the step theirs."""
    setup = _setup(app)
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


async def say_gone(app: WizardApp, setup: OpenSetup, place: ItemStep) -> None:
    """Asks whether what was started on another host is gone there, and then finds out how it ended."""
    change = next(
        (
            one
            for one in setup.session.interrupted()
            if ItemStep(one.started.data.step, one.started.data.items) == place
        ),
        None,
    )
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


# ---------------------------------------------------------------- items


async def add_item(app: WizardApp, page: StepPage) -> None:
    """Adds an item of the kind this step needs, and asks only what is not clear: which others it belongs to."""
    setup, kind = _setup(app), page.model.adds
    session = setup.session
    taken = session.snapshot.items.get(kind, ())
    name = await app.ask(_name_question(app, setup, kind, taken))
    if not isinstance(name, str):
        return
    item = setup.guarded(session.add_item, kind, name)
    await _relate(app, setup, item)
    step = page.model.step
    places = item_steps(setup.guide, session.snapshot, step)
    page.go(next((place for place in places if item in place.items), None), step)


def _name_question(app: WizardApp, setup: OpenSetup, kind: str, taken: tuple[str, ...]) -> Ask:
    label = kind_label(setup, kind)

    def judge(text: str) -> tuple[bool, str, str]:
        parsed = parse("item-name", text)
        if parsed.ok and parsed.normalized in taken:
            return False, "wrong", f"there is a {label} of that name"
        return parsed.ok, parsed.state, parsed.message or f"a name of your own for this {label}"

    known = getattr(app.offers, "item_names", None)
    names = [*(known(kind) if known is not None else ()), *(f"{kind}-{number:02d}" for number in range(1, 1000))]
    return Ask(
        f"Add a {label}",
        "Name",
        judge,
        value=next((name for name in names if name not in taken), ""),
        body=["It is only what this setup calls it; nothing is made by it."],
    )


async def _relate(app: WizardApp, setup: OpenSetup, item: str) -> None:
    """Says which other items a new one belongs to, where that is not clear by itself."""
    session = setup.session
    kind = setup.guide.kind(item.partition("/")[0])
    if kind is None:
        return
    for reference in kind.references:
        targets = session.snapshot.items.get(reference.kind, ())
        if len(targets) > 1:
            target = await app.ask(Choose(f"{kind.label}: which {reference.kind}?", [(one, one) for one in targets]))
            if isinstance(target, str):
                setup.guarded(session.set_reference, item, reference.key, target)
    for other in setup.guide.kinds:
        if other.name in kind.linked_to:
            await _link(app, setup, item, other.name, from_new=True)
        elif kind.name in other.linked_to:
            await _link(app, setup, item, other.name, from_new=False)


async def _link(app: WizardApp, setup: OpenSetup, item: str, kind: str, *, from_new: bool) -> None:
    session = setup.session
    others = [f"{kind}/{name}" for name in session.snapshot.items.get(kind, ())]
    while others:
        if len(others) == 1 and not any(linked(session.snapshot, item, one) for one in _all(setup, kind)):
            choice: Any = others[0]
        else:
            options = [(one, one.partition("/")[2]) for one in others]
            choice = await app.ask(Choose(f"Link {item.partition('/')[2]} with", options, body=["esc: with no more"]))
        if not isinstance(choice, str):
            return
        source, target = (item, choice) if from_new else (choice, item)
        setup.guarded(session.link, source, target)
        others.remove(choice)


def _all(setup: OpenSetup, kind: str) -> list[str]:
    return [f"{kind}/{name}" for name in setup.session.snapshot.items.get(kind, ())]


async def link_items(app: WizardApp, page: StepPage) -> None:
    """Links items of a step's kinds that are not linked yet."""
    setup = _setup(app)
    first, *rest = page.model.step.per
    for item in _all(setup, first):
        for kind in rest:
            source = setup.guide.kind(first)
            await _link(app, setup, item, kind, from_new=bool(source and kind in source.linked_to))
    page.setup_changed()


async def pick_item(app: WizardApp, page: StepPage) -> None:
    """Picks one of the step's items."""
    width = max((len(tab.name) for tab in page.model.tabs), default=0) + 3
    options: list[tuple[str, Any]] = [
        (str(at), join(ink(tab.name.ljust(width)), word(tab.state, tab.text))) for at, tab in enumerate(page.model.tabs)
    ]
    here = next((str(at) for at, tab in enumerate(page.model.tabs) if tab.item_step == page.model.item_step), "")
    answer = await app.ask(Choose(page.model.step.title, options, here=here))
    if isinstance(answer, str):
        page.go(page.model.tabs[int(answer)].item_step, page.model.step)


async def pick_step(app: WizardApp, page: StepPage) -> None:
    """Picks a step, or home."""
    setup = _setup(app)
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


def item_commands(page: StepPage) -> list[tuple[str, str, str]]:
    """What the palette offers about items."""
    setup = page.open
    found = [("Add an item", "adds one more of what this step is taken for", "items('add')")] if page.model.adds else []
    if any(kind.linked_to for kind in setup.guide.kinds):
        found.append(("Link items", "says which items belong together", "items('link')"))
        found.append(("Unlink items", "takes a link back", "items('unlink')"))
    if any(setup.session.snapshot.items.values()):
        found.append(("Remove an item", "removes an item with its values and links", "items('remove')"))
    return found


async def change_items(app: WizardApp, page: StepPage, what: str) -> None:
    """Adds, links, unlinks or removes items, by name."""
    setup = _setup(app)
    snapshot = setup.session.snapshot
    if what == "add":
        await add_item(app, page)
    elif what == "link":
        sources = [item for kind in setup.guide.kinds if kind.linked_to for item in _all(setup, kind.name)]
        source = await app.ask(Choose("Link which", [(item, item) for item in sources]))
        if isinstance(source, str) and (kind := setup.guide.kind(source.partition("/")[0])) is not None:
            for other in kind.linked_to:
                targets = [one for one in _all(setup, other) if not linked(snapshot, source, one)]
                target = await app.ask(Choose("With which", [(one, one) for one in targets])) if targets else None
                if isinstance(target, str):
                    setup.guarded(setup.session.link, source, target)
    elif what == "unlink":
        options = [(f"{one} {other}", f"{one} and {other}") for one, other in snapshot.links]
        answer = await app.ask(Choose("Take back which link", options)) if options else None
        if isinstance(answer, str):
            setup.guarded(setup.session.unlink, *answer.split(" "))
    elif what == "remove":
        await _remove(app, setup)
    page.setup_changed()


async def _remove(app: WizardApp, setup: OpenSetup) -> None:
    items = [f"{kind}/{name}" for kind, names in setup.session.snapshot.items.items() for name in names]
    item = await app.ask(Choose("Remove which", [(one, one) for one in items]))
    if not isinstance(item, str):
        return
    busy = any(item in work.item_step.items for work in setup.running())
    body = [
        f"{item} is taken out of this setup with its values and links. The journal keeps its history.",
        "Nothing in Azure or the cluster is changed by it.",
    ]
    choices = [
        Choice("back", "Back", "Back: nothing is changed."),
        Choice("remove", "Remove", f"Takes {item} out of this setup."),
    ]
    if busy:
        raise Problem("busy-item", f"Something runs for {item}.", todo="Wait for its end, or cancel it first.")
    if await app.ask(Confirm(f"Remove {item}?", body, choices, danger=True)) == "remove":
        setup.guarded(setup.session.remove_item, item)


# ---------------------------------------------------------------- elsewhere


def look_all(setup: OpenSetup) -> None:
    """Looks at every item's step that has something to look at."""
    for step in setup.guide.steps:
        if step.checks:
            for place in item_steps(setup.guide, setup.session.snapshot, step):
                setup.look(place)


async def home(app: WizardApp) -> None:
    """The list of setups."""
    await opening.go_home(app)


async def review(app: WizardApp) -> None:
    """The open setup, read-only."""
    await opening.review(app, str(_setup(app).writer.path))
