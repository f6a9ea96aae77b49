"""The kubeconfig of the sandbox's cluster: CA inline, one bearer token, one context."""

from __future__ import annotations

import base64


def kubeconfig(*, port: int, ca: bytes, user: str, token: str, context: str) -> str:
    """The file's text; `ca` is PEM."""
    import yaml

    authority = base64.b64encode(ca).decode()
    cluster = {"server": f"https://127.0.0.1:{port}", "certificate-authority-data": authority}
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": context,
            "clusters": [{"name": "sandbox", "cluster": cluster}],
            "users": [{"name": user, "user": {"token": token}}],
            "contexts": [{"name": context, "context": {"cluster": "sandbox", "user": user}}],
        },
        sort_keys=False,
    )
