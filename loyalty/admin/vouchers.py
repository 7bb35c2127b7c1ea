"""Vouchers in the admin: types with their terms and a preview, batches with their codes, single vouchers to read."""

from __future__ import annotations

import csv
import io
import uuid
from collections.abc import Iterator
from typing import Any, cast

import structlog
from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import models
from django.db.models import QuerySet, Value
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    StreamingHttpResponse,
)
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from kombu.exceptions import OperationalError
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from unfold.contrib.filters.admin import RangeDateTimeFilter
from unfold.decorators import action, display
from unfold.widgets import INPUT_CLASSES, UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminTextInputWidget

from hotels.admin.base import AuditedAdmin, GrowingMixin, ReadOnlyAdmin, ReadOnlyInline, ScopedInline
from hotels.models import User
from hotels.resources import neutralize
from hotels.templatetags.ui import WEEKDAYS
from loyalty import tasks
from loyalty.models import MovementKind, Voucher, VoucherBatch, VoucherBlackout, VoucherEvent, VoucherType
from loyalty.rules.explain import spoken_reason
from loyalty.rules.vouchers import CodeError, code_of, parse_code
from loyalty.selectors.approvals import waiting_sentence
from loyalty.selectors.vouchers import batch_rows, conditions_of, qr_code, terms_in_words, worth_of
from loyalty.services.approvals import ApprovalError, OrderVouchers, Requested, perform_or_request
from loyalty.services.vouchers import (
    BATCH_MAXIMUM,
    VoucherRefused,
    cancel_batch,
    record_export,
    run_batch,
)

log = structlog.get_logger(__name__)

# As many are issued in the request itself; more by a worker.
SMALL_BATCH = 2000
# A workbook of more takes minutes to write.
WORKBOOK_LIMIT = 200_000
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
# The printed example: a code that no voucher has, for its random part is all zeros.
SAMPLE_CODE = code_of(bytes(14))
TERMS = [
    "programme",
    "code",
    "kind",
    "amount",
    "percent",
    "currency",
    "description",
    "description_en",
    "min_spend",
    "properties",
    "brands",
    "weekdays",
    "min_tier",
    "is_transferable",
    "is_stackable",
    "per_member_limit",
    "valid_from",
    "expires_on",
    "valid_days",
    "unit_cost",
    "funding_property",
]


class VoucherTypeForm(forms.ModelForm[VoucherType]):
    """The terms; days of the week are ticked."""

    weekdays = forms.TypedMultipleChoiceField(
        label=_("days of the week"),
        choices=[(number, label) for number, label in enumerate(WEEKDAYS, start=1)],
        coerce=int,
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text=_("None chosen: every day."),
    )

    class Meta:
        model = VoucherType
        fields = [*TERMS, "name", "name_en", "is_active", "issue_from", "issue_until", "issue_limit", "reminder_days"]


class OrderForm(forms.Form):
    """Many vouchers for nobody in particular."""

    quantity = forms.IntegerField(
        label=_("quantity"),
        min_value=1,
        max_value=BATCH_MAXIMUM,
        widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "numeric"}),
    )
    purpose = forms.CharField(
        label=_("what for"),
        max_length=120,
        help_text=_("Such as a fair, a partner, a mailing."),
        widget=UnfoldAdminTextInputWidget,
    )
    request_key = forms.UUIDField(widget=forms.HiddenInput)


class ReasonForm(forms.Form):
    """Why a batch is canceled."""

    reason = forms.CharField(
        label=_("Reason"), max_length=200, widget=forms.TextInput(attrs={"class": " ".join(INPUT_CLASSES)})
    )


class BlackoutInline(ScopedInline):
    """Days on which vouchers of the type may not be used."""

    model = VoucherBlackout
    fields = ["first_date", "last_date"]
    ordering = ["first_date", "pk"]

    def has_add_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Until the first voucher is issued."""
        return not _is_fixed(obj) and super().has_add_permission(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Until the first voucher is issued."""
        return not _is_fixed(obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Until the first voucher is issued."""
        return not _is_fixed(obj) and super().has_delete_permission(request, obj)


def _is_fixed(obj: models.Model | None) -> bool:
    return isinstance(obj, VoucherType) and obj.issued_count > 0


@admin.register(VoucherType)
class VoucherTypeAdmin(AuditedAdmin):
    """What vouchers promise; fixed once one was issued."""

    form = VoucherTypeForm
    inlines = [BlackoutInline]
    list_display = ["code", "name", "name_en", "worth", "issued_count", "issue_limit", "is_active", "programme"]
    list_select_related = ["programme"]
    list_filter = ["programme", "kind", "is_active"]
    ordering = ["programme", "code", "pk"]
    search_fields = ["code", "name", "name_en"]
    filter_horizontal = ["properties", "brands"]
    compressed_fields = True
    actions_detail = ["preview", "order"]
    fieldsets = [
        (None, {"fields": ["programme", "code", "name", "name_en", "is_active", "issued"]}),
        (_("Worth"), {"fields": ["kind", "amount", "percent", "currency"]}),
        (
            _("Conditions of use"),
            {
                "fields": [
                    "min_spend",
                    "min_tier",
                    "properties",
                    "brands",
                    "weekdays",
                    "is_transferable",
                    "is_stackable",
                    "description",
                    "description_en",
                ]
            },
        ),
        (_("Validity"), {"fields": ["valid_from", "expires_on", "valid_days", "reminder_days"]}),
        (_("Issuing"), {"fields": ["issue_from", "issue_until", "issue_limit", "per_member_limit"]}),
        (_("Cost"), {"fields": ["unit_cost", "funding_property"]}),
    ]

    @admin.display(description=_("worth"))
    def worth(self, voucher_type: VoucherType) -> str:
        """In a few words."""
        return worth_of(voucher_type)

    @admin.display(description=_("issued"))
    def issued(self, voucher_type: VoucherType) -> str:
        """How many, and what that means for the terms."""
        if not voucher_type.issued_count:
            return "0"
        return format_html(
            "{} · {}", f"{voucher_type.issued_count:,}", _("the terms are fixed; for others make another type")
        )

    def get_readonly_fields(self, request: HttpRequest, obj: models.Model | None = None) -> list[str]:
        """The terms stay once a voucher was issued."""
        return ["issued", *(TERMS if _is_fixed(obj) else [])]

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Until the first voucher is issued."""
        return not _is_fixed(obj) and super().has_delete_permission(request, obj)

    def has_preview_permission(self, request: HttpRequest, object_id: str | int | None = None) -> bool:
        """As for looking at the type."""
        return self.has_view_permission(request)

    def has_order_permission(self, request: HttpRequest, object_id: str | int | None = None) -> bool:
        """For those who may order batches."""
        return cast("User", request.user).has_perm("loyalty.add_voucherbatch")

    @action(  # type: ignore[untyped-decorator]
        description=_("As the guest sees it"), url_path="preview", permissions=["preview"], icon="visibility"
    )
    def preview(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The voucher on paper, with a code that no voucher has."""
        voucher_type = self._row(request, object_id)
        today = voucher_type.programme.local_date(timezone.now())
        voucher = Voucher(type=voucher_type, code=SAMPLE_CODE, valid_from=today, expires_on=voucher_type.expires_on)
        context = {
            **self.admin_site.each_context(request),
            "title": _("As the guest sees it"),
            "opts": self.opts,
            "original": voucher_type,
            "voucher": voucher,
            "worth": worth_of(voucher_type),
            "conditions": conditions_of(voucher_type),
            "terms_text": terms_in_words(voucher_type),
            "qr": qr_code(SAMPLE_CODE),
            "today": today,
        }
        return TemplateResponse(request, "admin/loyalty/voucher_preview.html", context)

    @action(  # type: ignore[untyped-decorator]
        description=_("Issue many"), url_path="order", permissions=["order"], icon="stacks"
    )
    def order(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Order a batch; small ones are there at once, others are issued in the background."""
        voucher_type = self._row(request, object_id)
        if not self.has_order_permission(request):
            raise PermissionDenied
        form = OrderForm(request.POST or None, initial={"request_key": uuid.uuid4()})
        if request.method == "POST" and form.is_valid():
            try:
                outcome = perform_or_request(
                    kind=MovementKind.VOUCHER_BATCH,
                    actor=cast("User", request.user),
                    now=timezone.now(),
                    payload=OrderVouchers(
                        type_id=voucher_type.pk,
                        quantity=form.cleaned_data["quantity"],
                        purpose=form.cleaned_data["purpose"],
                    ),
                    programme=voucher_type.programme,
                    reason=form.cleaned_data["purpose"],
                    idempotency_key=str(form.cleaned_data["request_key"]),
                )
            except (VoucherRefused, ApprovalError) as refused:
                form.add_error("quantity", str(refused))
            else:
                if isinstance(outcome, Requested):
                    messages.warning(request, waiting_sentence(outcome.request))
                    return HttpResponseRedirect(reverse("admin:loyalty_vouchertype_change", args=[voucher_type.pk]))
                batch: VoucherBatch = outcome.result
                _start(batch)
                return HttpResponseRedirect(reverse("admin:loyalty_voucherbatch_change", args=[batch.pk]))
        context = {
            **self.admin_site.each_context(request),
            "title": _("Issue many"),
            "opts": self.opts,
            "original": voucher_type,
            "form": form,
            "intro": _(
                "Vouchers for whoever carries them, each with a code of its own. Their codes can be exported for printing"
                " or mailing once they are issued."
            ),
            "submit": _("Issue these vouchers"),
        }
        status = 422 if form.errors else 200
        return TemplateResponse(request, "admin/loyalty/voucher_form.html", context, status=status)

    def _row(self, request: HttpRequest, object_id: str) -> VoucherType:
        row = self.get_object(request, object_id)
        if not isinstance(row, VoucherType):
            raise Http404
        return row


def _start(batch: VoucherBatch) -> None:
    """Have a batch issued: a small one now, a larger one by a worker.

    A message that cannot be sent is no loss: the batch is due in the database and found from there.
    """
    if batch.quantity <= SMALL_BATCH:
        run_batch(batch_id=batch.pk, now=timezone.now())
        return
    try:
        tasks.run_voucher_batch.apply_async(kwargs={"batch_id": batch.pk}, retry=False)
    except OperationalError:
        log.warning("voucher_batch_not_sent_to_worker", batch=batch.pk)


@admin.register(VoucherBatch)
class VoucherBatchAdmin(ReadOnlyAdmin):
    """Batches with their progress; codes leave the house only for those who may, and that is written down."""

    list_display = ["created_at", "purpose", "type", "quantity", "issued_count", "progress", "created_by"]
    list_display_links = ["purpose"]
    list_select_related = ["type", "created_by"]
    list_filter = ["status", "type"]
    ordering = ["-id"]
    search_fields = ["purpose", "type__code", "type__name"]
    fields = [
        "type",
        "purpose",
        "quantity",
        "progress",
        "valid_from",
        "expires_on",
        "created_by",
        "created_at",
        "finished_at",
    ]
    readonly_fields = ["progress"]
    actions_detail = ["export_csv", "export_xlsx", "cancel"]

    @display(  # type: ignore[untyped-decorator]
        description=_("progress"), label={"issuing": "info", "issued": "success", "canceled": "default"}
    )
    def progress(self, batch: VoucherBatch) -> tuple[str, str]:
        """State and share."""
        return str(batch.status), f"{batch.get_status_display()} · {batch.percent_done}% ({batch.issued_count:,})"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The batch; a running one is shown anew every few seconds."""
        response = super().change_view(request, object_id, form_url, extra_context)
        if VoucherBatch.objects.filter(pk=object_id, status=VoucherBatch.Status.ISSUING).exists():
            response["Refresh"] = "3"
        return cast("HttpResponse", response)

    def has_export_codes_permission(self, request: HttpRequest, object_id: str | int | None = None) -> bool:
        """For those who may take codes out of the house."""
        return cast("User", request.user).has_perm("loyalty.export_voucher")

    def has_cancel_permission(self, request: HttpRequest, object_id: str | int | None = None) -> bool:
        """For those who may cancel what they ordered."""
        user = cast("User", request.user)
        return user.has_perm("loyalty.cancel_voucher") and user.has_perm("loyalty.add_voucherbatch")

    @action(  # type: ignore[untyped-decorator]
        description=_("Codes as CSV"), url_path="codes.csv", permissions=["export_codes"], icon="download"
    )
    def export_csv(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """All codes of the batch, written as they are read."""
        batch = self._exported(request, object_id, "CSV")
        response = StreamingHttpResponse(_csv_lines(batch), content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="{_file_name(batch)}.csv"'
        return response

    @action(  # type: ignore[untyped-decorator]
        description=_("Codes as XLSX"), url_path="codes.xlsx", permissions=["export_codes"], icon="download"
    )
    def export_xlsx(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """All codes of the batch as a workbook of text cells."""
        row = self._row(request, object_id)
        if row.issued_count > WORKBOOK_LIMIT:
            text = _("A workbook holds at most %(limit)s codes; take the CSV.") % {"limit": f"{WORKBOOK_LIMIT:,}"}
            messages.error(request, text)
            return HttpResponseRedirect(reverse("admin:loyalty_voucherbatch_change", args=[row.pk]))
        batch = self._exported(request, object_id, "XLSX")
        response = HttpResponse(_workbook(batch), content_type=XLSX)
        response["Content-Disposition"] = f'attachment; filename="{_file_name(batch)}.xlsx"'
        return response

    @action(  # type: ignore[untyped-decorator]
        description=_("Cancel the batch"), url_path="cancel", permissions=["cancel"], icon="block"
    )
    def cancel(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Stop a batch and cancel its open vouchers, with a reason."""
        batch = self._row(request, object_id)
        if not self.has_cancel_permission(request):
            raise PermissionDenied
        form = ReasonForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            cancel_batch(
                actor=cast("User", request.user),
                now=timezone.now(),
                batch_id=batch.pk,
                reason=form.cleaned_data["reason"],
            )
            messages.success(request, _("The batch is canceled; vouchers that were used stay used."))
            return HttpResponseRedirect(reverse("admin:loyalty_voucherbatch_change", args=[batch.pk]))
        open_count = batch.vouchers.filter(state=Voucher.State.ISSUED).count()
        context = {
            **self.admin_site.each_context(request),
            "title": _("Cancel the batch"),
            "opts": self.opts,
            "original": batch,
            "form": form,
            "intro": _(
                "%(count)s open vouchers are canceled for good; what is not issued yet will not be. Used vouchers stay used."
            )
            % {"count": f"{open_count:,}"},
            "submit": _("Cancel %(count)s vouchers") % {"count": f"{open_count:,}"},
        }
        status = 422 if form.errors else 200
        return TemplateResponse(request, "admin/loyalty/voucher_form.html", context, status=status)

    def _row(self, request: HttpRequest, object_id: str) -> VoucherBatch:
        row = self.get_object(request, object_id)
        if not isinstance(row, VoucherBatch):
            raise Http404
        return row

    def _exported(self, request: HttpRequest, object_id: str, file_format: str) -> VoucherBatch:
        batch = self._row(request, object_id)
        if not self.has_export_codes_permission(request):
            raise PermissionDenied
        record_export(actor=cast("User", request.user), now=timezone.now(), batch=batch, file_format=file_format)
        return batch


def _file_name(batch: VoucherBatch) -> str:
    return f"vouchers-{batch.type.code}-{batch.pk}"


def _table(batch: VoucherBatch) -> Iterator[list[Any]]:
    yield [str(_("number in the batch")), str(_("code")), str(_("valid from")), str(_("last day")), str(_("state"))]
    for row in batch_rows(batch):
        yield [neutralize("" if cell is None else str(cell)) for cell in row]


def _csv_lines(batch: VoucherBatch) -> Iterator[bytes]:
    # Excel reads UTF-8 only with its mark.
    yield b"\xef\xbb\xbf"
    for row in _table(batch):
        line = io.StringIO(newline="")
        csv.writer(line).writerow(row)
        yield line.getvalue().encode()


def _workbook(batch: VoucherBatch) -> bytes:
    """A workbook of text cells: Excel keeps every digit, and runs nothing as a formula."""
    book = Workbook(write_only=True)
    page = book.create_sheet()
    for row in _table(batch):
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


class VoucherEventInline(ReadOnlyInline):
    """What happened to the voucher."""

    model = VoucherEvent
    fk_name = "voucher"
    fields = ["at", "kind", "actor", "property", "from_membership", "membership", "amount", "folio_reference", "why"]
    readonly_fields = ["why"]
    ordering = ["-id"]

    @admin.display(description=_("reason"))
    def why(self, event: VoucherEvent) -> str:
        """In the reader's language where the desk gave it by itself."""
        return spoken_reason(event.reason)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With the names."""
        return super().get_queryset(request).select_related("actor", "property", "from_membership", "membership")


@admin.register(Voucher)
class VoucherAdmin(GrowingMixin, ReadOnlyAdmin):
    """Single vouchers; whole codes only for those who may see them."""

    inlines = [VoucherEventInline]
    list_display = [
        "shown_code",
        "type",
        "membership",
        "state_label",
        "source",
        "issued_at",
        "expires_on",
        "redeemed_at",
        "redeemed_property",
    ]
    list_select_related = [
        "type",
        "membership",
        "batch",
        "redeemed_property",
        "redeemed_by",
        "stay",
    ]
    list_filter = ["state", "source", "type", ("issued_at", RangeDateTimeFilter)]
    ordering = ["-id"]
    search_fields = ["=membership__number"]
    search_help_text = _("Whole code or membership number")
    readonly_fields = ["shown_code", "page"]
    fields = [
        "shown_code",
        "type",
        "membership",
        "state",
        "source",
        "source_reference",
        "batch",
        "issued_at",
        "valid_from",
        "expires_on",
        "redeemed_at",
        "redeemed_by",
        "redeemed_property",
        "folio_reference",
        "stay",
        "spend",
        "amount_applied",
        "page",
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With whether the reader may see codes."""
        may_reveal = cast("User", request.user).has_perm("loyalty.reveal_voucher")
        vouchers = (
            super().get_queryset(request).annotate(may_reveal=Value(may_reveal, output_field=models.BooleanField()))
        )
        return cast("QuerySet[Any]", vouchers)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """By code, however it is typed, else by membership number."""
        try:
            return queryset.filter(code=parse_code(search_term)), False
        except CodeError:
            return cast("tuple[QuerySet[Any], bool]", super().get_search_results(request, queryset, search_term))

    @admin.display(description=_("code"))
    def shown_code(self, voucher: Voucher) -> str:
        """Whole for those who may see it, else masked."""
        return voucher.spelled_code if getattr(voucher, "may_reveal", False) else voucher.masked_code

    @display(  # type: ignore[untyped-decorator]
        description=_("state"),
        label={"issued": "success", "redeemed": "info", "canceled": "default", "expired": "default"},
    )
    def state_label(self, voucher: Voucher) -> tuple[str, str]:
        """Coloured."""
        return str(voucher.state), str(voucher.get_state_display())

    @admin.display(description=_("page of the voucher"))
    def page(self, voucher: Voucher) -> SafeString:
        """A link to the staff page, where it is used, passed on or printed."""
        url = reverse("loyalty:voucher", args=[voucher.public_id])
        return format_html("<a class='text-primary-600' href='{}'>{}</a>", url, _("Open the voucher"))
