"""Long-running operations: how they are announced, and how they answer when asked.

The two families differ, and so they do here: Microsoft.Network says 200 with a status all the time, private DNS says
202 until it is done. Neither names a Retry-After for what is created.
"""

from __future__ import annotations

from urllib.parse import urlencode

from wizard.sandbox.arm.errors import ArmError
from wizard.sandbox.arm.ids import NETWORK, Target
from wizard.sandbox.arm.messages import Obj, Reply, Request
from wizard.sandbox.arm.store import Operation
from wizard.sandbox.arm.world import Arm

_IN_PROGRESS, _SUCCEEDED, _FAILED = "InProgress", "Succeeded", "Failed"
_SEAL = "s"


def accepted(request: Request, url: str, operation: Operation, body: Obj | None, *, results: str = "") -> Reply:
    """202 for an operation that can be asked at `url`, and for its outcome at `results`."""
    headers = {"Azure-AsyncOperation": address(request, url, operation)}
    if results:
        headers["Location"] = address(request, results, operation)
    return Reply(202, body, headers)


def address(request: Request, url: str, operation: Operation) -> str:
    """Where a client asks about an operation; the query is part of it and not to be changed."""
    query = {"api-version": request.api_version, "t": operation.id.replace("-", ""), _SEAL: operation.seal}
    return f"{request.base}{url}/{operation.id}?{urlencode(query)}"


def network_url(target: Target, location: str, kind: str) -> str:
    """Where Microsoft.Network keeps its operations; `kind` is `operations` or `operationResults`."""
    place = location.lower().replace(" ", "")
    return f"/subscriptions/{target.subscription}/providers/{NETWORK}/locations/{place}/{kind}"


def dns_url(target: Target, kind: str) -> str:
    """Where private DNS keeps them; `kind` is `privateDnsOperationStatuses` or `privateDnsOperationResults`."""
    return f"{target.scope}/providers/{NETWORK}/{kind}"


def answer(arm: Arm, request: Request, target: Target) -> Reply | None:
    """The answer about an operation, None when the request is about something else."""
    kind = target.types[-1]
    if request.method != "GET" or target.is_list:
        return None
    if kind not in ("operations", "operationresults", "privatednsoperationstatuses", "privatednsoperationresults"):
        return None
    operation = arm.store.operation(target.name, request.query.get(_SEAL, ""))
    if operation is None:
        raise ArmError(404, "NotFound", f"The operation {target.name} is not known under this address.")
    is_dns = kind.startswith("privatedns")
    if kind.endswith("results"):
        return _outcome(arm, operation)
    if not arm.store.is_done(operation):
        return _running(request, target, operation) if is_dns else Reply(200, {"status": _IN_PROGRESS})
    if operation.error:
        return Reply(200, {"status": _FAILED, "error": operation.error})
    return Reply(200, {"status": _SUCCEEDED})


def _running(request: Request, target: Target, operation: Operation) -> Reply:
    statuses, results = (dns_url(target, f"privateDnsOperation{each}") for each in ("Statuses", "Results"))
    return accepted(request, statuses, operation, {"status": _IN_PROGRESS}, results=results)


def _outcome(arm: Arm, operation: Operation) -> Reply:
    """What the address in `Location` says: nothing yet, the resource, or that it is gone."""
    if not arm.store.is_done(operation):
        return Reply(202)
    if operation.error:
        return Reply(400, {"error": operation.error})
    resource = arm.store.find(operation.target)
    return Reply(200, resource) if resource else Reply(204)
