"""The list that every page uses: the row one stands on is seen without colours too."""

from __future__ import annotations

from textual.style import Style
from textual.widgets import OptionList


class MarkedList(OptionList):
    """An OptionList whose current row is reverse where the style sheet says so."""

    def get_visual_style(self, *component_classes: str, partial: bool = False) -> Style:
        """Textual leaves out `reverse` (8.2.8), which alone tells the row one stands on where there are no colours."""
        style = super().get_visual_style(*component_classes, partial=partial)
        reverse = any(self.get_component_styles(name).text_style.reverse for name in component_classes)
        return style + Style(reverse=True) if reverse else style
