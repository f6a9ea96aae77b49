"""`check`: every look again, its text, its JSON and its exit codes (DESIGN.md section 5)."""

from __future__ import annotations

import hashlib
import io
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from aiohttp import web

from state.events import BAD, COULD_NOT_LOOK, GOOD, NOT_YET, EnvironmentSet, Found
from state.problem import EXIT_BAD, EXIT_NOT_YET, EXIT_OK
from state.store import Store
from tests.setups import DPM, MINIO
from tests.wizard.engine import (
    ACTOR,
    DNS,
    ENDPOINT,
    GUIDE,
    UPDATE,
    Resolver,
    attest_until,
    fill,
    finding,
    journalled,
    opened,
)
from wizard import commands, output
from wizard.checking import as_text, document, exit_code, look_at_all, with_findings
from wizard.evidence import evidence, redacted
from wizard.guide import ItemStep
from wizard.output import Progress, document_text
from wizard.ports import Readers
from wizard.session import Session

SCHEMA = Path(__file__).parents[2] / "docs" / "check.schema.json"


def body(*statuses: str, verdicts: tuple[str, ...] = (), settled: bool | None = None) -> dict[str, Any]:
    """A check's answer with one item per status; the verdicts belong to the first, and the last word."""
    first = {"settled": settled, "findings": [{"verdict": verdict} for verdict in verdicts]}
    others: dict[str, Any] = {"settled": None, "findings": []}
    items = [{"status": status, **(others if number else first)} for number, status in enumerate(statuses)]
    return {"steps": [{"status": item["status"], "items": [item]} for item in items]}


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (body("observed", "attested", "reported"), EXIT_OK),
        (body("observed", "to do"), EXIT_NOT_YET),
        (body("could not look"), EXIT_NOT_YET),
        (body("stale"), EXIT_NOT_YET),
        (body("needs input"), EXIT_NOT_YET),
        (body("to do", "failed"), EXIT_BAD),
        (body("failed", "to do"), EXIT_BAD),
        (body("attested", "to do", verdicts=(BAD,)), EXIT_BAD),  # bad advice counts, although it decides no status
        (body("attested", verdicts=(COULD_NOT_LOOK,)), EXIT_OK),
        (body("observed", verdicts=(BAD, GOOD), settled=True), EXIT_OK),  # the cluster knows better
        (body("observed", verdicts=(BAD, COULD_NOT_LOOK), settled=True), EXIT_OK),  # and did, when it was asked last
        (body("observed", verdicts=(BAD, COULD_NOT_LOOK)), EXIT_BAD),
        (body("failed", verdicts=(GOOD,), settled=True), EXIT_BAD),
        ({"steps": [{"status": "needs input", "items": []}]}, EXIT_NOT_YET),
        ({"steps": []}, EXIT_OK),
    ],
    ids=range(15),
)
def test_one_beats_three_and_attested_counts_as_ok(given: dict[str, Any], code: int):
    assert exit_code(given) == code


async def test_a_look_is_shown_and_recorded_once(tmp_path: Path):
    session = fill(opened(tmp_path))
    attest_until(session, "dns")
    readers = Readers(dns=Resolver({DPM: ("10.20.1.4",), MINIO: ("52.0.0.1",)}))
    found = await look_at_all(GUIDE, session.snapshot, GUIDE.steps, readers)
    verdicts = {one.check: one.verdict for one in found}
    unseen = ("subscription", "endpoint", "other-endpoints", "live-id", "cluster-lookup", "records")
    azure = dict.fromkeys(unseen, COULD_NOT_LOOK)
    cluster = dict.fromkeys(("release", "workloads", "hosts"), COULD_NOT_LOOK)
    assert verdicts == {**azure, **cluster, "resolver-here": BAD}
    before = len(journalled(session))
    for one in found:
        session.record(one)
    for one in await look_at_all(GUIDE, session.snapshot, GUIDE.steps, readers):
        session.record(one)
    assert len(journalled(session)) == before + len(verdicts)
    shown = document("demo", GUIDE, session.snapshot, GUIDE.steps, recorded=True)
    assert exit_code(shown) == EXIT_BAD
    assert shown["head"] == session.snapshot.head
    assert "52.0.0.1" in as_text(shown)


async def test_a_look_that_is_not_recorded_shows_the_same(tmp_path: Path):
    session = fill(opened(tmp_path))
    readers = Readers(dns=Resolver({DPM: ("10.20.1.4",), MINIO: ("10.20.1.4",)}))
    before = journalled(session)
    found = await look_at_all(GUIDE, session.snapshot, GUIDE.steps, readers)
    shown = document("demo", GUIDE, with_findings(session.snapshot, found, ACTOR), GUIDE.steps, recorded=False)
    (dns,) = shown["steps"][4]["items"]
    assert [(one["check"], one["verdict"]) for one in dns["findings"]] == [
        ("cluster-lookup", COULD_NOT_LOOK),
        ("records", COULD_NOT_LOOK),
        ("resolver-here", GOOD),
    ]
    assert as_text(shown).splitlines()[0].endswith("not recorded")
    assert journalled(session) == before


# As a pod that could not sign in says as it dies. No real token, and it is what a guard was never told of.
BEARER = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJkcGUtMDEiLCJhdWQiOiJkcG0ifQ.c2lnbmF0dXJlLW9mLW5vdGhpbmc"
LABELS = {"app": "dpe", "app.kubernetes.io/instance": "dpe-01"}


async def crashing(request: web.Request) -> web.Response:
    """A Kubernetes API with one Deployment, whose pod crashes."""
    died = {"reason": "Error", "exitCode": 1, "message": f"401 for Authorization: Bearer {BEARER}"}
    statuses = [{"name": "dpe", "lastState": {"terminated": died}}]
    pod = {"metadata": {"name": "dpe-1", "labels": LABELS}, "status": {"containerStatuses": statuses}}
    deployment = {
        "metadata": {"name": "dpe", "labels": LABELS},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "dpe"}}},
    }
    lists = {"pods": [pod], "deployments": [deployment]}
    return web.json_response({"items": lists.get(request.path.rpartition("/")[2], [])})


@pytest.fixture
async def crashing_cluster(tmp_path: Path) -> AsyncIterator[EnvironmentSet]:
    """An environment whose cluster is `crashing`."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", crashing)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    lists = {
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{runner.addresses[0][1]}"}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(lists))
    yield EnvironmentSet(sandbox=True, kubeconfig=str(path), kube_context="c", helm=str(tmp_path / "no-helm"))
    await runner.cleanup()


@pytest.mark.parametrize("locked", [True, False], ids=["not recorded", "recorded"])
async def test_what_a_pod_says_is_shown_as_it_is_journalled(
    tmp_path: Path, crashing_cluster: EnvironmentSet, capsys: pytest.CaptureFixture[str], locked: bool
):
    session = fill(opened(tmp_path))
    session.set_environment(crashing_cluster)
    if not locked:
        session._writer.close()
    store = Store(tmp_path / "state")
    steps = tuple(step for step in GUIDE.steps if step.id == UPDATE.step)
    for form in ("text", "json"):
        code = await commands._check(store, store.read("demo"), GUIDE, steps, form, allow_probe_pod=False)
        told = capsys.readouterr()
        assert code == EXIT_BAD
        assert "401 for Authorization: Bearer ********" in told.out
        assert BEARER not in told.out + told.err
    shown = json.loads(told.out)
    (found,) = (one for one in shown["steps"][0]["items"][0]["findings"] if one["check"] == "workloads")
    (seen,) = found["evidence"]
    assert seen["sha256"] == hashlib.sha256(seen["answer"].encode()).hexdigest()
    assert shown["recorded"] is not locked
    kept = [one.data for one in store.read("demo").events if one.type == "found"]
    digests = [
        seen.sha256 for one in kept if isinstance(one, Found) and one.check == "workloads" for seen in one.evidence
    ]
    assert digests == ([] if locked else [seen["sha256"]]), "and the second look was no news"


def test_every_text_of_a_finding_is_redacted(tmp_path: Path):
    session = fill(opened(tmp_path))
    seen = evidence("s", f"GET /{BEARER}", BEARER, f"as {BEARER}")
    texts = {name: f"{name} {BEARER}" for name in ("text", "todo", "owes")}
    found = redacted(found_at(session, DNS, "resolver-here", BAD, **texts, evidence=(seen,)), session.redact)
    assert BEARER not in str(msgspec.to_builtins(found))
    (kept,) = found.evidence
    assert (kept.request, kept.answer, kept.identity, kept.ts) == ("GET /********", "********", "as ********", seen.ts)
    assert kept.sha256 == hashlib.sha256(b"********").hexdigest()
    assert redacted(found, session.redact) == found
    session.record(found)


async def test_only_the_chosen_steps_are_looked_at(tmp_path: Path):
    session = fill(opened(tmp_path))
    (dns,) = (step for step in GUIDE.steps if step.id == "dns")
    found = await look_at_all(GUIDE, session.snapshot, [dns], Readers(dns=Resolver()))
    assert {one.step for one in found} == {"dns"}
    assert {one.items for one in found} == {DNS.items}


# ---------------------------------------------------------------- the answer


def answer(session: Session, *found: Found, recorded: bool = False) -> dict[str, Any]:
    """What `check` says when these were found."""
    return document("demo", GUIDE, with_findings(session.snapshot, found, ACTOR), GUIDE.steps, recorded=recorded)


def found_at(session: Session, place: ItemStep, check: str, verdict: str, **changes: Any) -> Found:
    """A finding of now."""
    return msgspec.structs.replace(finding(session.snapshot, place, check, verdict), **changes)


def test_the_last_word_stands_when_nobody_could_ask_for_it_again(tmp_path: Path):
    """As on the screens and in the reports: whatever others are answered, the cluster was answered rightly."""
    session = opened(tmp_path)
    fill(session)

    def told(*verdicts: str) -> tuple[int, bool | None]:
        shown = session.snapshot
        for verdict in verdicts:
            shown = with_findings(shown, (found_at(session, DNS, "cluster-lookup", verdict),), ACTOR)
        shown = with_findings(shown, (found_at(session, DNS, "resolver-here", BAD),), ACTOR)
        dns = [step for step in GUIDE.steps if step.id == "dns"]
        body = document("demo", GUIDE, shown, tuple(dns), recorded=False)
        return body["exit_code"], body["steps"][0]["items"][0]["settled"]

    assert told() == (EXIT_BAD, None)
    assert told(COULD_NOT_LOOK) == (EXIT_BAD, None)
    assert told(GOOD, COULD_NOT_LOOK)[1] is True
    assert told(GOOD, COULD_NOT_LOOK)[0] != EXIT_BAD
    assert told(GOOD, BAD, COULD_NOT_LOOK) == (EXIT_BAD, False)


def test_a_record_that_is_gone_is_told_though_the_cluster_could_not_be_asked_again(tmp_path: Path):
    session = fill(opened(tmp_path))
    for check in ("cluster-lookup", "records"):
        session.record(found_at(session, DNS, check, GOOD))
    gone = found_at(session, DNS, "records", BAD), found_at(session, DNS, "cluster-lookup", COULD_NOT_LOOK)
    for seen in (answer(session, *gone), answer(session, *reversed(gone))):
        (dns,) = seen["steps"][4]["items"]
        assert (dns["status"], dns["settled"], seen["exit_code"]) == ("failed", None, EXIT_BAD)


def many(tmp_path: Path, count: int) -> tuple[Session, list[ItemStep]]:
    """A setup of so many endpoints, and step 3 of each."""
    session = opened(tmp_path)
    session.add_item("subscription", "main")
    for number in range(count):
        session.add_item("endpoint", f"pe-{number:03}")
    return session, [ItemStep("endpoint", (f"endpoint/pe-{number:03}",)) for number in range(count)]


def test_the_document_is_as_its_schema_says(tmp_path: Path):
    session = fill(opened(tmp_path))
    attest_until(session, "register")
    seen = evidence("Azure", "GET /x", "{}", "ada")
    body = answer(
        session,
        found_at(session, ENDPOINT, "endpoint", NOT_YET, owes="vendor", evidence=(seen,)),
        found_at(session, DNS, "resolver-here", BAD, todo="Look."),
    )
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    printed = json.loads(document_text({"format": "privatelink-wizard.check/1", **body}))
    jsonschema.validate(printed, schema, cls=jsonschema.Draft202012Validator)

    (one,) = printed["steps"][2]["items"][0]["findings"]
    assert set(one) == set(schema["$defs"]["finding"]["properties"]), "what is printed is described, and the other way"
    assert set(one["evidence"][0]) == set(schema["$defs"]["evidence"]["properties"])
    assert set(printed) == set(schema["properties"])
    assert (one["owes"], one["deadline"], one["hint"]) == ("vendor", 60.0, GUIDE.steps[2].checks[0].hint)
    assert printed["verdicts"] == {GOOD: 0, BAD: 1, COULD_NOT_LOOK: 0, NOT_YET: 1}
    assert printed["exit_code"] == EXIT_BAD
    for missing in ("format", "verdicts", "exit_code"):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({key: printed[key] for key in printed if key != missing}, schema)


def test_since_is_when_the_verdict_came_whether_or_not_it_is_recorded(tmp_path: Path):
    session = fill(opened(tmp_path))
    session.record(found_at(session, DNS, "resolver-here", BAD))
    first = session.snapshot.findings["dns", DNS.items, "resolver-here"].since

    def since(body: dict[str, Any]) -> str:
        return str(body["steps"][4]["items"][0]["findings"][0]["since"])

    assert since(answer(session, found_at(session, DNS, "resolver-here", BAD, text="another text"))) == first
    assert since(answer(session, found_at(session, DNS, "resolver-here", GOOD))) > first


def test_what_is_good_of_many_is_counted_and_what_is_not_is_shown(tmp_path: Path):
    session, places = many(tmp_path, 200)
    found = [found_at(session, place, "endpoint", GOOD) for place in places]
    found[7] = found_at(session, places[7], "endpoint", BAD, text="pe-007 is rejected", todo="Ask why.")
    text = as_text(answer(session, *found))

    assert "✓ Private Endpoint: 199 of 200 good" in text
    assert "✗ Private Endpoint (pe-007): pe-007 is rejected" in text
    assert "do next: Ask why." in text
    assert len(text.splitlines()) < 50


def test_what_is_wrong_with_many_in_the_same_way_is_said_once_with_every_name(tmp_path: Path):
    session, places = many(tmp_path, 50)
    found = [
        found_at(session, place, "endpoint", BAD, text=f"{place.items[0].partition('/')[2]} is gone")
        for place in places
    ]
    found[9] = found_at(session, places[9], "endpoint", BAD, text="pe-009 is gone, and pe-010 too")
    lines = as_text(answer(session, *found)).splitlines()

    (said,) = (number for number, line in enumerate(lines) if "pe-000 is gone" in line)
    assert lines[said].startswith("  ✗ Private Endpoint (pe-000 and 48 more)")
    others = lines[said + 1].strip().removeprefix("also: ").split(", ")
    assert others == [f"pe-{number:03}" for number in range(1, 50) if number != 9]
    assert "  ✗ Private Endpoint (pe-009): pe-009 is gone, and pe-010 too" in lines, "that says more"


def test_the_end_says_what_the_exit_code_means_and_the_way_on(tmp_path: Path):
    session = fill(opened(tmp_path))
    body = answer(session, found_at(session, DNS, "resolver-here", COULD_NOT_LOOK))
    end = as_text(body).partition("Status check results are ")[2].splitlines()

    assert end[0] == "…"
    assert "0 good, 0 bad, 1 could not look, 0 not yet" in end[1]
    assert end[2].endswith("3: not all is done yet, could be looked at, or is in your hands")
    assert [line.split("do next")[1].strip().partition(":")[0] for line in end[3:]] == [
        "privatelink-wizard doctor",
        "privatelink-wizard resume demo",
    ]


def test_a_step_that_waits_says_for_which(tmp_path: Path):
    session, _ = many(tmp_path, 2)
    lines = as_text(answer(session)).splitlines()
    assert "► needs input: main: Subscription ID: empty; waits for step 1" in lines


def test_text_from_outside_makes_no_line_of_its_own(tmp_path: Path):
    session = fill(opened(tmp_path))
    found = found_at(session, DNS, "resolver-here", BAD, text="x\n✓ all is well\x1b[2J", todo="a\r✓ b")
    lines = as_text(answer(session, found)).splitlines()
    assert not [line for line in lines if line.startswith("✓")]
    assert "\x1b" not in "".join(lines)


def test_progress_is_written_over_on_a_terminal_and_gone_before_anything_else_is_said(monkeypatch: pytest.MonkeyPatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(output, "TERMINAL_SECONDS", 0)
    progress = Progress()
    progress.show("looked at 1 of 9")
    progress.show("looked at 2 of 9\nx\x1b[2J" + "y" * 500)
    output.say("Azure asks to slow down.")
    progress.show("looked at 3 of 9")
    progress.clear()
    progress.clear()

    assert screen.getvalue().count("\n") == 1
    parts = screen.getvalue().split("\r\x1b[K")
    assert parts[0] == "looked at 1 of 9"
    assert parts[1].startswith("looked at 2 of 9 x") and len(parts[1]) < 200
    assert parts[2:] == ["Azure asks to slow down.\nlooked at 3 of 9", ""]


@pytest.mark.parametrize(("every", "said"), [(3600.0, ""), (0.0, "looked at 1 of 9\nlooked at 2 of 9\n")])
def test_without_a_terminal_progress_is_a_line_now_and_then(capsys: Any, every: float, said: str):
    progress = Progress(every)
    progress.show("looked at 1 of 9")
    progress.show("looked at 2 of 9")
    progress.clear()
    assert capsys.readouterr().err == said


async def test_what_changed_while_check_looked_is_left_as_it_is(tmp_path: Path):
    """Else an old finding would stand above a new one, and look like drift."""
    session = fill(opened(tmp_path))
    readers = Readers(dns=Resolver({DPM: ("52.0.0.1",), MINIO: ("52.0.0.1",)}))
    found = await look_at_all(GUIDE, session.snapshot, GUIDE.steps, readers)
    before = session.snapshot
    newer = finding(session.snapshot, UPDATE, "release", GOOD)
    session.record(newer)
    session.set_field("dpe/dpe-01", "dpm_host", "dpm-2.example.link")
    assert commands._record(session, found, before) is session.snapshot
    recorded = {(step, check) for step, _, check in session.snapshot.findings}
    assert ("dns", "resolver-here") not in recorded, "it was about another host"
    assert session.snapshot.findings["update-dpe", UPDATE.items, "release"].data == newer
    assert ("register", "subscription") in recorded
