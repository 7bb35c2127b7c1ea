"""Vouchers at the desk: type or scan a code, see what it is worth or why not, use it, take it back, pass it on."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path, reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from hotels.models import Property, User
from hotels.services.audit import record_audit
from hotels.templatetags.ui import money
from hotels.views import staff_required
from loyalty.forms import VoucherCancelForm, VoucherCodeForm, VoucherIssueForm, VoucherTransferForm, VoucherUseForm
from loyalty.models import Membership, MovementKind, Voucher, VoucherEvent
from loyalty.rules.explain import UNDONE_AT_DESK
from loyalty.rules.vouchers import CodeError, Refusal, needs_spend
from loyalty.selectors.card import desk_programme, programme_today
from loyalty.selectors.vouchers import (
    check_voucher,
    conditions_of,
    detailed_vouchers,
    find_voucher,
    history_of,
    qr_code,
    terms_in_words,
    terms_of,
    vouchers_of_member,
    worth_of,
)
from loyalty.services.approvals import ApprovalError, IssueVoucher, Requested, perform_or_request
from loyalty.services.ledger import RequestKey
from loyalty.services.vouchers import (
    UNDO_WITHIN,
    Redeemed,
    VoucherRefused,
    cancel_voucher,
    redeem_voucher,
    transfer_voucher,
    undo_redemption,
)
from loyalty.views.approvals import say_requested
from members.models import Guest, Reservation
from members.selectors.desk import current_visit
from members.views.sheets import (
    back_to_card,
    guest_or_404,
    in_dialog,
    place_of,
    refuse_on_card,
    render_sheet,
    staff_user,
)

CLIENT = "desk"
SHOWN_VOUCHERS = 12
# Which field of the form a refusal is about.
FIELDS = {
    "spend_required": "spend",
    "below_minimum_spend": "spend",
    "reference_required": "reference",
    "not_stackable": "reference",
}


def _voucher_or_404(request: HttpRequest, public_id: UUID) -> Voucher:
    return get_object_or_404(detailed_vouchers().visible_to(staff_user(request)), public_id=public_id)


def _membership_of(guest: Guest, voucher: Voucher | None = None) -> Membership | None:
    """The guest's membership in the programme of a voucher, else their first."""
    memberships = Membership.objects.filter(guest=guest).select_related("guest", "tier").order_by("pk")
    if voucher is not None:
        return memberships.filter(programme=voucher.type.programme_id).first() or memberships.first()
    return memberships.first()


def _described(voucher: Voucher, place: Property) -> dict[str, Any]:
    return {
        "voucher": voucher,
        "today": place.local_date(timezone.now()),
        "worth": worth_of(voucher.type),
        "conditions": conditions_of(voucher.type),
    }


# Verifying


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_required("loyalty.redeem_voucher")
def verify_voucher(request: HttpRequest) -> HttpResponse:
    """Ask for a code, and go on to the voucher behind it."""
    return _verify(request, None)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_required("loyalty.redeem_voucher")
def guest_vouchers(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Ask for the voucher that a guest presents: one of their own, or a code."""
    return _verify(request, guest_or_404(request, public_id))


def _verify(request: HttpRequest, guest: Guest | None) -> HttpResponse:
    form = VoucherCodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            voucher = find_voucher(form.cleaned_data["code"])
        except CodeError as error:
            form.add_error("code", error.message)
        else:
            if voucher is not None:
                return redirect(_use_address(voucher, guest))
            form.add_error("code", Refusal("unknown").message)
    membership = _membership_of(guest) if guest else None
    vouchers = (
        vouchers_of_member(membership_id=membership.pk, limit=SHOWN_VOUCHERS, only_open=True) if membership else []
    )
    today = place_of(request).local_date(timezone.now())
    context = {
        "form": form,
        "guest": guest,
        "today": today,
        "vouchers": [(voucher, worth_of(voucher.type), _use_address(voucher, guest)) for voucher in vouchers],
    }
    return render_sheet(request, "loyalty/vouchers/verify.html", context)


def _use_address(voucher: Voucher, guest: Guest | None) -> str:
    address = reverse("loyalty:use_voucher", args=[voucher.public_id])
    return f"{address}?{urlencode({'guest': str(guest.public_id)})}" if guest else address


# Using


def _presenting_guest(request: HttpRequest) -> Guest | None:
    """The guest whose card the voucher is used from."""
    wanted = request.GET.get("guest", "")
    if not wanted:
        return None
    try:
        return guest_or_404(request, UUID(wanted))
    except ValueError as error:
        raise Http404 from error


def _reference_of(guest: Guest | None, place: Property, today: dt.date) -> str:
    """The booking of a guest in house here, which names the folio."""
    visit = current_visit(guest, today) if guest else None
    if visit is None or visit.place != place or not visit.night or visit.reservation_id is None:
        return ""
    return Reservation.objects.values_list("source_reference", flat=True).get(pk=visit.reservation_id)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_required("loyalty.redeem_voucher")
def use_voucher(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Show what a voucher is worth, for whom and until when, or why not; use it."""
    user, place, now = staff_user(request), place_of(request), timezone.now()
    voucher = _voucher_or_404(request, public_id)
    guest = _presenting_guest(request)
    # Without a guest's card, a personal voucher is taken from its owner: the page says whom to look for.
    presenter = _membership_of(guest, voucher) if guest else voucher.membership
    terms = terms_of(voucher.type)
    today = place.local_date(now)
    form = VoucherUseForm(
        request.POST or None,
        needs_spend=needs_spend(terms),
        needs_reference=not terms.is_stackable,
        initial={"reference": _reference_of(guest or (presenter.guest if presenter else None), place, today)},
    )
    refusal = None
    if request.method == "POST" and form.is_valid():
        try:
            used = redeem_voucher(
                actor=user,
                now=now,
                voucher_id=voucher.pk,
                place=place,
                request=RequestKey(CLIENT, str(form.key)),
                membership_id=presenter.pk if presenter else None,
                spend=form.cleaned_data["spend"],
                reference=form.cleaned_data["reference"],
            )
        except VoucherRefused as refused:
            if field := FIELDS.get(refused.code):
                form.add_error(field, str(refused))
            else:
                refusal = refused.refusal
        else:
            return _used(request, used, guest or (presenter.guest if presenter else None))
    if refusal is None and request.method != "POST":
        refusal = check_voucher(
            voucher=voucher, now=now, place=place, presenter=presenter, reference=form.initial.get("reference", "")
        ).refusal
        refusal = refusal if refusal is not None and refusal.code not in FIELDS else None
    context = {
        **_described(voucher, place),
        "form": form,
        "guest": guest,
        "owner": voucher.membership,
        "is_personal": voucher.membership is not None and not voucher.type.is_transferable,
        "refusal": refusal,
        "place": place,
        "undo": _undo_of(voucher, user, place, now),
    }
    status = 422 if request.method == "POST" else 200
    return render_sheet(request, "loyalty/vouchers/use.html", context, status=status)


def _undo_of(voucher: Voucher, user: User, place: Property, now: dt.datetime) -> str:
    """Address that takes the present use back, for whom and as long as that is allowed."""
    if voucher.redemption_id is None or voucher.redeemed_at is None or voucher.redeemed_property_id != place.pk:
        return ""
    if now - voucher.redeemed_at > UNDO_WITHIN and not user.has_perm("loyalty.undo_voucher", place):
        return ""
    return reverse("loyalty:undo_voucher", args=[voucher.redemption_id])


def _used(request: HttpRequest, used: Redeemed, guest: Guest | None) -> HttpResponse:
    name = used.voucher.type.local_name
    if used.amount is None:
        text = _("%(voucher)s used.") % {"voucher": name}
    else:
        text = _("%(voucher)s used: %(amount)s off.") % {"voucher": name, "amount": money(used.amount, used.currency)}
    return _done(request, used.voucher, guest, text, undo=reverse("loyalty:undo_voucher", args=[used.redemption_id]))


def _done(request: HttpRequest, voucher: Voucher, guest: Guest | None, text: str, *, undo: str = "") -> HttpResponse:
    """Say what was done: on the guest's card; for a bearer, over the page as it is, or on the voucher's page."""
    if guest is not None:
        return back_to_card(request, guest, text, undo=undo)
    messages.success(request, text, extra_tags=undo)
    if not in_dialog(request):
        return redirect("loyalty:voucher", voucher.public_id)
    response = render(request, "loyalty/vouchers/done.html")
    response["HX-Reswap"] = "none"
    # After htmx is done with its target: the dialog opens for what comes into it.
    response["HX-Trigger-After-Settle"] = "guike:done"
    return response


@require_POST
@staff_required("loyalty.redeem_voucher")
def undo_voucher(request: HttpRequest, redemption_id: UUID) -> HttpResponse:
    """Take the use of a voucher back; the history keeps both."""
    user, place = staff_user(request), place_of(request)
    event = get_object_or_404(
        VoucherEvent.objects.select_related("voucher", "membership__guest"),
        redemption_id=redemption_id,
        kind=VoucherEvent.Kind.REDEEMED,
        property=place,
    )
    guest = event.membership.guest if event.membership else None
    try:
        voucher = undo_redemption(
            actor=user,
            now=timezone.now(),
            redemption_id=redemption_id,
            place=place,
            may_undo_late=user.has_perm("loyalty.undo_voucher", place),
            reason=UNDONE_AT_DESK,
        )
    except VoucherRefused as refused:
        if guest is not None:
            return refuse_on_card(request, guest, str(refused))
        messages.error(request, str(refused))
        return redirect("loyalty:voucher", event.voucher.public_id)
    text = _("%(voucher)s is open again.") % {"voucher": voucher.type.local_name}
    return _done(request, voucher, guest, text)


# One voucher


@never_cache
@require_safe
@staff_required("loyalty.view_voucher")
def voucher_page(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """A voucher with its terms and its history."""
    user, place, now = staff_user(request), place_of(request), timezone.now()
    voucher = _voucher_or_404(request, public_id)
    zone = zoneinfo.ZoneInfo(place.time_zone)
    is_open = voucher.state == Voucher.State.ISSUED
    context = {
        **_described(voucher, place),
        "events": [(event, event.at.astimezone(zone)) for event in history_of(voucher)],
        "may_reveal": user.has_perm("loyalty.reveal_voucher", place),
        "may_use": is_open and user.has_perm("loyalty.redeem_voucher", place),
        "may_transfer": is_open
        and (voucher.membership is None or voucher.type.is_transferable)
        and user.has_perm("loyalty.transfer_voucher", place),
        "may_cancel": is_open and user.has_perm("loyalty.cancel_voucher", place),
        "undo": _undo_of(voucher, user, place, now) if user.has_perm("loyalty.redeem_voucher", place) else "",
    }
    return render(request, "loyalty/vouchers/voucher.html", context)


@never_cache
@require_safe
@staff_required("loyalty.reveal_voucher")
def print_voucher(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """The voucher on paper with code and QR code; the audit trail keeps who saw the code."""
    voucher = _voucher_or_404(request, public_id)
    place, now = place_of(request), timezone.now()
    record_audit(
        actor=staff_user(request),
        now=now,
        action="voucher.code_shown",
        target=voucher,
        label=f"{voucher.type.code} {voucher}",
        place=place,
    )
    return render(
        request,
        "loyalty/vouchers/print.html",
        {
            **_described(voucher, place),
            "qr": qr_code(voucher.code),
            "terms_text": terms_in_words(voucher.type),
        },
    )


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_required("loyalty.transfer_voucher")
def transfer(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Pass a voucher on to another member."""
    voucher = _voucher_or_404(request, public_id)
    form = VoucherTransferForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        receiver: Membership = form.cleaned_data["number"]
        try:
            transfer_voucher(
                actor=staff_user(request),
                now=timezone.now(),
                voucher_id=voucher.pk,
                to_membership_id=receiver.pk,
                place=place_of(request),
                reason=form.cleaned_data["reason"],
            )
        except VoucherRefused as refused:
            form.add_error("number", str(refused))
        else:
            text = _("%(voucher)s belongs to %(name)s now.") % {
                "voucher": voucher.type.local_name,
                "name": receiver.guest.name,
            }
            return back_to_card(request, receiver.guest, text)
    return render_sheet(
        request,
        "loyalty/vouchers/transfer.html",
        {**_described(voucher, place_of(request)), "form": form, "owner": voucher.membership},
    )


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_required("loyalty.cancel_voucher")
def cancel(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Cancel a voucher for good, with a reason."""
    voucher = _voucher_or_404(request, public_id)
    form = VoucherCancelForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            cancel_voucher(
                actor=staff_user(request),
                now=timezone.now(),
                voucher_id=voucher.pk,
                reason=form.cleaned_data["reason"],
                place=place_of(request),
            )
        except VoucherRefused as refused:
            form.add_error("reason", str(refused))
        else:
            text = _("%(voucher)s is canceled.") % {"voucher": voucher.type.local_name}
            return _done(request, voucher, voucher.membership.guest if voucher.membership else None, text)
    return render_sheet(
        request,
        "loyalty/vouchers/cancel.html",
        {**_described(voucher, place_of(request)), "form": form, "owner": voucher.membership},
    )


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_required("loyalty.issue_voucher")
def issue(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Give a member a voucher."""
    guest, programme, now = guest_or_404(request, public_id), desk_programme(), timezone.now()
    membership = Membership.objects.filter(guest=guest, programme=programme).select_related("tier").first()
    if programme is None or membership is None:
        return refuse_on_card(request, guest, _("Only members get vouchers; make the guest a member first."))
    form = VoucherIssueForm(request.POST or None, programme=programme, today=programme_today(programme, now))
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            outcome = perform_or_request(
                kind=MovementKind.ISSUE_VOUCHER,
                actor=staff_user(request),
                now=now,
                membership_id=membership.pk,
                payload=IssueVoucher(
                    type_id=data["type"].pk, membership_id=membership.pk, source=Voucher.Source(data["source"]).value
                ),
                place=place_of(request),
                reason=data["reason"],
                idempotency_key=str(form.key),
            )
        except (VoucherRefused, ApprovalError) as refused:
            form.add_error("type", str(refused))
        else:
            if isinstance(outcome, Requested):
                return say_requested(request, guest, outcome)
            voucher: Voucher = outcome.result
            return back_to_card(request, guest, _("%(voucher)s issued.") % {"voucher": voucher.type.local_name})
    chosen = form["type"].value()
    types = [
        (row, worth_of(row), str(row.pk) == chosen)
        for row in form.fields["type"].queryset  # type: ignore[attr-defined]
    ]
    return render_sheet(request, "loyalty/vouchers/issue.html", {"form": form, "guest": guest, "types": types})


urlpatterns = [
    path("vouchers/verify/", verify_voucher, name="verify_voucher"),
    path("guests/<uuid:public_id>/vouchers/", guest_vouchers, name="guest_vouchers"),
    path("guests/<uuid:public_id>/vouchers/issue/", issue, name="issue_voucher"),
    path("vouchers/uses/<uuid:redemption_id>/undo/", undo_voucher, name="undo_voucher"),
    path("vouchers/<uuid:public_id>/", voucher_page, name="voucher"),
    path("vouchers/<uuid:public_id>/use/", use_voucher, name="use_voucher"),
    path("vouchers/<uuid:public_id>/print/", print_voucher, name="print_voucher"),
    path("vouchers/<uuid:public_id>/transfer/", transfer, name="transfer_voucher"),
    path("vouchers/<uuid:public_id>/cancel/", cancel, name="cancel_voucher"),
]
