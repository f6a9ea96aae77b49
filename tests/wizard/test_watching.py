"""How a change that goes on in Azure is watched where Azure asks to slow down."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import pytest

from state.events import DONE
from state.problem import Problem
from tests.wizard.azure_world import FAST
from wizard.actions.azure_facts import NOT_THERE, TRIES, LostSight, Seen, watch
from wizard.azure import THROTTLED, Operation
from wizard.guide import Moment

THERE = Seen("it is there", DONE)


def slow_down(wait: float | None) -> Problem:
    return Problem(THROTTLED, "Azure asks to slow down.", todo="Wait, then look again.", wait=wait)


def looking(*answers: Seen | Problem) -> Callable[[], Awaitable[Seen]]:
    """A look that says one after the other; the last one for ever."""
    left = list(answers)

    async def look() -> Seen:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Problem):
            raise answer
        return answer

    return look


def told(moments: Sequence[Moment]) -> list[str]:
    return [one.text for one in moments]


async def test_azure_is_given_the_time_it_asks_for_and_sight_is_not_lost():
    moments: list[Moment] = []
    begun = time.monotonic()
    look = looking(*[slow_down(0.05)] * (TRIES + 2), THERE)
    assert await watch(look, "zone z", pace=FAST, progress=moments.append) == THERE
    assert time.monotonic() - begun >= 0.05 * (TRIES + 2)
    assert told(moments) == ["zone z: Azure asks to slow down: waiting 1 s, then looking again"] * (TRIES + 2)


async def test_without_a_time_it_is_asked_at_its_own_pace():
    look = looking(*[slow_down(None)] * (TRIES + 2), THERE)
    assert await watch(look, "zone z", pace=FAST, progress=lambda _: None) == THERE


async def test_other_failures_count_before_and_after_it():
    failure = Problem("azure-unreachable", "No answer.")
    look = looking(*[failure] * (TRIES - 1), slow_down(0.01), failure, THERE)
    with pytest.raises(LostSight, match="No answer"):
        await watch(look, "zone z", pace=FAST, progress=lambda _: None)


async def test_a_time_that_is_too_long_ends_with_what_a_change_is_waited_for():
    begun = time.monotonic()
    with pytest.raises(LostSight, match=r"still not at rest \(Azure asks to slow down"):
        await watch(looking(slow_down(3600)), "zone z", pace=replace(FAST, settle=0.2), progress=lambda _: None)
    assert time.monotonic() - begun < 10


async def test_what_nobody_could_look_for_meanwhile_is_not_taken_for_gone():
    """The operation ended while Azure gave no answers, and the zone shows itself a moment later."""
    status = iter(("InProgress", "InProgress", "Succeeded", "Succeeded"))

    async def operation() -> Operation:
        return Operation(next(status))

    look = looking(NOT_THERE, slow_down(1.2), NOT_THERE, THERE)
    pace = replace(FAST, appear=1.0, unseen=1.0)
    seen = await watch(look, "zone z", pace=pace, progress=lambda _: None, operation=operation)
    assert seen == THERE
