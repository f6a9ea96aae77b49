"""The plain program with a fault of ours in it: a call that nobody expects to fail fails, and says the token.

    python breaker.py WHERE ARGUMENT…

WHERE is `login`, in the middle of the upgrade, or `append`, when its start is being written. With `azure` it is a look
at Azure, and says what opens the sandbox's identity.
"""

from __future__ import annotations

import sys
from typing import Any, NoReturn

from state.events import ChangeStarted
from state.writer import Writer
from wizard.adapters.azure import AzureLooker
from wizard.adapters.helm_acting import HelmActor
from wizard.cli import main
from wizard.secret import Secret

tokens: list[Secret] = []
hold = Secret.__init__
append = Writer.append


def remembering(secret: Secret, value: str) -> None:
    hold(secret, value)
    tokens.append(secret)


async def failing_login(self: HelmActor, registry: str, user: str, token: Secret) -> NoReturn:
    try:
        raise KeyError(token.reveal())
    except KeyError as error:
        raise RuntimeError(f"no login with {token.reveal()!r} as {token.spellings(user)}") from error


def failing_append(writer: Writer, data: Any, *rest: Any) -> Any:
    if isinstance(data, ChangeStarted):
        raise ExceptionGroup(f"{tokens[0].reveal()}", [ValueError(tokens[0].reveal()), OSError(5, tokens[0].reveal())])
    return append(writer, data, *rest)


async def failing_look(self: AzureLooker) -> NoReturn:
    raise RuntimeError(f"no identity with {self._target.identity_header} at {self._target!r}")


if __name__ == "__main__":
    Secret.__init__ = remembering  # type: ignore[method-assign,assignment]
    if sys.argv[1] == "azure":
        AzureLooker.identity = failing_look  # type: ignore[method-assign]
    elif sys.argv[1] == "login":
        HelmActor.login = failing_login  # type: ignore[method-assign]
    else:
        Writer.append = failing_append  # type: ignore[method-assign,assignment]
    sys.exit(main(sys.argv[2:]))
