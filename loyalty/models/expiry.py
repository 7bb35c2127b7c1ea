"""Notice to members that points are about to lapse; kept as proof."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from loyalty.models.membership import Membership

if TYPE_CHECKING:
    from hotels.models import User


class ExpiryNoticeQuerySet(models.QuerySet["ExpiryNotice"]):
    """Reads of notices."""

    def visible_to(self, user: User) -> ExpiryNoticeQuerySet:
        """Staff see every notice, a guest their own."""
        if user.is_superuser or user.active_assignments():
            return self
        return self.filter(membership__guest__user=user)


class ExpiryNotice(models.Model):
    """One member, one last day: a notice that is due, or was given through a channel with a proof."""

    class Cause(models.TextChoices):
        """Why the points lapse."""

        LOT = "lot", _("the points' own date")
        INACTIVITY = "inactivity", _("inactivity")

    class State(models.TextChoices):
        """Where the notice stands."""

        DUE = "due", pgettext_lazy("notice", "due")
        GIVEN = "given", pgettext_lazy("notice", "given")

    membership = models.ForeignKey(
        Membership, models.PROTECT, related_name="expiry_notices", verbose_name=_("membership")
    )
    cause = models.CharField(_("cause"), max_length=10, choices=Cause)
    # The last day on which the points can be used.
    expires_on = models.DateField(_("expires on"))
    points = models.BigIntegerField(_("points"))
    state = models.CharField(_("state"), max_length=6, choices=State, default=State.DUE)
    due_on = models.DateField(_("due on"))
    channel = models.CharField(_("channel"), max_length=40, blank=True)
    given_at = models.DateTimeField(_("given at"), null=True, blank=True)
    # The calendar date of `given_at` in the programme's time zone, which the days of notice count from.
    given_date = models.DateField(_("given on"), null=True, blank=True)
    proof = models.TextField(_("proof"), blank=True)

    objects = ExpiryNoticeQuerySet.as_manager()

    class Meta:
        verbose_name = _("notice of expiry")
        verbose_name_plural = _("notices of expiry")
        constraints = [
            models.UniqueConstraint(fields=["membership", "cause", "expires_on"], name="loyalty_expirynotice_once"),
            models.CheckConstraint(
                condition=Q(cause__in=["lot", "inactivity"]), name="loyalty_expirynotice_cause_known"
            ),
            models.CheckConstraint(
                condition=(Q(state="due", given_at=None, given_date=None, channel="", proof=""))
                | (Q(state="given", given_at__isnull=False, given_date__isnull=False) & ~Q(channel="")),
                name="loyalty_expirynotice_given_is_told",
            ),
            models.CheckConstraint(condition=Q(points__gt=0), name="loyalty_expirynotice_of_points"),
        ]
        indexes = [
            models.Index(fields=["due_on", "id"], condition=Q(state="due"), name="loyalty_expirynotice_due"),
        ]

    def __str__(self) -> str:
        return f"{self.membership_id} {self.expires_on}: {self.points:,}"
