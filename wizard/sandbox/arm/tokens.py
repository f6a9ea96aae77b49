"""Access tokens: signed by the identity endpoint, checked by Azure, both with the sandbox's own key."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Any

LIFETIME = 900
"""Seconds. SDKs renew a token five minutes before its end."""


class BadToken(Exception):
    """Not a token of this sandbox."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who tokens are about, and the key (any text) that signs them."""

    key: str
    tenant: str
    object_id: str
    client_id: str

    def issue(self, audience: str, now: float) -> tuple[str, int]:
        """A token for a resource, and its end in seconds since the epoch."""
        start, end = int(now), int(now) + LIFETIME
        claims = {
            "aud": audience,
            "iss": f"https://sts.windows.net/{self.tenant}/",
            "iat": start,
            "nbf": start - 60,
            "exp": end,
            "tid": self.tenant,
            "oid": self.object_id,
            "sub": self.object_id,
            "appid": self.client_id,
            "idtyp": "app",
            "ver": "1.0",
        }
        content = f"{_encoded({'alg': 'HS256', 'typ': 'JWT'})}.{_encoded(claims)}"
        return f"{content}.{_b64(self._signature(content))}", end

    def claims(self, token: str) -> dict[str, Any]:
        """What a token of this issuer says, expired or not. Raises BadToken for any other."""
        content, _, signature = token.rpartition(".")
        try:
            given = _unb64(signature)
            # The algorithm is never taken from the token: this signature is the only one there is.
            if not hmac.compare_digest(given, self._signature(content)):
                raise BadToken
            claims = json.loads(_unb64(content.partition(".")[2]))
        except (binascii.Error, ValueError):
            raise BadToken from None
        return dict(claims)

    def _signature(self, content: str) -> bytes:
        return hmac.digest(self.key.encode(), content.encode(), hashlib.sha256)


def _encoded(value: dict[str, Any]) -> str:
    return _b64(json.dumps(value, separators=(",", ":")).encode())


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4))
