"""Where a setup points: made explicit once, and never where a copied file says."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import pytest

from state.events import Actor, EnvironmentSet
from state.problem import EXIT_BAD, Problem
from tests.wizard.engine import ACTOR, snapshot_of
from wizard.adapters.cluster import ClusterLooker
from wizard.adapters.cluster_probe import ClusterProber
from wizard.adapters.helm import HelmLooker
from wizard.environment import connected, current_context, default_kubeconfig, looking, resolve_environment
from wizard.session import environment_is_ours

KUBECONFIG = "apiVersion: v1\nkind: Config\ncurrent-context: aks-prod\ncontexts: []\n"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of one's own, with an empty PATH."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    return tmp_path


@pytest.mark.parametrize(
    "given",
    [
        {"arm_url": "https://evil.example/"},
        {"arm_url": "https://127.0.0.1:1/"},  # loopback, but not the sandbox
        {"sandbox": True, "arm_url": "https://evil.example/"},
        {"sandbox": True, "identity_endpoint": "http://169.254.169.254/metadata"},
        {"sandbox": True, "dns_server": "8.8.8.8:53"},
        {"sandbox": True, "dns_server": "127.0.0.1.evil.example"},
        {"sandbox": True, "arm_url": "https://127.0.0.1@evil.example/"},
        {"sandbox": True, "arm_url": "https://[::1"},
        {"sandbox": True, "arm_url": "//"},
        {"dns_server": "127.0.0.1:53"},
    ],
)
def test_what_is_not_public_is_for_the_sandbox_on_loopback(given: dict[str, object]):
    with pytest.raises(Problem) as caught:
        resolve_environment(given)
    assert (caught.value.code, caught.value.exit_code) == ("unsafe-environment", EXIT_BAD)


@pytest.mark.parametrize("address", ["127.0.0.1:5353", "[::1]:53", "localhost", "127.9.9.9"])
def test_the_sandbox_points_to_this_machine(address: str):
    given = {"sandbox": True, "kubeconfig": "/box/kubeconfig", "dns_server": address}
    assert resolve_environment(given).dns_server == address


def test_the_sandbox_never_takes_the_shells_kubeconfig(home: Path, monkeypatch: pytest.MonkeyPatch):
    (home / "config").write_text(KUBECONFIG)
    monkeypatch.setenv("KUBECONFIG", str(home / "config"))
    with pytest.raises(Problem):
        resolve_environment({"sandbox": True})


def test_an_unknown_cloud_is_refused():
    with pytest.raises(Problem) as caught:
        resolve_environment({"cloud": "moon"})
    assert caught.value.code == "unknown-cloud"


def test_paths_are_made_explicit(home: Path, monkeypatch: pytest.MonkeyPatch):
    (home / ".kube").mkdir()
    (home / ".kube" / "config").write_text(KUBECONFIG)
    (home / "bin").mkdir()
    helm = home / "bin" / "helm"
    helm.write_text("#!/bin/sh\n")
    helm.chmod(0o700)
    found = resolve_environment({})
    assert (found.kubeconfig, found.kube_context) == (str(home / ".kube" / "config"), "aks-prod")
    assert found.helm == str(helm)
    other = home / "other"
    other.write_text(KUBECONFIG.replace("prod", "test"))
    monkeypatch.setenv("KUBECONFIG", str(other))
    assert resolve_environment({}).kube_context == "aks-test"
    assert resolve_environment({"kube_context": "mine"}).kube_context == "mine", "what is given wins"


def test_several_kubeconfigs_are_refused_since_one_setup_is_one_cluster(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KUBECONFIG", "/a:/b")
    with pytest.raises(Problem) as caught:
        default_kubeconfig()
    assert caught.value.code == "many-kubeconfigs"


def test_nothing_there_is_no_error_yet():
    found = resolve_environment({})
    assert (found.kubeconfig, found.kube_context, found.helm) == (None, None, None)


@pytest.mark.parametrize("content", ["", "- a", "current-context: [a]", "current-context: ''", "a: !!python/x y", "{"])
def test_a_kubeconfig_that_names_no_context_has_none(home: Path, content: str):
    path = home / "config"
    path.write_text(content)
    assert current_context(str(path)) is None


def test_an_environment_is_inert_on_another_host_and_for_another_user():
    snapshot = snapshot_of(EnvironmentSet(kubeconfig="/home/ada/.kube/config"))
    for user, host, ours in (("ada", "build-01", True), ("ada", "laptop", False), ("bob", "build-01", False)):
        assert environment_is_ours(snapshot, Actor(user=user, host=host, via="check")) is ours
    assert not environment_is_ours(snapshot_of(), ACTOR), "no environment is nobody's"


def loaded(names: tuple[str, ...]) -> list[str]:
    return [name for name in names if name in sys.modules]


async def test_one_child_is_ready_for_cluster_and_helm_before_it_is_asked():
    async with connected(EnvironmentSet(helm="/usr/bin/helm")) as (readers, _):
        assert isinstance(readers.helm, HelmLooker)
        assert isinstance(readers.cluster, ClusterLooker)
        child = readers.helm._process
        assert child is readers.cluster._process
        names = ("kubernetes.client", "kubernetes.config", "pyhelm3")
        assert await child.call(loaded, names, timeout=30) == list(names)


async def test_a_probe_holds_up_no_look_at_the_cluster():
    """A lookup in a pod is as slow as the cluster's DNS is silent."""
    async with connected(EnvironmentSet(helm="/usr/bin/helm")) as (readers, writers):
        assert isinstance(readers.cluster, ClusterLooker) and isinstance(writers.probe, ClusterProber)
        probing = writers.probe._process
        assert probing.pid is None, "it starts when it is needed"
        slow = asyncio.create_task(probing.call(time.sleep, 60.0, timeout=90))
        await asyncio.sleep(0)
        async with asyncio.timeout(30):
            assert await readers.cluster._process.call(loaded, ("sys",), timeout=30) == ["sys"]
        while probing.pid is None:
            await asyncio.sleep(0.05)
        assert not slow.done()
    assert probing.pid is None
    with pytest.raises(Problem):
        await slow


async def test_who_only_looks_gets_the_same_readers_and_nothing_else():
    environment = EnvironmentSet(helm="/usr/bin/helm")
    async with connected(environment) as (readers, writers):
        assert writers.helm is not None and writers.azure is not None
    async with looking(environment, gets_only=True) as alone:
        assert {type(getattr(alone, name)) for name in alone.__slots__} == {
            type(getattr(readers, name)) for name in readers.__slots__
        }
        assert isinstance(alone.cluster, ClusterLooker) and alone.cluster._gets_only
    async with looking(environment) as usual:
        assert isinstance(usual.cluster, ClusterLooker) and not usual.cluster._gets_only, "doctor asks for rights"


async def test_who_only_looks_goes_nowhere_unsafe_either():
    with pytest.raises(Problem) as caught:
        async with looking(EnvironmentSet(arm_url="https://evil.example/")):
            pass
    assert caught.value.code == "unsafe-environment"
