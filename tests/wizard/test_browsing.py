"""What a file picker is shown of real directories, with everything odd that lies in them."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from state.problem import Problem
from wizard import browsing
from wizard.browsing import completions, listing, start_directory
from wizard.files import read_file

YAML = (".yml", ".yaml")


def made(path: Path, modified: int = 1_700_000_000, content: str = "x") -> Path:
    path.write_text(content)
    os.utime(path, (modified, modified))
    return path


def names(path: Path, typed: str = "") -> list[str]:
    return [entry.name for entry in listing(str(path), suffixes=YAML, typed=typed).entries]


# ---------------------------------------------------------------- a listing


def test_directories_then_likely_files_newest_first_then_others_hidden_last(tmp_path: Path):
    (tmp_path / "zoo").mkdir()
    (tmp_path / "Apps").mkdir()
    (tmp_path / ".git").mkdir()
    made(tmp_path / "old.yml", 1000)
    made(tmp_path / "new.YAML", 3000)
    made(tmp_path / "middle.yaml", 2000)
    made(tmp_path / "b.txt", 9000)
    made(tmp_path / "A.txt", 1)
    made(tmp_path / ".hidden.yml", 9000)
    made(tmp_path / ".profile", 9000)
    wanted = ["Apps", "zoo", "new.YAML", "middle.yaml", "old.yml", "A.txt", "b.txt", ".git", ".hidden.yml", ".profile"]
    assert names(tmp_path) == wanted
    found = {entry.name: entry for entry in listing(str(tmp_path), suffixes=YAML).entries}
    assert {name for name, entry in found.items() if entry.likely} == {
        "new.YAML",
        "middle.yaml",
        "old.yml",
        ".hidden.yml",
    }
    assert {name for name, entry in found.items() if entry.is_dir} == {"zoo", "Apps", ".git"}


def test_without_wanted_suffixes_nothing_is_likely(tmp_path: Path):
    made(tmp_path / "b.yml", 9000)
    made(tmp_path / "a.txt", 1)
    assert [(one.name, one.likely) for one in listing(str(tmp_path)).entries] == [("a.txt", False), ("b.yml", False)]


def test_an_entry_tells_size_and_time(tmp_path: Path):
    made(tmp_path / "values.yml", 1_700_000_000, "twelve bytes")
    (tmp_path / "in").mkdir()
    directory, file = listing(str(tmp_path), suffixes=YAML).entries
    assert (directory.size, directory.path) == (None, f"{tmp_path}/in")
    assert (file.size, file.modified, file.path) == (12, "2023-11-14T22:13:20Z", f"{tmp_path}/values.yml")


def test_a_time_before_all_calendars_is_left_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made(tmp_path / "a", -60)
    assert listing(str(tmp_path)).entries[0].modified == "1969-12-31T23:59:00Z"
    beyond = browsing._Found(False, 2, 0.0, "a", "a", 1, 1e18)
    assert browsing._entry("/", beyond).modified == ""


def test_the_way_up_ends_at_the_root(tmp_path: Path):
    inside = listing(f"{tmp_path}/../{tmp_path.name}/./")
    assert (inside.path, inside.parent) == (str(tmp_path), str(tmp_path.parent))
    root = listing("/")
    assert (root.path, root.parent) == ("/", None)
    assert all(entry.path == f"/{entry.name}" for entry in root.entries)


def test_out_of_a_link_one_comes_back_to_where_it_is(tmp_path: Path):
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real" / "deep")
    assert listing(str(tmp_path / "link")).parent == str(tmp_path)


def test_home_and_relative_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made(tmp_path / "mine.yml")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for path in ("~", "~/", "."):
        assert listing(path).path == str(tmp_path)
        assert listing(path).entries[0].path == f"{tmp_path}/mine.yml"


def test_links_count_as_what_they_point_to_and_what_can_not_be_opened_is_left_out(tmp_path: Path):
    made(tmp_path / "file.yml", 5)
    (tmp_path / "sub").mkdir()
    (tmp_path / "to-file.yml").symlink_to(tmp_path / "file.yml")
    (tmp_path / "to-sub").symlink_to(tmp_path / "sub")
    (tmp_path / "to-nothing").symlink_to(tmp_path / "nothing")
    (tmp_path / "to-itself").symlink_to(tmp_path / "to-itself")
    (tmp_path / "to-a-device").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe.yml")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s.yml"))
        assert names(tmp_path) == ["sub", "to-sub", "file.yml", "to-file.yml"]


HOSTILE = [
    "esc\x1b[31mred\x1b[0m.yml",
    "two\nlines.yml",
    "bell\x07.yml",
    "right\u202eleft.yml",
    os.fsdecode(b"not-\xff-utf8.yml"),
    "  blanks  .yml",
    "\x1b[2J",
    "\u200b",
]


def test_hostile_names_are_shown_clean_and_open_all_the_same(tmp_path: Path):
    for name in HOSTILE:
        made(tmp_path / name, content=repr(name))
    entries = listing(str(tmp_path), suffixes=YAML).entries
    assert len(entries) == len(HOSTILE)
    for entry in entries:
        assert entry.name.strip()
        assert entry.name.isprintable()
        entry.name.encode()
    opened = {read_file(Path(entry.path), 1000).decode() for entry in entries}
    assert opened == {repr(name) for name in HOSTILE}
    assert {"escred.yml", "two lines.yml", "bell.yml", "rightleft.yml", "not--utf8.yml", "blanks .yml"} < {
        entry.name for entry in entries
    }


def test_typing_narrows_in_any_case(tmp_path: Path):
    for name in ("Values-DPE.yml", "dpe.txt", "other.yml", "straße"):
        made(tmp_path / name)
    assert names(tmp_path, "dPe") == ["Values-DPE.yml", "dpe.txt"]
    assert names(tmp_path, "STRASSE") == ["straße"]
    assert names(tmp_path, "none of them") == []


def test_a_full_directory_shows_the_first_and_says_how_many_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for number in range(30):
        made(tmp_path / f"{number:02}.yml", number)
    (tmp_path / "zz").mkdir()
    monkeypatch.setattr(browsing, "LIMIT", 5)
    found = listing(str(tmp_path), suffixes=YAML)
    assert [entry.name for entry in found.entries] == ["zz", "29.yml", "28.yml", "27.yml", "26.yml"]
    assert found.truncated == 26
    assert listing(str(tmp_path), typed="1").truncated == 7, "of those that were asked for: 1, 21 and ten of 10 to 19"


@pytest.mark.parametrize(
    ("path", "means"),
    [
        ("nothing", "There is no such directory."),
        ("file", "It is a file, or lies behind one."),
        ("file/below", "It is a file, or lies behind one."),
        ("loop", "It is a link that leads back to itself."),
        ("a\0b", "No directory can have that name."),
        ("a\ud800b", "No directory can have that name."),
        ("a" * 300, "The system can't read it now."),
        ("esc\x1b[31m", "There is no such directory."),
    ],
)
def test_a_directory_that_can_not_be_read_says_why_and_what_to_do(tmp_path: Path, path: str, means: str):
    made(tmp_path / "file")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(Problem) as caught:
        listing(f"{tmp_path}/{path}")
    problem = caught.value
    assert (problem.code, problem.means) == ("directory-not-readable", means)
    assert problem.what.startswith(f"The directory {tmp_path}/"[:60])
    assert problem.what.isprintable()
    assert problem.todo
    assert completions(f"{tmp_path}/{path}/x") == ()


@pytest.mark.parametrize("path", ["~a\0b", "~nobody-has-this-name"])
def test_a_home_that_can_not_be_is_a_directory_that_is_not_there(path: str):
    assert completions(f"{path}/x") == ()
    with pytest.raises(Problem):
        listing(path)


def test_a_directory_of_somebody_else_is_explained(monkeypatch: pytest.MonkeyPatch):
    """Root may read everything, so the refusal is the system's in name only."""

    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(Problem, match="You may not read it"):
        listing("/root")


# ---------------------------------------------------------------- completions


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Downloads" / "inner").mkdir(parents=True)
    (tmp_path / "Documents").mkdir()
    made(tmp_path / "Downloads" / "values.yml", 1)
    made(tmp_path / "Downloads" / "values-new.yml", 2)
    made(tmp_path / "Downloads" / "valid.txt")
    made(tmp_path / "Downloads" / ".values.yml")
    made(tmp_path / "Downloads" / "val\x1b[31m.yml")
    return tmp_path


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("", ()),
        ("  ", ()),
        ("~", ("~/",)),
        ("~/D", ("~/Documents/", "~/Downloads/")),
        ("~/dow", ("~/Downloads/",)),
        ("~/Downloads", ("~/Downloads/",)),
        ("~/Downloads/val", ("~/Downloads/values-new.yml", "~/Downloads/values.yml", "~/Downloads/valid.txt")),
        ("~/Downloads/values.yml", ()),
        ("~/Downloads/.v", ("~/Downloads/.values.yml",)),
        ("~/Downloads/", tuple(f"~/Downloads/{n}" for n in ("inner/", "values-new.yml", "values.yml", "valid.txt"))),
        ("Down", ("Downloads/",)),
        ("./Down", ("./Downloads/",)),
        ("~/Downloads/inner/../values-", ("~/Downloads/inner/../values-new.yml",)),
        ("~/Downloads/zzz", ()),
        ("~/nothing/x", ()),
        ("~/Downloads/values.yml/x", ()),
        ("a\0b/c", ()),
        ("a\ud800b/c", ()),
    ],
)
def test_what_was_typed_is_completed(home: Path, typed: str, wanted: tuple[str, ...]):
    assert completions(typed, suffixes=YAML) == wanted


def test_every_completion_can_be_listed_or_read(home: Path):
    for typed in ("~/", f"{home}/", f"{home}/Downloads/", "/"):
        for path in completions(typed, suffixes=YAML):
            assert path.startswith(typed)
            assert Path(path).expanduser().is_dir() == path.endswith("/")


def test_at_most_eight_are_offered(home: Path):
    for number in range(20):
        made(home / f"file-{number:02}")
    assert completions("~/file-") == tuple(f"~/file-{number:02}" for number in range(8))


# ---------------------------------------------------------------- where to begin


def test_it_begins_in_downloads_or_here(home: Path, monkeypatch: pytest.MonkeyPatch):
    assert start_directory() == f"{home}/Downloads"
    here = home / "here"
    here.mkdir()
    monkeypatch.setenv("HOME", str(here))
    monkeypatch.chdir(here)
    assert start_directory() == str(here)
    made(here / "Downloads")
    assert start_directory() == str(here), "a file of that name is no place to begin"


def test_where_the_current_directory_is_gone_it_begins_at_the_root(home: Path, monkeypatch: pytest.MonkeyPatch):
    gone = home / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    monkeypatch.setenv("HOME", str(gone))
    gone.rmdir()
    try:
        assert start_directory() == "/"
        assert completions("x") == ()
        with pytest.raises(Problem):
            listing(".")
    finally:
        os.chdir(home)
