"""Reading: what is whole is believed, what is not is named, and nothing makes the reader fall over."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state import events, journal
from state.events import FORMAT, Data, Event, FieldSet, Header, IdentityPinned, ModeSet
from state.journal import Journal, line_hash
from state.problem import Problem
from tests.state.make_journal import ACTOR, GUIDE, data_of, lines_of, make_journal, ts_of


def content_of(lines: list[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


def parse(lines: list[bytes]) -> Journal:
    return journal.parse(Path("demo.jsonl"), content_of(lines))


def rechain(lines: list[bytes]) -> list[bytes]:
    """The lines with every `prev` made right again: what a careful forger would do."""
    whole = lines[:1]
    for line in lines[1:]:
        whole.append(line[: line.rindex(b'"prev":"') + 8] + line_hash(whole[-1]).encode() + b'"}')
    return whole


def found(read: Journal) -> list[tuple[int, str]]:
    return [(problem.line, problem.code) for problem in read.problems]


def test_reads_what_was_written() -> None:
    data = list(data_of(60))
    lines = lines_of(data)
    read = parse(lines)
    assert read.header == Header(seq=0, format=FORMAT, guide=GUIDE, name="demo", ts=ts_of(0))
    assert [event.data for event in read.events] == data
    assert [event.seq for event in read.events] == list(range(1, 61))
    assert read.head == sha256(lines[-1]).hexdigest()
    assert read.size == len(content_of(lines))
    assert (read.torn, read.problems, read.intact_through, read.writable) == (None, (), 60, True)


def test_line_is_canonical() -> None:
    event = Event(
        seq=7,
        ts=ts_of(7),
        actor=ACTOR,
        type=IdentityPinned.TYPE,
        v=1,
        data=IdentityPinned(kind="cluster", facts={"uid": "a\nb\u2028\x00", "server": "ä"}),
        prev="0" * 64,
    )
    line = journal.encode_line(event)
    assert list(json.loads(line)) == ["seq", "ts", "actor", "type", "v", "data", "prev"]
    assert b"\n" not in line and b"\x00" not in line and b": " not in line
    assert line.index(b'"server"') < line.index(b'"uid"')
    assert "ä".encode() in line
    assert journal.decode_line(line) == event


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_survives_on_one_line(field: str, value: str) -> None:
    read = parse(lines_of([FieldSet(field=field, value=value)]))
    assert read.events[0].data == FieldSet(field=field, value=value)


CHAIN_WITH_COMMON_TOOLS = """
set -euo pipefail
previous=
seq=0
while IFS= read -r line; do
    if [ "$seq" -gt 0 ]; then
        [ "$(jq -r '"\\(.seq) \\(.prev)"' <<<"$line")" = "$seq $previous" ] ||
            { echo "line $((seq + 1)) does not continue"; exit 1; }
    fi
    previous=$(printf %s "$line" | sha256sum | cut -d' ' -f1)
    seq=$((seq + 1))
done <"$1"
echo "$previous"
"""


@pytest.mark.skipif(
    not all(map(shutil.which, ("bash", "jq", "sha256sum"))), reason="needs them: apt-get install jq bash coreutils"
)
def test_an_auditor_needs_only_sha256sum_and_jq(tmp_path: Path) -> None:
    path = make_journal(tmp_path / "demo.jsonl", 24)

    def verify() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", CHAIN_WITH_COMMON_TOOLS, "verify", path], capture_output=True, text=True, check=False
        )

    assert verify().stdout.strip() == journal.read(path).head
    path.write_bytes(path.read_bytes().replace(b'"item":"dpe/worker-1"', b'"item":"dpe/worker-7"', 1))
    broken = verify()
    assert broken.returncode == 1
    assert broken.stdout == f"line {journal.read(path).problems[0].line + 1} does not continue\n"


@pytest.mark.parametrize("bit", [0x01, 0x20, 0x80])
def test_every_flipped_byte_is_reported_with_its_line(bit: int) -> None:
    """Only in the last line may a change stay unseen by the chain: for that there is the head."""
    lines = lines_of(data_of(6))
    whole = content_of(lines)
    original = parse(lines)
    line_at = [number for number, line in enumerate(lines, 1) for _ in range(len(line) + 1)]
    for at in range(len(whole)):
        content = bytearray(whole)
        content[at] ^= bit
        try:
            read = journal.parse(Path("demo.jsonl"), bytes(content))
        except Problem as problem:
            assert line_at[at] == 1, f"byte {at}"
            assert problem.code in ("not-a-journal", "newer-format")
            continue
        if line_at[at] == len(lines):
            assert read.problems or read.torn or read.head != original.head, f"byte {at}"
            assert read.events[:5] == original.events[:5]
        else:
            damaged = line_at[at]
            named = [problem.line for problem in read.problems]
            assert damaged in named, f"byte {at}: {read.problems}"
            # A changed `prev` breaks the chain on both sides, so the line before is in doubt, too.
            assert min(named) in (damaged, damaged - 1)
            assert not read.writable
            assert read.intact_through == min(named) - 2
            intact = max(read.intact_through, 0)
            assert read.events[:intact] == original.events[:intact]


def test_after_a_break_the_rest_is_still_shown() -> None:
    lines = lines_of(data_of(40))
    lines[10] = lines[10].replace(b"pe-", b"px-")
    read = parse(lines)
    assert found(read) == [(11, "chain-broken")]
    assert "Line 11 or 12 was changed" in read.problems[0].what
    assert len(read.events) == 40
    assert [event.seq for event in read.events if event.seq <= read.intact_through] == list(range(1, 10))


def test_a_removed_line_shows_in_chain_and_number() -> None:
    lines = lines_of(data_of(40))
    del lines[10]
    assert found(parse(lines)) == [(10, "chain-broken"), (11, "seq-gap")]
    assert found(parse(rechain(lines))) == [(11, "seq-gap")]


def test_a_second_header_is_a_bad_line() -> None:
    lines = lines_of(data_of(5))
    lines.insert(3, lines[0])
    assert (4, "bad-line") in found(parse(lines))


def test_swapped_and_doubled_lines() -> None:
    lines = lines_of(data_of(10))
    swapped = [*lines[:4], lines[5], lines[4], *lines[6:]]
    doubled = [*lines[:4], lines[4], lines[4], *lines[5:]]
    assert found(parse(swapped))[:2] == [(4, "chain-broken"), (5, "seq-gap")]
    assert found(parse(doubled)) == [(5, "chain-broken"), (6, "seq-gap")]


def edit(**changes: object) -> bytes:
    """A well-chained fourth line with some keys changed."""
    lines = lines_of(data_of(3))
    line = json.loads(lines[3]) | changes
    return json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode()


def test_unknown_event_and_newer_version_open_read_only() -> None:
    for changes in ({"type": "teleported"}, {"v": 99}, {"v": 0}):
        lines = rechain([*lines_of(data_of(3))[:3], edit(**changes), *lines_of(data_of(5))[4:]])
        read = parse(lines)
        assert found(read) == [(4, "unknown-event")], changes
        assert not read.writable
        assert [event.seq for event in read.events] == [1, 2, 4, 5]
        assert read.intact_through == 5, "its chain is whole"
        assert "Update privatelink-wizard" in read.problems[0].todo


def test_text_of_the_file_is_kept_to_the_detail() -> None:
    lines = [*lines_of(data_of(3))[:3], edit(type="\x1b[31mred")]
    (problem,) = parse(lines).problems
    assert "red" not in problem.what + problem.means + problem.todo
    assert "red" in problem.detail and "\x1b" not in problem.detail


def test_newer_format_is_shown_and_not_written() -> None:
    lines = lines_of(data_of(3))
    lines[0] = lines[0].replace(b"journal/1", b"journal/2")
    read = parse(rechain(lines))
    assert found(read) == [(1, "newer-format")]
    assert len(read.events) == 3
    with pytest.raises(Problem) as caught:
        parse([b'{"format":"privatelink-wizard.journal/12","shape":"unheard of"}'])
    assert caught.value.code == "newer-format"


def test_old_events_are_upcast(monkeypatch: pytest.MonkeyPatch) -> None:
    class ModeSet3(Data, frozen=True, kw_only=True):
        TYPE = "mode_set"
        VERSION = 3
        mode: str
        by: str

    monkeypatch.setitem(events.DATA_TYPES, "mode_set", ModeSet3)
    monkeypatch.delitem(journal._DATA, ("mode_set", 1))
    monkeypatch.setitem(journal._DATA, ("mode_set", 3), msgspec.json.Decoder(ModeSet3))
    lines = lines_of([ModeSet(mode="hybrid")])
    assert found(parse(lines)) == [(2, "unknown-event")], "nothing leads from version 1"
    monkeypatch.setitem(events.UPCASTS, ("mode_set", 1), lambda old: {"mode_name": old["mode"]})
    monkeypatch.setitem(events.UPCASTS, ("mode_set", 2), lambda old: {"mode": old["mode_name"], "by": "ada"})
    (event,) = parse(lines).events
    assert event.data == ModeSet3(mode="hybrid", by="ada")
    assert event.v == 3
    monkeypatch.setitem(events.UPCASTS, ("mode_set", 2), lambda old: {"mode": old["gone"]})
    assert found(parse(lines)) == [(2, "bad-line")]


def test_unknown_keys_of_a_known_version_are_ignored() -> None:
    line = edit(data={"probe": "exec", "since": [1, {"deep": None}]}, type="probe_consented")
    read = parse([*lines_of(data_of(3))[:3], line])
    assert read.problems == ()


# ---------------------------------------------------------------- hostile content

GOOD_DATA = b'{"field":"name","value":"x"}'


def event_line(data: bytes = GOOD_DATA, *, ts: bytes | None = None, seq: bytes = b"1", v: bytes = b"1") -> bytes:
    head = line_hash(lines_of([])[0]).encode()
    stamp = ts or ts_of(1).encode()
    return (
        b'{"seq":%s,"ts":"%s","actor":{"user":"a","host":"b","via":"run"},"type":"field_set","v":%s,"data":%s,"prev":"%s"}'
        % (seq, stamp, v, data, head)
    )


def test_event_line_of_these_tests_is_good() -> None:
    assert parse([*lines_of([]), event_line()]).problems == ()


BAD_LINES = {
    "empty line": b"",
    "raw NUL": event_line(b'{"field":"na\x00me","value":"x"}'),
    "raw control character": event_line(b'{"field":"na\x1bme","value":"x"}'),
    "not UTF-8": event_line(b'{"field":"na\xffme","value":"x"}'),
    "not UTF-8 in an unknown key": event_line(b'{"field":"name","value":"x","more":"\xff"}'),
    "overlong UTF-8": event_line(b'{"field":"na\xc0\xafme","value":"x"}'),
    "surrogate in UTF-8": event_line(b'{"field":"na\xed\xa0\x80me","value":"x"}'),
    "lone surrogate": event_line(b'{"field":"na\\ud800me","value":"x"}'),
    "deep nesting": event_line(b'{"field":"name","value":"x","more":' + b"[" * 90_000 + b"]" * 90_000 + b"}"),
    "deep objects": event_line(b'{"field":"name","value":' + b'{"a":' * 90_000 + b"1" + b"}" * 90_001),
    "longer than a line may be": event_line(b'{"field":"name","value":"' + b"x" * journal.MAX_LINE + b'"}'),
    "YAML tag": b"!!python/object/apply:os.system ['id']",
    "YAML tag as data": event_line(b"!!python/none"),
    "carriage return": event_line() + b"\r",
    "space in front": b" " + event_line(),
    "two objects": event_line() + event_line(),
    "array": b"[" + event_line() + b"]",
    "no data": event_line(b"null"),
    "field missing": event_line(b'{"value":"x"}'),
    "wrong type of a field": event_line(b'{"field":1,"value":"x"}'),
    "NaN": event_line(b'{"field":"name","value":NaN}'),
    "huge number": event_line(seq=b"9" * 5000),
    "number beyond 64 bits": event_line(seq=b"9" * 30),
    "version beyond 64 bits": event_line(v=b"9" * 30),
    "negative number": event_line(seq=b"-1"),
    "fraction as number": event_line(seq=b"1.5"),
    "time without zone": event_line(ts=b"2026-01-05T08:01:00.000000"),
    "time of another zone": event_line(ts=b"2026-01-05T08:01:00.000000+01:00"),
    "time without microseconds": event_line(ts=b"2026-01-05T08:01:00Z"),
    "no such day": event_line(ts=b"2026-02-30T08:01:00.000000Z"),
    "week date": event_line(ts=b"2026-W01-1T08:01:00.000000Z"),
    "other digits": event_line(ts="２026-01-05T08:01:00.000000Z".encode()),
}


@pytest.mark.parametrize("name", BAD_LINES)
def test_hostile_line_is_a_problem_and_nothing_else(name: str) -> None:
    read = parse([*lines_of([]), BAD_LINES[name]])
    assert found(read) == [(2, "bad-line")]
    assert (read.events, read.intact_through, read.writable) == ((), 0, False)
    assert len(read.problems[0].what) < 200


def test_strange_but_whole_text_is_kept_as_it_is() -> None:
    """Cleaning is for where it is drawn; the record keeps what was there."""
    for value in ("\u202egnirts\u2066", "a\\u0000b\x00", "\ufeff", "\U0001f9ff", "!!python/none", "\x1b]0;title\x07"):
        read = parse(lines_of([FieldSet(field="name", value=value)]))
        assert read.problems == ()
        assert read.events[0].data == FieldSet(field="name", value=value)


def test_of_doubled_keys_the_last_counts_as_in_jq() -> None:
    read = parse([*lines_of([]), event_line(b'{"field":"a","value":"x","field":"b"}')])
    assert read.events[0].data == FieldSet(field="b", value="x")


def test_many_bad_lines_end_the_reading_and_that_is_said() -> None:
    lines = [*lines_of([]), *[b"rubbish"] * 5000]
    read = parse(lines)
    *told, last = read.problems
    assert len(told) == journal.MAX_PROBLEMS
    assert (last.line, last.code) == (journal.MAX_PROBLEMS + 2, "bad-line")
    assert f"{5000 - journal.MAX_PROBLEMS} lines are not shown" in last.what
    assert read.head == journal.line_hash(lines[-1])
    assert read.hashes == tuple(journal.line_hash(line) for line in lines[: journal.MAX_PROBLEMS + 1])


def test_however_much_is_newer_what_follows_is_read_and_its_chain_verified() -> None:
    """A version that we do not know wrote 300 lines; ours went on, and somebody changed one of those."""
    data = [FieldSet(field="name", value=str(number)) for number in range(305)]
    lines = lines_of(data)
    lines[1:301] = [line.replace(b'"type":"field_set"', b'"type":"from_the_future"') for line in lines[1:301]]
    lines = rechain(lines)
    read = parse(lines)
    assert [event.data for event in read.events] == data[300:]
    assert {problem.code for problem in read.problems} == {"unknown-event"}
    assert len(read.problems) == journal.MAX_PROBLEMS + 1
    assert "200 more lines" in read.problems[-1].what
    assert read.intact_through == 305

    lines[303] = lines[303].replace(b'"302"', b'"forged"')
    read = parse(lines)
    assert (304, "chain-broken") in found(read)
    assert read.intact_through == 302


NO_JOURNALS: dict[str, bytes] = {
    "empty": b"",
    "one newline": b"\n",
    "no whole line": lines_of([])[0],
    "binary": bytes(range(256)) * 16 + b"\n",
    "one long line": b"x" * 1_100_000 + b"\n",
    "one long line without end": b"x" * 1_100_000,
    "YAML": b"format: privatelink-wizard.journal/1\nname: demo\n",
    "YAML tag": b"!!python/object/apply:os.system ['id']\n",
    "JSON array": b"[]\n",
    "JSON of another kind": b'{"version": 4, "serial": 1}\n',
    "another format": b'{"format":"other/1"}\n',
    "format of no number": b'{"format":"privatelink-wizard.journal/one"}\n',
    "format of a huge number": b'{"format":"privatelink-wizard.journal/' + b"9" * 9000 + b'"}\n',
    "deep": b'{"format":' + b"[" * 300_000 + b"\n",
    "header lacks a name": b'{"seq":0,"format":"privatelink-wizard.journal/1"}\n',
    "UTF-16": lines_of([])[0].decode().encode("utf-16") + b"\n",
    "byte order mark": b"\xef\xbb\xbf" + lines_of([])[0] + b"\n",
    "name that is a path": lines_of([])[0].replace(b'"demo"', b'"../demo"') + b"\n",
    "header of number 1": lines_of([])[0].replace(b'"seq":0', b'"seq":1') + b"\n",
}


@pytest.mark.parametrize("name", NO_JOURNALS)
def test_what_is_no_journal_is_said_so(name: str, tmp_path: Path) -> None:
    path = tmp_path / "file.jsonl"
    path.write_bytes(NO_JOURNALS[name])
    with pytest.raises(Problem) as caught:
        journal.read(path)
    assert caught.value.code == "not-a-journal"
    assert caught.value.exit_code == 2
    assert caught.value.what and caught.value.todo


@settings(max_examples=300)
@given(st.binary(max_size=200), st.integers(0, 10_000), st.integers(0, 200))
def test_no_content_makes_the_reader_fall_over(noise: bytes, at: int, cut: int) -> None:
    whole = content_of(lines_of(data_of(6)))
    at %= len(whole)
    try:
        read = journal.parse(Path("demo.jsonl"), whole[:at] + noise + whole[at + cut :])
    except Problem:
        return
    assert read.size <= len(whole) + len(noise)


def make_link(path: Path) -> None:
    target = make_journal(path.with_name("target.jsonl"), 2)
    path.symlink_to(target)


NO_FILES: dict[str, Callable[[Path], object]] = {
    "link": make_link,
    "dangling link": lambda path: path.symlink_to("nowhere"),
    "directory": Path.mkdir,
    "pipe": os.mkfifo,
}


@pytest.mark.parametrize("kind", NO_FILES)
def test_only_regular_files_are_opened(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "file.jsonl"
    NO_FILES[kind](path)
    for flags in (os.O_RDONLY, os.O_RDWR):
        with pytest.raises(Problem) as caught:
            journal.open_file(path, flags)
        assert caught.value.code == "not-a-file"


def test_devices_missing_files_and_impossible_paths(tmp_path: Path) -> None:
    for path, code in (
        (Path("/dev/zero"), "not-a-file"),
        (tmp_path / "none.jsonl", "no-such-file"),
        (tmp_path / "nul\0.jsonl", "not-a-file"),
        (tmp_path / ("x" * 300), "not-readable"),
        (make_journal(tmp_path / "demo.jsonl", 1) / "below", "not-readable"),
    ):
        with pytest.raises(Problem) as caught:
            journal.read(path)
        assert caught.value.code == code, path


def test_an_enormous_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.jsonl"
    path.touch()
    os.truncate(path, journal.MAX_BYTES + 1)
    with pytest.raises(Problem) as caught:
        journal.read(path)
    assert caught.value.code == "too-big"


def test_cut_at_every_byte_of_the_last_three_lines(tmp_path: Path) -> None:
    lines = lines_of(data_of(30))
    whole = content_of(lines)
    for end in range(len(content_of(lines[:-3])), len(whole)):
        read = journal.parse(tmp_path, whole[:end])
        complete = whole[:end].count(b"\n") - 1
        assert read.problems == ()
        assert len(read.events) == complete
        assert read.torn == (whole[:end].split(b"\n")[-1] or None)
        assert read.size + len(read.torn or b"") == end
        assert read.head == line_hash(lines[complete])


def test_a_hundred_thousand_events(big_journal: Path) -> None:
    read = journal.read(big_journal)
    assert (len(read.events), read.problems, read.intact_through) == (100_000, (), 100_000)
    assert read.events[-1].data == list(data_of(100_000))[-1]


def test_a_journal_is_a_value() -> None:
    read = parse(lines_of(data_of(3)))
    assert replace(read) == read
    with pytest.raises(AttributeError):
        read.head = ""  # type: ignore[misc]
