"""The session: intents become events, and what is refused leaves no trace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from state.actor import current_actor
from state.events import (
    COULD_NOT_LOOK,
    GOOD,
    Attested,
    ChangeStarted,
    EnvironmentSet,
    FieldSet,
    FileFacts,
    Found,
    GuideRef,
    ProofWaived,
)
from state.problem import EXIT_NOT_YET, Problem
from state.store import Store
from tests.setups import DPM, MINIO, SUBSCRIPTION, VALUES, make_setup
from tests.state.make_journal import lines_of
from tests.wizard.engine import (
    DNS,
    ENDPOINT,
    GUIDE,
    MARK,
    RESOURCE_ID,
    TOKEN,
    UPDATE,
    Cluster,
    Helm,
    Resolver,
    attest_until,
    fill,
    journalled,
    opened,
    refused,
    release,
    step_of,
    with_step,
)
from tests.wizard.engine import (
    SUBSCRIPTION as REGISTER,
)
from wizard.current import why_stale
from wizard.guide import ALREADY_DONE, Check, Finding, ItemStep, Plan
from wizard.ports import Readers, Workload
from wizard.session import Session
from wizard.view import View

RIGHT = {DPM: ("10.20.1.4",), MINIO: ("10.20.1.4",)}


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """A filled setup; its resolver answers with the endpoint's address."""
    return fill(opened(tmp_path, Readers(dns=Resolver(RIGHT))))


# ---------------------------------------------------------------- fields


def test_what_is_committed_is_normalised_and_on_disk(tmp_path: Path):
    session = opened(tmp_path)
    session.add_item("subscription", "main")
    commit = session.set_field("subscription/main", "subscription_id", f'  "{SUBSCRIPTION.upper()}"\n')
    assert commit.changed and commit.parsed.ok
    assert journalled(session)[-1].data.value == SUBSCRIPTION  # type: ignore[attr-defined]
    assert session.snapshot.value("subscription/main", "subscription_id") == SUBSCRIPTION


def test_a_wrong_value_is_not_written(tmp_path: Path):
    session = opened(tmp_path)
    session.add_item("subscription", "main")
    before = journalled(session)
    commit = session.set_field("subscription/main", "subscription_id", "my subscription")
    assert not commit.changed and commit.parsed.message
    assert journalled(session) == before


def test_the_same_value_again_is_no_event_and_nothing_clears(session: Session):
    before = len(journalled(session))
    assert not session.set_field("endpoint/pe-weu", "private_ip", " 10.20.1.4 ").changed
    assert len(journalled(session)) == before
    assert session.set_field("endpoint/pe-weu", "private_ip", "  ").changed
    assert session.snapshot.value("endpoint/pe-weu", "private_ip") is None
    assert not session.set_field("endpoint/pe-weu", "private_ip", "").changed


def test_intents_that_make_no_sense_are_refused_and_leave_no_trace(session: Session):
    before = journalled(session)
    for code, work in {
        "no-such-item": lambda: session.set_field("endpoint/other", "private_ip", "10.0.0.1"),
        "no-such-field": lambda: session.set_field(None, "colour", "red"),
        "secret-field": lambda: session.set_field("dpe/dpe-01", "token", TOKEN.reveal()),
        "unknown-kind": lambda: session.add_item("cluster", "one"),
        "bad-item-name": lambda: session.add_item("endpoint", "../../etc"),
        "cannot-link": lambda: session.link("endpoint/pe-weu", "dpe/dpe-01"),
        "no-such-reference": lambda: session.set_reference("dpe/dpe-01", "subscription", "main"),
        "unknown-mode": lambda: session.set_mode("hybrid?"),
        "unknown-probe": lambda: session.consent("root"),
        "no-such-route": lambda: session.choose_route(UPDATE, ALREADY_DONE),
        "no-such-step": lambda: session.view(ItemStep("step-nine")),
        "no-proof-asked": lambda: session.waive_proof(ENDPOINT, "because"),
        "no-reason": lambda: session.waive_proof(MARK, " \x1b[0m "),
    }.items():
        problem = refused(work)
        assert problem.code == code
        assert TOKEN.reveal() not in str(problem)
    assert journalled(session) == before


def test_what_is_there_already_is_not_written_again(session: Session):
    before = journalled(session)
    session.add_item("endpoint", "pe-weu")
    session.link("dpe/dpe-01", "endpoint/pe-weu")
    session.set_mode("self-service")
    assert journalled(session) == before


def test_a_removed_item_takes_its_values_and_places_along(session: Session):
    session.remove_item("endpoint/pe-weu")
    assert session.snapshot.value("endpoint/pe-weu", "private_ip") is None
    assert DNS not in session.status().item_steps
    session.add_item("endpoint", "pe-weu")
    assert session.snapshot.value("endpoint/pe-weu", "private_ip") is None


# ---------------------------------------------------------------- confirming


def test_a_confirmation_holds_the_exact_text_and_where_it_came_from(session: Session):
    session.attest(ItemStep("connectivity"))
    session.attest(REGISTER, answers_sha256="a" * 64)
    data = journalled(session)[-1].data
    assert isinstance(data, Attested)
    assert data.text == f"In the portal, the subscription {SUBSCRIPTION} is registered."
    assert (data.text_id, data.revision, data.answers_sha256) == ("subscription-registered", 1, "a" * 64)
    assert session.status().item_steps[REGISTER].status == "attested"


async def test_the_same_answer_of_another_cluster_is_written_down_at_once(tmp_path: Path):
    session = fill(opened(tmp_path, Readers(helm=Helm(release(1)), cluster=Cluster())))
    values = tmp_path / "values.yml"
    values.write_text("dpe: 1\n")
    session.set_field("dpe/dpe-01", "values_file", str(values))
    session.set_environment(EnvironmentSet(kubeconfig="/one"))

    async def workloads() -> tuple[int, str]:
        await session.look(UPDATE)
        check = next(one for one in session.guide.steps[6].checks if one.id == "workloads")
        written = [one for one in journalled(session, "found") if getattr(one.data, "check", "") == "workloads"]
        return len(written), why_stale(session.view(UPDATE), check)

    assert await workloads() == (1, "")
    assert await workloads() == (1, ""), "the same again is no news"
    session.set_environment(EnvironmentSet(kubeconfig="/one", kube_context="other"))
    assert await workloads() == (2, ""), "what was seen before does not count any more"
    assert await workloads() == (2, "")


async def test_a_look_during_which_another_cluster_is_pointed_to_is_not_remembered(tmp_path: Path):
    session = fill(opened(tmp_path))
    session.set_environment(EnvironmentSet(kubeconfig="/one"))

    class Moves(Cluster):
        async def workloads(self, release: str, namespace: str) -> tuple[Workload, ...]:
            session.set_environment(EnvironmentSet(kubeconfig="/two"))
            return self.running

    session.readers = Readers(helm=Helm(release(1)), cluster=Moves())
    before = session.snapshot
    found = await session.look(UPDATE)
    assert {one.check for one in found} == {"release", "workloads", "hosts"}
    assert session.snapshot.findings == {}
    assert not any(session.about_now(one, before) for one in found)


def test_a_shut_gate_refuses_a_confirmation(session: Session):
    before = journalled(session)
    problem = refused(lambda: session.attest(ENDPOINT))
    assert (problem.code, problem.exit_code) == ("gate-shut", EXIT_NOT_YET)
    assert "step 2 main" in problem.what
    assert journalled(session) == before


async def test_the_last_step_wants_proof_or_a_reason(tmp_path: Path):
    session = fill(opened(tmp_path, Readers(dns=Resolver(RIGHT), helm=Helm(release(1)), cluster=Cluster())))
    attest_until(session, "redeploy")
    values = tmp_path / "values.yml"
    values.write_text("dpe: 1\n")
    session.set_field("dpe/dpe-01", "values_file", str(values))
    for check in ("release", "workloads"):
        view = session.view(UPDATE)
        session.record(
            Found(
                step=UPDATE.step,
                items=UPDATE.items,
                check=check,
                verdict=GOOD,
                text="seen",
                fingerprint=view.fingerprint(check, 1),
            )
        )
    assert session.status().item_steps[UPDATE].status == "observed"
    problem = refused(lambda: session.attest(MARK))
    assert (problem.code, problem.exit_code) == ("not-observed", EXIT_NOT_YET)
    assert "step 3 pe-weu, step 5 dpe-01 pe-weu" in problem.what
    session.waive_proof(MARK, "the cluster\nis not\x1b[2J reachable")
    waived = journalled(session)[-1].data
    assert isinstance(waived, ProofWaived) and waived.reason == "the cluster is not reachable"
    session.attest(MARK)
    assert session.status().item_steps[MARK].unproven == "the cluster is not reachable"
    # Another version makes the reason old, as it makes the proof old.
    session.set_field("dpe/dpe-01", "version", "16.3.0")
    assert refused(lambda: session.attest(MARK)).code == "gate-shut"


def test_a_step_that_is_looked_at_has_nothing_to_confirm(session: Session):
    assert refused(lambda: session.attest(UPDATE)).code == "nothing-to-attest"


def test_a_route_is_written_once(session: Session):
    session.choose_route(ENDPOINT, ALREADY_DONE)
    before = len(journalled(session))
    session.choose_route(ENDPOINT, ALREADY_DONE)
    assert len(journalled(session)) == before


# ---------------------------------------------------------------- looking


def resolved(session: Session) -> list[Any]:
    """The findings of one look, that at the resolver, as they are on disk."""
    return [
        one for one in journalled(session, "found") if isinstance(one.data, Found) and one.data.check == "resolver-here"
    ]


async def test_an_unchanged_finding_is_written_once(session: Session):
    for _ in range(3):
        await session.look(DNS)
    assert [one.data.verdict for one in resolved(session)] == [GOOD]
    await session.look(DNS, closes=True)
    assert len(resolved(session)) == 2, "closing a step keeps what it was closed on"


async def test_another_verdict_answer_or_input_is_news(session: Session):
    session.readers = Readers(dns=Resolver(RIGHT))
    await session.look(DNS)
    session.readers = Readers(dns=Resolver({**RIGHT, MINIO: ("52.0.0.1",)}))  # verdict
    await session.look(DNS)
    session.readers = Readers(dns=Resolver({**RIGHT, MINIO: ("52.0.0.2",)}))  # answer alone
    await session.look(DNS)
    session.set_field("endpoint/pe-weu", "private_ip", "10.20.1.5")  # input
    await session.look(DNS)
    assert len(resolved(session)) == 4
    await session.look(DNS)
    assert len(resolved(session)) == 4


async def test_why_it_could_not_be_looked_at_is_news_when_it_is_another_reason(tmp_path: Path):
    """Such a finding has no evidence to compare, and the screen shows what was written last."""
    cluster = Cluster(failure=Problem("cluster-refused", "The connection was refused.", todo="Check the address."))
    session = fill(opened(tmp_path, Readers(cluster=cluster, helm=Helm())))

    async def seen() -> tuple[int, str, str]:
        await session.look(UPDATE)
        written = [one.data for one in journalled(session, "found")]
        kept = session.snapshot.findings[UPDATE.step, UPDATE.items, "workloads"].data
        return sum(isinstance(one, Found) and one.check == "workloads" for one in written), kept.text, kept.todo

    assert await seen() == (1, "The connection was refused.", "Check the address.")
    assert (await seen())[0] == 1, "and no news while it stays the same"
    cluster.failure = Problem("cluster-unauthorized", "The credentials have expired.", todo="Log in again.")
    assert await seen() == (2, "The credentials have expired.", "Log in again.")
    cluster.failure = Problem("cluster-unauthorized", "The credentials have expired.", todo="Run `az login`.")
    assert await seen() == (3, "The credentials have expired.", "Run `az login`.")
    cluster.failure = Problem("cluster-busy", "The pod probe-4f0c2a is left.", todo="Wait 17 seconds.")
    assert (await seen())[0] == 4
    cluster.failure = Problem("cluster-busy", "The pod probe-9e11bd is left.", todo="Wait 4 seconds.")
    assert (await seen())[0] == 4, "what is another one each time is no news"


async def test_an_unchanged_finding_is_written_again_after_a_quarter_of_an_hour(session: Session, tmp_path: Path):
    """The same events, but written months ago: then the same answer is worth a line, and after that it is not."""
    await session.look(DNS)
    old = Store(tmp_path / "old")
    make_setup(old.state_dir, "demo")
    lines = lines_of([one.data for one in journalled(session)], "demo", GuideRef(id=GUIDE.id, version=1))
    old.path_of("demo").write_bytes(b"\n".join(lines) + b"\n")
    with old.open("demo") as writer:
        again = Session(writer, GUIDE, current_actor("run"), readers=session.readers)
        for wanted in (2, 2):
            await again.look(DNS)
            assert len(resolved(again)) == wanted


async def test_one_slow_or_failing_look_does_not_hold_up_the_others(tmp_path: Path):
    async def slow(view: View, readers: Readers) -> Finding:
        assert readers.cluster is not None
        await readers.cluster.identity()
        return Finding(GOOD, "in time")

    async def forbidden(view: View, readers: Readers) -> Finding:
        raise Problem("forbidden", "secrets is forbidden.", means="A right is missing.", todo="Ask for it.")

    async def quick(view: View, readers: Readers) -> Finding:
        return Finding(GOOD, "seen")

    checks = (
        Check("slow", "Slow", "look again", slow, deadline=0.05),
        Check("forbidden", "Forbidden", "", forbidden),
        Check("quick", "Quick", "", quick),
    )
    guide = with_step(GUIDE, "dns", checks=checks)
    session = fill(opened(tmp_path, Readers(cluster=Cluster(delay=30)), guide=guide))
    found = {one.check: one for one in await session.look(DNS)}
    assert found["slow"].verdict == COULD_NOT_LOOK and "0.05 s" in found["slow"].text
    assert found["slow"].todo == "look again"
    assert found["forbidden"].verdict == COULD_NOT_LOOK
    assert found["forbidden"].text == "secrets is forbidden. A right is missing."
    assert found["quick"].verdict == GOOD
    assert session.status().item_steps[DNS].status == "could not look"


# ---------------------------------------------------------------- acting


async def test_acting_waits_at_a_shut_gate_and_planning_does_not(tmp_path: Path):
    helm = Helm()
    session = fill(opened(tmp_path, Readers(helm=helm, cluster=Cluster())))
    values = tmp_path / "values.yml"
    values.write_text("dpe: 1\n")
    session.set_field("dpe/dpe-01", "values_file", str(values))
    plan = await session.plan(UPDATE)
    assert not plan.empty
    with pytest.raises(Problem) as caught:
        await session.apply(UPDATE, plan, lambda moment: None)
    assert caught.value.code == "gate-shut"
    assert helm.calls == []
    assert journalled(session, "change_started") == []


async def test_a_step_without_an_action_can_neither_be_planned_nor_applied(session: Session):
    for work in (session.plan(RESOURCE_ID), session.apply(RESOURCE_ID, Plan(()), print)):
        with pytest.raises(Problem) as caught:
            await work
        assert caught.value.code == "nothing-to-do"


async def test_an_interrupted_change_of_a_step_without_action_ends_unknown(session: Session):
    session.commit(ChangeStarted(change="c", step=RESOURCE_ID.step, items=RESOURCE_ID.items, summary="add it"))
    (change,) = session.interrupted()
    await session.resume(change, lambda moment: None)
    assert session.interrupted() == ()
    assert journalled(session)[-1].data.outcome == "unknown"  # type: ignore[attr-defined]


# ---------------------------------------------------------------- secrets


def test_a_held_secret_can_not_get_into_the_journal_by_another_field(session: Session):
    session.hold_secret("dpe/dpe-01", "token", TOKEN, user="dpe-user")
    before = session._writer.path.read_bytes()
    for spelling in (TOKEN.reveal(), f"x{TOKEN.reveal()}y", *TOKEN.spellings("dpe-user")):
        problem = refused(lambda text=spelling: session.waive_proof(MARK, text))  # type: ignore[misc]
        assert spelling not in str(problem) + problem.detail
    assert session._writer.path.read_bytes() == before
    view = session.view(UPDATE)
    assert session.secrets_for(view) == {"token": TOKEN}
    assert session.secrets_for(session.view(ENDPOINT)) == {}


# ---------------------------------------------------------------- another person's setup


def test_the_environment_is_written_again_by_whoever_confirms_it(tmp_path: Path):
    make_setup(tmp_path / "state", "demo")  # by ada on build-01
    actor = current_actor("run")
    with Store(tmp_path / "state").open("demo") as writer:
        session = Session(writer, GUIDE, actor)
        assert not session.environment_is_ours()
        environment = session.snapshot.environment
        assert environment is not None
        session.set_environment(environment.data)
        assert session.environment_is_ours()
        before = len(journalled(session))
        session.set_environment(environment.data)
        assert len(journalled(session)) == before
        session.set_environment(EnvironmentSet(sandbox=True, kubeconfig="/other"))
        assert len(journalled(session)) == before + 1
        problem = refused(lambda: session.set_environment(EnvironmentSet(kubeconfig="/other")))
        assert problem.code == "sandbox-is-permanent"


def test_a_session_goes_on_where_the_last_one_ended(tmp_path: Path):
    first = fill(opened(tmp_path))
    first.attest(ItemStep("connectivity"))
    seen, head = first.status().item_steps, first.snapshot.head
    first._writer.close()
    assert step_of(GUIDE, "connectivity").number == 1
    with Store(tmp_path / "state").open("demo") as writer:
        again = Session(writer, GUIDE, current_actor("run"))
        assert (again.status().item_steps, again.snapshot.head) == (seen, head)


# ---------------------------------------------------------------- taking answers back


def last_field_set(session: Session) -> FieldSet:
    data = journalled(session, "field_set")[-1].data
    assert isinstance(data, FieldSet)
    return data


def test_answers_are_taken_back_one_after_the_other_and_never_to_and_fro(session: Session):
    for address in ("10.20.1.5", "10.20.1.6"):
        session.set_field("endpoint/pe-weu", "private_ip", address)
    session.set_field("dpe/dpe-01", "version", "16.3.0")
    told = [session.undo() for _ in range(3)]
    assert [(undo.field.key, undo.owner, undo.taken_back, undo.restored) for undo in told if undo] == [
        ("version", "dpe/dpe-01", "16.3.0", "16.2.0"),
        ("private_ip", "endpoint/pe-weu", "10.20.1.6", "10.20.1.5"),
        ("private_ip", "endpoint/pe-weu", "10.20.1.5", "10.20.1.4"),
    ]
    assert session.snapshot.value("endpoint/pe-weu", "private_ip") == "10.20.1.4"
    assert session.snapshot.value("dpe/dpe-01", "version") == "16.2.0"
    written = last_field_set(session)
    assert (written.field, written.value, written.source) == ("private_ip", "10.20.1.4", "undo")


def test_the_first_answer_leaves_the_field_empty_and_then_nothing_is_left(tmp_path: Path):
    session = opened(tmp_path)
    assert (session.undoable(), session.undo()) == (None, None)
    session.set_field(None, "environment_name", "production")
    undo = session.undo()
    assert undo is not None and (undo.taken_back, undo.restored) == ("production", None)
    assert session.snapshot.value(None, "environment_name") is None
    before = journalled(session)
    assert (session.undoable(), session.undo()) == (None, None)
    assert journalled(session) == before


def test_a_cleared_field_comes_back(session: Session):
    session.set_field("endpoint/pe-weu", "private_ip", "")
    undo = session.undo()
    assert undo is not None and (undo.taken_back, undo.restored) == (None, "10.20.1.4")
    assert session.snapshot.value("endpoint/pe-weu", "private_ip") == "10.20.1.4"


def test_an_answer_after_an_undo_is_taken_back_first(session: Session):
    session.set_field("endpoint/pe-weu", "private_ip", "10.20.1.5")
    session.undo()
    session.set_field("endpoint/pe-weu", "private_ip", "10.20.1.7")
    undo = session.undo()
    assert undo is not None and (undo.taken_back, undo.restored) == ("10.20.1.7", "10.20.1.4")
    undo = session.undo()
    assert undo is not None and undo.field.key == VALUES[-1][1], "the last answer of the filled setup"


def test_what_would_be_taken_back_is_told_without_doing_it(session: Session):
    session.set_field("endpoint/pe-weu", "private_ip", "10.20.1.5")
    before = journalled(session)
    told = session.undoable()
    assert journalled(session) == before
    assert session.undo() == told


def test_what_a_file_held_comes_back_with_it(session: Session):
    old, new = FileFacts(sha256="a" * 64, hosts=(DPM,)), FileFacts(sha256="b" * 64)
    for facts in (old, new):
        session.set_field("dpe/dpe-01", "values_file", "/tmp/values.yml", file=facts)
    session.undo()
    assert last_field_set(session).file == old
    assert session.view(UPDATE).setting("values_file") == last_field_set(session)


def test_what_is_not_an_answer_is_not_taken_back(tmp_path: Path):
    """Items, links, references, routes and secrets; and what did not change or did not parse was no answer."""
    session = opened(tmp_path)
    session.set_field(None, "environment_name", "production")
    session.add_item("subscription", "main")
    session.add_item("endpoint", "pe-weu")
    session.add_item("dpe", "dpe-01")
    session.link("dpe/dpe-01", "endpoint/pe-weu")
    session.set_reference("endpoint/pe-weu", "subscription", "main")
    session.choose_route(ENDPOINT, ALREADY_DONE)
    session.hold_secret("dpe/dpe-01", "token", TOKEN)
    session.set_field(None, "environment_name", "production")
    session.set_field("endpoint/pe-weu", "private_ip", "no address")
    undo = session.undo()
    assert undo is not None and undo.field.key == "environment_name"
    assert session.undo() is None
    assert session.snapshot.value("endpoint/pe-weu", "subscription") == "main"
    assert TOKEN.reveal() not in repr(undo)


def test_answers_of_a_removed_item_are_gone_with_it(session: Session):
    session.set_field("dpe/dpe-01", "version", "16.3.0")
    session.set_field("endpoint/pe-weu", "private_ip", "10.20.1.5")
    session.remove_item("endpoint/pe-weu")
    session.add_item("endpoint", "pe-weu")
    undo = session.undo()
    assert undo is not None and undo.field.key == "version"
    assert session.snapshot.values.get("endpoint/pe-weu", {}) == {}


def test_an_undo_that_could_not_be_written_can_be_asked_for_again(session: Session):
    """The value it would bring back is a secret by now, so the journal refuses it: nothing is lost or skipped."""
    session.set_field("dpe/dpe-01", "release", TOKEN.reveal())
    session.set_field("dpe/dpe-01", "release", "dpe-02")
    told = session.undoable()
    session.hold_secret("dpe/dpe-01", "token", TOKEN)
    before = journalled(session)
    problem = refused(session.undo)
    assert TOKEN.reveal() not in str(problem)
    assert (journalled(session), session.undoable()) == (before, told)
    assert session.snapshot.value("dpe/dpe-01", "release") == "dpe-02"


def test_what_was_answered_before_the_setup_was_opened_stays(tmp_path: Path):
    fill(opened(tmp_path))._writer.close()
    with Store(tmp_path / "state").open("demo") as writer:
        assert Session(writer, GUIDE, current_actor("run")).undoable() is None
