"""Identifiers: what a person types or pastes into a field, told right from nearly right.

`parse` is the one way in. It forgives what pasting adds around a value, says which parts are right so far and what
comes next, and names a mistake together with what to enter instead. It never raises for a known kind, whatever the
text, and takes linear time.
"""

from __future__ import annotations

from collections.abc import Callable

from wizard.identifiers import address, azure, free_text, helm, host, token
from wizard.identifiers.forgive import LONGEST
from wizard.identifiers.helm import duration_seconds
from wizard.identifiers.result import NOTHING_KNOWN, Known, Parsed, Part, part
from wizard.identifiers.stand_in import looks_like_token, stand_in
from wizard.identifiers.token import strip_token

__all__ = [
    "FIELD_KINDS",
    "KINDS",
    "SECRET_KINDS",
    "Known",
    "Parsed",
    "Part",
    "duration_seconds",
    "looks_like_token",
    "parse",
    "strip_token",
]

KINDS = (
    "subscription-id",
    "endpoint-id",
    "link-service",
    "vnet-id",
    "subnet-id",
    "hostname",
    "chart-version",
    "release-name",
)
"""The kinds of the command `validate`, in the order of its help (DESIGN.md section 5)."""

_PARSERS: dict[str, Callable[[str, Known], Parsed]] = {
    "subscription-id": azure.parse_subscription_id,
    "endpoint-id": azure.parse_endpoint_id,
    "link-service": azure.parse_link_service,
    "vnet-id": azure.parse_vnet_id,
    "subnet-id": azure.parse_subnet_id,
    "hostname": host.parse_hostname,
    "chart-version": helm.parse_chart_version,
    "release-name": helm.parse_release_name,
    "tenant-id": azure.parse_tenant_id,
    "resource-group": azure.parse_resource_group,
    "endpoint-name": azure.parse_endpoint_name,
    "private-ip": address.parse_private_ip,
    "dns-server": address.parse_dns_server,
    "namespace": helm.parse_namespace,
    "registry": helm.parse_registry,
    "registry-user": helm.parse_registry_user,
    "chart-ref": helm.parse_chart_ref,
    "values-path": free_text.parse_values_path,
    "duration": helm.parse_duration,
    "environment-name": free_text.parse_environment_name,
    "item-name": helm.parse_item_name,
    "token": token.parse_token,
}

FIELD_KINDS = tuple(_PARSERS)
"""Every kind that a guide's field can have."""

SECRET_KINDS = frozenset({"token"})
"""The kinds whose text no answer holds: `value` is empty, `normalized` a mask, and the parts have no value."""


def parse(kind: str, text: str, known: Known = NOTHING_KNOWN) -> Parsed:
    """What `text` is as a value of `kind`, one of FIELD_KINDS.

    Raises ValueError for another kind.
    """
    if kind not in _PARSERS:
        raise ValueError(f"no kind of identifier: {kind!r}")
    secret = kind in SECRET_KINDS
    value = "" if secret else text
    message = _too_long(text) or ("" if secret else stand_in(text))
    if message:
        # The text is not shown again: it may be a secret.
        return Parsed(kind, value, "wrong", parts=(part(kind, "", "bad"),), message=message)
    return _PARSERS[kind](text, known)._replace(kind=kind, value=value)


def _too_long(text: str) -> str:
    if len(text) <= LONGEST:
        return ""
    return f"this has {len(text):,} characters, more than any value of this kind. Copy the one value alone"
