"""Who may do what: one user, who may do everything except what a short list of denials takes away.

Real RBAC only ever grants. A denial is how a sandbox says "this role lacks it" without a role for everything else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wizard.sandbox.faults import EXEC_FORBIDDEN, FORBIDDEN, POD_DELETE_FORBIDDEN
from wizard.sandbox.kubernetes.errors import forbidden
from wizard.sandbox.kubernetes.resources import PODS, RESOURCES, SECRETS, VERBS, Obj, Resource

EVERY = "*"


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for, in the terms of an access review. `resource` and `verb` may be `*`."""

    verb: str
    group: str
    resource: str
    subresource: str = ""
    namespace: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Denial:
    """Verbs on a resource that are refused; `*` stands for all verbs, an empty tuple of namespaces for all of them.

    `subresource` limits it to that part of the resource.
    """

    resource: Resource
    verbs: tuple[str, ...] = (EVERY,)
    namespaces: tuple[str, ...] = ()
    subresource: str = ""

    def denies(self, request: Request) -> bool:
        """Whether the request needs something this takes away; one for `*` needs everything."""
        return (
            request.group in (self.resource.group, EVERY)
            and request.resource in (self.resource.plural, EVERY)
            and (not self.subresource or self.subresource == request.subresource or request.resource == EVERY)
            and (EVERY in self.verbs or request.verb in (*self.verbs, EVERY))
            and (not self.namespaces or request.namespace in (*self.namespaces, ""))
        )


class Access:
    """The rights of `user`."""

    def __init__(self, user: str, denials: Sequence[Denial] = ()) -> None:
        self.user = user
        self.denials = tuple(denials)

    def allows(self, request: Request) -> bool:
        """Whether the request may be made."""
        return not any(denial.denies(request) for denial in self.denials)

    def check(self, verb: str, resource: Resource, subresource: str, namespace: str, name: str) -> None:
        """Raises ApiError (403) when the user may not; asking about one's own rights is always allowed."""
        if resource.is_review:
            return
        if not self.allows(Request(verb, resource.group, resource.plural, subresource, namespace, name)):
            raise forbidden(self.user, verb, resource, subresource, namespace=namespace, name=name)

    def answer(self, review: Obj) -> Obj:
        """The status of a SelfSubjectAccessReview, SelfSubjectRulesReview or SelfSubjectReview."""
        spec = review.get("spec") or {}
        if review.get("kind") == "SelfSubjectReview":
            return {"userInfo": {"username": self.user, "groups": ["system:authenticated"]}}
        if review.get("kind") == "SelfSubjectRulesReview":
            anything = [{"verbs": [EVERY], "nonResourceURLs": [EVERY]}]
            rules = self._rules(spec.get("namespace") or "")
            return {"resourceRules": rules, "nonResourceRules": anything, "incomplete": False}
        asked = spec.get("resourceAttributes")
        if asked is None or self.allows(_request(asked)):
            return {"allowed": True, "reason": f'RBAC: allowed by the sandbox to "{self.user}"'}
        return {"allowed": False}

    def _rules(self, namespace: str) -> list[Obj]:
        if not self.denials:
            return [{"verbs": [EVERY], "apiGroups": [EVERY], "resources": [EVERY]}]
        rules = []
        for resource in RESOURCES:
            for part in ("", *resource.subresources):
                asked = (Request(verb, resource.group, resource.plural, part, namespace) for verb in VERBS)
                if verbs := [request.verb for request in asked if self.allows(request)]:
                    whole = f"{resource.plural}/{part}" if part else resource.plural
                    rules.append({"verbs": verbs, "apiGroups": [resource.group], "resources": [whole]})
        return rules


def _request(attributes: Obj) -> Request:
    fields = ("verb", "group", "resource", "subresource", "namespace", "name")
    return Request(*(str(attributes.get(field) or "") for field in fields))


def denials_for(faults: frozenset[str]) -> tuple[Denial, ...]:
    """What the sandbox's faults take away: `forbidden` is a role without secrets, where helm keeps its releases."""
    taken = {
        FORBIDDEN: Denial(SECRETS),
        EXEC_FORBIDDEN: Denial(PODS, subresource="exec"),
        POD_DELETE_FORBIDDEN: Denial(PODS, ("delete", "deletecollection")),
    }
    return tuple(denial for fault, denial in taken.items() if fault in faults)
