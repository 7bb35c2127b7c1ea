"""Back-tests in the admin: what a version would have given, in points and in money, while and after it is reckoned."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, cast

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget

from hotels.admin.base import GrowingMixin, ReadOnlyAdmin
from hotels.models import User
from hotels.resources import neutralize
from hotels.services.audit import record_audit
from loyalty import tasks
from loyalty.models import BackTest, EarningRuleSet
from loyalty.selectors.backtest_figures import rules_digest
from loyalty.services.backtests import MONTHS, request_back_test

HISTORY = 20
STATE_LABELS = {"queued": "info", "running": "info", "done": "success", "failed": "danger"}


class BackTestForm(forms.Form):
    """How far back."""

    months = forms.TypedChoiceField(
        label=gettext_lazy("Stays of the last"), coerce=int, initial=12, widget=UnfoldAdminSelectWidget
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(months, _("%(count)s months") % {"count": months}) for months in MONTHS]
        cast("forms.ChoiceField", self.fields["months"]).choices = choices


def start_back_test(request: HttpRequest, rule_set: EarningRuleSet, months: int) -> str:
    """Ask for a back-test and let a worker take it at once.

    Returns:
        The address of its page.
    """
    back_test = request_back_test(
        actor=cast("User", request.user), now=timezone.now(), rule_set_id=rule_set.pk, months=months
    )
    # Should the message be lost, the page offers to start again.
    if back_test.state == BackTest.State.QUEUED:
        transaction.on_commit(lambda: tasks.run_back_test.delay(back_test_id=back_test.pk), robust=True)
    return reverse("admin:loyalty_backtest_change", args=[back_test.pk])


def back_test_page(
    site: admin.AdminSite,
    request: HttpRequest,
    rule_set: EarningRuleSet,
    back_test: BackTest | None,
    form: BackTestForm | None = None,
) -> TemplateResponse:
    """The newest or a chosen back-test of a version, the ones before it, and the way to another one."""
    user = cast("User", request.user)
    history = BackTest.objects.filter(rule_set=rule_set).select_related("requested_by").order_by("-pk")[:HISTORY]
    is_going_on = any(row.is_open for row in history)
    context = {
        **site.each_context(request),
        "title": _("Back-test of %(version)s") % {"version": rule_set},
        "opts": EarningRuleSet._meta,
        "rule_set": rule_set,
        "rule_set_url": reverse("admin:loyalty_earningruleset_change", args=[rule_set.pk]),
        "start_url": reverse("admin:loyalty_earningruleset_back_test", args=[rule_set.pk]),
        "back_test": back_test,
        "is_stuck": back_test is not None and back_test.is_stuck(),
        "history": history,
        "form": form or BackTestForm(),
        "may_run": user.has_perm("loyalty.change_earningruleset"),
        "is_going_on": is_going_on,
        "may_export": user.has_perm("members.export_guests"),
        **(_figures(back_test) if back_test and back_test.figures else {}),
    }
    status = 422 if form is not None and form.errors else 200
    return TemplateResponse(request, "admin/loyalty/back_test.html", context, status=status)


def _local(row: dict[str, Any]) -> str:
    """The name in the language of the reader; the code where there is none."""
    is_english = (get_language() or "").startswith("en")
    return cast("str", (is_english and row["name_en"]) or row["name"] or row["code"])


def _lines(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "label": _local(row), "difference": row["after"] - row["before"]} for row in rows]


def _figures(back_test: BackTest) -> dict[str, Any]:
    """The kept figures as the page names them."""
    figures = back_test.figures
    before, after = (Decimal(figures["liability"][side]) for side in ("before", "after"))
    totals = figures["totals"]
    return {
        "totals": {**totals, "difference": totals["after"] - totals["before"]},
        "liability": {
            "before": before,
            "after": after,
            "difference": after - before,
            "currency": figures["liability"]["currency"],
            "point_value": f"{Decimal(figures['liability']['point_value']).normalize():f}",
        },
        "sections": [
            {"title": _("By property"), "head": _("Property"), "rows": _lines(figures["by_property"])},
            {"title": _("By tier on the day of departure"), "head": _("Tier"), "rows": _lines(figures["by_tier"])},
        ],
        "asks_points": figures.get("tier_moves") is not None,
        "tier_moves": [
            {
                "before": _local({"name": row["from"], "name_en": row["from_en"], "code": ""}),
                "after": _local({"name": row["to"], "name_en": row["to_en"], "code": ""}),
                "members": row["members"],
            }
            for row in figures.get("tier_moves") or ()
        ],
        "by_rule": _lines(figures["by_rule"]),
        "largest": [
            {**row, "url": reverse("admin:members_stay_change", args=[row["stay"]])}
            for row in _lines([{"code": row["property"], **row} for row in figures["largest"]])
        ],
        "singly": figures["singly"],
        "seconds": figures["seconds"],
        "has_changed": figures["rules"] != rules_digest(back_test.rule_set_id),
    }


@admin.register(BackTest)
class BackTestAdmin(GrowingMixin, ReadOnlyAdmin):
    """Back-tests of all versions, newest first; they are asked for on the page of a version."""

    list_display = ["created_at", "rule_set", "compared_with", "since", "until", "shown_state", "requested_by"]
    list_select_related = ["rule_set", "compared_with", "requested_by"]
    list_filter = ["rule_set__programme", "state"]
    search_fields = ["rule_set__name"]
    ordering = ["-id"]

    @display(description=gettext_lazy("state"), label=STATE_LABELS)  # type: ignore[untyped-decorator]
    def shown_state(self, back_test: BackTest) -> tuple[str, str]:
        """Where it stands."""
        return back_test.state, back_test.get_state_display()

    def get_queryset(self, request: HttpRequest) -> QuerySet[BackTest]:
        """With both versions."""
        found = super().get_queryset(request).select_related("rule_set__programme", "compared_with", "requested_by")
        return cast("QuerySet[BackTest]", found)

    def get_urls(self) -> list[URLPattern]:
        """The two sheets."""
        wrap = self.admin_site.admin_view
        return [
            path("<int:back_test_id>/largest.csv", wrap(self.largest_csv), name="loyalty_backtest_largest"),
            path("<int:back_test_id>/properties.csv", wrap(self.properties_csv), name="loyalty_backtest_properties"),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The page of a back-test; it renews itself while a worker is at it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        back_test = self.get_object(request, object_id)
        if back_test is None:
            return cast("HttpResponse", super().change_view(request, object_id, form_url, extra_context))
        return back_test_page(self.admin_site, request, back_test.rule_set, back_test)

    def largest_csv(self, request: HttpRequest, back_test_id: int) -> HttpResponse:
        """The stays with the largest differences; they name memberships, so it takes the right to export guests."""
        if not cast("User", request.user).has_perm("members.export_guests"):
            raise PermissionDenied
        head = [
            _("stay"), _("departure"), _("property"), _("membership number"),
            _("points before"), _("points after"), _("difference"),
        ]  # fmt: skip
        back_test = self._done(request, back_test_id)
        rows = [
            [
                row["number"],
                row["departure"],
                row["property"],
                row["membership"],
                row["before"],
                row["after"],
                row["after"] - row["before"],
            ]
            for row in back_test.figures["largest"]
        ]
        return self._sheet(request, back_test, "largest", head, rows)

    def properties_csv(self, request: HttpRequest, back_test_id: int) -> HttpResponse:
        """The figures by property."""
        head = [_("code"), _("property"), _("stays"), _("points before"), _("points after"), _("difference")]
        back_test = self._done(request, back_test_id)
        rows = [
            [row["code"], row["label"], row["stays"], row["before"], row["after"], row["difference"]]
            for row in _lines(back_test.figures["by_property"])
        ]
        return self._sheet(request, back_test, "properties", head, rows)

    def _done(self, request: HttpRequest, back_test_id: int) -> BackTest:
        if not self.has_view_permission(request):
            raise PermissionDenied
        back_test = get_object_or_404(self.get_queryset(request), pk=back_test_id)
        if not back_test.figures:
            raise Http404
        return back_test

    def _sheet(
        self, request: HttpRequest, back_test: BackTest, name: str, head: Sequence[str], rows: Iterable[Sequence[Any]]
    ) -> HttpResponse:
        """Rows with no cell that a spreadsheet runs; noted in the audit trail."""
        record_audit(
            actor=cast("User", request.user),
            now=timezone.now(),
            action="backtest.exported",
            target=back_test,
            label=f"{back_test.rule_set.programme.code} {back_test.rule_set}: {name}",
        )
        response = HttpResponse("\ufeff", content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="back-test-{back_test.pk}-{name}.csv"'
        writer = csv.writer(response)
        writer.writerow(head)
        writer.writerows([neutralize(cell) for cell in row] for row in rows)
        return response
