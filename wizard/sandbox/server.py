"""The sandbox's servers in one process.

`run` is the whole life of a sandbox: take the directory, become the same sandbox as before (or a new one), answer,
end. As a module (`python -m wizard.sandbox.server`) it is the child of a command and lives no longer than it: the
command holds the other end of stdin, and the kernel closes that even when the command is killed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
from aiohttp import web

from state.problem import EXIT_OK, Problem
from wizard.sandbox import arm, ca, kubernetes, names, portal, ports, profile, registry, workdir
from wizard.sandbox.answers import answers_yaml
from wizard.sandbox.arm.tokens import Issuer
from wizard.sandbox.chart_archive import pack
from wizard.sandbox.dns import DnsServer
from wizard.sandbox.faults import API_DOWN, REGISTRY_DOWN, WRONG_TOKEN
from wizard.sandbox.info import ARM, DNS, IDENTITY, KUBE_CONTEXT, KUBERNETES, REGISTRY, SandboxInfo, describe
from wizard.sandbox.kubeconfig import kubeconfig
from wizard.sandbox.process import PROBLEM_FORMAT
from wizard.sandbox.trace import Trace
from wizard.sandbox.workdir import WorkDir, write_private

_SERVERS = (REGISTRY, KUBERNETES, ARM, IDENTITY, DNS)
_PLAIN = frozenset({IDENTITY})
"""Without TLS: clients of a managed identity know no https."""

TTL_SECONDS = 5  # short: a rehearsal sees its own changes at once

# Open watches would hold up the end for ever; whoever watches a sandbox copes with its end.
_SHUTDOWN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Sandbox:
    """A sandbox with its ports taken and its files written, about to answer."""

    work: WorkDir
    kept: profile.Profile
    token: str
    sockets: dict[str, socket.socket]
    info: SandboxInfo


async def run(
    work: WorkDir,
    *,
    faults: frozenset[str],
    reset: bool,
    helm: Path,
    ready: Callable[[SandboxInfo], None],
    parent: int | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM, or until the pipe `parent` (a file descriptor) is closed by the other side.

    `ready` is told the facts when everything answers. Raises Problem when the sandbox cannot start.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if parent is not None:
        loop.add_reader(parent, _on_input, parent, stop)

    with workdir.hold(work, os.getppid() if parent is not None else 0):
        if reset:
            work.clear()
        with _start(work, helm) as sandbox:
            async with contextlib.AsyncExitStack() as stack:
                trace = Trace(work.trace)
                stack.callback(trace.close)
                azure = arm.Arm(
                    sandbox.kept.portal, object_id=sandbox.kept.azure.object_id, state_path=work.arm, faults=faults
                )
                resolver = names.Resolver(sandbox.kept.portal.hosts, azure)
                server = DnsServer(resolver.resolve, resolver.known, ttl=TTL_SECONDS, trace=partial(trace.write, DNS))
                await stack.enter_async_context(server.serve(sandbox.sockets[DNS]))
                inside = names.ClusterResolver(resolver, faults)
                for name, app in _apps(sandbox, azure, inside, faults, trace).items():
                    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
                    await runner.setup()
                    stack.push_async_callback(runner.cleanup)
                    context = None if name in _PLAIN else ca.server_context(work)
                    await web.SockSite(runner, sandbox.sockets[name], ssl_context=context).start()
                ready(sandbox.info)
                await stop.wait()


def _on_input(descriptor: int, stop: asyncio.Event) -> None:
    if not os.read(descriptor, 4096):
        asyncio.get_running_loop().remove_reader(descriptor)
        stop.set()


@contextlib.contextmanager
def _start(work: WorkDir, helm: Path) -> Iterator[_Sandbox]:
    """Become the sandbox that `work` remembers, or a new one. The sockets are closed at the end of the block."""
    kept = profile.load(work)
    with contextlib.ExitStack() as stack:
        sockets = {
            name: stack.enter_context(ports.take(name, kept.ports.get(name) if kept else None)) for name in _SERVERS
        }
        taken = {name: taken_socket.getsockname()[1] for name, taken_socket in sockets.items()}
        if kept is None or kept.ports != taken:  # differs when this version has a server that the kept one had not
            kept = msgspec.structs.replace(kept, ports=taken) if kept else profile.new(taken)
            profile.save(work, kept)
        ca.ensure(work)
        info = describe(work, kept, helm=helm)
        token = profile.registry_token(work)
        _write_files(work, kept, info)
        yield _Sandbox(work, kept, token, sockets, info)


def _write_files(work: WorkDir, kept: profile.Profile, info: SandboxInfo) -> None:
    """The files handed to the user, anew at each start: they follow from the profile, whatever was done to them."""
    config = kubeconfig(
        port=kept.ports[KUBERNETES],
        ca=work.ca.read_bytes(),
        user=kept.kube_user,
        token=kept.kube_token,
        context=KUBE_CONTEXT,
    )
    write_private(work.kubeconfig, config)
    write_private(work.values, portal.values_yml(kept.portal))
    write_private(work.answers, answers_yaml(info, kept.portal))


def _apps(
    sandbox: _Sandbox, azure: arm.Arm, inside: names.ClusterResolver, faults: frozenset[str], trace: Trace
) -> dict[str, web.Application]:
    """The applications to serve; one that a fault takes down is not among them."""
    kept, apps = sandbox.kept, {}
    if API_DOWN not in faults:
        api = kubernetes.KubernetesApi(sandbox.work.kubernetes)
        apps[KUBERNETES] = kubernetes.build_app(
            api, token=kept.kube_token, user=kept.kube_user, names=inside, faults=faults, trace=trace
        )
    if REGISTRY_DOWN not in faults:
        charts = [pack(version) for version in (kept.portal.chart_version, kept.portal.chart_version_next)]
        token = None if WRONG_TOKEN in faults else sandbox.token
        content = registry.Registry(charts, user=kept.portal.registry_user, token=token)
        apps[REGISTRY] = registry.build_app(content, trace)
    keys = kept.azure
    issuer = Issuer(keys.token_key, kept.portal.tenant_id, keys.object_id, keys.client_id)
    apps[ARM] = arm.build_app(azure, issuer, portal_key=keys.portal_key, trace=trace)
    apps[IDENTITY] = arm.build_identity_app(issuer, secret=keys.identity_header, trace=trace)
    return apps


def main(arguments: list[str] | None = None) -> int:
    """The child of a command: one line of JSON on stdout, the facts or a problem; ends with its stdin."""
    parser = argparse.ArgumentParser(prog="python -m wizard.sandbox.server")
    parser.add_argument("--work-dir", type=Path, required=True)
    parser.add_argument("--helm", type=Path, required=True)
    parser.add_argument("--fault", action="append", default=[])
    parser.add_argument("--reset", action="store_true")
    options = parser.parse_args(arguments)
    os.umask(0o077)
    try:
        work = workdir.prepare(options.work_dir)
        asyncio.run(
            run(
                work,
                faults=frozenset(options.fault),
                reset=options.reset,
                helm=options.helm,
                ready=lambda info: _say(info.to_json()),
                parent=sys.stdin.fileno(),
            )
        )
    except Problem as problem:
        fields = ("code", "what", "means", "todo", "detail", "exit_code")
        _say(json.dumps({"format": PROBLEM_FORMAT} | {name: getattr(problem, name) for name in fields}))
        return problem.exit_code
    return EXIT_OK


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
