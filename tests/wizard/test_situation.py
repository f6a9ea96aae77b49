"""What the answers for all hosts mean together: the worst that was answered, and who was not answered for."""

from __future__ import annotations

import pytest

from wizard.actions.situation import ELSEWHERE, MISSING, MIXED, PRIVATE, PUBLIC, UNANSWERED, situation
from wizard.ports import DnsAnswer

IN, OUT, OUT_6 = "10.20.1.4", "203.0.113.17", "2001:db8::1"


def answer(host: str, *addresses: str, error: str = "") -> DnsAnswer:
    return DnsAnswer(host, addresses, "10.0.0.53", error=error)


SILENT = answer("minio", error="timeout")
NOT_ANSWERED = "minio: timeout from 10.0.0.53"


@pytest.mark.parametrize(
    ("first", "word"),
    [
        (answer("dpm", OUT), PUBLIC),
        (answer("dpm", OUT_6), PUBLIC),  # without an A record, and its traffic goes out all the same
        (answer("dpm", IN, OUT), MIXED),
        (answer("dpm", error="nxdomain"), MISSING),
        (answer("dpm", error="no data"), MISSING),
        (answer("dpm", "10.99.0.1"), ELSEWHERE),
        (answer("dpm", "fd00::7"), ELSEWHERE),
    ],
)
def test_a_host_that_is_not_answered_hides_no_other(first: DnsAnswer, word: str):
    for answers in ([first, SILENT], [SILENT, first]):
        found = situation(answers, frozenset({IN}))
        assert (found.word, found.unanswered) == (word, NOT_ANSWERED)
        assert found.said == f"dpm is {', '.join(first.addresses) or 'nothing'}"
    alone = situation([first], frozenset({IN}))
    assert (alone.word, alone.unanswered) == (word, "")


@pytest.mark.parametrize("others", [[answer("dpm", IN)], []])
def test_what_is_good_as_far_as_it_was_answered_is_not_known(others: list[DnsAnswer]):
    found = situation([*others, SILENT], frozenset({IN}))
    assert (found.word, found.said) == (UNANSWERED, NOT_ANSWERED)
    assert situation([answer("dpm", IN), answer("minio", IN)], frozenset({IN})).word == PRIVATE
