"""Makes the README's picture and recording from the real program: `make pictures`.

docs/step-3.svg     step 3 of a rehearsal, half filled in
docs/rehearsal.txt  the eight steps by keyboard, screen by screen
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.conftest import HELM_4
from tests.end_to_end.harness import Machine
from tests.end_to_end.piloted import Piloted
from tests.end_to_end.walking import deploy, proven, walk_to
from tests.screens.harness import LARGE, SMALL, shown
from wizard import opening
from wizard.places import places
from wizard.rehearsal import Serving
from wizard.sandbox.info import parse

DOCS = Path(__file__).parent.parent / "docs"


class Recorder(Piloted):
    """Keeps what was on the screen before each key that matters, with the keys that were pressed for it."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self.frames: list[str] = []
        self.keys: list[str] = []

    def send(self, *keys: str) -> None:
        """Presses keys, and notes them."""
        self.keys += keys
        if keys == ("Enter",):
            self.keep()
        super().send(*keys)

    def keep(self) -> None:
        """Notes what is drawn, once."""
        shown_now = "\n".join(line.rstrip() for line in self.screen().split("\n")).rstrip()
        if not self.frames or not self.frames[-1].endswith(shown_now):
            pressed, self.keys = " ".join(self.keys), []
            self.frames.append(f"keys: {pressed or '-'}\n\n{shown_now}")


async def rehearsal(machine: Machine) -> None:
    """The whole job at 80×24, as text."""
    with machine.sandbox(reset=True) as told:
        start = opening.Rehearsal(Serving(parse(json.dumps(told)), ExitStack()), reset=True)
        async with shown(places(str(machine.state_dir)), start, size=SMALL) as (app, pilot):
            recorder = Recorder(app, pilot)

            def walk() -> None:
                walk_to(recorder, 7)
                deploy(recorder)
                recorder.keep()
                recorder.send("C-n")
                proven(recorder)
                recorder.keep()

            await asyncio.to_thread(walk)
        rule = "\n" + "=" * 80 + "\n"
        home = str(machine.home)
        # Where things lie on the machine that drew it is nobody's business.
        text = rule.join(recorder.frames).replace(home, "~").replace(str(HELM_4), "helm")
        title = "A rehearsal in the sandbox, by keyboard at 80x24 (`make sandbox`), screen by screen."
        (DOCS / "rehearsal.txt").write_text(f"{title}\n{rule}{text}\n")


async def picture(machine: Machine) -> None:
    """Step 3 at 120×40, while an alias is being typed."""
    with machine.sandbox(reset=True) as told:
        start = opening.Rehearsal(Serving(parse(json.dumps(told)), ExitStack()), reset=True)
        async with shown(places(str(machine.state_dir / "picture")), start, size=LARGE) as (app, pilot):
            piloted = Piloted(app, pilot)

            def walk() -> None:
                walk_to(piloted, 2)
                piloted.send("C-n")
                piloted.wait("[ Add a ")
                piloted.send("Enter")
                piloted.wait("It is only what this setup calls it")
                piloted.send("Enter")
                piloted.wait("Link service alias")
                piloted.paste(told["alias"].removesuffix("atelinkservice"))
                piloted.wait("right arrow adds it")

            await asyncio.to_thread(walk)
            drawn = app.export_screenshot(title="PrivateLink Wizard")
    # No font is fetched from anywhere: the reader's own monospace font will do.
    drawn = re.sub(r"@font-face \{.*?\}", "", drawn, flags=re.DOTALL).replace("Fira Code", "ui-monospace, monospace")
    (DOCS / "step-3.svg").write_text(drawn)


def main() -> None:
    """Makes both."""
    DOCS.mkdir(exist_ok=True)
    os.environ.pop("NO_COLOR", None)
    os.environ["PRIVATELINK_THEME"] = "dark"
    with tempfile.TemporaryDirectory(prefix="plw-") as home:
        machine = Machine(Path(home), HELM_4)
        os.environ.update(machine.env())
        asyncio.run(rehearsal(machine))
        asyncio.run(picture(machine))


if __name__ == "__main__":
    main()
