"""Who may ask, and what Azure tells of subscriptions, groups, providers and permissions."""

from __future__ import annotations

import base64
import json
import time
import urllib.error
import urllib.request
import uuid

import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.mgmt.privatedns import models

from tests.sandbox.arm.served import PORTAL_KEY, SECRET, connection, refused
from wizard.sandbox.arm.tokens import Issuer

REGISTER = "/_portal/register"


def claims(token: str) -> dict[str, object]:
    body = token.split(".")[1]
    found: dict[str, object] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return found


# ---------------------------------------------------------------- the identity


def test_the_identity_endpoint_gives_tokens_to_who_knows_the_header(azure):
    token = azure.credential().get_token(f"{azure.url}/.default")
    found = claims(token.token)
    assert (found["tid"], found["oid"]) == (azure.portal.tenant_id, azure.issuer.object_id)
    assert found["aud"] == azure.url
    assert 600 < token.expires_on - time.time() <= 900


@pytest.mark.parametrize("header", ["", "wrong", SECRET + "x"])
def test_nobody_else_gets_one(azure, monkeypatch, header):
    monkeypatch.setenv("IDENTITY_HEADER", header or "x")
    with pytest.raises(ClientAuthenticationError):
        azure.credential().get_token(f"{azure.url}/.default")
    query = "?resource=x&api-version=2019-08-01"
    request = urllib.request.Request(azure.identity_endpoint + query, headers={"X-IDENTITY-HEADER": header})
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(request, timeout=10)


@pytest.mark.parametrize("query", ["?resource=x", "?api-version=2019-08-01", "?resource=x&api-version=1&client_id=y"])
def test_the_identity_endpoint_wants_its_parameters(azure, query):
    request = urllib.request.Request(azure.identity_endpoint + query, headers={"X-IDENTITY-HEADER": SECRET})
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(request, timeout=10)


@pytest.mark.parametrize("path", ["/subscriptions", "/tenants", "/nothing", "/metadata/identity", "/"])
def test_everything_wants_a_token(azure, path):
    now = time.time()
    others = Issuer("another key", azure.portal.tenant_id, "x", "y")
    bad = {
        "": "AuthenticationFailed",
        "nonsense": "InvalidAuthenticationToken",
        "a.b.c": "InvalidAuthenticationToken",
        others.issue(azure.url, now)[0]: "InvalidAuthenticationToken",
        azure.token()[:-2]: "InvalidAuthenticationToken",
        azure.issuer.issue(azure.url, now - 901)[0]: "ExpiredAuthenticationToken",
        azure.issuer.issue("https://vault.azure.net", now)[0]: "InvalidAuthenticationTokenAudience",
    }
    for token, code in bad.items():
        refusal = azure.call("GET", path, token=token)
        assert (refusal.status, refusal.body["error"]["code"]) == (401, code)
        assert refusal.headers["WWW-Authenticate"].startswith(f'Bearer authorization_uri="{azure.url}/')


def test_a_token_without_signature_is_none(azure):
    """The algorithm is not the client's to choose."""
    _, content, _ = azure.token().split(".")
    header = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    assert azure.call("GET", "/subscriptions", token=f"{header}.{content}.").status == 401


def test_the_public_clouds_audiences_are_taken_too(azure):
    token = azure.issuer.issue("https://management.azure.com", time.time())[0]
    assert azure.call("GET", "/subscriptions", token=token).status == 200


def test_the_metadata_are_for_everybody_and_lead_nowhere_else(azure):
    found = azure.call("GET", "/metadata/endpoints", token="").body
    assert found["authentication"]["loginEndpoint"] == azure.url
    assert found["authentication"]["audiences"][0] == f"{azure.url}/"
    assert found["resourceManager"] == f"{azure.url}/"
    assert found["authentication"]["tenant"] == azure.portal.tenant_id
    addresses = [each for each in found.values() if isinstance(each, str) and "://" in each]
    assert all(each.startswith(azure.url) for each in addresses)
    assert azure.call("POST", "/metadata/endpoints", {}, token="").status == 401


# ---------------------------------------------------------------- every answer


def test_an_api_version_is_needed_and_any_is_fine(azure):
    assert azure.call("GET", "/subscriptions", api="").body["error"]["code"] == "MissingApiVersionParameter"
    assert azure.call("GET", "/subscriptions", api="?API-Version=1999-01-01").status == 200


def test_every_answer_can_be_named_to_support(azure):
    for path, token in (
        ("/subscriptions", None),
        ("/subscriptions", ""),
        ("/nothing", None),
        ("/metadata/endpoints", ""),
    ):
        answer = azure.call("GET", path, token=token)
        assert uuid.UUID(answer.headers["x-ms-correlation-request-id"])


def test_a_body_that_is_no_object_is_refused(azure):
    assert azure.call("PUT", azure.portal.endpoint_id, [1]).body["error"]["code"] == "InvalidRequestContent"


def test_the_trace_has_a_line_for_each_request_and_no_secret(azure):
    azure.create_endpoint()
    azure.call("GET", "/subscriptions", token="")
    lines = azure.trace()
    assert all(tuple(line) == ("ts", "server", "method", "path", "status") for line in lines)
    assert {line["server"] for line in lines} == {"arm", "identity"}
    assert (lines[-1]["method"], lines[-1]["path"], lines[-1]["status"]) == ("GET", "/subscriptions", 401)
    text = azure.work.trace.read_text()
    assert SECRET not in text and "Bearer" not in text and "s=" not in text


# ---------------------------------------------------------------- subscriptions and what is around them


def test_subscriptions_groups_and_places(azure):
    portal = azure.portal
    (found,) = azure.call("GET", "/subscriptions").body["value"]
    assert found == azure.call("GET", f"/subscriptions/{portal.subscription_id}").body
    assert (found["subscriptionId"], found["tenantId"], found["state"]) == (
        portal.subscription_id,
        portal.tenant_id,
        "Enabled",
    )
    (group,) = azure.call("GET", f"{found['id']}/resourcegroups").body["value"]
    assert (group["name"], group["location"]) == (portal.resource_group, portal.location)
    assert azure.call("GET", group["id"]).body == group
    assert portal.location in [each["name"] for each in azure.call("GET", f"{found['id']}/locations").body["value"]]
    assert azure.call("GET", "/tenants").body["value"][0]["tenantId"] == portal.tenant_id


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (f"/subscriptions/{uuid.UUID(int=5)}/resourceGroups", "SubscriptionNotFound"),
        ("/subscriptions/{subscription}/resourceGroups/none", "ResourceGroupNotFound"),
        ("/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Network/privateEndpoints/none",
         "ResourceNotFound"),
        ("/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Network/loadBalancers", "NotFound"),
        ("/subscriptions/{subscription}/providers/Microsoft.Compute/virtualMachines", "NotFound"),
    ],
)  # fmt: skip
def test_what_is_not_there(azure, path, code):
    path = path.format(subscription=azure.portal.subscription_id, group=azure.group)
    refusal = azure.call("GET", path)
    assert (refusal.status, refusal.body["error"]["code"]) == (404, code)
    assert set(refusal.body["error"]) == {"code", "message", "details"}


def test_the_vendors_own_subscription_is_not_ours_to_see(azure):
    assert azure.call("GET", azure.portal.link_service_id).body["error"]["code"] == "SubscriptionNotFound"


def test_permissions_at_any_scope(azure):
    for scope in (f"/subscriptions/{azure.portal.subscription_id}", azure.portal.vnet_id, azure.portal.subnet_id):
        found = azure.call("GET", f"{scope}/providers/Microsoft.Authorization/permissions").body["value"]
        actions = {action for each in found for action in each["actions"]}
        assert {"*/read", "Microsoft.Network/*"} <= actions
        assert all(each["notActions"] == [] for each in found)


def test_a_provider_must_be_registered_to_write(azure):
    subscription = f"/subscriptions/{azure.portal.subscription_id}"
    provider = f"{subscription}/providers/Microsoft.Network"
    assert azure.call("GET", provider).body["registrationState"] == "Registered"
    azure.call("POST", f"{provider}/unregister")
    refusal = azure.call("PUT", azure.portal.endpoint_id, {})
    assert (refusal.status, refusal.body["error"]["code"]) == (409, "MissingSubscriptionRegistration")
    assert "'Microsoft.Network'" in refusal.body["error"]["message"]
    assert azure.call("GET", azure.portal.vnet_id).status == 200
    assert azure.call("POST", f"{provider}/register").body["registrationState"] == "Registered"
    assert azure.call("PUT", azure.portal.endpoint_id, {}).body["error"]["code"] == "LocationRequired"


# ---------------------------------------------------------------- the vendor's portal


def test_the_portal_registers_a_subscription_with_its_own_key(azure):
    wanted = {"subscription_id": azure.portal.subscription_id, "registered": False}
    for token in ("", azure.token()):
        assert azure.call("POST", REGISTER, wanted, token=token).status == 401
    assert azure.arm.store.is_registered(azure.portal.subscription_id)
    assert azure.call("POST", REGISTER, wanted, token=PORTAL_KEY).body == wanted
    assert connection(azure.create_endpoint("pe-one")) == "Pending"
    azure.call("POST", REGISTER, {"subscription_id": azure.portal.subscription_id}, token=PORTAL_KEY)
    assert connection(azure.create_endpoint("pe-two")) == "Approved"
    assert azure.call("POST", REGISTER, {"subscription_id": "x"}, token=PORTAL_KEY).status == 400
    assert azure.call("GET", "/subscriptions", token=PORTAL_KEY).status == 401


# ---------------------------------------------------------------- what a Reader may do


def test_a_reader_looks_and_may_do_nothing_else(serve):
    azure = serve("arm-forbidden")
    (network,) = azure.network().virtual_networks.list_all()
    scope = f"{network.id}/providers/Microsoft.Authorization/permissions"
    (role,) = azure.call("GET", scope).body["value"]
    assert role["actions"] == ["*/read"]
    with refused("AuthorizationFailed", 403):
        azure.begin_endpoint()
    with refused("AuthorizationFailed", 403):
        azure.dns().private_zones.begin_create_or_update(azure.group, "a.test", models.PrivateZone(location="global"))
    with refused("AuthorizationFailed", 403):
        azure.network().private_endpoints.begin_delete(azure.group, "pe-dpe-weu")
    group = f"/subscriptions/{azure.portal.subscription_id}/resourceGroups/rg-new"
    assert azure.call("PUT", group, {"location": "westeurope"}).body["error"]["code"] == "AuthorizationFailed"
    assert azure.call("GET", group).status == 404
