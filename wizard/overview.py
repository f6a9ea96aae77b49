"""`list`: every setup with its progress, whose turn it is, and its head. Reads only, and stays light."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from state.clock import now
from state.problem import Problem
from state.snapshot import fold
from wizard.deeds import last_deed, last_event
from wizard.guides import guide
from wizard.output import columns
from wizard.status import DONE_STATUSES, derive
from wizard.turns import step_word, turns

if TYPE_CHECKING:
    from state.store import Store
    from wizard.places import Places


def setups(places: Places) -> tuple[dict[str, Any], ...]:
    """One plain entry per setup; one that can't be read says why instead of hiding."""
    return tuple(_entry(store, name) for store in places.stores for name in store.names())


def _entry(store: Store, name: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": name, "file": str(store.path_of(name)), "problem": None}
    try:
        journal = store.read(name)
        snapshot = fold(journal.header, journal.events, head=journal.head)
        chosen = guide(journal.header.guide.id)
    except Problem as problem:
        return {**entry, "problem": problem.what}
    status = derive(chosen, snapshot, now())
    steps = [
        {
            "number": step.number,
            "id": step.id,
            "title": step.title,
            "status": status.steps[step.id],
            "word": step_word(chosen, snapshot, status, step),
        }
        for step in chosen.steps
    ]
    open_steps = [step for step in steps if step["status"] not in DONE_STATUSES]
    whose = turns(chosen, snapshot, status)
    last = last_event(journal.events)
    return {
        **entry,
        "guide": journal.header.guide.id,
        "mode": snapshot.mode,
        "sandbox": bool(snapshot.environment and snapshot.environment.data.sandbox),
        "done_steps": status.done_steps,
        "all_steps": len(steps),
        "steps": steps,
        "next": open_steps[0]["number"] if open_steps else None,
        "turn": whose.owed_short if whose.owed and not whose.mine else whose.short,
        "whose": whose.whose,
        "unproven": sorted({place.unproven for place in status.item_steps.values() if place.unproven}),
        "last_ts": snapshot.last_ts,
        "last_by": last.actor.user if last else "",
        "last_what": last_deed(chosen, journal.events),
        "events": len(journal.events),
        "head": journal.head,
        "intact": not journal.problems,
        "writable": journal.writable,
        "problem": journal.problems[0].what if journal.problems else None,
    }


def as_text(entries: tuple[dict[str, Any], ...]) -> str:
    """The setups as a table; an empty state that says how to begin."""
    if not entries:
        return "There are no setups yet. `privatelink-wizard sandbox` rehearses one, `new NAME` begins one."
    return columns(_rows(entries))


def _rows(entries: tuple[dict[str, Any], ...]) -> Iterator[tuple[str, ...]]:
    for entry in entries:
        if "guide" not in entry:
            yield entry["name"], "", "", "", f"can't be read: {entry['problem']}"
            continue
        mark = "SANDBOX" if entry["sandbox"] else ""
        done = f"{entry['done_steps']} of {entry['all_steps']} done"
        yield entry["name"], mark, done, entry["last_ts"][:16].replace("T", " "), turn_words(entry)


def turn_words(entry: dict[str, Any]) -> str:
    """Whose turn a setup is, in words, with what must not be overlooked."""
    if entry["problem"]:
        return f"read-only: {entry['problem']}"
    unproven = ", without observed proof" if entry.get("unproven") else ""
    return f"{entry.get('turn', '')}{unproven}"
