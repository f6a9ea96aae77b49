"""A report's document in the order and the words of a reader. Text and HTML are both made of this, so that they say
the same: a fact that is added here is in both. Pure.

Everything in the document that comes from the journal is outside text; it is cleaned where it is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from state.events import GOOD
from wizard.evidence import GRADES
from wizard.review import ADDRESSES, COUNTED, GIVEN
from wizard.text import count

Document = Mapping[str, Any]
Row = tuple[str, str]

LIMIT = 5000
"""Characters of one text that are shown. What the program writes is shorter; a longer one says how much is missing."""

# Words of a report that stand for one of the states that have a glyph and a colour (UI.md section 2).
SIGNS = {
    "chain broken": "failed",
    "not understood": "could not look",
    "without observed proof": "stale",
    "never observed": "could not look",
    "sandbox": "stale",
    "not trusted": "failed",
    "not judged": "could not look",
    "not done": "not yet",
    "done, not proven": "stale",
    "proven": "observed",
    "done": "ok",
    "cancelled": "failed",
    "unknown": "could not look",
    # Of a look that was made again, and of whom it was made as.
    "worse": "failed",
    "not repeated": "not yet",
    "same": "ok",
    "other": "failed",
    "not pinned": "not yet",
}


_WORSE = "worse"  # than recorded (wizard/live.py)


def sign_of(word: str) -> str:
    """The state whose glyph and colour a word of a report has."""
    return SIGNS.get(word, word)


@dataclass(frozen=True, slots=True)
class Part:
    """One thing of a report: its state as a word (or none), its title, labelled values, a table, and what is in it."""

    title: str
    state: str = ""
    rows: tuple[Row, ...] = ()
    parts: tuple[Part, ...] = ()
    columns: tuple[str, ...] = ()
    table: tuple[tuple[str, ...], ...] = ()
    empty: str = ""


@dataclass(frozen=True, slots=True)
class Box:
    """An item in the picture of who connects to what: its kind, its name, its addresses, and what connects by it.

    `states`: where, and how, what connects it with the box before it was done.
    """

    kind: str
    name: str
    rows: tuple[Row, ...]
    states: tuple[Row, ...]
    boxes: tuple[Box, ...]


# ---------------------------------------------------------------- on top


def about(document: Document) -> tuple[Row, ...]:
    """What the report is of."""
    guide = document["guide"]
    title = f"{guide['title']} " if guide["title"] else ""
    given = document["as_of_is"] == GIVEN
    as_of = f"{document['as_of']}, the {'given time' if given else document['as_of_is']}"
    return (
        ("Setup", document["setup"]),
        ("Guide", f"{title}({guide['id']}, version {guide['version']})"),
        ("Mode", document["mode"]),
        ("Created", document["created"]),
        ("As of", as_of),
        *((("Last event", document["last_event"]),) if given else ()),
        ("Events", str(document["events"])),
        ("Head", document["head"]),
        ("Chain", chain(document["chain"])),
        ("Actors", document["actors"]),
    )


def chain(found: Mapping[str, Any]) -> str:
    """Whether the lines fit together."""
    if found["broken_at"] is not None:
        return f"broken at line {found['broken_at']}"
    return "intact, but not all of it is understood" if found["problems"] else "intact"


def counts(document: Document) -> tuple[Row, ...]:
    """The steps done, and the items' steps by what they are worth: (state, how many)."""
    found = document["counts"]
    if found is None:
        return ()
    return (
        ("", f"{found['steps_done']} of {count(found['steps'], 'step')} done"),
        ("", f"{found['item_steps']} in all, step by item"),
        *((word, f"{found[word]} {word}") for word in COUNTED),
        ("never observed", f"{found['never_observed']} never observed"),
        ("without observed proof", f"{found['unproven']} without observed proof"),
    )


def alarms(document: Document) -> Part:
    """What must not be missed: what is bad by now, where somebody looked again; then the worst first."""
    again = [check for check in document["live"]["checks"] if check["bad"]] if document.get("live") else []
    found = (
        *(Part(f"{_where(one)}: {one['title']}, looked at again: {one['text']}", _word(one)) for one in again),
        *(Part(f"{one['where']}: {one['text']}", one["kind"]) for one in document["alarms"]),
    )
    return Part("What must not be missed", parts=found, empty="Nothing failed, is stale, or was left unobserved.")


def standing(document: Document) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """What is done on which word, what is worth most first: (state, what it means, steps)."""
    found: dict[str, list[str]] = {}
    for step in document["steps"]:
        for one in step["items"] or [{"where": f"step {step['number']}", "status": step["status"]}]:
            found.setdefault(one["status"] or "", []).append(f"{one['where']}: {step['title'] or step['id']}")
    order = [*reversed(GRADES), *(state for state in found if state not in GRADES)]
    return tuple((state, GRADES.get(state, ""), tuple(found[state])) for state in order if state in found)


def connections(document: Document) -> tuple[Box, ...]:
    """Who connects to what: each item once for every way that leads to it."""
    items = {item["item"]: item for item in document["items"]}
    states = [state for one in document["connections"] for state in one["states"]]

    def boxes(paths: Sequence[Sequence[str]], before: tuple[str, ...]) -> Iterator[Box]:
        for first in dict.fromkeys(path[0] for path in paths if path):
            item, way = items[first], (*before, first)
            done = {
                state["where"]: state["status"]
                for state in states
                if first in state["items"] and len(state["items"]) > 1 and set(state["items"]) <= set(way)
            }
            yield Box(
                item["label"] or item["kind"],
                item["name"],
                tuple((_label(one), one["value"]) for one in item["values"] if one["kind"] in ADDRESSES),
                tuple(done.items()),
                tuple(boxes([path[1:] for path in paths if path and path[0] == first], way)),
            )

    return tuple(boxes([one["path"] for one in document["connections"]], ()))


# ---------------------------------------------------------------- below


def steps(document: Document) -> Part:
    """Every step, and within it every place where it runs."""
    return Part("Steps", parts=tuple(_step(step) for step in document["steps"]), empty="Nothing was said of a step.")


def setting(document: Document) -> tuple[Part, ...]:
    """Where the setup points, as whom, and what was entered."""
    environment, probe = document["environment"], document["probe"]
    links = "; ".join(f"{one['source']} with {one['target']}" for one in document["links"])
    return (
        Part(
            "Where it points",
            rows=(
                *_some((name.replace("_", " "), value) for name, value in environment.items() if name not in WHO),
                said(environment),
            )
            if environment
            else (),
            empty="Nothing was said of it.",
        ),
        Part(
            "Who it acts as",
            parts=tuple(Part(one["kind"], rows=(*_facts(one["facts"]), said(one))) for one in document["identities"]),
            empty="No identity was pinned.",
        ),
        Part(
            "Looks that need a privilege",
            rows=(("Consent to", probe["consent"]), said(probe)) if probe else (),
            empty="Nobody was asked for consent to a probe.",
        ),
        Part(
            "What was entered",
            rows=_some((("Links", links),)),
            parts=(
                *((_values("the whole setup", document["values"]),) if document["values"] else ()),
                *(
                    _values(f"{item['item']} ({item['label']})" if item["label"] else item["item"], item["values"])
                    for item in document["items"]
                ),
            ),
            empty="Nothing was entered.",
        ),
    )


def elsewhere(document: Document) -> Part:
    """What was done for items or links that are not part of the setup any more: what it left may still be there."""
    done: dict[str, list[Part]] = {}
    for one in document["other_changes"]:
        done.setdefault(one["where"], []).append(_change(one["change"]))
    return Part(
        "Done for what is not part of the setup any more",
        parts=tuple(Part(where, parts=tuple(changes)) for where, changes in done.items()),
        empty="Nothing.",
    )


def timeline(document: Document) -> Part:
    """Every event, in its order."""
    return Part(
        "Timeline",
        columns=("Event", "Time", "Who", "What"),
        table=tuple(
            (
                str(one["seq"]),
                one["ts"],
                _author(one),
                f"{one['text']}{'' if one['trusted'] else ' (stands after damage: not trusted)'}",
            )
            for one in document["timeline"]
        ),
        empty="Nothing was recorded yet.",
    )


def now(document: Document) -> Part | None:
    """What is different at the time the report was made; None where nobody asked."""
    found = document["now"]
    if found is None:
        return None
    torn = found["torn_bytes"]
    return Part(
        "As of now",
        rows=(
            ("At", found["at"]),
            ("Events", str(found["events"])),
            ("Head", found["head"]),
            ("Chain", chain(found["chain"])),
            *_some((("Last line", f"torn: {torn} bytes of a write that did not end, not counted" if torn else ""),)),
            *((f"Line {one['line']}", f"{one['what']} {one['means']}") for one in found["chain"]["problems"]),
            *(() if found["differences"] else (("Different", "nothing"),)),
        ),
        columns=("Where", "What", "Was", "Is") if found["differences"] else (),
        table=tuple(
            (one["where"], one["what"], one["was"] or "not there", one["is"] or "not there")
            for one in found["differences"]
        ),
    )


def live(document: Document) -> Part | None:
    """What was found by looking again (`review --live`), beside what was recorded; None where nobody did."""
    found = document.get("live")
    if found is None:
        return None
    told = ", ".join(f"{number} {word}" for word, number in found["counts"].items() if number)
    where = ((name.replace("_", " "), value) for name, value in found["environment"].items())
    return Part(
        "Looked at again",
        rows=(
            ("At", f"{found['ts']}, with readers only; nothing was written"),
            ("In all", told or "no checks"),
            *_some((name, "" if value is None else str(value)) for name, value in where),
        ),
        parts=(
            *(
                Part(
                    f"{one['kind']}: {one['text']}",
                    one["state"],
                    rows=_some(
                        (
                            ("Pinned", _named_facts(one["pinned"])),
                            ("Asked", _named_facts(one["found"])),
                            ("Do next", one["todo"]),
                        )
                    ),
                )
                for one in found["identities"]
            ),
            *(_again(check) for check in found["checks"]),
        ),
    )


def _named_facts(facts: Mapping[str, str | None] | None) -> str:
    return ", ".join(f"{name} {value or 'unknown'}" for name, value in (facts or {}).items())


def _word(check: Mapping[str, Any]) -> str:
    """The worse of its two words: than what was recorded, or what it is."""
    return _WORSE if check["difference"] == _WORSE else str(check["verdict"])


def _where(check: Mapping[str, Any]) -> str:
    return " ".join((f"step {check['number']}", *(name.partition("/")[2] for name in check["items"])))


def _again(check: Mapping[str, Any]) -> Part:
    before = check["recorded"]
    recorded = "never"
    if before is not None:
        others = "" if before["current"] else ", for other values or another cluster"
        recorded = f"{before['verdict']}, {before['text']}; {before['ts']}{others}"
    return Part(
        f"{_where(check)}: {check['title']}",
        check["verdict"],
        rows=_some(
            (
                ("Items", ", ".join(check["items"])),
                ("Check", check["check"]),
                ("Difference", check["difference"]),
                ("Now", check["text"]),
                ("Recorded", recorded),
                ("Do next", check["todo"] if check["verdict"] != GOOD else ""),
            )
        ),
        parts=_evidence(check["evidence"]),
    )


def verifying(document: Document) -> Part:
    """How a reader makes sure that this is what the journal says."""
    file, head = f"{document['setup']}.jsonl", document["head"]
    at = f" --as-of {document['as_of']}" if document["as_of_is"] == GIVEN else ""
    return Part(
        "How to verify",
        rows=(
            ("The head", f"{head} is the SHA-256 of the last line this report is made of."),
            ("The journal", f"privatelink-wizard review {file}{at} --expect {head} -o text"),
            ("A JSON report", f"privatelink-wizard review {file} --verify REPORT.json"),
            ("Without it", 'README.md, "Verify a journal without our program": sha256sum and jq'),
            ("Not proven", f"Who did what is {document['actors']}."),
        ),
    )


# ---------------------------------------------------------------- a step


def _step(step: Mapping[str, Any]) -> Part:
    """A step; where it runs at one place only, that place."""
    title = step["title"] or step["id"]
    about = (("Step", step["id"]), *(("Warning", text) for text in step["warnings"]))
    if len(step["items"]) == 1:
        (one,) = step["items"]
        return _place(one, f"{one['where']}: {title}", about)
    return Part(
        f"step {step['number']}: {title}" if step["number"] is not None else title,
        step["status"] or "",
        rows=about,
        parts=tuple(_place(one, one["where"]) for one in step["items"]) or (Part("no items yet"),),
    )


def _place(item: Mapping[str, Any], title: str, about: tuple[Row, ...] = ()) -> Part:
    """A step at one place: why it stands where it does, who said so, who looked and what was seen, what was done."""
    route = item["route"]
    return Part(
        title,
        item["status"] or "",
        rows=_some(
            (
                *about,
                ("Items", ", ".join(item["items"])),
                *(("Because", reason) for reason in item["reasons"]),
                ("Waits for", ", ".join(item["waits_for"])),
                ("Whose step", item["owner"]),
                ("Route", f"{route['route']}; {_said(route)}" if route else ""),
                ("Never observed", "no look that proves it was ever good" if item["never_observed"] else ""),
                ("Not looked", ", ".join(item["not_looked"])),
            )
        ),
        parts=(
            *(_waiver(one) for one in item["waivers"]),
            *(_attestation(one) for one in item["attestations"]),
            *(_finding(one) for one in item["findings"]),
            *(_change(one) for one in item["changes"]),
            *_rests_on(item["rests_on"]),
        ),
    )


def _rests_on(inputs: Sequence[Mapping[str, str]]) -> Iterator[Part]:
    if inputs:
        yield Part("rests on", rows=tuple((one["name"], one["value"] or "empty") for one in inputs))


def _finding(found: Mapping[str, Any]) -> Part:
    deciding = {True: "decides the step", False: "only advises", None: ""}[found["decides"]]
    return Part(
        f"{found['title']}: {found['text']}",
        "stale" if found["counts"] is False else found["verdict"],
        rows=_some(
            (
                ("Verdict", f"{found['verdict']}, since {found['since']}"),
                ("Stale", f"does not count: {found['stale']}" if found["stale"] else ""),
                ("Drift", _drift(found["drift"])),
                ("Do next", found["todo"]),
                ("Owes", found["owes"]),
                ("Check", ", ".join(part for part in (found["check"], deciding) if part)),
                ("Grade", _grade(found["grade"]) if found["grade"] else ""),
                ("Looked", _said(found)),
            )
        ),
        parts=_evidence(found["evidence"]),
    )


def _evidence(evidence: Sequence[Mapping[str, Any]]) -> tuple[Part, ...]:
    return tuple(
        Part(
            f"evidence {number}",
            rows=(
                ("Source", seen["source"]),
                ("Request", seen["request"]),
                ("Answer", seen["answer"]),
                ("SHA-256", seen["sha256"]),
                ("Time", seen["ts"]),
                ("Identity", seen["identity"]),
                ("Grade", _grade(seen["grade"])),
            ),
        )
        for number, seen in enumerate(evidence, 1)
    )


def _drift(drift: Mapping[str, str] | None) -> str:
    if drift is None:
        return ""
    return f"was: {drift['was']}, last seen {drift['until']}; is: {drift['is']}, since {drift['since']}"


def _attestation(one: Mapping[str, Any]) -> Part:
    digest = one["answers_sha256"]
    return Part(
        f"confirmed: {one['words']}",
        "stale" if one["counts"] is False else "attested",
        rows=_some(
            (
                ("Counts", _counts(one["counts"])),
                ("Text", f"{one['text_id']}, revision {one['revision']}"),
                ("From", f"an answers file, SHA-256 {digest}" if digest else ""),
                said(one),
            )
        ),
    )


def _waiver(one: Mapping[str, Any]) -> Part:
    used = {True: "the step is done on it", False: "the step does not rest on it", None: ""}[one["in_use"]]
    return Part(
        f"reason: {one['reason']}",
        "without observed proof",
        rows=_some((("Counts", _counts(one["counts"])), ("In use", used), said(one))),
    )


def _counts(counts_: bool | None) -> str:
    return {True: "yes, for the values as they are", False: "no: the values or the text are others now", None: ""}[
        counts_
    ]


def _change(one: Mapping[str, Any]) -> Part:
    process, finished = one["process"], one["finished"]
    ended: tuple[Row, ...] = ()
    if finished:
        ended = (
            ("Ended", f"{finished['outcome']}: {finished['summary']}; {_said(finished)}"),
            ("Detail", finished["detail"]),
            *_facts(finished["facts"]),
        )
    return Part(
        "change",
        finished["outcome"] if finished else "running",
        rows=_some(
            (
                # Not in the title: behind a glyph of ours, words that others chose could pass for ours.
                ("Summary", one["summary"]),
                ("Started", _said(one)),
                *(("Command", command) for command in one["commands"]),
                ("Digest", one["digest"]),
                ("Undo", one["undo"]),
                *_facts(one["facts"]),
                ("Process", f"pid {process['pid']}; {_said(process)}" if process else ""),
                *ended,
            )
        ),
    )


# ---------------------------------------------------------------- rows

WHO = ("event", "ts", "by", "via", "azure_oid")
"""What says of anything in the document who said it and when."""


def said(one: Mapping[str, Any]) -> Row:
    """Who said something, and when."""
    return "Said", _said(one)


def _said(one: Mapping[str, Any]) -> str:
    return f"{one['ts']} by {_author(one)}, event {one['event']}"


def _author(one: Mapping[str, Any]) -> str:
    oid = f", Azure object {one['azure_oid']}" if one["azure_oid"] else ""
    return f"{one['by']} via {one['via']}{oid}"


def _grade(grade: str) -> str:
    return f"{grade}, {GRADES[grade]}" if grade in GRADES else grade


def _facts(facts: Sequence[Mapping[str, str | None]]) -> Iterator[Row]:
    for one in facts:
        yield str(one["name"]), one["value"] or "unknown"


def _label(value: Mapping[str, Any]) -> str:
    return str(value["label"] or value["field"])


def _values(title: str, values: Sequence[Mapping[str, Any]]) -> Part:
    return Part(
        title,
        columns=("Field", "Value", "From", "Said") if values else (),
        table=tuple(
            (
                f"{one['label']} ({one['field']})" if one["label"] else one["field"],
                "; ".join((one["value"], *_file(one))),
                one["source"],
                _said(one),
            )
            for one in values
        ),
        empty="nothing",
    )


def _file(value: Mapping[str, Any]) -> Iterator[str]:
    if value["sha256"]:
        yield f"SHA-256 {value['sha256']}"
    if value["hosts"]:
        yield f"hosts in it: {', '.join(value['hosts'])}"


def _some(rows: Iterator[tuple[str, Any]] | Sequence[tuple[str, Any]]) -> tuple[Row, ...]:
    """The rows that say something."""
    return tuple((label, str(value)) for label, value in rows if value not in (None, "", False))
