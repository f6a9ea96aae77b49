"""The one grid of every body, and the one place where text is made ready to be drawn.

Columns: bar 1, glyph 2, label 19, value…, flush right a time or a word (UI.md section 3). Lines are `Content`, never
markup, so text from outside can't become a style or a link; and `ink` cleans it, so it can't reach the terminal raw.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Sequence

from rich.cells import cell_len, chop_cells, set_cell_size
from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

from screens.glyphs import shown, sign, style_of
from wizard.text import clean

LABEL = 19
"""Cells of the label column."""

QUIET = "$quiet"
STRONG = "$foreground bold"
PLAIN = "$foreground"

Cell = Content | str


def ink(text: str, style: str = PLAIN) -> Content:
    """One line of text in a style, cleaned: the only way text gets onto a screen."""
    return Content.styled(clean(text), style)


def join(*parts: Content) -> Content:
    """Parts one after the other."""
    return Content.assemble(*parts)


def word(state: str, text: str | None = None, *, bold: bool = False) -> Content:
    """A state as its glyph and its word, in the state's ink."""
    style = style_of(state)
    return join(
        ink(f"{sign(state)} ", f"{style} bold"),
        ink(shown(state) if text is None else text, f"{style} bold" if bold else style),
    )


def cell(content: Cell, width: int, style: str = PLAIN) -> Content:
    """Exactly `width` cells: cut with an ellipsis, or filled up."""
    found = ink(content, style) if isinstance(content, str) else content
    if found.cell_length > width:
        found = found.truncate(width, ellipsis=True)
    return found.pad_right(max(0, width - found.cell_length))


def row(width: int, *cells: tuple[Cell, int], right: Content | None = None) -> Content:
    """A line of cells with their widths; the last one takes what is left, and `right` stands flush right."""
    reserved = right.cell_length + 2 if right is not None else 0
    found: list[Content] = []
    used = 0
    for index, (content, wanted) in enumerate(cells):
        room = width - used - reserved if index == len(cells) - 1 else wanted
        found.append(cell(content, max(0, room)))
        used += max(0, room)
    if right is not None:
        found += [Content("  "), right]
    return join(*found)


def line(
    width: int, state: str, label: Cell, *rest: tuple[Cell, int], right: Content | None = None, quiet: bool = False
) -> Content:
    """A line of a body: the state's glyph, the label, and what belongs to it."""
    name = ink(label, QUIET if quiet else PLAIN) if isinstance(label, str) else label
    glyph = ink(sign(state), f"{style_of(state)} bold") if state else Content("")
    # A label that is too long for its column takes what it needs rather than being cut, while there is room.
    needed = min(max(LABEL, name.cell_length + 1 if rest else LABEL), width // 2)
    return row(width, ("", 1), (glyph, 2), (name, needed), *rest, right=right)


def heading(width: int, title: str, about: str = "", right: str = "") -> Content:
    """A section's first line: the bold word, a quiet count, a quiet time flush right."""
    text = join(ink(title, STRONG), ink(f"   {about}" if about else "", QUIET))
    return row(width, ("", 1), (text, 0), right=ink(right, QUIET) if right else None)


def wrapped(text: str, width: int, style: str = PLAIN, indent: int = 0) -> list[Content]:
    """Text folded between words; a word longer than the line is broken rather than lost."""
    lines = pieces(text, max(10, width - indent))
    return [join(Content(" " * indent), ink(one, style)) for one in lines]


def pieces(text: str, room: int) -> list[str]:
    """Text in lines of at most `room` cells: between words, and in a long identifier behind `.` or `/`."""
    text = clean(text)
    if cell_len(text) != len(text):
        return [line.plain for line in Content(text).wrap(room)]  # textwrap counts characters, not cells
    lines: list[str] = []
    for one in textwrap.wrap(text, room, break_on_hyphens=False, break_long_words=False) or [""]:
        lines += [one] if len(one) <= room else folded(one, room)
    return lines


def under_value(text: str, width: int, style: str = QUIET) -> list[Content]:
    """Text that goes on under the value column."""
    return wrapped(text, width, style, indent=3 + LABEL)


def folded(text: str, width: int) -> list[str]:
    """A long value over several lines, broken behind `.` or `/` so that its parts stay whole."""
    lines = [""]
    for part in re.findall(r"[^./]*[./]|[^./]+", clean(text)):
        if lines[-1] and cell_len(lines[-1]) + cell_len(part) > width:
            lines.append("")
        lines[-1] += part
    return [piece for one in lines for piece in chop_cells(one, width) or [""]]


def shortened(text: str, width: int) -> str:
    """A long value in one line with a middle ellipsis; a Resource ID shrinks by segment, so its name stays."""
    text = clean(text)
    if cell_len(text) <= width:
        return text
    parts = text.split("/")
    if text.startswith("/subscriptions/") and len(parts) > 4 and parts[4]:
        name = parts[-1] or f"{parts[-2]}/"  # what is offered may end where a name is to be typed
        for candidate in (f"/…{parts[2][:8]}…/{parts[4]}/…/{name}", f"…/{name}"):
            if cell_len(candidate) <= width:
                return candidate
    head = max(0, (width - 1) // 2)
    begins = set_cell_size(text, head).rstrip() if head else ""
    ends = text[len(text) - max(0, width - 1 - head) :]
    while cell_len(ends) > width - 1 - head:
        ends = ends[1:]
    return f"{begins}…{ends}"


def remarks(width: int, parts: Sequence[tuple[str, str]]) -> list[Content]:
    """(state, text) remarks flowing over lines; none is ever clipped. The state's glyph stands before each."""
    lines: list[Content] = [Content("")]
    for state, text in parts:
        style = style_of(state)
        style = style if style in ("$warning", "$error") else QUIET
        first, *more = pieces(text, max(10, width - 2))
        glyph = ink(f"{sign(state)} ", f"{style_of(state)} bold") if state else Content("")
        if lines[-1].cell_length and (lines[-1].cell_length + glyph.cell_length + cell_len(first) > width or more):
            lines.append(Content(""))
        lines[-1] = join(lines[-1], glyph, ink(first, style), Content("  "))
        lines += [join(Content("  "), ink(piece, style)) for piece in more]
    return [one.rstrip() for one in lines]


Build = Callable[[int], Sequence[Content]]


class Lines(Widget):
    """Lines that are built for the width they get: one widget a section instead of one a cell."""

    def __init__(self, build: Build, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._build = build
        self._built: tuple[int, list[Content]] | None = None
        self._held_rows = (0, 0)

    def _lines(self, width: int) -> list[Content]:
        if self._built is None or self._built[0] != width:
            self._built = (width, list(self._build(width)))
        return self._built[1]

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many rows as there are lines."""
        return self._rows(width, self._lines(width))

    def _rows(self, width: int, lines: Sequence[Content]) -> int:
        return max(len(lines), self._held_rows[1] if self._held_rows[0] == width else 0)

    def render(self) -> Content:
        """The lines, one under the other."""
        return Content("\n").join(self._lines(self.content_size.width or self.app.size.width))

    def built(self) -> list[Content]:
        """The lines as they are for the width they were last given; an empty section has none."""
        return self._lines(self.content_size.width or max(40, self.app.size.width - 40))

    def keep_height(self, keep: bool) -> None:
        """Whether rows that were needed once are kept for a while, since every change of height is a new layout."""
        if not keep and self._held_rows != (0, 0):
            self._held_rows = (0, 0)
            self.refresh(layout=True)
        elif keep and self._built is not None:
            width, lines = self._built
            self._held_rows = (width, self._rows(width, lines))

    def again(self, build: Build | None = None) -> None:
        """Builds the lines anew: what they are made of has changed."""
        if build is not None:
            self._build = build
        if not self.is_attached:
            return  # its screen was left while this was on its way
        before = self._built
        self._built = None
        if before is None:
            self.refresh(layout=True)
            return
        width, old = before
        new = self._lines(width)
        # A new layout costs far more than a new drawing, and a drawing of the same lines is for nothing.
        if self._rows(width, new) != self._rows(width, old):
            self.refresh(layout=True)
        # Where rows are kept for a while, fewer or more lines may take the same room.
        elif len(new) != len(old) or not all(one.is_same(other) for one, other in zip(new, old, strict=True)):
            self.refresh()


def gap(*, soft: bool = False) -> Lines:
    """A blank line between sections; a soft one goes first when the screen is short."""
    return Lines(lambda _: [Content("")], classes="gap soft" if soft else "gap")
