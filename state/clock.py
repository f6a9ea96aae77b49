"""The one clock of the journal."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> str:
    """The present moment as the journal writes it: RFC 3339, UTC, microseconds, `Z` (DESIGN.md section 4)."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def seconds_between(earlier: str, later: str) -> float:
    """Seconds from one journalled time to another."""
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()
