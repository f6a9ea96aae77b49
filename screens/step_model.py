"""What the step screen shows for one item's step: plain data made from the open setup, drawn by `screens.sections`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from screens.chrome import Choice
from screens.field import FieldModel
from screens.times import when
from state.clock import now
from wizard.current import bad_findings, current_attestation, current_waiver, drift_of, why_stale
from wizard.guide import ALREADY_DONE, HAND_OFF, YOU, ItemStep, Plan, Step
from wizard.status import (
    EMPTY,
    FAILED,
    OBSERVED,
    OK,
    RUNNING,
    STALE,
    WAITING,
    Status,
    field_states,
    handed_off,
    names,
    unobserved,
)
from wizard.turns import place_word
from wizard.view import View, item_steps
from wizard.work import ACTING, PLANNING, RESUMING, Work

if TYPE_CHECKING:
    from state.events import FileFacts
    from state.problem import Problem
    from wizard.offers import Offers
    from wizard.open_setup import OpenSetup, Planned
    from wizard.status import SetupStatus

# Ids of the choices; the step screen has a method for each.
ADD, LINK, CONFIRM, UNPROVEN, HAND, DO, LOOK, NEXT, LEAVE_IT, CANCEL, WHOLE_LOG, GONE, HOME, REOPEN, MESSAGE, PRESS = (
    "add", "link", "confirm", "unproven", "hand-off", "do", "look", "next", "leave", "cancel", "log", "gone", "home",
    "reopen", "message", "press",
)  # fmt: skip
SIGN_IN = "sign-in"
INSIDE = "inside"

MOST_BESIDE_NEXT = 4
"""Choices beside which there is room for one more at 80 columns."""

OPEN_AGAIN = Choice(REOPEN, "Open it again", "Closes the setup, verifies what is on the disk, and goes on from there.")
"""The way on after a save failed."""

SIGN_IN_FIRST = Choice(SIGN_IN, "Sign in", "Sign in: to Azure; what stopped for want of it then goes on by itself.")


@dataclass(frozen=True, slots=True)
class Tab:
    """An item in the row of items: where it leads, its name, its state and the word for it."""

    item_step: ItemStep
    name: str
    state: str
    text: str


@dataclass(frozen=True, slots=True)
class CheckLine:
    """A look: its title, the verdict, what was found, what to do, and when; `stale` when the values changed since."""

    title: str
    state: str
    text: str
    todo: str
    at: str
    advises: bool


@dataclass(frozen=True, slots=True)
class Callout:
    """A bad truth, above the fields: its state, one sentence, and more lines."""

    state: str
    text: str
    more: tuple[str, ...] = ()
    word: str = ""


@dataclass(frozen=True, slots=True)
class Words:
    """The exact words a person confirms here, and who confirmed them and when; `state` says whether they count now."""

    text: str
    state: str
    said: str


@dataclass(frozen=True, slots=True)
class StepModel:
    """One item's step as it is now."""

    step: Step
    item_step: ItemStep | None
    owner: str
    tabs: tuple[Tab, ...]
    adds: str
    status: Status | None
    callout: Callout | None
    problem: Problem | None
    fields: tuple[FieldModel, ...]
    words: Words | None
    planned: Planned | None
    checks: tuple[CheckLine, ...]
    work: Work | None
    warnings: tuple[str, ...]
    choices: tuple[Choice, ...]

    @property
    def shows_work(self) -> bool:
        """Whether something acts here, or did."""
        return _shows(self.work)

    @property
    def busy(self) -> bool:
        """Whether something acts here now: then that is what is shown."""
        return _acts(self.work)

    @property
    def asks_to_sign_in(self) -> bool:
        """Whether signing in to Azure is offered."""
        return SIGN_IN_FIRST in self.choices


def _shows(work: Work | None) -> bool:
    return work is not None and work.kind in (ACTING, RESUMING)


def _acts(work: Work | None) -> bool:
    return work is not None and work.running and _shows(work)


def step_model(setup: OpenSetup, offers: Offers | None, step: Step, item_step: ItemStep | None) -> StepModel:
    """What to show for `item_step` of `step`; None when the step has no items yet."""
    session = setup.session
    status = session.status()
    tabs = _tabs(setup, status, step)
    adds = _adds(setup, step)
    again = (OPEN_AGAIN,) if setup.not_saved is not None else ()
    if item_step is None or item_step not in status.item_steps:
        return StepModel(
            step=step, item_step=None, owner=_owner(setup, step), tabs=tabs, adds=adds, status=None, callout=None,
            problem=None, fields=(), words=None, planned=None, checks=(), work=None, warnings=step.warnings,
            choices=(*again, *_choices_without_items(setup, step, adds)),
        )  # fmt: skip
    view, found = session.view(item_step), status.item_steps[item_step]
    work = setup.work.get(item_step)
    fields = tuple(_fields(setup, offers, view))
    planned = setup.planned(item_step)
    problem = work.problem if work is not None and not work.running else None
    return StepModel(
        step=step,
        item_step=item_step,
        owner=_owner(setup, step),
        tabs=tabs,
        adds=adds,
        status=found,
        callout=_callout(view, found, problem),
        problem=problem,
        fields=fields,
        words=_words(view, found, fields),
        planned=planned,
        checks=tuple(_checks(view)),
        work=work,
        warnings=step.warnings if not found.done else (),
        choices=(
            *again,
            *_sign_in_first(setup, view, work),
            *_choices(setup, view, status, fields, work, button=_portal_button(setup, offers, view)),
        ),
    )


def _owner(setup: OpenSetup, step: Step) -> str:
    owner = step.owner(setup.session.snapshot.mode)
    return f"{owner}, or the {step.team}" if HAND_OFF in step.routes and owner == YOU else owner


# ---------------------------------------------------------------- items


def _tabs(setup: OpenSetup, status: SetupStatus, step: Step) -> tuple[Tab, ...]:
    if not step.per:
        return ()
    found = []
    for place in item_steps(setup.guide, setup.session.snapshot, step):
        work = setup.work.get(place)
        # Between two changes, or two tries of one, the work goes on all the same.
        state, text = (RUNNING, RUNNING) if _acts(work) else place_word(setup.guide, status, place)
        names_of = [item.partition("/")[2] for item in place.items]
        found.append(Tab(place, " by ".join(names_of), state, text))
    return tuple(found)


def _adds(setup: OpenSetup, step: Step) -> str:
    """The item kind that is added here: the step's first one, whose other kinds exist already."""
    if not step.per:
        return ""
    snapshot = setup.session.snapshot
    missing = [kind for kind in step.per if not snapshot.items.get(kind)]
    return (missing or [step.per[0]])[0]


def kind_label(setup: OpenSetup, kind: str) -> str:
    """An item kind as a reader names it."""
    found = setup.guide.kind(kind)
    return found.label if found else kind


def _choices_without_items(setup: OpenSetup, step: Step, adds: str) -> tuple[Choice, ...]:
    label = kind_label(setup, adds)
    snapshot = setup.session.snapshot
    go_on = Choice(NEXT, "Next step", "Next step: looks at the step after this one; this one stays to do.")
    if all(snapshot.items.get(kind) for kind in step.per):
        first = Choice(LINK, "Link", f"Link: says which {' and '.join(step.per)} belong together.")
        return (first, Choice(ADD, f"Add a {label}", f"Adds one more {label}."), go_on)
    return (Choice(ADD, f"Add a {label}", f"This step is taken once for each {label}. Asks for a name."), go_on)


# ---------------------------------------------------------------- fields


def _fields(setup: OpenSetup, offers: Offers | None, view: View) -> list[FieldModel]:
    found = []
    for state in field_states(view):
        held = state.field.secret and setup.has_secret(state.owner, state.field.key)
        word, remark, care = state.state, state.message, False
        if state.field.secret:
            word, remark = (OK, "kept in memory until the wizard ends; never written") if held else (EMPTY, "")
        elif state.state == EMPTY:
            remark = ""
        elif state.field.is_file and (file := _file_of(view, state.owner, state.field.key)) is not None:
            remark, care = _file_remark(view, file)
        giver = ""
        if state.field.secret and not held:
            secret = getattr(offers, "secret", None)
            giver = "the sandbox's portal" if secret is not None and secret(state.field, state.owner) else ""
        found.append(
            FieldModel(
                state.field,
                state.owner,
                word,
                state.value,
                state.source,
                remark,
                held=held,
                secret_from=giver,
                care=care,
                item_step=view.item_step,
                later=state.field.from_action and view.step.action is not None and state.state == EMPTY,
            )
        )
    return found


def _file_of(view: View, owner: str | None, key: str) -> FileFacts | None:
    recorded = view.snapshot.values.get(owner, {}).get(key)
    return recorded.data.file if recorded else None


def _file_remark(view: View, file: FileFacts) -> tuple[str, bool]:
    """What is known of a file, and whether it is a warning."""
    missing = [
        host
        for used in view.step.uses
        if view.guide.fields()[used].kind == "hostname"
        for host in view.values(used)
        if host.lower() not in file.hosts
    ]
    if missing:
        return f"{', '.join(missing)} is not in it: check that it is the file of this environment", True
    count = "1 host name" if len(file.hosts) == 1 else f"{len(file.hosts)} host names"
    return f"{count} in it, sha256 {file.sha256[:4]}…{file.sha256[-4:]}", False


# ---------------------------------------------------------------- what is so


def _callout(view: View, found: Status, problem: Problem | None) -> Callout | None:
    """The worst that is known: a look that found it bad, or a change that failed."""
    if problem is not None:
        return None  # shown in full by itself
    if bad := bad_findings(view):
        return Callout(FAILED, bad[0].text, tuple(one for one in (bad[0].todo,) if one))
    if found.status in (FAILED, STALE):
        return Callout(found.status, "; ".join(found.reasons) or found.status)
    if found.unproven:
        return Callout(STALE, found.unproven, word="without observed proof")
    return None


def _words(view: View, found: Status, fields: tuple[FieldModel, ...]) -> Words | None:
    attest = view.step.attest
    if attest is None or (attest.unless_proven and found.status == OBSERVED):
        return None
    record = view.snapshot.attestations.get((view.step.id, view.items, attest.id))
    if record is None and missing_fields(fields):
        return None  # words with holes in them are not what will be confirmed
    if record is None:
        return Words(attest.text(view), "", "")
    current = current_attestation(view)
    said = f"{record.actor.user} on {record.actor.host}, {when(record.ts, now())}"
    if current is None:
        return Words(attest.text(view), STALE, f"confirmed by {said}, for other values")
    return Words(record.data.text, "attested", f"confirmed by {said}")


def _checks(view: View) -> list[CheckLine]:
    lines = []
    for check in view.step.checks:
        record = view.snapshot.findings.get((view.step.id, view.items, check.id))
        if record is None:
            lines.append(CheckLine(check.title, "", "not looked at yet", "", "", not check.decides))
            continue
        why = why_stale(view, check)
        drift = drift_of(view, check)
        state = STALE if why else record.data.verdict
        text = f"{record.data.text} ({why})" if why else record.data.text
        if drift is not None:
            text = f"drift: was {drift.was}, last seen {when(drift.until, now())}; is {drift.found}"
        todo = record.data.todo if record.data.verdict != "good" else ""
        lines.append(CheckLine(check.title, state, text, todo, when(record.ts, now()), not check.decides))
    return lines


# ---------------------------------------------------------------- what can be done


def _choices(
    setup: OpenSetup,
    view: View,
    status: SetupStatus,
    fields: tuple[FieldModel, ...],
    work: Work | None,
    *,
    button: str,
) -> list[Choice]:
    found = status.item_steps[view.item_step]
    if work is not None and _acts(work):
        return _while_running(view, work)
    look = Choice(LOOK, "Look again", "Look again: asks what is so now; changes nothing.")
    choices: list[Choice] = []
    last = view.step is setup.guide.steps[-1]
    if found.done and last:
        choices.append(
            Choice(HOME, "Home", f"This step is {found.status}. Home: the list of setups; this one is saved.")
        )
    elif found.done:
        choices.append(Choice(NEXT, "Next step", _next_line(found)))
    elif work is not None and work.problem is not None and work.problem.code == "interrupted-elsewhere":
        choices.append(Choice(GONE, "It is gone", "It is gone: you looked on the other host, and helm ended there."))
    elif _waits_for_answer(view, found):
        who = next(iter(found.reasons), "vendor")
        choices.append(Choice(MESSAGE, "Message", f"Message: what to send to the {who}, to be copied."))
    choices += _routes(setup, view, status, fields, work)
    if button:
        choices.append(
            Choice(PRESS, f"Portal: {button}", f"Presses {button} in the sandbox's portal, as you would do.")
        )
    inside = _look_inside(setup, view, status)
    if inside is not None and view.step.needs_observed:
        choices.insert(0, inside)  # proof first: without it nothing else here is worth much
    elif inside is not None:
        choices.append(inside)
    # ^r looks in any case.
    if view.step.checks and (inside is None or len(choices) < MOST_BESIDE_NEXT):
        choices.append(look)
    if work is not None and work.lines:
        choices.append(Choice(WHOLE_LOG, "Log", f"Log: all {work.lines} lines; the token is not in it."))
    # ^n stands below in any case; a row of buttons that does not fit is worse.
    if not found.done and not last and len(choices) < MOST_BESIDE_NEXT:
        choices.append(Choice(NEXT, "Next step", "Next step: looks at the step after this one; this one stays to do."))
    return choices


def _look_inside(setup: OpenSetup, view: View, status: SetupStatus) -> Choice | None:
    """The look from inside the cluster: where it belongs until somebody allowed it, and where its proof is needed."""
    if any(check.probe for check in view.step.checks) and not setup.session.may_probe:
        line = "Look inside: asks the cluster's own DNS, from a pod; you say first what is allowed."
        return Choice(INSIDE, "Look inside", line)
    places = unproven_inside(setup, view, status)
    if places and current_waiver(view) is None:
        return Choice(INSIDE, "Look inside", f"Look inside: at {names(view, places)}, from inside the cluster.")
    return None


def unproven_inside(setup: OpenSetup, view: View, status: SetupStatus) -> tuple[ItemStep, ...]:
    """Where a look from inside the cluster is missing that this step asks for; `unobserved` is empty where it asks for
    none."""
    found = ((place, setup.guide.step(place.step)) for place in unobserved(view, status.item_steps))
    return tuple(
        place
        for place, step in found
        if step is not None and any(check.probe and check.id == step.observed_by for check in step.checks)
    )


def _portal_button(setup: OpenSetup, offers: Offers | None, view: View) -> str:
    button = getattr(offers, "button", None) if setup.sandbox else None
    return button(view.step) if button is not None else ""


def _waits_for_answer(view: View, found: Status) -> bool:
    """Whether somebody has to act on what was done here."""
    return view.step.message is not None and found.status == WAITING and not handed_off(view)


def _routes(
    setup: OpenSetup, view: View, status: SetupStatus, fields: tuple[FieldModel, ...], work: Work | None
) -> list[Choice]:
    """The ways to get this step done. What was handed off is somebody else's before it is the wizard's."""
    found = status.item_steps[view.item_step]
    human = [] if found.done or view.step.attest is None else _human_choices(view, status, found, fields)
    if view.step.action is None:
        return human
    if _waits_for_answer(view, found):
        return [choice for choice in human if choice.id == CONFIRM]  # the wizard has done its part
    do = _do_choice(setup, view, found, fields, work)
    return [*human, do] if handed_off(view) else [do, *human]


def _sign_in_first(setup: OpenSetup, view: View, work: Work | None) -> tuple[Choice, ...]:
    stopped = work is not None and not work.running and work.unsigned is not None
    return (SIGN_IN_FIRST,) if stopped or setup.lists.unsigned(view) else ()


def _next_line(found: Status) -> str:
    return f"This step is {found.status}. Next step: goes on."


def _while_running(view: View, work: Work) -> list[Choice]:
    doer = view.step.doer
    return [
        Choice(
            LEAVE_IT, "Leave it running", "Leave it running: go and look at other steps; the line on top follows it."
        ),
        Choice(CANCEL, "Cancel", f"Cancel: {doer.cancel if doer else 'stops it.'}"),
        Choice(WHOLE_LOG, "Log", f"Log: all {work.lines} lines; the token is not in it."),
    ]


def missing_fields(fields: tuple[FieldModel, ...], *, acting: bool = False) -> list[FieldModel]:
    """What must be filled in or put right before anything can be done; when `acting`, but for what acting fills."""
    return [
        model
        for model in fields
        if model.state not in (OK, "from Azure")
        and (model.field.required or model.state not in (EMPTY, OK))
        and not (acting and model.field.from_action and model.state == EMPTY)
    ]


def _needs(view: View, found: Status, fields: tuple[FieldModel, ...], *, acting: bool = False) -> str:
    """What is missing first, as a clause; empty when nothing is."""
    missing = missing_fields(fields, acting=acting)
    if missing:
        labels = [model.field.label for model in missing]
        shown = ", ".join(labels[:3]) + (f" and {len(labels) - 3} more" if len(labels) > 3 else "")
        return f"needs {shown} first"
    if found.gate:
        return f"waits for {names(view, found.gate)}"
    return ""


def _do_choice(
    setup: OpenSetup, view: View, found: Status, fields: tuple[FieldModel, ...], work: Work | None
) -> Choice:
    label = "Do it again" if found.done else "Do it for me"
    if needs := _needs(view, found, fields, acting=True):
        return Choice(DO, label, f"{label} {needs}.")
    if work is not None and work.running and work.kind == PLANNING:
        return Choice(DO, label, f"{label}: reading what is there…")
    planned = setup.planned(view.item_step)
    if planned is None:
        return Choice(DO, label, f"{label}: reads what is there, shows the plan, and asks before anything changes.")
    if planned.plan.empty:
        return Choice(DO, label, "Already so: nothing would change. Looks again how it is.")
    return Choice(DO, label, f"{label}: {planned.plan.summary}{_as_whom(planned.plan)}, once you confirm.")


def _as_whom(plan: Plan) -> str:
    """With whose identity, as short as a line needs it."""
    return f", as {plan.identity.partition(' (')[0]}" if plan.identity else ""


def _human_choices(view: View, status: SetupStatus, found: Status, fields: tuple[FieldModel, ...]) -> list[Choice]:
    label = "Already done" if ALREADY_DONE in view.step.routes else "I confirm"
    needs = _needs(view, found, fields)
    missing = unobserved(view, status.item_steps) if view.step.needs_observed else ()
    if handed_off(view):
        label = "It is done"
    choices: list[Choice] = []
    if missing and not needs and current_waiver(view) is None:
        choices.append(Choice(CONFIRM, label, f"{label} needs proof first: {names(view, missing)} not observed yet."))
        choices.append(
            Choice(
                UNPROVEN, "Go on without proof", "Go on without proof: asks for the reason, which is shown everywhere."
            )
        )
    else:
        line = f"{label} {needs}." if needs else f"{label}: writes the words above with your name, as attested."
        choices.append(Choice(CONFIRM, label, line))
    if handed_off(view):
        return [*choices, Choice(HAND, "Message again", f"Shows the message for the {view.step.team} again.")]
    if HAND_OFF not in view.step.routes:
        return choices
    hand = Choice(HAND, "Hand off", f"Hand off: a message for the {view.step.team} to copy; then the step is theirs.")
    # Beside `Do it for me` it comes second; else what a person does comes first.
    return [hand, *choices] if view.step.action is not None else [*choices, hand]
