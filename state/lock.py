"""One writer at a time: a lock the kernel keeps, and so frees when its holder is killed."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import msgspec

from state.clock import now
from state.failure import not_saved
from state.problem import Problem

# What flock says where the file system does not have it.
_NO_FLOCK = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL}
_MAX_HOLDER = 4096


class Holder(msgspec.Struct, frozen=True):
    """Who holds the lock, as written inside it. `start` is when the lock was taken."""

    pid: int
    host: str
    start: str


class Locked(Problem):
    """Somebody else writes this setup. `holder` is None in the moment before they have written who they are."""

    def __init__(self, name: str, holder: Holder | None) -> None:
        who = f"process {holder.pid} on {holder.host}, since {holder.start}" if holder else "another process"
        super().__init__(
            "locked",
            f"The setup {name} is open elsewhere: {who}.",
            means="Only one program at a time may write a setup.",
            todo=f"Close it there, or look at it without changing it: privatelink-wizard review {name}",
        )
        self.holder = holder


class Lock:
    """The lock of one setup, taken when made. The file stays when the lock is released: it is only a place to lock.

    Raises Locked, or Problem: `no-flock` where the file system can not lock, `not-saved` for anything else.
    """

    def __init__(self, path: Path, name: str) -> None:
        from filelock import Timeout, UnixFileLock  # not on the read path: 60 ms

        # Fail closed without flock: the soft lock outlives its killed holder. thread_local is off because a setup may
        # be closed by another thread than the one that opened it.
        self._lock = UnixFileLock(
            path, mode=0o600, blocking=False, thread_local=False, fallback_to_soft=False, on_acquired=_write_holder
        )
        try:
            self._lock.acquire()
        except Timeout:
            raise Locked(name, _read_holder(path)) from None
        except NotImplementedError as error:
            raise _no_flock(str(error)) from error
        except OSError as error:
            if error.errno in _NO_FLOCK:
                raise _no_flock(str(error)) from error
            raise not_saved(error, "The setup could not be locked.", means="It was not opened for writing.") from error

    def release(self) -> None:
        """Let the next writer in. Harmless when done twice."""
        self._lock.release(force=True)


def _no_flock(detail: str) -> Problem:
    return Problem(
        "no-flock",
        "The file system of the state directory can not lock files.",
        means="Two writers at once would damage a journal, so nothing is written there.",
        todo="Name a directory on a local disk with --state-dir. Reading (list, review) works everywhere.",
        detail=detail,
    )


def _write_holder(fd: int) -> None:
    holder = Holder(pid=os.getpid(), host=os.uname().nodename, start=now())
    os.write(fd, msgspec.json.encode(holder) + b"\n")


def _read_holder(path: Path) -> Holder | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        holder = msgspec.json.decode(os.read(fd, _MAX_HOLDER), type=Holder)
        return holder if (holder.host + holder.start).isprintable() else None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    finally:
        os.close(fd)
