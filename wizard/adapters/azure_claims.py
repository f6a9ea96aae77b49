"""Whose an access token is, read from its claims.

They are not verified, and need not be: we asked the tenant for the token ourselves, and ARM, which judges it at every
request, is who must not be fooled. For us it is a name to compare with the one that was pinned.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from state.problem import EXIT_NOT_YET, Problem
from wizard.adapters.azure_asking import text_at
from wizard.azure import AzureIdentity


def identity_in(token: str) -> AzureIdentity:
    """As whom a request with this token is made. Raises Problem `azure-identity-unknown` when it does not tell."""
    claims = _claims(token)
    tenant, oid = text_at(claims, "tid"), text_at(claims, "oid")
    if not tenant or not oid:
        raise Problem(
            "azure-identity-unknown",
            "The sign-in does not tell which account of which tenant it is.",
            means="The wizard could not notice if it changed.",
            todo="Sign in with a work or school account, a service principal or a managed identity.",
            exit_code=EXIT_NOT_YET,
        )
    names = [text_at(claims, claim) for claim in ("upn", "preferred_username", "unique_name", "appid", "azp")]
    return AzureIdentity(tenant.lower(), oid.lower(), next(filter(None, names), ""))


def _claims(token: str) -> Any:
    try:
        payload = token.split(".")[1]
        return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, IndexError, RecursionError):
        return None
