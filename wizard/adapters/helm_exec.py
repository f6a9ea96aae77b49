"""pyhelm3 on our way of running helm; both functions run in the SDK child, for `helm.HelmLooker`.

pyhelm3 knows helm's reading commands and their answers. Its own way to run them is `sh -c`, which orphans helm when
cancelled, knows no environment, and cannot stream. So its `run` is replaced: the parent runs helm, between a call
that tells helm's arguments and a call that reads what helm wrote.

pyhelm3 is imported inside a function: it takes 15 MB with its models, and the parent, which draws the screens,
imports this module for the functions' names only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal

from state.problem import EXIT_NOT_YET, Problem
from wizard.adapters import sdk_child

Method = Literal["history", "get_values"]
"""A method of `pyhelm3.Command` that runs one command, and one that changes nothing."""

_Run = Callable[[Sequence[object]], Awaitable[bytes]]


class _AskedError(Exception):
    """The command that pyhelm3 would run now."""

    def __init__(self, command: Sequence[object]) -> None:
        super().__init__()
        self.command = [str(part) for part in command]


def arguments(method: Method, release: str, options: Mapping[str, object]) -> list[str]:
    """The arguments with which `method` runs helm; those for the cluster are not among them."""

    async def stop(command: Sequence[object]) -> bytes:
        raise _AskedError(command)

    try:
        _call(method, release, options, stop)
    except _AskedError as asked:
        return asked.command
    raise RuntimeError(f"pyhelm3 runs nothing for {method}")


def answer(method: Method, release: str, options: Mapping[str, object], stdout: bytes) -> Any:
    """What `method` makes of helm's `stdout`. Raises Problem `helm-answer-unknown` when that is not what it knows."""

    async def give(_: Sequence[object]) -> bytes:
        return stdout

    try:
        found = _call(method, release, options, give)
        # pickle gives up at half the depth that json reads. Tried here, that is helm's answer and no bug of ours.
        sdk_child.pack(0, sdk_child.Answer(result=found))
    except (ValueError, RecursionError) as error:
        raise not_understood(f"the answer to {method.replace('_', ' ')}") from error
    return found


def not_understood(what: str) -> Problem:
    """The Problem of an answer that is none."""
    return Problem(
        "helm-answer-unknown",
        f"helm's answer could not be read: {what}.",
        means="This helm answers in a form that is not known, or with too much.",
        todo="Use a helm 3 or 4 release from helm.sh.",
        exit_code=EXIT_NOT_YET,
    )


def _call(method: Method, release: str, options: Mapping[str, object], run: _Run) -> Any:
    from pyhelm3 import Command

    command = Command()
    command.run = run
    return asyncio.run(getattr(command, method)(release, **options))
