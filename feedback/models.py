"""Tickets: what a guest complained of or asked for, who owns it, and what happened."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from hotels.models import Department, Property
from members.models import Guest, Stay

if TYPE_CHECKING:
    from hotels.models import User


class TicketQuerySet(models.QuerySet["Ticket"]):
    """Reads of tickets."""

    def visible_to(self, user: User) -> TicketQuerySet:
        """Keep tickets of the user's properties."""
        return self.filter(property__in=Property.objects.visible_to(user))

    def open(self) -> TicketQuerySet:
        """Keep tickets that somebody still has to do something about."""
        return self.exclude(status__in=[Ticket.Status.CLOSED, Ticket.Status.WITHDRAWN])


class Ticket(models.Model):
    """One matter of a guest at one property."""

    class Category(models.TextChoices):
        """What it is about."""

        ROOM = "room", _("room and equipment")
        CLEANLINESS = "cleanliness", _("cleanliness")
        NOISE = "noise", _("noise")
        SERVICE = "service", _("service")
        FOOD = "food", _("food and drink")
        BILLING = "billing", _("billing")
        LOYALTY = "loyalty", _("points and membership")
        OTHER = "other", _("other")

    class Severity(models.TextChoices):
        """How bad it is for the guest."""

        LOW = "low", _("low")
        MEDIUM = "medium", _("medium")
        HIGH = "high", _("high")
        CRITICAL = "critical", _("critical")

    class Status(models.TextChoices):
        """Where the ticket stands."""

        OPEN = "open", _("open")
        IN_PROGRESS = "in_progress", _("in progress")
        CLOSED = "closed", _("closed")
        # An entry made by mistake and taken back by whoever logged it.
        WITHDRAWN = "withdrawn", _("withdrawn")

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    property = models.ForeignKey(Property, models.PROTECT, related_name="tickets", verbose_name=_("property"))
    department = models.ForeignKey(
        Department, models.PROTECT, null=True, blank=True, related_name="tickets", verbose_name=_("department")
    )
    guest = models.ForeignKey(Guest, models.PROTECT, related_name="tickets", verbose_name=_("guest"))
    stay = models.ForeignKey(
        Stay, models.PROTECT, null=True, blank=True, related_name="tickets", verbose_name=_("stay")
    )
    category = models.CharField(_("category"), max_length=20, choices=Category)
    severity = models.CharField(_("severity"), max_length=10, choices=Severity, default=Severity.MEDIUM)
    status = models.CharField(_("status"), max_length=12, choices=Status, default=Status.OPEN)
    subject = models.CharField(_("subject"), max_length=120)
    description = models.TextField(_("description"), blank=True)
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="assigned_tickets",
        verbose_name=_("assignee"),
    )
    opened_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("opened by")
    )
    opened_at = models.DateTimeField(_("opened at"))
    due_at = models.DateTimeField(_("due at"))
    closed_at = models.DateTimeField(_("closed at"), null=True, blank=True)

    objects = TicketQuerySet.as_manager()

    class Meta:
        verbose_name = _("ticket")
        verbose_name_plural = _("tickets")
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["open", "in_progress", "closed", "withdrawn"]),
                name="feedback_ticket_status_known",
            ),
            models.CheckConstraint(
                condition=Q(
                    category__in=[
                        "room",
                        "cleanliness",
                        "noise",
                        "service",
                        "food",
                        "billing",
                        "loyalty",
                        "other",
                    ]
                ),
                name="feedback_ticket_category_known",
            ),
            models.CheckConstraint(
                condition=Q(severity__in=["low", "medium", "high", "critical"]), name="feedback_ticket_severity_known"
            ),
            models.CheckConstraint(
                condition=Q(status__in=["closed", "withdrawn"]) ^ Q(closed_at=None),
                name="feedback_ticket_closed_has_time",
            ),
        ]
        indexes = [
            models.Index(fields=["guest", "-id"], name="feedback_ticket_guest"),
            models.Index(
                fields=["property", "due_at"],
                condition=Q(status__in=["open", "in_progress"]),
                name="feedback_ticket_due",
            ),
        ]

    def __str__(self) -> str:
        return f"T-{self.pk} {self.subject}"


class TicketEvent(models.Model):
    """One thing that happened to a ticket."""

    class Kind(models.TextChoices):
        """What happened."""

        OPENED = "opened", _("opened")
        ASSIGNED = "assigned", _("assigned")
        NOTE = "note", _("internal note")
        CLOSED = "closed", _("closed")
        REOPENED = "reopened", _("reopened")
        WITHDRAWN = "withdrawn", _("withdrawn")

    ticket = models.ForeignKey(Ticket, models.CASCADE, related_name="events", verbose_name=_("ticket"))
    kind = models.CharField(_("kind"), max_length=12, choices=Kind)
    text = models.TextField(_("text"), blank=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("who")
    )
    at = models.DateTimeField(_("at"))

    class Meta:
        verbose_name = _("ticket event")
        verbose_name_plural = _("ticket events")
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=["opened", "assigned", "note", "closed", "reopened", "withdrawn"]),
                name="feedback_ticketevent_kind_known",
            ),
        ]
        indexes = [models.Index(fields=["ticket", "id"], name="feedback_ticketevent_order")]

    def __str__(self) -> str:
        return f"{self.ticket_id}: {self.kind}"
