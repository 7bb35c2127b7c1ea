"""One guest, one profile: merging two profiles, undoing it, and how every app's rows take part."""

from members.services.merges.merging import (
    MergeRefused,
    mark_two_people,
    merge_guests,
    put_off,
    survivor_of,
    undo_merge,
)
from members.services.merges.registry import (
    Keeps,
    MergeHandler,
    MergeScope,
    MoveRows,
    handler_name,
    merge_handlers,
    register_merge_handler,
)

__all__ = [
    "Keeps",
    "MergeHandler",
    "MergeRefused",
    "MergeScope",
    "MoveRows",
    "handler_name",
    "mark_two_people",
    "merge_guests",
    "merge_handlers",
    "put_off",
    "register_merge_handler",
    "survivor_of",
    "undo_merge",
]
