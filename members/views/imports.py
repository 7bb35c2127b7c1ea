"""Importing a file of guests: upload, choice of columns, check, progress, report."""

from __future__ import annotations

import csv
import io
from http import HTTPStatus
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from kombu.exceptions import OperationalError
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell

from hotels.selectors import current_property, visible_properties
from hotels.services.audit import record_audit
from hotels.views import staff_required
from members import tasks
from members.forms import DeskForm
from members.models import ImportBatch, ImportSource
from members.rules.headers import FIELDS, NOT_IMPORTED, recognize
from members.rules.sheets import MAX_ROWS, SheetError, column_letters
from members.selectors.imports import kept_rows, progress_of, sample_rows, undo_deadline, wrong_rows, wrong_rows_table
from members.services.imports import (
    RUNNING_STATUSES,
    SMALL_ROWS,
    ColumnsWrong,
    ImportRefused,
    approve_import,
    cancel_import,
    check_undo,
    choose_columns,
    pause_import,
    preview_undo,
    resume_import,
    run_import,
    start_import,
    undo_import,
)
from members.views.sheets import in_dialog, render_sheet, staff_user

PERMISSION = "members.import_guests"
PAGE_SIZE = 20
WRONG_ROWS_SHOWN = 50
KEPT_ROWS_SHOWN = 50
# What a form adds around its file.
FORM_OVERHEAD_BYTES = 64 * 1024

log = structlog.get_logger(__name__)
Status = ImportBatch.Status


def _batch_or_404(request: HttpRequest, public_id: UUID) -> ImportBatch:
    """The batch if the user may import at its property; else it might as well not exist."""
    user = staff_user(request)
    batch = (
        ImportBatch.objects.visible_to(user)
        .select_related("property__brand", "created_by")
        .filter(public_id=public_id)
        .first()
    )
    if batch is None or not user.has_perm(PERMISSION, batch.property):
        raise Http404
    return batch


def _run(batch: ImportBatch) -> None:
    """Have a batch worked on: a small one now, a larger one by a worker.

    A message that cannot be sent is no loss: the batch is due in the database and found from there.
    """
    if batch.row_count <= SMALL_ROWS:
        run_import(batch_id=batch.pk, now=timezone.now())
        return
    try:
        tasks.run_import.apply_async(kwargs={"batch_id": batch.pk}, retry=False)
    except OperationalError:
        log.warning("import_not_sent_to_worker", batch=batch.pk)


@never_cache
@require_safe
@staff_required(PERMISSION)
def imports(request: HttpRequest) -> HttpResponse:
    """The imports of the user's properties, newest first."""
    batches = ImportBatch.objects.visible_to(staff_user(request)).select_related("property", "created_by")
    before = request.GET.get("before", "")
    if before.isdecimal():
        batches = batches.filter(pk__lt=int(before[:18]))
    page = list(batches.order_by("-pk")[: PAGE_SIZE + 1])
    return render(
        request,
        "members/imports/list.html",
        {
            "batches": page[:PAGE_SIZE],
            "next": page[PAGE_SIZE - 1].pk if len(page) > PAGE_SIZE else None,
            "is_later_page": bool(before),
        },
    )


@never_cache
# The size is looked at before anything reads the body, which the usual CSRF check would do first.
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
@staff_required(PERMISSION)
def import_upload(request: HttpRequest) -> HttpResponse:
    """Take a file in and go on to its columns."""
    announced = request.META.get("CONTENT_LENGTH") or "0"
    if announced.isdecimal() and int(announced) > settings.GUIKE_IMPORT_MAX_BYTES + FORM_OVERHEAD_BYTES:
        problem = _("The file is larger than %(limit)d MB. Split it into several files.") % {
            "limit": settings.GUIKE_IMPORT_MAX_BYTES // 1024**2
        }
        return _upload_page(request, problem, status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return _upload(request)


@csrf_protect
def _upload(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return _upload_page(request)
    user = staff_user(request)
    code = request.POST.get("property", "")
    place = next((p for p in visible_properties(user) if p.code == code and user.has_perm(PERMISSION, p)), None)
    file = request.FILES.get("file")
    if place is None:
        return _upload_page(request, _("Choose the property."), status=422)
    if file is None or file.file is None:
        return _upload_page(request, _("Choose a file."), status=422)
    try:
        batch = start_import(
            actor=user,
            now=timezone.now(),
            place=place,
            file_name=file.name or "?",
            file=file.file,
            source=request.POST.get("source", ""),
        )
    except SheetError as error:
        return _upload_page(request, error.message, status=422)
    return redirect("members:import_detail", batch.public_id)


def _upload_page(request: HttpRequest, problem: str = "", *, status: int = 200) -> HttpResponse:
    user = staff_user(request)
    here = current_property(request)
    chosen = "" if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE else request.POST.get("property", "")
    return render(
        request,
        "members/imports/upload.html",
        {
            "problem": problem,
            "places": [place for place in visible_properties(user) if user.has_perm(PERMISSION, place)],
            "chosen": chosen or (here.code if here else ""),
            "limit_mb": settings.GUIKE_IMPORT_MAX_BYTES // 1024**2,
            "limit_rows": MAX_ROWS,
            "sources": ImportSource.objects.order_by("-updated_at").values_list("name", flat=True)[:50],
            "step": 1,
        },
        status=status,
    )


@never_cache
@require_safe
@staff_required(PERMISSION)
def import_detail(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Where an import stands: its columns, its check, its progress or its report."""
    return _detail(request, _batch_or_404(request, public_id))


def _detail(
    request: HttpRequest,
    batch: ImportBatch,
    *,
    mapping: dict[int, str] | None = None,
    errors: dict[int | None, Any] | None = None,
    status: int = 200,
) -> HttpResponse:
    context: dict[str, Any] = {"batch": batch, "now": timezone.now(), "errors": errors or {}}
    wants_columns = batch.status == Status.CHECKED and "columns" in request.GET
    if batch.status == Status.UPLOADED or wants_columns or errors:
        context |= {"part": "columns", "step": 2, "columns": _columns(batch, mapping, errors or {})}
        context["fields"] = FIELDS.items()
        context["file_problem"] = (errors or {}).get(None, "")
        context["same_file"] = (
            ImportBatch.objects.filter(property=batch.property, file_sha256=batch.file_sha256, status=Status.APPLIED)
            .order_by("-pk")
            .first()
        )
    elif batch.status in RUNNING_STATUSES:
        context |= {"part": "progress", "step": 3 if batch.status == Status.CHECKING else 4}
        context["progress"] = progress_of(batch, timezone.now())
    else:
        after = request.GET.get("after", "")
        wrong = wrong_rows(batch, after=int(after[:9]) if after.isdecimal() else 0, limit=WRONG_ROWS_SHOWN + 1)
        context |= {
            "part": "check" if batch.status == Status.CHECKED else "report",
            "step": 3 if batch.status == Status.CHECKED else 4,
            "wrong_rows": wrong[:WRONG_ROWS_SHOWN],
            "next_wrong": wrong[WRONG_ROWS_SHOWN - 1].number if len(wrong) > WRONG_ROWS_SHOWN else None,
            "import_count": batch.create_count + batch.update_count,
            "left_count": batch.row_count - batch.done_count,
            "chosen_headers": [batch.headers[int(index)] for index in sorted(batch.mapping, key=int)],
            "samples": sample_rows(batch) if batch.status == Status.CHECKED else [],
            "undo_until": undo_deadline(batch, timezone.now()),
            "kept_rows": kept_rows(batch, limit=KEPT_ROWS_SHOWN) if batch.kept_count else [],
        }
    return render(request, "members/imports/detail.html", context, status=status)


def _columns(batch: ImportBatch, mapping: dict[int, str] | None, errors: dict[int | None, Any]) -> list[dict[str, Any]]:
    """What the page says of each column: its name, some cells, the field chosen, why it is left out."""
    chosen = mapping if mapping is not None else {int(index): name for index, name in batch.mapping.items()}
    columns = []
    for index, header in enumerate(batch.headers):
        known = recognize(header)
        note = ""
        if not chosen.get(index):
            if known in NOT_IMPORTED:
                note = _("%(field)s is not imported yet") % {"field": NOT_IMPORTED[known]}
            elif known:
                note = _("another column already holds this")
            else:
                note = _("not recognized")
        columns.append(
            {
                "index": index,
                "letters": column_letters(index),
                "header": header,
                "samples": [cell for cell in batch.samples[index] if cell] if index < len(batch.samples) else [],
                "field": chosen.get(index, ""),
                "note": note,
                "error": errors.get(index, ""),
            }
        )
    return columns


@require_POST
@staff_required(PERMISSION)
def import_columns(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Settle the columns and have the file checked."""
    batch = _batch_or_404(request, public_id)
    mapping = {index: request.POST.get(f"column-{index}", "") for index in range(len(batch.headers))}
    mapping = {index: name for index, name in mapping.items() if name in FIELDS}
    try:
        choose_columns(actor=staff_user(request), now=timezone.now(), batch_id=batch.pk, mapping=mapping)
    except ColumnsWrong as error:
        return _detail(request, batch, mapping=mapping, errors=error.errors, status=422)
    except ImportRefused as error:
        messages.error(request, error.message)
    else:
        _run(batch)
    return redirect("members:import_detail", batch.public_id)


@require_POST
@staff_required(PERMISSION)
def import_apply(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Import what the check found right."""
    batch = _batch_or_404(request, public_id)
    try:
        approve_import(actor=staff_user(request), now=timezone.now(), batch_id=batch.pk)
    except ImportRefused as error:
        messages.error(request, error.message)
    else:
        _run(batch)
    return redirect("members:import_detail", batch.public_id)


@require_POST
@staff_required(PERMISSION)
def import_cancel(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Stop an import."""
    batch = _batch_or_404(request, public_id)
    try:
        cancel_import(actor=staff_user(request), now=timezone.now(), batch_id=batch.pk)
    except ImportRefused as error:
        messages.error(request, error.message)
    return redirect("members:import_detail", batch.public_id)


@require_POST
@staff_required(PERMISSION)
def import_pause(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Hold a running import."""
    batch = _batch_or_404(request, public_id)
    try:
        pause_import(actor=staff_user(request), now=timezone.now(), batch_id=batch.pk)
    except ImportRefused as error:
        messages.error(request, error.message)
    return redirect("members:import_detail", batch.public_id)


@require_POST
@staff_required(PERMISSION)
def import_resume(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Let a paused import go on."""
    batch = _batch_or_404(request, public_id)
    try:
        resume_import(actor=staff_user(request), now=timezone.now(), batch_id=batch.pk)
    except ImportRefused as error:
        messages.error(request, error.message)
    else:
        _run(batch)
    return redirect("members:import_detail", batch.public_id)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_required(PERMISSION)
def import_undo(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Ask, naming what would be taken back, and take a whole import back."""
    batch = _batch_or_404(request, public_id)
    form = DeskForm(request.POST or None)
    try:
        if request.method == "POST":
            undo_import(actor=staff_user(request), now=timezone.now(), batch_id=batch.pk)
            _run(batch)
        else:
            check_undo(batch, now=timezone.now())
    except ImportRefused as error:
        messages.error(request, error.message)
    else:
        if request.method != "POST":
            context = {"form": form, "batch": batch, "preview": preview_undo(batch)}
            return render_sheet(request, "members/imports/undo.html", context)
    if in_dialog(request):
        target = reverse("members:import_detail", args=[batch.public_id])
        return HttpResponse(status=204, headers={"HX-Redirect": target})
    return redirect("members:import_detail", batch.public_id)


@never_cache
@require_safe
@staff_required(PERMISSION)
def import_progress(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """The progress of a running import; once it has ended, the whole page anew."""
    batch = _batch_or_404(request, public_id)
    if request.headers.get("HX-Request") != "true":
        return redirect("members:import_detail", batch.public_id)
    if batch.status not in RUNNING_STATUSES:
        return HttpResponse(status=204, headers={"HX-Refresh": "true"})
    context = {"batch": batch, "progress": progress_of(batch, timezone.now())}
    return render(request, "members/imports/progress.html", context)


@never_cache
@require_safe
@staff_required(PERMISSION)
def import_errors(request: HttpRequest, public_id: UUID, suffix: str) -> HttpResponse:
    """The wrong rows with their reasons as a file; who took it is written down, for it is unmasked."""
    batch = _batch_or_404(request, public_id)
    record_audit(
        actor=staff_user(request),
        now=timezone.now(),
        action="import.errors_downloaded",
        target=batch,
        label=batch.file_name,
        place=batch.property,
        after={"rows": batch.error_count},
    )
    if suffix == "xlsx":
        content, kind = _workbook(batch), "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    else:
        text = io.StringIO(newline="")
        csv.writer(text).writerows(wrong_rows_table(batch))
        content, kind = text.getvalue().encode("utf-8-sig"), "text/csv; charset=utf-8"
    name = f"import-{batch.public_id.hex[:8]}-errors.{suffix}"
    return HttpResponse(content, content_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'})


def _workbook(batch: ImportBatch) -> bytes:
    """A workbook of text cells: Excel keeps every digit, and runs nothing as a formula."""
    book = Workbook(write_only=True)
    page = book.create_sheet()
    for row in wrong_rows_table(batch):
        cells = []
        for value in row:
            cell = WriteOnlyCell(page, value)
            cell.data_type = "s"
            cell.number_format = "@"
            cells.append(cell)
        page.append(cells)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


urlpatterns = [
    path("imports/", imports, name="imports"),
    path("imports/new/", import_upload, name="import_upload"),
    path("imports/<uuid:public_id>/", import_detail, name="import_detail"),
    path("imports/<uuid:public_id>/columns/", import_columns, name="import_columns"),
    path("imports/<uuid:public_id>/apply/", import_apply, name="import_apply"),
    path("imports/<uuid:public_id>/cancel/", import_cancel, name="import_cancel"),
    path("imports/<uuid:public_id>/pause/", import_pause, name="import_pause"),
    path("imports/<uuid:public_id>/resume/", import_resume, name="import_resume"),
    path("imports/<uuid:public_id>/undo/", import_undo, name="import_undo"),
    path("imports/<uuid:public_id>/progress/", import_progress, name="import_progress"),
    path("imports/<uuid:public_id>/errors.csv", import_errors, {"suffix": "csv"}, name="import_errors_csv"),
    path("imports/<uuid:public_id>/errors.xlsx", import_errors, {"suffix": "xlsx"}, name="import_errors_xlsx"),
]
