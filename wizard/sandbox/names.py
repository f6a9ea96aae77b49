"""What the sandbox's DNS answers: the vendor's hosts publicly, until the customer's own zones answer for them."""

from __future__ import annotations

from collections.abc import Sequence

from wizard.sandbox.arm import Arm
from wizard.sandbox.portal import Hosts

PUBLIC_ADDRESS = "203.0.113.17"
"""The vendor's public ingress. An address of documentation (RFC 5737): nobody is there."""


class Resolver:
    """The resolver of the customer's VNet, for `wizard.sandbox.dns`. Hosts are lower case, without a trailing dot.

    A zone that is linked to the VNet hides the public answer for all names in it, also for those it does not hold.
    """

    def __init__(self, hosts: Hosts, azure: Arm) -> None:
        self._public = {host.lower(): (PUBLIC_ADDRESS,) for host in (hosts.dpm, hosts.minio)}
        self._azure = azure

    def resolve(self, host: str) -> Sequence[str]:
        """The IPv4 addresses of a host, as they are at this moment; empty for none."""
        if self._azure.store.private_zone(host) is not None:
            return self._azure.store.private_addresses(host)
        return self._public.get(host, ())

    def known(self, host: str) -> bool:
        """Whether a name exists, though it may have no address."""
        return self._azure.store.private_zone(host) is None and host in self._public
