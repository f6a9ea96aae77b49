"""The private directory of one run: the one place where helm writes the registry token to a file.

`helm registry login` keeps user and password as base64 in its registry file. So that file lives in a 0700 directory
on a memory file system, is removed at the end, and what a killed run left behind is swept at the next start.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from wizard.ports import ProcessIdentity
from wizard.process_identity import alive, identity_of

_PREFIX = "privatelink-wizard-run-"
_OWNER = "owner.json"
_USER = "user-"
_MEMORY_FILE_SYSTEMS = ("tmpfs", "ramfs")
_OWNERLESS_AFTER = 600.0  # seconds; a directory this old without an owner was left between mkdir and write


@dataclass(frozen=True, slots=True)
class RunDir:
    """A private directory. `on_memory` is False when it had to be made on a disk: the caller says so."""

    path: Path
    on_memory: bool


@contextlib.contextmanager
def run_dir(environ: Mapping[str, str] = os.environ) -> Iterator[RunDir]:
    """Make the private directory of this run; it is gone when the block is left, by whatever way.

    Only a helm that was left running keeps it: it may not have read its login yet. The directory is then its own, and
    goes with the first sweep after its end.

    Leftovers of dead owners are swept first, and again at the end: a helm that outlived its owner may have ended
    meanwhile. Raises OSError when no directory can be made at all.
    """
    sweep(environ)
    made = _make(environ)
    try:
        yield made
    finally:
        if not _handed_over(made.path):
            shutil.rmtree(made.path, ignore_errors=True)
        sweep(environ)


def sweep(environ: Mapping[str, str] = os.environ) -> int:
    """Remove directories whose owner is known to be gone; returns how many.

    Touches only real directories of our own uid; a symlink is never followed (`shutil.rmtree` refuses them too).
    """
    removed = 0
    for base in _bases(environ):
        try:
            entries = [entry for entry in os.scandir(base) if entry.name.startswith(_PREFIX)]
        except OSError:
            continue
        for entry in entries:
            if _left_behind(Path(entry.path)):
                shutil.rmtree(entry.path, ignore_errors=True)
                removed += not Path(entry.path).exists()
    return removed


def _make(environ: Mapping[str, str]) -> RunDir:
    refused: OSError | None = None
    for base in _bases(environ):
        try:
            path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))  # 0700, a name nobody can have made before
        except OSError as error:
            refused = error
            continue
        owner = identity_of(os.getpid()) or ProcessIdentity(os.getpid(), "", "")
        _write_identity(path / _OWNER, owner)
        return RunDir(path, _is_memory(path))
    raise refused or OSError("no directory for temporary files")


def _bases(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Where the directory may be made, best first: memory file systems, then the temporary directory."""
    wanted = [Path(environ["XDG_RUNTIME_DIR"])] if environ.get("XDG_RUNTIME_DIR") else []
    wanted.append(Path("/dev/shm"))  # noqa: S108 (a 0700 directory with a random name is made in it)
    memory = [base for base in wanted if base.is_absolute() and os.access(base, os.W_OK | os.X_OK) and _is_memory(base)]
    return (*memory, Path(tempfile.gettempdir()))


def _is_memory(path: Path) -> bool:
    """Whether the file system under `path` keeps its files in memory; False where this system does not tell."""
    if sys.platform != "linux":
        return False
    best, kind = "", ""
    try:
        real = str(path.resolve())
        for line in Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines():
            _, mount, this_kind, *_ = line.split(" ")
            inside = real == mount or real.startswith(mount.rstrip("/") + "/")
            if inside and len(mount) >= len(best):
                best, kind = mount, this_kind
    except (OSError, ValueError):
        return False
    return kind in _MEMORY_FILE_SYSTEMS


def note_user(directory: Path, user: ProcessIdentity) -> None:
    """Says that `user` (a helm) reads from the directory: it is not swept while that lives, though its owner died."""
    _write_identity(directory / f"{_USER}{user.pid}.json", user)


def _handed_over(path: Path) -> bool:
    """Makes a helm that still runs the directory's owner, in place of us who may live long; False when none does."""
    for known in path.glob(f"{_USER}*.json"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            user = _read_identity(known)
            if alive(user):
                _write_identity(path / _OWNER, user)
                return True
    return False


def _write_identity(path: Path, identity: ProcessIdentity) -> None:
    document = {"pid": identity.pid, "start_time": identity.start_time, "boot_id": identity.boot_id}
    path.write_text(json.dumps(document), encoding="utf-8")


def _left_behind(path: Path) -> bool:
    """Whether everybody who had to do with the directory is known to be gone."""
    try:
        facts = path.lstat()
        if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid():
            return False
        identities = [_read_identity(known) for known in (path / _OWNER, *path.glob(f"{_USER}*.json"))]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        # Between mkdir and write, or not ours after all: only age tells.
        return path.is_dir() and time.time() - facts.st_mtime > _OWNERLESS_AFTER
    except OSError:
        return False
    return all(alive(identity) is False for identity in identities)


def _read_identity(path: Path) -> ProcessIdentity:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        known = json.loads(os.read(handle, 4096))
    finally:
        os.close(handle)
    return ProcessIdentity(int(known["pid"]), str(known["start_time"]), str(known["boot_id"]))
