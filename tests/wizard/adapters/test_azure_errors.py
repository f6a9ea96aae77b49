"""What Azure's errors come to be: every code its own next step, and nothing hostile in a sentence."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    IncompleteReadError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.identity import AuthenticationRequiredError, CredentialUnavailableError

from state.problem import EXIT_BAD, EXIT_NOT_YET, Problem
from wizard.adapters import azure_errors
from wizard.adapters.azure_errors import Asked, Failure, explain, failure_in, problem_of
from wizard.guides import DEFAULT
from wizard.guides import guide as find_guide

# Every code that AZURE.md names, and what it must come to be.
KNOWN = {
    "InvalidPrivateLinkServiceId": ("azure-link-service-unknown", EXIT_BAD),
    "ThirdPartyPrivateLinkServiceProvidedDuringPrivateEndpointCreationDoesNotExistOrIsNotVisible": (
        "azure-link-service-not-visible",
        EXIT_NOT_YET,
    ),
    "InvalidResourceReference": ("azure-reference-wrong", EXIT_BAD),
    "PrivateEndpointCannotBeCreatedInSubnetThatHasNetworkPoliciesEnabled": ("azure-subnet-policies", EXIT_BAD),
    "AuthorizationFailed": ("forbidden", EXIT_NOT_YET),
    "LinkedAuthorizationFailed": ("azure-linked-forbidden", EXIT_NOT_YET),
    "RequestDisallowedByPolicy": ("azure-policy", EXIT_NOT_YET),
    "RetryableError": ("azure-retry", EXIT_NOT_YET),
    "ConflictError": ("azure-conflict", EXIT_NOT_YET),
    "MissingSubscriptionRegistration": ("azure-provider-unregistered", EXIT_NOT_YET),
    "PreconditionFailed": ("azure-changed-meanwhile", EXIT_NOT_YET),
    "TooManyRequests": ("azure-throttled", EXIT_NOT_YET),
}


@pytest.mark.parametrize("code", KNOWN)
def test_every_code_has_its_own_next_step(code):
    problem = explain(Failure(code, "Azure's text {0} {1}", status=200))
    assert (problem.code, problem.exit_code) == KNOWN[code]
    assert problem.what and problem.means and problem.todo
    assert "Azure's text {0} {1}" in problem.detail
    assert "{" not in str(problem)


def test_no_two_codes_share_a_next_step():
    problems = [explain(Failure(code)) for code in KNOWN]
    assert len({problem.todo for problem in problems}) == len({problem.what for problem in problems}) == len(KNOWN)


def test_a_field_that_a_next_step_names_is_one_of_the_guide():
    labels = {field.label for field in find_guide(DEFAULT).fields().values()}
    pattern = r"the field (Link service alias|[A-Z]\w*(?: ID| group)?)"
    named = {code: re.findall(pattern, explain(Failure(code)).todo) for code in KNOWN}
    assert {one for found in named.values() for one in found} <= labels
    for code in ("InvalidPrivateLinkServiceId", "InvalidResourceReference", "MissingSubscriptionRegistration"):
        assert named[code], code


def test_every_refused_change_says_what_to_do_in_the_wizard():
    """Run the step again, hand it off, or correct a field: what Azure itself would say ends in its portal."""
    for code in KNOWN:
        todo = explain(Failure(code)).todo
        assert re.search("run this step again|hand this step off|then look again", todo, re.IGNORECASE), code


def test_every_rule_can_be_said_without_names():
    for rule in azure_errors._RULES:
        for code in rule.codes.split():
            problem = explain(Failure(code.upper(), rule.pattern))
            assert problem.code == rule.code
            assert not re.search(r"[{}]|None|  ", str(problem))


def test_the_missing_right_is_named():
    refused = (
        "The client 'jane' with object id 'x' does not have authorization to perform action "
        "'Microsoft.Network/privateEndpoints/write' over scope '/subscriptions/x'."
    )
    assert "Microsoft.Network/privateEndpoints/write" in explain(Failure("AuthorizationFailed", refused)).what
    linked = (
        "The client 'x' has permission to perform action 'Microsoft.Network/privateEndpoints/write' on scope 'a'; "
        "however, it does not have permission to perform action(s) "
        "'Microsoft.Network/virtualNetworks/subnets/join/action' on the linked scope(s) 'b'."
    )
    problem = explain(Failure("LinkedAuthorizationFailed", linked))
    assert "subnets/join/action" in problem.what and "privateEndpoints/write" not in problem.what
    text = "The subscription is not registered to use namespace 'Microsoft.Network'. See https://aka.ms/x."
    assert (
        "--namespace Microsoft.Network --subscription ID`"
        in explain(Failure("MissingSubscriptionRegistration", text)).todo
    )


@pytest.mark.parametrize("hostile", ["'; rm -rf /", "\x1b[2J", "{sign_in}", "{", "A" * 100_000, "[red]x[/red]"])
def test_outside_text_gets_into_detail_only(hostile):
    for code in (*KNOWN, hostile, f"No{hostile}"):
        problem = explain(Failure(code, f"perform action '{hostile}' namespace '{hostile}'", correlation=hostile))
        assert hostile not in str(problem)
        assert len(problem.detail) <= 4000


def test_an_unknown_code_is_shown_with_message_and_correlation():
    problem = explain(
        failure_in(
            {"error": {"code": "SomethingNew", "message": "Words."}}, headers={"x-ms-correlation-request-id": "c1"}
        )
    )
    assert problem.what == "Azure answered with the error SomethingNew."
    assert problem.detail == "SomethingNew: Words.\nx-ms-correlation-request-id: c1"


def test_a_known_code_inside_an_unknown_one_is_explained():
    inner = {"code": "RequestDisallowedByPolicy", "message": "Policy."}
    for body in (
        {"error": {"code": "Outer", "message": "o", "details": [{"code": "x"}, inner]}},
        {"status": "Failed", "error": {"code": "Outer", "innererror": inner}},
    ):
        failure = failure_in(body)
        assert explain(failure).code == "azure-policy"
        assert azure_errors.code_of(failure) == "RequestDisallowedByPolicy"


@pytest.mark.parametrize("body", [None, 5, [], "x", {}, {"error": "x"}, {"error": {"code": 5, "details": 7}}])
def test_what_has_no_code_is_not_azure(body):
    assert explain(failure_in(body, status=404)).code == "azure-answer-unknown"
    assert explain(failure_in(body, status=502)).code == "azure-broken"
    assert explain(failure_in(body, status=502), Asked(changing=True)).code == "azure-outcome-unknown"


def test_deep_errors_are_not_followed_for_ever():
    body: dict[str, object] = {"code": "AuthorizationFailed", "message": "deep"}
    for _ in range(5000):
        body = {"code": "x", "message": "y", "details": [body] * 3}
    failure = failure_in({"error": body})
    assert failure.code == "x" and len(failure.inner) <= 8


def test_the_seconds_to_wait_are_told():
    assert "Wait 42 seconds" in explain(failure_in({}, status=429, headers={"Retry-After": "42"})).todo
    for odd in ("", "-1", "soon", "9" * 500):
        assert "Wait a minute" in explain(failure_in({}, status=429, headers={"Retry-After": odd})).todo


def test_an_overlapping_zone_is_told_from_other_bad_requests():
    text = "A virtual network cannot be linked to multiple zones with overlapping namespaces."
    assert explain(Failure("BadRequest", text)).code == "azure-zone-overlap"
    assert explain(Failure("BadRequest", "Else.")).code == "azure-error"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Azure CLI not found on path", "azure-cli-missing"),
        ("Please run 'az login' to set up an account", "azure-not-logged-in"),
        ("Failed to invoke the Azure CLI", "azure-cli-failed"),
        ("AADSTS700082: The refresh token has expired due to inactivity. Run az login", "azure-login-expired"),
        ("AADSTS50076: you must use multi-factor authentication", "azure-login-mfa"),
        ("run (CLI 2.76.0 or later): az login --claims-challenge abc", "azure-login-mfa"),
        ("AADSTS50020: User account does not exist in tenant", "azure-login-tenant"),
        ("AADSTS7000012: something else", "azure-login-failed"),
        ("HTTPSConnectionPool(host='login.microsoftonline.com'): Name or service not known", "azure-name"),
    ],
)
@pytest.mark.parametrize("kind", [CredentialUnavailableError, ClientAuthenticationError])
def test_sign_ins_that_fail(text, code, kind):
    problem = problem_of(kind(message=text), Asked())
    assert (problem.code, problem.exit_code) == (code, EXIT_NOT_YET)
    assert text in problem.detail


def test_the_cloud_of_the_cli_is_named():
    problem = problem_of(CredentialUnavailableError(message="Please run 'az login'"), Asked(cloud="china"))
    assert problem.todo.startswith("Run `az cloud set --name AzureChinaCloud` and `az login`")
    tried = "DefaultAzureCredential failed. AzureCliCredential: Azure CLI not found on path. Imds: timed out"
    problem = problem_of(ClientAuthenticationError(message=tried), Asked(identity="default"))
    assert (problem.code, tried in problem.detail) == ("azure-login-failed", True)
    needed = AuthenticationRequiredError(scopes=["x"])
    assert problem_of(needed, Asked(identity="device-code")).code == "azure-sign-in-needed"


PUBLIC = "az cloud set --name AzureCloud"


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (explain(Failure("InvalidAuthenticationToken")), f"Run `{PUBLIC}` and `az login`, then"),
        (explain(Failure("InvalidAuthenticationTokenTenant")), f"Run `{PUBLIC}` and `az login --tenant TENANT` with"),
        (azure_errors.other_tenant("t-1", "t-2", Asked(tenant="t-1")), f"Run `{PUBLIC}` and `az login --tenant t-1`"),
        (problem_of(CredentialUnavailableError(message="AADSTS500011: x"), Asked()), f"Run `{PUBLIC}` and `az login`."),
        (
            problem_of(CredentialUnavailableError(message="AADSTS7000012: x"), Asked()),
            f"Run `{PUBLIC}` and `az login`;",
        ),
    ],
)
def test_where_az_may_stand_in_another_cloud_the_way_back_to_the_public_one_is_named(problem: Problem, said: str):
    """`az cloud set` sticks: who was once sent to another cloud would sign in there again, for ever."""
    assert problem.todo.startswith(said), problem.todo


@pytest.mark.parametrize("text", ["Please run 'az login'", "AADSTS700082: expired", "AADSTS50076: second factor"])
def test_nobody_is_told_of_clouds_where_that_is_not_what_is_wrong(text: str):
    assert "az cloud" not in problem_of(CredentialUnavailableError(message=text), Asked()).todo


def test_a_token_of_another_tenant_is_told_with_the_cloud_that_is_meant():
    problem = explain(Failure("InvalidAuthenticationTokenTenant"), Asked(cloud="china"))
    assert problem.todo.startswith("Run `az cloud set --name AzureChinaCloud` and `az login --tenant TENANT`")


@pytest.mark.parametrize(
    ("error", "code", "while_changing"),
    [
        (ServiceRequestError("[Errno 111] Connection refused"), "azure-refused", "azure-refused"),
        (ServiceRequestError("NameResolutionError: x"), "azure-name", "azure-name"),
        (ServiceRequestError("SSLError: CERTIFICATE_VERIFY_FAILED"), "azure-ca", "azure-ca"),
        (ServiceRequestError("ProxyError('Tunnel connection failed: 407')"), "azure-proxy", "azure-proxy"),
        (
            ServiceRequestError("Max retries exceeded with url: /resourceGroups/ProxyError-SSL (Connection refused)"),
            "azure-refused",
            "azure-refused",
        ),
        (ServiceRequestError("odd"), "azure-unreachable", "azure-unreachable"),
        (
            OSError("Could not find a suitable TLS CA certificate bundle, invalid path: x"),
            "azure-ca-file",
            "azure-ca-file",
        ),
        (ServiceResponseError("Read timed out."), "azure-timeout", "azure-outcome-unknown"),
        (
            ServiceResponseError("('Connection aborted.', RemoteDisconnected())"),
            "azure-dropped",
            "azure-outcome-unknown",
        ),
        (IncompleteReadError("Connection broken"), "azure-dropped", "azure-outcome-unknown"),
        (ValueError("no JSON"), "azure-answer-unknown", "azure-outcome-unknown"),
        (RecursionError("deep"), "azure-answer-unknown", "azure-outcome-unknown"),
    ],
)
def test_what_broke_on_the_way(error, code, while_changing):
    """A change whose request was on its way may have happened; one that never left did not."""
    asked = Asked(host="management.azure.com")
    assert problem_of(error, asked).code == code
    problem = problem_of(error, Asked(changing=True))
    assert problem.code == while_changing
    assert ("Nothing was changed" in problem.means) == (problem.code != "azure-outcome-unknown")


def test_detail_holds_no_signature_and_no_token():
    token = "eyJhbGciOiJub25lIn0.eyJ0aWQiOiJ4In0.c2ln"
    text = f"url: /operations/1?t=6389&c=MIIH&s=SIGNED (Caused by) Bearer {token}"
    problem = problem_of(ServiceRequestError(text), Asked())
    assert "SIGNED" not in problem.detail and "eyJ" not in problem.detail
    assert "/operations/1?…" in problem.detail


def test_importing_it_loads_no_azure():
    script = """
import sys, wizard.adapters.azure_errors as errors
errors.explain(errors.Failure("AuthorizationFailed"))
print([name for name in sys.modules if name.partition(".")[0] in ("azure", "msal", "requests")])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_problems_survive_the_pipe_between_the_processes():
    for problem in (explain(Failure("AuthorizationFailed", "m")), explain(Failure("TooManyRequests", wait=30))):
        assert vars(Problem(**vars(problem))) == vars(problem)
    assert problem.wait == 30
