from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wizard.text import clean, one_line, shorten, visible

HOSTILE = st.lists(
    st.one_of(
        st.text(max_size=8),
        st.sampled_from(
            ["\x1b[31m", "\x1b]0;x\x07", "\x1b", "\x9b", "\u202e", "\u2066", "\r\n", "\t", "\ud800", "\x1bP", "\x1b\\"]
        ),
        st.characters(min_codepoint=0, max_codepoint=0x9F),
    )
).map("".join)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b1;31mred", "red"),
        ("a\x1b]0;title\x07b", "ab"),
        ("a\x1b]52;c;aGk=\x1b\\b", "ab"),
        ("a\x1bP1$rpayload\x1b\\b", "ab"),
        ("a\x9dtitle\x9cb", "ab"),
        ("a\x1b(Bb\x1bcd", "abd"),
        ("user\u202egpj.exe", "usergpj.exe"),
        ("pay\u200bpal\ufeff\u2060", "paypal"),
        ("a\u2028b\u2029c\x85d", "a b c d"),
        ("a\tb\r\nc\rd", "a b c d"),
        ("nul\0", "nul"),
        ("lone\ud800", "lone"),
        ("private\ue000", "private"),
        ("tag\U000e0041", "tag"),
    ],
)
def test_takes_out_what_must_not_be_drawn(text: str, expected: str) -> None:
    assert clean(text) == expected


def test_an_unterminated_control_string_hides_nothing() -> None:
    assert clean("a\x1b]0;this stays visible\nand this") == "a0;this stays visible and this"


@pytest.mark.parametrize(
    "text", ["Zürich, naïve café", "日本語のテキスト", "Ελλάδα", "русский", "e\u0301", "1 < 2 [/x] $", "…✓"]
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert clean(text) == text


def test_keeps_line_ends_when_asked() -> None:
    assert clean("a\r\nb\rc\n", keep_newlines=True) == "a\nb\nc\n"


def test_a_cut_says_how_much_is_missing() -> None:
    text = clean("x" * 5000, limit=100)
    assert len(text) == 100
    kept = text.count("x")
    assert text.endswith(f"… ({5000 - kept:,} more)")


@pytest.mark.parametrize("limit", [0, 1, 5, 12])
def test_a_small_limit_is_kept(limit: int) -> None:
    assert len(clean("x" * 5000, limit=limit)) <= limit


@given(st.integers(0, 3000), st.integers(20, 300))
def test_the_number_in_the_mark_is_right(length: int, limit: int) -> None:
    text = shorten("x" * length, limit)
    assert len(text) <= limit
    if length > limit:
        number = int(text.split("(")[1].split(" ")[0].replace(",", ""))
        assert number + text.count("x") == length


def test_one_line_folds_blanks() -> None:
    assert one_line("  a\n\n b\t c\u00a0 ") == "a b c"


@given(HOSTILE, st.booleans(), st.integers(0, 100))
def test_nothing_dangerous_comes_through(text: str, keep: bool, limit: int) -> None:
    for result in (clean(text, keep_newlines=keep, limit=limit), one_line(text, limit=limit)):
        assert len(result) <= limit
        for char in result:
            assert unicodedata.category(char) not in ("Cc", "Cs", "Co", "Zl", "Zp") or (keep and char == "\n")
            assert unicodedata.bidirectional(char) not in (
                "LRE",
                "RLE",
                "LRO",
                "RLO",
                "PDF",
                "LRI",
                "RLI",
                "FSI",
                "PDI",
            )


@given(HOSTILE, st.booleans(), st.integers(0, 100))
def test_cleaning_twice_changes_nothing(text: str, keep: bool, limit: int) -> None:
    once = clean(text, keep_newlines=keep, limit=limit)
    assert clean(once, keep_newlines=keep, limit=limit) == once
    line = one_line(text, limit=limit)
    assert one_line(line, limit=limit) == line
    assert visible(visible(text)) == visible(text)


@pytest.mark.slow
@pytest.mark.parametrize(
    "piece", ["\x1b]", "\x1b[", "\x1b[1;", "\x1bP\x1b]", "\x9d", "\u202e\n", "\x1b[0m", "x\x1b[0m"]
)
def test_ten_megabytes_are_done_in_one_pass(piece: str) -> None:
    """A quadratic rule would not end within the life of this suite."""
    text = piece * (10_000_000 // len(piece))
    assert "\x1b" not in clean(text)
