"""The API server's refusals, in its own words: clients match on reason and text (helm prints the text as it is)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from wizard.sandbox.kubernetes.resources import Obj, Resource


class ApiError(Exception):
    """A request that is refused; `status()` is the `Status` object sent as the reply."""

    def __init__(self, code: int, reason: str, message: str, details: Obj | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details

    def status(self) -> Obj:
        """The reply's body (meta/v1 Status)."""
        body: Obj = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        }
        if self.details:
            body["details"] = self.details
        return body


class FieldError(NamedTuple):
    """One thing wrong with an object: the field's path, the machine's reason and the text after the path."""

    field: str
    reason: str
    message: str

    @classmethod
    def required(cls, field: str, more: str = "") -> FieldError:
        """A field that must be there and is not."""
        return cls(field, "FieldValueRequired", f"Required value{': ' + more if more else ''}")

    @classmethod
    def wrong(cls, field: str, value: Any, more: str) -> FieldError:
        """A field whose value is not allowed."""
        shown = f'"{value}"' if isinstance(value, str) else str(value)
        return cls(field, "FieldValueInvalid", f"Invalid value: {shown}: {more}")


def _details(resource: Resource, name: str) -> Obj:
    details = {"name": name, "group": resource.group, "kind": resource.plural}
    return {field: value for field, value in details.items() if value}


def bad_request(message: str) -> ApiError:
    """400: the request itself does not make sense."""
    return ApiError(400, "BadRequest", message)


def unauthorized() -> ApiError:
    """401: no bearer, or another one."""
    return ApiError(401, "Unauthorized", "Unauthorized")


def forbidden(
    user: str, verb: str, resource: Resource, subresource: str = "", *, namespace: str = "", name: str = ""
) -> ApiError:
    """403 as RBAC says it."""
    subject = f'{resource.qualified_plural} "{name}"' if name else resource.qualified_plural
    asked = f"{resource.plural}/{subresource}" if subresource else resource.plural
    where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    what = f'{verb} resource "{asked}" in API group "{resource.group}" {where}'
    text = f'{subject} is forbidden: User "{user}" cannot {what}'
    return ApiError(403, "Forbidden", text, _details(resource, name))


def not_found(resource: Resource, name: str) -> ApiError:
    """404 for an object."""
    text = f'{resource.qualified_plural} "{name}" not found'
    return ApiError(404, "NotFound", text, _details(resource, name))


def no_such_resource() -> ApiError:
    """404 for a path or subresource that is not served at all."""
    return ApiError(404, "NotFound", "the server could not find the requested resource")


def method_not_allowed() -> ApiError:
    """405."""
    return ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")


def already_exists(resource: Resource, name: str) -> ApiError:
    """409 on create."""
    text = f'{resource.qualified_plural} "{name}" already exists'
    return ApiError(409, "AlreadyExists", text, _details(resource, name))


def conflict(resource: Resource, name: str, why: str = "") -> ApiError:
    """409 on a write that was based on an older version of the object, or on another object of that name."""
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    text = f'Operation cannot be fulfilled on {resource.qualified_plural} "{name}": {why}'
    return ApiError(409, "Conflict", text, _details(resource, name))


def expired(asked: int, oldest: int) -> ApiError:
    """410: a watch from a version that is no longer remembered; clients list again."""
    return ApiError(410, "Expired", f"too old resource version: {asked} ({oldest})")


def unsupported_media_type(message: str) -> ApiError:
    """415."""
    return ApiError(415, "UnsupportedMediaType", message)


def unprocessable(resource: Resource, name: str, problems: Sequence[FieldError]) -> ApiError:
    """422: the object was understood and is wrong."""
    texts = [f"{problem.field}: {problem.message}" for problem in problems]
    shown = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    details = {
        "name": name,
        "group": resource.group,
        "kind": resource.kind,
        "causes": [{"reason": p.reason, "message": p.message, "field": p.field} for p in problems],
    }
    text = f'{resource.qualified_kind} "{name}" is invalid: {shown}'
    return ApiError(422, "Invalid", text, details)
