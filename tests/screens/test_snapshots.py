"""Every screen as it is drawn, at two sizes, without colours and in the light ones, compared with what was looked at.

`make snapshots` accepts what is drawn now; the difference in git is then to be read like code.
"""

from __future__ import annotations

import os
import random
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Button

from screens.app import WizardApp
from screens.chrome import Choice
from screens.dialogs import Ask, Choose, CopySheet, Note
from screens.file_picker import PickFile
from screens.home import HomePage
from screens.list_picker import PickListed
from screens.log import LogPage
from screens.page import Sheet
from screens.preflight import PreflightPage
from screens.resume import ResumePage
from screens.sign_in import SignInSheet
from state.problem import EXIT_BAD, Problem
from tests.screens.at_step import VALUES as VALUES_FILE
from tests.screens.at_step import AtStep, at_step, attested, done_before_seven
from tests.screens.harness import LARGE, SMALL, out_of_view, places_in, settled, shown, text_of, until
from tests.screens.snapshots import ACCEPT, MONOTONIC, STORED, accepting, cut, difference, drawn, still
from tests.setups import DPM, MINIO, VALUES, make_setup
from tests.setups import SUBSCRIPTION as SUBSCRIPTION_ID
from tests.wizard.azure_world import ADA, World
from tests.wizard.engine import DNS, ENDPOINT, GUIDE, MARK, TOKEN, UPDATE, Cluster, Helm, Resolver, release, step_of
from tests.wizard.listed_world import FORBIDDEN
from wizard import opening
from wizard.azure import SignInPrompt
from wizard.doctor import OK
from wizard.guide import Listed, Moment
from wizard.guides import DEFAULT
from wizard.listing import COULD_NOT_LOOK, LOOKING, Known, row_of
from wizard.open_setup import OpenSetup, new_setup
from wizard.ports import Readers, Writers
from wizard.safe_yaml import load_typed
from wizard.sign_in import SigningIn
from wizard.work import ACTING, Work

# The whole app for every test: these run in `make test-slow` and CI.
pytestmark = pytest.mark.slow

SIZES = (LARGE, SMALL)
STATES = (
    "home-empty", "home", "new", "preflight", "step-1-empty", "step-3-typed", "step-5-bad", "step-7-ready",
    "step-7-confirm", "step-7-running", "step-7-failed", "step-8-unproven", "resume", "review", "help", "log",
    "evidence", "note", "ask", "choose", "copy", "pick-file", "pick-listed", "pick-refused", "sign-in", "signed-in",
)  # fmt: skip
LOOKS = ("mono", "light")

# A directory's name is random and yet as wide each time, of letters that no screen holds side by side.
LETTERS = "QXZ"
LENGTH = 8


def renamed(text: str) -> str:
    """The text with `q` for each letter of the random name, also where only a part of it is drawn."""
    return re.sub(rf"[{LETTERS}]{{2,}}", lambda found: "q" * len(found.group()), text)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home with nothing in it, and nothing of the machine that runs the tests."""
    while True:
        home = Path("/tmp") / f"plw-{''.join(random.choices(LETTERS, k=LENGTH))}"
        try:
            home.mkdir(mode=0o700)
        except FileExistsError:
            continue
        break
    for name in ("HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(home))
    for name in ("KUBECONFIG", "COLORFGBG", "NO_COLOR", "PRIVATELINK_THEME", "XDG_DOWNLOAD_DIR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "PATH": str(home / "bin"), "TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    # What is true of this terminal and this machine's memory differs from machine to machine.
    monkeypatch.setattr("wizard.doctor._terminal", lambda: (OK, "120×40, xterm-256color", ""))
    monkeypatch.setattr("wizard.doctor._memory", lambda: (OK, "helm's login file stays in memory", ""))
    try:
        with still(monkeypatch):
            yield home
    finally:
        shutil.rmtree(home)


@pytest.fixture(params=LOOKS)
def look(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Without any colour, and in light colours."""
    if request.param == "mono":
        monkeypatch.setenv("NO_COLOR", "1")
    else:
        monkeypatch.setenv("PRIVATELINK_THEME", request.param)
    return str(request.param)


class Album:
    """Takes the pictures of one test, and tells at its end what differs."""

    def __init__(self, home: Path, look: str) -> None:
        self.home = home
        self.look = look
        self.faults: list[str] = []

    async def take(self, name: str, app: WizardApp, pilot: Pilot[int]) -> None:
        """The screen at both sizes; then whether everything in it can be reached and is whole."""
        assert name in STATES
        for width, height in SIZES:
            await self._resize(app, pilot, width, height)
            where = f"{name}.{width}x{height}.{self.look}"
            self.faults += [one for one in [difference(where, drawn(app, renamed))] if one]
            self.faults += [f"{where}: cut: {one}" for one in cut(app)]
        # The focus goes round at the end, and in one look: it commits what was being typed.
        if self.look == "mono":
            for width, height in reversed(SIZES):
                await self._resize(app, pilot, width, height)
                self.faults += [f"{name} {width}x{height}: out of view: {one}" for one in await out_of_view(app, pilot)]
        await self._resize(app, pilot, *LARGE)

    async def _resize(self, app: WizardApp, pilot: Pilot[int], width: int, height: int) -> None:
        if app.size != (width, height):
            await pilot.resize_terminal(width, height)
            await until(pilot, lambda: app.screen.size == (width, height))
        assert await settled(pilot)


@pytest.fixture
def album(here: Path, look: str) -> Iterator[Album]:
    """What was taken is compared at the end, so that one run tells every difference."""
    found = Album(here, look)
    yield found
    assert not found.faults, "\n".join(["", *found.faults])


# ---------------------------------------------------------------- the screens


def read(app: WizardApp) -> bool:
    """Whether home has read the setups."""
    return isinstance(app.screen, HomePage) and "reading" not in text_of(app).splitlines()[0]


async def press(app: WizardApp, pilot: Pilot[int], name: str) -> None:
    """Presses a choice of the screen on top."""
    next(one for one in app.screen.query(Button) if one.name == name).press()
    await pilot.pause()


async def test_home_empty_and_new(here: Path, album: Album):
    async with shown(places_in(here)) as (app, pilot):
        await until(pilot, lambda: read(app))
        await album.take("home-empty", app, pilot)
        await press(app, pilot, "new")
        await until(pilot, lambda: not isinstance(app.screen, HomePage))
        await app.workers.wait_for_complete()
        await album.take("new", app, pilot)


async def test_home(here: Path, album: Album):
    make_setup(here / "real", "prod-weu")
    make_setup(here / "sandbox", "rehearsal", 25)
    broken = make_setup(here / "real", "torn-weu", 30)
    lines = broken.read_bytes().splitlines(keepends=True)
    broken.write_bytes(b"".join(lines[:5] + lines[6:]))
    async with shown(places_in(here)) as (app, pilot):
        await until(pilot, lambda: read(app))
        await album.take("home", app, pilot)


async def test_preflight(here: Path, album: Album):
    config = here / "kubeconfig"
    config.write_text("current-context: aks-prod\ncontexts: [{name: aks-prod}]\n")
    config.chmod(0o600)
    places = places_in(here)
    setup = await new_setup(places, "prod-weu", DEFAULT, "self-service", {"kubeconfig": str(config)})
    setup.session.readers = Readers(cluster=Cluster(), azure=World())
    async with shown(places) as (app, pilot):
        app.hold(setup)
        app.push_screen(PreflightPage())
        await until(pilot, lambda: "Rights" in text_of(app) and "looked" in text_of(app))
        await album.take("preflight", app, pilot)


async def test_signing_in(here: Path, album: Album):
    """Over step 3: the page and the code while somebody is waited for, then who it was."""
    signing = SigningIn("device-code", begun=MONOTONIC - 72)
    signing.prompt = SignInPrompt("https://microsoft.com/devicelogin", "E7KQ4RT2X")
    async with at_step(here, ENDPOINT, attested("register")) as at:
        sheet = SignInSheet(signing)
        at.app.push_screen(sheet)
        await at.until(lambda: at.app.screen is sheet and "1 min 12 s" in at.text)
        await album.take("sign-in", at.app, at.pilot)
        signing.end(ADA)
        await at.until(lambda: "[ Go on ]" in at.text)
        await album.take("signed-in", at.app, at.pilot)


async def test_review(here: Path, album: Album):
    journal = make_setup(here / "real", "prod-weu", 40)
    async with shown(places_in(here), opening.Review(str(journal))) as (app, pilot):
        await until(pilot, lambda: "READ-ONLY" in text_of(app))
        await album.take("review", app, pilot)


# ---------------------------------------------------------------- steps

MODIFIED = 1_795_100_000
"""Seconds since 1970: a few days before the still moment."""
ALIAS_SO_FAR = "dpe.3f0e1a52-6f6f-4a67-9a76-1f7c2b1d0c11.westeurope.azure.priv"
VNET = f"/subscriptions/{SUBSCRIPTION_ID}/resourceGroups/rg-net/providers/Microsoft.Network/virtualNetworks/vnet-weu"


async def test_steps_1_and_3_and_the_sheets(here: Path, album: Album):
    def typed(setup: OpenSetup) -> None:
        session = setup.session
        for kind, name in (("subscription", "main"), ("endpoint", "pe-weu")):
            session.add_item(kind, name)
        left_out = ("link_service", "subnet", "endpoint_id")
        for owner, key, text in VALUES:
            if owner is not None and not owner.startswith("dpe") and key not in left_out:
                session.set_field(owner, key, text)

    async with at_step(here, None, typed) as at:
        await album.take("step-1-empty", at.app, at.pilot)
        await album_of_step_3(album, at)


async def album_of_step_3(album: Album, at: AtStep) -> None:
    """Step 3 half typed, help over it, and each sheet over it."""
    await at.step(ENDPOINT)
    (await at.at("subnet")).fill(VNET)
    await at.quiet()
    (await at.at("link_service")).fill(ALIAS_SO_FAR)
    await at.quiet()
    await album.take("step-3-typed", at.app, at.pilot)
    await at.press("f1")
    await at.sheet()
    await album.take("help", at.app, at.pilot)
    await at.press("escape")
    await at.alone()
    for name, sheet in sheets(album.home).items():
        at.app.push_screen(sheet)
        await at.until(lambda one=sheet: at.app.screen is one and one.is_mounted)  # type: ignore[misc]
        await at.app.workers.wait_for_complete()
        await album.take(name, at.app, at.pilot)
        await at.press("escape")
        await at.alone()


def sheets(home: Path) -> dict[str, Sheet]:
    """A sheet of each kind."""
    downloads = home / "downloads"
    (downloads / "charts").mkdir(parents=True)
    os.utime(downloads / "charts", (MODIFIED,) * 2)
    for number, name in enumerate(("values.yml", "old-values.yaml", "notes.txt")):
        (downloads / name).write_text("x" * 4000 * (number + 1))
        os.utime(downloads / name, (MODIFIED - number * 86_400,) * 2)
    problem = Problem(
        "login-refused",
        "The registry registry.example.com refused the token.",
        means="The token may have expired, or it belongs to another user than dpe-user.",
        todo="Get a new token in the portal and paste it; nothing was changed.",
        detail="Error: login attempt failed with status: 401 Unauthorized\nhelm.go:86: [debug] denied: wrong token",
        exit_code=EXIT_BAD,
    )
    again = Choice("again", "Try again", "Try again: asks the registry once more.")
    return {
        "note": Note(problem, (again,)),
        "ask": Ask(
            "Name of the Private Endpoint in this setup",
            "Name",
            lambda text: (text != "PE", "wrong" if text == "PE" else "ok", "small letters, digits and -"),
            value="PE",
            body=["It is only what this setup calls it."],
        ),
        "choose": Choose("Go to", [(str(number), f"{number} Step {number}") for number in range(1, 9)], here="3"),
        "copy": CopySheet(f"az network private-endpoint show --ids {VNET}\n  --query name", "Sent to wl-copy."),
        "pick-file": PickFile("Values file", value=f"{downloads}/"),
        "pick-listed": picking(LOOKING, begun=MONOTONIC - 3),
        "pick-refused": picking(COULD_NOT_LOOK, problem=FORBIDDEN, rows=()),
    }


def picking(state: str, **changes: Any) -> PickListed:
    """The picker of VNets, in one state of their list."""
    lists = step_of(GUIDE, "endpoint").fields[2].lists
    assert lists is not None
    other = "/subscriptions/0d2b5a1c-6f0e-4a77-8c39-2e4b1f5d9a60/resourceGroups/rg-hub/providers/x/virtualNetworks/hub"
    rows = (
        Listed(VNET, "vnet-weu", ("10.20.0.0/16", "200", "westeurope", "rg-net", "")),
        Listed(f"{VNET}-old", "vnet-weu-old", ("10.21.0.0/16 +1", "0", "westeurope", "rg-net", ""), "no free address"),
        Listed(other, "hub", ("10.0.0.0/16", "61,024", "westeurope", "rg-hub", "Shared hub"), "own DNS servers"),
    )
    known = Known(lists, state=state, rows=tuple(map(row_of, rows)), who="ada@example.com")
    shown_now = replace(known, **changes)
    return PickListed("VNet", lambda _: shown_now, lambda: shown_now)


async def test_step_5(here: Path, album: Album):
    public = Resolver(dict.fromkeys((DPM, MINIO), ("20.61.99.7",)))
    async with at_step(here, DNS, attested("resource-id"), readers=Readers(dns=public)) as at:
        await at.press("ctrl+r")
        await at.until(lambda: not at.page.model.work or not at.page.model.work.running)
        await at.until(lambda: at.page.model.callout is not None)
        await at.app.workers.wait_for_complete()
        await album.take("step-5-bad", at.app, at.pilot)
        await at.press("f4")
        await at.sheet()
        await album.take("evidence", at.app, at.pilot)
        await at.press("escape")
        await at.alone()
        at.app.push_screen(ResumePage())
        await at.until(lambda: isinstance(at.app.screen, ResumePage) and "[ " in at.text)
        await album.take("resume", at.app, at.pilot)


def running() -> Work:
    """A helm that has been at it for 72 seconds."""
    work = Work(UPDATE, ACTING, "upgrade dpe-01 to 16.2.0", since="2026-11-23T12:01:52.000000Z", begun=MONOTONIC - 72)
    work.timeout = 900.0
    for text in ("Checking the cluster", "Logging in to the registry", "Running helm upgrade"):
        work.report(Moment("phase", text))
    for phase, (begun, ended) in zip(work.phases, ((72, 70), (70, 66), (66, None)), strict=True):
        phase.begun, phase.ended = MONOTONIC - begun, MONOTONIC - ended if ended else None
    work.report(Moment("wait", "Deployment dpe: image is being pulled", 0, 1))
    work.report(Moment("wait", "StatefulSet minio", 1, 1))
    for number in range(20):
        work.report(Moment("line", f"client.go:{number + 300}: [debug] beginning wait for {number} resources"))
    return work


async def test_step_7(here: Path, album: Album):
    readers, writers = Readers(helm=Helm(), cluster=Cluster()), Writers(helm=Helm())

    def ready(setup: OpenSetup) -> None:
        done_before_seven(setup)
        setup.hold_secret("dpe/dpe-01", "token", TOKEN, user="dpe-user")

    async with at_step(here, UPDATE, ready, readers=readers, writers=writers) as at:
        at.setup.plan(UPDATE)
        await at.until(lambda: at.page.model.planned is not None)
        await album.take("step-7-ready", at.app, at.pilot)
        await at.button("do")
        await at.sheet()
        await album.take("step-7-confirm", at.app, at.pilot)
        await at.press("escape")
        await at.alone()
        work = at.setup.work[UPDATE] = running()
        at.app.changed()
        await at.until(lambda: "[ Cancel ]" in at.text)
        await album.take("step-7-running", at.app, at.pilot)
        at.app.push_screen(LogPage(work))
        await at.sheet()
        await at.press("1", "2")
        await album.take("log", at.app, at.pilot)
        await at.press("escape")
        await at.alone()
        work.finish(
            Problem(
                "helm-upgrade-timeout",
                "helm gave up waiting: Deployment dpe has 0 of 1 pods ready.",
                means="Revision 1 is there and is not finished. The chart's image could not be pulled.",
                todo="Look at the pod's events, then do it again: the next plan starts from here.",
                detail="Error: context deadline exceeded\nImagePullBackOff: registry.example.com/dpe:16.2.0",
            )
        )
        at.app.changed()
        await at.until(lambda: at.page.model.problem is not None)
        await album.take("step-7-failed", at.app, at.pilot)


async def test_step_8(here: Path, album: Album):
    readers = Readers(helm=Helm(release(1), values=load_typed(VALUES_FILE.encode(), "values")), cluster=Cluster())
    async with at_step(here, None, done_before_seven, readers=readers) as at:
        await at.setup.session.look(UPDATE, closes=True)
        await at.step(MARK)
        await at.until(lambda: "[ Go on without proof ]" in at.text)
        await album.take("step-8-unproven", at.app, at.pilot)


# ---------------------------------------------------------------- the snapshots themselves


def test_every_snapshot_belongs_to_a_state():
    wanted = {f"{state}.{width}x{height}.{look}.txt" for state in STATES for width, height in SIZES for look in LOOKS}
    assert {path.name for path in STORED.iterdir()} == wanted


def test_nobody_accepts_unseen(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(ACCEPT, "1")
    for name in ("CI", "PRIVATELINK_NO_SKIPS"):
        with monkeypatch.context() as patched:
            patched.setenv(name, "1")
            with pytest.raises(pytest.fail.Exception, match="looked at it"):
                accepting()
