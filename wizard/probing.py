"""Looks from inside the cluster, in the way somebody consented to, with every pod written down before it is made."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from state.problem import Problem
from wizard.guide import BY_POD

if TYPE_CHECKING:
    from wizard.ports import ClusterProbe, InsideAnswer

POD_PREFIX = "privatelink-wizard-probe-"


class PodLog(Protocol):
    """Remembers that a pod is about to be made, and that it is gone again."""

    async def clear(self, server: str) -> None:
        """Removes what earlier looks left in the cluster whose API server is `server`. Raises Problem `probe-pod-left`
        when it can't be removed: another pod would be left beside it."""
        ...

    def started(self, pod: str, namespace: str, server: str) -> None:
        """The pod is about to be made, in a namespace of the cluster whose API server is `server`."""
        ...

    def ended(self, pod: str) -> None:
        """The pod is gone."""
        ...

    def let_go(self, pod: str) -> None:
        """Nobody is at work with the pod any more: unless its end was written, it counts as left."""
        ...


@dataclass(frozen=True, slots=True)
class Consented:
    """An `InsideReader`: asks in a running pod of the release, and in a short-lived pod only where that was allowed.

    `mark` labels the pods of one setup, so that what was left is found again. Without a `log` no pod is made: nobody
    would know of it. `told` hears of a pod that could not be removed, beside the answer that it gave.
    """

    probe: ClusterProbe
    way: str
    mark: str = ""
    log: PodLog | None = None
    told: Callable[[str], None] = lambda _: None

    async def lookup(self, release: str, namespace: str, hosts: Sequence[str], server: str) -> InsideAnswer:
        """What the resolver of the cluster at the API server `server` says. Raises Problem when it could not be asked.

        `server` is written down with a pod, so that it is looked for in no other cluster.
        """
        try:
            return await self.probe.by_exec(release, namespace, hosts)
        except Problem:
            if self.way != BY_POD or self.log is None:
                raise
        return await self._by_pod(self.log, release, namespace, hosts, server)

    async def _by_pod(
        self, log: PodLog, release: str, namespace: str, hosts: Sequence[str], server: str
    ) -> InsideAnswer:
        await log.clear(server)
        pod = f"{POD_PREFIX}{secrets.token_hex(4)}"
        try:
            answer = await self.probe.by_pod(
                release,
                namespace,
                hosts,
                name=pod,
                mark=self.mark,
                started=lambda: log.started(pod, namespace, server),
                # Written only when we know it: else it is swept before the next one, or at the next start.
                ended=lambda: log.ended(pod),
            )
        finally:
            log.let_go(pod)
        if answer.left:
            self.told(answer.left)
        return answer
