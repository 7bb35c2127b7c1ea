"""The queue of movements that wait for a second pair of eyes, and of those that a rule has marked."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path, reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from hotels.views import staff_required
from loyalty.forms import ApprovalFilterForm, ApprovalNoteForm, RefuseApprovalForm
from loyalty.models import ApprovalRequest, MovementRecord
from loyalty.selectors.approvals import (
    TABS,
    RequestLine,
    detailed,
    evidence_of,
    line_of,
    marked_lines,
    request_lines,
    waiting_sentence,
)
from loyalty.services.approvals import (
    ApprovalError,
    Requested,
    approve_request,
    refuse_request,
    review_movement,
    withdraw_request,
)
from members.models import Guest
from members.views.sheets import in_dialog, place_of, render_sheet, staff_user

PAGE_SIZE = 20


def say_requested(request: HttpRequest, guest: Guest, outcome: Requested) -> HttpResponse:
    """Tell at the desk that nothing has moved, who decides and under which number; it can be taken back."""
    asked = outcome.request
    if asked.is_pending:
        undo = reverse("loyalty:withdraw_approval", args=[asked.public_id])
        messages.warning(request, waiting_sentence(asked), extra_tags=undo)
    else:
        messages.info(request, waiting_sentence(asked))
    return redirect("members:guest", guest.public_id)


def _request_or_404(request: HttpRequest, public_id: UUID) -> ApprovalRequest:
    rows = detailed(ApprovalRequest.objects.visible_to(staff_user(request)))
    return get_object_or_404(rows, public_id=public_id)


@never_cache
@require_safe
@staff_required("loyalty.view_approvalrequest")
def approvals(request: HttpRequest) -> HttpResponse:
    """Requests that wait for the reader, the reader's own, decided ones, and marked movements."""
    if in_dialog(request):
        # A form of the dialog is done: the list is shown as a whole page again.
        return HttpResponse(status=204, headers={"HX-Redirect": request.get_full_path()})
    user, place = staff_user(request), place_of(request)
    may_decide = user.has_perm("loyalty.decide_approval", place)
    may_see_all = user.has_perm("loyalty.view_movementrecord", place)
    tabs = [
        ("waiting", pgettext("approvals", "To decide"), may_decide),
        ("mine", pgettext("approvals", "My requests"), True),
        ("decided", pgettext("approvals", "Decided"), may_see_all),
        ("marked", pgettext("approvals", "Marked"), may_see_all),
    ]
    shown = [code for code, _label, is_shown in tabs if is_shown]
    tab = request.GET.get("show", shown[0])
    tab = tab if tab in TABS and tab in shown else shown[0]
    form = ApprovalFilterForm(request.GET)
    kind = form.cleaned_data["kind"] if form.is_valid() else ""
    after = request.GET.get("after", "")
    facts: dict[str, Any] = {
        "user": user,
        "place": place,
        "kind": kind,
        "after": int(after[:18]) if after.isdecimal() else None,
        "limit": PAGE_SIZE,
    }
    rows, mark = marked_lines(**facts) if tab == "marked" else request_lines(**facts, tab=tab)
    context = {
        "rows": rows,
        "tab": tab,
        "tabs": [(code, label) for code, label, is_shown in tabs if is_shown],
        "kind": kind,
        "form": form,
        "kept": urlencode({"kind": kind}) if kind else "",
        "next": mark,
        "is_later_page": bool(after),
        "may_decide": may_decide,
        "today": place.local_date(timezone.now()),
    }
    return render(request, "loyalty/approvals.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_required("loyalty.view_approvalrequest")
def approval(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """One request with its evidence; who may decide approves it here."""
    asked = _request_or_404(request, public_id)
    form = ApprovalNoteForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            done = approve_request(
                actor=staff_user(request), now=timezone.now(), request_id=asked.pk, note=form.cleaned_data["note"]
            )
        except ApprovalError as error:
            return _refused(request, str(error))
        return _approved(request, line_of(done, staff_user(request), place_of(request)))
    return _sheet(request, asked, form, "loyalty/approval.html")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@staff_required("loyalty.decide_approval")
def refuse_approval(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Refuse a request, saying why."""
    asked = _request_or_404(request, public_id)
    form = RefuseApprovalForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            refuse_request(
                actor=staff_user(request), now=timezone.now(), request_id=asked.pk, note=form.cleaned_data["note"]
            )
        except ApprovalError as error:
            return _refused(request, str(error))
        messages.success(request, _("Request no. %(number)s is refused; nothing has moved.") % {"number": asked.number})
        return redirect("loyalty:approvals")
    return _sheet(request, asked, form, "loyalty/refuse_approval.html")


@require_POST
@staff_required("loyalty.view_approvalrequest")
def withdraw_approval(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Take one's own request back."""
    asked = _request_or_404(request, public_id)
    try:
        withdraw_request(actor=staff_user(request), now=timezone.now(), request_id=asked.pk)
    except ApprovalError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("Request no. %(number)s is withdrawn.") % {"number": asked.number})
    if asked.membership is not None and "list" not in request.POST:
        return redirect("members:guest", asked.membership.guest.public_id)
    return redirect(f"{reverse('loyalty:approvals')}?show=mine")


@require_POST
@staff_required("loyalty.decide_approval")
def review_marked(request: HttpRequest, pk: int) -> HttpResponse:
    """Note that a marked movement was looked at."""
    user = staff_user(request)
    record = get_object_or_404(MovementRecord.objects.visible_to(user).exclude(flags=[]), pk=pk)
    try:
        review_movement(actor=user, now=timezone.now(), record_id=record.pk)
    except ApprovalError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("The movement is reviewed."))
    return redirect(f"{reverse('loyalty:approvals')}?show=marked")


def _sheet(request: HttpRequest, asked: ApprovalRequest, form: Any, template: str) -> HttpResponse:
    place = place_of(request)
    now = timezone.now()
    line = line_of(asked, staff_user(request), place)
    context = {
        "form": form,
        "line": line,
        "asked": asked,
        "evidence": evidence_of(asked, place),
        "today": place.local_date(now),
        "left": _time_left(line.expires_at, now),
    }
    return render_sheet(request, template, context)


def _time_left(until: dt.datetime, now: dt.datetime) -> str:
    hours = max(0, int((until - now).total_seconds() // 3600))
    if hours < 48:  # noqa: PLR2004 - two days
        return ngettext("%(hours)d hour left", "%(hours)d hours left", hours) % {"hours": hours}
    return ngettext("%(days)d day left", "%(days)d days left", hours // 24) % {"days": hours // 24}


def _approved(request: HttpRequest, line: RequestLine) -> HttpResponse:
    facts = {"number": line.request.number, "amount": line.amount, "failure": line.failure}
    if line.failure:
        messages.error(
            request, _("Request no. %(number)s could not be carried out, nothing has moved: %(failure)s") % facts
        )
    else:
        messages.success(request, _("Request no. %(number)s is approved and carried out: %(amount)s.") % facts)
    return redirect("loyalty:approvals")


def _refused(request: HttpRequest, text: str) -> HttpResponse:
    messages.error(request, text)
    return redirect("loyalty:approvals")


urlpatterns = [
    path("approvals/", approvals, name="approvals"),
    path("approvals/<uuid:public_id>/", approval, name="approval"),
    path("approvals/<uuid:public_id>/refuse/", refuse_approval, name="refuse_approval"),
    path("approvals/<uuid:public_id>/withdraw/", withdraw_approval, name="withdraw_approval"),
    path("approvals/marked/<int:pk>/review/", review_marked, name="review_marked"),
]
