"""A review that looks again: beside what was recorded stands what is found now, by readers alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from screens.grid import PLAIN, QUIET, Lines, ink, join, row, word, wrapped
from screens.review import ReviewPage
from state.problem import Problem
from wizard.live import (
    AS_RECORDED,
    BETTER,
    NOT_PINNED,
    NOT_RECORDED,
    OTHER,
    OTHER_ANSWER,
    SAME,
    WORSE,
)

if TYPE_CHECKING:
    from wizard.guide import ItemStep
    from wizard.live import Again, Live, LookAgain
    from wizard.statements import Proof, Reviewed, ReviewedPlace

# The state whose glyph and ink a difference has.
_STATES = {WORSE: "failed", OTHER_ANSWER: "stale", BETTER: "ok", AS_RECORDED: "ok", NOT_RECORDED: "waiting"}
_PINS = {SAME: "ok", OTHER: "failed", NOT_PINNED: "waiting"}
PIN_ROWS = (2, 6)
"""Rows that say whom we ask, on a short screen and on a tall one, where that is not whom the setup is pinned to."""


class Above(Lines):
    """Lines that move what is below them when they become more or fewer."""

    class Resized(Message):
        """They did, and it was drawn."""

    def on_resize(self) -> None:
        """Tells the page."""
        self.post_message(self.Resized())


class LiveReviewPage(ReviewPage):
    """The steps of a journal with their evidence, looked at again as the page opens."""

    HELP = (
        "This review looks again: every check asks Azure, DNS and the cluster with your own kubeconfig and sign-in, by "
        "reading only. It writes nothing and locks nothing; what could change something is not even loaded. Lookups "
        "from inside the cluster need a privilege and are not repeated. What is found now stands below what was "
        "recorded. esc stops looking, ^r looks again."
    )
    KEYS = (
        ("up down", "step"),
        ("tab", "evidence"),
        ("^r", "look again"),
        ("f4", "by time"),
        ("^y", "copy"),
        ("f6", "failed, stale"),
        ("f8", "export"),
        ("esc", "back"),
        ("f1", "help"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+r", "look", "look again", show=False)]

    def __init__(self, found: Reviewed, again: LookAgain) -> None:
        super().__init__(found)
        self._by_step = True
        self._again = again
        self._live: Live | None = None
        self._looks: dict[tuple[ItemStep, str], Again] = {}
        self._problem: Problem | None = None
        self._note = ""
        self._looking: asyncio.Task[None] | None = None
        self._stopped = False
        self._began = 0.0
        self._done = (0, 0)

    def on_mount(self) -> None:
        """Looks at once: that is what was asked for."""
        super().on_mount()
        self.set_interval(1.0, self._tick)
        self.action_look()

    async def on_unmount(self) -> None:
        """Nothing of it outlives the page: the children that read have ended when it is gone."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait({self._looking})

    def more(self) -> Iterator[Widget]:
        """How the look goes, and how it ended."""
        yield Above(self._again_lines, id="again")

    # ------------------------------------------------------------ looking

    def action_look(self) -> None:
        """Looks again, unless it does."""
        if self._looking is None:
            self._stopped, self._problem, self._note = False, None, ""
            self._began, self._done = time.monotonic(), (0, 0)
            self._looking = asyncio.create_task(self._look())
            self._again_shown()

    async def _look(self) -> None:
        try:
            self._live = await self._again.look(done=self._progress, told=self._told)
            self._looks = {(look.place, look.check.id): look for look in self._live.looks}
        except Problem as problem:
            self._problem = problem
        except asyncio.CancelledError:
            self._stopped = True
            raise
        except Exception as error:  # noqa: BLE001 - shown, and the review goes on
            self._problem = self.wizard.unknown(error)
        finally:
            self._looking = None
            self._again_shown()

    def _progress(self, done: int, of: int) -> None:
        self._done = (done, of)
        self._tick()

    def _told(self, note: str) -> None:
        self._note = note
        self._tick()

    def _tick(self) -> None:
        """How far it is; what is shown below stays as it is until the look has ended."""
        if self._looking is not None and self.is_attached:
            self.query_one(Above).again()

    def on_above_resized(self) -> None:
        """What is below it has moved, and with it where the cursor belongs."""
        self._point()

    def _again_shown(self) -> None:
        if self.is_attached:
            self.setup_changed()
            self._list.refresh()
            self._show_keys()

    def action_back(self) -> None:
        """Stops looking; when nothing is looked at, goes back."""
        if self._looking is not None:
            self._looking.cancel()
        else:
            super().action_back()

    # ------------------------------------------------------------ showing

    def key_words(self) -> dict[str, str]:
        """As the page without looking has them, and what esc does meanwhile."""
        found = {**super().key_words(), "up down": "step" if self._by_step else "statement"}
        return {**found, "esc": "stop looking"} if self._looking is not None else found

    def _again_lines(self, width: int) -> list[Content]:
        if self._looking is not None:
            done, of = self._done
            so_far = f"{done} of {of} checks" if of else "starting"
            elapsed = ink(f"{time.monotonic() - self._began:.0f} s; esc stops", QUIET)
            lines = [row(width, (join(word("running", "looking again"), ink(f"   {so_far}")), 0), right=elapsed)]
            return [*lines, *wrapped(self._note, width, QUIET)] if self._note else lines
        if self._stopped:
            return [join(word("cancelled", "looking again was stopped"), ink("   ^r looks again", QUIET))]
        if self._problem is not None:
            said = " ".join(filter(None, (self._problem.what, self._problem.means, self._problem.todo)))
            first, *more = wrapped(said, width - 2, "$warning")
            lines = [join(word("could not look", ""), first), *(join(Content("  "), one) for one in more)]
            return lines[: PIN_ROWS[self.tall]]
        return self._found_lines(self._live, width) if self._live is not None else [Content("")]

    def _found_lines(self, live: Live, width: int) -> list[Content]:
        counts = [
            join(word(_STATES.get(difference, difference), ""), ink(f"{number} {difference}"))
            for difference, number in live.counts.items()
            if number
        ]
        looked = ink(f"looked {live.ts[11:19]} UTC", QUIET)
        # The first row keeps free what the time takes; what does not fit beside it goes on below.
        lines, room = [ink("Now", "$foreground bold")], width - looked.cell_length - 2
        for one in counts or [ink("no checks", QUIET)]:
            if lines[-1].cell_length + 2 + one.cell_length > (room if len(lines) == 1 else width):
                lines.append(Content("   "))
            lines[-1] = join(lines[-1], Content("  "), one)
        lines[0] = row(width, (lines[0], 0), right=looked)
        pins: list[Content] = []
        for pin in live.pins:
            if pin.state != SAME:
                first, *more = wrapped(f"{pin.text} {pin.todo}".strip(), width - 2)
                state = _PINS.get(pin.state, pin.state)
                pins += [join(word(state, ""), first), *(join(Content("  "), one) for one in more)]
        return [*lines, *pins[: PIN_ROWS[self.tall]]]

    def _now_rows(self, place: ReviewedPlace, proof: Proof) -> Iterator[tuple[str, str | Content, str]]:
        look = self._looks.get((place.place, proof.id))
        if look is None:
            return
        if look.found is None:
            yield "Now", word("waiting", "not repeated: it needs a probe, which a review never makes"), PLAIN
            return
        differs = ink(f"   {look.difference}", "$error bold" if look.difference == WORSE else PLAIN)
        yield "Now", join(word(look.verdict), differs), PLAIN
        if look.difference == AS_RECORDED:
            return
        yield "", look.found.text, PLAIN
        if look.recorded is not None and not look.current:
            why = "What was recorded was found for other values or in another cluster; nothing is compared with it."
            yield "", why, "$warning"
        if look.found.todo and look.verdict != "good":
            yield "Do next", look.found.todo, PLAIN
        for seen in look.found.evidence:
            yield "Request", seen.request, PLAIN
            yield "Answer", seen.answer, PLAIN
            yield "Identity", seen.identity, PLAIN

    def _is_bad(self, place: ReviewedPlace) -> bool:
        """What failed or is worse now, or could not be looked at."""
        now = {look.difference for proof in place.proofs if (look := self._looks.get((place.place, proof.id)))}
        return super()._is_bad(place) or not now.isdisjoint((WORSE, "could not look"))

    def _remark(self, place: ReviewedPlace) -> Content:
        """The worst that was found now, where that is not as recorded."""
        found = [look for proof in place.proofs if (look := self._looks.get((place.place, proof.id)))]
        for difference in (WORSE, "could not look", OTHER_ANSWER, BETTER, NOT_RECORDED):
            if any(look.difference == difference for look in found):
                return word(_STATES.get(difference, difference), f"now {difference}")
        if any(look.difference == AS_RECORDED for look in found):
            return word("ok", AS_RECORDED)
        return super()._remark(place)

    def copyable(self) -> str:
        """What is highlighted, and what was found now about all of it."""
        if self._live is None:
            return super().copyable()
        from wizard.live import document
        from wizard.report_text import live_text

        return f"{super().copyable()}\n\n{live_text(document(self._live))}"

    def commands(self) -> list[tuple[str, str, str]]:
        """What the palette offers: nothing that writes."""
        return [("Look again", "asks Azure, DNS and the cluster, by reading only (^r)", "look"), *super().commands()]
