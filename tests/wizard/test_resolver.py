"""What the resolver here says, judged against the endpoints' addresses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from state.events import BAD, COULD_NOT_LOOK, GOOD, FieldSet
from state.problem import Problem
from state.snapshot import fold
from tests.setups import DPM, MINIO, VALUES
from tests.wizard.engine import DNS, Resolver, event, items, snapshot_of, view_of
from wizard.actions.resolver import judge, resolver_here
from wizard.guide import ItemStep
from wizard.ports import DnsAnswer, Readers
from wizard.round import one_round

IN, OUT = "10.20.1.4", "52.1.2.3"
SNAPSHOT = snapshot_of(
    *items("subscription/main", "endpoint/pe-weu", "dpe/dpe-01", links=[("dpe/dpe-01", "endpoint/pe-weu")]),
    *(FieldSet(item=owner, field=key, value=value) for owner, key, value in VALUES),
)


async def look(resolver: Resolver | None, place: ItemStep = DNS):
    view = view_of(SNAPSHOT, place)
    return await resolver_here(
        view, Readers(dns=resolver), hosts=("dpm_host", "minio_host"), address="private_ip", server="dns_server"
    )


@pytest.mark.parametrize(
    ("answers", "verdict", "says"),
    [
        ({DPM: (IN,), MINIO: (IN,)}, GOOD, "private, asked from here"),
        ({DPM: (IN,), MINIO: (OUT,)}, BAD, "public internet"),
        ({DPM: (IN, OUT), MINIO: (IN,)}, BAD, OUT),  # one way out is enough to leave by
        ({DPM: (IN,)}, BAD, f"missing, asked from here: {MINIO} is nothing"),
        ({}, BAD, f"{DPM} is nothing, {MINIO} is nothing"),
    ],
)
async def test_good_is_every_host_within_the_endpoints_addresses(
    answers: Mapping[str, tuple[str, ...]], verdict: str, says: str
):
    finding = await look(Resolver(answers))
    assert finding.verdict == verdict
    assert says in finding.text
    assert [seen.request for seen in finding.evidence] == [
        f"A and AAAA {host} from this machine's resolver" for host in (DPM, MINIO)
    ]


@pytest.mark.parametrize("error", ["nxdomain", "no data"])
async def test_a_zone_without_its_record_is_missing_however_that_is_said(error: str):
    """With a zone per host the record is the zone's apex: the name exists, and has no data."""
    finding = await look(Resolver({DPM: (), MINIO: ()}, error=error))
    assert (finding.verdict, finding.text.split(",")[0]) == (BAD, "missing")


@pytest.mark.parametrize("error", ["timeout", "refused", "servfail", "no answer"])
async def test_silence_is_no_verdict(error: str):
    finding = await look(Resolver({DPM: (), MINIO: ()}, error=error))
    assert finding.verdict == COULD_NOT_LOOK
    assert error in finding.text


def test_who_was_not_answered_for_stands_behind_what_is_wrong():
    silent = DnsAnswer(MINIO, (), "s", error="timeout")
    for first, says in (
        (DnsAnswer(DPM, (OUT,), "s"), "still public"),
        (DnsAnswer(DPM, (), "s", error="no data"), "missing"),
    ):
        verdict, text, todo = judge([first, silent], frozenset({IN}), "asked from here")
        assert (verdict, text.split(",")[0]) == (BAD, says)
        assert text.endswith(f"; {MINIO}: timeout from s")
        assert todo
    assert judge([DnsAnswer(DPM, (IN,), "s"), silent], frozenset({IN}), "asked from here")[0] == COULD_NOT_LOOK


async def test_no_resolver_and_no_hosts_is_no_verdict():
    assert (await look(None)).verdict == COULD_NOT_LOOK
    empty = view_of(snapshot_of(*items("dpe/dpe-01", "endpoint/pe-weu")), DNS)
    assert (
        await resolver_here(
            empty, Readers(dns=Resolver()), hosts=("dpm_host",), address="private_ip", server="dns_server"
        )
    ).verdict == (COULD_NOT_LOOK)


async def test_evidence_is_the_same_for_the_same_answer_in_another_order():
    one = await look(Resolver({DPM: (IN, OUT), MINIO: (IN,)}))
    other = await look(Resolver({DPM: (OUT, IN), MINIO: (IN,)}))
    assert [seen.sha256 for seen in one.evidence] == [seen.sha256 for seen in other.evidence]


def test_without_an_address_nothing_is_good():
    verdict, _, _ = judge([DnsAnswer(DPM, (IN,), "s")], frozenset(), "asked from here")
    assert verdict == BAD


@dataclass
class TwoResolvers:
    """This machine's resolver, and another one."""

    here: Resolver
    named: Resolver | Dead

    async def resolve(self, host: str, server: str | None = None) -> DnsAnswer:
        return await (self.named if server else self.here).resolve(host, server)


@pytest.mark.parametrize(
    ("here", "named", "verdict", "says"),
    [
        (IN, IN, GOOD, ("private, asked from here", "private, asked of 10.20.0.10")),
        (OUT, IN, BAD, ("still public, asked from here", "private, asked of 10.20.0.10")),
        (IN, OUT, BAD, ("private, asked from here", "still public, asked of 10.20.0.10")),
    ],
)
async def test_a_named_server_is_asked_beside_this_machines(here: str, named: str, verdict: str, says: tuple[str, str]):
    both = TwoResolvers(Resolver(dict.fromkeys((DPM, MINIO), (here,))), Resolver(dict.fromkeys((DPM, MINIO), (named,))))
    named_one = FieldSet(item="dpe/dpe-01", field="dns_server", value="10.20.0.10")
    view = view_of(fold(SNAPSHOT.header, [event(100, named_one)], SNAPSHOT), DNS)
    found = await resolver_here(
        view, Readers(dns=both), hosts=("dpm_host", "minio_host"), address="private_ip", server="dns_server"
    )
    assert found.verdict == verdict
    assert [part.split(": ")[0] for part in found.text.split("; ")] == list(says)
    assert [seen.request.partition(" from ")[2] for seen in found.evidence] == [
        *["this machine's resolver"] * 2,
        *["10.20.0.10"] * 2,
    ]


@dataclass
class Dead:
    """A server that is silent, and counts how often that had to be waited for."""

    asked: int = 0

    async def resolve(self, host: str, server: str | None = None) -> DnsAnswer:
        self.asked += 1
        return DnsAnswer(host, (), server or "", error="timeout")


@pytest.mark.parametrize(
    ("here", "verdict", "says"), [(OUT, BAD, "still public, asked from here"), (IN, COULD_NOT_LOOK, "private, asked")]
)
async def test_a_dead_server_does_not_hide_what_another_one_answers(here: str, verdict: str, says: str):
    """Also when a round asks it no more, since it was silent for others."""
    both = TwoResolvers(Resolver(dict.fromkeys((DPM, MINIO), (here,))), Dead())
    named_one = FieldSet(item="dpe/dpe-01", field="dns_server", value="10.20.0.10")
    view = view_of(fold(SNAPSHOT.header, [event(100, named_one)], SNAPSHOT), DNS)
    async with one_round(Readers(dns=both)) as shared:
        assert shared.dns is not None
        await shared.dns.resolve("other.test", "10.20.0.10")
        found = await resolver_here(
            view, shared, hosts=("dpm_host", "minio_host"), address="private_ip", server="dns_server"
        )
    assert isinstance(both.named, Dead)
    assert both.named.asked == 1, "it was not waited for again"
    assert found.verdict == verdict
    assert says in found.text
    assert found.text.endswith(f"{DPM}: no answer from 10.20.0.10; {MINIO}: no answer from 10.20.0.10")
    assert [seen.request for seen in found.evidence] == [
        f"A and AAAA {host} from this machine's resolver" for host in (DPM, MINIO)
    ], "what was not asked is no evidence"


async def test_where_no_server_is_asked_any_more_it_says_why():
    class Refusing:
        async def resolve(self, host: str, server: str | None = None) -> DnsAnswer:
            raise Problem("no-answer", "The resolver gave no answer.")

    with pytest.raises(Problem, match="gave no answer"):
        await look(Refusing())  # type: ignore[arg-type]


def test_a_resolver_without_an_address_is_not_named():
    _, text, _ = judge([DnsAnswer(DPM, (), "", error="timeout")], frozenset({IN}), "asked from here")
    assert text == f"{DPM}: timeout"
