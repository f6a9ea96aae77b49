"""What a user who comes back is told, from the journal alone."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.events import (
    BAD,
    FAILED,
    GOOD,
    UNKNOWN,
    Actor,
    Data,
    EnvironmentSet,
    Event,
    FieldSet,
    FileFacts,
    Header,
    ItemRemoved,
    Linked,
    ModeSet,
    ProcessStarted,
    TornLineCut,
)
from state.snapshot import fold
from tests.setups import SUBNET
from tests.wizard.engine import (
    ACTOR,
    DNS,
    ENDPOINT,
    GUIDE,
    MARK,
    SUBSCRIPTION,
    UPDATE,
    event,
    finding,
    items,
    snapshot_of,
    step_of,
    with_step,
)
from tests.wizard.test_status import EVENTS, FILLED, attested, change, ended, found, waiver
from tests.wizard.test_turns import (
    DONE_1,
    DONE_2,
    DONE_3,
    DONE_4,
    DONE_5,
    EMPTY_IP,
    MOVED_IP,
    ONE,
    SEEN_7,
    UNTIL_6,
    handed,
)
from wizard.guide import Guide, ItemStep
from wizard.resuming import Line, Summary, summary
from wizard.status import derive

CUT = TornLineCut(bytes=37, sha256="0" * 64, kept_in="demo.torn-1")
NO_MINIO = FieldSet(item="dpe/dpe-01", field="minio_host", value=None)
CHAIN = "chain intact"


def ts_of(seq: int) -> str:
    """A minute per event, so that every time tells its event."""
    return f"2026-11-20T{seq // 60:02}:{seq % 60:02}:00.000000Z"


def events_of(*data: Data, actor: Actor = ACTOR) -> list[Event]:
    return [msgspec.structs.replace(event(seq, one), ts=ts_of(seq), actor=actor) for seq, one in enumerate(data, 1)]


def header() -> Header:
    return msgspec.structs.replace(snapshot_of().header, ts=ts_of(0))


def told(*data: Data, events: list[Event] | None = None, guide: Guide = GUIDE, cut: Event | None = None) -> Summary:
    events = events_of(*data) if events is None else events
    snapshot = fold(header(), events)
    return summary(guide, snapshot, derive(guide, snapshot, snapshot.last_ts), events, cut=cut)


# ---------------------------------------------------------------- who and when


def test_who_left_and_when():
    left = told(*FILLED)
    assert (left.left_at, left.left_by) == (ts_of(len(FILLED)), "ada")


def test_an_empty_setup_was_left_when_it_was_made():
    left = told()
    assert (left.left_at, left.left_by, left.place) == (ts_of(0), "", ONE)
    assert left.left_off == Line("needs input", "step 1", "Environment name empty")
    assert (left.running, left.changed, left.owed, left.good, left.cut) == ((), (), (), (), "")


def test_half_a_line_that_opening_cut_off_is_told_and_is_not_where_anybody_left():
    events = events_of(*FILLED, CUT)
    left = told(events=events, cut=events[-1])
    assert left.cut == "the last 37 bytes were half a line; they are kept in demo.torn-1"
    assert left.left_at == ts_of(len(FILLED))
    assert told(events=events).cut == "", "an older cut was told before"


# ---------------------------------------------------------------- where


MINIO = next(data for data in FILLED if isinstance(data, FieldSet) and data.field == "minio_host")
BEFORE_MINIO = FILLED[: FILLED.index(MINIO)]


@pytest.mark.parametrize(
    ("data", "place", "left_off"),
    [
        # In the middle of a step, whether its gate is open or not.
        (BEFORE_MINIO, DNS, "DPM host typed, MinIO host still empty"),
        ([*FILLED, DONE_1, DONE_2, EMPTY_IP], ENDPOINT, "choose a route"),
        ([*FILLED, DONE_1, MOVED_IP], ENDPOINT, "nothing is missing, waits for 2"),
        # After a step is finished, what was begun before and can be gone on with; a gated step can not.
        ([*FILLED, DONE_1], SUBSCRIPTION, "confirm Register subscription"),
        ([*FILLED, DONE_1, DONE_2, DONE_3], DNS, "choose a route"),
        ([*FILLED, DONE_1, DONE_2, DONE_3, NO_MINIO, DONE_1], DNS, "DPM host typed, MinIO host still empty"),
        # What concerns the whole setup is nobody's step.
        ([*BEFORE_MINIO, ModeSet(mode="self-service")], DNS, "DPM host typed, MinIO host still empty"),
        ([*BEFORE_MINIO, EnvironmentSet()], DNS, "DPM host typed, MinIO host still empty"),
        # Choices, looks and changes are work at a step too.
        ([*FILLED, DONE_1, DONE_2, handed(ENDPOINT, "already done")], ENDPOINT, "confirm Create Private Endpoint"),
        ([*UNTIL_6, found(BAD)], UPDATE, "see why Update DPE failed"),
        ([*UNTIL_6, change()], UPDATE, "see how Update DPE ends"),
        ([*UNTIL_6, change(), ended(FAILED)], UPDATE, "see why Update DPE failed"),
        (
            [*UNTIL_6, *SEEN_7, waiver()],
            MARK,
            "confirm Mark as updated",
        ),
        # Everything is done.
        ([*UNTIL_6, *SEEN_7, waiver(), attested(MARK)], MARK, "attested"),
    ],
)
def test_where_one_left_off_and_where_to_go_on(data: list[Data], place: ItemStep, left_off: str):
    left = told(*data)
    assert (left.place, left.left_off.text) == (place, left_off)


def test_where_one_left_off_has_the_time_of_the_last_work_there():
    left = told(*BEFORE_MINIO, ModeSet(mode="self-service"))
    assert (left.left_off.label, left.left_off.ts) == ("step 5, dpe-01 pe-weu", ts_of(len(BEFORE_MINIO)))
    assert left.left_off.state == "waiting", "its gate is shut, and the glyph says so"


def test_an_added_or_linked_item_is_where_it_is_worked_at_first():
    base = [*FILLED, DONE_1, DONE_2, DONE_3]
    added = told(*base, *items("endpoint/pe-neu"))
    assert added.place == ItemStep("endpoint", ("endpoint/pe-neu",))
    linked = told(*base, *items("endpoint/pe-neu"), Linked(source="dpe/dpe-01", target="endpoint/pe-neu"))
    assert linked.place == ItemStep("dns", ("dpe/dpe-01", "endpoint/pe-neu"))
    gone = told(*base, *items("endpoint/pe-neu"), ItemRemoved(item="endpoint/pe-neu"))
    assert gone.place == DNS, "what is gone is not gone on with"


def test_a_value_of_two_pairs_is_left_at_the_one_that_is_not_done():
    both: list[Data] = [*items("endpoint/pe-neu"), Linked(source="dpe/dpe-01", target="endpoint/pe-neu")]
    base = [*FILLED, *both]
    dpm = next(data for data in FILLED if isinstance(data, FieldSet) and data.field == "dpm_host")
    left = told(*base, attested(DNS, *base), dpm)
    assert left.place == ItemStep("dns", ("dpe/dpe-01", "endpoint/pe-neu"))


def test_looks_of_check_are_not_work():
    """A check that runs every night must not move the place where somebody left off."""
    events = events_of(*BEFORE_MINIO)
    (look,) = events_of(finding(snapshot_of(*BEFORE_MINIO), UPDATE, "release", BAD))
    seq = len(events) + 1
    for via, place in (("check", DNS), ("screen", UPDATE)):
        seen = msgspec.structs.replace(look, seq=seq, ts=ts_of(seq), actor=Actor(user="cron", host="h", via=via))
        assert told(events=[*events, seen]).place == place


def test_without_anything_of_mine_one_goes_to_what_others_owe():
    left = told(*FILLED, DONE_1, handed(ENDPOINT), DONE_2)
    assert left.place == ENDPOINT
    assert left.owed == (
        Line("waiting for others", "network team", "step 3, pe-weu: Create Private Endpoint", ts_of(len(FILLED) + 2)),
    )


def test_a_step_without_items_is_where_to_go_on():
    base: list[Data] = [FieldSet(field="environment_name", value="production")]
    left = told(*base, attested(ONE, *base))
    assert left.place == ItemStep("register")
    assert left.left_off.text == "attested"
    empty = told(EnvironmentSet(), guide=replace(GUIDE, steps=(replace(step_of(GUIDE, "register"), after=()),)))
    assert (empty.place, empty.left_off.text) == (ItemStep("register"), "add a subscription")


def test_a_secret_has_to_be_given_again():
    assert told(*FILLED).left_off.note == "never kept, asked for again: Registry token"
    assert told(*BEFORE_MINIO).left_off.note == ""


@pytest.mark.parametrize(
    ("source", "value", "says"),
    [
        ("typed", "dpe-02", "6 fields typed, Values file still empty"),
        ("azure", "dpe-02", "6 fields filled in, Values file still empty"),
        ("typed", "Not A Release", "5 fields typed, Release wrong, Values file still empty"),
    ],
)
def test_how_far_the_fields_are(source: str, value: str, says: str):
    no_file = FieldSet(item="dpe/dpe-01", field="values_file", value=None)
    release = FieldSet(item="dpe/dpe-01", field="release", value=value, source=source)
    assert told(*FILLED, no_file, release).left_off.text == says


# ---------------------------------------------------------------- running


def test_a_change_whose_end_nobody_saw_is_told():
    left = told(*UNTIL_6, change())
    seq = len(UNTIL_6) + 1
    assert left.running == (Line("running", "step 7, dpe-01", "upgrade", ts_of(seq), "nobody saw it end"),)
    process = ProcessStarted(change="c", pid=4711, start_time="1", boot_id="b")
    (line,) = told(*UNTIL_6, change(), process).running
    assert line.note == "nobody saw it end; it was process 4711 on build-01"
    assert told(*UNTIL_6, change(), process, ended(UNKNOWN)).running == ()


# ---------------------------------------------------------------- changed


def test_what_went_stale_says_which_input_changed_and_when():
    left = told(*UNTIL_6, ModeSet(mode="self-service"), MOVED_IP)
    when = ts_of(len(UNTIL_6) + 2)
    text = "Private IP was 10.20.1.4, is now 10.20.1.9"
    assert left.changed == (
        Line("stale", "step 3, pe-weu", text, when, "confirm Create Private Endpoint again"),
        Line("stale", "step 5, dpe-01 pe-weu", text, when, "waits for step 3 pe-weu"),
    )


def test_the_value_it_was_is_the_one_that_was_confirmed():
    """Not the one before the last: somebody may have tried several."""
    between = FieldSet(item="endpoint/pe-weu", field="private_ip", value="10.20.1.7")
    (line, _) = told(*UNTIL_6, between, MOVED_IP).changed
    assert line.text == "Private IP was 10.20.1.4, is now 10.20.1.9"
    back = FieldSet(item="endpoint/pe-weu", field="private_ip", value="10.20.1.4")
    assert told(*UNTIL_6, between, back).changed == ()


def test_several_changed_inputs_are_counted():
    name = FieldSet(item="endpoint/pe-weu", field="endpoint_name", value="pe-2")
    (line, *_) = told(*UNTIL_6, name, MOVED_IP).changed
    assert line.text == "Private IP was 10.20.1.4, is now 10.20.1.9, and 1 more changed"


def test_a_cleared_input_is_named_and_a_long_value_is_not_written_out():
    other = FieldSet(item="endpoint/pe-weu", field="subnet", value=SUBNET + "-2")
    assert told(*FILLED, DONE_3, other).changed[0].text == "Subnet changed"
    assert told(*FILLED, DONE_3, EMPTY_IP).changed[0].text == "Private IP was 10.20.1.4, is now empty"


def test_another_content_of_the_same_file_is_told():
    def file(sha256: str) -> FieldSet:
        facts = FileFacts(sha256=sha256 * 64)
        return FieldSet(item="dpe/dpe-01", field="values_file", value="/tmp/values.yml", file=facts)

    base = [*FILLED, file("a")]
    seen = [finding(snapshot_of(*base), UPDATE, check, GOOD) for check in ("release", "workloads")]
    assert told(*base, *seen).changed == ()
    (line,) = told(*base, *seen, file("b")).changed
    assert (line.state, line.text) == ("stale", "Values file has other content")


def test_an_input_that_only_a_check_rests_on_is_named():
    seen = [finding(snapshot_of(*FILLED), DNS, check, GOOD) for check in ("records", "cluster-lookup")]
    other = FieldSet(item="dpe/dpe-01", field="namespace", value="other")
    (line,) = told(*FILLED, *seen, other).changed
    assert (line.state, line.text) == ("stale", "Namespace was dpe, is now other")


def test_what_no_input_tells_is_told_in_the_words_of_the_status():
    attest = step_of(GUIDE, "endpoint").attest
    assert attest is not None
    guide = with_step(GUIDE, "endpoint", attest=replace(attest, revision=2))
    (line,) = told(*FILLED, DONE_1, DONE_2, DONE_3, guide=guide).changed
    assert (line.text, line.ts) == ("the confirmation: an input changed since", "")


def test_what_failed_says_why_and_when():
    looked = told(*UNTIL_6, found(BAD), ModeSet(mode="self-service"))
    note = "see why Update DPE failed"
    assert looked.changed == (Line("failed", "step 7, dpe-01", "release is bad", ts_of(len(UNTIL_6) + 1), note),)
    acted = told(*UNTIL_6, change(), ended(UNKNOWN))
    assert acted.changed == (Line("failed", "step 7, dpe-01", "it unknown", ts_of(len(UNTIL_6) + 2), note),)


def test_what_failed_while_another_team_has_it_is_theirs():
    proves = with_step(GUIDE, "dns", checks=(replace(step_of(GUIDE, "dns").checks[2], proves=True),))
    bad = finding(snapshot_of(*FILLED), DNS, "resolver-here", BAD, proves)
    left = told(*FILLED, DONE_1, DONE_2, DONE_3, DONE_4, handed(DNS), bad, guide=proves)
    assert [(line.text, line.note) for line in left.changed] == [("resolver-here is bad", "DNS team owes it")]


# ---------------------------------------------------------------- still good


@pytest.mark.parametrize(
    ("data", "label", "state"),
    [
        ([*FILLED, DONE_1], "step 1", "attested"),
        ([*FILLED, DONE_1, DONE_2], "steps 1 and 2", "attested"),
        ([*FILLED, DONE_1, DONE_2, DONE_4], "steps 1, 2 and 4", "attested"),
        ([*FILLED, DONE_1, DONE_2, DONE_3, DONE_5], "steps 1 to 3 and 5", "attested"),
        ([*FILLED, *SEEN_7], "step 7", "observed"),
        # One line for all of them, and it looks no better than the weakest.
        ([*FILLED, DONE_1, *SEEN_7], "steps 1 and 7", "attested"),
    ],
)
def test_what_holds_takes_one_line(data: list[Data], label: str, state: str):
    good, chain = told(*data).good
    assert (good.label, good.state, good.text, good.note) == (label, state, "inputs unchanged, evidence holds", "")
    assert chain == Line("ok", CHAIN, f"events 1 to {len(data)}", ts_of(len(data)))


def test_a_step_done_without_observed_proof_is_shown_as_such():
    good, _ = told(*UNTIL_6, *SEEN_7, waiver("no access"), attested(MARK)).good
    assert good.label == "steps 1 to 8"
    assert good.note == "step 8, dpe-01 without observed proof: no access"


def test_one_event_is_one():
    assert [line.text for line in told(ModeSet(mode="self-service")).good] == ["event 1"]


# ---------------------------------------------------------------- whatever stands in the journal


@settings(max_examples=100)
@given(st.lists(EVENTS, max_size=30))
def test_a_summary_is_made_of_any_journal(data: list[Data]):
    left = told(*data)
    lines = [left.left_off, *left.running, *left.changed, *left.owed, *left.good]
    for line in lines:
        assert line.state and line.label
        assert all(text.isprintable() for text in (line.label, line.text, line.note))
    assert GUIDE.step(left.place.step) is not None
    assert len(left.running) == sum(one.finished is None for one in fold(header(), events_of(*data)).changes.values())
