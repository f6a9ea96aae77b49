"""The child's side of `sdk_process`: take a call, run it, answer, until the parent is gone.

Messages are a length in four bytes and a pickle, over the pipes the parent gave as stdin and stdout.
"""

from __future__ import annotations

import importlib
import os
import pickle
import queue
import signal
import threading
import traceback
from dataclasses import dataclass
from typing import Any, BinaryIO

from state.problem import Problem

HEAD = 4  # bytes of a message's length


@dataclass(frozen=True, slots=True)
class Answer:
    """One of: a result, the parts of a Problem, or the stack of an unexpected error (frames without locals)."""

    result: Any = None
    problem: dict[str, Any] | None = None
    failure: str | None = None


def pack(message: object) -> bytes:
    """A message as it goes over the pipe."""
    body = pickle.dumps(message)
    return len(body).to_bytes(HEAD, "big") + body


def main() -> None:
    """Serve calls. The first message is a tuple of module names to import."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests, answers = _take_pipes()
    calls: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(requests, calls), daemon=True).start()
    modules = pickle.loads(calls.get())  # noqa: S301 (from our own parent)
    _answer(answers, _guarded(_import_all, (modules,)))
    while True:
        _answer(answers, _run(calls.get()))


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Move the pipes away from descriptors 0 and 1: a credential plugin inherits those and would talk into them."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    return requests, answers


def _receive(requests: BinaryIO, calls: queue.SimpleQueue[bytes]) -> None:
    """Read calls in a thread of its own, so the parent's end is noticed even while a call is stuck."""
    while len(head := requests.read(HEAD)) == HEAD:
        calls.put(requests.read(int.from_bytes(head, "big")))
    if os.getsid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)  # takes a credential plugin with it
    os._exit(0)


def _answer(answers: BinaryIO, answer: Answer) -> None:
    answers.write(pack(answer))
    answers.flush()


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
