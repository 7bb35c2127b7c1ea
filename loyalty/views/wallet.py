"""Stored value at the desk: top up, pay, pay back, undo, the receipt, and the daily statement."""

from __future__ import annotations

import datetime as dt
import io
import zoneinfo
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import path, reverse
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from openpyxl import Workbook

from hotels.models import Property
from hotels.templatetags.ui import money
from hotels.views import staff_required
from loyalty.forms import StoredValueForm, StoredValueRefundForm, TopUpForm
from loyalty.models import Membership, MovementKind, StoredValueMovement, StoredValuePolicy
from loyalty.rules.explain import UNDONE_AT_DESK
from loyalty.rules.money import whole
from loyalty.selectors.wallet import DailyStatement, daily_statement, left_of_top_ups, stored_value, today_of
from loyalty.services import wallet
from loyalty.services.approvals import ApprovalError, RefundTopUp, Requested, TopUp, perform_or_request
from loyalty.services.ledger import LedgerError
from loyalty.services.wallet import StoredValueError
from loyalty.views.approvals import say_requested
from loyalty.views.desk import membership_or_404, programme_or_404
from members.models import Guest
from members.views.sheets import back_to_card, guest_or_404, place_of, refuse_on_card, render_sheet, staff_user

EXCEL = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
COLUMNS = ("opening", "topped_up", "spent", "refunded", "expired", "closing")
# What a page with top-ups shows at most.
SHOWN_TOP_UPS = 6


def _currency_of(membership: Membership, place: Property, today: dt.date) -> StoredValuePolicy | None:
    return StoredValuePolicy.objects.in_force(programme_id=membership.programme_id, place=place, on_date=today)


def _scene(request: HttpRequest, guest: Guest) -> dict[str, Any]:
    """The guest's membership, the policy of the place and the balance in its currency."""
    membership, place = membership_or_404(guest), place_of(request)
    today = today_of(membership, timezone.now())
    policy = _currency_of(membership, place, today)
    currency = policy.currency if policy else membership.programme.currency
    balance = stored_value(membership=membership, currency=currency, on_date=today)
    return {
        "guest": guest,
        "membership": membership,
        "policy": policy,
        "currency": currency,
        "today": today,
        "balance": whole(balance.total),
        "principal": whole(balance.principal),
        "gift": whole(balance.gift),
    }


def _refuse(form: StoredValueForm, error: Exception) -> None:
    field = getattr(error, "field", None)
    form.add_error(field if field in form.fields else None, str(error))


def _undo_address(movement: StoredValueMovement) -> str:
    return reverse("loyalty:undo_stored_value", args=[movement.public_id])


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_required("loyalty.top_up_stored_value")
def top_up(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Take money and store it with its gift."""
    guest = guest_or_404(request, public_id)
    scene = _scene(request, guest)
    form = TopUpForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            outcome = perform_or_request(
                kind=MovementKind.TOP_UP,
                actor=staff_user(request),
                now=timezone.now(),
                membership_id=scene["membership"].pk,
                payload=TopUp(
                    membership_id=scene["membership"].pk,
                    amount=form.minor_units,
                    currency=scene["currency"],
                    method=data["method"],
                    reference=data["reference"],
                ),
                place=place_of(request),
                idempotency_key=str(form.key),
            )
        except (StoredValueError, LedgerError, ApprovalError) as error:
            _refuse(form, error)
        else:
            if isinstance(outcome, Requested):
                return say_requested(request, guest, outcome)
            movement: StoredValueMovement = outcome.result
            text = _("%(amount)s topped up, %(gift)s given.") % {
                "amount": money(whole(movement.principal), movement.currency),
                "gift": money(whole(movement.gift), movement.currency),
            }
            return back_to_card(request, guest, text, undo=_undo_address(movement))
    steps = scene["policy"].steps.all() if scene["policy"] else []
    context = {**scene, "form": form, "steps": [(whole(step.amount), whole(step.gift)) for step in steps]}
    return render_sheet(request, "loyalty/wallet/top_up.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_required("loyalty.spend_stored_value")
def pay(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Take a payment from stored value."""
    guest = guest_or_404(request, public_id)
    scene = _scene(request, guest)
    form = StoredValueForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            movement = wallet.pay_from_stored_value(
                actor=staff_user(request),
                now=timezone.now(),
                membership_id=scene["membership"].pk,
                amount=form.minor_units,
                currency=scene["currency"],
                reference=form.cleaned_data["reference"],
                place=place_of(request),
                idempotency_key=str(form.key),
            )
        except (StoredValueError, LedgerError) as error:
            _refuse(form, error)
        else:
            text = _("%(amount)s paid from stored value.") % {"amount": money(whole(movement.total), movement.currency)}
            return back_to_card(request, guest, text, undo=_undo_address(movement))
    return render_sheet(request, "loyalty/wallet/pay.html", {**scene, "form": form})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_required("loyalty.refund_stored_value")
def refund(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Pay unspent principal of a top-up back."""
    guest = guest_or_404(request, public_id)
    scene = _scene(request, guest)
    form = StoredValueRefundForm(request.POST or None, membership=scene["membership"])
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            outcome = perform_or_request(
                kind=MovementKind.TOP_UP_REFUND,
                actor=staff_user(request),
                now=timezone.now(),
                membership_id=scene["membership"].pk,
                payload=RefundTopUp(
                    top_up_id=data["top_up"].pk,
                    amount=form.minor_units,
                    currency=data["top_up"].currency,
                    method=data["method"],
                    reference=data["reference"],
                ),
                place=place_of(request),
                reason=data["reason"],
                idempotency_key=str(form.key),
            )
        except (StoredValueError, LedgerError, ApprovalError) as error:
            _refuse(form, error)
        else:
            if isinstance(outcome, Requested):
                return say_requested(request, guest, outcome)
            movement: StoredValueMovement = outcome.result
            text = _("%(amount)s paid back, %(gift)s of the gift taken back.") % {
                "amount": money(whole(movement.principal), movement.currency),
                "gift": money(whole(movement.gift), movement.currency),
            }
            return back_to_card(request, guest, text)
    top_ups = list(
        StoredValueMovement.objects.filter(
            membership=scene["membership"], kind=StoredValueMovement.Kind.TOP_UP, undone_at=None
        )
    )
    left = left_of_top_ups(top_ups=top_ups, on_date=scene["today"])
    open_ones = [(row, left[row.pk]) for row in top_ups if left[row.pk].principal][:SHOWN_TOP_UPS]
    # Mostly it is the last one.
    chosen = form["top_up"].value() or (open_ones[0][0].public_id if open_ones else None)
    context = {
        **scene,
        "form": form,
        "top_ups": [
            (row, whole(parts.principal), whole(parts.gift), str(row.public_id) == str(chosen))
            for row, parts in open_ones
        ],
    }
    return render_sheet(request, "loyalty/wallet/refund.html", context)


@require_POST
@staff_required("loyalty.spend_stored_value")
def undo(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Undo a top-up or a payment of today at this property."""
    movement = get_object_or_404(
        StoredValueMovement.objects.visible_to(staff_user(request)).select_related("membership__guest"),
        public_id=public_id,
        property=place_of(request),
    )
    guest = movement.membership.guest
    try:
        wallet.undo_stored_value(
            actor=staff_user(request), now=timezone.now(), movement_id=movement.pk, reason=UNDONE_AT_DESK
        )
    except (StoredValueError, LedgerError) as error:
        return refuse_on_card(request, guest, str(error))
    text = _("Undone: %(movement)s.") % {"movement": movement}
    return back_to_card(request, guest, text)


@never_cache
@require_safe
@staff_required("loyalty.view_storedvaluemovement")
def receipt(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """A movement on paper."""
    movement = get_object_or_404(
        StoredValueMovement.objects.visible_to(staff_user(request)).select_related(
            "membership__guest", "membership__programme", "property", "actor"
        ),
        public_id=public_id,
    )
    today = today_of(movement.membership, timezone.now())
    balance = stored_value(membership=movement.membership, currency=movement.currency, on_date=today)
    context = {
        "movement": movement,
        "guest": movement.membership.guest,
        "parts": [whole(amount) for amount in (movement.total, movement.principal, movement.gift)],
        "balance": whole(balance.total),
    }
    return render(request, "loyalty/wallet/receipt.html", context)


@never_cache
@require_safe
@staff_required("loyalty.view_storedvaluemovement")
def statement(request: HttpRequest) -> HttpResponse:
    """The daily statement of the property, on the page or as a workbook."""
    place, programme, now = place_of(request), programme_or_404(), timezone.now()
    today = place.local_date(now)
    try:
        on_date = min(parse_date(request.GET.get("date", "")) or today, today)
    except ValueError:
        on_date = today
    policy = StoredValuePolicy.objects.in_force(programme_id=programme.pk, place=place, on_date=on_date)
    currency = policy.currency if policy else programme.currency
    day = daily_statement(programme_id=programme.pk, property_id=place.pk, currency=currency, on_date=on_date)
    rows = _rows(day)
    if request.GET.get("format") == "xlsx":
        return _workbook(place, day, rows)
    movements = (
        StoredValueMovement.objects.filter(property=place, currency=currency)
        .filter(made_at__gte=_midnight(place, on_date), made_at__lt=_midnight(place, on_date + dt.timedelta(days=1)))
        .select_related("membership__guest", "actor")
    )
    context = {
        "place": place,
        "day": day,
        "rows": rows,
        "today": today,
        "movements": [(row, whole(row.principal), whole(row.gift)) for row in movements],
    }
    return render(request, "loyalty/wallet/statement.html", context)


def _midnight(place: Property, date: dt.date) -> dt.datetime:
    return dt.datetime.combine(date, dt.time(), tzinfo=zoneinfo.ZoneInfo(place.time_zone))


def _rows(day: DailyStatement) -> list[tuple[str, list[Decimal]]]:
    names = (_("Opening"), _("Topped up"), _("Spent"), _("Paid back"), _("Expired"), _("Closing"))
    columns = (day.principal, day.gift, day.total)
    return [
        (name, [whole(getattr(column, field)) for column in columns])
        for name, field in zip(names, COLUMNS, strict=True)
    ]


def _workbook(place: Property, day: DailyStatement, rows: list[tuple[str, list[Decimal]]]) -> HttpResponse:
    book = Workbook()
    book.remove(book.worksheets[0])
    sheet = book.create_sheet(day.on_date.isoformat())
    sheet.append([_("Stored value"), place.local_name, day.on_date, day.currency])
    sheet.append([])
    sheet.append(["", _("Principal"), _("Gift"), _("Total")])
    for name, amounts in rows:
        sheet.append([name, *amounts])
    for cells in sheet.iter_rows(min_row=4, min_col=2, max_col=4):
        for cell in cells:
            cell.number_format = "#,##0.00"
    for letter, width in zip("ABCD", (16, 16, 16, 16), strict=True):
        sheet.column_dimensions[letter].width = width
    file = io.BytesIO()
    book.save(file)
    response = HttpResponse(file.getvalue(), content_type=EXCEL)
    name = f"stored-value-{place.code}-{day.on_date:%Y%m%d}.xlsx"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


urlpatterns = [
    path("guests/<uuid:public_id>/stored-value/top-up/", top_up, name="top_up"),
    path("guests/<uuid:public_id>/stored-value/pay/", pay, name="pay_stored_value"),
    path("guests/<uuid:public_id>/stored-value/pay-back/", refund, name="refund_stored_value"),
    path("stored-value/<uuid:public_id>/undo/", undo, name="undo_stored_value"),
    path("stored-value/<uuid:public_id>/receipt/", receipt, name="stored_value_receipt"),
    path("stored-value/statement/", statement, name="stored_value_statement"),
]
