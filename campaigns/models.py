"""Campaigns: what marketing offers to whom and when."""

from __future__ import annotations

import builtins
import datetime as dt
import uuid

from django.db import models
from django.db.models import F, Q
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from hotels.models import BilingualName, Property
from loyalty.models import Tier


class CampaignQuerySet(models.QuerySet["Campaign"]):
    """Reads of campaigns."""

    def running(self, on_date: dt.date) -> CampaignQuerySet:
        """Keep active campaigns that run on a date."""
        return self.filter(status=Campaign.Status.ACTIVE, starts_on__lte=on_date, ends_on__gte=on_date)


class Campaign(BilingualName):
    """An offer for a time, shown on the guest page to those it is meant for."""

    class Status(models.TextChoices):
        """Where the campaign stands."""

        DRAFT = "draft", _("draft")
        ACTIVE = "active", _("active")
        ENDED = "ended", _("ended")

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    offer = models.CharField(_("offer (Chinese)"), max_length=200)
    offer_en = models.CharField(_("offer (English)"), max_length=200, blank=True)
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.DRAFT)
    starts_on = models.DateField(_("starts on"))
    ends_on = models.DateField(_("ends on (included)"))
    property = models.ForeignKey(
        Property, models.CASCADE, null=True, blank=True, related_name="campaigns", verbose_name=_("only at property")
    )
    minimum_tier = models.ForeignKey(
        Tier, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("from tier")
    )

    objects = CampaignQuerySet.as_manager()

    @builtins.property
    def local_offer(self) -> str:
        """The offer in the language of the reader; Chinese where there is no English one."""
        if (get_language() or "").startswith("en") and self.offer_en:
            return self.offer_en
        return self.offer

    class Meta:
        verbose_name = _("campaign")
        verbose_name_plural = _("campaigns")
        ordering = ["-starts_on", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_on__gte=F("starts_on")),
                name="campaigns_campaign_dates_ordered",
                violation_error_message=_("The end is before the beginning."),
            ),
            models.CheckConstraint(
                condition=Q(status__in=["draft", "active", "ended"]), name="campaigns_campaign_status_known"
            ),
        ]
