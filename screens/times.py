"""Times as they are read: the clock today, the weekday this week, the date before; durations in words."""

from __future__ import annotations

from datetime import datetime

from wizard.text import one_line

MINUTE, HOUR, DAY = 60, 3600, 86400


def when(ts: str, now: str) -> str:
    """A time of the journal (RFC 3339) as seen at `now`, in local time; empty for none, as it is when unreadable."""
    if not ts:
        return ""
    try:
        moment, here = datetime.fromisoformat(ts).astimezone(), datetime.fromisoformat(now).astimezone()
    except (ValueError, OverflowError):  # a journal may have been edited by hand
        return one_line(ts, limit=19)
    days = (here.date() - moment.date()).days
    if days == 0:
        return f"{moment:%H:%M:%S}"
    if 0 < days < 7:
        return f"{moment:%a} {moment:%H:%M}"
    if moment.year == here.year:
        return f"{moment.day} {moment:%b}"
    return f"{moment.day} {moment:%b %Y}"


def lasting(seconds: float) -> str:
    """A duration (seconds) in words: `51 s`, `1 min 12 s`, `3 h 5 min`, `2 days`."""
    whole = max(0, int(seconds))
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        minutes, rest = divmod(whole, MINUTE)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    if whole < DAY:
        hours, rest = divmod(whole, HOUR)
        return f"{hours} h {rest // MINUTE} min" if rest >= MINUTE else f"{hours} h"
    days = whole // DAY
    return f"{days} day{'' if days == 1 else 's'}"
