"""The bell, and the list that a shift leaves to the next."""

from __future__ import annotations

import zoneinfo

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from feedback import services
from feedback.selectors.roster import bell, handover_list
from feedback.selectors.tickets import ticket_row
from hotels.views import staff_required
from members.forms import DeskForm
from members.views.sheets import place_of, staff_user


@never_cache
@require_safe
@staff_required("feedback.view_ticket")
def notifications(request: HttpRequest) -> HttpResponse:
    """What the user was told, newest first; for htmx the bell alone."""
    user, now = staff_user(request), timezone.now()
    rows, unread = bell(user)
    context = {
        "rows": [(row, row.at.astimezone(zoneinfo.ZoneInfo(row.ticket.property.time_zone))) for row in rows],
        "unread": unread,
        "newest": rows[0].pk if rows else 0,
        "today": place_of(request).local_date(now),
    }
    template = (
        "feedback/notifications.html#bell" if request.headers.get("HX-Request") else "feedback/notifications.html"
    )
    return render(request, template, context)


@require_POST
@staff_required("feedback.view_ticket")
def read_notifications(request: HttpRequest) -> HttpResponse:
    """Note that the lines up to the newest one shown are read."""
    newest = request.POST.get("newest", "")
    if newest.isdecimal():
        services.mark_read(user_id=staff_user(request).pk, now=timezone.now(), up_to_id=int(newest[:15]))
    return redirect("feedback:notifications")


@never_cache
@require_safe
@staff_required("feedback.change_ticket")
def handover(request: HttpRequest) -> HttpResponse:
    """Open tickets of shifts that have ended, until somebody on duty takes them."""
    place, now = place_of(request), timezone.now()
    context = {
        "rows": [(row, ticket_row(row.ticket, now)) for row in handover_list(place)],
        "place": place,
        "today": place.local_date(now),
        "form": DeskForm(),
    }
    return render(request, "feedback/handover.html", context)
