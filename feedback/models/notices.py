"""What a member of staff is told about tickets."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from feedback.models.clocks import TicketReminder
from feedback.models.tickets import Ticket


class Notification(models.Model):
    """One line under the bell of one member of staff."""

    class Kind(models.TextChoices):
        """What happened."""

        ASSIGNED = "assigned", _("assigned to you")
        REMINDER = "reminder", _("time is running")
        OVERDUE = "overdue", _("overdue")
        REPLIED = "replied", _("the guest wrote")

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="notifications", verbose_name=_("user")
    )
    ticket = models.ForeignKey(Ticket, models.CASCADE, related_name="+", verbose_name=_("ticket"))
    reminder = models.ForeignKey(
        TicketReminder, models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("reminder")
    )
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    at = models.DateTimeField(_("at"))
    read_at = models.DateTimeField(_("read at"), null=True, blank=True)

    class Meta:
        verbose_name = _("notification")
        verbose_name_plural = _("notifications")
        constraints = [
            models.UniqueConstraint(fields=["reminder", "user"], name="feedback_notification_once"),
            models.CheckConstraint(
                condition=Q(kind__in=["assigned", "reminder", "overdue", "replied"]),
                name="feedback_notification_kind_known",
            ),
        ]
        indexes = [
            models.Index(fields=["user", "-id"], name="feedback_notification_user"),
            models.Index(fields=["user"], condition=Q(read_at=None), name="feedback_notification_unread"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.kind}"
