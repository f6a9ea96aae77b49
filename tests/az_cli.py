"""The real `az`, as somebody has it who works in the sandbox's Azure.

It is large (700 MB), so it is no dependency: PRIVATELINK_AZ names one, or it lies in .tools/azure-cli.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import TOOLS
from wizard.sandbox.info import SandboxInfo


def az_path() -> Path:
    """Where it is; skips the test where it is not."""
    path = Path(os.environ.get("PRIVATELINK_AZ", TOOLS / "azure-cli" / "bin" / "az"))
    if not path.exists():
        pytest.skip(f"{path} is not there; get it with: make az")
    return path


class Az:
    """`az` with a home of its own, that knows no cloud but the sandbox."""

    def __init__(self, path: Path, home: Path, info: SandboxInfo) -> None:
        assert info.identity_endpoint and info.identity_header
        self.path = path
        self.info = info
        self.environment = {
            "HOME": str(home),
            "PATH": f"{path.parent}:{os.environ['PATH']}",
            "AZURE_CONFIG_DIR": str(home / "azure"),
            "AZURE_CORE_COLLECT_TELEMETRY": "no",
            "REQUESTS_CA_BUNDLE": info.ca_file,
            "IDENTITY_ENDPOINT": info.identity_endpoint,
            "IDENTITY_HEADER": info.identity_header,
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.path, *arguments, "-o", "json"],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def __call__(self, *arguments: str) -> Any:
        """What it prints."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    def log_in(self) -> Any:
        """Make the sandbox its cloud, and sign in as the sandbox's identity. Returns the accounts."""
        assert self.info.arm_url
        self("cloud", "register", "-n", "Sandbox", "--endpoint-resource-manager", self.info.arm_url)
        self("cloud", "set", "-n", "Sandbox")
        return self("login", "--identity")

    def pasted(self, command: str) -> None:
        """Run a whole line as a shell understands it."""
        done = subprocess.run(
            ["bash", "-c", command], env=self.environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, (command, done.stderr)
