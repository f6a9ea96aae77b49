"""The sandbox's chart as an artifact, and as the real helm understands it."""

import io
import json
import subprocess
import tarfile

import pytest
import yaml

from wizard.sandbox import portal
from wizard.sandbox.chart_archive import CHART_NAME, digest, pack

OLD, NEW = portal.CHART_VERSION, portal.CHART_VERSION_NEXT


def layer(version: str) -> bytes:
    archive = pack(version)
    return archive.blobs[json.loads(archive.manifest)["layers"][0]["digest"]]


@pytest.fixture
def chart(tmp_path):
    path = tmp_path / "chart.tgz"
    path.write_bytes(layer(NEW))
    return path


@pytest.fixture
def values(tmp_path):
    path = tmp_path / "values.yml"
    path.write_text(portal.values_yml(portal.invent()))
    return path


def template(helm, *arguments) -> subprocess.CompletedProcess[str]:
    command = [helm, "template", "dpe-worker-01", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_it_is_packed_to_the_same_bytes_every_time():
    assert pack(OLD) == pack(OLD)
    assert pack(OLD).digest != pack(NEW).digest


def test_the_manifest_describes_its_blobs():
    archive = pack(OLD)
    manifest = json.loads(archive.manifest)
    for descriptor in (manifest["config"], *manifest["layers"]):
        blob = archive.blobs[descriptor["digest"]]
        assert (len(blob), digest(blob)) == (descriptor["size"], descriptor["digest"])
    assert manifest["config"]["mediaType"] == "application/vnd.cncf.helm.config.v1+json"
    assert manifest["layers"][0]["mediaType"] == "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
    config = json.loads(archive.blobs[manifest["config"]["digest"]])
    assert (config["name"], config["version"], config["appVersion"]) == (CHART_NAME, OLD, OLD)


def test_the_archive_holds_the_chart_and_nothing_of_this_machine():
    with tarfile.open(fileobj=io.BytesIO(layer(OLD))) as tar:
        members = tar.getmembers()
        metadata = tar.extractfile(f"{CHART_NAME}/Chart.yaml")
        assert metadata and yaml.safe_load(metadata)["version"] == OLD
    names = [member.name for member in members]
    assert names[0] == f"{CHART_NAME}/Chart.yaml"
    assert f"{CHART_NAME}/templates/deployment.yaml" in names
    assert all(name.startswith(f"{CHART_NAME}/") for name in names)
    assert {(member.mtime, member.uid, member.uname) for member in members} == {(0, 0, "")}


def test_helm_renders_what_an_engine_needs(helm, chart, values):
    rendered = template(helm, chart, "-f", values)
    assert rendered.returncode == 0, rendered.stderr
    objects = {each["kind"]: each for each in yaml.safe_load_all(rendered.stdout)}
    assert set(objects) == {"ConfigMap", "Secret", "Service", "Deployment"}
    hosts = yaml.safe_load(values.read_text())
    properties = objects["ConfigMap"]["data"]["application.properties"]
    assert hosts["dpm"]["host"] in properties
    assert hosts["minio"]["host"] in properties
    (container,) = objects["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["image"].endswith(f":{NEW}")


def test_a_changed_host_rolls_the_pods(helm, chart, values):
    def annotations(*more):
        rendered = template(helm, chart, "-f", values, *more)
        deployment = next(each for each in yaml.safe_load_all(rendered.stdout) if each["kind"] == "Deployment")
        return deployment["spec"]["template"]["metadata"]["annotations"]

    assert annotations() == annotations()
    assert annotations() != annotations("--set", "minio.host=minio.other.test")


def test_the_hook_is_there_on_demand(helm, chart, values):
    rendered = template(helm, chart, "-f", values, "--set", "migration.enabled=true")
    kinds = [each["kind"] for each in yaml.safe_load_all(rendered.stdout)]
    assert kinds.count("Job") == 1


@pytest.mark.parametrize("wrong", ["dpm.host=", "minio.host=not_a_host", "dpm.port=99999", "secret.accessKey="])
def test_the_schema_refuses_values_that_cannot_work(helm, chart, values, wrong):
    rendered = template(helm, chart, "-f", values, "--set", wrong)
    assert rendered.returncode != 0
    assert wrong.partition(".")[0] in rendered.stderr
    assert "schema" in rendered.stderr
