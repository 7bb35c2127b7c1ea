"""The money behind the points: a month with its four reports, each on a page, as PDF and as workbook, and the rows."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from hotels.models import Property, User
from hotels.selectors import visible_properties
from hotels.services.audit import record_audit
from hotels.views import staff_required
from loyalty import tasks
from loyalty.forms import FinanceForm, FinanceRowsForm
from loyalty.models import JobRun, Programme, SettlementRun
from loyalty.rules.papers import Paper, to_pdf, to_workbook
from loyalty.selectors.finance.reports import PART_NAMES, REPORTS, Scope, month_paper
from loyalty.selectors.finance.rows import rows_behind
from loyalty.services.jobs import JobRefused, start_run
from members.views.sheets import staff_user

PERMISSION = "loyalty.view_finance"
CLOSE = "loyalty.close_month"
ROWS_PER_PAGE = 50
DOWNLOADS = {
    "pdf": (to_pdf, "application/pdf"),
    "xlsx": (to_workbook, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
}


def _programmes() -> list[Programme]:
    return list(Programme.objects.order_by("pk"))


def _properties_of(user: User) -> list[int] | None:
    """The properties whose figures a user may see; None for who works for the whole group."""
    if user.is_superuser or any(a.group_id for a in user.active_assignments()):
        return None
    return [place.pk for place in visible_properties(user)]


def _asked(request: HttpRequest) -> tuple[FinanceForm, Scope]:
    """The form as it was sent, and what it asks for; what cannot be read is as if it were not asked."""
    programmes = _programmes()
    if not programmes:
        raise Http404
    user = staff_user(request)
    places = visible_properties(user)
    form = FinanceForm(request.GET, programmes=programmes, places=places, now=timezone.now())
    form.is_valid()
    start, place = form.chosen_month, form.chosen_property
    end = (start + dt.timedelta(days=32)).replace(day=1)
    scope = Scope(
        form.chosen_programme,
        start,
        end,
        [place.pk] if place else _properties_of(user),
        place.code if place else "",
    )
    return form, scope


def _download(request: HttpRequest, paper: Paper, name: str, suffix: str) -> HttpResponse:
    make, content_type = DOWNLOADS[suffix]
    record_audit(
        actor=staff_user(request),
        now=timezone.now(),
        action="finance.exported",
        object_type="loyalty.finance",
        object_id=name,
        label=f"{paper.title} {suffix}",
    )
    response = HttpResponse(make(paper), content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}.{suffix}"'
    return response


def _tabs(current: str, form: FinanceForm) -> list[tuple[str, str, bool]]:
    titles = [
        ("month", _("Month close")),
        ("liability", _("Liability")),
        ("roll-forward", _("Roll-forward")),
        ("settlement", _("Settlement")),
        ("returns", _("Return of the rules")),
    ]
    query = urlencode(form.query)
    addresses = {code: reverse("loyalty:finance_report", args=[code]) for code in REPORTS}
    addresses["month"] = reverse("loyalty:finance")
    return [(f"{addresses[code]}?{query}", title, code == current) for code, title in titles]


@never_cache
@require_safe
@staff_required(PERMISSION)
def month_close(request: HttpRequest) -> HttpResponse:
    """A month of the programme with all four reports, and the button that closes it."""
    user = staff_user(request)
    form, scope = _asked(request)
    suffix = request.GET.get("as", "")
    if suffix in DOWNLOADS:
        return _download(request, month_paper(scope), f"{scope.programme.code}-{scope.start:%Y-%m}-month", suffix)
    today = scope.programme.local_date(timezone.now())
    settlement = SettlementRun.objects.filter(programme=scope.programme, start_date=scope.start).first()
    job = JobRun.objects.filter(job=JobRun.Job.SETTLE, programme=scope.programme, run_date=scope.end).last()
    context = {
        "form": form,
        "scope": scope,
        "tabs": _tabs("month", form),
        "query": urlencode(form.query),
        "papers": [(code, make(scope)) for code, make in REPORTS.items()],
        "settlement": settlement,
        "job": job,
        "is_over": scope.end <= today,
        "may_close": scope.end <= today
        and (settlement is None or settlement.closed_at is None)
        and user.has_perm(CLOSE),
    }
    return render(request, "loyalty/finance/month.html", context)


@never_cache
@require_safe
@staff_required(PERMISSION)
def report(request: HttpRequest, code: str) -> HttpResponse:
    """One report for a month, on the page or taken away."""
    if code not in REPORTS:
        raise Http404
    form, scope = _asked(request)
    paper = REPORTS[code](scope)
    suffix = request.GET.get("as", "")
    if suffix in DOWNLOADS:
        return _download(request, paper, f"{scope.programme.code}-{scope.start:%Y-%m}-{code}", suffix)
    context = {
        "form": form,
        "paper": paper,
        "code": code,
        "tabs": _tabs(code, form),
        "query": urlencode(form.query),
        "history": _settlements(scope.programme) if code == "settlement" else [],
    }
    return render(request, "loyalty/finance/report.html", context)


def _settlements(programme: Programme) -> list[SettlementRun]:
    """The last two years of settlements, newest first."""
    found = SettlementRun.objects.filter(programme=programme).select_related("closed_by").order_by("-start_date")
    return list(found[:24])


@require_POST
@staff_required(CLOSE)
def close_month(request: HttpRequest) -> HttpResponse:
    """Settle a month that is over and close it: starts the run, and a worker does it."""
    form = FinanceForm(request.POST, programmes=_programmes(), places=[], now=timezone.now())
    form.is_valid()
    programme, start = form.chosen_programme, form.chosen_month
    try:
        run = start_run(
            actor=staff_user(request),
            now=timezone.now(),
            job=JobRun.Job.SETTLE,
            programme=programme,
            run_date=(start + dt.timedelta(days=32)).replace(day=1),
        )
    except JobRefused as refused:
        messages.error(request, str(refused.message))
    else:
        # Should the message be lost, the next tick finds the run.
        transaction.on_commit(lambda: tasks.work_run.delay(run_id=run.pk), robust=True)
        messages.success(request, _("%(month)s is being closed.") % {"month": f"{start:%Y-%m}"})
    return redirect(f"{reverse('loyalty:finance')}?{urlencode(form.query)}")


@never_cache
@require_safe
@staff_required(PERMISSION)
def rows(request: HttpRequest) -> HttpResponse:
    """The rows behind a figure of a report."""
    programmes = _programmes()
    form = FinanceRowsForm(request.GET, places=visible_properties(staff_user(request)))
    if not programmes or not form.is_valid():
        raise Http404
    data = form.cleaned_data
    programme = next((p for p in programmes if p.code == data["programme"]), programmes[0])
    found = rows_behind(
        programme=programme,
        kind=data["of"],
        start=data["start"],
        end=data["end"],
        asked=data["asked"],
        property_ids=_properties_of(staff_user(request)),
        after=data["after"] or 0,
        limit=ROWS_PER_PAGE + 1,
    )
    kept = request.GET.copy()
    kept.pop("after", None)
    context: dict[str, Any] = {
        "programme": programme,
        "rows": found[:ROWS_PER_PAGE],
        "next": found[ROWS_PER_PAGE - 1].key if len(found) > ROWS_PER_PAGE else None,
        "is_later_page": bool(data["after"]),
        "kept": kept.urlencode(),
        "about": _about(data, form.chosen_property),
        "back": f"{reverse('loyalty:finance')}?month={_month_of(data):%Y-%m}",
    }
    return render(request, "loyalty/finance/rows.html", context)


def _month_of(data: dict[str, Any]) -> dt.date:
    """The month of the report that led here."""
    return data["start"] - dt.timedelta(days=1) if data["of"] == "lots" else data["start"]  # type: ignore[no-any-return]


def _about(data: dict[str, Any], place: Property | None) -> list[str]:
    """What the rows are of, in words."""
    asked = data["asked"]
    last = data["end"] - dt.timedelta(days=1)
    words = {
        "moves": [str(PART_NAMES.get(asked.get("part", ""), "")), f"{data['start'].isoformat()} – {last.isoformat()}"],
        "lots": [_("Points held on %(date)s") % {"date": last.isoformat()}],
        "settled": [_("Settlement"), f"{asked.get('payer', '')} → {asked.get('payee', '')}"],
        "rule": [asked.get("rule", ""), f"{data['start'].isoformat()} – {last.isoformat()}"],
    }[data["of"]]
    if place is not None:
        words.append(place.local_name)
    elif asked.get("property") == 0:
        words.append(_("No property"))
    if asked.get("month"):
        words.append(_("earned in %(month)s") % {"month": f"{asked['month']:%Y-%m}"})
    return words


urlpatterns = [
    path("finance/", month_close, name="finance"),
    path("finance/close/", close_month, name="close_month"),
    path("finance/rows/", rows, name="finance_rows"),
    path("finance/<slug:code>/", report, name="finance_report"),
]
