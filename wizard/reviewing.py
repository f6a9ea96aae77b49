"""`review NAME|FILE`: the command around the report (wizard/review.py). Reads a journal, and nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from state.clock import now
from state.journal import NEWER
from state.problem import EXIT_BAD, EXIT_OK, EXIT_USAGE, Problem
from wizard.files import expanded, read_file
from wizard.guide import Guide
from wizard.guides import guide as find_guide
from wizard.output import data, data_document, data_line, document_text, glyph, say, say_line, say_problem
from wizard.review import FORMAT, cut, differences, report, unexpected_head
from wizard.text import one_line

if TYPE_CHECKING:
    from state.journal import Journal
    from wizard.live import LookAgain
    from wizard.places import Places
    from wizard.statements import Reviewed


def review(
    places: Places,
    target: str,
    *,
    as_of: str | None,
    expect: str | None,
    verify: str | None,
    output: str | None,
    out: str | None,
    live: Mapping[str, str] | None = None,
) -> int:
    """`review NAME|FILE`: reads a journal and nothing else; writes nothing but the report asked for.

    `live`: looks again as well, with readers only, where this says (`doctor`'s options; empty: this machine's own).
    """
    if verify is not None and (as_of or output or out):
        raise Problem(
            "verify-alone",
            "--verify goes with neither --as-of nor -o nor --out.",
            means="A report is compared with what the journal said at the head and the time that the report names.",
            todo="Leave the others out.",
        )
    journal = _journal(places, target)
    code = _code_of(journal)
    moment = _time(journal, as_of)
    if expect is not None:
        code = _expect(journal, expect, moment, code)
    guide = _guide(journal)
    if guide is None and code == EXIT_OK:
        code = EXIT_USAGE
    if verify is not None:
        return _verify(journal, guide, expanded(verify), code)
    document = report(journal, guide, as_of=moment, now=now())
    if live is not None:
        again = _again(target, journal, find_guide(journal.header.guide.id), moment, live)
        document["live"], code = _look_again(again, code)
    text = _written(document, output)
    if out is None and output in (None, "text"):
        data(text)
    elif out is None:
        data_document(text)
    else:
        _write_new(expanded(out), text)
    return code


def _written(document: dict[str, Any], output: str | None) -> str:
    """The report in one of its forms."""
    if output == "json":
        return document_text(document)
    if output == "html":
        from wizard.report_html import as_html

        return as_html(document)
    from wizard.report_text import as_text

    return as_text(document)


def _look_again(again: LookAgain, code: int) -> tuple[dict[str, Any], int]:
    """The `live` part of a report, and the exit code: 1 beats 2 and 3, and 2 (newer than this program) beats 3."""
    from wizard import live
    from wizard.signals import until_signal

    found: list[live.Live] = []

    async def work() -> int:
        found.append(await again.look(told=say_line))
        return live.exit_code(found[0])

    say("Looking again with readers only. Nothing is written to the journal.")
    looked = until_signal(work())
    if not found:
        raise KeyboardInterrupt
    return live.document(found[0]), min(code or looked, looked or code)


def _again(target: str, journal: Journal, guide: Guide, as_of: str | None, given: Mapping[str, str]) -> LookAgain:
    from state.snapshot import fold
    from wizard.live import LookAgain

    taken = cut(journal, as_of)
    snapshot = fold(journal.header, taken.events, head=taken.head)
    return LookAgain(guide, snapshot, given, by_name=not _is_file(target))


def _guide(journal: Journal) -> Guide | None:
    """The guide that the journal follows; None where this version does not know it."""
    try:
        return find_guide(journal.header.guide.id)
    except Problem:
        return None


def open_for_review(places: Places, target: str, as_of: str | None = None) -> Reviewed:
    """What the read-only screen shows of NAME|FILE. Reads the journal and nothing else; locks and writes nothing.

    A guide that this version does not know is told among the problems: the chain and the timeline need none.
    Raises Problem when there is no such setup or file, when it is no journal, and for a time that it does not reach.
    """
    from wizard.statements import reviewed

    journal = _journal(places, target)
    return reviewed(journal, _guide(journal), as_of=_time(journal, as_of))


def open_to_look_again(places: Places, target: str, as_of: str | None, live: Mapping[str, str]) -> LookAgain:
    """What looks again at NAME|FILE, with readers only; `live` as in `review`. Contacts nothing yet.

    Raises Problem as `open_for_review` does, and for a guide that this version does not know: nobody knows its checks.
    """
    journal = _journal(places, target)
    return _again(target, journal, find_guide(journal.header.guide.id), _time(journal, as_of), live)


def require_readable(places: Places, target: str, as_of: str | None = None) -> None:
    """Raises Problem where `open_for_review` would, without working out what is shown."""
    journal = _journal(places, target)
    cut(journal, _time(journal, as_of))


def _code_of(journal: Journal) -> int:
    """1 for a chain that is broken, 2 for a journal that is newer than this program, which is no fault of the file
    (DESIGN.md section 5), else 0."""
    codes = {problem.code for problem in journal.problems}
    if codes - NEWER:
        return EXIT_BAD
    return EXIT_USAGE if codes else EXIT_OK


def _is_file(target: str) -> bool:
    return "/" in target or target.endswith(".jsonl")


def _journal(places: Places, target: str) -> Journal:
    """The journal of a name, or of a file: an argument with `/` or ending in .jsonl (DESIGN.md section 5)."""
    from state.journal import read

    if _is_file(target):
        return read(expanded(target))
    return places.holding(target).read(target)


def _time(journal: Journal, text: str | None) -> str | None:
    """A given time in the journal's own form, so that texts compare as times do; nothing is known of the future."""
    from datetime import UTC, datetime

    if text is None:
        return None
    try:
        parsed = datetime.fromisoformat(text)
        moment = (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Problem(
            "bad-time", f"{one_line(text)} is not a time.", todo="Write it as 2026-11-22T17:00:00Z.", exit_code=EXIT_BAD
        ) from None
    found = moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
    if found > max(now(), journal.last_ts):
        raise Problem("too-late", f"{found} is in the future.", todo="Give a time that has been to --as-of.")
    return found


def _expect(journal: Journal, expect: str, moment: str | None, code: int) -> int:
    other = unexpected_head(journal, expect, moment)
    if other is None:
        say(f"{glyph('ok')} the head is the expected one")
        return code
    say_problem(other)
    return EXIT_BAD


REPORT_LIMIT = 512 * 1024 * 1024  # bytes; a journal may be as large


def _verify(journal: Journal, guide: Guide | None, path: Path, code: int) -> int:
    """Makes the report again as of its own head, and names every difference."""
    try:
        kept = json.loads(read_file(path, REPORT_LIMIT), object_pairs_hook=_once)
        if not isinstance(kept, dict) or kept.get("format") != FORMAT:
            raise ValueError(FORMAT)
        aside = [part for part in _IN_NO_JOURNAL if kept.get(part) is not None]
        kept.pop("live", None)
        found = differences(journal, guide, kept, now=now())
    except OSError as error:
        raise Problem("report-unreadable", f"{one_line(str(path))} can't be read: {error.strerror}.") from None
    except (ValueError, RecursionError):
        raise Problem(
            "report-unreadable", f"{one_line(str(path))} is not a JSON report.", todo="Make one with -o json."
        ) from None
    for difference in found:
        data_line(f"{glyph('failed')} {difference}")
    if not found:
        data(f"{glyph('ok')} the report says what the journal says, as of {one_line(str(kept['as_of']))}")
    for part in aside:
        data_line(f"{glyph('could not look')} not compared: {part}, {_IN_NO_JOURNAL[part]}")
    if code != EXIT_OK:
        say_problem(_doubtful(journal, code))
    return EXIT_BAD if found else code


# Parts of a report that are in no journal, so that nobody can say whether they were changed.
_IN_NO_JOURNAL = {
    "now": "what was different when the report was made",
    "live": "what was found when somebody looked again",
}


def _doubtful(journal: Journal, code: int) -> Problem:
    """Why the journal that a report was compared with is not to be relied on as it stands."""
    if not journal.problems:
        return Problem(
            "guide-unknown",
            f"This version does not know the guide {one_line(journal.header.guide.id)}.",
            means="What the steps amount to was not compared.",
            todo="Compare with the version that knows it.",
            exit_code=code,
        )
    damage = [one for one in journal.problems if one.code not in NEWER]
    first = (damage or journal.problems)[0]
    return Problem(
        f"journal-{first.code}",
        f"The journal itself: {first.what}",
        means=first.means,
        todo=first.todo,
        exit_code=code,
    )


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object that names each key once: another reader might take the other one. Raises ValueError."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key that is there twice")
    return found


def _write_new(path: Path, text: str) -> None:
    """Writes a report, for its owner alone; never over a file that is there."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text + "\n")
    except FileExistsError:
        raise Problem("file-exists", f"{one_line(str(path))} exists.", todo="Choose another name.") from None
    except OSError as error:
        raise Problem("not-written", f"{one_line(str(path))} can't be written: {error.strerror}.") from None
    say_line(f"written to {path}")
