"""What no field takes: placeholders, shortened IDs, whole commands and tokens.

Looked for before any kind's own parser, so that each is named for what it is everywhere alike.
"""

from __future__ import annotations

import re

from wizard.identifiers.forgive import unwrap
from wizard.identifiers.result import quoted
from wizard.text import visible

# Placeholders of the portal's commands, in lower case, and where their value is.
_PORTAL = {
    "label": "the release name",
    "chartversion": "the chart version",
    "imageregistrycredentials.username": "the registry user",
    "imageregistrycredentials.password": "the registry token",
    "private_access_token": "the registry token: Copy token to clipboard",
    "values.yml": "the path of the values file: Download values.yml, then enter where you saved it",
}

# A text in angle brackets made of these words alone stands for a value; any other is a value in brackets.
_STAND_IN_WORDS = frozenset(
    {
        "a", "access", "address", "alias", "azure", "chart", "endpoint", "file", "fqdn", "group", "guid", "helm",
        "here", "host", "hostname", "id", "insert", "ip", "label", "link", "my", "name", "namespace", "network",
        "password", "path", "placeholder", "private", "registry", "release", "resource", "secret", "service",
        "string", "subnet", "subscription", "subscriptionid", "tenant", "the", "to", "token", "url", "user",
        "username", "value", "values", "version", "vnet", "yaml", "yml", "your",
    }
)  # fmt: skip

# Compiled when first searched for, and searched for only where their first character is: `validate` starts quickly.
_DOLLAR = r"\$\(([^()]{1,80})\)|\$\{([^{}]{1,80})\}|\{\{([^{}]{1,80})\}\}"
_BRACES = r"\{([A-Za-z][A-Za-z0-9 _.-]{0,79})\}"
_ANGLES = r"<([A-Za-z][A-Za-z0-9 _./-]{0,79})>"
_COMMAND = r"(?:\$ |PS [^>\n]{0,80}> |# )?(?:sudo )?(?:helm|az|kubectl) [a-z]"
_HEX = frozenset("0123456789abcdefABCDEF-")


def placeholder(text: str) -> str:
    """The message for a placeholder anywhere in `text`; "" when there is none."""
    found = re.search(_DOLLAR, text) if "$" in text or "{{" in text else None
    if found:
        return _fill_in(found.group(0), next(name for name in found.groups() if name))
    for found in re.finditer(_BRACES, text) if "{" in text else ():
        if not set(found.group(1)) <= _HEX:
            return _fill_in(found.group(0), found.group(1))
    for found in re.finditer(_ANGLES, text) if "<" in text else ():
        if stands_for_a_value(found.group(1)):
            return _fill_in(found.group(0), found.group(1))
    return ""


def stands_for_a_value(text: str) -> bool:
    """Whether `text`, out of angle brackets, is made of the words of placeholders alone."""
    words = [word for word in re.split(r"[^a-z0-9]+", text.lower()) if word]
    return bool(words) and all(word in _STAND_IN_WORDS for word in words)


def _fill_in(found: str, name: str) -> str:
    value = _PORTAL.get(name.strip().lower())
    if value:
        return f"{quoted(found)} is a placeholder. The vendor's portal shows {value}"
    return f"{quoted(found)} is a placeholder. Put your own value in its place"


def looks_like_token(text: str) -> bool:
    """Whether `text` holds a JWT, or a long run of letters and digits as random as a password.

    Names and IDs do not: their runs between dashes and dots are short. A run counts from 32 characters with small
    letters, capitals and at least two digits.
    """
    if "eyJ" in text and re.search(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}", text):
        return True
    for found in re.finditer(r"[A-Za-z0-9+=_]{32,}", text):
        run = found.group(0)
        sorts = (any(map(str.islower, run)), any(map(str.isupper, run)), sum(map(str.isdigit, run)) >= 2)
        if all(sorts) and len(set(run)) >= 16:
            return True
    return False


def stand_in(text: str) -> str:
    """Why `text`, at most some thousand characters, is no value for any field; "" when it may be one."""
    text = visible(text).strip()
    message = placeholder(text)
    if message:
        return message
    if looks_like_token(text):
        return (
            "this looks like a token or a password, so it is not shown here. Put it only into the field for the token"
        )
    if "…" in text or "/.../" in text:
        return "this is shortened: there is a … in it. Copy the whole value, with the copy button if there is one"
    if " " in text and re.match(_COMMAND, unwrap(text)):
        return "this is a whole command. Enter the one value alone"
    return ""
