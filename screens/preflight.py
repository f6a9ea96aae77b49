"""Preflight: can this machine do what a setup asks? Each line turns into its answer as soon as its look ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content

from screens.chrome import Choice, Choices, KeyLine
from screens.dialogs import Ask, Choose, Confirm
from screens.glyphs import style_of
from screens.grid import LABEL, PLAIN, QUIET, STRONG, Lines, heading, ink, join, line, row, under_value, wrapped
from screens.page import Page
from screens.times import when
from state.clock import now
from state.problem import Problem
from wizard.doctor import LOOKS, Line, examine
from wizard.sign_in import CLOUDS, CODES, MANAGED, WAYS, is_tenant, label_of
from wizard.text import one_line

if TYPE_CHECKING:
    from state.events import EnvironmentSet
    from wizard.open_setup import OpenSetup

GO_ON, AGAIN, CLUSTER, CONTEXT, KUBECONFIG, HELM = "go on", "again", "cluster", "context", "kubeconfig", "helm"
AZURE, SIGN_IN, CLOUD, WAY, TENANT = "azure", "sign-in", "cloud", "sign_in", "tenant_id"
WORD = 16


class PreflightPage(Page):
    """Looks at this machine, the cluster and the rights in it, and the sign-in to Azure; changes nothing there."""

    HELP = (
        "Looks whether this machine can do what a setup asks: helm, kubeconfig, cluster, rights, Azure sign-in. "
        "It changes nothing."
    )
    KEYS = (("^r", "look again"), ("esc", "back"), ("^y", "copy"), ("f1", "help"), ("^p", "commands"), ("^q", "quit"))
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+r", "again", "look again", show=False),
        Binding("ctrl+n", "back", "go on", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._found: dict[str, Line] = {}
        self._problem: Problem | None = None
        self._environment: EnvironmentSet | None = None
        self._looked = ""
        self._looking = False

    def compose(self) -> ComposeResult:
        """Where it points, then the lines."""
        yield Lines(self._band, id="band")
        with Vertical(id="main"), VerticalScroll(id="scroll", can_focus=False):
            yield Lines(self._points, id="points", classes="section")
            yield Lines(self._lines, id="looks")
        yield Choices(self._choices())
        yield KeyLine(self.KEYS, "nothing is changed")

    def on_mount(self) -> None:
        """Looks at once."""
        self.query_one(Choices).focus_first()
        self.action_again()

    @property
    def _setup(self) -> OpenSetup | None:
        return self.wizard.setup

    def _choices(self) -> list[Choice]:
        found = [
            Choice(
                GO_ON, "Go on", "Go on: back to where you came from. What is not ready yet can be mended meanwhile."
            ),
            Choice(AGAIN, "Look again", "Look again: asks everything once more."),
        ]
        if self._setup is not None and self._unsigned:
            found.insert(0, Choice(SIGN_IN, "Sign in", "Sign in: to Azure, in the way that is chosen."))
        if self._setup is not None and not self._setup.sandbox:
            found += [
                Choice(CLUSTER, "Cluster", "Cluster: another context of the same kubeconfig, or another file."),
                Choice(HELM, "helm", "helm: another helm than the first on PATH."),
                Choice(AZURE, "Azure", "Azure: another cloud, another way to sign in, another tenant."),
            ]
        return found

    @property
    def _unsigned(self) -> bool:
        """Whether signing in would help."""
        found = self._found.get("azure")
        return found is not None and found.code in CODES

    def _band(self, width: int) -> list[Content]:
        setup = self._setup
        whose = f"for {setup.name}" if setup is not None else "for this machine"
        mark = "   SANDBOX" if setup is not None and setup.sandbox else ""
        looked = "looking" if self._looking else f"looked {when(self._looked, now())}" if self._looked else ""
        return [row(width, (ink(f"Preflight   {whose}{mark}", STRONG), 0), right=ink(looked, QUIET))]

    def _points(self, width: int) -> list[Content]:
        found = self._environment
        lines = [heading(width, "Points to")]
        if found is None:
            return [*lines, line(width, "looking", "this machine", (ink("looking"), 0))]
        looked = self._found.get("azure")
        for label, value in (
            ("kubeconfig", found.kubeconfig),
            ("context", found.kube_context),
            ("helm", found.helm),
            ("cloud", "the sandbox's" if found.sandbox else CLOUDS.get(found.cloud, found.cloud)),
            ("sign-in", label_of(MANAGED if found.sandbox else found.sign_in)),
            ("tenant", _tenant(found, looked)),
        ):
            lines.append(line(width, "ok" if value else "not yet", label, (ink(value or "none"), 0)))
        state, whom = _as_whom(looked)
        lines.append(line(width, state, "as whom", (ink(whom), 0)))
        return lines

    def _lines(self, width: int) -> list[Content]:
        lines = [heading(width, "Looks", "every line says what to do")]
        if self._problem is not None:
            return [*lines, *wrapped(f"{self._problem.what} {self._problem.todo}", width, "$error", indent=3)]
        for id, title in LOOKS:
            found = self._found.get(id)
            state = found.state if found else "looking"
            room = max(10, width - 3 - LABEL - WORD)
            text = found.text if found else ""
            first, *more = wrapped(text, room)
            lines.append(line(width, state, title, (ink(state, style_of(state)), WORD), (first, 0)))
            indent = " " * (3 + LABEL + WORD)
            lines += [Content(indent) + one for one in more]
            if found and found.todo:
                lines += under_value(found.todo, width, PLAIN if state != "ok" else QUIET)
        return lines

    # ------------------------------------------------------------ looking

    def action_again(self) -> None:
        """Asks everything once more."""
        if not self._looking:
            self._looking = True
            self._found = {}
            self._show()
            self.wizard.do(self._look())

    async def _look(self) -> None:
        from wizard.environment import looking, resolve_environment

        setup = self._setup
        state_dir = setup.writer.path.parent.parent if setup is not None else self.wizard.places.real.state_dir
        self._problem = None
        try:
            if setup is not None:
                recorded = setup.session.snapshot.environment
                if recorded is None or not setup.session.environment_is_ours():
                    raise Problem(
                        "not-confirmed",
                        "Where this setup points was entered elsewhere and is not used here yet.",
                        todo="Cluster below says which one it acts on.",
                    )
                self._environment = recorded.data
                await examine(recorded.data, setup.session.readers, state_dir, _namespace(setup), self._told)
            else:
                self._environment = await asyncio.to_thread(resolve_environment, {})
                async with looking(self._environment) as readers:
                    await examine(self._environment, readers, state_dir, "default", self._told)
        except Problem as problem:
            self._problem = problem
        finally:
            self._looking, self._looked = False, now()
            self._show()

    def _told(self, found: Line) -> None:
        self._found[found.id] = found
        self._show()

    def _show(self) -> None:
        for lines in self.query("#band, #points, #looks").results(Lines):
            lines.again()
        self.call_later(self._offer)

    async def _offer(self) -> None:
        for choices in self.query(Choices):  # none while this page is being left
            await choices.offer(self._choices())

    def setup_changed(self) -> None:
        """The band may have changed."""
        self._show()

    # ------------------------------------------------------------ choices

    def on_choices_chosen(self, event: Choices.Chosen) -> None:
        """Goes on, looks again, or points elsewhere."""
        if event.choice == GO_ON:
            self.action_back()
        elif event.choice == AGAIN:
            self.action_again()
        elif event.choice == SIGN_IN:
            self.wizard.do(self._sign_in())
        else:
            self.wizard.do(self._change(event.choice))

    async def _sign_in(self) -> None:
        from screens.sign_in import sign_in

        await sign_in(self.wizard)
        self.action_again()

    async def _change(self, what: str) -> None:
        setup, here = self._setup, self._environment
        if setup is None:
            return
        if setup.running():
            raise Problem("busy", "Something runs there.", todo="Wait for its end or cancel it, then point elsewhere.")
        given = self._given(setup)
        if what == AZURE:
            await self._change_azure(setup, given)
            return
        if what == CLUSTER:
            what = await self._pick_cluster(given)
        if what == CONTEXT:
            chosen = await self._pick_context(here.kubeconfig if here else None, here.kube_context if here else None)
            given["kube_context"] = chosen
        elif what in (KUBECONFIG, HELM):
            label = "kubeconfig" if what == KUBECONFIG else "helm"
            chosen = await self.wizard.ask(
                Ask(
                    f"Path of the {label}", "Path", _some_path, value=(given.get(label) or ""), body=["~ is your home."]
                )
            )
            given[label] = chosen.strip() if isinstance(chosen, str) else None
            if what == KUBECONFIG:
                given["kube_context"] = None
        else:
            return
        if isinstance(chosen, str) and await self._agreed(setup):
            await self._point_to(setup, given)

    def _given(self, setup: OpenSetup) -> dict[str, Any]:
        """Where the setup points now. Of an environment that is not confirmed only Azure's part is kept: the paths of a
        copied file are inert."""
        recorded = setup.session.snapshot.environment
        if recorded is None:
            return {}
        every = msgspec.structs.asdict(recorded.data)
        return every if self._environment is not None else {key: every[key] for key in (CLOUD, WAY, TENANT)}

    async def _point_to(self, setup: OpenSetup, given: dict[str, Any]) -> None:
        await setup.point_to({key: value for key, value in given.items() if value})
        self.action_again()

    async def _change_azure(self, setup: OpenSetup, given: dict[str, Any]) -> None:
        cloud, way, tenant = given.get(CLOUD) or "public", given.get(WAY) or WAYS[0].id, given.get(TENANT) or ""
        what = await self.wizard.ask(
            Choose(
                "Azure",
                [
                    (WAY, _two("Way to sign in", label_of(way))),
                    (CLOUD, _two("Cloud", CLOUDS.get(cloud, cloud))),
                    (TENANT, _two("Tenant", tenant or "the sign-in's own")),
                    (SIGN_IN, _two("Sign in now", "anew, or as somebody else")),
                ],
            )
        )
        if what == SIGN_IN:
            await self._sign_in()
            return
        if what == WAY:
            ways = [(one.id, _two(one.label, one.needs)) for one in WAYS]
            chosen = await self.wizard.ask(Choose("Way to sign in to Azure", ways, here=way))
        elif what == CLOUD:
            clouds = [(id, name) for id, name in CLOUDS.items()]
            chosen = await self.wizard.ask(Choose("Azure's cloud", clouds, here=cloud))
        elif what == TENANT:
            body = ["Its ID or a domain name of it. Empty: the sign-in's own tenant."]
            chosen = await self.wizard.ask(Ask("Tenant to sign in to", "Tenant", _a_tenant, value=tenant, body=body))
        else:
            return
        if isinstance(chosen, str) and chosen.strip() != (given.get(what) or "") and await self._agreed_azure(setup):
            given[what] = chosen.strip()
            await self._point_to(setup, given)

    async def _pick_cluster(self, given: dict[str, Any]) -> str:
        options = [
            (CONTEXT, _two("Context", given.get("kube_context") or "none")),
            (KUBECONFIG, _two("Kubeconfig", given.get("kubeconfig") or "none")),
        ]
        chosen = await self.wizard.ask(Choose("Cluster", options))
        return chosen if isinstance(chosen, str) else ""

    async def _pick_context(self, kubeconfig: str | None, current: str | None) -> str | None:
        from wizard.environment import contexts_of

        if not kubeconfig:
            raise Problem(
                "no-kubeconfig", "There is no kubeconfig to take a context from.", todo="Choose a kubeconfig first."
            )
        found = await asyncio.to_thread(contexts_of, kubeconfig)
        if not found.names:
            raise Problem(
                "no-contexts", found.why, todo="Get one for the cluster, for example `az aks get-credentials`."
            )
        options = [(name, one_line(name)) for name in found.names]
        chosen = await self.wizard.ask(Choose("Context", options, here=current or found.current or ""))
        return chosen if isinstance(chosen, str) else None

    async def _agreed(self, setup: OpenSetup) -> bool:
        pinned = setup.session.snapshot.identities.get("cluster")
        if pinned is None:
            return True
        return await self._agreed_to(
            "This setup has acted on a cluster already",
            f"It is pinned to {one_line(pinned.data.facts.get('server') or '')}.",
            "On another cluster it stops before it changes anything, and says both names.",
        )

    async def _agreed_azure(self, setup: OpenSetup) -> bool:
        pinned = setup.session.snapshot.identities.get("azure")
        if pinned is None:
            return True
        facts = pinned.data.facts
        return await self._agreed_to(
            "This setup has acted in Azure already",
            f"It is pinned to object {one_line(facts.get('object_id') or '')} of tenant "
            f"{one_line(facts.get('tenant_id') or '')}.",
            "As somebody else it stops before it changes anything, and says both names.",
        )

    async def _agreed_to(self, title: str, *body: str) -> bool:
        answer = await self.wizard.ask(
            Confirm(
                title,
                body,
                [
                    Choice("back", "Back", "Back: nothing is changed."),
                    Choice("on", "Point it there", "Changes where it points."),
                ],
                danger=True,
            )
        )
        return bool(answer == "on")

    def copyable(self) -> str:
        """The lines as text."""
        found = [self._found[id] for id, _ in LOOKS if id in self._found]
        return "\n".join(f"{one.state}: {one.title}: {one.text}{f' ({one.todo})' if one.todo else ''}" for one in found)


def _namespace(setup: OpenSetup) -> str:
    """The namespace of the first release that is known, else the default one."""
    for item, fields in setup.session.snapshot.values.items():
        recorded = fields.get("namespace") if item else None
        if recorded is not None and recorded.data.value:
            return recorded.data.value
    return "default"


def _tenant(environment: EnvironmentSet, looked: Line | None) -> str:
    """The tenant that was found, and the one that was asked for."""
    asked = environment.tenant_id or "the sign-in's own"
    found = looked.identity.tenant_id if looked and looked.identity else ""
    return f"{found}, {asked}" if found and found != asked else asked


def _as_whom(looked: Line | None) -> tuple[str, str]:
    """A state and who it is."""
    if looked is None:
        return "looking", "looking"
    found = looked.identity
    return ("ok", found.name or found.object_id) if found else ("not yet", "nobody yet")


def _two(name: str, rest: str) -> Content:
    """An option with its name and what belongs to it."""
    return join(ink(name.ljust(18)), ink(rest, QUIET))


def _a_tenant(text: str) -> tuple[bool, str, str]:
    wanted = text.strip()
    if not wanted:
        return True, "ok", "the sign-in's own tenant"
    if is_tenant(wanted):
        return True, "ok", ""
    return False, "not complete", "a GUID, such as `az account show` tells as tenantId, or a domain name"


def _some_path(text: str) -> tuple[bool, str, str]:
    return bool(text.strip()), "ok" if text.strip() else "empty", "" if text.strip() else "a path is needed"
