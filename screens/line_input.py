"""One line to type into, whose keys act in the order in which they were typed."""

from __future__ import annotations

from typing import ClassVar

from textual.events import Key, Paste
from textual.widgets import Input

from screens.attached import Attached
from wizard.text import clean, one_line


class LineInput(Attached, Input):
    """An `Input` that carries out the keys that edit it itself, at once.

    Textual lets such a key go up to the app first, widget by widget, while a letter is inserted right here: a letter
    typed quickly behind a backspace would come before it, and be what the backspace takes away.
    """

    async def _on_key(self, event: Key) -> None:
        # Textual calls the handler of Input after this one: it makes the cursor seen and takes in what is printable.
        if event.is_printable or event.key == "enter":
            return  # enter edits nothing, and a paste before it goes up to the page as well
        if event.key == "right" and self.cursor_at_end:
            return  # behind the end there is nothing to go to, but something may be offered
        for binding in self._bindings.key_to_bindings.get(event.key, ()):
            if await self.app.run_action(binding.action, self):
                event.stop()
                return


class CleanInput(LineInput):
    """A line into which nothing gets that is not cleaned first, however it comes: a key, a paste, a completion."""

    longest: ClassVar[int]
    """Characters that are taken at once; a paste may hold more."""

    def insert(self, text: str, index: int) -> None:
        """Cleans what is inserted."""
        super().insert(clean(text, limit=self.longest), index)

    def replace(self, text: str, start: int, end: int) -> None:
        """Cleans what replaces a selection."""
        super().replace(clean(text, limit=self.longest), start, end)

    def _on_paste(self, event: Paste) -> None:
        event.stop()
        event.prevent_default()
        self.take(event.text)

    def take(self, text: str) -> None:
        """Takes a pasted text: to where the cursor is, on one line."""
        self.replace(one_line(text, limit=self.longest), *sorted(self.selection))
