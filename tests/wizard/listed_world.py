"""Azure as lists read it: several subscriptions with their groups and VNets, answers that are held back to order."""

from __future__ import annotations

import asyncio
from collections import Counter

from state.problem import Problem
from tests.setups import SUBSCRIPTION
from tests.wizard.azure_world import GROUP, VNET, World
from wizard.azure import AzureIdentity, Network, ResourceGroup, Subnet, Subscription

FORBIDDEN = Problem("forbidden", "Your account lacks the right to read it.", todo="Ask the owner of the subscription.")
SIGNED_OUT = Problem("azure-not-logged-in", "Nobody is signed in to Azure.", todo="Run `az login`.")


def subscription_id(number: int) -> str:
    """The ID of another subscription than the setup's."""
    return f"{number:08d}-aaaa-4bbb-8ccc-000000000000"


def network(
    name: str,
    subscription: str = SUBSCRIPTION,
    *,
    group: str = "rg-net",
    subnets: tuple[Subnet, ...] | None = None,
    dns_servers: tuple[str, ...] = (),
    prefixes: tuple[str, ...] = ("10.20.0.0/16",),
) -> Network:
    """A VNet with one subnet for endpoints, unless told otherwise."""
    place = f"/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Network/virtualNetworks/{name}"
    usual = Subnet(f"{place}/subnets/snet-pe", "snet-pe", ("10.20.1.0/24",), 200, "Disabled")
    return Network(place, name, "westeurope", dns_servers, (usual,) if subnets is None else subnets, prefixes)


class ListedWorld(World):
    """`networks_of`: the VNets by subscription; a Problem is raised. `held`: what does not answer until it is set.

    `asked` counts what was asked, by method and subscription; `most` is how many were under way at once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.subscriptions_ = [self.subscription]
        self.networks_of: dict[str, tuple[Network, ...] | Problem] = {SUBSCRIPTION: (network("vnet-weu"),)}
        self.held: dict[str, asyncio.Event] = {}
        self.asked: Counter[str] = Counter()
        self.under_way = self.most = 0

    def other(self, number: int, *networks: str, refused: bool = False, state: str = "Enabled") -> str:
        """One more subscription with these VNets; its ID."""
        found = subscription_id(number)
        self.subscriptions_.append(Subscription(found, f"Other {number}", state, self.me.tenant_id))
        self.networks_of[found] = FORBIDDEN if refused else tuple(network(name, found) for name in networks)
        return found

    def hold(self, what: str) -> asyncio.Event:
        """Holds back the answers of a method, or of one of its subscriptions, until the event is set."""
        self.held[what] = asyncio.Event()
        return self.held[what]

    async def _answer(self, method: str, about: str = "") -> None:
        self.asked[f"{method} {about}".strip()] += 1
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(0)
            for what in (method, f"{method} {about}"):
                if what in self.held:
                    await self.held[what].wait()
        finally:
            self.under_way -= 1

    async def identity(self) -> AzureIdentity:
        await self._answer("identity")
        return await super().identity()

    async def subscriptions(self) -> tuple[Subscription, ...]:
        await self._answer("subscriptions")
        return self._called("subscriptions", lambda: tuple(self.subscriptions_))

    async def resource_groups(self, subscription: str) -> tuple[ResourceGroup, ...]:
        await self._answer("resource_groups", subscription)
        return await super().resource_groups(subscription)

    async def networks(self, subscription: str) -> tuple[Network, ...]:
        await self._answer("networks", subscription)

        def read() -> tuple[Network, ...]:
            found = self.networks_of.get(subscription, ())
            if isinstance(found, Problem):
                raise found
            return found

        return self._called("networks", read)

    async def network(self, network_id: str) -> Network | None:
        await self._answer("network", network_id)
        every = [one for found in self.networks_of.values() if not isinstance(found, Problem) for one in found]
        return next((one for one in every if one.id.lower() == network_id.lower()), None)


__all__ = ["FORBIDDEN", "GROUP", "SIGNED_OUT", "VNET", "ListedWorld", "network", "subscription_id"]
