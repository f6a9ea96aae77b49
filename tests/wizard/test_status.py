"""Status is a pure function; the first match wins (DESIGN.md section 1)."""

from __future__ import annotations

from dataclasses import replace

import msgspec
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
    Attested,
    ChangeFinished,
    ChangeStarted,
    Data,
    EnvironmentSet,
    FieldSet,
    Found,
    IdentityPinned,
    ItemAdded,
    ItemRemoved,
    Linked,
    ModeSet,
    ProofWaived,
    RouteChosen,
)
from state.snapshot import fold
from tests.setups import VALUES
from tests.wizard.engine import (
    DNS,
    ENDPOINT,
    GUIDE,
    MARK,
    NOW,
    RESOURCE_ID,
    UPDATE,
    event,
    finding,
    items,
    snapshot_of,
    status_of,
    step_of,
    view_of,
    with_step,
)
from wizard.current import Drift, bad_findings, drift_of, settled
from wizard.guide import Attestation, Check, Finding, Guide, ItemStep
from wizard.status import ACTION, STATUSES, derive, field_states

ITEMS = items("subscription/main", "endpoint/pe-weu", "dpe/dpe-01", links=[("dpe/dpe-01", "endpoint/pe-weu")])
FILLED: list[Data] = [
    *ITEMS,
    *(FieldSet(item=owner, field=key, value=value) for owner, key, value in VALUES),
    FieldSet(item="dpe/dpe-01", field="values_file", value="/tmp/values.yml"),
]
BASE = snapshot_of(*FILLED)


def attested(place: ItemStep, *before: Data, guide: Guide = GUIDE, text: str = "so it is") -> Attested:
    """A confirmation for the values as they are after `before` (default: filled)."""
    view = view_of(snapshot_of(*(before or FILLED)), place, guide)
    attest = view.step.attest
    assert attest is not None
    return Attested(
        step=place.step,
        items=place.items,
        text_id=attest.id,
        revision=attest.revision,
        text=text,
        fingerprint=view.fingerprint(attest.id, attest.revision),
    )


def found(verdict: str, check: str = "release") -> Found:
    return finding(BASE, UPDATE, check, verdict)


def change(fingerprint: str | None = None) -> ChangeStarted:
    own = view_of(BASE, UPDATE).fingerprint(ACTION, 1)
    return ChangeStarted(
        change="c", step=UPDATE.step, items=UPDATE.items, summary="upgrade", fingerprint=fingerprint or own
    )


def ended(outcome: str) -> ChangeFinished:
    return ChangeFinished(change="c", outcome=outcome, summary=f"it {outcome}")


def status(*more: Data, place: ItemStep = UPDATE) -> str:
    return status_of(snapshot_of(*FILLED, *more)).item_steps[place].status


# ---------------------------------------------------------------- the order


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        ([], "to do"),
        ([found(NOT_YET)], "not yet"),
        ([RouteChosen(step="update-dpe", items=UPDATE.items, route="hand off")], "waiting for others"),
        ([RouteChosen(step="update-dpe", items=UPDATE.items, route="hand off"), found(NOT_YET)], "waiting for others"),
        ([FieldSet(item="dpe/dpe-01", field="values_file", value=None)], "needs input"),
        ([found(GOOD)], "to do"),
        ([found(GOOD), found(GOOD, "workloads")], "observed"),
        ([found(GOOD), found(NOT_YET, "workloads")], "not yet"),
        ([found(GOOD), found(BAD, "workloads")], "failed"),
        ([found(BAD), found(COULD_NOT_LOOK, "workloads")], "could not look"),
        ([found(BAD), change()], "running"),
        ([found(COULD_NOT_LOOK), change()], "running"),
        ([found(GOOD), found(GOOD, "workloads"), change()], "running"),
        ([change(), ended(FAILED)], "failed"),
        ([change(), ended("cancelled")], "failed"),
        ([change(), ended(DONE)], "to do"),
        ([change(), ended(FAILED), found(GOOD), found(GOOD, "workloads")], "observed"),
        ([change(), ended(FAILED), found(COULD_NOT_LOOK)], "could not look"),
        ([change("0" * 64), ended(FAILED)], "to do"),
        # An input changed after the looks: what they saw is about something else.
        (
            [found(GOOD), found(GOOD, "workloads"), FieldSet(item="dpe/dpe-01", field="version", value="16.3.0")],
            "stale",
        ),
        ([found(BAD), FieldSet(item="dpe/dpe-01", field="version", value="16.3.0")], "stale"),
        (
            [
                found(GOOD),
                FieldSet(item="dpe/dpe-01", field="version", value="16.3.0"),
                FieldSet(item="dpe/dpe-01", field="release", value=None),
            ],
            "stale",
        ),
    ],
)
def test_the_first_match_wins(more: list[Data], wanted: str):
    assert status(*more) == wanted


def test_a_step_is_as_far_as_its_least_finished_item():
    two = [*FILLED, ItemAdded(item="dpe/dpe-02"), found(GOOD), found(GOOD, "workloads")]
    steps = status_of(snapshot_of(*two)).steps
    assert status_of(snapshot_of(*two)).item_steps[UPDATE].status == "observed"
    assert steps["update-dpe"] == "needs input"


def test_a_step_without_items_is_not_done():
    assert status_of(snapshot_of()).steps["endpoint"] == "needs input"
    assert status_of(snapshot_of()).done_steps == 0


def test_whose_turn_it_is_depends_on_the_mode():
    guide = replace(
        with_step(GUIDE, "register", owners={"collaborative": "the vendor"}), modes=("self-service", "collaborative")
    )
    place = ItemStep("register", ("subscription/main",))
    snapshot = snapshot_of(*FILLED, ModeSet(mode="collaborative"))
    assert status_of(snapshot, guide).item_steps[place].status == "waiting for others"
    assert status_of(snapshot, guide).item_steps[place].reasons == ("the vendor",)
    assert status_of(snapshot_of(*FILLED), guide).item_steps[place].status == "to do"


def test_a_hand_off_names_the_team_it_went_to():
    handed = RouteChosen(step=ENDPOINT.step, items=ENDPOINT.items, route="hand off")
    dns = RouteChosen(step=DNS.step, items=DNS.items, route="hand off")
    waiting = status_of(snapshot_of(*FILLED, handed, dns)).item_steps
    assert (waiting[ENDPOINT].status, waiting[ENDPOINT].reasons) == ("waiting for others", ("network team",))
    assert waiting[DNS].reasons == ("DNS team",)
    nobody = with_step(GUIDE, "endpoint", team=step_of(GUIDE, "connectivity").team)
    assert status_of(snapshot_of(*FILLED, handed), nobody).item_steps[ENDPOINT].reasons == ("another team",)


def test_what_is_empty_in_a_handed_off_step_comes_with_the_answer():
    handed = RouteChosen(step=ENDPOINT.step, items=ENDPOINT.items, route="hand off")
    no_ip = FieldSet(item="endpoint/pe-weu", field="private_ip", value=None)
    assert status(no_ip, place=ENDPOINT) == "to do", "Azure will say it"
    elsewhere = RouteChosen(step=ENDPOINT.step, items=ENDPOINT.items, route="already done")
    assert status(no_ip, elsewhere, place=ENDPOINT) == "needs input", "who did it elsewhere knows it"
    assert status(no_ip, handed, place=ENDPOINT) == "waiting for others"
    assert status(FieldSet(item="endpoint/pe-weu", field="private_ip", value="x"), handed, place=ENDPOINT) == (
        "needs input"
    ), "what stands there and is wrong is nobody else's"
    # A word does not stand in for what was never told.
    confirmed = attested(ENDPOINT, *FILLED, no_ip)
    assert status(no_ip, handed, confirmed, place=ENDPOINT) == "needs input"


# ---------------------------------------------------------------- staleness


def test_a_confirmation_goes_stale_with_its_inputs():
    done = attested(ENDPOINT)
    assert status(done, place=ENDPOINT) == "attested"
    moved = FieldSet(item="endpoint/pe-weu", field="private_ip", value="10.20.1.9")
    assert status(done, moved, place=ENDPOINT) == "stale"
    back = FieldSet(item="endpoint/pe-weu", field="private_ip", value="10.20.1.4")
    assert status(done, moved, back, place=ENDPOINT) == "attested", "the same input again is the same confirmation"


def test_it_goes_stale_with_an_input_of_an_earlier_step():
    done = attested(RESOURCE_ID)
    other = FieldSet(item="subscription/main", field="subscription_id", value="00000000-1111-2222-3333-444444444444")
    assert status(done, other, place=RESOURCE_ID) == "stale"


def test_it_does_not_go_stale_with_what_does_not_concern_it():
    done = attested(ENDPOINT)
    timeout = FieldSet(item="dpe/dpe-01", field="timeout", value="20m")
    host = FieldSet(item="dpe/dpe-01", field="dpm_host", value="dpm-2.example.link")
    assert status(done, timeout, host, place=ENDPOINT) == "attested"


def reworded(revision: int) -> Guide:
    attest = step_of(GUIDE, "endpoint").attest
    assert attest is not None
    return with_step(
        GUIDE, "endpoint", attest=replace(attest, text=lambda view: "Said in other words.", revision=revision)
    )


def test_a_reworded_text_stays_confirmed_a_bumped_revision_does_not():
    snapshot = snapshot_of(*FILLED, attested(ENDPOINT))
    assert status_of(snapshot, reworded(1)).item_steps[ENDPOINT].status == "attested"
    assert status_of(snapshot, reworded(2)).item_steps[ENDPOINT].status == "stale"


def test_a_bumped_check_makes_its_findings_stale():
    snapshot = snapshot_of(*FILLED, found(GOOD), found(GOOD, "workloads"))
    first, *others = step_of(GUIDE, "update-dpe").checks
    guide = with_step(GUIDE, "update-dpe", checks=(replace(first, title="Other words", hint="other"), *others))
    assert status_of(snapshot, guide).item_steps[UPDATE].status == "observed"
    guide = with_step(GUIDE, "update-dpe", checks=(replace(first, revision=2), *others))
    stale = status_of(snapshot, guide).item_steps[UPDATE]
    assert (stale.status, stale.reasons) == ("stale", ("Release: an input changed since",))


def test_a_look_that_only_advises_decides_nothing():
    advice = finding(BASE, DNS, "resolver-here", BAD)
    assert status(attested(DNS), advice, place=DNS) == "attested"
    assert status(advice, place=DNS) == "to do"


# ---------------------------------------------------------------- grades


async def _never(view: object, readers: object) -> Finding:
    raise AssertionError("status looks at nothing")


SEEN_OR_SAID = with_step(
    GUIDE,
    "endpoint",
    checks=(Check("connection", "Connection", "", _never),),
    attest=Attestation("endpoint-approved", 1, lambda view: "It is approved.", unless_proven=True),
)


@pytest.mark.parametrize(
    ("verdict", "said", "wanted"),
    [
        (None, True, "attested"),
        (GOOD, False, "observed"),
        (GOOD, True, "observed"),
        (BAD, True, "failed"),  # what was seen beats what was said
        (COULD_NOT_LOOK, True, "attested"),  # a look that could not be made takes nothing back
        (COULD_NOT_LOOK, False, "could not look"),
        (NOT_YET, True, "not yet"),
        (None, False, "to do"),
    ],
)
def test_what_was_seen_beats_what_was_said(verdict: str | None, said: bool, wanted: str):
    more: list[Data] = [attested(ENDPOINT, guide=SEEN_OR_SAID)] if said else []
    if verdict:
        more.append(finding(BASE, ENDPOINT, "connection", verdict, SEEN_OR_SAID))
    assert status_of(snapshot_of(*FILLED, *more), SEEN_OR_SAID).item_steps[ENDPOINT].status == wanted


# ---------------------------------------------------------------- the last word


def dns(*verdicts: str, said: bool = False, records: str = "") -> str:
    """Step 5's status after looks from inside the cluster, one after the other."""
    more: list[Data] = [attested(DNS)] if said else []
    more += [finding(BASE, DNS, "records", records)] if records else []
    more += [finding(BASE, DNS, "cluster-lookup", verdict) for verdict in verdicts]
    return status(*more, place=DNS)


@pytest.mark.parametrize(
    ("verdict", "records", "said", "wanted"),
    [
        ("", GOOD, False, "observed"),
        (GOOD, "", False, "observed"),
        (GOOD, BAD, False, "observed"),  # another DNS than Azure's answers, and rightly
        (BAD, GOOD, False, "failed"),  # the zone is right, and the cluster does not ask it
        (BAD, "", True, "failed"),  # whoever said so was wrong
        (BAD, GOOD, True, "failed"),
        (NOT_YET, GOOD, True, "not yet"),
        (COULD_NOT_LOOK, GOOD, False, "observed"),
        (COULD_NOT_LOOK, BAD, False, "failed"),
        (COULD_NOT_LOOK, "", True, "attested"),
        (COULD_NOT_LOOK, "", False, "to do"),
    ],
)
def test_a_look_from_inside_the_cluster_is_the_last_word(verdict: str, records: str, said: bool, wanted: str):
    assert dns(*([verdict] if verdict else []), said=said, records=records) == wanted


@pytest.mark.parametrize(
    ("verdicts", "wanted"),
    [
        ((BAD, COULD_NOT_LOOK), "failed"),  # what was found stays found until somebody can look again
        ((NOT_YET, COULD_NOT_LOOK), "not yet"),
        ((GOOD, COULD_NOT_LOOK), "observed"),
        ((BAD, COULD_NOT_LOOK, GOOD), "observed"),
        ((GOOD, BAD, COULD_NOT_LOOK), "failed"),
    ],
)
def test_a_look_that_could_not_be_made_takes_the_last_word_from_nobody(verdicts: tuple[str, ...], wanted: str):
    assert dns(*verdicts, records=GOOD) == wanted
    assert dns(*verdicts, records=GOOD, said=True) == wanted
    seen = [*OBSERVED_7, finding(BASE, ENDPOINT, "endpoint", GOOD), finding(BASE, DNS, "records", GOOD)]
    seen += [finding(BASE, DNS, "cluster-lookup", verdict) for verdict in verdicts]
    missing = status_of(snapshot_of(*FILLED, *seen)).item_steps[MARK].reasons
    assert (missing == ()) == (wanted == "observed")


def at_dns(check: str, *verdicts: str) -> list[Data]:
    """What a check of step 5 found, one after the other."""
    return [finding(BASE, DNS, check, verdict) for verdict in verdicts]


INSIDE, RECORDS, HERE = "cluster-lookup", "records", "resolver-here"
AT_FIRST = [*at_dns(RECORDS, GOOD), *at_dns(HERE, GOOD), *at_dns(INSIDE, GOOD)]


@pytest.mark.parametrize(
    ("more", "word", "wanted"),
    [
        ([], True, "observed"),
        (at_dns(INSIDE, COULD_NOT_LOOK), True, "observed"),
        # The record was deleted since, and nobody could ask inside the cluster again.
        ([*at_dns(INSIDE, COULD_NOT_LOOK), *at_dns(RECORDS, BAD)], None, "failed"),
        ([*at_dns(RECORDS, BAD), *at_dns(INSIDE, COULD_NOT_LOOK)], None, "failed"),
        ([*at_dns(RECORDS, NOT_YET), *at_dns(INSIDE, COULD_NOT_LOOK)], None, "failed"),
        ([*at_dns(INSIDE, COULD_NOT_LOOK), *at_dns(RECORDS, BAD, BAD)], None, "failed"),
        # That Azure can't be asked either does not make it right again.
        ([*at_dns(INSIDE, COULD_NOT_LOOK), *at_dns(RECORDS, BAD, COULD_NOT_LOOK)], None, "to do"),
        ([*at_dns(INSIDE, COULD_NOT_LOOK), *at_dns(RECORDS, BAD, GOOD)], True, "observed"),
        # What turned before the cluster was asked last: it knew better then, and does now.
        ([*at_dns(RECORDS, BAD), *at_dns(INSIDE, GOOD, COULD_NOT_LOOK), *at_dns(RECORDS, BAD)], True, "observed"),
        ([*at_dns(INSIDE, COULD_NOT_LOOK), *at_dns(RECORDS, BAD), *at_dns(INSIDE, GOOD)], True, "observed"),
        ([*at_dns(INSIDE, BAD, COULD_NOT_LOOK), *at_dns(RECORDS, BAD)], False, "failed"),
        # From here it is public since then; the records, as far as they can tell, are right.
        ([*at_dns(INSIDE, COULD_NOT_LOOK), *at_dns(HERE, BAD)], None, "observed"),
    ],
)
def test_a_good_last_word_that_could_not_be_asked_again_stands_until_another_look_turns(
    more: list[Data], word: bool | None, wanted: str
):
    snapshot = snapshot_of(*FILLED, *AT_FIRST, *more)
    view = view_of(snapshot, DNS)
    assert (settled(view), status_of(snapshot).item_steps[DNS].status) == (word, wanted)
    last = {one.check: one.verdict for one in more if isinstance(one, Found)}
    bad = {check for check, verdict in last.items() if verdict == BAD}
    assert {one.check for one in bad_findings(view)} == (set() if word else bad)
    proven = [*OBSERVED_7, finding(BASE, ENDPOINT, "endpoint", GOOD)]
    missing = status_of(snapshot_of(*FILLED, *AT_FIRST, *more, *proven)).item_steps[MARK].reasons
    assert (missing == ()) == (word is True)


def test_a_look_that_never_was_good_turns_nothing():
    """Another DNS than Azure's answers the cluster, and this machine is outside of its network."""
    never = [*at_dns(RECORDS, BAD), *at_dns(HERE, BAD), *at_dns(INSIDE, GOOD, COULD_NOT_LOOK), *at_dns(RECORDS, BAD)]
    never += at_dns(HERE, BAD)
    assert settled(view_of(snapshot_of(*FILLED, *never), DNS)) is True
    elsewhere = FieldSet(item="endpoint/pe-weu", field="private_ip", value="10.20.1.9")
    other = finding(snapshot_of(*FILLED, elsewhere), DNS, RECORDS, GOOD)
    for_others = [other, *at_dns(INSIDE, GOOD), *at_dns(RECORDS, BAD), *at_dns(INSIDE, COULD_NOT_LOOK)]
    assert settled(view_of(snapshot_of(*FILLED, *for_others), DNS)) is True, "it was good for other values"


def test_the_last_answer_grows_old_whatever_came_since():
    answers = [finding(BASE, DNS, "cluster-lookup", verdict) for verdict in (GOOD, COULD_NOT_LOOK)]
    assert derive(GUIDE, snapshot_of(*FILLED, *answers), LATER).item_steps[DNS].status == "stale"


def test_what_others_are_answered_is_bad_only_until_the_cluster_is_answered_rightly():
    def bad(*more: Data) -> list[str]:
        return [one.check for one in bad_findings(view_of(snapshot_of(*FILLED, *more), DNS))]

    here = finding(BASE, DNS, "resolver-here", BAD)
    assert bad(here) == ["resolver-here"]
    assert bad(here, finding(BASE, DNS, "cluster-lookup", GOOD)) == []
    assert bad(here, finding(BASE, DNS, "cluster-lookup", BAD)) == ["cluster-lookup", "resolver-here"]
    assert bad(here, FieldSet(item="dpe/dpe-01", field="dpm_host", value="dpm-2.example.link")) == []


def test_the_last_step_asks_for_the_look_from_inside_the_cluster():
    seen = [*OBSERVED_7, finding(BASE, ENDPOINT, "endpoint", GOOD), finding(BASE, DNS, "records", GOOD)]
    assert status_of(snapshot_of(*FILLED, *seen)).item_steps[MARK].reasons == (
        "not observed yet: step 5 dpe-01 pe-weu",
    )
    seen.append(finding(BASE, DNS, "cluster-lookup", GOOD))
    assert status_of(snapshot_of(*FILLED, *seen)).item_steps[MARK].reasons == ()


# ---------------------------------------------------------------- age and drift


IN_A_WEEK, LATER = "2026-11-29T12:00:00.000000Z", "2026-11-29T12:00:01.000000Z"


def test_what_was_seen_too_long_ago_is_stale_and_what_was_said_is_not():
    seen = snapshot_of(*FILLED, *OBSERVED_7, attested(RESOURCE_ID))
    assert derive(GUIDE, seen, IN_A_WEEK).item_steps[UPDATE].status == "observed"
    stale = derive(GUIDE, seen, LATER).item_steps
    assert stale[UPDATE].status == "stale"
    assert stale[UPDATE].reasons == ("Release: looked at over 7 days ago", "Workloads: looked at over 7 days ago")
    assert stale[RESOURCE_ID].status == "attested"


def test_the_last_word_grows_old_even_where_somebody_said_so():
    seen = snapshot_of(*FILLED, attested(DNS), finding(BASE, DNS, "cluster-lookup", GOOD))
    assert derive(GUIDE, seen, IN_A_WEEK).item_steps[DNS].status == "observed"
    assert derive(GUIDE, seen, LATER).item_steps[DNS].status == "stale"


def drift(*more: Data) -> Drift | None:
    view = view_of(snapshot_of(*FILLED, *more), UPDATE)
    return drift_of(view, step_of(GUIDE, "update-dpe").checks[0])


def test_what_was_proven_and_is_no_longer_so_is_drift():
    found_now = drift(found(GOOD), found(BAD))
    assert found_now == Drift("release is good", NOW, "release is bad", NOW)
    assert found_now.told() == {"was": "release is good", "until": NOW, "is": "release is bad", "since": NOW}
    assert drift(found(GOOD), found(COULD_NOT_LOOK), found(NOT_YET)) is not None


def test_drift_says_since_when_it_is_as_it_says():
    def told(*more: Data) -> tuple[str, str]:
        snapshot = snapshot_of(*FILLED)
        for hour, one in enumerate(more, 1):
            late = msgspec.structs.replace(event(snapshot.seq + 1, one), ts=f"2026-11-23T0{hour}:00:00.000000Z")
            snapshot = fold(snapshot.header, [late], snapshot)
        shown = drift_of(view_of(snapshot, UPDATE), step_of(GUIDE, "update-dpe").checks[0])
        assert shown is not None
        return shown.found, shown.since[11:13]

    def says(text: str) -> Found:
        return msgspec.structs.replace(found(BAD), text=text)

    assert told(found(GOOD), says("public"), found(COULD_NOT_LOOK), says("public")) == ("public", "02")
    assert told(found(GOOD), says("scaled to zero"), says("mixed"), says("mixed")) == ("mixed", "03")


@pytest.mark.parametrize(
    "more",
    [
        [found(BAD)],  # it never was
        [found(GOOD)],
        [found(BAD), found(GOOD)],
        [found(GOOD), found(COULD_NOT_LOOK)],
        [found(GOOD), change(), ended(DONE), found(BAD)],  # our own doing
        [found(GOOD), found(BAD), FieldSet(item="dpe/dpe-01", field="version", value="16.3.0")],
    ],
)
def test_what_is_no_drift(more: list[Data]):
    assert drift(*more) is None


def test_what_is_gone_has_failed_though_it_looks_like_never_made():
    gone = finding(BASE, ENDPOINT, "endpoint", NOT_YET)
    assert status(gone, place=ENDPOINT) == "not yet"
    assert status(finding(BASE, ENDPOINT, "endpoint", GOOD), gone, place=ENDPOINT) == "failed"


# ---------------------------------------------------------------- another namespace, another cluster


def test_where_nobody_can_look_inside_yet_the_records_decide_and_the_last_step_waits():
    """The DPE is to be installed in the other namespace: step 7 comes after step 5, and there is nothing to look in."""
    elsewhere = FieldSet(item="dpe/dpe-01", field="namespace", value="other")
    unseen = [*FILLED, *at_dns(RECORDS, GOOD), *at_dns(INSIDE, COULD_NOT_LOOK), elsewhere]
    assert status_of(snapshot_of(*unseen)).item_steps[DNS].status == "observed", "there was no answer to grow old"
    there = [*FILLED, *at_dns(RECORDS, GOOD), *at_dns(INSIDE, GOOD), elsewhere]
    assert status_of(snapshot_of(*there)).item_steps[DNS].status == "stale", "nobody looked again"
    moved = snapshot_of(*there)
    there += [finding(moved, DNS, INSIDE, COULD_NOT_LOOK), finding(moved, ENDPOINT, "endpoint", GOOD)]
    found = status_of(snapshot_of(*there)).item_steps
    assert found[DNS].status == "observed"
    assert found[UPDATE].gate == () or DNS not in found[UPDATE].gate
    assert any("step 5" in reason for reason in found[MARK].reasons)


def test_what_was_seen_in_another_namespace_is_stale_and_the_records_are_not():
    there = [*FILLED, *AT_FIRST]
    assert settled(view_of(snapshot_of(*there), DNS)) is True
    there.append(FieldSet(item="dpe/dpe-01", field="namespace", value="other"))
    moved = status_of(snapshot_of(*there)).item_steps[DNS]
    assert (moved.status, moved.reasons) == ("stale", ("Inside the cluster: an input changed since",))


AT_ONE, AT_TWO = EnvironmentSet(kubeconfig="/one"), EnvironmentSet(kubeconfig="/two")
PIN = IdentityPinned(kind="cluster", facts={"server": "https://one:443", "uid": "1"})


@pytest.mark.parametrize(
    ("before", "after", "counts"),
    [
        ([AT_ONE], [], True),
        ([AT_ONE], [AT_TWO], False),
        ([AT_ONE], [EnvironmentSet(kubeconfig="/one", kube_context="c")], False),
        ([AT_ONE], [EnvironmentSet(kubeconfig="/one", helm="/helm", cloud="china")], True),
        ([AT_ONE], [AT_TWO, AT_ONE], False),
        ([AT_ONE, AT_TWO], [], True),
        # Looks made after the pin were of that cluster, whatever it is called elsewhere; those before may not be.
        ([AT_ONE, PIN], [AT_TWO], True),
        ([AT_ONE], [PIN, AT_TWO], False),
        ([AT_ONE], [AT_TWO, PIN], False),
        ([AT_ONE, PIN], [AT_TWO, IdentityPinned(kind="cluster", facts={"server": "https://two:443"})], False),
        ([AT_ONE], [IdentityPinned(kind="azure", facts={}), AT_TWO], False),
    ],
)
def test_what_was_seen_through_another_kubeconfig_or_context_is_stale(
    before: list[Data], after: list[Data], counts: bool
):
    def stale(*looks: Data) -> dict[ItemStep, tuple[str, ...]]:
        found = status_of(snapshot_of(*FILLED, *before, *looks, *after)).item_steps
        return {place: found[place].reasons for place in (DNS, UPDATE) if found[place].status == "stale"}

    why = "looked at through another kubeconfig or context"
    looks = [*at_dns(RECORDS, GOOD), *at_dns(INSIDE, GOOD), *OBSERVED_7]
    moved = {
        DNS: (f"Inside the cluster: {why}",),
        UPDATE: (f"Release: {why}", f"Workloads: {why}"),
    }
    assert stale(*looks) == ({} if counts else moved)
    again = snapshot_of(*FILLED, *before, *looks, *after, *looks)
    assert {status_of(again).item_steps[place].status for place in (DNS, UPDATE)} == {"observed"}
    # The last answer, too, though the last look could not be made.
    assert (DNS in stale(*looks, *at_dns(INSIDE, COULD_NOT_LOOK))) is not counts


def test_two_clusters_that_differ_are_no_drift():
    looks = [*FILLED, AT_ONE, found(GOOD), AT_TWO, found(BAD)]
    view = view_of(snapshot_of(*looks), UPDATE)
    assert drift_of(view, view.step.checks[0]) is None
    pinned = view_of(snapshot_of(*FILLED, PIN, *looks[len(FILLED) :]), UPDATE)
    assert drift_of(pinned, pinned.step.checks[0]) is not None


# ---------------------------------------------------------------- gates


TWO = [
    *items(
        *("subscription/good", "subscription/bad", "endpoint/pe-good", "endpoint/pe-bad", "dpe/x", "dpe/y"),
        links=[("dpe/x", "endpoint/pe-good"), ("dpe/y", "endpoint/pe-bad"), ("dpe/y", "endpoint/pe-good")],
    ),
    FieldSet(item="endpoint/pe-good", field="subscription", value="good"),
    FieldSet(item="endpoint/pe-bad", field="subscription", value="bad"),
    FieldSet(item=None, field="environment_name", value="production"),
    FieldSet(item="subscription/good", field="subscription_id", value="8d2f41c7-5b1e-4f0a-9a77-0c1d2e3f4a5b"),
    FieldSet(item="subscription/bad", field="subscription_id", value="9d2f41c7-5b1e-4f0a-9a77-0c1d2e3f4a5b"),
]


def gates(*more: Data) -> dict[str, list[str]]:
    return {
        str(place): [str(wait) for wait in found.gate]
        for place, found in status_of(snapshot_of(*TWO, *more)).item_steps.items()
    }


def test_a_gate_waits_for_what_the_item_refers_to_and_nothing_else():
    begun: list[Data] = [*TWO]
    for place in (ItemStep("connectivity"), ItemStep("register", ("subscription/good",))):
        begun.append(attested(place, *begun))
    shut = gates(*begun[len(TWO) :])
    assert shut["register bad"] == []
    assert shut["endpoint pe-good"] == []
    assert shut["endpoint pe-bad"] == ["register bad"]
    assert shut["dns x pe-good"] == ["endpoint pe-good"]
    assert shut["dns y pe-bad"] == ["endpoint pe-bad"]
    assert shut["resource-id pe-good"] == ["endpoint pe-good"]


def test_a_step_that_runs_once_waits_for_every_item():
    assert sorted(gates()["redeploy"]) == [
        "dns x pe-good",
        "dns y pe-bad",
        "dns y pe-good",
        "resource-id pe-bad",
        "resource-id pe-good",
    ]


def test_a_gate_on_a_step_without_items_stays_shut():
    assert gates_of_empty() == {"register": ["connectivity"], "redeploy": ["resource-id", "dns"]}


def gates_of_empty() -> dict[str, list[str]]:
    snapshot = snapshot_of(*items("subscription/one"))
    statuses = status_of(snapshot).item_steps
    wanted = {"register": ItemStep("register", ("subscription/one",)), "redeploy": ItemStep("redeploy")}
    return {name: [str(wait) for wait in statuses[place].gate] for name, place in wanted.items()}


def test_a_gate_stops_acting_never_looking():
    """The gate is a flag beside the status: what was seen shows although the step has to wait."""
    place = status_of(snapshot_of(*FILLED, found(BAD))).item_steps[UPDATE]
    assert place.status == "failed"
    assert place.gate == (ItemStep("redeploy"),)


# ---------------------------------------------------------------- proof


def waiver(reason: str = "no access to the cluster") -> ProofWaived:
    view = view_of(BASE, MARK)
    return ProofWaived(
        step=MARK.step, items=MARK.items, reason=reason, fingerprint=view.fingerprint("marked-updated", 1)
    )


OBSERVED_7 = [found(GOOD), found(GOOD, "workloads")]


def test_the_last_step_asks_for_what_was_observed():
    place = status_of(snapshot_of(*FILLED, *OBSERVED_7)).item_steps[MARK]
    assert place.status == "to do"
    assert place.reasons == ("not observed yet: step 3 pe-weu, step 5 dpe-01 pe-weu",)


def test_without_observed_proof_is_shown_with_its_reason():
    place = status_of(snapshot_of(*FILLED, *OBSERVED_7, waiver(), attested(MARK))).item_steps[MARK]
    assert (place.status, place.unproven) == ("attested", "no access to the cluster")


def test_a_waiver_does_not_outlive_its_inputs():
    other = FieldSet(item="dpe/dpe-01", field="version", value="16.3.0")
    place = status_of(snapshot_of(*FILLED, waiver(), attested(MARK), other)).item_steps[MARK]
    assert (place.status, place.unproven) == ("stale", "")


def test_proof_that_was_lost_reopens_the_last_step():
    lost = status_of(snapshot_of(*FILLED, *OBSERVED_7, attested(MARK), found(BAD))).item_steps[MARK]
    assert (lost.status, lost.reasons) == ("stale", ("no longer observed: step 7 dpe-01",))
    kept = status_of(snapshot_of(*FILLED, *OBSERVED_7, attested(MARK), found(COULD_NOT_LOOK))).item_steps[MARK]
    assert kept.status == "attested", "a look that could not be made takes nothing back"


# ---------------------------------------------------------------- fields


def states(*data: Data, place: ItemStep) -> dict[str, tuple[str, str]]:
    return {one.field.key: (one.state, one.source) for one in field_states(view_of(snapshot_of(*data), place))}


def test_a_field_says_where_its_value_comes_from_and_whether_it_is_right():
    shown = states(
        *ITEMS,
        FieldSet(item="dpe/dpe-01", field="version", value="16.2.0", source="answers"),
        FieldSet(item="dpe/dpe-01", field="release", value="Not A Release"),
        place=UPDATE,
    )
    assert shown["version"] == ("ok", "answers")
    assert shown["timeout"] == ("ok", "default")
    assert shown["release"] == ("wrong", "typed")
    assert shown["registry"] == ("empty", "")


def test_values_that_contradict_each_other_are_wrong():
    other_host = FieldSet(item="dpe/dpe-01", field="chart", value="oci://elsewhere.example.com/helm/ataccama-one-dpe")
    place = status_of(snapshot_of(*FILLED, other_host)).item_steps[UPDATE]
    assert place.status == "needs input"
    assert "elsewhere.example.com" in place.reasons[0]


def test_an_endpoint_of_an_unregistered_subscription_is_wrong():
    foreign = "/subscriptions/00000000-1111-2222-3333-444444444444/resourceGroups/rg-net-data"
    data = FieldSet(
        item="endpoint/pe-weu",
        field="endpoint_id",
        value=f"{foreign}/providers/Microsoft.Network/privateEndpoints/pe-weu",
    )
    assert states(*FILLED, data, place=RESOURCE_ID)["endpoint_id"][0] == "wrong"


# ---------------------------------------------------------------- whatever stands in the journal


NAMES = st.sampled_from(["subscription/a", "subscription/b", "endpoint/a", "endpoint/b", "dpe/a", "ghost/a", "x"])
STEPS = st.sampled_from([step.id for step in GUIDE.steps] + ["no-such-step"])
KEYS = st.sampled_from([*GUIDE.fields(), "subscription", "no-such-field"])
TEXTS = st.one_of(
    st.none(), st.text(max_size=8), st.sampled_from(["a", "b", *(value for _, _, value in VALUES), "\x1b[31m"])
)
SOME = st.lists(NAMES, max_size=2).map(tuple)
PRINTS = st.sampled_from(["", "0" * 64])
EVENTS = st.one_of(
    st.builds(ItemAdded, item=NAMES),
    st.builds(ItemRemoved, item=NAMES),
    st.builds(Linked, source=NAMES, target=NAMES),
    st.builds(FieldSet, item=st.one_of(st.none(), NAMES), field=KEYS, value=TEXTS),
    st.builds(RouteChosen, step=STEPS, items=SOME, route=st.sampled_from(["hand off", "already done", "?"])),
    st.builds(
        Found,
        step=STEPS,
        items=SOME,
        check=st.sampled_from(["release", "workloads", "cluster-lookup", "records", "resolver-here", "?"]),
        verdict=st.sampled_from([GOOD, BAD, NOT_YET, COULD_NOT_LOOK, "?"]),
        text=st.text(max_size=4),
        fingerprint=PRINTS,
    ),
    st.builds(
        Attested,
        step=STEPS,
        items=SOME,
        text_id=st.sampled_from(["subscription-registered", "marked-updated", "?"]),
        revision=st.integers(0, 3),
        text=st.text(max_size=4),
        fingerprint=PRINTS,
    ),
    st.builds(ProofWaived, step=STEPS, items=SOME, reason=st.text(max_size=4), fingerprint=PRINTS),
    st.builds(ModeSet, mode=st.sampled_from(["self-service", "?"])),
    st.builds(ChangeStarted, change=st.sampled_from("cd"), step=STEPS, items=SOME, summary=st.just("s")),
    st.builds(ChangeFinished, change=st.sampled_from("cd"), outcome=st.sampled_from([DONE, "?"]), summary=st.just("s")),
)


@settings(max_examples=150)
@given(st.lists(EVENTS, max_size=30))
def test_status_never_raises_and_never_depends_on_the_clock(events: list[Data]):
    snapshot = snapshot_of(*events)
    found = derive(GUIDE, snapshot, NOW)
    assert set(found.steps) == {step.id for step in GUIDE.steps}
    assert set(found.steps.values()) <= set(STATUSES)
    assert 0 <= found.done_steps <= len(GUIDE.steps)
    assert derive(GUIDE, snapshot, NOW) == found, "the same arguments give the same answer"
    for place, one in found.item_steps.items():
        assert one.item_step == place
        assert STATUSES.index(found.steps[place.step]) <= STATUSES.index(one.status)
