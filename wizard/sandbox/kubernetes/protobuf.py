"""Reads the Kubernetes protobuf messages that clients send.

helm from 3.18 on and kubectl from 1.33 on send writes of built-in types as application/vnd.kubernetes.protobuf and do
not fall back to JSON on 415, while they accept JSON in answers. So reading is enough, and only for the few kinds
they write by type instead of from a manifest. Field numbers: the generated.proto files of k8s.io/api and
k8s.io/apimachinery, which never change within an API version.
"""

from __future__ import annotations

import base64
import datetime
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from wizard.sandbox.kubernetes.errors import bad_request, unsupported_media_type
from wizard.sandbox.kubernetes.resources import Obj

_MAGIC = b"k8s\x00"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

Decode = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class _Field:
    """One field of a message: its JSON name, how its value is read, and whether it comes more than once."""

    name: str
    decode: Decode
    repeated: bool = False
    is_map: bool = False


_Message = Mapping[int, _Field]


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Number and raw value of each field in the wire format; raises IndexError or KeyError where it ends early."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        tag = varint()
        number, wire_type = tag >> 3, tag & 7
        if wire_type == _VARINT:
            yield number, varint()
            continue
        size = varint() if wire_type == _BYTES else {_FIXED64: 8, _FIXED32: 4}[wire_type]
        if at + size > len(data):
            raise IndexError(number)
        yield number, data[at : at + size]
        at += size


def _decode(message: _Message, data: bytes) -> Obj:
    """A message as JSON. Fields that are not in the table are left out: no client fills them in what it writes."""
    result: Obj = {}
    for number, raw in _fields(data):
        field = message.get(number)
        if field is None:
            continue
        if field.is_map:
            entry = dict(_fields(raw))
            result.setdefault(field.name, {})[_text(entry.get(1, b""))] = field.decode(entry.get(2, b""))
        elif field.repeated:
            result.setdefault(field.name, []).append(field.decode(raw))
        elif (value := field.decode(raw)) not in ("", None):
            result[field.name] = value
    return result


def _text(raw: bytes) -> str:
    return raw.decode()


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _nested(message: _Message) -> Decode:
    return lambda raw: _decode(message, raw)


def _time(raw: bytes) -> str | None:
    seconds = dict(_fields(raw)).get(1)
    if seconds is None:
        return None
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_OWNER_REFERENCE: _Message = {
    1: _Field("kind", _text),
    3: _Field("name", _text),
    4: _Field("uid", _text),
    5: _Field("apiVersion", _text),
    6: _Field("controller", bool),
    7: _Field("blockOwnerDeletion", bool),
}
_METADATA = _Field(
    "metadata",
    _nested(
        {
            1: _Field("name", _text),
            2: _Field("generateName", _text),
            3: _Field("namespace", _text),
            5: _Field("uid", _text),
            6: _Field("resourceVersion", _text),
            7: _Field("generation", int),
            8: _Field("creationTimestamp", _time),
            9: _Field("deletionTimestamp", _time),
            11: _Field("labels", _text, is_map=True),
            12: _Field("annotations", _text, is_map=True),
            13: _Field("ownerReferences", _nested(_OWNER_REFERENCE), repeated=True),
            14: _Field("finalizers", _text, repeated=True),
        }
    ),
)
_RESOURCE_ATTRIBUTES: _Message = {
    1: _Field("namespace", _text),
    2: _Field("verb", _text),
    3: _Field("group", _text),
    4: _Field("version", _text),
    5: _Field("resource", _text),
    6: _Field("subresource", _text),
    7: _Field("name", _text),
}
_ACCESS_REVIEW_SPEC: _Message = {
    1: _Field("resourceAttributes", _nested(_RESOURCE_ATTRIBUTES)),
    2: _Field("nonResourceAttributes", _nested({1: _Field("path", _text), 2: _Field("verb", _text)})),
}
_PRECONDITIONS: _Message = {1: _Field("uid", _text), 2: _Field("resourceVersion", _text)}

_KINDS: dict[str, _Message] = {
    "Secret": {
        1: _METADATA,
        2: _Field("data", _base64, is_map=True),
        3: _Field("type", _text),
        4: _Field("stringData", _text, is_map=True),
        5: _Field("immutable", bool),
    },
    "ConfigMap": {
        1: _METADATA,
        2: _Field("data", _text, is_map=True),
        3: _Field("binaryData", _base64, is_map=True),
        4: _Field("immutable", bool),
    },
    "Namespace": {
        1: _METADATA,
        2: _Field("spec", _nested({1: _Field("finalizers", _text, repeated=True)})),
        3: _Field("status", _nested({1: _Field("phase", _text)})),
    },
    "SelfSubjectAccessReview": {1: _METADATA, 2: _Field("spec", _nested(_ACCESS_REVIEW_SPEC))},
    "SelfSubjectRulesReview": {1: _METADATA, 2: _Field("spec", _nested({1: _Field("namespace", _text)}))},
    "SelfSubjectReview": {1: _METADATA},
    "DeleteOptions": {
        1: _Field("gracePeriodSeconds", int),
        2: _Field("preconditions", _nested(_PRECONDITIONS)),
        3: _Field("orphanDependents", bool),
        4: _Field("propagationPolicy", _text),
        5: _Field("dryRun", _text, repeated=True),
    },
}


def decode(data: bytes) -> Obj:
    """A request body as JSON; raises ApiError: 400 when it is no such message, 415 for a kind not in the table."""
    if not data.startswith(_MAGIC):
        raise bad_request("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    try:
        envelope = dict(_fields(data[len(_MAGIC) :]))
        type_meta = dict(_fields(envelope[1]))
        api_version, kind = _text(type_meta[1]), _text(type_meta[2])
        if kind not in _KINDS:
            raise unsupported_media_type(f"the sandbox does not read {kind} as protobuf; send it as JSON")
        return {**_decode(_KINDS[kind], envelope.get(2, b"")), "apiVersion": api_version, "kind": kind}
    except (IndexError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise bad_request("the protobuf message ends early or is damaged") from error
