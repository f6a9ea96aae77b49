"""What the session needs from outside, as small async protocols (DESIGN.md section 3).

Readers and writers are different ports: review is built without writers, so it cannot write. Arguments and results
are plain frozen structs without SDK types, so that an adapter may run its SDK in another process.

Every method raises `state.problem.Problem` for what the user must hear, with text from outside in `detail` only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from wizard.azure import AzureReader, AzureWriter
from wizard.secret import Secret

Progress = Callable[[str], None]
"""Receives one line of outside text (not cleaned) as it comes."""


LEAVE = "leave running"
"""`task.cancel(LEAVE)` while a `HelmWriter` is at work lets go of helm instead of stopping it: see there."""


# ---------------------------------------------------------------- cluster


@dataclass(frozen=True, slots=True)
class ClusterIdentity:
    """API server URL and UID of the kube-system namespace; `uid` is None when it may not be read."""

    server: str
    uid: str | None
    user: str = ""


@dataclass(frozen=True, slots=True)
class Right:
    """One verb on one resource, and whether we have it; None means it could not be asked."""

    verb: str
    resource: str
    group: str = ""
    namespace: str = ""
    allowed: bool | None = None


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment, StatefulSet or DaemonSet of a release.

    `ready` counts the pods of its present template, which `images` are of; `older` the ready ones that an earlier
    template made and that still stand in for them. `given_up`: the cluster says that its rollout does not go on.
    `reasons`: why pods are not ready, one line each.
    """

    kind: str
    name: str
    ready: int
    wanted: int
    images: tuple[str, ...] = ()
    restarts: int = 0
    reasons: tuple[str, ...] = ()
    older: int = 0
    given_up: bool = False


class ClusterReader(Protocol):
    """Looks at the cluster of one kubeconfig and context."""

    async def identity(self) -> ClusterIdentity: ...

    async def namespace_exists(self, namespace: str) -> bool: ...

    async def rights(self, wanted: Sequence[Right]) -> tuple[Right, ...]: ...

    async def workloads(self, release: str, namespace: str) -> tuple[Workload, ...]: ...


# ---------------------------------------------------------------- helm


@dataclass(frozen=True, slots=True)
class HelmVersion:
    """The helm found: its version and its path."""

    major: int
    minor: int
    patch: int
    path: str

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


@dataclass(frozen=True, slots=True)
class Release:
    """One revision of a release as helm tells it. `status` is helm's word: deployed, failed, pending-upgrade…"""

    name: str
    namespace: str
    revision: int
    status: str
    chart: str
    chart_version: str
    app_version: str = ""
    updated: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """Which process on which boot: pid, kernel start time, boot id."""

    pid: int
    start_time: str
    boot_id: str


@dataclass(frozen=True, slots=True)
class Upgrade:
    """Everything `helm upgrade --install` is told. `values` are the exact bytes sent on stdin; `timeout` seconds."""

    release: str
    namespace: str
    chart: str
    version: str
    values: bytes
    timeout: int
    create_namespace: bool = False
    extra: tuple[str, ...] = field(default=())


class HelmReader(Protocol):
    """Looks at releases; never changes one."""

    async def version(self) -> HelmVersion: ...

    async def history(self, release: str, namespace: str) -> tuple[Release, ...]:
        """All known revisions, oldest first; empty when the release does not exist."""
        ...

    async def values(self, release: str, namespace: str, revision: int | None = None) -> Mapping[str, Any]:
        """The user-supplied values of a revision."""
        ...

    async def commands_shown(self, what: Upgrade, registry: str, user: str) -> tuple[str, ...]:
        """Login and upgrade as shell text, secrets replaced; made by what also makes the commands that run."""
        ...

    def way_out_shown(self, release: str, namespace: str, revision: int | None, timeout: int) -> str:
        """The rollback to `revision`, or the uninstall when it is None, as shell text."""
        ...


class HelmWriter(Protocol):
    """Changes a release. Each call may report the started process and its output lines.

    Cancelling a call stops helm, and the call ends when helm has. Cancelling it with the message `LEAVE` ends the call
    at once, and a helm that was started goes on to its end though we exit: nobody here sees how it ends.
    """

    async def login(self, registry: str, user: str, token: Secret) -> None: ...

    async def upgrade(
        self, what: Upgrade, *, started: Callable[[ProcessIdentity], None], progress: Progress
    ) -> Release: ...

    async def rollback(
        self,
        release: str,
        namespace: str,
        revision: int,
        *,
        timeout: int,
        started: Callable[[ProcessIdentity], None],
        progress: Progress,
    ) -> None: ...

    async def uninstall(
        self,
        release: str,
        namespace: str,
        *,
        timeout: int,
        started: Callable[[ProcessIdentity], None],
        progress: Progress,
    ) -> None: ...


# ---------------------------------------------------------------- DNS


@dataclass(frozen=True, slots=True)
class DnsAnswer:
    """What a resolver said for one host name. `error` is empty, `nxdomain` (there is no such name), `no data` (there
    is, without an address; RFC 2308, section 2.2), `no answer`, `timeout`, `refused`, `servfail`, `no resolver` (none
    is configured or its name does not resolve) or `bad name`."""

    host: str
    addresses: tuple[str, ...]
    server: str
    ttl: int | None = None
    error: str = ""


class DnsReader(Protocol):
    """Asks a resolver; `server` is `host:port` or `host`, None for the one configured here."""

    async def resolve(self, host: str, server: str | None = None) -> DnsAnswer: ...


# ---------------------------------------------------------------- probes


@dataclass(frozen=True, slots=True)
class InsideAnswer:
    """What the cluster's own resolver said, asked inside a pod. `command`, as shell text, is the first host's.

    `answers` has one per host, in their order: `server` is "inside the cluster", `ttl` None. `left`: what to know about
    a pod that was made for it and could not be removed; empty when none is left.
    """

    pod: str
    container: str
    image: str
    command: str
    answers: tuple[DnsAnswer, ...]
    left: str = ""


class InsideReader(Protocol):
    """Asks inside the cluster, in the way that somebody consented to. There only with that consent."""

    async def lookup(self, release: str, namespace: str, hosts: Sequence[str], server: str) -> InsideAnswer:
        """What the resolver of the cluster whose API server is `server` says for each host."""
        ...


class ClusterProbe(Protocol):
    """Looks hosts up from inside the cluster, which takes a right that a look does not have; so it is consented to.

    Hosts are full names in lower case; ValueError for any other.
    """

    async def by_exec(self, release: str, namespace: str, hosts: Sequence[str]) -> InsideAnswer:
        """Run a lookup in a running pod of the release."""
        ...

    async def by_pod(
        self,
        release: str,
        namespace: str,
        hosts: Sequence[str],
        *,
        name: str,
        mark: str,
        started: Callable[[], None],
        ended: Callable[[], None],
    ) -> InsideAnswer:
        """Make the pod `name` for it, like the release's own, and remove it, however that goes, also when cancelled.

        `mark` (a label's value) is what `sweep` finds it by. `started` is called when the pod is about to be made:
        before that, nothing was; `ended` when it is certainly gone. Problem `probe-pod-not-removable` when we may not
        delete pods there, so none is made; `probe-pod-left` when there is no answer and the pod could not be removed.
        An answer is never given up for that.
        """
        ...

    async def sweep(self, namespace: str, mark: str, pods: frozenset[str]) -> tuple[str, ...]:
        """Remove those of `pods` that `by_pod` made with this mark and left; returns their names. Problem when one
        can't be removed."""
        ...


# ---------------------------------------------------------------- together


@dataclass(frozen=True, slots=True)
class Readers:
    """What may look. A port that this environment lacks is None, and its checks answer `could not look`.

    `files`: whether files of this machine that the setup names may be read. In a copied journal their paths are inert.
    """

    dns: DnsReader | None = None
    cluster: ClusterReader | None = None
    helm: HelmReader | None = None
    azure: AzureReader | None = None
    inside: InsideReader | None = None
    files: bool = True


@dataclass(frozen=True, slots=True)
class Writers:
    """What may change something, and what needs a privilege to look. Review is built without this."""

    helm: HelmWriter | None = None
    azure: AzureWriter | None = None
    probe: ClusterProbe | None = None
