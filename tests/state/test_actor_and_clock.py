from __future__ import annotations

import os
import pwd
from datetime import UTC, datetime, timedelta

import pytest

from state.actor import current_actor
from state.clock import now
from state.events import Actor
from state.journal import TIMESTAMP


def test_now_is_this_moment_in_utc() -> None:
    before = datetime.now(UTC)
    text = now()
    assert TIMESTAMP.fullmatch(text)
    assert before <= datetime.fromisoformat(text) <= before + timedelta(minutes=1)


def test_actor_is_known_by_uid_not_by_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("USER", "LOGNAME", "USERNAME", "HOSTNAME"):
        monkeypatch.setenv(name, "mallory")
    user = pwd.getpwuid(os.getuid()).pw_name
    assert current_actor("check") == Actor(user=user, host=os.uname().nodename, via="check")


def test_uid_without_an_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 3_999_999_999)
    assert current_actor("run").user == "3999999999"
