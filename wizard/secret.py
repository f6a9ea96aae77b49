"""Secrets in memory: a value that does not show itself.

A secret reaches a child on stdin and nowhere else (DESIGN.md section 4). `Secret` keeps it out of reprs, logs and
tracebacks by accident-proofing the ordinary ways a string escapes.
"""

from __future__ import annotations

import base64
import json
from typing import NoReturn
from urllib.parse import quote, quote_plus

MASK = "********"

# Every spelling that was made of a secret of this process, for the last net: the log of an error nobody foresaw.
_known: set[str] = set()


def known_spellings() -> frozenset[str]:
    """Every form of every secret that this process has read."""
    return frozenset(_known)


class Secret:
    """A secret string. `reveal()` is the only way to its value; repr, str and format show a mask."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value
        self.spellings()

    def reveal(self) -> str:
        """The value itself, for handing to a child's stdin."""
        return self._value

    def spellings(self, user: str = "") -> tuple[str, ...]:
        """Every form in which the value may leak: itself, its escapes, base64 with and without `user:`.

        Escapes are those of JSON (Go's escapes `&<>` as well), of URLs and forms, and of Python's messages.
        """
        value = self._value
        plain = json.dumps(value)[1:-1]
        html_safe = plain.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
        forms = {value, plain, html_safe, quote(value), quote(value, safe=""), quote_plus(value), repr(value)[1:-1]}
        forms.add(_b64(value))
        if user:
            forms.add(_b64(f"{user}:{value}"))
        _known.update(form for form in forms if form)
        return tuple(sorted(form for form in forms if form))

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled: it stays in this process")


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
