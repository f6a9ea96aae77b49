"""Picking a file by keyboard: a path that can be typed or pasted, and below it what lies in its directory.

Names of files are outside text. What is drawn of one is cleaned; what is opened is the path as the system has it, so a
directory is never found again by the text that stands for it.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.events import Key, Paste, Resize
from textual.message import Message
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from screens.band import ago
from screens.glyphs import sign
from screens.grid import PLAIN, QUIET, STRONG, Lines, ink, join, remarks, row, shortened, wrapped
from screens.lists import MarkedList
from screens.page import Sheet
from screens.path_input import LONGEST, Completions, PathInput, pasted_path
from state.problem import Problem
from wizard import browsing
from wizard.browsing import Entry, Listing
from wizard.text import clean

SHOWN = 200
"""Rows at once. More are neither read nor quickly drawn; the line below says to type on."""
SIZE, AGE = 9, 15
LIKELY = "attested"
"""The state whose glyph, `•`, stands before a likely file."""
KEYS = "Enter goes in or takes the file; left goes up; right takes what is offered; esc goes back."
KEYS_SHORT = "enter opens   left goes up   right completes   esc goes back"


class EntryList(MarkedList):
    """What is in the directory."""

    class Up(Message):
        """The directory above is wanted."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,backspace", "leave_directory", "up", show=False),
    ]

    def action_leave_directory(self) -> None:
        """Goes to the directory above."""
        self.post_message(self.Up())


class PickFile(Sheet):
    """Picks a file. Dismissed with its absolute path as the system has it, or None.

    `value`: the path to begin at, as it was typed; `suffixes`: of likely files, which are marked.
    """

    def __init__(self, title: str, *, value: str = "", suffixes: tuple[str, ...] = (".yml", ".yaml")) -> None:
        super().__init__()
        self._title = title
        self._value = pasted_path(value)
        self._suffixes = suffixes
        self._listing: Listing | None = None
        self._head = ""
        """The text that stands for the listed directory, ending in `/`."""
        self._typed = ""
        self._narrowed = ""
        """The text that the listing was read for: of a directory that is too large to be listed whole."""
        self._entries: tuple[Entry, ...] = ()
        self._said: Problem | None = None
        self._asked = 0
        self._looking = False

    # ------------------------------------------------------------ layout

    def compose(self) -> ComposeResult:
        """Title, path, what is said of it, entries, keys."""
        with Vertical(id="sheet"):
            yield Lines(lambda width: wrapped(f"Pick the file: {self._title}", width, STRONG))
            yield PathInput(
                compact=True,
                select_on_focus=False,
                placeholder="type or paste a path",
                suggester=Completions(self._suffixes),
                id="path",
            )
            yield Lines(self._note, id="note")
            yield Lines(self._columns, id="entry-columns")
            yield EntryList(id="entries", markup=False)
            yield Lines(lambda width: [ink(KEYS if len(KEYS) <= width else KEYS_SHORT, QUIET)], id="hint")

    def on_mount(self) -> None:
        """Lists where the value is, else where downloads go; the list has the focus, and typing goes to the path."""
        self.query_one(EntryList).focus()
        self.wizard.do(self._begin())

    async def _begin(self) -> None:
        head, _, name = self._value.rpartition("/")
        if "/" in self._value and await self._go(head or "/", here=name, head=f"{head}/"):
            return
        await self._go(await asyncio.to_thread(browsing.start_directory))

    # ------------------------------------------------------------ listing

    async def _go(self, path: str, *, here: str = "", head: str | None = None) -> bool:
        """Lists a directory in place of this one; False, and said, when it can't be read."""
        found = await self._list(path)
        if found is None or not self.is_attached:
            return False
        self._take(found, head if head is not None else _as_head(found.path), "", here)
        line = self.query_one(PathInput)
        with line.prevent(Input.Changed):
            line.value = self._head
        line.cursor_position = len(self._head)
        line.call_after_refresh(line.to_cursor)
        return True

    async def _list(self, path: str, typed: str = "") -> Listing | None:
        """Reads a directory in a thread; None when something newer was asked for, or when it can't be read."""
        self._asked += 1
        asked, self._said, self._looking = self._asked, None, True
        self._tell()
        try:
            found = await asyncio.to_thread(browsing.listing, path, suffixes=self._suffixes, typed=typed)
        except Problem as problem:
            if asked == self._asked:
                self._said, self._looking = problem, False
                self._tell()
            return None
        if asked != self._asked:
            return None
        self._looking = False
        return found

    def _take(self, found: Listing, head: str, typed: str, here: str = "", *, narrowed: str = "") -> None:
        self._listing, self._head, self._typed, self._narrowed = found, head, typed, narrowed
        wanted = typed.casefold()
        self._entries = tuple(one for one in found.entries if wanted in one.name.casefold())
        self._draw(here)

    async def _follow(self, value: str) -> None:
        """Lists what the typed path is about."""
        head, typed = _parted(value)
        if not head:
            head = self._head  # a bare name: of this directory
        known = self._listing if head == self._head else None
        whole = known is not None and not known.truncated and not self._narrowed
        if known is not None and (whole or typed == self._narrowed):
            self._asked += 1  # an answer on its way is about another directory
            self._said, self._looking = None, False
            self._take(known, head, typed, narrowed=self._narrowed)
            return
        # What can't be drawn as it is can't be typed either: such a directory is known by its path alone.
        path, narrowed = (known.path, typed) if known is not None else (head, "")
        found = await self._list(path, narrowed)
        if found is not None and found.truncated and typed and not narrowed:
            found, narrowed = await self._list(path, typed), typed
        if not self.is_attached or self.query_one(PathInput).value != value:
            return
        if found is not None:
            self._take(found, head, typed, narrowed=narrowed)
        elif self._said is not None:
            self._listing, self._head, self._typed, self._narrowed, self._entries = None, head, typed, "", ()
            self._draw()

    # ------------------------------------------------------------ drawing

    def _draw(self, here: str = "") -> None:
        """The rows anew. `here` is the name to stand on; else what begins as was typed, the newest likely file."""
        chooser, width = self.query_one(EntryList), self._width
        shown = self._entries[:SHOWN]
        chooser.clear_options()
        chooser.add_options([Option(_row(one, width)) for one in shown])
        if shown:
            wanted = self._typed.casefold()
            chooser.highlighted = min(
                range(len(shown)),
                key=lambda at: (
                    not here or shown[at].name != here,
                    not shown[at].name.casefold().startswith(wanted),
                    not shown[at].likely,
                ),
            )
            self.call_after_refresh(self._into_view)
        self._tell()

    def _into_view(self) -> None:
        """Highlighting before the layout is there does not scroll."""
        if self.is_attached:
            self.query_one(EntryList).scroll_to_highlight()

    def _tell(self) -> None:
        if self.is_attached:
            for lines in self.query("#note, #entry-columns").results(Lines):
                lines.again()

    @property
    def _width(self) -> int:
        """Cells of a row: the sheet without its padding and the scrollbar."""
        chooser = self.query_one(EntryList)
        return max(30, (chooser.size.width or self.app.size.width - 4) - 1)

    def on_resize(self, event: Resize) -> None:
        """Rows have a fixed width."""
        self.call_after_refresh(self._again)

    def _again(self) -> None:
        if self.is_attached:
            at = self.query_one(EntryList).highlighted
            self._draw(self._entries[at].name if at is not None and at < len(self._entries) else "")

    def _note(self, width: int) -> list[Content]:
        """One or more lines below the path: what is wrong, else what the list shows."""
        if self._said is not None:
            said = self._said
            return remarks(width, [("wrong", " ".join(part for part in (said.what, said.means, said.todo) if part))])
        if self._looking or self._listing is None:
            return remarks(width, [("looking", "looking")])
        likely = sum(one.likely for one in self._entries)
        directories = sum(one.is_dir for one in self._entries)
        if not self._entries:
            what = f"nothing here has “{self._typed}” in its name; type another" if self._typed else "nothing here"
            return remarks(width, [("not yet", f"{what}, or go up: left in the list")])
        files = len(self._entries) - directories
        counted = f"{_count(files, 'file')}, {likely} of them likely; {_count(directories, 'directory', 'directories')}"
        hidden = self._listing.truncated + max(0, len(self._entries) - SHOWN)
        more = [("not yet", f"{hidden} more are not shown: type a part of the name")] if hidden else []
        return remarks(width, [("", counted), *more])

    def _columns(self, width: int) -> list[Content]:
        likely = f"   {sign(LIKELY)} {' '.join(self._suffixes)}" if self._suffixes else ""
        name = join(ink("Name", QUIET), ink(likely, QUIET))
        right = join(ink("Size".rjust(SIZE), QUIET), ink("Changed".rjust(AGE), QUIET))
        return [row(min(width, self._width), ("", 2), (name, 0), right=right)]

    # ------------------------------------------------------------ going about

    def on_input_changed(self, event: Input.Changed) -> None:
        """Typing narrows, or goes to another directory."""
        event.stop()
        value = _restarted(event.value)
        if value != event.value:
            event.input.value = value
            event.input.cursor_position = len(value)
            return
        self.wizard.do(self._follow(value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter takes the file that was typed, goes into the directory, else to the first that fits."""
        event.stop()
        value = pasted_path(event.value)
        if value != event.value:  # quotes were typed around it
            with event.input.prevent(Input.Changed):
                event.input.value = value
        self.wizard.do(self._enter(value))

    async def _enter(self, value: str) -> None:
        head, typed = _parted(value)
        if not typed:
            await self._enter_directory(head)
            return
        await self._follow(value)  # what was typed last may not be listed yet
        exact = [one for one in self._entries if one.name == typed]
        at = self.query_one(EntryList).highlighted
        if exact:
            await self._open(exact[0])
        elif at is not None and at < len(self._entries):
            await self._open(self._entries[at])

    async def _enter_directory(self, head: str) -> None:
        if head and head != self._head:
            await self._go(head, head=head)
        if self._said is None and self.is_attached:
            self.query_one(EntryList).focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """A directory is entered, a file is the answer."""
        event.stop()
        if event.option_index < len(self._entries):
            self.wizard.do(self._open(self._entries[event.option_index]))

    async def _open(self, entry: Entry) -> None:
        if entry.is_dir:
            if await self._go(entry.path) and self.is_attached:
                self.query_one(EntryList).focus()
            return
        if clean(entry.path, limit=LONGEST) != entry.path:
            # The journal keeps paths as text that can be read; another file might answer to the cleaned one.
            self._said = Problem(
                "not-drawable",
                f"The path of {entry.name} has characters that can't be shown.",
                means="It could not be told from another file.",
                todo="Rename or copy it, then pick that.",
            )
            self._tell()
            return
        if self.is_current:  # enter may be pressed twice
            self.dismiss(entry.path)

    def on_entry_list_up(self, event: EntryList.Up) -> None:
        """Goes to the directory above, and stands on the one that was left."""
        self.wizard.do(self._up())

    async def _up(self) -> None:
        known = self._listing
        if known is None:
            await self._go(await asyncio.to_thread(browsing.start_directory))
        elif known.parent is not None:
            await self._go(known.parent, here=clean(known.path.rpartition("/")[2], limit=LONGEST))

    def on_key(self, event: Key) -> None:
        """Typing in the list goes to the path; down in the path goes to the list."""
        chooser, line = self.query_one(EntryList), self.query_one(PathInput)
        if event.key == "down" and line.has_focus:
            event.stop()
            chooser.focus()
        elif chooser.has_focus and event.is_printable and event.character:
            event.stop()
            line.focus()
            line.cursor_position = len(line.value)
            line.insert_text_at_cursor(event.character)

    def on_paste(self, event: Paste) -> None:
        """A path that is pasted over the list goes where paths go."""
        event.stop()
        line = self.query_one(PathInput)
        line.focus()
        line.take(event.text)


def _as_head(path: str) -> str:
    """A directory's path as it stands in the line."""
    return clean(path, limit=LONGEST).rstrip("/") + "/"


def _parted(value: str) -> tuple[str, str]:
    """The directory's text with its `/`, and the begun name; `~` alone is a directory."""
    if value == "~":
        return "~/", ""
    at = value.rfind("/") + 1
    return value[:at], value[at:]


def _restarted(value: str) -> str:
    """A path that begins anew in the middle, as when one types `/etc` behind a directory: what comes last counts."""
    if value.lower().startswith("file://"):
        return pasted_path(value)
    if "/~/" in value:
        value = value[value.rindex("/~/") + 1 :]
    return value[value.rindex("//") + 1 :] if "//" in value else value


def _row(entry: Entry, width: int) -> Content:
    size = "" if entry.size is None else _size(entry.size)
    right = join(ink(size.rjust(SIZE), QUIET), ink(ago(entry.modified).rjust(AGE), QUIET))
    glyph = (ink(sign(LIKELY) if entry.likely else "", f"{PLAIN} bold"), 2)
    room = max(8, width - 2 - SIZE - AGE - 2)
    end = "/" if entry.is_dir else ""
    name = ink(shortened(entry.name, room - len(end)) + end, STRONG if entry.likely else PLAIN)
    return row(width, glyph, (name, 0), right=right)


def _size(size: int) -> str:
    """Bytes in words: `812 B`, `1.2 kB`, `34 MB`."""
    if size < 1000:
        return f"{size} B"
    amount, unit = size / 1000, "kB"
    for larger in ("MB", "GB", "TB"):
        if amount < 999.5:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.1f} {unit}" if amount < 9.95 else f"{amount:.0f} {unit}"


def _count(number: int, one: str, more: str = "") -> str:
    return f"{number} {one if number == 1 else more or one + 's'}"
