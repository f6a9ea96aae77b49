"""The sandbox's own directory: where it may be, who holds it, and files that only their owner can read.

DESIGN.md section 6: 0700, never under the state dir or the user's kube dir. One sandbox at a time holds it, by a
kernel lock that ends with the process, so a killed sandbox leaves nothing to clean up.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from state.problem import Problem

_ASKING_SECONDS = 0.3
"""How long asking whether the directory is held may take at most."""

ENVIRONMENT_VARIABLE = "PRIVATELINK_SANDBOX_DIR"

_LOCK = "lock"
_LOCK_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
_CONTENT = (
    "profile.json",
    "ca.pem",
    "server.pem",
    "server.key",
    "registry-token",
    "kubeconfig",
    "kubernetes.json",
    "arm.json",
    "values.yml",
    "answers.yml",
    "trace.jsonl",
)


@dataclass(frozen=True, slots=True)
class WorkDir:
    """The names of everything in a work directory. `path` is absolute; only files named here are ever removed."""

    path: Path

    @property
    def lock(self) -> Path:
        """Locked by the running sandbox; its pid stands inside."""
        return self.path / _LOCK

    @property
    def profile(self) -> Path:
        """What makes this sandbox itself: ports, users, the portal's values."""
        return self.path / "profile.json"

    @property
    def ca(self) -> Path:
        """The CA's certificate. Its key is never written."""
        return self.path / "ca.pem"

    @property
    def certificate(self) -> Path:
        """The servers' certificate."""
        return self.path / "server.pem"

    @property
    def key(self) -> Path:
        """The servers' private key."""
        return self.path / "server.key"

    @property
    def registry_token(self) -> Path:
        """The token the portal would hand out: the one place on disk where it stands. It opens this sandbox only."""
        return self.path / "registry-token"

    @property
    def kubeconfig(self) -> Path:
        """For helm, kubectl and the Kubernetes client."""
        return self.path / "kubeconfig"

    @property
    def kubernetes(self) -> Path:
        """The objects of the Kubernetes API."""
        return self.path / "kubernetes.json"

    @property
    def arm(self) -> Path:
        """What exists in Azure."""
        return self.path / "arm.json"

    @property
    def values(self) -> Path:
        """The values.yml that the portal lets one download."""
        return self.path / "values.yml"

    @property
    def answers(self) -> Path:
        """An answers file that completes a whole setup here."""
        return self.path / "answers.yml"

    @property
    def trace(self) -> Path:
        """One JSON line per request."""
        return self.path / "trace.jsonl"

    @property
    def log(self) -> Path:
        """What a server process without a terminal had to say."""
        return self.path / "server.log"

    def clear(self) -> None:
        """Forget everything, so that the next start is a new sandbox. The caller holds the lock."""
        for name in _CONTENT:
            (self.path / name).unlink(missing_ok=True)
            for unfinished in self.path.glob(f".{name}.*"):  # of a `write_private` that was killed
                unfinished.unlink()


def default_path() -> Path:
    """`PRIVATELINK_SANDBOX_DIR`, or the user's data directory."""
    if given := os.environ.get(ENVIRONMENT_VARIABLE):
        return Path(given)
    import platformdirs

    return Path(platformdirs.user_data_dir("privatelink-wizard-sandbox"))


def prepare(path: Path | None = None, *, state_dir: Path | None = None) -> WorkDir:
    """Make or take over the directory at `path`, by default `default_path()`; private to its owner afterwards.

    `state_dir` is what `--state-dir` said. Raises Problem where a sandbox must not live.
    """
    place = (path or default_path()).expanduser().absolute()
    if ".." in place.parts:
        place = place.parent.resolve() / place.name
    _refuse_dangerous(place, state_dir)
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        _refuse_foreign(place)
        place.chmod(0o700)
        os.close(os.open(place / _LOCK, _LOCK_FLAGS, 0o600))  # from here on it is known as a sandbox's
    except OSError as error:
        raise Problem(
            "sandbox-dir",
            f"The sandbox's directory {place} cannot be used.",
            means=f"{error.strerror or error}.",
            todo=f"Name another one in {ENVIRONMENT_VARIABLE}.",
        ) from None
    return WorkDir(place)


def _refuse_dangerous(place: Path, state_dir: Path | None) -> None:
    """A sandbox among real setups or in the real kube dir could be taken for the real thing."""
    import platformdirs

    state_dirs: Sequence[Path | str | None] = (
        state_dir,
        os.environ.get("PRIVATELINK_STATE_DIR"),
        platformdirs.user_state_dir("privatelink-wizard"),
    )
    forbidden = [(Path(each).expanduser(), "the directory of real setups") for each in state_dirs if each]
    forbidden.append((Path.home() / ".kube", "the directory of your real Kubernetes credentials"))
    real = place.resolve()
    for root, name in forbidden:
        if real.is_relative_to(root.resolve()):
            raise Problem(
                "sandbox-dir",
                f"The sandbox does not go into {place}: that is inside {root}, {name}.",
                means="A rehearsal must never be mixed up with the real thing.",
                todo=f"Name another directory in {ENVIRONMENT_VARIABLE}.",
            )


def _refuse_foreign(place: Path) -> None:
    facts = place.lstat()
    if stat.S_ISLNK(facts.st_mode):
        reason = "it is a symbolic link"
    elif not stat.S_ISDIR(facts.st_mode):
        reason = "it is not a directory"
    elif facts.st_uid != os.geteuid():
        reason = "it belongs to somebody else"
    elif _holds_other_files(place):
        reason = "it holds files that are not a sandbox's"
    else:
        return
    raise Problem(
        "sandbox-dir",
        f"The sandbox does not use {place}: {reason}.",
        means="It needs a directory of its own, because it makes it private and removes files in it.",
        todo=f"Name a directory that does not exist yet in {ENVIRONMENT_VARIABLE}.",
    )


def _holds_other_files(place: Path) -> bool:
    """Whether something is here and none of it is the lock that every sandbox leaves."""
    names = {entry.name for entry in place.iterdir()}
    return bool(names) and _LOCK not in names


@contextlib.contextmanager
def hold(work: WorkDir, owner: int = 0) -> Iterator[None]:
    """Hold the work directory until the block ends or the process dies. Raises Problem naming the holder.

    Whoever asks whether it is held holds it for a moment (`is_held`), so one try is not enough to know.

    `owner` is the process whose end is ours too, 0 for none.
    """
    descriptor = os.open(work.lock, _LOCK_FLAGS, 0o600)
    try:
        deadline = time.monotonic() + _ASKING_SECONDS
        while not (held := _locked(descriptor, fcntl.LOCK_EX)) and time.monotonic() < deadline:
            time.sleep(0.02)
        if not held:
            holder = (_held_by(descriptor) or ["unknown"])[0]
            raise Problem(
                "sandbox-running",
                f"A sandbox already runs in {work.path}: process {holder}.",
                means="Two cannot share ports and state.",
                todo=f"Use that one, end it, or name another directory in {ENVIRONMENT_VARIABLE}.",
            )
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()} {owner}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _held_by(descriptor: int) -> list[str]:
    """The holder's pid and its owner's, as they were written."""
    return os.pread(descriptor, 64, 0).decode(errors="replace").split()


def is_orphaned(work: WorkDir) -> bool:
    """Whether the command whose servers hold the directory is gone: they are about to end with it."""
    descriptor = os.open(work.lock, _LOCK_FLAGS, 0o600)
    try:
        owner = _held_by(descriptor)[1:2]
    finally:
        os.close(descriptor)
    if not owner or not owner[0].isdigit() or owner[0] == "0":
        return False
    try:
        os.kill(int(owner[0]), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def is_held(work: WorkDir) -> bool:
    """Whether a sandbox holds the work directory now: one that serves, that begins to, or that is about to end."""
    descriptor = os.open(work.lock, _LOCK_FLAGS, 0o600)
    try:
        return not _locked(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _locked(descriptor: int, kind: int) -> bool:
    """Takes the lock when it is free; False when it is another's."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write_private(path: Path, content: bytes | str) -> None:
    """Write a file of mode 0600 in one piece: a reader sees the old content or the new, never half of it."""
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
