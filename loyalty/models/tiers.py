"""What tiers need, how long they last and what they give, each in force from a date; tiers granted by hand."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from hotels.models import BilingualName, Property
from loyalty.models.membership import Membership, TierSource
from loyalty.models.programme import Programme, Tier

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django_stubs_ext import StrPromise

    from hotels.models import User


def everything() -> dict[str, list[object]]:
    """The condition that everything meets."""
    return {"all": []}


def _who(verbose_name: str | StrPromise) -> models.ForeignKey[User | None, User | None]:
    return models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=verbose_name
    )


def _known(field: str, values: Iterable[str], name: str) -> models.CheckConstraint:
    return models.CheckConstraint(condition=Q(**{f"{field}__in": list(values)}), name=name)


class TierPolicy(models.Model):
    """How a programme counts towards tiers and how long a tier lasts, from a date until the next policy."""

    class Window(models.TextChoices):
        """Over which time the figures are summed."""

        ROLLING = "rolling", _("the last months")
        CALENDAR_YEAR = "calendar_year", _("calendar year")
        MEMBERSHIP_YEAR = "membership_year", _("membership year")
        LIFETIME = "lifetime", _("since enrollment")

    class NightCounting(models.TextChoices):
        """What two rooms of one guest on one night count."""

        PER_ROOM = "per_room", _("each room counts")
        PER_BOOKING = "per_booking", _("one night a booking, however many rooms")

    class FreeNights(models.TextChoices):
        """Which nights of a stay count."""

        STAY = "stay", _("all nights of a stay that was paid for")
        PAID = "paid", _("only nights that were paid for")
        ALL = "all", _("free nights count, too")

    class DayUse(models.TextChoices):
        """What a room taken for some hours counts."""

        NONE = "none", _("nothing")
        STAY = "stay", _("a stay without a night")
        NIGHT = "night", _("a stay of one night")

    class UpgradeTiming(models.TextChoices):
        """When a tier that was reached begins."""

        AT_ONCE = "at_once", _("at once")
        NEXT_DAY = "next_day", _("the next day")

    class Validity(models.TextChoices):
        """How long a tier lasts once it was reached."""

        UNLIMITED = "unlimited", _("without end")
        WHILE_HELD = "while_held", _("as long as the figures hold")
        MONTHS = "months", _("some months")
        THIS_YEAR = "this_year", _("the rest of the year")
        NEXT_YEAR = "next_year", _("the rest of the year and the next")
        NEXT_FEBRUARY = "next_february", _("the rest of the year and the next, to the end of February after")

    class Downgrade(models.TextChoices):
        """Where a member falls whose tier has ended."""

        REACHED = "reached", _("to the tier that the figures reach")
        ONE_STEP = "one_step", _("one step at most")

    programme = models.ForeignKey(Programme, models.CASCADE, related_name="tier_policies", verbose_name=_("programme"))
    effective_from = models.DateField(_("effective from"))
    window = models.CharField(_("what counts"), max_length=16, choices=Window, default=Window.ROLLING)
    window_months = models.PositiveSmallIntegerField(
        _("months that count"), default=12, validators=[MinValueValidator(1)], help_text=_("For “the last months”.")
    )
    night_counting = models.CharField(
        _("several rooms"), max_length=12, choices=NightCounting, default=NightCounting.PER_ROOM
    )
    free_nights = models.CharField(_("nights that count"), max_length=8, choices=FreeNights, default=FreeNights.STAY)
    no_show_nights = models.PositiveSmallIntegerField(
        _("nights of a no-show"),
        null=True,
        blank=True,
        help_text=_("At most so many count; 0: a no-show counts nothing. Empty: like any other stay."),
    )
    day_use = models.CharField(_("day use"), max_length=8, choices=DayUse, default=DayUse.STAY)
    stay_conditions = models.JSONField(
        _("stays that count"), default=everything, blank=True, help_text=_("Others count nothing towards a tier.")
    )
    carry_over = models.JSONField(
        _("carried over"),
        default=list,
        blank=True,
        help_text=_("What exceeds the threshold of the tier counts in the next year."),
    )
    carry_over_tier = models.ForeignKey(
        Tier, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("carried over from tier")
    )
    zero_on_change = models.BooleanField(
        _("counting begins anew at each change of tier"),
        default=False,
        help_text=_("The day of the change still belongs to the tier that was reached."),
    )
    upgrade_timing = models.CharField(_("upgrade"), max_length=8, choices=UpgradeTiming, default=UpgradeTiming.AT_ONCE)
    validity = models.CharField(_("a tier is valid"), max_length=16, choices=Validity, default=Validity.UNLIMITED)
    validity_months = models.PositiveSmallIntegerField(
        _("months valid"), null=True, blank=True, validators=[MinValueValidator(1)]
    )
    grace_days = models.PositiveSmallIntegerField(_("days of grace"), default=0)
    downgrade = models.CharField(_("downgrade"), max_length=8, choices=Downgrade, default=Downgrade.REACHED)
    warning_days = models.PositiveSmallIntegerField(_("days of warning before a downgrade"), default=30)
    four_eyes = models.BooleanField(
        _("a second person approves reviews"),
        default=False,
        help_text=_("Whoever built a review cannot approve it."),
    )

    class Meta:
        verbose_name = _("tier policy")
        verbose_name_plural = _("tier policies")
        constraints = [
            models.UniqueConstraint(
                fields=["programme", "effective_from"],
                name="loyalty_tierpolicy_day_unique",
                violation_error_message=_("The programme has a tier policy from this date already."),
            ),
            _known(
                "window", ["rolling", "calendar_year", "membership_year", "lifetime"], "loyalty_tierpolicy_window_known"
            ),
            _known("night_counting", ["per_room", "per_booking"], "loyalty_tierpolicy_nights_known"),
            _known("free_nights", ["stay", "paid", "all"], "loyalty_tierpolicy_free_known"),
            _known("day_use", ["none", "stay", "night"], "loyalty_tierpolicy_day_use_known"),
            _known("upgrade_timing", ["at_once", "next_day"], "loyalty_tierpolicy_timing_known"),
            _known(
                "validity",
                ["unlimited", "while_held", "months", "this_year", "next_year", "next_february"],
                "loyalty_tierpolicy_validity_known",
            ),
            _known("downgrade", ["reached", "one_step"], "loyalty_tierpolicy_downgrade_known"),
            models.CheckConstraint(
                condition=~Q(validity="months") | Q(validity_months__gte=1),
                name="loyalty_tierpolicy_months_given",
                violation_error_message=_("Say how many months a tier is valid."),
            ),
            models.CheckConstraint(condition=Q(window_months__gte=1), name="loyalty_tierpolicy_window_months"),
        ]

    def __str__(self) -> str:
        return str(self.effective_from)


class TierCriteria(models.Model):
    """What reaches a tier from a date on: conditions over the figures of the time that counts."""

    tier = models.ForeignKey(Tier, models.CASCADE, related_name="criteria", verbose_name=_("tier"))
    effective_from = models.DateField(_("effective from"))
    # The common tree of conditions, over nights, stays, amount (in the programme's currency), points, …
    conditions = models.JSONField(_("reached by"))

    class Meta:
        verbose_name = _("tier threshold")
        verbose_name_plural = _("tier thresholds")
        ordering = ["tier", "-effective_from"]
        constraints = [
            models.UniqueConstraint(
                fields=["tier", "effective_from"],
                name="loyalty_tiercriteria_day_unique",
                violation_error_message=_("This tier has thresholds from this date already."),
            ),
        ]

    def __str__(self) -> str:
        return str(self.effective_from)


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
            _known(
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


class TierGrant(models.Model):
    """A tier that was given, not earned: by hand, matched, won, bought, or for life. It is a floor while it lasts."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    membership = models.ForeignKey(Membership, models.PROTECT, related_name="tier_grants", verbose_name=_("membership"))
    tier = models.ForeignKey(Tier, models.PROTECT, related_name="grants", verbose_name=_("tier"))
    source = models.CharField(_("tier from"), max_length=12, choices=TierSource)
    from_date = models.DateField(_("from"))
    until_date = models.DateField(
        _("valid until"), null=True, blank=True, help_text=_("The last day; empty: without end.")
    )
    reason = models.CharField(_("reason"), max_length=200)
    proof = models.CharField(_("proof"), max_length=400, blank=True)
    proof_reference = models.CharField(_("where the proof is kept"), max_length=200, blank=True)
    # What makes a purchase the same when it is sent again.
    reference = models.CharField(_("reference"), max_length=80, blank=True)
    granted_by = _who(_("granted by"))
    granted_at = models.DateTimeField(_("granted at"))
    # The tier before, to go back to.
    before_tier = models.ForeignKey(Tier, models.PROTECT, related_name="+", verbose_name=_("tier before"))
    before_until_date = models.DateField(_("tier before valid until"), null=True, blank=True)
    before_source = models.CharField(_("tier before from"), max_length=12, choices=TierSource)
    before_grant = models.ForeignKey("self", models.PROTECT, null=True, blank=True, related_name="+")
    revoked_at = models.DateTimeField(_("taken back at"), null=True, blank=True)
    revoked_by = _who(_("taken back by"))
    revoke_reason = models.CharField(_("why taken back"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("tier grant")
        verbose_name_plural = _("tier grants")
        permissions = [("grant_tier", _("Can grant tiers")), ("review_tiers", _("Can review tiers"))]
        constraints = [
            models.UniqueConstraint(
                fields=["membership", "source", "reference"],
                condition=~Q(reference=""),
                name="loyalty_tiergrant_reference_unique",
                violation_error_message=_("This was granted already."),
            ),
            models.CheckConstraint(
                condition=Q(until_date=None) | Q(until_date__gte=F("from_date")),
                name="loyalty_tiergrant_dates_ordered",
                violation_error_message=_("The end is before the beginning."),
            ),
            _known(
                "source",
                ["manual", "matched", "challenge", "purchased", "lifetime", "promotional"],
                "loyalty_tiergrant_source_known",
            ),
            _known("before_source", TierSource.values, "loyalty_tiergrant_before_known"),
        ]
        indexes = [models.Index(fields=["membership", "until_date"], name="loyalty_tiergrant_standing")]

    def __str__(self) -> str:
        return f"{self.membership_id} {self.tier_id}"


class TierChallenge(BilingualName):
    """A way to a tier: conditions to be met within some days of the start, such as 3 stays in 90 days."""

    programme = models.ForeignKey(Programme, models.CASCADE, related_name="challenges", verbose_name=_("programme"))
    code = models.SlugField(_("code"), max_length=40)
    tier = models.ForeignKey(Tier, models.PROTECT, related_name="+", verbose_name=_("tier"))
    conditions = models.JSONField(_("to be met"))
    days = models.PositiveSmallIntegerField(_("days"), validators=[MinValueValidator(1)])
    valid_months = models.PositiveSmallIntegerField(
        _("tier valid for months"), null=True, blank=True, help_text=_("Empty: as when it is earned.")
    )
    opens_on = models.DateField(_("may be started from"))
    closes_on = models.DateField(_("may be started until"), null=True, blank=True)

    class Meta:
        verbose_name = _("tier challenge")
        verbose_name_plural = _("tier challenges")
        constraints = [
            models.UniqueConstraint(
                fields=["programme", "code"],
                name="loyalty_tierchallenge_code_unique",
                violation_error_message=_("The programme has a challenge with this code already."),
            ),
        ]


class ChallengeEntry(models.Model):
    """A member's attempt at a challenge."""

    class State(models.TextChoices):
        """How it stands."""

        RUNNING = "running", _("running")
        WON = "won", _("won")
        FAILED = "failed", _("not won")
        WITHDRAWN = "withdrawn", _("withdrawn")

    membership = models.ForeignKey(
        Membership, models.PROTECT, related_name="challenge_entries", verbose_name=_("membership")
    )
    challenge = models.ForeignKey(TierChallenge, models.PROTECT, related_name="entries", verbose_name=_("challenge"))
    from_date = models.DateField(_("from"))
    until_date = models.DateField(_("until"), help_text=_("The last day."))
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.RUNNING)
    started_by = _who(_("started by"))
    started_at = models.DateTimeField(_("started at"))
    decided_at = models.DateTimeField(_("decided at"), null=True, blank=True)
    figures = models.JSONField(_("figures"), default=dict, blank=True)
    grant = models.ForeignKey(
        TierGrant, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("tier grant")
    )

    class Meta:
        verbose_name = _("challenge entry")
        verbose_name_plural = _("challenge entries")
        constraints = [
            models.UniqueConstraint(
                fields=["membership", "challenge"],
                name="loyalty_challengeentry_once",
                violation_error_message=_("This member took the challenge already."),
            ),
            _known("state", ["running", "won", "failed", "withdrawn"], "loyalty_challengeentry_state_known"),
        ]
        indexes = [
            models.Index(
                fields=["challenge", "until_date"],
                condition=Q(state="running"),
                name="loyalty_challengeentry_running",
            )
        ]

    def __str__(self) -> str:
        return f"{self.membership_id} {self.challenge_id}"


class TierReview(models.Model):
    """A review of tiers as on a day: built, looked at, approved, applied. Nothing changes before it is applied."""

    class State(models.TextChoices):
        """How far it is."""

        BUILDING = "building", _("being built")
        DRAFT = "draft", _("to be looked at")
        APPROVED = "approved", _("approved")
        APPLIED = "applied", _("applied")
        DISCARDED = "discarded", _("discarded")

    programme = models.ForeignKey(Programme, models.PROTECT, related_name="tier_reviews", verbose_name=_("programme"))
    run_date = models.DateField(_("run date"))
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.BUILDING)
    # Members up to this id are judged; an interrupted build goes on from here.
    built_to_id = models.BigIntegerField(default=0, editable=False)
    created_by = _who(_("created by"))
    created_at = models.DateTimeField(_("created at"))
    approved_by = _who(_("approved by"))
    approved_at = models.DateTimeField(_("approved at"), null=True, blank=True)
    applied_by = _who(_("applied by"))
    applied_at = models.DateTimeField(_("applied at"), null=True, blank=True)
    discarded_by = _who(_("discarded by"))
    discarded_at = models.DateTimeField(_("discarded at"), null=True, blank=True)

    class Meta:
        verbose_name = _("tier review")
        verbose_name_plural = _("tier reviews")
        constraints = [
            models.UniqueConstraint(
                fields=["programme", "run_date"],
                condition=~Q(state="discarded"),
                name="loyalty_tierreview_once",
                violation_error_message=_("There is a review of this day already; discard it first."),
            ),
            _known(
                "state", ["building", "draft", "approved", "applied", "discarded"], "loyalty_tierreview_state_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.programme_id} {self.run_date}"


class TierReviewRow(models.Model):
    """What a review does to one member, and why."""

    class Kind(models.TextChoices):
        """Which way."""

        UPGRADE = "upgrade", _("upgrade")
        RENEWAL = "renewal", _("renewal")
        DOWNGRADE = "downgrade", _("downgrade")

    class Decision(models.TextChoices):
        """What a manager decided about it."""

        INCLUDE = "include", _("included")
        EXCLUDE = "exclude", _("left out")

    class State(models.TextChoices):
        """What became of it."""

        PENDING = "pending", _("waiting")
        APPLIED = "applied", _("applied")
        SKIPPED = "skipped", _("skipped")

    class Skipped(models.TextChoices):
        """Why it was not applied."""

        EXCLUDED = "excluded", _("left out by a manager")
        INACTIVE = "inactive", _("the membership is no longer active")
        NO_LONGER = "no_longer", _("the member no longer moves")
        CHANGED = "changed", _("the member would move elsewhere by now")

    review = models.ForeignKey(TierReview, models.CASCADE, related_name="rows", verbose_name=_("tier review"))
    membership = models.ForeignKey(
        Membership, models.PROTECT, related_name="tier_review_rows", verbose_name=_("membership")
    )
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    from_tier = models.ForeignKey(Tier, models.PROTECT, related_name="+", verbose_name=_("from tier"))
    to_tier = models.ForeignKey(Tier, models.PROTECT, related_name="+", verbose_name=_("to tier"))
    until_date = models.DateField(_("valid until"), null=True, blank=True)
    figures = models.JSONField(_("figures"))
    # End and source of the tier, and the ranks that figures reach and that grants are a floor of.
    why = models.JSONField(_("why"))
    decision = models.CharField(_("decision"), max_length=8, choices=Decision, default=Decision.INCLUDE)
    decision_reason = models.CharField(_("reason of the decision"), max_length=200, blank=True)
    decided_by = _who(_("decided by"))
    decided_at = models.DateTimeField(_("decided at"), null=True, blank=True)
    state = models.CharField(_("state"), max_length=8, choices=State, default=State.PENDING)
    skipped_reason = models.CharField(_("why skipped"), max_length=20, choices=Skipped, blank=True)

    class Meta:
        verbose_name = _("row of a tier review")
        verbose_name_plural = _("rows of a tier review")
        constraints = [
            models.UniqueConstraint(fields=["review", "membership"], name="loyalty_tierreviewrow_once"),
            _known("kind", ["upgrade", "renewal", "downgrade"], "loyalty_tierreviewrow_kind_known"),
            _known("decision", ["include", "exclude"], "loyalty_tierreviewrow_decision_known"),
            _known("state", ["pending", "applied", "skipped"], "loyalty_tierreviewrow_state_known"),
            _known(
                "skipped_reason",
                ["", "excluded", "inactive", "no_longer", "changed"],
                "loyalty_tierreviewrow_skipped_known",
            ),
            models.CheckConstraint(
                condition=Q(decision="include") | ~Q(decision_reason=""),
                name="loyalty_tierreviewrow_reason_given",
                violation_error_message=_("Say why."),
            ),
        ]
        indexes = [
            models.Index(
                fields=["review", "membership"], condition=Q(state="pending"), name="loyalty_tierreviewrow_due"
            )
        ]

    def __str__(self) -> str:
        return f"{self.membership_id}: {self.from_tier_id} → {self.to_tier_id}"


class TierWarning(models.Model):
    """A member to be told that the tier ends, once for each end; whoever sends the message notes when."""

    membership = models.ForeignKey(
        Membership, models.PROTECT, related_name="tier_warnings", verbose_name=_("membership")
    )
    tier = models.ForeignKey(Tier, models.PROTECT, related_name="+", verbose_name=_("tier"))
    until_date = models.DateField(_("tier valid until"))
    # Where the figures of today lead.
    next_tier = models.ForeignKey(Tier, models.PROTECT, related_name="+", verbose_name=_("tier afterwards"))
    figures = models.JSONField(_("figures"))
    created_at = models.DateTimeField(_("created at"))
    sent_at = models.DateTimeField(_("sent at"), null=True, blank=True)

    class Meta:
        verbose_name = _("tier warning")
        verbose_name_plural = _("tier warnings")
        constraints = [
            models.UniqueConstraint(fields=["membership", "tier", "until_date"], name="loyalty_tierwarning_once"),
        ]
        indexes = [
            models.Index(fields=["id"], condition=Q(sent_at__isnull=True), name="loyalty_tierwarning_due"),
        ]

    def __str__(self) -> str:
        return f"{self.membership_id} {self.until_date}"


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
    actor = _who(_("who"))
    idempotency_key = models.CharField(max_length=64)
    undone_at = models.DateTimeField(_("undone at"), null=True, blank=True)
    undone_by = _who(_("undone by"))

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
