"""The model behind the read-only review screen: a journal, what it amounts to, and its timeline. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from state.snapshot import fold
from wizard.guide import Guide, ItemStep, Step
from wizard.review import NEVER_OBSERVED, counts_of, cut, never_observed, unexpected_head
from wizard.status import SetupStatus, Status, derive
from wizard.text import one_line
from wizard.timeline import Statement, Timeline

if TYPE_CHECKING:
    from state.journal import Journal
    from state.snapshot import Snapshot

__all__ = ["NEVER_OBSERVED", "Proof", "Reviewed", "ReviewedPlace", "ReviewedStep", "Statement", "reviewed"]


class ReviewedStep(NamedTuple):
    """One step as of the reviewed moment; `status` is that of its least finished item."""

    number: int
    title: str
    status: str
    reasons: tuple[str, ...]


class Proof(NamedTuple):
    """A check of a step, or the words that a person confirms, and the last statement of it: None when there is none.

    `decides`: it has a say in the step's status; else it only advises. `words`: it is a confirmation.
    """

    id: str
    title: str
    decides: bool
    words: bool
    last: Statement | None


@dataclass(frozen=True, slots=True)
class ReviewedPlace:
    """One step for one item, or one linked pair, as of the reviewed moment: what it rests on.

    `position` counts from 0. `unproven`: why it was let pass without observed proof. `never_observed`: it should be
    observed, and no look was ever good for it. A step without items has one such place, of no items.
    """

    position: int
    place: ItemStep
    number: int
    title: str
    items: tuple[str, ...]
    status: str
    reasons: tuple[str, ...]
    waits_for: tuple[str, ...]
    unproven: str
    never_observed: bool
    proofs: tuple[Proof, ...]

    @property
    def named(self) -> str:
        """The names of its items."""
        return " ".join(item.partition("/")[2] for item in self.items)


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A journal as an auditor sees it. `counts` are items' steps by status, and NEVER_OBSERVED those that
    should be observed and that no look was ever good for.

    `head` is the SHA-256 of the last line that is in; `problems` are whole sentences. Without its guide (an id that
    this version does not know) a journal has no steps and counts, and no statement is called stale.
    """

    name: str
    guide_title: str
    mode: str
    sandbox: bool
    file: str
    as_of: str
    chain_intact: bool
    chain_line: str
    problems: tuple[str, ...]
    torn_bytes: int
    events: int
    head: str
    done_steps: int
    all_steps: int
    counts: Mapping[str, int]
    unproven: tuple[str, ...]
    statements: tuple[Statement, ...]
    steps: tuple[ReviewedStep, ...]
    places: tuple[ReviewedPlace, ...] = ()


def reviewed(journal: Journal, guide: Guide | None, *, as_of: str | None = None, expect: str | None = None) -> Reviewed:
    """What a journal says up to the time `as_of` (RFC 3339 UTC, as in the journal).

    A head that is not the one `expect`ed is told among the problems. Raises Problem `too-early`.
    """
    taken = cut(journal, as_of)
    events, snapshot = taken.events, fold(journal.header, taken.events)
    at = as_of or snapshot.last_ts
    status = derive(guide, snapshot, at) if guide else SetupStatus({}, {})
    timeline = Timeline(events, guide, snapshot, at, journal.intact_through)
    return Reviewed(
        name=journal.header.name,
        guide_title=guide.title if guide else one_line(journal.header.guide.id),
        mode=one_line(snapshot.mode),
        sandbox=bool(snapshot.environment and snapshot.environment.data.sandbox),
        file=str(journal.path),
        as_of=at,
        chain_intact=not journal.problems,
        chain_line=_chain_line(journal),
        problems=tuple(_problems(journal, guide, expect)),
        torn_bytes=len(journal.torn) if journal.torn else 0,
        events=len(events),
        head=taken.head,
        done_steps=status.done_steps,
        all_steps=len(guide.steps) if guide else 0,
        counts={
            **counts_of(status),
            NEVER_OBSERVED: len(never_observed(guide, status, snapshot)) if guide else 0,
        },
        unproven=tuple(
            one_line(f"{_named(guide, place)}: {mine.unproven}")
            for place, mine in status.item_steps.items()
            if mine.unproven
        ),
        statements=timeline.statements,
        steps=tuple(_steps(guide, status)) if guide else (),
        places=tuple(_places(guide, status, timeline, snapshot)) if guide else (),
    )


def _chain_line(journal: Journal) -> str:
    if not journal.problems:
        return "chain intact"
    damage = [problem for problem in journal.problems if journal.intact_through < problem.line - 1]
    # An event that only a newer version knows breaks no chain.
    words, first = ("chain broken at", damage[0]) if damage else ("not all understood,", journal.problems[0])
    return one_line(f"{words} line {first.line}: {first.what}")


def _problems(journal: Journal, guide: Guide | None, expect: str | None) -> Iterator[str]:
    other = unexpected_head(journal, expect) if expect is not None else None
    if other is not None:
        yield one_line(str(other), limit=1000)
    for problem in journal.problems:
        yield one_line(f"line {problem.line}: {problem.what} {problem.means}", limit=1000)
    if guide is None:
        yield one_line(
            f"There is no guide {journal.header.guide.id} in this version. So the statements are shown, and not "
            "what they amount to. Look at it with the version that knows the guide."
        )


def _steps(guide: Guide, status: SetupStatus) -> Iterator[ReviewedStep]:
    for step in guide.steps:
        mine = [each for place, each in status.item_steps.items() if place.step == step.id]
        reasons = dict.fromkeys(one_line(reason) for each in mine for reason in each.reasons)
        yield ReviewedStep(
            step.number, step.title, status.steps[step.id], tuple(reasons) if mine else ("no items yet",)
        )


def _places(guide: Guide, status: SetupStatus, timeline: Timeline, snapshot: Snapshot) -> Iterator[ReviewedPlace]:
    unseen = frozenset(never_observed(guide, status, snapshot))
    position = 0
    for step in guide.steps:
        mine: list[tuple[ItemStep, Status | None]]
        mine = [(place, each) for place, each in status.item_steps.items() if place.step == step.id]
        for place, each in mine or [(ItemStep(step.id), None)]:
            reasons = each.reasons if each else ("no items yet",)
            yield ReviewedPlace(
                position=position,
                place=place,
                number=step.number,
                title=step.title,
                items=tuple(map(one_line, place.items)),
                status=each.status if each else status.steps[step.id],
                reasons=tuple(dict.fromkeys(map(one_line, reasons))),
                waits_for=tuple(one_line(_named(guide, wait)) for wait in each.gate) if each else (),
                unproven=one_line(each.unproven) if each else "",
                never_observed=place in unseen,
                proofs=tuple(_proofs(step, place, timeline)),
            )
            position += 1


def _proofs(step: Step, place: ItemStep, timeline: Timeline) -> Iterator[Proof]:
    for check in step.checks:
        yield Proof(check.id, check.title, check.decides, False, timeline.last_finding(place, check.id))
    if step.attest is not None:
        yield Proof(step.attest.id, "Confirmed words", True, True, timeline.last_words(place, step.attest.id))


def _named(guide: Guide | None, place: ItemStep) -> str:
    step = guide.step(place.step) if guide else None
    names = "".join(f" {item.partition('/')[2]}" for item in place.items)
    return f"step {step.number}{names}" if step else str(place)
