"""Pressing Register in the vendor's portal of a running sandbox: step 2 of a rehearsal, done on the vendor's side.

The portal takes its own key alone, which stands in the sandbox's profile. Where to ask follows from the profile too,
and is always this machine.
"""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from pathlib import Path

from state.problem import EXIT_NOT_YET, Problem
from wizard.sandbox import profile
from wizard.sandbox.info import ARM
from wizard.sandbox.workdir import WorkDir

PORTAL_PATH = "/_portal/register"

_SECONDS = 10.0  # one request to this machine


def register(work_dir: Path, subscription_id: str) -> None:
    """Register a subscription with the portal of the sandbox in `work_dir`.

    Endpoints of it that wait are approved, and new ones at once. Harmless when it is registered already. It waits for
    the answer, so an event loop runs it in a thread. Raises Problem when no sandbox answers there, or it refuses.
    """
    work = WorkDir(work_dir)
    kept = profile.load(work)
    port = kept.ports.get(ARM) if kept else None
    if kept is None or port is None:
        raise _not_running(work, "No sandbox was started in this directory yet.")
    request = urllib.request.Request(
        f"https://127.0.0.1:{port}{PORTAL_PATH}",
        json.dumps({"subscription_id": subscription_id}).encode(),
        {"Authorization": f"Bearer {kept.azure.portal_key}", "Content-Type": "application/json"},
        method="POST",
    )
    try:
        trust = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=str(work.ca)))
        # No proxy of the environment stands between this machine and itself.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), trust)
        opener.open(request, timeout=_SECONDS).close()
    except urllib.error.HTTPError as error:
        with error:
            raise _refused(subscription_id, error) from None
    except (OSError, ValueError) as error:  # URLError and every failure of TLS are OSErrors
        raise _not_running(work, str(error)) from None


def _refused(subscription_id: str, error: urllib.error.HTTPError) -> Problem:
    return Problem(
        "sandbox-portal-refused",
        f"The sandbox's portal does not register {subscription_id}: HTTP status {error.code}.",
        means="Nothing was changed. It takes the ID of a subscription: 8-4-4-4-12 hexadecimal digits.",
        todo="Compare the subscription ID with the one that the sandbox shows.",
        detail=error.read(2000).decode(errors="replace"),
    )


def _not_running(work: WorkDir, detail: str) -> Problem:
    return Problem(
        "sandbox-portal-unreachable",
        f"The portal of the sandbox in {work.path} does not answer.",
        means="Nothing was registered.",
        todo="Start it again with `privatelink-wizard sandbox` or `sandbox --serve`; it goes on as it was left.",
        detail=detail,
        exit_code=EXIT_NOT_YET,
    )
