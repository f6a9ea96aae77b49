"""An Azure Resource Manager for one customer, good enough for the real SDKs and the real `az`.

It holds one tenant with a subscription, resource groups, VNets, private endpoints and private DNS zones, and plays the
private link service's owner who approves endpoints. Nothing is connected: an endpoint gets an address and a state, no
packet flows. Not emulated: Azure AD sign-in (a managed identity stands in for it), role assignments, policies beyond
the one fault, locks, templates, and every provider but Microsoft.Network.
"""

from wizard.sandbox.arm.identity import build_identity_app
from wizard.sandbox.arm.server import build_app
from wizard.sandbox.arm.world import Arm

__all__ = ["Arm", "build_app", "build_identity_app"]
