"""The real `az` and the wizard on the same Azure: what one has made the other recognises, and the plan's commands work.

Commands are taken from what `run` says. Under a fault it shows a plan and can't carry it out: then they are pasted.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from state.problem import EXIT_NOT_YET
from tests.az_cli import Az, az_path
from tests.end_to_end.harness import Answer, Machine, finishes
from tests.end_to_end.in_azure import ENDPOINT, WRITES, ZONE, Info, require_end_state, written
from wizard.sandbox.faults import ARM_FORBIDDEN, POLICY_DENIED
from wizard.sandbox.info import parse

pytestmark = pytest.mark.slow


def az_at(machine: Machine, info: Info) -> Az:
    return Az(az_path(), machine.home, parse(json.dumps(info)))


def hosts_of(info: Info) -> tuple[str, str]:
    return info["hosts"]["dpm"], info["hosts"]["minio"]


def test_what_az_has_made_is_already_so(machine4: Machine):
    """By names that az's user chose, not ours: the NIC's and the links' are others."""
    with machine4.sandbox(azure=True) as info:
        az = az_at(machine4, info)
        az.log_in()
        group = ("-g", info["resource_group"])
        az(
            *("network", "private-endpoint", "create", *group, "-n", "pe-dpe-weu", "-l", info["location"]),
            *("--subnet", info["subnet_id"], "--private-connection-resource-id", info["alias"]),
            *("--connection-name", "dpe", "--manual-request", "true"),
        )
        dns = ("network", "private-dns")
        for host in hosts_of(info):
            az(*dns, "zone", "create", *group, "-n", host)
            az(*dns, "link", "vnet", "create", *group, "-z", host, "-n", "mine", "-v", info["vnet_id"], "-e", "false")
            az(*dns, "record-set", "a", "add-record", *group, "-z", host, "-n", "@", "-a", "10.60.1.4")
        by_az = written(info)

        done = finishes(machine4, info, info["answers_file"])
        assert "Step 3 pe-weu: Create Private Endpoint: plan\n  = endpoint pe-dpe-weu in westeurope" in done.err
        assert "  + field Private IP: 10.60.1.4, from Azure" in done.err
        assert f"  + field Resource ID: /subscriptions/{info['subscription_id']}/" in done.err
        assert "Step 5 dpe-01 pe-weu: DNS records: plan, already so" in done.err
        assert written(info) == by_az, "nothing was written by us"
        assert {event["data"]["step"] for event in machine4.events("demo", "change_started")} == {"update-dpe"}
        require_end_state(info, "pe-dpe-weu", hosts_of(info))


def test_the_plans_commands_do_what_the_plan_says(machine4: Machine):
    with machine4.sandbox(ARM_FORBIDDEN, azure=True) as info:
        refused = machine4.run("demo", Path(info["answers_file"]))
        assert refused.code == EXIT_NOT_YET, refused.all
        create = commands(refused)
    assert [command.split()[1:4] for command in create] == [["network", "private-endpoint", "create"]]
    with machine4.sandbox(azure=True) as info:
        az = az_at(machine4, info)
        az.log_in()
        for command in create:
            az.pasted(command)

    with machine4.sandbox(POLICY_DENIED, azure=True) as info:
        denied = machine4.run("demo", Path(info["answers_file"]))
        assert denied.code == EXIT_NOT_YET, denied.all
        assert "Step 3 pe-weu: Create Private Endpoint: observed" in denied.err
        records = commands(denied)
    assert {" ".join(command.split()[1:3]) for command in records} == {"network private-dns"}
    with machine4.sandbox(azure=True) as info:
        for command in records:
            az.pasted(command)
        by_az = written(info)
        # Ours were refused, both of them: for want of a right, and by the policy.
        refused_ones = [(kind, status) for _, kind, status in by_az if status >= 400]
        assert refused_ones == [(ENDPOINT, 403), (ZONE, 403)]
        done = finishes(machine4, info, info["answers_file"])
        assert "Step 5 dpe-01 pe-weu: DNS records: plan, already so" in done.err
        assert written(info) == by_az
        require_end_state(info, "pe-dpe-weu", hosts_of(info))
    assert {kind for _, kind, _ in by_az} == set(WRITES)


def commands(answer: Answer) -> list[str]:
    """The `az` commands that were shown, as they would be copied."""
    return [line.removeprefix("  $ ") for line in answer.err.splitlines() if line.startswith("  $ az ")]
