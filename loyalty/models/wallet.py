"""Stored value: the rules of topping up from a date on, and what happened at the desk.

The money itself is in the ledger, in two accounts for each currency (`loyalty.rules.wallet.units_of`).
Amounts are minor units of the currency.
"""

from __future__ import annotations

import builtins
import datetime as dt
import uuid
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Case, IntegerField, Q, Value, When
from django.utils.translation import gettext_lazy as _

from hotels.models import Brand, Property
from hotels.models.organisation import currency_validator
from loyalty.models.membership import Membership
from loyalty.models.programme import Programme
from loyalty.rules import wallet as rules

if TYPE_CHECKING:
    from hotels.models import User


class StoredValuePolicyQuerySet(models.QuerySet["StoredValuePolicy"]):
    """Reads of policies."""

    def in_force(self, *, programme_id: int, place: Property, on_date: dt.date) -> StoredValuePolicy | None:
        """The policy of a property on a date: its own, else its brand's, else the programme's."""
        return (
            self.filter(programme=programme_id, effective_from__lte=on_date)
            .filter(Q(property=place) | Q(brand=place.brand_id) | Q(property=None, brand=None))
            .annotate(
                width=Case(
                    When(property__isnull=False, then=Value(0)),
                    When(brand__isnull=False, then=Value(1)),
                    default=Value(2),
                    output_field=IntegerField(),
                )
            )
            .order_by("width", "-effective_from", "-pk")
            .first()
        )


class StoredValuePolicy(models.Model):
    """How members top up and pay from a date on, at one property, at those of a brand, or everywhere."""

    class Order(models.TextChoices):
        """Which part pays first."""

        GIFT_FIRST = rules.GIFT_FIRST, _("the gift first")
        PRINCIPAL_FIRST = rules.PRINCIPAL_FIRST, _("the principal first")
        PROPORTIONAL = rules.PROPORTIONAL, _("both in proportion")

    class GiftRefund(models.TextChoices):
        """What becomes of the gift when principal is paid back."""

        PROPORTION = rules.GIFT_IN_PROPORTION, _("taken back in proportion")
        WHOLE = rules.GIFT_WHOLLY, _("taken back wholly")

    programme = models.ForeignKey(
        Programme, models.CASCADE, related_name="stored_value_policies", verbose_name=_("programme")
    )
    brand = models.ForeignKey(Brand, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("brand"))
    property = models.ForeignKey(
        Property, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("property")
    )
    effective_from = models.DateField(_("in force from"))
    is_open = models.BooleanField(
        _("takes top-ups"), default=True, help_text=_("Off: no new top-ups; what is there can be spent and paid back.")
    )
    currency = models.CharField(_("currency"), max_length=3, default="CNY", validators=[currency_validator])
    spending_order = models.CharField(_("what pays first"), max_length=16, choices=Order, default=Order.GIFT_FIRST)
    gift_refund = models.CharField(
        _("gift on a refund"), max_length=12, choices=GiftRefund, default=GiftRefund.PROPORTION
    )
    principal_months = models.PositiveSmallIntegerField(
        _("principal lives for months"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("Empty: it never expires."),
    )
    gift_months = models.PositiveSmallIntegerField(
        _("gift lives for months"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_("Empty: it never expires."),
    )

    objects = StoredValuePolicyQuerySet.as_manager()

    class Meta:
        verbose_name = _("stored-value policy")
        verbose_name_plural = _("stored-value policies")
        ordering = ["programme", "-effective_from", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["programme", "brand", "property", "effective_from"],
                nulls_distinct=False,
                name="loyalty_storedvaluepolicy_day_unique",
                violation_error_message=_("There is a policy from this date already."),
            ),
            models.CheckConstraint(
                condition=Q(brand=None) | Q(property=None),
                name="loyalty_storedvaluepolicy_one_scope",
                violation_error_message=_("Choose a brand or a property, not both."),
            ),
            models.CheckConstraint(
                condition=Q(spending_order__in=["gift_first", "principal_first", "proportional"])
                & Q(gift_refund__in=["proportion", "whole"]),
                name="loyalty_storedvaluepolicy_choices_known",
            ),
        ]

    def __str__(self) -> str:
        return str(self.effective_from)


class TopUpStep(models.Model):
    """What is given for a top-up of at least an amount."""

    policy = models.ForeignKey(StoredValuePolicy, models.CASCADE, related_name="steps", verbose_name=_("policy"))
    amount = models.PositiveBigIntegerField(_("from an amount of"), help_text=_("In minor units: 100000 is 1,000.00."))
    gift = models.PositiveBigIntegerField(_("gift"), help_text=_("In minor units: 10000 is 100.00."))

    class Meta:
        verbose_name = _("gift of a top-up")
        verbose_name_plural = _("gifts of top-ups")
        ordering = ["policy", "amount"]
        constraints = [
            models.UniqueConstraint(
                fields=["policy", "amount"],
                name="loyalty_topupstep_amount_unique",
                violation_error_message=_("There is a gift from this amount already."),
            ),
            models.CheckConstraint(
                condition=Q(amount__gt=0),
                name="loyalty_topupstep_amount_positive",
                violation_error_message=_("The amount is above zero."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount} + {self.gift}"


class StoredValueMovementQuerySet(models.QuerySet["StoredValueMovement"]):
    """Reads of what happened to stored value."""

    def visible_to(self, user: User) -> StoredValueMovementQuerySet:
        """Those of the user's properties; a guest's own."""
        if user.is_superuser:
            return self
        if user.active_assignments():
            return self.filter(property__in=Property.objects.visible_to(user))
        return self.filter(membership__guest__user=user)


class StoredValueMovement(models.Model):
    """A top-up, a payment or a refund; its postings carry its `public_id` as source."""

    class Kind(models.TextChoices):
        """What happened."""

        TOP_UP = "top_up", _("top-up")
        PAYMENT = "payment", _("payment")
        REFUND = "refund", _("refund")

    class Method(models.TextChoices):
        """How the money came or went."""

        CASH = "cash", _("cash")
        CARD = "card", _("bank card")
        WECHAT = "wechat", _("WeChat Pay")
        TRANSFER = "transfer", _("bank transfer")

    public_id = models.UUIDField(unique=True, editable=False, default=uuid.uuid4)
    membership = models.ForeignKey(
        Membership, models.PROTECT, related_name="stored_value_movements", verbose_name=_("membership")
    )
    property = models.ForeignKey(Property, models.PROTECT, related_name="+", verbose_name=_("property"))
    policy = models.ForeignKey(StoredValuePolicy, models.PROTECT, related_name="+", verbose_name=_("policy"))
    kind = models.CharField(_("kind"), max_length=8, choices=Kind)
    currency = models.CharField(_("currency"), max_length=3)
    # What came in (top-up) or went out (payment, refund).
    principal = models.PositiveBigIntegerField(_("principal"))
    gift = models.PositiveBigIntegerField(_("gift"))
    method = models.CharField(_("paid by"), max_length=8, choices=Method, blank=True)
    reference = models.CharField(_("reference"), max_length=80, blank=True)
    # The top-up that a refund pays back.
    top_up = models.ForeignKey("self", models.PROTECT, null=True, related_name="refunds", verbose_name=_("top-up"))
    made_at = models.DateTimeField(_("at"))
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", verbose_name=_("who")
    )
    reason = models.CharField(_("reason"), max_length=300, blank=True)
    undone_at = models.DateTimeField(_("undone at"), null=True)

    objects = StoredValueMovementQuerySet.as_manager()

    class Meta:
        verbose_name = _("stored-value movement")
        verbose_name_plural = _("stored-value movements")
        ordering = ["-made_at", "-id"]
        permissions = [
            ("top_up_stored_value", "Can take top-ups of stored value"),
            ("spend_stored_value", "Can take payments from stored value"),
            ("refund_stored_value", "Can pay stored value back"),
        ]
        indexes = [
            models.Index(fields=["membership", "-made_at"], name="loyalty_storedvalue_member"),
            models.Index(fields=["property", "-made_at"], name="loyalty_storedvalue_property"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind="payment", method="", top_up=None)
                | Q(kind="top_up", method__in=["cash", "card", "wechat", "transfer"], top_up=None)
                | Q(
                    kind="refund",
                    method__in=["cash", "card", "wechat", "transfer"],
                    top_up__isnull=False,
                    undone_at=None,
                ),
                name="loyalty_storedvalue_kind_sound",
            ),
            models.CheckConstraint(
                condition=Q(principal__gt=0) | Q(kind="payment", gift__gt=0), name="loyalty_storedvalue_moves_something"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.currency} {self.total / 100:,.2f}"

    @builtins.property
    def total(self) -> int:
        """Principal and gift together."""
        return self.principal + self.gift
