"""What the operating system refused, in words."""

from __future__ import annotations

import errno

from state.problem import Problem

_ADVICE: dict[int, tuple[str, str]] = {
    errno.ENOSPC: ("The disk is full.", "Free some space there, then open the setup again."),
    errno.EDQUOT: ("Your disk quota is used up.", "Free some space or ask for more, then open the setup again."),
    errno.EFBIG: (
        "The file would grow past the size limit of this shell or file system.",
        "Raise the limit (ulimit -f), then open the setup again.",
    ),
    errno.EIO: (
        "The disk reported an input/output error.",
        "Look at the disk and the system's log, copy the state directory elsewhere, then open the setup again.",
    ),
    errno.EROFS: ("The file system is mounted read-only.", "Mount it writable or choose another --state-dir."),
    errno.EACCES: ("You are not permitted to.", "Look at the owner and mode of the path."),
    errno.EPERM: ("You are not permitted to.", "Look at the owner, mode and attributes of the path."),
    errno.ELOOP: ("A symbolic link stands where a file of our own belongs.", "Give the real path, not a link."),
    errno.ENAMETOOLONG: ("The path is too long.", "Choose a shorter --state-dir."),
    errno.ENOTDIR: ("A part of the path is a file, not a directory.", "Look at the path."),
    errno.ESTALE: ("The network file system lost the file.", "Mount it again, then open the setup again."),
}


def not_saved(error: OSError, what: str, *, means: str = "") -> Problem:
    """The problem `not-saved` for an OSError: `what` was tried, `means` what is lost or kept.

    The system's own text and the path are outside text and go to `detail`.
    """
    reason, todo = _ADVICE.get(error.errno or 0, ("The system refused it.", "Read the system's message below."))
    return Problem("not-saved", f"{what} {reason}", means=means, todo=todo, detail=str(error))


def not_readable(error: OSError, what: str) -> Problem:
    """The problem `not-readable` for an OSError while reading."""
    reason, todo = _ADVICE.get(error.errno or 0, ("The system refused it.", "Read the system's message below."))
    return Problem("not-readable", f"{what} {reason}", todo=todo, detail=str(error))
