"""The answers file: form, names, secrets; and what a run makes of it before it writes anything."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from state.events import Attested, Linked
from state.problem import EXIT_BAD, EXIT_NOT_YET, Problem
from tests.setups import VALUES
from tests.wizard.engine import GUIDE, TOKEN, Cluster, Helm, Resolver, journalled, opened, refused
from wizard.answers import Answers, environment_of, read_answers
from wizard.examining import examine, require_answers
from wizard.ports import Readers, Writers
from wizard.unattended import Run


def document() -> dict[str, Any]:
    """A complete answers file, but for what only a person can say."""
    items: dict[str, Any] = {"subscription": {"main": {}}, "endpoint": {"pe-weu": {}}, "dpe": {"dpe-01": {}}}
    for owner, key, value in VALUES:
        if owner:
            kind, _, name = owner.partition("/")
            items[kind][name][key] = value
    items["dpe"]["dpe-01"] |= {"values_file": "values.yml", "token": {"file": "token.txt"}}
    return {
        "format": "privatelink-wizard.answers/1",
        "guide": "ataccama-azure",
        "items": items,
        "links": [["dpe-01", "pe-weu"]],
        "fields": {"connectivity": {"environment_name": "production"}},
        "attest": ["1", "2", "3", "4", "5", "6"],
    }


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes the answers file, changed; values file and token lie beside it."""
    (tmp_path / "values.yml").write_text("hosts: {}\n")
    (tmp_path / "token.txt").write_text(f"{TOKEN.reveal()}\n")

    def written(change: Callable[[dict[str, Any]], object] = lambda document: None) -> Path:
        changed = document()
        change(changed)
        path = tmp_path / "answers.yml"
        path.write_text(yaml.safe_dump(changed))
        return path

    return written


def dpe(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["items"]["dpe"]["dpe-01"]
    return found


def read(path: Path) -> Answers:
    answers = read_answers(path)
    examine(answers, GUIDE)
    environment_of(answers)
    require_answers(answers, GUIDE, None)
    return answers


# ---------------------------------------------------------------- reading


def test_a_complete_file_is_read_as_text(write):
    path = write()
    path.write_text(path.read_text().replace("environment_name: production", "environment_name: 16.10"))
    answers = read(path)
    assert answers.fields["connectivity"]["environment_name"] == "16.10"
    assert answers.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert answers.links == (("dpe-01", "pe-weu"),)
    assert TOKEN.reveal() not in repr(answers)
    assert answers.secrets["dpe", "dpe-01", "token"] == TOKEN


def test_steps_are_named_by_number_or_id(write):
    answers = read(write(lambda document: document.update(attest=["connectivity", "2"])))
    assert [step.number for step in GUIDE.steps if answers.attests(step)] == [1, 2]


def test_a_token_from_the_environment_is_dropped_from_it(write, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DPE_TOKEN", TOKEN.reveal())
    monkeypatch.setenv("ALSO_THERE", f"prefix {TOKEN.reveal()}")
    answers = read(write(lambda document: dpe(document).update(token={"env": "DPE_TOKEN"})))
    assert answers.secrets["dpe", "dpe-01", "token"] == TOKEN
    assert {"DPE_TOKEN", "ALSO_THERE"} <= answers.dropped_env


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: d.update(format="other/1"), "must begin with"),
        (lambda d: d.update(colour="red"), "no place for colour"),
        (lambda d: d.update(items=[]), "missing"),
        (lambda d: d.update(items={"cluster": {"a": {}}}), "no kind cluster"),
        (lambda d: dpe(d).update(colour="red"), "no field colour"),
        (lambda d: dpe(d).update(token=TOKEN.reveal()), "is a secret"),
        (lambda d: dpe(d).update(token={"file": "nowhere"}), "can't be read"),
        (lambda d: dpe(d).update(token={"env": "NOT_SET_ANYWHERE"}), "is not set"),
        (lambda d: dpe(d).update(token={"vault": "x"}), "{env: NAME} or {file: PATH}"),
        (lambda d: dpe(d).update(version={"file": "token.txt"}), "is not a secret"),
        (lambda d: dpe(d).update(release=TOKEN.reveal()), "holds the secret"),
        (lambda d: d.update(links=[["dpe-01"]]), "pairs"),
        (lambda d: d.update(fields={"9": {}}), "no step 9"),
        (lambda d: d.update(fields={"connectivity": {"colour": "red"}}), "no field colour"),
        (lambda d: d.update(attest=["nine"]), "attest names step nine"),
        (lambda d: d.update(environment={"colour": "red"}), "no colour"),
        (lambda d: d.update(environment={"sandbox": "perhaps"}), "true or false"),
        (lambda d: d["items"]["subscription"]["main"].update(subscription_id="nonsense"), "can't be used"),
        (lambda d: dpe(d).pop("release"), "1 answer missing"),
        (lambda d: dpe(d).pop("token"), "1 answer missing"),
        (lambda d: d["items"].pop("dpe"), "missing"),
    ],
    ids=range(21),
)
def test_a_mistake_is_named_before_anything_is_written(write, change, says: str):
    path = write(change)
    problem = refused(lambda: read(path))
    assert says in problem.what + problem.detail
    assert problem.todo
    assert TOKEN.reveal() not in problem.what + problem.means + problem.todo + problem.detail


def test_every_missing_answer_is_named_at_once(write):
    problem = refused(lambda: read(write(lambda document: [dpe(document).pop(key) for key in ("release", "version")])))
    assert problem.code == "missing-answers"
    assert "items.dpe.dpe-01.release: Release" in problem.detail
    assert "items.dpe.dpe-01.version: Chart version" in problem.detail


def test_a_file_that_is_not_there(tmp_path: Path):
    assert refused(lambda: read_answers(tmp_path / "no.yml")).code == "answers-unreadable"


def test_paths_begin_at_the_answers_file(write):
    answers = read(write(lambda document: document.update(environment={"kubeconfig": "kube/config", "helm": "~/helm"})))
    found = environment_of(answers)
    assert found["kubeconfig"] == str(answers.path.parent / "kube/config")
    assert found["helm"] == str(Path("~/helm").expanduser())


# ---------------------------------------------------------------- running


class Running:
    """A run over ports in memory."""

    def __init__(self, tmp_path: Path, path: Path) -> None:
        self.helm = Helm()
        self.said: list[str] = []
        self.answers = read(path)
        readers = Readers(dns=Resolver(), cluster=Cluster(), helm=self.helm)
        self.session = opened(tmp_path, readers, Writers(helm=self.helm))
        for (kind, name, key), secret in self.answers.secrets.items():
            self.session.hold_secret(f"{kind}/{name}", key, secret)

    async def go(self):
        """Everything that is answered."""
        work = Run(self.session, self.answers, self.said.append)
        await work.finish_interrupted()
        work.commit_answers()
        return await work.take_steps()


async def test_a_run_stops_at_the_human_step_that_is_not_confirmed(write, tmp_path: Path):
    running = Running(tmp_path, write(lambda document: document.update(attest=["1", "2", "3"])))
    result = await running.go()
    codes = {str(place): problem.code for place, problem in result.problems}
    assert codes["resource-id pe-weu"] == "needs-a-person"
    assert codes.pop("dns dpe-01 pe-weu") == "no-azure", "what is not confirmed is done, and there is no Azure here"
    assert set(codes.values()) == {"needs-a-person", "gate-shut"}
    assert result.exit_code == EXIT_NOT_YET
    assert running.helm.calls == []


async def test_a_run_confirms_what_is_listed_and_says_from_where(write, tmp_path: Path):
    running = Running(tmp_path, write())
    result = await running.go()
    assert [str(place) for place, _ in result.problems] == ["mark-updated dpe-01"]
    attested = [one.data for one in journalled(running.session, "attested")]
    assert all(isinstance(one, Attested) and one.answers_sha256 == running.answers.sha256 for one in attested)
    assert len(attested) == 6
    assert running.helm.calls[-1] == ("upgrade", "dpe-01", "16.2.0")


async def test_the_last_step_without_proof_needs_a_reason(write, tmp_path: Path):
    def confirmed(document: dict[str, Any]) -> None:
        document["attest"].append("mark-updated")

    result = await Running(tmp_path, write(confirmed)).go()
    ((place, problem),) = result.problems
    assert (str(place), problem.code) == ("mark-updated dpe-01", "not-observed")

    def reasoned(document: dict[str, Any]) -> None:
        confirmed(document)
        document["fields"]["mark-updated"] = {"unproven_reason": "the endpoint is the network team's"}

    running = Running(tmp_path / "second", write(reasoned))
    assert (await running.go()).problems == []
    assert running.session.status().done_steps == 8
    assert any("without observed proof" in line for line in running.said)


async def test_running_again_asks_and_writes_nothing(write, tmp_path: Path):
    running = Running(tmp_path, write())
    await running.go()
    before, calls = journalled(running.session), list(running.helm.calls)
    await running.go()
    assert journalled(running.session) == before
    assert running.helm.calls == calls


async def test_another_release_that_is_pending_needs_a_word(write, tmp_path: Path):
    from tests.wizard.engine import release

    running = Running(tmp_path, write())
    running.helm.revisions = [release(1), release(2, "pending-upgrade")]
    result = await running.go()
    assert {problem.code for _, problem in result.problems} == {"obstacle", "gate-shut"}
    assert running.helm.calls == []


async def test_one_bad_item_stops_only_what_waits_for_it(write, tmp_path: Path):
    """Two dpes; the chart of one is not there. The other one is upgraded."""

    def two(document: dict[str, Any]) -> None:
        document["items"]["dpe"]["dpe-02"] = {**dpe(document), "release": "dpe-02"}
        document["links"].append(["dpe/dpe-02", "endpoint/pe-weu"])

    running = Running(tmp_path, write(two))
    upgrade = running.helm.upgrade

    async def failing(what, **options):
        if what.release == "dpe-01":
            raise Problem("chart-not-found", "There is no such chart.", exit_code=EXIT_BAD)
        return await upgrade(what, **options)

    running.helm.upgrade = failing  # type: ignore[method-assign]
    result = await running.go()
    codes = {str(place): problem.code for place, problem in result.problems}
    assert codes == {
        "update-dpe dpe-01": "chart-not-found",
        "mark-updated dpe-01": "gate-shut",
        "mark-updated dpe-02": "needs-a-person",
    }
    assert result.exit_code == EXIT_BAD, "1 beats 3"
    assert running.session.status().item_steps[next(iter(running_places(running, "dpe-02")))].status == "observed"


def running_places(running: Running, name: str):
    return [place for place in running.session.status().item_steps if str(place) == f"update-dpe {name}"]


def test_a_link_whose_name_is_unclear_is_refused(write, tmp_path: Path):
    def unclear(document: dict[str, Any]) -> None:
        document["items"]["endpoint"]["dpe-01"] = document["items"]["endpoint"].pop("pe-weu")
        document["links"] = [["dpe-01", "dpe-01"]]

    running = Running(tmp_path, write(unclear))
    problem = refused(lambda: Run(running.session, running.answers, print).commit_answers())
    assert problem.code == "unclear-link"
    assert "endpoint/dpe-01" in problem.what
    assert journalled(running.session, Linked.TYPE) == []
