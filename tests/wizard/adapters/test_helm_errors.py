"""Every row of HELM.md's "Error texts → meaning", in the words of helm 3.19.0 and 4.1.4, and what is like them."""

from __future__ import annotations

import pytest

from state.problem import EXIT_BAD, EXIT_NOT_YET
from wizard.adapters.helm_errors import explain
from wizard.secret import Secret

REGISTRY = "registry.test:5000"
FACTS = {
    "registry": REGISTRY,
    "chart": f"oci://{REGISTRY}/helm/dpe",
    "version": "99.9.9",
    "release": "dpe",
    "namespace": "ns",
    "context": "prod",
    "kubeconfig": "/home/me/kc",
    "timeout": "600",
}
LOGIN = f'Error: authenticating to "{REGISTRY}": '
FETCH = 'Error: failed to perform "FetchReference" on source: '
CLUSTER = "Error: Kubernetes cluster unreachable: "
GET = 'Get "https://10.0.0.1:6443/version": '
V2 = f'"https://{REGISTRY}/v2/helm/dpe/manifests/16.1.0"'


@pytest.mark.parametrize(
    ("text", "code", "exit_code"),
    [
        # the registry
        (f"{LOGIN}GET {V2}: response status code 401: unauthorized: authentication required",
         "registry-unauthorized", 1),
        (f"{FETCH}GET {V2}: response status code 401: unauthorized: authentication required, visit https://aka.ms/acr"
         "/authorization for more information.", "registry-unauthorized", 1),
        (f"{FETCH}GET {V2}: basic credential not found", "registry-not-logged-in", 1),
        (f"{LOGIN}GET {V2}: response status code 403: denied: client with IP '203.0.113.9' is not allowed access",
         "registry-denied", 3),
        (f"{LOGIN}Get {V2}: dial tcp 10.0.0.9:5000: connect: connection refused", "registry-refused", 3),
        (f"{LOGIN}Get {V2}: dial tcp: lookup registry.test on 10.0.0.2:53: no such host", "registry-name", 3),
        (f"{LOGIN}Get {V2}: dial tcp 10.0.0.9:443: i/o timeout", "registry-timeout", 3),
        (f"{FETCH}Get {V2}: context deadline exceeded", "registry-timeout", 3),
        (f"{LOGIN}Get {V2}: tls: failed to verify certificate: x509: certificate signed by unknown authority",
         "registry-ca", 3),
        (f"{LOGIN}Get {V2}: x509: certificate is valid for a.test, not registry.test", "registry-tls", 3),
        (f"{LOGIN}Get {V2}: tls: failed to verify certificate: x509: certificate has expired or is not yet valid: x",
         "registry-expired", 3),
        (f"{LOGIN}Get {V2}: http: server gave HTTP response to HTTPS client", "registry-plain", 1),
        (f"{FETCH}GET {V2}: response status code 503: unavailable", "registry-broken", 3),
        (f"{FETCH}{REGISTRY}/helm/dpe:99.9.9: not found", "chart-not-found", 1),
        (f'Error: GET "https://{REGISTRY}/v2/helm/x/tags/list": response status code 404: name unknown: repository name'
         " not known to registry: map[name:helm/x]", "chart-path-wrong", 1),
        ('Error: invalid reference: invalid registry "https://registry.test/x"', "registry-name-wrong", 1),
        ('Release "d" does not exist. Installing it now.\nError: repo ataccama not found', "chart-not-oci", 1),
        ("Error: improper constraint: latest!", "chart-version-wrong", 1),
        ("Error: missing registry client: can't create TLS config for client: can't read CA file: /nope.pem",
         "ca-file-missing", 1),
        # the cluster
        (f"{CLUSTER}{GET}dial tcp 10.0.0.1:6443: connect: connection refused", "cluster-refused", 3),
        (f"{CLUSTER.lower()}{GET}dial tcp: lookup api.test: no such host", "cluster-name", 3),
        (f"{CLUSTER}{GET}dial tcp 10.0.0.1:6443: i/o timeout", "cluster-timeout", 3),
        (f"{CLUSTER}{GET}tls: failed to verify certificate: x509: certificate signed by unknown authority",
         "cluster-ca", 3),
        (f"{CLUSTER}the server has asked for the client to provide credentials", "cluster-unauthorized", 3),
        (f'{CLUSTER}context "prod" does not exist', "kube-context-missing", 1),
        (f"{CLUSTER}stat /home/me/kc: no such file or directory", "kubeconfig-missing", 1),
        (f'{CLUSTER}error loading config file "/home/me/kc": yaml: line 1: did not find expected node content',
         "kubeconfig-wrong", 1),
        (f"{CLUSTER}{GET}getting credentials: exec: executable kubelogin not found\n\nIt looks like you are trying",
         "cluster-plugin-missing", 3),
        (f"please log in\n{CLUSTER}{GET}getting credentials: exec: executable kubelogin failed with exit code 3",
         "cluster-plugin-failed", 3),
        (f"{CLUSTER}something new", "cluster-unreachable", 3),
        ('Error: query: failed to query with labels: secrets is forbidden: User "jane" cannot list resource "secrets"'
         ' in API group "" in the namespace "ns"', "cluster-forbidden", 3),
        ('Error: namespaces is forbidden: User "jane" cannot create resource "namespaces" in API group "" at the'
         " cluster scope", "cluster-forbidden", 3),
        ('Error: pods "x" is forbidden: exceeded quota: small', "cluster-forbidden", 3),
        # the release
        ("Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress", "release-pending", 3),
        ("Error: context deadline exceeded", "pods-not-ready", 1),
        ("Error: resource Deployment/ns/dpe not ready. status: InProgress, message: Available: 0/1\ncontext deadline"
         " exceeded", "pods-not-ready", 1),
        ("Error: UPGRADE FAILED: timed out waiting for the condition", "pods-not-ready", 1),
        ("Error: UPGRADE FAILED: release dpe failed: context canceled", "helm-cancelled", 1),
        ("Error: values don't meet the specifications of the schema(s) in the following chart(s):\ndpe:\n- at"
         " '/replicaCount': minimum: got 0, want 1", "values-schema", 1),
        ("Error: failed to parse -: error converting YAML to JSON: yaml: line 1: did not find expected ','",
         "values-not-yaml", 1),
        ("Error: failed to parse -: cannot unmarshal yaml document: error unmarshaling JSON: x", "values-not-yaml", 1),
        ("Error: execution error at (dpe/templates/all.yaml:19:17): secret.accessKey is required", "values-missing", 1),
        ('Error: create: failed to create: namespaces "nothere" not found', "namespace-missing", 1),
        ("Error: release name is invalid: D_x", "release-name-wrong", 1),
        ("Error: release: not found", "release-not-found", 1),
        ("Error: release has no 77 version", "release-not-found", 1),
        ('Error: UPGRADE FAILED: "dpe" has no deployed releases', "release-never-deployed", 3),
        ("Error: pre-upgrade hooks failed: job failed: BackoffLimitExceeded", "hook-failed", 1),
        ("Error: unknown flag: --ca-file", "helm-flag-unknown", 1),
        ("Error: the moon is in the wrong house", "helm-failed", 1),
        ("", "helm-failed", 1),
    ],
)  # fmt: skip
def test_meaning(text, code, exit_code):
    problem = explain(text, facts=FACTS)
    assert problem.code == code
    assert problem.exit_code == exit_code
    assert problem.detail == text.strip()
    assert problem.what
    assert problem.means
    assert problem.todo


def test_which_right_is_missing_where():
    text = 'secrets is forbidden: User "jane" cannot list resource "secrets" in API group "" in the namespace "ns"'
    assert explain(text).what == "Your account may not list secrets in namespace ns."


def test_whose_name_does_not_resolve():
    assert "registry.test:5000" in explain(f"{LOGIN}Get {V2}: dial tcp: no such host", facts=FACTS).what
    assert "context prod" in explain(f"{CLUSTER}{GET}dial tcp: no such host", facts=FACTS).what


def test_text_from_outside_stays_in_the_detail():
    hostile = 'Error: namespaces "a\x1b[31m[/nope]{x}" not found'
    problem = explain(hostile, facts=FACTS)
    assert problem.detail == hostile
    assert "\x1b" not in str(problem)
    assert "nope" not in str(problem)


def test_braces_in_a_fact_are_no_placeholders():
    assert "{release}" in explain(f"{FETCH}x: not found", facts={**FACTS, "version": "{release}"}).what


@pytest.mark.parametrize("form", Secret("s3cret/tok n").spellings("puller"))
def test_no_spelling_of_the_secret_survives(form):
    problem = explain(f"Error: {form} odd", secrets=Secret("s3cret/tok n").spellings("puller"))
    assert form not in problem.detail
    assert problem.exit_code == EXIT_BAD


def test_a_signal_is_named():
    assert "signal 9" in explain("", code=-9).what
    assert explain(CLUSTER).exit_code == EXIT_NOT_YET
