"""The report: made of a journal and nothing else, the same every time."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from state import journal
from state.events import (
    BAD,
    COULD_NOT_LOOK,
    GOOD,
    Data,
    EnvironmentSet,
    FieldSet,
    GuideRef,
    IdentityPinned,
    ItemAdded,
    ItemRemoved,
    ModeSet,
    TornLineCut,
)
from state.journal import Journal
from state.problem import Problem
from tests.setups import GUIDE as GUIDE_REF
from tests.setups import make_setup
from tests.state.make_journal import lines_of, ts_of
from tests.wizard.engine import DNS, ENDPOINT, GUIDE, MARK
from tests.wizard.proofs import OPENING, confirmed, journal_of, much_wrong, places_before_mark, proof, seen, waived
from wizard.report_text import as_text
from wizard.review import compare, cut, differences, report, unexpected_head
from wizard.text import one_line

NOW = "2026-11-28T12:00:00.000000Z"


@pytest.fixture
def found(tmp_path: Path) -> Journal:
    """A setup of 40 events."""
    return journal.read(make_setup(tmp_path, "prod", 40))


def plain(document: object) -> Any:
    return json.loads(json.dumps(document))


def parsed(*lines: bytes, tail: bytes = b"") -> Journal:
    return journal.parse(Path("x.jsonl"), b"\n".join(lines) + b"\n" + tail)


def place(document: dict[str, Any], where: str) -> dict[str, Any]:
    one: dict[str, Any]
    (one,) = [item for step in document["steps"] for item in step["items"] if item["where"] == where]
    return one


# ---------------------------------------------------------------- what it says


def test_a_report_is_the_same_whenever_it_is_made(found: Journal):
    one, other = report(found, GUIDE), report(found, GUIDE)
    assert one == other
    assert one["as_of"] == one["last_event"] == found.last_ts
    assert one["head"] == found.head
    assert one["chain"] == {"intact": True, "broken_at": None, "problems": []}
    assert len(one["timeline"]) == one["events"] == 40
    assert {**report(found, GUIDE, now=NOW), "now": None} == one


def test_every_step_and_item_is_in_it(found: Journal):
    document = report(found, GUIDE)
    assert [step["number"] for step in document["steps"]] == list(range(1, 9))
    dns = place(document, "step 5 dpe-01 pe-weu")
    assert dns["items"] == ["dpe/dpe-01", "endpoint/pe-weu"]
    (looked,) = dns["findings"]
    assert looked["evidence"][0]["source"] == "DNS"
    assert (looked["counts"], looked["stale"]) == (False, "an input changed since")
    assert dns["never_observed"] is True
    assert dns["not_looked"] == ["Inside the cluster", "Azure's DNS records"]
    assert document["sandbox"] is True


def test_who_connects_to_what_is_told_by_references_and_links():
    document = report(journal_of(*much_wrong()), GUIDE)
    assert [one["path"] for one in document["connections"]] == [
        ["subscription/main", "endpoint/pe-weu", "dpe/dpe-01"],
        ["subscription/main", "endpoint/pe-neu", "dpe/dpe-01"],
    ]
    (state,) = document["connections"][0]["states"]
    assert state["where"] == "step 5 dpe-01 pe-weu"


def test_what_is_wrong_stands_on_top():
    document = report(journal_of(*much_wrong()), GUIDE)
    assert document["verdict"]["word"] == "failed"
    first = document["alarms"][0]
    assert (first["kind"], first["where"]) == ("failed", "step 5 dpe-01 pe-weu")
    assert "from here data would cross the public internet" in first["text"]
    kinds = [alarm["kind"] for alarm in document["alarms"]]
    assert {"stale", "never observed", "sandbox"} <= set(kinds)


def test_who_said_what_and_whether_it_still_counts():
    document = report(journal_of(*much_wrong()), GUIDE)
    (word,) = place(document, "step 8 dpe-01")["attestations"]
    assert word["words"] == "In the portal, dpe-01 is marked as updated."
    assert (word["counts"], word["by"], word["answers_sha256"]) == (False, "ada@build-01", None), "the release changed"
    (kept,) = place(document, "step 3 pe-weu")["attestations"]
    assert (kept["counts"], kept["answers_sha256"]) == (True, "ab" * 32)
    (waiver,) = place(document, "step 8 dpe-01")["waivers"]
    assert (waiver["reason"], waiver["counts"], waiver["in_use"]) == ("the cluster is sealed", False, False)
    (change,) = place(document, "step 7 dpe-01")["changes"]
    assert change["commands"] == ["helm registry login", "helm upgrade --install"]
    assert change["finished"]["outcome"] == "failed"


def test_a_waiver_that_is_used_is_marked_with_its_author():
    document = report(journal_of(*OPENING, waived(MARK), confirmed(MARK)), GUIDE)
    (alarm,) = [one for one in document["alarms"] if one["kind"] == "without observed proof"]
    assert alarm["text"] == "ada@build-01 goes on: the cluster is sealed"
    assert document["counts"]["unproven"] == 1


def test_a_secret_is_not_told_even_if_somebody_wrote_it_in():
    document = report(journal_of(*OPENING, FieldSet(item="dpe/dpe-01", field="token", value="hunter2")), GUIDE)
    (dpe,) = [item for item in document["items"] if item["item"] == "dpe/dpe-01"]
    assert "token" not in [value["field"] for value in dpe["values"]]
    assert document["timeline"][-1]["text"] == "dpe/dpe-01 token = (a secret, not shown), typed"
    assert "hunter2" not in json.dumps(document)


def test_proven_is_said_only_when_nothing_was_left_out():
    words = {report(journal_of(*data), GUIDE)["verdict"]["word"] for data in ((), OPENING)}
    assert words == {"not done"}


def test_a_journal_of_a_guide_that_nobody_knows_is_told_as_far_as_it_goes():
    lines = lines_of(list(much_wrong()), "demo", GuideRef(id="aws", version=7))
    document = report(parsed(*lines), None, now=NOW)
    assert (document["guide"], document["counts"]) == ({"id": "aws", "version": 7, "title": None}, None)
    assert document["verdict"]["word"] == "not judged"
    looked = place(document, "dns dpe-01 pe-weu")["findings"][0]
    assert (looked["text"], looked["counts"]) == ("from here data would cross the public internet", None)
    assert place(document, "mark-updated dpe-01")["attestations"][0]["counts"] is None
    assert document["links"][0] == {"source": "dpe/dpe-01", "target": "endpoint/pe-weu"}
    assert "from here data would cross the public internet" in as_text(document)


def newer(*data: Data) -> Journal:
    """A journal that a newer version went on with: its last event is one that this version does not know."""
    lines = lines_of([*data, ModeSet(mode="hybrid")], "demo", GUIDE_REF)
    lines[-1] = lines[-1].replace(b'"mode_set"', b'"proof_revoked"')
    return parsed(*lines)


def test_nothing_is_judged_of_which_not_all_is_understood():
    """What a newer version wrote may take back what stands before it."""
    assert report(journal_of(*OPENING), GUIDE)["verdict"]["word"] == "not done"
    found = report(newer(*OPENING), GUIDE)["verdict"]
    assert (found["word"], f"From line {len(OPENING) + 2} on" in found["text"]) == ("not judged", True)
    assert report(newer(*much_wrong()), GUIDE)["verdict"]["word"] == "failed", "what is known to be wrong is"


def test_who_could_not_look_has_no_grade():
    document = report(journal_of(*OPENING, proof(DNS, "cluster-lookup", COULD_NOT_LOOK)), GUIDE)
    (looked,) = place(document, "step 5 dpe-01 pe-weu")["findings"]
    assert looked["grade"] is None
    assert "observed, we looked" not in as_text(document)
    document = report(journal_of(*OPENING, proof(DNS, "records", GOOD, seen())), GUIDE)
    assert place(document, "step 5 dpe-01 pe-weu")["findings"][0]["grade"] == "observed"


def test_an_item_that_was_removed_and_added_again_was_never_observed():
    observed = (*OPENING, proof(ENDPOINT, "endpoint", GOOD, seen()))
    again = (*observed, ItemRemoved(item="endpoint/pe-weu"), ItemAdded(item="endpoint/pe-weu"))
    assert place(report(journal_of(*observed), GUIDE), "step 3 pe-weu")["never_observed"] is False
    assert place(report(journal_of(*again), GUIDE), "step 3 pe-weu")["never_observed"] is True


def test_what_was_done_for_an_item_that_was_removed_is_told():
    """The endpoint in Azure may still be there."""
    document = report(journal_of(*much_wrong(), ItemRemoved(item="dpe/dpe-01")), GUIDE)
    assert not [item for step in document["steps"] for item in step["items"] if item["changes"]]
    (left,) = document["other_changes"]
    assert (left["where"], left["change"]["undo"]) == ("step 7 dpe-01", "helm uninstall dpe-01")
    text = as_text(document)
    assert text.index("Done for what is not part of the setup any more") < text.index("helm upgrade --install")
    assert report(journal_of(*much_wrong()), GUIDE)["other_changes"] == []


# ---------------------------------------------------------------- as of


def test_as_of_an_earlier_time_is_the_report_of_that_time(found: Journal, tmp_path: Path):
    last = found.events[19]
    early = report(found, GUIDE, as_of=last.ts)
    lines = found.path.read_bytes().splitlines(keepends=True)[:21]
    path = tmp_path / "early.jsonl"
    path.write_bytes(b"".join(lines))
    kept = journal.read(path)
    assert early == report(kept, GUIDE, as_of=last.ts)
    assert {**early, "as_of_is": "last event"} == report(kept, GUIDE)
    assert early["head"] == kept.head == found.events[20].prev


def test_a_report_is_made_again_as_of_its_own_head(found: Journal):
    early = report(found, GUIDE, as_of=found.events[9].ts)
    assert {**report(found, GUIDE, head=early["head"]), "as_of_is": "given"} == early
    assert report(found, GUIDE, head=found.head) == report(found, GUIDE)


def test_before_the_beginning_there_is_nothing(found: Journal):
    with pytest.raises(Problem) as caught:
        report(found, GUIDE, as_of="2020-01-01T00:00:00.000000Z")
    assert caught.value.code == "too-early"
    header_only = report(found, GUIDE, as_of=found.header.ts)
    assert header_only["events"] == 0
    assert header_only["head"] == found.events[0].prev


def test_a_clock_that_went_back_cuts_no_hole(found: Journal):
    """What follows the first later event was not yet there, whatever time it claims."""
    lines = lines_of(list(OPENING), "demo", GUIDE_REF)
    lines[12] = lines[12].replace(ts_of(12).encode(), ts_of(3).encode())
    for number in range(13, len(lines)):
        event = journal.decode_line(lines[number])
        lines[number] = lines[number].replace(event.prev.encode(), journal.line_hash(lines[number - 1]).encode())
    told = parsed(*lines)
    assert told.problems == ()
    assert [event.seq for event in cut(told, as_of=ts_of(5)).events] == [1, 2, 3, 4, 5]


def test_a_head_of_another_journal_is_not_found(found: Journal):
    with pytest.raises(Problem) as caught:
        report(found, GUIDE, head="0" * 64)
    assert caught.value.code == "head-not-found"


def test_as_of_now_only_what_is_different_is_named():
    lines = lines_of([*OPENING, confirmed(ENDPOINT)], "demo", GUIDE_REF)
    same = report(parsed(*lines), GUIDE, now=NOW)["now"]
    assert (same["differences"], same["torn_bytes"], same["at"]) == ([], 0, NOW)
    more = [*OPENING, confirmed(ENDPOINT), FieldSet(item="endpoint/pe-weu", field="private_ip", value="10.20.1.7")]
    longer = parsed(*lines_of(more, "demo", GUIDE_REF), tail=b'{"torn')
    document = report(longer, GUIDE, as_of=ts_of(21), now=NOW)
    told = document["now"]
    assert (document["events"], told["events"], told["torn_bytes"]) == (21, 22, 6)
    changed = {(one["where"], one["what"]): (one["was"], one["is"]) for one in told["differences"]}
    was, is_ = changed["step 3 pe-weu", "status"]
    assert (was, is_.partition(":")[0]) == ("attested", "stale")
    assert changed["step 3 pe-weu", "confirmation"][1].endswith("(does not count)")


def test_as_of_now_names_where_it_points_as_whom_and_on_which_word():
    lines = [*OPENING, *(confirmed(place) for place in places_before_mark())]
    early = ts_of(len(lines))
    lines += [EnvironmentSet(kube_context="another"), IdentityPinned(kind="azure", facts={"tenant_id": "t-2"})]
    lines += [ModeSet(mode="hybrid"), waived(MARK), confirmed(MARK)]
    told = report(journal_of(*lines), GUIDE, as_of=early, now=ts_of(len(lines)))["now"]["differences"]
    changed = {(one["where"], one["what"]): (one["was"], one["is"]) for one in told}
    was, is_ = changed["setup", "environment"]
    assert ("sandbox True" in was, "kube_context another" in is_) == (True, True)
    assert changed["setup", "identity, azure"] == (None, "azure pinned: tenant_id t-2")
    assert changed["setup", "mode"] == ("self-service", "hybrid")
    assert changed["step 8 dpe-01", "without observed proof"] == (
        None,
        "the cluster is sealed, the step is done on it",
    )


# ---------------------------------------------------------------- the chain of the cut


def test_damage_is_shown_and_the_rest_is_read(found: Journal, tmp_path: Path):
    content = found.path.read_bytes().replace(b'"10.20.1.4"', b'"10.66.6.6"', 1)
    path = tmp_path / "changed.jsonl"
    path.write_bytes(content)
    document = report(journal.read(path), GUIDE)
    (problem,) = document["chain"]["problems"]
    assert (document["chain"]["intact"], problem["code"]) == (False, "chain-broken")
    assert document["chain"]["broken_at"] == problem["line"]
    assert document["verdict"]["word"] == "not trusted"
    assert document["events"] == 40
    trusted = [moment["seq"] for moment in document["timeline"] if moment["trusted"]]
    assert trusted == list(range(1, problem["line"] - 1))
    text = as_text(document)
    assert f"broken at line {problem['line']}" in text
    assert "was changed after it was written" in text


def test_damage_after_the_cut_is_none_of_the_cut(found: Journal, tmp_path: Path):
    lines = found.path.read_bytes().splitlines()
    before = report(found, GUIDE, as_of=ts_of(20))
    lines[30] = lines[30].replace(b"ada", b"eve")
    damaged = parsed(*lines, tail=b'{"half')
    assert damaged.problems
    assert report(damaged, GUIDE, as_of=ts_of(20)) == before
    told = report(damaged, GUIDE, as_of=ts_of(20), now=NOW)["now"]
    assert (told["chain"]["broken_at"], told["torn_bytes"]) == (31, 6)


def test_a_cut_right_before_a_line_that_does_not_fit_is_doubted(found: Journal):
    """One of the two was changed, and nobody knows which; but who noted the head of the first one does."""
    lines = found.path.read_bytes().splitlines()
    kept = plain(report(found, GUIDE, as_of=ts_of(20)))
    lines[20] = lines[20].replace(b"ada", b"eve")  # the event of ts_of(20)
    forged = parsed(*lines)
    document = report(forged, GUIDE, as_of=ts_of(20))
    assert (document["chain"]["broken_at"], document["verdict"]["word"]) == (21, "not trusted")
    assert document["timeline"][-1]["trusted"] is False
    assert differences(forged, GUIDE, plain(document), now=NOW) == (), "a report that says so is right"
    assert differences(forged, GUIDE, kept, now=NOW), "and the one from before is of another line"

    after = found.path.read_bytes().splitlines()
    after[21] = after[21].replace(b"ada", b"eve")
    assert report(parsed(*after), GUIDE, as_of=ts_of(20))["chain"]["intact"] is True
    after = found.path.read_bytes().splitlines()
    after[21] = after[21].replace(b'"prev":"', b'"prev":"0')
    assert report(parsed(*after), GUIDE, as_of=ts_of(20))["chain"]["intact"] is False
    assert differences(parsed(*after), GUIDE, kept, now=NOW) == (), "its head vouches for its last line"


def test_an_expected_head_is_that_of_the_time_and_an_earlier_one_is_known(found: Journal):
    early = report(found, GUIDE, as_of=ts_of(20))["head"]
    assert unexpected_head(found, found.head) is None
    assert unexpected_head(found, early, ts_of(20)) is None
    told = unexpected_head(found, early)
    assert told is not None
    assert "line 21, which is as it was; 20 lines follow it" in told.means
    other = unexpected_head(found, "0" * 64)
    assert other is not None and "added, changed or cut" in other.means


def test_lines_that_can_not_be_read_do_not_shift_the_cut(found: Journal):
    lines = found.path.read_bytes().splitlines()
    lines[10] = b"{}"
    damaged = parsed(*lines)
    taken = cut(damaged, head=journal.line_hash(lines[25]))
    assert (taken.head, taken.events[-1].seq, taken.broken_at) == (journal.line_hash(lines[25]), 25, 11)
    assert cut(damaged, as_of=ts_of(25)) == taken


# ---------------------------------------------------------------- comparing


def test_what_the_journal_went_on_with_is_no_difference(found: Journal):
    lines = found.path.read_bytes().splitlines()
    for kept in (report(parsed(*lines[:31]), GUIDE, now=NOW), report(found, GUIDE, as_of=ts_of(30), now=NOW)):
        for later in (parsed(*lines), parsed(*lines, tail=b'{"torn'), parsed(*lines[:31], tail=b'{"torn')):
            assert differences(later, GUIDE, plain(kept), now=NOW) == ()
    cut_off = TornLineCut(bytes=6, sha256="0" * 64, kept_in="x")
    after = parsed(*lines_of([*much_wrong(), cut_off], "demo", GUIDE_REF))
    assert differences(after, GUIDE, plain(report(journal_of(*much_wrong()), GUIDE)), now=NOW) == ()


def test_a_report_of_a_journal_that_was_changed_since_differs(found: Journal):
    kept = plain(report(found, GUIDE, as_of=ts_of(20)))
    lines = found.path.read_bytes().splitlines()
    for number in (10, 20):  # in the middle, and the very line the report ends with
        changed = list(lines)
        changed[number] = changed[number].replace(b'"ada"', b'"eve"')
        told = differences(parsed(*changed), GUIDE, kept, now=NOW)
        assert f"timeline[seq {number}].by: ada@build-01 in the report, eve@build-01 in the journal" in told
        assert any(one.startswith("chain.intact: ") for one in told)
        assert any(one.startswith("head: ") for one in told) == (number == 20)
    with pytest.raises(Problem) as caught:
        differences(parsed(*lines[:15]), GUIDE, kept, now=NOW)
    assert caught.value.code == "head-not-found"


def test_every_difference_of_a_kept_report_is_named(found: Journal):
    rebuilt = plain(report(found, GUIDE))
    kept = copy.deepcopy(rebuilt)
    kept["steps"][4]["items"][0]["status"] = "observed"
    del kept["mode"]
    kept["extra"] = 1
    del kept["timeline"][7]
    kept["timeline"][1]["trusted"] = 1
    assert sorted(compare(kept, rebuilt)) == [
        "extra: not in the journal; the report says 1",
        "mode: missing in the report; the journal says self-service",
        "steps[id dns].items[where step 5 dpe-01 pe-weu].status: observed in the report, "
        f"{rebuilt['steps'][4]['items'][0]['status']} in the journal",
        "timeline[seq 2].trusted: 1 in the report, true in the journal",
        f"timeline[seq 8]: missing in the report; the journal says {one_line(json.dumps(rebuilt['timeline'][7]))}",
    ]
    kept = copy.deepcopy(rebuilt)
    kept["timeline"][3], kept["timeline"][4] = kept["timeline"][4], kept["timeline"][3]
    assert compare(kept, rebuilt) == ("timeline: in another order",)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict | list) and value:
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, one in pairs:
            yield from leaves(one, (*path, key))
    else:
        yield path


def test_whatever_is_changed_in_a_report_is_named():
    rebuilt = plain(report(journal_of(*much_wrong()), GUIDE))
    changed = copy.deepcopy(rebuilt)
    paths = list(leaves(rebuilt))
    assert len(paths) > 500
    for top, *path in paths[::7]:
        parent, last = ({top: changed[top]}, top) if not path else (changed[top], path[-1])
        for key in path[:-1]:
            parent = parent[key]
        kept, parent[last] = parent[last], "something else"
        assert compare(parent if not path else changed[top], {top: kept} if not path else rebuilt[top]), (top, path)
        parent[last] = kept
    assert changed == rebuilt


def test_a_changed_time_or_head_is_named(found: Journal):
    kept = plain(report(found, GUIDE, as_of=ts_of(20)))
    # Another form of a time, or one that has not been, compares as no text of a journal does.
    forms = ("2026-W02-1T00:00:00Z", "2026-12-01", f"{ts_of(20)[:-1]}+23:59", "9999-12-31T00:00:00.000000Z")
    for as_of in (ts_of(10), ts_of(25), "soon", None, *forms):
        assert any(one.startswith("as_of: ") for one in differences(found, GUIDE, {**kept, "as_of": as_of}, now=NOW))
    last = plain(report(found, GUIDE))
    assert any(one.startswith("as_of: ") for one in differences(found, GUIDE, {**last, "as_of": NOW}, now=NOW))
    assert differences(found, GUIDE, {**kept, "head": last["head"]}, now=NOW)


# ---------------------------------------------------------------- what the screen counts


def test_the_screen_counts_what_the_report_counts():
    from wizard.statements import NEVER_OBSERVED, reviewed

    for data in (OPENING, much_wrong(), (*OPENING, proof(DNS, "records", "good", seen()))):
        told, counted = report(journal_of(*data), GUIDE)["counts"], reviewed(journal_of(*data), GUIDE).counts
        for word in ("observed", "attested", "reported", "failed", "stale"):
            assert counted[word] == told[word]
        assert counted[NEVER_OBSERVED] == told["never_observed"]


def test_what_others_are_answered_is_no_alarm_where_the_cluster_is_answered_rightly():
    def failed(*more: Data) -> list[str]:
        document = report(journal_of(*OPENING, proof(DNS, "resolver-here", BAD), *more), GUIDE)
        return [alarm["where"] for alarm in document["alarms"] if alarm["kind"] == "failed"]

    assert failed() == ["step 5 dpe-01 pe-weu"]
    assert failed(proof(DNS, "cluster-lookup", GOOD)) == []
    assert failed(proof(DNS, "cluster-lookup", GOOD), proof(DNS, "cluster-lookup", COULD_NOT_LOOK)) == []
    assert failed(proof(DNS, "cluster-lookup", COULD_NOT_LOOK)) == ["step 5 dpe-01 pe-weu"]
