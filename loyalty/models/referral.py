"""Members who bring friends: each member's code, what a programme asks, and each friend's way to the points."""

from __future__ import annotations

import builtins
import datetime as dt
import uuid
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from hotels.models import Property
from loyalty.models.membership import Membership
from loyalty.models.programme import Programme
from loyalty.rules.referrals import Terms, show_code
from members.models import Guest, Stay

if TYPE_CHECKING:
    from hotels.models import User


def any_stay() -> dict[str, Any]:
    """The condition that every stay meets."""
    return {"all": []}


class ReferralCode(models.Model):
    """The code by which a member's friends join; given with the membership and never changed."""

    membership = models.OneToOneField(
        Membership, models.CASCADE, primary_key=True, related_name="referral_code", verbose_name=_("membership")
    )
    # Normalized: `loyalty.rules.referrals`.
    code = models.CharField(_("referral code"), max_length=8, unique=True)

    class Meta:
        verbose_name = _("referral code")
        verbose_name_plural = _("referral codes")

    def __str__(self) -> str:
        return show_code(self.code)


class ReferralPolicyQuerySet(models.QuerySet["ReferralPolicy"]):
    """Reads of referral policies."""

    def in_force(self, on_date: dt.date) -> ReferralPolicyQuerySet:
        """The one policy of each programme that is in force on a date."""
        return self.filter(effective_from__lte=on_date).order_by("programme", "-effective_from").distinct("programme")


class ReferralPolicy(models.Model):
    """What a programme asks of a referral from a date on; without one it takes none.

    A friend's stay is judged by the policy in force on the day the friend joined. How many points both
    sides get stands in the earning rules.
    """

    programme = models.ForeignKey(
        Programme, models.CASCADE, related_name="referral_policies", verbose_name=_("programme")
    )
    effective_from = models.DateField(_("in force from"))
    is_open = models.BooleanField(
        _("takes referrals"), default=True, help_text=_("Off: no new friends from this date; those who joined count.")
    )
    entry_days = models.PositiveSmallIntegerField(
        _("code can be entered within days"), default=30, help_text=_("After the friend joined.")
    )
    stay_days = models.PositiveSmallIntegerField(
        _("stay within days"),
        null=True,
        blank=True,
        help_text=_("The friend's first paid stay ends so many days after joining. Empty: whenever."),
    )
    min_amount = models.DecimalField(
        _("stay costs at least"),
        max_digits=12,
        decimal_places=2,
        default=0,
        validators=[MinValueValidator(0)],
        help_text=_("In the programme's currency."),
    )
    month_limit = models.PositiveSmallIntegerField(
        _("friends per member and month"), null=True, blank=True, help_text=_("Empty: any number.")
    )
    year_limit = models.PositiveSmallIntegerField(
        _("friends per member and year"), null=True, blank=True, help_text=_("Empty: any number.")
    )
    condition = models.JSONField(_("condition of the stay"), default=any_stay, blank=True)

    objects = ReferralPolicyQuerySet.as_manager()

    class Meta:
        verbose_name = _("referral policy")
        verbose_name_plural = _("referral policies")
        ordering = ["programme", "-effective_from", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["programme", "effective_from"],
                name="loyalty_referralpolicy_day_unique",
                violation_error_message=_("The programme has a policy from this date already."),
            ),
            models.CheckConstraint(condition=Q(min_amount__gte=0), name="loyalty_referralpolicy_amount_not_negative"),
        ]

    def __str__(self) -> str:
        return str(self.effective_from)

    @property
    def terms(self) -> Terms:
        """The policy as `loyalty.rules.referrals` reads it."""
        return Terms(
            entry_days=self.entry_days,
            stay_days=self.stay_days,
            min_amount=self.min_amount,
            month_limit=self.month_limit,
            year_limit=self.year_limit,
        )


class ReferralQuerySet(models.QuerySet["Referral"]):
    """Reads of referrals."""

    def visible_to(self, user: User) -> ReferralQuerySet:
        """Staff see every referral of the group, a guest the ones they made."""
        if user.is_superuser or user.active_assignments():
            return self
        return self.filter(referrer__guest__user=user)

    def standing(self) -> ReferralQuerySet:
        """Keep those that were not refused: a friend has one at most."""
        return self.exclude(state=Referral.State.REJECTED)


class Referral(models.Model):
    """One friend of one member: invited, joined, and after the first paid stay granted, or refused with a reason.

    A refused attempt is a row too, so that the desk can say why. Voiding the stay that counted takes the
    points back and lets the referral wait again.
    """

    class State(models.TextChoices):
        """How far it is."""

        INVITED = "invited", pgettext_lazy("referral", "invited")
        JOINED = "joined", pgettext_lazy("referral", "joined")
        QUALIFIED = "qualified", pgettext_lazy("referral", "granted")
        REJECTED = "rejected", pgettext_lazy("referral", "refused")

    class Reason(models.TextChoices):
        """Why it was refused; the values of `loyalty.rules.referrals.Reason`."""

        SELF_REFERRAL = "self_referral", _("Members cannot refer themselves.")
        SHARED_IDENTITY = (
            "shared_identity",
            _("Both have the same telephone, e-mail address, document or WeChat account."),
        )
        SHARED_ROOM = "shared_room", _("Both stayed in the same room at the same time.")
        REFERRER_INACTIVE = "referrer_inactive", _("The membership of the one who refers is not active.")
        FRIEND_INACTIVE = "friend_inactive", _("The friend's membership is not active.")
        ALREADY_REFERRED = "already_referred", _("The friend came by another referral already.")
        JOINED_BEFORE_REFERRER = "joined_before_referrer", _("The friend was a member before the one who refers.")
        ENTERED_TOO_LATE = "entered_too_late", _("The time for entering a code after joining is over.")
        STAYED_BEFORE = "stayed_before", _("The friend had stayed with us before joining.")
        STAY_TOO_LATE = "stay_too_late", _("The first paid stay came too long after joining.")
        MONTH_LIMIT = "month_limit", _("No more friends of this member count in the month.")
        YEAR_LIMIT = "year_limit", _("No more friends of this member count in the year.")
        WITHDRAWN = "withdrawn", _("Withdrawn by staff.")

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    programme = models.ForeignKey(Programme, models.PROTECT, related_name="referrals", verbose_name=_("programme"))
    referrer = models.ForeignKey(
        Membership, models.PROTECT, related_name="referrals_made", verbose_name=_("referred by")
    )
    code = models.CharField(_("code used"), max_length=8)
    guest = models.ForeignKey(Guest, models.PROTECT, related_name="referrals", verbose_name=_("friend"))
    # Empty while the friend is no member yet.
    friend = models.ForeignKey(
        Membership,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="referrals",
        verbose_name=_("friend's membership"),
    )
    # Of the day the friend joined.
    policy = models.ForeignKey(ReferralPolicy, models.PROTECT, related_name="+", verbose_name=_("policy"))
    state = models.CharField(_("state"), max_length=10, choices=State)
    reason = models.CharField(_("reason"), max_length=24, choices=Reason, blank=True)
    note = models.CharField(_("note"), max_length=200, blank=True)
    stay = models.ForeignKey(
        Stay, models.PROTECT, null=True, blank=True, related_name="referrals", verbose_name=_("stay that counts")
    )
    # The day it counts on for the limits of the referrer: the departure of the stay.
    qualified_on = models.DateField(_("counts on"), null=True, blank=True)
    # How often points were granted: each time again after a void has its own line in the ledger.
    grants = models.PositiveSmallIntegerField(_("times granted"), default=0)
    entered_at = models.DateTimeField(_("entered at"))
    entered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("entered by")
    )
    property = models.ForeignKey(
        Property, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("entered at property")
    )
    joined_on = models.DateField(_("joined on"), null=True, blank=True)
    decided_at = models.DateTimeField(_("decided at"), null=True, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("decided by")
    )

    objects = ReferralQuerySet.as_manager()

    class Meta:
        verbose_name = _("referral")
        verbose_name_plural = _("referrals")
        permissions = [("enter_referral", _("Can enter referral codes"))]
        constraints = [
            models.UniqueConstraint(
                fields=["programme", "guest"],
                condition=~Q(state="rejected"),
                name="loyalty_referral_one_standing",
                violation_error_message=_("The friend came by another referral already."),
            ),
            models.UniqueConstraint(
                fields=["programme", "stay"],
                condition=Q(stay__isnull=False),
                name="loyalty_referral_stay_once",
                violation_error_message=_("This stay counts for another referral already."),
            ),
            models.CheckConstraint(
                condition=Q(state="invited", friend=None, joined_on=None, stay=None, reason="")
                | Q(state="joined", friend__isnull=False, joined_on__isnull=False, stay=None, reason="")
                | Q(
                    state="qualified",
                    friend__isnull=False,
                    joined_on__isnull=False,
                    stay__isnull=False,
                    qualified_on__isnull=False,
                    grants__gte=1,
                    reason="",
                )
                | (Q(state="rejected", stay=None) & ~Q(reason="")),
                name="loyalty_referral_state_legal",
            ),
            models.CheckConstraint(
                condition=Q(
                    reason__in=[
                        "",
                        "self_referral",
                        "shared_identity",
                        "shared_room",
                        "referrer_inactive",
                        "friend_inactive",
                        "already_referred",
                        "joined_before_referrer",
                        "entered_too_late",
                        "stayed_before",
                        "stay_too_late",
                        "month_limit",
                        "year_limit",
                        "withdrawn",
                    ]
                ),
                name="loyalty_referral_reason_known",
            ),
        ]
        indexes = [
            models.Index(fields=["referrer", "-id"], name="loyalty_referral_of_member"),
            models.Index(fields=["guest", "-id"], name="loyalty_referral_of_friend"),
            models.Index(
                fields=["referrer", "qualified_on"],
                condition=Q(state="qualified"),
                name="loyalty_referral_counted",
            ),
        ]

    def __str__(self) -> str:
        return f"{show_code(self.code)} · {self.get_state_display()}"

    @builtins.property
    def entered_on(self) -> dt.date:
        """The calendar date of the entry in the programme's time zone; the programme is loaded."""
        return self.programme.local_date(self.entered_at)
