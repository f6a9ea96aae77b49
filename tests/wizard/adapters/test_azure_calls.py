"""What is found in Azure and changed there, by the real SDKs over the wire; and who it is done as."""

from __future__ import annotations

import asyncio
import base64
import functools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import azure.identity
import pytest
from aiohttp import web
from azure.core.pipeline import PipelineContext, PipelineRequest
from azure.core.rest import HttpRequest

from state.problem import Problem
from tests.wizard.adapters.arm_stub import (
    GROUP,
    LOCATIONS,
    ME,
    NETWORK,
    OBJECT,
    SUBSCRIPTION,
    TENANT,
    ArmStub,
    Reply,
    arm_stub,
    endpoint,
    error,
    interface,
    not_found,
    page,
)
from wizard.adapters import azure as adapter
from wizard.adapters import azure_acting, azure_clients
from wizard.adapters import azure_calls as calls
from wizard.adapters import azure_changes as changes
from wizard.adapters.azure import AzureLooker
from wizard.adapters.azure_acting import AzureActor
from wizard.adapters.azure_asking import Target
from wizard.adapters.azure_errors import Failure, explain
from wizard.adapters.sdk_process import SdkProcess
from wizard.azure import (
    ARecord,
    AzureIdentity,
    AzureReader,
    AzureWriter,
    Carried,
    Interface,
    IpConfiguration,
    Operation,
    SignInPrompt,
    WantedEndpoint,
    Zone,
    ZoneLink,
)
from wizard.sign_in import CODES

ALIAS = "pls.0f4a2b6c-1d3e-4f5a-8b7c-9d0e1f2a3b4c.eastus.azure.privatelinkservice"
PROVIDER = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Network"
ONE = f"{NETWORK}/privateEndpoints/pe"
VNET = f"{NETWORK}/virtualNetworks/v"
ZONE = f"{NETWORK}/privateDnsZones/dpm.example.link"
LINK = f"{ZONE}/virtualNetworkLinks/v-link"
RECORD = f"{ZONE}/A/@"


@pytest.fixture
def arm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ArmStub]:
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER"):
        monkeypatch.setenv(name, "")  # so that what the child sets is taken back
    changes._operations.clear()  # it is the child's memory, and here all tests are one child
    with arm_stub(tmp_path / "arm") as stub:
        yield stub


@pytest.fixture
async def process() -> AsyncIterator[SdkProcess]:
    made = SdkProcess(adapter.MODULES)
    yield made
    await made.close()


def refused(doing: Callable[[], object]) -> Problem:
    with pytest.raises(Problem) as caught:
        doing()
    return caught.value


def wanted(**changed: Any) -> WantedEndpoint:
    given: dict[str, Any] = {
        "id": ONE,
        "location": "eastus",
        "subnet_id": f"{VNET}/subnets/s",
        "service": ALIAS,
        "nic_name": "pe-nic",
    }
    return WantedEndpoint(**{**given, **changed})


# ---------------------------------------------------------------- who we are


def test_identity_is_read_from_the_token(arm):
    assert calls.identity(arm.target()) == AzureIdentity(TENANT, OBJECT, "jane@example.com")


@pytest.mark.parametrize(
    ("claims", "name"),
    [({"appid": "app"}, "app"), ({"upn": 5, "unique_name": "u"}, "u"), ({}, ""), ({"upn": "x" * 5000}, "x" * 1000)],
)
def test_identity_without_a_user_name(arm, claims, name):
    arm.claims = {"tid": TENANT.upper(), "oid": OBJECT, **claims}
    assert calls.identity(arm.target()) == AzureIdentity(TENANT, OBJECT, name)


@pytest.mark.parametrize("claims", [{}, {"tid": TENANT}, {"tid": 5, "oid": []}])
def test_a_token_that_does_not_tell(arm, claims):
    arm.claims = claims
    assert refused(lambda: calls.identity(arm.target())).code == "azure-identity-unknown"


@pytest.mark.parametrize("token", ["", "opaque", "a.b.c", "a.W10.c", f"a.{'W' * 100_000}.c"])
def test_a_token_of_another_shape(token, tmp_path, monkeypatch):
    az(tmp_path, monkeypatch, f"echo '{json.dumps({'accessToken': token, 'expires_on': 9_999_999_999})}'")
    assert refused(lambda: calls.identity(Target())).code == "azure-identity-unknown"


def test_reader_and_writer_are_one_identity_and_a_new_login_is_seen(tmp_path, monkeypatch, arm):
    """`az` is asked by `identity` each time, and else once: it takes a second."""
    asked = tmp_path / "asked"
    token = tmp_path / "token"
    az(tmp_path, monkeypatch, f"echo $@ >> {asked}; cat {token}")

    def login(oid: str) -> None:
        arm.claims = {"tid": TENANT, "oid": oid}
        token.write_text(json.dumps({"accessToken": arm.token(), "expires_on": int(time.time()) + 3600}))

    login("first")
    assert calls.identity(Target(read_only=True)).object_id == "first"
    kept = azure_clients.token(Target(read_only=False))
    assert kept is azure_clients.token(Target(read_only=True))
    # No call mixes the CLI with a server of its own, so the client is asked past the calls.
    client = azure_clients.arm(arm.target(identity="cli"))
    mixed = azure_clients.token(arm.target(identity="cli"))
    asked.write_text("")
    client.send_request(HttpRequest("GET", f"{arm.url}/x"))
    login("second")
    client.send_request(HttpRequest("GET", f"{arm.url}/x"))
    assert len(asked.read_text().splitlines()) == 1
    mixed.renewed()
    client.send_request(HttpRequest("GET", f"{arm.url}/x"))
    before, same, after = (one.headers["Authorization"] for one in arm.seen)
    assert before == same != after
    assert "account get-access-token --output json --resource https://management.azure.com" in asked.read_text()
    assert calls.identity(Target(read_only=False)).object_id == "second"


def az(directory: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A stand-in for the Azure CLI; the real credential runs it."""
    azure_clients._token.cache_clear()
    bin_ = directory / "bin"
    bin_.mkdir(exist_ok=True)
    (bin_ / "az").write_text(f"#!/bin/sh\n{script}\n")
    (bin_ / "az").chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_}:/usr/bin:/bin")


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("echo \"ERROR: Please run 'az login' to setup account.\" >&2; exit 1", "azure-not-logged-in"),
        ("echo 'ERROR: AADSTS700082: The refresh token has expired. az login' >&2; exit 1", "azure-login-expired"),
        ("echo 'ERROR: AADSTS50076: multi-factor' >&2; exit 1", "azure-login-mfa"),
        ("exit 127", "azure-cli-missing"),
        ("echo boom >&2; exit 3", "azure-login-failed"),
        ("echo not json", "azure-login-failed"),
        ("sleep 60", "azure-cli-failed"),
    ],
)
def test_a_cli_that_gives_no_token(script, code, tmp_path, monkeypatch):
    if script == "sleep 60":
        monkeypatch.setattr(azure_clients, "CLI_TIMEOUT", 1)
    az(tmp_path, monkeypatch, script)
    problem = refused(lambda: calls.identity(Target()))
    assert problem.code == code
    assert problem.todo


# ---------------------------------------------------------------- one token for several threads

# Notes that it was begun, and says so when another one is still running. It takes as long as threads may take to ask.
ONE_AT_A_TIME = """
echo begun >> {dir}/asked
mkdir {dir}/running || echo clash >> {dir}/clash
sleep 1.5
rmdir {dir}/running
"""


def side_by_side(count: int, work: Callable[[], object]) -> list[object]:
    """What `work` came to in so many threads that began together."""
    ready = threading.Barrier(count)

    def one(_: int) -> object:
        ready.wait(20)
        try:
            return work()
        except Problem as problem:
            return problem.code

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def test_looks_side_by_side_ask_for_one_token(tmp_path, monkeypatch, arm):
    answer = json.dumps({"accessToken": arm.token(), "expires_on": int(time.time()) + 3600})
    az(tmp_path, monkeypatch, ONE_AT_A_TIME.format(dir=tmp_path) + f"echo '{answer}'")
    found = side_by_side(8, lambda: azure_clients.token(Target()).get_token_info("x").token)
    assert len(set(found)) == 1
    assert (tmp_path / "asked").read_text().split() == ["begun"]


def test_who_asks_as_whom_shares_only_what_was_asked_after(tmp_path, monkeypatch, arm):
    """Eight ask while a token is being fetched: that one is too old for all of them, the next is for all."""
    answer = json.dumps({"accessToken": arm.token(), "expires_on": int(time.time()) + 3600})
    az(tmp_path, monkeypatch, ONE_AT_A_TIME.format(dir=tmp_path) + f"echo '{answer}'")
    azure_clients.token(Target())
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(calls.identity, Target())
        while not (tmp_path / "asked").exists():
            time.sleep(0.01)
        found = side_by_side(8, lambda: calls.identity(Target()).object_id)
        assert first.result().object_id == OBJECT
    assert set(found) == {OBJECT}
    assert not (tmp_path / "clash").exists()
    assert (tmp_path / "asked").read_text().split() == ["begun"] * 2


def test_a_failure_is_shared_and_not_kept(tmp_path, monkeypatch, arm):
    """Else each of six would wait for half a minute after the other, until the last is told that it took too long."""
    az(tmp_path, monkeypatch, ONE_AT_A_TIME.format(dir=tmp_path) + "echo 'ERROR: az login' >&2; exit 1")
    azure_clients.token(Target())
    assert set(side_by_side(6, lambda: calls.identity(Target()))) == {"azure-not-logged-in"}
    assert len((tmp_path / "asked").read_text().split()) <= 2
    assert not (tmp_path / "clash").exists()
    answer = json.dumps({"accessToken": arm.token(), "expires_on": int(time.time()) + 3600})
    (tmp_path / "bin" / "az").write_text(f"#!/bin/sh\necho '{answer}'\n")
    assert calls.identity(Target()).object_id == OBJECT


def test_clients_made_side_by_side_are_one(arm):
    """Of two tokens, one thread would go on as somebody who has signed out."""
    tokens = side_by_side(8, lambda: azure_clients.token(arm.target()))
    clients = side_by_side(8, lambda: azure_clients.network(arm.target(), SUBSCRIPTION))
    assert (len(set(map(id, tokens))), len(set(map(id, clients)))) == (1, 1)


def test_a_refusal_in_one_thread_takes_no_token_from_another(arm):
    """azure-core's own policy asks for the token in one line and reads it in the next, from what all threads share."""

    class RefusedMeanwhile(azure_clients.BearerPolicy):
        def _request_token(self, *scopes: str, **options: Any) -> None:
            super()._request_token(*scopes, **options)
            other = threading.Thread(target=self._refused)
            other.start()
            other.join()

        def _refused(self) -> None:
            self._token = None  # as `send` does when a request came back with 401

    request = PipelineRequest(HttpRequest("GET", f"{arm.url}/x"), PipelineContext(None))
    RefusedMeanwhile(azure_clients.token(arm.target())).on_request(request)
    assert request.http_request.headers["Authorization"].startswith("Bearer ey")


def test_no_cli_at_all(tmp_path, monkeypatch):
    azure_clients._token.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert refused(lambda: calls.identity(Target())).code == "azure-cli-missing"


def test_an_identity_endpoint_that_refuses(arm):
    arm.header = "another"
    target = arm.target(identity_header="wrong")
    assert refused(lambda: calls.subscriptions(target)).code == "azure-login-failed"
    assert arm.seen == []


# ---------------------------------------------------------------- where a sign-in may go


@pytest.mark.parametrize(
    "changed",
    [
        {"identity": "cli", "identity_endpoint": None},
        {"identity": "default"},
        {"arm_url": "https://management.azure.com.evil.example"},
        {"arm_url": None},
        {"identity_endpoint": "http://169.254.169.254/msi"},
        {"identity_endpoint": None},
        {"cloud": "mars"},
        {"identity": "nobody"},
    ],
    ids=str,
)
def test_a_target_that_mixes_sandbox_and_real_is_refused(arm, changed):
    for look in (calls.identity, calls.subscriptions):
        assert refused(functools.partial(look, arm.target(**changed))).code == "unsafe-environment"
    assert arm.seen == []


def test_sovereign_clouds():
    for cloud, host, scope in (
        ("public", "management.azure.com", "https://management.azure.com/.default"),
        ("us-government", "management.usgovcloudapi.net", "https://management.core.usgovcloudapi.net/.default"),
        ("china", "management.chinacloudapi.cn", "https://management.chinacloudapi.cn/.default"),
    ):
        target = Target(cloud=cloud, identity="device-code")
        assert azure_clients.origin(target) == f"https://{host}"
        assert azure_clients.token(target).scope == scope
        client = azure_clients.network(target, SUBSCRIPTION)
        assert client._config.base_url == f"https://{host}"
        assert client._config.credential_scopes == [scope]


@pytest.mark.parametrize("identity", ["cli", "default", "device-code", "browser"])
@pytest.mark.parametrize("cloud", azure_clients.CLOUDS)
def test_every_identity_can_be_made_without_asking_anybody(cloud, identity):
    found = azure_clients.token(Target(cloud=cloud, identity=identity))
    assert hasattr(found._credential, "get_token_info")


def test_a_target_does_not_show_its_header(arm):
    assert arm.header not in repr(arm.target())


# ---------------------------------------------------------------- signing in with a code


@pytest.fixture
def entra(arm: ArmStub, monkeypatch: pytest.MonkeyPatch) -> Iterator[ArmStub]:
    """Microsoft's sign-in service, as the real credential asks it; `pending` until the test signs in."""
    azure_clients._token.cache_clear()
    monkeypatch.setitem(azure_clients.AUTHORITIES, "public", f"127.0.0.1:{arm.port}")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", arm.ca_file)
    known = functools.partial(azure.identity.DeviceCodeCredential, disable_instance_discovery=True)
    monkeypatch.setattr(azure.identity, "DeviceCodeCredential", known)
    base = f"{arm.url}/organizations"
    configuration = {
        "issuer": f"{base}/v2.0",
        "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
        "token_endpoint": f"{base}/oauth2/v2.0/token",
        "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
    }
    arm.on("GET", "/organizations/v2.0/.well-known/openid-configuration", Reply(configuration))
    code = {
        "device_code": "dc",
        "user_code": "ABCD1234",
        "verification_uri": "https://microsoft.com/devicelogin",
        "expires_in": 30,
        "interval": 1,
        "message": "m",
    }
    arm.on("POST", "/organizations/oauth2/v2.0/devicecode", Reply(code))
    not_yet_signed_in(arm)
    yield arm
    azure_clients._token.cache_clear()


def not_yet_signed_in(entra: ArmStub) -> None:
    """Nobody has typed the code."""
    entra.on("POST", "/organizations/oauth2/v2.0/token", Reply({"error": "authorization_pending"}, 400))


def encoded(claims: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()


def finish(entra: ArmStub, tenant: str = "organizations", *, lasts: int = 3600) -> None:
    """Somebody typed the code; the token `lasts` so many seconds."""
    id_token = {
        "aud": "04b07795-8ddb-461a-bbee-02f9e1bf7b46",
        "iss": f"{entra.url}/{TENANT}/v2.0",
        "tid": TENANT,
        "sub": "s",
        "exp": int(time.time()) + 3600,
        "preferred_username": "jane@example.com",
    }
    answer = {
        "token_type": "Bearer",
        "expires_in": lasts,
        "scope": "https://management.azure.com/.default",
        "access_token": entra.token(),
        "id_token": f"{encoded({'alg': 'none'})}.{encoded(id_token)}.x",
        "client_info": encoded({"uid": OBJECT, "utid": TENANT}),
        "refresh_token": "r",
    }
    entra.on("POST", f"/{tenant}/oauth2/v2.0/token", Reply(answer))


def waited(target: Target) -> AzureIdentity:
    deadline = time.monotonic() + 20
    while (found := calls.signed_in(target)) is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def test_a_code_is_shown_while_the_sign_in_waits(entra):
    target = Target(identity="device-code")
    assert refused(lambda: calls.identity(target)).code == "azure-sign-in-needed"  # and does not wait for anybody
    assert calls.begin_sign_in(target) == SignInPrompt("https://microsoft.com/devicelogin", "ABCD1234")
    assert calls.signed_in(target) is None
    finish(entra)
    assert waited(target) == AzureIdentity(TENANT, OBJECT, "jane@example.com")
    assert calls.identity(target).object_id == OBJECT  # from now on without asking
    assert calls.signed_in(target) is not None


def test_a_code_that_ran_out(entra):
    target = Target(identity="device-code")
    calls.begin_sign_in(target)
    entra.on("POST", "/organizations/oauth2/v2.0/token", Reply({"error": "expired_token"}, 400))
    assert refused(lambda: waited(target)).code == "azure-sign-in-late"
    assert refused(lambda: calls.signed_in(target)).code == "azure-sign-in-needed"


def test_a_sign_in_service_that_gives_no_code(entra):
    denied = Reply({"error": "unauthorized_client", "error_description": "AADSTS700016: x"}, 400)
    entra.on("POST", "/organizations/oauth2/v2.0/devicecode", denied)
    problem = refused(lambda: calls.begin_sign_in(Target(identity="device-code")))
    assert (problem.code, "AADSTS700016" in problem.detail) == ("azure-login-failed", True)


def test_the_code_is_asked_for_in_the_tenant_that_is_named(entra):
    for tenant in (TENANT, "contoso.onmicrosoft.com"):
        serve_tenant(entra, tenant)
        assert calls.begin_sign_in(Target(identity="device-code", tenant=tenant)) is not None
        assert f"/{tenant}/oauth2/v2.0/devicecode" in entra.asked("POST")
    assert not any("organizations" in path for path in entra.asked("POST"))


def test_a_sign_in_in_another_tenant_than_the_one_that_is_named_does_not_count(entra):
    other = "99999999-aaaa-4bbb-8ccc-000000000009"
    serve_tenant(entra, other)
    target = Target(identity="device-code", tenant=other)
    calls.begin_sign_in(target)
    finish(entra, other)
    problem = refused(lambda: waited(target))
    assert problem.code == "azure-wrong-tenant"
    assert TENANT in problem.what and other in problem.what


def test_one_that_expired_asks_again_and_the_next_one_counts(entra):
    """The real credential: Azure refuses the token, the refresh is refused too, and a new code leads on."""
    target = Target(identity="device-code")
    calls.begin_sign_in(target)
    finish(entra, lasts=60)
    waited(target)
    gone = {"error": "invalid_grant", "error_description": "AADSTS700082: The refresh token has expired."}
    entra.on("POST", "/organizations/oauth2/v2.0/token", Reply(gone, 400))
    problem = refused(lambda: calls.identity(target))
    assert problem.code == "azure-sign-in-needed" and problem.code in CODES
    not_yet_signed_in(entra)
    assert calls.begin_sign_in(target) == SignInPrompt("https://microsoft.com/devicelogin", "ABCD1234")
    finish(entra)
    assert waited(target).object_id == OBJECT


def serve_tenant(entra: ArmStub, tenant: str) -> None:
    """The sign-in service of one tenant, which gives the same code as the common one."""
    base = f"{entra.url}/{tenant}"
    configuration = {
        "issuer": f"{base}/v2.0",
        "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
        "token_endpoint": f"{base}/oauth2/v2.0/token",
        "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
    }
    code = {"device_code": "dc", "user_code": "ABCD1234", "verification_uri": "https://microsoft.com/devicelogin"}
    entra.on("GET", f"/{tenant}/v2.0/.well-known/openid-configuration", Reply(configuration))
    entra.on("POST", f"/{tenant}/oauth2/v2.0/devicecode", Reply({**code, "expires_in": 30, "interval": 1}))
    entra.on("POST", f"/{tenant}/oauth2/v2.0/token", Reply({"error": "authorization_pending"}, 400))


@pytest.fixture
def asked_az(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arm: ArmStub) -> Path:
    """How an `az` was called that gives a token; the credential that runs it is the real one."""
    asked = tmp_path / "asked"
    answer = json.dumps({"accessToken": arm.token(), "expiresOn": "2099-01-01 00:00:00.000000"})
    az(tmp_path, monkeypatch, f"echo \"$@\" >> {asked}\necho '{answer}'")
    return asked


@pytest.mark.parametrize(
    ("cloud", "scope"),
    [
        ("public", "https://management.azure.com"),
        ("us-government", "https://management.core.usgovcloudapi.net"),
        ("china", "https://management.chinacloudapi.cn"),
    ],
)
@pytest.mark.parametrize("identity", ["cli", pytest.param("default", marks=pytest.mark.slow)])
def test_the_azure_cli_is_asked_for_cloud_and_tenant(asked_az: Path, identity: str, cloud: str, scope: str):
    calls.identity(Target(cloud=cloud, identity=identity, tenant=TENANT))
    asked = asked_az.read_text()
    assert f"--tenant {TENANT}" in asked and scope in asked
    asked_az.unlink()
    calls.identity(Target(cloud=cloud, identity="cli"))
    assert "--tenant" not in asked_az.read_text(), "the sign-in's own"


def test_a_tenant_that_is_none_is_asked_nowhere(asked_az: Path):
    for tenant in ("evil.example/x", "a b", "$(id)", ""):
        problem = refused(functools.partial(calls.identity, Target(tenant=tenant)))
        assert problem.code == "unsafe-environment"
    assert not asked_az.exists()


def test_an_identity_that_needs_nobody(arm):
    assert calls.begin_sign_in(arm.target()) is None
    found = calls.signed_in(arm.target())
    assert found is not None and found.object_id == OBJECT


# ---------------------------------------------------------------- looks


def test_subscriptions_and_groups_by_pages(arm):
    one = {"subscriptionId": SUBSCRIPTION, "displayName": "Prod", "state": "Enabled", "tenantId": TENANT}
    arm.on("GET", "/subscriptions", page(one, following=f"{arm.url}/subscriptions/next?token=a%20b"))
    arm.on("GET", "/subscriptions/next", page({**one, "displayName": "Test", "state": "Disabled"}))
    found = calls.subscriptions(arm.target())
    assert [(each.id, each.name, each.state, each.tenant_id) for each in found] == [
        (SUBSCRIPTION, "Prod", "Enabled", TENANT),
        (SUBSCRIPTION, "Test", "Disabled", TENANT),
    ]
    assert arm.seen[-1].query == {"token": "a b"}
    arm.on(
        "GET", f"/subscriptions/{SUBSCRIPTION}/resourcegroups", page({"id": GROUP, "name": "rg", "location": "eastus"})
    )
    assert [each.name for each in calls.resource_groups(arm.target(), SUBSCRIPTION)] == ["rg"]


def test_a_provider(arm):
    arm.on("GET", PROVIDER, Reply({"registrationState": "Registered"}), Reply({"registrationState": "Registering"}))
    assert calls.provider_registered(arm.target(), SUBSCRIPTION, "Microsoft.Network")
    assert not calls.provider_registered(arm.target(), SUBSCRIPTION, "Microsoft.Network")


def test_permissions(arm):
    """Wildcards have no case; what one role takes away, another may still give."""
    read, write, join = "Microsoft.Network/privateEndpoints/read", "Microsoft.Network/a/write", "Microsoft.Network/join"
    path = f"{GROUP}/providers/Microsoft.Authorization/permissions"

    def allowed(*roles: dict[str, Any]) -> list[bool | None]:
        arm.on("GET", path, page(*roles))
        return [one.allowed for one in calls.permissions(arm.target(), GROUP, (read, write, join))]

    assert allowed() == [False, False, False]
    assert allowed({"actions": ["*/READ"], "notActions": []}) == [True, False, False]
    assert allowed({"actions": ["*"], "notActions": ["microsoft.network/*/Write"]}) == [True, False, True]
    assert allowed({"actions": ["*"], "notActions": ["*"]}, {"actions": [join]}) == [False, False, True]
    assert allowed({"actions": ["*" * 299 + "x", "*" * 10_000, 7, None], "notActions": "x"}) == [False, False, False]
    arm.on("GET", path, error("AuthorizationFailed", status=403))
    assert {one.allowed for one in calls.permissions(arm.target(), GROUP, (read,))} == {None}
    arm.on("GET", path, error("InvalidResourceGroup"))
    assert refused(lambda: calls.permissions(arm.target(), GROUP, (read,))).code == "azure-error"


def subnet(**properties: Any) -> dict[str, Any]:
    return {"id": f"{VNET}/subnets/s", "name": "s", "properties": properties}


@pytest.mark.parametrize(
    ("properties", "free"),
    [
        ({"addressPrefix": "10.0.0.0/27"}, 27),
        ({"addressPrefix": "10.0.0.0/27", "ipConfigurations": [{}] * 7}, 20),
        ({"addressPrefix": "10.0.0.0/29", "ipConfigurations": [{}] * 9}, 0),
        ({"addressPrefix": "10.0.0.0/30"}, 0),
        ({"addressPrefixes": ["10.0.0.0/28", "10.1.0.0/28"]}, 22),
        ({"addressPrefixes": ["10.0.0.0/28", "fd00::/64"]}, None),
        ({"addressPrefix": "nonsense"}, None),
        ({"addressPrefix": 5, "addressPrefixes": [5]}, None),
        ({}, None),
    ],
    ids=str,
)
def test_free_addresses(arm, properties, free):
    arm.on("GET", VNET, Reply({"id": VNET, "properties": {"subnets": [subnet(**properties)]}}))
    found = calls.network(arm.target(), VNET)
    assert found is not None and found.subnets[0].free == free


def test_networks(arm):
    one = {
        "id": VNET,
        "name": "v",
        "location": "eastus",
        "properties": {
            "dhcpOptions": {"dnsServers": ["10.0.0.2"]},
            "subnets": [subnet(addressPrefix="10.0.0.0/24", privateEndpointNetworkPolicies="Enabled")],
        },
    }
    path = f"{PROVIDER}/virtualNetworks"
    arm.on("GET", path, page(one, following=f"{arm.url}{path}/2"))
    arm.on("GET", f"{path}/2", page({**one, "name": "w", "properties": {}}))
    v, w = calls.networks(arm.target(), SUBSCRIPTION)
    assert (v.name, v.location, v.dns_servers, v.subnets[0].endpoint_policies) == (
        "v",
        "eastus",
        ("10.0.0.2",),
        "Enabled",
    )
    assert v.subnets[0].prefixes == ("10.0.0.0/24",)
    assert (w.name, w.dns_servers, w.subnets) == ("w", (), ())
    assert calls.network(arm.target(), VNET) is None


def test_one_endpoint(arm):
    arm.on("GET", ONE, Reply(endpoint("pe", status="Pending")))
    arm.on("GET", f"{NETWORK}/networkInterfaces/pe-nic", Reply(interface("pe-nic", "10.0.0.4")))
    found = calls.endpoint(arm.target(), ONE)
    assert found is not None
    assert (found.name, found.location, found.connection, found.provisioning) == (
        "pe",
        "eastus",
        "Pending",
        "Succeeded",
    )
    assert (found.service, found.message, found.addresses) == (ALIAS, "Auto Approved", ("10.0.0.4",))
    assert (found.nic_id, found.subnet_id) == (f"{NETWORK}/networkInterfaces/pe-nic", f"{VNET}/subnets/s")


def test_an_endpoint_before_it_has_an_address(arm):
    for nics in ([], None, [{"id": ""}]):
        arm.on("GET", ONE, Reply(endpoint("pe", networkInterfaces=nics)))
        found = calls.endpoint(arm.target(), ONE)
        assert found is not None and found.addresses == ()
    arm.on("GET", ONE, Reply(endpoint("pe")))  # its interface is not there yet
    found = calls.endpoint(arm.target(), ONE)
    assert found is not None and (found.addresses, found.nic_id[-6:]) == ((), "pe-nic")


def test_an_endpoint_whose_interface_may_not_be_read_has_no_address_and_is_there(arm):
    """Its state is not hidden by a right that is missing elsewhere; any other failure is told."""
    arm.on("GET", ONE, Reply(endpoint("pe")))
    arm.on("GET", f"{NETWORK}/networkInterfaces/pe-nic", error("AuthorizationFailed", status=403))
    found = calls.endpoint(arm.target(), ONE)
    assert found is not None and (found.connection, found.addresses, found.nic_id[-6:]) == ("Approved", (), "pe-nic")
    arm.on("GET", f"{PROVIDER}/privateEndpoints", page(endpoint("pe")))
    arm.on("GET", f"{PROVIDER}/networkInterfaces", error("AuthorizationFailed", status=403))
    assert calls.endpoints(arm.target(), SUBSCRIPTION) == (found,)
    for path in (f"{NETWORK}/networkInterfaces/pe-nic", f"{PROVIDER}/networkInterfaces"):
        arm.on("GET", path, error("InvalidResourceType", status=400))
    assert refused(lambda: calls.endpoint(arm.target(), ONE)).code != "forbidden"
    assert refused(lambda: calls.endpoints(arm.target(), SUBSCRIPTION)).code != "forbidden"


def test_a_connection_is_found_in_either_list(arm):
    one = endpoint("pe", networkInterfaces=[])
    properties = one["properties"]
    lists = "manualPrivateLinkServiceConnections", "privateLinkServiceConnections"
    properties[lists[1]], properties[lists[0]] = properties[lists[0]], []
    arm.on("GET", ONE, Reply(one))
    found = calls.endpoint(arm.target(), ONE)
    assert found is not None and (found.connection, found.service) == ("Approved", ALIAS)


@pytest.mark.parametrize("of", [ONE, "", None, 5])
def test_one_interface(arm, of):
    nic_id = f"{NETWORK}/networkInterfaces/pe-nic"
    shown = interface("pe-nic", "10.0.0.4")
    shown["properties"]["privateEndpoint"] = {"id": of}
    arm.on("GET", nic_id, Reply(shown))
    assert calls.interface(arm.target(), nic_id) == Interface(nic_id, of if of == ONE else "")
    assert calls.interface(arm.target(), f"{nic_id}-2") is None
    assert refused(lambda: calls.interface(arm.target(), ONE)).code == "azure-id-wrong"


def test_an_interface_elsewhere_leads_nowhere_else(arm):
    for nic in ("/subscriptions/../../evil", f"{ONE}", f"{NETWORK}/networkInterfaces/..", "https://evil/x"):
        arm.on("GET", ONE, Reply(endpoint("pe", networkInterfaces=[{"id": nic}])))
        assert refused(lambda: calls.endpoint(arm.target(), ONE)).code == "azure-id-wrong"
    assert set(arm.asked()) == {ONE}


@pytest.mark.parametrize("count", [1, 40])
def test_the_calls_grow_with_pages_not_with_endpoints(arm, count):
    endpoints, nics = f"{PROVIDER}/privateEndpoints", f"{PROVIDER}/networkInterfaces"
    names = [f"pe{number}" for number in range(count * 2)]
    arm.on("GET", endpoints, page(*map(endpoint, names[:count]), following=f"{arm.url}{endpoints}/2"))
    arm.on("GET", f"{endpoints}/2", page(*map(endpoint, names[count:])))
    # ARM spells one id in several ways.
    found_nics = [interface(f"{name}-nic".upper(), f"10.0.0.{number}") for number, name in enumerate(names)]
    arm.on("GET", nics, page(*found_nics, interface("other", "10.9.9.9")))
    found = calls.endpoints(arm.target(), SUBSCRIPTION)
    assert [one.addresses for one in found] == [(f"10.0.0.{number}",) for number in range(count * 2)]
    assert len(arm.seen) == 3


def test_visibility_and_approval(arm):
    path = f"{LOCATIONS}/eastus/checkPrivateLinkServiceVisibility"
    arm.on("POST", path, Reply({"visible": True}), Reply({"visible": False}), Reply({"visible": "yes"}))
    assert [calls.visible(arm.target(), SUBSCRIPTION, "eastus", ALIAS) for _ in range(3)] == [True, False, False]
    assert arm.seen[0].body == {"privateLinkServiceAlias": ALIAS}
    path = f"{LOCATIONS}/eastus/autoApprovedPrivateLinkServices"
    arm.on("GET", path, page({"privateLinkService": "/a"}, {}, following=f"{arm.url}{path}/2"))
    arm.on("GET", f"{path}/2", page({"privateLinkService": "/b"}))
    assert calls.auto_approved(arm.target(), SUBSCRIPTION, "eastus") == ("/a", "/b")


def test_visibility_that_takes_its_time(arm):
    path = f"{LOCATIONS}/eastus/checkPrivateLinkServiceVisibility"
    arm.on("POST", path, Reply(None, 202, {"Location": f"{arm.url}/operations/1"}))
    arm.on("GET", "/operations/1", Reply({"visible": True}))
    assert calls.visible(arm.target(), SUBSCRIPTION, "eastus", ALIAS)


def test_zones_links_and_records(arm):
    arm.on("GET", f"{PROVIDER}/privateDnsZones", page({"id": ZONE, "name": "dpm.example.link"}))
    assert calls.zones(arm.target(), SUBSCRIPTION) == (Zone(ZONE, "dpm.example.link"),)
    properties = {
        "virtualNetwork": {"id": VNET},
        "virtualNetworkLinkState": "Completed",
        "provisioningState": "Succeeded",
    }
    arm.on("GET", f"{ZONE}/virtualNetworkLinks", page({"id": LINK, "name": "v-link", "properties": properties}))
    assert calls.zone_links(arm.target(), ZONE) == (ZoneLink(LINK, "v-link", ZONE, VNET, "Completed", "Succeeded"),)
    assert calls.a_record(arm.target(), ZONE, "@") is None
    arm.on("GET", RECORD, Reply(record_set("10.0.0.4", "10.0.0.5")))
    assert calls.a_record(arm.target(), ZONE, "@") == ARecord(ZONE, "@", ("10.0.0.4", "10.0.0.5"), 300)
    arm.on("GET", RECORD, Reply({"properties": {"ttl": "x", "aRecords": [7, {"ipv4Address": 7}]}}))
    assert calls.a_record(arm.target(), ZONE, "@") == ARecord(ZONE, "@", ("", ""), 0)
    arm.on("GET", RECORD, Reply({"code": "NotFound", "message": "The resource record '@' does not exist."}, 404))
    assert calls.a_record(arm.target(), ZONE, "@") is None


@pytest.mark.parametrize("code", ["ResourceNotFound", "ParentResourceNotFound", "ResourceGroupNotFound"])
def test_a_zone_that_is_not_there_has_no_links_and_no_records(arm, code: str):
    """Else nobody could tell how a change ended whose zone was deleted since."""
    for path in (f"{ZONE}/virtualNetworkLinks", RECORD, f"{ZONE}/A"):
        arm.on("GET", path, error(code, "It could not be found.", status=404))
    assert calls.zone_links(arm.target(), ZONE) == ()
    assert calls.a_records(arm.target(), ZONE) == ()
    assert calls.a_record(arm.target(), ZONE, "@") is None
    arm.on("GET", f"{ZONE}/virtualNetworkLinks", error("SubscriptionNotFound", "There is no such one.", status=404))
    assert refused(lambda: calls.zone_links(arm.target(), ZONE)).code == "azure-subscription-unknown"


@pytest.mark.parametrize(
    "bad",
    ["", "..", "/", f"{ONE}/x", f"{ONE}\n", ONE.replace("rg-dpe", ".."), ONE.replace("rg-dpe", "a%2Fb"), f"{ONE}?x=1"],
)
def test_no_id_leads_elsewhere(arm, bad):
    looks: tuple[Callable[[], object], ...] = (
        lambda: calls.endpoint(arm.target(), bad),
        lambda: calls.network(arm.target(), bad),
        lambda: calls.zone_links(arm.target(), bad),
        lambda: calls.endpoints(arm.target(), bad),
        lambda: calls.resource_groups(arm.target(), bad),
        lambda: calls.permissions(arm.target(), bad.replace("privateEndpoints/pe", "..") or "..", ("x",)),
        lambda: calls.a_record(arm.target(), ZONE, bad),
        lambda: changes.delete_endpoint(arm.target(read_only=False), bad),
        lambda: changes.create_link(arm.target(read_only=False), bad, VNET),
    )
    for look in looks:
        assert refused(look).code == "azure-id-wrong"
    assert arm.seen == []


# ---------------------------------------------------------------- changes


def operations(arm: ArmStub, *answers: Reply) -> dict[str, str]:
    arm.on("GET", "/operations/1", *answers)
    return {"Azure-AsyncOperation": f"{arm.url}/operations/1?t=1&s=SIGNED"}


def test_an_endpoint_is_created(arm):
    writer = arm.target(read_only=False)
    headers = operations(
        arm, Reply({"status": "InProgress"}), Reply({"status": "Updating"}), Reply({"status": "Succeeded"})
    )
    arm.on("PUT", ONE, Reply(endpoint("pe"), 201, headers))
    changes.create_endpoint(writer, wanted(message="Please approve"))
    assert [(one.method, one.path) for one in arm.seen] == [("GET", ONE), ("PUT", ONE)]
    assert arm.seen[1].body == {
        "location": "eastus",
        "properties": {
            "subnet": {"id": f"{VNET}/subnets/s"},
            "customNetworkInterfaceName": "pe-nic",
            "manualPrivateLinkServiceConnections": [
                {"name": "pe", "properties": {"privateLinkServiceId": ALIAS, "requestMessage": "Please approve"}}
            ],
        },
    }
    for status in ("InProgress", "InProgress", "Succeeded", "Succeeded"):
        assert changes.operation(writer, ONE.upper()) == Operation(status)
    assert arm.asked().count("/operations/1") == 3  # what has ended is not asked for again
    assert arm.seen[-1].query == {"t": "1", "s": "SIGNED"}


CARRIED = Carried(
    tags=(("owner", "jane"),),
    ip_configurations=(IpConfiguration("static", "10.0.0.77", "g", "m"), IpConfiguration("two", "10.0.0.78")),
    security_groups=(f"{NETWORK}/applicationSecurityGroups/asg",),
)


def test_what_an_endpoint_carries_is_read_and_sent_as_it_was(arm):
    """What is read of one endpoint and sent for the next is the same on the wire."""
    given: dict[str, Any] = {
        "ipConfigurations": [
            {"name": "static", "properties": {"privateIPAddress": "10.0.0.77", "groupId": "g", "memberName": "m"}},
            {"name": "two", "properties": {"privateIPAddress": "10.0.0.78"}},
        ],
        "applicationSecurityGroups": [{"id": CARRIED.security_groups[0]}],
    }
    arm.on("GET", ONE, Reply({**endpoint("pe", networkInterfaces=[], **given), "tags": {"owner": "jane"}}), not_found())
    found = calls.endpoint(arm.target(), ONE)
    assert found is not None and found.carried == CARRIED
    arm.on("PUT", ONE, Reply(endpoint("pe"), 201))
    changes.create_endpoint(arm.target(read_only=False), wanted(carried=found.carried))
    body = arm.seen[-1].body
    assert body["tags"] == {"owner": "jane"}
    assert {key: body["properties"][key] for key in given} == given


@pytest.mark.parametrize("odd", [5, "x", [1], {"a": 1}, [{"properties": 7}]])
def test_odd_things_that_an_endpoint_carries(arm, odd):
    properties = {"ipConfigurations": odd, "applicationSecurityGroups": odd}
    arm.on("GET", ONE, Reply({**endpoint("pe", networkInterfaces=[], **properties), "tags": odd}))
    try:
        found = calls.endpoint(arm.target(), ONE)
    except Problem as problem:
        assert problem.code == "azure-answer-unknown"
    else:
        assert found is not None and found.carried.security_groups == ()


def test_the_zone_groups_of_an_endpoint(arm):
    arm.on("GET", f"{ONE}/privateDnsZoneGroups", page({"name": "default"}, {"name": "hub"}), not_found())
    assert calls.zone_groups(arm.target(), ONE) == ("default", "hub")
    assert calls.zone_groups(arm.target(), ONE) == ()


def test_an_endpoint_that_is_there_is_not_written_over(arm):
    arm.on("GET", ONE, Reply(endpoint("pe")))
    assert refused(lambda: changes.create_endpoint(arm.target(read_only=False), wanted())).code == "azure-exists"
    arm.on("GET", ONE, error("AuthorizationFailed", status=403))
    assert refused(lambda: changes.create_endpoint(arm.target(read_only=False), wanted())).code == "forbidden"
    assert arm.asked("PUT") == []


@pytest.mark.parametrize("status", ["Failed", "Canceled"])
def test_an_operation_that_fails_with_http_200(arm, status):
    writer = arm.target(read_only=False)
    inner = {"code": "ConflictError", "message": "inner"}
    failed = {"status": status, "error": {"code": "Outer", "message": "Words ?s=SIGNED.", "details": [inner]}}
    arm.on("PUT", ONE, Reply(endpoint("pe"), 201, operations(arm, Reply(failed))))
    changes.create_endpoint(writer, wanted())
    found = changes.operation(writer, ONE)
    assert (found.status, found.problem, found.code) == (status, "azure-conflict", "ConflictError")
    assert "SIGNED" not in found.message
    known = explain(Failure("ConflictError", "inner"))
    assert (found.means, found.todo) == (known.means, known.todo)
    assert found.todo


def test_operations_that_nobody_knows(arm):
    writer = arm.target(read_only=False)
    assert changes.operation(writer, ONE) == Operation("")
    arm.on("PUT", ONE, Reply(endpoint("pe"), 201, operations(arm, error("OperationNotFound", status=404))))
    changes.create_endpoint(writer, wanted())
    assert changes.operation(writer, ONE) == Operation("")
    arm.on("GET", "/operations/1", error("AuthorizationFailed", status=403), Reply({"status": "Succeeded"}))
    changes.create_endpoint(writer, wanted())
    assert refused(lambda: changes.operation(writer, ONE)).code == "forbidden"
    assert changes.operation(writer, ONE) == Operation("Succeeded")  # it was not given up for that
    arm.on("PUT", ONE, Reply(endpoint("pe"), 200))
    changes.create_endpoint(writer, wanted())
    assert changes.operation(writer, ONE) == Operation("")  # the new change has none to follow; the resource tells


@pytest.mark.parametrize("body", [b"", b"[]", b'{"status": 5}', b'{"status": ""}', b"<html>", b"[" * 100_000])
def test_an_operation_that_answers_nonsense(arm, body):
    writer = arm.target(read_only=False)
    arm.on("PUT", ONE, Reply(endpoint("pe"), 201, operations(arm, Reply(body), Reply({"status": "Succeeded"}))))
    changes.create_endpoint(writer, wanted())
    assert refused(lambda: changes.operation(writer, ONE)).code == "azure-answer-unknown"
    assert changes.operation(writer, ONE) == Operation("Succeeded")


@pytest.mark.parametrize("header", ["Retry-After", "Azure-AsyncOperation", "Location"])
def test_a_first_answer_with_odd_headers_never_becomes_a_second_put(arm, header):
    writer = arm.target(read_only=False)
    arm.on("PUT", ONE, Reply(b"<html>", 201, {header: "soon"}))
    try:
        changes.create_endpoint(writer, wanted())
        changes.operation(writer, ONE)
    except Problem as problem:
        assert problem.code in ("azure-outcome-unknown", "azure-missing", "azure-other-host")
    assert arm.asked("PUT") == [ONE]


def test_an_endpoint_is_deleted(arm):
    writer = arm.target(read_only=False)
    arm.on("DELETE", ONE, Reply(None, 202, {"Location": f"{arm.url}/operations/1"}))
    arm.on("GET", "/operations/1", Reply(None, 202), Reply(b"", 204))
    changes.delete_endpoint(writer, ONE)
    assert [changes.operation(writer, ONE).status for _ in range(2)] == ["InProgress", "Succeeded"]
    arm.on("DELETE", ONE, Reply(b"", 204))
    changes.delete_endpoint(writer, ONE)


def test_a_zone_and_its_link_are_created_only_where_there_are_none(arm):
    writer = arm.target(read_only=False)
    exists = {"status": "Failed", "error": {"code": "PreconditionFailed", "message": "The Zone exists already."}}
    headers = operations(arm, Reply({"status": "InProgress"}, 202), Reply(exists))
    arm.on("PUT", ZONE, Reply({}, 202, {**headers, "Location": f"{arm.url}/result"}))
    changes.create_zone(writer, ZONE)
    assert (arm.seen[-1].body, arm.seen[-1].headers["If-None-Match"]) == ({"location": "global"}, "*")
    assert changes.operation(writer, ZONE) == Operation("InProgress")
    assert changes.operation(writer, ZONE).problem == "azure-changed-meanwhile"
    arm.on("PUT", LINK, Reply({}, 202, operations(arm, Reply({"status": "Succeeded"}))))
    changes.create_link(writer, LINK, VNET)
    assert arm.seen[-1].headers["If-None-Match"] == "*"
    assert arm.seen[-1].body["properties"] == {"virtualNetwork": {"id": VNET}, "registrationEnabled": False}
    assert changes.operation(writer, LINK) == Operation("Succeeded")


def record_set(*addresses: str, etag: str = "e1") -> dict[str, Any]:
    return {"etag": etag, "properties": {"ttl": 300, "aRecords": [{"ipv4Address": one} for one in addresses]}}


def test_a_record_is_written_new_or_over_what_was_seen(arm):
    writer = arm.target(read_only=False)
    record, before = ARecord(ZONE, "@", ("10.0.0.5",), 60), ARecord(ZONE, "@", ("10.0.0.4",), 300)
    arm.on("PUT", RECORD, Reply(record_set("10.0.0.5")))
    changes.set_a_record(writer, record, None)
    assert [one.method for one in arm.seen] == ["PUT"]
    assert arm.seen[0].headers["If-None-Match"] == "*"
    assert arm.seen[0].body == {"properties": {"ttl": 60, "aRecords": [{"ipv4Address": "10.0.0.5"}]}}
    arm.on("GET", RECORD, Reply(record_set("10.0.0.4")))
    changes.set_a_record(writer, record, before)
    assert arm.seen[-1].headers["If-Match"] == "e1"
    assert "If-None-Match" not in arm.seen[-1].headers
    assert arm.seen[-1].body == {"properties": {"ttl": 60, "aRecords": [{"ipv4Address": "10.0.0.5"}]}}


def test_what_others_noted_at_a_record_is_sent_back_with_it(arm):
    """A PUT replaces the whole record set: metadata that is not in it is gone."""
    writer, note = arm.target(read_only=False), "x" * 1024
    there = record_set("10.0.0.4")
    there["properties"]["metadata"] = {"owner": "dns-team", "note": note}
    arm.on("GET", RECORD, Reply(there))
    arm.on("PUT", RECORD, Reply(there))
    changes.set_a_record(writer, ARecord(ZONE, "@", ("10.0.0.5",), 300), ARecord(ZONE, "@", ("10.0.0.4",), 300))
    assert arm.seen[-1].body["properties"] == {
        "ttl": 300,
        "aRecords": [{"ipv4Address": "10.0.0.5"}],
        "metadata": {"owner": "dns-team", "note": note},
    }


def test_a_record_that_somebody_changed_is_kept(arm):
    writer = arm.target(read_only=False)
    record, before = ARecord(ZONE, "@", ("10.0.0.5",), 60), ARecord(ZONE, "@", ("10.0.0.4",), 300)
    for now in (Reply(record_set("10.0.0.9")), not_found(), Reply(record_set("10.0.0.4", etag=""))):
        arm.on("GET", RECORD, now)
        assert refused(lambda: changes.set_a_record(writer, record, before)).code == "azure-changed-meanwhile"
    assert arm.asked("PUT") == []
    arm.on("PUT", RECORD, error("PreconditionFailed", status=412))
    assert refused(lambda: changes.set_a_record(writer, record, None)).code == "azure-changed-meanwhile"


# ---------------------------------------------------------------- the adapters, in two processes


def test_importing_the_adapter_loads_no_azure():
    script = """
import sys, wizard.adapters.azure, wizard.adapters.azure_changes
print([name for name in sys.modules if name.partition(".")[0] in ("azure", "msal", "requests", "urllib3", "aiohttp")])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


async def test_every_look_and_change_from_the_screens_process(arm, process):
    looker: AzureReader = AzureLooker(arm.target(read_only=False), process)
    actor: AzureWriter = AzureActor(arm.target(), process)
    acting = actor.acting_as(ME)
    assert (await looker.identity()).object_id == OBJECT
    arm.on("GET", "/subscriptions", page({"subscriptionId": SUBSCRIPTION}))
    arm.on("GET", f"/subscriptions/{SUBSCRIPTION}/resourcegroups", page({"name": "rg"}))
    arm.on("GET", f"{PROVIDER}/virtualNetworks", page({"name": "v"}))
    arm.on("GET", f"{PROVIDER}/privateEndpoints", page())
    arm.on("GET", f"{PROVIDER}/privateDnsZones", page({"name": "z"}))
    arm.on("GET", f"{ZONE}/virtualNetworkLinks", page({"name": "l"}))
    arm.on("GET", PROVIDER, Reply({"registrationState": "Registered"}))
    arm.on("POST", f"{LOCATIONS}/eastus/checkPrivateLinkServiceVisibility", Reply({"visible": True}))
    arm.on("GET", f"{LOCATIONS}/eastus/autoApprovedPrivateLinkServices", page())
    arm.on("GET", f"{GROUP}/providers/Microsoft.Authorization/permissions", page({"actions": ["*"]}))
    assert [one.id for one in await looker.subscriptions()] == [SUBSCRIPTION]
    assert [one.name for one in await looker.resource_groups(SUBSCRIPTION)] == ["rg"]
    assert [one.name for one in await looker.networks(SUBSCRIPTION)] == ["v"]
    assert [one.name for one in await looker.zones(SUBSCRIPTION)] == ["z"]
    assert [one.name for one in await looker.zone_links(ZONE)] == ["l"]
    assert await looker.network(VNET) is None
    assert await looker.endpoint(ONE) is None
    assert await looker.endpoints(SUBSCRIPTION) == ()
    assert await looker.interface(f"{NETWORK}/networkInterfaces/pe-nic") is None
    assert await looker.a_record(ZONE, "@") is None
    assert await looker.visible(SUBSCRIPTION, "eastus", ALIAS)
    assert await looker.auto_approved(SUBSCRIPTION, "eastus") == ()
    assert await looker.provider_registered(SUBSCRIPTION, "Microsoft.Network")
    assert [one.allowed for one in await looker.permissions(GROUP, ["a/b"])] == [True]
    for path, status in ((ONE, 201), (ZONE, 202), (LINK, 202)):
        arm.on("PUT", path, Reply({}, status, operations(arm, Reply({"status": "Succeeded"}))))
    arm.on("PUT", RECORD, Reply(record_set("10.0.0.4"), 201))
    arm.on("DELETE", ONE, Reply(b"", 204))
    await acting.create_endpoint(wanted())
    await acting.create_zone(ZONE)
    await acting.create_link(LINK, VNET)
    await acting.set_a_record(ARecord(ZONE, "@", ("10.0.0.4",), 300), replacing=None)
    assert {(await actor.operation(one)).status for one in (ONE, ZONE, LINK)} == {"Succeeded"}
    await acting.delete_endpoint(ONE)
    assert arm.asked("PUT") == [ONE, ZONE, LINK, RECORD]


async def test_a_lookers_pipeline_lets_no_change_through(arm, process):
    """Whatever its target says: the writer is another class."""
    looker = AzureLooker(arm.target(read_only=False), process)
    with pytest.raises(Problem) as caught:
        await process.call(changes.delete_endpoint, looker._target, ONE, timeout=30)
    assert caught.value.code == "azure-read-only"
    assert not hasattr(looker, "delete_endpoint")
    assert arm.seen == []


async def test_signing_in_where_nobody_is_needed(arm, process):
    shown: list[SignInPrompt] = []
    assert (await AzureLooker(arm.target(), process).sign_in(shown.append)).object_id == OBJECT
    assert shown == []


async def test_a_call_that_is_stuck_is_ended(arm, process, monkeypatch):
    async def stuck(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        # To a connection that is gone a write comes back at once, and nothing else would have its turn.
        while request.transport is not None and not request.transport.is_closing():
            await response.write(b" ")
            await asyncio.sleep(0)
        return response

    looker, actor = AzureLooker(arm.target(), process), AzureActor(arm.target(), process)
    acting = actor.acting_as(ME)
    await looker.identity()  # so that the child is there, and the deadline is the call's
    for module in (adapter, azure_acting):
        monkeypatch.setattr(module, "CALL_TIMEOUT", 0.001)
    arm.on("GET", "/subscriptions", stuck)
    with pytest.raises(Problem) as caught:
        await looker.subscriptions()
    assert caught.value.code == "azure-timeout"
    with pytest.raises(Problem) as caught:
        await acting.delete_endpoint(ONE)
    assert caught.value.code == "azure-outcome-unknown"
    assert await actor.operation(ONE) == Operation("")


async def test_a_child_that_dies_during_a_change(process, monkeypatch, arm):
    actor = AzureActor(arm.target(), process)
    acting = actor.acting_as(ME)
    await process.call(abs, -1, timeout=30)

    async def kill(request: web.Request) -> web.StreamResponse:
        import signal

        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        return web.Response()

    arm.on("DELETE", ONE, kill)
    with pytest.raises(Problem) as caught:
        await acting.delete_endpoint(ONE)
    assert caught.value.code == "azure-outcome-unknown"


# ---------------------------------------------------------------- several calls at once


@pytest.fixture
async def several() -> AsyncIterator[SdkProcess]:
    made = SdkProcess(adapter.MODULES, at_once=adapter.AT_ONCE)
    yield made
    await made.close()


class Meeting:
    """Answers when so many requests are there at once."""

    def __init__(self, count: int, reply: Reply) -> None:
        self._left, self._reply = count, reply
        self._all = asyncio.Event()

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        self._left -= 1
        if self._left <= 0:
            self._all.set()
        await asyncio.wait_for(self._all.wait(), 20)
        return web.json_response(self._reply.body, status=self._reply.status)


async def test_looks_are_made_side_by_side(arm, several):
    """Each is answered only when all have come."""
    looker = AzureLooker(arm.target(), several)
    meeting = Meeting(adapter.AT_ONCE, Reply({"value": []}))
    for path in ("/subscriptions", *(f"{PROVIDER}/{kind}" for kind in ("virtualNetworks", "privateDnsZones"))):
        arm.on("GET", path, meeting)
    looks = (looker.subscriptions, lambda: looker.networks(SUBSCRIPTION), lambda: looker.zones(SUBSCRIPTION))
    found = await asyncio.gather(*(look() for look in looks * 2))
    assert found == [()] * 6
    assert len(arm.connections) >= 3


async def test_what_is_asked_after_the_identity_waits_for_it(tmp_path, monkeypatch, several):
    """Evidence names who saw it, so nothing may be seen with the token of who was signed in before."""
    az(tmp_path, monkeypatch, f"touch {tmp_path}/asked; while [ ! -e {tmp_path}/go ]; do sleep 0.05; done; exit 1")
    looker = AzureLooker(Target(), several)
    naming = asyncio.create_task(looker.identity())
    await until((tmp_path / "asked").exists)
    looking = asyncio.create_task(several.call(os.getpid, timeout=30))
    later = asyncio.create_task(looker.subscriptions())
    assert await looking  # there is room in the child, so it is not that
    assert not several._slots.locked() and len(several._child._calls) == 1
    (tmp_path / "go").touch()
    for task in (naming, later):
        with pytest.raises(Problem):
            await task


async def test_an_innocent_look_is_made_again(arm, several):
    """A change that is given up ends the child at once, with all that goes on in it."""
    looker = AzureLooker(arm.target(), several)
    let_go = threading.Event()

    async def waits(request: web.Request) -> web.StreamResponse:
        while not let_go.is_set():
            await asyncio.sleep(0.01)
        return web.json_response({"value": []})

    arm.on("GET", "/subscriptions", waits)
    looking = asyncio.create_task(looker.subscriptions())
    await until(lambda: arm.seen)
    with pytest.raises(TimeoutError):
        await several.call(time.sleep, 600.0, timeout=0.1, changes=True)
    let_go.set()
    assert await looking == ()
    assert arm.asked() == ["/subscriptions"] * 2


async def test_an_innocent_change_is_not_sent_again(arm, several):
    actor = AzureActor(arm.target(), several)
    acting = actor.acting_as(ME)

    async def waits(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(60)
        return web.Response()

    arm.on("DELETE", ONE, waits)
    changing = asyncio.create_task(acting.delete_endpoint(ONE))
    await until(lambda: arm.seen)
    with pytest.raises(TimeoutError):
        await several.call(time.sleep, 600.0, timeout=0.1, changes=True)
    with pytest.raises(Problem) as caught:
        await changing
    assert caught.value.code == "azure-outcome-unknown"
    assert arm.asked("DELETE") == [ONE]


async def test_throttling_is_told_while_it_lasts(arm):
    heard: list[str] = []
    process = SdkProcess(adapter.MODULES, told=heard.append)
    arm.on("GET", "/subscriptions", error("TooManyRequests", status=429, Retry_After="1"), page())
    assert await AzureLooker(arm.target(), process).subscriptions() == ()
    assert heard == ["Azure asks to slow down: waiting 1 s, then asking again"]
    await process.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)
