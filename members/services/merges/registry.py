"""How rows move when two profiles become one, and how they move back.

Each app registers a handler for every column that points at a guest, or at something a guest owns once
per profile, such as a membership. A test fails for a column without one.

What moves back when a merge is undone are the rows that moved; what was made since stays with the survivor,
for whom it was made.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import TYPE_CHECKING, Any, Protocol

from django.db.models import Exists, Model, OuterRef

if TYPE_CHECKING:
    from hotels.models import Property, User
    from members.models import GuestMerge


@dataclass(slots=True)
class MergeScope:
    """One merge or its undoing, as the handlers see it.

    Attributes:
        merge: The row; its `moved` is written after the last handler.
        actor: Who; None for the system.
        now: Aware instant.
        place: Where, if at a property.
        pairs: By model label: (key of what goes, key of what stays). `members.guest` is there from the
            start; a handler adds what it finds that both profiles have.
    """

    merge: GuestMerge
    actor: User | None
    now: dt.datetime
    place: Property | None
    pairs: dict[str, list[tuple[int, int]]] = dataclass_field(default_factory=lambda: defaultdict(list))


class MergeHandler(Protocol):
    """What becomes of one column in a merge."""

    @property
    def model(self) -> type[Model]:
        """The table."""

    @property
    def field(self) -> str:
        """The column."""

    def merge(self, scope: MergeScope) -> Any:
        """Move what has to move; returns what `undo` needs, ready for JSON."""

    def undo(self, scope: MergeScope, moved: Any) -> None:
        """Move back what `merge` returned."""


@dataclass(frozen=True, slots=True)
class MoveRows:
    """Rows go to the survivor, but those that the survivor has already stay where they are.

    Attributes:
        model: The table.
        field: The column that points at the guest, or at what is merged with the guest.
        unique: Sets of columns that are unique together with `field`: a row with a twin stays.
    """

    model: type[Model]
    field: str
    unique: Sequence[Sequence[str]] = ()

    def merge(self, scope: MergeScope) -> dict[str, list[Any]]:
        """Move the rows; returns their keys by where they were."""
        moved = {}
        for gone, kept in scope.pairs[_target(self)]:
            rows = self.model._base_manager.filter(**{self.field: gone})
            for columns in self.unique:
                twin = self.model._base_manager.filter(
                    **{self.field: kept}, **{column: OuterRef(column) for column in columns}
                )
                rows = rows.exclude(Exists(twin))
            ids = sorted(rows.values_list("pk", flat=True))
            self.model._base_manager.filter(pk__in=ids).update(**{self.field: kept})
            if ids:
                moved[str(gone)] = ids
        return moved

    def undo(self, scope: MergeScope, moved: dict[str, list[Any]]) -> None:
        """Give the rows back that are still where they went."""
        for gone, kept in scope.pairs[_target(self)]:
            rows = self.model._base_manager.filter(pk__in=moved.get(str(gone), []), **{self.field: kept})
            rows.update(**{self.field: gone})


@dataclass(frozen=True, slots=True)
class Keeps:
    """Rows stay with the profile that goes, for a reason."""

    model: type[Model]
    field: str
    reason: str

    def merge(self, scope: MergeScope) -> None:
        """Nothing moves."""

    def undo(self, scope: MergeScope, moved: None) -> None:
        """Nothing moved."""


_handlers: dict[str, MergeHandler] = {}


def _target(handler: MergeHandler) -> str:
    related = handler.model._meta.get_field(handler.field).related_model
    if not isinstance(related, type) or not issubclass(related, Model):
        message = f"{handler_name(handler.model, handler.field)} points at no table"
        raise TypeError(message)
    return related._meta.label_lower


def handler_name(model: type[Model], field: str) -> str:
    """The name of a column's handler, under which a merge keeps what moved."""
    return f"{model._meta.label_lower}.{field}"


def register_merge_handler(handler: MergeHandler) -> None:
    """Say what becomes of a column in a merge; handlers run in the order they are registered.

    A column that points at what another handler pairs, such as a membership, is registered after it.
    """
    _handlers[handler_name(handler.model, handler.field)] = handler


def merge_handlers() -> dict[str, MergeHandler]:
    """The handlers by name, in the order they run."""
    return dict(_handlers)
