"""One guest, one profile: merges, pairs that are not one person, pairs that may be, and runs of the linkage."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from members.models.guest import Guest


class GuestMerge(models.Model):
    """A profile that went into another one, what moved, and whether it was undone."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    survivor = models.ForeignKey(Guest, models.PROTECT, related_name="merges", verbose_name=_("profile kept"))
    merged = models.ForeignKey(Guest, models.PROTECT, related_name="merged_by", verbose_name=_("profile merged"))
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("who")
    )
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    # What each handler moved, by its name: `members.services.merges.registry`.
    moved = models.JSONField(_("what moved"), default=dict)
    merged_at = models.DateTimeField(_("merged at"))
    undone_at = models.DateTimeField(_("undone at"), null=True, blank=True)
    undone_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("undone by")
    )
    undo_reason = models.CharField(_("why undone"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("merge of guests")
        verbose_name_plural = _("merges of guests")
        constraints = [
            models.CheckConstraint(
                condition=~Q(survivor=F("merged")),
                name="members_guestmerge_two_guests",
                violation_error_message=_("A profile cannot be merged with itself."),
            ),
            models.UniqueConstraint(
                fields=["merged"],
                condition=Q(undone_at=None),
                name="members_guestmerge_once",
                violation_error_message=_("This profile is merged already."),
            ),
        ]
        indexes = [
            models.Index(fields=["survivor", "-id"], condition=Q(undone_at=None), name="members_guestmerge_standing")
        ]

    def __str__(self) -> str:
        return f"{self.merged_id} → {self.survivor_id}"


class NotSamePerson(models.Model):
    """Two guests of whom somebody said that they are two people; never proposed again, never merged by itself."""

    first = models.ForeignKey(Guest, models.CASCADE, related_name="+", verbose_name=_("guest"))
    second = models.ForeignKey(Guest, models.CASCADE, related_name="+", verbose_name=_("other guest"))
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("decided by")
    )
    decided_at = models.DateTimeField(_("decided at"))

    class Meta:
        verbose_name = _("pair of two people")
        verbose_name_plural = _("pairs of two people")
        constraints = [
            models.CheckConstraint(condition=Q(first__lt=F("second")), name="members_notsameperson_ordered"),
            models.UniqueConstraint(
                fields=["first", "second"],
                name="members_notsameperson_unique",
                violation_error_message=_("This is known already."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.first_id} ≠ {self.second_id}"


class LinkageRun(models.Model):
    """One search for guests who are probably one person, over everybody; its progress and figures."""

    class State(models.TextChoices):
        """Where the run stands."""

        WAITING = "waiting", pgettext_lazy("linkage", "waiting")
        RUNNING = "running", pgettext_lazy("linkage", "running")
        DONE = "done", pgettext_lazy("linkage", "done")
        FAILED = "failed", pgettext_lazy("linkage", "failed")

    state = models.CharField(_("state"), max_length=8, choices=State, default=State.WAITING)
    step = models.CharField(_("step"), max_length=12, blank=True)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("who")
    )
    requested_at = models.DateTimeField(_("requested at"))
    started_at = models.DateTimeField(_("started at"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)
    guest_count = models.PositiveIntegerField(_("guests compared"), default=0)
    merged_count = models.PositiveIntegerField(_("merged"), default=0)
    review_count = models.PositiveIntegerField(_("to be looked at"), default=0)
    error = models.CharField(_("error"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("search for duplicates")
        verbose_name_plural = _("searches for duplicates")
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["waiting", "running", "done", "failed"]), name="members_linkagerun_state_known"
            ),
            models.UniqueConstraint(
                fields=["state"],
                condition=Q(state="running"),
                name="members_linkagerun_one_running",
                violation_error_message=_("A search is running already."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.requested_at:%Y-%m-%d %H:%M} {self.state}"


class MergeCandidate(models.Model):
    """Two guests who may be one person, with the evidence, until somebody decides."""

    class State(models.TextChoices):
        """What became of it."""

        OPEN = "open", pgettext_lazy("pair", "to be decided")
        LATER = "later", pgettext_lazy("pair", "put off")
        MERGED = "merged", pgettext_lazy("pair", "merged")
        APART = "apart", pgettext_lazy("pair", "two people")

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    first = models.ForeignKey(Guest, models.CASCADE, related_name="+", verbose_name=_("guest"))
    second = models.ForeignKey(Guest, models.CASCADE, related_name="+", verbose_name=_("other guest"))
    # Match weight of the linkage: log2 of the odds that both are one person.
    weight = models.FloatField(_("weight"))
    # Codes of `members.rules.linkage.Evidence`, strongest first.
    evidence = models.JSONField(_("evidence"), default=list)
    state = models.CharField(_("state"), max_length=8, choices=State, default=State.OPEN)
    found_at = models.DateTimeField(_("found at"))
    decided_at = models.DateTimeField(_("decided at"), null=True, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("decided by")
    )

    class Meta:
        verbose_name = _("possible duplicate")
        verbose_name_plural = _("possible duplicates")
        constraints = [
            models.CheckConstraint(condition=Q(first__lt=F("second")), name="members_mergecandidate_ordered"),
            models.CheckConstraint(
                condition=Q(state__in=["open", "later", "merged", "apart"]), name="members_mergecandidate_state_known"
            ),
            models.UniqueConstraint(fields=["first", "second"], name="members_mergecandidate_unique"),
        ]
        indexes = [models.Index(fields=["state", "-weight", "-id"], name="members_mergecandidate_queue")]

    def __str__(self) -> str:
        return f"{self.first_id} ~ {self.second_id}"
