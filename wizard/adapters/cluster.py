"""The cluster as `wizard.ports.ClusterReader` sees it; the calls themselves are `cluster_calls`, in the SDK child."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar, TypeVarTuple

from state.problem import EXIT_BAD, EXIT_NOT_YET, Problem
from wizard.adapters import cluster_calls
from wizard.adapters.cluster_api import Target
from wizard.adapters.sdk_process import SdkProcess
from wizard.ports import ClusterIdentity, Right, Workload

Ts = TypeVarTuple("Ts")
T = TypeVar("T")

MODULES = ("kubernetes.client", "kubernetes.config")
"""What the SDK child imports as it starts, to be ready for this adapter."""

CALL_TIMEOUT = 45.0  # seconds for one look, which may be several requests and a credential plugin


class ClusterAsker:
    """Asks the cluster of one kubeconfig and context; both are always given, never the current one.

    `gets_only`: no request but GET leaves the child; `identity` then leaves out the user, and `rights` is refused.

    Raises Problem: which of network, name, CA, credentials, rights or kubeconfig stands in the way.
    """

    def __init__(
        self, kubeconfig: str | None, context: str | None, process: SdkProcess, *, gets_only: bool = False
    ) -> None:
        self._kubeconfig = kubeconfig
        self._context = context
        self._gets_only = gets_only
        self._process = process

    async def _ask(
        self, func: Callable[[Target, *Ts], T], *args: *Ts, timeout: float = CALL_TIMEOUT, changes: bool = False
    ) -> T:
        """Run `func` in the SDK child; `timeout` in seconds. `changes`: see `SdkProcess.call`."""
        if not self._kubeconfig or not self._context:
            raise Problem(
                "kube-context-not-chosen",
                "No kubeconfig and context are chosen for this setup.",
                means="We could not look at the cluster.",
                todo="Choose the kubeconfig file and the context of the DPE's cluster.",
                exit_code=EXIT_BAD,
            )
        target = Target(self._kubeconfig, self._context, self._gets_only)
        try:
            return await self._process.call(func, target, *args, timeout=timeout, changes=changes)
        except TimeoutError:
            raise Problem(
                "cluster-timeout",
                f"The look at the cluster of context {self._context} took over {timeout:.0f} seconds.",
                means="We could not look: the API or a credential plugin does not answer.",
                todo=f"Check with `kubectl --context {self._context} get ns`, then look again.",
                exit_code=EXIT_NOT_YET,
            ) from None


class ClusterLooker(ClusterAsker):
    """Implements `wizard.ports.ClusterReader`."""

    async def identity(self) -> ClusterIdentity:
        """API server URL and UID of kube-system, by which the cluster is pinned."""
        return await self._ask(cluster_calls.identity)

    async def namespace_exists(self, namespace: str) -> bool:
        """Whether there is such a namespace."""
        return await self._ask(cluster_calls.namespace_exists, namespace)

    async def rights(self, wanted: Sequence[Right]) -> tuple[Right, ...]:
        """The wanted rights, each with whether we have it."""
        return await self._ask(cluster_calls.rights, tuple(wanted))

    async def workloads(self, release: str, namespace: str) -> tuple[Workload, ...]:
        """The workloads of a release; empty when there are none."""
        return await self._ask(cluster_calls.workloads, release, namespace)
