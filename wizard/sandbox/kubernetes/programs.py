"""The programs that seem to be in every container: getent and nslookup, which ask the cluster's DNS.

Nothing is executed: the arguments are read here, and the output is written as the real programs write it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from wizard import inside_lookup

DNS_SERVICE = "10.96.0.10"
"""Where the cluster's DNS is said to be."""


class Names(Protocol):
    """A resolver; hosts are lower case and without a trailing dot."""

    def resolve(self, host: str) -> Sequence[str]:
        """The IPv4 addresses of a host; empty for none."""
        ...

    def known(self, host: str) -> bool:
        """Whether a name exists, though it may have no address."""
        ...


class NoNames:
    """A DNS without names."""

    def resolve(self, host: str) -> Sequence[str]:
        """Nothing."""
        return ()

    def known(self, host: str) -> bool:
        """None is."""
        return False


@dataclass(frozen=True, slots=True)
class Ended:
    """What a program wrote, and its exit code."""

    stdout: str = ""
    stderr: str = ""
    code: int = 0


class Programs:
    """What can be executed in a container. `missing`: nothing can, as in an image that has neither."""

    def __init__(self, names: Names, *, missing: bool = False) -> None:
        self._names = names
        self._there: dict[str, Callable[[Sequence[str]], Ended]] = (
            {} if missing else {"getent": self._getent, "nslookup": self._nslookup}
        )

    def run(self, command: Sequence[str]) -> Ended | None:
        """How a command ends; None when there is no such program."""
        program = self._there.get(command[0].rpartition("/")[2]) if command else None
        return program(command[1:]) if program else None

    def lookups(self, command: Sequence[str]) -> list[str]:
        """The lines that the script of `wizard.inside_lookup` writes; none for any other command."""
        asked = inside_lookup.script_hosts(command)
        if asked is None:
            return []
        mark, hosts = asked
        lines: list[str] = []
        for host in hosts:
            tool = inside_lookup.GETENT
            ended = self.run(inside_lookup.command(tool, host))
            if ended is None:
                tool, ended = inside_lookup.NO_TOOL, Ended(code=127)
            lines += [f"{mark} {host} {tool} {ended.code}", *ended.stdout.splitlines()]
        return lines

    def _getent(self, arguments: Sequence[str]) -> Ended:
        if len(arguments) < 2:
            return Ended(stderr="getent: wrong number of arguments\n", code=1)
        database, *hosts = arguments
        if database not in ("ahosts", "hosts"):
            return Ended(stderr=f"Unknown database: {database}\n", code=1)
        lines: list[str] = []
        code = 0
        for host in hosts:
            found = self._resolve(host)
            code = code if found else 2
            for number, address in enumerate(found):
                if database == "hosts":
                    lines.append(f"{address:<15} {host}")
                    continue
                lines.append(f"{address:<15} STREAM {host if number == 0 else ''}".rstrip())
                lines += [f"{address:<15} DGRAM", f"{address:<15} RAW"]
        return Ended("".join(f"{line}\n" for line in lines), code=code)

    def _nslookup(self, arguments: Sequence[str]) -> Ended:
        host = next((each for each in arguments if not each.startswith("-")), "")
        if not host:
            return Ended(stderr="nslookup: a name is wanted; there is nobody to type one\n", code=1)
        lines = [f"Server:\t\t{DNS_SERVICE}", f"Address:\t{DNS_SERVICE}#53", ""]
        found = self._resolve(host)
        if found:
            lines += [line for address in found for line in (f"Name:\t{host}", f"Address: {address}")]
        elif self._names.known(_plain(host)):
            lines.append(f"*** Can't find {host}: No answer")
        else:
            lines.append(f"** server can't find {host}: NXDOMAIN")
        return Ended("".join(f"{line}\n" for line in [*lines, ""]), code=0 if found else 1)

    def _resolve(self, host: str) -> Sequence[str]:
        return self._names.resolve(_plain(host))


def _plain(host: str) -> str:
    return host.lower().removesuffix(".")
