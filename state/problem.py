"""What the user is told when something cannot go on.

Every message says what happened, what it means and what to do next. The three parts are kept apart so that a
screen, a line of text and a JSON document can each lay them out in their own way.
"""

from __future__ import annotations

from collections.abc import Callable

# Exit codes of every command (DESIGN.md section 5).
EXIT_OK = 0
EXIT_BAD = 1
EXIT_USAGE = 2
EXIT_NOT_YET = 3
EXIT_INTERRUPTED = 130


class Problem(Exception):
    """A failure that is explained to the user; never shown as a traceback.

    `code` is a stable short name for scripts and tests (`release-pending`), `what` the fact in one sentence,
    `means` its consequence, `todo` the next action. `detail` holds the text of the other program, as it came:
    it is outside text and is cleaned where it is drawn. `exit_code` is what a command ends with. `wait`: the seconds
    that the other side asks to be left alone, where it does.
    """

    def __init__(
        self,
        code: str,
        what: str,
        *,
        means: str = "",
        todo: str = "",
        detail: str = "",
        exit_code: int = EXIT_USAGE,
        wait: float | None = None,
    ) -> None:
        super().__init__(what)
        self.code = code
        self.what = what
        self.means = means
        self.todo = todo
        self.detail = detail
        self.exit_code = exit_code
        self.wait = wait

    def mask(self, redact: Callable[[str], str]) -> None:
        """Takes what is or looks like a secret out of its texts: another program's words may hold one."""
        self.what, self.means, self.todo, self.detail = map(redact, (self.what, self.means, self.todo, self.detail))

    def __str__(self) -> str:
        return " ".join(part for part in (self.what, self.means, self.todo) if part)
