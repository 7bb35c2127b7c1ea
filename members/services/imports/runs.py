"""A worker's part of an import: checking and applying its rows in chunks."""

from __future__ import annotations

import datetime as dt
import io
import json
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import OperationalError, connection, transaction
from django.db.models import DateTimeField, ExpressionWrapper, Q
from django.db.models.functions import Now
from django.utils import translation
from django.utils.translation import gettext_lazy as _

from hotels.models import AuditEntry
from members.models import ImportBatch, ImportRow, Preference
from members.rules.cells import CellError, GuestRow, read_row
from members.rules.sheets import Cell, SheetError, open_sheet
from members.services import vault
from members.services.guests import GuestInput, GuestResult, create_guests
from members.services.imports.batches import (
    COUNT_OF_ACTION,
    RUNNING_STATUSES,
    Action,
    Status,
    audit_batch,
    delete_file,
    reset_counts,
)
from members.services.imports.undo import stored_trace, undo_chunk

CHUNK_ROWS = 500
BREATH_SECONDS = 0.01
# How long a worker may be silent before another one takes the batch over.
LEASE = dt.timedelta(seconds=60)
ACTION_OF_STATUS = {
    "created": Action.CREATE,
    "updated": Action.UPDATE,
    "unchanged": Action.UNCHANGED,
    "taken": Action.UNCHANGED,
    "conflict": Action.ERROR,
    "invalid": Action.ERROR,
}
ALLERGY = re.compile(r"过敏|過敏|allerg", re.IGNORECASE)
NO_ALLERGY = re.compile(r"(?:无|無|没有|不|未)\S{0,3}(?:过敏|過敏)|no (?:known )?allerg|not allerg", re.IGNORECASE)


class _LeaseLost(Exception):
    """The batch was canceled, or another worker took it over."""


def run_import(*, batch_id: int, now: dt.datetime) -> bool:
    """Check or apply a batch to its end, unless another worker is at it.

    Safe to call at any time and any number of times; a batch left by a dead worker is taken over when
    its lease ends.

    Args:
        batch_id: The import.
        now: Aware instant that guests and audit entries are dated with.

    Returns:
        Whether this call did the work.
    """
    free = Q(claimed_until=None) | Q(claimed_until__lt=Now())
    claimed = ImportBatch.objects.filter(free, pk=batch_id, status__in=RUNNING_STATUSES)
    if not claimed.update(claimed_until=Now() + LEASE):
        return False
    batch = ImportBatch.objects.select_related("property__brand", "created_by", "undone_by").get(pk=batch_id)
    if batch.claimed_until is None:
        return False
    run = _Run(batch=batch, now=now, lease=batch.claimed_until)
    try:
        {Status.CHECKING: run.check, Status.APPLYING: run.apply, Status.UNDOING: run.undo}[Status(batch.status)]()
    except _LeaseLost:
        return False
    except OperationalError:
        # The database went away: the batch waits for its lease to end and goes on where it stood.
        raise
    except Exception as error:
        ImportBatch.objects.filter(pk=batch_id, claimed_until=run.lease).update(
            status=Status.FAILED, failure=f"fault: {type(error).__name__}", finished_at=Now(), claimed_until=None
        )
        raise
    return True


def read_cells(row: ImportRow) -> list[Cell]:
    """The cells of a row as they stood in the file."""
    cells: list[Cell] = json.loads(vault.decrypt(row.cells))
    return cells


@dataclass
class _Run:
    """One worker's work on one batch."""

    batch: ImportBatch
    now: dt.datetime
    lease: dt.datetime
    # Where a phone, address, document or number stood first in the file: kind and normal form → row.
    first_rows: dict[tuple[str, str], int] = field(default_factory=dict)
    # What the rows written last did, in their order.
    traces: list[tuple[bytes | None, int | None]] = field(default_factory=list)

    def check(self) -> None:
        """Read every row, say what it would do, keep it encrypted."""
        try:
            rows = self._read_file()
        except (SheetError, OSError, vault.UnreadableCiphertext) as error:
            with self._chunk():
                self.batch.status = Status.FAILED
                self.batch.failure = f"file_unreadable: {type(error).__name__}"
                self.batch.finished_at = self.now
            return
        with self._chunk():
            # A worker that died left some rows behind.
            self.batch.rows.all().delete()
            reset_counts(self.batch, Status.CHECKING, self.batch.started_at or self.now)
            self.batch.row_count = len(rows)
        for chunk in _batched(rows):
            with self._chunk():
                self._check_rows(chunk)
        with self._chunk():
            self.batch.status = Status.CHECKED

    def apply(self) -> None:
        """Write the guests of all rows that are right."""
        last_row = 0
        while True:
            with self._chunk():
                rows = list(
                    self.batch.rows.filter(applied_at=None, row_number__gt=last_row)
                    .exclude(action=Action.ERROR)
                    .order_by("row_number")[:CHUNK_ROWS]
                )
                if not rows:
                    self.batch.status = Status.APPLIED
                    self.batch.finished_at = self.now
                    self._audit_end()
                    transaction.on_commit(lambda: delete_file(self.batch))
                    return
                self._apply_rows(rows)
                last_row = rows[-1].row_number

    def undo(self) -> None:
        """Take back what the rows did, guest by guest."""
        while True:
            with self._chunk():
                if not undo_chunk(self.batch, now=self.now, limit=CHUNK_ROWS):
                    self.batch.status = Status.UNDONE
                    self.batch.undone_at = self.now
                    audit_batch(
                        self.batch,
                        actor=self.batch.undone_by,
                        now=self.now,
                        action="import.undone",
                        after={"undone": self.batch.undone_count, "kept": self.batch.kept_count},
                    )
                    return

    @contextmanager
    def _chunk(self) -> Iterator[None]:
        """One transaction that holds the batch, renews the lease and saves the progress.

        The batch is locked first, so that a cancel waits for the chunk and a worker that lost its lease
        to another one stops before it writes.
        """
        renewed = ExpressionWrapper(Now() + LEASE, output_field=DateTimeField())
        with transaction.atomic():
            held = list(
                ImportBatch.objects.select_for_update(no_key=True)
                .filter(pk=self.batch.pk, claimed_until=self.lease, status__in=RUNNING_STATUSES)
                .values_list(renewed, flat=True)
            )
            if not held:
                raise _LeaseLost
            self.batch.claimed_until = held[0]
            yield
            if self.batch.status not in RUNNING_STATUSES:
                self.batch.claimed_until = None
            self.batch.save()
        self.lease = held[0]
        # A cancel that waits for the lock goes before the next chunk.
        time.sleep(BREATH_SECONDS)

    def _read_file(self) -> list[tuple[int, list[Cell]]]:
        with self.batch.file.open("rb") as stored:
            content = vault.decrypt(stored.read())
        return list(open_sheet(io.BytesIO(content)).rows)

    def _read_row(self, cells: Sequence[Cell]) -> GuestRow:
        columns = {name: int(index) for index, name in self.batch.mapping.items()}
        row = read_row(
            cells,
            columns,
            today=self.batch.property.local_date(self.now),
            is_workbook=self.batch.encoding in {"xlsx", "xls"},
            region=self.batch.property.country,
        )
        if len(cells) > len(self.batch.headers) and self.batch.encoding not in {"xlsx", "xls"}:
            row.errors.append(
                CellError("", "too_many_cells", _("The row has more cells than the header; a comma may be too many."))
            )
        return row

    def _check_rows(self, chunk: Sequence[tuple[int, list[Cell]]]) -> None:
        read = [self._read_row(cells) for _number, cells in chunk]
        for (number, _cells), row in zip(chunk, read, strict=True):
            self._refuse_repetition(number, row)
        results = self._write_guests(read, dry_run=True)
        staged = []
        for (number, cells), row, (action, errors, _guest_id) in zip(chunk, read, results, strict=True):
            staged.append(
                ImportRow(
                    batch=self.batch,
                    row_number=number,
                    cells=vault.encrypt(json.dumps(cells, ensure_ascii=False).encode()),
                    action=action,
                    errors=self._stored(errors or row.errors),
                )
            )
            self._count(action)
        _copy_rows(staged)
        self.batch.done_count += len(staged)

    def _apply_rows(self, rows: Sequence[ImportRow]) -> None:
        read = [self._read_row(read_cells(row)) for row in rows]
        results = self._write_guests(read, dry_run=False)
        for row, (action, errors, guest_id), trace in zip(rows, results, self.traces, strict=True):
            self._count(Action(row.action), -1)
            self._count(action)
            row.action = action
            row.errors = self._stored(errors)
            row.guest_id = guest_id
            if action != Action.ERROR:
                row.applied_at = self.now
                row.trace, row.guest_version = trace
                # Nothing reads the cells any more, so the personal data in them goes.
                row.cells = b""
        _update_rows(rows)
        self.batch.done_count += len(rows)

    def _refuse_repetition(self, number: int, row: GuestRow) -> None:
        """A second row about the same guest would quietly overwrite the first."""
        for name, value in (
            ("phone", row.phone),
            ("email", row.email),
            ("document_number", f"{row.document_type} {row.document_number}".strip()),
            ("member_no", row.membership_number),
        ):
            if not value:
                continue
            # A wrong row must not block a right one, so it does not take the place of the first.
            first = self.first_rows.get((name, value), number)
            if not row.errors:
                self.first_rows.setdefault((name, value), number)
            if first != number:
                row.errors.append(
                    CellError(
                        name,
                        "repeated",
                        _("Row %(row)d has the same. Keep one row for each guest."),
                        {"row": first},
                    )
                )

    def _write_guests(
        self, read: Sequence[GuestRow], *, dry_run: bool
    ) -> list[tuple[Action, list[CellError], int | None]]:
        """What happens, or would happen, to each row."""
        right = [row for row in read if not row.errors]
        results = iter(
            create_guests(
                actor=self.batch.created_by,
                now=self.now,
                rows=[_guest_input(row, self.batch.property.country) for row in right],
                source=f"import {self.batch.public_id}",
                update_existing=True,
                dry_run=dry_run,
                place=self.batch.property,
            )
        )
        outcomes: list[tuple[GuestRow, GuestResult | None]] = [
            (row, None if row.errors else next(results)) for row in read
        ]
        noted = self._note_remarks(outcomes, dry_run=dry_run)
        if not dry_run:
            self.traces = [
                stored_trace(result.trace if result else None, noted.get(position))
                for position, (_row, result) in enumerate(outcomes)
            ]
        answer: list[tuple[Action, list[CellError], int | None]] = []
        for position, (row, result) in enumerate(outcomes):
            if result is None:
                answer.append((Action.ERROR, row.errors, None))
                continue
            action = ACTION_OF_STATUS[result.status]
            if action == Action.UNCHANGED and position in noted:
                action = Action.UPDATE
            errors = [
                CellError(_field_of(name), problem.code, problem.template, problem.params)
                for name, problem in result.problems.items()
            ]
            answer.append((action, errors, result.guest_id))
        return answer

    def _note_remarks(
        self, outcomes: Sequence[tuple[GuestRow, GuestResult | None]], *, dry_run: bool
    ) -> dict[int, tuple[str, str]]:
        """Keep remarks as notes; returns category and text of new ones by the position of their row."""
        wanted = {
            position: (result.guest_id, _category(row.remark), row.remark)
            for position, (row, result) in enumerate(outcomes)
            if row.remark and result is not None and result.guest_id is not None and not result.problems
        }
        known = set(
            Preference.objects.filter(guest__in={guest_id for guest_id, *_note in wanted.values()}).values_list(
                "guest_id", "category", "text"
            )
        )
        new = {position: note for position, note in wanted.items() if note not in known}
        if not dry_run and new:
            notes = [
                Preference(
                    guest_id=guest_id,
                    category=category,
                    text=text,
                    severity=_severity(category),
                    source="import",
                    created_by=self.batch.created_by,
                )
                for guest_id, category, text in new.values()
            ]
            Preference.objects.bulk_create(notes, ignore_conflicts=True)
            AuditEntry.objects.bulk_create(
                [
                    AuditEntry(
                        at=self.now,
                        actor=self.batch.created_by,
                        action="preference.added",
                        object_type="members.guest",
                        object_id=str(note.guest_id),
                        object_label=outcomes[position][0].name,
                        property=self.batch.property,
                        after={
                            "category": note.category,
                            "severity": note.severity,
                            "text": note.text,
                            "source": f"import {self.batch.public_id}",
                        },
                    )
                    for position, note in zip(new, notes, strict=True)
                ]
            )
        return {position: (category, text) for position, (_guest, category, text) in new.items()}

    def _stored(self, errors: Sequence[CellError]) -> list[dict[str, Any]]:
        headers = {name: self.batch.headers[int(index)] for index, name in self.batch.mapping.items()}
        with translation.override("en"):
            return [
                {
                    "column": headers.get(error.field, ""),
                    "field": error.field,
                    "code": error.code,
                    "message": str(error.template),
                    "params": dict(error.params),
                }
                for error in errors
            ]

    def _count(self, action: Action, by: int = 1) -> None:
        name = COUNT_OF_ACTION[action]
        setattr(self.batch, name, getattr(self.batch, name) + by)

    def _audit_end(self) -> None:
        audit_batch(
            self.batch,
            actor=self.batch.created_by,
            now=self.now,
            action="import.applied",
            after={name: getattr(self.batch, name) for name in ("row_count", *COUNT_OF_ACTION.values())},
        )


def _batched(rows: Sequence[tuple[int, list[Cell]]]) -> Iterator[Sequence[tuple[int, list[Cell]]]]:
    for start in range(0, len(rows), CHUNK_ROWS):
        yield rows[start : start + CHUNK_ROWS]


def _guest_input(row: GuestRow, region: str) -> GuestInput:
    return GuestInput(
        name=row.name,
        phone=row.phone,
        email=row.email,
        document_type=row.document_type,
        document_number=row.document_number,
        gender=row.gender,
        birthday=row.birthday,
        nationality=row.nationality,
        company=row.company,
        membership_number=row.membership_number,
        region=region,
    )


def _field_of(name: str) -> str:
    return "member_no" if name == "membership_number" else name


def _category(remark: str) -> str:
    """An allergy must come first on every screen, also when it hides in a remark."""
    is_allergy = ALLERGY.search(remark) and not NO_ALLERGY.search(remark)
    return Preference.Category.ALLERGY if is_allergy else Preference.Category.OTHER


def _severity(category: str) -> str:
    return Preference.Severity.ALERT if category == Preference.Category.ALLERGY else Preference.Severity.NOTICE


def _copy_rows(rows: Sequence[ImportRow]) -> None:
    with (
        connection.cursor() as cursor,
        cursor.copy(
            "COPY members_importrow (batch_id, row_number, cells, action, errors, kept_reason) FROM STDIN"
        ) as copy,
    ):
        for row in rows:
            copy.write_row((row.batch_id, row.row_number, row.cells, row.action, json.dumps(row.errors), ""))


def _update_rows(rows: Sequence[ImportRow]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE members_importrow AS row
            SET action = new.action, errors = new.errors, guest_id = new.guest_id, applied_at = new.applied_at,
                cells = new.cells, trace = new.trace, guest_version = new.guest_version
            FROM unnest(%s::bigint[], %s::text[], %s::jsonb[], %s::bigint[], %s::timestamptz[], %s::bytea[], %s::bytea[],
                    %s::int[])
                AS new (id, action, errors, guest_id, applied_at, cells, trace, guest_version)
            WHERE row.id = new.id
            """,
            [
                [row.pk for row in rows],
                [str(row.action) for row in rows],
                [json.dumps(row.errors) for row in rows],
                [row.guest_id for row in rows],
                [row.applied_at for row in rows],
                [bytes(row.cells) for row in rows],
                [row.trace for row in rows],
                [row.guest_version for row in rows],
            ],
        )
