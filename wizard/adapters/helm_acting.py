"""helm as `wizard.ports.HelmWriter` sees it. Whoever may only look does not load this module."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from state.problem import EXIT_BAD, Problem
from wizard.adapters import helm_commands
from wizard.adapters.helm import LOOK_TIMEOUT, HelmLooker, run_helm
from wizard.adapters.helm_commands import HelmConfig
from wizard.adapters.helm_exec import not_understood
from wizard.ports import HelmVersion, ProcessIdentity, Progress, Release, Upgrade
from wizard.secret import Secret

_LOGIN_TIMEOUT = 60.0  # seconds


class HelmActor:
    """Implements `wizard.ports.HelmWriter`.

    `started` is called with helm's identity before helm begins: it waits at a gate that opens when `started` has
    returned, so a journal written there cannot miss a running helm. Cancelling a call sends SIGTERM to helm, which
    then marks the release as failed within milliseconds; cancelling it with `wizard.ports.LEAVE` leaves a helm that
    has `started` alone, and `helm_files.run_dir` its directory. `looker`, of the same config, lends the version it
    knows.
    """

    def __init__(self, config: HelmConfig, looker: HelmLooker) -> None:
        self._config = config
        self._looker = looker

    async def login(self, registry: str, user: str, token: Secret) -> None:
        """Log in to the registry; the token goes to helm's stdin and to its file in the private directory."""
        version = await self._looker.version()
        await run_helm(
            self._config,
            version,
            helm_commands.login(self._config, version, registry, user),
            stdin=token.reveal().encode(),
            facts={"registry": helm_commands.registry_host(registry), "user": user},
            deadline=_LOGIN_TIMEOUT,
            secrets=token.spellings(user),
        )

    async def upgrade(
        self, what: Upgrade, *, started: Callable[[ProcessIdentity], None], progress: Progress
    ) -> Release:
        """Install or upgrade and wait for ready pods. Returns the revision made.

        Raises Problem; where the chart is not found, it says whether its path or its version is wrong.
        """
        version = await self._looker.version()
        facts = {
            "registry": helm_commands.registry_host(what.chart) if "://" in what.chart else "",
            "chart": what.chart,
            "version": what.version,
            "release": what.release,
            "namespace": what.namespace,
            "timeout": str(what.timeout),
        }
        command = helm_commands.upgrade(self._config, version, what)
        try:
            answer = await run_helm(
                self._config, version, command, stdin=what.values, facts=facts, started=started, progress=progress
            )
        except Problem as problem:
            if problem.code == "chart-not-found":
                raise await self._which_is_wrong(problem, version, what, facts) from None
            raise
        try:
            return _release_of_upgrade(json.loads(answer))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            # Cut off for its size, or another shape: the history tells the same in few words.
            history = await self._looker.history(what.release, what.namespace)
            if not history:
                raise not_understood("the upgrade ended well, but there is no release") from None
            return history[-1]

    async def rollback(
        self,
        release: str,
        namespace: str,
        revision: int,
        *,
        timeout: int,
        started: Callable[[ProcessIdentity], None],
        progress: Progress,
    ) -> None:
        """Roll back to `revision` and wait for ready pods."""
        command = helm_commands.rollback(self._config, release, namespace, revision, timeout)
        facts = {"release": release, "namespace": namespace, "timeout": str(timeout)}
        await self._act(command, facts, started, progress)

    async def uninstall(
        self,
        release: str,
        namespace: str,
        *,
        timeout: int,
        started: Callable[[ProcessIdentity], None],
        progress: Progress,
    ) -> None:
        """Uninstall and wait until the objects are gone."""
        command = helm_commands.uninstall(self._config, release, namespace, timeout)
        facts = {"release": release, "namespace": namespace, "timeout": str(timeout)}
        await self._act(command, facts, started, progress)

    async def _act(
        self,
        command: list[str],
        facts: Mapping[str, str],
        started: Callable[[ProcessIdentity], None],
        progress: Progress,
    ) -> None:
        version = await self._looker.version()
        await run_helm(
            self._config, version, command, facts=facts, started=started, progress=progress, show_stdout=True
        )

    async def _which_is_wrong(
        self, problem: Problem, version: HelmVersion, what: Upgrade, facts: Mapping[str, str]
    ) -> Problem:
        """Path or version: the newest chart of the same path exists only when the path is right."""
        newest: list[str] = []

        def note(line: str) -> None:
            if found := re.match(r"Pulled: \S+:(\d[\w.+-]*)$", line):
                newest.append(found[1])

        command = helm_commands.newest_chart(self._config, version, what.chart)
        try:
            await run_helm(self._config, version, command, facts=facts, progress=note, deadline=LOOK_TIMEOUT)
        except Problem as second:
            return second if second.code == "chart-path-wrong" else problem
        return Problem(
            "chart-version-wrong",
            f"The registry has no version {what.version} of {what.chart}.",
            means="The path of the chart is right; nothing was changed.",
            todo=f"The newest version there is {newest[0]}: compare with the portal's command."
            if newest
            else "Copy the version from the portal's command.",
            detail=problem.detail,
            exit_code=EXIT_BAD,
        )


def _release_of_upgrade(document: Any) -> Release:
    info, chart = document["info"], document["chart"]["metadata"]
    return Release(
        name=str(document["name"]),
        namespace=str(document["namespace"]),
        revision=int(document["version"]),
        status=str(info["status"]),
        chart=str(chart["name"]),
        chart_version=str(chart["version"]),
        app_version=str(chart.get("appVersion", "")),
        updated=str(info.get("last_deployed", "")),
        description=str(info.get("description", "")),
    )
