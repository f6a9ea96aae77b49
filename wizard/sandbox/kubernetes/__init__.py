"""An in-memory Kubernetes API, good enough for the real helm, kubectl and Python client.

Not a cluster: nothing is scheduled and no container runs. Workloads walk to readiness, so `--wait`, rollouts and
watches behave. Exec knows two programs, which ask the cluster's DNS. Not emulated: custom resources, full schemas,
conflicts between server-side appliers, conversion between API versions, port forwarding.
"""

from wizard.sandbox.kubernetes.api import KubernetesApi
from wizard.sandbox.kubernetes.server import build_app

__all__ = ["KubernetesApi", "build_app"]
