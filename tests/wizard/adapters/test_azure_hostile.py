"""An ARM, and an identity endpoint, that mean harm: through the real child, as the screen's process asks them.

`test_azure_policies.py` tries the same pipeline in one process, request by request; here it is shown that nothing of
it ends the child, holds up what is asked beside it, or leaves the program without an answer.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from state.problem import Problem
from tests.wizard.adapters.arm_stub import (
    LOCATIONS,
    ME,
    NETWORK,
    OBJECT,
    SUBSCRIPTION,
    Answer,
    ArmStub,
    Reply,
    arm_stub,
    endpoint,
    error,
    page,
)
from wizard.adapters import azure as adapter
from wizard.adapters.azure import AzureLooker
from wizard.adapters.azure_acting import AzureActor
from wizard.adapters.sdk_process import SdkProcess
from wizard.azure import ARecord, Operation, WantedEndpoint

pytestmark = pytest.mark.slow  # each has a child of its own, which loads the SDKs

PROVIDER = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Network"
ONE = f"{NETWORK}/privateEndpoints/pe"
ZONE = f"{NETWORK}/privateDnsZones/dpm.example.link"
LINK = f"{ZONE}/virtualNetworkLinks/v"
WANTED = WantedEndpoint(ONE, "eastus", f"{NETWORK}/virtualNetworks/v/subnets/s", "alias", "pe-nic")
YEAR = str(365 * 24 * 3600)


@pytest.fixture
def arm(tmp_path: Path) -> Iterator[ArmStub]:
    with arm_stub(tmp_path / "arm") as stub:
        yield stub


@pytest.fixture
async def process() -> AsyncIterator[SdkProcess]:
    made = SdkProcess(adapter.MODULES, at_once=adapter.AT_ONCE)
    yield made
    await made.close()


async def code_of(asking: Awaitable[object]) -> str:
    """The code of the Problem it comes to, empty when it comes to an answer."""
    async with asyncio.timeout(60):
        try:
            await asking
        except Problem as problem:
            assert problem.what and problem.todo
            assert len(problem.detail) <= 5000
            return problem.code
    return ""


# ---------------------------------------------------------------- no token elsewhere


async def test_no_answer_leads_to_another_host(arm, other, process):
    """Next links, redirects and operation URLs of every look and every change; the child goes on being the same."""
    looker, actor = AzureLooker(arm.target(), process), AzureActor(arm.target(), process)
    acting = actor.acting_as(ME)
    await looker.identity()
    before = process.pid
    away = f"{other.url}/stolen?sig=SIGNED"
    lists: dict[str, Callable[[], Awaitable[object]]] = {
        "/subscriptions": looker.subscriptions,
        f"/subscriptions/{SUBSCRIPTION}/resourcegroups": lambda: looker.resource_groups(SUBSCRIPTION),
        f"{PROVIDER}/virtualNetworks": lambda: looker.networks(SUBSCRIPTION),
        f"{PROVIDER}/privateEndpoints": lambda: looker.endpoints(SUBSCRIPTION),
        f"{PROVIDER}/privateDnsZones": lambda: looker.zones(SUBSCRIPTION),
        f"{ZONE}/virtualNetworkLinks": lambda: looker.zone_links(ZONE),
        f"{LOCATIONS}/eastus/autoApprovedPrivateLinkServices": lambda: looker.auto_approved(SUBSCRIPTION, "eastus"),
        f"{PROVIDER}/providers/Microsoft.Authorization/permissions": lambda: looker.permissions(PROVIDER, ["a"]),
    }
    for path, look in lists.items():
        arm.on("GET", path, page(following=away))
        assert await code_of(look()) == "azure-other-host", path
        arm.on("GET", path, Reply(None, 307, {"Location": away}))
        assert await code_of(look()) == "azure-redirect", path
    visibility = f"{LOCATIONS}/eastus/checkPrivateLinkServiceVisibility"
    for header in ("Location", "Azure-AsyncOperation"):
        arm.on("POST", visibility, Reply(None, 202, {header: away}))
        assert await code_of(looker.visible(SUBSCRIPTION, "eastus", "alias")) == "azure-other-host", header
    changes: dict[str, Callable[[], Awaitable[None]]] = {
        ONE: lambda: acting.create_endpoint(WANTED),
        ZONE: lambda: acting.create_zone(ZONE),
        LINK: lambda: acting.create_link(LINK, f"{NETWORK}/virtualNetworks/v"),
    }
    for path, change in changes.items():
        for header in ("Location", "Azure-AsyncOperation"):
            arm.seen.clear()
            arm.on("PUT", path, Reply({}, 201, {header: away}))
            assert await code_of(change()) == ""
            assert await code_of(actor.operation(path)) == "azure-other-host"
            assert arm.asked("PUT") == [path]
        arm.seen.clear()
        arm.on("PUT", path, Reply(None, 307, {"Location": away}))
        assert await code_of(change()) == "azure-redirect"
        assert arm.asked("PUT") == [path]
    arm.on("PUT", f"{ZONE}/A/@", Reply(None, 308, {"Location": away}))
    record = ARecord(ZONE, "@", ("10.0.0.4",), 300)
    assert await code_of(acting.set_a_record(record, replacing=None)) == "azure-redirect"
    assert other.seen == []
    assert process.pid == before


# ---------------------------------------------------------------- nothing hangs


def answering(body: bytes, **headers: str) -> Reply:
    return Reply(body, headers={name.replace("_", "-"): value for name, value in headers.items()})


async def huge(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    for _ in range(1600):  # 100 MB
        await response.write(b" " * 65536)
    return response


async def headers_without_end(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.write(b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(20_000)) + b"\r\n")
    await asyncio.sleep(0.1)
    request.transport.abort()
    return web.Response()


async def one_long_header(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.write(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 10_000_000)
    await asyncio.sleep(0.1)
    request.transport.abort()
    return web.Response()


async def no_http(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.write(b"\x00\xff\r\n" * 1000)
    await asyncio.sleep(0.1)
    request.transport.abort()
    return web.Response()


def bomb(layers: int) -> bytes:
    packed = b" " * (100 * 1024 * 1024)
    for _ in range(layers):
        packed = gzip.compress(packed, 1)
    return packed


HOSTILE: dict[str, Callable[[], Answer]] = {
    "100 MB": lambda: huge,
    "gzip bomb": lambda: answering(bomb(1), Content_Encoding="gzip"),
    "gzip in gzip": lambda: answering(bomb(2), Content_Encoding="gzip, gzip"),
    "unknown encoding": lambda: answering(b"{}", Content_Encoding="no-such"),
    "broken gzip": lambda: answering(b"\x1f\x8b\x08nothing", Content_Encoding="gzip"),
    "deep": lambda: answering(b"[" * 300_000),
    "deep objects": lambda: answering(b'{"value":[' + b'{"properties":' * 50_000),
    "deep and closed": lambda: answering(b'{"value":[{"id":' + b"[" * 900 + b"]" * 900 + b"}]}"),
    "endless number": lambda: answering(b'{"value": ' + b"9" * 1_000_000 + b"}"),
    "many headers": lambda: headers_without_end,
    "long header": lambda: one_long_header,
    "no http": lambda: no_http,
    "list of text": lambda: answering(b'"value"'),
}
ANSWERED = ("deep and closed", "unknown encoding")
"""What may also be taken as an answer: nothing in it is what is looked for."""


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_answer_ends_in_a_problem_and_not_the_child(arm, process, name):
    """In the child's threads, where the stack is another one than the main thread's; with a look beside it."""
    looker, actor = AzureLooker(arm.target(), process), AzureActor(arm.target(), process)
    acting = actor.acting_as(ME)
    await looker.identity()
    before = process.pid
    answer = HOSTILE[name]()
    for path in ("/subscriptions", f"{PROVIDER}/virtualNetworks", f"{PROVIDER}/privateDnsZones"):
        arm.on("GET", path, answer)
    arm.on("GET", f"/subscriptions/{SUBSCRIPTION}/resourcegroups", page({"name": "rg"}))
    codes = await asyncio.gather(
        code_of(looker.subscriptions()), code_of(looker.networks(SUBSCRIPTION)), code_of(looker.zones(SUBSCRIPTION))
    )
    for code in codes:
        assert code.startswith("azure-") or name in ANSWERED, (name, codes)
        assert code not in ("azure-timeout", "sdk-process-ended")
    assert [one.name for one in await looker.resource_groups(SUBSCRIPTION)] == ["rg"]
    arm.on("PUT", f"{ZONE}/A/@", answer)
    arm.seen.clear()
    record = ARecord(ZONE, "@", ("10.0.0.4",), 300)
    assert await code_of(acting.set_a_record(record, replacing=None)) in ("", "azure-outcome-unknown")
    assert arm.asked("PUT") == [f"{ZONE}/A/@"]
    assert process.pid == before


async def test_a_drip_holds_up_nothing_beside_it(arm, process):
    """Each look has its thread, so that others are answered while one drips."""
    looker = AzureLooker(arm.target(), process)
    over = asyncio.Event()

    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        while not over.is_set():
            await response.write(b" ")
            await asyncio.sleep(0.05)
        await response.write(b'{"value": []}')
        return response

    arm.on("GET", "/subscriptions", drip)
    arm.on("GET", f"{PROVIDER}/privateDnsZones", page({"name": "z"}))
    dripping = [asyncio.create_task(looker.subscriptions()) for _ in range(adapter.AT_ONCE - 1)]
    while len(arm.seen) < adapter.AT_ONCE - 1:
        await asyncio.sleep(0.01)
    assert [one.name for one in await looker.zones(SUBSCRIPTION)] == ["z"]
    assert not any(one.done() for one in dripping)
    over.set()
    assert await asyncio.gather(*dripping) == [()] * len(dripping)


TOO_LONG = (YEAR, "Fri, 31 Dec 2999 23:59:59 GMT", "inf", "1e400", "9" * 5000)
NO_TIME = ("nan", "-5", "soon", "Fri, 99 Zzz 2999", "0")


@pytest.mark.parametrize("status", [429, 503, 408, 200])
async def test_no_wait_that_is_asked_for_is_endless(arm, process, status):
    looker = AzureLooker(arm.target(), process)
    body: dict[str, Any] = (
        {"value": []} if status == 200 else {"error": {"code": "TooManyRequests", "message": "slow down"}}
    )
    for name in ("Retry-After", "x-ms-retry-after-ms"):
        for value in (*TOO_LONG, *NO_TIME):
            arm.seen.clear()
            arm.on("GET", "/subscriptions", Reply(body, status, {name: value}))
            begun = time.monotonic()
            code = await code_of(looker.subscriptions())
            assert code.startswith("azure-") or status == 200, (name, value)
            assert code != "azure-timeout"
            if value in TOO_LONG and "2999" not in value:
                assert len(arm.seen) == 1, ("it is told, not waited for", name, value)
            assert time.monotonic() - begun < 30, (name, value)


async def test_an_operation_that_asks_for_a_year_is_asked_again_all_the_same(arm, process):
    actor = AzureActor(arm.target(), process)
    acting = actor.acting_as(ME)
    arm.on("PUT", ONE, Reply({}, 201, {"Azure-AsyncOperation": f"{arm.url}/operations/1", "Retry-After": YEAR}))
    await acting.create_endpoint(WANTED)
    arm.on("GET", "/operations/1", Reply({"status": "InProgress"}, 200, {"Retry-After": YEAR}))
    assert await actor.operation(ONE) == Operation("InProgress")
    arm.on("GET", "/operations/1", Reply({"status": "Succeeded"}, 200))
    assert await actor.operation(ONE) == Operation("Succeeded")
    visibility = f"{LOCATIONS}/eastus/checkPrivateLinkServiceVisibility"
    later = Reply(None, 202, {"Location": f"{arm.url}/results/1", "Retry-After": YEAR})
    arm.on("POST", visibility, later)
    arm.on("GET", "/results/1", later)
    looker = AzureLooker(arm.target(), process)
    assert await code_of(looker.visible(SUBSCRIPTION, "eastus", "alias")) == "azure-timeout"


# ---------------------------------------------------------------- who we are said to be


def challenge(claims: str) -> Reply:
    said = f'Bearer authorization_uri="https://evil.example/", error="insufficient_claims", claims="{claims}"'
    return Reply({"error": {"code": "InvalidAuthenticationToken"}}, 401, {"WWW-Authenticate": said})


@pytest.mark.parametrize(
    "claims",
    [base64.urlsafe_b64encode(b'{"access_token":{}}').decode(), "!!!", "", "W" * 50_000, "_w=="],
    ids=["claims", "no base64", "none", "long", "no text"],
)
async def test_a_challenge_without_end(arm, process, claims):
    """Each request is sent anew once, with a token fetched for it, and then told as refused."""
    arm.on("GET", "/subscriptions", challenge(claims[:7000]))
    arm.on("PUT", f"{ZONE}/A/@", challenge(claims[:7000]))
    looker, actor = AzureLooker(arm.target(), process), AzureActor(arm.target(), process)
    acting = actor.acting_as(ME)
    assert (await code_of(looker.subscriptions())).startswith("azure-")
    assert len(arm.seen) <= 2
    record = ARecord(ZONE, "@", ("10.0.0.4",), 300)
    assert (await code_of(acting.set_a_record(record, replacing=None))).startswith("azure-")
    assert len(arm.asked("PUT")) <= 2
    arm.on("GET", "/subscriptions", page())
    assert await looker.subscriptions() == ()


TOKENS: dict[str, Callable[[ArmStub], Answer]] = {
    "html": lambda arm: Reply(b"<html>", 200),
    "nothing": lambda arm: Reply(b"", 200),
    "list": lambda arm: Reply([], 200),
    "no token": lambda arm: Reply({"expires_on": "9999999999"}, 200),
    "number": lambda arm: Reply({"access_token": 7, "expires_on": "9999999999"}, 200),
    "line break": lambda arm: Reply({"access_token": "a\r\nHost: evil", "expires_on": "9999999999"}, 200),
    "not latin": lambda arm: Reply({"access_token": "\u2603", "expires_on": "9999999999"}, 200),
    "expired": lambda arm: Reply({"access_token": arm.token(), "expires_on": "1", "token_type": "Bearer"}, 200),
    "no number": lambda arm: Reply({"access_token": arm.token(), "expires_on": "soon", "token_type": "Bearer"}, 200),
    "deep": lambda arm: Reply(b"[" * 200_000, 200),
    "500": lambda arm: Reply({"message": "no"}, 500),
    "429": lambda arm: Reply({"message": "no"}, 429, {"Retry-After": YEAR}),
    "redirect": lambda arm: Reply({}, 302, {"Location": f"{arm.url}/stolen"}),
    "abort": lambda arm: no_http,
}


@pytest.mark.parametrize("name", TOKENS)
async def test_an_identity_endpoint_that_misbehaves(arm, process, name):
    arm.identity_answer = TOKENS[name](arm)
    arm.on("GET", "/subscriptions", page())
    looker = AzureLooker(arm.target(), process)
    begun = time.monotonic()
    codes = await asyncio.gather(code_of(looker.identity()), code_of(looker.subscriptions()))
    assert all(code == "" or code.startswith("azure-") for code in codes), codes
    assert codes[0] or name == "expired", "whoever it is, it is not told"
    assert time.monotonic() - begun < 55
    assert "/stolen" not in arm.asked(), "the header that opens the endpoint goes nowhere else"
    assert await process.call(abs, -1, timeout=30) == 1


async def test_an_identity_endpoint_that_hangs_ends_by_itself(arm, process, monkeypatch):
    monkeypatch.setattr(adapter, "CALL_TIMEOUT", 3.0)
    await process.call(abs, -1, timeout=60)

    async def silent(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(300)
        return web.Response()

    arm.identity_answer = silent
    looker = AzureLooker(arm.target(), process)
    codes = await asyncio.gather(*(code_of(looker.identity()) for _ in range(4)))
    assert set(codes) == {"azure-timeout"}
    arm.identity_answer = None
    assert (await looker.identity()).object_id == OBJECT


async def test_an_error_says_nothing_that_could_be_drawn_as_ours(arm, process):
    """Colours, line breaks and a megabyte of text in every field of an error."""
    nasty = "\x1b[31mred\x07\r\n\u202eevil" + "x" * 1_000_000
    arm.on("GET", ONE, Reply({"error": {"code": nasty, "message": nasty, "details": [{"message": nasty}] * 50}}, 400))
    looker = AzureLooker(arm.target(), process)
    with pytest.raises(Problem) as caught:
        await looker.endpoint(ONE)
    told = json.dumps({**vars(caught.value)})
    assert len(told) < 20_000
    assert "\\u001b" not in told
    arm.on("GET", ONE, Reply(endpoint("pe", status=nasty)))
    found = await looker.endpoint(ONE)
    assert found is not None and len(found.connection) <= 1000
    arm.on("GET", ONE, error("AuthorizationFailed", status=403))
    assert await code_of(looker.endpoint(ONE)) == "forbidden"
