"""What the sandbox's DNS answers: the vendor's hosts publicly, until the customer's own zones answer for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from wizard.sandbox.arm import Arm
from wizard.sandbox.faults import CLUSTER_DNS_PUBLIC, CLUSTER_DNS_STALE
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

    def public(self, host: str) -> Sequence[str]:
        """The addresses that the public DNS has for a host."""
        return self._public.get(host, ())


STALE_SECONDS = 20.0

_Answer = tuple[tuple[str, ...], bool]


class ClusterResolver:
    """What pods resolve: as the VNet does, but for the faults `cluster-dns-public` and `cluster-dns-stale`.

    A stale cluster had asked before anybody looked, so what it holds at first is the public answer.
    """

    def __init__(
        self, network: Resolver, faults: frozenset[str], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._network = network
        self._faults = faults
        self._clock = clock
        self._held: dict[str, _Answer] = {}
        self._changed: dict[str, float] = {}  # when a held answer was first seen to be old

    def resolve(self, host: str) -> Sequence[str]:
        """The IPv4 addresses of a host; empty for none."""
        return self._answer(host)[0]

    def known(self, host: str) -> bool:
        """Whether a name exists, though it may have no address."""
        return self._answer(host)[1]

    def _answer(self, host: str) -> _Answer:
        public = tuple(self._network.public(host))
        if CLUSTER_DNS_PUBLIC in self._faults:
            return public, bool(public)
        fresh = tuple(self._network.resolve(host)), self._network.known(host)
        if CLUSTER_DNS_STALE not in self._faults:
            return fresh
        held = self._held.setdefault(host, (public, bool(public)))
        if held == fresh:
            self._changed.pop(host, None)
        elif self._clock() - self._changed.setdefault(host, self._clock()) >= STALE_SECONDS:
            del self._changed[host]
            self._held[host] = fresh
        return self._held[host]
