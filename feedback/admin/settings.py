"""Calendars, service levels, rosters, routing and reply texts: set by managers, each change audited."""

from __future__ import annotations

import datetime as dt
import itertools
import zoneinfo
from typing import Any, cast

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import RangeDateFilter, RangeDateTimeFilter

from feedback.models import (
    BusinessCalendar,
    CalendarException,
    CalendarInterval,
    Macro,
    PublicHoliday,
    RoutingRule,
    Shift,
    SLAPolicy,
)
from feedback.rules.hours import Hours, calendar_of
from feedback.selectors.calendars import Calendars
from feedback.selectors.facts import TARGET
from feedback.services import assign_waiting, recount_calendar
from feedback.services.clocks import Terms, due_of
from hotels.admin.base import AuditedAdmin, GrowingMixin, ScopedInline
from hotels.models import Department, Property, User
from members.forms import ConditionField
from members.rules.conditions import read, sentence


class GroupOrPlaceAdmin(AuditedAdmin):
    """What belongs to a property, or without one to the group; the group's is changed by the group's roles."""

    place_path = "property"

    def _allows(self, request: HttpRequest, action: str, obj: Any) -> bool:
        if obj is not None and obj.property_id is None and action != "view":
            user = cast("User", request.user)
            places = Property.objects.all()
            return super()._allows(request, action, None) and places.count() == places.visible_to(user).count()
        return super()._allows(request, action, obj)


class CalendarIntervalInline(ScopedInline):
    """Hours of the week."""

    model = CalendarInterval
    fields = ["weekday", "opens", "closes"]
    ordering = ["weekday", "opens"]


class CalendarExceptionInline(ScopedInline):
    """Dates that differ."""

    model = CalendarException
    fields = ["date", "kind", "opens", "closes", "name"]
    ordering = ["date", "opens"]


class IntervalFormSet(forms.BaseInlineFormSet):  # type: ignore[type-arg]
    """The hours of the week together."""

    def clean(self) -> None:
        """Refuse hours that overlap: one of them is a slip of the pen."""
        super().clean()
        rows = [form.cleaned_data for form in self.forms if form.cleaned_data and not form.cleaned_data.get("DELETE")]
        if any(not all(row.get(name) is not None for name in ("weekday", "opens", "closes")) for row in rows):
            return
        calendar = calendar_of("UTC", [Hours(row["weekday"], row["opens"], row["closes"]) for row in rows], [], [])
        week = 7 * 24 * 60
        spans = sorted(
            (day * 24 * 60 + span.opens, day * 24 * 60 + span.closes)
            for day, row in calendar.week.items()
            for span in row
        )
        # The last night of the week runs into its first morning.
        spans += [(spans[0][0] + week, spans[0][1] + week)] if spans else []
        if any(first[1] > second[0] for first, second in itertools.pairwise(spans)):
            raise ValidationError(_("Two of these hours overlap."))


CalendarIntervalInline.formset = IntervalFormSet


@admin.register(BusinessCalendar)
class BusinessCalendarAdmin(GroupOrPlaceAdmin):
    """Hours that clocks count by."""

    list_display = ["code", "name", "property", "time_zone", "keeps_holidays"]
    list_select_related = ["property"]
    list_filter = ["property"]
    ordering = ["code", "pk"]
    search_fields = ["code", "name", "name_en"]
    inlines = [CalendarIntervalInline, CalendarExceptionInline]

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Let the open clocks of the calendar go by its new hours."""
        super().save_related(request, form, formsets, change)
        if change:
            recount_calendar(now=timezone.now(), calendar_id=form.instance.pk)


@admin.register(PublicHoliday)
class PublicHolidayAdmin(AuditedAdmin):
    """Days off by law, and make-up working days."""

    list_display = ["date", "name", "is_working", "country", "source"]
    list_filter = ["country", "is_working", ("date", RangeDateFilter)]
    ordering = ["-date", "pk"]
    search_fields = ["name", "name_en"]


class SLAPolicyForm(forms.ModelForm):  # type: ignore[type-arg]
    """Whose tickets it is for is built like every other condition."""

    condition = ConditionField(target=TARGET, required=False, label=capfirst(_("condition")))


@admin.register(SLAPolicy)
class SLAPolicyAdmin(GroupOrPlaceAdmin):
    """Times promised, by the day they begin."""

    form = SLAPolicyForm
    list_display = [
        "name",
        "property",
        "position",
        "said",
        "first_response_minutes",
        "resolution_minutes",
        "effective_from",
        "effective_until",
    ]
    list_select_related = ["property", "calendar"]
    list_filter = ["property", ("effective_from", RangeDateFilter)]
    ordering = ["property", "position", "pk"]
    search_fields = ["name"]
    readonly_fields = ["preview"]

    @admin.display(description=_("condition"))
    def said(self, policy: SLAPolicy) -> str:
        """The condition in words."""
        return str(sentence(read(policy.condition or {"all": []}, TARGET)))

    @admin.display(description=_("a ticket opened now"))
    def preview(self, policy: SLAPolicy) -> str:
        """When a ticket of this kind that is opened now would be due."""
        place = policy.property or Property.objects.filter(is_active=True).order_by("code").first()
        if policy.pk is None or place is None:
            return "–"
        now = timezone.now()
        terms = Terms(policy, policy.calendar_id, {"resolution": policy.resolution_minutes}, dt.timedelta())
        calendar = Calendars().get(policy.calendar_id, place)
        due = due_of(terms, "resolution", start=now, calendar=calendar, leaves=None)
        local = due.astimezone(zoneinfo.ZoneInfo(place.time_zone))
        return gettext("%(place)s: due on %(at)s") % {"place": place.local_name, "at": f"{local:%Y-%m-%d %H:%M}"}


class RoutingRuleForm(forms.ModelForm):  # type: ignore[type-arg]
    """Whose tickets it is for is built like every other condition."""

    condition = ConditionField(target=TARGET, required=False, label=capfirst(_("condition")))

    def clean_department_code(self) -> str:
        """Refuse a code that no property has."""
        code: str = self.cleaned_data["department_code"]
        if not Department.objects.filter(code=code).exists():
            raise ValidationError(_("No property has a department with this code."))
        return code


@admin.register(RoutingRule)
class RoutingRuleAdmin(GroupOrPlaceAdmin):
    """Which department sees to what."""

    form = RoutingRuleForm
    list_display = ["name", "property", "position", "said", "department_code", "is_active"]
    list_select_related = ["property"]
    list_filter = ["property", "is_active"]
    ordering = ["property", "position", "pk"]
    search_fields = ["name", "department_code"]

    @admin.display(description=_("condition"))
    def said(self, rule: RoutingRule) -> str:
        """The condition in words."""
        return str(sentence(read(rule.condition or {"all": []}, TARGET)))


@admin.register(Shift)
class ShiftAdmin(GrowingMixin, GroupOrPlaceAdmin):
    """The roster; a change gives waiting tickets to those who are now on duty."""

    list_display = ["user", "property", "department", "level", "starts_at", "ends_at"]
    list_select_related = ["user", "property", "department"]
    list_filter = ["property", "level", ("starts_at", RangeDateTimeFilter)]
    ordering = ["-starts_at", "-pk"]
    search_fields = ["user__username", "user__display_name"]
    autocomplete_fields = ["user"]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Store the shift, then give out what waits for it."""
        super().save_model(request, obj, form, change)
        assign_waiting(now=timezone.now())


@admin.register(Macro)
class MacroAdmin(GroupOrPlaceAdmin):
    """Texts to reply with."""

    list_display = ["name", "property", "category", "is_active"]
    list_select_related = ["property"]
    list_filter = ["property", "category", "is_active"]
    ordering = ["name", "pk"]
    search_fields = ["name", "name_en", "text"]
