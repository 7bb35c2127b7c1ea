"""What a tier gives, and what of it was used."""

from __future__ import annotations

import uuid

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from hotels.models import BilingualName, Property
from loyalty.models.membership import Membership
from loyalty.models.programme import Tier
from loyalty.models.tiers.columns import known, who


class TierBenefit(BilingualName):
    """What a tier gets, group-wide or at one property, for a half-open range of dates."""

    class Kind(models.TextChoices):
        """What it is, for the icon and for reports."""

        OTHER = "other", _("benefit")
        LATE_CHECKOUT = "late_checkout", _("late check-out")
        EARLY_CHECKIN = "early_checkin", _("early check-in")
        BREAKFAST = "breakfast", _("breakfast")
        UPGRADE = "upgrade", _("room upgrade")
        LOUNGE = "lounge", _("lounge access")
        WELCOME = "welcome", _("welcome gift")
        CONTACT = "contact", _("dedicated contact")

    class Period(models.TextChoices):
        """For which time the quantity is given."""

        SHOWN = "shown", _("only shown")
        STAY = "stay", _("for each stay")
        YEAR = "year", _("for each calendar year")
        UNLIMITED = "unlimited", _("as often as wanted")

    tier = models.ForeignKey(Tier, models.CASCADE, related_name="benefits", verbose_name=_("tier"))
    property = models.ForeignKey(
        Property, models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("only at property")
    )
    kind = models.CharField(_("kind"), max_length=14, choices=Kind, default=Kind.OTHER, db_default=Kind.OTHER)
    period = models.CharField(
        _("can be used"), max_length=10, choices=Period, default=Period.SHOWN, db_default=Period.SHOWN
    )
    quantity = models.PositiveSmallIntegerField(
        _("how often"), null=True, blank=True, validators=[MinValueValidator(1)]
    )
    effective_from = models.DateField(_("effective from"))
    effective_until = models.DateField(_("until (not included)"), null=True, blank=True)

    class Meta:
        verbose_name = _("tier benefit")
        verbose_name_plural = _("tier benefits")
        ordering = ["tier", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(effective_until=None) | Q(effective_until__gt=F("effective_from")),
                name="loyalty_tierbenefit_dates_ordered",
                violation_error_message=_("The end is not after the beginning."),
            ),
            known(
                "kind",
                [
                    "other",
                    "late_checkout",
                    "early_checkin",
                    "breakfast",
                    "upgrade",
                    "lounge",
                    "welcome",
                    "contact",
                ],
                "loyalty_tierbenefit_kind_known",
            ),
            models.CheckConstraint(
                # An empty quantity makes the first half unknown, and CHECK lets the unknown pass.
                condition=Q(period__in=["stay", "year"], quantity__isnull=False, quantity__gte=1)
                | Q(period__in=["shown", "unlimited"], quantity__isnull=True),
                name="loyalty_tierbenefit_quantity_given",
                violation_error_message=_("Say how often for each stay or year, and only there."),
            ),
        ]


class Entitlement(models.Model):
    """How much of a benefit a member used in one period: a stay or a year."""

    membership = models.ForeignKey(
        Membership, models.PROTECT, related_name="entitlements", verbose_name=_("membership")
    )
    benefit = models.ForeignKey(TierBenefit, models.PROTECT, related_name="entitlements", verbose_name=_("benefit"))
    # "2026", or "stay:…" with the id of the visit; empty where there is no limit.
    period = models.CharField(_("period"), max_length=60, blank=True)
    quantity = models.PositiveSmallIntegerField(_("how often"), null=True, blank=True)
    used = models.PositiveIntegerField(_("used"), default=0)

    class Meta:
        verbose_name = _("entitlement")
        verbose_name_plural = _("entitlements")
        constraints = [
            models.UniqueConstraint(
                fields=["membership", "benefit", "period"], name="loyalty_entitlement_period_unique"
            ),
            models.CheckConstraint(
                condition=Q(quantity=None) | Q(used__lte=F("quantity")),
                name="loyalty_entitlement_not_exceeded",
                violation_error_message=_("This benefit is used up."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.membership_id} {self.benefit_id} {self.period}"


class EntitlementUse(models.Model):
    """One use of a benefit at a property; undone, it stays with who undid it."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    entitlement = models.ForeignKey(Entitlement, models.PROTECT, related_name="uses", verbose_name=_("entitlement"))
    property = models.ForeignKey(Property, models.PROTECT, related_name="+", verbose_name=_("property"))
    used_at = models.DateTimeField(_("used at"))
    actor = who(_("who"))
    idempotency_key = models.CharField(max_length=64)
    undone_at = models.DateTimeField(_("undone at"), null=True, blank=True)
    undone_by = who(_("undone by"))

    class Meta:
        verbose_name = _("use of an entitlement")
        verbose_name_plural = _("uses of entitlements")
        permissions = [("use_entitlement", _("Can use benefits for members"))]
        constraints = [
            models.UniqueConstraint(
                fields=["entitlement", "idempotency_key"], name="loyalty_entitlementuse_key_unique"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.entitlement_id} {self.used_at:%Y-%m-%d}"
