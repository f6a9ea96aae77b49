"""Whose turn it is, in the same words everywhere."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.events import (
    BAD,
    COULD_NOT_LOOK,
    DONE,
    FAILED,
    GOOD,
    NOT_YET,
    ChangeFinished,
    ChangeStarted,
    Data,
    FieldSet,
    Linked,
    ModeSet,
    RouteChosen,
)
from tests.wizard.engine import (
    DNS,
    ENDPOINT,
    GUIDE,
    MARK,
    NOW,
    RESOURCE_ID,
    SUBSCRIPTION,
    UPDATE,
    finding,
    items,
    snapshot_of,
    status_of,
    step_of,
    view_of,
    with_step,
)
from tests.wizard.test_status import EVENTS, FILLED, attested, change, ended, found, waiver
from wizard.guide import Guide, ItemStep
from wizard.guides import IDS
from wizard.guides import guide as find_guide
from wizard.status import derive
from wizard.turns import (
    BAND_CELLS,
    SHORT_CELLS,
    Turns,
    listed,
    next_move,
    place_name,
    place_word,
    step_word,
    turns,
)

ONE = ItemStep("connectivity")
REDEPLOY = ItemStep("redeploy")
DONE_1 = attested(ONE)
DONE_2 = attested(SUBSCRIPTION)
DONE_3 = attested(ENDPOINT)
DONE_4 = attested(RESOURCE_ID)
DONE_5 = attested(DNS)
DONE_6 = attested(REDEPLOY)
UNTIL_6: list[Data] = [*FILLED, DONE_1, DONE_2, DONE_3, DONE_4, DONE_5, DONE_6]
SEEN_7 = [found(GOOD), found(GOOD, "workloads")]
NO_FILE = FieldSet(item="dpe/dpe-01", field="values_file", value=None)
EMPTY_IP = FieldSet(item="endpoint/pe-weu", field="private_ip", value=None)
MOVED_IP = FieldSet(item="endpoint/pe-weu", field="private_ip", value="10.20.1.9")
OTHER_VNET = FieldSet(
    item="endpoint/pe-weu",
    field="vnet",
    value="/subscriptions/8d2f41c7-5b1e-4f0a-9a77-0c1d2e3f4a5b/resourceGroups/rg-net/providers/Microsoft.Network"
    "/virtualNetworks/vnet-other",
)


def handed(place: ItemStep, route: str = "hand off") -> RouteChosen:
    return RouteChosen(step=place.step, items=place.items, route=route)


def turns_of(*data: Data, guide: Guide = GUIDE) -> Turns:
    snapshot = snapshot_of(*data)
    return turns(guide, snapshot, status_of(snapshot, guide))


def mine(*data: Data, guide: Guide = GUIDE) -> list[str]:
    return [one.text for one in turns_of(*data, guide=guide).mine]


def words(*data: Data, guide: Guide = GUIDE) -> list[tuple[str, str]]:
    snapshot = snapshot_of(*data)
    status = status_of(snapshot, guide)
    return [step_word(guide, snapshot, status, step) for step in guide.steps]


# ---------------------------------------------------------------- mine


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        ([], ["step 1: finish Environment name"]),
        (FILLED, ["step 1: confirm Connectivity settings"]),
        ([*FILLED, DONE_1], ["step 2, main: confirm Register subscription"]),
        ([*FILLED, DONE_1, DONE_2], ["step 3, pe-weu: choose a route"]),
        (
            [*FILLED, DONE_1, DONE_2, handed(ENDPOINT, "already done")],
            ["step 3, pe-weu: confirm Create Private Endpoint"],
        ),
        # Azure will say it, unless the step is done without the wizard.
        ([*FILLED, DONE_1, DONE_2, EMPTY_IP], ["step 3, pe-weu: choose a route"]),
        (
            [*FILLED, DONE_1, DONE_2, EMPTY_IP, handed(ENDPOINT, "already done")],
            ["step 3, pe-weu: finish Private IP"],
        ),
        ([*FILLED, DONE_1, DONE_2, OTHER_VNET], ["step 3, pe-weu: correct Subnet"]),
        # Two steps open at once, in the guide's order.
        (
            [*FILLED, DONE_1, DONE_2, DONE_3],
            ["step 4, pe-weu: confirm Provide the Resource ID", "step 5, dpe-01 pe-weu: choose a route"],
        ),
        (UNTIL_6, ["step 7, dpe-01: start Update DPE"]),
        ([*UNTIL_6, NO_FILE], ["step 7, dpe-01: finish Values file"]),
        # A look before anything was done finds nothing, and that is no news.
        ([*UNTIL_6, found(NOT_YET)], ["step 7, dpe-01: start Update DPE"]),
        ([*UNTIL_6, change(), ended(DONE), found(NOT_YET)], ["step 7, dpe-01: check Update DPE again"]),
        ([*UNTIL_6, found(COULD_NOT_LOOK)], ["step 7, dpe-01: check Update DPE again"]),
        ([*UNTIL_6, found(BAD)], ["step 7, dpe-01: see why Update DPE failed"]),
        ([*UNTIL_6, change(), ended(FAILED)], ["step 7, dpe-01: see why Update DPE failed"]),
        ([*UNTIL_6, change()], ["step 7, dpe-01: see how Update DPE ends"]),
        ([*UNTIL_6, *SEEN_7], ["step 8, dpe-01: prove steps 3 and 5 first"]),
        ([*UNTIL_6, *SEEN_7, waiver()], ["step 8, dpe-01: confirm Mark as updated"]),
        ([*UNTIL_6, *SEEN_7, waiver(), attested(MARK)], []),
    ],
)
def test_what_is_mine_at_every_point_of_the_way(data: list[Data], wanted: list[str]):
    assert mine(*data) == wanted


def test_a_step_without_items_asks_for_one_when_it_can_begin():
    named = FieldSet(item=None, field="environment_name", value="production")
    one = attested(ONE, named)
    assert mine(named) == ["step 1: confirm Connectivity settings"], "what waits for step 1 is not asked for yet"
    assert mine(named, one) == ["step 2: add a subscription"]
    everything = [data for data in FILLED if getattr(data, "item", None) != "dpe/dpe-01"]
    until_3 = [attested(place, *everything) for place in (ONE, SUBSCRIPTION, ENDPOINT)]
    no_dpe = [*everything, *until_3]
    assert mine(*no_dpe) == ["step 4, pe-weu: confirm Provide the Resource ID", "step 5: add a DPE"]
    assert mine(*no_dpe, *items("dpe/dpe-01"))[1] == "step 5: link a DPE with a Private Endpoint"


def test_a_step_without_items_stands_for_itself():
    named = FieldSet(item=None, field="environment_name", value="production")
    base = [*items("endpoint/pe-weu", "dpe/dpe-01"), named]
    (first,) = turns_of(*base, attested(ONE, *base)).mine
    assert (first.item_step, first.status, first.number) == (ItemStep("register"), "to do", 2)


def test_an_endpoint_that_names_no_subscription_can_say_which():
    """A gate that no finished step would open is the user's to open; else nothing would be anybody's turn."""
    base: list[Data] = [
        *items("subscription/a", "subscription/b", "endpoint/pe-weu"),
        FieldSet(item=None, field="environment_name", value="production"),
        FieldSet(item="subscription/a", field="subscription_id", value="8d2f41c7-5b1e-4f0a-9a77-0c1d2e3f4a5b"),
        FieldSet(item="subscription/b", field="subscription_id", value="9d2f41c7-5b1e-4f0a-9a77-0c1d2e3f4a5b"),
    ]
    places = (ONE, ItemStep("register", ("subscription/a",)), ItemStep("register", ("subscription/b",)))
    done = [*base, *(attested(place, *base) for place in places)]
    assert mine(*done) == ["step 3, pe-weu: say which subscription it uses"]
    assert words(*done)[2] == ("needs input", "to do")
    said = FieldSet(item="endpoint/pe-weu", field="subscription", value="b")
    assert mine(*done, said) == ["step 3, pe-weu: finish Link service alias"]


def test_a_dpe_without_an_endpoint_can_say_which():
    second = items("dpe/dpe-02")
    filled = [
        FieldSet(item="dpe/dpe-02", field=one.field, value=one.value)
        for one in FILLED
        if isinstance(one, FieldSet) and one.item == "dpe/dpe-01"
    ]
    base = [*FILLED, *second, *filled]
    done = [attested(place, *base) for place in (ONE, SUBSCRIPTION, ENDPOINT, RESOURCE_ID, DNS, REDEPLOY)]
    theirs = ItemStep("update-dpe", ("dpe/dpe-02",))
    seen = [
        finding(snapshot_of(*base), place, check, GOOD)
        for place in (UPDATE, theirs)
        for check in ("release", "workloads")
    ]
    assert mine(*base, *done, *seen) == [
        "step 8, dpe-01: prove steps 3 and 5 first",
        "step 8, dpe-02: say which Private Endpoint it uses",
    ]


def test_the_urgent_comes_first_and_the_rest_keeps_the_guides_order():
    two = items("endpoint/pe-neu", "endpoint/pe-sea", "dpe/dpe-02")
    names = [(one.item_step, one.status) for one in turns_of(*UNTIL_6, *two, change(), MOVED_IP).mine]
    assert names[0] == (UPDATE, "running"), "what runs is first, although its gate was shut behind it"
    assert names[1] == (ENDPOINT, "stale")
    assert [str(place) for place, _ in names[2:]] == ["endpoint pe-neu", "endpoint pe-sea"]


def test_what_is_gated_is_not_mine_however_it_stands():
    assert mine(*FILLED, found(BAD)) == ["step 1: confirm Connectivity settings"]
    # Steps 5 and 8 wait for step 3; the gate of step 7 is step 6 alone, and that stays confirmed.
    assert mine(*UNTIL_6, MOVED_IP) == [
        "step 3, pe-weu: confirm Create Private Endpoint again",
        "step 7, dpe-01: start Update DPE",
    ]


def test_what_is_stale_says_how_to_make_it_good_again():
    version = FieldSet(item="dpe/dpe-01", field="version", value="16.3.0")
    for done in ((), (change(), ended(DONE))):
        assert mine(*UNTIL_6, *done, *SEEN_7, version) == ["step 7, dpe-01: upgrade to 16.3.0"]
    assert mine(*UNTIL_6, found(BAD), version) == ["step 7, dpe-01: check Update DPE again"]
    host = FieldSet(item="dpe/dpe-01", field="dpm_host", value="dpm-2.example.link")
    assert mine(*UNTIL_6, host)[0] == "step 5, dpe-01 pe-weu: confirm DNS records again"


def test_proof_that_was_lost_is_not_blamed_on_this_step():
    before = [*UNTIL_6, *SEEN_7]
    seen = with_step(GUIDE, "mark-updated", needs_observed=("update-dpe",), after=("redeploy",))
    lost = turns_of(*before, attested(MARK, guide=seen), found(BAD), guide=seen)
    assert [one.text for one in lost.mine] == [
        "step 7, dpe-01: see why Update DPE failed",
        "step 8, dpe-01: prove what it rests on again",
    ]


@pytest.mark.parametrize("guide_id", IDS)
def test_every_short_text_fits(guide_id: str):
    """The words around them are ours; the titles and labels are the guide's."""
    guide = find_guide(guide_id)
    for step in guide.steps:
        assert len(f"confirm {step.title} again") <= SHORT_CELLS, step.title
        assert len(f"see why {step.title} failed") <= SHORT_CELLS, step.title
        for field in step.fields:
            assert len(f"correct {field.label}") <= SHORT_CELLS, field.label


def test_a_title_that_is_too_long_is_cut_and_not_wrapped():
    guide = with_step(GUIDE, "connectivity", title="Connectivity settings of the whole environment")
    (only,) = turns_of(*FILLED, guide=guide).mine
    assert len(only.short) == SHORT_CELLS and only.short.endswith("…")


# ---------------------------------------------------------------- owed


def test_what_was_handed_off_is_the_teams_and_says_since_when():
    handed_off = turns_of(*UNTIL_6[: len(FILLED) + 2], handed(ENDPOINT))
    assert handed_off.mine == ()
    (owed,) = handed_off.owed
    assert (owed.who, owed.item_step, owed.since) == ("network team", ENDPOINT, NOW)
    assert owed.text == "step 3, pe-weu: Create Private Endpoint"
    assert (handed_off.sentence, handed_off.short, handed_off.whose) == ("nothing now", "nothing now", "network team")
    assert handed_off.owed_sentence == "network team owes step 3, pe-weu"
    assert handed_off.owed_short == "network team owes 1"


def test_what_the_team_will_tell_is_not_asked_of_the_user_before():
    """Step 3 handed off: its private IP is empty because nobody has made the endpoint yet."""
    waiting = [*FILLED, DONE_1, DONE_2, EMPTY_IP, handed(ENDPOINT)]
    assert mine(*waiting) == []
    assert words(*waiting)[2] == ("waiting for others", "network team")
    # What stands there and is wrong is the user's, whoever does the step.
    assert mine(*waiting, OTHER_VNET) == ["step 3, pe-weu: correct Subnet"]
    assert len(turns_of(*waiting, OTHER_VNET).owed) == 1
    # It is not done before it is told, though somebody confirmed it.
    confirmed = [*FILLED, DONE_1, DONE_2, EMPTY_IP, handed(ENDPOINT), attested(ENDPOINT, *FILLED, EMPTY_IP)]
    assert mine(*confirmed) == ["step 3, pe-weu: finish Private IP"]


def test_a_look_that_fails_meanwhile_does_not_take_the_work_back():
    proves = with_step(GUIDE, "dns", checks=(replace(step_of(GUIDE, "dns").checks[2], proves=True),))
    base = [*FILLED, DONE_1, DONE_2, DONE_3, DONE_4, handed(DNS)]
    for verdict in (BAD, NOT_YET):
        bad = finding(snapshot_of(*FILLED), DNS, "resolver-here", verdict, proves)
        looked = turns_of(*base, bad, guide=proves)
        assert ([one.text for one in looked.mine], [one.who for one in looked.owed]) == ([], ["DNS team"])
    could_not = finding(snapshot_of(*FILLED), DNS, "resolver-here", COULD_NOT_LOOK, proves)
    assert mine(*base, could_not, guide=proves) == ["step 5, dpe-01 pe-weu: check DNS records again"]


def test_what_is_done_or_taken_back_is_not_owed():
    base = [*FILLED, DONE_1, DONE_2, handed(ENDPOINT)]
    assert turns_of(*base, DONE_3).owed == ()
    assert turns_of(*base, handed(ENDPOINT, "already done")).owed == ()


def test_a_step_of_somebody_else_in_this_mode_is_owed_once_it_can_begin():
    guide = replace(with_step(GUIDE, "register", owners={"hybrid": "vendor"}), modes=("self-service", "hybrid"))
    hybrid = ModeSet(mode="hybrid")
    assert turns_of(*FILLED, hybrid, guide=guide).owed == (), "nobody owes what has to wait"
    (owed,) = turns_of(*FILLED, hybrid, DONE_1, guide=guide).owed
    assert (owed.who, owed.since) == ("vendor", "")
    assert words(*FILLED, hybrid, DONE_1, guide=guide)[1] == ("waiting for others", "vendor")
    assert words(*FILLED, hybrid, guide=guide)[1] == ("waiting", "waits for 1")
    # What the vendor has to be told is the user's.
    unknown = FieldSet(item="subscription/main", field="subscription_id", value=None)
    assert mine(*FILLED, hybrid, DONE_1, unknown, guide=guide) == ["step 2, main: finish Subscription ID"]


def test_a_handed_off_step_stays_owed_behind_a_shut_gate():
    both = turns_of(*FILLED, DONE_1, DONE_2, handed(DNS))
    assert [one.who for one in both.owed] == ["DNS team"]
    assert both.whose == "you"


# ---------------------------------------------------------------- sentences


def test_sentences_name_the_first_and_count_the_rest():
    found = turns_of(*FILLED, DONE_1, DONE_2, DONE_3)
    assert found.sentence == "step 4, pe-weu: confirm Provide the Resource ID, then 1 more"
    assert found.short == "step 4: confirm Provide the Resource ID"
    assert turns_of(*FILLED, EMPTY_IP).short == "step 1: confirm Connectivity settings"
    two = turns_of(*FILLED, DONE_1, DONE_2, EMPTY_IP, *items("endpoint/pe-neu"))
    assert two.short == "step 3: choose a route, 1 more"


def test_the_end_says_so():
    end = turns_of(*UNTIL_6, *SEEN_7, waiver(), attested(MARK))
    assert (end.sentence, end.short, end.whose, end.finished) == ("all steps done", "all steps done", "", True)
    assert (end.owed_sentence, end.owed_short) == ("others owe nothing", "others owe nothing")


def test_debts_are_counted_by_team():
    two = items("endpoint/pe-neu")
    neu = ItemStep("endpoint", ("endpoint/pe-neu",))
    base = [*FILLED, *two, DONE_1, DONE_2, handed(ENDPOINT), handed(neu)]
    assert turns_of(*base).owed_sentence == "network team owes 2 things"
    assert turns_of(*base).owed_short == "network team owes 2"
    assert turns_of(*base, handed(DNS)).owed_sentence == "network team owes 2 things, DNS team owes 1 thing"
    assert turns_of(*base, handed(DNS)).owed_short == "2 teams owe 3"


def test_listing_words():
    assert [listed(words) for words in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]


# ---------------------------------------------------------------- one word for a step


@pytest.mark.parametrize(
    ("data", "step", "wanted"),
    [
        ([], 1, ("needs input", "to do")),
        ([], 2, ("waiting", "waits for 1")),
        ([], 6, ("waiting", "waits for 4, 5")),
        (FILLED, 1, ("to do", "to do")),
        (FILLED, 6, ("waiting", "waits for 4, 5")),
        ([*FILLED, DONE_1], 1, ("attested", "attested")),
        ([*FILLED, DONE_1, DONE_2, DONE_3, DONE_4], 6, ("waiting", "waits for 5")),
        ([*UNTIL_6, *SEEN_7], 7, ("observed", "observed")),
        ([*UNTIL_6, change()], 7, ("running", "running")),
        ([*UNTIL_6, found(NOT_YET)], 7, ("not yet", "not yet")),
        ([*UNTIL_6, found(COULD_NOT_LOOK)], 7, ("could not look", "could not look")),
        # A gate says more than what nobody has begun, and less than what was seen.
        ([*FILLED, NO_FILE], 7, ("waiting", "waits for 6")),
        ([*FILLED, found(NOT_YET)], 7, ("waiting", "waits for 6")),
        ([*FILLED, found(BAD)], 7, ("failed", "failed")),
        ([*UNTIL_6, MOVED_IP], 3, ("stale", "stale")),
        ([*UNTIL_6, MOVED_IP], 4, ("attested", "attested")),
        ([*UNTIL_6, MOVED_IP], 5, ("stale", "stale")),
        ([*UNTIL_6, MOVED_IP], 7, ("to do", "to do")),
    ],
)
def test_the_word_of_a_step(data: list[Data], step: int, wanted: tuple[str, str]):
    assert words(*data)[step - 1] == wanted


def test_a_step_shows_what_is_mine_before_what_is_not():
    two = [*FILLED, *items("endpoint/pe-neu"), DONE_1, DONE_2]
    neu = ItemStep("endpoint", ("endpoint/pe-neu",))
    assert words(*two, handed(ENDPOINT))[2] == ("needs input", "to do")
    assert words(*two, handed(ENDPOINT), handed(neu))[2] == ("waiting for others", "network team")
    assert words(*two, DONE_3, handed(neu))[2] == ("waiting for others", "network team")


def test_a_step_waits_for_what_its_items_wait_for_together():
    """One pair waits for its endpoint, the other is done: what is left waits."""
    linked = Linked(source="dpe/dpe-01", target="endpoint/pe-neu")
    two = [*FILLED, *items("endpoint/pe-neu"), linked]
    done = [attested(place, *two) for place in (ONE, SUBSCRIPTION, ENDPOINT, RESOURCE_ID)]
    assert words(*two, *done)[4] == ("to do", "to do")
    dns = attested(DNS, *two)
    assert words(*two, *done, dns)[4] == ("waiting", "waits for 3")
    assert words(*two, *done, dns)[5] == ("waiting", "waits for 4, 5")


def test_a_place_has_the_same_words():
    snapshot = snapshot_of(*FILLED, DONE_1, handed(ENDPOINT))
    status = status_of(snapshot)
    assert place_word(GUIDE, status, ONE) == ("attested", "attested")
    assert place_word(GUIDE, status, SUBSCRIPTION) == ("to do", "to do")
    assert place_word(GUIDE, status, ENDPOINT) == ("waiting", "waits for 2")
    assert place_word(GUIDE, status, ItemStep("endpoint", ("endpoint/gone",))) == ("waiting", "waits for 2")
    assert place_word(GUIDE, status, ItemStep("no-such-step")) == ("to do", "to do")


def test_names_of_items_are_cleaned():
    place = ItemStep("endpoint", ("endpoint/pe\x1b[2J\nweu",))
    assert place_name(GUIDE, place) == "step 3, pe weu"
    assert place_name(GUIDE, ItemStep("gone\x1b[2J")) == "gone"


# ---------------------------------------------------------------- whatever stands in the journal


@settings(max_examples=150)
@given(st.lists(EVENTS, max_size=30))
def test_there_is_always_somebodys_turn_until_all_is_done(events: list[Data]):
    snapshot = snapshot_of(*events)
    status = derive(GUIDE, snapshot, NOW)
    whose = turns(GUIDE, snapshot, status)
    assert bool(whose.mine or whose.owed) is not whose.finished
    for one in whose.mine:
        assert one.short and len(one.short) <= SHORT_CELLS
        assert one.text.endswith(one.short) and one.text.isprintable()
    assert len(whose.short) <= BAND_CELLS and len(whose.owed_short) <= BAND_CELLS
    for step in GUIDE.steps:
        state, word = step_word(GUIDE, snapshot, status, step)
        assert state and word
    for place, known in status.item_steps.items():
        move = next_move(view_of(snapshot, place), status)
        assert bool(move) is (not known.done and known.status != "waiting for others"), (place, known)


def test_a_finished_change_of_an_item_that_is_gone_is_nobodys():
    started = ChangeStarted(change="c", step="update-dpe", items=("dpe/ghost",), summary="s")
    ended_ = ChangeFinished(change="c", outcome=FAILED, summary="s")
    assert mine(started, ended_) == ["step 1: finish Environment name"]
