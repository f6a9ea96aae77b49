"""The real app in Textual's headless driver, driven by the same walk as a real terminal."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

from textual.events import Paste
from textual.pilot import Pilot

from screens.app import WizardApp
from tests.screens.harness import text_of

PATIENCE = 60.0
_NAMES = {"Right": "right", "Left": "left", "Enter": "enter", "Escape": "escape", "Tab": "tab", "C-n": "ctrl+n"}


class Piloted:
    """What `Terminal` offers, over a pilot. Its methods are called from another thread than the app's."""

    def __init__(self, app: WizardApp, pilot: Pilot[int]) -> None:
        self._app = app
        self._pilot = pilot
        self._loop = asyncio.get_running_loop()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    def send(self, *keys: str) -> None:
        """Presses keys, by tmux's names."""
        self._run(self._pilot.press(*(_NAMES.get(key, key) for key in keys)))

    def paste(self, text: str) -> None:
        """Pastes a text into what is focused."""

        async def post() -> None:
            self._app.post_message(Paste(text))
            await self._pilot.pause()

        self._run(post())

    def screen(self) -> str:
        """What is drawn now."""

        async def read() -> str:
            await self._pilot.pause()
            return text_of(self._app)

        found: str = self._run(read())
        return found

    def wait(self, condition: str | Callable[[str], object], *, patience: float = PATIENCE) -> str:
        """Waits until a text stands on the screen, or a condition on it holds; returns the screen."""
        end = time.monotonic() + patience
        while True:
            shown = self.screen()
            if (condition in shown) if isinstance(condition, str) else condition(shown):
                return shown
            assert time.monotonic() < end, f"waited in vain for {condition}\n{shown}"
            time.sleep(0.02)
