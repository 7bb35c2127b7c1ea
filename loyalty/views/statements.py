"""A member's statement at the desk: on the page, as PDF, as CSV."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from hotels.services.audit import record_audit
from hotels.views import staff_required
from loyalty.forms import StatementForm
from loyalty.models import Membership
from loyalty.selectors.card import programme_today
from loyalty.selectors.statements import FILE_TYPES, member_statement, statement_file
from loyalty.views.desk import membership_or_404
from members.views.sheets import guest_or_404, place_of, staff_user


@never_cache
@require_safe
@staff_required("loyalty.view_posting")
def member_statement_page(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """A member's points in a period, each movement with its sentence."""
    guest = guest_or_404(request, public_id)
    membership = Membership.objects.select_related("guest", "tier", "programme").get(pk=membership_or_404(guest).pk)
    now = timezone.now()
    today = programme_today(membership.programme, now)
    form = StatementForm(request.GET, today=today)
    statement = None
    if form.is_valid():
        data = form.cleaned_data
        form = StatementForm({"start": data["start"].isoformat(), "last": data["last"].isoformat()}, today=today)
        statement = member_statement(membership=membership, start=data["start"], last=data["last"], today=today)
        suffix = request.GET.get("as", "")
        if suffix in FILE_TYPES:
            record_audit(
                actor=staff_user(request),
                now=now,
                action="statement.exported",
                target=membership,
                label=f"{membership.number} {suffix}",
                place=place_of(request),
            )
            name, content = statement_file(statement, suffix)
            disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
            return HttpResponse(content, content_type=FILE_TYPES[suffix], headers=disposition)
    context = {
        "guest": guest,
        "place": place_of(request),
        "membership": membership,
        "programme": membership.programme,
        "form": form,
        "statement": statement,
        "today": today,
    }
    status = 200 if statement else 422
    return render(request, "loyalty/member_statement.html", context, status=status)


urlpatterns = [
    path("guests/<uuid:public_id>/statement/", member_statement_page, name="member_statement"),
]
