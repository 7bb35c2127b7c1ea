"""Membership of a guest in a programme, what counts towards a tier, and each change of tier."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from hotels.models import Property
from loyalty.models.programme import Programme, Tier
from members.models import Guest, Stay

if TYPE_CHECKING:
    from hotels.models import User


class MembershipQuerySet(models.QuerySet["Membership"]):
    """Reads of memberships."""

    def visible_to(self, user: User) -> MembershipQuerySet:
        """Staff see every member of the group, a guest sees their own membership."""
        if user.is_superuser or user.active_assignments():
            return self
        return self.filter(guest__user=user)


class Membership(models.Model):
    """A guest's membership: number, tier and since when."""

    class Status(models.TextChoices):
        """Whether the membership may earn and spend."""

        ACTIVE = "active", _("active")
        SUSPENDED = "suspended", _("suspended")
        CLOSED = "closed", _("closed")

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    programme = models.ForeignKey(Programme, models.PROTECT, related_name="memberships", verbose_name=_("programme"))
    guest = models.ForeignKey(Guest, models.PROTECT, related_name="memberships", verbose_name=_("guest"))
    number = models.CharField(_("membership number"), max_length=24, unique=True)
    tier = models.ForeignKey(Tier, models.PROTECT, related_name="memberships", verbose_name=_("tier"))
    tier_since_date = models.DateField(_("in the tier since"))
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.ACTIVE)
    enrolled_at = models.DateTimeField(_("enrolled at"))
    enrolled_property = models.ForeignKey(
        Property, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("enrolled at property")
    )
    enrolled_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("enrolled by"),
    )

    objects = MembershipQuerySet.as_manager()

    class Meta:
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        constraints = [
            models.UniqueConstraint(
                fields=["programme", "guest"],
                name="loyalty_membership_one_per_guest",
                violation_error_message=_("This guest is a member already."),
            ),
            models.CheckConstraint(
                condition=Q(status__in=["active", "suspended", "closed"]), name="loyalty_membership_status_known"
            ),
        ]

    def __str__(self) -> str:
        return self.number


class QualificationEntry(models.Model):
    """What one stay counts towards a tier on a business date; append-only, corrections are new rows."""

    membership = models.ForeignKey(
        Membership, models.PROTECT, related_name="qualification_entries", verbose_name=_("membership")
    )
    stay = models.ForeignKey(
        Stay, models.PROTECT, null=True, blank=True, related_name="qualification_entries", verbose_name=_("stay")
    )
    # Distinguishes the first entry of a stay (0) from its corrections (1, 2, …).
    revision = models.PositiveIntegerField(default=0)
    business_date = models.DateField(_("business date"))
    nights = models.IntegerField(_("nights"), default=0)
    stays = models.IntegerField(_("stays"), default=0)
    # In the programme's currency.
    amount = models.DecimalField(_("amount"), max_digits=14, decimal_places=2, default=0)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("qualification entry")
        verbose_name_plural = _("qualification entries")
        constraints = [
            models.UniqueConstraint(
                fields=["membership", "stay", "revision"], name="loyalty_qualificationentry_unique"
            ),
            models.UniqueConstraint(
                fields=["stay", "revision"],
                condition=Q(stay__isnull=False),
                name="loyalty_qualificationentry_one_member",
                violation_error_message=_("This stay counts for another member already."),
            ),
        ]
        indexes = [models.Index(fields=["membership", "business_date"], name="loyalty_qualification_window")]

    def __str__(self) -> str:
        return f"{self.membership_id} {self.business_date}"


class TierChange(models.Model):
    """One change of a member's tier, with the figures it was decided on; append-only."""

    membership = models.ForeignKey(
        Membership, models.PROTECT, related_name="tier_changes", verbose_name=_("membership")
    )
    from_tier = models.ForeignKey(
        Tier, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("from tier")
    )
    to_tier = models.ForeignKey(Tier, models.PROTECT, related_name="+", verbose_name=_("to tier"))
    effective_date = models.DateField(_("effective date"))
    decided_at = models.DateTimeField(_("decided at"))
    # {"nights": int, "stays": int, "amount": str, "criteria": id of TierCriteria}
    figures = models.JSONField(_("figures"), default=dict)
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("who")
    )

    class Meta:
        verbose_name = _("tier change")
        verbose_name_plural = _("tier changes")
        indexes = [models.Index(fields=["membership", "-id"], name="loyalty_tierchange_recent")]

    def __str__(self) -> str:
        return f"{self.membership_id}: {self.from_tier_id} → {self.to_tier_id}"
