"""What Azure itself knows: tenants, subscriptions, resource groups, providers, places and permissions."""

from __future__ import annotations

from wizard.sandbox.arm import errors
from wizard.sandbox.arm.access import verb
from wizard.sandbox.arm.ids import NETWORK
from wizard.sandbox.arm.messages import Obj, Reply, Request
from wizard.sandbox.arm.pages import page
from wizard.sandbox.arm.world import Arm, resource

GROUPS = "Microsoft.Resources/resourceGroups"
_SUBSCRIPTIONS = "Microsoft.Resources/subscriptions"
_PLACES = {"westeurope": "West Europe", "northeurope": "North Europe", "eastus": "East US"}
_NETWORK_TYPES = (
    *("privateEndpoints", "privateLinkServices", "networkInterfaces", "virtualNetworks", "virtualNetworks/subnets"),
    *("privateDnsZones", "privateDnsZones/virtualNetworkLinks", "privateDnsZones/A"),
)


def answer(arm: Arm, request: Request) -> Reply | None:
    """The answer, None when the request is about a resource of a provider."""
    parts = request.path.strip("/").split("/")
    match [each.lower() for each in parts]:
        case [*_, "providers", "microsoft.authorization", "permissions"]:
            return _looked(request, Reply(200, {"value": arm.access.permissions()}))
        case ["tenants"]:
            return _looked(request, Reply(200, {"value": [_tenant(arm)]}))
        case ["subscriptions"]:
            return _looked(request, page(request, [_shown(each) for each in arm.store.all(_SUBSCRIPTIONS)]))
        case ["subscriptions", subscription, *rest]:
            found = arm.store.find(f"/subscriptions/{subscription}")
            if found is None:
                raise errors.subscription_not_found(parts[1])
            return _in_subscription(arm, request, found, rest, parts[2:])
    return None


def _in_subscription(
    arm: Arm, request: Request, subscription: Obj, rest: list[str], spelled: list[str]
) -> Reply | None:
    match rest:
        case []:
            return _looked(request, Reply(200, _shown(subscription)))
        case ["locations"]:
            return _looked(request, Reply(200, {"value": [_place(subscription["id"], name) for name in _PLACES]}))
        case ["resourcegroups"]:
            return _looked(request, page(request, [_shown(each) for each in arm.store.all(GROUPS, subscription["id"])]))
        case ["resourcegroups", _]:
            return _group(arm, request, f"{subscription['id']}/resourceGroups/{spelled[1]}")
        case ["providers"]:
            return _looked(request, Reply(200, {"value": [_provider(arm, subscription, NETWORK)]}))
        case ["providers", _]:
            return _looked(request, Reply(200, _provider(arm, subscription, spelled[1])))
        case ["providers", _, "register" | "unregister" as what] if request.method == "POST":
            arm.access.check(f"{spelled[1]}/{what}/action", subscription["id"])
            state = "Registered" if what == "register" else "NotRegistered"
            arm.store.set_provider_state(subscription["subscriptionId"], spelled[1], state)
            return Reply(200, _provider(arm, subscription, spelled[1]))
    return None


def _looked(request: Request, reply: Reply) -> Reply:
    """The reply, if the request only looks."""
    if request.method not in ("GET", "HEAD"):
        raise errors.not_allowed(request.method, request.path)
    return reply


def _group(arm: Arm, request: Request, group_id: str) -> Reply:
    before = arm.store.find(group_id)
    if request.method == "PUT":
        arm.access.check(f"{_SUBSCRIPTIONS}/resourceGroups/{verb('PUT')}", group_id)
        if not request.body.get("location"):
            raise errors.bad_request("LocationRequired", "The location property is required for this definition.")
        group = resource(group_id, GROUPS, {"provisioningState": "Succeeded"}, location=request.body["location"])
        kept = arm.store.put({**group, "tags": request.body.get("tags") or {}})
        return Reply(200 if before else 201, _shown(kept))
    if request.method == "HEAD":
        return Reply(204 if before else 404)
    if before is None:
        raise errors.group_not_found(group_id.rpartition("/")[2])
    return _looked(request, Reply(200, _shown(before)))


def _shown(found: Obj) -> Obj:
    """Without what only resources of a provider have."""
    if found["type"] == GROUPS:
        return {name: value for name, value in found.items() if name != "etag"}
    hidden = ("etag", "type", "name", "properties")
    kept = {name: value for name, value in found.items() if name not in hidden}
    policies = {"locationPlacementId": "Public_2014-09-01", "quotaId": "Sandbox_2014-09-01", "spendingLimit": "Off"}
    return {**kept, "authorizationSource": "RoleBased", "managedByTenants": [], "subscriptionPolicies": policies}


def _tenant(arm: Arm) -> Obj:
    tenant = arm.portal.tenant_id
    return {"id": f"/tenants/{tenant}", "tenantId": tenant, "displayName": "Sandbox", "tenantCategory": "Home"}


def _place(subscription_id: str, name: str) -> Obj:
    metadata = {"regionType": "Physical", "regionCategory": "Recommended"}
    place_id = f"{subscription_id}/locations/{name}"
    return {"id": place_id, "name": name, "type": "Region", "displayName": _PLACES[name], "metadata": metadata}


def _provider(arm: Arm, subscription: Obj, namespace: str) -> Obj:
    kinds = _NETWORK_TYPES if namespace.lower() == NETWORK.lower() else ()
    places = list(_PLACES.values())
    return {
        "id": f"{subscription['id']}/providers/{namespace}",
        "namespace": NETWORK if kinds else namespace,
        "registrationPolicy": "RegistrationRequired",
        "registrationState": arm.store.provider_state(subscription["subscriptionId"], namespace),
        "resourceTypes": [
            {"resourceType": each, "locations": places, "apiVersions": ["2024-06-01", "2024-05-01"]} for each in kinds
        ],
    }
