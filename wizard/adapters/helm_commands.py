"""The commands helm is given, and the environment it gets. Pure.

One builder makes what runs and what the plan shows, so the two cannot differ. The portal's commands are the model
(HELM.md, "Commands"), with the token on stdin instead of `-p`, where it would show in `ps` and the shell's history.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from state.problem import EXIT_BAD, Problem
from wizard.ports import HelmVersion, Upgrade
from wizard.secret import Secret

REGISTRY_FILE = "config.json"

# `--ca-file` came to `registry login` and to OCI charts in `upgrade` together, with helm 3.12 (helm pull 11711).
_CA_FILE_SINCE = (3, 12)

# HELM_* that the organisation sets for good reason. HELM_DRIVER stays: with another storage driver helm would not
# find the release and would install a second one. Everything else named HELM_* redirects helm (another API server,
# user, token, namespace, plugins) or is set by us.
_HELM_KEPT = frozenset(
    {"HELM_DRIVER", "HELM_DRIVER_SQL_CONNECTION_STRING", "HELM_MAX_HISTORY", "HELM_QPS", "HELM_BURST_LIMIT"}
)


def _no_secrets() -> Sequence[Secret]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HelmConfig:
    """Which helm, on which cluster, with which private directory.

    `ca_file` is the registry's CA (the cluster's is in the kubeconfig). Variables named in `drop_env`, and any that
    holds one of the secrets `held()` tells, do not reach helm. `run_dir` comes from `helm_files.run_dir`.
    """

    helm: Path
    kubeconfig: str | None
    kube_context: str | None
    ca_file: str | None
    run_dir: Path
    drop_env: frozenset[str] = frozenset()
    held: Callable[[], Sequence[Secret]] = _no_secrets


def registry_host(registry: str) -> str:
    """The `host` or `host:port` of a registry or chart URL. helm 4 refuses a scheme or a path at login."""
    return registry.strip().rpartition("://")[2].partition("/")[0].rpartition("@")[2]


def login(config: HelmConfig, version: HelmVersion, registry: str, user: str) -> list[str]:
    """`helm registry login`; the token comes on stdin. `--plain-http` is never guessed."""
    host = _positional(registry_host(registry))
    return ["registry", "login", host, "-u", user, "--password-stdin", *_ca(config, version)]


def upgrade(config: HelmConfig, version: HelmVersion, what: Upgrade) -> list[str]:
    """`helm upgrade --install`; the values come on stdin.

    `--wait` means ready pods in helm 3 (by polling) and in helm 4 (its `watcher` strategy); neither waits for Jobs.
    """
    return [
        *("upgrade", "--install", _positional(what.release), _positional(what.chart)),
        *("--version", what.version, "-f", "-", "--namespace", what.namespace),
        *(("--create-namespace",) if what.create_namespace else ()),
        *("--wait", "--timeout", f"{what.timeout}s", "-o", "json"),
        *what.extra,
        *_ca(config, version),
        *kube(config),
    ]


def rollback(config: HelmConfig, release: str, namespace: str, revision: int, timeout: int) -> list[str]:
    """`helm rollback` to a named revision, waiting until its pods are ready."""
    name = _positional(release)
    return [
        *("rollback", name, str(revision), "--namespace", namespace, "--wait", "--timeout", f"{timeout}s"),
        *kube(config),
    ]


def uninstall(config: HelmConfig, release: str, namespace: str, timeout: int) -> list[str]:
    """`helm uninstall`, waiting until its objects are gone."""
    name = _positional(release)
    return ["uninstall", name, "--namespace", namespace, "--wait", "--timeout", f"{timeout}s", *kube(config)]


def newest_chart(config: HelmConfig, version: HelmVersion, chart: str) -> list[str]:
    """`helm show chart` without a version: which is the newest, or that the chart's path is not known."""
    return ["show", "chart", _positional(chart), *_ca(config, version)]


def kube(config: HelmConfig) -> list[str]:
    """The flags that pin the cluster: always both, so that helm never takes the current context of the moment.

    Raises Problem `kube-context-not-chosen`.
    """
    if not config.kubeconfig or not config.kube_context:
        raise Problem(
            "kube-context-not-chosen",
            "No kubeconfig and context are chosen for this setup.",
            means="helm would act on whatever cluster happens to be the current one.",
            todo="Choose the kubeconfig file and the context of the DPE's cluster.",
            exit_code=EXIT_BAD,
        )
    return ["--kubeconfig", config.kubeconfig, "--kube-context", config.kube_context]


def commands_shown(
    config: HelmConfig,
    version: HelmVersion,
    what: Upgrade,
    registry: str,
    user: str,
    *,
    values_file: str = "values.yml",
) -> tuple[str, ...]:
    """Both commands as shell text for the plan; the token and the values stand as their names."""
    helm = str(config.helm)
    first = shlex.join([helm, *login(config, version, registry, user)])
    second = shlex.join([helm, *upgrade(config, version, what)])
    return f'printf %s "$TOKEN" | {first}', f"{second} < {shlex.quote(values_file)}"


def rollback_shown(config: HelmConfig, release: str, namespace: str, revision: int, timeout: int) -> str:
    """The rollback as shell text."""
    return shlex.join([str(config.helm), *rollback(config, release, namespace, revision, timeout)])


def uninstall_shown(config: HelmConfig, release: str, namespace: str, timeout: int) -> str:
    """The uninstall as shell text."""
    return shlex.join([str(config.helm), *uninstall(config, release, namespace, timeout)])


def environment(config: HelmConfig, environ: Mapping[str, str], *, ca_bundle: Path | None = None) -> dict[str, str]:
    """What helm and its credential plugins get of `environ`.

    Homes and the registry file are private, so that neither the user's plugins and repositories nor a login of
    theirs can change what a command does, and ours is gone afterwards. DOCKER_CONFIG points at the same place:
    helm falls back to Docker's logins. `ca_bundle` is for a helm too old for `--ca-file`.
    """
    hidden = spellings(config)
    kept = {
        name: value
        for name, value in environ.items()
        if name not in config.drop_env
        and (not name.startswith("HELM_") or name in _HELM_KEPT)
        and name != "KUBECONFIG"  # the flag says which
        and not any(form in value for form in hidden)
    }
    kept |= {
        "HELM_CACHE_HOME": str(config.run_dir / "cache"),
        "HELM_CONFIG_HOME": str(config.run_dir / "config"),
        "HELM_DATA_HOME": str(config.run_dir / "data"),
        "HELM_REGISTRY_CONFIG": str(config.run_dir / REGISTRY_FILE),
        "DOCKER_CONFIG": str(config.run_dir),
    }
    if ca_bundle is not None:
        kept["SSL_CERT_FILE"] = str(ca_bundle)
    return kept


def spellings(config: HelmConfig, user: str = "") -> tuple[str, ...]:
    """Every form in which a held secret could show. Under six characters it is none, and would match everywhere."""
    return tuple(form for secret in config.held() for form in secret.spellings(user) if len(form) >= 6)


def knows_ca_file(version: HelmVersion) -> bool:
    """Whether this helm takes `--ca-file` at login and at upgrade."""
    return (version.major, version.minor) >= _CA_FILE_SINCE


def _ca(config: HelmConfig, version: HelmVersion) -> tuple[str, ...]:
    return ("--ca-file", config.ca_file) if config.ca_file and knows_ca_file(version) else ()


def _positional(value: str) -> str:
    """A value that stands alone in the command must not be taken for a flag."""
    if not value or value.startswith("-"):
        raise Problem(
            "argument-not-usable",
            f"{value!r} cannot be given to helm.",
            means="It is empty, or helm would take it for an option.",
            todo="Correct the value.",
            exit_code=EXIT_BAD,
        )
    return value
