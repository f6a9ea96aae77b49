"""Properties that hold for every value: round trip, forgiveness, prefixes, and hostile text."""

from __future__ import annotations

import string
import unicodedata

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from wizard.identifiers import FIELD_KINDS, SECRET_KINDS, parse
from wizard.identifiers.stand_in import placeholder

ALNUM = string.ascii_letters + string.digits
LOWER = string.ascii_lowercase + string.digits


def names(inside: str, longest: int, alphabet: str = ALNUM, last: str = "") -> st.SearchStrategy[str]:
    """Names of two characters and more; short enough to be told from a token."""
    middle = st.text(alphabet + inside, max_size=min(longest, 28) - 2)
    return st.builds(lambda a, b, c: a + b + c, st.sampled_from(alphabet), middle, st.sampled_from(alphabet + last))


GUIDS = st.uuids(version=4).map(str)
GROUPS = names("-_.()", 90)
NETWORK = st.builds("/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Network".format, GUIDS, GROUPS)
VNETS = st.builds("{}/virtualNetworks/{}".format, NETWORK, names("-_.", 64, last="_"))
REGIONS = st.sampled_from(["westeurope", "eastus2", "uksouth", "swedencentral", "australiaeast"])
ALIASES = st.one_of(
    st.builds("{}.{}.{}.azure.privatelinkservice".format, names("-_", 80), GUIDS, REGIONS),
    st.builds("{}.{}.{}.{}.azure.privatelinkservice".format, names("_", 40), names("-", 40), GUIDS, REGIONS),
    st.builds("{}.{}.azure.privatelinkservice".format, names("-_", 80), GUIDS),
)
LABELS = names("-", 63, LOWER).filter(lambda label: label != "privatelink" and not label.isdigit())
HOSTS = st.lists(LABELS, min_size=2, max_size=4).map(".".join)
NUMBERS = st.integers(0, 10**6)
VERSIONS = st.one_of(
    st.builds("{}.{}.{}".format, NUMBERS, NUMBERS, NUMBERS),
    st.builds("{}.{}.{}-rc.{}".format, NUMBERS, NUMBERS, NUMBERS, NUMBERS),
    st.builds("{}.{}.{}-{}+build.{}".format, NUMBERS, NUMBERS, NUMBERS, names("-", 9, string.ascii_lowercase), NUMBERS),
)
IPV4 = st.one_of(
    st.builds("10.{}.{}.{}".format, st.integers(0, 255), st.integers(1, 254), st.integers(1, 254)),
    st.builds("172.{}.{}.{}".format, st.integers(16, 31), st.integers(1, 254), st.integers(1, 254)),
    st.builds("192.168.{}.{}".format, st.integers(1, 254), st.integers(1, 254)),
)
PATHS = st.lists(names("-", 20, LOWER).map(lambda s: s.replace("-", "x")), min_size=1, max_size=3).map("/".join)

VALID: dict[str, st.SearchStrategy[str]] = {
    "subscription-id": GUIDS,
    "endpoint-id": st.builds("{}/privateEndpoints/{}".format, NETWORK, names("-_.", 64, last="_")),
    "link-service": st.one_of(
        ALIASES, st.builds("{}/privateLinkServices/{}".format, NETWORK, names("-_.", 80, last="_"))
    ),
    "vnet-id": VNETS,
    "subnet-id": st.builds("{}/subnets/{}".format, VNETS, names("-_.", 80, last="_")),
    "hostname": HOSTS,
    "chart-version": VERSIONS,
    "release-name": st.one_of(names("-", 53, LOWER), HOSTS.filter(lambda host: len(host) <= 53)),
    "tenant-id": GUIDS,
    "resource-group": GROUPS,
    "endpoint-name": names("-_.", 64, last="_"),
    "dns-server": st.one_of(IPV4, st.builds("{}:{}".format, IPV4, st.integers(1, 65535))),
    "private-ip": st.one_of(IPV4, st.builds("fd{:02x}::{:x}".format, st.integers(0, 255), st.integers(1, 65535))),
    "namespace": names("-", 63, LOWER),
    "registry": st.one_of(HOSTS, st.builds("{}:{}".format, HOSTS, st.integers(1, 65535))),
    "registry-user": names("-_$", 40),
    "chart-ref": st.builds("oci://{}/{}".format, HOSTS, PATHS),
    "values-path": st.builds("/{}/{}.yml".format, PATHS, names("-", 20)),
    "duration": st.one_of(st.builds("{}m".format, st.integers(1, 59)), st.builds("{}s".format, st.integers(1, 59))),
    "environment-name": names("- ", 60),
    "item-name": names("-", 63, LOWER, last="-"),
    "token": names("-_.+/=", 64, last="="),
}

DECORATIONS = st.sampled_from(
    [
        lambda v: f"  {v} ",
        lambda v: f"\n{v}\r\n",
        lambda v: f'"{v}"',
        lambda v: f"'{v}'",
        lambda v: f"`{v}`",
        lambda v: f"“{v}”",
        lambda v: f"„{v}“",
        lambda v: f"‘{v}’",
        lambda v: f"«{v}»",
        lambda v: f"<{v}>",
        lambda v: f"\ufeff{v}\u200b",
        lambda v: f'"{v}",',
    ]
)

DRAWN = st.lists(
    st.one_of(
        st.text(max_size=10),
        st.sampled_from(
            [
                "/subscriptions/",
                "/resourceGroups/",
                "/providers/",
                "Microsoft.Network",
                "/privateEndpoints/",
                ".azure.",
                "privatelinkservice",
                "oci://",
                "https://portal.azure.com/#",
                "%2F",
                "\x1b[31m",
                "\u202e",
                "\n",
                "<",
                ">",
                "837de879-1b6a-4a9c-9d0e-5f21c7aa30b4",
                "1.2.3",
                "10.0.0.",
                ":",
                "::",
                "-",
                "_",
                "$(label)",
                "\ud800",
                "²",
                "٣",
            ]
        ),
    ),
    max_size=8,
).map("".join)

KINDS = pytest.mark.parametrize("kind", FIELD_KINDS)
# A secret's normalised value is a mask, which is not read again.
SHOWN_KINDS = pytest.mark.parametrize("kind", [kind for kind in FIELD_KINDS if kind not in SECRET_KINDS])


def test_every_kind_has_a_strategy() -> None:
    assert set(VALID) == set(FIELD_KINDS)


@SHOWN_KINDS
@given(data=st.data())
@settings(max_examples=40)
def test_a_normalized_value_stays_itself(kind: str, data: st.DataObject) -> None:
    first = parse(kind, data.draw(VALID[kind]))
    assert first.ok, first
    second = parse(kind, first.normalized)
    assert second.ok
    assert second.normalized == first.normalized


@KINDS
@given(data=st.data())
@settings(max_examples=40)
def test_decoration_changes_nothing(kind: str, data: st.DataObject) -> None:
    value = data.draw(VALID[kind])
    decorated = value
    for decorate in data.draw(st.lists(DECORATIONS, min_size=1, max_size=3)):
        decorated = decorate(decorated)
    # <user> is a placeholder, whatever else it might be.
    assume(not placeholder(decorated))
    assert parse(kind, decorated).normalized == parse(kind, value).normalized != ""


@KINDS
@given(data=st.data())
@settings(max_examples=15)
def test_a_prefix_is_never_wrong(kind: str, data: st.DataObject) -> None:
    value = data.draw(VALID[kind])
    for end in range(1, len(value)):
        parsed = parse(kind, value[:end])
        assert parsed.state in ("not complete", "ok"), (value[:end], parsed.message)
        if parsed.completion and kind != "link-service":
            assert value[:end] + parsed.completion == value[: end + len(parsed.completion)]


@KINDS
@given(text=DRAWN)
@example(text="/subscriptions//providers//providers/")
@settings(max_examples=60)
def test_any_text_gets_a_clean_answer(kind: str, text: str) -> None:
    parsed = parse(kind, text)
    assert parsed.ok == (parsed.message is None) == bool(parsed.normalized)
    shown = [parsed.message or "", parsed.next, parsed.note, parsed.completion, *(part.value for part in parsed.parts)]
    for char in "".join(shown):
        assert unicodedata.category(char) not in ("Cc", "Cs", "Co", "Zl", "Zp"), (text, shown)
        assert char not in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\ufeff"
    if parsed.ok and kind not in SECRET_KINDS:
        again = parse(kind, parsed.normalized)
        assert again.ok, (text, again)
        assert again.normalized == parsed.normalized
