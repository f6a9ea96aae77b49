"""Lists in pages. A page is small, so that a list of some length shows whether a client follows `nextLink`."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from urllib.parse import urlencode

from wizard.sandbox.arm.errors import bad_request
from wizard.sandbox.arm.messages import Obj, Reply, Request

PAGE_SIZE = 50
_TOKEN = "$skiptoken"  # noqa: S105 - the name of a parameter


def page(request: Request, found: Sequence[Obj]) -> Reply:
    """The part of `found` (in the order of their IDs) that the request asks for, with a link to the next one."""
    size = _size(request.query.get("$top", ""))
    after = _after(request.query.get(_TOKEN, ""))
    rest = [each for each in found if each["id"].lower() > after]
    body: Obj = {"value": rest[:size]}
    if len(rest) > size:
        token = base64.urlsafe_b64encode(rest[size - 1]["id"].lower().encode()).decode()
        query = {name: value for name, value in request.query.items() if name != _TOKEN}
        body["nextLink"] = f"{request.base}{request.path}?{urlencode({**query, _TOKEN: token})}"
    return Reply(200, body)


def _size(top: str) -> int:
    return min(int(top), PAGE_SIZE) if top.isdigit() and int(top) else PAGE_SIZE


def _after(token: str) -> str:
    try:
        return base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise bad_request("InvalidSkipToken", "The skip token is invalid.") from None
