"""YAML from people: nothing is executed, expanded or guessed."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.problem import Problem
from wizard.safe_yaml import MAX_BYTES, MAX_DEPTH, load_text, load_typed

BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join(['*' + old] * 10)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


def test_text_stays_as_it_was_typed():
    assert load_text(b"version: 16.10\nno: no\nempty:\nhex: 0x10\ndate: 2026-01-05\nlist: [1, yes, ~]\n", "file") == {
        "version": "16.10",
        "no": "no",
        "empty": "",
        "hex": "0x10",
        "date": "2026-01-05",
        "list": ["1", "yes", ""],
    }


def test_typed_has_numbers_and_booleans():
    assert load_typed(b"a: 1\nb: true\nc: null\nd: 1.5\n", "file") == {"a": 1, "b": True, "c": None, "d": 1.5}


def test_nothing_is_none_and_a_byte_order_mark_is_no_text():
    assert load_text(b"", "file") is None
    assert load_typed(b"# only a comment\n", "file") is None
    assert load_text(b"\xef\xbb\xbfa: 1\n", "file") == {"a": "1"}


def test_aliases_that_stay_small_are_followed():
    assert load_typed(b"base: &b {x: 1}\nother: *b\nmerged: {<<: *b, y: 2}\n", "file")["other"] == {"x": 1}


@pytest.mark.parametrize("load", [load_text, load_typed])
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a: !!python/object/apply:os.system [id]\n", "is not allowed"),
        (b"a: !!python/name:os.system\n", "is not allowed"),
        (b"a: !secret x\n", "is not allowed"),
        (BOMB.encode(), "aliases expand"),
        (b"a: &a [*a]\n", "contains itself"),
        (b"a: 1\nb: 2\na: 3\n", "line 3, column 1: the key a stands twice"),
        (b"? [a, b]\n: 1\n", "a key must be plain text"),
        (b"a: [1, 2\n", "line 2"),
        (b"\tx: 1\n", "line 1"),
        (b"a: 1\n---\nb: 2\n", "single document"),
        (b"a: \xff\n", "byte 3 is not UTF-8"),
        (b"a: \x00\n", "can't be read"),
        (b"a: *nowhere\n", "undefined alias"),
        (b"x: " + b"[" * (MAX_DEPTH + 2) + b"]" * (MAX_DEPTH + 2), "nested deeper"),
        (b"a: " + b"x" * MAX_BYTES, "larger than 1 MB"),
    ],
    ids=itertools.count(),
)
def test_what_is_not_plain_is_named_with_its_place(load, content: bytes, says: str):
    with pytest.raises(Problem) as caught:
        load(content, "answers file a.yml")
    assert caught.value.code == "bad-yaml"
    assert says in caught.value.what
    assert caught.value.what.startswith("The answers file a.yml can't be read")
    assert caught.value.what.isprintable()


def test_nesting_without_end_is_refused_not_followed():
    with pytest.raises(Problem) as caught:
        load_text(b"- " * 100_000, "file")
    assert "nested deeper" in caught.value.what


@pytest.mark.parametrize("content", [b"a: 2026-99-99\n", b"a: !!int x\n", b"a: !!binary '%%%'\n"])
def test_a_value_that_is_not_what_it_claims_is_a_problem_or_text(content: bytes):
    try:
        assert isinstance(load_typed(content, "file"), dict)
    except Problem as problem:
        assert problem.code == "bad-yaml"


@settings(max_examples=200)
@given(st.one_of(st.binary(max_size=60), st.text(alphabet="a:&*!<>{}[]- \n\t\"'|?#1.~", max_size=40).map(str.encode)))
def test_whatever_comes_in_is_data_or_a_problem(content: bytes):
    for load in (load_text, load_typed):
        try:
            load(content, "file")
        except Problem as problem:
            assert problem.code == "bad-yaml"
