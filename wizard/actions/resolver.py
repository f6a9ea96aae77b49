"""The look from here: what the resolver of this machine says about the hosts. It advises, it does not prove.

This machine may stand outside the network in which the private addresses resolve, so only the lookup from inside the
cluster proves the DNS step (DESIGN.md section 2, step 5).
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
from collections.abc import Sequence

from state.events import BAD, COULD_NOT_LOOK, GOOD, Evidence
from wizard.evidence import evidence
from wizard.guide import Finding
from wizard.ports import DnsAnswer, Readers
from wizard.view import View


async def resolver_here(view: View, readers: Readers, *, hosts: tuple[str, ...], address: str) -> Finding:
    """Whether the hosts in the fields `hosts` resolve here to the endpoints' addresses (field `address`) alone."""
    if readers.dns is None:
        return Finding(COULD_NOT_LOOK, "there is no resolver to ask in this environment", "")
    names = [host for key in hosts for host in view.values(key)]
    if not names:
        return Finding(COULD_NOT_LOOK, "no host names are entered yet", "Enter the host names.")
    answers = await asyncio.gather(*(readers.dns.resolve(name) for name in names))
    seen = tuple(_seen(answer) for answer in answers)
    # Good is any endpoint of the item that the hosts belong to, not only the one this step runs for.
    owner = view.guide.fields()[hosts[0]].owner
    verdict, text, todo = judge(answers, wanted=frozenset(view.only(owner).values(address)))
    return Finding(verdict, text, todo, seen)


def _seen(answer: DnsAnswer) -> Evidence:
    told = json.dumps({"addresses": sorted(answer.addresses), "error": answer.error})
    return evidence("DNS", f"A and AAAA {answer.host} from this machine's resolver", told, answer.server)


def judge(answers: Sequence[DnsAnswer], wanted: frozenset[str]) -> tuple[str, str, str]:
    """Verdict, text and next action for what a resolver said, against the endpoints' private addresses."""
    unanswered = [answer for answer in answers if answer.error and answer.error != "nxdomain"]
    if unanswered:
        first = unanswered[0]
        return COULD_NOT_LOOK, f"{first.host}: {first.error} from {first.server}", "Look again from inside the network."
    missing = [answer.host for answer in answers if not answer.addresses]
    if missing:
        return (
            BAD,
            f"{', '.join(missing)} does not resolve here",
            "Create the DNS record, or look from inside the VNet.",
        )
    stray = {answer.host: set(answer.addresses) - wanted for answer in answers}
    elsewhere = {host: addresses for host, addresses in stray.items() if addresses}
    if elsewhere:
        host, addresses = next(iter(elsewhere.items()))
        crosses = ": from here data would cross the public internet" if any(map(_is_public, addresses)) else ""
        return (
            BAD,
            f"{host} resolves here to {', '.join(sorted(addresses))}, not to the endpoint{crosses}",
            "If this machine is inside the VNet, the DNS record is missing or the zone is not linked.",
        )
    named = ", ".join(f"{answer.host} to {', '.join(sorted(answer.addresses))}" for answer in answers)
    return GOOD, f"resolves here: {named}", ""


def _is_public(address: str) -> bool:
    return ipaddress.ip_address(address).is_global
