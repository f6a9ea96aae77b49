"""The eight steps by keyboard alone, on a real terminal. Each key follows a condition on what is drawn."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Protocol

from screens.dialogs import SEEN_SECONDS


class Terminal(Protocol):
    """What a walk needs: a real terminal, or the app's own driver."""

    def send(self, *keys: str) -> None: ...

    def screen(self) -> str: ...

    def wait(self, condition: str | Callable[[str], object], *, patience: float = 60.0) -> str: ...


PLACES = {
    2: ("Subscription ID",),
    3: ("Link service alias", "Resource group", "VNet", "Subnet", "Endpoint name"),
    5: ("DPM host", "MinIO host"),
}
"""The steps that are about an item, each with the fields to fill in."""
DONE_FOR_ME = {3: ("Private IP",), 5: ("VNet of the DPE", "DNS server to ask")}
"""The steps that Azure is asked to do, each with its last fields: they may stay as they are."""
OBSERVED = "This step is observed. Next step: goes on."
SEVEN = (
    "Registry", "Registry user", "Registry token", "Chart", "Chart version", "Release", "Namespace", "Values file",
)  # fmt: skip


def fill(terminal: Terminal, labels: tuple[str, ...]) -> None:
    """Takes what is offered for each field: right arrow, Enter."""
    for label in labels:
        # What Azure knows comes a moment later.
        terminal.wait(lambda shown, label=label: _focused(shown, label) and "right arrow" in shown)  # type: ignore[misc]
        terminal.send("Right")
        while "token" not in label:
            # A Resource ID's beginning may be offered before Azure's answer has its end: then there is more to take.
            shown = terminal.wait(lambda shown, label=label: _taken(shown, label) or "right arrow adds it" in shown)  # type: ignore[misc]
            if _taken(shown, label):
                break
            terminal.send("Right")
        terminal.send("Enter")
        terminal.wait(
            lambda shown, label=label: re.search(rf"(?m)^[▌▕ ].*{label} .*(ok|in memory|from Azure)[\s▁-█]*$", shown)  # type: ignore[misc]
        )


def _taken(shown: str, label: str) -> object:
    return re.search(rf"▌. {label} .*(ok|from Azure)", shown)


def in_a_field(shown: str) -> object:
    """Whether a field has the focus."""
    return re.search("▌[·✓…✗] ", shown)


def _focused(shown: str, label: str) -> object:
    return re.search(rf"▌[·✓…✗!] {label}\s", shown)


def walk_to(terminal: Terminal, last: int) -> None:
    """Takes the steps from 1 to `last`, each as a newcomer would."""
    fill(terminal, ("Environment name",))
    confirm(terminal, 1)
    for number in range(2, last + 1):
        enter(terminal, number)
        take(terminal, number)


def enter(terminal: Terminal, number: int) -> None:
    """Goes on to a step, and adds the item that it is about."""
    terminal.send("C-n")
    if number in PLACES:
        terminal.wait("[ Add a ")
        terminal.send("Enter")
        terminal.wait("It is only what this setup calls it")
        terminal.send("Enter")


def take(terminal: Terminal, number: int) -> None:
    """Takes the step that is shown to its end."""
    if number in PLACES:
        fill(terminal, PLACES[number])
    if number in DONE_FOR_ME:
        done_for_me(terminal, *DONE_FOR_ME[number])
    elif number in (2, 4, 6):
        confirm(terminal, number)
    elif number == 7:
        fill(terminal, SEVEN)
    elif number == 8:
        proven(terminal)


def confirm(terminal: Terminal, number: int) -> None:
    """Confirms a step's exact words."""
    # The line is there before the field is left; an Enter that comes then goes on to the second choice.
    terminal.wait(lambda shown: "writes the words above with your name" in shown and not in_a_field(shown))
    terminal.send("Enter")
    terminal.wait("This step is attested. Next step: goes on.")


def deploy(terminal: Terminal) -> None:
    """Step 7: plan, yes, and the release is observed."""
    done_for_me(terminal, "Timeout")


def done_for_me(terminal: Terminal, *left: str) -> None:
    """Plan, yes, and what was done is observed. The fields `left` stay as they are."""
    planned(terminal, *left)
    start(terminal)
    shown = terminal.wait(OBSERVED)
    assert "usually" in shown, "how long it took stands beside what is typical"


def planned(terminal: Terminal, *left: str) -> str:
    """Over the last fields, which stay as they are, to the plan, which is shown before anything changes."""
    terminal.wait("reads what is there, shows the plan")
    # From the last field Enter leads to the first choice.
    for label in left:
        terminal.wait(lambda shown, label=label: _focused(shown, label))  # type: ignore[misc]
        terminal.send("Enter")
        terminal.wait(lambda shown, label=label: not _focused(shown, label))  # type: ignore[misc]
    terminal.send("Enter")
    return terminal.wait("[ Start ]")


def start(terminal: Terminal, yes: str = "Start") -> None:
    """Says yes to the plan, once: a second Enter would be the answer to what is shown after it."""
    terminal.wait(f"[ {yes} ]")
    time.sleep(SEEN_SECONDS + 0.2)  # a key that comes before it can have been read is no answer
    terminal.send("Enter")
    terminal.wait(lambda shown: f"[ {yes} ]" not in shown)


def whole_job(terminal: Terminal) -> None:
    """All eight steps, from a new rehearsal to the last one."""
    walk_to(terminal, 7)
    deploy(terminal)
    shown = terminal.screen()
    assert "stale" not in shown and "!5" not in shown, "what was entered for a later step takes nothing back"
    terminal.send("C-n")
    proven(terminal)


def proven(terminal: Terminal) -> None:
    """Step 8, on proof: the look from inside the cluster, which is asked for once."""
    terminal.wait("[ Look inside ]")
    look_inside(terminal)
    terminal.wait("writes the words above with your name")
    terminal.send("Enter")
    terminal.wait("8 of 8")


def look_inside(terminal: Terminal) -> None:
    """Chooses the look from inside the cluster, and allows it in a running pod."""
    while "Look inside: " not in terminal.screen():
        shown = terminal.screen()
        terminal.send("Right")
        terminal.wait(lambda now, shown=shown: now != shown)  # type: ignore[misc]
    terminal.send("Enter")
    terminal.wait("Look from inside the cluster?")
    terminal.send("Enter")
    terminal.wait(lambda shown: "Look from inside the cluster?" not in shown)
