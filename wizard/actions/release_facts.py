"""What the helm action and its checks both need to know: ports, the pinned cluster, the values file, workloads."""

from __future__ import annotations

from state.problem import EXIT_BAD, EXIT_NOT_YET, Problem
from wizard.actions.values_file import ValuesFile
from wizard.ports import ClusterIdentity, ClusterReader, HelmReader, Readers, Workload
from wizard.view import View

DEPLOYED = "deployed"
PENDING = frozenset(("pending-install", "pending-upgrade", "pending-rollback", "uninstalling"))


def ports_of(readers: Readers) -> tuple[HelmReader, ClusterReader]:
    """The helm and cluster readers. Raises Problem when one is missing here."""
    if readers.helm is None:
        raise Problem(
            "no-helm",
            "helm can't be used here.",
            todo="Run `privatelink-wizard doctor`; it says what is missing.",
            exit_code=EXIT_NOT_YET,
        )
    if readers.cluster is None:
        raise Problem(
            "no-cluster",
            "The cluster can't be used here.",
            todo="Run `privatelink-wizard doctor`; it says what is missing.",
            exit_code=EXIT_NOT_YET,
        )
    return readers.helm, readers.cluster


def require_same_file(view: View, values: ValuesFile) -> None:
    """Raises Problem when the values file is not the one that was entered, by its SHA-256."""
    setting = view.setting("values_file")
    if setting and setting.file and setting.file.sha256 != values.facts.sha256:
        raise Problem(
            "values-changed",
            f"The values file {values.path} changed since it was entered.",
            means="What was checked is not what would be sent.",
            todo="Enter it again, so that the new content is looked at.",
            exit_code=EXIT_BAD,
        )


def same_cluster(server: str | None, uid: str | None, found: ClusterIdentity) -> bool:
    """By address and UID; by address alone where one of the two looks was not allowed to see the UID."""
    return server == found.server and (uid == found.uid or None in (uid, found.uid))


def cluster_in_words(identity: ClusterIdentity) -> str:
    """Which cluster that is, as evidence names it."""
    return f"{identity.server} kube-system {identity.uid or 'unknown'}"


def require_same_cluster(view: View, identity: ClusterIdentity) -> None:
    """Raises Problem, naming both, when this is not the cluster the setup is pinned to."""
    pinned = view.snapshot.identities.get("cluster")
    if pinned is None:
        return
    facts = pinned.data.facts
    if not same_cluster(facts.get("server"), facts.get("uid"), identity):
        raise other_cluster(facts.get("server"), facts.get("uid"), identity)


def other_cluster(server: str | None, uid: str | None, found: ClusterIdentity) -> Problem:
    """The Problem of finding another cluster than the one that was planned for or pinned."""
    return Problem(
        "other-cluster",
        f"This is another cluster: {found.server} (kube-system {found.uid or 'unknown'}) "
        f"instead of {server} (kube-system {uid or 'unknown'}).",
        means="What is there says nothing about this setup, and nothing was changed.",
        todo="Choose the kubeconfig context of the setup's cluster, or make a new setup for this one.",
        exit_code=EXIT_BAD,
    )


def waiting_workloads(workloads: tuple[Workload, ...]) -> tuple[Workload, ...]:
    """The workloads that do not have all the pods of their present template ready, or whose rollout the cluster has
    given up; one that wants none is not at work either."""
    return tuple(one for one in workloads if one.ready < one.wanted or one.wanted == 0 or one.given_up)


def in_words(workload: Workload) -> str:
    """A workload's ready pods, and the first reason why not all are."""
    ready = f"{workload.ready} of {workload.wanted} pods"
    pods = (
        f"{ready} of the new template ready, and {workload.older} of an older one"
        if workload.older
        else f"{ready} ready"
    )
    reason = f": {workload.reasons[0]}" if workload.reasons else ""
    return f"{workload.kind} {workload.name} has {pods}{reason}"
