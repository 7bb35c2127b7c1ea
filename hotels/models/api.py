"""Requests of API clients that were carried out, so that a retry gets the first answer."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class ApiRequest(models.Model):
    """One request with an idempotency key and the answer it got.

    The row is written in the transaction of the effect: it exists exactly when the effect does.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", verbose_name=_("client"))
    key = models.CharField(_("idempotency key"), max_length=120)
    operation = models.CharField(_("operation"), max_length=200)
    # SHA-256 of the operation and the request's data, keys sorted.
    request_hash = models.BinaryField(max_length=32, editable=False)
    status = models.PositiveSmallIntegerField(_("status"), default=0)
    body = models.JSONField(_("answer"), null=True)
    created_at = models.DateTimeField(_("created at"))

    class Meta:
        verbose_name = _("API request")
        verbose_name_plural = _("API requests")
        constraints = [models.UniqueConstraint(fields=["user", "key"], name="hotels_apirequest_key_unique")]
        indexes = [models.Index(fields=["created_at"], name="hotels_apirequest_age")]

    def __str__(self) -> str:
        return f"{self.operation} {self.key}"
