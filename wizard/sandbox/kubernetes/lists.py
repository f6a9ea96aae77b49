"""Lists: selectors and paging.

The continue token says where the last page ended. The next one begins behind that place in what there is by then;
a real server would page through the past, but clients cannot rely on it to have that for long.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import NamedTuple

from wizard.sandbox.kubernetes.errors import bad_request
from wizard.sandbox.kubernetes.meta import name_of, namespace_of
from wizard.sandbox.kubernetes.paths import Target
from wizard.sandbox.kubernetes.resources import Obj
from wizard.sandbox.kubernetes.selectors import matches
from wizard.sandbox.kubernetes.store import Store


class Page(NamedTuple):
    """Objects and the ListMeta that goes with them."""

    items: list[Obj]
    metadata: Obj


def selected(store: Store, target: Target, query: Mapping[str, str]) -> list[Obj]:
    """All objects the request is about; raises ApiError (400) when a selector cannot be parsed."""
    labels, fields = query.get("labelSelector", ""), query.get("fieldSelector", "")
    return [obj for obj in store.list(target.resource, target.namespace) if matches(obj, labels, fields)]


def page(store: Store, target: Target, query: Mapping[str, str]) -> Page:
    """One page by `limit` and `continue`; raises ApiError (400) for a token or number that makes no sense."""
    metadata: Obj = {"resourceVersion": str(store.version)}
    items = selected(store, target, query)
    if token := query.get("continue"):
        after = _decode(token)
        items = [obj for obj in items if _place(obj) > after]
    limit = _number(query.get("limit", ""))
    left = len(items) - limit
    if limit and left > 0:
        items = items[:limit]
        metadata["continue"] = base64.urlsafe_b64encode(json.dumps(_place(items[-1])).encode()).decode()
        if not query.get("labelSelector") and not query.get("fieldSelector"):
            metadata["remainingItemCount"] = left
    return Page(items, metadata)


def _place(obj: Obj) -> tuple[str, str]:
    return namespace_of(obj), name_of(obj)


def _number(text: str) -> int:
    if text and not (text.isascii() and text.isdigit()):
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return int(text or 0)


def _decode(token: str) -> tuple[str, str]:
    try:
        namespace, name = json.loads(base64.urlsafe_b64decode(token))
    except (ValueError, TypeError) as error:
        raise bad_request("continue key is not valid: it was not given by this server") from error
    return str(namespace), str(name)
