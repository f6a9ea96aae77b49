"""What a running sandbox tells about itself: the one JSON object of `sandbox --serve` (DESIGN.md section 6)."""

from __future__ import annotations

from pathlib import Path

import msgspec

from wizard.sandbox.portal import Hosts, chart_url
from wizard.sandbox.profile import Profile
from wizard.sandbox.workdir import WorkDir

FORMAT = "privatelink-wizard.sandbox/1"
KUBE_CONTEXT = "sandbox"

REGISTRY, KUBERNETES, ARM, IDENTITY, DNS = "registry", "kubernetes", "arm", "identity", "dns"
"""The servers, as the profile's ports name them."""

IDENTITY_PATH = "/msi/token"


class SandboxInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Where everything is. Paths are absolute; what is not emulated (yet) is None.

    `registry` and `dns_server` are host:port; `chart` is a full oci:// URL; all https is under `ca_file`.
    `identity_endpoint` and `identity_header` are what the environment variables of these names hold in App Service.
    """

    format: str = FORMAT
    arm_url: str | None = None
    ca_file: str
    identity_endpoint: str | None = None
    identity_header: str | None = None
    tenant_id: str
    subscription_id: str
    resource_group: str
    location: str
    vnet_id: str
    subnet_id: str
    alias: str
    link_service_id: str
    own_link_service_id: str
    hosts: Hosts
    dns_server: str | None = None
    kubeconfig: str
    kube_context: str
    registry: str
    registry_user: str
    registry_token_file: str
    chart: str
    chart_version: str
    chart_version_next: str
    release: str
    namespace: str
    values_file: str
    helm: str
    answers_file: str
    work_dir: str
    trace_file: str

    def to_json(self) -> str:
        """One line."""
        return msgspec.json.encode(self).decode()


def parse(line: str | bytes) -> SandboxInfo:
    """The inverse of `to_json`. Raises msgspec.DecodeError (msgspec.ValidationError) for anything else."""
    return msgspec.json.decode(line, type=SandboxInfo)


def describe(work: WorkDir, kept: Profile, *, helm: Path) -> SandboxInfo:
    """The facts of the sandbox that `work` keeps. Of servers that it has no port for (yet) nothing is told."""
    portal, registry = kept.portal, f"127.0.0.1:{kept.ports[REGISTRY]}"
    arm, identity, dns = kept.ports.get(ARM), kept.ports.get(IDENTITY), kept.ports.get(DNS)
    return SandboxInfo(
        arm_url=f"https://127.0.0.1:{arm}" if arm else None,
        ca_file=str(work.ca),
        identity_endpoint=f"http://127.0.0.1:{identity}{IDENTITY_PATH}" if identity else None,
        identity_header=kept.azure.identity_header if identity else None,
        tenant_id=portal.tenant_id,
        subscription_id=portal.subscription_id,
        resource_group=portal.resource_group,
        location=portal.location,
        vnet_id=portal.vnet_id,
        subnet_id=portal.subnet_id,
        alias=portal.alias,
        link_service_id=portal.link_service_id,
        own_link_service_id=portal.own_link_service_id,
        hosts=portal.hosts,
        dns_server=f"127.0.0.1:{dns}" if dns else None,
        kubeconfig=str(work.kubeconfig),
        kube_context=KUBE_CONTEXT,
        registry=registry,
        registry_user=portal.registry_user,
        registry_token_file=str(work.registry_token),
        chart=chart_url(registry),
        chart_version=portal.chart_version,
        chart_version_next=portal.chart_version_next,
        release=portal.release,
        namespace=portal.namespace,
        values_file=str(work.values),
        helm=str(helm.absolute()),
        answers_file=str(work.answers),
        work_dir=str(work.path),
        trace_file=str(work.trace),
    )
