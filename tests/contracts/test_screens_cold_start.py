"""What the screens import, and when: a list of modules at the first frame and at a step, not a timing (section 8)."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

from state.events import EnvironmentSet
from tests.contracts.test_cold_start import among
from tests.sandbox.k8s_cluster import CONTEXT, cluster, write_chart, write_values
from tests.setups import GUIDE, data_of
from tests.state.make_journal import lines_of

# Opens a setup in Textual's headless driver and tells what was loaded at the first frame and at a step.
SCRIPT = """
import asyncio, json, sys
import wizard.cli
from wizard import opening
from wizard.places import places
from screens.app import WizardApp

found = {}
ready = WizardApp.on_ready

def first_frame(app):
    found["frame"] = sorted(sys.modules)
    ready(app)

WizardApp.on_ready = first_frame

async def main():
    app = WizardApp(opening.Resume("prod"), places(None))
    async with app.run_test(size=(120, 40)) as pilot:
        async with asyncio.timeout(30):
            for page, key in (("ResumePage", "ctrl+n"), ("StepPage", None)):
                while type(app.screen).__name__ != page or not app.screen.is_mounted:
                    await pilot.pause(0.02)
                if key:
                    await pilot.press(key)
        await pilot.press("x")
        found["step"] = sorted(sys.modules)
        await app.setup.close()

asyncio.run(main())
print(json.dumps(found))
"""

# Looks at a release and its cluster, and tells what was found and what was loaded.
LOOKS = """
import asyncio, json, sys
import screens.app
from state.events import EnvironmentSet
from wizard.environment import connected

async def main():
    helm, kubeconfig, context = sys.argv[1:]
    async with connected(EnvironmentSet(helm=helm, kubeconfig=kubeconfig, kube_context=context)) as (readers, _):
        history = await readers.helm.history("dpe", "default")
        values = await readers.helm.values("dpe", "default")
        identity = await readers.cluster.identity()
    return {
        "statuses": [one.status for one in history],
        "host": values["dpm"]["host"],
        "server": identity.server,
        "modules": sorted(sys.modules),
    }

print(json.dumps(asyncio.run(main())))
"""

SDKS = ("kubernetes", "azure", "pyhelm3", "aiohttp", "dns", "cryptography", "jinja2", "requests", "urllib3", "pydantic")
OURS_AT_FIRST_FRAME = {"screens", "screens.app", "screens.theme"}
OPENED_LATER = (
    "wizard.guides", "wizard.session", "wizard.open_setup", "wizard.adapters", "wizard.actions", "wizard.rehearsal",
    "state.store", "state.journal", "msgspec", "filelock",
)  # fmt: skip


def loaded(env: dict[str, str]) -> dict[str, list[str]]:
    """The modules loaded at the first frame, and when a step is shown."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_the_first_frame_is_drawn_before_the_rest_is_imported(env: dict[str, str], state_dir: Path):
    real_setup(state_dir)
    frame = loaded(env)["frame"]
    assert {name for name in frame if name.split(".")[0] == "screens"} == OURS_AT_FIRST_FRAME
    assert among(frame, (*SDKS, *OPENED_LATER, "yaml")) == []


def test_a_step_is_shown_without_a_single_sdk(env: dict[str, str], state_dir: Path):
    real_setup(state_dir)
    step = loaded(env)["step"]
    assert among(step, SDKS) == []
    # It was really shown, with the setup opened for writing.
    assert {"screens.step", "screens.field", "wizard.open_setup"} <= set(step)


async def test_the_first_looks_at_a_real_release_load_no_sdk_here(helm: Path, env: dict[str, str], tmp_path: Path):
    """They are in the child; in the process that draws the screens each would stay for as long as it lives."""
    (tmp_path / "cluster").mkdir()
    async with cluster(tmp_path / "cluster") as running:
        chart, values = write_chart(tmp_path, "16.1.0"), write_values(tmp_path)
        installed = await running.run(helm, "install", "dpe", chart, "-f", values, "-n", "default")
        assert installed.code == 0, installed.output
        found = json.loads(await output_of(env, LOOKS, str(helm), str(running.work.kubeconfig), CONTEXT))
        assert (found["statuses"], found["host"], found["server"]) == (["deployed"], "dpm-grpc.acme.test", running.url)
    assert among(found["modules"], SDKS) == []
    assert {"screens.app", "wizard.adapters.helm_exec", "wizard.adapters.cluster_calls"} <= set(found["modules"])


async def output_of(env: dict[str, str], script: str, *arguments: str) -> str:
    """What a script prints in a Python of its own, while this event loop serves what it asks."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        script,
        *arguments,
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(60):
            output, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, errors.decode()
    return output.decode()


def real_setup(state_dir: Path) -> None:
    """`prod` without a sandbox, whose servers would have to be started; of nobody here, so that nothing is asked."""
    data = [one for one in data_of(40) if not isinstance(one, EnvironmentSet)]
    path = state_dir / "setups" / "prod.jsonl"
    path.write_bytes(b"\n".join(lines_of(data, "prod", GUIDE)) + b"\n")
