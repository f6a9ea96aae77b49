"""Values that are known already and may be offered for a field, so that nobody types them.

They come from the guide's own rules, the values file of the same item, other items of the same kind and, in a sandbox,
its portal. Every offer is one that the field would take as it is, or the right beginning of one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from wizard.guide import Field, Guide, Step
from wizard.relations import Relations
from wizard.status import files, parse_field
from wizard.text import one_line, visible

if TYPE_CHECKING:
    from wizard.answers import Answers
    from wizard.secret import Secret
    from wizard.view import View

MOST = 6
"""So many offers for a field at most: they are read, not searched."""

SUGGESTED = "suggested"
PORTAL = "the sandbox's portal"

# Kinds that name one thing alone, whatever the guide says together with them.
_ONE_OF_A_KIND = frozenset(("endpoint-name", "private-ip", "hostname"))


@dataclass(frozen=True, slots=True)
class Offer:
    """A value to take, cleaned; `source` tells the user where it is from. `partial`: the user completes it.

    `listed`: it is a row of the field's list (wizard.listing), and `name` is what people call it.
    """

    value: str
    source: str
    partial: bool = False
    name: str = ""
    listed: bool = False


class Offers:
    """What may be offered from the setup itself."""

    def of(self, view: View, field: Field, owner: str | None) -> tuple[Offer, ...]:
        """The offers for `owner`'s value of `field`, best first: whole values, then beginnings. None for a secret."""
        if field.secret:
            return ()
        view = seen_by(view, owner)
        found: dict[str, Offer] = {}
        for value, source in self._values(view, field, owner):
            offer = offer_of(view, field, value, source)
            if offer is not None:
                found.setdefault(offer.value, offer)
        return _best(found.values())[:MOST]

    def _values(self, view: View, field: Field, owner: str | None) -> Iterator[tuple[str, str]]:
        if field.offer:
            yield field.offer(view) or "", field.offer_source
        yield from _from_files(view, field)
        yield from self._from_portal(view, field, owner)
        yield from _from_other_items(view, field, owner)
        if field.default:
            yield field.default(view) or "", SUGGESTED

    def _from_portal(self, view: View, field: Field, owner: str | None) -> Iterator[tuple[str, str]]:
        """Nothing: a real portal is read by the user."""
        return iter(())


class SandboxOffers(Offers):
    """What the sandbox's portal shows as well: of its answers file, what a vendor's portal would show.

    What there is in Azure is picked from Azure, what acting fills comes from acting, and what follows from other values
    is offered by the guide, in a rehearsal as later.
    """

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    def _from_portal(self, view: View, field: Field, owner: str | None) -> Iterator[tuple[str, str]]:
        if field.lists or field.from_action or field.offer:
            return
        value = self._value(view, field, owner)
        # The portal knows one item of each kind: what is its alone is not offered to a second one.
        if not (field.key in unique_keys(view.guide) and value in held_elsewhere(view, field, owner)):
            yield value, PORTAL

    def _value(self, view: View, field: Field, owner: str | None) -> str:
        if owner is None:
            return self._answers.word(view.step, field.key)
        kind, _, name = owner.partition("/")
        named = self._answers.items.get(kind, {})
        value = (named.get(name) or next(iter(named.values()), {})).get(field.key, "")
        if value and field.is_file:
            from wizard.answers import beside

            return str(beside(self._answers.path, value))
        return value

    def secret(self, field: Field, owner: str | None = None) -> Secret | None:
        """The secret of `owner`'s field, else that of the first item of its kind; None when there is none."""
        mine = owner.partition("/")[2] if owner else ""
        found = {
            name: secret
            for (kind, name, key), secret in self._answers.secrets.items()
            if (kind, key) == (field.owner, field.key)
        }
        return found.get(mine) or next(iter(found.values()), None)

    def button(self, step: Step) -> str:
        """What a person would press for `step` in the vendor's portal, and can press in the sandbox's; else empty."""
        from wizard.sandbox.answers import PORTAL_BUTTONS

        return PORTAL_BUTTONS[step.id][0] if step.id in PORTAL_BUTTONS else ""

    async def press(self, view: View) -> str:
        """Presses that button for the viewed items, and returns the value that it took. Raises Problem when the
        portal does not answer, or refuses."""
        from wizard.sandbox.answers import PORTAL_BUTTONS
        from wizard.sandbox.portal_client import register

        value = view.value(PORTAL_BUTTONS[view.step.id][1])
        await asyncio.to_thread(register, self._answers.path.parent, value)
        return value

    def item_names(self, kind: str) -> tuple[str, ...]:
        """Names for the items of `kind`."""
        return tuple(self._answers.items.get(kind, ()))


def seen_by(view: View, owner: str | None) -> View:
    """`view` with `owner` among its items and its relations worked out once, for the many reads of one field."""
    items = view.items if owner is None or owner in view.items else (owner,)
    if view.relations is not None and items == view.items:
        return view
    return replace(view, items=items, relations=view.relations or Relations(view.guide, view.snapshot))


def together(offered: tuple[Offer, ...], listed: tuple[Offer, ...]) -> tuple[Offer, ...]:
    """Offers of the setup and of a field's list, best first.

    What is in the list too is offered from there, and nobody completes a beginning where whole values are.
    """
    offered = tuple(offer for offer in offered if not listed or not offer.partial)
    found = {offer.value.lower(): offer for offer in offered} | {offer.value.lower(): offer for offer in listed}
    return _best(found.values())


def _best(offers: Iterable[Offer]) -> tuple[Offer, ...]:
    return tuple(sorted(offers, key=lambda offer: offer.partial))


@cache
def unique_keys(guide: Guide) -> frozenset[str]:
    """The fields whose value belongs to one item alone, so that no other is offered it.

    Of several fields that tell items apart together, the first names the thing; the others may be shared.
    """
    named = {keys[0] for keys in guide.unique}
    return frozenset(named | {key for key, field in guide.fields().items() if field.kind in _ONE_OF_A_KIND})


def offer_of(view: View, field: Field, value: str, source: str) -> Offer | None:
    """An offer of `value`, normalised; None for what the field would call wrong."""
    if not value:
        return None
    parsed = parse_field(view, field, value)
    if parsed.ok:
        value = parsed.normalized
        agrees = field.rule is None or field.rule(value, view) is None
    else:
        agrees = parsed.state == "not complete"
    # What is drawn is what is taken: a value that can't be drawn as it is, is not offered.
    drawn_as_it_is = visible(value) == value and not set(value) & {"\n", "\t"}
    return Offer(value, source, partial=not parsed.ok) if agrees and drawn_as_it_is else None


def _from_files(view: View, field: Field) -> Iterator[tuple[str, str]]:
    """For a host name, those in the values file of the same item: the field's own first, those of others not.

    A host field's key begins as its host does: `dpm_host` is `dpm-….example.com`.
    """
    if field.kind != "hostname":
        return
    mine = _beginning(field)
    others = {
        _beginning(other)
        for other in view.guide.fields().values()
        if other.kind == "hostname" and other.key != field.key
    }
    for path, file in files(view, field):
        name = one_line(path.rpartition("/")[2], limit=40)
        own = [host for host in file.hosts if host.lower().startswith(mine)]
        rest = [host for host in file.hosts if host not in own and not host.lower().startswith(tuple(others))]
        for host in (*own, *rest):
            yield host, f"from {name}"


def _beginning(field: Field) -> str:
    return field.key.partition("_")[0]


def _from_other_items(view: View, field: Field, owner: str | None) -> Iterator[tuple[str, str]]:
    """What other items of the same kind have here, where it may be the same. A file is one item's own."""
    if field.is_file or field.key in unique_keys(view.guide):
        return
    for value, item in held_elsewhere(view, field, owner).items():
        yield value, f"as for {one_line(item.partition('/')[2], limit=40)}"


def held_elsewhere(view: View, field: Field, owner: str | None) -> dict[str, str]:
    """The values of `field` at other items of `owner`'s kind, each with the first item that has it."""
    if owner is None or field.owner is None:
        return {}
    found: dict[str, str] = {}
    for name in view.snapshot.items.get(field.owner, ()):
        item = f"{field.owner}/{name}"
        value = view.snapshot.value(item, field.key)
        if value and item != owner:
            found.setdefault(value, item)
    return found
