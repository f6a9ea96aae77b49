"""Asks a DNS resolver, and says what it answered.

The resolvers are asked directly: /etc/hosts and nscd are left out on purpose, since a private zone that answers is
what has to be proven, not that this host has an entry of its own.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import Any

from wizard.ports import DnsAnswer

DEADLINE = 5.0  # seconds for everything: both record types, all resolvers, retries

NXDOMAIN = "nxdomain"
NO_DATA = "no data"
NO_ANSWER = "no answer"
TIMEOUT = "timeout"
REFUSED = "refused"
SERVFAIL = "servfail"
NO_RESOLVER = "no resolver"
BAD_NAME = "bad name"


class DnsLooker:
    """Implements `wizard.ports.DnsReader` with dnspython. Never raises: a failure is the answer's `error`.

    `here`: the resolver of this environment when it is not this machine's own (the sandbox's).
    """

    def __init__(self, here: str | None = None) -> None:
        self._here = here

    async def resolve(self, host: str, server: str | None = None) -> DnsAnswer:
        """Look up A and AAAA at once. `server`: an address or name, with or without `:port`; None for this host's."""
        try:
            async with asyncio.timeout(DEADLINE):
                return await _resolve(host, server or self._here)
        except TimeoutError:
            return DnsAnswer(host, (), server or self._here or "", error=TIMEOUT)


async def _resolve(host: str, server: str | None) -> DnsAnswer:
    import dns.asyncresolver
    import dns.exception
    import dns.name
    import dns.resolver

    try:
        name = dns.name.from_text(host.rstrip(".") + ".")
        resolver = dns.asyncresolver.Resolver(configure=server is None)
        if server is not None:
            address, port = await _address(server)
            resolver.nameservers, resolver.port = [address], port
    except dns.resolver.NoResolverConfiguration:
        return DnsAnswer(host, (), "", error=NO_RESOLVER)
    except OSError:
        return DnsAnswer(host, (), server or "", error=NO_RESOLVER)
    except (dns.exception.DNSException, ValueError):
        return DnsAnswer(host, (), server or "", error=BAD_NAME)

    async def ask(kind: str) -> Any:
        return await resolver.resolve(name, kind, search=False, raise_on_no_answer=False, lifetime=DEADLINE - 0.5)

    asked = server or ", ".join(str(one) for one in resolver.nameservers)
    found = await asyncio.gather(ask("A"), ask("AAAA"), return_exceptions=True)
    answers = [one for one in found if not isinstance(one, BaseException) and one.rrset is not None]
    if not answers:
        # Without a failure both were answered: the name is there, and has no address of either kind.
        failures = [one for one in found if isinstance(one, BaseException)]
        return DnsAnswer(host, (), asked, error=_error(failures[0]) if failures else NO_DATA)
    addresses = tuple(record.to_text() for answer in answers for record in answer.rrset)
    ttl = min(int(answer.rrset.ttl) for answer in answers)
    return DnsAnswer(host, addresses, server or str(answers[0].nameserver or asked), ttl=ttl)


async def _address(server: str) -> tuple[str, int]:
    """Split `host:port`; raises OSError when a name does not resolve, ValueError when the port is no number."""
    try:
        return str(ipaddress.ip_address(server.strip("[]"))), 53
    except ValueError:
        host, colon, port = server.rpartition(":")
        host, number = (host.strip("[]"), int(port)) if colon else (server, 53)
    try:
        return str(ipaddress.ip_address(host)), number
    except ValueError:
        found = await asyncio.get_running_loop().getaddrinfo(host, number, type=socket.SOCK_DGRAM)
        return str(found[0][4][0]), number


def _error(failure: BaseException) -> str:
    import dns.exception
    import dns.rcode
    import dns.resolver

    if isinstance(failure, dns.resolver.NXDOMAIN):
        return NXDOMAIN
    if isinstance(failure, dns.exception.Timeout):
        return TIMEOUT
    if isinstance(failure, dns.resolver.NoNameservers):
        # Every resolver was tried; what the last one said, or that nothing listens there.
        last = failure.kwargs["errors"][-1]
        response = last[4] if len(last) > 4 else None
        if response is not None and response.rcode() == dns.rcode.SERVFAIL:
            return SERVFAIL
        return REFUSED
    return NO_ANSWER
