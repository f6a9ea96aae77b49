"""Makes journals of any length quickly: no fsync, but the same lines that a writer would have written.

python -m tests.state.make_journal FILE EVENTS
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from state import journal
from state.events import (
    DONE,
    FORMAT,
    GOOD,
    NOT_YET,
    OBSERVED,
    Actor,
    Attested,
    ChangeFinished,
    ChangeStarted,
    Data,
    EnvironmentSet,
    Event,
    Evidence,
    FieldSet,
    Found,
    GuideRef,
    Header,
    IdentityPinned,
    ItemAdded,
    Linked,
    ModeSet,
    ProbeConsented,
    RouteChosen,
)

ACTOR = Actor(user="ada", host="build-01", via="screen")
GUIDE = GuideRef(id="azure-privatelink-hybrid-dpe", version=1)
BEGIN = datetime(2026, 1, 5, 8, tzinfo=UTC)
ENDPOINTS = 10
DPES = 4


def data_of(count: int) -> Iterator[Data]:
    """`count` events of a setup that is looked at again and again: mostly findings and fields."""
    opening: list[Data] = [
        ModeSet(mode="self-service"),
        EnvironmentSet(kubeconfig="/home/ada/.kube/config", kube_context="aks-dpe-prod-weu-01"),
        ProbeConsented(probe="exec"),
        ItemAdded(item="subscription/main"),
        *(ItemAdded(item=f"endpoint/pe-{n}") for n in range(ENDPOINTS)),
        *(ItemAdded(item=f"dpe/worker-{n}") for n in range(DPES)),
        *(Linked(source=f"dpe/worker-{n % DPES}", target=f"endpoint/pe-{n}") for n in range(ENDPOINTS)),
        IdentityPinned(kind="cluster", facts={"server": "https://aks.example:443", "uid": None}),
    ]
    yield from opening[:count]
    for number in range(count - len(opening)):
        yield _one(number)


def _one(number: int) -> Data:
    endpoint = f"endpoint/pe-{number % ENDPOINTS}"
    fingerprint = sha256(b"%d" % (number % 7)).hexdigest()
    match number % 10:
        case 0 | 1 | 2:
            return FieldSet(item=endpoint, field=("name", "vnet", "private_ip")[number % 3], value=f"value-{number}")
        case 3:
            return Attested(
                step="4",
                items=(endpoint,),
                text_id="pasted",
                revision=1,
                text="I pasted the Resource ID into the portal and selected Add.",
                fingerprint=fingerprint,
            )
        case 4:
            return RouteChosen(step="3", items=(endpoint,), route="do it for me")
        case 5:
            return ChangeStarted(change=f"c{number % 100}", step="3", items=(endpoint,), summary="Create the endpoint")
        case 6:
            return ChangeFinished(change=f"c{(number - 1) % 100}", outcome=DONE, summary="Created in 41 s")
        case _:
            answer = f'{{"status":"Approved","ip":"10.0.0.{number % 250}"}}'
            return Found(
                step="3",
                items=(endpoint,),
                check="connection",
                verdict=GOOD if number % 3 else NOT_YET,
                text="The connection is Approved.",
                fingerprint=fingerprint,
                evidence=(
                    Evidence(
                        source="Azure Resource Manager",
                        request=f"GET privateEndpoints/pe-{number % ENDPOINTS}",
                        answer=answer,
                        sha256=sha256(answer.encode()).hexdigest(),
                        ts=ts_of(number),
                        identity="ada",
                        grade=OBSERVED,
                    ),
                ),
            )


def ts_of(number: int) -> str:
    """Time of the event `number`: one a minute."""
    return (BEGIN + timedelta(minutes=number)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def lines_of(
    data: Sequence[Data] | Iterator[Data], name: str = "demo", guide: GuideRef = GUIDE, actor: Actor = ACTOR
) -> list[bytes]:
    """The lines of a journal holding `data`, without newlines."""
    lines = [journal.encode_header(Header(seq=0, format=FORMAT, guide=guide, name=name, ts=ts_of(0)))]
    for seq, one in enumerate(data, 1):
        event = Event(
            seq=seq,
            ts=ts_of(seq),
            actor=actor,
            type=one.TYPE,
            v=one.VERSION,
            data=one,
            prev=journal.line_hash(lines[-1]),
        )
        lines.append(journal.encode_line(event))
    return lines


def make_journal(path: Path, events: int, name: str = "demo") -> Path:
    """Write a journal of `events` events to `path`, mode 0600."""
    path.write_bytes(b"\n".join(lines_of(data_of(events), name)) + b"\n")
    path.chmod(0o600)
    return path


if __name__ == "__main__":
    make_journal(Path(sys.argv[1]), int(sys.argv[2]))
