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


class TierSource(models.TextChoices):
    """How somebody came to a tier."""

    EARNED = "earned", _("earned")
    MANUAL = "manual", _("granted by hand")
    MATCHED = "matched", _("status match")
    CHALLENGE = "challenge", _("challenge")
    PURCHASED = "purchased", _("purchased")
    LIFETIME = "lifetime", _("lifetime")
    PROMOTIONAL = "promotional", _("promotion")


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
    tier_until_date = models.DateField(
        _("tier valid until"), null=True, blank=True, help_text=_("The last day; empty: without end.")
    )
    tier_source = models.CharField(
        _("tier from"), max_length=12, choices=TierSource, default=TierSource.EARNED, db_default=TierSource.EARNED
    )
    # The grant that the tier rests on, where it was not earned.
    tier_grant = models.ForeignKey(
        "TierGrant", models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("tier grant")
    )
    # A review leaves the tier alone up to and including this day.
    protected_until_date = models.DateField(_("protected until"), null=True, blank=True)
    protected_reason = models.CharField(_("why protected"), max_length=200, blank=True, db_default="")
    # What lies before counts no more; moved by each zeroing at a change of tier.
    counts_from_date = models.DateField(_("counts from"), null=True, blank=True)
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
            models.CheckConstraint(
                condition=Q(tier_source__in=TierSource.values), name="loyalty_membership_tier_source_known"
            ),
        ]
        indexes = [
            models.Index(
                fields=["programme", "tier_until_date"],
                condition=Q(tier_until_date__isnull=False),
                name="loyalty_membership_tier_ends",
            )
        ]

    def __str__(self) -> str:
        return self.number


class QualificationEntry(models.Model):
    """What counts towards a tier on a business date: of a stay, or by hand; append-only, corrections are new rows.

    The ordinary figures stand in columns of their own. Others, such as meetings that were held, have the
    code of the measure and a quantity.
    """

    class Kind(models.TextChoices):
        """Where the figures come from."""

        STAY = "stay", _("stay")
        CARRY_OVER = "carry_over", _("carried over")
        RESET = "reset", _("counting begins anew")
        MANUAL = "manual", _("by hand")
        CHALLENGE = "challenge", _("challenge")
        MATCH = "match", _("status match")

    class ExtraMeasure(models.TextChoices):
        """What programmes count besides nights, stays, amount and points."""

        MEETINGS = "meetings", _("meetings held")
        EVENTS = "events", _("events attended")
        REFERRALS = "referrals", _("friends referred")

    membership = models.ForeignKey(
        Membership, models.PROTECT, related_name="qualification_entries", verbose_name=_("membership")
    )
    kind = models.CharField(_("kind"), max_length=12, choices=Kind, default=Kind.STAY, db_default=Kind.STAY)
    stay = models.ForeignKey(
        Stay, models.PROTECT, null=True, blank=True, related_name="qualification_entries", verbose_name=_("stay")
    )
    # What makes an entry without a stay the same when it is asked for again, such as the year carried over.
    reference = models.CharField(_("reference"), max_length=80, blank=True, db_default="")
    # Distinguishes the first entry of a stay or reference (0) from its corrections (1, 2, …).
    revision = models.PositiveIntegerField(default=0)
    business_date = models.DateField(_("business date"))
    nights = models.IntegerField(_("nights"), default=0)
    stays = models.IntegerField(_("stays"), default=0)
    # In the programme's currency.
    amount = models.DecimalField(_("amount"), max_digits=14, decimal_places=2, default=0)
    points = models.BigIntegerField(_("qualifying points"), default=0, db_default=0)
    measure = models.CharField(_("other measure"), max_length=12, choices=ExtraMeasure, blank=True, db_default="")
    quantity = models.IntegerField(_("quantity"), default=0, db_default=0)
    reason = models.CharField(_("reason"), max_length=200, blank=True, db_default="")
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("who")
    )
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
            models.UniqueConstraint(
                fields=["membership", "kind", "reference", "revision"],
                condition=~Q(reference=""),
                name="loyalty_qualificationentry_reference_unique",
                violation_error_message=_("This counts already."),
            ),
            models.CheckConstraint(
                condition=Q(kind="stay", stay__isnull=False)
                | Q(kind__in=["carry_over", "reset", "manual", "challenge", "match"], stay__isnull=True),
                name="loyalty_qualificationentry_kind_known",
            ),
            models.CheckConstraint(
                condition=Q(measure__in=["", "meetings", "events", "referrals"]),
                name="loyalty_qualificationentry_measure_known",
            ),
        ]
        indexes = [models.Index(fields=["membership", "business_date"], name="loyalty_qualification_window")]

    def __str__(self) -> str:
        return f"{self.membership_id} {self.business_date}"


class TierChange(models.Model):
    """One change of a member's tier or of its end, with the figures it was decided on; append-only."""

    class Kind(models.TextChoices):
        """What happened."""

        UPGRADE = "upgrade", _("upgrade")
        RENEWAL = "renewal", _("renewal")
        DOWNGRADE = "downgrade", _("downgrade")
        GRANT = "grant", _("grant")
        UNDO = "undo", _("grant taken back")

    membership = models.ForeignKey(
        Membership, models.PROTECT, related_name="tier_changes", verbose_name=_("membership")
    )
    kind = models.CharField(_("kind"), max_length=10, choices=Kind, default=Kind.UPGRADE, db_default=Kind.UPGRADE)
    from_tier = models.ForeignKey(
        Tier, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("from tier")
    )
    to_tier = models.ForeignKey(Tier, models.PROTECT, related_name="+", verbose_name=_("to tier"))
    effective_date = models.DateField(_("effective date"))
    until_date = models.DateField(_("valid until"), null=True, blank=True)
    source = models.CharField(
        _("tier from"), max_length=12, choices=TierSource, default=TierSource.EARNED, db_default=TierSource.EARNED
    )
    decided_at = models.DateTimeField(_("decided at"))
    # {"nights": int, "stays": int, "amount": str, "points": int, …, "criteria": id of TierCriteria}
    figures = models.JSONField(_("figures"), default=dict)
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("who")
    )
    grant = models.ForeignKey(
        "TierGrant", models.PROTECT, null=True, blank=True, related_name="changes", verbose_name=_("tier grant")
    )
    review = models.ForeignKey(
        "TierReview", models.PROTECT, null=True, blank=True, related_name="changes", verbose_name=_("tier review")
    )

    class Meta:
        verbose_name = _("tier change")
        verbose_name_plural = _("tier changes")
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=["upgrade", "renewal", "downgrade", "grant", "undo"]),
                name="loyalty_tierchange_kind_known",
            ),
            models.CheckConstraint(condition=Q(source__in=TierSource.values), name="loyalty_tierchange_source_known"),
        ]
        indexes = [models.Index(fields=["membership", "-id"], name="loyalty_tierchange_recent")]

    def __str__(self) -> str:
        return f"{self.membership_id}: {self.from_tier_id} → {self.to_tier_id}"
