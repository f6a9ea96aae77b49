"""One field: its label, what is typed, its state, and a line that says what is right so far and what comes next.

A keystroke makes a draft. Leaving the field, Enter, Next or two seconds of rest commit it (DESIGN.md section 1); the
row only says so, and the page hands it to the session.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from rich.segment import Segment
from textual.actions import SkipAction
from textual.app import ComposeResult
from textual.content import Content
from textual.events import Blur, DescendantFocus, Focus, Key, Resize
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import Reactive
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input

from screens.glyphs import sign, style_of
from screens.grid import LABEL, QUIET, Lines, cell, folded, ink, join, remarks, row, shortened, wrapped
from screens.line_input import CleanInput
from wizard.drafting import Drafted
from wizard.guide import Field, ItemStep
from wizard.listing import COULD_NOT_LOOK, LOOKING, SOURCE, Known
from wizard.offers import Offer
from wizard.text import clean

REST_SECONDS = 2.0
"""A draft that is right and makes nothing stale is committed after so long without a key."""

LONGEST_PASTE = 64 * 1024
"""Characters; the two portal commands have some hundred."""

LONG_FORM = "-many"
"""Class of what holds so many rows that notes of what is right fold away."""

OK, EMPTY, STALE = "ok", "empty", "stale"


@dataclass(frozen=True, slots=True)
class FieldModel:
    """What a row shows when nothing is being typed: the committed value, its state and where it is from.

    `held`: a secret that is in memory; `secret_from`: who could give it. `remark` is said about the committed value.
    `care`: the remark is a warning, though the value can be used. `item_step`: the place it is shown at, by whose
    other values what is typed is judged. `later`: it is empty, and acting fills it.
    """

    field: Field
    owner: str | None
    state: str
    value: str
    source: str = ""
    remark: str = ""
    held: bool = False
    secret_from: str = ""
    care: bool = False
    item_step: ItemStep | None = None
    later: bool = False

    @property
    def key(self) -> tuple[str | None, str]:
        """Whose value of which field."""
        return self.owner, self.field.key


Draft = Callable[[FieldModel, str], Drafted]
"""Says what a typed text is, as a value of that field."""

Listing = Callable[[FieldModel], Known | None]
"""Says what is known of a field's list."""


class FieldInput(CleanInput):
    """The line one types into."""

    longest = LONGEST_PASTE

    # A longer value only scrolls further within the same box: a layout of the whole screen at every key is not needed.
    virtual_size = Reactive(Size(0, 0))
    answer: Callable[[], None] | None = None
    """Called at every change of the value, at once: an answer by way of `Changed` is drawn a frame after the key."""

    class Pasted(Message):
        """Text was pasted; the page takes portal commands apart before anything lands in the field."""

        def __init__(self, line: FieldInput, text: str) -> None:
            super().__init__()
            self.line = line
            self.text = text

    def watch_value(self) -> None:
        """The row answers in the frame that shows the key."""
        if self.answer is not None and self.is_mounted and not self._is_prevented(Input.Changed):
            self.answer()

    def on_focus(self, event: Focus) -> None:
        """Shows the end of a long value: an Input does not scroll to its cursor before the first edit."""
        self.call_after_refresh(self._to_cursor)

    def _to_cursor(self) -> None:
        self.scroll_to_region(Region(self.cursor_position, 0, 1, 1), force=True, animate=False)
        self.app.cursor_position = self.cursor_screen_offset

    def on_blur(self, event: Blur) -> None:
        """Unfocused, a value shows its beginning."""
        self.scroll_to(x=0, animate=False, force=True)

    def take(self, text: str) -> None:
        """Leaves a pasted text to the page."""
        self.post_message(self.Pasted(self, text[:LONGEST_PASTE]))

    def action_paste(self) -> None:
        """What was copied in here is pasted as if it came from elsewhere."""
        self.take(self.app.clipboard)

    def action_copy(self) -> None:
        """Copies the selection; never of a secret, which would lie in a clipboard."""
        if self.password:
            raise SkipAction
        super().action_copy()

    def action_cut(self) -> None:
        """Cuts the selection out; a secret's only goes away."""
        if self.password:
            self.delete_selection()
        else:
            super().action_cut()

    def render_line(self, y: int) -> Strip:
        """Unfocused, a long value shows its beginning and its end."""
        width = self.content_size.width
        if y != 0 or self.has_focus or self.password or len(self.value) <= width:
            return super().render_line(y)
        text = Strip([Segment(shortened(self.value, width))])
        return text.extend_cell_length(width + 1).apply_style(self.rich_style)


class FieldRow(Lines):
    """A field on the screen: label, line, state word; the note below. All but the line is drawn by the row itself,
    since every widget that is seen costs time at every key.

    Posts `Committed` when the draft should be taken, `Wanted` for the picker of files or of what is in a list, and
    `Entered` when there is a list to read.
    """

    class Committed(Message):
        """The draft is finished. `model` is the field it was typed for, whatever the row shows meanwhile; `source`
        says where the text is from."""

        def __init__(self, row: FieldRow, model: FieldModel, text: str, source: str) -> None:
            super().__init__()
            self.row = row
            self.model = model
            self.text = text
            self.source = source

    class Drafting(Message):
        """The draft changed and has rested a moment: the page may say what it would make stale."""

        def __init__(self, row: FieldRow) -> None:
            super().__init__()
            self.row = row

    class SecretTaken(Message):
        """The offered secret is to be taken; it never passes through the row."""

        def __init__(self, row: FieldRow) -> None:
            super().__init__()
            self.row = row

    class Wanted(Message):
        """A file, or a row of its list, is to be picked for this field."""

        def __init__(self, row: FieldRow) -> None:
            super().__init__()
            self.row = row

    class Entered(Message):
        """One is in a field that has a list: it is to be read."""

        def __init__(self, row: FieldRow) -> None:
            super().__init__()
            self.row = row

    def __init__(
        self, model: FieldModel, draft: Draft, listing: Listing = lambda _: None, *, text: str | None = None
    ) -> None:
        super().__init__(self._whole, classes="field")
        self.model = model
        self._draft = draft
        self._listing = listing
        self._warning = ""
        self._said: tuple[str, str] | None = None
        self._drafted: Drafted | None = None
        self._answered = False
        self._typing = False
        self._offer = 0
        self._handed: str | None = None
        self._taken: str | None = None
        self._resting: Timer | None = None
        self._warning_due: Timer | None = None
        self.input = FieldInput(
            clean(text if text is not None else self._shown),
            compact=True,
            placeholder=clean(self._placeholder),
            password=self.model.field.secret,
            select_on_focus=False,
        )
        """The line one types into."""
        self.input.answer = self._typed

    def compose(self) -> ComposeResult:
        """The line; the row draws the rest."""
        yield self.input

    def on_mount(self) -> None:
        """A draft that was left here is judged again."""
        if self.dirty:
            self._judge()
        self._show_state()

    @property
    def dirty(self) -> bool:
        """Whether something else stands here than what is committed."""
        return self.input.value != self._shown

    @property
    def _shown(self) -> str:
        return "" if self.model.field.secret else clean(self.model.value)

    @property
    def _placeholder(self) -> str:
        if self.model.held:
            return "kept in memory; type to replace it"
        return self.model.field.sample

    @property
    def state(self) -> str:
        """The state of what stands here: the draft's, or why it could not be taken; else the committed value's."""
        if self._said is not None:
            return self._said[0]
        return self._drafted.state if self._drafted is not None else self.model.state

    # ------------------------------------------------------------ showing

    def show(self, model: FieldModel) -> None:
        """Shows another model; a draft in the making is left alone."""
        if model == self.model and self._drafted is None:
            return
        was_dirty = self.dirty
        self.model = model
        line = self.input
        line.placeholder = clean(self._placeholder)
        if not was_dirty or line.value == self._shown:
            self._drafted = None
            self._show_value()
        self._show_state()

    def warn(self, text: str) -> None:
        """Says under the field what the draft would do, such as what it makes stale."""
        if text != self._warning:
            self._warning = text
            self.again()

    def say(self, state: str, text: str) -> None:
        """Says one more thing about the draft: why it could not be committed."""
        self._said = (state, text)
        self._show_state()

    def _show_state(self) -> None:
        # While one types, what is said below comes and goes: the fields under it stay where they are.
        self.keep_height(self._typing)
        self.again()

    def _whole(self, width: int) -> list[Content]:
        glyph = ink(sign(self.state), f"{style_of(self.state)} bold")
        label = join(cell(glyph, 2), cell(self.model.field.label, LABEL))
        first = row(width, (label, 2 + LABEL), right=self._word())
        if self._folds:
            return [first]
        indent = " " * (2 + LABEL)
        return [first, *(join(Content(indent), one) for one in self._note(max(1, width - len(indent))))]

    @property
    def _folds(self) -> bool:
        """Where rows are scarce, only the field one is in says what is right."""
        calm = (self.state == OK and not self.model.care) or (self.state == EMPTY and self._drafted is None)
        if not calm or self._warning or self._said is not None or self.input.has_focus:
            return False
        in_long_form = isinstance(self.parent, Widget) and self.parent.has_class(LONG_FORM)
        return in_long_form or self.screen.has_class("-short")

    def _word(self) -> Content:
        state = self.state
        text = state
        if self._drafted is None and state == OK:
            text = {"azure": "from Azure", "default": "suggested"}.get(self.model.source, OK)
            text = "in memory" if self.model.field.secret else text
        if state == EMPTY and not self.model.field.required:
            text = "optional"
        if state == EMPTY and self.model.later:
            text = "comes later"
        return ink(text, style_of(state) if text in (state, "in memory") else QUIET)

    def _note(self, width: int) -> list[Content]:
        lines: list[tuple[str, str]] = []
        drafted = self._drafted
        if drafted is None:
            if self.model.remark:
                state = STALE if self.model.care else self.model.state if self.model.state != OK else ""
                lines.append((state, self.model.remark))
            if self.model.state == EMPTY:
                drafted = self._draft(self.model, "")
        extra: list[Content] = []
        if drafted is not None:
            lines = [*([] if self._drafted is None else self._parts(drafted)), *lines]
            extra = self._completion_lines(drafted, width)
        if self._said:
            lines.append(self._said)
        if self._warning:
            lines.append((STALE, self._warning))
        if self.input.has_focus and self.model.field.lists is not None:
            lines += self._listed(said=bool(extra))
        if not lines:
            return extra or [Content("")]
        return [*remarks(width, lines), *extra]

    def _listed(self, *, said: bool) -> list[tuple[str, str]]:
        """What is said of the field's list; `said`: what is offered from it says already which key shows the list."""
        known = self._listing(self.model)
        if known is not None and known.why:
            return [(COULD_NOT_LOOK, known.why)]
        if said:
            return []
        if known is not None and known.state == LOOKING and known.told:
            return [("", known.told)]
        asking = f"asking {SOURCE}; " if known is not None and known.state == LOOKING else ""
        return [("", f"{asking}f3 lists {known.counted if known is not None and known.rows else 'them'}")]

    def _key_of_list(self) -> str:
        """Which key shows the list, behind what is offered; empty without one."""
        known = self._listing(self.model) if self.model.field.lists is not None else None
        return f"; f3 lists {known.counted}" if known is not None and known.rows else ""

    def _parts(self, drafted: Drafted) -> list[tuple[str, str]]:
        if drafted.state == "wrong":
            return [("wrong", drafted.message)]
        lines = [(OK, _named(part.name, part.value)) for part in drafted.parts if part.state == "ok"]
        if drafted.state == OK:
            # One part is the whole value: its name says nothing new.
            return [("", drafted.note)] if len(lines) < 2 and drafted.note else [*lines, *_note(drafted.note)]
        return [*lines, (drafted.state, drafted.message)]

    def _completion_lines(self, drafted: Drafted, width: int) -> list[Content]:
        if not self.input.has_focus and self._drafted is None and not drafted.offers:
            return []
        if drafted.completion and self.input.has_focus:
            typed = clean(self.input.value)
            source = f" ({drafted.completion_source})" if drafted.completion_source else ""
            whole = folded(typed + drafted.completion, max(10, width - 2))
            lines, left = [], len(typed)
            for piece in whole:
                lines.append(join(ink(piece[:left], QUIET), ink(piece[max(0, left) :], "$warning underline")))
                left = max(0, left - len(piece))
            return [*lines, *wrapped(f"right arrow adds it{source}{self._key_of_list()}", width, QUIET)]
        offer = drafted.listed if self.input.value else self._first_offer(drafted)
        if offer is not None and (not self.input.value or self.input.has_focus):
            several = len(drafted.offers) > 1 and not self.input.value
            more = f", down shows {len(drafted.offers) - 1} more" if several else ""
            more = self._key_of_list() or more
            lead = ink(f"{offer.source}: ", QUIET)
            room = max(10, width - lead.cell_length)
            # A row of a list is known by its name, and the key beside it shows the rest.
            brief = offer.listed or not self.input.has_focus
            value = shortened(offer.value, room) if brief else offer.value
            if len(value) > room and self.input.has_focus:
                below = [ink(one, "$warning underline") for one in folded(value, width)]
                return [lead, *below, ink(f"right arrow takes it{more}", QUIET)]
            pieces = folded(value, room)
            lines = [
                join(lead, ink(pieces[0], "$warning underline")),
                *(ink(one, "$warning underline") for one in pieces[1:]),
            ]
            return [*lines, ink(f"right arrow takes it{more}", QUIET)] if self.input.has_focus else lines[:1]
        if self.model.secret_from and not self.model.held and not self.input.value:
            return wrapped(f"{self.model.secret_from} has it: right arrow takes it, unseen", width, QUIET)
        return []

    def _first_offer(self, drafted: Drafted) -> Offer | None:
        """The offer of an empty field that one has walked to."""
        return drafted.offers[self._offer % len(drafted.offers)] if drafted.offers else None

    # ------------------------------------------------------------ typing

    def listed(self) -> None:
        """There is more in the field's list: what is typed is judged again, and what is offered is shown."""
        if self._drafted is not None:
            self._judge()
        self._show_state()

    def on_input_changed(self, event: Input.Changed) -> None:
        """What the line began with is judged here; every key was answered before."""
        event.stop()
        if not self._answered:
            self._typed()

    def _typed(self) -> None:
        """Judges the draft at every key."""
        self._answered = self._typing = True
        self._said, self._handed = None, None
        self._judge()
        self._show_state()
        self._stop_timers()
        self._warning = ""
        if self.dirty:
            self._warning_due = self.set_timer(0.15, lambda: self.post_message(self.Drafting(self)))
            if self.state == OK and not self.model.field.secret and not self.model.field.is_file:
                self._resting = self.set_timer(REST_SECONDS, self._rested)

    def _judge(self) -> None:
        self._drafted = self._draft(self.model, self.input.value) if self.dirty else None

    def _rested(self) -> None:
        if self.dirty and not self._warning:
            self.commit()

    def _stop_timers(self) -> None:
        for timer in (self._resting, self._warning_due):
            if timer is not None:
                timer.stop()

    def on_input_blurred(self, event: Input.Blurred) -> None:
        """Leaving the field commits it, unless Enter did just now."""
        event.stop()
        self._typing = False
        if self._handed is None or (self._handed != self.input.value and not self.model.field.secret):
            self.commit()
        self._show_state()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter commits and goes on; an empty field for a file opens the picker."""
        event.stop()
        if self.model.field.is_file and not self.input.value:
            self.post_message(self.Wanted(self))
            return
        self.commit()
        self.screen.focus_next()

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        """What is offered is shown while one is here."""
        if self.model.field.lists is not None:
            self.post_message(self.Entered(self))
        self._show_state()

    def on_resize(self, event: Resize) -> None:
        """What is said below the line is seen, too: it may have grown out of view."""
        if self.input.has_focus:
            self.scroll_visible(animate=False)

    def commit(self) -> None:
        """Hands the draft to the page, when there is one."""
        self._stop_timers()
        if self.dirty:
            # Only to tell that it was handed over; a secret is not kept for that.
            self._handed = "" if self.model.field.secret else self.input.value
            self.post_message(self.Committed(self, self.model, self.input.value, self.source))

    def settled(self, value: str) -> None:
        """The draft was taken, or another answer was: `value` is committed and is shown from now on."""
        self._stop_timers()
        self._typing = False
        self._drafted, self._said, self._warning = None, None, ""
        self.model = replace(self.model, value=value)
        self._show_value()
        self._show_state()

    def _show_value(self) -> None:
        if self.dirty:
            with self.prevent(Input.Changed):
                self.input.value = self._shown
            self.input.cursor_position = len(self.input.value)

    def take_back(self) -> bool:
        """Forgets the draft; False when there was none."""
        if not self.dirty:
            return False
        self._stop_timers()
        self._typing = False
        self._drafted, self._said, self._warning = None, None, ""
        self._show_value()
        self._show_state()
        return True

    def forget(self) -> None:
        """Empties the line of a secret that is now in memory."""
        self._stop_timers()
        self._typing = False
        self._drafted, self._said = None, None
        with self.prevent(Input.Changed):
            self.input.value = ""
        self._show_state()

    def fill(self, text: str) -> None:
        """Puts a whole value in, as if it had been typed."""
        self.input.value = clean(text, limit=LONGEST_PASTE)
        self.input.cursor_position = len(self.input.value)

    def take(self, value: str) -> None:
        """Takes a row of the field's list: it is whole, so it is committed at once."""
        self.fill(value)
        self._taken = self.input.value
        self.commit()

    @property
    def source(self) -> str:
        """Where the text that stands here is from, as the journal says it."""
        return SOURCE.lower() if self.input.value == self._taken else "typed"

    def on_key(self, event: Key) -> None:
        """Right arrow at the end takes what is offered; down walks through the offers of an empty field."""
        if event.key == "right" and self.input.cursor_at_end:
            if self.model.field.secret:
                if self.model.secret_from and not self.input.value:
                    self.post_message(self.SecretTaken(self))
            elif offered := self._offered():
                event.stop()
                event.prevent_default()
                (self.take if offered.listed else self.fill)(offered.value)
        elif event.key in ("down", "up") and not self.input.value:
            self._offer += 1 if event.key == "down" else -1
            self._show_state()
        elif event.key == "f3" and (self.model.field.is_file or self.model.field.lists is not None):
            event.stop()
            self.post_message(self.Wanted(self))

    def _offered(self) -> Offer | None:
        drafted = self._drafted or self._draft(self.model, self.input.value)
        if drafted.listed is not None:
            return drafted.listed
        if drafted.completion:
            return Offer(self.input.value + drafted.completion, drafted.completion_source)
        return None if self.input.value else self._first_offer(drafted)


def _named(name: str, value: str) -> str:
    return f"{name} {value}" if len(value) <= 24 and name not in value else name


def _note(note: str) -> Sequence[tuple[str, str]]:
    return [("", note)] if note else []
