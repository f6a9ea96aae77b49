"""The child's side of `sdk_process`: take calls, run a bounded number at once, answer, until the parent is gone.

A message is the length of its pickle, the number of the call it belongs to, and the pickle, over the pipes the parent
gave as stdin and stdout.
"""

from __future__ import annotations

import importlib
import os
import pickle
import queue
import signal
import struct
import threading
import traceback
from dataclasses import dataclass
from typing import Any, BinaryIO

from state.problem import Problem

HEAD = struct.Struct(">II")
"""What a message begins with: its pickle's length in bytes, and the number of its call."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One of: a result, the parts of a Problem, or the stack of an unexpected error (frames without locals)."""

    result: Any = None
    problem: dict[str, Any] | None = None
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """What a call wants the user to know while it goes on: a sentence of ours, nothing from outside in it."""

    text: str


def pack(number: int, message: object) -> bytes:
    """A message as it goes over the pipe."""
    body = pickle.dumps(message)
    return HEAD.pack(len(body), number) + body


def tell(text: str) -> None:
    """Tell the parent something while a call goes on; does nothing where there is no parent."""
    if _parent is not None:
        _parent.send(getattr(_serving, "number", 0), Note(text))


class _Parent:
    """The way to the parent: messages of several threads go one after the other."""

    def __init__(self, answers: BinaryIO) -> None:
        self._answers = answers
        self._turn = threading.Lock()

    def send(self, number: int, message: Answer | Note) -> None:
        packed = pack(number, message)
        with self._turn:
            self._answers.write(packed)
            self._answers.flush()


_parent: _Parent | None = None
_serving = threading.local()  # `number` of the call that a thread runs; an SDK's own threads have none

Calls = queue.SimpleQueue[tuple[int, bytes]]


def main() -> None:
    """Serve calls. The first message is a tuple of module names to import, and how many calls may run at once."""
    global _parent  # noqa: PLW0603 (a process has one parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests, answers = _take_pipes()
    parent = _parent = _Parent(answers)
    calls: Calls = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(requests, calls), daemon=True).start()
    number, first = calls.get()
    modules, at_once = pickle.loads(first)  # noqa: S301 (from our own parent)
    parent.send(number, _guarded(_import_all, (modules,)))
    for _ in range(at_once - 1):
        threading.Thread(target=_serve, args=(calls, parent), daemon=True).start()
    _serve(calls, parent)


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Move the pipes away from descriptors 0 and 1: a credential plugin inherits those and would talk into them."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    return requests, answers


def _receive(requests: BinaryIO, calls: Calls) -> None:
    """Read calls in a thread of its own, so the parent's end is noticed even while calls are stuck."""
    while len(head := requests.read(HEAD.size)) == HEAD.size:
        size, number = HEAD.unpack(head)
        calls.put((number, requests.read(size)))
    if os.getsid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)  # takes a credential plugin with it
    os._exit(0)


def _serve(calls: Calls, parent: _Parent) -> None:
    while True:
        _serving.number, call = calls.get()
        parent.send(_serving.number, _run(call))


def _run(call: bytes) -> Answer:
    try:
        func, args = pickle.loads(call)  # noqa: S301 (from our own parent)
    except Exception:  # noqa: BLE001 (the parent decides what it means)
        return Answer(failure=traceback.format_exc())
    return _guarded(func, args)


def _guarded(func: Any, args: tuple[Any, ...]) -> Answer:
    try:
        result = func(*args)
        pickle.dumps(result)
    except Problem as problem:
        return Answer(problem={**vars(problem)})
    except Exception:  # noqa: BLE001 (the parent decides what it means)
        return Answer(failure=traceback.format_exc())
    return Answer(result=result)


def _import_all(modules: tuple[str, ...]) -> None:
    for module in modules:
        importlib.import_module(module)
