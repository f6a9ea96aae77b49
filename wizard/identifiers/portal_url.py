"""Resource IDs inside an address of the Azure portal or of Azure Resource Manager."""

from __future__ import annotations

import re
from typing import NamedTuple

from wizard.identifiers.forgive import forgiven_id

# portal.azure.com and its sovereign and preview sisters, and the ARM hosts.
_AZURE_ADDRESS = (
    r"(?i:(?:https?://)?(?:[a-z0-9-]+\.)?"
    r"(?:portal\.azure\.(?:com|us|cn)|management\.azure\.com|management\.usgovcloudapi\.net|management\.chinacloudapi\.cn)"
    r"(?::443)?(?:[/?#]|$))"
)


class Pasted(NamedTuple):
    """The ID found in what was pasted ("" when there is none), and whether it came in an Azure address."""

    text: str
    from_portal: bool


def take_id(text: str) -> Pasted:
    """The Resource ID in `text`: on its own, or inside an address of the Azure portal.

    An ID without its leading slash gets one. Other text comes back as it is, forgiven.
    """
    text = forgiven_id(text)
    if ("://" in text or "azure" in text.lower()) and re.match(_AZURE_ADDRESS, text):
        return Pasted(_id_in_address(text), True)
    lowered = text.lower()
    if lowered.startswith(("%2fsubscriptions", "/subscriptions%2f")):
        text = _decoded(text)
    elif lowered == "subscriptions" or lowered.startswith("subscriptions/"):
        text = "/" + text
    return Pasted(text, False)


def _id_in_address(address: str) -> str:
    address = _decoded(address)
    start = address.lower().find("/subscriptions/")
    if start < 0:
        return ""
    found = re.split(r"[?#&]", address[start:], maxsplit=1)[0]
    return found.rstrip("/")


def _decoded(text: str) -> str:
    """Percent-decoded twice at most: portal addresses put an encoded ID into an encoded fragment."""
    from urllib.parse import unquote  # late: few values come in an address

    for _ in range(2):
        if "%" in text:
            text = unquote(text)
    return forgiven_id(text)
