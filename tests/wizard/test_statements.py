"""The review screen's model: every event a statement, the evidence made on demand, everything from outside cleaned."""

from __future__ import annotations

from pathlib import Path

import pytest

from state import journal
from state.actor import current_actor
from state.events import (
    ATTESTED,
    BAD,
    CANCELLED,
    COULD_NOT_LOOK,
    DONE,
    GOOD,
    NOT_YET,
    REPORTED,
    Attested,
    ChangeFinished,
    ChangeStarted,
    Data,
    EnvironmentSet,
    FieldSet,
    Found,
    GuideRef,
    ItemRemoved,
    ProbeConsented,
    ProcessStarted,
    RouteChosen,
)
from state.problem import Problem
from tests.setups import DPM, VALUES, make_setup
from tests.setups import GUIDE as GUIDE_REF
from tests.state.make_journal import lines_of, ts_of
from tests.wizard.engine import DNS, ENDPOINT, GUIDE, MARK, UPDATE, step_of
from tests.wizard.proofs import HOSTILE, OPENING, confirmed, journal_of, places_before_mark, proof, seen, waived
from wizard import timeline
from wizard.places import Places
from wizard.review import describe, report
from wizard.reviewing import open_for_review
from wizard.statements import NEVER_OBSERVED, Reviewed, Statement, reviewed
from wizard.timeline import BEFORE


def of(*data: Data) -> Reviewed:
    """The review of everything typed, and then `data`."""
    return reviewed(journal_of(*OPENING, *data), GUIDE)


def last(*data: Data) -> Statement:
    return of(*data).statements[-1]


def rows(statement: Statement, label: str) -> list[str]:
    return [value for one, value in statement.details if one == label]


# ---------------------------------------------------------------- what a statement is


def test_every_event_is_a_statement_in_its_order():
    found = of(proof(DNS, "resolver-here"))
    assert [one.seq for one in found.statements] == list(range(1, 22)) == [one.position + 1 for one in found.statements]
    assert {one.by for one in found.statements} == {"ada@build-01 via screen"}
    assert found.events == 21
    assert found.statements[-1].ts == ts_of(21) == found.as_of


@pytest.mark.parametrize(
    ("data", "state", "step"),
    [
        (proof(DNS, "resolver-here", GOOD, seen()), "observed", 5),
        (proof(DNS, "resolver-here", GOOD), "observed", 5),
        (proof(DNS, "resolver-here", GOOD, seen(), seen(REPORTED), seen(ATTESTED)), "reported", 5),
        (proof(DNS, "resolver-here", GOOD, seen(), seen("divine")), "reported", 5),
        (proof(DNS, "resolver-here", BAD, seen()), "failed", 5),
        (proof(DNS, "resolver-here", NOT_YET), "not yet", 5),
        (proof(DNS, "resolver-here", COULD_NOT_LOOK), "could not look", 5),
        (proof(DNS, "resolver-here", "divine"), "could not look", 5),
        (confirmed(ENDPOINT), "attested", 3),
        (waived(MARK), "unproven", 8),
        (FieldSet(item="dpe/dpe-01", field="dpm_host", value=DPM), "answer", 5),
        (FieldSet(field="no_such_field", value="x"), "answer", None),
        (RouteChosen(step="endpoint", items=ENDPOINT.items, route="hand off"), "answer", 3),
        (RouteChosen(step="no-such-step", route="hand off"), "answer", None),
        (ProbeConsented(probe="exec"), "answer", None),
        (EnvironmentSet(kubeconfig="/k"), "setup", None),
        (ItemRemoved(item="dpe/dpe-01"), "setup", None),
        (ChangeStarted(change="c1", step="update-dpe", items=UPDATE.items, summary="install"), "running", 7),
        (ChangeFinished(change="nobody-began-it", outcome=DONE, summary="ok"), "change", None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Data) else str(value),
)
def test_its_state_is_a_word_and_its_step_a_number(data: Data, state: str, step: int | None):
    found = last(data)
    assert (found.state, found.step) == (state, step)


def test_a_change_is_told_by_each_of_its_events():
    begun = ChangeStarted(
        change="c1",
        step="update-dpe",
        items=UPDATE.items,
        summary="install dpe-01",
        commands=("helm registry login", "helm upgrade --install"),
        digest="ab" * 32,
        undo="helm uninstall dpe-01",
        facts={"revision": "1"},
    )
    process = ProcessStarted(change="c1", pid=4711, start_time="9", boot_id="b")
    cancelled = ChangeFinished(change="c1", outcome=CANCELLED, summary="stopped by ^c", detail="context canceled")
    again = ChangeStarted(change="c2", step="update-dpe", items=UPDATE.items, summary="install dpe-01")
    ended = ChangeFinished(change="c2", outcome=DONE, summary="deployed")
    found = of(begun, process, cancelled, again, ended).statements[-5:]
    assert [one.state for one in found] == ["change", "change", "failed", "change", "change"]
    assert [one.step for one in found] == [7] * 5
    assert {one.items for one in found} == {UPDATE.items}
    for one in found[:3]:
        assert rows(one, "Command") == ["helm registry login", "helm upgrade --install"]
        assert rows(one, "Digest") == ["ab" * 32]
        assert rows(one, "Undo") == ["helm uninstall dpe-01"]
        assert rows(one, "Process")[0].startswith("pid 4711 on build-01, since Mon 05 Jan 2026")
        assert rows(one, "Outcome")[0].endswith(": stopped by ^c")
        assert rows(one, "Detail") == ["context canceled"]
        assert rows(one, "Facts") == ["revision 1"]
    assert rows(found[3], "Process") == []
    assert [line.split("  ")[2] for line in found[4].before] == [
        "started: install dpe-01",
        "cancelled: stopped by ^c",
        "process 4711 started",
        "started: install dpe-01",
    ]


def test_the_wording_is_the_reports_without_what_stands_in_other_columns(tmp_path: Path):
    kept = journal.read(make_setup(tmp_path, "prod", 40))
    for event, statement in zip(kept.events, reviewed(kept, GUIDE).statements, strict=True):
        assert describe(event, GUIDE.fields()).endswith(statement.text)
    (looked,) = {one.text for one in of(proof(DNS, "resolver-here", text="10.20.1.4, as wanted")).statements[-1:]}
    assert looked == "10.20.1.4, as wanted"


# ---------------------------------------------------------------- what still counts


def test_a_proof_is_stale_once_an_input_changed_and_says_which():
    change = FieldSet(item="endpoint/pe-weu", field="private_ip", value="10.20.1.7")
    back = FieldSet(item="endpoint/pe-weu", field="private_ip", value="10.20.1.4")
    proofs = (proof(DNS, "resolver-here"), confirmed(ENDPOINT), confirmed(DNS))

    fresh = of(*proofs).statements
    assert not any(one.stale for one in fresh)
    (relies,) = rows(fresh[-3], "Relies on")
    assert f"dpe-01 DPM host {DPM}" in relies
    assert relies.endswith("; unchanged since")

    later = of(*proofs, change).statements
    assert [one.stale for one in later[-4:]] == [True, True, True, False]
    label = GUIDE.fields()["private_ip"].label
    assert rows(later[-4], "Relies on") == [f"changed since: pe-weu {label} (event 24)"]

    assert not any(one.stale for one in of(*proofs, change, back).statements), "the values are what they were"


def test_what_was_looked_at_too_long_ago_counts_no_more_at_the_reviewed_time():
    """The screen says of a moment what the report says of it."""
    kept = journal_of(*OPENING, proof(DNS, "records", "good", seen()), proof(DNS, "records", "good", seen()))
    later = "2026-11-28T12:00:00.000000Z"
    found, document = reviewed(kept, GUIDE, as_of=later), report(kept, GUIDE, as_of=later)
    assert found.as_of == document["as_of"] == later
    assert found.counts["stale"] == document["counts"]["stale"] == 1
    assert found.statements[-1].why_stale == "looked at over 7 days ago"
    assert rows(found.statements[-1], "Relies on")[0].endswith("; unchanged since")
    assert not found.statements[-2].stale, "another look replaced it"
    assert not any(one.stale for one in reviewed(kept, GUIDE).statements)


def test_a_secret_that_somebody_wrote_in_is_not_shown():
    (told,) = of(FieldSet(item="dpe/dpe-01", field="token", value="hunter2")).statements[-1:]
    assert "hunter2" not in told.text and rows(told, "Value") == ["(a secret, not shown)"]


def test_what_a_look_inside_rests_on_is_named_too():
    inside, moved = (
        proof(DNS, "cluster-lookup", "good", seen()),
        FieldSet(item="dpe/dpe-01", field="release", value="other"),
    )
    assert "dpe-01 Release dpe-01" in rows(last(inside), "Relies on")[0]
    (told,) = rows(of(inside, moved).statements[-2], "Relies on")
    assert told.startswith("changed since: dpe-01 Release (event ")
    document = report(journal_of(*OPENING, inside), GUIDE)
    (place,) = [one for step in document["steps"] for one in step["items"] if one["where"] == "step 5 dpe-01 pe-weu"]
    assert {"name": "dpe/dpe-01.release", "value": "dpe-01"} in place["rests_on"]


def test_a_cleared_input_is_a_changed_one():
    cleared = FieldSet(item="endpoint/pe-weu", field="private_ip", value=None)
    found = of(confirmed(ENDPOINT), cleared).statements[-2]
    assert found.stale
    assert "(event 22)" in rows(found, "Relies on")[0]


def test_a_proof_about_what_is_gone_counts_no_more():
    found = of(confirmed(ENDPOINT), ItemRemoved(item="endpoint/pe-weu")).statements[-2]
    assert found.stale
    assert rows(found, "Relies on") == ["an item or step that is not part of the setup now"]


def test_only_a_waiver_for_the_values_as_they_are_goes_on_without_proof():
    first = [confirmed(place) for place in places_before_mark()]
    marked = of(*first, waived(MARK), confirmed(MARK))
    assert marked.unproven == ("step 8 dpe-01: the cluster is sealed",)
    assert not marked.statements[-2].stale
    assert rows(marked.statements[-2], "Reason") == ["the cluster is sealed"]
    other = FieldSet(item="dpe/dpe-01", field="release", value="dpe-02")
    later = of(*first, waived(MARK), confirmed(MARK), other)
    assert later.statements[-3].stale is True
    assert later.unproven == ()


def test_as_of_an_earlier_time_is_the_review_of_that_time():
    kept = journal_of(
        *OPENING, confirmed(ENDPOINT), FieldSet(item="endpoint/pe-weu", field="private_ip", value="10.9.9.9")
    )
    early = reviewed(kept, GUIDE, as_of=ts_of(21))
    assert (early.events, early.statements[-1].stale) == (21, False)
    assert early.head == kept.events[21].prev
    assert rows(early.statements[-1], "Event") == [f"21 of 21, chained to {short(kept.events[20].prev)}"]
    assert reviewed(kept, GUIDE).statements[20].stale
    with pytest.raises(Problem, match="began at"):
        reviewed(kept, GUIDE, as_of="2020-01-01T00:00:00.000000Z")


def short(digest: str) -> str:
    return f"{digest[:4]}…{digest[-4:]}"


# ---------------------------------------------------------------- the evidence pane


def test_the_evidence_of_a_look_is_shown_whole():
    found = last(proof(DNS, "resolver-here", BAD, seen(), seen(REPORTED, answer="public")))
    assert rows(found, "When") == ["Mon 05 Jan 2026, 08:21:00 UTC"]
    assert rows(found, "By") == ["ada@build-01 via screen; claimed, not proven"]
    assert rows(found, "Grade") == ["observed, we looked", "reported, the vendor said so"]
    assert rows(found, "Identity") == ["10.20.0.2"] * 2
    assert rows(found, "Source") == ["DNS"] * 2
    assert rows(found, "Request") == [f"A and AAAA {DPM}"] * 2
    assert rows(found, "Answer") == ['{"addresses":["10.20.1.4"]}', "public"]
    assert rows(found, "SHA-256") == ["b7" * 32] * 2
    assert rows(found, "Do next") == ["ask the DNS team"]


def test_the_exact_words_of_an_attestation_and_where_they_came_from():
    said = confirmed(ENDPOINT, answers="cd" * 32)
    found = last(said)
    assert rows(found, "Words") == [said.text]
    assert rows(found, "Text") == [f"{said.text_id}, revision {said.revision}"]
    assert (rows(found, "Source"), rows(found, "SHA-256")) == (["an answers file"], ["cd" * 32])


def test_labels_fit_their_column_for_every_kind_of_event(tmp_path: Path):
    kinds = (
        proof(DNS, "resolver-here", BAD, seen()),
        confirmed(ENDPOINT, answers="a"),
        waived(MARK),
        ChangeStarted(change="c", step="update-dpe", items=UPDATE.items, summary="s", commands=("c",), undo="u"),
        ChangeFinished(change="c", outcome=DONE, summary="s", detail="d", facts={"a": "b"}),
    )
    for one in of(*kinds).statements:
        assert one.details[-1][0] == "Event"
        assert all(len(label) <= 10 and value for label, value in one.details)


def test_what_was_said_before_is_the_same_check_of_the_same_items_newest_first():
    looks = [proof(DNS, "resolver-here", BAD if number % 2 else GOOD, text=f"look {number}") for number in range(30)]
    found = of(*looks, confirmed(DNS), looks[0]).statements
    assert [one.text for one in found[-1].earlier] == [f"look {number}" for number in range(29, 29 - BEFORE, -1)]
    assert found[-1].before[0] == f"{ts_of(50)[:10]} {ts_of(50)[11:19]}  failed  look 29"
    assert found[-2].earlier == ()
    assert found[20].before == ()


def test_an_older_value_of_a_field_is_what_was_said_before():
    changed = FieldSet(item="dpe/dpe-01", field="version", value="16.3.0", source="answers")
    (before,) = last(changed).earlier
    assert before.text == "dpe/dpe-01 version = 16.2.0, typed"
    assert rows(last(changed), "Value") == ["16.3.0"]
    assert rows(last(changed), "Field") == [f"{GUIDE.fields()['version'].label} (version)"]


# ---------------------------------------------------------------- what it amounts to


def test_steps_and_counts_are_the_reports():
    kept = journal_of(*OPENING, *(confirmed(place) for place in places_before_mark()[:3]), proof(DNS, "resolver-here"))
    found, document = reviewed(kept, GUIDE), report(kept, GUIDE)
    assert [(step.number, step.title, step.status) for step in found.steps] == [
        (step["number"], step["title"], step["status"]) for step in document["steps"]
    ]
    assert (found.done_steps, found.all_steps) == (3, 8)
    assert found.counts["attested"] == 3
    assert (found.counts["observed"], found.counts["failed"], found.counts["stale"]) == (0, 0, 0)
    assert (found.name, found.mode, found.head, found.sandbox) == ("demo", "self-service", kept.head, True)


def test_what_should_be_observed_and_never_was_is_counted():
    """Steps 3, 5 and 7 (step 8 asks for them); a look that does not prove is no observation."""
    assert set(step_of(GUIDE, "mark-updated").needs_observed) == {"endpoint", "dns", "update-dpe"}
    nothing = of().counts[NEVER_OBSERVED]
    assert nothing == 3
    assert of(proof(DNS, "resolver-here")).counts[NEVER_OBSERVED] == nothing
    check = next(check.id for check in step_of(GUIDE, "update-dpe").checks if check.proves)
    assert of(proof(UPDATE, check, BAD)).counts[NEVER_OBSERVED] == nothing
    assert of(proof(UPDATE, check), proof(UPDATE, check, BAD)).counts[NEVER_OBSERVED] == nothing - 1, "it was, once"


def test_a_step_without_items_says_so():
    empty = reviewed(journal_of(), GUIDE)
    assert empty.statements == ()
    assert empty.steps[1].reasons == ("no items yet",)


def test_a_guide_that_is_unknown_leaves_the_chain_and_the_timeline(tmp_path: Path):
    path = tmp_path / "other.jsonl"
    other = lines_of(OPENING, "other", GuideRef(id="\x1b[2Jaws", version=1))
    path.write_bytes(b"\n".join(other) + b"\n")
    places = Places(tmp_path / "state", tmp_path / "state")
    found = open_for_review(places, str(path))
    assert found.chain_intact
    assert len(found.statements) == 20
    assert not any(one.stale or one.step for one in found.statements)
    assert (found.guide_title, found.steps, found.done_steps, found.all_steps) == ("aws", (), 0, 0)
    assert found.problems[0].startswith("There is no guide aws in this version.")
    assert rows(found.statements[-1], "Event")


# ---------------------------------------------------------------- the chain


def test_an_intact_chain_says_so():
    found = of()
    assert (found.chain_intact, found.chain_line, found.problems, found.torn_bytes) == (True, "chain intact", (), 0)
    assert all(one.trusted for one in found.statements)


def test_another_head_than_the_expected_is_a_problem():
    kept = journal_of(*OPENING)
    assert reviewed(kept, GUIDE, expect=f" {kept.head.upper()} ").problems == ()
    (told,) = reviewed(kept, GUIDE, expect="0" * 64).problems
    assert f"The head is {kept.head}, expected was {'0' * 64}." in told


def test_what_follows_damage_is_shown_and_not_trusted():
    lines = lines_of(OPENING, "demo", GUIDE_REF)
    lines[10] = lines[10].replace(b"10.20.1.4", b"10.66.6.6").replace(VALUES[5][2].encode(), b"pe-evil")
    assert lines[10] != lines_of(OPENING, "demo", GUIDE_REF)[10]
    damaged = journal.parse(Path("x"), b"\n".join(lines) + b'\n{"torn')
    found = reviewed(damaged, GUIDE)
    assert not found.chain_intact
    assert found.chain_line.startswith("chain broken at line 11: Line 11 or 12 was changed")
    assert found.problems[0].startswith("line 11: ")
    assert found.torn_bytes == 6
    assert [one.seq for one in found.statements if one.trusted] == list(range(1, 10))
    assert rows(found.statements[9], "Event")[0].endswith("shown, not trusted")
    assert not rows(found.statements[8], "Event")[0].endswith("not trusted")


def test_a_line_that_claims_an_early_number_after_damage_is_not_trusted():
    lines = lines_of(OPENING, "demo", GUIDE_REF)
    lines[10] = lines[10].replace(b'"typed"', b'"other"') if b'"typed"' in lines[10] else lines[10] + b" "
    lines.append(lines[5])
    found = reviewed(journal.parse(Path("x"), b"\n".join(lines) + b"\n"), GUIDE)
    assert found.statements[-1].seq == 5
    assert not found.statements[-1].trusted


def test_an_event_of_a_newer_version_breaks_no_chain():
    lines = lines_of(OPENING, "demo", GUIDE_REF)
    lines[-1] = (
        lines[-1]
        .replace(b'"type":"route_chosen"', b'"type":"route_dreamt"')
        .replace(b'"type":"field_set"', b'"type":"field_dreamt"')
    )
    found = reviewed(journal.parse(Path("x"), b"\n".join(lines) + b"\n"), GUIDE)
    assert not found.chain_intact
    assert found.chain_line.startswith("not all understood, line 21:")
    assert all(one.trusted for one in found.statements)


# ---------------------------------------------------------------- text from outside


def test_no_text_from_the_journal_reaches_the_screen_raw():
    evil = (
        FieldSet(field="environment_name", value=HOSTILE, source=HOSTILE),
        Found(step=HOSTILE, items=(HOSTILE,), check=HOSTILE, verdict=GOOD, text=HOSTILE, fingerprint=HOSTILE),
        proof(DNS, "resolver-here", BAD, seen(HOSTILE, HOSTILE), text=HOSTILE),
        Attested(step="dns", items=DNS.items, text_id=HOSTILE, revision=1, text=HOSTILE, fingerprint=HOSTILE),
        waived(MARK, HOSTILE),
        ChangeStarted(change="c", step="dns", summary=HOSTILE, commands=(HOSTILE,), facts={HOSTILE: HOSTILE}),
        ChangeFinished(change="c", outcome=HOSTILE, summary=HOSTILE, detail=HOSTILE),
    )
    found = of(*evil)
    shown = [found.mode, found.guide_title, *found.problems, *found.unproven]
    for step in found.steps:
        shown += [step.status, *step.reasons]
    for one in found.statements:
        shown += [one.text, one.state, one.by, *one.items, *one.before]
        shown += [text for row in one.details for text in row]
    assert sum("fine" in text for text in shown) > 10, "the words themselves are shown"
    assert all(text.isprintable() for text in shown)


# ---------------------------------------------------------------- opening


def test_opening_reads_and_changes_nothing(tmp_path: Path):
    state = tmp_path / "state"
    make_setup(state, "prod", 40, actor=current_actor("run"))
    places = Places(state, state)
    before = sorted(path.name for path in state.rglob("*"))
    found = open_for_review(places, "prod", "2026-01-05T08:20:00Z")
    assert (found.name, found.events) == ("prod", 20)
    assert found.file == str(state / "setups" / "prod.jsonl")
    assert open_for_review(places, found.file).events == 40
    assert sorted(path.name for path in state.rglob("*")) == before
    for target, as_of, code in (("prd", None, "no-such-setup"), ("prod", "soon", "bad-time")):
        with pytest.raises(Problem) as caught:
            open_for_review(places, target, as_of)
        assert caught.value.code == code


def test_a_long_journal_is_opened_without_making_any_evidence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What keeps 100,000 events usable: evidence is made for the one statement that is looked at."""
    made: list[str] = []

    def when(ts: str) -> str:
        made.append(ts)
        return ts

    monkeypatch.setattr(timeline, "when", when)
    found = reviewed(journal.read(make_setup(tmp_path, "long", 5_000)), GUIDE)
    assert (len(found.statements), made) == (5_000, [])
    assert rows(found.statements[-1], "When") == made == [ts_of(5_000)]
