"""`review --live`: an auditor looks again, and what is found now stands beside what was recorded.

Readers only: what acts is neither made nor loaded, the cluster is asked by GET alone, and nothing is locked or
journalled. What needs a probe (a lookup from inside the cluster) is not repeated.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import msgspec

from state.actor import current_actor
from state.clock import now
from state.events import BAD, COULD_NOT_LOOK, GOOD, NOT_YET, EnvironmentSet, Found
from state.problem import EXIT_BAD, EXIT_NOT_YET, EXIT_OK, Problem
from state.secrets import SecretGuard
from state.snapshot import RecordedFinding, Snapshot
from wizard.checking import look_at_all
from wizard.current import current_finding, last_finding, settled
from wizard.environment import looking, resolve_environment
from wizard.evidence import redacted
from wizard.guide import Check, Guide, ItemStep, Step
from wizard.ports import Readers
from wizard.session import environment_is_ours
from wizard.together import both
from wizard.view import View, item_steps

if TYPE_CHECKING:
    from wizard.ports import ClusterReader, HelmReader

# How what is found now differs from what was recorded.
AS_RECORDED = "as recorded"
OTHER_ANSWER = "other answer"
BETTER = "better"
WORSE = "worse"
NOT_RECORDED = "not recorded"
NOT_REPEATED = "not repeated"

# How whom we ask differs from whom the setup is pinned to.
SAME = "same"
OTHER = "other"
NOT_PINNED = "not pinned"

_RANK = {BAD: 0, NOT_YET: 1, GOOD: 2}


@dataclass(frozen=True, slots=True)
class Again:
    """One check, looked at again for one item's step.

    `found` is None when it is not repeated. `current`: what was recorded was found for the values as they stand;
    nothing is compared with what was not. `settled`: the step's last word is recorded as good, and stands.
    """

    step: Step
    items: tuple[str, ...]
    check: Check
    recorded: RecordedFinding | None
    current: bool
    found: Found | None
    settled: bool = False

    @property
    def place(self) -> ItemStep:
        """Whose it is."""
        return ItemStep(self.step.id, self.items)

    @property
    def verdict(self) -> str:
        """The verdict of now, or NOT_REPEATED."""
        return self.found.verdict if self.found else NOT_REPEATED

    @property
    def is_bad(self) -> bool:
        """Whether it is bad, or worse than recorded. What only advises is not, where the last word was recorded as good
        and stands: it is not repeated here, and an auditor's machine may be answered otherwise."""
        outvoted = self.settled and not self.check.decides
        return not outvoted and (self.verdict == BAD or self.difference == WORSE)

    @property
    def difference(self) -> str:
        """AS_RECORDED, OTHER_ANSWER, BETTER, WORSE, NOT_RECORDED, NOT_REPEATED or `could not look`."""
        if self.found is None:
            return NOT_REPEATED
        if self.found.verdict not in _RANK:
            return COULD_NOT_LOOK
        if self.recorded is None or not self.current or self.recorded.data.verdict not in _RANK:
            return NOT_RECORDED
        before, after = _RANK[self.recorded.data.verdict], _RANK[self.found.verdict]
        if before != after:
            return BETTER if before < after else WORSE
        return AS_RECORDED if _answers(self.recorded.data) == _answers(self.found) else OTHER_ANSWER


def _answers(found: Found) -> tuple[tuple[str, str], ...]:
    """What was seen, by whomever: an auditor looks with an identity of their own."""
    return tuple((seen.request, seen.sha256) for seen in found.evidence)


@dataclass(frozen=True, slots=True)
class Pin:
    """Whom we ask, `cluster` or `azure`, beside whom the setup is pinned to.

    `state` is SAME, OTHER, NOT_PINNED or `could not look`; `text` says it in a sentence, `todo` what to do about it.
    """

    kind: str
    state: str
    pinned: Mapping[str, str | None] | None
    found: Mapping[str, str | None] | None
    text: str
    todo: str = ""


@dataclass(frozen=True, slots=True)
class Live:
    """What was found by looking again: when it ended (`ts`), where it pointed, whom it asked, every check."""

    ts: str
    environment: EnvironmentSet
    pins: tuple[Pin, ...]
    looks: tuple[Again, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many checks differ in which way."""
        differences = [look.difference for look in self.looks]
        words = (WORSE, OTHER_ANSWER, BETTER, AS_RECORDED, NOT_RECORDED, COULD_NOT_LOOK, NOT_REPEATED)
        return {word: differences.count(word) for word in words}


@dataclass(frozen=True, slots=True)
class LookAgain:
    """A setup that can be looked at again. `given` and `by_name` as `environment_for` has them."""

    guide: Guide
    snapshot: Snapshot
    given: Mapping[str, str]
    by_name: bool

    async def look(
        self,
        *,
        done: Callable[[int, int], None] = lambda done, of: None,
        told: Callable[[str], None] = lambda _: None,
    ) -> Live:
        """`look_again` where `environment_for` says; each time anew, for a kubeconfig may be put right meanwhile."""
        where = await asyncio.to_thread(environment_for, self.snapshot, self.given, by_name=self.by_name)
        own = self.by_name and environment_is_ours(self.snapshot, current_actor("check"))
        return await look_again(self.guide, self.snapshot, where, files=own, done=done, told=told)


# ---------------------------------------------------------------- where to look


def environment_for(snapshot: Snapshot, given: Mapping[str, str], *, by_name: bool) -> EnvironmentSet:
    """Where an auditor looks: `given`, else this machine's own. A sandbox setup is looked at in the sandbox here.

    Paths that come with a copied file are inert (DESIGN.md section 3): what the journal says is followed only when it
    is one of this user's own setups, opened by its name. Raises Problem when that can't be used.
    """
    recorded = snapshot.environment
    if recorded is None:
        where: dict[str, Any] = {}
    elif by_name and environment_is_ours(snapshot, current_actor("check")):
        where = msgspec.to_builtins(recorded.data)
    elif recorded.data.sandbox:
        where = _sandbox(given.get("kubeconfig"))
    else:
        where = {"cloud": recorded.data.cloud}
    return resolve_environment({**where, **given})


def _sandbox(kubeconfig: str | None) -> dict[str, Any]:
    """Where the sandbox of this machine is: the one with that kubeconfig, else the one in the default place."""
    from wizard.files import expanded
    from wizard.sandbox import fetch_helm, profile
    from wizard.sandbox.answers import environment
    from wizard.sandbox.info import describe
    from wizard.sandbox.workdir import WorkDir, default_path

    work = WorkDir((expanded(kubeconfig).parent if kubeconfig else default_path()).absolute())
    try:
        kept = profile.load(work)
    except OSError:
        kept = None
    if kept is None:
        raise Problem(
            "no-sandbox",
            f"This is a sandbox setup, and there is no sandbox in {work.path}.",
            means="A rehearsal is looked at in its own sandbox and nowhere else.",
            todo="Start it with `privatelink-wizard sandbox --serve`, or name its kubeconfig with --kubeconfig.",
            exit_code=EXIT_NOT_YET,
        )
    helm = fetch_helm.find_helm()
    found = environment(describe(work, kept, helm=helm or work.path))
    return found if helm else {**found, "helm": None}


# ---------------------------------------------------------------- looking


async def look_again(
    guide: Guide,
    snapshot: Snapshot,
    environment: EnvironmentSet,
    *,
    files: bool = False,
    done: Callable[[int, int], None] = lambda done, of: None,
    told: Callable[[str], None] = lambda _: None,
) -> Live:
    """Every check of every step, by readers alone.

    `files`: files of this machine that the journal names are read, too. `done` is told how many checks of how many are
    done, `told` what Azure lets us know meanwhile. Raises Problem for an environment that can't be used.
    """
    wanted = [
        (View(guide, snapshot, step, place.items), check)
        for step in guide.steps
        for place in item_steps(guide, snapshot, step)
        for check in step.checks
    ]
    done(0, sum(not check.probe for _, check in wanted))
    try:
        async with looking(environment, gets_only=True, told=told) as made:
            pins, readers = await _pinned(snapshot, replace(made, files=files))
            steps = tuple(
                replace(step, checks=tuple(check for check in step.checks if not check.probe)) for step in guide.steps
            )
            found = await look_at_all(
                guide, snapshot, steps, readers, each=lambda looked: done(looked.done, looked.total)
            )
    except OSError as error:
        raise Problem(
            "no-run-dir",
            "There is no directory for what the readers need while they run (helm's caches, a client key).",
            means=f"{error.strerror or error}.",
            todo="Set TMPDIR or XDG_RUNTIME_DIR to a directory that may be written to; it is emptied afterwards.",
            exit_code=EXIT_NOT_YET,
        ) from None
    guard = SecretGuard()
    by_check = {(one.step, one.items, one.check): redacted(one, guard.redact) for one in found}
    return Live(now(), environment, pins, tuple(_beside(view, check, by_check) for view, check in wanted))


def _beside(view: View, check: Check, found: Mapping[tuple[str, tuple[str, ...], str], Found]) -> Again:
    place = (view.step.id, view.items, check.id)
    # Of any age: it is looked at again.
    current = current_finding(view, check) is not None
    good = settled(replace(view, now=now())) is True
    return Again(view.step, view.items, check, last_finding(view, check), current, found.get(place), good)


# ---------------------------------------------------------------- whom we ask


class _Refused:
    """In place of a reader that must not be asked: every look says why."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem

    def __getattr__(self, name: str) -> Any:
        async def refuse(*_: object, **__: object) -> None:
            raise self._problem

        return refuse


async def _pinned(snapshot: Snapshot, readers: Readers) -> tuple[tuple[Pin, ...], Readers]:
    """Whom we ask, and the readers that may be asked: what another cluster or tenant says is no answer."""
    (cluster, no_cluster), (azure, no_azure) = await both(
        _cluster_pin(snapshot, readers), _azure_pin(snapshot, readers)
    )
    if no_cluster is not None:
        # helm asks the same cluster.
        refused = _Refused(no_cluster)
        helm = cast("HelmReader", refused) if readers.helm is not None else None
        readers = replace(readers, cluster=cast("ClusterReader", refused), helm=helm)
    if no_azure is not None and readers.azure is not None:
        readers = replace(readers, azure=cast("Any", _Refused(no_azure)))
    return (cluster, azure), readers


async def _cluster_pin(snapshot: Snapshot, readers: Readers) -> tuple[Pin, Problem | None]:
    from wizard.actions.release_facts import other_cluster, same_cluster

    pinned = _facts(snapshot, "cluster")
    try:
        if readers.cluster is None:
            raise Problem("no-cluster", "There is no cluster to ask.")
        identity = await readers.cluster.identity()
    except Problem as problem:
        return _unknown("cluster", pinned, problem), problem
    found = {"server": identity.server, "uid": identity.uid}
    named = f"{identity.server} (kube-system {identity.uid or 'unknown'})"
    if pinned is None:
        return Pin("cluster", NOT_PINNED, None, found, f"asked is {named}; the setup was never pinned to one"), None
    if same_cluster(pinned.get("server"), pinned.get("uid"), identity):
        return Pin("cluster", SAME, pinned, found, f"asked is {named}, the one of this setup"), None
    other = other_cluster(pinned.get("server"), pinned.get("uid"), identity)
    other.todo = "Say which cluster is meant: --kubeconfig FILE --kube-context NAME."
    return Pin("cluster", OTHER, pinned, found, other.what, other.todo), other


async def _azure_pin(snapshot: Snapshot, readers: Readers) -> tuple[Pin, Problem | None]:
    pinned = _facts(snapshot, "azure")
    try:
        if readers.azure is None:
            raise Problem("no-azure", "There is no Azure to ask here.")
        identity = await readers.azure.identity()
    except Problem as problem:
        return _unknown("azure", pinned, problem), problem
    found: dict[str, str | None] = {"tenant_id": identity.tenant_id, "object_id": identity.object_id}
    named = f"tenant {identity.tenant_id} as {identity.name or 'an account without a name'} ({identity.object_id})"
    if pinned is None:
        return Pin("azure", NOT_PINNED, None, found, f"asked is {named}; the setup was never pinned to a tenant"), None
    tenant = pinned.get("tenant_id") or ""
    if tenant.lower() == identity.tenant_id.lower():
        return Pin("azure", SAME, pinned, found, f"asked is {named}, the tenant of this setup"), None
    other = Problem(
        "other-tenant",
        f"Azure is asked in tenant {identity.tenant_id}, and this setup is in tenant {tenant}.",
        means="What is there says nothing about this setup.",
        todo=f"Sign in to the setup's: `az login --tenant {tenant}`, or say it with --tenant {tenant}.",
        exit_code=EXIT_NOT_YET,
    )
    return Pin("azure", OTHER, pinned, found, other.what, other.todo), other


def _facts(snapshot: Snapshot, kind: str) -> Mapping[str, str | None] | None:
    recorded = snapshot.identities.get(kind)
    return recorded.data.facts if recorded is not None else None


def _unknown(kind: str, pinned: Mapping[str, str | None] | None, problem: Problem) -> Pin:
    return Pin(kind, COULD_NOT_LOOK, pinned, None, " ".join((problem.what, problem.means)).strip(), problem.todo)


# ---------------------------------------------------------------- telling


def exit_code(live: Live) -> int:
    """1 when something is bad or worse than recorded, 3 when something that decides is not yet so or could not be
    looked at, else 0. What is not repeated does not count."""
    if any(look.is_bad for look in live.looks):
        return EXIT_BAD
    unsure = any(look.check.decides and look.verdict in (NOT_YET, COULD_NOT_LOOK) for look in live.looks)
    return EXIT_NOT_YET if unsure or any(pin.state == OTHER for pin in live.pins) else EXIT_OK


def document(live: Live) -> dict[str, Any]:
    """The `live` part of `review -o json`."""
    return {
        "ts": live.ts,
        "environment": msgspec.to_builtins(live.environment),
        "identities": [
            {
                "kind": pin.kind,
                "state": pin.state,
                "pinned": dict(pin.pinned) if pin.pinned is not None else None,
                "found": dict(pin.found) if pin.found is not None else None,
                "text": pin.text,
                "todo": pin.todo,
            }
            for pin in live.pins
        ],
        "counts": live.counts,
        "checks": [_check(look) for look in live.looks],
    }


def _check(look: Again) -> dict[str, Any]:
    recorded = look.recorded
    return {
        "number": look.step.number,
        "step": look.step.id,
        "items": list(look.items),
        "check": look.check.id,
        "title": look.check.title,
        "proves": look.check.decides,
        "difference": look.difference,
        "bad": look.is_bad,
        "verdict": look.verdict,
        "text": look.found.text if look.found else _NOT_REPEATED_TEXT,
        "todo": look.found.todo if look.found else "",
        "evidence": [msgspec.to_builtins(seen) for seen in look.found.evidence] if look.found else [],
        "recorded": {
            "verdict": recorded.data.verdict,
            "text": recorded.data.text,
            "ts": recorded.ts,
            "current": look.current,
        }
        if recorded is not None
        else None,
    }


_NOT_REPEATED_TEXT = "it needs a probe, which a review never makes"
