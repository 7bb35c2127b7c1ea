"""Reviews that move members down, and the warnings before."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from loyalty.models.membership import Membership
from loyalty.models.programme import Programme, Tier
from loyalty.models.tiers.columns import known, who


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
    created_by = who(_("created by"))
    created_at = models.DateTimeField(_("created at"))
    approved_by = who(_("approved by"))
    approved_at = models.DateTimeField(_("approved at"), null=True, blank=True)
    applied_by = who(_("applied by"))
    applied_at = models.DateTimeField(_("applied at"), null=True, blank=True)
    discarded_by = who(_("discarded by"))
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
            known("state", ["building", "draft", "approved", "applied", "discarded"], "loyalty_tierreview_state_known"),
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
    decided_by = who(_("decided by"))
    decided_at = models.DateTimeField(_("decided at"), null=True, blank=True)
    state = models.CharField(_("state"), max_length=8, choices=State, default=State.PENDING)
    skipped_reason = models.CharField(_("why skipped"), max_length=20, choices=Skipped, blank=True)

    class Meta:
        verbose_name = _("row of a tier review")
        verbose_name_plural = _("rows of a tier review")
        constraints = [
            models.UniqueConstraint(fields=["review", "membership"], name="loyalty_tierreviewrow_once"),
            known("kind", ["upgrade", "renewal", "downgrade"], "loyalty_tierreviewrow_kind_known"),
            known("decision", ["include", "exclude"], "loyalty_tierreviewrow_decision_known"),
            known("state", ["pending", "applied", "skipped"], "loyalty_tierreviewrow_state_known"),
            known(
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
