"""What a handler is asked and what it answers, without HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Obj = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `path` as it was spelled, `query` and `headers` by lower-case names.

    `base` is the URL under which the client reached the server: links it follows must lead there too.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Obj
    base: str

    @property
    def api_version(self) -> str:
        """Whatever the client said: any is accepted."""
        return self.query["api-version"]


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. A `body` of None is none at all."""

    status: int = 200
    body: Obj | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
