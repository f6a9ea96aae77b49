"""Faults the sandbox can be started with (`sandbox --fault NAME`), to practise what goes wrong in earnest.

This is only the list. Each server asks whether its fault is on: `wrong-token` and `registry-down` concern the
registry, `forbidden`, `pods-never-ready`, `slow-pods`, `exec-forbidden`, `no-exec-tools` and `pod-delete-forbidden` the
Kubernetes API, the two beginning with `cluster-dns` what its pods resolve, those from `arm-throttled` on Azure; for
`api-down` the process does not open its listener.
"""

from __future__ import annotations

from dataclasses import dataclass

WRONG_TOKEN = "wrong-token"  # noqa: S105 - the name of a fault
REGISTRY_DOWN = "registry-down"
FORBIDDEN = "forbidden"
PODS_NEVER_READY = "pods-never-ready"
SLOW_PODS = "slow-pods"
API_DOWN = "api-down"
EXEC_FORBIDDEN = "exec-forbidden"
NO_EXEC_TOOLS = "no-exec-tools"
POD_DELETE_FORBIDDEN = "pod-delete-forbidden"
CLUSTER_DNS_PUBLIC = "cluster-dns-public"
CLUSTER_DNS_STALE = "cluster-dns-stale"
ARM_THROTTLED = "arm-throttled"
ARM_SLOW = "arm-slow"
ARM_FORBIDDEN = "arm-forbidden"
ARM_CONNECTION_DROPPED = "arm-connection-dropped"
ARM_TOKEN_EXPIRED = "arm-token-expired"  # noqa: S105 - the name of a fault
PENDING_FOREVER = "pending-forever"
REJECTED = "rejected"
DISCONNECTED_LATER = "disconnected-later"
INVALID_ALIAS = "invalid-alias"
POLICY_DENIED = "policy-denied"
ZONE_EXISTS = "zone-exists"
OVERLAPPING_LINK = "overlapping-link"
NOT_REGISTERED = "not-registered"


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
        Fault(
            EXEC_FORBIDDEN,
            "the cluster's user may not run anything in a pod",
            'User "sandbox-admin" cannot get resource "pods/exec"; the lookup still works from a short-lived pod',
        ),
        Fault(
            NO_EXEC_TOOLS,
            "the DPE's image has nothing to look a host up with",
            "exec: executable file not found in $PATH, for getent, nslookup and python3",
        ),
        Fault(
            POD_DELETE_FORBIDDEN,
            "the cluster's user may make pods and not delete them",
            "no short-lived pod is made, for it could not be removed; the lookup still works by exec",
        ),
        Fault(
            CLUSTER_DNS_PUBLIC,
            "the cluster asks DNS servers of its own, which forward nothing to Azure",
            "the zone answers privately here and still publicly from inside the cluster",
        ),
        Fault(
            CLUSTER_DNS_STALE,
            "the cluster's DNS keeps an answer for twenty seconds after it has changed",
            "the lookup from inside the cluster is still the old one, then turns by itself",
        ),
        Fault(
            ARM_THROTTLED,
            "Azure refuses the first three requests as too many",
            "nothing but a wait of some seconds: 429 with Retry-After, which the SDK obeys by itself",
        ),
        Fault(
            ARM_SLOW,
            "Azure takes a second for every answer and twelve for an endpoint",
            "elapsed time beside the typical one: time to leave, cancel or kill it",
        ),
        Fault(
            ARM_FORBIDDEN,
            "you are only a Reader in Azure",
            "AuthorizationFailed for everything but looking, and permissions that say so beforehand",
        ),
        Fault(
            ARM_CONNECTION_DROPPED,
            "the connection ends in the middle of Azure's answers about a running operation, four times",
            "connection broken; the operation goes on, and the resource itself tells how it went",
        ),
        Fault(
            ARM_TOKEN_EXPIRED,
            "Azure refuses the first request's token as expired",
            "401 ExpiredAuthenticationToken, once; asking again works",
        ),
        Fault(
            NOT_REGISTERED,
            "nobody has pressed Register in the vendor's portal for your subscription",
            "the service does not approve by itself: the connection stays Pending until somebody registers",
        ),
        Fault(
            PENDING_FOREVER,
            "the vendor approves no endpoint",
            "provisioning Succeeded, but the connection stays Pending",
        ),
        Fault(
            REJECTED,
            "the vendor rejects new endpoints",
            "the connection is Pending while the endpoint is made, then Rejected",
        ),
        Fault(
            DISCONNECTED_LATER,
            "the vendor removes approved connections, five seconds later",
            "the connection is Approved, then Disconnected: delete the endpoint and make it again",
        ),
        Fault(
            INVALID_ALIAS,
            "the vendor's link service is not there under its alias or Resource ID",
            "not visible, and InvalidPrivateLinkServiceId when an endpoint is created",
        ),
        Fault(
            POLICY_DENIED,
            "a policy of your organisation forbids private DNS zones",
            "RequestDisallowedByPolicy: the records go to the DNS team",
        ),
        Fault(
            ZONE_EXISTS,
            "somebody else creates the DNS zone at the same moment",
            "PreconditionFailed: the zone exists already; looking again finds it",
        ),
        Fault(
            OVERLAPPING_LINK,
            "another team links a DNS zone of the same name to the VNet at the same moment",
            "BadRequest: overlapping namespaces; looking again finds the other zone",
        ),
    )
}
