"""What the guest card and the guest rows show of the apps above `members`.

`members` knows nothing of points or tickets. An app above registers its panels and its mark in
`apps.py: ready()`; the desk renders all of them in one response. Each panel makes the same number
of queries for every guest, so that the card costs the same for everybody.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hotels.models import Property, User
from members.models import Guest

PanelContext = Callable[[Guest, User, Property, dt.datetime], dict[str, Any]]
Column = Literal["chips", "facts", "alerts", "figures", "main", "side"]


@dataclass(frozen=True, slots=True)
class GuestAction:
    """One button of the card's quick actions.

    Attributes:
        key: The single key that presses it.
        icon: Name of the icon.
        label: Text in the reader's language.
        url: A page with a form; the desk opens it in its dialog.
        order: Place among the buttons.
        is_main: Whether it is the one most wanted for this guest.
        opens_page: Whether it leaves the desk, such as a page to print.
    """

    key: str
    icon: str
    label: str
    url: str
    order: int
    is_main: bool = False
    opens_page: bool = False


@dataclass(frozen=True, slots=True)
class GuestPanel:
    """One part of the guest card.

    Attributes:
        name: Stable name.
        template: Rendered with the context's entries beside `guest`, `place`, `today` and the shell's.
        context: What the template needs, for a guest, the reader, the property and an aware now.
            Panels that share the function share one call. The entry `actions` (a list of
            `GuestAction`) adds buttons.
        order: Place within the column.
        column: `chips` beside the name, `facts` in the line under it, `alerts`, `figures` above the
            preferences, `main` below them, or `side`.
    """

    name: str
    template: str
    context: PanelContext
    order: int
    column: Column


@dataclass(frozen=True, slots=True)
class GuestMark:
    """How a guest's round mark looks in lists: the rank of the tier (0 lowest) and its name."""

    rank: int
    label: str


@dataclass(frozen=True, slots=True)
class RenderedPanel:
    """A panel with the data for one guest."""

    name: str
    template: str
    data: Mapping[str, Any]


MarksOf = Callable[[Iterable[int]], Mapping[int, GuestMark]]

_panels: dict[str, GuestPanel] = {}
_marks: list[MarksOf] = []


def register_guest_panel(panel: GuestPanel) -> None:
    """Add a panel to the guest card; registering a name again replaces it."""
    _panels[panel.name] = panel


def register_guest_marks(marks_of: MarksOf) -> None:
    """Name the function that knows the marks of many guests by one query."""
    if marks_of not in _marks:
        _marks.append(marks_of)


def guest_marks(guest_ids: Iterable[int]) -> dict[int, GuestMark]:
    """The marks of the guests that have one, by guest id."""
    ids = list(guest_ids)
    marks: dict[int, GuestMark] = {}
    if ids:
        for marks_of in _marks:
            marks.update(marks_of(ids))
    return marks


def panels_of(
    guest: Guest, user: User, place: Property, now: dt.datetime
) -> tuple[dict[str, list[RenderedPanel]], list[GuestAction]]:
    """The panels of a guest by column, and the actions they offer.

    Args:
        guest: Whose card it is.
        user: Who reads it; a panel leaves out what the user may not see or do.
        place: Where the user works.
        now: Aware instant.
    """
    columns: dict[str, list[RenderedPanel]] = {
        "chips": [],
        "facts": [],
        "alerts": [],
        "figures": [],
        "main": [],
        "side": [],
    }
    known: dict[PanelContext, dict[str, Any]] = {}
    for panel in sorted(_panels.values(), key=lambda panel: (panel.order, panel.name)):
        if panel.context not in known:
            known[panel.context] = panel.context(guest, user, place, now)
        columns[panel.column].append(RenderedPanel(panel.name, panel.template, known[panel.context]))
    actions = [action for data in known.values() for action in data.get("actions", [])]
    return columns, actions
