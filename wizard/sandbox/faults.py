"""Faults the sandbox can be started with (`sandbox --fault NAME`), to practise what goes wrong in earnest.

This is only the list. Each server asks whether its fault is on: `wrong-token` and `registry-down` concern the
registry, `forbidden`, `pods-never-ready` and `slow-pods` the Kubernetes API; for `api-down` the process does not open
its listener.
"""

from __future__ import annotations

from dataclasses import dataclass

WRONG_TOKEN = "wrong-token"  # noqa: S105 - the name of a fault
REGISTRY_DOWN = "registry-down"
FORBIDDEN = "forbidden"
PODS_NEVER_READY = "pods-never-ready"
SLOW_PODS = "slow-pods"
API_DOWN = "api-down"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that can be made to go wrong: its name, what the sandbox does, and what the user will see."""

    name: str
    what: str
    seen: str


FAULTS: dict[str, Fault] = {
    fault.name: fault
    for fault in (
        Fault(
            WRONG_TOKEN,
            "the registry refuses the token it handed out, as if it had expired",
            "helm: response status code 401: unauthorized: authentication required",
        ),
        Fault(
            REGISTRY_DOWN,
            "the registry's port is closed",
            "helm: connection refused",
        ),
        Fault(
            FORBIDDEN,
            "the cluster's user has no right to secrets, where helm keeps its releases",
            'helm: secrets is forbidden: User "sandbox-admin" cannot list resource "secrets"',
        ),
        Fault(
            PODS_NEVER_READY,
            "new pods cannot pull their image",
            "helm --wait: context deadline exceeded; the pods stay at ImagePullBackOff",
        ),
        Fault(
            SLOW_PODS,
            "new pods need eight seconds to become ready",
            "step 7 waits and counts: time to watch, cancel or kill it",
        ),
        Fault(
            API_DOWN,
            "the Kubernetes API's port is closed",
            "helm: Kubernetes cluster unreachable: connection refused",
        ),
    )
}
