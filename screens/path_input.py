"""A line that holds a path: typed, pasted in whatever form a terminal or a browser gives it, or completed."""

from __future__ import annotations

import asyncio
import re
from urllib.parse import unquote

from textual.events import Focus
from textual.geometry import Region
from textual.suggester import Suggester

from screens.line_input import CleanInput
from wizard import browsing
from wizard.text import clean, visible

LONGEST = 4096
"""Characters of a path (PATH_MAX of Linux); also of a paste."""


def pasted_path(text: str) -> str:
    """The path in what was pasted or typed: without quotes, line ends, `file://` and a shell's backslashes.

    A path that a terminal broke over lines is put together again; of several paths it is the first.
    """
    lines = [line for one in visible(text[:LONGEST]).split("\n") if (line := one.strip())]
    if not lines:
        return ""
    begins = r"[\"'<]?(/|~|file:)"
    found = lines[0] if any(re.match(begins, line) for line in lines[1:]) else "".join(lines)
    bare = found.strip("\"'<>`“”‘’").strip()
    if bare.lower().startswith("file://"):
        # A host may stand before the path: file://localhost/home/ada.
        return clean(unquote("/" + bare[len("file://") :].partition("/")[2]), limit=LONGEST)
    # Terminals put backslashes before blanks when a file is dropped on them; quotes make them unnecessary.
    return clean(re.sub(r"\\([ -/:-@\[-`{-~])", r"\1", bare) if bare == found else bare, limit=LONGEST)


class Completions(Suggester):
    """The first path that begins with what is typed, shown behind it."""

    def __init__(self, suffixes: tuple[str, ...]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._suffixes = suffixes

    async def get_suggestion(self, value: str) -> str | None:
        """None where nothing was begun: which of all it will be can't be guessed."""
        if not value or value.endswith("/"):
            return None
        found = await asyncio.to_thread(browsing.completions, value, suffixes=self._suffixes)
        return next((one for one in found if len(one) > len(value)), None)


class PathInput(CleanInput):
    """The path; a pasted one replaces what stands there."""

    longest = LONGEST

    def action_paste(self) -> None:
        """What was copied in here is pasted as if it came from elsewhere."""
        self.take(self.app.clipboard)

    def take(self, text: str) -> None:
        """Takes a pasted text: a whole path replaces what stands here, a piece goes to the cursor."""
        path = pasted_path(text)
        if path.startswith(("/", "~")):
            self.value = path
            self.cursor_position = len(path)
        elif path:
            self.replace(path, *sorted(self.selection))

    def on_focus(self, event: Focus) -> None:
        """Shows the end of a long path: an Input does not scroll to its cursor before the first edit."""
        self.call_after_refresh(self.to_cursor)

    def to_cursor(self) -> None:
        """Scrolls to the cursor."""
        self.scroll_to_region(Region(self.cursor_position, 0, 1, 1), force=True, animate=False)
        if self.has_focus:
            self.app.cursor_position = self.cursor_screen_offset
