"""The events of a setup's journal: what can be remembered, and in which shape.

An event is one fact that happened; nothing in it is derived. Each type has a version `v`; a changed shape gets a
new version and an upcast from the one before, so that old journals stay readable (DESIGN.md section 4).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import msgspec

FORMAT = "privatelink-wizard.journal/1"

# Verdicts of a finding (DESIGN.md section 1: check, finding).
GOOD = "good"
BAD = "bad"
NOT_YET = "not yet"
COULD_NOT_LOOK = "could not look"

# Grades of evidence.
OBSERVED = "observed"
ATTESTED = "attested"
REPORTED = "reported"

# Outcomes of a change.
DONE = "done"
FAILED = "failed"
CANCELLED = "cancelled"
UNKNOWN = "unknown"


class Struct(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of everything written to the journal; unknown keys of a known version are ignored on read."""


class GuideRef(Struct, frozen=True, kw_only=True, omit_defaults=False):
    """Which guide, in which version, a setup follows."""

    id: str
    version: int


class Header(Struct, frozen=True, kw_only=True, omit_defaults=False):
    """Line 1 of the file: what this file is. It has no `prev`; every later line chains back to it."""

    seq: int
    format: str
    guide: GuideRef
    name: str
    ts: str


class Actor(Struct, frozen=True, kw_only=True):
    """Who claims to have caused an event; not proven, and reports say so.

    `user` is the login name of the process' uid, `via` one of screen, run, check.
    """

    user: str
    host: str
    via: str
    azure_oid: str | None = None


class Data(Struct, frozen=True, kw_only=True):
    """Base of every event's data. `TYPE` and `VERSION` are what stands on the line."""

    TYPE: ClassVar[str] = ""
    VERSION: ClassVar[int] = 1


class ModeSet(Data, frozen=True, kw_only=True):
    """Who does what: self-service, collaborative or hybrid."""

    TYPE: ClassVar[str] = "mode_set"
    mode: str


class EnvironmentSet(Data, frozen=True, kw_only=True):
    """Where this setup points. A later event replaces an earlier one whole (DESIGN.md section 3).

    `sign_in`: how one signs in to Azure: cli, device-code, browser or default. `tenant_id`: to which tenant, where it
    is not the sign-in's own.
    """

    TYPE: ClassVar[str] = "environment_set"
    cloud: str = "public"
    sign_in: str = "cli"
    tenant_id: str | None = None
    sandbox: bool = False
    arm_url: str | None = None
    identity_endpoint: str | None = None
    dns_server: str | None = None
    kubeconfig: str | None = None
    kube_context: str | None = None
    helm: str | None = None
    ca_file: str | None = None


class ItemAdded(Data, frozen=True, kw_only=True):
    """A step fans out over one more item; `item` is `kind/name`."""

    TYPE: ClassVar[str] = "item_added"
    item: str


class ItemRemoved(Data, frozen=True, kw_only=True):
    """The item is gone, with its values and links; its history stays in the journal."""

    TYPE: ClassVar[str] = "item_removed"
    item: str


class Linked(Data, frozen=True, kw_only=True):
    """Two items belong together, for example a dpe and an endpoint; both are `kind/name`."""

    TYPE: ClassVar[str] = "linked"
    source: str
    target: str


class Unlinked(Data, frozen=True, kw_only=True):
    """Two items no longer belong together."""

    TYPE: ClassVar[str] = "unlinked"
    source: str
    target: str


class FileFacts(Struct, frozen=True, kw_only=True):
    """What is kept of a file the user names: its SHA-256 and the host names found in it, never its content."""

    sha256: str
    hosts: tuple[str, ...] = ()


class FieldSet(Data, frozen=True, kw_only=True):
    """A field was committed. `item` is `kind/name`, or None for a field of the whole setup.

    `value` is normalised; None clears the field. `source` is one of typed, answers, default, azure, cluster, undo.
    """

    TYPE: ClassVar[str] = "field_set"
    item: str | None = None
    field: str
    value: str | None
    source: str = "typed"
    file: FileFacts | None = None


class RouteChosen(Data, frozen=True, kw_only=True):
    """How an item's step gets done: `do it for me`, `hand off`, `already done`."""

    TYPE: ClassVar[str] = "route_chosen"
    step: str
    items: tuple[str, ...] = ()
    route: str


class Evidence(Struct, frozen=True, kw_only=True):
    """What a finding saw. `answer` is redacted text, `sha256` the digest of that text as UTF-8."""

    source: str
    request: str
    answer: str
    sha256: str
    ts: str
    identity: str
    grade: str


class Found(Data, frozen=True, kw_only=True):
    """A check's answer. `fingerprint` ties it to the inputs it was made for; `owes` is who has to act, if anybody."""

    TYPE: ClassVar[str] = "found"
    step: str
    items: tuple[str, ...] = ()
    check: str
    verdict: str
    text: str
    todo: str = ""
    owes: str = ""
    fingerprint: str
    evidence: tuple[Evidence, ...] = ()


class Attested(Data, frozen=True, kw_only=True):
    """A person's confirmation of one exact text, stored verbatim with the text's revision.

    `answers_sha256` is set when the confirmation came from an answers file: the file's SHA-256.
    """

    TYPE: ClassVar[str] = "attested"
    step: str
    items: tuple[str, ...] = ()
    text_id: str
    revision: int
    text: str
    fingerprint: str
    answers_sha256: str | None = None


class ProofWaived(Data, frozen=True, kw_only=True):
    """The user goes on without observed proof, for a typed reason; shown as such everywhere."""

    TYPE: ClassVar[str] = "proof_waived"
    step: str
    items: tuple[str, ...] = ()
    reason: str
    fingerprint: str


class ProbeConsented(Data, frozen=True, kw_only=True):
    """Consent to looks that need a privilege: exec, pod or none."""

    TYPE: ClassVar[str] = "probe_consented"
    probe: str


class ProbeStarted(Data, frozen=True, kw_only=True):
    """About to make a short-lived pod that looks from inside the cluster; `server` is the cluster's API server."""

    TYPE: ClassVar[str] = "probe_started"
    pod: str
    namespace: str
    server: str


class ProbeEnded(Data, frozen=True, kw_only=True):
    """The short-lived pod is gone again."""

    TYPE: ClassVar[str] = "probe_ended"
    pod: str


class IdentityPinned(Data, frozen=True, kw_only=True):
    """An identity this setup acts as or on. kind `cluster`: server, uid; kind `azure`: tenant_id, object_id."""

    TYPE: ClassVar[str] = "identity_pinned"
    kind: str
    facts: dict[str, str | None]


class ChangeStarted(Data, frozen=True, kw_only=True):
    """About to act: written before the first side effect, so that a crash leaves a trace.

    `digest` is the SHA-256 of the exact commands (secrets replaced) and input bytes' digests; `undo` says, in
    words and commands, how to take the change back. `facts` tell the change's own traces from somebody else's
    after a crash, such as the revision it makes.
    """

    TYPE: ClassVar[str] = "change_started"
    change: str
    step: str
    items: tuple[str, ...] = ()
    summary: str
    commands: tuple[str, ...] = ()
    digest: str = ""
    fingerprint: str = ""
    undo: str = ""
    facts: dict[str, str] = msgspec.field(default_factory=dict)


class ProcessStarted(Data, frozen=True, kw_only=True):
    """A child process does the change. `start_time` is in the kernel's own unit; with `boot_id` it tells a
    recycled pid from the same process. Host is the actor's."""

    TYPE: ClassVar[str] = "process_started"
    change: str
    pid: int
    start_time: str
    boot_id: str


class ChangeFinished(Data, frozen=True, kw_only=True):
    """The end of a change: done, failed, cancelled, or unknown (we lost sight of it)."""

    TYPE: ClassVar[str] = "change_finished"
    change: str
    outcome: str
    summary: str
    detail: str = ""
    facts: dict[str, str] = {}


class TornLineCut(Data, frozen=True, kw_only=True):
    """The writer found a last line without newline, cut it off and kept it aside in `kept_in`."""

    TYPE: ClassVar[str] = "torn_line_cut"
    bytes: int
    sha256: str
    kept_in: str


DATA_TYPES: dict[str, type[Data]] = {
    cls.TYPE: cls
    for cls in (
        ModeSet,
        EnvironmentSet,
        ItemAdded,
        ItemRemoved,
        Linked,
        Unlinked,
        FieldSet,
        RouteChosen,
        Found,
        Attested,
        ProofWaived,
        ProbeConsented,
        ProbeStarted,
        ProbeEnded,
        IdentityPinned,
        ChangeStarted,
        ProcessStarted,
        ChangeFinished,
        TornLineCut,
    )
}

# (type, old version) -> function from old data to data of the next version. Empty while every type is at 1.
UPCASTS: dict[tuple[str, int], Callable[[dict[str, Any]], dict[str, Any]]] = {}


class Event(Struct, frozen=True, kw_only=True, omit_defaults=False):
    """One line of the journal after the header, decoded and upcast to the newest version of its type."""

    seq: int
    ts: str
    actor: Actor
    type: str
    v: int
    data: Data
    prev: str
