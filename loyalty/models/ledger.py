"""The points ledger: account, posting, lot, lot move, hold, and the keys that make posting idempotent.

Only the database functions of `loyalty/migrations/sql` write these tables; triggers refuse whatever
does not add up, so a row here is read, never saved. Each unique key carries the account (or, for
the two key tables, the programme), so every table can be hash-partitioned; links inside the ledger
are kept by the triggers, not by foreign keys.
"""

from __future__ import annotations

import builtins

from django.conf import settings
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from hotels.models import Property
from loyalty.models.membership import Membership
from loyalty.models.programme import Programme


def _holds(function: str, *fields: str) -> models.Func:
    """A condition kept in a function of the database (migration 0008).

    PostgreSQL reads a CHECK from its text for every statement; a call is read in a tenth of the time.
    """
    return models.Func(*map(F, fields), function=function, output_field=models.BooleanField())


class Account(models.Model):
    """A membership's balances in one unit: a cache of the head posting, and the only lock target.

    `available` can be spent (less lots that lapsed and still wait for the nightly expiry), `pending`
    waits for release, `held` is set aside, `debt` is repaid by later points.
    """

    programme = models.ForeignKey(Programme, models.PROTECT, related_name="accounts", verbose_name=_("programme"))
    membership = models.ForeignKey(Membership, models.PROTECT, related_name="accounts", verbose_name=_("membership"))
    unit = models.CharField(_("unit"), max_length=20, default="points")
    available = models.BigIntegerField(_("available"), default=0)
    pending = models.BigIntegerField(_("pending"), default=0)
    held = models.BigIntegerField(_("held"), default=0)
    debt = models.BigIntegerField(_("debt"), default=0)
    last_seq = models.BigIntegerField(_("last entry"), default=0)
    head_hash = models.BinaryField(_("hash of the last entry"), max_length=32, default=b"")

    class Meta:
        verbose_name = _("points account")
        verbose_name_plural = _("points accounts")
        constraints = [
            models.UniqueConstraint(
                fields=["membership", "unit"],
                name="loyalty_account_one_per_unit",
                violation_error_message=_("This membership has an account of this unit already."),
            ),
            models.CheckConstraint(
                condition=_holds("loyalty_none_negative", "available", "pending", "held", "debt"),
                name="loyalty_account_not_negative",
                violation_error_message=_("A balance is zero or more."),
            ),
            models.CheckConstraint(
                condition=Q(available=0) | Q(debt=0),
                name="loyalty_account_debt_first",
                violation_error_message=_("Points repay a debt before they can be spent."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.membership_id} {self.unit}"


class Posting(models.Model):
    """One entry of an account; append-only, chained to the entry before it by hash.

    `points` is signed: what the member gains or loses; for release, hold and void what becomes
    usable or stops being so. Balances `*_after` are those of the account after this entry.
    """

    class Kind(models.TextChoices):
        """What happened to the points."""

        EARN = "earn", _("earned")
        BONUS = "bonus", _("bonus")
        RELEASE = "release", _("released")
        REDEEM = "redeem", _("redeemed")
        REFUND = "refund", _("given back")
        EXPIRE = "expire", _("expired")
        ADJUST = "adjust", _("adjusted")
        CLAWBACK = "clawback", _("taken back")
        HOLD = "hold", _("set aside")
        VOID = "void", _("no longer set aside")

    account = models.ForeignKey(
        Account, models.PROTECT, related_name="postings", db_constraint=False, db_index=False, verbose_name=_("account")
    )
    # 1, 2, 3, … within the account, without a gap.
    seq = models.BigIntegerField(_("entry"))
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    points = models.BigIntegerField(_("points"))
    available_after = models.BigIntegerField(_("available"))
    pending_after = models.BigIntegerField(_("pending"))
    held_after = models.BigIntegerField(_("held"))
    debt_after = models.BigIntegerField(_("debt"))
    # The posting this one reverses, and how many of its points: more than `points` where part had
    # lapsed or was let go.
    reverses = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        related_name="reversals",
        db_constraint=False,
        db_index=False,
        verbose_name=_("reverses"),
    )
    reversed_points = models.BigIntegerField(_("points of it reversed"), default=0)
    hold = models.ForeignKey(
        "loyalty.Hold",
        models.PROTECT,
        null=True,
        related_name="postings",
        db_constraint=False,
        db_index=False,
        verbose_name=_("hold"),
    )
    source_system = models.CharField(_("source system"), max_length=40, blank=True)
    source_reference = models.CharField(_("source reference"), max_length=80, blank=True)
    source_line = models.CharField(_("source line"), max_length=40, blank=True)
    request_client = models.CharField(_("client"), max_length=80, blank=True)
    request_key = models.CharField(_("request key"), max_length=200, blank=True)
    request_hash = models.CharField(_("request hash"), max_length=64, blank=True)
    rule_version = models.CharField(_("rule version"), max_length=40, blank=True)
    explanation = models.JSONField(_("explanation"), null=True)
    occurred_at = models.DateTimeField(_("at"))
    business_date = models.DateField(_("business date"))
    property = models.ForeignKey(
        Property, models.PROTECT, null=True, related_name="+", db_index=False, verbose_name=_("property")
    )
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", db_index=False, verbose_name=_("who")
    )
    reason = models.CharField(_("reason"), max_length=300, blank=True)
    previous_hash = models.BinaryField(_("hash of the entry before"), max_length=32)
    hash = models.BinaryField(_("hash"), max_length=32)

    class Meta:
        verbose_name = _("posting")
        verbose_name_plural = _("postings")
        constraints = [
            models.UniqueConstraint(fields=["account", "seq"], name="loyalty_posting_seq_unique"),
            # Number, kind, signs, balances, and what only a reversal has.
            models.CheckConstraint(
                condition=_holds(
                    "loyalty_posting_sound",
                    "kind",
                    "seq",
                    "points",
                    "available_after",
                    "pending_after",
                    "held_after",
                    "debt_after",
                    "reverses",
                    "reversed_points",
                ),
                name="loyalty_posting_sound",
            ),
        ]
        indexes = [
            models.Index(fields=["reverses"], condition=Q(reverses__isnull=False), name="loyalty_posting_reverses_ix"),
            models.Index(fields=["hold"], condition=Q(hold__isnull=False), name="loyalty_posting_hold_ix"),
            # Postings come in the order of their time, so a period is a few blocks.
            BrinIndex(fields=["occurred_at"], autosummarize=True, name="loyalty_posting_period"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.points:+,}"


class Lot(models.Model):
    """Points that came in together and lapse together."""

    class State(models.TextChoices):
        """Where the lot stands; only an open lot can be spent, a closed one holds nothing."""

        PENDING = "pending", _("pending")
        OPEN = "open", pgettext_lazy("points", "open")
        SPENT = "spent", _("spent")
        EXPIRED = "expired", _("expired")
        VOIDED = "voided", _("voided")

    class Class(models.TextChoices):
        """What kind of points in law and in the books."""

        EARNED = "earned", _("earned")
        BONUS = "bonus", _("bonus")
        PURCHASED = "purchased", _("purchased")
        COMPENSATION = "compensation", _("compensation")
        PRINCIPAL = "principal", _("principal")
        GIFT = "gift", _("gift")

    account = models.ForeignKey(
        Account, models.PROTECT, related_name="lots", db_constraint=False, db_index=False, verbose_name=_("account")
    )
    # The posting that brought the points in.
    posting = models.ForeignKey(
        Posting, models.PROTECT, related_name="lots", db_constraint=False, db_index=False, verbose_name=_("posting")
    )
    lot_class = models.CharField(_("class"), max_length=12, choices=Class, default=Class.EARNED)
    original = models.BigIntegerField(_("original"))
    remaining = models.BigIntegerField(_("remaining"))
    state = models.CharField(_("state"), max_length=8, choices=State)
    earned_date = models.DateField(_("earned on"))
    # Calendar dates in the programme's time zone: pending until the first, usable through the second.
    release_on = models.DateField(_("released on"), null=True)
    expires_on = models.DateField(_("expires on"), null=True)
    # The posting's property, which has the foreign key.
    funding_property = models.ForeignKey(
        Property,
        models.PROTECT,
        null=True,
        related_name="+",
        db_constraint=False,
        db_index=False,
        verbose_name=_("funded by"),
    )
    unit_cost = models.DecimalField(_("cost of a point"), max_digits=12, decimal_places=6, null=True)

    class Meta:
        verbose_name = _("lot")
        verbose_name_plural = _("lots")
        constraints = [
            # Class and state are known, remaining lies in range and is zero in a closed lot only.
            models.CheckConstraint(
                condition=_holds("loyalty_lot_sound", "lot_class", "state", "original", "remaining", "release_on"),
                name="loyalty_lot_sound",
            ),
            models.UniqueConstraint(fields=["posting", "account"], name="loyalty_lot_one_per_posting"),
        ]
        indexes = [
            models.Index(fields=["account", "expires_on", "id"], condition=Q(state="open"), name="loyalty_lot_spend"),
            models.Index(fields=["release_on", "account"], condition=Q(state="pending"), name="loyalty_lot_release"),
        ]

    def __str__(self) -> str:
        return f"{self.remaining}/{self.original}"


class LotMove(models.Model):
    """What one posting did to one lot; append-only, the only link between the two.

    A lot's remaining points are the sum of its moves: of `pending_delta` while it is pending, of
    `open_delta` while it is open.
    """

    pk = models.CompositePrimaryKey("posting_id", "lot_id", "account_id")
    posting = models.ForeignKey(
        Posting,
        models.PROTECT,
        related_name="lot_moves",
        db_constraint=False,
        db_index=False,
        verbose_name=_("posting"),
    )
    lot = models.ForeignKey(
        Lot, models.PROTECT, related_name="moves", db_constraint=False, db_index=False, verbose_name=_("lot")
    )
    account = models.ForeignKey(
        Account, models.PROTECT, related_name="+", db_constraint=False, db_index=False, verbose_name=_("account")
    )
    pending_delta = models.BigIntegerField(_("change of pending points"), default=0)
    open_delta = models.BigIntegerField(_("change of open points"), default=0)

    class Meta:
        verbose_name = _("lot move")
        verbose_name_plural = _("lot moves")
        constraints = [
            models.CheckConstraint(condition=~Q(pending_delta=0, open_delta=0), name="loyalty_lotmove_moves_something"),
        ]
        indexes = [models.Index(fields=["lot"], name="loyalty_lotmove_lot")]

    def __str__(self) -> str:
        return f"{self.lot_id}: {self.pending_delta:+d} {self.open_delta:+d}"


class Hold(models.Model):
    """Points set aside for a redemption that is not certain yet."""

    class State(models.TextChoices):
        """Where the hold stands."""

        ACTIVE = "active", _("active")
        CAPTURED = "captured", _("captured")
        VOIDED = "voided", _("voided")
        TIMED_OUT = "timed_out", _("timed out")

    account = models.ForeignKey(
        Account, models.PROTECT, related_name="holds", db_constraint=False, db_index=False, verbose_name=_("account")
    )
    points = models.BigIntegerField(_("points"))
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.ACTIVE)
    placed_posting = models.ForeignKey(
        Posting, models.PROTECT, related_name="+", db_constraint=False, db_index=False, verbose_name=_("placed by")
    )
    closed_posting = models.ForeignKey(
        Posting,
        models.PROTECT,
        null=True,
        related_name="+",
        db_constraint=False,
        db_index=False,
        verbose_name=_("closed by"),
    )
    hold_until = models.DateTimeField(_("held until"))

    class Meta:
        verbose_name = _("hold")
        verbose_name_plural = _("holds")
        constraints = [
            models.CheckConstraint(condition=Q(points__gt=0), name="loyalty_hold_points_positive"),
            models.CheckConstraint(
                condition=Q(state="active", closed_posting__isnull=True)
                | Q(state__in=["captured", "voided", "timed_out"], closed_posting__isnull=False),
                name="loyalty_hold_closed_by_posting",
            ),
        ]
        indexes = [
            models.Index(fields=["hold_until"], condition=Q(state="active"), name="loyalty_hold_due"),
            models.Index(fields=["account"], condition=Q(state="active"), name="loyalty_hold_active"),
        ]

    def __str__(self) -> str:
        return f"{self.points:,} {self.get_state_display()}"

    @builtins.property
    def is_active(self) -> bool:
        """Whether the points are still set aside."""
        return self.state == self.State.ACTIVE


class RequestKey(models.Model):
    """An idempotency key and the posting it led to; append-only."""

    pk = models.CompositePrimaryKey("programme_id", "client", "key")
    programme = models.ForeignKey(
        Programme, models.PROTECT, related_name="+", db_constraint=False, db_index=False, verbose_name=_("programme")
    )
    client = models.CharField(_("client"), max_length=80)
    key = models.CharField(_("request key"), max_length=200)
    posting = models.ForeignKey(
        Posting, models.PROTECT, related_name="+", db_constraint=False, db_index=False, verbose_name=_("posting")
    )

    class Meta:
        verbose_name = _("request key")
        verbose_name_plural = _("request keys")

    def __str__(self) -> str:
        return f"{self.client} {self.key}"


class SourceKey(models.Model):
    """The business key of a posting: one effect of a kind for each source line, on one account; append-only."""

    pk = models.CompositePrimaryKey("programme_id", "system", "reference", "line", "kind")
    programme = models.ForeignKey(
        Programme, models.PROTECT, related_name="+", db_constraint=False, db_index=False, verbose_name=_("programme")
    )
    system = models.CharField(_("source system"), max_length=40)
    reference = models.CharField(_("source reference"), max_length=80)
    line = models.CharField(_("source line"), max_length=40, blank=True)
    kind = models.CharField(_("kind"), max_length=10, choices=Posting.Kind)
    account = models.ForeignKey(
        Account, models.PROTECT, related_name="+", db_constraint=False, db_index=False, verbose_name=_("account")
    )
    posting = models.ForeignKey(
        Posting, models.PROTECT, related_name="+", db_constraint=False, db_index=False, verbose_name=_("posting")
    )

    class Meta:
        verbose_name = _("source key")
        verbose_name_plural = _("source keys")
        constraints = [
            models.CheckConstraint(condition=_holds("loyalty_kind_known", "kind"), name="loyalty_sourcekey_kind_known"),
        ]

    def __str__(self) -> str:
        return f"{self.system} {self.reference} {self.line}"
