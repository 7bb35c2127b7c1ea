"""Tiers by hand, and challenges that win one."""

from __future__ import annotations

import uuid

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from hotels.models import BilingualName
from loyalty.models.membership import Membership, TierSource
from loyalty.models.programme import Programme, Tier
from loyalty.models.tiers.columns import known, who


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
    granted_by = who(_("granted by"))
    granted_at = models.DateTimeField(_("granted at"))
    # The tier before, to go back to.
    before_tier = models.ForeignKey(Tier, models.PROTECT, related_name="+", verbose_name=_("tier before"))
    before_until_date = models.DateField(_("tier before valid until"), null=True, blank=True)
    before_source = models.CharField(_("tier before from"), max_length=12, choices=TierSource)
    before_grant = models.ForeignKey("self", models.PROTECT, null=True, blank=True, related_name="+")
    revoked_at = models.DateTimeField(_("taken back at"), null=True, blank=True)
    revoked_by = who(_("taken back by"))
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
            known(
                "source",
                ["manual", "matched", "challenge", "purchased", "lifetime", "promotional"],
                "loyalty_tiergrant_source_known",
            ),
            known("before_source", TierSource.values, "loyalty_tiergrant_before_known"),
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
    started_by = who(_("started by"))
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
            known("state", ["running", "won", "failed", "withdrawn"], "loyalty_challengeentry_state_known"),
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
