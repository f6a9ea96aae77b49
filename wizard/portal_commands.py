"""The vendor portal's two helm commands, pasted whole: the values of step 7 are taken out of them.

    helm registry login HOST -u USER -p TOKEN
    helm upgrade --install LABEL oci://HOST/PATH --version V -f values.yml

Nothing of it is ever run. What the wizard would not do by itself is reported in `unknown` instead of being ignored,
since leaving out a `--set` changes what the command means. The token goes into a Secret and nowhere else.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

from wizard.identifiers import parse
from wizard.identifiers.stand_in import looks_like_token, placeholder
from wizard.secret import MASK, Secret
from wizard.text import one_line, visible

LONGEST = 64 * 1024
"""Characters; a paste of two commands has some hundred."""


@dataclass(frozen=True, slots=True)
class PortalCommands:
    """What the pasted commands say. Values are cleaned, and normalised where their kind allows; None: not there.

    `unknown` are flags and commands that are not taken over, `problems` what the user must see to, each one line.
    `gaps` names those problems that are over once the value, by its name here, is entered in its own field.
    """

    registry: str | None = None
    username: str | None = None
    token: Secret | None = None
    release: str | None = None
    chart: str | None = None
    version: str | None = None
    namespace: str | None = None
    values_file: str | None = None
    timeout: str | None = None
    unknown: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    gaps: tuple[tuple[str, str], ...] = ()
    looks_like_commands: bool = False


# Flags whose value is taken over.
_TAKEN = {
    "-u": "username",
    "--username": "username",
    "-p": "token",
    "--password": "token",
    "--version": "version",
    "-f": "values_file",
    "--values": "values_file",
    "-n": "namespace",
    "--namespace": "namespace",
    "--timeout": "timeout",
}  # fmt: skip

# Flags that need no mention: the wizard works so anyway, or plans it as a change of its own.
_DONE_ANYWAY = frozenset({"--install", "-i", "--password-stdin", "--wait", "--create-namespace", "--debug"})

# helm's other flags without a value (helm 3.19 and 4.1 `upgrade --help`, `registry login --help`); the rest take one.
_SWITCHES = frozenset(
    {
        "--atomic", "--cleanup-on-fail", "--dependency-update", "--devel", "--disable-openapi-validation",
        "--dry-run", "--enable-dns", "--force", "--force-conflicts", "--force-replace", "--hide-notes",
        "--hide-secret", "--insecure", "--insecure-skip-tls-verify", "--kube-insecure-skip-tls-verify", "--no-hooks",
        "--pass-credentials", "--plain-http", "--render-subchart-notes", "--reset-then-reuse-values",
        "--reset-values", "--reuse-values", "--rollback-on-failure", "--skip-crds", "--skip-schema-validation",
        "--take-ownership", "--verify", "--wait-for-jobs", "-h", "--help",
    }
)  # fmt: skip

_KINDS = {
    "registry": ("registry", "registry"),
    "username": ("registry-user", "registry user"),
    "release": ("release-name", "release name"),
    "chart": ("chart-ref", "chart"),
    "version": ("chart-version", "chart version"),
    "namespace": ("namespace", "namespace"),
    "values_file": ("values-path", "values file"),
    "timeout": ("duration", "timeout"),
}

_HELM = re.compile(r"(?:^|[\s`$>#(|;&/])helm(?:\.exe)?\s+(?:registry\s+login|upgrade|install)\b")
_PROMPT = re.compile(
    r"(?:PS[ ][^>\n]{0,200}>|[\w.@:~/\\ ()\[\]-]{0,200}[$#%>])[ \t]+(?=(?:sudo[ ]+)?(?:helm|printf|echo)\b)"
)
_COMMAND = re.compile(
    r"(?:sudo\s+)?(?:[A-Z_]+=\S*\s+)*(?:helm|printf|echo|cat|kubectl|az|docker|export|set|curl|\$[\w:]+\s*\|)(?=\s|$|\|)"
)
_VARIABLE = re.compile(r"\$\w+|\$\{\w+\}|\$env:\w+|%\w+%")
_SECRET_KEY = re.compile(r"pass|token|secret|key|cred", re.IGNORECASE)


def parse_portal_commands(text: str) -> PortalCommands:
    """The values in one or both commands, in any order, with prompts, comments and code fences around them.

    Never raises: unbalanced quotes and other text are told in `problems`.
    """
    if "helm" not in text[:LONGEST]:
        return PortalCommands()
    shown = _plain(text[:LONGEST])
    if not _HELM.search(shown):
        return PortalCommands()
    reader = _Reader()
    if len(text) > LONGEST:
        reader.problems.append("this is far more than two commands: paste the two commands of the portal alone")
    else:
        for statement in _statements(shown):
            reader.statement(statement)
    return reader.result()


def _plain(text: str) -> str:
    """`text` as it would be in a plain terminal: straight quotes, two dashes for a long one, no unseen characters."""
    text = visible(text).translate({0x201C: '"', 0x201D: '"', 0x201E: '"', 0x2018: "'", 0x2019: "'", 0xA0: " "})
    text = re.sub(r"(?<=[ \t])[–—](?=[A-Za-z]{2})", "--", text)
    return re.sub(r"(?<=[ \t])[–—](?=[A-Za-z](?:[ \t=]|$))", "-", text, flags=re.MULTILINE)


def _statements(text: str) -> Iterator[str]:
    """Whole commands: continued lines joined; prompts, comments, fences and prose left out."""
    text = "\n".join(line.rstrip() for line in text.split("\n"))
    current = ""
    continued = False
    for raw in text.split("\n"):
        line = raw.strip()
        if not line or line.startswith(("```", "~~~")):
            if current:
                yield current
            current, continued = "", False
            continue
        line = _without_decoration(line)
        starts = _COMMAND.match(line) is not None
        goes_on = bool(current) and (continued or (not starts and _belongs(current, line)))
        continued = line.endswith(("\\", "^", "`"))
        line = line[:-1].rstrip() if continued else line
        if goes_on:
            current = f"{current} {line}"
            continue
        if current:
            yield current
        current = line if starts else ""
    if current:
        yield current


def _without_decoration(line: str) -> str:
    """`line` without prompt and without the backticks of inline code; a comment becomes empty."""
    line = _PROMPT.sub("", line, count=1) if _PROMPT.match(line) else line
    if line.startswith("#"):
        return ""
    if len(line) > 1 and line.startswith("`") and line.endswith("`"):
        line = line[1:-1].strip()
    comment = re.search(r"\s#\s", line)
    if comment and line.count("'", 0, comment.start()) % 2 == line.count('"', 0, comment.start()) % 2 == 0:
        line = line[: comment.start()]  # before the words are split: an apostrophe in a comment is no quote
    return line.lstrip("`")


def _belongs(current: str, line: str) -> bool:
    """Whether `line` goes on with a command that was wrapped without a mark."""
    last = current.rsplit(maxsplit=1)[-1]
    wants_more = last == "|" or last in _TAKEN or last in ("--install", "-i", "login", "upgrade")
    return wants_more or line.startswith(("-", "oci://", "|"))


@dataclass(slots=True)
class _Reader:
    """Collects what the statements say."""

    found: dict[str, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    gaps: dict[str, str] = field(default_factory=dict)
    logged_in: bool = False

    def statement(self, text: str) -> None:
        """Read one line of shell: simple commands joined by pipes."""
        try:
            commands = _simple_commands(text)
        except ValueError:
            self.problems.append("a quote is opened and not closed: copy the command again, with both quotes")
            return
        piped: list[str] = []
        for words in commands:
            words = _without_prefix(words)  # noqa: PLW2901
            if not words:
                continue
            if words[0].rsplit("/", 1)[-1].removesuffix(".exe") == "helm":
                self._helm(words[1:], piped)
                piped = []
                continue
            if piped:
                self.unknown.append(f"command {piped[0]}")
            piped = words
        if piped:
            self.unknown.append(f"command {piped[0]}")

    def _helm(self, words: list[str], piped: list[str]) -> None:
        """Read the words after `helm`; `piped` is the command whose output it gets."""
        flags, rest = _split_flags(words)
        if rest[:2] == ["registry", "login"]:
            self.logged_in = True
            self._keep("registry", rest[2:3])
            self.unknown += ["a further word after the registry"] * (len(rest) > 3)
            if piped and piped[0] in ("printf", "echo") and any(name == "--password-stdin" for name, _ in flags):
                self._keep("token", piped[-1:] if len(piped) > 1 else [])
            elif piped and _VARIABLE.fullmatch(piped[0]) is None:
                self.unknown.append(f"command {piped[0]}")
        elif rest[:1] in (["upgrade"], ["install"]):
            self._keep("release", rest[1:2])
            self._keep("chart", rest[2:3])
            self.unknown += [f"word {word}" for word in rest[3:]]
        else:
            self.unknown.append(" ".join(["command helm", *rest[:2]]))
            return
        for name, value in flags:
            self._flag(name, value, login=rest[0] == "registry")

    def _flag(self, name: str, value: str | None, *, login: bool) -> None:
        """Take a flag over or report it; of a login only its name, since the value may be the token."""
        if name in _DONE_ANYWAY and value in (None, "true"):
            return
        target = _TAKEN.get(name)
        if target is None:
            self.unknown.append(name if login else _shown_flag(name, value))
        elif value is None:
            self.problems.append(f"there is no value after {name}: copy the command again")
        elif target == "values_file" and target in self.found:
            self.unknown.append(_shown_flag(name, value))
        else:
            self._keep(target, [value])

    def _keep(self, name: str, values: list[str]) -> None:
        if values and values[0]:
            self.found[name] = values[0]

    def result(self) -> PortalCommands:
        """Everything read, with the token taken out of whatever is shown."""
        token = self._token()
        values = {name: self._value(name) for name in _KINDS}
        login, chart = values["registry"], parse("chart-ref", values["chart"] or "")
        if login and chart.ok and login != chart.parts[0].value.lower():
            self.problems.append(
                f"the login is for {login}, the chart is in {chart.parts[0].value}: copy both commands again"
            )
        raw = self.found.get("token", "")

        def safe(line: str) -> str:
            return one_line(line.replace(raw, MASK) if len(raw) > 3 else line, limit=160)

        return PortalCommands(
            **values,
            token=token,
            unknown=tuple(dict.fromkeys(map(safe, self.unknown))),
            problems=tuple(dict.fromkeys(map(safe, self.problems))),
            gaps=tuple((name, safe(message)) for name, message in self.gaps.items()),
            looks_like_commands=True,
        )

    def _token(self) -> Secret | None:
        token = self.found.get("token", "")
        message = placeholder(token)
        if message:
            self._gap("token", f"token: {message}")
        elif token and not _VARIABLE.fullmatch(token):
            return Secret(token)
        elif self.logged_in:
            self._gap("token", "the token is not in the command: copy it in the portal and enter it in its own field")
        return None

    def _gap(self, name: str, message: str) -> None:
        self.problems.append(message)
        self.gaps[name] = message

    def _value(self, name: str) -> str | None:
        """A value as its field would take it; what is not yet right is left for the field to explain."""
        raw = self.found.get(name)
        if raw is None:
            return None
        kind, words = _KINDS[name]
        parsed = parse(kind, raw)
        if parsed.ok:
            return parsed.normalized
        if _VARIABLE.fullmatch(raw):
            self._gap(name, f"{words}: {raw} is a variable of your shell. Enter its value")
            return None
        if placeholder(raw) or looks_like_token(raw):
            self._gap(name, f"{words}: {parsed.message}")
            return None
        return one_line(raw)


def _simple_commands(text: str) -> list[list[str]]:
    """The words of each simple command. Raises ValueError when a quote is not closed."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars="|;&")
    lexer.whitespace_split = True
    lexer.commenters = ""  # shlex ends a word at every #, a shell only at a word's beginning
    if re.search(r"[A-Za-z]:\\", text):
        lexer.escape = ""  # a Windows path: there the backslash is no escape
    commands: list[list[str]] = [[]]
    for word in lexer:
        if word and set(word) <= set("|;&"):
            commands.append([])
        else:
            commands[-1].append(word)
    return commands


def _without_prefix(words: list[str]) -> list[str]:
    """`words` without sudo and variables set for the one command."""
    start = 0
    while start < len(words) and (words[start] == "sudo" or re.match(r"[A-Z_][A-Z0-9_]*=", words[start])):
        start += 1
    return words[start:]


def _split_flags(words: list[str]) -> tuple[list[tuple[str, str | None]], list[str]]:
    """Flags with their values, and the other words, as helm's pflag reads them."""
    flags: list[tuple[str, str | None]] = []
    rest: list[str] = []
    place = 0
    while place < len(words):
        word = words[place]
        place += 1
        if not word.startswith("-") or word == "-":
            rest.append(word)
            continue
        name, equals, value = word.partition("=")
        if not word.startswith("--") and len(word) > 2:
            flags.append((word[:2], word[2:].removeprefix("=")))
        elif equals:
            flags.append((name, value))
        elif name in _DONE_ANYWAY or name in _SWITCHES or place == len(words):
            flags.append((name, None))
        else:
            flags.append((name, words[place]))
            place += 1
    return flags, rest


def _shown_flag(name: str, value: str | None) -> str:
    """A flag that is reported; a value that may be a secret is masked."""
    if value is None:
        return name
    key, equals, inner = value.partition("=")
    if equals and (_SECRET_KEY.search(key) or looks_like_token(inner)):
        value = f"{key}={MASK}"
    elif looks_like_token(value) or (not equals and _SECRET_KEY.search(name)):
        value = MASK
    return f"{name} {value}"
