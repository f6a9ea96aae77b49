"""The real helms against a real registry and the sandbox's cluster: done, refused, interrupted."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from state.problem import Problem
from tests.docker_registry import TOKEN, USER
from tests.sandbox.k8s_cluster import Cluster
from tests.wizard.adapters.conftest import BROKEN, NAMESPACE, RELEASE, Setup, pipes_of, values
from wizard.actions.release_states import pending_way_out
from wizard.ports import LEAVE
from wizard.process_identity import alive, stop
from wizard.secret import Secret

pytestmark = pytest.mark.slow


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await holds():
            await asyncio.sleep(0.02)


async def refused(doing: Awaitable[object]) -> Problem:
    with pytest.raises(Problem) as caught:
        await doing
    return caught.value


async def test_a_whole_life(setup: Setup):
    await setup.login()
    hard = {"accessKey": "k3y$HOME `id` 'q' \"dq\"\nsecond line\\", "other": "${x} %s {{ .Values }}"}
    first = await setup.run_upgrade(values=values(secret=hard))
    assert (first.name, first.namespace, first.revision, first.status) == (RELEASE, NAMESPACE, 1, "deployed")
    assert (first.chart, first.chart_version, first.app_version) == ("ataccama-one-dpe", "16.1.0", "16.1.0")
    assert (await setup.looker.values(RELEASE, NAMESPACE))["secret"] == hard

    second = await setup.run_upgrade(version="16.2.0", values=values(replicaCount=2, note="x" * 100_000))
    assert second.revision == 2
    history = await setup.looker.history(RELEASE, NAMESPACE)
    assert [(one.revision, one.status, one.chart, one.chart_version) for one in history] == [
        (1, "superseded", "ataccama-one-dpe", "16.1.0"),
        (2, "deployed", "ataccama-one-dpe", "16.2.0"),
    ]
    assert (await setup.looker.values(RELEASE, NAMESPACE, revision=1))["secret"] == hard

    common: dict[str, Any] = {"timeout": 60, "started": setup.started.append, "progress": setup.lines.append}
    await setup.actor.rollback(RELEASE, NAMESPACE, 1, **common)
    assert await setup.statuses() == ["superseded", "superseded", "deployed"]
    await setup.actor.uninstall(RELEASE, NAMESPACE, **common)
    assert await setup.looker.history(RELEASE, NAMESPACE) == ()
    assert len({one.pid for one in setup.started}) == 4
    assert not any(map(alive, setup.started))
    assert any("Rollback was a success" in line for line in setup.lines)
    assert not any("k3y" in line for line in setup.lines)


async def test_login_refused_and_not_logged_in(setup: Setup):
    problem = await refused(setup.actor.login(setup.registry.address, USER, Secret("wrong-token")))
    assert problem.code == "registry-unauthorized"
    assert setup.registry.address in problem.what
    assert (await refused(setup.run_upgrade())).code == "registry-not-logged-in"


async def test_the_registry_cannot_be_reached(setup: Setup):
    async def login(host: str, **changed: object) -> str:
        actor = replace(setup, config=replace(setup.config, **changed)).actor  # type: ignore[arg-type]
        return (await refused(actor.login(host, USER, Secret(TOKEN)))).code

    assert await login("127.0.0.1:1") == "registry-refused"
    assert await login("no-such-host.invalid") == "registry-name"
    assert await login(setup.registry.address, ca_file=None) == "registry-ca"
    for unusable in ("/nope.pem", __file__):
        assert await login(setup.registry.address, ca_file=unusable) == "ca-file-missing"


async def test_the_login_takes_an_address_with_scheme_and_path(setup: Setup):
    await setup.actor.login(f"https://{setup.registry.address}/helm", USER, Secret(TOKEN))


async def test_wrong_version_wrong_path_no_address(setup: Setup):
    await setup.login()
    version = await refused(setup.run_upgrade(version="99.9.9"))
    assert version.code == "chart-version-wrong"
    assert "16.2.0" in version.todo
    assert (await refused(setup.run_upgrade(chart=setup.upgrade.chart + "x"))).code == "chart-path-wrong"
    assert (await refused(setup.run_upgrade(chart="ataccama/dpe"))).code == "chart-not-oci"
    assert (await refused(setup.run_upgrade(version="latest!"))).code == "chart-version-wrong"


async def test_wrong_values_namespace_and_name_change_nothing(setup: Setup):
    await setup.login()
    for changed, code in (
        ({"values": values(replicaCount=-1)}, "values-schema"),
        ({"values": b"a: [1\nb: }"}, "values-not-yaml"),
        ({"values": b"- a\n- b\n"}, "values-not-yaml"),
        ({"namespace": "nothere"}, "namespace-missing"),
        ({"release": "D_x"}, "release-name-wrong"),
    ):
        assert (await refused(setup.run_upgrade(**changed))).code == code, changed
    assert await setup.looker.history(RELEASE, NAMESPACE) == ()


async def test_create_namespace_only_when_asked(setup: Setup):
    await setup.login()
    made = await setup.run_upgrade(namespace="fresh", create_namespace=True)
    assert made.namespace == "fresh"


async def test_the_cluster_cannot_be_reached(setup: Setup, tmp_path: Path):
    assert setup.config.kubeconfig is not None
    good = yaml.safe_load(Path(setup.config.kubeconfig).read_text())
    server = good["clusters"][0]["cluster"]["server"]

    async def code(context: str | None = None, user: object = None, text: str | None = None, **cluster: object) -> str:
        changed = {**good, "users": [{**good["users"][0], "user": user or good["users"][0]["user"]}]}
        changed["clusters"] = [{"name": "sandbox", "cluster": {**good["clusters"][0]["cluster"], **cluster}}]
        path = tmp_path / "kubeconfig"
        path.write_text(text or yaml.safe_dump(changed))
        config = replace(setup.config, kubeconfig=str(path), kube_context=context or setup.config.kube_context)
        problem = await refused(replace(setup, config=config).looker.history(RELEASE, NAMESPACE))
        return problem.code

    plugin = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never"}}
    missing, failing = {**plugin["exec"], "command": "no-such-plugin"}, {**plugin["exec"], "command": "false"}
    assert await code(server="https://127.0.0.1:1") == "cluster-refused"
    assert await code(server="https://no-such-host.invalid") == "cluster-name"
    assert await code(**{"certificate-authority-data": None}) == "cluster-ca"
    assert await code(user={"token": "wrong"}) == "cluster-unauthorized"
    assert await code(user={"exec": missing}) == "cluster-plugin-missing"
    assert await code(user={"exec": failing}) == "cluster-plugin-failed"
    assert await code(context="other") == "kube-context-missing"
    assert await code(text="{{{") == "kubeconfig-wrong"
    config = replace(setup.config, kubeconfig=str(tmp_path / "none"))
    assert (await refused(replace(setup, config=config).looker.history("x", "y"))).code == "kubeconfig-missing"
    assert server.startswith("https://127.0.0.1")


async def test_pods_that_do_not_get_ready(setup: Setup):
    await setup.login()
    problem = await refused(setup.run_upgrade(values=values(**BROKEN), timeout=2))
    assert problem.code == "pods-not-ready"
    assert await setup.statuses() == ["failed"]
    again = await setup.run_upgrade()
    assert (again.revision, again.status) == (2, "deployed")


async def test_cancelled_it_ends_at_once_and_marks_the_release_failed(setup: Setup):
    await setup.login()
    task = asyncio.create_task(setup.run_upgrade(values=values(**BROKEN), timeout=600))

    async def pending() -> bool:
        return await setup.statuses() == ["pending-install"]

    await until(pending)
    task.cancel()
    async with asyncio.timeout(10):  # the grace is 20 s, helm's own timeout 600
        with pytest.raises(asyncio.CancelledError):
            await task
    assert alive(setup.started[0]) is False
    assert await setup.statuses() == ["failed"]
    assert pending_way_out(await setup.looker.history(RELEASE, NAMESPACE)) is None


async def test_left_running_it_goes_on_and_holds_nothing_of_ours_but_its_pipes(setup: Setup):
    """Its own end is the same as ever: here the user changes their mind and stops it."""
    await setup.login()
    task = asyncio.create_task(setup.run_upgrade(values=values(**BROKEN), timeout=600))

    async def pending() -> bool:
        return await setup.statuses() == ["pending-install"]

    await until(pending)
    (helm,) = setup.started
    held = pipes_of(helm.pid)
    reads = {pipe for pipe, mode in held if mode == os.O_RDONLY}
    assert len(held) == 6
    assert {mode for _, mode in held} == {os.O_RDONLY, os.O_WRONLY}
    # Values and gate are read, what it writes it could read itself.
    assert len(reads) == 4
    assert {pipe for pipe, mode in held if mode == os.O_WRONLY} < reads

    task.cancel(LEAVE)
    with pytest.raises(asyncio.CancelledError, match=LEAVE):
        await task
    assert await setup.statuses() == ["pending-install"]
    assert alive(helm) is True
    assert await stop(helm, 10)
    assert await setup.statuses() == ["failed"]


async def test_killed_it_leaves_a_pending_release_with_a_way_out(setup: Setup):
    async def kill_while(status: str) -> Problem:
        task = asyncio.create_task(setup.run_upgrade(values=values(**BROKEN), timeout=600))

        async def pending() -> bool:
            return (await setup.statuses() or [""])[-1] == status

        await until(pending)
        os.kill(setup.started[-1].pid, signal.SIGKILL)
        return await refused(task)

    common: dict[str, Any] = {"timeout": 60, "started": lambda _: None, "progress": setup.lines.append}
    await setup.login()
    killed = await kill_while("pending-install")
    assert "signal 9" in killed.what
    way = pending_way_out(await setup.looker.history(RELEASE, NAMESPACE))
    assert way is not None
    assert way.action == "uninstall"
    assert (await refused(setup.run_upgrade())).code == "release-pending"
    await setup.actor.uninstall(RELEASE, NAMESPACE, **common)

    await setup.run_upgrade()
    await kill_while("pending-upgrade")
    assert (await refused(setup.run_upgrade())).code == "release-pending"
    way = pending_way_out(await setup.looker.history(RELEASE, NAMESPACE))
    assert way is not None
    assert (way.action, way.revision) == ("rollback", 1)
    await setup.actor.rollback(RELEASE, NAMESPACE, 1, **common)
    assert (await setup.run_upgrade(version="16.2.0")).status == "deployed"


async def test_the_token_is_nowhere_but_in_the_private_file(setup: Setup, monkeypatch, tmp_path: Path):
    token = Secret(TOKEN)
    monkeypatch.setenv("COPIED", TOKEN)
    keyring = tmp_path / "keyring"
    keyring.mkdir()
    for name in ("pass", "docker-credential-pass", "docker-credential-secretservice"):
        (keyring / name).write_text(f"#!/bin/sh\ncat >> {tmp_path}/leaked\necho '{{}}'\n")
        (keyring / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{keyring}:{os.environ['PATH']}")
    held = replace(setup, config=replace(setup.config, held=lambda: [token]))
    await held.login()
    assert not (tmp_path / "leaked").exists()  # the desktop's key ring
    stored = held.config.run_dir / "config.json"
    assert base64.b64encode(f"{USER}:{TOKEN}".encode()).decode() in stored.read_text()
    assert stored.stat().st_mode & 0o777 == 0o600

    seen: list[bytes] = []

    def look() -> None:
        for process in Path("/proc").glob("[0-9]*"):
            if int(process.name) == os.getpid():
                continue  # we hold it, and COPIED is ours
            for name in ("cmdline", "environ"):
                try:
                    content = (process / name).read_bytes()
                except OSError:
                    continue
                seen.extend(form.encode() for form in token.spellings(USER) if form.encode() in content)

    await held.actor.upgrade(held.upgrade, started=lambda _: look(), progress=lambda _: look())
    assert seen == []


async def test_redirecting_variables_do_not_reach_helm(setup: Setup, api: Cluster, monkeypatch):
    monkeypatch.setenv("HELM_KUBEAPISERVER", "https://127.0.0.1:1")
    monkeypatch.setenv("HELM_NAMESPACE", "elsewhere")
    monkeypatch.setenv("KUBECONFIG", "/nope")
    assert await setup.looker.history(RELEASE, NAMESPACE) == ()
