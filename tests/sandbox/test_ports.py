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


def test_a_port_of_another_program_is_not_ours():
    with ports.take("other", None) as other:
        other.listen()
        with pytest.raises(Problem, match="used by another program"):
            ports.take("ours", other.getsockname()[1])
