"""What the screens open with, and the look beforehand whether they can: a typo is answered in the shell.

Light: the screens import it. What a look needs is imported when it is made.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from state.problem import Problem
from wizard.text import one_line

if TYPE_CHECKING:
    from wizard.places import Places
    from wizard.rehearsal import Serving
    from wizard.sandbox.info import SandboxInfo

_PLAIN_COMMANDS = "`run NAME --answers FILE`, `check NAME`, `list`, `review NAME -o text`, `doctor`"


@dataclass(frozen=True, slots=True)
class Home:
    """The home screen: every setup, and a new one."""

    in_words = "Looking for your setups"


@dataclass(frozen=True, slots=True)
class New:
    """Create the setup `name` and open it. The name is free, the guide and the mode exist."""

    name: str
    guide_id: str
    mode: str

    @property
    def in_words(self) -> str:
        """What is being opened, for the first frame."""
        return f"Beginning {self.name}"


@dataclass(frozen=True, slots=True)
class Resume:
    """Open the setup `name`, which exists, where it was left. A sandbox setup gets its servers back."""

    name: str

    @property
    def in_words(self) -> str:
        """What is being opened, for the first frame."""
        return f"Opening {self.name}"


@dataclass(frozen=True, slots=True)
class Review:
    """The read-only screen over NAME|FILE, up to the time `as_of` as it was typed.

    `live`: it looks again, where this says (`wizard.reviewing.review`); None: it looks at the journal alone.
    """

    target: str
    as_of: str | None = None
    live: Mapping[str, str] | None = None

    @property
    def in_words(self) -> str:
        """What is being opened, for the first frame."""
        return f"Opening {one_line(self.target)} read-only"


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The sandbox's setup (wizard.rehearsal.NAME). Its servers answer; they end with the screens, or when stopped.

    It is opened where it was left when it exists, else made; after a `reset` it does not exist.
    """

    serving: Serving
    reset: bool
    in_words = "Opening the rehearsal in the sandbox"

    @property
    def info(self) -> SandboxInfo:
        """Where everything of the sandbox is."""
        return self.serving.info


Start = Home | New | Resume | Review | Rehearsal


def has_terminal() -> bool:
    """Whether somebody sits before it: keys come from stdin, and the screens are drawn on stderr."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def terminal_gone() -> bool:
    """Whether the terminal was closed: nobody can press a key any more, and nothing that is drawn is seen."""
    import select

    watched = select.poll()
    watched.register(0, select.POLLIN)
    return any(what & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, what in watched.poll(0))


def require_terminal() -> None:
    """Raises Problem `no-terminal` or `dumb-terminal` where the screens can't be drawn."""
    if not has_terminal():
        raise Problem(
            "no-terminal",
            "The screens need a terminal, and this is none.",
            todo=f"Without one use {_PLAIN_COMMANDS}.",
        )
    if os.environ.get("TERM", "") in ("", "dumb"):
        raise Problem(
            "dumb-terminal",
            "TERM is dumb: it can't move its cursor." if os.environ.get("TERM") else "TERM is not set.",
            means="The screens can't be drawn there.",
            todo=f"Use another terminal, or {_PLAIN_COMMANDS}, `sandbox --unattended`.",
        )


def new(places: Places, name: str, guide_id: str | None, mode: str | None) -> New:
    """A new setup; the guide and mode are the defaults unless named.

    Raises Problem `bad-name`, `exists`, `no-such-guide` or `unknown-mode`.
    """
    from state.snapshot import DEFAULT_MODE
    from state.store import valid_name
    from wizard.guides import DEFAULT, guide

    valid_name(name)
    # A real and a sandbox setup of one name could be told apart by --state-dir alone.
    if any(name in store.names() for store in places.stores):
        raise Problem(
            "exists",
            f"There is a setup named {name} already.",
            todo=f"Go on with it (privatelink-wizard resume {name}), or choose another name.",
        )
    chosen = guide(guide_id or DEFAULT)
    if mode is not None and mode not in chosen.modes:
        raise Problem(
            "unknown-mode",
            f"The guide {chosen.id} has no mode {one_line(mode)}.",
            todo=f"Modes are {', '.join(chosen.modes)}.",
        )
    return New(name, chosen.id, mode or (DEFAULT_MODE if DEFAULT_MODE in chosen.modes else chosen.modes[0]))


def resume(places: Places, name: str) -> Resume:
    """A setup that is there. Raises Problem as `Places.holding` does."""
    if not places.plainly_has(name):
        places.holding(name)
    return Resume(name)


def review(places: Places, target: str, as_of: str | None, live: Mapping[str, str] | None = None) -> Review:
    """A journal that can be read. Raises Problem as `wizard.reviewing.open_for_review` does."""
    from wizard.reviewing import require_readable

    require_readable(places, target, as_of)
    return Review(target, as_of, live)
