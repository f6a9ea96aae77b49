"""The guides there are. Nothing outside this package knows a vendor (DESIGN.md, introduction)."""

from __future__ import annotations

from importlib import import_module

from state.problem import Problem
from wizard.guide import Guide
from wizard.text import one_line

DEFAULT = "ataccama-azure"

# id -> module with a `GUIDE`; imported only when asked for.
_MODULES = {DEFAULT: "wizard.guides.ataccama_azure"}

IDS = tuple(_MODULES)


def guide(id: str) -> Guide:
    """The guide of that id. Raises Problem when there is none."""
    if id not in _MODULES:
        raise Problem("no-such-guide", f"There is no guide {one_line(id)}.", todo=f"Guides: {', '.join(IDS)}.")
    found: Guide = import_module(_MODULES[id]).GUIDE
    return found
