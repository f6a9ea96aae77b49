"""What a resolver's answers mean for the hosts of a private connection: one word for it, and the words to say it."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from wizard.identifiers.address import PRIVATE_RANGES
from wizard.ports import DnsAnswer

PRIVATE = "private"
PUBLIC = "still public"
MIXED = "mixed"
MISSING = "missing"
ELSEWHERE = "elsewhere"
UNANSWERED = "no answer"

# What is an answer: no such name, or none of its addresses. The second is what a zone of the host's own name says when
# its record is missing, since the zone's apex always exists.
_ABSENT = ("nxdomain", "no data")

# Addresses that no packet leaves a private network for: a network's own, and the loopback and link-local ones.
_INSIDE = tuple(map(ipaddress.ip_network, (*PRIVATE_RANGES, "127.0.0.0/8", "169.254.0.0/16", "fe80::/10", "::1/128")))


@dataclass(frozen=True, slots=True)
class Situation:
    """What all answers together mean: one of the words above, and each host with its addresses in words.

    `unanswered`: the hosts that nobody answered for, in words, where others say enough; empty when there are none.
    """

    word: str
    said: str
    unanswered: str = ""

    @property
    def crosses(self) -> bool:
        """Whether data would cross the public internet."""
        return self.word in (PUBLIC, MIXED)

    def told(self, text: str) -> str:
        """What is said about it, with the hosts that nobody answered for behind it."""
        return "; ".join(filter(None, (text, self.unanswered)))


def situation(answers: Sequence[DnsAnswer], wanted: frozenset[str]) -> Situation:
    """What the answers for all hosts mean, against the private addresses of the endpoints.

    The worst host gives the word; hosts that differ, or one host with both kinds of addresses, are mixed. A host that
    nobody answered for could be anything: it takes `private` away, and nothing worse.
    """
    answered = [answer for answer in answers if not answer.error or answer.error in _ABSENT]
    silent = [answer for answer in answers if answer not in answered]
    unanswered = "; ".join(map(_silence, silent))
    words = {answer.host: _word(answer, wanted) for answer in answered}
    found = frozenset(words.values())
    if found & {PUBLIC, MIXED}:
        word = PUBLIC if found == {PUBLIC} else MIXED
    else:
        word = next((one for one in (MISSING, ELSEWHERE) if one in found), PRIVATE)
    if silent and word == PRIVATE:
        return Situation(UNANSWERED, unanswered)
    told = [one for one in answered if word == PRIVATE or words[one.host] != PRIVATE]
    return Situation(word, ", ".join(map(_said, told)), unanswered)


def _word(answer: DnsAnswer, wanted: frozenset[str]) -> str:
    addresses = frozenset(answer.addresses)
    if not addresses:
        return MISSING
    if addresses <= wanted:
        return PRIVATE
    if not any(map(is_public, addresses - wanted)):
        return ELSEWHERE
    return MIXED if addresses & wanted else PUBLIC


def _said(answer: DnsAnswer) -> str:
    return f"{answer.host} is {', '.join(sorted(answer.addresses)) or 'nothing'}"


def _silence(answer: DnsAnswer) -> str:
    return f"{answer.host}: {answer.error}" + (f" from {answer.server}" if answer.server else "")


def is_public(address: str) -> bool:
    """Whether packets to an IP address leave the private network."""
    found = ipaddress.ip_address(address)
    return not any(found in network for network in _INSIDE)
