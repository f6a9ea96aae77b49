"""Where the setups are kept: one journal per setup in the state directory.

    <state dir>/setups/<name>.jsonl         the journal
    <state dir>/setups/<name>.lock          who writes it
    <state dir>/setups/<name>.torn-<time>   a torn last line, kept aside
    <state dir>/setups/<name>.aside-<time>  a journal set aside by a new rehearsal
    <state dir>/log/                        unknown errors

Reading makes nothing and locks nothing.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from state import journal
from state.actor import current_actor
from state.clock import now
from state.directory import (
    SETUPS,
    SUFFIX,
    check_directory,
    default_state_dir,
    ensure_directory,
    journal_path,
    sync_directory,
    write_new_file,
)
from state.errorlog import log_unknown_error
from state.events import FORMAT, Actor, GuideRef, Header, TornLineCut
from state.failure import not_readable, not_saved
from state.journal import NAME, Journal
from state.lock import Lock, Locked
from state.problem import Problem
from state.writer import Writer

__all__ = ["Locked", "Store", "Writer", "default_state_dir", "log_unknown_error", "valid_name"]


def valid_name(name: str) -> str:
    """The name, when it is one for a setup: `[a-z0-9][a-z0-9-]{0,62}`. Raises Problem `bad-name` naming what is not."""
    if NAME.fullmatch(name):
        return name
    strange = sorted(
        {char for char in name if not (char.isascii() and (char.islower() or char.isdigit() or char == "-"))}
    )
    if not name:
        why = "it is empty"
    elif strange:
        why = "it holds " + ", ".join(_spelled(char) for char in strange[:3])
    elif name.startswith("-"):
        why = "it begins with a dash"
    else:
        why = f"it has {len(name)} characters"
    raise Problem(
        "bad-name",
        f"This can not be the name of a setup: {why}.",
        todo="Use 1 to 63 lower-case letters a-z, digits and dashes, beginning with a letter or digit.",
    )


def _spelled(char: str) -> str:
    if char == " ":
        return "a space"
    return char if char.isascii() and char.isprintable() else f"the character U+{ord(char):04X}"


class Store:
    """The setups of one state directory. Every method raises Problem `state-dir` when it is not ours and private."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.setups = state_dir / SETUPS

    def path_of(self, name: str) -> Path:
        """Where the journal of that name is, or would be. Raises Problem `bad-name`."""
        return journal_path(self.state_dir, valid_name(name))

    def names(self) -> tuple[str, ...]:
        """The names of all setups, sorted. What else lies in the directory is not one."""
        if not self._exists():
            return ()
        try:
            files = [path.name for path in self.setups.iterdir()]
        except OSError as error:
            raise not_readable(error, "The setups could not be listed.") from error
        names = (file.removesuffix(SUFFIX) for file in files if file.endswith(SUFFIX))
        return tuple(sorted(name for name in names if NAME.fullmatch(name)))

    def read(self, name: str) -> Journal:
        """The journal of that name. Raises Problem `no-such-setup`, or as `journal.read` does."""
        path = self.path_of(name)
        if not self._exists() or not os.path.lexists(path):
            raise self._no_such_setup(name)
        return journal.read(path)

    def create(self, name: str, guide: GuideRef, actor: Actor) -> Writer:
        """Make a setup and open it; `actor` is who appends by default.

        Raises Problem `exists`, Locked, or `not-saved`.
        """
        path = self.path_of(name)
        ensure_directory(self.state_dir)
        ensure_directory(self.setups)
        if os.path.lexists(path):
            raise _exists(name)
        lock = self._lock(name)
        try:
            self._put_header(path, Header(seq=0, format=FORMAT, guide=guide, name=name, ts=now()))
            return self._open_locked(name, actor, lock.release)
        except BaseException:
            lock.release()
            raise

    def open(self, name: str, actor: Actor | None = None) -> Writer:
        """Lock a setup, verify its journal, cut a torn last line off, and go on from there.

        `actor` is who appends by default. Raises Problem `no-such-setup`, Locked, `read-only` when the journal is
        damaged or newer than this program, `not-ours` when its file is another's or open to others, or `not-saved`.
        """
        path = self.path_of(name)
        if not self._exists() or not os.path.lexists(path):
            raise self._no_such_setup(name)
        lock = self._lock(name)
        try:
            _new(path).unlink(missing_ok=True)
            return self._open_locked(name, actor or current_actor("run"), lock.release)
        except OSError as error:
            lock.release()
            raise not_saved(error, "The setup could not be opened for writing.") from error
        except BaseException:
            lock.release()
            raise

    def set_aside(self, name: str) -> Path:
        """Take a setup out of the list without losing it: its journal is renamed. Returns its new path.

        Raises Problem `no-such-setup`, Locked, or `not-saved`.
        """
        path = self.path_of(name)
        if not self._exists() or not os.path.lexists(path):
            raise self._no_such_setup(name)
        lock = self._lock(name)
        aside = self.setups / f"{name}.aside-{now().replace(':', '')}"
        try:
            path.rename(aside)
            sync_directory(self.setups)
        except OSError as error:
            raise not_saved(error, "The setup could not be set aside.") from error
        finally:
            lock.release()
        return aside

    def _exists(self) -> bool:
        return check_directory(self.state_dir) and check_directory(self.setups)

    def _lock(self, name: str) -> Lock:
        return Lock(self.setups / f"{name}.lock", name)

    def _no_such_setup(self, name: str) -> Problem:
        import difflib  # only for this message

        names = self.names()
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        if near:
            todo = f"Did you mean {' or '.join(near)}?"
        elif names:
            todo = "See what there is: privatelink-wizard list"
        else:
            todo = f"Begin one: privatelink-wizard new {name}"
        return Problem("no-such-setup", f"There is no setup named {name}.", todo=todo, detail=str(self.setups))

    def _put_header(self, path: Path, header: Header) -> None:
        """Bring the first line into being at once, whole, and without replacing anything."""
        new = _new(path)
        try:
            new.unlink(missing_ok=True)  # left by one who died here; we hold the lock, so nobody is at it
            write_new_file(new, journal.encode_header(header) + b"\n")
            try:
                _move_into_place(new, path)
            finally:
                new.unlink(missing_ok=True)
            sync_directory(self.setups)
        except FileExistsError as error:
            raise _exists(header.name) from error
        except OSError as error:
            raise not_saved(error, "The setup could not be made.", means="Nothing was saved.") from error

    def _open_locked(self, name: str, actor: Actor, release: Callable[[], None]) -> Writer:
        path = self.path_of(name)
        fd = journal.open_file(path, os.O_RDWR | os.O_APPEND)
        try:
            _check_owner(path, fd)
            found = journal.parse(path, journal.read_all(fd))
            _check_writable(name, found)
            if found.torn is None:
                return Writer(path, fd, found, actor, release=release)
            data = self._cut(name, fd, found, found.torn)
            event = Writer(path, fd, found, actor, release=release).append(data)
            return Writer(path, fd, journal.parse(path, journal.read_all(fd)), actor, cut=event, release=release)
        except BaseException:
            os.close(fd)
            raise

    def _cut(self, name: str, fd: int, found: Journal, torn: bytes) -> TornLineCut:
        """Keep the torn line aside, durably, before it leaves the journal."""
        aside = self.setups / f"{name}.torn-{now().replace(':', '')}"
        write_new_file(aside, torn)
        sync_directory(self.setups)
        os.ftruncate(fd, found.size)
        os.fsync(fd)
        return TornLineCut(bytes=len(torn), sha256=sha256(torn).hexdigest(), kept_in=aside.name)


def _new(path: Path) -> Path:
    """Where a journal is made before it gets its name; no setup's name has a dot in it."""
    return path.with_name(path.name + ".new")


def _move_into_place(new: Path, path: Path) -> None:
    """Give the file its name unless that is taken (FileExistsError). A rename would replace what is there."""
    try:
        os.link(new, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links; we hold the lock, so looking first is enough
        if os.path.lexists(path):
            raise FileExistsError(path) from None
        new.rename(path)


def _exists(name: str) -> Problem:
    return Problem(
        "exists",
        f"There is a setup named {name} already.",
        todo=f"Go on with it (privatelink-wizard resume {name}), or choose another name.",
    )


def _check_owner(path: Path, fd: int) -> None:
    found = os.fstat(fd)
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid != os.geteuid():
        why, todo = f"belongs to another user (uid {found.st_uid})", "Look at it with review, or run as that user."
    elif mode & 0o077:
        why, todo = f"is open to others (mode {mode:04o})", "Close it: chmod 600 on that file."
    else:
        return
    raise Problem(
        "not-ours", f"The journal {why}.", means="It is not written to like that.", todo=todo, detail=str(path)
    )


def _check_writable(name: str, found: Journal) -> None:
    if found.problems:
        first = found.problems[0]
        raise Problem(
            "read-only",
            f"The setup {name} can only be read. {first.what}",
            means=first.means,
            todo=f"{first.todo} Look at it with: privatelink-wizard review {name}",
            detail=first.detail or str(found.path),
        )
    if found.header.name != name:
        raise Problem(
            "read-only",
            f"The setup {name} can only be read. Its journal says it is the setup {found.header.name}.",
            means="It was copied or renamed; two journals of one setup would each tell half of it.",
            todo=f"Give the file its name back ({found.header.name}.jsonl), or begin a new setup.",
            detail=str(found.path),
        )
