"""Loopback ports that a restart finds again."""

from __future__ import annotations

import errno
import os
import random
import re
import socket

from state.problem import Problem

# Below the ranges from which Linux (32768-60999) and macOS (49152-65535) give ports to outgoing connections:
# otherwise any browser could hold a killed sandbox's port when it comes back.
_RANGE = (20000, 32000)
_TRIES = 200

ENVIRONMENT_VARIABLE = "PRIVATELINK_SANDBOX_PORTS"
"""Names another range, as `FIRST-LAST`. A sandbox that is down holds no port, and a new one may draw it: sandboxes that
come and go beside each other, as those of tests do, each need a range of their own."""


def take(server: str, port: int | None) -> socket.socket:
    """A bound socket on `port`, or on a free one for None; not listening yet.

    Raises Problem when it is taken, when none is free, and when the environment names no range.
    """
    if port is not None:
        taken = _bind(port, again=True)
        if taken is None:
            raise Problem(
                "sandbox-port",
                f"Port {port} of the sandbox's {server} is used by another program now.",
                means="Setups and kubeconfig point at this port, so the sandbox does not move to another by itself.",
                todo="End that program, or start afresh with --reset.",
            )
        return taken
    chooser = random.SystemRandom()
    first, behind = _range()
    for _ in range(_TRIES):
        if free := _bind(chooser.randrange(first, behind), again=False):
            return free
    raise Problem(
        "sandbox-port",
        f"No free port between {first} and {behind - 1} was found for the sandbox's {server}.",
        todo="End programs that listen there.",
    )


def _range() -> tuple[int, int]:
    """The first port to draw from, and the one behind the last."""
    given = os.environ.get(ENVIRONMENT_VARIABLE)
    if not given:
        return _RANGE
    found = re.fullmatch(r"([0-9]{1,5})-([0-9]{1,5})", given)
    first, last = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1024 <= first <= last <= 65535:
        raise Problem(
            "sandbox-ports",
            f"{ENVIRONMENT_VARIABLE} is no range of ports.",
            todo="Write it as FIRST-LAST, between 1024 and 65535, such as 20000-20999; or leave it away.",
        )
    return first, last + 1


def _bind(port: int, *, again: bool) -> socket.socket | None:
    """A socket on a port; None when it is another's.

    `again`: the port was ours. Connections of the sandbox that was killed may linger in TIME_WAIT; they are no other
    program. A new port is bound without that leave: with it, Linux gives a port that is bound and not listened at
    to two sandboxes which start at once, and the second one to listen fails.
    """
    taken = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if again:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
    except OSError as error:
        taken.close()
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            return None
        raise
    # What is accepted here has the leave, too: else the next start could not bind over its TIME_WAIT.
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return taken
