"""helm as `wizard.ports.HelmReader` sees it, and how any helm command is run; changes are in `helm_acting`."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, TypeVarTuple

from state.problem import EXIT_BAD, EXIT_NOT_YET, Problem
from wizard.adapters import child_process, helm_commands, helm_exec
from wizard.adapters.helm_commands import HelmConfig
from wizard.adapters.helm_errors import explain, redact
from wizard.adapters.helm_exec import not_understood
from wizard.adapters.helm_files import note_user
from wizard.adapters.sdk_process import SdkProcess
from wizard.files import is_text, read_file
from wizard.ports import HelmVersion, ProcessIdentity, Progress, Release, Upgrade

Ts = TypeVarTuple("Ts")
T = TypeVar("T")

MODULES = ("pyhelm3",)
"""What the SDK child imports as it starts, to be ready for this adapter."""

MINIMUM = (3, 8)  # OCI registries are no longer experimental from here on

CA_LIMIT = 4 * 1024 * 1024  # bytes; the system's own bundle has a quarter of a megabyte

_VERSION_TIMEOUT = 15.0  # seconds
LOOK_TIMEOUT = 60.0  # seconds; a credential plugin may ask its cloud first
_PYHELM_TIMEOUT = 30.0  # seconds in the SDK child: most often a millisecond, but an answer may have 32 MiB

# oras (in helm from 3.18 on) stores a login in the desktop's key ring when the registry file knows no registry yet,
# where it would stay for ever. An entry for a name that is no host keeps it in our file.
_REGISTRY_FILE_CONTENT = '{"auths": {"-": {}}}\n'


class HelmLooker:
    """Implements `wizard.ports.HelmReader`. Has no method that changes anything.

    pyhelm3 runs in `process`, helm does not: it is run from here, as for `helm_acting.HelmActor`.
    """

    def __init__(self, config: HelmConfig, process: SdkProcess) -> None:
        self._config = config
        self._process = process
        self._version: HelmVersion | None = None

    async def version(self) -> HelmVersion:
        """Which helm this is; asked once. Raises Problem: missing, not executable, hanging, not helm, too old."""
        if self._version is None:
            self._version = await _read_version(self._config)
        return self._version

    async def history(self, release: str, namespace: str) -> tuple[Release, ...]:
        """All known revisions, oldest first; empty when the release does not exist."""
        try:
            rows = await self._read("history", release, namespace=namespace)
        except Problem as problem:
            if problem.code == "release-not-found":
                return ()
            raise
        if not isinstance(rows, list):
            raise not_understood("the history")
        found = [_release_of_row(row, release, namespace) for row in rows]
        return tuple(sorted(found, key=lambda one: one.revision))

    async def values(self, release: str, namespace: str, revision: int | None = None) -> Mapping[str, Any]:
        """The user-supplied values of a revision, of the last one by default."""
        found = await self._read("get_values", release, namespace=namespace, revision=revision)
        if not isinstance(found, dict):
            raise not_understood("the values")
        return found

    async def commands_shown(self, what: Upgrade, registry: str, user: str) -> tuple[str, ...]:
        """Login and upgrade as shell text, from the builder that also makes what runs."""
        return helm_commands.commands_shown(self._config, await self.version(), what, registry, user)

    def way_out_shown(self, release: str, namespace: str, revision: int | None, timeout: int) -> str:
        """The rollback to `revision`, or the uninstall when it is None, as shell text."""
        if revision is None:
            return helm_commands.uninstall_shown(self._config, release, namespace, timeout)
        return helm_commands.rollback_shown(self._config, release, namespace, revision, timeout)

    async def _read(self, method: helm_exec.Method, release: str, **options: object) -> Any:
        """What a reading method of pyhelm3 answers: pyhelm3 says what to ask helm, and then what helm said."""
        version = await self.version()
        facts = {"release": release, "namespace": str(options["namespace"])}
        for value in facts.values():
            if value.startswith("-") or not is_text(value):
                raise Problem("argument-not-usable", f"{value!r} cannot be given to helm.", exit_code=EXIT_BAD)
        arguments = await self._in_child(helm_exec.arguments, method, release, options)
        command = [*arguments, *helm_commands.kube(self._config)]
        stdout = await run_helm(self._config, version, command, facts=facts, deadline=LOOK_TIMEOUT)
        return await self._in_child(helm_exec.answer, method, release, options, stdout)

    async def _in_child(self, func: Callable[[*Ts], T], *args: *Ts) -> T:
        """Run one of the functions of `helm_exec`.

        The child takes one call at a time: while a look at the cluster takes long, this waits for its turn, which
        no timeout of ours counts. Whoever looks at a release looks at its cluster as well, and a second child would
        cost its memory for two tiny calls.
        """
        try:
            return await self._process.call(func, *args, timeout=_PYHELM_TIMEOUT)
        except OSError as error:  # TimeoutError is one; another says why there can be no child
            raise _not_read(error) from error


async def run_helm(
    config: HelmConfig,
    version: HelmVersion,
    command: Sequence[str],
    *,
    facts: Mapping[str, str],
    stdin: bytes | None = None,
    started: Callable[[ProcessIdentity], None] | None = None,
    progress: Progress | None = None,
    show_stdout: bool = False,
    deadline: float | None = None,
    secrets: Sequence[str] = (),
) -> bytes:
    """Run one helm command and return its stdout, or raise the Problem its stderr tells of."""
    hidden = (*secrets, *helm_commands.spellings(config, facts.get("user", "")))
    began: Callable[[ProcessIdentity], None] | None = None
    if started is not None:
        tell = started

        def began(process: ProcessIdentity) -> None:
            note_user(config.run_dir, process)
            tell(process)

    shown: Progress | None = None
    if progress is not None:
        receive = progress

        def shown(line: str) -> None:
            receive(redact(line, hidden))

    _prepare(config.run_dir)
    if config.ca_file and config.ca_file in command:
        _read_ca(config.ca_file)
    bundle = _ca_bundle(config) if config.ca_file and not helm_commands.knows_ca_file(version) else None
    environment = helm_commands.environment(config, os.environ, ca_bundle=bundle)
    environment = {name: value for name, value in environment.items() if not any(form in value for form in hidden)}
    try:
        output = await child_process.run(
            [version.path, *command],
            env=environment,
            stdin=stdin,
            scratch=config.run_dir,
            started=began,
            progress=shown,
            show_stdout=show_stdout,
            timeout=deadline,
        )
    except OSError as error:
        if isinstance(error, TimeoutError):
            raise _silent(command[0], deadline or 0) from None
        raise _not_startable(version.path, error) from error
    if output.code != 0:
        known = {"context": config.kube_context or "", "kubeconfig": config.kubeconfig or ""}
        known |= {"ca_file": config.ca_file or "", **facts}
        raise explain(output.stderr, facts=known, secrets=hidden, code=output.code)
    return output.stdout


def _prepare(run_dir: Path) -> None:
    registry_file = run_dir / helm_commands.REGISTRY_FILE
    if not registry_file.exists():
        registry_file.touch(mode=0o600)
        registry_file.write_text(_REGISTRY_FILE_CONTENT, encoding="utf-8")


def _ca_bundle(config: HelmConfig) -> Path:
    """The system's CAs and ours in one file. Only ours would cut credential plugins off from their cloud."""
    bundle = config.run_dir / "ca.pem"
    if not bundle.exists() and config.ca_file:
        system = os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile
        parts = [Path(system).read_bytes()] if system and Path(system).is_file() else []
        bundle.write_bytes(b"\n".join([*parts, _read_ca(config.ca_file)]))
    return bundle


def _read_ca(path: str) -> bytes:
    """The CA file's content, once it is known to hold a certificate: helm 3.19 and 4.1 panic where it does not."""
    try:
        content = read_file(Path(path), CA_LIMIT)
        ssl.create_default_context(cadata=content.decode("ascii"))
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise explain(f"can't read CA file: {error}", facts={"ca_file": path}) from error
    return content


async def _read_version(config: HelmConfig) -> HelmVersion:
    path = str(config.helm)
    _prepare(config.run_dir)
    try:
        output = await child_process.run(
            [path, "version", "--short"],
            env=helm_commands.environment(config, os.environ),
            timeout=_VERSION_TIMEOUT,
            grace=1,
        )
    except OSError as error:
        if isinstance(error, TimeoutError):
            raise _silent("version", _VERSION_TIMEOUT) from None
        raise _not_startable(path, error) from error
    text = output.stdout.decode(errors="replace")
    found = re.search(r"^(?:Client: )?v(\d{1,4})\.(\d{1,4})\.(\d{1,6})", text, re.MULTILINE)
    if found is None:
        raise Problem(
            "helm-not-helm",
            f"{path} does not answer like helm.",
            means="It crashes, or is another program of that name.",
            todo="Install helm 3.8 or later and name its path.",
            detail=f"{text}\n{output.stderr}"[:2000].strip() or f"It ended with code {output.code}.",
            exit_code=EXIT_NOT_YET,
        )
    major, minor, patch = (int(part) for part in found.groups())
    if (major, minor) < MINIMUM:
        raise Problem(
            "helm-too-old",
            f"{path} is helm {major}.{minor}.{patch}.",
            means="Charts in an OCI registry need helm 3.8 or later.",
            todo="Install a current helm.",
            exit_code=EXIT_NOT_YET,
        )
    return HelmVersion(major, minor, patch, path)


def _not_startable(path: str, error: OSError) -> Problem:
    if isinstance(error, FileNotFoundError):
        code, what = "helm-missing", f"There is no helm at {path}."
    elif isinstance(error, PermissionError):
        code, what = "helm-not-executable", f"{path} may not be executed."
    else:
        code, what = "helm-not-startable", f"{path} cannot be started on this system."
    return Problem(
        code,
        what,
        means="Step 7 and the looks at the release need helm.",
        todo="Install helm 3.8 or later, or name the path of yours.",
        detail=str(error),
        exit_code=EXIT_NOT_YET,
    )


def _silent(command: str, seconds: float) -> Problem:
    return Problem(
        "helm-silent",
        f"`helm {command}` did not end within {seconds:.0f} seconds and was stopped.",
        means="The network path, a credential plugin or a proxy does not answer.",
        todo="Check the connection to registry and cluster, then try again.",
        exit_code=EXIT_NOT_YET,
    )


def _not_read(error: OSError) -> Problem:
    why = f"It took over {_PYHELM_TIMEOUT:.0f} seconds." if isinstance(error, TimeoutError) else str(error)
    return Problem(
        "helm-not-read",
        "The helper process that knows helm's answers did not do its part.",
        means="This look has no answer. This machine may be very busy or out of memory.",
        todo="Look again; a new helper process is started for it.",
        detail=why,
        exit_code=EXIT_NOT_YET,
    )


def _release_of_row(row: Any, name: str, namespace: str) -> Release:
    try:
        chart, chart_version = _split_chart(str(row["chart"]))
        return Release(
            name=name,
            namespace=namespace,
            revision=int(row["revision"]),
            status=str(row["status"]),
            chart=chart,
            chart_version=chart_version,
            app_version=str(row.get("app_version", "")),
            updated=str(row.get("updated", "")),
            description=str(row.get("description", "")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise not_understood("a row of the history") from error


def _split_chart(text: str) -> tuple[str, str]:
    """`name-1.2.3-rc.1` is name and version; the version begins at the first dash before MAJOR.MINOR.PATCH."""
    found = re.fullmatch(r"(.*?)-(v?\d+\.\d+\.\d+.*)", text)
    return (found[1], found[2]) if found else (text, "")
