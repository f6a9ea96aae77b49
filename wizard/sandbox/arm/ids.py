"""Resource IDs and the paths of Microsoft.Network. Azure compares both without case."""

from __future__ import annotations

import re
from dataclasses import dataclass

NETWORK = "Microsoft.Network"
RECORD_TYPES = ("A", "AAAA", "CNAME", "MX", "PTR", "SOA", "SRV", "TXT")

_SPELLED = {
    each.lower(): each
    for each in (
        *("privateEndpoints", "networkInterfaces", "virtualNetworks", "subnets", "privateLinkServices"),
        *("privateDnsZones", "virtualNetworkLinks", *RECORD_TYPES),
    )
}


@dataclass(frozen=True, slots=True)
class Target:
    """What a path of Microsoft.Network is about: a resource, or a list when the last type has no name.

    `group` is empty for paths of a whole subscription. `types` are lower-case, `names` as they were spelled.
    """

    subscription: str
    group: str
    types: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def is_list(self) -> bool:
        """Whether the last type has no name."""
        return len(self.types) > len(self.names)

    @property
    def name(self) -> str:
        """The resource's own name."""
        return self.names[-1]

    @property
    def kind(self) -> str:
        """The full type as Azure spells it: Microsoft.Network/virtualNetworks/subnets."""
        return "/".join((NETWORK, *(_SPELLED.get(each, each) for each in self.types)))

    @property
    def scope(self) -> str:
        """The subscription's or the resource group's ID."""
        group = f"/resourceGroups/{self.group}" if self.group else ""
        return f"/subscriptions/{self.subscription}{group}"

    @property
    def id(self) -> str:
        """The Resource ID, or of a list the ID of what it belongs to with the type at the end."""
        parts = [f"{self.scope}/providers/{NETWORK}"]
        for number, each in enumerate(self.types):
            parts.append(_SPELLED.get(each, each))
            parts += self.names[number : number + 1]
        return "/".join(parts)

    @property
    def parent(self) -> Target:
        """What it is a part of."""
        return Target(self.subscription, self.group, self.types[:-1], self.names[: len(self.types) - 1])

    def part(self, kind: str, name: str) -> Target:
        """A part of it."""
        return Target(self.subscription, self.group, (*self.types, kind.lower()), (*self.names, name))


def parse(path: str) -> Target | None:
    """The target of a path or Resource ID, None when it is none of Microsoft.Network."""
    match path.strip("/").split("/"):
        case [s, subscription, p, namespace, *rest] if _are(s, "subscriptions", p, "providers"):
            group = ""
        case [s, subscription, g, group, p, namespace, *rest] if _are(
            s, "subscriptions", g, "resourcegroups", p, "providers"
        ):
            pass
        case _:
            return None
    if namespace.lower() != NETWORK.lower() or not rest or not all(rest):
        return None
    return Target(subscription, group, tuple(each.lower() for each in rest[0::2]), tuple(rest[1::2]))


def _are(*pairs: str) -> bool:
    return all(each.lower() == wanted for each, wanted in zip(pairs[0::2], pairs[1::2], strict=True))


def same_place(one: str, other: str) -> bool:
    """Whether two names of regions mean the same: `West Europe` is `westeurope`."""
    return _place(one) == _place(other)


def _place(name: str) -> str:
    return name.lower().replace(" ", "")


_ALIAS = re.compile(
    r"[^/\s]+\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(\.[a-z0-9]+)?\.azure\.privatelinkservice", re.I
)


def is_service(text: str) -> bool:
    """Whether this can name a private link service: an alias, or a Resource ID."""
    if not text.startswith("/"):
        return _ALIAS.fullmatch(text) is not None
    target = parse(text)
    return target is not None and target.types == ("privatelinkservices",) and not target.is_list
