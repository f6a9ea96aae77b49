"""A real OCI registry on loopback: CNCF distribution with htpasswd and TLS, as Debian packages it."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from wizard.sandbox import ca
from wizard.sandbox.workdir import WorkDir

USER = "puller"
TOKEN = "tok3n-$with 'quotes' and \"more\""
DEADLINE = 20.0


@dataclass(frozen=True)
class DockerRegistry:
    """A running registry: `address` is host:port, `ca_file` the CA that signed its certificate."""

    address: str
    ca_file: Path
    user: str = USER
    token: str = TOKEN

    def push(self, helm: Path, chart: Path, home: Path) -> str:
        """Package a chart directory, push it, and return its URL without version."""
        environment = {"HOME": str(home), "HELM_REGISTRY_CONFIG": str(home / "push.json"), "PATH": "/usr/bin:/bin"}

        def run(*arguments: str, stdin: str = "") -> str:
            done = subprocess.run(
                [str(helm), *arguments],
                input=stdin,
                text=True,
                env=environment,
                capture_output=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            return done.stdout

        trust = ("--ca-file", str(self.ca_file))
        run("registry", "login", self.address, "-u", self.user, "--password-stdin", *trust, stdin=self.token)
        archive = run("package", str(chart), "-d", str(home)).rpartition(": ")[2].strip()
        run("push", archive, f"oci://{self.address}/helm", *trust)
        return f"oci://{self.address}/helm/ataccama-one-dpe"


@contextlib.contextmanager
def docker_registry(directory: Path, token: str = TOKEN, port: int = 0) -> Iterator[DockerRegistry]:
    """Serve a registry for the length of the block; skips the test where it is not installed.

    With the same directory and port it is the same registry again; port 0 takes a free one.
    """
    server, htpasswd = shutil.which("docker-registry"), shutil.which("htpasswd")
    if server is None or htpasswd is None:
        pytest.skip("the real registry is not there; get it with: apt-get install docker-registry apache2-utils")
    work = WorkDir(directory)
    ca.ensure(work)
    users = subprocess.run([htpasswd, "-inB", USER], input=token, text=True, capture_output=True, check=True).stdout
    (directory / "htpasswd").write_text(users.strip() + "\n")
    with socket.create_server(("127.0.0.1", port)) as free:
        port = free.getsockname()[1]
    settings = directory / "registry.yml"
    settings.write_text(
        f"""
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {directory}/blobs}}}}
http: {{addr: "127.0.0.1:{port}", tls: {{certificate: {work.certificate}, key: {work.key}}}}}
auth: {{htpasswd: {{realm: test, path: {directory}/htpasswd}}}}
"""
    )
    log = directory / "registry.log"
    with log.open("wb") as output:
        process = subprocess.Popen([server, "serve", str(settings)], stdout=output, stderr=output)
    try:
        _wait_until_up(port, work.ca, process, log)
        yield DockerRegistry(f"127.0.0.1:{port}", work.ca, token=token)
    finally:
        process.kill()
        process.wait()


def _wait_until_up(port: int, ca_file: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    trusting = ssl.create_default_context(cafile=str(ca_file))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trusting))
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()
        try:
            opener.open(f"https://127.0.0.1:{port}/v2/", timeout=2)
        except urllib.error.HTTPError as error:
            assert error.code == 401
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"the registry did not start: {log.read_text()}")
