"""What a running sandbox tells about itself: the one JSON object of `sandbox --serve` (DESIGN.md section 6)."""

from __future__ import annotations

import msgspec

from wizard.sandbox.portal import Hosts, Portal, chart_url
from wizard.sandbox.workdir import WorkDir

FORMAT = "privatelink-wizard.sandbox/1"
KUBE_CONTEXT = "sandbox"


class SandboxInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Where everything is. Paths are absolute; what is not emulated (yet) is None.

    `registry` and `dns_server` are host:port; `chart` is a full oci:// URL; all https is under `ca_file`.
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


def describe(work: WorkDir, portal: Portal, *, registry: str, helm: str) -> SandboxInfo:
    """The facts of the sandbox in `work`; `registry` is host:port, `helm` an absolute path."""
    return SandboxInfo(
        ca_file=str(work.ca),
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
        helm=helm,
        answers_file=str(work.answers),
        work_dir=str(work.path),
        trace_file=str(work.trace),
    )
