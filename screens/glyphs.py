"""Glyphs and inks of the states (UI.md section 2). A glyph never stands without its word; colour only repeats it."""

from __future__ import annotations

from wizard.output import in_ascii, plain_terminal

_MINE, _THEIRS, _GOOD, _UNSURE, _WRONG = "$primary", "$secondary", "$success", "$warning", "$error"
_QUIET, _PLAIN = "$quiet", "$foreground"

_STATES: dict[str, tuple[str, str]] = {
    "observed": ("✓", _GOOD),
    "good": ("✓", _GOOD),
    "ok": ("✓", _GOOD),
    "done": ("✓", _GOOD),
    "saved": ("✓", _GOOD),
    "attested": ("•", _PLAIN),
    "reported": ("◦", _PLAIN),
    "failed": ("✗", _WRONG),
    "bad": ("✗", _WRONG),
    "wrong": ("✗", _WRONG),
    "not saved": ("✗", _WRONG),
    "cancelled": ("✗", _UNSURE),
    "not yet": ("…", _UNSURE),
    "not complete": ("…", _UNSURE),
    "saving": ("…", _UNSURE),
    "looking": ("…", _UNSURE),
    "could not look": ("?", _UNSURE),
    "unknown": ("?", _UNSURE),
    "to do": ("►", _MINE),
    "your turn": ("►", _MINE),
    "needs input": ("►", _MINE),
    "waiting for others": ("▻", _THEIRS),
    "running": ("»", _MINE),
    "stale": ("!", _UNSURE),
    "waiting": ("·", _QUIET),
    "empty": ("·", _QUIET),
    "+": ("+", _GOOD),
    "~": ("~", _UNSURE),
    "=": ("=", _QUIET),
    "-": ("-", _WRONG),
}
_OTHER = ("·", _QUIET)

HEAVY, LIGHT = "━", "─"


def sign(state: str) -> str:
    """The glyph of a state's word, in ASCII where the terminal can't show more; empty for no state."""
    return drawable(_STATES.get(state, _OTHER)[0]) if state else ""


def style_of(state: str) -> str:
    """The ink of a state's word."""
    return _STATES.get(state, _OTHER)[1]


def shown(state: str) -> str:
    """The word of a state: a look's verdict reads as UI.md names it."""
    return "failed" if state == "bad" else state


def drawable(text: str) -> str:
    """Our own glyphs in ASCII where the terminal can't show more."""
    return in_ascii(text) if plain_terminal() else text
