"""Looking a host up from inside a container: what is run there, and how its output is read.

The container's own resolver is what counts, with its search list, its /etc/hosts and its caches; so the lookup is made
by what images have for that: getent (glibc, musl), nslookup (bind, busybox), python3. Output may be anything.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass

from wizard.identifiers.host import check_host

GETENT, NSLOOKUP, PYTHON = "getent", "nslookup", "python3"
TOOLS = (GETENT, NSLOOKUP, PYTHON)
"""In the order they are tried: getent looks up as programs do, nslookup asks DNS alone."""

NO_TOOL = "none"
INSIDE = "inside the cluster"
"""What stands for the server of such an answer."""

_MOST_ADDRESSES = 32

# Not every C library knows EAI_NODATA; one that does not says EAI_NONAME for it.
_RESOLVE = """import socket, sys
codes = {socket.EAI_NONAME: 2, getattr(socket, "EAI_NODATA", 0): 4}
try:
    found = socket.getaddrinfo(sys.argv[1], None)
except socket.gaierror as error:
    sys.exit(codes.get(error.errno, 3))
print(*sorted({each[4][0] for each in found}), sep="\\n")"""

_ARGUMENTS = {GETENT: ("ahosts",), NSLOOKUP: (), PYTHON: ("-c", _RESOLVE)}
# Exit codes that are an answer. Others (126 and 127 above all) mean that the tool is not there or can't do it: getent
# says 1 when it does not know `ahosts`, python3 when it is too old.
_ANSWERS = {GETENT: (0, 2), NSLOOKUP: (0, 1), PYTHON: (0, 2, 3, 4)}

SCRIPT = """mark=$1
resolve=$2
shift 2
for host; do
  tool=getent
  said=$(getent ahosts "$host" 2>&1)
  code=$?
  case $code in
    0 | 2) ;;
    *)
      tool=nslookup
      said=$(nslookup "$host" 2>&1)
      code=$?
      case $code in
        0 | 1) ;;
        *)
          tool=python3
          said=$(python3 -c "$resolve" "$host" 2>&1)
          code=$?
          case $code in 0 | 2 | 3 | 4) ;; *) tool=none ;; esac
          ;;
      esac
      ;;
  esac
  printf '%s %s %s %s\\n%s\\n' "$mark" "$host" "$tool" "$code" "$said"
done"""
"""The same for `sh -c`: a line `MARK HOST TOOL CODE` and what the tool said, for each host."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What one tool said about a host: addresses, or an error in the words of `wizard.ports.DnsAnswer`."""

    tool: str
    addresses: tuple[str, ...] = ()
    error: str = ""


def require_host(host: str) -> None:
    """Raises ValueError for what is no full host name in lower case: it becomes an argument inside a container."""
    if check_host(host).state != "ok" or host != host.lower():
        raise ValueError(f"not a host name: {host!r}")


def command(tool: str, host: str) -> tuple[str, ...]:
    """The arguments that look `host` up."""
    return (tool, *_ARGUMENTS[tool], host)


def script_command(mark: str, hosts: Sequence[str]) -> tuple[str, ...]:
    """The arguments that look all hosts up; `mark` begins the lines that tell them apart."""
    return ("sh", "-c", SCRIPT, "sh", mark, _RESOLVE, *hosts)


def script_hosts(arguments: Sequence[str]) -> tuple[str, tuple[str, ...]] | None:
    """Mark and hosts of a `script_command`; None when the arguments are none."""
    found = tuple(arguments)
    return (found[4], found[6:]) if len(found) > 6 and found == script_command(found[4], found[6:]) else None


def read(tool: str, output: str, code: int) -> Looked | None:
    """What a tool's output means; None when the tool is not there or can't do it."""
    if code not in _ANSWERS.get(tool, ()):
        return None
    lines = output.splitlines()
    if tool == NSLOOKUP:
        # Before the first Name stands the server's own address.
        start = next((index for index, line in enumerate(lines) if line.startswith("Name:")), len(lines))
        words = [_after_label(line) for line in lines[start:]]
    else:
        words = [line.split()[0] for line in lines if line.split()]
    addresses = tuple(dict.fromkeys(found for word in words if (found := _address(word))))[:_MOST_ADDRESSES]
    return Looked(tool, addresses, "" if addresses else _error(tool, output, code))


def read_script(output: str, mark: str, hosts: Sequence[str]) -> dict[str, Looked | None]:
    """What the script said about each host; a host that is missing in the output has no entry."""
    found: dict[str, Looked | None] = {}
    head = re.compile(rf"{re.escape(mark)} (\S+) (\w+) (\d{{1,3}})")
    about: re.Match[str] | None = None
    said: list[str] = []

    def done() -> None:
        if about and about[1] in hosts:
            found.setdefault(about[1], read(about[2], "\n".join(said), int(about[3])))

    for line in output.splitlines():
        if new := head.fullmatch(line):
            done()
            about, said = new, []
        else:
            said.append(line)
    done()
    return found


def _after_label(line: str) -> str:
    """`Address: 10.0.0.1` (bind, busybox) and `Address 1: 10.0.0.1 name` (older busybox)."""
    found = re.match(r"Address(?: \d+)?:\s*(\S+)", line)
    return found[1] if found else ""


def _address(word: str) -> str:
    try:
        address = ipaddress.ip_address(word)
    except ValueError:
        return ""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


# A failure counts before what one of the two kinds of record was answered.
_SAID = (
    (r"NXDOMAIN|can't resolve|Name does not resolve", "nxdomain"),
    (r"SERVFAIL", "servfail"),
    (r"REFUSED|refused", "refused"),
    (r"timed out|no servers could be reached|timeout", "timeout"),
    (r"Can't find .*: No answer", "no data"),
)
_OF_PYTHON = {2: "nxdomain", 4: "no data"}


def _error(tool: str, output: str, code: int) -> str:
    """getent says 2 for whatever kept it from an address, so a resolver that is silent reads as `nxdomain` too."""
    if tool == PYTHON:
        return _OF_PYTHON.get(code, "no answer")
    if tool == GETENT:
        return "nxdomain" if code == 2 else "no answer"
    return next((error for pattern, error in _SAID if re.search(pattern, output)), "no answer")
