"""What points are spent on at the desk; the whole catalogue comes with the rewards module."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from hotels.models import BilingualName, Property
from loyalty.models.membership import Membership
from loyalty.models.programme import Programme


class Reward(BilingualName):
    """Something a member gets for points."""

    class Category(models.TextChoices):
        """What kind of thing it is."""

        ROOM_NIGHT = "room_night", _("room night")
        UPGRADE = "upgrade", _("room upgrade")
        LATE_CHECKOUT = "late_checkout", _("late check-out")
        FOOD = "food", _("food and drink")
        SPA = "spa", _("spa")
        TRANSFER = "transfer", _("transfer")
        GOODS = "goods", _("goods")

    programme = models.ForeignKey(Programme, models.CASCADE, related_name="rewards", verbose_name=_("programme"))
    code = models.SlugField(_("code"), max_length=40)
    category = models.CharField(_("category"), max_length=20, choices=Category)
    points = models.PositiveIntegerField(_("points"), validators=[MinValueValidator(1)])
    is_active = models.BooleanField(_("active"), default=True)

    class Meta:
        verbose_name = _("reward")
        verbose_name_plural = _("rewards")
        ordering = ["programme", "points", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["programme", "code"],
                name="loyalty_reward_code_unique",
                violation_error_message=_("The programme has a reward with this code already."),
            ),
            models.CheckConstraint(
                condition=Q(
                    category__in=[
                        "room_night",
                        "upgrade",
                        "late_checkout",
                        "food",
                        "spa",
                        "transfer",
                        "goods",
                    ]
                ),
                name="loyalty_reward_category_known",
            ),
            models.CheckConstraint(
                condition=Q(points__gt=0),
                name="loyalty_reward_costs_points",
                violation_error_message=_("A reward costs at least one point."),
            ),
        ]


class Redemption(models.Model):
    """One reward taken by a member; its points are the posting with the same public id as reference."""

    class Status(models.TextChoices):
        """Where the redemption stands."""

        REDEEMED = "redeemed", _("redeemed")
        CANCELED = "canceled", _("canceled")

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    membership = models.ForeignKey(Membership, models.PROTECT, related_name="redemptions", verbose_name=_("membership"))
    reward = models.ForeignKey(Reward, models.PROTECT, related_name="redemptions", verbose_name=_("reward"))
    property = models.ForeignKey(Property, models.PROTECT, related_name="+", verbose_name=_("property"))
    points = models.PositiveIntegerField(_("points"))
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.REDEEMED)
    redeemed_at = models.DateTimeField(_("redeemed at"))
    canceled_at = models.DateTimeField(_("canceled at"), null=True, blank=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("who")
    )

    class Meta:
        verbose_name = _("redemption")
        verbose_name_plural = _("redemptions")
        constraints = [
            models.CheckConstraint(condition=Q(points__gt=0), name="loyalty_redemption_costs_points"),
            models.CheckConstraint(
                condition=Q(status__in=["redeemed", "canceled"]), name="loyalty_redemption_status_known"
            ),
        ]
        indexes = [models.Index(fields=["membership", "-id"], name="loyalty_redemption_recent")]

    def __str__(self) -> str:
        return f"{self.membership_id}: {self.points}"
