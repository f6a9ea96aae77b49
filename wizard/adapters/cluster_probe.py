"""The lookup from inside the cluster, as `wizard.ports.ClusterProbe`; the calls are `cluster_probe_calls`.

Each call is short, and what goes on between them is here: so a cancellation is noticed between two polls, and the pod
that was made is removed whatever becomes of the rest.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import shlex
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import TypeVar

from state.problem import EXIT_NOT_YET, Problem
from wizard.adapters import cluster_calls
from wizard.adapters import cluster_probe_calls as calls
from wizard.adapters.cluster import ClusterAsker
from wizard.inside_lookup import (
    INSIDE,
    TOOLS,
    Looked,
    command,
    read,
    read_script,
    require_host,
    script_command,
)
from wizard.ports import DnsAnswer, InsideAnswer, Right

T = TypeVar("T")

EXEC_TIMEOUT = calls.EXEC_SECONDS + 10.0  # seconds for one command, with connecting
POD_SECONDS = 90.0  # from when the pod is made until it has ended
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 2.0  # seconds between two polls
REMOVE_TIMEOUT = 15.0  # seconds for one try
_REMOVE_TRIES = 3

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


class ClusterProber(ClusterAsker):
    """Implements `wizard.ports.ClusterProbe`.

    Raises Problem: what stands in the way of the cluster, as for looks; no running pod, no right, no tool, no
    WebSocket; a pod that was refused, did not run or was not removed.
    """

    async def by_exec(self, release: str, namespace: str, hosts: Sequence[str]) -> InsideAnswer:
        """Run a lookup in a running pod of the release."""
        _require(hosts)
        place = await self._ask(calls.place, release, namespace)
        for container, image in place.containers:
            # All containers of a pod resolve alike, so any that has a tool will do.
            if looked := await self._look_up(calls.Inside(namespace, place.pod, container), hosts):
                return _answer(place.pod, container, image, hosts, looked)
        by_hand = f"kubectl debug -n {namespace} {place.pod} -it --image=busybox -- nslookup {hosts[0]}"
        raise _no_tools(f"pod {place.pod}", f"Allow a short-lived pod instead, or look by hand: {by_hand}")

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
        """Make the pod `name` for it, and remove it, however that goes; `started` as it is about to be made, `ended`
        when it is certainly gone."""
        _require(hosts, name, mark)
        like = await self._ask(calls.model, release, namespace)
        if await self._may_not_delete(namespace):
            raise _not_removable(namespace)
        made = False
        started()
        token = secrets.token_hex(8)  # nobody else's output can look like the script's
        pod = calls.manifest(like, name, mark, script_command(token, hosts))
        try:
            await self._ask(calls.create, namespace, pod, changes=True)
            made = True
            looked = await self._ended(namespace, name, token, hosts)
        except BaseException as error:
            code = error.code if isinstance(error, Problem) and not made else ""
            if code in _REFUSED:
                ended()  # the API answered, and made none
            if code in _REFUSED or code == _TAKEN:
                raise
            left = await _to_the_end(self._removed(namespace, name, mark, made, ended))
            if left and isinstance(error, Problem):
                left.detail = f"{left.detail}\n{error}\n{error.detail}"
                raise left from error
            raise
        left = await _to_the_end(self._removed(namespace, name, mark, made, ended))
        return replace(_answer(name, calls.CONTAINER, like.image, hosts, looked), left=str(left or ""))

    async def sweep(self, namespace: str, mark: str, pods: frozenset[str]) -> tuple[str, ...]:
        """Remove those of `pods` that `by_pod` made with this mark and left; returns their names."""
        _require((), mark)
        names = [name for name in await self._ask(calls.marked, namespace, mark) if name in pods]
        return tuple([name for name in names if await self._ask(calls.remove, namespace, name, mark, changes=True)])

    async def _may_not_delete(self, namespace: str) -> bool:
        """Whether the API says so. Where it does not tell, the answer is found out by removing the pod."""
        try:
            (right,) = await self._ask(cluster_calls.rights, (Right("delete", "pods", namespace=namespace),))
        except Problem:
            return False
        return right.allowed is False

    async def _look_up(self, where: calls.Inside, hosts: Sequence[str]) -> list[Looked]:
        """What the first tool that is there says about each host; empty when there is none."""
        tools, found = list(TOOLS), []
        for host in hosts:
            looked = None
            while tools and looked is None:
                ran = await self._run(where, command(tools[0], host))
                looked = Looked(tools[0], error="timeout") if ran.code is None else read(tools[0], ran.output, ran.code)
                if looked is None:
                    del tools[0]
            if looked is None:
                return []
            found.append(looked)
        return found

    async def _run(self, where: calls.Inside, arguments: tuple[str, ...]) -> calls.Ran:
        try:
            return await self._ask(calls.run, where, arguments, timeout=EXEC_TIMEOUT)
        except Problem as problem:
            if problem.code != "cluster-timeout":
                raise
            # A moment ago the API answered, and a command has a time limit of its own.
            raise calls.blocked("the handshake was not answered") from None

    async def _ended(self, namespace: str, name: str, token: str, hosts: Sequence[str]) -> list[Looked]:
        """What the pod found, when it has ended."""
        loop = asyncio.get_running_loop()
        deadline, pause = loop.time() + POD_SECONDS, _FIRST_PAUSE
        while not (state := await self._ask(calls.pod_state, namespace, name)).ended:
            if state.stuck or loop.time() + pause > deadline:
                raise _not_run(name, await self._ask(calls.pod_why, namespace, name))
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)
        if state.cannot_run:
            raise _no_tools(f"pod {name}", _BY_HAND, await self._ask(calls.pod_why, namespace, name))
        log = await self._ask(calls.pod_log, namespace, name)
        found = read_script(log, token, hosts)
        if any(host not in found for host in hosts):
            raise _not_run(name, f"{await self._ask(calls.pod_why, namespace, name)}\n{log}"[:2000])
        looked = [one for host in hosts if (one := found[host])]
        if len(looked) < len(hosts):
            raise _no_tools(f"pod {name}", _BY_HAND)
        return looked

    async def _removed(
        self, namespace: str, name: str, mark: str, made: bool, ended: Callable[[], None]
    ) -> Problem | None:
        """None when the pod is gone, else why not. `ended` is called when it was seen, or known to be `made`: a request
        to make it that had no answer may still be carried out."""
        for again in range(_REMOVE_TRIES):
            if again:
                await asyncio.sleep(1.0)
            try:
                there = await self._ask(calls.remove, namespace, name, mark, timeout=REMOVE_TIMEOUT, changes=True)
            except Problem as problem:
                why = problem
            else:
                if made or there:
                    ended()
                return None
        return Problem(
            "probe-pod-left",
            f"The short-lived pod {name} may still be in namespace {namespace}.",
            means=f"It could not be removed: {why.what} Once it runs it ends within two minutes and takes no room any "
            "more; while no node has room for it, it stays.",
            todo=f"Remove it: kubectl --context {self._context} -n {namespace} delete pod {name}",
            detail=why.detail,
            exit_code=EXIT_NOT_YET,
        )


_REFUSED = frozenset(("cluster-forbidden", "probe-pod-refused", "probe-no-release"))
_TAKEN = "cluster-conflict"  # a pod of that name is somebody else's


async def _to_the_end(doing: Coroutine[None, None, T]) -> T:
    """Goes on with it through a cancellation, which counts afterwards."""
    task = asyncio.ensure_future(doing)
    cancelled = False
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError
    return task.result()


def _require(hosts: Sequence[str], *labels: str) -> None:
    """Raises ValueError for what may not become an argument, a name or a label: a mistake of ours."""
    for host in hosts:
        require_host(host)
    for label in labels:
        if not _NAME.fullmatch(label):
            raise ValueError(f"neither a name nor a label: {label!r}")


def _answer(pod: str, container: str, image: str, hosts: Sequence[str], looked: Sequence[Looked]) -> InsideAnswer:
    answers = tuple(
        DnsAnswer(host, one.addresses, INSIDE, error=one.error) for host, one in zip(hosts, looked, strict=True)
    )
    return InsideAnswer(pod, container, image, shlex.join(command(looked[0].tool, hosts[0])), answers)


_BY_HAND = "Look by hand from a pod of another image: kubectl run lookup -it --rm --image=busybox -- nslookup HOST"


def _no_tools(where: str, todo: str, detail: str = "") -> Problem:
    return Problem(
        "probe-no-tools",
        f"The image of {where} has nothing to look a host up with: no getent, nslookup or python3.",
        means="We could not look from inside the cluster.",
        todo=todo,
        detail=detail,
        exit_code=EXIT_NOT_YET,
    )


def _not_removable(namespace: str) -> Problem:
    return Problem(
        "probe-pod-not-removable",
        f"Your account may not delete pods in namespace {namespace}.",
        means="A short-lived pod could not be removed again, so none was made: we could not look inside the cluster.",
        todo="Ask the cluster's administrator for the right to delete pods there, or for create and get on pods/exec.",
        exit_code=EXIT_NOT_YET,
    )


def _not_run(name: str, detail: str) -> Problem:
    return Problem(
        "probe-pod-not-run",
        f"The short-lived pod {name} did not run.",
        means="We could not look from inside the cluster; the pod is removed. What the cluster says about it is below.",
        todo="An image that can't be pulled, or nodes without room, stop the release too: mend that, then look again.",
        detail=detail,
        exit_code=EXIT_NOT_YET,
    )
