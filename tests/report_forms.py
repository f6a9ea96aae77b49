"""What a report tells in each of its forms: that text and page leave out nothing of the document."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from typing import Any

from wizard.text import clean


class Shown(HTMLParser):
    """What a reader of the page sees, and which elements and attributes it is made of."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str | None]] = set()
        self._hidden = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= set(attrs)
        self._hidden = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self._hidden = False

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.texts)


def facts(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from facts(one, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for one in value:
            yield from facts(one, f"{path}[]")
    else:
        yield path, value


def squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


# What is for a program, or stands there in other words: the document's own form, what an event is called, which
# problem it is, and the kind by which a field's value is parsed.
NOT_SHOWN = ("format", "timeline[].type", "chain.problems[].code", "now.chain.problems[].code", "live.checks[].step")
OTHER_WORDS = re.compile(r"(^values|items\[\]\.values)\[\]\.kind$|^items\[\]\.(kind|name|item)$|connections\[\]")


def untold(document: Mapping[str, Any], text: str, page: str) -> list[str]:
    """Every fact of the document that its text or its page does not tell. Raises when there is next to nothing."""
    shown = {"text": squeezed(text), "page": squeezed(Shown(page).text)}
    missing, looked_for = [], 0
    for path, value in facts(document):
        # Yes, no and nothing are said in words of their own.
        if path in NOT_SHOWN or OTHER_WORDS.search(path) or value is None or isinstance(value, bool):
            continue
        looked_for += 1
        wanted = squeezed(clean(str(value), keep_newlines=True, limit=5000))
        missing += [f"{path} is not in the {form}: {value!r}" for form, told in shown.items() if wanted not in told]
    assert looked_for > 30
    return missing
