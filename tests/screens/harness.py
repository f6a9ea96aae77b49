"""Driving the screens in tests: the real app over a real state directory, in Textual's headless driver."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from textual.pilot import Pilot
from textual.widget import Widget

from screens.app import WizardApp
from screens.page import Page
from wizard import opening
from wizard.places import Places

SMALL = (80, 24)
LARGE = (120, 40)
SIZES = (SMALL, LARGE)

# Slow machines: a condition is waited for, never a time.
PATIENCE = 20.0
RESTING = 3.0
"""Seconds after which a screen that is drawn anew all the time is left at that."""
SCROLLING = 3.0
"""Seconds that what is focused may take to come into view."""


def places_in(directory: Path) -> Places:
    """Real and sandbox setups below a directory."""
    return Places(directory / "real", directory / "sandbox")


@asynccontextmanager
async def shown(
    places: Places, start: Any = None, *, size: tuple[int, int] = LARGE
) -> AsyncIterator[tuple[WizardApp, Pilot[int]]]:
    """The running app and its pilot, once what was asked for is on the screen."""
    app = WizardApp(start or opening.Home(), places)
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: isinstance(app.screen, Page) or len(app.screen_stack) > 2)
        yield app, pilot
        if app.setup is not None:
            await app.setup.close()
            app.hold(None)


async def until(pilot: Pilot[Any], condition: Callable[[], object], *, patience: float = PATIENCE) -> None:
    """Lets the app go on until `condition` holds. Raises TimeoutError after `patience` seconds."""
    async with asyncio.timeout(patience):
        while not condition():
            await pilot.pause(0.02)
    await pilot.pause()
    await settled(pilot)


ALIKE = 3
"""Drawings that must be the same one after the other."""


async def settled(pilot: Pilot[Any]) -> bool:
    """Until the same is drawn again and again, with nothing to be drawn later and nothing that scrolls; False where
    that never comes, as while something streams.

    Textual's own pause takes an app that got no time of the processor for one that has nothing to do.
    """
    app = pilot.app
    assert isinstance(app, WizardApp)
    before: tuple[object, ...] = ()
    same, end = 0, time.monotonic() + RESTING
    while app.is_running and same < ALIKE and time.monotonic() < end:
        await pilot.pause(0)
        now = (text_of(app), app.screen, app.focused)
        calm = not (app._change_due or app._list_due or app.animator._animations)
        same = same + 1 if now == before and calm else 0
        before = now
    return same == ALIKE


def text_of(app: WizardApp) -> str:
    """The screen as it is drawn, as plain text, one line a row."""
    width, height = app.size
    lines = app.screen._compositor.render_strips()
    return "\n".join(strip.text.ljust(width) for strip in lines[:height])


async def out_of_view(app: WizardApp, pilot: Pilot[Any]) -> list[str]:
    """What can be focused on the current screen and is not wholly seen once it is; empty when all is well."""
    hidden = []
    before = app.focused
    for widget in app.screen.focus_chain:
        widget.focus()
        await pilot.pause(0)
        await pilot.pause(0)
        try:
            if _in_view(app, widget):
                continue
            await until(pilot, lambda one=widget: _in_view(app, one), patience=SCROLLING)  # type: ignore[misc]
        except TimeoutError:
            hidden.append(f"{type(widget).__name__} {widget.name or widget.id or ''} {widget.region}")
    if before is not None:
        before.focus()
        await pilot.pause()
    return hidden


def _in_view(app: WizardApp, widget: Widget) -> bool:
    """Whether all of a widget lies within the screen and what it scrolls in."""
    found = app.screen.find_widget(widget)
    return (
        found.region.area > 0
        and found.visible_region == found.region
        and app.screen.region.contains_region(found.region)
    )
