"""Where a setup points, resolved and made safe; and the adapters that look and act there.

Paths are made explicit once and journalled, so that helm and Kubernetes never follow what happens to be set in a
shell. What is not public is accepted on loopback only, and only in the sandbox (DESIGN.md section 3).
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import shutil
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from state.events import EnvironmentSet
from state.problem import EXIT_BAD, Problem
from wizard.files import expanded, is_text, read_file
from wizard.ports import Readers, Writers
from wizard.secret import Secret
from wizard.sign_in import CLOUDS, SIGN_INS, is_tenant
from wizard.text import one_line

if TYPE_CHECKING:
    from wizard.adapters.azure_asking import Target
    from wizard.adapters.helm import HelmLooker
    from wizard.adapters.helm_commands import HelmConfig
    from wizard.adapters.sdk_process import SdkProcess


def resolve_environment(given: Mapping[str, Any]) -> EnvironmentSet:
    """Completes what is given from this machine: kubeconfig and its current context, helm from PATH.

    Raises Problem when what is given can't be used.
    """
    environment = EnvironmentSet(**dict(given))
    _require_safe(environment)
    if environment.sandbox and not environment.kubeconfig:
        raise Problem(
            "sandbox-without-cluster",
            "A sandbox setup names no kubeconfig.",
            means="It would act on whatever cluster your shell points to.",
            todo="Use the answers file that `privatelink-wizard sandbox --serve` writes.",
            exit_code=EXIT_BAD,
        )
    # What was typed may begin with ~, and a relative path means another file in the next working directory.
    named = environment.kubeconfig
    kubeconfig = str(expanded(named).absolute()) if named else default_kubeconfig()
    context = environment.kube_context or (current_context(kubeconfig) if kubeconfig else None)
    helm = environment.helm or shutil.which("helm")
    resolved = EnvironmentSet(
        cloud=environment.cloud,
        sign_in=environment.sign_in,
        tenant_id=environment.tenant_id.lower() if environment.tenant_id else None,
        sandbox=environment.sandbox,
        arm_url=environment.arm_url,
        identity_endpoint=environment.identity_endpoint,
        dns_server=environment.dns_server,
        kubeconfig=kubeconfig,
        kube_context=context,
        helm=str(expanded(helm).absolute()) if helm else None,
        ca_file=environment.ca_file,
    )
    _require_text(resolved)
    return resolved


def _require_text(environment: EnvironmentSet) -> None:
    """Every one of these becomes a path or an argument."""
    for key in environment.__struct_fields__:
        value = getattr(environment, key)
        if isinstance(value, str) and not is_text(value):
            raise Problem(
                "unusable-environment",
                f"{key} holds a character that no path or name can hold.",
                todo=f"Correct {key}: it reads {one_line(value)} here.",
                exit_code=EXIT_BAD,
            )


def _require_safe(environment: EnvironmentSet) -> None:
    if environment.cloud not in CLOUDS:
        raise Problem(
            "unknown-cloud",
            f"There is no cloud {one_line(environment.cloud)}.",
            todo=f"Clouds are {', '.join(CLOUDS)}.",
            exit_code=EXIT_BAD,
        )
    if environment.sign_in not in SIGN_INS:
        raise Problem(
            "unknown-sign-in",
            f"There is no sign_in {one_line(environment.sign_in)}.",
            todo=f"Ways to sign in to Azure are {', '.join(SIGN_INS)}.",
            exit_code=EXIT_BAD,
        )
    if environment.tenant_id and not is_tenant(environment.tenant_id):
        raise Problem(
            "no-tenant",
            f"{one_line(environment.tenant_id)} is no tenant.",
            todo="tenant_id is a tenant's ID (a GUID) or a domain name of it: `az account show` tells tenantId.",
            exit_code=EXIT_BAD,
        )
    for key in ("arm_url", "identity_endpoint", "dns_server"):
        value = getattr(environment, key)
        if value is None:
            continue
        if not environment.sandbox or not _is_loopback(value):
            raise Problem(
                "unsafe-environment",
                f"{key} points to {one_line(value)}.",
                means="Only a sandbox may point somewhere of its own, and only on this machine: "
                "a real sign-in must not be sent to an address that came with a file.",
                todo=f"Remove {key} from the environment.",
                exit_code=EXIT_BAD,
            )


def _is_loopback(address: str) -> bool:
    try:
        host = urlsplit(address if "://" in address else f"//{address}").hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def default_kubeconfig() -> str | None:
    """The kubeconfig kubectl would use: KUBECONFIG, else ~/.kube/config; None when there is none.

    Raises Problem for a KUBECONFIG that names several files, which helm is not given as one.
    """
    named = os.environ.get("KUBECONFIG", "")
    paths = [path for path in named.split(os.pathsep) if path]
    if len(paths) > 1:
        raise Problem(
            "many-kubeconfigs",
            f"KUBECONFIG names {len(paths)} files.",
            means="A setup is tied to one, so that it never acts on another cluster.",
            todo="Name one: `kubectl config view --flatten --minify > FILE`, then KUBECONFIG=FILE.",
        )
    path = expanded(paths[0] if paths else "~/.kube/config")
    # os.path: a path that can't be is one that is not there, where Path.exists raises.
    return str(path.absolute()) if os.path.exists(path) else None  # noqa: PTH110


@dataclass(frozen=True, slots=True)
class Contexts:
    """The contexts of a kubeconfig. `names` and `current` are outside text, to be cleaned where they are drawn.

    `why` says in one sentence why there are none; empty when there are some.
    """

    names: tuple[str, ...] = ()
    current: str | None = None
    why: str = ""


def contexts_of(kubeconfig: str) -> Contexts:
    """The contexts that a kubeconfig names, in its order. Never raises: what can't be read has none, and says why."""
    from wizard.safe_yaml import MAX_BYTES, load_text

    try:
        document = load_text(read_file(expanded(kubeconfig), MAX_BYTES), "kubeconfig")
    except OSError as error:
        return Contexts(why=f"The kubeconfig {one_line(kubeconfig)} can't be read: {error.strerror}.")
    except Problem as problem:
        return Contexts(why=problem.what)
    if not isinstance(document, dict):
        return Contexts(why=f"{one_line(kubeconfig)} is not a kubeconfig: it holds no contexts.")
    current = document.get("current-context")
    rows = document.get("contexts")
    found = [row.get("name") for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    # A name that no argument can hold, or that nobody could see, can't be chosen.
    names = [name for name in found if isinstance(name, str) and is_text(name) and one_line(name)]
    return Contexts(
        names=tuple(dict.fromkeys(names)),
        current=current if isinstance(current, str) and current else None,
        why="" if names else f"{one_line(kubeconfig)} names no contexts.",
    )


def current_context(kubeconfig: str) -> str | None:
    """The kubeconfig's current context; None when it names none or can't be read (the cluster checks say why)."""
    return contexts_of(kubeconfig).current


def _nothing_held() -> Sequence[Secret]:
    return ()


@asynccontextmanager
async def connected(
    environment: EnvironmentSet,
    *,
    drop_env: frozenset[str] = frozenset(),
    held: Callable[[], Sequence[Secret]] = _nothing_held,
    say: Callable[[str], None] = lambda _: None,
    told: Callable[[str], None] = lambda _: None,
) -> AsyncIterator[tuple[Readers, Writers]]:
    """The adapters of an environment, for as long as the block lasts. Nothing is contacted before it is asked.

    `drop_env` names variables that held secrets, `held` tells the secrets themselves: neither reaches a child.
    `say` is told what the user should know about this machine; `told`, in the context of who called, what Azure lets
    us know while a call goes on: that it asks to slow down.

    Raises Problem for an environment that points where no sign-in may go: it may have been written by hand.
    """
    async with _made(environment, drop_env=drop_env, held=held, say=say, told=told) as made:
        from wizard.adapters import cluster
        from wizard.adapters.azure_acting import AzureActor
        from wizard.adapters.cluster_probe import ClusterProber
        from wizard.adapters.helm_acting import HelmActor
        from wizard.adapters.sdk_process import SdkProcess

        # A resolver in the cluster that is silent takes twenty seconds of a child for each host; meanwhile looks at the
        # cluster and helm must not wait. Most setups never need it, so it starts with the first probe.
        probing = SdkProcess(cluster.MODULES, drop_env=drop_env, scratch=made.scratch)
        try:
            yield (
                made.readers,
                Writers(
                    helm=HelmActor(*made.helm) if made.helm else None,
                    azure=AzureActor(*made.azure) if made.azure else None,
                    probe=ClusterProber(environment.kubeconfig, environment.kube_context, probing),
                ),
            )
        finally:
            await probing.close()


@asynccontextmanager
async def looking(
    environment: EnvironmentSet,
    *,
    gets_only: bool = False,
    say: Callable[[str], None] = lambda _: None,
    told: Callable[[str], None] = lambda _: None,
) -> AsyncIterator[Readers]:
    """What looks in an environment, for as long as the block lasts: `connected` without what acts, which is not even
    loaded.

    `gets_only`: the cluster is asked with GET alone, which leaves out who we are and what our rights are there: these
    are asked by POST. Raises Problem as `connected` does.
    """
    async with _made(environment, gets_only=gets_only, say=say, told=told) as made:
        yield made.readers


@dataclass(frozen=True, slots=True)
class _Made:
    """The readers of an environment, and what its writers would be made of; `scratch` is the run's own directory."""

    readers: Readers
    helm: tuple[HelmConfig, HelmLooker] | None
    azure: tuple[Target, SdkProcess] | None
    scratch: Path


@asynccontextmanager
async def _made(
    environment: EnvironmentSet,
    *,
    gets_only: bool = False,
    drop_env: frozenset[str] = frozenset(),
    held: Callable[[], Sequence[Secret]] = _nothing_held,
    say: Callable[[str], None],
    told: Callable[[str], None],
) -> AsyncIterator[_Made]:
    _require_safe(environment)
    from wizard.adapters import azure, cluster, helm
    from wizard.adapters.dns import DnsLooker
    from wizard.adapters.helm_commands import HelmConfig
    from wizard.adapters.helm_files import run_dir
    from wizard.adapters.sdk_process import SdkProcess

    with run_dir() as directory:
        if not directory.on_memory:
            say(
                f"There is no memory file system here: while helm runs, its login file with the token lies in "
                f"{directory.path}, private to you."
            )
        target = _azure_target(environment)
        # Two children: a sign-in that hangs must not hold up a look at the cluster, and Azure's SDKs are large.
        sdk = SdkProcess((*cluster.MODULES, *helm.MODULES), drop_env=drop_env, scratch=directory.path)
        azure_sdk = SdkProcess(
            azure.MODULES, drop_env=drop_env, scratch=directory.path, at_once=azure.AT_ONCE, told=told
        )
        sdk.warm()
        if target is not None:
            azure_sdk.warm(after=sdk)
        # Lets the child start now: the caller may be busy for a while before it waits for anything.
        await asyncio.sleep(0)
        try:
            of_helm = None
            if environment.helm:
                config = HelmConfig(
                    helm=Path(environment.helm),
                    kubeconfig=environment.kubeconfig,
                    kube_context=environment.kube_context,
                    ca_file=environment.ca_file,
                    run_dir=directory.path,
                    drop_env=drop_env,
                    held=held,
                )
                of_helm = config, helm.HelmLooker(config, sdk)
            # The sandbox without a DNS server of its own must not ask real resolvers for its made-up names.
            dns = None if environment.sandbox and not environment.dns_server else DnsLooker(environment.dns_server)
            of_cluster = cluster.ClusterLooker(
                environment.kubeconfig, environment.kube_context, sdk, gets_only=gets_only
            )
            readers = Readers(
                dns=dns,
                cluster=of_cluster,
                helm=of_helm[1] if of_helm else None,
                azure=azure.AzureLooker(target, azure_sdk) if target else None,
            )
            yield _Made(readers, of_helm, (target, azure_sdk) if target else None, directory.path)
        finally:
            await asyncio.gather(sdk.close(), azure_sdk.close())


def _azure_target(environment: EnvironmentSet) -> Target | None:
    """Which Azure, and as whom; None in a sandbox that has none."""
    from wizard.adapters.azure_asking import Target

    if not environment.sandbox:
        return Target(cloud=environment.cloud, identity=environment.sign_in, tenant=environment.tenant_id)
    if not environment.arm_url or not environment.kubeconfig:
        return None
    return Target(
        identity="managed",
        arm_url=environment.arm_url,
        identity_endpoint=environment.identity_endpoint,
        identity_header=_identity_header(Path(environment.kubeconfig).parent),
        ca_file=environment.ca_file,
    )


def _identity_header(work_dir: Path) -> str | None:
    """What opens the sandbox's managed identity. A secret, so it is not journalled: its work directory keeps it."""
    from wizard.sandbox import profile
    from wizard.sandbox.workdir import WorkDir

    try:
        kept = profile.load(WorkDir(work_dir))
    except (OSError, Problem):
        return None
    return kept.azure.identity_header if kept else None
