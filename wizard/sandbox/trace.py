"""The sandbox's trace: one line per request, for people who want to see what the tools really asked.

JSON lines with exactly `ts, server, method, path, status` (DESIGN.md section 6). Neither query strings nor headers are
written: credentials travel in both.
"""

from __future__ import annotations

import datetime
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohttp import web


class Trace:
    """Appends to the trace file at `path`, which is created with mode 0600; raises OSError when it cannot."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def write(self, server: str, method: str, path: str, status: int) -> None:
        """Append one line. It has reached the file when this returns: a single unbuffered write, never half a line."""
        ts = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        line = {"ts": ts, "server": server, "method": method, "path": path, "status": status}
        os.write(self._file, json.dumps(line).encode() + b"\n")

    def attach(self, app: web.Application, server: str) -> None:
        """Trace every reply of `app` under the name `server`, refusals and errors too.

        By a signal and not a middleware: it comes before the first byte of any reply, also of one that goes on for
        minutes (a watch), where a middleware would only hear of it at the end.
        """

        async def about_to_reply(request: web.Request, response: web.StreamResponse) -> None:
            self.write(server, request.method, request.path, response.status)

        app.on_response_prepare.append(about_to_reply)

    def close(self) -> None:
        """Close the file; the trace is not used afterwards."""
        os.close(self._file)
