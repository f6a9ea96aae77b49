"""How long things take in the sandbox's Azure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """In seconds: an endpoint made or deleted, anything about a zone, and the wait of `disconnected-later`.

    The real service took 42 for an endpoint.
    """

    endpoint: float = 2.0
    zone: float = 0.8
    later: float = 5.0

    def slowed(self, factor: float) -> Timing:
        """The same, but operations take so much longer."""
        return Timing(self.endpoint * factor, self.zone * factor, self.later)
