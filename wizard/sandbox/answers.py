"""The answers file that completes a whole setup in the sandbox (DESIGN.md section 5, "Answers file").

Every field name of the guide that the sandbox knows stands in `answers()`, and nowhere else.
"""

from __future__ import annotations

from typing import Any

from wizard.sandbox.info import SandboxInfo
from wizard.sandbox.portal import Portal

FORMAT = "privatelink-wizard.answers/1"

_HEADER = """\
# Answers for a rehearsal: privatelink-wizard run demo --answers THIS_FILE
# Written anew at each start of the sandbox; copy it to change it.
"""


def answers(info: SandboxInfo, portal: Portal) -> dict[str, Any]:
    """The answers as plain data."""
    return {
        "format": FORMAT,
        "guide": "ataccama-azure",
        "mode": "self-service",
        "environment": {
            "sandbox": True,
            "kubeconfig": info.kubeconfig,
            "kube_context": info.kube_context,
            "helm": info.helm,
            "ca_file": info.ca_file,
        },
        "items": {
            "subscription": {"main": {"subscription_id": portal.subscription_id}},
            "endpoint": {
                "pe-weu": {
                    "subscription": "main",
                    "link_service": portal.alias,
                    "resource_group": portal.resource_group,
                    "vnet": portal.vnet_id,
                    "subnet": portal.subnet_id,
                    "endpoint_name": portal.endpoint_name,
                    "private_ip": portal.private_ip,
                    "endpoint_id": portal.endpoint_id,
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
        "fields": {
            "connectivity": {"environment_name": "sandbox"},
            "mark-updated": {
                "unproven_reason": "rehearsal in the sandbox, where neither Azure nor DNS is looked at yet",
            },
        },
        # 7 is missing on purpose: it is done by helm, not confirmed by a person.
        "attest": [1, 2, 3, 4, 5, 6, 8],
        "probe": "none",
    }


def answers_yaml(info: SandboxInfo, portal: Portal) -> str:
    """The answers file's text."""
    import yaml

    return _HEADER + yaml.safe_dump(answers(info, portal), sort_keys=False, width=1000)
