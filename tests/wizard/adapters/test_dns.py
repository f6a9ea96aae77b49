"""Asks a real (small) DNS server on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import dns.message
import dns.rcode
import dns.rrset
import pytest

from wizard.adapters import dns as dns_adapter
from wizard.adapters.dns import DnsLooker


class _Server(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.records: dict[tuple[str, str], list[str]] = {}
        self.rcode = dns.rcode.NOERROR
        self.silent = False
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if self.silent:
            return
        query = dns.message.from_wire(data)
        reply = dns.message.make_response(query)
        reply.set_rcode(self.rcode)
        question = query.question[0]
        kind = dns.rdatatype.to_text(question.rdtype)
        if found := self.records.get((question.name.to_text(), kind)):
            reply.answer.append(dns.rrset.from_text(question.name, 60 if kind == "A" else 30, "IN", kind, *found))
        self.transport.sendto(reply.to_wire(), addr)


@pytest.fixture
async def server() -> AsyncIterator[tuple[_Server, str]]:
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        _Server, local_addr=("127.0.0.1", 0)
    )
    yield protocol, "127.0.0.1:{}".format(transport.get_extra_info("sockname")[1])
    transport.close()


async def test_both_families_and_the_shorter_ttl(server):
    asked, address = server
    asked.records = {("dpm.acme.test.", "A"): ["10.0.0.4", "10.0.0.5"], ("dpm.acme.test.", "AAAA"): ["fd00::4"]}
    answer = await DnsLooker().resolve("dpm.acme.test", address)
    assert (sorted(answer.addresses), answer.ttl, answer.error) == (["10.0.0.4", "10.0.0.5", "fd00::4"], 30, "")
    assert (answer.host, answer.server) == ("dpm.acme.test", address)


async def test_one_family_is_enough(server):
    asked, address = server
    asked.records = {("dpm.acme.test.", "A"): ["10.0.0.4"]}
    assert (await DnsLooker().resolve("dpm.acme.test.", address)).addresses == ("10.0.0.4",)
    asked.records = {("dpm.acme.test.", "AAAA"): ["fd00::4"]}
    answer = await DnsLooker().resolve("dpm.acme.test.", address)
    assert (answer.addresses, answer.error) == (("fd00::4",), "")


@pytest.mark.parametrize(
    ("rcode", "error"),
    [
        (dns.rcode.NXDOMAIN, "nxdomain"),
        (dns.rcode.NOERROR, "no data"),
        (dns.rcode.SERVFAIL, "servfail"),
        (dns.rcode.REFUSED, "refused"),
    ],
)
async def test_no_address(server, rcode, error):
    asked, address = server
    asked.rcode = rcode
    answer = await DnsLooker().resolve("dpm.acme.test", address)
    assert (answer.addresses, answer.ttl, answer.error) == ((), None, error)


async def test_a_silent_server_is_a_timeout(server, monkeypatch):
    asked, address = server
    asked.silent = True
    monkeypatch.setattr(dns_adapter, "DEADLINE", 0.8)
    assert (await DnsLooker().resolve("dpm.acme.test", address)).error == "timeout"


@pytest.mark.parametrize("host", ["a" * 64 + ".test", "a..test", "", "."])
async def test_what_is_no_name(server, host):
    assert (await DnsLooker().resolve(host, server[1])).error in ("bad name", "no data")


async def test_a_host_without_resolver(monkeypatch, tmp_path):
    import dns.resolver

    def nothing(*_: object) -> Callable[..., None]:
        raise dns.resolver.NoResolverConfiguration

    monkeypatch.setattr(dns.resolver.BaseResolver, "read_resolv_conf", nothing)
    assert (await DnsLooker().resolve("dpm.acme.test")).error == "no resolver"
