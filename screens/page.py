"""The base of every screen: breakpoints, keys that work everywhere, and the hardware cursor."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.events import DescendantFocus, Resize
from textual.geometry import Offset
from textual.screen import ModalScreen, Screen
from textual.widget import Widget
from textual.widgets import Input, OptionList

from screens.attached import Attached
from screens.chrome import TALL, WIDE
from wizard.text import clean

if TYPE_CHECKING:
    from screens.app import WizardApp

HORIZONTAL = [(0, "-narrow"), (WIDE, "-wide")]
VERTICAL = [(0, "-short"), (TALL, "-tall")]


def point_at(widget: Widget | None) -> None:
    """Puts the terminal's own cursor on what is focused: screen readers and Braille displays follow it."""
    if widget is None or isinstance(widget, Input) or not widget.is_attached:
        return  # an Input moves it to its own cursor
    offset = widget.region.offset
    if isinstance(widget, OptionList) and widget.highlighted is not None:
        line = widget._index_to_line.get(widget.highlighted, 0) - widget.scroll_offset.y
        offset = widget.content_region.offset + Offset(0, max(0, line))
    widget.app.cursor_position = offset


class _Common(Attached):
    """What pages and sheets share."""

    @property
    def wizard(self) -> WizardApp:
        """The app, as what it is."""
        from screens.app import WizardApp

        found = cast("Widget", self).app
        assert isinstance(found, WizardApp)  # noqa: S101 - these screens are never shown by another
        return found

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """No key acts on a screen that is not drawn yet: what leaves before it has come ends the app."""
        return cast("Widget", self).is_mounted

    def keep_typed(self) -> None:
        """The page is about to be left for good: what is being typed into it is finished."""

    def list_changed(self) -> None:
        """There is more of a list that is read in the background: show it."""

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        """The hardware cursor follows the focus."""
        screen = cast("Screen[object]", self)
        screen.call_after_refresh(lambda: point_at(screen.focused))

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """And the highlighted row of a list."""
        cast("Widget", self).call_after_refresh(point_at, event.option_list)


class Page(_Common, Screen[None]):
    """A screen of the wizard. `KEYS` are the hints of its key line, `HELP` what f1 shows first."""

    HORIZONTAL_BREAKPOINTS = HORIZONTAL
    VERTICAL_BREAKPOINTS = VERTICAL
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "back", show=False),
        Binding("ctrl+y", "copy", "copy", show=False),
        Binding("pageup", "scroll_body(-1)", "up", show=False),
        Binding("pagedown", "scroll_body(1)", "down", show=False),
    ]
    KEYS: ClassVar[tuple[tuple[str, str], ...]] = ()
    HELP: ClassVar[str] = ""
    READ_ONLY: ClassVar[bool] = False
    """While such a page is open, nothing is written, locked, started or connected to from any page over it."""

    @property
    def tall(self) -> bool:
        """Whether there is room for what a short screen leaves out."""
        return self.app.size.height >= TALL

    @property
    def wide(self) -> bool:
        """Whether the step list stands beside the body."""
        return self.app.size.width >= WIDE

    def setup_changed(self) -> None:
        """The open setup has changed, or what runs in it: show what is so now."""

    def copyable(self) -> str:
        """What ^y copies here; empty when there is nothing."""
        return ""

    def action_copy(self) -> None:
        """Copies what is focused or shown; always shows the text too."""
        text = self.copyable()
        if text:
            self.wizard.copy(clean(text, keep_newlines=True, limit=100_000))

    def action_scroll_body(self, by: int) -> None:
        """Scrolls what does not fit."""
        for scroll in self.query("#scroll"):
            scroll.scroll_relative(y=by * max(1, scroll.size.height - 2), animate=False)

    def action_back(self) -> None:
        """Goes back to where one came from."""
        self.wizard.back()

    def commands(self) -> list[tuple[str, str, str]]:
        """What the palette offers here beyond the keys: (title, what it does, action)."""
        return []

    def on_resize(self, event: Resize) -> None:
        """Lines are built for their width; heights that depend on the screen's are built again."""
        self.call_after_refresh(self.setup_changed)


class Sheet(_Common, ModalScreen[object]):
    """A dialog: a sheet from the bottom over a page that stays visible. Escape leaves it with None."""

    HORIZONTAL_BREAKPOINTS = HORIZONTAL
    VERTICAL_BREAKPOINTS = VERTICAL
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "back", show=False),
        Binding("pageup", "scroll_sheet(-1)", "up", show=False),
        Binding("pagedown", "scroll_sheet(1)", "down", show=False),
    ]
    _answered = False

    def action_scroll_sheet(self, by: int) -> None:
        """Scrolls a body that does not fit."""
        for scroll in self.query("#sheet > VerticalScroll"):
            scroll.scroll_relative(y=by * max(1, scroll.size.height - 1), animate=False)

    def dismiss(self, result: object = None) -> AwaitComplete:
        """Closes once, and only itself: a second key may be on its way, or another screen may lie over it."""
        if self._answered or not self.is_active:
            return AwaitComplete()
        self._answered = True
        return super().dismiss(result)

    def action_leave(self) -> None:
        """Closes without an answer."""
        self.dismiss(None)
