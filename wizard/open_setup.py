"""A setup that is open for writing: its session, what looks and acts there, and what runs right now.

The screens drive this and nothing else. Work belongs to the open setup and not to a screen, so that it goes on while
its screen is left. Everything runs on one event loop; `on_change` is called whenever something worth showing changed.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from state.actor import current_actor
from state.clock import now
from state.events import EnvironmentSet, GuideRef
from state.problem import Problem
from wizard.environment import connected, resolve_environment
from wizard.guide import Guide, ItemStep, Moment, Plan
from wizard.guides import guide as find_guide
from wizard.listing import Lists
from wizard.ports import LEAVE, Readers, Writers
from wizard.secret import Secret
from wizard.session import Session
from wizard.sign_in import MANAGED, SigningIn
from wizard.text import one_line
from wizard.view import item_steps
from wizard.work import ACTING, LOOKING, PLANNING, RESUMING, Work

if TYPE_CHECKING:
    from state.snapshot import ChangeRecord
    from state.store import Writer
    from wizard.azure import AzureIdentity, SignInPrompt
    from wizard.places import Places


_working: contextvars.ContextVar[Work | None] = contextvars.ContextVar("working", default=None)
"""The work that a task is part of; tasks that it makes inherit it."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, when it was read (RFC 3339 UTC), and the fingerprint of the values it was read for."""

    plan: Plan
    ts: str
    inputs: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Round:
    """A look at many items' steps at once. `works` are theirs; of `total` looks `done` have an answer."""

    works: dict[ItemStep, Work]
    total: int
    done: int = 0
    running: bool = True


@dataclass(slots=True)
class OpenSetup:
    """One setup, opened by `open_setup` or `new_setup`; to be closed with `close`.

    `drafts` hold what was typed and could not be committed, by (item, field), so that it survives leaving the step.
    `notes` are what the user should know beside everything else, as of this machine or of a pod that is left; `on_note`
    is called with each that comes while the setup is shown.
    """

    session: Session
    writer: Writer
    places: Places
    notes: list[str] = field(default_factory=list)
    work: dict[ItemStep, Work] = field(default_factory=dict)
    plans: dict[ItemStep, Planned] = field(default_factory=dict)
    drafts: dict[tuple[str | None, str], str] = field(default_factory=dict)
    round: Round | None = None
    signing_in: SigningIn | None = None
    not_saved: Problem | None = None
    on_change: Callable[[], None] = lambda: None
    on_note: Callable[[str], None] = lambda _: None
    _tasks: dict[ItemStep, asyncio.Task[None]] = field(default_factory=dict)
    _ending: set[asyncio.Task[None]] = field(default_factory=set)
    _round_task: asyncio.Task[None] | None = None
    _sign_in_task: asyncio.Task[None] | None = None
    _sweep_task: asyncio.Task[None] | None = None
    _signed_in_meanwhile: bool = False
    _connecting: asyncio.Lock = field(default_factory=asyncio.Lock)
    _adapters: AsyncExitStack = field(default_factory=AsyncExitStack)
    _held: list[Secret] = field(default_factory=list)
    lists: Lists = field(init=False)
    """What may be picked into fields, as far as it was read."""

    def __post_init__(self) -> None:
        """Lists read with whatever reads at that moment."""
        self.lists = Lists(lambda: self.session.readers, self._unknown)
        self.session.told = self._note

    @property
    def name(self) -> str:
        """The setup's name."""
        return self.session.snapshot.header.name

    @property
    def guide(self) -> Guide:
        """The guide it follows."""
        return self.session.guide

    @property
    def sandbox(self) -> bool:
        """Whether it is a rehearsal."""
        environment = self.session.snapshot.environment
        return environment is not None and environment.data.sandbox

    # ------------------------------------------------------------ where it points

    async def connect(self) -> None:
        """Makes the adapters of the setup's environment; contacts nothing. Nothing of a copied file is used before
        `point_to` confirmed it."""
        # What is pointed away from is asked no more; what goes on in it keeps its own adapters to its end.
        self.session.readers, self.session.writers = Readers(), Writers()
        async with self._connecting:
            await self.lists.forget()
            await self.stop_signing_in()
            await self._stop_reading()
            await self._adapters.aclose()
            self._adapters = AsyncExitStack()
            self.session.readers, self.session.writers = Readers(), Writers()
            recorded = self.session.snapshot.environment
            if recorded is None or not self.session.environment_is_ours():
                return
            adapters = connected(recorded.data, held=lambda: tuple(self._held), say=self._note, told=self._told)
            self.session.readers, self.session.writers = await self._adapters.enter_async_context(adapters)

    async def point_to(self, given: Mapping[str, Any]) -> None:
        """Says where the setup points, and makes the adapters for it. Raises Problem when that can't be used."""
        self.guarded(self.session.set_environment, await asyncio.to_thread(resolve_environment, given))
        await self.connect()
        self._sweep()
        self.on_change()

    # ------------------------------------------------------------ signing in

    def sign_in(self) -> SigningIn:
        """Begins to sign in to Azure in the setup's way; one that is under way goes on.

        After it, whatever stopped for want of a sign-in is taken up. Raises Problem when no Azure can be asked here.
        """
        from wizard.actions.azure_facts import azure_of

        if self.signing_in is not None and self.signing_in.running:
            return self.signing_in
        azure_of(self.session.readers)
        recorded = self.session.snapshot.environment
        where = recorded.data if recorded else EnvironmentSet()
        way = MANAGED if where.sandbox else where.sign_in
        self.signing_in = SigningIn(way, where.cloud, where.tenant_id)
        self._sign_in_task = asyncio.create_task(self._sign_in(self.signing_in))
        self.on_change()
        return self.signing_in

    async def stop_signing_in(self) -> None:
        """Waits for nobody any more. A code that was shown ends by itself."""
        task, self._sign_in_task = self._sign_in_task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
        if self.signing_in is not None and self.signing_in.running:
            self.signing_in.end()  # cancelled before it had begun
            self.on_change()

    async def _sign_in(self, signing: SigningIn) -> None:
        from wizard.actions.azure_facts import azure_of, require_pinned

        def show(prompt: SignInPrompt) -> None:
            signing.prompt = prompt
            self.on_change()

        identity: AzureIdentity | None = None
        try:
            identity = await azure_of(self.session.readers).sign_in(show)
            self.session.acts_as(identity.object_id)
            require_pinned(self.session.snapshot, identity)
            await self.lists.forget()  # somebody else may see other things
            signing.end(identity)
            # A round goes on with what it has read: its looks at Azure are made again after it.
            self._signed_in_meanwhile = self.round is not None and self.round.running
            self._take_up()
        except Problem as problem:
            signing.end(identity, problem)
        except asyncio.CancelledError:
            signing.end()
        except Exception as error:  # noqa: BLE001 - as in `_run`
            signing.end(problem=self._unknown(error))
        finally:
            self.on_change()

    def _take_up(self) -> None:
        """Goes on with what stopped for want of a sign-in. A change that was sent is only looked after: its end is
        read, and nothing is sent a second time."""
        looks = []
        for place, work in tuple(self.work.items()):
            if work.running or work.unsigned is None:
                continue
            change = self.open_change(place)
            if change is not None:
                self.resume(change)
            elif work.kind == LOOKING:
                looks.append(place)
            else:
                self.plan(place)
        self.look_all(looks)

    # ------------------------------------------------------------ intents

    def guarded(self, intent: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Carries out an intent of the session; a save that failed is remembered and shown until opened again."""
        try:
            return intent(*arguments, **named)
        except Problem:
            self.not_saved = self.writer.stopped
            raise
        finally:
            self.on_change()

    def hold_secret(self, item: str | None, key: str, secret: Secret, *, user: str = "") -> None:
        """Keeps a secret in memory, for this session, away from the journal and from every child's environment."""
        self._held.append(secret)
        self.session.hold_secret(item, key, secret, user=user)
        self.on_change()

    def has_secret(self, item: str | None, key: str) -> bool:
        """Whether that secret was given in this session."""
        return self.session.holds_secret(item, key)

    # ------------------------------------------------------------ work

    def look(self, item_step: ItemStep) -> None:
        """Looks again at an item's step, beside whatever else goes on."""
        self._start(Work(item_step, LOOKING), self._look)

    def look_all(self, places: Sequence[ItemStep] | None = None) -> None:
        """Looks at every item's step that has something to look at, or at these, in one round.

        It goes on beside whatever else does; a round under way goes on instead of another one.
        """
        if places is None:
            places = [
                place
                for step in self.guide.steps
                if step.checks
                for place in item_steps(self.guide, self.session.snapshot, step)
            ]
        free = [place for place in places if not ((work := self.work.get(place)) and work.running)]
        if not free or (self.round is not None and self.round.running):
            return
        looks = sum(len(step.checks) for place in free if (step := self.guide.step(place.step)) is not None)
        self.round = Round({place: Work(place, LOOKING) for place in free}, looks)
        self.work.update(self.round.works)
        self._round_task = asyncio.create_task(self._look_all(self.round))
        self.on_change()

    async def stop_looking(self) -> None:
        """Ends the round under way; what it found so far is kept."""
        if self._round_task is not None:
            self._round_task.cancel()
            await asyncio.wait({self._round_task})

    async def _stop_reading(self) -> None:
        """Ends the round, every other look and plan, and the sweep, and waits until each has removed what it made in
        the cluster: that takes the adapters."""
        self._signed_in_meanwhile = False  # nothing is taken up in an environment that is left
        await self.stop_looking()
        reading = {
            task
            for place, task in self._tasks.items()
            if (work := self.work.get(place)) is not None and work.kind in (LOOKING, PLANNING)
        }
        if self._sweep_task is not None:
            reading.add(self._sweep_task)
        for task in reading:
            task.cancel()
        if reading := reading | self._ending:
            _, slow = await asyncio.wait(reading, timeout=1.0)
            if slow:
                self.on_note("A look in the cluster is ending: what it made there is removed first, within a minute.")
                await asyncio.wait(slow)

    def plan(self, item_step: ItemStep) -> None:
        """Reads what acting would do; what was read before counts no more."""
        self.plans.pop(item_step, None)
        self._start(Work(item_step, PLANNING), self._plan)

    def apply(self, item_step: ItemStep, plan: Plan) -> None:
        """Carries out exactly `plan`, then looks how it is. Raises Problem when nothing may act any more."""
        if self.writer.stopped is not None:
            raise self.writer.stopped
        work = Work(item_step, ACTING, plan.summary, timeout=plan.timeout)
        self._start(work, lambda work: self._apply(work, plan))

    def resume(self, change: ChangeRecord, *, gone: bool = False) -> None:
        """Finds out how an interrupted change ended, waiting for what still runs."""
        started = change.started.data
        item_step = ItemStep(started.step, tuple(started.items))
        work = Work(item_step, RESUMING, summary=started.summary)
        self._start(work, lambda work: self._resume(work, change, gone=gone))

    def resume_all(self) -> None:
        """Takes up every change whose end nobody wrote."""
        for change in self.session.interrupted():
            self.resume(change)
        self._sweep()

    def _sweep(self) -> None:
        """Removes what earlier looks left in the cluster, and tells of what can't be removed."""
        if self._sweep_task is None or self._sweep_task.done():
            self._sweep_task = asyncio.create_task(self.session.sweep_probes())

    def open_change(self, item_step: ItemStep) -> ChangeRecord | None:
        """The change of an item's step whose end nobody wrote; None when every one has its end."""
        for change in self.session.interrupted():
            started = change.started.data
            if ItemStep(started.step, tuple(started.items)) == item_step:
                return change
        return None

    def cancel(self, item_step: ItemStep) -> None:
        """Stops the work on an item's step; what it runs is stopped, and its end is written. A round ends whole."""
        task, work = self._task_of(item_step), self.work.get(item_step)
        if task is not None and work is not None and not work.cancelling:
            work.cancelling = True
            task.cancel()
            self.on_change()

    async def settled(self, item_step: ItemStep) -> Work | None:
        """Waits for the end of what is done for an item's step now; returns it."""
        task = self._task_of(item_step)
        if task is not None:
            await asyncio.wait({task})
        return self.work.get(item_step)

    def _task_of(self, item_step: ItemStep) -> asyncio.Task[None] | None:
        """What carries out the work there: its own task, or that of the round it is part of."""
        work = self.work.get(item_step)
        shared = self.round is not None and work is not None and work is self.round.works.get(item_step)
        return self._round_task if shared else self._tasks.get(item_step)

    def running(self) -> tuple[Work, ...]:
        """What acts now, or waits for what an earlier session began; looking is not counted."""
        return tuple(work for work in self.work.values() if work.running and work.kind in (ACTING, RESUMING))

    def planned(self, item_step: ItemStep) -> Planned | None:
        """The plan that was read for the values as they are now."""
        found = self.plans.get(item_step)
        if found is None or found.inputs != tuple(self.session.view(item_step).inputs()):
            return None
        return found

    def _start(self, work: Work, run: Callable[[Work], Coroutine[Any, Any, None]]) -> None:
        before = self.work.get(work.item_step)
        if before is not None and before.running:
            if before.kind != LOOKING or work.kind == LOOKING:
                return  # it is at it already, or at something that a look must not stop
            self._end_look(work.item_step)
        work.redact = self.session.redact
        self.work[work.item_step] = work
        self._tasks[work.item_step] = asyncio.create_task(self._run(work, run))
        self.on_change()

    def _end_look(self, item_step: ItemStep) -> None:
        """Something else begins there. A round goes on without it, and what it still finds there counts no more."""
        task = self._tasks.get(item_step)
        if task is not None:
            task.cancel()
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    def _note(self, text: str) -> None:
        self.notes.append(text)
        self.on_note(text)

    def _told(self, text: str) -> None:
        """What an adapter has to say while a call goes on belongs to the work that called it, else to the lists."""
        work = _working.get()
        if work is None and self.round is not None:  # reads of a round are of all of it
            work = next((one for one in self.round.works.values() if one.running), None)
        if work is None:
            self.lists.told(text)
        elif work.running:
            work.report(Moment("line", text))
            self.on_change()

    async def _run(self, work: Work, run: Callable[[Work], Coroutine[Any, Any, None]]) -> None:
        _working.set(work)
        try:
            await run(work)
            work.finish()
        except Problem as problem:
            work.finish(problem)
        except asyncio.CancelledError:
            work.finish(state="cancelled")
        except Exception as error:  # noqa: BLE001 - the screen goes on; what nobody foresaw goes to a private log
            work.finish(self._unknown(error))
        finally:
            self.not_saved = self.writer.stopped
            self.on_change()

    def _unknown(self, error: Exception) -> Problem:
        from state.store import log_unknown_error

        try:
            where = str(log_unknown_error(self.places.real.state_dir, error, self.writer.guard))
        except (OSError, Problem):
            where = ""
        return Problem(
            "internal",
            f"The program met something it does not know: {type(error).__name__}.",
            means="What was saved before is saved.",
            todo=f"Report it with {where}." if where else "Report it; its log could not be written.",
        )

    async def _look(self, work: Work) -> None:
        await self.session.look(work.item_step, told=work.missed)

    async def _look_all(self, going: Round) -> None:
        from wizard.checking import Looked, look_at_all

        snapshot = self.session.snapshot
        left = {place: len(self.session.view(place).step.checks) for place in going.works}

        def each(looked: Looked) -> None:
            going.done = looked.done
            place = ItemStep(looked.found.step, looked.found.items)
            mine = self.work.get(place) is going.works[place]  # else something else began there
            if mine and self.session.about_now(looked.found, snapshot):
                self.session.record(looked.found)
            left[place] -= 1
            if not left[place]:
                going.works[place].finish()
            self.on_change()

        problem, state = None, ""
        try:
            await look_at_all(
                self.guide,
                snapshot,
                self.guide.steps,
                self.session.looking(),
                places=going.works,
                each=each,
                told=lambda place, unseen: going.works[place].missed(unseen),
            )
        except Problem as failed:
            problem = failed
        except asyncio.CancelledError:
            state = "cancelled"
        except Exception as error:  # noqa: BLE001 - as in `_run`
            problem = self._unknown(error)
        finally:
            going.running = False
            for work in going.works.values():
                if work.running:
                    work.finish(problem, state=state)
            self.not_saved = self.writer.stopped
            self.on_change()
        if self._signed_in_meanwhile:
            self._signed_in_meanwhile = False
            self._take_up()

    async def _plan(self, work: Work) -> None:
        inputs = tuple(self.session.view(work.item_step).inputs())
        plan = await self.session.plan(work.item_step)
        self.plans[work.item_step] = Planned(plan, now(), inputs)

    async def _apply(self, work: Work, plan: Plan) -> None:
        try:
            await self.session.apply(work.item_step, plan, work.report)
        finally:
            self.plans.pop(work.item_step, None)
        await self.session.look(work.item_step, closes=True, told=work.missed)

    async def _resume(self, work: Work, change: ChangeRecord, *, gone: bool) -> None:
        await self.session.resume(change, work.report, gone=gone)
        await self.session.look(work.item_step, closes=True, told=work.missed)

    # ------------------------------------------------------------ the end

    async def close(self, *, leave_running: bool = False) -> str:
        """Stops what runs, or leaves it running alone; frees the lock. Returns the head of the journal."""
        await self.stop_signing_in()
        await self.stop_looking()
        tasks = [*self._tasks.values(), *self._ending, *([self._sweep_task] if self._sweep_task is not None else [])]
        for task in tasks:
            task.cancel(LEAVE if leave_running else None)
        await asyncio.gather(*tasks, self.lists.forget(), return_exceptions=True)
        await self._adapters.aclose()
        self.writer.close()
        return self.writer.head


async def open_setup(places: Places, name: str) -> OpenSetup:
    """Opens a setup where it was left. Raises Problem, Locked when somebody else writes it."""
    store = places.holding(name)
    guide = find_guide((await asyncio.to_thread(store.read, name)).header.guide.id)
    return await _opened(await asyncio.to_thread(store.open, name, current_actor("screen")), guide, places)


async def new_setup(
    places: Places, name: str, guide_id: str, mode: str, environment: Mapping[str, Any] | None = None
) -> OpenSetup:
    """Makes a setup and opens it. Raises Problem when the name is taken or the environment can't be used."""
    guide = find_guide(guide_id)
    if mode not in guide.modes:
        raise Problem(
            "unknown-mode",
            f"The guide {guide.id} has no mode {one_line(mode)}.",
            todo=f"Modes are {', '.join(guide.modes)}.",
        )
    where: EnvironmentSet = await asyncio.to_thread(resolve_environment, environment or {})
    store = places.of(sandbox=where.sandbox)
    reference = GuideRef(id=guide.id, version=guide.version)
    writer = await asyncio.to_thread(store.create, name, reference, current_actor("screen"))
    setup = await _opened(writer, guide, places)
    setup.session.set_environment(where)
    setup.session.set_mode(mode)
    await setup.connect()
    return setup


async def _opened(writer: Writer, guide: Guide, places: Places) -> OpenSetup:
    session = Session(writer, guide, current_actor("screen"))
    setup = OpenSetup(session, writer, places)
    session.on_commit = lambda: setup.on_change()  # noqa: PLW0108 - on_change is set later, by the screens
    try:
        await setup.connect()
    except BaseException:
        writer.close()  # nobody holds what could not be opened
        raise
    return setup
