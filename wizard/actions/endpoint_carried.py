"""What an endpoint that is made anew is given again: what somebody gave the one before, beside its connection.

Deleting takes all of it away, and a policy that requires a tag refuses the new one once the old one is gone.
"""

from __future__ import annotations

import msgspec

from state.events import DONE
from state.problem import Problem
from wizard.actions.azure_facts import last_name, same_id
from wizard.azure import AzureReader, Carried, Endpoint
from wizard.text import one_line
from wizard.view import View

CREATE, DELETE = "create endpoint", "delete endpoint"
"""What a write does, as the journal keeps it."""

_FACT = "carried"


def in_words(carried: Carried) -> tuple[str, ...]:
    """A line for each kind of it: tags, private IPs, application security groups."""
    said = []
    if carried.tags:
        said.append(f"tags {', '.join(f'{key}={value}' for key, value in carried.tags)}")
    if carried.ip_configurations:
        said.append(f"private IP {', '.join(one.address for one in carried.ip_configurations)}, chosen by somebody")
    if carried.security_groups:
        said.append(f"application security groups {', '.join(map(last_name, carried.security_groups))}")
    return tuple(map(one_line, said))


def words_of_az(carried: Carried) -> tuple[str, ...]:
    """The same for `az network private-endpoint create`."""
    words: list[str] = []
    if carried.tags:
        words += ("--tags", *(f"{_key(key)}={_value(value)}" for key, value in carried.tags))
    for one in carried.ip_configurations:
        words += ("--ip-config", f"name={one.name}", f"private-ip-address={one.address}")
        words += [f"{key}={value}" for key, value in (("group-id", one.group), ("member-name", one.member)) if value]
    for group in carried.security_groups:
        words += ("--asg", f"id={group}")
    return tuple(words)


# az reads KEY=VALUE in a notation of its own, in which a quote within quotes is written '/ (its "shorthand syntax").
def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'/") + "'"


def _key(key: str) -> str:
    return key if key.replace("-", "_").isascii() and key.replace("-", "_").isidentifier() else _quoted(key)


def _value(value: str) -> str:
    return _quoted(value) if not value or value[0] in "'\"[{" or value in ("null", "??") else value


# ---------------------------------------------------------------- between the delete and the next plan


def fact_of(carried: Carried) -> dict[str, str]:
    """What the journal keeps with a delete: whoever makes the endpoint anew, days later, still knows it."""
    return {} if carried == Carried() else {_FACT: msgspec.json.encode(carried).decode()}


def kept(view: View, resource: str) -> Carried:
    """What the endpoint of that ID was given, when this setup deleted it and none was made since."""
    for change in reversed(tuple(view.snapshot.changes.values())):
        facts = change.started.data.facts
        if not same_id(facts.get("resource", ""), resource):
            continue
        if facts.get("does") == DELETE:
            return _read(facts.get(_FACT, ""))
        if facts.get("does") == CREATE and change.finished is not None and change.finished.data.outcome == DONE:
            break
    return Carried()


def _read(fact: str) -> Carried:
    try:
        return msgspec.json.decode(fact, type=Carried)
    except (msgspec.DecodeError, ValueError):  # none, or somebody else wrote that journal
        return Carried()


# ---------------------------------------------------------------- before the delete


async def what_follows(azure: AzureReader, found: Endpoint) -> str:
    """What becomes of all that hangs on an endpoint when it is deleted and made anew, for who is asked to say yes."""
    said = []
    if found.carried != Carried():
        said.append("What the plan says is as before is given to the new one again.")
    try:
        groups = await azure.zone_groups(found.id)
    except Problem as problem:
        said.append(f"Whether it has DNS zone groups could not be looked at ({problem.what}); they would be lost.")
    else:
        if groups:
            said.append(f"Its DNS zone groups are lost ({one_line(', '.join(groups))}): make them again afterwards.")
    said.append("Locks, role assignments and diagnostic settings of its own are lost, too.")
    return " ".join(said)
