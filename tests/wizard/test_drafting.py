"""The line under a field at every key: state, message, completion, offers; and what a values file is found to hold."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from state.events import Data, FieldSet, FileFacts
from state.problem import Problem
from state.snapshot import Snapshot
from tests.setups import ALIAS, DPM, ENDPOINT_ID, MINIO, SUBNET, SUBSCRIPTION, VALUES
from tests.wizard.engine import DNS, GUIDE, UPDATE, items, snapshot_of, view_of
from wizard.drafting import Drafted, drafted, examined_file
from wizard.offers import Offer, Offers
from wizard.view import View

OTHER = "0d2b5a1c-6f0e-4a77-8c39-2e4b1f5d9a60"
TOKEN = "q8Zk3Vt0Xw1Lr9Bn4Ms7Ty2Pd6Hf5Jc0Gv8Ka+ACRDtQx3"
ITEMS = items("subscription/main", "endpoint/pe-weu", "dpe/dpe-01", links=[("dpe/dpe-01", "endpoint/pe-weu")])
OWNERS = {None: None, "subscription": "subscription/main", "endpoint": "endpoint/pe-weu", "dpe": "dpe/dpe-01"}


def values(*keys: str) -> list[Data]:
    """The usual values of these fields."""
    return [FieldSet(item=owner, field=key, value=value) for owner, key, value in VALUES if key in keys]


def draft(key: str, text: str, snapshot: Snapshot | None = None, offers: tuple[Offer, ...] = ()) -> Drafted:
    field = GUIDE.fields()[key]
    owner = OWNERS[field.owner]
    step = next(step for step in GUIDE.steps if field in step.fields)
    view = View(GUIDE, snapshot or snapshot_of(*ITEMS), step, (owner,) if owner else ())
    return drafted(view, field, owner, text, offers)


# ---------------------------------------------------------------- states


@pytest.mark.parametrize(("key", "value"), [(key, value) for _, key, value in VALUES])
def test_an_ok_value_has_nothing_left_to_say(key: str, value: str):
    found = draft(key, f' "{value}"\n')
    assert (found.state, found.message, found.completion, found.normalized) == ("ok", "", "", value)
    assert {part.state for part in found.parts} == {"ok"}


@pytest.mark.parametrize(
    ("key", "text", "state", "words"),
    [
        ("link_service", "", "empty", "PrivateLink service name"),
        ("link_service", '  ""\n', "empty", "PrivateLink service name"),
        ("subscription_id", SUBSCRIPTION[:-3], "not complete", "add the last 3 of 36 characters"),
        ("endpoint_id", SUBNET, "wrong", "this is the ID of a subnet"),
        ("dpm_host", "https://dpm.example.com/x", "wrong", "this is a URL"),
        ("version", "v16.2.0", "wrong", "without v"),
        ("registry", TOKEN, "wrong", "looks like a token"),
        ("chart", "$(chart)", "wrong", "placeholder"),
        ("timeout", "10", "not complete", "add the unit"),
        ("values_file", "/home/ada/", "not complete", "directory"),
    ],
)
def test_one_line_says_what_comes_next(key: str, text: str, state: str, words: str):
    found = draft(key, text)
    assert found.state == state
    assert words in found.message
    assert not found.message.startswith((f"{state}:", "empty:"))
    assert "\n" not in found.message
    assert found.normalized == found.note == ""


def test_parts_say_what_is_right_so_far():
    found = draft("link_service", ALIAS[:-14])
    assert [(part.name, part.state) for part in found.parts] == [
        ("name", "ok"), ("GUID", "ok"), ("region", "ok"), ("end", "missing"),
    ]  # fmt: skip


def test_a_note_tells_about_an_ok_value():
    assert draft("link_service", ALIAS).note == 'alias of service "dpe" in westeurope'


@pytest.mark.parametrize(
    ("key", "text", "given", "words"),
    [
        ("endpoint_id", ENDPOINT_ID, {"subscription_id": OTHER}, OTHER),
        ("endpoint_id", ENDPOINT_ID, {"resource_group": "rg-other"}, "rg-other"),
        ("subnet", SUBNET, {"vnet": SUBNET.partition("/subnets/")[0] + "-2"}, "vnet-weu-2"),
        ("minio_host", DPM, {"dpm_host": DPM}, "this is the DPM address"),
        ("chart", "oci://other.example.com/dpe", {"registry": "registry.example.com"}, "other.example.com"),
    ],
)
def test_what_disagrees_with_another_field_is_wrong(key: str, text: str, given: dict[str, str], words: str):
    assert draft(key, text).state == "ok", "it is right by itself"
    fields = GUIDE.fields()
    others = [FieldSet(item=OWNERS[fields[other].owner], field=other, value=value) for other, value in given.items()]
    found = draft(key, text, snapshot_of(*ITEMS, *others))
    assert (found.state, found.normalized) == ("wrong", "")
    assert words in found.message


def test_a_rule_looks_at_the_owner_whoever_is_in_view():
    """Of two dpes in view of none, the one that is typed into counts."""
    both = [*ITEMS, *items("dpe/dpe-02"), FieldSet(item="dpe/dpe-02", field="dpm_host", value=DPM)]
    step = GUIDE.step("dns")
    assert step is not None
    view, field = View(GUIDE, snapshot_of(*both), step), GUIDE.fields()["minio_host"]
    assert drafted(view, field, "dpe/dpe-02", DPM).state == "wrong"
    assert drafted(view, field, "dpe/dpe-01", DPM).state == "ok"


def test_a_host_that_the_values_file_lacks_is_noted():
    facts = FileFacts(sha256="0" * 64, hosts=(MINIO,))
    read = FieldSet(item="dpe/dpe-01", field="values_file", value="/values.yml", file=facts)
    assert "not among" in draft("dpm_host", DPM, snapshot_of(*ITEMS, read)).note
    assert draft("minio_host", MINIO, snapshot_of(*ITEMS, read)).note == ""


# ---------------------------------------------------------------- completions and offers

SUGGESTION = (Offer("registry.example.com", "as for dpe-02"),)


@pytest.mark.parametrize(
    ("key", "text", "offers", "tail", "source"),
    [
        ("registry", "regis", SUGGESTION, "try.example.com", "as for dpe-02"),
        ("registry", "REGIS", SUGGESTION, "try.example.com", "as for dpe-02"),
        ("registry", "  regis", SUGGESTION, "try.example.com", "as for dpe-02"),
        ("registry", "regis ", SUGGESTION, "", ""),
        ("registry", '"regis"', SUGGESTION, "", ""),
        ("registry", "registry.example.com", SUGGESTION, "", ""),
        ("registry", "registry.example.com:443", SUGGESTION, "", ""),
        ("registry", "other", SUGGESTION, "", ""),
        ("registry", "registry.e", (Offer("a.b", "x"), *SUGGESTION), "xample.com", "as for dpe-02"),
        ("registry", "", SUGGESTION, "", ""),
        # What is certain by the form goes before what is only likely.
        ("chart", "oci:", (Offer("oci://registry.example.com/dpe", "as for dpe-02"),), "//", ""),
        ("chart", "oci://", (Offer("oci://registry.example.com/dpe", "x"),), "registry.example.com/dpe", "x"),
        ("endpoint_id", "/sub", (), "scriptions/", ""),
        ("link_service", ALIAS[:-14], (), ALIAS[-14:], ""),
        # The rest of an ok value may still be wanted.
        ("version", "16.2.0", (Offer("16.2.0-rc.1", "x"),), "-rc.1", "x"),
        ("endpoint_name", "pe-", (Offer("pe-weu", "x"),), "weu", "x"),
    ],
)
def test_what_right_arrow_appends(key: str, text: str, offers: tuple[Offer, ...], tail: str, source: str):
    found = draft(key, text, offers=offers)
    assert (found.completion, found.completion_source) == (tail, source)


def test_an_id_is_typed_with_right_arrows_alone():
    """From an empty field to the whole ID of the endpoint: first the form, then what the setup knows."""
    snapshot = snapshot_of(*ITEMS, *values("subscription_id", "resource_group", "endpoint_name"))
    field = GUIDE.fields()["endpoint_id"]
    step = GUIDE.step("resource-id")
    assert step is not None
    offers = Offers().of(View(GUIDE, snapshot, step, ("endpoint/pe-weu",)), field, "endpoint/pe-weu")
    text = "/"
    for _ in range(9):
        text += draft("endpoint_id", text, snapshot, offers).completion
    assert text == ENDPOINT_ID
    assert draft("endpoint_id", text, snapshot, offers).state == "ok"


@pytest.mark.parametrize(("key", "value"), [(key, value) for _, key, value in VALUES])
def test_a_completion_never_makes_a_value_wrong(key: str, value: str):
    offers = (Offer(value, "x"),)
    for end in range(1, len(value)):
        found = draft(key, value[:end], offers=offers)
        assert found.completion, value[:end]
        assert draft(key, value[:end] + found.completion).state in ("ok", "not complete")


def test_offers_are_for_an_empty_field():
    assert draft("registry", " ", offers=SUGGESTION).offers == SUGGESTION
    assert draft("registry", "x", offers=SUGGESTION).offers == ()


# ---------------------------------------------------------------- a secret


@pytest.mark.parametrize(
    "text", [TOKEN, f'"{TOKEN}"\n', f"{TOKEN[:20]} {TOKEN[20:]}", f"helm registry login x -p {TOKEN}"]
)
def test_a_token_is_not_repeated(text: str):
    found = draft("token", text, offers=(Offer(text, "x"), Offer(text + "abc", "x")))
    assert found.normalized == found.completion == ""
    assert TOKEN[:20] not in repr(found)
    assert TOKEN[20:] not in repr(found)


def test_what_is_said_about_a_token():
    assert draft("token", "").message == "vendor's portal, Copy token to clipboard"
    found = draft("token", TOKEN, offers=(Offer("x", "x"),))
    assert (found.state, found.note, found.offers) == ("ok", f"{len(TOKEN)} characters, kept in memory only", ())


# ---------------------------------------------------------------- any text

PIECES = st.sampled_from(
    [
        "/subscriptions/", SUBSCRIPTION, "/resourceGroups/", "/providers/Microsoft.Network", "/privateEndpoints/",
        "/virtualNetworks/", "/subnets/", ALIAS[:60], "oci://", "https://", "$(label)", "<token>", "10.0.0.4", "16.2.0",
        "\x1b]0;title\x07", "\x1b[31m", "\x9b1m", "\u202e", "\u200b", "\x00", "\r\n", "\ud800", "helm upgrade x", "…",
    ]
)  # fmt: skip
ANY_TEXT = st.lists(st.one_of(st.text(max_size=12), PIECES), max_size=8).map("".join)
HOSTILE = "\x1b]52;c;AAAA\x07\u202e\x9b2J\nx"


def shown(found: Drafted) -> list[str]:
    offers = [text for offer in found.offers for text in (offer.value, offer.source)]
    parts = [text for part in found.parts for text in (part.name, part.value)]
    rest = [found.state, found.message, found.note, found.completion, found.completion_source]
    return [*rest, *offers, *parts]


@pytest.mark.parametrize("key", list(GUIDE.fields()))
@given(text=ANY_TEXT, forged=st.one_of(st.just(HOSTILE), ANY_TEXT))
@example(text="x" * 5000, forged=HOSTILE)
@settings(max_examples=60)
def test_any_text_gets_lines_that_may_be_drawn(key: str, text: str, forged: str):
    """Also when the other values come from a journal that was edited by hand."""
    owner = OWNERS[GUIDE.fields()[key].owner]
    twins = items("subscription/b", "endpoint/b", "dpe/b")
    others = [
        FieldSet(item=item, field=other, value=forged)
        for other, field in GUIDE.fields().items()
        for item in {owner, OWNERS[field.owner], field.owner and f"{field.owner}/b"}
        if other != key or item != owner
    ]
    facts = FileFacts(sha256="0" * 64, hosts=(forged, DPM))
    others.append(FieldSet(item="dpe/dpe-01", field="values_file", value=f"/{forged}", file=facts))
    snapshot = snapshot_of(*ITEMS, *twins, *others)
    field = GUIDE.fields()[key]
    step = next(step for step in GUIDE.steps if field in step.fields)
    view = View(GUIDE, snapshot, step, (owner,) if owner else ())
    offers = Offers().of(view, field, owner)
    for draft_text in (text, ""):
        found = drafted(view, field, owner, draft_text, offers)
        assert (found.state == "ok") == (found.message == "")
        assert found.state != "ok" or bool(found.normalized) != field.secret
        for line in shown(found):
            for char in line:
                assert unicodedata.category(char) not in ("Cc", "Cs", "Co", "Zl", "Zp"), (key, line)
                assert char not in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\ufeff", (key, line)
    if field.secret:
        assert (found.offers, found.completion) == ((), "")


# ---------------------------------------------------------------- the values file

VALUES_FILE = f"dpm:\n  host: {DPM}\n  port: 443\nminio:\n  url: https://{MINIO}:443/x\nsecret: {TOKEN}\n"


def update_view(*data: Data) -> View:
    return view_of(snapshot_of(*ITEMS, *data), UPDATE)


async def test_what_is_found_in_a_values_file(tmp_path: Path):
    path = tmp_path / "values.yml"
    path.write_text(VALUES_FILE)
    digest = hashlib.sha256(VALUES_FILE.encode()).hexdigest()
    look = await examined_file(update_view(*values("dpm_host", "minio_host")), GUIDE.fields()["values_file"], str(path))
    assert look.path == str(path)
    assert look.facts == FileFacts(sha256=digest, hosts=(DPM, MINIO))
    assert look.lines == (
        f"2 host names: {DPM}, {MINIO}",
        f"sha256 {digest[:4]}…{digest[-4:]}",
        f"{len(VALUES_FILE)} bytes",
    )
    assert look.warnings == ()
    assert TOKEN not in repr(look)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("replicas: 1\n", "no host names"),
        (f"host: {DPM}\n", f"1 host name: {DPM}"),
        (
            "".join(f"h{number}: h{number}.example.com\n" for number in range(6)),
            "6 host names: h0.example.com, h1.example.com, h2.example.com, h3.example.com and 2 more",
        ),
    ],
)
async def test_host_names_are_counted_and_a_few_are_named(content: str, line: str, tmp_path: Path):
    path = tmp_path / "values.yml"
    path.write_text(content)
    look = await examined_file(update_view(), GUIDE.fields()["values_file"], str(path))
    assert look.lines[0] == line


async def test_a_file_that_does_not_name_the_hosts_of_step_5_is_warned_about(tmp_path: Path):
    path = tmp_path / "values.yml"
    path.write_text(f"host: {MINIO}\n")
    view = update_view(*values("dpm_host", "minio_host"))
    look = await examined_file(view, GUIDE.fields()["values_file"], str(path))
    assert look.warnings == (f"step 5's {DPM} is not in it: check that it is the file of this environment",)


async def test_no_warning_for_what_nobody_typed_yet(tmp_path: Path):
    path = tmp_path / "values.yml"
    path.write_text("a: 1\n")
    assert (await examined_file(update_view(), GUIDE.fields()["values_file"], str(path))).warnings == ()


async def test_the_hosts_to_look_for_are_the_guides(tmp_path: Path):
    """Step 5 uses no host name of an earlier step, so nothing is missed there."""
    path = tmp_path / "values.yml"
    path.write_text("a: 1\n")
    view = view_of(snapshot_of(*ITEMS, *values("dpm_host", "minio_host")), DNS)
    assert (await examined_file(view, GUIDE.fields()["values_file"], str(path))).warnings == ()


@pytest.mark.parametrize("spelling", ["'{}'", " {}\n", "~/my values.yml", r"~/my\ values.yml", "my values.yml"])
async def test_the_path_may_be_spelled_as_it_was_pasted(spelling: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "my values.yml"
    path.write_text("a: 1\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    look = await examined_file(update_view(), GUIDE.fields()["values_file"], spelling.format(path))
    assert look.path == str(path)


@pytest.mark.parametrize(
    ("content", "code"),
    [(None, "values-unreadable"), (b"- 1\n", "values-not-a-mapping"), (b"a: " + b"x" * 1_000_001, "values-too-large")],
)
async def test_a_file_that_is_none_raises_its_problem(content: bytes | None, code: str, tmp_path: Path):
    path = tmp_path / "values.yml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Problem) as caught:
        await examined_file(update_view(), GUIDE.fields()["values_file"], str(path))
    assert caught.value.code == code


@pytest.mark.parametrize("path", ["", "/", "\x00", "~nobody-of-that-name/x", "\ud800", "a\nb"])
async def test_an_odd_path_raises_a_problem(path: str):
    with pytest.raises(Problem):
        await examined_file(update_view(), GUIDE.fields()["values_file"], path)


async def test_a_pipe_is_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "values.yml")
    with pytest.raises(Problem):
        await examined_file(update_view(), GUIDE.fields()["values_file"], str(tmp_path / "values.yml"))
