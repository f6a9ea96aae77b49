"""Azure as `wizard.azure.AzureReader` has it; the calls themselves are `azure_calls`, in the SDK child.

Changes are in `azure_acting`. Imports no Azure package: this is the screen's process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar, TypeVarTuple

from state.problem import EXIT_NOT_YET, Problem
from wizard.adapters import azure_calls
from wizard.adapters.azure_asking import Target
from wizard.adapters.sdk_process import ENDED, SdkProcess
from wizard.azure import (
    ARecord,
    AzureIdentity,
    Endpoint,
    Interface,
    Network,
    Permission,
    ResourceGroup,
    SignInPrompt,
    Subscription,
    Zone,
    ZoneLink,
)

__all__ = ["MODULES", "AzureLooker", "Target"]

Ts = TypeVarTuple("Ts")
T = TypeVar("T")

MODULES = ("azure.identity", "azure.mgmt.network", "azure.mgmt.privatedns", "wizard.adapters.azure_clients")
"""What the SDK child imports as it starts, to be ready for this adapter."""

AT_ONCE = 6
"""Calls that the SDK child runs side by side: a plan makes about nine, and Azure takes 100 to 300 ms for each."""

CALL_TIMEOUT = 90.0  # seconds for one call, which may be several pages, a retry, and a cold `az`
SIGN_IN_POLL = 1.0  # seconds between two questions whether somebody has signed in


class AzureLooker:
    """Looks at Azure. Its child's pipeline lets no change through, whatever the SDKs try.

    Raises Problem: what of network, sign-in, rights or Azure itself stands in the way.
    """

    def __init__(self, target: Target, process: SdkProcess) -> None:
        self._target = replace(target, read_only=True)
        self._process = process
        self._naming: set[asyncio.Future[None]] = set()

    async def identity(self) -> AzureIdentity:
        """As whom Azure is asked, from a token fetched now.

        What is asked for after it waits for it, so that all of it is seen by this identity: evidence names it.
        """
        named = asyncio.get_running_loop().create_future()
        self._naming.add(named)
        try:
            return await self._ask(azure_calls.identity)
        finally:
            self._naming.discard(named)
            named.set_result(None)

    async def sign_in(self, show: Callable[[SignInPrompt], None]) -> AzureIdentity:
        """Sign in; `show` is told the page and the code, once, before anybody is waited for.

        Waiting is many short calls, so that other looks go on meanwhile. Cancelled, it forgets about the code, which
        ends by itself. Raises Problem when the sign-in fails or nobody comes in time.
        """
        prompt = await self._look(azure_calls.begin_sign_in)
        if prompt is not None:
            show(prompt)
        while True:
            found = await self._look(azure_calls.signed_in)
            if found is not None:
                return found
            await asyncio.sleep(SIGN_IN_POLL)

    async def subscriptions(self) -> tuple[Subscription, ...]:
        """All that can be read, in every state."""
        return await self._look(azure_calls.subscriptions)

    async def resource_groups(self, subscription: str) -> tuple[ResourceGroup, ...]:
        """The groups of a subscription."""
        return await self._look(azure_calls.resource_groups, subscription)

    async def networks(self, subscription: str) -> tuple[Network, ...]:
        """All VNets of a subscription, with their subnets."""
        return await self._look(azure_calls.networks, subscription)

    async def network(self, network_id: str) -> Network | None:
        """One VNet; None when it is not there."""
        return await self._look(azure_calls.network, network_id)

    async def endpoint(self, endpoint_id: str) -> Endpoint | None:
        """One Private Endpoint with its private IPs; None when it is not there."""
        return await self._look(azure_calls.endpoint, endpoint_id)

    async def endpoints(self, subscription: str) -> tuple[Endpoint, ...]:
        """All Private Endpoints of a subscription: the pages of two lists."""
        return await self._look(azure_calls.endpoints, subscription)

    async def zone_groups(self, endpoint_id: str) -> tuple[str, ...]:
        """The names of an endpoint's DNS zone groups."""
        return await self._look(azure_calls.zone_groups, endpoint_id)

    async def interface(self, nic_id: str) -> Interface | None:
        """One network interface; None when it is not there."""
        return await self._look(azure_calls.interface, nic_id)

    async def visible(self, subscription: str, location: str, alias: str) -> bool:
        """Whether the subscription may see the link service of that alias."""
        return await self._look(azure_calls.visible, subscription, location, alias)

    async def auto_approved(self, subscription: str, location: str) -> tuple[str, ...]:
        """Resource IDs of the services that approve this subscription's endpoints by themselves."""
        return await self._look(azure_calls.auto_approved, subscription, location)

    async def provider_registered(self, subscription: str, namespace: str) -> bool:
        """Whether the subscription is registered for, say, Microsoft.Network."""
        return await self._look(azure_calls.provider_registered, subscription, namespace)

    async def permissions(self, scope: str, actions: Sequence[str]) -> tuple[Permission, ...]:
        """Each action with whether it is likely allowed at that scope."""
        return await self._look(azure_calls.permissions, scope, tuple(actions))

    async def zones(self, subscription: str) -> tuple[Zone, ...]:
        """All private DNS zones of a subscription."""
        return await self._look(azure_calls.zones, subscription)

    async def zone_links(self, zone_id: str) -> tuple[ZoneLink, ...]:
        """The links of a zone to VNets; none when there is no zone."""
        return await self._look(azure_calls.zone_links, zone_id)

    async def a_record(self, zone_id: str, name: str) -> ARecord | None:
        """An A record set; None when there is none."""
        return await self._look(azure_calls.a_record, zone_id, name)

    async def a_records(self, zone_id: str) -> tuple[ARecord, ...]:
        """All A record sets of a zone."""
        return await self._look(azure_calls.a_records, zone_id)

    async def _look(self, func: Callable[[Target, *Ts], T], *args: *Ts) -> T:
        if self._naming:
            await asyncio.wait(self._naming)
        return await self._ask(func, *args)

    async def _ask(self, func: Callable[[Target, *Ts], T], *args: *Ts) -> T:
        try:
            try:
                return await self._process.call(func, self._target, *args, timeout=CALL_TIMEOUT)
            except Problem as problem:
                if problem.code != ENDED:
                    raise
            # A change beside it may have been given up, and the child with it. Looking twice does no harm.
            return await self._process.call(func, self._target, *args, timeout=CALL_TIMEOUT)
        except TimeoutError:
            raise Problem(
                "azure-timeout",
                f"The look at Azure took over {CALL_TIMEOUT:.0f} seconds.",
                means="We could not look: Azure, the network or the sign-in does not answer.",
                todo="Check the network, and the sign-in with `az account show`; then look again.",
                exit_code=EXIT_NOT_YET,
            ) from None
