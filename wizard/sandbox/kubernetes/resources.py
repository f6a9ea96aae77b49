"""The kinds of object this API serves, as discovery describes them.

No custom resources: the table is all there is, and a kind that is not in it is answered 404.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

Obj = dict[str, Any]
"""One Kubernetes object as JSON. An object in the store is never changed in place; a change stores a new one."""

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True, eq=False)
class Resource:
    """One row of the table. Compared and hashed by identity: there is one instance of each."""

    group_version: str
    plural: str
    kind: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()

    @property
    def group(self) -> str:
        """API group; empty for the core group."""
        return self.group_version.rpartition("/")[0]

    @property
    def version(self) -> str:
        """API version without the group."""
        return self.group_version.rpartition("/")[2]

    @property
    def qualified_plural(self) -> str:
        """`deployments.apps`: how the API server names a resource in its messages."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def qualified_kind(self) -> str:
        """`Deployment.apps`: how validation messages name a kind."""
        return f"{self.kind}.{self.group}" if self.group else self.kind

    @property
    def is_review(self) -> bool:
        """Whether this is a question in the form of an object: answered, never stored."""
        return self.kind.endswith("Review")

    @property
    def verbs(self) -> tuple[str, ...]:
        """What may be done with it."""
        return ("create",) if self.is_review else VERBS


class Key(NamedTuple):
    """Where an object is stored; `namespace` is empty for cluster-wide kinds."""

    resource: Resource
    namespace: str
    name: str


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _namespaced(group_version: str, plural: str, kind: str, short: str = "", sub: str = "") -> Resource:
    return Resource(group_version, plural, kind, True, _words(short), _words(sub))


def _cluster_wide(group_version: str, plural: str, kind: str, short: str = "", sub: str = "") -> Resource:
    return Resource(group_version, plural, kind, False, _words(short), _words(sub))


NAMESPACES = _cluster_wide("v1", "namespaces", "Namespace", "ns", "status finalize")
NODES = _cluster_wide("v1", "nodes", "Node", "no", "status")
PODS = _namespaced("v1", "pods", "Pod", "po", "status log exec")
SERVICES = _namespaced("v1", "services", "Service", "svc", "status")
SECRETS = _namespaced("v1", "secrets", "Secret")
CONFIG_MAPS = _namespaced("v1", "configmaps", "ConfigMap", "cm")
EVENTS = _namespaced("v1", "events", "Event", "ev")
SERVICE_ACCOUNTS = _namespaced("v1", "serviceaccounts", "ServiceAccount", "sa")
VOLUME_CLAIMS = _namespaced("v1", "persistentvolumeclaims", "PersistentVolumeClaim", "pvc", "status")
DEPLOYMENTS = _namespaced("apps/v1", "deployments", "Deployment", "deploy", "status scale")
REPLICA_SETS = _namespaced("apps/v1", "replicasets", "ReplicaSet", "rs", "status scale")
STATEFUL_SETS = _namespaced("apps/v1", "statefulsets", "StatefulSet", "sts", "status scale")
DAEMON_SETS = _namespaced("apps/v1", "daemonsets", "DaemonSet", "ds", "status")
JOBS = _namespaced("batch/v1", "jobs", "Job", "", "status")
ACCESS_REVIEWS = _cluster_wide("authorization.k8s.io/v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview")
RULES_REVIEWS = _cluster_wide("authorization.k8s.io/v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview")
SUBJECT_REVIEWS = _cluster_wide("authentication.k8s.io/v1", "selfsubjectreviews", "SelfSubjectReview")

_RBAC = "rbac.authorization.k8s.io/v1"

RESOURCES: tuple[Resource, ...] = (
    NAMESPACES,
    NODES,
    PODS,
    SERVICES,
    SECRETS,
    CONFIG_MAPS,
    EVENTS,
    SERVICE_ACCOUNTS,
    VOLUME_CLAIMS,
    _namespaced("v1", "endpoints", "Endpoints", "ep"),
    _cluster_wide("v1", "persistentvolumes", "PersistentVolume", "pv", "status"),
    _namespaced("v1", "resourcequotas", "ResourceQuota", "quota", "status"),
    _namespaced("v1", "limitranges", "LimitRange", "limits"),
    DEPLOYMENTS,
    REPLICA_SETS,
    STATEFUL_SETS,
    DAEMON_SETS,
    JOBS,
    _namespaced("batch/v1", "cronjobs", "CronJob", "cj", "status"),
    _namespaced("autoscaling/v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", "hpa", "status"),
    _namespaced("policy/v1", "poddisruptionbudgets", "PodDisruptionBudget", "pdb", "status"),
    _namespaced("networking.k8s.io/v1", "ingresses", "Ingress", "ing", "status"),
    _namespaced("networking.k8s.io/v1", "networkpolicies", "NetworkPolicy", "netpol"),
    _cluster_wide("networking.k8s.io/v1", "ingressclasses", "IngressClass"),
    _cluster_wide("storage.k8s.io/v1", "storageclasses", "StorageClass", "sc"),
    _namespaced(_RBAC, "roles", "Role"),
    _namespaced(_RBAC, "rolebindings", "RoleBinding"),
    _cluster_wide(_RBAC, "clusterroles", "ClusterRole"),
    _cluster_wide(_RBAC, "clusterrolebindings", "ClusterRoleBinding"),
    _namespaced("coordination.k8s.io/v1", "leases", "Lease"),
    ACCESS_REVIEWS,
    RULES_REVIEWS,
    SUBJECT_REVIEWS,
)

GROUP_VERSIONS: tuple[str, ...] = tuple(dict.fromkeys(resource.group_version for resource in RESOURCES))

BY_PLURAL: dict[tuple[str, str], Resource] = {(each.group_version, each.plural): each for each in RESOURCES}
BY_KIND: dict[tuple[str, str], Resource] = {(each.group_version, each.kind): each for each in RESOURCES}
