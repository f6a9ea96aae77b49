"""The registry token: judged by its form alone and never repeated (DESIGN.md section 4).

No part, message, note or normalised value holds any of it. `strip_token` gives the value that goes into a Secret.
"""

from __future__ import annotations

import re

from wizard.identifiers.result import Known, Parsed, accept, empty, part, wrong
from wizard.identifiers.stand_in import stands_for_a_value
from wizard.text import visible

MASK = "********"
"""What stands for a right token; as wizard.secret writes it, which is too heavy for `validate` to import."""

_COPY = "Copy token to clipboard in the vendor's portal gives it alone"

# Opening quotes and brackets with what may close them. Only pairs are taken off: a password may begin with a quote.
_PAIRS = {
    '"': '"', "'": "'", "`": "`´", "´": "´", "“": "”“", "”": "”", "„": "“”", "‘": "’‘", "’": "’", "‚": "‘’",
    "«": "»", "»": "«", "‹": "›", "›": "‹", "<": ">",
}  # fmt: skip
_ENDS = frozenset("".join((*_PAIRS, *_PAIRS.values())))

_UNSEEN = frozenset("\ufeff\u200b\u200c\u200d\u200e\u200f\u2060")

_COMMAND = r"\bhelm(?:\.exe)?\s+[a-z]"
_PLACEHOLDER = (
    r"\$\([^()]{1,80}\)|\$?\{{1,2}[^{}]{1,80}\}{1,2}|\$[A-Z][A-Z0-9_]{1,80}|\$env:\w{1,80}|%[A-Z][A-Z0-9_]{1,80}%"
    r"|(?i:private_access_token)"
)
_ADDRESS = re.compile("(?:oci|https?)://|/subscriptions/", re.IGNORECASE)


def strip_token(text: str) -> str:
    """`text` without what copying puts around a token: blanks, line ends, unseen characters, pairs of quotes."""
    start, end = 0, len(text)
    while start < end:
        first, last = text[start], text[end - 1]
        if first.isspace() or first in _UNSEEN:
            start += 1
        elif last.isspace() or last in _UNSEEN:
            end -= 1
        elif end - start > 1 and last in _PAIRS.get(first, ""):
            start, end = start + 1, end - 1
        elif last in ",;" and end - start > 2 and text[end - 2] in _PAIRS.get(first, ""):
            end -= 1  # a line of JSON
        else:
            break
    return text[start:end]


def parse_token(text: str, known: Known) -> Parsed:
    """A registry token or password: any visible text without blanks."""
    given = strip_token(text)
    if not given:
        return empty("copy it in the vendor's portal: Copy token to clipboard")
    fault = _fault(given, bracketed="<" in text[: text.find(given)])
    if fault:
        return wrong(fault, part("token", "", "bad"))
    length = "1 character" if len(given) == 1 else f"{len(given):,} characters"
    odd = "; there is a quotation mark or bracket at one end, so look twice" if {given[0], given[-1]} & _ENDS else ""
    return accept(MASK, part("token", "", "ok"), note=f"{length}, kept in memory only{odd}")


def _fault(given: str, *, bracketed: bool) -> str:
    """Why no registry gives out such a token; "" when one may. `bracketed`: it stood in angle brackets."""
    if re.search(_COMMAND, given):
        return "this is a whole helm command: paste it into the Chart field or anywhere in this step, it is taken apart"
    if re.fullmatch(_PLACEHOLDER, given) or (bracketed and stands_for_a_value(given)):
        return f"this is a placeholder, not the token. {_COPY}"
    if set(given) <= set("*•●∙·"):
        return f"these signs stand on the page in place of the token. {_COPY}"
    if "\n" in given or "\r" in given:
        return f"there is a line break inside. {_COPY}"
    if any(map(str.isspace, given)):
        return f"there is a blank inside, and a token has none. {_COPY}"
    if visible(given) != given:
        return f"there is a character inside that cannot be seen. {_COPY}"
    if "…" in given:
        return f"this is shortened: there is a … in it. {_COPY}"
    if _ADDRESS.match(given):
        return f"this is an address, not the token. {_COPY}"
    return ""
