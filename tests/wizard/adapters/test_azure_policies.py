"""The real SDKs over the wire against an ARM that means harm, or only stumbles."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from azure.core.exceptions import HttpResponseError
from azure.core.rest import HttpRequest
from azure.identity import ManagedIdentityCredential
from azure.mgmt.network import NetworkManagementClient
from azure.mgmt.network.models import PrivateEndpoint

from state.problem import Problem
from tests.wizard.adapters.arm_stub import (
    LOCATIONS,
    ME,
    NETWORK,
    OBJECT,
    SUBSCRIPTION,
    TENANT,
    Answer,
    ArmStub,
    Reply,
    Seen,
    arm_stub,
    endpoint,
    error,
    interface,
    not_found,
    page,
)
from wizard.adapters import azure_calls, azure_changes, azure_clients, azure_errors, azure_policies
from wizard.adapters.azure_errors import Asked
from wizard.azure import WantedEndpoint

ENDPOINTS = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Network/privateEndpoints"
ONE = f"{NETWORK}/privateEndpoints/pe"
WANTED = WantedEndpoint(ONE, "eastus", f"{NETWORK}/virtualNetworks/v/subnets/s", "alias", "pe-nic")


@pytest.fixture
def arm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ArmStub]:
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER"):
        monkeypatch.setenv(name, "")  # so that what the child sets is taken back
    with arm_stub(tmp_path / "arm") as stub:
        yield stub


def refused(doing: Callable[[], object]) -> Problem:
    with pytest.raises(Problem) as caught:
        doing()
    return caught.value


# ---------------------------------------------------------------- the bearer stays with one host


def test_the_bearer_goes_to_arm(arm):
    arm.on("GET", ENDPOINTS, page())
    assert azure_calls.endpoints(arm.target(), SUBSCRIPTION) == ()
    assert arm.seen[0].headers["Authorization"].startswith("Bearer ey")


def test_a_next_link_to_another_host_gets_nothing(arm, other):
    """The same port of the other name, another port, and spellings that parsers read in different ways."""
    links = (
        f"{other.url}/stolen",
        f"https://localhost:{arm.port}/subscriptions",
        f"http://127.0.0.1:{arm.port}/subscriptions",
        f"{arm.url}@127.0.0.1:{other.port}/",
        f"https://127.0.0.1:{other.port}\\@127.0.0.1:{arm.port}/",
        f"https://127.0.0.1:{other.port}#@127.0.0.1:{arm.port}/",
        f"//127.0.0.1:{other.port}/",
        f" {other.url}/",
        f"{arm.url}0/",
        f"{arm.url}.evil.example/",
    )
    for link in links:
        for path, look in (
            (ENDPOINTS, partial(azure_calls.endpoints, arm.target(), SUBSCRIPTION)),
            ("/subscriptions", partial(azure_calls.subscriptions, arm.target())),
        ):
            arm.on("GET", path, page(endpoint("a"), following=link), page())
            arm.seen.clear()
            outcome: Any
            try:
                outcome = look()
            except Problem as problem:
                outcome = problem.code
            # Either it was seen through, or it was read as a path of ARM's own host: that is where the bearer belongs.
            assert outcome in ("azure-other-host", "azure-answer-unknown", "azure-missing"), link
            assert other.seen == [], link
            assert len(arm.seen) <= 2


def test_the_other_host_is_named(arm, other):
    arm.on("GET", ENDPOINTS, page(following=f"{other.url}/stolen?s=SIGNED"))
    problem = refused(lambda: azure_calls.endpoints(arm.target(), SUBSCRIPTION))
    assert problem.what == f"An answer of Azure's points to 127.0.0.1:{other.port}."
    assert "SIGNED" not in problem.detail
    arm.on("GET", ENDPOINTS, page(following="https://\x1b[31mevil/x"))
    assert "\x1b" not in str(refused(lambda: azure_calls.endpoints(arm.target(), SUBSCRIPTION)))


def test_a_port_that_is_spelled_out_is_the_same_host():
    policy = azure_policies.OneHostPolicy("https://management.azure.com")
    assert policy._allowed == ("https://management.azure.com/", "https://management.azure.com:443/")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(arm, other, status):
    for where in (f"{other.url}{ENDPOINTS}", f"{arm.url}/elsewhere", ""):
        arm.on("GET", ENDPOINTS, Reply(None, status, {"Location": where}))
        problem = refused(lambda: azure_calls.endpoints(arm.target(), SUBSCRIPTION))
        assert problem.code == "azure-redirect"
    assert other.seen == []
    assert set(arm.asked()) == {ENDPOINTS}


def test_an_operation_url_of_another_host_gets_nothing(arm, other):
    arm.on("PUT", ONE, Reply(endpoint("pe"), 201, {"Azure-AsyncOperation": f"{other.url}/operations/1"}))
    azure_changes.create_endpoint(arm.target(read_only=False), WANTED)
    problem = refused(lambda: azure_changes.operation(arm.target(read_only=False), ONE))
    assert (problem.code, other.seen) == ("azure-other-host", [])


def test_netrc_does_not_take_the_bearers_place(arm, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("default login jane password pw\n")
    monkeypatch.setenv("NETRC", str(netrc))
    transport = azure_policies.transport(arm.ca_file, loopback=False)
    sent = transport.send(HttpRequest("GET", f"{arm.url}/x", headers={"Authorization": "Bearer b"}))
    assert (sent.status_code, arm.seen[0].headers["Authorization"]) == (404, "Bearer b")


def test_a_proxy_is_not_asked_for_loopback(arm, monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    arm.on("GET", ENDPOINTS, page())
    assert azure_calls.endpoints(arm.target(), SUBSCRIPTION) == ()


# ---------------------------------------------------------------- a reader changes nothing


def unregistered() -> Reply:
    text = "The subscription is not registered to use namespace 'Microsoft.Network'."
    return error("MissingSubscriptionRegistration", text, status=409)


def test_a_reader_registers_no_provider(arm):
    arm.on("GET", ENDPOINTS, unregistered())
    for read_only in (True, False):
        problem = refused(partial(azure_calls.endpoints, arm.target(read_only=read_only), SUBSCRIPTION))
        assert problem.code == "azure-provider-unregistered"
        assert "az provider register --namespace Microsoft.Network" in problem.todo
    assert {one.method for one in arm.seen} == {"GET"}


def test_the_guard_stops_what_the_sdk_slips_in(arm, monkeypatch):
    """With the SDK's own policies, a GET that finds no provider is followed by a POST that registers it."""
    monkeypatch.setenv("IDENTITY_ENDPOINT", arm.identity_endpoint)
    monkeypatch.setenv("IDENTITY_HEADER", arm.header)
    arm.on("GET", ENDPOINTS, unregistered())

    def client(**options: Any) -> NetworkManagementClient:
        return NetworkManagementClient(
            ManagedIdentityCredential(), SUBSCRIPTION, arm.url, connection_verify=arm.ca_file, **options
        )

    with pytest.raises(HttpResponseError):
        list(client().private_endpoints.list_by_subscription())
    assert [one.method for one in arm.seen] == ["GET", "POST"]  # so there is something to guard against
    arm.seen.clear()
    guarded = client(per_retry_policies=[azure_policies.ReadOnlyPolicy()])
    problem = refused(lambda: list(guarded.private_endpoints.list_by_subscription()))
    assert (problem.code, [one.method for one in arm.seen]) == ("azure-read-only", ["GET"])


def test_only_looks_pass_a_readers_pipeline(arm):
    client = azure_clients.arm(arm.target())
    visibility = f"{LOCATIONS}/eastus/checkPrivateLinkServiceVisibility"
    allowed = [
        ("GET", ONE),
        ("HEAD", ONE),
        ("POST", visibility),
        ("POST", visibility.upper().replace("/SUBS", "/subs")),
    ]
    for method, path in allowed:
        arm.on(method, path, Reply({}))
        assert client.send_request(HttpRequest(method, f"{arm.url}{path}")).status_code == 200
    arm.on("GET", ONE, not_found())
    arm.seen.clear()
    stopped = [(method, ONE) for method in ("PUT", "DELETE", "PATCH", "POST", "OPTIONS", "get", "")]
    stopped += [("POST", f"{visibility}/more"), ("POST", f"{ONE}?x={visibility}"), ("POST", f"{ONE}#{visibility}")]
    for method, path in stopped:
        problem = refused(partial(client.send_request, HttpRequest(method, f"{arm.url}{path}")))
        assert problem.code == "azure-read-only", (method, path)
    assert arm.seen == []
    assert refused(lambda: azure_changes.create_endpoint(arm.target(), WANTED)).code == "azure-read-only"
    assert {one.method for one in arm.seen} == {"GET"}


# ---------------------------------------------------------------- answers without end, or without sense


async def huge(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    for _ in range(1600):  # 100 MB
        await response.write(b" " * 65536)
    await response.write_eof()
    return response


def test_a_huge_answer_is_cut(arm):
    arm.on("GET", ENDPOINTS, huge)
    assert refused(lambda: azure_calls.endpoints(arm.target(), SUBSCRIPTION)).code == "azure-answer-too-large"
    arm.on("PUT", ONE, huge)
    writer = arm.target(read_only=False)
    assert refused(lambda: azure_changes.create_endpoint(writer, WANTED)).code == "azure-outcome-unknown"


def test_a_small_answer_that_unpacks_to_a_huge_one_is_cut(arm):
    packed = gzip.compress(b" " * (100 * 1024 * 1024))
    arm.on("GET", ENDPOINTS, Reply(packed, headers={"Content-Encoding": "gzip"}))
    assert refused(lambda: azure_calls.endpoints(arm.target(), SUBSCRIPTION)).code == "azure-answer-too-large"
    arm.on("GET", ENDPOINTS, Reply(gzip.compress(b'{"value": []}'), headers={"Content-Encoding": "gzip"}))
    assert azure_calls.endpoints(arm.target(), SUBSCRIPTION) == ()


DRIPS = 200


def dripping(sent: list[int], **headers: str) -> Answer:
    """A byte now and then, noted in `sent`; a reader that waits for the end has them all."""

    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json", **headers})
        await response.prepare(request)
        for number in range(DRIPS):
            await response.write(b" ")
            sent.append(number)
            await asyncio.sleep(0.05)
        return response

    return drip


async def silent(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(60)
    return web.Response()


@pytest.mark.parametrize("headers", [{}, {"Content-Length": "1000000"}], ids=["chunked", "length"])
def test_a_slow_drip_ends(arm, headers, monkeypatch):
    """The timeout for reading never strikes: something comes all the time."""
    monkeypatch.setattr(azure_policies, "ANSWER_TIMEOUT", 0.5)
    sent: list[int] = []
    arm.on("GET", ENDPOINTS, dripping(sent, **headers))
    assert refused(lambda: azure_calls.endpoints(arm.target(), SUBSCRIPTION)).code == "azure-answer-slow"
    assert 0 < len(sent) < DRIPS
    assert arm.asked() == [ENDPOINTS]


def test_silence_ends(arm, monkeypatch):
    monkeypatch.setattr(azure_policies, "READ_TIMEOUT", 0.2)
    arm.on("GET", ENDPOINTS, silent)
    assert refused(lambda: azure_calls.endpoints(arm.target(), SUBSCRIPTION)).code == "azure-timeout"
    arm.on("PUT", ONE, silent)
    writer = arm.target(read_only=False)
    assert refused(lambda: azure_changes.create_endpoint(writer, WANTED)).code == "azure-outcome-unknown"
    assert arm.asked("PUT") == [ONE]


BODIES = {
    "html": b"<html>login</html>",
    "nothing": b"",
    "null": b"null",
    "list": b"[]",
    "number": b"7",
    "deep": b"[" * 200_000,
    "deep object": b'{"value":' * 100_000,
    "deep value": b'{"value": [' + b'{"properties":' * 3000 + b"{}" + b"}" * 3000 + b"]}",
    "values": b'{"value": 7}',
    "text": b'{"value": "abc"}',
    "items": b'{"value": [7, null, [], "x"]}',
    "link": b'{"value": [], "nextLink": 7}',
    "links": b'{"value": [], "nextLink": ["/x"]}',
    "object link": b'{"value": [], "nextLink": {"a": "{endpoint}"}}',
    "properties": b'{"value": [{"id": 7, "name": [], "properties": [1]}]}',
    "bytes": b"\xff\xfe\x00",
    "nan": b'{"value": [NaN]}',
}
EMPTY_ALLOWED = ("values", "text", "items", "properties", "nan", "deep value")


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("content_type", ["application/json", "application/xml", "text/html; charset=no-such"])
def test_answers_of_the_wrong_shape(arm, name, content_type):
    """They end in empty structs or in a Problem; never in a stack, nor in a token sent elsewhere."""
    looks: tuple[tuple[str, Callable[[], tuple[Any, ...]]], ...] = (
        (ENDPOINTS, lambda: azure_calls.endpoints(arm.target(), SUBSCRIPTION)),
        ("/subscriptions", lambda: azure_calls.subscriptions(arm.target())),
        (
            f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Network/virtualNetworks",
            lambda: azure_calls.networks(arm.target(), SUBSCRIPTION),
        ),
    )
    for path, look in looks:
        arm.on("GET", path, Reply(BODIES[name], headers={"Content-Type": content_type}))
        arm.on("GET", ENDPOINTS.replace("privateEndpoints", "networkInterfaces"), page())
        try:
            found = look()
        except Problem as problem:
            assert problem.code in ("azure-answer-unknown", "azure-missing"), (name, path)
            assert len(problem.detail) <= 4000
        else:
            assert name in EMPTY_ALLOWED, (name, path)
            assert all(one.id == "" and one.name == "" for one in found)


@pytest.mark.parametrize("name", ["html", "null", "list", "number", "deep", "bytes"])
def test_one_endpoint_of_the_wrong_shape(arm, name):
    arm.on("GET", ONE, Reply(BODIES[name]))
    try:
        found = azure_calls.endpoint(arm.target(), ONE)
    except Problem as problem:
        assert problem.code == "azure-answer-unknown"
    else:
        assert found is None or found.id == ""


def test_a_list_without_end_ends(arm):
    arm.on("GET", ENDPOINTS, page(following=f"{arm.url}{ENDPOINTS}"))
    arm.on("GET", "/subscriptions", page(following="/subscriptions"))
    for look in (
        lambda: azure_calls.endpoints(arm.target(), SUBSCRIPTION),
        lambda: azure_calls.subscriptions(arm.target()),
    ):
        arm.seen.clear()
        assert refused(look).code == "azure-list-endless"
        assert len(arm.seen) <= 401


def test_an_error_that_is_no_azure_error(arm):
    for status, code in ((404, "azure-answer-unknown"), (400, "azure-answer-unknown"), (403, "azure-answer-unknown")):
        arm.on("GET", ONE, Reply(b"<html>blocked by proxy</html>", status))
        problem = refused(lambda: azure_calls.endpoint(arm.target(), ONE))
        assert (problem.code, str(status) in problem.what) == (code, True)


# ---------------------------------------------------------------- again, or not again


def test_a_look_is_tried_again(arm):
    arm.on(
        "GET", ENDPOINTS, error("ServerBusy", status=503), error("TooManyRequests", status=429, Retry_After="0"), page()
    )
    assert azure_calls.endpoints(arm.target(), SUBSCRIPTION) == ()
    assert len(arm.seen) == 3


def test_throttling_that_stays_is_told_with_the_seconds(arm):
    arm.on("GET", ENDPOINTS, error("TooManyRequests", status=429, Retry_After="1"))
    problem = refused(lambda: azure_calls.endpoints(arm.target(), SUBSCRIPTION))
    assert (problem.code, "1 seconds" in problem.todo, len(arm.seen)) == ("azure-throttled", True, 4)


def test_a_long_wait_is_not_waited(arm):
    arm.on("GET", ENDPOINTS, error("SubscriptionRequestsThrottled", status=429, Retry_After="300"))
    problem = refused(lambda: azure_calls.endpoints(arm.target(), SUBSCRIPTION))
    assert ("Wait 300 seconds" in problem.todo, len(arm.seen)) == (True, 1)
    assert problem.wait == 300, "who asked may wait that long"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (error("TooManyRequests", status=429, Retry_After="1"), "azure-throttled"),
        (error("RetryableError", status=429, Retry_After="1"), "azure-retry"),
        (error("InternalServerError", status=500), "azure-outcome-unknown"),
        (error("AnotherOperationInProgress", status=409, Retry_After="1"), "azure-conflict"),
        (Reply(b"", 502), "azure-outcome-unknown"),
    ],
)
def test_a_change_is_never_sent_twice(arm, answer, code):
    arm.on("PUT", ONE, answer)
    arm.on("DELETE", ONE, answer)
    writer = arm.target(read_only=False)
    assert refused(lambda: azure_changes.create_endpoint(writer, WANTED)).code == code
    assert refused(lambda: azure_changes.delete_endpoint(writer, ONE)).code == code
    assert (arm.asked("PUT"), arm.asked("DELETE")) == ([ONE], [ONE])


def test_a_change_that_was_refused_for_a_stronger_sign_in_is_sent_with_it(arm):
    """Azure wants a second factor for changes: the request was not acted on, and goes out anew with a new token."""
    challenge = 'Bearer authorization_uri="x", error="insufficient_claims", claims="eyJhIjoiYiJ9"'
    refusal = Reply({"error": {"code": "RequestDisallowedByPolicy"}}, 401, {"WWW-Authenticate": challenge})
    arm.on("PUT", ONE, refusal, Reply(endpoint("pe"), 201))
    azure_changes.create_endpoint(arm.target(read_only=False), WANTED)
    tokens = [one.headers["Authorization"] for one in arm.seen if one.method == "PUT"]
    assert len(tokens) == len(set(tokens)) == 2


async def dropped(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def cut_short(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "100", "Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(b'{"value": [')
    assert request.transport is not None
    request.transport.abort()
    return response


@pytest.mark.parametrize("answer", [dropped, cut_short], ids=["dropped", "cut short"])
def test_a_dropped_connection(arm, answer):
    arm.on("GET", ENDPOINTS, answer, page())
    assert azure_calls.endpoints(arm.target(), SUBSCRIPTION) == ()  # a look is tried again
    arm.on("GET", ENDPOINTS, answer)
    assert refused(lambda: azure_calls.endpoints(arm.target(), SUBSCRIPTION)).code == "azure-dropped"
    arm.on("PUT", ONE, answer)
    problem = refused(lambda: azure_changes.create_endpoint(arm.target(read_only=False), WANTED))
    assert (problem.code, arm.asked("PUT")) == ("azure-outcome-unknown", [ONE])


def test_connections_are_kept(arm):
    arm.on("GET", ENDPOINTS, page(endpoint("a"), following=f"{arm.url}{ENDPOINTS}/2"))
    arm.on("GET", f"{ENDPOINTS}/2", page(endpoint("b")))
    arm.on("GET", ENDPOINTS.replace("privateEndpoints", "networkInterfaces"), page(interface("a-nic", "10.0.0.4")))
    assert len(azure_calls.endpoints(arm.target(), SUBSCRIPTION)) == 2
    assert (len(arm.seen), len(arm.connections)) == (3, 1)


# ---------------------------------------------------------------- no way there


def test_nobody_answers(arm):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        target = arm.target(arm_url=f"https://127.0.0.1:{taken.getsockname()[1]}")
        assert refused(lambda: azure_calls.subscriptions(target)).code == "azure-refused"


def test_a_certificate_of_somebody_else(arm, other):
    assert refused(lambda: azure_calls.subscriptions(arm.target(ca_file=other.ca_file))).code == "azure-ca"
    assert refused(lambda: azure_calls.subscriptions(arm.target(ca_file="/no/such.pem"))).code == "azure-ca-file"
    assert arm.seen == []


def test_plain_http_gets_no_token(arm):
    target = arm.target(arm_url=f"http://127.0.0.1:{arm.port}")
    assert refused(lambda: azure_calls.subscriptions(target)).code == "unsafe-environment"


# ---------------------------------------------------------------- the class and the status say nothing


@pytest.mark.parametrize("status", [200, 400, 409])
def test_a_long_running_failure_by_the_sdks_own_poller(arm, status):
    """With status 200 it raises HttpResponseError, with 409 ResourceExistsError: the code decides."""
    failed = {"status": "Failed", "error": {"code": "RequestDisallowedByPolicy", "message": "No."}}
    begun = Reply(endpoint("pe"), 201, {"Azure-AsyncOperation": f"{arm.url}/operations/1"})
    arm.on("PUT", ONE, begun if status == 200 else Reply({"error": failed["error"]}, status))
    arm.on("GET", "/operations/1", Reply(failed))
    client = azure_clients.network(arm.target(read_only=False), SUBSCRIPTION).private_endpoints
    with pytest.raises(HttpResponseError) as caught:
        client.begin_create_or_update("rg-dpe", "pe", PrivateEndpoint(location="eastus"), polling_interval=0).result()
    assert caught.value.status_code == status
    problem = azure_errors.problem_of(caught.value, Asked())
    assert (problem.code, "c0ffee" in problem.detail) == ("azure-policy", True)


def test_a_token_that_is_refused_is_not_used_again(arm):
    arm.on("GET", ENDPOINTS, error("ExpiredAuthenticationToken", status=401), page())
    kept = azure_clients.token(arm.target())
    assert refused(lambda: azure_calls.endpoints(arm.target(), SUBSCRIPTION)).code == "azure-token-refused"
    assert kept._kept is None
    assert azure_calls.endpoints(arm.target(), SUBSCRIPTION) == ()


CHALLENGE = Reply(
    {"error": {"code": "InvalidAuthenticationToken", "message": "Stronger, please."}},
    401,
    {"WWW-Authenticate": 'Bearer error="insufficient_claims", claims="eyJhIjp7fX0="'},
)


def test_a_change_goes_as_the_pinned_identity_alone(arm):
    """A look that was made since may have renewed the one token as somebody who signed in in another terminal."""
    acting = arm.target(read_only=False, acting_as=ME)
    arm.claims = {"tid": TENANT, "oid": "somebody-else", "upn": "bob@example.com"}
    assert azure_calls.identity(arm.target()).object_id == "somebody-else"
    problem = refused(lambda: azure_changes.create_endpoint(acting, WANTED))
    assert problem.code == "other-identity" and "bob@example.com" in problem.what and OBJECT in problem.what
    assert refused(lambda: azure_changes.delete_endpoint(acting, ONE)).code == "other-identity"
    assert arm.seen == []


@pytest.mark.parametrize(("oid", "code"), [(OBJECT.upper(), ""), ("somebody-else", "other-identity")])
def test_a_request_that_is_sent_anew_after_a_401_goes_as_the_pinned_identity_too(arm, oid, code):
    acting = arm.target(read_only=False, acting_as=ME)

    async def refuses_and_somebody_signs_in(request: web.Request) -> web.StreamResponse:
        arm.claims = {"tid": TENANT, "oid": oid}
        return web.json_response(CHALLENGE.body, status=CHALLENGE.status, headers=CHALLENGE.headers)

    arm.on("DELETE", ONE, refuses_and_somebody_signs_in, Reply(b"", 204))
    if code:
        assert refused(lambda: azure_changes.delete_endpoint(acting, ONE)).code == code
    else:
        azure_changes.delete_endpoint(acting, ONE)
    assert arm.asked("DELETE") == [ONE] * (1 if code else 2)


def test_a_token_that_tells_of_nobody_changes_nothing(arm):
    arm.claims = {}
    acting = arm.target(read_only=False, acting_as=ME)
    assert refused(lambda: azure_changes.delete_endpoint(acting, ONE)).code == "azure-identity-unknown"
    assert arm.seen == []


def test_not_there_and_not_allowed_are_told_apart(arm):
    arm.on("GET", ONE, not_found())
    assert azure_calls.endpoint(arm.target(), ONE) is None
    arm.on("GET", ONE, error("AuthorizationFailed", status=403))
    assert refused(lambda: azure_calls.endpoint(arm.target(), ONE)).code == "forbidden"
    arm.on("GET", ONE, error("SubscriptionNotFound", status=404))
    assert refused(lambda: azure_calls.endpoint(arm.target(), ONE)).code == "azure-subscription-unknown"


def test_seen_requests_are_whole(arm):
    """The stub itself: what the tests above rely on."""
    arm.on("GET", ONE, Reply(endpoint("pe")))
    azure_calls.endpoint(arm.target(), ONE)
    assert isinstance(arm.seen[0], Seen)
    assert arm.seen[0].query["api-version"]
    assert arm.seen[0].headers["User-Agent"].startswith("privatelink-wizard/")
