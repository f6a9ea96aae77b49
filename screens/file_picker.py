"""Picks a file by keyboard: a path that can be typed or pasted, and the directory's entries below it."""

from __future__ import annotations

import asyncio

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.events import Key
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from screens.field import FieldInput
from screens.grid import QUIET, STRONG, Lines, ink, row, wrapped
from screens.page import Sheet
from screens.times import when
from state.clock import now
from state.problem import Problem
from wizard.browsing import Entry, Listing, completions, listing, start_directory
from wizard.identifiers import parse
from wizard.text import clean

ROWS = 12


class PickFile(Sheet):
    """Dismissed with the absolute path of a file, or None."""

    def __init__(self, title: str, *, value: str = "", suffixes: tuple[str, ...] = (".yml", ".yaml")) -> None:
        super().__init__()
        self._title = title
        self._suffixes = suffixes
        self._start = value
        self._listing: Listing | None = None
        self._entries: tuple[Entry, ...] = ()
        self._problem: Problem | None = None
        self._completion = ""

    def compose(self) -> ComposeResult:
        """Title, path, entries, what can be done."""
        with Vertical(id="sheet"):
            yield Lines(lambda width: wrapped(f"Pick the file: {self._title}", width, STRONG))
            yield FieldInput(
                clean(self._start), compact=True, placeholder="a path; ~ is your home", select_on_focus=False
            )
            yield Lines(self._draw_note, id="note")
            yield OptionList(markup=False)
            yield Lines(
                lambda width: wrapped(
                    "enter opens or takes; left goes up; right completes; esc goes back", width, QUIET
                )
            )

    def on_mount(self) -> None:
        """The list has the focus, in the directory of the value or where downloads land."""
        self.query_one(OptionList).focus()
        self.wizard.do(self._open(self._directory_of(self._start)))

    def _directory_of(self, path: str) -> str:
        return path.rpartition("/")[0] or ("/" if path.startswith("/") else "") if "/" in path else ""

    async def _open(self, directory: str) -> None:
        where = directory or await asyncio.to_thread(start_directory)
        try:
            self._listing = await asyncio.to_thread(lambda: listing(where, suffixes=self._suffixes))
            self._problem = None
        except Problem as problem:
            self._problem = problem
        self._show("")

    def _show(self, typed: str) -> None:
        found = self._listing
        if found is None or not self.is_attached:
            self._again()
            return
        wanted = typed.lower()
        self._entries = tuple(one for one in found.entries if wanted in one.name.lower())
        chooser = self.query_one(OptionList)
        width = max(30, self.app.size.width - 8)
        chooser.clear_options()
        chooser.add_options([Option(_row(one, width)) for one in self._entries])
        if self._entries:
            chooser.highlighted = 0
        self._again()

    def _again(self) -> None:
        for lines in self.query("#note").results(Lines):
            lines.again()

    def _draw_note(self, width: int) -> list[Content]:
        if self._problem is not None:
            return wrapped(f"{self._problem.what} {self._problem.todo}", width, "$error")
        found = self._listing
        if found is None:
            return [ink("looking", QUIET)]
        more = f", {found.truncated:,} more not shown: type to narrow" if found.truncated else ""
        hint = f"   right arrow: {self._completion}" if self._completion else ""
        return wrapped(f"{found.path}   {len(self._entries)} of {len(found.entries)}{more}{hint}", width, QUIET)

    # ------------------------------------------------------------ typing

    def on_input_changed(self, event: Input.Changed) -> None:
        """A name narrows the list; a path opens its directory."""
        text = event.value
        directory = self._directory_of(text)
        self._completion = ""
        if "/" in text:
            self.wizard.do(self._follow(text, directory or "/"))
        else:
            self._show(text.strip())

    async def _follow(self, text: str, directory: str) -> None:
        found = await asyncio.to_thread(lambda: completions(text, suffixes=self._suffixes))
        if self.is_attached and self.query_one(FieldInput).value == text:
            self._completion = clean(found[0]) if found else ""
            await self._open(directory)
            if self.is_attached and self.query_one(FieldInput).value == text:
                self._show(text.rpartition("/")[2])

    def on_field_input_pasted(self, event: FieldInput.Pasted) -> None:
        """A pasted path, in any form."""
        event.stop()
        text = event.text.strip()
        text = text.removeprefix("file://") if text.startswith("file://") else text
        parsed = parse("values-path", text)
        line = self.query_one(FieldInput)
        line.value = clean(parsed.normalized or text)
        line.cursor_position = len(line.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """A typed path is taken as it is; a name takes the highlighted entry."""
        text = event.value.strip()
        if "/" in text and not text.endswith("/"):
            self.wizard.do(self._take(text))
        else:
            self.query_one(OptionList).action_select()

    async def _take(self, text: str) -> None:
        from wizard.files import expanded

        path = str(expanded(text).absolute())
        inside = next((one for one in self._entries if one.path == path), None)
        if inside is not None and inside.is_dir:
            await self._enter(inside)
        else:
            self.dismiss(path)

    # ------------------------------------------------------------ choosing

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Goes into a directory, or takes a file."""
        if event.option_index < len(self._entries):
            one = self._entries[event.option_index]
            if one.is_dir:
                self.wizard.do(self._enter(one))
            else:
                self.dismiss(one.path)

    async def _enter(self, one: Entry) -> None:
        with self.prevent(Input.Changed):
            self.query_one(FieldInput).value = ""
        await self._open(one.path)

    def on_key(self, event: Key) -> None:
        """Left goes up; right completes; typing in the list narrows it."""
        chooser, line = self.query_one(OptionList), self.query_one(FieldInput)
        if chooser.has_focus and event.key in ("left", "backspace"):
            event.stop()
            if self._listing is not None and self._listing.parent is not None:
                self.wizard.do(self._open(self._listing.parent))
        elif chooser.has_focus and event.is_printable and event.character:
            event.stop()
            line.focus()
            line.insert_text_at_cursor(event.character)
        elif line.has_focus and event.key == "down":
            event.stop()
            chooser.focus()
        elif line.has_focus and event.key == "right" and line.cursor_at_end and self._completion:
            event.stop()
            line.value = self._completion
            line.cursor_position = len(line.value)


def _row(one: Entry, width: int) -> Content:
    name = f"{one.name}/" if one.is_dir else one.name
    size = "" if one.size is None else f"{one.size:,} B" if one.size < 10_000 else f"{one.size // 1000:,} kB"
    style = "$primary" if one.is_dir else "$foreground bold" if one.likely else "$foreground"
    right = ink(f"{size:>12}  {when(one.modified, now()):>9}", QUIET)
    return row(width, (ink(name, style), 0), right=right)
