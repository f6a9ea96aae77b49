from __future__ import annotations

import shlex
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wizard.portal_commands import LONGEST, PortalCommands, parse_portal_commands
from wizard.secret import Secret

TOKEN = "Qm9-x.7/8Tz+Kd2pW4v"
LOGIN = f"helm registry login registry.example.com -u dpe-user -p {TOKEN}"
UPGRADE = "helm upgrade --install dpe-01 oci://registry.example.com/helm/one-dpe --version 15.4.1 -f values.yml"

WHOLE = PortalCommands(
    registry="registry.example.com",
    username="dpe-user",
    token=Secret(TOKEN),
    release="dpe-01",
    chart="oci://registry.example.com/helm/one-dpe",
    version="15.4.1",
    values_file="values.yml",
    looks_like_commands=True,
)


@pytest.mark.parametrize(
    "text",
    [
        f"{LOGIN}\n{UPGRADE}",
        f"{UPGRADE}\n\n{LOGIN}\n",
        f"$ {LOGIN}\n$ {UPGRADE}",
        f"# {LOGIN}\n# {UPGRADE}",
        f"PS C:\\Users\\me> {LOGIN}\nPS C:\\Users\\me> {UPGRADE}",
        f"me@host:~/dpe$ {LOGIN}\nme@host:~/dpe$ {UPGRADE}",
        f"```bash\n{LOGIN}\n{UPGRADE}\n```",
        f"`{LOGIN}`\n`{UPGRADE}`",
        f"1. Log in, don't wait:\n{LOGIN}\n# it's a comment\nThen install or upgrade:\n{UPGRADE}\nThen wait.",
        f"{LOGIN} && {UPGRADE}",
        f"{LOGIN} # don't share\n{UPGRADE} # then",
        LOGIN.replace(" -", " \\\n  -") + "\n" + UPGRADE.replace(" -", " \\\n    -"),
        LOGIN.replace(" -", " ^\r\n  -") + "\r\n" + UPGRADE.replace(" -", " ^\r\n    -"),
        LOGIN.replace(" -", " `\n  -") + "\n" + UPGRADE.replace(" -", " `\n    -"),
        LOGIN.replace(" -", "\n-") + "\n" + UPGRADE.replace(" oci", "\noci").replace(" values", "\nvalues"),
        f"{LOGIN}\n{UPGRADE}".replace("-u ", "--username=").replace("-p ", "--password=").replace("-f ", "--values="),
        f"{LOGIN}\n{UPGRADE}".replace("-u ", "-u").replace("-p ", "-p").replace("-f ", "-f"),
        f"{LOGIN}\n{UPGRADE}".replace("--install", "-i"),
        f"{LOGIN}\n{UPGRADE}".replace("--", "—"),
        f"{LOGIN}\n{UPGRADE}".replace("-p ", "-p “").replace(TOKEN, TOKEN + "”").replace("values.yml", "‘values.yml’"),
        f"{LOGIN}\n{UPGRADE}".replace(" ", "\u00a0"),
        f"\ufeff{LOGIN}\n{UPGRADE}\u200b",
        f"printf %s '{TOKEN}' | {LOGIN.partition(' -p')[0]} --password-stdin\n{UPGRADE}",
        f'echo -n "{TOKEN}" | {LOGIN.partition(" -p")[0]} --password-stdin\n{UPGRADE}',
        f"sudo {LOGIN}\nHELM_EXPERIMENTAL_OCI=1 {UPGRADE}",
        f"{LOGIN}\n{UPGRADE} --create-namespace --wait",
        f"{LOGIN}\n{UPGRADE}".replace("login registry", "login https://registry"),
    ],
)
def test_takes_the_values_out(text: str) -> None:
    assert parse_portal_commands(text) == WHOLE


def test_one_command_alone() -> None:
    found = parse_portal_commands(UPGRADE + " --namespace=dpe --timeout 600s")
    assert (found.release, found.namespace, found.timeout) == ("dpe-01", "dpe", "10m")
    assert found.registry is None
    assert found.token is None
    assert found.problems == (), "without a login, no token is missing"
    found = parse_portal_commands(LOGIN)
    assert (found.registry, found.chart, found.problems) == ("registry.example.com", None, ())


def test_the_document_as_it_is_names_each_placeholder() -> None:
    found = parse_portal_commands(
        "helm registry login registry.example.com -u $(ImageRegistryCredentials.username) -p <private_access_token>\n"
        "helm upgrade --install $(label) oci://registry.example.com/helm/one-dpe"
        " --version $(chartVersion) -f <values.yml>"
    )
    assert found.registry == "registry.example.com"
    assert found.chart == "oci://registry.example.com/helm/one-dpe"
    assert (found.username, found.token, found.release, found.version, found.values_file) == (None,) * 5
    told = "\n".join(found.problems)
    for words in (
        "the registry user",
        "Copy token to clipboard",
        "the release name",
        "the chart version",
        "Download values.yml",
    ):
        assert words in told


@pytest.mark.parametrize(
    ("added", "told"),
    [
        ("--set a.b=c", "--set a.b=c"),
        ("--set=a.b=c", "--set a.b=c"),
        ("--atomic", "--atomic"),
        ("--kube-context prod", "--kube-context prod"),
        ("-f second.yml", "-f second.yml"),
        ("--set db.password=hunter2", "--set db.password=********"),
        (f"--set x={TOKEN}", "--set x=********"),
        ("another", "word another"),
        ("&& kubectl get pods", "command kubectl"),
        ("| tee log", "command tee"),
    ],
)
def test_what_is_not_taken_over_is_told(added: str, told: str) -> None:
    found = parse_portal_commands(f"{LOGIN}\n{UPGRADE} {added}")
    assert found.unknown == (told,)
    assert found.release == "dpe-01"
    assert found.values_file == "values.yml"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (LOGIN.partition(" -p")[0], "the token is not in the command"),
        (f'printf %s "$TOKEN" | {LOGIN.partition(" -p")[0]} --password-stdin', "the token is not in the command"),
        (f"$env:TOKEN | {LOGIN.partition(' -p')[0]} --password-stdin", "the token is not in the command"),
        (f"{LOGIN}\n{UPGRADE.replace('oci://registry', 'oci://other')}", "the login is for registry.example.com"),
        (UPGRADE + " --set x='open", "a quote is opened and not closed"),
        (UPGRADE + " --namespace", "there is no value after --namespace"),
        (UPGRADE.replace("dpe-01", '"$LABEL"'), "$LABEL is a variable of your shell"),
        (LOGIN.replace("dpe-user", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc"), "looks like a token"),
        (LOGIN + " " * LONGEST, "far more than two commands"),
    ],
)
def test_problems_are_told(text: str, told: str) -> None:
    found = parse_portal_commands(text)
    assert found.looks_like_commands
    assert any(told in problem for problem in found.problems), found.problems


def test_a_broken_command_does_not_spoil_the_other() -> None:
    found = parse_portal_commands(f"{LOGIN}\n\n{UPGRADE} --set x='open")
    assert found.username == "dpe-user"
    assert found.release is None


def test_what_a_field_would_refuse_is_left_to_the_field() -> None:
    found = parse_portal_commands(UPGRADE.replace("dpe-01", "My_Release").replace("15.4.1", "v15"))
    assert (found.release, found.version, found.problems) == ("My_Release", "v15", ())


def test_a_windows_path_keeps_its_backslashes() -> None:
    found = parse_portal_commands(UPGRADE.replace("values.yml", r"C:\Users\me\values.yml"))
    assert found.values_file == r"C:\Users\me\values.yml"


@pytest.mark.parametrize(
    "text", ["", "internal-ingress", "helm", "helm list", "the helmsman upgrades", "upgrade --install x", "az login"]
)
def test_other_text_is_no_command(text: str) -> None:
    assert parse_portal_commands(text) == PortalCommands()


def test_characters_of_a_token_survive_quoting() -> None:
    token = "a#b$c\"d'e\\f g|h;i&j"
    found = parse_portal_commands(f"helm registry login r.example.com -u u -p {shlex.quote(token)}")
    assert found.token == Secret(token)


TOKENS = st.text(string.ascii_letters + string.digits + "+/=_.#$@!", min_size=12, max_size=80)


@given(TOKENS, st.sampled_from(["-p {}", "--password {}", "--password={}", "-p{}"]), st.text(max_size=30))
def test_the_token_is_nowhere_but_in_the_secret(token: str, form: str, noise: str) -> None:
    login = f"helm registry login r.example.com -u user {form.format(shlex.quote(token))}"
    found = parse_portal_commands(f"{login}\n{UPGRADE} --set x={shlex.quote(token)} {noise}")
    assert token not in repr(found)
    assert token not in " ".join(found.unknown + found.problems)


PIECES = st.lists(
    st.one_of(
        st.text(max_size=6),
        st.sampled_from(
            [
                LOGIN,
                UPGRADE,
                "\n",
                " ",
                "'",
                '"',
                "\\",
                "`",
                "|",
                "&&",
                "-p",
                "--set",
                "=",
                "$(",
                "<",
                "#",
                "\x1b[31m",
                "\ud800",
                "helm upgrade",
                "helm registry login",
            ]
        ),
    )
).map("".join)


@given(PIECES)
def test_any_text_gets_clean_lines(text: str) -> None:
    found = parse_portal_commands(text)
    values = [
        found.registry,
        found.username,
        found.release,
        found.chart,
        found.version,
        found.namespace,
        found.values_file,
    ]
    for line in (*found.unknown, *found.problems, *(value for value in values if value)):
        assert line.isprintable() or "\u3000" in line or not line.isascii()
        assert "\x1b" not in line
        assert "\n" not in line


@pytest.mark.parametrize(
    "piece", ["'", "helm upgrade ", "\\\n", "helm upgrade x |", "`", "$ ", "helm registry login -p", "a "]
)
def test_a_long_paste_ends(piece: str) -> None:
    """A quadratic rule would show as a suite that does not end."""
    parse_portal_commands("helm upgrade " + piece * ((LONGEST - 13) // len(piece)))
    parse_portal_commands("helm upgrade " + piece * (2_000_000 // len(piece)))
