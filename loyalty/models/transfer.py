"""Points passed from one member to another, and the rules for it from a date on."""

from __future__ import annotations

import builtins
import datetime as dt
import uuid
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from hotels.models import Property
from loyalty.models.membership import Membership
from loyalty.models.programme import Programme

if TYPE_CHECKING:
    from hotels.models import User


class TransferPolicyQuerySet(models.QuerySet["TransferPolicy"]):
    """Reads of transfer policies."""

    def in_force(self, *, programme_id: int, on_date: dt.date) -> TransferPolicy | None:
        """The policy of a programme on a date."""
        return self.filter(programme=programme_id, effective_from__lte=on_date).order_by("-effective_from").first()


class TransferPolicy(models.Model):
    """How much members may pass on from a date on; without one they may not."""

    programme = models.ForeignKey(
        Programme, models.CASCADE, related_name="transfer_policies", verbose_name=_("programme")
    )
    effective_from = models.DateField(_("in force from"))
    is_open = models.BooleanField(_("allows transfers"), default=True)
    min_points = models.PositiveIntegerField(_("at least points"), default=1, validators=[MinValueValidator(1)])
    max_points = models.PositiveIntegerField(
        _("at most points"), null=True, blank=True, help_text=_("In one transfer. Empty: any number.")
    )
    fee_points = models.PositiveIntegerField(
        _("fee in points"), default=0, help_text=_("Taken from the giver with each transfer.")
    )
    year_limit_out = models.PositiveIntegerField(
        _("points given per member and year"), null=True, blank=True, help_text=_("Empty: any number.")
    )
    year_limit_in = models.PositiveIntegerField(
        _("points received per member and year"), null=True, blank=True, help_text=_("Empty: any number.")
    )

    objects = TransferPolicyQuerySet.as_manager()

    class Meta:
        verbose_name = _("transfer policy")
        verbose_name_plural = _("transfer policies")
        ordering = ["programme", "-effective_from", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["programme", "effective_from"],
                name="loyalty_transferpolicy_day_unique",
                violation_error_message=_("The programme has a policy from this date already."),
            ),
            models.CheckConstraint(
                condition=Q(min_points__gte=1) & (Q(max_points=None) | Q(max_points__gte=F("min_points"))),
                name="loyalty_transferpolicy_range",
                violation_error_message=_("At least is no more than at most."),
            ),
        ]

    def __str__(self) -> str:
        return str(self.effective_from)


class PointsTransferQuerySet(models.QuerySet["PointsTransfer"]):
    """Reads of transfers."""

    def visible_to(self, user: User) -> PointsTransferQuerySet:
        """Staff see every transfer of the group, a guest those they gave or received."""
        if user.is_superuser or user.active_assignments():
            return self
        return self.filter(Q(giver__guest__user=user) | Q(receiver__guest__user=user))


class PointsTransfer(models.Model):
    """One transfer; the postings of both sides carry its `public_id` as source."""

    public_id = models.UUIDField(unique=True, editable=False, default=uuid.uuid4)
    giver = models.ForeignKey(Membership, models.PROTECT, related_name="transfers_out", verbose_name=_("giver"))
    receiver = models.ForeignKey(Membership, models.PROTECT, related_name="transfers_in", verbose_name=_("receiver"))
    policy = models.ForeignKey(TransferPolicy, models.PROTECT, related_name="+", verbose_name=_("policy"))
    property = models.ForeignKey(Property, models.PROTECT, null=True, related_name="+", verbose_name=_("property"))
    points = models.PositiveIntegerField(_("points"))
    fee_points = models.PositiveIntegerField(_("fee in points"))
    # In the programme's time zone; the limits count by its year.
    made_on = models.DateField(_("on"))
    made_at = models.DateTimeField(_("at"))
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", verbose_name=_("who")
    )
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    undone_at = models.DateTimeField(_("undone at"), null=True)

    objects = PointsTransferQuerySet.as_manager()

    class Meta:
        verbose_name = _("points transfer")
        verbose_name_plural = _("points transfers")
        ordering = ["-made_at", "-id"]
        permissions = [("transfer_points", "Can pass points from one member to another")]
        indexes = [
            models.Index(fields=["giver", "made_on"], name="loyalty_transfer_giver"),
            models.Index(fields=["receiver", "made_on"], name="loyalty_transfer_receiver"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=~Q(giver=F("receiver")),
                name="loyalty_transfer_not_to_self",
                violation_error_message=_("Points are passed to somebody else."),
            ),
            models.CheckConstraint(condition=Q(points__gt=0), name="loyalty_transfer_points_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.points:,}"

    @builtins.property
    def is_undone(self) -> bool:
        """Whether the points went back."""
        return self.undone_at is not None
