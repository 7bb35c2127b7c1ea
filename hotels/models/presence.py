"""Who has a record open to work on it."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class Presence(models.Model):
    """A user who works on a record; it says so every few seconds and is forgotten soon after it stops."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", verbose_name=_("who"))
    object_type = models.CharField(_("kind of record"), max_length=60)
    object_id = models.CharField(_("record"), max_length=64)
    seen_at = models.DateTimeField(_("at"))

    class Meta:
        verbose_name = _("presence")
        verbose_name_plural = _("presences")
        constraints = [
            models.UniqueConstraint(fields=["object_type", "object_id", "user"], name="hotels_presence_unique")
        ]
        indexes = [models.Index(fields=["seen_at"], name="hotels_presence_age")]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.object_type} {self.object_id}"
