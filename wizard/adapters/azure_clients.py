"""Credentials and SDK clients of a `Target`, made once and kept in the SDK child, which alone may
import this: it loads the SDKs.

The SDKs' own list of policies is replaced by a short one. So nothing is logged (`logging_enable` prints the bearer, and
operation URLs hold signatures), no redirect is followed, and no provider is registered behind the user's back.
"""

from __future__ import annotations

import contextlib
import functools
import os
import queue
import threading
import time
from typing import TYPE_CHECKING, Any

from azure.core import AzureClouds
from azure.core.credentials import AccessTokenInfo, TokenRequestOptions
from azure.core.pipeline.policies import RequestIdPolicy, UserAgentPolicy
from azure.core.pipeline.transport import RequestsTransport
from azure.core.polling import NoPolling
from azure.core.rest import HttpRequest, HttpResponse
from azure.mgmt.core import ARMPipelineClient
from azure.mgmt.core.policies import ARMChallengeAuthenticationPolicy
from azure.mgmt.core.tools import get_arm_endpoints

from wizard import __version__
from wizard.adapters import azure_policies as policies
from wizard.adapters.azure_asking import Target, is_loopback
from wizard.azure import SignInPrompt
from wizard.sign_in import BROWSER, CLI, DEFAULT, DEVICE_CODE, MANAGED

if TYPE_CHECKING:
    from azure.mgmt.network import NetworkManagementClient
    from azure.mgmt.privatedns import PrivateDnsManagementClient

CLOUDS = {
    "public": AzureClouds.AZURE_PUBLIC_CLOUD,
    "us-government": AzureClouds.AZURE_US_GOVERNMENT,
    "china": AzureClouds.AZURE_CHINA_CLOUD,
}
AUTHORITIES = {
    "public": "login.microsoftonline.com",
    "us-government": "login.microsoftonline.us",
    "china": "login.chinacloudapi.cn",
}
CLI_TIMEOUT = 30  # seconds for `az`; a cold one takes more than the ten that azure-identity grants
_RENEW_BEFORE = 300  # seconds that a token must still last

Prompts = queue.SimpleQueue[SignInPrompt]


class Token:
    """One identity's access token, kept for all clients: a reader and a writer must act as the same one.

    azure-core keeps a token in every client of its own; `refresh_on` in the past makes them ask here each time.
    Calls ask from several threads. One token is fetched at a time (`az` takes a second and locks its files), and all
    who asked before a fetch began share what came of it, a failure too: each would wait as long for the same one.
    """

    def __init__(self, credential: Any, scope: str, prompts: Prompts, *, tenant: str | None = None) -> None:
        self._credential = credential
        self.scope = scope
        self._prompts = prompts
        # For a credential that takes a tenant with each request only.
        self._asked: TokenRequestOptions = {"tenant_id": tenant} if tenant else {}
        self._kept: AccessTokenInfo | None = None
        self._fetching = threading.Lock()
        self._begun = 0
        self._failure: Exception | None = None

    def get_token_info(self, *scopes: str, options: TokenRequestOptions | None = None) -> AccessTokenInfo:
        """As azure-core asks for it. With `claims` (Azure wants a stronger sign-in) always a new one."""
        kept = self._kept
        if kept is None or _is_old(kept) or (options or {}).get("claims"):
            kept = self._fetch(options or {})
        return AccessTokenInfo(kept.token, kept.expires_on, token_type=kept.token_type, refresh_on=1)

    def _fetch(self, options: TokenRequestOptions, *, renew: bool = False) -> AccessTokenInfo:
        """A token that was fetched after this was asked for; unless `renew`, an older one that still lasts will do."""
        before, claims = self._begun, options.get("claims")
        with self._fetching:
            kept, shared = self._kept, self._begun > before
            if shared and self._failure is not None and not claims:
                raise self._failure
            if kept is not None and not _is_old(kept) and (shared or not renew) and not claims:
                return kept
            self._begun += 1
            self._failure = None
            try:
                fetched: AccessTokenInfo = self._credential.get_token_info(
                    self.scope, options={**self._asked, **options}
                )
            except Exception as error:
                self._kept, self._failure = None, error
                raise
            self._kept = fetched
            return fetched

    def get_token(self, *scopes: str, **_: Any) -> Any:
        """Required of a credential; azure-core prefers the other one."""
        raise NotImplementedError

    def renewed(self) -> str:
        """A token asked for now: whoever signs in anew, in another terminal, is seen at once."""
        return self._fetch({}, renew=True).token

    def forget(self) -> None:
        """The next request asks for a new token."""
        self._kept = None

    def sign_in(self) -> SignIn:
        """Begin an interactive sign-in."""
        return SignIn(self._credential, self.scope, self._prompts)


def _is_old(kept: AccessTokenInfo) -> bool:
    return kept.expires_on - time.time() < _RENEW_BEFORE


class SignIn:
    """An interactive sign-in, which goes on in a thread of the child while calls come and go."""

    def __init__(self, credential: Any, scope: str, prompts: Prompts) -> None:
        self._credential, self._scope, self._prompts = credential, scope, prompts
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="sign-in", daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether somebody is still waited for; afterwards `error` tells how it ended."""
        return self._thread.is_alive()

    def prompt(self, timeout: float) -> SignInPrompt | None:
        """The page and code to show; None when the sign-in failed, or none came within `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while self.running and time.monotonic() < deadline:
            with contextlib.suppress(queue.Empty):
                return self._prompts.get(timeout=0.1)
        return None

    def _run(self) -> None:
        try:
            self._credential.authenticate(scopes=[self._scope])
        except Exception as error:  # noqa: BLE001 (told by the call that asks)
            self.error = error


class Begun(NoPolling[Any]):
    """Keeps the first answer of a long-running operation; we ask for the rest ourselves, one request a call."""

    response: HttpResponse

    def initialize(self, _: Any, initial_response: Any, deserialization_callback: Any) -> None:
        """Called by the SDK with the first answer."""
        super().initialize(_, initial_response, deserialization_callback)
        self.response = initial_response.http_response


class BearerPolicy(ARMChallengeAuthenticationPolicy):
    """Puts the token on requests of several threads.

    azure-core's keeps it in an attribute of the pipeline's one policy: a refusal in one thread takes it away from
    another one between asking for it and reading it.
    """

    def __init__(self, ours: Token) -> None:
        self._of_thread = threading.local()
        super().__init__(ours, ours.scope)

    @property
    def _token(self) -> Any:
        return getattr(self._of_thread, "token", None)

    @_token.setter
    def _token(self, found: Any) -> None:
        self._of_thread.token = found


_making = threading.RLock()
"""Held while one is made: of two made at once, each thread would keep its own, and with it a token of its own."""


def token(target: Target) -> Token:
    """The token of a target; a reader's and a writer's are one."""
    with _making:
        return _token(target.cloud, target.identity, target.tenant, target.identity_endpoint, target.identity_header)


def arm(target: Target) -> ARMPipelineClient[HttpRequest, HttpResponse]:
    """A client for what has no SDK of its own here: subscriptions, groups, providers, permissions, operations."""
    with _making:
        return _arm(target)


def network(target: Target, subscription: str) -> NetworkManagementClient:
    """The SDK's client for endpoints, interfaces, VNets and link services of a subscription."""
    with _making:
        return _network(target, subscription.lower())


def dns(target: Target, subscription: str) -> PrivateDnsManagementClient:
    """The SDK's client for private DNS zones of a subscription."""
    with _making:
        return _dns(target, subscription.lower())


def origin(target: Target) -> str:
    """Where ARM answers: scheme, host and port, without a slash."""
    found = target.arm_url or str(get_arm_endpoints(CLOUDS[target.cloud])["resource_manager"])
    return found.rstrip("/")


@functools.lru_cache(maxsize=8)
def _token(cloud: str, identity: str, tenant: str | None, endpoint: str | None, header: str | None) -> Token:
    (scope,) = get_arm_endpoints(CLOUDS[cloud])["credential_scopes"]
    prompts: Prompts = queue.SimpleQueue()
    if identity == MANAGED:
        return Token(_managed(endpoint, header), scope, prompts)
    credential = _credential(cloud, identity, tenant, prompts)
    return Token(credential, scope, prompts, tenant=tenant if identity == DEFAULT else None)


def _credential(cloud: str, identity: str, tenant: str | None, prompts: Prompts) -> Any:
    import azure.identity

    authority = AUTHORITIES[cloud]
    of_tenant: dict[str, Any] = {"tenant_id": tenant} if tenant else {}
    if identity == CLI:
        return azure.identity.AzureCliCredential(process_timeout=CLI_TIMEOUT, **of_tenant)
    if identity == DEVICE_CODE:
        return azure.identity.DeviceCodeCredential(
            authority=authority,
            **of_tenant,
            disable_automatic_authentication=True,  # else any look would wait for minutes for somebody to sign in
            prompt_callback=lambda url, code, _: prompts.put(SignInPrompt(url, code)),
        )
    if identity == BROWSER:
        return azure.identity.InteractiveBrowserCredential(
            authority=authority, disable_automatic_authentication=True, **of_tenant
        )
    # Those among its ways that know several tenants take the one that a request names; a managed identity has its own.
    allowed: dict[str, Any] = {"additionally_allowed_tenants": [tenant]} if tenant else {}
    return azure.identity.DefaultAzureCredential(authority=authority, process_timeout=CLI_TIMEOUT, **allowed)


def _managed(endpoint: str | None, header: str | None) -> Any:
    import azure.identity

    # The SDK reads these from the environment alone; this one is the child's, and the screen's stays as it is.
    os.environ.update(IDENTITY_ENDPOINT=endpoint or "", IDENTITY_HEADER=header or "")
    # On loopback: no proxy, and nothing to wait for, however long a Retry-After says.
    return azure.identity.ManagedIdentityCredential(use_env_settings=False, retry_total=0)


@functools.lru_cache(maxsize=8)
def _transport(arm_origin: str, ca_file: str | None) -> RequestsTransport:
    return policies.transport(ca_file, loopback=is_loopback(arm_origin))


@functools.lru_cache(maxsize=8)
def _arm(target: Target) -> ARMPipelineClient[HttpRequest, HttpResponse]:
    where = origin(target)
    return ARMPipelineClient(where, policies=_policies(target), transport=_transport(where, target.ca_file))


@functools.lru_cache(maxsize=32)
def _network(target: Target, subscription: str) -> NetworkManagementClient:
    from azure.mgmt.network import NetworkManagementClient

    return NetworkManagementClient(token(target), subscription, **_options(target))


@functools.lru_cache(maxsize=32)
def _dns(target: Target, subscription: str) -> PrivateDnsManagementClient:
    from azure.mgmt.privatedns import PrivateDnsManagementClient

    return PrivateDnsManagementClient(token(target), subscription, **_options(target))


def _options(target: Target) -> dict[str, Any]:
    where = origin(target)
    return {
        "base_url": where,
        "cloud_setting": CLOUDS[target.cloud],
        "policies": _policies(target),
        "transport": _transport(where, target.ca_file),
    }


def _policies(target: Target) -> list[Any]:
    """New ones for each client: a policy belongs to one pipeline."""
    ours, where = token(target), origin(target)
    return [
        policies.OneHostPolicy(where),  # no token is fetched for another host
        RequestIdPolicy(),
        UserAgentPolicy(base_user_agent=f"privatelink-wizard/{__version__}"),
        policies.LooksOnlyRetryPolicy(),
        *([policies.ReadOnlyPolicy()] if target.read_only else []),
        BearerPolicy(ours),
        *([policies.OneIdentityPolicy(target.acting_as)] if target.acting_as else []),
        policies.OneHostPolicy(where),  # and none is sent there, whatever the policies above made of the request
    ]
