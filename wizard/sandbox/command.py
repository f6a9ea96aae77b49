"""`privatelink-wizard sandbox`: what the command line calls."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from state.problem import EXIT_OK
from wizard.sandbox import workdir
from wizard.sandbox.info import SandboxInfo
from wizard.sandbox.process import joined, known_faults, require_extra, running, serves_already

__all__ = ["NOT_EMULATED", "joined", "running", "serve"]

NOT_EMULATED = (
    "most of Azure: there are subscriptions, VNets, private endpoints and private DNS zones, but no sign-in, no roles "
    "to assign, and nothing that packets flow through",
    "DNS but for the two host names, which resolve publicly until a private zone answers for them",
    "real pods: workloads are said to be ready after a moment, and no container runs; in one that is ready getent and "
    "nslookup answer for the cluster's DNS, and nothing else can be executed",
)
"""One line each; whatever shows a sandbox shows these."""


def serve(
    work_dir: Path | None,
    faults: Iterable[str],
    reset: bool,
    helm: Path,
    *,
    state_dir: Path | None = None,
) -> int:
    """`sandbox --serve`: print the facts as one line of JSON on stdout, then serve until SIGINT or SIGTERM.

    The servers run in this very process, so killing it kills all there is. `work_dir` None is the default place,
    `state_dir` what `--state-dir` said. Returns the exit code. Raises Problem when the sandbox cannot start.
    """
    require_extra()
    names = known_faults(faults)
    work = workdir.prepare(work_dir, state_dir=state_dir)
    serves_already(work)  # only to let one that is about to end do so
    os.umask(0o077)
    from wizard.sandbox.server import run

    def ready(info: SandboxInfo) -> None:
        sys.stderr.write(_narration(info, names))
        sys.stderr.flush()
        sys.stdout.write(info.to_json() + "\n")
        sys.stdout.flush()

    asyncio.run(run(work, faults=names, reset=reset, helm=helm, ready=ready))
    sys.stderr.write("The sandbox has ended. Its ports and objects are kept for the next start.\n")
    return EXIT_OK


def _narration(info: SandboxInfo, faults: frozenset[str]) -> str:
    lines = [
        "SANDBOX: a rehearsal on this machine. Nothing in it is real, nothing of it leaves loopback.",
        f"  registry    {info.registry}, chart {info.chart} {info.chart_version} and {info.chart_version_next}",
        f"  Kubernetes  {info.kubeconfig}, context {info.kube_context}",
        f"  Azure       {info.arm_url}, identity {info.identity_endpoint}",
        f"  requests    {info.trace_file}",
        "Not emulated:",
        *(f"  - {each}" for each in NOT_EMULATED),
    ]
    if faults:
        lines.append(f"Faults: {', '.join(sorted(faults))}")
    lines.append("Runs until Ctrl-C. Started again it goes on with the same ports and objects; --reset starts afresh.")
    return "\n".join(lines) + "\n"
