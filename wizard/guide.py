"""The engine's model: what a guide is made of.

A guide is data plus pure functions. Nothing here reads a file, asks a network or knows a vendor; the engine
(`status`, `session`, `unattended`) interprets it. Words: DESIGN.md section 1.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from state.events import Evidence
    from wizard.ports import Readers, Writers
    from wizard.secret import Secret
    from wizard.view import View

T = TypeVar("T")

SELF_SERVICE = "self-service"

DO_IT_FOR_ME = "do it for me"
HAND_OFF = "hand off"
ALREADY_DONE = "already done"
ROUTES = (DO_IT_FOR_ME, HAND_OFF, ALREADY_DONE)

YOU = "you"

BY_EXEC = "exec"
BY_POD = "pod"
NO_PROBE = "none"
PROBES = (BY_EXEC, BY_POD, NO_PROBE)
"""Looks that need a privilege, by the consent they need; `none` is the consent refused (DESIGN.md section 1)."""


@dataclass(frozen=True, slots=True)
class Reference:
    """An item of one kind names one item of another: an endpoint its subscription. The value is the item's name."""

    key: str
    kind: str


@dataclass(frozen=True, slots=True)
class ItemKind:
    """What a step fans out over. `linked_to`: kinds this one is linked with, many to many."""

    name: str
    label: str
    references: tuple[Reference, ...] = ()
    linked_to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Listed:
    """One row of a list to pick a field's value from. `name` and `columns` are outside text, cleaned where drawn.

    `note`: what the user should know before taking it, such as that it has no free address.
    """

    value: str
    name: str
    columns: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of a list, as they come.

    `who`: as whom they are read; `remark`: what the list does not hold, and why.
    """

    rows: tuple[Listed, ...] = ()
    who: str = ""
    remark: str = ""


class Reads(Protocol):
    """What a list reads with: each read is made once, whichever lists ask for it."""

    @property
    def readers(self) -> Readers: ...

    async def once(self, what: str, about: str, read: Callable[[], Awaitable[T]]) -> T:
        """The answer of `read`, which is called only when nothing fresh is known of `what` `about` that.

        Raises the Problem that the read raised; the next one who asks makes it again.
        """
        ...


@dataclass(frozen=True, slots=True)
class ListOf:
    """What a field's value may be picked from. `things` says what the rows are, such as `VNets`, and `one` of them.

    `read` reads them from outside, in batches as they come, for the values known so far; it raises Problem when it
    can't. `needs`: the fields whose values decide what is in it. `columns`: heading and cells of each of a row's
    columns, the most telling first: where there is no room, the last ones are left out.
    """

    one: str
    things: str
    read: Callable[[View, Reads], AsyncIterator[Batch]]
    needs: tuple[str, ...] = ()
    columns: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Field:
    """One input. `kind` is an identifier kind (wizard.identifiers), `owner` the item kind it belongs to.

    `owner` None means the whole setup. `where` tells a person where to find the value. A `secret` is never
    journalled. `affects_proof` False: a change of it makes no evidence stale (a timeout). `rule` compares a parsed
    value with others and returns what is wrong, or None. `offer` builds a value, or its beginning, from others that
    are known already; `offer_source` tells the user where it is from, such as `from step 2`. `lists`: what there is
    outside to pick from. `from_action`: acting, in this step or an earlier one, fills it, so that it may be empty
    before; whoever confirms a step without that enters it.
    """

    key: str
    label: str
    kind: str
    owner: str | None = None
    where: str = ""
    sample: str = ""
    required: bool = True
    secret: bool = False
    is_file: bool = False
    affects_proof: bool = True
    default: Callable[[View], str | None] | None = None
    rule: Callable[[str, View], str | None] | None = None
    offer: Callable[[View], str | None] | None = None
    offer_source: str = ""
    lists: ListOf | None = None
    from_action: bool = False


@dataclass(frozen=True, slots=True)
class Attestation:
    """The exact text a person confirms. `text` may name values of the item; `revision` grows when the meaning changes.

    `unless_proven`: a good finding of every proving check makes the word superfluous (steps a machine can see).
    """

    id: str
    revision: int
    text: Callable[[View], str]
    unless_proven: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """A check's answer, before it is journalled.

    `verdict` is one of GOOD, BAD, NOT_YET, COULD_NOT_LOOK of state.events. `owes`: who has to act before it can be
    good, where that is not the user.
    """

    verdict: str
    text: str
    todo: str = ""
    evidence: tuple[Evidence, ...] = ()
    owes: str = ""


WEEK = 7 * 24 * 3600.0
"""Seconds for which a finding counts unless its check says otherwise: what was so a week ago may not be so today."""


@dataclass(frozen=True, slots=True)
class Check:
    """A read-only look. `proves`: its verdict decides the step's status; else it only advises beside it.

    `suffices`: a look at one of several ways in which the step may be done. When it is good, the step is observed; when
    it is not, that decides only where nobody confirmed that it is done in another way. `settles`: a look at the thing
    itself, however it was done. Its answer is the last word, good or not; as long as there is none, the others decide.
    A good one that could not be asked for again stands until another look turns (`wizard.current.last_word`).

    `uses`: fields that it rests on beside the step's. `asks_cluster`: what it finds is so in the cluster that the setup
    points to, and says nothing about another one.

    `probe`: it needs a privilege that somebody must consent to (DESIGN.md section 1). `deadline` in seconds.
    `validity`: seconds after which a finding is too old to prove anything. `revision` grows when the check's meaning
    changes, which makes older findings stale.
    """

    id: str
    title: str
    hint: str
    run: Callable[[View, Readers], Awaitable[Finding]]
    proves: bool = True
    suffices: bool = False
    settles: bool = False
    uses: tuple[str, ...] = ()
    asks_cluster: bool = False
    probe: bool = False
    revision: int = 1
    deadline: float = 15.0
    validity: float = WEEK

    @property
    def decides(self) -> bool:
        """Whether it has a say in the step's status; else it only advises."""
        return self.proves or self.suffices or self.settles


CREATE = "+"
CHANGE = "~"
SAME = "="
REMOVE = "-"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between wanted and found; `sign` is one of CREATE, CHANGE, SAME, REMOVE."""

    sign: str
    text: str


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What stands in a plan's way, and with it the extra change that the user must say yes to.

    `what`: what stands there and what the change means. `label`: the button that says yes. `risk`: why to look first
    who else it may concern; empty when this setup left it there itself, and then no extra yes is needed unattended.
    `word`: key and value by which an answers file says yes, under `fields` of the step.
    """

    what: str
    label: str
    risk: str
    word: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Doer:
    """Who carries out the changes of a step, in words for what the user may do meanwhile.

    `commands` stands above a plan's commands, `start` beside the button that begins. `cancel`: what cancelling does.
    `left`: what goes on when the wizard ends meanwhile, and how that is found out. `stop`: what stopping on quitting
    leaves behind.
    """

    name: str
    commands: str
    start: str
    cancel: str
    left: str
    stop: str


HELM = Doer(
    "helm",
    commands="It runs exactly this:",
    start="runs the commands above; it can be cancelled, and left running.",
    cancel="stops helm; the new revision stays unfinished, the next plan tells.",
    left="helm goes on without the wizard: it waits for the workloads and marks the release by itself. The next start "
    "reads how it ended.",
    stop="Stopping it leaves the new revision unfinished; the next plan tells.",
)
AZURE = Doer(
    "Azure",
    commands="It asks Azure for exactly what these commands would:",
    start="asks Azure for this, once; the waiting can be cancelled, and left running.",
    cancel="stops waiting; Azure goes on with what it was asked for, and the next look tells.",
    left="Azure goes on with what it was asked for, and is not asked again. The next start reads how it ended.",
    stop="Stopping only stops the waiting, and what was not begun yet; the next look tells.",
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What acting would do, found by reading only. No change but SAME ones means `already so`.

    `identity`: as whom it was read and will be done, in words; empty when that is nobody in particular.
    `commands` are exactly what runs, secrets replaced; `digest` is the SHA-256 over them and the digests of their
    input. `obstacle`: why it can't be applied as it is, and what to say yes to. `timeout`: seconds after which
    applying gives up. `payload` is what the action itself needs to apply this very plan; it is never journalled or
    shown.
    """

    changes: tuple[Change, ...]
    commands: tuple[str, ...] = ()
    digest: str = ""
    summary: str = ""
    notes: tuple[str, ...] = ()
    undo: str = ""
    obstacle: Obstacle | None = None
    timeout: float = 0.0
    identity: str = ""
    payload: Any = field(default=None, repr=False)

    @property
    def empty(self) -> bool:
        """Nothing to do: everything is already so."""
        return all(change.sign == SAME for change in self.changes)


@dataclass(frozen=True, slots=True)
class Moment:
    """A report while acting. `kind` is `phase` (a part of the work begins), `line` (of the log), `wait` (where the work
    stands: `ready` of `wanted` pods) or `part` (the one thing that is waited for, there when `ready` is 1)."""

    kind: str
    text: str
    ready: int | None = None
    wanted: int | None = None
    elapsed: float = 0.0
    timeout: float = 0.0


class Log(Protocol):
    """How an action writes to the journal while it acts; given by the session."""

    def started(
        self,
        change: str,
        *,
        summary: str,
        commands: tuple[str, ...] = (),
        digest: str = "",
        undo: str = "",
        facts: Mapping[str, str] | None = None,
    ) -> None: ...

    def process(self, change: str, *, pid: int, start_time: str, boot_id: str) -> None: ...

    def finished(self, change: str, *, outcome: str, summary: str, detail: str = "", **facts: str) -> None: ...

    def pinned(self, kind: str, facts: dict[str, str | None]) -> None: ...

    def filled(self, key: str, value: str) -> None:
        """Puts what Azure says into a field of the items acted for; a value that the field refuses is left out."""
        ...


class Action(Protocol):
    """What `do it for me` does. `plan` only reads; `apply` carries out exactly the plan it is given.

    `resume` looks at a change that was started and not finished (the program died): it waits for what still runs,
    writes how it ended, or raises a Problem when a person must decide.
    """

    async def plan(self, view: View, readers: Readers) -> Plan: ...

    async def apply(
        self,
        view: View,
        plan: Plan,
        *,
        readers: Readers,
        writers: Writers,
        secrets: Mapping[str, Secret],
        log: Log,
        progress: Callable[[Moment], None],
    ) -> None: ...

    async def resume(
        self,
        view: View,
        change: str,
        *,
        readers: Readers,
        log: Log,
        progress: Callable[[Moment], None],
        gone: bool,
    ) -> None: ...


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One numbered unit of the guide. `per` names item kinds: () runs once, two kinds run per linked pair.

    `uses` are fields of earlier steps whose change makes this step's evidence stale. `owners` maps a mode to who
    does it (default: you), `team` is whom a hand off goes to. `action` makes what `do it for me` does, and imports it
    only then: reading a guide stays light; `doer` is who carries it out, `obstacles` are the keys by which an answers
    file says yes to what stands in its way. `needs_observed`: steps that must be observed before this one is attested,
    unless the user goes on without proof for a typed reason; `observed_by` is the one check that counts for that, where
    the step itself is called observed by less. `usual`: how long acting usually takes, in seconds. `short`: the title
    in one or two words, for a list. `message`: what to send to somebody who is waited for (a Finding's `owes`).
    """

    id: str
    number: int
    title: str
    why: str
    instructions: tuple[str, ...]
    per: tuple[str, ...] = ()
    fields: tuple[Field, ...] = ()
    uses: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    owners: Mapping[str, str] = field(default_factory=dict)
    routes: tuple[str, ...] = ()
    team: str = "another team"
    short: str = ""
    usual: tuple[float, float] | None = None
    attest: Attestation | None = None
    checks: tuple[Check, ...] = ()
    action: Callable[[], Action] | None = None
    doer: Doer | None = None
    obstacles: tuple[str, ...] = ()
    needs_observed: tuple[str, ...] = ()
    observed_by: str = ""
    message: Callable[[View], str] | None = None
    warnings: tuple[str, ...] = ()

    def owner(self, mode: str) -> str:
        """Who does this step in `mode`."""
        return self.owners.get(mode, YOU)

    def check(self, check_id: str) -> Check | None:
        """The check of that id; None where this step has none."""
        return next((one for one in self.checks if one.id == check_id), None)


@dataclass(frozen=True, slots=True, eq=False)
class Guide:
    """A documented procedure: an ordered tuple of steps. `version` grows when steps or fields change meaning.

    `unique`: fields which together tell the items of one kind apart."""

    id: str
    version: int
    title: str
    source: str
    steps: tuple[Step, ...]
    kinds: tuple[ItemKind, ...] = ()
    modes: tuple[str, ...] = (SELF_SERVICE,)
    unique: tuple[tuple[str, ...], ...] = ()

    def step(self, id_or_number: str | int) -> Step | None:
        """The step of that id or number; None when there is none."""
        wanted = str(id_or_number)
        return next((step for step in self.steps if wanted in (step.id, str(step.number))), None)

    def kind(self, name: str) -> ItemKind | None:
        """The item kind of that name."""
        return next((kind for kind in self.kinds if kind.name == name), None)

    def fields(self) -> dict[str, Field]:
        """All fields by key; keys are unique within a guide."""
        return _fields(self)


@cache
def _fields(guide: Guide) -> dict[str, Field]:
    return {field.key: field for step in guide.steps for field in step.fields}


@dataclass(frozen=True, slots=True)
class ItemStep:
    """One step for one item, or one linked pair: the smallest thing that has a status."""

    step: str
    items: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.step + "".join(f" {item.partition('/')[2]}" for item in self.items)
