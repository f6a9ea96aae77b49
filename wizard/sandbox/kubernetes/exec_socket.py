"""`kubectl exec`: a program's output over a WebSocket, as the protocols v4 and v5.channel.k8s.io carry it.

A message is one byte, its channel, and what is on it: 1 stdout, 2 stderr, 3 at last a `Status` that says how it ended.
Nothing sent to the program is read.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from aiohttp import web

from wizard.sandbox.kubernetes import logs
from wizard.sandbox.kubernetes.errors import ApiError, bad_request
from wizard.sandbox.kubernetes.programs import Ended, Programs
from wizard.sandbox.kubernetes.resources import Obj

_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_STDOUT, _STDERR, _STATUS = b"\1", b"\2", b"\3"
_ON = ("1", "true", "True")  # what kubectl and the Python client send


async def serve(request: web.Request, pod: Obj, programs: Programs) -> web.StreamResponse:
    """Run the command of a request in a container of `pod`; raises ApiError when it does not come to that."""
    command = request.query.getall("command", [])
    if not command:
        raise bad_request("you must specify at least one command for the container")
    container = logs.pick(pod, request.query.get("container", ""))["name"]
    socket = web.WebSocketResponse(protocols=_PROTOCOLS)
    if not socket.can_prepare(request).ok:
        raise bad_request("Upgrade request required")
    if "running" not in logs.state_of(pod, container):
        text = f'Internal error occurred: unable to upgrade connection: container not found ("{container}")'
        raise ApiError(500, "InternalError", text)
    if not socket.can_prepare(request).protocol:
        raise bad_request("unable to upgrade: no protocol in common, there are " + ", ".join(_PROTOCOLS))
    await socket.prepare(request)
    ended = programs.run(command)
    if ended:
        for channel, text, name in ((_STDOUT, ended.stdout, "stdout"), (_STDERR, ended.stderr, "stderr")):
            if text and request.query.get(name) in _ON:
                await socket.send_bytes(channel + text.encode())
    await socket.send_bytes(_STATUS + json.dumps(_status(command, ended)).encode())
    await socket.close()
    return socket


def _status(command: Sequence[str], ended: Ended | None) -> Obj:
    about: Obj = {"metadata": {}, "status": "Failure"}
    if ended is None:  # as containerd and runc say it
        why = (
            "error executing command in container: failed to exec in container: failed to start exec: OCI runtime exec "
            f'failed: exec failed: unable to start container process: exec: "{command[0]}": executable file not found '
            "in $PATH"
        )
        causes = [{"message": why}]
        message = f"Internal error occurred: {why}"
        return {**about, "message": message, "reason": "InternalError", "details": {"causes": causes}, "code": 500}
    if ended.code:
        causes = [{"reason": "ExitCode", "message": str(ended.code)}]
        message = f"command terminated with non-zero exit code: exit status {ended.code}"
        return {**about, "message": message, "reason": "NonZeroExitCode", "details": {"causes": causes}}
    return {"metadata": {}, "status": "Success"}
