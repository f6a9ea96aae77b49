"""Picking a row of a field's list by keyboard, while it is still being read.

A line to type a part of the name into, and below it what has it. Rows come from outside: what is drawn of them is
cleaned, and what is answered is the value as it is. Whoever may not list goes on typing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.events import Key, Paste, Resize
from textual.timer import Timer
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from screens.glyphs import sign, style_of
from screens.grid import PLAIN, QUIET, STRONG, Cell, Lines, ink, remarks, row, shortened, wrapped
from screens.line_input import CleanInput
from screens.lists import MarkedList
from screens.page import Sheet
from screens.times import lasting, when
from state.clock import now
from wizard.listing import COMPLETE, LOOKING, SOURCE, Known, Row
from wizard.text import clean, one_line

SHOWN = 100
"""Rows at once: more are not quickly drawn, and nobody reads them; the line above says to type on."""

NAME = 16
"""Cells that a name has at least; a column that leaves less is left out."""

LONGEST = 400
"""Characters of a filter."""

TICK_SECONDS = 1.0
CARE = "stale"
"""The state whose glyph, `!`, stands before a row that something speaks against."""

KEYS = "Type a part of the name; enter takes the row; down goes to the list; ^r asks again; esc goes back."
KEYS_SHORT = "enter takes   down to the list   ^r asks again   esc goes back"


@dataclass(frozen=True, slots=True)
class Typed:
    """The answer of somebody who found no row and goes on with what was typed."""

    text: str


class Filter(CleanInput):
    """What is searched for."""

    longest = LONGEST


class PickListed(Sheet):
    """Picks a row of a list. Dismissed with its value, with `Typed`, or None.

    `ask` sees to it that the list is read, again when told so; `known` says what is known of it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+r", "again", "ask again", show=False)]

    def __init__(self, title: str, ask: Callable[[bool], Known | None], known: Callable[[], Known | None]) -> None:
        super().__init__()
        self._title = title
        self._ask = ask
        self._look = known
        self._known: Known | None = None
        self._found: tuple[Row, ...] = ()
        self._drawn: tuple[tuple[Row, ...], int, bool] | None = None
        self._ticking: Timer | None = None

    # ------------------------------------------------------------ layout

    def compose(self) -> ComposeResult:
        """Title, filter, where the list stands, rows, what is said of the row one is on, keys."""
        with Vertical(id="sheet"):
            yield Lines(lambda width: wrapped(f"Pick: {self._title}", width, STRONG))
            yield Filter(compact=True, select_on_focus=False, placeholder="type a part of the name", id="filter-rows")
            yield Lines(self._state, id="list-state")
            yield Lines(self._headings, id="entry-columns")
            yield MarkedList(id="rows", markup=False)
            yield Lines(self._detail, id="row-detail")
            yield Lines(lambda width: [ink(KEYS if len(KEYS) <= width else KEYS_SHORT, QUIET)], id="hint")

    def on_mount(self) -> None:
        """One types at once; what is known already is there at once."""
        self._ticking = self.set_interval(TICK_SECONDS, self._tick, pause=True)
        self.query_one(Filter).focus()
        self._ask(False)
        self.list_changed()

    # ------------------------------------------------------------ rows

    def list_changed(self) -> None:
        """Takes in what came meanwhile; the row one is on stays that."""
        if not self.is_mounted:
            return
        self._known = self._look()
        if self._ticking is not None:
            (self._ticking.resume if self._looking else self._ticking.pause)()
        self._narrow()

    @property
    def _looking(self) -> bool:
        return self._known is not None and self._known.state == LOOKING

    def _narrow(self) -> None:
        """The rows that have what is typed; only what differs is drawn."""
        found = self._known.having(self.query_one(Filter).value) if self._known is not None else ()
        here = self._here
        self._found = found
        drawn = (found[:SHOWN], self._width, self._looking)
        if drawn != self._drawn:
            self._drawn = drawn
            self._draw(here)
        self._tell()

    def _draw(self, here: Row | None) -> None:
        chooser, width = self.query_one("#rows", MarkedList), self._width
        known = self._known
        chooser.display = known is None or known.state == LOOKING or bool(known.rows)
        shown = self._found[:SHOWN]
        columns = self._columns(width)
        chooser.clear_options()
        chooser.add_options([Option(_line(one, columns, width)) for one in shown])
        if shown:
            value = here.listed.value if here is not None else ""
            chooser.highlighted = next((at for at, one in enumerate(shown) if one.listed.value == value), 0)
            self.call_after_refresh(self._into_view)

    @property
    def _here(self) -> Row | None:
        """The row one is on."""
        at = self.query_one("#rows", MarkedList).highlighted
        return self._found[at] if at is not None and at < len(self._found) else None

    def _into_view(self) -> None:
        """Highlighting before the layout is there does not scroll."""
        if self.is_attached:
            self.query_one("#rows", MarkedList).scroll_to_highlight()

    # ------------------------------------------------------------ drawing

    def _tell(self) -> None:
        for lines in self.query("#list-state, #entry-columns, #row-detail").results(Lines):
            lines.again()

    def _tick(self) -> None:
        self.query_one("#list-state", Lines).again()

    @property
    def _width(self) -> int:
        """Cells of a row: the sheet without its padding and the scrollbar."""
        chooser = self.query_one("#rows", MarkedList)
        return max(30, (chooser.size.width or self.app.size.width - 4) - 1)

    def on_resize(self, event: Resize) -> None:
        """Rows have a fixed width."""
        self.call_after_refresh(self.list_changed)

    def _columns(self, width: int) -> list[int]:
        """How many cells each column has, the ones for which there is no room left out."""
        left, found = width - 2 - NAME, list[int]()
        for _, cells in self._known.of.columns if self._known is not None else ():
            left -= cells + 1
            if left < 0:
                break
            found.append(cells)
        return found

    def _state(self, width: int) -> list[Content]:
        """Where the list stands, and what one can do about it."""
        known = self._known
        if known is None:
            return [Content("")]
        who = f" as {one_line(known.who, limit=60)}" if known.who else ""
        typed = one_line(self.query_one(Filter).value, limit=60)
        so_far = known.counted
        if typed and known.rows:
            so_far = f"{len(self._found):,} of {known.counted} {'has' if len(self._found) == 1 else 'have'} “{typed}”"
        parts: list[tuple[str, str]] = []
        if known.state == LOOKING:
            rows = f"; {so_far} so far" if known.rows else ""
            parts.append((LOOKING, f"asking {SOURCE}{who} {lasting(known.seconds())}{rows}"))
            if known.told:
                parts.append(("", known.told))
        elif known.state == COMPLETE:
            nothing = f"there are no {known.of.things} to be seen"
            parts.append(("", f"{so_far if known.rows else nothing}, read {when(known.ts, now())}{who}"))
        else:
            parts += _why(known)
            if known.rows:
                parts.append(("", f"{so_far} until then"))
        if typed and not self._found:
            parts.append(("not yet", "no row has it: enter puts it into the field as it is"))
        hidden = len(self._found) - SHOWN
        if hidden > 0:
            parts.append(("not yet", f"{hidden:,} more are not shown: type a part of the name"))
        parts += [("not yet", one) for one in known.remarks]
        return [line for part in parts for line in remarks(width, [part])]

    def _headings(self, width: int) -> list[Content]:
        known = self._known
        if known is None or not known.rows:
            return []
        room = min(width, self._width)
        cells = self._columns(room)
        headings = [
            (ink(f" {title}", QUIET), size + 1) for (title, _), size in zip(known.of.columns, cells, strict=False)
        ]
        return [_grid(room, "", ink("Name", QUIET), headings)]

    def _detail(self, width: int) -> list[Content]:
        """What is taken, with what there was no column for; and what speaks against it. Always two rows, so that the
        list stays where it is."""
        here, known = self._here, self._known
        if here is None or known is None:
            return [Content(""), Content("")]
        listed = here.listed
        left_out = slice(len(self._columns(self._width)), None)
        more = [
            f"{title} {text}"
            for (title, _), text in zip(known.of.columns[left_out], listed.columns[left_out], strict=False)
            if text and text.casefold() not in here.value
        ]
        about = "   ".join(["", *more])
        value = "" if listed.value == listed.name else shortened(listed.value, max(20, width - len(about)))
        noted = remarks(width, [(CARE, listed.note)]) if listed.note else [Content("")]
        return [ink((value + about).strip(), QUIET), *noted]

    # ------------------------------------------------------------ keys

    def on_input_changed(self, event: Input.Changed) -> None:
        """Typing narrows."""
        event.stop()
        self._narrow()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter takes the row one is on; where none fits, what was typed."""
        event.stop()
        here, typed = self._here, event.value.strip()
        if here is not None:
            self.dismiss(here.listed.value)
        elif typed:
            self.dismiss(Typed(typed))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """The row is the answer."""
        event.stop()
        if event.option_index < len(self._found):
            self.dismiss(self._found[event.option_index].listed.value)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """What is said of the row follows."""
        super().on_option_list_option_highlighted(event)
        self.query_one("#row-detail", Lines).again()

    def on_key(self, event: Key) -> None:
        """Down in the filter goes to the list, up from its first row back; typing in the list goes to the filter."""
        chooser, line = self.query_one("#rows", MarkedList), self.query_one(Filter)
        if event.key == "down" and line.has_focus and self._found:
            event.stop()
            chooser.focus()
            if len(self._found) > 1 and not chooser.highlighted:
                chooser.action_cursor_down()
        elif chooser.has_focus and (event.key == "backspace" or (event.is_printable and event.character)):
            event.stop()
            line.focus()
            line.cursor_position = len(line.value)
            if event.key == "backspace":
                line.action_delete_left()
            else:
                line.insert_text_at_cursor(event.character or "")

    def on_paste(self, event: Paste) -> None:
        """What is pasted over the list goes where one types."""
        event.stop()
        self.query_one(Filter).focus()
        self.query_one(Filter).take(event.text)

    def action_again(self) -> None:
        """Asks once more, whatever is known."""
        self._ask(True)


def _why(known: Known) -> list[tuple[str, str]]:
    """Why a list could not be read, what to do, and that nobody is held up by it."""
    problem = known.problem
    if problem is None:
        return []
    said = " ".join(one_line(part, limit=400) for part in (problem.what, problem.means, problem.todo) if part)
    return [(known.state, f"{said} Typing works all the same: esc goes back to the field.")]


def _line(found: Row, columns: list[int], width: int) -> Content:
    listed = found.listed
    cells: list[tuple[Cell, int]] = []
    for at, size in enumerate(columns):
        text = listed.columns[at] if at < len(listed.columns) else ""
        cells.append((ink(f" {shortened(clean(text), size)}", QUIET), size + 1))
    return _grid(width, CARE if listed.note else "", ink(listed.name, PLAIN), cells)


def _grid(width: int, state: str, name: Content, cells: Sequence[tuple[Cell, int]]) -> Content:
    """A row: glyph, name, columns; what is left over goes to the name."""
    glyph = ink(sign(state), f"{style_of(state)} bold") if state else Content("")
    room = width - 2 - sum(size for _, size in cells)
    return row(width, (glyph, 2), (name, max(0, room)), *cells)
