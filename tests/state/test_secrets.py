"""The guard: no token gets through, and nothing that a journal is made of is taken for one."""

from __future__ import annotations

import base64
import json
import random
import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.secrets import MASK, SecretGuard, SecretRefused
from tests.state.make_journal import data_of, lines_of

BASE64 = string.ascii_letters + string.digits + "+/"
BASE64URL = string.ascii_letters + string.digits + "-_"

# The examples are the same in every run: the rule is statistical, and one random token in some thousand passes it.
same_every_time = settings(derandomize=True, max_examples=300)


def refuses(text: str) -> bool:
    try:
        SecretGuard().check(text)
    except SecretRefused:
        return True
    return False


@st.composite
def tokens(draw: st.DrawFn) -> str:
    """52 to 88 random characters of base64 or base64url, as Azure's registries make them, with or without `=`."""
    chance = random.Random(draw(st.integers(0, 2**64)))
    alphabet = draw(st.sampled_from([BASE64, BASE64URL]))
    length = draw(st.integers(52, 88))
    return "".join(chance.choices(alphabet, k=length)) + str(draw(st.sampled_from(["", "=", "=="])))


@st.composite
def acr_tokens(draw: st.DrawFn) -> str:
    """A repository-scoped token's password: 42 characters, `+ACR`, and a check sum."""
    chance = random.Random(draw(st.integers(0, 2**64)))
    return "".join(chance.choices(BASE64, k=42)) + "+ACR" + "".join(chance.choices(BASE64, k=6))


@st.composite
def jwts(draw: st.DrawFn) -> str:
    def part(claims: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")

    header = part({"alg": draw(st.sampled_from(["RS256", "none"])), "typ": "JWT"})
    claims = part(draw(st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=20), min_size=1)))
    signature = base64.urlsafe_b64encode(draw(st.binary(max_size=256))).decode().rstrip("=")
    return f"{header}.{claims}.{signature}"


AROUND = st.sampled_from(
    [
        "{}",
        "-p {}",
        "password={}",
        "token:{}",
        '{{"password": "{}"}}',
        "helm registry login reg.azurecr.io -u dpe -p {} && helm upgrade --install dpe oci://reg/helm/dpe",
        "https://dpe:{}@reg.azurecr.io/v2/",
        "Authorization: Bearer {}",
        "line one\n{}\nline three",
        "/home/ada/{}",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 {}",
    ]
)


@same_every_time
@given(tokens() | acr_tokens(), AROUND)
def test_registry_tokens_are_refused(token: str, around: str) -> None:
    assert refuses(around.format(token))


@same_every_time
@given(jwts(), AROUND)
def test_jwts_are_refused(token: str, around: str) -> None:
    assert refuses(around.format(token))


@pytest.mark.parametrize(
    "text", ["...{}", "x.{}", "a b.c {}.", "{}, then", "token.{}", "-{}", "_{}", "eyJ.{}", "%20{}", "eyJeyJ {}"]
)
def test_jwts_are_found_between_other_dots(text: str) -> None:
    for token in (
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJl",
        "eyJhbGciOiJub25lIn0AA.eyJzdWIiOiIxMjM0NTY3ODkwIn0.",
        "eyJhbGciOiJkaXIiLCJl..AxY8DCtDaGls.KDlTtXchhZTGufMY.U0m_YmjN04DJvceF",
    ):
        assert refuses(text.format(token))
        assert token not in SecretGuard().redact(text.format(token))


@pytest.mark.parametrize(
    "text", ["eyJ", "eyJ.eyJ.eyJ", "the eyJ. And more", "x.eyJ.y", "eyjafjallajokull-01.example.org"]
)
def test_what_only_begins_like_a_jwt_passes(text: str) -> None:
    assert not refuses(text)


@same_every_time
@given(tokens() | acr_tokens() | jwts(), AROUND)
def test_tokens_are_redacted(token: str, around: str) -> None:
    redacted = SecretGuard().redact(around.format(token))
    assert token not in redacted
    assert MASK in redacted
    assert not refuses(redacted)


# ---------------------------------------------------------------- what a journal is made of

WORDS = """
ataccama platform private link endpoint network subnet vnet hub spoke core shared services data engine worker dpe prod
test dev europe west north eastus weu eus cluster admin azure kubernetes registry values release Company GmbH Microsoft
resource groups providers Team Ops connection approved redeploy environment
""".split()  # noqa: SIM905 - a list of them would fill a page
NUMBERS = st.sampled_from(["", "", "", "1", "01", "02", "12", "2026"])
HEX = st.text("0123456789abcdef", min_size=1)


@st.composite
def names(draw: st.DrawFn, separators: str = "-_") -> str:
    """A name as people make them: words in any case, joined by dashes, numbers here and there."""
    spell = draw(st.sampled_from([str.lower, str.upper, str.capitalize, str]))
    words = [spell(draw(st.sampled_from(WORDS))) + draw(NUMBERS) for _ in range(draw(st.integers(1, 5)))]
    return str(draw(st.sampled_from(separators))).join(words)


guids = st.uuids().map(str)
digests = st.binary(min_size=32, max_size=32).map(bytes.hex)
host_names = st.lists(names("-").map(str.lower), min_size=1, max_size=4).map(".".join)
pods = st.tuples(names("-"), st.text("bcdfghjklmnpqrstvwxz2456789", min_size=10, max_size=10)).map("-".join)
prefixes = st.sampled_from(["/", "/home/", "~/", "C:\\Users\\", "./", "/Users/"])
paths = st.tuples(prefixes, st.lists(names(), min_size=1, max_size=9).map("/".join)).map("".join)
resource_ids = st.builds(
    "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Network/{}/{}".format,
    guids,
    names(),
    st.sampled_from(["privateEndpoints", "privateLinkServices", "privateDnsZones", "virtualNetworks"]),
    names(),
)
aliases = st.builds("{}.{}.{}.azure.privatelinkservice".format, names("-"), guids, st.sampled_from(["westeurope"]))
contexts = st.one_of(
    names(),
    st.builds("gke_{}_europe-west1-b_{}".format, names("-"), names("-")),
    st.builds("arn:aws:eks:eu-west-1:123456789012:cluster/{}".format, names("-")),
    st.builds("clusterAdmin_{}_{}".format, names(), names()),
    st.builds("https://{}-dns-{}.hcp.westeurope.azmk8s.io:443".format, names("-"), HEX),
)
versions = st.builds("{}.{}.{}-rc.{}+build.{}".format, *[st.integers(0, 99)] * 4, digests.map(lambda hex_: hex_[:12]))
images = st.builds("reg.azurecr.io/helm/{}@sha256:{}".format, names("-"), digests)
prose = st.lists(st.sampled_from(WORDS), max_size=60).map(" ".join)

ORDINARY = st.one_of(
    guids, digests, host_names, pods, paths, resource_ids, aliases, contexts, versions, images, prose, names()
)


@pytest.mark.slow
@settings(derandomize=True, max_examples=300)
@given(st.lists(ORDINARY, min_size=1, max_size=3).map(" ".join))
def test_nothing_ordinary_is_refused(text: str) -> None:
    SecretGuard().check(text)
    assert SecretGuard().redact(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08",
        "/Users/Ada/Foo/sha256/9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "sha512:" + "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce" * 2,
        "/subscriptions/9B1DEB4D-3B7D-4BAD-9BDD-2B0D7B3DCB6D/resourceGroups/MC_rg-Dpe-Prd-We-01_Aks-Dpe-Prd-We-01_westeurope",
        "Error: UPGRADE FAILED: timed out waiting for the condition: Deployment/dpe/dpe-worker-7d9c5b8f6d not ready",
        "LAST DEPLOYED: Mon Jan  5 08:00:00 2026\nNAMESPACE: dpe\nSTATUS: deployed\nREVISION: 3\nTEST SUITE: None\n",
        "Pulled: reg.azurecr.io/helm/ataccama-one-dpe:15.4.1-20260105",
        "helm upgrade --install dpe oci://reg.azurecr.io/helm/ataccama-one-dpe --version 15.4.1 -f values.yml",
        "MicrosoftNetworkPrivateEndpointsPrivateDnsZoneGroupsPrivateLinkServiceConnections",
        "https://E7D4A1B2C3D4E5F60718293A4B5C6D7E.gr7.eu-west-1.eks.amazonaws.com",
        "dpm-43ooq-worker-01-eus1.ataccama.link minio-43ooq-worker-01-eus1.ataccama.link",
        "/snap/helm/current/bin/helm",
        "x" * 5000,
        "=" * 200 + "-" * 200 + "_" * 200,
    ],
)
def test_these_are_not_refused(text: str) -> None:
    SecretGuard().check(text)


@pytest.mark.parametrize("text", ["eyJ", "eyJ.", "eyJhbGciOiJSUzI1NiJ9", "aA1", "aA1+", "0a", "A", "-", "."])
def test_half_a_megabyte_of_anything_is_searched_at_once(text: str) -> None:
    """A pattern that tried anew at each character would take minutes."""
    guard = SecretGuard()
    whole = text * (500_000 // len(text))
    guard.redact(whole)
    refuses(whole)


def test_a_whole_journal_passes() -> None:
    guard = SecretGuard()
    guard.hold("never-seen")
    for line in lines_of(data_of(200)):
        guard.check(json.loads(line))


# ---------------------------------------------------------------- what is held


@given(
    st.text(min_size=4, max_size=30),
    st.text(max_size=20),
    st.text(max_size=20),
    st.sampled_from(["value", "key", "in"]),
)
def test_a_held_secret_is_found_anywhere(secret: str, before: str, after: str, place: str) -> None:
    guard = SecretGuard()
    guard.hold("other", secret)
    text = before + secret + after
    obj: Any = {"value": {"a": ["x", text]}, "key": {"a": {text: 1}}, "in": text}[place]
    with pytest.raises(SecretRefused) as caught:
        guard.check(obj)
    where = {"value": "a[1]", "key": "a name in a", "in": "the text"}[place]
    assert caught.value.where == where
    assert caught.value.code == "secret-refused"
    assert secret not in guard.redact(text) or secret in MASK


def test_a_short_secret_is_compared_as_a_whole() -> None:
    guard = SecretGuard()
    guard.hold("abc", "", "é")
    guard.check({"name": "abcd", "cabc": "xyz", "empty": ""})
    for text in ("abc", "é"):
        with pytest.raises(SecretRefused):
            guard.check({"name": text})
        assert guard.redact(text) == MASK
    assert guard.redact("abcd") == "abcd"


def test_everything_but_strings_passes() -> None:
    guard = SecretGuard()
    guard.hold("1234", "None", "True")
    guard.check({"a": [1234, None, True, 1.5], "b": ()})


def test_a_guard_does_not_show_what_it_holds() -> None:
    guard = SecretGuard()
    guard.hold("hunter2-is-held")
    assert "hunter2" not in repr(guard)
    with pytest.raises(SecretRefused) as caught:
        guard.check(["hunter2-is-held"])
    assert "hunter2" not in f"{caught.value!r} {caught.value}"


def test_longer_spellings_are_masked_whole() -> None:
    guard = SecretGuard()
    guard.hold("pass", "password1")
    assert guard.redact("x password1 y") == f"x {MASK} y"
