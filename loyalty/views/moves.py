"""A stay that was posted to the wrong guest goes to the right one."""

from __future__ import annotations

from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from hotels.views import staff_required
from loyalty.forms import MoveStayForm
from loyalty.services.ledger import LedgerError
from members.models import Stay
from members.services.stays import StayError, StayInputError, move_stay
from members.views.sheets import back_to_card, place_of, render_sheet, staff_user


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_required("loyalty.adjust_points")
def move_stay_view(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Ask for the right member and why; points and nights go along. Moved back, all is as it was."""
    user, place = staff_user(request), place_of(request)
    stays = Stay.objects.visible_to(user).exclude(guest=None).select_related("guest", "property")
    stay = get_object_or_404(stays, public_id=public_id)
    if stay.property_id != place.pk or stay.guest is None:
        raise PermissionDenied
    form = MoveStayForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        membership, reason = form.cleaned_data["number"], form.cleaned_data["reason"]
        try:
            move_stay(actor=user, now=timezone.now(), stay_id=stay.pk, guest_id=membership.guest_id, reason=reason)
        except (StayInputError, StayError, LedgerError) as error:
            form.add_error("reason", str(error))
        else:
            text = _("The stay is %(name)s's now, with what it brought.") % {"name": membership.guest.name}
            return back_to_card(request, stay.guest, text)
    return render_sheet(request, "loyalty/move_stay.html", {"form": form, "guest": stay.guest, "stay": stay})
