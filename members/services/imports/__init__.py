"""Bringing a file of guests in: upload, choice of columns, check, apply.

A file is kept encrypted until it is applied or given up. Its columns are guessed, or known from the last file of the
same source. The check reads every row and says what applying would do, without writing a guest. Check and apply run in
the background in chunks, each one transaction that writes the guests, marks their rows and moves the progress; a worker
that dies or is paused loses nothing and repeats nothing. Rows = new + changed + unchanged + wrong once the check is
through.
"""

from members.services.imports.batches import (
    PAUSABLE_STATUSES,
    RUNNING_STATUSES,
    SMALL_ROWS,
    ColumnsWrong,
    ImportRefused,
    approve_import,
    cancel_import,
    choose_columns,
    discard_stale_imports,
    due_imports,
    mask_cell,
    pause_import,
    resume_import,
    start_import,
)
from members.services.imports.runs import LEASE, read_cells, run_import
from members.services.imports.undo import (
    UNDO_WITHIN,
    UndoPreview,
    check_undo,
    forget_traces,
    preview_undo,
    undo_import,
)

__all__ = [
    "LEASE",
    "PAUSABLE_STATUSES",
    "RUNNING_STATUSES",
    "SMALL_ROWS",
    "UNDO_WITHIN",
    "ColumnsWrong",
    "ImportRefused",
    "UndoPreview",
    "approve_import",
    "cancel_import",
    "check_undo",
    "choose_columns",
    "discard_stale_imports",
    "due_imports",
    "forget_traces",
    "mask_cell",
    "pause_import",
    "preview_undo",
    "read_cells",
    "resume_import",
    "run_import",
    "start_import",
    "undo_import",
]
