"""The values file: read once, shown hardly at all."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from state.problem import Problem
from wizard.actions.values_file import MAX_BYTES, canonical_sha256, differences, hosts_in, read_values, same_values

SECRET = "hunter2-hunter2"

NOW = {
    "ingress": {"host": "dpm-old.example.link", "port": 443},
    "image": "registry.example.com/dpe:16.1.0",
    "replicaCount": 1,
    "minio": {"accessKey": "AKIA-old", "secretKey": SECRET},
    "extra": ["a", "b"],
    "gone": {"password": SECRET},
}
THEN = {
    "ingress": {"host": "dpm-new.example.link", "port": 443},
    "image": "registry.example.com/dpe:16.2.0",
    "replicaCount": 2,
    "minio": {"accessKey": "AKIA-new", "secretKey": SECRET + "!"},
    "extra": ["a", "c"],
    "new": {"token": SECRET, "tlsVersion": "1.3"},
}


def shown() -> list[tuple[str, str]]:
    return [(change.sign, change.text) for change in differences(NOW, THEN)]


def test_only_allow_listed_paths_show_their_values():
    assert shown() == [
        ("~", "value extra.1: changed"),
        ("-", "value gone.password: was set"),
        ("~", "value image: registry.example.com/dpe:16.1.0 to registry.example.com/dpe:16.2.0"),
        ("~", "value ingress.host: dpm-old.example.link to dpm-new.example.link"),
        ("~", "value minio.accessKey: changed"),
        ("~", "value minio.secretKey: changed"),
        ("+", "value new.tlsVersion: 1.3"),
        ("+", "value new.token: new"),
        ("~", "value replicaCount: 1 to 2"),
    ]


def test_no_secret_is_shown_under_any_name_that_is_not_allowed():
    text = str(shown())
    assert SECRET not in text and "AKIA" not in text


def test_outside_text_is_cleaned():
    changes = differences({}, {"host\x1b[2J": "x", "a": {"host": "evil\x1b]0;title\x07.example"}})
    assert [change.text for change in changes] == ["value a.host: evil.example", "value host: new"]


def test_no_values_before_is_nothing_removed():
    assert [change.sign for change in differences({}, {"a": 1})] == ["+"]
    assert differences({}, {}) == ()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"a": 1, "b": None}, {"a": 1}, True),
        ({"port": 443.0}, {"port": 443}, True),
        ({"a": {"x": 1, "y": 2}}, {"a": {"y": 2, "x": 1}}, True),
        ({1: "x"}, {"1": "x"}, True),
        ({"a": [1, 2]}, {"a": [2, 1]}, False),
        ({"a": "1"}, {"a": 1}, False),
    ],
)
def test_same_means_the_same_to_helm(one: dict[Any, Any], other: dict[Any, Any], same: bool):
    assert same_values(one, other) is same
    assert (canonical_sha256(one) == canonical_sha256(other)) is same


def test_hosts_are_found_wherever_they_stand():
    values = {
        "dpm": "dpm-1.example.link",
        "url": "https://MINIO-1.example.link:9000/path",
        "list": ["dpm-1.example.link", {"deep": "other.example.link"}],
        "no": ["example", "a.b", "1.2.3.4", "not a host.example.link", "x" * 3000],
    }
    assert hosts_in(values) == ("dpm-1.example.link", "minio-1.example.link", "other.example.link")


def test_the_bytes_are_kept_as_they_are(tmp_path: Path):
    path = tmp_path / "values.yml"
    content = b"# comment\r\nhost: dpm-1.example.link\n\npassword: 'x'   \n"
    path.write_bytes(content)
    values = read_values(str(path))
    assert values.content == content
    assert values.facts.hosts == ("dpm-1.example.link",)
    path.write_bytes(b"other: 1\n")
    assert values.content == content, "read once"
    assert "password" not in repr(values)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, "values-unreadable"),
        (b"", "values-not-a-mapping"),
        (b"- a\n- b\n", "values-not-a-mapping"),
        (b"just text", "values-not-a-mapping"),
        (b"a: !!python/object:x {}\n", "bad-yaml"),
        (b"a: " + b"x" * MAX_BYTES, "values-too-large"),
    ],
    ids=itertools.count(),
)
def test_what_is_no_values_file_is_explained(tmp_path: Path, content: bytes | None, code: str):
    path = tmp_path / "values.yml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Problem) as caught:
        read_values(str(path))
    assert caught.value.code == code
    assert caught.value.todo
