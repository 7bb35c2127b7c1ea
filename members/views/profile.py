"""Changing a guest's profile; two people at once see each other's values."""

from __future__ import annotations

import zoneinfo
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from hotels.views import staff_required
from members.forms import ProfileForm
from members.services.guests import GuestInputError, IdentityTaken, StaleRecord, update_guest
from members.views.sheets import back_to_card, guest_or_404, place_of, render_sheet, staff_user


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_required("members.change_guest")
def edit_guest(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Change a profile; if somebody else was faster, a 409 shows both values and who changed it when."""
    guest = guest_or_404(request, public_id)
    place = place_of(request)
    masked = {row.kind: row.masked for row in guest.identities.filter(is_primary=True)}
    form = ProfileForm(request.POST or None, guest=guest, masked=masked)
    context: dict[str, Any] = {"form": form, "guest": guest}
    status = None
    if request.method == "POST" and form.is_valid():
        try:
            update_guest(
                actor=staff_user(request),
                now=timezone.now(),
                guest_id=guest.pk,
                expected_version=form.cleaned_data["version"],
                changes=form.changes,
                place=place,
            )
        except GuestInputError as error:
            form.add_errors(error.errors)
        except IdentityTaken as error:
            form.add_errors({error.kind: error.message})
            context["known"] = error.guest
        except StaleRecord as error:
            status = 409
            context["stale"] = error
            context["stale_at"] = error.changed_at.astimezone(zoneinfo.ZoneInfo(place.time_zone))
            context["today"] = place.local_date(timezone.now())
            context["conflicts"] = [
                (form.fields[name].label, before, sent) for name, (before, sent) in error.conflicts.items()
            ]
            # Sending it once more is a decision made with both values in sight.
            form.data = {**request.POST.dict(), "version": str(error.current.version)}
        else:
            return back_to_card(request, guest, _("The profile is saved."))
    return render_sheet(request, "members/edit.html", context, status=status)
