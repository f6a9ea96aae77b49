"""A small DNS server on loopback: what the sandbox's customer network resolves.

It answers as the resolver of a network does (RFC 1035; RFC 2308 for names and records that are not there) about the
names it is told of, and knows no other. UDP and TCP are on one port. dnspython reads and writes the packets.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import logging
import socket
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from typing import cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from state.problem import Problem
from wizard.sandbox import ports

MOST_CONNECTIONS = 64  # over TCP, at the same time
IDLE_SECONDS = 10.0  # a TCP connection has this long to send its next question, and to take each reply
LARGEST_QUERY = 4096  # bytes; a question with its EDNS options is a few hundred
LARGEST_DATAGRAM = 1232  # bytes of a UDP reply, whatever more the other side would take (dnsflagday.net/2020)

_SERVER = "DNS server"  # as messages name it
_PLAIN_DATAGRAM = 512  # bytes of a UDP reply without EDNS
_LARGEST_MESSAGE = 65535  # bytes; TCP's length prefix knows no more
_HEADER = struct.Struct("!6H")  # id, flags, questions, answers, authorities, additional records
_LENGTH = struct.Struct("!H")
_PORT_TRIES = 20

_log = logging.getLogger(__name__)


class DnsServer:
    """Answers A questions with what `resolve` says, as it is at that moment; any other type is there but empty.

    `resolve`: the IPv4 addresses of a host name, which is lower case and without the trailing dot (the root is ".").
    `known`: whether a name without addresses exists all the same; else it is NXDOMAIN.
    `ttl`: seconds, of addresses and of their absence.
    `trace`: told of every reply before it is sent: the question's type ("A"; the opcode, "QUERY" or "UPDATE", of a
    packet without a question that can be read), the host name as above (or ""), and the rcode's number.
    """

    def __init__(
        self,
        resolve: Callable[[str], Sequence[str]],
        known: Callable[[str], bool],
        *,
        ttl: int,
        trace: Callable[[str, str, int], None],
    ) -> None:
        self._resolve = resolve
        self._known = known
        self._ttl = ttl
        self._trace = trace
        # The root's, since the server has no zones: it stands above every name.
        soa = f"localhost. nobody.invalid. 1 3600 600 86400 {ttl}"
        self._soa = dns.rrset.from_text(dns.name.root, ttl, dns.rdataclass.IN, dns.rdatatype.SOA, soa)

    @contextlib.asynccontextmanager
    async def serve(self, at: int | socket.socket = 0) -> AsyncIterator[str]:
        """Answer while the block runs, at the `host:port` it is given.

        `at` is a port of 127.0.0.1, 0 for a free one, or a bound TCP socket that is closed at the end; UDP takes the
        same port. Raises Problem when the port is taken, ValueError for a socket that others could reach.
        """
        listener, datagrams = _sockets(at)
        with listener, datagrams:
            transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
                lambda: _Datagrams(self), sock=datagrams
            )
            connections = _Connections(self)
            try:
                server = await asyncio.start_server(connections.accept, sock=listener, limit=LARGEST_QUERY)
                try:
                    host, port = listener.getsockname()
                    yield f"{host}:{port}"
                finally:
                    server.close()
                    await connections.end()
            finally:
                transport.close()
                await protocol.closed

    def reply(self, wire: bytes, *, udp: bool) -> bytes | None:
        """The reply to a packet, traced already; None when it must not have one: it is no header, or a reply itself."""
        if len(wire) < _HEADER.size:
            return None
        number, flags, *counts = _HEADER.unpack_from(wire)
        if flags & dns.flags.QR:
            return None  # else two servers could answer each other for ever
        method, host = dns.opcode.to_text(dns.opcode.from_flags(flags)), ""
        if dns.opcode.from_flags(flags) != dns.opcode.QUERY:
            reply = _without_question(number, flags, dns.rcode.NOTIMP)
        elif query := _parse(wire, counts):
            method = dns.rdatatype.to_text(query.question[0].rdtype)
            host = query.question[0].name.to_text(omit_final_dot=True).lower()
            reply = self._answer(query, host)
        else:
            reply = _without_question(number, flags, dns.rcode.FORMERR)
        self._trace(method, host, int(reply.rcode()))
        return reply.to_wire(max_size=_room(reply) if udp else _LARGEST_MESSAGE, prefer_truncation=True)

    def _answer(self, query: dns.message.Message, host: str) -> dns.message.Message:
        def start(rcode: dns.rcode.Rcode) -> dns.message.Message:
            # Unpadded: padding hides the length of encrypted messages only, and would not count in the space there is.
            reply = dns.message.make_response(query, recursion_available=True, our_payload=LARGEST_DATAGRAM, pad=0)
            reply.set_rcode(rcode)
            return reply

        question = query.question[0]
        if query.edns > 0:
            return start(dns.rcode.BADVERS)
        # Among the meta types are ANY and the zone transfers.
        if question.rdclass != dns.rdataclass.IN or dns.rdatatype.is_metatype(question.rdtype):
            return start(dns.rcode.REFUSED)
        reply = start(dns.rcode.NOERROR)
        if question.rdtype in (dns.rdatatype.SOA, dns.rdatatype.NS):
            return reply
        try:
            addresses = self._resolve(host)
            if not addresses and not self._known(host):
                reply.set_rcode(dns.rcode.NXDOMAIN)
            if addresses and question.rdtype == dns.rdatatype.A:
                answer = dns.rrset.from_text_list(
                    question.name, self._ttl, question.rdclass, question.rdtype, addresses
                )
                reply.answer.append(answer)
            else:
                reply.authority.append(self._soa)
        except Exception:  # noqa: BLE001 - as real servers do; what nobody foresaw goes to the log
            _log.exception("The sandbox's DNS server could not look up %s", host)
            return start(dns.rcode.SERVFAIL)
        return reply


def _parse(wire: bytes, counts: Sequence[int]) -> dns.message.Message | None:
    """The query with its one question; None when it is malformed, or signed, which nobody has a key for."""
    questions, answers, authorities, additional = counts
    # Looked at first: a few kilobytes of names that point at each other would keep every server of the sandbox waiting.
    if len(wire) > LARGEST_QUERY or (questions, answers, authorities) != (1, 0, 0) or additional > 2:
        return None
    try:
        return dns.message.from_wire(wire)
    except dns.exception.DNSException:
        return None


def _without_question(number: int, flags: int, rcode: dns.rcode.Rcode) -> dns.message.Message:
    """A reply that is a header alone."""
    reply = dns.message.Message(id=number)
    reply.flags = dns.flags.QR | (flags & dns.flags.RD)
    reply.set_opcode(dns.opcode.from_flags(flags))
    reply.set_rcode(rcode)
    return reply


def _room(reply: dns.message.Message) -> int:
    """The bytes a UDP reply may have: what the query's EDNS said, within reason."""
    return min(max(reply.request_payload, _PLAIN_DATAGRAM), LARGEST_DATAGRAM)


class _Datagrams(asyncio.DatagramProtocol):
    """Questions over UDP."""

    def __init__(self, server: DnsServer) -> None:
        self._server = server
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        reply = self._server.reply(data, udp=True)
        if reply is not None:
            self._transport.sendto(reply, addr)

    def connection_lost(self, _error: Exception | None) -> None:
        self.closed.set_result(None)


class _Connections:
    """Questions over TCP, any number on a connection, one after the other (RFC 7766)."""

    def __init__(self, server: DnsServer) -> None:
        self._server = server
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended = False

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a new connection, or close it when there are too many."""
        if self._ended or len(self._tasks) >= MOST_CONNECTIONS:
            writer.transport.abort()
            return
        task = asyncio.create_task(self._talk(reader, writer))
        self._tasks.add(task)

        def ended(_: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            writer.transport.abort()  # nothing is left to send, or nobody takes it

        task.add_done_callback(ended)

    async def end(self) -> None:
        """Close them all; those still on their way in are closed when they arrive."""
        self._ended = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.set_write_buffer_limits(high=0)  # `drain` is then done when the reply has left
        with contextlib.suppress(TimeoutError, asyncio.IncompleteReadError, ConnectionError):
            while True:
                async with asyncio.timeout(IDLE_SECONDS):
                    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
                    if length > LARGEST_QUERY:
                        return
                    query = await reader.readexactly(length)
                reply = self._server.reply(query, udp=False)
                if reply is None:
                    return
                writer.write(_LENGTH.pack(len(reply)) + reply)
                async with asyncio.timeout(IDLE_SECONDS):
                    await writer.drain()
                await asyncio.sleep(0)  # a thousand questions sent at once let others have their turn


def _sockets(at: int | socket.socket) -> tuple[socket.socket, socket.socket]:
    """A TCP and a UDP socket on one port. Raises as `serve` does."""
    if isinstance(at, socket.socket):
        if at.family != socket.AF_INET or not ipaddress.ip_address(at.getsockname()[0]).is_loopback:
            raise ValueError("The sandbox's DNS server is for this machine alone: its socket must be IPv4 loopback.")
        return at, _datagrams(at)
    tries = 1 if at else _PORT_TRIES
    while True:
        tries -= 1
        listener = ports.take(_SERVER, at or None)
        try:
            return listener, _datagrams(listener)
        except (Problem, OSError):
            listener.close()
            if not tries:
                raise


def _datagrams(listener: socket.socket) -> socket.socket:
    """A UDP socket where `listener` is for TCP. Raises Problem when another program has it."""
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        datagrams.bind(listener.getsockname())
    except OSError as error:
        datagrams.close()
        if error.errno != errno.EADDRINUSE:
            raise
        port = listener.getsockname()[1]
        raise Problem(
            "sandbox-port",
            f"UDP port {port} of the sandbox's {_SERVER} is used by another program now.",
            means="Setups point at this port, so the sandbox does not move to another by itself.",
            todo="End that program, or start afresh with --reset.",
        ) from None
    return datagrams
