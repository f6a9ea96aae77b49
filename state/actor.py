"""Who acts: the login name of the process' uid and the host's name."""

from __future__ import annotations

import os

from state.events import Actor


def current_actor(via: str) -> Actor:
    """The actor of this process; `via` is one of screen, run, check.

    The name comes from the uid and not from the environment, where anybody may write USER. It stays a claim.
    """
    import pwd  # not on Windows, where the program says no in words of its own

    uid = os.getuid()
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:  # a container with a uid that has no account
        user = str(uid)
    return Actor(user=user, host=os.uname().nodename, via=via)
