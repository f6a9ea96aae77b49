"""The palettes: one Theme each for dark, light and 16-colour terminals (six roles, two inks, grounds).

Every pair of ink and ground was measured on drawn cells: at least 5.2:1. A role has one meaning and no other: primary
is mine, secondary is somebody else's, success is observed, warning is not yet or not known, error is wrong.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from textual.theme import Theme

DARK = Theme(
    name="dark",
    dark=True,
    background="#10151c",
    surface="#1b2430",
    panel="#161d27",
    foreground="#d9e0ea",
    primary="#74b9ff",
    secondary="#c6a8f7",
    success="#82d296",
    warning="#e8bd63",
    error="#ff8a80",
    accent="#74b9ff",
    variables={
        "quiet": "#93a1b3",
        "rule": "#334155",
        "thumb": "#66758a",
        "danger": "#2c181b",
        "input-selection-background": "#33506f",
    },
)

LIGHT = Theme(
    name="light",
    dark=False,
    background="#fbfbfa",
    surface="#e9edf2",
    panel="#f1f3f6",
    foreground="#1b2430",
    primary="#0a58a8",
    secondary="#6a3cb0",
    success="#176534",
    warning="#855200",
    error="#b1241b",
    accent="#0a58a8",
    variables={
        "quiet": "#566274",
        "rule": "#c3cbd6",
        "thumb": "#828d9b",
        "danger": "#fbe9e7",
        "input-selection-background": "#bcd6f2",
    },
)

# The terminal's own 16 colours. Blue is unreadable on black and white on white, so neither is used; the quiet ink is
# the default one. The style sheet does not load without `ansi-background` among the variables.
SIXTEEN = Theme(
    name="sixteen",
    ansi=True,
    primary="ansi_cyan",
    secondary="ansi_magenta",
    success="ansi_green",
    warning="ansi_yellow",
    error="ansi_red",
    accent="ansi_cyan",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    boost="ansi_default",
    variables={
        "quiet": "ansi_default",
        "rule": "ansi_bright_black",
        "thumb": "ansi_bright_black",
        "danger": "transparent",
        "ansi-background": "transparent",
        "input-cursor-text-style": "none",
    },
)

THEMES = (DARK, LIGHT, SIXTEEN)
ENVIRONMENT_VARIABLE = "PRIVATELINK_THEME"


def first_theme(environ: Mapping[str, str] = os.environ) -> str:
    """The theme to begin with: the one named by PRIVATELINK_THEME, else what the terminal says of itself.

    Without colours (NO_COLOR) the 16-colour shapes are used: there every state differs by more than its colour.
    """
    named = environ.get(ENVIRONMENT_VARIABLE, "")
    if named in {theme.name for theme in THEMES}:
        return named
    if environ.get("NO_COLOR") is not None:
        return SIXTEEN.name
    term, deep = environ.get("TERM", ""), environ.get("COLORTERM", "")
    if not deep and "256color" not in term and not term.startswith(("xterm", "tmux", "screen", "alacritty", "foot")):
        return SIXTEEN.name
    # Set by rxvt, konsole and others as "ink;ground"; 7 and 15 are the light grounds.
    ground = environ.get("COLORFGBG", "").rpartition(";")[2]
    return LIGHT.name if ground in ("7", "15") else DARK.name
