"""The sandbox's registry in front of the real helm: what works, and what helm says when it does not (HELM.md)."""

import base64
import http.client
import json
import ssl
import subprocess
from pathlib import Path

import pytest

from wizard.sandbox.chart_archive import pack
from wizard.sandbox.info import SandboxInfo
from wizard.sandbox.process import running

CLUSTERLESS = "api-down"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    with running(tmp_path_factory.mktemp("registry"), [CLUSTERLESS], helm=Path("/unused/helm")) as info:
        yield info


class Helm:
    """The real helm with credentials and caches of its own."""

    def __init__(self, path: Path, home: Path, info: SandboxInfo) -> None:
        self.path, self.home, self.info = path, home, info

    def __call__(self, *arguments: str, stdin: str = "", ca: bool = True) -> subprocess.CompletedProcess[str]:
        command = [str(self.path), *arguments, *(["--ca-file", self.info.ca_file] if ca else [])]
        return subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=self.home,
            env={"HOME": str(self.home), "HELM_REGISTRY_CONFIG": str(self.home / "registry.json")},
        )

    def login(self, token: str | None = None, *, ca: bool = True) -> subprocess.CompletedProcess[str]:
        right = Path(self.info.registry_token_file).read_text()
        arguments = ("registry", "login", self.info.registry, "-u", self.info.registry_user, "--password-stdin")
        return self(*arguments, stdin=right if token is None else token, ca=ca)


@pytest.fixture
def run(helm, tmp_path, sandbox):
    return Helm(helm, tmp_path, sandbox)


def test_login_and_both_versions(run):
    login = run.login()
    assert login.returncode == 0, login.stderr
    assert "Login Succeeded" in login.stdout + login.stderr
    for version in (run.info.chart_version, run.info.chart_version_next):
        pull = run("pull", run.info.chart, "--version", version)
        assert pull.returncode == 0, pull.stderr
        assert pack(version).digest in pull.stdout + pull.stderr
        assert (run.home / f"ataccama-one-dpe-{version}.tgz").exists()


def test_the_newest_version_is_found_without_naming_one(run):
    run.login()
    shown = run("show", "chart", run.info.chart)
    assert f"version: {run.info.chart_version_next}" in shown.stdout


def test_wrong_token(run):
    login = run.login("stale-token")
    assert login.returncode != 0
    assert "response status code 401: unauthorized: authentication required" in login.stderr


def test_not_logged_in(run):
    assert "basic credential not found" in run("pull", run.info.chart, "--version", run.info.chart_version).stderr


def test_wrong_version(run):
    run.login()
    error = run("pull", run.info.chart, "--version", "9.9.9").stderr
    assert 'failed to perform "FetchReference"' in error
    assert "not found" in error


def test_wrong_chart_path(run):
    run.login()
    assert "repository name not known" in run("pull", f"{run.info.chart}-x").stderr


def test_unknown_ca(run):
    unknown = "x509: certificate signed by unknown authority"
    assert unknown in run.login(ca=False).stderr
    run.login()
    assert unknown in run("pull", run.info.chart, "--version", run.info.chart_version, ca=False).stderr


def test_fault_wrong_token_refuses_the_token_handed_out(helm, tmp_path):
    with running(tmp_path / "sandbox", [CLUSTERLESS, "wrong-token"], helm=helm) as info:
        login = Helm(helm, tmp_path, info).login()
    assert "401: unauthorized: authentication required" in login.stderr


def test_fault_registry_down_refuses_connections(helm, tmp_path):
    with running(tmp_path / "sandbox", [CLUSTERLESS, "registry-down"], helm=helm) as info:
        assert "connection refused" in Helm(helm, tmp_path, info).login().stderr


class Client:
    """Plain HTTPS, for what helm does not ask."""

    def __init__(self, info: SandboxInfo) -> None:
        self.info = info
        credentials = f"{info.registry_user}:{Path(info.registry_token_file).read_text()}"
        self.headers = {"Authorization": "Basic " + base64.b64encode(credentials.encode()).decode()}

    def __call__(self, method: str, path: str, headers: dict[str, str] | None = None):
        context = ssl.create_default_context(cafile=self.info.ca_file)
        connection = http.client.HTTPSConnection(self.info.registry, context=context, timeout=10)
        try:
            connection.request(method, path, headers=self.headers if headers is None else headers)
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()


@pytest.fixture
def ask(sandbox):
    return Client(sandbox)


REPOSITORY = "/v2/helm/ataccama-one-dpe"


def test_a_manifest_is_the_same_by_tag_and_by_digest(ask, sandbox):
    chart = pack(sandbox.chart_version)
    for reference in (chart.version, chart.digest):
        status, headers, body = ask("GET", f"{REPOSITORY}/manifests/{reference}")
        assert (status, body, headers["Docker-Content-Digest"]) == (200, chart.manifest, chart.digest)
    status, headers, body = ask("HEAD", f"{REPOSITORY}/manifests/{chart.version}")
    assert (status, body, headers["Content-Length"]) == (200, b"", str(len(chart.manifest)))


def test_tags(ask, sandbox):
    status, _, body = ask("GET", f"{REPOSITORY}/tags/list")
    tags = [sandbox.chart_version, sandbox.chart_version_next]
    assert (status, json.loads(body)) == (200, {"name": "helm/ataccama-one-dpe", "tags": tags})


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", f"{REPOSITORY}/manifests/9.9.9", 404, "MANIFEST_UNKNOWN"),
        ("GET", "/v2/helm/other/manifests/16.1.0", 404, "MANIFEST_UNKNOWN"),
        ("GET", "/v2/helm/other/tags/list", 404, "NAME_UNKNOWN"),
        ("GET", f"{REPOSITORY}/blobs/sha256:{'0' * 64}", 404, "BLOB_UNKNOWN"),
        ("POST", f"{REPOSITORY}/blobs/uploads/", 405, "UNSUPPORTED"),
        ("PUT", f"{REPOSITORY}/manifests/16.1.0", 405, "UNSUPPORTED"),
        ("DELETE", f"{REPOSITORY}/manifests/16.1.0", 405, "UNSUPPORTED"),
    ],
)
def test_errors_are_in_the_distribution_format(ask, method, path, status, code):
    answer, _, body = ask(method, path)
    assert (answer, [error["code"] for error in json.loads(body)["errors"]]) == (status, [code])


@pytest.mark.parametrize("path", ["/v2/", f"{REPOSITORY}/manifests/16.1.0", "/v2/_catalog", "/"])
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic eDp5"}, {"Authorization": "Bearer x"}])
def test_nothing_is_told_without_the_credentials(ask, path, headers):
    status, answer_headers, body = ask("GET", path, headers)
    assert status == 401
    assert answer_headers["WWW-Authenticate"].startswith("Basic ")
    assert json.loads(body)["errors"][0]["code"] == "UNAUTHORIZED"


def test_every_request_is_traced_before_its_answer(ask, sandbox):
    path = "/v2/helm/traced/manifests/1"
    ask("GET", path)
    ask("GET", path, {})
    lines = [json.loads(line) for line in Path(sandbox.trace_file).read_text().splitlines()]
    mine = [line for line in lines if line["path"] == path]
    assert [(line["server"], line["method"], line["status"]) for line in mine] == [
        ("registry", "GET", 404),
        ("registry", "GET", 401),
    ]
    assert all(set(line) == {"ts", "server", "method", "path", "status"} for line in lines)
