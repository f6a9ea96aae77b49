"""Azure as a fixture."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.sandbox.arm.served import SECRET, Azure, served


@pytest.fixture
def serve(tmp_path, monkeypatch) -> Iterator[Callable[..., Azure]]:
    """Starts an Azure with faults; the environment is then that of an App Service."""
    with contextlib.ExitStack() as stack:

        def start(*faults: str, **more: Any) -> Azure:
            azure = stack.enter_context(served(tmp_path, *faults, **more))
            monkeypatch.setenv("IDENTITY_ENDPOINT", azure.identity_endpoint)
            monkeypatch.setenv("IDENTITY_HEADER", SECRET)
            return azure

        yield start


@pytest.fixture
def azure(serve: Callable[..., Azure]) -> Azure:
    """An Azure where nothing goes wrong."""
    return serve()
