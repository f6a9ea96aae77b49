"""What the path of a request means."""

from __future__ import annotations

import re
from dataclasses import dataclass

from wizard.sandbox.kubernetes.resources import BY_PLURAL, NAMESPACES, Key, Resource

_GROUP_VERSION = re.compile(r"/(?:api/(?P<core>v1)|apis/(?P<named>[^/]+/[^/]+))(?P<rest>(?:/[^/]+)+)")
_NAMESPACE_PARTS = [[part] for part in NAMESPACES.subresources]


@dataclass(frozen=True, slots=True)
class Target:
    """A kind, perhaps a namespace, perhaps one object, perhaps a part of it; what is not there is empty."""

    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def key(self) -> Key:
        """The key of the object."""
        return Key(self.resource, self.namespace, self.name)


def parse(path: str) -> Target | None:
    """The target of a resource path, None when nothing is served there."""
    found = _GROUP_VERSION.fullmatch(path.rstrip("/"))
    if not found:
        return None
    group_version = found["core"] or found["named"]
    parts = found["rest"].split("/")[1:]
    namespace = ""
    # /api/v1/namespaces/x/pods is about pods; but /api/v1/namespaces/x and /api/v1/namespaces/x/status are about x.
    if parts[0] == NAMESPACES.plural and parts[2:] and parts[2:] not in _NAMESPACE_PARTS:
        namespace, parts = parts[1], parts[2:]
    resource = BY_PLURAL.get((group_version, parts[0]))
    if resource is None or len(parts) > 3 or (namespace and not resource.namespaced):
        return None
    name, subresource = (*parts[1:], "", "")[:2]
    if name and resource.namespaced and not namespace:
        return None
    return Target(resource, namespace, name, subresource)
