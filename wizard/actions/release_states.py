"""What a release's history says about going on (HELM.md, "When helm is interrupted"). Pure.

helm 3 and helm 4 use the same words for states and both refuse to upgrade while the last revision is pending.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wizard.ports import Release

ROLLBACK = "rollback"
UNINSTALL = "uninstall"


@dataclass(frozen=True, slots=True)
class WayOut:
    """How to free a release that helm left half way. `revision` is set for a rollback: where it goes to.

    To be offered only when the helm that left it is known to be gone; it is never taken without asking.
    """

    action: str
    status: str
    what: str
    means: str
    todo: str
    revision: int | None = None


def pending_way_out(history: Sequence[Release]) -> WayOut | None:
    """The way out of a pending release; None when a plain upgrade can go on (also after a failed one)."""
    if not history:
        return None
    last = max(history, key=lambda release: release.revision)
    if last.status in ("pending-upgrade", "pending-rollback"):
        return _out_of_upgrade(last, history)
    if last.status == "pending-install":
        return WayOut(
            UNINSTALL,
            last.status,
            f"The first install of {last.name} was interrupted before it ended.",
            "helm refuses to upgrade it, and there is no earlier revision to go back to.",
            f"Uninstall {last.name}, then install it again.",
        )
    if last.status == "uninstalling":
        return WayOut(
            UNINSTALL,
            last.status,
            f"An uninstall of {last.name} was interrupted before it ended.",
            "Some of its objects are gone, and helm cannot upgrade what is left.",
            f"Finish the uninstall of {last.name}, then install it again.",
        )
    return None


def _out_of_upgrade(last: Release, history: Sequence[Release]) -> WayOut:
    word = "upgrade" if last.status == "pending-upgrade" else "rollback"
    what = f"The {word} of {last.name} to revision {last.revision} was interrupted before it ended."
    good = _last_good(history)
    if good is None:
        return WayOut(
            UNINSTALL,
            last.status,
            what,
            "helm refuses to upgrade it, and no revision was ever deployed to go back to.",
            f"Uninstall {last.name}, then install it again.",
        )
    return WayOut(
        ROLLBACK,
        last.status,
        what,
        "helm refuses to upgrade it until it is rolled back.",
        f"Roll {last.name} back to revision {good.revision} ({good.chart} {good.chart_version}), then upgrade again.",
        revision=good.revision,
    )


def _last_good(history: Sequence[Release]) -> Release | None:
    """The newest deployed revision, else the newest superseded one: it was deployed once, its successor failed."""
    for status in ("deployed", "superseded"):
        found = [release for release in history if release.status == status]
        if found:
            return max(found, key=lambda release: release.revision)
    return None
