"""Lines are measured in cells: a name in Chinese or Japanese takes two for a character, and is never cut off."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from screens.grid import folded, pieces, remarks, shortened, wrapped

WIDE = "データ処理エンジンの登録が拒否されました"
MIXED = f"the registry registry.example.com refused 王小明 of {WIDE}, see /subscriptions/x/resourceGroups/{WIDE}"
TEXTS = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "Zs")), max_size=80)
WIDTHS = st.integers(12, 60)


@given(text=TEXTS, width=WIDTHS)
def test_no_line_is_wider_than_it_may_be(text: str, width: int):
    for line in (*pieces(text, width), *folded(text, width), shortened(text, width)):
        assert cell_len(line) <= width, line
    for content in (*wrapped(text, width), *remarks(width, [("ok", text), ("", text)])):
        assert content.cell_length <= width


@pytest.mark.parametrize("width", [10, 17, 40, 79])
@pytest.mark.parametrize("text", [WIDE, MIXED])
def test_nothing_is_lost(text: str, width: int):
    solid = "".join(text.split())
    assert "".join("".join(pieces(text, width)).split()) == solid
    assert "".join("".join(folded(text, width)).split()) == solid


def test_a_resource_id_keeps_its_name():
    text = "/subscriptions/8d2f41c7-5b1e-4f0a-9a77-0c1d2e3f4a5b/resourceGroups/rg/providers/Microsoft.Network/x/名前"
    assert shortened(text, 40).endswith("/名前")
    assert shortened(text, 40).startswith("/…8d2f41c7…/rg/")


def test_a_long_value_shows_both_its_ends():
    found = shortened(WIDE, 21)
    assert found.startswith("データ処理")
    assert found.endswith("されました")
    assert "…" in found
