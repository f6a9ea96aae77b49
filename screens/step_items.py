"""The items of a step: adding, linking, choosing and removing them; and choosing another step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from screens.chrome import Choice
from screens.dialogs import Ask, Choose, Confirm
from screens.grid import ink, join, word
from screens.step_model import (
    kind_label,
)
from state.problem import Problem
from wizard.identifiers import parse
from wizard.view import item_steps, linked

if TYPE_CHECKING:
    from screens.app import WizardApp
    from screens.step import StepPage
    from wizard.open_setup import OpenSetup


async def add_item(app: WizardApp, page: StepPage) -> None:
    """Adds an item of the kind this step needs, and asks only what is not clear: which others it belongs to."""
    setup, kind = app.opened, page.model.adds
    session = setup.session
    taken = session.snapshot.items.get(kind, ())
    name = await app.ask(_name_question(app, setup, kind, taken))
    if not isinstance(name, str):
        return
    item = setup.guarded(session.add_item, kind, name)
    await _relate(app, setup, item)
    step = page.model.step
    places = item_steps(setup.guide, session.snapshot, step)
    page.go(next((place for place in places if item in place.items), None), step)


def _name_question(app: WizardApp, setup: OpenSetup, kind: str, taken: tuple[str, ...]) -> Ask:
    label = kind_label(setup, kind)

    def judge(text: str) -> tuple[bool, str, str]:
        parsed = parse("item-name", text)
        if parsed.ok and parsed.normalized in taken:
            return False, "wrong", f"there is a {label} of that name"
        return parsed.ok, parsed.state, parsed.message or f"a name of your own for this {label}"

    known = getattr(app.offers, "item_names", None)
    names = [*(known(kind) if known is not None else ()), *(f"{kind}-{number:02d}" for number in range(1, 1000))]
    return Ask(
        f"Add a {label}",
        "Name",
        judge,
        value=next((name for name in names if name not in taken), ""),
        body=["It is only what this setup calls it; nothing is made by it."],
    )


async def _relate(app: WizardApp, setup: OpenSetup, item: str) -> None:
    """Says which other items a new one belongs to, where that is not clear by itself."""
    session = setup.session
    kind = setup.guide.kind(item.partition("/")[0])
    if kind is None:
        return
    for reference in kind.references:
        targets = session.snapshot.items.get(reference.kind, ())
        if len(targets) > 1:
            target = await app.ask(Choose(f"{kind.label}: which {reference.kind}?", [(one, one) for one in targets]))
            if isinstance(target, str):
                setup.guarded(session.set_reference, item, reference.key, target)
    for other in setup.guide.kinds:
        if other.name in kind.linked_to:
            await _link(app, setup, item, other.name, from_new=True)
        elif kind.name in other.linked_to:
            await _link(app, setup, item, other.name, from_new=False)


async def _link(app: WizardApp, setup: OpenSetup, item: str, kind: str, *, from_new: bool) -> None:
    session = setup.session
    others = [f"{kind}/{name}" for name in session.snapshot.items.get(kind, ())]
    while others:
        if len(others) == 1 and not any(linked(session.snapshot, item, one) for one in _all(setup, kind)):
            choice: Any = others[0]
        else:
            options = [(one, one.partition("/")[2]) for one in others]
            choice = await app.ask(Choose(f"Link {item.partition('/')[2]} with", options, body=["esc: with no more"]))
        if not isinstance(choice, str):
            return
        source, target = (item, choice) if from_new else (choice, item)
        setup.guarded(session.link, source, target)
        others.remove(choice)


def _all(setup: OpenSetup, kind: str) -> list[str]:
    return [f"{kind}/{name}" for name in setup.session.snapshot.items.get(kind, ())]


async def link_items(app: WizardApp, page: StepPage) -> None:
    """Links items of a step's kinds that are not linked yet."""
    setup = app.opened
    first, *rest = page.model.step.per
    for item in _all(setup, first):
        for kind in rest:
            source = setup.guide.kind(first)
            await _link(app, setup, item, kind, from_new=bool(source and kind in source.linked_to))
    page.setup_changed()


async def pick_item(app: WizardApp, page: StepPage) -> None:
    """Picks one of the step's items."""
    width = max((len(tab.name) for tab in page.model.tabs), default=0) + 3
    options: list[tuple[str, Any]] = [
        (str(at), join(ink(tab.name.ljust(width)), word(tab.state, tab.text))) for at, tab in enumerate(page.model.tabs)
    ]
    here = next((str(at) for at, tab in enumerate(page.model.tabs) if tab.item_step == page.model.item_step), "")
    answer = await app.ask(Choose(page.model.step.title, options, here=here))
    if isinstance(answer, str):
        page.go(page.model.tabs[int(answer)].item_step, page.model.step)


def item_commands(page: StepPage) -> list[tuple[str, str, str]]:
    """What the palette offers about items."""
    setup = page.open
    found = [("Add an item", "adds one more of what this step is taken for", "items('add')")] if page.model.adds else []
    if any(kind.linked_to for kind in setup.guide.kinds):
        found.append(("Link items", "says which items belong together", "items('link')"))
        found.append(("Unlink items", "takes a link back", "items('unlink')"))
    if any(setup.session.snapshot.items.values()):
        found.append(("Remove an item", "removes an item with its values and links", "items('remove')"))
    return found


async def change_items(app: WizardApp, page: StepPage, what: str) -> None:
    """Adds, links, unlinks or removes items, by name."""
    setup = app.opened
    snapshot = setup.session.snapshot
    if what == "add":
        await add_item(app, page)
    elif what == "link":
        sources = [item for kind in setup.guide.kinds if kind.linked_to for item in _all(setup, kind.name)]
        source = await app.ask(Choose("Link which", [(item, item) for item in sources]))
        if isinstance(source, str) and (kind := setup.guide.kind(source.partition("/")[0])) is not None:
            for other in kind.linked_to:
                targets = [one for one in _all(setup, other) if not linked(snapshot, source, one)]
                target = await app.ask(Choose("With which", [(one, one) for one in targets])) if targets else None
                if isinstance(target, str):
                    setup.guarded(setup.session.link, source, target)
    elif what == "unlink":
        options = [(f"{one} {other}", f"{one} and {other}") for one, other in snapshot.links]
        answer = await app.ask(Choose("Take back which link", options)) if options else None
        if isinstance(answer, str):
            setup.guarded(setup.session.unlink, *answer.split(" "))
    elif what == "remove":
        await _remove(app, setup)
    page.setup_changed()


async def _remove(app: WizardApp, setup: OpenSetup) -> None:
    items = [f"{kind}/{name}" for kind, names in setup.session.snapshot.items.items() for name in names]
    item = await app.ask(Choose("Remove which", [(one, one) for one in items]))
    if not isinstance(item, str):
        return
    busy = any(item in work.item_step.items for work in setup.running())
    body = [
        f"{item} is taken out of this setup with its values and links. The journal keeps its history.",
        "Nothing in Azure or the cluster is changed by it.",
    ]
    choices = [
        Choice("back", "Back", "Back: nothing is changed."),
        Choice("remove", "Remove", f"Takes {item} out of this setup."),
    ]
    if busy:
        raise Problem("busy-item", f"Something runs for {item}.", todo="Wait for its end, or cancel it first.")
    if await app.ask(Confirm(f"Remove {item}?", body, choices, danger=True)) == "remove":
        setup.guarded(setup.session.remove_item, item)
