"""Hostile text wherever text comes in: a clear error or clean text, never a crash, never raw to the terminal."""

from __future__ import annotations

import copy
import json
import os
import pty
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.end_to_end.harness import Answer, Machine, dpe
from tests.end_to_end.hostile import (
    ALL,
    ARGUMENT,
    PAYLOADS,
    harmless,
    harmless_json,
    places,
    put,
    read_journal,
    rechained,
)
from wizard.cli import main

pytestmark = pytest.mark.slow

Direct = Callable[..., Answer]

MEMORY = 2 << 30  # bytes of address space a command may take, whatever it is given
TIMEOUT = 60.0


@pytest.fixture
def direct(
    tmp_path: Path, served: dict[str, Any], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Direct:
    """Runs a command in this process, which is ten times faster; what it says is caught below Python."""
    machine = Machine(tmp_path, Path(served["helm"]))
    for name, value in machine.env().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("KUBECONFIG", raising=False)

    def call(*arguments: str) -> Answer:
        capfd.readouterr()
        code = main(list(arguments))
        said = capfd.readouterr()
        return Answer(code, said.out, said.err)

    return call


@pytest.fixture
def machine(tmp_path: Path, served: dict[str, Any]) -> Machine:
    """A machine with the sandbox's helm."""
    return Machine(tmp_path, Path(served["helm"]))


def limited(machine: Machine, *arguments: str, **options: Any) -> Answer:
    """A command as a process of its own that may not take the machine's memory."""
    done = subprocess.run(
        [sys.executable, "-m", "wizard", *arguments],
        env=machine.env(),
        stdin=options.pop("stdin", subprocess.DEVNULL),
        capture_output=True,
        timeout=TIMEOUT,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)),
        **options,
    )
    return Answer(done.returncode, done.stdout.decode(), done.stderr.decode())


def document_of(served: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(Path(served["answers_file"]).read_text())
    return found


def named(place: tuple[Any, ...], *, key: bool) -> str:
    return ("key " if key else "") + ".".join(map(str, place))


# ---------------------------------------------------------------- the command line

COMMANDS = {
    "command": [ARGUMENT],
    "option": [f"--{ARGUMENT}"],
    "option's value": ["list", "-o", ARGUMENT],
    "run": ["run", ARGUMENT, "--answers", "/nowhere"],
    "answers": ["run", "demo", "--answers", ARGUMENT],
    "answers of a stranger": ["run", "demo", "--answers", "~nobody-of-that-name/answers.yml"],
    "review": ["review", ARGUMENT, "-o", "text"],
    "review file": ["review", f"./{ARGUMENT}.jsonl", "-o", "text"],
    "review of a stranger": ["review", "~nobody-of-that-name/x.jsonl", "-o", "text"],
    "check": ["check", ARGUMENT],
    "new": ["new", ARGUMENT, "--guide", ARGUMENT, "--mode", ARGUMENT],
    "resume": ["resume", ARGUMENT],
    "list": ["list", "--state-dir", f"/nowhere/{ARGUMENT}"],
    "state dir of a stranger": ["list", "--state-dir", "~nobody-of-that-name/x"],
    "doctor": ["doctor", "--kubeconfig", ARGUMENT, "--helm", ARGUMENT, "--namespace", ARGUMENT],
    "doctor context": ["doctor", "--kube-context", ARGUMENT],
    "validate kind": ["validate", ARGUMENT, "x"],
    "fault": ["sandbox", "--serve", "--fault", ARGUMENT],
}


@pytest.mark.parametrize("arguments", [pytest.param(arguments, id=name) for name, arguments in COMMANDS.items()])
def test_arguments(direct: Direct, arguments: list[str]):
    harmless(direct(*arguments))
    undecodable = [argument.replace(ARGUMENT, "\udcff\udc1b[31m") for argument in arguments]
    harmless(direct(*undecodable))


@pytest.mark.parametrize(
    "kind",
    [
        "subscription-id",
        "endpoint-id",
        "link-service",
        "vnet-id",
        "subnet-id",
        "hostname",
        "chart-version",
        "release-name",
    ],
)
def test_validate(direct: Direct, kind: str):
    for payload in (*PAYLOADS.values(), ALL, "\udcff", f"/subscriptions/{ALL}/resourceGroups/{ALL}"):
        harmless(direct("validate", kind, "--", payload), 0, 1)
        harmless_json(direct("validate", kind, "-o", "json", "--", payload), 0, 1)


def test_validate_lines(machine: Machine, tmp_path: Path):
    lines = [payload.replace("\n", "") for payload in PAYLOADS.values()]
    content = "\n".join(lines).encode() + b"\n\xff\xfe\x1b[31m\n" + b"y" * 1_000_000
    (tmp_path / "values").write_bytes(content)
    with (tmp_path / "values").open("rb") as file:
        done = limited(machine, "validate", "hostname", "-", stdin=file)
    harmless(done, 1)
    assert done.out.isascii()
    found = [json.loads(line) for line in done.out.splitlines()]
    assert [line["value"] for line in found[: len(lines)]] == lines
    assert len(found) == len(lines) + 2


# ---------------------------------------------------------------- the answers file


def answers_with(served: dict[str, Any], to: Path, place: tuple[Any, ...], payload: str, *, key: bool) -> Path:
    document = document_of(served)
    dpe(document)["namespace"] = "hostile"
    put(document, place, payload, key=key)
    to.write_text(yaml.safe_dump(document, allow_unicode=False))
    return to


def test_every_place_of_the_answers(direct: Direct, served: dict[str, Any], tmp_path: Path):
    """All attacks in one text, at each key and each value in turn."""
    for number, (place, key) in enumerate(places(document_of(served))):
        answers = answers_with(served, tmp_path / "answers.yml", place, ALL, key=key)
        done = direct("run", f"s{number}", "--answers", str(answers))
        try:
            harmless(done)
        except AssertionError as error:
            raise AssertionError(named(place, key=key)) from error
        if place[-1] != "unproven_reason":  # any text is a reason
            assert done.code != 0, named(place, key=key)
    harmless(direct("list"))
    harmless_json(direct("list", "-o", "json"), 0)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_every_place_of_the_answers_with(direct: Direct, served: dict[str, Any], tmp_path: Path, payload: str):
    """One attack at a time, beside the right value: what does not make the value wrong goes on."""
    for number, (place, key) in enumerate(places(document_of(served))):
        answers = answers_with(served, tmp_path / "answers.yml", place, PAYLOADS[payload], key=key)
        done = direct("run", f"s{number}", "--answers", str(answers))
        try:
            harmless(done)
        except AssertionError as error:
            raise AssertionError(named(place, key=key)) from error
    for name in [f"s{number}" for number in range(len(list(places(document_of(served)))))]:
        harmless(direct("review", name, "-o", "text"))
        harmless_json(direct("review", name, "-o", "json"))


LAUGHS = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))
FILES = {
    "python tag": b"!!python/object/apply:os.system ['touch /tmp/owned']\n",
    "tag inside": b"format: privatelink-wizard.answers/1\nmode: !!python/name:os.system\n",
    "own tag": b"format: !\x41<x> privatelink-wizard.answers/1\n",
    "laughs": LAUGHS.encode(),
    "alias of itself": b"a: &a [*a]\n",
    "100 levels": b"[" * 100 + b"]" * 100,
    "5,000 levels": b"[" * 5_000,
    "5,000 maps": b"{a: " * 5_000,
    "block levels": b"".join(b" " * n + b"a:\n" for n in range(1200)),
    "twice": b"format: privatelink-wizard.answers/1\nmode: a\nmode: b\n",
    "merge": b"base: &b {x: 1}\nformat: privatelink-wizard.answers/1\n<<: *b\n",
    "not UTF-8": b"format: \xff\xfe\x1b[31m\n",
    "UTF-16": "format: privatelink-wizard.answers/1\n".encode("utf-16"),
    "raw escape": b"format: \x1b[31m\n",
    "empty": b"",
    "nothing": b"---\n...\n",
    "two documents": b"--- a\n--- b\n",
    "text": b"just text",
    "huge": b"a: " + b"x" * 5_000_000,
    "key that is a list": b"? [a, b]\n: c\n",
    "key that is null": b"format: privatelink-wizard.answers/1\n~: x\n",
    "wrong kinds": b"format: privatelink-wizard.answers/1\nitems: [1]\nlinks: {a: b}\nfields: x\nattest: {a: b}\n",
    "items of lists": b"format: privatelink-wizard.answers/1\nitems: {dpe: {a: [1]}}\n",
    "items of nothing": b"format: privatelink-wizard.answers/1\nitems: {dpe: }\n",
    "secret of a list": b"format: privatelink-wizard.answers/1\nitems: {dpe: {a: {token: {file: [1]}}}}\n",
    "secret with NUL": b'format: privatelink-wizard.answers/1\nitems: {dpe: {a: {token: {file: "a\\0b"}}}}\n',
    "variable with NUL": b'format: privatelink-wizard.answers/1\nitems: {dpe: {a: {token: {env: "a\\0=b"}}}}\n',
    "secret of a directory": b"format: privatelink-wizard.answers/1\nitems: {dpe: {a: {token: {file: /}}}}\n",
    "endless secret": b"format: privatelink-wizard.answers/1\nitems: {dpe: {a: {token: {file: /dev/zero}}}}\n",
    "a stranger's secret": b"format: privatelink-wizard.answers/1\nitems: {dpe: {a: {token: {file: ~no-such/x}}}}\n",
}


@pytest.mark.parametrize("content", [pytest.param(content, id=name) for name, content in FILES.items()])
def test_answers_of_a_strange_form(direct: Direct, tmp_path: Path, content: bytes):
    (tmp_path / "answers.yml").write_bytes(content)
    harmless(direct("run", "demo", "--answers", str(tmp_path / "answers.yml")), 1, 2)
    assert not (tmp_path / "state").exists()


def special_files(tmp_path: Path) -> dict[str, Path]:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    return {
        "fifo": tmp_path / "fifo",
        "directory": tmp_path,
        "endless": Path("/dev/zero"),
        "loop": tmp_path / "loop",
        "below a file": Path("/dev/null/x"),
        "long": tmp_path / ("x" * 5000),
    }


@pytest.mark.parametrize("kind", ["fifo", "endless", "directory", "loop", "below a file", "long"])
def test_what_is_no_file(machine: Machine, served: dict[str, Any], tmp_path: Path, kind: str):
    """As answers, values, token, CA, kubeconfig, report: it neither hangs nor takes all memory."""
    path = special_files(tmp_path)[kind]
    harmless(limited(machine, "run", "demo", "--answers", str(path)), 1, 2)
    for number, place in enumerate(
        [
            ("items", "dpe", "dpe-01", "values_file"),
            ("items", "dpe", "dpe-01", "token", "file"),
            ("environment", "ca_file"),
            ("environment", "kubeconfig"),
            ("environment", "helm"),
        ]
    ):
        answers = answers_with(served, tmp_path / "answers.yml", place, str(path), key=False)
        # Where the release is already so, the registry's CA is not asked for.
        harmless(
            limited(machine, "run", f"s{number}", "--answers", str(answers)), *((0,) if number == 2 else ()), 1, 2, 3
        )


@pytest.mark.parametrize("kind", ["fifo", "endless"])
def test_a_kubeconfig_from_the_environment_that_is_no_file(machine: Machine, tmp_path: Path, kind: str):
    machine.extra_env["KUBECONFIG"] = str(special_files(tmp_path)[kind])
    harmless(limited(machine, "doctor"), 1, 2, 3)


# ---------------------------------------------------------------- the values file

VALUES = {
    **{f"key {name}": {payload: {"host": payload}} for name, payload in PAYLOADS.items()},
    "all": {ALL: ALL, "dpm": {"host": ALL}, "list": [{ALL: [ALL]}]},
    "numbers": {1: 2, 3.5: float("inf"), "none": None, "big": 10**400},
}


def test_values_file(direct: Direct, served: dict[str, Any], tmp_path: Path):
    values = tmp_path / "values.yml"
    answers = answers_with(
        served, tmp_path / "answers.yml", ("items", "dpe", "dpe-01", "values_file"), str(values), key=False
    )
    for name in ("python tag", "laughs", "100 levels", "5,000 maps", "twice", "not UTF-8", "huge", "empty", "text"):
        content = FILES[name]
        values.write_bytes(content)
        done = direct("run", "demo", "--answers", str(answers))
        assert done.code in (1, 2, 3), (name, done.all)
        harmless(done)


def test_values_with_hostile_text(direct: Direct, served: dict[str, Any], tmp_path: Path):
    """It is valid YAML, so helm and the chart's schema see it; then a second run compares it with what runs."""
    good = yaml.safe_load(Path(served["values_file"]).read_text())
    values = tmp_path / "values.yml"
    for number, (_name, content) in enumerate([("good", {}), *VALUES.items()]):
        values.write_text(yaml.safe_dump({**good, "extra": content, "image": {"tag": "1"}}))
        answers = answers_with(
            served, tmp_path / "answers.yml", ("items", "dpe", "dpe-01", "values_file"), str(values), key=False
        )
        harmless(direct("run", f"v{number}", "--answers", str(answers)))
        harmless(direct("check", f"v{number}"))
        harmless_json(direct("check", f"v{number}", "-o", "json"))


# ---------------------------------------------------------------- a helm that is not what it seems

# Branches of a shell script by helm's first word; $P is a file of hostile text, $R one of hostile JSON.
VERSION = "version) echo v4.1.4+gabc;; "
NO_RELEASE = 'history) echo "Error: release: not found" >&2; exit 1;; '
LOGIN = "registry) cat >/dev/null;; "
READY = VERSION + NO_RELEASE + LOGIN + "get) echo {};; "

HELMS = {
    "version": "version) cat $P;;",
    "version long": "version) head -c 3000000 /dev/zero | tr '\\0' v;;",
    "version endless": "version) exec yes v4;;",
    "version dies": "version) kill -SEGV $$;;",
    "version nothing": "version) exit 0;;",
    "version 255": "version) cat $P >&2; exit 255;;",
    "history": VERSION + "history) cat $P;;",
    "history error": VERSION + "history) cat $P >&2; exit 1;;",
    "history of strange rows": VERSION + """history) echo '[{"revision": "x"}, 3, null]';;""",
    "history of hostile rows": VERSION + LOGIN + "history) cat $R;; get) cat $R;;",
    "history of depth": VERSION + "history) head -c 200000 /dev/zero | tr '\\0' '[';;",
    "history endless": VERSION + "history) head -c 100000000 /dev/zero;;",
    "login": VERSION + NO_RELEASE + "registry) cat >/dev/null; cat $P >&2; exit 1;;",
    "upgrade": READY + "upgrade) cat $P; cat $P >&2; exit 1;;",
    "upgrade done": READY + "upgrade) cat $P; cat $P >&2; exit 0;;",
    "upgrade of strange JSON": READY + "upgrade) cat $R;;",
    "upgrade long": READY + "upgrade) head -c 100000000 /dev/zero >&2; exit 1;;",
    "upgrade many lines": READY + "upgrade) yes | head -c 200000 >&2; exit 1;;",
    "upgrade dies": READY + "upgrade) cat $P >&2; kill -KILL $$;;",
}


@pytest.mark.parametrize("kind", HELMS)
def test_helm(machine: Machine, served: dict[str, Any], tmp_path: Path, kind: str):
    (tmp_path / "payload").write_text("\n".join((ALL, PAYLOADS["long"], ALL)), encoding="utf-8")
    row = {
        "revision": 1,
        "status": ALL,
        "chart": f"{ALL}-1.2.3",
        "description": ALL,
        "updated": ALL,
        "app_version": ALL,
    }
    (tmp_path / "rows").write_text(json.dumps([row, {**row, "revision": 2, "status": "pending-upgrade"}]))
    helm = tmp_path / "helm"
    names = f"P={tmp_path / 'payload'} R={tmp_path / 'rows'}"
    helm.write_text(f'#!/bin/sh\n{names}\ncase "$1" in {HELMS[kind]} *) exit 9;; esac\n')
    helm.chmod(0o755)
    answers = answers_with(served, tmp_path / "answers.yml", ("environment", "helm"), str(helm), key=False)
    harmless(limited(machine, "run", "demo", "--answers", str(answers)), 1, 2, 3)
    harmless(machine.wizard("review", "demo", "-o", "text"))
    harmless_json(machine.wizard("review", "demo", "-o", "json"))
    harmless_json(machine.wizard("doctor", "--helm", str(helm), "-o", "json"))


# ---------------------------------------------------------------- the journal


@pytest.fixture(scope="module")
def finished(served: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The journal of a whole setup."""
    machine = Machine(tmp_path_factory.mktemp("finished"), Path(served["helm"]))
    answers = answers_with(
        served, machine.home / "answers.yml", ("items", "dpe", "dpe-01", "namespace"), "finished", key=False
    )
    done = machine.run("demo", answers)
    assert done.code == 0, done.all
    return machine.journal("demo")


def install(journal: bytes, state_dir: Path, name: str = "demo") -> Path:
    """A journal that somebody else wrote, among ours."""
    setups = state_dir / "setups"
    setups.mkdir(parents=True, exist_ok=True, mode=0o700)
    state_dir.chmod(0o700)
    path = setups / f"{name}.jsonl"
    path.unlink(missing_ok=True)
    path.write_bytes(journal)
    path.chmod(0o600)
    return path


def looked_at(direct: Direct, path: Path, tmp_path: Path) -> None:
    harmless(direct("review", str(path), "-o", "text"))
    harmless_json(direct("review", str(path), "-o", "json"))
    harmless(direct("review", str(path), "-o", "html"))
    harmless(direct("review", "demo", "--expect", "x"))
    harmless(direct("list"))
    harmless_json(direct("list", "-o", "json"))
    report = tmp_path / "report.txt"
    report.unlink(missing_ok=True)
    harmless(direct("review", str(path), "-o", "text", "--out", str(report)))
    if report.exists():
        harmless(Answer(0, report.read_text(), ""))


def spoiled(events: list[dict[str, Any]], payload: str, *, beside: bool) -> list[dict[str, Any]]:
    """The events with the payload in every string of their data and actor; `beside`: behind what stood there."""
    found = copy.deepcopy(events)
    for event in found:
        for part in ("data", "actor"):
            for place, key in list(places(event[part])):
                if key:
                    continue
                value = event[part]
                for step in place:
                    value = value[step]
                if isinstance(value, str):
                    put(event[part], place, value + payload if beside else payload, key=False)
    return found


@pytest.mark.parametrize("beside", [True, False])
def test_journal_with_everything_hostile(direct: Direct, finished: Path, tmp_path: Path, beside: bool):
    header, events = read_journal(finished)
    looked_at(direct, install(rechained(header, spoiled(events, ALL, beside=beside)), tmp_path / "state"), tmp_path)
    harmless_json(direct("check", "demo", "-o", "json"))


@pytest.mark.parametrize(
    "kind",
    ["data", "actor", "type", "ts", "long"],
)
def test_journal_with_one_hostile_string(direct: Direct, finished: Path, tmp_path: Path, kind: str):
    """Each string of one event of each type in turn: the rest is as it was, so that it is believed."""
    header, events = read_journal(finished)
    seen: set[str] = set()
    payload = PAYLOADS["long"] if kind == "long" else ALL
    part = "data" if kind == "long" else kind
    for index, event in enumerate(events):
        if event["type"] in seen:
            continue
        seen.add(event["type"])
        whole = {part: event[part]}
        for place, key in list(places(whole)):
            if key and len(place) == 1:
                continue
            changed = copy.deepcopy(whole)
            put(changed, place, payload, key=key)
            path = install(
                rechained(header, [*events[:index], {**event, **changed}, *events[index + 1 :]]), tmp_path / "state"
            )
            try:
                harmless(direct("review", str(path), "-o", "text"))
                harmless_json(direct("review", str(path), "-o", "json"))
                harmless_json(direct("list", "-o", "json"))
            except AssertionError as error:
                raise AssertionError(f"{event['type']} {named(place, key=key)}") from error


JOURNALS = {
    "empty": b"",
    "newline": b"\n",
    "escape": b"\x1b[31m\n\x1b[32m\n",
    "long line": b"x" * 3_000_000,
    "deep": b"[" * 500_000 + b"\n",
    "hostile header": json.dumps(
        {"seq": 0, "format": ALL, "guide": {"id": ALL, "version": 1}, "name": ALL, "ts": ALL}
    ).encode()
    + b"\n",
    "hostile guide": json.dumps(
        {
            "seq": 0,
            "format": "privatelink-wizard.journal/1",
            "guide": {"id": ALL, "version": 1},
            "name": "demo",
            "ts": "2026-01-01T00:00:00.000000Z",
        }
    ).encode()
    + b"\n",
}


@pytest.mark.parametrize("kind", [*JOURNALS, "torn", "broken", "unknown type"])
def test_journal_of_a_strange_form(direct: Direct, finished: Path, served: dict[str, Any], tmp_path: Path, kind: str):
    header, events = read_journal(finished)
    content = {
        **JOURNALS,
        "torn": finished.read_bytes() + ALL.encode(),
        "broken": finished.read_bytes().replace(b'"seq":9', f'"seq":9,"x":{json.dumps(ALL)}'.encode()),
        "unknown type": rechained(header, [*events[:5], {**events[5], "type": ALL, "data": {ALL: ALL}}, *events[6:]]),
    }[kind]
    path = install(content, tmp_path / "state")
    looked_at(direct, path, tmp_path)
    harmless(direct("check", "demo"))
    harmless(direct("run", "demo", "--answers", served["answers_file"]))


def test_report_to_verify(direct: Direct, finished: Path, tmp_path: Path):
    done = direct("review", str(finished), "-o", "json")
    assert done.code == 0, done.all
    report = json.loads(done.out)
    path = tmp_path / "report.json"
    path.write_text(done.out)
    assert direct("review", str(finished), "--verify", str(path)).code == 0

    for place, key in [(place, key) for place, key in places(report) if len(place) < 3 or place[1] == 6]:
        changed = copy.deepcopy(report)
        put(changed, place, ALL, key=key)
        path.write_text(json.dumps(changed))
        done = direct("review", str(finished), "--verify", str(path))
        # What was said as of another time is not compared.
        harmless(done, *((0,) if place[0] == "now" and len(place) > 1 else (1, 2)))
    strange = [b"", b"[]", b"[" * 100_000, b"1e999", b"\xff", b"{}", b"9" * 10_000]
    for content in strange:
        path.write_bytes(content)
        harmless(direct("review", str(finished), "--verify", str(path)), 1, 2)


@pytest.mark.parametrize("kind", ["fifo", "directory", "endless", "loop"])
def test_report_and_journal_that_are_no_files(machine: Machine, finished: Path, tmp_path: Path, kind: str):
    path = special_files(tmp_path)[kind]
    harmless(limited(machine, "review", str(finished), "--verify", str(path)), 1, 2)
    harmless(limited(machine, "review", str(path), "-o", "text"), 1, 2)


# ---------------------------------------------------------------- the environment


def kubeconfig(served: dict[str, Any], to: Path, payload: str) -> Path:
    """The sandbox's kubeconfig with hostile names, and a hostile server beside."""
    document = yaml.safe_load(Path(served["kubeconfig"]).read_text())
    document["current-context"] = payload
    for kind, inner in (("contexts", "context"), ("clusters", "cluster"), ("users", "user")):
        document[kind].append({"name": payload, inner: {**document[kind][0][inner]}})
    document["contexts"][-1]["context"] = {"cluster": payload, "user": payload, "namespace": payload}
    document["clusters"][-1]["cluster"] = {"server": f"https://{payload}"}
    to.write_text(yaml.safe_dump(document))
    return to


@pytest.mark.parametrize(
    "payload",
    [pytest.param(ALL, id="all"), "-x", "../..", pytest.param("x" * 100_000, id="long")],
)
def test_kubeconfig(machine: Machine, served: dict[str, Any], tmp_path: Path, payload: str):
    machine.extra_env["KUBECONFIG"] = str(kubeconfig(served, tmp_path / "config", payload))
    harmless(limited(machine, "doctor"))
    document = document_of(served)
    del document["environment"]["kubeconfig"], document["environment"]["kube_context"]
    (tmp_path / "answers.yml").write_text(yaml.safe_dump(document))
    harmless(machine.run("demo", tmp_path / "answers.yml"), 1, 2, 3)
    harmless_json(machine.wizard("review", "demo", "-o", "json"))


def test_environment(direct: Direct, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    for name in (
        "KUBECONFIG",
        "PRIVATELINK_STATE_DIR",
        "HOME",
        "XDG_RUNTIME_DIR",
        "TMPDIR",
        "PATH",
        "USER",
        "TERM",
        "LANG",
    ):
        with monkeypatch.context() as patched:
            patched.setenv(name, ARGUMENT)
            harmless_json(direct("doctor", "-o", "json"))
            harmless(direct("list"))
            harmless(direct("review", "demo", "-o", "text"))


def test_a_token_that_is_no_text(machine: Machine, served: dict[str, Any], tmp_path: Path):
    document = document_of(served)
    dpe(document)["token"] = {"env": "BYTES"}
    (tmp_path / "answers.yml").write_text(yaml.safe_dump(document))
    machine.extra_env["BYTES"] = "\udcff\udcfe\x1b[31m"
    harmless(machine.run("demo", tmp_path / "answers.yml"), 1, 2, 3)


# ---------------------------------------------------------------- a real terminal


@pytest.mark.parametrize("command", ["review", "check", "list", "run"])
def test_in_a_terminal(machine: Machine, finished: Path, served: dict[str, Any], tmp_path: Path, command: str):
    header, events = read_journal(finished)
    install(rechained(header, spoiled(events, ALL, beside=True)), tmp_path / "state")
    answers = answers_with(
        served, tmp_path / "answers.yml", ("fields", "connectivity", "environment_name"), ALL, key=False
    )
    arguments = {
        "review": ["review", "demo", "-o", "text"],
        "check": ["check", "demo"],
        "list": ["list"],
        "run": ["run", "other", "--answers", str(answers)],
    }[command]
    code, shown = in_terminal(machine, *arguments)
    harmless(Answer(code, shown.replace("\r\n", "\n"), ""))
    assert shown.strip()


def in_terminal(machine: Machine, *arguments: str) -> tuple[int, str]:
    """Runs a command on a pseudo-terminal of its own, and returns what reached the terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "wizard", *arguments],
        env=machine.env() | {"TERM": "xterm-256color"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown = bytearray()
    try:
        while chunk := os.read(ours, 65536):
            shown += chunk
    except OSError:  # Linux says EIO when the other end is closed
        pass
    finally:
        os.close(ours)
    return process.wait(TIMEOUT), shown.decode()
