"""What the pages and reports of an import show."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from django.utils.translation import gettext as _

from hotels.resources import neutralize
from members.models import ImportBatch, ImportRow
from members.rules.headers import FIELDS
from members.rules.sheets import as_text
from members.services.imports import (
    LEASE,
    RUNNING_STATUSES,
    UNDO_WITHIN,
    ImportRefused,
    check_undo,
    mask_cell,
    preview_undo,
    read_cells,
)

# A worker takes a batch within a moment; after this long something is wrong with it.
WORKER_PATIENCE = dt.timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Problem:
    """One wrong cell as a reader sees it: column as named in the file, its field, the sentence, the masked value."""

    column: str
    field: str
    message: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a running import is.

    Attributes:
        percent: 0 to 100.
        seconds_left: At the pace so far; None while it cannot be told.
        is_stuck: No worker has taken the batch, or its worker fell silent.
    """

    percent: int
    seconds_left: int | None
    is_stuck: bool


def progress_of(batch: ImportBatch, now: dt.datetime) -> Progress:
    """How far the batch is at an aware instant."""
    percent = 100 * batch.done_count // batch.row_count if batch.row_count else 0
    elapsed = (now - batch.started_at).total_seconds() if batch.started_at else 0.0
    seconds_left = (
        round(elapsed * (batch.row_count - batch.done_count) / batch.done_count) if batch.done_count else None
    )
    waiting_since = batch.claimed_until - LEASE if batch.claimed_until else batch.started_at
    is_stuck = (
        batch.status in RUNNING_STATUSES
        and batch.paused_at is None
        and waiting_since is not None
        and now - waiting_since > WORKER_PATIENCE
    )
    return Progress(min(percent, 100), seconds_left, is_stuck)


def problems_of(
    row: ImportRow, *, cells: list[str] | None = None, mapping: dict[str, int] | None = None
) -> list[Problem]:
    """The row's errors in the reader's language.

    Args:
        row: A row of a checked batch.
        cells: Its cells, to quote the wrong value.
        mapping: Field → position of its column.
    """
    problems = []
    for error in row.errors:
        position = (mapping or {}).get(error["field"])
        value = cells[position] if cells and position is not None and position < len(cells) else ""
        problems.append(
            Problem(
                column=error["column"] or str(FIELDS.get(error["field"], "")),
                field=str(FIELDS.get(error["field"], "")),
                message=_(error["message"]) % error["params"],
                value=mask_cell(value),
            )
        )
    return problems


@dataclass(frozen=True, slots=True)
class WrongRow:
    """A wrong row on a page."""

    number: int
    name: str
    problems: list[Problem]


def wrong_rows(batch: ImportBatch, *, after: int = 0, limit: int = 50) -> list[WrongRow]:
    """Wrong rows in the order of the file, from below a row number."""
    mapping = {name: int(index) for index, name in batch.mapping.items()}
    found = []
    for row in batch.rows.filter(action=ImportRow.Action.ERROR, row_number__gt=after).order_by("row_number")[:limit]:
        cells = [as_text(cell) for cell in read_cells(row)]
        position = mapping.get("name", -1)
        name = cells[position] if 0 <= position < len(cells) else ""
        found.append(WrongRow(row.row_number, name, problems_of(row, cells=cells, mapping=mapping)))
    return found


def wrong_rows_table(batch: ImportBatch) -> Iterator[list[str]]:
    """The wrong rows as they stood in the file, with row number and reasons, ready to be corrected and imported.

    Cells that a spreadsheet would run as a formula begin with an apostrophe, which the importer ignores.
    """
    width = len(batch.headers)
    yield [*(neutralize(header) for header in batch.headers), _("Row number"), _("What is wrong")]
    rows = batch.rows.filter(action=ImportRow.Action.ERROR).order_by("row_number")
    for row in rows.iterator(chunk_size=500):
        cells = [neutralize(as_text(cell)) for cell in read_cells(row)]
        # Cells beyond the header belong to the fault; they stay, behind the reasons.
        padded = cells[:width] + [""] * (width - len(cells))
        reasons = " ".join(f"{problem.column}: {problem.message}".lstrip(": ") for problem in problems_of(row))
        yield [*padded, str(row.row_number), neutralize(reasons), *cells[width:]]


@dataclass(frozen=True, slots=True)
class SampleRow:
    """A row that would be imported, as a page shows it: what each column says, personal numbers masked."""

    number: int
    action: str
    label: str
    cells: list[str]


def sample_rows(batch: ImportBatch, *, limit: int = 5) -> list[SampleRow]:
    """The first rows that are new or change a guest, with the cells of the columns chosen, in their order."""
    positions = sorted(int(index) for index in batch.mapping)
    rows = batch.rows.filter(action__in=[ImportRow.Action.CREATE, ImportRow.Action.UPDATE]).order_by("row_number")
    samples = []
    for row in rows[:limit]:
        cells = [as_text(cell) for cell in read_cells(row)]
        shown = [mask_cell(cells[position]) if position < len(cells) else "" for position in positions]
        samples.append(SampleRow(row.row_number, row.action, row.get_action_display(), shown))
    return samples


def undo_deadline(batch: ImportBatch, now: dt.datetime) -> dt.datetime | None:
    """Until when the import can be undone; None if it cannot be."""
    try:
        check_undo(batch, now=now)
    except ImportRefused:
        return None
    return batch.finished_at + UNDO_WITHIN if batch.finished_at and preview_undo(batch).total else None


def kept_rows(batch: ImportBatch, *, limit: int) -> list[ImportRow]:
    """Rows that the undo left alone, with their guests and the reason; one query."""
    rows = batch.rows.exclude(kept_reason="").select_related("guest").order_by("row_number")
    return list(rows[:limit])
