"""Fields that take nearly any text: the environment's name and the path of the values file."""

from __future__ import annotations

import re

from wizard.identifiers.forgive import unwrap
from wizard.identifiers.result import Known, Parsed, accept, empty, incomplete, part, wrong
from wizard.text import visible


def parse_environment_name(text: str, known: Known) -> Parsed:
    """What the vendor's portal calls the environment: 1 to 64 characters on one line."""
    given = unwrap(" ".join(visible(text).split()))
    if not given:
        return empty("enter the environment's name as the vendor's portal shows it")
    if len(given) > 64:
        return wrong(
            f"an environment's name has at most 64 characters; this has {len(given)}", part("name", given, "bad")
        )
    return accept(given, part("name", given, "ok"))


def parse_values_path(text: str, known: Known) -> Parsed:
    """Where the values file is, as text: nothing is opened. Quotes and a shell's `\\ ` are undone, `~` is kept."""
    given = re.sub(r"\\([ ()&'\"])", r"\1", unwrap(text))
    if not given:
        return empty("enter the path of the values file that you downloaded")
    bad = part("path", given, "bad")
    if "\n" in given or "\r" in given:
        return wrong("these are several lines: enter one path", bad)
    if visible(given) != given:
        return wrong("there is a character in this path that cannot be seen. Type the path", bad)
    if "://" in given:
        return wrong("this is an address. Download the file, then enter where you saved it", bad)
    if re.match(r"[A-Za-z]:[\\/]|\\\\", given):
        return wrong("this is a Windows path. In WSL it begins with /mnt/c/", bad)
    if given == "-":
        return wrong("standard input is not read here. Save the file and enter its path", bad)
    if given.endswith("/"):
        return incomplete(part("path", given, "missing"), next="add the name of the file: this is a directory")
    note = "" if given.lower().endswith((".yml", ".yaml")) else "the portal's file is called values.yml"
    return accept(given, part("path", given, "ok"), note=note)
