"""The command line as a script sees it: real processes, exit codes, stdout and stderr (DESIGN.md section 5)."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from state.events import GuideRef
from tests.setups import ENDPOINT_ID, SUBSCRIPTION, data_of, make_setup
from tests.state.make_journal import lines_of, ts_of
from wizard.cli import main


class Shell:
    """Runs the program without a terminal."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.state = home / "state"

    def __call__(self, *arguments: str, stdin: bytes = b"", **env: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-m", "wizard", *arguments],
            env={**self.env(), **env},
            input=stdin,
            capture_output=True,
            timeout=60,
            check=False,
        )

    def env(self) -> dict[str, str]:
        return {
            "PATH": os.defpath,
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "PRIVATELINK_STATE_DIR": str(self.state),
        }

    def json(self, *arguments: str, code: int = 0, **options: Any) -> Any:
        done = self(*arguments, **options)
        assert done.returncode == code, done.stderr.decode()
        return json.loads(done.stdout)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A home with one setup."""
    found = Shell(tmp_path)
    make_setup(found.state, "prod", 40)
    return found


# ---------------------------------------------------------------- usage


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["no-such-command"], "No such command"),
        (["list", "--no-such-option"], "No such option"),
        (["list", "-o", "xml"], "xml"),
        (["validate"], "Missing argument"),
        (["validate", "colour", "red"], "subscription-id"),
        (["run", "prod"], "--answers"),
        (["run", "Bad Name", "--answers", "/nowhere"], "/nowhere"),
        (["review", "prd", "-o", "text"], "Did you mean prod"),
        (["check", "UPPER"], "lower-case letters"),
        (["check", "../../etc/passwd"], "lower-case letters"),
        (["check", "prod", "--step", "99"], "no step 99"),
        (["review", "./nowhere.jsonl", "-o", "text"], "no such file"),
        (["review", "prod", "-o", "text", "--as-of", "2020-01-01"], "began at"),
        (["review", "prod", "-o", "text", "--as-of", "2999-01-01"], "in the future"),
    ],
    ids=range(14),
)
def test_usage_and_state_errors_are_two(shell: Shell, arguments: list[str], says: str):
    done = shell(*arguments)
    assert done.returncode == 2, done.stderr
    assert done.stdout == b"", "stdout is data alone"
    assert says in done.stderr.decode()
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [[], ["new", "prod"], ["resume", "prod"], ["review", "prod"]], ids=str)
def test_without_a_terminal_the_screens_name_the_other_commands(shell: Shell, arguments: list[str]):
    done = shell(*arguments)
    assert done.returncode == 2
    for command in ("run NAME --answers FILE", "check NAME", "list", "review NAME -o text", "doctor"):
        assert command in done.stderr.decode()
    assert done.stdout == b""


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["run", "--help"], ["--version"]], ids=str)
def test_help_and_version_are_data(shell: Shell, arguments: list[str]):
    done = shell(*arguments)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout


# ---------------------------------------------------------------- where


def test_the_state_dir_may_stand_before_or_after_the_command(shell: Shell, tmp_path: Path):
    make_setup(tmp_path / "other", "elsewhere")
    other = str(tmp_path / "other")
    for arguments in (["--state-dir", other, "list"], ["list", "--state-dir", other]):
        names = [entry["name"] for entry in shell.json(*arguments, "-o", "json")["setups"]]
        assert names == ["elsewhere"]
    both = shell.json("--state-dir", str(shell.state), "list", "--state-dir", other, "-o", "json")
    assert [entry["name"] for entry in both["setups"]] == ["elsewhere"], "the inner one wins"


def test_reading_makes_no_state_dir(shell: Shell, tmp_path: Path):
    empty = tmp_path / "empty"
    assert shell.json("list", "-o", "json", "--state-dir", str(empty)) == {
        "format": "privatelink-wizard.list/1",
        "setups": [],
    }
    assert "no setups yet" in shell("list", "--state-dir", str(empty)).stdout.decode()
    assert not empty.exists()


def test_a_state_dir_that_others_can_open_is_refused(shell: Shell):
    shell.state.chmod(0o755)
    done = shell("list")
    assert done.returncode == 2
    assert "chmod 700" in done.stderr.decode()


# ---------------------------------------------------------------- list and review


def test_list_has_its_documented_shape(shell: Shell):
    (entry,) = shell.json("list", "-o", "json")["setups"]
    assert {key: entry[key] for key in ("name", "guide", "mode", "sandbox", "done_steps", "all_steps", "next")} == {
        "name": "prod",
        "guide": "ataccama-azure",
        "mode": "self-service",
        "sandbox": True,
        "done_steps": 0,
        "all_steps": 8,
        "next": 1,
    }
    assert (entry["intact"], entry["writable"], entry["problem"]) == (True, True, None)
    assert shell("review", "prod", "--expect", entry["head"], "-o", "text").returncode == 0
    assert "SANDBOX" in shell("list").stdout.decode()


def test_list_shows_what_can_not_be_read(shell: Shell):
    (shell.state / "setups" / "broken.jsonl").write_bytes(b"not a journal\n")
    entries = {entry["name"]: entry for entry in shell.json("list", "-o", "json")["setups"]}
    assert entries["prod"]["problem"] is None
    assert "not a journal" in entries["broken"]["problem"]


def test_a_changed_journal_and_another_head_are_one(shell: Shell, tmp_path: Path):
    head = shell.json("list", "-o", "json")["setups"][0]["head"]
    assert shell("review", "prod", "-o", "text", "--expect", "0" * 64).returncode == 1
    path = shell.state / "setups" / "prod.jsonl"
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(path.read_bytes().replace(b"production", b"productioN", 1))
    assert shell("review", str(copy), "-o", "json").returncode == 1
    # Cut at a line: the chain holds, and only the head tells.
    copy.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    assert shell("review", str(copy), "-o", "text").returncode == 0
    assert shell("review", str(copy), "-o", "text", "--expect", head).returncode == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--kube-context", "c"], "--kube-context says where --live looks"),
        (["--tenant", "t"], "--tenant says where --live looks"),
        (["--live", "--verify", "report.json"], "--live does not go with --verify"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_where_to_look_is_said_only_when_it_looks(
    shell: Shell, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
):
    path = str(shell.state / "setups" / "prod.jsonl")
    assert main(["review", path, "-o", "text", *arguments]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.slow
def test_a_changed_byte_is_named_with_its_line(shell: Shell, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Some bytes of every line but the last, whose hash is in no other line: that one the head tells."""
    content = (shell.state / "setups" / "prod.jsonl").read_bytes()
    copy = tmp_path / "copy.jsonl"
    starts = [0, *(at + 1 for at, byte in enumerate(content) if byte == ord("\n"))]
    rarely = 7  # bytes of a line; a prime, so that every part of a line is met in some
    for number, (start, end) in enumerate(pairwise(starts[:-1]), 1):
        for at in range(start + number % rarely, end, max(rarely, (end - start) // 5)):
            copy.write_bytes(content[:at] + bytes((content[at] ^ 1,)) + content[at + 1 :])
            assert main(["review", str(copy), "-o", "text"]) in (1, 2), f"byte {at} of line {number}"
            said = "".join(capsys.readouterr())
            # The line after one whose end was changed is a part of it.
            named = rf"\bline ({number}|{number + 1})\b" + ("|is not a journal" if number == 1 else "")
            assert re.search(named, said), f"byte {at} of line {number}: {said[:400]}"


def test_a_changed_name_of_the_guide_is_named_with_its_line(
    shell: Shell, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """Nobody knows the guide then, which is not what is wrong with the file."""
    copy = tmp_path / "copy.jsonl"
    path = shell.state / "setups" / "prod.jsonl"
    copy.write_bytes(path.read_bytes().replace(b"ataccama-azure", b"ataccama-azurd", 1))
    assert main(["review", str(copy), "-o", "text"]) == 1
    said = capsys.readouterr().out
    assert re.search(r"chain is broken at line [12]\b", said)
    assert "There is no guide ataccama-azurd" in said


def test_a_changed_last_line_and_a_cut_tail_are_told_by_the_head(
    shell: Shell, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path = shell.state / "setups" / "prod.jsonl"
    content = path.read_bytes()
    lines = content.splitlines(keepends=True)
    head = hashlib.sha256(lines[-1].rstrip(b"\n")).hexdigest()
    assert main(["review", str(path), "-o", "json", "--expect", head]) == 0
    copy = tmp_path / "copy.jsonl"
    last = len(content) - len(lines[-1])
    changed = [content[:at] + bytes((content[at] ^ 1,)) + content[at + 1 :] for at in range(last, len(content), 11)]
    cut = [b"".join(lines[:number]) for number in range(1, len(lines))]
    torn = [content[:at] for at in range(last + 1, len(content), 37)]
    for number, spoiled in enumerate((*changed, *cut, *torn)):
        copy.write_bytes(spoiled)
        assert main(["review", str(copy), "-o", "json", "--expect", head]) in (1, 2), number
        said = capsys.readouterr().err
        assert f"expected was {head}" in said or "line 41" in said, f"{number}: {said}"


def test_a_report_is_written_once_and_compared(shell: Shell, tmp_path: Path):
    out = tmp_path / "report.json"
    assert shell("review", "prod", "-o", "json", "--out", str(out)).returncode == 0
    assert shell("review", "prod", "-o", "json", "--out", str(out)).returncode == 2, "nothing is overwritten"
    assert shell("review", "prod", "--verify", str(out)).returncode == 0
    out.write_text(out.read_text().replace('"mode": "self-service"', '"mode": "hybrid"'))
    done = shell("review", "prod", "--verify", str(out))
    assert done.returncode == 1
    assert b"mode: hybrid in the report, self-service in the journal" in done.stdout
    for more in (["--as-of", "2026-01-05"], ["-o", "json"], ["--out", str(tmp_path / "x")]):
        assert b"--verify goes with neither" in shell("review", "prod", "--verify", str(out), *more).stderr
    out.write_text(out.read_text().replace("{", '{"mode": "hybrid",', 1))
    assert shell("review", "prod", "--verify", str(out)).returncode == 2, "which of two modes would a reader take?"


def test_what_was_not_compared_and_what_is_wrong_with_the_journal_is_said(shell: Shell, tmp_path: Path):
    """A report that is right is no word about the journal it was compared with, nor about what is in no journal."""
    out, copy = tmp_path / "report.json", tmp_path / "copy.jsonl"
    assert shell("review", "prod", "-o", "json", "--as-of", ts_of(20), "--out", str(out)).returncode == 0
    done = shell("review", "prod", "--verify", str(out))
    assert done.returncode == 0
    assert b"not compared: now, what was different when the report was made" in done.stdout
    document = json.loads(out.read_text())
    out.write_text(json.dumps({**document, "live": {"forged": True}}))
    assert b"not compared: live" in shell("review", "prod", "--verify", str(out)).stdout

    lines = (shell.state / "setups" / "prod.jsonl").read_bytes().splitlines(keepends=True)
    lines[30] = lines[30].replace(b"ada", b"eve", 1)
    copy.write_bytes(b"".join(lines))
    done = shell("review", str(copy), "--verify", str(out))
    assert done.returncode == 1
    assert b"the report says what the journal says" in done.stdout
    assert b"The journal itself: Line 31 or 32 was changed after it was written" in done.stderr


@pytest.mark.parametrize("form", ["text", "json", "html"])
def test_every_form_is_written_for_its_owner_alone_and_never_over_anything(shell: Shell, tmp_path: Path, form: str):
    out = tmp_path / f"report.{form}"
    assert shell("review", "prod", "-o", form, "--out", str(out)).returncode == 0
    assert out.stat().st_mode & 0o777 == 0o600
    content = out.read_bytes()
    assert (b"<!doctype html>" in content) == (form == "html")
    assert shell("review", "prod", "-o", form, "--out", str(out)).returncode == 2
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    assert shell("review", "prod", "-o", form, "--out", str(link)).returncode == 2
    assert (out.read_bytes(), (tmp_path / "elsewhere").exists()) == (content, False)


def test_a_report_of_a_guide_that_nobody_knows_is_made_and_says_so(shell: Shell, tmp_path: Path):
    lines = lines_of(data_of(40), "prod", GuideRef(id="aws", version=1))
    copy = tmp_path / "aws.jsonl"
    copy.write_bytes(b"\n".join(lines) + b"\n")
    for form in ("text", "json", "html"):
        done = shell("review", str(copy), "-o", form)
        assert (done.returncode, b"does not know the guide" in done.stdout) == (2, True)
    assert shell("review", str(copy), "-o", "json", "--out", str(tmp_path / "r.json")).returncode == 2
    assert (
        b"the report says what the journal says"
        in shell("review", str(copy), "--verify", str(tmp_path / "r.json")).stdout
    )


def test_check_of_another_hosts_setup_uses_none_of_its_paths_and_records_nothing(shell: Shell):
    before = (shell.state / "setups" / "prod.jsonl").read_bytes()
    done = shell("check", "prod", "-o", "json")
    assert done.returncode == 3
    assert "entered by ada on build-01" in done.stderr.decode()
    body = json.loads(done.stdout)
    assert body["format"] == "privatelink-wizard.check/1"
    assert body["recorded"] is False
    assert (shell.state / "setups" / "prod.jsonl").read_bytes() == before


def test_check_on_a_terminal_leaves_the_result_alone(shell: Shell):
    """How far it is is written over: what stays is the result, monochrome and each line whole."""
    code, drawn = at_terminal(shell, "check", "prod")
    assert code == 3
    left = drawn.split("\r\x1b[K")[-1].replace("\r\n", "\n")
    assert "\x1b" not in left
    assert "Status check results are" in left
    assert "exit code  3" in left


# ---------------------------------------------------------------- validate


def test_validate_says_so_in_its_exit_code(shell: Shell):
    good = shell.json("validate", "subscription-id", SUBSCRIPTION.upper(), "-o", "json")
    assert good["format"] == "privatelink-wizard.validate/1"
    assert (good["kind"], good["ok"], good["normalized"], good["message"]) == (
        "subscription-id",
        True,
        SUBSCRIPTION,
        None,
    )
    bad = shell.json("validate", "endpoint-id", SUBSCRIPTION, "-o", "json", code=1)
    assert bad["ok"] is False and bad["normalized"] == "" and bad["message"]
    assert {part["state"] for part in bad["parts"]} <= {"ok", "bad", "missing"}
    assert shell("validate", "endpoint-id", ENDPOINT_ID).returncode == 0


def lines(shell: Shell, stdin: bytes, code: int) -> list[dict[str, Any]]:
    done = shell("validate", "hostname", "-", stdin=stdin)
    assert done.returncode == code, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_validate_takes_one_value_per_line(shell: Shell):
    found = lines(shell, b"dpm.example.link\n\nminio.example.link\r\nx\x0cy.example.link\nlast.example.link", 1)
    assert [one["value"] for one in found] == [
        "dpm.example.link",
        "",
        "minio.example.link\r",
        "x\x0cy.example.link",
        "last.example.link",
    ]
    assert [one["ok"] for one in found][:3] == [True, False, True]
    assert found[2]["normalized"] == "minio.example.link"
    assert all(set(one) == {"value", "ok", "normalized", "parts", "message"} for one in found)


def test_validate_of_nothing_is_ok_and_of_garbage_is_not(shell: Shell):
    assert lines(shell, b"", 0) == []
    (found,) = lines(shell, b"\xff\xfe\x1b[2J\n", 1)
    assert not found["ok"]
    assert "\x1b" not in shell("validate", "hostname", "\x1b]0;title\x07x").stdout.decode()


def test_many_lines_in_are_many_lines_out(shell: Shell):
    found = lines(shell, b"dpm.example.link\n" * 2000, 0)
    assert len(found) == 2000


# ---------------------------------------------------------------- streams


def test_a_reader_that_goes_away_is_no_error_message(shell: Shell):
    """`review NAME -o json | head -1`."""
    read, write = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "wizard", "review", "prod", "-o", "json"],
        env={"PATH": os.defpath, "HOME": str(shell.home), "PRIVATELINK_STATE_DIR": str(shell.state)},
        stdout=write,
        stderr=subprocess.PIPE,
    )
    os.close(write)
    os.close(read)
    _, err = process.communicate(timeout=60)
    assert err == b""


def test_a_terminal_without_unicode_gets_ascii(shell: Shell):
    done = shell("review", "prod", "-o", "text", LANG="C", LC_ALL="C", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 0, done.stderr
    done.stdout.decode("ascii")


def test_long_lines_are_folded_between_words_in_a_terminal_only(shell: Shell):
    arguments = ("review", "prod", "-o", "text")
    _, drawn = at_terminal(shell, *arguments, stdin=subprocess.DEVNULL)
    folded, whole = drawn.splitlines(), shell(*arguments).stdout.decode().splitlines()
    assert all(len(line) <= 80 or len(line.split()) == 1 for line in folded), "an ID longer than the line stays whole"
    assert any(len(line) > 80 and len(line.split()) > 1 for line in whole)
    said, meant = (re.sub(r"(As of now\s+At\s+)\S+", r"\1", " ".join(lines)).split() for lines in (folded, whole))
    assert said == meant, "no word is torn or lost"


# ---------------------------------------------------------------- the screens

# The screens' side of the contract, with the screens left out: says with what they would open.
OPENED = """
import sys, types
stand_in = sys.modules["screens.app"] = types.ModuleType("screens.app")
stand_in.run_app = lambda start, places: [print("opens", start), 7][1]
from wizard.cli import main
sys.exit(main(sys.argv[1:]))
"""
NEW = "New(name='dev', guide_id='ataccama-azure', mode='self-service')"
ALTERNATE_SCREEN = "\x1b[?1049h"


def at_terminal(
    shell: Shell, *arguments: str, program: tuple[str, ...] = ("-m", "wizard"), stdin: int | None = None, **env: str
) -> tuple[int, str]:
    """Exit code, and what is drawn on a terminal of 80 by 24."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(
        [sys.executable, *program, *arguments],
        env={**shell.env(), "TERM": "xterm", **env},
        stdin=child if stdin is None else stdin,
        stdout=child,
        stderr=child,
    )
    os.close(child)
    drawn = b""
    with contextlib.suppress(OSError):  # Linux says EIO at the end of a terminal
        while select.select([parent], [], [], 60)[0] and (part := os.read(parent, 4096)):
            drawn += part
    os.close(parent)
    try:
        return process.wait(60), drawn.decode()
    except subprocess.TimeoutExpired:
        process.kill()
        raise AssertionError(f"it goes on\n{drawn.decode()[-2000:]}") from None


@pytest.mark.parametrize(
    ("arguments", "opens"),
    [
        ([], "Home()"),
        (["new", "dev"], NEW),
        (["new", "dev", "--guide", "ataccama-azure", "--mode", "self-service"], NEW),
        (["resume", "real"], "Resume(name='real')"),
        (["review", "prod"], "Review(target='prod', as_of=None, live=None)"),
        (["review", "prod", "--as-of", "2026-11-22"], "Review(target='prod', as_of='2026-11-22', live=None)"),
        (["review", "prod", "--live"], "Review(target='prod', as_of=None, live={})"),
        (["review", "prod", "--live", "--tenant", "T"], "Review(target='prod', as_of=None, live={'tenant_id': 'T'})"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_terminal_opens_the_screens(shell: Shell, arguments: list[str], opens: str):
    make_setup(shell.state, "real", 0)
    code, drawn = at_terminal(shell, *arguments, program=("-c", OPENED))
    assert drawn.replace("\r\n", "") == f"opens {opens}"
    assert code == 7, "the screens' own exit code"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["new", "prod"], "resume prod"),
        (["new", "Bad Name"], "lower-case letters"),
        (["new", "dev", "--guide", "aws"], "There is no guide aws"),
        (["new", "dev", "--mode", "alone"], "Modes are self-service"),
        (["resume", "prd"], "Did you mean prod"),
        (["resume", "../prod"], "lower-case letters"),
        (["review", "prd"], "Did you mean prod"),
        (["review", "./nowhere.jsonl"], "no such file"),
        (["review", "/dev/null"], "not a file"),
        (["review", "prod", "--as-of", "2020-01-01"], "began at"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_typo_is_answered_in_the_shell(shell: Shell, arguments: list[str], says: str):
    code, drawn = at_terminal(shell, *arguments)
    assert code == 2
    assert says in " ".join(drawn.split())
    assert ALTERNATE_SCREEN not in drawn
    assert [path.name for path in (shell.state / "setups").iterdir()] == ["prod.jsonl"], "nothing was made"


@pytest.mark.parametrize(
    "arguments", [[], ["new", "dev"], ["resume", "prod"], ["review", "prod"], ["sandbox"]], ids=" ".join
)
@pytest.mark.parametrize(("term", "says"), [("dumb", "can't move its cursor"), ("", "TERM is not set")])
def test_a_terminal_that_can_not_draw_is_told_the_other_commands(
    shell: Shell, arguments: list[str], term: str, says: str
):
    code, drawn = at_terminal(shell, *arguments, TERM=term)
    assert code == 2
    told = " ".join(drawn.split())
    assert says in told
    for command in ("run NAME --answers FILE", "review NAME -o text", "sandbox --unattended"):
        assert command in told
