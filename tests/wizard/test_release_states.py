"""The way out of a release that helm left half way."""

from __future__ import annotations

import pytest

from wizard.actions.release_states import ROLLBACK, UNINSTALL, pending_way_out
from wizard.ports import Release


def history(*statuses: str) -> tuple[Release, ...]:
    return tuple(
        Release("dpe", "ns", number, status, "chart", f"16.{number}.0") for number, status in enumerate(statuses, 1)
    )


@pytest.mark.parametrize(
    ("statuses", "action", "revision"),
    [
        (("deployed", "pending-upgrade"), ROLLBACK, 1),
        (("superseded", "deployed", "failed", "pending-upgrade"), ROLLBACK, 2),
        (("superseded", "superseded", "failed", "pending-upgrade"), ROLLBACK, 2),
        (("superseded", "deployed", "pending-rollback"), ROLLBACK, 2),
        (("failed", "pending-upgrade"), UNINSTALL, None),
        (("pending-install",), UNINSTALL, None),
        (("deployed", "uninstalling"), UNINSTALL, None),
    ],
)
def test_pending(statuses, action, revision):
    way = pending_way_out(history(*statuses))
    assert way is not None
    assert (way.action, way.revision, way.status) == (action, revision, statuses[-1])
    if revision is not None:
        assert f"revision {revision} (chart 16.{revision}.0)" in way.todo


@pytest.mark.parametrize("statuses", [(), ("deployed",), ("failed",), ("deployed", "failed"), ("uninstalled",)])
def test_nothing_stands_in_the_way(statuses):
    assert pending_way_out(history(*statuses)) is None


def test_the_order_of_the_rows_does_not_matter():
    way = pending_way_out(history("superseded", "deployed", "pending-upgrade")[::-1])
    assert way is not None
    assert way.revision == 2
