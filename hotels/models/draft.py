"""What somebody has typed and not sent yet."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class Draft(models.Model):
    """The fields of a form that a user has not sent, kept so that logout and crash lose nothing.

    It stays on the server, for it may hold personal data that a browser's storage must not.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", verbose_name=_("who"))
    # Key of `hotels.services.drafts.FORMS`, and the public id of the record the form is about.
    form = models.CharField(_("form"), max_length=60)
    object_id = models.UUIDField(_("record"))
    content = models.JSONField(_("content"), default=dict)
    # The opening of the form that was sent: an automatic save of it that comes late is ignored.
    sent_key = models.UUIDField(null=True, editable=False)
    updated_at = models.DateTimeField(_("updated at"))
    expires_at = models.DateTimeField(_("expires at"))

    class Meta:
        verbose_name = _("draft")
        verbose_name_plural = _("drafts")
        constraints = [models.UniqueConstraint(fields=["user", "form", "object_id"], name="hotels_draft_unique")]
        indexes = [models.Index(fields=["expires_at"], name="hotels_draft_expiry")]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.form} {self.object_id}"
