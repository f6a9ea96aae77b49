"""The plain program, but into `review --live` one is let in who does more than look.

    python let_in.py WHAT ARGUMENT…

The tests of what goes over the wire must see each of them.
"""

from __future__ import annotations

import contextlib
import sys
from typing import Any

import wizard.live
from state.events import EnvironmentSet
from wizard.adapters import cluster_api
from wizard.adapters.cluster import CALL_TIMEOUT, ClusterLooker
from wizard.cli import main
from wizard.environment import connected
from wizard.ports import Right

_look_again = wizard.live.look_again


SENT = {
    "post": ("POST", "/api/v1/namespaces"),
    # How the Python client begins to run a command in a pod: it is a WebSocket.
    "exec": ("GET", "/api/v1/namespaces/default/pods/dpe/exec"),
}


async def look_again(guide: Any, snapshot: Any, environment: EnvironmentSet, **options: Any) -> Any:
    """The look, and beside it what has no business there."""
    what = sys.argv[1]
    async with connected(environment) as (readers, writers):
        looker = readers.cluster
        assert isinstance(looker, ClusterLooker)
        target = cluster_api.Target(str(environment.kubeconfig), str(environment.kube_context))
        if what == "put":
            assert readers.azure is not None and writers.azure is not None
            await writers.azure.acting_as(await readers.azure.identity()).create_zone(
                f"{_group(snapshot)}/providers/Microsoft.Network/privateDnsZones/let.in.test"
            )
        elif what in SENT:
            # What comes of it does not matter: it was asked for.
            with contextlib.suppress(Exception):
                await looker._process.call(cluster_api.call, target, *SENT[what], timeout=CALL_TIMEOUT)
        elif what == "rights":
            await looker.rights((Right("list", "pods", namespace="default"),))
        elif what == "helm":
            assert writers.helm is not None
            release = {key: one.data.value for key, one in snapshot.values["dpe/dpe-01"].items()}
            await writers.helm.rollback(
                str(release["release"]),
                str(release["namespace"]),
                1,
                timeout=60,
                started=lambda _: None,
                progress=lambda _: None,
            )
        else:
            raise AssertionError(what)
    return await _look_again(guide, snapshot, environment, **options)


def _group(snapshot: Any) -> str:
    endpoint = snapshot.value("endpoint/pe-weu", "endpoint_id")
    return str(endpoint).partition("/providers/")[0]


if __name__ == "__main__":
    wizard.live.look_again = look_again
    sys.exit(main(sys.argv[2:]))
