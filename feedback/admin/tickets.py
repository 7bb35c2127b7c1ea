"""Tickets in the admin, to read; they are worked on at the desk."""

from __future__ import annotations

from typing import cast

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from import_export import fields
from unfold.contrib.filters.admin import RangeDateTimeFilter

from feedback.models import Ticket, TicketEvent
from hotels.admin.base import ExportAdminMixin, GrowingMixin, ReadOnlyAdmin, ReadOnlyInline
from hotels.resources import EXPORT_FORMATS, SafeResource


class TicketEventInline(ReadOnlyInline):
    """What happened to the ticket, in order."""

    model = TicketEvent
    fields = ["at", "kind", "actor", "text"]
    readonly_fields = fields
    ordering = ["pk"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[TicketEvent]:
        """With the names of those who acted."""
        return cast("QuerySet[TicketEvent]", super().get_queryset(request).select_related("actor"))


class TicketResource(SafeResource):
    """Tickets as exported."""

    number = fields.Field("pk", _("ticket"))
    property = fields.Field("property__code", _("property"))
    guest = fields.Field("guest__name", _("guest"))
    category = fields.Field("get_category_display", _("category"))
    severity = fields.Field("get_severity_display", _("severity"))
    status = fields.Field("get_status_display", _("status"))
    subject = fields.Field("subject", _("subject"))
    opened_at = fields.Field("opened_at", _("opened at"))
    due_at = fields.Field("due_at", _("due at"))
    closed_at = fields.Field("closed_at", _("closed at"))

    class Meta:
        model = Ticket
        fields = [
            "number",
            "property",
            "guest",
            "category",
            "severity",
            "status",
            "subject",
            "opened_at",
            "due_at",
            "closed_at",
        ]
        export_order = fields
        name = _("Tickets")


@admin.register(Ticket)
class TicketAdmin(ExportAdminMixin, GrowingMixin, ReadOnlyAdmin):
    """Tickets of the user's properties."""

    resource_classes = [TicketResource]
    formats = EXPORT_FORMATS
    place_path = "property"
    list_display = ["__str__", "property", "guest", "category", "severity", "status", "assignee", "opened_at", "due_at"]
    list_select_related = ["property", "guest", "department", "assignee", "opened_by"]
    list_filter = ["status", "severity", "category", "property", ("opened_at", RangeDateTimeFilter)]
    ordering = ["-id"]
    search_fields = ["subject", "guest__name__startswith"]
    search_help_text = _("Words of the subject, or beginning of the guest's name")
    exclude = ["public_id"]
    inlines = [TicketEventInline]
