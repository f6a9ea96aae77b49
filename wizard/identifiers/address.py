"""IP addresses: an endpoint's private one, and a DNS server's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from wizard.identifiers.forgive import forgiven_name
from wizard.identifiers.result import Known, Parsed, accept, empty, incomplete, part, quoted, wrong

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

_WHERE = "copy the private IP from the Private Endpoint's page in the Azure portal, Network interface"

PRIVATE_RANGES = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
"""What a virtual network may be given: RFC 1918, RFC 6598 and, for IPv6, RFC 4193. `ipaddress.is_private` is wider
(documentation and benchmark ranges), so it is not used."""

AZURE_DNS = "168.63.129.16"
"""The address of Azure's own platform and resolver, the same in every VNet; never one of the VNet's."""


def parse_private_ip(text: str, known: Known) -> Parsed:
    """An IPv4 or IPv6 address of a private range; normalised as Python's ipaddress writes it."""
    given = forgiven_name(text)
    if not given:
        return empty(_WHERE)
    bad, begun = part("address", given, "bad"), part("address", given, "missing")
    if "/" in given:
        return wrong(f"this is a range of addresses. Enter one address: {_WHERE}", bad)
    if re.fullmatch(r"[0-9.]+:[0-9]+", given):
        return wrong(f"leave out the port: enter {quoted(given.partition(':')[0])}", bad)
    if re.fullmatch(r"[0-9A-Fa-f:.]+", given) is None:
        return wrong(f"this is no IP address: {_WHERE}", bad)
    from ipaddress import ip_address  # late: only this kind needs it

    try:
        address = ip_address(given)
    except ValueError:
        fault = _fault(given)
        if fault:
            return wrong(fault, bad)
        return incomplete(begun, next=_rest(given))
    if given.endswith(":"):
        return incomplete(begun, next="add the last part of the IPv6 address")
    fault = _unusable(address) or _outside(address, known)
    if fault:
        return wrong(fault, bad)
    return accept(str(address), part("address", str(address), "ok"), note=_note(address))


_SERVER = "enter its IP address, as in 10.0.0.4 or 10.0.0.4:5353"


def parse_dns_server(text: str, known: Known) -> Parsed:
    """The address of a DNS server, an IPv4 address also with a port; normalised as Python's ipaddress writes it."""
    given = forgiven_name(text)
    if not given:
        return empty(_SERVER)
    bad, begun = part("server", given, "bad"), part("server", given, "missing")
    if re.fullmatch(r"[0-9A-Fa-f:.]+", given) is None:
        return wrong(f"this is no IP address: {_SERVER}", bad)
    from ipaddress import ip_address  # late: only these kinds need it

    host, colon, port = given.partition(":") if "." in given else (given, "", "")
    try:
        address = ip_address(host)
    except ValueError:
        fault = _fault(host).replace(_WHERE, _SERVER)
        return wrong(fault, bad) if fault or colon else incomplete(begun, next=_rest(host))
    if colon and not port:
        return incomplete(begun, next="add the port, as in :53")
    if port and not (port.isdigit() and port == str(int(port)) and 0 < int(port) < 65536):
        return wrong(f"{quoted(port)} is no port: a number from 1 to 65535", bad)
    if address.is_multicast or address.is_unspecified:
        return wrong(f"{address} is {_sort(address)}: {_SERVER}", bad)
    server = f"{address}{colon}{port}"
    return accept(server, part("server", server, "ok"))


def _fault(text: str) -> str:
    """Why no further typing makes an address of `text`; "" when it may."""
    if not re.fullmatch(r"[0-9.]+", text):
        groups = text.split(":")
        if "." in text or text.count("::") > 1 or ":::" in text or len(groups) > 9 or any(len(g) > 4 for g in groups):
            return f"this is no IP address: {_WHERE}"
        return ""
    numbers = text.split(".")
    if len(numbers) > 4:
        return f"an IPv4 address has four numbers; this has {len(numbers)}"
    for place, number in enumerate(numbers):
        if number == "" and place < len(numbers) - 1:
            return "an IPv4 address has a number before every dot"
        if len(number) > 1 and number.startswith("0"):
            return f"write {number.lstrip('0') or '0'} instead of {quoted(number)}: leading zeros change the number"
        if number and (len(number) > 3 or int(number) > 255):
            return f"{quoted(number)} is too large: a number of an IPv4 address is at most 255"
    return ""


def _rest(text: str) -> str:
    if re.fullmatch(r"[0-9.]+", text):
        return f"add to the address: four numbers with dots, {len([n for n in text.split('.') if n])} so far"
    return "add the rest of the IPv6 address"


def _unusable(address: IPv4Address | IPv6Address) -> str:
    from ipaddress import ip_network

    home = next(
        (net for net in map(ip_network, PRIVATE_RANGES) if address.version == net.version and address in net), None
    )
    if home is None:
        return f"{address} is {_sort(address)}. Enter the endpoint's private IP: {_WHERE}"
    if address in (home.network_address, home.broadcast_address) and address.version == 4:
        return f"{address} is the first or last address of {home}, which no host can have. {_WHERE}"
    return ""


def _sort(address: IPv4Address | IPv6Address) -> str:
    """An address that no endpoint has, in words."""
    if str(address) == AZURE_DNS:
        return "Azure's own DNS and health address"
    if address.is_loopback:
        return "a loopback address: it leads every machine to itself"
    if address.is_unspecified:
        return "no address, it stands for all of them"
    if address.is_multicast:
        return "a multicast address"
    if address.is_link_local:
        return "a link-local address: a machine gives it to itself when DHCP fails"
    if not address.is_global:
        return "a reserved address"
    return "a public address"


def _outside(address: IPv4Address | IPv6Address, known: Known) -> str:
    """Why the address is none of the known subnet: not in it, or one of the five that Azure keeps of each."""
    if not known.subnet_prefixes:
        return ""
    from ipaddress import ip_network

    for prefix in map(ip_network, known.subnet_prefixes):
        if address.version == prefix.version and address in prefix:
            place = int(address) - int(prefix.network_address)
            if place < 4 or (address.version == 4 and address == prefix.broadcast_address):
                return f"{address} is one of the five addresses that Azure keeps of {prefix} for itself. {_WHERE}"
            return ""
    return f"{address} is not in the subnet, which has {', '.join(known.subnet_prefixes[:3])}. {_WHERE}"


def _note(address: IPv4Address | IPv6Address) -> str:
    if address.version == 4 and int(address) % 256 in (0, 255):
        return f"ends with .{int(address) % 256}: mostly a network's own address, so look twice"
    return ""
