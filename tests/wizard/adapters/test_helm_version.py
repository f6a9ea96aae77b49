"""A helm that is none, too old, broken or stuck."""

from __future__ import annotations

from pathlib import Path

import pytest

from state.problem import EXIT_NOT_YET, Problem
from wizard.adapters import helm as helm_adapter
from wizard.adapters.helm import HelmLooker
from wizard.adapters.helm_acting import HelmActor
from wizard.adapters.helm_commands import HelmConfig
from wizard.adapters.sdk_process import SdkProcess
from wizard.ports import HelmVersion


def looker(helm: Path, run_dir: Path, sdk: SdkProcess) -> HelmLooker:
    return HelmLooker(HelmConfig(helm=helm, kubeconfig=None, kube_context=None, ca_file=None, run_dir=run_dir), sdk)


async def test_the_real_ones(helm, tmp_path, sdk):
    found = await looker(helm, tmp_path, sdk).version()
    assert str(found) == helm.parent.name.removeprefix("helm-")
    assert found.path == str(helm)


@pytest.mark.parametrize(
    ("says", "code"),
    [
        ("echo v3.7.2+g663a896", "helm-too-old"),
        ("echo 'Client: v2.17.0+ga690bad'; exit 1", "helm-too-old"),
        ("echo GNU Emacs 29", "helm-not-helm"),
        ("kill -SEGV $$", "helm-not-helm"),
        ("yes", "helm-silent"),
        ("sleep 600", "helm-silent"),
    ],
)
async def test_not_usable(says, code, script, tmp_path, monkeypatch, sdk):
    if code == "helm-silent":
        monkeypatch.setattr(helm_adapter, "_VERSION_TIMEOUT", 0.5)
    with pytest.raises(Problem) as caught:
        await looker(script(says), tmp_path, sdk).version()
    assert (caught.value.code, caught.value.exit_code) == (code, EXIT_NOT_YET)


async def test_not_there_not_executable_not_a_program(tmp_path, sdk):
    text = tmp_path / "text"
    text.write_text("hello")
    garbage = tmp_path / "garbage"
    garbage.write_bytes(b"\x7fELF nonsense")
    garbage.chmod(0o755)
    for path, code in (
        (tmp_path / "none", "helm-missing"),
        (text, "helm-not-executable"),
        (garbage, "helm-not-startable"),
    ):
        with pytest.raises(Problem) as caught:
            await looker(path, tmp_path, sdk).version()
        assert caught.value.code == code


async def test_asked_once(script, tmp_path, sdk):
    path = script(f"echo x >> {tmp_path}/asked; echo v3.19.0")
    one = looker(path, tmp_path, sdk)
    assert await one.version() == await one.version() == HelmVersion(3, 19, 0, str(path))
    assert (tmp_path / "asked").read_text() == "x\n"


def test_a_looker_has_no_method_that_changes_anything():
    methods = {name for name in dir(HelmLooker) if not name.startswith("_")}
    assert methods == {"version", "history", "values", "commands_shown", "way_out_shown"}
    assert methods.isdisjoint(name for name in dir(HelmActor) if not name.startswith("_"))
