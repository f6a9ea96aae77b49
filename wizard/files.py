"""Files that a user names: read once, up to a limit, and never waited for."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def expanded(path: str) -> Path:
    """The path with `~` as the home. A `~name` that nobody has stays as it is, and is then not found."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path.expanduser raises RuntimeError there


def read_file(path: Path, limit: int) -> bytes:
    """Up to `limit` + 1 bytes of a regular file, so that the caller sees when it is larger.

    A named pipe would hang and a device never ends, so neither is opened for good. Raises OSError, always with
    `strerror`, whatever is wrong with the path.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except ValueError as error:  # a NUL, or what the file system's encoding has no form for
        raise OSError(errno.EINVAL, "no file can have that name") from error
    with os.fdopen(descriptor, "rb") as file:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is a pipe or a device, not a file")
        return file.read(limit + 1)


def is_text(value: str) -> bool:
    """Whether the system can take it as a path, an argument or a variable: no NUL, nothing without a UTF-8 form."""
    try:
        return b"\0" not in value.encode()
    except UnicodeEncodeError:
        return False
