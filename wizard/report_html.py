"""A report as one HTML page: for a change ticket, a browser without network or JavaScript, and paper.

Everything in it stands in the document; nothing is loaded. What the journal holds is outside text: every value goes
through `clean` and is escaped, the page is ASCII, and its policy lets nothing run or load but its own style.
"""

from __future__ import annotations

import base64
from functools import cache
from hashlib import sha256
from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from wizard import report_parts
from wizard.output import GLYPHS
from wizard.report_parts import LIMIT, Document, sign_of
from wizard.text import clean


def as_html(document: Document) -> str:
    """The report for a reader: the facts of `as_text`, and a picture of who connects to what."""
    style = _file("report.css").replace("HEAD-OF-THE-JOURNAL", document["head"])
    page = _template().render(
        document=document,
        style=Markup(style),  # noqa: S704 - our own file, and a hash of ours in it
        policy=f"default-src 'none'; style-src 'sha256-{_digest(style)}'; base-uri 'none'; form-action 'none'",
        about=report_parts.about(document),
        counts=report_parts.counts(document),
        alarms=report_parts.alarms(document),
        boxes=report_parts.connections(document),
        standing=report_parts.standing(document),
        steps=report_parts.steps(document),
        sections=[
            report_parts.elsewhere(document),
            *report_parts.setting(document),
            *filter(None, [report_parts.now(document), report_parts.live(document)]),
            report_parts.timeline(document),
            report_parts.verifying(document),
        ],
    )
    # Whatever the page is served or printed as: no byte of it has a meaning that depends on an encoding.
    return page.encode("ascii", "xmlcharrefreplace").decode()


def _digest(text: str) -> str:
    return base64.b64encode(sha256(text.encode()).digest()).decode()


def _file(name: str) -> str:
    return resources.files("wizard").joinpath(name).read_text("utf-8")


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, finalize=_shown, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(glyph=lambda word: GLYPHS.get(sign_of(word), "·"), sign=_sign)
    return environment.from_string(_file("report.html.j2"))


def _shown(value: Any) -> Any:
    """What an expression of the template becomes on the page."""
    return value if isinstance(value, Markup) else clean(str(value), keep_newlines=True, limit=LIMIT)


def _sign(word: str) -> str:
    """The class of a state; a word that nobody knows has none of its own."""
    known = sign_of(word)
    return known.replace(" ", "-") if known in GLYPHS else "other"
