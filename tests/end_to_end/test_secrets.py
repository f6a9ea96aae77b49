"""The registry's token, in every spelling: in memory, on stdin, in helm's own login file, and nowhere else."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docker_registry import USER, DockerRegistry, docker_registry
from tests.end_to_end import breaker
from tests.end_to_end.harness import Answer, Machine, changed, dpe, finish, until
from tests.end_to_end.watcher import Finder, Watch, spellings
from tests.sandbox.k8s_cluster import write_chart
from wizard.sandbox.portal import CHART_VERSION

# Every character that some spelling escapes, and none that a rule for random text would find.
# Every worker has a token of its own: the watch looks at all processes, those of the other worker's tests too.
TOKEN = os.environ.get("PYTEST_XDIST_WORKER", "") + "tok3n $x \"dq\" 'q' \\back &<a>+%2F/?=é"
# One that could be a name, so that a form's own rules let it pass.
NAMELIKE = "blue-garden-seven"

BREAKER = breaker.__file__

Change = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def registry(served: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    """A real registry with that token and the sandbox's chart."""
    directory = tmp_path_factory.mktemp("registry")
    with docker_registry(directory, TOKEN) as found:
        found.push(Path(served["helm"]), write_chart(directory, CHART_VERSION), directory)
        yield found


@dataclass
class Private:
    """A machine whose every writable place is known, a token, and where to look for it."""

    machine: Machine
    root: Path
    memory: Path
    info: dict[str, Any]
    token: str = TOKEN
    user: str = USER

    @property
    def finder(self) -> Finder:
        """Finds the token, and what is secret in the values file."""
        access_key = yaml.safe_load(Path(self.info["values_file"]).read_text())["secret"]["accessKey"]
        return Finder(spellings(self.token, self.user), spellings(access_key))

    @property
    def places(self) -> tuple[Path, ...]:
        """Where anything could have been left; the token's own file lies elsewhere."""
        return self.machine.home, self.memory

    def answers(self, source: str, *changes: Change) -> Path:
        """Answers whose token comes from a `file` or the `env`."""
        given = self.root / "given"
        given.mkdir(exist_ok=True)
        (given / "token").write_text(self.token + "\n")
        if source == "env":
            self.machine.extra_env["REGISTRY_TOKEN"] = self.token

        def change(document: dict[str, Any]) -> None:
            dpe(document)["namespace"] = re.sub("[^a-z0-9]+", "-", self.root.name).strip("-")
            dpe(document)["token"] = {"file": str(given / "token")} if source == "file" else {"env": "REGISTRY_TOKEN"}
            dpe(document)["username"] = self.user
            for one in changes:
                one(document)

        return changed(self.info["answers_file"], given / "answers.yml", change)

    def watched(self, process: subprocess.Popen[bytes], source: str) -> tuple[Answer, Watch]:
        """The end of a process, and what was seen while it ran."""
        assert isinstance(process.args, list)
        itself = [str(word) for word in process.args] if source == "env" else None
        with Watch(self.finder, self.places, itself=itself) as watch:
            done = finish(process)
        return done, watch

    def nothing_left(self, *told: str) -> None:
        assert self.finder.in_files(self.places) == {}
        assert self.finder.in_bytes("".join(told).encode()) == []


@pytest.fixture
def private(tmp_path: Path, served: dict[str, Any]) -> Iterator[Private]:
    memory = Path(tempfile.mkdtemp(prefix="privatelink-test-", dir="/dev/shm" if Path("/dev/shm").exists() else None))
    home = tmp_path / "home"
    (home / "tmp").mkdir(parents=True)
    places = {
        "XDG_RUNTIME_DIR": str(memory),
        "TMPDIR": str(home / "tmp"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_STATE_HOME": str(home / "xdg-state"),
    }
    try:
        yield Private(Machine(home, Path(served["helm"]), places), tmp_path, memory, served)
    finally:
        shutil.rmtree(memory)


def at(registry: DockerRegistry) -> Change:
    """Answers that point to this registry."""

    def change(document: dict[str, Any]) -> None:
        document["environment"]["ca_file"] = str(registry.ca_file)
        dpe(document)["registry"] = registry.address
        dpe(document)["chart"] = f"oci://{registry.address}/helm/ataccama-one-dpe"

    return change


# ---------------------------------------------------------------- a run, as others can see it


@pytest.mark.parametrize("source", ["file", pytest.param("env", marks=pytest.mark.slow)])
def test_only_helms_login_file_holds_the_token_while_helm_runs(private: Private, registry: DockerRegistry, source: str):
    answers = private.answers(source, at(registry))
    done, watch = private.watched(private.machine.start("run", "demo", "--answers", str(answers)), source)
    assert done.code == 0, done.all
    assert watch.processes == {}
    # The watch does see: the children, and the one file that helm itself writes.
    assert any("upgrade --install" in line for line in watch.seen), watch.seen
    assert {Path(path).name for path in watch.files} == {"config.json"}
    assert set(watch.modes.values()) == {(0o600, 0o700)}
    assert all(Path(path).is_relative_to(private.memory) for path in watch.files)
    private.nothing_left(done.all)
    assert list(private.memory.iterdir()) == []

    checked = private.machine.wizard("check", "demo", "-o", "json")
    reviewed = private.machine.wizard("review", "demo", "-o", "json")
    private.nothing_left(checked.all, reviewed.all)


@pytest.mark.slow
def test_a_variable_with_the_token_reaches_no_child_even_when_the_token_came_from_a_file(private: Private):
    """The user may have exported it for another program."""
    private.machine.extra_env["ELSEWHERE"] = f"password={private.token};"
    answers = private.answers("file")
    done, watch = private.watched(private.machine.start("run", "demo", "--answers", str(answers)), "env")
    assert done.code == 1, done.all
    assert watch.processes == {}
    private.nothing_left(done.all)


@pytest.mark.parametrize("source", ["env", pytest.param("file", marks=pytest.mark.slow)])
def test_a_refused_login_leaves_nothing(private: Private, source: str):
    answers = private.answers(source)
    done, watch = private.watched(private.machine.start("run", "demo", "--answers", str(answers)), source)
    assert done.code == 1, done.all
    assert "token" in done.err
    assert watch.processes == {}
    private.nothing_left(done.all)


@pytest.mark.slow
def test_every_exec_and_write_is_clean(private: Private, registry: DockerRegistry):
    """The kernel's own record leaves no gap between two looks: argv, environment and every byte written to a file."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not there; get it with: apt-get install strace")
    record = private.root / "strace"
    answers = private.answers("file", at(registry))
    calls = "execve,write,writev,pwrite64,pwritev"
    command = [strace, "-f", "-y", "-xx", "-v", "-s", "1000000", "-e", f"trace={calls}", "-o", str(record)]
    wizard = [sys.executable, "-m", "wizard", "run", "demo", "--answers", str(answers)]
    process = subprocess.Popen(
        [*command, *wizard],
        env=private.machine.env(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    done = finish(process)
    assert done.code == 0, done.all
    found = set()
    calls_seen = 0
    for line in record.read_text().splitlines():
        call = re.match(r"\d+ +(\w+)\((?:\d+<([^>]*)>)?", line)
        if call is None:
            continue
        calls_seen += 1
        if private.finder.in_bytes(_unescaped(line)):
            where = re.sub(r"\[\d+\]|\d{2,}|-run-\w+", "", _unescaped(call[2] or "").decode())
            found.add((call[1], where))
    assert calls_seen > 100
    # The token goes into a pipe that is helm's stdin, from there into its login file; the values into a pipe as well.
    login_file = {where for _, where in found if where.startswith(re.sub(r"\d{2,}", "", str(private.memory)))}
    assert {call for call, _ in found} == {"write"}, found
    assert len(login_file) in (1, 2), found
    assert {where for _, where in found} - login_file <= {"pipe:", "/memfd:input (deleted)", "socket:"}, found


def _unescaped(text: str) -> bytes:
    r"""What strace -xx wrote as \xNN."""
    return re.sub(rb"\\x([0-9a-f]{2})", lambda byte: bytes([int(byte[1], 16)]), text.encode())


# ---------------------------------------------------------------- interrupted


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """A sandbox whose pods take their time, so that helm is still there when the run is interrupted."""
    from tests.conftest import HELM_4, _tool

    (tmp_path / "slow").mkdir()
    with Machine(tmp_path / "slow", _tool(HELM_4)).sandbox("slow-pods") as info:
        yield info


@pytest.mark.slow
@pytest.mark.parametrize("source", ["file", "env"])
def test_interrupted_by_ctrl_c(private: Private, slow: dict[str, Any], source: str):
    _take_over(private, slow)
    process = private.machine.start("run", "demo", "--answers", str(private.answers(source)))
    assert isinstance(process.args, list)
    itself = [str(word) for word in process.args] if source == "env" else None
    with Watch(private.finder, private.places, itself=itself) as watch:
        until(lambda: _waiting(private) and watch.files, "the upgrade")
        process.send_signal(signal.SIGINT)
        done = finish(process)
    assert done.code == 130, done.all
    assert watch.processes == {}
    assert {Path(path).name for path in watch.files} == {"config.json"}
    private.nothing_left(done.all)
    assert list(private.memory.iterdir()) == []


@pytest.mark.slow
def test_what_a_killed_run_left_is_swept_at_the_next_start(private: Private, slow: dict[str, Any]):
    _take_over(private, slow)
    answers = private.answers("file")
    process = private.machine.start("run", "demo", "--answers", str(answers))
    where = {**slow, "namespace": _namespace(answers)}
    until(lambda: private.machine.history(where), "the release")
    process.kill()
    done = finish(process)
    left = private.finder.in_files(private.places)
    assert {Path(path).name for path in left} == {"config.json"}, left
    # The helm that lives on still needs its login; when it has ended, the next start of whatever command sweeps.
    until(lambda: private.machine.wizard("doctor") and not list(private.memory.iterdir()), "the sweep")
    private.nothing_left(done.all)
    (release,) = private.machine.history(where)
    assert release["status"] == "deployed"
    again = private.machine.run("demo", answers)
    assert again.code == 0, again.all
    private.nothing_left(again.all)


def _take_over(private: Private, info: dict[str, Any]) -> None:
    """Uses this sandbox, and its own token."""
    private.info = info
    private.token = Path(info["registry_token_file"]).read_text().strip()
    private.user = info["registry_user"]


def _waiting(private: Private) -> bool:
    """Whether helm was started and has read its login."""
    journal = private.machine.journal("demo")
    return journal.exists() and bool(private.machine.events("demo", "process_started"))


def _namespace(answers: Path) -> str:
    return str(dpe(yaml.safe_load(answers.read_text()))["namespace"])


# ---------------------------------------------------------------- pasted into a wrong place


def _into_field(key: str) -> Change:
    def change(document: dict[str, Any]) -> None:
        dpe(document)[key] = NAMELIKE

    return change


def _into_environment_name(document: dict[str, Any]) -> None:
    document["fields"]["connectivity"]["environment_name"] = NAMELIKE


def _into_reason(document: dict[str, Any]) -> None:
    document["fields"].setdefault("mark-updated", {})["unproven_reason"] = f"the portal said {NAMELIKE} yesterday"


def _into_attest(document: dict[str, Any]) -> None:
    document["attest"].append(NAMELIKE)


def _into_item_name(document: dict[str, Any]) -> None:
    document["items"]["endpoint"][NAMELIKE] = document["items"]["endpoint"].pop("pe-weu")
    document["links"] = [["dpe-01", NAMELIKE]]


def _into_kube_context(document: dict[str, Any]) -> None:
    document["environment"]["kube_context"] = NAMELIKE


def _into_kind(document: dict[str, Any]) -> None:
    document["items"][NAMELIKE] = {}


def _into_values_path(document: dict[str, Any]) -> None:
    dpe(document)["values_file"] = f"/nowhere/{NAMELIKE}/values.yml"


def _into_link(document: dict[str, Any]) -> None:
    document["links"] = [["dpe-01", NAMELIKE]]


@pytest.mark.parametrize(
    "paste",
    [
        pytest.param(_into_field("release"), id="release"),
        pytest.param(_into_field("username"), id="username"),
        pytest.param(_into_field("version"), id="version"),
        pytest.param(_into_environment_name, id="environment-name"),
        pytest.param(_into_reason, id="reason"),
        pytest.param(_into_attest, id="attest"),
        pytest.param(_into_item_name, id="item-name"),
        pytest.param(_into_kube_context, id="kube-context"),
        pytest.param(_into_kind, id="kind"),
        pytest.param(_into_values_path, id="values-path"),
        pytest.param(_into_link, id="link"),
    ],
)
def test_a_token_in_a_wrong_place_is_refused(private: Private, paste: Change):
    private.token = NAMELIKE
    done = private.machine.run("demo", private.answers("file", paste))
    assert done.code in (1, 2), done.all
    private.nothing_left(done.all)
    assert "upgrade --install" not in done.all


def test_a_token_in_the_values_file_does_not_reach_the_journal(private: Private):
    """The journal keeps the values file's host names: the last net is before each append."""
    private.token = "blue.garden.seven"
    values = private.root / "values.yml"
    values.write_text(yaml.safe_dump({"dpm": {"host": private.token}, "secret": {"accessKey": "k"}}))

    def use(document: dict[str, Any]) -> None:
        dpe(document)["values_file"] = str(values)

    done = private.machine.run("demo", private.answers("file", use))
    assert done.code == 2, done.all
    assert "secret" in done.err
    private.nothing_left(done.all)


def test_a_token_as_the_setups_name_is_refused(private: Private):
    private.token = NAMELIKE
    done = private.machine.run(NAMELIKE, private.answers("file"))
    assert done.code in (1, 2), done.all
    private.nothing_left(done.all)


# ---------------------------------------------------------------- an error nobody foresaw


@pytest.mark.parametrize(
    ("where", "token", "chosen"),
    [
        pytest.param("login", TOKEN, "option", id="login"),
        pytest.param("append", TOKEN, "variable", id="append"),
        pytest.param("login", NAMELIKE, "variable", id="login-name", marks=pytest.mark.slow),
        pytest.param("append", NAMELIKE, "option", id="append-name", marks=pytest.mark.slow),
    ],
)
def test_an_unknown_error_logs_no_token(private: Private, where: str, token: str, chosen: str):
    private.token = token
    machine = private.machine
    if chosen == "option":
        machine.extra_env["PRIVATELINK_STATE_DIR"] = ""
    option = ["--state-dir", str(machine.state_dir)] if chosen == "option" else []
    process = subprocess.Popen(
        [sys.executable, breaker.__file__, where, *option, "run", "demo", "--answers", str(private.answers("file"))],
        env=machine.env(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    done = finish(process)
    assert done.code == 2, done.all
    assert "Traceback" not in done.all
    (log,) = (machine.state_dir / "log").iterdir()
    assert str(log) in done.err
    told = log.read_text()
    assert "breaker.py" in told
    assert ("RuntimeError" if where == "login" else "ExceptionGroup") in told
    private.nothing_left(done.all)
    assert list(private.memory.iterdir()) == []


# ---------------------------------------------------------------- what opens the sandbox's Azure


@pytest.mark.slow
def test_what_opens_the_sandboxs_identity_stays_in_its_work_directory(machine4: Machine, tmp_path: Path):
    """It is a secret too, though of a sandbox only: the wizard reads it there and tells it to nobody but the server."""
    (tmp_path / "run").mkdir()
    machine4.extra_env = {"XDG_RUNTIME_DIR": str(tmp_path / "run")}
    with machine4.sandbox(azure=True) as info:
        finder = Finder(spellings(info["identity_header"]))
        elsewhere = [path for path in tmp_path.iterdir() if path.name != "data"]

        def until_helm(document: dict[str, Any]) -> None:
            document["attest"] = [1, 2, 4]

        answers = changed(info["answers_file"], tmp_path / "answers.yml", until_helm)
        with Watch(finder, [*elsewhere, tmp_path / "state"]) as watch:
            done = finish(machine4.start("run", "demo", "--answers", str(answers)))
        assert "5 of 8 steps done" in done.out, done.all
        assert watch.processes == watch.files == {}
        assert any("sdk_child" in line for line in watch.seen), "the watch does see the SDK's process"

        told = [done.all]
        reports = [["review", "demo", "-o", output] for output in ("text", "json", "html")]
        for command in (
            *reports,
            ["check", "demo"],
            ["check", "demo", "-o", "json"],
            ["doctor"],
            ["list", "-o", "json"],
        ):
            told.append(machine4.wizard(*command).all)
        told.append(finish(machine4.start("azure", "run", "other", "--answers", str(answers), program=BREAKER)).all)
        (log,) = (machine4.state_dir / "log").iterdir()
        assert "failing_look" in log.read_text()
        assert finder.in_bytes("".join(told).encode()) == []
        assert finder.in_files([path for path in tmp_path.iterdir() if path.name != "data"]) == {}
        kept = finder.in_files([Path(info["work_dir"])])
        assert {Path(path).name for path in kept} == {"profile.json"}, "the trace and the answers do not hold it"


def test_the_search_finds_every_spelling(tmp_path: Path):
    """A search that cannot find proves nothing."""
    finder = Finder(spellings(TOKEN, USER))
    for number, form in enumerate(spellings(TOKEN, USER).values()):
        (tmp_path / str(number)).write_bytes(b"before " + form + b" after")
    assert len(finder.in_files([tmp_path])) == len(spellings(TOKEN, USER))
    auth = {"auths": {"h": {"auth": __import__("base64").b64encode(f"x{USER}:{TOKEN}y".encode()).decode()}}}
    assert finder.in_bytes(json.dumps(auth).encode())
