"""Azure as `wizard.azure.AzureWriter` has it; the changes themselves are `azure_changes`, in the SDK child.

Whoever may only look does not load this module. It imports no Azure package: this is the screen's process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVarTuple

from state.problem import Problem
from wizard.adapters import azure_changes, azure_errors
from wizard.adapters.azure import CALL_TIMEOUT
from wizard.adapters.azure_asking import Target
from wizard.adapters.sdk_process import ENDED, SdkProcess
from wizard.azure import ARecord, AzureIdentity, Operation, WantedEndpoint

Ts = TypeVarTuple("Ts")


class AzureActor:
    """Changes Azure, as whom it is told."""

    def __init__(self, target: Target, process: SdkProcess) -> None:
        self._target = replace(target, read_only=False)
        self._process = process

    def acting_as(self, identity: AzureIdentity) -> ActingAs:
        """The changes, which the SDK child sends as this identity alone."""
        return ActingAs(replace(self._target, acting_as=identity), self._process)

    async def operation(self, resource_id: str) -> Operation:
        """Where the last change of that resource stands; nothing when this process began none."""
        try:
            return await self._process.call(azure_changes.operation, self._target, resource_id, timeout=CALL_TIMEOUT)
        except TimeoutError:
            return Operation("")  # the child ended with what it knew; the resource tells


class ActingAs:
    """Begins one change a call and returns.

    A lost answer raises Problem `azure-outcome-unknown`, a token of somebody else's `other-identity`; nothing is ever
    sent twice.
    """

    def __init__(self, target: Target, process: SdkProcess) -> None:
        self._target = target
        self._process = process

    async def create_endpoint(self, wanted: WantedEndpoint) -> None:
        """Begin to create an endpoint. Raises Problem `azure-exists` when there is one of that name."""
        await self._act(azure_changes.create_endpoint, wanted)

    async def delete_endpoint(self, endpoint_id: str) -> None:
        """Begin to delete an endpoint."""
        await self._act(azure_changes.delete_endpoint, endpoint_id)

    async def create_zone(self, zone_id: str) -> None:
        """Begin to create a zone, only when there is none."""
        await self._act(azure_changes.create_zone, zone_id)

    async def create_link(self, link_id: str, network_id: str) -> None:
        """Begin to link a zone to a VNet, only when there is no such link."""
        await self._act(azure_changes.create_link, link_id, network_id)

    async def set_a_record(self, record: ARecord, *, replacing: ARecord | None) -> None:
        """Write a record set: a new one only when there is none, else only over `replacing`, whose metadata stays."""
        await self._act(azure_changes.set_a_record, record, replacing)

    async def _act(self, func: Callable[[Target, *Ts], None], *args: *Ts) -> None:
        try:
            await self._process.call(func, self._target, *args, timeout=CALL_TIMEOUT, changes=True)
        except TimeoutError:
            raise azure_errors.outcome_unknown(f"No answer within {CALL_TIMEOUT:.0f} seconds.") from None
        except Problem as problem:
            if problem.code != ENDED:
                raise
            raise azure_errors.outcome_unknown(problem.what) from None
