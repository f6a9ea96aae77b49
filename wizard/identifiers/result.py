"""What a parser answers, and what it may know beforehand.

NamedTuples rather than dataclasses: `validate` has a start-up budget, and importing dataclasses costs more than
everything else here together (DESIGN.md section 8).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from wizard.text import one_line

PartState = Literal["ok", "bad", "missing"]
State = Literal["empty", "not complete", "wrong", "ok"]


class Part(NamedTuple):
    """One part of a value, cleaned. `missing` also means begun: `value` is then what is there so far."""

    name: str
    value: str
    state: PartState


class Known(NamedTuple):
    """What is known of the setup around the value; all of it optional.

    `subscription_ids`: the registered ones; an endpoint of another is wrong. `hosts`: names found elsewhere, such as
    in the values file; another one is only noted. `subnet_prefixes`: CIDR ranges that a private IP must be in.
    """

    subscription_ids: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    subnet_prefixes: tuple[str, ...] = ()


NOTHING_KNOWN = Known()


class Parsed(NamedTuple):
    """The answer for one value.

    `value` is what came in, raw (clean it before drawing). `normalized` is the canonical spelling, "" unless ok.
    Of a secret neither is kept: `value` is "" and `normalized` a mask.
    `message` is one line, None when ok. `next` says what to add, `completion` is the missing tail where it is
    certain, `note` what is known about a value that is ok.
    """

    kind: str
    value: str
    state: State
    normalized: str = ""
    parts: tuple[Part, ...] = ()
    message: str | None = None
    next: str = ""
    completion: str = ""
    note: str = ""

    @property
    def ok(self) -> bool:
        """Whether the value can be used as it is in `normalized`."""
        return self.state == "ok"


class Verdict(NamedTuple):
    """A judgement on one part of a value."""

    state: State
    message: str = ""


FINE = Verdict("ok")


def part(name: str, value: str, state: PartState) -> Part:
    """A Part whose value may be drawn."""
    return Part(name, one_line(value), state)


def accept(normalized: str, *parts: Part, note: str = "") -> Parsed:
    """The value is right. `kind` and `value` are filled in by `parse`."""
    return Parsed("", "", "ok", normalized, parts, note=note)


def incomplete(*parts: Part, next: str, completion: str = "", message: str = "") -> Parsed:
    """Right so far; `next` says what to add and is the message too, unless there is a better one."""
    return Parsed(
        "",
        "",
        "not complete",
        parts=parts,
        message=message or f"not complete: {next}",
        next=next,
        completion=completion,
    )


def wrong(message: str, *parts: Part) -> Parsed:
    """Typing on does not help: `message` says what this is and what to enter instead."""
    return Parsed("", "", "wrong", parts=parts, message=message)


def empty(what: str) -> Parsed:
    """Nothing there; `what` says what to enter and where to find it."""
    return Parsed("", "", "empty", message=f"empty: {what}", next=what)


def judged(verdict: Verdict, name: str, text: str, note: str = "") -> Parsed:
    """The answer for a value that is one part, from the verdict on it."""
    if verdict.state == "ok":
        return accept(text, part(name, text, "ok"), note=note)
    if verdict.state == "wrong":
        return wrong(verdict.message, part(name, text, "bad"))
    return incomplete(part(name, text, "missing"), next=verdict.message)


def quoted(text: str) -> str:
    """Outside text inside a message: cleaned, one line, at most 60 characters, in quotes."""
    return f'"{one_line(text, limit=60)}"'


def character(char: str) -> str:
    """A character in words that can be read: a space, "x" or U+200B."""
    if char.isspace():
        return "a space"
    return f'"{char}"' if char.isprintable() else f"U+{ord(char):04X}"
