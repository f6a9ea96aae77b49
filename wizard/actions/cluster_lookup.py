"""The look that settles the DNS step: what the cluster's own resolver answers, asked inside a pod.

Good is an answer that is not empty and within the private addresses of the DPE's endpoints (DESIGN.md section 2,
step 5). How the answer came about (Azure's zones, another DNS) does not matter, and neither does what is said.
"""

from __future__ import annotations

import json

from state.clock import now, seconds_between
from state.events import BAD, COULD_NOT_LOOK, DONE, GOOD, NOT_YET
from wizard.actions.release_facts import cluster_in_words, require_same_cluster
from wizard.actions.situation import MISSING, PRIVATE, UNANSWERED, Situation, situation
from wizard.current import current_finding, last_finding
from wizard.evidence import evidence
from wizard.guide import Finding
from wizard.ports import Readers
from wizard.view import View

CACHED = 300.0
"""Seconds for which caches between the cluster and a zone may go on with the answer of before, at least: the TTL that
public records and the absence of one (RFC 2308) usually have. A record with a longer TTL is kept as long as that."""

ALLOW = (
    "Choose Look inside at the DNS step, which asks for your consent; unattended, `probe: exec` in the answers file or "
    "`check NAME --allow-probe-pod`."
)


async def cluster_lookup(
    view: View,
    readers: Readers,
    *,
    hosts: tuple[str, ...],
    address: str,
    release: str,
    namespace: str,
    records: str,
) -> Finding:
    """Whether the hosts (fields `hosts`) resolve inside the cluster to the addresses of the endpoints alone.

    `address` is the field of those; `release` and `namespace` say where the DPE runs; `records` is the check of
    Azure's records.
    """
    owner = view.guide.fields()[hosts[0]].owner
    mine = view.only(owner)
    if readers.inside is None or readers.cluster is None:
        return Finding(COULD_NOT_LOOK, "nobody allowed a look from inside the cluster", ALLOW)
    where = [mine.value(key) for key in (release, namespace)]
    names = [host for key in hosts for host in mine.values(key)]
    wanted = frozenset(mine.values(address))
    if not all(where) or not names or not wanted:
        labels = [view.guide.fields()[key].label for key in (*hosts, address, release, namespace)]
        return Finding(COULD_NOT_LOOK, f"one of these is not entered yet: {', '.join(labels)}", "Enter them.")
    identity = await readers.cluster.identity()
    require_same_cluster(view, identity)
    try:
        answer = await readers.inside.lookup(where[0], where[1], tuple(names), identity.server)
    except ValueError:  # written into the journal by hand: a field takes host names alone
        return Finding(COULD_NOT_LOOK, f"one of these is no host name: {', '.join(names)}", "Enter it again.")
    told = json.dumps({one.host: {"addresses": sorted(one.addresses), "error": one.error} for one in answer.answers})
    seen = evidence(
        "DNS inside the cluster",
        f"{answer.command} in pod {answer.pod} of namespace {where[1]} (container {answer.container}, {answer.image})",
        told,
        cluster_in_words(identity),
    )
    found = situation(answer.answers, wanted)
    verdict, text, todo = _judge(view, found, wanted, records)
    return Finding(verdict, found.told(text), todo, (seen,))


def _judge(view: View, found: Situation, wanted: frozenset[str], records: str) -> tuple[str, str, str]:
    if found.word == UNANSWERED:
        return COULD_NOT_LOOK, f"inside the cluster, {found.said}", "Look again; ask who runs the cluster's DNS."
    if found.word == PRIVATE:
        return GOOD, f"private inside the cluster: {found.said}", ""
    right = ", ".join(sorted(wanted))
    if (age := _age_of_change(view)) is not None and (left := _cached(view, records) - age) > 0:
        text = (
            f"stale: inside the cluster {found.said}; DNS was changed {age:.0f} s ago, and caches keep the old answer"
        )
        return NOT_YET, text, f"Look again within {left / 60:.0f} minutes." if left > 90 else "Look again in a minute."
    if found.word == MISSING:
        text = f"missing: inside the cluster {found.said}; the DPE can't connect at all"
        todo = (
            "A zone is there without this record, or the cluster's DNS gave no answer: look again, then run this step."
        )
        return BAD, text, todo
    harm = "the DPE's data crosses the public internet" if found.crosses else "the DPE does not reach the endpoint"
    text = f"{found.word}: inside the cluster {found.said}, not {right}: {harm}"
    return BAD, text, _way_on(view, records)


def _way_on(view: View, records: str) -> str:
    """What to do about a wrong answer: the records first, and where they are right, what stands before them."""
    check = view.step.check(records)
    record = current_finding(view, check) if check else None
    if record is None or record.data.verdict != GOOD:
        return "Run this step, or have the zone, its link and the records made."
    return (
        "Azure's records are right, so the cluster does not ask Azure: its VNet's DNS servers must forward to "
        "168.63.129.16, or the cluster is in another VNet than the one named here."
    )


def _cached(view: View, records: str) -> float:
    """Seconds for which an older answer may be kept: the longest TTL among Azure's records as they were seen last."""
    record = view.snapshot.findings.get((view.step.id, view.items, records))
    ttls = [_ttl(seen.answer) for seen in record.data.evidence] if record is not None else []
    return max((CACHED, *ttls))


def _ttl(answer: str) -> float:
    """The TTL in the evidence of a record set; 0 where there is none, also in a journal that others wrote."""
    try:
        found = json.loads(answer)["record"]["ttl"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return 0.0
    return float(found) if isinstance(found, int) and 0 < found <= 7 * 86400 else 0.0


def _age_of_change(view: View) -> float | None:
    """Seconds since this step was last done from here, for these hosts; None when caches can't hold what was before."""
    mine = view.only(view.step.per[0])
    done = [
        change.finished.ts
        for change in view.snapshot.changes.values()
        if change.finished is not None
        and change.finished.data.outcome == DONE
        and change.started.data.step == view.step.id
        and set(mine.items) <= set(change.started.data.items)
    ]
    if not done or _was_right_since(view, max(done)):
        return None
    return max(0.0, seconds_between(max(done), view.now or now()))


def _was_right_since(view: View, ts: str) -> bool:
    """Whether this look was good after `ts`: then no cache is to blame for what it finds now."""
    records = [last_finding(view, check) for check in view.step.checks if check.settles]
    return any(record is not None and record.good is not None and record.good.ts > ts for record in records)
