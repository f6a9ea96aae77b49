"""Which state directory a command works in.

Sandbox setups live in a state directory of their own, beside the real one (DESIGN.md section 6). A name is looked up
in both, so that `review demo` finds a rehearsal; a directory named by the user is the only one then.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from state.directory import default_state_dir, journal_path
from state.problem import Problem
from wizard.files import expanded
from wizard.text import one_line

ENVIRONMENT_VARIABLE = "PRIVATELINK_STATE_DIR"


if TYPE_CHECKING:
    from state.store import Store


class Places:
    """Where setups are kept: one named state directory, or the user's own and the sandbox's.

    Their stores are made when first asked for: the screens' first frame needs none (DESIGN.md section 8).
    """

    def __init__(self, real: Path, sandbox: Path) -> None:
        self._dirs = (real, sandbox)

    @cached_property
    def real(self) -> Store:
        """The store of real setups."""
        from state.store import Store

        return Store(self._dirs[0])

    @cached_property
    def sandbox(self) -> Store:
        """The store of sandbox setups; the real one where one directory was named for both."""
        from state.store import Store

        real, sandbox = self._dirs
        return self.real if real == sandbox else Store(sandbox)

    def plainly_has(self, name: str) -> bool:
        """Whether exactly one directory has a file for that name: a quick look before `holding` says what is wrong."""
        if not name.replace("-", "").isalnum():
            return False
        return sum(journal_path(place, name).is_file() for place in dict.fromkeys(self._dirs)) == 1

    @property
    def stores(self) -> tuple[Store, ...]:
        """The stores to look in, the real one first."""
        return (self.real,) if self.real.state_dir == self.sandbox.state_dir else (self.real, self.sandbox)

    def of(self, *, sandbox: bool) -> Store:
        """The store for a new setup."""
        return self.sandbox if sandbox else self.real

    def holding(self, name: str) -> Store:
        """The store that has the setup. Raises Problem when none has it, or both have."""
        found = [store for store in self.stores if name in store.names()]
        if len(found) > 1:
            raise Problem(
                "two-setups",
                f"There are two setups named {one_line(name)}: a real one and a sandbox one.",
                todo=f"Say which: --state-dir {self.real.state_dir} or --state-dir {self.sandbox.state_dir}.",
            )
        if found:
            return found[0]
        # The store's own message names what it has; say also what the other has.
        others = [known for store in self.stores[1:] for known in store.names()]
        try:
            self.real.read(name)
        except Problem as problem:
            if others:
                problem.todo = f"{problem.todo} In the sandbox: {', '.join(others)}.".strip()
            raise
        return self.real


def places(named: str | None) -> Places:
    """The state directories: `named` (--state-dir), else PRIVATELINK_STATE_DIR, else the user's and the sandbox's."""
    chosen = named or os.environ.get(ENVIRONMENT_VARIABLE)
    if chosen:
        named_dir = expanded(chosen).absolute()
        return Places(named_dir, named_dir)
    real = default_state_dir()
    return Places(real, real.with_name(f"{real.name}-sandbox"))
