"""Runs of the jobs: what is going on, what it would do, what failed; started, paused and canceled here."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import RangeDateFilter
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminDateWidget, UnfoldAdminSelectWidget

from hotels.admin.base import GrowingMixin, ReadOnlyAdmin
from hotels.models import User
from hotels.services.audit import record_audit
from loyalty import tasks
from loyalty.models import ExpiryNotice, JobError, JobRun, Programme
from loyalty.services.jobs import (
    JobRefused,
    RunPreview,
    cancel_run,
    pause_run,
    preview_run,
    registered_jobs,
    resume_run,
    start_run,
)

ERRORS_PER_PAGE = 50
# Names of a run's further figures, by key.
FIGURES = {
    "inactive": gettext_lazy("by inactivity"),
    "held_back": gettext_lazy("held back: not notified"),
    "notices": gettext_lazy("notices written"),
    "withdrawn": gettext_lazy("notices withdrawn"),
    "challenges": gettext_lazy("challenges decided"),
    "carried": gettext_lazy("members with an excess carried over"),
    "raised": gettext_lazy("moved up or renewed"),
    "warned": gettext_lazy("warned before a downgrade"),
    "ended": gettext_lazy("vouchers ended"),
    "reminders": gettext_lazy("reminders noted"),
    "items": gettext_lazy("redemptions settled"),
    "lines": gettext_lazy("debts between properties"),
}
CODES = {"not_notified": gettext_lazy("not notified")}
STATE_LABELS = {
    "queued": "info",
    "running": "info",
    "paused": "warning",
    "done": "success",
    "failed": "danger",
    "canceled": "default",
}


def named_figures(figures: dict[str, int]) -> list[tuple[str, int]]:
    """A run's further counts with their names in the reader's language."""
    return [(str(FIGURES.get(name, name)), count) for name, count in sorted(figures.items())]


def told_code(code: str) -> str:
    """A stable code in the reader's words, where there are some."""
    return str(CODES.get(code, code))


def written_duration(run: JobRun) -> str:
    """Hours, minutes and seconds from the start to the end or the last progress."""
    return str(run.duration).partition(".")[0] if run.duration is not None else "—"


class StartForm(forms.Form):
    """Which job, of which programme, for which date."""

    job = forms.ChoiceField(label=gettext_lazy("job"), widget=UnfoldAdminSelectWidget)
    programme = forms.ModelChoiceField(
        Programme.objects.order_by("code"), label=gettext_lazy("programme"), widget=UnfoldAdminSelectWidget
    )
    run_date = forms.DateField(
        label=gettext_lazy("run date"),
        required=False,
        widget=UnfoldAdminDateWidget,
        help_text=gettext_lazy("Empty: today in the programme's time zone."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known = set(registered_jobs())
        choices = [(value, label) for value, label in JobRun.Job.choices if value in known]
        cast("forms.ChoiceField", self.fields["job"]).choices = choices

    def clean(self) -> dict[str, Any] | None:
        """A date that lies ahead is told at the field."""
        cleaned = super().clean() or {}
        programme, run_date = cleaned.get("programme"), cleaned.get("run_date")
        if programme and run_date and run_date > programme.local_date(timezone.now()):
            self.add_error(
                "run_date", ValidationError(_("The run date lies ahead of today in the programme's time zone."))
            )
        return cleaned


class _Echo:
    """Hands each line of a CSV to the response."""

    def write(self, line: str) -> str:
        return line


@admin.register(JobRun)
class JobRunAdmin(GrowingMixin, ReadOnlyAdmin):
    """Runs of all jobs and programmes, newest first."""

    list_display = [
        "run_date",
        "job",
        "programme",
        "shown_state",
        "progress",
        "counts",
        "shown_points",
        "took",
        "started_by",
        "created_at",
    ]
    list_select_related = ["programme", "started_by"]
    list_filter = ["job", "state", "programme", ("run_date", RangeDateFilter)]
    search_fields = ["=programme__code"]
    ordering = ["-id"]
    actions_list = ["start"]

    @display(description=gettext_lazy("state"), label=STATE_LABELS)  # type: ignore[untyped-decorator]
    def shown_state(self, run: JobRun) -> tuple[str, str]:
        """Where it stands."""
        return run.state, run.get_state_display()

    @admin.display(description=gettext_lazy("progress"))
    def progress(self, run: JobRun) -> str:
        """A bar and its figure."""
        return format_html(
            '<span class="job-bar"><progress max="100" value="{}" aria-label="{}"></progress> {}%</span>',
            run.percent,
            _("progress"),
            run.percent,
        )

    @admin.display(description=gettext_lazy("done of due"))
    def counts(self, run: JobRun) -> str:
        """Records, and how many failed or were busy."""
        text = f"{run.done_count:,} / {run.due_count:,}"
        if run.failed_count:
            text += " · " + _("%(count)s failed") % {"count": f"{run.failed_count:,}"}
        if run.busy_count:
            text += " · " + _("%(count)s busy") % {"count": f"{run.busy_count:,}"}
        return text

    @admin.display(description=gettext_lazy("points"), ordering="points")
    def shown_points(self, run: JobRun) -> str:
        """Points moved."""
        return f"{run.points:,}"

    @admin.display(description=gettext_lazy("duration"))
    def took(self, run: JobRun) -> str:
        """How long it took."""
        return written_duration(run)

    @action(description=gettext_lazy("Start a run"), url_path="start", permissions=["run"])  # type: ignore[untyped-decorator]
    def start(self, request: HttpRequest) -> HttpResponse:
        """Choose a job, see what it would do, and start it."""
        form = StartForm(request.POST if request.method == "POST" else None)
        preview: RunPreview | None = None
        if request.method == "POST" and form.is_valid():
            values = form.cleaned_data
            now = timezone.now()
            asked = {"job": values["job"], "programme": values["programme"], "run_date": values["run_date"], "now": now}
            try:
                if "_start" in request.POST:
                    run = start_run(actor=cast("User", request.user), **asked)
                    self._kick(run)
                    return HttpResponseRedirect(self._page(run))
                preview = preview_run(**asked)
            except JobRefused as refused:
                form.add_error(None, str(refused.message))
        context = {
            **self.admin_site.each_context(request),
            "title": _("Start a run"),
            "opts": self.opts,
            "form": form,
            "preview": preview,
            "figures": named_figures(dict(preview.figures)) if preview else [],
        }
        return TemplateResponse(request, "admin/loyalty/job_start.html", context, status=422 if form.errors else 200)

    def has_run_permission(self, request: HttpRequest, object_id: str | int | None = None) -> bool:
        """Whether the user may start, pause and cancel runs."""
        return cast("User", request.user).has_perm("loyalty.run_jobs")

    def get_urls(self) -> list[URLPattern]:
        """The run's verbs and its errors."""
        wrap = self.admin_site.admin_view
        return [
            path("<int:run_id>/pause/", wrap(self.pause), name="loyalty_jobrun_pause"),
            path("<int:run_id>/resume/", wrap(self.resume), name="loyalty_jobrun_resume"),
            path("<int:run_id>/cancel/", wrap(self.cancel), name="loyalty_jobrun_cancel"),
            path("<int:run_id>/errors.csv", wrap(self.errors_csv), name="loyalty_jobrun_errors"),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The run's page; it renews itself while the run is open."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        run = self.get_object(request, object_id)
        if run is None:
            return cast("HttpResponse", super().change_view(request, object_id, form_url, extra_context))
        errors = JobError.objects.filter(run=run).select_related("membership").order_by("outcome", "id")
        page = Paginator(errors, ERRORS_PER_PAGE).get_page(request.GET.get("p"))
        for error in page.object_list:
            error.code = told_code(error.code)
        context = {
            **self.admin_site.each_context(request),
            "title": str(run),
            "opts": self.opts,
            "original": run,
            "run": run,
            "duration": written_duration(run),
            "figures": named_figures(run.figures),
            "errors": page,
            "may_run": self.has_run_permission(request),
            "may_export": self._may_export(request),
            "states": JobRun.State,
        }
        return TemplateResponse(request, "admin/loyalty/job_run.html", context)

    def pause(self, request: HttpRequest, run_id: int) -> HttpResponse:
        """Stop after the present batch."""
        return self._change(request, run_id, pause_run)

    def resume(self, request: HttpRequest, run_id: int) -> HttpResponse:
        """Go on."""
        return self._change(request, run_id, resume_run)

    def cancel(self, request: HttpRequest, run_id: int) -> HttpResponse:
        """End it."""
        return self._change(request, run_id, cancel_run)

    def errors_csv(self, request: HttpRequest, run_id: int) -> StreamingHttpResponse:
        """All errors of a run as a sheet; noted in the audit trail."""
        run = get_object_or_404(self.get_queryset(request), pk=run_id)
        if not (self.has_view_permission(request) and self._may_export(request)):
            raise PermissionDenied
        record_audit(
            actor=cast("User", request.user),
            now=timezone.now(),
            action="jobrun.exported",
            target=run,
            label=f"{run.job} {run.run_date}",
        )
        head = [_("membership number"), _("record"), _("outcome"), _("code"), _("message"), _("points"), _("at")]
        response = StreamingHttpResponse(self._lines(run, head), content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="{run.job}-{run.run_date}-errors.csv"'
        return response

    def _lines(self, run: JobRun, head: list[str]) -> Iterator[str]:
        writer = csv.writer(_Echo())
        yield "\ufeff" + cast("str", writer.writerow(head))
        for error in JobError.objects.filter(run=run).select_related("membership").order_by("id").iterator(2000):
            # A sheet takes no message for a formula.
            message = f"'{error.message}" if error.message[:1] in {"=", "+", "-", "@"} else error.message
            yield cast(
                "str",
                writer.writerow(
                    [
                        error.membership.number if error.membership else "",
                        error.subject_id,
                        error.outcome,
                        error.code,
                        message,
                        error.points if error.points is not None else "",
                        error.at.isoformat(),
                    ]
                ),
            )

    def _may_export(self, request: HttpRequest) -> bool:
        return cast("User", request.user).has_perm("members.export_guests")

    def _change(self, request: HttpRequest, run_id: int, service: Callable[..., JobRun]) -> HttpResponse:
        if request.method != "POST" or not self.has_run_permission(request):
            raise PermissionDenied
        run = get_object_or_404(self.get_queryset(request), pk=run_id)
        try:
            changed = service(actor=cast("User", request.user), now=timezone.now(), run_id=run.pk)
        except JobRefused as refused:
            messages.error(request, str(refused.message))
        else:
            self._kick(changed)
        return HttpResponseRedirect(self._page(run))

    def _kick(self, run: JobRun) -> None:
        """Let a worker take the run at once; should the message be lost, the next tick finds the run."""
        if run.state == JobRun.State.QUEUED:
            transaction.on_commit(lambda: tasks.work_run.delay(run_id=run.pk), robust=True)

    def _page(self, run: JobRun) -> str:
        return reverse("admin:loyalty_jobrun_change", args=[run.pk])


@admin.register(ExpiryNotice)
class ExpiryNoticeAdmin(GrowingMixin, ReadOnlyAdmin):
    """Notices that points are about to lapse: those due, and the proof of those given."""

    list_display = ["membership", "cause", "expires_on", "points", "state", "due_on", "channel", "given_at"]
    list_select_related = ["membership"]
    list_filter = ["state", "cause", "channel", ("expires_on", RangeDateFilter)]
    search_fields = ["=membership__number"]
    search_help_text = gettext_lazy("Whole membership number")
    ordering = ["-id"]
