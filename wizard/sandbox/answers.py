"""The answers file that completes a whole setup in the sandbox (DESIGN.md section 5, "Answers file").

Every field name of the guide that the sandbox knows stands in `answers()`, and nowhere else.
"""

from __future__ import annotations

from typing import Any

from wizard.sandbox.info import SandboxInfo
from wizard.sandbox.portal import Portal

FORMAT = "privatelink-wizard.answers/1"

PORTAL_BUTTONS = {"register": ("Register", "subscription_id")}
"""What can be pressed in the sandbox's portal: the button of a step's id, and the field whose value it takes."""

_HEADER = """\
# Answers for a rehearsal: privatelink-wizard run demo --answers THIS_FILE
# Written anew at each start of the sandbox; copy it to change it.
"""


def environment(info: SandboxInfo) -> dict[str, Any]:
    """Where a setup in the sandbox points. What opens its managed identity is a secret, and not among it."""
    return {
        "sandbox": True,
        "arm_url": info.arm_url,
        "identity_endpoint": info.identity_endpoint,
        "dns_server": info.dns_server,
        "kubeconfig": info.kubeconfig,
        "kube_context": info.kube_context,
        "helm": info.helm,
        "ca_file": info.ca_file,
    }


def answers(info: SandboxInfo, portal: Portal) -> dict[str, Any]:
    """The answers as plain data."""
    return {
        "format": FORMAT,
        "guide": "ataccama-azure",
        "mode": "self-service",
        "environment": environment(info),
        "items": {
            "subscription": {"main": {"subscription_id": portal.subscription_id}},
            "endpoint": {
                "pe-weu": {
                    "subscription": "main",
                    "link_service": portal.alias,
                    "resource_group": portal.resource_group,
                    "subnet": portal.subnet_id,
                    "endpoint_name": portal.endpoint_name,
                }
            },
            "dpe": {
                "dpe-01": {
                    "dpm_host": portal.hosts.dpm,
                    "minio_host": portal.hosts.minio,
                    "registry": info.registry,
                    "username": info.registry_user,
                    "token": {"file": info.registry_token_file},
                    "chart": info.chart,
                    "version": info.chart_version,
                    "release": info.release,
                    "namespace": info.namespace,
                    "values_file": info.values_file,
                    "timeout": "2m",
                }
            },
        },
        "links": [["dpe-01", "pe-weu"]],
        "fields": {"connectivity": {"environment_name": "sandbox"}},
        # 3, 5 and 7 are missing on purpose: they are done in Azure and by helm, and not confirmed by a person.
        "attest": [1, 2, 4, 6, 8],
        "probe": "exec",
    }


def answers_yaml(info: SandboxInfo, portal: Portal) -> str:
    """The answers file's text."""
    import yaml

    return _HEADER + yaml.safe_dump(answers(info, portal), sort_keys=False, width=1000)
