"""The list of all guests, and the registration card to print."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce, Left
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from hotels.views import staff_required
from members.forms import GuestFilterForm
from members.models import Guest, GuestIdentity, Preference
from members.selectors.desk import guest_profile
from members.selectors.panels import guest_marks
from members.views.sheets import guest_or_404, place_of, staff_user

PAGE_SIZE = 30


def _filtered(guests: QuerySet[Guest], form: GuestFilterForm) -> QuerySet[Guest]:
    if not form.is_valid():
        return guests
    data = form.cleaned_data
    if data["name"]:
        # The first character alone is indexed, and leaves few enough to look through.
        guests = guests.alias(first=Left("name", 1)).filter(first=data["name"][:1], name__startswith=data["name"])
    if data["tag"]:
        guests = guests.filter(guest_tags__tag=data["tag"])
    if data["alert"]:
        alert = Preference.objects.filter(guest=OuterRef("pk"), severity=Preference.Severity.ALERT)
        guests = guests.filter(Exists(alert))
    return guests


@never_cache
@require_safe
@staff_required("members.view_guest")
def guests(request: HttpRequest) -> HttpResponse:
    """All guests of the group, newest first, page by page from the last one seen."""
    form = GuestFilterForm(request.GET or None)
    before = request.GET.get("before", "")
    rows = _filtered(Guest.objects.visible_to(staff_user(request)).current(), form)
    if before.isdecimal():
        rows = rows.filter(Q(pk__lt=int(before[:18])))
    phone = GuestIdentity.objects.filter(guest=OuterRef("pk"), kind=GuestIdentity.Kind.PHONE, is_primary=True).values(
        "masked"
    )[:1]
    alert = Preference.objects.filter(guest=OuterRef("pk"), severity=Preference.Severity.ALERT)
    page = list(
        rows.annotate(phone=Coalesce(Subquery(phone), Value("")), has_alert=Exists(alert)).order_by("-pk")[
            : PAGE_SIZE + 1
        ]
    )
    has_next = len(page) > PAGE_SIZE
    page = page[:PAGE_SIZE]
    marks = guest_marks(guest.pk for guest in page)
    query = request.GET.copy()
    query["before"] = str(page[-1].pk) if page else ""
    return render(
        request,
        "members/guests.html",
        {
            "form": form,
            "rows": [(guest, marks.get(guest.pk)) for guest in page],
            "next": query.urlencode() if has_next else "",
            "is_later_page": bool(before),
            "is_filtered": any(request.GET.get(name) for name in form.fields),
            "today": place_of(request).local_date(timezone.now()),
        },
    )


@never_cache
@require_safe
@staff_required("members.use_desk")
def registration_card(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """The card a guest signs at arrival: one A4 page, personal numbers masked."""
    place = place_of(request)
    guest = guest_or_404(request, public_id)
    today = place.local_date(timezone.now())
    return render(
        request,
        "members/registration_card.html",
        {
            "guest": guest,
            "place": place,
            "today": today,
            "mark": guest_marks([guest.pk]).get(guest.pk),
            **guest_profile(guest, staff_user(request), place, today),
        },
    )
