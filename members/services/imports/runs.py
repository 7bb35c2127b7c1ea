"""A worker's part of an import: checking and applying its rows in chunks."""

from __future__ import annotations

import datetime as dt
import io
import json
import re
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
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
from members.services.guests import CheckedGuest, GuestResult, NormalGuestInput, check_guests, create_guests
from members.services.imports.batches import (
    COUNT_OF_ACTION,
    RUNNING_STATUSES,
    Action,
    Status,
    audit_batch,
    delete_file,
    reset_counts,
)
from members.services.imports.keys import forget_keys, keep_keys, known_keys
from members.services.imports.undo import stored_trace, undo_chunk

# Large enough that statements cost little beside rows, small enough that a cancel waits for a moment only.
CHUNK_ROWS = 2000
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
    """The batch was paused or canceled, or another worker took it over."""


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
    claimed = ImportBatch.objects.filter(free, pk=batch_id, status__in=RUNNING_STATUSES, paused_at=None)
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


@dataclass(slots=True)
class _Read:
    """A row as far as it is known without the database.

    Attributes:
        number: As a spreadsheet shows it.
        cells: As they stood in the file.
        row: What they say.
        checked: The guest in normal form, or what is wrong; None if the row was wrong before.
    """

    number: int
    cells: list[Cell]
    row: GuestRow
    checked: CheckedGuest | GuestResult | None


@dataclass
class _Run:
    """One worker's work on one batch.

    While the database writes a chunk, a thread reads the next one: it opens envelopes and cells and works out normal
    forms and blind indexes, but never speaks to the database.
    """

    batch: ImportBatch
    now: dt.datetime
    lease: dt.datetime
    # What the rows written last did, in their order.
    traces: list[tuple[bytes | None, int | None]] = field(default_factory=list)

    def check(self) -> None:
        """Read every row, say what it would do, keep it encrypted."""
        with self._chunk():
            # A worker that died left some rows behind.
            self.batch.rows.all().delete()
            forget_keys(self.batch)
            reset_counts(self.batch, Status.CHECKING, self.batch.started_at or self.now)
        with ThreadPoolExecutor(1) as thread:
            chunks = self._read_file()
            waiting: Future[list[_Read]] = thread.submit(next, chunks, [])
            while True:
                try:
                    chunk = waiting.result()
                except (SheetError, OSError, vault.UnreadableCiphertext) as error:
                    with self._chunk():
                        self.batch.status = Status.FAILED
                        self.batch.failure = f"file_unreadable: {type(error).__name__}"
                        self.batch.finished_at = self.now
                        forget_keys(self.batch)
                    return
                if not chunk:
                    break
                waiting = thread.submit(next, chunks, [])
                with self._chunk():
                    self._check_rows(chunk)
        with self._chunk():
            self.batch.row_count = self.batch.done_count
            self.batch.status = Status.CHECKED
            forget_keys(self.batch)

    def apply(self) -> None:
        """Write the guests of all rows that are right."""
        with ThreadPoolExecutor(1) as thread:
            rows = self._waiting_rows(after=0)
            waiting = thread.submit(self._read_stored, rows)
            while rows:
                following = self._waiting_rows(after=rows[-1].row_number)
                read = waiting.result()
                waiting = thread.submit(self._read_stored, following)
                with self._chunk():
                    self._apply_rows(rows, read)
                rows = following
        with self._chunk():
            self.batch.status = Status.APPLIED
            self.batch.finished_at = self.now
            self._audit_end()
            transaction.on_commit(lambda: delete_file(self.batch))

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
                .filter(pk=self.batch.pk, claimed_until=self.lease, status__in=RUNNING_STATUSES, paused_at=None)
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

    def _read_file(self) -> Iterator[list[_Read]]:
        with self.batch.file.open("rb") as stored:
            content = vault.decrypt(stored.read())
        rows = iter(open_sheet(io.BytesIO(content)).rows)
        while chunk := list(islice(rows, CHUNK_ROWS)):
            yield self._read(chunk)

    def _waiting_rows(self, *, after: int) -> list[ImportRow]:
        waiting = self.batch.rows.filter(applied_at=None, row_number__gt=after).exclude(action=Action.ERROR)
        return list(waiting.order_by("row_number")[:CHUNK_ROWS])

    def _read_stored(self, rows: Sequence[ImportRow]) -> list[_Read]:
        return self._read([(row.row_number, read_cells(row)) for row in rows])

    def _read(self, numbered: Sequence[tuple[int, list[Cell]]]) -> list[_Read]:
        read = [_Read(number, cells, self._read_row(cells), None) for number, cells in numbered]
        right = [one for one in read if not one.row.errors]
        region = self.batch.property.country
        checked = check_guests(
            now=self.now, rows=(_guest_input(one.row, region) for one in right), place=self.batch.property
        )
        for one, result in zip(right, checked, strict=True):
            one.checked = result
        return read

    @cached_property
    def _columns(self) -> dict[str, int]:
        return {name: int(index) for index, name in self.batch.mapping.items()}

    @cached_property
    def _today(self) -> dt.date:
        return self.batch.property.local_date(self.now)

    def _read_row(self, cells: Sequence[Cell]) -> GuestRow:
        row = read_row(
            cells,
            self._columns,
            today=self._today,
            is_workbook=self.batch.encoding in {"xlsx", "xls"},
            region=self.batch.property.country,
        )
        if len(cells) > len(self.batch.headers) and self.batch.encoding not in {"xlsx", "xls"}:
            row.errors.append(
                CellError("", "too_many_cells", _("The row has more cells than the header; a comma may be too many."))
            )
        return row

    def _check_rows(self, chunk: Sequence[_Read]) -> None:
        self._refuse_repetitions(chunk)
        results = self._write_guests(chunk, dry_run=True)
        staged = []
        for read, (action, errors, _guest_id) in zip(chunk, results, strict=True):
            cells = vault.encrypt(json.dumps(read.cells, ensure_ascii=False).encode())
            staged.append((self.batch.pk, read.number, cells, action, json.dumps(self._stored(errors)), ""))
            self._count(action)
        _copy_rows(staged)
        self.batch.done_count += len(staged)

    def _apply_rows(self, rows: Sequence[ImportRow], read: Sequence[_Read]) -> None:
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

    def _refuse_repetitions(self, chunk: Sequence[_Read]) -> None:
        """A second row about the same guest would quietly overwrite the first."""
        keys = [_keys(read.row) for read in chunk]
        known = known_keys(self.batch, [key for named in keys for key in named.values()])
        new: dict[bytes, int] = {}
        for read, named in zip(chunk, keys, strict=True):
            for name, key in named.items():
                first = known.get(key, read.number)
                # A wrong row must not block a right one, so it does not take the place of the first.
                if not read.row.errors and key not in known:
                    known[key] = new[key] = read.number
                if first != read.number:
                    read.row.errors.append(
                        CellError(
                            name,
                            "repeated",
                            _("Row %(row)d has the same. Keep one row for each guest."),
                            {"row": first},
                        )
                    )
        keep_keys(self.batch, new)

    def _write_guests(
        self, chunk: Sequence[_Read], *, dry_run: bool
    ) -> list[tuple[Action, list[CellError], int | None]]:
        """What happens, or would happen, to each row."""
        read = [one.row for one in chunk]
        results = iter(
            create_guests(
                actor=self.batch.created_by,
                now=self.now,
                rows=[one.checked for one in chunk if one.checked is not None and not one.row.errors],
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
        if not errors:
            return []
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


def _keys(row: GuestRow) -> dict[str, bytes]:
    """Blind indexes of what must stand in one row of a file only, by field."""
    values = {
        "phone": row.phone,
        "email": row.email,
        "document_number": f"{row.document_type} {row.document_number}".strip(),
        "member_no": row.membership_number,
    }
    return {name: vault.blind_index(f"import/{name}", value) for name, value in values.items() if value}


def _guest_input(row: GuestRow, region: str) -> NormalGuestInput:
    return NormalGuestInput(
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


def _copy_rows(rows: Sequence[tuple[object, ...]]) -> None:
    with (
        connection.cursor() as cursor,
        cursor.copy(
            "COPY members_importrow (batch_id, row_number, cells, action, errors, kept_reason) FROM STDIN"
        ) as copy,
    ):
        for row in rows:
            copy.write_row(row)


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
