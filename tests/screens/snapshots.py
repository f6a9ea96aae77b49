"""Snapshots of what is drawn, as text that can be read and compared: the rows, then how they are styled.

Below the rows stands one line for each run of cells that is not plain ink on the page:
`row:column+cells ink on ground attributes`, counted from 1, colours as they leave for the terminal.
"""

from __future__ import annotations

import difflib
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, tzinfo
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.color import Color
from rich.style import Style
from textual.widgets import Button, Input

from screens.app import WizardApp
from screens.field import FieldRow

STORED = Path(__file__).parent / "snapshots"
ACCEPT = "PRIVATELINK_ACCEPT_SNAPSHOTS"
"""Set to 1 by `make snapshots`: what is drawn becomes what is wanted."""
CI = ("CI", "PRIVATELINK_NO_SKIPS")

NOW = "2026-11-23T12:03:04.000000Z"
MONOTONIC = 1000.0
"""Seconds on the clock that counts how long work takes."""
SHOWN_LINES = 60
"""Lines of a difference that are told."""


# ---------------------------------------------------------------- a still world


class _Still(datetime):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> _Still:
        return cls.fromisoformat(NOW).astimezone(tz)


@contextmanager
def still(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One moment, one user on one host, in UTC, without blinking."""
    monkeypatch.setattr("state.clock.datetime", _Still)
    for clock in ("wizard.work.time", "wizard.listing.time", "wizard.sign_in.time"):
        monkeypatch.setattr(clock, SimpleNamespace(monotonic=lambda: MONOTONIC))
    monkeypatch.setattr("pwd.getpwuid", lambda uid: SimpleNamespace(pw_name="ada", pw_dir="/nowhere"))
    system = os.uname()
    monkeypatch.setattr(os, "uname", lambda: os.uname_result((system[0], "build-01", *system[2:])))
    monkeypatch.setattr(Input, "_toggle_cursor", lambda self: None)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    try:
        yield
    finally:
        monkeypatch.undo()
        time.tzset()


# ---------------------------------------------------------------- drawing as text


def drawn(app: WizardApp, rename: Callable[[str], str]) -> str:
    """The screen as text; `rename` puts fixed names for those that differ from run to run, of the same width."""
    width, height = app.size
    strips = app.screen._compositor.render_strips()[:height]
    rows = "\n".join(strip.text.ljust(width)[:width].rstrip() for strip in strips)
    rows = rename(rows)
    plain = _style(app.screen.rich_style)
    styles = []
    for number, strip in enumerate(strips, 1):
        styles += [f"{number}:{at}+{cells} {style}" for at, cells, style in _runs(strip) if style not in ("", plain)]
    return "\n".join((rows, "-" * width, *styles)) + "\n"


def _runs(strip: object) -> Iterator[tuple[int, int, str]]:
    """Column from 1, cells, style: neighbours of one style as one run."""
    at, start, before = 1, 1, None
    for segment in strip:  # type: ignore[attr-defined]
        style = _style(segment.style)
        if style != before:
            if before is not None and at > start:
                yield start, at - start, before
            start, before = at, style
        at += segment.cell_length
    if before is not None and at > start:
        yield start, at - start, before


def _style(style: Style | None) -> str:
    if style is None:
        return ""
    ink, ground = _colour(style.color), _colour(style.bgcolor)
    words = [f"{ink} on {ground}"] if (ink, ground) != ("default", "default") else []
    return " ".join([*words, *(one for one in ("bold", "dim", "reverse", "underline") if getattr(style, one))])


def _colour(colour: Color | None) -> str:
    if colour is None or colour.is_default:
        return "default"
    return colour.triplet.hex if colour.triplet is not None else colour.name


# ---------------------------------------------------------------- comparing


def accepting() -> bool:
    """Whether what is drawn is to be stored. Never where nobody looks at it."""
    wanted = os.environ.get(ACCEPT) == "1"
    if wanted and any(os.environ.get(one) in ("1", "true") for one in CI):
        pytest.fail(f"{ACCEPT} is set in CI: a snapshot is accepted by a person who has looked at it.")
    return wanted


def difference(name: str, found: str) -> str:
    """How what is drawn differs from what is stored; empty when it does not, or was accepted just now."""
    path = STORED / f"{name}.txt"
    if accepting():
        STORED.mkdir(exist_ok=True)
        path.write_text(found)
        return ""
    stored = path.read_text() if path.exists() else ""
    if stored == found:
        return ""
    lines = list(difflib.unified_diff(stored.splitlines(), found.splitlines(), f"stored {name}", "drawn", lineterm=""))
    more = [f"… {len(lines) - SHOWN_LINES} lines more"] if len(lines) > SHOWN_LINES else []
    return "\n".join(
        [*lines[:SHOWN_LINES], *more, "If this is as it should be: make snapshots, then read git diff.", ""]
    )


# ---------------------------------------------------------------- what must hold of every screen

WORDS = (
    "observed", "attested", "reported", "failed", "cancelled", "not yet", "not complete", "could not look", "to do",
    "needs input", "never observed", "waiting for others", "running", "stale", "waits for", "from Azure", "suggested",
    "optional",
)  # fmt: skip
# A state word that ends in an ellipsis was cut.
_CUT = re.compile("|".join(rf"\b{word[:end]}…" for word in WORDS for end in range(4, len(word) + 1)))


def cut(app: WizardApp) -> list[str]:
    """Choices and state words of the current screen that are not drawn whole."""
    width, height = app.size
    rows = [strip.text.ljust(width) for strip in app.screen._compositor.render_strips()[:height]]
    found = [match.group() for row in rows for match in [_CUT.search(row)] if match]
    for button in app.screen.query(Button):
        region = app.screen.find_widget(button).region
        if f"{button.label}" not in (rows[region.y] if region.y < height else ""):
            found.append(f"choice {button.label}")
    for one in app.screen.query(FieldRow):
        first = one.built()[0].plain
        found += [f"{one.model.field.label}: {first}"] if first.endswith("…") else []
    return found
