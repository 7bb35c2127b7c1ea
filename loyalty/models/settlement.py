"""What properties owe each other when points that one paid for are redeemed at another."""

from __future__ import annotations

import builtins
import datetime as dt
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from hotels.models import Property
from loyalty.models.ledger import Account, Posting
from loyalty.models.programme import Programme

if TYPE_CHECKING:
    from hotels.models import User


class SettlementRate(models.Model):
    """What a property pays another for a point from a date on; append-only, in the programme's currency.

    Empty means what the point cost the property that gave it. Before the first rate it is the same.
    """

    programme = models.ForeignKey(
        Programme, models.PROTECT, related_name="settlement_rates", verbose_name=_("programme")
    )
    effective_from = models.DateField(_("effective from"))
    rate = models.DecimalField(
        _("rate of a point"),
        max_digits=12,
        decimal_places=6,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text=_("In the programme's currency. Empty: what the point cost the property that gave it."),
    )

    class Meta:
        verbose_name = _("settlement rate")
        verbose_name_plural = _("settlement rates")
        constraints = [
            models.UniqueConstraint(
                fields=["programme", "effective_from"],
                name="loyalty_settlementrate_day_unique",
                violation_error_message=_("There is a settlement rate from this date already."),
            ),
            models.CheckConstraint(condition=Q(rate=None) | Q(rate__gte=0), name="loyalty_settlementrate_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.effective_from}: {self.rate if self.rate is not None else _('cost')}"


class SettlementRunQuerySet(models.QuerySet["SettlementRun"]):
    """Reads of settlements."""

    def visible_to(self, user: User) -> SettlementRunQuerySet:
        """Staff see every settlement; its lines are those of their properties."""
        if user.is_superuser or user.active_assignments():
            return self
        return self.none()


class SettlementRun(models.Model):
    """One month of a programme settled between its properties; once closed nothing of it changes any more."""

    programme = models.ForeignKey(Programme, models.PROTECT, related_name="settlements", verbose_name=_("programme"))
    # A calendar month in the programme's time zone: from the first day up to, and without, the end.
    start_date = models.DateField(_("from"))
    end_date = models.DateField(_("ends before"))
    currency = models.CharField(_("currency"), max_length=3)
    created_at = models.DateTimeField(_("created at"))
    closed_at = models.DateTimeField(_("closed at"), null=True, blank=True)
    closed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=pgettext_lazy("month", "closed by"),
    )

    objects = SettlementRunQuerySet.as_manager()

    class Meta:
        verbose_name = _("settlement")
        verbose_name_plural = _("settlements")
        permissions = [
            ("view_finance", _("Can see what points cost and who owes whom")),
            ("close_month", _("Can close a month")),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["programme", "start_date"],
                name="loyalty_settlementrun_once_a_month",
                violation_error_message=_("This month has a settlement already."),
            ),
            models.CheckConstraint(condition=Q(end_date__gt=F("start_date")), name="loyalty_settlementrun_period"),
        ]

    def __str__(self) -> str:
        return f"{self.start_date:%Y-%m}"

    @builtins.property
    def last_date(self) -> dt.date:
        """The last day of the month."""
        return self.end_date - dt.timedelta(days=1)


class SettlementItem(models.Model):
    """What one redemption, or its cancellation, makes one property owe another; append-only.

    A posting is settled once: one that came too late for its month is in the settlement of a later one.
    """

    run = models.ForeignKey(SettlementRun, models.PROTECT, related_name="items", verbose_name=_("settlement"))
    account = models.ForeignKey(
        Account, models.PROTECT, related_name="+", db_constraint=False, db_index=False, verbose_name=_("account")
    )
    posting = models.ForeignKey(
        Posting, models.PROTECT, related_name="+", db_constraint=False, db_index=False, verbose_name=_("posting")
    )
    # The property that funded the points, and the one where they were redeemed.
    payer = models.ForeignKey(Property, models.PROTECT, related_name="+", db_index=False, verbose_name=_("payer"))
    payee = models.ForeignKey(Property, models.PROTECT, related_name="+", db_index=False, verbose_name=_("payee"))
    # Negative for a cancellation; the amount is in the settlement's currency, not rounded.
    points = models.BigIntegerField(_("points"))
    amount = models.DecimalField(_("amount"), max_digits=20, decimal_places=6)

    class Meta:
        verbose_name = _("settlement item")
        verbose_name_plural = _("settlement items")
        constraints = [
            models.UniqueConstraint(fields=["posting", "payer", "account"], name="loyalty_settlementitem_once"),
            models.CheckConstraint(condition=~Q(payer=F("payee")), name="loyalty_settlementitem_between_two"),
        ]
        indexes = [models.Index(fields=["run", "payer", "payee", "id"], name="loyalty_settlementitem_pair")]

    def __str__(self) -> str:
        return f"{self.payer_id} → {self.payee_id}: {self.amount}"


class SettlementLine(models.Model):
    """What one property owes another for a month, rounded to the cent; append-only.

    `amount` is in the settlement's currency, and nets to zero over the properties. The amounts in the currencies of
    the two properties follow from it by the house's rates on the last day, which are kept; empty where there is none.
    """

    run = models.ForeignKey(SettlementRun, models.PROTECT, related_name="lines", verbose_name=_("settlement"))
    payer = models.ForeignKey(Property, models.PROTECT, related_name="+", verbose_name=_("payer"))
    payee = models.ForeignKey(Property, models.PROTECT, related_name="+", verbose_name=_("payee"))
    points = models.BigIntegerField(_("points"))
    amount = models.DecimalField(_("amount"), max_digits=18, decimal_places=2)
    payer_currency = models.CharField(_("payer's currency"), max_length=3)
    payer_rate = models.DecimalField(_("payer's rate"), max_digits=18, decimal_places=8, null=True)
    payer_amount = models.DecimalField(_("payer's amount"), max_digits=18, decimal_places=2, null=True)
    payee_currency = models.CharField(_("payee's currency"), max_length=3)
    payee_rate = models.DecimalField(_("payee's rate"), max_digits=18, decimal_places=8, null=True)
    payee_amount = models.DecimalField(_("payee's amount"), max_digits=18, decimal_places=2, null=True)

    class Meta:
        verbose_name = _("settlement line")
        verbose_name_plural = _("settlement lines")
        constraints = [
            models.UniqueConstraint(fields=["run", "payer", "payee"], name="loyalty_settlementline_once"),
            models.CheckConstraint(condition=~Q(payer=F("payee")), name="loyalty_settlementline_between_two"),
        ]

    def __str__(self) -> str:
        return f"{self.payer_id} → {self.payee_id}: {self.amount}"
