"""A field being typed into: what the line under it says at every key, and what is found in a file it names.

Nothing here is journalled: a keystroke makes a draft (DESIGN.md section 1, field).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wizard.identifiers import Part
from wizard.offers import Offer, seen_by
from wizard.status import EMPTY, OK, WRONG, parse_field
from wizard.text import one_line

if TYPE_CHECKING:
    from state.events import FileFacts
    from wizard.actions.values_file import ValuesFile
    from wizard.guide import Field
    from wizard.view import View

LONGEST_LINE = 600
"""Characters of a message or note at most: one may name two Resource IDs."""

HOSTS_SHOWN = 4

INCOMPLETE = "not complete"

# Marks after which a value may go on.
_GOES_ON = "-_./:()"


@dataclass(frozen=True, slots=True)
class Drafted:
    """What is said about a draft; every text may be drawn as it is, but for `normalized`, which is the value.

    `state`: empty, not complete, wrong or ok. `message`: one line, what is wrong or comes next, "" when ok. `note`:
    what is known about an ok value. `completion`: the tail that would follow what is typed, from the parser
    (`completion_source` "") or an offer. `offers`: what may be taken into an empty field. `listed`: the row of the
    field's list that is offered for what is typed, to be taken whole: it goes on so, or is called so. `normalized`: ""
    unless ok, and always "" for a secret.
    """

    state: str
    parts: tuple[Part, ...] = ()
    message: str = ""
    note: str = ""
    completion: str = ""
    completion_source: str = ""
    offers: tuple[Offer, ...] = ()
    listed: Offer | None = None
    normalized: str = ""


def drafted(view: View, field: Field, owner: str | None, text: str, offers: tuple[Offer, ...] = ()) -> Drafted:
    """What `text` is as a draft of `owner`'s `field`. Never raises, whatever the text; opens no file.

    What the field's rule complains of is wrong here, though a session does take it: the other value may be the mistake.
    """
    view = seen_by(view, owner)
    parsed = parse_field(view, field, text)
    if parsed.state == EMPTY:
        where = field.where or parsed.next
        return Drafted(EMPTY, parsed.parts, _line(where), offers=() if field.secret else offers)
    completion, offer = ("", None) if field.secret else _completion(text, parsed.completion, offers)
    source = offer.source if offer is not None else ""
    listed = offer if offer is not None and offer.listed else None
    if not parsed.ok:
        if not completion and (called := _called(text, offers)) is not None:
            return Drafted(INCOMPLETE, message=_line(f"found by its name: {called.name}"), listed=called)
        message = _line((parsed.message or "").removeprefix(f"{parsed.state}: "))
        return Drafted(
            parsed.state, parsed.parts, message, completion=completion, completion_source=source, listed=listed
        )
    if field.rule and (complaint := field.rule(parsed.normalized, view)):
        return Drafted(
            WRONG, parsed.parts, _line(complaint), completion=completion, completion_source=source, listed=listed
        )
    normalized = "" if field.secret else parsed.normalized
    return Drafted(OK, parsed.parts, "", _line(parsed.note), completion, source, listed=listed, normalized=normalized)


def _completion(text: str, certain: str, offers: tuple[Offer, ...]) -> tuple[str, Offer | None]:
    """The rest of the first offer that begins as `text` does, in any case, and that offer; a row of the field's list
    goes before the parser's tail, which goes before all others."""
    if not text[-1].isalnum() and text[-1] not in _GOES_ON:
        return "", None  # behind a blank or a quote nothing can be appended
    begun = text.lstrip()
    going_on = [one for one in offers if len(one.value) > len(begun) and _same(one.value[: len(begun)], begun)]
    offer = next((one for one in going_on if one.listed), None)
    if certain and offer is None:
        return certain, None
    offer = offer or next(iter(going_on), None)
    return (offer.value[len(begun) :], offer) if offer is not None else ("", None)


def _called(text: str, offers: tuple[Offer, ...]) -> Offer | None:
    """The row of the field's list whose name is meant by `text`, which is no beginning of a value; None without one."""
    named = [one for one in offers if one.listed and text.strip().lower() in one.name.lower()]
    return next((one for one in named if _same(one.name, text)), next(iter(named), None))


def _same(one: str, other: str) -> bool:
    return one.strip().lower() == other.strip().lower()


def _line(text: str) -> str:
    return one_line(text, limit=LONGEST_LINE)


# ---------------------------------------------------------------- a file that a field names


@dataclass(frozen=True, slots=True)
class FileLook:
    """What was found in a file. `path` is absolute; `lines` and `warnings` may be drawn as they are."""

    path: str
    facts: FileFacts
    lines: tuple[str, ...]
    warnings: tuple[str, ...] = ()


async def examined_file(view: View, field: Field, path: str) -> FileLook:
    """Reads the values file that a draft of `field` names, outside the event loop.

    Raises Problem when it is missing, too large or no values file.
    """
    # As the field would take it: without quotes and a shell's backslashes.
    path = parse_field(view, field, path).normalized or path
    read = await asyncio.to_thread(_read, path)
    facts = read.facts
    lines = (
        _hosts_line(facts.hosts),
        f"sha256 {facts.sha256[:4]}…{facts.sha256[-4:]}",
        f"{len(read.content):,} bytes",
    )
    return FileLook(read.path, facts, lines, _warnings(view, facts))


def _read(path: str) -> ValuesFile:
    from wizard.actions.values_file import read_values
    from wizard.files import expanded

    return read_values(str(expanded(path).absolute()))


def _hosts_line(hosts: tuple[str, ...]) -> str:
    if not hosts:
        return "no host names"
    count = "1 host name" if len(hosts) == 1 else f"{len(hosts)} host names"
    more = f" and {len(hosts) - HOSTS_SHOWN} more" if len(hosts) > HOSTS_SHOWN else ""
    return f"{count}: {', '.join(hosts[:HOSTS_SHOWN])}{more}"


def _warnings(view: View, facts: FileFacts) -> tuple[str, ...]:
    """The host names of earlier steps that the file should name and does not."""
    fields = view.guide.fields()
    found = []
    for key in view.step.uses:
        if fields[key].kind != "hostname":
            continue
        number = next(step.number for step in view.guide.steps if fields[key] in step.fields)
        found += [
            f"step {number}'s {one_line(host)} is not in it: check that it is the file of this environment"
            for host in view.values(key)
            if host.lower() not in facts.hosts
        ]
    return tuple(found)
