"""What is to run after the next drawing runs only while the widget that asked for it is still there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textual.widget import Widget as _Base
else:
    _Base = object  # a base that is a widget would hide what the other base says of focus


class Attached(_Base):
    """For whatever calls `call_after_refresh`.

    Textual hands such a call to the screen that is shown by then (`MessagePump._on_invoke_later`), which runs it even
    when the widget that asked was taken away meanwhile and finds its own children no more. What `call_later` calls is
    no danger: it runs in the widget's own turn, and its children leave after that.
    """

    def call_after_refresh(self, callback: Any, *args: Any, **kwargs: Any) -> bool:
        """As in Textual; nothing happens once the widget is being taken away."""

        return super().call_after_refresh(self._unless_gone, callback, *args, **kwargs)

    def _unless_gone(self, callback: Any, *args: Any, **kwargs: Any) -> Any:
        return callback(*args, **kwargs) if self.is_attached and not self._pruning else None
