"""Names: which characters, how many, and how they begin and end.

Limits of Azure resources are Microsoft's "Naming rules and restrictions for Azure resources"; those of Kubernetes
are RFC 1123 labels; release names are helm's `ValidateReleaseName`.
"""

from __future__ import annotations

from typing import NamedTuple

from wizard.identifiers.result import FINE, State, Verdict, character, quoted


class NameRule(NamedTuple):
    """The rule for one sort of name.

    Letters and digits are always allowed; `inside`, `first` and `last` are the further characters allowed anywhere
    but the ends, as the first and as the last one. `lower`: capitals are not allowed. `ascii`: a-z and 0-9 only.
    """

    what: str
    shortest: int
    longest: int
    inside: str
    first: str = ""
    last: str = ""
    lower: bool = False
    ascii: bool = True

    def check(self, text: str, *, open_end: bool = True) -> Verdict:
        """A verdict on a name; with `open_end` more may still be typed, so an odd last character may yet be right."""
        if not text:
            return Verdict("not complete" if open_end else "wrong", f"add the name of the {self.what}")
        if self.lower and text != text.lower() and self.check(text.lower(), open_end=open_end).state != "wrong":
            return Verdict("wrong", f"the {self.what} is written in lower case: {text.lower()}")
        for char in text:
            if not self._plain(char) and char not in self.inside:
                return Verdict("wrong", f"the {self.what} cannot have {character(char)}: {self._allowed()}")
        if not self._plain(text[0]) and text[0] not in self.first:
            return Verdict("wrong", f"the {self.what} cannot begin with {character(text[0])}: use a letter or a digit")
        if len(text) > self.longest:
            return Verdict("wrong", f"the {self.what} has {len(text)} characters; {self.longest} is the most")
        unfinished: State = "not complete" if open_end else "wrong"
        if not self._plain(text[-1]) and text[-1] not in self.last:
            end = "a letter, a digit" + "".join(f" or {character(char)}" for char in self.last if char == "_")
            return Verdict(unfinished, f"end the {self.what} with {end}; it cannot end with {character(text[-1])}")
        if len(text) < self.shortest:
            return Verdict(unfinished, f"add to the {self.what}: {self.shortest} characters is the least")
        return FINE

    def _plain(self, char: str) -> bool:
        if self.ascii and not char.isascii():
            return False
        return char.isalnum() and not (self.lower and char.isupper())

    def _allowed(self) -> str:
        letters = "small letters" if self.lower else "letters"
        marks = "".join(f" {char}" for char in self.inside)
        return f"it has {letters}, digits" + (f" and{marks}" if marks else "")


RESOURCE_GROUP = NameRule("resource group", 1, 90, "-_.()", first="-_.()", last="-_()", ascii=False)
PRIVATE_ENDPOINT = NameRule("Private Endpoint", 2, 64, "-_.", last="_")
VIRTUAL_NETWORK = NameRule("virtual network", 2, 64, "-_.", last="_")
SUBNET = NameRule("subnet", 1, 80, "-_.", last="_")
LINK_SERVICE = NameRule("Private Link Service", 1, 80, "-_.", last="_")
NAMESPACE = NameRule("namespace", 1, 63, "-", lower=True)
ITEM = NameRule("name", 1, 63, "-", last="-", lower=True)
_RELEASE = NameRule("release name", 1, 53, "-.", lower=True)


def check_release_name(text: str) -> Verdict:
    """helm's rule: at most 53 characters, labels of small letters, digits and dashes, joined by dots."""
    verdict = _RELEASE.check(text)
    if verdict.state == "ok":
        for pair in ("..", ".-", "-."):
            if pair in text:
                return Verdict("wrong", f"the release name cannot have {quoted(pair)}: put a letter or digit between")
    return verdict
