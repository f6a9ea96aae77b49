"""The emulated cluster as one thing: objects, controllers, and the file they are kept in."""

from __future__ import annotations

import asyncio
from pathlib import Path

from wizard.sandbox.kubernetes.controllers import Controllers
from wizard.sandbox.kubernetes.objects import Objects
from wizard.sandbox.kubernetes.resources import Obj
from wizard.sandbox.kubernetes.store import Change, Store
from wizard.sandbox.state_file import StateFile

READY_AFTER = 0.6
_SAVE_DELAY = 0.2  # seconds; only what controllers do is saved late, and they would do it again

FORMAT = 1


class KubernetesApi:
    """A cluster without containers.

    `state_path`: the file it is kept in (None: nowhere); with one that exists it goes on from there, and raises
    Problem when it cannot be read. `ready_after`: seconds until a pod is ready.
    """

    def __init__(self, state_path: Path | None = None, ready_after: float = READY_AFTER) -> None:
        self.objects = Objects(Store())
        self.controllers = Controllers(self.objects, ready_after)
        self._file = StateFile(state_path, "cluster") if state_path else None
        self._unsaved = False
        self._save_timer: asyncio.TimerHandle | None = None
        saved = self._file.read() if self._file else None
        if self._file and saved is not None:
            try:
                self.load(saved)
            except (KeyError, TypeError, ValueError) as error:
                raise self._file.unusable(f"{type(error).__name__}: {error}") from error
        else:
            self.objects.found_cluster()
            self._unsaved = True
            self.flush()
        self.objects.store.subscribe(self._changed)

    def start(self) -> None:
        """Begin to reconcile: pods that were not ready go on to be. Needs a running event loop."""
        self.controllers.start()

    def stop(self) -> None:
        """Come to rest, with everything saved."""
        self.controllers.stop()
        self.flush()

    def dump(self) -> Obj:
        """Everything that must outlive the process, as JSON."""
        return {"format": FORMAT, **self.objects.dump()}

    def load(self, saved: Obj) -> None:
        """Replace everything by what `dump` gave; raises KeyError, TypeError or ValueError on anything else."""
        if saved["format"] != FORMAT:
            raise ValueError(f"format {saved['format']}")
        self.objects.load(saved)

    def flush(self) -> None:
        """Save now what is not yet saved; called before a write is acknowledged."""
        if self._save_timer:
            self._save_timer.cancel()
            self._save_timer = None
        if self._file and self._unsaved:
            self._file.write(self.dump())
        self._unsaved = False

    def _changed(self, _: Change) -> None:
        self._unsaved = True
        if self._file and not self._save_timer:
            self._save_timer = asyncio.get_running_loop().call_later(_SAVE_DELAY, self.flush)
