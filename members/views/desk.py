"""The desk: today's guests or search hits on the left, one guest's card on the right."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import Resolver404, resolve, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from hotels.models import Property, User
from hotels.views import staff_required
from members.models import Guest, GuestIdentity
from members.selectors.desk import (
    SECTIONS,
    DeskRow,
    birthday_in_days,
    desk_counts,
    desk_rows,
    guest_profile,
    with_marks,
)
from members.selectors.panels import GuestAction, guest_marks, panels_of
from members.selectors.search import search_guests
from members.services.guests import RevealLimitReached, reveal_identity
from members.services.merges import survivor_of
from members.views.sheets import DIALOG_ID, GUEST_ID, guest_or_404, place_of, staff_user

TEMPLATE = "members/desk.html"
REVEAL_SECONDS = 15
SEARCH_LIMIT = 20


def _hits(query: str, place: Property, today: dt.date) -> list[DeskRow]:
    hits = search_guests(query=query, place=place, today=today, limit=SEARCH_LIMIT)
    return with_marks([_row_of_hit(hit, today) for hit in hits])


def _row_of_hit(hit: Any, today: dt.date) -> DeskRow:
    return DeskRow(
        guest_id=hit.guest_id,
        public_id=hit.public_id,
        name=hit.name,
        gender=hit.gender,
        phone=hit.phone,
        has_alert=hit.has_alert,
        birthday_in_days=birthday_in_days(hit.birthday, today),
        room=hit.room,
        status=hit.status,
        status_date=hit.status_date,
    )


def _queue(
    request: HttpRequest, place: Property, today: dt.date, *, query: str = "", rows_only: bool = False
) -> dict[str, Any]:
    """Context of the list: the hits of a query, or today's guests of a section."""
    section = request.GET.get("section", "all")
    section = section if section in SECTIONS else "all"
    context: dict[str, Any] = {"q": query, "section": section, "today": today, "has_queue": True}
    context["is_number"] = sum(character.isdigit() for character in query) * 2 > len(query)
    context["rows"] = _hits(query, place, today) if query else desk_rows(place=place, today=today, section=section)
    if not rows_only:
        labels = {"all": _("All"), "due_in": _("Due in"), "in_house": _("In house"), "due_out": _("Due out")}
        counts = desk_counts(place=place, today=today)
        context["sections"] = [(code, label, counts[code]) for code, label in labels.items()]
        context["present_count"] = counts["all"]
    return context


def _own_actions(guest: Guest, user: User, place: Property) -> list[GuestAction]:
    actions = []
    if user.has_perm("members.change_guest", place):
        actions += [
            GuestAction(
                "F", "heart-plus", _("Preference"), reverse("members:add_preference", args=[guest.public_id]), 50
            ),
            GuestAction("E", "user-edit", _("Edit"), reverse("members:edit_guest", args=[guest.public_id]), 70),
            GuestAction("G", "tag", _("Tag"), reverse("members:add_tag", args=[guest.public_id]), 60),
        ]
    actions.append(
        GuestAction(
            "P", "printer", _("Reg. card"), reverse("members:registration_card", args=[guest.public_id]), 90,
            opens_page=True,
        )
    )  # fmt: skip
    return actions


def _card(request: HttpRequest, guest: Guest, place: Property, now: dt.datetime) -> dict[str, Any]:
    user = staff_user(request)
    today = place.local_date(now)
    columns, actions = panels_of(guest, user, place, now)
    profile = guest_profile(guest, user, place, today)
    mark = guest_marks([guest.pk]).get(guest.pk)
    return {
        "guest": guest,
        "place": place,
        "today": today,
        "columns": columns,
        "actions": sorted([*_own_actions(guest, user, place), *actions], key=lambda action: action.order),
        "mark": mark,
        "may_reveal": user.has_perm("members.reveal_pii", place),
        "may_change": user.has_perm("members.change_guest", place),
        **profile,
    }


def _shows_desk(request: HttpRequest) -> bool:
    """Whether the page that htmx runs in has a place for the card."""
    current = request.headers.get("HX-Current-URL", "")
    try:
        match = resolve(urlsplit(current).path)
    except Resolver404:
        return False
    return match.view_name in {"members:desk", "members:desk_page", "members:desk_search", "members:guest"}


@never_cache
@require_safe
@staff_required("members.use_desk")
def desk(request: HttpRequest) -> HttpResponse:
    """The list of guests, with an empty card beside it."""
    return _desk(request)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_required("members.use_desk")
def search(request: HttpRequest) -> HttpResponse:
    """The desk with the hits of a query.

    The query comes by POST and nowhere else: it is often a phone number, and an address ends up in the
    browser's history and in the logs of every proxy on the way.
    """
    return _desk(request, request.POST.get("q", "").strip()[:80])


def _desk(request: HttpRequest, query: str = "") -> HttpResponse:
    place = place_of(request)
    today = place.local_date(timezone.now())
    target = request.headers.get("HX-Target")
    if target == "queue":
        return render(request, f"{TEMPLATE}#rows", _queue(request, place, today, query=query, rows_only=True))
    context = _queue(request, place, today, query=query)
    return render(request, f"{TEMPLATE}#queue_list" if target == "queue-list" else TEMPLATE, context)


@never_cache
@require_safe
@staff_required("members.use_desk")
def guest_card(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """One guest's card: alone for htmx, on the desk otherwise."""
    place = place_of(request)
    guest = guest_or_404(request, public_id)
    if guest.merged_into_id is not None:
        return redirect("members:guest", survivor_of(guest).public_id)
    now = timezone.now()
    if request.headers.get("HX-Target") in {GUEST_ID, DIALOG_ID}:
        if not _shows_desk(request):
            return HttpResponse(status=204, headers={"HX-Redirect": request.get_full_path()})
        response = render(request, f"{TEMPLATE}#card", {**_card(request, guest, place, now), "is_fragment": True})
        response["HX-Retarget"] = f"#{GUEST_ID}"
        response["HX-Reswap"] = "innerHTML"
        response["HX-Push-Url"] = request.path
        response["HX-Trigger"] = "guike:done"
        return response
    today = place.local_date(now)
    return render(request, TEMPLATE, {**_queue(request, place, today), **_card(request, guest, place, now)})


@never_cache
@require_POST
@staff_required("members.reveal_pii")
def reveal(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Show one masked number of one guest for some seconds; the audit trail keeps who looked."""
    place = place_of(request)
    guest = guest_or_404(request, public_id)
    wanted = request.POST.get("identity", "")
    identity = next((i for i in GuestIdentity.objects.filter(guest=guest) if str(i.pk) == wanted), None)
    if identity is None:
        raise Http404
    now = timezone.now()
    try:
        plain = reveal_identity(
            actor=staff_user(request),
            now=now,
            identity_id=identity.pk,
            place=place,
            page=reverse("members:guest", args=[guest.public_id]),
        )
    except RevealLimitReached as error:
        return HttpResponse(error.message, status=429, content_type="text/plain; charset=utf-8")
    context = {"revealed": identity, "plain": plain, "reveal_seconds": REVEAL_SECONDS}
    if request.headers.get("HX-Request") == "true":
        return render(request, f"{TEMPLATE}#revealed", context)
    today = place.local_date(now)
    page = {**_queue(request, place, today), **_card(request, guest, place, now), **context}
    response = render(request, TEMPLATE, page)
    # Without JavaScript the page itself goes back to the masked number.
    response["Refresh"] = f"{REVEAL_SECONDS}; url={reverse('members:guest', args=[guest.public_id])}"
    return response
