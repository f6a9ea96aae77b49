"""What the caller may do. A real role assignment is a list of actions with wildcards, and so is this one."""

from __future__ import annotations

import re

from wizard.sandbox.arm import errors
from wizard.sandbox.arm.messages import Obj

_READER = ("*/read",)
_NETWORK_CONTRIBUTOR = (
    "Microsoft.Network/*",
    "Microsoft.Resources/subscriptions/resourceGroups/*",
    "*/register/action",
)


class Access:
    """The roles of the identity `object_id`: Reader, and Network Contributor too when it `may_write`."""

    def __init__(self, object_id: str, *, may_write: bool) -> None:
        self.object_id = object_id
        self._roles = (_READER, _NETWORK_CONTRIBUTOR) if may_write else (_READER,)

    def permissions(self) -> list[Obj]:
        """As Azure lists them for any scope: one entry for each role."""
        nothing: Obj = {"notActions": [], "dataActions": [], "notDataActions": []}
        return [{"actions": list(role), **nothing} for role in self._roles]

    def check(self, action: str, scope: str) -> None:
        """Raises ArmError (403) when no role allows the action."""
        if not any(_matches(pattern, action) for role in self._roles for pattern in role):
            raise errors.forbidden(self.object_id, action, scope)


def _matches(pattern: str, action: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), action, re.IGNORECASE) is not None


def verb(method: str) -> str:
    """How Azure names what a method does, at the end of an action."""
    return {"GET": "read", "HEAD": "read", "DELETE": "delete", "POST": "action"}.get(method, "write")
