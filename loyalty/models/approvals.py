"""What staff may move on their own, what waits for a second pair of eyes, and the record of what was moved."""

from __future__ import annotations

import builtins
import datetime as dt
import uuid
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from hotels.models import Brand, Property, Role
from loyalty.models.ledger import Hold
from loyalty.models.membership import Membership
from loyalty.models.programme import Programme
from loyalty.rules.approvals import POINTS, TIMES

if TYPE_CHECKING:
    from hotels.models import User


class MovementKind(models.TextChoices):
    """What can be limited; each has a handler in `loyalty.services.approvals`."""

    ADJUST = "adjust", _("adjustment of points")
    REDEEM = "redeem", pgettext_lazy("movement", "redemption")
    CANCEL_REDEMPTION = "cancel_redemption", _("cancellation of a redemption")
    ISSUE_VOUCHER = "issue_voucher", _("issue of a voucher")
    VOUCHER_BATCH = "voucher_batch", _("batch of vouchers")
    GRANT_TIER = "grant_tier", _("grant of a tier")
    COMPENSATION = "compensation", _("compensation")
    TRANSFER = "transfer", _("transfer of points")
    TOP_UP = "top_up", _("top-up")
    TOP_UP_REFUND = "top_up_refund", _("refund of a top-up")


def amount_field(label: Any, **options: Any) -> models.DecimalField[Any, Any]:
    """Points, money or a number of times, above or equal to zero; the unit stands in a field of its own."""
    return models.DecimalField(label, max_digits=14, decimal_places=2, **options)


def _scope_of(user: User) -> Q:
    """Rows of the properties the user works for; those of no property for users of the whole group."""
    places = Q(property__in=Property.objects.visible_to(user))
    is_of_group = any(a.group_id for a in user.active_assignments())
    return places | Q(property__isnull=True) if is_of_group else places


class ApprovalLimitQuerySet(models.QuerySet["ApprovalLimit"]):
    """Reads of limits."""

    def in_force(self, on_date: dt.date) -> ApprovalLimitQuerySet:
        """The one limit of each role, kind, unit and scope that is in force on a date."""
        key = ("programme_id", "kind", "unit", "role", "brand_id", "property_id")
        return self.filter(effective_from__lte=on_date).order_by(*key, "-effective_from").distinct(*key)


class ApprovalLimit(models.Model):
    """How much a role may move on its own, in one movement and in one day, and who decides about more.

    It holds for a property, a brand or, without either, the whole programme; the narrower one counts. A role
    without any limit for a kind of movement is not limited.
    """

    programme = models.ForeignKey(
        Programme, models.CASCADE, related_name="approval_limits", verbose_name=_("programme")
    )
    kind = models.CharField(_("movement"), max_length=20, choices=MovementKind)
    role = models.CharField(_("role"), max_length=20, choices=Role)
    unit = models.CharField(
        _("unit"), max_length=6, default=POINTS, help_text=_("“points”, “times”, or a currency such as CNY.")
    )
    brand = models.ForeignKey(Brand, models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("brand"))
    property = models.ForeignKey(
        Property, models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("property")
    )
    per_movement = amount_field(
        _("limit per movement"),
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text=_("Empty: no limit. 0: every movement needs an approval."),
    )
    per_day = amount_field(
        _("limit per day"),
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text=_("Of one member of staff, all members together. Empty: no limit."),
    )
    approver_role = models.CharField(
        _("approved by"), max_length=20, choices=Role, help_text=_("This role or a higher one, but never who asked.")
    )
    effective_from = models.DateField(_("in force from"))

    objects = ApprovalLimitQuerySet.as_manager()

    class Meta:
        verbose_name = _("approval limit")
        verbose_name_plural = _("approval limits")
        ordering = ["programme", "kind", "role", "-effective_from", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["programme", "kind", "unit", "role", "brand", "property", "effective_from"],
                nulls_distinct=False,
                name="loyalty_approvallimit_day_unique",
                violation_error_message=_("There is a limit from this date already."),
            ),
            models.CheckConstraint(condition=Q(kind__in=MovementKind.values), name="loyalty_approvallimit_kind_known"),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="loyalty_approvallimit_role_known"),
            models.CheckConstraint(
                condition=Q(approver_role__in=["property_manager", "group_manager"]),
                name="loyalty_approvallimit_approver_role_known",
                violation_error_message=_("Property managers and group managers approve."),
            ),
            models.CheckConstraint(
                condition=Q(unit__in=[POINTS, TIMES]) | Q(unit__regex=r"^[A-Z]{3}$"),
                name="loyalty_approvallimit_unit_known",
                violation_error_message=_("The unit is “points”, “times”, or a currency such as CNY."),
            ),
            models.CheckConstraint(
                condition=Q(brand__isnull=True) | Q(property__isnull=True),
                name="loyalty_approvallimit_one_scope",
                violation_error_message=_("Choose a brand or a property, not both."),
            ),
            models.CheckConstraint(
                condition=(Q(per_movement__isnull=True) | Q(per_movement__gte=0))
                & (Q(per_day__isnull=True) | Q(per_day__gte=0)),
                name="loyalty_approvallimit_not_negative",
                violation_error_message=_("A limit is zero or more."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} · {self.get_role_display()} ({self.effective_from})"


class VelocityRuleQuerySet(models.QuerySet["VelocityRule"]):
    """Reads of velocity rules."""

    def in_force(self, on_date: dt.date) -> VelocityRuleQuerySet:
        """The newest rule of each programme, check and kind of movement that has begun; it may be switched off."""
        key = ("programme_id", "check_code", "kind")
        return self.filter(effective_from__lte=on_date).order_by(*key, "-effective_from").distinct(*key)


class VelocityRule(models.Model):
    """A pattern of movements that is held for review, or only marked, from a date on."""

    class Check(models.TextChoices):
        """What is looked at."""

        SAME_PAIR = "same_pair", _("same member of staff and same member")
        NEAR_LIMIT = "near_limit", _("just under the limit")
        AFTER_PHONE_CHANGE = "after_phone_change", _("after a change of telephone")
        MEMBER_COUNT = "member_count", _("many movements of one member")
        OWN_ACCOUNT = "own_account", _("own account")

    class Outcome(models.TextChoices):
        """What happens to a movement that matches."""

        HOLD = "hold", _("hold for approval")
        FLAG = "flag", _("carry out and mark for review")

    programme = models.ForeignKey(Programme, models.CASCADE, related_name="velocity_rules", verbose_name=_("programme"))
    check_code = models.CharField(_("check"), max_length=20, choices=Check)
    kind = models.CharField(
        _("movement"), max_length=20, choices=MovementKind, blank=True, help_text=_("Empty: every movement.")
    )
    count = models.PositiveSmallIntegerField(
        _("allowed movements"),
        default=0,
        help_text=_("The next one in the time is held or marked. 0: the first one already."),
    )
    hours = models.PositiveSmallIntegerField(
        _("within hours"), default=24, validators=[MinValueValidator(1), MaxValueValidator(24 * 90)]
    )
    percent = models.PositiveSmallIntegerField(
        _("from percent of the limit"),
        default=90,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text=_("Only for “just under the limit”."),
    )
    outcome = models.CharField(_("outcome"), max_length=8, choices=Outcome, default=Outcome.HOLD)
    reviewer_role = models.CharField(_("reviewed by"), max_length=20, choices=Role, default=Role.PROPERTY_MANAGER)
    is_active = models.BooleanField(
        _("active"), default=True, help_text=_("Off: from this date there is no such rule.")
    )
    effective_from = models.DateField(_("in force from"))

    objects = VelocityRuleQuerySet.as_manager()

    class Meta:
        verbose_name = _("velocity rule")
        verbose_name_plural = _("velocity rules")
        ordering = ["programme", "check_code", "kind", "-effective_from", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["programme", "check_code", "kind", "effective_from"],
                name="loyalty_velocityrule_day_unique",
                violation_error_message=_("There is a rule from this date already."),
            ),
            models.CheckConstraint(
                condition=Q(
                    check_code__in=["same_pair", "near_limit", "after_phone_change", "member_count", "own_account"]
                ),
                name="loyalty_velocityrule_check_code_known",
            ),
            models.CheckConstraint(
                condition=Q(kind="") | Q(kind__in=MovementKind.values), name="loyalty_velocityrule_kind_known"
            ),
            models.CheckConstraint(
                condition=Q(outcome__in=["hold", "flag"]), name="loyalty_velocityrule_outcome_known"
            ),
            models.CheckConstraint(
                condition=Q(reviewer_role__in=["property_manager", "group_manager"]),
                name="loyalty_velocityrule_reviewer_role_known",
                violation_error_message=_("Property managers and group managers approve."),
            ),
            models.CheckConstraint(
                condition=Q(hours__gte=1, hours__lte=24 * 90, percent__gte=1, percent__lte=100),
                name="loyalty_velocityrule_in_range",
                violation_error_message=_("At most 90 days, and 1 to 100 percent."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_check_code_display()} ({self.effective_from})"


class DailyUse(models.Model):
    """What a member of staff has moved on their own on a day; the row is the lock of the daily limit."""

    programme = models.ForeignKey(Programme, models.PROTECT, related_name="+", verbose_name=_("programme"))
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("who"))
    kind = models.CharField(_("movement"), max_length=20, choices=MovementKind)
    unit = models.CharField(_("unit"), max_length=6)
    # Calendar date in the programme's time zone.
    day = models.DateField(_("day"))
    used = amount_field(_("used"), default=0)
    movements = models.PositiveIntegerField(_("movements"), default=0)
    # The limit under which `used` last grew.
    day_limit = amount_field(_("limit per day"), null=True)

    class Meta:
        verbose_name = _("daily use of limits")
        verbose_name_plural = _("daily use of limits")
        constraints = [
            models.UniqueConstraint(
                fields=["user", "day", "kind", "unit", "programme"], name="loyalty_dailyuse_one_a_day"
            ),
            models.CheckConstraint(condition=Q(kind__in=MovementKind.values), name="loyalty_dailyuse_kind_known"),
            models.CheckConstraint(
                condition=Q(used__gte=0) & (Q(day_limit__isnull=True) | Q(used__lte=F("day_limit"))),
                name="loyalty_dailyuse_within_limit",
                violation_error_message=_("The daily limit is used up."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.day} {self.kind}"


class ApprovalRequestQuerySet(models.QuerySet["ApprovalRequest"]):
    """Reads of requests."""

    def visible_to(self, user: User) -> ApprovalRequestQuerySet:
        """All of the user's properties for who may see movements there; else what the user asked for."""
        if user.is_superuser:
            return self
        own = Q(requested_by=user)
        return self.filter(own | _scope_of(user)) if user.has_perm("loyalty.view_movementrecord") else self.filter(own)


class ApprovalRequest(models.Model):
    """A movement that somebody asked for and somebody else decides about.

    What was asked for is never altered, and a decision is final: triggers refuse both.
    """

    class State(models.TextChoices):
        """Where the request stands."""

        PENDING = "pending", pgettext_lazy("approval", "waiting")
        APPROVED = "approved", pgettext_lazy("approval", "approved and carried out")
        REFUSED = "refused", pgettext_lazy("approval", "refused")
        WITHDRAWN = "withdrawn", pgettext_lazy("approval", "withdrawn")
        EXPIRED = "expired", pgettext_lazy("approval", "expired")
        FAILED = "failed", pgettext_lazy("approval", "approved, but no longer possible")

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    programme = models.ForeignKey(Programme, models.PROTECT, related_name="+", verbose_name=_("programme"))
    kind = models.CharField(_("movement"), max_length=20, choices=MovementKind)
    membership = models.ForeignKey(
        Membership, models.PROTECT, null=True, related_name="approval_requests", verbose_name=_("membership")
    )
    property = models.ForeignKey(Property, models.PROTECT, null=True, related_name="+", verbose_name=_("property"))
    value = amount_field(_("amount"))
    unit = models.CharField(_("unit"), max_length=6)
    # What the handler of the kind carries out, and a signature over it and every other fact of the request.
    payload = models.JSONField(_("content"))
    signature = models.CharField(max_length=120, editable=False)
    # The name of what it is about, in both languages, as it was then; empty where the kind says everything.
    subject = models.JSONField(_("about"), default=dict)
    # Why it was not carried out at once: limits and rules with their figures, see `loyalty.rules.approvals`.
    grounds = models.JSONField(_("grounds"))
    reason = models.CharField(_("reason"), max_length=300, blank=True)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", verbose_name=_("requested by")
    )
    requested_at = models.DateTimeField(_("requested at"))
    approver_role = models.CharField(_("approved by"), max_length=20, choices=Role)
    expires_at = models.DateTimeField(_("expires at"))
    idempotency_key = models.CharField(_("request key"), max_length=200)
    hold = models.ForeignKey(
        Hold, models.PROTECT, null=True, related_name="+", db_constraint=False, db_index=False, verbose_name=_("hold")
    )
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.PENDING)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", verbose_name=_("decided by")
    )
    decided_at = models.DateTimeField(_("decided at"), null=True)
    note = models.CharField(_("note"), max_length=300, blank=True)
    # What came of it: the record that the handler names, or the code of why it was no longer possible.
    reference = models.CharField(_("posting"), max_length=80, blank=True)
    failure = models.CharField(_("failure"), max_length=300, blank=True)

    objects = ApprovalRequestQuerySet.as_manager()

    class Meta:
        verbose_name = _("approval request")
        verbose_name_plural = _("approval requests")
        permissions = [("decide_approval", _("Can approve and refuse movements above limits"))]
        constraints = [
            models.UniqueConstraint(
                fields=["programme", "kind", "idempotency_key"], name="loyalty_approvalrequest_key_unique"
            ),
            models.CheckConstraint(
                condition=Q(kind__in=MovementKind.values), name="loyalty_approvalrequest_kind_known"
            ),
            models.CheckConstraint(
                condition=Q(decided_by__isnull=True) | Q(requested_by__isnull=True) | ~Q(decided_by=F("requested_by")),
                name="loyalty_approvalrequest_four_eyes",
                violation_error_message=_("Nobody decides about their own request."),
            ),
            models.CheckConstraint(
                condition=Q(approver_role__in=["property_manager", "group_manager"]),
                name="loyalty_approvalrequest_approver_role_known",
            ),
            models.CheckConstraint(
                condition=Q(state="pending", decided_by=None, decided_at=None, note="", reference="", failure="")
                | Q(state="approved", decided_by__isnull=False, decided_at__isnull=False, failure="")
                | (Q(state="refused", decided_by__isnull=False, decided_at__isnull=False, reference="") & ~Q(note=""))
                | Q(state__in=["withdrawn", "expired"], decided_by=None, decided_at__isnull=False, reference="")
                | (
                    Q(state="failed", decided_by__isnull=False, decided_at__isnull=False, reference="") & ~Q(failure="")
                ),
                name="loyalty_approvalrequest_state_legal",
            ),
            models.CheckConstraint(condition=Q(value__gte=0), name="loyalty_approvalrequest_not_negative"),
        ]
        indexes = [
            models.Index(fields=["property", "id"], condition=Q(state="pending"), name="loyalty_approval_queue"),
            models.Index(fields=["expires_at"], condition=Q(state="pending"), name="loyalty_approval_due"),
            models.Index(fields=["membership"], condition=Q(state="pending"), name="loyalty_approval_waiting"),
            models.Index(fields=["requested_by", "-id"], name="loyalty_approval_own"),
            models.Index(fields=["property", "-id"], name="loyalty_approval_of_place"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.number}"

    @builtins.property
    def number(self) -> int:
        """What people call the request by."""
        return self.pk

    @builtins.property
    def is_pending(self) -> bool:
        """Whether it can still be decided."""
        return self.state == self.State.PENDING


class MovementRecordQuerySet(models.QuerySet["MovementRecord"]):
    """Reads of what was moved."""

    def visible_to(self, user: User) -> MovementRecordQuerySet:
        """The movements of the user's properties; those of no property for users of the whole group."""
        return self if user.is_superuser else self.filter(_scope_of(user))


class MovementRecord(models.Model):
    """One movement that was carried out: what the velocity rules look at and the daily limits add up.

    Append-only, but for the review of one that a rule has marked.
    """

    programme = models.ForeignKey(
        Programme, models.PROTECT, related_name="+", db_index=False, verbose_name=_("programme")
    )
    kind = models.CharField(_("movement"), max_length=20, choices=MovementKind)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", db_index=False, verbose_name=_("who")
    )
    membership = models.ForeignKey(
        Membership, models.PROTECT, null=True, related_name="+", db_index=False, verbose_name=_("membership")
    )
    property = models.ForeignKey(Property, models.PROTECT, null=True, related_name="+", verbose_name=_("property"))
    value = amount_field(_("amount"))
    unit = models.CharField(_("unit"), max_length=6)
    # The limit per movement of the actor at that time.
    limit = amount_field(_("limit per movement"), null=True)
    at = models.DateTimeField(_("at"))
    # The day whose limit it used up; empty where somebody else approved it, or no member of staff did it.
    counted_on = models.DateField(_("counted on"), null=True)
    request = models.OneToOneField(
        ApprovalRequest, models.PROTECT, null=True, related_name="movement", verbose_name=_("approval request")
    )
    idempotency_key = models.CharField(_("request key"), max_length=200)
    signature = models.CharField(max_length=120, editable=False)
    reference = models.CharField(_("posting"), max_length=80, blank=True)
    # The rules that marked it; empty for most.
    flags = models.JSONField(_("grounds"), default=list)
    reviewed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", verbose_name=_("reviewed by")
    )
    reviewed_at = models.DateTimeField(_("reviewed at"), null=True)
    review_note = models.CharField(_("note"), max_length=300, blank=True)

    objects = MovementRecordQuerySet.as_manager()

    class Meta:
        verbose_name = _("movement")
        verbose_name_plural = _("movements")
        constraints = [
            models.UniqueConstraint(
                fields=["programme", "kind", "idempotency_key"], name="loyalty_movementrecord_key_unique"
            ),
            models.CheckConstraint(condition=Q(kind__in=MovementKind.values), name="loyalty_movementrecord_kind_known"),
            models.CheckConstraint(condition=Q(value__gte=0), name="loyalty_movementrecord_not_negative"),
            models.CheckConstraint(
                condition=Q(reviewed_by__isnull=True, reviewed_at__isnull=True, review_note="")
                | (Q(reviewed_by__isnull=False, reviewed_at__isnull=False) & ~Q(flags=[])),
                name="loyalty_movementrecord_review_legal",
            ),
            models.CheckConstraint(
                condition=Q(reviewed_by__isnull=True) | Q(actor__isnull=True) | ~Q(reviewed_by=F("actor")),
                name="loyalty_movementrecord_four_eyes",
                violation_error_message=_("Nobody reviews their own movement."),
            ),
        ]
        indexes = [
            models.Index(fields=["membership", "-at"], name="loyalty_movement_of_member"),
            models.Index(fields=["actor", "kind", "-at"], name="loyalty_movement_of_actor"),
            models.Index(
                fields=["property", "id"],
                condition=~Q(flags=[]) & Q(reviewed_at__isnull=True),
                name="loyalty_movement_marked",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.value} {self.unit}"
