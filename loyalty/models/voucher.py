"""Vouchers: types with their terms, single vouchers, batches of many, and what happened to each."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from hotels.models import BilingualName, Brand, Property
from hotels.models.organisation import currency_validator
from loyalty.models.membership import Membership
from loyalty.models.programme import Programme, Tier
from loyalty.rules.vouchers import mask_code, spell_code
from members.models import Stay

if TYPE_CHECKING:
    from hotels.models import User


class VoucherType(BilingualName):
    """What vouchers of a kind are worth and where, when and by whom they may be used.

    The terms are fixed with the first voucher issued (a trigger keeps them): what was promised on paper stays.
    Another promise is another type. Names, the issuing window, the limit and the reminder may change.
    """

    class Kind(models.TextChoices):
        """What the guest gets."""

        AMOUNT = "amount", _("amount off")
        PERCENT = "percent", _("percent off")
        ROOM_NIGHT = "room_night", _("free night")
        UPGRADE = "upgrade", _("upgrade")
        ITEM = "item", _("item or service")

    programme = models.ForeignKey(Programme, models.PROTECT, related_name="voucher_types", verbose_name=_("programme"))
    code = models.SlugField(_("code"), max_length=40)
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    amount = models.DecimalField(
        _("amount, or the most that is taken off"),
        max_digits=12,
        decimal_places=2,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
    )
    percent = models.DecimalField(
        _("percent"),
        max_digits=5,
        decimal_places=2,
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(100)],
    )
    currency = models.CharField(_("currency"), max_length=3, blank=True, validators=[currency_validator])
    description = models.TextField(
        _("terms in words (Chinese)"), blank=True, max_length=1000, help_text=_("Printed on the voucher.")
    )
    description_en = models.TextField(_("terms in words (English)"), blank=True, max_length=1000)

    min_spend = models.DecimalField(
        _("minimum spend"), max_digits=12, decimal_places=2, null=True, blank=True, validators=[MinValueValidator(0)]
    )
    properties = models.ManyToManyField(
        Property,
        blank=True,
        related_name="+",
        verbose_name=_("properties"),
        help_text=_("Neither properties nor brands: everywhere."),
    )
    brands = models.ManyToManyField(Brand, blank=True, related_name="+", verbose_name=_("brands"))
    weekdays = ArrayField(
        models.PositiveSmallIntegerField(),
        verbose_name=_("days of the week"),
        default=list,
        blank=True,
        help_text=_("None chosen: every day."),
    )
    min_tier = models.ForeignKey(
        Tier, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("from tier")
    )
    is_transferable = models.BooleanField(_("may be passed on"), default=False)
    is_stackable = models.BooleanField(_("can be combined with other vouchers"), default=False)
    per_member_limit = models.PositiveSmallIntegerField(
        _("at most for a member"), null=True, blank=True, validators=[MinValueValidator(1)]
    )

    valid_from = models.DateField(_("valid from"), null=True, blank=True)
    expires_on = models.DateField(_("last day"), null=True, blank=True)
    valid_days = models.PositiveSmallIntegerField(
        _("days after the issue"),
        null=True,
        blank=True,
        help_text=_("Whichever of the last day and these days ends first; neither: no end."),
    )

    is_active = models.BooleanField(_("active"), default=True)
    issue_from = models.DateField(_("issued from"), null=True, blank=True)
    issue_until = models.DateField(_("issued until (not included)"), null=True, blank=True)
    issue_limit = models.PositiveIntegerField(_("issue at most"), null=True, blank=True)
    # Issued and promised to batches; canceled vouchers count, what a canceled batch did not issue is given back.
    issued_count = models.PositiveIntegerField(_("issued"), default=0, editable=False)
    reminder_days = models.PositiveSmallIntegerField(
        _("remind days before the last"), null=True, blank=True, help_text=_("Empty: no reminder.")
    )

    unit_cost = models.DecimalField(
        _("cost of one"), max_digits=12, decimal_places=2, default=0, validators=[MinValueValidator(0)]
    )
    funding_property = models.ForeignKey(
        Property,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("paid for by"),
        help_text=_("Empty: by the group."),
    )

    class Meta:
        verbose_name = _("voucher type")
        verbose_name_plural = _("voucher types")
        ordering = ["programme", "code"]
        constraints = [
            models.UniqueConstraint(
                fields=["programme", "code"],
                name="loyalty_vouchertype_code_unique",
                violation_error_message=_("The programme has a voucher type with this code already."),
            ),
            models.CheckConstraint(
                condition=Q(kind__in=["amount", "percent", "room_night", "upgrade", "item"]),
                name="loyalty_vouchertype_kind_known",
            ),
            models.CheckConstraint(
                condition=(
                    Q(kind="amount", amount__isnull=False, amount__gt=0, percent__isnull=True)
                    | Q(kind="percent", percent__isnull=False, percent__gt=0, percent__lte=100)
                    & (Q(amount__isnull=True) | Q(amount__gt=0))
                    | Q(kind__in=["room_night", "upgrade", "item"], amount__isnull=True, percent__isnull=True)
                ),
                name="loyalty_vouchertype_worth",
                violation_error_message=_(
                    "Give an amount above zero, or a percentage from 0 to 100 with or without a maximum; other kinds"
                    " have neither."
                ),
            ),
            models.CheckConstraint(
                condition=(Q(amount__isnull=True, min_spend__isnull=True) | Q(currency__regex=r"^[A-Z]{3}$")),
                name="loyalty_vouchertype_currency_given",
                violation_error_message=_("Amounts need a currency."),
            ),
            models.CheckConstraint(
                condition=Q(min_spend__isnull=True) | Q(min_spend__gt=0),
                name="loyalty_vouchertype_min_spend_positive",
                violation_error_message=_("A minimum spend is above zero."),
            ),
            models.CheckConstraint(
                condition=Q(weekdays__contained_by=[1, 2, 3, 4, 5, 6, 7]), name="loyalty_vouchertype_weekdays_known"
            ),
            models.CheckConstraint(
                condition=Q(valid_from__isnull=True) | Q(expires_on__isnull=True) | Q(expires_on__gte=F("valid_from")),
                name="loyalty_vouchertype_days_ordered",
                violation_error_message=_("The last day is before the first."),
            ),
            models.CheckConstraint(
                condition=Q(issue_from__isnull=True) | Q(issue_until__isnull=True) | Q(issue_until__gt=F("issue_from")),
                name="loyalty_vouchertype_issue_days_ordered",
                violation_error_message=_("The end is not after the beginning."),
            ),
            models.CheckConstraint(
                condition=Q(issue_limit__isnull=True) | Q(issued_count__lte=F("issue_limit")),
                name="loyalty_vouchertype_limit_kept",
                violation_error_message=_("More vouchers than this were issued already."),
            ),
            models.CheckConstraint(
                condition=Q(per_member_limit__isnull=True) | Q(per_member_limit__gt=0),
                name="loyalty_vouchertype_member_limit_positive",
                violation_error_message=_("A limit is at least one."),
            ),
            models.CheckConstraint(condition=Q(unit_cost__gte=0), name="loyalty_vouchertype_cost_not_negative"),
        ]


class VoucherBlackout(models.Model):
    """Days on which vouchers of a type may not be used, such as the Golden Week; both days are included."""

    type = models.ForeignKey(VoucherType, models.CASCADE, related_name="blackouts", verbose_name=_("voucher type"))
    first_date = models.DateField(_("from"))
    last_date = models.DateField(_("to (included)"))

    class Meta:
        verbose_name = _("blackout")
        verbose_name_plural = _("blackouts")
        ordering = ["first_date", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(last_date__gte=F("first_date")),
                name="loyalty_voucherblackout_days_ordered",
                violation_error_message=_("The last day is before the first."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.first_date} – {self.last_date}"


class VoucherBatch(models.Model):
    """Many vouchers of a type for nobody in particular, issued in the background."""

    class Status(models.TextChoices):
        """Where the batch stands."""

        ISSUING = "issuing", _("being issued")
        ISSUED = "issued", _("issued")
        CANCELED = "canceled", _("canceled")

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    type = models.ForeignKey(VoucherType, models.PROTECT, related_name="batches", verbose_name=_("voucher type"))
    purpose = models.CharField(_("what for"), max_length=120, help_text=_("Such as a fair, a partner, a mailing."))
    quantity = models.PositiveIntegerField(_("quantity"))
    issued_count = models.PositiveIntegerField(_("issued"), default=0)
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.ISSUING)
    # Terms of this batch, worked out when it was ordered.
    valid_from = models.DateField(_("valid from"))
    expires_on = models.DateField(_("last day"), null=True, blank=True)
    request_key = models.UUIDField(unique=True, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", verbose_name=_("ordered by")
    )
    created_at = models.DateTimeField(_("ordered at"))
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)

    class Meta:
        verbose_name = _("voucher batch")
        verbose_name_plural = _("voucher batches")
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["issuing", "issued", "canceled"]), name="loyalty_voucherbatch_status_known"
            ),
            models.CheckConstraint(
                condition=Q(quantity__gt=0) & Q(issued_count__lte=F("quantity")),
                name="loyalty_voucherbatch_quantity_kept",
            ),
            models.CheckConstraint(
                condition=~Q(status="issued") | Q(issued_count=F("quantity")), name="loyalty_voucherbatch_all_issued"
            ),
        ]
        indexes = [
            models.Index(fields=["id"], condition=Q(status="issuing"), name="loyalty_voucherbatch_running"),
        ]

    def __str__(self) -> str:
        return self.purpose

    @property
    def percent_done(self) -> int:
        """How much of the batch is issued, in whole percent."""
        return self.issued_count * 100 // self.quantity


class VoucherQuerySet(models.QuerySet["Voucher"]):
    """Reads of vouchers."""

    def visible_to(self, user: User) -> VoucherQuerySet:
        """Staff see every voucher of the group, a guest sees their own."""
        if user.is_superuser or user.active_assignments():
            return self
        return self.filter(membership__guest__user=user)


class Voucher(models.Model):
    """One voucher: a code that is worth something once.

    Whether it was used is its state and nothing else; a trigger allows only the ways from one state to the next, and
    demands an entry in the history for each.
    """

    class State(models.TextChoices):
        """Where the voucher stands."""

        ISSUED = "issued", pgettext_lazy("voucher", "open")
        REDEEMED = "redeemed", _("used")
        CANCELED = "canceled", _("canceled")
        EXPIRED = "expired", _("expired")

    class Source(models.TextChoices):
        """Why it was issued."""

        MANUAL = "manual", _("by hand")
        BATCH = "batch", _("batch")
        REWARD = "reward", _("reward for points")
        CAMPAIGN = "campaign", _("campaign")
        COMPENSATION = "compensation", _("compensation")

    # Defaults stand in the database too: many vouchers are issued by one statement.
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    code = models.CharField(_("code"), max_length=15, unique=True)
    type = models.ForeignKey(
        VoucherType, models.PROTECT, related_name="vouchers", verbose_name=_("voucher type"), db_index=False
    )
    membership = models.ForeignKey(
        Membership,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="vouchers",
        verbose_name=_("membership"),
        db_index=False,
    )
    batch = models.ForeignKey(
        VoucherBatch,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="vouchers",
        verbose_name=_("batch"),
        db_index=False,
    )
    batch_number = models.PositiveIntegerField(_("number in the batch"), null=True, blank=True)
    state = models.CharField(_("state"), max_length=8, choices=State, default=State.ISSUED)
    source = models.CharField(_("source"), max_length=12, choices=Source, default=Source.MANUAL)
    source_reference = models.CharField(_("reference of the source"), max_length=80, blank=True)
    issued_at = models.DateTimeField(_("issued at"))
    # Calendar dates in the programme's time zone; usable to the end of the last day.
    valid_from = models.DateField(_("valid from"))
    expires_on = models.DateField(_("last day"), null=True, blank=True)
    reminded_on = models.DateField(_("reminded on"), null=True, blank=True, editable=False)

    redemption_id = models.UUIDField(_("use"), null=True, blank=True, editable=False)
    redeemed_at = models.DateTimeField(_("used at"), null=True, blank=True)
    redeemed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("used through"),
        db_index=False,
    )
    redeemed_property = models.ForeignKey(
        Property,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("used at"),
        db_index=False,
    )
    folio_reference = models.CharField(_("folio or check"), max_length=80, blank=True)
    stay = models.ForeignKey(
        Stay, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("stay"), db_index=False
    )
    spend = models.DecimalField(_("used on"), max_digits=14, decimal_places=2, null=True, blank=True)
    amount_applied = models.DecimalField(_("taken off"), max_digits=12, decimal_places=2, null=True, blank=True)

    objects = VoucherQuerySet.as_manager()

    class Meta:
        verbose_name = _("voucher")
        verbose_name_plural = _("vouchers")
        permissions = [
            ("issue_voucher", _("Can issue vouchers")),
            ("redeem_voucher", _("Can verify and redeem vouchers")),
            ("undo_voucher", _("Can undo the use of a voucher at any time")),
            ("transfer_voucher", _("Can transfer vouchers to another member")),
            ("cancel_voucher", _("Can cancel vouchers")),
            ("reveal_voucher", _("Can see and print whole voucher codes")),
            ("export_voucher", _("Can export voucher codes")),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["issued", "redeemed", "canceled", "expired"]),
                name="loyalty_voucher_state_known",
            ),
            models.CheckConstraint(
                condition=Q(source__in=["manual", "batch", "reward", "campaign", "compensation"]),
                name="loyalty_voucher_source_known",
            ),
            models.CheckConstraint(
                condition=Q(code__regex=r"^[0-9A-HJKMNP-TV-Z]{15}$"), name="loyalty_voucher_code_formed"
            ),
            models.CheckConstraint(
                condition=(
                    Q(
                        state="redeemed",
                        redemption_id__isnull=False,
                        redeemed_at__isnull=False,
                        redeemed_by__isnull=False,
                        redeemed_property__isnull=False,
                    )
                    | ~Q(state="redeemed")
                    & Q(
                        redemption_id__isnull=True,
                        redeemed_at__isnull=True,
                        redeemed_by__isnull=True,
                        redeemed_property__isnull=True,
                        folio_reference="",
                        stay__isnull=True,
                        spend__isnull=True,
                        amount_applied__isnull=True,
                    )
                ),
                name="loyalty_voucher_redeemed_when_where_who",
            ),
            models.CheckConstraint(
                condition=Q(expires_on__isnull=True) | Q(expires_on__gte=F("valid_from")),
                name="loyalty_voucher_days_ordered",
            ),
            models.CheckConstraint(
                condition=Q(amount_applied__isnull=True) | Q(amount_applied__gte=0),
                name="loyalty_voucher_amount_not_negative",
            ),
            models.CheckConstraint(
                condition=(
                    Q(source="batch", batch__isnull=False, batch_number__isnull=False, batch_number__gt=0)
                    | ~Q(source="batch") & Q(batch__isnull=True, batch_number__isnull=True)
                ),
                name="loyalty_voucher_batch_numbered",
            ),
            models.UniqueConstraint(
                fields=["batch", "batch_number"],
                condition=Q(batch__isnull=False),
                name="loyalty_voucher_batch_number_unique",
            ),
            models.UniqueConstraint(
                fields=["redemption_id"],
                condition=Q(redemption_id__isnull=False),
                name="loyalty_voucher_redemption_unique",
            ),
        ]
        indexes = [
            models.Index(
                fields=["membership", "-id"], condition=Q(membership__isnull=False), name="loyalty_voucher_of_member"
            ),
            models.Index(
                fields=["expires_on", "id"],
                condition=Q(state="issued", expires_on__isnull=False),
                name="loyalty_voucher_lapse",
            ),
            models.Index(
                fields=["redeemed_property", "folio_reference"],
                condition=Q(state="redeemed"),
                name="loyalty_voucher_on_folio",
            ),
        ]

    def __str__(self) -> str:
        return mask_code(self.code)

    @property
    def spelled_code(self) -> str:
        """The whole code as printed."""
        return spell_code(self.code)

    @property
    def masked_code(self) -> str:
        """The code as shown to those who may not use it."""
        return mask_code(self.code)


class VoucherEvent(models.Model):
    """One thing that happened to a voucher; append-only."""

    class Kind(models.TextChoices):
        """What happened."""

        ISSUED = "issued", _("issued")
        TRANSFERRED = "transferred", _("transferred")
        REDEEMED = "redeemed", _("used")
        UNDONE = "undone", _("use undone")
        CANCELED = "canceled", _("canceled")
        EXPIRED = "expired", _("expired")
        REMINDED = "reminded", _("reminder due")

    voucher = models.ForeignKey(
        Voucher, models.PROTECT, related_name="events", verbose_name=_("voucher"), db_index=False
    )
    kind = models.CharField(_("what"), max_length=11, choices=Kind)
    at = models.DateTimeField(_("when"))
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("who"),
        db_index=False,
    )
    property = models.ForeignKey(
        Property, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("where"), db_index=False
    )
    # Whose the voucher was before and is since, where it changed hands; who presented it, where it was used.
    from_membership = models.ForeignKey(
        Membership, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("from"), db_index=False
    )
    membership = models.ForeignKey(
        Membership, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("member"), db_index=False
    )
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    redemption_id = models.UUIDField(_("use"), null=True, blank=True)
    folio_reference = models.CharField(_("folio or check"), max_length=80, blank=True)
    amount = models.DecimalField(_("taken off"), max_digits=12, decimal_places=2, null=True, blank=True)
    request_client = models.CharField(_("requested by"), max_length=60, blank=True)
    request_key = models.CharField(_("key of the request"), max_length=120, blank=True)
    request_hash = models.CharField(max_length=64, blank=True, editable=False)
    created_at = models.DateTimeField(_("written at"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("voucher event")
        verbose_name_plural = _("voucher events")
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    kind__in=["issued", "transferred", "redeemed", "undone", "canceled", "expired", "reminded"]
                ),
                name="loyalty_voucherevent_kind_known",
            ),
            models.CheckConstraint(
                condition=(
                    Q(kind__in=["redeemed", "undone"], redemption_id__isnull=False)
                    | ~Q(kind__in=["redeemed", "undone"]) & Q(redemption_id__isnull=True)
                ),
                name="loyalty_voucherevent_use_named",
            ),
            models.UniqueConstraint(
                fields=["request_client", "request_key"],
                condition=~Q(request_key=""),
                name="loyalty_voucherevent_request_unique",
            ),
            models.UniqueConstraint(
                fields=["redemption_id", "kind"],
                condition=Q(redemption_id__isnull=False),
                name="loyalty_voucherevent_use_unique",
            ),
        ]
        indexes = [models.Index(fields=["voucher", "id"], name="loyalty_voucherevent_history")]

    def __str__(self) -> str:
        return f"{self.voucher_id}: {self.kind}"
