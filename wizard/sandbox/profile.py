"""What makes a sandbox itself and survives a kill: its ports, the users of its servers, the portal's values.

Written once, in one piece, before the first server answers; a restart reads it and becomes the same sandbox again.
The registry's token is not in here but in the file the user is pointed at, so that it is on disk once.
"""

from __future__ import annotations

import secrets
import uuid

import msgspec

from state.problem import Problem
from wizard.sandbox.portal import Portal, invent
from wizard.sandbox.workdir import WorkDir, write_private

FORMAT = "privatelink-wizard.sandbox-profile/1"


def _token() -> str:
    return secrets.token_urlsafe(32)


def _guid() -> str:
    return str(uuid.uuid4())


class AzureKeys(msgspec.Struct, frozen=True, kw_only=True):
    """Who one is in the sandbox's Azure, and the secrets of its servers.

    `identity_header` opens the identity endpoint, `token_key` signs its tokens, `portal_key` is the bearer of the
    vendor's side (`POST /_portal/register`).
    """

    object_id: str = msgspec.field(default_factory=_guid)
    client_id: str = msgspec.field(default_factory=_guid)
    identity_header: str = msgspec.field(default_factory=_token)
    token_key: str = msgspec.field(default_factory=_token)
    portal_key: str = msgspec.field(default_factory=_token)


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """`ports` maps the servers' names to their TCP ports; `kube_token` is the Kubernetes API's bearer token.

    A sandbox of before there was Azure has no `azure`: it gets one here, kept with the port that it gets too.
    """

    format: str
    ports: dict[str, int]
    kube_user: str
    kube_token: str
    portal: Portal
    azure: AzureKeys = msgspec.field(default_factory=AzureKeys)


def new(ports: dict[str, int]) -> Profile:
    """The profile of a sandbox that did not exist before."""
    return Profile(
        format=FORMAT,
        ports=ports,
        kube_user="sandbox-admin",
        kube_token=_token(),
        portal=invent(),
    )


def load(work: WorkDir) -> Profile | None:
    """The profile kept in `work`, None when there is none yet. Raises Problem when it cannot be used."""
    try:
        content = work.profile.read_bytes()
    except FileNotFoundError:
        return None
    try:
        profile = msgspec.json.decode(content, type=Profile)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _unusable(work, "is damaged", str(error)) from None
    if profile.format != FORMAT:
        raise _unusable(work, "is of another version of the wizard", profile.format)
    return profile


def save(work: WorkDir, profile: Profile) -> None:
    """Keep the profile."""
    write_private(work.profile, msgspec.json.format(msgspec.json.encode(profile)))


def registry_token(work: WorkDir) -> str:
    """The token of the registry, made up when the file is not there."""
    try:
        token = work.registry_token.read_text(encoding="ascii").strip()
    except (FileNotFoundError, UnicodeDecodeError):
        token = ""
    if not token:
        token = _token()
        write_private(work.registry_token, token)
    return token


def _unusable(work: WorkDir, reason: str, detail: str) -> Problem:
    return Problem(
        "sandbox-state",
        f"The sandbox in {work.path} cannot go on: {work.profile.name} {reason}.",
        todo="Start afresh with --reset; the objects in its Kubernetes are lost with it.",
        detail=detail,
    )
