"""The report: made of a journal and nothing else, the same every time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from state import journal
from state.journal import Journal
from state.problem import Problem
from tests.setups import make_setup
from tests.wizard.engine import GUIDE
from wizard.review import as_text, compare, report


@pytest.fixture
def found(tmp_path: Path) -> Journal:
    """A setup of 40 events."""
    return journal.read(make_setup(tmp_path, "prod", 40))


def plain(document: object) -> object:
    return json.loads(json.dumps(document))


def test_a_report_is_the_same_whenever_it_is_made(found: Journal):
    one, other = report(found, GUIDE), report(found, GUIDE)
    assert one == other
    assert one["as_of"] == found.last_ts
    assert one["head"] == found.head
    assert one["chain"] == {"intact": True, "problems": [], "torn_bytes": 0}
    assert len(one["timeline"]) == one["events"] == 40
    assert compare(plain(one), plain(other)) == ()  # type: ignore[arg-type]


def test_every_step_and_item_is_in_it(found: Journal):
    document = report(found, GUIDE)
    assert [step["number"] for step in document["steps"]] == list(range(1, 9))
    (dns,) = document["steps"][4]["items"]
    assert dns["items"] == ["dpe/dpe-01", "endpoint/pe-weu"]
    (looked,) = dns["findings"]
    assert looked["evidence"][0]["source"] == "DNS"
    assert looked["current"] is False, "it was made for other values"
    assert document["sandbox"] is True


def test_as_of_an_earlier_time_is_the_report_of_that_time(found: Journal, tmp_path: Path):
    cut = found.events[19]
    early = report(found, GUIDE, as_of=cut.ts)
    lines = found.path.read_bytes().splitlines(keepends=True)[:21]
    path = tmp_path / "early.jsonl"
    path.write_bytes(b"".join(lines))
    copy = journal.read(path)
    assert early == report(copy, GUIDE)
    assert early["head"] == copy.head == found.events[20].prev


def test_a_report_is_made_again_as_of_its_own_head(found: Journal):
    early = report(found, GUIDE, as_of=found.events[9].ts)
    assert report(found, GUIDE, head=early["head"]) == early
    assert report(found, GUIDE, head=found.head) == report(found, GUIDE)


def test_before_the_beginning_there_is_nothing(found: Journal):
    with pytest.raises(Problem) as caught:
        report(found, GUIDE, as_of="2020-01-01T00:00:00.000000Z")
    assert caught.value.code == "too-early"
    header_only = report(found, GUIDE, as_of=found.header.ts)
    assert header_only["events"] == 0
    assert header_only["head"] == found.events[0].prev


def test_a_head_of_another_journal_is_not_found(found: Journal):
    with pytest.raises(Problem) as caught:
        report(found, GUIDE, head="0" * 64)
    assert caught.value.code == "head-not-found"


def test_every_difference_of_a_kept_report_is_named(found: Journal):
    rebuilt = plain(report(found, GUIDE))
    kept = plain(rebuilt)
    assert isinstance(kept, dict) and isinstance(rebuilt, dict)
    kept["steps"][4]["items"][0]["status"] = "observed"
    del kept["mode"]
    kept["extra"] = 1
    kept["timeline"].pop()
    assert compare(kept, rebuilt) == (
        "extra: not in the journal",
        "mode: missing in the report",
        f"steps[4].items[0].status: observed in the report, {rebuilt['steps'][4]['items'][0]['status']} in the journal",
        "timeline: 39 in the report, 40 in the journal",
    )


def test_damage_is_shown_and_the_rest_is_read(found: Journal, tmp_path: Path):
    content = found.path.read_bytes().replace(b'"10.20.1.4"', b'"10.66.6.6"', 1)
    path = tmp_path / "changed.jsonl"
    path.write_bytes(content)
    document = report(journal.read(path), GUIDE)
    assert document["chain"]["intact"] is False
    assert document["chain"]["problems"][0]["code"] == "chain-broken"
    assert document["events"] == 40
    text = as_text(document)
    assert "chain intact" not in text
    assert "was changed after it was written" in text


def test_the_text_says_what_the_json_says(found: Journal):
    document = report(found, GUIDE)
    text = as_text(document)
    for step in document["steps"]:
        assert f"{step['number']} {step['title']}" in text
        assert step["status"] in text
    assert document["head"] in text
    assert "claimed, not proven" in text
