"""What helm is told, what is shown of it, and what of the environment it gets."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from state.problem import Problem
from wizard.adapters import helm_commands
from wizard.adapters.helm_commands import HelmConfig, commands_shown, environment, registry_host
from wizard.ports import HelmVersion, Upgrade
from wizard.secret import Secret

HELM_3 = HelmVersion(3, 19, 0, "/opt/my tools/helm")
OLD = HelmVersion(3, 8, 2, "/opt/my tools/helm")
TOKEN = Secret("tok3n-very-secret")


def config(tmp_path: Path, **changed: object) -> HelmConfig:
    options: dict[str, object] = {
        "helm": Path("/opt/my tools/helm"),
        "kubeconfig": "/home/me/kube config",
        "kube_context": "prod",
        "ca_file": "/etc/ca.pem",
        "run_dir": tmp_path,
        **changed,
    }
    return HelmConfig(**options)  # type: ignore[arg-type]


UPGRADE = Upgrade(
    release="dpe", namespace="ns", chart="oci://reg.test/helm/dpe", version="16.1.0", values=b"a: 1\n", timeout=600
)


@pytest.mark.parametrize(
    "registry", ["reg.test:5000", "https://reg.test:5000/", "oci://reg.test:5000/helm/dpe", " me@reg.test:5000/x "]
)
def test_registry_host(registry):
    assert registry_host(registry) == "reg.test:5000"


def test_shown_is_what_runs(tmp_path):
    shown = commands_shown(config(tmp_path), HELM_3, UPGRADE, "https://reg.test/x", "pull er")
    assert shown[0].startswith('printf %s "$TOKEN" | ')
    login = shlex.split(shown[0].partition(" | ")[2])
    assert login == [HELM_3.path, *helm_commands.login(config(tmp_path), HELM_3, "reg.test", "pull er")]
    command, _, values = shown[1].rpartition(" < ")
    assert shlex.split(command) == [HELM_3.path, *helm_commands.upgrade(config(tmp_path), HELM_3, UPGRADE)]
    assert values == "values.yml"


def test_the_cluster_is_always_named(tmp_path):
    for command in (
        helm_commands.upgrade(config(tmp_path), HELM_3, UPGRADE),
        helm_commands.rollback(config(tmp_path), "dpe", "ns", 1, 60),
        helm_commands.uninstall(config(tmp_path), "dpe", "ns", 60),
    ):
        assert command[-4:] == ["--kubeconfig", "/home/me/kube config", "--kube-context", "prod"]


@pytest.mark.parametrize("missing", ["kubeconfig", "kube_context"])
def test_without_a_chosen_cluster_there_is_no_command(tmp_path, missing):
    with pytest.raises(Problem) as caught:
        helm_commands.upgrade(config(tmp_path, **{missing: None}), HELM_3, UPGRADE)
    assert caught.value.code == "kube-context-not-chosen"


def test_a_value_cannot_become_an_option(tmp_path):
    with pytest.raises(Problem):
        helm_commands.login(config(tmp_path), HELM_3, "--insecure", "me")
    with pytest.raises(Problem):
        helm_commands.uninstall(config(tmp_path), "--no-hooks", "ns", 60)


def test_an_old_helm_gets_no_ca_file_option(tmp_path):
    assert "--ca-file" in helm_commands.login(config(tmp_path), HELM_3, "reg.test", "me")
    assert "--ca-file" not in helm_commands.login(config(tmp_path), OLD, "reg.test", "me")


def test_environment(tmp_path):
    given = {
        "PATH": "/bin",
        "HTTPS_PROXY": "http://proxy.test",
        "DROPPED": "anything",
        "COPY_OF_TOKEN": f"x{TOKEN.reveal()}x",
        "HELM_KUBETOKEN": "t",
        "HELM_KUBEAPISERVER": "https://other.test",
        "HELM_NAMESPACE": "other",
        "HELM_PLUGINS": "/home/me/plugins",
        "HELM_DRIVER": "configmap",
        "KUBECONFIG": "/home/me/other",
        "DOCKER_CONFIG": "/home/me/.docker",
    }
    made = environment(config(tmp_path, drop_env=frozenset({"DROPPED"}), held=lambda: [TOKEN]), given)
    assert {name: made.get(name) for name in given} == {
        **dict.fromkeys(given),
        "PATH": "/bin",
        "HTTPS_PROXY": "http://proxy.test",
        "HELM_DRIVER": "configmap",
        "DOCKER_CONFIG": str(tmp_path),
    }
    private = {name for name, value in made.items() if value.startswith(str(tmp_path))}
    assert private == {
        "HELM_CACHE_HOME",
        "HELM_CONFIG_HOME",
        "HELM_DATA_HOME",
        "HELM_REGISTRY_CONFIG",
        "DOCKER_CONFIG",
    }


def test_a_tiny_secret_does_not_empty_the_environment(tmp_path):
    assert environment(config(tmp_path, held=lambda: [Secret("b")]), {"PATH": "/bin"})["PATH"] == "/bin"
