"""The session: the only writer of a setup.

Intent -> parse -> one event -> a new frozen snapshot; everything shown comes from the snapshot (DESIGN.md section 3).
The command line and the screens both drive this class; neither appends events itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from state.clock import now, seconds_between
from state.events import (
    COULD_NOT_LOOK,
    DONE,
    UNKNOWN,
    Actor,
    Attested,
    ChangeFinished,
    ChangeStarted,
    Data,
    EnvironmentSet,
    FieldSet,
    FileFacts,
    Found,
    IdentityPinned,
    ItemAdded,
    ItemRemoved,
    Linked,
    ModeSet,
    ProbeConsented,
    ProbeEnded,
    ProbeStarted,
    ProcessStarted,
    ProofWaived,
    RouteChosen,
    Unlinked,
)
from state.problem import EXIT_BAD, EXIT_NOT_YET, Problem
from state.snapshot import Snapshot, fold
from wizard.current import last_change, last_finding, seen_elsewhere
from wizard.evidence import redacted
from wizard.guide import NO_PROBE, PROBES, WEEK, Action, Check, Field, Finding, Guide, ItemStep, Moment, Plan, Step
from wizard.identifiers import Parsed, parse
from wizard.ports import Readers, Writers
from wizard.probing import Consented
from wizard.round import deadline, one_round
from wizard.secret import Secret
from wizard.status import (
    ACTION,
    SetupStatus,
    Status,
    derive,
    names,
    parse_field,
    unfilled,
    unobserved,
)
from wizard.text import one_line
from wizard.view import View

if TYPE_CHECKING:
    from state.snapshot import ChangeRecord, Recorded
    from state.store import Writer

# An unchanged finding is journalled again at most this often (DESIGN.md section 3).
REPEAT_FINDING_SECONDS = 15 * 60


@dataclass(frozen=True, slots=True)
class Commit:
    """The answer to a committed field: what the parser said, and whether anything changed."""

    parsed: Parsed
    changed: bool


@dataclass(frozen=True, slots=True)
class Undo:
    """An answer that is or was taken back: what the field held by it, and what it holds again (None: nothing)."""

    field: Field
    owner: str | None
    taken_back: str | None
    restored: str | None


@dataclass(frozen=True, slots=True)
class _Answer:
    """A field answered in this session, and what it held before."""

    item: str | None
    key: str
    before: FieldSet | None


class Session:
    """One setup, opened for writing by one actor. Not thread-safe; lives on one event loop.

    Every method that changes something raises `Problem` when the intent can't be taken, and then has written nothing.
    """

    def __init__(
        self,
        writer: Writer,
        guide: Guide,
        actor: Actor,
        *,
        readers: Readers | None = None,
        writers: Writers | None = None,
    ) -> None:
        self._writer = writer
        self._actor = actor
        self.guide = guide
        self.readers = readers or Readers()
        self.writers = writers or Writers()
        self._secrets: dict[tuple[str | None, str], Secret] = {}
        self._answers: list[_Answer] = []
        journal = writer.journal
        self._snapshot = fold(journal.header, journal.events, head=writer.head)
        self._status: tuple[Snapshot, str, SetupStatus] | None = None
        # Pods that a look of this session is at work with: it removes them itself.
        self._probing: set[str] = set()
        self._told_probes: set[str] = set()
        self.on_commit: Callable[[], None] = lambda: None
        self.told: Callable[[str], None] = lambda _: None
        """Hears of pods in the cluster that are left."""

    # ------------------------------------------------------------ what is

    @property
    def snapshot(self) -> Snapshot:
        """The setup as it is remembered now."""
        return self._snapshot

    def status(self) -> SetupStatus:
        """Where every item's step stands now, to the minute: the screens ask at every change that they draw."""
        minute = now()[:16]
        known = self._status
        if known is None or known[0] is not self._snapshot or known[1] != minute:
            known = self._status = (self._snapshot, minute, derive(self.guide, self._snapshot, now()))
        return known[2]

    def view(self, item_step: ItemStep) -> View:
        """The values, texts and fingerprints of one item's step."""
        step = self._step(item_step.step)
        return View(self.guide, self._snapshot, step, item_step.items, now=now())

    def _step(self, step_id: str) -> Step:
        step = self.guide.step(step_id)
        if step is None:
            raise Problem(
                "no-such-step",
                f"There is no step {one_line(step_id)} in the guide {self.guide.id}.",
                todo=f"Steps are {', '.join(f'{step.number} {step.id}' for step in self.guide.steps)}.",
            )
        return step

    # ------------------------------------------------------------ intents

    def commit(self, data: Data) -> None:
        """Appends one event, and folds it. Nothing is shown as saved before this returns."""
        event = self._writer.append(data, self._actor)
        self._snapshot = fold(self._snapshot.header, (event,), base=self._snapshot, head=self._writer.head)
        self.on_commit()

    def set_mode(self, mode: str) -> None:
        """Chooses who does what."""
        if mode not in self.guide.modes:
            raise Problem(
                "unknown-mode",
                f"The guide {self.guide.id} has no mode {one_line(mode)}.",
                todo=f"Modes are {', '.join(self.guide.modes)}.",
            )
        if mode != self._snapshot.mode:
            self.commit(ModeSet(mode=mode))

    def set_environment(self, environment: EnvironmentSet) -> None:
        """Says where this setup points. Written again when it was another host or user who said so."""
        recorded = self._snapshot.environment
        if recorded is not None and recorded.data.sandbox != environment.sandbox:
            raise Problem(
                "sandbox-is-permanent",
                f"{self._snapshot.header.name} is a {'sandbox' if recorded.data.sandbox else 'real'} setup.",
                means="What was confirmed and looked at there says nothing about the other.",
                todo="Begin a new setup under another name.",
            )
        if recorded is None or recorded.data != environment or not self.environment_is_ours():
            self.commit(environment)

    def environment_is_ours(self) -> bool:
        """Whether the environment was set by this user on this host; paths in a copied file are inert until then."""
        return environment_is_ours(self._snapshot, self._actor)

    def add_item(self, kind: str, name: str) -> str:
        """Adds an item and returns its address `kind/name`; one that is there already is left alone."""
        if self.guide.kind(kind) is None:
            raise Problem(
                "unknown-kind",
                f"The guide {self.guide.id} has no items of kind {one_line(kind)}.",
                todo=f"Kinds are {', '.join(known.name for known in self.guide.kinds)}.",
            )
        parsed = parse("item-name", name)
        if not parsed.ok:
            raise Problem("bad-item-name", f"{kind} {one_line(name)!r}: {parsed.message}", exit_code=EXIT_BAD)
        if parsed.normalized not in self._snapshot.items.get(kind, ()):
            self.commit(ItemAdded(item=f"{kind}/{parsed.normalized}"))
        return f"{kind}/{parsed.normalized}"

    def remove_item(self, item: str) -> None:
        """Removes an item with its values and links."""
        self._require_item(item)
        self.commit(ItemRemoved(item=item))
        # An item of the same name that is added later is another one.
        self._answers = [answer for answer in self._answers if answer.item != item]

    def link(self, source: str, target: str) -> None:
        """Links two items, for example a dpe with an endpoint."""
        self._require_item(source)
        self._require_item(target)
        source_kind = self.guide.kind(source.partition("/")[0])
        if source_kind is None or target.partition("/")[0] not in source_kind.linked_to:
            raise Problem("cannot-link", f"{one_line(source)} is not linked with {one_line(target)} in this guide.")
        if (source, target) not in self._snapshot.links:
            self.commit(Linked(source=source, target=target))

    def unlink(self, source: str, target: str) -> None:
        """Takes a link back."""
        if (source, target) in self._snapshot.links:
            self.commit(Unlinked(source=source, target=target))

    def _require_item(self, item: str) -> None:
        kind, _, name = item.partition("/")
        if name not in self._snapshot.items.get(kind, ()):
            there = ", ".join(self._snapshot.items.get(kind, ())) or "none"
            raise Problem("no-such-item", f"There is no {one_line(item)}.", todo=f"{one_line(kind)} items: {there}.")

    def set_reference(self, item: str, key: str, target: str, *, source: str = "typed") -> None:
        """Says which item of another kind `item` refers to; `target` is that item's name."""
        self._require_item(item)
        kind = self.guide.kind(item.partition("/")[0])
        reference = next((ref for ref in kind.references if ref.key == key), None) if kind else None
        if reference is None:
            raise Problem("no-such-reference", f"{one_line(item)} has no reference {one_line(key)}.")
        self._require_item(f"{reference.kind}/{target}")
        self._set(item, key, target, source, None)

    def set_field(
        self, item: str | None, key: str, text: str, *, source: str = "typed", file: FileFacts | None = None
    ) -> Commit:
        """Commits a field: parses `text` and remembers its normalised form. What does not parse is not written.

        What only disagrees with another field is written, and shown as wrong: either of the two may be the mistake.

        `file`: for a field that names a file, what was found when it was read.
        """
        field = self._field(key)
        if field.secret:
            raise Problem("secret-field", f"{field.label} is a secret and is never written.")
        if item is not None:
            self._require_item(item)
        if (item.partition("/")[0] if item else None) != field.owner:
            raise Problem("not-its-field", f"{field.label} is not a field of {one_line(item or 'the setup')}.")
        step = next(step for step in self.guide.steps if field in step.fields)
        view = View(self.guide, self._snapshot, step, (item,) if item else ())
        if not text.strip():
            return Commit(parse_field(view, field, text), self._answer(item, key, None, source, None))
        parsed = parse_field(view, field, text)
        if not parsed.ok:
            return Commit(parsed, False)
        return Commit(parsed, self._answer(item, key, parsed.normalized, source, file))

    def _answer(self, item: str | None, key: str, value: str | None, source: str, file: FileFacts | None) -> bool:
        """Sets a field so that `undo` can take it back."""
        recorded = self._snapshot.values.get(item, {}).get(key)
        changed = self._set(item, key, value, source, file)
        if changed:
            self._answers.append(_Answer(item, key, recorded.data if recorded else None))
        return changed

    def _set(self, item: str | None, key: str, value: str | None, source: str, file: FileFacts | None) -> bool:
        recorded = self._snapshot.values.get(item, {}).get(key)
        before = (recorded.data.value, recorded.data.file) if recorded else (None, None)
        if before == (value, file):
            return False
        self.commit(FieldSet(item=item, field=key, value=value, source=source, file=file))
        return True

    def undoable(self) -> Undo | None:
        """What `undo` would take back; None when no answer given since the setup was opened is left."""
        if not self._answers:
            return None
        last = self._answers[-1]
        now_held = self._snapshot.value(last.item, last.key)
        return Undo(self._field(last.key), last.item, now_held, last.before.value if last.before else None)

    def undo(self) -> Undo | None:
        """Takes back the last answer given since the setup was opened, and on the next call the one before it.

        The field holds again what it held before, a file's facts included. Items, links, references, routes and
        confirmations are not answers. Returns what was taken back, or None when nothing was.
        """
        undone = self.undoable()
        if undone is None:
            return None
        last = self._answers[-1]
        self._set(last.item, last.key, undone.restored, "undo", last.before.file if last.before else None)
        self._answers.pop()
        return undone

    def _field(self, key: str) -> Field:
        field = self.guide.fields().get(key)
        if field is None:
            raise Problem("no-such-field", f"The guide {self.guide.id} has no field {one_line(key)}.")
        return field

    def hold_secret(self, item: str | None, key: str, secret: Secret, *, user: str = "") -> None:
        """Keeps a secret in memory for this session and makes the journal refuse every spelling of it."""
        self._secrets[item, key] = secret
        self._writer.guard.hold(*secret.spellings(user))

    def holds_secret(self, item: str | None, key: str) -> bool:
        """Whether that secret was given in this session."""
        return (item, key) in self._secrets

    def secrets_for(self, view: View) -> dict[str, Secret]:
        """The secrets typed for the viewed items, by field key."""
        return {key: secret for (item, key), secret in self._secrets.items() if item is None or item in view.items}

    def choose_route(self, item_step: ItemStep, route: str) -> None:
        """Chooses how an item's step gets done."""
        step = self._step(item_step.step)
        if route not in step.routes:
            raise Problem(
                "no-such-route",
                f"Step {step.number} has no route {one_line(route)}.",
                todo=f"Routes: {', '.join(step.routes) or 'none'}.",
            )
        recorded = self._snapshot.routes.get((item_step.step, item_step.items))
        if recorded is None or recorded.data.route != route:
            self.commit(RouteChosen(step=item_step.step, items=item_step.items, route=route))

    def consent(self, probe: str) -> None:
        """Remembers the consent to looks that need a privilege: exec, pod or none."""
        if probe not in PROBES:
            raise Problem(
                "unknown-probe", f"There is no probe {one_line(probe)}.", todo=f"Probes: {', '.join(PROBES)}."
            )
        if self._snapshot.probe is None or self._snapshot.probe.data.probe != probe:
            self.commit(ProbeConsented(probe=probe))

    @property
    def may_probe(self) -> bool:
        """Whether somebody consented to a look from inside the cluster."""
        return self._snapshot.probe is not None and self._snapshot.probe.data.probe != NO_PROBE

    async def sweep_probes(self) -> None:
        """Removes the short-lived pods that earlier looks left. What can't be removed now is `told`; it is tried again
        at the next start and before another pod is made. One in another cluster than this setup points to is told once
        a session, for a week: nobody can tell from here that it is gone."""
        left = self._left_probes()
        if not left:
            return
        try:
            if self.readers.cluster is None:
                raise Problem("no-cluster", "The cluster can't be used here.")
            server = (await self.readers.cluster.identity()).server
            await self._sweep(server)
        except Problem as problem:
            self.told(f"A pod of an earlier look may be left ({_pods(left)}): {problem.what}")
            return
        if elsewhere := [one for one in left if one.server != server and self._is_news(one)]:
            servers = ", ".join(sorted({one_line(one.server) for one in elsewhere}))
            self.told(
                f"A pod of an earlier look may be left ({_pods(elsewhere)}) in another cluster than this setup points "
                f"to now: {servers}. It is not touched from here; remove it there with `kubectl delete pod`."
            )

    async def _sweep(self, server: str) -> None:
        """Removes what earlier looks left in the cluster whose API server is `server`. Raises Problem."""
        here = [one for one in self._left_probes() if one.server == server]
        if not here:
            return
        if self.writers.probe is None:
            raise Problem("no-cluster", "Nothing may be removed from the cluster here.")
        for namespace in sorted({one.namespace for one in here}):
            pods = frozenset(one.pod for one in here if one.namespace == namespace)
            await self.writers.probe.sweep(namespace, self._mark, pods)
            for pod in sorted(pods & self._snapshot.probes.keys()):  # two looks may have swept at once
                self.commit(ProbeEnded(pod=pod))

    def _is_news(self, probe: ProbeStarted) -> bool:
        """Whether a pod that is left elsewhere is still worth a word, and was not told of in this session."""
        told, started = probe.pod in self._told_probes, self._snapshot.probes[probe.pod].ts
        self._told_probes.add(probe.pod)
        return not told and seconds_between(started, now()) <= WEEK

    def _left_probes(self) -> list[ProbeStarted]:
        """The pods whose end nobody wrote, and that nobody is at work with."""
        return [one.data for pod, one in self._snapshot.probes.items() if pod not in self._probing]

    @property
    def _mark(self) -> str:
        """What labels this setup's pods in a cluster that others use too."""
        header = self._snapshot.header
        return hashlib.sha256(f"{header.name} {header.ts}".encode()).hexdigest()[:16]

    def looking(self) -> Readers:
        """The readers, with the look from inside the cluster where somebody consented to it."""
        recorded, probe = self._snapshot.probe, self.writers.probe
        if recorded is None or probe is None or not self.may_probe:
            return self.readers
        return replace(self.readers, inside=Consented(probe, recorded.data.probe, self._mark, _PodLog(self), self.told))

    def attest(self, item_step: ItemStep, *, answers_sha256: str | None = None) -> None:
        """Confirms this step's exact text for these items. Refused while the gate is shut or proof is missing."""
        view = self.view(item_step)
        attest = view.step.attest
        if attest is None:
            raise Problem("nothing-to-attest", f"Step {view.step.number} has nothing to confirm; it is looked at.")
        found = self.status()
        self._require_open_gate(view, found.item_steps[item_step])
        if empty := unfilled(view):
            raise Problem(
                "needs-input",
                f"{' and '.join(field.label for field in empty)} of step {view.step.number} is not known yet.",
                means="The words that you confirm name it.",
                todo="Enter it, or let the wizard do the step: then Azure says it.",
                exit_code=EXIT_NOT_YET,
            )
        missing = unobserved(view, found.item_steps)
        waived = self._snapshot.waivers.get((view.step.id, view.items))
        fingerprint = view.fingerprint_of(attest)
        if missing and (waived is None or waived.data.fingerprint != fingerprint):
            raise Problem(
                "not-observed",
                f"{view.step.title} asks for proof that is not there: {names(view, missing)}.",
                means="What nobody looked at may not be so.",
                todo="Look again with `check`, or go on without observed proof and give the reason.",
                exit_code=EXIT_NOT_YET,
            )
        text = attest.text(view)
        self.commit(
            Attested(
                step=view.step.id,
                items=view.items,
                text_id=attest.id,
                revision=attest.revision,
                text=text,
                fingerprint=fingerprint,
                answers_sha256=answers_sha256,
            )
        )

    def waive_proof(self, item_step: ItemStep, reason: str) -> None:
        """Goes on without observed proof, for a typed reason."""
        view = self.view(item_step)
        if view.step.attest is None or not view.step.needs_observed:
            raise Problem("no-proof-asked", f"Step {view.step.number} asks for no observed proof.")
        reason = one_line(reason)
        if not reason:
            raise Problem("no-reason", "A reason is needed to go on without observed proof.", exit_code=EXIT_BAD)
        fingerprint = view.fingerprint_of(view.step.attest)
        waiver = ProofWaived(step=view.step.id, items=view.items, reason=reason, fingerprint=fingerprint)
        recorded = self._snapshot.waivers.get((view.step.id, view.items))
        if recorded is None or recorded.data != waiver:
            self.commit(waiver)

    def _require_open_gate(self, view: View, status: Status) -> None:
        if status.gate:
            raise Problem(
                "gate-shut",
                f"Step {view.step.number} ({view.step.title}) waits for {names(view, status.gate)}.",
                todo="Finish that first; looking is possible at any time.",
                exit_code=EXIT_NOT_YET,
            )

    # ------------------------------------------------------------ looking

    async def look(
        self, item_step: ItemStep, *, closes: bool = False, told: Callable[[Problem], None] = lambda _: None
    ) -> tuple[Found, ...]:
        """Runs every check of an item's step, each within its deadline, and remembers what they found.

        `closes`: the step is being finished, so findings are journalled even when unchanged. `told` gets each Problem
        that a check could not look for. What is returned is redacted, as it is journalled.
        """
        view, before = self.view(item_step), self._snapshot
        found = tuple(redacted(one, self.redact) for one in await look(view, self.looking(), told=told))
        for finding in found:
            if not self._asked_elsewhere(finding, before):
                self.record(finding, closes=closes)
        return found

    def record(self, finding: Found, *, closes: bool = False) -> None:
        """Journals a finding that is news: another answer than the last one, or the same a quarter of an hour on."""
        finding = redacted(finding, self.redact)
        if self._worth_writing(finding, closes):
            self.commit(finding)

    def redact(self, text: str) -> str:
        """Text made by machines, with what is or looks like a secret masked; the journal would refuse it whole."""
        return self._writer.guard.redact(text)

    def about_now(self, found: Found, before: Snapshot) -> bool:
        """Whether a finding that was made for `before` is about what is there now, and the newest that is known.

        It is not where something was entered, changed or looked at meanwhile, or another cluster is pointed to.
        """
        snapshot = self._snapshot
        if not all(map(snapshot.has, found.items)):
            return False
        view = self.view(ItemStep(found.step, found.items))
        check = self._check(found)
        record, change = last_finding(view, check), last_change(view)
        if any(seq > before.seq for seq in (record.seq if record else 0, change.started.seq if change else 0)):
            return False
        if self._asked_elsewhere(found, before):
            return False
        # Where nothing was entered, the fingerprint need not be worked out again.
        entered = (snapshot.values, snapshot.links, snapshot.items) != (before.values, before.links, before.items)
        return not entered or found.fingerprint == view.fingerprint_of(check)

    def _asked_elsewhere(self, found: Found, before: Snapshot) -> bool:
        """Whether a finding that was made for `before` is of another cluster than the one that is pointed to by now."""
        return seen_elsewhere(self._snapshot, self._check(found), before.seq)

    def _check(self, found: Found) -> Check:
        """The check that a finding is of."""
        return next(one for one in self._step(found.step).checks if one.id == found.check)

    def _worth_writing(self, finding: Found, closes: bool) -> bool:
        last = self._snapshot.findings.get((finding.step, finding.items, finding.check))
        if last is None or closes or _answer(last.data) != _answer(finding):
            return True
        # The same answer, but of the cluster that is pointed to now: the one before does not count any more.
        if seen_elsewhere(self._snapshot, self._check(finding), last.seq):
            return True
        return _age(last) > REPEAT_FINDING_SECONDS

    # ------------------------------------------------------------ acting

    def acts_as(self, object_id: str) -> None:
        """From now on events tell with which Azure account (its object id) this actor signed in."""
        self._actor = msgspec.structs.replace(self._actor, azure_oid=object_id)

    async def plan(self, item_step: ItemStep) -> Plan:
        """What acting would do; reads only."""
        view = self.view(item_step)
        return await _action(view).plan(view, self.readers)

    async def apply(self, item_step: ItemStep, plan: Plan, progress: Callable[[Moment], None]) -> None:
        """Carries out exactly `plan`; refused while the gate is shut. What happens is journalled as it happens."""
        view = self.view(item_step)
        action = _action(view)
        self._require_open_gate(view, self.status().item_steps[item_step])
        try:
            await action.apply(
                view,
                plan,
                readers=self.readers,
                writers=self.writers,
                secrets=self.secrets_for(view),
                log=_ChangeLog(self, view),
                progress=progress,
            )
        except Problem:
            # What was done may still want somebody else's answer: a look says so, and the problem says the rest.
            if self._has_acted(item_step):
                await self.look(item_step, closes=True)
            raise

    def _has_acted(self, item_step: ItemStep) -> bool:
        """Whether the last change that was begun at an item's step was done."""
        change = last_change(self.view(item_step))
        return change is not None and change.finished is not None and change.finished.data.outcome == DONE

    def interrupted(self) -> tuple[ChangeRecord, ...]:
        """Changes that were started and whose end nobody wrote: the program died, or another one still runs."""
        return tuple(change for change in self._snapshot.changes.values() if change.finished is None)

    async def resume(self, change: ChangeRecord, progress: Callable[[Moment], None], *, gone: bool = False) -> None:
        """Finds out how an interrupted change ended, waiting for what still runs, and writes it down.

        `gone`: the user says that the process is gone where we can't see it (another host).
        """
        started = change.started.data
        step = self.guide.step(started.step)
        if step is None or step.action is None or not all(self._snapshot.has(item) for item in started.items):
            summary = "nobody saw how it ended, and its item is gone"
            self.commit(ChangeFinished(change=started.change, outcome=UNKNOWN, summary=summary))
            return
        view = self.view(ItemStep(started.step, tuple(started.items)))
        await _action(view).resume(
            view,
            started.change,
            readers=self.readers,
            log=_ChangeLog(self, view),
            progress=progress,
            gone=gone,
        )


def _action(view: View) -> Action:
    if view.step.action is None:
        raise Problem("nothing-to-do", f"Step {view.step.number} has no `do it for me`.")
    return view.step.action()


class _ChangeLog:
    """Writes what an action does to the journal, under the step it acts for."""

    def __init__(self, session: Session, view: View) -> None:
        self._session = session
        self._view = view

    def started(
        self,
        change: str,
        *,
        summary: str,
        commands: tuple[str, ...] = (),
        digest: str = "",
        undo: str = "",
        facts: Mapping[str, str] | None = None,
    ) -> None:
        self._session.commit(
            ChangeStarted(
                change=change,
                step=self._view.step.id,
                items=self._view.items,
                summary=summary,
                commands=commands,
                digest=digest,
                fingerprint=self._view.fingerprint(ACTION, 1),
                undo=undo,
                facts=dict(facts or {}),
            )
        )

    def process(self, change: str, *, pid: int, start_time: str, boot_id: str) -> None:
        self._session.commit(ProcessStarted(change=change, pid=pid, start_time=start_time, boot_id=boot_id))

    def finished(self, change: str, *, outcome: str, summary: str, detail: str = "", **facts: str) -> None:
        redact = self._session.redact
        self._session.commit(
            ChangeFinished(change=change, outcome=outcome, summary=redact(summary), detail=redact(detail), facts=facts)
        )

    def pinned(self, kind: str, facts: dict[str, str | None]) -> None:
        recorded = self._session.snapshot.identities.get(kind)
        if recorded is None or recorded.data.facts != facts:
            self._session.commit(IdentityPinned(kind=kind, facts=facts))
        if object_id := facts.get("object_id"):
            self._session.acts_as(object_id)

    def filled(self, key: str, value: str) -> None:
        field = self._session.guide.fields()[key]
        owner = next((item for item in self._view.items if item.partition("/")[0] == field.owner), None)
        parsed = parse_field(self._session.view(self._view.item_step), field, value)
        there = field.owner is None or (owner is not None and self._session.snapshot.has(owner))
        if parsed.ok and there:
            # Not an answer that somebody gave, so `undo` does not take it back.
            self._session._set(owner, key, parsed.normalized, "azure", None)


class _PodLog:
    """Writes down a short-lived pod before it is made, and that it is gone: a `wizard.probing.PodLog`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def clear(self, server: str) -> None:
        try:
            await self._session._sweep(server)
        except Problem as problem:
            left = [one for one in self._session._left_probes() if one.server == server]
            raise Problem(
                "probe-pod-left",
                f"A short-lived pod of an earlier look may still be there ({_pods(left)}).",
                means=f"It could not be removed, so no other one was made: {problem.what}",
                todo="Remove it with `kubectl delete pod`, or ask somebody who may; then look again.",
                detail=problem.detail,
                exit_code=EXIT_NOT_YET,
            ) from problem

    def started(self, pod: str, namespace: str, server: str) -> None:
        self._session.commit(ProbeStarted(pod=pod, namespace=namespace, server=server))
        self._session._probing.add(pod)

    def ended(self, pod: str) -> None:
        self._session.commit(ProbeEnded(pod=pod))

    def let_go(self, pod: str) -> None:
        self._session._probing.discard(pod)


def _pods(left: Sequence[ProbeStarted]) -> str:
    return ", ".join(f"{one_line(one.pod)} in namespace {one_line(one.namespace)}" for one in left)


# ---------------------------------------------------------------- looking without writing


async def look(
    view: View,
    readers: Readers,
    checks: Sequence[Check] | None = None,
    *,
    told: Callable[[Problem], None] = lambda _: None,
) -> tuple[Found, ...]:
    """Runs checks side by side in a round of their own, each within its deadline; reads only and writes nothing.

    One slow or failing source never holds up the rest: it becomes `could not look`.
    """
    async with one_round(readers) as shared:
        wanted = view.step.checks if checks is None else checks
        return tuple(await asyncio.gather(*(run_check(check, view, shared, told) for check in wanted)))


async def run_check(check: Check, view: View, readers: Readers, told: Callable[[Problem], None]) -> Found:
    """What one check finds. `readers` are those of a round, in which its deadline counts from its turn."""
    finding = await _finding(check, view, readers, told)
    return Found(
        step=view.step.id,
        items=view.items,
        check=check.id,
        verdict=finding.verdict,
        text=finding.text,
        todo=finding.todo,
        owes=finding.owes,
        fingerprint=view.fingerprint_of(check),
        evidence=finding.evidence,
    )


async def _finding(check: Check, view: View, readers: Readers, told: Callable[[Problem], None]) -> Finding:
    try:
        async with deadline(check.deadline):
            return await check.run(view, readers)
    except TimeoutError:
        return Finding(COULD_NOT_LOOK, f"no answer within {check.deadline:g} s", check.hint)
    except Problem as problem:
        told(problem)
        return Finding(COULD_NOT_LOOK, " ".join((problem.what, problem.means)).strip(), problem.todo or check.hint)


def _answer(found: Found) -> tuple[object, ...]:
    """What makes a finding the same as the last one: verdict, fingerprint, answer hashes, identities.

    Without evidence its words are all there is: why it could not be looked at, and what to do about that. Seconds to
    wait and names of short-lived pods in them are others every time, and no news.
    """
    seen = tuple((one.sha256, one.identity) for one in found.evidence)
    return found.verdict, found.fingerprint, seen or tuple(_VARIES.sub("#", one) for one in (found.text, found.todo))


_VARIES = re.compile(r"[0-9a-f]*[0-9][0-9a-f]*")


def _age(recorded: Recorded[Found]) -> float:
    """Seconds since a finding was journalled."""
    return seconds_between(recorded.ts, now())


def environment_is_ours(snapshot: Snapshot, actor: Actor) -> bool:
    """Whether the environment was journalled by this user on this host (DESIGN.md section 3)."""
    recorded = snapshot.environment
    return recorded is not None and (recorded.actor.user, recorded.actor.host) == (actor.user, actor.host)
