"""A file for an error that nobody foresaw: enough to find the fault, nothing that must not be seen."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from state.clock import now
from state.directory import ensure_directory, write_new_file
from state.failure import not_saved
from state.secrets import SecretGuard

_MAX_DEPTH = 20


def log_unknown_error(state_dir: Path, error: BaseException, guard: SecretGuard) -> Path:
    """Write `<state dir>/log/<time>-<pid>.log` and return its path.

    It holds each exception's type, its redacted message and its frames as `file:line function`: no locals and no
    source lines. Raises Problem: `state-dir`, `not-saved`.
    """
    log = state_dir / "log"
    ensure_directory(state_dir)
    ensure_directory(log)
    path = log / f"{now().replace(':', '')}-{os.getpid()}.log"
    text = "\n".join(_lines(error, guard)) + "\n"
    try:
        write_new_file(path, text.encode("utf-8", "backslashreplace"))
    except OSError as failure:
        raise not_saved(failure, "The error could not be logged.") from failure
    return path


def _lines(error: BaseException, guard: SecretGuard, depth: int = 0) -> Iterator[str]:
    """The causes first, as Python prints them."""
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and depth < _MAX_DEPTH:
        yield from _lines(before, guard, depth + 1)
        yield "then" if error.__cause__ is None else "which caused"
    yield f"{type(error).__module__}.{type(error).__qualname__}: {guard.redact(_message(error))}"
    frames = error.__traceback__
    while frames is not None:
        code = frames.tb_frame.f_code
        yield f"  {code.co_filename}:{frames.tb_lineno} {code.co_qualname}"
        frames = frames.tb_next
    if isinstance(error, BaseExceptionGroup) and depth < _MAX_DEPTH:
        for part in error.exceptions:
            yield "of which"
            yield from _lines(part, guard, depth + 1)


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - an exception's own text may fail, and this is the last resort
        return "(no message)"
