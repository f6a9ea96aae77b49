"""The state directory: ours, private, and made only when there is something to write."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from state.failure import not_readable, not_saved
from state.problem import Problem

VARIABLE = "PRIVATELINK_STATE_DIR"
SETUPS = "setups"
SUFFIX = ".jsonl"


def journal_path(state_dir: Path, name: str) -> Path:
    """Where the journal of a setup is, or would be; `name` is one for a setup."""
    return state_dir / SETUPS / f"{name}{SUFFIX}"


def default_state_dir() -> Path:
    """The state directory when the command line names none: PRIVATELINK_STATE_DIR, else the user's state directory."""
    named = os.environ.get(VARIABLE)
    if named:
        # Not Path.expanduser, which raises RuntimeError for a `~name` that nobody has.
        return Path(os.path.expanduser(named)).absolute()  # noqa: PTH111
    from platformdirs import user_state_path

    return user_state_path("privatelink-wizard", appauthor=False)


def check_directory(path: Path) -> bool:
    """Whether the directory exists. Raises Problem `state-dir` when what stands there is not ours and private."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    except (OSError, ValueError) as error:
        failure = error if isinstance(error, OSError) else OSError(str(error))
        raise not_readable(failure, "The state directory could not be looked at.") from error
    if stat.S_ISLNK(found.st_mode):
        raise _refused(path, "is a symbolic link", "Name the directory itself with --state-dir.")
    if not stat.S_ISDIR(found.st_mode):
        raise _refused(path, "is not a directory", "Move it away, or name a directory with --state-dir.")
    if found.st_uid != os.geteuid():
        raise _refused(
            path,
            f"belongs to another user (uid {found.st_uid}, you are {os.geteuid()})",
            "Run as that user, or name a directory of your own with --state-dir.",
        )
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o077:
        raise _refused(path, f"is open to others (mode {mode:04o})", "Close it: chmod 700 on that directory.")
    return True


def _refused(path: Path, why: str, todo: str) -> Problem:
    return Problem(
        "state-dir",
        f"The state directory {why}.",
        means="Somebody else could read or change the journals in it, so it is not used.",
        todo=todo,
        detail=str(path),
    )


def ensure_directory(path: Path) -> None:
    """Create the directory with mode 0700 unless it is there, then check it as `check_directory` does."""
    if check_directory(path):
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700)
        path.chmod(0o700)  # whatever the umask is
        sync_directory(path.parent)
    except FileExistsError:
        pass  # somebody was faster: the check below looks at what they made
    except OSError as error:
        raise not_saved(error, "The state directory could not be made.") from error
    check_directory(path)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable: a file's own fsync does not. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_new_file(path: Path, content: bytes) -> None:
    """Write a file of ours that must not be there yet: mode 0600, durable but for its name. Raises OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        os.fchmod(fd, 0o600)  # whatever the umask is
        write_whole(fd, content)
        os.fsync(fd)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(fd)


def write_whole(fd: int, content: bytes) -> None:
    """Write all of `content`, one write as a rule: the kernel may take less. Raises OSError."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(fd, rest) :]
