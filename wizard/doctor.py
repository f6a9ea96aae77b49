"""Preflight: can this machine do what a setup will ask of it? Looks only; every line says what to do."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from state.problem import EXIT_BAD, EXIT_NOT_YET, EXIT_OK, Problem
from wizard.azure import AzureIdentity
from wizard.ports import Readers, Right
from wizard.sign_in import CLOUDS, MANAGED, label_of

if TYPE_CHECKING:
    from state.events import EnvironmentSet

OK = "ok"
FAILED = "failed"
NOT_YET = "not yet"
COULD_NOT_LOOK = "could not look"

# What `helm upgrade --install --wait` needs in the release's namespace: helm keeps its revisions in secrets.
RIGHTS = (
    Right("list", "secrets"),
    Right("create", "secrets"),
    Right("update", "secrets"),
    Right("create", "configmaps"),
    Right("create", "services"),
    Right("create", "deployments", "apps"),
    Right("patch", "deployments", "apps"),
    Right("list", "pods"),
)


Look = Callable[[], Awaitable[tuple[str, str, str] | tuple[str, str, str, AzureIdentity | None]]]
"""Finds out one thing: its state, what was found, what to do about it; and as whom, where that was asked."""


@dataclass(frozen=True, slots=True)
class Line:
    """One thing looked at: its state, what was found, and what to do when that is not good.

    `identity`: as whom Azure was asked, where that was found out. `code`: of the Problem in the way of the look.
    """

    id: str
    title: str
    state: str
    text: str
    todo: str = ""
    identity: AzureIdentity | None = None
    code: str = ""


LOOKS = (
    ("state", "State directory"),
    ("terminal", "Terminal"),
    ("memory", "Memory file system"),
    ("helm", "helm"),
    ("kubeconfig", "kubeconfig"),
    ("cluster", "Cluster"),
    ("rights", "Rights"),
    ("azure", "Azure sign-in"),
)
"""The id and the title of every line `examine` gives, in its order: known before anything is looked at."""


def exit_code(lines: tuple[Line, ...]) -> int:
    """1 when something is bad, 3 when something could not be looked at or is not there yet, else 0."""
    states = {line.state for line in lines}
    if FAILED in states:
        return EXIT_BAD
    return EXIT_NOT_YET if states & {NOT_YET, COULD_NOT_LOOK} else EXIT_OK


def _nobody(line: Line) -> None:
    """Nobody waits for single lines."""


async def examine(
    environment: EnvironmentSet,
    readers: Readers,
    state_dir: Path,
    namespace: str,
    told: Callable[[Line], None] = _nobody,
) -> tuple[Line, ...]:
    """All lines, looked at side by side; the order is that of LOOKS, the one they are read in.

    `told` gets each line as soon as its look ends, on the event loop that waits for them.
    """
    looks: dict[str, Look] = {
        "state": lambda: asyncio.to_thread(_state, state_dir),
        "terminal": lambda: asyncio.to_thread(_terminal),
        "memory": lambda: asyncio.to_thread(_memory),
        "helm": lambda: _helm(environment, readers),
        "kubeconfig": lambda: asyncio.to_thread(_kubeconfig, environment),
        "cluster": lambda: _cluster(environment, readers),
        "rights": lambda: _rights(environment, readers, namespace),
        "azure": lambda: _azure(environment, readers),
    }
    return tuple(await asyncio.gather(*(_guard(id, title, looks[id], told) for id, title in LOOKS)))


async def _guard(id: str, title: str, look: Look, told: Callable[[Line], None]) -> Line:
    identity, code = None, ""
    try:
        state, text, todo, *more = await look()
        identity = more[0] if more else None
    except Problem as problem:
        code = problem.code
        state = FAILED if problem.exit_code == EXIT_BAD else COULD_NOT_LOOK
        text, todo = " ".join((problem.what, problem.means)).strip(), problem.todo
    except OSError as error:
        state, text, todo = COULD_NOT_LOOK, f"{error.filename or title}: {error.strerror}", "Check the path."
    line = Line(id, title, state, text, todo, identity, code)
    told(line)
    return line


def _state(state_dir: Path) -> tuple[str, str, str]:
    from state.directory import check_directory

    if not check_directory(state_dir):
        return OK, f"{state_dir} will be made, for you alone, with the first setup", ""
    return OK, f"{state_dir} is yours alone", ""


def _terminal() -> tuple[str, str, str]:
    size = shutil.get_terminal_size()
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return OK, "none here; the screens need one, `run`, `check` and `review -o` do not", ""
    if os.environ.get("TERM", "dumb") == "dumb":
        return FAILED, "TERM is dumb: it can't move its cursor", "Use a terminal such as xterm, tmux or an SSH client."
    if size.columns < 80 or size.lines < 24:
        return FAILED, f"{size.columns}×{size.lines} is too small", "Make it 80×24 or larger."
    return OK, f"{size.columns}×{size.lines}, {os.environ.get('TERM', '')}", ""


def _memory() -> tuple[str, str, str]:
    from wizard.adapters.helm_files import run_dir

    with run_dir() as directory:
        if directory.on_memory:
            return OK, "helm's login file stays in memory", ""
    return (
        NOT_YET,
        "there is no memory file system: helm's login file will lie on disk while helm runs",
        "Set XDG_RUNTIME_DIR to a directory of yours on tmpfs, if the disk is not encrypted.",
    )


async def _helm(environment: EnvironmentSet, readers: Readers) -> tuple[str, str, str]:
    if readers.helm is None or environment.helm is None:
        return (
            FAILED,
            "helm was not found on PATH",
            "Install helm 3.8 or later, or helm 4: https://helm.sh/docs/intro/install",
        )
    version = await readers.helm.version()
    return OK, f"{version} at {version.path}", ""


def _kubeconfig(environment: EnvironmentSet) -> tuple[str, str, str]:
    if environment.kubeconfig is None:
        return FAILED, "there is no kubeconfig", "Get one for the cluster, for example `az aks get-credentials`."
    if environment.kube_context is None:
        return FAILED, f"{environment.kubeconfig} names no context", "kubectl config use-context NAME"
    mode = Path(environment.kubeconfig).stat().st_mode & 0o077
    if mode:
        return (
            NOT_YET,
            f"{environment.kubeconfig}, context {environment.kube_context}; others may read it",
            f"chmod 600 {environment.kubeconfig}",
        )
    return OK, f"{environment.kubeconfig}, context {environment.kube_context}", ""


async def _cluster(environment: EnvironmentSet, readers: Readers) -> tuple[str, str, str]:
    if readers.cluster is None or environment.kubeconfig is None or environment.kube_context is None:
        return COULD_NOT_LOOK, "there is no cluster to ask", "Get a kubeconfig first."
    identity = await readers.cluster.identity()
    who = f" as {identity.user}" if identity.user else ""
    if identity.uid is None:
        return (
            OK,
            f"{identity.server}{who}; its kube-system may not be read, so it is known by its address alone",
            "A right to get the namespace kube-system makes the cluster recognisable for certain.",
        )
    return OK, f"{identity.server}{who}, kube-system {identity.uid}", ""


async def _rights(environment: EnvironmentSet, readers: Readers, namespace: str) -> tuple[str, str, str]:
    if readers.cluster is None or environment.kubeconfig is None or environment.kube_context is None:
        return COULD_NOT_LOOK, "there is no cluster to ask", "Get a kubeconfig first."
    wanted = [Right(right.verb, right.resource, right.group, namespace) for right in RIGHTS]
    answers = await readers.cluster.rights(wanted)
    denied = [f"{right.verb} {right.resource}" for right in answers if right.allowed is False]
    unknown = [f"{right.verb} {right.resource}" for right in answers if right.allowed is None]
    if denied:
        return (
            FAILED,
            f"in namespace {namespace} you may not: {', '.join(denied)}",
            f"Ask the cluster's administrators for a role with these verbs in {namespace}.",
        )
    if unknown:
        return COULD_NOT_LOOK, f"the cluster does not say about: {', '.join(unknown)}", "helm itself will tell."
    return OK, f"what helm needs in namespace {namespace} is likely allowed", ""


async def _azure(environment: EnvironmentSet, readers: Readers) -> tuple[str, str, str, AzureIdentity | None]:
    if readers.azure is None:
        todo = "Start the sandbox anew (--reset): this one has no Azure."
        return COULD_NOT_LOOK, "there is no Azure to ask here", todo, None
    found = await readers.azure.identity()
    subscriptions = await readers.azure.subscriptions()
    way = label_of(MANAGED if environment.sandbox else environment.sign_in)
    where = "the sandbox's cloud" if environment.sandbox else f"cloud {CLOUDS[environment.cloud]}"
    count = f"{len(subscriptions)} subscription{'' if len(subscriptions) == 1 else 's'} can be read"
    text = f"{found.name or 'an account without a name'}, tenant {found.tenant_id}, object {found.object_id}, {where}, "
    text += f"by {way}; {count}"
    if subscriptions:
        return OK, text, "", found
    todo = "Ask for the role Reader in the subscription, or sign in to its tenant (--tenant, tenant_id)."
    return NOT_YET, text, todo, found
