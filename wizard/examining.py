"""An answers file against its guide, before anything is written: names, forms, what is missing, what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from state.problem import EXIT_BAD, Problem
from wizard.answers import INTERRUPTED, UNPROVEN_REASON, Answers, answers_wrong
from wizard.guide import PROBES, Field, Guide, Step
from wizard.identifiers import parse
from wizard.status import derive
from wizard.text import count, one_line

if TYPE_CHECKING:
    from state.snapshot import Snapshot


def examine(answers: Answers, guide: Guide) -> None:
    """Checks an answers file against its guide before anything is written: names, kinds, and no secret in clear.

    Raises Problem with the first mistake.
    """
    _examine_items(answers, guide)
    _examine_steps(answers, guide)
    if answers.mode and answers.mode not in guide.modes:
        raise answers_wrong(
            answers.path, f"there is no mode {one_line(answers.mode)}; modes are {', '.join(guide.modes)}"
        )
    if answers.probe and answers.probe not in PROBES:
        raise answers_wrong(
            answers.path, f"there is no probe {one_line(answers.probe)}; probes are {', '.join(PROBES)}"
        )


def _examine_items(answers: Answers, guide: Guide) -> None:
    fields = guide.fields()
    for kind_name, named in answers.items.items():
        kind = guide.kind(kind_name)
        if kind is None:
            there = ", ".join(known.name for known in guide.kinds)
            raise answers_wrong(answers.path, f"items has no kind {one_line(kind_name)}; kinds are {there}")
        references = {reference.key for reference in kind.references}
        allowed = references | {field.key for field in fields.values() if field.owner == kind_name}
        for name, values in named.items():
            where = f"items.{kind_name}.{one_line(name)}"
            parsed = parse("item-name", name)
            if not parsed.ok:
                raise answers_wrong(answers.path, f"{where}: {parsed.message}")
            secret = {key for owner, item, key in answers.secrets if (owner, item) == (kind_name, name)}
            for key in sorted({*values, *secret} - allowed):
                raise answers_wrong(
                    answers.path,
                    f"{where} has no field {one_line(key)}; it may have {', '.join(sorted(allowed))}",
                )
            for key in sorted({key for key in values if key in fields and fields[key].secret}):
                raise answers_wrong(answers.path, f"{where}.{key} is a secret: write {{env: NAME}} or {{file: PATH}}")
            for key in sorted(key for key in secret if key not in fields or not fields[key].secret):
                raise answers_wrong(answers.path, f"{where}.{key} is not a secret: write it as plain text")


def _examine_steps(answers: Answers, guide: Guide) -> None:
    for name, values in answers.fields.items():
        step = guide.step(name)
        if step is None:
            raise answers_wrong(answers.path, f"fields has no step {one_line(name)}")
        own = {field.key for field in step.fields if field.owner is None}
        for key in values:
            if key not in own and not _is_word(step, key):
                raise answers_wrong(answers.path, f"fields.{name} has no field {one_line(key)}")
    for name in answers.attest:
        step = guide.step(name)
        if step is None:
            raise answers_wrong(answers.path, f"attest names step {one_line(name)}, which the guide does not have")
        if step.attest is None:
            raise answers_wrong(answers.path, f"attest names step {step.number}, which is looked at and not confirmed")


def missing_fields(fields: Mapping[str, Field], given: set[str], owner: str | None) -> tuple[Field, ...]:
    """The required fields of `owner` that are in nobody's answer."""
    return tuple(
        field
        for field in fields.values()
        if field.owner == owner
        and field.required
        and field.default is None
        and not field.from_action
        and field.key not in given
    )


def _is_word(step: Step, key: str) -> bool:
    """Whether a step takes this word to the program."""
    return (key == UNPROVEN_REASON and bool(step.needs_observed)) or (
        key in (INTERRUPTED, *step.obstacles) and step.action is not None
    )


def require_answers(answers: Answers, guide: Guide, snapshot: Snapshot | None) -> None:
    """Checks, before anything is written, that every value is there and reads right.

    What an earlier run committed counts as answered. Raises Problem with every missing or wrong value.
    """
    wrong: list[str] = []
    missing: list[str] = []
    fields = guide.fields()
    finished = _needs_no_secret(guide, snapshot)
    owners: list[tuple[str | None, str | None, dict[str, str], set[str]]] = []
    setup_values = {key: value for values in answers.fields.values() for key, value in values.items()}
    owners.append((None, None, setup_values, set()))
    kinds = {kind.name for kind in guide.kinds}
    for kind in sorted(kinds):
        for name in {**answers.items.get(kind, {}), **dict.fromkeys(_known_items(snapshot, kind), None)}:
            values = dict(answers.items.get(kind, {}).get(name, {}))
            held = {key for owner, item, key in answers.secrets if (owner, item) == (kind, name)}
            owners.append((kind, name, values, held))
        if not answers.items.get(kind) and not _known_items(snapshot, kind):
            missing.append(f"items.{kind}: at least one")
    for kind_name, item_name, values, held in owners:
        place = f"items.{kind_name}.{one_line(item_name or '')}" if kind_name else "fields"
        item = f"{kind_name}/{item_name}" if kind_name else None
        committed = set(snapshot.values.get(item, {})) if snapshot else set()
        for key, value in values.items():
            if key in fields and value.strip() and not fields[key].is_file:
                parsed = parse(fields[key].kind, value)
                if not parsed.ok:
                    wrong.append(f"{place}.{key}: {parsed.message}")
        given = {key for key, value in values.items() if value.strip()} | held | committed
        if item in finished:
            given |= {key for key, field in fields.items() if field.secret}
        missing += [f"{place}.{field.key}: {field.label}" for field in missing_fields(fields, given, kind_name)]
    missing += _unlinked(answers, guide, snapshot)
    missing += _unclear_references(answers, guide, snapshot)
    if wrong:
        raise Problem(
            "wrong-answers",
            f"{count(len(wrong), 'answer')} in {one_line(str(answers.path))} can't be used.",
            todo="Correct them and run again; nothing was changed.",
            detail="\n".join(wrong[:20]),
            exit_code=EXIT_BAD,
        )
    if missing:
        raise Problem(
            "missing-answers",
            f"{count(len(missing), 'answer')} missing in {one_line(str(answers.path))}.",
            todo="Add them and run again; nothing was changed.",
            detail="\n".join(missing[:20]),
        )


def _needs_no_secret(guide: Guide, snapshot: Snapshot | None) -> frozenset[str]:
    """The items whose acting steps are done: nothing will ask for their secrets."""
    if snapshot is None:
        return frozenset()
    acting = {step.id for step in guide.steps if step.action is not None}
    status = derive(guide, snapshot, snapshot.last_ts)
    places = [place for place in status.item_steps.values() if place.item_step.step in acting]
    still_open = {item for place in places if not place.done for item in place.item_step.items}
    return frozenset(item for place in places for item in place.item_step.items) - still_open


def _all_items(answers: Answers, guide: Guide, snapshot: Snapshot | None, kind: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*_known_items(snapshot, kind), *answers.items.get(kind, {}))))


def _unlinked(answers: Answers, guide: Guide, snapshot: Snapshot | None) -> list[str]:
    """Items that must be linked with another kind and are not: nothing could be proven for them."""
    linked = {end.rpartition("/")[2] for link in answers.links for end in link}
    linked |= {end.rpartition("/")[2] for link in (snapshot.links if snapshot else ()) for end in link}
    return [
        f"links: {kind.name} {one_line(name)} with {'one' if len(kind.linked_to) == 1 else 'some'} "
        f"{' or '.join(kind.linked_to)}"
        for kind in guide.kinds
        if kind.linked_to
        for name in _all_items(answers, guide, snapshot, kind.name)
        if name not in linked
    ]


def _unclear_references(answers: Answers, guide: Guide, snapshot: Snapshot | None) -> list[str]:
    """References that are left out although there is more than one item they may mean."""
    found = []
    for kind in guide.kinds:
        for reference in kind.references:
            targets = _all_items(answers, guide, snapshot, reference.kind)
            for name in _all_items(answers, guide, snapshot, kind.name):
                known = snapshot.value(f"{kind.name}/{name}", reference.key) if snapshot else None
                given = answers.items.get(kind.name, {}).get(name, {}).get(reference.key)
                if len(targets) > 1 and not known and not given:
                    found.append(f"items.{kind.name}.{one_line(name)}.{reference.key}: one of {', '.join(targets)}")
    return found


def _known_items(snapshot: Snapshot | None, kind: str) -> tuple[str, ...]:
    return snapshot.items.get(kind, ()) if snapshot else ()
