"""Passing points on at the desk."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from hotels.views import staff_required
from loyalty.forms import TransferForm
from loyalty.models import Membership, MovementKind, PointsTransfer
from loyalty.rules.explain import UNDONE_AT_DESK
from loyalty.selectors.card import summary_of
from loyalty.services.approvals import ApprovalError, Requested, TransferPoints, perform_or_request
from loyalty.services.ledger import LedgerError
from loyalty.services.transfers import TransferError, undo_transfer
from loyalty.views.approvals import say_requested
from loyalty.views.desk import membership_or_404, programme_or_404
from members.views.sheets import back_to_card, guest_or_404, place_of, refuse_on_card, render_sheet, staff_user


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_required("loyalty.transfer_points")
def transfer(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Pass points of a guest on to another member."""
    guest, now, place = guest_or_404(request, public_id), timezone.now(), place_of(request)
    membership = membership_or_404(guest)
    form = TransferForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        receiver: Membership = form.cleaned_data["receiver"]
        try:
            outcome = perform_or_request(
                kind=MovementKind.TRANSFER,
                actor=staff_user(request),
                now=now,
                membership_id=membership.pk,
                payload=TransferPoints(membership.pk, receiver.pk, form.cleaned_data["points"]),
                place=place,
                reason=form.cleaned_data["reason"],
                idempotency_key=str(form.key),
            )
        except (TransferError, LedgerError, ApprovalError) as error:
            form.add_error(getattr(error, "field", "points"), str(error))
        else:
            if isinstance(outcome, Requested):
                return say_requested(request, guest, outcome)
            made: PointsTransfer = outcome.result
            text = ngettext(
                "%(points)s point passed to %(name)s.", "%(points)s points passed to %(name)s.", made.points
            ) % {"points": f"{made.points:,}", "name": receiver.guest.name}
            return back_to_card(request, guest, text, undo=reverse("loyalty:undo_transfer", args=[made.public_id]))
    summary = summary_of(guest, programme_or_404(), place, now)
    return render_sheet(request, "loyalty/transfer.html", {"form": form, "guest": guest, "summary": summary})


@require_POST
@staff_required("loyalty.transfer_points")
def undo(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Undo a transfer of today at this property."""
    made = get_object_or_404(
        PointsTransfer.objects.visible_to(staff_user(request)).select_related("giver__guest"),
        public_id=public_id,
        property=place_of(request),
    )
    try:
        undo_transfer(actor=staff_user(request), now=timezone.now(), transfer_id=made.pk, reason=UNDONE_AT_DESK)
    except (TransferError, LedgerError) as error:
        return refuse_on_card(request, made.giver.guest, str(error))
    return back_to_card(request, made.giver.guest, _("The transfer is undone."))


urlpatterns = [
    path("guests/<uuid:public_id>/transfer-points/", transfer, name="transfer_points"),
    path("point-transfers/<uuid:public_id>/undo/", undo, name="undo_transfer"),
]
