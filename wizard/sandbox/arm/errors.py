"""Azure's refusals in its own codes and words: clients branch on the code and show the text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wizard.sandbox.arm.messages import Obj, Reply


class ArmError(Exception):
    """A request that is refused; `reply()` is the answer."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        more: Obj | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}
        self.more = more or {}

    def error(self) -> Obj:
        """The error itself, as failed operations carry it too."""
        return {"code": self.code, "message": self.message, "details": [], **self.more}

    def reply(self) -> Reply:
        """The answer."""
        return Reply(self.status, {"error": self.error()}, self.headers)


def unauthorized(code: str, message: str, authority: str) -> ArmError:
    """401 with the challenge that OAuth clients look for. `authority`: where a token would come from."""
    challenge = f'Bearer authorization_uri="{authority}", error="invalid_token", error_description="{message}"'
    return ArmError(401, code, message, headers={"WWW-Authenticate": challenge})


def no_token(authority: str) -> ArmError:
    """401: nobody said who asks."""
    message = "Authentication failed. The 'Authorization' header is missing."
    return unauthorized("AuthenticationFailed", message, authority)


def expired_token(authority: str, since: str) -> ArmError:
    """401: the token was good once."""
    message = f"The access token expiry UTC time '{since}' is earlier than current UTC time."
    return unauthorized("ExpiredAuthenticationToken", message, authority)


def throttled(seconds: int) -> ArmError:
    """429; the SDKs wait that long by themselves."""
    message = f"The request is being throttled as the limit has been reached. Please try after '{seconds}' seconds."
    return ArmError(429, "TooManyRequests", message, headers={"Retry-After": str(seconds)})


def forbidden(who: str, action: str, scope: str) -> ArmError:
    """403: no role of `who` (an object id) allows the action."""
    return ArmError(
        403,
        "AuthorizationFailed",
        f"The client '{who}' with object id '{who}' does not have authorization to perform action '{action}' over "
        f"scope '{scope}' or the scope is invalid. If access was recently granted, please refresh your credentials.",
    )


def linked_forbidden(who: str, scope: str, linked: str) -> ArmError:
    """403: an automatic connection to a service that the caller may not approve endpoints for."""
    return ArmError(
        403,
        "LinkedAuthorizationFailed",
        f"The client '{who}' with object id '{who}' has permission to perform action "
        f"'Microsoft.Network/privateEndpoints/write' on scope '{scope}'; however, it does not have permission to "
        "perform action(s) 'Microsoft.Network/privateLinkServices/PrivateEndpointConnectionsApproval/action' on the "
        f"linked scope(s) '{linked}' or the linked scope(s) are invalid.",
    )


def denied_by_policy(name: str, scope: str) -> ArmError:
    """403: an organisation that runs its DNS zones in one place only."""
    assignment = f"{scope}/providers/Microsoft.Authorization/policyAssignments/deny-private-dns-zones"
    info = {
        "policyDefinitionDisplayName": "Deny the creation of private DNS zones",
        "policyAssignmentId": assignment,
        "policyDefinitionEffect": "deny",
    }
    return ArmError(
        403,
        "RequestDisallowedByPolicy",
        f'Resource \'{name}\' was disallowed by policy. Policy identifiers: \'[{{"policyAssignment":{{"name":'
        f'"Deny private DNS zones","id":"{assignment}"}}}}]\'.',
        more={"target": name, "additionalInfo": [{"type": "PolicyViolation", "info": info}]},
    )


def bad_request(code: str, message: str) -> ArmError:
    """400."""
    return ArmError(400, code, message)


def bad_format(message: str = "Cannot parse the request.") -> ArmError:
    """400: the body lacks something or holds it in the wrong shape."""
    return bad_request("InvalidRequestFormat", message)


def invalid_name(name: str) -> ArmError:
    """400: a name that Azure does not take."""
    return bad_request(
        "InvalidResourceName",
        f"Resource name {name} is invalid. The name can be up to 64 characters long. It must begin with a word "
        "character, and it must end with a word character or with '_'. The name may contain word characters or "
        "'.', '-', '_'.",
    )


def missing_api_version() -> ArmError:
    """400: any version is fine, none is not."""
    return bad_request(
        "MissingApiVersionParameter",
        "The api-version query parameter (?api-version=) is required for all requests.",
    )


def invalid_reference(referenced: str, by: str) -> ArmError:
    """400: it does not exist, or lies in another region."""
    return bad_request(
        "InvalidResourceReference",
        f"Resource {referenced} referenced by resource {by} was not found. Please make sure that the referenced "
        "resource exists, and that both resources are in the same region.",
    )


def invalid_service() -> ArmError:
    """400: not a private link service. The braces are the real service's own, never filled in."""
    return bad_request(
        "InvalidPrivateLinkServiceId",
        "PrivateLinkServiceId Invalid private link service id: {0} passed in private link service connection: {1} "
        "passed in input is invalid",
    )


def unseen_service(service: str) -> ArmError:
    """400: a private link service that is nobody's, or not shown to this subscription."""
    return bad_request(
        "ThirdPartyPrivateLinkServiceProvidedDuringPrivateEndpointCreationDoesNotExistOrIsNotVisible",
        f"Third-party Private Link Service Id {service} provided during private endpoint creation does not exist or "
        "is not visible to the subscription.",
    )


def network_policies(endpoint: str, subnet: str) -> ArmError:
    """400: the subnet filters endpoints."""
    return bad_request(
        "PrivateEndpointCannotBeCreatedInSubnetThatHasNetworkPoliciesEnabled",
        f"Private endpoint {endpoint} cannot be created in a subnet {subnet} since it has private endpoint network "
        "policies enabled.",
    )


def subscription_not_found(subscription: str) -> ArmError:
    """404."""
    return ArmError(404, "SubscriptionNotFound", f"The subscription '{subscription}' could not be found.")


def group_not_found(group: str) -> ArmError:
    """404."""
    return ArmError(404, "ResourceGroupNotFound", f"Resource group '{group}' could not be found.")


def resource_not_found(kind: str, name: str, group: str) -> ArmError:
    """404."""
    return ArmError(
        404,
        "ResourceNotFound",
        f"The Resource '{kind}/{name}' under resource group '{group}' was not found. For more details please go to "
        "https://aka.ms/ARMResourceNotFoundFix",
    )


def parent_not_found(kind: str, parent: str) -> ArmError:
    """404: a part of something that is not there."""
    return ArmError(
        404,
        "ParentResourceNotFound",
        f"Failed to perform 'write' on resource(s) of type '{kind}', because the parent resource '{parent}' could not "
        "be found.",
    )


def not_found(path: str) -> ArmError:
    """404: nothing of that kind is served."""
    return ArmError(404, "NotFound", f"The sandbox does not know {path}.")


def not_allowed(method: str, path: str) -> ArmError:
    """405."""
    return ArmError(405, "MethodNotAllowed", f"The sandbox does not take {method} for {path}.")


def busy(target: str) -> ArmError:
    """409: it is being deleted."""
    return ArmError(
        409, "AnotherOperationInProgress", f"Another operation on this or dependent resource {target} is in progress."
    )


def nested_resources(target: str, nested: Sequence[str]) -> ArmError:
    """409: links keep a zone."""
    return ArmError(
        409,
        "CannotDeleteResource",
        f"Can not delete resource {target} before nested resources are deleted: {', '.join(nested)}.",
    )


def not_registered(namespace: str) -> ArmError:
    """409: the SDKs read the name between the quotes and register it."""
    return ArmError(
        409,
        "MissingSubscriptionRegistration",
        f"The subscription is not registered to use namespace '{namespace}'. See https://aka.ms/rps-not-found for how "
        "to register subscriptions.",
    )


def precondition(header: str, wanted: str, current: str) -> ArmError:
    """412: it is there already, or another than the client saw."""
    return ArmError(
        412,
        "PreconditionFailed",
        f"The condition '{wanted}' in the {header} header was not satisfied. The current was '{current}'.",
    )
