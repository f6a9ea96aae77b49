"""What the engine relies on in every guide, and what no compiler checks: names that point to each other."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from state.events import GuideRef, Header
from state.snapshot import Snapshot, fold
from wizard.guide import ROUTES, Action, Guide
from wizard.guides import IDS
from wizard.guides import guide as find_guide
from wizard.identifiers import FIELD_KINDS, parse
from wizard.view import View, item_steps


@pytest.fixture(params=IDS)
def guide(request: pytest.FixtureRequest) -> Guide:
    return find_guide(request.param)


def test_steps_are_numbered_from_one_and_named_once(guide: Guide):
    assert [step.number for step in guide.steps] == list(range(1, len(guide.steps) + 1))
    assert not repeated(step.id for step in guide.steps)
    assert not any(step.id.isdigit() for step in guide.steps), "a step's id must not read as another's number"


def test_field_keys_are_unique(guide: Guide):
    assert not repeated(field.key for step in guide.steps for field in step.fields)


def test_every_field_has_a_parser(guide: Guide):
    # A secret is never parsed nor journalled: it goes from the user's hand to memory.
    unknown = {field.key: field.kind for field in guide.fields().values() if field.kind not in FIELD_KINDS}
    assert {key for key in unknown if not guide.fields()[key].secret} == set()


def test_every_sample_is_what_it_is_a_sample_of(guide: Guide):
    """A sample that its own parser refuses would teach the mistake; one with {braces} is a pattern, not a value."""
    wrong = {
        field.key: parse(field.kind, field.sample).message
        for field in guide.fields().values()
        if field.sample and "{" not in field.sample and not parse(field.kind, field.sample).ok
    }
    assert wrong == {}


def test_references_between_steps_point_backwards(guide: Guide):
    seen: set[str] = set()
    fields: set[str] = set()
    for step in guide.steps:
        fields |= {field.key for field in step.fields}
        assert set(step.after) <= seen, step.id
        assert set(step.needs_observed) <= seen, step.id
        assert set(step.uses) <= fields, step.id
        assert not set(step.uses) & {field.key for field in step.fields}, f"{step.id} counts an input twice"
        for check in step.checks:
            own = {*step.uses, *(field.key for field in step.fields)}
            assert not set(check.uses) & own, f"{step.id} {check.id} counts an input twice"
            assert set(check.uses) <= set(guide.fields()), f"{step.id} {check.id}"
        seen.add(step.id)


def test_kinds_point_to_kinds(guide: Guide):
    kinds = {kind.name for kind in guide.kinds}
    assert not repeated(kind.name for kind in guide.kinds)
    for kind in guide.kinds:
        assert {reference.kind for reference in kind.references} <= kinds
        assert set(kind.linked_to) <= kinds
        assert not {reference.key for reference in kind.references} & set(guide.fields())
    for step in guide.steps:
        assert set(step.per) <= kinds, step.id
    assert {field.owner for field in guide.fields().values()} <= {*kinds, None}


def test_every_step_can_end(guide: Guide):
    for step in guide.steps:
        proven = any(check.proves for check in step.checks)
        assert proven or step.attest, f"{step.id} can be neither observed nor attested"
        assert set(step.routes) <= set(ROUTES)
        assert ("do it for me" in step.routes) is (step.action is not None), step.id
        assert not step.needs_observed or step.attest, step.id


def test_ids_of_texts_and_checks_are_unique(guide: Guide):
    """They go into fingerprints: one for two texts would let one confirmation count for the other."""
    for step in guide.steps:
        ids = [check.id for check in step.checks] + ([step.attest.id] if step.attest else [])
        assert not repeated(ids)
        assert all(re.fullmatch(r"[a-z][a-z0-9-]*", id) for id in ids)


def test_actions_are_made_on_demand(guide: Guide):
    for step in guide.steps:
        if step.action is not None:
            action: Action = step.action()  # mypy holds that it has all of it
            assert all(callable(getattr(action, name)) for name in ("plan", "apply", "resume"))
            assert step.doer is not None, "who cancels must be told what goes on"


def test_an_empty_setup_reads_through_every_function_of_the_guide(guide: Guide):
    """Texts, defaults and rules meet a setup in which nothing is there yet."""
    empty = fold(Header(seq=0, format="x", guide=GuideRef(id=guide.id, version=1), name="x", ts=""), ())
    for step in guide.steps:
        for items in {place.items for place in item_steps(guide, empty, step)} | {()}:
            read_everything(guide, empty, View(guide, empty, step, items))


def read_everything(guide: Guide, snapshot: Snapshot, view: View) -> None:
    assert len(view.fingerprint("x", 1)) == 64
    if view.step.attest:
        assert view.step.attest.text(view).endswith(".")
    for field in view.step.fields:
        if field.default:
            assert field.default(view) is None or isinstance(field.default(view), str)
        if field.rule:
            assert field.rule("x", view) is None or isinstance(field.rule("x", view), str)


def repeated(names) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]
