"""The life of an import: upload, choice of columns, approval, cancel."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import Count, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from hotels.models import Property, User
from hotels.services.audit import record_audit
from members.models import ImportBatch, ImportRow, ImportSource
from members.rules.headers import FIELDS, IDENTIFYING, guess_columns, header_key
from members.rules.sheets import Cell, SheetError, as_text, open_sheet
from members.services import vault
from members.services.imports.keys import forget_keys

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

Status = ImportBatch.Status
Action = ImportRow.Action

SAMPLE_ROWS = 3
STALE_AFTER = dt.timedelta(days=7)
# An import this small is checked and applied at once, without a worker.
SMALL_ROWS = 300
OPEN_STATUSES = (Status.UPLOADED, Status.CHECKING, Status.CHECKED, Status.APPLYING)
PAUSABLE_STATUSES = (Status.APPLYING, Status.UNDOING)
RUNNING_STATUSES = (Status.CHECKING, Status.APPLYING, Status.UNDOING)
COUNT_OF_ACTION = {
    Action.CREATE: "create_count",
    Action.UPDATE: "update_count",
    Action.UNCHANGED: "unchanged_count",
    Action.ERROR: "error_count",
}
LONG_NUMBER = re.compile(r"(?<=[0-9A-Za-z]{3})[0-9A-Za-z](?=[0-9A-Za-z]{2,})")


class ImportRefused(Exception):
    """The import cannot go on like this; nothing was written.

    Attributes:
        code: Stable name of the reason.
        template: Translatable sentence.
    """

    def __init__(self, *, code: str, message: StrOrPromise) -> None:
        super().__init__(code)
        self.code = code
        self.template = message

    @property
    def message(self) -> str:
        """The sentence in the active language."""
        return str(self.template)


class ColumnsWrong(Exception):
    """The choice of columns cannot be used.

    Attributes:
        errors: Position of the column (None for the file) → translatable sentence.
    """

    code = "columns_wrong"

    def __init__(self, errors: Mapping[int | None, StrOrPromise]) -> None:
        super().__init__(", ".join(str(key) for key in errors))
        self.errors = dict(errors)


def start_import(
    *, actor: User | None, now: dt.datetime, place: Property, file_name: str, file: IO[bytes], source: str = ""
) -> ImportBatch:
    """Take a file in: read it whole, keep it encrypted, guess its columns.

    Args:
        actor: Who imports; None for the system.
        now: Aware instant.
        place: The property that the guests are enrolled at.
        file_name: As the user knows it.
        file: Seekable binary file.
        source: Name of the system that the file is from; its columns are matched as they were the last time.

    Raises:
        SheetError: The file cannot be read; nothing is kept. See `members.rules.sheets`, and `too_large`,
            `header_missing`.
    """
    size = file.seek(0, io.SEEK_END)
    if size > settings.GUIKE_IMPORT_MAX_BYTES:
        raise SheetError(
            code="too_large",
            message=_("The file has %(size)d MB; at most %(limit)d MB can be read. Split it into several files."),
            size=size // 1024**2,
            limit=settings.GUIKE_IMPORT_MAX_BYTES // 1024**2,
        )
    file.seek(0)
    sheet = open_sheet(file)
    known = _source(source)
    columns = guess_columns(sheet.headers, remembered=known.columns if known else {})
    if not any(column.field or column.known_as for column in columns) and any(
        sum(map(str.isdigit, header)) > 6  # noqa: PLR2004 - a phone or a document number, not a title
        for header in sheet.headers
    ):
        raise SheetError(
            code="header_missing",
            message=_("The first row is not a header. Put a row with the names of the columns on top."),
        )
    samples: list[list[Cell]] = []
    row_count = 0
    for _number, cells in sheet.rows:
        row_count += 1
        if len(samples) < SAMPLE_ROWS:
            samples.append(cells)
    file.seek(0)
    content = file.read()
    batch = ImportBatch(
        property=place,
        source=known,
        file_name=file_name[:200],
        file_sha256=hashlib.sha256(content).hexdigest(),
        encoding=sheet.encoding,
        headers=sheet.headers,
        samples=[
            [mask_cell(as_text(cells[column.index])) if column.index < len(cells) else "" for cells in samples]
            for column in columns
        ],
        mapping={str(column.index): column.field for column in columns if column.field},
        row_count=row_count,
        created_by=actor,
    )
    batch.file.save(f"{batch.public_id}.bin", ContentFile(vault.encrypt(content)), save=False)
    try:
        with transaction.atomic():
            if known and known._state.adding:
                # Another file of a source that is new may come in at the same moment.
                batch.source, _made = ImportSource.objects.get_or_create(name=known.name)
            batch.save()
            audit_batch(batch, actor=actor, now=now, action="import.uploaded", after={"rows": row_count})
    except BaseException:
        batch.file.delete(save=False)
        raise
    return batch


def _source(name: str) -> ImportSource | None:
    name = " ".join(name.split())[:60]
    return (ImportSource.objects.filter(name=name).first() or ImportSource(name=name)) if name else None


def _remember_columns(batch: ImportBatch, mapping: Mapping[int, str]) -> None:
    if batch.source is not None:
        chosen = {header_key(header): mapping.get(index, "") for index, header in enumerate(batch.headers) if header}
        batch.source.columns = {**batch.source.columns, **chosen}
        batch.source.save(update_fields=["columns", "updated_at"])


def mask_cell(text: str) -> str:
    """A cell as a page shows it: long numbers and addresses keep their ends only."""
    if "@" in text:
        return f"{text[:1]}***@{text.rpartition('@')[2]}"[:40]
    if sum(map(str.isdigit, text)) > 5:  # noqa: PLR2004
        text = LONG_NUMBER.sub("*", text)
    return text[:40]


@transaction.atomic
def choose_columns(*, actor: User | None, now: dt.datetime, batch_id: int, mapping: Mapping[int, str]) -> ImportBatch:
    """Settle which column holds what, and have the file checked.

    Args:
        actor: Who chooses.
        now: Aware instant.
        batch_id: The import.
        mapping: Position of a column → field of `members.rules.headers.FIELDS`; other columns are left out.

    Raises:
        ColumnsWrong: No name, nothing to find a guest by, or a field given twice.
        ImportRefused: `not_open`: it is running, applied or canceled.
    """
    batch = locked_batch(batch_id, Status.UPLOADED, Status.CHECKED)
    chosen = {index: name for index, name in mapping.items() if name in FIELDS and 0 <= index < len(batch.headers)}
    errors: dict[int | None, StrOrPromise] = {}
    seen: set[str] = set()
    for index, name in chosen.items():
        if name in seen:
            errors[index] = _("Another column holds this already. Choose one of the two.")
        seen.add(name)
    if "name" not in seen:
        errors[None] = _("Choose the column that holds the guest's name.")
    elif not seen & IDENTIFYING:
        errors[None] = _(
            "Choose a column with a phone, e-mail, document or membership number, so that guests can be found again."
        )
    if errors:
        raise ColumnsWrong(errors)
    forget_keys(batch)
    batch.rows.all().delete()
    batch.mapping = {str(index): name for index, name in chosen.items()}
    batch.claimed_until = None
    reset_counts(batch, Status.CHECKING, now)
    batch.save()
    _remember_columns(batch, chosen)
    audit_batch(batch, actor=actor, now=now, action="import.checked", after={"columns": batch.mapping})
    return batch


@transaction.atomic
def approve_import(*, actor: User | None, now: dt.datetime, batch_id: int) -> ImportBatch:
    """Have a checked file applied; a second call changes nothing.

    Raises:
        ImportRefused: `not_open`, or `nothing_to_import`: every row is wrong or known already.
    """
    batch = locked_batch(batch_id, Status.CHECKED, Status.APPLYING, Status.APPLIED)
    if batch.status != Status.CHECKED:
        return batch
    if not batch.create_count + batch.update_count:
        raise ImportRefused(
            code="nothing_to_import", message=_("There is nothing to import: no row is new or changed.")
        )
    batch.status = Status.APPLYING
    batch.started_at = now
    batch.done_count = batch.error_count
    batch.claimed_until = None
    batch.save(update_fields=["status", "started_at", "done_count", "claimed_until"])
    audit_batch(
        batch,
        actor=actor,
        now=now,
        action="import.approved",
        after={"create": batch.create_count, "update": batch.update_count, "wrong": batch.error_count},
    )
    return batch


@transaction.atomic
def pause_import(*, actor: User | None, now: dt.datetime, batch_id: int) -> ImportBatch:
    """Hold an import, or its undoing, after the chunk that is being written; a second call changes nothing.

    Raises:
        ImportRefused: `not_open`: nothing is being applied or undone.
    """
    batch = locked_batch(batch_id, *PAUSABLE_STATUSES)
    if batch.paused_at is None:
        batch.paused_at = now
        batch.claimed_until = None
        batch.save(update_fields=["paused_at", "claimed_until"])
        audit_batch(batch, actor=actor, now=now, action="import.paused", after={"done": batch.done_count})
    return batch


@transaction.atomic
def resume_import(*, actor: User | None, now: dt.datetime, batch_id: int) -> ImportBatch:
    """Let a paused import go on where it stood; a second call changes nothing.

    Raises:
        ImportRefused: `not_open`: nothing is being applied or undone.
    """
    batch = locked_batch(batch_id, *PAUSABLE_STATUSES)
    if batch.paused_at is not None:
        if batch.started_at:
            # The pause does not count in the pace that the time left is told by.
            batch.started_at += now - batch.paused_at
        batch.paused_at = None
        batch.save(update_fields=["paused_at", "started_at"])
        audit_batch(batch, actor=actor, now=now, action="import.resumed", after={"done": batch.done_count})
    return batch


def cancel_import(*, actor: User | None, now: dt.datetime, batch_id: int) -> ImportBatch:
    """Stop an import; what was applied stays, and its report says how far it came.

    Personal data of rows that will not be applied is deleted; wrong rows stay for the report if the
    import had begun to apply.

    Raises:
        ImportRefused: `not_open`: it is applied already.
    """
    with transaction.atomic():
        batch = locked_batch(batch_id, *OPEN_STATUSES, Status.CANCELED)
        if batch.status == Status.CANCELED:
            return batch
        before = batch.status
        batch.status = Status.CANCELED
        batch.finished_at = now
        batch.claimed_until = None
        batch.paused_at = None
        waiting = batch.rows.filter(applied_at=None)
        (waiting.exclude(action=Action.ERROR) if before == Status.APPLYING else waiting).delete()
        tally = dict(batch.rows.values_list("action").annotate(Count("pk")))
        for action, name in COUNT_OF_ACTION.items():
            setattr(batch, name, tally.get(action, 0))
        batch.done_count = sum(tally.values())
        batch.save()
        audit_batch(batch, actor=actor, now=now, action="import.canceled", before={"status": before})
        forget_keys(batch)
        transaction.on_commit(lambda: delete_file(batch))
    return batch


def discard_stale_imports(*, now: dt.datetime) -> int:
    """Give up files that nobody went on with for a week, so that no personal data waits for ever.

    Returns:
        How many were given up.
    """
    stale = ImportBatch.objects.filter(
        status__in=[Status.UPLOADED, Status.CHECKED], created_at__lt=now - STALE_AFTER
    ).values_list("pk", flat=True)
    batch_ids = list(stale[:1000])
    for batch_id in batch_ids:
        # Somebody may have gone on with it in this very moment.
        with suppress(ImportRefused):
            cancel_import(actor=None, now=now, batch_id=batch_id)
    return len(batch_ids)


def due_imports(*, limit: int = 20) -> list[int]:
    """Imports that wait for a worker, or whose worker fell silent."""
    free = Q(claimed_until=None) | Q(claimed_until__lt=Now())
    return list(
        ImportBatch.objects.filter(free, status__in=RUNNING_STATUSES, paused_at=None)
        .order_by("pk")
        .values_list("pk", flat=True)[:limit]
    )


def locked_batch(batch_id: int, *statuses: str) -> ImportBatch:
    """The batch under a lock, in one of the statuses.

    Raises:
        ImportRefused: `not_open`.
    """
    batch = (
        ImportBatch.objects.select_for_update(no_key=True, of=("self",))
        .select_related("property", "source")
        .get(pk=batch_id)
    )
    if batch.status not in statuses:
        raise ImportRefused(
            code="not_open", message=_("This is not possible any more: the import is running, finished or canceled.")
        )
    return batch


def reset_counts(batch: ImportBatch, status: str, started_at: dt.datetime) -> None:
    """Begin a status anew, with nothing counted."""
    batch.status = status
    batch.started_at = started_at
    batch.finished_at = None
    batch.done_count = 0
    for name in COUNT_OF_ACTION.values():
        setattr(batch, name, 0)


def audit_batch(batch: ImportBatch, *, actor: User | None, now: dt.datetime, action: str, **facts: Any) -> None:
    """Write down what somebody did with the import."""
    record_audit(
        actor=actor, now=now, action=action, target=batch, label=batch.file_name, place=batch.property, **facts
    )


def delete_file(batch: ImportBatch) -> None:
    """Once nothing is left to read, the file goes; its rows keep what the report needs."""
    if batch.file:
        default_storage.delete(batch.file.name)
