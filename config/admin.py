"""Tables of libraries in the admin: scheduled tasks, API tokens, second factors."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, cast

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django_celery_beat.admin import ClockedScheduleAdmin as BeatClockedScheduleAdmin
from django_celery_beat.admin import CrontabScheduleAdmin as BeatCrontabScheduleAdmin
from django_celery_beat.admin import PeriodicTaskAdmin as BeatPeriodicTaskAdmin
from django_celery_beat.admin import PeriodicTaskForm, TaskSelectWidget
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from knox.models import AuthToken
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from hotels.admin.base import AuditedAdmin, ReadOnlyMixin
from hotels.models import User
from hotels.services.audit import record_audit

for model in (
    Group,
    EmailAddress,
    Authenticator,
    AuthToken,
    PeriodicTask,
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    SolarSchedule,
):
    admin.site.unregister(model)


class _TaskWidget(UnfoldAdminSelectWidget, TaskSelectWidget):  # type: ignore[misc]
    pass


class StyledPeriodicTaskForm(PeriodicTaskForm):  # type: ignore[misc]
    """The library's form in the style of the rest."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["task"].widget = UnfoldAdminTextInputWidget()
        self.fields["regtask"].widget = _TaskWidget()


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(AuditedAdmin, BeatPeriodicTaskAdmin):  # type: ignore[misc]
    """What runs by itself, and when."""

    form = StyledPeriodicTaskForm
    # The library's own templates carry inline scripts, which the policy refuses.
    change_form_template = None
    change_list_template = None
    list_display = ["name", "enabled", "scheduler", "last_run_at", "one_off"]
    list_filter = ["enabled", "one_off", "last_run_at"]
    date_hierarchy = None
    ordering = ["name", "pk"]
    actions = ["enable_tasks", "disable_tasks", "toggle_tasks", "run_tasks"]

    def _audit_all(self, request: HttpRequest, queryset: QuerySet[PeriodicTask], verb: str) -> None:
        for task in queryset:
            self.audit(request, task, verb, before={"enabled": task.enabled})

    @transaction.atomic
    @admin.action(description=_("Enable selected tasks"), permissions=["change"])
    def enable_tasks(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        """Let the tasks run by themselves."""
        self._audit_all(request, queryset, "enabled")
        super().enable_tasks(request, queryset)

    @transaction.atomic
    @admin.action(description=_("Disable selected tasks"), permissions=["change"])
    def disable_tasks(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        """Stop the tasks."""
        self._audit_all(request, queryset, "disabled")
        super().disable_tasks(request, queryset)

    @transaction.atomic
    @admin.action(description=_("Toggle activity of selected tasks"), permissions=["change"])
    def toggle_tasks(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        """Turn each task the other way."""
        self._audit_all(request, queryset, "toggled")
        super().toggle_tasks(request, queryset)

    @admin.action(description=_("Run selected tasks"), permissions=["change"])
    def run_tasks(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        """Run the tasks now."""
        self._audit_all(request, queryset, "run")
        super().run_tasks(request, queryset)


@admin.register(CrontabSchedule)
class CrontabScheduleAdmin(AuditedAdmin, BeatCrontabScheduleAdmin):  # type: ignore[misc]
    """Times by the calendar."""

    list_display = ["__str__", "timezone"]
    ordering = ["pk"]


@admin.register(IntervalSchedule)
class IntervalScheduleAdmin(AuditedAdmin):
    """Every so many minutes or hours."""

    list_display = ["every", "period"]
    ordering = ["pk"]


@admin.register(ClockedSchedule)
class ClockedScheduleAdmin(AuditedAdmin, BeatClockedScheduleAdmin):  # type: ignore[misc]
    """Once, at an instant."""

    ordering = ["pk"]


class CredentialAdmin(ReadOnlyMixin, AuditedAdmin):
    """Ways into an account: never shown, only withdrawn."""

    list_select_related = ["user"]
    ordering = ["-created", "pk"]
    search_fields = ["=user__username"]

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """For those who manage accounts, and for auditors."""
        user = cast("User", request.user)
        return user.has_perm("hotels.change_user") or user.has_perm("knox.view_authtoken")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """For those who manage accounts."""
        return cast("User", request.user).has_perm("hotels.change_user")


@admin.register(AuthToken)
class AuthTokenAdmin(CredentialAdmin):
    """API tokens: whose, since when, until when. The token is nowhere stored, its digest nowhere shown."""

    list_display = ["token_key", "holder", "created_at", "expires_at"]
    list_display_links = None
    fields = ["token_key", "user", "created", "expiry"]
    readonly_fields = fields
    actions = ["withdraw"]

    @admin.display(description=_("user"), ordering="user")
    def holder(self, token: AuthToken) -> str:
        """Whose rights the token carries."""
        return str(token.user)

    @admin.display(description=_("created at"), ordering="created")
    def created_at(self, token: AuthToken) -> dt.datetime:
        """Since when it works."""
        return cast("dt.datetime", token.created)

    @admin.display(description=_("expires at"), ordering="expiry")
    def expires_at(self, token: AuthToken) -> dt.datetime | None:
        """Until when it works; empty for no end."""
        return cast("dt.datetime | None", token.expiry)

    @admin.action(description=_("Withdraw selected tokens"), permissions=["delete"])
    def withdraw(self, request: HttpRequest, queryset: QuerySet[AuthToken]) -> None:
        """Let the tokens stop working at once."""
        self.delete_queryset(request, queryset)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Without the usual deletion, whose confirmation would show digests."""
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return cast("dict[str, Any]", actions)

    def change_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Lead back to the list: a token has nothing to show but its digest."""
        return redirect("admin:knox_authtoken_changelist")

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Lead back to the list, where tokens are withdrawn."""
        return redirect("admin:knox_authtoken_changelist")

    def audit(
        self,
        request: HttpRequest,
        obj: Model,
        verb: str,
        *,
        before: Mapping[str, object] | None = None,
        after: Mapping[str, object] | None = None,
    ) -> None:
        """Name the token by its beginning: the key of the row is the digest."""
        token = cast("AuthToken", obj)
        record_audit(
            actor=cast("User", request.user),
            now=timezone.now(),
            action=f"token.{verb}",
            object_type="knox.authtoken",
            object_id=token.token_key,
            label=str(token.user),
        )


@admin.register(Authenticator)
class AuthenticatorAdmin(CredentialAdmin):
    """Second factors; deleting one lets a user who lost the phone set up another."""

    list_display = ["holder", "type", "created_at", "last_used_at"]
    list_filter = ["type"]
    ordering = ["-created_at", "pk"]
    fields = ["user", "type", "created_at", "last_used_at"]
    readonly_fields = fields

    @admin.display(description=_("user"), ordering="user")
    def holder(self, authenticator: Authenticator) -> str:
        """Whose second factor it is."""
        return str(authenticator.user)
