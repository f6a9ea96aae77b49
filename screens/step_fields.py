"""What is typed, pasted, picked or taken back in a field of the step screen: intents of the session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from screens.chrome import Choice
from screens.dialogs import Confirm
from state.problem import Problem
from wizard.drafting import drafted, examined_file
from wizard.identifiers import strip_token
from wizard.listing import SOURCE
from wizard.offers import seen_by
from wizard.secret import Secret
from wizard.text import clean, one_line

if TYPE_CHECKING:
    from screens.app import WizardApp
    from screens.field import FieldModel, FieldRow
    from screens.step import StepPage
    from wizard.open_setup import OpenSetup
    from wizard.portal_commands import PortalCommands
    from wizard.view import View


async def commit(app: WizardApp, row: FieldRow, model: FieldModel, text: str, source: str) -> None:
    """Hands a finished draft to the session; what can't be taken stays as a draft, and the row says why.

    `source` is that of a value: typed, or where it was taken from.

    The row may have left the screen by then, and more may have been typed into it.
    """
    setup = app.opened
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
            done = setup.guarded(setup.session.set_field, model.owner, model.field.key, text, source=source)
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
    setup = app.opened
    give = getattr(app.offers, "secret", None)
    secret = give(row.model.field, row.model.owner) if give is not None else None
    if secret is not None:
        _keep_token(setup, row.model.owner, row.model.field.key, secret)
        row.forget()


async def pick_listed(app: WizardApp, row: FieldRow) -> None:
    """Picks a row of a field's list."""
    from screens.list_picker import PickListed, Typed

    model = row.model
    assert model.item_step is not None  # noqa: S101 - step_model says it of every field
    field, view = model.field, seen_by(app.opened.session.view(model.item_step), model.owner)
    lists = app.opened.lists
    sheet = PickListed(field.label, lambda again: lists.ask(view, field, again=again), lambda: lists.of(view, field))
    chosen = await app.ask(sheet)
    if not row.is_attached or row.model.key != model.key:
        return
    if isinstance(chosen, Typed):
        row.fill(chosen.text)
    elif isinstance(chosen, str):
        if clean(chosen) != chosen:
            raise Problem(
                "not-drawable",
                f"{SOURCE} has a name there with characters that can't be shown.",
                means="It could not be told from another one, so it was not taken.",
                todo="Type the value, or pick another row.",
            )
        row.take(chosen)


async def pick(app: WizardApp, row: FieldRow) -> None:
    """Picks a file for a field, or a row of its list."""
    if row.model.field.lists is not None:
        await pick_listed(app, row)
        return
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
        _commit_if_left(row)
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
    _commit_if_left(row)


def _commit_if_left(row: FieldRow) -> None:
    """A key right behind a paste may leave the field before the text is in it: leaving commits all the same."""
    if not row.input.has_focus:
        row.commit()


async def _fill(app: WizardApp, page: StepPage, commands: PortalCommands) -> None:
    from wizard.answers import TAKEN_FROM_COMMANDS

    setup, view = app.opened, page.view
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
    setup = app.opened
    done = setup.guarded(setup.session.undo)
    if done is None:
        app.notify("Nothing was answered since this setup was opened.", markup=False)
        return
    page.settle((done.owner, done.field.key), done.restored or "")
    held = one_line(done.restored, limit=60) if done.restored else "nothing"
    app.notify(f"{done.field.label} holds {held} again.", markup=False)
