"""Rewards that members took: where each stands, for which day it is, and what happened to it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from hotels.models import Property
from loyalty.models.membership import Membership
from loyalty.models.reward import Reward
from loyalty.models.voucher import Voucher
from loyalty.rules.explain import spoken_reason

if TYPE_CHECKING:
    from hotels.models import User


class RedemptionQuerySet(models.QuerySet["Redemption"]):
    """Reads of redemptions."""

    def visible_to(self, user: User) -> RedemptionQuerySet:
        """Staff see those of their properties, a guest their own."""
        if user.is_superuser:
            return self
        if user.active_assignments():
            return self.filter(property__in=Property.objects.visible_to(user))
        return self.filter(membership__guest__user=user)


class Redemption(models.Model):
    """One reward taken by a member; its points are the posting with the same public id as reference."""

    class Status(models.TextChoices):
        """Where the redemption stands; a trigger allows only the ways between them."""

        REDEEMED = "redeemed", pgettext_lazy("redemption", "to be fulfilled")
        FULFILLED = "fulfilled", _("fulfilled")
        CANCELED = "canceled", _("canceled")
        EXPIRED = "expired", _("expired")
        NO_SHOW = "no_show", _("no-show")

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    membership = models.ForeignKey(Membership, models.PROTECT, related_name="redemptions", verbose_name=_("membership"))
    reward = models.ForeignKey(Reward, models.PROTECT, related_name="redemptions", verbose_name=_("reward"))
    property = models.ForeignKey(Property, models.PROTECT, related_name="+", verbose_name=_("property"))
    quantity = models.PositiveSmallIntegerField(_("quantity"), default=1)
    points = models.PositiveIntegerField(_("points"))
    cash = models.DecimalField(_("and money"), max_digits=12, decimal_places=2, default=0)
    currency = models.CharField(_("currency"), max_length=3, blank=True)
    # The property's calendar date that it is for: the night, the treatment, the day of the meal.
    for_date = models.DateField(_("for the day"))
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.REDEEMED)
    redeemed_at = models.DateTimeField(_("redeemed at"))
    fulfilled_at = models.DateTimeField(_("fulfilled at"), null=True, blank=True)
    canceled_at = models.DateTimeField(_("canceled at"), null=True, blank=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("who")
    )
    note = models.CharField(_("note"), max_length=200, blank=True)
    vouchers = models.ManyToManyField(Voucher, blank=True, related_name="redemptions", verbose_name=_("vouchers"))
    # Which counters were moved, so that exactly these are moved back.
    stock_ids = ArrayField(models.BigIntegerField(), default=list, blank=True, editable=False)
    use_ids = ArrayField(models.BigIntegerField(), default=list, blank=True, editable=False)

    objects = RedemptionQuerySet.as_manager()

    class Meta:
        verbose_name = _("redemption")
        verbose_name_plural = _("redemptions")
        permissions = [
            ("fulfil_redemption", _("Can fulfill redemptions")),
            ("override_redemption", _("Can cancel redemptions against the rules")),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(points__gt=0), name="loyalty_redemption_costs_points"),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="loyalty_redemption_quantity_positive"),
            models.CheckConstraint(
                condition=Q(cash=0, currency="") | Q(cash__gt=0, currency__regex=r"^[A-Z]{3}$"),
                name="loyalty_redemption_currency_given",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["redeemed", "fulfilled", "canceled", "expired", "no_show"]),
                name="loyalty_redemption_status_known",
            ),
        ]
        indexes = [
            models.Index(fields=["membership", "-id"], name="loyalty_redemption_recent"),
            models.Index(
                fields=["property", "for_date", "id"], condition=Q(status="redeemed"), name="loyalty_redemption_open"
            ),
            models.Index(fields=["property", "-for_date", "-id"], name="loyalty_redemption_of_place"),
            models.Index(fields=["reward", "for_date"], name="loyalty_redemption_demand"),
        ]

    def __str__(self) -> str:
        return f"{self.membership_id}: {self.points}"


class RedemptionEvent(models.Model):
    """What happened to a redemption, by whom, and why; append-only."""

    class Kind(models.TextChoices):
        """What happened."""

        REDEEMED = "redeemed", _("redeemed")
        FULFILLED = "fulfilled", _("fulfilled")
        REOPENED = "reopened", _("fulfillment taken back")
        CANCELED = "canceled", _("canceled")
        EXPIRED = "expired", _("expired")
        NO_SHOW = "no_show", _("no-show")

    redemption = models.ForeignKey(Redemption, models.PROTECT, related_name="events", verbose_name=_("redemption"))
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    at = models.DateTimeField(_("at"))
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", verbose_name=_("who")
    )
    reason = models.CharField(_("reason or note"), max_length=300, blank=True)

    class Meta:
        verbose_name = _("entry of a redemption")
        verbose_name_plural = _("entries of redemptions")
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=["redeemed", "fulfilled", "reopened", "canceled", "expired", "no_show"]),
                name="loyalty_redemptionevent_kind_known",
            )
        ]

    def __str__(self) -> str:
        return self.get_kind_display()

    @property
    def spoken_reason(self) -> str:
        """The reason or note, in the active language where the desk gave it by itself."""
        return spoken_reason(self.reason)
