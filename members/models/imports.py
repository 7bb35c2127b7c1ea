"""A file of guests on its way in: the batch and its rows."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from hotels.models import Property
from members.models.guest import Guest

if TYPE_CHECKING:
    from hotels.models import User


class ImportBatchQuerySet(models.QuerySet["ImportBatch"]):
    """Reads of import batches."""

    def visible_to(self, user: User) -> ImportBatchQuerySet:
        """Keep batches of the user's properties."""
        return self.filter(property__in=Property.objects.visible_to(user))


class ImportSource(models.Model):
    """Where files come from, and what its columns were the last time, so that nobody matches them twice."""

    name = models.CharField(_("name"), max_length=60, unique=True)
    # Header without case, spaces and brackets → field of `members.rules.headers.FIELDS`; empty for a column left out.
    columns = models.JSONField(_("columns"), default=dict)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        verbose_name = _("source of imports")
        verbose_name_plural = _("sources of imports")
        constraints = [models.CheckConstraint(condition=~Q(name=""), name="members_importsource_named")]

    def __str__(self) -> str:
        return self.name


class ImportBatch(models.Model):
    """One uploaded file: checked first, then applied row by row in the background."""

    class Status(models.TextChoices):
        """Where the batch stands."""

        UPLOADED = "uploaded", _("uploaded")
        CHECKING = "checking", _("checking")
        CHECKED = "checked", _("checked")
        APPLYING = "applying", _("applying")
        APPLIED = "applied", _("applied")
        CANCELED = "canceled", _("canceled")
        FAILED = "failed", _("failed")
        UNDOING = "undoing", _("being undone")
        UNDONE = "undone", _("undone")

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    property = models.ForeignKey(Property, models.PROTECT, related_name="import_batches", verbose_name=_("property"))
    source = models.ForeignKey(
        ImportSource, models.PROTECT, null=True, blank=True, related_name="batches", verbose_name=_("source")
    )
    file_name = models.CharField(_("file"), max_length=200)
    file = models.FileField(_("file"), upload_to="imports/%Y/%m/", max_length=300)
    file_sha256 = models.CharField(max_length=64, editable=False)
    encoding = models.CharField(_("encoding"), max_length=20, blank=True)
    # Column number (as a string) → field name of `members.rules.headers.FIELDS`.
    mapping = models.JSONField(_("columns"), default=dict)
    headers = models.JSONField(_("header row"), default=list)
    # For each column a few cells of the first rows, personal numbers masked.
    samples = models.JSONField(_("samples"), default=list)
    status = models.CharField(_("status"), max_length=12, choices=Status, default=Status.UPLOADED)
    failure = models.CharField(_("failure"), max_length=300, blank=True)
    row_count = models.PositiveIntegerField(_("rows"), default=0)
    create_count = models.PositiveIntegerField(_("new"), default=0)
    update_count = models.PositiveIntegerField(_("changed"), default=0)
    unchanged_count = models.PositiveIntegerField(_("unchanged"), default=0)
    error_count = models.PositiveIntegerField(_("wrong"), default=0)
    done_count = models.PositiveIntegerField(_("done"), default=0)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", verbose_name=_("imported by")
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    started_at = models.DateTimeField(_("started at"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)
    # Rows taken back, and rows kept because their guest was changed or used since.
    undone_count = models.PositiveIntegerField(_("taken back"), default=0)
    kept_count = models.PositiveIntegerField(_("kept"), default=0)
    undone_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("undone by")
    )
    undone_at = models.DateTimeField(_("undone at"), null=True, blank=True)
    # Since when somebody holds a running import; it goes on where it stood.
    paused_at = models.DateTimeField(_("paused at"), null=True, blank=True)
    claimed_until = models.DateTimeField(null=True, editable=False)

    objects = ImportBatchQuerySet.as_manager()

    class Meta:
        verbose_name = _("import")
        verbose_name_plural = _("imports")
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    status__in=[
                        "uploaded",
                        "checking",
                        "checked",
                        "applying",
                        "applied",
                        "canceled",
                        "failed",
                        "undoing",
                        "undone",
                    ]
                ),
                name="members_importbatch_status_known",
            ),
        ]
        indexes = [models.Index(fields=["property", "-id"], name="members_importbatch_recent")]

    def __str__(self) -> str:
        return self.file_name


class ImportRow(models.Model):
    """One row of the file: what it says, what is to be done with it, and what is wrong with it."""

    class Action(models.TextChoices):
        """What applying the row does."""

        CREATE = "create", _("new")
        UPDATE = "update", _("changed")
        UNCHANGED = "unchanged", _("unchanged")
        ERROR = "error", _("wrong")

    class Kept(models.TextChoices):
        """Why a row cannot be taken back any more."""

        CHANGED = "changed", _("the profile was changed after the import")
        USED = "used", _("the guest has stays, a membership or notes since")
        GONE = "gone", _("the guest does not exist any more")

    batch = models.ForeignKey(ImportBatch, models.CASCADE, related_name="rows", verbose_name=_("import"))
    row_number = models.PositiveIntegerField(_("row"))
    # The cells as they stood in the file, so that a wrong row can be given back. Personal data:
    # encrypted like an identity.
    cells = models.BinaryField(editable=False)
    action = models.CharField(_("action"), max_length=10, choices=Action)
    # List of {"column": header, "field": name, "code": stable code, "message": English msgid, "params": {…}}.
    errors = models.JSONField(_("errors"), default=list)
    guest = models.ForeignKey(
        Guest, models.SET_NULL, null=True, blank=True, related_name="import_rows", verbose_name=_("guest")
    )
    applied_at = models.DateTimeField(_("applied at"), null=True, blank=True)
    # What applying did to the guest (`members.services.imports.undo`); encrypted, and gone after a day.
    trace = models.BinaryField(null=True, editable=False)
    # The guest's version after the row; another one now means that somebody changed the profile since.
    guest_version = models.PositiveIntegerField(null=True, editable=False)
    undone_at = models.DateTimeField(_("undone at"), null=True, blank=True)
    # Why undoing the import left this row's guest alone.
    kept_reason = models.CharField(max_length=10, choices=Kept, blank=True)

    class Meta:
        verbose_name = _("imported row")
        verbose_name_plural = _("imported rows")
        constraints = [
            models.UniqueConstraint(fields=["batch", "row_number"], name="members_importrow_unique"),
            models.CheckConstraint(
                condition=Q(action__in=["create", "update", "unchanged", "error"]),
                name="members_importrow_action_known",
            ),
            models.CheckConstraint(
                condition=Q(kept_reason__in=["", "changed", "used", "gone"]), name="members_importrow_kept_known"
            ),
        ]
        indexes = [
            models.Index(
                fields=["batch", "row_number"], condition=Q(applied_at=None), name="members_importrow_waiting"
            ),
            models.Index(
                fields=["batch", "guest"], condition=Q(trace__isnull=False), name="members_importrow_undoable"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.batch_id}/{self.row_number}"
