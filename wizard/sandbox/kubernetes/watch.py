"""Watches: the stream of changes that `--wait`, `kubectl wait` and informers follow."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from typing import Any

from aiohttp import web

from wizard.sandbox.kubernetes import tables
from wizard.sandbox.kubernetes.errors import bad_request
from wizard.sandbox.kubernetes.lists import selected
from wizard.sandbox.kubernetes.paths import Target
from wizard.sandbox.kubernetes.resources import Obj
from wizard.sandbox.kubernetes.selectors import matches
from wizard.sandbox.kubernetes.store import Change, Store

_LONGEST = 3600.0  # seconds, when the client names no end


class Watches:
    """Serves watches on `store`; `end` finishes all of them, or a server that stops would wait for its clients."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._queues: set[asyncio.Queue[Change | None]] = set()

    def end(self) -> None:
        """Let every open watch end."""
        for queue in self._queues:
            queue.put_nowait(None)

    async def serve(self, request: web.Request, target: Target, *, as_table: bool) -> web.StreamResponse:
        """Stream changes until the client goes or its time is over; raises ApiError (400, 410) before it begins."""
        queue: asyncio.Queue[Change | None] = asyncio.Queue()
        # Everything up to here is read in one go, and from here on heard of: nothing falls between the two.
        first = list(self._first_events(target, request.query))
        until = asyncio.get_running_loop().time() + _seconds(request.query)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})

        async def send(kind: str, obj: Obj) -> None:
            if as_table and kind != "BOOKMARK":
                metadata = {"resourceVersion": obj["metadata"]["resourceVersion"]}
                obj = tables.table(target.resource, [obj], metadata)
            await response.write(json.dumps({"type": kind, "object": obj}).encode() + b"\n")

        self._store.subscribe(queue.put_nowait)
        self._queues.add(queue)
        try:
            await response.prepare(request)
            for kind, obj in first:
                await send(kind, obj)
            async with asyncio.timeout_at(until):
                while change := await queue.get():
                    if kind_seen := _seen_as(change, target, request.query):
                        await send(kind_seen, change.obj)
        except (TimeoutError, ConnectionError):
            pass  # both are ordinary ends of a watch
        finally:
            self._queues.remove(queue)
            self._store.unsubscribe(queue.put_nowait)
        return response

    def _first_events(self, target: Target, query: Mapping[str, str]) -> Iterator[tuple[str, Obj]]:
        initial = query.get("sendInitialEvents") == "true"
        version = query.get("resourceVersion", "")
        if not version.isdigit() and version:
            raise bad_request(f"resourceVersion: Invalid value: {version}")
        if initial or version in ("", "0"):
            for obj in selected(self._store, target, query):
                yield "ADDED", obj
            if initial:
                yield "BOOKMARK", self._end_of_initial_events(target)
            return
        for change in self._store.changes_since(int(version)):
            if kind := _seen_as(change, target, query):
                yield kind, change.obj

    def _end_of_initial_events(self, target: Target) -> Obj:
        # By this annotation newer clients know that they have seen the whole list (KEP-3157).
        metadata: dict[str, Any] = {
            "resourceVersion": str(self._store.version),
            "creationTimestamp": None,
            "annotations": {"k8s.io/initial-events-end": "true"},
        }
        return {"kind": target.resource.kind, "apiVersion": target.resource.group_version, "metadata": metadata}


def _seconds(query: Mapping[str, str]) -> float:
    text = query.get("timeoutSeconds", "")
    return float(text) if text.isdigit() and int(text) else _LONGEST


def _seen_as(change: Change, target: Target, query: Mapping[str, str]) -> str:
    """What a change is to this watch: an object that comes to match is added, one that ceases to is deleted."""
    if change.key.resource is not target.resource or target.namespace not in ("", change.key.namespace):
        return ""
    labels, fields = query.get("labelSelector", ""), query.get("fieldSelector", "")
    was = change.before is not None and matches(change.before, labels, fields)
    is_now = change.type != "DELETED" and matches(change.obj, labels, fields)
    return {(False, True): "ADDED", (True, True): "MODIFIED", (True, False): "DELETED"}.get((was, is_now), "")
