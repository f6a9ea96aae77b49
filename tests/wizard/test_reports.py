"""One document in three forms: text, JSON and HTML say the same facts, and nothing in a journal can do harm."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from state import journal
from state.events import (
    BAD,
    GOOD,
    Actor,
    Attested,
    ChangeFinished,
    ChangeStarted,
    Data,
    EnvironmentSet,
    FieldSet,
    Found,
    GuideRef,
    IdentityPinned,
    ModeSet,
    ProofWaived,
)
from state.problem import EXIT_BAD, EXIT_OK
from state.snapshot import RecordedFinding
from tests.report_forms import Shown, squeezed, untold
from tests.setups import GUIDE as GUIDE_REF
from tests.state.make_journal import lines_of
from tests.wizard.engine import DNS, GUIDE, MARK
from tests.wizard.proofs import HOSTILE, OPENING, journal_of, much_wrong, proof, seen, waived
from wizard import live
from wizard.live import Again, Live, Pin
from wizard.report_html import as_html
from wizard.report_text import as_text
from wizard.review import report

NOW = "2026-11-28T12:00:00.000000Z"
SCHEMA = json.loads(resources.files("wizard").joinpath("report.schema.json").read_text("utf-8"))
EVIL = (
    HOSTILE,
    "<script>alert(1)</script>",
    "</style><img src=http://127.0.0.1:9/x onerror=alert(1)>",
    "\" onclick='x'",
    "{{ 77*1001 }}{% raw %}",
    "right\u202eleft\u2066",
    "\x1b]8;;http://x\x07link",
)
LONG = "A" * 100_000


def broken() -> journal.Journal:
    lines = lines_of(list(much_wrong()), "demo", GUIDE_REF)
    lines[11] = lines[11].replace(b'"ada"', b'"eve"')
    return journal.parse(Path("x"), b"\n".join(lines) + b'\n{"torn')


def stranger() -> journal.Journal:
    lines = lines_of(list(much_wrong()), "demo", GuideRef(id="aws", version=7))
    return journal.parse(Path("x"), b"\n".join(lines) + b"\n")


def hostile() -> journal.Journal:
    data: list[Data] = [*OPENING, EnvironmentSet(kubeconfig=EVIL[1], ca_file=EVIL[0]), ModeSet(mode=EVIL[2])]
    for text in (*EVIL, LONG):
        data += [
            FieldSet(field="environment_name", value=text, source=text),
            FieldSet(item="dpe/dpe-01", field="dpm_host", value=text),
            Found(step="dns", items=DNS.items, check=text, verdict=text, text=text, fingerprint=text, owes=text),
            proof(DNS, "resolver-here", GOOD, seen(text, text), text=text),
            Attested(step="dns", items=DNS.items, text_id=text, revision=1, text=text, fingerprint=text),
            ProofWaived(step="mark-updated", items=MARK.items, reason=text, fingerprint=text),
            IdentityPinned(kind=text, facts={text: text}),
            ChangeStarted(change=text, step="dns", items=DNS.items, summary=text, commands=(text,), facts={text: text}),
            ChangeFinished(change=text, outcome=text, summary=text, detail=text),
        ]
    actor = Actor(user=EVIL[1], host=EVIL[5], via=EVIL[3], azure_oid=EVIL[0])
    return journal.parse(Path("x"), b"\n".join(lines_of(data, "demo", GUIDE_REF, actor)) + b"\n")


def looked_again() -> dict[str, Any]:
    """What an auditor found: in another tenant, and one check with another answer."""
    (step,) = [one for one in GUIDE.steps if one.id == "dns"]
    (check,) = [one for one in step.checks if one.id == "records"]
    recorded, found = (proof(DNS, check.id, verdict, seen(text), text=text) for verdict, text in WAS_AND_IS)
    before = RecordedFinding(data=recorded, ts=NOW, actor=Actor(user="ada", host="b", via="run"), seq=1, since=NOW)
    looks = (Again(step, DNS.items, check, before, True, found), Again(step, DNS.items, check, None, False, None))
    pins = (Pin("azure", "other", {"tenant_id": "t-1"}, {"tenant_id": "t-2"}, "t-2 is asked", "Sign in to t-1."),)
    return live.document(Live(NOW, EnvironmentSet(cloud="china", kube_context="theirs"), pins, looks))


WAS_AND_IS = ((GOOD, "it is 10.20.1.4"), (BAD, "it is 52.0.0.1"))


def documents() -> Iterator[tuple[str, dict[str, Any]]]:
    yield "nothing", report(journal_of(), GUIDE)
    yield "much wrong", report(journal_of(*much_wrong()), GUIDE, now=NOW)
    yield "waived", report(journal_of(*OPENING, waived(MARK)), GUIDE, as_of="2026-01-05T08:21:30.000000Z", now=NOW)
    yield "broken", report(broken(), GUIDE, as_of="2026-01-05T08:20:00.000000Z", now=NOW)
    yield "stranger", report(stranger(), None, now=NOW)
    yield "hostile", report(hostile(), GUIDE, now=NOW)
    yield "live", {**report(journal_of(*much_wrong()), GUIDE, now=NOW), "live": looked_again()}


@pytest.fixture(params=[name for name, _ in documents()])
def document(request: pytest.FixtureRequest) -> dict[str, Any]:
    return dict(documents())[request.param]


def test_text_and_page_have_every_fact_of_the_document(document: dict[str, Any]):
    assert untold(document, as_text(document), as_html(document)) == []


def test_yes_no_and_nothing_are_told_in_words():
    for form in (as_text, lambda document: Shown(as_html(document)).text):
        text = squeezed(form(report(journal_of(*much_wrong()), GUIDE, now=NOW)))
        for words in (
            "SANDBOX",
            "does not count: an input changed since",
            "no: the values or the text are others now",
            "yes, for the values as they are",
            "only advises",
            "no look that proves it was ever good",
            "the step does not rest on it",
            "object_id unknown",
            "Chain intact",
        ):
            assert squeezed(words) in text, words


def test_the_document_is_what_its_schema_says(document: dict[str, Any]):
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(json.dumps(document)))


def test_the_schema_says_everything_and_allows_nothing_else():
    def objects(schema: Any) -> Iterator[dict[str, Any]]:
        if isinstance(schema, dict):
            if schema.get("type") == "object":
                yield schema
            for one in schema.values():
                yield from objects(one)
        elif isinstance(schema, list):
            for one in schema:
                yield from objects(one)

    # What is found by looking again is as open as what it is found in.
    of_the_journal = {key: one for key, one in SCHEMA["properties"].items() if key != "live"}
    found = list(objects({**SCHEMA, "properties": of_the_journal}))
    assert len(found) > 20
    for schema in found:
        assert schema["additionalProperties"] is False
        assert schema["required"] == list(schema["properties"])
    wrong = {**json.loads(json.dumps(report(journal_of(), GUIDE))), "extra": 1}
    assert list(jsonschema.Draft202012Validator(SCHEMA).iter_errors(wrong))


# ---------------------------------------------------------------- the page


def test_the_page_holds_all_it_needs_and_lets_nothing_run(document: dict[str, Any]):
    page = as_html(document)
    shown = Shown(page)
    assert page.isascii()
    assert not {"script", "img", "link", "iframe", "object", "a", "base", "form", "svg"} & shown.tags
    names = {name for name, _ in shown.attributes}
    assert names <= {"lang", "charset", "http-equiv", "content", "name", "class", "open", "scope"}, names
    (policy,) = [value for name, value in shown.attributes if value and "default-src" in value]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    classes = {word for name, value in shown.attributes if name == "class" for word in (value or "").split()}
    assert all(re.fullmatch(r"[a-z-]+", word) for word in classes)


def test_the_page_names_the_head_and_how_to_compare_it():
    document = report(journal_of(*much_wrong()), GUIDE)
    page = as_html(document)
    assert f"--expect {document['head']}" in Shown(page).text
    assert f'content: "head {document["head"]}"' in page, "on every printed page"


def test_hostile_text_is_harmless():
    document = report(hostile(), GUIDE, now=NOW)
    page, text = as_html(document), as_text(document)
    assert "<script" not in page.lower()
    assert "77*1001" in page
    assert "77077" not in page
    assert all(line.isprintable() for line in text.split("\n"))
    for shown in (text, Shown(page).text):
        assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08\x0b-\x1f\x7f]", shown)
        assert "more)" in shown, "a long text says how much is missing"
    # As much again for every hostile statement, and not 100 kB each.
    assert len(text) < 2_000_000
    assert not [line for line in text.split("\n") if line.startswith("next")], "no line of its own"


def test_what_is_worse_by_now_is_said_first():
    document = dict(documents())["live"]
    for shown in (as_text(document), Shown(as_html(document)).text):
        on_top = squeezed(shown).partition(squeezed("What must not be missed"))[2]
        assert on_top.startswith(
            squeezed("✗ worse step 5 dpe-01 pe-weu: Azure's DNS records, looked at again: it is 52.0.0.1")
        )


def test_what_is_said_first_of_a_look_again_is_what_its_exit_code_says():
    (step,) = [one for one in GUIDE.steps if one.id == "dns"]
    (advice,) = [one for one in step.checks if one.id == "resolver-here"]
    public = proof(DNS, advice.id, BAD, text="still public")

    def told(*, settled: bool) -> tuple[int, bool]:
        found = Live(NOW, EnvironmentSet(), (), (Again(step, DNS.items, advice, None, True, public, settled),))
        document = {**report(journal_of(*OPENING), GUIDE), "live": live.document(found)}
        return live.exit_code(found), "looked at again: still public" in as_text(document)

    assert told(settled=False) == (EXIT_BAD, True), "also what was never recorded"
    assert told(settled=True) == (EXIT_OK, False), "an auditor outside the network is rightly answered otherwise"


def test_public_traffic_is_said_first():
    document = report(journal_of(*much_wrong()), GUIDE)
    text = as_text(document)
    danger = "from here data would cross the public internet"
    assert text.index(danger) < text.index("Who connects to what")
    page = as_html(document)
    assert page.index(danger) < page.index("Who connects to what")
    assert 'class="alarms danger"' in page
    assert 'class="alarms danger"' not in as_html(report(journal_of(*OPENING), GUIDE))
