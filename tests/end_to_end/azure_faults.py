"""What goes wrong in Azure at steps 3 and 5, one by one, and what the user is told: by `run`, and on the screen."""

from __future__ import annotations

from dataclasses import dataclass, field

from state.problem import EXIT_BAD, EXIT_NOT_YET, EXIT_OK
from tests.end_to_end.in_azure import ENDPOINT, ZONE
from wizard.sandbox import faults as known

STEP_3, STEP_5 = "endpoint pe-weu", "dns dpe-01 pe-weu"


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong in Azure, and what the user is told. `{name}` in a text is a key of the facts.

    `step`: where it stops; empty when the run gets over it, and then `said` is what it narrates. `ended`: the code of
    the change that was journalled as failed, `tries` times; empty when none was. `status`: what the step is in the end.
    `again`: what had to be sent more than once, by kind, with how often. `words`: what the second run's answers say
    about the steps. `unlinked`: a zone for the first host was left unused.
    """

    exit_code: int = EXIT_OK
    step: str = ""
    done: int = 8
    what: str = ""
    means: str = ""
    todo: str = ""
    detail: str = ""
    said: str = ""
    ended: str = ""
    tries: int = 1
    status: str = "failed"
    again: dict[str, int] = field(default_factory=dict)
    words: dict[str, dict[str, str]] = field(default_factory=dict)
    unlinked: bool = False


FAULTS = {
    known.ARM_THROTTLED: Fault(said="Azure asks to slow down: waiting 1 s, then asking again"),
    known.ARM_SLOW: Fault(said="Azure is still at it, "),
    known.ARM_CONNECTION_DROPPED: Fault(said="dropped the connection"),
    known.ARM_TOKEN_EXPIRED: Fault(said="could not look, Azure does not accept the sign-in."),
    known.ARM_FORBIDDEN: Fault(
        exit_code=EXIT_NOT_YET,
        step=STEP_3,
        done=2,
        what="Your account lacks the right Microsoft.Network/privateEndpoints/write.",
        means="Azure refused the request.",
        todo="Ask the owner of the subscription for it, or hand this step off.",
        detail="AuthorizationFailed: ",
        said="! likely not allowed: Microsoft.Network/privateEndpoints/write",
        ended="forbidden",
        again={ENDPOINT: 2},
    ),
    known.PENDING_FOREVER: Fault(
        exit_code=EXIT_NOT_YET,
        step=STEP_3,
        done=2,
        what="{endpoint} is made, but its connection is still Pending.",
        means="approves endpoints of subscription {subscription_id} by itself, so this one should be soon",
        todo="Send the vendor the message below, and look again when they have answered.",
        detail="/privateEndpoints/{endpoint}",  # the whole message, to be copied
        status="waiting for others",
    ),
    known.REJECTED: Fault(
        exit_code=EXIT_BAD,
        step=STEP_3,
        done=2,
        what="The vendor rejected the connection of {endpoint}.",
        means="it does not recover by itself",
        todo="Ask the vendor why, and whether subscription {subscription_id} is registered.",
        detail="Rejected by the service owner",
        ended="endpoint-rejected",
        again={ENDPOINT: 2},
        words={"endpoint": {"dead_endpoint": "replace"}},
    ),
    known.INVALID_ALIAS: Fault(
        exit_code=EXIT_BAD,
        step=STEP_3,
        done=2,
        what="Azure does not know this link service.",
        means="The alias or Resource ID is mistyped or no longer counts.",
        todo="Compare the field Link service alias with what the vendor gave you",
        detail="InvalidPrivateLinkServiceId: ",
        said="! the service is likely not visible to subscription {subscription_id}",
        ended="azure-link-service-unknown",
        tries=3,  # Azure says this at times of a good one
        again={ENDPOINT: 4},
    ),
    known.POLICY_DENIED: Fault(
        exit_code=EXIT_NOT_YET,
        step=STEP_5,
        done=4,
        what="A policy of your organisation does not allow this.",
        means="Many organisations keep private DNS zones to a central team.",
        todo="hand this step off to the team that may do it",
        detail="RequestDisallowedByPolicy: ",
        ended="azure-policy",
        again={ZONE: 3},
    ),
    known.ZONE_EXISTS: Fault(
        exit_code=EXIT_BAD,
        step=STEP_5,
        done=4,
        what="Azure did not make zone {dpm}: PreconditionFailed.",
        means="Azure did nothing, so that nobody's change is lost.",
        todo="Run this step again: its plan shows what is there now.",
        detail="exists already",
        ended="azure-changed-meanwhile",
    ),
    known.OVERLAPPING_LINK: Fault(
        exit_code=EXIT_BAD,
        step=STEP_5,
        done=4,
        what="Azure did not make link {dpm} to vnet-dpe-weu: BadRequest.",
        means="A VNet cannot have two zones of one name.",
        todo="Run this step again: its plan finds that zone and uses it.",
        detail="overlapping namespaces",
        ended="azure-zone-overlap",
        again={"record": 3},  # in our own zone, before the other team's turned out to be linked
        unlinked=True,
    ),
}

LONG = (known.PENDING_FOREVER, known.ARM_SLOW)
"""Those that take a minute, most of it waiting."""
