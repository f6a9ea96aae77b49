"""The sandbox's faults as Azure shows them: which request is refused, how often, and what is slower."""

from __future__ import annotations

import datetime

from wizard.sandbox import faults as known
from wizard.sandbox.arm import errors
from wizard.sandbox.arm.timing import Timing

_THROTTLED_REQUESTS = 3
_RETRY_AFTER = 1  # second
# One more than an SDK tries by itself, so that a person gets to see it.
_CUT_POLLS = 4
_SLOW_REPLY = 1.0  # seconds
_SLOW_FACTOR = 6


class Faults:
    """The faults named in `names`. Those that pass by themselves count down, anew at each start of the sandbox."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names
        self._throttled = _THROTTLED_REQUESTS if known.ARM_THROTTLED in names else 0
        self._expired = 1 if known.ARM_TOKEN_EXPIRED in names else 0
        self._cuts = _CUT_POLLS if known.ARM_CONNECTION_DROPPED in names else 0

    def has(self, name: str) -> bool:
        """Whether the sandbox was started with it."""
        return name in self._names

    def refuse(self, authority: str) -> None:
        """Raises ArmError for a request that is refused whatever it asks. `authority`: where tokens come from."""
        if self._expired:
            self._expired -= 1
            since = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=1)
            raise errors.expired_token(authority, since.strftime("%m/%d/%Y %H:%M:%S"))
        if self._throttled:
            self._throttled -= 1
            raise errors.throttled(_RETRY_AFTER)

    def cuts_poll(self) -> bool:
        """Whether the connection ends in the middle of this answer about an operation."""
        if not self._cuts:
            return False
        self._cuts -= 1
        return True

    @property
    def delay(self) -> float:
        """Seconds before any answer."""
        return _SLOW_REPLY if self.has(known.ARM_SLOW) else 0.0

    def slowed(self, timing: Timing) -> Timing:
        """How long things take."""
        return timing.slowed(_SLOW_FACTOR) if self.has(known.ARM_SLOW) else timing
