"""What the Azure actions and their looks share: ids, the pinned identity, words, and one change from start to end.

Azure's changes go on without us: a change is one request, and how it went is read from the resource (AZURE.md,
"Resume after a crash"). So applying and resuming look at the same things with the same words.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import shlex
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

from state.events import CANCELLED, DONE, FAILED, UNKNOWN
from state.problem import EXIT_BAD, EXIT_NOT_YET, Problem
from state.snapshot import Snapshot
from wizard.actions.change_end import BadEnd
from wizard.azure import (
    THROTTLED,
    AzureChanges,
    AzureIdentity,
    AzureReader,
    AzureWriter,
    Operation,
    Permission,
    require_same,
)
from wizard.guide import Log, Moment
from wizard.identifiers.arm_id import name_after
from wizard.ports import Readers, Writers
from wizard.sign_in import CODES
from wizard.together import together
from wizard.view import View

NAMESPACE = "Microsoft.Network"
"""The resource provider of endpoints, networks and private DNS zones."""

PIN = "azure"
"""The kind of the pinned identity."""

OUTCOME_UNKNOWN = "azure-outcome-unknown"
"""Code of the Problem that a writer raises when its answer was lost: the change may have begun, or not."""

TRIES = 5
"""Looks that may fail one after the other before a change that goes on is lost sight of."""

SIGN_IN_TRIES = 2
"""Such looks that may fail for want of a sign-in: after the first one a new token is asked for, after that a person."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long Azure is waited for, in seconds.

    `first`: until the second look, which doubles up to `poll`: what is quick is not waited for longer than it takes.
    `poll`: between two looks. `settle`: until a change must be at rest. `approval`: how long a provisioned endpoint
    may stay Pending. `appear`: what can't be seen this long after Azure has said that it is done does not come any
    more; `unseen`: the same where nobody knows how far Azure is, for a zone that is being made shows itself late.
    `again`: the waits before a request is made again that Azure refused for a reason that may pass; as many tries more.
    """

    first: float = 0.6
    poll: float = 2.5
    settle: float = 600.0
    approval: float = 60.0
    appear: float = 15.0
    unseen: float = 60.0
    again: tuple[float, ...] = (5.0, 15.0)


PACE = Pace()


# ---------------------------------------------------------------- ports and fields


def azure_of(readers: Readers) -> AzureReader:
    """The Azure reader. Raises Problem when this environment has none."""
    if readers.azure is None:
        raise _no_azure()
    return readers.azure


def writer_of(writers: Writers) -> AzureWriter:
    """The Azure writer. Raises Problem when this environment has none."""
    if writers.azure is None:
        raise _no_azure()
    return writers.azure


def _no_azure() -> Problem:
    return Problem(
        "no-azure",
        "Azure can't be used here.",
        todo="Run `privatelink-wizard doctor`; it says what is missing.",
        exit_code=EXIT_NOT_YET,
    )


def needed(view: View, key: str) -> str:
    """The value of a field. Raises Problem, naming the field, when it is empty."""
    value = view.value(key)
    if not value:
        label = view.guide.fields()[key].label
        raise Problem("needs-input", f"{label} is not known yet.", todo=f"Enter {label} first.", exit_code=EXIT_NOT_YET)
    return value


# ---------------------------------------------------------------- ids


def same_id(one: str, other: str) -> bool:
    """Whether two Resource IDs name the same thing; Azure compares them without case."""
    return one.rstrip("/").lower() == other.rstrip("/").lower()


def subscription_of(resource_id: str) -> str:
    """The subscription a resource is in."""
    return name_after(resource_id, "subscriptions")


def group_of(resource_id: str) -> str:
    """The resource group a resource is in."""
    return name_after(resource_id, "resourceGroups")


def network_of(subnet_id: str) -> str:
    """The VNet that a subnet is in, by Resource ID."""
    return subnet_id.rstrip("/").rsplit("/", 2)[0]


def last_name(resource_id: str) -> str:
    """The resource's own name."""
    return resource_id.rstrip("/").rpartition("/")[2]


def group_id(subscription: str, group: str) -> str:
    """The Resource ID of a resource group."""
    return f"/subscriptions/{subscription}/resourceGroups/{group}"


def network_resource(subscription: str, group: str, kind: str, name: str) -> str:
    """The Resource ID of something of Microsoft.Network, such as kind `privateEndpoints`."""
    return f"{group_id(subscription, group)}/providers/{NAMESPACE}/{kind}/{name}"


def step_with(view: View, key: str) -> str:
    """The step that a field is on, in words, as `step 4 (Provide the Resource ID)`; empty when no step has it."""
    steps = (step for step in view.guide.steps if any(field.key == key for field in step.fields))
    return next((f"step {step.number} ({step.title})" for step in steps), "")


def endpoint_id(view: View) -> str:
    """The Resource ID of the view's endpoint. Raises Problem when a part of it is not known."""
    return network_resource(
        needed(view, "subscription_id"),
        needed(view, "resource_group"),
        "privateEndpoints",
        needed(view, "endpoint_name"),
    )


# ---------------------------------------------------------------- words


def az(*words: str) -> str:
    """An `az` command as shell text."""
    return shlex.join(("az", *words))


def digest(commands: Sequence[str]) -> str:
    """The SHA-256 over a plan's or change's commands."""
    return hashlib.sha256(json.dumps(list(commands), ensure_ascii=False).encode()).hexdigest()


# ---------------------------------------------------------------- the pinned identity


def require_same_identity(view: View, found: AzureIdentity) -> None:
    """Raises Problem, naming both, when this is not the identity that the setup is pinned to."""
    require_pinned(view.snapshot, found)


def require_pinned(snapshot: Snapshot, found: AzureIdentity) -> None:
    """Raises Problem, naming both, when this is not the identity that the setup is pinned to; it may be to none."""
    pinned = snapshot.identities.get(PIN)
    if pinned is not None:
        facts = pinned.data.facts
        require_same(AzureIdentity(facts.get("tenant_id") or "", facts.get("object_id") or ""), found)


async def pin(view: View, planned: AzureIdentity, azure: AzureReader, log: Log) -> None:
    """Reads the identity again before a write. Stops when it is not the one planned with and pinned, else pins it."""
    found = await azure.identity()
    require_same(planned, found)
    require_same_identity(view, found)
    log.pinned(PIN, {"tenant_id": found.tenant_id, "object_id": found.object_id})


# ---------------------------------------------------------------- advice


async def notes_of(looks: Mapping[str, Coroutine[Any, Any, str]]) -> tuple[str, ...]:
    """What looks that only advise have to say, side by side. `looks` are named for when one can't be made.

    Each says one sentence, or nothing when there is nothing to say.
    """
    async with together() as group:
        tasks = [group.create_task(_noted(what, look)) for what, look in looks.items()]
    return tuple(note for task in tasks if (note := task.result()))


async def _noted(what: str, look: Coroutine[Any, Any, str]) -> str:
    try:
        return await look
    except Problem as problem:
        return f"{what} could not be looked at: {problem.what}"


async def provider_note(azure: AzureReader, subscription: str) -> str:
    """Says when a subscription has not registered the resource provider."""
    if await azure.provider_registered(subscription, NAMESPACE):
        return ""
    command = az("provider", "register", "--namespace", NAMESPACE, "--subscription", subscription)
    return f"{NAMESPACE} is not registered in subscription {subscription}: Azure will likely refuse. {command}"


async def group_note(azure: AzureReader, subscription: str, group: str) -> str:
    """Says when a resource group is not among those that can be read."""
    groups = await azure.resource_groups(subscription)
    if any(one.name.lower() == group.lower() for one in groups):
        return ""
    return f"resource group {group} is likely not there: it is not among those that can be read in {subscription}."


async def permission_note(azure: AzureReader, wanted: Mapping[str, Sequence[str]]) -> str:
    """Says which of the wanted actions (by scope) are likely not allowed; policies and locks are not seen.

    A scope whose permissions can't be read hides nothing of the others: in a hub and spoke they have several owners.
    """
    async with together() as group:
        tasks = [group.create_task(_permissions(azure, scope, actions)) for scope, actions in wanted.items()]
    every = [permission for task in tasks for permission in task.result()[0]]
    denied = [f"{one.action} at {one.scope}" for one in every if one.allowed is False]
    unknown = [one.action for one in every if one.allowed is None]
    said = [f"what is allowed could not be looked at: {why}" for task in tasks if (why := task.result()[1])]
    if denied:
        said.append(f"likely not allowed: {', '.join(denied)}. Ask for a role that holds it, or hand this step off.")
    if unknown:
        said.append(f"whether it is allowed could not be asked: {', '.join(unknown)}.")
    return " ".join(dict.fromkeys(said))


async def _permissions(azure: AzureReader, scope: str, actions: Sequence[str]) -> tuple[tuple[Permission, ...], str]:
    """What is allowed at one scope, and why that could not be read."""
    try:
        return await azure.permissions(scope, actions), ""
    except Problem as problem:
        return (), problem.what


# ---------------------------------------------------------------- waiting


class LostSight(Problem):
    """How a change ended is not known: it goes on in Azure, but can't be followed any more."""

    def __init__(self, name: str, why: str, *, detail: str = "") -> None:
        super().__init__(
            "azure-lost-sight",
            f"How {name} ended is not known: {why}",
            means="Azure may still be at it. It is not asked for a second time.",
            todo="Look again; the plan reads what is there before anything else is done.",
            detail=detail,
            exit_code=EXIT_NOT_YET,
        )


class Unwatched(Problem):
    """A change goes on in Azure, and can't be watched before somebody signs in: it has no end yet."""

    def __init__(self, name: str, why: Problem) -> None:
        super().__init__(
            why.code,
            f"{name} can't be watched any more: {why.what}",
            means="Azure goes on; sign in and the wizard looks how it ended. It is not asked for a second time.",
            todo=why.todo,
            detail=why.detail,
            exit_code=EXIT_NOT_YET,
        )


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look at a changed resource says. `outcome` (of state.events) is None while Azure is at it.

    `there` False: nothing of the change is to be seen, or not yet; `text` says what is there instead. `problem`: why it
    ended badly. `facts` are for the journal.
    """

    text: str
    outcome: str | None = None
    there: bool = True
    problem: Problem | None = None
    facts: Mapping[str, str] = field(default_factory=dict)


NOT_THERE = Seen("it is not there", there=False)

Look = Callable[[], Awaitable[Seen]]
Send = Callable[[AzureChanges], Awaitable[None]]
"""How a write is sent."""

Report = Callable[[Moment], None]


async def watch(
    look: Look,
    name: str,
    *,
    pace: Pace,
    progress: Report,
    operation: Callable[[], Awaitable[Operation]] | None = None,
) -> Seen:
    """Looks until Azure is done.

    Where Azure asks to slow down it is left alone for as long as it says: that is no failure to look, and what nobody
    could look for meanwhile is not missing.

    What does not appear ends as CANCELLED, what appeared and went away again as FAILED. How long that takes is
    measured here alone: a request may still be on its way when the program is killed, and the journal's times are those
    of a clock that may have been another host's. Raises Problem when Azure says its operation failed, LostSight when it
    can't be followed any more, Unwatched when somebody has to sign in first.
    """
    begun = last_there = time.monotonic()
    appeared, failures, unsigned = False, 0, 0
    wait = min(pace.first, pace.poll)
    while True:
        at = time.monotonic()
        elapsed, pause = at - begun, wait
        try:
            told = await operation() if operation else Operation("")
            seen = await look()
        except Problem as problem:
            text = problem.what
            if problem.code == THROTTLED:
                pause = min(max(wait, problem.wait or 0), max(0, pace.settle - elapsed))
                last_there += pause
                if pause:
                    text = f"{text.rstrip('.')}: waiting {math.ceil(pause)} s, then looking again"
            else:
                failures += 1
                unsigned = unsigned + 1 if problem.code in CODES else 0
                if unsigned >= SIGN_IN_TRIES:
                    raise Unwatched(name, problem) from problem
                if failures >= TRIES:
                    raise LostSight(name, problem.what, detail=problem.detail) from problem
        else:
            at_it = told.status == "InProgress"
            failures, unsigned = 0, 0
            text = f"{seen.text}, Azure is still at it" if at_it and seen.outcome else seen.text
            _require_no_failure(told, name)
            if seen.there or at_it:
                appeared, last_there = appeared or seen.there, at
            if not at_it:
                if seen.outcome is not None:
                    return seen
                if not seen.there and at - last_there >= (pace.appear if told.status else pace.unseen):
                    return _undone(seen, name) if appeared else replace(seen, outcome=CANCELLED)
        if elapsed >= pace.settle:
            raise LostSight(name, f"after {pace.settle:.0f} s it is still not at rest ({text}).")
        progress(Moment("part", f"{name}: {text}", ready=0, wanted=1, elapsed=elapsed, timeout=pace.settle))
        await asyncio.sleep(pause)
        wait = min(2 * wait, pace.poll)


def _undone(seen: Seen, name: str) -> Seen:
    """What was to be seen of a change and is not any more."""
    problem = Problem(
        "azure-undone",
        f"The change of {name} had begun, and nothing of it is to be seen any more ({seen.text}).",
        means="Somebody else removed it or changed it back meanwhile, or Azure gave it up.",
        todo="Run this step again: its plan reads what is there.",
        exit_code=EXIT_NOT_YET,
    )
    return replace(seen, outcome=FAILED, problem=problem)


def _require_no_failure(told: Operation, name: str) -> None:
    if told.status in ("Failed", "Canceled"):
        raise Problem(
            told.problem or "azure-failed",
            f"Azure did not make {name}: {told.code or told.status}.",
            means=told.means or "The request was taken and its work failed.",
            todo=told.todo or "Mend what Azure names, then run this step again: its plan reads what is there.",
            detail=told.message,
            exit_code=EXIT_BAD,
        )


# ---------------------------------------------------------------- one change from start to end


@dataclass(frozen=True, slots=True)
class Write:
    """One request that changes something. `does` and `facts` are what resuming recognises it by, `name` is for people.

    `waits`: whether Azure goes on working after its answer.
    """

    does: str
    resource: str
    name: str
    summary: str
    commands: tuple[str, ...]
    undo: str = ""
    waits: bool = True
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Applying:
    """One application of a plan: each write with its lines in the journal."""

    view: View
    identity: AzureIdentity
    azure: AzureReader
    writer: AzureWriter
    log: Log
    progress: Report
    pace: Pace

    async def pin(self) -> None:
        """Stops when Azure is asked as somebody else than the plan was made as, and while a change has no end."""
        for change in self.view.snapshot.changes.values():
            at = (change.started.data.step, tuple(change.started.data.items))
            if change.finished is None and at == (self.view.step.id, self.view.items):
                raise _still_open(change.started.data.summary)
        await pin(self.view, self.identity, self.azure, self.log)

    async def carry_out(self, write: Write, send: Send, look: Look) -> Seen:
        """Sends one write as the pinned identity, waits for it and journals both. Returns what is there then; raises
        Problem if it is not."""
        await self.pin()
        change = uuid4().hex
        self.log.started(
            change,
            summary=write.summary,
            commands=write.commands,
            digest=digest(write.commands),
            undo=write.undo,
            facts={"does": write.does, "resource": write.resource, "name": write.name, **write.facts},
        )
        # Cancelling stops our waiting and not Azure: the next look says what came of it.
        cancelled = (UNKNOWN, "not waited for any longer, Azure goes on with it")
        with BadEnd(self.log, change, write.summary, cancelled=cancelled, lost=LostSight, unwatched=Unwatched):
            self.progress(Moment("phase", write.summary))
            await _send(send(self.writer.acting_as(self.identity)))
            operation = (lambda: self.writer.operation(write.resource)) if write.waits else None
            seen = await watch(look, write.name, pace=self.pace, progress=self.progress, operation=operation)
            if seen.outcome == CANCELLED:
                raise LostSight(write.name, f"the request was sent, but nothing of it is to be seen: {seen.text}.")
            if seen.problem is not None:
                raise seen.problem
        self.log.finished(change, outcome=DONE, summary=f"{write.summary}: {seen.text}", **seen.facts)
        self.progress(Moment("part", f"{write.name}: {seen.text}", ready=1, wanted=1))
        return seen


async def _send(sending: Awaitable[None]) -> None:
    """Sends a request once. When its answer was lost the resource tells whether Azure took it."""
    try:
        await sending
    except Problem as problem:
        if problem.code == OUTCOME_UNKNOWN:
            return
        if problem.code in CODES:
            problem.means = f"{problem.means} Nothing was changed.".strip()
        raise


def _still_open(summary: str) -> Problem:
    return Problem(
        "change-open",
        f"How this ended is not known yet: {summary}.",
        means="Azure may still be at it, and is not asked a second time.",
        todo="Look how it ended first: open this setup again, or `run` it again.",
        exit_code=EXIT_NOT_YET,
    )


async def find_out(
    view: View,
    change: str,
    look: Look,
    *,
    azure: AzureReader,
    log: Log,
    progress: Report,
    pace: Pace,
) -> Seen:
    """Finds out by reading only how an interrupted change ended, and writes it. Raises Problem, and leaves it open,
    when that can't be told: another identity may not see what is there."""
    record = view.snapshot.changes[change]
    started = record.started.data
    require_same_identity(view, await azure.identity())
    progress(Moment("phase", f"look how it ended: {started.summary}"))
    name = started.facts.get("name") or started.summary
    seen = await watch(look, name, pace=pace, progress=progress)
    if seen.outcome == CANCELLED:
        # Days may have passed: that nothing of it is to be seen does not prove that it never was.
        said = f"{started.summary}: {seen.text}: Azure never began it, or it was undone since"
        log.finished(change, outcome=CANCELLED, summary=said)
    elif seen.problem is not None:
        log.finished(
            change,
            outcome=FAILED,
            summary=f"{started.summary}: {seen.problem.what}",
            **{**seen.facts, "code": seen.problem.code},
        )
    else:
        log.finished(change, outcome=seen.outcome or DONE, summary=f"{started.summary}: {seen.text}", **seen.facts)
    return seen
