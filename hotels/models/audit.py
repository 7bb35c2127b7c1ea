"""The audit trail: who did what to which record, when, where, before and after."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from hotels.models.organisation import Property

if TYPE_CHECKING:
    from hotels.models.access import User


class AuditEntryQuerySet(models.QuerySet["AuditEntry"]):
    """Reads of the audit trail."""

    def visible_to(self, user: User) -> AuditEntryQuerySet:
        """Keep entries of the user's properties; entries without one need a group scope."""
        if user.is_superuser or any(a.group_id for a in user.active_assignments()):
            return self
        return self.filter(property__in=Property.objects.visible_to(user))


class AuditEntry(models.Model):
    """One change, or one look at unmasked personal data. The database refuses to alter it."""

    at = models.DateTimeField(_("at"))
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("who")
    )
    action = models.CharField(_("action"), max_length=60)
    object_type = models.CharField(_("kind of record"), max_length=60)
    object_id = models.CharField(_("record"), max_length=64)
    object_label = models.CharField(_("description"), max_length=200, blank=True)
    property = models.ForeignKey(
        Property, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("property")
    )
    before = models.JSONField(_("before"), null=True, blank=True)
    after = models.JSONField(_("after"), null=True, blank=True)
    reason = models.CharField(_("reason"), max_length=300, blank=True)
    request_id = models.CharField(_("request"), max_length=64, blank=True)
    address = models.GenericIPAddressField(_("network address"), null=True, blank=True)

    objects = AuditEntryQuerySet.as_manager()

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit trail")
        indexes = [
            models.Index(fields=["object_type", "object_id", "-id"], name="hotels_audit_object"),
            models.Index(fields=["actor", "-id"], name="hotels_audit_actor"),
            models.Index(fields=["action", "-id"], name="hotels_audit_action"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.object_type} {self.object_id}"
