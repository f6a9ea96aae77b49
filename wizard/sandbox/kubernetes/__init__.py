"""An in-memory Kubernetes API, good enough for the real helm, kubectl and Python client.

Not a cluster: nothing is scheduled and no container runs. Workloads walk to readiness, so `--wait`, rollouts and
watches behave. Not emulated: custom resources, full schemas, conflicts between server-side appliers, conversion between
API versions, exec and port forwarding.
"""

from wizard.sandbox.kubernetes.api import KubernetesApi
from wizard.sandbox.kubernetes.server import build_app

__all__ = ["KubernetesApi", "build_app"]
