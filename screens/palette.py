"""The palette: Textual's own, made to stand keys that come faster than it is drawn (Textual 8.2.8)."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from textual.await_complete import AwaitComplete
from textual.command import CommandList, CommandPalette
from textual.worker import Worker


class Palette(CommandPalette):
    """Every action by name."""

    _answered = False

    def dismiss(self, result: object = None) -> AwaitComplete:
        """Closes once, and only itself: a second key may be on its way, or another screen may lie over it."""
        if self._answered or not self.is_active:
            return AwaitComplete()
        self._answered = True
        return super().dismiss(None)

    def run_worker(self, *work: Any, **how: Any) -> Worker[Any]:
        """Looks for commands; one that still looks when the palette is gone ends, and not the program."""
        return super().run_worker(*work, **{**how, "exit_on_error": False})

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """No key acts on a palette that is not drawn yet."""
        return self.is_mounted

    def _action_command_list(self, action: str) -> None:
        """Passes a key on to the list, unless it is not laid out yet: there it could not move by a page."""
        with suppress(KeyError, IndexError):
            super()._action_command_list(action)

    def _watch__list_visible(self) -> None:
        """Commands may be found when the list is gone already, or not there yet."""
        if self.query(CommandList):
            super()._watch__list_visible()

    async def _watch__show_busy(self) -> None:
        """The same for the mark that it still looks."""
        if self.query(CommandList):
            await super()._watch__show_busy()
