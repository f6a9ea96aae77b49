"""Pressing Register: the vendor's side of step 2, against a sandbox that runs in a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from state.problem import EXIT_NOT_YET, Problem
from tests.sandbox.arm.served import connection
from tests.sandbox.arm.test_serving import Clients
from tests.sandbox.test_process import NO_HELM
from wizard.sandbox.info import SandboxInfo
from wizard.sandbox.portal_client import register
from wizard.sandbox.process import running


@pytest.mark.slow
def test_a_waiting_endpoint_is_let_in_when_the_subscription_is_registered(tmp_path, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # not asked: it is this machine
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")  # for the SDK's client
    with running(tmp_path / "sandbox", ("not-registered",), helm=NO_HELM) as info:
        clients = Clients(info_of(info), monkeypatch)
        made = clients.begin_endpoint().result(20)
        assert (made.provisioning_state, connection(made)) == ("Succeeded", "Pending")
        monkeypatch.delenv("NO_PROXY")
        register(Path(info.work_dir), info.subscription_id)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert connection(clients.endpoint()) == "Approved"
        register(Path(info.work_dir), info.subscription_id)
        with pytest.raises(Problem, match="does not register x"):
            register(Path(info.work_dir), "x")
    with pytest.raises(Problem) as caught:
        register(Path(info.work_dir), info.subscription_id)
    assert caught.value.code == "sandbox-portal-unreachable"
    assert caught.value.exit_code == EXIT_NOT_YET

    # What was registered stays so; with the fault nobody has pressed Register yet.
    with running(tmp_path / "sandbox", helm=NO_HELM) as info:
        assert approving(info, monkeypatch)
    with running(tmp_path / "sandbox", ("not-registered",), helm=NO_HELM) as info:
        assert not approving(info, monkeypatch)


def info_of(info: SandboxInfo) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(info)
    return found


def approving(info: SandboxInfo, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the vendor's service lets the subscription in by itself."""
    services = Clients(info_of(info), monkeypatch).network.private_link_services
    ids = [one.private_link_service for one in services.list_auto_approved_private_link_services(info.location)]
    return info.link_service_id in ids


def test_where_no_sandbox_was_ever(tmp_path):
    with pytest.raises(Problem) as caught:
        register(tmp_path, "8d2f41c7-5b1e-4f0a-9a77-0c1d2e3f4a5b")
    assert caught.value.code == "sandbox-portal-unreachable"
