"""Signing in to Azure: the ways, the clouds, what asks for it, and a sign-in while it goes on.

Light, and without any Azure package: the command line, the actions and the screens import it.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field

from state.problem import Problem
from wizard.azure import AzureIdentity, SignInPrompt
from wizard.identifiers.guid import is_guid

CLI, DEVICE_CODE, BROWSER, DEFAULT = "cli", "device-code", "browser", "default"
MANAGED = "managed"
"""The sandbox's own way: it asks nobody. A setup can't choose it."""

CLOUDS = {"public": "public", "us-government": "US Government", "china": "China (21Vianet)"}
"""The clouds, each with its name for people."""

CODES = frozenset(
    {
        "azure-sign-in-needed",
        "azure-token-refused",
        "azure-wrong-tenant",
        "azure-cli-missing",
        "azure-not-logged-in",
        "azure-login-mfa",
        "azure-login-expired",
        "azure-login-tenant",
        "azure-login-failed",
        "azure-sign-in-late",
        "azure-no-browser",
        "azure-identity-unknown",
        "other-identity",
    }
)
"""Codes of the Problems that go away by signing in, as somebody or as somebody else (wizard.adapters.azure_errors)."""

_CLI_CLOUD = {"public": "AzureCloud", "us-government": "AzureUSGovernment", "china": "AzureChinaCloud"}
_DOMAIN = re.compile(r"(?=.{4,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]")


@dataclass(frozen=True, slots=True)
class Way:
    """A way to sign in: its name for people, and what it needs."""

    id: str
    label: str
    needs: str


WAYS = (
    Way(CLI, "Azure CLI", "needs `az` on this machine, and `az login` there"),
    Way(DEVICE_CODE, "Device code", "needs a browser on any device: a page and a code are shown here"),
    Way(BROWSER, "Browser", "needs a browser on this machine; it opens by itself"),
    Way(DEFAULT, "Default", "advanced: variables, managed identities and tools in turn; the first one counts"),
)
"""How one signs in to Azure (AZURE.md, "Identity, clients, safety"), the default first."""

SIGN_INS = tuple(way.id for way in WAYS)


def label_of(way: str) -> str:
    """A way's name for people."""
    return next((one.label for one in WAYS if one.id == way), "the sandbox's own" if way == MANAGED else way)


def is_tenant(text: str) -> bool:
    """Whether `text` can be a tenant: its ID, a GUID, or one of its domain names, such as `example.onmicrosoft.com`."""
    return is_guid(text) or _DOMAIN.fullmatch(text.lower()) is not None


def login_commands(cloud: str, tenant: str | None, *, elsewhere: bool = False) -> tuple[str, ...]:
    """The commands that sign the Azure CLI in to a cloud and tenant.

    `az` stands in the public cloud by itself, until it is told another one, and stays there. `elsewhere`: that may be
    what is wrong, so that the public cloud is named, too.
    """
    login = f"az login --tenant {tenant}" if tenant else "az login"
    named = _CLI_CLOUD.get(cloud)
    return (f"az cloud set --name {named}", login) if named and (elsewhere or cloud != "public") else (login,)


@dataclass(slots=True)
class SigningIn:
    """One sign-in, from its begin to its end. `prompt`: what to do meanwhile, None while that is not known.

    In the end there is an `identity`, a `problem`, or both: somebody else signed in than this setup is pinned to.
    """

    way: str
    cloud: str = "public"
    tenant: str | None = None
    begun: float = field(default_factory=time.monotonic)
    ended: float | None = None
    prompt: SignInPrompt | None = None
    identity: AzureIdentity | None = None
    problem: Problem | None = None

    @property
    def running(self) -> bool:
        """Whether somebody is still waited for."""
        return self.ended is None

    @property
    def good(self) -> bool:
        """Whether the right one has signed in."""
        return self.identity is not None and self.problem is None

    def elapsed(self) -> float:
        """Seconds since it began, until it ended."""
        return (self.ended if self.ended is not None else time.monotonic()) - self.begun

    def end(self, identity: AzureIdentity | None = None, problem: Problem | None = None) -> None:
        """It has ended: somebody signed in, or why not; neither when it was cancelled."""
        self.identity, self.problem, self.ended = identity, problem, time.monotonic()
