"""What getent, nslookup and python3 say about a host, and the script that asks them, run by a real shell."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wizard.inside_lookup import (
    GETENT,
    NSLOOKUP,
    PYTHON,
    TOOLS,
    Looked,
    command,
    read,
    read_script,
    require_host,
    script_command,
    script_hosts,
)

HOST = "dpm.acme.test"

BIND = (
    f"Server:\t\t10.96.0.10\nAddress:\t10.96.0.10#53\n\nNon-authoritative answer:\nName:\t{HOST}\nAddress: 10.20.1.7\n"
)
BUSYBOX = (
    "Server:\t\t10.96.0.10\nAddress:\t10.96.0.10:53\n\n"
    f"Name:\t{HOST}\nAddress: 10.20.1.7\nName:\t{HOST}\nAddress: fd00::7\n"
)
OLD_BUSYBOX = (
    "Server:    10.96.0.10\nAddress 1: 10.96.0.10 kube-dns.local\n\n"
    f"Name:      {HOST}\nAddress 1: 10.20.1.7 x.internal\n"
)
GLIBC = f"10.20.1.7       STREAM {HOST}\n10.20.1.7       DGRAM\n10.20.1.7       RAW\nfd00::7         STREAM\n"

SAID: list[tuple[str, str, int, Looked | None]] = [
    (GETENT, GLIBC, 0, Looked(GETENT, ("10.20.1.7", "fd00::7"))),
    (GETENT, f"::ffff:10.20.1.7 STREAM {HOST}\n", 0, Looked(GETENT, ("10.20.1.7",))),
    (GETENT, "", 2, Looked(GETENT, error="nxdomain")),
    (GETENT, "", 0, Looked(GETENT, error="no answer")),
    (GETENT, "10.20.1.7.5 STREAM\n010.1.1.1 x\n<html> 10.0.0.1\n", 0, Looked(GETENT, error="no answer")),
    (GETENT, "Unknown database: ahosts\n", 1, None),
    (GETENT, "sh: getent: not found", 127, None),
    (GETENT, "OCI runtime exec failed: exec failed: getent", 126, None),
    (NSLOOKUP, BIND, 0, Looked(NSLOOKUP, ("10.20.1.7",))),
    (NSLOOKUP, BUSYBOX, 0, Looked(NSLOOKUP, ("10.20.1.7", "fd00::7"))),
    (NSLOOKUP, OLD_BUSYBOX, 0, Looked(NSLOOKUP, ("10.20.1.7",))),
    # busybox says 1 when there is an A record and no AAAA
    (NSLOOKUP, BUSYBOX + f"*** Can't find {HOST}: No answer\n", 1, Looked(NSLOOKUP, ("10.20.1.7", "fd00::7"))),
    (
        NSLOOKUP,
        f"Address:\t10.96.0.10#53\n\n** server can't find {HOST}: NXDOMAIN\n",
        1,
        Looked(NSLOOKUP, error="nxdomain"),
    ),
    (NSLOOKUP, f"nslookup: can't resolve '{HOST}'\n", 1, Looked(NSLOOKUP, error="nxdomain")),
    (NSLOOKUP, f"** server can't find {HOST}: SERVFAIL\n", 1, Looked(NSLOOKUP, error="servfail")),
    (NSLOOKUP, f"** server can't find {HOST}: REFUSED\n", 1, Looked(NSLOOKUP, error="refused")),
    (NSLOOKUP, ";; connection timed out; no servers could be reached\n", 1, Looked(NSLOOKUP, error="timeout")),
    (NSLOOKUP, f"*** Can't find {HOST}: No answer\n", 1, Looked(NSLOOKUP, error="no data")),
    # the name is there without an A record, and whether it has an AAAA one nobody said
    (
        NSLOOKUP,
        f"*** Can't find {HOST}: No answer\n;; connection timed out; no servers could be reached\n",
        1,
        Looked(NSLOOKUP, error="timeout"),
    ),
    (
        NSLOOKUP,
        f"*** Can't find {HOST}: No answer\nName:\t{HOST}\nAddress: fd00::7\n",
        0,
        Looked(NSLOOKUP, ("fd00::7",)),
    ),
    (NSLOOKUP, f"*** Can't find {HOST}: Parse error\n", 1, Looked(NSLOOKUP, error="no answer")),
    (NSLOOKUP, "", 127, None),
    (PYTHON, "10.20.1.7\nfd00::7\n", 0, Looked(PYTHON, ("10.20.1.7", "fd00::7"))),
    (PYTHON, "", 2, Looked(PYTHON, error="nxdomain")),
    (PYTHON, "", 3, Looked(PYTHON, error="no answer")),
    (PYTHON, "", 4, Looked(PYTHON, error="no data")),
    (PYTHON, "SyntaxError", 1, None),
    ("curl", "10.0.0.1", 0, None),
]


@pytest.mark.parametrize(("tool", "output", "code", "expected"), SAID)
def test_what_a_tool_said(tool: str, output: str, code: int, expected: Looked | None):
    assert read(tool, output, code) == expected


@given(st.sampled_from(TOOLS), st.text(), st.integers(0, 255))
def test_nothing_a_tool_says_is_an_error_of_ours(tool: str, output: str, code: int):
    found = read(tool, output, code)
    assert found is None or bool(found.addresses) is not bool(found.error)


def test_a_flood_of_addresses_is_cut():
    found = read(GETENT, "".join(f"10.0.{n // 256}.{n % 256} STREAM\n" for n in range(5000)), 0)
    assert found is not None
    assert len(found.addresses) == 32


@pytest.mark.parametrize(
    "host", ["", "-x.example.com", "a", "a b.com", "a.com;id", "$(id).com", "a.com\n", "10.0.0.1", "A.COM"]
)
def test_only_host_names_become_arguments(host: str):
    with pytest.raises(ValueError, match="host name"):
        require_host(host)
    require_host(HOST)


# ---------------------------------------------------------------- the script


def ran(directory: Path, hosts: tuple[str, ...], **tools: str) -> str:
    """The script's output where PATH has these tools alone, each a line of shell."""
    path = directory / "bin"
    path.mkdir()
    for name, text in tools.items():
        (path / name).write_text(f"#!/bin/sh\n{text}\n")
        (path / name).chmod(0o755)
    shell, *arguments = script_command("mark", hosts)
    assert shell == "sh"
    done = subprocess.run(
        ["/bin/sh", *arguments], env={"PATH": str(path)}, capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stderr == ""
    return done.stdout


def test_the_script_takes_the_first_tool_that_can(tmp_path: Path):
    hosts = (HOST, "minio.acme.test")
    getent = 'if [ "$2" = dpm.acme.test ]; then echo "10.20.1.7 STREAM $2"; else exit 2; fi'
    for name, tools, expected in (
        (
            "all",
            {"getent": getent, "nslookup": "exit 0"},
            (Looked(GETENT, ("10.20.1.7",)), Looked(GETENT, error="nxdomain")),
        ),
        (
            "old",
            {"getent": "exit 1", "nslookup": "echo 'Name: x'; echo 'Address: 10.0.0.9'"},
            (Looked(NSLOOKUP, ("10.0.0.9",)),) * 2,
        ),
        ("py", {"python3": "[ $1 = -c ] && echo 10.0.0.8"}, (Looked(PYTHON, ("10.0.0.8",)),) * 2),
        ("bare", {"python3": "exit 4"}, (Looked(PYTHON, error="no data"),) * 2),
        ("none", {}, (None, None)),
    ):
        directory = tmp_path / name
        directory.mkdir()
        assert read_script(ran(directory, hosts, **tools), "mark", hosts) == dict(zip(hosts, expected, strict=True)), (
            name
        )


def test_the_real_tools_are_understood(tmp_path: Path):
    """localhost is what every machine can look up; it is no host name of a setup, but the script does not care."""
    there = {each: f'exec {found} "$@"' for each in TOOLS if (found := _which(each))}
    assert there, "neither getent nor python3 here"
    looked = read_script(
        ran(tmp_path, ("localhost", "nowhere.invalid"), **there), "mark", ("localhost", "nowhere.invalid")
    )
    local, nowhere = looked["localhost"], looked["nowhere.invalid"]
    assert local is not None
    assert {"127.0.0.1", "::1"} & set(local.addresses)
    assert nowhere is not None
    assert (nowhere.addresses, bool(nowhere.error)) == ((), True)


def test_python_looks_up_as_programs_do():
    done = subprocess.run(
        [sys.executable, *command(PYTHON, "localhost")[1:]], capture_output=True, text=True, timeout=30, check=True
    )
    found = read(PYTHON, done.stdout, done.returncode)
    assert found is not None
    assert set(found.addresses) == {each[4][0] for each in socket.getaddrinfo("localhost", None)}


@pytest.mark.parametrize(
    ("raised", "error"), [("EAI_NONAME", "nxdomain"), ("EAI_NODATA", "no data"), ("EAI_AGAIN", "no answer")]
)
def test_python_tells_a_name_without_addresses_from_silence(tmp_path: Path, raised: str, error: str):
    """The script runs as it is, over a resolver that says this; where a system lacks the code there is none to tell."""
    (tmp_path / "sitecustomize.py").write_text(
        "import socket\nsocket.EAI_NODATA = -5\n"
        "def getaddrinfo(*_):\n"
        f"    raise socket.gaierror(socket.{raised}, 'x')\n"
        "socket.getaddrinfo = getaddrinfo\n"
    )
    done = subprocess.run(
        [sys.executable, *command(PYTHON, HOST)[1:]],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert read(PYTHON, done.stdout, done.returncode) == Looked(PYTHON, error=error)


def _which(tool: str) -> str:
    return next((str(p) for each in os.defpath.split(":") if (p := Path(each or "/bin") / tool).exists()), "")


def test_a_host_cannot_speak_for_another(tmp_path: Path):
    output = "mark a.test getent 0\n10.0.0.1 STREAM\nmark  b.test getent 0\nother b.test getent 0\n10.9.9.9 x\n"
    assert read_script(output, "mark", ("a.test", "b.test")) == {"a.test": Looked(GETENT, ("10.0.0.1", "10.9.9.9"))}
    again = (
        "mark a.test getent 0\n10.0.0.1 STREAM\nmark a.test getent 0\n10.9.9.9 STREAM\nmark c.test getent 0\n1.1.1.1\n"
    )
    assert read_script(again, "mark", ("a.test",)) == {"a.test": Looked(GETENT, ("10.0.0.1",))}


def test_the_script_is_recognised_and_nothing_else():
    hosts = (HOST, "minio.acme.test")
    assert script_hosts(script_command("mark", hosts)) == ("mark", hosts)
    for other in (
        (),
        ("sh", "-c", "id"),
        (*script_command("mark", hosts)[:6],),
        ("sh", "-c", "id", "sh", "m", "r", HOST),
    ):
        assert script_hosts(other) is None
