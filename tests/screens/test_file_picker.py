"""Picking a file by keyboard, over real directories and everything odd that lies in them."""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.events import Paste
from textual.pilot import Pilot

from screens.app import WizardApp
from screens.file_picker import SHOWN, EntryList, PickFile
from screens.page import Page
from screens.path_input import PathInput, pasted_path
from tests.screens.harness import LARGE, SIZES, SMALL, out_of_view, places_in, shown, text_of, until
from wizard import browsing

# The whole app for every test: these run in `make test-slow` and CI.
pytestmark = pytest.mark.slow

NOTHING = "nothing yet"


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with Downloads, two likely files in it, another one and two directories."""
    home = tmp_path / "home"
    downloads = home / "Downloads"
    (downloads / "charts").mkdir(parents=True)
    (downloads / "vault").mkdir()
    (downloads / "charts" / "deep.yaml").write_text("a: 1")
    for age, name in enumerate(("values.yml", "older.yaml", "notes.txt")):
        path = downloads / name
        path.write_text("x" * 1234)
        at = path.stat().st_mtime - 86400 * 2 * age
        os.utime(path, (at, at))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(tmp_path)
    return downloads


class Picker:
    """An open picker, and what it answered."""

    def __init__(self, app: WizardApp, pilot: Pilot[int]) -> None:
        self.app = app
        self.pilot = pilot
        self.answer: Any = NOTHING

    @property
    def text(self) -> str:
        return text_of(self.app)

    @property
    def path(self) -> PathInput:
        return self.app.screen.query_one(PathInput)

    @property
    def entries(self) -> EntryList:
        return self.app.screen.query_one(EntryList)

    @property
    def rows(self) -> list[str]:
        return [str(option.prompt).strip() for option in self.entries.options]

    @property
    def here(self) -> str:
        at = self.entries.highlighted
        return self.rows[at] if at is not None else ""

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def type(self, text: str) -> None:
        self.path.focus()
        await self.pilot.press(*("slash" if one == "/" else "tilde" if one == "~" else one for one in text))

    async def paste(self, text: str) -> None:
        focused = self.app.focused
        assert focused is not None
        focused.post_message(Paste(text))
        await self.pilot.pause()

    async def lists(self, *names: str) -> None:
        """Waits until the rows begin with these names, in this order."""
        wanted = list(names)

        def same() -> bool:
            found = self.rows
            return len(found) == len(wanted) and all(name in row for name, row in zip(wanted, found, strict=True))

        try:
            await until(self.pilot, same, patience=8)
        except TimeoutError:
            raise AssertionError(f"{self.rows} instead of {wanted}\n{self.text}") from None

    async def says(self, text: str) -> None:
        await until(self.pilot, lambda: text in " ".join(self.text.split()))

    async def answered(self) -> Any:
        await until(self.pilot, lambda: self.answer != NOTHING)
        return self.answer


@asynccontextmanager
async def _picking(tmp_path: Path, value: str = "", *, size: tuple[int, int] = LARGE) -> AsyncIterator[Picker]:
    async with shown(places_in(tmp_path / "state"), size=size) as (app, pilot):
        picker = Picker(app, pilot)

        async def ask() -> None:
            picker.answer = await app.ask(PickFile("Values file", value=value))

        await until(pilot, lambda: isinstance(app.screen, Page))
        app.do(ask())
        await until(pilot, lambda: isinstance(app.screen, PickFile) and "looking" not in picker.text)
        yield picker


HOME = ("charts/", "vault/", "values.yml", "older.yaml", "notes.txt")


# ---------------------------------------------------------------- what it shows


@pytest.mark.parametrize("size", SIZES)
async def test_it_begins_where_downloads_go_on_the_newest_likely_file(
    tmp_path: Path, files: Path, size: tuple[int, int]
):
    async with _picking(tmp_path, size=size) as picker:
        await picker.lists(*HOME)

        assert picker.path.value == f"{files}/"
        assert picker.here.startswith("• values.yml")
        assert "1.2 kB" in picker.rows[2] and "2 days" in picker.rows[3] and "4 days" in picker.rows[4]
        assert [row.startswith("•") for row in picker.rows] == [False, False, True, True, False]
        assert "3 files, 2 of them likely; 2 directories" in picker.text
        assert (
            "• .yml .yaml" in picker.text
            and "Pick the file: Values file" in picker.text
            and "esc goes back" in picker.text
        )
        assert await out_of_view(picker.app, picker.pilot) == []


async def test_it_begins_at_the_file_that_stands_in_the_field(tmp_path: Path, files: Path):
    async with _picking(tmp_path, str(files / "older.yaml")) as picker:
        await picker.lists(*HOME)
        assert picker.here.startswith("• older.yaml")
        assert picker.path.value == f"{files}/"


async def test_a_value_that_leads_nowhere_begins_where_downloads_go(tmp_path: Path, files: Path):
    async with _picking(tmp_path, "/no/such/values.yml") as picker:
        await picker.lists(*HOME)
        assert picker.path.value == f"{files}/"


async def test_rows_are_made_for_the_width_they_get(tmp_path: Path):
    async with _picking(tmp_path, size=LARGE) as picker:
        await picker.lists(*HOME)
        await picker.press("down")
        await picker.pilot.resize_terminal(*SMALL)
        await until(picker.pilot, lambda: len(picker.rows[2]) < 80)

        assert picker.here.startswith("• older.yaml"), "it stays where it was"
        assert all("kB" in line for line in picker.text.splitlines() if "values.yml" in line)


async def test_more_than_can_be_shown_is_said_and_found_by_typing(tmp_path: Path, files: Path):
    for number in range(SHOWN + 30):
        (files / f"part-{number:03}.yml").write_text("")
    async with _picking(tmp_path) as picker:
        await picker.says("35 more are not shown: type a part of the name")
        assert len(picker.rows) == SHOWN

        await picker.type("part-229")
        await picker.lists("part-229.yml")


# ---------------------------------------------------------------- by arrow and enter


@pytest.mark.parametrize("size", SIZES)
async def test_enter_goes_into_a_directory_and_takes_a_file(tmp_path: Path, files: Path, size: tuple[int, int]):
    async with _picking(tmp_path, size=size) as picker:
        await picker.lists(*HOME)
        await picker.press("up", "up", "enter")
        await picker.lists("deep.yaml")
        assert picker.path.value == f"{files}/charts/"
        assert isinstance(picker.app.focused, EntryList)

        await picker.press("enter")
        assert await picker.answered() == str(files / "charts" / "deep.yaml")


@pytest.mark.parametrize("key", ["left", "backspace"])
async def test_left_and_backspace_go_up_and_stand_on_what_was_left(tmp_path: Path, files: Path, key: str):
    async with _picking(tmp_path, str(files / "vault" / "x")) as picker:
        await picker.says("nothing here")
        await picker.press(key)
        await picker.lists(*HOME)
        assert picker.here.startswith("vault/")

        await picker.press(key)
        await picker.lists("Downloads/")
        assert picker.path.value == f"{files.parent}/"


async def test_left_at_the_root_stays_there(tmp_path: Path):
    async with _picking(tmp_path, "/x") as picker:
        await until(picker.pilot, lambda: any(row.startswith(("usr", "etc", "tmp")) for row in picker.rows))
        before = picker.rows
        await picker.press("left")
        await picker.pilot.pause()
        assert (picker.path.value, picker.rows) == ("/", before)


async def test_escape_leaves_without_a_file(tmp_path: Path):
    async with _picking(tmp_path) as picker:
        await picker.lists(*HOME)
        await picker.press("escape")
        assert await picker.answered() is None


async def test_enter_twice_is_one_answer(tmp_path: Path, files: Path):
    async with _picking(tmp_path) as picker:
        await picker.lists(*HOME)
        await picker.press("enter", "enter")
        assert await picker.answered() == str(files / "values.yml")
        await picker.pilot.pause()
        assert isinstance(picker.app.screen, Page)


# ---------------------------------------------------------------- by typing


async def test_typing_in_the_list_narrows_and_enter_takes_the_first(tmp_path: Path, files: Path):
    async with _picking(tmp_path) as picker:
        await picker.lists(*HOME)
        await picker.press("v", "a")
        await picker.lists("vault/", "values.yml")
        assert picker.path.has_focus and picker.path.value == f"{files}/va"
        assert picker.here.startswith("• values.yml"), "a likely file before a directory"

        await picker.press("enter")
        assert await picker.answered() == str(files / "values.yml")


async def test_a_whole_name_is_taken_before_what_only_contains_it(tmp_path: Path, files: Path):
    (files / "notes.txt.yml").write_text("")
    async with _picking(tmp_path) as picker:
        await picker.type("notes.txt")
        await picker.lists("notes.txt.yml", "notes.txt")
        await picker.press("enter")
        assert await picker.answered() == str(files / "notes.txt")


async def test_what_does_not_fit_says_so_and_enter_takes_nothing(tmp_path: Path):
    async with _picking(tmp_path, size=SMALL) as picker:
        await picker.type("zzz")
        await picker.says("nothing here has “zzz” in its name")
        await picker.press("enter")
        await picker.pilot.pause()
        assert picker.answer == NOTHING and isinstance(picker.app.screen, PickFile)

        await picker.press("backspace", "backspace", "backspace")
        await picker.lists(*HOME)


async def test_right_at_the_end_takes_the_first_completion(tmp_path: Path, files: Path):
    async with _picking(tmp_path) as picker:
        await picker.type("cha")
        await until(picker.pilot, lambda: "Downloads/charts/" in picker.text)
        await picker.press("right")
        await picker.lists("deep.yaml")
        assert picker.path.value == f"{files}/charts/"

        await picker.press("D", "E")
        await until(picker.pilot, lambda: "DEep.yaml" in picker.text.replace(" ", ""))
        await picker.press("right")
        assert picker.path.value == f"{files}/charts/deep.yaml", "the name as it is, in whatever case it was typed"
        await picker.press("enter")
        assert await picker.answered() == str(files / "charts" / "deep.yaml")


@pytest.mark.parametrize("start", ["/{home}/Downloads/ch", "/~/Downloads/ch"])
async def test_a_path_can_begin_anew_behind_another(tmp_path: Path, files: Path, start: str):
    async with _picking(tmp_path) as picker:
        await picker.lists(*HOME)
        typed = start.format(home=str(files.parent).lstrip("/"))
        await picker.type(typed.replace("/~", "~", 1) if "~" in typed else typed)
        await picker.lists("charts/")
        assert picker.path.value in (typed, typed.lstrip("/"))

        await picker.press("enter")
        await picker.lists("deep.yaml")


async def test_a_directory_too_large_to_be_listed_whole_is_searched_at_every_key(
    tmp_path: Path, files: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(browsing, "LIMIT", 4)
    async with _picking(tmp_path) as picker:
        await picker.lists(*HOME[:4])
        await picker.says("1 more are not shown")
        await picker.type("not")
        await picker.lists("notes.txt")
        await picker.press("backspace", "backspace", "backspace")
        await picker.lists(*HOME[:4])


async def test_a_directory_that_is_not_there_is_explained_until_it_is_corrected(tmp_path: Path, files: Path):
    async with _picking(tmp_path, size=SMALL) as picker:
        await picker.type("nope/x")
        await picker.says("can't be read. There is no such directory.")
        assert picker.rows == []
        await picker.press("enter")
        await picker.says("Go to another one, or type the file's path.")

        await picker.press(*["backspace"] * len("nope/x"))
        await picker.lists(*HOME)
        assert "can't be read" not in picker.text


# ---------------------------------------------------------------- by pasting


@pytest.mark.parametrize(
    ("pasted", "path"),
    [
        ("/home/ada/values.yml", "/home/ada/values.yml"),
        ("  /home/ada/values.yml\r\n", "/home/ada/values.yml"),
        ('"/home/ada/my values.yml"', "/home/ada/my values.yml"),
        ("'/home/ada/values.yml'\n", "/home/ada/values.yml"),
        ("“~/values.yml”", "~/values.yml"),
        ("/home/ada/my\\ values\\(1\\).yml", "/home/ada/my values(1).yml"),
        ("'/home/ada/back\\ slash.yml'", "/home/ada/back\\ slash.yml"),
        ("file:///home/ada/my%20values.yml", "/home/ada/my values.yml"),
        ("FILE://localhost/home/ada/values.yml", "/home/ada/values.yml"),
        ("<file:///home/ada/values.yml>", "/home/ada/values.yml"),
        ("/home/ada/a-long-\n  name/values.yml\n", "/home/ada/a-long-name/values.yml"),
        ("/home/ada/one.yml\n/home/ada/two.yml\n", "/home/ada/one.yml"),
        ("'/home/ada/one.yml'\n'/home/ada/two.yml'", "/home/ada/one.yml"),
        ("values.yml", "values.yml"),
        ("/home/\x1b[31mada\u202e/values.yml", "/home/ada/values.yml"),
        ("file:///home/%1b%5b31mada/%0a%e2%80%ae.yml", "/home/ada/ .yml"),
        ("file://", "/"),
        ("", ""),
        ("\n \n", ""),
        ("''", ""),
    ],
)
def test_a_pasted_path_is_forgiven(pasted: str, path: str):
    assert pasted_path(pasted) == path


def test_a_huge_paste_is_cut():
    assert len(pasted_path("/" + "a" * 10_000_000)) <= 4096


@pytest.mark.parametrize("focus", [EntryList, PathInput])
@pytest.mark.parametrize("form", ["{}", '"{}"\n', "file://{}"])
async def test_a_pasted_path_replaces_the_line_wherever_the_focus_is(
    tmp_path: Path, files: Path, focus: type[Any], form: str
):
    async with _picking(tmp_path) as picker:
        await picker.lists(*HOME)
        picker.app.screen.query_one(focus).focus()
        await picker.pilot.pause()
        await picker.paste(form.format(files / "charts" / "deep.yaml"))
        await picker.lists("deep.yaml")
        assert picker.path.value == str(files / "charts" / "deep.yaml") and picker.path.has_focus

        await picker.press("enter")
        assert await picker.answered() == str(files / "charts" / "deep.yaml")


async def test_a_pasted_name_goes_to_the_cursor(tmp_path: Path, files: Path):
    async with _picking(tmp_path) as picker:
        await picker.lists(*HOME)
        await picker.paste("'older.yaml'\n")
        await picker.lists("older.yaml")
        assert picker.path.value == f"{files}/older.yaml"


# ---------------------------------------------------------------- names from outside


HOSTILE = {
    b"a-\x1b]0;pwned\x07\x1b[31mred.yml": "a-red.yml",
    b"b-new\nline.yml": "b-new line.yml",
    "c-\u202egnp.yml".encode(): "c-gnp.yml",
    b"d-\xff\xfe.yml": "d-.yml",
    b"e-tab\there.yml": "e-tab here.yml",
}


def _hostile(files: Path) -> None:
    for name in HOSTILE:
        (files / os.fsdecode(name)).write_bytes(b"")
    (files / "[red]f[@click=app.quit].yml").write_text("")


@pytest.mark.parametrize("size", SIZES)
async def test_hostile_names_are_drawn_clean_and_never_markup(tmp_path: Path, files: Path, size: tuple[int, int]):
    _hostile(files)
    async with _picking(tmp_path, size=size) as picker:
        await until(picker.pilot, lambda: len(picker.rows) == len(HOME) + len(HOSTILE) + 1)
        rows = "\n".join(picker.rows)

        for drawn in (*HOSTILE.values(), "[red]f[@click=app.quit].yml"):
            assert f"• {drawn} " in rows, drawn
        assert not any(char in picker.text for char in "\x1b\x07\u202e\x9b\r\t")
        assert not any("\ud800" <= char <= "\udfff" for char in picker.text)
        assert await out_of_view(picker.app, picker.pilot) == []


async def test_a_name_that_looks_like_markup_can_be_picked(tmp_path: Path, files: Path):
    _hostile(files)
    async with _picking(tmp_path) as picker:
        await picker.type("click")
        await picker.lists("[red]f[@click=app.quit].yml")
        await picker.press("enter")
        assert await picker.answered() == str(files / "[red]f[@click=app.quit].yml")


@pytest.mark.parametrize("begins", ["a-", "b-", "c-", "d-", "e-"])
async def test_a_name_that_can_not_be_shown_is_not_picked_but_explained(tmp_path: Path, files: Path, begins: str):
    _hostile(files)
    async with _picking(tmp_path, size=SMALL) as picker:
        await picker.type(begins)
        await until(picker.pilot, lambda: begins in picker.here)
        await picker.press("enter")
        await picker.says("has characters that can't be shown.")
        await picker.says("Rename or copy it, then pick that.")

        assert picker.answer == NOTHING


async def test_a_hostile_directory_is_entered_narrowed_and_left(tmp_path: Path, files: Path):
    directory = files / "vault" / os.fsdecode(b"odd\x1b[31m\xff")
    directory.mkdir()
    for name in ("one.yml", "two.yml"):
        (directory / name).write_bytes(b"")
    async with _picking(tmp_path, str(files / "vault" / "x")) as picker:
        await picker.lists("odd/")
        await picker.press("enter")
        await until(picker.pilot, lambda: len(picker.rows) == 2)
        assert picker.path.value == f"{files}/vault/odd/"

        await picker.press("t", "w")
        await picker.lists("two.yml")
        await picker.press("down", "left")
        await picker.lists("odd/")


# ---------------------------------------------------------------- what can't be read, what is slow


async def test_a_directory_that_may_not_be_read_is_explained_and_one_stays(
    tmp_path: Path, files: Path, monkeypatch: pytest.MonkeyPatch
):
    read = os.scandir

    def refused(path: str) -> Any:
        if str(path).endswith("vault"):
            raise PermissionError(13, "Permission denied")
        return read(path)

    monkeypatch.setattr(os, "scandir", refused)  # root may read everything, so a mode would not do
    async with _picking(tmp_path, size=SMALL) as picker:
        await picker.lists(*HOME)
        await picker.press("up", "enter")
        await picker.says("You may not read it.")

        await picker.lists(*HOME)
        assert picker.path.value == f"{files}/"


async def test_an_answer_that_comes_late_does_not_replace_a_newer_one(
    tmp_path: Path, files: Path, monkeypatch: pytest.MonkeyPatch
):
    read, held = browsing.listing, threading.Event()

    def slow(path: str, **how: Any) -> Any:
        if path.endswith("charts"):
            held.wait(10)
        return read(path, **how)

    async with _picking(tmp_path) as picker:
        await picker.lists(*HOME)
        monkeypatch.setattr(browsing, "listing", slow)
        await picker.press("up", "up", "enter")  # hangs in charts
        await picker.says("looking")
        await picker.press("down", "enter")  # vault answers at once
        await picker.says("nothing here")
        held.set()
        await picker.pilot.pause(0.05)

        assert picker.path.value == f"{files}/vault/"
        assert picker.rows == []


async def test_leaving_while_a_directory_is_read_harms_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    read, held, ended = browsing.listing, threading.Event(), threading.Event()

    def slow(path: str, **how: Any) -> Any:
        held.wait(10)
        ended.set()
        return read(path, **how)

    async with _picking(tmp_path) as picker:
        await picker.lists(*HOME)
        monkeypatch.setattr(browsing, "listing", slow)
        await picker.press("left")
        await picker.says("looking")
        await picker.press("escape")
        assert await picker.answered() is None
        held.set()
        await until(picker.pilot, ended.is_set)
        await picker.app.workers.wait_for_complete()

        assert isinstance(picker.app.screen, Page), "no note of a mistake"


async def test_without_colours_likely_files_and_the_row_one_stands_on_are_still_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("NO_COLOR", "1")
    async with _picking(tmp_path, size=SMALL) as picker:
        await picker.lists(*HOME)
        at = next(row for row, line in enumerate(picker.text.splitlines()) if "values.yml" in line)
        strip = picker.app.screen._compositor.render_strips()[at]

        assert "• values.yml" in strip.text
        assert any(segment.style and segment.style.reverse for segment in strip)
        assert await out_of_view(picker.app, picker.pilot) == []
