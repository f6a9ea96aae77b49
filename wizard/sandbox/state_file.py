"""Keeps what a server holds in a file, so that a sandbox that was killed goes on with the same objects."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from state.problem import Problem


class StateFile:
    """One JSON document at `path`, mode 0600 (a cluster holds secrets), replaced as a whole.

    `what` it holds is named when it cannot be read. No fsync: it has to outlive the process, kill -9 included, not
    the machine.
    """

    def __init__(self, path: Path, what: str) -> None:
        self.path = path
        self.what = what

    def read(self) -> dict[str, Any] | None:
        """What was written last, None when there is no file; raises Problem when it holds something else."""
        try:
            document = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise self.unusable(str(error)) from error
        if not isinstance(document, dict):
            raise self.unusable("not a JSON object")
        return document

    def write(self, document: dict[str, Any]) -> None:
        """Replace the file; raises OSError."""
        temporary = self.path.with_name(f".{self.path.name}.new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(json.dumps(document, separators=(",", ":")).encode())
        temporary.replace(self.path)

    def unusable(self, detail: str) -> Problem:
        """The problem of a file that is not ours or was damaged."""
        return Problem(
            "sandbox-state",
            f"The sandbox's {self.what} cannot be read from {self.path}.",
            means="It was changed by something else, or comes from another version.",
            todo="Start afresh with: privatelink-wizard sandbox --reset",
            detail=detail,
        )
