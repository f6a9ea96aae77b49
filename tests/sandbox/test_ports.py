"""Ports: one sandbox each, and found again."""

from __future__ import annotations

import random
import socket

import pytest

from state.problem import Problem
from wizard.sandbox import ports


def test_two_that_start_at_once_get_ports_of_their_own(monkeypatch: pytest.MonkeyPatch):
    """Neither listens yet; the same port comes up for both."""
    drawn = iter([23456, 23456, 23457])
    monkeypatch.setattr(random.SystemRandom, "randrange", lambda *_: next(drawn))
    with ports.take("one", None) as one, ports.take("two", None) as two:
        assert one.getsockname() != two.getsockname()
        one.listen()
        two.listen()


def test_a_port_is_found_again_while_old_connections_linger():
    with ports.take("first", None) as first:
        first.listen()
        port = first.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = first.accept()
        accepted.close()  # the first to close is the one that lingers
        assert client.recv(1) == b""
        client.close()
    with ports.take("again", port) as again:
        again.listen()


def test_a_range_can_be_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(ports.ENVIRONMENT_VARIABLE, "23461-23463")
    with ports.take("one", None) as one, ports.take("two", None) as two:
        assert {one.getsockname()[1], two.getsockname()[1]} < {23461, 23462, 23463}


@pytest.mark.parametrize("given", ["20000", "20000-", "30000-20000", "80-90", "60000-70000", "٢٠٠٠٠-٢٠٠٠١", "x"])
def test_what_is_no_range_is_told(monkeypatch: pytest.MonkeyPatch, given: str):
    monkeypatch.setenv(ports.ENVIRONMENT_VARIABLE, given)
    with pytest.raises(Problem, match="is no range of ports"):
        ports.take("one", None)


def test_a_port_of_another_program_is_not_ours():
    with ports.take("other", None) as other:
        other.listen()
        with pytest.raises(Problem, match="used by another program"):
            ports.take("ours", other.getsockname()[1])
