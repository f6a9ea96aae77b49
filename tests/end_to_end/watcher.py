"""Where a secret shows: searched for in every spelling, in files and in what other processes can see."""

from __future__ import annotations

import base64
import json
import os
import re
import stat
import threading
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote, quote_plus


def spellings(secret: str, user: str = "") -> dict[str, bytes]:
    """Every form in which programs write a secret; made here on its own, so as not to trust the product's list."""
    plain = json.dumps(secret)[1:-1]
    forms = {
        "plain": secret,
        "JSON": plain,
        "JSON of Go": plain.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"),
        "JSON in JSON": json.dumps(plain)[1:-1],
        "URL": quote(secret, safe=""),
        "URL path": quote(secret),
        "form": quote_plus(secret),
        "repr": repr(secret)[1:-1],
        "hex": secret.encode().hex(),
    }
    found = {name: text.encode() for name, text in forms.items()}
    found["URL, small"] = re.sub("%..", lambda escape: escape[0].lower(), quote(secret, safe="")).encode()
    if user:
        found["basic"] = base64.b64encode(f"{user}:{secret}".encode())
    # Base64 of anything that holds the secret: by where it begins in a group of three bytes, without the groups
    # that its neighbours have a part in.
    for shift in range(3):
        first = (3 - shift) % 3
        whole = secret.encode()[first:]
        whole = whole[: len(whole) // 3 * 3]
        found[f"base64 at {shift}"] = base64.b64encode(whole)
        found[f"base64url at {shift}"] = base64.urlsafe_b64encode(whole)
    return found


class Finder:
    """Looks for spellings of secrets."""

    def __init__(self, *forms: dict[str, bytes]) -> None:
        self._forms = [(name, form) for each in forms for name, form in each.items()]

    def in_bytes(self, content: bytes) -> list[str]:
        """The names of the spellings that stand in `content`."""
        return [name for name, form in self._forms if form in content]

    def in_files(self, roots: Iterable[Path]) -> dict[str, list[str]]:
        """The spellings found in the files under `roots`, and in their names, by path."""
        found = {}
        for root in roots:
            paths = [Path(here, name) for here, below, files in os.walk(root) for name in (*below, *files)]
            for path in paths:
                names = self.in_bytes(str(path.relative_to(root)).encode())
                try:
                    if stat.S_ISREG(path.lstat().st_mode):
                        names += self.in_bytes(path.read_bytes())
                except OSError:  # gone meanwhile
                    continue
                if names:
                    found[str(path)] = names
        return found


class Watch:
    """Reads cmdline and environ of all processes, and all files under `roots`, again and again while the block lasts.

    `itself` is the command line of the watched program, when the user put the secret into that program's own
    environment: there it stays for as long as it lives, whatever it does.
    """

    def __init__(self, finder: Finder, roots: Iterable[Path], *, itself: list[str] | None = None) -> None:
        self._finder = finder
        self._roots = tuple(roots)
        self._itself = b"".join(word.encode() + b"\0" for word in itself) if itself else None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self.processes: dict[str, list[str]] = {}
        self.files: dict[str, list[str]] = {}
        self.seen: Counter[str] = Counter()  # command lines, by how often they were seen
        self.modes: dict[str, tuple[int, int]] = {}  # of each file with a secret, and of its directory

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _loop(self) -> None:
        while not self._stop.is_set():
            self._look_at_processes()
            for path, names in self._finder.in_files(self._roots).items():
                self.files[path] = names
                try:
                    modes = stat.S_IMODE(Path(path).stat().st_mode), stat.S_IMODE(Path(path).parent.stat().st_mode)
                except OSError:
                    continue
                self.modes[path] = modes

    def _look_at_processes(self) -> None:
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                arguments = (entry / "cmdline").read_bytes()
                environment = (entry / "environ").read_bytes()
            except OSError:  # ended meanwhile, or another user's
                continue
            shown = arguments.replace(b"\0", b" ").decode(errors="replace")
            self.seen[shown] += 1
            names = self._finder.in_bytes(arguments)
            if arguments != self._itself:
                names += [f"environment: {name}" for name in self._finder.in_bytes(environment)]
            if names:
                self.processes[shown] = names
