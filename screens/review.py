"""A setup as an auditor sees it: what was said, by whom, on what evidence. Nothing here can change anything."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.events import DescendantFocus
from textual.widget import Widget

from screens.chrome import KeyLine
from screens.dialogs import CopySheet
from screens.entries import Entries
from screens.grid import PLAIN, QUIET, STRONG, Lines, ink, join, row, shortened, word, wrapped
from screens.page import Page, point_at
from screens.timeline import PlacesView, TimelineView, grade, grade_word
from wizard.text import clean, one_line

if TYPE_CHECKING:
    from wizard.statements import Proof, Reviewed, ReviewedPlace, Statement

LABEL = 10
"""Cells of the labels in the evidence pane."""
ALARM_ROWS = (4, 9)
"""Rows that warnings may take on a short screen and on a tall one; the rest is counted."""
GRADES = (("observed", "we looked"), ("attested", "a person said so"), ("reported", "the vendor said so"))
COUNTED = ("observed", "attested", "reported", "failed", "stale")
NEVER_OBSERVED = "never observed"
BAD_WORDS = ("failed", "stale")
NO_STEPS = "The steps of this guide are not known here."
COPIED = 1000
"""Cells of a copied line, so that nothing is folded."""


class ReviewPage(Page):
    """The timeline of a journal, and the evidence of one statement of it."""

    READ_ONLY = True
    HELP = (
        "A review reads a state file and nothing else: it writes nothing, locks nothing, starts no program and asks "
        "nobody. Left are the statements in the order they were made, right is what the highlighted one rests on. "
        "f4 shows the steps instead, each with what proved it, who confirmed which words, and what was never observed. "
        "The chain shows a change only against a head noted elsewhere; f8 shows the command that compares it."
    )
    KEYS: ClassVar[tuple[tuple[str, str], ...]] = (
        ("up down", "statement"),
        ("tab", "evidence"),
        ("f4", "by step"),
        ("^y", "copy"),
        ("f6", "failed, stale"),
        ("f8", "export"),
        ("esc", "back"),
        ("f1", "help"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f4", "by_step", "by step", show=False),
        Binding("f6", "narrow", "only failed and stale", show=False),
        Binding("f8", "export", "export", show=False),
    ]

    def __init__(self, found: Reviewed) -> None:
        super().__init__()
        self._found = found
        self._narrowed = False
        self._by_step = False

    def compose(self) -> ComposeResult:
        """What it is, what it amounts to, what is wrong with it; timeline and evidence."""
        yield Lines(self._readonly, id="readonly")
        yield Lines(self._band, id="band")
        if any(True for _ in self._warnings()):
            yield Lines(self._alarm, id="alarm", classes="danger")
        yield from self.more()
        with Horizontal(id="split"):
            yield TimelineView(self._found.statements, none="Nothing was recorded yet.", at_end=True)
            places = PlacesView(self._found.places, none=NO_STEPS, remark=self._remark)
            yield places
            with VerticalScroll(id="evidence"):
                yield Lines(self._evidence)
        yield KeyLine(self.KEYS, "nothing is written")

    def on_mount(self) -> None:
        """The list has the focus."""
        self._show_list()
        self._list.focus()

    def more(self) -> Iterator[Widget]:
        """What stands above the lists beyond that; nothing here."""
        return iter(())

    def _show_list(self) -> None:
        for view in self.query(Entries):
            view.display = view is self._list

    @property
    def _list(self) -> TimelineView | PlacesView:
        """The list that is shown."""
        return self.query_one(PlacesView) if self._by_step else self.query_one(TimelineView)

    def setup_changed(self) -> None:
        """A journal under review does not change; the screen's size may."""
        for lines in self.query(Lines):
            lines.again()
        self._point()

    # ------------------------------------------------------------ on top

    def _readonly(self, width: int) -> list[Content]:
        found = self._found
        mark = "READ-ONLY   SANDBOX   " if found.sandbox else "READ-ONLY   "
        about = f"{mark}review of {found.name}" + (", nothing can be changed from here" if self.wide else "")
        # The inks of the theme would not be seen on this ground, so none is named.
        room = width - len(about) - 4
        right = Content(shortened(found.file, room)) if room > 15 else None
        return [row(width, (Content.styled(clean(about), "bold"), 0), right=right)]

    def _band(self, width: int) -> list[Content]:
        found = self._found
        events = f"   events 1 to {found.events}" if found.events else "   no events"
        head = f", head {found.head[:8]}…{found.head[-4:]}" if self.wide else ""
        done = ink(f"{found.done_steps} of {found.all_steps} done" if found.all_steps else "steps not known")
        counts = [self._count(state) for state in COUNTED]
        unseen = [self._count(NEVER_OBSERVED, "unknown")] if found.counts[NEVER_OBSERVED] else []
        chain = join(self._chain(), ink(events + head))
        if not self.wide:
            # The counts fill a narrow row, so what was never observed stands in the other one.
            right = Content("  ").join([*unseen, done])
            return [row(width, (chain, 0), right=right), row(width, (Content("  ").join(counts), 0))]
        until = ink(f"up to {found.as_of[:10]} {found.as_of[11:16]} UTC", QUIET)
        return [
            row(width, (chain, 0), right=join(ink(f"{found.mode}   "), done)),
            row(width, (Content("   ").join([*counts, *unseen]), 0), right=until),
        ]

    def _count(self, state: str, glyph: str = "") -> Content:
        return join(word(glyph or state, ""), ink(f"{self._found.counts[state]} {state}"))

    def _chain(self) -> Content:
        # What is wrong with it, and what that means, stands among the warnings.
        if self._found.chain_intact:
            return word("good", "chain intact")
        return word("failed", self._found.chain_line.partition(":")[0], bold=True)

    def _warnings(self) -> Iterator[tuple[str, str]]:
        """What must not be missed: (state, sentence), the worst first."""
        found = self._found
        for problem in found.problems:
            yield "failed", problem
        if found.torn_bytes:
            yield (
                "stale",
                f"The last line is torn: {found.torn_bytes} bytes of a write that did not end. They say nothing, and "
                "are left where they are.",
            )
        for unproven in found.unproven:
            yield "stale", f"Without observed proof: {unproven}"
        if found.sandbox:
            yield "stale", "SANDBOX: a rehearsal; nothing of this was done in Azure or a real cluster."

    def _alarm(self, width: int) -> list[Content]:
        lines = [line for state, text in self._warnings() for line in _marked(state, text, width)]
        room = ALARM_ROWS[self.tall]
        if len(lines) <= room:
            return lines
        left = len(lines) - room + 1
        return [*lines[: room - 1], ink(f"  {left} more lines; ^y copies them, f8 has the whole report", QUIET)]

    # ------------------------------------------------------------ evidence

    @property
    def _statement(self) -> Statement | None:
        view = next(iter(self.query(TimelineView)), None)
        return view.highlighted if view is not None else None

    @property
    def _place(self) -> ReviewedPlace | None:
        view = next(iter(self.query(PlacesView)), None)
        return view.highlighted if view is not None else None

    def _evidence(self, width: int) -> list[Content]:
        if self._by_step:
            place = self._place
            return self._place_lines(place, width) if place is not None else [Content("")]
        one = self._statement
        lines: list[Content] = []
        if one is not None:
            lines = [*wrapped(one.text, width, STRONG), *([Content("")] if self.tall else [])]
            for label, value, style in self._rows(one):
                lines += _pair(label, value, style, width)
            if earlier := one.earlier:
                lines += [Content(""), ink("Before that", STRONG)]
                for before in earlier:
                    when = ink(f"  {before.ts[:10]} {before.ts[11:19]}  ", QUIET)
                    lines += [join(grade(before), when), *wrapped(before.text, width, indent=2)]
        if self.tall:
            lines += [Content(""), ink("Grades", STRONG)]
            lines += [join(word(state), ink(" " * (12 - len(state)) + means, QUIET)) for state, means in GRADES]
        return lines or [Content("")]

    def _rows(self, one: Statement) -> Iterator[tuple[str, str | Content, str]]:
        """(label, value, style) of everything known about a statement."""
        details = one.details
        # The same word that its row has; a grade says itself what it means.
        if one.stale or not any(label == "Grade" for label, _ in details):
            yield "State", grade(one), PLAIN
        if one.stale:
            yield "", f"It does not count: {one.why_stale}.", "$warning"
        if not one.trusted:
            yield "Trust", word("failed", "none: it stands after the first damaged line"), PLAIN
        if one.step is not None:
            yield "Step", self._step(one.step), PLAIN
        if one.items:
            yield "Items", ", ".join(one.items), PLAIN
        for label, value in details:
            if label == "Grade":
                name, _, means = value.partition(", ")
                # What was observed may well be bad: then the grade is no good sign.
                graded = word(name) if name == grade_word(one) else ink(name)
                yield label, join(graded, ink(f", {means}" if means else "")), PLAIN
            elif label == "SHA-256":
                yield label, " ".join(value[at : at + 4] for at in range(0, len(value), 4)), PLAIN
            else:
                yield label, value, PLAIN

    def _place_lines(self, place: ReviewedPlace, width: int) -> list[Content]:
        """What a step rests on, for one item."""
        lines = wrapped(f"{place.number} {place.title}", width, STRONG)
        for label, value, style in self._place_rows(place):
            lines += _pair(label, value, style, width)
        for proof in place.proofs:
            advises = "" if proof.decides else "   advises only"
            lines += [Content(""), join(ink(proof.title, STRONG), ink(advises, QUIET))]
            for label, value, style in self._proof_rows(place, proof):
                lines += _pair(label, value, style, width)
        return lines

    def _place_rows(self, place: ReviewedPlace) -> Iterator[tuple[str, str | Content, str]]:
        yield "State", word(place.status), PLAIN
        for reason in place.reasons:
            yield "", reason, PLAIN
        if place.items:
            yield "Items", ", ".join(place.items), PLAIN
        if place.waits_for:
            yield "Waits for", ", ".join(place.waits_for), PLAIN
        if place.never_observed:
            yield "Observed", word("unknown", "never: no look was ever good for it"), PLAIN
        if place.unproven:
            yield "Unproven", word("stale", "let pass without observed proof"), PLAIN
            yield "", place.unproven, PLAIN

    def _proof_rows(self, place: ReviewedPlace, proof: Proof) -> Iterator[tuple[str, str | Content, str]]:
        """The last statement of a check or of somebody who confirmed, with all that is known about it."""
        if proof.last is None:
            yield "State", ink("nobody confirmed it" if proof.words else "never looked at", QUIET), PLAIN
        else:
            yield "State", grade(proof.last), PLAIN
            if not proof.words:
                yield "Found", proof.last.text, PLAIN
        yield from self._now_rows(place, proof)
        if proof.last is None:
            return
        yield from (known for known in self._rows(proof.last) if known[0] not in ("State", "Step", "Items", "Check"))

    def _now_rows(self, place: ReviewedPlace, proof: Proof) -> Iterator[tuple[str, str | Content, str]]:
        """What looking again said; a review of the journal alone has nothing to say."""
        return iter(())

    def _is_bad(self, place: ReviewedPlace) -> bool:
        """Whether it stays when only what failed or is stale is shown."""
        return place.status in BAD_WORDS

    def _remark(self, place: ReviewedPlace) -> Content:
        """What stands flush right of a step."""
        if place.unproven:
            return word("stale", "without proof")
        return word("unknown", NEVER_OBSERVED) if place.never_observed else Content("")

    def _step(self, number: int) -> str:
        title = next((step.title for step in self._found.steps if step.number == number), "")
        return f"{number} {title}"

    # ------------------------------------------------------------ keys

    def on_entries_highlighted(self, event: Entries.Highlighted) -> None:
        """The evidence follows the list."""
        self._show_evidence()

    def _show_evidence(self) -> None:
        pane = self.query_one("#evidence", VerticalScroll)
        pane.scroll_home(animate=False)
        pane.query_one(Lines).again()
        self.call_after_refresh(self._point)

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        """The hardware cursor is on the highlighted statement, or on the evidence."""
        event.prevent_default()
        self.call_after_refresh(self._point)

    def _point(self) -> None:
        if not self.is_current:
            return
        view = next((view for view in self.query(Entries) if view.has_focus), None)
        if view is not None:
            self.app.cursor_position = view.cursor()
        else:
            point_at(self.focused)

    def action_by_step(self) -> None:
        """Shows the steps in place of the timeline, or the timeline again."""
        self._by_step = not self._by_step
        focused = any(view.has_focus for view in self.query(Entries))
        self._show_list()
        if focused:
            self._list.focus()
        self._show_keys()
        self._show_evidence()

    def action_narrow(self) -> None:
        """Shows only what failed or is stale, or everything again."""
        self._narrowed = not self._narrowed
        statements, places = self._found.statements, self._found.places
        if self._narrowed:
            statements = tuple(one for one in statements if grade_word(one) in BAD_WORDS)
            places = tuple(one for one in places if self._is_bad(one))
        nothing = "Nothing failed or is stale; f6 shows everything." if self._narrowed else ""
        self.query_one(TimelineView).show(statements, none=nothing or "Nothing was recorded.")
        self.query_one(PlacesView).show(places, none=nothing or NO_STEPS)
        self._show_keys()

    def _show_keys(self) -> None:
        """The key line names what a key would do now."""
        words = self.key_words()
        keys = [(key, words.get(key, does)) for key, does in self.KEYS]
        shown, everything = self._list.shown, len(self._found.places if self._by_step else self._found.statements)
        self.query_one(KeyLine).show(keys, f"{shown} of {everything}" if self._narrowed else "nothing is written")

    def key_words(self) -> dict[str, str]:
        """What keys do now, where that is not what `KEYS` says."""
        words = {"f4": "by time", "up down": "step"} if self._by_step else {"f4": "by step"}
        return {**words, "f6": "everything"} if self._narrowed else words

    def action_export(self) -> None:
        """Shows the commands that write a report: a review writes nothing."""
        commands = "\n".join(self._commands())
        self.app.copy_to_clipboard(commands)
        about = (
            "A review writes nothing. These commands, typed in a shell, write what is shown here as a page, write it "
            "as JSON, and compare the head with the one noted elsewhere (HEAD). They were sent to the terminal's "
            f"clipboard; not every terminal takes it. The head here is {self._found.head}"
        )
        self.wizard.do(self._show(CopySheet(commands, about)))

    async def _show(self, sheet: CopySheet) -> None:
        await self.wizard.ask(sheet)

    def _commands(self) -> list[str]:
        found = self._found
        file = f"./{found.file}" if found.file.startswith("-") else found.file
        review = f"privatelink-wizard review {shlex.quote(file)}"
        until = f" --as-of {shlex.quote(found.as_of)}"
        name = one_line(found.name)
        return [
            f"{review}{until} -o html --out {shlex.quote(f'{name}-review.html')}",
            f"{review}{until} -o json --out {shlex.quote(f'{name}-review.json')}",
            f"{review}{until} --expect HEAD -o text",
        ]

    def action_copy(self) -> None:
        """Copies the statement with its evidence; through the terminal alone, for a review starts no program."""
        self.wizard.copy(clean(self.copyable(), keep_newlines=True, limit=100_000), native=False)

    def copyable(self) -> str:
        """The highlighted statement or step with its evidence, and what the file is worth that it stands in."""
        found, one = self._found, self._statement
        lines = [f"Review of {found.name}, {found.file}", f"{found.chain_line}, events 1 to {found.events}"]
        lines += [f"head {found.head}", *(text for _, text in self._warnings()), ""]
        if self._by_step:
            place = self._place
            lines += [line.plain.rstrip() for line in self._place_lines(place, COPIED)] if place is not None else []
        elif one is not None:
            lines += [one.text, f"State: {grade_word(one)}"]
            lines += [f"Step: {self._step(one.step)}"] if one.step is not None else []
            lines += [f"Items: {', '.join(one.items)}"] if one.items else []
            lines += [f"{label}: {value}" for label, value in one.details]
            lines += ["Before that:", *one.before] if one.before else []
        return "\n".join(one_line(line, limit=10_000) for line in lines)

    def commands(self) -> list[tuple[str, str, str]]:
        """What the palette offers: nothing that writes."""
        return [
            ("By step", "what each step rests on, or the timeline again (f4)", "by_step"),
            ("Only failed and stale", "shows those alone, or all again (f6)", "narrow"),
            ("Export", "shows the commands that write a report (f8)", "export"),
            ("Copy", "the statement with its evidence (^y)", "copy"),
        ]


def _marked(state: str, text: str, width: int) -> list[Content]:
    first, *more = wrapped(text, width - 2)
    return [join(word(state, ""), first), *(join(Content("  "), one) for one in more)]


def _pair(label: str, value: str | Content, style: str, width: int) -> list[Content]:
    lead = ink(label.ljust(LABEL), QUIET)
    if isinstance(value, Content):
        return [join(lead, value)]
    first, *more = wrapped(value, width - LABEL, style)
    return [join(lead, first), *(join(Content(" " * LABEL), one) for one in more)]
