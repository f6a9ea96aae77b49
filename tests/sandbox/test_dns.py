"""The sandbox's DNS server in front of the real dig, of the wizard's own client, and of packets nobody should send."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import dns.asyncquery
import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.update
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.problem import Problem
from wizard.adapters.dns import DnsLooker
from wizard.sandbox import dns as sandbox_dns
from wizard.sandbox import ports
from wizard.sandbox.dns import LARGEST_DATAGRAM, LARGEST_QUERY, DnsServer

HOST = "dpm.acme.example"
MANY = "many.acme.example"  # 40 addresses: 698 bytes, more than a datagram without EDNS has
FAR_TOO_MANY = "far-too-many.acme.example"  # more than any datagram has
EMPTY = "empty.acme.example"
PUBLIC, PRIVATE = "203.0.113.7", "10.20.0.4"
TTL = 7

Line = tuple[str, str, int]


class Names:
    """What the server under test tells, and whom it told."""

    def __init__(self) -> None:
        self.addresses = {
            HOST: [PUBLIC],
            MANY: [f"203.0.113.{number}" for number in range(1, 41)],
            FAR_TOO_MANY: [f"203.0.113.{number}" for number in range(1, 201)],
        }
        self.trace: list[Line] = []
        self.server = DnsServer(self.resolve, lambda name: name == EMPTY, ttl=TTL, trace=self.note)

    def resolve(self, name: str) -> list[str]:
        return self.addresses.get(name, [])

    def note(self, *line: str | int) -> None:
        self.trace.append(line)  # type: ignore[arg-type]


@pytest.fixture
def names() -> Names:
    return Names()


@pytest.fixture
async def at(names: Names) -> AsyncIterator[str]:
    async with names.server.serve() as address:
        yield address


def _where(address: str) -> tuple[str, int]:
    host, port = address.split(":")
    return host, int(port)


# ---------------------------------------------------------------- dig


class Dig:
    """What dig says about one server."""

    def __init__(self, path: str, address: str) -> None:
        host, port = _where(address)
        self._command = [path, "-r", f"@{host}", "-p", str(port), "+timeout=5", "+tries=1"]

    async def __call__(self, *arguments: str) -> str:
        process = await asyncio.create_subprocess_exec(*self._command, *arguments, stdout=asyncio.subprocess.PIPE)
        async with asyncio.timeout(60):
            said, _ = await process.communicate()
        return said.decode()


@pytest.fixture
def dig(at: str) -> Dig:
    path = shutil.which("dig")
    if path is None:
        pytest.skip("dig is not there; get it with: apt-get install bind9-dnsutils")
    return Dig(path, at)


async def test_dig_sees_the_name_move(dig: Dig, names: Names):
    assert await dig("+noall", "+answer", HOST) == f"{HOST}.\t{TTL}\tIN\tA\t{PUBLIC}\n"
    names.addresses[HOST] = [PRIVATE, "10.20.0.5"]
    assert sorted((await dig("+short", HOST)).split()) == [PRIVATE, "10.20.0.5"]
    assert names.trace == [("A", HOST, 0), ("A", HOST, 0)]


@pytest.mark.parametrize("transport", ["+notcp", "+tcp"])
@pytest.mark.parametrize(
    ("question", "status", "answers", "authority"),
    [
        (("A", HOST), "NOERROR", 1, 0),
        (("AAAA", HOST), "NOERROR", 0, 1),
        (("TXT", HOST), "NOERROR", 0, 1),
        (("TYPE65280", HOST), "NOERROR", 0, 1),
        (("A", EMPTY), "NOERROR", 0, 1),
        (("AAAA", EMPTY), "NOERROR", 0, 1),
        (("A", "other.example"), "NXDOMAIN", 0, 1),
        (("AAAA", "other.example"), "NXDOMAIN", 0, 1),
        (("A", f"sub.{HOST}"), "NXDOMAIN", 0, 1),
        (("A", "."), "NXDOMAIN", 0, 1),
        (("SOA", HOST), "NOERROR", 0, 0),
        (("NS", "other.example"), "NOERROR", 0, 0),
        (("NS", "."), "NOERROR", 0, 0),
        (("ANY", HOST), "REFUSED", 0, 0),
        (("ANY", "other.example"), "REFUSED", 0, 0),
        (("MAILB", HOST), "REFUSED", 0, 0),
    ],
)
async def test_dig_gets_a_clean_reply(
    dig: Dig, names: Names, question: tuple[str, str], status: str, answers: int, authority: int, transport: str
):
    kind, name = question
    said = await dig(transport, "-q", name, "-t", kind)
    assert f"opcode: QUERY, status: {status}, id:" in said
    assert f"flags: qr rd ra; QUERY: 1, ANSWER: {answers}, AUTHORITY: {authority}, ADDITIONAL: 1" in said
    assert f"EDNS: version: 0, flags:; udp: {LARGEST_DATAGRAM}" in said
    assert "WARNING" not in said and "Warning" not in said
    assert names.trace == [(kind, name, dns.rcode.from_text(status))]


async def test_the_absence_lasts_as_long_as_a_record(dig: Dig):
    said = (await dig("+noall", "+authority", "other.example")).split()
    assert said[:4] == [".", str(TTL), "IN", "SOA"]
    assert said[-1] == str(TTL)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("-c", "CH", "-t", "TXT", "-q", "version.bind"), "status: REFUSED"),
        (("-t", "AXFR", "-q", "acme.example"), "Transfer failed."),
        (("+opcode=NOTIFY", HOST), "opcode: NOTIFY, status: NOTIMP"),
        (("+opcode=UPDATE", HOST), "opcode: UPDATE, status: NOTIMP"),
        (("+opcode=STATUS", "+tcp", HOST), "opcode: STATUS, status: NOTIMP"),
        (("+opcode=9", HOST), "status: NOTIMP"),
        (("+header-only",), "status: FORMERR"),
        (("+edns=1", "+noednsneg", HOST), "status: BADVERS"),
        (("+edns=1", "+ednsneg", HOST), "status: NOERROR"),
        (("+dnssec", "+cookie", "+nsid", "+padding=468", "+subnet=192.0.2.0/24", HOST), "status: NOERROR"),
        (("+norecurse", HOST), "flags: qr ra;"),
        (("+tcp", "+keepopen", HOST, "AAAA", HOST, "A"), PUBLIC),
    ],
)
async def test_dig_with_what_is_rarer(dig: Dig, arguments: tuple[str, ...], says: str):
    assert says in await dig(*arguments)


@pytest.mark.parametrize(
    ("arguments", "flags", "answers"),
    [
        (("+noedns", "+ignore", MANY), "qr tc rd ra", 0),
        (("+bufsize=512", "+ignore", MANY), "qr tc rd ra", 0),
        (("+bufsize=1232", "+ignore", MANY), "qr rd ra", 40),
        (("+noedns", "+tcp", MANY), "qr rd ra", 40),
        (("+bufsize=4096", "+ignore", FAR_TOO_MANY), "qr tc rd ra", 0),
        (("+bufsize=4096", FAR_TOO_MANY), "qr rd ra", 200),
    ],
)
async def test_what_does_not_fit_a_datagram_comes_over_tcp(
    dig: Dig, arguments: tuple[str, ...], flags: str, answers: int
):
    assert f"flags: {flags}; QUERY: 1, ANSWER: {answers}," in await dig(*arguments)


# ---------------------------------------------------------------- the wizard's own client


async def test_the_wizards_client_sees_the_trap(at: str, names: Names):
    looker = DnsLooker(at)
    before = await looker.resolve(HOST)
    assert (before.addresses, before.ttl, before.error, before.server) == ((PUBLIC,), TTL, "", at)
    names.addresses[HOST] = [PRIVATE]
    assert (await looker.resolve(HOST.upper() + ".")).addresses == (PRIVATE,)
    assert sorted(names.trace) == [("A", HOST, 0)] * 2 + [("AAAA", HOST, 0)] * 2


async def test_the_wizards_client_gets_long_answers_whole(at: str, names: Names):
    answer = await DnsLooker(at).resolve(FAR_TOO_MANY)
    assert sorted(answer.addresses) == sorted(names.addresses[FAR_TOO_MANY])


@pytest.mark.parametrize(("name", "error"), [("other.example", "nxdomain"), (EMPTY, "no data"), (".", "nxdomain")])
async def test_the_wizards_client_without_an_address(at: str, name: str, error: str):
    answer = await DnsLooker(at).resolve(name)
    assert (answer.addresses, answer.ttl, answer.error) == ((), None, error)


async def test_a_lookup_that_goes_wrong_is_servfail(at: str, names: Names, caplog: pytest.LogCaptureFixture):
    names.addresses[HOST] = ["not an address"]
    assert (await DnsLooker(at).resolve(HOST)).addresses == ()
    assert ("A", HOST, dns.rcode.SERVFAIL) in names.trace
    assert f"could not look up {HOST}" in caplog.text


# ---------------------------------------------------------------- packets


async def test_the_case_of_a_name_comes_back(at: str, names: Names):
    host, port = _where(at)
    query = dns.message.make_query("dPm.aCmE.eXaMpLe", "A")
    for ask in (dns.asyncquery.udp, dns.asyncquery.tcp):
        reply = await ask(query, host, port=port, timeout=5)
        assert reply.question[0].name.to_text() == reply.answer[0].name.to_text() == "dPm.aCmE.eXaMpLe."
        assert reply.wire is not None and b"\x03dPm\x04aCmE\x07eXaMpLe\x00" in reply.wire
        assert names.trace.pop() == ("A", HOST, 0)


def test_a_dot_inside_a_label_does_not_make_it_another_name(names: Names):
    label = b"dpm.acme"
    wire = _header() + bytes([len(label)]) + label + b"\x07example\x00" + struct.pack("!2H", 1, 1)
    assert _parsed(names.server.reply(wire, udp=True)).rcode() == dns.rcode.NXDOMAIN
    assert names.trace == [("A", r"dpm\.acme.example", dns.rcode.NXDOMAIN)]


def _header(*, number: int = 0x1234, flags: int = 0x0100, counts: tuple[int, int, int, int] = (1, 0, 0, 0)) -> bytes:
    return struct.pack("!6H", number, flags, *counts)


def _query(name: str = HOST, kind: str = "A", **options: object) -> dns.message.Message:
    return dns.message.make_query(name, kind, id=0x1234, **options)  # type: ignore[arg-type]


def _parsed(reply: bytes | None) -> dns.message.Message:
    assert reply is not None
    return dns.message.from_wire(reply)


QUESTION = _query().to_wire()[12:]
SIGNED = _query()
SIGNED.use_tsig(dns.tsig.Key("key.example", "c2VjcmV0"))
POINTERS = b"".join(struct.pack("!H", 0xC000 | max(12, 12 + 2 * number - 2)) for number in range(1500))

MALFORMED = {
    "no question": _header(counts=(0, 0, 0, 0)),
    "two questions": _header(counts=(2, 0, 0, 0)) + QUESTION * 2,
    "a question that is not there": _header(),
    "half a question": _header() + QUESTION[:-1],
    "something after it": _header() + QUESTION + b"x",
    "an answer": _header(counts=(1, 1, 0, 0)) + QUESTION + QUESTION + struct.pack("!IH4B", 1, 4, 1, 2, 3, 4),
    "a pointer to itself": _header() + b"\xc0\x0c" + struct.pack("!2H", 1, 1),
    "a pointer forward": _header() + b"\xc0\x20" + struct.pack("!2H", 1, 1) + bytes(40),
    "a label of a reserved kind": _header() + b"\x80abc\x00" + struct.pack("!2H", 1, 1),
    "a name of 256 bytes": _header() + (b"\x3f" + b"a" * 63) * 4 + b"\x00" + struct.pack("!2H", 1, 1),
    "65535 of everything": _header(counts=(65535,) * 4) + QUESTION * 20,
    "pointers to pointers": _header(counts=(1, 0, 0, 300)) + POINTERS,
    "three records beside it": _header(counts=(1, 0, 0, 3))
    + QUESTION
    + (b"\xc0\x0c" + struct.pack("!HHIH", 65280, 1, 0, 0)) * 3,
    "two OPT": _header(counts=(1, 0, 0, 2)) + QUESTION + (b"\x00" + struct.pack("!HHIH", 41, 1232, 0, 0)) * 2,
    "an OPT with a name": _header(counts=(1, 0, 0, 1)) + QUESTION + b"\x01a\x00" + struct.pack("!HHIH", 41, 512, 0, 0),
    "an OPT cut short": _header(counts=(1, 0, 0, 1)) + QUESTION + b"\x00" + struct.pack("!HHIH", 41, 1232, 0, 9),
    "a signature": SIGNED.to_wire(),
    "an OPT of 5 KB": _header(counts=(1, 0, 0, 1))
    + QUESTION
    + b"\x00"
    + struct.pack("!HHIH", 41, 512, 0, 5000)
    + b"\xff\xfe"
    + struct.pack("!H", 4996)
    + bytes(4996),
}


@pytest.mark.parametrize("udp", [True, False])
@pytest.mark.parametrize("wire", MALFORMED.values(), ids=MALFORMED)
def test_what_is_malformed(names: Names, wire: bytes, udp: bool):
    number = struct.unpack_from("!H", wire)[0]
    assert names.server.reply(wire, udp=udp) == struct.pack("!6H", number, 0x8101, 0, 0, 0, 0)
    assert names.trace == [("QUERY", "", dns.rcode.FORMERR)]


@pytest.mark.parametrize("wire", [b"", b"x", _header()[:11], _header(flags=0x8100) + QUESTION, b"\xff" * 40])
def test_what_gets_no_reply(names: Names, wire: bytes):
    assert names.server.reply(wire, udp=True) is None
    assert names.trace == []


def test_an_update_is_not_even_read(names: Names):
    update = dns.update.UpdateMessage("acme.example", id=7)
    update.add("dpm", 60, "A", PRIVATE)
    assert names.server.reply(update.to_wire(), udp=False) == struct.pack("!6H", 7, 0xA804, 0, 0, 0, 0)
    assert names.trace == [("UPDATE", "", dns.rcode.NOTIMP)]


def test_padding_never_makes_a_reply_too_long(names: Names):
    """dnspython pads a reply to a padded query by itself, past the space there is."""
    options = [dns.edns.GenericOption(dns.edns.OptionType.PADDING, bytes(8))]
    for count in range(1, 41):
        names.addresses[HOST] = names.addresses[MANY][:count]
        for payload in (0, 512, 600, 1232, 65535):
            reply = names.server.reply(_query(use_edns=0, payload=payload, options=options).to_wire(), udp=True)
            assert reply is not None and len(reply) <= min(max(payload, 512), LARGEST_DATAGRAM)


async def _raw(address: str, wire: bytes) -> bytes:
    """What comes back for a datagram."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        client.connect(_where(address))
        await loop.sock_sendall(client, wire)
        async with asyncio.timeout(30):
            return await loop.sock_recv(client, 65535)


async def test_garbage_is_answered_over_the_network(at: str):
    reply = struct.pack("!6H", 0x1234, 0x8101, 0, 0, 0, 0)
    assert await _raw(at, MALFORMED["two questions"]) == reply
    async with _connected(at) as (reader, writer):
        writer.write(_framed(MALFORMED["half a question"]))
        assert await _next(reader) == reply


# ---------------------------------------------------------------- fuzzing

LABELS = st.lists(st.binary(min_size=1, max_size=63), max_size=3)  # with any byte in them
NAME = st.one_of(
    st.sampled_from([HOST, MANY, FAR_TOO_MANY, EMPTY, "other.example", "."]).map(dns.name.from_text),
    LABELS.map(lambda labels: dns.name.Name([*labels, b""])),
)
VALID = st.builds(
    lambda name, kind, edns, payload, padding: dns.message.make_query(
        name,
        kind,
        use_edns=edns,
        payload=payload,
        options=[dns.edns.GenericOption(dns.edns.OptionType.PADDING, bytes(padding))],
    ).to_wire(max_size=65535),
    NAME,
    st.integers(0, 65535).map(dns.rdatatype.RdataType.make),
    st.sampled_from([False, 0, 0, 1]),
    st.integers(0, 65535),
    st.integers(0, 600),
)


@st.composite
def _damaged(draw: st.DrawFn) -> bytes:
    """A query with some bytes changed, cut out or put in."""
    wire = bytearray(draw(VALID))
    for _ in range(draw(st.integers(1, 6))):
        where = draw(st.integers(0, len(wire)))
        wire[where : where + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
    return bytes(wire)


@st.composite
def _with_records(draw: st.DrawFn) -> bytes:
    """One question and records of any type and content beside it."""
    records = draw(
        st.lists(st.tuples(st.integers(0, 65535), st.integers(0, 65535), st.binary(max_size=40)), max_size=3)
    )
    tail = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", *kind, 1, len(data)) + data for *kind, data in records)
    return _header(counts=(1, 0, 0, len(records))) + QUESTION + tail


PACKET = st.one_of(
    VALID,
    _damaged(),
    _with_records(),
    st.binary(max_size=600),
    st.builds(lambda body: _header() + body, st.binary(max_size=600)),
)


@settings(max_examples=500)
@given(wire=PACKET, udp=st.booleans())
def test_any_packet_has_a_proper_reply_or_none(wire: bytes, udp: bool):
    names = Names()
    reply = names.server.reply(wire, udp=udp)
    if len(wire) < 12 or wire[2] & 0x80:
        assert reply is None and names.trace == []
        return
    parsed = _parsed(reply)
    assert reply is not None and len(reply) <= (LARGEST_DATAGRAM if udp else 65535)
    assert parsed.id == struct.unpack_from("!H", wire)[0]
    assert parsed.flags & dns.flags.QR
    assert parsed.opcode() == dns.opcode.from_flags(struct.unpack_from("!H", wire, 2)[0])
    assert [line[2] for line in names.trace] == [parsed.rcode()] != [dns.rcode.SERVFAIL]
    assert parsed.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN) or len(parsed.question) == 1
    (_, name, _) = names.trace[0]
    assert name.isprintable() and name.isascii()


@settings(max_examples=300)
@given(wire=VALID)
def test_a_proper_query_is_never_malformed(wire: bytes):
    query, reply = dns.message.from_wire(wire), _parsed(Names().server.reply(wire, udp=False))
    assert query.is_response(reply)
    assert reply.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN, dns.rcode.REFUSED, dns.rcode.BADVERS)
    assert reply.edns == min(query.edns, 0)


@settings(max_examples=15)
@given(packets=st.lists(PACKET, min_size=5, max_size=25), cut=st.integers(0, 30))
async def test_the_server_outlives_any_packets(packets: list[bytes], cut: int):
    names = Names()
    async with names.server.serve() as address:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            for packet in packets:
                client.sendto(packet, _where(address))
                async with _connected(address) as (reader, writer):
                    writer.write(_framed(packet) + packet[:cut])
                    writer.write_eof()
                    await reader.read()
        assert (await DnsLooker(address).resolve(HOST)).addresses == (PUBLIC,)
    assert asyncio.all_tasks() == {asyncio.current_task()}


# ---------------------------------------------------------------- connections


@contextlib.asynccontextmanager
async def _connected(address: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(*_where(address))
    try:
        async with asyncio.timeout(30):
            yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def _framed(wire: bytes) -> bytes:
    return struct.pack("!H", len(wire)) + wire


async def _next(reader: asyncio.StreamReader) -> bytes:
    (length,) = struct.unpack("!H", await reader.readexactly(2))
    return await reader.readexactly(length)


async def _is_closed(reader: asyncio.StreamReader) -> bool:
    """Whether the server closes the connection and says nothing more."""
    try:
        return await reader.read() == b""
    except ConnectionResetError:
        return True


async def test_a_query_may_come_in_pieces_and_many_at_once(at: str):
    async with _connected(at) as (reader, writer):
        for byte in _framed(_query().to_wire()):
            writer.write(bytes([byte]))
            await writer.drain()
        assert _parsed(await _next(reader)).answer[0][0].to_text() == PUBLIC
        writer.write(b"".join(_framed(_query(kind=kind).to_wire()) for kind in ("AAAA", "A", "ANY", "SOA")))
        writer.write_eof()
        replies = [_parsed(await _next(reader)) for _ in range(4)]
        assert [dns.rdatatype.to_text(reply.question[0].rdtype) for reply in replies] == ["AAAA", "A", "ANY", "SOA"]
        assert await _is_closed(reader)


async def test_many_queries_at_once_let_others_have_their_turn(at: str, names: Names):
    async with _connected(at) as (_, writer):
        writer.write(_framed(_query(kind="TXT").to_wire()) * 3000)
        while not names.trace:
            await asyncio.sleep(0)
        await _raw(at, _query().to_wire())
        assert names.trace.count(("TXT", HOST, 0)) < 3000


@pytest.mark.parametrize("sent", [b"", b"\x00", _framed(QUESTION)[:-1], b"\x00\x0c"], ids=["none", "1", "most", "12"])
async def test_who_says_too_little_is_hung_up_on(monkeypatch: pytest.MonkeyPatch, at: str, sent: bytes):
    monkeypatch.setattr(sandbox_dns, "IDLE_SECONDS", 0.2)
    async with _connected(at) as (reader, writer):
        writer.write(sent)
        assert await _is_closed(reader)


async def test_who_does_not_listen_is_hung_up_on(monkeypatch: pytest.MonkeyPatch, names: Names):
    """And what was meant for them is not kept."""
    monkeypatch.setattr(sandbox_dns, "IDLE_SECONDS", 0.2)
    loop = asyncio.get_running_loop()
    query = _framed(_query(FAR_TOO_MANY).to_wire())
    with ports.take("test", None) as listener, socket.socket() as client:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # handed down to its connections
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        async with names.server.serve(listener) as address:
            await loop.sock_connect(client, _where(address))
            with pytest.raises(ConnectionError):
                async with asyncio.timeout(60):
                    while True:
                        await loop.sock_sendall(client, query * 100)
            assert (await DnsLooker(address).resolve(HOST)).addresses == (PUBLIC,)


async def test_who_listens_late_gets_everything(names: Names):
    """Also when the server has long seen that no more questions come."""
    loop = asyncio.get_running_loop()
    query = _framed(_query(FAR_TOO_MANY).to_wire())
    with ports.take("test", None) as listener, socket.socket() as client:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        async with names.server.serve(listener) as address:
            await loop.sock_connect(client, _where(address))
            await loop.sock_sendall(client, query * 15)
            client.shutdown(socket.SHUT_WR)
            while not names.trace:
                await asyncio.sleep(0)
            for _ in range(100):  # turns of the loop, in which a server that does not wait would be through
                await asyncio.sleep(0)
            got = 0
            async with asyncio.timeout(30):
                while some := await loop.sock_recv(client, 65535):
                    got += len(some)
    reply = names.server.reply(query[2:], udp=False)
    assert reply is not None and got == 15 * len(_framed(reply))


@pytest.mark.parametrize("sent", [b"\xff\xff", struct.pack("!H", LARGEST_QUERY + 1), _framed(b""), _framed(b"GET /")])
async def test_what_is_no_query_ends_the_connection(
    monkeypatch: pytest.MonkeyPatch, at: str, names: Names, sent: bytes
):
    monkeypatch.setattr(sandbox_dns, "IDLE_SECONDS", 1000)  # not what hangs up here
    async with _connected(at) as (reader, writer):
        writer.write(sent)
        assert await _is_closed(reader)
    assert names.trace == []


async def test_there_are_only_so_many_connections(monkeypatch: pytest.MonkeyPatch, at: str):
    monkeypatch.setattr(sandbox_dns, "MOST_CONNECTIONS", 3)
    monkeypatch.setattr(sandbox_dns, "IDLE_SECONDS", 1000)  # not what hangs up here
    query = _framed(_query().to_wire())
    async with contextlib.AsyncExitStack() as stack:
        held = [await stack.enter_async_context(_connected(at)) for _ in range(3)]
        for reader, writer in held:
            writer.write(query)
            assert _parsed(await _next(reader)).answer
        async with _connected(at) as (reader, writer):
            writer.write(query)
            assert await _is_closed(reader)
        reader, writer = held[0]
        writer.write_eof()
        assert await _is_closed(reader)  # makes room for one
        async with _connected(at) as (reader, writer):
            writer.write(query)
            assert _parsed(await _next(reader)).answer


# ---------------------------------------------------------------- the trace


async def test_a_reply_that_can_not_be_traced_is_not_sent(names: Names):
    """So the trace comes first."""
    reported: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))

    def full(*_: object) -> None:
        raise OSError("no space left")

    server = DnsServer(names.resolve, bool, ttl=TTL, trace=full)
    async with server.serve() as address, _connected(address) as (reader, writer):
        writer.write(_framed(_query().to_wire()))
        assert await _is_closed(reader)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(_query().to_wire(), _where(address))
            async with asyncio.timeout(30):
                while len(reported) < 2:
                    await asyncio.sleep(0.01)
            client.setblocking(False)
            with pytest.raises(BlockingIOError):
                client.recv(1)
    assert {str(context["exception"]) for context in reported} == {"no space left"}


# ---------------------------------------------------------------- where it listens, and its end


def _descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


async def test_it_ends_at_once_and_leaves_nothing(names: Names):
    before, tasks = _descriptors(), asyncio.all_tasks()
    async with names.server.serve() as address, contextlib.AsyncExitStack() as stack:
        idle = [await stack.enter_async_context(_connected(address)) for _ in range(5)]
        idle[0][1].write(_framed(_query().to_wire()))
        assert await _next(idle[0][0])
        stack.pop_all()
    for reader, writer in idle:
        assert await _is_closed(reader)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    assert (_descriptors(), asyncio.all_tasks()) == (before, tasks)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*_where(address))
    with pytest.raises(ConnectionRefusedError):
        await _raw(address, _query().to_wire())


async def test_it_comes_back_on_the_port_it_had(names: Names):
    async with names.server.serve() as address, _connected(address) as (reader, writer):
        writer.write(_framed(_query().to_wire()))
        assert await _next(reader)
    async with names.server.serve(_where(address)[1]) as again:
        assert again == address
        assert (await DnsLooker(again).resolve(HOST)).addresses == (PUBLIC,)


async def test_it_ends_with_what_fails_inside(names: Names):
    before = _descriptors()
    with pytest.raises(ZeroDivisionError):
        async with names.server.serve():
            raise ZeroDivisionError
    assert _descriptors() == before


@pytest.mark.parametrize("step", ["start_server", "create_datagram_endpoint"])
async def test_it_leaves_nothing_when_it_can_not_start(
    names: Names, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder, step: str
):
    async def fail(*_: object, **__: object) -> None:
        raise OSError("no more of these")

    before = _descriptors()
    monkeypatch.setattr(asyncio if step == "start_server" else asyncio.get_running_loop(), step, fail)
    with pytest.raises(OSError, match="no more of these"):
        async with names.server.serve():
            pass
    assert _descriptors() == before
    assert not recwarn.list  # as of a socket that the garbage collector found open


@pytest.fixture(params=[socket.SOCK_STREAM, socket.SOCK_DGRAM], ids=["tcp", "udp"])
def taken(request: pytest.FixtureRequest) -> Iterator[int]:
    """A port that another program has."""
    with socket.socket(socket.AF_INET, request.param) as other:
        other.bind(("127.0.0.1", 0))
        if request.param == socket.SOCK_STREAM:
            other.listen()
        yield other.getsockname()[1]


async def test_a_port_that_is_taken(names: Names, taken: int):
    before = _descriptors()
    with pytest.raises(Problem) as problem:
        async with names.server.serve(taken):
            pass
    assert problem.value.code == "sandbox-port"
    assert str(taken) in problem.value.what and "DNS server" in problem.value.what
    assert _descriptors() == before


async def test_a_free_port_is_free_for_both(names: Names, taken: int, monkeypatch: pytest.MonkeyPatch):
    with ports.take("test", None) as other:
        free = other.getsockname()[1]
    choices = iter([taken, taken, free])
    monkeypatch.setattr("random.SystemRandom.randrange", lambda *_: next(choices))
    before = _descriptors()
    async with names.server.serve() as address:
        assert address == f"127.0.0.1:{free}"
    assert _descriptors() == before


async def test_a_socket_that_is_bound_already(names: Names):
    with ports.take("test", None) as held:
        async with names.server.serve(held) as address:
            assert _where(address) == held.getsockname()
            assert (await DnsLooker(address).resolve(FAR_TOO_MANY)).error == ""
        assert held.fileno() == -1


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
async def test_others_can_not_reach_it(names: Names, at: str, family: socket.AddressFamily):
    with socket.socket(family) as held:
        if family == socket.AF_INET:
            held.bind(("0.0.0.0", 0))
        with pytest.raises(ValueError, match="this machine alone"):
            async with names.server.serve(held):
                pass
        assert held.fileno() != -1  # still the caller's
    assert _where(at)[0] == "127.0.0.1"
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.2", _where(at)[1])
