"""The README's way to verify a journal without this program does what it says: run as it stands there."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from state import journal
from tests.contracts.conftest import ROOT
from tests.setups import make_setup

README = (ROOT / "README.md").read_text(encoding="utf-8")
HEADING = "### Verify a journal without our program"


@dataclass
class Verifier:
    """The block of the README as a script."""

    script: Path
    file: Path
    head: str

    def __call__(self, content: bytes, head: str = "") -> tuple[int, str]:
        self.file.write_bytes(content)
        done = subprocess.run(
            ["bash", self.script, self.file, head or self.head],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.stderr == ""
        return done.returncode, done.stdout


@pytest.fixture
def content(tmp_path: Path) -> bytes:
    return make_setup(tmp_path, "prod", 25).read_bytes()


@pytest.fixture
def verify(tmp_path: Path, content: bytes) -> Verifier:
    for program in ("bash", "jq", "sha256sum", "cmp"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not there; see CONTRIBUTING.md")
    (block,) = re.findall(r"```bash\n(.*?)```", README.partition(HEADING)[2].partition("\n## ")[0], re.DOTALL)
    script = tmp_path / "verify.sh"
    script.write_text(block)
    return Verifier(script, tmp_path / "copy.jsonl", journal.parse(Path("x"), content).head)


def test_a_good_journal_has_the_noted_head(verify: Verifier, content: bytes):
    assert verify(content) == (0, f"26 lines, head {verify.head}\n")


def test_a_changed_byte_in_the_middle_is_found_with_its_line(verify: Verifier, content: bytes):
    lines = content.splitlines(keepends=True)
    lines[9] = lines[9].replace(b"ada", b"adb")
    code, said = verify(b"".join(lines))
    assert (code, said.splitlines()[0]) == (1, "chain broken: line 10 or 11 was changed")
    assert f"head {verify.head}" in said, "the head alone would not have told"


@pytest.mark.slow
def test_only_the_head_tells_a_changed_last_line_and_a_cut_one(verify: Verifier, content: bytes):
    lines = content.splitlines(keepends=True)
    changed = [*lines[:-1], lines[-1].replace(b"ada", b"adb")]
    for damaged in (changed, lines[:-1], [*lines, lines[-1].replace(b'"seq":25', b'"seq":26')][:-2]):
        code, said = verify(b"".join(damaged))
        assert (code, "chain broken" in said) == (1, False)
        assert "another head was noted" in said
        own = journal.parse(Path("x"), b"".join(damaged)).head
        assert verify(b"".join(damaged), own)[0] == 0, "against its own head nothing shows"


def test_half_a_line_is_told_and_counts_for_nothing(verify: Verifier, content: bytes):
    code, said = verify(content + b'{"seq":')
    assert (code, said.splitlines()[0]) == (0, "the last 7 bytes are half a line, and count for nothing")


def test_bytes_that_a_shell_does_not_see_are_told(verify: Verifier, content: bytes):
    code, said = verify(content.replace(b"ada", b"a\0da", 1))
    assert (code, "it holds bytes that no journal has" in said) == (1, True)


def test_neither_nothing_nor_a_longer_hash_passes(verify: Verifier, content: bytes):
    """A shell cuts line breaks off what it is told, and an empty file has no head at all."""
    lines = content.splitlines(keepends=True)
    event = journal.decode_line(lines[10].rstrip(b"\n"))
    lines[10] = lines[10].replace(event.prev.encode(), event.prev.encode() + b"\\n")
    assert "chain broken: line 10 or 11 was changed" in verify(b"".join(lines))[1]
    assert verify(b"", " ")[0] == 1
    done = subprocess.run(["bash", verify.script, verify.file, ""], capture_output=True, timeout=60, check=False)
    assert done.returncode == 1


def test_it_agrees_with_the_program_about_every_line(verify: Verifier, content: bytes):
    """A line whose successor was adapted as well moves the break to the next one."""
    lines = content.splitlines()
    lines[5] = lines[5].replace(b"ada", b"adb")
    lines[6] = lines[6].replace(
        journal.line_hash(content.splitlines()[5]).encode(), journal.line_hash(lines[5]).encode()
    )
    code, said = verify(b"\n".join(lines) + b"\n")
    (problem,) = journal.parse(Path("x"), b"\n".join(lines) + b"\n").problems
    assert (code, said.splitlines()[0]) == (1, f"chain broken: line {problem.line} or {problem.line + 1} was changed")
