"""Keeping secrets out of what is written down.

Two nets: every secret the program holds is looked for in every string, and so is anything that looks like a token
that it was never told of. The second net is statistics, drawn from what tokens are: text without words.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import accumulate, pairwise
from typing import Any

from state.problem import Problem

MASK = "********"

SHORT = 4
"""A held secret shorter than this is compared as a whole only: as a part, it would be found everywhere."""

# RFC 7519: base64url of a JSON object, which begins with `{"` = `eyJ`, a dot, and more of it. Outside text is searched,
# so whole runs are taken apart instead of trying a match at each of their characters: that would take for ever.
_DOTTED = re.compile(r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]++(?:\.[A-Za-z0-9_-]*+)++")
_MIN_PART = 10

# A run of base64 or base64url, percent escapes included. Paths and names with dashes are such runs, too.
_WINDOW = 40
_RUN = re.compile(rf"[A-Za-z0-9+/_%~-]{{{_WINDOW},}}={{0,2}}")
_HEX = re.compile(r"(?<![A-Za-z0-9])(?:[0-9a-f]{8,}|[0-9A-F]{8,})(?![A-Za-z0-9])")  # digests; a GUID begins so
_PIECE = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")

# Measured over random base64 of 52 characters and over invented paths, resource IDs and names: of 40 characters, a
# token makes 14 pieces or more (median 22); names made of words and numbers make 6 to 12.
_MIN_PIECES = 14
_MIN_OF_A_CASE = 5
_MAX_SEPARATORS = 8


class SecretRefused(Problem):
    """Something was not written down because it holds a secret; `where` names the place, never the value."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(
            "secret-refused",
            f"Not saved: {where} {why}.",
            means="Secrets are never written to the journal.",
            todo="Take it out of that text and enter it only where a secret is asked for.",
        )
        self.where = where


class SecretGuard:
    """Knows the secrets held in memory, and finds them and other tokens in what is about to be written."""

    def __init__(self) -> None:
        self._held: set[str] = set()

    def __repr__(self) -> str:
        return f"SecretGuard({len(self._held)} held)"

    def hold(self, *spellings: str) -> None:
        """Look for these from now on: a secret in every form in which it may leak."""
        self._held.update(spelling for spelling in spellings if spelling)

    def check(self, obj: Any, where: str = "") -> None:
        """Walk every string of `obj` (dicts, lists, tuples, strings: builtins), keys and values.

        Raises SecretRefused naming the field, as in `evidence[0].answer`.
        """
        for path, text in _strings(obj, where):
            if self._holds(text):
                raise SecretRefused(path or "the text", "holds a secret")
            if any(_jwts(text)):
                raise SecretRefused(path or "the text", "holds a token (a JWT)")
            if any(_tokens(text)):
                raise SecretRefused(path or "the text", "holds what looks like a token or key")

    def redact(self, text: str) -> str:
        """`text` with every held secret and everything that looks like a token masked."""
        if text in self._held:
            return MASK
        for secret in sorted(self._held, key=len, reverse=True):
            if len(secret) >= SHORT:
                text = text.replace(secret, MASK)
        return _masked(_masked(text, _jwts), _tokens)

    def _holds(self, text: str) -> bool:
        return text in self._held or any(len(secret) >= SHORT and secret in text for secret in self._held)


def _strings(obj: Any, path: str) -> Iterator[tuple[str, str]]:
    """Every string in `obj` with the place where it stands. A key comes before the path that names it is used."""
    if isinstance(obj, str):
        yield path, obj
    elif isinstance(obj, dict):
        for key, value in obj.items():
            yield f"a name in {path or 'the data'}", str(key)
            yield from _strings(value, f"{path}.{key}" if path else str(key))
    elif isinstance(obj, (list, tuple, set, frozenset)):
        for index, value in enumerate(obj):
            yield from _strings(value, f"{path}[{index}]")


Span = tuple[int, int]


def _masked(text: str, search: Callable[[str], Iterator[Span]]) -> str:
    parts: list[str] = []
    end = 0
    for begin, after in search(text):
        parts += text[end:begin], MASK
        end = after
    return "".join((*parts, text[end:]))


def _jwts(text: str) -> Iterator[Span]:
    """Where a JWT stands, with all its parts, and whatever follows them after a further dot."""
    for run in _DOTTED.finditer(text):
        begin = run.start()
        parts = run[0].split(".")
        for part, following in pairwise(parts):
            at = part.find("eyJ")
            # The second part of an encrypted one may be empty (RFC 7516).
            if 0 <= at <= len(part) - len("eyJ") - _MIN_PART and (len(following) >= _MIN_PART or not following):
                yield begin + at, run.end()
                break
            begin += len(part) + 1


def _tokens(text: str) -> Iterator[Span]:
    """Where runs look random. Hex digests and GUIDs do too, and are no secrets: they break a run."""
    for run in _RUN.finditer(_HEX.sub(lambda hex_: "." * len(hex_[0]), text)):
        if _looks_random(run[0]):
            yield run.span()


def _looks_random(run: str) -> bool:
    """Whether some 40 characters of `run` are upper case, lower case and digits in no order of words."""
    run = run.rstrip("=")
    starts = [piece.start() for piece in _PIECE.finditer(run)]
    upper, lower, wordly = (_counts(run, kind) for kind in (str.isupper, str.islower, str.isalnum))
    for first in starts:
        begin = min(first, len(run) - _WINDOW)
        end = begin + _WINDOW
        if (
            bisect_left(starts, end) - bisect_left(starts, begin) >= _MIN_PIECES
            and upper[end] - upper[begin] >= _MIN_OF_A_CASE
            and lower[end] - lower[begin] >= _MIN_OF_A_CASE
            and _WINDOW - (wordly[end] - wordly[begin]) <= _MAX_SEPARATORS
        ):
            return True
    return False


def _counts(text: str, kind: Callable[[str], bool]) -> list[int]:
    """How many characters of that kind stand before each place of `text`, its end included."""
    return [0, *accumulate(map(kind, text))]
