"""The registry token: what is wrong with one is told, and none of it is repeated."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wizard import secret
from wizard.guides import IDS
from wizard.guides import guide as find_guide
from wizard.identifiers import SECRET_KINDS, parse, strip_token
from wizard.identifiers.forgive import LONGEST
from wizard.identifiers.token import MASK
from wizard.secret import Secret

TOKEN = "q8Zk3Vt0Xw1Lr9Bn4Ms7Ty2Pd6Hf5Jc0Gv8Ka+ACRDtQx3"
JWT = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"
COMMANDS = f"""helm registry login registry.example.com -u me -p {TOKEN}
helm upgrade --install dpe-01 oci://registry.example.com/helm/dpe --version 16.2.0 -f values.yml"""

AROUND = [
    "{}",
    "  {}\n",
    "\r\n{}\t",
    '"{}"',
    "'{}'",
    "`{}`",
    "“{}”",
    "„{}“",
    "«{}»",
    "<{}>",
    "\ufeff{}\u200b",
    '"{}",',
    ' "{}"; ',
    "\n'\"{}\"'\n",
]


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize(
    "token", [TOKEN, JWT, "s3cr3t-t0ken-value", "8d2f41c7-5b1e-4f0a-9a77-0c1d2e3f4a5b", "p{a}s$s'x"]
)
def test_what_copying_puts_around_a_token_is_forgiven(token: str, around: str):
    text = around.format(token)
    assert strip_token(text) == token
    parsed = parse("token", text)
    assert parsed.ok
    assert parsed.note == f"{len(token)} characters, kept in memory only"


@pytest.mark.parametrize(
    ("text", "value"),
    [("'abc", "'abc"), ('abc"', 'abc"'), ("a'b'c", "a'b'c"), ("abc,", "abc,"), ("abc;", "abc;"), ("'", "'")],
)
def test_what_may_be_the_tokens_own_is_left(text: str, value: str):
    assert strip_token(text) == value


@pytest.mark.parametrize("text", ["'abcdef", 'abcdef"', "<abcdef"])
def test_a_quote_at_one_end_alone_is_named(text: str):
    parsed = parse("token", text)
    assert parsed.ok
    assert "look twice" in parsed.note


def test_one_character_is_counted_as_one():
    assert parse("token", "x").note == "1 character, kept in memory only"


@pytest.mark.parametrize("text", ["", "  \n", '""', "''", "\ufeff", "<>", '" "'])
def test_empty_says_where_to_copy_it(text: str):
    parsed = parse("token", text)
    assert parsed.state == "empty"
    assert "Copy token to clipboard" in (parsed.message or "")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"{TOKEN[:20]} {TOKEN[20:]}", "a blank inside"),
        (f"{TOKEN[:20]}\u00a0{TOKEN[20:]}", "a blank inside"),
        (f"{TOKEN[:20]}\t{TOKEN[20:]}", "a blank inside"),
        (f"{TOKEN[:20]}\n{TOKEN[20:]}", "a line break inside"),
        (f"{TOKEN[:20]}\r\n{TOKEN[20:]}", "a line break inside"),
        (f"{TOKEN[:20]}\x00{TOKEN[20:]}", "cannot be seen"),
        (f"{TOKEN[:20]}\x1b[31m{TOKEN[20:]}", "cannot be seen"),
        (f"{TOKEN[:20]}\u202e{TOKEN[20:]}", "cannot be seen"),
        (f"{TOKEN[:20]}\u200b{TOKEN[20:]}", "cannot be seen"),
        (f"{TOKEN[:20]}\ud800{TOKEN[20:]}", "cannot be seen"),
        (f"{TOKEN[:6]}…{TOKEN[-6:]}", "shortened"),
        ("<private_access_token>", "placeholder"),
        ("private_access_token", "placeholder"),
        ('"<your-token>"', "placeholder"),
        ("$(imageRegistryCredentials.password)", "placeholder"),
        ("${REGISTRY_TOKEN}", "placeholder"),
        ("{{ .Values.token }}", "placeholder"),
        ("$REGISTRY_TOKEN", "placeholder"),
        ("$env:Token", "placeholder"),
        ("%REGISTRY_TOKEN%", "placeholder"),
        ("********", "in place of the token"),
        ("••••••••••", "in place of the token"),
        (MASK, "in place of the token"),
        (COMMANDS, "whole helm command"),
        (f"$ {COMMANDS}", "whole helm command"),
        (f"`{COMMANDS.splitlines()[0]}`", "whole helm command"),
        (f"helm.exe registry login x -p {TOKEN}", "whole helm command"),
        ("oci://registry.example.com/helm/dpe", "an address"),
        ("https://portal.example.com/?token=x", "an address"),
        ("x" * (LONGEST + 1), "more than any value"),
    ],
)
def test_a_mistake_is_told_and_the_token_is_not(text: str, words: str):
    parsed = parse("token", text)
    assert parsed.state == "wrong"
    assert words in (parsed.message or "")
    assert [(part.name, part.value, part.state) for part in parsed.parts] == [("token", "", "bad")]
    for piece in (TOKEN[:20], TOKEN[20:], "registry.example.com", "REGISTRY_TOKEN"):
        assert piece not in repr(parsed)


@given(st.text(string.ascii_letters + string.digits + string.punctuation + " \n\x1b\u202e", min_size=9, max_size=80))
@settings(max_examples=200)
def test_no_answer_holds_any_of_it(text: str):
    # Digits first: no word of ours begins so, which makes every hit a leak.
    text = "7q" + text
    parsed = parse("token", text)
    assert parsed.value == ""
    assert parsed.normalized in ("", MASK)
    assert text[:6] not in repr(parsed)
    assert repr(text[:6])[1:-1] not in repr(parsed)


@given(st.text(max_size=60))
@settings(max_examples=200)
def test_what_is_right_can_be_kept_as_a_secret(text: str):
    if parse("token", text).ok:
        stripped = strip_token(text)
        assert Secret(stripped).reveal() == stripped != ""
        assert strip_token(stripped) == stripped


def test_the_mask_is_the_one_of_secrets():
    assert MASK == secret.MASK


@pytest.mark.parametrize("id", IDS)
def test_a_field_is_secret_when_its_kind_is(id: str):
    fields = find_guide(id).fields().values()
    assert {field.key for field in fields if field.secret} == {
        field.key for field in fields if field.kind in SECRET_KINDS
    }
