"""What members post about the hotels on social platforms, claimed for points and decided by staff."""

from __future__ import annotations

import builtins
import datetime as dt
import uuid
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from hotels.models import Property
from loyalty.models.membership import Membership
from loyalty.models.programme import Programme
from loyalty.rules.explain import spoken_reason

if TYPE_CHECKING:
    from hotels.models import User


class SharePolicyQuerySet(models.QuerySet["SharePolicy"]):
    """Reads of share policies."""

    def in_force(self, on_date: dt.date) -> SharePolicyQuerySet:
        """The one policy of each programme that is in force on a date."""
        return self.filter(effective_from__lte=on_date).order_by("programme", "-effective_from").distinct("programme")


class SharePolicy(models.Model):
    """How many shares a member may claim from a date on; without one the programme takes none."""

    programme = models.ForeignKey(Programme, models.CASCADE, related_name="share_policies", verbose_name=_("programme"))
    effective_from = models.DateField(_("in force from"))
    month_limit = models.PositiveSmallIntegerField(
        _("shares per member and month"),
        default=2,
        validators=[MinValueValidator(0)],
        help_text=_("Those that were refused do not count. 0: none are taken."),
    )
    needs_link = models.BooleanField(
        _("needs a link"), default=False, help_text=_("Off: a note that says where to find the post is enough.")
    )

    objects = SharePolicyQuerySet.as_manager()

    class Meta:
        verbose_name = _("share policy")
        verbose_name_plural = _("share policies")
        ordering = ["programme", "-effective_from", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["programme", "effective_from"],
                name="loyalty_sharepolicy_day_unique",
                violation_error_message=_("The programme has a policy from this date already."),
            ),
        ]

    def __str__(self) -> str:
        return str(self.effective_from)


class SocialShareQuerySet(models.QuerySet["SocialShare"]):
    """Reads of claims."""

    def visible_to(self, user: User) -> SocialShareQuerySet:
        """Staff see every claim of the group, a guest their own."""
        if user.is_superuser or user.active_assignments():
            return self
        return self.filter(membership__guest__user=user)


class SocialShare(models.Model):
    """One post a member claims points for; staff approve it, or refuse it with a reason."""

    class Platform(models.TextChoices):
        """Where it was posted."""

        XIAOHONGSHU = "xiaohongshu", _("Xiaohongshu")
        WEIBO = "weibo", _("Weibo")
        WECHAT = "wechat", _("WeChat")
        DOUYIN = "douyin", _("Douyin")
        OTHER = "other", pgettext_lazy("social platform", "another platform")

    class State(models.TextChoices):
        """Where the claim stands."""

        SUBMITTED = "submitted", pgettext_lazy("share", "to be decided")
        APPROVED = "approved", pgettext_lazy("share", "approved")
        REJECTED = "rejected", pgettext_lazy("share", "refused")

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    programme = models.ForeignKey(Programme, models.PROTECT, related_name="shares", verbose_name=_("programme"))
    membership = models.ForeignKey(Membership, models.PROTECT, related_name="shares", verbose_name=_("membership"))
    platform = models.CharField(_("platform"), max_length=12, choices=Platform)
    link = models.CharField(_("link"), max_length=500, blank=True)
    # What makes two links the same post: `loyalty.rules.shares`.
    link_key = models.CharField(max_length=300, blank=True, editable=False)
    note = models.CharField(_("note"), max_length=200, blank=True)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.SUBMITTED)
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    submitted_at = models.DateTimeField(_("submitted at"))
    # The calendar date of `submitted_at` in the programme's time zone, which the limit goes by.
    submitted_on = models.DateField(_("submitted on"))
    # Empty where the member did it.
    submitted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("submitted by"),
    )
    property = models.ForeignKey(
        Property, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("property")
    )
    decided_at = models.DateTimeField(_("decided at"), null=True, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("decided by")
    )
    # How often points were granted: each time again after an undo has its own line in the ledger.
    grants = models.PositiveSmallIntegerField(_("times granted"), default=0)

    objects = SocialShareQuerySet.as_manager()

    class Meta:
        verbose_name = _("social share")
        verbose_name_plural = _("social shares")
        permissions = [
            ("submit_share", _("Can enter social shares")),
            ("decide_share", _("Can approve and refuse social shares")),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["programme", "link_key"],
                condition=~Q(link_key="") & ~Q(state="rejected"),
                name="loyalty_socialshare_link_once",
                violation_error_message=_("This post was claimed already."),
            ),
            models.CheckConstraint(
                condition=Q(platform__in=["xiaohongshu", "weibo", "wechat", "douyin", "other"]),
                name="loyalty_socialshare_platform_known",
            ),
            models.CheckConstraint(
                condition=Q(state="submitted", decided_at=None, reason="")
                | Q(state="approved", decided_at__isnull=False, reason="", grants__gte=1)
                | (Q(state="rejected", decided_at__isnull=False) & ~Q(reason="")),
                name="loyalty_socialshare_state_legal",
            ),
            models.CheckConstraint(
                condition=~Q(link="") | ~Q(note=""),
                name="loyalty_socialshare_something_given",
                violation_error_message=_("Give a link, or say where to find the post."),
            ),
        ]
        indexes = [
            models.Index(fields=["membership", "-id"], name="loyalty_share_of_member"),
            models.Index(fields=["state", "id"], name="loyalty_share_queue"),
        ]

    def __str__(self) -> str:
        return f"{self.get_platform_display()} {self.submitted_on}"

    @builtins.property
    def href(self) -> str:
        """The link if it is an address of the web, which a page may lead to; else empty."""
        return self.link if self.link.startswith(("https://", "http://")) else ""

    @builtins.property
    def shown_reason(self) -> str:
        """Why it was refused; what the desk says by itself in the reader's language."""
        return spoken_reason(self.reason)
