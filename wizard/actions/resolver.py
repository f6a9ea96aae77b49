"""The look from here: what the resolver of this machine says about the hosts. It advises, it does not prove.

This machine may stand outside the network in which the private addresses resolve, so only the lookup from inside the
cluster proves the DNS step (DESIGN.md section 2, step 5).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

from state.events import BAD, COULD_NOT_LOOK, GOOD, Evidence
from state.problem import Problem
from wizard.actions.situation import MISSING, PRIVATE, UNANSWERED, Situation, situation
from wizard.evidence import evidence
from wizard.guide import Finding
from wizard.ports import DnsAnswer, DnsReader, Readers
from wizard.view import View


async def resolver_here(view: View, readers: Readers, *, hosts: tuple[str, ...], address: str, server: str) -> Finding:
    """Whether the hosts in the fields `hosts` resolve to the endpoints' addresses (field `address`) alone.

    It asks the resolver of this machine, and beside it the one that the field `server` names, where one is named.
    Raises Problem when a round asks none of them any more.
    """
    dns = readers.dns
    if dns is None:
        return Finding(COULD_NOT_LOOK, "there is no resolver to ask in this environment", "")
    names = [host for key in hosts for host in view.values(key)]
    if not names:
        return Finding(COULD_NOT_LOOK, "no host names are entered yet", "Enter the host names.")
    named = view.value(server)
    # Good is any endpoint of the item that the hosts belong to, not only the one this step runs for.
    owner = view.guide.fields()[hosts[0]].owner
    wanted = frozenset(view.only(owner).values(address))
    servers = (None, named) if named else (None,)
    each = [(name, asked) for asked in servers for name in names]
    told = await asyncio.gather(*(_asked(dns, name, asked) for name, asked in each))
    problems = [one for one in told if isinstance(one, Problem)]
    if len(problems) == len(told):
        raise problems[0]
    # A server that is asked no more, since it was silent for others, takes away nothing of what another one says.
    answers = [
        DnsAnswer(name, (), asked or _HERE, error="no answer") if isinstance(one, Problem) else one
        for one, (name, asked) in zip(told, each, strict=True)
    ]
    found = []
    for turn, asked in enumerate(servers):
        mine = answers[turn * len(names) : (turn + 1) * len(names)]
        found.append(judge(mine, wanted, f"asked of {asked}" if asked else "asked from here"))
    verdict, _, todo = min(found, key=lambda one: _WORST.index(one[0]))
    seen = tuple(
        _seen(one, asked or _HERE) for one, (_, asked) in zip(told, each, strict=True) if not isinstance(one, Problem)
    )
    return Finding(verdict, "; ".join(text for _, text, _ in found), todo, seen)


_WORST = (BAD, COULD_NOT_LOOK, GOOD)
_HERE = "this machine's resolver"


async def _asked(dns: DnsReader, host: str, server: str | None) -> DnsAnswer | Problem:
    """What a resolver says, or why a round asks it no more."""
    try:
        return await dns.resolve(host, server)
    except Problem as problem:
        return problem


def _seen(answer: DnsAnswer, whose: str) -> Evidence:
    # Without its TTL, which counts down: an answer that is the same is no news.
    told = json.dumps({"addresses": sorted(answer.addresses), "error": answer.error})
    return evidence("DNS", f"A and AAAA {answer.host} from {whose}", told, answer.server)


def judge(answers: Sequence[DnsAnswer], wanted: frozenset[str], asked: str) -> tuple[str, str, str]:
    """Verdict, text and next action for what a resolver said that was `asked`, against the endpoints' addresses."""
    found = situation(answers, wanted)
    verdict, text, todo = _judged(found, wanted, asked)
    return verdict, found.told(text), todo


def _judged(found: Situation, wanted: frozenset[str], asked: str) -> tuple[str, str, str]:
    if found.word == UNANSWERED:
        return COULD_NOT_LOOK, found.said, "Look again from inside the network."
    if found.word == PRIVATE:
        return GOOD, f"private, {asked}: {found.said}", ""
    if found.word == MISSING:
        return BAD, f"missing, {asked}: {found.said}", "Create the DNS record, or look from inside the VNet."
    crosses = ": from here data would cross the public internet" if found.crosses else ""
    return (
        BAD,
        f"{found.word}, {asked}: {found.said}, not {' or '.join(sorted(wanted)) or 'the endpoint'}{crosses}",
        "If this machine is inside the VNet, the DNS record is missing or the zone is not linked.",
    )
