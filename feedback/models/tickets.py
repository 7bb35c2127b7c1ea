"""Cases and tickets: what a guest complained of or asked for, who owns it, and what happened."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from hotels.models import Department, Property
from members.models import Guest, Stay

if TYPE_CHECKING:
    from hotels.models import User


# Somebody still has to do something; said as a list, as the partial indexes say it.
OPEN = ("open", "in_progress", "waiting")


class TicketQuerySet(models.QuerySet["Ticket"]):
    """Reads of tickets."""

    def visible_to(self, user: User) -> TicketQuerySet:
        """Keep tickets of the user's properties."""
        return self.filter(property__in=Property.objects.visible_to(user))

    def open(self) -> TicketQuerySet:
        """Keep tickets that somebody still has to do something about."""
        return self.filter(status__in=OPEN)


class Case(models.Model):
    """One matter of a guest, whichever departments see to it; one owner speaks to the guest."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    guest = models.ForeignKey(Guest, models.PROTECT, related_name="cases", verbose_name=_("guest"))
    property = models.ForeignKey(Property, models.PROTECT, related_name="cases", verbose_name=_("property"))
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("speaks to the guest"),
    )
    opened_at = models.DateTimeField(_("opened at"))

    class Meta:
        verbose_name = _("case")
        verbose_name_plural = _("cases")
        indexes = [models.Index(fields=["guest", "-id"], name="feedback_case_guest")]

    def __str__(self) -> str:
        return f"C-{self.pk}"


class Ticket(models.Model):
    """What one department has to do in one matter of a guest, with its own clocks."""

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
        WAITING = "waiting", _("waiting for the guest")
        CLOSED = "closed", _("closed")
        # An entry made by mistake and taken back by whoever logged it.
        WITHDRAWN = "withdrawn", _("withdrawn")
        MERGED = "merged", _("merged into another")

    class Source(models.TextChoices):
        """How the house heard of it."""

        DESK = "desk", _("desk")
        PHONE = "phone", _("telephone")
        EMAIL = "email", _("e-mail")
        SURVEY = "survey", _("survey")
        MINI_PROGRAM = "mini_program", _("mini-program")
        OTA = "ota", _("travel site")
        API = "api", _("another system")

    class RootCause(models.TextChoices):
        """Why it happened; asked at closing."""

        EQUIPMENT = "equipment", _("equipment or building")
        CLEANING = "cleaning", _("cleaning")
        STAFF = "staff", _("attention or training of staff")
        STAFFING = "staffing", _("too few staff")
        PROCESS = "process", _("procedure or system")
        SUPPLIER = "supplier", _("supplier or partner")
        INFORMATION = "information", _("wrong or missing information")
        OTHER_GUESTS = "other_guests", _("other guests")
        OUTSIDE = "outside", _("outside the house")
        NONE = "none", _("no fault found")
        # Of tickets that were closed before it was asked.
        UNKNOWN = "unknown", _("not recorded")

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    case = models.ForeignKey(Case, models.PROTECT, related_name="tickets", verbose_name=_("case"))
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
    # The assignee only looks after it until somebody of the department is on duty.
    is_provisional = models.BooleanField(_("until somebody is on duty"), default=False, db_default=False)
    source = models.CharField(_("source"), max_length=12, choices=Source, default=Source.DESK, db_default="desk")
    # Names the letter, answer or review that it came from, once for each department.
    source_reference = models.CharField(_("number in the source"), max_length=120, blank=True, db_default="")
    root_cause = models.CharField(_("root cause"), max_length=12, choices=RootCause, blank=True, db_default="")
    # A guest of note, or one in the house: the duty manager may be woken.
    is_urgent_at_night = models.BooleanField(_("may wake the duty manager"), default=False, db_default=False)
    waiting_since = models.DateTimeField(_("waits for the guest since"), null=True, blank=True)
    merged_into = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="merged_tickets", verbose_name=_("merged into")
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
                condition=Q(status__in=["open", "in_progress", "waiting", "closed", "withdrawn", "merged"]),
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
                condition=Q(status__in=["closed", "withdrawn", "merged"]) ^ Q(closed_at=None),
                name="feedback_ticket_closed_has_time",
            ),
            models.CheckConstraint(
                condition=Q(
                    root_cause__in=[
                        "",
                        "equipment",
                        "cleaning",
                        "staff",
                        "staffing",
                        "process",
                        "supplier",
                        "information",
                        "other_guests",
                        "outside",
                        "none",
                        "unknown",
                    ]
                ),
                name="feedback_ticket_cause_known",
            ),
            models.CheckConstraint(
                condition=~Q(status="closed") | ~Q(root_cause=""), name="feedback_ticket_closed_has_cause"
            ),
            models.CheckConstraint(
                condition=Q(status="waiting") ^ Q(waiting_since=None), name="feedback_ticket_waiting_has_time"
            ),
            models.CheckConstraint(
                condition=Q(status="merged") ^ Q(merged_into=None), name="feedback_ticket_merged_has_target"
            ),
            models.CheckConstraint(
                condition=Q(is_provisional=False) | Q(assignee__isnull=False), name="feedback_ticket_provisional_owner"
            ),
            models.CheckConstraint(
                condition=Q(source__in=["desk", "phone", "email", "survey", "mini_program", "ota", "api"]),
                name="feedback_ticket_source_known",
            ),
            models.UniqueConstraint(
                fields=["source", "source_reference", "department"],
                condition=~Q(source_reference=""),
                nulls_distinct=False,
                name="feedback_ticket_source_unique",
            ),
            models.UniqueConstraint(
                fields=["case", "department"],
                condition=Q(status__in=OPEN),
                name="feedback_ticket_one_per_department",
                violation_error_message=_("This department has an open ticket of this case already."),
            ),
        ]
        indexes = [
            models.Index(fields=["guest", "-id"], name="feedback_ticket_guest"),
            models.Index(fields=["property", "due_at", "id"], condition=Q(status__in=OPEN), name="feedback_ticket_due"),
            models.Index(
                fields=["department", "due_at", "id"], condition=Q(status__in=OPEN), name="feedback_ticket_dept_due"
            ),
            models.Index(
                fields=["assignee", "due_at", "id"], condition=Q(status__in=OPEN), name="feedback_ticket_mine_due"
            ),
            # Who has no owner, or one who only looks after it: few, asked for by every tick.
            models.Index(
                fields=["property", "due_at", "id"],
                condition=Q(status__in=OPEN) & (Q(assignee=None) | Q(is_provisional=True)),
                name="feedback_ticket_unowned",
            ),
            models.Index(fields=["property", "-id"], condition=~Q(closed_at=None), name="feedback_ticket_closed"),
        ]

    def __str__(self) -> str:
        return f"T-{self.pk} {self.subject}"


class TicketEvent(models.Model):
    """One thing that happened to a ticket."""

    class Kind(models.TextChoices):
        """What happened."""

        OPENED = "opened", _("opened")
        ASSIGNED = "assigned", _("assigned")
        TAKEN = "taken", _("taken over")
        MOVED = "moved", _("given to another department")
        NOTE = "note", _("internal note")
        REPLY = "reply", _("reply to the guest")
        MESSAGE = "message", _("message of the guest")
        WAITING = "waiting", _("waiting for the guest")
        RESUMED = "resumed", _("no longer waiting")
        POLICY = "policy", _("other service level")
        CHANGED = "changed", _("changed")
        ESCALATED = "escalated", _("escalated")
        MERGED = "merged", _("merged")
        SPLIT = "split", _("split")
        LINKED = "linked", _("linked")
        ATTACHED = "attached", _("file added")
        RECOVERY = "recovery", _("service recovery")
        RECOVERY_UNDONE = "recovery_undone", _("service recovery undone")
        CLOSED = "closed", _("closed")
        REOPENED = "reopened", _("reopened")
        WITHDRAWN = "withdrawn", _("withdrawn")

    class Channel(models.TextChoices):
        """By what the house and the guest spoke."""

        IN_PERSON = "in_person", _("in person")
        PHONE = "phone", _("telephone")
        EMAIL = "email", _("e-mail")
        SMS = "sms", _("text message")
        WECHAT = "wechat", _("WeChat")
        OTA = "ota", _("travel site")

    # What the guest has said or was told; all else stays in the house.
    FOR_GUEST = ("reply", "message")

    ticket = models.ForeignKey(Ticket, models.CASCADE, related_name="events", verbose_name=_("ticket"))
    kind = models.CharField(_("kind"), max_length=16, choices=Kind)
    channel = models.CharField(_("channel"), max_length=10, choices=Channel, blank=True, db_default="")
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
                condition=Q(
                    kind__in=[
                        "opened",
                        "assigned",
                        "taken",
                        "moved",
                        "note",
                        "reply",
                        "message",
                        "waiting",
                        "resumed",
                        "policy",
                        "changed",
                        "escalated",
                        "merged",
                        "split",
                        "linked",
                        "attached",
                        "recovery",
                        "recovery_undone",
                        "closed",
                        "reopened",
                        "withdrawn",
                    ]
                ),
                name="feedback_ticketevent_kind_known",
            ),
            models.CheckConstraint(
                condition=Q(channel__in=["", "in_person", "phone", "email", "sms", "wechat", "ota"]),
                name="feedback_ticketevent_channel_known",
            ),
            # A note has no channel, so there is none by which it could reach the guest.
            models.CheckConstraint(
                condition=Q(kind__in=["reply", "message"]) ^ Q(channel=""), name="feedback_ticketevent_channel"
            ),
        ]
        indexes = [models.Index(fields=["ticket", "id"], name="feedback_ticketevent_order")]

    def __str__(self) -> str:
        return f"{self.ticket_id}: {self.kind}"


class TicketLink(models.Model):
    """Two tickets that have to do with each other, the one with the lower number first."""

    ticket = models.ForeignKey(Ticket, models.CASCADE, related_name="links_up", verbose_name=_("ticket"))
    other = models.ForeignKey(Ticket, models.CASCADE, related_name="links_down", verbose_name=_("other ticket"))

    class Meta:
        verbose_name = _("link of tickets")
        verbose_name_plural = _("links of tickets")
        constraints = [
            models.UniqueConstraint(fields=["ticket", "other"], name="feedback_ticketlink_unique"),
            models.CheckConstraint(condition=Q(ticket__lt=F("other")), name="feedback_ticketlink_ordered"),
        ]

    def __str__(self) -> str:
        return f"{self.ticket_id} – {self.other_id}"
