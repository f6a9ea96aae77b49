"""Reads request bodies: JSON, YAML (server-side apply) or protobuf."""

from __future__ import annotations

import json
from typing import Any

import yaml
from aiohttp import web

from wizard.sandbox.kubernetes import protobuf
from wizard.sandbox.kubernetes.errors import bad_request, unsupported_media_type
from wizard.sandbox.kubernetes.resources import Obj

APPLY_PATCH = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"

_PROTOBUF = "application/vnd.kubernetes.protobuf"
_JSON = ("", "application/json", "application/octet-stream", JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH)
_YAML = ("application/yaml", APPLY_PATCH)


async def read(request: web.Request) -> Any:
    """The body, {} when there is none; raises ApiError: 400 when it cannot be read, 415 for other types."""
    data = await request.read()
    if not data:
        return {}
    kind = request.content_type
    if kind == _PROTOBUF:
        return protobuf.decode(data)
    if kind not in (*_JSON, *_YAML):
        accepted = f"application/json, application/yaml, {_PROTOBUF}"
        raise unsupported_media_type(
            f"the body of the request was in an unknown format - accepted media types include: {accepted}"
        )
    try:
        return yaml.safe_load(data) if kind in _YAML else json.loads(data)
    except (ValueError, yaml.YAMLError) as error:
        raise bad_request(f"the body of the request cannot be parsed: {error}") from error


async def read_object(request: web.Request) -> Obj:
    """The same where only an object makes sense."""
    body = await read(request)
    if not isinstance(body, dict):
        raise bad_request("the object provided is unrecognized: it is no JSON object")
    return body
